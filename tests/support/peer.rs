//! A gateway that a test plays: as the consumer's, which asks, and as the provider's, which answers.

use crate::caller::Ask;
use crate::federation::{Federation, Holder};
use crate::letter::{Draft, Letter, Opened, Signer};
use crate::patiently;
use crate::seen::Seen;
use crate::wire::{self, Head, Wire};
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use saatkond::net::tls;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::message::rest::{Headers, Request};
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::Expect;
use saatkond_proto::transport::write::{self, Part};
use saatkond_proto::trust::Certificate;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

//------------ as the consumer's ---------------------------------------------

/// A consumer's gateway that the test plays.
#[derive(Debug, Clone)]
pub struct Asker {
    /// What it shows in TLS; `None` shows nothing.
    pub shows: Option<Holder>,
    /// What it shows behind that.
    pub behind: Vec<Arc<Certificate>>,
    /// The OCSP responses that it brings along.
    pub statuses: Vec<Vec<u8>>,
    /// Who signs.
    pub signer: Signer,
    /// When it says that it signs.
    pub at: UnixTime,
}

/// What is said to a provider's gateway over HTTP.
#[derive(Debug, Clone)]
pub struct Post {
    /// The method.
    pub method: String,
    /// Header lines, without those that frame the body.
    pub lines: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection ends after this many bytes of the body.
    pub cut: Option<usize>,
}

/// What a provider's gateway told.
#[derive(Debug, Clone)]
pub struct Told {
    /// The head of its answer.
    pub head: Head,
    /// The body of its answer.
    pub body: Vec<u8>,
}

impl Asker {
    /// The gateway of a server, with its own keys and good OCSP responses.
    #[must_use]
    pub fn of(federation: &Federation, code: &str) -> Self {
        let auth = federation.auth(code);
        Self {
            statuses: vec![federation.good(&auth.certificate)],
            shows: Some(auth),
            behind: Vec::new(),
            signer: Signer::of(federation, code),
            at: federation.now(),
        }
    }

    /// Drafts the message for what an information system asks.
    #[must_use]
    pub fn draft(&self, ask: &Ask) -> Draft {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (request_id, id) =
            (format!("00000000-0000-4000-8000-{number:012}"), format!("DEV-of-a-test-{number}"));
        let headers: Headers = ask.lines.iter().cloned().collect();
        let request =
            Request::from_information_system(&ask.method, &ask.target, &headers, &request_id, &id).unwrap();
        Draft {
            part: Part::RestRequest,
            statuses: self.statuses.clone(),
            block: request.block().to_vec(),
            body: ask.body.clone(),
            signer: self.signer.clone(),
            at: self.at,
        }
    }

    /// Connects to a server's door for gateways.
    ///
    /// # Errors
    /// The handshake's; TLS 1.3 tells only with the first answer that our certificate is refused.
    pub async fn connect(&self, federation: &Federation, code: &str) -> io::Result<Wire> {
        let to = SocketAddr::from((federation.address(code), federation.port));
        let behind: Vec<&Certificate> = self.behind.iter().map(|c| &**c).collect();
        let connector = match &self.shows {
            Some(holder) => {
                TlsConnector::from(tls::to_gateways(holder.certified(&behind), tls::Peers::Modern))
            }
            None => tls::fetching(),
        };
        let name = tls::server_name(&to.ip().to_string())?;
        let tcp = TcpStream::connect(to).await?;
        Ok(Wire::new(connector.connect(name, tcp).await?))
    }

    /// Brings a letter on a connection of its own, and reads what is answered.
    pub async fn bring(&self, federation: &Federation, code: &str, letter: &Letter) -> Told {
        self.say(federation, code, &Post::of(letter)).await.unwrap()
    }

    /// Asks on a connection of its own, and reads what is answered.
    pub async fn ask(&self, federation: &Federation, code: &str, ask: &Ask) -> Told {
        self.bring(federation, code, &self.draft(ask).letter()).await
    }

    /// Says something on a connection of its own, and reads what is answered.
    ///
    /// # Errors
    /// The connection's.
    pub async fn say(&self, federation: &Federation, code: &str, post: &Post) -> io::Result<Told> {
        let mut wire = self.connect(federation, code).await?;
        post.say(&mut wire).await?;
        Told::hear(&mut wire, &post.method).await
    }
}

