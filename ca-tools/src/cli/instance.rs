//! `ca instance …`: the configuration of an instance, kept and signed.

use super::authority::{possible, put};
use super::difference;
use super::members::{self, GroupCommand, MemberCommand, ServerCommand, SubsystemCommand};
use super::requests::{self, Decision, Requests};
use super::signing_keys::{self, KeyCommand};
use super::table::lay_out;
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::{Audience, Central, Edition, Node, PublishError, chain};
use crate::instance::Instance;
use crate::key::KeySpec;
use crate::span::Span;
use crate::store::{By, Change, Difference, State, StoreError};
use clap::{Args, Subcommand};
use saatkond_proto::continuity::Policy;
use saatkond_proto::globalconf::anchor::fingerprint;
use saatkond_proto::time::UnixTime;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `ca instance …`
#[derive(Debug, Clone, Subcommand)]
pub enum InstanceCommand {
    /// Make the directory of a node and the keys that sign the configuration
    Init(InitInstance),
    /// Check an instance's file and keep it; who serves takes it over within a minute
    Apply(Apply),
    /// Write the instance as a file that `apply` takes
    Export(Export),
    /// Show the instance
    Show(ShowInstance),
    /// Show who changed what, when
    History(History),
    /// Add, rename or remove a member
    #[command(subcommand)]
    Member(MemberCommand),
    /// Add, rename or remove a subsystem
    #[command(subcommand)]
    Subsystem(SubsystemCommand),
    /// Add, change or remove a security server
    #[command(subcommand)]
    Server(ServerCommand),
    /// Add, change or remove a global group
    #[command(subcommand)]
    Group(GroupCommand),
    /// Show what security servers asked for
    Requests(Requests),
    /// Do what a security server asked for
    Approve(Decision),
    /// Decline what a security server asked for
    Decline(Decision),
    /// The keys that sign the configuration: add, activate, retire, in this order
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign the configuration once, as files for any web server
    Sign(Sign),
    /// Write the anchor that members' servers are given, and say its fingerprint
    Anchor(Anchor),
}

