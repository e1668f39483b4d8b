//! Disks that fail: what is refused, what is lost (nothing that was told), and how it goes on.

use super::*;
use crate::messagelog::disk::{Name, SegmentFile};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// A disk that can be told to fail, and that notes what is done to it.
struct Failing {
    inner: Directory,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// No space for another segment.
    full: AtomicBool,
    /// Segments are written by half.
    write_fails: AtomicBool,
    /// Segments are written, and not synced.
    sync_fails: AtomicBool,
    /// New segments get their names, and the names are not synced.
    adopt_fails: AtomicBool,
    /// Syncs wait.
    held: AtomicBool,
    syncs: AtomicUsize,
    /// Writes and syncs of a file after one has failed.
    retries: AtomicUsize,
    /// What was written once more at opening.
    settled: Mutex<Option<(u64, u64)>>,
}

impl State {
    fn set(&self, what: fn(&Self) -> &AtomicBool, to: bool) {
        what(self).store(to, Ordering::SeqCst);
    }
}

struct FailingFile {
    inner: Box<dyn SegmentFile>,
    state: Arc<State>,
    has_failed: bool,
}

fn storage_full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Failing {
    fn file(&self, inner: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(FailingFile { inner, state: Arc::clone(&self.state), has_failed: false })
    }
}

impl Disk for Failing {
    fn prepare(&self, len: u64) -> io::Result<()> {
        if self.state.full.load(Ordering::SeqCst) { Err(storage_full()) } else { self.inner.prepare(len) }
    }

    fn adopt(&self, name: Name, header: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        let file = self.inner.adopt(name, header)?;
        if self.state.adopt_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken"));
        }
        Ok(self.file(file))
    }

    fn reopen(&self, name: Name) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.file(self.inner.reopen(name)?))
    }
}

impl FailingFile {
    fn fail(&mut self, is_told_to: bool) -> io::Result<()> {
        self.state.retries.fetch_add(usize::from(self.has_failed), Ordering::SeqCst);
        self.has_failed |= is_told_to;
        if is_told_to { Err(io::Error::other("broken")) } else { Ok(()) }
    }
}

impl SegmentFile for FailingFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fails = self.state.write_fails.load(Ordering::SeqCst);
        self.inner.write_at(if fails { &bytes[..bytes.len() / 2] } else { bytes }, offset)?;
        self.fail(fails)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.state.syncs.fetch_add(1, Ordering::SeqCst);
        while self.state.held.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let fails = self.state.sync_fails.load(Ordering::SeqCst);
        self.fail(fails)?;
        self.inner.sync()
    }

    fn seal(&mut self, len: u64) -> io::Result<()> {
        self.fail(false)?;
        self.inner.seal(len)
    }

    fn settle(&mut self, from: u64, end: u64, is_torn: bool) -> io::Result<()> {
        *self.state.settled.lock().unwrap() = Some((from, end));
        self.inner.settle(from, end, is_torn)
    }
}

fn failing_with(dir: &Path, policy: Policy) -> (MessageLog, Arc<State>) {
    let state = Arc::new(State::default());
    let disk = Failing { inner: Directory(dir.to_owned()), state: Arc::clone(&state) };
    (MessageLog::open_on(Arc::new(disk), dir, clock(), policy).unwrap(), state)
}

fn failing(dir: &Path, segment: u64) -> (MessageLog, Arc<State>) {
    failing_with(dir, policy(segment))
}

async fn until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited for too long");
        tokio::task::yield_now().await;
    }
}

fn is_logging_failed(error: LogError) -> bool {
    Fault::from(error).code == saatkond_proto::fault::Code::of(Leaf::LoggingFailed)
}

