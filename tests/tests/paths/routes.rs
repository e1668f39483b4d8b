//! Which copy of a register is asked, and what happens when it does not answer: reads go on, writes do not.

use crate::sites::{believe, policy};
use crate::soap;
use saatkond::jobs::Job;
use saatkond::keys::OperatorKey;
use saatkond_proto::continuity::authority::{Claim, Switch, Token};
use saatkond_proto::continuity::doors::{RegisterView, Trouble};
use saatkond_proto::continuity::{Access, Class, Operator, Policy, ServiceAccess, refusal};
use saatkond_proto::message::endpoint::{Endpoint, PathGlob};
use saatkond_proto::message::rest::Method;
use saatkond_tests::federation::land;
use saatkond_tests::peer::{Told, fault_answer, http_answer};
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::stock::Stock;
use saatkond_tests::{Answer, Ask, Door, Federation, Heard, Play, Service, Signer, Site, patiently};
use std::time::{Duration, Instant};

/// A consumer's gateway, a door at home that the test plays, a real gateway at the embassy.
struct Bench {
    tax: Site,
    home: Door,
    embassy: Site,
    service: Service,
    federation: Federation,
}

fn both_may_lead() -> Policy {
    let mut policy = policy(Class::Internal);
    policy.registers[0].succession.push("lux1".to_owned());
    policy
}

/// Lets a gateway know by an order that its site leads.
async fn leads(site: &Site, mut policy: Policy) {
    let anna = OperatorKey::make(&site.directory().join("anna.pem")).unwrap();
    policy.operators = vec![Operator { name: "anna".to_owned(), key: anna.public() }];
    let claim =
        Claim { register: land(), token: Token::new(3), site: "lux1".to_owned(), switch: Switch::Unplanned };
    let order = anna.order(claim, site.gateway.now(), "anna");
    site.gateway.embassy.authority.adopt(&policy, &order).await.unwrap();
}

impl Bench {
    async fn new() -> Self {
        Self::of(both_may_lead()).await
    }

    async fn of(policy: Policy) -> Self {
        let federation = Federation::new().await;
        let service = Service::start(|_| Answer::new("200 OK", &[("X-From", "embassy")], "{}")).await;
        let home = Door::answering(&federation, "HOME", b"home").await;
        let embassy = federation.open("EMBASSY", &answering(&service.url(""))).await;
        let tax = federation.open("TAX", ASKING).await;
        for site in [&embassy, &tax] {
            believe(site, policy.clone());
        }
        let bench = Self { tax, home, embassy, service, federation };
        bench.copy_is_fresh();
        bench
    }

    /// The embassy's copy is as fresh as can be.
    fn copy_is_fresh(&self) {
        self.embassy.gateway.embassy.ages.note(&land(), Some(Duration::ZERO), Instant::now());
    }

    async fn from(&self, ask: Ask) -> String {
        let heard = self.tax.ask(&ask).await;
        assert_eq!((heard.status(), heard.code()), (200, ""), "{heard:?}");
        heard.line("x-from").map_or_else(|| heard.text(), str::to_owned)
    }

    /// What is believed of the register.
    fn view(&self) -> RegisterView {
        self.tax.gateway.embassy.doors.view(self.federation.now()).remove(0)
    }