/// What every change has in common.
#[derive(Debug, Clone, Args)]
pub struct Changing {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// What for, in a few words: it stays in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `ca instance init`.
#[derive(Debug, Clone, Args)]
pub struct InitInstance {
    /// The directory to make
    pub dir: PathBuf,
    /// What kind of keys: rsa-2048, rsa-3072, rsa-4096, p256 or p384
    #[arg(long, default_value = "rsa-3072", value_name = "KIND")]
    pub key: KeySpec,
    /// The node's name, where the instance has several
    #[arg(long, default_value = "node_0", value_name = "NAME")]
    pub node: String,
    /// The PostgreSQL that keeps the state for all nodes, as `host=… user=… dbname=…` or a URL; else a file keeps it
    #[arg(long, value_name = "CONNECTION")]
    pub database: Option<String>,
}

/// Arguments of `ca instance apply`.
#[derive(Debug, Clone, Args)]
pub struct Apply {
    /// The instance's file
    pub file: PathBuf,
    /// Where, why, and without asking
    #[command(flatten)]
    pub changing: Changing,
    /// Only check and say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print what would change as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

/// Arguments of `ca instance export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Where it goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `ca instance history`.
#[derive(Debug, Clone, Args)]
pub struct History {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many changes, the newest first
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    pub last: u32,
    /// Check that no change was altered after it was written
    #[arg(long)]
    pub check: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
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
        InstanceCommand::Init(arguments) => init(arguments, streams, now),
        InstanceCommand::Apply(arguments) => apply(arguments, streams, now),
        InstanceCommand::Export(arguments) => {
            let text =
                open(&arguments.dir)?.export().map_err(|e| failure("cannot export the instance", &e))?;
            put(arguments.out.as_deref(), text.as_bytes(), streams)?;
            Ok(Exit::Done)
        }
        InstanceCommand::Show(arguments) => show(arguments, streams, now),
        InstanceCommand::History(arguments) => history(arguments, streams),
        InstanceCommand::Member(command) => members::member(command, streams, now),
        InstanceCommand::Subsystem(command) => members::subsystem(command, streams, now),
        InstanceCommand::Server(command) => members::server(command, streams, now),
        InstanceCommand::Group(command) => members::group(command, streams, now),
        InstanceCommand::Requests(arguments) => requests::list(arguments, streams),
        InstanceCommand::Approve(arguments) => requests::close(arguments, true, streams, now),
        InstanceCommand::Decline(arguments) => requests::close(arguments, false, streams, now),
        InstanceCommand::Key(command) => signing_keys::run(command, streams, now),
        InstanceCommand::Sign(arguments) => sign(arguments, streams, now),
        InstanceCommand::Anchor(arguments) => anchor(arguments, streams),
    }
}

fn init(arguments: &InitInstance, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let key = possible(arguments.key, streams);
    let node = Node { version: 1, node: arguments.node.clone(), database: arguments.database.clone() };
    Central::create(&arguments.dir, &node, key, now)
        .map_err(|e| failure(&format!("cannot make node {}", node.node), &e))?;
    streams.talk(format!("made node {} with two {key} keys in {}", node.node, arguments.dir.display()));
    Ok(Exit::Done)
}

/// Makes one change and says what it was.
pub(super) fn change(
    changing: &Changing,
    streams: &mut Streams<'_>,
    now: UnixTime,
    edit: impl FnMut(&mut State) -> Result<(), PublishError>,
) -> Result<Exit, Failure> {
    let doing = "cannot change the instance";
    let central = open(&changing.dir)?;
    let before = central.store().revision().map_err(|e| failure(doing, &e.into()))?;
    let actor = actor();
    let by = By { actor: &actor, at: now, why: &changing.why };
    let (state, ()) = central.change(&by, edit).map_err(|e| failure(doing, &e))?;
    if state.revision() == before {
        streams.talk("nothing differs");
        return Ok(Exit::Done);
    }
    let made = central.store().history(state.revision().saturating_add(1), 1);
    for change in made.map_err(|e| failure("cannot read the history", &e.into()))? {
        tell(&change, streams);
    }
    Ok(Exit::Done)
}

fn tell(change: &Change, streams: &mut Streams<'_>) {
    for line in change.differences.iter().flat_map(difference::lines) {
        streams.talk(line);
    }
    streams.talk(format!("revision {}", change.revision));
}

/// Who is at the keyboard, for the history.
pub(super) fn actor() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn apply(arguments: &Apply, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let doing = format!("cannot apply {}", arguments.file.display());
    let Changing { dir, why, yes } = &arguments.changing;
    let central = open(dir)?;
    let (next, differences) = central.plan_file(&arguments.file, now).map_err(|e| failure(&doing, &e))?;
    let instance = next.instance.map(|file| Instance::from_file(file, now));
    let instance = instance.ok_or(PublishError::Nothing).and_then(|read| Ok(read?));
    let instance = instance.map_err(|e| failure(&doing, &e))?;
    let gone: Vec<String> =
        differences.iter().filter(|d| d.is.is_none()).map(Difference::to_string).collect();
    if !gone.is_empty() && !arguments.dry_run {
        streams.agreed(&format!("remove {}", gone.join(", ")), *yes)?;
    }
    for note in instance.notes() {
        streams.talk(format!("note: {note}"));
    }
    if arguments.dry_run {
        if arguments.json {
            let all: Vec<_> = differences.iter().map(difference::json).collect();
            streams.data(format!("{:#}", json!(all)));
        } else {
            differences.iter().flat_map(difference::lines).for_each(|line| streams.data(line));
        }
        streams.talk(format!("would publish {}", summary(&instance)));
        return Ok(Exit::Done);
    }
    let (actor, why) = (actor(), if why.is_empty() { "the instance's file was applied" } else { why });
    central.apply(&arguments.file, &By { actor: &actor, at: now, why }).map_err(|e| failure(&doing, &e))?;
    streams.talk(format!("applied {}", summary(&instance)));
    Ok(Exit::Done)
}

fn history(arguments: &History, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let doing = "cannot read the history";
    let central = open(&arguments.dir)?;
    if arguments.check {
        let checked = central.store().check_history();
        let count = checked.map_err(|e| match e {
            StoreError::History { .. } => Failure::new(Exit::NotWell, e.to_string())
                .hint("somebody wrote to the database by another way; a backup tells what stood there"),
            other => failure(doing, &other.into()),
        })?;
        streams.talk(format!("all {count} changes are as they were written"));
    }
    let changes = central.store().history(u64::MAX, arguments.last);
    let changes = changes.map_err(|e| failure(doing, &e.into()))?;
    if arguments.json {
        let rows = changes.iter().map(|change| {
            json!({
                "revision": change.revision,
                "at": change.at.to_string(),
                "actor": change.actor,
                "why": change.why,
                "differences": change.differences.iter().map(difference::json).collect::<Vec<_>>(),
            })
        });
        streams.data(format!("{:#}", json!(rows.collect::<Vec<_>>())));
        return Ok(Exit::Done);
    }
    for change in &changes {
        let Change { revision, at, actor, why, .. } = change;
        streams.data(format!("{revision}  {at}  {actor}  {why}").trim_end());
        for line in change.differences.iter().flat_map(difference::lines) {
            streams.data(format!("    {line}"));
        }
    }
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
    let central = open(&arguments.dir)?;
    let instance = central.instance(now).map_err(|e| failure("cannot show the instance", &e))?;
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
                "addresses": instance.places().map(|(_, address)| address).collect::<Vec<_>>(),
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
    let central = open(&arguments.dir)?;
    let signed = || {
        let state = central.read()?;
        let edition = Edition::new(&state, now)?;
        let publication = edition.sign(&central.signers(&state)?, now)?;
        publication.write(&edition, &arguments.out)?;
        central.note(&publication)?;
        Ok((central.instance(now)?, publication))
    };
    let (instance, publication) = signed().map_err(|e: PublishError| failure(doing, &e))?;
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
    let bytes = open(&arguments.dir)?.anchor(audience).map_err(|e| failure("cannot write the anchor", &e))?;
    put(arguments.out.as_deref(), &bytes, streams)?;
    streams.talk(format!("fingerprint (SHA-224): {}", fingerprint(&bytes)));
    Ok(Exit::Done)
}

pub(super) fn open(directory: &Path) -> Result<Central, Failure> {
    Central::open(directory).map_err(|e| failure(&format!("cannot open {}", directory.display()), &e))
}

pub(super) fn failure(doing: &str, error: &PublishError) -> Failure {
    let text = format!("{doing}: {}", chain(error));
    match error {
        PublishError::Exists(_) | PublishError::Taken(_) => {
            Failure::new(Exit::NotAllowed, text).hint("keys are never overwritten; name another directory or node")
        }
        PublishError::Instance(_)
        | PublishError::Document { .. }
        | PublishError::LeftOut(_)
        | PublishError::NoKeys
        | PublishError::OtherInstance { .. }
        | PublishError::Store(StoreError::Twice { .. })
        | PublishError::Directory(_) => {
            Failure::new(Exit::Configuration, text).hint("nothing has changed; what is published stays")
        }
        PublishError::Moved { .. } => Failure::new(Exit::NotAllowed, text).hint(
            "`ca instance export` writes the newest state; without `based_on` the file takes the place of whatever there is",
        ),
        PublishError::Nothing => Failure::new(Exit::Configuration, text)
            .hint("`ca instance apply FILE` checks and keeps an instance"),
        PublishError::Strands { .. } => Failure::new(Exit::NotAllowed, text)
            .hint("wait until then; --insist does it now, and every client that is left behind needs the new anchor by hand"),
        PublishError::Active { .. } | PublishError::TooManyKeys { .. } | PublishError::OtherNode { .. } => {
            Failure::new(Exit::NotAllowed, text).hint("`ca instance key list` shows which keys there are")
        }
        PublishError::NoSuchKey { .. } => {
            Failure::new(Exit::NotWell, text).hint("`ca instance key list` shows which keys there are")
        }
        PublishError::Key(_)
        | PublishError::Certificate(_)
        | PublishError::NoActiveKey { .. }
        | PublishError::WrongKey { .. }
        | PublishError::Node { .. } => Failure::new(Exit::Configuration, text)
            .hint("`ca instance init DIR` makes a node and its keys; --dir names that directory"),
        PublishError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::new(Exit::Configuration, text)
                .hint("`ca instance init DIR` makes a node and its keys; --dir names that directory")
        }
        PublishError::File { .. } | PublishError::Store(StoreError::Sqlite { .. }) => Failure::new(Exit::Disk, text),
        PublishError::Store(StoreError::Postgres(_) | StoreError::Busy) => Failure::new(Exit::Unavailable, text)
            .hint("nothing has changed; what is published goes on being signed meanwhile"),
        _ => Failure::new(Exit::OurBug, text),
    }
}