#[tokio::test]
async fn a_full_disk_refuses_records_until_there_is_space_and_loses_none() {
    let dir = TestDir::new("full");
    let (log, state) = failing(&dir.0, 4096);
    // One segment is made ahead; of those after it there will be none.
    until(|| log.0.next.is_made()).await;
    state.set(|s| &s.full, true);
    let mut taken = Vec::new();
    let is_warned = || log.warnings().iter().any(|warning| warning.contains("no space for its next segment"));
    let error = loop {
        match log.record(item(&format!("q{}", taken.len()))).await {
            Ok(recorded) => taken.push(recorded.query.clone()),
            Err(error) => break error,
        }
        if log.0.index.names().len() == 2 {
            // While records are still taken.
            until(is_warned).await;
        }
    };
    assert!(matches!(&error, LogError::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull));
    assert!(is_logging_failed(error) && log.ready().is_err());
    for _ in 0..20 {
        assert!(log.record(item("refused")).await.is_err());
    }
    // It recovers unasked.
    state.set(|s| &s.full, false);
    until(|| log.ready().is_ok()).await;
    assert!(log.warnings().is_empty());
    log.record(item("again")).await.unwrap();
    taken.push("again".to_owned());
    assert_eq!(queries(&dir.0), taken);
    log.reader().verify(|_, _| {}).unwrap();
    drop(log);
    assert_eq!(open(&dir.0).len(), taken.len() as u64);
}

#[tokio::test]
async fn after_a_failed_write_or_sync_the_log_goes_on_in_a_new_file_and_leaves_the_other_alone() {
    let both: [fn(&State) -> &AtomicBool; 2] = [|s| &s.write_fails, |s| &s.sync_fails];
    for fails in both {
        let dir = TestDir::new("broken");
        let (log, state) = failing(&dir.0, 1 << 20);
        log.record(item("a")).await.unwrap();
        state.set(fails, true);
        let fault = Fault::from(log.record(item("b")).await.unwrap_err());
        assert_eq!(fault.code, saatkond_proto::fault::Code::of(Leaf::LoggingFailed));
        assert!(!fault.detail.contains("saatkond-broken"), "a stranger learns no path of this machine");
        // As long as it fails, each new file is given up in its turn.
        for _ in 0..3 {
            assert!(log.record(item("c")).await.is_err());
        }
        state.set(fails, false);
        until(|| log.ready().is_ok()).await;
        assert_eq!(log.record(item("d")).await.unwrap().number(), 2, "what was refused has no number");
        assert_eq!(state.retries.load(Ordering::SeqCst), 0, "a file that has failed is not touched again");
        assert_eq!(queries(&dir.0), ["a", "d"]);
        log.reader().verify(|_, _| {}).unwrap();
        drop(log);
        let log = open(&dir.0);
        log.record(item("e")).await.unwrap();
        assert_eq!(queries(&dir.0), ["a", "d", "e"]);
        log.reader().verify(|_, _| {}).unwrap();
    }
}

#[tokio::test]
async fn a_broken_disk_that_has_no_space_either_keeps_the_log_shut_until_it_has() {
    let dir = TestDir::new("both");
    let (log, state) = failing(&dir.0, 1 << 20);
    log.record(item("a")).await.unwrap();
    until(|| log.0.next.is_made()).await;
    state.set(|s| &s.full, true);
    state.set(|s| &s.sync_fails, true);
    assert!(log.record(item("b")).await.is_err());
    state.set(|s| &s.sync_fails, false);
    // What was made ahead is not taken: it was written before the disk failed.
    assert!(log.record(item("c")).await.is_err());
    assert!(log.ready().is_err());
    state.set(|s| &s.full, false);
    until(|| log.ready().is_ok()).await;
    log.record(item("d")).await.unwrap();
    assert_eq!(queries(&dir.0), ["a", "d"]);
}

