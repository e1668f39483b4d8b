//! Whether a door answers: when its silence is suspicious, and when its failures are too many.
//!
//! Everything here is a state machine that is told what happened and when. A moment is the time since any fixed one, on a
//! clock that never goes back. What follows from health is decided in [`route`](super::route).
//!
//! | machine | fed by | says |
//! |---|---|---|
//! | [`Pulse`] | answers to probes, and every other sign of life | whether a door has been silent for longer than it ever is |
//! | [`Breaker`] | calls of one kind for one register at one door | whether they fail there, and when one may try again |
//! | [`Pace`] | how long such calls took | for how long an answer is nothing unusual |
//!
//! None of them is ever a permission to write.

use std::collections::VecDeque;
use std::time::Duration;

//------------ Pulse ---------------------------------------------------------

/// Spans between answers that are remembered.
const RHYTHM_LEN: usize = 64;
/// Spans that must be known before silence means anything.
const RHYTHM_MIN: usize = 3;
/// The longest span that is remembered.
const SPAN_MAX: Duration = Duration::from_secs(1);
/// Answers in a row, each after a silence that was suspicious, after which this is how the door answers now.
const STRANGE_MAX: u32 = 8;
/// The least that spans are taken to vary: processes wait for a processor now and then.
const VARIATION_MIN: Duration = Duration::from_millis(75);
/// How many variations after the usual moment an answer is overdue: there suspicion is 8, once in 100,000,000 answers.
const OVERDUE: f64 = 5.223;
/// Probes in a row that were refused, or broke, after which a door is down without waiting for silence.
const MISSES_MAX: u32 = 2;

/// Signs of life of one door: an accrual failure detector.
///
/// Silence is measured by what is usual for this door: one that answers each 250 ms is suspicious after 650 ms, one behind
/// a link that wavers later. An outage is not a rhythm: a silence that was suspicious teaches nothing, or a link that comes
/// and goes would soon be taken for one that is well. Only when every answer comes like that, what is usual is learned anew.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    last: Option<Duration>,
    rhythm: VecDeque<Duration>,
    /// Answers in a row that came after a suspicious silence.
    strange: u32,
    misses: u32,
}

impl Pulse {
    /// A probe was answered.
    pub fn answered(&mut self, at: Duration) {
        if let Some(last) = self.last {
            let is_strange = self.overdue().is_some_and(|overdue| at >= overdue);
            self.strange = if is_strange { self.strange.saturating_add(1) } else { 0 };
            if self.strange >= STRANGE_MAX {
                self.strange = 0;
                self.rhythm.clear();
            } else if !is_strange {
                self.learns(at.saturating_sub(last));
            }
        }
        self.heard(at);
    }

    fn learns(&mut self, span: Duration) {
        if self.rhythm.len() == RHYTHM_LEN {
            self.rhythm.pop_front();
        }
        self.rhythm.push_back(span.min(SPAN_MAX));
    }

    /// Something else was heard of the door: an answer to a call.
    pub fn heard(&mut self, at: Duration) {
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.misses = 0;
    }

    /// A probe was refused, or its connection broke.
    pub const fn missed(&mut self) {
        self.misses = self.misses.saturating_add(1);
    }

    /// Nobody asks any more: its silence means nothing until it is heard again.
    pub const fn rest(&mut self) {
        self.last = None;
        self.misses = 0;
    }

    /// Nobody was listening for so long: the silence of that time is not the door's.
    pub fn pardon(&mut self, deaf: Duration) {
        self.last = self.last.map(|last| last.saturating_add(deaf));
    }

    /// How suspicious the present silence is: an answer after a silence this long comes once in ten to this power.
    /// Zero while too little is known.
    #[must_use]
    pub fn suspicion(&self, at: Duration) -> f64 {
        let (Some(last), Some((mean, variation))) = (self.last, self.usual()) else { return 0.0 };
        let y = (at.saturating_sub(last).as_secs_f64() - mean) / variation;
        // The tail of a normal distribution, by a logistic curve.
        let e = (-y * (1.5976 + 0.070_566 * y * y)).exp();
        if y > 0.0 { -(e / (1.0 + e)).log10() } else { -(1.0 - 1.0 / (1.0 + e)).log10() }
    }

    /// The moment at which the door will have been silent for too long, if nothing is heard until then.
    #[must_use]
    pub fn overdue(&self) -> Option<Duration> {
        let (mean, variation) = self.usual()?;
        Some(self.last? + Duration::from_secs_f64(mean + OVERDUE * variation))
    }