    /// Lets doors be asked how they are until something is believed.
    async fn until(&self, what: &str, believed: impl Fn(&RegisterView) -> bool) {
        patiently(what, async {
            while !believed(&self.view()) {
                self.tax.run(Job::Sites).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn home_is_asked_and_the_embassy_when_home_is_gone() {
    let bench = Bench::new().await;
    assert_eq!(bench.from(Ask::get("land")).await, "home");
    bench
        .until("doors said how they are", |view| view.sites.iter().all(|s| s.doors[0].heard_ago.is_some()))
        .await;
    assert_eq!(bench.home.asked_how.last().first, "GET /x-road-cont/state HTTP/1.1");
    let hint = bench.view().sites[1].doors[0].hint.clone().unwrap().1;
    assert_eq!((hint.holder.as_str(), hint.token, hint.reads, hint.writes), ("home", 0, true, false));

    drop(bench.home);
    let Bench { tax, embassy, service, federation, .. } = bench;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.line("x-from")), (200, Some("embassy")), "{heard:?}");
    // A write goes to who leads or nowhere; nothing was sent, and that is said.
    let done = service.asked.len();
    for _ in 0..3 {
        let heard = tax.ask(&Ask::post("land", "{}")).await;
        assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.network_error"), "{heard:?}");
    }
    let heard = tax.ask(&Ask::post("land", "{}")).await;
    let told = heard.text();
    assert!(told.contains("home leads the register and is not reached"), "{told}");
    assert!(told.contains("DEV/GOV/M2/HOME is not reached") && told.contains("nothing was sent"), "{told}");
    assert_eq!(service.asked.len(), done, "no write reached the embassy");
    let _kept = (embassy, federation);
}

/// Home takes connections and says nothing any more, as a process that is stopped: what is under way moves, too.
#[tokio::test]
async fn a_read_does_not_wait_for_a_door_that_is_silent() {
    let bench = Bench::new().await;
    assert_eq!(bench.from(Ask::get("land")).await, "home");
    bench.home.plays(|_| Play::Silence);
    bench.home.behave(|manner| manner.state = None);
    let began = Instant::now();
    assert_eq!(bench.from(Ask::get("land")).await, "embassy");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Whom it was handed to is not known: it is neither repeated nor called failed before that is sure.
    assert_eq!(bench.home.received.len(), 2);
}

#[tokio::test]
async fn a_door_at_which_reads_fail_is_left_and_tried_again() {
    let bench = Bench::new().await;
    bench.home.plays(|_| Play::Last(Vec::new()));
    for _ in 0..5 {
        assert_eq!(bench.from(Ask::get("land")).await, "embassy");
    }
    assert_eq!(bench.home.received.len(), 3, "three failures are enough");
    let view = bench.view();
    assert_eq!((view.sites[0].doors[0].reads, view.sites[0].load), (Some(Trouble::Fails), 0));
    assert!(view.sites[0].back_in.is_some() && view.sites[0].changes == 1);
    // Writes are counted apart, and a write that was handed over is not repeated.
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!(heard.code(), "server.clientproxy.outcome_unknown", "{heard:?}");
}

/// What a door that leads not says in its signed answer, and where it sends.
fn refuses(bench: &Bench, site: &'static str) {
    let (signer, clock) = (Signer::of(&bench.federation, "HOME"), bench.federation.clock.clone());
    bench.home.plays(move |received| {
        let lines = [
            ("X-Road-Error", "server.serverproxy.continuity.not_authority"),
            ("X-Road-Cont-Retry", &refusal::safe_at(site)),
        ];
        let status = (refusal::STATUS, "Service Unavailable");
        let answer = received.message.answer_of(status, &signer, clock.now(), &lines, Some(b"{}"));
        Play::Letter(answer.letter())
    });
}

#[tokio::test]
async fn a_write_goes_once_where_a_signed_refusal_sends_it() {
    let bench = Bench::new().await;
    leads(&bench.embassy, both_may_lead()).await;
    refuses(&bench, "lux1");
    assert_eq!(bench.from(Ask::post("land", "{}")).await, "embassy");
    assert_eq!((bench.home.received.len(), bench.service.asked.len()), (1, 1));
    // Request, refusal, answer: all of it is kept; both doors were sent the same.
    assert_eq!(bench.tax.log().len(), 3);
    assert_eq!(bench.embassy.log()[0].message.message, bench.home.received.last().message.block);
}

#[tokio::test]
async fn a_refusal_that_sends_nowhere_is_the_answer() {
    for site in ["home", "elsewhere"] {
        let bench = Bench::new().await;
        refuses(&bench, site);
        let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
        assert_eq!(heard.status(), 503, "{heard:?}");
        assert_eq!(heard.line("x-road-error"), Some("server.serverproxy.continuity.not_authority"));
        assert!(bench.service.asked.is_empty(), "{site}");
    }
    // A site that may not lead is not believed, whoever names it.
    let bench = Bench::of(policy(Class::Internal)).await;
    refuses(&bench, "lux1");
    assert_eq!(bench.tax.ask(&Ask::post("land", "{}")).await.status(), 503);
    assert!(bench.service.asked.is_empty());
}

/// The same words in a fault are nobody's: a fault is not signed.
#[tokio::test]
async fn a_write_does_not_go_on_for_an_unsigned_word() {
    let bench = Bench::new().await;
    let fault = fault_answer("server.serverproxy.continuity.not_authority");
    bench.home.plays(move |_| Play::Bytes(fault.clone()));
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.serverproxy.continuity.not_authority"));
    assert!(bench.service.asked.is_empty());
}

/// Who leads is told by the doors themselves, and the highest token counts.
#[tokio::test]
async fn writes_follow_who_says_that_it_leads() {
    let bench = Bench::new().await;
    assert_eq!(bench.from(Ask::post("land", "{}")).await, "home");
    leads(&bench.embassy, both_may_lead()).await;

    let state = |holder: &str, token: u64| {
        let register = serde_json::json!({ "id": land().to_string(), "holder": holder, "token": token,
            "staleness_ms": 0, "reads": true, "writes": true });
        let state = serde_json::json!({ "site": "home", "registers": [register] }).to_string();
        Some(http_answer("200 OK", &[("Content-Type", "application/json")], state.as_bytes()))
    };
    bench.home.behave(|manner| manner.state = state("lux1", 3));
    bench.until("home says who leads", |v| v.authority == Some(("lux1".to_owned(), 3))).await;
    assert_eq!(bench.from(Ask::post("land", "{}")).await, "embassy");
    // Who claims it for a site that may not lead is not heard.
    bench.home.behave(|manner| manner.state = state("cloud", 9));
    let known = bench.home.asked_how.len();
    bench.until("home said something else", |_| bench.home.asked_how.len() > known + 1).await;
    bench.until("and is not believed", |v| v.authority == Some(("lux1".to_owned(), 3))).await;
}

#[tokio::test]
async fn a_get_that_is_declared_a_write_is_treated_as_one() {
    let mut policy = both_may_lead();
    let endpoint = Some(Endpoint { method: None, path: PathGlob::new("/take/**") });
    policy.registers[0].services =
        vec![ServiceAccess { code: "land".to_owned(), version: None, endpoint, access: Access::Write }];
    let bench = Bench::of(policy).await;
    bench.home.plays(|_| Play::Last(Vec::new()));
    let heard = bench.tax.ask(&Ask::get("land/take/1")).await;
    assert_eq!(heard.code(), "server.clientproxy.outcome_unknown", "{heard:?}");
    assert!(bench.service.asked.is_empty());
    assert_eq!(bench.from(Ask::get("land/look/1")).await, "embassy");
}

/// Declares a service of the land register, or a part of it, a read.
fn reading(code: &str, endpoint: Option<Endpoint>) -> Policy {
    let mut policy = both_may_lead();
    policy.registers[0].services =
        vec![ServiceAccess { code: code.to_owned(), version: None, endpoint, access: Access::Read }];
    policy
}

#[tokio::test]
async fn a_post_that_is_declared_a_read_is_treated_as_one() {
    let queries = Endpoint { method: Some(Method::Post), path: PathGlob::new("/queries") };
    let bench = Bench::of(reading("land", Some(queries))).await;
    bench.home.plays(|_| Play::Last(Vec::new()));
    assert_eq!(bench.from(Ask::post("land/queries", "{\"of\": 1001}")).await, "embassy");
    // The same bytes, signed once.
    assert_eq!(
        (bench.home.received.len(), bench.service.asked.last().body.as_slice()),
        (1, &b"{\"of\": 1001}"[..])
    );
    assert_eq!(bench.tax.log().len(), 2);
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!(heard.code(), "server.clientproxy.outcome_unknown", "{heard:?}");
    assert_eq!(bench.service.asked.len(), 1);
}

#[tokio::test]
async fn a_soap_service_that_is_declared_a_read_is_treated_as_one() {
    let bench = Bench::of(reading("parcel", None)).await;
    let ask = |service: &str| soap::ask("text/xml", soap::envelope(service, service).as_bytes());
    let code = |heard: &Heard| heard.fault().unwrap().code.to_lowercase();
    bench.home.plays(|_| Play::Last(Vec::new()));
    // The embassy has no such service, and says so: it was asked.
    let heard = bench.tax.ask(&ask("parcel")).await;
    assert_eq!(code(&heard), "server.serverproxy.unknown_service", "{heard:?}");
    let heard = bench.tax.ask(&ask("sell")).await;
    assert_eq!(code(&heard), "server.clientproxy.outcome_unknown", "{heard:?}");
    assert_eq!(bench.home.received.len(), 2);
}

/// That a service refuses what it is asked says nothing of its door: neither reads nor writes are kept from it.
#[tokio::test]
async fn what_a_service_says_is_no_failure_of_its_door() {
    let bench = Bench::of(reading("parcel", None)).await;
    let fault = fault_answer("soap:Server.NoSuchTitle");
    bench.home.plays(move |_| Play::Bytes(fault.clone()));
    for service in ["parcel", "sell"] {
        for _ in 0..4 {
            let heard =
                bench.tax.ask(&soap::ask("text/xml", soap::envelope(service, service).as_bytes())).await;
            assert_eq!(heard.fault().unwrap().code, "soap:Server.NoSuchTitle", "{heard:?}");
        }
    }
    let home = &bench.view().sites[0].doors[0];
    assert_eq!((bench.home.received.len(), home.reads, home.writes, home.failures), (8, None, None, (0, 0)));
    // So with a write that a gateway cannot carry out; reads go where they are answered.
    let fault = fault_answer("server.serverproxy.service_failed.network_error");
    bench.home.plays(move |_| Play::Bytes(fault.clone()));
    for _ in 0..4 {
        let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
        assert_eq!(heard.code(), "server.serverproxy.service_failed.network_error", "{heard:?}");
        assert_eq!(bench.from(Ask::get("land")).await, "embassy");
    }
    let home = &bench.view().sites[0].doors[0];
    assert_eq!((home.reads, home.writes, home.failures.1), (Some(Trouble::Fails), None, 0));
}

#[tokio::test]
async fn a_share_of_the_reads_goes_to_the_embassy_and_a_pin_sends_all() {
    let mut policy = both_may_lead();
    policy.registers[0].read_shares = vec![("home".to_owned(), 80), ("lux1".to_owned(), 20)];
    let bench = Bench::of(policy).await;
    for _ in 0..10 {
        bench.from(Ask::get("land")).await;
    }
    assert_eq!((bench.home.received.len(), bench.service.asked.len()), (8, 2));
    std::fs::write(
        bench.tax.directory().join("pins.toml"),
        "version = 1\n[[pin]]\nprovider = \"DEV/GOV/M2\"\nsite = \"lux1\"\nuntil = \"2026-01-02T03:05:00Z\"\n",
    )
    .unwrap();
    bench.until("the pin is in force", |view| view.sites[1].load == 1000).await;
    assert_eq!(bench.from(Ask::get("land")).await, "embassy");
    assert_eq!(bench.from(Ask::post("land", "{}")).await, "home", "a pin moves no write");
    bench.federation.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.view().sites[1].load, 200);
}

/// Who names a server is brought there and nowhere else.
#[tokio::test]
async fn a_server_that_is_named_is_asked_alone() {
    let bench = Bench::new().await;
    let named = |server: &str, method: &str| Ask::new(method, "land").line("X-Road-Security-Server", server);
    assert_eq!(bench.from(named("DEV/GOV/M2/EMBASSY", "GET")).await, "embassy");
    assert_eq!(bench.from(named("DEV/GOV/M2/HOME", "GET")).await, "home");
}

/// A consumer that knows nothing of all this: when home is gone it is served by the embassy, and goes on being.
#[tokio::test]
async fn a_plain_consumer_is_served_by_the_embassy() {
    let bench = Bench::new().await;
    let (federation, stock) = (&bench.federation, Stock::of(&bench.federation, "TAX"));
    let stock = &stock;
    let ask =
        |codes| async move { stock_answer(&stock.ask(federation, codes, &Ask::get("land")).await.unwrap()) };
    let both: &[&str] = &["HOME", "EMBASSY"];
    let home_alone: &[&str] = &["HOME"];
    assert_eq!(ask(home_alone).await, ("HOME".to_owned(), b"home".to_vec()));
    // It went to home a moment ago, and home is gone.
    drop(bench.home);
    for _ in 0..2 {
        assert_eq!(ask(both).await, ("EMBASSY".to_owned(), b"{}".to_vec()));
    }
    // Home is back: for an hour it does not notice.
    let _home = Door::answering(federation, "HOME", b"home").await;
    assert_eq!(ask(both).await.0, "EMBASSY");
    assert_eq!(bench.service.asked.len(), 3);
}

/// Who was asked, and the body of a signed answer.
fn stock_answer((code, told): &(String, Told)) -> (String, Vec<u8>) {
    let opened = told.opened().unwrap_or_else(|| panic!("{code} told a fault: {:?}", told.fault()));
    assert!(!opened.signature.is_empty());
    (code.clone(), opened.body.unwrap_or_default())
}
