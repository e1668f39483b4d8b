//! The gateway: lets organisations ask each other for data, every message signed, checked and kept as evidence.
//!
//! A room may use only rooms to its left:
//!
//! ```text
//! proto │ conf clock → keys world messagelog → net → embassy → consumer   provider → jobs → admin → main
//!                                                          (do not know each other)
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
//! | [`embassy`] | what we know of sites and copies |
//! | [`consumer`] | our information system asks |
//! | [`provider`] | another gateway asks |
//! | [`jobs`] | what the gateway does unasked |
//! | [`admin`] | what an operator may see and change |
//!
//! What is spread over many files is told once, in the [`manual`].

pub mod admin;
pub mod clock;
pub mod conf;
pub mod consumer;
pub mod demo;
pub mod embassy;
pub mod jobs;
pub mod keys;
pub mod manual;
pub mod messagelog;
pub mod net;
pub mod provider;
#[cfg(test)]
mod testbed;
pub mod world;

use clock::Clock;
use conf::Conf;
use embassy::Embassy;
use keys::Keys;
use messagelog::{MessageLog, Spool};
use net::listen::{Listener, Stop};
use net::{Doors, Net};
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
    /// Connections to others.
    pub net: Net,
    /// What we know of sites and copies.
    pub embassy: Embassy,
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

    /// Serves all doors until `stop`; returns when what was under way has ended, or was cut.
    pub async fn serve(self: Arc<Self>, doors: Doors, stop: Stop) {
        let clients = |door: Option<Listener>, is_tls| {
            let (gateway, stop) = (Arc::clone(&self), stop.clone());
            async move {
                if let Some(door) = door {
                    consumer::serve(gateway, door, is_tls, stop).await;
                }
            }
        };
        let servers = async {
            if let Some(door) = doors.servers {
                provider::serve(Arc::clone(&self), door, stop.clone()).await;
            }
        };
        let ocsp = async {
            if let Some(door) = doors.ocsp {
                provider::ocsp::serve(Arc::clone(&self), door, stop.clone()).await;
            }
        };
        let sites = async {
            if let Some(door) = doors.sites {
                provider::sites::serve(Arc::clone(&self), door, stop.clone()).await;
            }
        };
        tokio::join!(clients(doors.clients, false), clients(doors.clients_tls, true), servers, ocsp, sites);
    }
}
