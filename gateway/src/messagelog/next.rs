//! The file that becomes the next segment: made ahead, by a thread that tries until there is space.

use super::alarm::{Alarms, Refused};
use super::disk::Disk;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The next segment. The thread ends with the value.
pub(super) struct Next {
    making: Arc<Making>,
    thread: Option<JoinHandle<()>>,
}

/// How far it is; shared with whoever asks.
pub(super) struct Making {
    disk: Arc<dyn Disk>,
    size: u64,
    alarms: Arc<Alarms>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    stage: Stage,
    /// Whether it is being made at this moment.
    is_busy: bool,
    /// Whether what comes of that is not taken: it is made once more.
    is_stale: bool,
    is_ended: bool,
}

enum Stage {
    /// It was taken.
    None,
    /// It is being made.
    Asked,
    /// It could not be made, and is tried again.
    Fails(Refused),
    Made,
}

/// How soon it is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Next {
    /// Starts to make it.
    pub(super) fn start(disk: Arc<dyn Disk>, size: u64, alarms: Arc<Alarms>) -> io::Result<Self> {
        let state = State { stage: Stage::Asked, is_busy: false, is_stale: false, is_ended: false };
        let making = Making { disk, size, alarms, state: Mutex::new(state), changed: Condvar::new() };
        let making = Arc::new(making);
        let of_thread = Arc::clone(&making);
        let thread = thread::Builder::new().name("log-prepare".to_owned()).spawn(move || of_thread.run())?;
        Ok(Self { making, thread: Some(thread) })
    }

    pub(super) fn making(&self) -> Arc<Making> {
        Arc::clone(&self.making)
    }

    /// Takes it, waiting for the first attempt at it; fails while it cannot be made.
    pub(super) fn take(&self) -> Result<(), Refused> {
        let mut state = self.making.state();
        loop {
            match &state.stage {
                Stage::Made => {
                    state.stage = Stage::None;
                    return Ok(());
                }
                Stage::Fails(why) => return Err(why.clone()),
                Stage::None | Stage::Asked => state = self.making.wait(state),
            }
        }
    }

    /// Has another one made; one that is there or under way is not taken.
    pub(super) fn ask(&self) {
        let mut state = self.making.state();
        state.is_stale = state.is_busy;
        state.stage = Stage::Asked;
        self.making.changed.notify_all();
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        self.making.state().is_ended = true;
        self.making.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Making {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_made(&self) -> bool {
        matches!(self.state().stage, Stage::Made)
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.is_ended {
            match state.stage {
                Stage::None | Stage::Made => state = self.wait(state),
                Stage::Asked | Stage::Fails(_) => {
                    state.is_busy = true;
                    drop(state);
                    let made = self.disk.prepare(self.size);
                    state = self.state();
                    state.is_busy = false;
                    if std::mem::take(&mut state.is_stale) {
                        continue;
                    }
                    match made {
                        Ok(()) => {
                            self.alarms.next_is_made();
                            state.stage = Stage::Made;
                            self.changed.notify_all();
                        }
                        Err(error) => {
                            self.alarms.next_fails(&error);
                            state.stage = Stage::Fails(Refused::from(&error));
                            self.changed.notify_all();
                            state = self.pause(state);
                        }
                    }
                }
            }
        }
    }

    fn pause<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, RETRY);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
