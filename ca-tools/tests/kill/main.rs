//! Several administrators of one authority are killed while they are at work: no serial is there twice, no certificate is
//! without its record, and the authority goes on.
//!
//! ```text
//! SAATKOND_KILL_ROUNDS=100 cargo test -p saatkond-ca --test kill
//! ```
//!
//! This program runs itself again as the processes that are killed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what is not as it must be ends it")]

mod child;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use child::{Told, directory_of_child, start, work_until_killed};
use saatkond_ca::ca::{Authority, Policy};
use saatkond_ca::index::{INDEX_FILE, Index};
use saatkond_ca::key::KeySpec;
use saatkond_ca::ocsp::{Pace, Responder};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{self, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How often the administrators are killed; `SAATKOND_KILL_ROUNDS` says otherwise, for long runs.
const ROUNDS: usize = 5;
/// Administrators at work at once.
const ADMINISTRATORS: usize = 3;
/// 2026-06-01T00:00:00Z.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

/// A directory that is gone when the test is.
struct Scene(PathBuf);

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What was told before the kills: what the world outside may have.
#[derive(Default)]
struct Books {
    certificates: BTreeMap<String, Vec<u8>>,
    revoked: BTreeSet<String>,
    lists: usize,
}

impl Books {
    fn note(&mut self, told: Told) {
        match told {
            Told::Issued(der) => {
                let serial = Certificate::from_der(&der).unwrap().serial_text();
                let before = self.certificates.insert(serial.clone(), der);
                assert_eq!(before, None, "serial {serial} was given out twice");
            }
            Told::Revoked(serial) => {
                assert!(self.revoked.insert(serial.clone()), "serial {serial} was revoked twice");
            }
            Told::Listed => self.lists += 1,
            Told::Failed(why) => panic!("an administrator was refused: {why}"),
        }
    }
}

/// Reads the file as it lies there, by other means than the program does. How many serials it has.
fn hold_file(directory: &Path) -> usize {
    let text = std::fs::read_to_string(directory.join(INDEX_FILE)).unwrap();
    let (mut reserved, mut issued) = (BTreeSet::new(), BTreeSet::new());
    let mut last_list = 0;
    // a last line without its end was never written
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let serial = event["serial"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap() {
            "reserved" => assert!(reserved.insert(serial.clone()), "{serial} is taken twice"),
            "issued" => {
                assert!(reserved.contains(&serial), "{serial} was signed before it was recorded");
                let der = STANDARD.decode(event["certificate"].as_str().unwrap()).unwrap();
                assert_eq!(Certificate::from_der(&der).unwrap().serial_text(), serial);
                assert!(issued.insert(serial.clone()), "{serial} is signed twice");
            }
            "revoked" => assert!(reserved.contains(&serial)),
            "crl" => {
                let number = event["number"].as_u64().unwrap();
                assert_eq!(number, last_list + 1, "lists are numbered in turn");
                last_list = number;
            }
            other => panic!("{other}"),
        }
    }
    reserved.len()
}

/// Holds the store against what was told, then goes on with it.
fn hold(directory: &Path, books: &mut Books) {
    hold_file(directory);
    // nobody alive has it: opened at once
    let mut authority = Authority::open(directory).unwrap();
    for (serial, der) in &books.certificates {
        let record = authority.index().record(serial);
        let record = record.unwrap_or_else(|| panic!("certificate {serial} has no record"));
        assert_eq!(record.certificate.as_ref(), Some(der), "certificate {serial} is another");
        assert!(
            !books.revoked.contains(serial) || record.revoked.is_some(),
            "{serial} is not revoked any more"
        );
        Certificate::from_der(der).unwrap().verify_signed_by(authority.certificate()).unwrap();
    }
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!(name.starts_with(".ocsp.") || name.contains("next")), "{name} is left over");
    }
    books.note(Told::Issued(child::issue(&mut authority).unwrap().der().to_vec()));
    let pace = Pace { next_update: Duration::from_secs(3600), remember: Duration::ZERO };
    let responder = Responder::open(&[directory.to_owned()], pace).unwrap();
    for (serial, der) in books.certificates.iter().take(5) {
        let request = ocsp::request(&Certificate::from_der(der).unwrap(), authority.certificate());
        let (response, trouble) = responder.answer(&request, NOW);
        assert!(trouble.is_none(), "{trouble:?}");
        let is_good = ocsp::Response::from_der(&response).unwrap().status() == Status::Good;
        let is_revoked = authority.index().record(serial).unwrap().revoked.is_some();
        assert_eq!(is_good, !is_revoked);
    }
}

/// Every authority that was being made is there whole, or can be made.
fn hold_made(scene: &Path, round: usize) {
    for administrator in 0..ADMINISTRATORS {
        let place = scene.join(format!("made-{round}-{administrator}"));
        if place.exists() {
            drop(Authority::open(&place).unwrap());
            let pace = Pace { next_update: Duration::from_secs(3600), remember: Duration::ZERO };
            Responder::open(std::slice::from_ref(&place), pace).unwrap();
        } else {
            drop(Authority::create(&place, Policy::new("CA", KeySpec::P256), NOW).unwrap());
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
    let left = std::fs::read_dir(scene).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let keys: Vec<String> =
        left.filter(|n| n.ends_with(".making") && scene.join(n).join("ca.key.pem").exists()).collect();
    assert_eq!(keys, [""; 0], "keys of authorities that never came to be");
}

#[test]
fn no_serial_is_there_twice_and_no_certificate_without_its_record() {
    if let Some(directory) = directory_of_child() {
        work_until_killed(&directory);
        return;
    }
    let rounds = std::env::var("SAATKOND_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let scene = Scene(std::env::temp_dir().join(format!("saatkond-ca-kill-{}", std::process::id())));
    let directory = scene.0.join("ca");
    drop(Authority::create(&directory, Policy::new("CA", KeySpec::P256), NOW).unwrap());
    let mut books = Books::default();
    for round in 0..rounds {
        let mut administrators = Vec::new();
        for administrator in 0..ADMINISTRATORS {
            let made = format!("made-{round}-{administrator}");
            let (mut child, told) = start(&directory, &scene.0.join(made));
            // a point in time that nobody has chosen, for each his own
            let after = RandomState::new().hash_one((round, administrator)) % 500_000;
            let id = child.id().to_string();
            let killing = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(after));
                assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
            });
            administrators.push(std::thread::spawn(move || {
                // what it told until then is read to its end
                let told: Vec<Told> = told.collect();
                killing.join().unwrap();
                child.wait().unwrap();
                told
            }));
        }
        for administrator in administrators {
            administrator.join().unwrap().into_iter().for_each(|told| books.note(told));
        }
        hold(&directory, &mut books);
        hold_made(&scene.0, round);
    }
    let serials = hold_file(&directory);
    let index = Index::open(&directory).unwrap();
    let unfinished = index.records().iter().filter(|record| record.certificate.is_none()).count();
    assert!(books.certificates.len() > rounds, "nothing was issued: the kills prove nothing");
    println!(
        "{} kills: {serials} serials, {} certificates told of, {} revocations, {} lists; {unfinished} serials taken and \
         never signed, none twice, no certificate without its record",
        rounds * ADMINISTRATORS,
        books.certificates.len(),
        books.revoked.len(),
        books.lists
    );
}
