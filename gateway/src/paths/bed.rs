//! A consumer's gateway and a provider's gateways in one process, on loopback, with a clock that stands.
//!
//! ```text
//! test ─► TAX (127.0.0.1, DEV/GOV/M1/TAX) ══► HOME (127.0.0.2) ─► service
//!                                         ╚═► EMBASSY (127.0.0.3) ─► service      both DEV/GOV/M2/LAND
//! ```

use crate::Gateway;
use crate::clock::Clock;
use crate::conf::{Conf, ServerConf};
use crate::keys::{Keys, Statuses};
use crate::messagelog::{Bounds, MessageLog, Policy, Spool};
use crate::net::listen::{Listener, Stopper, stop};
use crate::net::{Doors, Net, random};
use crate::testbed::{Bed, For, Holder, NOW, TestDir, member, server, write_key};
use crate::world::{PeerStatuses, World, WorldCell};
use saatkond_proto::globalconf::{Member, SecurityServer, SharedParams, Subsystem};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::trust::ocsp::{Response, Status};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One gateway that serves.
pub(super) struct Served {
    pub(super) gateway: Arc<Gateway>,
    pub(super) clients: Option<SocketAddr>,
    pub(super) clients_tls: Option<SocketAddr>,
    stopper: Stopper,
    serving: tokio::task::JoinHandle<()>,
    _dir: TestDir,
}

impl Served {
    /// Closes its doors and waits for what is under way.
    pub(super) async fn stop(self) -> Arc<Gateway> {
        self.stopper.stop();
        self.serving.await.unwrap();
        self.gateway
    }
}

/// The instance and what its servers have in common.
pub(super) struct Land {
    pub(super) bed: Bed,
    pub(super) sign: Holder,
    pub(super) home: Holder,
    pub(super) embassy: Holder,
    /// Port for messages, and for OCSP responses, on every address.
    pub(super) ports: (u16, u16),
    pub(super) shared: SharedParams,
    /// Lines for `[peers]` of the consumer.
    pub(super) peers: String,
    /// The same for the provider.
    pub(super) peers_of_provider: String,
    /// The key and certificate of an information system that TLSCERT registered.
    pub(super) client: Holder,
    /// What every gateway shows to information systems, and a service in TLS to its gateway.
    pub(super) internal: Holder,
    /// The line that names the certificates of LAND's services.
    pub(super) certificates: String,
    /// Where a service answers over TLS; nobody does until a test has it so.
    pub(super) tls_service: SocketAddr,
    /// Where connections are taken and nothing is ever said.
    silent: SocketAddr,
    _silent: TcpListener,
}

pub(super) fn provider() -> MemberId {
    MemberId::new("DEV", "GOV", "M2")
}

pub(super) fn door(code: &str) -> ServerId {
    ServerId { owner: provider(), code: code.to_owned() }
}

pub(super) const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(super) const EMBASSY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

impl Land {
    pub(super) async fn new() -> Self {
        let bed = Bed::new();
        let sign = bed.issue("M2", For::Signing);
        let (home, embassy) =
            (bed.issue("HOME", For::Authentication), bed.issue("EMBASSY", For::Authentication));
        let mut shared = bed.shared();
        shared.members.push(Member {
            id: provider(),
            name: "Land Board".to_owned(),
            subsystems: vec![Subsystem { code: "LAND".to_owned(), name: None }],
        });
        for (code, address, auth) in [("HOME", HOME, &home), ("EMBASSY", EMBASSY, &embassy)] {
            let mut server = SecurityServer {
                id: door(code),
                address: address.to_string(),
                auth_cert_hashes: Vec::new(),
                clients: vec![provider().subsystem("LAND")],
                maintenance: None,
            };
            server.register(auth.certificate.der());
            shared.servers.push(server);
        }
        let others = ["OTHER", "TLSONLY", "TLSCERT"].map(|code| member().subsystem(code));
        shared.servers[0].clients.extend(others);
        let ports = (free_port().await, free_port().await);
        let client = bed.issue("information system", For::Authentication);
        let internal = bed.issue("localhost", For::Authentication);
        let silence = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let silent = silence.local_addr().unwrap();
        Self {
            bed,
            sign,
            home,
            embassy,
            ports,
            shared,
            peers: String::new(),
            peers_of_provider: String::new(),
            client,
            internal,
            certificates: "certificates = [\"internal.pem\"]\n".to_owned(),
            tls_service: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            silent,
            _silent: silence,
        }
    }