impl Post {
    /// A letter with the headers that a gateway sends. Spec: message-path §2.6.
    #[must_use]
    pub fn of(letter: &Letter) -> Self {
        let mut blocks = letter.pieces.iter().filter(|piece| piece.kind == Part::RestRequest.content_type());
        let request = blocks.next_back().and_then(|piece| Request::from_block(piece.bytes.clone()).ok());
        let id = request.map_or_else(|| "none".to_owned(), |request| request.request_id);
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            method: "POST".to_owned(),
            lines: vec![
                line("x-road-message-type", "REST"),
                line("x-hash-algorithm", "SHA-512"),
                line("x-original-content-type", ""),
                line("x-road-request-id", &id),
                line("x-proxy-version", "7.8.0"),
                line("Content-Type", &letter.content_type()),
                line("Host", "localhost:5500"),
            ],
            body: letter.bytes(),
            cut: None,
        }
    }

    /// With another value in a line.
    #[must_use]
    pub fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.iter_mut().find(|(n, _)| n == name).unwrap().1 = value.to_owned();
        self
    }

    /// Without a line.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.lines.retain(|(n, _)| n != name);
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Ending with the connection after this many bytes of the body.
    #[must_use]
    pub const fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Says it.
    ///
    /// # Errors
    /// The connection's.
    pub async fn say(&self, wire: &mut Wire) -> io::Result<()> {
        let mut lines = self.lines.clone();
        lines.push(("Content-Length".to_owned(), self.body.len().to_string()));
        let mut bytes = wire::head(&format!("{} / HTTP/1.1", self.method), &lines);
        bytes.extend_from_slice(&self.body[..self.cut.unwrap_or(self.body.len())]);
        wire.say(&bytes).await?;
        if self.cut.is_some() { wire.finish().await } else { Ok(()) }
    }
}

impl Told {
    /// Reads an answer.
    ///
    /// # Errors
    /// The connection's.
    pub async fn hear(wire: &mut Wire, method: &str) -> io::Result<Self> {
        patiently("a gateway answered", async {
            let head = wire.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let body = wire.body(head.end_of_answer(method)).await?;
            Ok(Self { head, body })
        })
        .await
    }

    /// Its parts, where it is a message.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        let content_type = self.head.line("content-type")?;
        Opened::read(content_type, Expect::RestResponse, &self.body).ok()
    }

    /// The fault that it tells, whole or as a part.
    #[must_use]
    pub fn fault(&self) -> Option<SoapFault> {
        match self.opened() {
            Some(opened) => opened.fault,
            None => SoapFault::from_xml(&self.body).ok().flatten(),
        }
    }

    /// The fault's code, without `server.serverproxy.`; empty for none.
    #[must_use]
    pub fn code(&self) -> String {
        let code = self.fault().map(|fault| fault.code).unwrap_or_default();
        code.strip_prefix("server.serverproxy.").unwrap_or(&code).to_owned()
    }
}

//------------ as the provider's ---------------------------------------------

/// A request that came to the test's door.
#[derive(Debug, Clone)]
pub struct Received {
    /// Which connection it came on, from 1.
    pub connection: usize,
    /// The HTTP head.
    pub head: Head,
    /// The message.
    pub message: Opened,
}

/// What the test's door answers.
#[derive(Debug, Clone)]
pub enum Play {
    /// A letter, in a whole HTTP answer.
    Letter(Letter),
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Last(Vec<u8>),
    /// Nothing, and the connection stays open.
    Silence,
}

/// How the test's door greets who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// It takes the request whole.
    Listens,
    /// It hangs up as soon as somebody has connected.
    HangsUp,
    /// It hangs up after the TLS handshake.
    HangsUpAfterTls,
    /// It has no cipher suite in common with who connects, says so, and hangs up.
    RefusesTls,
    /// It hangs up after this many bytes of the request.
    HangsUpAfter(usize),
}

/// A provider's gateway that the test plays.
#[derive(Debug)]
pub struct Door {
    /// The requests that came.
    pub received: Seen<Received>,
    /// Who connected: one entry each.
    pub connected: Seen<SocketAddr>,
    /// What was asked at its OCSP port.
    pub ocsp_asked: Seen<Head>,
    /// Who asked it with a GET how it is.
    pub asked_how: Seen<Head>,
    script: Arc<Script>,
    running: Vec<JoinHandle<()>>,
}

