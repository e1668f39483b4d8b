//! `saatkond check`: everything `run` would refuse, without running.

use crate::clock::Clock;
use crate::conf::{Conf, ConfError, ServerConf};
use crate::jobs::globalconf;
use crate::keys::{Keys, Statuses};
use crate::messagelog::LogReader;
use crate::world::World;
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::globalconf::Anchor;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub state: State,
    /// What was found; empty where all is well.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// `run` takes it.
    Ok,
    /// `run` takes it, and it needs care.
    Warning,
    /// `run` refuses it.
    Refused,
}

/// Looks at everything and tells; refused things make exit code 78.
///
/// # Errors
/// None of its own: what is refused is told as a finding.
pub fn check(file: &Path, json: bool, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let findings = findings(file);
    if json {
        streams.data(serde_json::json!({ "findings": findings }));
    } else {
        for finding in &findings {
            let word = match finding.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Refused => "refused",
            };
            let colon = if finding.detail.is_empty() { "" } else { ": " };
            streams.data(format!("{word:<8} {}{colon}{}", finding.what, finding.detail));
            if let Some(hint) = &finding.hint {
                streams.data(format!("    hint: {hint}"));
            }
        }
    }
    let refused = findings.iter().any(|f| f.state == State::Refused);
    Ok(if refused { Exit::Configuration } else { Exit::Done })
}

/// Everything that was looked at, in the order in which `run` needs it.
#[must_use]
pub fn findings(file: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let conf = match Conf::load(file) {
        Ok(conf) => conf,
        Err(error) => {
            found.push(refused_conf("gateway.toml", &error));
            return found;
        }
    };
    found.push(ok("gateway.toml", format!("server {}", conf.server)));
    let server = match ServerConf::load(&conf.server_file, conf.instance()) {
        Ok(server) => {
            let clients = server.clients().count();
            let services: usize = server.clients().map(|c| c.services.len()).sum();
            let text = format!("clients: {clients}, services: {services}");
            found.push(if clients == 0 { warning("server.toml", text) } else { ok("server.toml", text) });
            Some(server)
        }
        Err(error) => {
            found.push(refused_conf("server.toml", &error));
            None
        }
    };
    found.push(anchor(&conf));
    let keys = keys(&conf, &mut found);
    found.push(log(&conf));
    beliefs(&conf, server, keys.as_ref(), &mut found);
    found
}

fn ok(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Ok, detail, hint: None }
}

fn warning(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Warning, detail, hint: None }
}

fn refused(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Refused, detail, hint: None }
}

fn refused_conf(what: &str, error: &ConfError) -> Finding {
    Finding { hint: error.hint().map(str::to_owned), ..refused(what, error.to_string()) }
}

fn anchor(conf: &Conf) -> Finding {
    let what = "configuration anchor";
    let bytes = match std::fs::read(&conf.anchor) {
        Ok(bytes) => bytes,
        Err(error) => return refused(what, format!("{}: {error}", conf.anchor.display())),
    };
    match Anchor::from_xml(&bytes) {
        Ok(anchor) if anchor.instance == conf.instance() => {
            let fingerprint = saatkond_proto::globalconf::anchor::fingerprint(&bytes);
            ok(what, format!("instance {}, SHA-224 {fingerprint}", anchor.instance))
        }
        Ok(anchor) => {
            refused(what, format!("it is of instance {}, expected {}", anchor.instance, conf.instance()))
        }
        Err(error) => refused(what, format!("{}: {error}", conf.anchor.display())),
    }
}

fn keys(conf: &Conf, found: &mut Vec<Finding>) -> Option<Keys> {
    match Keys::open(&conf.keys_dir(), conf.signing.batch_max) {
        Ok(keys) => {
            let open = conf.open_to_others().filter(|_| keys.are_a_demonstration());
            found.push(match open {
                Some((door, address)) => {
                    refused("keys", format!("they are a demonstration's, and {door} is {address}"))
                }
                None => ok("keys", format!("certificates: {}", keys.certificates().len())),
            });
            if conf.listen.clients_tls.is_some() && keys.internal_tls().is_none() {
                found.push(refused("listen.clients_tls", "no key of use internal-tls is kept".to_owned()));
            }
            Some(keys)
        }
        Err(error) => {
            found.push(refused("keys", error.to_string()));
            None
        }
    }
}

fn log(conf: &Conf) -> Finding {
    let dir = conf.log_dir();
    if !dir.exists() {
        return ok("message log", format!("{} will be made", dir.display()));
    }
    match LogReader::open(&dir) {
        Ok(reader) => {
            let numbers = reader.numbers();
            let records = numbers.end.saturating_sub(numbers.start);
            ok("message log", format!("records: {records}, without a time-stamp: {}", reader.unstamped()))
        }
        Err(error) => refused("message log", error.to_string()),
    }
}

/// What the stored configuration says of our keys; `run` fetches anew, so nothing here is refused.
fn beliefs(conf: &Conf, server: Option<ServerConf>, keys: Option<&Keys>, found: &mut Vec<Finding>) {
    let clock = Clock::system();
    let now = clock.now();
    let globalconf = match globalconf::load(&conf.globalconf_dir(), conf.instance()) {
        Ok(globalconf) => globalconf,
        Err(error) => {
            found.push(warning("global configuration", format!("none is stored; `run` fetches it: {error}")));
            return;
        }
    };
    let text = format!("{}, holds until {}", globalconf.own_instance(), globalconf.expires());
    let valid = globalconf.is_valid_at(now);
    found.push(if valid { ok("global configuration", text) } else { warning("global configuration", text) });
    let (Some(keys), Some(server)) = (keys, server) else { return };
    let statuses: Statuses =
        crate::jobs::ocsp::load(&conf.ocsp_dir(), &keys.certificates(), &globalconf, now);
    let mut members: Vec<_> = server.clients().map(|c| c.id.member.clone()).collect();
    members.dedup();
    let conf_now = Arc::new(globalconf.at(now));
    let world = World::new(&conf.server, conf_now, Arc::new(server), Arc::new(statuses), keys, now);
    found.push(match world.auth(now) {
        Ok(key) => ok("authentication key", format!("good until {}", key.good_until)),
        Err(error) => warning("authentication key", error.reasons.join("; ")),
    });
    for member in members {
        let what = format!("sign key of {member}");
        found.push(match world.signer(&member, now) {
            Ok(key) => ok(&what, format!("good until {}", key.good_until)),
            Err(error) => warning(&what, error.reasons.join("; ")),
        });
    }
}
