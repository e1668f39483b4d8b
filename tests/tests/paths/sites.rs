//! Registers with several copies: which copy may answer, what it says of itself, and what no one else may say.

use saatkond::jobs::Job;
use saatkond_proto::continuity::{
    Access, Class, Jurisdiction, Policy, Register, Role, ServiceAccess, Site as Place, header,
};
use saatkond_proto::message::endpoint::{Endpoint, PathGlob};
use saatkond_proto::message::rest::{Method, Response};
use saatkond_tests::federation::land;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Asked, Asker, Federation, Service, Site};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The land register, of this class: HOME stands at home, EMBASSY at an embassy by agreement, both with a copy.
pub(crate) fn policy(class: Class) -> Policy {
    let site = |id: &str, role, jurisdiction: &str, server: &str| Place {
        id: id.to_owned(),
        role,
        jurisdiction: Jurisdiction::from_text(jurisdiction).unwrap(),
        servers: vec![format!("DEV/GOV/M2/{server}").parse().unwrap()],
        relay: Vec::new(),
    };
    Policy {
        generation: 1,
        sites: vec![
            site("home", Role::Home, "territory", "HOME"),
            site("lux1", Role::Embassy, "embassy-agreement:LU:x", "EMBASSY"),
        ],
        registers: vec![Register {
            id: land(),
            class,
            services: Vec::new(),
            succession: vec!["home".to_owned()],
            live: None,
            staleness: Duration::from_secs(5),
            staleness_max: Duration::from_secs(60),
            read_shares: Vec::new(),
            refresh: Duration::ZERO,
        }],
        operators: Vec::new(),
    }
}

/// Lets a gateway believe this of sites and registers.
pub(crate) fn believe(site: &Site, policy: Policy) {
    let policy = Arc::new(policy);
    site.believe_all(|instances| instances[0].options.continuity = Some(policy));
}

#[tokio::test]
async fn a_register_that_may_not_be_here_is_refused_and_nothing_else() {
    let service = Service::start(|_: &Asked| Answer::json("{}")).await;
    let federation = Federation::new().await;
    let more =
        "[[client]]\nid = \"DEV/GOV/M2/OPEN\"\nconnection = \"http\"\n[[client.service]]\ncode = \"open\"\n";
    let offers = format!(
        "{}{more}url = \"{}\"\nallow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n",
        answering(&service.url("")),
        service.url("")
    );
    federation.change(|file| {
        let board = file.members.iter_mut().find(|member| member.id == "DEV/GOV/M2").unwrap();
        board.subsystems.push(saatkond_ca::instance::v1::Subsystem { code: "OPEN".to_owned(), name: None });
        let embassy = file.servers.iter_mut().find(|server| server.id.ends_with("EMBASSY")).unwrap();
        embassy.clients.push("DEV/GOV/M2/OPEN".to_owned());
    });
    let embassy = federation.open("EMBASSY", &offers).await;
    let tax = federation.open("TAX", ASKING).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    believe(&embassy, policy(Class::HomeOnly));
    let refused = tax.ask(&Ask::get("land")).await;
    assert_eq!(refused.code(), "server.serverproxy.continuity.class_forbidden");
    assert!(refused.text().contains("is HOME_ONLY"), "{}", refused.text());
    let other = Ask::get("x").target("/r1/DEV/GOV/M2/OPEN/open");
    assert_eq!(tax.ask(&other).await.status(), 200, "of the same server");
    believe(&embassy, policy(Class::Internal));
    assert_ne!(tax.ask(&Ask::get("land")).await.code(), refused.code());
}

/// A consumer's gateway, the embassy's, and the copy of the register behind it; home leads.
struct Abroad {
    tax: Site,
    embassy: Site,
    service: Service,
    federation: Federation,
}

impl Abroad {
    async fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let service = Service::start(answer).await;
        let federation = Federation::new().await;
        let embassy = federation.open("EMBASSY", &answering(&service.url(""))).await;
        let tax = federation.open("TAX", ASKING).await;
        believe(&embassy, policy(Class::Internal));
        Self { tax, embassy, service, federation }
    }

    /// How old the copy is from now on.
    fn is_old(&self, age: Option<Duration>) {
        self.embassy.gateway.embassy.ages.note(&land(), age, Instant::now());
    }

    /// Asks the embassy's gateway by itself, as a plain consumer would.
    async fn told(&self, ask: &Ask) -> (String, Option<Response>) {
        let told = Asker::of(&self.federation, "TAX").ask(&self.federation, "EMBASSY", ask).await;
        (told.code(), told.opened().map(|opened| Response::from_block(opened.block).unwrap()))
    }
}