/// The alert of a server that has no cipher suite in common with who connects. Spec: RFC 8446 6.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// How a door behaves, for connections and questions to come.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How it greets.
    pub greeting: Greeting,
    /// What it shows in TLS.
    pub shows: Holder,
    /// What it shows behind that.
    pub behind: Vec<Arc<Certificate>>,
    /// What its OCSP port says, whole.
    pub ocsp: Vec<u8>,
    /// What it says to a GET, whole: a plain server knows none. `None` says nothing, for as long as anybody waits.
    pub state: Option<Vec<u8>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

impl Manner {
    /// Shows a certificate, with these answers of the OCSP port.
    fn new(shows: Holder, responses: &[Vec<u8>]) -> Self {
        let (ocsp, state) =
            (ocsp_answer(responses), Some(fault_answer("server.serverproxy.invalid_http_method")));
        Self { greeting: Greeting::Listens, shows, behind: Vec::new(), ocsp, state }
    }
}

/// The answer of an OCSP port. Spec: message-path §5.1.
#[must_use]
pub fn ocsp_answer(responses: &[Vec<u8>]) -> Vec<u8> {
    let responses: Vec<&[u8]> = responses.iter().map(Vec::as_slice).collect();
    let (kind, body) = write::ocsp_answer("jetty0123456789", &responses).unwrap();
    http_answer("200 OK", &[("Content-Type", &kind)], &body)
}

/// An HTTP answer with its length told.
#[must_use]
pub fn http_answer(status: &str, lines: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<_> = lines.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    lines.push(("Content-Length".to_owned(), body.len().to_string()));
    let mut bytes = wire::head(&format!("HTTP/1.1 {status}"), &lines);
    bytes.extend_from_slice(body);
    bytes
}

/// A letter in an HTTP answer, as a gateway sends it.
#[must_use]
pub fn letter_answer(letter: &Letter) -> Vec<u8> {
    let lines = [("Content-Type", letter.content_type()), ("x-hash-algorithm", "SHA-512".to_owned())];
    http_answer("200 OK", &lines.each_ref().map(|(n, v)| (*n, v.as_str())), &letter.bytes())
}

/// A fault in an HTTP answer, as a gateway sends it before it has begun a message.
#[must_use]
pub fn fault_answer(code: &str) -> Vec<u8> {
    let kind = [("Content-Type", "text/xml;charset=utf-8"), ("SOAPAction", "")];
    http_answer("200 OK", &kind, fault(code).to_xml().as_bytes())
}

/// A fault.
#[must_use]
pub fn fault(code: &str) -> SoapFault {
    SoapFault::new(code, "as the test says", Some("4711".to_owned()))
}

impl Door {
    /// Opens a server's doors, with its own certificate and a good OCSP response; `play` answers each request.
    pub async fn open(
        federation: &Federation,
        code: &str,
        play: impl Fn(&Received) -> Play + Send + Sync + 'static,
    ) -> Self {
        let shows = federation.auth(code);
        let good = federation.good(&shows.certificate);
        let manner = Mutex::new(Manner::new(shows, &[good]));
        let (received, connected) = (Seen::default(), Seen::default());
        let (ocsp_asked, asked_how) = (Seen::default(), Seen::default());
        let address = federation.address(code);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        // So that a peer cannot be far ahead of what was read.
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.bind(SocketAddr::from((address, federation.port))).unwrap();
        let listener = socket.listen(64).unwrap();
        let ocsp_listener = TcpListener::bind((address, federation.ocsp_port)).await.unwrap();
        let script = Arc::new(Script {
            play: Mutex::new(Arc::new(play)),
            received: received.clone(),
            connected: connected.clone(),
            ocsp_asked: ocsp_asked.clone(),
            asked_how: asked_how.clone(),
            manner,
        });
        let running = vec![
            tokio::spawn(Arc::clone(&script).gateways(listener)),
            tokio::spawn(Arc::clone(&script).ocsp(ocsp_listener)),
        ];
        Self { received, connected, ocsp_asked, asked_how, script, running }
    }

    /// Answers each request with a letter that `signer` signed.
    pub async fn answering(federation: &Federation, code: &str, body: &'static [u8]) -> Self {
        let (signer, clock) = (Signer::of(federation, code), federation.clock.clone());
        let play = move |received: &Received| {
            let lines = [("Content-Type", "text/plain")];
            Play::Letter(received.message.answer(&signer, clock.now(), &lines, Some(body)).letter())
        };
        Self::open(federation, code, play).await
    }

