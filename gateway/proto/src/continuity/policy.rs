//! The signed part: which sites there are, and what each register may do at them.
//!
//! It says who may lead a register, never who leads it now: configuration is minutes old.

use super::access::ServiceAccess;
use super::class::{Class, Forbidden, Jurisdiction, Role, Use, judge};
use crate::id::{ClientId, ServerId};
use std::time::Duration;

/// What an instance has decided about its sites and registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Grows with every change; a lower one than was seen before is refused.
    pub generation: u64,
    /// Where copies, doors and relays are.
    pub sites: Vec<Site>,
    /// The registers that have more than one door, or may not have one.
    pub registers: Vec<Register>,
    /// Who may order a change of authority.
    pub operators: Vec<Operator>,
}

/// A place where the state keeps servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name, such as `lux1`.
    pub id: String,
    /// What it is there for.
    pub role: Role,
    /// Whose law holds there.
    pub jurisdiction: Jurisdiction,
    /// The security servers that stand there.
    pub servers: Vec<ServerId>,
    /// Where the sites' own listener answers: `host:port`, the first that answers serves.
    pub relay: Vec<String>,
}

/// A register: one subsystem that is served from several sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The subsystem.
    pub id: ClientId,
    /// How sensitive it is.
    pub class: Class,
    /// Which of its services read and which write, where the method does not say it.
    pub services: Vec<ServiceAccess>,
    /// Sites that may lead it, home first: the first leads until an order says otherwise.
    pub succession: Vec<String>,
    /// Sites that hold a copy in use; `None` for all where a server has the subsystem.
    pub live: Option<Vec<String>>,
    /// How old what a read sees may be, where the reader does not say.
    pub staleness: Duration,
    /// How old it may be whatever the reader says.
    pub staleness_max: Duration,
    /// Sites and the hundredths of reads each should get while all are well.
    pub read_shares: Vec<(String, u8)>,
    /// How often copies are refreshed.
    pub refresh: Duration,
}

/// Someone whose signature changes a register's authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Who it is, for people.
    pub name: String,
    /// The Ed25519 public key.
    pub key: [u8; 32],
}

/// A policy that does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {reason}")]
pub struct PolicyError {
    /// Which entry, such as `site lux1`.
    pub entry: String,
    /// What was expected and what came.
    pub reason: String,
}

impl Policy {
    /// What is decided about a register; `None` for a subsystem that is none.
    #[must_use]
    pub fn register(&self, id: &ClientId) -> Option<&Register> {
        self.registers.iter().find(|r| r.id == *id)
    }

    /// A site by its name.
    #[must_use]
    pub fn site(&self, id: &str) -> Option<&Site> {
        self.sites.iter().find(|s| s.id == id)
    }

    /// The site at which a server stands.
    #[must_use]
    pub fn site_of(&self, server: &ServerId) -> Option<&Site> {
        self.sites.iter().find(|s| s.servers.contains(server))
    }
}

impl Register {
    /// The site that leads while no order has said otherwise.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.succession.first().map(String::as_str)
    }

    /// Whether a copy in use is meant to be at a site, if its class allows it.
    #[must_use]
    pub fn is_live_at(&self, site: &str) -> bool {
        self.live.as_ref().is_none_or(|live| live.iter().any(|named| named == site))
    }

    /// Judges whether this register may be used so at `site`.
    ///
    /// # Errors
    /// [`Forbidden`] says why not.
    pub fn may(&self, what: Use, site: &Site) -> Result<(), Forbidden> {
        let is_named = match what {
            Use::Copy => self.live.as_ref().is_some_and(|live| live.contains(&site.id)),
            Use::Relay => false,
            Use::Authority => self.succession.contains(&site.id),
        };
        judge(self, what, site, is_named)
    }
}
