//! The configuration anchor: where to ask for the configuration, and whose signature to believe.
//!
//! It comes by hand, from person to person; its fingerprint is compared by eye.

use super::read::ParamsError;
use crate::time::UnixTime;

/// A configuration anchor. Spec: trust-and-configuration §1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was made.
    pub generated_at: Option<UnixTime>,
    /// The instance it serves.
    pub instance: String,
    /// Where to ask.
    pub sources: Vec<AnchorSource>,
}

/// One place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSource {
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Certificates whose keys may sign the directory, as they were given: only their keys and their digests matter.
    pub certificates: Vec<Vec<u8>>,
}

impl Anchor {
    /// Reads an anchor's file.
    ///
    /// # Errors
    /// [`ParamsError`]; its code here is `malformed_anchor`.
    pub fn from_xml(bytes: &[u8]) -> Result<Self, ParamsError> {
        let _ = bytes;
        Err(ParamsError::Version { found: 0 })
    }

    /// Writes the anchor's file.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The fingerprint that people compare: SHA-224 of the file's exact bytes, as `AB:CD:…`.
#[must_use]
pub fn fingerprint(file: &[u8]) -> String {
    let _ = file;
    String::new()
}
