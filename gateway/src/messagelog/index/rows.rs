//! What is known of the records of one segment, in memory: of the one that is written, and until an index file is made.

use super::runs::{Covered, Run, runs_of};
use crate::messagelog::bodies::BodyName;
use crate::messagelog::codec::{Attachment, Content};
use crate::messagelog::disk::Name;
use crate::messagelog::entry::{Direction, Kind};
use crate::messagelog::sum::sum_of;
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_proto::time::UnixTime;
use std::collections::HashMap;
use std::io;
use std::ops::Range;

/// What the index needs to know of a record.
#[derive(Debug, Clone)]
pub(in crate::messagelog) enum Note {
    Message(Box<MessageNote>),
    Stamp { time: UnixTime, covers: Vec<Range<u64>> },
}

/// What the index needs to know of a message.
#[derive(Debug, Clone)]
pub(in crate::messagelog) struct MessageNote {
    time: UnixTime,
    query: Key,
    members: [Key; 2],
    bodies: Vec<BodyName>,
    /// Of a request that was received.
    mark: Option<Mark>,
}

#[cfg(test)]
impl MessageNote {
    /// A message of this query and of nobody.
    pub(super) const fn of_query(time: UnixTime, query: Key) -> Self {
        Self { time, query, members: [query, query], bodies: Vec::new(), mark: None }
    }
}

/// What a query id or a member is looked up by; whoever looks compares the id itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::messagelog) struct Key(pub(super) u64);

impl Key {
    pub(in crate::messagelog) fn of_query(query_id: &str) -> Self {
        Self::of(&[b"query", query_id.as_bytes()])
    }

    pub(in crate::messagelog) fn of_member(member: &MemberId) -> Self {
        let parts = [&member.instance, &member.class, &member.code].map(|part| sum_of(&[part.as_bytes()]));
        Self::of(&[b"member", &parts[0].0, &parts[1].0, &parts[2].0])
    }

    fn of(parts: &[&[u8]]) -> Self {
        Self(sum_of(parts).0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)))
    }
}

impl Note {
    pub(in crate::messagelog) fn of(content: &Content) -> Self {
        match content {
            Content::Message(m) => {
                let member = |client: &ClientId| Key::of_member(&client.member);
                let bodies = m.attachments.iter().filter_map(|attachment| match attachment {
                    Attachment::File { name, .. } => Some(*name),
                    Attachment::Inline(_) | Attachment::Omitted { .. } => None,
                });
                Self::Message(Box::new(MessageNote {
                    time: m.time,
                    query: Key::of_query(&m.query_id),
                    members: [member(&m.client), member(&m.service.client)],
                    bodies: bodies.collect(),
                    mark: (m.kind == Kind::Request && m.direction == Direction::Received)
                        .then(|| Mark::of(&m.message, &m.proof.signature)),
                }))
            }
            Content::Stamp(s) => {
                Self::Stamp { time: s.time, covers: runs_of(s.covers.iter().map(|(number, _)| *number)) }
            }
        }
    }
}

/// Where one record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Where in its segment.
    pub(super) offset: u64,
    /// When it was recorded.
    pub(super) time: UnixTime,
    /// Whether it is a time-stamp.
    pub(super) is_stamp: bool,
}

/// What can be asked of one segment. Numbers are those of records; all lists ascend.
pub(super) trait Known {
    /// The numbers of its records.
    fn numbers(&self) -> Range<u64>;
    /// Rows of these records, as far as they are here.
    fn rows(&self, numbers: Range<u64>) -> io::Result<Vec<Row>>;
    /// The times of the oldest and the youngest record.
    fn times(&self) -> Option<(UnixTime, UnixTime)>;
    /// What its queries and members are looked up by, each once.
    fn keys(&self) -> io::Result<Vec<Key>>;
    /// Records that may belong to this query.
    fn of_query(&self, query: Key) -> io::Result<Vec<u64>>;
    /// Records in which this member may speak or be spoken to.
    fn of_member(&self, member: Key) -> io::Result<Vec<u64>>;
    /// The time-stamp in this segment that covers a record in this one or before it.
    fn stamp_of(&self, number: u64) -> io::Result<Option<u64>>;
    /// What the time-stamps in this segment cover.
    fn covered(&self) -> io::Result<Vec<Run>>;
    /// The time-stamps in this segment.
    fn stamps(&self) -> io::Result<Vec<u64>>;
    /// Bodies in files of their own.
    fn bodies(&self) -> io::Result<Vec<BodyName>>;
    /// Requests that were received, and by what each is known again.
    fn heard(&self) -> io::Result<Vec<(UnixTime, Mark)>>;
}

