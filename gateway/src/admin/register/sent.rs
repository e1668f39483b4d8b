//! What was asked from here before: one line of JSON for each request, in `requests.jsonl` of the state directory.
//!
//! It only reminds: what holds is what the configuration says.

use crate::conf::Conf;
use saatkond_ca::cli::table::lay_out;
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::management::{Ask, Request};
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// A request that the central server took.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    /// When, as RFC 3339.
    at: String,
    /// The number that it got.
    number: u64,
    /// Its document.
    document: String,
}

pub(super) fn file(conf: &Conf) -> PathBuf {
    conf.state.join("requests.jsonl")
}

/// Remembers a request that was taken.
pub(super) fn keep(conf: &Conf, document: &[u8], number: u64, at: UnixTime) -> io::Result<()> {
    let document = String::from_utf8_lossy(document).into_owned();
    let line = serde_json::to_string(&Sent { at: at.to_rfc3339(), number, document })?;
    let mut file = OpenOptions::new().create(true).append(true).open(file(conf))?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

/// Tells what was asked, the oldest first, and what the configuration says of it.
pub(super) fn list(
    conf: &Conf,
    world: &GlobalConf,
    is_json: bool,
    streams: &mut Streams<'_>,
) -> Result<Exit, Failure> {
    let file = file(conf);
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read
            .map_err(|error| Failure::new(Exit::Disk, format!("cannot read {}: {error}", file.display())))?,
    };
    let mut rows = vec![["REQUEST", "SENT", "WHAT", "ABOUT", "STATE"].map(str::to_owned).to_vec()];
    let mut all = Vec::new();
    for line in text.lines() {
        let read = serde_json::from_str(line).ok();
        let read = read.and_then(|sent: Sent| Some((Request::read(sent.document.as_bytes()).ok()?.1, sent)));
        let Some((request, Sent { at, number, .. })) = read else {
            streams.talk(format!("warning: a line of {} is none of ours and passed over", file.display()));
            continue;
        };
        let (code, about, state) = (request.ask.service_code(), subject(&request), state(&request, world));
        all.push(serde_json::json!({
            "request": number, "sent": at, "what": code, "about": about, "state": state,
        }));
        rows.push(vec![number.to_string(), at, code.to_owned(), about, state.to_owned()]);
    }
    if is_json {
        streams.data(format!("{:#}", serde_json::Value::Array(all)));
    } else if all.is_empty() {
        streams.talk("nothing was asked from here");
    } else {
        streams.data(lay_out(&rows));
    }
    Ok(Exit::Done)
}

/// What a request is about, in a word.
pub(super) fn subject(request: &Request) -> String {
    match &request.ask {
        Ask::RegisterClient { client, .. }
        | Ask::RenameClient { client, .. }
        | Ask::DeleteClient(client)
        | Ask::DisableClient(client)
        | Ask::EnableClient(client) => client.to_string(),
        Ask::ChangeOwner(member) => member.to_string(),
        Ask::ChangeAddress(address) => address.clone(),
        Ask::RegisterCertificate { .. }
        | Ask::DeleteCertificate { .. }
        | Ask::BeginMaintenance { .. }
        | Ask::EndMaintenance => request.server.to_string(),
    }
}

const SHOWN: &str = "in the configuration";
const WAITING: &str = "not in the configuration: waits for approval, was declined, or was changed since";

/// Whether the configuration shows what was asked.
fn state(request: &Request, world: &GlobalConf) -> &'static str {
    let Some(server) = world.server(&request.server) else {
        // the owner of a server changes its very name
        let is_owner = |owner| {
            world
                .servers(&request.server.owner.instance)
                .iter()
                .any(|s| s.id.owner == owner && s.id.code == request.server.code)
        };
        return match &request.ask {
            Ask::ChangeOwner(member) if is_owner(member.clone()) => SHOWN,
            _ => WAITING,
        };
    };
    let is_client = |client| world.is_registered_on(client, server);
    let is_shown = match &request.ask {
        Ask::RegisterCertificate { certificate, .. } => {
            world.server_by_auth_cert(certificate).is_some_and(|s| s.id == request.server)
        }
        Ask::DeleteCertificate { certificate } => world.server_by_auth_cert(certificate).is_none(),
        Ask::RegisterClient { client, .. } | Ask::EnableClient(client) => is_client(client),
        Ask::DeleteClient(client) | Ask::DisableClient(client) => !is_client(client),
        Ask::RenameClient { client, name } => {
            let member = world.members(&client.member.instance).iter().find(|m| m.id == client.member);
            member
                .into_iter()
                .flat_map(|m| &m.subsystems)
                .any(|s| Some(&s.code) == client.subsystem.as_ref() && s.name.as_ref() == Some(name))
        }
        Ask::ChangeOwner(_) => false,
        Ask::ChangeAddress(address) => server.address == *address,
        Ask::BeginMaintenance { .. } => server.maintenance.is_some(),
        Ask::EndMaintenance => server.maintenance.is_none(),
    };
    if is_shown { SHOWN } else { WAITING }
}
