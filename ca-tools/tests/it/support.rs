//! What these tests share: directories that go away, openssl as the other side.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the test lints spare functions marked as tests only"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory that is gone when the test is.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("saatkond-ca-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a tool is there; a test without it says that it skips, or fails under `SAATKOND_REQUIRE=all`.
pub(crate) fn has(tool: &str, probe: &[&str]) -> bool {
    let there = Command::new(tool).args(probe).output().is_ok_and(|output| output.status.success());
    if !there {
        let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|value| value == "all");
        assert!(!required, "SAATKOND_REQUIRE=all, but {tool} {} does not run", probe.join(" "));
        eprintln!("SKIPPED: {tool} {} does not run here", probe.join(" "));
    }
    there
}

/// Whether openssl is there.
pub(crate) fn has_openssl() -> bool {
    has("openssl", &["version"])
}

/// Runs openssl; its output, both streams together, when it says yes.
pub(crate) fn openssl(arguments: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } = Command::new("openssl").args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(text) } else { Err(text) }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
