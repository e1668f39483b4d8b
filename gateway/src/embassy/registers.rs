//! Whether the registers behind this gateway answer: by the calls that they get, and by a question of our own.

use saatkond_proto::continuity::health::{Breaker, BreakerRules};
use saatkond_proto::id::ClientId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Three failures in a row, and the register is down: until it answers, or so long that it may be tried again.
const RULES: BreakerRules = BreakerRules { failures: 3, pause: Duration::from_secs(5) };

/// Registers behind this gateway. Bounded by the clients of this server.
#[derive(Debug)]
pub struct Registers {
    began: Instant,
    known: Mutex<HashMap<ClientId, Breaker>>,
}

impl Default for Registers {
    fn default() -> Self {
        Self { began: Instant::now(), known: Mutex::default() }
    }
}

impl Registers {
    fn known(&self) -> MutexGuard<'_, HashMap<ClientId, Breaker>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a register answers, as far as is known.
    #[must_use]
    pub fn is_up(&self, register: &ClientId) -> bool {
        let at = self.began.elapsed();
        self.known().get(register).is_none_or(|breaker| !breaker.is_open() || breaker.may_try(at))
    }

    /// Notes whether a register answered.
    pub fn note(&self, register: &ClientId, answered: bool) {
        let at = self.began.elapsed();
        let mut known = self.known();
        let breaker = known.entry(register.clone()).or_insert_with(|| Breaker::new(RULES));
        if answered { breaker.succeeded() } else { breaker.failed(at) }
    }
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
    }
}
