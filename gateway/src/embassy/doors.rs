//! Which doors of other gateways are up, and to which of them a call is brought.
//!
//! The rules are [`saatkond_proto::continuity::doors`]; here are the clock, the lock and the alarm. A provider that is no
//! register of the instance's policy knows no sites: of its doors only those are remembered that failed a moment ago.

use super::pins::Pins;
use crate::net::dial::{Door, Learned};
use crate::world::World;
use saatkond_proto::continuity::doors::{Doors as Book, Hint, Layout, RegisterView, Shut, Turned};
use saatkond_proto::continuity::health::{Breaker, BreakerRules};
use saatkond_proto::continuity::{Access, Policy, Register};
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::time::UnixTime;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How often doors are asked how they are.
pub const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How much later than that nobody can be said to have listened.
const DEAF: Duration = Duration::from_millis(500);
/// A door of a provider without sites is asked last for so long after it failed.
const SICK: BreakerRules = BreakerRules { failures: 1, pause: Duration::from_secs(5) };
/// Doors of providers without sites that are remembered.
const SICK_MAX: usize = 10_000;

/// What is known of doors.
#[derive(Debug)]
pub struct Doors {
    began: Instant,
    known: Mutex<Known>,
    /// Wakes calls that wait at a door when one was missed.
    missed: Notify,
    /// Where operators sent the reads by hand.
    pub pins: Pins,
}

#[derive(Debug, Default)]
struct Known {
    book: Book,
    /// For which configuration layouts were made, and of which registers.
    conf: Weak<GlobalConf>,
    laid_out: HashSet<ClientId>,
    /// Doors that are being asked how they are.
    asked: HashSet<ServerId>,
    /// When doors were last listened to.
    listened: Option<Duration>,
    /// Doors of providers without sites, by host.
    sick: HashMap<String, Breaker>,
}

/// A door that is being asked how it is; it can be asked again once this is dropped.
#[derive(Debug)]
pub struct Asking<'a> {
    doors: &'a Doors,
    server: ServerId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.doors.known().asked.remove(&self.server);
    }
}

impl Default for Doors {
    fn default() -> Self {
        let (known, missed, pins) = (Mutex::default(), Notify::new(), Pins::default());
        Self { began: Instant::now(), known, missed, pins }
    }
}

