//! The zip layer under containers and archives: every byte of a file is accounted for.
//!
//! Zip tells each entry's story twice, in front of its bytes and in the directory at the end, and readers differ in
//! whom they believe. Here both must agree in every field, and the entries must lie side by side from the first
//! byte of the file to the directory: nothing hides between them, before them or after the end.
//!
//! Ours: X-Road 7.8 reads a container as a stream; the last duplicate wins, the directory is ignored, a truncated
//! file passes (message-path §6.5). This is also why no crate reads here: none shows the bytes it passes over.
//!
//! | file | what it holds |
//! |---|---|
//! | [`read`] | the strict reader |
//! | [`write`](mod@write) | the writer, byte for byte as Java's |

pub mod read;
pub mod write;

pub use read::{Archive, Entry};
pub use write::{EntryWriter, Level, Writer};

/// The local header's signature. Spec: APPNOTE 4.3.7.
const LOCAL: u32 = 0x0403_4b50;
/// The data descriptor's signature. Spec: APPNOTE 4.3.9.
const DESCRIPTOR: u32 = 0x0807_4b50;
/// The directory header's signature. Spec: APPNOTE 4.3.12.
const DIRECTORY: u32 = 0x0201_4b50;
/// The end record's signature. Spec: APPNOTE 4.3.16.
const END: u32 = 0x0605_4b50;
/// Sizes and checksum follow the content. Spec: APPNOTE 4.4.4, bit 3.
const FLAG_DESCRIPTOR: u16 = 0x0008;
/// The name is UTF-8. Spec: APPNOTE 4.4.4, bit 11.
const FLAG_UTF8: u16 = 0x0800;
/// The content as it is.
const STORED: u16 = 0;
/// The content deflated.
const DEFLATED: u16 = 8;
/// The extended time-stamp extra field. Spec: Info-ZIP's extra field list, `0x5455`.
const EXTRA_TIME: u16 = 0x5455;

/// A zip file that is not read, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// Reading or writing failed below.
    #[error("zip file: {0}")]
    Io(String),
    /// No end record closes the file.
    #[error("not a zip file: no directory ends where the file ends")]
    NoEnd,
    /// A record is not where it must be, or is cut short.
    #[error("zip file has no {what} at byte {at}")]
    Record {
        /// Which record.
        what: &'static str,
        /// Where it must be.
        at: u64,
    },
    /// Bytes that belong to nothing the directory lists.
    #[error("zip file: bytes from {from} to {to} belong to no entry of its directory")]
    Unlisted {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Entry and directory tell different stories, or one tells what no story may be.
    #[error("zip entry {name:?}: {field} is {found}, expected {expected}")]
    Field {
        /// The entry; empty for the file itself.
        name: String,
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A name that occurs twice, or another in other letter case.
    #[error("zip entry {0:?} occurs twice")]
    Twice(String),
    /// A name that leads elsewhere or cannot be told apart from another by eye.
    #[error("zip entry {0:?} has a name that no container's entry has")]
    Name(String),
    /// One of the bounds.
    #[error("zip file has {found} {what}, at most {allowed} are read")]
    Bound {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        allowed: u64,
    },
    /// Content that does not come out as the directory says.
    #[error("zip entry {name:?} is damaged: {what}")]
    Damaged {
        /// The entry.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// An entry asked for that is not there.
    #[error("zip file has no entry {0:?}")]
    Missing(String),
}

impl From<std::io::Error> for ZipError {
    /// An error that a writer of ours passed on stays what it was.
    fn from(error: std::io::Error) -> Self {
        error.downcast().unwrap_or_else(|error| Self::Io(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
