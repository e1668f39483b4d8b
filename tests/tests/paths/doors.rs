//! When a call goes to another door, by the one rule: until the signature part is handed over, any call may; after that
//! only GET, HEAD and OPTIONS; everything else is done at most once.

use crate::spoiled::MARK;
use saatkond_proto::message::rest::Method;
use saatkond_tests::peer::{Greeting, fault_answer, letter_answer};
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Door, Federation, For, Gate, Play, Service, Signer, Site, patiently};

/// A consumer's gateway, a door at home that the test plays, and a real gateway at the embassy.
struct Bench {
    tax: Site,
    home: Door,
    embassy: Site,
    service: Service,
    federation: Federation,
}

impl Bench {
    async fn new() -> Self {
        let federation = Federation::new().await;
        let service = Service::start(|_| Answer::new("200 OK", &[("X-From", "embassy")], "{}")).await;
        let home = Door::answering(&federation, "HOME", b"home").await;
        // Bodies that are larger than what a socket takes are larger than what a log keeps, too.
        let more = "[log]\nbody_max = \"64 MiB\"\n";
        let embassy = federation.open_with("EMBASSY", &answering(&service.url("")), more).await;
        let tax = federation.open_with("TAX", ASKING, more).await;
        Self { tax, home, embassy, service, federation }
    }
}

#[tokio::test]
async fn home_is_asked_first_and_the_embassy_when_home_is_shut() {
    let federation = Federation::new().await;
    let at_home = Service::start(|_| Answer::json("\"home\"")).await;
    let abroad = Service::start(|_| Answer::json("\"embassy\"")).await;
    let home = federation.open("HOME", &answering(&at_home.url(""))).await;
    let _embassy = federation.open("EMBASSY", &answering(&abroad.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    for _ in 0..3 {
        assert_eq!(tax.ask(&Ask::post("land", "{}")).await.text(), "\"home\"");
    }
    home.stop().await;
    for method in Method::ALL {
        let heard = tax.ask(&Ask::new(method.name(), "land")).await;
        assert_eq!((heard.status(), heard.code()), (200, ""), "{method:?} {heard:?}");
        assert_eq!(heard.text(), if method == Method::Head { "" } else { "\"embassy\"" }, "{method:?}");
    }
    assert_eq!((at_home.asked.len(), abroad.asked.len()), (3, Method::ALL.len()));
    // Who must be asked is asked alone.
    let named = |server: &str| Ask::get("land").line("X-Road-Security-Server", server);
    assert_eq!(tax.ask(&named("DEV/GOV/M2/HOME")).await.code(), "server.clientproxy.network_error");
    assert_eq!(tax.ask(&named("DEV/GOV/M2/EMBASSY")).await.status(), 200);
}

/// Any call moves from a door that is not who it must be, or hangs up before it was told anything.
#[tokio::test]
async fn a_door_that_hangs_up_or_is_a_stranger_is_passed_by() {
    let bench = Bench::new().await;
    let stranger = bench.federation.issue(For::Authentication, |_| ());
    let status = bench.federation.good(&stranger.certificate);
    bench.home.show(&stranger, status);
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
    bench.home.behave(|manner| manner.greeting = Greeting::HangsUp);
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
    assert!(bench.home.received.is_empty());
    assert_eq!((bench.service.asked.len(), bench.embassy.log().len()), (2, 4));
}

/// The body is larger than what lies between two gateways: the signature part is still ours when the door dies.
#[tokio::test]
async fn a_call_moves_from_a_door_that_dies_before_the_signature() {
    let bench = Bench::new().await;
    bench.home.behave(|manner| manner.greeting = Greeting::HangsUpAfter(100_000));
    let body = vec![b'b'; 24 << 20];
    let heard = bench.tax.ask(&Ask::post("land", body.clone())).await;
    assert_eq!(
        (heard.status(), heard.line("x-from")),
        (200, Some("embassy")),
        "{} {}",
        heard.code(),
        heard.text()
    );
    assert_eq!(bench.home.connected.len(), 1, "home was tried");
    assert!(bench.service.asked.len() == 1 && bench.service.asked.last().body == body);
    let (sent, taken) = (bench.tax.log(), bench.embassy.log());
    assert_eq!((sent.len(), taken.len()), (2, 2), "signed and recorded once");
    assert_eq!(sent[0].message.proof, taken[0].message.proof, "both doors were sent the same");
}

#[tokio::test]
async fn after_the_signature_only_reads_move() {
    let bench = Bench::new().await;
    bench.home.plays(|_| Play::Last(Vec::new()));
    for (place, method) in Method::ALL.into_iter().enumerate() {
        let done = bench.service.asked.len();
        // A door that failed a moment ago is asked last; the caller may insist.
        let ask = Ask::new(method.name(), "land");
        let heard = if place == 0 {
            bench.tax.ask(&ask).await
        } else {
            let ask = ask.line("X-Road-Security-Server", "DEV/GOV/M2/HOME");
            bench.tax.ask(&ask).await
        };
        let code = if method.is_safe() {
            "server.clientproxy.io_error"
        } else {
            "server.clientproxy.outcome_unknown"
        };
        assert_eq!((heard.status(), heard.code()), (500, code), "{method:?} {heard:?}");
        assert_eq!(bench.service.asked.len(), done, "{method:?} was brought to another door");
        assert_eq!(bench.home.received.len(), place + 1, "{method:?} was brought once");
    }
}

#[tokio::test]
async fn a_read_moves_from_a_door_that_dies_after_the_signature() {
    for method in [Method::Get, Method::Head, Method::Options] {
        let bench = Bench::new().await;
        bench.home.plays(|_| Play::Last(Vec::new()));
        let heard = bench.tax.ask(&Ask::new(method.name(), "land")).await;
        assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{method:?} {heard:?}");
        let received = bench.home.received.last();
        let taken = bench.embassy.log();
        assert_eq!(
            taken[0].message.message, received.message.block,
            "{method:?}: both doors were sent the same"
        );
        assert_eq!((bench.tax.log().len(), taken.len()), (2, 2));
    }
}

/// A fault, and an answer that does not hold, are words of the peer alone: a read asks elsewhere, a write does not.
#[tokio::test]
async fn a_read_moves_from_a_fault_and_a_write_does_not() {
    let bench = Bench::new().await;
    let fault = "server.serverproxy.logging_failed";
    bench.home.plays(move |_| Play::Bytes(fault_answer(fault)));
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.code()), (500, fault), "{heard:?}");
    assert!(bench.service.asked.is_empty());
    let heard = bench.tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
}