impl Doors {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self) -> Duration {
        self.began.elapsed()
    }

    //-------- registers of the policy

    /// The doors to which a call for a register is brought, in this order.
    ///
    /// # Errors
    /// [`Shut`] when it would reach nobody.
    pub fn choose(
        &self,
        world: &World,
        (policy, register): (&Policy, &Register),
        access: Access,
        now: UnixTime,
    ) -> Result<Vec<Door>, Shut> {
        let servers = world.conf.servers_of(&register.id);
        let pin = self.pins.of(&register.id, now);
        let at = self.at();
        let mut known = self.known();
        known.lay_out(world, policy, register);
        let chosen = known.book.choose(at, &register.id, access, pin.as_deref())?;
        let door = |server: &ServerId| {
            let found = servers.iter().find(|s| s.id == *server)?;
            Some(Door { server: found.id.clone(), host: found.address.clone() })
        };
        Ok(chosen.iter().filter_map(door).collect())
    }

    /// The doors of one site that may lead the register.
    #[must_use]
    pub fn at_site(&self, world: &World, register: &ClientId, site: &str) -> Vec<Door> {
        let named = self.known().book.at_site(register, site);
        let servers = world.conf.servers_of(register).into_iter().filter(|s| named.contains(&s.id));
        servers.map(|s| Door { server: s.id.clone(), host: s.address.clone() }).collect()
    }

    /// A call for a register was answered; `took` is after which time the answer began, where it was one of the register.
    pub fn answered(&self, door: &Door, register: &ClientId, access: Access, took: Option<Duration>) {
        let at = self.at();
        self.known().book.answered(at, &door.server, (register, access), took);
    }

    /// A call for a register failed at a door that was reached.
    pub fn failed(&self, door: &Door, register: &ClientId, access: Access) {
        let at = self.at();
        self.known().book.failed(at, &door.server, (register, access));
    }

    /// A door was not reached, or is not who it must be.
    pub fn missed(&self, server: &ServerId) {
        self.known().book.missed(server);
        self.missed.notify_waiters();
    }

    /// What connecting to these doors taught.
    pub fn learned(&self, doors: &[Door], learned: &Learned) {
        learned
            .missed
            .iter()
            .filter_map(|place| doors.get(*place))
            .for_each(|door| self.missed(&door.server));
    }

    /// How long an answer to a read from this door may take and be nothing unusual.
    #[must_use]
    pub fn patience(&self, door: &Door, register: &ClientId) -> Duration {
        self.known().book.patience(&door.server, register)
    }

    /// Takes one second attempt out of a register's budget, if there is one.
    pub fn takes_second(&self, register: &ClientId) -> bool {
        let at = self.at();
        self.known().book.takes_second(at, register)
    }

    /// Whether a door is lost to the calls that wait there.
    #[must_use]
    pub fn is_lost(&self, door: &Door) -> bool {
        let at = self.at();
        self.known().book.is_lost(at, &door.server).is_ok()
    }

    /// Returns once a door is lost to the calls that wait there.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn lost(&self, door: &Door) {
        loop {
            let missed = self.missed.notified();
            tokio::pin!(missed);
            missed.as_mut().enable();
            let verdict = self.known().book.is_lost(self.at(), &door.server);
            match verdict {
                Ok(()) => return,
                Err(Some(overdue)) => tokio::select! {
                    () = missed => {}
                    () = sleep_until(self.began + overdue) => {}
                },
                Err(None) => missed.await,
            }
        }
    }

    //-------- probes

    /// Brings what is known up to date: forgets registers that are none any more, forgives silence while nobody listened,
    /// and tells which sites left or came back.
    pub fn look(&self, world: &World) -> Vec<Turned> {
        let at = self.at();
        let mut known = self.known();
        match world.conf.continuity() {
            Some(policy) => known.book.retain(|id| policy.register(id).is_some()),
            None => known.book.retain(|_| false),
        }
        let since = known.listened.replace(at).map_or(Duration::ZERO, |last| at.saturating_sub(last));
        if since > PROBE_EVERY + DEAF {
            known.book.pardon(since - PROBE_EVERY);
        }
        known.book.look(at)
    }

    /// The doors that shall be asked now how they are, each with a register that must be served there; those that still
    /// owe an answer are left out.
    #[must_use]
    pub fn due(&self, world: &World) -> Vec<(Door, ClientId)> {
        let at = self.at();
        let known = self.known();
        let watched: BTreeMap<ServerId, ClientId> = known.book.watched(at);
        let servers = |register: &ClientId| world.conf.servers_of(register);
        let door = |(server, register): (ServerId, ClientId)| {
            let address = servers(&register).into_iter().find(|s| s.id == server)?.address.clone();
            Some((Door { server, host: address }, register))
        };
        watched.into_iter().filter(|(server, _)| !known.asked.contains(server)).filter_map(door).collect()
    }

    /// Notes that a door is asked how it is; `None` when it already is.
    #[must_use]
    pub fn asks(&self, server: &ServerId) -> Option<Asking<'_>> {
        let is_new = self.known().asked.insert(server.clone());
        is_new.then(|| Asking { doors: self, server: server.clone() })
    }

    /// A door said how it is.
    pub fn told(&self, server: &ServerId, hints: Vec<(ClientId, Hint)>) {
        let at = self.at();
        self.known().book.told(at, server, hints);
    }

    /// What is believed of each register that was called since the configuration last changed.
    #[must_use]
    pub fn view(&self, now: UnixTime) -> Vec<RegisterView> {
        let at = self.at();
        self.known().book.view(at, |register| self.pins.of(register, now))
    }

    //-------- providers without sites

    /// Whether a door of a provider without sites failed a moment ago.
    #[must_use]
    pub fn is_sick(&self, door: &Door) -> bool {
        let at = self.at();
        self.known().sick.get(&door.host).is_some_and(|breaker| !breaker.may_try(at))
    }

    /// A door of a provider without sites failed.
    pub fn sickened(&self, door: &Door) {
        let at = self.at();
        let sick = &mut self.known().sick;
        if sick.len() >= SICK_MAX {
            sick.retain(|_, breaker| !breaker.may_try(at));
        }
        if sick.len() < SICK_MAX {
            sick.entry(door.host.clone()).or_insert_with(|| Breaker::new(SICK)).failed(at);
        }
    }
}

impl Known {
    fn lay_out(&mut self, world: &World, policy: &Policy, register: &Register) {
        if !std::ptr::eq(self.conf.as_ptr(), Arc::as_ptr(&world.conf)) {
            self.conf = Arc::downgrade(&world.conf);
            self.laid_out.clear();
        }
        if self.laid_out.insert(register.id.clone()) {
            let servers = world.conf.servers_of(&register.id);
            let usable = servers.iter().filter(|s| !s.address.is_empty() && s.maintenance.is_none());
            self.book.lay_out(&register.id, &Layout::of(policy, register, usable.map(|s| &s.id)));
        }
    }
}
