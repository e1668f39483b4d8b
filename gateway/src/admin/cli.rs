//! The commands of one gateway: `run`, `check`, `status`, `messages`, `services`, `keys`, `register`.

use super::keys::arguments::{Init, Keys};
use super::register::arguments::Register;
use super::services::arguments::Services;
use super::{keys, messages, register, services};
use crate::clock::Clock;
use crate::conf::{Conf, ConfError};
use clap::{Args, Subcommand};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::id::{ClientId, IdError, ServiceId, decode_segment};
use saatkond_proto::time::UnixTime;
use std::path::PathBuf;
use std::time::Duration;

/// How often the message log is looked at while it is followed.
const FOLLOWING: Duration = Duration::from_millis(500);

/// What each organisation runs and looks at.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM, then drain
    Run(OfGateway),
    /// Tell everything that `run` would refuse, without running; exit code 0 or 78
    Check(Shown),
    /// Tell who runs here, what works, and what runs out when
    Status(Shown),
    /// Tell what is believed of the copies of registers that are asked, and why; send reads by hand
    Sites(Box<Sites>),
    /// Tell who leads which register, and let another site lead
    #[command(subcommand)]
    Authority(Box<Authority>),
    /// Look into the message log, also beside a running gateway
    #[command(subcommand)]
    Messages(Box<Messages>),
    /// Look at what is offered, and change it in server.toml
    #[command(subcommand)]
    Services(Box<Services>),
    /// Make directories, keys and certificate requests of a new gateway; what is there stays
    Init(Box<Init>),
    /// Make keys, ask for certificates, take them into use and out of it
    #[command(subcommand)]
    Keys(Box<Keys>),
    /// Ask the central server to register this server, its clients, or changes of it
    #[command(subcommand)]
    Register(Box<Register>),
}

/// Which gateway.
#[derive(Debug, Clone, Args)]
pub struct OfGateway {
    /// The gateway.toml of this gateway
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Which gateway, and in which form it is told.
#[derive(Debug, Clone, Args)]
pub struct Shown {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Which register's copies, or what is done with them.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Sites {
    /// What is done; told by default.
    #[command(subcommand)]
    pub action: Option<SitesAction>,
    /// The gateway.toml of this gateway
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
    /// Only this register
    #[arg(value_name = "REGISTER")]
    pub register: Option<ClientId>,
}

/// What is done with sites.
#[derive(Debug, Clone, Subcommand)]
pub enum SitesAction {
    /// Ask one site first for the reads of a register or provider; writes stay with the authority
    Pin(SitesPin),
    /// Let reads go where health and shares say
    Unpin(SitesUnpin),
}

/// Arguments of `sites pin`.
#[derive(Debug, Clone, Args)]
pub struct SitesPin {
    /// Whose reads.
    #[command(flatten)]
    pub of: OfGateway,
    /// The register, or a provider without sites; a member for all of its subsystems
    #[arg(value_name = "REGISTER|PROVIDER")]
    pub provider: ClientId,
    /// The site; of a provider without sites the server, INSTANCE/CLASS/CODE/SERVER
    #[arg(value_name = "SITE")]
    pub site: String,
    /// Until this moment, as RFC 3339; else for good
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<UnixTime>,
}

/// Arguments of `sites unpin`.
#[derive(Debug, Clone, Args)]
pub struct SitesUnpin {
    /// Whose reads.
    #[command(flatten)]
    pub of: OfGateway,
    /// The register or provider that was pinned
    #[arg(value_name = "REGISTER|PROVIDER")]
    pub provider: ClientId,
}

/// What is done with the authority over registers.
#[derive(Debug, Clone, Subcommand)]
pub enum Authority {
    /// Tell who leads each register, by whose order
    Show(Shown),
    /// Let another site lead a register: sign an order and have the running gateway act on it
    Switch(AuthoritySwitch),
    /// Make the key of an operator, and print its public half for the instance's file
    OperatorKey(AuthorityKey),
}

/// Arguments of `authority switch`.
#[derive(Debug, Clone, Args)]
pub struct AuthoritySwitch {
    /// A gateway of the register, at any site; for an unplanned change one that can reach the site that shall lead.
    #[command(flatten)]
    pub shown: Shown,
    /// The register
    #[arg(value_name = "REGISTER")]
    pub register: ClientId,
    /// The site that shall lead it
    #[arg(long, value_name = "SITE")]
    pub to: String,
    /// The key of an operator whom the instance lists
    #[arg(long, value_name = "FILE")]
    pub operator: PathBuf,
    /// Do not ask the site that leads now: it is lost. Writes that it acknowledged may be lost with it
    #[arg(long)]
    pub unplanned: bool,
    /// Do not ask before an unplanned change
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `authority operator-key`.
#[derive(Debug, Clone, Args)]
pub struct AuthorityKey {
    /// The file to write the key to; it must not be there yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What is done with the message log.
#[derive(Debug, Clone, Subcommand)]
pub enum Messages {
    /// List messages, the newest last
    List(List),
    /// Tell of messages as they are recorded, until Ctrl-C
    Follow(Follow),
    /// Tell all of one message, or of all messages of one query
    Show(Show),
    /// Write messages with their proof as ASiC-E containers
    Export(Export),
    /// Check every sum and the chain of the whole log; `run` checks the newest part at its start
    Verify(Shown),
}

/// Which messages.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Only those of this query: the id in X-Road-Id
    #[arg(long, value_name = "QUERY_ID")]
    pub id: Option<String>,
    /// Only those that this subsystem or member of ours sent or received, or any other asked or was asked by
    #[arg(long, visible_alias = "client", value_name = "INSTANCE/CLASS/CODE[/SUBSYSTEM]")]
    pub member: Option<ClientId>,
    /// Only those of this service: its code, or its whole id
    #[arg(long, value_name = "SERVICE", value_parser = wanted)]
    pub service: Option<Wanted>,
    /// Only those recorded at this moment or later, as RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<UnixTime>,
    /// Only those recorded before this moment, as RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<UnixTime>,
}

/// Arguments of `messages list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Whose log, in which form.
    #[command(flatten)]
    pub shown: Shown,
    /// Which messages.
    #[command(flatten)]
    pub filter: Filter,
    /// The newest so many; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub limit: usize,
}

/// Arguments of `messages follow`.
#[derive(Debug, Clone, Args)]
pub struct Follow {
    /// Whose log; JSON is an object a line.
    #[command(flatten)]
    pub shown: Shown,
    /// Which messages.
    #[command(flatten)]
    pub filter: Filter,
    /// Begin with the newest so many
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub last: usize,
}

/// Arguments of `messages show`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// Whose log, in which form.
    #[command(flatten)]
    pub shown: Shown,
    /// A record's number, or a query id
    #[arg(value_name = "NUMBER|QUERY_ID", required_unless_present = "id")]
    pub which: Option<String>,
    /// A query id, also one that looks like a number
    #[arg(long, value_name = "QUERY_ID", conflicts_with = "which")]
    pub id: Option<String>,
}

