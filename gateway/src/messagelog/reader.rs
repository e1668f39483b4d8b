//! Looks into a log without disturbing it: beside the process that writes it, or where no process does.

use super::codec::{Content, Message, Stamp};
use super::export::Stamped;
use super::index::{Index, Key};
use super::{LogError, export};
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A log, looked into: as it was when this was opened, or as it grows, for [`MessageLog::reader`](super::MessageLog::reader).
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    index: Arc<Index>,
    stamps: Mutex<VecDeque<Arc<Stamped>>>,
}

/// Time-stamps whose hash trees are kept; one over 10 000 messages takes 3 MiB.
const STAMPS_KEPT: usize = 4;

/// A message in the log, with its number and what stamps it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The record's number.
    pub number: u64,
    /// The record of its time-stamp.
    pub stamp: Option<u64>,
    /// The message.
    pub message: Message,
}

/// What is looked for; nothing for everything.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Messages that a member may have sent or received, or one of its subsystems.
    pub member: Option<MemberId>,
    /// Recorded at this moment or later.
    pub since: Option<UnixTime>,
    /// Recorded before this moment.
    pub until: Option<UnixTime>,
}

impl LogReader {
    /// Reads the log in `dir` as it is now. The last segment is walked through; of the others only what is asked for is
    /// read, and its sum checked: [`LogReader::verify`] checks everything.
    ///
    /// # Errors
    /// [`LogError::Disk`], [`LogError::Damaged`].
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let (index, _) = Index::open(dir, false)?;
        Ok(Self::of(dir, Arc::new(index)))
    }

    pub(super) fn of(dir: &Path, index: Arc<Index>) -> Self {
        Self { dir: dir.to_owned(), index, stamps: Mutex::default() }
    }

    /// The numbers of all records, ascending; messages and time-stamps.
    #[must_use]
    pub fn numbers(&self) -> Range<u64> {
        self.index.numbers()
    }

    /// Messages that have no time-stamp.
    #[must_use]
    pub fn unstamped(&self) -> usize {
        usize::try_from(self.index.unstamped_count()).unwrap_or(usize::MAX)
    }

    /// A message; `None` when the record is a time-stamp.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn message(&self, number: u64) -> Result<Option<Found>, LogError> {
        match self.index.read(number)? {
            Content::Message(message) => {
                let stamp = self.index.stamp_of(number)?;
                Ok(Some(Found { number, stamp, message: *message }))
            }
            Content::Stamp(_) => Ok(None),
        }
    }

    /// The messages of a query, oldest first.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn of_query(&self, query_id: &str) -> Result<Vec<Found>, LogError> {
        self.each_of_query(query_id)?.collect()
    }

    /// The messages of a query, oldest first, each read when it is asked for: they may be many.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn each_of_query(
        &self,
        query_id: &str,
    ) -> Result<impl Iterator<Item = Result<Found, LogError>>, LogError> {
        let numbers = self.index.of_query(Key::of_query(query_id))?;
        let found = numbers.into_iter().filter_map(|number| self.message(number).transpose());
        Ok(found.filter(move |found| found.as_ref().map_or(true, |f| f.message.query_id == query_id)))
    }

    /// The messages that may be what is looked for, the youngest first.
    pub fn look(&self, look: Look) -> impl Iterator<Item = Result<Found, LogError>> + '_ {
        let member = look.member.as_ref().map(Key::of_member);
        let of_segment = move |name| self.index.look(name, member, (look.since, look.until));
        let numbers = self.index.names().into_iter().rev().flat_map(move |name| match of_segment(name) {
            Ok(numbers) => numbers.into_iter().rev().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        numbers.filter_map(|number| number.and_then(|number| self.message(number)).transpose())
    }

    /// A time-stamp record; `None` when the record is a message.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn stamp(&self, number: u64) -> Result<Option<Stamp>, LogError> {
        match self.index.read(number)? {
            Content::Stamp(stamp) => Ok(Some(stamp)),
            Content::Message(_) => Ok(None),
        }
    }

    /// Walks through the whole log: checks every sum and the chain from the first record to the last, and holds each
    /// index against its segment. `each` is told how many segments are done, of how many.
    ///
    /// # Errors
    /// [`LogError::Disk`], [`LogError::Damaged`].
    pub fn verify(&self, each: impl FnMut(usize, usize)) -> Result<(), LogError> {
        self.index.verify(each)
    }

    /// Writes a message and its proof as an ASiC-E container.
    ///
    /// # Errors
    /// [`export::ExportError`].
    pub fn export<W: Write>(&self, found: &Found, sink: W) -> Result<W, export::ExportError> {
        let stamped = match found.stamp {
            Some(number) => self.stamped(number)?,
            None => None,
        };
        export::write(&self.dir, found, stamped.as_deref(), sink)
    }

    /// A time-stamp with its hash tree; the last ones are kept, for neighbours share them.
    pub(super) fn stamped(&self, number: u64) -> Result<Option<Arc<Stamped>>, LogError> {
        let kept = || self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stamped) = kept().iter().find(|s| s.number() == number) {
            return Ok(Some(Arc::clone(stamped)));
        }
        let Some(stamp) = self.stamp(number)? else { return Ok(None) };
        let stamped = Arc::new(Stamped::new(number, stamp));
        let mut kept = kept();
        kept.truncate(STAMPS_KEPT - 1);
        kept.push_front(Arc::clone(&stamped));
        Ok(Some(stamped))
    }
}
