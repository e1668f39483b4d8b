//! What happens to one call, step by step, and in which file.
//!
//! An information system of one member, the *consumer*, asks a service of another, the *provider*. Each has a gateway; the
//! two gateways speak with each other, the information systems only with their own.
//!
//! ```text
//!  information system        consumer's gateway                     provider's gateway           service
//!        │ 1  GET /r1/…            │                                        │                        │
//!        ├────────────────────────>│ 2 admit  3 resolve  4 spool            │                        │
//!        │                         │ 5 connect, judge the peer  ═ TLS 1.3 ═ │                        │
//!        │                         │ 6 sign   7 record                      │                        │
//!        │                         ├─ status │ block │ body │ signature ───>│ 9 judge  10 authorise  │
//!        │                         │ 8 hand over                            │ 11 spool  12 verify    │
//!        │                         │                                        │ 13 record              │
//!        │                         │                                        ├─ 14 forward ──────────>│
//!        │                         │                                        │<───────────────────────┤
//!        │                         │                                        │ 15 sign  16 record     │
//!        │                         │<─────────── block │ body │ signature ──┤                        │
//!        │                         │ 17 receive  18 check  19 record        │                        │
//!        │<────────────────────────┤ 20 reply                               │                        │
//! ```
//!
//! Both paths stand on one screen each: `ask` in `consumer/mod.rs`, `answer` in `provider/mod.rs`. Each takes one picture
//! of the world ([`crate::world::World`]: global configuration, `server.toml`, OCSP responses) at its beginning and keeps
//! it to its end, so that no call is judged by two configurations. Each runs as a task of its own (`net/task.rs`): it goes
//! on to its end when the caller goes away, and a panic in it is a fault of that call alone.
//!
//! # The consumer's side
//!
//! | step | file | what happens |
//! |---|---|---|
//! | 1 | `net/listen.rs`, `net/framed.rs`, `net/head.rs` | The request's head is read strictly and kept as it came: order, letter case and duplicates of headers, the raw target. What HTTP itself does not allow is refused here, before any rule of X-Road is asked. |
//! | 2 admit | `consumer/admit.rs` | The global configuration must not have expired, and our authentication key must serve. The request becomes a signed *block* to be: method, target and headers, byte for byte, with a new `x-road-request-id`. Of a SOAP message (a POST to any other path) the envelope is read, and its bytes are what is signed. The client must stand in `server.toml`, its information system must connect as that says (HTTP, HTTPS, HTTPS with a certificate), and it must be registered on this server. |
//! | 3 resolve | `consumer/resolve.rs` | The provider's servers from the global configuration, without those in maintenance, in the order of [chapter 2](super::_2_doors). |
//! | 4 spool | `consumer/admit.rs`, `messagelog/spool.rs` | Body, or SOAP attachments, are taken whole, in memory while small together, else in one file, and digested on the way. It is kept until the answer is there, so that another door may be sent the same bytes. |
//! | 5 connect | `net/dial.rs`, `net/peer.rs` | A connection to a door; then the peer's certificate: path to an approved authority, OCSP responses (ours, kept ones, or from the peer's port 5577), registered for a server of the provider. Before that no byte of the call leaves. |
//! | 6 sign | `net/message.rs`, `keys/signing.rs` | Block and body are signed in the member's name. Calls that wait at the same moment share one signature through a hash chain. |
//! | 7 record | `messagelog/` | Request and signature are on disk, synced, before the signature leaves. Without a record there is no call. |
//! | 8 hand over | `consumer/attempt.rs`, `net/outward.rs` | OCSP responses of our TLS certificates, block, body, hash chain, and the signature as the last part. The moment its first byte goes to TLS is the moment after which the call may have been executed. |
//! | 17 receive | `consumer/check.rs` | The answer comes whole; one that breaks off, or a fault, is none. |
//! | 18 check | `consumer/check.rs` | The signature is the provider's and covers every part; ids and the hash of our request are those we sent: `Matched`. |
//! | 19 record | `messagelog/` | The answer and its signature are on disk before anybody is told. |
//! | 20 reply | `consumer/reply.rs` | Status, headers and body as the service gave them; a SOAP message with status 200, and with its boundary if it has attachments. Faults leave here too, with `X-Road-Error` or as SOAP faults. |
//!
//! # The provider's side
//!
//! | step | file | what happens |
//! |---|---|---|
//! | 9 judge | `net/tls.rs`, `provider/receive.rs`, `net/peer.rs` | In the handshake the peer shows a certificate that is registered for some server, or is turned away. When the block is there: path, OCSP responses from the message, and whether that server serves the client in whose name it asks. |
//! | 10 authorise | `provider/authorise.rs` | The service exists, speaks the dialect it is asked in, the client has a right to this method and path (in SOAP to all of it), the service is enabled: `Head` becomes `Permitted`. Nothing of the body has been taken yet: a stranger cannot fill our disk. |
//! | 11 spool | `provider/receive.rs` | The body, hash chain and signature, to the end. |
//! | 12 verify | `provider/receive.rs` | The signature is the client's and covers every part: `Proven`. |
//! | 13 record | `messagelog/` | On disk: `Recorded`. |
//! | 14 forward | `provider/forward.rs` | The service is called with the request as it was signed, within its time limit. `forward` takes a recorded request and nothing else: to forward an unrecorded one does not compile. |
//! | 15 sign, 16 record | `provider/seal.rs` | The service's answer, whatever its status, becomes a block that names the request by its hash; into a SOAP answer the hash is inserted as `requestHash`, and a SOAP fault is passed on unsigned. Signed in the provider's name, recorded, then sent. |
//!
//! # What gateways answer by themselves
//!
//! `GET /listClients[?xRoadInstance=…]` at the door of information systems tells the members and subsystems of the
//! instance, or of one in federation with it, as XML or (`Accept: application/json`) JSON. Anyone who reaches that door may
//! ask; nothing crosses, and nothing is signed (`consumer/local.rs`).
//!
//! `listMethods` and `allowedMethods` are called like services, by REST (a GET) or by SOAP, and each lists the services of
//! its own kind: all, or those on which the caller has a right. Step 10 lets every client through whose message gets there,
//! and in place of step 14 the provider's gateway answers (`provider/meta.rs`); all else is as above, evidence included.
//!
//! `getWsdl` (SOAP) and `getOpenAPI?serviceCode=…` (REST) tell in the same way how a service is described: its
//! `description` in `server.toml` is read at that moment, within the service's time limit and by its TLS rules, and
//! addresses are taken out of it.
//!
//! # GovStack's directory
//!
//! The directory of a GovStack Information Mediator (`listClients`, `listMethods`, `allowedMethods`, `getOpenAPI`, in
//! GovStack's names and shapes) is answered under `/govstack/` at the door of information systems: its own paths are
//! X-Road's, too (`consumer/govstack.rs`). An adaptor in front brings it to where GovStack's clients look, and says for
//! which information system it stands; with Caddy:
//!
//! ```text
//! :3366 {
//!     rewrite * /govstack{uri}
//!     reverse_proxy 127.0.0.1:8080 {
//!         header_up X-Road-Client DEV/GOV/M1/TAX
//!     }
//! }
//! ```
//!
//! A client that names itself, in `Information-Mediator-Client` or `X-GovStack-Client`, goes before `X-Road-Client`. Each
//! question to a provider is an exchange as above, `getOpenAPI` two: whether the provider has such a service is asked first.
//!
//! # What is proven afterwards
//!
//! Both message logs hold both messages with their signatures, the certificates, and the OCSP responses of that moment
//! (bodies up to `log.body_max`; what happens to larger ones `log.beyond_body_max` says).
//! Once time-stamped (`jobs/timestamp.rs`) each can be exported as one file (`messagelog/export.rs`) which proves to
//! whoever has the instance's anchor who said what to whom, and before which moment. A fault is never signed, in X-Road
//! as here: it is the word of the TLS peer and no evidence.
//!
//! # Taking the evidence away
//!
//! An information system fetches its own evidence at the door where it asks (`consumer/evidence.rs`), as from X-Road; it
//! must connect as for a call. The consumer's is had at the consumer's gateway, the provider's at the provider's. The
//! operator has `saatkond messages export`.
//!
//! | GET | what comes |
//! |---|---|
//! | `/asic?queryId=…&xRoadInstance=…&memberClass=…&memberCode=…[&subsystemCode=…]` | a zip file with every message of that client that has this id (`X-Road-Id`), one `.asice` each |
//! | the same with `&requestOnly` or `&responseOnly` | the requests, or the responses |
//! | the same with one of these and `&unique` | the first of them, by itself |
//! | any of these with `&force` | what has no time-stamp yet is stamped now, each by itself; without it that is 500, until the log is stamped |
//! | `/verificationconf` | what the files are verified with: `saatkond ca verify FILE --globalconf verificationconf.zip`. Asked by anyone |
//!
//! Errors are text: 400 for what is not asked well, 401 for who may not, 404 for what is not there. Files are made while
//! they are sent, and at most eight at once; one that breaks off, with no last chunk, is not whole. A zip file takes
//! 4 GiB; what is larger in all is had one by one.
