//! `saatkond run`: binds, opens, serves until SIGTERM, drains.
//!
//! ```text
//! bind all doors → health port answers → open keys, log, spool → global configuration, from disk or fetched
//!   → serve, and do what is due → "ready" → … SIGTERM → not ready → exchanges end → jobs end → log closed
//! ```

use super::bind;
use super::check;
use super::cli::refused;
use super::health::{self, Health};
use super::output;
use crate::Gateway;
use crate::clock::Clock;
use crate::conf::Conf;
use crate::embassy::authority::AuthorityError;
use crate::jobs::{self, Jobs, OpenError, Opened};
use crate::keys::KeysError;
use crate::messagelog::LogError;
use crate::net::Doors;
use crate::net::listen::{self, Listener, Stop};
use saatkond_ca::exit::{Exit, Failure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The first pause before the global configuration is asked for again while there is none; each further one is twice
/// as long.
const CONFIGURATION_RETRY_MIN: Duration = Duration::from_millis(500);
/// The longest such pause.
const CONFIGURATION_RETRY_MAX: Duration = Duration::from_secs(15);
/// How often it is looked whether a call could be made, until it could.
const LOOK_AT_START: Duration = Duration::from_millis(50);
/// How often it is looked whether a call could still be made.
const LOOK: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends it at once.
///
/// # Errors
/// [`Failure`] for what stops it from serving.
pub async fn run(file: &Path) -> Result<Exit, Failure> {
    let conf = Arc::new(Conf::load(file).map_err(|error| refused(&error))?);
    output::begin(&conf)?;
    output::end_on_fatal_panics();
    let mut signals = Signals::new()?;
    let (stopper, stop) = listen::stop();
    let serving = Box::pin(serve(conf, Clock::system(), stop));
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = signals.next() => {}
    }
    tracing::info!("draining");
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
pub async fn serve(conf: Arc<Conf>, clock: Clock, stop: Stop) -> Result<Exit, Failure> {
    let anchor = check::anchor(&conf)?;
    tracing::debug!(file = %conf.anchor.display(), sha224 = anchor, "configuration anchor");
    // All doors before anything is opened: two processes never share a directory by half.
    let doors = Doors::bind(&conf).await.map_err(|error| bind::failure(&error, &conf.file))?;
    let door = match conf.listen.health {
        Some(address) => {
            let bound = Listener::bind(address, health::CONNECTIONS_MAX).await;
            Some(bound.map_err(|source| bind::failure(&bind::of_health(address, source), &conf.file))?)
        }
        None => None,
    };
    let health = Health::starting(&conf, clock.clone());
    let (health_stopper, health_stop) = listen::stop();
    let telling = async {
        if let Some(door) = door {
            health.clone().serve(door, health_stop).await;
        }
    };
    let serving = async {
        let outcome = Box::pin(open_and_serve(conf, clock, doors, &health, stop)).await;
        health.ends();
        // Last of all: whoever asks meanwhile hears that it drains.
        health_stopper.stop();
        outcome
    };
    let ((), outcome) = tokio::join!(telling, serving);
    if outcome.is_ok() {
        tracing::info!("ended");
    }
    outcome
}

async fn open_and_serve(
    conf: Arc<Conf>,
    clock: Clock,
    doors: Doors,
    health: &Health,
    mut stop: Stop,
) -> Result<Exit, Failure> {
    let opening = tokio::task::spawn_blocking({
        let conf = Arc::clone(&conf);
        move || jobs::open(conf, clock)
    });
    let opened = opening.await.map_err(|error| {
        Failure::new(Exit::OurBug, format!("opening the gateway panicked: {error}")).hint("please report it")
    })?;
    let opened = opened.map_err(|error| not_opened(&error))?;
    if conf.listen.clients_tls.is_some() && !opened.has_internal_tls() {
        let text = "cannot serve information systems over HTTPS: no key of use internal-tls is kept";
        let hint = format!(
            "add one to {}, or set `listen.clients_tls = \"off\"` in {}",
            conf.keys_dir().join("keys.toml").display(),
            conf.file.display()
        );
        return Err(Failure::new(Exit::Configuration, text).hint(hint));
    }
    let gateway = {
        let globalconf = tokio::select! {
            biased;
            () = stop.stopped() => return Ok(Exit::Done),
            globalconf = first_configuration(&opened, health) => globalconf,
        };
        Arc::new(opened.gateway(globalconf))
    };
    let jobs = Jobs::new(Arc::clone(&gateway));
    health.serves(Arc::clone(&gateway), jobs.clone());
    until_drained(gateway, doors, &jobs, health, stop).await
}

/// Asks for the global configuration until there is one.
async fn first_configuration(opened: &Opened, health: &Health) -> saatkond_proto::globalconf::GlobalConf {
    let mut pause = CONFIGURATION_RETRY_MIN;
    loop {
        match opened.globalconf().await {
            Ok(globalconf) => return globalconf,
            Err(error) => {
                tracing::warn!(%error, "no global configuration yet");
                health.waits(format!("there is no global configuration yet: {error}"));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(CONFIGURATION_RETRY_MAX);
    }
}

/// Serves and does what is due; on `stop` drains, and only then ends the jobs.
async fn until_drained(
    gateway: Arc<Gateway>,
    doors: Doors,
    jobs: &Jobs,
    health: &Health,
    stop: Stop,
) -> Result<Exit, Failure> {
    let (jobs_stopper, jobs_stop) = listen::stop();
    let addresses = addresses(&doors);
    let draining = async {
        let mut stop = stop.clone();
        announce(health, &addresses, &mut stop).await;
        health.drains();
    };
    let serving = async {
        tokio::join!(gateway.serve(doors, stop.clone()), draining);
    };
    let mut working = Box::pin(jobs.run_until(jobs_stop));
    let worked = tokio::select! {
        () = serving => {
            jobs_stopper.stop();
            working.await
        }
        ended = &mut working => ended,
    };
    worked.map(|()| Exit::Done).map_err(|error| {
        Failure::new(Exit::OurBug, error.to_string()).hint("the log above says where; please report it")
    })
}

/// Says when calls can be made, and when no longer, until `stop`.
async fn announce(health: &Health, addresses: &Addresses, stop: &mut Stop) {
    let Addresses { clients, clients_tls, servers, ocsp } = addresses;
    let (mut was_ready, mut pause) = (None, LOOK_AT_START);
    loop {
        let reasons = health.reasons();
        let is_ready = reasons.is_empty();
        if is_ready && was_ready != Some(true) {
            let (server, version) = (health.server(), env!("CARGO_PKG_VERSION"));
            tracing::info!(%server, version, clients, clients_tls, servers, ocsp, "ready");
            pause = LOOK;
        } else if !is_ready && was_ready != Some(false) {
            tracing::warn!(reasons = reasons.join("; "), "no call can be made");
        }
        was_ready = Some(is_ready);
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Where the doors are bound: with the number the system chose for port 0.
struct Addresses {
    clients: Option<String>,
    clients_tls: Option<String>,
    servers: Option<String>,
    ocsp: Option<String>,
}

fn addresses(doors: &Doors) -> Addresses {
    let of = |door: &Option<Listener>| door.as_ref().map(|door| door.address().to_string());
    Addresses {
        clients: of(&doors.clients),
        clients_tls: of(&doors.clients_tls),
        servers: of(&doors.servers),
        ocsp: of(&doors.ocsp),
    }
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

/// A gateway that does not open.
pub(super) fn not_opened(error: &OpenError) -> Failure {
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        OpenError::Conf(conf) => refused(conf),
        OpenError::Keys(keys) => keys_refused(keys),
        OpenError::DemoKeys { .. } => failure(Exit::NotAllowed)
            .hint("make keys of your own: whoever has this demonstration's may speak in your name"),
        OpenError::Log(LogError::InUse { .. }) => failure(Exit::Unavailable)
            .hint("a gateway runs on this state directory: `saatkond status` tells how it is; stop it first"),
        OpenError::Log(LogError::Damaged { .. }) => failure(Exit::Disk).hint(
            "restore this file from a copy: the log is never opened around lost evidence, and is not written to \
             until it is whole",
        ),
        OpenError::Authority(AuthorityError::Damaged { path, .. }) => failure(Exit::Disk).hint(format!(
            "remove {} while another site of the register is reachable: it tells again who leads",
            path.display()
        )),
        OpenError::Log(_) | OpenError::Spool(_) | OpenError::Authority(_) => failure(Exit::Disk),
    }
}

/// Keys that do not open.
pub(super) fn keys_refused(error: &KeysError) -> Failure {
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        KeysError::Exposed { file, .. } => {
            failure(Exit::NotAllowed).hint(format!("chmod 600 {}", file.display()))
        }
        KeysError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            failure(Exit::NotAllowed).hint("run this as the user to whom the keys belong")
        }
        KeysError::Unreadable { .. } | KeysError::Malformed { .. } => failure(Exit::Configuration)
            .hint("keys/keys.toml in the state directory names each key and its certificate; `saatkond keys generate` makes keys"),
        KeysError::NoPin { .. } => failure(Exit::NotAllowed).hint(
            "set `keys.pin_file` in gateway.toml, hand it over as systemd's credential saatkond-pin, or run this at a terminal",
        ),
        KeysError::WrongPin { .. } => failure(Exit::NotAllowed).hint(
            "nothing locks, it may be tried again; `saatkond keys encrypt` gives all keys one PIN, and wants the old one",
        ),
        KeysError::Unsealed => failure(Exit::OurBug).hint("nothing was changed; please report it"),
    }
}
