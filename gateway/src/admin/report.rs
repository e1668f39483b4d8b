//! What works here, and what runs out when: the one picture behind `/status`, `/health/ready` and `saatkond status`.

use crate::Gateway;
use crate::jobs::Jobs;
use crate::keys::NoKey;
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};

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

/// What works here, and what runs out when. Times are RFC 3339 in UTC, spans seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which security server this is.
    pub server: String,
    /// The program's version.
    pub version: String,
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
    /// What is believed; absent before the first global configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trust: Option<Trust>,
    /// What each job has come to.
    pub jobs: Vec<JobReport>,
    /// The message log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<LogReport>,
}

/// What is believed, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The instance.
    pub instance: String,
    /// The version of its configuration.
    pub globalconf_version: u8,
    /// Until when the configuration holds.
    pub globalconf_expires: String,
    /// The same in seconds from now; 0 once it has expired.
    pub globalconf_seconds_left: u64,
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
    /// What it is for: `authentication`, or a member.
    pub purpose: String,
    /// The certificate in use, its serial number in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<String>,
    /// The certificate's last moment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_after: Option<String>,
    /// Until when certificate and OCSP responses together hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub good_until: Option<String>,
    /// Why none serves.
    #[serde(skip_serializing_if = "Option::is_none", default)]
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

/// What a job has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Its name.
    pub job: String,
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
}

impl Report {
    /// A process that does not serve yet, and why.
    #[must_use]
    pub fn starting(server: String, now: UnixTime, reason: String) -> Self {
        Self {
            server,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: now.to_rfc3339(),
            phase: Phase::Starting,
            ready: false,
            reasons: vec![reason],
            warnings: Vec::new(),
            trust: None,
            jobs: Vec::new(),
            log: None,
        }
    }

    /// A gateway as it is now.
    #[must_use]
    pub fn of(gateway: &Gateway, jobs: &Jobs, phase: Phase) -> Self {
        let now = gateway.now();
        let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
        if phase == Phase::Draining {
            reasons.push("it is draining".to_owned());
        }
        let trust = trust(gateway, now, &mut reasons, &mut warnings);
        if let Err(error) = gateway.log.ready() {
            reasons.push(error.to_string());
        }
        let jobs: Vec<JobReport> =
            jobs.statuses().iter().map(|(job, status)| job_report(job.name(), status)).collect();
        let failing = jobs.iter().filter(|j| j.failures > 0);
        warnings.extend(failing.map(|j| {
            format!("job {} fails ({} times): {}", j.job, j.failures, j.last_error.as_deref().unwrap_or(""))
        }));
        let log = LogReport {
            records: gateway.log.len(),
            unstamped: gateway.log.unstamped(),
            stamping_failing_since: gateway.log.stamping_failing_since().map(UnixTime::to_rfc3339),
        };
        let begun = Self::starting(gateway.conf.server.to_string(), now, String::new());
        let ready = reasons.is_empty();
        Self { phase, ready, reasons, warnings, trust: Some(trust), jobs, log: Some(log), ..begun }
    }
}

fn trust(gateway: &Gateway, now: UnixTime, reasons: &mut Vec<String>, warnings: &mut Vec<String>) -> Trust {
    let world = gateway.world();
    let conf = &world.conf;
    if !conf.is_valid_at(now) {
        reasons.push(format!(
            "the global configuration of {} expired at {}",
            conf.own_instance(),
            conf.expires()
        ));
    }
    let authentication = match world.auth(now) {
        Ok(key) => key_report("authentication", &key.certificate, key.good_until),
        Err(error) => {
            reasons.push(error.to_string());
            missing("authentication", &error)
        }
    };
    let own = conf.server(&gateway.conf.server);
    if own.is_none() {
        warnings.push(format!("{} is not in the global configuration", gateway.conf.server));
    }
    let mut signing: Vec<KeyReport> = Vec::new();
    let mut clients = Vec::new();
    for client in world.server.clients() {
        let registered = own.is_some_and(|server| conf.is_registered_on(&client.id, server));
        if !registered {
            warnings.push(format!("{} is not registered on this server", client.id));
        }
        clients.push(ClientReport { id: client.id.to_string(), registered, services: client.services.len() });
        let member = client.id.member.to_string();
        if signing.iter().any(|known| known.purpose == member) {
            continue;
        }
        signing.push(match world.signer(&client.id.member, now) {
            Ok(key) => key_report(&member, &key.material.certificate, key.good_until),
            Err(error) => {
                warnings.push(error.to_string());
                missing(&member, &error)
            }
        });
    }
    if clients.is_empty() {
        reasons.push("server.toml names no client".to_owned());
    } else if signing.iter().all(|key| key.error.is_some()) {
        reasons.push("no member with a client here can sign".to_owned());
    }
    Trust {
        instance: conf.own_instance().to_owned(),
        globalconf_version: conf.version(),
        globalconf_expires: conf.expires().to_rfc3339(),
        globalconf_seconds_left: conf.expires().since(now).as_secs(),
        authentication,
        signing,
        clients,
    }
}

fn key_report(
    purpose: &str,
    certificate: &saatkond_proto::trust::Certificate,
    good_until: UnixTime,
) -> KeyReport {
    KeyReport {
        purpose: purpose.to_owned(),
        certificate: Some(certificate.serial_text()),
        not_after: Some(certificate.not_after().to_rfc3339()),
        good_until: Some(good_until.to_rfc3339()),
        error: None,
    }
}

fn missing(purpose: &str, error: &NoKey) -> KeyReport {
    KeyReport {
        purpose: purpose.to_owned(),
        certificate: None,
        not_after: None,
        good_until: None,
        error: Some(error.reasons.join("; ")),
    }
}

fn job_report(name: &str, status: &crate::jobs::Status) -> JobReport {
    JobReport {
        job: name.to_owned(),
        last_success: status.last_success.map(UnixTime::to_rfc3339),
        last_error_at: status.last_error.as_ref().map(|(at, _)| at.to_rfc3339()),
        last_error: status.last_error.as_ref().map(|(_, text)| text.clone()),
        failures: status.failures,
        next_due: status.next_due.to_rfc3339(),
    }
}
