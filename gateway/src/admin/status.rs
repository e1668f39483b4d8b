//! `saatkond status`: asks the running gateway how it is.

use super::cli::{Shown, refused};
use super::report::{KeyReport, Phase, Report};
use super::words::span;
use crate::conf::Conf;
use crate::net::fetch::{self, Bounds};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::time::UnixTime;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long the gateway gets to answer.
const BOUNDS: Bounds =
    Bounds { connect: Duration::from_secs(2), whole: Duration::from_secs(5), bytes_max: 4 * 1024 * 1024 };

/// Tells how the gateway is: exit code 0 when a call could be made now, 1 when not, 69 when nobody answers.
///
/// # Errors
/// [`Failure`].
pub async fn status(shown: &Shown, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let conf = Conf::load(&shown.of.config).map_err(|error| refused(&error))?;
    let address = conf.listen.health.ok_or_else(|| {
        Failure::new(Exit::Configuration, "this gateway has no health port to ask (listen.health is \"off\")")
            .hint("set listen.health in gateway.toml and restart")
    })?;
    let report = ask(reachable(address)).await.map_err(|why| {
        Failure::new(
            Exit::Unavailable,
            format!("no answer from the gateway {} at {address}: {why}", conf.server),
        )
        .hint(format!("start it with `saatkond run --config {}`", shown.of.config.display()))
    })?;
    if report.server != conf.server.to_string() {
        let text = format!("the gateway at {address} is {}, expected {}", report.server, conf.server);
        return Err(Failure::new(Exit::Unavailable, text).hint("two configurations share listen.health"));
    }
    if shown.json {
        streams.data(serde_json::to_string(&report).unwrap_or_default());
    } else {
        lines(&report).into_iter().for_each(|line| streams.data(line));
    }
    Ok(if report.ready { Exit::Done } else { Exit::NotWell })
}

/// An address that listens on all interfaces is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(address: SocketAddr) -> Result<Report, String> {
    let answer = fetch::get(&format!("http://{address}/status"), None, BOUNDS).await;
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer.body).map_err(|error| format!("status {}: {error}", answer.status))
}

/// What a person reads.
fn lines(report: &Report) -> Vec<String> {
    let state = match (report.phase, report.ready) {
        (Phase::Serving, true) => "serves",
        (Phase::Serving, false) => "does not serve",
        (Phase::Starting, _) => "is starting",
        (Phase::Draining, _) => "is draining",
    };
    let mut lines = vec![format!("{} {state} (version {}, {})", report.server, report.version, report.time)];
    lines.extend(report.reasons.iter().map(|reason| format!("  not ready: {reason}")));
    lines.extend(report.warnings.iter().map(|warning| format!("  warning:   {warning}")));
    let now = UnixTime::from_rfc3339(&report.time);
    if let Some(trust) = &report.trust {
        lines.push(format!(
            "trust      configuration of {} (version {}) holds until {}{}",
            trust.instance,
            trust.globalconf_version,
            trust.globalconf_expires,
            left(now, Some(&trust.globalconf_expires)),
        ));
        lines.push(key_line("auth key", &trust.authentication, now));
        lines.extend(trust.signing.iter().map(|key| key_line("sign key", key, now)));
        for client in &trust.clients {
            let registered = if client.registered { "registered" } else { "not registered" };
            lines.push(format!("client     {} {registered}, services: {}", client.id, client.services));
        }
    }
    if let Some(log) = &report.log {
        let failing = log.stamping_failing_since.as_ref();
        let failing = failing.map_or(String::new(), |since| format!(", stamping fails since {since}"));
        lines.push(format!(
            "log        records: {}, without a time-stamp: {}{failing}",
            log.records, log.unstamped
        ));
    }
    for job in &report.jobs {
        let last = job.last_success.as_deref().unwrap_or("never");
        let failures =
            if job.failures == 0 { String::new() } else { format!(", failures: {}", job.failures) };
        lines.push(format!("job        {:<12} last done {last}, next {}{failures}", job.job, job.next_due));
    }
    lines
}

fn key_line(name: &str, key: &KeyReport, now: Option<UnixTime>) -> String {
    let purpose = if key.purpose == "authentication" { "" } else { key.purpose.as_str() };
    let space = if purpose.is_empty() { "" } else { " " };
    match (&key.error, &key.good_until, &key.not_after) {
        (None, Some(good), Some(end)) => {
            let certificate = key.certificate.as_deref().unwrap_or_default();
            format!(
                "{name:<10} {purpose}{space}certificate {certificate} until {end}, status good until {good}{}",
                left(now, Some(good))
            )
        }
        (error, ..) => {
            format!("{name:<10} {purpose}{space}none serves: {}", error.as_deref().unwrap_or("unknown"))
        }
    }
}

/// ` (3 h 12 min left)`, or nothing where a moment is not one.
fn left(now: Option<UnixTime>, until: Option<&str>) -> String {
    match (now, until.and_then(UnixTime::from_rfc3339)) {
        (Some(now), Some(until)) => format!(" ({} left)", span(until.since(now))),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_open_to_all_is_reached_over_loopback() {
        let all: SocketAddr = "0.0.0.0:5580".parse().unwrap();
        assert_eq!(reachable(all).to_string(), "127.0.0.1:5580");
        let one: SocketAddr = "127.0.2.1:1".parse().unwrap();
        assert_eq!(reachable(one), one);
    }
}
