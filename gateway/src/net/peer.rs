//! Whether a TLS peer is the gateway that it must be: path, status and registration of its certificate.
//!
//! Asked for every message, not for every connection: a connection outlives revocations, and resumed sessions skip the
//! verifiers of the handshake. What was found is remembered while nothing that it rests on changes.

use super::fetch::{self, Bounds, FetchError};
use crate::Gateway;
use crate::world::World;
use moka::sync::Cache;
use ring::digest::{Context, SHA256};
use saatkond_proto::continuity::Site;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Code, Fault, Leaf, Retry, Side};
use saatkond_proto::globalconf::lookup::GlobalConf;
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::{self, ReadError};
use saatkond_proto::trust::ocsp::{self, OcspError, Response};
use saatkond_proto::trust::path::{self, Chain, PathError};
use saatkond_proto::trust::{Certificate, CertificateError};
use std::fmt::Write as _;
use std::sync::{Arc, Weak};

/// Judgements remembered.
const VERDICTS_MAX: u64 = 10_000;

/// A TLS peer that is not who it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// It showed something else.
    #[error("the peer's certificate cannot be read: {0}")]
    Certificate(#[from] CertificateError),
    /// Its certificate leads to no authority that the instance approves.
    #[error("the peer's certificate does not hold: {0}")]
    Path(#[from] PathError),
    /// Its certificate is not for TLS.
    #[error("certificate {subject} is not for authentication")]
    NotAuthentication {
        /// Its subject.
        subject: String,
    },
    /// An OCSP response in the message cannot be read.
    #[error("an OCSP response of the peer cannot be read: {0}")]
    UnreadableStatus(OcspError),
    /// Its certificate is not good.
    #[error("the peer's certificate is not good: {0}")]
    Status(#[from] OcspError),
    /// Its OCSP responses cannot be had.
    #[error("the peer's OCSP port gives no responses: {0}")]
    OcspPort(#[from] OcspPortError),
    /// Its certificate is not registered for a server that serves the client.
    #[error("certificate {subject} belongs to no security server of {client}")]
    Stranger {
        /// Its subject.
        subject: String,
        /// Who must be served by it.
        client: ClientId,
    },
    /// Its certificate is not registered for a server of the site that it must be, or of any.
    #[error("certificate {subject} belongs to no server of {site}")]
    NoSite {
        /// Its subject.
        subject: String,
        /// The site, or `any site`.
        site: String,
    },
}

/// A peer's OCSP port that gives no responses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OcspPortError {
    /// Not reached.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It refused.
    #[error("status {status}, expected 200")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// Not the multipart that it must be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another number of responses than asked for.
    #[error("{found} responses, expected {expected}")]
    Count {
        /// How many were asked for.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// No response that can be read.
    #[error(transparent)]
    Response(#[from] OcspError),
}

impl PeerError {
    /// Whether this may be of a certificate that the peer showed earlier and shows no more: it expired, was revoked, or is
    /// registered no more.
    #[must_use]
    pub const fn may_be_outlived(&self) -> bool {
        matches!(
            self,
            Self::Path(_)
                | Self::Status(OcspError::Revoked { .. })
                | Self::Stranger { .. }
                | Self::NoSite { .. }
        )
    }

    /// The fault of a consumer's gateway. Seen: message-path §4.2: the inner code is kept.
    #[must_use]
    pub fn at_consumer(self) -> Fault {
        let tls = |leaf| Code::of(leaf).under(Leaf::SslAuthenticationFailed);
        let code = match &self {
            Self::Path(error) => error.tls_code(),
            Self::Status(error) => {
                error.code().under(Leaf::InvalidCertPath).under(Leaf::SslAuthenticationFailed)
            }
            Self::OcspPort(_) | Self::UnreadableStatus(_) | Self::Certificate(_) => tls(Leaf::InternalError),
            Self::NoCertificate
            | Self::NotAuthentication { .. }
            | Self::Stranger { .. }
            | Self::NoSite { .. } => Code::of(Leaf::SslAuthenticationFailed),
        };
        self.fault(code).retry(Retry::Untouched)
    }

    /// The fault of a provider's gateway. Seen: message-path §4.1 step 10: the inner code is told in words only.
    #[must_use]
    pub fn at_provider(self) -> Fault {
        let leaf = match &self {
            Self::Path(PathError::NotApproved { .. }) => Leaf::InternalError,
            Self::UnreadableStatus(OcspError::Malformed(_)) => Leaf::IoError,
            _ => Leaf::SslAuthenticationFailed,
        };
        self.fault(Code::of(leaf).under(Leaf::ServiceFailed))
    }

    fn fault(self, code: Code) -> Fault {
        Fault { code, ..Fault::new(Leaf::SslAuthenticationFailed, self.to_string()) }
            .at(Side::Peer)
            .because(self)
    }
}

//------------ Verdicts ------------------------------------------------------

/// Peers that were found to be who they must be. Only good news is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Verdicts(Cache<[u8; 32], Verdict>);

#[derive(Debug, Clone)]
struct Verdict {
    /// The configuration it rests on; held weakly, so that another can never be taken for it.
    conf: Weak<GlobalConf>,
    from: UnixTime,
    until: UnixTime,
}

impl Verdicts {
    pub(crate) fn new() -> Self {
        Self(Cache::new(VERDICTS_MAX))
    }

    fn holds(&self, key: &[u8; 32], world: &World, at: UnixTime) -> bool {
        self.0.get(key).is_some_and(|v| {
            std::ptr::eq(v.conf.as_ptr(), Arc::as_ptr(&world.conf)) && v.from <= at && at <= v.until
        })
    }

    /// Remembers that these certificates and responses were found good, for as long as they must be.
    fn insert(&self, key: [u8; 32], world: &World, from: UnixTime, (chain, told): (&Chain, &[Response])) {
        if let Some(until) = ocsp::holds_until(chain, told, &world.conf.ocsp_policy()) {
            self.0.insert(key, Verdict { conf: Arc::downgrade(&world.conf), from, until });
        }
    }
}

/// What a verdict is about: the certificates shown, the responses brought along, and who must be served.
fn key<'a>(whom: &str, pieces: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    add(whom.as_bytes());
    pieces.for_each(add);
    context.finish().as_ref().try_into().unwrap_or_default()
}

fn read_certificates(shown: &[Vec<u8>]) -> Result<Vec<Arc<Certificate>>, PeerError> {
    let most = limits::CHAIN_CERTS_MAX + 1;
    if shown.len() > most {
        return Err(PathError::TooMany { found: shown.len(), most }.into());
    }
    shown.iter().map(|der| Ok(Arc::new(Certificate::from_der(der)?))).collect()
}

fn belongs(world: &World, leaf: &Certificate, client: &ClientId) -> Result<(), PeerError> {
    if !path::is_authentication(leaf)? {
        return Err(PeerError::NotAuthentication { subject: leaf.subject_text().to_owned() });
    }
    if world.conf.is_auth_cert_of(client, leaf.der()) {
        return Ok(());
    }
    Err(PeerError::Stranger { subject: leaf.subject_text().to_owned(), client: client.clone() })
}

//------------ the questions ---------------------------------------------

/// Judges a peer that asks: its certificates and the OCSP responses of its message, for the client in whose name it asks.
///
/// Spec: message-path §4.1 step 10.
///
/// # Errors
/// [`PeerError`].
pub fn judge_client(
    gateway: &Gateway,
    world: &World,
    client: &ClientId,
    shown: &[Vec<u8>],
    statuses: &[Vec<u8>],
) -> Result<(), PeerError> {
    let at = gateway.now();
    let key = key(&client.to_path(), shown.iter().chain(statuses).map(Vec::as_slice));
    if gateway.net.verdicts.holds(&key, world, at) {
        return Ok(());
    }
    let presented = read_certificates(shown)?;
    let leaf = presented.first().ok_or(PeerError::NoCertificate)?;
    let chain = path::of_peer(&presented, world.conf.approved_cas(&client.member.instance), at)?;
    let responses: Vec<_> = statuses
        .iter()
        .map(|der| Response::from_der(der).map_err(PeerError::UnreadableStatus))
        .collect::<Result<_, _>>()?;
    ocsp::check(&chain, &responses, &world.conf.all_cas(), &world.conf.ocsp_policy(), at)?;
    belongs(world, leaf, client)?;
    gateway.net.verdicts.insert(key, world, at, (&chain, &responses));
    Ok(())
}

/// Judges a peer that we would ask: its certificates, for the client that must answer. Missing OCSP responses are asked
/// for at `host`.
///
/// Spec: message-path §4.2, before sending.
///
/// # Errors
/// [`PeerError`].
pub async fn judge_server(
    gateway: &Gateway,
    world: &World,
    client: &ClientId,
    shown: &[Vec<u8>],
    host: &str,
) -> Result<(), PeerError> {
    let at = gateway.now();
    let key = key(&client.to_path(), shown.iter().map(Vec::as_slice));
    if gateway.net.verdicts.holds(&key, world, at) {
        return Ok(());
    }
    let presented = read_certificates(shown)?;
    let (leaf, additional) = presented.split_first().ok_or(PeerError::NoCertificate)?;
    let chain = path::to_issuer(leaf, additional, world.conf.approved_cas(&client.member.instance), at)?;
    belongs(world, leaf, client)?;
    let responses = statuses_of(gateway, world, &chain, host, at).await?;
    ocsp::check(&chain, &responses, &world.conf.all_cas(), &world.conf.ocsp_policy(), at)?;
    gateway.net.verdicts.insert(key, world, at, (&chain, &responses));
    Ok(())
}

/// What verdicts about servers of sites are kept under.
const SITE: &str = "site";

/// Judges a site's server that asks: its certificates and the OCSP responses that it brought along. Tells which it is.
///
/// # Errors
/// [`PeerError`].
pub fn judge_site_client(
    gateway: &Gateway,
    world: &World,
    shown: &[Vec<u8>],
    statuses: &[Vec<u8>],
) -> Result<ServerId, PeerError> {
    let at = gateway.now();
    let leaf = shown.first().ok_or(PeerError::NoCertificate)?;
    let server = site_server(world, leaf, |_| true, "any site")?;
    let key = key(SITE, shown.iter().chain(statuses).map(Vec::as_slice));
    if gateway.net.verdicts.holds(&key, world, at) {
        return Ok(server);
    }
    let presented = read_certificates(shown)?;
    let chain = path::of_peer(&presented, world.conf.approved_cas(world.conf.own_instance()), at)?;
    let responses: Vec<_> = statuses
        .iter()
        .map(|der| Response::from_der(der).map_err(PeerError::UnreadableStatus))
        .collect::<Result<_, _>>()?;
    ocsp::check(&chain, &responses, &world.conf.all_cas(), &world.conf.ocsp_policy(), at)?;
    gateway.net.verdicts.insert(key, world, at, (&chain, &responses));
    Ok(server)
}

/// Judges a site's server that we would ask: its certificates, for the site that it must be. Missing OCSP responses are
/// asked for where the global configuration says that the server is.
///
/// # Errors
/// [`PeerError`].
pub async fn judge_site(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    shown: &[Vec<u8>],
) -> Result<(), PeerError> {
    let at = gateway.now();
    let first = shown.first().ok_or(PeerError::NoCertificate)?;
    let server = site_server(world, first, |found| found.id == site.id, &site.id)?;
    let key = key(SITE, shown.iter().map(Vec::as_slice));
    if gateway.net.verdicts.holds(&key, world, at) {
        return Ok(());
    }
    let presented = read_certificates(shown)?;
    let (leaf, additional) = presented.split_first().ok_or(PeerError::NoCertificate)?;
    let cas = world.conf.approved_cas(world.conf.own_instance());
    let chain = path::to_issuer(leaf, additional, cas, at)?;
    let host = world.conf.server(&server).map(|s| s.address.clone()).unwrap_or_default();
    let responses = statuses_of(gateway, world, &chain, &host, at).await?;
    ocsp::check(&chain, &responses, &world.conf.all_cas(), &world.conf.ocsp_policy(), at)?;
    gateway.net.verdicts.insert(key, world, at, (&chain, &responses));
    Ok(())
}

/// The server that a certificate is registered for, if it stands at a site that `is_it`.
fn site_server(
    world: &World,
    der: &[u8],
    is_it: impl Fn(&Site) -> bool,
    wanted: &str,
) -> Result<ServerId, PeerError> {
    let leaf = Certificate::from_der(der)?;
    let subject = || leaf.subject_text().to_owned();
    if !path::is_authentication(&leaf)? {
        return Err(PeerError::NotAuthentication { subject: subject() });
    }
    let server = world.conf.server_by_auth_cert(der).map(|server| server.id.clone());
    let at_site = |id: &ServerId| world.conf.continuity()?.site_of(id).filter(|site| is_it(site)).map(|_| ());
    let server = server.filter(|id| at_site(id).is_some());
    server.ok_or_else(|| PeerError::NoSite { subject: subject(), site: wanted.to_owned() })
}

/// The responses for a chain: those we keep and that still hold, the others from the peer's port 5577.
async fn statuses_of(
    gateway: &Gateway,
    world: &World,
    chain: &Chain,
    host: &str,
    at: UnixTime,
) -> Result<Vec<Response>, PeerError> {
    let (listed, policy) = (world.conf.all_cas(), world.conf.ocsp_policy());
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (index, certificate) in chain.certificates().iter().enumerate() {
        let holds = |response: &Arc<Response>| {
            ocsp::verify(response, certificate, chain.issuer_of(index), &listed, &policy, at).is_ok()
        };
        let kept = world.statuses.of(certificate).cloned().filter(holds);
        match kept.or_else(|| gateway.peer_statuses.find(certificate.sha256()).filter(holds)) {
            Some(response) => found.push(Response::clone(&response)),
            None => missing.push(Arc::clone(certificate)),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    for (certificate, response) in missing.iter().zip(ask_port(gateway, host, &missing).await?) {
        let response = Arc::new(response);
        gateway.peer_statuses.insert(certificate.sha256(), Arc::clone(&response));
        found.push(Response::clone(&response));
    }
    Ok(found)
}

/// Asks a peer's OCSP port. Spec: message-path §5.1.
async fn ask_port(
    gateway: &Gateway,
    host: &str,
    certificates: &[Arc<Certificate>],
) -> Result<Vec<Response>, OcspPortError> {
    let conf = &gateway.conf;
    // A name that does not resolve is told by whoever asks the address.
    let address = gateway.net.names.of(host, conf.peers.ocsp_port).await.ok();
    let place = address.and_then(|all| all.first().map(ToString::to_string));
    let place = place.unwrap_or_else(|| format!("{host}:{}", conf.peers.ocsp_port));
    let hashes = |name: &str, digest: &dyn Fn(&Certificate) -> Vec<u8>| {
        let one = |c: &Arc<Certificate>| format!("{name}={}", hex(&digest(c)));
        certificates.iter().map(one).collect::<Vec<_>>().join("&")
    };
    let by_sha1 = hashes("cert", &|c| DigestAlgorithm::Sha1.digest(c.der()));
    let by_sha256 = hashes("cert_hash", &|c| c.sha256().to_vec());
    let url = format!("http://{place}/?{by_sha1}&{by_sha256}");
    let bounds = Bounds {
        connect: conf.timeouts.fetch_connect,
        whole: conf.timeouts.fetch,
        bytes_max: (limits::OCSP_BYTES_MAX + limits::PART_HEAD_BYTES_MAX) * certificates.len(),
    };
    let answer = fetch::get(&url, Some("multipart/related"), bounds).await?;
    if !(200..300).contains(&answer.status) {
        return Err(OcspPortError::Refused { status: answer.status });
    }
    let parts = read::ocsp_answer(answer.header("content-type").unwrap_or_default(), &answer.body)?;
    if parts.len() != certificates.len() {
        return Err(OcspPortError::Count { expected: certificates.len(), found: parts.len() });
    }
    parts.iter().map(|der| Response::from_der(der).map_err(Into::into)).collect()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
