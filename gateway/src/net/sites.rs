//! Connecting to another site, over the sites' own listener: TLS 1.3, both sides with their authentication certificates.

use super::body::{BodyError, Incoming, Outgoing};
use super::dial::{connect, shown};
use super::peer::{self, PeerError};
use super::pool::{AskError, Connection, IDLE_MAX, Key};
use super::tls;
use crate::Gateway;
use crate::keys::NoKey;
use crate::world::World;
use http::{HeaderValue, Request, header};
use saatkond_proto::continuity::Site;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

/// From name to TLS: sites are few and near each other in the network's sense, or not there.
const CONNECTING_MAX: Duration = Duration::from_millis(1500);
/// Bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A site that was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The policy says of no address of it.
    #[error("site {site} has no address for other sites")]
    NoAddress {
        /// Which.
        site: String,
    },
    /// We have nothing to show.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// Not reached.
    #[error("site {site} is not reached at {address}: {source}")]
    Unreached {
        /// Which.
        site: String,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody else answers there.
    #[error("at {address} answers somebody else than site {site}: {source}")]
    Peer {
        /// Which.
        site: String,
        /// Where.
        address: String,
        /// Why.
        source: Box<PeerError>,
    },
    /// It broke off.
    #[error("site {site} did not answer: {source}")]
    Ask {
        /// Which.
        site: String,
        /// Why.
        source: AskError,
    },
    /// Its answer did not come whole.
    #[error("the answer of site {site}: {source}")]
    Body {
        /// Which.
        site: String,
        /// Why.
        source: BodyError,
    },
    /// It took too long.
    #[error("site {site} did not answer within {allowed:?}")]
    Late {
        /// Which.
        site: String,
        /// How long it had.
        allowed: Duration,
    },
}

/// An answer that was read whole.
#[derive(Debug, Clone)]
pub struct Said {
    /// HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// A connection to a site: one that was kept, unless `anew`, or a new one. Its peer was judged.
///
/// # Errors
/// [`SiteError`]; nothing was sent.
pub async fn open(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    anew: bool,
) -> Result<Connection, SiteError> {
    let mut last = SiteError::NoAddress { site: site.id.clone() };
    for address in &site.relay {
        match open_at(gateway, world, (site, address), anew).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open_at(
    gateway: &Gateway,
    world: &World,
    (site, address): (&Site, &str),
    anew: bool,
) -> Result<Connection, SiteError> {
    let unreached =
        |source| SiteError::Unreached { site: site.id.clone(), address: address.to_owned(), source };
    let auth = world.auth(gateway.now())?;
    let (host, port) = place(address).ok_or_else(|| {
        unreached(io::Error::new(io::ErrorKind::InvalidInput, "no address, expected HOST:PORT"))
    })?;
    let key = Key { host: host.to_owned(), port, shown: auth.certificate.sha256().to_vec(), is_tls: true };
    let kept = if anew { None } else { gateway.net.gateways.take(&key, IDLE_MAX) };
    let connection = match kept {
        Some(connection) => connection,
        None => {
            let config = gateway
                .net
                .to_sites
                .of(&key.shown, || tls::to_gateways(auth.certified.clone(), tls::Peers::Modern));
            let shaking = async {
                let tcp = connect(&gateway.net.names, host, port, CONNECTING_MAX).await?;
                let stream = TlsConnector::from(config).connect(tls::server_name(host)?, tcp).await?;
                let certificates = shown(&stream);
                Connection::start(key, stream, certificates, gateway.conf.timeouts.idle).await
            };
            let shaken = timeout(CONNECTING_MAX, shaking).await;
            shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unreached)?
        }
    };
    let judging = peer::judge_site(gateway, world, site, connection.certificates());
    let judged = timeout(CONNECTING_MAX, judging).await;
    let judged = judged.map_err(|_| unreached(io::ErrorKind::TimedOut.into()))?;
    let stranger = |source| SiteError::Peer {
        site: site.id.clone(),
        address: address.to_owned(),
        source: Box::new(source),
    };
    judged.map_err(stranger).map(|()| connection)
}

/// Host and port of an address; a numeric IPv6 address stands in brackets.
fn place(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host, port.parse().ok()?))
}

/// The request line and headers of what sites ask each other.
///
/// # Errors
/// [`http::Error`]: none that is known.
pub fn request(path: &str, body: Outgoing) -> Result<Request<Outgoing>, http::Error> {
    Request::post(path)
        .header(header::HOST, HeaderValue::from_static("sites"))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .body(body)
}

/// Asks a site something that may be asked twice, and reads its answer whole.
///
/// # Errors
/// [`SiteError`].
///
/// # Cancel safety
/// The site may have heard a call that was dropped.
pub async fn ask(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    (path, body): (&str, &[u8]),
    allowed: Duration,
) -> Result<Said, SiteError> {
    let (id, until) = (|| site.id.clone(), Instant::now() + allowed);
    let broken = |source| SiteError::Ask { site: id(), source };
    let asking = async {
        let asked = || {
            let body = Outgoing::sized().bytes(body.to_vec());
            let malformed = |error| SiteError::Unreached {
                site: id(),
                address: String::new(),
                source: io::Error::other(error),
            };
            request(path, body).map_err(malformed)
        };
        let mut connection = open(gateway, world, site, false).await?;
        let mut answer = connection.ask(asked()?).await;
        if connection.is_reused()
            && let Err(first) = answer
        {
            // Of two failures the first is told: it may have been heard.
            answer = match open(gateway, world, site, true).await {
                Ok(another) => {
                    connection = another;
                    connection.ask(asked()?).await.map_err(|_| first)
                }
                Err(_) => Err(first),
            };
        }
        let (head, body) = answer.map_err(broken)?.into_parts();
        let mut body = Incoming::new(body, allowed);
        let read = body.whole(ANSWER_BYTES_MAX).await;
        let body = read.map_err(|source| SiteError::Body { site: id(), source })?;
        gateway.net.gateways.give(connection);
        Ok(Said { status: head.status.as_u16(), body })
    };
    let late = |_| SiteError::Late { site: id(), allowed };
    timeout_at(until, asking).await.map_err(late)?
}
