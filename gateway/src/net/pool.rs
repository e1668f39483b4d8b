//! Connections to servers, kept while they are good for another request.

use super::body::Outgoing;
use super::outward::{Lane, Outward};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Header lines of one answer.
const HEADERS_MAX: usize = 300;
/// How long a connection is kept idle: less than the 30 s after which servers close it.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(15);
/// Servers that connections are kept to.
const SERVERS_MAX: usize = 4096;

/// To whom, and as whom, a connection was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// What we showed: SHA-256 of our certificate, or nothing.
    pub(crate) shown: Vec<u8>,
    /// Whether TLS is spoken.
    pub(crate) is_tls: bool,
}

/// A connection to a server, with at most one request under way.
pub struct Connection {
    key: Key,
    sender: SendRequest<Outgoing>,
    lane: Lane,
    certificates: Vec<Vec<u8>>,
    is_reused: bool,
    used: Instant,
    /// Ends the connection when dropped.
    _driver: Driver,
}

/// The task that moves a connection's bytes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Not a byte of it was written: the connection had ended before.
    #[error("the connection ended before the request")]
    Unsent,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The server refused our certificate, which TLS 1.3 tells late: nothing of the request was looked at.
    #[error("the server refused our certificate with TLS alert {0:?}")]
    Refused(rustls::AlertDescription),
}

impl Connection {
    /// Speaks HTTP on `stream`, whose server showed `certificates`.
    pub(crate) async fn start<S>(
        key: Key,
        stream: S,
        certificates: Vec<Vec<u8>>,
        stall: Duration,
    ) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let lane = Lane::default();
        let outward = Outward::new(stream, stall, lane.clone());
        let mut builder = http1::Builder::new();
        builder.max_headers(HEADERS_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(outward)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let (is_reused, used) = (false, Instant::now());
        Ok(Self { key, sender, lane, certificates, is_reused, used, _driver: Driver(driver) })
    }

    /// What the server showed in TLS (DER), leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Whether it has served another request before.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// What is known of the request under way.
    #[must_use]
    pub const fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Sends a request and waits for the head of the answer. Deadlines are the caller's.
    ///
    /// # Errors
    /// [`AskError`].
    ///
    /// # Cancel safety
    /// A dropped call leaves a connection that must be dropped, too.
    pub async fn ask(
        &mut self,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<hyper::body::Incoming>, AskError> {
        self.lane.begin();
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            match (self.lane.refused(), failed.take_message()) {
                (Some(alert), _) => AskError::Refused(alert),
                (None, Some(_)) => AskError::Unsent,
                (None, None) => AskError::Broken(failed.into_error()),
            }
        })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}:{})", self.key.host, self.key.port)
    }
}

//------------ Pool ----------------------------------------------------------

/// Idle connections.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Connection>>>,
    each_max: usize,
}

impl Pool {
    /// Keeps at most so many connections to one server.
    pub(crate) fn new(each_max: usize) -> Self {
        Self { idle: Mutex::default(), each_max }
    }

    /// Takes the connection that was used last, if it is good for another request and was used within `idle_max`.
    pub(crate) fn take(&self, key: &Key, idle_max: Duration) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(key)?;
        let found = loop {
            match kept.pop() {
                Some(connection) if connection.used.elapsed() > idle_max => {
                    // All others have been idle for longer still.
                    kept.retain(|c| c.used.elapsed() <= IDLE_MAX);
                    if connection.used.elapsed() <= IDLE_MAX {
                        kept.push(connection);
                    }
                    break None;
                }
                Some(connection) if connection.sender.is_ready() => break Some(connection),
                Some(_) => {}
                None => break None,
            }
        };
        if kept.is_empty() {
            idle.remove(key);
        }
        // What is known of its lane is of the request before.
        found.map(|connection| {
            connection.lane.begin();
            Connection { is_reused: true, ..connection }
        })
    }

    /// Keeps a connection whose answer was read to its end. One that is not good for another request is found out later.
    pub(crate) fn give(&self, mut connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        connection.used = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= SERVERS_MAX && !idle.contains_key(&connection.key) {
            idle.retain(|_, kept| kept.last().is_some_and(|c| c.used.elapsed() <= IDLE_MAX));
        }
        if idle.len() >= SERVERS_MAX && !idle.contains_key(&connection.key) {
            return;
        }
        let kept = idle.entry(connection.key.clone()).or_default();
        kept.retain(|c| c.used.elapsed() <= IDLE_MAX && !c.sender.is_closed());
        if kept.len() < self.each_max {
            kept.push(connection);
        }
    }
}
