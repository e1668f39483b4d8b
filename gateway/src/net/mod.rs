//! Sockets, TLS, pools and deadlines: nothing else of the gateway touches a socket.
//!
//! | file | what it holds |
//! |---|---|
//! | [`listen`] | doors that stand open: accept, bound, answer, drain |
//! | `framed` | the stream between socket and hyper, which keeps heads as they came |
//! | [`head`] | one request head, read strictly |
//! | [`body`] | bodies under a deadline, in and out |
//! | `cbc` | the cipher suites of unmodified X-Road servers |
//! | [`dial`] | connecting to the gateway that shall answer, to the service that is asked |
//! | `names` | addresses of other gateways, kept |
//! | [`peer`] | whether a TLS peer is the gateway that it must be |
//! | [`pool`] | connections kept for another request |
//! | [`outward`] | the stream between hyper and a server that we ask |
//! | [`message`] | messages between gateways, as both sides read and write them |
//! | [`question`] | what is asked, in either dialect |
//! | [`soap`] | SOAP messages, as information systems send them and are sent them |
//! | [`task`] | one exchange, one task, one closing line |
//! | [`sites`] | connecting to another site |
//! | [`fetch`] | one question to a trust service or configuration source |
//! | [`description`] | reading the WSDL or OpenAPI document of a service |
//! | `timestamp` | having the message log stamped |
//! | `piped` | a body that is written while it goes out |
//! | [`random`] | ids and boundaries |
//! | [`tls`] | who must prove what in a handshake |

pub mod body;
mod cbc;
pub mod description;
pub mod dial;
pub mod fetch;
mod framed;
pub mod head;
pub mod listen;
pub mod message;
mod names;
pub mod outward;
pub mod peer;
pub(crate) mod piped;
pub mod pool;
pub mod question;
pub mod random;
pub mod sites;
pub mod soap;
pub mod task;
pub(crate) mod timestamp;
pub mod tls;

use crate::conf::Conf;
use listen::Listener;
use std::io;
use std::net::SocketAddr;

/// Connections of other sites at once: each keeps as many as it has calls to pass on.
const SITE_CONNECTIONS_MAX: usize = 1024;

/// The doors of one gateway, bound and not yet open; `None` for one that stays shut.
#[derive(Debug)]
pub struct Doors {
    /// Information systems over HTTP.
    pub clients: Option<Listener>,
    /// Information systems over HTTPS.
    pub clients_tls: Option<Listener>,
    /// Other gateways: messages.
    pub servers: Option<Listener>,
    /// Other gateways: OCSP responses of our certificates.
    pub ocsp: Option<Listener>,
    /// Other sites: calls that they pass on, and who leads.
    pub sites: Option<Listener>,
}

/// A door that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {who}: {source}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// For whom: `information systems`, `other gateways`, `other sites`.
    pub who: &'static str,
    /// The key of `gateway.toml` that names it.
    pub key: &'static str,
    /// Why.
    pub source: io::Error,
}

impl Doors {
    /// Binds all doors that the configuration names.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(conf: &Conf) -> Result<Self, BindError> {
        let (clients_max, servers_max) =
            (conf.limits.client_connections_max, conf.limits.server_connections_max);
        let listen = &conf.listen;
        // One gateway's address takes at most half of what all others share with it.
        let half = servers_max.div_ceil(2).max(1);
        let servers = bind(listen.servers, servers_max, "other gateways", "listen.servers").await?;
        let ocsp = bind(listen.ocsp, servers_max, "other gateways", "listen.ocsp").await?;
        Ok(Self {
            clients: bind(listen.clients, clients_max, "information systems", "listen.clients").await?,
            clients_tls: bind(listen.clients_tls, clients_max, "information systems", "listen.clients_tls")
                .await?,
            servers: servers.map(|door| door.each_address(half)),
            ocsp: ocsp.map(|door| door.each_address(half)),
            sites: bind(listen.sites, SITE_CONNECTIONS_MAX, "other sites", "listen.sites").await?,
        })
    }
}

async fn bind(
    address: Option<SocketAddr>,
    connections_max: usize,
    who: &'static str,
    key: &'static str,
) -> Result<Option<Listener>, BindError> {
    let Some(address) = address else { return Ok(None) };
    let bound = Listener::bind(address, connections_max).await;
    bound.map(Some).map_err(|source| BindError { address, who, key, source })
}

/// What this gateway keeps of its connections to others.
#[derive(Debug)]
pub struct Net {
    /// Idle connections to other gateways.
    pub(crate) gateways: pool::Pool,
    /// Idle connections to services.
    pub(crate) services: pool::Pool,
    /// TLS towards other gateways.
    pub(crate) to_gateways: dial::Config,
    /// TLS towards other sites.
    pub(crate) to_sites: dial::Config,
    /// TLS towards services.
    pub(crate) to_services: dial::Config,
    /// Peers found to be who they must be.
    pub(crate) verdicts: peer::Verdicts,
    /// Where other gateways are.
    pub(crate) names: names::Names,
    /// Doors that connected first.
    pub(crate) fastest: dial::Fastest,
    /// Held by whoever has messages stamped before they go on.
    pub(crate) stamping: tokio::sync::Mutex<()>,
}

impl Net {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(conf: &Conf) -> Self {
        let each_max = conf.peers.idle_connections_max;
        Self {
            gateways: pool::Pool::new(each_max),
            services: pool::Pool::new(each_max),
            to_gateways: dial::Config::default(),
            to_sites: dial::Config::default(),
            to_services: dial::Config::default(),
            verdicts: peer::Verdicts::new(),
            names: names::Names::default(),
            fastest: dial::Fastest::default(),
            stamping: tokio::sync::Mutex::default(),
        }
    }
}
