//! Where each record lies, which belong to a query, which are not stamped. Rebuilt from the segments at start.

use super::codec::Content;
use super::{Direction, Kind};
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::limits::CALLS_REMEMBERED_MAX;
use saatkond_proto::time::UnixTime;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Where one record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// The segment.
    pub(super) segment: u64,
    /// Where in it.
    pub(super) offset: u64,
    /// The record of the time-stamp that covers it; 0 for none.
    pub(super) stamp: u64,
}

/// What the index needs to know of a record.
#[derive(Debug, Clone)]
pub(super) enum Note {
    Message { query_id: String, signature_digest: Vec<u8> },
    Stamp { covers: Vec<u64> },
}

impl Note {
    pub(super) fn of(content: &Content) -> Self {
        match content {
            Content::Message(m) => {
                Self::Message { query_id: m.query_id.clone(), signature_digest: m.signature_digest.clone() }
            }
            Content::Stamp(s) => Self::Stamp { covers: s.covers.iter().map(|(n, _)| *n).collect() },
        }
    }
}

/// The index. Records are numbered without gaps.
#[derive(Debug, Default)]
pub(super) struct Index {
    first: u64,
    rows: Vec<Row>,
    /// By hash of the query id: a reader compares the id itself.
    queries: HashMap<u64, Vec<u64>>,
    hasher: RandomState,
    unstamped: BTreeMap<u64, Vec<u8>>,
    /// Requests received shortly before the end, by what they are known again; noted at start only.
    heard: VecDeque<(UnixTime, Mark)>,
}

/// For how long before the end of the log requests are noted: longer than OCSP responses are fresh anywhere.
pub(super) const HEARD: Duration = Duration::from_secs(24 * 3600);

impl Index {
    /// Adds the next record.
    pub(super) fn add(&mut self, number: u64, segment: u64, offset: u64, note: Note) {
        if self.rows.is_empty() {
            self.first = number;
        }
        self.rows.push(Row { segment, offset, stamp: 0 });
        match note {
            Note::Message { query_id, signature_digest } => {
                self.queries.entry(self.hasher.hash_one(&query_id)).or_default().push(number);
                self.unstamped.insert(number, signature_digest);
            }
            Note::Stamp { covers } => {
                for covered in covers {
                    self.unstamped.remove(&covered);
                    if let Some(row) = self.row_mut(covered) {
                        row.stamp = number;
                    }
                }
            }
        }
    }

    /// Notes a request that was received, as the log is walked through.
    pub(super) fn hear(&mut self, content: &Content) {
        let Content::Message(message) = content else { return };
        if (message.kind, message.direction) != (Kind::Request, Direction::Received) {
            return;
        }
        let oldest = message.time.minus(HEARD);
        while self.heard.pop_front_if(|(time, _)| *time < oldest).is_some() {}
        if self.heard.len() < CALLS_REMEMBERED_MAX {
            self.heard.push_back((message.time, Mark::of(&message.message, &message.proof.signature)));
        }
    }

    /// Takes the requests that were noted.
    pub(super) fn take_heard(&mut self) -> Vec<(UnixTime, Mark)> {
        std::mem::take(&mut self.heard).into()
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(super) fn row(&self, number: u64) -> Option<Row> {
        self.rows.get(self.place(number)?).copied()
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        let place = self.place(number)?;
        self.rows.get_mut(place)
    }

    /// Records that may belong to this query, ascending.
    pub(super) fn of_query(&self, query_id: &str) -> Vec<u64> {
        self.queries.get(&self.hasher.hash_one(query_id)).cloned().unwrap_or_default()
    }

    /// The numbers of all records, ascending.
    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.first.saturating_add(self.rows.len() as u64)
    }

    /// Messages without a time-stamp, oldest first: number and digest of the signature document.
    pub(super) fn unstamped(&self, max: usize) -> Vec<(u64, Vec<u8>)> {
        self.unstamped.iter().take(max).map(|(n, d)| (*n, d.clone())).collect()
    }

    pub(super) fn unstamped_count(&self) -> usize {
        self.unstamped.len()
    }
}
