//! The commands, as people type them.

use crate::support::{Directory, done, fails, http, text};
use saatkond_ca::exit::Exit;
use saatkond_ca::request::Request;
use saatkond_proto::globalconf::Anchor;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A request for a sign certificate of DEV/GOV/M2, made elsewhere.
fn request(directory: &Directory) -> std::path::PathBuf {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CountryName, "FI");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Land Board");
    let serial_number = rcgen::DnType::from_oid(&[2, 5, 4, 5]);
    params.distinguished_name.push(serial_number, "DEV/HOME/GOV");
    params.distinguished_name.push(rcgen::DnType::CommonName, "M2");
    let key = rcgen::KeyPair::generate().unwrap();
    let path = directory.join("sign.csr");
    std::fs::write(&path, params.serialize_request(&key).unwrap().pem().unwrap()).unwrap();
    Request::read(&std::fs::read(&path).unwrap()).unwrap();
    path
}

#[tokio::test]
async fn an_authority_is_made_issues_lists_and_revokes() {
    let directory = Directory::new();
    let dir = directory.join("ca");
    let dir = text(&dir);
    let made =
        done(&["init", dir, "--key", "p256", "--name", "DEV CA", "--ocsp-url", "http://127.0.0.1:1/ocsp"])
            .await;
    assert!(made.talk.contains("made CN=DEV CA with a P-256 key"), "{}", made.talk);
    let again = fails(Exit::NotAllowed, &["init", dir, "--key", "p256"]).await;
    assert!(again.contains("\n hint: "), "{again}");

    let csr = request(&directory);
    let issue = ["issue", text(&csr), "--profile", "sign", "--dir", dir];
    assert!(fails(Exit::Usage, &issue).await.contains("--member"));
    let wrong = [&issue[..], &["--member", "DEV/GOV/M9"]].concat();
    let error = fails(Exit::NotWell, &wrong).await;
    assert!(error.contains("its subject names DEV/GOV/M2, expected DEV/GOV/M9"), "{error}");
    let issued = done(&[&issue[..], &["--member", "DEV/GOV/M2"]].concat()).await;
    assert!(issued.out.starts_with("-----BEGIN CERTIFICATE-----\n"));

    let list = done(&["list", "--dir", dir, "--json"]).await.out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2, "the responder's and the member's: a refused one takes no serial");
    assert_eq!(list[1]["for"], "sign");
    let serial = list[1]["serial"].as_str().unwrap();
    let table = done(&["list", "--dir", dir]).await.out;
    assert!(table.starts_with("SERIAL") && table.contains(serial));

    assert!(fails(Exit::Usage, &["revoke", serial, "--dir", dir]).await.contains("hint: add --yes"));
    let since = ["revoke", serial, "--dir", dir, "--yes", "--since", "2999-01-01T00:00:00Z"];
    assert!(fails(Exit::Usage, &since).await.contains("future"));
    let pem = directory.join("sign.pem");
    std::fs::write(&pem, &issued.out).unwrap();
    done(&["revoke", text(&pem), "--dir", dir, "--yes", "--reason", "superseded"]).await;
    fails(Exit::NotWell, &["revoke", serial, "--dir", dir, "--yes"]).await;
    let shown = done(&["show", serial, "--dir", dir, "--json"]).await.out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["state"], &shown["revoked_for"]), (&"revoked".into(), &"superseded".into()));
    assert_eq!(shown["certificate"].as_str().unwrap(), issued.out);
    assert!(done(&["crl", "--dir", dir]).await.out.starts_with("-----BEGIN X509 CRL-----\n"));
    done(&["renew-responder", "--dir", dir]).await;
    fails(Exit::NotWell, &["show", "00ff", "--dir", dir]).await;
    fails(Exit::Usage, &["show", "not-a-serial", "--dir", dir]).await;
    fails(Exit::Configuration, &["list", "--dir", text(&directory.join("nowhere"))]).await;
}

#[tokio::test]
async fn a_subject_is_written_here_when_asked() {
    let directory = Directory::new();
    let dir = directory.join("ca");
    let dir = text(&dir);
    done(&["init", dir, "--key", "p256"]).await;
    let csr = request(&directory);
    let rewrite =
        ["issue", text(&csr), "--profile", "auth", "--dir", dir, "--rewrite", "--server", "DEV/GOV/M2/HOME"];
    let error = fails(Exit::Usage, &rewrite).await;
    assert!(error.contains("the organisation's name"), "{error}");
    let issued =
        done(&[&rewrite[..], &["--organization", "Land Board", "--host", "home.example"]].concat()).await;
    assert!(
        issued.talk.contains("O=Land Board, serialNumber=DEV/HOME/GOV, CN=home.example"),
        "{}",
        issued.talk
    );
    // a key made here goes away again when nothing is issued for it
    let key = directory.join("k.pem");
    let broken =
        ["issue", "--new-key", text(&key), "--profile", "tls", "--dir", dir, "--host", "põld.example"];
    fails(Exit::NotWell, &broken).await;
    assert!(!key.exists());
}

