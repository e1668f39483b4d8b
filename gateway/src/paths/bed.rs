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
use crate::testbed::{Bed, For, Holder, NOW, TestDir, server, write_key};
use crate::world::{PeerStatuses, World, WorldCell};
use saatkond_proto::globalconf::{Member, SecurityServer, SharedParams, Subsystem};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::trust::ocsp::{Response, Status};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One gateway that serves.
pub(super) struct Served {
    pub(super) gateway: Arc<Gateway>,
    pub(super) clients: Option<SocketAddr>,
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
        let ports = (free_port().await, free_port().await);
        Self { bed, sign, home, embassy, ports, shared, peers: String::new() }
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

    /// The gateway of the consumer.
    pub(super) async fn tax(&self) -> Served {
        let server_toml = "version = 1\n[[client]]\nid = \"DEV/GOV/M1/TAX\"\nconnection = \"http\"\n";
        let made = (&server(), Ipv4Addr::LOCALHOST, &self.bed.auth, &self.bed.sign);
        self.serve(made, server_toml, &self.peers).await
    }

    /// A gateway of the provider, whose service `land` answers at `service`.
    pub(super) async fn land(&self, code: &str, service: SocketAddr) -> Served {
        let server_toml = format!(
            "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n\
             [[client.service]]\ncode = \"land\"\nurl = \"http://{service}/api\"\ntimeout = \"3 s\"\n\
             allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n\
             [[client.service]]\ncode = \"secret\"\nurl = \"http://{service}/\"\n\
             [[client.service]]\ncode = \"off\"\nurl = \"http://{service}/\"\nenabled = false\nnotice = \"Closed\"\n\
             allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n\
             [[client.service]]\ncode = \"dead\"\nurl = \"http://127.0.0.1:1/\"\n\
             allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
        );
        let (address, auth) = if code == "HOME" { (HOME, &self.home) } else { (EMBASSY, &self.embassy) };
        self.serve((&door(code), address, auth, &self.sign), &server_toml, "").await
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
            "version = 1\nserver = \"{}\"\nstate = \".\"\n[listen]\nclients = \"{address}:0\"\n\
             servers = \"{address}:{port}\"\nocsp = \"{address}:{ocsp_port}\"\nhealth = \"off\"\n\
             [peers]\nport = {port}\nocsp_port = {ocsp_port}\nhead_start = \"300 ms\"\n{peers}\n\
             [timeouts]\nconnect = \"2 s\"\nidle = \"3 s\"\nanswer = \"5 s\"\n\
             fetch_connect = \"1 s\"\nfetch = \"2 s\"\ndrain = \"5 s\"\n",
            id
        );
        let conf = Arc::new(Conf::from_toml(&text, &dir.0.join("gateway.toml")).unwrap());
        let keys = keys(&conf.keys_dir(), auth, sign);
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
        let clients = doors.clients.as_ref().map(Listener::address);
        let (stopper, stop) = stop();
        let serving = tokio::spawn(Arc::clone(&gateway).serve(doors, stop));
        Served { gateway, clients, stopper, serving, _dir: dir }
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

fn keys(dir: &Path, auth: &Holder, sign: &Holder) -> Keys {
    std::fs::create_dir_all(dir).unwrap();
    write_key(dir, "auth", auth);
    write_key(dir, "sign", sign);
    let index =
        "version = 1\n[[key]]\nname = \"auth\"\nuse = \"auth\"\n[[key]]\nname = \"sign\"\nuse = \"sign\"\n";
    std::fs::write(dir.join("keys.toml"), index).unwrap();
    Keys::open(dir, 32).unwrap()
}

/// A door that takes whole messages, tells that it did, and closes without an answer: how a peer looks that dies late.
pub(super) async fn mute_door(land: &Land) -> tokio::sync::mpsc::UnboundedReceiver<Vec<u8>> {
    use tokio_rustls::TlsAcceptor;
    let dir = TestDir::new("mute");
    let keys = keys(&dir.0, &land.home, &land.sign);
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
                let mut piece = [0; 16 * 1024];
                match stream.read(&mut piece).await {
                    Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
                    _ => break,
                }
            }
            let _ = told.send(bytes);
        }
    });
    taken
}

/// A door's OCSP port alone.
pub(super) async fn ocsp_port_of_home(land: &Land) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind((HOME, land.ports.1)).await.unwrap();
    let response = land.bed.response(&land.home.certificate, Status::Good, NOW);
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

async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
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
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&piece[..n]),
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
    let mut stream = TcpStream::connect(served.clients.unwrap()).await.unwrap();
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
