//! What two real X-Road 7.8.0 servers told an information system and a service, held against what ours tell.
//!
//! Each recorded request is played byte for byte to our consumer's gateway; our provider's gateway stands behind it, and
//! the service answers with the recorded bytes. What comes out must be what was recorded, or stand in [`listed`] with a
//! reason.
//!
//! | file | what it holds |
//! |---|---|
//! | [`recording`] | the recordings as they lie on disk |
//! | [`bed`] | the recorded instance, alive on loopback |
//! | [`service`] | the service that answers as recorded |
//! | [`http`] | HTTP taken apart |
//! | [`compare`] | what differs |
//! | [`listed`] | what may differ, and why |
//! | [`documents`] | the same for signed documents, taken away |
//! | [`tls`] | the same for handshakes between servers |

mod bed;
mod compare;
mod documents;
mod http;
mod listed;
mod recording;
mod service;
mod tls;

use bed::{Bed, Circumstance};
use compare::Difference;
use http::{Answer, Request};
use listed::{DIFFERENCES, Listed, NOT_PLAYED};
use recording::{Case, Flavour, Recordings};
use service::Turn;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long one exchange may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a played case.
struct Played {
    answers: Vec<Answer>,
    asked: Vec<Request>,
}

/// Plays a case: says the recorded bytes, and lets the service say the recorded ones.
async fn play(bed: &Bed, case: &Case) -> Played {
    bed.service.will(case.service.iter().map(|(_, said)| turn(case, said)));
    let (said, _) = &case.client;
    let heard = tokio::time::timeout(PATIENCE, say(bed.clients, said, &case.name)).await;
    let heard = heard.unwrap_or_else(|_| panic!("{}: the connection did not end", case.name));
    Played { answers: http::answers(&heard, &http::methods(said)), asked: bed.service.asked() }
}

/// What the service does: what it did when it was recorded.
fn turn(case: &Case, said: &[u8]) -> Turn {
    if case.name == "err-rest-service-timeout" { Turn::IsSilent } else { Turn::Says(said.to_vec()) }
}

/// Says bytes on a connection of its own, and hears what comes until it ends.
async fn say(address: SocketAddr, bytes: &[u8], case: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    let mut left = bytes;
    if case == "http-expect-delayed" {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        stream.write_all(&bytes[..end]).await.unwrap();
        while !heard.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "no interim answer");
        }
        left = &bytes[end..];
    }
    let (mut from, mut to) = stream.split();
    let saying = async {
        // Who is refused early need not take all of it.
        let _ = to.write_all(left).await;
        if case == "http-truncated-body" {
            let _ = to.shutdown().await;
        }
    };
    let hearing = async { while matches!(from.read_buf(&mut heard).await, Ok(1..)) {} };
    tokio::join!(saying, hearing);
    heard
}

/// What differs in a case.
fn differences(case: &Case, played: &Played) -> Vec<Difference> {
    let (said, told) = &case.client;
    let recorded = http::answers(told, &http::methods(said));
    let mut found = compare::answers(&recorded, &played.answers);
    let asked: Vec<_> = case.service.iter().map(|(asked, _)| http::request(asked).unwrap().0).collect();
    found.extend(compare::requests(&asked, &played.asked));
    // A description is fetched in nobody's name.
    if !case.name.starts_with("meta-") {
        compare::ids(&played.asked, &played.answers);
    }
    found
}

/// Where a case happens.
fn circumstance(name: &str) -> Circumstance {
    for (begins, circumstance) in [
        ("err-cp-globalconf-expired", Circumstance::ConsumerExpired),
        ("err-sp-globalconf-expired", Circumstance::ProviderExpired),
        ("err-peer-refuses", Circumstance::PeerRefuses),
        ("err-peer-silent", Circumstance::PeerSilent),
    ] {
        if name.starts_with(begins) {
            return circumstance;
        }
    }
    Circumstance::None
}

fn is_played(name: &str) -> bool {
    !NOT_PLAYED.iter().flat_map(|(begins, _)| begins.iter()).any(|begins| name.starts_with(begins))
}

