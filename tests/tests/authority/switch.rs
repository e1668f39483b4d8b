//! Authority passes: planned and unplanned; what is refused; what a crash leaves behind.

use super::*;
use saatkond::admin::authority::AuthorityReport;
use saatkond::embassy::asked;
use saatkond::embassy::authority::AuthorityError;
use saatkond::embassy::exchange;
use saatkond::embassy::switch::{SwitchError, Switched, switch};
use saatkond::jobs::Job;
use saatkond_proto::continuity::authority::WarrantError;
use saatkond_tests::Gate;
use std::sync::atomic::{AtomicBool, Ordering};

/// Changes authority at a site, by this order.
async fn change(at: &Site, order: &Warrant) -> Result<Switched, SwitchError> {
    switch(&at.gateway, &at.gateway.world(), order).await
}

#[tokio::test]
async fn an_order_moves_writes_to_the_embassy_by_any_door() {
    let bed = Bed::new().await;
    let order = bed.order(1, "lux1", Switch::Unplanned);
    let switched = change(bed.embassy(), &order).await.unwrap();
    assert_eq!((switched.told, switched.untold), (vec!["home".to_owned(), "lux1".to_owned()], Vec::new()));
    for (site, door) in [(bed.home(), "HOME"), (bed.embassy(), "EMBASSY")] {
        assert_eq!(Bed::leader(site), ("lux1".to_owned(), 1));
        let letter = bed.write(door);
        assert_eq!(bed.judge(&letter, &bed.bring(door, &letter).await).by, "EMBASSY");
    }
    assert_eq!(bed.book.all(), [("lux1", "HOME".to_owned()), ("lux1", "EMBASSY".to_owned())]);
}

/// Writers at both doors while authority goes abroad and comes back: none fails, none is lost, none is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_authority_goes_abroad_and_comes_back() {
    let bed = Arc::new(Bed::new().await);
    let _fresh = (Bed::fresh(bed.home()), Bed::fresh(bed.embassy()));
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let (bed, is_over) = (Arc::clone(&bed), Arc::clone(&is_over));
            let door = ["HOME", "EMBASSY"][writer % 2];
            tokio::spawn(async move {
                let mut done = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    let what = format!("{writer}.{}", done.len());
                    let letter = bed.write(&what);
                    let judged = bed.judge(&letter, &bed.bring(door, &letter).await);
                    assert_eq!(judged.response.status, 200, "{what}: {:?}", judged.line("X-Road-Error"));
                    done.push(what);
                }
                done
            })
        })
        .collect();
    let mut pauses = Vec::new();
    for (token, site) in [(1, "lux1"), (2, "home"), (3, "lux1"), (4, "home")] {
        let before = bed.book.all().len();
        let order = bed.order(token, site, Switch::Planned);
        // Whichever site is asked: the one that leads does it.
        let switched = change(if token < 3 { bed.home() } else { bed.embassy() }, &order).await.unwrap();
        pauses.push(switched.waited_ms);
        saatkond_tests::patiently("writes went on", async {
            while !bed.book.all().iter().skip(before).any(|(at, _)| *at == site) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    is_over.store(true, Ordering::SeqCst);
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await.unwrap());
    }
    assert!(counts(&bed.book, &all).iter().all(|count| *count == 1), "{:?}", counts(&bed.book, &all));
    assert_eq!(bed.book.all().len(), all.len());
    assert!(pauses.iter().all(|waited| *waited <= 1500), "{pauses:?}");
}

