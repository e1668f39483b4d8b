//! What the gateway does unasked: one loop, one record of each job.
//!
//! | job | what it does | when |
//! |---|---|---|
//! | `globalconf` | fetches the global configuration | each minute |
//! | `server-file` | takes over a changed `server.toml` | looks each two seconds |
//! | `keys` | takes over a changed key directory | looks each two seconds |
//! | `ocsp` | fetches the OCSP responses of our certificates | each 20 minutes, sooner where they age faster |
//! | `timestamp` | stamps the message log | as the instance says, at least each day |
//! | `archive` | archives the message log, deletes what is old | each six hours |
//! | `copies` | asks how old our copies of registers are | four times a second where there are some |
//! | `registers` | asks the registers behind us whether they answer; opens and shuts the server port | four times a second where there are some |
//! | `sites` | asks the doors of registers how they are | four times a second while they are in use |
//!
//! Nothing runs that is not in [`Job`]. Jobs hang a new picture ([`crate::world`]); they never touch a request.

mod archive;
mod copies;
mod embassy;
pub mod globalconf;
mod key_directory;
pub mod ocsp;
mod open;
mod policy;
mod registers;
mod server_file;
mod timestamp;

pub use open::{OpenError, Opened, open};

use crate::Gateway;
use crate::net::listen::Stop;
use crate::net::random;
use crate::net::timestamp::services as timestamp_services;
use crate::world::World;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::time::UnixTime;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Everything the gateway does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// Fetches the global configuration.
    GlobalConf,
    /// Takes over a changed `server.toml`.
    ServerConf,
    /// Takes over a changed key directory.
    Keys,
    /// Fetches the OCSP responses of our certificates.
    Ocsp,
    /// Stamps the message log.
    Timestamp,
    /// Archives the message log, and deletes what is old.
    Archive,
    /// Asks the doors of registers how they are.
    Sites,
    /// Asks how old our copies of registers are.
    Copies,
    /// Asks the registers behind us whether they answer, and opens and shuts the server port.
    Registers,
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// When it last did what it should.
    pub last_success: Option<UnixTime>,
    /// When it last failed, and why.
    pub last_error: Option<(UnixTime, String)>,
    /// How often it has failed since it last succeeded.
    pub failures: u32,
    /// When it will be run next.
    pub next_due: UnixTime,
    /// Whether it is running now.
    pub is_running: bool,
    /// When this was noted.
    pub noted: UnixTime,
}

impl Status {
    /// Whether it is to be run at `now`; also when the clock was set back to before this was noted.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        !self.is_running && (self.next_due <= now || now < self.noted)
    }
}

/// A job panicked: what it left behind is not known, so the process must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job panicked")]
pub struct JobPanicked;

/// What a job has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Done; to be run again after this time.
    After(Duration),
    /// Done in part; to be run again at once.
    AtOnce,
}

/// A job that failed: why, and when to try again.
#[derive(Debug)]
struct Failed {
    text: String,
    retry: Duration,
}

/// The jobs of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    gateway: Arc<Gateway>,
    client: globalconf::Client,
    /// Held while a picture is painted from the one that hangs: no two painters overlook each other.
    painting: Mutex<()>,
    statuses: Mutex<[Status; Job::ALL.len()]>,
    /// Doors, copies and registers that are being asked how they are.
    probes: Mutex<JoinSet<()>>,
    /// Wakes the loop when a job's time has been moved.
    moved: Notify,
}

/// The shortest time after which a job that failed is tried again.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// How soon after the start the message log is stamped first. Seen: message-path §7.2.
const STAMPING_BEGINS: Duration = Duration::from_secs(1);
/// The longest time the loop sleeps: the clock may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// The shortest time between two runs of a job that is done.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

impl Job {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::GlobalConf,
        Self::ServerConf,
        Self::Keys,
        Self::Ocsp,
        Self::Timestamp,
        Self::Archive,
        Self::Sites,
        Self::Copies,
        Self::Registers,
    ];

    /// The name, as status and log lines carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GlobalConf => "globalconf",
            Self::ServerConf => "server-file",
            Self::Keys => "keys",
            Self::Ocsp => "ocsp",
            Self::Timestamp => "timestamp",
            Self::Archive => "archive",
            Self::Sites => "sites",
            Self::Copies => "copies",
            Self::Registers => "registers",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::GlobalConf => 0,
            Self::ServerConf => 1,
            Self::Keys => 2,
            Self::Ocsp => 3,
            Self::Timestamp => 4,
            Self::Archive => 5,
            Self::Sites => 6,
            Self::Copies => 7,
            Self::Registers => 8,
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.statuses()).finish()
    }
}

