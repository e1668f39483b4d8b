//! What is kept, and what writes do meanwhile.

use super::*;
use crate::testbed::{NOW, TestDir};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use saatkond_proto::continuity::authority::{Claim, Order, Switch};
use saatkond_proto::continuity::{Class, Jurisdiction, Operator, Role, Site};
use std::time::Duration;

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn operator() -> Operator {
    Operator { name: "anna".to_owned(), key: key().public_key().as_ref().try_into().unwrap() }
}

fn policy() -> Policy {
    let site = |id: &str| Site {
        id: id.to_owned(),
        role: Role::Home,
        jurisdiction: Jurisdiction::Territory,
        servers: Vec::new(),
        relay: Vec::new(),
    };
    Policy {
        generation: 1,
        sites: vec![site("home"), site("lux")],
        registers: vec![Register {
            id: "DEV/GOV/M2/LAND".parse().unwrap(),
            class: Class::Internal,
            services: Vec::new(),
            succession: vec!["home".to_owned(), "lux".to_owned()],
            live: None,
            staleness: Duration::from_secs(5),
            staleness_max: Duration::from_secs(60),
            read_shares: Vec::new(),
            refresh: Duration::from_secs(1),
        }],
        operators: vec![operator()],
    }
}

fn order(policy: &Policy, token: u64, site: &str) -> Warrant {
    let claim = Claim {
        register: policy.registers[0].id.clone(),
        token: Token::new(token),
        site: site.to_owned(),
        switch: Switch::Planned,
    };
    Warrant::Order(Order::sign(claim, NOW, &operator(), |bytes| key().sign(bytes).as_ref().to_vec()))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn an_order_outlives_the_process_and_no_lower_one_undoes_it() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let register = &policy.registers[0];
    let authority = Authority::open(&dir.0).unwrap();
    assert_eq!(authority.lead(&policy, register).unwrap().site, "home");
    assert_eq!(authority.adopt(&policy, &order(&policy, 5, "lux")).await.unwrap(), Heard::Adopted);
    assert_eq!(authority.adopt(&policy, &order(&policy, 5, "lux")).await.unwrap(), Heard::Known);
    drop(authority);
    let authority = Authority::open(&dir.0).unwrap();
    let lower = authority.adopt(&policy, &order(&policy, 4, "home")).await;
    assert!(matches!(lower, Err(AuthorityError::Refused(WarrantError::NotHigher { .. }))));
    let lead = authority.lead(&policy, register).unwrap();
    assert_eq!((lead.site.as_str(), lead.token), ("lux", Token::new(5)));
}

#[tokio::test]
async fn nothing_opens_around_what_cannot_be_read_back() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let authority = Authority::open(&dir.0).unwrap();
    authority.adopt(&policy, &order(&policy, 5, "lux")).await.unwrap();
    let file = file_of(&dir.0, &policy.registers[0].id, ORDER);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert!(matches!(Authority::open(&dir.0), Err(AuthorityError::Damaged { .. })));
    fs::write(&file, text.replace("LAND", "TAX")).unwrap();
    assert!(matches!(Authority::open(&dir.0), Err(AuthorityError::Damaged { .. })), "another register's");
}

#[tokio::test]
async fn what_was_promised_stands_after_a_crash_unless_it_was_taken_back() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let register = &policy.registers[0];
    let leads = || Authority::open(&dir.0).unwrap().lead(&policy, register).unwrap().site;
    let authority = Authority::open(&dir.0).unwrap();
    authority.promise(&order(&policy, 1, "lux")).await.unwrap();
    assert_eq!(authority.lead(&policy, register).unwrap().site, "home", "it is not in force yet");
    assert_eq!(leads(), "lux");
    authority.withdraw(&order(&policy, 1, "lux")).await.unwrap();
    assert_eq!(leads(), "home");
    authority.promise(&order(&policy, 1, "lux")).await.unwrap();
    authority.adopt(&policy, &order(&policy, 2, "home")).await.unwrap();
    assert_eq!(leads(), "home", "a promise is kept until a higher order comes");
    assert!(!file_of(&dir.0, &register.id, PROMISE).exists());
}

#[tokio::test]
async fn an_order_that_cannot_be_kept_is_not_in_force() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let authority = Authority::open(&dir.0.join("inside")).unwrap();
    fs::remove_dir(dir.0.join("inside")).unwrap();
    let kept = authority.adopt(&policy, &order(&policy, 5, "lux")).await;
    assert!(matches!(kept, Err(AuthorityError::Disk { .. })), "{kept:?}");
    assert_eq!(authority.lead(&policy, &policy.registers[0]).unwrap().site, "home");
}

#[tokio::test]
async fn a_drain_waits_for_writes_and_writes_wait_for_it() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let register = policy.registers[0].clone();
    let authority = Authority::open(&dir.0).unwrap();
    let Granted::Ours(held) = authority.turn(&policy, &register, "home", soon()).await else {
        panic!("home leads")
    };
    let drain = authority.drain(&register.id).unwrap();
    assert!(authority.drain(&register.id).is_none(), "one at a time");
    assert!(!drain.is_dry(Instant::now()).await);
    let waiting = {
        let (authority, policy, register) = (authority.clone(), policy.clone(), register.clone());
        tokio::spawn(async move { authority.turn(&policy, &register, "home", soon()).await })
    };
    let late = authority.turn(&policy, &register, "home", Instant::now()).await;
    assert!(matches!(late, Granted::Late));
    assert!(held.is_ours());
    drop(held);
    assert!(drain.is_dry(soon()).await);
    authority.adopt(&policy, &order(&policy, 1, "lux")).await.unwrap();
    drop(drain);
    assert!(matches!(waiting.await.unwrap(), Granted::Theirs(lead) if lead.site == "lux"));
}

#[tokio::test]
async fn a_write_let_in_is_told_of_a_higher_token() {
    let (dir, policy) = (TestDir::new("authority"), policy());
    let authority = Authority::open(&dir.0).unwrap();
    let Granted::Ours(held) = authority.turn(&policy, &policy.registers[0], "home", soon()).await else {
        panic!("home leads")
    };
    authority.adopt(&policy, &order(&policy, 1, "lux")).await.unwrap();
    assert!(!held.is_ours());
    assert_eq!(authority.under_way(&policy.registers[0].id), (1, false));
}
