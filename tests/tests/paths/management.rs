//! What a gateway asks of the central server: through its own message path and over HTTPS, judged by who reads it there.

use clap::Parser;
use saatkond::admin::register::{self, arguments::Register};
use saatkond_ca::exit::Streams;
use saatkond_ca::globalconf::Central;
use saatkond_ca::instance::v1;
use saatkond_ca::management::decide;
use saatkond_ca::serve::{self, Running, Services};
use saatkond_ca::store::By;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_proto::management::{Ask, Package, Request};
use saatkond_proto::trust::Certificate;
use saatkond_tests::federation::{For, Holder, RENEWAL};
use saatkond_tests::{Answer, Asked, Federation, Service, Site};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Register,
}

/// Where the central server takes them.
const MANAGE: &str = "/managementservice/manage/";

/// The services that go through the message path.
const SERVICES: [&str; 10] = [
    "authCertDeletion",
    "clientReg",
    "clientDeletion",
    "clientDisable",
    "clientEnable",
    "clientRename",
    "ownerChange",
    "addressChange",
    "maintenanceModeEnable",
    "maintenanceModeDisable",
];

fn provider() -> ClientId {
    MemberId::new("DEV", "GOV", "M2").subsystem("LAND")
}

/// Reads a request as a central server does: every signature must hold over the very bytes of the document.
fn judged(asked: &Asked) -> (Package, Request, String) {
    let package = Package::from_body(asked.line("content-type").unwrap(), &asked.body).unwrap();
    let (envelope, request) = Request::read(&package.document).unwrap();
    assert_eq!(envelope.client, request.server.owner.client());
    for signature in [&package.by_authentication, &package.by_member].into_iter().flatten() {
        let certificate = Certificate::from_der(&signature.certificate).unwrap();
        signature.holds(certificate.public_key(), &package.document).unwrap();
    }
    assert_eq!(package.by_member.is_some(), request.signer().is_some());
    (package, request, envelope.id)
}

/// A central server that takes everything but another name.
fn central(asked: &Asked) -> Answer {
    let (_, request, id) = judged(asked);
    let xml = [("Content-Type", "text/xml; charset=UTF-8")];
    if matches!(request.ask, Ask::RenameClient { .. }) {
        let fault = SoapFault::new("invalid_request", "no such subsystem", Some("abc".to_owned()));
        return Answer::new("500 Internal Server Error", &xml, fault.to_xml());
    }
    Answer::new("200 OK", &xml, request.answer(&provider(), &id, 7))
}

/// Does what an operator types behind `saatkond register`: exit code, and what is said.
async fn types(site: &Site, federation: &Federation, line: &str) -> (u8, String) {
    let mut conf = (*site.gateway.conf).clone();
    conf.listen.clients = Some(site.clients);
    conf.listen.clients_tls = Some(site.clients_tls);
    let words = ["register"].into_iter().chain(line.split_whitespace()).chain(["--config", "gateway.toml"]);
    let command = Cli::try_parse_from(words).unwrap().command;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let mut streams = Streams::new(&mut out, &mut talk);
    let ended = register::run(conf, command, &federation.clock, &mut streams).await;
    let exit = ended.unwrap_or_else(|failure| {
        streams.talk(&failure);
        failure.exit
    });
    (exit.code(), String::from_utf8([out, talk].concat()).unwrap())
}

/// The Tax Board's gateway, and the Land Board's with the management services behind it.
async fn pair(federation: &Federation, url: &str) -> (Site, Site) {
    let management = |file: &mut v1::File| file.management.provider = provider().to_string();
    federation.change(management);
    let mut offering =
        "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n".to_owned();
    for code in SERVICES {
        offering += &format!(
            "[[client.service]]\ncode = \"{code}\"\nkind = \"soap\"\nurl = \"{url}\"\n\
             allow = [{{ client = \"DEV/GOV/M1\" }}]\n",
        );
    }
    let home = federation.open("HOME", &offering).await;
    let asking = "version = 1\n[[client]]\nid = \"DEV/GOV/M1\"\nconnection = \"https\"\n";
    (federation.open("TAX", asking).await, home)
}

