//! Sites and registers from an instance's file to the signed part, and what is refused on the way.

use crate::support::{Directory, has, http, text};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::globalconf::{Audience, Central};
use saatkond_ca::key::KeySpec;
use saatkond_ca::serve::{Clock, Running, Services};
use saatkond_proto::continuity::{
    Access, CONTENT_IDENTIFIER, Class, FILE_NAME, Policy, Role, ServiceAccess, Use,
};
use saatkond_proto::globalconf::{Anchor, SignedDirectory};
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::message::endpoint::{Endpoint, PathGlob};
use saatkond_proto::message::rest::Method;
use saatkond_proto::time::UnixTime;
use std::path::Path;
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);
const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn made(directory: &Directory, url: &str) -> Federation {
    let plan = Plan::two_boards(url, KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"])
        .with_sites(["127.0.1.1:5600", "127.0.2.1:5600"], &[("mari", KEY)]);
    Federation::create(directory.path(), &plan, NOW).unwrap()
}

fn rewrite(file: &Path, from: &str, to: &str) {
    let good = std::fs::read_to_string(file).unwrap();
    assert!(good.contains(from), "{from}");
    std::fs::write(file, good.replacen(from, to, 1)).unwrap();
}

/// The parts that a directory of this version lists for an audience: what each is, and its bytes.
async fn parts(
    federation: &Federation,
    running: &Running,
    audience: &str,
    version: u8,
) -> Vec<(String, Vec<u8>)> {
    let central = Central::open(&federation.configuration()).unwrap();
    let whose = Audience::ALL.into_iter().find(|whose| whose.name() == audience).unwrap();
    let anchor = Anchor::from_xml(&central.anchor(whose).unwrap()).unwrap();
    let path = format!("/{audience}conf?version={version}");
    let (status, bytes) = http(running.address(), "GET", &path, &[]).await;
    assert_eq!(status, 200);
    let certificates = &anchor.sources.first().unwrap().certificates;
    let directory = SignedDirectory::parse(&bytes).unwrap().verify(certificates, NOW).unwrap();
    let mut found = Vec::new();
    for part in &directory.parts {
        let (status, bytes) = http(running.address(), "GET", &part.location, &[]).await;
        assert_eq!(status, 200);
        part.check(&bytes).unwrap();
        found.push((part.content.text().to_owned(), bytes));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_gateways_are_told() {
    let directory = Directory::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let federation = made(&directory, &format!("http://{}", listener.local_addr().unwrap()));
    let file = federation.instance_file();
    let share = "read_share = [{ site = \"home\", hundredths = 100 }]\n";
    let declared =
        "service = [{ code = \"land\", method = \"POST\", path = \"/queries\", access = \"read\" }]\n";
    rewrite(&file, "read_share = []\n", share);
    rewrite(&file, "service = []\n", declared);
    rewrite(&file, "generation = 1", "generation = 2");
    federation.apply(NOW).unwrap();
    let services = Services::open(&federation.serve_config(), Clock::from_fn(|| NOW)).unwrap();
    let running = Running::start(listener, services).unwrap();
    for version in 2..=6 {
        let internal = parts(&federation, &running, "internal", version).await;
        let (_, bytes) = internal.iter().find(|(content, _)| content == CONTENT_IDENTIFIER).unwrap();
        let policy = Policy::from_xml(bytes, "DEV").unwrap();
        is_what_was_written(&policy);
        // another instance is told nothing of it
        let external = parts(&federation, &running, "external", version).await;
        assert_eq!(
            external.iter().map(|(content, _)| content.as_str()).collect::<Vec<_>>(),
            ["SHARED-PARAMETERS"]
        );
    }
    running.stop().await;
}

fn is_what_was_written(policy: &Policy) {
    assert_eq!(policy.generation, 2);
    let embassy = policy.site("embassy").unwrap();
    assert_eq!(
        (embassy.role, embassy.jurisdiction.to_string().as_str()),
        (Role::Embassy, "embassy-agreement:LU:2017-06-20")
    );
    assert_eq!(embassy.servers, [ServerId::from_path("DEV/GOV/M2/EMBASSY").unwrap()]);
    assert_eq!(embassy.relay, ["127.0.2.1:5600"]);
    let land = policy.register(&ClientId::from_path("DEV/GOV/M2/LAND").unwrap()).unwrap();
    assert_eq!((land.class, land.home()), (Class::Internal, Some("home")));
    assert_eq!((land.staleness, land.staleness_max), (Duration::from_secs(5), Duration::from_secs(60)));
    assert_eq!(land.read_shares, [("home".to_owned(), 100)]);
    let endpoint = Endpoint { method: Some(Method::Post), path: PathGlob::new("/queries") };
    let declared = ServiceAccess {
        code: "land".to_owned(),
        version: None,
        endpoint: Some(endpoint),
        access: Access::Read,
    };
    assert_eq!(land.services, [declared]);
    assert_eq!(land.may(Use::Authority, embassy), Ok(()));
    assert_eq!(policy.operators[0].name, "mari");
}

#[test]
fn what_does_not_hold_is_named() {
    let directory = Directory::new();
    let federation = made(&directory, "http://127.0.0.1:1");
    let file = federation.instance_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let configuration = directory.join("trust/configuration");
    for (from, to, said) in [
        (
            "role = \"embassy\"",
            "role = \"ambassy\"",
            "site embassy: role is \"ambassy\", expected home, embassy",
        ),
        (
            "role = \"embassy\"",
            "role = \"home\"",
            "site embassy: role home and jurisdiction embassy-agreement:LU",
        ),
        (
            "jurisdiction = \"territory\"",
            "jurisdiction = \"home\"",
            "site home: jurisdiction is \"home\", expected territory",
        ),
        (
            "servers = [\"DEV/GOV/M2/EMBASSY\"]",
            "servers = [\"DEV/GOV/M2/E\"]",
            "site embassy: server DEV/GOV/M2/E is not among",
        ),
        (
            "servers = [\"DEV/GOV/M2/EMBASSY\"]",
            "servers = []",
            "register DEV/GOV/M2/LAND: it is registered on server DEV/GOV/M2/EMBASSY, which stands at no site",
        ),
        ("class = \"INTERNAL\"", "class = \"SECRET\"", "class is \"SECRET\", expected PUBLIC, INTERNAL"),
        ("class = \"INTERNAL\"", "class = \"HOME_ONLY\"", "HOME_ONLY forbids authority at site embassy"),
        ("staleness = \"5 s\"", "staleness = \"5 min\"", "more than staleness_max"),
        ("key = \"11qY", "key = \"1qY", "operator mari: key is"),
        ("generation = 1", "generation = 0", "generation is 0"),
        ("generation = 1", "generation = 1\nepoch = 2", "epoch"),
    ] {
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let error = Central::open(&configuration).unwrap().plan_file(&file, NOW).expect_err(to).to_string();
        assert!(good.contains(from) && error.contains(said), "{to}: {error}");
    }
}

/// A class is broken where a subsystem is registered on a server: whoever picks that door has sent it plain text.
#[test]
fn a_register_is_registered_only_where_its_class_allows() {
    let directory = Directory::new();
    let federation = made(&directory, "http://127.0.0.1:1");
    let file = federation.instance_file();
    let configuration = directory.join("trust/configuration");
    let good = std::fs::read_to_string(&file).unwrap();
    let alone = |class: &str, place: &str, role: &str| {
        let text = good
            .replace("class = \"INTERNAL\"", &format!("class = \"{class}\""))
            .replace("role = \"embassy\"", &format!("role = \"{role}\""))
            .replace("embassy-agreement:LU:2017-06-20", place)
            .replace("generation = 1", "generation = 2");
        let mut document: toml::Table = text.parse().unwrap();
        let register = &mut document["continuity"]["register"][0];
        for list in ["succession", "live"] {
            register[list] = vec!["home"].into();
        }
        std::fs::write(&file, document.to_string()).unwrap();
        Central::open(&configuration).unwrap().plan_file(&file, NOW).map(drop).map_err(|e| e.to_string())
    };
    for (class, role, place, is_allowed) in [
        ("PUBLIC", "cloud", "commercial:eu", true),
        ("INTERNAL", "cloud", "commercial:eu", false),
        ("INTERNAL", "mission", "mission:CZ", true),
        ("INTERNAL", "embassy", "embassy-agreement:LU:x", true),
        ("RESTRICTED", "mission", "mission:CZ", false),
        ("RESTRICTED", "embassy", "embassy-agreement:LU:x", true),
        ("HOME_ONLY", "embassy", "embassy-agreement:LU:x", false),
        ("HOME_ONLY", "home", "territory", true),
    ] {
        let found = alone(class, place, role);
        assert_eq!(found.is_ok(), is_allowed, "{class} {place}: {found:?}");
        if let Err(error) = found {
            assert!(error.contains("server DEV/GOV/M2/EMBASSY: register DEV/GOV/M2/LAND is"), "{error}");
        }
    }
}

#[test]
fn a_generation_never_goes_back() {
    let directory = Directory::new();
    let federation = made(&directory, "http://127.0.0.1:1");
    let file = federation.instance_file();
    // the same again changes nothing
    federation.apply(NOW).unwrap();
    rewrite(&file, "staleness = \"5 s\"", "staleness = \"6 s\"");
    let error = federation.apply(NOW).unwrap_err().to_string();
    assert!(error.contains("generation is 1, expected 2 or more"), "{error}");
    rewrite(&file, "generation = 1", "generation = 5");
    federation.apply(NOW).unwrap();
    rewrite(&file, "generation = 5", "generation = 4");
    let error = federation.apply(NOW).unwrap_err().to_string();
    assert!(error.contains("generation is 4, expected 6 or more"), "{error}");
    let mut document: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    document.remove("continuity");
    std::fs::write(&file, document.to_string()).unwrap();
    let error = federation.apply(NOW).unwrap_err().to_string();
    assert!(error.contains("it is missing, and gateways keep generation 5"), "{error}");
}

#[test]
fn the_published_schema_knows_the_part() {
    if !has("xmllint", &["--version"]) {
        return;
    }
    let directory = Directory::new();
    let federation = made(&directory, "http://127.0.0.1:1");
    let public = federation.directory().join("trust/public/V6");
    let stamps = std::fs::read_dir(public).unwrap().map(|entry| entry.unwrap().path().join(FILE_NAME));
    let part = stamps.into_iter().find(|path| path.is_file()).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/continuity-params.xsd");
    let judge = |bytes: &[u8]| {
        let document = directory.join("part.xml");
        std::fs::write(&document, bytes).unwrap();
        let arguments = ["--noout", "--nonet", "--schema", text(&schema), text(&document)];
        std::process::Command::new("xmllint").args(arguments).output().unwrap().status.success()
    };
    let good = std::fs::read_to_string(part).unwrap();
    assert!(judge(good.as_bytes()), "{good}");
    for (from, to) in [
        ("<generation>1</generation>", ""),
        ("<generation>1<", "<generation>0<"),
        ("<role>home<", "<role>house<"),
        ("<class>INTERNAL<", "<class>Internal<"),
        ("<id>home<", "<id>ho me<"),
        ("<jurisdiction>territory<", "<jurisdiction>abroad<"),
        ("<relay>127.0.1.1:5600<", "<relay>127.0.1.1<"),
        ("<staleness>5<", "<staleness>5 s<"),
        ("</continuity>", "<later/></continuity>"),
        (KEY, "AAAA"),
    ] {
        assert!(good.contains(from), "{from}");
        let wrong = good.replacen(from, to, 1);
        assert!(!judge(wrong.as_bytes()), "{to}");
        assert!(Policy::from_xml(wrong.as_bytes(), "DEV").is_err(), "{to}");
    }
}
