//! `saatkond check`: everything `run` would refuse, without running.
//!
//! Nothing is fetched, nothing is changed. Beside a gateway that runs it looks at the same files and leaves its doors alone.

use super::bind;
use super::cli::refused;
use super::output;
use super::run::keys_refused;
use super::words::{count, span};
use crate::clock::Clock;
use crate::conf::{Conf, ServerConf};
use crate::jobs::globalconf;
use crate::keys::Keys;
use crate::keys::pin::PinSource;
use crate::messagelog::LogReader;
use crate::net::BindError;
use crate::world::World;
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::globalconf::Anchor;
use saatkond_proto::globalconf::anchor::fingerprint;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it; `null` where nothing needs to be done, or nothing can be said.
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
pub fn check(file: &Path, json: bool, clock: &Clock, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let findings = findings(file, clock);
    let of = |state| findings.iter().filter(|finding| finding.state == state).count() as u64;
    let (refused, warnings) = (of(State::Refused), of(State::Warning));
    if json {
        streams.data(serde_json::json!({ "ok": refused == 0, "findings": findings }));
    } else {
        findings.iter().for_each(|finding| streams.data(line(finding)));
    }
    let care =
        if warnings > 0 { format!(", {}", count(warnings, "warning", "warnings")) } else { String::new() };
    if refused == 0 {
        streams.talk(format_args!("`saatkond run` would start{care}"));
        Ok(Exit::Done)
    } else {
        streams.talk(format_args!("`saatkond run` would refuse {}{care}", count(refused, "thing", "things")));
        Ok(Exit::Configuration)
    }
}

fn line(finding: &Finding) -> String {
    let word = match finding.state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Refused => "refused",
    };
    let mut line = format!("{word:<8}  {:<22}{}", finding.what, finding.detail);
    if let Some(hint) = &finding.hint {
        line.push_str(&format!("\n{:>9} {hint}", "hint:"));
    }
    line
}

/// Everything that was looked at, in the order in which `run` needs it.
#[must_use]
pub fn findings(file: &Path, clock: &Clock) -> Vec<Finding> {
    let mut found = Vec::new();
    let conf = match Conf::load(file) {
        Ok(conf) => conf,
        Err(error) => return vec![of_failure("gateway.toml", refused(&error))],
    };
    let demo = if conf.demo { ", a demonstration's" } else { "" };
    found.push(ok("gateway.toml", format!("{}: server {}{demo}", file.display(), conf.server)));
    found.push(log_lines(&conf));
    let is_running = is_running(&conf);
    doors(&conf, is_running, &mut found);
    let keys = keys(&conf, &mut found);
    let server = server(&conf, &mut found);
    found.push(log(&conf, is_running));
    found.push(archive(&conf));
    found.push(state(&conf));
    found.push(match anchor(&conf) {
        Ok(fingerprint) => {
            ok("configuration anchor", format!("{}: SHA-224 {fingerprint}", conf.anchor.display()))
        }
        Err(failure) => of_failure("configuration anchor", failure),
    });
    beliefs(&conf, server, keys.as_ref(), clock, &mut found);
    found
}

fn ok(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Ok, detail, hint: None }
}

fn warning(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Warning, detail, hint: None }
}

fn of_failure(what: &str, failure: Failure) -> Finding {
    Finding {
        what: what.to_owned(),
        state: State::Refused,
        detail: failure.message,
        hint: failure.hint.filter(|hint| !hint.contains("saatkond check")),
    }
}

/// A path without the `.` that a relative directory brings.
fn shown(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}

fn log_lines(conf: &Conf) -> Finding {
    let variable = std::env::var(output::VARIABLE).ok();
    match output::filter(conf, variable.as_deref()) {
        Ok(filter) => ok("log lines", filter.to_string()),
        Err(failure) => of_failure("log lines", failure),
    }
}

