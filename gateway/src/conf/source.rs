//! Files as they were read, to see when they have changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as it looked from outside when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    file: PathBuf,
    modified: Option<SystemTime>,
    len: u64,
    /// Another file under the same name has another number.
    inode: u64,
}

impl Source {
    /// The file of this name, which looks so.
    pub(crate) fn new(file: &Path, looks: &Metadata) -> Self {
        Self { file: file.to_owned(), modified: looks.modified().ok(), len: looks.len(), inode: looks.ino() }
    }

    /// Whether it looks as it did.
    pub(crate) fn is_as_read(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|looks| Self::new(&self.file, &looks) == *self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::TestDir;
    use std::fs;

    #[test]
    fn another_length_another_time_and_another_file_are_seen() {
        let dir = TestDir::new("source");
        let (file, other) = (dir.0.join("a"), dir.0.join("b"));
        fs::write(&file, "one").unwrap();
        let source = || Source::new(&file, &fs::metadata(&file).unwrap());
        let first = source();
        assert!(first.is_as_read());
        fs::write(&file, "longer").unwrap();
        assert!(!first.is_as_read());
        let second = source();
        let modified = second.modified.unwrap();
        let set = |time| fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        set(modified - std::time::Duration::from_secs(1));
        assert!(!second.is_as_read());
        let third = source();
        fs::write(&other, "shorts").unwrap();
        fs::rename(&other, &file).unwrap();
        set(third.modified.unwrap());
        assert!(!third.is_as_read(), "same length, same time, another file");
        fs::remove_file(&file).unwrap();
        assert!(!third.is_as_read());
    }
}
