//! What happened, durable before anyone is told: anything recordable becomes [`Recorded`].
//!
//! | file | what it holds |
//! |---|---|
//! | [`entry`] | what is recorded |
//! | [`spool`] | bodies under way: memory first, then a file |
//! | [`codec`] | what a record's bytes say |
//! | `frame`, `sum` | how records lie in a segment: framed, summed, chained |
//! | `disk`, `store` | the files: written; walked through and read |
//! | `writer`, `next` | the one thread that writes: one sync for all that waits; the file that it goes on in, made ahead |
//! | `alarm` | what happens when the disk fails |
//! | `bodies` | bodies too large for a record |
//! | `index` | where each record lies: in memory for the segment that is written, else in a file beside each |
//! | [`reader`] | looks into a log without disturbing it |
//! | [`export`] | a record and its proof as one file |
//! | [`archive`], [`retention`] | whole segments as archives; what is deleted |
//! | [`stamp`] | what is time-stamped, and what happens when that fails |
//!
//! Store: `log/`. Trusted for what it holds, not for what it proves: each record carries its own signature and, later, its
//! time-stamp. Its thief reads every message; who can write to it can destroy evidence, not make any.

mod alarm;
pub mod archive;
mod bodies;
pub mod codec;
mod disk;
pub mod entry;
pub mod export;
mod frame;
mod index;
mod next;
pub mod reader;
pub mod retention;
pub mod spool;
pub mod stamp;
mod store;
mod sum;
mod writer;

pub use archive::{ArchiveError, Archived};
pub use bodies::BodyName;
pub use codec::{Attachment, Content, Message, Stamp};
pub use entry::{Direction, Entry, Kind, Record};
pub use reader::{LogReader, Look};
pub use retention::Dropped;
pub use spool::{Bounds, Spool, SpoolError, SpoolReader, SpoolWriter, Spooled};
pub use stamp::StampOrder;

use crate::clock::Clock;
use crate::conf::{self, Beyond};
use alarm::Alarms;
use disk::{Directory, Disk};
use index::Index;
use next::Making;
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::time::UnixTime;
use stamp::Stamping;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use writer::{Order, Task, Writer};

/// How the log is kept.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Sizes, and what happens to large bodies.
    pub log: conf::Log,
    /// Time-stamping.
    pub timestamping: conf::Timestamping,
}

/// The message log of this gateway. Cheap to clone; it is closed when the last clone is dropped.
#[derive(Clone)]
pub struct MessageLog(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    clock: Clock,
    policy: Policy,
    index: Arc<Index>,
    stamping: Mutex<Stamping>,
    alarms: Arc<Alarms>,
    next: Arc<Making>,
    /// Held by whoever archives or deletes.
    archiving: Mutex<()>,
    /// `None` once the log is closed.
    queue: Option<mpsc::Sender<Task>>,
    writer: Option<JoinHandle<()>>,
    /// Held for as long as the log is open.
    lock: File,
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

/// A message log that cannot be opened, read, or did not take a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed.
    #[error("message log at {}: {source}", dir.display())]
    Disk {
        /// Where the log is kept.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("message log at {} is in use by another process", dir.display())]
    InUse {
        /// Where the log is kept.
        dir: PathBuf,
    },
    /// It was made by another version of this program.
    #[error("message log at {} has version {found:?}, expected {expected:?}", dir.display())]
    Version {
        /// Where the log is kept.
        dir: PathBuf,
        /// What its version file says.
        found: String,
        /// What this program keeps.
        expected: &'static str,
    },
    /// Records that were acknowledged do not hold any more.
    #[error("message log is damaged: {} at byte {offset}: {text}", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What does not hold.
        text: String,
    },
    /// No record of this number.
    #[error("no record {number} in the message log")]
    NoRecord {
        /// The number asked for.
        number: u64,
    },
    /// The writing thread is gone.
    #[error("the message log is closed")]
    Closed,
    /// The disk takes too long.
    #[error("the disk of the message log took longer than {} s", waited.as_secs())]
    Slow {
        /// How long was waited.
        waited: Duration,
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
        since: UnixTime,
    },
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        let (leaf, detail) = match &error {
            LogError::NoTimestamper => (Leaf::NoTimestampingProviderFound, error.to_string()),
            LogError::TimestampingFailed { .. } => (Leaf::TimestampingFailed, error.to_string()),
            LogError::BodyTooLarge { .. } => (Leaf::LoggingFailed, error.to_string()),
            LogError::Disk { .. }
            | LogError::InUse { .. }
            | LogError::Version { .. }
            | LogError::Damaged { .. }
            | LogError::NoRecord { .. }
            | LogError::Slow { .. }
            | LogError::Closed => (Leaf::LoggingFailed, "the message log did not take the record".to_owned()),
        };
        Self::new(leaf, detail).because(error)
    }
}

