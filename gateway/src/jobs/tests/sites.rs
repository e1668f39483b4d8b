//! What a decision about sites and registers does to a gateway: at a swap, at a start, to a file that comes after it.

use super::{error, gateway, status};
use crate::jobs::{Job, Jobs};
use crate::testbed::{Land, server_file};
use crate::world::Standing;
use saatkond_ca::globalconf::Central;
use saatkond_ca::instance::v1;
use saatkond_ca::store::{By, State, StoreError};
use saatkond_proto::id::ClientId;
use std::fs;

/// The sites of the Land Board, with what the register is and where; the Tax Board's server stands at none.
fn continuity(generation: u64, class: &str, abroad: &str) -> String {
    format!(
        "\n[continuity]\ngeneration = {generation}\n\
         [[continuity.site]]\nid = \"home\"\nrole = \"home\"\njurisdiction = \"territory\"\n\
         servers = [\"DEV/GOV/M2/HOME\", \"DEV/GOV/M2/EMBASSY\"]\n\
         {abroad}\
         [[continuity.register]]\nid = \"DEV/GOV/M2/LAND\"\nclass = \"{class}\"\nsuccession = [\"home\"]\n\
         staleness = \"5 s\"\nstaleness_max = \"1 min\"\n"
    )
}

fn abroad(role: &str, jurisdiction: &str) -> String {
    format!(
        "[[continuity.site]]\nid = \"abroad\"\nrole = \"{role}\"\njurisdiction = \"{jurisdiction}\"\n\
         servers = [\"DEV/GOV/M1/TAX\"]\n"
    )
}

/// Publishes this after the instance's other entries, and lets the gateway fetch it.
async fn publish(land: &mut Land, before: &str, text: &str, jobs: &Jobs) {
    fs::write(land.federation.instance_file(), format!("{before}{text}")).unwrap();
    land.federation.apply(land.clock.now()).unwrap();
    land.trust_stops().await;
    land.trust_returns().await;
    jobs.run(Job::GlobalConf).await;
    assert_eq!(status(jobs, Job::GlobalConf).failures, 0, "{jobs:?}");
}

fn register() -> ClientId {
    ClientId::from_path("DEV/GOV/M2/LAND").unwrap()
}

/// A `server.toml` that has the register beside the Tax Board's subsystem.
fn with_register() -> String {
    format!("{}[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n", server_file("TAX"))
}

#[tokio::test]
async fn a_swap_that_forbids_what_is_served_stops_that_register_alone() {
    let mut land = Land::new("sites-swap", false).await;
    let before = fs::read_to_string(land.federation.instance_file()).unwrap();
    fs::write(land.tax().join("server.toml"), with_register()).unwrap();
    let jobs = land.jobs().await;
    let standing = |id: &ClientId| gateway(&jobs).world().standing(id).clone();
    assert_eq!(standing(&register()), Standing::Plain);
    for (generation, class, place, expected) in [
        (1, "INTERNAL", abroad("embassy", "embassy-agreement:LU:x"), "copy"),
        (2, "INTERNAL", abroad("mission", "mission:CZ"), "door"),
        (3, "RESTRICTED", abroad("embassy", "embassy-agreement:LU:x"), "door"),
        (
            4,
            "RESTRICTED",
            abroad("mission", "mission:CZ"),
            "passing calls on at site abroad (mission:CZ) is forbidden",
        ),
        (5, "PUBLIC", abroad("cloud", "commercial:eu"), "copy"),
        (6, "INTERNAL", abroad("cloud", "commercial:eu"), "is INTERNAL: passing calls on"),
        (7, "HOME_ONLY", abroad("embassy", "embassy-agreement:LU:x"), "is HOME_ONLY: passing calls on"),
        (8, "PUBLIC", String::new(), "this server stands at no site"),
    ] {
        publish(&mut land, &before, &continuity(generation, class, &place), &jobs).await;
        match standing(&register()) {
            Standing::Copy => assert_eq!(expected, "copy", "{generation}"),
            Standing::Door => assert_eq!(expected, "door", "{generation}"),
            Standing::Stopped(why) => assert!(why.contains(expected), "{generation}: {why}"),
            Standing::Plain => panic!("{generation}: it is a register"),
        }
        let other = ClientId::from_path("DEV/GOV/M1/TAX").unwrap();
        assert_eq!(standing(&other), Standing::Plain, "{generation}");
    }
    let world = gateway(&jobs).world();
    assert_eq!(world.stopped().map(|(id, _)| id.clone()).collect::<Vec<_>>(), [register()]);
}

