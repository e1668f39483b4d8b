//! Connecting: to the gateway that shall answer, to the service that is asked.

use super::fetch::Place;
use super::names::Names;
use super::peer;
use super::pool::{Connection, IDLE_MAX, Key};
use super::tls;
use crate::Gateway;
use crate::world::World;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf, Retry, Side};
use saatkond_proto::id::{ClientId, ServerId};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

/// Doors remembered as the fastest. Seen: X-Road remembers 10,000.
const WINNERS_MAX: usize = 10_000;
/// How long a connection to a service may have been idle for a call that must not be made twice. Seen: X-Road tests its
/// pooled connections after 2 s.
const SERVICE_IDLE_MAX: Duration = Duration::from_secs(2);

/// A gateway that may answer, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Which it is.
    pub server: ServerId,
    /// Its address in the global configuration: a host name or an IP address.
    pub host: String,
}

/// Which door is tried when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order given; each has so long before the next is tried beside it.
    Given {
        /// How long.
        head_start: Duration,
    },
    /// All at once; the first that connects is taken.
    Fastest,
}

//------------ Fastest -------------------------------------------------------

/// Doors that connected first, and when.
#[derive(Debug, Default)]
pub(crate) struct Fastest(Mutex<HashMap<String, Instant>>);

impl Fastest {
    /// The place of the door that won last, if that was within `kept`.
    pub(crate) fn winner(&self, doors: &[Door], kept: Duration) -> Option<usize> {
        let won = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |door: &Door| won.get(&door.host).filter(|at| at.elapsed() < kept);
        let winners = doors.iter().enumerate().filter_map(|(index, door)| Some((since(door)?, index)));
        winners.max().map(|(_, index)| index)
    }

    /// Remembers that the door connected first.
    pub(crate) fn won(&self, door: &Door) {
        let mut won = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if won.len() >= WINNERS_MAX {
            won.clear();
        }
        won.insert(door.host.clone(), Instant::now());
    }
}

//------------ Configs -------------------------------------------------------

/// A TLS configuration for the key that we show, made anew when that changes: sessions are resumed as long as not.
#[derive(Debug, Default)]
pub(crate) struct Config(Mutex<Option<(Vec<u8>, Arc<ClientConfig>)>>);

impl Config {
    pub(super) fn of(&self, shown: &[u8], make: impl FnOnce() -> Arc<ClientConfig>) -> Arc<ClientConfig> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, config)) if of == shown => Arc::clone(config),
            _ => {
                let config = make();
                *kept = Some((shown.to_vec(), Arc::clone(&config)));
                config
            }
        }
    }

    /// Forgets all sessions: what a peer showed when they began may be shown no more.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

//------------ to a gateway --------------------------------------------------

/// Whom to connect to.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Who must be served by whoever answers.
    pub client: &'a ClientId,
    /// The doors.
    pub doors: &'a [Door],
    /// How they are tried.
    pub order: Order,
    /// Whether a connection that was kept will do.
    pub may_be_kept: bool,
}

/// What was learned of doors on the way: their places among those wanted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Learned {
    /// Not reached, or not who they must be.
    pub missed: Vec<usize>,
    /// Slower than one that began after them.
    pub beaten: Vec<usize>,
}

/// A connection, and the door it leads to.
#[derive(Debug)]
pub struct Opened {
    /// Its place among the doors given.
    pub index: usize,
    /// The connection; its peer was judged.
    pub connection: Connection,
}

