//! Archives of the message log: containers, and the chain that links them and the archives before; written and verified.
//!
//! Spec: message-path §6.6. Each line of `linkinginfo` digests the digest before it and one container, as hexadecimal
//! text; the first line names the last digest of the archive before.

use super::zip::{Archive, Level, Writer, ZipError};
use crate::crypto::{DigestAlgorithm, Hasher};
use crate::limits;
use crate::time::UnixTime;
use std::collections::BTreeSet;
use std::io::{self, Read, Seek, Write};

/// The entry that holds the chain. Spec: message-path §6.6.
pub const LINKING_INFO: &str = "linkinginfo";

/// An archive's place in the chain of archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The last digest of the archive before and its file name; `None` for the first archive.
    pub previous: Option<(String, String)>,
    /// What is digested with.
    pub algorithm: DigestAlgorithm,
    /// The last digest, which the next archive names.
    pub last: String,
    /// Names of the containers, in the chain's order.
    pub containers: Vec<String>,
}

/// An archive whose chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file is no zip file that could be an archive.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// No chain.
    #[error("archive has no {LINKING_INFO}: nothing says which containers it must hold")]
    NoLinkingInfo,
    /// A line of the chain that is not one.
    #[error("{LINKING_INFO} line {line}: expected {expected}, found {found:?}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A container of the chain that is not there.
    #[error("container {0} is in the chain and not in the archive")]
    Missing(String),
    /// A container that is not in the chain.
    #[error("container {0} is in the archive and not in the chain")]
    Unlisted(String),
    /// A digest that is not the one before it and the container.
    #[error("the chain breaks at container {name}: its line says {found}, expected {expected}")]
    Broken {
        /// The container.
        name: String,
        /// The digest computed.
        expected: String,
        /// The digest in the line.
        found: String,
    },
    /// An archive that follows another than the one before it.
    #[error("archive follows {found}, expected {expected}")]
    Order {
        /// The last digest of the archive before.
        expected: String,
        /// What it says to follow.
        found: String,
    },
}

impl ArchiveError {
    /// A word for scripts. Ours: X-Road's archive verifier prints sentences.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Zip(_) => "archive_unreadable",
            Self::NoLinkingInfo => "archive_linkinginfo_missing",
            Self::Line { .. } => "archive_linkinginfo_malformed",
            Self::Missing(_) | Self::Unlisted(_) | Self::Broken { .. } | Self::Order { .. } => {
                "archive_chain"
            }
        }
    }
}

// --- writing -----------------------------------------------------------------------------------------------------------

/// Writes an archive container by container, as X-Road's archiver does. What is written follows from what is added alone.
#[derive(Debug)]
pub struct ArchiveWriter<W: Write> {
    zip: Writer<W>,
    link: Link,
    lines: String,
    /// When the first and the last container were recorded.
    times: Option<(UnixTime, UnixTime)>,
    bytes: u64,
}

/// What digests archives. Seen: message-path §6.6.
const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

impl<W: Write> ArchiveWriter<W> {
    /// Starts an archive; `previous` is the last digest and the file name of the one before it.
    pub fn new(sink: W, previous: Option<(String, String)>) -> Self {
        let (digest, name) = previous.clone().unwrap_or(("-".to_owned(), "-".to_owned()));
        let lines = format!("{digest} {name} {}\n", ALGORITHM.name());
        let last = previous.as_ref().map(|(digest, _)| digest.clone()).unwrap_or_default();
        let link = Link { previous, algorithm: ALGORITHM, last, containers: Vec::new() };
        Self { zip: Writer::new(sink, Level::Stored), link, lines, times: None, bytes: 0 }
    }

    /// Adds a container of a message that was recorded at `time`.
    ///
    /// # Errors
    /// [`ZipError`].
    pub fn add(&mut self, name: &str, time: UnixTime, container: impl Read) -> Result<(), ZipError> {
        let mut read = Digested { inner: container, hasher: Hasher::new(ALGORITHM), bytes: 0 };
        self.zip.entry(name, time, &mut read)?;
        self.bytes += read.bytes;
        let both = std::mem::take(&mut self.link.last) + &hex(&read.hasher.finish());
        self.link.last = hex(&ALGORITHM.digest(both.as_bytes()));
        self.lines.push_str(&format!("{} {name}\n", self.link.last));
        self.link.containers.push(name.to_owned());
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
        Ok(())
    }

    /// Bytes of all containers.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many containers it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.link.containers.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the chain and the end; gives the sink back, the place in the chain, and the archive's name in `group`.
    ///
    /// # Errors
    /// [`ZipError`].
    pub fn finish(mut self, group: Option<&str>) -> Result<(W, Link, String), ZipError> {
        let times = self.times.unwrap_or((UnixTime::from_millis(0), UnixTime::from_millis(0)));
        self.zip.entry(LINKING_INFO, times.1, self.lines.as_bytes())?;
        let name = file_name(group, times, &self.link.last);
        Ok((self.zip.finish("")?, self.link, name))
    }
}