    /// Behaves otherwise from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.script.manner.lock().unwrap());
    }

    /// Answers otherwise from now on.
    pub fn plays(&self, play: impl Fn(&Received) -> Play + Send + Sync + 'static) {
        *self.script.play.lock().unwrap() = Arc::new(play);
    }

    /// Shows another certificate, with this answer for it at the OCSP port.
    pub fn show(&self, holder: &Holder, status: Vec<u8>) {
        self.behave(|manner| {
            manner.shows = holder.clone();
            manner.ocsp = ocsp_answer(&[status]);
        });
    }
}

/// How a door answers requests.
trait Playing: Fn(&Received) -> Play + Send + Sync {}

impl<T: Fn(&Received) -> Play + Send + Sync> Playing for T {}

struct Script {
    play: Mutex<Arc<dyn Playing>>,
    received: Seen<Received>,
    connected: Seen<SocketAddr>,
    ocsp_asked: Seen<Head>,
    asked_how: Seen<Head>,
    manner: Mutex<Manner>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    async fn gateways(self: Arc<Self>, listener: TcpListener) {
        // Connections end with the door.
        let (number, mut connections) = (AtomicUsize::new(0), JoinSet::new());
        while let Ok((stream, address)) = listener.accept().await {
            let connection = number.fetch_add(1, Ordering::Relaxed) + 1;
            self.connected.add(address);
            let script = Arc::clone(&self);
            connections.spawn(async move { script.gateway(stream, connection).await });
        }
    }

    async fn gateway(&self, mut stream: TcpStream, connection: usize) {
        let manner = self.manner.lock().unwrap().clone();
        match manner.greeting {
            Greeting::HangsUp => return,
            Greeting::RefusesTls => {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&HANDSHAKE_FAILURE).await;
                let _ = stream.shutdown().await;
                return;
            }
            _ => {}
        }
        let behind: Vec<&Certificate> = manner.behind.iter().map(|c| &**c).collect();
        let config = config(&manner.shows, &behind);
        let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
        let mut wire = Wire::new(stream);
        match manner.greeting {
            Greeting::HangsUpAfterTls | Greeting::HangsUp | Greeting::RefusesTls => return,
            Greeting::HangsUpAfter(bytes) => {
                wire.swallow(bytes).await;
                return;
            }
            Greeting::Listens => {}
        }
        while let Ok(Some(head)) = wire.head().await {
            if head.first.starts_with("GET ") {
                self.asked_how.add(head);
                let state = self.manner.lock().unwrap().state.clone();
                match state {
                    Some(state) => drop(wire.say(&state).await),
                    None => drop(wire.has_ended().await),
                }
                continue;
            }
            let Ok(body) = wire.body(head.end()).await else { return };
            let content_type = head.line("content-type").unwrap_or_default();
            let expect = match head.line("x-road-message-type") {
                Some("REST") => Expect::RestRequest,
                _ => Expect::SoapRequest,
            };
            let Ok(message) = Opened::read(content_type, expect, &body) else { return };
            let received = self.received.add(Received { connection, head, message });
            let play = Arc::clone(&*self.play.lock().unwrap());
            let said = match play(&received) {
                Play::Letter(letter) => wire.say(&letter_answer(&letter)).await,
                Play::Bytes(bytes) => wire.say(&bytes).await,
                Play::Last(bytes) => {
                    let _ = wire.say(&bytes).await;
                    let _ = wire.finish().await;
                    return;
                }
                Play::Silence => {
                    wire.has_ended().await;
                    return;
                }
            };
            if said.is_err() {
                return;
            }
        }
    }

    async fn ocsp(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let mut wire = Wire::new(stream);
            let Ok(Some(head)) = wire.head().await else { continue };
            self.ocsp_asked.add(head);
            let answer = self.manner.lock().unwrap().ocsp.clone();
            let _ = wire.say(&answer).await;
            let _ = wire.finish().await;
        }
    }
}

/// TLS as a provider's gateway speaks it; whoever comes is let in.
fn config(shows: &Holder, behind: &[&Certificate]) -> Arc<ServerConfig> {
    tls::from_gateways(
        shows.certified(behind),
        Ticketer::new().unwrap(),
        Vec::new(),
        |_| true,
        tls::Peers::Modern,
    )
    .unwrap()
}
