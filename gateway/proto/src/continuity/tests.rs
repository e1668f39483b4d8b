//! The policy as it is written and refused, the table of classes, and the little rules beside them.

use super::access::{Access, ServiceAccess, access};
use super::class::{Class, Jurisdiction, Role, Ruling, Use, ruling};
use super::header::{self, Lead, State};
use super::policy::{Operator, Policy, Register, Site};
use super::{NAMESPACE, staleness};
use crate::id::{MemberId, ServerId};
use crate::message::endpoint::{Endpoint, PathGlob};
use crate::message::rest::Method;
use proptest::prelude::*;
use std::time::Duration;

fn board() -> MemberId {
    MemberId::new("DEV", "GOV", "M2")
}

fn server(code: &str) -> ServerId {
    ServerId { owner: board(), code: code.to_owned() }
}

fn site(id: &str, role: Role, jurisdiction: &str, server_code: &str) -> Site {
    Site {
        id: id.to_owned(),
        role,
        jurisdiction: Jurisdiction::from_text(jurisdiction).unwrap(),
        servers: vec![server(server_code)],
        relay: vec![format!("{id}.example.org:5600")],
    }
}

fn declared(code: &str, endpoint: Option<(Option<Method>, &str)>, access: Access) -> ServiceAccess {
    let endpoint = endpoint.map(|(method, path)| Endpoint { method, path: PathGlob::new(path) });
    ServiceAccess { code: code.to_owned(), version: None, endpoint, access }
}

fn land() -> Register {
    Register {
        id: board().subsystem("LAND"),
        class: Class::Internal,
        services: vec![
            declared("search", None, Access::Read),
            declared("land", Some((None, "/reports/**")), Access::Write),
            declared("land", Some((Some(Method::Post), "/queries")), Access::Read),
        ],
        succession: vec!["home".to_owned(), "lux1".to_owned()],
        live: None,
        staleness: Duration::from_millis(2500),
        staleness_max: Duration::from_secs(60),
        read_shares: vec![("home".to_owned(), 80), ("lux1".to_owned(), 20)],
        refresh: Duration::from_secs(1),
    }
}

fn policy() -> Policy {
    Policy {
        generation: 7,
        sites: vec![
            site("home", Role::Home, "territory", "HOME"),
            site("lux1", Role::Embassy, "embassy-agreement:LU:2017-06-20", "EMBASSY"),
            site("mis1", Role::Mission, "mission:CZ", "MISSION"),
            site("cloud", Role::Cloud, "commercial:eu-north-1", "CLOUD"),
        ],
        registers: vec![land()],
        operators: vec![Operator { name: "mari".to_owned(), key: [7; 32] }],
    }
}

#[test]
fn a_policy_survives_being_written() {
    let whole = policy();
    assert_eq!(Policy::from_xml(&whole.to_xml(), "DEV"), Ok(whole.clone()));
    let mut other = whole;
    other.registers[0].live = Some(vec!["lux1".to_owned(), "home".to_owned()]);
    other.registers[0].read_shares.clear();
    other.registers[0].services[0].version = Some("v1".to_owned());
    other.operators.clear();
    assert_eq!(Policy::from_xml(&other.to_xml(), "DEV"), Ok(other));
    let empty = Policy { generation: 1, sites: Vec::new(), registers: Vec::new(), operators: Vec::new() };
    assert_eq!(Policy::from_xml(&empty.to_xml(), "DEV"), Ok(empty));
}

#[test]
fn its_questions_are_answered() {
    let policy = policy();
    let id = board().subsystem("LAND");
    assert_eq!(policy.register(&id).unwrap().home(), Some("home"));
    assert_eq!(policy.register(&board().client()), None);
    assert_eq!(policy.site_of(&server("EMBASSY")).unwrap().id, "lux1");
    assert_eq!(policy.site_of(&server("TAX")), None);
    assert_eq!(policy.site("mis1").unwrap().role, Role::Mission);
}

