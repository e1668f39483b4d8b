//! The trust services over HTTP: OCSP, time-stamps, signed configuration; any or all of them in one process.
//!
//! | request | answer |
//! |---|---|
//! | `POST <ocsp.path>`, `GET <ocsp.path>/<base64>` | OCSP, RFC 6960 appendix A |
//! | `POST <tsa.path>` | time-stamps, RFC 3161 3.4 |
//! | `GET /internalconf?version=N`, `/externalconf?version=N` | the signed directory; 404 for versions not published |
//! | `GET /V<N>/<stamp>/<file>` | a document of the configuration |
//! | `GET /health/live`, `/health/ready` | whether this process lives; whether every service could answer now |
//!
//! Plain HTTP: everything served is signed. Time comes from a [`Clock`], so that tests wind it.

mod conf;
mod route;

use crate::globalconf::{PublishError, Publisher};
use crate::ocsp::{Pace, Responder, ResponderError};
use crate::tsa::{Stamper, StamperError};
use hyper_util::rt::{TokioIo, TokioTimer};
use saatkond_proto::time::UnixTime;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// The time, asked for; a test brings its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixTime + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            UnixTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock that asks `now`.
    pub fn from_fn(now: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A service that does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration file.
    #[error("{path}: {reason}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The OCSP responder.
    #[error("OCSP: {0}")]
    Ocsp(#[from] ResponderError),
    /// The time-stamping authority.
    #[error("time-stamps: {0}")]
    Tsa(#[from] StamperError),
    /// The instance's configuration.
    #[error("configuration: {0}")]
    Publish(#[from] PublishError),
    /// The socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What is served, opened and ready. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Services(Arc<Shop>);

#[derive(Debug)]
struct Shop {
    clock: Clock,
    listen: String,
    ocsp: Option<(String, Responder)>,
    tsa: Option<(String, Stamper)>,
    configuration: Option<Mutex<Publisher>>,
}

impl Services {
    /// Opens what the file `serve.toml` names.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn open(path: &Path, clock: Clock) -> Result<Self, ServeError> {
        let file = conf::read(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let ocsp = match &file.ocsp {
            Some(entry) => {
                let directories: Vec<PathBuf> = entry.authorities.iter().map(|d| base.join(d)).collect();
                let pace = Pace { next_update: entry.next_update.0, remember: entry.remember.0 };
                Some((entry.path.clone(), Responder::open(&directories, pace)?))
            }
            None => None,
        };
        let tsa = match &file.tsa {
            Some(entry) => {
                let policy = entry.policy.parse().map_err(|e: crate::tsa::NoOid| {
                    ServeError::Configuration { path: path.to_owned(), reason: format!("tsa.policy: {e}") }
                })?;
                let (certificate, key) = (base.join(&entry.certificate), base.join(&entry.key));
                Some((entry.path.clone(), Stamper::open(&certificate, &key, policy)?))
            }
            None => None,
        };
        let configuration = match &file.configuration {
            Some(entry) => Some(Mutex::new(Publisher::open(&base.join(&entry.directory), clock.now())?)),
            None => None,
        };
        Ok(Self(Arc::new(Shop { clock, listen: file.listen, ocsp, tsa, configuration })))
    }

    /// The clock they go by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Where they are to be reached, `ADDRESS:PORT`.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.0.listen
    }

    /// Signs the configuration anew where that is due; tells how long until it is due again.
    fn renew(&self) -> Option<Duration> {
        let now = self.0.clock.now();
        let mut publisher = self.0.configuration.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        match publisher.renew(now) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(trouble) = publisher.trouble() {
                    tracing::error!(
                        trouble,
                        "applied instance not taken over, the last good one is published"
                    );
                }
            }
            Err(error) => {
                let (error, expires) = (crate::globalconf::chain(&error), publisher.expires());
                tracing::error!(%error, %expires, "configuration not signed anew");
            }
        }
        Some(publisher.renewal())
    }
}

/// Connections at once; each costs a few KB and a file descriptor.
const CONNECTIONS_MAX: usize = 1024;
/// How long a request's head and its body may take each, and a connection may idle.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may last: who reads slowly must not keep a place for ever.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long connections at work get to finish when told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Services that run in this process until stopped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl Running {
    /// Serves on the address that the services' file names.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn listen(services: Services) -> Result<Self, ServeError> {
        let address = services.listen().to_owned();
        let listener = TcpListener::bind(&address).await;
        Self::start(listener.map_err(|source| ServeError::Listen { address, source })?, services)
    }

    /// Serves on `listener`.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn start(listener: TcpListener, services: Services) -> Result<Self, ServeError> {
        let address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: services.listen().to_owned(), source })?;
        let (stop, stopped) = watch::channel(false);
        let work = tokio::spawn(run(listener, services, stopped));
        Ok(Self { address, stop, work })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes those at work, ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.work.await;
    }
}

async fn run(listener: TcpListener, services: Services, stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let renewal = tokio::spawn(keep_signed(services.clone()));
    let mut end = stopped.clone();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = told(&mut end) => break,
        };
        let Ok(permit) = permit else { break };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (services, stopped) = (services.clone(), stopped.clone());
                    connections.spawn(async move {
                        let _ = tokio::time::timeout(LIFETIME, serve(stream, services, stopped)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // out of file descriptors, most likely: others give theirs back
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = told(&mut end) => break,
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    renewal.abort();
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

/// Waits until told to stop; whoever could tell being gone is the same.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Signs the configuration anew when it is due, whether or not anybody asks.
async fn keep_signed(services: Services) {
    loop {
        let services = services.clone();
        let due = tokio::task::spawn_blocking(move || services.renew()).await;
        match due {
            Ok(Some(renewal)) => tokio::time::sleep(renewal).await,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "signing the configuration failed");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, services: Services, mut stopped: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(move |request| route::answer(services.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = told(&mut stopped), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
