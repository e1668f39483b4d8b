//! Orders that hold and that do not, and what a site does with a write.

use super::*;
use crate::continuity::{Class, Jurisdiction, Role, Site};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::time::Duration;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn operator(name: &str, seed: u8) -> Operator {
    Operator { name: name.to_owned(), key: key(seed).public_key().as_ref().try_into().unwrap() }
}

fn land() -> ClientId {
    "DEV/GOV/M2/LAND".parse().unwrap()
}

fn site(id: &str, jurisdiction: Jurisdiction) -> Site {
    let servers = vec![format!("DEV/GOV/M2/{id}").parse().unwrap()];
    Site { id: id.to_owned(), role: Role::Home, jurisdiction, servers, relay: Vec::new() }
}

fn policy() -> Policy {
    let treaty = Jurisdiction::from_text("embassy-agreement:LU:2017").unwrap();
    Policy {
        generation: 1,
        sites: vec![
            site("home", Jurisdiction::Territory),
            site("lux", treaty),
            site("cloud", Jurisdiction::from_text("commercial:eu").unwrap()),
        ],
        registers: vec![Register {
            id: land(),
            class: Class::Internal,
            services: Vec::new(),
            succession: ["home", "lux", "cloud"].map(str::to_owned).to_vec(),
            live: None,
            staleness: Duration::from_secs(5),
            staleness_max: Duration::from_secs(60),
            read_shares: Vec::new(),
            refresh: Duration::from_secs(1),
        }],
        operators: vec![operator("anna", 1), operator("bert", 2)],
    }
}

fn claim(token: u64, site: &str) -> Claim {
    Claim { register: land(), token: Token::new(token), site: site.to_owned(), switch: Switch::Planned }
}

fn signed(claim: Claim, name: &str, seed: u8) -> Warrant {
    let sign = |bytes: &[u8]| key(seed).sign(bytes).as_ref().to_vec();
    Warrant::Order(Order::sign(claim, NOW, &operator(name, seed), sign))
}

fn order(token: u64, site: &str) -> Warrant {
    signed(claim(token, site), "anna", 1)
}

fn judge(seat: &Seat, warrant: &Warrant) -> Result<Heard, WarrantError> {
    let policy = policy();
    seat.judge(warrant, &policy, &policy.registers[0])
}

fn turn(seat: &mut Seat, us: &str) -> Turn {
    let policy = policy();
    seat.turn(&policy, &policy.registers[0], us)
}

#[test]
fn an_order_survives_being_written_and_nothing_else_is_read() {
    let warrant = order(7, "lux");
    let text = warrant.to_text();
    assert!(
        text.starts_with("saatkond/authority-order/v1\ninstance DEV\nregister DEV/GOV/M2/LAND\ntoken 7\n")
    );
    assert_eq!(Warrant::from_text(&text).as_ref(), Ok(&warrant));
    for spoiled in [
        text.replace("token 7", "token 07"),
        text.replace("token 7", "token +7"),
        text.replace("planned", "Planned"),
        text.replace("instance DEV", "instance EE"),
        text.replace('\n', "\r\n"),
        format!("{text}\n"),
        format!("{text}{}", text.lines().last().unwrap()),
        text.replace("v1", "v2"),
        text.replace("03:04:05Z", "03:04:05.5Z"),
        String::new(),
        text[..text.len() - 1].to_owned(),
    ] {
        assert_eq!(Warrant::from_text(&spoiled), Err(WarrantError::Malformed), "{spoiled}");
    }
}

#[test]
fn an_order_is_a_signed_note_that_others_can_check() {
    let anna = operator("anna", 1);
    let text = order(1, "lux").to_text();
    let (body, line) = text.split_once("\n\n").unwrap();
    let value = STANDARD.decode(line.trim_end().strip_prefix("\u{2014} anna ").unwrap()).unwrap();
    let mut named = b"anna\n\x01".to_vec();
    named.extend(anna.key);
    assert_eq!(value[..4], DigestAlgorithm::Sha256.digest(&named)[..4]);
    let key = UnparsedPublicKey::new(&ED25519, anna.key);
    assert!(key.verify(format!("{body}\n").as_bytes(), &value[4..]).is_ok());
}

#[test]
fn an_order_holds_only_as_a_listed_operator_signed_it() {
    let policy = policy();
    assert_eq!(order(1, "lux").check(&policy), Ok(()));
    assert!(matches!(signed(claim(1, "lux"), "anna", 2).check(&policy), Err(WarrantError::Signature { .. })));
    let stranger = signed(claim(1, "lux"), "carl", 3).check(&policy);
    assert!(matches!(stranger, Err(WarrantError::UnknownOperator { .. })));
    let text = order(1, "lux").to_text();
    for (from, to) in
        [("token 1", "token 2"), ("site lux", "site home"), ("switch planned", "switch unplanned")]
    {
        let forged = Warrant::from_text(&text.replace(from, to)).unwrap();
        assert!(matches!(forged.check(&policy), Err(WarrantError::Signature { .. })), "{to}");
    }
    let borrowed = Warrant::from_text(&text.replace("\u{2014} anna", "\u{2014} bert")).unwrap();
    assert!(matches!(borrowed.check(&policy), Err(WarrantError::Signature { .. })));
}