/// Changes to a good policy, and what is said of each.
#[test]
fn what_does_not_hold_together_is_refused() {
    let changes = [
        ("generation is 0", (|p| p.generation = 0) as fn(&mut Policy)),
        ("a site stands there twice", |p| p.sites[1].id = "home".to_owned()),
        ("two sites stands there twice", |p| p.sites[1].servers = vec![server("HOME")]),
        ("letters, digits", |p| p.sites[2].id = "mis;1".to_owned()),
        ("letters, digits", |p| p.sites[2].id = String::new()),
        ("disagree", |p| p.sites[1].role = Role::Home),
        ("host:port", |p| p.sites[0].relay = vec!["home.example.org".to_owned()]),
        ("host:port", |p| p.sites[0].relay = vec!["a b:5600".to_owned()]),
        ("of instance XX, expected DEV", |p| p.sites[0].servers[0].owner.instance = "XX".to_owned()),
        ("of instance XX, expected DEV", |p| p.registers[0].id.member.instance = "XX".to_owned()),
        ("expected a subsystem", |p| p.registers[0].id.subsystem = None),
        ("succession is empty", |p| p.registers[0].succession.clear()),
        ("expected a site of role home", |p| p.registers[0].succession.reverse()),
        ("is not among the sites", |p| p.registers[0].succession.push("lux9".to_owned())),
        ("stands there twice", |p| p.registers[0].succession.push("lux1".to_owned())),
        ("forbids authority at site mis1", |p| p.registers[0].succession.push("mis1".to_owned())),
        ("forbids authority at site cloud", |p| {
            p.registers[0].class = Class::Public;
            p.registers[0].succession.push("cloud".to_owned());
        }),
        ("forbids a copy in use at site cloud", |p| {
            p.registers[0].live = Some(vec!["home".to_owned(), "lux1".to_owned(), "cloud".to_owned()]);
        }),
        ("HOME_ONLY forbids authority at site lux1", |p| p.registers[0].class = Class::HomeOnly),
        ("is not in `live`", |p| p.registers[0].live = Some(vec!["home".to_owned()])),
        ("add up to 90", |p| p.registers[0].read_shares[1].1 = 10),
        ("no live copy", |p| {
            p.registers[0].succession.pop();
            p.registers[0].live = Some(vec!["home".to_owned()]);
        }),
        ("more than staleness_max", |p| p.registers[0].staleness = Duration::from_secs(61)),
        ("none could ever answer", |p| p.registers[0].refresh = Duration::from_secs(61)),
        ("a service stands there twice", |p| {
            p.registers[0].services.push(declared("search", None, Access::Write));
        }),
    ];
    assert_eq!(policy().check("DEV"), Ok(()));
    for (said, change) in changes {
        let mut wrong = policy();
        change(&mut wrong);
        let error = wrong.check("DEV").expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
        // what is refused is not read either
        assert!(Policy::from_xml(&wrong.to_xml(), "DEV").is_err(), "{said}");
    }
}

#[test]
fn numbers_are_bounded() {
    let change: [fn(&mut Policy); 5] = [
        |p| p.operators = (0..65).map(|i| Operator { name: format!("o{i}"), key: [i; 32] }).collect(),
        |p| p.sites[0].relay = (1..=9).map(|i| format!("h:{i}")).collect(),
        |p| {
            p.sites.extend(
                (0..65).map(|i| site(&format!("m{i}"), Role::Mission, "mission:CZ", &format!("S{i}"))),
            )
        },
        |p| {
            p.registers[0].services =
                (0..1025).map(|i| declared(&i.to_string(), None, Access::Read)).collect()
        },
        |p| p.registers[0].staleness_max = Duration::from_secs(40_000_000),
    ];
    for change in change {
        let mut wrong = policy();
        change(&mut wrong);
        assert!(wrong.check("DEV").unwrap_err().reason.contains("at most"));
    }
    let large = format!("<continuity xmlns=\"{NAMESPACE}\">{}</continuity>", " ".repeat(4 << 20));
    assert!(Policy::from_xml(large.as_bytes(), "DEV").unwrap_err().to_string().contains("bytes"));
}

