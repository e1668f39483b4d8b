//! Calls that were let in at this site, so that none is executed twice.
//!
//! The message log records every request before it is executed, and tells at a start which it has recorded within a day.

use saatkond_proto::continuity::once::{Again, Mark, Once};
use saatkond_proto::time::UnixTime;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Calls that were let in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Once>>);

/// A call that was let in; it may come again unless it is [`Claim::kept`].
#[derive(Debug)]
pub struct Claim {
    calls: Calls,
    mark: Mark,
    is_kept: bool,
}

/// A day: longer than OCSP responses are fresh anywhere.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Calls {
    /// With what the message log has heard, the oldest first.
    #[must_use]
    pub fn heard(heard: Vec<(UnixTime, Mark)>) -> Self {
        let calls = Self::default();
        for (time, mark) in heard {
            // One that is there already, or for which there is no room, changes nothing.
            let _ = calls.once().claim(mark, time, DAY);
        }
        calls
    }

    fn once(&self) -> MutexGuard<'_, Once> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call in, if it was not let in within `window`.
    ///
    /// # Errors
    /// [`Again`].
    pub fn claim(&self, mark: Mark, now: UnixTime, window: Duration) -> Result<Claim, Again> {
        self.once().claim(mark, now, window)?;
        Ok(Claim { calls: self.clone(), mark, is_kept: false })
    }
}

impl Claim {
    /// It is going to be executed.
    pub fn kept(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_kept {
            self.calls.once().forget(self.mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_refused_may_come_again_and_one_that_was_kept_may_not() {
        let (now, hour) = (UnixTime::from_secs(1_000_000), Duration::from_secs(3600));
        let mark = |text: &str| Mark::of(text.as_bytes(), b"");
        let calls = Calls::heard(vec![(now, mark("GET heard"))]);
        assert_eq!(calls.claim(mark("GET heard"), now, hour).unwrap_err(), Again::Known);
        let claim = calls.claim(mark("GET a"), now, hour).unwrap();
        assert_eq!(calls.claim(mark("GET a"), now, hour).unwrap_err(), Again::Known, "while it is under way");
        drop(claim);
        calls.claim(mark("GET a"), now, hour).unwrap().kept();
        assert_eq!(calls.claim(mark("GET a"), now, hour).unwrap_err(), Again::Known);
    }
}