const INSTANCE: &str = r#"
version = 1
instance = "DEV"
addresses = ["127.0.0.1:1"]
management = { url = "http://127.0.0.1:1/managementservice/", provider = "DEV/GOV/M1/MANAGEMENT" }
class = [{ code = "GOV", description = "Government" }]
[[ca]]
name = "DEV CA"
certificate = "ca/ca.cert.pem"
profile = "FiVRK"
ocsp = [{ url = "http://127.0.0.1:1/ocsp" }]
[[tsa]]
name = "DEV TSA"
url = "http://127.0.0.1:1/tsa"
certificate = "tsa.cert.pem"
[[member]]
id = "DEV/GOV/M1"
name = "Tax Board"
subsystem = [{ code = "TAX" }]
[[server]]
id = "DEV/GOV/M1/TAX"
address = "127.0.3.1"
certificates = ["auth.cert.pem"]
clients = ["DEV/GOV/M1/TAX"]
[[group]]
code = "boards"
description = "All boards"
members = ["DEV/GOV/M1/TAX"]"#;

/// An instance with one server, made with commands alone; the folder that `ca serve` is given.
async fn instance(directory: &Directory) -> std::path::PathBuf {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (ca, conf) = (path("ca"), path("conf"));
    done(&["init", &ca, "--key", "p256", "--ocsp-url", "http://127.0.0.1:1/ocsp"]).await;
    done(&[
        "issue",
        "--new-key",
        &path("tsa.key.pem"),
        "--profile",
        "tsa",
        "--name",
        "DEV TSA",
        "--dir",
        &ca,
        "--out",
        &path("tsa.cert.pem"),
    ])
    .await;
    done(&[
        "issue",
        "--new-key",
        &path("auth.key.pem"),
        "--profile",
        "auth",
        "--server",
        "DEV/GOV/M1/TAX",
        "--organization",
        "Tax Board",
        "--host",
        "127.0.3.1",
        "--dir",
        &ca,
        "--out",
        &path("auth.cert.pem"),
    ])
    .await;
    done(&["instance", "init", &conf, "--key", "p256"]).await;
    let file = directory.join("instance.toml");
    std::fs::write(&file, INSTANCE).unwrap();
    file
}

#[tokio::test]
async fn an_instance_is_applied_shown_signed_and_anchored() {
    let directory = Directory::new();
    let file = instance(&directory).await;
    let conf = directory.join("conf");
    let (file, conf) = (text(&file), text(&conf));
    let dry = done(&["instance", "apply", file, "--dir", conf, "--dry-run"]).await;
    assert!(
        dry.talk.contains("would publish DEV: 1 members, 1 subsystems, 1 servers, 2 groups"),
        "{}",
        dry.talk
    );
    assert!(dry.talk.contains("note: management provider DEV/GOV/M1/MANAGEMENT is not among the members"));
    fails(Exit::Configuration, &["instance", "show", "--dir", conf]).await;
    done(&["instance", "apply", file, "--dir", conf]).await;
    let shown = done(&["instance", "show", "--dir", conf, "--json"]).await.out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["servers"][0]["clients"][0], "DEV/GOV/M1/TAX");

    let anchor = directory.join("anchor.xml");
    let said = done(&["instance", "anchor", "--dir", conf, "--out", text(&anchor)]).await;
    assert_eq!(said.talk.trim_end().rsplit(' ').next().unwrap().len(), 28 * 3 - 1);
    let bytes = std::fs::read(&anchor).unwrap();
    assert_eq!(Anchor::from_xml(&bytes).unwrap().instance, "DEV");
    // applying again changes no anchor: its fingerprint was read out over a telephone
    done(&["instance", "apply", file, "--dir", conf]).await;
    assert_eq!(done(&["instance", "anchor", "--dir", conf]).await.out.as_bytes(), bytes);
    let external = done(&["instance", "anchor", "--dir", conf, "--external"]).await.out;
    assert!(external.contains("/externalconf"));
    let public = directory.join("public");
    done(&["instance", "sign", "--dir", conf, "--out", text(&public)]).await;
    assert!((2..=6).all(|version| public.join(format!("V{version}/internalconf")).is_file()));
    fails(Exit::NotAllowed, &["instance", "init", conf]).await;
}

