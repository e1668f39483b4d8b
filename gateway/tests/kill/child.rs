//! The process that is killed or starved: many write to its log at once, and it tells what was acknowledged.

use bytes::Bytes;
use saatkond::clock::Clock;
use saatkond::messagelog::{Direction, Entry, Kind, MessageLog, Policy, Record, Spooled};
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::SignatureParts;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

/// Names the log to whoever is started as the child.
pub(crate) const DIRECTORY: &str = "SAATKOND_KILL_DIR";
/// Callers that write at the same time.
const CALLERS: usize = 24;
/// Messages of a caller that are signed together.
const BATCH: usize = 5;
/// Bytes of a segment of the child's log.
pub(crate) const SEGMENT: u64 = 512 << 10;

struct Item {
    query: String,
    signature: String,
    body: Spooled,
}

impl Record for Item {
    fn entry(&self) -> Entry {
        let client = MemberId::new("DEV", "GOV", "M1").subsystem("TAX");
        Entry {
            kind: Kind::Request,
            direction: Direction::Sent,
            query_id: self.query.clone(),
            request_id: "r".to_owned(),
            service: client.service("s"),
            client,
            message: Bytes::from(self.query.clone()),
            proof: SignatureParts {
                signature: self.signature.as_bytes().into(),
                hash_chain_result: Some(self.signature.as_bytes().into()),
                hash_chain: Some(self.query.clone().into_bytes()),
            },
            attachments: vec![self.body.clone()],
        }
    }
}

/// What a message of this query must have as its signature.
pub(crate) fn signature_of(query: &str) -> String {
    let (caller, count) = query.rsplit_once('-').unwrap();
    let batch = count.parse::<usize>().unwrap() / BATCH;
    format!("<signature caller=\"{caller}\" batch=\"{batch}\">{}</signature>", "s".repeat(3000))
}

/// How the child keeps its log; archives go beside the segments.
pub(crate) fn policy(dir: &Path) -> Policy {
    let mut policy = Policy::default();
    policy.log.segment = SEGMENT;
    policy.log.archive = dir.join("archive");
    policy.log.archive_max = 1 << 20;
    policy
}

/// Writes until it is killed; tells each record's number and query once it was acknowledged.
#[tokio::main]
pub(crate) async fn write_until_killed(dir: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let log = MessageLog::open(dir, Clock::system(), policy(dir))?;
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        tasks.spawn(call(log.clone(), caller));
    }
    tasks.spawn(stamp(log.clone()));
    tasks.spawn(archive(log.clone()));
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn call(log: MessageLog, caller: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    for count in 0.. {
        // Some bodies lie in the record, some in a file of their own.
        let length = if count % 9 == 8 { 70_000 } else { 200 + 37 * caller };
        let query = format!("{}-{caller}-{count}", std::process::id());
        let item = || Item {
            query: query.clone(),
            signature: signature_of(&query),
            body: Spooled::from_bytes(vec![7; length].into()),
        };
        match log.record(item()).await {
            Ok(recorded) => tell(&format!("acknowledged {} {query}", recorded.number()))?,
            Err(error) => {
                tell(&format!("refused {error}"))?;
                while log.ready().is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
    Ok(())
}

/// Stamps what is not stamped, over and over.
async fn stamp(log: MessageLog) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if log.unstamped() > 1
            && let Some(order) = log.to_stamp(100)?
        {
            // It may be refused as any record.
            let _ = log.record_stamp(order, b"token".to_vec(), "http://tsa").await;
        }
    }
}

/// Archives what is stamped, over and over.
async fn archive(log: MessageLog) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let log = log.clone();
        // A disk that takes no record takes no archive.
        let _ = tokio::task::spawn_blocking(move || log.archive()).await?;
    }
}

fn tell(line: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(format!("{line}\n").as_bytes())
}

/// What the child has told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A record is on disk: its number and query.
    Acknowledged(u64, String),
    /// A record was refused.
    Refused(String),
}

/// Starts this program as the child; `test` is the test that calls [`write_until_killed`] in it.
pub(crate) fn start(test: &str, dir: &Path) -> (Child, impl Iterator<Item = Told> + Send + 'static) {
    // A file that becomes too large is an error, and no signal.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).filter_map(|line| {
        // The harness may have written before it on the same line.
        if let Some((_, rest)) = line.split_once("acknowledged ") {
            // A killed process may leave half a line: its record is not known to be acknowledged.
            let (number, query) = rest.split_once(' ')?;
            return Some(Told::Acknowledged(number.parse().ok()?, query.to_owned()));
        }
        line.split_once("refused ").map(|(_, why)| Told::Refused(why.to_owned()))
    });
    (child, told)
}

/// A directory that is gone when the test is.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("saatkond-{name}-{}", std::process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
