//! `ca instance …`: the configuration of an instance, kept and signed.

use super::authority::{disk, possible, put};
use super::table::lay_out;
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::{self, Audience, Edition, PublishError, Signers, anchor_file, chain};
use crate::instance::Instance;
use crate::key::KeySpec;
use crate::span::Span;
use clap::{Args, Subcommand};
use saatkond_proto::continuity::Policy;
use saatkond_proto::globalconf::anchor::fingerprint;
use saatkond_proto::time::UnixTime;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `ca instance …`
#[derive(Debug, Clone, Subcommand)]
pub enum InstanceCommand {
    /// Make the directory and the keys that sign the configuration
    Init(InitInstance),
    /// Check an instance's file and keep it; who serves takes it over within a minute
    Apply(Apply),
    /// Show what was last applied
    Show(ShowInstance),
    /// Sign the configuration once, as files for any web server
    Sign(Sign),
    /// Write the anchor that members' servers are given, and say its fingerprint
    Anchor(Anchor),
}

/// Arguments of `ca instance init`.
#[derive(Debug, Clone, Args)]
pub struct InitInstance {
    /// The directory to make
    pub dir: PathBuf,
    /// What kind of keys: rsa-2048, rsa-3072, rsa-4096, p256 or p384
    #[arg(long, default_value = "rsa-3072", value_name = "KIND")]
    pub key: KeySpec,
}

