//! Archives: whole segments whose messages are time-stamped, as zip files of ASiC-E containers, as X-Road makes them.
//!
//! What was archived is kept in `log/archive.json`: the last segment, and for each group the last archive, which the next
//! one names. It is written before an archive gets its name and after, so that a crash leaves no message out and puts none
//! into two archives.
//!
//! Spec: message-path §6.6.

use super::codec::{Attachment, Message};
use super::disk::{Name, sync_dir};
use super::export::ExportError;
use super::reader::Found;
use super::store;
use super::{Kind, LogError, LogReader, MessageLog};
use crate::conf::Grouping;
use saatkond_proto::container::archive::ArchiveWriter;
use saatkond_proto::container::entry_name;
use saatkond_proto::container::zip::ZipError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// An archive that is not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The log cannot be read, or does not hold.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A message cannot be exported.
    #[error("record {number}: {source}")]
    Export {
        /// Its record.
        number: u64,
        /// Why.
        source: ExportError,
    },
    /// The archive cannot be written.
    #[error("archive in {}: {source}", dir.display())]
    Zip {
        /// Where archives go.
        dir: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// A file cannot be written or read.
    #[error("{}: {source}", file.display())]
    Disk {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was archived is not known.
    #[error("{}: expected what was archived, version {VERSION}: {text}; archiving stops rather than begin anew", file.display())]
    State {
        /// Which file should say.
        file: PathBuf,
        /// What it says.
        text: String,
    },
}

/// What one step of archiving has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// Archives were made, and there may be more to archive.
    Some(Vec<PathBuf>),
    /// There are whole segments, in which a message is without a time-stamp.
    Waits,
    /// All whole segments are archived.
    All,
}

/// The version of the file that says what was archived.
const VERSION: u32 = 1;
/// That file.
const FILE: &str = "archive.json";
/// Containers in one archive.
const CONTAINERS_MAX: usize = 10_000;
/// Bytes of the log that are archived in one step, in archives' largest sizes.
const STEP: u64 = 2;
/// A message with larger bodies is exported to a file first.
const MEMORY_BYTES_MAX: u64 = 8 << 20;

/// What was archived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    /// The last segment that is archived whole.
    pub(super) segment: u64,
    /// The last record in it.
    pub(super) record: u64,
    /// By group; all are one where there are none.
    groups: BTreeMap<String, Last>,
    /// An archive that is whole, and may not have its name yet.
    unfinished: Option<Unfinished>,
}

/// The last archive of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    digest: String,
    file: String,
    /// The last record in it.
    record: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfinished {
    from: PathBuf,
    to: PathBuf,
}

impl State {
    /// Reads what was archived from a log's directory.
    pub(super) fn load(log: &Path) -> Result<Self, ArchiveError> {
        let file = log.join(FILE);
        let wrong = |text: String| ArchiveError::State { file: file.clone(), text };
        match fs::read(&file) {
            Ok(bytes) => {
                let state: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
                if state.version == VERSION {
                    Ok(state)
                } else {
                    Err(wrong(format!("version {}", state.version)))
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { version: VERSION, ..Self::default() })
            }
            Err(source) => Err(ArchiveError::Disk { file, source }),
        }
    }

    fn save(&self, log: &Path) -> Result<(), ArchiveError> {
        let (file, unfinished) = (log.join(FILE), log.join(format!("{FILE}.tmp")));
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let saved = bytes.and_then(|bytes| {
            let mut sink = File::create(&unfinished)?;
            sink.write_all(&bytes)?;
            sink.sync_all()?;
            fs::rename(&unfinished, &file)?;
            sync_dir(log)
        });
        saved.map_err(|source| ArchiveError::Disk { file, source })
    }
}

