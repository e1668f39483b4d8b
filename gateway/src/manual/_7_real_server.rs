//! How a live X-Road server is run against a gateway, and what came of it.
//!
//! Recordings show what real servers said once. A running server judges what *we* say today. It is not part of the tests:
//! it needs X-Road's source, a JDK, PostgreSQL and some minutes of compiling. Nothing of X-Road is in this repository.
//!
//! # The server
//!
//! X-Road's source at the tag `7.8.0` compiles with `javac` alone, in one run, with the annotation processors of Lombok and
//! MapStruct: its modules `common-core`, `-db`, `-domain`, `-jetty`, `-message`, `-messagelog`, `-rpc` and `-scheduler`, all
//! of `lib`, the proxy, signer, configuration client and message-log archiver of `service`, the add-ons `metaservice` and
//! `messagelog`, and the ASiC verifier. Beforehand `xjc` makes classes of the schemas that the modules' build files name, and
//! `protoc` with its gRPC plug-in those of the `.proto` files. Libraries have the versions of X-Road's catalogue.
//!
//! Four processes make a server: the main classes `ConfClientDaemonMain`, `SignerMain`, `ProxyMain` and `LogArchiverMain`.
//! The system property `xroad.conf.path` leads them to a folder with X-Road's default `conf.d/*.ini` and `jetty/*.xml`, our
//! instance's `anchor.xml` as `configuration-anchor.xml`, and a `local.ini` with addresses and paths of this server alone
//! and `grpc-internal-tls-enabled=false`. X-Road's own change sets make the databases `serverconf` (which wants the
//! extension `hstore`) and `messagelog`; clients, services and rights are a few rows in the first. Its property
//! `xroad.proxy.messageLogManagerImpl` and its handler lists name the same classes as its packages do.
//!
//! Keys are made by the signer, asked over gRPC by a program of a page that calls `SignerRpcClient`: start the software
//! token, make two keys, give out two requests. `saatkond ca issue` answers the requests, `saatkond ca instance apply`
//! registers the server, and the same program imports and activates the certificates. Nothing of X-Road is replaced but the
//! file that keeps the token's PIN, which X-Road has for its own tests.
//!
//! Our side is what `saatkond demo --lay-out` makes, with `tls.stock_peers = true` and a member more. All of it runs on
//! loopback, best in a network namespace of its own.
//!
//! # What was asked
//!
//! Each call both ways, a real consumer before our provider and ours before a real provider:
//!
//! | call | outcome |
//! |---|---|
//! | REST: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; no body, 3 MB with and without a length, an answer of 5 MB | as the service said it, to the byte |
//! | answers 204, 404 and 500 of a service | passed on |
//! | SOAP: plain, one attachment, three attachments of 2 MB together, a fault of the service | the same |
//! | not permitted, unknown service, version, client and provider, disabled, service not reached, body of another name | the same fault codes |
//! | `listMethods`, `allowedMethods` of both protocols, `getWsdl`, `getOpenAPI`; a right to one method and path of an OpenAPI document, and a call of another | the same answers |
//! | forty to sixty calls at once, so that both sides sign by hash chain | all answered |
//! | connections used again (`pool-enable-connection-reuse`) | all answered |
//! | a real consumer before a register with copies at home and abroad; home killed with `kill -9` | it goes to the embassy by itself, which answers reads until its copy is older than allowed and refuses a write as not done; by X-Road's default no read failed; where connections are used again, the one call that met a dead one did, with `io_error` |
//!
//! And what was left behind:
//!
//! | evidence | judged by | outcome |
//! |---|---|---|
//! | our signed configuration, V2 to V6, with its part for continuity | X-Road's configuration client and `GlobalConfImpl` | taken; the unknown part is kept and ignored |
//! | 844 containers of our two message logs, single and by hash chain, RSA and EC | X-Road's `AsicContainerVerifier` | all hold |
//! | X-Road's certificate, OCSP and time-stamp requests | our authorities | answered, and the answers taken |
//! | the message log's archive of the real server, 366 containers | `saatkond ca verify` | all hold, and so does their chain |
//! | containers that the real server gave away at `/asic` | `saatkond ca verify` | all hold |
//!
//! The calls were made twice, with keys of RSA on our side and with keys of P-256; and a hundred and twenty more, and SOAP,
//! when the real server signed with P-256, too. Its TLS key was RSA throughout.
//!
//! This was on 24 November 2026, with Temurin 25 where X-Road asks for Java 21, Hibernate 7.1.7 for 7.1.4 and Jetty 12.0.27
//! for 12.0.31.
//!
//! Not asked: federation, operational monitoring, HSMs, management requests, a server that is revoked while it runs.
//!
//! # What differed
//!
//! | X-Road 7.8 | we | |
//! |---|---|---|
//! | names in faults what was asked for with its kind, `SERVICE:DEV/GOV/M2/LAND/titles` | left out the kind | mended; the recordings are held to it, too |
//! | tells a REST body that its log does not take as `io_error`, and the reason in the words | tell it as `logging_failed`, as for SOAP | stays: the code says what to do |
