//! Bodies under way: those of one message in memory while they are small together, then in one file. May be lost: a body
//! that matters is recorded.

use bytes::{Bytes, BytesMut};
use saatkond_proto::crypto::{DigestAlgorithm, Hasher};
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pieces that files are written and read in.
const PIECE_BYTES: usize = 256 * 1024;

/// Where bodies go while they are under way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Place>);

#[derive(Debug)]
struct Place {
    dir: PathBuf,
    bounds: Bounds,
    used: AtomicU64,
    next: AtomicU64,
}

/// How much a spool takes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of one message's bodies kept in memory.
    pub memory: u64,
    /// Bytes of one message's bodies.
    pub body_max: u64,
    /// Bytes of all files together.
    pub files_max: u64,
}

/// A body that cannot be spooled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The disk failed.
    #[error("spool at {}: {source}", dir.display())]
    Disk {
        /// The spool's directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One message's bodies are too large.
    #[error("body or attachments are larger than {allowed} bytes")]
    TooLarge {
        /// Bytes allowed.
        allowed: u64,
    },
    /// All bodies together are too large.
    #[error("bodies under way fill the spool of {allowed} bytes")]
    Full {
        /// Bytes allowed.
        allowed: u64,
    },
}

impl Spool {
    /// Opens `dir`, which is made when missing; what an earlier process left in it is removed.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    pub fn open(dir: &Path, bounds: Bounds) -> Result<Self, SpoolError> {
        let disk = |source| SpoolError::Disk { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(disk)?;
        for entry in std::fs::read_dir(dir).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
                std::fs::remove_file(entry.path()).map_err(disk)?;
            }
        }
        let place = Place { dir: dir.to_owned(), bounds, used: AtomicU64::new(0), next: AtomicU64::new(0) };
        Ok(Self(Arc::new(place)))
    }

    /// Starts the bodies of one message.
    #[must_use]
    pub fn writer(&self) -> SpoolWriter {
        SpoolWriter {
            place: Arc::clone(&self.0),
            hasher: Hasher::new(DigestAlgorithm::Sha512),
            len: 0,
            start: Vec::new(),
            waiting: BytesMut::new(),
            at: None,
            file: None,
            earlier: 0,
            in_memory: 0,
        }
    }
}

/// Bytes of a body's start that are kept at hand.
const START_BYTES: usize = saatkond_proto::signature::batch::STEP_START_BYTES;
/// The end of a spool file's name.
const SUFFIX: &str = ".body";

/// A file in the spool, of one message; it goes when nobody holds it.
#[derive(Debug)]
struct Kept {
    place: Arc<Place>,
    path: PathBuf,
    file: File,
    len: AtomicU64,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.place.used.fetch_sub(*self.len.get_mut(), Ordering::SeqCst);
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "spool file not removed");
        }
    }
}

/// Takes the bodies of one message, one after the other, piece by piece.
pub struct SpoolWriter {
    place: Arc<Place>,
    hasher: Hasher,
    len: u64,
    start: Vec<u8>,
    waiting: BytesMut,
    /// Where in the file this body begins; `None` while it is in memory.
    at: Option<u64>,
    file: Option<Arc<Kept>>,
    /// Bytes of the bodies before this one.
    earlier: u64,
    /// Those of them that are in memory.
    in_memory: u64,
}

impl SpoolWriter {
    /// Takes more of the body.
    ///
    /// # Errors
    /// [`SpoolError`].
    ///
    /// # Cancel safety
    /// None: a writer whose call was dropped holds a body with a gap, and must be dropped too.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let bounds = self.place.bounds;
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.earlier.saturating_add(self.len) > bounds.body_max {
            return Err(SpoolError::TooLarge { allowed: bounds.body_max });
        }
        self.hasher.update(bytes);
        let missing = START_BYTES.saturating_sub(self.start.len());
        self.start.extend_from_slice(bytes.get(..missing).unwrap_or(bytes));
        self.waiting.extend_from_slice(bytes);
        let left = bounds.memory.saturating_sub(self.in_memory);
        let full = if self.at.is_some() { PIECE_BYTES as u64 } else { left };
        if self.waiting.len() as u64 > full { self.flush().await } else { Ok(()) }
    }

    /// Bytes of this body taken so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing of this body was taken yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends a body; what is written then is the next one's.
    ///
    /// # Errors
    /// [`SpoolError::Disk`], [`SpoolError::Full`].
    ///
    /// # Cancel safety
    /// None, as of [`SpoolWriter::write`].
    pub async fn finish(&mut self) -> Result<Spooled, SpoolError> {
        if self.at.is_some() && !self.waiting.is_empty() {
            self.flush().await?;
        }
        let place = match (self.at.take(), &self.file) {
            (Some(at), Some(kept)) => Rest::File { kept: Arc::clone(kept), at },
            _ => {
                self.in_memory = self.in_memory.saturating_add(self.len);
                Rest::Memory(self.waiting.split().freeze())
            }
        };
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(DigestAlgorithm::Sha512));
        let (len, start) = (std::mem::take(&mut self.len), std::mem::take(&mut self.start));
        self.earlier = self.earlier.saturating_add(len);
        Ok(Spooled(Arc::new(Body { digest: hasher.finish(), len, start, place })))
    }

    async fn flush(&mut self) -> Result<(), SpoolError> {
        let piece = self.waiting.split().freeze();
        let more = piece.len() as u64;
        let allowed = self.place.bounds.files_max;
        let before = self.place.used.fetch_add(more, Ordering::SeqCst);
        if before.saturating_add(more) > allowed {
            self.place.used.fetch_sub(more, Ordering::SeqCst);
            return Err(SpoolError::Full { allowed });
        }
        let (place, kept) = (Arc::clone(&self.place), self.file.clone());
        let written = tokio::task::spawn_blocking(move || append(&place, kept, &piece)).await;
        let written = match written {
            Ok(written) => written.inspect_err(|_| {
                self.place.used.fetch_sub(more, Ordering::SeqCst);
            }),
            Err(error) => Err(std::io::Error::other(error)),
        };
        let (kept, at) =
            written.map_err(|source| SpoolError::Disk { dir: self.place.dir.clone(), source })?;
        self.file = Some(kept);
        self.at.get_or_insert(at);
        Ok(())
    }
}

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpoolWriter({} bytes)", self.len)
    }
}

