//! Listens, answers one connection beside the other, and stops without cutting anybody off.

use super::ServeError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What answers on a port. Cheap to clone.
pub trait Service: Clone + Send + Sync + 'static {
    /// Where it is to be reached, `ADDRESS:PORT`.
    fn listen(&self) -> &str;

    /// Answers a request.
    fn answer(
        self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send;

    /// What it does unasked, until it is dropped.
    fn work(self) -> impl Future<Output = ()> + Send;
}

/// Connections at once; each costs a few KB and a file descriptor.
const CONNECTIONS_MAX: usize = 1024;
/// How long a request's head and its body may take each, and a connection may idle.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may last: who reads slowly must not keep a place for ever.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long connections at work get to finish when told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// A service that runs in this process until stopped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    run: JoinHandle<()>,
}

impl Running {
    /// Serves on the address that its file names.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn listen(services: impl Service) -> Result<Self, ServeError> {
        let address = services.listen().to_owned();
        let listener = TcpListener::bind(&address).await;
        Self::start(listener.map_err(|source| ServeError::Listen { address, source })?, services)
    }

    /// Serves on `listener`.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn start(listener: TcpListener, services: impl Service) -> Result<Self, ServeError> {
        let address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: services.listen().to_owned(), source })?;
        let (stop, stopped) = watch::channel(false);
        let run = tokio::spawn(run(listener, services, stopped));
        Ok(Self { address, stop, run })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes those at work, ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.run.await;
    }
}

async fn run(listener: TcpListener, services: impl Service, stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let work = tokio::spawn(services.clone().work());
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
    work.abort();
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

/// Waits until told to stop; whoever could tell being gone is the same.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve(stream: TcpStream, services: impl Service, mut stopped: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(move |request| services.clone().answer(request));
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
