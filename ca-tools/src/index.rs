//! Every serial number an authority used and what became of it: one file that survives a crash at any byte.
//!
//! The file is a list of events, a JSON object a line, only ever appended to and waited for until it is on the disk.
//! A serial is recorded before anything is signed with it. A last line without its line end was being written when the
//! power went: whoever opens the file to write cuts it off, a reader leaves it for later.
//!
//! One process writes (a lock file says who), any number read: the OCSP responder asks for what is new before each
//! answer and needs nothing else of the authority. Trusted: who can write the file can revoke and un-revoke.

use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file's name in the authority's directory.
pub const INDEX_FILE: &str = "index.jsonl";
/// The lock's name in the authority's directory.
const LOCK_FILE: &str = "index.lock";

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A security server's TLS, as client and as server.
    Auth,
    /// A member's signatures.
    Sign,
    /// An OCSP responder.
    Ocsp,
    /// A time-stamping authority.
    Tsa,
    /// A web server or an information system.
    Tls,
    /// An authority below this one.
    Ca,
}

impl Purpose {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Sign => "sign",
            Self::Ocsp => "ocsp",
            Self::Tsa => "tsa",
            Self::Tls => "tls",
            Self::Ca => "ca",
        }
    }
}

/// Why a certificate was revoked. Spec: RFC 5280 5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Not told.
    Unspecified,
    /// The key may be in other hands.
    KeyCompromise,
    /// The authority's key may be in other hands.
    CaCompromise,
    /// The subject's name or standing changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// The subject lost the right to it.
    PrivilegeWithdrawn,
}

/// A certificate that counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub at: UnixTime,
    /// Why.
    pub reason: Reason,
}

/// One serial number and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The serial number in lower-case hexadecimal.
    pub serial: String,
    /// What the certificate is for.
    pub purpose: Purpose,
    /// Its subject, for people.
    pub subject: String,
    /// When the serial was taken.
    pub reserved_at: UnixTime,
    /// When it ends.
    pub not_after: UnixTime,
    /// The certificate; `None` when signing did not come to its end.
    pub certificate: Option<Vec<u8>>,
    /// Whether and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// What the file says, line by line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Reserved { serial: String, purpose: Purpose, subject: String, not_after: String, at: String },
    Issued { serial: String, certificate: String, at: String },
    Revoked { serial: String, reason: Reason, at: String, recorded_at: String },
    Crl { number: u64, at: String },
}

/// An index that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The disk.
    #[error("index {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process writes.
    #[error("{path} is held by {}", holder(*by))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// The process that has it, if it said so.
        by: Option<u32>,
    },
    /// A line that says nothing we know.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An earlier write failed and left the file in doubt.
    #[error("{0} could not be written before; it is opened anew before anything else is recorded")]
    Poisoned(PathBuf),
}

/// The index, read; [`Index::refresh`] takes what is new.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    file: File,
    /// Device and inode, by which a file put in its place is noticed.
    identity: (u64, u64),
    /// Whole lines read so far, in bytes and in lines.
    read_to: u64,
    lines: usize,
    records: BTreeMap<String, Record>,
    crl_number: u64,
}