#[tokio::test]
async fn a_register_that_may_not_be_here_is_refused_where_it_is_written() {
    let mut land = Land::new("sites-file", false).await;
    let before = fs::read_to_string(land.federation.instance_file()).unwrap();
    let jobs = land.jobs().await;
    publish(&mut land, &before, &continuity(1, "INTERNAL", &abroad("cloud", "commercial:eu")), &jobs).await;
    let file = land.tax().join("server.toml");
    fs::write(&file, with_register()).unwrap();
    jobs.run(Job::ServerConf).await;
    let text = error(&jobs, Job::ServerConf);
    assert!(text.contains("register DEV/GOV/M2/LAND is INTERNAL: passing calls on at site abroad"), "{text}");
    assert!(text.contains("take it out of this server"), "{text}");
    assert!(gateway(&jobs).world().server.client(&register()).is_none());
    // where it may be it is taken
    publish(&mut land, &before, &continuity(2, "PUBLIC", &abroad("cloud", "commercial:eu")), &jobs).await;
    jobs.run(Job::ServerConf).await;
    assert_eq!(status(&jobs, Job::ServerConf).failures, 0);
    assert_eq!(*gateway(&jobs).world().standing(&register()), Standing::Copy);
    // one that was stopped holds up no later change of the file
    publish(&mut land, &before, &continuity(3, "INTERNAL", &abroad("cloud", "commercial:eu")), &jobs).await;
    fs::write(&file, with_register().replace("TAX", "OTHERS")).unwrap();
    jobs.run(Job::ServerConf).await;
    assert_eq!(status(&jobs, Job::ServerConf).failures, 0);
    assert!(matches!(gateway(&jobs).world().standing(&register()), Standing::Stopped(_)));
}

/// The authority itself cannot be brought to go back, so the earlier directory is put in its place.
#[tokio::test]
async fn an_earlier_decision_stays_refused_over_a_restart() {
    let mut land = Land::new("sites-generation", false).await;
    let before = fs::read_to_string(land.federation.instance_file()).unwrap();
    let jobs = land.jobs().await;
    let central = Central::open(&land.federation.configuration()).unwrap();
    let now = land.clock.now();
    // behind the back of whoever checks
    let put = |instance: Option<&v1::File>| {
        let by = By { actor: "somebody", at: now, why: "" };
        let change = central.store().change(&by, |state: &mut State| {
            state.instance = instance.cloned();
            Ok::<_, StoreError>(())
        });
        change.map(drop).unwrap();
    };
    publish(&mut land, &before, &continuity(4, "INTERNAL", ""), &jobs).await;
    let earlier = central.read().unwrap().instance.clone();
    publish(&mut land, &before, &continuity(5, "RESTRICTED", ""), &jobs).await;
    let generation = |jobs: &Jobs| gateway(jobs).world().conf.continuity().map(|policy| policy.generation);
    let troubled = |jobs: &Jobs| gateway(jobs).world().conf.continuity_trouble().map(str::to_owned);
    assert_eq!((generation(&jobs), troubled(&jobs)), (Some(5), None));
    put(earlier.as_ref());
    land.trust_stops().await;
    land.trust_returns().await;
    jobs.run(Job::GlobalConf).await;
    assert_eq!(status(&jobs, Job::GlobalConf).failures, 0, "the rest of the configuration is taken");
    assert_eq!(generation(&jobs), Some(5));
    assert!(troubled(&jobs).unwrap().contains("it has generation 4"), "{:?}", troubled(&jobs));
    drop(jobs);
    let jobs = land.jobs().await;
    assert_eq!(generation(&jobs), Some(5), "from what is stored");
    jobs.run(Job::GlobalConf).await;
    assert_eq!(generation(&jobs), Some(5), "and when it is fetched again");
    assert!(troubled(&jobs).is_some());
    // one without any is no way back either
    fs::write(land.federation.instance_file(), &before).unwrap();
    put(None);
    land.federation.apply(land.clock.now()).unwrap();
    land.trust_stops().await;
    land.trust_returns().await;
    jobs.run(Job::GlobalConf).await;
    assert_eq!(generation(&jobs), Some(5));
    assert!(troubled(&jobs).unwrap().contains("there is none any more"));
    put(None);
    publish(&mut land, &before, &continuity(6, "PUBLIC", ""), &jobs).await;
    assert_eq!((generation(&jobs), troubled(&jobs)), (Some(6), None));
}
