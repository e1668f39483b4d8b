//! Management requests as security servers write them, sent over loopback, decided, and seen in the configuration.

use crate::support::{Directory, done, fails, text};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use saatkond_ca::exit::Exit;
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::globalconf::Central;
use saatkond_ca::instance::Instance;
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::ocsp::{Pace, Responder};
use saatkond_ca::serve::{Clock, Running, Services};
use saatkond_proto::crypto::EcdsaForm;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::globalconf::SecurityServer;
use saatkond_proto::id::{ClientId, MemberId, ServerId};
use saatkond_proto::management::{Ask, Package, Request, Signature};
use saatkond_proto::message::soap::Envelope;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::{Certificate, ocsp};
use std::path::Path;
use std::time::Duration;

const MANAGE: &str = "/managementservice/manage/";
const REGISTER: &str = "/managementservice/";

/// An instance whose central server takes requests.
struct Stage {
    federation: Federation,
    responder: Responder,
    manage: Running,
    register: Running,
    _directory: Directory,
}

impl Stage {
    async fn new(approve: &str) -> Self {
        let directory = Directory::new();
        let plan =
            Plan::two_boards("http://127.0.0.1:1", KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
        let federation = Federation::create(directory.path(), &plan, now()).unwrap();
        let serve = std::fs::read_to_string(federation.serve_config()).unwrap();
        let serve = serve
            + &format!(
                "\n[management]\nlisten = \"127.0.0.1:0\"\nregistrations = \"127.0.0.1:0\"\napprove = [{approve}]\n"
            );
        std::fs::write(federation.serve_config(), serve).unwrap();
        let services = Services::open(&federation.serve_config(), Clock::system()).unwrap();
        let [manage, register] = services.management() else { panic!("two ports") };
        let manage = Running::listen(manage.clone()).await.unwrap();
        let register = Running::listen(register.clone()).await.unwrap();
        let pace = Pace { next_update: Duration::from_secs(600), remember: Duration::ZERO };
        let responder = Responder::open(&[federation.issuing_authority()], pace).unwrap();
        Self { federation, responder, manage, register, _directory: directory }
    }

    fn keys(&self, server: &str) -> &Path {
        &self.federation.servers().iter().find(|place| place.id.code == server).unwrap().keys
    }

    fn certificate(&self, server: &str, name: &str) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.keys(server).join(format!("{name}.cert.pem"))).unwrap();
        saatkond_ca::pem::decode_all(saatkond_ca::pem::CERTIFICATE, &pem).remove(0)
    }

    fn signature(&self, server: &str, name: &str, document: &[u8]) -> Signature {
        let key = PrivateKey::open(&self.keys(server).join(format!("{name}.key.pem"))).unwrap();
        let algorithm = key.signing().algorithm();
        let value = key.signing().sign(algorithm.digest, document, EcdsaForm::Der).unwrap();
        Signature { algorithm, value, certificate: self.certificate(server, name) }
    }

    /// A request as the server of `by` sends it, signed by its sign key, and by its authentication key where one must.
    fn package(&self, request: &Request, by: &str) -> Package {
        let document = request.document(&provider(), "id-1");
        let Some(_) = request.signer() else {
            return Package { document, by_authentication: None, by_member: None, status: None };
        };
        let is_key = matches!(request.ask, Ask::RegisterCertificate { .. });
        let certificate = Certificate::from_der(&self.certificate(by, "sign")).unwrap();
        let path = self.federation.issuing_authority().join("ca.cert.pem");
        let issuer = std::fs::read_to_string(path).unwrap();
        let issuer = saatkond_ca::pem::decode_all(saatkond_ca::pem::CERTIFICATE, &issuer).remove(0);
        let asked = ocsp::request(&certificate, &Certificate::from_der(&issuer).unwrap());
        Package {
            by_authentication: is_key.then(|| self.signature(by, "auth", &document)),
            by_member: Some(self.signature(by, "sign", &document)),
            status: Some(self.responder.answer(&asked, now()).0.to_vec()),
            document,
        }
    }

    async fn send(&self, path: &str, package: &Package) -> Result<String, String> {
        let (kind, body) = package.to_body("bound");
        let (status, body) = self.post(path, &kind, body).await;
        let fault = SoapFault::from_xml(&body).ok().flatten();
        if let Some(fault) = fault {
            assert_eq!(status, 500);
            return Err(format!("{}: {}", fault.code, fault.string));
        }
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let answer = Envelope::read(body, None).unwrap();
        assert_eq!(answer.id, "id-1");
        Ok(answer.body_field("requestId").unwrap().unwrap())
    }

    async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let port = if path == REGISTER { &self.register } else { &self.manage };
        Self::post_to(port, path, kind, body).await
    }

    async fn post_to(port: &Running, path: &str, kind: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let stream = tokio::net::TcpStream::connect(port.address()).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let driver = tokio::spawn(connection);
        let request = http::Request::post(path).header("host", "central").header("content-type", kind);
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        drop(sender);
        let _ = driver.await;
        (status, body)
    }

    /// Asks as the server of `by` and says what was answered.
    async fn ask(&self, by: &str, ask: Ask) -> Result<String, String> {
        let server = self.federation.servers().iter().find(|place| place.id.code == by).unwrap().id.clone();
        let path = if matches!(ask, Ask::RegisterCertificate { .. }) { REGISTER } else { MANAGE };
        self.send(path, &self.package(&Request { server, ask }, by)).await
    }

    async fn decide(&self, verb: &str, number: &str) {
        done(&["instance", verb, number, "--dir", text(&self.federation.configuration())]).await;
    }

    /// The instance as it is published now, and its revision.
    fn instance(&self) -> (Instance, u64) {
        let central = Central::open(&self.federation.configuration()).unwrap();
        (central.instance(now()).unwrap(), central.store().revision().unwrap())
    }

    fn server(&self, id: &ServerId) -> Option<SecurityServer> {
        self.instance().0.shared().servers.iter().find(|server| server.id == *id).cloned()
    }

    async fn listed(&self) -> serde_json::Value {
        let conf = self.federation.configuration();
        let out = done(&["instance", "requests", "--json", "--dir", text(&conf)]).await.out;
        serde_json::from_str(&out).unwrap()
    }
}

