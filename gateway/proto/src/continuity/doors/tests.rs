//! Doors that come and go, and where calls are brought meanwhile.

use super::*;
use crate::continuity::policy::Site;
use crate::continuity::{Class, Jurisdiction, Role};
use crate::id::MemberId;
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn register() -> ClientId {
    MemberId::new("DEV", "GOV", "M2").subsystem("LAND")
}

fn door(code: &str) -> ServerId {
    ServerId { owner: MemberId::new("DEV", "GOV", "M2"), code: code.to_owned() }
}

fn policy(shares: &[(&str, u8)]) -> Policy {
    let site = |id: &str, role, jurisdiction, servers: &[&str]| Site {
        id: id.to_owned(),
        role,
        jurisdiction,
        servers: servers.iter().map(|code| door(code)).collect(),
        relay: Vec::new(),
    };
    let agreement = Jurisdiction::EmbassyAgreement { host: "LU".to_owned(), treaty: "2017".to_owned() };
    Policy {
        generation: 1,
        sites: vec![
            site("lux1", Role::Embassy, agreement, &["EMBASSY"]),
            site("home1", Role::Home, Jurisdiction::Territory, &["HOME", "HOME2"]),
            site("cloud", Role::Cloud, Jurisdiction::Commercial { region: "x".to_owned() }, &["CLOUD"]),
        ],
        registers: vec![Register {
            id: register(),
            class: Class::Internal,
            services: Vec::new(),
            succession: vec!["home1".to_owned(), "lux1".to_owned()],
            live: None,
            staleness: Duration::from_secs(5),
            staleness_max: Duration::from_secs(60),
            read_shares: shares.iter().map(|(site, share)| ((*site).to_owned(), *share)).collect(),
            refresh: Duration::from_secs(1),
        }],
        operators: Vec::new(),
    }
}

fn doors_of(shares: &[(&str, u8)], servers: &[&str]) -> Doors {
    let policy = policy(shares);
    let servers: Vec<ServerId> = servers.iter().map(|code| door(code)).collect();
    let mut doors = Doors::default();
    let layout = Layout::of(&policy, policy.register(&register()).unwrap(), servers.iter());
    doors.lay_out(&register(), &layout);
    // From the first call on its doors are listened to.
    doors.choose(ms(0), &register(), Access::Write, None).unwrap();
    doors
}

fn hint(holder: &str, token: u64) -> Hint {
    Hint { holder: holder.to_owned(), token, staleness: Some(ms(100)), reads: true, writes: false }
}

/// Lets all these doors answer each 250 ms from one moment to another.
fn live(doors: &mut Doors, codes: &[&str], from: u64, to: u64) -> Vec<Turned> {
    let mut turned = Vec::new();
    let mut at = from;
    while at < to {
        for code in codes {
            doors.told(ms(at), &door(code), vec![(register(), hint("home1", 0))]);
        }
        turned.extend(doors.look(ms(at)));
        at += 250;
    }
    turned
}

fn choose(doors: &mut Doors, at: u64, access: Access) -> Vec<String> {
    let chosen = doors.choose(ms(at), &register(), access, None);
    chosen.unwrap().into_iter().map(|door| door.code).collect()
}

#[test]
fn a_layout_holds_what_policy_and_class_allow() {
    let policy = policy(&[]);
    let servers = ["EMBASSY", "CLOUD", "HOME", "NOWHERE"].map(door);
    let layout = Layout::of(&policy, policy.register(&register()).unwrap(), servers.iter());
    let sites: Vec<&str> = layout.sites.iter().map(|site| site.site.as_str()).collect();
    assert_eq!(sites, ["home1", "lux1"], "no copy of an internal register answers from a public cloud");
    assert_eq!(layout.sites[0].doors, [door("HOME")]);
    assert!(layout.sites.iter().all(|site| site.has_copy && site.may_lead));
}

#[test]
fn reads_leave_a_silent_home_within_a_second_and_return_after_twenty() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    live(&mut doors, &["HOME", "EMBASSY"], 0, 5000);
    assert_eq!(choose(&mut doors, 5000, Access::Read), ["HOME", "EMBASSY"]);
    let turned = live(&mut doors, &["EMBASSY"], 5000, 6000);
    assert_eq!(turned.len(), 1);
    assert_eq!((turned[0].site.as_str(), turned[0].why), ("home1", Some(Trouble::Silent)));
    assert_eq!(choose(&mut doors, 5750, Access::Read), ["EMBASSY"]);
    // It is back at 7 s: the embassy goes on answering until twenty seconds have passed.
    let turned = live(&mut doors, &["HOME", "EMBASSY"], 7000, 25_000);
    assert!(turned.is_empty(), "{turned:?}");
    let turned = live(&mut doors, &["HOME", "EMBASSY"], 25_000, 28_000);
    assert_eq!(turned.len(), 1, "{turned:?}");
    assert_eq!((turned[0].site.as_str(), turned[0].why), ("home1", None));
    assert_eq!(choose(&mut doors, 28_000, Access::Read)[0], "HOME");
    let view = &doors.view(ms(28_000), |_| None)[0];
    assert_eq!((view.sites[0].load, view.sites[0].changes), (1000, 2));
}

