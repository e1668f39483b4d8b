//! What the demo found, and which of its claims did not hold.

use super::load::{Call, Outcome, Tally};
use super::register::count_effects;
use super::state::State;
use super::story::Screen;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Calls that must be under way when home is killed, or the demo proved nothing.
const IN_FLIGHT_MIN: usize = 10;
/// How long it may take until a read is answered by the embassy.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// How long writes may wait while who leads changes as planned.
const PAUSE_MAX: Duration = Duration::from_millis(1500);

/// What the demo found, and which of its claims did not hold.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) first_exchange: Duration,
    /// Memory that the consumer's gateway holds at the end, in bytes.
    pub(super) resident: Option<u64>,
    pub(super) kills: Vec<Kill>,
    pub(super) evidence: Vec<String>,
    pub(super) untrue: Vec<String>,
}

/// When things happened, since the load began.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moments {
    /// Before the first planned change.
    pub(super) changed: Duration,
    /// Home was killed.
    pub(super) killed: Duration,
    /// The embassy was ordered to lead without home.
    pub(super) ordered: Duration,
    /// Home is started again.
    pub(super) back: Duration,
}

/// What is known besides the calls.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) in_flight: usize,
    /// Writes waited so long in each planned change.
    pub(super) waited: Vec<Duration>,
    /// What the operator was warned of.
    pub(super) warning: Option<String>,
    /// Ids of writes that the embassy's copy held when it was ordered to lead.
    pub(super) abroad: BTreeSet<String>,
    pub(super) returned_after: Option<Duration>,
    /// Second attempts of the consumer's gateway.
    pub(super) retried: u64,
}

/// One kill of home under load.
pub(super) struct Kill {
    seen: Seen,
    tally: Tally,
    /// From the kill to the first read that the embassy answered, and from the order to its first write.
    first_abroad: Option<Duration>,
    first_write: Option<Duration>,
    /// Calls that were not answered before home was killed, and after home was back.
    lost_before: usize,
    lost_after: usize,
    /// Writes that home had acknowledged and the embassy did not hold when it was ordered to lead.
    at_risk: usize,
    twice: usize,
    /// Writes that were called refused and took effect all the same.
    refused_and_done: usize,
    lost: usize,
}

impl Kill {
    /// What calls that are in the order they ended came to.
    ///
    /// # Errors
    /// When the registers' own books cannot be read.
    pub(super) fn of(calls: &[Call], at: Moments, seen: Seen, state: &State) -> anyhow::Result<Self> {
        let effects =
            count_effects(&[state.home.register_file.clone(), state.embassy.register_file.clone()])?;
        let writes = || calls.iter().filter(|c| c.write);
        let count = |id: &str| effects.get(id).copied().unwrap_or(0);
        let answered = |c: &&Call| matches!(c.outcome, Outcome::Answered(_));
        let abroad = |c: &&Call| c.outcome == Outcome::Answered("EMBASSY".to_owned());
        let first = |write: bool, since: Duration| {
            let found = calls.iter().find(|c| c.write == write && c.ended >= since && abroad(c))?;
            Some(found.ended.saturating_sub(since))
        };
        let began = |c: &Call| c.ended.saturating_sub(c.took);
        let unanswered = |from: Duration, until: Duration| {
            let within = calls.iter().filter(move |c| began(c) >= from && c.ended < until);
            within.filter(|c| !answered(c)).count()
        };
        let known_before = |c: &&Call| answered(c) && c.ended < at.killed && !seen.abroad.contains(&c.id);
        Ok(Self {
            tally: Tally::of(calls),
            first_abroad: first(false, at.killed),
            first_write: first(true, at.ordered),
            lost_before: unanswered(at.changed, at.killed),
            lost_after: unanswered(at.back, Duration::MAX),
            at_risk: writes().filter(known_before).count(),
            refused_and_done: writes().filter(|c| c.outcome == Outcome::Refused && count(&c.id) > 0).count(),
            twice: writes().filter(|c| count(&c.id) > 1).count(),
            lost: writes().filter(answered).filter(|c| count(&c.id) == 0).count(),
            seen,
        })
    }

    /// Tells the whole of it.
    pub(super) fn tell(&self, screen: &mut Screen<'_, '_>) {
        let (tally, none) = (&self.tally, || "no".to_owned());
        let millis = |span: Option<Duration>| span.map_or_else(none, |span| span.as_millis().to_string());
        let back = self.seen.returned_after.map_or_else(none, |after| format!("{:.1}", after.as_secs_f64()));
        screen.line(format!("  reads returned to HOME {back} s after it was back"));
        screen.line(format!(
            "  reads     {} answered, {} failed, longest {} ms; the first from EMBASSY {} ms after the kill",
            tally.reads_answered,
            tally.reads_failed,
            tally.read_longest.as_millis(),
            millis(self.first_abroad)
        ));
        screen.line(format!(
            "  writes    {} done, {} told \"outcome unknown\", {} refused and not done; the first by EMBASSY {} ms after the order",
            tally.writes_done,
            tally.writes_unknown,
            tally.writes_refused,
            millis(self.first_write)
        ));
        screen.line(format!(
            "  register  by its own book {} done twice, {} lost; {} that HOME had acknowledged were not abroad yet, and came with it",
            self.twice, self.lost, self.at_risk
        ));
        screen.line(format!(
            "  pause     {} ms at most without an answer to anybody; {} second attempts",
            tally.longest_pause.as_millis(),
            self.seen.retried
        ));
    }

