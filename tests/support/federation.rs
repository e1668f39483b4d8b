//! An instance in a directory, made by `saatkond_ca::federation`, with P-256 keys and trust services that answer.
//!
//! ```text
//! DEV   GOV/M1 Tax Board       TAX   on TAX        127.a.b.2
//!       GOV/M2 Land Board      LAND  on HOME       127.a.b.3
//!                                    on EMBASSY    127.a.b.4
//!       COM/M3 Harbour         SHIPS on PORT       127.a.b.5
//!       authority, OCSP, time-stamps, configuration: 127.a.b.1
//! ```
//!
//! Each federation has sixteen addresses of its own, so that tests run side by side; all servers of one listen on the
//! same ports, as X-Road wants it.

use crate::directory::Directory;
use crate::vectors;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use saatkond::clock::Clock;
use saatkond_ca::ca::{Authority, read_certificates};
use saatkond_ca::federation::{self as made, Member, Plan, Server};
use saatkond_ca::index::Reason;
use saatkond_ca::instance::v1;
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::serve::{self, Running, Services};
use saatkond_ca::{pem, serve::Clock as TrustClock};
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{self, Status};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// When every test begins: 2026-01-02T03:04:05Z.
pub const START: UnixTime = UnixTime::from_secs(1_767_323_045);

/// How long a signed configuration holds.
pub const VALIDITY: Duration = Duration::from_secs(600);
/// How often it is signed anew; a change is published then.
pub const RENEWAL: Duration = Duration::from_secs(60);
/// How old an OCSP response may be.
pub const FRESHNESS: Duration = Duration::from_secs(3600);

/// An instance and its trust services.
#[derive(Debug)]
pub struct Federation {
    /// What time it is, for everybody in it.
    pub clock: Clock,
    /// The port for messages, on every server's address.
    pub port: u16,
    /// The port for OCSP responses, on every server's address.
    pub ocsp_port: u16,
    /// The port for other sites, on every server's address.
    pub sites_port: u16,
    made: made::Federation,
    trust: SocketAddr,
    services: Option<Running>,
    directory: Directory,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The certificate.
    pub certificate: Arc<Certificate>,
    /// Its private key.
    pub key: Arc<PrivateKey>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Gateways in TLS.
    Authentication,
    /// Messages.
    Signing,
    /// Web servers and information systems.
    Tls,
    /// Nothing: no key usage at all.
    Nothing,
}

impl Federation {
    /// Makes the instance.
    pub async fn new() -> Self {
        Self::of(|_| ()).await
    }

    /// Makes the instance, with a change to its plan.
    pub async fn of(change: impl FnOnce(&mut Plan)) -> Self {
        let [trust, tax, home, embassy, harbour] = block();
        let listener = TcpListener::bind((trust, 0)).await.unwrap();
        let trust = listener.local_addr().unwrap();
        let [port, ocsp_port, sites_port] = free_ports(tax).await;
        let texts = [tax, home, embassy].map(|address| address.to_string());
        let [tax, home, embassy] = texts.each_ref().map(String::as_str);
        let mut plan = Plan::two_boards(&format!("http://{trust}"), KeySpec::P256, [tax, home, embassy]);
        plan.members.push(Member {
            class: "COM".to_owned(),
            code: "M3".to_owned(),
            name: "Harbour".to_owned(),
            subsystems: vec!["SHIPS".to_owned()],
            servers: vec![Server {
                code: "PORT".to_owned(),
                address: harbour.to_string(),
                keys: PathBuf::from("port/keys"),
            }],
        });
        change(&mut plan);
        let directory = Directory::new("federation");
        let clock = Clock::wound(START);
        let made = made::Federation::create(directory.path(), &plan, START).unwrap();
        let of_trust = clock.clone();
        let services =
            Services::open(&made.serve_config(), TrustClock::from_fn(move || of_trust.now())).unwrap();
        let services = serve::Running::start(listener, services).unwrap();
        Self { clock, port, ocsp_port, sites_port, made, trust, services: Some(services), directory }
    }

    /// The same, with nobody who answers for configuration, status and time.
    pub async fn without_trust_services(mut self) -> Self {
        if let Some(services) = self.services.take() {
            services.stop().await;
        }
        self
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Where all of it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration anchor.
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.made.anchor()
    }

    /// Where the trust services answer.
    #[must_use]
    pub const fn trust(&self) -> SocketAddr {
        self.trust
    }

    /// A server, by its code.
    #[must_use]
    pub fn place(&self, code: &str) -> &made::Place {
        self.made.servers().iter().find(|place| place.id.code == code).unwrap()
    }

