//! What works here, and what runs out when: the one picture behind `/status`, `/health/ready` and `saatkond status`.

use crate::Gateway;
use crate::conf::Conf;
use crate::jobs::{Job, Jobs};
use crate::messagelog::LogError;
use crate::world::World;
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not serving yet.
    Starting,
    /// Serving.
    Serving,
    /// Told to stop: what is under way ends, nothing new begins.
    Draining,
}

/// What works here, and what runs out when. Times are RFC 3339 in UTC, spans are seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which security server this is.
    pub server: String,
    /// The program's version.
    pub version: String,
    /// The number of the process.
    pub pid: u32,
    /// Whether keys and configuration are a demonstration's.
    pub demo: bool,
    /// When the process began.
    pub started: String,
    /// When this was told.
    pub time: String,
    /// How far the process is.
    pub phase: Phase,
    /// Whether a call could be made now.
    pub ready: bool,
    /// Why not; empty when it could.
    pub reasons: Vec<String>,
    /// What is not well and does not stop everybody.
    pub warnings: Vec<String>,
    /// Where it listens.
    pub doors: DoorsReport,
    /// What is believed; `null` before the first global configuration.
    pub trust: Option<Trust>,
    /// What stops working by itself, the soonest first.
    pub runs_out: Vec<Budget>,
    /// What each job has come to.
    pub jobs: Vec<JobReport>,
    /// The message log; `null` until it is open.
    pub log: Option<LogReport>,
}

/// Where a gateway listens; `null` for a door that stays shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorsReport {
    /// Information systems over HTTP.
    pub clients: Option<String>,
    /// Information systems over HTTPS.
    pub clients_tls: Option<String>,
    /// Other gateways: messages.
    pub servers: Option<String>,
    /// Other gateways: OCSP responses.
    pub ocsp: Option<String>,
}

/// What is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The instance.
    pub instance: String,
    /// The version of its configuration.
    pub globalconf_version: u8,
    /// Until when the configuration holds.
    pub globalconf_expires: String,
    /// The authentication key.
    pub authentication: KeyReport,
    /// The sign key of each member with a client here.
    pub signing: Vec<KeyReport>,
    /// The clients of this server.
    pub clients: Vec<ClientReport>,
}

/// A key and how long it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReport {
    /// Whose it is: the server, or a member.
    pub of: String,
    /// The serial number of the certificate in use, in hexadecimal; `null` when none serves.
    pub certificate: Option<String>,
    /// The certificate's last moment.
    pub not_after: Option<String>,
    /// Until when certificate and OCSP responses together hold.
    pub good_until: Option<String>,
    /// Why none serves.
    pub error: Option<String>,
}

/// A client of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientReport {
    /// Who it is.
    pub id: String,
    /// Whether the instance has registered it on this server.
    pub registered: bool,
    /// How many services it offers.
    pub services: usize,
}

/// Something that stops working by itself, unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What runs out.
    pub what: String,
    /// When.
    pub until: String,
    /// How long it still lasts; 0 when it has run out.
    pub seconds_left: u64,
    /// What happens then.
    pub then: String,
}

/// What a job has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Its name.
    pub job: String,
    /// Whether it is running now.
    pub running: bool,
    /// When it last did what it should.
    pub last_success: Option<String>,
    /// When it last failed.
    pub last_error_at: Option<String>,
    /// Why it last failed.
    pub last_error: Option<String>,
    /// How often it has failed since it last succeeded.
    pub failures: u32,
    /// When it will be run next.
    pub next_due: String,
}

/// The message log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// Records in it, time-stamps included.
    pub records: u64,
    /// Messages without a time-stamp.
    pub unstamped: usize,
    /// Since when stamping has been failing.
    pub stamping_failing_since: Option<String>,
    /// When the oldest record in it was recorded.
    pub oldest: Option<String>,
    /// Files of records.
    pub segments: usize,
    /// Where messages are archived to.
    pub archive: Option<String>,
    /// Records that are not archived yet, time-stamps included; `null` where nothing is archived.
    pub not_archived: Option<u64>,
}

impl LogReport {
    fn of(gateway: &Gateway) -> Self {
        let (log, archive) = (&gateway.log, gateway.conf.log.archives());
        Self {
            records: log.len(),
            unstamped: log.unstamped(),
            stamping_failing_since: log.stamping_failing_since().map(UnixTime::to_rfc3339),
            oldest: log.oldest().map(UnixTime::to_rfc3339),
            segments: log.segments(),
            archive: archive.map(|dir| dir.display().to_string()),
            not_archived: archive.map(|_| log.not_archived()),
        }
    }
}