/// Opens a connection to one of the doors: the first that takes us and proves to be a server of the client.
///
/// # Errors
/// [`Fault`] when none does; nothing has been sent.
pub async fn open(
    gateway: &Gateway,
    world: &World,
    wanted: Wanted<'_>,
    learned: &mut Learned,
) -> Result<Opened, Fault> {
    let mut left: Vec<usize> = (0..wanted.doors.len()).collect();
    let mut last = None;
    while !left.is_empty() {
        let opened = match pooled(gateway, world, wanted, &left).await {
            Some(opened) => opened,
            None => match race(gateway, wanted, &left, learned).await {
                Ok((index, tcp)) => {
                    let opened = fresh(gateway, world, wanted, index, tcp).await;
                    learned.missed.extend(opened.as_ref().err().map(|(index, _)| *index));
                    opened
                }
                // No door is open; what a door said before is of more use.
                Err(fault) => return Err(last.unwrap_or(fault)),
            },
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err((index, fault)) => {
                tracing::warn!(server = %wanted.doors.get(index).map_or(String::new(), |d| d.server.to_string()),
                    code = %fault.code.text(saatkond_proto::fault::Origin::ClientProxy), detail = %fault.detail,
                    "gateway not taken");
                left.retain(|i| *i != index);
                last = Some(fault);
            }
        }
    }
    Err(last.unwrap_or_else(|| network_error("the provider has no security server".to_owned())))
}

fn network_error(detail: String) -> Fault {
    Fault::new(Leaf::NetworkError, detail).retry(Retry::Untouched)
}

fn gateway_key(gateway: &Gateway, world: &World, door: &Door) -> Result<(Key, Arc<CertifiedKey>), Fault> {
    let auth = world.auth(gateway.now()).map_err(|error| {
        Fault::new(Leaf::SslAuthenticationFailed, "this security server has no authentication certificate")
            .because(error)
    })?;
    let shown = auth.certificate.sha256().to_vec();
    let key = Key { host: door.host.clone(), port: gateway.conf.peers.port, shown, is_tls: true };
    Ok((key, Arc::clone(&auth.certified)))
}

/// A kept connection to the door that is preferred; of several equal ones to any.
async fn pooled(
    gateway: &Gateway,
    world: &World,
    wanted: Wanted<'_>,
    left: &[usize],
) -> Option<Result<Opened, (usize, Fault)>> {
    let Wanted { client, doors, order, may_be_kept } = wanted;
    if !may_be_kept {
        return None;
    }
    let preferred = if order == Order::Fastest { left } else { left.get(..1)? };
    for index in preferred.iter().copied() {
        let door = doors.get(index)?;
        let key = match gateway_key(gateway, world, door) {
            Ok((key, _)) => key,
            Err(fault) => return Some(Err((index, fault))),
        };
        if let Some(connection) = gateway.net.gateways.take(&key, IDLE_MAX) {
            return match peer::judge_server(gateway, world, client, connection.certificates(), &door.host)
                .await
            {
                Ok(()) => Some(Ok(Opened { index, connection })),
                // It may show another certificate by now: a new connection tells.
                Err(error) if error.may_be_outlived() => {
                    gateway.net.to_gateways.forget();
                    None
                }
                Err(error) => Some(Err((index, error.at_consumer()))),
            };
        }
    }
    None
}

/// Connects to the doors in their order, and takes the first that is open.
async fn race(
    gateway: &Gateway,
    wanted: Wanted<'_>,
    left: &[usize],
    learned: &mut Learned,
) -> Result<(usize, TcpStream), Fault> {
    let Wanted { doors, order, .. } = wanted;
    let head_start = match order {
        Order::Given { head_start } => head_start,
        Order::Fastest => Duration::ZERO,
    };
    let (port, allowed) = (gateway.conf.peers.port, gateway.conf.timeouts.connect);
    let mut waiting = left.iter().copied().filter_map(|index| Some((index, doors.get(index)?)));
    let mut next = waiting.next();
    let mut running = JoinSet::new();
    let mut started: Vec<usize> = Vec::new();
    let mut failures = Vec::new();
    let mut due = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(done) = running.join_next(), if !running.is_empty() => match done {
                Ok((index, Ok(stream))) => {
                    // Who had a head start and lost it is the slower one.
                    if order != Order::Fastest {
                        learned.beaten.extend(started.iter().filter(|other| **other != index));
                    }
                    return Ok((index, stream));
                }
                Ok((index, Err(error))) => {
                    if let Some(door) = doors.get(index) {
                        learned.missed.push(index);
                        started.retain(|other| *other != index);
                        failures.push(format!("{}: {error}", door.server));
                    }
                    due = Instant::now();
                }
                Err(error) => failures.push(error.to_string()),
            },
            () = sleep_until(due), if next.is_some() => {
                if let Some((index, door)) = next.take() {
                    let (host, names) = (door.host.clone(), gateway.net.names.clone());
                    running.spawn(async move { (index, connect(&names, &host, port, allowed).await) });
                    started.push(index);
                    due = Instant::now() + head_start;
                }
                next = waiting.next();
            },
            else => return Err(network_error(format!("no security server of the provider is reached ({})", failures.join("; ")))),
        }
    }
}

