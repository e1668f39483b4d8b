//! Each record is on disk before the next step; a log that refuses ends the exchange; what it holds proves what happened.

use crate::Pair;
use saatkond::jobs::Job;
use saatkond::messagelog::{Direction, Kind, LogReader};
use saatkond_proto::container::{Container, verify};
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_tests::federation::{land, tax};
use saatkond_tests::peer::letter_answer;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{
    Answer, Ask, Caller, Door, Federation, Gate, Heard, Play, Service, Signer, Site, spawn_asking,
};
use std::io::Cursor;
use std::sync::{Arc, Mutex};

fn kinds(site: &Site) -> Vec<(Kind, Direction)> {
    site.log().iter().map(|found| (found.message.kind, found.message.direction)).collect()
}

#[tokio::test]
async fn each_record_is_on_disk_before_the_next_step() {
    let gate = Gate::default();
    let held = gate.clone();
    let answer = move |_: &_| Answer::json("{}").after(&held);
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let asking = spawn_asking(tax.clients, Ask::post("land", "{}"));
    service.asked.wait_for(1).await;
    assert_eq!(kinds(&tax), [(Kind::Request, Direction::Sent)]);
    assert_eq!(kinds(&home), [(Kind::Request, Direction::Received)]);
    gate.open();
    assert_eq!(asking.await.unwrap().status(), 200);
    assert_eq!(kinds(&tax), [(Kind::Request, Direction::Sent), (Kind::Response, Direction::Received)]);
    assert_eq!(kinds(&home), [(Kind::Request, Direction::Received), (Kind::Response, Direction::Sent)]);
}

/// Spec: message-path §6.1, first row: recorded before the signature part is sent.
#[tokio::test]
async fn a_request_is_on_disk_before_its_signature_leaves() {
    let federation = Federation::new().await;
    let home = Door::answering(&federation, "HOME", b"x").await;
    let tax = federation.open("TAX", ASKING).await;
    let log = tax.directory().clone();
    let (signer, clock) = (Signer::of(&federation, "HOME"), federation.clock.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    home.plays(move |received| {
        noted.lock().unwrap().push(saatkond_tests::site::log(&log).len());
        Play::Bytes(letter_answer(&received.message.answer(&signer, clock.now(), &[], Some(b"x")).letter()))
    });
    for _ in 0..2 {
        assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    }
    assert_eq!(*seen.lock().unwrap(), [1, 3]);
}

/// The four points of message-path §6.1, each made to refuse.
#[tokio::test]
async fn a_log_that_refuses_ends_the_exchange() {
    let gate = Arc::new(Mutex::new(Gate::default()));
    let held = Arc::clone(&gate);
    let answer = move |_: &_| Answer::json("{}").after(&held.lock().unwrap().clone());
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let refused = |heard: &Heard, origin: &str| {
        let code = format!("server.{origin}.no_timestamping_provider_found");
        assert_eq!((heard.status(), heard.code()), (500, code.as_str()), "{heard:?}");
    };
    // The consumer's request: nothing leaves.
    tax.gateway.log.set_timestamper_known(false);
    refused(&tax.ask(&Ask::post("land", "{}")).await, "clientproxy");
    assert_eq!((tax.log().len(), home.log().len(), service.asked.len()), (0, 0, 0));
    tax.gateway.log.set_timestamper_known(true);
    // The provider's request: nothing is forwarded.
    home.gateway.log.set_timestamper_known(false);
    refused(&tax.ask(&Ask::post("land", "{}")).await, "serverproxy");
    assert_eq!((tax.log().len(), home.log().len(), service.asked.len()), (1, 0, 0));
    home.gateway.log.set_timestamper_known(true);
    // The provider's answer: it was done, and nothing is told of it.
    let asking = spawn_asking(tax.clients, Ask::post("land", "{}"));
    service.asked.wait_for(1).await;
    home.gateway.log.set_timestamper_known(false);
    gate.lock().unwrap().open();
    refused(&asking.await.unwrap(), "serverproxy");
    assert_eq!((tax.log().len(), home.log().len(), service.asked.len()), (2, 1, 1));
    home.gateway.log.set_timestamper_known(true);
    // The consumer's answer: it is not handed out.
    *gate.lock().unwrap() = Gate::default();
    let asking = spawn_asking(tax.clients, Ask::post("land", "{}"));
    service.asked.wait_for(2).await;
    tax.gateway.log.set_timestamper_known(false);
    gate.lock().unwrap().open();
    refused(&asking.await.unwrap(), "clientproxy");
    assert_eq!((tax.log().len(), home.log().len(), service.asked.len()), (3, 3, 2));
    tax.gateway.log.set_timestamper_known(true);
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
}

/// Spec: message-path §6.2, the size rule.
#[tokio::test]
async fn a_body_that_the_log_does_not_keep_ends_the_exchange() {
    let answer = |_: &_| Answer::new("200 OK", &[], [b'a'; 2000]);
    let small = "[log]\nbody_max = \"1 KiB\"\n";
    let Pair { tax, home, service, federation } = Pair::with(answer, "", small).await;
    let heard = tax.ask(&Ask::post("land", vec![b'a'; 2000])).await;
    assert_eq!(heard.code(), "server.serverproxy.logging_failed", "{heard:?}");
    assert!(service.asked.is_empty() && home.log().is_empty());
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.serverproxy.logging_failed", "{heard:?}");
    assert_eq!((service.asked.len(), home.log().len()), (1, 1));
    home.stop().await;
    tax.stop().await;
    let server_toml = answering(&service.url(""));
    let home = federation
        .open_with("HOME", &server_toml, "[log]\nbody_max = \"1 KiB\"\nbeyond_body_max = \"omit\"\n")
        .await;
    let tax = federation.open_with("TAX", ASKING, small).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.logging_failed", "{heard:?}");
    assert_eq!(home.log().len(), 3);
}

/// Spec: message-path §7: stamping that fails for too long stops what cannot be proven any more.
#[tokio::test]
async fn when_stamping_has_failed_for_too_long_nothing_goes_on() {
    let answer = |_: &_| Answer::json("{}");
    let soon = "[timestamping]\nfailure_allowed = \"2 min\"\n";
    let Pair { tax, home: _home, service, federation } = Pair::with(answer, soon, "").await;
    tax.gateway.log.stamping_fails();
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.clock.advance(std::time::Duration::from_secs(121));
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.timestamping_failed"), "{heard:?}");
    assert_eq!(service.asked.len(), 1);
    tax.run(Job::Timestamp).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
}

/// Spec: message-path §7.1, synchronous: what cannot be stamped now goes no further, however short the failure.
#[tokio::test]
async fn where_messages_are_stamped_at_once_none_goes_on_without() {
    let answer = |_: &_| Answer::json("{}");
    let at_once = "[timestamping]\nimmediately = true\n";
    let Pair { tax, home, service, mut federation } = Pair::with(answer, at_once, at_once).await;
    let asking = (0..8).map(|_| spawn_asking(tax.clients, Ask::get("land"))).collect::<Vec<_>>();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status(), 200);
    }
    for site in [&tax, &home] {
        assert_eq!(site.log().len(), 16);
        assert!(site.log().iter().all(|found| found.stamp.is_some()));
    }
    federation = federation.without_trust_services().await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.timestamping_failed"), "{heard:?}");
    assert_eq!(service.asked.len(), 8);
    drop(federation);
}

