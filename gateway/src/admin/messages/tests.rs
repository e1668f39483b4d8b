//! What is said of a message log, letter by letter.

use super::*;
use crate::admin::cli::{Command, Messages, run};
use crate::admin::words;
use crate::clock::Clock;
use crate::messagelog::{Direction, Entry, MessageLog, Policy, Record, Spooled};
use crate::testbed::{Bed, NOW, TestDir, member};
use bytes::Bytes;
use clap::Parser;
use saatkond_proto::container::Container;
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm};
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::{self, PartDigest, PrepareError, SignatureParts, SignerMaterial};
use saatkond_proto::trust::ocsp::Status;
use saatkond_proto::trust::tsp;
use std::sync::Arc;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// A message as the paths record it.
struct Sent {
    kind: Kind,
    query: String,
    block: Vec<u8>,
    body: Option<Spooled>,
    proof: SignatureParts,
}

impl Record for Sent {
    fn entry(&self) -> Entry {
        Entry {
            kind: self.kind,
            direction: match self.kind {
                Kind::Request => Direction::Sent,
                Kind::Response => Direction::Received,
            },
            query_id: self.query.clone(),
            request_id: "5d1f9a52-0d1c-4bb1-8f60-0f5b3e3b1f1e".to_owned(),
            client: member().subsystem("TAX"),
            service: MemberId::new("DEV", "GOV", "M2").subsystem("LAND").service("land"),
            message: Bytes::from(self.block.clone()),
            proof: self.proof.clone(),
            attachments: self.body.iter().cloned().collect(),
        }
    }
}

/// A gateway's directory with a log, and what commands say about it.
struct Place {
    dir: TestDir,
    bed: Bed,
    clock: Clock,
    log: Option<MessageLog>,
}

impl Place {
    fn new() -> Self {
        let dir = TestDir::new("messages");
        fs::write(
            dir.0.join("gateway.toml"),
            "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \".\"\n[log]\nsegment = \"1 MiB\"\n",
        )
        .unwrap();
        Self { dir, bed: Bed::new(), clock: Clock::wound(NOW), log: None }
    }

    fn with_log(mut self) -> Self {
        let log = MessageLog::open(&self.dir.0.join("log"), self.clock.clone(), Policy::default()).unwrap();
        self.log = Some(log);
        self
    }

    async fn record(&self, kind: Kind, query: &str, head: &str, body: Option<&'static [u8]>) {
        let block = format!(
            "{head}\r\nx-road-client:DEV/GOV/M1/TAX\r\nx-road-service:DEV/GOV/M2/LAND/land\r\nx-road-id:{query}\r\n\r\n"
        );
        let block = block.into_bytes();
        let digest = |name: &str, bytes: &[u8]| PartDigest {
            name: name.to_owned(),
            algorithm: DigestAlgorithm::Sha512,
            digest: DigestAlgorithm::Sha512.digest(bytes),
        };
        let mut parts = vec![digest(signature::MESSAGE, &block)];
        parts.extend(body.map(|body| digest("/attachment1", body)));
        let sign = &self.bed.sign;
        let material = SignerMaterial {
            certificate: Arc::clone(&sign.certificate),
            intermediates: Vec::new(),
            ocsp: vec![self.bed.response(&sign.certificate, Status::Good, NOW)],
        };
        let key = sign.key();
        let signed = |bytes: &[u8]| {
            Ok::<_, PrepareError>(key.sign(DigestAlgorithm::Sha512, bytes, EcdsaForm::Fixed).unwrap())
        };
        let proof =
            signature::sign(&[parts], &material, key.algorithm(), NOW, signed).unwrap().swap_remove(0);
        let body = body.map(|body| Spooled::from_bytes(Bytes::from_static(body)));
        let sent = Sent { kind, query: query.to_owned(), block, body, proof };
        self.log.as_ref().unwrap().record(sent).await.unwrap();
        self.clock.advance(Duration::from_millis(1500));
    }