impl Jobs {
    /// The jobs of a gateway that was just opened: all are due, but for what opening has done.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let now = gateway.now();
        let statuses = Job::ALL.map(|job| Status {
            last_success: None,
            last_error: None,
            failures: 0,
            next_due: if job == Job::Timestamp { now.plus(STAMPING_BEGINS) } else { now },
            is_running: false,
            noted: now,
        });
        let inner = Inner {
            gateway,
            client: globalconf::Client::default(),
            painting: Mutex::new(()),
            statuses: Mutex::new(statuses),
            probes: Mutex::default(),
            moved: Notify::new(),
        };
        inner.gateway.log.set_timestamper_known(!timestamp_services(&inner.gateway).is_empty());
        Self(Arc::new(inner))
    }

    /// What is known of each job.
    #[must_use]
    pub fn statuses(&self) -> Vec<(Job, Status)> {
        Job::ALL.into_iter().zip(self.0.statuses().iter().cloned()).collect()
    }

    /// Runs one job now and notes what came of it. A job that is running already is left alone.
    pub async fn run(&self, job: Job) {
        if !self.0.begin(job) {
            return;
        }
        let inner = &self.0;
        let outcome = match job {
            Job::GlobalConf => inner.fetch_globalconf().await,
            Job::ServerConf => inner.look_at_server_file().await,
            Job::Keys => inner.look_at_keys().await,
            Job::Ocsp => inner.fetch_ocsp().await,
            Job::Timestamp => inner.stamp().await,
            Job::Archive => inner.archive().await,
            Job::Sites => inner.look_at_sites().await,
            Job::Copies => inner.look_at_copies().await,
            Job::Registers => inner.look_at_registers().await,
        };
        inner.end(job, outcome);
    }

    /// Runs all that is due at the present moment, side by side; returns when all of it has ended.
    pub async fn run_due(&self) {
        let now = self.0.gateway.now();
        let due = self.statuses().into_iter().filter(|(_, s)| s.is_due(now));
        let mut running = JoinSet::new();
        for (job, _) in due {
            let jobs = self.clone();
            running.spawn(async move { jobs.run(job).await });
        }
        while running.join_next().await.is_some() {}
    }

    /// Runs what is due, when it is due, until `stop`. A job under way is then abandoned: each is made for that.
    ///
    /// # Errors
    /// [`JobPanicked`], at once.
    pub async fn run_until(&self, mut stop: Stop) -> Result<(), JobPanicked> {
        let mut running = JoinSet::new();
        loop {
            let now = self.0.gateway.now();
            for (job, status) in self.statuses() {
                if status.is_due(now) {
                    let jobs = self.clone();
                    running.spawn(async move { jobs.run(job).await });
                }
            }
            let waiting = self.statuses().into_iter().filter(|(_, s)| !s.is_running);
            let soonest = waiting.map(|(_, s)| s.next_due.since(now)).min().unwrap_or(SLEEP_MAX);
            let pause = soonest.clamp(Duration::from_millis(20), SLEEP_MAX);
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                () = self.0.moved.notified() => {}
                Some(Err(error)) = running.join_next(), if !running.is_empty() => {
                    tracing::error!(%error, "a job panicked");
                    return Err(JobPanicked);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl Inner {
    fn statuses(&self) -> MutexGuard<'_, [Status; Job::ALL.len()]> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a job.
    fn note<T>(&self, job: Job, change: impl FnOnce(&mut Status) -> T) -> Option<T> {
        self.statuses().get_mut(job.place()).map(change)
    }

    fn begin(&self, job: Job) -> bool {
        self.note(job, |s| !std::mem::replace(&mut s.is_running, true)).unwrap_or(false)
    }

    fn end(&self, job: Job, outcome: Result<Next, Failed>) {
        let now = self.gateway.now();
        self.note(job, |status| {
            status.is_running = false;
            status.noted = now;
            match outcome {
                Ok(next) => {
                    if status.failures > 0 {
                        tracing::info!(job = job.name(), failures = status.failures, "job works again");
                    }
                    status.last_success = Some(now);
                    status.failures = 0;
                    status.next_due = match next {
                        Next::After(span) => now.plus(jittered(span.max(INTERVAL_MIN), random_byte())),
                        Next::AtOnce => now,
                    };
                }
                Err(Failed { text, retry }) => {
                    // The same again and again is told once; the status counts.
                    if status.last_error.as_ref().is_none_or(|(_, before)| *before != text)
                        || status.failures == 0
                    {
                        tracing::warn!(job = job.name(), error = text, "job failed");
                    }
                    status.last_error = Some((now, text));
                    let pause = backoff(status.failures, retry);
                    status.failures = status.failures.saturating_add(1);
                    status.next_due = now.plus(jittered(pause, random_byte()));
                }
            }
        });
        self.moved.notify_one();
    }

    /// Moves a job's next run to now, unless it has been failing: then its own pauses hold.
    fn hasten(&self, job: Job) {
        let now = self.gateway.now();
        self.note(job, |status| {
            if status.failures == 0 {
                status.next_due = status.next_due.min(now);
            }
        });
        self.moved.notify_one();
    }

    /// Paints a new picture from the present one and hangs it.
    fn paint(&self, change: impl FnOnce(&mut Parts)) {
        let _painting = self.painting.lock().unwrap_or_else(PoisonError::into_inner);
        let gateway = &self.gateway;
        let (world, now) = (gateway.world(), gateway.now());
        let mut parts = Parts {
            conf: Arc::clone(&world.conf),
            server: Arc::clone(&world.server),
            statuses: Arc::clone(&world.statuses),
        };
        change(&mut parts);
        let painted = parts.paint(gateway, now);
        tell_what_changed(&world, &painted);
        gateway.world.swap(painted);
        self.gateway.log.set_timestamper_known(!timestamp_services(&self.gateway).is_empty());
    }

    async fn fetch_globalconf(&self) -> Result<Next, Failed> {
        let gateway = &self.gateway;
        let interval = gateway.conf.jobs.globalconf;
        let seed = random::bytes().map(u64::from_le_bytes).unwrap_or_default();
        let failed = |text| Failed { text, retry: interval };
        let fetched = self.client.fetch(&gateway.conf, gateway.now(), seed).await;
        let conf = fetched.map_err(|error| {
            // What is believed may have expired meanwhile, and our keys with it.
            self.paint(|_| {});
            failed(error.to_string())
        })?;
        self.paint(|parts| parts.conf = Arc::new(conf));
        self.hasten_ocsp_if_needed();
        Ok(Next::After(interval))
    }

    /// A certificate without any response is asked for at once: nothing goes without it.
    fn hasten_ocsp_if_needed(&self) {
        let world = self.gateway.world();
        let needed = ocsp::questions(&self.gateway.keys.certificates(), &world.conf, self.gateway.now());
        if needed.iter().any(|q| world.statuses.of(&q.certificate).is_none()) {
            self.hasten(Job::Ocsp);
        }
    }
}

/// What a picture is painted from.
struct Parts {
    conf: Arc<GlobalConf>,
    server: Arc<crate::conf::ServerConf>,
    statuses: Arc<crate::keys::Statuses>,
}

impl Parts {
    fn paint(self, gateway: &Gateway, now: UnixTime) -> World {
        let conf = match self.conf.changes() {
            Some(at) if at <= now => Arc::new(self.conf.at(now)),
            Some(_) | None => self.conf,
        };
        World::new(&gateway.conf.server, conf, self.server, self.statuses, &gateway.keys, now)
    }
}

/// Says once what a new picture stops, and what it lets go on.
fn tell_what_changed(before: &World, after: &World) {
    let (was, is) = (before.conf.continuity_trouble(), after.conf.continuity_trouble());
    if let Some(trouble) = is.filter(|_| was != is) {
        tracing::error!(trouble, "older decision about sites and registers refused");
    }
    for (register, why) in after.stopped().filter(|(client, why)| !before.is_stopped_for(client, why)) {
        tracing::error!(%register, why, "register stopped: it may not be served here");
    }
    for (register, _) in
        before.stopped().filter(|(client, _)| after.stopped().all(|(still, _)| still != *client))
    {
        tracing::info!(%register, "register no longer stopped");
    }
}

/// How long to wait after this many failures in a row: a second, then twice as long each time, at most `longest`.
fn backoff(failures_before: u32, longest: Duration) -> Duration {
    let factor = 1u32.checked_shl(failures_before.min(20)).unwrap_or(u32::MAX);
    BACKOFF_MIN.saturating_mul(factor).min(longest).max(INTERVAL_MIN)
}

/// A span made up to a tenth shorter, so that gateways started together do not ask together.
fn jittered(span: Duration, random: u8) -> Duration {
    span.saturating_sub((span / 10).mul_f32(f32::from(random) / 255.0))
}

fn random_byte() -> u8 {
    random::bytes::<1>().map_or(0, |[byte]| byte)
}

#[cfg(test)]
mod tests;
