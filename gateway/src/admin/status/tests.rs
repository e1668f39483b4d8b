//! What `status` says, letter by letter.

use super::*;
use crate::admin::cli::{Command, OfGateway, run};
use crate::admin::health::Health;
use crate::jobs::{Job, Jobs};
use crate::net::listen::{self, Listener};
use crate::testbed::Land;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

#[test]
fn a_door_open_to_all_is_reached_over_loopback() {
    let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
    assert_eq!(reached("0.0.0.0:5580"), "127.0.0.1:5580");
    assert_eq!(reached("[::]:5580"), "[::1]:5580");
    assert_eq!(reached("127.0.2.1:1"), "127.0.2.1:1");
}

/// What the command says of the gateway in this file: data, talk, and how it ends.
async fn says(file: &std::path::Path, json: bool) -> (String, String, Exit) {
    let of = OfGateway { config: file.to_owned() };
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let ended = run(Command::Status(Shown { of, json }), &mut Streams::new(&mut out, &mut talk)).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match ended {
        Ok(exit) => (text(out), text(talk), exit),
        Err(failure) => (text(out), text(talk) + &failure.to_string(), failure.exit),
    }
}

/// Writes a file whose health port is at `address`.
fn file_of(land: &Land, server: &str, address: &str) -> PathBuf {
    let file = land.tax().join("gateway.toml");
    let text =
        format!("version = 1\nserver = \"{server}\"\nstate = \".\"\n[listen]\nhealth = \"{address}\"\n");
    fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_gateway_tells_what_works_and_what_runs_out_when() {
    let land = Land::new("status", false).await;
    let door = Listener::bind("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let address = door.address().to_string();
    let file = file_of(&land, "DEV/GOV/M1/TAX", &address);
    let health = Health::starting(&land.conf(), land.clock.clone());
    let (stopper, stop) = listen::stop();
    let serving = tokio::spawn(health.clone().serve(door, stop));
    let (out, _, exit) = says(&file, false).await;
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    let doors = "clients 127.0.0.1:8080, servers 0.0.0.0:5500, OCSP 0.0.0.0:5577";
    assert_eq!(
        out,
        format!(
            "DEV/GOV/M1/TAX  starting
  because   it is starting
  process   pid {pid}, version {version}, up 0 s
  doors     {doors}
"
        )
    );
    assert_eq!(exit, Exit::NotWell);

    let gateway = land.gateway().await;
    let jobs = Jobs::new(Arc::clone(&gateway));
    health.serves(Arc::clone(&gateway), jobs.clone());
    jobs.run(Job::Ocsp).await;
    jobs.run(Job::Timestamp).await;
    land.clock.advance(Duration::from_secs(61));
    let (out, talk, exit) = says(&file, false).await;
    assert!(out.starts_with("DEV/GOV/M1/TAX  ready\n  process   pid "), "{out}");
    assert!(out.contains(
        "\n  global configuration of DEV                           8 min 59 s    2026-01-02T03:14:05Z\n"
    ));
    assert!(out.contains(
        "\n  OCSP responses of the authentication certificate      58 min 59 s   2026-01-02T04:04:05Z\n"
    ));
    assert_eq!((talk.as_str(), exit), ("", Exit::Done));
    let (out, _, exit) = says(&file, true).await;
    assert_eq!(serde_json::from_str::<Report>(&out).unwrap(), health.report());
    assert_eq!(exit, Exit::Done);
    health.ends();
    stopper.stop();
    serving.await.unwrap();
}

/// A report as it comes over the wire.
fn told() -> serde_json::Value {
    serde_json::json!({
        "server": "DEV/GOV/M1/TAX",
        "version": "0.1.0",
        "pid": 4711,
        "demo": true,
        "started": "2026-01-02T03:04:05Z",
        "time": "2026-01-02T06:16:06Z",
        "phase": "serving",
        "ready": false,
        "reasons": ["the global configuration of DEV expired at 2026-01-02T06:14:05Z; nothing is exchanged until it is renewed"],
        "warnings": ["globalconf fails: no source of DEV gave its configuration: http://conf.example/internalconf: refused \u{1b}[2J"],
        "doors": { "clients": "127.0.0.1:8080", "clients_tls": null, "servers": "0.0.0.0:5500", "ocsp": "0.0.0.0:5577" },
        "trust": {
            "instance": "DEV",
            "globalconf_version": 6,
            "globalconf_expires": "2026-01-02T06:14:05Z",
            "authentication": {
                "of": "DEV/GOV/M1/TAX", "certificate": "5f93", "not_after": "2028-01-02T03:04:05Z",
                "good_until": "2026-01-02T07:04:05Z", "error": null,
            },
            "signing": [
                { "of": "DEV/GOV/M1", "certificate": "91aa", "not_after": "2028-01-02T03:04:05Z",
                  "good_until": "2026-01-02T07:04:05Z", "error": null },
                { "of": "DEV/GOV/M3", "certificate": null, "not_after": null, "good_until": null,
                  "error": "keys.toml names none for this use" },
            ],
            "clients": [
                { "id": "DEV/GOV/M1/TAX", "registered": true, "services": 1 },
                { "id": "DEV/GOV/M3/OLD", "registered": false, "services": 0 },
            ],
        },
        "runs_out": [
            { "what": "global configuration of DEV", "until": "2026-01-02T06:14:05Z", "seconds_left": 0,
              "then": "nothing is exchanged" },
            { "what": "OCSP responses of the authentication certificate", "until": "2026-01-02T07:04:05Z",
              "seconds_left": 2879, "then": "other gateways refuse this one" },
            { "what": "authentication certificate", "until": "2028-01-02T03:04:05Z", "seconds_left": 63060479,
              "then": "other gateways refuse this one" },
        ],
        "jobs": [
            { "job": "globalconf", "running": false, "last_success": "2026-01-02T06:04:05Z",
              "last_error_at": "2026-01-02T06:16:05Z", "last_error": "no source", "failures": 12,
              "next_due": "2026-01-02T06:16:59Z" },
            { "job": "server-file", "running": false, "last_success": "2026-01-02T06:16:05Z",
              "last_error_at": "2026-01-01T06:16:05Z", "last_error": "line 3", "failures": 0,
              "next_due": "2026-01-02T06:16:07Z" },
            { "job": "ocsp", "running": true, "last_success": null, "last_error_at": null, "last_error": null,
              "failures": 0, "next_due": "2026-01-02T06:16:06Z" },
        ],
        "log": { "records": 12, "unstamped": 1, "stamping_failing_since": null, "oldest": "2026-01-01T09:00:00Z",
                 "segments": 2, "archive": "/var/lib/saatkond/archive", "not_archived": 3 },
    })
}

#[test]
fn a_report_is_told_in_words_on_a_page_of_100_columns() {
    let report: Report = serde_json::from_value(told()).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), told(), "its JSON is what is documented here");
    let out = text(&report);
    assert_eq!(
        out,
        "DEV/GOV/M1/TAX  no call can be made
  because   the global configuration of DEV expired at 2026-01-02T06:14:05Z; nothing is exchanged until it is renewed
  warning   globalconf fails: no source of DEV gave its configuration: http://conf.example/internalconf: refused \\u{1b}[2J
  process   pid 4711, version 0.1.0, up 3 h 12 min, with a demonstration's keys
  doors     clients 127.0.0.1:8080, servers 0.0.0.0:5500, OCSP 0.0.0.0:5577
  instance  DEV, configuration version 6
  auth key  DEV/GOV/M1/TAX, certificate 5f93
  sign key  DEV/GOV/M1, certificate 91aa
            DEV/GOV/M3, none serves: keys.toml names none for this use
  clients   DEV/GOV/M1/TAX, 1 service
            DEV/GOV/M3/OLD, 0 services, not registered on this server
  log       12 records since 2026-01-01T09:00:00Z, 1 message without a time-stamp
  archive   /var/lib/saatkond/archive; 3 records not in it yet

runs out                                            left          until
  global configuration of DEV                       has run out   2026-01-02T06:14:05Z
  OCSP responses of the authentication certificate  47 min 59 s   2026-01-02T07:04:05Z
  authentication certificate                        729 d 20 h    2028-01-02T03:04:05Z

jobs           last done         next
  globalconf   12 min 1 s ago    in 53 s           failed 12 times, last 1 s ago
  server-file  1 s ago           in 1 s
  ocsp         never             running"
    );
    let tables = out.lines().skip_while(|line| !line.starts_with("runs out"));
    assert!(tables.into_iter().all(|line| line.chars().count() <= 100));
}