    /// Three messages of two queries.
    async fn talked() -> Self {
        let place = Self::new().with_log();
        place.record(Kind::Request, "q-1", "GET /r1/DEV/GOV/M2/LAND/land/titles/1 HTTP/1.1", None).await;
        place.record(Kind::Response, "q-1", "HTTP/1.1 200 OK", Some(b"{\"title\":1}")).await;
        place.record(Kind::Request, "q-2", "GET /r1/DEV/GOV/M2/LAND/land/\u{1b}[31m HTTP/1.1", None).await;
        place
    }

    async fn stamp(&self, max: usize) {
        let log = self.log.as_ref().unwrap();
        let order = log.to_stamp(max).unwrap().unwrap();
        let request = tsp::parse_request(&tsp::request(&order.imprint)).unwrap();
        let statement = tsp::Statement { serial: &[7, 9], gen_time: self.clock.now(), policy: &[0x2a, 3] };
        let tsa = &self.bed.tsa;
        let response = tsp::issue(&request, &statement, &tsa.certificate, &tsa.key()).unwrap();
        let token =
            tsp::with_certificate(&tsp::parse_response(&response).unwrap(), &tsa.certificate).unwrap();
        log.record_stamp(order, token.der().to_vec(), "http://tsa.example/").await.unwrap();
    }

    /// What a command says: data, talk, and how it ends.
    async fn says(&self, words: &[&str]) -> (String, String, Exit) {
        let file = self.dir.0.join("gateway.toml").display().to_string();
        let all = [&["saatkond", "messages"], words, &["--config", &file]].concat();
        let command = Arguments::try_parse_from(all).unwrap().command;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let ended = run(command, &mut Streams::new(&mut out, &mut talk)).await;
        let text = |bytes| self.anonymous(&String::from_utf8(bytes).unwrap());
        let (talk, exit) = match ended {
            Ok(exit) => (text(talk), exit),
            Err(failure) => (text(talk) + &self.anonymous(&failure.to_string()), failure.exit),
        };
        (text(out), talk, exit)
    }

    /// The text without what differs from run to run.
    fn anonymous(&self, text: &str) -> String {
        text.replace(&self.dir.0.display().to_string(), "HERE")
            .replace(&self.bed.sign.certificate.serial_text(), "SERIAL")
            .replace(&words::hex(self.bed.sign.certificate.sha256()), "SHA256")
    }
}

#[tokio::test]
async fn messages_are_listed_the_newest_last_and_fit_the_page() {
    let place = Place::talked().await;
    place.stamp(2).await;
    let (out, talk, exit) = place.says(&["list"]).await;
    assert_eq!(
        out,
        "\x20   no  recorded              message            stamp   consumer > service
     1  2026-01-02T03:04:05Z  request sent       4       DEV/GOV/M1/TAX > DEV/GOV/M2/LAND/land
        query q-1
     2  2026-01-02T03:04:06Z  response received  4       DEV/GOV/M1/TAX > DEV/GOV/M2/LAND/land
        query q-1
     3  2026-01-02T03:04:08Z  request sent       none    DEV/GOV/M1/TAX > DEV/GOV/M2/LAND/land
        query q-2
"
    );
    assert_eq!(talk, "3 messages, 1 of them without a time-stamp yet\n");
    assert_eq!(exit, Exit::Done);
    assert!(out.lines().all(|line| line.len() <= 100));
    let (out, talk, _) = place.says(&["list", "--limit", "1"]).await;
    assert!(out.ends_with("query q-2\n") && out.lines().count() == 3, "{out}");
    assert!(talk.ends_with("; these are the newest 1, --limit 0 lists all\n"), "{talk}");
}

/// Takes so many lines, as `head` does.
struct Head {
    lines: usize,
    taken: Vec<u8>,
}

