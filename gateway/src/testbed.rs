//! A small instance for the tests of this crate: one authority, one member with a server, its keys and their status.

use crate::Gateway;
use crate::clock::Clock;
use crate::conf::Conf;
use crate::jobs::{self, Jobs};
use crate::keys::pin::PinSource;
use crate::keys::{Keys, Statuses};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::key::KeySpec;
use saatkond_ca::serve::{self, Running, Services};
use saatkond_proto::crypto::SigningKey;
use saatkond_proto::globalconf::{
    Authority, CertificationService, GlobalConf, Instance, ManagementService, Member, MemberClass, Options,
    PrivateParams, SecurityServer, SharedParams, Subsystem, TimestampingService,
};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{self, Answer, Response, Status};
use saatkond_proto::trust::profile::Profile;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// A directory of its own for one test; it goes with the value.
pub(crate) struct TestDir(pub(crate) PathBuf);

impl TestDir {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("saatkond-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// When everything in the tests happens: 2026-01-02T03:04:05Z.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

/// A key with its certificate.
pub(crate) struct Holder {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) pem: String,
    pub(crate) pair: KeyPair,
}

impl Holder {
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.pair.serialize_der()).unwrap()
    }
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Authentication,
    Signing,
    Timestamps,
}

/// The instance `DEV`.
pub(crate) struct Bed {
    pub(crate) ca: Holder,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) auth: Holder,
    pub(crate) sign: Holder,
    pub(crate) tsa: Holder,
    /// Where the time-stamping service is said to answer.
    pub(crate) tsa_url: String,
    /// Where the authority's responder is said to answer.
    pub(crate) ocsp_url: String,
}

/// The member.
pub(crate) fn member() -> MemberId {
    MemberId::new("DEV", "GOV", "M1")
}

/// Its server.
pub(crate) fn server() -> ServerId {
    ServerId { owner: member(), code: "TAX".to_owned() }
}

/// The first day of every certificate that says nothing else.
const START: (i32, u8, u8) = (2025, 1, 1);

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, DnValue::Utf8String("DEV".into()));
    params.distinguished_name.push(DnType::OrganizationName, DnValue::Utf8String("GOV".into()));
    params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(common_name.into()));
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