/// Arguments of `ca instance apply`.
#[derive(Debug, Clone, Args)]
pub struct Apply {
    /// The instance's file
    pub file: PathBuf,
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Only check and say what would be published
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `ca instance show`.
#[derive(Debug, Clone, Args)]
pub struct ShowInstance {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ca instance sign`.
#[derive(Debug, Clone, Args)]
pub struct Sign {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The folder for the files: `V2/internalconf`, `V6/STAMP/shared-params.xml`, …
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// Arguments of `ca instance anchor`.
#[derive(Debug, Clone, Args)]
pub struct Anchor {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The anchor for other instances, not for the own servers
    #[arg(long)]
    pub external: bool,
    /// Where it goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

pub(super) fn run(
    command: &InstanceCommand,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    match command {
        InstanceCommand::Init(arguments) => {
            let key = possible(arguments.key, streams);
            Signers::create(&arguments.dir, key).map_err(|e| failure("cannot make the signing keys", &e))?;
            streams.talk(format!("made two {key} keys in {}", arguments.dir.display()));
            Ok(Exit::Done)
        }
        InstanceCommand::Apply(arguments) => apply(arguments, streams, now),
        InstanceCommand::Show(arguments) => show(arguments, streams, now),
        InstanceCommand::Sign(arguments) => sign(arguments, streams, now),
        InstanceCommand::Anchor(arguments) => anchor(arguments, streams),
    }
}

fn apply(arguments: &Apply, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let doing = format!("cannot apply {}", arguments.file.display());
    let applied = if arguments.dry_run {
        globalconf::check_file(&arguments.file, &arguments.dir, now)
    } else {
        globalconf::apply(&arguments.file, &arguments.dir, now)
    };
    let instance = applied.map_err(|e| failure(&doing, &e))?;
    for note in instance.notes() {
        streams.talk(format!("note: {note}"));
    }
    let verb = if arguments.dry_run { "would publish" } else { "applied" };
    streams.talk(format!("{verb} {}", summary(&instance)));
    Ok(Exit::Done)
}

fn summary(instance: &Instance) -> String {
    let shared = instance.shared();
    let subsystems: usize = shared.members.iter().map(|member| member.subsystems.len()).sum();
    let policy = instance.options().continuity.as_deref().map_or_else(String::new, |policy| {
        let (sites, registers) = (policy.sites.len(), policy.registers.len());
        format!(", {sites} sites and {registers} registers in generation {}", policy.generation)
    });
    format!(
        "{}: {} members, {subsystems} subsystems, {} servers, {} groups, {} certification and {} time-stamping services{policy}",
        instance.name(),
        shared.members.len(),
        shared.servers.len(),
        shared.groups.len(),
        shared.cas.len(),
        shared.tsas.len()
    )
}

fn show(arguments: &ShowInstance, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let instance = applied(&arguments.dir, now)?;
    let shared = instance.shared();
    if arguments.json {
        let members: Vec<_> = shared
            .members
            .iter()
            .map(|member| {
                let subsystems: Vec<_> = member.subsystems.iter().map(|s| s.code.clone()).collect();
                json!({"id": member.id.to_string(), "name": member.name, "subsystems": subsystems})
            })
            .collect();
        let servers: Vec<_> = shared
            .servers
            .iter()
            .map(|server| {
                let clients: Vec<_> = server.clients.iter().map(ToString::to_string).collect();
                json!({
                    "id": server.id.to_string(),
                    "address": server.address,
                    "clients": clients,
                    "maintenance": server.maintenance,
                })
            })
            .collect();
        streams.data(format!(
            "{:#}",
            json!({
                "instance": instance.name(),
                "addresses": instance.addresses(),
                "validity_seconds": instance.validity().as_secs(),
                "ocsp_freshness_seconds": shared.ocsp_freshness.as_secs(),
                "members": members,
                "servers": servers,
                "certification_services": shared.cas.iter().map(|ca| &ca.name).collect::<Vec<_>>(),
                "timestamping_services": shared.tsas.iter().map(|tsa| &tsa.name).collect::<Vec<_>>(),
                "continuity": instance.options().continuity.as_deref().map(continuity),
                "notes": instance.notes(),
            })
        ));
        return Ok(Exit::Done);
    }
    streams.data(summary(&instance));
    let mut rows = vec![["SERVER", "ADDRESS", "CLIENTS"].map(str::to_owned).to_vec()];
    for server in &shared.servers {
        let clients: Vec<String> = server.clients.iter().map(ToString::to_string).collect();
        rows.push(vec![server.id.to_string(), server.address.clone(), clients.join(", ")]);
    }
    streams.data(lay_out(&rows));
    for note in instance.notes() {
        streams.talk(format!("note: {note}"));
    }
    Ok(Exit::Done)
}

fn continuity(policy: &Policy) -> serde_json::Value {
    let sites = policy.sites.iter().map(|site| {
        let servers: Vec<_> = site.servers.iter().map(ToString::to_string).collect();
        json!({
            "id": site.id,
            "role": site.role.text(),
            "jurisdiction": site.jurisdiction.to_string(),
            "servers": servers,
            "relay": site.relay,
        })
    });
    let registers = policy.registers.iter().map(|register| {
        json!({
            "id": register.id.to_string(),
            "class": register.class.text(),
            "succession": register.succession,
            "live": register.live,
            "staleness_seconds": register.staleness.as_secs(),
            "staleness_max_seconds": register.staleness_max.as_secs(),
        })
    });
    json!({
        "generation": policy.generation,
        "sites": sites.collect::<Vec<_>>(),
        "registers": registers.collect::<Vec<_>>(),
        "operators": policy.operators.iter().map(|o| &o.name).collect::<Vec<_>>(),
    })
}

fn sign(arguments: &Sign, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let doing = "cannot sign the configuration";
    let instance = applied(&arguments.dir, now)?;
    let signers = Signers::open(&arguments.dir).map_err(|e| failure(doing, &e))?;
    let edition = Edition::new(&instance, &signers, now).map_err(|e| failure(doing, &e))?;
    let publication = edition.sign(&signers, now).map_err(|e| failure(doing, &e))?;
    publication.write(&edition, &arguments.out).map_err(|e| failure(doing, &e))?;
    streams.talk(format!(
        "signed {}: good until {}, {} from now",
        instance.name(),
        publication.expires(),
        Span(instance.validity())
    ));
    Ok(Exit::Done)
}

fn anchor(arguments: &Anchor, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let audience = if arguments.external { Audience::External } else { Audience::Internal };
    let path = anchor_file(&arguments.dir, audience);
    let bytes = std::fs::read(&path)
        .map_err(|e| disk("read", &path, &e).hint("`ca instance apply FILE` writes the anchors"))?;
    put(arguments.out.as_deref(), &bytes, streams)?;
    streams.talk(format!("fingerprint (SHA-224): {}", fingerprint(&bytes)));
    Ok(Exit::Done)
}

fn applied(directory: &Path, now: UnixTime) -> Result<Instance, Failure> {
    globalconf::applied(directory, now).map_err(|e| {
        failure("cannot read what was applied", &e)
            .hint("`ca instance apply FILE` checks and keeps an instance")
    })
}

fn failure(doing: &str, error: &PublishError) -> Failure {
    let text = format!("{doing}: {}", chain(error));
    match error {
        PublishError::Exists(_) => {
            Failure::new(Exit::NotAllowed, text).hint("keys are never overwritten; name another directory")
        }
        PublishError::Instance(_)
        | PublishError::Document { .. }
        | PublishError::LeftOut(_)
        | PublishError::Directory(_) => {
            Failure::new(Exit::Configuration, text).hint("nothing has changed; what is published stays")
        }
        PublishError::Key(_) | PublishError::Certificate(_) => Failure::new(Exit::Configuration, text)
            .hint("`ca instance init DIR` makes the signing keys; --dir names that directory"),
        PublishError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::new(Exit::Configuration, text)
        }
        PublishError::File { .. } => Failure::new(Exit::Disk, text),
        _ => Failure::new(Exit::OurBug, text),
    }
}