fn now() -> UnixTime {
    Clock::system().now()
}

fn provider() -> ClientId {
    land().subsystem("LAND")
}

fn land() -> MemberId {
    MemberId::new("DEV", "GOV", "M2")
}

fn tax() -> MemberId {
    MemberId::new("DEV", "GOV", "M1")
}

fn of(owner: MemberId, code: &str) -> ServerId {
    ServerId { owner, code: code.to_owned() }
}

#[tokio::test]
async fn clients_are_registered_when_approved_and_deleted_at_once() {
    let stage = Stage::new("").await;
    let (id, client) = (of(land(), "HOME"), land().subsystem("ROAD"));
    let asked = || Ask::RegisterClient { client: client.clone(), name: Some("Roads".to_owned()) };
    let has = |stage: &Stage| stage.server(&id).unwrap().clients.contains(&client);
    assert_eq!(stage.ask("HOME", asked()).await.unwrap(), "1");
    assert!(!has(&stage));
    let again = stage.ask("HOME", asked()).await.unwrap_err();
    assert!(again.contains("request 1 waits already"), "{again}");
    stage.decide("decline", "1").await;
    assert!(!has(&stage));
    assert_eq!(stage.ask("HOME", asked()).await.unwrap(), "2");
    stage.decide("approve", "2").await;
    assert!(has(&stage));
    let again = stage.ask("HOME", asked()).await.unwrap_err();
    assert!(again.starts_with("invalid_request: ") && again.contains("already"), "{again}");
    stage.ask("HOME", Ask::RenameClient { client: client.clone(), name: "Ways".to_owned() }).await.unwrap();
    let (instance, _) = stage.instance();
    let member = instance.shared().members.iter().find(|member| member.id == land()).unwrap();
    assert!(member.subsystems.iter().any(|one| one.code == "ROAD" && one.name.as_deref() == Some("Ways")));
    assert_eq!(stage.ask("HOME", Ask::DeleteClient(client.clone())).await.unwrap(), "4");
    assert!(!has(&stage));
    let listed = stage.listed().await;
    let told: Vec<_> = listed.as_array().unwrap().iter().map(|one| (&one["status"], &one["what"])).collect();
    let expected = [
        ("APPROVED", "clientDeletion"),
        ("APPROVED", "clientRename"),
        ("APPROVED", "clientReg"),
        ("DECLINED", "clientReg"),
    ];
    assert!(told.iter().zip(expected).all(|(told, expected)| *told.0 == expected.0 && *told.1 == expected.1));
    assert_eq!(told.len(), expected.len());
    let dir = stage.federation.configuration();
    let error = fails(Exit::Configuration, &["instance", "approve", "1", "--dir", text(&dir)]).await;
    assert!(error.contains("request 1: it does not wait"), "{error}");
    let table = done(&["instance", "requests", "--dir", text(&dir)]).await.out;
    assert!(table.starts_with("REQUEST  CAME") && table.contains("DEV/GOV/M2/ROAD"), "{table}");
}

