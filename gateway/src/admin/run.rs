//! `saatkond run`: opens, serves until SIGTERM, drains.

use super::cli::refused;
use super::health::{self, Health};
use crate::clock::Clock;
use crate::conf::Conf;
use crate::jobs::{self, Jobs, OpenError};
use crate::net::listen::{self, Listener, Stop, Stopper};
use crate::net::{BindError, Doors};
use crate::{Gateway, conf};
use saatkond_ca::exit::{Exit, Failure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long to wait before the configuration is asked for again while there is none.
const CONFIGURATION_RETRY: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends it at once.
///
/// # Errors
/// [`Failure`] for what stops it from serving.
pub async fn run(file: &Path) -> Result<Exit, Failure> {
    let conf = Arc::new(Conf::load(file).map_err(|error| refused(&error))?);
    speak(&conf.output);
    let signals = Signals::new()?;
    let (stopper, stop) = listen::stop();
    let serving = serve(conf, Clock::system(), stop);
    tokio::pin!(serving);
    let mut signals = signals;
    tokio::select! {
        ended = &mut serving => return ended,
        () = signals.next() => {}
    }
    tracing::info!("told to stop: draining");
    stopper.stop();
    tokio::select! {
        ended = serving => ended,
        () = signals.next() => {
            tracing::warn!("told to stop again: ending at once");
            Ok(Exit::Done)
        }
    }
}

/// Opens a gateway and serves it until `stop`; returns when all that was under way has ended.
///
/// # Errors
/// As [`run`].
pub async fn serve(conf: Arc<Conf>, clock: Clock, mut stop: Stop) -> Result<Exit, Failure> {
    let doors = Doors::bind(&conf).await.map_err(|error| failure_of_bind(&error))?;
    let health = Health::starting(conf.server.to_string(), clock.clone());
    let (health_stopper, health_door) = open_health(&conf, &health).await?;
    let opened = jobs::open(Arc::clone(&conf), clock).map_err(|error| failure_of_open(&error))?;
    if conf.listen.clients_tls.is_some() && !opened.has_internal_tls() {
        return Err(Failure::new(Exit::Configuration, "listen.clients_tls needs a key of use internal-tls")
            .hint("add one to keys/keys.toml, or set listen.clients_tls = \"off\""));
    }
    let globalconf = loop {
        match opened.globalconf().await {
            Ok(globalconf) => break globalconf,
            Err(error) => {
                tracing::warn!(%error, "no global configuration yet");
                health.waits(format!("no global configuration yet: {error}"));
            }
        }
        tokio::select! {
            () = stop.stopped() => return Ok(Exit::Done),
            () = tokio::time::sleep(CONFIGURATION_RETRY) => {}
        }
    };
    let gateway = Arc::new(opened.gateway(globalconf));
    let jobs = Jobs::new(Arc::clone(&gateway));
    health.serves(Arc::clone(&gateway), jobs.clone());
    tracing::info!(server = %conf.server, version = env!("CARGO_PKG_VERSION"), "open");
    let outcome = until_drained(Arc::clone(&gateway), doors, &jobs, &health, stop).await;
    drop((jobs, gateway));
    health.ends();
    health_stopper.stop();
    if let Some(door) = health_door {
        let _ = door.await;
    }
    tracing::info!("ended");
    outcome
}

/// Serves and does what is due; on `stop` drains, and only then ends the jobs.
async fn until_drained(
    gateway: Arc<Gateway>,
    doors: Doors,
    jobs: &Jobs,
    health: &Health,
    mut stop: Stop,
) -> Result<Exit, Failure> {
    let (jobs_stopper, jobs_stop) = listen::stop();
    let working = jobs.run_until(jobs_stop);
    tokio::pin!(working);
    let serving = async {
        tokio::join!(gateway.serve(doors, stop.clone()), async {
            stop.stopped().await;
            health.drains();
        });
    };
    let panicked = tokio::select! {
        () = serving => {
            jobs_stopper.stop();
            working.await
        }
        ended = &mut working => ended,
    };
    match panicked {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            Err(Failure::new(Exit::OurBug, error.to_string())
                .hint("the log above tells where; please report it"))
        }
    }
}

async fn open_health(
    conf: &Conf,
    health: &Health,
) -> Result<(Stopper, Option<tokio::task::JoinHandle<()>>), Failure> {
    let (stopper, stop) = listen::stop();
    let Some(address) = conf.listen.health else { return Ok((stopper, None)) };
    let door = Listener::bind(address, health::CONNECTIONS_MAX).await.map_err(|source| {
        failure_of_bind(&BindError { address, who: "health", key: "listen.health", source })
    })?;
    let task = tokio::spawn(health.clone().serve(door, stop));
    Ok((stopper, Some(task)))
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|e| Failure::new(Exit::OurBug, format!("signals cannot be heard: {e}")))
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Sends log lines to standard error as the operator wants them; the first call of a process counts.
fn speak(output: &conf::Output) {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::fmt;
    let wanted = std::env::var("SAATKOND_LOG").unwrap_or_else(|_| output.level.clone());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_colourful = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let _ = match output.format {
        conf::Format::Human => lines.with_ansi(is_colourful).try_init(),
        conf::Format::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
    };
}

fn failure_of_bind(error: &BindError) -> Failure {
    let hint = match error.source.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("stop what listens there, or set `{}` in gateway.toml", error.key)
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("choose a port above 1023 for `{}`, or grant CAP_NET_BIND_SERVICE", error.key)
        }
        _ => format!("set `{}` in gateway.toml to an address of this machine", error.key),
    };
    Failure::new(Exit::Unavailable, error.to_string()).hint(hint)
}

pub(super) fn failure_of_open(error: &OpenError) -> Failure {
    use crate::keys::KeysError;
    use crate::messagelog::LogError;
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        OpenError::Conf(conf) => refused(conf),
        OpenError::Keys(KeysError::Exposed { file, .. }) => {
            failure(Exit::NotAllowed).hint(format!("chmod 600 {}", file.display()))
        }
        OpenError::Keys(_) => failure(Exit::Configuration).hint("see keys/keys.toml in the state directory"),
        OpenError::DemoKeys { .. } => failure(Exit::NotAllowed)
            .hint("make keys of your own: whoever has this demonstration's may speak in your name"),
        OpenError::Log(LogError::InUse { .. }) => {
            failure(Exit::Unavailable).hint("another gateway runs on this state directory; stop it first")
        }
        OpenError::Log(LogError::Damaged { .. }) => failure(Exit::Disk).hint(
            "restore this file from a backup; the log is not opened around lost evidence. See `saatkond messages list`",
        ),
        OpenError::Log(_) | OpenError::Spool(_) => failure(Exit::Disk),
    }
}
