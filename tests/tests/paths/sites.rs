//! Registers with several copies: which copy may answer, what it says of itself, and what no one else may say.

use saatkond_proto::continuity::{Class, Jurisdiction, Policy, Register, Role, Site as Place};
use saatkond_tests::federation::land;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Asked, Federation, Service, Site};
use std::sync::Arc;
use std::time::Duration;

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