    /// What of it should be true and is not.
    pub(super) fn untrue(&self, number: usize) -> Vec<String> {
        let (tally, seen) = (&self.tally, &self.seen);
        let within = |span: Option<Duration>| span.is_some_and(|span| span <= FIRST_WITHIN);
        let told = &tally.failures;
        let claims = [
            (
                seen.in_flight >= IN_FLIGHT_MIN,
                format!("at least {IN_FLIGHT_MIN} calls in flight, {} were", seen.in_flight),
            ),
            (tally.reads_failed == 0, format!("no read fails; told: {told:?}")),
            (tally.writes_failed == 0, format!("a write fails only in known words; told: {told:?}")),
            (
                self.refused_and_done == 0,
                format!("what is refused is not done, {} were", self.refused_and_done),
            ),
            (self.lost_before == 0, format!("a planned change fails no call, it did {}", self.lost_before)),
            (self.lost_after == 0, format!("when home is back no call fails, {} did", self.lost_after)),
            (
                seen.waited.iter().all(|waited| *waited <= PAUSE_MAX),
                format!("writes wait {PAUSE_MAX:?} at most, they did {:?}", seen.waited),
            ),
            (seen.warning.is_some(), "an operator who does not ask home is warned".to_owned()),
            (
                within(self.first_abroad),
                format!("the embassy answers within {FIRST_WITHIN:?}, it did after {:?}", self.first_abroad),
            ),
            (
                within(self.first_write),
                format!(
                    "the embassy takes writes within {FIRST_WITHIN:?}, it did after {:?}",
                    self.first_write
                ),
            ),
            (self.twice == 0, format!("no write is done twice, {} were", self.twice)),
            (
                self.lost == 0,
                format!("every write that was answered is in a register, {} are not", self.lost),
            ),
            (seen.returned_after.is_some(), "reads return to home".to_owned()),
        ];
        let untrue = claims.into_iter().filter(|(holds, _)| !holds);
        untrue.map(|(_, what)| format!("kill {}: {what}", number + 1)).collect()
    }
}

impl Findings {
    pub(super) fn to_json(&self) -> String {
        let sum = |of: fn(&Kill) -> usize| self.kills.iter().map(of).sum::<usize>();
        let mut answered_by: Vec<&str> =
            self.kills.iter().flat_map(|k| k.tally.answered_by.keys().map(String::as_str)).collect();
        answered_by.sort_unstable();
        answered_by.dedup();
        let longest =
            |of: fn(&Kill) -> Duration| self.kills.iter().map(of).max().unwrap_or_default().as_millis();
        let slowest = |of: fn(&Kill) -> Option<Duration>| {
            self.kills.iter().filter_map(of).max().map(|span| span.as_millis())
        };
        let waited: Vec<u128> =
            self.kills.iter().flat_map(|k| &k.seen.waited).map(Duration::as_millis).collect();
        json!({
            "first_exchange_ms": self.first_exchange.as_millis(),
            "consumer_gateway_resident_bytes": self.resident,
            "answered_by": answered_by,
            "kills": self.kills.len(),
            "in_flight_at_kill": self.kills.iter().map(|k| k.seen.in_flight).min(),
            "reads": {
                "answered": sum(|k| k.tally.reads_answered),
                "failed": sum(|k| k.tally.reads_failed),
                "longest_ms": longest(|k| k.tally.read_longest),
            },
            "writes": {
                "done": sum(|k| k.tally.writes_done),
                "unknown": sum(|k| k.tally.writes_unknown),
                "refused": sum(|k| k.tally.writes_refused),
                "failed": sum(|k| k.tally.writes_failed),
                "twice": sum(|k| k.twice),
                "lost": sum(|k| k.lost),
                "acknowledged_and_not_abroad": sum(|k| k.at_risk),
            },
            "retried": self.kills.iter().map(|k| k.seen.retried).sum::<u64>(),
            "planned_changes_waited_ms": waited,
            "failed_in_planned_changes": sum(|k| k.lost_before),
            "failed_after_home_was_back": sum(|k| k.lost_after),
            "first_read_abroad_ms": slowest(|k| k.first_abroad),
            "first_write_abroad_ms": slowest(|k| k.first_write),
            "reads_returned_after_ms": slowest(|k| k.seen.returned_after),
            "longest_pause_ms": longest(|k| k.tally.longest_pause),
            "evidence": self.evidence,
            "untrue": self.untrue,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_true_is_said() {
        let seen = Seen { in_flight: 3, waited: vec![Duration::from_secs(2)], ..Seen::default() };
        let tally = Tally { reads_failed: 1, ..Tally::default() };
        let kill = Kill {
            seen,
            tally,
            first_abroad: Some(Duration::from_secs(3)),
            first_write: None,
            lost_before: 4,
            lost_after: 5,
            at_risk: 0,
            twice: 6,
            refused_and_done: 7,
            lost: 8,
        };
        let untrue = kill.untrue(0);
        assert_eq!(untrue.len(), 12, "{untrue:#?}");
        assert_eq!(untrue[0], "kill 1: at least 10 calls in flight, 3 were");
        let found = Findings { kills: vec![kill], untrue, ..Findings::default() };
        let told: serde_json::Value = serde_json::from_str(&found.to_json()).unwrap();
        assert_eq!(told["planned_changes_waited_ms"], json!([2000]));
        assert_eq!((&told["writes"]["twice"], &told["failed_in_planned_changes"]), (&json!(6), &json!(4)));
    }
}
