//! OpenSSL as the other side of requests, certificates, revocation lists, OCSP and time-stamps, each way.
//!
//! Its clock cannot be wound: these authorities are made now.

use crate::support::{Directory, has_openssl, http, openssl, text};
use saatkond_ca::ca::{Authority, CaError, Order, Policy};
use saatkond_ca::index::{Purpose, Reason};
use saatkond_ca::key::{KeySpec, PrivateKey, rsa_is_possible};
use saatkond_ca::naming::Subject;
use saatkond_ca::pem;
use saatkond_ca::request::{Request, RequestError};
use saatkond_ca::serve::{Clock, Running, Services};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::trust::ocsp::{self, Status};
use saatkond_proto::trust::path::{is_authentication, is_signing};
use saatkond_proto::trust::{Certificate, tsp};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// An authority in a directory of its own, and files beside it.
struct Bench {
    directory: Directory,
    ca: Authority,
}

impl Bench {
    fn new(key: KeySpec) -> Option<Self> {
        has_openssl().then(|| {
            let directory = Directory::new();
            let policy = Policy::new("DEV CA", key);
            let ca = Authority::create(&directory.join("ca"), policy, Clock::system().now()).unwrap();
            Self { directory, ca }
        })
    }

    fn path(&self, name: &str) -> String {
        text(&self.directory.join(name)).to_owned()
    }

    fn root(&self) -> String {
        self.path("ca/ca.cert.pem")
    }

