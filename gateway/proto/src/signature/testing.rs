//! What the tests of this room share.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether a missing tool or folder is a failure.
fn everything_is_required() -> bool {
    std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all")
}

/// Says that a test skips, or fails where nothing may be missing.
fn missing(what: &str) {
    assert!(!everything_is_required(), "{what} is missing and SAATKOND_REQUIRE=all");
    eprintln!("skipped: {what} is missing");
}

/// The folder with other people's bytes, or `None` with a word of it.
pub(super) fn vectors(folder: &str) -> Option<PathBuf> {
    let root = std::env::var("SAATKOND_VECTORS")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let found = root.join(folder);
    if !found.is_dir() {
        missing(&format!("folder {} (set SAATKOND_VECTORS)", found.display()));
        return None;
    }
    Some(found)
}

/// Whether a program can be started; says so when not.
pub(super) fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        missing(&format!("program {name}"));
    }
    found
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
