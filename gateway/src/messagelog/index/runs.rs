//! Which messages have no time-stamp, and which time-stamp covers which: as runs of record numbers.
//!
//! Stamps cover the oldest messages first, so both are few runs however many records there are.

use std::collections::BTreeMap;
use std::ops::Range;

/// Record numbers of messages without a time-stamp.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Unstamped {
    /// By their begin: where they end.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Unstamped {
    /// Adds a message; it is younger than all others.
    pub(super) fn push(&mut self, number: u64) {
        self.extend(number..number + 1);
    }

    /// Adds messages that are younger than all others.
    pub(super) fn extend(&mut self, numbers: Range<u64>) {
        if numbers.is_empty() {
            return;
        }
        self.count += numbers.end - numbers.start;
        match self.runs.last_entry() {
            Some(mut last) if *last.get() == numbers.start => {
                last.insert(numbers.end);
            }
            _ => {
                self.runs.insert(numbers.start, numbers.end);
            }
        }
    }

    /// Takes messages out that have a time-stamp now.
    pub(super) fn remove(&mut self, numbers: Range<u64>) {
        let touching = self.runs.range(..numbers.end).rev().take_while(|(_, end)| **end > numbers.start);
        let touching: Vec<Range<u64>> = touching.map(|(begin, end)| *begin..*end).collect();
        for run in touching {
            self.runs.remove(&run.start);
            self.count -= run.end - run.start;
            for rest in [run.start..numbers.start.min(run.end), numbers.end.max(run.start)..run.end] {
                if !rest.is_empty() {
                    self.count += rest.end - rest.start;
                    self.runs.insert(rest.start, rest.end);
                }
            }
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    pub(super) const fn len(&self) -> u64 {
        self.count
    }

    /// The oldest of them.
    pub(super) fn first(&self) -> Option<u64> {
        self.runs.first_key_value().map(|(begin, _)| *begin)
    }

    /// The oldest of them, `max` at most, as runs.
    pub(super) fn oldest(&self, max: u64) -> Vec<Range<u64>> {
        let mut left = max;
        let mut runs = Vec::new();
        for (begin, end) in &self.runs {
            if left == 0 {
                break;
            }
            let end = (*end).min(begin.saturating_add(left));
            left -= end - begin;
            runs.push(*begin..end);
        }
        runs
    }
}

/// Records that one time-stamp covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The record of the time-stamp.
    pub(super) stamp: u64,
}

/// What the time-stamps of one segment cover. No record is covered twice: the first time-stamp counts.
#[derive(Debug, Default, Clone)]
pub(super) struct Covered(BTreeMap<u64, Run>);

impl Covered {
    /// Notes that `stamp` covers these records, as far as no other does.
    pub(super) fn add(&mut self, numbers: Range<u64>, stamp: u64) {
        let mut begin = numbers.start;
        let before = self.0.range(..=begin).next_back().map(|(_, run)| run.end);
        let within: Vec<Run> = self.0.range(begin..numbers.end).map(|(_, run)| *run).collect();
        begin = begin.max(before.unwrap_or(0));
        for run in within {
            self.insert(begin..run.begin, stamp);
            begin = begin.max(run.end);
        }
        self.insert(begin..numbers.end, stamp);
    }

    fn insert(&mut self, numbers: Range<u64>, stamp: u64) {
        if !numbers.is_empty() {
            let run = Run { begin: numbers.start, end: numbers.end, stamp };
            self.0.insert(run.begin, run);
        }
    }

    /// The time-stamp that covers a record.
    pub(super) fn of(&self, number: u64) -> Option<u64> {
        let run = self.0.range(..=number).next_back()?.1;
        (number < run.end).then_some(run.stamp)
    }

    /// All runs, ascending.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.0.values().copied().collect()
    }
}

/// The runs in a list of numbers.
pub(super) fn runs_of(numbers: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn runs_hold_what_a_set_would(removals in prop::collection::vec((0u64..120, 0u64..30), 0..12)) {
            let (mut runs, mut set) = (Unstamped::default(), BTreeSet::new());
            for number in (1..100).filter(|n| n % 13 != 0) {
                runs.push(number);
                set.insert(number);
            }
            for (begin, length) in removals {
                runs.remove(begin..begin + length);
                set.retain(|n| !(begin..begin + length).contains(n));
                prop_assert_eq!(runs.len(), set.len() as u64);
                prop_assert_eq!(runs.first(), set.first().copied());
                prop_assert!((0..130).all(|n| runs.contains(n) == set.contains(&n)));
                let oldest: Vec<u64> = runs.oldest(7).into_iter().flatten().collect();
                prop_assert_eq!(oldest, set.iter().take(7).copied().collect::<Vec<_>>());
            }
        }

        #[test]
        fn the_first_time_stamp_counts(stamps in prop::collection::vec((0u64..100, 0u64..30), 0..12)) {
            let (mut covered, mut map) = (Covered::default(), BTreeMap::new());
            for (stamp, (begin, length)) in (1000..).zip(stamps) {
                covered.add(begin..begin + length, stamp);
                for number in begin..begin + length {
                    map.entry(number).or_insert(stamp);
                }
            }
            for number in 0..140 {
                prop_assert_eq!(covered.of(number), map.get(&number).copied());
            }
            let runs = covered.runs();
            prop_assert!(runs.windows(2).all(|w| w[0].end <= w[1].begin));
        }
    }
}