impl io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken.iter().filter(|byte| **byte == b'\n').count() >= self.lines {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_followed_as_they_are_recorded_until_nobody_reads_them() {
    let place = Place::talked().await;
    place.stamp(3).await;
    let file = place.dir.0.join("gateway.toml");
    let asked = ["saatkond", "messages", "follow", "--json", "--last", "1", "--service", "land", "--config"];
    let asked = asked.into_iter().chain([file.to_str().unwrap()]);
    let Command::Messages(asked) = Arguments::try_parse_from(asked).unwrap().command else { panic!() };
    let Messages::Follow(asked) = *asked else { panic!() };
    let conf = Conf::load(&file).unwrap();
    let (mut out, mut talk) = (Head { lines: 3, taken: Vec::new() }, Vec::new());
    let mut looks = 0;
    let record = || {
        looks += 1;
        let (kind, query) = if looks == 1 { (Kind::Response, "q-2") } else { (Kind::Request, "q-3") };
        let recorded = place.record(kind, query, "GET /r1/DEV/GOV/M2/LAND/land/titles/2 HTTP/1.1", None);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(recorded));
    };
    let exit = follow(&conf, &asked, &mut Streams::new(&mut out, &mut talk), record).unwrap();
    assert_eq!(exit, Exit::Done);
    let rows = String::from_utf8(out.taken).unwrap();
    let rows: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let told: Vec<_> = rows.iter().map(|row| (row["number"].as_u64(), row["query_id"].as_str())).collect();
    // The fourth record is the time-stamp.
    assert_eq!(told, [(Some(3), Some("q-2")), (Some(5), Some("q-2")), (Some(6), Some("q-3"))]);
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let place = Place::talked().await;
    let told = async |words: &[&str]| {
        let (out, ..) = place.says(&[&["list", "--json"], words].concat()).await;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
        rows.iter().map(|row| row["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(told(&[]).await, [1, 2, 3]);
    assert_eq!(told(&["--id", "q-1"]).await, [1, 2]);
    assert_eq!(told(&["--id", "q-1", "--limit", "1"]).await, [2]);
    assert_eq!(told(&["--member", "DEV/GOV/M2"]).await, [1, 2, 3]);
    assert_eq!(told(&["--client", "DEV/GOV/M1/TAX"]).await, [1, 2, 3]);
    assert_eq!(told(&["--service", "land"]).await, [1, 2, 3]);
    assert_eq!(told(&["--service", "DEV/GOV/M2/LAND/land"]).await, [1, 2, 3]);
    assert_eq!(told(&["--since", "2026-01-02T03:04:06.5Z"]).await, [2, 3]);
    assert_eq!(told(&["--since", "2026-01-02T05:04:06.5+02:00"]).await, [2, 3]);
    assert_eq!(told(&["--until", "2026-01-02T03:04:06.5Z"]).await, [1]);
    for words in
        [["--member", "DEV/GOV/M1/LAND"], ["--service", "titles"], ["--service", "DEV/GOV/M2/TAX/land"]]
    {
        let (out, talk, exit) = place.says(&["list", words[0], words[1]]).await;
        assert_eq!((out.as_str(), exit), ("", Exit::NotWell), "{talk}");
    }
}

#[tokio::test]
async fn a_row_has_the_documented_fields() {
    let place = Place::talked().await;
    let (out, ..) = place.says(&["list", "--json", "--id", "q-1", "--limit", "1"]).await;
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        rows,
        json!([{
            "number": 2,
            "recorded_at": "2026-01-02T03:04:06.500Z",
            "kind": "response",
            "direction": "received",
            "query_id": "q-1",
            "request_id": "5d1f9a52-0d1c-4bb1-8f60-0f5b3e3b1f1e",
            "client": "DEV/GOV/M1/TAX",
            "service": "DEV/GOV/M2/LAND/land",
            "stamp": null,
            "message_bytes": 101,
            "bodies": [{ "kept": "record", "bytes": 11 }],
        }])
    );
}

#[tokio::test]
async fn all_of_a_message_is_shown() {
    let place = Place::talked().await;
    place.stamp(10).await;
    let (out, talk, exit) = place.says(&["show", "2"]).await;
    assert_eq!(
        out,
        "record 2
  message    response received, recorded 2026-01-02T03:04:06.500Z
  query      q-1
  exchange   5d1f9a52-0d1c-4bb1-8f60-0f5b3e3b1f1e
  consumer   DEV/GOV/M1/TAX
  service    DEV/GOV/M2/LAND/land
  head       HTTP/1.1 200 OK
             x-road-client:DEV/GOV/M1/TAX
             x-road-service:DEV/GOV/M2/LAND/land
             x-road-id:q-1
  body       11 bytes, in the record
  signature  ECDSA with SHA-512, through a hash chain
             certificate SERIAL
             of C=DEV, O=GOV, CN=M1
             by C=DEV, O=GOV, CN=Test CA
             at 2026-01-02T03:04:05.000Z by the signer's own clock
  time-stamp 2026-01-02T03:04:09Z, serial 0709
             over 3 messages through a hash chain, record 4
             from http://tsa.example/ at 2026-01-02T03:04:09Z
"
    );
    assert_eq!(
        talk,
        "this is what the log holds; `messages export` and then `ca verify` tell what of it is proven\n"
    );
    assert_eq!(exit, Exit::Done);
    let (out, ..) = place.says(&["show", "--json", "q-1"]).await;
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    let first = &shown[0];
    assert_eq!(first["time_stamp"]["time"], "2026-01-02T03:04:09Z");
    assert_eq!(first["time_stamp"]["covers"], 3);
    assert_eq!(first["signature"]["algorithm"], "ECDSA with SHA-512");
    assert_eq!(first["signature"]["certificate"]["sha256"], "SHA256");
    assert_eq!(first["signature"]["hash_chain"], false);
    assert!(
        first["head"].as_str().unwrap().starts_with("GET /r1/DEV/GOV/M2/LAND/land/titles/1 HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn a_strangers_text_is_shown_and_commands_no_terminal() {
    let place = Place::talked().await;
    place.record(Kind::Request, "q\u{1b}[2J\n", "GET / HTTP/1.1", None).await;
    for words in [["list", "--limit=0"], ["show", "3"], ["show", "4"], ["show", "q\u{1b}"]] {
        let (out, talk, _) = place.says(&words).await;
        assert!(!out.contains('\u{1b}') && !talk.contains('\u{1b}'), "{out}{talk}");
    }
    let (out, ..) = place.says(&["show", "4"]).await;
    assert!(out.contains("  query      q\\u{1b}[2J\\n\n"), "{out}");
}

#[tokio::test]
async fn what_is_not_there_is_said_plainly() {
    let place = Place::talked().await;
    place.stamp(3).await;
    let hint = "\n hint: saatkond messages list --config HERE/gateway.toml";
    for (words, expected) in [
        (
            ["show", "q-9"],
            "error: no message of query q-9 in the message log at HERE/log: it holds records 1 to 4",
        ),
        (
            ["show", "99"],
            "error: no record 99 and no query of this id in the message log at HERE/log: it holds records 1 to 4",
        ),
        (
            ["show", "4"],
            "error: no message 4 (record 4 is a time-stamp) in the message log at HERE/log: it holds records 1 to 4",
        ),
        (
            ["list", "--id=x"],
            "error: no message of query x in the message log at HERE/log: it holds records 1 to 4",
        ),
    ] {
        let (out, talk, exit) = place.says(&words).await;
        assert_eq!((out.as_str(), talk.as_str(), exit), ("", &*format!("{expected}{hint}"), Exit::NotWell));
    }
    let place = Place::new();
    let (_, talk, exit) = place.says(&["list"]).await;
    assert_eq!(
        talk,
        "error: there is no message log at HERE/log\n hint: `saatkond run` makes it when it first starts; is `state` \
         in gateway.toml the right directory?"
    );
    assert_eq!(exit, Exit::Disk);
    let place = place.with_log();
    let (out, talk, exit) = place.says(&["list"]).await;
    assert_eq!((out.as_str(), talk.as_str(), exit), ("", "0 messages\n", Exit::Done));
    let (out, ..) = place.says(&["list", "--json"]).await;
    assert_eq!(out, "[]\n");
    let (_, talk, exit) = place.says(&["show", "q"]).await;
    assert!(
        talk.starts_with("error: no message of query q in the message log at HERE/log: it holds none yet")
    );
    assert_eq!(exit, Exit::NotWell);
}

#[tokio::test]
async fn containers_are_written_under_their_x_road_names_and_never_over_others() {
    let place = Place::talked().await;
    let to = place.dir.0.join("out/evidence").display().to_string();
    let (out, talk, exit) = place.says(&["export", &to, "--id", "q-1"]).await;
    assert_eq!(exit, Exit::Done, "{talk}");
    assert!(out.starts_with("HERE/out/evidence/q-1-request-1.asice  "), "{out}");
    assert!(out.contains("HERE/out/evidence/q-1-response-2.asice  "), "{out}");
    assert_eq!(
        talk,
        "2 containers written; 2 without a time-stamp yet, which prove no time: export again after it is there\n"
    );
    let file = place.dir.0.join("out/evidence/q-1-response-2.asice");
    assert!(Container::open(io::Cursor::new(fs::read(&file).unwrap())).is_ok());
    let (_, _, exit) = place.says(&["export", &to, "--id", "q-1"]).await;
    assert_eq!(exit, Exit::Done, "the same bytes are no other file");
    place.stamp(3).await;
    let before = fs::read(&file).unwrap();
    let (_, talk, exit) = place.says(&["export", &to, "--id", "q-1"]).await;
    assert_eq!(exit, Exit::Disk);
    assert!(
        talk.contains("q-1-request-1.asice is there already, and is not this container\n hint: "),
        "{talk}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    let one = place.dir.0.join("one.asice").display().to_string();
    let (out, talk, exit) = place.says(&["export", "--out", &one, "--number", "2", "--json"]).await;
    assert_eq!((talk.as_str(), exit), ("1 container written\n", Exit::Done));
    let written: serde_json::Value = serde_json::from_str(&out).unwrap();
    let bytes = fs::metadata(&one).unwrap().len();
    assert_eq!(
        written,
        json!([{ "number": 2, "file": "HERE/one.asice", "bytes": bytes, "time_stamped": true }])
    );
    let (_, talk, exit) = place.says(&["export", "--out", &one, "--id", "q-1"]).await;
    assert_eq!(exit, Exit::Usage, "{talk}");
    let left: Vec<_> = fs::read_dir(place.dir.0.join("out/evidence")).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing unfinished stays");
}

#[tokio::test]
async fn a_hostile_query_id_names_no_other_directory() {
    let place = Place::new().with_log();
    place.record(Kind::Request, "../../x/\u{0}", "GET / HTTP/1.1", None).await;
    let to = place.dir.0.join("out").display().to_string();
    let (out, _, exit) = place.says(&["export", &to]).await;
    assert_eq!(exit, Exit::Done);
    assert!(out.starts_with("HERE/out/..%2F..%2Fx%2F%00-request-1.asice  "), "{out}");
}

#[tokio::test]
async fn a_damaged_log_is_said_to_be() {
    let place = Place::talked().await;
    let (out, _, exit) = place.says(&["verify"]).await;
    assert_eq!((out.as_str(), exit), ("3 records in 1 segment hold, each and as a chain\n", Exit::Done));
    let segment = place.dir.0.join("log/0000000001-0000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[300] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for command in ["list", "verify"] {
        let (_, talk, exit) = place.says(&[command]).await;
        assert_eq!(exit, Exit::Disk);
        assert!(
            talk.starts_with(
                "error: message log is damaged: HERE/log/0000000001-0000000000000001.log at byte "
            ),
            "{talk}"
        );
        assert!(talk.contains("\n hint: keep a copy of all files"), "{talk}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_is_read() {
    for words in [
        &["messages", "list"][..],
        &["messages", "list", "--config", "x", "--since", "yesterday"],
        &["messages", "list", "--config", "x", "--member", "DEV/GOV"],
        &["messages", "list", "--config", "x", "--service", "DEV/GOV/land"],
        &["messages", "show", "--config", "x"],
        &["messages", "show", "--config", "x", "1", "--id", "q"],
        &["messages", "export", "--config", "x"],
        &["messages", "export", "--config", "x", "dir", "--out", "file"],
    ] {
        assert!(Arguments::try_parse_from([&["saatkond"], words].concat()).is_err(), "{words:?}");
    }
}