#[tokio::test]
async fn a_read_moves_from_an_answer_that_does_not_hold_and_a_write_does_not() {
    let bench = Bench::new().await;
    let (signer, clock) = (Signer::of(&bench.federation, "PORT"), bench.federation.clock.clone());
    bench.home.plays(move |received| {
        let draft = received.message.answer(&signer, clock.now(), &[MARK], Some(b"forged"));
        Play::Bytes(letter_answer(&draft.letter()))
    });
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    let code = "server.clientproxy.signature_verification.incorrect_certificate";
    assert_eq!((heard.status(), heard.code()), (500, code), "{heard:?}");
    assert!(bench.service.asked.is_empty());
    let heard = bench.tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
}

/// What the provider decided every door would say.
#[tokio::test]
async fn what_the_provider_decided_moves_nothing() {
    let bench = Bench::new().await;
    for leaf in ["access_denied", "unknown_service"] {
        let code: &'static str = match leaf {
            "access_denied" => "server.serverproxy.access_denied",
            _ => "server.serverproxy.unknown_service",
        };
        bench.home.plays(move |_| Play::Bytes(fault_answer(code)));
        let heard = bench.tax.ask(&Ask::get("land")).await;
        assert_eq!((heard.status(), heard.code()), (500, code), "{heard:?}");
    }
    assert!(bench.service.asked.is_empty());
}

/// A real gateway that is stopped while its service works: the write was done once, and nobody knows it.
#[tokio::test]
async fn a_write_at_a_gateway_that_is_cut_off_is_done_at_most_once() {
    let federation = Federation::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    let at_home = Service::start(move |_| Answer::json("\"home\"").after(&held)).await;
    let abroad = Service::start(|_| Answer::json("\"embassy\"")).await;
    let more = "[timeouts]\ndrain = \"50 ms\"\n";
    let home = federation.open_with("HOME", &answering(&at_home.url("")), more).await;
    let _embassy = federation.open("EMBASSY", &answering(&abroad.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    let cut = async {
        at_home.asked.wait_for(2).await;
        home.stop().await
    };
    let (post, get) = (Ask::post("land", "{}"), Ask::get("land"));
    let (post, get, _) = tokio::join!(tax.ask(&post), tax.ask(&get), cut);
    assert_eq!((post.status(), post.code()), (500, "server.clientproxy.outcome_unknown"), "{post:?}");
    assert_eq!((get.status(), get.text().as_str()), (200, "\"embassy\""), "{get:?}");
    gate.open();
    let writes = |service: &Service| service.asked.all().iter().filter(|a| a.method == "POST").count();
    assert_eq!((writes(&at_home), writes(&abroad)), (1, 0));
}

/// Spec: message-path §2.4.
#[tokio::test]
async fn a_server_in_maintenance_is_not_asked() {
    let bench = Bench::new().await;
    bench.federation.change_server("HOME", |server| server.maintenance = Some("Back at noon".to_owned()));
    bench.tax.refresh().await;
    bench.embassy.refresh().await;
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
    bench.federation.change_server("EMBASSY", |server| server.maintenance = Some(String::new()));
    bench.tax.refresh().await;
    let heard = bench.tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.maintenance_mode"), "{heard:?}");
    assert!(heard.text().contains("Back at noon"), "{}", heard.text());
    assert_eq!(bench.home.connected.len(), 0);
}

/// Seen: message-path §2.5.
#[tokio::test]
async fn the_fastest_door_is_taken_where_that_is_wanted() {
    let federation = Federation::new().await;
    let service = Service::start(|_| Answer::json("{}")).await;
    let _embassy = federation.open("EMBASSY", &answering(&service.url(""))).await;
    let tax = federation.open_with("TAX", ASKING, "[peers]\norder = \"fastest\"\n").await;
    for method in ["GET", "POST", "POST"] {
        let heard = patiently("answered", tax.ask(&Ask::new(method, "land"))).await;
        assert_eq!(heard.status(), 200, "{method} {heard:?}");
    }
    assert_eq!(service.asked.len(), 3);
}
