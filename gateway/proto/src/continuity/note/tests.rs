//! Notes that vouch for a call, and those that do not.

use super::*;
use crate::continuity::{Jurisdiction, Role, Site};
use crate::globalconf::{Instance, Options, SecurityServer, SharedParams};
use crate::id::MemberId;
use crate::trust::testing::{self, Party, now, seconds};

/// An instance with three servers, two of which stand at sites.
struct Bench {
    conf: GlobalConf,
    policy: Policy,
    parties: Vec<Party>,
}

const MESSAGE: &[u8] = b"what came";

fn server(code: &str) -> ServerId {
    ServerId { owner: MemberId::new("DEV", "GOV", "M2"), code: code.to_owned() }
}

impl Bench {
    fn new() -> Self {
        let codes = ["HOME", "LUX", "OTHER"];
        let parties: Vec<Party> = codes.map(|code| testing::Draft::new(code).self_signed()).into();
        let servers = codes.iter().zip(&parties).map(|(code, party)| {
            let mut server = SecurityServer {
                id: server(code),
                address: (*code).to_owned(),
                auth_cert_hashes: Vec::new(),
                clients: Vec::new(),
                maintenance: None,
            };
            server.register(party.certificate.der());
            server
        });
        let shared = SharedParams {
            version: 5,
            instance: "DEV".to_owned(),
            sources: Vec::new(),
            cas: Vec::new(),
            tsas: Vec::new(),
            members: Vec::new(),
            servers: servers.collect(),
            groups: Vec::new(),
            member_classes: Vec::new(),
            ocsp_freshness: seconds(3600),
        };
        let expires = now().plus(seconds(600));
        let instance = Instance { shared, private: None, expires, options: Options::default() };
        let site = |id: &str, code: &str| Site {
            id: id.to_owned(),
            role: Role::Home,
            jurisdiction: Jurisdiction::Territory,
            servers: vec![server(code)],
            relay: Vec::new(),
        };
        let policy = Policy {
            generation: 1,
            sites: vec![site("home", "HOME"), site("lux", "LUX")],
            registers: Vec::new(),
            operators: Vec::new(),
        };
        Self { conf: GlobalConf::new("DEV", vec![instance]).unwrap(), policy, parties }
    }

    fn passed(&self, door: usize, previous: Option<&Note>) -> Passed {
        Passed {
            door: server(["HOME", "LUX", "OTHER"][door]),
            chain: chain_digest(&chain()),
            message: DigestAlgorithm::Sha512.digest(MESSAGE),
            previous: previous.map(Note::digest),
            time: now(),
            certificate: self.parties[door].certificate.der().to_vec(),
        }
    }

    fn sign(&self, passed: Passed, with: usize) -> Note {
        let key = &self.parties[with].key;
        let algorithm = SignatureAlgorithm { digest: DigestAlgorithm::Sha256, ..key.algorithm() };
        let bytes = Note::to_sign(&passed);
        let value = key.sign(DigestAlgorithm::Sha256, &bytes, EcdsaForm::Der).unwrap();
        Note::new(passed, algorithm, value)
    }

    fn note(&self, door: usize, previous: Option<&Note>) -> Note {
        self.sign(self.passed(door, previous), door)
    }

    fn check(&self, notes: &[Note]) -> Result<(), NoteError> {
        let message = DigestAlgorithm::Sha512.digest(MESSAGE);
        check(notes, (&message, &chain()), &self.conf, &self.policy, now())
    }
}

fn chain() -> Vec<Vec<u8>> {
    vec![b"leaf".to_vec(), b"authority".to_vec()]
}

#[test]
fn one_door_or_two_may_vouch_for_a_call() {
    let bench = Bench::new();
    let first = bench.note(1, None);
    assert_eq!(bench.check(std::slice::from_ref(&first)), Ok(()));
    let second = bench.note(0, Some(&first));
    assert_eq!(bench.check(&[first.clone(), second.clone()]), Ok(()));
    let third = bench.note(1, Some(&second));
    assert_eq!(bench.check(&[first, second, third]), Err(NoteError::Hops { found: 3 }));
    assert_eq!(bench.check(&[]), Err(NoteError::Hops { found: 0 }));
}

#[test]
fn a_note_survives_being_written_and_nothing_else_is_read() {
    let note = Bench::new().note(1, None);
    let text = note.to_text();
    assert_eq!(Note::from_text(&text), Ok(note));
    for spoiled in [
        text.replace("door ", "door  "),
        text.replace("previous -", "previous "),
        text.replace('\n', "\r\n"),
        format!("{text}\n"),
        text.replace("v1", "v2"),
        String::new(),
    ] {
        assert_eq!(Note::from_text(&spoiled), Err(NoteError::Malformed), "{spoiled}");
    }
}

#[test]
fn a_note_about_another_call_vouches_for_nothing() {
    let bench = Bench::new();
    let about = |change: &dyn Fn(&mut Passed)| {
        let mut passed = bench.passed(1, None);
        change(&mut passed);
        bench.check(&[bench.sign(passed, 1)])
    };
    let is_other = |result| matches!(result, Err(NoteError::Other { .. }));
    assert!(is_other(about(&|p| p.message = DigestAlgorithm::Sha512.digest(b"else"))));
    assert!(is_other(about(&|p| p.chain = chain_digest(&chain()[..1]))));
    assert!(is_other(about(&|p| p.previous = Some(vec![0; 32]))));
    let first = bench.note(1, None);
    let other = bench.sign(Passed { time: now().plus(seconds(1)), ..bench.passed(1, None) }, 1);
    let second = bench.note(0, Some(&other));
    assert!(is_other(bench.check(&[first.clone(), second])), "another first note");
    let again = bench.note(1, Some(&first));
    assert!(is_other(bench.check(&[first, again])), "a door that passes on to itself");
}

#[test]
fn a_forged_note_vouches_for_nothing() {
    let bench = Bench::new();
    let check = |note: Note| bench.check(&[note]);
    let stranger = bench.note(2, None);
    assert!(matches!(check(stranger), Err(NoteError::Stranger { .. })), "no site's server");
    let borrowed = Passed { door: server("LUX"), ..bench.passed(0, None) };
    assert!(matches!(check(bench.sign(borrowed, 0)), Err(NoteError::Certificate { .. })));
    let unsigned = bench.sign(bench.passed(1, None), 0);
    assert!(matches!(check(unsigned), Err(NoteError::Signature { .. })), "another's key");
    let mut later = bench.note(1, None);
    later.passed.time = now().plus(seconds(1));
    assert!(matches!(check(later), Err(NoteError::Signature { .. })), "changed afterwards");
}

#[test]
fn a_note_holds_for_minutes() {
    let bench = Bench::new();
    let at = |time| bench.check(&[bench.sign(Passed { time, ..bench.passed(1, None) }, 1)]);
    assert_eq!(at(now().minus(seconds(NOTE_SECS_MAX))), Ok(()));
    assert_eq!(at(now().plus(seconds(NOTE_SECS_MAX))), Ok(()));
    for time in [now().minus(seconds(NOTE_SECS_MAX + 1)), now().plus(seconds(NOTE_SECS_MAX + 1))] {
        assert!(matches!(at(time), Err(NoteError::Time { .. })));
    }
}
