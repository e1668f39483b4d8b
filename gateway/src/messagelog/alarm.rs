//! What is wrong with the log's disk, for whoever asks while it is.
//!
//! | what fails | what happens | how it ends |
//! |---|---|---|
//! | space for the next segment | nothing, while the present one has room: it is made ahead | it is tried each second |
//! | the same, and the present one is full | records are refused; none of them is on disk | the same |
//! | a write or a sync | the batch is refused and its segment given up: nothing is written to that file again, and what lies behind the last sync that worked is not part of the log | the log goes on in a new segment, as soon as a new file can be written and synced |
//! | a file of a large body | its record is refused | with the next one that is kept |
//! | a write or a sync that takes long | those who wait are refused after `log.patience`; their records may still be written | when it returns |

use super::LogError;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a record was not written; every order of a batch gets its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    kind: io::ErrorKind,
    text: String,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(refused.kind, refused.text)
    }
}

impl From<&io::Error> for Refused {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }
}

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Alarms(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why the next segment cannot be made.
    next: Option<Refused>,
    /// Why records wait for the next segment: the present one is full, or given up.
    waits: Option<Refused>,
    /// Why a large body was not kept.
    body: Option<Refused>,
    /// Since when a batch is being written.
    busy: Option<Instant>,
    /// Whether the writer has ended.
    is_ended: bool,
}

/// A write that takes longer is said to be slow.
const SLOW: Duration = Duration::from_secs(1);
/// A write that takes longer makes the log not ready.
const STALLED: Duration = Duration::from_secs(10);

impl Alarms {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next segment could not be made, and is tried again.
    pub(super) fn next_fails(&self, error: &io::Error) {
        let (refused, mut state) = (Refused::from(error), self.state());
        if state.next.as_ref() != Some(&refused) {
            tracing::error!(alarm = true, %error, "no space for the next segment of the message log");
        }
        state.next = Some(refused);
    }

    /// The next segment is there.
    pub(super) fn next_is_made(&self) {
        if self.state().next.take().is_some() {
            tracing::info!("the next segment of the message log has space again");
        }
    }

    /// Records wait for the next segment: the present one is full.
    pub(super) fn is_full(&self, why: &Refused) {
        let mut state = self.state();
        if state.waits.is_none() {
            tracing::error!(alarm = true, error = why.text, "message log is full: records are refused");
        }
        state.waits.get_or_insert_with(|| why.clone());
    }

    /// Records wait for the next segment: the present one is given up.
    pub(super) fn is_given_up(&self, segment: u64, error: &io::Error) {
        tracing::error!(alarm = true, segment, %error, "message log failed: its segment is given up");
        self.state().waits = Some(Refused::from(error));
    }

    /// The log goes on in the next segment.
    pub(super) fn goes_on(&self, segment: u64) {
        if self.state().waits.take().is_some() {
            tracing::info!(segment, "message log takes records again");
        }
    }

    /// A large body was kept, or not.
    pub(super) fn body_kept(&self, outcome: Result<(), &io::Error>) {
        let mut state = self.state();
        match outcome {
            Err(error) if state.body.is_none() => {
                tracing::error!(alarm = true, %error, "large body not kept: its message is refused");
                state.body = Some(error.into());
            }
            Ok(()) if state.body.take().is_some() => tracing::info!("large bodies are kept again"),
            Ok(()) | Err(_) => {}
        }
    }

    /// A batch is being written.
    pub(super) fn begins(&self) {
        self.state().busy = Some(Instant::now());
    }

    /// It was written, or not.
    pub(super) fn returns(&self) {
        let took = self.state().busy.take().map(|since| since.elapsed()).unwrap_or_default();
        if took >= SLOW {
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(ms, "the disk of the message log was slow");
        }
    }

    /// Nothing more is written.
    pub(super) fn ends(&self) {
        self.state().is_ended = true;
    }

    /// Why a record would not be taken now.
    pub(super) fn refusal(&self, dir: &Path, is_next_made: bool) -> Result<(), LogError> {
        let state = self.state();
        if state.is_ended {
            return Err(LogError::Closed);
        }
        match (&state.waits, state.busy.map(|since| since.elapsed())) {
            (Some(why), _) if !is_next_made => {
                let why = state.next.as_ref().unwrap_or(why).clone();
                Err(LogError::Disk { dir: dir.to_owned(), source: why.into() })
            }
            (_, Some(waited)) if waited >= STALLED => Err(LogError::Slow { waited }),
            _ => Ok(()),
        }
    }

    /// What is not well, and lets records through.
    pub(super) fn warnings(&self) -> Vec<String> {
        let state = self.state();
        let mut warnings = Vec::new();
        warnings.extend(state.next.as_ref().map(|why| {
            format!(
                "the message log has no space for its next segment, and stops when this one is full: {}",
                why.text
            )
        }));
        warnings.extend(state.body.as_ref().map(|why| format!("large bodies cannot be kept: {}", why.text)));
        if let Some(waited) = state.busy.map(|since| since.elapsed()).filter(|waited| *waited >= SLOW) {
            warnings.push(format!("the disk of the message log has been writing for {} s", waited.as_secs()));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_long_is_told_and_at_last_makes_the_log_not_ready() {
        let alarms = Alarms::default();
        let ready = || alarms.refusal(Path::new("log"), true);
        for (seconds, is_warned, is_ready) in [(0, false, true), (2, true, true), (11, true, false)] {
            alarms.state().busy = Instant::now().checked_sub(Duration::from_secs(seconds));
            assert_eq!(!alarms.warnings().is_empty(), is_warned, "{seconds} s");
            assert_eq!(ready().is_ok(), is_ready, "{seconds} s");
        }
        alarms.returns();
        assert!(ready().is_ok() && alarms.warnings().is_empty());
        alarms.ends();
        assert!(matches!(ready(), Err(LogError::Closed)));
    }
}