pub(super) async fn connect(
    names: &Names,
    host: &str,
    port: u16,
    allowed: Duration,
) -> io::Result<TcpStream> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not connected within {allowed:?}"));
    let connecting = async { TcpStream::connect(names.of(host, port).await?.as_slice()).await };
    let stream = timeout(allowed, connecting).await.map_err(late)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Speaks TLS with a door that is open, and judges who it is before anything is sent.
async fn fresh(
    gateway: &Gateway,
    world: &World,
    wanted: Wanted<'_>,
    index: usize,
    tcp: TcpStream,
) -> Result<Opened, (usize, Fault)> {
    let Wanted { client, doors, .. } = wanted;
    let Some(door) = doors.get(index) else { return Err((index, network_error(String::new()))) };
    let (mut tcp, port, allowed) = (tcp, gateway.conf.peers.port, gateway.conf.timeouts.connect);
    let mut may_try_again = true;
    loop {
        let address = tcp.peer_addr();
        let (connection, is_resumed) = match timeout(allowed, shake(gateway, world, door, tcp)).await {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(fault)) => return Err((index, fault)),
            Err(_) => {
                let fault = Fault::new(Leaf::SslAuthenticationFailed, "TLS handshake took too long");
                return Err((index, fault.at(Side::Peer).retry(Retry::Untouched)));
            }
        };
        match peer::judge_server(gateway, world, client, connection.certificates(), &door.host).await {
            Ok(()) => {
                if let Ok(address) = address {
                    gateway.net.names.proven(&door.host, address.ip());
                }
                return Ok(Opened { index, connection });
            }
            // A session began under an earlier certificate: a whole handshake tells which is shown now.
            Err(error) if may_try_again && is_resumed && error.may_be_outlived() => {
                may_try_again = false;
                gateway.net.to_gateways.forget();
                tcp = connect(&gateway.net.names, &door.host, port, allowed)
                    .await
                    .map_err(|e| (index, network_error(format!("{}: {e}", door.server))))?;
            }
            Err(error) => return Err((index, error.at_consumer())),
        }
    }
}

/// The connection, and whether its session is one of before.
async fn shake(
    gateway: &Gateway,
    world: &World,
    door: &Door,
    tcp: TcpStream,
) -> Result<(Connection, bool), Fault> {
    let failed = |error: io::Error| {
        Fault::new(Leaf::SslAuthenticationFailed, format!("TLS handshake failed: {error}"))
            .at(Side::Peer)
            .retry(Retry::Untouched)
            .because(error)
    };
    let (key, ours) = gateway_key(gateway, world, door)?;
    let config = gateway
        .net
        .to_gateways
        .of(&key.shown, || tls::to_gateways(ours, tls::Peers::stock_if(gateway.conf.stock_peers)));
    let name = tls::server_name(&door.host).map_err(failed)?;
    let shaken = TlsConnector::from(config).connect(name, tcp).await;
    let stream = shaken
        .inspect_err(|error| {
            if !gateway.conf.stock_peers && tls::may_be_stock(error) {
                tracing::warn!(server = %door.server, "an unmodified X-Road server, as it seems: it does not speak \
                    TLS 1.3; to meet these, set tls.stock_peers = true");
            }
        })
        .map_err(failed)?;
    let certificates = shown(&stream);
    let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    let started = Connection::start(key, stream, certificates, gateway.conf.timeouts.idle).await;
    Ok((started.map_err(failed)?, is_resumed))
}

pub(super) fn shown(stream: &tokio_rustls::client::TlsStream<TcpStream>) -> Vec<Vec<u8>> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    certificates.iter().map(|c| c.to_vec()).collect()
}

