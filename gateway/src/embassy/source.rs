//! Asks whoever knows how old a copy is.
//!
//! | source | what it says |
//! |---|---|
//! | `file` | the moment up to which the copy holds everything: RFC 3339, or Unix seconds |
//! | `probe` | seconds: a number, as text or JSON, or JSON's `staleness` in an object |
//! | `postgres` | how far it has replayed ([`super::postgres`]) |

use super::postgres::Database;
use crate::conf::{AgeSource, Client};
use crate::net::fetch::{self, Bounds, Meeting};
use saatkond_proto::id::ClientId;
use saatkond_proto::time::UnixTime;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a source gets to answer.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How far two clocks that are kept may differ: an age of less than nothing up to there is none.
pub const SKEW_MAX: Duration = Duration::from_secs(2);
/// Bytes of an answer or file; a number has ten.
const BYTES_MAX: usize = 4096;

/// An age that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAge {
    /// The source was not heard.
    #[error("{0}")]
    Silent(String),
    /// The source says that it does not know, or says nothing that could be read.
    #[error("{0}")]
    Unknown(String),
}

/// Connections to databases that are asked again and again.
#[derive(Debug, Default)]
pub struct Databases(Mutex<HashMap<ClientId, Database>>);

impl Databases {
    fn take(&self, register: &ClientId) -> Option<Database> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(register)
    }

    fn give(&self, register: &ClientId, database: Database) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(register.clone(), database);
    }

    /// Closes the connections of all copies but these.
    pub fn keep(&self, registers: &[&ClientId]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|register, _| registers.contains(&register));
    }

    /// Asks the source of a client's copy how old it is, within [`PATIENCE`].
    ///
    /// # Errors
    /// [`NoAge`].
    pub async fn ask(&self, client: &Client, source: &AgeSource, now: UnixTime) -> Result<Duration, NoAge> {
        let late = |_| NoAge::Silent(format!("no answer within {PATIENCE:?}"));
        let asked = async {
            match source {
                AgeSource::File(file) => of_file(file.clone(), now).await,
                AgeSource::Probe(url) => of_probe(url, client).await,
                AgeSource::Postgres(config) => {
                    let database = Database::connected(self.take(&client.id), config).await?;
                    let age = database.age().await?;
                    self.give(&client.id, database);
                    age
                }
            }
        };
        timeout(PATIENCE, asked).await.map_err(late)?
    }
}

async fn of_file(file: std::path::PathBuf, now: UnixTime) -> Result<Duration, NoAge> {
    let shown = file.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_bounded(&file)).await;
    let text = read.map_err(std::io::Error::other).flatten();
    let text = text.map_err(|error| NoAge::Silent(format!("{shown}: {error}")))?;
    let moment = moment(text.trim()).ok_or_else(|| {
        let found: String = text.trim().chars().take(40).collect();
        NoAge::Unknown(format!("{shown} holds {found:?}, expected RFC 3339 or Unix seconds"))
    })?;
    since(moment, now)
}

fn read_bounded(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?.take(BYTES_MAX as u64).read_to_string(&mut text)?;
    Ok(text)
}

fn moment(text: &str) -> Option<UnixTime> {
    if let Some(moment) = UnixTime::from_rfc3339(text) {
        return Some(moment);
    }
    let span = saatkond_proto::continuity::header::from_seconds(text)?;
    Some(UnixTime::from_millis(i64::try_from(span.as_millis()).ok()?))
}

/// The time from a moment to now. One ahead of our clock by more than clocks differ says nothing.
fn since(moment: UnixTime, now: UnixTime) -> Result<Duration, NoAge> {
    if moment > now.plus(SKEW_MAX) {
        return Err(NoAge::Unknown(format!("it speaks of {moment}, and it is {now}: clocks differ")));
    }
    Ok(now.since(moment))
}

async fn of_probe(url: &str, client: &Client) -> Result<Duration, NoAge> {
    let bounds = Bounds { connect: PATIENCE, whole: PATIENCE, bytes_max: BYTES_MAX };
    let pinned = (!client.certificates.is_empty()).then(|| client.certificates.clone());
    let answer = fetch::get_meeting(url, None, &Meeting { ours: None, pinned }, bounds).await;
    let answer = answer.map_err(|error| NoAge::Silent(error.to_string()))?;
    if answer.status != 200 {
        return Err(NoAge::Silent(format!("{url}: status {}, expected 200", answer.status)));
    }
    let seconds = match serde_json::from_slice(&answer.body) {
        Ok(Value::Number(number)) => number.as_f64(),
        Ok(Value::Object(members)) => members.get("staleness").and_then(Value::as_f64),
        Ok(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_)) | Err(_) => None,
    };
    from_f64(seconds).ok_or_else(|| {
        let found: String = String::from_utf8_lossy(&answer.body).chars().take(40).collect();
        NoAge::Unknown(format!("{url}: answered {found:?}, expected seconds"))
    })
}

/// Seconds, rounded up; a little less than nothing is nothing, since clocks differ.
pub(super) fn from_f64(seconds: Option<f64>) -> Option<Duration> {
    let seconds = seconds.filter(|s| *s >= -SKEW_MAX.as_secs_f64())?.max(0.0);
    Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).ok()
}

#[cfg(test)]
mod tests;
