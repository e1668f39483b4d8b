//! What happened, durable before anyone is told: anything recordable becomes [`Recorded`].
//!
//! | file | what it holds |
//! |---|---|
//! | [`spool`] | bodies under way: memory first, then a file |
//! | [`entry`] | what one record says |

pub mod entry;
pub mod spool;

pub use entry::{Direction, Entry, Kind, Record};
pub use spool::{Spool, SpoolError, SpoolReader, SpoolWriter, Spooled};

use crate::clock::Clock;
use crate::conf;
use saatkond_proto::fault::{Fault, Leaf};
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the log is kept.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Sizes, and what happens to large bodies.
    pub log: conf::Log,
    /// Time-stamping.
    pub timestamping: conf::Timestamping,
}

/// The message log of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct MessageLog(Arc<Shared>);

struct Shared {
    dir: PathBuf,
}

/// Something that is durably in the message log. Only [`MessageLog::record`] makes one.
#[derive(Debug)]
pub struct Recorded<T> {
    item: T,
    number: u64,
}

impl<T> Recorded<T> {
    /// The record's number in the log, from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What was recorded.
    pub fn into_inner(self) -> T {
        self.item
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

/// A message log that cannot be opened or did not take a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed; nothing is taken until the log is opened anew.
    #[error("message log at {}: {source}", dir.display())]
    Disk {
        /// Where the log is kept.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("message log at {} is in use by another process", dir.display())]
    InUse {
        /// Where the log is kept.
        dir: PathBuf,
    },
    /// A body is larger than the log keeps, and such messages are refused.
    #[error("body has {found} bytes, the message log keeps at most {allowed}")]
    BodyTooLarge {
        /// Bytes of the body.
        found: u64,
        /// Bytes kept.
        allowed: u64,
    },
    /// No time-stamping service is approved or configured.
    #[error("no time-stamping service is known")]
    NoTimestamper,
    /// Time-stamping has been failing for longer than is allowed.
    #[error("time-stamping has been failing since {since}")]
    TimestampingFailed {
        /// Since when.
        since: saatkond_proto::time::UnixTime,
    },
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        let (leaf, detail) = match &error {
            LogError::BodyTooLarge { .. } => (Leaf::LoggingFailed, error.to_string()),
            LogError::NoTimestamper => (Leaf::NoTimestampingProviderFound, error.to_string()),
            LogError::TimestampingFailed { .. } => (Leaf::TimestampingFailed, error.to_string()),
            LogError::Disk { .. } | LogError::InUse { .. } => {
                (Leaf::LoggingFailed, "the message log did not take the record".to_owned())
            }
        };
        Self::new(leaf, detail).because(error)
    }
}

impl MessageLog {
    /// Opens the log in `dir`, which is made when missing; drops a torn tail, which nobody was told of.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(dir: &Path, clock: Clock, policy: Policy) -> Result<Self, LogError> {
        let _ = (clock, policy);
        Ok(Self(Arc::new(Shared { dir: dir.to_owned() })))
    }

    /// Makes `item` durable. Returns only when it is on disk.
    ///
    /// # Errors
    /// [`LogError`]; nothing may then be told to anyone.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded; the item is lost to the caller.
    pub async fn record<T: Record>(&self, item: T) -> Result<Recorded<T>, LogError> {
        let _ = item.entry();
        let source = std::io::Error::from(std::io::ErrorKind::Unsupported);
        Err(LogError::Disk { dir: self.0.dir.clone(), source })
    }
}

impl fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageLog({})", self.0.dir.display())
    }
}