#[tokio::test]
async fn what_is_wrong_in_an_instance_is_named() {
    let directory = Directory::new();
    let file = instance(&directory).await;
    let conf = directory.join("conf");
    let good = std::fs::read_to_string(&file).unwrap();
    for (from, to, named) in [
        ("DEV/GOV/M1/TAX\"]\n[[group]]", "DEV/GOV/M7\"]\n[[group]]", "DEV/GOV/M7"),
        (
            "\"auth.cert.pem\"",
            "\"tsa.cert.pem\"",
            "server DEV/GOV/M1/TAX: certificate CN=DEV TSA is not for authentication",
        ),
        (
            "certificate = \"tsa.cert.pem\"",
            "certificate = \"auth.cert.pem\"",
            "tsa DEV TSA: its certificate has no extended key usage",
        ),
        ("profile = \"FiVRK\"", "profile = \"Fi\"", "ca DEV CA: profile \"Fi\" is not known"),
        ("code = \"GOV\"", "code = \"COM\"", "member DEV/GOV/M1: class \"GOV\" is not among the classes"),
        ("id = \"DEV/GOV/M1/TAX\"", "id = \"EE/GOV/M1/TAX\"", "EE/GOV/M1 is of instance EE, expected DEV"),
        ("address = \"127.0.3.1\"", "adress = \"127.0.3.1\"", "adress"),
        ("version = 1", "version = 2", "version is 2, expected 1"),
        (
            "version = 1",
            "version = 1\nvalidity = \"1 min\"",
            "renewal is 1 min, expected at most half of validity",
        ),
        (
            "version = 1",
            "version = 1\ntimestamping_interval = \"2 h\"",
            "timestamping_interval is 2 h, expected",
        ),
        (
            "certificate = \"ca/ca.cert.pem\"",
            "certificate = \"tsa.cert.pem\"",
            "is no authority's certificate",
        ),
        ("\"auth.cert.pem\"", "\"nowhere.pem\"", "nowhere.pem"),
        (
            "code = \"boards\"",
            "code = \"security-server-owners\"",
            "the owners' group, which is kept by itself",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let error =
            fails(Exit::Configuration, &["instance", "apply", text(&file), "--dir", text(&conf)]).await;
        assert!(error.contains(named), "{error}\nexpected {named}");
    }
    // a name that no header of the signed directory can carry
    let quoted = good.replace("\"DEV\"", "\"D'V\"").replace("DEV/", "D'V/");
    std::fs::write(&file, quoted).unwrap();
    fails(Exit::Configuration, &["instance", "apply", text(&file), "--dir", text(&conf)]).await;
    fails(Exit::Configuration, &["instance", "show", "--dir", text(&conf)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_until_it_is_told_to_stop() {
    let directory = Directory::new();
    let file = instance(&directory).await;
    done(&["instance", "apply", text(&file), "--dir", text(&directory.join("conf"))]).await;
    let config = directory.join("serve.toml");
    let good = "version = 1\nlisten = \"127.0.0.1:0\"\n[ocsp]\nauthorities = [\"ca\"]\n\
                [tsa]\ncertificate = \"tsa.cert.pem\"\nkey = \"tsa.key.pem\"\n[configuration]\ndirectory = \"conf\"\n";
    for (from, to) in [
        ("version = 1", "version = 3"),
        ("[tsa]", "[tsa]\npath = \"/ocsp\""),
        ("[tsa]", "[tsa]\npolicy = \"1\""),
        ("\"tsa.key.pem\"", "\"auth.key.pem\""),
        ("\"conf\"", "\"ca\""),
        ("listen", "lisen"),
    ] {
        std::fs::write(&config, good.replacen(from, to, 1)).unwrap();
        let error = fails(Exit::Configuration, &["serve", "--config", text(&config)]).await;
        assert!(error.contains("\n hint: "), "{error}");
    }
    std::fs::write(&config, good).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_saatkond-ca"))
        .args(["serve", "--config", text(&config)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("serving on http://").map(str::to_owned));
    let address = address.unwrap().parse().unwrap();
    assert_eq!(http(address, "GET", "/health/ready", &[]).await, (200, b"ready\n".to_vec()));
    assert_eq!(http(address, "GET", "/internalconf?version=6", &[]).await.0, 200);
    let taken = std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:0", &address.to_string());
    std::fs::write(&config, taken).unwrap();
    assert!(fails(Exit::Unavailable, &["serve", "--config", text(&config)]).await.contains("cannot listen"));
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