#[tokio::test]
async fn every_request_crosses_two_gateways_and_is_read_with_its_signatures_on_the_other_side() {
    let service = Service::start(central).await;
    let federation = Federation::new().await;
    let (tax, home) = pair(&federation, &service.url(MANAGE)).await;
    let new = "DEV/GOV/M1/NEW";
    let lines = [
        ("client DEV/GOV/M1/NEW --name Uus", "clientReg", new),
        ("disable DEV/GOV/M1/NEW", "clientDisable", new),
        ("enable DEV/GOV/M1/NEW", "clientEnable", new),
        ("delete-client DEV/GOV/M1/NEW", "clientDeletion", new),
        ("owner DEV/GOV/M1", "ownerChange", "DEV/GOV/M1"),
        ("address tax.example", "addressChange", "tax.example"),
        ("maintenance on --message roof", "maintenanceModeEnable", "DEV/GOV/M1/TAX"),
        ("maintenance off", "maintenanceModeDisable", "DEV/GOV/M1/TAX"),
        ("delete-certificate auth", "authCertDeletion", "DEV/GOV/M1/TAX"),
    ];
    for (line, code, about) in lines {
        let (exit, said) = types(&tax, &federation, line).await;
        assert!(exit == 0 && said.contains(&format!("request 7: {code} {about}\n")), "{line}: {exit} {said}");
        let (package, request, _) = judged(&service.asked.last());
        assert_eq!(request.ask.service_code(), code);
        assert_eq!(request.server, federation.id("TAX"));
        let status = package.status.map(|der| saatkond_proto::trust::ocsp::Response::from_der(&der).unwrap());
        assert_eq!(status.is_some(), request.signer().is_some(), "{line}");
    }
    assert_eq!(service.asked.len(), lines.len());
    // each is evidence like any other message
    assert_eq!((tax.log().len(), home.log().len()), (2 * lines.len(), 2 * lines.len()));

    let (exit, said) = types(&tax, &federation, "rename DEV/GOV/M1/NEW Uuem").await;
    assert!(
        exit == 77 && said.contains("clientRename was refused") && said.contains("no such subsystem"),
        "{said}"
    );
    let (exit, said) = types(&tax, &federation, "client DEV/COM/M3/SHIPS").await;
    assert!(exit == 1 && said.contains("cannot sign for DEV/COM/M3"), "{exit} {said}");
    assert_eq!(service.asked.len(), lines.len() + 1, "what nobody can vouch for is not sent");
}

#[tokio::test]
async fn what_a_gateway_asks_for_the_central_server_takes_and_publishes_when_approved() {
    let federation = Federation::new().await;
    let file = federation.directory().join("trust/central.toml");
    let text = "version = 1\nlisten = \"127.0.0.1:0\"\n[configuration]\ndirectory = \"configuration\"\n\
        [management]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&file, text).unwrap();
    let clock = federation.clock.clone();
    let services = Services::open(&file, serve::Clock::from_fn(move || clock.now())).unwrap();
    let central = Running::listen(services.management()[0].clone()).await.unwrap();
    let (tax, _home) = pair(&federation, &format!("http://{}{MANAGE}", central.address())).await;
    for (line, number) in [("client DEV/GOV/M1/NEW --name Uus", 1), ("maintenance on --message roof", 2)] {
        let (exit, said) = types(&tax, &federation, line).await;
        assert!(exit == 0 && said.contains(&format!("request {number}: ")), "{line}: {exit} {said}");
    }
    let state = async |at: usize| {
        federation.clock.advance(RENEWAL);
        tax.refresh().await;
        let (_, said) = types(&tax, &federation, "list --json").await;
        let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
        listed[at]["state"].as_str().unwrap() == "in the configuration"
    };
    assert!(state(1).await && !state(0).await, "maintenance waits for nobody, a client does");
    let node = Central::open(&federation.directory().join("trust/configuration")).unwrap();
    let by = By { actor: "mari", at: federation.now(), why: "request 1 approved" };
    decide(&node, 1, true, &by).unwrap();
    assert!(state(0).await);
    types(&tax, &federation, "delete-client DEV/GOV/M1/NEW").await;
    assert!(!state(0).await);
    let (exit, said) = types(&tax, &federation, "disable DEV/GOV/M1/NEW").await;
    assert!(exit == 77 && said.contains("clientDisable is not supported here"), "{exit} {said}");
}

