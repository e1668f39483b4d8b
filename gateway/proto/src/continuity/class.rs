//! What a class of data allows where: a table, and nothing else.

use super::policy::{Register, Site};
use crate::id::ClientId;
use std::fmt;

/// How sensitive a register is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Everybody may read it anyway: a state gazette.
    Public,
    /// The state's own: a business register, a cadastre.
    Internal,
    /// About people: population, health, pensions.
    Restricted,
    /// Never leaves the territory.
    HomeOnly,
}

/// What a site is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A data centre at home.
    Home,
    /// A data embassy.
    Embassy,
    /// An ordinary embassy building.
    Mission,
    /// A public cloud.
    Cloud,
}

/// Whose law holds at a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Jurisdiction {
    /// The state's own territory.
    Territory,
    /// Inviolable abroad, by a treaty made for it.
    EmbassyAgreement {
        /// The host country.
        host: String,
        /// The treaty.
        treaty: String,
    },
    /// Inviolable abroad, as diplomatic missions are.
    Mission {
        /// The host country.
        host: String,
    },
    /// Somebody's data centre.
    Commercial {
        /// Where.
        region: String,
    },
}

/// What is done with a register at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// A copy in plain text that answers reads.
    Copy,
    /// Calls pass through in plain text.
    Relay,
    /// The copy that takes writes.
    Authority,
}

/// Why a register's class forbids a use at a site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("register {register} is {class}: {what} at site {site} ({jurisdiction}) is forbidden; {rule}")]
pub struct Forbidden {
    /// The register.
    pub register: Box<ClientId>,
    /// Its class.
    pub class: Class,
    /// What is forbidden.
    pub what: Use,
    /// The site.
    pub site: String,
    /// Whose law holds there.
    pub jurisdiction: Jurisdiction,
    /// What would have to be, for people.
    pub rule: &'static str,
}

/// What the table says of a use at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Allowed.
    Yes,
    /// Allowed at the sites that the register names for it.
    IfNamed,
    /// Allowed by mandate; until one is given, forbidden.
    ByMandate,
    /// Forbidden, whoever says otherwise.
    No,
}

/// The table.
///
/// An embassy by agreement is as inviolable as the territory and holds a data centre; a mission is inviolable too, and
/// holds none: calls may pass through it, plain copies of what is not public may not lie there.
#[must_use]
pub const fn ruling(class: Class, what: Use, place: &Jurisdiction) -> Ruling {
    use Jurisdiction::{Commercial, EmbassyAgreement, Mission, Territory};
    match (class, what, place) {
        (_, _, Territory) | (Class::Public, Use::Copy | Use::Relay, _) => Ruling::Yes,
        (Class::HomeOnly, _, _) | (_, Use::Authority, Commercial { .. }) => Ruling::No,
        (Class::Public, Use::Authority, EmbassyAgreement { .. } | Mission { .. }) => Ruling::Yes,
        (Class::Internal, _, EmbassyAgreement { .. }) | (Class::Internal, Use::Relay, Mission { .. }) => {
            Ruling::Yes
        }
        (Class::Restricted, Use::Relay, EmbassyAgreement { .. }) => Ruling::Yes,
        (Class::Restricted, Use::Copy, EmbassyAgreement { .. }) => Ruling::IfNamed,
        (Class::Restricted, Use::Authority, EmbassyAgreement { .. }) => Ruling::ByMandate,
        (Class::Internal | Class::Restricted, _, Mission { .. } | Commercial { .. }) => Ruling::No,
    }
}

/// Judges a use by the table. `is_named` says that the register names this site for it.
pub(super) fn judge(register: &Register, what: Use, site: &Site, is_named: bool) -> Result<(), Forbidden> {
    let rule = match ruling(register.class, what, &site.jurisdiction) {
        Ruling::Yes => return Ok(()),
        Ruling::IfNamed if is_named => return Ok(()),
        Ruling::IfNamed => "only a site that the register's `live` names may have it",
        Ruling::ByMandate => "only a mandate could allow it",
        Ruling::No => "no rule allows it",
    };
    Err(Forbidden {
        register: Box::new(register.id.clone()),
        class: register.class,
        what,
        site: site.id.clone(),
        jurisdiction: site.jurisdiction.clone(),
        rule,
    })
}

impl Class {
    /// All of them, the most open first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Restricted, Self::HomeOnly];

    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Internal => "INTERNAL",
            Self::Restricted => "RESTRICTED",
            Self::HomeOnly => "HOME_ONLY",
        }
    }

    /// Reads what [`Class::text`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.text() == text)
    }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Home, Self::Embassy, Self::Mission, Self::Cloud];

    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Embassy => "embassy",
            Self::Mission => "mission",
            Self::Cloud => "cloud",
        }
    }

    /// Reads what [`Role::text`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }
}

impl Jurisdiction {
    /// Reads a tag as it is displayed: `territory`, `embassy-agreement:<host>:<treaty>`, `mission:<host>`,
    /// `commercial:<region>`; no part may be empty.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(3, ':').collect();
        if parts.iter().any(|part| part.trim().is_empty()) {
            return None;
        }
        match *parts.as_slice() {
            ["territory"] => Some(Self::Territory),
            ["embassy-agreement", host, treaty] => {
                Some(Self::EmbassyAgreement { host: host.to_owned(), treaty: treaty.to_owned() })
            }
            ["mission", host] => Some(Self::Mission { host: host.to_owned() }),
            ["commercial", region] => Some(Self::Commercial { region: region.to_owned() }),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Territory => f.write_str("territory"),
            Self::EmbassyAgreement { host, treaty } => write!(f, "embassy-agreement:{host}:{treaty}"),
            Self::Mission { host } => write!(f, "mission:{host}"),
            Self::Commercial { region } => write!(f, "commercial:{region}"),
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "a copy in use",
            Self::Relay => "passing calls on",
            Self::Authority => "authority",
        })
    }
}