#[test]
fn documents_of_another_form_are_refused() {
    let good = String::from_utf8(policy().to_xml()).unwrap();
    for (from, to) in [
        ("<generation>7</generation>", ""),
        ("<generation>7<", "<generation>-7<"),
        ("<generation>7<", "<generation>18446744073709551616<"),
        ("<class>INTERNAL<", "<class>internal<"),
        ("<class>INTERNAL<", "<class a=\"b\">INTERNAL<"),
        ("<class>INTERNAL</class>", "<class>INTERNAL</class><level>L2</level>"),
        ("<role>home<", "<role>house<"),
        ("<jurisdiction>mission:CZ<", "<jurisdiction>mission:<"),
        ("<stalenessMax>60<", "<stalenessMax>60 s<"),
        ("<access>read<", "<access>READ<"),
        ("<method>POST<", "<method>post<"),
        ("<hundredths>80<", "<hundredths>256<"),
        (NAMESPACE, "urn:saatkond:continuity:2"),
        ("</continuity>", "<later/></continuity>"),
        ("<operator>", "text<operator>"),
        ("BwcH", "Bwc"),
    ] {
        assert!(good.contains(from), "{from}");
        let wrong = good.replacen(from, to, 1);
        assert!(Policy::from_xml(wrong.as_bytes(), "DEV").is_err(), "{from} as {to}");
    }
    assert!(Policy::from_xml(good.as_bytes(), "FI").is_err(), "another instance's");
    assert!(Policy::from_xml(b"\xff", "DEV").is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = Policy::from_xml(text.as_bytes(), "DEV");
    }

    #[test]
    fn spans_survive_to_the_thousandth(millis in 0u64..10_000_000_000) {
        let span = Duration::from_millis(millis);
        prop_assert_eq!(header::from_seconds(&header::seconds(span)), Some(span));
    }

    #[test]
    fn states_survive(site in "[a-z0-9_.-]{1,64}", token in any::<u64>(), is_authority: bool, at_home: bool) {
        let lead = if at_home { Lead::HomeActive } else { Lead::EmbassyActive };
        let state = State { lead, site, is_authority, token };
        prop_assert_eq!(State::from_text(&state.to_text()), Some(state));
    }
}

/// The whole table: a row for each class and use, a column for each kind of place.
#[test]
fn classes_allow_what_the_table_says() {
    use Ruling::{ByMandate, IfNamed, No, Yes};
    let places = ["territory", "embassy-agreement:LU:x", "mission:CZ", "commercial:eu"];
    let table = [
        (Class::Public, Use::Copy, [Yes, Yes, Yes, Yes]),
        (Class::Public, Use::Relay, [Yes, Yes, Yes, Yes]),
        (Class::Public, Use::Authority, [Yes, Yes, Yes, No]),
        (Class::Internal, Use::Copy, [Yes, Yes, No, No]),
        (Class::Internal, Use::Relay, [Yes, Yes, Yes, No]),
        (Class::Internal, Use::Authority, [Yes, Yes, No, No]),
        (Class::Restricted, Use::Copy, [Yes, IfNamed, No, No]),
        (Class::Restricted, Use::Relay, [Yes, Yes, No, No]),
        (Class::Restricted, Use::Authority, [Yes, ByMandate, No, No]),
        (Class::HomeOnly, Use::Copy, [Yes, No, No, No]),
        (Class::HomeOnly, Use::Relay, [Yes, No, No, No]),
        (Class::HomeOnly, Use::Authority, [Yes, No, No, No]),
    ];
    for (class, what, row) in table {
        for (place, expected) in places.iter().zip(row) {
            let jurisdiction = Jurisdiction::from_text(place).unwrap();
            assert_eq!(ruling(class, what, &jurisdiction), expected, "{class} {what} {place}");
            assert_eq!(jurisdiction.to_string(), *place);
        }
        // who holds a copy may pass calls on: no place may read what it may not carry
        for place in places {
            let place = Jurisdiction::from_text(place).unwrap();
            let carries = ruling(class, Use::Relay, &place) == Yes;
            assert!(carries || ruling(class, Use::Copy, &place) == No, "{class} {place}");
        }
    }
}

