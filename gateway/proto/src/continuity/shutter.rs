//! Whether a server's port stands open, when what stands behind it comes and goes.
//!
//! Unmodified consumers stay with a door that takes their connections, for up to an hour: one that is of no use must not
//! take them. It must not flap either, so a port that had to shut again soon after it opened stays shut for longer.

use std::time::Duration;

/// For how long a port that is of no use stays open: what is gone for a moment shuts nothing.
const USELESS: Duration = Duration::from_millis(500);
/// For how long one that is shut must have been of use without a break.
const USEFUL: Duration = Duration::from_secs(1);
/// One that shuts so soon after it opened has relapsed.
const RELAPSE: Duration = Duration::from_secs(60);
/// For how long it must then have been of use: twice as long with each relapse that follows.
const USEFUL_RELAPSED: Duration = Duration::from_secs(20);
/// The longest.
const USEFUL_MAX: Duration = Duration::from_secs(60);

/// Whether a port stands open. A moment is the time since any fixed one, on a clock that never goes back.
#[derive(Debug, Clone, Default)]
pub struct Shutter {
    is_shut: bool,
    /// Since when what is found speaks for the contrary, without a break.
    contrary: Option<Duration>,
    opened: Option<Duration>,
    relapses: u32,
}

impl Shutter {
    /// Says whether the port stands open, now that it was found to be of use or not.
    pub fn look(&mut self, at: Duration, is_of_use: bool) -> bool {
        if is_of_use != self.is_shut {
            self.contrary = None;
            return !self.is_shut;
        }
        let since = *self.contrary.get_or_insert(at);
        if at.saturating_sub(since) >= self.patience() {
            self.turn(at);
        }
        !self.is_shut
    }

    /// For how long the contrary must be found before the port turns.
    fn patience(&self) -> Duration {
        match (self.is_shut, self.relapses) {
            (false, _) => USELESS,
            (true, 0) => USEFUL,
            (true, n) => {
                USEFUL_RELAPSED.saturating_mul(1u32.checked_shl(n - 1).unwrap_or(u32::MAX)).min(USEFUL_MAX)
            }
        }
    }

    fn turn(&mut self, at: Duration) {
        self.contrary = None;
        self.is_shut = !self.is_shut;
        if !self.is_shut {
            self.opened = Some(at);
            return;
        }
        let relapsed = self.opened.is_some_and(|opened| at.saturating_sub(opened) < RELAPSE);
        self.relapses = if relapsed { self.relapses.saturating_add(1) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    /// Looks four times a second, from `from` on for `millis`; the moments at which it turned, since `from`.
    fn turns(shutter: &mut Shutter, from: &mut u64, millis: u64, finds: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut turned = Vec::new();
        for at in (0..millis).step_by(250) {
            let before = !shutter.is_shut;
            if shutter.look(Duration::from_millis(*from + at), finds(at)) != before {
                turned.push(at);
            }
        }
        *from += millis;
        turned
    }

    #[test]
    fn it_shuts_half_a_second_after_it_is_of_no_use_and_opens_a_second_after_it_is() {
        let (mut shutter, mut at) = (Shutter::default(), 0);
        assert_eq!(turns(&mut shutter, &mut at, 10_000, |_| true), NONE);
        assert_eq!(turns(&mut shutter, &mut at, 10_000, |_| false), [500]);
        assert_eq!(turns(&mut shutter, &mut at, 10_000, |_| true), [1000]);
    }

    #[test]
    fn what_is_gone_or_back_for_a_moment_turns_nothing() {
        let (mut shutter, mut at) = (Shutter::default(), 0);
        assert_eq!(turns(&mut shutter, &mut at, 60_000, |at| at % 500 == 0), NONE, "open");
        turns(&mut shutter, &mut at, 1000, |_| false);
        assert_eq!(turns(&mut shutter, &mut at, 60_000, |at| at % 1000 != 0), NONE, "shut");
    }

    #[test]
    fn one_that_relapses_stays_shut_for_longer_each_time_and_is_forgiven() {
        let (mut shutter, mut at) = (Shutter::default(), 0);
        turns(&mut shutter, &mut at, 1000, |_| false);
        for shut in [1000, 20_000, 40_000, 60_000, 60_000] {
            assert_eq!(turns(&mut shutter, &mut at, shut + 250, |_| true), [shut]);
            assert_eq!(turns(&mut shutter, &mut at, 1000, |_| false), [500]);
        }
        assert_eq!(turns(&mut shutter, &mut at, 120_000, |_| true), [60_000]);
        assert_eq!(turns(&mut shutter, &mut at, 1000, |_| false), [500], "it was open for a minute");
        assert_eq!(turns(&mut shutter, &mut at, 1250, |_| true), [1000]);
    }

    #[test]
    fn a_register_that_flaps_turns_the_port_at_most_once_in_ten_seconds() {
        let (mut shutter, mut at) = (Shutter::default(), 0);
        let turned = turns(&mut shutter, &mut at, 600_000, |at| at / 2000 % 2 == 0);
        assert!(turned.len() <= 3, "of no use for two seconds in four: {turned:?}");
        let turned = turns(&mut shutter, &mut at, 600_000, |at| at / 25_000 % 2 == 0);
        assert!(turned.len() <= 60, "{turned:?}");
    }
}
