//! A message log whose process is killed while many write to it: whatever was acknowledged is there afterwards.
//!
//! This file runs itself again as the process that is killed (`SAATKOND_KILL_DIR` names its log).

use bytes::Bytes;
use saatkond::clock::Clock;
use saatkond::messagelog::{Direction, Entry, Kind, LogReader, MessageLog, Policy, Record, Spooled};
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::SignatureParts;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::task::JoinSet;

/// How often the process is killed; `SAATKOND_KILL_ROUNDS` says otherwise, for long runs.
const ROUNDS: usize = 8;
/// Callers that write at the same time.
const CALLERS: usize = 24;

struct Item {
    query: String,
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
                signature: self.query.as_bytes().into(),
                hash_chain_result: None,
                hash_chain: None,
            },
            attachments: vec![self.body.clone()],
        }
    }
}

/// Writes until it is killed; tells each record's number and query once it was acknowledged.
#[tokio::main]
async fn write_until_killed(dir: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut policy = Policy::default();
    policy.log.segment = 256 << 10;
    let log = MessageLog::open(dir, Clock::system(), policy)?;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(log.clone(), caller));
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn call(log: MessageLog, caller: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    for count in 0.. {
        // Some bodies lie in the record, some in a file of their own.
        let length = if count % 9 == 8 { 70_000 } else { 200 + 37 * caller };
        let query = format!("{}-{caller}-{count}", std::process::id());
        let body = Spooled::from_bytes(vec![7; length].into());
        let number = log.record(Item { query: query.clone(), body }).await?.number();
        let line = format!("acknowledged {number} {query}\n");
        std::io::stdout().write_all(line.as_bytes())?;
    }
    Ok(())
}

/// A directory that is gone when the test is.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_acknowledged_survives_the_kill_of_its_process() {
    if let Some(dir) = std::env::var_os("SAATKOND_KILL_DIR") {
        write_until_killed(Path::new(&dir)).unwrap();
        return;
    }
    let rounds = std::env::var("SAATKOND_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let dir = Dir(std::env::temp_dir().join(format!("saatkond-kill-{}", std::process::id())));
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["what_was_acknowledged", "--nocapture"])
            .env("SAATKOND_KILL_DIR", &dir.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        while let Some(Ok(line)) = lines.next() {
            // The harness may have written before it on the same line.
            let Some((_, rest)) = line.split_once("acknowledged ") else { continue };
            // A killed process may leave half a line: its record is not known to be acknowledged.
            let Some((number, query)) = rest.split_once(' ') else { continue };
            let known = acknowledged.insert(number.parse().unwrap(), query.to_owned());
            assert_eq!(known, None, "record {number} was acknowledged twice");
            told += 1;
            if told == 40 + round * 53 {
                child.kill().unwrap(); // SIGKILL; what it told until then is read to its end
            }
        }
        child.wait().unwrap();
        let reader = LogReader::open(&dir.0).unwrap();
        for (number, query) in &acknowledged {
            let found = reader.message(*number).unwrap().unwrap();
            assert!(found.message.query_id.starts_with(query.as_str()), "record {number} is another");
        }
    }
    assert!(acknowledged.len() > rounds * 40, "{} were acknowledged", acknowledged.len());
}
