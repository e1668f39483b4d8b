//! Who leads is told from site to site: each second, and before a site takes its first write.
//!
//! A site that was away must not write by what it knew before it left. So a write waits until the other sites have been
//! asked, within `START_MAX`; those that do not answer by then are not waited for. That is so after a start, and after
//! any time in which no round was made: the process may have stood still.

use super::authority::AuthorityError;
use super::wire::{self, Age, Compared, Heard, Known, SAID_BYTES_MAX, Said, Tokens};
use crate::Gateway;
use crate::net::sites::{self, SiteError};
use crate::world::World;
use saatkond_proto::continuity::authority::{Warrant, WarrantError};
use saatkond_proto::continuity::{Policy, Register, Site};
use saatkond_proto::id::ClientId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long one site may take to answer in a round.
pub const ANSWER_MAX: Duration = Duration::from_millis(1500);
/// How long the first write after a start waits for other sites.
const START_MAX: Duration = Duration::from_secs(3);
/// How long a round counts: longer than two of them take when a site does not answer.
const FRESH: Duration = Duration::from_secs(4);
/// How long a site that did not answer is not asked again for the sake of a call.
const AWAY: Duration = Duration::from_secs(2);
/// How long a site may owe its answer in a round before it counts as not reached.
const SILENCE: Duration = Duration::from_millis(750);
/// Between two rounds of a start.
const PAUSE: Duration = Duration::from_millis(100);

/// When other sites were asked, and which answered.
#[derive(Debug, Default)]
pub struct Rounds {
    state: Mutex<State>,
    /// Held while a round is made that writes wait for.
    running: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// When the round began that is under way.
    begun: Option<Instant>,
    ended: Option<Instant>,
    reached: HashMap<String, (Instant, Result<(), String>)>,
}

/// Something that another site was asked and did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskedError {
    /// It was not asked, or did not answer.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It refused.
    #[error("site {site} refused with status {status}: {why}")]
    Refused {
        /// Which.
        site: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        why: String,
    },
    /// What it said cannot be read.
    #[error("the answer of site {site} cannot be read: {source}")]
    Unreadable {
        /// Which.
        site: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Rounds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self) -> bool {
        self.state().ended.is_some_and(|ended| ended.elapsed() < FRESH)
    }

    /// Why a site did not answer when it was asked a moment ago; `None` where it did, or may by now.
    #[must_use]
    pub fn is_away(&self, site: &str) -> Option<String> {
        let state = self.state();
        let (at, reached) = state.reached.get(site)?;
        reached.as_ref().err().filter(|_| at.elapsed() < AWAY).cloned()
    }

    /// Whether a site answered when it was last asked, and owes no answer for long; one that was never asked may be there.
    #[must_use]
    pub fn is_reached(&self, site: &str) -> bool {
        let state = self.state();
        state.reached.get(site).is_none_or(|(at, reached)| {
            let owes = state.begun.is_some_and(|begun| *at < begun && begun.elapsed() > SILENCE);
            reached.is_ok() && !owes
        })
    }
}

/// The other sites that can be asked: those with an address.
fn others<'a>(policy: &'a Policy, us: &'a str) -> impl Iterator<Item = &'a Site> {
    policy.sites.iter().filter(move |site| site.id != us && !site.relay.is_empty())
}

/// Our own site; `None` where this server stands at none.
#[must_use]
pub fn our_site<'a>(gateway: &Gateway, policy: &'a Policy) -> Option<&'a Site> {
    policy.site_of(&gateway.conf.server)
}

