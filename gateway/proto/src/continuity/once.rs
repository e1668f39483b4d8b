//! By what a call is known again, so that a site does not execute it twice.
//!
//! A door between the one who asks and the one who leads may bring the same signed call again. What it cannot change is
//! what was signed: the message, and the digests under the signature, which hold the time of signing. The signature value
//! and the document around it can be written in other ways, and of a SOAP message the request id is not signed at all;
//! neither is looked at. A REST message holds its request id.

use crate::crypto::{DigestAlgorithm, Hasher};
use crate::limits::CALLS_REMEMBERED_MAX;
use crate::signature;
use crate::time::UnixTime;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// By what a call is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 16]);

impl Mark {
    /// The mark of a request: `message` is its REST block or SOAP envelope, `document` its signature.
    #[must_use]
    pub fn of(message: &[u8], document: &[u8]) -> Self {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(&(message.len() as u64).to_be_bytes());
        hasher.update(message);
        // A REST block begins with its method, an envelope with anything else.
        if !message.first().is_some_and(u8::is_ascii_uppercase) {
            let digests = signature::outline(document).map(|o| o.digests).unwrap_or_default();
            digests.iter().for_each(|digest| hasher.update(digest));
        }
        Self(hasher.finish().first_chunk().copied().unwrap_or_default())
    }

    /// The mark as it is kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A mark that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Calls that were let in, for as long as they could be brought again.
#[derive(Debug, Default)]
pub struct Once {
    known: HashSet<Mark>,
    order: VecDeque<(UnixTime, Mark)>,
}

/// Why a call is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Again {
    /// It was let in before.
    #[error("this call was brought before")]
    Known,
    /// More calls are remembered than there is room for.
    #[error("{CALLS_REMEMBERED_MAX} calls are remembered, and there is no room for another")]
    Full,
}

impl Once {
    /// Lets a call in at `now`, if it was not let in within `window`.
    ///
    /// # Errors
    /// [`Again`].
    pub fn claim(&mut self, mark: Mark, now: UnixTime, window: Duration) -> Result<(), Again> {
        let oldest = now.minus(window);
        while let Some((_, gone)) = self.order.pop_front_if(|(at, _)| *at < oldest) {
            self.known.remove(&gone);
        }
        if self.known.contains(&mark) {
            return Err(Again::Known);
        }
        if self.order.len() >= CALLS_REMEMBERED_MAX {
            return Err(Again::Full);
        }
        self.known.insert(mark);
        self.order.push_back((now, mark));
        Ok(())
    }

    /// Forgets a call that was let in and not executed.
    pub fn forget(&mut self, mark: Mark) {
        self.known.remove(&mark);
        // It is among the last, unless it took long.
        if let Some(at) = self.order.iter().rposition(|(_, m)| *m == mark) {
            self.order.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn mark(text: &str) -> Mark {
        Mark::of(text.as_bytes(), b"no signature")
    }

    #[test]
    fn a_call_is_let_in_once_within_the_window() {
        let mut once = Once::default();
        assert_eq!(once.claim(mark("GET a"), NOW, HOUR), Ok(()));
        assert_eq!(once.claim(mark("GET b"), NOW, HOUR), Ok(()));
        assert_eq!(once.claim(mark("GET a"), NOW.plus(HOUR), HOUR), Err(Again::Known));
        let later = NOW.plus(HOUR).plus(Duration::from_millis(1));
        assert_eq!(once.claim(mark("GET a"), later, HOUR), Ok(()));
        assert_eq!((once.known.len(), once.order.len()), (1, 1), "what cannot come again is forgotten");
    }

    #[test]
    fn a_call_that_was_not_executed_may_come_again() {
        let mut once = Once::default();
        assert_eq!(once.claim(mark("GET a"), NOW, HOUR), Ok(()));
        once.forget(mark("GET a"));
        assert_eq!(once.claim(mark("GET a"), NOW, HOUR), Ok(()));
        assert_eq!(once.claim(mark("GET a"), NOW, HOUR), Err(Again::Known));
    }
}
