//! Records per second of the message log, beside SQLite, PostgreSQL and a bare file: in one run, on one disk.
//!
//! ```text
//! cargo build --release -p saatkond-tests --example records
//! target/release/examples/records DIR [SECONDS [ROUNDS [PRODUCERS…]]]
//! ```
//!
//! Many producers write messages of 8 KB, each waiting until its own is on disk before it makes the next. Everybody has the
//! same queue in front of one writing thread, and the same bytes to keep; what is in them cannot be compressed.
//!
//! * *file*: what waits is written to zeros on disk with one `write` and synced with one `fdatasync`. Nothing is summed,
//!   framed, chained or indexed: what the disk and the queue allow.
//! * *saatkond*: the message log.
//! * *sqlite*: WAL, `synchronous=FULL`, what waits in one transaction; a row fits its page, and there is no index but the
//!   row's number. *sqlite-each* has a transaction for each message.
//! * *postgres*: `COPY` of what waits, binary, by one connection over a Unix socket; nothing is compressed or stored apart,
//!   and there is no index but the row's number. Its processor time includes the server's.
//!
//! They take turns, so that whatever else the machine does falls on all of them; each line is the middle one of the rounds.
//! `DIR` must lie on the disk that is meant: what a memory file system does is no figure.

#![expect(clippy::print_stdout, reason = "it is looked at")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is wrong ends it")]

mod sinks;

use bytes::Bytes;
use saatkond::clock::Clock;
use saatkond::messagelog::{Direction, Entry, Kind, MessageLog, Policy, Record};
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::SignatureParts;
use sinks::{Bare, Copied, Lite, Queue, Sink};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Bytes of a message: most of it is its signature, as with real ones.
pub(crate) const MESSAGE: usize = 1000;
/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = 7000;

const SYSTEMS: [&str; 5] = ["file", "saatkond", "sqlite", "sqlite-each", "postgres"];

/// What one system did at one number of producers.
struct Outcome {
    rate: f64,
    /// µs of processor for each record.
    processor: f64,
    p50: u64,
    p99: u64,
}

fn main() {
    let mut words = std::env::args().skip(1);
    let place = PathBuf::from(words.next().unwrap_or_else(|| "target".to_owned())).join("records-bench");
    let span = Duration::from_secs(words.next().map_or(3, |word| word.parse().unwrap()));
    let rounds: usize = words.next().map_or(3, |word| word.parse().unwrap());
    let mut loads: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
    if loads.is_empty() {
        loads = vec![1, 8, 32, 128];
    }
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let postgres = Copied::start(&place);
    if postgres.is_none() {
        println!("there is no PostgreSQL here");
    }
    let systems: Vec<&str> =
        SYSTEMS.into_iter().filter(|system| *system != "postgres" || postgres.is_some()).collect();
    say_disk(&place);
    let mut outcomes: Vec<(u64, &str, Outcome)> = Vec::new();
    for _ in 0..rounds {
        for producers in &loads {
            for system in &systems {
                let dir = place.join(system);
                let round = Round { runtime: &runtime, producers: *producers, span };
                let outcome = match (*system, &postgres) {
                    ("file", _) => round.queued(Bare::open(&dir), &[]),
                    ("sqlite", _) => round.queued(Lite::open(&dir, true), &[]),
                    ("sqlite-each", _) => round.queued(Lite::open(&dir, false), &[]),
                    ("postgres", Some(postgres)) => round.queued(postgres.sink(), &postgres.processes()),
                    _ => round.ours(&dir),
                };
                if *system != "postgres" {
                    fs::remove_dir_all(&dir).unwrap();
                }
                outcomes.push((*producers, system, outcome));
            }
        }
    }
    drop(postgres);
    say(&loads, &systems, outcomes);
    fs::remove_dir_all(&place).unwrap();
}

/// Prints the middle round of each.
fn say(loads: &[u64], systems: &[&str], mut outcomes: Vec<(u64, &str, Outcome)>) {
    outcomes.sort_by(|(.., a), (.., b)| a.rate.total_cmp(&b.rate));
    println!("\nproducers  system        records/s     µs CPU      p50 µs      p99 µs    of file");
    for load in loads {
        let middle = |system: &str| {
            let all: Vec<&Outcome> =
                outcomes.iter().filter(|(l, s, _)| l == load && *s == system).map(|(.., o)| o).collect();
            all[all.len() / 2]
        };
        for system in systems {
            let Outcome { rate, processor, p50, p99 } = middle(system);
            let share = rate / middle("file").rate;
            println!(
                "{load:>9}  {system:<11} {rate:>11.0} {processor:>10.1} {p50:>11} {p99:>11} {share:>10.2}"
            );
        }
        println!();
    }
}

/// One system at one number of producers.
struct Round<'a> {
    runtime: &'a Runtime,
    producers: u64,
    span: Duration,
}

