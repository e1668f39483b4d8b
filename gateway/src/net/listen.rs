//! Doors that stand open: accept, bound, answer, drain.

use super::body::{Incoming, Outgoing};
use super::framed::{Framed, Heads, NUMBER};
use super::head::RequestHead;
use super::tls::TurnedAway;
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tower::{Service, ServiceExt};

/// How long no connection is accepted after accepting failed: the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request that came in.
#[derive(Debug)]
pub struct Exchange {
    /// Its head, as it came.
    pub head: RequestHead,
    /// Its body.
    pub body: Incoming,
    /// Who connected.
    pub caller: Arc<Caller>,
}

/// Who connected.
#[derive(Debug, Clone)]
pub struct Caller {
    /// From where.
    pub address: SocketAddr,
    /// Whether by TLS.
    pub is_tls: bool,
    /// The certificates shown in TLS (DER), leaf first; the key of the leaf is the caller's.
    pub certificates: Vec<Vec<u8>>,
}

/// Time limits of one door.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A TLS handshake, a head, the next piece of a body, or the taking of anything we send.
    pub idle: Duration,
    /// How long exchanges under way may go on once the door closes.
    pub drain: Duration,
}

/// A door that is bound and not yet open.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    connections_max: usize,
    each_max: usize,
}

impl Listener {
    /// Binds `address`; connections from outside wait until [`serve`].
    ///
    /// # Errors
    /// The system's, such as [`io::ErrorKind::AddrInUse`].
    pub async fn bind(address: SocketAddr, connections_max: usize) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let connections_max = connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self { socket, address, connections_max, each_max: connections_max })
    }

    /// Lets each address have at most so many of the connections; further ones are closed at once.
    #[must_use]
    pub const fn each_address(mut self, each_max: usize) -> Self {
        self.each_max = each_max;
        self
    }

    /// Where it is bound: with the number the system chose for port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it takes to bind it again.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        Terms { address: self.address, connections_max: self.connections_max, each_max: self.each_max }
    }
}

/// Where a door was bound, and for how many: it may be shut for a while and bound again.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    address: SocketAddr,
    connections_max: usize,
    each_max: usize,
}

impl Terms {
    /// Binds the door again; connections that are left from before are no obstacle.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub async fn bind(self) -> io::Result<Listener> {
        Ok(Listener::bind(self.address, self.connections_max).await?.each_address(self.each_max))
    }
}

//------------ Stop ----------------------------------------------------------

/// Tells doors to close.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears that doors must close. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A stopper, and what hears it.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Closes the doors: exchanges under way go on for a while, new ones do not begin.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once doors must close, also when the stopper is gone.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn stopped(&mut self) {
        // An error means that nobody can stop us any more.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Whether doors must close.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

//------------ serve ---------------------------------------------------------

/// What a door speaks.
#[derive(Debug, Clone)]
pub enum Speech {
    /// Plain HTTP.
    Plain,
    /// HTTP in TLS.
    Tls {
        /// How.
        config: Arc<rustls::ServerConfig>,
        /// Who hears what a client offers before it is answered, where somebody wants to.
        hears: Option<Arc<TurnedAway>>,
    },
    /// No word: connections are closed at once, as while we have no key.
    Nothing,
}

/// Serves a door until `stop`; then lets exchanges under way end, within the deadline.
///
/// `speech` is asked for each connection, so that new keys and a new world are used from then on.
pub async fn serve<S>(
    listener: Listener,
    deadlines: Deadlines,
    speech: impl Fn() -> Speech,
    mut stop: Stop,
    service: S,
) where
    S: Service<Exchange, Response = Response<Outgoing>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let permits = Arc::new(Semaphore::new(listener.connections_max));
    let guests = Guests::new(listener.each_max);
    let (abandon, abandoned) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.stopped() => break,
            accepted = accept(&listener.socket, &permits) => accepted,
        };
        let (stream, address, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(door = %listener.address, %error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(guest) = guests.welcome(address.ip()) else { continue };
        let (speech, stop, abandoned) = (speech(), stop.clone(), abandoned.clone());
        let connection = connection(stream, address, speech, deadlines, stop, service.clone());
        tokio::spawn(async move {
            let mut abandoned = abandoned;
            tokio::select! {
                () = connection => {}
                _ = abandoned.wait_for(|abandoned| *abandoned) => {}
            }
            drop((permit, guest));
        });
    }
    drop(listener.socket);
    let all = u32::try_from(listener.connections_max).unwrap_or(u32::MAX);
    if timeout(deadlines.drain, permits.acquire_many(all)).await.is_err() {
        tracing::warn!(door = %listener.address, "connections cut: they did not end within the time to drain");
    }
    abandon.send_replace(true);
}

async fn accept(
    socket: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = socket.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address, permit))
}

async fn connection<S>(
    stream: TcpStream,
    address: SocketAddr,
    speech: Speech,
    deadlines: Deadlines,
    stop: Stop,
    service: S,
) where
    S: Service<Exchange, Response = Response<Outgoing>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    match speech {
        Speech::Nothing => {}
        Speech::Plain => {
            let caller = Caller { address, is_tls: false, certificates: Vec::new() };
            http(stream, caller, deadlines, stop, service).await;
        }
        Speech::Tls { config, hears } => {
            let accepting = async {
                let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
                if let Some(hears) = hears {
                    hears.hear(address, &hello.client_hello());
                }
                hello.into_stream(config).await
            };
            let stream = match timeout(deadlines.idle, accepting).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => {
                    tracing::debug!(%address, "TLS handshake took too long");
                    return;
                }
            };
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let certificates = shown.iter().map(|c| c.to_vec()).collect();
            let caller = Caller { address, is_tls: true, certificates };
            http(stream, caller, deadlines, stop, service).await;
        }
    }
}

