//! Authority passes from site to site.
//!
//! ```text
//! planned     the one that leads: writes wait → those in flight end → the copy there holds all of them
//!             → order promised on our disk → taken there → in force here → waiting writes go there
//! unplanned   taken at the site that shall lead → here → told to all others
//! ```
//!
//! Until the order may have left, a planned change that fails changes nothing: the writes that waited go on here. After
//! that it only goes forward: two sites that both write would be worse than a moment in which none does.

use super::authority::AuthorityError;
use super::exchange::{self, AskedError, our_site};
use super::wire::{self, Heard};
use crate::Gateway;
use crate::net::pool::AskError;
use crate::net::sites::SiteError;
use crate::world::World;
use saatkond_proto::continuity::authority::{Claim, Switch, Warrant, WarrantError};
use saatkond_proto::continuity::{Policy, Site};
use saatkond_proto::id::ClientId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long writes may wait before a planned change gives up; what follows is one more question to the other site.
const WAIT_MAX: Duration = Duration::from_millis(1200);
/// How old the other copy may be before writes are let wait at all.
const BEHIND_MAX: Duration = Duration::from_secs(30);
/// Between two questions how old the other copy is.
const LOOK: Duration = Duration::from_millis(20);
/// How long a whole change may take, as whoever asks for it waits.
pub const SWITCH_MAX: Duration = Duration::from_secs(15);

/// A change of authority that was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switched {
    /// Milliseconds that writes waited; 0 for an unplanned change.
    pub waited_ms: u64,
    /// Sites that know of it.
    pub told: Vec<String>,
    /// Sites that do not know of it yet, and why.
    pub untold: Vec<(String, String)>,
}

/// A change of authority that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// This server stands at no site.
    #[error("this server stands at no site of the instance's continuity part")]
    NoSite,
    /// The order does not hold, or was not kept.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The site leads already.
    #[error("site {site} leads already")]
    Leads {
        /// Which.
        site: String,
    },
    /// Another site leads.
    #[error("site {lead} leads: ask there")]
    NotHere {
        /// Which.
        lead: String,
    },
    /// Another site cannot be asked, or refuses.
    #[error(transparent)]
    Asked(#[from] AskedError),
    /// The other site does not take the order.
    #[error("site {site} does not take the order: {why}")]
    NotTaken {
        /// Which.
        site: String,
        /// What it said.
        why: String,
    },
    /// Another change is under way.
    #[error("another change of authority of {register} is under way")]
    UnderWay {
        /// Of which register.
        register: Box<ClientId>,
    },
    /// Nobody knows how old the other copy is.
    #[error("the copy at site {site} cannot tell how old it is, so it is not known when it holds all writes")]
    AgeUnknown {
        /// Where.
        site: String,
    },
    /// The other copy is too old, or did not catch up.
    #[error("the copy at site {site} is {age:?} old, and did not come to hold all writes within {allowed:?}")]
    Behind {
        /// Where.
        site: String,
        /// How old it is.
        age: Duration,
        /// How long it had.
        allowed: Duration,
    },
    /// Writes did not end.
    #[error("{writes} writes did not end within {allowed:?}")]
    InFlight {
        /// How many.
        writes: u32,
        /// How long they had.
        allowed: Duration,
    },
}

/// Makes a change of authority, by a warrant that says how; a planned one where the register is led.
///
/// # Errors
/// [`SwitchError`]: nothing has changed.
///
/// # Cancel safety
/// None: run it as a task of its own.
pub async fn switch(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    warrant: &Warrant,
) -> Result<Switched, SwitchError> {
    let policy = world.conf.continuity().ok_or(SwitchError::NoSite)?;
    let us = our_site(gateway, policy).ok_or(SwitchError::NoSite)?;
    gateway.embassy.authority.judge(policy, warrant).map_err(AuthorityError::from)?;
    if warrant.claim().switch == Switch::Unplanned {
        return unplanned(gateway, world, (policy, us), warrant).await;
    }
    let lead = lead(gateway, policy, warrant)?;
    if lead == us.id {
        return planned(gateway, world, (policy, us), warrant).await;
    }
    let (holder, order) = (site(policy, &lead, &warrant.claim().register)?, warrant.to_text());
    Ok(exchange::say(gateway, world, holder, (wire::SWITCH, &order), SWITCH_MAX).await?)
}

/// Makes a planned change of what this site leads; another site asks for it.
///
/// # Errors
/// As [`switch`].
///
/// # Cancel safety
/// As [`switch`].
pub async fn here(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    warrant: &Warrant,
) -> Result<Switched, SwitchError> {
    let policy = world.conf.continuity().ok_or(SwitchError::NoSite)?;
    let us = our_site(gateway, policy).ok_or(SwitchError::NoSite)?;
    gateway.embassy.authority.judge(policy, warrant).map_err(AuthorityError::from)?;
    let lead = lead(gateway, policy, warrant)?;
    if lead != us.id || warrant.claim().switch != Switch::Planned {
        return Err(SwitchError::NotHere { lead });
    }
    planned(gateway, world, (policy, us), warrant).await
}

fn lead(gateway: &Gateway, policy: &Policy, warrant: &Warrant) -> Result<String, SwitchError> {
    let id = &warrant.claim().register;
    let unknown = || WarrantError::UnknownRegister { register: Box::new(id.clone()) };
    let register = policy.register(id).ok_or_else(unknown).map_err(AuthorityError::from)?;
    Ok(gateway.embassy.authority.lead(policy, register).map_err(AuthorityError::from)?.site)
}