/// Every record of both gateways, exported as a file, proves who said what when: by the instance's configuration alone.
#[tokio::test]
async fn what_the_logs_hold_is_proof() {
    // What is asked with GET is answered with a body that is there and empty.
    let answer = |asked: &saatkond_tests::Asked| Answer::json(&asked.body);
    let Pair { tax: asking, home, service: _service, federation: _federation } =
        Pair::answering(answer).await;
    for ask in [Ask::get("land"), Ask::post("land", "{\"a\":1}"), Ask::post("land", vec![b'x'; 100_000])] {
        assert_eq!(asking.ask(&ask.line("X-Road-Id", "q-1")).await.status(), 200);
    }
    for site in [&asking, &home] {
        site.run(Job::Timestamp).await;
        let reader = LogReader::open(&site.directory().join("log")).unwrap();
        let found = reader.of_query("q-1").unwrap();
        assert_eq!((found.len(), reader.unstamped()), (6, 0));
        for found in found {
            let file = reader.export(&found, Cursor::new(Vec::new())).unwrap();
            let mut container = Container::open(file).unwrap();
            let proof = verify(&mut container, &site.gateway.world().conf).unwrap();
            assert!(proof.unproven.is_empty(), "{:?}", proof.unproven);
            assert_eq!(proof.stamp.time, site.gateway.now());
            let signer: &ClientId = if found.message.kind == Kind::Request { &tax() } else { &land() };
            assert_eq!(member(&proof.signature.certificate), signer.member);
        }
    }
}

/// The member that a certificate names, as Finland names members.
fn member(certificate: &saatkond_proto::trust::Certificate) -> MemberId {
    let any = MemberId::new("DEV", "GOV", "any");
    saatkond_proto::trust::profile::Profile::FiVrk.member_of(certificate, &any).unwrap()
}

/// A log that cannot be written any more: the disk is gone, and so is the exchange.
#[tokio::test]
async fn a_log_without_a_disk_forwards_nothing() {
    let federation = Federation::new().await;
    let service = Service::start(|_| Answer::json("{}")).await;
    let home = federation.open("HOME", &answering(&service.url(""))).await;
    let asking = federation.open("TAX", ASKING).await;
    let mut caller = Caller::connect(asking.clients).await;
    assert_eq!(caller.ask(&Ask::get("land")).await.status(), 200);
    // Large bodies have files of their own; there is no room for any.
    let bodies = home.directory().join("log/bodies");
    std::fs::remove_dir_all(&bodies).unwrap();
    std::fs::write(&bodies, b"").unwrap();
    let heard = caller.ask(&Ask::post("land", vec![b'a'; 300_000])).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.serverproxy.logging_failed"), "{heard:?}");
    assert!(!heard.text().contains("/bodies"), "no path of this machine is told: {}", heard.text());
    assert_eq!(service.asked.len(), 1);
}
