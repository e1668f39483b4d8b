//! Whether the registers behind this gateway answer: by the calls that they get, and by a question of our own.
//!
//! A service with a `probe` in `server.toml` is asked there, twice a second. Of one without it is looked, once a call has
//! failed, whether it takes connections at all: that it does says little, that it does not says enough.

use crate::Gateway;
use crate::conf::{Client, Service};
use crate::net::body::{Incoming, Outgoing};
use crate::net::dial::{self, ServiceRules};
use crate::net::fetch::Place;
use http::{Request, header};
use saatkond_proto::continuity::health::{Breaker, BreakerRules};
use saatkond_proto::id::ClientId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Three failures in a row, and the register is down: until it answers, or so long that it may be tried again.
const RULES: BreakerRules = BreakerRules { failures: 3, pause: Duration::from_secs(5) };
/// How often a register is asked.
const EVERY: Duration = Duration::from_millis(500);
/// How long its answer may take.
const WITHIN: Duration = Duration::from_millis(700);
/// Questions in a row without an answer, after which it is silent.
const MISSES_MAX: u32 = 2;
/// Services of one register that are asked: one that answers is enough.
const SERVICES_MAX: usize = 8;
/// Bytes of an answer that are read, so that its connection can be kept.
const BYTES_MAX: usize = 64 * 1024;

/// Registers behind this gateway. Bounded by the clients of this server.
#[derive(Debug)]
pub struct Registers {
    began: Instant,
    known: Mutex<HashMap<ClientId, Known>>,
}

/// What is known of one register.
#[derive(Debug)]
struct Known {
    calls: Breaker,
    /// Questions in a row that it did not answer.
    misses: u32,
    /// What came of the last of them.
    why: String,
    asked: Option<Duration>,
    is_being_asked: bool,
}

impl Default for Registers {
    fn default() -> Self {
        Self { began: Instant::now(), known: Mutex::default() }
    }
}

impl Default for Known {
    fn default() -> Self {
        let calls = Breaker::new(RULES);
        Self { calls, misses: 0, why: String::new(), asked: None, is_being_asked: false }
    }
}

impl Registers {
    fn known(&self) -> MutexGuard<'_, HashMap<ClientId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, register: &ClientId, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known();
        match known.get_mut(register) {
            Some(known) => look(known),
            None => look(known.entry(register.clone()).or_default()),
        }
    }

    /// Whether a register answers, as far as is known.
    #[must_use]
    pub fn is_up(&self, register: &ClientId) -> bool {
        let at = self.began.elapsed();
        self.known().get(register).is_none_or(|known| {
            known.misses < MISSES_MAX && (!known.calls.is_open() || known.calls.may_try(at))
        })
    }

    /// Why a register is certain not to answer: it was asked a moment ago. `None` where a call may be tried.
    #[must_use]
    pub fn is_silent(&self, register: &ClientId) -> Option<String> {
        self.known().get(register).filter(|known| known.misses >= MISSES_MAX).map(|known| known.why.clone())
    }

    /// Notes whether a register answered a call.
    pub fn note(&self, register: &ClientId, answered: bool) {
        let at = self.began.elapsed();
        self.with(register, |known| {
            if answered {
                known.misses = 0;
                known.calls.succeeded();
            } else {
                known.calls.failed(at);
            }
        });
    }

    /// Takes it on to ask a register, where that is due and nobody is at it.
    pub fn begin(&self, client: &Client) -> bool {
        let at = self.began.elapsed();
        let has_probe = client.services.iter().any(|service| service.probe.is_some());
        self.with(&client.id, |known| {
            let is_wanted = has_probe || known.misses > 0 || known.calls.failures() > 0;
            let is_due = known.asked.is_none_or(|asked| at.saturating_sub(asked) >= EVERY);
            let begins = is_wanted && is_due && !known.is_being_asked;
            if begins {
                (known.is_being_asked, known.asked) = (true, Some(at));
            }
            begins
        })
    }

    /// Notes what came of asking.
    pub fn told(&self, register: &ClientId, told: Result<(), String>) {
        self.with(register, |known| {
            known.is_being_asked = false;
            match told {
                Ok(()) => known.misses = 0,
                Err(why) => {
                    known.misses = known.misses.saturating_add(1);
                    known.why = why;
                }
            }
        });
    }

    /// Forgets what was asked of all registers but these.
    pub fn keep(&self, registers: &[&ClientId]) {
        let mut known = self.known();
        for (_, known) in known.iter_mut().filter(|(register, _)| !registers.contains(register)) {
            known.misses = 0;
        }
    }

    /// Registers that are silent, and why, in the order of their names.
    #[must_use]
    pub fn silent(&self) -> Vec<(ClientId, String)> {
        let known = self.known();
        let silent = known.iter().filter(|(_, known)| known.misses >= MISSES_MAX);
        let mut silent: Vec<_> =
            silent.map(|(register, known)| (register.clone(), known.why.clone())).collect();
        silent.sort();
        silent
    }
}

