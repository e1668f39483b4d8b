//! The commands: `saatkond ca …`, and the same as the program `saatkond-ca`.
//!
//! Data goes to one stream, talk to the other; `--json` on whatever shows something. Exit codes are [`Exit`]'s.

mod authority;
mod difference;
mod failure;
mod instance;
mod issue;
mod members;
mod proxy;
mod requests;
mod signing_keys;
pub mod table;

use crate::exit::{Exit, Failure, Streams};
use crate::management::Way;
use crate::serve::{Clock, Running, ServeError, Services};
use crate::verify::{self, VerifyArgs};
use clap::{Args, Subcommand};
use std::io::IsTerminal as _;
use std::path::PathBuf;

pub use authority::{Crl, Init, List, Place, RenewResponder, Revoke, Show};
pub use instance::{
    Anchor, Apply, Changing, Export, History, InitInstance, InstanceCommand, ShowInstance, Sign,
};
pub use issue::{Issuance, Issue, PurposeName, Renew};
pub use members::{GroupCommand, MemberCommand, Parts, Remove, ServerCommand, SubsystemCommand};
pub use proxy::{ProxyArgs, ProxyCommand};
pub use requests::{Decision, Requests};
pub use signing_keys::{KeyCommand, KeyStep};

/// What those run whom everyone trusts.
#[derive(Debug, Clone, Subcommand)]
pub enum CaCommand {
    /// Make a certification authority in a new directory, with its OCSP responder
    Init(Init),
    /// Issue a certificate for a request, or for a key made here
    Issue(Box<Issue>),
    /// Issue a certificate anew, for the same key or another one; the earlier one stays good
    Renew(Box<Renew>),
    /// Revoke a certificate
    Revoke(Revoke),
    /// List every serial used and what became of it
    List(List),
    /// Show one certificate
    Show(Show),
    /// Sign the list of revoked certificates
    Crl(Crl),
    /// Make a new key and certificate for the OCSP responder; a running one takes them over
    RenewResponder(RenewResponder),
    /// Serve OCSP, time-stamps and the signed configuration until SIGTERM
    Serve(Serve),
    /// Keep and sign the configuration of an instance
    #[command(subcommand)]
    Instance(InstanceCommand),
    /// Fetch a configuration, verify it, sign it anew and serve it until SIGTERM
    Proxy(ProxyArgs),
    /// Verify containers and archives, offline
    Verify(VerifyArgs),
}

/// Arguments of `ca serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The file that names what to serve
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Does what was asked.
///
/// # Errors
/// [`Failure`] with what to do about it; the caller prints it and exits with its code.
pub async fn run(command: CaCommand, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let clock = Clock::system();
    match command {
        CaCommand::Init(arguments) => authority::init(&arguments, streams, clock.now()),
        CaCommand::Issue(arguments) => issue::issue(&arguments, streams, clock.now()),
        CaCommand::Renew(arguments) => issue::renew(&arguments, streams, clock.now()),
        CaCommand::Revoke(arguments) => authority::revoke(&arguments, streams, clock.now()),
        CaCommand::List(arguments) => authority::list(&arguments, streams, clock.now()),
        CaCommand::Show(arguments) => authority::show(&arguments, streams, clock.now()),
        CaCommand::Crl(arguments) => authority::crl(&arguments, streams, clock.now()),
        CaCommand::RenewResponder(arguments) => authority::renew_responder(&arguments, streams, clock.now()),
        CaCommand::Instance(command) => instance::run(&command, streams, clock.now()),
        CaCommand::Verify(arguments) => verify::run(&arguments, streams),
        CaCommand::Proxy(arguments) => proxy::run(&arguments, streams, clock).await,
        CaCommand::Serve(arguments) => serve(&arguments, streams, clock).await,
    }
}

/// Does what was asked and says what went wrong.
pub async fn main(command: CaCommand, streams: &mut Streams<'_>) -> Exit {
    match run(command, streams).await {
        Ok(exit) => exit,
        Err(failure) => {
            streams.talk(&failure);
            failure.exit
        }
    }
}

async fn serve(arguments: &Serve, streams: &mut Streams<'_>, clock: Clock) -> Result<Exit, Failure> {
    log_to_stderr();
    let services = Services::open(&arguments.config, clock).map_err(|error| serve_failure(&error))?;
    let mut management = Vec::new();
    for door in services.management() {
        let what = match door.way() {
            Way::Message => "management requests",
            Way::Registration => "registrations of authentication certificates",
        };
        let running = Running::listen(door.clone()).await.map_err(|error| serve_failure(&error))?;
        streams.talk(format!("taking {what} on http://{}", running.address()));
        management.push(running);
    }
    let running = Running::listen(services).await.map_err(|error| serve_failure(&error))?;
    let exit = until_stopped(running, streams).await;
    for door in management {
        door.stop().await;
    }
    exit
}

fn log_to_stderr() {
    // a program around us may have its own
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .try_init();
}

/// Says where it serves, and stops it when told.
async fn until_stopped(running: Running, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let stop =
        stop_signal().map_err(|e| Failure::new(Exit::OurBug, format!("cannot wait for signals: {e}")))?;
    streams.talk(format!("serving on http://{}", running.address()));
    stop.await;
    streams.talk("stopping: connections at work are finished first");
    running.stop().await;
    Ok(Exit::Done)
}

fn serve_failure(error: &ServeError) -> Failure {
    let text = crate::globalconf::chain(error);
    match error {
        ServeError::Listen { .. } => {
            Failure::new(Exit::Unavailable, text).hint("stop who listens there, or set `listen` in the file")
        }
        ServeError::Configuration { .. } => Failure::new(Exit::Configuration, text)
            .hint("the keys it may have: version, listen, [ocsp], [tsa], [configuration], [management]"),
        ServeError::Ocsp(_) => Failure::new(Exit::Configuration, text).hint(
            "an authority's directory is made by `ca init DIR`, a new responder by `ca renew-responder`",
        ),
        ServeError::Tsa(_) => Failure::new(Exit::Configuration, text)
            .hint("its key and certificate are made by `ca issue --profile tsa --new-key FILE --name NAME`"),
        ServeError::Publish(_) => Failure::new(Exit::Configuration, text)
            .hint("the directory is made by `ca instance init DIR` and filled by `ca instance apply FILE`"),
    }
}

/// Waits for SIGTERM or Ctrl-C; both are listened to once this returns.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
