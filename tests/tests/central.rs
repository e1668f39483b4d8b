//! The state of a central server: the same claims for both databases.

use saatkond_ca::instance::v1;
use saatkond_ca::store::{Audience, By, Kind, ListedKey, Place, Status, Store, StoreError};
use saatkond_proto::time::UnixTime;
use saatkond_tests::directory::Directory;
use saatkond_tests::postgres::Alone;
use std::sync::Barrier;

const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

fn by(why: &str) -> By<'_> {
    By { actor: "mari", at: NOW, why }
}

fn file() -> v1::File {
    let management = v1::Management {
        url: "https://conf.example.org:4001/managementservice/".to_owned(),
        certificate: None,
        provider: "DEV/GOV/M1/MANAGEMENT".to_owned(),
    };
    let mut file = v1::File::new("DEV", "conf.example.org", management);
    file.minimum_version = 3;
    file.members = ["DEV/GOV/M2", "DEV/GOV/M1"].map(member).to_vec();
    file
}

fn member(id: &str) -> v1::Member {
    let subsystem = v1::Subsystem { code: "LAND".to_owned(), name: Some("Maa ja \"mets\"".to_owned()) };
    v1::Member { id: id.to_owned(), name: "Land Board".to_owned(), subsystems: vec![subsystem] }
}

/// Applies [`file`].
fn filled(place: &Place) -> Store {
    let store = Store::open(place).unwrap();
    let applied = |state: &mut saatkond_ca::store::State| {
        state.instance = Some(file());
        Ok::<_, StoreError>(())
    };
    store.change(&by("first"), applied).unwrap();
    store
}

fn add(store: &Store, id: &str) -> Result<u64, StoreError> {
    let changed = store.change(&by("one more"), |state| {
        state.instance.as_mut().unwrap().members.push(member(id));
        Ok::<_, StoreError>(())
    });
    changed.map(|(state, ())| state.revision())
}

fn what_is_written_is_read_by_others(place: &Place) {
    let store = Store::open(place).unwrap();
    assert_eq!(store.read().unwrap().revision(), 0);
    assert!(store.read().unwrap().instance.is_none());
    drop(store);
    let store = filled(place);
    let key = ListedKey {
        id: "00ff".to_owned(),
        node: "a".to_owned(),
        audience: Audience::External,
        certificate: "PEM".to_owned(),
        is_active: true,
        added_at: 7,
    };
    let (state, ()) = store
        .change(&by("a key"), |state| {
            state.keys.push(key.clone());
            state.anchors.push((Audience::Internal, "<anchor/>\n".to_owned()));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let other = Store::open(place).unwrap().read().unwrap();
    for state in [state, other] {
        assert_eq!((state.revision(), state.at()), (2, NOW));
        let read = state.instance.clone().unwrap();
        let ids: Vec<_> = read.members.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["DEV/GOV/M2", "DEV/GOV/M1"], "in the order in which they came");
        assert_eq!(read.minimum_version, 3);
        assert_eq!(read.members[0].subsystems[0].name.as_deref(), Some("Maa ja \"mets\""));
        assert_eq!(state.keys, std::slice::from_ref(&key));
        assert_eq!(state.anchors, [(Audience::Internal, "<anchor/>\n".to_owned())]);
    }
}

fn what_is_refused_changes_nothing(place: &Place) {
    let store = filled(place);
    let refused = store.change(&by("no"), |state| {
        state.instance = None;
        Err::<(), _>(StoreError::Busy)
    });
    assert!(matches!(refused, Err(StoreError::Busy)));
    assert!(
        matches!(add(&store, "DEV/GOV/M1"), Err(StoreError::Twice { entry }) if entry == "member DEV/GOV/M1")
    );
    let (state, ()) = store.change(&by("nothing"), |_| Ok::<_, StoreError>(())).unwrap();
    assert_eq!(
        (state.revision(), store.revision().unwrap()),
        (1, 1),
        "what changes nothing makes no revision"
    );
    assert_eq!(store.history(u64::MAX, 10).unwrap().len(), 1);
}

fn history_says_who_changed_what(place: &Place) {
    let store = filled(place);
    add(&store, "DEV/GOV/M3").unwrap();
    let (_, ()) = store
        .change(
            &By { actor: "jaan", at: NOW.plus(std::time::Duration::from_secs(5)), why: "it is gone" },
            |state| {
                let members = &mut state.instance.as_mut().unwrap().members;
                members.retain(|m| m.id != "DEV/GOV/M1");
                members[0].name = "Water Board".to_owned();
                members.reverse();
                Ok::<_, StoreError>(())
            },
        )
        .unwrap();
    for state in [store.read().unwrap(), Store::open(place).unwrap().read().unwrap()] {
        let ids: Vec<_> = state.instance.as_ref().unwrap().members.iter().map(|m| m.id.clone()).collect();
        assert_eq!(ids, ["DEV/GOV/M2", "DEV/GOV/M3"], "another order is no difference");
    }
    let history = store.history(u64::MAX, 2).unwrap();
    assert_eq!(history.iter().map(|c| c.revision).collect::<Vec<_>>(), [3, 2]);
    let last = &history[0];
    assert_eq!(
        (last.actor.as_str(), last.why.as_str(), last.at.millis()),
        ("jaan", "it is gone", NOW.millis() + 5000)
    );
    let what: Vec<_> =
        last.differences.iter().map(|d| (d.kind, d.to_string(), d.was.is_some(), d.is.is_some())).collect();
    assert_eq!(
        what,
        [
            (Kind::Member, "member DEV/GOV/M1".to_owned(), true, false),
            (Kind::Member, "member DEV/GOV/M2".to_owned(), true, true)
        ]
    );
    assert_eq!(store.history(3, 10).unwrap().iter().map(|c| c.revision).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.check_history().unwrap(), 3);
}

fn a_request_is_opened_and_closed_by_what_it_asked_for(place: &Place) {
    let store = filled(place);
    let open = |id: &str| {
        let body = serde_json::json!({ "member": id, "said": "\"status\":\"WAITING\"" });
        let opened = store.change(&by("asked"), |state| {
            Ok::<_, StoreError>(state.open_request("memberReg", body.clone(), NOW))
        });
        opened.unwrap().1
    };
    assert_eq!((open("DEV/GOV/M7"), open("DEV/GOV/M8")), (1, 2));
    let (state, closed) = store
        .change(&by("request 1 approved"), |state| {
            let request = state.close_request(1, Status::Approved).unwrap();
            state.instance.as_mut().unwrap().members.push(member(request.body["member"].as_str().unwrap()));
            Ok::<_, StoreError>(request)
        })
        .unwrap();
    assert_eq!((closed.number, closed.status, closed.kind.as_str()), (1, Status::Approved, "memberReg"));
    for state in [state, Store::open(place).unwrap().read().unwrap()] {
        assert_eq!(state.waiting().map(|r| r.number).collect::<Vec<_>>(), [2]);
        assert!(state.instance.as_ref().unwrap().members.iter().any(|m| m.id == "DEV/GOV/M7"));
    }
    let closing =
        |state: &mut saatkond_ca::store::State| Ok::<_, StoreError>(state.close_request(1, Status::Declined));
    assert_eq!(store.change(&by("again"), closing).unwrap().1, None, "what is closed stays closed");
    assert_eq!(open("DEV/GOV/M9"), 3, "numbers are never used again");
    let all: Vec<_> = store.requests(u64::MAX, 10).unwrap().iter().map(|r| (r.number, r.status)).collect();
    assert_eq!(all, [(3, Status::Waiting), (2, Status::Waiting), (1, Status::Approved)]);
    assert_eq!(store.requests(3, 1).unwrap()[0].number, 2);
}

fn changes_at_once_all_happen(place: &Place) {
    const EACH: usize = 10;
    drop(filled(place));
    let gate = Barrier::new(4);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let gate = &gate;
            scope.spawn(move || {
                let store = Store::open(place).unwrap();
                gate.wait();
                for number in 0..EACH {
                    // who is always beaten tries again, as a person would
                    while let Err(error) = add(&store, &format!("DEV/COM/{writer}-{number}")) {
                        assert!(matches!(error, StoreError::Busy), "{error}");
                    }
                }
            });
        }
    });
    let store = Store::open(place).unwrap();
    let state = store.read().unwrap();
    assert_eq!(state.revision(), 41);
    assert_eq!(state.instance.as_ref().unwrap().members.len(), 42);
    assert_eq!(store.check_history().unwrap(), 41);
}

