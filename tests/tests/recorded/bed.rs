//! The recorded instance, alive on loopback: its members, keys and authorities, with our gateways in the places of the
//! two real servers.
//!
//! ```text
//! player ─► SS1 (ours) ══► relay ══► SS2 (ours) ─► service
//!              └────── OCSP, time-stamps ──┘
//! ```
//!
//! The clock stands inside the recording. The relay counts connections.

use crate::http;
use crate::recording::{Flavour, Recordings};
use crate::service::Service;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond::Gateway;
use saatkond::clock::Clock;
use saatkond::conf::Conf;
use saatkond::jobs::{self, Job, Jobs};
use saatkond::net::Doors;
use saatkond::net::listen::{Listener, Stopper, stop};
use saatkond_proto::crypto::SigningKey;
use saatkond_proto::globalconf::{GlobalConf, Instance, layout};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{Answer, Status, parse_request, respond};
use saatkond_proto::trust::tsp;
use saatkond_tests::directory::Directory;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// 2026-11-24T08:00:00Z: the recording goes on.
const NOW: UnixTime = UnixTime::from_secs(1_795_507_200);
/// How long the global configuration holds at the server at which it is to expire.
const SHORT: Duration = Duration::from_secs(600);
const SS1: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 21);
const SS2: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 22);

/// What is special about a bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circumstance {
    /// Nothing.
    None,
    /// The global configuration of the consumer's server has expired.
    ConsumerExpired,
    /// The global configuration of the provider's server has expired.
    ProviderExpired,
    /// The provider's server refuses connections.
    PeerRefuses,
    /// The provider's server does not answer when it is connected to.
    PeerSilent,
}

/// Both gateways and what is around them.
pub(crate) struct Bed {
    /// Where the consumer's information systems knock.
    pub(crate) clients: SocketAddr,
    /// The provider's information system.
    pub(crate) service: Service,
    relay: Relay,
    consumer: Served,
    provider: Served,
    _silent: Option<Silent>,
}

impl Bed {
    pub(crate) async fn open(recordings: &Recordings, flavour: Flavour, circumstance: Circumstance) -> Self {
        let service = Service::open().await;
        let made = Maker { recordings, flavour, responder: responder(recordings).await };
        let expires =
            |at| if circumstance == at { NOW.plus(SHORT) } else { NOW.plus(Duration::from_secs(86_400)) };
        let provider = made
            .serve(
                Side::Provider,
                &provider_conf(true),
                &provider_offers(service.address),
                expires(Circumstance::ProviderExpired),
            )
            .await;
        let relay = Relay::open(provider.servers.unwrap()).await;
        let silent = match circumstance {
            Circumstance::PeerSilent => Some(Silent::open().await),
            _ => None,
        };
        let port = match circumstance {
            Circumstance::PeerRefuses => refusing_port().await,
            _ => silent.as_ref().map_or(relay.port, |silent| silent.port),
        };
        let connect = if silent.is_some() { "500 ms" } else { "10 s" };
        let consumer = made
            .serve(
                Side::Consumer,
                &consumer_conf(port, provider.ocsp.unwrap().port(), connect),
                CONSUMER_OFFERS,
                expires(Circumstance::ConsumerExpired),
            )
            .await;
        match circumstance {
            Circumstance::ConsumerExpired => consumer.clock.advance(SHORT + Duration::from_secs(1)),
            Circumstance::ProviderExpired => provider.clock.advance(SHORT + Duration::from_secs(1)),
            _ => {}
        }
        Self { clients: consumer.clients.unwrap(), service, relay, consumer, provider, _silent: silent }
    }

    /// How many connections the consumer's gateway has opened to the provider's.
    pub(crate) fn connections(&self) -> usize {
        self.relay.count.load(Ordering::SeqCst)
    }

    /// Has the message log of the consumer's gateway stamped.
    pub(crate) async fn stamp(&self) {
        self.consumer.jobs.run(Job::Timestamp).await;
    }

    /// Closes all doors, and waits for what is under way.
    pub(crate) async fn close(self) {
        self.consumer.close().await;
        self.provider.close().await;
    }
}