/// Home leads and has no copy of another's; the moment another leads, nobody reads here until the copy has told its age.
#[tokio::test]
async fn who_leads_looks_as_often_as_the_others_whether_it_does() {
    let answers = answering("http://127.0.0.1:1/");
    let with_source = format!("{answers}\n[client.copy]\nstaleness = {{ file = \"replica.time\" }}\n");
    for (offers, often) in [(answers, false), (with_source, true)] {
        let federation = Federation::new().await;
        let home = federation.open("HOME", &offers).await;
        believe(&home, policy(Class::Internal));
        home.run(Job::Copies).await;
        let (_, status) = home.jobs.statuses().into_iter().find(|(job, _)| *job == Job::Copies).unwrap();
        assert_eq!(status.failures, 0, "{status:?}");
        let wait = status.next_due.since(federation.now());
        assert_eq!(wait <= Duration::from_millis(250), often, "{wait:?}");
    }
}

/// The copy's age is read from a clock that no test winds: bounds here are far from it.
#[tokio::test]
async fn a_copy_answers_reads_as_long_as_it_is_fresh() {
    let bench = Abroad::new(|_: &Asked| Answer::json("{}")).await;
    let exceeded = "continuity.staleness_exceeded";
    let (secs, minute) = (Duration::from_secs, Duration::from_secs(60));
    let demand = |text: &str| Ask::get("land").line(header::MAX_STALENESS, text);
    for (age, ask, code) in [
        (None, Ask::get("land"), exceeded),
        (None, demand("60"), exceeded),
        (Some(secs(1)), Ask::get("land"), ""),
        (Some(secs(6)), Ask::get("land"), exceeded),
        (Some(secs(6)), demand("50"), ""),
        (Some(secs(6)), demand("50").line("x-road-cont-max-staleness", "2"), exceeded),
        (Some(secs(1)), demand("0.5"), exceeded),
        (Some(minute + secs(1)), demand("3600"), exceeded),
        (Some(secs(1)), demand("soon"), "invalid_request"),
        (Some(secs(1)), Ask::new("OPTIONS", "land"), ""),
    ] {
        bench.is_old(age);
        let asked = bench.service.asked.all().len();
        let (found, response) = bench.told(&ask).await;
        assert_eq!(found, code, "{age:?} {ask:?}");
        let expected = usize::from(code.is_empty());
        assert_eq!(bench.service.asked.all().len() - asked, expected, "{age:?} {ask:?}");
        let Some(response) = response.filter(|_| code.is_empty()) else { continue };
        let state = response.headers.last(header::STATE).unwrap();
        assert_eq!(state, "HOME_ACTIVE;site=lux1;copy=STANDBY;token=0");
        let told = header::from_seconds(response.headers.last(header::STALENESS).unwrap()).unwrap();
        assert!(told >= age.unwrap() && told < minute, "{told:?}");
    }
}

