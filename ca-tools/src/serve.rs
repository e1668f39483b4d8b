//! The trust services over HTTP: OCSP, time-stamps, signed configuration; any or all of them in one process.

use saatkond_proto::time::UnixTime;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

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

/// A service that does not start or stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration file.
    #[error("{path}: {reason}")]
    Configuration {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong in it.
        reason: String,
    },
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

/// What is served, opened and ready.
#[derive(Debug, Clone)]
pub struct Services {
    clock: Clock,
}

impl Services {
    /// Opens what the file `serve.toml` names.
    ///
    /// # Errors
    /// [`ServeError::Configuration`].
    pub fn open(path: &Path, clock: Clock) -> Result<Self, ServeError> {
        let _ = clock;
        Err(ServeError::Configuration { path: path.to_owned(), reason: "not read".to_owned() })
    }

    /// The clock they go by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Services that run in this process until stopped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
}

impl Running {
    /// Serves on `listener`.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn start(listener: TcpListener, services: Services) -> Result<Self, ServeError> {
        let _ = services;
        let address =
            listener.local_addr().map_err(|source| ServeError::Listen { address: "?".to_owned(), source })?;
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes those at work, ends.
    pub async fn stop(self) {}
}