/// The version of the log's files.
const VERSION: &str = "4\n";
/// Records that may wait for the writer; more wait with their senders.
const QUEUE_RECORDS_MAX: usize = 4096;

impl MessageLog {
    /// Opens the log in `dir`, which is made when missing; drops a torn tail, which nobody was told of.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(dir: &Path, clock: Clock, policy: Policy) -> Result<Self, LogError> {
        let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(disk)?;
        Self::open_on(Arc::new(Directory(dir.to_owned())), dir, clock, policy)
    }

    fn open_on(disk: Arc<dyn Disk>, dir: &Path, clock: Clock, policy: Policy) -> Result<Self, LogError> {
        let failed = |source| LogError::Disk { dir: dir.to_owned(), source };
        let lock = lock(dir)?;
        version(dir)?;
        bodies::open(dir).map_err(failed)?;
        let (index, last) = Index::open(dir, true)?;
        let index = Arc::new(index);
        if let Some(last) = last.as_ref().filter(|l| l.end.tail == frame::Tail::Torn) {
            let segment = last.header.segment;
            tracing::warn!(segment, offset = last.end.offset, "message log: torn tail dropped");
        }
        let writer = Writer::new(disk, policy.log.segment, Arc::clone(&index), last).map_err(failed)?;
        let (alarms, next) = writer.condition();
        let (queue, orders) = mpsc::channel(QUEUE_RECORDS_MAX);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(orders))
            .map_err(failed)?;
        Ok(Self(Arc::new(Shared {
            dir: dir.to_owned(),
            clock,
            policy,
            index,
            stamping: Mutex::new(Stamping::default()),
            archiving: Mutex::new(()),
            alarms,
            next,
            queue: Some(queue),
            writer: Some(thread),
            lock,
        })))
    }

    /// Makes `item` durable. Returns only when it is on disk.
    ///
    /// # Errors
    /// [`LogError`]; nothing may then be told to anyone.
    ///
    /// # Cancel safety
    /// A dropped call may still be recorded; the item is lost to the caller.
    pub async fn record<T: Record>(&self, item: T) -> Result<Recorded<T>, LogError> {
        self.admit()?;
        let entry = item.entry();
        let attachments = self.keep(&entry.attachments).await?;
        let message = Message::new(entry, self.0.clock.now(), attachments);
        let number = self.write(&Content::Message(Box::new(message))).await?;
        Ok(Recorded { item, number })
    }

    /// Refuses a message while its record could not be stamped.
    fn admit(&self) -> Result<(), LogError> {
        let stamping = self.0.stamping.lock().unwrap_or_else(PoisonError::into_inner);
        let conf::Timestamping { immediately, failure_allowed, .. } = self.0.policy.timestamping;
        // What is stamped at once fails by itself.
        let allowed = if immediately { Duration::ZERO } else { failure_allowed };
        stamping.admit(self.0.clock.now(), allowed)
    }

    async fn keep(&self, bodies: &[Spooled]) -> Result<Vec<Attachment>, LogError> {
        let conf::Log { body_max, beyond_body_max, .. } = self.0.policy.log;
        let largest = bodies.iter().map(Spooled::len).max().unwrap_or(0);
        let omit = body_max == 0 || beyond_body_max == Beyond::Omit;
        if largest > body_max && !omit {
            return Err(LogError::BodyTooLarge { found: largest, allowed: body_max });
        }
        let mut kept = Vec::with_capacity(bodies.len());
        for body in bodies {
            // All or none: attachments are told apart by their place.
            kept.push(if largest > body_max {
                Attachment::Omitted { digest: body.digest().to_vec(), len: body.len() }
            } else {
                self.keep_one(body).await?
            });
        }
        Ok(kept)
    }

    async fn keep_one(&self, body: &Spooled) -> Result<Attachment, LogError> {
        let (dir, record) = (self.0.dir.clone(), self.0.index.numbers().end);
        let kept = if bodies::is_large(body) {
            let body = body.clone();
            let blocking = tokio::task::spawn_blocking(move || bodies::keep(&dir, record, &body)).await;
            blocking.map_err(io::Error::other).and_then(|kept| kept)
        } else {
            bodies::keep(&dir, record, body)
        };
        self.0.alarms.body_kept(kept.as_ref().map(|_| ()));
        kept.map_err(|source| self.disk_failed(source))
    }

    async fn write(&self, content: &Content) -> Result<u64, LogError> {
        let (order, outcome) = Order::new(content);
        let queue = self.0.queue.as_ref().ok_or(LogError::Closed)?;
        let patience = self.0.policy.log.patience;
        let written = tokio::time::timeout(patience, async {
            queue.send(Task::Record(order)).await.map_err(|_| LogError::Closed)?;
            outcome.await.map_err(|_| LogError::Closed)
        });
        let written = written.await.map_err(|_| LogError::Slow { waited: patience })??;
        written.map_err(|refused| self.disk_failed(refused.into()))
    }

    /// Closes the segment that is written, if its first record was recorded at `begun` or before; the log goes on in the
    /// next. Whole segments are archived and deleted.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn seal(&self, begun: UnixTime) -> Result<bool, LogError> {
        if self.0.index.begun().is_none_or(|first| first > begun) {
            return Ok(false);
        }
        let (reply, outcome) = oneshot::channel();
        let queue = self.0.queue.as_ref().ok_or(LogError::Closed)?;
        queue.send(Task::Seal(reply)).await.map_err(|_| LogError::Closed)?;
        let sealed = outcome.await.map_err(|_| LogError::Closed)?;
        sealed.map(|()| true).map_err(|refused| self.disk_failed(refused.into()))
    }

    fn disk_failed(&self, source: io::Error) -> LogError {
        LogError::Disk { dir: self.0.dir.clone(), source }
    }

    /// Whether a message would be taken now, as far as that can be told without one.
    ///
    /// # Errors
    /// [`LogError`], why it would not.
    pub fn ready(&self) -> Result<(), LogError> {
        self.0.alarms.refusal(&self.0.dir, self.0.next.is_made())?;
        self.admit()
    }

    /// What is not well with its disk, and does not keep records out yet.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.0.alarms.warnings()
    }

    /// Looks into this log: it sees what is written, as it is written.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::of(&self.0.dir, Arc::clone(&self.0.index))
    }

    /// Requests received within a day before the last record, oldest first, and by what each is known again.
    ///
    /// # Errors
    /// [`LogError`]: then it is not known what was received.
    pub fn heard(&self) -> Result<Vec<(UnixTime, Mark)>, LogError> {
        self.0.index.heard()
    }

    /// How many records the log holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        let numbers = self.0.index.numbers();
        numbers.end - numbers.start
    }

    /// When its oldest record was recorded; `None` when it has none, or that cannot be told.
    #[must_use]
    pub fn oldest(&self) -> Option<UnixTime> {
        let first = self.0.index.names().into_iter().next()?;
        self.0.index.times(first).ok().flatten().map(|(oldest, _)| oldest)
    }

    /// Files of records that it has.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.0.index.names().len()
    }

    /// Whether the log holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Shared {
    /// Lets the writer finish what waits, then gives the directory back.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        // Closing would not give it back while a child process that is being started still holds the file.
        let _ = self.lock.unlock();
    }
}

impl fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageLog({})", self.0.dir.display())
    }
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
    let file = File::create(dir.join("lock")).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LogError::InUse { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(disk(source)),
    }
}

/// Writes the version file of a new log; refuses another version's.
fn version(dir: &Path) -> Result<(), LogError> {
    let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
    let file = dir.join("version");
    match fs::read_to_string(&file) {
        Ok(found) if found == VERSION => Ok(()),
        Ok(found) => Err(LogError::Version { dir: dir.to_owned(), found, expected: VERSION }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&file, VERSION).and_then(|()| disk::sync_dir(dir)).map_err(disk)
        }
        Err(error) => Err(disk(error)),
    }
}

#[cfg(test)]
mod tests;
