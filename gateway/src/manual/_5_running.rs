//! Start, health, drain, log lines, exit codes, and what to do when something fails.
//!
//! # Before the start
//!
//! `saatkond check --config gateway.toml` looks at everything that `run` would refuse, and at what is stored of the global
//! configuration, and says each with its hint. Exit code 0, or 78.
//!
//! # Start
//!
//! `saatkond run --config gateway.toml` (`admin/run.rs`) does this, in this order:
//!
//! 1. reads `gateway.toml`; what is wrong in it ends the process with 78;
//! 2. binds all doors; one that is taken ends it with 69. Connections that come from now on wait;
//! 3. opens the health port;
//! 4. opens keys, `server.toml`, message log and spool. Of the log the newest file is read whole, and every record's sum
//!    in it checked; `messages verify` does that for all of it, also beside a running gateway, as all of `messages` works,
//!    `messages follow` too, which tells of messages as they are recorded;
//! 5. takes the stored global configuration if it still holds, else fetches it, again and again, at most 15 seconds apart;
//! 6. serves, and runs its jobs. The log line `ready` says when a call can be made, with the addresses of all doors.
//!
//! A gateway never makes an identity by itself: without `keys/keys.toml` it does not start. `saatkond keys generate` makes
//! one, with keys that wait for their certificates.
//!
//! # Health
//!
//! On `listen.health` (`admin/health.rs`). Nothing secret is told there, and nothing can be done.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health/live` | 200 while the process runs; 503 when only a restart helps, with the reason |
//! | `GET /health/ready` | 200 when a call could be made now, else 503, with `reasons` |
//! | `GET /status` | 200, all that `saatkond status` shows, as JSON |
//! | `GET /sites` | 200, all that `saatkond sites` shows, as JSON |
//! | `GET /authority` | 200, all that `saatkond authority show` shows, as JSON |
//!
//! Ready means: started and not draining; the global configuration holds; the authentication key serves (its certificate
//! is registered, valid, and good by OCSP); at least one member with a client here can sign; the message log takes records.
//! What is not well and does not stop everybody stands under `warnings`: a client that is not registered, a member that
//! cannot sign, a job that fails. Under `runs_out` stands what stops working by itself and when, the soonest first. A change
//! of readiness is logged: `ready`, or `no call can be made` with the reasons.
//!
//! `saatkond status --config gateway.toml` ends with 0 when ready, 1 when not, 69 when nobody answers.
//!
//! # Keys
//!
//! `saatkond keys` (`admin/keys/`) changes the directory `keys/` under `state`: `keys.toml`, in place, and the files beside
//! it. One command changes it at a time, and nothing is overwritten: a name that was used once stays taken. Private keys
//! are made there and stay there; no command shows one.
//!
//! | command | what it does |
//! |---|---|
//! | `keys list [--json]` | lists keys: what for, whether used, until when certified, and what to do next with each |
//! | `keys generate --use auth,sign,internal-tls [--name NAME] [--key KIND]` | makes a key: RSA with 2048, 3072 or 4096 bits, P-256 or P-384 |
//! | `keys csr NAME [--member MEMBER] [--ca NAME] [--host HOST] [--der] [--out FILE]` | writes a request; the subject is the one that the approved authority expects by its profile |
//! | `keys import FILE [--activate]` | checks a certificate and puts it beside its key |
//! | `keys activate sign-2` | lets a key be used |
//! | `keys encrypt [--new-pin-file FILE] [--remove]` | encrypts all keys under a PIN, or changes it, or takes it away |
//! | `keys retire NAME [--destroy]` | takes it out of use; the last of its kind only when that is agreed to |
//!
//! An imported certificate must be of a key that is here and not retired, and not be here yet; be for what its key is for,
//! and for that alone (nonRepudiation for `sign`); be valid now; lead to an authority that the instance approves, for
//! signatures too if it is one; and name a member that has clients here, or the server's owner. That is what X-Road's signer
//! checks; a self-signed certificate is refused on top of it (`keys/import.rs`). What the instance approves is read from the
//! stored global configuration while that holds, and else fetched: without one nothing is taken but a certificate for
//! information systems, which the instance has no say in.
//!
//! Keys may be encrypted (`keys encrypt`, `keys/pin.rs`): PKCS#8 with PBES2, as `openssl pkcs8` reads and writes it, all
//! under one PIN. The PIN comes from the file `keys.pin_file`, which its owner alone may read; without one from systemd's
//! credential `saatkond-pin` (`LoadCredential=` or `LoadCredentialEncrypted=`); and else from the terminal, unseen. A wrong
//! PIN locks nothing. Where there is a PIN, new keys are encrypted. Keys without encryption serve as well; `saatkond check`
//! counts them.
//!
//! Several keys of one use may be active. Of those whose certificates serve at the moment (registered with the instance, if
//! for authentication; valid; good by OCSP) the one with the newest certificate is used.
//!
//! `saatkond init --config gateway.toml` makes a new gateway's directories, a key of each use and the request for each
//! (`keys/NAME.csr.pem`), and says what comes next. What is there stays; it may be given again at any time.
//!
//! # Renewing keys
//!
//! Nothing is started anew, and no call fails: `keys generate`, `keys csr`, `keys import`, `keys activate`, and once the new
//! one serves, `keys retire` for the old one. A running gateway takes each change of the directory over, whole, within
//! `jobs.server_file`, and fetches the status of what is new; a state that is refused leaves the earlier keys in use, with
//! the reason in the log and under `warnings`. Messages that are being signed go on with the key they began with.
//!
//! A sign key is in use as soon as its status is known to be good. An authentication key must be registered with the
//! instance first, beside the old one; it is in use once the configuration has expired in which its registration was seen
//! first (`globalconf_expires`, commonly ten minutes): from then on every gateway knows it. Retire the old key after that,
//! and have its registration withdrawn last. Kept connections under a certificate that is registered no more are made anew.
//!
//! # Services
//!
//! `server.toml` is the one truth of what a gateway offers: written by hand, or by `saatkond services`
//! (`admin/services/`), which changes it in place. Comments and order stay; the file is checked whole before it takes the
//! old one's place, at once and durably; a running gateway takes it over within `jobs.server_file`.
//!
//! | command | what it does |
//! |---|---|
//! | `services list [WHICH…] [--json]` | lists services; of those that are named, endpoints and rights, too |
//! | `services add CLIENT --wsdl PLACE` | adds each operation of a WSDL that is bound to SOAP over HTTP |
//! | `services add CLIENT --openapi PLACE --code CODE` | adds a service with an endpoint for each operation of an OpenAPI 3.0 or 3.1 document |
//! | `services add CLIENT --rest URL --code CODE` | adds a service without a description |
//! | `services refresh [WHICH…]` | reads descriptions anew, shows what came and went, and takes it over when agreed to |
//! | `services enable WHICH…`, `disable WHICH… --notice TEXT` | lets services serve, or tells callers why not |
//! | `services set WHICH… --url --timeout --verify-tls --description` | changes where they answer, and how they are met |
//! | `services remove WHICH…` | takes them out, with all rights on them |
//!
//! `PLACE` is a URL or a file; `WHICH` a client, a service, or a description. Over HTTPS a description's server must show
//! one of the client's `certificates`, as for calls, unless `verify_tls` is false. What is added is disabled, and nobody has
//! a right on it: rights are given in the file. A refresh keeps URL, time limit and rights of what remains; a new version of
//! a SOAP service has the rights of another one of its code, as in X-Road; an endpoint that the description has no longer
//! goes with the rights on it, one written by hand stays.
//!
//! What would take something away, or is doubtful in a description, is shown and asked; scripts add `--yes`. Without it and
//! without a terminal nothing is changed, and the command ends with 2. 1: a document that is not read, or a file that
//! somebody else changed meanwhile; 69: a description's server that does not answer; 78: a file that would be refused.
//!
//! With `--json`, `list` tells a list of services: `service`, `client`, `code`, `version`, `kind`, `url`, `description`,
//! `timeout_seconds`, `verify_tls`, `enabled`, `notice`, `allow`, and `endpoints` of `method`, `path`, `generated`, `access`, `allow`.
//! `add` and `refresh` tell `written`, and for each of `descriptions`: `of`, `kind`, `description`, `warnings`, `notes` and
//! `changes`. A change is an `add`, `remove`, `adopt` or `declare` of a `service` or of its `endpoint`, with `rights_lost`,
//! `rights_of` or `access` where there are any.
//!
//! # Jobs
//!
//! | job | what it does | how often | when it fails |
//! |---|---|---|---|
//! | `globalconf` | fetches the global configuration | `jobs.globalconf` | what is stored serves until it expires |
//! | `server-file` | takes over a changed `server.toml`, or a certificate file that it names | `jobs.server_file` | the earlier one stays in force |
//! | `keys` | takes over a changed key directory: `keys.toml`, a key or a certificate | `jobs.server_file` | the earlier keys stay in use |
//! | `ocsp` | fetches the OCSP responses of our certificates | `jobs.ocsp`, or as the instance says; sooner where they age faster | the last ones serve until they are too old |
//! | `timestamp` | stamps the message log | `timestamping.interval`, or as the instance says | messages are taken for `timestamping.failure_allowed` |
//! | `archive` | archives what is time-stamped, deletes what is old | `log.archive_every`, sooner while time-stamps are awaited | nothing is archived, and so nothing deleted |
//! | `sites` | asks the doors of registers in use how they are, and reads `pins.toml` | four times a second | [chapter 2](super::_2_doors); pins that cannot be read leave the earlier ones in force |
//! | `copies` | asks how old our copies of registers are | four times a second | what was told grows old; beyond the bound the copy answers no reads ([chapter 6](super::_6_continuity)) |
//! | `registers` | asks the registers behind this gateway whether they answer, and opens and shuts `listen.servers` | four times a second | such a register gets no calls; when none is left the port is shut ([chapter 6](super::_6_continuity)) |
//!
//! A job that fails is tried again after a second, then after twice as long each time, up to its interval, or to
//! `jobs.ocsp_retry` and `timestamping.retry` for those two. The first failure and every new reason are logged, the same again and again is not; so is the first success afterwards.
//!
//! # Archives, and how long messages are kept
//!
//! With neither `log.archive` nor `log.keep` everything stays in `log/` for ever. With `log.archive` the job `archive`
//! closes the file that is written, if it was begun `log.archive_every` ago, and puts the messages of all closed files into
//! archives: zip files named `mlog-…`, of ASiC-E containers, linked to each other by the digests in their `linkinginfo`, as
//! X-Road's archiver makes them; its own tools read them, and so does `ca verify`. A file of the log is archived
//! when each of its messages has a time-stamp, after every sum in it was checked. What was archived is noted in
//! `log/archive.json`; a crash leaves no message out, and puts none into two archives. The archives are the operator's:
//! nothing here ever reads, moves or deletes one. Whoever moves them away keeps their names, for each names the one before it.
//!
//! With `log.keep` a closed file of the log is deleted, the oldest first, with its bodies, when its youngest message is
//! older than that: never before all in it are time-stamped, and with `log.archive` never before it is archived.
//!
//! # Registration
//!
//! `saatkond register` asks the central server, in X-Road's own form; an operator there approves, or it is done by itself.
//! `server` sends an authentication certificate over HTTPS to the address in the private parameters, which must show the
//! certificate listed there; that key and the owner's sign key sign it. All else goes through the running gateway as a
//! message of the server's owner to the management services: `server.toml` lists the owner itself as a client, and `client`,
//! `disable`, `enable` and `rename` are signed by the member whom they are about. `list` tells what was asked from here,
//! remembered in `requests.jsonl`, and whether the configuration shows it; who declined it, and why, only the central
//! server knows.
//!
//! The central server takes requests where `serve.toml` of `ca serve` has `[management]`, with `listen`, a loopback address:
//! deletions carry no signature, and are believed from whoever reaches it. So the gateway that offers the management
//! services runs on the same machine, each service with the URL `http://LISTEN/managementservice/manage/`. Registrations of
//! authentication certificates are taken on a port of their own, `registrations`, at `/managementservice/`; a TLS server in
//! front has the certificate that `[management]` of the instance names. Of `ca instance`, `requests` shows what was asked for,
//! `approve NUMBER` does it, `decline NUMBER` does not. Only `authCertReg`, `clientReg` and `ownerChange` wait, unless
//! `approve` in `serve.toml` names them. `clientDisable` and `clientEnable` are not supported.
//!
//! # A configuration that outlives its link
//!
//! An embassy runs `saatkond ca proxy --config proxy.toml` beside its gateway: it fetches the instance's configuration, holds
//! it against the anchor, and signs it anew with a key of its own (`… init` makes it). The gateway there is given the
//! proxy's anchor (`… anchor --out anchor.xml`), and learns of no other place. With nobody upstream the proxy goes on with
//! what it fetched last: until upstream's own signature has ended, and `validity` of `proxy.toml` after that, to the second,
//! restarts included. `… show` and `/health/ready` say how long is left. A longer `validity` bridges a longer cut; as long
//! a member or certificate that was thrown out meanwhile is let in by those behind the proxy, and who holds its key decides
//! whom they trust.
//!
//! # Drain
//!
//! SIGTERM or SIGINT: `ready` becomes 503, the doors close, exchanges under way go on for at most `timeouts.drain`, then
//! what is left is cut and said so. Jobs run until then. The message log is closed last, with everything written that was
//! told. A second signal ends the process at once: what was recorded is safe, exchanges under way are cut.
//!
//! Give the supervisor more patience than `timeouts.drain`. SIGKILL and power cuts lose no record that anybody was told
//! of; a torn last batch is dropped at the next start, with a line that says so.
//!
//! # Log lines
//!
//! On standard error, for people or as JSON (`output.format`). Messages are constants, values are fields; neither message
//! bodies nor secrets are ever in them. Each exchange ends with one line, `exchange`, with these fields, always:
//!
//! | field | what it is |
//! |---|---|
//! | `query_id` | the id that the information system gave (`X-Road-Id`); the same in both gateways |
//! | `side` | `consumer` or `provider`: on which side of the exchange this gateway stood |
//! | `consumer` | who asked |
//! | `service` | whom for what |
//! | `server` | the other gateway |
//! | `code` | `ok`, or the code that was told |
//! | `ms` | milliseconds from the request's head to the answer's |
//! | `bytes` | bytes of both bodies |
//!
//! A field is empty when the exchange ended before it was known. `ok` means that a signed answer was there, whatever
//! status the service gave. A fault has one more line before it, `fault told to information system` or
//! `fault told to another gateway`, with what a stranger is not told (`source`), and with `detail`, the UUID that the
//! caller was given: who complains can be found by it.
//!
//! Lines of level `error` want somebody's hand. A panic is a bug of ours. One in an exchange ends that exchange, with a line
//! that has `alarm=true`; one in the message log, the keys or the jobs ends the process with 70, for nobody knows what it
//! left behind.
//!
//! # Exit codes
//!
//! | code | when |
//! |---|---|
//! | 0 | done |
//! | 1 | the thing itself is not well: `status` of a gateway that is not ready, `ca verify` of what does not hold |
//! | 2 | wrong use |
//! | 69 | a needed service is not there: an address is taken, no gateway answers |
//! | 70 | a bug of ours |
//! | 74 | disk |
//! | 77 | not allowed: a key that others may read, a demonstration's keys on an open address |
//! | 78 | configuration |
//!
//! # What to do when
//!
//! | what is seen | what it means | what to do |
//! |---|---|---|
//! | `no space for the next segment of the message log`, `alarm=true`; `status` warns | the disk of `log/` is full. The next file of the log is made ahead, so there is still room for records, but for one file's worth at most | make space: it is tried each second. Nothing in `log/` may be deleted by hand |
//! | the same, then `message log is full: records are refused`; callers get `…logging_failed`; `ready` is 503 | that room is used up. Nothing is torn; nothing is exchanged that cannot be recorded | the same. It goes on by itself, with `message log takes records again` |
//! | `message log failed: its segment is given up`, callers get `…logging_failed` | a write or a sync failed. What was told before is on disk; what was under way was refused. Nothing is written to that file again, for a second sync may say that all is well when it is not | look after the disk. The log goes on by itself in a new file, as soon as one can be written and synced whole. No restart is needed; one does no harm |
//! | `large body not kept: its message is refused` | there was no space for a file in `log/bodies/`, or it could not be synced | as above; small messages pass |
//! | `the disk of the message log was slow`; `ready` is 503 while one write takes over ten seconds | the disk takes long. Messages wait for their records for `log.patience`, then end in `…logging_failed`; such a record may be on disk nevertheless | find out what else writes to this disk |
//! | job `archive` fails | the directory of archives is full, gone or not writable; or a file of the log does not hold (`message log is damaged: nothing of it is archived or deleted`); or `log/archive.json` cannot be read | mend it. Nothing is deleted from the log meanwhile, so its disk fills. Of a damaged file the good records can be exported still; restore it from a backup. Without `log/archive.json` everything is archived once more, in a new chain |
//! | start ends with 74 and `message log is damaged` | records that were acknowledged do not hold any more | do not delete anything. Restore the file from a backup, or move `log/` away whole as evidence and begin a new one |
//! | callers get `…global_conf_outdated` | the configuration was not renewed before it expired | `saatkond status` names the source and why. It is the instance's authority that must renew it; service returns by itself |
//! | `…ssl_authentication_failed` for every call, `ready` says that no key serves | our authentication certificate has ended, was revoked, is not registered, or has no fresh OCSP response | `saatkond status` names which |
//! | `…cannot_create_signature` | the same, of a member's sign certificate | the same |
//! | job `timestamp` fails | the time-stamping authority is away | nothing for `timestamping.failure_allowed`; after that messages are refused with `…timestamping_failed`. It recovers by itself and then stamps what waited. The time that failing is allowed begins anew at a restart |
//! | `…no_timestamping_provider_found` | the instance approves no time-stamping authority, or `timestamping.services` names none of those it approves | mend `timestamping.services`, or have one approved |
//! | `job failed` of `server-file` | the new `server.toml` is refused | the line says line and reason; the earlier one is in force |
//! | `gateway not taken`, `call goes to another door` | a provider's gateway is away, or not who it must be; another answers | nothing, unless it lasts: then tell the provider |
//! | a log line names `tls.stock_peers` | an unmodified X-Road 7 server called us or was called: it speaks only TLS 1.2 with CBC suites | set `tls.stock_peers = true` and restart, if such servers shall be met |
//! | job `registers` fails | a register does not answer its `probe`, or takes no connections; `its port for other gateways is shut`: and none of the others can be served or passed on | mend the register, or the link to the site that leads it. The port opens a second after; after relapses within a minute it waits twenty, forty, sixty |
//! | callers get `outcome_unknown` | a write was handed over and no answer came | see [chapter 2](super::_2_doors) |
//! | `no connection accepted` | the process has no file descriptors left | raise its limit above what `limits` allows it: a connection costs one, a body in `spool/` another |
//! | callers wait long until they are connected | `limits.client_connections_max` are connected: the others wait | raise it, and the limit of file descriptors with it |
//!
//! The clock matters: certificates, OCSP responses and the configuration are judged by it to the second. Keep it by NTP.