impl Report {
    /// A process that does not serve, and why.
    #[must_use]
    pub fn without(conf: &Conf, started: UnixTime, now: UnixTime, phase: Phase, reason: String) -> Self {
        let shown = |door: Option<std::net::SocketAddr>| door.map(|address| address.to_string());
        Self {
            server: conf.server.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            demo: conf.demo,
            started: started.to_rfc3339(),
            time: now.to_rfc3339(),
            phase,
            ready: false,
            reasons: vec![reason],
            warnings: Vec::new(),
            doors: DoorsReport {
                clients: shown(conf.listen.clients),
                clients_tls: shown(conf.listen.clients_tls),
                servers: shown(conf.listen.servers),
                ocsp: shown(conf.listen.ocsp),
            },
            trust: None,
            runs_out: Vec::new(),
            jobs: Vec::new(),
            log: None,
        }
    }

    /// A gateway as it is now.
    #[must_use]
    pub fn of(gateway: &Gateway, jobs: &Jobs, started: UnixTime, phase: Phase) -> Self {
        let (now, world) = (gateway.now(), gateway.world());
        let reasons = reasons(gateway, &world, now, phase);
        let (trust, mut runs_out, mut warnings) = trust(gateway, &world, now);
        runs_out.extend(stamping(gateway, now));
        runs_out.sort_by_key(|budget| budget.seconds_left);
        let jobs: Vec<JobReport> = jobs.statuses().iter().map(|(job, status)| of_job(*job, status)).collect();
        warnings.extend(world.conf.continuity_trouble().map(str::to_owned));
        warnings.extend(world.stopped().map(|(client, why)| format!("{client} is stopped: {why}")));
        let failing = jobs.iter().filter(|job| job.failures > 0);
        warnings.extend(failing.map(|job| {
            format!("{} fails: {}", job.job, job.last_error.as_deref().unwrap_or("it did not say why"))
        }));
        warnings.extend(gateway.log.warnings());
        let log = LogReport::of(gateway);
        let begun = Self::without(&gateway.conf, started, now, phase, String::new());
        let demo = begun.demo || gateway.keys.are_a_demonstration();
        let ready = reasons.is_empty();
        Self { demo, ready, reasons, warnings, trust: Some(trust), runs_out, jobs, log: Some(log), ..begun }
    }
}

/// Why no call could be made now; none when it could.
pub(super) fn reasons(gateway: &Gateway, world: &World, now: UnixTime, phase: Phase) -> Vec<String> {
    let mut reasons = Vec::new();
    if phase == Phase::Draining {
        reasons.push(DRAINING.to_owned());
    }
    let conf = &world.conf;
    if !conf.is_valid_at(now) {
        reasons.push(format!(
            "the global configuration of {} expired at {}; nothing is exchanged until it is renewed",
            conf.own_instance(),
            conf.expires()
        ));
    }
    if let Err(error) = world.auth(now) {
        reasons.push(error.to_string());
    }
    let members = members(world);
    let errors: Vec<_> = members.iter().filter_map(|member| world.signer(member, now).err()).collect();
    if members.is_empty() {
        reasons.push(format!("{} names no client", gateway.conf.server_file.display()));
    } else if errors.len() == members.len() {
        // One member that can sign is enough: what others lack is a warning.
        reasons.extend(errors.iter().map(ToString::to_string));
    }
    if let Err(error) = gateway.log.ready() {
        reasons.push(match error {
            LogError::Closed => LOG_FAILED.to_owned(),
            LogError::Disk { .. } => format!("{error}; records are taken again as soon as it does"),
            other => other.to_string(),
        });
    }
    reasons
}

/// The reason of a gateway that was told to stop.
pub(super) const DRAINING: &str = "it was told to stop and is draining";
/// The reason of a gateway whose log takes nothing until the process is started again.
pub(super) const LOG_FAILED: &str = "the thread that writes the message log is gone; a restart opens it anew";

fn members(world: &World) -> BTreeSet<&MemberId> {
    world.server.clients().map(|client| &client.id.member).collect()
}

