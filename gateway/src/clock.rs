//! The only place that asks the time; tests bring their own, or make the machine's wrong.

use saatkond_proto::time::UnixTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What time it is: the machine's, or one that a test winds. Cheap to clone; clones of a wound one agree.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Wound(Arc<AtomicI64>),
    /// So many milliseconds ahead of the machine's.
    Wrong(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's time.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `at` until it is wound.
    #[must_use]
    pub fn wound(at: UnixTime) -> Self {
        Self(Source::Wound(Arc::new(AtomicI64::new(at.millis()))))
    }

    /// A clock that goes as the machine's, and is right until it is wound: what a gateway does when its clock is wrong.
    #[must_use]
    pub fn wrong() -> Self {
        Self(Source::Wrong(Arc::default()))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match &self.0 {
            Source::System => system(),
            Source::Wound(millis) => UnixTime::from_millis(millis.load(Ordering::SeqCst)),
            Source::Wrong(by) => {
                UnixTime::from_millis(system().millis().saturating_add(by.load(Ordering::SeqCst)))
            }
        }
    }

    /// Winds the clock on by `span`; the machine's own is left alone.
    pub fn advance(&self, span: Duration) {
        if let Source::Wound(millis) | Source::Wrong(millis) = &self.0 {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_add(span, Ordering::SeqCst);
        }
    }

    /// Sets the clock to `at`; the machine's own is left alone.
    pub fn set(&self, at: UnixTime) {
        match &self.0 {
            Source::System => {}
            Source::Wound(millis) => millis.store(at.millis(), Ordering::SeqCst),
            Source::Wrong(by) => {
                by.store(at.millis().saturating_sub(system().millis()), Ordering::SeqCst);
            }
        }
    }
}

fn system() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wound_clock_stands_still_and_its_clones_agree() {
        let clock = Clock::wound(UnixTime::from_secs(100));
        let other = clock.clone();
        assert_eq!(clock.now(), UnixTime::from_secs(100));
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now(), UnixTime::from_secs(105));
        other.set(UnixTime::from_secs(7));
        assert_eq!(clock.now(), UnixTime::from_secs(7));
    }

    #[test]
    fn a_wrong_clock_goes_as_the_machines() {
        let (clock, hour) = (Clock::wrong(), Duration::from_secs(3600));
        clock.advance(hour);
        let ahead = clock.now().since(Clock::system().now());
        assert!(ahead > hour / 2 && ahead <= hour, "{ahead:?}");
        clock.set(Clock::system().now().minus(hour));
        assert!(Clock::system().now().since(clock.now()) >= hour / 2);
    }

    #[test]
    fn the_machines_clock_is_not_wound() {
        let clock = Clock::system();
        clock.set(UnixTime::from_secs(0));
        assert!(clock.now() > UnixTime::from_secs(1_700_000_000));
    }
}
