//! TLS: one stack, one provider, and who must prove what in a handshake.
//!
//! | door | versions | the server shows | the client shows |
//! |---|---|---|---|
//! | gateway to gateway | 1.3; with `tls.stock_peers` 1.2 too | its authentication certificate; judged by [`super::peer`] before the first HTTP byte | a certificate registered for a security server of the world |
//! | information system to gateway | 1.2, 1.3 | the internal certificate | any or none; judged with each message |
//! | gateway to service | 1.2, 1.3 | one of the client's certificates, where the service says so | the internal certificate |
//! | trust services | 1.2, 1.3 | any: what they say is signed | none |
//!
//! Unmodified X-Road 7 servers speak 1.2 with CBC suites and nothing else. [`Peers::Stock`] carries these, after all that
//! is better, and on the way between gateways only.
//!
//! Every verifier here checks the handshake's own signature, so nobody shows a certificate whose key is not his.
//! Resumed sessions skip verifiers: who the peer is gets looked up again with each connection and each message.

use super::cbc;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError,
    ServerConfig, SignatureScheme, SupportedProtocolVersion, version,
};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// Between gateways of this kind.
const BETWEEN_GATEWAYS: &[&SupportedProtocolVersion] = &[&version::TLS13];
/// Everybody else, and unmodified X-Road servers.
const ELSEWHERE: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];
/// Sessions kept for resumption towards other gateways.
const SESSIONS_MAX: usize = 1024;
/// How often it is said that an unmodified server was turned away.
const TOLD_EVERY: Duration = Duration::from_secs(60);

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The same with the suites of unmodified X-Road servers, which come last.
static WITH_STOCK_SUITES: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.extend_from_slice(&cbc::SUITES);
    Arc::new(provider)
});

/// Which gateways are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// Those that speak TLS 1.3, as this one does.
    Modern,
    /// Unmodified X-Road servers, too: TLS 1.2, CBC suites if need be.
    Stock,
}

impl Peers {
    /// As `tls.stock_peers` says.
    #[must_use]
    pub const fn stock_if(stock_peers: bool) -> Self {
        if stock_peers { Self::Stock } else { Self::Modern }
    }

    const fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Modern => BETWEEN_GATEWAYS,
            Self::Stock => ELSEWHERE,
        }
    }

    /// The crypto provider with the suites for these peers.
    #[must_use]
    pub fn provider(self) -> Arc<CryptoProvider> {
        match self {
            Self::Modern => provider(),
            Self::Stock => Arc::clone(&WITH_STOCK_SUITES),
        }
    }
}

/// Whether a client could speak nothing but the suites of unmodified X-Road servers.
fn is_stock_only(offered: &[CipherSuite]) -> bool {
    let modern = || PROVIDER.cipher_suites.iter().filter(|suite| suite.tls13().is_some());
    offered.iter().any(|suite| cbc::is_stock(*suite))
        && !modern().any(|suite| offered.contains(&suite.suite()))
}

/// Tells the operator about unmodified X-Road servers that knock where they are not met.
#[derive(Debug, Default)]
pub struct TurnedAway(Mutex<Option<Instant>>);

impl TurnedAway {
    /// Looks at what a client offers; says once a minute which switch would let it in.
    pub fn hear(&self, address: SocketAddr, hello: &ClientHello<'_>) {
        if !is_stock_only(hello.cipher_suites()) {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        drop(told);
        tracing::warn!(%address, "a caller speaks only the TLS 1.2 suites of unmodified X-Road servers, and is turned \
            away: to meet these, set tls.stock_peers = true");
    }
}

/// Whether a handshake failed as it does with an unmodified X-Road server that is asked for TLS 1.3.
/// Seen: message-path §2.2.
#[must_use]
pub fn may_be_stock(error: &io::Error) -> bool {
    use rustls::{AlertDescription, Error};
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(
        error,
        Some(
            Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
                | Error::PeerIncompatible(_)
        )
    )
}

/// The one crypto provider: ring.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// The name of a server for TLS: a host name, or an address.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for what is neither.
pub fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is no host name")))
}

/// Connects to trust services and configuration sources.
#[must_use]
pub fn fetching() -> TlsConnector {
    static CONFIG: LazyLock<Arc<ClientConfig>> =
        LazyLock::new(|| Arc::new(client(provider(), ELSEWHERE, Arc::new(DangerPossessionOnly), None)));
    TlsConnector::from(Arc::clone(&CONFIG))
}