#[tokio::test]
async fn who_leads_answers_everything_and_says_so() {
    let service = Service::start(|_: &Asked| Answer::json("{}")).await;
    let federation = Federation::new().await;
    let home = federation.open("HOME", &answering(&service.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    believe(&home, policy(Class::Restricted));
    let state = "HOME_ACTIVE;site=home;copy=AUTHORITY;token=0";
    let read = tax.ask(&Ask::get("land").line(header::MAX_STALENESS, "0")).await;
    assert_eq!(
        (read.status(), read.line(header::STATE), read.line(header::STALENESS)),
        (200, Some(state), Some("0"))
    );
    let write = tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!(
        (write.status(), write.line(header::STATE), write.line(header::STALENESS)),
        (200, Some(state), None)
    );
    let other = tax.ask(&Ask::get("land").target("/r1/DEV/GOV/M2/LAND/listMethods")).await;
    assert_eq!((other.status(), other.line(header::STATE)), (200, None), "metaservices are no register's");
}

/// What the provider declares stands above the method.
#[tokio::test]
async fn a_declared_read_is_judged_as_one() {
    let bench = Abroad::new(|_: &Asked| Answer::json("{}")).await;
    let mut declares = policy(Class::Internal);
    let endpoint = Endpoint { method: Some(Method::Post), path: PathGlob::new("/queries") };
    let declared = ServiceAccess {
        code: "land".to_owned(),
        version: None,
        endpoint: Some(endpoint),
        access: Access::Read,
    };
    declares.registers[0].services.push(declared);
    believe(&bench.embassy, declares);
    bench.is_old(Some(Duration::from_secs(1)));
    let (code, response) = bench.told(&Ask::post("land/queries", "{}")).await;
    assert_eq!(code, "");
    assert!(response.unwrap().headers.last(header::STALENESS).is_some());
    bench.is_old(None);
    let (code, _) = bench.told(&Ask::post("land/queries", "{}")).await;
    assert_eq!(code, "continuity.staleness_exceeded");
}

/// What this server declares stands above the method, and below what the instance declares.
#[tokio::test]
async fn what_a_server_declares_counts_where_the_instance_is_silent() {
    let bench = Abroad::new(|_: &Asked| Answer::json("{}")).await;
    let endpoint = |method: &str, path: &str, access: &str| {
        format!(
            "[[client.service.endpoint]]\nmethod = \"{method}\"\npath = \"{path}\"\naccess = \"{access}\"\n"
        )
    };
    let declares = [
        answering(&bench.service.url("")),
        endpoint("POST", "/queries", "read"),
        endpoint("GET", "/draws/*", "write"),
        endpoint("*", "/draws/7", "read"),
        endpoint("GET", "/titles", "write"),
    ];
    bench.embassy.change_server(&declares.concat()).await;
    let mut policy = policy(Class::Internal);
    policy.registers[0].services.push(ServiceAccess {
        code: "land".to_owned(),
        version: None,
        endpoint: Some(Endpoint { method: None, path: PathGlob::new("/titles") }),
        access: Access::Read,
    });
    believe(&bench.embassy, policy);
    bench.is_old(Some(Duration::from_secs(1)));
    let (served, passed) = ("", "continuity.not_authority");
    for (ask, expected) in [
        (Ask::post("land/queries", "{}"), served),
        (Ask::post("land/other", "{}"), passed),
        (Ask::get("land/other"), served),
        (Ask::get("land/draws/1"), passed),
        (Ask::get("land/draws/7"), passed),
        (Ask::get("land/titles"), served),
    ] {
        let (code, response) = bench.told(&ask).await;
        let refusal =
            response.and_then(|r| r.headers.last("X-Road-Error").map(str::to_owned)).unwrap_or_default();
        let found =
            if code.is_empty() { refusal.trim_start_matches("server.serverproxy.").to_owned() } else { code };
        assert_eq!(found, expected, "{ask:?}");
    }
    assert_eq!(bench.service.asked.len(), 3);
}

/// Every name, forged from both sides: the register hears ours alone, and so does who asked.
#[tokio::test]
async fn nobody_else_speaks_in_our_name() {
    let forging = |_: &Asked| {
        let lines: Vec<(&str, &str)> = header::ALL.iter().map(|name| (*name, "forged")).collect();
        Answer::new("200 OK", &[&lines[..], &[("X-Road-Cont-Later", "forged")]].concat(), "{}")
    };
    let bench = Abroad::new(forging).await;
    bench.is_old(Some(Duration::from_secs(1)));
    let names = header::ALL.into_iter().filter(|name| *name != header::MAX_STALENESS);
    let ask = names
        .fold(Ask::get("land"), |ask, name| ask.line(name, "forged").line(&name.to_uppercase(), "forged"));
    let ask = ask.line(header::MAX_STALENESS, "50");
    for (is_register, heard, said) in [
        (true, vec![(header::TOKEN.to_lowercase(), "0".to_owned())], vec![header::STATE, header::STALENESS]),
        (false, Vec::new(), Vec::new()),
    ] {
        if !is_register {
            bench.embassy.believe_all(|instances| instances[0].options.continuity = None);
        }
        let (code, response) = bench.told(&ask).await;
        assert_eq!(code, "");
        let asked = bench.service.asked.all().pop().unwrap();
        let ours = asked.lines.iter().filter(|(name, _)| header::is_ours(name));
        let ours: Vec<_> = ours.map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        assert_eq!(ours, heard);
        let response = response.unwrap();
        let ours: Vec<_> = response.headers.iter().filter(|(name, _)| header::is_ours(name)).collect();
        assert_eq!(ours.iter().map(|(name, _)| *name).collect::<Vec<_>>(), said);
        assert!(ours.iter().all(|(_, value)| *value != "forged"), "{ours:?}");
    }
    // what was signed is kept as it came
    let log = bench.embassy.log();
    assert!(log.iter().any(|found| String::from_utf8_lossy(&found.message.message).contains("forged")));
    assert_eq!(bench.tax.log().len(), 0);
}