    /// What openssl says with these words; a name with `@` before it is a file of this bench.
    fn run(&self, words: &str) -> Result<String, String> {
        let words: Vec<String> = words
            .split_whitespace()
            .map(|w| w.strip_prefix('@').map_or(w.to_owned(), |w| self.path(w)))
            .collect();
        openssl(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn must(&self, words: &str) -> String {
        self.run(words).unwrap_or_else(|said| panic!("openssl {words}: {said}"))
    }

    /// A certificate as the file `name.pem`, its key as `name.key`.
    fn issue(&mut self, purpose: Purpose, kind: KeySpec, name: &str) -> Arc<Certificate> {
        let key = PrivateKey::generate(kind).unwrap();
        key.save(&self.directory.join(&format!("{name}.key"))).unwrap();
        let spki = key.signing().spki().to_vec();
        let subject = Subject::named(None, None, name);
        let order = Order { purpose, spki, subject, names: Vec::new(), member: None, lasts: None };
        let certificate = self.ca.issue(&order, Clock::system().now()).unwrap();
        let text = pem::encode(pem::CERTIFICATE, certificate.der());
        fs::write(self.directory.join(&format!("{name}.pem")), text).unwrap();
        certificate
    }

    /// Serves OCSP for the authority in `ca`, and time-stamps.
    async fn serve(&mut self) -> Running {
        self.issue(Purpose::Tsa, self.ca.policy().key, "tsa");
        let file = self.directory.join("serve.toml");
        let content = "version = 1\nlisten = \"127.0.0.1:0\"\n[ocsp]\nauthorities = [\"ca\"]\n\
                       [tsa]\ncertificate = \"tsa.pem\"\nkey = \"tsa.key\"\npolicy = \"1.3.6.1.4.1.99999.1\"\n";
        fs::write(&file, content).unwrap();
        Running::listen(Services::open(&file, Clock::system()).unwrap()).await.unwrap()
    }
}

/// Every kind of key that can be made here.
fn kinds() -> impl Iterator<Item = KeySpec> {
    KeySpec::ALL.into_iter().filter(|spec| !spec.is_rsa() || rsa_is_possible())
}

#[test]
fn authorities_of_every_kind_of_key_issue_what_openssl_verifies_and_revokes() {
    for kind in kinds() {
        let Some(mut bench) = Bench::new(kind) else { return };
        for leaf_kind in [KeySpec::P256, kind] {
            let name = format!("leaf-{leaf_kind}");
            let leaf = bench.issue(Purpose::Auth, leaf_kind, &name);
            let now = Clock::system().now();
            let crl = |bench: &mut Bench| {
                let list = bench.ca.revocation_list(now, Duration::from_secs(3600)).unwrap();
                fs::write(bench.directory.join("ca.crl"), pem::encode(pem::CRL, &list)).unwrap();
                bench.run(&format!(
                    "verify -x509_strict -crl_check -CAfile {} -CRLfile @ca.crl @{name}.pem",
                    bench.root()
                ))
            };
            crl(&mut bench).unwrap();
            bench.ca.revoke(&leaf.serial_text(), Reason::Unspecified, now, now).unwrap();
            assert!(crl(&mut bench).unwrap_err().contains("certificate revoked"), "{kind}");
            let shown = bench.must(&format!("crl -in @ca.crl -CAfile {} -noout -text", bench.root()));
            assert!(shown.contains("verify OK") && !shown.contains("Reason Code"), "{shown}");
            if leaf_kind == kind {
                break;
            }
        }
    }
}

/// A file for `openssl req` with attributes that nobody asked for and names of every form.
const REQ: &str = "[req]\nprompt = no\nstring_mask = utf8only\nutf8 = yes\ndistinguished_name = dn\n\
    attributes = attrs\nreq_extensions = ext\n[dn]\nC = FI\nO = Põhja Amet\nserialNumber = DEV/HOME/GOV\nCN = M2\n\
    [attrs]\nchallengePassword = secret words\nunstructuredName = nothing\n\
    [ext]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\nextendedKeyUsage = OCSPSigning\n\
    subjectAltName = DNS:home.example,email:a@home.example,URI:http://home.example/,IP:10.0.0.1,RID:1.2.3\n\
    1.2.3.4.5 = critical,DER:0500\n";

#[test]
fn requests_that_openssl_makes_of_every_kind_become_certificates() {
    let Some(mut bench) = Bench::new(KeySpec::P256) else { return };
    fs::write(bench.directory.join("req.cnf"), REQ).unwrap();
    for (key, flags) in [
        ("-newkey rsa:2048", "-sha256"),
        ("-newkey rsa:3072", "-sha384 -outform DER"),
        ("-newkey rsa:4096", "-sha512"),
        ("-newkey rsa:2048", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-sha256 -outform DER"),
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-384", "-sha512"),
    ] {
        bench.must(&format!("req -new {key} {flags} -nodes -config @req.cnf -keyout @k.key -out @r.csr"));
        let request = Request::read(&fs::read(bench.directory.join("r.csr")).unwrap()).unwrap();
        let order = Order {
            purpose: Purpose::Sign,
            spki: request.spki().to_vec(),
            subject: request.subject().clone(),
            names: request.names().to_vec(),
            member: Some(saatkond_proto::id::MemberId::new("DEV", "GOV", "M2")),
            lasts: None,
        };
        let leaf = bench.ca.issue(&order, Clock::system().now()).unwrap();
        fs::write(bench.directory.join("leaf.pem"), pem::encode(pem::CERTIFICATE, leaf.der())).unwrap();
        bench.must(&format!("verify -x509_strict -CAfile {} @leaf.pem", bench.root()));
        let shown = bench.must("x509 -in @leaf.pem -noout -text -nameopt utf8,sep_comma_plus");
        assert!(
            shown.contains("O=Põhja Amet") && shown.contains("DNS:home.example, IP Address:10.0.0.1"),
            "{shown}"
        );
        for unasked in ["CA:TRUE", "Certificate Sign", "OCSP Signing", "1.2.3.4.5", "secret", "email:"] {
            assert!(!shown.contains(unasked), "{unasked}\n{shown}");
        }
        let public = bench.must("pkey -in @k.key -pubout");
        assert_eq!(bench.must("x509 -in @leaf.pem -noout -pubkey"), public);
    }
}

#[test]
fn requests_that_are_weak_odd_or_broken_are_refused_and_take_no_serial() {
    let Some(mut bench) = Bench::new(KeySpec::P256) else { return };
    let before = bench.ca.index().records().len();
    for (key, flags) in [
        ("rsa:1024", ""),
        ("rsa:2048", "-sha1"),
        ("rsa:2048", "-md5"),
        ("ed25519", ""),
        ("ec -pkeyopt ec_paramgen_curve:P-521", ""),
        ("ec -pkeyopt ec_paramgen_curve:secp256k1", ""),
        ("ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", ""),
        ("rsa:2048", "-multivalue-rdn -subj /O=a+CN=b"),
        ("rsa:2048", "-subj /CN=a/CN=b"),
    ] {
        let subject = if flags.contains("-subj") { "" } else { "-subj /CN=x" };
        let words = format!("req -new -newkey {key} {flags} {subject} -nodes -keyout @k.key -out @r.csr");
        bench.must(&words);
        let refused = Request::read(&fs::read(bench.directory.join("r.csr")).unwrap());
        assert!(refused.is_err(), "{words}: {refused:?}");
    }
    bench.must("req -new -newkey rsa:2048 -subj /CN=x -nodes -keyout @k.key -out @r.csr -outform DER");
    let whole = fs::read(bench.directory.join("r.csr")).unwrap();
    for cut in 0..whole.len() {
        assert!(Request::read(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(matches!(Request::read(&longer), Err(RequestError::Malformed(_))));
    // one bit above what is certified
    bench.must("req -new -newkey rsa:4104 -subj /CN=x -nodes -keyout @k.key -out @r.csr");
    let request = Request::read(&fs::read(bench.directory.join("r.csr")).unwrap()).unwrap();
    let spki = request.spki().to_vec();
    let subject = request.subject().clone();
    let order = Order { purpose: Purpose::Tls, spki, subject, names: Vec::new(), member: None, lasts: None };
    let refused = bench.ca.issue(&order, Clock::system().now());
    assert!(matches!(&refused, Err(CaError::Lint(reason)) if reason.contains("RSA-4104")), "{refused:?}");
    assert_eq!(bench.ca.index().records().len(), before);
}

#[test]
fn certificates_that_openssl_issues_are_read_for_what_they_are() {
    let Some(bench) = Bench::new(KeySpec::P256) else { return };
    for key in ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384"] {
        bench.must(&format!("req -x509 -newkey {key} -nodes -subj /CN=root -keyout @r.key -out @r.pem"));
        let root = read(&bench, "r.pem");
        for (usage, signs, authenticates) in [
            ("keyUsage = critical,nonRepudiation", true, false),
            ("keyUsage = digitalSignature\nextendedKeyUsage = clientAuth,serverAuth", false, true),
        ] {
            fs::write(bench.directory.join("ext.cnf"), format!("{usage}\n")).unwrap();
            bench.must(&format!("req -new -newkey {key} -nodes -subj /CN=leaf -keyout @l.key -out @l.csr"));
            bench.must("x509 -req -in @l.csr -CA @r.pem -CAkey @r.key -extfile @ext.cnf -sha384 -out @l.pem");
            let leaf = read(&bench, "l.pem");
            leaf.verify_signed_by(&root).unwrap();
            assert_eq!((is_signing(&leaf), is_authentication(&leaf)), (Ok(signs), Ok(authenticates)));
        }
        assert!(root.is_ca());
    }
}

fn read(bench: &Bench, name: &str) -> Arc<Certificate> {
    saatkond_ca::ca::read_certificates(&bench.directory.join(name)).unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_asks_our_responder_for_one_and_for_many() {
    for kind in kinds().filter(|kind| *kind != KeySpec::Rsa4096) {
        let Some(mut bench) = Bench::new(kind) else { return };
        let now = Clock::system().now();
        let [_, revoked] = ["good", "revoked"].map(|name| bench.issue(Purpose::Sign, KeySpec::P256, name));
        bench.ca.revoke(&revoked.serial_text(), Reason::KeyCompromise, now, now).unwrap();
        let stranger = Bench::new(KeySpec::P256).unwrap();
        let running = bench.serve().await;
        let url = format!("http://{}/ocsp", running.address());
        let root = bench.root();
        let ask = |more: String| {
            let words = format!("ocsp -url {url} -CAfile {root} -issuer {root} {more}");
            tokio::task::block_in_place(|| bench.run(&words))
        };
        for digest in ["-sha1", "-sha256", "-sha384", "-sha512"] {
            // with a nonce, which must come back, and without
            for nonce in ["-nonce", "-no_nonce"] {
                let said = ask(format!("{nonce} {digest} -cert @good.pem")).unwrap();
                assert!(said.contains("Response verify OK") && said.contains("good.pem: good"), "{said}");
                assert!(!said.contains("WARNING"), "{said}");
            }
        }
        let many = "-sha1 -cert @good.pem -sha256 -cert @revoked.pem -sha1 -serial 0x41ffffffffffffffffffffffffffffff";
        let said = ask(many.to_owned()).unwrap();
        assert!(said.contains("Response verify OK") && said.contains("revoked.pem: revoked"), "{said}");
        assert!(said.contains("good.pem: good") && said.contains("ffff: unknown"), "{said}");
        // signed requests are answered like others
        let said = ask("-signer @good.pem -signkey @good.key -cert @good.pem".to_owned()).unwrap();
        assert!(said.contains("good.pem: good"), "{said}");
        // of an authority that nobody here knows: alone, and among others
        let other = format!("-issuer {0} -cert {0}", stranger.root());
        for more in [other.clone(), format!("-issuer {root} -cert @good.pem {other}")] {
            let words = format!("ocsp -url {url} -CAfile {root} {more}");
            let said = tokio::task::block_in_place(|| bench.run(&words)).unwrap_or_else(|said| said);
            assert!(said.contains("unauthorized (6)"), "{said}");
        }
        running.stop().await;
    }
}

/// Kills its process when it is gone.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_answers_for_our_authority_with_our_delegated_key() {
    let Some(mut bench) = Bench::new(KeySpec::P384) else { return };
    let [good, revoked, unknown] =
        ["good", "revoked", "unknown"].map(|name| bench.issue(Purpose::Sign, KeySpec::P256, name));
    let serial = |certificate: &Certificate| certificate.serial_text().to_uppercase();
    let index = format!(
        "V\t491231235959Z\t\t{}\tunknown\t/CN=good\nR\t491231235959Z\t260101000000Z,keyCompromise\t{}\tunknown\t/CN=revoked\n",
        serial(&good),
        serial(&revoked)
    );
    fs::write(bench.directory.join("index.txt"), index).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["ocsp", "-port", &port.to_string(), "-index", &bench.path("index.txt"), "-CA", &bench.root()])
        .args(["-rsigner", &bench.path("ca/ocsp.cert.pem"), "-rkey", &bench.path("ca/ocsp.key.pem")])
        .args(["-ndays", "1", "-nrequest", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = server.stdout.take().unwrap();
    let _server = Server(server);
    // it says when it listens; a connection without a question would put it off for ever
    let first = std::io::BufRead::lines(std::io::BufReader::new(said)).next().unwrap().unwrap();
    assert!(first.contains("ACCEPT"), "{first}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let root = bench.ca.certificate();
    let policy = ocsp_policy();
    for (certificate, expected) in [(&good, "good"), (&revoked, "revoked"), (&unknown, "unknown")] {
        let (status, bytes) = http(address, "POST", "/", &ocsp::request(certificate, root)).await;
        assert_eq!(status, 200);
        let response = ocsp::Response::from_der(&bytes).unwrap();
        ocsp::verify(&response, certificate, root, &[], &policy, Clock::system().now()).unwrap();
        let found = match response.status() {
            Status::Good => "good",
            Status::Revoked { .. } => "revoked",
            Status::Unknown => "unknown",
        };
        assert_eq!(found, expected);
    }
}

fn ocsp_policy() -> saatkond_proto::trust::OcspPolicy {
    saatkond_proto::trust::OcspPolicy { freshness: Duration::from_secs(3600), check_next_update: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_has_time_stamped_and_verifies_or_is_refused_with_the_reason() {
    for kind in kinds().filter(|kind| *kind != KeySpec::Rsa4096) {
        let Some(mut bench) = Bench::new(kind) else { return };
        let running = bench.serve().await;
        fs::write(bench.directory.join("text"), "stamped").unwrap();
        let verify = format!("ts -verify -in @r.tsr -CAfile {} -untrusted @tsa.pem", bench.root());
        for flags in [
            "-sha512 -cert",
            "-sha256 -no_nonce",
            "-sha384 -cert -no_nonce -tspolicy 1.3.6.1.4.1.99999.1",
            "-sha512 -tspolicy 1.3.6.1.4.1.99999.1",
        ] {
            bench.must(&format!("ts -query -data @text {flags} -out @q.tsq"));
            let query = fs::read(bench.directory.join("q.tsq")).unwrap();
            let (status, reply) = http(running.address(), "POST", "/tsa", &query).await;
            assert_eq!(status, 200);
            fs::write(bench.directory.join("r.tsr"), &reply).unwrap();
            for against in ["-queryfile @q.tsq", "-data @text"] {
                assert!(bench.must(&format!("{verify} {against}")).contains("Verification: OK"));
            }
            let shown = bench.must("ts -reply -in @r.tsr -text");
            assert!(shown.contains("Policy OID: 1.3.6.1.4.1.99999.1"), "{shown}");
            assert_eq!(shown.contains("Nonce: unspecified"), flags.contains("-no_nonce"), "{shown}");
        }
        fs::write(bench.directory.join("other"), "not stamped").unwrap();
        assert!(bench.run(&format!("{verify} -data @other")).is_err());
        for (flags, reason) in [
            ("-sha1", "unrecognized or unsupported algorithm identifier"),
            ("-sha224", "unrecognized or unsupported algorithm identifier"),
            ("-md5", "unrecognized or unsupported algorithm identifier"),
            ("-sha256 -tspolicy 1.3.6.1.4.1.99999.2", "requested TSA policy is not supported"),
        ] {
            bench.must(&format!("ts -query -data @text {flags} -out @q.tsq"));
            let query = fs::read(bench.directory.join("q.tsq")).unwrap();
            let (status, reply) = http(running.address(), "POST", "/tsa", &query).await;
            assert_eq!(status, 200);
            fs::write(bench.directory.join("r.tsr"), &reply).unwrap();
            let shown = bench.run("ts -reply -in @r.tsr -text").unwrap_or_else(|said| said);
            assert!(shown.contains("Status: Rejected") && shown.contains(reason), "{flags}: {shown}");
        }
        running.stop().await;
    }
}

#[test]
fn openssl_stamps_with_the_certificate_that_we_issued_for_it() {
    let Some(mut bench) = Bench::new(KeySpec::P256) else { return };
    let digest = DigestAlgorithm::Sha512.digest(b"stamped");
    fs::write(bench.directory.join("q.tsq"), tsp::request(&digest)).unwrap();
    for kind in kinds().filter(|kind| !matches!(kind, KeySpec::Rsa3072 | KeySpec::Rsa4096)) {
        let tsa = bench.issue(Purpose::Tsa, kind, &format!("tsa-{kind}"));
        fs::write(bench.directory.join("serial"), "0100").unwrap();
        let config = format!(
            "[tsa]\ndefault_tsa = one\n[one]\nserial = {}\ncrypto_device = builtin\nsigner_cert = {}\nsigner_key = {}\n\
             signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha512\ness_cert_id_alg = sha256\n",
            bench.path("serial"),
            bench.path(&format!("tsa-{kind}.pem")),
            bench.path(&format!("tsa-{kind}.key"))
        );
        fs::write(bench.directory.join("tsa.cnf"), config).unwrap();
        bench.must("ts -reply -config @tsa.cnf -queryfile @q.tsq -out @r.tsr");
        let token = tsp::parse_response(&fs::read(bench.directory.join("r.tsr")).unwrap()).unwrap();
        tsp::verify(&token, (DigestAlgorithm::Sha512, &digest), &[tsa]).unwrap();
        let other = DigestAlgorithm::Sha512.digest(b"not stamped");
        assert!(tsp::verify(&token, (DigestAlgorithm::Sha512, &other), &[]).is_err());
    }
}