/// Connects to other gateways, with our authentication certificate.
///
/// Whose the peer's certificate is must be judged before anything is sent.
#[must_use]
pub fn to_gateways(ours: Arc<CertifiedKey>, peers: Peers) -> Arc<ClientConfig> {
    let mut config = client(peers.provider(), peers.versions(), Arc::new(DangerPossessionOnly), Some(ours));
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    config.require_ems = true;
    Arc::new(config)
}

/// Connects to services, with the internal certificate where there is one.
///
/// Whose the service's certificate is must be judged before anything is sent.
#[must_use]
pub fn to_services(ours: Option<Arc<CertifiedKey>>) -> Arc<ClientConfig> {
    Arc::new(client(provider(), ELSEWHERE, Arc::new(DangerPossessionOnly), ours))
}

/// Takes connections of other gateways: only of those registered in the world of that moment. Spec: message-path §2.3.
///
/// `authorities` are the subjects (DER names) of all approved authorities, which the handshake names; `is_registered`
/// is asked with a leaf certificate (DER) each time one is shown in full.
/// `tickets` outlive a change of key or authorities, and with them the sessions that peers resume.
///
/// # Errors
/// [`rustls::Error`]: none that is known.
pub fn from_gateways(
    ours: Arc<CertifiedKey>,
    tickets: Arc<dyn ProducesTickets>,
    authorities: Vec<Vec<u8>>,
    is_registered: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    peers: Peers,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let authorities = authorities.into_iter().map(DistinguishedName::from).collect();
    let verifier = Callers { authorities, must_show: true, is_welcome: is_registered };
    let mut config = server(peers.provider(), peers.versions(), Arc::new(verifier), ours, tickets)?;
    config.require_ems = true;
    Ok(Arc::new(config))
}

/// Takes connections of information systems: with any certificate or none. Seen: message-path §1.1, §1.3.
///
/// # Errors
/// [`rustls::Error`] when the system gives no randomness for tickets.
pub fn from_information_systems(ours: Arc<CertifiedKey>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let tickets = rustls::crypto::ring::Ticketer::new()?;
    let verifier = Callers { authorities: Vec::new(), must_show: false, is_welcome: |_: &[u8]| true };
    server(provider(), ELSEWHERE, Arc::new(verifier), ours, tickets).map(Arc::new)
}

fn client(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ServerCertVerifier>,
    ours: Option<Arc<CertifiedKey>>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider);
    #[expect(
        clippy::expect_used,
        reason = "ring has suites for both versions: proven by every test of this room"
    )]
    let builder = builder.with_protocol_versions(versions).expect("ring speaks TLS 1.2 and 1.3");
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match ours {
        Some(ours) => builder.with_client_cert_resolver(Arc::new(Always(ours))),
        None => builder.with_no_client_auth(),
    }
}

fn server(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
    ours: Arc<CertifiedKey>,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(Always(ours)));
    config.ticketer = tickets;
    // Seen: a client that lists CBC first gets it otherwise.
    config.ignore_client_order = true;
    Ok(config)
}

//------------ Always --------------------------------------------------------

/// The one key that we show, whoever asks for what.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

//------------ DangerPossessionOnly ------------------------------------------

/// Proves that a server holds the key of the certificate that it shows, and nothing else: not who it is.
#[derive(Debug)]
struct DangerPossessionOnly;

impl ServerCertVerifier for DangerPossessionOnly {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        possession_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        possession_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

//------------ Callers -------------------------------------------------------

/// Lets in whoever shows a certificate that is welcome, and whose key he holds.
struct Callers<F> {
    /// Which authorities the handshake names.
    authorities: Vec<DistinguishedName>,
    /// Whether one must be shown.
    must_show: bool,
    /// Asked with a leaf certificate.
    is_welcome: F,
}

impl<F> std::fmt::Debug for Callers<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("must_show", &self.must_show).finish_non_exhaustive()
    }
}

/// A certificate that no security server is registered with.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is registered for no security server")]
struct Unregistered;

impl<F: Fn(&[u8]) -> bool + Send + Sync> ClientCertVerifier for Callers<F> {
    /// Without one, rustls says alert 116; X-Road says 40. Seen: message-path §2.2.
    fn client_auth_mandatory(&self) -> bool {
        self.must_show
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    /// Refuses with alert 46, as X-Road does. Seen: message-path §2.3.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if (self.is_welcome)(end_entity) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(Unregistered))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        possession_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        possession_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

//------------ what all verifiers check --------------------------------------

fn possession_tls12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    rustls::crypto::verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
}

fn possession_tls13(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    rustls::crypto::verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    PROVIDER.signature_verification_algorithms.supported_schemes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    /// A certificate, with the key of another when `wrong`.
    fn key(wrong: bool) -> Arc<CertifiedKey> {
        let (own, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.self_signed(&own).unwrap().der().clone();
        let shown = if wrong { other } else { own };
        let key = rustls::pki_types::PrivateKeyDer::try_from(shown.serialize_der()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate], key))
    }