#[tokio::test]
async fn a_segment_whose_name_was_not_synced_is_made_once_more() {
    let dir = TestDir::new("adopt");
    let (log, state) = failing(&dir.0, 2048);
    state.set(|s| &s.adopt_fails, true);
    let mut taken = Vec::new();
    while let Ok(recorded) = log.record(item(&format!("q{}", taken.len()))).await {
        taken.push(recorded.query.clone());
    }
    assert!(!taken.is_empty() && log.record(item("refused")).await.is_err());
    // A crash at this moment leaves a segment without records.
    copy(&dir.0, &dir.0.join("crashed"));
    let crashed = open(&dir.0.join("crashed"));
    crashed.record(item("after")).await.unwrap();
    assert_eq!(crashed.len(), taken.len() as u64 + 1);
    crashed.reader().verify(|_, _| {}).unwrap();
    state.set(|s| &s.adopt_fails, false);
    until(|| log.ready().is_ok()).await;
    log.record(item("again")).await.unwrap();
    taken.push("again".to_owned());
    assert_eq!(queries(&dir.0), taken);
    log.reader().verify(|_, _| {}).unwrap();
}

#[tokio::test]
async fn a_batch_whose_sync_failed_before_a_restart_is_written_once_more() {
    let dir = TestDir::new("settle");
    let (log, state) = failing(&dir.0, 1 << 20);
    log.record(item("a")).await.unwrap();
    let end = log.0.index.offset(1);
    state.set(|s| &s.full, true);
    state.set(|s| &s.sync_fails, true);
    assert!(log.record(item("b")).await.is_err());
    drop(log);
    // It is in the file as far as anybody can read, and nobody was told of it: it may stay, but then on disk.
    let (log, state) = failing(&dir.0, 1 << 20);
    assert_eq!(queries(&dir.0), ["a", "b"]);
    let settled = state.settled.lock().unwrap().unwrap();
    assert!(settled.0 > end && settled.0 == log.0.index.offset(2), "{settled:?}");
    log.record(item("c")).await.unwrap();
    assert_eq!(queries(&dir.0), ["a", "b", "c"]);
}

#[tokio::test]
async fn who_waits_for_a_slow_disk_is_refused_after_a_while() {
    let dir = TestDir::new("slow");
    let mut policy = policy(1 << 20);
    policy.log.patience = Duration::from_millis(50);
    let (log, state) = failing_with(&dir.0, policy);
    state.set(|s| &s.held, true);
    let error = log.record(item("a")).await.unwrap_err();
    assert!(matches!(error, LogError::Slow { .. }), "{error}");
    assert!(is_logging_failed(error));
    state.set(|s| &s.held, false);
    until(|| log.len() == 1).await;
    log.record(item("b")).await.unwrap();
    assert_eq!(queries(&dir.0), ["a", "b"], "what was under way may be on disk");
}

#[tokio::test]
async fn a_body_that_cannot_be_kept_refuses_its_message_alone() {
    let dir = TestDir::new("nobody");
    let log = open(&dir.0);
    let large = || Item { bodies: vec![Spooled::from_bytes(vec![0; 70_000].into())], ..item("large") };
    let folder = dir.0.join("bodies");
    fs::remove_dir(&folder).unwrap();
    assert!(is_logging_failed(log.record(large()).await.unwrap_err()));
    assert!(log.warnings()[0].contains("large bodies cannot be kept"), "{:?}", log.warnings());
    log.record(item("small")).await.unwrap();
    fs::create_dir(&folder).unwrap();
    log.record(large()).await.unwrap();
    assert!(log.warnings().is_empty());
    assert_eq!(queries(&dir.0), ["small", "large"]);
}

#[tokio::test]
async fn records_that_wait_share_a_sync() {
    let dir = TestDir::new("group");
    let (log, state) = failing(&dir.0, 1 << 20);
    state.set(|s| &s.held, true);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (log, asked) = (log.clone(), Arc::clone(&asked));
        calls.spawn(async move {
            asked.fetch_add(1, Ordering::SeqCst);
            log.record(item(&format!("q{number}"))).await.unwrap().number()
        });
    }
    // The first sync is held until every call has asked.
    until(|| asked.load(Ordering::SeqCst) == 200).await;
    state.set(|s| &s.held, false);
    let mut numbers = calls.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
    let syncs = state.syncs.load(Ordering::SeqCst);
    assert!(syncs <= 2, "{syncs} syncs for 200 records");
    assert_eq!(queries(&dir.0).len(), 200);
}
