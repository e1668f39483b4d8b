//! `saatkond sites`: what the gateway believes of the copies of each register that it asks, and why; and pins.

use super::cli::{Sites, SitesAction, refused};
use super::status::page;
use super::words::{plain, span};
use crate::Gateway;
use crate::conf::Conf;
use crate::embassy::pins::{self, Pin, PinsError};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::continuity::doors::{DoorView, RegisterView, SiteView};
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// What is believed, as `/sites` of the health port tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SitesReport {
    /// Who believes it.
    pub server: String,
    /// When, as RFC 3339.
    pub time: String,
    /// Each register that was called.
    pub registers: Vec<RegisterReport>,
    /// Pins in force.
    pub pins: Vec<Pin>,
}

/// A register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisterReport {
    /// Which.
    pub register: String,
    /// The site that leads it; writes go there and nowhere else.
    pub authority: Option<String>,
    /// Under which token.
    pub token: u64,
    /// Second attempts that its calls have left.
    pub second_attempts_left: u64,
    /// Second attempts that were made.
    pub second_attempts: u64,
    /// Its sites, the preferred first.
    pub sites: Vec<SiteReport>,
}

/// A register at a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteReport {
    /// The site.
    pub site: String,
    /// Hundredths of the reads that go there now.
    pub reads_percent: f64,
    /// Why there are none, or what is to be said besides.
    pub why: String,
    /// How often it left the rotation or came back.
    pub changes: u64,
    /// Its doors.
    pub doors: Vec<DoorReport>,
}

/// A register at a door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoorReport {
    /// Which.
    pub server: String,
    /// Why it gets no reads; `null` where it may.
    pub reads: Option<String>,
    /// Why it gets no writes; `null` where it may.
    pub writes: Option<String>,
    /// Milliseconds since anything was heard of it.
    pub heard_ms_ago: Option<u64>,
    /// How suspicious its silence is: once in ten to this power.
    pub suspicion: f64,
    /// How long reads take there, in milliseconds.
    pub read_ms: Option<u64>,
    /// Failures in a row, of reads and of writes.
    pub failures: [u32; 2],
    /// How old its copy is, as it says itself, in milliseconds.
    pub staleness_ms: Option<u64>,
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl SitesReport {
    /// What a gateway believes now.
    #[must_use]
    pub fn of(gateway: &Gateway) -> Self {
        let (doors, now) = (&gateway.embassy.doors, gateway.now());
        Self {
            server: gateway.conf.server.to_string(),
            time: now.to_rfc3339(),
            registers: doors.view(now).iter().map(RegisterReport::of).collect(),
            pins: doors.pins.all(now),
        }
    }
}

impl RegisterReport {
    fn of(view: &RegisterView) -> Self {
        let (authority, token) =
            view.authority.clone().map_or((None, 0), |(site, token)| (Some(site), token));
        Self {
            register: view.register.to_string(),
            authority,
            token,
            second_attempts_left: view.budget,
            second_attempts: view.second_attempts,
            sites: view.sites.iter().map(SiteReport::of).collect(),
        }
    }
}

impl SiteReport {
    fn of(view: &SiteView) -> Self {
        let trouble = view.doors.iter().find_map(|door| door.reads);
        let why = match (view.has_copy, trouble, view.back_in) {
            (false, _, _) => "has no copy that may answer".to_owned(),
            (true, Some(trouble), _) if view.load == 0 => trouble.text().to_owned(),
            (true, None, Some(back)) => format!("is well again; reads return in {}", span(back)),
            (true, Some(_), _) => "some of its doors are down".to_owned(),
            (true, None, None) => "is well".to_owned(),
        };
        Self {
            site: view.site.clone(),
            reads_percent: f64::from(view.load) / 10.0,
            why,
            changes: view.changes,
            doors: view.doors.iter().map(DoorReport::of).collect(),
        }
    }
}