impl Bed {
    pub(crate) fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut of_ca = params("Test CA");
        of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        of_ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let made = of_ca.self_signed(&pair).unwrap();
        let copy = KeyPair::try_from(pair.serialize_der()).unwrap();
        let ca = Holder {
            certificate: Arc::new(Certificate::from_der(made.der()).unwrap()),
            pem: made.pem(),
            pair,
        };
        let issuer = Issuer::new(of_ca, copy);
        let auth = issue(&issuer, "TAX", For::Authentication, START);
        let sign = issue(&issuer, "M1", For::Signing, START);
        let tsa = issue(&issuer, "Test TSA", For::Timestamps, START);
        let nowhere = || "http://127.0.0.1:1/".to_owned();
        Self { ca, issuer, auth, sign, tsa, tsa_url: nowhere(), ocsp_url: nowhere() }
    }

    /// Issues one more certificate.
    pub(crate) fn issue(&self, common_name: &str, purpose: For) -> Holder {
        issue(&self.issuer, common_name, purpose, START)
    }

    /// As [`Bed::issue`], valid from another day.
    pub(crate) fn issue_since(&self, common_name: &str, purpose: For, since: (i32, u8, u8)) -> Holder {
        issue(&self.issuer, common_name, purpose, since)
    }

    /// What all see. The server is registered with the certificate of `auth`.
    pub(crate) fn shared(&self) -> SharedParams {
        let authority = Authority {
            certificate: self.ca.certificate.der().to_vec(),
            ocsp: vec![saatkond_proto::globalconf::Responder {
                url: self.ocsp_url.clone(),
                certificate: None,
                cost: None,
            }],
        };
        let mut tax = SecurityServer {
            id: server(),
            address: "127.0.0.1".to_owned(),
            auth_cert_hashes: Vec::new(),
            clients: vec![member().subsystem("TAX")],
            maintenance: None,
        };
        tax.register(self.auth.certificate.der());
        SharedParams {
            version: 6,
            instance: "DEV".to_owned(),
            sources: Vec::new(),
            cas: vec![CertificationService {
                name: "Test CA".to_owned(),
                authentication_only: false,
                top: authority,
                intermediates: Vec::new(),
                profile: Profile::Ejbca.class_name().to_owned(),
                csr_format: None,
                acme: None,
            }],
            tsas: vec![TimestampingService {
                name: "Test TSA".to_owned(),
                url: self.tsa_url.clone(),
                certificate: self.tsa.certificate.der().to_vec(),
                cost: None,
            }],
            members: vec![Member {
                id: member(),
                name: "Tax Board".to_owned(),
                subsystems: vec![Subsystem { code: "TAX".to_owned(), name: None }],
            }],
            servers: vec![tax],
            groups: Vec::new(),
            member_classes: vec![MemberClass { code: "GOV".to_owned(), description: String::new() }],
            ocsp_freshness: Duration::from_secs(3600),
        }
    }

    /// What the instance's own servers see.
    pub(crate) fn private(&self) -> PrivateParams {
        PrivateParams {
            instance: "DEV".to_owned(),
            anchors: Vec::new(),
            management: ManagementService {
                registration_url: "https://localhost:4001/".to_owned(),
                registration_certificate: None,
                provider: member().subsystem("TAX"),
            },
            timestamping_interval: Duration::from_secs(60),
        }
    }

    /// The picture that [`Bed::shared`] gives, which holds for ten minutes.
    pub(crate) fn conf(&self) -> GlobalConf {
        self.conf_of(self.shared())
    }

    /// The picture that these parameters give.
    pub(crate) fn conf_of(&self, shared: SharedParams) -> GlobalConf {
        let instance = Instance {
            shared,
            private: Some(self.private()),
            expires: NOW.plus(Duration::from_secs(600)),
            options: Options::default(),
        };
        GlobalConf::new("DEV", vec![instance]).unwrap()
    }

    /// What the authority says of a certificate.
    pub(crate) fn response(&self, of: &Certificate, status: Status, this_update: UnixTime) -> Vec<u8> {
        let request = ocsp::parse_request(&ocsp::request(of, &self.ca.certificate)).unwrap();
        let answer =
            Answer { question: request.questions[0].clone(), status, this_update, next_update: None };
        ocsp::respond(&[answer], &self.ca.certificate, &self.ca.key(), this_update, None).unwrap()
    }

    /// Good responses, as of [`NOW`], for the certificates of `auth` and `sign`.
    pub(crate) fn statuses(&self) -> Statuses {
        let mut statuses = Statuses::default();
        for holder in [&self.auth, &self.sign] {
            let der = self.response(&holder.certificate, Status::Good, NOW);
            statuses.insert(&holder.certificate, Arc::new(Response::from_der(&der).unwrap()));
        }
        statuses
    }

    /// Writes keys as an operator has them.
    pub(crate) fn write_keys(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        write_key(dir, "auth", &self.auth);
        write_key(dir, "sign", &self.sign);
        fs::write(
            dir.join("keys.toml"),
            "version = 1\n[[key]]\nname = \"auth\"\nuse = \"auth\"\n[[key]]\nname = \"sign\"\nuse = \"sign\"\n",
        )
        .unwrap();
    }

    /// Keys, opened.
    pub(crate) fn keys(&self, dir: &Path) -> Keys {
        self.write_keys(dir);
        Keys::open(dir, 32, &PinSource::none()).unwrap()
    }
}

/// Writes `NAME.key.pem` and `NAME.cert.pem`.
pub(crate) fn write_key(dir: &Path, name: &str, holder: &Holder) {
    let file = dir.join(format!("{name}.key.pem"));
    fs::write(&file, holder.pair.serialize_pem()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.join(format!("{name}.cert.pem")), &holder.pem).unwrap();
}

