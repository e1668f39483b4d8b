//! Orders that an operator leaves at a running gateway: files in `authority/`, written by `saatkond authority switch`, taken
//! within a second, answered beside.
//!
//! Who can write there may ask; what is asked counts only by the operator's signature. A file is taken away before it is
//! acted on, so nothing is done twice, and one that lay there for long is refused.

use super::switch::Switched;
use saatkond_ca::index::replace_file;
use saatkond_proto::continuity::authority::Warrant;
use saatkond_proto::limits::ORDER_BYTES_MAX;
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long after it was signed an order may be left at a gateway.
pub const AGE_MAX: Duration = Duration::from_secs(60);
/// The end of the name of a file with an order that is asked for.
const ASKED: &str = "asked";
/// The end of the name of a file with what came of it.
const ANSWER: &str = "answer";

/// What came of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Authority has passed.
    Made(Switched),
    /// Nothing has changed; why.
    Refused(String),
}

/// Leaves an order at the gateway whose directory `authority/` is `dir`. Returns the file.
///
/// # Errors
/// Those of the disk.
pub fn leave(dir: &Path, warrant: &Warrant) -> io::Result<PathBuf> {
    let claim = warrant.claim();
    let file = dir.join(format!("{}-{}.{ASKED}", claim.token.value(), std::process::id()));
    replace_file(&file, warrant.to_text().as_bytes(), 0o600)?;
    Ok(file)
}

/// Takes away what was left in `dir`: each file, and the order in it if it is one.
///
/// # Errors
/// Those of the disk.
pub fn take(dir: &Path) -> io::Result<Vec<(PathBuf, Option<Warrant>)>> {
    let mut taken = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_whole = path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
        if !is_whole || path.extension().is_none_or(|end| end != ASKED) {
            continue;
        }
        let mut text = String::new();
        let read = File::open(&path)?.take(ORDER_BYTES_MAX as u64 + 1).read_to_string(&mut text);
        fs::remove_file(&path)?;
        taken.push((path, read.ok().and_then(|_| Warrant::from_text(&text).ok())));
    }
    Ok(taken)
}

/// Whether an order was signed a moment ago.
#[must_use]
pub fn is_fresh(warrant: &Warrant, now: UnixTime) -> bool {
    let Warrant::Order(order) = warrant;
    let time = order.time();
    now.since(time) <= AGE_MAX && time.since(now) <= AGE_MAX
}

/// Says what came of the order that was left as `file`.
///
/// # Errors
/// Those of the disk.
pub fn answer(file: &Path, answer: &Answer) -> io::Result<()> {
    replace_file(&file.with_extension(ANSWER), &serde_json::to_vec(answer)?, 0o600)
}

/// What came of the order that was left as `file`, once it is known; it is told once.
///
/// # Errors
/// Those of the disk, and for an answer that is none.
pub fn answered(file: &Path) -> io::Result<Option<Answer>> {
    let file = file.with_extension(ANSWER);
    match fs::read(&file) {
        Ok(bytes) => {
            fs::remove_file(&file)?;
            Ok(Some(serde_json::from_slice(&bytes)?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