#[tokio::test]
async fn what_was_asked_is_listed_with_what_the_configuration_says_of_it() {
    let service = Service::start(central).await;
    let federation = Federation::new().await;
    let (tax, _home) = pair(&federation, &service.url(MANAGE)).await;
    let list = async || types(&tax, &federation, "list").await.1;
    assert_eq!(list().await, "nothing was asked from here\n");
    types(&tax, &federation, "client DEV/GOV/M1/NEW").await;
    types(&tax, &federation, "maintenance on --message roof").await;
    let said = list().await;
    assert_eq!(said.matches("not in the configuration").count(), 2, "{said}");
    federation.change(|file| {
        let member = file.members.iter_mut().find(|member| member.id == "DEV/GOV/M1").unwrap();
        member.subsystems.push(v1::Subsystem { code: "NEW".to_owned(), name: None });
        let server = file.servers.iter_mut().find(|server| server.id == "DEV/GOV/M1/TAX").unwrap();
        server.clients.push("DEV/GOV/M1/NEW".to_owned());
    });
    tax.refresh().await;
    let (_, said) = types(&tax, &federation, "list --json").await;
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
    let state = |at: usize| listed[at]["state"].as_str().unwrap();
    assert_eq!((state(0), listed[0]["request"].as_u64()), ("in the configuration", Some(7)));
    assert!(state(1).starts_with("not in the configuration"), "{said}");
}

#[tokio::test]
async fn a_certificate_is_registered_over_https_with_the_one_who_shows_the_certificate_listed_and_no_other() {
    let holder = Holder::self_signed(For::Tls, |_| ());
    let service = Service::start_tls(&holder, central).await;
    let federation = Federation::new().await;
    let listed = |certificate: Option<String>| {
        let url = service.url("/managementservice/");
        federation.change(|file| {
            file.management = v1::Management { url, certificate, provider: provider().to_string() };
        });
    };
    listed(Some(holder.pem()));
    let tax = federation.open("TAX", "version = 1\n").await;
    let auth = "server --key auth --address tax.example";
    let (exit, said) = types(&tax, &federation, auth).await;
    assert!(exit == 0 && said.contains("request 7: authCertReg DEV/GOV/M1/TAX\n"), "{exit} {said}");
    let asked = service.asked.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/managementservice/"));
    assert!(asked.line("content-type").unwrap().contains("type=\"application/octet-stream\""));
    let (package, request, _) = judged(&asked);
    let Ask::RegisterCertificate { address, certificate, is_trial } = request.ask else {
        panic!("{request:?}")
    };
    assert_eq!((address.as_deref(), is_trial), (Some("tax.example"), false));
    assert_eq!(package.by_authentication.unwrap().certificate, certificate);
    assert_eq!(certificate, federation.auth("TAX").certificate.der());
    assert_eq!(package.by_member.unwrap().certificate, federation.sign("TAX").certificate.der());
    let (_, said) = types(&tax, &federation, "list").await;
    assert!(said.trim_end().ends_with("in the configuration") && said.contains("authCertReg"), "{said}");

    let (exit, said) = types(&tax, &federation, &format!("{auth} --dry-run")).await;
    assert!(exit == 0 && said.contains("nothing was registered"), "{said}");
    let (exit, said) = types(&tax, &federation, "server").await;
    assert!(exit == 1 && said.contains("no authentication certificate waits"), "{said}");
    let (exit, said) = types(&tax, &federation, "server --key sign --address a").await;
    assert!(exit == 2 && said.contains("expected auth"), "{said}");

    let asked = service.asked.len();
    listed(Some(Holder::self_signed(For::Tls, |_| ()).pem()));
    tax.refresh().await;
    let (exit, said) = types(&tax, &federation, auth).await;
    assert!(exit == 69 && said.contains("TLS certificate is none of those"), "{exit} {said}");
    listed(None);
    tax.refresh().await;
    let (exit, said) = types(&tax, &federation, auth).await;
    assert!(exit == 78 && said.contains("without a certificate"), "{exit} {said}");
    assert_eq!(service.asked.len(), asked, "nobody else is told anything");
}