#[test]
fn a_register_says_what_it_may_do_where() {
    let policy = policy();
    let [home, lux, mission, cloud] = &policy.sites[..] else { panic!() };
    let mut register = land();
    assert_eq!(register.may(Use::Copy, lux), Ok(()));
    assert_eq!(register.may(Use::Authority, lux), Ok(()));
    assert_eq!(register.may(Use::Relay, mission), Ok(()));
    let refused = register.may(Use::Copy, mission).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "register DEV/GOV/M2/LAND is INTERNAL: a copy in use at site mis1 (mission:CZ) is forbidden; no rule allows it"
    );
    register.class = Class::Restricted;
    assert!(register.may(Use::Copy, lux).unwrap_err().rule.contains("`live`"));
    register.live = Some(vec!["home".to_owned(), "lux1".to_owned()]);
    assert_eq!(register.may(Use::Copy, lux), Ok(()));
    assert!(register.may(Use::Authority, lux).unwrap_err().rule.contains("mandate"), "named, and still");
    register.class = Class::HomeOnly;
    for abroad in [lux, mission, cloud] {
        for what in [Use::Copy, Use::Relay, Use::Authority] {
            assert!(register.may(what, abroad).is_err(), "{what} {}", abroad.id);
        }
    }
    assert_eq!(register.may(Use::Authority, home), Ok(()));
}

#[test]
fn jurisdictions_have_all_their_parts() {
    for text in ["", "territory:x", "embassy-agreement:LU", "embassy-agreement::t", "mission", "commercial: "]
    {
        assert_eq!(Jurisdiction::from_text(text), None, "{text:?}");
    }
}

#[test]
fn declarations_stand_above_methods() {
    let register = land();
    let of =
        |code: &str, method, path: &str| access(Some(&register), &register.id.service(code), method, path);
    for (code, method, path, expected) in [
        // by method, where nothing is declared
        ("titles", Some(Method::Get), "/1", Access::Read),
        ("titles", Some(Method::Head), "/1", Access::Read),
        ("titles", Some(Method::Options), "/1", Access::Read),
        ("titles", Some(Method::Trace), "/1", Access::Write),
        ("titles", Some(Method::Post), "/1", Access::Write),
        ("titles", Some(Method::Put), "/1", Access::Write),
        ("titles", Some(Method::Patch), "/1", Access::Write),
        ("titles", Some(Method::Delete), "/1", Access::Write),
        // SOAP writes until declared
        ("titles", None, "", Access::Write),
        ("search", None, "", Access::Read),
        // the whole service
        ("search", Some(Method::Post), "/any/thing", Access::Read),
        // a part of it, in whatever spelling the path comes
        ("land", Some(Method::Get), "/reports/2026", Access::Write),
        ("land", Some(Method::Get), "/%72eports/2026", Access::Write),
        ("land", Some(Method::Get), "/x/../reports/2026", Access::Write),
        ("land", Some(Method::Get), "/titles", Access::Read),
        ("land", Some(Method::Post), "/queries", Access::Read),
        ("land", Some(Method::Post), "/queries/1", Access::Write),
        ("land", Some(Method::Put), "/queries", Access::Write),
        // about which nothing can be said
        ("land", Some(Method::Get), "/a//b", Access::Write),
        ("land", Some(Method::Get), "/%zz", Access::Write),
    ] {
        assert_eq!(of(code, method, path), expected, "{code} {method:?} {path}");
    }
    assert_eq!(access(None, &register.id.service("search"), Some(Method::Post), ""), Access::Write);
    assert_eq!(access(None, &register.id.service("search"), Some(Method::Get), ""), Access::Read);
}