//------------ to a service --------------------------------------------------

/// What is asked of a service's connection.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRules<'a> {
    /// From name to TLS.
    pub connect: Duration,
    /// Certificates of which the service must show one; `None` where any will do.
    pub pinned: Option<&'a [Vec<u8>]>,
    /// Whether the call may be made twice.
    pub is_safe: bool,
}

/// Opens a connection to a service, or takes one that was kept.
///
/// # Errors
/// [`Fault`] with `unknown_host`, `network_error` or `ssl_authentication_failed`. Seen: message-path §2.13.
pub async fn open_service(
    gateway: &Gateway,
    place: &Place,
    rules: ServiceRules<'_>,
) -> Result<Connection, Fault> {
    let (key, _) = service_key(gateway, place);
    let idle_max = if rules.is_safe { IDLE_MAX } else { SERVICE_IDLE_MAX };
    match gateway.net.services.take(&key, idle_max) {
        Some(connection) => pinned(place, rules, connection),
        None => open_service_anew(gateway, place, rules).await,
    }
}

/// Opens a new connection to a service.
///
/// # Errors
/// As [`open_service`].
pub async fn open_service_anew(
    gateway: &Gateway,
    place: &Place,
    rules: ServiceRules<'_>,
) -> Result<Connection, Fault> {
    let (key, ours) = service_key(gateway, place);
    let connecting = connect_service(gateway, place, key, ours);
    let connection = timeout(rules.connect, connecting).await.map_err(|_| {
        let detail = format!("service not connected within {:?}", rules.connect);
        Fault::new(Leaf::NetworkError, detail).at(Side::Service)
    })??;
    pinned(place, rules, connection)
}

fn service_key(gateway: &Gateway, place: &Place) -> (Key, Option<Arc<CertifiedKey>>) {
    let ours = place.tls.then(|| gateway.keys.internal_tls()).flatten();
    let shown = ours.as_ref().and_then(|key| key.cert.first()).map(|c| DigestAlgorithm::Sha256.digest(c));
    let key = Key {
        host: place.host.clone(),
        port: place.port,
        shown: shown.unwrap_or_default(),
        is_tls: place.tls,
    };
    (key, ours)
}

/// Holds a service's certificate against those it may show: for every call, as sessions are resumed and files change.
fn pinned(place: &Place, rules: ServiceRules<'_>, connection: Connection) -> Result<Connection, Fault> {
    match rules.pinned {
        Some(pinned)
            if place.tls && !connection.certificates().first().is_some_and(|c| pinned.contains(c)) =>
        {
            let detail = "the service's TLS certificate is not one of the provider's";
            Err(Fault::new(Leaf::SslAuthenticationFailed, detail).at(Side::Service))
        }
        _ => Ok(connection),
    }
}

async fn connect_service(
    gateway: &Gateway,
    place: &Place,
    key: Key,
    ours: Option<Arc<CertifiedKey>>,
) -> Result<Connection, Fault> {
    let fault = |leaf, what: &str, error: io::Error| {
        Fault::new(leaf, format!("{what}: {error}")).at(Side::Service).because(error)
    };
    let addresses = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
    let addresses: Vec<_> =
        addresses.map_err(|e| fault(Leaf::UnknownHost, "service's host is unknown", e))?.collect();
    let refused = |e| fault(Leaf::NetworkError, "service not reached", e);
    let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(refused)?;
    tcp.set_nodelay(true).map_err(refused)?;
    let stall = gateway.conf.timeouts.idle;
    if !place.tls {
        return Connection::start(key, tcp, Vec::new(), stall).await.map_err(refused);
    }
    let failed = |e| fault(Leaf::SslAuthenticationFailed, "TLS handshake with the service failed", e);
    let config = gateway.net.to_services.of(&key.shown, || tls::to_services(ours));
    let name = tls::server_name(&place.host).map_err(failed)?;
    let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?;
    let certificates = shown(&stream);
    Connection::start(key, stream, certificates, stall).await.map_err(failed)
}