/// Digests what is read through it.
struct Digested<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.hasher.update(into.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        Ok(length)
    }
}

/// Characters of a group in a file's name. Seen: message-path §6.6.
const GROUP_CHARS_MAX: usize = 200;

/// The file name of an archive: the group, the times of the oldest and the youngest record in UTC, and the beginning of
/// the last digest. Seen: message-path §6.6; the manual of X-Road 7.8 says UTC, and its server its own zone.
fn file_name(group: Option<&str>, (first, last): (UnixTime, UnixTime), digest: &str) -> String {
    let safe = |c: char| if c.is_control() || "\\<>/:|*?".contains(c) { '_' } else { c };
    let group: String = group.map(|group| format!("{group}-")).unwrap_or_default();
    let group: String = group.chars().map(safe).take(GROUP_CHARS_MAX).collect();
    let moment = |time: UnixTime| {
        let (year, month, day, hour, minute, second) = time.civil();
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
    };
    let digest: String = digest.chars().take(16).collect();
    format!("mlog-{group}{}-{}-{digest}.zip", moment(first), moment(last))
}

// --- verifying ---------------------------------------------------------------------------------------------------------

/// Verifies the chain of an archive; `each` is given every container's name and bytes as they are met.
///
/// Only the chain is verified here: whether the containers prove anything is for `each` to see.
///
/// # Errors
/// [`ArchiveError`].
pub fn verify<R: Read + Seek>(
    archive: &mut Archive<R>,
    mut each: impl FnMut(&str, Vec<u8>),
) -> Result<Link, ArchiveError> {
    if archive.entry(LINKING_INFO).is_none() {
        return Err(ArchiveError::NoLinkingInfo);
    }
    let info = archive.read(LINKING_INFO, limits::LINKING_INFO_BYTES_MAX)?;
    let text = String::from_utf8(info).map_err(|_| line(1, "UTF-8", "other bytes"))?;
    let mut lines = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l));
    let (previous, algorithm) = read_first(lines.next().unwrap_or_default())?;
    let mut digest = previous.as_ref().map(|(digest, _)| digest.clone()).unwrap_or_default();
    let mut containers = Vec::new();
    let mut listed = BTreeSet::new();
    for (number, text) in (2..).zip(lines).filter(|(_, l)| !l.is_empty()) {
        let (found, name) = text.split_once(' ').ok_or_else(|| line(number, "a digest and a name", text))?;
        if name == LINKING_INFO || !listed.insert(name.to_owned()) {
            return Err(line(number, "a container not named before", text));
        }
        if archive.entry(name).is_none() {
            return Err(ArchiveError::Missing(name.to_owned()));
        }
        let container = archive.read(name, limits::ARCHIVED_CONTAINER_BYTES_MAX)?;
        let both = digest + &hex(&algorithm.digest(&container));
        digest = hex(&algorithm.digest(both.as_bytes()));
        if digest != found {
            let (name, found) = (name.to_owned(), found.to_owned());
            return Err(ArchiveError::Broken { name, expected: digest, found });
        }
        containers.push(name.to_owned());
        each(name, container);
    }
    let mut entries = archive.entries().iter().map(|e| e.name()).filter(|n| *n != LINKING_INFO);
    match entries.find(|n| !listed.contains(*n)) {
        Some(extra) => Err(ArchiveError::Unlisted(extra.to_owned())),
        None => Ok(Link { previous, algorithm, last: digest, containers }),
    }
}

impl Link {
    /// Holds this archive against the one before it.
    ///
    /// # Errors
    /// [`ArchiveError::Order`].
    pub fn follows(&self, before: &Self) -> Result<(), ArchiveError> {
        match &self.previous {
            Some((digest, _)) if *digest == before.last => Ok(()),
            previous => Err(ArchiveError::Order {
                expected: before.last.clone(),
                found: previous.as_ref().map_or_else(|| "nothing".to_owned(), |(digest, _)| digest.clone()),
            }),
        }
    }
}

/// The first line: digest and name of the archive before, or `-` for either, and the algorithm.
fn read_first(text: &str) -> Result<(Option<(String, String)>, DigestAlgorithm), ArchiveError> {
    let expected = "digest and name of the archive before, and a digest algorithm";
    let fields: Vec<_> = text.split(' ').collect();
    let [digest, name, algorithm] = fields.as_slice() else { return Err(line(1, expected, text)) };
    let algorithm = DigestAlgorithm::from_name(algorithm)
        .filter(|a| !matches!(a, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224))
        .ok_or_else(|| line(1, "SHA-256, SHA-384 or SHA-512", algorithm))?;
    match (*digest, *name) {
        ("-", "-") => Ok((None, algorithm)),
        ("-", _) | (_, "-") => Err(line(1, expected, text)),
        (digest, name) => Ok((Some((digest.to_owned(), name.to_owned())), algorithm)),
    }
}

fn line(line: usize, expected: &'static str, found: &str) -> ArchiveError {
    let found = found.chars().take(200).collect();
    ArchiveError::Line { line, expected, found }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