/// The provider's gateway alone: the port at which other servers knock.
pub(crate) struct Alone {
    /// Where they knock.
    pub(crate) servers: SocketAddr,
    provider: Served,
}

impl Alone {
    /// Opens it; `stock_peers` is whether it meets unmodified servers.
    pub(crate) async fn open(recordings: &Recordings, flavour: Flavour, stock_peers: bool) -> Self {
        let made = Maker { recordings, flavour, responder: responder(recordings).await };
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let expires = NOW.plus(Duration::from_secs(86_400));
        let provider =
            made.serve(Side::Provider, &provider_conf(stock_peers), &provider_offers(nobody), expires).await;
        Self { servers: provider.servers.unwrap(), provider }
    }

    /// Closes the port.
    pub(crate) async fn close(self) {
        self.provider.close().await;
    }
}

//------------ the gateways --------------------------------------------------

#[derive(Clone, Copy)]
enum Side {
    Consumer,
    Provider,
}

/// One gateway that serves.
struct Served {
    clock: Clock,
    jobs: Jobs,
    clients: Option<SocketAddr>,
    servers: Option<SocketAddr>,
    ocsp: Option<SocketAddr>,
    stopper: Stopper,
    serving: JoinHandle<()>,
    _dir: Directory,
}

impl Served {
    async fn close(self) {
        self.stopper.stop();
        self.serving.await.unwrap();
    }
}

/// Time enough on a machine that does much else; only where nobody answers is it waited for.
fn timeouts(connect: &str) -> String {
    format!(
        "[timeouts]\nconnect = \"{connect}\"\nidle = \"20 s\"\nanswer = \"20 s\"\nfetch_connect = \"10 s\"\n\
         fetch = \"10 s\"\ndrain = \"10 s\"\n"
    )
}

fn provider_conf(stock_peers: bool) -> String {
    format!(
        "version = 1\nserver = \"DEV/GOV/M2/SS2\"\nstate = \".\"\n[listen]\nclients = \"off\"\n\
         servers = \"{SS2}:0\"\nocsp = \"{SS2}:0\"\nhealth = \"off\"\n\
         [tls]\nstock_peers = {stock_peers}\n{}",
        timeouts("10 s")
    )
}

fn consumer_conf(port: u16, ocsp_port: u16, connect: &str) -> String {
    format!(
        "version = 1\nserver = \"DEV/GOV/M1/SS1\"\nstate = \".\"\n[listen]\nclients = \"{SS1}:0\"\n\
         servers = \"off\"\nocsp = \"off\"\nhealth = \"off\"\n\
         [peers]\nport = {port}\nocsp_port = {ocsp_port}\n[tls]\nstock_peers = true\n{}",
        timeouts(connect)
    )
}

/// `CONSUMER` and `OTHER` come over HTTP, the two others must not.
const CONSUMER_OFFERS: &str = "version = 1\n\
    [[client]]\nid = \"DEV/GOV/M1\"\nconnection = \"http\"\n\
    [[client]]\nid = \"DEV/GOV/M1/CONSUMER\"\nconnection = \"http\"\n\
    [[client]]\nid = \"DEV/GOV/M1/OTHER\"\nconnection = \"http\"\n\
    [[client]]\nid = \"DEV/GOV/M1/TLSONLY\"\nconnection = \"https\"\n\
    [[client]]\nid = \"DEV/GOV/M1/TLSCERT\"\nconnection = \"mutual-tls\"\ncertificates = [\"is-client.crt\"]\n";

