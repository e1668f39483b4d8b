//! What the tests of this room share.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder with other people's bytes, or `None` with a word of it.
pub(super) fn vectors(folder: &str) -> Option<PathBuf> {
    Some(crate::trust::testing::vectors()?.join(folder))
}

/// Whether a program can be started; says so when not, and fails where nothing may be missing.
pub(super) fn has_tool(name: &str) -> bool {
    let started = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if started.is_ok() {
        return true;
    }
    let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
    assert!(!required, "program {name} is missing");
    crate::trust::testing::skip(&format!("program {name} is missing"));
    false
}

/// Small numbers that look random and are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    /// One of `faces`.
    pub(super) fn pick<'f>(&mut self, faces: &[&'f str]) -> &'f str {
        faces[self.roll(faces.len())]
    }
}

/// Base64, blanks allowed.
pub(super) fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text: String = text.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// A part digested with SHA-512.
pub(super) fn part(name: &str, bytes: &[u8]) -> super::PartDigest {
    let algorithm = crate::crypto::DigestAlgorithm::Sha512;
    super::PartDigest { name: name.to_owned(), algorithm, digest: algorithm.digest(bytes) }
}
