//! Keys are changed in the order that old clients survive; every step before its time is refused in words.

use crate::support::{Directory, independent_verifier};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::globalconf::{Audience, Central, Edition, PublishError, Publisher};
use saatkond_ca::key::KeySpec;
use saatkond_ca::store::By;
use saatkond_proto::globalconf::{Anchor, Content, SharedParams, SignedDirectory};
use saatkond_proto::time::UnixTime;
use std::path::Path;
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A central server, its publisher, and a clock that both go by.
struct Stage {
    directory: Directory,
    central: Central,
    publisher: Publisher,
    now: UnixTime,
}

/// What somebody who polls knows: an anchor that is never renewed, and what was stored last.
struct Client {
    anchor: Anchor,
    version: u8,
    learnt: Option<SharedParams>,
}

impl Stage {
    fn new() -> Self {
        let directory = Directory::new();
        let plan =
            Plan::two_boards("http://127.0.0.1:1", KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
        let federation = Federation::create(directory.path(), &plan, NOW).unwrap();
        let central = Central::open(&federation.configuration()).unwrap();
        let publisher = Publisher::open(&federation.configuration(), NOW).unwrap();
        Self { directory, central, publisher, now: NOW }
    }

    fn by(&self) -> By<'static> {
        By { actor: "mari", at: self.now, why: "rotation" }
    }

    fn wind(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.publisher.renew(self.now).unwrap();
        assert_eq!(self.publisher.trouble(), None);
    }

    fn add(&self, audience: Audience) -> String {
        self.central.add_key(audience, KeySpec::P256, &self.by()).unwrap().id
    }

    fn active(&self, audience: Audience) -> String {
        let keys = self.central.keys(self.now).unwrap();
        keys.into_iter().find(|k| k.key.audience == audience && k.key.is_active).unwrap().key.id
    }

    fn client(&self, version: u8) -> Client {
        let anchor = Anchor::from_xml(&self.central.anchor(Audience::Internal).unwrap()).unwrap();
        Client { anchor, version, learnt: None }
    }
}

impl Client {
    /// Polls as X-Road's client does: what it stored tells whom it believes beside its anchor.
    fn poll(&mut self, stage: &Stage) -> bool {
        let found =
            stage.publisher.find("/internalconf", Some(&format!("version={}", self.version))).unwrap();
        let mut certificates = self.anchor.sources.first().unwrap().certificates.clone();
        let learnt = self.learnt.iter().flat_map(|shared| &shared.sources);
        certificates.extend(learnt.flat_map(|source| source.internal.clone()));
        let Ok(directory) = SignedDirectory::parse(&found).unwrap().verify(&certificates, stage.now) else {
            return false;
        };
        let parts = directory.internal("DEV").unwrap();
        let part = parts.iter().find(|part| part.content == Content::Shared).unwrap();
        let bytes = stage.publisher.find(&part.location, None).unwrap();
        self.learnt = Some(part.shared(&bytes, self.version).unwrap());
        true
    }
}

#[test]
fn clients_with_an_old_anchor_live_through_a_change_of_keys() {
    let mut stage = Stage::new();
    let old = stage.active(Audience::Internal);
    let mut clients: Vec<Client> = (3..=6).map(|version| stage.client(version)).collect();
    let mut poll = |stage: &Stage| clients.iter_mut().all(|client| client.poll(stage));
    assert!(poll(&stage));
    let before = stage.central.anchor(Audience::Internal).unwrap();
    let new = stage.add(Audience::Internal);
    assert_ne!(stage.central.anchor(Audience::Internal).unwrap(), before, "the anchor tells of the new key");

    let strands = |result: Result<_, PublishError>, said: &str| match result {
        Err(error @ PublishError::Strands { .. }) => assert!(error.to_string().contains(said), "{error}"),
        other => panic!("{other:?}"),
    };
    strands(
        stage.central.activate_key(&new, false, &stage.by()),
        "node node_0 has not told its clients of it yet",
    );
    stage.wind(MINUTE);
    assert!(poll(&stage));
    strands(
        stage.central.activate_key(&new, false, &stage.by()),
        "does not tell of it, until 2026-06-01T00:10:00Z",
    );
    for _ in 0..9 {
        stage.wind(MINUTE);
        assert!(poll(&stage));
    }
    // who was on the way when the last directory without the key was signed holds it no more
    stage.central.activate_key(&new, false, &stage.by()).unwrap();
    assert!(matches!(stage.central.retire_key(&new, true, &stage.by()), Err(PublishError::Active { .. })));
    strands(
        stage.central.retire_key(&old, false, &stage.by()),
        "what it signed holds until 2026-06-01T00:20:00Z",
    );
    stage.wind(MINUTE);
    assert!(poll(&stage), "signed with the new key, which the anchor does not name");
    assert!(!stage.client_with(&before, 6).poll(&stage), "who never polled meanwhile needs the new anchor");
    assert!(stage.client(2).poll(&stage), "and so does one of version 2");
    for _ in 0..10 {
        stage.wind(MINUTE);
        assert!(poll(&stage));
    }
    stage.central.retire_key(&old, false, &stage.by()).unwrap();
    stage.wind(MINUTE);
    assert!(poll(&stage));
    let keys = stage.directory.path().join("trust/configuration");
    assert!(
        !keys.join(format!("internal-{old}.key.pem")).exists()
            && keys.join(format!("internal-{new}.key.pem")).exists()
    );
    assert!(matches!(
        stage.central.retire_key(&old, false, &stage.by()),
        Err(PublishError::NoSuchKey { .. })
    ));
    let summary: Vec<_> =
        stage.central.store().history(u64::MAX, 3).unwrap().into_iter().map(|c| c.actor).collect();
    assert_eq!(summary, ["mari", "mari", "mari"]);
}