impl MessageLog {
    /// Archives some of the whole segments that are not archived, if all their messages are time-stamped, the oldest
    /// first. Each is walked through before, and archived only when it holds. Blocks.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was archived before stays so.
    pub fn archive(&self) -> Result<Archived, ArchiveError> {
        let Some(dir) = self.0.policy.log.archives() else { return Ok(Archived::All) };
        let _one_at_a_time = self.0.archiving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut run = Run { log: self, reader: self.reader(), dir, state: State::load(&self.0.dir)? };
        run.finish_last()?;
        let names = self.0.index.names();
        let whole = names.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
        let mut waiting = whole.filter(|(name, _)| name.segment > run.state.segment).peekable();
        if waiting.peek().is_none() {
            return Ok(Archived::All);
        }
        let (mut bytes, mut step) = (0, Vec::new());
        let oldest_unstamped = self.0.index.oldest_unstamped();
        for (name, next) in waiting.take_while(|(_, next)| next.record <= oldest_unstamped) {
            if bytes >= self.0.policy.log.archive_max.saturating_mul(STEP) {
                break;
            }
            let header = store::header(&self.0.dir, next)?;
            bytes += header.before;
            let (rows, _) = store::walk(&self.0.dir, name, Some(&header))?;
            drop(rows);
            step.push((name, next));
        }
        if step.is_empty() { Ok(Archived::Waits) } else { run.step(&step).map(Archived::Some) }
    }

    /// Records that are not archived.
    #[must_use]
    pub fn not_archived(&self) -> u64 {
        // What is not known to be archived is not.
        let archived = State::load(&self.0.dir).map_or(0, |state| state.record);
        let numbers = self.0.index.numbers();
        numbers.end - numbers.start.max(archived + 1).min(numbers.end)
    }
}

/// Archiving under way.
struct Run<'a> {
    log: &'a MessageLog,
    reader: LogReader,
    dir: &'a Path,
    state: State,
}