/// What `saatkond authority switch` does: the order lies in the gateway's directory, and what comes of it beside.
#[tokio::test]
async fn an_order_that_an_operator_leaves_is_acted_on_once_and_answered() {
    let bed = Bed::new().await;
    let dir = bed.embassy().directory().join("authority");
    let left = async |order: &Warrant| {
        let file = asked::leave(&dir, order).unwrap();
        bed.embassy().run(Job::Sites).await;
        let answered = async {
            loop {
                if let Some(answer) = asked::answered(&file).unwrap() {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let answer = saatkond_tests::patiently("the order was answered", answered).await;
        assert!(asked::take(&dir).unwrap().is_empty(), "it is gone");
        answer
    };
    let answer = left(&bed.order(2, "lux1", Switch::Unplanned)).await;
    assert!(matches!(&answer, asked::Answer::Made(made) if made.told.len() == 2), "{answer:?}");
    assert_eq!(Bed::leader(bed.home()), ("lux1".to_owned(), 2));
    // One that another has overtaken, and one that lay about.
    let answer = left(&bed.order(1, "home", Switch::Unplanned)).await;
    assert!(matches!(&answer, asked::Answer::Refused(_)), "{answer:?}");
    let late = bed.order(3, "home", Switch::Unplanned);
    bed.federation.clock.advance(asked::AGE_MAX + Duration::from_secs(1));
    let answer = left(&late).await;
    assert!(
        matches!(&answer, asked::Answer::Refused(why) if why.contains("not signed within")),
        "{answer:?}"
    );
    assert_eq!(Bed::leader(bed.embassy()), ("lux1".to_owned(), 2));
    let shown = AuthorityReport::of(&bed.home().gateway);
    let led = &shown.registers[0];
    assert_eq!((led.leads.as_deref(), led.token), (Some("lux1"), 2));
    assert!(led.by.as_ref().is_some_and(|by| by.contains("anna")), "{led:?}");
}

#[tokio::test]
async fn a_planned_change_that_cannot_be_made_changes_nothing() {
    let bed = Bed::new().await;
    let order = bed.order(1, "lux1", Switch::Planned);
    let unknown = change(bed.home(), &order).await;
    assert!(matches!(unknown, Err(SwitchError::AgeUnknown { .. })), "{unknown:?}");
    bed.embassy().gateway.embassy.ages.note(&land(), Some(Duration::from_secs(2)), Instant::now());
    let behind = change(bed.home(), &order).await;
    assert!(matches!(behind, Err(SwitchError::Behind { .. })), "{behind:?}");
    for site in [bed.home(), bed.embassy()] {
        assert_eq!(Bed::leader(site), ("home".to_owned(), 0));
    }
    let letter = bed.write("still home's");
    assert_eq!(bed.judge(&letter, &bed.bring("HOME", &letter).await).by, "HOME");
    let _fresh = Bed::fresh(bed.embassy());
    change(bed.home(), &order).await.unwrap();
}

/// A write that does not end keeps authority where it is; those that waited meanwhile are answered.
#[tokio::test]
async fn a_slow_write_keeps_authority_at_home() {
    let gate = Gate::default();
    let bed = Arc::new(Bed::new().await);
    let (slow, held) = (bed.book.clone(), gate.clone());
    let service = Service::start(move |asked: &Asked| {
        let body = String::from_utf8(asked.body.clone()).unwrap();
        slow.0.lock().unwrap().push(("home", body.clone()));
        let answer = Answer::new("200 OK", &[], "{}");
        if body == "slow" { answer.after(&held) } else { answer }
    })
    .await;
    bed.home().change_server(&answering(&service.url(""))).await;
    let _fresh = Bed::fresh(bed.embassy());
    let write = |what: &'static str| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            let letter = bed.write(what);
            bed.judge(&letter, &bed.bring("HOME", &letter).await)
        })
    };
    let first = write("slow");
    service.asked.wait_for(1).await;
    let order = bed.order(1, "lux1", Switch::Planned);
    let changing = {
        let (gateway, order) = (Arc::clone(&bed.home().gateway), order.clone());
        tokio::spawn(async move { switch(&gateway, &gateway.world(), &order).await })
    };
    saatkond_tests::patiently("writes wait", async {
        while !bed.home().gateway.embassy.authority.under_way(&land()).1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let second = write("waits");
    let changed = changing.await.unwrap();
    assert!(matches!(changed, Err(SwitchError::InFlight { writes: 1, .. })), "{changed:?}");
    assert_eq!(second.await.unwrap().by, "HOME");
    gate.open();
    assert_eq!(first.await.unwrap().response.status, 200);
    change(bed.home(), &order).await.unwrap();
}

#[tokio::test]
async fn home_returns_with_an_old_token_and_writes_nothing() {
    let mut bed = Bed::new().await;
    bed.close_home().await;
    let order = bed.order(1, "lux1", Switch::Unplanned);
    let switched = change(bed.embassy(), &order).await.unwrap();
    assert_eq!(switched.untold.len(), 1, "home cannot be told");
    bed.open_home().await;
    let letter = bed.write("after the return");
    let judged = bed.judge(&letter, &bed.bring("HOME", &letter).await);
    assert_eq!((judged.by, judged.response.status), ("EMBASSY", 200));
    assert_eq!(bed.book.all(), [("lux1", "after the return".to_owned())]);
    assert_eq!(Bed::leader(bed.home()), ("lux1".to_owned(), 1));
}

#[tokio::test]
async fn orders_that_do_not_hold_are_refused_everywhere() {
    let bed = Bed::new().await;
    change(bed.embassy(), &bed.order(5, "lux1", Switch::Unplanned)).await.unwrap();
    let other = OperatorKey::make(&bed._directory.path().join("other.pem")).unwrap();
    let claim = |token, site: &str| Claim {
        register: land(),
        token: Token::new(token),
        site: site.to_owned(),
        switch: Switch::Unplanned,
    };
    let now = bed.federation.now();
    let refused = [
        ("a lower token", bed.order(4, "home", Switch::Unplanned)),
        ("the token that each register starts with", bed.order(0, "home", Switch::Unplanned)),
        ("a wrong key", other.order(claim(6, "home"), now, "anna")),
        ("a stranger", other.order(claim(6, "home"), now, "carl")),
        ("a site outside the succession", bed.order(6, "mis1", Switch::Unplanned)),
    ];
    for (what, order) in refused {
        for site in [bed.home(), bed.embassy()] {
            let changed = change(site, &order).await;
            let Err(SwitchError::Authority(AuthorityError::Refused(error))) = changed else {
                panic!("{what}: {changed:?}")
            };
            let expected = match what {
                "a wrong key" => matches!(error, WarrantError::Signature { .. }),
                "a stranger" => matches!(error, WarrantError::UnknownOperator { .. }),
                "a site outside the succession" => matches!(error, WarrantError::OutsideSuccession { .. }),
                _ => matches!(error, WarrantError::NotHigher { .. }),
            };
            assert!(expected, "{what}: {error}");
            assert_eq!(Bed::leader(site), ("lux1".to_owned(), 5), "{what}");
        }
        // Nor when another site tells it.
        let (home, world) = (&bed.home().gateway, bed.home().gateway.world());
        let embassy = world.conf.continuity().unwrap().site("lux1").unwrap().clone();
        let heard = exchange::tell(home, &world, &embassy, &order).await.unwrap();
        assert!(!heard.stands && heard.why.is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_class_that_may_not_be_led_abroad_stays_at_home() {
    let terms = Terms { class: "RESTRICTED", ..Terms::default() };
    let bed = Bed::of(Terms { succession: "[\"home\"]", ..terms }).await;
    let changed = change(bed.embassy(), &bed.order(1, "lux1", Switch::Unplanned)).await;
    assert!(
        matches!(
            changed,
            Err(SwitchError::Authority(AuthorityError::Refused(WarrantError::OutsideSuccession { .. })))
        ),
        "{changed:?}"
    );
    let letter = bed.write("a");
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).by, "HOME");
}

/// The one that leads dies after the other site took the order and before it did itself.
#[tokio::test]
async fn a_crash_between_the_two_sites_leaves_one_that_leads() {
    for reaches in [true, false] {
        let mut bed = Bed::new().await;
        let order = bed.order(1, "lux1", Switch::Planned);
        {
            let (home, world) = (&bed.home().gateway, bed.home().gateway.world());
            home.embassy.authority.promise(&order).await.unwrap();
            if reaches {
                let embassy = world.conf.continuity().unwrap().site("lux1").unwrap();
                assert!(exchange::tell(home, &world, embassy, &order).await.unwrap().stands);
            }
            assert_eq!(Bed::leader(bed.home()), ("home".to_owned(), 0), "not yet");
        }
        bed.close_home().await;
        bed.open_home().await;
        for door in ["HOME", "EMBASSY"] {
            let letter = bed.write(door);
            assert_eq!(
                bed.judge(&letter, &bed.bring(door, &letter).await).by,
                "EMBASSY",
                "{door}, {reaches}"
            );
        }
        assert!(bed.book.all().iter().all(|(at, _)| *at == "lux1"), "{:?}", bed.book.all());
    }
}