#[test]
fn a_home_that_is_up_again_is_the_last_to_be_asked_and_better_than_nobody() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    live(&mut doors, &["HOME", "EMBASSY"], 0, 5000);
    live(&mut doors, &["EMBASSY"], 5000, 6000);
    live(&mut doors, &["HOME", "EMBASSY"], 6000, 8000);
    assert_eq!(choose(&mut doors, 8000, Access::Read), ["EMBASSY", "HOME"]);
    live(&mut doors, &["HOME"], 8000, 9500);
    assert_eq!(choose(&mut doors, 9300, Access::Read), ["HOME"]);
}

#[test]
fn writes_go_to_who_leads_or_nowhere() {
    let mut doors = doors_of(&[("home1", 50), ("lux1", 50)], &["HOME", "HOME2", "EMBASSY"]);
    live(&mut doors, &["HOME", "HOME2", "EMBASSY"], 0, 5000);
    assert_eq!(choose(&mut doors, 5000, Access::Write), ["HOME", "HOME2"]);
    live(&mut doors, &["EMBASSY"], 5000, 6000);
    // One each second tries, the others hear at once why.
    assert_eq!(choose(&mut doors, 6000, Access::Write), ["HOME"]);
    let refused = doors.choose(ms(6001), &register(), Access::Write, None).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("home1 leads the register and is not reached (DEV/GOV/M2/HOME is silent, "),
        "{text}"
    );
    // Authority is switched; the embassy says so.
    doors.told(ms(6100), &door("EMBASSY"), vec![(register(), hint("lux1", 7))]);
    assert_eq!(choose(&mut doors, 6100, Access::Write), ["EMBASSY"]);
    // A home that comes back and knows nothing of it changes nothing.
    doors.told(ms(6200), &door("HOME"), vec![(register(), hint("home1", 0))]);
    assert_eq!(choose(&mut doors, 6200, Access::Write), ["EMBASSY"]);
    assert_eq!(doors.at_site(&register(), "lux1"), [door("EMBASSY")]);
    assert_eq!(doors.at_site(&register(), "elsewhere"), []);
}

#[test]
fn a_holder_that_may_not_lead_is_not_believed() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    doors.told(ms(0), &door("EMBASSY"), vec![(register(), hint("cloud", u64::MAX))]);
    assert_eq!(choose(&mut doors, 0, Access::Write), ["HOME"]);
    // A door that lies is believed no longer than it is heard.
    doors.told(ms(0), &door("EMBASSY"), vec![(register(), hint("lux1", u64::MAX))]);
    assert_eq!(choose(&mut doors, 1, Access::Write), ["EMBASSY"]);
    doors.told(ms(5500), &door("HOME"), vec![(register(), hint("home1", 0))]);
    assert_eq!(choose(&mut doors, 5500, Access::Write), ["HOME"]);
}

#[test]
fn a_share_is_kept_and_a_pin_stands_above_it() {
    let mut doors = doors_of(&[("home1", 80), ("lux1", 20)], &["HOME", "EMBASSY"]);
    let abroad = |doors: &mut Doors, pin| {
        let first = (0..100).map(|_| doors.choose(ms(1), &register(), Access::Read, pin).unwrap()[0].clone());
        first.filter(|chosen| *chosen == door("EMBASSY")).count()
    };
    let share = abroad(&mut doors, None);
    assert!((19..=21).contains(&share), "{share}");
    assert_eq!((abroad(&mut doors, Some("lux1")), abroad(&mut doors, Some("home1"))), (100, 0));
    assert_eq!(choose(&mut doors, 1, Access::Write), ["HOME"]);
    // A pin puts nobody in danger: when that site is down the others answer.
    (0..2).for_each(|_| doors.missed(&door("EMBASSY")));
    assert_eq!(abroad(&mut doors, Some("lux1")), 0);
}

