//! What is known of the doors of registers, and to which of them a call is brought.
//!
//! Reads go to sites with a copy that are in rotation, by their shares; writes to the doors of the site that leads the
//! register, and nowhere else. When nothing is up a call is refused at once, but for one each second that tries: calls are
//! never sprayed over doors because all seem down.
//!
//! Who leads is believed from hints that the doors give when they are asked how they are. A hint decides only where a write
//! is brought first: whether it is taken there decides the door.

mod view;

pub use view::{DoorView, RegisterView, SiteView};

use super::access::Access;
use super::class::Use;
use super::health::{Breaker, BreakerRules, Pace, Pulse};
use super::policy::{Policy, Register};
use super::route::{Budget, Candidate, Rotation, pick, spread};
use crate::id::{ClientId, ServerId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Three failures in a row keep calls away; one each second tries.
const RULES: BreakerRules = BreakerRules { failures: 3, pause: Duration::from_secs(1) };
/// How long a hint counts as present.
const HINT_FRESH: Duration = Duration::from_secs(5);
/// How long after its last call a register's doors are asked how they are.
const WATCHED: Duration = Duration::from_secs(300);

//------------ Layout --------------------------------------------------------

/// Where a register is served, the preferred site first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The sites.
    pub sites: Vec<SiteLayout>,
}

/// A register at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteLayout {
    /// The site.
    pub site: String,
    /// Its servers on which the register is.
    pub doors: Vec<ServerId>,
    /// Its share of reads.
    pub share: u32,
    /// Whether it may answer reads.
    pub has_copy: bool,
    /// Whether it may lead.
    pub may_lead: bool,
}

impl Layout {
    /// What a policy says of a register that is on these servers: the succession first, then the other sites. A server that
    /// stands at no site of the policy, or where the register's class forbids it, is no door.
    #[must_use]
    pub fn of<'a>(
        policy: &Policy,
        register: &Register,
        servers: impl Iterator<Item = &'a ServerId> + Clone,
    ) -> Self {
        let in_order = register.succession.iter().filter_map(|id| policy.site(id));
        let others = policy.sites.iter().filter(|site| !register.succession.contains(&site.id));
        let share =
            |id: &str| register.read_shares.iter().find(|(site, _)| site == id).map(|(_, share)| *share);
        let layout = in_order.chain(others).map(|site| SiteLayout {
            site: site.id.clone(),
            doors: servers.clone().filter(|server| site.servers.contains(server)).cloned().collect(),
            share: share(&site.id).map_or(0, u32::from),
            has_copy: register.live.as_ref().is_none_or(|live| live.contains(&site.id))
                && register.may(Use::Copy, site).is_ok(),
            may_lead: register.succession.contains(&site.id) && register.may(Use::Authority, site).is_ok(),
        });
        let useful = |site: &SiteLayout| !site.doors.is_empty() && (site.has_copy || site.may_lead);
        Self { sites: layout.filter(useful).collect() }
    }

    fn site(&self, id: &str) -> Option<&SiteLayout> {
        self.sites.iter().find(|site| site.site == id)
    }

    fn site_of(&self, door: &ServerId) -> Option<&SiteLayout> {
        self.sites.iter().find(|site| site.doors.contains(door))
    }
}

//------------ what is told --------------------------------------------------

/// What a door says of a register when it is asked how it is. A hint, no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The site that leads, as far as the door knows.
    pub holder: String,
    /// The token of that authority.
    pub token: u64,
    /// How old its copy is, if that is known.
    pub staleness: Option<Duration>,
    /// Whether it would answer reads.
    pub reads: bool,
    /// Whether it would take writes.
    pub writes: bool,
}

/// Why no call is brought to a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// It has been silent for longer than it ever is.
    Silent,
    /// It refuses connections, or breaks them.
    Refuses,
    /// It says itself that it does not answer reads.
    Declines,
    /// Calls of this kind fail there.
    Fails,
}

impl Trouble {
    /// For people, after a door's name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Silent => "is silent",
            Self::Refuses => "is not reached",
            Self::Declines => "does not answer reads at present",
            Self::Fails => "fails",
        }
    }
}

/// Why a call is brought nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Shut {
    /// No site may do this.
    #[error("{0}")]
    Nobody(&'static str),
    /// No copy answers.
    #[error("no copy of the register is reached ({})", listed(.0))]
    NoCopy(Vec<(String, Trouble)>),
    /// The site that leads is not reached, and nobody else may take a write.
    #[error("{site} leads the register and is not reached ({}); nobody else takes writes until authority is switched", listed(.doors))]
    NoAuthority {
        /// Who leads.
        site: String,
        /// Its doors.
        doors: Vec<(String, Trouble)>,
    },
}