#[tokio::test]
async fn what_fails_is_told_with_its_reason() {
    let mut land = Land::new("status-fails", false).await;
    let gateway = land.gateway().await;
    let jobs = Jobs::new(Arc::clone(&gateway));
    let health = Health::starting(&land.conf(), land.clock.clone());
    health.serves(Arc::clone(&gateway), jobs.clone());
    jobs.run(Job::Ocsp).await;
    assert!(health.reasons().is_empty() && health.report().ready);
    land.trust_stops().await;
    land.clock.advance(Duration::from_secs(601));
    jobs.run(Job::GlobalConf).await;
    gateway.log.stamping_fails();
    let report = health.report();
    assert_eq!(
        report.reasons,
        [
            "the global configuration of DEV expired at 2026-01-02T03:14:05Z; nothing is exchanged until it is renewed"
        ]
    );
    assert!(report.warnings[0].starts_with("globalconf fails: no source of DEV gave its configuration: "));
    let stamping = report.runs_out.iter().find(|budget| budget.what.starts_with("time-stamping")).unwrap();
    assert_eq!(stamping.what, "time-stamping, failing since 2026-01-02T03:14:06Z");
    assert_eq!((stamping.seconds_left, stamping.then.as_str()), (4 * 3600, "messages are refused"));
    let left: Vec<_> = report.runs_out.iter().map(|budget| budget.seconds_left).collect();
    assert!(left.is_sorted() && left[0] == 0, "the soonest first: {left:?}");
    land.clock.advance(Duration::from_secs(4 * 3600 + 1));
    let reasons = health.reasons();
    assert!(
        reasons.iter().any(|r| r == "time-stamping has been failing since 2026-01-02T03:14:06Z"),
        "{reasons:?}"
    );
    assert!(reasons.iter().any(|r| r.starts_with("no key serves as authentication key: ")));
    assert!(
        reasons.iter().any(|r| r.starts_with("no key serves as sign key of DEV/GOV/M1: ")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn that_nothing_runs_there_is_said_plainly() {
    let land = Land::new("status-none", false).await;
    let door = Listener::bind("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let address = door.address().to_string();
    let file = file_of(&land, "DEV/GOV/M2/HOME", &address);
    let health = Health::starting(&land.conf(), land.clock.clone());
    let (stopper, stop) = listen::stop();
    let serving = tokio::spawn(health.serve(door, stop));
    let shown = file.display();
    assert_eq!(
        says(&file, false).await,
        (
            String::new(),
            format!(
                "error: at {address} answers DEV/GOV/M1/TAX, expected DEV/GOV/M2/HOME\n hint: another gateway has this \
                 address: set `listen.health` in {shown}"
            ),
            Exit::Unavailable
        )
    );
    stopper.stop();
    serving.await.unwrap();
    let (out, talk, exit) = says(&file, true).await;
    assert_eq!((out.as_str(), exit), ("", Exit::Unavailable));
    assert!(
        talk.starts_with(&format!(
            "error: nothing runs here: no answer of DEV/GOV/M2/HOME: http://{address}/status: "
        )),
        "{talk}"
    );
    assert!(talk.ends_with(&format!("\n hint: saatkond run --config {shown}")), "{talk}");
    let file = file_of(&land, "DEV/GOV/M2/HOME", "off");
    let (_, talk, exit) = says(&file, false).await;
    assert_eq!(exit, Exit::Configuration);
    assert!(talk.starts_with("error: cannot ask DEV/GOV/M2/HOME: `listen.health` is off in "), "{talk}");
}

#[tokio::test]
async fn whoever_answers_on_the_port_is_no_gateway_unless_it_says_so() {
    let land = Land::new("status-other", false).await;
    let door = Listener::bind("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let address = door.address().to_string();
    let file = file_of(&land, "DEV/GOV/M1/TAX", &address);
    let (_stopper, stop) = listen::stop();
    let answer = |_| async {
        let body = crate::net::body::Outgoing::sized().bytes("{\"server\": \"x\"}");
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    };
    let deadlines = listen::Deadlines { idle: Duration::from_secs(5), drain: Duration::from_secs(5) };
    let service = tower::service_fn(answer);
    let _serving = tokio::spawn(listen::serve(door, deadlines, || listen::Speech::Plain, stop, service));
    let (out, talk, exit) = says(&file, false).await;
    assert_eq!((out.as_str(), exit), ("", Exit::Unavailable));
    assert!(talk.contains("no report of this version: missing field"), "{talk}");
}
