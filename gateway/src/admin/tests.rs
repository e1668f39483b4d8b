//! The commands and the health port, against a whole instance on loopback.

use super::health::Health;
use super::report::{Phase, Report};
use crate::jobs::{Job, Jobs};
use crate::net::fetch::{self, Bounds};
use crate::net::listen::{self, Listener};
use crate::testbed::Land;
use saatkond_ca::exit::Exit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const BOUNDS: Bounds =
    Bounds { connect: Duration::from_secs(5), whole: Duration::from_secs(5), bytes_max: 1 << 20 };

async fn get(address: SocketAddr, path: &str) -> (u16, serde_json::Value) {
    let answer = fetch::get(&format!("http://{address}{path}"), None, BOUNDS).await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn the_health_port_tells_when_a_call_could_be_made_and_why_not() {
    let land = Land::new("health", false).await;
    let health = Health::starting(&land.conf(), land.clock.clone());
    let door = Listener::bind("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let address = door.address();
    let (stopper, stop) = listen::stop();
    let serving = tokio::spawn(health.clone().serve(door, stop));
    health.waits("no global configuration yet".to_owned());
    assert_eq!(get(address, "/health/live").await.0, 200);
    let (status, body) = get(address, "/health/ready").await;
    assert_eq!((status, &body["reasons"][0]), (503, &"no global configuration yet".into()));

    let gateway = land.gateway().await;
    let jobs = Jobs::new(Arc::clone(&gateway));
    health.serves(Arc::clone(&gateway), jobs.clone());
    let (status, body) = get(address, "/health/ready").await;
    assert_eq!(status, 503);
    assert!(body.to_string().contains("no OCSP response"), "{body}");
    jobs.run(Job::Ocsp).await;
    let (status, body) = get(address, "/health/ready").await;
    assert_eq!((status, &body["ready"]), (200, &true.into()), "{body}");
    let (status, body) = get(address, "/status").await;
    assert_eq!(status, 200);
    let report: Report = serde_json::from_value(body).unwrap();
    assert_eq!((report.phase, report.ready, report.jobs.len()), (Phase::Serving, true, Job::ALL.len()));
    let trust = report.trust.unwrap();
    assert_eq!(trust.instance, "DEV");
    let soonest = &report.runs_out[0];
    assert_eq!((soonest.what.as_str(), soonest.seconds_left), ("global configuration of DEV", 600));
    assert!(trust.clients[0].registered && trust.authentication.error.is_none());

    gateway.log.set_timestamper_known(false);
    assert_eq!(get(address, "/health/ready").await.0, 503, "no message would be taken");
    gateway.log.set_timestamper_known(true);
    land.clock.advance(Duration::from_secs(601));
    let (status, body) = get(address, "/health/ready").await;
    assert!(status == 503 && body.to_string().contains("global configuration of DEV expired"), "{body}");
    assert_eq!(get(address, "/health/live").await.0, 200);

    health.drains();
    let (status, body) = get(address, "/health/ready").await;
    assert!(status == 503 && body.to_string().contains("draining"), "{body}");
    assert_eq!(get(address, "/nothing").await.0, 404);
    let posted =
        fetch::post(&format!("http://{address}/status"), "text/plain", b"x".to_vec(), None, BOUNDS).await;
    assert_eq!(posted.unwrap().status, 405);
    health.ends();
    assert_eq!(Arc::strong_count(&gateway), 2, "the health port holds the gateway no more");
    stopper.stop();
    serving.await.unwrap();
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_gateway_opens_becomes_ready_drains_and_leaves_its_stores_closed() {
    let land = Land::new("run", false).await;
    let port = free_port();
    let doors = |port| {
        format!(
            "[listen]\nclients = \"127.0.0.1:0\"\nservers = \"127.0.0.1:0\"\nocsp = \"127.0.0.1:0\"\n\
             health = \"127.0.0.1:{port}\"\n"
        )
    };
    let conf = land.conf_with(&doors(port));
    let (stopper, stop) = listen::stop();
    let running = tokio::spawn(super::run::serve(Arc::clone(&conf), land.clock.clone(), stop));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let url = format!("http://{address}/health/ready");
    loop {
        assert!(!running.is_finished(), "{:?}", running.await);
        match fetch::get(&url, None, BOUNDS).await {
            Ok(answer) if answer.status == 200 => break,
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    }
    // A second one on the same state and port is told what is wrong.
    let (_second_stopper, second_stop) = listen::stop();
    let taken =
        super::run::serve(Arc::clone(&conf), land.clock.clone(), second_stop.clone()).await.unwrap_err();
    assert_eq!(taken.exit, Exit::Unavailable);
    assert!(taken.message.contains("cannot listen on") && taken.hint.unwrap().contains("listen.health"));
    let elsewhere = land.conf_with(&doors(free_port()));
    let in_use = super::run::serve(elsewhere, land.clock.clone(), second_stop).await.unwrap_err();
    assert!(
        in_use.exit == Exit::Unavailable && in_use.message.contains("in use by another process"),
        "{in_use}"
    );

    stopper.stop();
    assert_eq!(running.await.unwrap().unwrap(), Exit::Done);
    drop(crate::jobs::open(conf, land.clock.clone()).unwrap());
}