/// What is believed, what of it runs out, and what is not well.
fn trust(gateway: &Gateway, world: &World, now: UnixTime) -> (Trust, Vec<Budget>, Vec<String>) {
    let conf = &world.conf;
    let (mut runs_out, mut warnings) = (Vec::new(), Vec::new());
    let what = format!("global configuration of {}", conf.own_instance());
    runs_out.push(budget(what, conf.expires(), now, "nothing is exchanged"));
    let server = gateway.conf.server.to_string();
    let authentication = match world.auth(now) {
        Ok(key) => {
            let then = "other gateways refuse this one";
            runs_out.extend(of_certificate(
                "authentication certificate",
                &key.certificate,
                key.good_until,
                now,
                then,
            ));
            key_report(server.clone(), &key.certificate, key.good_until)
        }
        Err(error) => no_key(server.clone(), &error.reasons),
    };
    let own = conf.server(&gateway.conf.server);
    if own.is_none() {
        warnings.push(format!("{server} is not in the global configuration"));
    }
    let mut signing = Vec::new();
    for member in members(world) {
        signing.push(match world.signer(member, now) {
            Ok(key) => {
                let certificate = &key.material.certificate;
                let (what, then) = (format!("sign certificate of {member}"), "its messages are not signed");
                runs_out.extend(of_certificate(&what, certificate, key.good_until, now, then));
                key_report(member.to_string(), certificate, key.good_until)
            }
            Err(error) => {
                warnings.push(error.to_string());
                no_key(member.to_string(), &error.reasons)
            }
        });
    }
    let clients: Vec<_> = world
        .server
        .clients()
        .map(|client| ClientReport {
            id: client.id.to_string(),
            registered: own.is_some_and(|server| conf.is_registered_on(&client.id, server)),
            services: client.services.len(),
        })
        .collect();
    let strangers = clients.iter().filter(|client| !client.registered);
    warnings.extend(strangers.map(|client| format!("{} is not registered on this server", client.id)));
    let trust = Trust {
        instance: conf.own_instance().to_owned(),
        globalconf_version: conf.version(),
        globalconf_expires: conf.expires().to_rfc3339(),
        authentication,
        signing,
        clients,
    };
    (trust, runs_out, warnings)
}

fn budget(what: String, until: UnixTime, now: UnixTime, then: &str) -> Budget {
    let seconds_left = until.since(now).as_secs();
    Budget { what, until: until.to_rfc3339(), seconds_left, then: then.to_owned() }
}

/// A certificate's own end, and that of its OCSP responses where they end sooner.
fn of_certificate(
    what: &str,
    certificate: &Certificate,
    good_until: UnixTime,
    now: UnixTime,
    then: &str,
) -> Vec<Budget> {
    let mut budgets = vec![budget(what.to_owned(), certificate.not_after(), now, then)];
    if good_until < certificate.not_after() {
        budgets.push(budget(format!("OCSP responses of the {what}"), good_until, now, then));
    }
    budgets
}

/// How long time-stamping may go on failing, while it fails.
fn stamping(gateway: &Gateway, now: UnixTime) -> Option<Budget> {
    let since = gateway.log.stamping_failing_since()?;
    let allowed = gateway.conf.timestamping.failure_allowed;
    let what = format!("time-stamping, failing since {since}");
    (!allowed.is_zero()).then(|| budget(what, since.plus(allowed), now, "messages are refused"))
}

fn key_report(of: String, certificate: &Certificate, good_until: UnixTime) -> KeyReport {
    KeyReport {
        of,
        certificate: Some(certificate.serial_text()),
        not_after: Some(certificate.not_after().to_rfc3339()),
        good_until: Some(good_until.to_rfc3339()),
        error: None,
    }
}

fn no_key(of: String, reasons: &[String]) -> KeyReport {
    KeyReport { of, certificate: None, not_after: None, good_until: None, error: Some(reasons.join("; ")) }
}

fn of_job(job: Job, status: &crate::jobs::Status) -> JobReport {
    let error = status.last_error.as_ref();
    JobReport {
        job: job.name().to_owned(),
        running: status.is_running,
        last_success: status.last_success.map(UnixTime::to_rfc3339),
        last_error_at: error.map(|(at, _)| at.to_rfc3339()),
        last_error: error.map(|(_, text)| text.clone()),
        failures: status.failures,
        next_due: status.next_due.to_rfc3339(),
    }
}