/// Rows in memory.
#[derive(Debug)]
pub(in crate::messagelog) struct Rows {
    pub(super) name: Name,
    pub(super) rows: Vec<Row>,
    queries: HashMap<Key, Vec<u64>>,
    members: HashMap<Key, Vec<u64>>,
    covered: Covered,
    bodies: Vec<BodyName>,
    heard: Vec<(UnixTime, Mark)>,
}

impl Rows {
    pub(in crate::messagelog) fn new(name: Name) -> Self {
        Self {
            name,
            rows: Vec::new(),
            queries: HashMap::new(),
            members: HashMap::new(),
            covered: Covered::default(),
            bodies: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(in crate::messagelog) const fn name(&self) -> Name {
        self.name
    }

    /// The messages of each query.
    pub(super) fn queries(&self) -> impl Iterator<Item = (&Key, &Vec<u64>)> {
        self.queries.iter()
    }

    /// The messages of each member.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Key, &Vec<u64>)> {
        self.members.iter()
    }

    /// Adds the next record, which begins at `offset`.
    pub(in crate::messagelog) fn add(&mut self, offset: u64, note: Note) {
        let number = self.numbers().end;
        match note {
            Note::Message(message) => {
                let MessageNote { time, query, members: [one, other], bodies, mark } = *message;
                self.rows.push(Row { offset, time, is_stamp: false });
                self.queries.entry(query).or_default().push(number);
                self.members.entry(one).or_default().push(number);
                if other != one {
                    self.members.entry(other).or_default().push(number);
                }
                self.bodies.extend(bodies);
                self.heard.extend(mark.map(|mark| (time, mark)));
            }
            Note::Stamp { time, covers } => {
                self.rows.push(Row { offset, time, is_stamp: true });
                covers.into_iter().for_each(|run| self.covered.add(run, number));
            }
        }
    }

    fn within<'a, T>(&self, of: &'a [T], numbers: &Range<u64>) -> &'a [T] {
        let place =
            |number: u64| usize::try_from(number.saturating_sub(self.name.record)).unwrap_or(usize::MAX);
        let end = place(numbers.end).min(of.len());
        of.get(place(numbers.start)..end).unwrap_or_default()
    }
}

impl Known for Rows {
    fn numbers(&self) -> Range<u64> {
        self.name.record..self.name.record + self.rows.len() as u64
    }

    fn rows(&self, numbers: Range<u64>) -> io::Result<Vec<Row>> {
        Ok(self.within(&self.rows, &numbers).to_vec())
    }

    fn times(&self) -> Option<(UnixTime, UnixTime)> {
        let times = self.rows.iter().map(|row| row.time);
        times.clone().min().zip(times.max())
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        Ok(self.queries.keys().chain(self.members.keys()).copied().collect())
    }

    fn of_query(&self, query: Key) -> io::Result<Vec<u64>> {
        Ok(self.queries.get(&query).cloned().unwrap_or_default())
    }

    fn of_member(&self, member: Key) -> io::Result<Vec<u64>> {
        Ok(self.members.get(&member).cloned().unwrap_or_default())
    }

    fn stamp_of(&self, number: u64) -> io::Result<Option<u64>> {
        Ok(self.covered.of(number))
    }

    fn covered(&self) -> io::Result<Vec<Run>> {
        Ok(self.covered.runs())
    }

    fn stamps(&self) -> io::Result<Vec<u64>> {
        let stamps = self.numbers().zip(&self.rows).filter(|(_, row)| row.is_stamp);
        Ok(stamps.map(|(number, _)| number).collect())
    }

    fn bodies(&self) -> io::Result<Vec<BodyName>> {
        Ok(self.bodies.clone())
    }

    fn heard(&self) -> io::Result<Vec<(UnixTime, Mark)>> {
        Ok(self.heard.clone())
    }
}