impl DoorReport {
    fn of(view: &DoorView) -> Self {
        let text = |why: saatkond_proto::continuity::doors::Trouble| why.text().to_owned();
        let staleness =
            view.hint.as_ref().and_then(|(told, hint)| Some(hint.staleness?.saturating_add(*told)));
        Self {
            server: view.server.to_string(),
            reads: view.reads.map(text),
            writes: view.writes.map(text),
            heard_ms_ago: view.heard_ago.map(millis),
            suspicion: (view.suspicion * 10.0).round() / 10.0,
            read_ms: view.pace.map(millis),
            failures: view.failures.into(),
            staleness_ms: staleness.map(millis),
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// [`Failure`].
pub async fn sites(command: &Sites, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let conf = |file: &Path| Conf::load(file).map_err(|error| refused(&error));
    match (&command.action, &command.config) {
        (Some(SitesAction::Pin(pin)), _) => {
            let until = pin.until.map(UnixTime::to_rfc3339);
            let put = Pin { provider: pin.provider.to_string(), site: pin.site.clone(), until };
            change(&conf(&pin.of.config)?, streams, |pins| {
                pins.retain(|other| other.provider != put.provider);
                pins.push(put);
            })
        }
        (Some(SitesAction::Unpin(unpin)), _) => {
            let provider = unpin.provider.to_string();
            change(&conf(&unpin.of.config)?, streams, |pins| pins.retain(|pin| pin.provider != provider))
        }
        (None, Some(config)) => {
            let conf = conf(config)?;
            let (address, answer) = page(&conf, "/sites").await?;
            let mut report: SitesReport = serde_json::from_slice(&answer.body).map_err(|error| {
                let text = format!("at {address} answers something else than {}: {error}", conf.server);
                Failure::new(Exit::Unavailable, text)
                    .hint("another gateway, or another version, has this address")
            })?;
            if let Some(register) = &command.register {
                report.registers.retain(|one| one.register == register.to_string());
            }
            streams.data(if command.json {
                serde_json::to_string(&report).unwrap_or_default()
            } else {
                text(&report)
            });
            Ok(Exit::Done)
        }
        (None, None) => Err(Failure::new(Exit::Usage, "no gateway is named, expected --config FILE")),
    }
}

fn change(
    conf: &Conf,
    streams: &mut Streams<'_>,
    change: impl FnOnce(&mut Vec<Pin>),
) -> Result<Exit, Failure> {
    let failed = |error: PinsError| {
        let exit = match &error {
            PinsError::Disk { .. } => Exit::Disk,
            PinsError::Malformed { .. } => Exit::Configuration,
        };
        Failure::new(exit, error.to_string()).hint("mend the file or take it away")
    };
    let mut pins = pins::load(&conf.state).map_err(failed)?;
    change(&mut pins);
    pins::save(&conf.state, pins).map_err(failed)?;
    streams.talk("kept; a running gateway takes it over within two seconds");
    Ok(Exit::Done)
}

/// What a person reads.
fn text(report: &SitesReport) -> String {
    let mut out = format!("{}  at {}", report.server, report.time);
    if report.registers.is_empty() {
        out.push_str("\n  no register of the instance's policy was called yet");
    }
    for register in &report.registers {
        let leads = register.authority.as_deref().unwrap_or("nobody");
        out.push_str(&format!(
            "\n\n{}  led by {}, token {}",
            plain(&register.register),
            plain(leads),
            register.token
        ));
        for site in &register.sites {
            out.push_str(&format!(
                "\n  {:<12} {:>3.0} % of reads  {}",
                plain(&site.site),
                site.reads_percent,
                site.why
            ));
            site.doors.iter().for_each(|door| out.push_str(&door_text(door)));
        }
    }
    for pin in &report.pins {
        let until =
            pin.until.as_ref().map_or_else(|| "for good".to_owned(), |until| format!("until {until}"));
        out.push_str(&format!("\n\npinned  {} to {} {until}", plain(&pin.provider), plain(&pin.site)));
    }
    out
}

fn door_text(door: &DoorReport) -> String {
    let ms = |value: Option<u64>| value.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
    let mut out = format!("\n    {:<32} heard {} ago", door.server, ms(door.heard_ms_ago));
    if let Some(read) = door.read_ms {
        out.push_str(&format!(", reads take {read} ms"));
    }
    if let Some(staleness) = door.staleness_ms {
        out.push_str(&format!(", copy {staleness} ms old"));
    }
    for (kind, why) in [("reads", &door.reads), ("writes", &door.writes)] {
        if let Some(why) = why {
            out.push_str(&format!(", {kind}: {why}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_believed_is_told_with_the_reason() {
        let door = DoorReport {
            server: "DEV/GOV/M2/HOME".to_owned(),
            reads: Some("is silent".to_owned()),
            writes: Some("is silent".to_owned()),
            heard_ms_ago: Some(900),
            suspicion: 14.0,
            read_ms: Some(12),
            failures: [3, 0],
            staleness_ms: None,
        };
        let home = SiteReport {
            site: "home".to_owned(),
            reads_percent: 0.0,
            why: "is silent".to_owned(),
            changes: 1,
            doors: vec![door],
        };
        let land = RegisterReport {
            register: "DEV/GOV/M2/LAND".to_owned(),
            authority: Some("home".to_owned()),
            token: 0,
            second_attempts_left: 100,
            second_attempts: 0,
            sites: vec![home],
        };
        let report = SitesReport {
            server: "DEV/GOV/M1/TAX".to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            registers: vec![land],
            pins: vec![Pin { provider: "DEV/GOV/M2/LAND".to_owned(), site: "lux1".to_owned(), until: None }],
        };
        assert_eq!(
            text(&report),
            "DEV/GOV/M1/TAX  at 2026-01-02T03:04:05Z\n\n\
             DEV/GOV/M2/LAND  led by home, token 0\n\
             \x20 home           0 % of reads  is silent\n\
             \x20   DEV/GOV/M2/HOME                  heard 900 ms ago, reads take 12 ms, reads: is silent, writes: is silent\n\n\
             pinned  DEV/GOV/M2/LAND to lux1 for good"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<SitesReport>(&json).unwrap(), report);
    }
}
