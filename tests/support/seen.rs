//! What a fake was told, to be waited for; and gates that hold a fake back.

use crate::patiently;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};

/// What a fake was told, in order. Cheap to clone; clones see the same.
#[derive(Debug)]
pub struct Seen<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    all: Mutex<Vec<Arc<T>>>,
    more: Notify,
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::new(Inner { all: Mutex::default(), more: Notify::new() }))
    }
}

impl<T> Seen<T> {
    /// Adds one.
    pub fn add(&self, one: T) -> Arc<T> {
        let one = Arc::new(one);
        self.0.all.lock().unwrap().push(Arc::clone(&one));
        self.0.more.notify_waiters();
        one
    }

    /// All so far.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<T>> {
        self.0.all.lock().unwrap().clone()
    }

    /// How many so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.all.lock().unwrap().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last one; there must be one.
    #[must_use]
    pub fn last(&self) -> Arc<T> {
        self.all().pop().unwrap()
    }

    /// Waits for the one of this number, from 1.
    pub async fn wait_for(&self, number: usize) -> Arc<T> {
        patiently("a fake was told something", async {
            loop {
                let more = self.0.more.notified();
                if let Some(one) = self.all().get(number - 1) {
                    return Arc::clone(one);
                }
                more.await;
            }
        })
        .await
    }
}

/// Holds whoever comes to it until it is opened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it is open.
    pub async fn pass(&self) {
        let mut is_open = self.0.subscribe();
        let _ = is_open.wait_for(|open| *open).await;
    }
}