impl Index {
    /// Opens the index of the authority in `directory` to read.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn open(directory: &Path) -> Result<Self, IndexError> {
        let path = directory.join(INDEX_FILE);
        let (file, identity) = open_file(&path)?;
        let mut index =
            Self { path, file, identity, read_to: 0, lines: 0, records: BTreeMap::new(), crl_number: 0 };
        index.refresh()?;
        Ok(index)
    }

    /// Takes what was written since; a file that was put in its place is read from its start.
    ///
    /// # Errors
    /// [`IndexError`]; what was read before stays.
    pub fn refresh(&mut self) -> Result<(), IndexError> {
        let meta = std::fs::metadata(&self.path).map_err(|e| self.file_error(e))?;
        if (meta.dev(), meta.ino()) != self.identity || meta.len() < self.read_to {
            let (file, identity) = open_file(&self.path)?;
            let mut fresh = Self {
                path: self.path.clone(),
                file,
                identity,
                read_to: 0,
                lines: 0,
                records: BTreeMap::new(),
                crl_number: 0,
            };
            fresh.read_on()?;
            *self = fresh;
            return Ok(());
        }
        if meta.len() > self.read_to { self.read_on() } else { Ok(()) }
    }

    /// The record of a serial, in lower-case hexadecimal.
    #[must_use]
    pub fn record(&self, serial: &str) -> Option<&Record> {
        self.records.get(serial)
    }

    /// All records, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<&Record> {
        let mut all: Vec<&Record> = self.records.values().collect();
        all.sort_by(|a, b| (a.reserved_at, &a.serial).cmp(&(b.reserved_at, &b.serial)));
        all
    }

    fn read_on(&mut self) -> Result<(), IndexError> {
        let mut fresh = Vec::new();
        let mut at = &self.file;
        at.seek(SeekFrom::Start(self.read_to)).map_err(|e| self.file_error(e))?;
        at.read_to_end(&mut fresh).map_err(|e| self.file_error(e))?;
        for line in fresh.split_inclusive(|b| *b == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            let event = serde_json::from_slice(text).map_err(|e| self.line_error(&e.to_string()))?;
            self.take(event).map_err(|reason| self.line_error(&reason))?;
            self.read_to = self.read_to.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            self.lines += 1;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Reserved { serial, purpose, subject, not_after, at } => {
                let record = Record {
                    serial: serial.clone(),
                    purpose,
                    subject,
                    reserved_at: moment(&at)?,
                    not_after: moment(&not_after)?,
                    certificate: None,
                    revoked: None,
                };
                if self.records.insert(serial.clone(), record).is_some() {
                    return Err(format!("serial {serial} was taken before"));
                }
            }
            Event::Issued { serial, certificate, .. } => {
                use base64::Engine as _;
                let der = base64::engine::general_purpose::STANDARD
                    .decode(certificate)
                    .map_err(|e| e.to_string())?;
                self.known(&serial)?.certificate = Some(der);
            }
            Event::Revoked { serial, reason, at, .. } => {
                let at = moment(&at)?;
                self.known(&serial)?.revoked = Some(Revocation { at, reason });
            }
            Event::Crl { number, .. } => self.crl_number = number,
        }
        Ok(())
    }

    fn known(&mut self, serial: &str) -> Result<&mut Record, String> {
        self.records.get_mut(serial).ok_or_else(|| format!("serial {serial} was never taken"))
    }

    fn file_error(&self, source: io::Error) -> IndexError {
        IndexError::File { path: self.path.clone(), source }
    }

    fn line_error(&self, reason: &str) -> IndexError {
        IndexError::Line { path: self.path.clone(), line: self.lines + 1, reason: reason.to_owned() }
    }
}

/// The index, opened to write: one process at a time.
#[derive(Debug)]
pub struct IndexWriter {
    index: Index,
    file: File,
    poisoned: bool,
    /// Held as long as this lives.
    lock: File,
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        // closing is not enough: while another thread starts a process, that process holds the file too
        let _ = self.lock.unlock();
    }
}

