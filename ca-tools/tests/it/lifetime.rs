//! An authority from its policy to its last certificate: made from a file, one below another, renewed, revoked, listed.

use crate::support::{Directory, done, fails, has_openssl, openssl, text};
use saatkond_ca::ca::{Authority, CaError, Order, Policy};
use saatkond_ca::exit::Exit;
use saatkond_ca::index::{Index, IndexError, Purpose, Reason};
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_ca::request::AltName;
use saatkond_proto::time::UnixTime;
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

const POLICY: &str = r#"
version = 1
name = "DEV Root CA"
organization = "Põhja Amet"
country = "EE"
key = "p384"
naming = "Basic"
ocsp_urls = ["http://ocsp.example/ocsp"]
crl_urls = ["http://ca.example/root.crl", "http://ca2.example/root.crl"]
issuer_urls = ["http://ca.example/root.crt"]
[lasting]
ca = "3650 d"
sign = "400 d"
tls = "90 d"
"#;

/// Makes an authority from a file with a command.
async fn made(directory: &Directory, name: &str, policy: &str, more: &[&str]) -> String {
    let (dir, file) = (directory.join(name), directory.join("policy.toml"));
    std::fs::write(&file, policy).unwrap();
    let dir = text(&dir).to_owned();
    done(&[&["init", &dir, "--policy", text(&file)], more].concat()).await;
    dir
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn an_authority_is_what_its_policy_says() {
    if !has_openssl() {
        return;
    }
    let directory = Directory::new();
    let root = made(&directory, "root", POLICY, &[]).await;
    let below = POLICY.replace("DEV Root CA", "DEV Issuing CA").replace("root.cr", "issuing.cr");
    let issuing = made(&directory, "issuing", &below, &["--under", &root]).await;
    let (key, leaf) = (directory.join("key.pem"), directory.join("leaf.pem"));
    let sign = ["--new-key", text(&key), "--profile", "sign", "--server", "DEV/GOV/M2/HOME"];
    let named = ["--organization", "Land Board", "--country", "EE", "--out", text(&leaf), "--json"];
    let said = done(&[&["issue", "--dir", &issuing], &sign[..], &named[..]].concat()).await;
    let shown = json(&said.out);
    assert_eq!(shown["certificate"].as_str().unwrap(), std::fs::read_to_string(&leaf).unwrap());
    assert_eq!((&shown["state"], &shown["for"]), (&"good".into(), &"sign".into()));
    let subject = "CN=Land Board, O=Land Board, businessCategory=GOV, C=EE, serialNumber=M2";
    assert_eq!(shown["subject"], subject);
    let again = done(&["show", shown["serial"].as_str().unwrap(), "--dir", &issuing, "--json"]).await;
    assert_eq!(json(&again.out), shown, "one form for one thing");

    let [root_pem, issuing_pem] = [&root, &issuing].map(|dir| format!("{dir}/ca.cert.pem"));
    let verify = ["verify", "-x509_strict", "-CAfile", &root_pem, "-untrusted", &issuing_pem, text(&leaf)];
    openssl(&verify).unwrap();
    let shown = openssl(&["x509", "-in", text(&leaf), "-noout", "-text"]).unwrap();
    for line in [
        "OCSP - URI:http://ocsp.example/ocsp",
        "CA Issuers - URI:http://ca.example/issuing.crt",
        "URI:http://ca.example/issuing.crl",
        "URI:http://ca2.example/issuing.crl",
        "Signature Algorithm: ecdsa-with-SHA384",
        "ASN1 OID: secp384r1",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let shown = openssl(&["x509", "-in", &issuing_pem, "-noout", "-text", "-nameopt", "utf8"]).unwrap();
    assert!(shown.contains("Põhja Amet") && shown.contains("CA:TRUE"), "{shown}");
    assert!(shown.contains("URI:http://ca.example/root.crl"), "{shown}");
    // lifetimes are the policy's
    let index = Index::open(std::path::Path::new(&issuing)).unwrap();
    let record = index.records().into_iter().find(|record| record.purpose == Purpose::Sign).unwrap();
    let began = UnixTime::from_secs(record.reserved_at.secs());
    assert_eq!(record.not_after.since(began).as_secs(), 400 * 86_400);
}

#[tokio::test]
async fn a_policy_that_is_wrong_makes_nothing() {
    let directory = Directory::new();
    let (dir, file) = (directory.join("ca"), directory.join("policy.toml"));
    let init = ["init", text(&dir), "--policy", text(&file)];
    assert!(fails(Exit::Disk, &init).await.contains("cannot read"));
    std::fs::write(&file, POLICY.replace("\"EE\"", "\"Estonia\"")).unwrap();
    let error = fails(Exit::Configuration, &init).await;
    assert!(error.contains("policy.toml: country is \"Estonia\", expected two capital letters"), "{error}");
    assert!(fails(Exit::Usage, &["init", text(&dir), "--naming", "Fi"]).await.contains("expected one of"));
    assert!(!dir.exists());
    // what is in its place is never touched
    std::fs::create_dir(&dir).unwrap();
    fails(Exit::NotAllowed, &["init", text(&dir), "--key", "p256"]).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_same_key_or_another() {
    if !has_openssl() {
        return;
    }
    let directory = Directory::new();
    let ca = made(&directory, "ca", POLICY, &[]).await;
    let path = |name: &str| text(&directory.join(name)).to_owned();
    let place = ["--dir", &ca];
    let tls = ["issue", "--new-key", &path("tls.key"), "--profile", "tls", "--out", &path("tls.pem")];
    let hosts = ["--host", "home.example", "--host", "127.0.1.1", "--name", "Land Board"];
    done(&[&tls[..], &hosts[..], &place[..]].concat()).await;

    let renew = ["renew", &path("tls.pem"), "--out", &path("again.pem"), "--lasts", "30 d", "--json"];
    let again = json(&done(&[&renew[..], &place[..]].concat()).await.out);
    let other = ["renew", &path("again.pem"), "--out", &path("other.pem"), "--new-key", &path("other.key")];
    done(&[&other[..], &["--key", "p256"], &place[..]].concat()).await;
    let ask = |file: &str, what: &[&str]| {
        openssl(&[&["x509", "-in", &path(file), "-noout"], what].concat()).unwrap()
    };
    for file in ["again.pem", "other.pem"] {
        for what in [&["-subject"][..], &["-ext", "subjectAltName,keyUsage,extendedKeyUsage"][..]] {
            assert_eq!(ask(file, what), ask("tls.pem", what));
        }
        assert_ne!(ask(file, &["-serial"]), ask("tls.pem", &["-serial"]));
        openssl(&["verify", "-x509_strict", "-CAfile", &format!("{ca}/ca.cert.pem"), &path(file)]).unwrap();
    }
    assert_eq!(ask("again.pem", &["-pubkey"]), ask("tls.pem", &["-pubkey"]));
    let made = openssl(&["pkey", "-in", &path("other.key"), "-pubout"]).unwrap();
    assert_eq!(ask("other.pem", &["-pubkey"]), made);
    // a request gives its key alone
    let asked = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=somebody else"];
    openssl(&[&asked[..], &["-keyout", &path("csr.key"), "-out", &path("csr.pem")]].concat()).unwrap();
    let third = ["renew", &path("tls.pem"), "--request", &path("csr.pem"), "--out", &path("third.pem")];
    done(&[&third[..], &place[..]].concat()).await;
    assert_eq!(ask("third.pem", &["-subject"]), ask("tls.pem", &["-subject"]));
    assert!(ask("third.pem", &["-text"]).contains("Public-Key: (2048 bit)"));

    let serial = again["serial"].as_str().unwrap();
    done(&[&["revoke", serial, "--yes"], &place[..]].concat()).await;
    let unused = path("unused.key");
    let refused = [&["renew", serial, "--new-key", &unused], &place[..]].concat();
    let error = fails(Exit::NotWell, &refused).await;
    assert!(error.contains("it was revoked") && error.contains(serial) && error.contains(&ca), "{error}");
    assert!(!std::path::Path::new(&unused).exists());
    fails(Exit::NotWell, &[&["renew", "41ff"], &place[..]].concat()).await;
}

#[test]
fn what_was_never_issued_is_not_renewed_and_may_be_revoked() {
    let directory = Directory::new();
    let place = directory.join("ca");
    drop(Authority::create(&place, Policy::new("CA", KeySpec::P256), NOW).unwrap());
    // a crash between record and signature
    let index = place.join("index.jsonl");
    let text = std::fs::read_to_string(&index).unwrap();
    let reserved = text.lines().next().unwrap().replace("\"serial\":\"", "\"serial\":\"00");
    std::fs::write(&index, format!("{text}{reserved}\n")).unwrap();
    let mut ca = Authority::open(&place).unwrap();
    let serial = ca.index().records().iter().find(|r| r.certificate.is_none()).unwrap().serial.clone();
    let refused = ca.renew(&serial, None, None, NOW);
    assert!(matches!(refused, Err(CaError::NotRenewed { reason: "it was never issued", .. })));
    ca.revoke(&serial, Reason::Unspecified, NOW, NOW).unwrap();
}

#[test]
fn subjects_of_requests_stay_as_they_are_written_when_renewed() {
    let directory = Directory::new();
    let mut ca = Authority::create(&directory.join("ca"), Policy::new("CA", KeySpec::P256), NOW).unwrap();
    let key = PrivateKey::generate(KeySpec::P384).unwrap();
    let subject = Subject::named(Some("EE"), Some("Põhja Amet"), "auth");
    let names = ["home.example", "::1", "10.0.0.1"].map(|name| name.parse::<AltName>().unwrap()).to_vec();
    let spki = key.signing().spki().to_vec();
    let order = Order { purpose: Purpose::Auth, spki, subject, names, member: None, lasts: None };
    let first = ca.issue(&order, NOW).unwrap();
    let later = NOW.plus(Duration::from_secs(86_400));
    let second = ca.renew(&first.serial_text(), None, None, later).unwrap();
    assert_eq!(second.subject(), first.subject());
    assert_eq!(second.public_key(), first.public_key());
    assert_eq!(second.not_after(), first.not_after().plus(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn who_finds_an_authority_in_use_waits_or_is_told_by_whom() {
    let directory = Directory::new();
    let dir = directory.join("ca");
    let held = Authority::create(&dir, Policy::new("CA", KeySpec::P256), NOW).unwrap();
    let crl = ["crl", "--dir", text(&dir), "--wait"];
    let error = fails(Exit::Unavailable, &[&crl[..], &["0 s"]].concat()).await;
    let own = format!("is held by process {}", std::process::id());
    assert!(error.contains(&own) && error.contains("--wait"), "{error}");
    assert!(matches!(
        Authority::open_within(&dir, Duration::from_millis(30)),
        Err(CaError::Index(IndexError::Locked { .. }))
    ));
    let waiting = std::thread::spawn({
        let dir = dir.clone();
        move || Authority::open_within(&dir, Duration::from_secs(60)).map(drop)
    });
    drop(held);
    waiting.join().unwrap().unwrap();
    done(&[&crl[..], &["1 min"]].concat()).await;
}
