//! What those run whom everyone trusts: certificates, their status, time-stamps, the instance's configuration.
//!
//! | file | what it does |
//! |---|---|
//! | [`ca`] | issues, renews and revokes certificates: lint with a throw-away key, record the serial, then sign |
//! | [`policy`] | what an authority is and how it issues, from one file |
//! | `founding` | makes an authority, whole or not at all |
//! | `lint` | what is looked at before anything is signed |
//! | [`index`] | remembers every serial and what became of it; survives a crash at any byte |
//! | `template` | what a certificate of each purpose looks like |
//! | [`naming`] | writes members and servers into subjects, as each country's profile wants |
//! | [`request`] | reads PKCS#10 requests |
//! | [`key`], [`pem`] | makes, keeps and wipes private keys |
//! | `responder` | the OCSP responder's key and certificate on the disk |
//! | [`ocsp`] | answers who is good, revoked or unknown |
//! | [`tsa`] | stamps a hash with the time |
//! | [`instance`] | members, servers, groups, approved services, from one file |
//! | [`store`] | remembers all that, who changed what when, and what waits; SQLite or PostgreSQL |
//! | [`management`] | checks what servers ask for, remembers it, does it when approved |
//! | [`globalconf`] | signs the instance's configuration, versions 2 to 6 |
//! | [`proxy`] | fetches somebody's configuration, verifies it, signs it anew: outlives a broken link |
//! | [`serve`] | all of these over HTTP, any or all in one process |
//! | [`federation`] | makes a whole instance in a directory, for the demo and for tests |
//! | [`verify`] | containers and archives, offline |
//! | [`span`] | lengths of time as people write them |
//! | [`cli`], [`exit`] | the commands and what they say |
//!
//! Who answers OCSP needs the index and the responder's key, never the authority's own key: the machine on the
//! network does not hold it. The program is small on purpose; nothing here knows the gateway.

pub mod ca;
pub mod cli;
pub mod exit;
pub mod federation;
mod founding;
pub mod globalconf;
pub mod index;
pub mod instance;
pub mod key;
mod lint;
pub mod management;
pub mod naming;
pub mod ocsp;
pub mod pem;
pub mod policy;
pub mod proxy;
pub mod request;
mod responder;
pub mod serve;
pub mod span;
pub mod store;
mod template;
#[cfg(test)]
mod testing;
pub mod tsa;
pub mod verify;