impl IndexWriter {
    /// Makes the empty index of a new authority.
    ///
    /// # Errors
    /// [`IndexError`], also when there is one.
    pub fn create(directory: &Path) -> Result<Self, IndexError> {
        let path = directory.join(INDEX_FILE);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|source| IndexError::File { path, source })?;
        Self::open(directory)
    }

    /// Opens the index to write, and cuts off what a crash left half written.
    ///
    /// # Errors
    /// [`IndexError::Locked`] at once when another process has it; [`IndexError`].
    pub fn open(directory: &Path) -> Result<Self, IndexError> {
        Self::open_within(directory, Duration::ZERO)
    }

    /// The same, and waits so long for another process that has it.
    ///
    /// # Errors
    /// [`IndexError::Locked`] when one had it all the time; [`IndexError`].
    pub fn open_within(directory: &Path, patience: Duration) -> Result<Self, IndexError> {
        let lock = wait_for_lock(&directory.join(LOCK_FILE), patience)?;
        let index = Index::open(directory)?;
        let file = OpenOptions::new().write(true).open(&index.path).map_err(|e| index.file_error(e))?;
        let cut = || -> io::Result<()> {
            file.set_len(index.read_to)?;
            file.sync_all()
        };
        cut().map_err(|e| index.file_error(e))?;
        Ok(Self { index, file, poisoned: false, lock })
    }

    /// What has been recorded.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn reserve(&mut self, record: &Record) -> Result<(), IndexError> {
        self.append(Event::Reserved {
            serial: record.serial.clone(),
            purpose: record.purpose,
            subject: record.subject.clone(),
            not_after: record.not_after.to_rfc3339(),
            at: record.reserved_at.to_rfc3339_millis(),
        })
    }

    pub(crate) fn issued(&mut self, serial: &str, der: &[u8], at: UnixTime) -> Result<(), IndexError> {
        use base64::Engine as _;
        let certificate = base64::engine::general_purpose::STANDARD.encode(der);
        self.append(Event::Issued { serial: serial.to_owned(), certificate, at: at.to_rfc3339_millis() })
    }

    pub(crate) fn revoke(
        &mut self,
        serial: &str,
        revocation: Revocation,
        now: UnixTime,
    ) -> Result<(), IndexError> {
        self.append(Event::Revoked {
            serial: serial.to_owned(),
            reason: revocation.reason,
            at: revocation.at.to_rfc3339(),
            recorded_at: now.to_rfc3339_millis(),
        })
    }

    /// Records that the next revocation list was made; its number.
    pub(crate) fn next_crl(&mut self, at: UnixTime) -> Result<u64, IndexError> {
        let number = self.index.crl_number + 1;
        self.append(Event::Crl { number, at: at.to_rfc3339_millis() })?;
        Ok(number)
    }

    fn append(&mut self, event: Event) -> Result<(), IndexError> {
        if self.poisoned {
            return Err(IndexError::Poisoned(self.index.path.clone()));
        }
        let mut line = serde_json::to_vec(&event).map_err(|e| self.index.line_error(&e.to_string()))?;
        line.push(b'\n');
        let written = self.file.write_all_at(&line, self.index.read_to).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // what is on the disk is not known any more: take the half line back, and trust nothing until reopened
            self.poisoned = true;
            let _ = self.file.set_len(self.index.read_to);
            return Err(self.index.file_error(source));
        }
        self.index.refresh()
    }
}

/// How often a lock is tried that another process has.
const LOCK_TRIED_EVERY: Duration = Duration::from_millis(10);

/// Takes the lock and writes into it who has it.
fn wait_for_lock(path: &Path, patience: Duration) -> Result<File, IndexError> {
    let file_error = |source| IndexError::File { path: path.to_owned(), source };
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
        .map_err(file_error)?;
    let since = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(file_error(source)),
            Err(TryLockError::WouldBlock) if since.elapsed() < patience => {
                std::thread::sleep(LOCK_TRIED_EVERY.min(patience));
            }
            Err(TryLockError::WouldBlock) => {
                let by = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
                return Err(IndexError::Locked { path: path.to_owned(), by });
            }
        }
    }
    // for people; the lock itself is the system's, and ends with the process
    let who = format!("{}\n", std::process::id());
    let _ = lock.set_len(0).and_then(|()| lock.write_all_at(who.as_bytes(), 0));
    Ok(lock)
}