/// Asks the services of a register whether one of them answers; otherwise says what one of them said.
///
/// # Errors
/// Why none does.
pub async fn ask(gateway: &Arc<Gateway>, client: &Client) -> Result<(), String> {
    let has_probe = client.services.iter().any(|service| service.probe.is_some());
    let mut places: Vec<(Place, Service)> = Vec::new();
    for service in client.services.iter().filter(|s| s.probe.is_some() == has_probe && s.disabled.is_none()) {
        let Some(mut place) = Place::from_url(&service.url) else { continue };
        place.target = service.probe.clone().unwrap_or_default();
        if places.len() < SERVICES_MAX && places.iter().all(|(known, _)| *known != place) {
            places.push((place, service.clone()));
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let mut asking = JoinSet::new();
    for (place, service) in places {
        let gateway = Arc::clone(gateway);
        let pinned = service.verify_tls.then(|| client.certificates.clone());
        asking.spawn(async move {
            let asked = timeout(WITHIN, exchange(&gateway, &place, pinned.as_deref())).await;
            let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {WITHIN:?}")));
            asked.map_err(|why| format!("{}{}: {why}", place.authority, place.target))
        });
    }
    let mut why = String::new();
    while let Some(asked) = asking.join_next().await {
        match asked {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => why = error,
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// Asks at a place, or looks whether it takes connections where it has no target.
async fn exchange(gateway: &Gateway, place: &Place, pinned: Option<&[Vec<u8>]>) -> Result<(), String> {
    let rules = ServiceRules { connect: WITHIN, pinned, is_safe: true };
    if place.target.is_empty() {
        let opened = dial::open_service_anew(gateway, place, rules).await;
        return opened.map(drop).map_err(|fault| fault.detail);
    }
    let request = || {
        let request = Request::get(place.target.as_str()).header(header::HOST, &place.authority);
        request.body(Outgoing::sized()).map_err(|error| error.to_string())
    };
    let opened = dial::open_service(gateway, place, rules).await;
    let mut connection = opened.map_err(|fault| fault.detail)?;
    let mut answer = connection.ask(request()?).await;
    if answer.is_err() && connection.is_reused() {
        let opened = dial::open_service_anew(gateway, place, rules).await;
        connection = opened.map_err(|fault| fault.detail)?;
        answer = connection.ask(request()?).await;
    }
    let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
    if Incoming::new(body, WITHIN).whole(BYTES_MAX).await.is_ok() {
        gateway.net.services.give(connection);
    }
    if head.status.is_server_error() {
        return Err(format!("status {}, expected one below 500", head.status));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_register_is_down_after_three_failures_until_it_answers_or_may_be_tried() {
        let (registers, land) = (Registers::default(), "DEV/GOV/M2/LAND".parse().unwrap());
        (0..2).for_each(|_| registers.note(&land, false));
        assert!(registers.is_up(&land));
        registers.note(&land, false);
        assert!(!registers.is_up(&land));
        registers.note(&land, true);
        assert!(registers.is_up(&land));
        (0..3).for_each(|_| registers.note(&land, false));
        assert!(!registers.is_up(&land));
        tokio::time::advance(RULES.pause).await;
        assert!(registers.is_up(&land));
        registers.note(&land, false);
        assert!(!registers.is_up(&land));
        assert_eq!(registers.is_silent(&land), None, "a call may be tried");
    }

    #[tokio::test(start_paused = true)]
    async fn a_register_is_silent_after_two_questions_until_it_answers_anything() {
        let (registers, land) = (Registers::default(), "DEV/GOV/M2/LAND".parse().unwrap());
        let miss = || registers.told(&land, Err("status 503".to_owned()));
        let answers: [fn(&Registers, &ClientId); 3] =
            [|r, l| r.note(l, true), |r, l| r.told(l, Ok(())), |r, _| r.keep(&[])];
        for answers in answers {
            miss();
            assert!(registers.is_up(&land) && registers.is_silent(&land).is_none());
            miss();
            assert!(!registers.is_up(&land));
            assert_eq!(registers.is_silent(&land).as_deref(), Some("status 503"));
            assert_eq!(registers.silent().len(), 1);
            answers(&registers, &land);
            assert!(registers.is_up(&land) && registers.silent().is_empty());
        }
    }
}
