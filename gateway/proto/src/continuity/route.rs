//! Which site is asked: shares, spill, and no flapping; and how many second attempts there may be.
//!
//! Reads go to the sites that have a live copy, each its share. What a site cannot take spills to the next in order: by as
//! much as its doors are down, never by errors alone, and never over all doors because everything seems down. Writes are
//! not the business of this file: they go to the authority, or nowhere.
//!
//! | machine | rule |
//! |---|---|
//! | [`Rotation`] | a site that is down leaves at once; it comes back when it has been well for a while, and never soon after it left |
//! | [`spread`], [`pick`] | how reads are shared among the sites in rotation |
//! | [`Budget`] | second attempts are at most a fifth of the calls, and a floor |

use std::time::Duration;

//------------ Rotation ------------------------------------------------------

/// The shortest time from leaving to coming back: so long that a site may leave at once when it comes back and fails, and
/// still has changed only once in ten seconds.
pub const AWAY_MIN: Duration = Duration::from_secs(20);
/// How long a site must have been well, without a break, before it comes back.
const STEADY: Duration = Duration::from_secs(5);
/// The same for one that left again soon after it came back: the first time, and at most; it doubles in between.
const STEADY_RELAPSED: Duration = Duration::from_secs(20);
const STEADY_MAX: Duration = Duration::from_secs(320);
/// A site that leaves so soon after it came back has relapsed.
const RELAPSE: Duration = Duration::from_secs(60);

/// Whether one site takes part for one register and kind of call.
///
/// Whatever the site does: since any moment at which it left it has changed once, and at most once more for each ten seconds
/// that have passed. It leaves at once each time, so coming back is what has to wait.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    is_in: bool,
    /// When it last left or came back.
    changed: Option<Duration>,
    /// Since when it has been well without a break.
    well_since: Option<Duration>,
    steady: Duration,
    changes: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { is_in: true, changed: None, well_since: None, steady: STEADY, changes: 0 }
    }
}

impl Rotation {
    /// Takes note of whether the site is up now; true if that changed whether it takes part.
    pub fn look(&mut self, at: Duration, is_up: bool) -> bool {
        if !is_up {
            self.well_since = None;
            if !self.is_in {
                return false;
            }
            let relapsed = self.changed.is_some_and(|since| at.saturating_sub(since) < RELAPSE);
            self.steady = match (relapsed, self.steady >= STEADY_RELAPSED) {
                (false, _) => STEADY,
                (true, false) => STEADY_RELAPSED,
                (true, true) => (self.steady * 2).min(STEADY_MAX),
            };
            self.turn(at, false);
            return true;
        }
        let well_since = *self.well_since.get_or_insert(at);
        let away = self.changed.map_or(Duration::MAX, |left| at.saturating_sub(left));
        if self.is_in || at.saturating_sub(well_since) < self.steady || away < AWAY_MIN {
            return false;
        }
        self.turn(at, true);
        true
    }

    const fn turn(&mut self, at: Duration, is_in: bool) {
        self.is_in = is_in;
        self.changed = Some(at);
        self.changes = self.changes.saturating_add(1);
    }

    /// Whether it takes part.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        self.is_in
    }

    /// When it will come back at the soonest, if it stays well from now on.
    #[must_use]
    pub fn back_at(&self, at: Duration) -> Option<Duration> {
        if self.is_in {
            return None;
        }
        let steady = self.well_since.unwrap_or(at).saturating_add(self.steady);
        Some(steady.max(self.changed.unwrap_or_default().saturating_add(AWAY_MIN)))
    }

    /// How often it left or came back.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }
}

//------------ spread --------------------------------------------------------

/// Parts that all reads are divided into.
pub const WHOLE: u32 = 1000;
/// A site is taken to bear this much more than its share: with less than 10/14 of its doors up it spills.
const OVERPROVISIONED: u32 = 14;

/// One site that could be asked, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its share of the reads, in any unit; all zero: everything to the first.
    pub share: u32,
    /// Its doors.
    pub doors: u32,
    /// How many of them are up; zero also for a site that is out of rotation.
    pub up: u32,
}