    /// Whether the door is there, for all that is known: one that nothing was ever heard of is, until it refuses.
    #[must_use]
    pub fn is_up(&self, at: Duration) -> bool {
        !self.refuses() && self.overdue().is_none_or(|overdue| at < overdue)
    }

    /// Whether it is down because it refused, not because it is silent.
    #[must_use]
    pub const fn refuses(&self) -> bool {
        self.misses >= MISSES_MAX
    }

    /// When something was last heard of it.
    #[must_use]
    pub const fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Mean and variation of the spans between answers, in seconds.
    fn usual(&self) -> Option<(f64, f64)> {
        if self.rhythm.len() < RHYTHM_MIN {
            return None;
        }
        let count = f64::from(u32::try_from(self.rhythm.len()).unwrap_or(u32::MAX));
        let mean = self.rhythm.iter().map(Duration::as_secs_f64).sum::<f64>() / count;
        let square = |span: &Duration| (span.as_secs_f64() - mean).powi(2);
        let variation = (self.rhythm.iter().map(square).sum::<f64>() / count).sqrt();
        Some((mean, variation.max(VARIATION_MIN.as_secs_f64())))
    }
}

//------------ Breaker -------------------------------------------------------

/// How a breaker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it is open before a call may try, and between two that try.
    pub pause: Duration,
}

/// Whether calls of one kind for one register fail at one door.
#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    rules: BreakerRules,
    failures: u32,
    /// When it opened, or a call was last let try.
    open: Option<Duration>,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub const fn new(rules: BreakerRules) -> Self {
        Self { rules, failures: 0, open: None }
    }

    /// A call was answered.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// A call failed.
    pub const fn failed(&mut self, at: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.rules.failures {
            self.open = Some(at);
        }
    }

    /// Whether calls are kept away.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether one call may now try: an open breaker lets one through in each pause.
    #[must_use]
    pub fn may_try(&self, at: Duration) -> bool {
        self.open.is_some_and(|since| at.saturating_sub(since) >= self.rules.pause)
    }

    /// Lets one call try; the next waits for another pause.
    pub const fn tries(&mut self, at: Duration) {
        if self.open.is_some() {
            self.open = Some(at);
        }
    }

    /// Failures since a call was last answered.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

//------------ Pace ----------------------------------------------------------

/// The shortest time that is waited before an answer counts as late.
const PATIENCE_MIN: Duration = Duration::from_millis(250);
/// The same while nothing is known.
const PATIENCE_UNKNOWN: Duration = Duration::from_millis(500);
/// The longest: whoever is slower than that is waited for, as long as its door gives signs of life.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// How long calls take: smoothed mean and deviation, as TCP estimates round trips (RFC 6298).
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace(Option<(Duration, Duration)>);

impl Pace {
    /// A call was answered after so long.
    pub fn took(&mut self, span: Duration) {
        let span = span.min(PATIENCE_MAX);
        self.0 = Some(match self.0 {
            None => (span, span / 2),
            Some((mean, deviation)) => (mean * 7 / 8 + span / 8, deviation * 3 / 4 + mean.abs_diff(span) / 4),
        });
    }