fn listed(doors: &[(String, Trouble)]) -> String {
    doors.iter().map(|(door, why)| format!("{door} {}", why.text())).collect::<Vec<_>>().join(", ")
}

/// A site that left the rotation of a register, or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// The register.
    pub register: ClientId,
    /// The site.
    pub site: String,
    /// Why it left; `None` for one that came back.
    pub why: Option<Trouble>,
}

impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Some(why) => write!(f, "{} {}: reads of {} go elsewhere", self.site, why.text(), self.register),
            None => write!(f, "{} is well: reads of {} go there again", self.site, self.register),
        }
    }
}

//------------ Doors ---------------------------------------------------------

/// All that is known. Bounded by what the policy lists.
#[derive(Debug, Default)]
pub struct Doors {
    pulses: BTreeMap<ServerId, Pulse>,
    registers: BTreeMap<ClientId, Asked>,
}

/// A register that is asked.
#[derive(Debug, Default)]
struct Asked {
    layout: Layout,
    rotations: BTreeMap<String, Rotation>,
    doors: BTreeMap<ServerId, AtDoor>,
    budget: Budget,
    count: u32,
    asked: Option<Duration>,
    /// When a call was last let try although nothing was up.
    tried: Option<Duration>,
}

/// A register at one door.
#[derive(Debug)]
struct AtDoor {
    reads: Calls,
    writes: Calls,
    hint: Option<(Duration, Hint)>,
}

#[derive(Debug)]
struct Calls {
    breaker: Breaker,
    pace: Pace,
}

impl Default for AtDoor {
    fn default() -> Self {
        let calls = || Calls { breaker: Breaker::new(RULES), pace: Pace::default() };
        Self { reads: calls(), writes: calls(), hint: None }
    }
}

impl AtDoor {
    const fn calls(&mut self, access: Access) -> &mut Calls {
        match access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        }
    }

    const fn breaker(&self, access: Access) -> &Breaker {
        match access {
            Access::Read => &self.reads.breaker,
            Access::Write => &self.writes.breaker,
        }
    }
}

impl Doors {
    /// Says where a register is served. What is known of doors that it keeps stays known.
    pub fn lay_out(&mut self, register: &ClientId, layout: &Layout) {
        let asked = self.registers.entry(register.clone()).or_default();
        if asked.layout == *layout {
            return;
        }
        asked.layout = layout.clone();
        asked.doors.retain(|door, _| layout.site_of(door).is_some());
        asked.rotations.retain(|site, _| layout.site(site).is_some());
        for door in layout.sites.iter().flat_map(|site| &site.doors) {
            self.pulses.entry(door.clone()).or_default();
        }
        self.forget_strangers();
    }

    /// Keeps these registers and forgets all others.
    pub fn retain(&mut self, registers: impl Fn(&ClientId) -> bool) {
        self.registers.retain(|register, _| registers(register));
        self.forget_strangers();
    }

    fn forget_strangers(&mut self) {
        let layouts = self.registers.values().flat_map(|asked| &asked.layout.sites);
        let known: BTreeSet<&ServerId> = layouts.flat_map(|site| &site.doors).collect();
        self.pulses.retain(|door, _| known.contains(door));
    }

    /// The doors to which a call is brought, in this order. `preferred` is the site to which an operator pinned the reads.
    ///
    /// # Errors
    /// [`Shut`] when it would reach nobody.
    pub fn choose(
        &mut self,
        at: Duration,
        register: &ClientId,
        access: Access,
        preferred: Option<&str>,
    ) -> Result<Vec<ServerId>, Shut> {
        self.wake(at, register);
        let Some(asked) = self.registers.get_mut(register) else {
            return Err(Shut::Nobody("the register is not known"));
        };
        asked.asked = Some(at);
        asked.budget.called(at);
        match access {
            Access::Read => asked.readers(&self.pulses, at, preferred),
            Access::Write => asked.writers(&self.pulses, at),
        }
    }

    /// The doors of one site that may lead the register: where a door says that it does.
    #[must_use]
    pub fn at_site(&self, register: &ClientId, site: &str) -> Vec<ServerId> {
        let layout = self.registers.get(register).and_then(|asked| asked.layout.site(site));
        layout.filter(|site| site.may_lead).map_or_else(Vec::new, |site| site.doors.clone())
    }