fn holder(by: Option<u32>) -> String {
    by.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn open_file(path: &Path) -> Result<(File, (u64, u64)), IndexError> {
    let file_error = |source| IndexError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(file_error)?;
    let meta = file.metadata().map_err(file_error)?;
    Ok((file, (meta.dev(), meta.ino())))
}

fn moment(text: &str) -> Result<UnixTime, String> {
    UnixTime::from_rfc3339(text).ok_or_else(|| format!("{text:?} is no date"))
}

/// Writes a whole file so that after a crash there is the old one or the new one, never a mixture.
///
/// # Errors
/// Those of the disk.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(serial: &str) -> Record {
        Record {
            serial: serial.to_owned(),
            purpose: Purpose::Auth,
            subject: "CN=x".to_owned(),
            reserved_at: UnixTime::from_secs(100),
            not_after: UnixTime::from_secs(900),
            certificate: None,
            revoked: None,
        }
    }

    fn filled(directory: &Path) -> Vec<u8> {
        let mut writer = IndexWriter::create(directory).unwrap();
        writer.reserve(&record("01")).unwrap();
        writer.issued("01", b"der", UnixTime::from_secs(101)).unwrap();
        writer.reserve(&record("02")).unwrap();
        let revocation = Revocation { at: UnixTime::from_secs(150), reason: Reason::KeyCompromise };
        writer.revoke("01", revocation, UnixTime::from_secs(160)).unwrap();
        assert_eq!(writer.next_crl(UnixTime::from_secs(170)).unwrap(), 1);
        std::fs::read(directory.join(INDEX_FILE)).unwrap()
    }

    #[test]
    fn a_reader_sees_what_a_writer_appends() {
        let directory = crate::testing::Directory::new();
        let mut writer = IndexWriter::create(directory.path()).unwrap();
        let mut reader = Index::open(directory.path()).unwrap();
        assert!(reader.record("01").is_none());
        writer.reserve(&record("01")).unwrap();
        reader.refresh().unwrap();
        assert_eq!(reader.record("01"), Some(&record("01")));
        let own = Some(std::process::id());
        assert!(
            matches!(IndexWriter::open(directory.path()), Err(IndexError::Locked { by, .. }) if by == own)
        );
    }

    #[test]
    fn who_is_patient_writes_when_the_other_is_done() {
        let directory = crate::testing::Directory::new();
        let mut first = IndexWriter::create(directory.path()).unwrap();
        let path = directory.path().to_owned();
        let (waits, waiting) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            waits.send(()).unwrap();
            let mut second = IndexWriter::open_within(&path, Duration::from_secs(60)).unwrap();
            assert!(second.index().record("01").is_some(), "what the first wrote is known to the second");
            second.reserve(&record("02")).unwrap();
        });
        waiting.recv().unwrap();
        first.reserve(&record("01")).unwrap();
        drop(first);
        second.join().unwrap();
        assert!(Index::open(directory.path()).unwrap().record("02").is_some());
    }

    #[test]
    fn the_lock_is_gone_with_the_writer_even_if_a_child_has_the_file() {
        let directory = crate::testing::Directory::new();
        let writer = IndexWriter::create(directory.path()).unwrap();
        let in_a_child = writer.lock.try_clone().unwrap();
        drop(writer);
        IndexWriter::open(directory.path()).unwrap();
        drop(in_a_child);
    }

    #[test]
    fn a_file_cut_at_any_byte_is_read_to_its_last_whole_line_and_written_on() {
        let directory = crate::testing::Directory::new();
        let whole = filled(directory.path());
        for cut in 0..=whole.len() {
            std::fs::write(directory.path().join(INDEX_FILE), &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|b| **b == b'\n').count();
            let reader = Index::open(directory.path()).unwrap();
            assert_eq!(reader.lines, lines, "cut at {cut}");
            let mut writer = IndexWriter::open(directory.path()).unwrap();
            writer.reserve(&record("03")).unwrap();
            drop(writer);
            let again = Index::open(directory.path()).unwrap();
            assert_eq!(again.lines, lines + 1);
            assert!(again.record("03").is_some());
        }
    }

    #[test]
    fn a_file_put_in_its_place_is_read_anew() {
        let directory = crate::testing::Directory::new();
        let whole = filled(directory.path());
        let mut reader = Index::open(directory.path()).unwrap();
        assert!(reader.record("01").unwrap().revoked.is_some());
        let first_line = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        replace_file(&directory.path().join(INDEX_FILE), &whole[..first_line], 0o640).unwrap();
        reader.refresh().unwrap();
        assert_eq!(reader.record("01").unwrap().revoked, None);
        assert!(reader.record("02").is_none());
    }

    #[test]
    fn a_line_that_says_nothing_known_stops_everything() {
        let directory = crate::testing::Directory::new();
        let mut whole = filled(directory.path());
        whole.extend_from_slice(b"{\"event\":\"unrevoked\",\"serial\":\"01\"}\n");
        std::fs::write(directory.path().join(INDEX_FILE), &whole).unwrap();
        assert!(matches!(Index::open(directory.path()), Err(IndexError::Line { line: 6, .. })));
    }
}
