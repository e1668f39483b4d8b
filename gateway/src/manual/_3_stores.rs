//! What lies on disk, whether it is trusted, and what its thief could do.
//!
//! *Trusted* means that the program acts on what the file says without proof from elsewhere. *Reader* is somebody who
//! got a copy, *writer* somebody who can change it unseen.
//!
//! # A gateway
//!
//! The first three are the operator's; the rest lies in the directory that `state` names in `gateway.toml`.
//!
//! | store | what it is | trusted | its reader could | its writer could | when it is lost |
//! |---|---|---|---|---|---|
//! | `gateway.toml` | how this process runs | yes | learn addresses and limits | open doors, lift limits, point to another anchor or other keys: everything below | written again; nothing in it is secret |
//! | `server.toml` | what this server offers, and to whom | yes | learn who may call what, and where the services are | give anybody any right, send calls to a service of his own | written again |
//! | the configuration anchor | where the global configuration is asked for, and whose signature is believed | yes, it is where all trust begins | nothing: it is public | name an instance of his own making: everything | had again from the authority; compare its hash by another way |
//! | `keys/` | private keys in PEM, encrypted under a PIN or not, their certificates, the public half of keys that wait for one, and `keys.toml`, which says what each is for | yes | sign in this organisation's name and pose as this server, until the certificates are revoked; of encrypted keys, guess at the PIN, 16 MiB and five rounds of scrypt a try | the same, and stop the gateway | new keys, new certificates, registered anew; have the old certificates revoked |
//! | `globalconf/` | the global configuration as it was last verified, in X-Road's own layout | yes: it was verified when it was fetched and is not verified again when it is read | nothing: it is public | decide whom we believe, until the next fetch replaces it | fetched again |
//! | `ocsp/` | OCSP responses of our certificates, so that a restart needs no responder | no: each is verified again before it is used | nothing: they are told to whoever asks | make a restart wait for a responder | fetched again |
//! | `log/` | the message log | for what it holds, not for what it proves: each record carries its own signature, and later its time-stamp | read every message with its body | destroy evidence, not make any: he has no member's key | evidence is gone; the other side has its own half |
//! | `continuity/` | the newest decision about sites and registers that was taken | yes: an older one is refused by it | nothing: each server of the instance is told it | let an older decision be taken again, if its signer repeats it | taken from the configuration as it is then |
//! | `authority/` | who leads which register, as the last order said | yes: an order was verified when it was taken, and is not verified again | nothing: orders are told to every site | make this site lead again where it was deposed | the other sites tell again, while one of them is reachable |
//! | `pins.toml` | where `saatkond sites pin` sends reads | yes, for whom a read is brought to first | learn where reads are sent | send reads to another copy of the same register first | reads go where health and shares say |
//! | the directory of `log.archive` | archives of the message log, where that is set | no | as `log/` | as `log/`; that an archive between others is gone, the next one shows | evidence that `log/` holds no more is gone |
//! | `spool/` | bodies under way that are too large for memory | for this process's life | read bodies that are under way | change a body on its last way, to the service or back to the caller; between gateways the signature would not hold any more | nothing: it is emptied at each start |
//!
//! What the program itself sees to:
//!
//! - A private key that anyone but its owner may read is refused (`keys/index.rs`); so is a certificate that is not one
//!   of the key beside it. Of the program only the room `keys` ever sees one: what goes in is bytes to sign.
//! - A demonstration's keys (`demo = true` in `keys.toml` or `gateway.toml`) serve on loopback alone.
//! - `log/` has a lock and a version: a second process, or a program that keeps another version, is refused at start.
//!   Each record is summed and chained to the one before it (`messagelog/frame.rs`), so a changed or missing record is
//!   found: in the newest file when the log is opened, elsewhere when the record is read, and everywhere by
//!   `saatkond messages verify`. This finds accidents and clumsy hands. Who can write to the disk can also write a new
//!   chain. Signature and time-stamp then still prove what is there; that something is gone only the other side's log
//!   shows.
//! - `log/*.log` are segments: a number, and the number of the first record. What messages signed together have in common
//!   lies once in a segment. `log/*.idx` say where in its segment each record lies, which are a query's or a member's,
//!   and what time-stamps cover; they are summed, are made anew from their segments when they are missing or do not hold,
//!   and prove nothing.
//! - Bodies over 64 KiB lie in `log/bodies/`, each a file of its own, on disk before the record that names it.
//! - Files that are replaced are written beside their place, synced and renamed, so that a crash leaves the old or the
//!   new one, never half of one.
//!
//! Nothing on disk but private keys is encrypted by this program, and those only under a PIN (`saatkond keys encrypt`). Use
//! an encrypted file system where a disk may be carried away, and keep `keys/` (mode 700) and `log/` readable by the
//! gateway's own user alone.
//!
//! In memory only, and gone at a restart: OCSP responses of other gateways' certificates (each verified again by whoever
//! takes one out), which peers were found to be who they must be, which doors failed a moment ago, open connections,
//! and since when time-stamping has been failing.
//!
//! # Trust services (`saatkond ca`)
//!
//! | store | what it is | trusted | its reader could | its writer could |
//! |---|---|---|---|---|
//! | `ca.key.pem` | the authority's key | yes | be the authority: issue certificates to anybody. It is needed to issue and to revoke, not to answer OCSP: keep it off the network | the same |
//! | `ocsp.next.key.pem` | the same, for the moment in which the responder's certificate is replaced | yes | the same as of `ocsp.key.pem` | the same |
//! | `ca.toml`, `ca.cert.pem` | the authority's policy and certificate | yes | nothing | change what certificates will say |
//! | `index.jsonl` | every serial and what became of it | yes | learn who has certificates | un-revoke |
//! | `ocsp.key.pem` | what the OCSP responder signs with | yes | call revoked certificates good, for as long as its certificate lasts: nobody can revoke that one | the same |
//! | `tsa.key.pem` | what the time-stamping authority signs with | yes | stamp with any time | the same |
//! | `instance.toml` | members, servers, groups, approved services, as their authority writes them | yes, once applied | nothing: most of it is published | add a server or an authority, once it is applied |
//! | `configuration/internal-<id>.key.pem`, `external-<id>.key.pem` | what a node signs the global configuration with | yes | say who is trusted: everything, in the whole instance | the same |
//! | `configuration/instance.db`, or PostgreSQL's schema `saatkond_central` | the instance, the certificates of its signing keys, requests that wait, who changed what when | yes | nothing: most of it is published | say who is trusted. `ca instance history --check` finds rows of history that were altered, not those who may write new ones |
//! | `configuration/node.toml` | which node this is, and where its PostgreSQL is | yes | change the state, where a password stands in it | the same |
//!
//! The modules say the same of their own files: [`saatkond_ca::ca`], [`saatkond_ca::globalconf`], [`crate::keys`],
//! [`crate::messagelog`].