    /// What a gateway keeps of its own certificates; those of others come from their port 5577.
    fn statuses(&self, own: [&Holder; 2]) -> Statuses {
        let mut statuses = Statuses::default();
        for holder in own {
            let der = self.bed.response(&holder.certificate, Status::Good, NOW);
            statuses.insert(&holder.certificate, Arc::new(Response::from_der(&der).unwrap()));
        }
        statuses
    }

    /// The gateway of the consumer: TAX and the member itself over HTTP, others who must connect otherwise.
    pub(super) async fn tax(&self) -> Served {
        let client = |id: &str, connection: &str| {
            format!("[[client]]\nid = \"DEV/GOV/{id}\"\nconnection = \"{connection}\"\n")
        };
        let server_toml = [
            "version = 1\n".to_owned(),
            client("M1", "http"),
            client("M1/TAX", "http"),
            client("M1/OTHER", "http"),
            client("M1/TLSONLY", "https"),
            client("M1/TLSCERT", "mutual-tls"),
            "certificates = [\"client.pem\"]\n".to_owned(),
        ];
        let made = (&server(), Ipv4Addr::LOCALHOST, &self.bed.auth, &self.bed.sign);
        self.serve(made, &server_toml.concat(), &self.peers).await
    }

    /// A gateway of the provider, whose service `land` answers at `service`.
    pub(super) async fn land(&self, code: &str, service: SocketAddr) -> Served {
        let tax = "allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n";
        let offered = |code: &str, url: &str, more: &str| {
            format!("[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\n{more}")
        };
        let base = format!("http://{service}/api");
        let server_toml = [
            "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n".to_owned(),
            self.certificates.clone(),
            offered("land", &base, &format!("timeout = \"3 s\"\n{tax}")),
            offered("secret", &base, ""),
            offered(
                "limited",
                &base,
                &format!("[[client.service.endpoint]]\nmethod = \"GET\"\npath = \"/open/*\"\n{tax}"),
            ),
            offered("off", &base, &format!("enabled = false\nnotice = \"Closed for maintenance\"\n{tax}")),
            offered("dead", "http://127.0.0.1:1/", tax),
            offered("nohost", "http://no-such-host.invalid/", tax),
            offered("tls", &format!("https://{}/api", self.tls_service), tax),
            offered("slow", &format!("http://{}/", self.silent), &format!("timeout = \"200 ms\"\n{tax}")),
        ];
        let (address, auth) = if code == "HOME" { (HOME, &self.home) } else { (EMBASSY, &self.embassy) };
        self.serve((&door(code), address, auth, &self.sign), &server_toml.concat(), &self.peers_of_provider)
            .await
    }