#[test]
fn calls_that_fail_open_the_breaker_of_their_kind_alone() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    let reads = (&register(), Access::Read);
    (0..3).for_each(|_| doors.failed(ms(10), &door("HOME"), reads));
    assert_eq!(choose(&mut doors, 20, Access::Read), ["EMBASSY"]);
    assert_eq!(choose(&mut doors, 20, Access::Write), ["HOME"]);
    // After a second one read tries; when it is answered the site is well, and comes back later.
    assert_eq!(choose(&mut doors, 1010, Access::Read), ["HOME", "EMBASSY"]);
    assert_eq!(choose(&mut doors, 1011, Access::Read), ["EMBASSY"]);
    doors.answered(ms(1020), &door("HOME"), reads, Some(ms(10)));
    assert_eq!(choose(&mut doors, 1030, Access::Read), ["EMBASSY", "HOME"]);
    assert_eq!(choose(&mut doors, 20_030, Access::Read), ["HOME", "EMBASSY"]);
}

/// One service that hangs at every site fails everywhere: the other services of the register are served all the same.
#[test]
fn calls_that_fail_at_every_door_are_not_kept_from_all() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    live(&mut doors, &["HOME", "EMBASSY"], 0, 1000);
    for access in [Access::Read, Access::Write] {
        for code in ["HOME", "EMBASSY"] {
            (0..3).for_each(|_| doors.failed(ms(1000), &door(code), (&register(), access)));
        }
    }
    for at in [1001, 1002, 1003] {
        assert_eq!(choose(&mut doors, at, Access::Read), ["HOME", "EMBASSY"]);
        assert_eq!(choose(&mut doors, at, Access::Write), ["HOME"]);
    }
    // What is known of the doors themselves stands.
    (0..2).for_each(|_| doors.missed(&door("HOME")));
    assert_eq!(choose(&mut doors, 1004, Access::Read), ["EMBASSY"]);
    assert_eq!(choose(&mut doors, 1004, Access::Write), ["HOME"], "one each second");
    assert!(doors.choose(ms(1005), &register(), Access::Write, None).is_err());
}

#[test]
fn a_door_that_declines_reads_gets_none() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    let declines = Hint { reads: false, ..hint("home1", 0) };
    doors.told(ms(0), &door("HOME"), vec![(register(), declines)]);
    assert_eq!(choose(&mut doors, 1, Access::Read), ["EMBASSY"]);
    assert_eq!(choose(&mut doors, 1, Access::Write), ["HOME"]);
}

#[test]
fn nothing_up_is_refused_and_not_sprayed() {
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    ["HOME", "EMBASSY"].iter().for_each(|code| (0..2).for_each(|_| doors.missed(&door(code))));
    assert_eq!(choose(&mut doors, 0, Access::Read), ["HOME"]);
    let refused = doors.choose(ms(500), &register(), Access::Read, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no copy of the register is reached (DEV/GOV/M2/HOME is not reached, DEV/GOV/M2/EMBASSY is not reached)"
    );
    assert_eq!(choose(&mut doors, 1000, Access::Read), ["HOME"]);
}

#[test]
fn only_doors_of_registers_in_use_are_watched() {
    assert!(Doors::default().watched(ms(0)).is_empty());
    let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
    assert_eq!(doors.watched(ms(299_999)).len(), 2);
    assert!(doors.watched(ms(300_000)).is_empty());
    // Nobody listened: that nothing was heard is nobody's fault.
    live(&mut doors, &["HOME", "EMBASSY"], 1000, 5000);
    assert_eq!(choose(&mut doors, 400_000, Access::Read), ["HOME", "EMBASSY"]);
    doors.retain(|_| false);
    assert!(doors.is_lost(ms(0), &door("HOME")) == Err(None) && doors.pulses.is_empty());
}

/// Home behind a link that comes and goes, an embassy that is well, and a read each 100 ms; time goes in steps of 50 ms.
struct Flapping {
    doors: Doors,
    at: u64,
    /// Since when the link is down.
    down: Option<u64>,
    /// Whether a link that is down refuses, or holds back.
    refuses: bool,
    /// Reads under way at home: when they will be late.
    waiting: Vec<u64>,
    /// Reads that began at home while the link was down.
    delayed: u64,
}

impl Flapping {
    fn new(refuses: bool) -> Self {
        let mut doors = doors_of(&[], &["HOME", "EMBASSY"]);
        live(&mut doors, &["HOME", "EMBASSY"], 0, 5000);
        Self { doors, at: 5000, down: None, refuses, waiting: Vec::new(), delayed: 0 }
    }

