//! An authority: what it issues, what it refuses, what openssl says of it.

use crate::support::{Directory, has_openssl, openssl, text};
use saatkond_ca::ca::{Authority, CaError, Order, Policy};
use saatkond_ca::index::{Purpose, Reason};
use saatkond_ca::key::{KeySpec, PrivateKey, rsa_is_possible};
use saatkond_ca::naming::{self, Details, Subject};
use saatkond_ca::pem;
use saatkond_ca::request::{AltName, Request};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::path::{self, is_authentication, is_signing};
use saatkond_proto::trust::profile::Profile;
use saatkond_proto::trust::{ApprovedCa, CaService};
use std::sync::Arc;
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

fn server() -> ServerId {
    ServerId { owner: MemberId::new("DEV", "GOV", "M2"), code: "HOME".to_owned() }
}

fn details() -> Details {
    Details {
        organization: Some("Land Board".to_owned()),
        dns: Some("home.land.example".to_owned()),
        country: Some("EE".to_owned()),
    }
}

fn order(purpose: Purpose, subject: Subject, key: &PrivateKey) -> Order {
    let spki = key.signing().spki().to_vec();
    Order { purpose, spki, subject, names: Vec::new(), member: None, lasts: None }
}

fn authority(directory: &Directory) -> Authority {
    let mut policy = Policy::new("DEV Root CA", KeySpec::P256);
    policy.ocsp_urls = vec!["http://127.0.0.1:4080/ocsp".to_owned()];
    Authority::create(&directory.join("ca"), policy, NOW).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeySpec::P256).unwrap()
}

#[test]
fn each_purpose_has_its_key_usage() {
    let directory = Directory::new();
    let mut ca = authority(&directory);
    let mut issue = |purpose| {
        let subject = Subject::named(None, None, "x");
        ca.issue(&order(purpose, subject, &key()), NOW).unwrap()
    };
    let sign = issue(Purpose::Sign);
    assert_eq!((is_signing(&sign), is_authentication(&sign)), (Ok(true), Ok(false)));
    assert!(!sign.key_usage().unwrap().key_cert_sign());
    let auth = issue(Purpose::Auth);
    assert_eq!((is_signing(&auth), is_authentication(&auth)), (Ok(false), Ok(true)));
    assert!(auth.may_authenticate_client());
    assert_eq!(auth.ocsp_urls(), ["http://127.0.0.1:4080/ocsp"]);
    let usage = auth.key_usage().unwrap();
    assert!(usage.digital_signature() && usage.key_encipherment() && usage.data_encipherment());
    assert!(issue(Purpose::Ocsp).may_sign_ocsp());
    let tsa = issue(Purpose::Tsa);
    assert!(tsa.may_stamp_time() && !tsa.may_sign_ocsp());
    assert!(issue(Purpose::Ca).is_ca());
    assert!(!issue(Purpose::Tls).is_ca());
}

#[test]
fn subjects_of_all_profiles_name_the_member_again() {
    for profile in naming::PROFILES {
        let directory = Directory::new();
        let mut policy = Policy::new("CA", KeySpec::P256);
        policy.naming = naming::short_name(profile).to_owned();
        let mut ca = Authority::create(&directory.join("ca"), policy, NOW).unwrap();
        let (member, server) = if profile == Profile::SkKlass3 {
            let member = MemberId::new("EE", "GOV", "70000000");
            (member.clone(), ServerId { owner: member, code: "HOME".to_owned() })
        } else {
            (server().owner, server())
        };
        let Ok(subject) = Subject::of_member(profile, &member, &server, &details()) else {
            assert_eq!(profile, Profile::SkEsteId);
            continue;
        };
        let mut order = order(Purpose::Sign, subject, &key());
        order.member = Some(member.clone());
        let sign = ca.issue(&order, NOW).unwrap();
        assert_eq!(profile.member_of(&sign, &member), Ok(member));
        let auth = Subject::of_server(profile, &server, &details()).unwrap();
        let auth = ca.issue(&auth_order(auth), NOW).unwrap();

        let service = CaService { certificate: Arc::clone(ca.certificate()), ocsp: Vec::new() };
        let approved = [ApprovedCa {
            name: "CA".to_owned(),
            authentication_only: false,
            top: service,
            intermediates: Vec::new(),
            profile: Some(profile),
        }];
        path::for_signing(&sign, &[], &approved, NOW).unwrap();
        path::to_issuer(&auth, &[], &approved, NOW).unwrap();
        path::of_peer(&path::own_chain(&auth, &approved), &approved, NOW).unwrap();
        assert!(
            path::for_signing(&sign, &[], &approved, sign.not_after().plus(Duration::from_secs(1))).is_err()
        );
    }
}