/// Adds to the message's file, which is made when there is none; tells where the piece begins.
fn append(place: &Arc<Place>, kept: Option<Arc<Kept>>, piece: &[u8]) -> std::io::Result<(Arc<Kept>, u64)> {
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let number = place.next.fetch_add(1, Ordering::SeqCst);
            let path = place.dir.join(format!("{number}{SUFFIX}"));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            Arc::new(Kept { place: Arc::clone(place), path, file, len: AtomicU64::new(0) })
        }
    };
    (&kept.file).write_all(piece)?;
    let at = kept.len.fetch_add(piece.len() as u64, Ordering::SeqCst);
    Ok((kept, at))
}

/// A whole body, with its digest. Cheap to clone; its file goes with the last clone of the last body in it.
#[derive(Debug, Clone)]
pub struct Spooled(Arc<Body>);

#[derive(Debug)]
struct Body {
    digest: Vec<u8>,
    len: u64,
    start: Vec<u8>,
    place: Rest,
}

#[derive(Debug)]
enum Rest {
    Memory(Bytes),
    File { kept: Arc<Kept>, at: u64 },
}

impl Spooled {
    /// A body that is in memory already.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        let digest = DigestAlgorithm::Sha512.digest(&bytes);
        let start = bytes.get(..START_BYTES).unwrap_or(&bytes).to_vec();
        Self(Arc::new(Body { digest, len: bytes.len() as u64, start, place: Rest::Memory(bytes) }))
    }

    /// Its SHA-512.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.0.digest
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Its first bytes, a hundred at most.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.0.start
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// All of it, when it is in memory.
    #[must_use]
    pub fn memory(&self) -> Option<&Bytes> {
        match &self.0.place {
            Rest::Memory(bytes) => Some(bytes),
            Rest::File { .. } => None,
        }
    }

    /// Its file, when it is in one and nothing else is.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.0.place {
            Rest::File { kept, .. } if kept.len.load(Ordering::SeqCst) == self.len() => Some(&kept.path),
            Rest::File { .. } | Rest::Memory(_) => None,
        }
    }

    /// Writes all of it. Blocks.
    pub(super) fn write_to(&self, file: &mut File) -> std::io::Result<()> {
        let mut at = 0;
        while at < self.len() {
            let piece = read_piece(self, at)?;
            file.write_all(&piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Reads it from the start; many may read at once.
    #[must_use]
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { body: self.clone(), at: 0 }
    }
}

/// Reads a body piece by piece.
#[derive(Debug)]
pub struct SpoolReader {
    body: Spooled,
    at: u64,
}

impl SpoolReader {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    ///
    /// # Cancel safety
    /// A dropped call reads the same piece again next time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SpoolError> {
        if self.at >= self.body.len() {
            return Ok(None);
        }
        let piece = match &self.body.0.place {
            Rest::Memory(bytes) => bytes.clone(),
            Rest::File { kept, .. } => {
                let (body, at, dir) = (self.body.clone(), self.at, kept.place.dir.clone());
                let read = tokio::task::spawn_blocking(move || read_piece(&body, at)).await;
                let read = read.map_err(std::io::Error::other).and_then(|r| r);
                read.map_err(|source| SpoolError::Disk { dir, source })?
            }
        };
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }
}

/// What stands at `at`; of what is in memory all.
fn read_piece(body: &Spooled, at: u64) -> std::io::Result<Bytes> {
    match &body.0.place {
        Rest::Memory(bytes) => Ok(bytes.clone()),
        Rest::File { kept, at: begins } => {
            let left = usize::try_from(body.len().saturating_sub(at)).unwrap_or(PIECE_BYTES);
            let mut piece = vec![0; left.min(PIECE_BYTES)];
            kept.file.read_exact_at(&mut piece, begins.saturating_add(at))?;
            Ok(piece.into())
        }
    }
}
