//! `saatkond status`: asks the running gateway how it is.

use super::cli::{Shown, refused};
use super::report::{Budget, JobReport, KeyReport, Phase, Report};
use super::words::{count, plain, span};
use crate::conf::Conf;
use crate::net::fetch::{self, Answer, Bounds};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::time::UnixTime;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long the gateway gets to answer, and how much it may say.
const BOUNDS: Bounds =
    Bounds { connect: Duration::from_secs(2), whole: Duration::from_secs(5), bytes_max: 4 * 1024 * 1024 };

/// Tells how the gateway is: exit code 0 when a call could be made now, 1 when not, 69 when nobody answers.
///
/// # Errors
/// [`Failure`].
pub async fn status(shown: &Shown, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let conf = Conf::load(&shown.of.config).map_err(|error| refused(&error))?;
    let file = conf.file.display();
    let (address, answer) = page(&conf, "/status").await?;
    let report = read(&answer).map_err(|why| {
        let text = format!("at {address} answers something else than {}: {why}", conf.server);
        Failure::new(Exit::Unavailable, text)
            .hint(format!("set `listen.health` in {file} to an address that nobody else has"))
    })?;
    if report.server != conf.server.to_string() {
        let text = format!("at {address} answers {}, expected {}", plain(&report.server), conf.server);
        return Err(Failure::new(Exit::Unavailable, text)
            .hint(format!("another gateway has this address: set `listen.health` in {file}")));
    }
    if shown.json {
        streams.data(serde_json::to_string(&report).unwrap_or_default());
    } else {
        streams.data(text(&report));
    }
    Ok(if report.ready { Exit::Done } else { Exit::NotWell })
}

/// Asks the running gateway's health port for one of its pages; says where that is.
pub(super) async fn page(conf: &Conf, target: &str) -> Result<(SocketAddr, Answer), Failure> {
    let file = conf.file.display();
    let address = conf.listen.health.ok_or_else(|| {
        let text = format!("cannot ask {}: `listen.health` is off in {file}", conf.server);
        Failure::new(Exit::Configuration, text).hint("give it an address and restart the gateway")
    })?;
    let url = format!("http://{}{target}", reachable(address));
    let answer = fetch::get(&url, None, BOUNDS).await.map_err(|error| {
        let text = format!("nothing runs here: no answer of {}: {error}", conf.server);
        Failure::new(Exit::Unavailable, text).hint(format!("saatkond run --config {file}"))
    })?;
    Ok((address, answer))
}

/// An address that listens on all interfaces is reached over loopback.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn read(answer: &Answer) -> Result<Report, String> {
    if answer.status != 200 {
        return Err(format!("status {}, expected 200", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|error| format!("no report of this version: {error}"))
}

/// What a person reads.
fn text(report: &Report) -> String {
    let state = match (report.phase, report.ready) {
        (Phase::Serving, true) => "ready",
        (Phase::Serving, false) => "no call can be made",
        (Phase::Starting, _) => "starting",
        (Phase::Draining, _) => "draining",
    };
    let now = UnixTime::from_rfc3339(&report.time);
    let mut out = format!("{}  {state}", report.server);
    let mut before = "";
    let mut fact = |name: &'static str, text: &str| {
        let shown = if name == before { "" } else { name };
        out.push_str(format!("\n  {shown:<10}{}", plain(text)).trim_end());
        before = name;
    };
    report.reasons.iter().for_each(|reason| fact("because", reason));
    report.warnings.iter().for_each(|warning| fact("warning", warning));
    fact("process", &process(report, now));
    fact("doors", &doors(report));
    if let Some(trust) = &report.trust {
        let version = trust.globalconf_version;
        fact("instance", &format!("{}, configuration version {version}", trust.instance));
        fact("auth key", &key(&trust.authentication));
        trust.signing.iter().for_each(|one| fact("sign key", &key(one)));
        for client in &trust.clients {
            let services = count(client.services as u64, "service", "services");
            let registered = if client.registered { "" } else { ", not registered on this server" };
            fact("clients", &format!("{}, {services}{registered}", client.id));
        }
    }
    if let Some(log) = &report.log {
        let records = count(log.records, "record", "records");
        let unstamped = count(log.unstamped as u64, "message", "messages");
        let since = log.oldest.as_ref().map(|oldest| format!(" since {oldest}")).unwrap_or_default();
        fact("log", &format!("{records}{since}, {unstamped} without a time-stamp"));
        if let (Some(dir), Some(waiting)) = (&log.archive, log.not_archived) {
            fact("archive", &format!("{dir}; {} not in it yet", count(waiting, "record", "records")));
        }
    }
    runs_out(&report.runs_out, &mut out);
    if !report.jobs.is_empty() {
        out.push_str("\n\njobs           last done         next");
        report.jobs.iter().for_each(|one| out.push_str(&job(one, now)));
    }
    out
}

fn process(report: &Report, now: Option<UnixTime>) -> String {
    let up = now.zip(UnixTime::from_rfc3339(&report.started)).map(|(now, began)| span(now.since(began)));
    let demo = if report.demo { ", with a demonstration's keys" } else { "" };
    format!("pid {}, version {}, up {}{demo}", report.pid, report.version, up.unwrap_or_default())
}

fn doors(report: &Report) -> String {
    let doors = &report.doors;
    let all = [
        ("clients", &doors.clients),
        ("clients over TLS", &doors.clients_tls),
        ("servers", &doors.servers),
        ("OCSP", &doors.ocsp),
    ];
    let open = all.into_iter().filter_map(|(name, address)| Some(format!("{name} {}", address.as_ref()?)));
    let open: Vec<String> = open.collect();
    if open.is_empty() { "all shut".to_owned() } else { open.join(", ") }
}

fn key(key: &KeyReport) -> String {
    match (&key.certificate, &key.error) {
        (Some(certificate), _) => format!("{}, certificate {certificate}", key.of),
        (None, error) => format!("{}, none serves: {}", key.of, error.as_deref().unwrap_or("unknown")),
    }
}

fn runs_out(budgets: &[Budget], out: &mut String) {
    let width = budgets.iter().map(|budget| budget.what.chars().count()).max().unwrap_or(0);
    if width == 0 {
        return;
    }
    out.push_str(&format!("\n\n{:<width$}  left          until", "runs out", width = width + 2));
    for budget in budgets {
        let left = match budget.seconds_left {
            0 => "has run out".to_owned(),
            seconds => span(Duration::from_secs(seconds)),
        };
        out.push_str(&format!("\n  {:<width$}  {left:<12}  {}", plain(&budget.what), budget.until));
    }
}

fn job(job: &JobReport, now: Option<UnixTime>) -> String {
    let since = |then: Option<&String>| now.zip(then.and_then(|text| UnixTime::from_rfc3339(text)));
    let ago = |then: Option<&String>| since(then).map(|(now, then)| format!("{} ago", span(now.since(then))));
    let done = ago(job.last_success.as_ref()).unwrap_or_else(|| "never".to_owned());
    let next = match since(Some(&job.next_due)) {
        _ if job.running => "running".to_owned(),
        Some((now, due)) => format!("in {}", span(due.since(now))),
        None => String::new(),
    };
    let mut line = format!("\n  {:<13}{done:<18}{next:<18}", job.job);
    if job.failures > 0 {
        let times = count(u64::from(job.failures), "time", "times");
        line.push_str(&format!(
            "failed {times}, last {}",
            ago(job.last_error_at.as_ref()).unwrap_or_default()
        ));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