    async fn serve(
        &self,
        (id, address, auth, sign): (&ServerId, Ipv4Addr, &Holder, &Holder),
        server_toml: &str,
        peers: &str,
    ) -> Served {
        let dir = TestDir::new(&id.code);
        let (port, ocsp_port) = self.ports;
        let text = format!(
            "version = 1\nserver = \"{}\"\nstate = \".\"\n[listen]\nclients = \"{address}:0\"\nclients_tls = \"{address}:0\"\n\
             servers = \"{address}:{port}\"\nocsp = \"{address}:{ocsp_port}\"\nhealth = \"off\"\n\
             [peers]\nport = {port}\nocsp_port = {ocsp_port}\nhead_start = \"300 ms\"\n{peers}\n\
             [timeouts]\nconnect = \"2 s\"\nidle = \"3 s\"\nanswer = \"5 s\"\n\
             fetch_connect = \"1 s\"\nfetch = \"2 s\"\ndrain = \"5 s\"\n",
            id
        );
        let conf = Arc::new(Conf::from_toml(&text, &dir.0.join("gateway.toml")).unwrap());
        let keys =
            keys(&conf.keys_dir(), &[("auth", auth), ("sign", sign), ("internal-tls", &self.internal)]);
        std::fs::write(dir.0.join("client.pem"), &self.client.pem).unwrap();
        std::fs::write(dir.0.join("internal.pem"), &self.internal.pem).unwrap();
        let clock = Clock::wound(NOW);
        let server_conf = ServerConf::from_toml(server_toml, &dir.0.join("server.toml"), "DEV").unwrap();
        let globalconf = Arc::new(self.bed.conf_of(self.shared.clone()));
        let world = World::new(
            id,
            globalconf,
            Arc::new(server_conf),
            Arc::new(self.statuses([auth, sign])),
            &keys,
            NOW,
        );
        let policy = Policy { log: conf.log.clone(), timestamping: conf.timestamping.clone() };
        let bounds = Bounds {
            memory: conf.limits.spool_memory,
            body_max: conf.limits.body_max,
            files_max: conf.limits.spool_max,
        };
        let gateway = Arc::new(Gateway {
            log: MessageLog::open(&conf.log_dir(), clock.clone(), policy).unwrap(),
            spool: Spool::open(&conf.spool_dir(), bounds).unwrap(),
            peer_statuses: PeerStatuses::new(100),
            net: Net::new(&conf),
            world: Arc::new(WorldCell::new(world)),
            conf,
            clock,
            keys,
        });
        let doors = Doors::bind(&gateway.conf).await.unwrap();
        let [clients, clients_tls] =
            [&doors.clients, &doors.clients_tls].map(|d| d.as_ref().map(Listener::address));
        let (stopper, stop) = stop();
        let serving = tokio::spawn(Arc::clone(&gateway).serve(doors, stop));
        Served { gateway, clients, clients_tls, stopper, serving, _dir: dir }
    }
}

impl Gateway {
    /// Believes another global configuration from now on.
    pub(super) fn believe(&self, conf: saatkond_proto::globalconf::GlobalConf) {
        let mut world = World::clone(&self.world());
        world.conf = Arc::new(conf);
        self.world.swap(world);
    }
}

/// Writes keys, each named after its use, and opens them.
fn keys(dir: &Path, holders: &[(&str, &Holder)]) -> Keys {
    std::fs::create_dir_all(dir).unwrap();
    let mut index = "version = 1\n".to_owned();
    for (purpose, holder) in holders {
        write_key(dir, purpose, holder);
        index.push_str(&format!("[[key]]\nname = \"{purpose}\"\nuse = \"{purpose}\"\n"));
    }
    std::fs::write(dir.join("keys.toml"), index).unwrap();
    Keys::open(dir, 32).unwrap()
}

/// A door that takes whole messages, tells that it did, and closes without an answer: how a peer looks that dies late.
pub(super) async fn mute_door(land: &Land) -> tokio::sync::mpsc::UnboundedReceiver<Vec<u8>> {
    use tokio_rustls::TlsAcceptor;
    let dir = TestDir::new("mute");
    let keys = keys(&dir.0, &[("auth", &land.home), ("sign", &land.sign)]);
    let conf = land.bed.conf_of(land.shared.clone());
    let auth = keys.auth(&door("HOME"), &conf, &land.statuses([&land.home, &land.sign]), NOW).unwrap();
    let tickets = rustls::crypto::ring::Ticketer::new().unwrap();
    let config = crate::net::tls::from_gateways(auth.certified, tickets, Vec::new(), |_| true).unwrap();
    let listener = TcpListener::bind((HOME, land.ports.0)).await.unwrap();
    let (told, taken) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = TlsAcceptor::from(Arc::clone(&config)).accept(stream).await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"--\r\n\r\n0\r\n\r\n") {
                if !matches!(stream.read_buf(&mut bytes).await, Ok(n) if n > 0) {
                    break;
                }
            }
            let _ = told.send(bytes);
        }
    });
    taken
}