/// Divides [`WHOLE`] among the candidates: each its share as far as its doors are up, what is left to the next in order
/// that can take it. All zero when no door is up.
#[must_use]
pub fn spread(candidates: &[Candidate]) -> Vec<u32> {
    let capacity = |c: &Candidate| {
        let up = WHOLE.saturating_mul(OVERPROVISIONED).saturating_mul(c.up.min(c.doors));
        (up / 10).checked_div(c.doors).unwrap_or(0).min(WHOLE)
    };
    let capacities: Vec<u32> = candidates.iter().map(capacity).collect();
    let wanted = wanted(candidates);
    let mut loads: Vec<u32> = wanted.iter().zip(&capacities).map(|(w, c)| *w.min(c)).collect();
    let mut left = WHOLE.saturating_sub(loads.iter().sum());
    for (load, capacity) in loads.iter_mut().zip(&capacities) {
        let taken = capacity.saturating_sub(*load).min(left);
        *load += taken;
        left -= taken;
    }
    // All together are too few: each takes more than is good for it, none that is down anything.
    let total: u32 = loads.iter().sum();
    if left > 0 && total > 0 {
        loads.iter_mut().for_each(|load| *load = load.saturating_mul(WHOLE) / total);
        let short = WHOLE.saturating_sub(loads.iter().sum());
        if let Some(load) = loads.iter_mut().find(|load| **load > 0) {
            *load += short;
        }
    }
    loads
}

/// The shares, brought to [`WHOLE`]; what rounding leaves goes to the first that has one.
fn wanted(candidates: &[Candidate]) -> Vec<u32> {
    let total: u64 = candidates.iter().map(|c| u64::from(c.share)).sum();
    if total == 0 {
        return (0..candidates.len()).map(|place| if place == 0 { WHOLE } else { 0 }).collect();
    }
    let part = |c: &Candidate| u32::try_from(u64::from(c.share) * u64::from(WHOLE) / total).unwrap_or(WHOLE);
    let mut wanted: Vec<u32> = candidates.iter().map(part).collect();
    let short = WHOLE.saturating_sub(wanted.iter().sum());
    if let Some(first) = wanted.iter_mut().find(|part| **part > 0) {
        *first += short;
    }
    wanted
}

/// The place of the candidate that the call with this number goes to; numbers in a row are spread evenly. `None` when
/// there is nothing to choose from.
#[must_use]
pub fn pick(loads: &[u32], number: u32) -> Option<usize> {
    let total: u32 = loads.iter().sum();
    // Multiples of the golden ratio: any few in a row lie evenly between 0 and 1.
    let fraction = u64::from(number.wrapping_mul(0x9e37_79b9));
    let mut lot = u32::try_from((fraction * u64::from(total)) >> 32).unwrap_or(0);
    for (place, load) in loads.iter().enumerate() {
        if lot < *load {
            return Some(place);
        }
        lot -= load;
    }
    None
}

//------------ Budget --------------------------------------------------------

/// Over how many seconds calls are counted.
const SLOTS: usize = 10;
/// Second attempts in that time which are always allowed.
const FLOOR: u64 = 100;
/// Calls for each further one.
const CALLS_EACH: u64 = 5;

/// Second attempts of one register's calls: at most a fifth of the calls of ten seconds, and a hundred.
///
/// Without it a provider that is too slow would be asked twice for everything by everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    slots: [Slot; SLOTS],
    taken: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    second: u64,
    calls: u64,
    repeated: u64,
}

impl Budget {
    /// A call begins.
    pub fn called(&mut self, at: Duration) {
        if let Some(slot) = self.slot(at) {
            slot.calls = slot.calls.saturating_add(1);
        }
    }

    /// Takes one second attempt, if there is one left.
    pub fn take(&mut self, at: Duration) -> bool {
        if self.left(at) == 0 {
            return false;
        }
        if let Some(slot) = self.slot(at) {
            slot.repeated = slot.repeated.saturating_add(1);
        }
        self.taken = self.taken.saturating_add(1);
        true
    }

    /// How many second attempts were made.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// How many second attempts are left.
    #[must_use]
    pub fn left(&self, at: Duration) -> u64 {
        let oldest = (at.as_secs() + 1).saturating_sub(SLOTS as u64);
        let fresh = || self.slots.iter().filter(|slot| slot.second >= oldest);
        let calls: u64 = fresh().map(|slot| slot.calls).sum();
        let repeated: u64 = fresh().map(|slot| slot.repeated).sum();
        (FLOOR + calls / CALLS_EACH).saturating_sub(repeated)
    }