impl Round<'_> {
    fn queued(&self, sink: impl Sink, others: &[u32]) -> Outcome {
        let queue = Queue::start(sink);
        let senders = queue.clone();
        let outcome = self.of(others, move |number| senders.clone().keep(number));
        queue.end();
        outcome
    }

    fn ours(&self, dir: &Path) -> Outcome {
        let log = MessageLog::open(dir, Clock::system(), Policy::default()).unwrap();
        self.of(&[], move |number| {
            let log = log.clone();
            async move { log.record(Sent(number)).await.map(|_| ()).unwrap() }
        })
    }

    /// Lets producers write; `others` are processes whose time counts, too.
    fn of<K, F>(&self, others: &[u32], keep: K) -> Outcome
    where
        K: Fn(u64) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let span = self.span;
        let (began, processor) = (Instant::now(), processor_seconds(others));
        let times: Vec<u64> = self.runtime.block_on(async {
            let mut producers = JoinSet::new();
            for producer in 0..self.producers {
                let keep = keep.clone();
                producers.spawn(async move {
                    let mut times = Vec::new();
                    while began.elapsed() < span {
                        let asked = Instant::now();
                        keep(producer << 32 | times.len() as u64).await;
                        times.push(micros(asked));
                    }
                    times
                });
            }
            producers.join_all().await.into_iter().flatten().collect()
        });
        let (rate, count) = (times.len() as f64 / began.elapsed().as_secs_f64(), times.len() as f64);
        let processor = (processor_seconds(others) - processor) * 1e6 / count;
        let (p50, p99) = percentiles(times);
        Outcome { rate, processor, p50, p99 }
    }
}

/// A message for our log.
struct Sent(u64);

impl Record for Sent {
    fn entry(&self) -> Entry {
        let client = MemberId::new("DEV", "GOV", format!("M{}", self.0 % 100)).subsystem("S");
        Entry {
            kind: Kind::Request,
            direction: Direction::Sent,
            query_id: query(self.0),
            request_id: "0c8e0e9e-5b0a-4d7a-9b59-d5b1f6c2a001".to_owned(),
            client,
            service: MemberId::new("DEV", "GOV", "LAND").subsystem("LAND").service("land"),
            message: Bytes::from(noise(self.0, MESSAGE)),
            proof: SignatureParts {
                signature: noise(self.0, SIGNATURE).into(),
                hash_chain_result: None,
                hash_chain: None,
            },
            attachments: Vec::new(),
        }
    }
}

/// The id of a query.
fn query(number: u64) -> String {
    format!("query-{number:020}")
}

/// Bytes that cannot be compressed, and are no other message's.
fn noise(number: u64, length: usize) -> Vec<u8> {
    static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let step = |mut state: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Some(state)
        };
        std::iter::successors(Some(88_172_645_463_325_252_u64), |state| step(*state))
            .take(4096)
            .flat_map(u64::to_le_bytes)
            .collect()
    });
    let begin = usize::try_from(number * 61 % 8192).unwrap();
    let mut bytes = NOISE[begin..begin + length].to_vec();
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap()
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<u64>) -> (u64, u64) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    (at(50), at(99))
}

/// Seconds of processor that this process and `others` have had; one that is gone has had none.
fn processor_seconds(others: &[u32]) -> f64 {
    let of = |process: &str| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields: Vec<f64> =
            stat.rsplit(") ").next().unwrap_or_default().split(' ').filter_map(|f| f.parse().ok()).collect();
        // What follows the state begins with field 4; 14 and 15 are user and system time.
        fields.get(10..12).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
    };
    of("self") + others.iter().map(|process| of(&process.to_string())).sum::<f64>()
}

/// What the disk does by itself, where zeros were before.
fn say_disk(dir: &Path) {
    let file = File::create(dir.join("disk")).unwrap();
    for place in 0..256 {
        file.write_all_at(&vec![0; 1 << 20], place << 20).unwrap();
    }
    file.sync_all().unwrap();
    for (bytes, writes) in [(8 << 10, 1000_u64), (256 << 10, 500), (1 << 20, 256)] {
        let piece = noise(7, 8 << 10).repeat(bytes >> 13);
        let began = Instant::now();
        let times = (0..writes).map(|place| {
            let began = Instant::now();
            file.write_all_at(&piece, place * bytes as u64).unwrap();
            file.sync_data().unwrap();
            micros(began)
        });
        let (p50, p99) = percentiles(times.collect());
        let rate = (writes * bytes as u64) as f64 / began.elapsed().as_secs_f64() / 1e6;
        println!(
            "write and fdatasync of {:>4} KiB: p50 {p50} µs, p99 {p99} µs; {rate:.0} MB/s, as many bytes as {:.0} \
             messages/s",
            bytes >> 10,
            rate * 1e6 / (MESSAGE + SIGNATURE) as f64
        );
    }
    fs::remove_file(dir.join("disk")).unwrap();
}