    fn goes(&mut self, is_up: bool, span: u64) -> Result<(), TestCaseError> {
        self.down = if is_up { None } else { Some(self.at) };
        let until = self.at + span;
        while self.at < until {
            self.at += 50;
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), TestCaseError> {
        let (at, of) = (ms(self.at), (&register(), Access::Read));
        if self.at.is_multiple_of(250) {
            self.doors.told(at, &door("EMBASSY"), vec![(register(), hint("home1", 0))]);
            match (self.down, self.refuses) {
                (None, _) => self.doors.told(at, &door("HOME"), vec![(register(), hint("home1", 0))]),
                (Some(_), true) => self.doors.missed(&door("HOME")),
                (Some(_), false) => {}
            }
            drop(self.doors.look(at));
        }
        // What was late was asked at the embassy as well, which answered first.
        let late = self.waiting.iter().filter(|late| **late <= self.at).count();
        self.waiting.retain(|late| *late > self.at);
        (0..late).for_each(|_| self.doors.failed(at, &door("HOME"), of));
        if self.down.is_none() {
            self.waiting.clear();
        }
        if self.at.is_multiple_of(100) {
            let chosen = choose(&mut self.doors, self.at, Access::Read);
            let patience = self.doors.patience(&door("HOME"), &register());
            match (chosen.first().map(String::as_str), self.down) {
                (Some("HOME"), None) => self.doors.answered(at, &door("HOME"), of, Some(ms(20))),
                (Some("HOME"), Some(since)) => {
                    // No read is lost: the embassy is next, and is asked well within a second.
                    prop_assert!(chosen.contains(&"EMBASSY".to_owned()) && patience <= ms(500));
                    self.waiting.push(self.at + u64::try_from(patience.as_millis()).unwrap());
                    self.delayed += u64::from(self.at > since + 1000);
                }
                _ => self.doors.answered(at, &door("EMBASSY"), of, Some(ms(20))),
            }
        }
        Ok(())
    }

    fn changes(&self) -> u64 {
        let view = self.doors.view(ms(self.at), |_| None);
        view.iter().flat_map(|register| &register.sites).map(|site| site.changes).sum()
    }
}

proptest! {
    /// However a link comes and goes: reads change site once, and at most once more in ten seconds; no read is without a
    /// second door; and a second after a link is down only the one read each second that tries still begins there.
    #[test]
    fn a_link_that_flaps_moves_reads_seldom(
        pattern in proptest::collection::vec((50u64..4000, 50u64..4000), 1..30),
        refuses: bool,
    ) {
        let mut home = Flapping::new(refuses);
        let began = home.at;
        let seldom = |home: &Flapping| {
            let (changes, elapsed) = (home.changes(), home.at - began);
            prop_assert!(changes <= 1 + elapsed / 10_000, "{changes} changes in {elapsed} ms");
            Ok(())
        };
        for (down, up) in pattern {
            home.goes(false, down)?;
            home.goes(true, up)?;
            seldom(&home)?;
        }
        home.delayed = 0;
        home.goes(false, 10_000)?;
        prop_assert!(home.delayed <= 10, "{} reads were brought to a site that is dead", home.delayed);
        seldom(&home)?;
    }

    /// Whatever happens: writes are brought to doors of one site that may lead, and a door that is down is asked by nobody
    /// but the one call each second that tries.
    #[test]
    fn writes_never_spill(events in proptest::collection::vec((0u8..8, 0usize..3, 0u64..600, 0u64..3), 1..300)) {
        let codes = ["HOME", "HOME2", "EMBASSY"];
        let mut doors = doors_of(&[("home1", 70), ("lux1", 30)], &codes);
        let (mut at, mut tries) = (0, 0);
        for (what, which, step, token) in events {
            at += step;
            let one = door(codes[which]);
            let of = (&register(), if token == 0 { Access::Read } else { Access::Write });
            match what {
                0 => doors.told(ms(at), &one, vec![(register(), hint(["home1", "lux1", "cloud"][which], token))]),
                1 => doors.missed(&one),
                2 => doors.failed(ms(at), &one, of),
                3 => doors.answered(ms(at), &one, of, Some(ms(step))),
                4 => drop(doors.look(ms(at))),
                _ => {}
            }
            if let Ok(chosen) = doors.choose(ms(at), &register(), Access::Write, Some("lux1")) {
                let abroad = chosen.iter().filter(|d| **d == door("EMBASSY")).count();
                prop_assert!(!chosen.is_empty() && (abroad == 0 || abroad == chosen.len()), "{:?}", chosen);
            }
            if let Ok(chosen) = doors.choose(ms(at), &register(), Access::Read, None) {
                let lost = chosen.iter().filter(|d| doors.is_lost(ms(at), d).is_ok()).count();
                prop_assert!(lost <= 1 && (lost == 0 || chosen.len() == 1));
                tries += lost as u64;
            }
        }
        prop_assert!(tries <= 1 + at / 1000);
    }
}