#[test]
fn who_insists_changes_a_stolen_key_at_once() {
    let mut stage = Stage::new();
    let mut client = stage.client(6);
    assert!(client.poll(&stage));
    let old = stage.active(Audience::Internal);
    let new = stage.add(Audience::Internal);
    stage.central.activate_key(&new, true, &stage.by()).unwrap();
    stage.central.retire_key(&old, true, &stage.by()).unwrap();
    stage.wind(MINUTE);
    assert!(!client.poll(&stage), "it was left behind, as was said");
    assert!(stage.client(6).poll(&stage), "with the new anchor it is back");
}

#[test]
fn keys_are_bounded_and_of_their_own_node() {
    let stage = Stage::new();
    let node = saatkond_ca::globalconf::Node::alone();
    let again =
        Central::create(&stage.directory.path().join("trust/configuration"), &node, KeySpec::P256, NOW);
    assert!(matches!(again, Err(PublishError::Exists(_))));
    (0..3).for_each(|_| drop(stage.add(Audience::External)));
    let more = stage.central.add_key(Audience::External, KeySpec::P256, &stage.by());
    assert!(matches!(more, Err(PublishError::TooManyKeys { most: 4, .. })));
    let key = stage.add(Audience::Internal);
    std::fs::remove_file(stage.directory.path().join(format!("trust/configuration/internal-{key}.key.pem")))
        .unwrap();
    assert!(matches!(stage.central.activate_key(&key, true, &stage.by()), Err(PublishError::Key(_))));
}

impl Stage {
    fn client_with(&self, anchor: &[u8], version: u8) -> Client {
        Client { anchor: Anchor::from_xml(anchor).unwrap(), version, learnt: None }
    }

    /// Writes what is published now as a web server of files would serve it.
    fn write(&self, folder: &Path) {
        let state = self.central.read().unwrap();
        let edition = Edition::new(&state, self.now).unwrap();
        let publication = edition.sign(&self.central.signers(&state).unwrap(), self.now).unwrap();
        publication.write(&edition, folder).unwrap();
    }
}

/// The independent verifier takes what is signed in every version, before, during and after a change of keys.
#[test]
fn an_independent_verifier_follows_a_change_of_keys() {
    let Some(script) = independent_verifier() else { return };
    let mut stage = Stage::new();
    let check = |stage: &Stage, anchors: &[(Audience, Vec<u8>)], when: &str| {
        let folder = stage.directory.join(when);
        stage.write(&folder);
        for (audience, anchor) in anchors {
            let file = stage.directory.join(&format!("{when}-{}.xml", audience.name()));
            std::fs::write(&file, anchor).unwrap();
            for version in 2..=6 {
                let signed = folder.join(format!("V{version}/{}", audience.directory()));
                let output = std::process::Command::new("python3")
                    .args([script.as_os_str(), signed.as_os_str(), file.as_os_str(), folder.as_os_str()])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(
                    said.contains("OK body") && !said.contains("False"),
                    "{when} V{version}: {said}{output:?}"
                );
            }
        }
    };
    let anchors = |stage: &Stage| Audience::ALL.map(|a| (a, stage.central.anchor(a).unwrap()));
    let first = anchors(&stage);
    check(&stage, &first, "before");
    let old = Audience::ALL.map(|audience| stage.active(audience));
    let new = Audience::ALL.map(|audience| stage.add(audience));
    let both = anchors(&stage);
    check(&stage, &first, "added-old-anchor");
    check(&stage, &both, "added");
    (0..11).for_each(|_| stage.wind(MINUTE));
    new.iter().for_each(|id| drop(stage.central.activate_key(id, false, &stage.by()).unwrap()));
    check(&stage, &both, "activated");
    (0..11).for_each(|_| stage.wind(MINUTE));
    old.iter().for_each(|id| drop(stage.central.retire_key(id, false, &stage.by()).unwrap()));
    check(&stage, &both, "retired-both-anchor");
    check(&stage, &anchors(&stage), "retired");
}
