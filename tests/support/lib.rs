//! Fakes, one at each border, and what makes them: all of it in one process, on loopback, with a clock that a test winds.
//!
//! | file | what it holds |
//! |---|---|
//! | [`federation`] | an instance: authority, members, keys, trust services that answer; its clock |
//! | [`site`] | a real gateway of it, with jobs that the test runs |
//! | [`caller`] | an information system that asks |
//! | [`service`] | an information system that answers |
//! | [`letter`] | a message between gateways, which a test may spoil before or after it is signed |
//! | [`peer`] | a gateway that a test plays: as consumer's, as provider's |
//! | [`passage`] | a call as a door of another site passes it on, which a test may spoil |
//! | [`wire`] | HTTP/1.1 read and written by hand |
//! | [`seen`] | what a fake was told, to be waited for |
//! | [`one_version`] | TLS of an information system that speaks one version only |
//! | [`postgres`] | a replicated database, home and abroad |
//! | [`recorded`] | what others recorded: where it lies, HTTP taken apart |
//! | [`vectors`] | the project's own vectors: their form, their verdicts, their making |
//! | [`directory`] | a directory that goes with the test |
//!
//! Nothing here sleeps: whoever needs something to have happened waits for it, within [`PATIENCE`].

pub mod caller;
pub mod directory;
pub mod federation;
pub mod letter;
pub mod one_version;
pub mod passage;
pub mod peer;
pub mod postgres;
pub mod recorded;
pub mod seen;
pub mod service;
pub mod site;
pub mod stock;
pub mod vectors;
pub mod wire;

pub use caller::{Ask, Caller, Heard};
pub use federation::{Federation, For, Holder, START};
pub use letter::{Draft, Letter, Signer};
pub use passage::Passage;
pub use peer::{Asker, Door, Play, Post, Received};
pub use seen::{Gate, Seen};
pub use service::{Answer, Asked, Service};
pub use site::Site;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a test waits for what must happen, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what must happen; says what did not.
///
/// # Panics
/// When it does not happen within [`PATIENCE`].
pub async fn patiently<T>(what: &str, happening: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, happening).await {
        Ok(happened) => happened,
        Err(_) => panic!("{what}: did not happen within {PATIENCE:?}"),
    }
}

/// Asks over HTTP beside the test.
pub fn spawn_asking(clients: SocketAddr, ask: Ask) -> JoinHandle<Heard> {
    tokio::spawn(async move { Caller::connect(clients).await.ask(&ask).await })
}