    /// A call was answered; `took` is after which time the answer began, where it was one of the register.
    pub fn answered(
        &mut self,
        at: Duration,
        door: &ServerId,
        of: (&ClientId, Access),
        took: Option<Duration>,
    ) {
        if let Some(pulse) = self.pulses.get_mut(door) {
            pulse.heard(at);
        }
        if let Some(calls) = self.calls(door, of) {
            calls.breaker.succeeded();
            if let Some(took) = took {
                calls.pace.took(took);
            }
        }
    }

    /// A call failed at a door that was reached.
    pub fn failed(&mut self, at: Duration, door: &ServerId, of: (&ClientId, Access)) {
        if let Some(calls) = self.calls(door, of) {
            calls.breaker.failed(at);
        }
    }

    /// A door was not reached, or is not who it must be.
    pub fn missed(&mut self, door: &ServerId) {
        if let Some(pulse) = self.pulses.get_mut(door) {
            pulse.missed();
        }
    }

    /// A door said how it is.
    pub fn told(&mut self, at: Duration, door: &ServerId, hints: Vec<(ClientId, Hint)>) {
        if let Some(pulse) = self.pulses.get_mut(door) {
            pulse.answered(at);
        }
        for (register, hint) in hints {
            if let Some(known) = self.registers.get_mut(&register)
                && known.layout.site_of(door).is_some()
            {
                known.doors.entry(door.clone()).or_default().hint = Some((at, hint));
            }
        }
    }

    /// Nobody was listening for so long.
    pub fn pardon(&mut self, deaf: Duration) {
        self.pulses.values_mut().for_each(|pulse| pulse.pardon(deaf));
    }

    /// Lets what is known take effect without a call: to be done several times a second.
    pub fn look(&mut self, at: Duration) -> Vec<Turned> {
        let pulses = &self.pulses;
        let each = self.registers.iter_mut();
        each.flat_map(|(register, asked)| {
            let turned = asked.look(pulses, at).into_iter();
            turned.map(|(site, why)| Turned { register: register.clone(), site, why })
        })
        .collect()
    }

    /// The doors that shall be asked how they are: those of registers that were called not long ago, each with one of
    /// them.
    #[must_use]
    pub fn watched(&self, at: Duration) -> BTreeMap<ServerId, ClientId> {
        let used = self.registers.iter().filter(|(_, asked)| asked.is_used(at));
        let doors = used.flat_map(|(register, asked)| {
            asked.layout.sites.iter().flat_map(|site| &site.doors).map(move |door| (door, register))
        });
        doors.map(|(door, register)| (door.clone(), register.clone())).collect()
    }

    /// Nobody listened to doors of a register that was not called for long: their silence says nothing.
    fn wake(&mut self, at: Duration, register: &ClientId) {
        let Some(asked) = self.registers.get(register).filter(|asked| !asked.is_used(at)) else { return };
        let watched = self.watched(at);
        for door in asked.layout.sites.iter().flat_map(|site| &site.doors) {
            if let Some(pulse) = self.pulses.get_mut(door).filter(|_| !watched.contains_key(door)) {
                pulse.rest();
            }
        }
    }

    /// Takes one second attempt out of the register's budget, if there is one.
    pub fn takes_second(&mut self, at: Duration, register: &ClientId) -> bool {
        self.registers.get_mut(register).is_none_or(|asked| asked.budget.take(at))
    }

    /// How long an answer from this door may take and be nothing unusual.
    #[must_use]
    pub fn patience(&self, door: &ServerId, register: &ClientId) -> Duration {
        let known = self.registers.get(register).and_then(|asked| asked.doors.get(door));
        known.map_or_else(|| Pace::default().patience(), |door| door.reads.pace.patience())
    }

    /// Whether the door is lost to calls under way there; if not, when to ask again, if nothing is heard until then.
    ///
    /// # Errors
    /// That moment; `None` if only an event can tell.
    pub fn is_lost(&self, at: Duration, door: &ServerId) -> Result<(), Option<Duration>> {
        let Some(pulse) = self.pulses.get(door) else { return Err(None) };
        if pulse.is_up(at) { Err(pulse.overdue()) } else { Ok(()) }
    }

    fn calls(&mut self, door: &ServerId, (register, access): (&ClientId, Access)) -> Option<&mut Calls> {
        let asked = self.registers.get_mut(register)?;
        asked.layout.site_of(door)?;
        Some(asked.doors.entry(door.clone()).or_default().calls(access))
    }
}

