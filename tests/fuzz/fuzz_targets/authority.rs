#![no_main]
//! Orders of authority, notes of doors and values of `X-Road-Cont-*`: texts between NULs. Of orders and notes nothing holds
//! but what was signed, and what holds was signed as it stands.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::continuity::authority::{Seat, Warrant};
use saatkond_proto::continuity::header::{self, State};
use saatkond_proto::continuity::note::{self, Note};
use saatkond_proto::continuity::{Class, Jurisdiction, Operator, Policy, Register, Role, Site};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::{GlobalConf, Instance, Options, SecurityServer, SharedParams};
use saatkond_proto::id::ServerId;
use std::sync::LazyLock;
use std::time::Duration;
#[path = "../instance.rs"]
mod instance;

/// The only order that its operator ever signed.
const ORDER: &str = include_str!("../said/order.txt");
/// The operator's public key.
const KEY: [u8; 32] = [
    38, 90, 31, 118, 20, 6, 74, 213, 100, 54, 202, 39, 243, 92, 208, 247, 140, 200, 55, 194, 173, 35, 205,
    91, 33, 122, 232, 99, 191, 193, 136, 159,
];
/// What a call and those who brought it are, for which two doors signed.
const CALL: (&[u8], &[u8]) = (b"message", b"chain");

/// The only notes that their doors ever signed.
static NOTES: LazyLock<[Note; 2]> = LazyLock::new(|| {
    [include_str!("../said/note-1.txt"), include_str!("../said/note-2.txt")]
        .map(|text| Note::from_text(text).unwrap())
});

/// The instance of the vectors, with the two doors.
static CONF: LazyLock<GlobalConf> = LazyLock::new(|| {
    let (_, body) = instance::parted(include_bytes!("../../vectors/trust/dev.vector"));
    let mut shared = SharedParams::from_xml(body, 6).unwrap();
    shared.servers.extend(NOTES.each_ref().map(Note::passed).map(|passed| {
        let mut server = SecurityServer {
            id: passed.door.clone(),
            address: String::new(),
            auth_cert_hashes: Vec::new(),
            clients: Vec::new(),
            maintenance: None,
        };
        server.register(&passed.certificate);
        server
    }));
    let expires = instance::at().plus(Duration::from_secs(1 << 32));
    let only = Instance { shared, private: None, expires, options: Options::default() };
    GlobalConf::new("DEV", vec![only]).unwrap()
});

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let site = |id: &str, server: &ServerId| Site {
        id: id.to_owned(),
        role: Role::Home,
        jurisdiction: Jurisdiction::Territory,
        servers: vec![server.clone()],
        relay: Vec::new(),
    };
    let [home, lux] = NOTES.each_ref().map(|note| &note.passed().door);
    Policy {
        generation: 1,
        sites: vec![site("home", home), site("lux1", lux)],
        registers: vec![Register {
            id: "DEV/GOV/M2/LAND".parse().unwrap(),
            class: Class::Internal,
            services: Vec::new(),
            succession: vec!["home".to_owned(), "lux1".to_owned()],
            live: None,
            staleness: Duration::from_secs(5),
            staleness_max: Duration::from_secs(60),
            read_shares: Vec::new(),
            refresh: Duration::ZERO,
        }],
        operators: vec![Operator { name: "anna".to_owned(), key: KEY }],
    }
});

/// What was signed holds, so that the rest of this target means something.
static HOLDS: LazyLock<bool> = LazyLock::new(|| {
    let order = Warrant::from_text(ORDER).unwrap();
    let judged = Seat::default().judge(&order, &POLICY, &POLICY.registers[0]).is_ok();
    judged && (1..=2).all(|hops| check(&NOTES[..hops]))
});

fn check(notes: &[Note]) -> bool {
    let digest = DigestAlgorithm::Sha512.digest(CALL.0);
    note::check(notes, (&digest, &[CALL.1.to_vec()]), &CONF, &POLICY, instance::at()).is_ok()
}

fuzz_target!(|data: &[u8]| {
    assert!(*HOLDS, "what was signed does not hold");
    let mut seat = Seat::default();
    let mut notes = Vec::new();
    for text in data.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok()) {
        if let Ok(warrant) = Warrant::from_text(text) {
            assert_eq!(warrant.to_text(), text);
            let before = seat.token();
            if seat.judge(&warrant, &POLICY, &POLICY.registers[0]).is_ok() {
                assert_eq!(text, ORDER, "an order that nobody gave");
                seat.take(warrant);
            }
            assert!(seat.token() >= before, "authority went back");
        }
        if let Ok(note) = Note::from_text(text) {
            assert_eq!(note.to_text(), text);
            notes.push(note);
        }
        if let Some(state) = State::from_text(text) {
            assert_eq!(State::from_text(&state.to_text()), Some(state));
        }
        if let Some(span) = header::from_seconds(text) {
            let again = header::from_seconds(&header::seconds(span)).unwrap();
            assert!(again >= span && again - span < Duration::from_millis(1), "an age made younger");
        }
    }
    if check(&notes) {
        let known = NOTES.iter().map(Note::passed);
        assert!(notes.iter().map(Note::passed).eq(known.take(notes.len())), "a note that nobody signed");
    }
});
