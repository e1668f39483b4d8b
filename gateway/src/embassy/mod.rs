//! Home or embassy: what this gateway knows of the copies of the registers it serves or asks.
//!
//! | file | what it holds |
//! |---|---|
//! | [`staleness`] | how old our own copies are |
//! | [`source`], [`postgres`] | who is asked for it |
//! | [`asked`] | orders that an operator leaves at a running gateway |
//! | [`authority`] | who leads which register; writes between check and register |
//! | [`doors`] | which doors of others are up, and to which a call is brought |
//! | [`pins`] | where an operator sends reads by hand |
//! | [`probe`] | how a door is: asked, and answered |
//! | [`port`] | whether the port for other gateways stands open |
//! | [`registers`] | whether the registers behind this gateway answer |
//! | [`exchange`] | who leads is told from site to site |
//! | [`mod@switch`] | authority passes from site to site |
//! | [`relay`] | a call is passed on to the site that leads |
//! | [`once`] | calls that were let in, so that none is executed twice |
//! | [`wire`] | what sites say to each other |

pub mod asked;
pub mod authority;
pub mod doors;
pub mod exchange;
pub mod once;
pub mod pins;
pub mod port;
pub mod postgres;
pub mod probe;
pub mod registers;
pub mod relay;
pub mod source;
pub mod staleness;
pub mod switch;
pub mod wire;

use authority::{Authority, AuthorityError};
use doors::Doors;
use exchange::Rounds;
use once::Calls;
use port::Port;
use registers::Registers;
use saatkond_proto::continuity::authority::Token;
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::time::UnixTime;
use source::Databases;
use staleness::Ages;
use std::path::Path;
use std::time::Duration;

/// What is known of sites and copies at this moment. Its parts lock for themselves.
#[derive(Debug)]
pub struct Embassy {
    /// How old our own copies are.
    pub ages: Ages,
    /// Connections over which they are asked.
    pub databases: Databases,
    /// Who leads which register.
    pub authority: Authority,
    /// Which doors of others are up.
    pub doors: Doors,
    /// Whether the registers behind this gateway answer.
    pub registers: Registers,
    /// Whether the port for other gateways stands open.
    pub port: Port,
    /// When other sites were asked, and which answered.
    pub rounds: Rounds,
    /// Calls that were let in.
    pub calls: Calls,
}

/// The site that leads a register now, as far as this one knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub site: String,
    /// With which token.
    pub token: Token,
    /// Whether `server` stands there.
    pub is_us: bool,
}

impl Embassy {
    /// Opens what is kept in the directory `authority`; `heard` are the calls that the message log has recorded lately.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn open(authority: &Path, heard: Vec<(UnixTime, Mark)>) -> Result<Self, AuthorityError> {
        Ok(Self {
            ages: Ages::default(),
            databases: Databases::default(),
            authority: Authority::open(authority)?,
            doors: Doors::default(),
            registers: Registers::default(),
            port: Port::default(),
            rounds: Rounds::default(),
            calls: Calls::heard(heard),
        })
    }

    /// Who leads a register, seen from `server`; `None` for what is no register, and where nobody may lead.
    #[must_use]
    pub fn holder(&self, conf: &GlobalConf, server: &ServerId, register: &ClientId) -> Option<Holder> {
        let policy = conf.continuity()?;
        let lead = self.authority.lead(policy, policy.register(register)?).ok()?;
        let is_us = policy.site_of(server).is_some_and(|site| site.id == lead.site);
        Some(Holder { site: lead.site, token: lead.token, is_us })
    }

    /// How old our copy of a register is now; `None` where that is not known, which is beyond every bound.
    #[must_use]
    pub fn staleness(&self, register: &ClientId) -> Option<Duration> {
        self.ages.of(register)
    }
}
