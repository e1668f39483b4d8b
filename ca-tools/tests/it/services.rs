//! A whole instance made and served: proto reads and verifies everything, openssl and an independent verifier agree.

use crate::support::{Directory, has_openssl, http, independent_verifier, openssl, text};
use saatkond_ca::ca::Authority;
use saatkond_ca::federation::{Federation, FederationError, Plan};
use saatkond_ca::globalconf::{Audience, Central};
use saatkond_ca::index::Reason;
use saatkond_ca::key::KeySpec;
use saatkond_ca::naming;
use saatkond_ca::serve::{Clock, Running, Services};
use saatkond_ca::store::{By, State, StoreError};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::{
    Anchor, Content, Directory as Parts, GlobalConf, Instance, Options, SignedDirectory,
};
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::{self, Status};
use saatkond_proto::trust::profile::Profile;
use saatkond_proto::trust::{Certificate, path, tsp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

/// An instance that runs, and the hand that winds its clock.
struct Stage {
    directory: Directory,
    federation: Federation,
    millis: Arc<AtomicI64>,
    running: Running,
}

impl Stage {
    async fn new(edit: impl FnOnce(&mut Plan)) -> Self {
        let directory = Directory::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut plan = Plan::two_boards(&url, KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
        edit(&mut plan);
        let federation = Federation::create(directory.path(), &plan, NOW).unwrap();
        let millis = Arc::new(AtomicI64::new(NOW.millis()));
        let hand = Arc::clone(&millis);
        let clock = Clock::from_fn(move || UnixTime::from_millis(hand.load(Ordering::Relaxed)));
        let services = Services::open(&federation.serve_config(), clock).unwrap();
        let running = Running::start(listener, services).unwrap();
        Self { directory, federation, millis, running }
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn wind(&self, span: Duration) {
        self.millis.store(self.now().plus(span).millis(), Ordering::Relaxed);
    }

    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        http(self.running.address(), "GET", path, &[]).await
    }

    async fn post(&self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        http(self.running.address(), "POST", path, body).await
    }

    fn certificate(&self, server: &str, name: &str) -> Arc<Certificate> {
        let place = self.federation.servers().iter().find(|place| place.id.code == server).unwrap();
        read(&place.keys.join(name))
    }

    /// The anchor, as a gateway was given it.
    fn anchor(&self) -> Anchor {
        Anchor::from_xml(&std::fs::read(self.federation.anchor()).unwrap()).unwrap()
    }

    /// Downloads and verifies as a gateway does.
    async fn directory_of(&self, version: u8) -> Parts {
        let (status, bytes) = self.get(&format!("/internalconf?version={version}")).await;
        assert_eq!(status, 200);
        let source = self.anchor().sources.first().unwrap().certificates.clone();
        SignedDirectory::parse(&bytes).unwrap().verify(&source, self.now()).unwrap()
    }

    async fn conf(&self, version: u8) -> GlobalConf {
        let directory = self.directory_of(version).await;
        let mut shared = None;
        let mut private = None;
        let mut options = Options::default();
        for part in directory.internal("DEV").unwrap() {
            let (status, bytes) = self.get(&part.location).await;
            assert_eq!(status, 200);
            match &part.content {
                Content::Shared => shared = Some(part.shared(&bytes, version).unwrap()),
                Content::Private => private = Some(part.private(&bytes, version).unwrap()),
                other @ Content::Other(_) => options.apply("DEV", other, &bytes).unwrap(),
            }
        }
        let instance = Instance { shared: shared.unwrap(), private, expires: directory.expires, options };
        GlobalConf::new("DEV", vec![instance]).unwrap()
    }

    async fn status(&self, certificate: &Certificate, issuer: &Certificate) -> ocsp::Response {
        let (status, bytes) = self.post("/ocsp", &ocsp::request(certificate, issuer)).await;
        assert_eq!(status, 200);
        ocsp::Response::from_der(&bytes).unwrap()
    }
}

fn read(path: &Path) -> Arc<Certificate> {
    saatkond_ca::ca::read_certificates(path).unwrap().first().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_read_verified_and_used() {
    let stage = Stage::new(|_| ()).await;
    for version in 2..=6 {
        let conf = stage.conf(version).await;
        assert_eq!(conf.left_out().next(), None);
        assert!(conf.is_valid_at(stage.now()));
        let land = MemberId::new("DEV", "GOV", "M2").subsystem("LAND");
        let servers: Vec<&str> =
            conf.servers_of(&land).iter().map(|server| server.id.code.as_str()).collect();
        assert_eq!(servers, ["HOME", "EMBASSY"]);
        for code in ["TAX", "HOME", "EMBASSY"] {
            let auth = stage.certificate(code, "auth.cert.pem");
            assert_eq!(conf.server_by_auth_cert(auth.der()).unwrap().id.code, code);
        }
        let owners = conf.is_in_group(&land.member.client(), "DEV", "security-server-owners");
        assert!(owners && !conf.is_in_group(&land, "DEV", "security-server-owners"));
        assert_eq!(conf.tsas("DEV").len(), 1);
    }
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_not_published_are_404() {
    let stage = Stage::new(|_| ()).await;
    let version = |bytes: &[u8]| {
        let certificates = stage.anchor().sources.first().unwrap().certificates.clone();
        SignedDirectory::parse(bytes).unwrap().verify(&certificates, NOW).unwrap().version
    };
    for query in ["", "?version=abc", "?version=", "?other=6"] {
        let (status, bytes) = stage.get(&format!("/internalconf{query}")).await;
        assert_eq!((status, version(&bytes)), (200, 2), "{query}");
    }
    let (status, bytes) = stage.get("/V6/internalconf").await;
    assert_eq!((status, version(&bytes)), (200, 6));
    for path in [
        "/internalconf?version=7",
        "/internalconf?version=99",
        "/internalconf?version=1",
        "/internalconf?version=06",
        "/internalconf?version=262",
        "/V7/internalconf",
        "/V6/20260101000000000000000/shared-params.xml",
        "/V6/../V6/internalconf",
        "/",
        "/internalconf/",
    ] {
        assert_eq!(stage.get(path).await.0, 404, "{path}");
    }
    assert_eq!(stage.post("/internalconf", b"").await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_instances_get_the_shared_part_alone_signed_by_another_key() {
    let stage = Stage::new(|_| ()).await;
    let (_, bytes) = stage.get("/externalconf?version=6").await;
    let central = Central::open(&stage.federation.configuration()).unwrap();
    let anchor = central.anchor(Audience::External).unwrap();
    let anchor = Anchor::from_xml(&anchor).unwrap();
    let certificates = &anchor.sources.first().unwrap().certificates;
    assert!(anchor.sources.first().unwrap().url.ends_with("/externalconf"));
    let directory = SignedDirectory::parse(&bytes).unwrap().verify(certificates, NOW).unwrap();
    directory.must_be_external().unwrap();
    let part = directory.external("DEV").unwrap();
    let (_, document) = stage.get(&part.location).await;
    assert_eq!(part.shared(&document, 6).unwrap().instance, "DEV");
    let internal = stage.anchor().sources.first().unwrap().certificates.clone();
    assert!(SignedDirectory::parse(&bytes).unwrap().verify(&internal, NOW).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_signed_anew_by_the_clock_and_changes_are_taken_over() {
    let stage = Stage::new(|_| ()).await;
    let first = stage.directory_of(6).await;
    stage.wind(Duration::from_secs(59));
    assert_eq!(stage.directory_of(6).await.expires, first.expires);
    stage.wind(Duration::from_secs(3600));
    let later = stage.directory_of(6).await;
    assert_eq!(later.expires, UnixTime::from_secs(stage.now().plus(Duration::from_secs(600)).secs()));
    assert_eq!(later.parts, first.parts, "nothing changed: the same documents");

    let file = stage.federation.instance_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let changed =
        good.replace("id = \"DEV/GOV/M2/HOME\"", "maintenance = \"new roof\"\nid = \"DEV/GOV/M2/HOME\"");
    std::fs::write(&file, changed).unwrap();
    stage.federation.apply(stage.now()).unwrap();
    stage.wind(Duration::from_secs(60));
    let conf = stage.conf(6).await;
    let home = conf.servers("DEV").iter().find(|server| server.id.code == "HOME").unwrap();
    assert_eq!(home.maintenance.as_deref(), Some("new roof"));
    // old readers are not sent there
    let land = MemberId::new("DEV", "GOV", "M2").subsystem("LAND");
    assert_eq!(stage.conf(4).await.servers_of(&land).len(), 1);
    // who has the old directory still finds its documents, until it expires
    let old = later.internal("DEV").unwrap().first().unwrap().location.clone();
    assert_eq!(stage.get(&old).await.0, 200);
    stage.wind(Duration::from_secs(660));
    stage.directory_of(6).await;
    assert_eq!(stage.get(&old).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_change_is_refused_and_the_good_one_stays_published() {
    let stage = Stage::new(|_| ()).await;
    let file = stage.federation.instance_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let bad = good.replace("\"DEV/GOV/M2/LAND\"", "\"DEV/GOV/M2/NOBODY\"");
    std::fs::write(&file, bad).unwrap();
    let error = stage.federation.apply(stage.now()).unwrap_err();
    assert!(error.to_string().contains("NOBODY"), "{error}");
    // even when somebody puts it in place by hand
    let central = Central::open(&stage.federation.configuration()).unwrap();
    let by = By { actor: "somebody", at: stage.now(), why: "" };
    let by_hand = |state: &mut State| {
        let servers = &mut state.instance.as_mut().unwrap().servers;
        servers.iter_mut().for_each(|server| server.clients.push("DEV/GOV/M2/NOBODY".to_owned()));
        Ok::<_, StoreError>(())
    };
    central.store().change(&by, by_hand).unwrap();
    stage.wind(Duration::from_secs(3600));
    assert!(stage.conf(6).await.is_valid_at(stage.now()));
    let (status, text) = stage.get("/health/ready").await;
    assert!(status == 503 && String::from_utf8_lossy(&text).contains("NOBODY"));
    std::fs::write(&file, good).unwrap();
    stage.federation.apply(stage.now()).unwrap();
    stage.wind(Duration::from_secs(60));
    assert_eq!(stage.get("/health/ready").await, (200, b"ready\n".to_vec()));
    assert_eq!(stage.get("/health/live").await, (200, b"live\n".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_their_status_pass_the_trust_rooms_checks() {
    for has_intermediate in [false, true] {
        let stage = Stage::new(|plan| plan.has_intermediate = has_intermediate).await;
        let conf = stage.conf(6).await;
        let cas = conf.approved_cas("DEV");
        let all = conf.all_cas();
        let policy = conf.ocsp_policy();
        let auth = stage.certificate("HOME", "auth.cert.pem");
        let sign = stage.certificate("HOME", "sign.cert.pem");
        assert_eq!((path::is_authentication(&auth), path::is_signing(&auth)), (Ok(true), Ok(false)));
        assert_eq!((path::is_authentication(&sign), path::is_signing(&sign)), (Ok(false), Ok(true)));
        let member = MemberId::new("DEV", "GOV", "M2");
        assert_eq!(Profile::FiVrk.member_of(&sign, &member), Ok(member));
        let presented = path::own_chain(&auth, cas);
        assert_eq!(presented.len(), if has_intermediate { 2 } else { 1 });
        let chains = [
            path::of_peer(&presented, cas, stage.now()).unwrap(),
            path::for_signing(&sign, &[], cas, stage.now()).unwrap(),
        ];
        for chain in &chains {
            let mut responses = Vec::new();
            for (index, certificate) in chain.certificates().iter().enumerate() {
                responses.push(stage.status(certificate, chain.issuer_of(index)).await);
            }
            ocsp::check(chain, &responses, &all, &policy, stage.now()).unwrap();
            let stale = stage.now().plus(Duration::from_secs(3601));
            assert!(ocsp::check(chain, &responses, &all, &policy, stale).is_err());
        }
        stage.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_counts_from_the_next_question_on() {
    let stage = Stage::new(|_| ()).await;
    let ca = read(&stage.directory.join("trust/ca/ca.cert.pem"));
    let sign = stage.certificate("TAX", "sign.cert.pem");
    assert_eq!(stage.status(&sign, &ca).await.status(), Status::Good);
    {
        let mut authority = Authority::open(&stage.federation.issuing_authority()).unwrap();
        authority.revoke(&sign.serial_text(), Reason::KeyCompromise, NOW, stage.now()).unwrap();
    }
    assert_eq!(stage.status(&sign, &ca).await.status(), Status::Revoked { at: NOW });
    // a certificate of this name that this authority never issued
    let directory = Directory::new();
    let policy = saatkond_ca::ca::read_policy(&stage.federation.issuing_authority()).unwrap();
    let other = Authority::create(&directory.join("ca"), policy, NOW).unwrap();
    let (_, refused) = stage.post("/ocsp", &ocsp::request(other.certificate(), other.certificate())).await;
    assert_eq!(refused, ocsp::refuse(ocsp::Refusal::Unauthorized));
    assert_eq!(stage.status(other.certificate(), &ca).await.status(), Status::Unknown);
    let (_, malformed) = stage.post("/ocsp", b"hello").await;
    assert_eq!(malformed, ocsp::refuse(ocsp::Refusal::MalformedRequest));
    assert_eq!(stage.post("/ocsp", &vec![0; 70_000]).await.0, 413);
    // the responder's own certificate ends after a year, and is renewed without a restart
    stage.wind(Duration::from_secs(366 * 86_400));
    let (_, ended) = stage.post("/ocsp", &ocsp::request(&sign, &ca)).await;
    assert_eq!(ended, ocsp::refuse(ocsp::Refusal::InternalError));
    let mut authority = Authority::open(&stage.federation.issuing_authority()).unwrap();
    authority.renew_responder(stage.now()).unwrap();
    assert_eq!(stage.status(&sign, &ca).await.status(), Status::Revoked { at: NOW });
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_stamped_and_the_stamp_verified() {
    let stage = Stage::new(|_| ()).await;
    let conf = stage.conf(6).await;
    let digest = DigestAlgorithm::Sha512.digest(b"a signature");
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (status, bytes) = stage.post("/tsa", &tsp::request(&digest)).await;
        assert_eq!(status, 200);
        let token = tsp::parse_response(&bytes).unwrap();
        assert_eq!(token.gen_time().secs(), stage.now().secs());
        let imprint = (DigestAlgorithm::Sha512, digest.as_slice());
        tsp::verify(&token, imprint, conf.tsa_certificates()).unwrap();
        serials.insert(token.serial().to_vec());
        stage.wind(Duration::from_secs(1));
    }
    assert_eq!(serials.len(), 3);
    let (_, refused) = stage.post("/tsa", b"hello").await;
    assert!(tsp::parse_response(&refused).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_asks_and_believes_the_responder_and_the_stamps() {
    if !has_openssl() {
        return;
    }
    let stage = Stage::new(|_| ()).await;
    let url = format!("http://{}/ocsp", stage.running.address());
    let ca = stage.directory.join("trust/ca/ca.cert.pem");
    let leaf = stage.directory.join("home/keys/sign.cert.pem");
    // openssl's clock cannot be wound here: the responses are asked to be as of then
    let ask = |digest: &'static str| {
        let (url, ca, leaf) = (url.clone(), ca.clone(), leaf.clone());
        tokio::task::spawn_blocking(move || {
            openssl(&[
                "ocsp",
                digest,
                "-issuer",
                text(&ca),
                "-cert",
                text(&leaf),
                "-url",
                &url,
                "-CAfile",
                text(&ca),
                "-partial_chain",
                "-attime",
                &NOW.secs().to_string(),
                "-validity_period",
                "999999999",
            ])
        })
    };
    for digest in ["-sha1", "-sha256"] {
        let said = ask(digest).await.unwrap().unwrap();
        assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    }
    {
        let sign = read(&leaf);
        let mut authority = Authority::open(&stage.federation.issuing_authority()).unwrap();
        authority.revoke(&sign.serial_text(), Reason::CessationOfOperation, NOW, NOW).unwrap();
    }
    let said = ask("-sha1").await.unwrap().unwrap();
    assert!(said.contains(": revoked"), "{said}");

    let (stamped, query, reply) =
        (stage.directory.join("stamped"), stage.directory.join("q.tsq"), stage.directory.join("r.tsr"));
    std::fs::write(&stamped, b"a signature").unwrap();
    openssl(&["ts", "-query", "-data", text(&stamped), "-sha512", "-cert", "-out", text(&query)]).unwrap();
    let (_, bytes) = stage.post("/tsa", &std::fs::read(&query).unwrap()).await;
    std::fs::write(&reply, bytes).unwrap();
    let tsa = stage.directory.join("trust/tsa/tsa.cert.pem");
    let verified = openssl(&[
        "ts",
        "-verify",
        "-queryfile",
        text(&query),
        "-in",
        text(&reply),
        "-CAfile",
        text(&ca),
        "-untrusted",
        text(&tsa),
        "-attime",
        &NOW.secs().to_string(),
    ])
    .unwrap();
    assert!(verified.contains("Verification: OK"), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ocsp_is_asked_by_get_as_well() {
    use base64::Engine as _;
    let stage = Stage::new(|_| ()).await;
    let ca = read(&stage.directory.join("trust/ca/ca.cert.pem"));
    let sign = stage.certificate("TAX", "sign.cert.pem");
    let request = base64::engine::general_purpose::STANDARD.encode(ocsp::request(&sign, &ca));
    let escaped = request.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    for path in [format!("/ocsp/{request}"), format!("/ocsp/{escaped}")] {
        let (status, bytes) = stage.get(&path).await;
        assert_eq!(status, 200);
        assert_eq!(ocsp::Response::from_der(&bytes).unwrap().status(), Status::Good);
    }
    assert_eq!(stage.get("/ocsp/%zz").await.0, 400);
    assert_eq!(stage.get("/ocsp").await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_accepts_every_signed_directory() {
    let Some(script) = independent_verifier() else { return };
    let mut keys = vec![KeySpec::P256];
    keys.extend(saatkond_ca::key::rsa_is_possible().then_some(KeySpec::Rsa2048));
    for key in keys {
        let sites = |plan: &mut Plan| {
            *plan = Plan { key, ..plan.clone() }.with_sites(["127.0.1.1:5600", "127.0.2.1:5600"], &[]);
        };
        let stage = Stage::new(sites).await;
        let public = stage.directory.join("trust/public");
        let central = Central::open(&stage.federation.configuration()).unwrap();
        for audience in Audience::ALL {
            let (name, anchor) = (audience.directory(), stage.directory.join("anchor-asked.xml"));
            std::fs::write(&anchor, central.anchor(audience).unwrap()).unwrap();
            for version in 2..=6 {
                let directory = public.join(format!("V{version}/{name}"));
                let output = std::process::Command::new("python3")
                    .args([script.as_os_str(), directory.as_os_str(), anchor.as_os_str(), public.as_os_str()])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                // it checks the part that it knows nothing of like any other
                let parts = if name == "internalconf" { 3 } else { 1 };
                let good = said.contains("OK body") && said.matches(".xml True").count() == parts;
                assert!(good && !said.contains("False"), "{said}{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_made_once_and_opened_again() {
    let stage = Stage::new(|plan| plan.profile = naming::profile_by_name("Ejbca").unwrap()).await;
    let again = Federation::open(stage.directory.path()).unwrap();
    let code = |federation: &Federation| -> Vec<_> {
        federation.servers().iter().map(|place| (place.id.to_string(), place.keys.clone())).collect()
    };
    assert_eq!(code(&again), code(&stage.federation));
    let home = again.server(&MemberId::new("DEV", "GOV", "M2"), "HOME").unwrap();
    assert_eq!(home.clients, [MemberId::new("DEV", "GOV", "M2").subsystem("LAND")]);
    let plan = Plan::two_boards("http://127.0.0.1:1", KeySpec::P256, ["a", "b", "c"]);
    assert!(matches!(
        Federation::create(stage.directory.path(), &plan, NOW),
        Err(FederationError::Exists(_))
    ));
    assert!(matches!(Federation::open(Path::new("/nonexistent")), Err(FederationError::Absent(_))));
}
