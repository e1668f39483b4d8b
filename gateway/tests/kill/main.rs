//! A message log whose process is killed while many write to it, and what is stamped is archived: whatever was acknowledged
//! is there afterwards, once, and in one archive.
//!
//! ```text
//! SAATKOND_KILL_ROUNDS=200 cargo test --release -p saatkond --test kill
//! ```
//!
//! This program runs itself again as the process that is killed.

#![expect(clippy::unwrap_used, reason = "a test: what is not as it must be ends it")]

mod child;
mod disk;

use child::{Dir, Told, signature_of, start, write_until_killed};
use saatkond::clock::Clock;
use saatkond::messagelog::{Archived, LogReader, MessageLog};
use saatkond_proto::container::archive::verify;
use saatkond_proto::container::zip;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// How often the process is killed; `SAATKOND_KILL_ROUNDS` says otherwise, for long runs.
const ROUNDS: usize = 10;

/// What has been acknowledged, and what the log was found to hold.
#[derive(Default)]
pub(crate) struct Books {
    acknowledged: BTreeMap<u64, String>,
    /// The record of each query in the log.
    held: HashMap<String, u64>,
}

impl Books {
    pub(crate) fn note(&mut self, number: u64, query: String) {
        let known = self.acknowledged.insert(number, query);
        assert_eq!(known, None, "record {number} was acknowledged twice");
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Holds these records against what was acknowledged: none is missing, none another, none doubled.
    pub(crate) fn hold(&mut self, reader: &LogReader, numbers: Range<u64>) {
        for number in numbers.clone() {
            let Some(found) = reader.message(number).unwrap() else { continue };
            let query = found.message.query_id;
            if let Some(acknowledged) = self.acknowledged.get(&number) {
                assert_eq!(*acknowledged, query, "record {number} is another");
            }
            let signature = signature_of(&query).into_bytes();
            assert_eq!(found.message.proof.signature[..], signature[..], "record {number}");
            let before = self.held.insert(query.clone(), number);
            assert!(before.is_none_or(|before| before == number), "query {query} is there twice");
        }
        for (number, query) in self.acknowledged.range(numbers) {
            assert_eq!(self.held.get(query), Some(number), "acknowledged record {number} is missing");
        }
    }
}

/// Archives the rest, and holds the archives against the books: each message that is archived is in one of them. Gives
/// how many they are.
fn hold_archives(books: &Books, dir: &Path) -> usize {
    let log = MessageLog::open(dir, Clock::system(), child::policy(dir)).unwrap();
    while matches!(log.archive().unwrap(), Archived::Some(_)) {}
    let end = log.reader().numbers().end - log.not_archived();
    let mut archived = HashSet::new();
    for file in fs::read_dir(dir.join("archive")).unwrap() {
        let mut archive = zip::Archive::open(File::open(file.unwrap().path()).unwrap()).unwrap();
        for name in verify(&mut archive, |_, _| {}).unwrap().containers {
            let query = name.split("-request").next().unwrap().to_owned();
            assert!(archived.insert(query), "{name} is in two archives");
        }
    }
    let due = books.held.iter().filter(|(_, number)| **number < end);
    let due: HashSet<String> = due.map(|(query, _)| query.clone()).collect();
    assert!(archived == due, "{} archived, expected {}", archived.len(), due.len());
    archived.len()
}

/// The process that is killed, when this is it.
pub(crate) fn is_child() -> bool {
    let Some(dir) = std::env::var_os(child::DIRECTORY) else { return false };
    write_until_killed(Path::new(&dir)).unwrap();
    true
}

#[test]
fn what_was_acknowledged_survives_the_kill_of_its_process() {
    if is_child() {
        return;
    }
    let rounds = std::env::var("SAATKOND_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let dir = Dir::new("kill");
    let mut books = Books::default();
    let mut held_to = 1;
    for round in 0..rounds {
        // A point in time that nobody has chosen.
        let after = Duration::from_micros(RandomState::new().hash_one(round) % 300_000);
        let (mut child, told) = start("what_was_acknowledged_survives_the_kill_of_its_process", &dir.0);
        let mut killing = None;
        for told in told {
            let Told::Acknowledged(number, query) = told else { panic!("round {round}: {told:?}") };
            books.note(number, query);
            // SIGKILL; what it told until then is read to its end.
            let id = child.id().to_string();
            killing.get_or_insert_with(|| {
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    assert!(std::process::Command::new("kill").args(["-9", &id]).status().unwrap().success());
                })
            });
        }
        child.wait().unwrap();
        killing.expect("something was acknowledged").join().unwrap();
        let reader = LogReader::open(&dir.0).unwrap();
        books.hold(&reader, held_to..reader.numbers().end);
        held_to = reader.numbers().end;
    }
    let reader = LogReader::open(&dir.0).unwrap();
    reader.verify(|_, _| {}).unwrap();
    books.hold(&reader, reader.numbers());
    let (acknowledged, held) = (books.acknowledged(), books.held.len());
    drop(reader);
    let archived = hold_archives(&books, &dir.0);
    assert!(acknowledged > rounds && held >= acknowledged && archived > rounds);
    println!(
        "{rounds} kills: {acknowledged} messages acknowledged, {held} held, {archived} archived, none missing, none twice"
    );
}