/// Arguments of `messages export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// Whose log, in which form.
    #[command(flatten)]
    pub shown: Shown,
    /// Which messages.
    #[command(flatten)]
    pub filter: Filter,
    /// The directory to write to; made when missing
    #[arg(value_name = "DIR", required_unless_present = "out", conflicts_with = "out")]
    pub dir: Option<PathBuf>,
    /// The file to write the only message to
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only this record
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<u64>,
    /// The newest so many; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub limit: usize,
}

/// A service, as far as it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its code, whoever provides it.
    Code(String),
    /// By its whole id.
    Whole(ServiceId),
}

impl Filter {
    /// Whether it lets everything through.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { id, member, service, since, until } = self;
        id.is_none() && member.is_none() && service.is_none() && since.is_none() && until.is_none()
    }
}

fn wanted(text: &str) -> Result<Wanted, String> {
    if text.contains('/') {
        text.parse().map(Wanted::Whole).map_err(|error: IdError| error.to_string())
    } else {
        decode_segment(text).map(Wanted::Code).map_err(|error| error.to_string())
    }
}

fn moment(text: &str) -> Result<UnixTime, String> {
    UnixTime::from_rfc3339(text)
        .ok_or_else(|| "no moment, expected RFC 3339 such as 2026-01-02T03:04:05Z".to_owned())
}

/// Does what was asked; the caller prints the failure and exits with its code.
///
/// # Errors
/// [`Failure`] with what to do about it.
pub async fn run(command: Command, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Run(of) => super::run::run(&of.config).await,
        Command::Check(shown) => super::check::check(&shown.of.config, shown.json, &Clock::system(), streams),
        Command::Status(shown) => super::status::status(&shown, streams).await,
        Command::Sites(command) => super::sites::sites(&command, streams).await,
        Command::Authority(command) => super::authority::authority(&command, streams).await,
        Command::Messages(messages) => match *messages {
            Messages::List(list) => messages::list(&conf(&list.shown.of)?, &list, streams),
            Messages::Follow(follow) => {
                let pause = || std::thread::sleep(FOLLOWING);
                messages::follow(&conf(&follow.shown.of)?, &follow, streams, pause)
            }
            Messages::Show(show) => messages::show(&conf(&show.shown.of)?, &show, streams),
            Messages::Export(export) => messages::export(&conf(&export.shown.of)?, &export, streams),
            Messages::Verify(shown) => messages::verify(&conf(&shown.of)?, &shown, streams),
        },
        Command::Services(command) => {
            services::run(&conf(services::config(&command))?, *command, streams).await
        }
        Command::Init(asked) => keys::init(conf(&asked.of)?, &asked, &Clock::system(), streams).await,
        Command::Keys(command) => {
            keys::run(conf(keys::config(&command))?, *command, &Clock::system(), streams).await
        }
        Command::Register(command) => {
            register::run(conf(command.of())?, *command, &Clock::system(), streams).await
        }
    }
}

/// Reads `gateway.toml`.
fn conf(of: &OfGateway) -> Result<Conf, Failure> {
    Conf::load(&of.config).map_err(|error| refused(&error))
}

/// A configuration that is refused.
pub(super) fn refused(error: &ConfError) -> Failure {
    let failure = Failure::new(Exit::Configuration, error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure.hint("`saatkond check` tells everything that is refused"),
    }
}