fn issue(issuer: &Issuer<'static, KeyPair>, common_name: &str, purpose: For, since: (i32, u8, u8)) -> Holder {
    let pair = KeyPair::generate().unwrap();
    let mut of = params(common_name);
    of.not_before = rcgen::date_time_ymd(since.0, since.1, since.2);
    match purpose {
        For::Authentication => {
            of.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            of.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        }
        For::Signing => of.key_usages = vec![KeyUsagePurpose::ContentCommitment],
        For::Timestamps => {
            of.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            of.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        }
    }
    let made = of.signed_by(&pair, issuer).unwrap();
    Holder { certificate: Arc::new(Certificate::from_der(made.der()).unwrap()), pem: made.pem(), pair }
}

//------------ a whole instance ---------------------------------------------------

/// A whole instance whose trust services answer on loopback, and the directory of the Tax Board's gateway.
pub(crate) struct Land {
    pub(crate) dir: TestDir,
    pub(crate) clock: Clock,
    pub(crate) federation: Federation,
    pub(crate) address: std::net::SocketAddr,
    running: Option<Running>,
}

impl Land {
    pub(crate) async fn new(name: &str, has_intermediate: bool) -> Self {
        let dir = TestDir::new(name);
        let clock = Clock::wound(NOW);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.1"];
        let mut plan = Plan::two_boards(&format!("http://{address}"), KeySpec::P256, addresses);
        plan.has_intermediate = has_intermediate;
        let federation = Federation::create(&dir.0, &plan, NOW).unwrap();
        let tax = dir.0.join("tax");
        fs::write(tax.join("server.toml"), server_file("TAX")).unwrap();
        fs::copy(federation.anchor(), tax.join("configuration-anchor.xml")).unwrap();
        let mut land = Self { dir, clock, federation, address, running: None };
        land.serve_on(listener);
        land
    }

    fn serve_on(&mut self, listener: TcpListener) {
        let clock = self.clock.clone();
        let clock = serve::Clock::from_fn(move || clock.now());
        let services = Services::open(&self.federation.serve_config(), clock).unwrap();
        self.running = Some(Running::start(listener, services).unwrap());
    }

    pub(crate) async fn trust_stops(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub(crate) async fn trust_returns(&mut self) {
        self.serve_on(TcpListener::bind(self.address).await.unwrap());
    }

    pub(crate) fn tax(&self) -> PathBuf {
        self.dir.0.join("tax")
    }

    pub(crate) fn conf(&self) -> Arc<Conf> {
        self.conf_with("")
    }

    /// The usual configuration, with more at its end.
    pub(crate) fn conf_with(&self, more: &str) -> Arc<Conf> {
        let text = "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \".\"\n[timeouts]\nfetch_connect = \"5 s\"\n\
                    fetch = \"5 s\"\n[log]\nsegment = \"1 MiB\"\n";
        Arc::new(Conf::from_toml(&format!("{text}{more}"), &self.tax().join("gateway.toml")).unwrap())
    }

    pub(crate) async fn gateway(&self) -> Arc<Gateway> {
        self.gateway_with("").await
    }

    /// A gateway with more in its configuration.
    pub(crate) async fn gateway_with(&self, more: &str) -> Arc<Gateway> {
        let opened = jobs::open(self.conf_with(more), self.clock.clone()).unwrap();
        let conf = opened.globalconf().await.unwrap();
        Arc::new(opened.gateway(conf))
    }

    pub(crate) async fn jobs(&self) -> Jobs {
        Jobs::new(self.gateway().await)
    }
}

/// A `server.toml` with one client.
pub(crate) fn server_file(subsystem: &str) -> String {
    format!("version = 1\n[[client]]\nid = \"DEV/GOV/M1/{subsystem}\"\nconnection = \"http\"\n")
}

//------------ the other side -----------------------------------------------------

/// What openssl says with these words, and whether it succeeded; `None` where there is no openssl and none is required.
pub(crate) fn openssl(words: &[&str]) -> Option<(bool, String)> {
    let Ok(output) = std::process::Command::new("openssl").args(words).output() else {
        assert!(std::env::var("SAATKOND_REQUIRE").is_err(), "openssl is required and not here");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