fn provider_offers(service: SocketAddr) -> String {
    let all = "allow = [{ client = \"DEV/GOV/M1/CONSUMER\" }]\n";
    let land = format!("http://{service}/land");
    // A name that no resolver is asked for: its label is longer than any may be.
    let nohost = format!("http://{}.invalid/land", "n".repeat(64));
    let mut text =
        "version = 1\n[[client]]\nid = \"DEV/GOV/M2/REGISTER\"\nconnection = \"http\"\n".to_owned();
    let endpoint = |path: &str, more: &str| {
        format!("[[client.service.endpoint]]\nmethod = \"GET\"\npath = \"{path}\"\n{more}")
    };
    let described = format!("description = \"http://{service}/openapi.json\"\n");
    // In the order in which the recorded server lists them.
    for (code, url, more) in [
        ("land", land.as_str(), all.to_owned()),
        ("secret", &land, String::new()),
        ("dead", "http://127.0.0.1:1/land", all.to_owned()),
        ("nohost", &nohost, all.to_owned()),
        ("limited", &land, endpoint("/open/*", all)),
        ("off", &land, format!("enabled = false\nnotice = \"Closed for maintenance\"\n{all}")),
        ("api", &land, format!("kind = \"openapi\"\n{described}{all}{}", endpoint("/parcel/*", ""))),
        ("slow", &land, format!("timeout = \"500 ms\"\n{all}")),
    ] {
        text.push_str(&format!("[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\n{more}"));
    }
    let url = format!("http://{service}/soap");
    let described = format!("version = \"v1\"\ndescription = \"{url}?wsdl\"\n");
    for (code, version, more) in [
        ("getLand", described.as_str(), all),
        ("getLandFiles", "version = \"v1\"\n", all),
        ("getFault", "version = \"v1\"\n", all),
        ("getError", "version = \"v1\"\n", all),
        ("getSecret", "version = \"v1\"\n", ""),
        ("getPlain", "", all),
    ] {
        let service = format!("[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\nkind = \"soap\"\n");
        text.push_str(&[service.as_str(), version, more].concat());
    }
    text
}

/// Makes gateways of a flavour's keys.
struct Maker<'a> {
    recordings: &'a Recordings,
    flavour: Flavour,
    responder: SocketAddr,
}