/// Whether a gateway has this state directory: then it has its doors, too.
fn is_running(conf: &Conf) -> bool {
    let lock = File::options().read(true).write(true).open(conf.log_dir().join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn doors(conf: &Conf, is_running: bool, found: &mut Vec<Finding>) {
    let listen = &conf.listen;
    let doors = [
        ("listen.clients", "information systems", listen.clients),
        ("listen.clients_tls", "information systems", listen.clients_tls),
        ("listen.servers", "other gateways", listen.servers),
        ("listen.ocsp", "other gateways", listen.ocsp),
        ("listen.health", "health", listen.health),
    ];
    for (key, who, address) in doors {
        found.push(match address {
            None => ok(key, "off".to_owned()),
            Some(address) => door(conf, (key, who, address), is_running),
        });
    }
}

fn door(conf: &Conf, door: (&'static str, &'static str, SocketAddr), is_running: bool) -> Finding {
    let (key, who, address) = door;
    match TcpListener::bind(address) {
        Ok(_) => ok(key, format!("{address} is free")),
        Err(error) if is_running && error.kind() == std::io::ErrorKind::AddrInUse => {
            ok(key, format!("{address} is in use, and this gateway runs"))
        }
        Err(source) => {
            let error = BindError { address, who, key, source };
            of_failure(key, bind::failure(&error, &conf.file))
        }
    }
}

fn keys(conf: &Conf, found: &mut Vec<Finding>) -> Option<Keys> {
    let dir = conf.keys_dir();
    let keys = match Keys::open(&dir, conf.signing.batch_max, &PinSource::of(conf.keys.pin())) {
        Ok(keys) => keys,
        Err(error) => {
            found.push(of_failure("keys", keys_refused(&error)));
            return None;
        }
    };
    let certificates = count(keys.certificates().len() as u64, "certificate", "certificates");
    let unencrypted = match keys.unencrypted() as u64 {
        0 => String::new(),
        some => format!("; {} not encrypted", count(some, "key is", "keys are")),
    };
    found.push(match conf.open_to_others().filter(|_| keys.are_a_demonstration()) {
        Some((door, address)) => of_failure(
            "keys",
            Failure::new(
                Exit::NotAllowed,
                format!("they are a demonstration's, and {door} is {address}, which is no loopback address"),
            )
            .hint("make keys of your own: whoever has this demonstration's may speak in your name"),
        ),
        None => ok("keys", format!("{}: {certificates}{unencrypted}", shown(&dir))),
    });
    if conf.listen.clients_tls.is_some() && keys.internal_tls().is_none() {
        let failure = Failure::new(Exit::Configuration, "no key of use internal-tls is kept")
            .hint(format!("add one to {}, or set it to \"off\"", dir.join("keys.toml").display()));
        found.push(of_failure("listen.clients_tls", failure));
    }
    Some(keys)
}

fn server(conf: &Conf, found: &mut Vec<Finding>) -> Option<ServerConf> {
    let server = match ServerConf::load(&conf.server_file, conf.instance()) {
        Ok(server) => server,
        Err(error) => {
            found.push(of_failure("server.toml", refused(&error)));
            return None;
        }
    };
    let clients = count(server.clients().count() as u64, "client", "clients");
    let services: usize = server.clients().map(|client| client.services.len()).sum();
    let services = count(services as u64, "service", "services");
    let text = format!("{}: {clients}, {services}", conf.server_file.display());
    let is_empty = server.clients().next().is_none();
    found.push(if is_empty { warning("server.toml", text) } else { ok("server.toml", text) });
    Some(server)
}

fn log(conf: &Conf, is_running: bool) -> Finding {
    let dir = conf.log_dir();
    if !dir.exists() {
        return ok("message log", format!("{} will be made", shown(&dir)));
    }
    match LogReader::open(&dir) {
        Ok(reader) => {
            let numbers = reader.numbers();
            let records = count(numbers.end.saturating_sub(numbers.start), "record", "records");
            let unstamped = count(reader.unstamped() as u64, "message", "messages");
            let running = if is_running { ", and this gateway runs" } else { "" };
            let text = format!("{}: {records}, {unstamped} without a time-stamp{running}", shown(&dir));
            ok("message log", text)
        }
        Err(error) => of_failure("message log", Failure::new(Exit::Disk, error.to_string())),
    }
}

/// Where messages are archived to, and when they are deleted.
fn archive(conf: &Conf) -> Finding {
    let (what, keep) = ("archive", conf.log.keep);
    let kept = if keep.is_zero() {
        "nothing is deleted from the message log".to_owned()
    } else {
        format!("messages stay in the log for {}", span(keep))
    };
    let Some(dir) = conf.log.archives() else {
        let text = format!("off; {kept}");
        return if keep.is_zero() {
            ok(what, text)
        } else {
            let hint = "set `log.archive` to a directory, or `log.keep` to \"0 s\" to keep them for ever";
            Finding { hint: Some(hint.to_owned()), ..warning(what, format!("{text}, and are gone then")) }
        };
    };
    // The directory is made by the job itself, if what it is in can be written to.
    let place = if dir.exists() { dir } else { dir.parent().unwrap_or(dir) };
    let probe = place.join(format!(".check-{}.tmp", std::process::id()));
    match File::create(&probe).and_then(|_| fs::remove_file(&probe)) {
        Ok(()) => ok(what, format!("{}; {kept}", shown(dir))),
        Err(error) => {
            let hint = "until it can be, nothing is archived, and nothing is deleted from the message log";
            let text = format!("{} cannot be written to: {error}", shown(dir));
            Finding { hint: Some(hint.to_owned()), ..warning(what, text) }
        }
    }
}

/// Whether files can be made where the message log, the spool and all that is fetched is kept.
fn state(conf: &Conf) -> Finding {
    let probe = conf.state.join(format!(".check-{}.tmp", std::process::id()));
    match File::create(&probe).and_then(|_| fs::remove_file(&probe)) {
        Ok(()) => ok("state", format!("{} can be written to", shown(&conf.state))),
        Err(error) => {
            let text = format!("{} cannot be written to: {error}", shown(&conf.state));
            let hint = "run this as the user that runs the gateway, and give that user the directory";
            of_failure("state", Failure::new(Exit::Disk, text).hint(hint))
        }
    }
}

/// The fingerprint of the configuration anchor, which must be one of our instance: without it nothing is ever renewed.
///
/// # Errors
/// [`Failure`].
pub(super) fn anchor(conf: &Conf) -> Result<String, Failure> {
    let file = conf.anchor.display();
    let refuse = |text: String| {
        let hint = format!("have it from the authority of {}; `anchor` names the file", conf.instance());
        Failure::new(Exit::Configuration, text).hint(hint)
    };
    let bytes = fs::read(&conf.anchor).map_err(|error| refuse(format!("cannot read {file}: {error}")))?;
    let anchor = Anchor::from_xml(&bytes).map_err(|error| refuse(format!("{file}: {error}")))?;
    if anchor.instance == conf.instance() {
        Ok(fingerprint(&bytes))
    } else {
        Err(refuse(format!("{file} is of instance {}, expected {}", anchor.instance, conf.instance())))
    }
}

/// What the stored configuration says of our keys; `run` fetches anew, so nothing here is refused.
fn beliefs(
    conf: &Conf,
    server: Option<ServerConf>,
    keys: Option<&Keys>,
    clock: &Clock,
    found: &mut Vec<Finding>,
) {
    let (what, now) = ("global configuration", clock.now());
    let dir = conf.globalconf_dir();
    let globalconf = match globalconf::load(conf) {
        Ok(globalconf) => globalconf,
        Err(_) if !dir.exists() => {
            found.push(ok(what, "none is stored yet: `run` fetches it".to_owned()));
            return;
        }
        Err(error) => {
            found.push(warning(what, format!("what is stored does not serve, `run` fetches it: {error}")));
            return;
        }
    };
    found.push(if globalconf.is_valid_at(now) {
        ok(what, format!("the stored one holds until {}", globalconf.expires()))
    } else {
        warning(what, format!("the stored one expired at {}: `run` fetches it", globalconf.expires()))
    });
    let (Some(keys), Some(server)) = (keys, server) else { return };
    let statuses = crate::jobs::ocsp::load(&conf.ocsp_dir(), &keys.certificates(), &globalconf, now);
    let members: BTreeSet<_> = server.clients().map(|client| client.id.member.clone()).collect();
    let globalconf = Arc::new(globalconf.at(now));
    let world = World::new(&conf.server, globalconf, Arc::new(server), Arc::new(statuses), keys, now);
    registers(conf, &world, found);
    let serves = |what: &str, of: String, until| ok(what, format!("{of}: good until {until}"));
    found.push(match world.auth(now) {
        Ok(key) => serves("authentication key", conf.server.to_string(), key.good_until),
        Err(error) => warning("authentication key", error.reasons.join("; ")),
    });
    found.extend(members.iter().map(|member| match world.signer(member, now) {
        Ok(key) => serves("sign key", member.to_string(), key.good_until),
        Err(error) => warning("sign key", format!("{member}: {}", error.reasons.join("; "))),
    }));
}

/// What the instance's decision about sites and registers says of the clients here.
fn registers(conf: &Conf, world: &World, found: &mut Vec<Finding>) {
    let Some(policy) = world.conf.continuity() else { return };
    let what = "sites and registers";
    found.push(match (world.conf.continuity_trouble(), policy.site_of(&conf.server)) {
        (Some(trouble), _) => warning(what, trouble.to_owned()),
        (None, Some(site)) => ok(
            what,
            format!("generation {}, this server stands at {} ({})", policy.generation, site.id, site.role),
        ),
        (None, None) => ok(what, format!("generation {}, this server stands at none", policy.generation)),
    });
    for (_, why) in world.stopped() {
        let hint = "take the client out of server.toml, and have its registration on this server withdrawn";
        found.push(of_failure(what, Failure::new(Exit::NotAllowed, why.to_owned()).hint(hint)));
    }
    let here: Vec<_> = world.server.clients().filter_map(|client| policy.register(&client.id)).collect();
    let other =
        here.iter().find(|register| here.first().is_some_and(|r| r.succession != register.succession));
    if let Some((first, other)) = here.first().zip(other) {
        let text = format!(
            "{} and {} have different successions and share this server: its port stays open while either can be \
             served, and callers of the other then wait for a refusal",
            first.id, other.id
        );
        let hint = Some("give registers of different successions servers of their own".to_owned());
        found.push(Finding { hint, ..warning(what, text) });
    }
}

#[cfg(test)]
mod tests;