impl Asked {
    fn is_used(&self, at: Duration) -> bool {
        self.asked.is_some_and(|last| at.saturating_sub(last) < WATCHED)
    }

    /// Who leads, and under which token: what the doors that were heard of last say, the highest token counts; else the
    /// first that may lead.
    fn authority(&self, at: Duration) -> Option<(&SiteLayout, u64)> {
        let hints = || self.doors.values().filter_map(|door| door.hint.as_ref());
        let is_fresh = |told: &Duration| at.saturating_sub(*told) < HINT_FRESH;
        let any_fresh = hints().any(|(told, _)| is_fresh(told));
        let counted = hints().filter(|(told, _)| !any_fresh || is_fresh(told));
        let leads = |hint: &Hint| self.layout.site(&hint.holder).filter(|site| site.may_lead);
        let told = counted.filter_map(|(_, hint)| Some((leads(hint)?, hint.token)));
        let place = |site: &SiteLayout| self.layout.sites.iter().position(|s| s.site == site.site);
        let highest = told.max_by_key(|(site, token)| (*token, std::cmp::Reverse(place(site))));
        highest.or_else(|| self.layout.sites.iter().find(|site| site.may_lead).map(|site| (site, 0)))
    }

    /// Why a door is not asked.
    fn trouble(
        &self,
        pulses: &BTreeMap<ServerId, Pulse>,
        at: Duration,
        door: &ServerId,
        access: Access,
    ) -> Option<Trouble> {
        if let Some(pulse) = pulses.get(door).filter(|pulse| !pulse.is_up(at)) {
            return Some(if pulse.refuses() { Trouble::Refuses } else { Trouble::Silent });
        }
        let known = self.doors.get(door)?;
        let declines = known.hint.as_ref().is_some_and(|(told, hint)| {
            access == Access::Read && !hint.reads && at.saturating_sub(*told) < HINT_FRESH
        });
        if declines {
            return Some(Trouble::Declines);
        }
        known.breaker(access).is_open().then_some(Trouble::Fails)
    }

    /// Brings the rotation of reads up to date.
    fn look(&mut self, pulses: &BTreeMap<ServerId, Pulse>, at: Duration) -> Vec<(String, Option<Trouble>)> {
        let mut turned = Vec::new();
        for place in 0..self.layout.sites.len() {
            let Some(site) = self.layout.sites.get(place) else { continue };
            let why = |door| self.trouble(pulses, at, door, Access::Read);
            let is_up = site.doors.iter().any(|door| why(door).is_none());
            let why = if is_up { None } else { site.doors.iter().find_map(why) };
            let rotation = self.rotations.entry(site.site.clone()).or_default();
            if rotation.look(at, is_up) {
                turned.push((site.site.clone(), why));
            }
        }
        turned
    }

    /// How the reads are shared now, site by site.
    fn loads(&self, pulses: &BTreeMap<ServerId, Pulse>, at: Duration, preferred: Option<&str>) -> Vec<u32> {
        let is_up = |door: &&ServerId| self.trouble(pulses, at, door, Access::Read).is_none();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let pinned = preferred.and_then(|pin| self.layout.site(pin)).filter(|site| site.has_copy);
        let with_copy = || self.layout.sites.iter().filter(|site| site.has_copy);
        let no_shares = with_copy().all(|site| site.share == 0);
        let first = pinned.or_else(|| with_copy().next().filter(|_| no_shares)).map(|site| &site.site);
        let candidate = |site: &SiteLayout| Candidate {
            share: match first {
                Some(first) => u32::from(*first == site.site),
                None => site.share,
            },
            doors: number(site.doors.len()),
            up: match self.rotations.get(&site.site) {
                Some(rotation) if !rotation.is_in() => 0,
                _ if !site.has_copy => 0,
                _ => number(site.doors.iter().filter(is_up).count()),
            },
        };
        spread(&self.layout.sites.iter().map(candidate).collect::<Vec<_>>())
    }