/// A door's OCSP port alone.
pub(super) async fn ocsp_port_of_home(land: &Land, status: Status) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind((HOME, land.ports.1)).await.unwrap();
    let response = land.bed.response(&land.home.certificate, status, NOW);
    let (content_type, body) =
        saatkond_proto::transport::write::ocsp_answer("boundary", &[&response]).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if read_request(&mut stream).await.is_some() {
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                let _ = stream.shutdown().await;
            }
        }
    })
}

/// A port that is free on every address that the tests use, outside the range that the system hands out by itself.
async fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::from_be_bytes(random::bytes().unwrap()) % 12_000;
        let mut free = true;
        for address in [Ipv4Addr::LOCALHOST, HOME, EMBASSY] {
            free &= TcpListener::bind((address, port)).await.is_ok();
        }
        if free {
            return port;
        }
    }
}

//------------ information systems -------------------------------------------

/// A service that answers every request with these bytes and closes; what it was asked is kept.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    pub(super) asked: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Service {
    pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, told) = (answer.clone(), told.clone());
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut stream).await else { return };
                    let _ = told.send(request);
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, asked }
    }

    /// What it was asked last, as text.
    pub(super) fn asked(&mut self) -> String {
        String::from_utf8_lossy(&self.asked.try_recv().unwrap()).into_owned()
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).and_then(|r| r.split("\r\n").next()?.parse().ok());
            if bytes.len() >= end + length.unwrap_or(0) {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|l| l.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Says bytes to a gateway's door for information systems, on a connection of its own.
pub(super) async fn say(served: &Served, request: &[u8]) -> Heard {
    hear(TcpStream::connect(served.clients.unwrap()).await.unwrap(), request).await
}

/// As [`say`], over TLS; with a key and certificate or without.
pub(super) async fn say_tls(served: &Served, with: Option<&Holder>, request: &[u8]) -> Heard {
    let config = crate::net::tls::to_services(with.map(certified));
    let tcp = TcpStream::connect(served.clients_tls.unwrap()).await.unwrap();
    let name = crate::net::tls::server_name("127.0.0.1").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap();
    hear(stream, request).await
}

/// A key and certificate as rustls takes them.
pub(super) fn certified(holder: &Holder) -> Arc<rustls::sign::CertifiedKey> {
    let key = rustls::pki_types::PrivateKeyDer::try_from(holder.pair.serialize_der()).unwrap();
    let key = crate::net::tls::provider().key_provider.load_private_key(key).unwrap();
    let chain = vec![holder.certificate.der().to_vec().into()];
    Arc::new(rustls::sign::CertifiedKey::new(chain, key))
}

/// A service that speaks TLS with the key of `holder`.
pub(super) async fn tls_service(holder: &Holder, answer: &'static [u8]) -> SocketAddr {
    let config = crate::net::tls::from_information_systems(certified(holder)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(Arc::clone(&config)).accept(stream).await
            else {
                continue;
            };
            if read_request(&mut stream).await.is_some() {
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

async fn hear(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Heard {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Heard { status, head, body: answer.get(end + 4..).unwrap_or_default().to_vec() }
}

/// A request in the name of the Tax Board.
pub(super) fn request(method: &str, path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut bytes = format!(
        "{method} /r1/DEV/GOV/M2/LAND/{path} HTTP/1.1\r\nHost: x\r\nX-Road-Client: DEV/GOV/M1/TAX\r\n{more}{length}\
         Connection: close\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
