//! The thread that makes the index files of full segments.

use super::{Index, Rows};
use crate::messagelog::frame::End;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Where full segments wait for their index file. The thread ends with the value, when all of them are made.
pub(in crate::messagelog) struct Indexing {
    index: Arc<Index>,
    queue: Option<SyncSender<Full>>,
    thread: Option<JoinHandle<()>>,
}

/// A full segment.
pub(in crate::messagelog) struct Full {
    pub(in crate::messagelog) rows: Arc<Rows>,
    pub(in crate::messagelog) salt: [u8; 16],
    pub(in crate::messagelog) end: End,
}

/// Full segments that may wait; of more than that the file is made when somebody asks for it.
const WAITING_MAX: usize = 4;

impl Indexing {
    pub(in crate::messagelog) fn start(index: Arc<Index>) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Full>(WAITING_MAX);
        let of_thread = Arc::clone(&index);
        let thread = thread::Builder::new().name("log-index".to_owned()).spawn(move || {
            for full in waiting {
                of_thread.make_file(&full.rows, &full.salt, &full.end);
            }
        })?;
        Ok(Self { index, queue: Some(queue), thread: Some(thread) })
    }

    pub(in crate::messagelog) fn make(&self, full: Full) {
        let name = full.rows.name();
        let sent = self.queue.as_ref().map(|queue| queue.try_send(full));
        if !matches!(sent, Some(Ok(()))) {
            self.index.let_go(name);
        }
    }
}

impl Drop for Indexing {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