#[test]
fn a_site_that_may_not_lead_is_given_nothing() {
    let policy = policy();
    let check = |claim| signed(claim, "anna", 1).check(&policy);
    assert!(matches!(check(claim(1, "mars")), Err(WarrantError::OutsideSuccession { .. })));
    assert!(matches!(check(claim(1, "cloud")), Err(WarrantError::Forbidden(_))));
    let other = Claim { register: "DEV/GOV/M2/TAX".parse().unwrap(), ..claim(1, "lux") };
    assert!(matches!(check(other), Err(WarrantError::UnknownRegister { .. })));
}

#[test]
fn only_a_higher_token_is_taken_and_the_same_order_changes_nothing() {
    let mut seat = Seat::default();
    assert!(matches!(judge(&seat, &order(0, "lux")), Err(WarrantError::NotHigher { .. })));
    assert_eq!(judge(&seat, &order(5, "lux")), Ok(Heard::Adopted));
    seat.take(order(5, "lux"));
    assert_eq!(judge(&seat, &order(5, "lux")), Ok(Heard::Known));
    assert!(matches!(
        judge(&seat, &order(4, "home")),
        Err(WarrantError::NotHigher { known, holder, .. }) if known == Token::new(5) && holder == "lux"
    ));
    assert_eq!(judge(&seat, &order(6, "home")), Ok(Heard::Adopted));
    assert!(matches!(
        judge(&seat, &signed(claim(9, "home"), "anna", 2)),
        Err(WarrantError::Signature { .. })
    ));
}

#[test]
fn of_two_orders_with_one_token_all_sites_take_the_same() {
    let (one, other) = (order(3, "lux"), order(3, "home"));
    let settle = |first: &Warrant, second: &Warrant| {
        let mut seat = Seat::default();
        for warrant in [first, second] {
            if judge(&seat, warrant) == Ok(Heard::Adopted) {
                seat.take(warrant.clone());
            }
        }
        seat.warrant().cloned()
    };
    assert_eq!(settle(&one, &other), settle(&other, &one));
}

#[test]
fn home_leads_until_an_order_says_otherwise() {
    let mut home = Seat::default();
    assert_eq!(turn(&mut home, "home"), Turn::Ours(Token::FIRST));
    let mut lux = Seat::default();
    let lead = Lead { site: "home".to_owned(), token: Token::FIRST };
    assert_eq!(turn(&mut lux, "lux"), Turn::Theirs(lead));
    lux.take(order(1, "lux"));
    assert_eq!(turn(&mut lux, "lux"), Turn::Ours(Token::new(1)));
}

#[test]
fn a_write_let_in_before_a_higher_token_goes_no_further() {
    let mut seat = Seat::default();
    let Turn::Ours(token) = turn(&mut seat, "home") else { panic!("home leads") };
    assert!(seat.still(token));
    seat.take(order(1, "lux"));
    assert!(!seat.still(token));
    assert_eq!(seat.in_flight(), 1);
    seat.end();
    assert_eq!(seat.in_flight(), 0);
}

#[test]
fn writes_wait_while_authority_passes_on_and_then_go_where_it_went() {
    let mut seat = Seat::default();
    assert!(matches!(turn(&mut seat, "home"), Turn::Ours(_)));
    assert!(seat.drain() && !seat.drain());
    assert_eq!(turn(&mut seat, "home"), Turn::Wait);
    assert_eq!(seat.in_flight(), 1);
    seat.take(order(1, "lux"));
    seat.resume();
    assert!(matches!(turn(&mut seat, "home"), Turn::Theirs(lead) if lead.site == "lux"));
}

#[test]
fn nobody_leads_where_the_policy_no_longer_lets_the_holder() {
    let mut policy = policy();
    let mut seat = Seat::kept(order(1, "lux"));
    policy.registers[0].succession = vec!["home".to_owned()];
    let (policy, register) = (policy.clone(), policy.registers[0].clone());
    for us in ["home", "lux"] {
        let turn = seat.turn(&policy, &register, us);
        assert!(matches!(turn, Turn::Nobody(WarrantError::OutsideSuccession { .. })), "{turn:?}");
    }
}

#[test]
fn tokens_are_ordered_by_term_first() {
    let token = Token::new((1 << 48) | 7);
    assert_eq!((token.term(), token.epoch()), (1, 7));
    assert!(token > Token::new((1 << 48) - 1));
    assert_eq!(Token::new((1 << 48) - 1).next(), None);
    assert_eq!(token.next(), Some(Token::new((1 << 48) | 8)));
    assert_eq!(token.to_string(), "281474976710663 (1.7)");
}
