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
    fn adopt(&self, segment: u64, header: &[u8]) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a segment that is there, to go on with it.
    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>>;
}

/// A segment that is written.
pub(super) trait SegmentFile: Send {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives back what follows `len`: the segment is full.
    fn seal(&mut self, len: u64) -> io::Result<()>;
    /// Overwrites everything from `offset` on with zeros, on disk.
    fn blank(&mut self, offset: u64) -> io::Result<()>;
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

/// The name of a segment's file.
pub(super) fn name_of(segment: u64) -> String {
    format!("{segment:010}{SUFFIX}")
}

/// The numbers of all segments in `dir`, ascending.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|n| n.strip_suffix(SUFFIX)).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
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

    fn adopt(&self, segment: u64, header: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        let path = self.0.join(NEXT);
        let file = File::options().read(true).write(true).open(&path)?;
        file.write_all_at(header, 0)?;
        file.sync_all()?;
        fs::rename(&path, self.0.join(name_of(segment)))?;
        sync_dir(&self.0)?;
        Ok(Box::new(file))
    }

    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = File::options().read(true).write(true).open(self.0.join(name_of(segment)))?;
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

    fn blank(&mut self, offset: u64) -> io::Result<()> {
        let len = self.metadata()?.len();
        zero(self, offset, len)?;
        self.sync_all()
    }
}
