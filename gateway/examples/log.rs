//! Looks at how long the message log looks for a message, and how long it takes to open.
//!
//! ```text
//! cargo build --release -p saatkond --example log
//! target/release/examples/log find DIR [MESSAGES]       ten million small messages, and questions about them
//! target/release/examples/log open DIR [MIB]            a tail of so many MiB after a kill
//! ```
//!
//! What it does in a second: `tests/bench/records`. `DIR` must lie on the disk that is meant: what a memory file system does is no figure. It is emptied before and after.

#![expect(clippy::print_stdout, reason = "it is looked at")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what is wrong ends it")]

use bytes::Bytes;
use saatkond::clock::Clock;
use saatkond::messagelog::{Direction, Entry, Kind, LogReader, Look, MessageLog, Policy, Record};
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_proto::signature::SignatureParts;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |place: usize, usual: u64| words.get(place).map_or(usual, |word| word.parse().unwrap());
    let dir = || PathBuf::from(words[1]).join("log-example");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match words.first() {
        Some(&"find") => runtime.block_on(find(&dir(), number(2, 10_000_000))),
        Some(&"open") => runtime.block_on(open(&dir(), number(2, 1024))),
        _ => panic!("say find or open, and a directory"),
    }
}

/// A message; its signature is `share` messages' own.
struct Sent {
    number: u64,
    client: ClientId,
    signature: Arc<[u8]>,
    message: Bytes,
}

impl Sent {
    /// A message of 8 KB, most of which is its signature, as with real ones.
    fn usual(number: u64, template: &[u8]) -> Self {
        let mut signature = template.to_vec();
        signature[..20].copy_from_slice(format!("{number:020}").as_bytes());
        let message = Bytes::from(vec![b'm'; 1000]);
        Self { number, client: member(number % 100), signature: signature.into(), message }
    }

    fn small(number: u64) -> Self {
        let signature = format!("<signature of=\"{number}\"/>").into_bytes().into();
        Self { number, client: member(number % 5000), signature, message: Bytes::from_static(b"GET /small") }
    }
}

impl Record for Sent {
    fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Request,
            direction: Direction::Sent,
            query_id: query(self.number),
            request_id: "0c8e0e9e-5b0a-4d7a-9b59-d5b1f6c2a001".to_owned(),
            client: self.client.clone(),
            service: MemberId::new("DEV", "GOV", "LAND").subsystem("LAND").service("land"),
            message: self.message.clone(),
            proof: SignatureParts {
                signature: Arc::clone(&self.signature),
                hash_chain_result: None,
                hash_chain: None,
            },
            attachments: Vec::new(),
        }
    }
}

fn query(number: u64) -> String {
    format!("query-{number:012}")
}

fn member(number: u64) -> ClientId {
    MemberId::new("DEV", "GOV", format!("M{number}")).subsystem("S")
}

fn fresh(dir: &Path) {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).unwrap();
}

/// The median and the 99th percentile, in µs.
fn percentiles(mut times: Vec<u64>) -> (u64, u64) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    (at(50), at(99))
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap()
}

/// Memory of this process that lies in the machine's, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn find(dir: &Path, messages: u64) {
    fresh(dir);
    let began = Instant::now();
    let log = MessageLog::open(dir, Clock::system(), Policy::default()).unwrap();
    let next = Arc::new(AtomicU64::new(1));
    let mut tasks = JoinSet::new();
    for _ in 0..512 {
        let (log, next) = (log.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > messages {
                    return;
                }
                log.record(Sent::small(number)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let span = began.elapsed();
    println!(
        "{messages} messages in {} segments written in {:.0} s, {} MiB resident",
        log.segments(),
        span.as_secs_f64(),
        resident() / 1024
    );
    drop(log);
    let began = Instant::now();
    let log = MessageLog::open(dir, Clock::system(), Policy::default()).unwrap();
    println!("opened by its owner in {} ms, {} MiB resident", micros(began) / 1000, resident() / 1024);
    let began = Instant::now();
    let reader = LogReader::open(dir).unwrap();
    println!("opened by a reader in {} ms", micros(began) / 1000);
    drop(log);
    let times = (0..1000).map(|place| {
        let number = (place * 7919 * 1013) % messages + 1;
        let began = Instant::now();
        let found = reader.of_query(&query(number)).unwrap();
        assert_eq!(found.len(), 1, "{number}");
        micros(began)
    });
    let (p50, p99) = percentiles(times.collect());
    println!("a query by its id: p50 {p50} µs, p99 {p99} µs");
    let times = (0..1000).map(|place| {
        let number = (place * 7919 * 1013) % messages + 1;
        let began = Instant::now();
        assert!(reader.message(number).unwrap().is_some());
        micros(began)
    });
    let (p50, p99) = percentiles(times.collect());
    println!("a record by its number: p50 {p50} µs, p99 {p99} µs");
    let began = Instant::now();
    let look = Look { member: Some(member(77).member), ..Look::default() };
    let found =
        reader.look(look).take(100).map(|found| found.unwrap()).filter(|f| f.message.client == member(77));
    println!("the newest {} of a member with one message in 5000: {} µs", found.count(), micros(began));
    let (first, last) = (reader.message(1).unwrap().unwrap().message.time, span);
    let since = first.plus(last / 2);
    let began = Instant::now();
    let look = Look { since: Some(since), until: Some(since.plus(Duration::from_millis(20))), member: None };
    let found = reader.look(look).filter(|found| found.is_ok()).count();
    println!("{found} of 20 ms in the middle: {} µs", micros(began));
    println!("{} MiB resident", resident() / 1024);
    fs::remove_dir_all(dir).unwrap();
}

async fn open(dir: &Path, mib: u64) {
    fresh(dir);
    let template: Arc<[u8]> = vec![b's'; 7000].into();
    for segment in [mib << 20, 16 << 20] {
        let mut policy = Policy::default();
        policy.log.segment = segment;
        let log = MessageLog::open(dir, Clock::system(), policy.clone()).unwrap();
        let mut written = 0;
        while written < (mib << 20) - (1 << 20) {
            let mut tasks = JoinSet::new();
            for number in 0..100 {
                let (log, sent) = (log.clone(), Sent::usual(written + number, &template));
                tasks.spawn(async move { drop(log.record(sent).await.unwrap()) });
            }
            tasks.join_all().await;
            written += 100 * 8300;
        }
        let records = log.len();
        drop(log);
        // A kill in the middle of the last write: what it has written so far makes no whole batch.
        let last = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let last = last.filter(|path| path.extension().is_some_and(|e| e == "log")).max().unwrap();
        tear(&last);
        // And of the index of nothing is left: it would be made anew.
        let began = Instant::now();
        let log = MessageLog::open(dir, Clock::system(), policy).unwrap();
        println!(
            "{records} records, {mib} MiB in segments of {} MiB, the last batch torn: {} of them back in {} ms",
            segment >> 20,
            log.len(),
            micros(began) / 1000
        );
        drop(log);
        fresh(dir);
    }
    fs::remove_dir_all(dir).unwrap();
}

/// Overwrites the last bytes of a segment that are not zero.
fn tear(segment: &Path) {
    let bytes = fs::read(segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let file = File::options().write(true).open(segment).unwrap();
    file.write_all_at(&[0; 64], end as u64 - 63).unwrap();
    file.sync_all().unwrap();
}
