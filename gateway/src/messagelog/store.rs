//! Reads segments: walks through one, or takes one record out.

use super::LogError;
use super::codec::{self, Content};
use super::disk::Name;
use super::frame::{End, FRAME_BYTES, Frame, HEADER_BYTES, Header, Shared, Tail, Walk};
use super::index::{Note, Rows};
use saatkond_proto::crypto::DigestAlgorithm;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a walk through a segment has found.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) header: Header,
    /// Where its whole batches end.
    pub(super) end: End,
    /// Where the last whole batch begins.
    pub(super) last_batch: u64,
}

fn damaged(dir: &Path, name: Name, offset: u64, text: &str) -> LogError {
    LogError::Damaged { file: dir.join(name.log()), offset, text: text.to_owned() }
}

/// Walks through one segment; checks every sum and the chain.
///
/// A torn tail is told in its end. With `next`, the header of the segment after it, what lies behind the end that it
/// names is not looked at, and the segment must end there.
pub(super) fn walk(dir: &Path, name: Name, next: Option<&Header>) -> Result<(Rows, Walked), LogError> {
    let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
    let damaged = |offset: usize, text: &str| damaged(dir, name, offset as u64, text);
    let mut bytes = fs::read(dir.join(name.log())).map_err(disk)?;
    if let Some(next) = next {
        bytes.truncate(usize::try_from(next.before).unwrap_or(usize::MAX));
    }
    let mut walk = Walk::new(&bytes).ok_or_else(|| damaged(0, "its header does not hold"))?;
    let header = walk.header().clone();
    if header.name() != name {
        return Err(damaged(0, "its header names another segment"));
    }
    let mut rows = Rows::new(name);
    let mut last_batch = HEADER_BYTES;
    while let Some(batch) = walk.batch() {
        last_batch = batch.first().map_or(last_batch, |frame| frame.offset);
        for frame in batch {
            let content = Content::from_bytes(frame.body, walk.shared(&frame))
                .ok_or_else(|| damaged(frame.offset, "a record cannot be read"))?;
            rows.add(frame.offset as u64, Note::of(&content));
        }
    }
    let end = walk.end();
    if end.tail == Tail::Damaged {
        return Err(damaged(end.offset, "a record does not hold, and later ones follow it"));
    }
    if let Some(next) = next {
        let told = (next.before, next.record, next.batch, next.chain);
        if (end.offset as u64, end.record, end.batch, end.chain) != told {
            return Err(damaged(end.offset, "the segment after it does not go on where its records end"));
        }
    }
    Ok((rows, Walked { header, end, last_batch: last_batch as u64 }))
}

/// The header of a segment.
pub(super) fn header(dir: &Path, name: Name) -> Result<Header, LogError> {
    Opened::open(dir, name).map(|opened| opened.header)
}

/// A segment, open for taking records out.
#[derive(Debug)]
struct Opened {
    name: Name,
    file: File,
    header: Header,
}

impl Opened {
    fn open(dir: &Path, name: Name) -> Result<Self, LogError> {
        let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
        let file = File::open(dir.join(name.log())).map_err(disk)?;
        let mut head = vec![0; HEADER_BYTES];
        file.read_exact_at(&mut head, 0).map_err(disk)?;
        let header = Header::from_bytes(&head)
            .filter(|header| header.name() == name)
            .ok_or_else(|| damaged(dir, name, 0, "its header does not hold"))?;
        Ok(Self { name, file, header })
    }

    /// The bytes of the frame at `offset`; `None` when none begins there.
    fn frame(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let read = read_at_most(&self.file, &mut bytes, offset)?;
        bytes.truncate(read);
        let Some(length) = Frame::length(&bytes).map(|length| FRAME_BYTES + length) else { return Ok(None) };
        if length > read {
            bytes.resize(length, 0);
            let rest = bytes.get_mut(read..).unwrap_or_default();
            self.file.read_exact_at(rest, offset + read as u64)?;
        }
        bytes.truncate(length);
        Ok(Some(bytes))
    }
}

/// What is read of a frame at first: all of a usual one.
const FIRST_READ_BYTES: usize = 16 * 1024;

