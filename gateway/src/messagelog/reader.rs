//! Looks into a log without disturbing it: beside the process that writes it, or where no process does.

use super::codec::{Content, Message, Stamp};
use super::export::Stamped;
use super::index::Index;
use super::{LogError, export, store};
use std::collections::VecDeque;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A log as it was when it was opened.
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    index: Index,
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

impl LogReader {
    /// Reads the log in `dir` as it is now; every sum and the whole chain are checked.
    ///
    /// # Errors
    /// [`LogError::Disk`], [`LogError::Damaged`].
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let (index, _) = store::scan(dir, false)?;
        Ok(Self { dir: dir.to_owned(), index, stamps: Mutex::default() })
    }

    /// The numbers of all records, ascending; messages and time-stamps.
    #[must_use]
    pub fn numbers(&self) -> std::ops::Range<u64> {
        self.index.numbers()
    }

    /// Messages that have no time-stamp.
    #[must_use]
    pub fn unstamped(&self) -> usize {
        self.index.unstamped_count()
    }

    /// A message; `None` when the record is a time-stamp.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn message(&self, number: u64) -> Result<Option<Found>, LogError> {
        let row = self.index.row(number).ok_or(LogError::NoRecord { number })?;
        match store::read_record(&self.dir, number, row)? {
            Content::Message(message) => {
                let stamp = (row.stamp != 0).then_some(row.stamp);
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
        let mut found = Vec::new();
        for number in self.index.of_query(query_id) {
            found.extend(self.message(number)?.filter(|f| f.message.query_id == query_id));
        }
        Ok(found)
    }

    /// A time-stamp record; `None` when the record is a message.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn stamp(&self, number: u64) -> Result<Option<Stamp>, LogError> {
        let row = self.index.row(number).ok_or(LogError::NoRecord { number })?;
        match store::read_record(&self.dir, number, row)? {
            Content::Stamp(stamp) => Ok(Some(stamp)),
            Content::Message(_) => Ok(None),
        }
    }

    /// Writes a message and its proof as an ASiC-E container.
    ///
    /// # Errors
    /// [`export::ExportError`].
    pub fn export<W: Write + Seek>(&self, found: &Found, sink: W) -> Result<W, export::ExportError> {
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