async fn http<S>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    caller: Caller,
    deadlines: Deadlines,
    mut stop: Stop,
    service: S,
) where
    S: Service<Exchange, Response = Response<Outgoing>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let address = caller.address;
    let caller = Arc::new(caller);
    let (framed, heads) = Framed::new(stream, deadlines.idle);
    let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (heads, caller, service) = (heads.clone(), Arc::clone(&caller), service.clone());
        async move { Ok::<_, Infallible>(one(request, &heads, caller, deadlines.idle, service).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.idle)
        // A caller that closes its sending half still gets its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(framed), answer);
    tokio::pin!(serving);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut serving => {
                if let Err(error) = ended {
                    tracing::debug!(%address, %error, "connection ended");
                }
                return;
            }
            () = stop.stopped(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers one request: with the head as it came, or with its refusal.
async fn one<S>(
    request: Request<hyper::body::Incoming>,
    heads: &Heads,
    caller: Arc<Caller>,
    idle: Duration,
    service: S,
) -> Response<Outgoing>
where
    S: Service<Exchange, Response = Response<Outgoing>, Error = Infallible>,
{
    let number = request.headers().get(NUMBER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let head = number.and_then(|number| heads.take(number));
    match head {
        Some(Ok(head)) => {
            let body = Incoming::new(request.into_body(), idle).awaited(head.expects_continue);
            match service.oneshot(Exchange { head, body, caller }).await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
            }
        }
        Some(Err(refusal)) => refused(refusal.status(), &refusal.to_string()),
        None => refused(400, "request cannot be followed"),
    }
}

/// The page with which the HTTP server itself refuses a request. Seen: message-path §1.1.
fn refused(status: u16, why: &str) -> Response<Outgoing> {
    let page = format!(
        "<html>\n<head><title>Error {status}</title></head>\n<body><h2>HTTP ERROR {status}</h2><p>{why}</p></body>\n</html>\n"
    );
    let mut response = Response::new(Outgoing::sized().bytes(page));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers
        .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("must-revalidate,no-cache,no-store"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html;charset=iso-8859-1"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

//------------ Guests --------------------------------------------------------

/// Connections by address, so that nobody takes all of a door.
#[derive(Debug, Clone)]
struct Guests {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    each_max: usize,
}

/// One connection of an address.
#[derive(Debug)]
struct Guest {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    fn new(each_max: usize) -> Self {
        Self { counts: Arc::default(), each_max }
    }

    fn welcome(&self, address: IpAddr) -> Option<Guest> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Guest { guests: self.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const DEADLINES: Deadlines = Deadlines { idle: Duration::from_secs(5), drain: Duration::from_secs(5) };

    /// A door that answers with method, target, headers and body as they came.
    async fn echo(mut exchange: Exchange) -> Result<Response<Outgoing>, Infallible> {
        let mut text = format!("{} {}", exchange.head.method, exchange.head.target);
        for (name, value) in exchange.head.headers.iter() {
            text.push_str(&format!("|{name}={value}"));
        }
        let body = exchange.body.whole(1000).await;
        text.push_str(
            &body.map_or_else(|e| format!(" {e}"), |b| format!(" {}", String::from_utf8_lossy(&b))),
        );
        Ok(Response::new(Outgoing::sized().bytes(text)))
    }

    async fn open() -> (SocketAddr, Stopper, tokio::task::JoinHandle<()>) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 10).await.unwrap();
        let address = listener.address();
        let (stopper, stop) = stop();
        let service = tower::service_fn(echo);
        let serving = tokio::spawn(serve(listener, DEADLINES, || Speech::Plain, stop, service));
        (address, stopper, serving)
    }

    /// Sends bytes, closes the sending half, reads all that comes.
    async fn say(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn heads_arrive_as_sent_on_a_kept_connection() {
        let (address, stopper, serving) = open().await;
        let answer = say(
            address,
            b"POST /a?b HTTP/1.1\r\nhOST: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc\
              get /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.contains("POST /a?b|hOST=h|X-A=1|x-a=2|Content-Length=3 abc"), "{answer}");
        assert!(answer.contains("get /c|Host=h|Connection=close "), "{answer}");
        stopper.stop();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_http_forbids_is_refused_with_a_page() {
        let (address, _stopper, _serving) = open().await;
        let answer =
            say(address, b"GET //a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/html;charset=iso-8859-1\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "a".repeat(9000));
        assert!(say(address, long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn a_body_cut_short_is_told_to_the_service_which_still_answers() {
        let (address, _stopper, _serving) = open().await;
        let answer = say(address, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc").await;
        assert!(answer.contains("the body ended early"), "{answer}");
    }

    #[tokio::test]
    async fn http_1_0_gets_its_answer_and_the_end_of_the_connection() {
        let (address, _stopper, _serving) = open().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /old HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).ends_with("GET /old "), "{answer:?}");
    }

    #[tokio::test]
    async fn stopping_closes_idle_connections_and_the_door() {
        let (address, stopper, serving) = open().await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(idle.read(&mut [0; 1000]).await.unwrap() > 0);
        stopper.stop();
        serving.await.unwrap();
        assert_eq!(idle.read(&mut [0; 1000]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[test]
    fn one_address_takes_its_share_only() {
        let guests = Guests::new(2);
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let first = guests.welcome(here).unwrap();
        let _second = guests.welcome(here).unwrap();
        assert!(guests.welcome(here).is_none());
        assert!(guests.welcome("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(guests.welcome(here).is_some());
    }
}
