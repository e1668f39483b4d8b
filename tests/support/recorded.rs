//! What others recorded or keep for their own tests: found outside the repository, and taken apart without the code
//! under test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One HTTP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Request line or status line.
    pub first: String,
    /// Header lines, in order.
    pub lines: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// Whether its framing said that the body is whole.
    pub is_whole: bool,
}

impl Http {
    /// The first value under a name, compared without letter case.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<&str> {
        crate::wire::line(&self.lines, name)
    }

    /// Takes messages apart that follow each other; a body without length ends with the bytes.
    #[must_use]
    pub fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        while let Some(end) = place(bytes, b"\r\n\r\n") {
            let head: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
            let mut lines = head.split("\r\n").map(str::to_owned);
            let first = lines.next().unwrap();
            let line = |l: String| l.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
            let mut message =
                Self { first, lines: lines.filter_map(line).collect(), body: Vec::new(), is_whole: false };
            bytes = message.take(&bytes[end + 4..]);
            found.push(message);
        }
        found
    }

    /// Takes the body; what follows it.
    fn take<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        if self.line("transfer-encoding").is_none() {
            let length = self.line("content-length").and_then(|l| l.parse::<usize>().ok());
            self.is_whole = length.is_some_and(|l| l <= bytes.len());
            let (body, rest) = bytes.split_at(length.unwrap_or(bytes.len()).min(bytes.len()));
            self.body = body.to_vec();
            return rest;
        }
        while let Some(end) = place(bytes, b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
            let Some(chunk) = bytes.get(end + 2..end + 2 + size) else { break };
            self.body.extend_from_slice(chunk);
            bytes = bytes.get(end + 4 + size..).unwrap_or_default();
            if size == 0 {
                self.is_whole = true;
                break;
            }
        }
        bytes
    }
}

/// Where some bytes first stand in others.
#[must_use]
pub fn place(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// The folder of others' vectors; `None`, said plainly, when it is not here.
///
/// # Panics
/// When it is not here and `SAATKOND_REQUIRE=all` says that nothing may be missing.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("SAATKOND_VECTORS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("SAATKOND_REQUIRE").as_deref() != Ok("all"), "no vectors at {}", folder.display());
    eprintln!("skipped: no vectors at {} (set SAATKOND_VECTORS)", folder.display());
    None
}

/// A file's bytes, unpacked where only its gzipped form is there; `None` when neither is.
///
/// # Panics
/// When it is gzipped and there is no `gzip`.
#[must_use]
pub fn bytes(path: &Path) -> Option<Vec<u8>> {
    if path.is_file() {
        return Some(std::fs::read(path).unwrap());
    }
    let gzipped = PathBuf::from(format!("{}.gz", path.display()));
    gzipped.is_file().then(|| {
        let output = Command::new("gzip").arg("-dc").arg(&gzipped).output().expect("gzip runs");
        assert!(output.status.success(), "{}", gzipped.display());
        output.stdout
    })
}

/// Every file below a folder, sorted.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