#[tokio::test]
async fn a_server_is_registered_with_its_certificate_and_loses_it() {
    let stage = Stage::new("").await;
    let (id, dir) = (of(land(), "EMBASSY"), stage.federation.configuration());
    let certificate = stage.certificate("EMBASSY", "auth");
    let asked = |is_trial| Ask::RegisterCertificate {
        address: Some("embassy.example.org".to_owned()),
        certificate: certificate.clone(),
        is_trial,
    };
    let first = stage.server(&id).unwrap();
    let again = stage.ask("EMBASSY", asked(false)).await.unwrap_err();
    assert!(again.contains("registered for server DEV/GOV/M2/EMBASSY already"), "{again}");
    let delete = || Ask::DeleteCertificate { certificate: certificate.clone() };
    let other = stage.ask("HOME", delete()).await.unwrap_err();
    assert!(other.contains("not registered on this server"), "{other}");
    stage.ask("EMBASSY", delete()).await.unwrap();
    assert!(stage.server(&id).unwrap().auth_cert_hashes.is_empty());
    done(&["instance", "server", "remove", "DEV/GOV/M2/EMBASSY", "--yes", "--dir", text(&dir)]).await;
    let before = stage.instance().1;
    assert_eq!(stage.ask("EMBASSY", asked(true)).await.unwrap(), "0");
    assert_eq!(stage.instance().1, before, "a trial changes nothing");
    let number = stage.ask("EMBASSY", asked(false)).await.unwrap();
    assert!(stage.server(&id).is_none());
    stage.decide("approve", &number).await;
    let server = stage.server(&id).unwrap();
    assert_eq!(server.address, "embassy.example.org");
    assert_eq!(server.auth_cert_hashes, first.auth_cert_hashes);
}

#[tokio::test]
async fn address_maintenance_and_owner_are_changed() {
    let stage = Stage::new("\"clientReg\", \"ownerChange\"").await;
    let id = of(tax(), "TAX");
    stage.ask("TAX", Ask::ChangeAddress("tax.example.org".to_owned())).await.unwrap();
    assert_eq!(stage.server(&id).unwrap().address, "tax.example.org");
    stage.ask("TAX", Ask::BeginMaintenance { message: Some("back at noon".to_owned()) }).await.unwrap();
    assert_eq!(stage.server(&id).unwrap().maintenance.as_deref(), Some("back at noon"));
    stage.ask("TAX", Ask::EndMaintenance).await.unwrap();
    assert_eq!(stage.server(&id).unwrap().maintenance, None);
    // the member signs, wherever its key lies
    let by_land = |ask| stage.package(&Request { server: id.clone(), ask }, "HOME");
    let early = stage.send(MANAGE, &by_land(Ask::ChangeOwner(land()))).await.unwrap_err();
    assert!(early.contains("not registered on server"), "{early}");
    let register = Ask::RegisterClient { client: land().client(), name: None };
    stage.send(MANAGE, &by_land(register)).await.unwrap();
    assert!(stage.server(&id).unwrap().clients.contains(&land().client()), "approved by itself");
    stage.send(MANAGE, &by_land(Ask::ChangeOwner(land()))).await.unwrap();
    let server = stage.server(&of(land(), "TAX")).unwrap();
    assert!(server.clients.contains(&tax().client()) && stage.server(&id).is_none());
}