    fn readers(
        &mut self,
        pulses: &BTreeMap<ServerId, Pulse>,
        at: Duration,
        preferred: Option<&str>,
    ) -> Result<Vec<ServerId>, Shut> {
        drop(self.look(pulses, at));
        let loads = self.loads(pulses, at, preferred);
        self.count = self.count.wrapping_add(1);
        let chosen = pick(&loads, self.count);
        let with_copy = || self.layout.sites.iter().enumerate().filter(|(_, site)| site.has_copy);
        // The chosen one, then those in rotation, then those that are up again but not yet trusted.
        let mut order: Vec<(usize, &SiteLayout)> = with_copy().collect();
        let is_in = |site: &SiteLayout| self.rotations.get(&site.site).is_none_or(Rotation::is_in);
        order.sort_by_key(|(place, site)| (Some(*place) != chosen, !is_in(site)));
        let turn = usize::try_from(self.count).unwrap_or(0);
        let mut doors: Vec<ServerId> = order
            .into_iter()
            .flat_map(|(_, site)| turned(&site.doors, turn))
            .filter(|door| self.trouble(pulses, at, door, Access::Read).is_none())
            .cloned()
            .collect();
        let all: Vec<ServerId> = with_copy().flat_map(|(_, site)| site.doors.iter().cloned()).collect();
        if all.is_empty() {
            return Err(Shut::Nobody("no site has a copy that may answer"));
        }
        if let Some(trying) = self.trying(pulses, at, &all, Access::Read) {
            doors.insert(0, trying);
        }
        self.last_resort(pulses, at, (&all, Access::Read), &mut doors);
        if doors.is_empty() {
            Err(Shut::NoCopy(self.troubles(pulses, at, &all, Access::Read)))
        } else {
            Ok(doors)
        }
    }

    fn writers(&mut self, pulses: &BTreeMap<ServerId, Pulse>, at: Duration) -> Result<Vec<ServerId>, Shut> {
        let (site, all) = match self.authority(at) {
            Some((site, _)) => (site.site.clone(), site.doors.clone()),
            None => return Err(Shut::Nobody("no site may lead the register")),
        };
        let is_up = |door: &&ServerId| self.trouble(pulses, at, door, Access::Write).is_none();
        let mut doors: Vec<ServerId> = all.iter().filter(is_up).cloned().collect();
        if let Some(trying) = self.trying(pulses, at, &all, Access::Write) {
            doors.insert(0, trying);
        }
        self.last_resort(pulses, at, (&all, Access::Write), &mut doors);
        if doors.is_empty() {
            let doors = self.troubles(pulses, at, &all, Access::Write);
            return Err(Shut::NoAuthority { site, doors });
        }
        Ok(doors)
    }

    /// A door at which calls failed, and whose turn it is to be tried.
    fn trying(
        &mut self,
        pulses: &BTreeMap<ServerId, Pulse>,
        at: Duration,
        doors: &[ServerId],
        access: Access,
    ) -> Option<ServerId> {
        let may_try = |door: &&ServerId| {
            self.trouble(pulses, at, door, access) == Some(Trouble::Fails)
                && self.doors.get(*door).is_some_and(|known| known.breaker(access).may_try(at))
        };
        let door = doors.iter().find(may_try)?.clone();
        self.doors.get_mut(&door)?.calls(access).breaker.tries(at);
        Some(door)
    }

    /// Nothing is up. Doors at which calls merely fail are asked all the same: that they fail everywhere says something of
    /// the calls, such as those of one service that hangs, and nothing of where another would fare better. When there is
    /// none, one call each second tries the first door.
    fn last_resort(
        &mut self,
        pulses: &BTreeMap<ServerId, Pulse>,
        at: Duration,
        (all, access): (&[ServerId], Access),
        doors: &mut Vec<ServerId>,
    ) {
        if !doors.is_empty() {
            return;
        }
        let fails = |door: &&ServerId| self.trouble(pulses, at, door, access) == Some(Trouble::Fails);
        doors.extend(all.iter().filter(fails).cloned());
        if !doors.is_empty() {
            return;
        }
        let is_due = self.tried.is_none_or(|last| at.saturating_sub(last) >= RULES.pause);
        if let Some(first) = all.first().filter(|_| is_due) {
            self.tried = Some(at);
            doors.push(first.clone());
        }
    }

    fn troubles(
        &self,
        pulses: &BTreeMap<ServerId, Pulse>,
        at: Duration,
        doors: &[ServerId],
        access: Access,
    ) -> Vec<(String, Trouble)> {
        let one = |door: &ServerId| Some((door.to_string(), self.trouble(pulses, at, door, access)?));
        doors.iter().filter_map(one).collect()
    }
}

/// The doors of one site, each at the front in its turn.
fn turned(doors: &[ServerId], turn: usize) -> impl Iterator<Item = &ServerId> {
    let first = turn.checked_rem(doors.len()).unwrap_or(0);
    let (before, after) = doors.split_at(first);
    after.iter().chain(before)
}

#[cfg(test)]
mod tests;