    /// Shakes hands and says a byte each way; what either side makes of it.
    async fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> (io::Result<u8>, io::Result<u8>) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let serve = async {
            let mut stream = TlsAcceptor::from(server).accept(far).await?;
            stream.write_u8(1).await?;
            stream.read_u8().await
        };
        let ask = async {
            let name = server_name("127.0.0.1")?;
            let mut stream = TlsConnector::from(client).connect(name, near).await?;
            stream.write_u8(2).await?;
            stream.read_u8().await
        };
        tokio::join!(serve, ask)
    }

    fn gateways(ours: Arc<CertifiedKey>, registered: bool) -> Arc<ServerConfig> {
        let tickets = rustls::crypto::ring::Ticketer::new().unwrap();
        from_gateways(ours, tickets, Vec::new(), move |_| registered, Peers::Modern).unwrap()
    }

    fn alert(result: io::Result<u8>) -> AlertDescription {
        let error = result.unwrap_err();
        match error.get_ref().and_then(|e| e.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            other => panic!("{other:?}, expected an alert"),
        }
    }

    #[tokio::test]
    async fn registered_gateways_shake_hands_in_tls_1_3() {
        let (served, asked) = shake(gateways(key(false), true), to_gateways(key(false), Peers::Modern)).await;
        assert_eq!((served.unwrap(), asked.unwrap()), (2, 1));
    }

    #[test]
    fn a_caller_that_could_speak_nothing_else_is_told_from_others() {
        let cbc = CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384;
        let dhe = CipherSuite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256;
        let gcm = CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384;
        let modern = CipherSuite::TLS13_AES_128_GCM_SHA256;
        assert!(is_stock_only(&[cbc]) && is_stock_only(&[dhe]) && is_stock_only(&[gcm, cbc]));
        assert!(!is_stock_only(&[cbc, modern]) && !is_stock_only(&[gcm]) && !is_stock_only(&[]));
    }

    #[test]
    fn who_is_turned_away_is_told_of_once_a_minute() {
        let hear = |turned: &TurnedAway, client: ClientConfig| {
            let name = server_name("127.0.0.1").unwrap();
            let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            let mut acceptor = rustls::server::Acceptor::default();
            acceptor.read_tls(&mut &wire[..]).unwrap();
            let accepted = acceptor.accept().unwrap().unwrap();
            turned.hear(([127, 0, 0, 1], 1).into(), &accepted.client_hello());
            *turned.0.lock().unwrap()
        };
        let turned = TurnedAway::default();
        let modern = || client(provider(), ELSEWHERE, Arc::new(DangerPossessionOnly), None);
        let only = CryptoProvider { cipher_suites: cbc::SUITES.to_vec(), ..(*provider()).clone() };
        let only = Arc::new(only);
        let of_stock = || client(Arc::clone(&only), &[&version::TLS12], Arc::new(DangerPossessionOnly), None);
        assert_eq!(hear(&turned, modern()), None);
        let told = hear(&turned, of_stock());
        assert!(told.is_some());
        assert_eq!(hear(&turned, of_stock()), told, "not again so soon");
    }

    #[tokio::test]
    async fn nobody_shows_a_certificate_whose_key_he_has_not() {
        let (served, asked) = shake(gateways(key(true), true), to_gateways(key(false), Peers::Modern)).await;
        assert!(asked.is_err() && served.is_err(), "a server without the key");
        let (served, asked) = shake(gateways(key(false), true), to_gateways(key(true), Peers::Modern)).await;
        assert!(asked.is_err() && served.is_err(), "a client without the key");
        let systems = from_information_systems(key(false)).unwrap();
        let (served, _) = shake(systems, to_services(Some(key(true)))).await;
        assert!(served.is_err(), "an information system without the key");
    }

    #[tokio::test]
    async fn an_unregistered_certificate_gets_the_alert_of_x_road() {
        let (_, asked) = shake(gateways(key(false), false), to_gateways(key(false), Peers::Modern)).await;
        assert_eq!(alert(asked), AlertDescription::CertificateUnknown);
    }

    #[tokio::test]
    async fn a_gateway_must_show_a_certificate_and_an_information_system_need_not() {
        let (served, _) = shake(gateways(key(false), true), to_services(None)).await;
        assert!(served.is_err());
        let (served, asked) = shake(from_information_systems(key(false)).unwrap(), to_services(None)).await;
        assert_eq!((served.unwrap(), asked.unwrap()), (2, 1));
    }
}