impl Maker<'_> {
    async fn serve(&self, side: Side, gateway: &str, offers: &str, expires: UnixTime) -> Served {
        let dir = Directory::new("recorded");
        let own = match side {
            Side::Consumer => "ss1",
            Side::Provider => "ss2",
        };
        self.write_keys(&dir.path().join("keys"), own);
        fs::copy(self.recordings.key("is-client.crt"), dir.path().join("is-client.crt")).unwrap();
        fs::write(dir.path().join("server.toml"), offers).unwrap();
        let conf = Arc::new(Conf::from_toml(gateway, &dir.path().join("gateway.toml")).unwrap());
        let clock = Clock::wound(NOW);
        let opened = jobs::open(conf, clock.clone()).unwrap();
        let gateway = Arc::new(opened.gateway(self.globalconf(expires)));
        self.store_globalconf(&gateway.conf.globalconf_dir());
        let jobs = Jobs::new(Arc::clone(&gateway));
        jobs.run(Job::Ocsp).await;
        gateway.world().auth(NOW).unwrap();
        let doors = Doors::bind(&gateway.conf).await.unwrap();
        let address = |door: &Option<Listener>| door.as_ref().map(Listener::address);
        let (clients, servers, ocsp) =
            (address(&doors.clients), address(&doors.servers), address(&doors.ocsp));
        let (stopper, stop) = stop();
        let serving = tokio::spawn(Gateway::serve(gateway, doors, stop));
        Served { clock, jobs, clients, servers, ocsp, stopper, serving, _dir: dir }
    }

    fn write_keys(&self, to: &Path, own: &str) {
        fs::create_dir_all(to).unwrap();
        let mut index = "version = 1\n".to_owned();
        for usage in ["auth", "sign"] {
            let recorded = format!("{}-{own}-{usage}", self.flavour.name());
            let key = to.join(format!("{usage}.key.pem"));
            fs::write(&key, fs::read(self.recordings.key(&format!("{recorded}.key"))).unwrap()).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            let certificate = fs::read(self.recordings.key(&format!("{recorded}.crt"))).unwrap();
            fs::write(to.join(format!("{usage}.cert.pem")), certificate).unwrap();
            index.push_str(&format!("[[key]]\nname = \"{usage}\"\nuse = \"{usage}\"\n"));
        }
        fs::write(to.join("keys.toml"), index).unwrap();
    }

    /// The files of the recorded global configuration.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let dir = self.recordings.materials().join("globalconf");
        let mut files = BTreeMap::new();
        for name in [
            "instance-identifier",
            "DEV/shared-params.xml",
            "DEV/shared-params.xml.metadata",
            "DEV/private-params.xml",
            "DEV/private-params.xml.metadata",
        ] {
            files.insert(name.to_owned(), fs::read(dir.join(name)).unwrap());
        }
        files
    }

    /// As it is stored: unmoved.
    fn store_globalconf(&self, to: &Path) {
        for (name, bytes) in self.files() {
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// The recorded global configuration, with the addresses moved to loopback.
    fn globalconf(&self, expires: UnixTime) -> GlobalConf {
        let stored = layout::load(&self.files()).unwrap();
        let moved = |mut instance: Instance| {
            instance.expires = expires;
            for server in &mut instance.shared.servers {
                server.address = if server.id.code == "SS1" { SS1 } else { SS2 }.to_string();
            }
            instance.shared.tsas.iter_mut().for_each(|tsa| tsa.url = format!("http://{}/", self.responder));
            for ca in &mut instance.shared.cas {
                for authority in std::iter::once(&mut ca.top).chain(&mut ca.intermediates) {
                    authority
                        .ocsp
                        .iter_mut()
                        .for_each(|ocsp| ocsp.url = format!("http://{}/", self.responder));
                }
            }
            instance
        };
        GlobalConf::new(&stored.own_instance, stored.instances.into_iter().map(moved).collect()).unwrap()
    }
}

//------------ what stands around them ---------------------------------------

/// The OCSP responder of the two authorities, for which every certificate is good, and the time-stamping authority.
async fn responder(recordings: &Recordings) -> SocketAddr {
    let certificate =
        |name: &str| Certificate::from_der(&pem(&recordings.key(&format!("{name}.crt")))).unwrap();
    let key = |name: &str| SigningKey::from_pkcs8(&pem(&recordings.key(&format!("{name}.key")))).unwrap();
    let desks = [("ca", "ocsp"), ("ica", "iocsp")]
        .map(|(authority, own)| (certificate(authority), certificate(own), key(own)));
    let tsa = (certificate("tsa"), key("tsa"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(Some(asked)) = http::read_request(&mut stream, &mut Vec::new()).await else { continue };
            let (kind, body) = if asked.headers.values("content-type") == ["application/timestamp-query"] {
                let request = tsp::parse_request(&asked.body).unwrap();
                let stated = tsp::Statement { serial: &[1], gen_time: NOW, policy: &[0x2a, 3] };
                ("timestamp-reply", tsp::issue(&request, &stated, &tsa.0, &tsa.1).unwrap())
            } else {
                let question = parse_request(&asked.body).unwrap().questions.remove(0);
                let (_, own, key) = desks.iter().find(|(authority, ..)| question.is_of(authority)).unwrap();
                let answer = Answer { question, status: Status::Good, this_update: NOW, next_update: None };
                ("ocsp-response", respond(&[answer], own, key, NOW, None).unwrap())
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/{kind}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

/// The first block of a PEM file.
fn pem(file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().skip_while(|l| !l.starts_with("-----BEGIN")).skip(1);
    let base64: String = lines.take_while(|l| !l.starts_with("-----END")).collect();
    STANDARD.decode(base64).unwrap()
}

/// Stands at SS2's address and passes connections on.
struct Relay {
    port: u16,
    count: Arc<AtomicUsize>,
}

impl Relay {
    async fn open(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((SS2, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let count: Arc<AtomicUsize> = Arc::default();
        let counting = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(to).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { port, count }
    }
}

/// A port of SS2 on which nobody listens.
async fn refusing_port() -> u16 {
    TcpListener::bind((SS2, 0)).await.unwrap().local_addr().unwrap().port()
}

/// A port of SS2 that leaves whoever connects without an answer: its queue is full, and nobody empties it.
struct Silent {
    port: u16,
    _listener: TcpListener,
    _waiting: TcpStream,
}

impl Silent {
    async fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((SS2, 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).await.unwrap();
        Self { port: address.port(), _listener: listener, _waiting: waiting }
    }
}