impl Run<'_> {
    fn disk(file: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
        let file = file.to_owned();
        |source| ArchiveError::Disk { file, source }
    }

    fn zip(&self) -> impl FnOnce(ZipError) -> ArchiveError {
        let dir = self.dir.to_owned();
        |source| ArchiveError::Zip { dir, source }
    }

    /// Gives an archive its name that a crash has left without, and clears what it has left half made.
    fn finish_last(&mut self) -> Result<(), ArchiveError> {
        fs::create_dir_all(self.dir).map_err(Self::disk(self.dir))?;
        if let Some(Unfinished { from, to }) = self.state.unfinished.take() {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.and_then(|()| sync_dir(self.dir)).map_err(Self::disk(&to))?,
            }
            self.state.save(&self.log.0.dir)?;
        }
        for entry in fs::read_dir(self.dir).map_err(Self::disk(self.dir))? {
            let entry = entry.map_err(Self::disk(self.dir))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("tmp-mlog-") && name.ends_with(".tmp") {
                fs::remove_file(entry.path()).map_err(Self::disk(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Archives the messages of these segments, each with the name of the one after it.
    fn step(&mut self, segments: &[(Name, Name)]) -> Result<Vec<PathBuf>, ArchiveError> {
        let (Some((first, _)), Some((last, next))) = (segments.first(), segments.last()) else {
            return Ok(Vec::new());
        };
        let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for number in first.record..next.record {
            let Some(found) = self.reader.message(number)? else { continue };
            let group = group_of(&found.message, self.log.0.policy.log.archive_grouping);
            // A run before this one may have come as far as some of these.
            if self.state.groups.get(&group).is_none_or(|last| last.record < number) {
                groups.entry(group).or_default().push(number);
            }
        }
        let mut files = Vec::new();
        for (group, numbers) in groups {
            let mut numbers = numbers.as_slice();
            while !numbers.is_empty() {
                let (file, rest) = self.archive(&group, numbers)?;
                files.push(file);
                numbers = rest;
            }
        }
        self.state.segment = last.segment;
        self.state.record = next.record - 1;
        self.state.save(&self.log.0.dir)?;
        Ok(files)
    }

    /// Makes one archive of the first of these messages; gives those that are left.
    fn archive<'n>(&mut self, group: &str, numbers: &'n [u64]) -> Result<(PathBuf, &'n [u64]), ArchiveError> {
        let unfinished = self.dir.join(format!("tmp-mlog-{}.tmp", std::process::id()));
        let sink = File::create(&unfinished).map_err(Self::disk(&unfinished))?;
        let before = self.state.groups.get(group).map(|last| (last.digest.clone(), last.file.clone()));
        let mut archive = ArchiveWriter::new(BufWriter::new(sink), before);
        let mut rest = numbers;
        let mut record = 0;
        while let Some((number, after)) = rest.split_first() {
            self.add(&mut archive, *number)?;
            (rest, record) = (after, *number);
            if archive.bytes() >= self.log.0.policy.log.archive_max || archive.len() >= CONTAINERS_MAX {
                break;
            }
        }
        let named = Some(group).filter(|group| !group.is_empty());
        let (sink, link, file) = archive.finish(named).map_err(self.zip())?;
        let sink =
            sink.into_inner().map_err(io::IntoInnerError::into_error).map_err(Self::disk(&unfinished))?;
        sink.sync_all().map_err(Self::disk(&unfinished))?;
        let path = self.dir.join(&file);
        self.name(
            group,
            Last { digest: link.last, file, record },
            Unfinished { from: unfinished, to: path.clone() },
        )?;
        Ok((path, rest))
    }

    /// Gives a whole archive its name. What is said to be archived is so from here on, also after a crash.
    fn name(&mut self, group: &str, last: Last, unfinished: Unfinished) -> Result<(), ArchiveError> {
        self.state.groups.insert(group.to_owned(), last);
        self.state.unfinished = Some(unfinished.clone());
        sync_dir(self.dir).map_err(Self::disk(self.dir))?;
        self.state.save(&self.log.0.dir)?;
        let renamed = fs::rename(&unfinished.from, &unfinished.to).and_then(|()| sync_dir(self.dir));
        renamed.map_err(Self::disk(&unfinished.to))?;
        self.state.unfinished = None;
        self.state.save(&self.log.0.dir)
    }

    /// Adds the container of one message.
    fn add<W: Write>(&self, archive: &mut ArchiveWriter<W>, number: u64) -> Result<(), ArchiveError> {
        let missing = LogError::NoRecord { number };
        let found = self.reader.message(number)?.ok_or(missing)?;
        let message = &found.message;
        let name = entry_name(&message.query_id, message.kind == Kind::Response, number);
        let time = message.time;
        if kept_bytes(message) <= MEMORY_BYTES_MAX {
            let container = self.export(&found, Cursor::new(Vec::new()))?;
            return archive.add(&name, time, container).map_err(self.zip());
        }
        let file = self.dir.join(format!("tmp-mlog-{}-{number}.tmp", std::process::id()));
        let options = File::options().read(true).write(true).create(true).truncate(true).open(&file);
        let container = self.export(&found, options.map_err(Self::disk(&file))?)?;
        let added = archive.add(&name, time, container).map_err(self.zip());
        fs::remove_file(&file).map_err(Self::disk(&file)).and(added)
    }

    /// Exports a message; gives the container back at its beginning.
    fn export<W: Read + Write + Seek>(&self, found: &Found, sink: W) -> Result<W, ArchiveError> {
        let number = found.number;
        let export = |source| ArchiveError::Export { number, source };
        let mut container = self.reader.export(found, sink).map_err(export)?;
        container.seek(SeekFrom::Start(0)).map_err(Self::disk(self.dir))?;
        Ok(container)
    }
}

/// Bytes of a message's bodies, as far as they are kept.
fn kept_bytes(message: &Message) -> u64 {
    let bytes = message.attachments.iter().map(|attachment| match attachment {
        Attachment::Inline(bytes) => bytes.len() as u64,
        Attachment::File { len, .. } => *len,
        Attachment::Omitted { .. } => 0,
    });
    bytes.sum()
}

/// Whose archives a message goes to; empty where all are one.
fn group_of(message: &Message, grouping: Grouping) -> String {
    let party = message.party();
    match grouping {
        Grouping::None => String::new(),
        Grouping::Member => party.member.to_string(),
        Grouping::Subsystem => party.to_string(),
    }
}