    /// The identifier of a server, by its code.
    #[must_use]
    pub fn id(&self, code: &str) -> ServerId {
        self.place(code).id.clone()
    }

    /// The address of a server, by its code.
    #[must_use]
    pub fn address(&self, code: &str) -> IpAddr {
        self.place(code).address.parse().unwrap()
    }

    //-------- keys and certificates

    /// What a server shows in TLS.
    #[must_use]
    pub fn auth(&self, code: &str) -> Holder {
        Holder::read(&self.place(code).keys, "auth")
    }

    /// What a server's owner signs with there.
    #[must_use]
    pub fn sign(&self, code: &str) -> Holder {
        Holder::read(&self.place(code).keys, "sign")
    }

    /// The authority that issued the members' certificates.
    #[must_use]
    pub fn authority(&self) -> Holder {
        Holder::read(&self.made.issuing_authority(), "ca")
    }

    /// The topmost authority.
    #[must_use]
    pub fn root(&self) -> Holder {
        Holder::read(&self.directory.path().join("trust/ca"), "ca")
    }

    /// Issues a certificate that the authority's books do not know: for the Tax Board, but for `change`.
    pub fn issue(&self, purpose: For, change: impl FnOnce(&mut CertificateParams)) -> Holder {
        Holder::issued_by(&self.authority(), purpose, change)
    }

    /// What the authority says of a certificate, of `this_update`.
    #[must_use]
    pub fn status(&self, of: &Certificate, status: Status, this_update: UnixTime) -> Vec<u8> {
        status_by(&self.authority(), of, &self.authority().certificate, (status, this_update))
    }

    /// That a certificate is good, as of now.
    #[must_use]
    pub fn good(&self, of: &Certificate) -> Vec<u8> {
        self.status(of, Status::Good, self.now())
    }

    /// Revokes a certificate; the responder says so from now on.
    pub fn revoke(&self, certificate: &Certificate) {
        let mut authority = Authority::open(&self.made.issuing_authority()).unwrap();
        let now = self.now();
        authority.revoke(&hex(certificate.serial()), Reason::KeyCompromise, now, now).unwrap();
    }

    //-------- the configuration

    /// Changes the instance's file, applies it, and winds the clock to when it is published.
    pub fn change(&self, change: impl FnOnce(&mut v1::File)) {
        let file = self.made.instance_file();
        let mut instance: v1::File = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut instance);
        std::fs::write(&file, toml::to_string(&instance).unwrap()).unwrap();
        self.made.apply(self.now()).unwrap();
        self.clock.advance(RENEWAL);
    }

    /// As [`Federation::change`], of the entry of one server.
    pub fn change_server(&self, code: &str, change: impl FnOnce(&mut v1::Server)) {
        let id = self.id(code).to_path();
        self.change(|file| change(file.servers.iter_mut().find(|server| server.id == id).unwrap()));
    }

    /// Registers a certificate as one that a server shows, in place of its other ones.
    pub fn register(&self, code: &str, certificate: &Certificate) {
        let pem = pem::encode(pem::CERTIFICATE, certificate.der());
        self.change_server(code, |server| server.certificates = vec![pem]);
    }
}

/// The Tax Board's subsystem.
#[must_use]
pub fn tax() -> ClientId {
    "DEV/GOV/M1/TAX".parse().unwrap()
}

/// The Land Board's subsystem.
#[must_use]
pub fn land() -> ClientId {
    "DEV/GOV/M2/LAND".parse().unwrap()
}

/// The Harbour's subsystem.
#[must_use]
pub fn ships() -> ClientId {
    "DEV/COM/M3/SHIPS".parse().unwrap()
}