/// Plays all cases of one flavour that happen under one circumstance; tells what was seen of each.
async fn play_all(
    recordings: &Recordings,
    flavour: Flavour,
    under: Circumstance,
    names: &[String],
    report: &mut Report,
) {
    let bed = Bed::open(recordings, flavour, under).await;
    for name in names {
        let mut case = recordings.case(flavour, name);
        if name == "http-expect-delayed" {
            // Recorded without what lies behind the consumer's server; the request is that of http-expect.
            case.service = recordings.case(flavour, "http-expect").service;
        }
        let played = play(&bed, &case).await;
        report.add(&format!("{}/{name}", flavour.name()), name, differences(&case, &played));
    }
    bed.close().await;
}

/// What was not expected, and which listed differences were met.
struct Report {
    listed: &'static [Listed],
    unexpected: Vec<String>,
    met: BTreeSet<usize>,
    played: usize,
}

impl Report {
    fn holding(listed: &'static [Listed]) -> Self {
        Self { listed, unexpected: Vec::new(), met: BTreeSet::new(), played: 0 }
    }

    /// Takes what was found in a case; `place` is where it is recorded.
    fn add(&mut self, place: &str, name: &str, found: Vec<Difference>) {
        self.played += 1;
        for Difference { what, recorded, ours } in &found {
            let covers = |listed: &Listed| {
                listed.what.contains(&what.as_str())
                    && (listed.cases.is_empty() || listed.cases.contains(&name))
            };
            match self.listed.iter().position(covers) {
                Some(index) => drop(self.met.insert(index)),
                None => self
                    .unexpected
                    .push(format!("{place}: {what}\n    recorded {recorded}\n    ours     {ours}")),
            }
        }
        for listed in self.listed.iter().filter(|listed| listed.cases.contains(&name)) {
            for what in listed.what.iter().filter(|what| !found.iter().any(|f| f.what == **what)) {
                self.unexpected.push(format!("{place}: {what} is listed, and does not differ"));
            }
        }
    }

    /// Ends the test when anything was not expected.
    fn close(mut self) {
        let unmet = self.listed.iter().enumerate().filter(|(index, _)| !self.met.contains(index));
        self.unexpected.extend(unmet.map(|(index, listed)| {
            format!("listed difference {index} was not met: {:?} {}", listed.what, listed.reason)
        }));
        println!("{} cases played", self.played);
        assert!(self.unexpected.is_empty(), "{}", self.unexpected.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_is_what_we_say() {
    let Some(recordings) = Recordings::find() else { return };
    let mut report = Report::holding(&DIFFERENCES);
    for flavour in Flavour::ALL {
        for under in [
            Circumstance::None,
            Circumstance::ConsumerExpired,
            Circumstance::ProviderExpired,
            Circumstance::PeerRefuses,
            Circumstance::PeerSilent,
        ] {
            let mut names = recordings.names(flavour);
            names.retain(|name| is_played(name) && circumstance(name) == under);
            if !names.is_empty() {
                play_all(&recordings, flavour, under, &names, &mut report).await;
            }
        }
    }
    report.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_one_after_another_take_one_connection() {
    let Some(recordings) = Recordings::find() else { return };
    let bed = Bed::open(&recordings, Flavour::Rsa, Circumstance::None).await;
    let mut report = Report::holding(&DIFFERENCES);
    // The third of the recorded calls is SOAP.
    for (client, says) in
        [("client-1", "rest-get"), ("client-2", "rest-post-json"), ("client-4", ""), ("client-5", "rest-204")]
    {
        let mut case = recordings.case_of(Flavour::Rsa, "pooling", client);
        if !says.is_empty() {
            case.service = recordings.case(Flavour::Rsa, says).service;
        }
        let played = play(&bed, &case).await;
        case.service.clear();
        let played = Played { asked: Vec::new(), ..played };
        report.add(&format!("rsa/pooling/{client}"), &case.name, differences(&case, &played));
    }
    assert!(report.unexpected.is_empty(), "{}", report.unexpected.join("\n"));
    assert_eq!(bed.connections(), 1);
    bed.close().await;
}

#[test]
fn whatever_is_left_out_was_recorded() {
    let Some(recordings) = Recordings::find() else { return };
    let names: Vec<_> = Flavour::ALL.into_iter().flat_map(|flavour| recordings.names(flavour)).collect();
    for begins in NOT_PLAYED.iter().flat_map(|(begins, _)| begins.iter()) {
        assert!(names.iter().any(|name| name.starts_with(begins)), "nothing recorded begins with {begins}");
    }
    for named in DIFFERENCES.iter().flat_map(|listed| listed.cases) {
        assert!(
            names.iter().any(|name| name == named && is_played(name)),
            "{named} is no case that is played"
        );
    }
}
