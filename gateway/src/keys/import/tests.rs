//! Which certificates are taken.

use super::*;
use crate::keys::pin::PinSource;
use crate::testbed::{Bed, For, Holder, NOW, TestDir, member, server, write_key};
use rcgen::{CertificateParams, KeyUsagePurpose};
use saatkond_proto::id::MemberId;
use std::path::Path;

/// A key directory with one key of this use that is `holder`'s.
fn token_of(dir: &Path, holder: &Holder, usage: &str) -> Token {
    write_key(dir, "a", holder);
    std::fs::remove_file(dir.join("a.cert.pem")).unwrap();
    let text = format!("version = 1\n[[key]]\nname = \"a\"\nuse = \"{usage}\"\nactive = false\n");
    std::fs::write(dir.join("keys.toml"), text).unwrap();
    Token::look(dir, &PinSource::none()).unwrap()
}

fn judged(conf: &GlobalConf, holder: &Holder, usage: Usage, at: UnixTime) -> Result<Taken, ImportError> {
    let members = BTreeSet::from([member()]);
    Judge { server: &server(), members: &members, conf, at }.judge(&holder.certificate, &[], usage)
}

#[test]
fn certificates_of_an_approved_authority_are_taken() {
    let bed = Bed::new();
    let conf = bed.conf();
    let sign = judged(&conf, &bed.sign, Usage::Sign, NOW).unwrap();
    assert_eq!(sign, Taken { member: Some(member()), warning: None });
    let auth = judged(&conf, &bed.auth, Usage::Auth, NOW).unwrap();
    assert_eq!(auth, Taken { member: None, warning: None });
    let other = bed.issue("HOME", For::Authentication);
    let warned = judged(&conf, &other, Usage::Auth, NOW).unwrap();
    assert!(warned.warning.unwrap().contains("CN \"HOME\", expected \"TAX\""));
}

#[test]
fn strangers_and_certificates_of_other_times_are_refused() {
    let (bed, stranger) = (Bed::new(), Bed::new());
    let conf = bed.conf();
    let refused = |holder: &Holder, usage| judged(&conf, holder, usage, NOW).unwrap_err();
    assert!(matches!(refused(&stranger.sign, Usage::Sign), ImportError::Path(_)), "not approved");
    assert!(matches!(refused(&stranger.auth, Usage::Auth), ImportError::Path(_)));
    assert!(matches!(refused(&bed.ca, Usage::Sign), ImportError::SelfSigned { .. }));
    let other = refused(&bed.issue("M9", For::Signing), Usage::Sign);
    assert_eq!(other.to_string(), "it is one of DEV/GOV/M9, and this server has clients of: DEV/GOV/M1");
    let late = UnixTime::from_rfc3339("2027-06-01T00:00:00Z").unwrap();
    let expired = judged(&conf, &bed.sign, Usage::Sign, late).unwrap_err();
    assert!(matches!(expired, ImportError::Expired { .. }), "the configuration goes before: {expired}");
    assert!(matches!(is_timely(&bed.sign.certificate, late), Err(ImportError::NotNow { .. })));
}

#[test]
fn an_authority_for_authentication_only_vouches_for_no_signature() {
    let bed = Bed::new();
    let mut shared = bed.shared();
    shared.cas[0].authentication_only = true;
    let conf = bed.conf_of(shared);
    let refused = judged(&conf, &bed.sign, Usage::Sign, NOW).unwrap_err();
    assert!(matches!(refused, ImportError::Path(PathError::AuthenticationOnly { .. })), "{refused}");
    judged(&conf, &bed.auth, Usage::Auth, NOW).unwrap();
}

#[test]
fn a_profile_that_is_not_known_names_nobody() {
    let bed = Bed::new();
    let mut shared = bed.shared();
    shared.cas[0].profile = "com.example.Other".to_owned();
    let refused = judged(&bed.conf_of(shared), &bed.sign, Usage::Sign, NOW).unwrap_err();
    assert!(matches!(refused, ImportError::Nameless { profile: "unknown", .. }), "{refused}");
}

#[test]
fn a_certificate_finds_its_key_by_the_key_alone() {
    let (bed, dir) = (Bed::new(), TestDir::new("import"));
    let token = token_of(&dir.0, &bed.sign, "sign");
    assert_eq!(key_for(&token, &bed.sign.certificate).unwrap().name, "a");
    let other = bed.issue("M1", For::Signing);
    assert!(matches!(key_for(&token, &other.certificate), Err(ImportError::NoKey { .. })));
}

#[test]
fn a_certificate_is_taken_once() {
    let (bed, dir) = (Bed::new(), TestDir::new("import"));
    let token = token_of(&dir.0, &bed.sign, "sign");
    std::fs::write(dir.0.join("a.cert.pem"), &bed.sign.pem).unwrap();
    assert!(matches!(key_for(&token, &bed.sign.certificate), Err(ImportError::Twice(name)) if name == "a"));
}

#[test]
fn a_certificate_is_for_the_use_of_its_key() {
    let (bed, dir) = (Bed::new(), TestDir::new("import"));
    let token = token_of(&dir.0, &bed.sign, "auth");
    let refused = key_for(&token, &bed.sign.certificate).unwrap_err();
    assert!(refused.to_string().ends_with("is for use sign, and its key a is for use auth"), "{refused}");
    let token = token_of(&dir.0, &bed.auth, "sign");
    assert!(matches!(key_for(&token, &bed.auth.certificate), Err(ImportError::OtherUse { .. })));
    let token = token_of(&dir.0, &bed.auth, "internal-tls");
    key_for(&token, &bed.auth.certificate).unwrap();
}

#[test]
fn both_uses_and_none_are_refused() {
    let (bed, dir) = (Bed::new(), TestDir::new("import"));
    let token = token_of(&dir.0, &bed.sign, "sign");
    let with = |usages: &[KeyUsagePurpose]| {
        let mut params = CertificateParams::default();
        params.key_usages = usages.to_vec();
        Certificate::from_der(params.self_signed(&bed.sign.pair).unwrap().der()).unwrap()
    };
    let both = with(&[KeyUsagePurpose::ContentCommitment, KeyUsagePurpose::DigitalSignature]);
    assert!(matches!(key_for(&token, &both), Err(ImportError::BothUses { .. })));
    for none in [with(&[KeyUsagePurpose::KeyAgreement]), with(&[])] {
        assert!(matches!(key_for(&token, &none), Err(ImportError::NoUse { .. })));
    }
    let more = with(&[KeyUsagePurpose::ContentCommitment, KeyUsagePurpose::KeyCertSign]);
    assert_eq!(key_for(&token, &more).unwrap().name, "a", "as X-Road takes it");
}

#[test]
fn a_member_of_another_instance_is_a_stranger() {
    let bed = Bed::new();
    let members = BTreeSet::from([MemberId::new("OTHER", "GOV", "M1")]);
    let judge = Judge { server: &server(), members: &members, conf: &bed.conf(), at: NOW };
    let refused = judge.judge(&bed.sign.certificate, &[], Usage::Sign).unwrap_err();
    assert!(matches!(refused, ImportError::Stranger { .. }), "{refused}");
}
