//! Whether a copy is fresh enough to answer a read.

use super::policy::Register;
use std::time::Duration;

/// How old what a read sees may be: what the reader demands, at most the register's own maximum; else its usual bound.
#[must_use]
pub fn bound(register: &Register, demanded: Option<Duration>) -> Duration {
    demanded.unwrap_or(register.staleness).min(register.staleness_max)
}

/// Whether a copy of this age may answer. An age that is not known is beyond every bound.
#[must_use]
pub fn is_fresh(age: Option<Duration>, bound: Duration) -> bool {
    age.is_some_and(|age| age <= bound)
}
