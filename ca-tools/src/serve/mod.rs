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
//! What servers ask for is taken on other ports: see [`Management`].
//!
//! Plain HTTP: everything served is signed. Time comes from a [`Clock`], so that tests wind it.

mod conf;
mod management;
pub(crate) mod route;
mod running;

pub use management::Management;
pub use running::{Running, Service};

use crate::globalconf::{Central, PublishError, Publisher};
use crate::ocsp::{Pace, Responder, ResponderError};
use crate::tsa::{Stamper, StamperError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use saatkond_proto::time::UnixTime;
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    management: Vec<Management>,
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
        let management = match (file.management, &file.configuration) {
            (Some(entry), Some(configuration)) => {
                let central = Central::open(&base.join(&configuration.directory))?;
                Management::doors(central, &clock, entry)
            }
            _ => Vec::new(),
        };
        Ok(Self(Arc::new(Shop { clock, listen: file.listen, ocsp, tsa, configuration, management })))
    }

    /// The clock they go by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What takes management requests, each on a port of its own: those the file names.
    #[must_use]
    pub fn management(&self) -> &[Management] {
        &self.0.management
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

impl Service for Services {
    fn listen(&self) -> &str {
        &self.0.listen
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        route::answer(self, request).await
    }

    /// Signs the configuration anew when it is due, whether or not anybody asks.
    async fn work(self) {
        loop {
            let services = self.clone();
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
}