const CLAIMS: [fn(&Place); 5] = [
    what_is_written_is_read_by_others,
    what_is_refused_changes_nothing,
    history_says_who_changed_what,
    a_request_is_opened_and_closed_by_what_it_asked_for,
    changes_at_once_all_happen,
];

#[test]
fn sqlite_keeps_a_state() {
    for claim in CLAIMS {
        let directory = Directory::new("central");
        std::fs::create_dir_all(directory.path()).unwrap();
        claim(&Place::Sqlite(directory.path().join("instance.db")));
    }
}

#[tokio::test]
async fn postgresql_keeps_a_state() {
    let Some(alone) = Alone::new() else { return };
    let client = alone.database.client().await;
    for (number, claim) in CLAIMS.into_iter().enumerate() {
        client.batch_execute(&format!("CREATE DATABASE claim{number}")).await.unwrap();
        let url = alone.database.url().replace("dbname=postgres", &format!("dbname=claim{number}"));
        claim(&Place::Postgres(url));
    }
}

/// Somebody who edits rows behind our back is found out.
#[tokio::test]
async fn history_that_was_changed_later_does_not_hold() {
    let Some(alone) = Alone::new() else { return };
    let place = Place::Postgres(alone.database.url());
    let store = filled(&place);
    add(&store, "DEV/GOV/M3").unwrap();
    add(&store, "DEV/GOV/M4").unwrap();
    let client = alone.database.client().await;
    let forged = "UPDATE saatkond_central.change SET actor = 'nobody' WHERE revision = 2";
    client.batch_execute(forged).await.unwrap();
    assert!(matches!(store.check_history(), Err(StoreError::History { revision: 2 })));
}

/// The database goes and comes back: what was asked meanwhile is told, what is asked then is answered.
#[tokio::test]
async fn a_database_that_was_gone_is_found_again() {
    let Some(alone) = Alone::new() else { return };
    let store = filled(&Place::Postgres(alone.database.url()));
    alone.database.crash();
    assert!(matches!(add(&store, "DEV/GOV/M3"), Err(StoreError::Postgres(_))));
    alone.database.start();
    assert_eq!(store.revision().unwrap(), 1, "a change that was refused was not made");
    assert_eq!(add(&store, "DEV/GOV/M3").unwrap(), 2);
}