    fn slot(&mut self, at: Duration) -> Option<&mut Slot> {
        let second = at.as_secs();
        let place = usize::try_from(second % SLOTS as u64).unwrap_or(0);
        let slot = self.slots.get_mut(place)?;
        if slot.second != second {
            *slot = Slot { second, calls: 0, repeated: 0 };
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn site(share: u32, doors: u32, up: u32) -> Candidate {
        Candidate { share, doors, up }
    }

    #[test]
    fn a_site_leaves_at_once_and_comes_back_late() {
        let mut home = Rotation::default();
        assert!(!home.look(ms(0), true) && home.is_in());
        assert!(home.look(ms(1000), false) && !home.is_in());
        assert!(!home.look(ms(2000), true));
        assert_eq!(home.back_at(ms(2000)), Some(ms(21_000)));
        assert!(!home.look(ms(20_999), true));
        assert!(home.look(ms(21_000), true) && home.is_in());
        // It relapses: it must be well for twenty seconds, then for forty.
        assert!(home.look(ms(22_000), false));
        assert!(!home.look(ms(22_100), true) && !home.look(ms(42_000), true));
        assert!(home.look(ms(42_100), true));
        assert!(home.look(ms(43_000), false) && !home.look(ms(43_000), true));
        assert!(!home.look(ms(82_999), true) && home.look(ms(83_000), true));
        // It was well for an hour: what was is forgotten.
        assert!(home.look(ms(4_000_000), false) && !home.look(ms(4_000_000), true));
        assert!(home.look(ms(4_020_000), true));
        assert_eq!(home.changes(), 8);
    }

    #[test]
    fn a_break_while_away_begins_the_wait_anew() {
        let mut home = Rotation::default();
        home.look(ms(0), false);
        home.look(ms(100), true);
        home.look(ms(19_000), false);
        assert!(!home.look(ms(19_100), true) && !home.look(ms(24_000), true));
        assert!(home.look(ms(24_100), true));
    }

    /// Looks each 50 ms; `is_up` is told the moment, and since when the site takes part.
    fn watch(span: u64, is_up: impl Fn(u64, Option<u64>) -> bool) -> Vec<u64> {
        let (mut rotation, mut changes, mut back) = (Rotation::default(), Vec::new(), Some(0));
        for at in (0..span).step_by(50) {
            if rotation.look(ms(at), is_up(at, back)) {
                changes.push(at / 1000);
                back = rotation.is_in().then_some(at);
            }
        }
        changes
    }

    #[test]
    fn what_a_site_does_and_how_often_it_changes() {
        let hour = 3_600_000;
        // Each half second up, each half second down: it leaves, and stays away.
        assert_eq!(watch(hour, |at, _| at / 500 % 2 == 0), [0]);
        // Six seconds up, six down: well for long enough once, then never.
        assert_eq!(watch(hour, |at, _| at / 6000 % 2 == 0), [6, 29, 30]);
        // It fails the moment it is trusted again, which is the worst that it can do.
        let worst = watch(hour, |_, back| back.is_none());
        assert_eq!(worst.get(..9), Some(&[0, 20, 20, 40, 40, 80, 80, 160, 160][..]), "{worst:?}");
        assert!(worst.len() < 35, "{worst:?}");
        // A minute and a second of health make it forget: three changes in two minutes, for ever.
        let slow = watch(hour, |at, back| back.is_none_or(|back| at < back + 61_000));
        assert!(slow.len() <= 90, "{slow:?}");
    }

    #[test]
    fn shares_are_kept_and_what_is_down_spills_in_order() {
        assert_eq!(spread(&[site(0, 1, 1), site(0, 1, 1)]), [1000, 0]);
        assert_eq!(spread(&[site(80, 1, 1), site(20, 1, 1)]), [800, 200]);
        assert_eq!(spread(&[site(80, 1, 0), site(20, 1, 1)]), [0, 1000]);
        assert_eq!(spread(&[site(80, 1, 1), site(20, 1, 0)]), [1000, 0]);
        // Half of home's doors are down: it bears seven tenths.
        assert_eq!(spread(&[site(0, 2, 1), site(0, 1, 1)]), [700, 300]);
        // Nine of ten are enough for all.
        assert_eq!(spread(&[site(0, 10, 9), site(0, 1, 1)]), [1000, 0]);
        assert_eq!(spread(&[site(0, 1, 0), site(0, 1, 0), site(0, 3, 3)]), [0, 0, 1000]);
        // All together are too few, and bear it alone.
        assert_eq!(spread(&[site(0, 10, 2), site(0, 10, 2)]), [500, 500]);
        assert_eq!(spread(&[site(5, 1, 0), site(5, 0, 0)]), [0, 0]);
        assert_eq!(spread(&[]), [0; 0]);
    }

    #[test]
    fn calls_in_a_row_are_spread_evenly() {
        let embassy = (0..100).filter(|n| pick(&[800, 200], *n) == Some(1)).count();
        assert!((19..=21).contains(&embassy), "{embassy}");
        assert_eq!(pick(&[0, 0], 7), None);
        assert_eq!(pick(&[], 7), None);
        assert!((0..1000).all(|n| pick(&[0, 1000], n) == Some(1)));
    }

    #[test]
    fn the_budget_is_a_fifth_and_a_floor() {
        let mut budget = Budget::default();
        assert_eq!(budget.left(ms(0)), 100);
        (0..50).for_each(|_| budget.called(ms(500)));
        assert_eq!(budget.left(ms(500)), 110);
        assert_eq!((0..200).filter(|_| budget.take(ms(900))).count(), 110);
        assert!(!budget.take(ms(9999)));
        assert_eq!(budget.taken(), 110);
        assert_eq!(budget.left(ms(10_000)), 100, "what is ten seconds old is forgotten");
    }

    proptest! {
        /// Whatever a site does, the worst of all included: of any ten seconds since it left one brought a change.
        #[test]
        fn no_flapping(steps in proptest::collection::vec((0u64..4000, 0u8..4, 0u64..200), 1..300)) {
            let (mut rotation, mut at, mut changes) = (Rotation::default(), 0, Vec::new());
            let mut look = |rotation: &mut Rotation, at: u64, is_up| {
                if rotation.look(ms(at), is_up) {
                    changes.push((at, rotation.is_in()));
                }
                // One that is down never stays.
                is_up || !rotation.is_in()
            };
            for (step, what, after) in steps {
                match what {
                    // Well until it is trusted again, and down a moment later.
                    0 => {
                        while !rotation.is_in() {
                            at += 50;
                            prop_assert!(look(&mut rotation, at, true));
                        }
                        at += after;
                        prop_assert!(look(&mut rotation, at, false));
                    }
                    _ => {
                        at += step;
                        prop_assert!(look(&mut rotation, at, what == 1));
                    }
                }
            }
            prop_assert_eq!(rotation.changes(), changes.len() as u64);
            for (place, (since, is_in)) in changes.iter().enumerate() {
                for (more, (t, _)) in changes.iter().skip(place).enumerate() {
                    // Whoever begins to count at a return sees that return besides.
                    let allowed = 1 + u64::from(*is_in) + (t - since) / 10_000;
                    prop_assert!((more as u64) < allowed, "{changes:?}");
                }
            }
        }

        /// Loads are the whole where any door is up, and nothing goes where none is.
        #[test]
        fn what_is_down_is_never_asked(sites in proptest::collection::vec((0u32..1000, 0u32..8, 0u32..8), 0..6)) {
            let sites: Vec<_> = sites.into_iter().map(|(share, doors, up)| site(share, doors, up)).collect();
            let loads = spread(&sites);
            let any_up = sites.iter().any(|s| s.doors.min(s.up) > 0);
            prop_assert_eq!(loads.iter().sum::<u32>(), if any_up { WHOLE } else { 0 });
            for (site, load) in sites.iter().zip(&loads) {
                prop_assert!(site.doors.min(site.up) > 0 || *load == 0);
            }
            prop_assert_eq!(pick(&loads, 12345).is_some(), any_up);
        }

        /// In any ten seconds: a fifth of the calls, and the floor.
        #[test]
        fn the_budget_holds(steps in proptest::collection::vec((0u64..300, 0u8..4), 1..2000)) {
            let (mut budget, mut at, mut calls, mut taken) = (Budget::default(), 0, Vec::new(), Vec::new());
            for (step, what) in steps {
                at += step;
                if what == 0 {
                    budget.called(ms(at));
                    calls.push(at / 1000);
                } else if budget.take(ms(at)) {
                    taken.push(at / 1000);
                    let fresh = |seconds: &[u64]| {
                        seconds.iter().filter(|s| **s + 10 > at / 1000).count() as u64
                    };
                    prop_assert!(fresh(&taken) <= FLOOR + fresh(&calls) / CALLS_EACH);
                }
            }
        }
    }
}
