//! `ca instance key …`: the keys that sign the configuration, changed so that no client is lost.

use super::authority::possible;
use super::instance::{Changing, actor, failure, open};
use super::table::lay_out;
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::{Audience, Central, KeyState, PublishError};
use crate::key::KeySpec;
use crate::store::By;
use clap::{Args, Subcommand};
use saatkond_proto::globalconf::anchor::fingerprint;
use saatkond_proto::time::UnixTime;
use serde_json::json;
use std::path::PathBuf;

/// `ca instance key …`
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Show every key, and what may be done with it
    List {
        /// The directory made by `ca instance init`
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key of this node: first of three steps, clients are told of it
    Add {
        /// Make it for what other instances read, not for what the own servers do
        #[arg(long)]
        external: bool,
        /// What kind of key: rsa-2048, rsa-3072, rsa-4096, p256 or p384
        #[arg(long, default_value = "rsa-3072", value_name = "KIND")]
        key: KeySpec,
        /// Where, why, and without asking
        #[command(flatten)]
        changing: Changing,
    },
    /// Sign with a key from the next renewal on: once every client knows it
    Activate(KeyStep),
    /// Forget a key: once nothing that it signed is needed
    Retire(KeyStep),
}

/// Arguments of what is done with one key.
#[derive(Debug, Clone, Args)]
pub struct KeyStep {
    /// Its name, as `key list` shows it
    pub id: String,
    /// Do it before its time, and leave clients behind: they need the new anchor by hand
    #[arg(long)]
    pub insist: bool,
    /// Where, why, and without asking
    #[command(flatten)]
    pub changing: Changing,
}

pub(super) fn run(command: &KeyCommand, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    match command {
        KeyCommand::List { dir, json } => list(&open(dir)?, *json, streams, now),
        KeyCommand::Add { external, key, changing } => {
            let audience = if *external { Audience::External } else { Audience::Internal };
            let spec = possible(*key, streams);
            let (central, actor) = (open(&changing.dir)?, actor());
            let by = By { actor: &actor, at: now, why: &changing.why };
            let added = central.add_key(audience, spec, &by);
            let added = added.map_err(|e| failure("cannot add a key", &e))?;
            streams.data(&added.id);
            streams.talk(format!("made {spec} key {} for the {} configuration", added.id, audience.name()));
            tell_anchor(&central, audience, streams)
        }
        KeyCommand::Activate(KeyStep { id, insist, changing }) => {
            if *insist {
                streams.agreed("leave behind every client that does not know the key", changing.yes)?;
            }
            let (central, actor) = (open(&changing.dir)?, actor());
            let by = By { actor: &actor, at: now, why: &changing.why };
            let active = central.activate_key(id, *insist, &by);
            let active = active.map_err(|e| failure(&format!("cannot activate key {id}"), &e))?;
            streams.talk(format!("node {} signs with {id} from its next renewal on", active.node));
            streams.talk(
                "note: clients of version 2, and servers that were off since the key was added, believe their anchor alone",
            );
            tell_anchor(&central, active.audience, streams)
        }
        KeyCommand::Retire(KeyStep { id, insist, changing }) => {
            streams.agreed(&format!("destroy key {id}"), changing.yes)?;
            let (central, actor) = (open(&changing.dir)?, actor());
            let by = By { actor: &actor, at: now, why: &changing.why };
            let gone = central.retire_key(id, *insist, &by);
            let gone = gone.map_err(|e| failure(&format!("cannot retire key {id}"), &e))?;
            streams.talk(format!("key {id} is gone"));
            tell_anchor(&central, gone.audience, streams)
        }
    }
}

/// The anchor changes with the keys: whoever is given it compares this.
fn tell_anchor(central: &Central, audience: Audience, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    match central.anchor(audience) {
        Ok(bytes) => {
            let print = fingerprint(&bytes);
            streams.talk(format!("the {} anchor has fingerprint (SHA-224) {print}", audience.name()));
            Ok(Exit::Done)
        }
        Err(PublishError::Nothing) => Ok(Exit::Done),
        Err(error) => Err(failure("cannot read the anchor", &error)),
    }
}

fn list(central: &Central, is_json: bool, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let keys = central.keys(now).map_err(|e| failure("cannot list the keys", &e))?;
    if is_json {
        let rows = keys.iter().map(|KeyState { key, ready_at, needed_until }| {
            json!({
                "id": key.id,
                "node": key.node,
                "audience": key.audience.name(),
                "is_active": key.is_active,
                "added_at": UnixTime::from_millis(key.added_at).to_string(),
                "ready_at": ready_at.map(|at| at.to_string()),
                "needed_until": needed_until.map(|at| at.to_string()),
            })
        });
        streams.data(format!("{:#}", json!(rows.collect::<Vec<_>>())));
        return Ok(Exit::Done);
    }
    let mut rows = vec![["KEY", "NODE", "FOR", "ADDED", "STANDS"].map(str::to_owned).to_vec()];
    for KeyState { key, ready_at, needed_until } in &keys {
        let stands = match (key.is_active, ready_at, needed_until) {
            (true, _, _) => "signs".to_owned(),
            (false, _, Some(until)) if *until >= now => format!("what it signed holds until {until}"),
            (false, _, Some(_)) => "may be retired".to_owned(),
            (false, None, None) => "not every node has told of it".to_owned(),
            (false, Some(at), None) if *at > now => format!("every client knows it from {at} on"),
            (false, Some(_), None) => "may be activated".to_owned(),
        };
        let added = UnixTime::from_millis(key.added_at).to_string();
        rows.push(vec![key.id.clone(), key.node.clone(), key.audience.name().to_owned(), added, stands]);
    }
    streams.data(lay_out(&rows));
    Ok(Exit::Done)
}