fn read_at_most(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    loop {
        let rest = bytes.get_mut(read..).unwrap_or_default();
        match file.read_at(rest, offset + read as u64) {
            Ok(0) => return Ok(read),
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes records out of segments; some are kept open.
#[derive(Debug)]
pub(super) struct Segments {
    dir: PathBuf,
    kept: Mutex<VecDeque<Arc<Opened>>>,
}

/// Segments that are kept open.
const KEPT_MAX: usize = 8;

impl Segments {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), kept: Mutex::default() }
    }

    /// Takes one record out; its sum is checked again.
    pub(super) fn read(&self, name: Name, number: u64, offset: u64) -> Result<Content, LogError> {
        let disk = |source| LogError::Disk { dir: self.dir.clone(), source };
        let text = format!("record {number} does not hold");
        let damaged = || damaged(&self.dir, name, offset, &text);
        let segment = self.opened(name)?;
        let bytes = segment.frame(offset).map_err(disk)?.ok_or_else(damaged)?;
        let header = &segment.header;
        let frame = Frame::alone(&bytes, header).filter(|f| f.place.record == number).ok_or_else(damaged)?;
        let lender = match frame.shared {
            Shared::Lent { lender, .. } => segment.frame(lender).map_err(disk)?.ok_or_else(damaged)?,
            Shared::Nothing | Shared::Own { .. } => Vec::new(),
        };
        let shared = match frame.shared {
            Shared::Nothing => &[],
            Shared::Own { bytes, .. } => bytes,
            Shared::Lent { sum, .. } => match Frame::alone(&lender, header).map(|lender| lender.shared) {
                Some(Shared::Own { bytes, sum: found }) if found == sum => bytes,
                _ => return Err(damaged()),
            },
        };
        Content::from_bytes(frame.body, shared).ok_or_else(damaged)
    }

    /// The SHA-512 of a message's signature document. `known` has those of documents met before, by where they lie:
    /// messages that were signed together share one, which is read and digested once.
    pub(super) fn signature_digest(
        &self,
        (name, number, offset): (Name, u64, u64),
        known: &mut HashMap<(Name, u64), Vec<u8>>,
    ) -> Result<Vec<u8>, LogError> {
        let disk = |source| LogError::Disk { dir: self.dir.clone(), source };
        let text = format!("record {number} does not hold");
        let damaged = || damaged(&self.dir, name, offset, &text);
        let segment = self.opened(name)?;
        let read = |offset| segment.frame(offset).map_err(disk)?.ok_or_else(damaged);
        let bytes = read(offset)?;
        let frame = Frame::alone(&bytes, &segment.header).filter(|f| f.place.record == number);
        let frame = frame.filter(|f| codec::is_message(f.body)).ok_or_else(damaged)?;
        let digest_of = |shared| codec::signature_in(shared).map(|s| DigestAlgorithm::Sha512.digest(s));
        let (at, digest) = match frame.shared {
            Shared::Nothing => return Err(damaged()),
            Shared::Own { bytes, .. } => (offset, digest_of(bytes)),
            Shared::Lent { lender, sum } => {
                if let Some(digest) = known.get(&(name, lender)) {
                    return Ok(digest.clone());
                }
                let bytes = read(lender)?;
                match Frame::alone(&bytes, &segment.header).map(|lender| lender.shared) {
                    Some(Shared::Own { bytes, sum: found }) if found == sum => (lender, digest_of(bytes)),
                    _ => return Err(damaged()),
                }
            }
        };
        let digest = digest.ok_or_else(damaged)?;
        known.insert((name, at), digest.clone());
        Ok(digest)
    }

    /// Lets go of a segment that is about to be deleted.
    pub(super) fn forget(&self, name: Name) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| one.name != name);
    }

    fn opened(&self, name: Name) -> Result<Arc<Opened>, LogError> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            if let Some(found) = kept.iter().position(|one| one.name == name).and_then(|n| kept.remove(n)) {
                kept.push_front(Arc::clone(&found));
                return Ok(found);
            }
        }
        let opened = Arc::new(Opened::open(&self.dir, name)?);
        let mut kept = lock();
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(Arc::clone(&opened));
        Ok(opened)
    }
}