fn auth_order(subject: Subject) -> Order {
    order(Purpose::Auth, subject, &key())
}

#[test]
fn what_breaks_a_rule_takes_no_serial() {
    let directory = Directory::new();
    let mut ca = authority(&directory);
    let before = ca.index().records().len();
    let refused = |answer: Result<_, CaError>| match answer {
        Err(CaError::Lint(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let mut wrong = order(Purpose::Sign, Subject::named(Some("FI"), Some("GOV"), "M9"), &key());
    wrong.member = Some(server().owner);
    let reason = refused(ca.issue(&wrong, NOW));
    assert!(reason.contains("DEV/GOV/M2"), "{reason}");
    refused(ca.issue(&order(Purpose::Auth, Subject::new(), &key()), NOW));
    let own = PrivateKey::open(&directory.join("ca/ca.key.pem")).unwrap();
    refused(ca.issue(&order(Purpose::Auth, Subject::named(None, None, "x"), &own), NOW));
    let late = ca.certificate().not_after().plus(Duration::from_secs(1));
    refused(ca.issue(&order(Purpose::Auth, Subject::named(None, None, "x"), &key()), late));
    assert_eq!(ca.index().records().len(), before);
}

#[test]
fn no_certificate_outlives_the_authority() {
    let directory = Directory::new();
    let mut policy = Policy::new("CA", KeySpec::P384);
    policy.lasting.ca = "10 d".parse().unwrap();
    let mut ca = Authority::create(&directory.join("ca"), policy, NOW).unwrap();
    let leaf = ca.issue(&auth_order(Subject::named(None, None, "x")), NOW).unwrap();
    assert_eq!(leaf.not_after(), ca.certificate().not_after());
    assert!(leaf.not_before() < NOW);
}

#[test]
fn an_authority_is_opened_again_and_by_one_process_only() {
    let directory = Directory::new();
    let mut ca = authority(&directory);
    let leaf = ca.issue(&auth_order(Subject::named(None, None, "x")), NOW).unwrap();
    let path = directory.join("ca");
    assert!(matches!(Authority::open(&path), Err(CaError::Index(_))));
    drop(ca);
    let mut ca = Authority::open(&path).unwrap();
    let record = ca.index().record(&leaf.serial_text()).unwrap();
    assert_eq!(record.certificate.as_deref(), Some(leaf.der()));
    ca.revoke(&leaf.serial_text(), Reason::Superseded, NOW, NOW).unwrap();
    let again = ca.revoke(&leaf.serial_text(), Reason::Superseded, NOW, NOW);
    assert!(matches!(again, Err(CaError::AlreadyRevoked { .. })));
    assert!(matches!(ca.revoke("00ff", Reason::Superseded, NOW, NOW), Err(CaError::UnknownSerial(_))));
    let exists = Authority::create(&path, Policy::new("CA", KeySpec::P256), NOW);
    assert!(matches!(exists, Err(CaError::Exists(_))));
    let taken = ca.index().records().len();
    let below = Authority::create_below(&path, Policy::new("CA", KeySpec::P256), &mut ca, NOW);
    assert!(matches!(below, Err(CaError::Exists(_))));
    assert_eq!(ca.index().records().len(), taken);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(path.join("ca.key.pem")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_request_that_openssl_made_becomes_a_certificate_that_openssl_accepts() {
    if !has_openssl() {
        return;
    }
    let directory = Directory::new();
    let mut ca = authority(&directory);
    let mut policy = Policy::new("DEV Issuing CA", KeySpec::P384);
    policy.organization = Some("Põhja Amet".to_owned());
    let mut below = Authority::create_below(&directory.join("below"), policy, &mut ca, NOW).unwrap();
    let (key_file, csr_file) = (directory.join("k.pem"), directory.join("r.csr"));
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        text(&key_file),
        "-out",
        text(&csr_file),
        "-subj",
        "/C=FI/O=Land Board/serialNumber=DEV\\/HOME\\/GOV/CN=M2",
        "-addext",
        "keyUsage=nonRepudiation,keyCertSign",
        "-addext",
        "subjectAltName=DNS:home.example,IP:127.0.1.1",
    ])
    .unwrap();
    let request = Request::read(&std::fs::read(&csr_file).unwrap()).unwrap();
    let order = Order {
        purpose: Purpose::Sign,
        spki: request.spki().to_vec(),
        subject: request.subject().clone(),
        names: request.names().to_vec(),
        member: Some(server().owner),
        lasts: None,
    };
    let leaf = below.issue(&order, NOW).unwrap();
    let leaf_file = directory.join("leaf.pem");
    std::fs::write(&leaf_file, pem::encode(pem::CERTIFICATE, leaf.der())).unwrap();
    let at = NOW.secs().to_string();
    let (root, issuing) = (directory.join("ca/ca.cert.pem"), directory.join("below/ca.cert.pem"));
    openssl(&[
        "verify",
        "-attime",
        &at,
        "-x509_strict",
        "-CAfile",
        text(&root),
        "-untrusted",
        text(&issuing),
        text(&leaf_file),
    ])
    .unwrap();
    let shown =
        openssl(&["x509", "-in", text(&leaf_file), "-noout", "-ext", "keyUsage,subjectAltName"]).unwrap();
    assert!(shown.contains("X509v3 Key Usage: critical\n    Non Repudiation\n"), "{shown}");
    assert!(shown.contains("DNS:home.example, IP Address:127.0.1.1"), "{shown}");
    assert_eq!(request.names().first(), Some(&AltName::Dns("home.example".to_owned())));
}

#[test]
fn openssl_accepts_every_purpose_strictly_and_reads_the_revocation_list() {
    if !has_openssl() {
        return;
    }
    let directory = Directory::new();
    let mut ca = authority(&directory);
    let kind = if rsa_is_possible() { KeySpec::Rsa2048 } else { KeySpec::P384 };
    let at = NOW.secs().to_string();
    let root = directory.join("ca/ca.cert.pem");
    let file = directory.join("leaf.pem");
    for (purpose, asked) in [
        (Purpose::Auth, "sslserver"),
        (Purpose::Auth, "sslclient"),
        (Purpose::Tls, "sslserver"),
        (Purpose::Ocsp, "ocsphelper"),
        (Purpose::Tsa, "timestampsign"),
        (Purpose::Sign, "any"),
    ] {
        let key = PrivateKey::generate(kind).unwrap();
        let leaf = ca.issue(&order(purpose, Subject::named(None, None, "x"), &key), NOW).unwrap();
        std::fs::write(&file, pem::encode(pem::CERTIFICATE, leaf.der())).unwrap();
        openssl(&[
            "verify",
            "-attime",
            &at,
            "-x509_strict",
            "-purpose",
            asked,
            "-CAfile",
            text(&root),
            text(&file),
        ])
        .unwrap();
        key.save(&directory.join(&format!("{}-{asked}.pem", purpose.name()))).unwrap();
        let checked = directory.join(&format!("{}-{asked}.pem", purpose.name()));
        openssl(&["pkey", "-in", text(&checked), "-check", "-noout"]).unwrap();
        ca.revoke(&leaf.serial_text(), Reason::KeyCompromise, NOW, NOW).unwrap();
    }
    let list = ca.revocation_list(NOW, Duration::from_secs(86_400)).unwrap();
    let list_file = directory.join("ca.crl");
    std::fs::write(&list_file, pem::encode(pem::CRL, &list)).unwrap();
    let shown =
        openssl(&["crl", "-in", text(&list_file), "-CAfile", text(&root), "-noout", "-text", "-verify"])
            .unwrap();
    assert!(shown.contains("verify OK") && shown.matches("Key Compromise").count() == 6, "{shown}");
    let revoked = openssl(&[
        "verify",
        "-attime",
        &at,
        "-crl_check",
        "-CRLfile",
        text(&list_file),
        "-CAfile",
        text(&root),
        text(&file),
    ]);
    assert!(revoked.unwrap_err().contains("certificate revoked"));
}
