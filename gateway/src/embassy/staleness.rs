//! How old our own copies are, as their sources told when last asked.

use saatkond_proto::id::ClientId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The ages of our copies. An age grows from the moment at which it was told.
#[derive(Debug, Default)]
pub struct Ages(Mutex<HashMap<ClientId, Told>>);

/// What a source told.
#[derive(Debug, Clone, Copy)]
struct Told {
    age: Duration,
    at: Instant,
}

impl Ages {
    /// How old a copy is now; `None` where nothing is known.
    #[must_use]
    pub fn of(&self, register: &ClientId) -> Option<Duration> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(register).copied()?;
        Some(told.age.saturating_add(told.at.elapsed()))
    }

    /// Notes what a source told at `at`; `None` for what it could not tell.
    pub fn note(&self, register: &ClientId, age: Option<Duration>, at: Instant) {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match age {
            Some(age) => ages.insert(register.clone(), Told { age, at }),
            None => ages.remove(register),
        };
    }
}
