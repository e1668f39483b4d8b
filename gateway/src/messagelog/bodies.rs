//! Bodies too large for a record: each a file of its own, named by its SHA-512, on disk before the record that names it.

use super::codec::Attachment;
use super::disk::sync_dir;
use super::spool::Spooled;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A body up to this many bytes lies in its record.
const INLINE_BYTES_MAX: u64 = 64 * 1024;
/// The folder of bodies in the log.
const FOLDER: &str = "bodies";

/// The file of the body with this digest.
pub(super) fn path_of(dir: &Path, digest: &[u8]) -> PathBuf {
    let name: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    dir.join(FOLDER).join(name)
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

/// Makes a body durable. Blocks; call it off the async threads for a large one.
pub(super) fn keep(dir: &Path, body: &Spooled) -> io::Result<Attachment> {
    if !is_large(body) {
        return Ok(Attachment::Inline(body.memory().cloned().unwrap_or_default()));
    }
    let folder = dir.join(FOLDER);
    let unfinished = folder.join(format!("{}.tmp", NEXT.fetch_add(1, Ordering::SeqCst)));
    let made = make(&unfinished, body).and_then(|()| {
        // A file of this name is replaced, not trusted: a crash may have left it short.
        fs::rename(&unfinished, path_of(dir, body.digest()))?;
        sync_dir(&folder)
    });
    if let Err(error) = made {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(Attachment::File { digest: body.digest().to_vec(), len: body.len() })
}

/// Numbers unfinished files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn make(path: &Path, body: &Spooled) -> io::Result<()> {
    let file = match (body.memory(), body.file()) {
        (Some(bytes), _) => {
            let mut file = File::create(path)?;
            file.write_all(bytes)?;
            file
        }
        // The spool's file is given a second name; it is copied only where that is another file system.
        (None, Some(spooled)) => {
            if fs::hard_link(spooled, path).is_err() {
                fs::copy(spooled, path)?;
            }
            File::open(path)?
        }
        (None, None) => return Err(io::Error::other("body is neither in memory nor in a file")),
    };
    file.sync_all()
}
