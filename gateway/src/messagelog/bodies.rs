//! Bodies too large for a record: each a file of its own, on disk before the record that names it, and no other record's.

use super::codec::Attachment;
use super::disk::sync_dir;
use super::spool::Spooled;
use super::sum::random;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A body up to this many bytes lies in its record.
const INLINE_BYTES_MAX: u64 = 64 * 1024;
/// The folder of bodies in the log.
const FOLDER: &str = "bodies";

/// The name of a body's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyName {
    /// Its record has this number or a higher one.
    record: u64,
    /// Makes it no other's.
    nonce: u64,
}

impl BodyName {
    /// A name for a body whose record comes after so many.
    fn new(record: u64) -> io::Result<Self> {
        Ok(Self { record, nonce: u64::from_le_bytes(random()?) })
    }

    fn from_text(text: &str) -> Option<Self> {
        let (record, nonce) = text.split_once('-')?;
        Some(Self { record: record.parse().ok()?, nonce: u64::from_str_radix(nonce, 16).ok()? })
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let fields = self.record.to_be_bytes().into_iter().chain(self.nonce.to_be_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (record, nonce) = bytes.split_first_chunk()?;
        let record = u64::from_be_bytes(*record);
        Some(Self { record, nonce: u64::from_be_bytes(nonce.try_into().ok()?) })
    }
}

impl fmt::Display for BodyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}-{:016x}", self.record, self.nonce)
    }
}

/// The file of a body.
pub(super) fn path_of(dir: &Path, name: BodyName) -> PathBuf {
    dir.join(FOLDER).join(name.to_string())
}

/// All bodies, and when each was written.
pub(super) fn all(dir: &Path) -> io::Result<Vec<(BodyName, SystemTime)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir.join(FOLDER))? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(BodyName::from_text) {
            all.push((name, entry.metadata()?.modified()?));
        }
    }
    Ok(all)
}

/// Makes the folder, and clears it of what a crash left half made.
pub(super) fn open(dir: &Path) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".tmp") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether this body belongs in a file of its own.
pub(super) fn is_large(body: &Spooled) -> bool {
    body.len() > INLINE_BYTES_MAX || body.memory().is_none()
}

/// Makes a body durable, whose record comes after so many. Blocks; call it off the async threads for a large one.
pub(super) fn keep(dir: &Path, record: u64, body: &Spooled) -> io::Result<Attachment> {
    if !is_large(body) {
        return Ok(Attachment::Inline(body.memory().cloned().unwrap_or_default()));
    }
    let folder = dir.join(FOLDER);
    let name = BodyName::new(record)?;
    let unfinished = folder.join(format!("{name}.tmp"));
    let made = make(&unfinished, body).and_then(|()| {
        fs::rename(&unfinished, path_of(dir, name))?;
        sync_dir(&folder)
    });
    if let Err(error) = made {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(Attachment::File { digest: body.digest().to_vec(), len: body.len(), name })
}

fn make(path: &Path, body: &Spooled) -> io::Result<()> {
    // A spool file that holds nothing else is given a second name, where that is in the same file system.
    let file = match body.file() {
        Some(spooled) if fs::hard_link(spooled, path).is_ok() => File::open(path)?,
        _ => {
            let mut file = File::create(path)?;
            body.write_to(&mut file)?;
            file
        }
    };
    file.sync_all()
}
