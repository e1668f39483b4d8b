//! The gateway: lets organisations ask each other for data, every message signed, checked and kept as evidence.
//!
//! A room may use only rooms to its left:
//!
//! ```text
//! proto │ conf clock → keys world messagelog → net → consumer   provider → jobs → admin → main
//!                                                (do not know each other)
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | [`conf`] | reads and checks the operator's files |
//! | [`clock`] | asks the time |
//! | [`keys`] | holds private keys; nothing else ever sees one |
//! | [`world`] | what we believe now: one immutable picture, swapped whole |
//! | [`messagelog`] | makes what happened durable before anyone is told |
//! | [`net`] | sockets, TLS, pools and deadlines |
//! | [`jobs`] | what the gateway does unasked |
//! | [`admin`] | what an operator may see and change |

pub mod admin;
pub mod clock;
pub mod conf;
pub mod jobs;
pub mod keys;
pub mod messagelog;
pub mod net;
pub mod world;

use clock::Clock;
use conf::Conf;
use keys::Keys;
use messagelog::{MessageLog, Spool};
use saatkond_proto::time::UnixTime;
use std::sync::Arc;
use world::{PeerStatuses, World, WorldCell};

/// Everything both paths need, made once at start.
#[derive(Debug)]
pub struct Gateway {
    /// How this process runs.
    pub conf: Arc<Conf>,
    /// What time it is.
    pub clock: Clock,
    /// Private keys.
    pub keys: Keys,
    /// What we believe now.
    pub world: Arc<WorldCell>,
    /// What happened.
    pub log: MessageLog,
    /// Bodies under way.
    pub spool: Spool,
    /// OCSP responses that port 5577 of other gateways told.
    pub peer_statuses: PeerStatuses,
}

impl Gateway {
    /// The present picture; keep it to the end of what you do.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world.load()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }
}