/// Waits until other sites have told who leads, if they were not asked a moment ago.
///
/// # Cancel safety
/// A dropped call loses nothing.
pub async fn settle(gateway: &Arc<Gateway>, world: &Arc<World>) {
    let rounds = &gateway.embassy.rounds;
    if rounds.is_fresh() {
        return;
    }
    let _running = rounds.running.lock().await;
    if rounds.is_fresh() {
        return;
    }
    let is_start = rounds.state().ended.is_none();
    let until = Instant::now() + START_MAX;
    loop {
        let all = round(gateway, world).await;
        if all || !is_start || Instant::now() + PAUSE >= until {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Makes a round when the last ended a second ago and none is under way.
///
/// # Cancel safety
/// A dropped call loses nothing.
pub async fn each_second(gateway: &Arc<Gateway>, world: &Arc<World>) {
    let rounds = &gateway.embassy.rounds;
    let is_due = rounds.state().ended.is_none_or(|ended| ended.elapsed() >= Duration::from_secs(1));
    if let Ok(_running) = rounds.running.try_lock()
        && is_due
    {
        round(gateway, world).await;
    }
}

/// Asks all other sites who leads, and tells them; whether all that matter answered: those that may lead something.
pub async fn round(gateway: &Arc<Gateway>, world: &Arc<World>) -> bool {
    let Some(policy) = world.conf.continuity() else { return true };
    let Some(us) = our_site(gateway, policy) else { return true };
    gateway.embassy.rounds.state().begun = Some(Instant::now());
    let mut asking = JoinSet::new();
    for site in others(policy, &us.id).cloned() {
        let (gateway, world) = (Arc::clone(gateway), Arc::clone(world));
        asking.spawn(async move {
            let compared = compare(&gateway, &world, &site).await;
            (site.id, compared.map_err(|error| error.to_string()))
        });
    }
    let mut all = true;
    while let Some(asked) = asking.join_next().await {
        let Ok((site, reached)) = asked else { continue };
        let leads = |register: &Register| register.succession.contains(&site);
        all &= reached.is_ok() || !policy.registers.iter().any(leads);
        note(&gateway.embassy.rounds, site, reached);
    }
    let mut state = gateway.embassy.rounds.state();
    (state.begun, state.ended) = (None, Some(Instant::now()));
    drop(state);
    all
}

fn note(rounds: &Rounds, site: String, reached: Result<(), String>) {
    let mut state = rounds.state();
    let before = state.reached.get(&site);
    if before.map(|(_, reached)| reached.is_ok()) != Some(reached.is_ok()) {
        match &reached {
            Ok(()) => tracing::info!(site, "site is reached"),
            Err(error) => tracing::warn!(site, error, "site is not reached"),
        }
    }
    state.reached.insert(site, (Instant::now(), reached));
}

/// Compares tokens with one site: takes what stands above ours, tells what it does not know.
async fn compare(gateway: &Gateway, world: &World, site: &Site) -> Result<(), AskedError> {
    let Some(policy) = world.conf.continuity() else { return Ok(()) };
    let warrants = policy.registers.iter().filter_map(|r| gateway.embassy.authority.warrant(&r.id));
    let known = warrants.map(|w| (w.claim().register.to_path(), Known::by(Some(&w)))).collect();
    let compared: Compared = say(gateway, world, site, (wire::TOKENS, &Tokens { known }), ANSWER_MAX).await?;
    for order in &compared.orders {
        if let Err(error) = take(gateway, policy, order).await {
            tracing::warn!(site = site.id, %error, "order of another site not taken");
        }
    }
    for register in compared.wanted.iter().filter_map(|path| ClientId::from_path(path).ok()) {
        let Some(warrant) = gateway.embassy.authority.warrant(&register) else { continue };
        let heard = tell(gateway, world, site, &warrant).await?;
        if let Some(why) = heard.why.filter(|_| !heard.stands) {
            tracing::warn!(site = site.id, %register, why, "site does not take an order");
        }
    }
    Ok(())
}

/// Takes an order that another site told. One that does not stand above ours changes nothing, and is no error.
///
/// # Errors
/// [`AuthorityError`].
pub async fn take(gateway: &Gateway, policy: &Policy, order: &str) -> Result<(), AuthorityError> {
    let warrant = Warrant::from_text(order)?;
    match gateway.embassy.authority.adopt(policy, &warrant).await {
        Ok(_) | Err(AuthorityError::Refused(WarrantError::NotHigher { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What we know better than another site, and what it knows better than we.
#[must_use]
pub fn compared(gateway: &Gateway, policy: &Policy, theirs: &Tokens) -> Compared {
    let mut compared = Compared::default();
    for register in &policy.registers {
        let (ours, theirs) = (gateway.embassy.authority.warrant(&register.id), theirs.of(&register.id));
        let known = Known::by(ours.as_ref());
        if known == theirs {
            continue;
        }
        // Of two orders with one token both are looked at.
        if known.token >= theirs.token {
            compared.orders.extend(ours.map(|warrant| warrant.to_text()));
        }
        if theirs.token >= known.token {
            compared.wanted.push(register.id.to_path());
        }
    }
    compared
}

/// Tells a site an order.
///
/// # Errors
/// [`AskedError`].
pub async fn tell(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    warrant: &Warrant,
) -> Result<Heard, AskedError> {
    say(gateway, world, site, (wire::ORDER, &warrant.to_text()), ANSWER_MAX).await
}

/// Asks a site how old its copy of a register is; `None` where it does not know.
///
/// # Errors
/// [`AskedError`].
pub async fn age(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    register: &ClientId,
) -> Result<Option<Duration>, AskedError> {
    let age: Age = say(gateway, world, site, (wire::AGE, &register.to_path()), ANSWER_MAX).await?;
    Ok(age.millis.map(Duration::from_millis))
}

/// Says something to a site and reads its answer.
///
/// # Errors
/// [`AskedError`].
pub async fn say<T: Serialize + Sync, A: DeserializeOwned>(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    (path, said): (&str, &T),
    allowed: Duration,
) -> Result<A, AskedError> {
    let auth = world.auth(gateway.now()).map_err(SiteError::from)?;
    let said = Said { statuses: wire::statuses(&auth.responses), said };
    let unreadable = |source| AskedError::Unreadable { site: site.id.clone(), source };
    let body = serde_json::to_vec(&said).map_err(unreadable)?;
    debug_assert!(body.len() <= SAID_BYTES_MAX, "a site would not read it");
    let answer = sites::ask(gateway, world, site, (path, &body), allowed).await?;
    if answer.status != 200 {
        let why = String::from_utf8_lossy(answer.body.get(..500).unwrap_or(&answer.body)).into_owned();
        return Err(AskedError::Refused { site: site.id.clone(), status: answer.status, why });
    }
    serde_json::from_slice(&answer.body).map_err(unreadable)
}