    /// The smoothed mean, if any call was answered.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.0.map(|(mean, _)| mean)
    }

    /// How long an answer may take and be nothing unusual.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let usual = |(mean, deviation): (Duration, Duration)| {
            mean.saturating_add(deviation.saturating_mul(4)).clamp(PATIENCE_MIN, PATIENCE_MAX)
        };
        self.0.map_or(PATIENCE_UNKNOWN, usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn regular(every: u64, count: u64) -> Pulse {
        let mut pulse = Pulse::default();
        (0..count).for_each(|n| pulse.answered(ms(n * every)));
        pulse
    }

    #[test]
    fn silence_is_suspicious_by_what_is_usual() {
        let pulse = regular(250, 20);
        let last = 19 * 250;
        assert!(pulse.is_up(ms(last + 600)) && !pulse.is_up(ms(last + 700)));
        assert!(pulse.suspicion(ms(last + 250)) < 1.0);
        let overdue = pulse.overdue().unwrap();
        assert!((pulse.suspicion(overdue) - 8.0).abs() < 0.01, "{}", pulse.suspicion(overdue));
        // A door whose answers waver is waited for longer.
        let mut wavering = Pulse::default();
        let mut at = 0;
        for n in 0..40 {
            at += if n % 2 == 0 { 100 } else { 600 };
            wavering.answered(ms(at));
        }
        assert!(wavering.is_up(ms(at + 1200)));
    }

    #[test]
    fn a_door_that_refuses_twice_is_down_until_it_answers() {
        let mut pulse = regular(250, 20);
        pulse.missed();
        assert!(pulse.is_up(ms(5000)));
        pulse.missed();
        assert!(!pulse.is_up(ms(5000)));
        pulse.heard(ms(5100));
        assert!(pulse.is_up(ms(5100)));
        assert!(Pulse::default().is_up(ms(1)), "nothing is known");
    }

    #[test]
    fn who_did_not_listen_blames_nobody() {
        let mut pulse = regular(250, 20);
        let woken = ms(19 * 250) + ms(10_100);
        assert!(!pulse.is_up(woken));
        pulse.pardon(ms(10_000));
        assert!(pulse.is_up(woken));
        pulse.rest();
        assert!(pulse.is_up(Duration::from_secs(3600)) && pulse.last().is_none());
    }

    #[test]
    fn an_outage_does_not_teach_patience() {
        let mut pulse = regular(250, 30);
        pulse.answered(ms(29 * 250) + Duration::from_secs(3600));
        let back = pulse.last().unwrap();
        assert!(!pulse.is_up(back + ms(1100)));
        // Nor do many, as long as it answers as usual in between.
        let mut at = 0;
        let mut pulse = regular(250, 20);
        for _ in 0..100 {
            at = pulse.last().unwrap().as_millis() as u64;
            (1..4).for_each(|n| pulse.answered(ms(at + n * 250)));
            pulse.answered(ms(at + 750 + 1000));
            assert!(!pulse.is_up(ms(at + 1750 + 700)));
        }
        // A door that always answers like that is another door.
        (1..=u64::from(STRANGE_MAX) + 4).for_each(|n| pulse.answered(ms(at + 1750 + n * 900)));
        let last = pulse.last().unwrap();
        assert!(pulse.is_up(last + ms(1000)) && !pulse.is_up(last + ms(1500)));
    }

    #[test]
    fn a_breaker_opens_lets_one_try_and_closes() {
        let mut breaker = Breaker::new(BreakerRules { failures: 3, pause: ms(1000) });
        breaker.failed(ms(1));
        breaker.failed(ms(2));
        breaker.succeeded();
        breaker.failed(ms(3));
        breaker.failed(ms(4));
        assert!(!breaker.is_open() && !breaker.may_try(ms(5)));
        breaker.failed(ms(5));
        assert!(breaker.is_open() && !breaker.may_try(ms(1004)) && breaker.may_try(ms(1005)));
        breaker.tries(ms(1005));
        assert!(!breaker.may_try(ms(2004)) && breaker.may_try(ms(2005)));
        breaker.succeeded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn patience_follows_the_calls() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(), PATIENCE_UNKNOWN);
        (0..50).for_each(|_| pace.took(ms(20)));
        assert_eq!(pace.patience(), PATIENCE_MIN);
        (0..50).for_each(|_| pace.took(ms(2000)));
        assert!(pace.patience() >= ms(2000), "{:?}", pace.patience());
        (0..50).for_each(|_| pace.took(Duration::MAX / 2));
        assert_eq!(pace.patience(), PATIENCE_MAX);
    }

    proptest! {
        /// An open breaker lets at most one call try in each pause.
        #[test]
        fn an_open_breaker_lets_few_through(steps in proptest::collection::vec(0u64..400, 1..200)) {
            let mut breaker = Breaker::new(BreakerRules { failures: 1, pause: ms(1000) });
            breaker.failed(ms(0));
            let (mut at, mut tries) = (0, 0);
            for step in steps {
                at += step;
                if breaker.may_try(ms(at)) {
                    breaker.tries(ms(at));
                    breaker.failed(ms(at));
                    tries += 1;
                }
            }
            prop_assert!(tries <= at / 1000);
        }

        /// No order of events panics, and a sign of life always ends suspicion.
        #[test]
        fn a_sign_of_life_ends_suspicion(events in proptest::collection::vec((0u8..4, 0u64..5000), 0..200)) {
            let (mut pulse, mut at) = (Pulse::default(), 0);
            for (what, step) in events {
                at += step;
                match what {
                    0 => pulse.answered(ms(at)),
                    1 => pulse.heard(ms(at)),
                    2 => pulse.missed(),
                    _ => prop_assert!(pulse.suspicion(ms(at)) >= 0.0),
                }
            }
            pulse.heard(ms(at));
            prop_assert!(pulse.is_up(ms(at)));
        }
    }
}