/// What `signer` says of a certificate of `issuer`.
#[must_use]
pub fn status_by(
    signer: &Holder,
    of: &Certificate,
    issuer: &Certificate,
    (status, this_update): (Status, UnixTime),
) -> Vec<u8> {
    let question = ocsp::parse_request(&ocsp::request(of, issuer)).unwrap().questions[0].clone();
    let answer = ocsp::Answer { question, status, this_update, next_update: None };
    ocsp::respond(&[answer], &signer.certificate, signer.key.signing(), this_update, None).unwrap()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//------------ Holder --------------------------------------------------------

impl Holder {
    /// Reads `NAME.key.pem` and `NAME.cert.pem`.
    #[must_use]
    pub fn read(directory: &Path, name: &str) -> Self {
        let certificates = read_certificates(&directory.join(format!("{name}.cert.pem"))).unwrap();
        let key = PrivateKey::open(&directory.join(format!("{name}.key.pem"))).unwrap();
        Self { certificate: Arc::clone(&certificates[0]), key: Arc::new(key) }
    }

    /// Issues a certificate with `issuer`'s key: for the Tax Board, but for `change`.
    pub fn issued_by(issuer: &Self, purpose: For, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = params(purpose);
        change(&mut params);
        let by = KeyPair::try_from(issuer.key.pkcs8()).unwrap();
        let der = CertificateDer::from(issuer.certificate.der());
        let made = params.signed_by(&pair, &Issuer::from_ca_cert_der(&der, by).unwrap()).unwrap();
        Self::of(made.der(), &pair)
    }

    /// A certificate that vouches for itself.
    pub fn self_signed(purpose: For, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::self_signed_by(&KeyPair::generate().unwrap(), purpose, change)
    }

    /// As [`Holder::self_signed`], with a key of the project's vectors.
    pub fn with_stored_key(name: &str) -> Self {
        let stored = vectors::all().remove(&format!("key/{name}")).unwrap();
        let pair = KeyPair::try_from(stored.body.as_slice()).unwrap();
        Self::self_signed_by(&pair, For::Tls, |_| ())
    }

    fn self_signed_by(pair: &KeyPair, purpose: For, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(purpose);
        change(&mut params);
        Self::of(params.self_signed(pair).unwrap().der(), pair)
    }

    fn of(der: &[u8], pair: &KeyPair) -> Self {
        let key = PrivateKey::from_pkcs8(pair.serialized_der().to_vec().into()).unwrap();
        Self { certificate: Arc::new(Certificate::from_der(der).unwrap()), key: Arc::new(key) }
    }

    /// The same certificate with another key, which is not its own.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        Self { certificate: Arc::clone(&self.certificate), key: Arc::clone(&other.key) }
    }

    /// As rustls takes it, with further certificates behind its own; nothing is compared.
    #[must_use]
    pub fn certified(&self, behind: &[&Certificate]) -> Arc<CertifiedKey> {
        let all = std::iter::once(&*self.certificate).chain(behind.iter().copied());
        let chain = all.map(|c| CertificateDer::from(c.der().to_vec())).collect();
        let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.pkcs8().to_vec()));
        let key = rustls::crypto::ring::sign::any_supported_type(&pkcs8).unwrap();
        Arc::new(CertifiedKey::new(chain, key))
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, self.certificate.der())
    }

    /// Writes `NAME.key.pem` and `NAME.cert.pem`, in place of what is there.
    pub fn write(&self, directory: &Path, name: &str) {
        let key = directory.join(format!("{name}.key.pem"));
        let _ = std::fs::remove_file(&key);
        self.key.save(&key).unwrap();
        std::fs::write(directory.join(format!("{name}.cert.pem")), self.pem()).unwrap();
    }
}

/// A certificate for the Tax Board: by its subject it is member `DEV/GOV/M1` on server TAX, as Finland names members.
fn params(purpose: For) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    named(&mut params, "DEV/TAX/GOV", "M1");
    match purpose {
        For::Authentication => {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        }
        For::Signing => params.key_usages = vec![KeyUsagePurpose::ContentCommitment],
        For::Tls => params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        For::Nothing => {}
    }
    params
}

/// Names a certificate as Finland does: `INSTANCE/SERVER/CLASS` and the member's code.
pub fn named(params: &mut CertificateParams, serial: &str, code: &str) {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, DnValue::PrintableString("FI".try_into().unwrap()));
    name.push(DnType::OrganizationName, DnValue::Utf8String("Of a test".to_owned()));
    name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), DnValue::Utf8String(serial.to_owned()));
    name.push(DnType::CommonName, DnValue::Utf8String(code.to_owned()));
    params.distinguished_name = name;
}

//------------ addresses -----------------------------------------------------

/// Five addresses that no other test on this machine uses.
fn block() -> [Ipv4Addr; 5] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // 2^20 blocks of sixteen addresses; those of 127.0.0.0/16 stay with whoever else likes loopback.
    const SPARED: u32 = 1 << 12;
    let number = std::process::id().wrapping_mul(256).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let base = 0x7f00_0000 + ((SPARED + number % ((1 << 20) - SPARED)) << 4);
    [1, 2, 3, 4, 5].map(|host| Ipv4Addr::from(base + host))
}

/// Ports that are free on all addresses at this moment.
async fn free_ports(address: Ipv4Addr) -> [u16; 3] {
    let bind = || async { TcpListener::bind((address, 0)).await.unwrap() };
    let held = [bind().await, bind().await, bind().await];
    held.each_ref().map(|listener| listener.local_addr().unwrap().port())
}