async fn planned(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    (policy, us): (&Policy, &Site),
    warrant: &Warrant,
) -> Result<Switched, SwitchError> {
    let Claim { register: id, site: to, .. } = warrant.claim();
    if *to == us.id {
        return Err(SwitchError::Leads { site: to.clone() });
    }
    let to = site(policy, to, id)?;
    let age = exchange::age(gateway, world, to, id).await?;
    let age = age.ok_or_else(|| SwitchError::AgeUnknown { site: to.id.clone() })?;
    if age > BEHIND_MAX {
        return Err(SwitchError::Behind { site: to.id.clone(), age, allowed: BEHIND_MAX });
    }
    let began = Instant::now();
    let drain = gateway.embassy.authority.drain(id);
    let drain = drain.ok_or_else(|| SwitchError::UnderWay { register: Box::new(id.clone()) })?;
    if !drain.is_dry(began + WAIT_MAX / 2).await {
        let (writes, _) = gateway.embassy.authority.under_way(id);
        return Err(SwitchError::InFlight { writes, allowed: WAIT_MAX / 2 });
    }
    holds_all(gateway, world, to, id, (Instant::now(), began + WAIT_MAX)).await?;
    hand_over(gateway, world, policy, to, warrant).await?;
    drop(drain);
    let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let rest = tell_others(gateway, world, (policy, us), warrant, &to.id).await;
    Ok(Switched { waited_ms, ..rest })
}

/// Waits until the copy at a site holds everything written before `dry`.
async fn holds_all(
    gateway: &Gateway,
    world: &World,
    to: &Site,
    register: &ClientId,
    (dry, until): (Instant, Instant),
) -> Result<(), SwitchError> {
    loop {
        let asked = Instant::now();
        let age = exchange::age(gateway, world, to, register).await?;
        let age = age.ok_or_else(|| SwitchError::AgeUnknown { site: to.id.clone() })?;
        // It was as the register is now less than `age` before it answered, which was after we asked.
        if age <= asked.saturating_duration_since(dry) {
            return Ok(());
        }
        if Instant::now() + LOOK >= until {
            return Err(SwitchError::Behind { site: to.id.clone(), age, allowed: WAIT_MAX });
        }
        sleep(LOOK).await;
    }
}

/// Promises the order, has it taken at the other site, and takes it here.
async fn hand_over(
    gateway: &Gateway,
    world: &World,
    policy: &Policy,
    to: &Site,
    warrant: &Warrant,
) -> Result<(), SwitchError> {
    let authority = &gateway.embassy.authority;
    authority.promise(warrant).await?;
    let refused = match exchange::tell(gateway, world, to, warrant).await {
        Ok(Heard { stands: true, .. }) => None,
        Ok(Heard { why, .. }) => {
            Some(SwitchError::NotTaken { site: to.id.clone(), why: why.unwrap_or_default() })
        }
        Err(error) if is_untouched(&error) => Some(error.into()),
        Err(error) => {
            tracing::warn!(site = to.id, %error, "whether the site took the order is not known: it is told again");
            None
        }
    };
    if let Some(refused) = refused {
        authority.withdraw(warrant).await?;
        return Err(refused);
    }
    authority.adopt(policy, warrant).await?;
    Ok(())
}

/// Whether the site certainly did not hear what it was told.
fn is_untouched(error: &AskedError) -> bool {
    match error {
        AskedError::Refused { .. } => true,
        AskedError::Site(error) => !matches!(
            error,
            SiteError::Ask { source: AskError::Broken(_), .. }
                | SiteError::Body { .. }
                | SiteError::Late { .. }
        ),
        AskedError::Unreadable { .. } => false,
    }
}

async fn unplanned(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    (policy, us): (&Policy, &Site),
    warrant: &Warrant,
) -> Result<Switched, SwitchError> {
    let Claim { register, site: to, .. } = warrant.claim();
    if *to != us.id {
        let to = site(policy, to, register)?;
        let heard = exchange::tell(gateway, world, to, warrant).await?;
        if !heard.stands {
            let why = heard.why.unwrap_or_default();
            return Err(SwitchError::NotTaken { site: to.id.clone(), why });
        }
    }
    gateway.embassy.authority.adopt(policy, warrant).await?;
    Ok(tell_others(gateway, world, (policy, us), warrant, to).await)
}

/// Tells all other sites at once; they would hear of it within a second.
async fn tell_others(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    (policy, us): (&Policy, &Site),
    warrant: &Warrant,
    knows: &str,
) -> Switched {
    let mut telling = JoinSet::new();
    let is_asked = |site: &&Site| site.id != us.id && site.id != knows && !site.relay.is_empty();
    for site in policy.sites.iter().filter(is_asked).cloned() {
        let (gateway, world, warrant) = (Arc::clone(gateway), Arc::clone(world), warrant.clone());
        telling.spawn(async move {
            let told = exchange::tell(&gateway, &world, &site, &warrant).await;
            (site.id, told)
        });
    }
    let mut switched = Switched { told: vec![us.id.clone()], ..Switched::default() };
    if knows != us.id {
        switched.told.push(knows.to_owned());
    }
    while let Some(told) = telling.join_next().await {
        match told {
            Ok((site, Ok(Heard { stands: true, .. }))) => switched.told.push(site),
            Ok((site, Ok(heard))) => switched.untold.push((site, heard.why.unwrap_or_default())),
            Ok((site, Err(error))) => switched.untold.push((site, error.to_string())),
            Err(error) => tracing::error!(%error, "telling a site of an order panicked"),
        }
    }
    switched.told.sort_unstable();
    switched
}

fn site<'a>(policy: &'a Policy, id: &str, register: &ClientId) -> Result<&'a Site, SwitchError> {
    let outside =
        || WarrantError::OutsideSuccession { site: id.to_owned(), register: Box::new(register.clone()) };
    Ok(policy.site(id).ok_or_else(outside).map_err(AuthorityError::from)?)
}