#[tokio::test]
async fn what_nobody_good_vouches_for_leaves_no_trace() {
    let stage = Stage::new("\"authCertReg\", \"clientReg\"").await;
    let before = stage.instance().1;
    let request = |server, ask| Request { server, ask };
    let home = || of(land(), "HOME");
    let register = |client| Ask::RegisterClient { client, name: None };
    let good = stage.package(&request(home(), register(land().subsystem("ROAD"))), "HOME");
    let with = |edit: &dyn Fn(&mut Package)| {
        let mut package = good.clone();
        edit(&mut package);
        package
    };
    let certificate = stage.certificate("TAX", "auth");
    let authentication = Ask::RegisterCertificate { address: None, certificate, is_trial: false };
    let road = land().subsystem("ROAD");
    let stranger = MemberId::new("DEV", "GOV", "M9");
    let cases = [
        (with(&|p| p.by_member.as_mut().unwrap().value[20] ^= 1), "does not hold"),
        (with(&|p| p.document.extend(b"\n")), "does not hold"),
        (with(&|p| p.by_member = None), "expected a signature of"),
        (with(&|p| p.status = Some(b"good".to_vec())), "invalid_signature_value"),
        (with(&|p| p.by_member = Some(stage.signature("HOME", "auth", &p.document))), "not for signing"),
        (stage.package(&request(home(), register(road)), "TAX"), "'s, expected "),
        (stage.package(&request(of(land(), "NONE"), Ask::EndMaintenance), "HOME"), "is not registered"),
        (stage.package(&request(of(stranger, "S"), Ask::EndMaintenance), "HOME"), "is no member"),
        (stage.package(&request(home(), Ask::ChangeAddress("a b/c".to_owned())), "HOME"), "address is"),
        (stage.package(&request(home(), Ask::DisableClient(provider())), "HOME"), "not supported here"),
        (stage.package(&request(of(tax(), "TAX"), authentication), "TAX"), "registration address"),
    ];
    for (package, expected) in cases {
        let refused = stage.send(MANAGE, &package).await.unwrap_err();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    let by_wrong_way = stage.send(REGISTER, &good).await.unwrap_err();
    assert!(by_wrong_way.contains("expected authCertReg alone"), "{by_wrong_way}");
    for (certificate, expected) in [("TAX", "another certificate"), ("HOME", "HOME")] {
        let certificate = stage.certificate(certificate, "auth");
        let ask = Ask::RegisterCertificate { address: None, certificate, is_trial: false };
        // HOME's certificate names another server
        let refused = stage.send(REGISTER, &stage.package(&request(of(land(), "NEW"), ask), "HOME")).await;
        let refused = refused.unwrap_err();
        assert!(refused.starts_with("invalid_signature_value") && refused.contains(expected), "{refused}");
    }
    assert_eq!(stage.post(MANAGE, "text/xml", vec![b' '; 600 * 1024]).await.0, 413);
    assert_eq!(stage.post("/elsewhere", "text/xml", Vec::new()).await.0, 404);
    // Who is let through to one port reaches nothing of the other: deletions carry no signature.
    for (port, path) in [(&stage.register, MANAGE), (&stage.manage, REGISTER)] {
        let (kind, body) = good.to_body("bound");
        assert_eq!(Stage::post_to(port, path, &kind, body).await.0, 404, "{path}");
    }
    assert_eq!(stage.instance().1, before);
    assert_eq!(stage.listed().await, serde_json::json!([]));
    stage.send(MANAGE, &good).await.unwrap();
}

#[tokio::test]
async fn requests_are_taken_from_this_machine_alone() {
    let directory = Directory::new();
    let plan = Plan::two_boards("http://127.0.0.1:1", KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
    let federation = Federation::create(directory.path(), &plan, now()).unwrap();
    let serve = std::fs::read_to_string(federation.serve_config()).unwrap();
    for (section, expected) in [
        ("listen = \"0.0.0.0:0\"", "expected a loopback address"),
        ("listen = \"127.0.0.1:0\"\napprove = [\"clientDeletion\"]", "expected any of"),
    ] {
        std::fs::write(federation.serve_config(), format!("{serve}\n[management]\n{section}\n")).unwrap();
        let error = Services::open(&federation.serve_config(), Clock::system()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