#[test]
fn of_declarations_the_narrow_and_then_the_strict_stands() {
    let mut register = land();
    register.services = vec![
        declared("land", None, Access::Write),
        declared("land", Some((None, "/open/**")), Access::Read),
        declared("land", Some((Some(Method::Get), "/open/locked")), Access::Write),
    ];
    let mut versioned = declared("soap", None, Access::Read);
    versioned.version = Some("v2".to_owned());
    register.services.push(versioned);
    for turn in 0..2 {
        let of = |path: &str| access(Some(&register), &register.id.service("land"), Some(Method::Get), path);
        assert_eq!(of("/titles"), Access::Write, "{turn}");
        assert_eq!(of("/open/1"), Access::Read, "{turn}");
        assert_eq!(of("/open/locked"), Access::Write, "{turn}");
        register.services.reverse();
    }
    let mut service = register.id.service("soap");
    assert_eq!(access(Some(&register), &service, None, ""), Access::Write);
    service.version = Some("v2".to_owned());
    assert_eq!(access(Some(&register), &service, None, ""), Access::Read);
}

#[test]
fn names_are_ours_in_any_case() {
    for name in ["X-Road-Cont-State", "x-road-cont-anything", "X-ROAD-CONT-", "x-Road-coNt-é"] {
        assert!(header::is_ours(name), "{name}");
    }
    for name in ["X-Road-Con", "X-Road-Contact", "Idempotency-Key", "x-road-é", ""] {
        assert!(!header::is_ours(name), "{name}");
    }
    for name in header::ALL {
        assert!(header::is_ours(name), "{name}");
    }
}

#[test]
fn values_are_written_plainly() {
    let state =
        State { lead: Lead::EmbassyActive, site: "lux1".to_owned(), is_authority: true, token: 1 << 48 };
    assert_eq!(state.to_text(), "EMBASSY_ACTIVE;site=lux1;copy=AUTHORITY;token=281474976710656");
    let known = "HOME_ACTIVE; token=3; later=x; copy=STANDBY; site=lux1";
    assert_eq!(State::from_text(known).map(|s| (s.is_authority, s.token)), Some((false, 3)));
    for text in ["", "ACTIVE;site=a;copy=AUTHORITY;token=0", "HOME_ACTIVE;site=a;token=0", "HOME_ACTIVE"] {
        assert_eq!(State::from_text(text), None, "{text}");
    }
    for (micros, text) in
        [(0, "0"), (1, "0.001"), (1_200_000, "1.2"), (1_000_001, "1.001"), (60_000_000, "60")]
    {
        assert_eq!(header::seconds(Duration::from_micros(micros)), text);
    }
    for text in ["", "-1", "1.", ".5", "1.2345", "1e3", " 1", "1 s", "+1", "١"] {
        assert_eq!(header::from_seconds(text), None, "{text}");
    }
}

#[test]
fn readers_may_demand_less_and_never_get_more() {
    let register = land();
    let secs = Duration::from_secs;
    assert_eq!(staleness::bound(&register, None), Duration::from_millis(2500));
    assert_eq!(staleness::bound(&register, Some(secs(1))), secs(1));
    assert_eq!(staleness::bound(&register, Some(secs(30))), secs(30));
    assert_eq!(staleness::bound(&register, Some(secs(61))), secs(60));
    assert!(staleness::is_fresh(Some(secs(1)), secs(1)));
    assert!(!staleness::is_fresh(Some(Duration::from_millis(1001)), secs(1)));
    assert!(!staleness::is_fresh(None, secs(1_000_000)), "not known is beyond every bound");
}
