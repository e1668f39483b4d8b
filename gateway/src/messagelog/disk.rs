//! The files that the log writes; tests put failing ones in their place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Where segments are made.
pub(super) trait Disk: Send + Sync + 'static {
    /// Makes the file of the next segment: zeros, on disk. Nothing is lost when it fails; it may be called again.
    fn prepare(&self, len: u64) -> io::Result<()>;
    /// Turns the prepared file into this segment, with its header, durably.
    fn adopt(&self, name: Name, header: &[u8]) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a segment that is there, to go on with it.
    fn reopen(&self, name: Name) -> io::Result<Box<dyn SegmentFile>>;
}

/// A segment that is written.
pub(super) trait SegmentFile: Send {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives back what follows `len`: the segment is full.
    fn seal(&mut self, len: u64) -> io::Result<()>;
    /// Writes what lies between `from` and `end` once more, on disk: the sync of the process before may have failed, and
    /// what was read may be in memory alone. With `is_torn`, zeros follow.
    fn settle(&mut self, from: u64, end: u64, is_torn: bool) -> io::Result<()>;
}

/// Segments in a directory.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

/// The end of a segment's name.
const SUFFIX: &str = ".log";
/// The file that becomes the next segment.
const NEXT: &str = "next.tmp";
/// Zeros that are written at once.
const ZEROS: &[u8] = &[0; 256 * 1024];

/// What a segment is called: by its own number and that of its first record, so that a list of names tells where each
/// record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// The segment's number, from 1.
    pub(super) segment: u64,
    /// The number of its first record.
    pub(super) record: u64,
}

impl Name {
    /// The segment's file.
    pub(super) fn log(self) -> String {
        format!("{:010}-{:016}{SUFFIX}", self.segment, self.record)
    }

    /// Its index file.
    pub(super) fn index(self) -> String {
        format!("{:010}-{:016}.idx", self.segment, self.record)
    }

    fn from_file(name: &str) -> Option<Self> {
        let (segment, record) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        Some(Self { segment: segment.parse().ok()?, record: record.parse().ok()? })
    }
}

/// The names of all segments in `dir`, ascending.
pub(super) fn names(dir: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().to_str().and_then(Name::from_file));
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory's entries durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(ZEROS.get(..piece).unwrap_or(ZEROS), at)?;
        at += piece as u64;
    }
    Ok(())
}

impl Disk for Directory {
    fn prepare(&self, len: u64) -> io::Result<()> {
        let path = self.0.join(NEXT);
        let made = File::create(&path).and_then(|file| {
            zero(&file, 0, len)?;
            file.sync_all()
        });
        if made.is_err() {
            // What was written so far would hold the space that is missing.
            let _ = fs::remove_file(&path);
        }
        made
    }

    fn adopt(&self, name: Name, header: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        let path = self.0.join(NEXT);
        let file = File::options().read(true).write(true).open(&path)?;
        file.write_all_at(header, 0)?;
        file.sync_all()?;
        fs::rename(&path, self.0.join(name.log()))?;
        sync_dir(&self.0)?;
        Ok(Box::new(file))
    }

    fn reopen(&self, name: Name) -> io::Result<Box<dyn SegmentFile>> {
        let file = File::options().read(true).write(true).open(self.0.join(name.log()))?;
        Ok(Box::new(file))
    }
}

impl SegmentFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn seal(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.sync_all()
    }

    fn settle(&mut self, from: u64, end: u64, is_torn: bool) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(from)).map_err(io::Error::other)?];
        self.read_exact_at(&mut bytes, from)?;
        self.write_all_at(&bytes, from)?;
        if is_torn {
            let len = self.metadata()?.len();
            zero(self, end, len)?;
        }
        self.sync_all()
    }
}
