//! Keys made, certified and taken out of use; openssl as the other side.

use super::*;
use crate::keys::Keys;
use crate::testbed::{NOW, TestDir, openssl};
use saatkond_ca::key::rsa_is_possible;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// A certificate of this key, as an authority would make it.
fn certificate_of(entry: &Entry) -> Vec<Arc<Certificate>> {
    let pem = fs::read_to_string(&entry.key).unwrap();
    let pair = rcgen::KeyPair::from_pem(&pem).unwrap();
    let made = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
    vec![Arc::new(Certificate::from_der(made.der()).unwrap())]
}

#[test]
fn a_key_waits_for_its_certificate_and_its_owner_alone_reads_it() {
    let dir = TestDir::new("token");
    let keys = dir.0.join("state/keys");
    let mut token = Token::make(&keys, &PinSource::none()).unwrap();
    let made = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    assert_eq!((made.name.as_str(), made.is_active), ("sign", false));
    assert_eq!((mode(&keys), mode(&made.key)), (0o700, 0o600));
    assert_eq!(
        token.public_key(&made).unwrap(),
        *open(&made.key, &PinSource::none()).unwrap().signing().public_key()
    );
    assert_eq!(
        Keys::open(&keys, 1, &PinSource::none()).unwrap().certificates().len(),
        0,
        "a gateway starts without it"
    );
    let activated = token.activate("sign");
    assert!(matches!(activated, Err(TokenError::Keys(KeysError::Unreadable { .. }))), "{activated:?}");
    token.import("sign", &certificate_of(&made)).unwrap();
    token.activate("sign").unwrap();
    assert_eq!(Keys::open(&keys, 1, &PinSource::none()).unwrap().certificates().len(), 1);
}

#[test]
fn names_follow_each_other_and_nothing_is_overwritten() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let mut name = |given, usage| token.generate(given, usage, KeySpec::P256).map(|entry| entry.name);
    assert_eq!(name(None, Usage::Auth).unwrap(), "auth");
    assert_eq!(name(None, Usage::Auth).unwrap(), "auth-2");
    assert_eq!(name(None, Usage::InternalTls).unwrap(), "internal");
    assert_eq!(name(Some("m2"), Usage::Sign).unwrap(), "m2");
    assert!(matches!(name(Some("m2"), Usage::Sign), Err(TokenError::Taken(_))));
    fs::write(dir.0.join("left.cert.pem"), "").unwrap();
    assert!(matches!(name(Some("left"), Usage::Sign), Err(TokenError::Taken(_))));
    for bad in ["", "../a", ".a", "a b", "ä"] {
        assert!(matches!(name(Some(bad), Usage::Sign), Err(TokenError::Name(_))), "{bad:?}");
    }
    assert!(matches!(token.entry("none"), Err(TokenError::Unknown { .. })));
}

#[test]
fn comments_of_the_index_stay_and_keys_without_a_name_have_that_of_their_file() {
    let dir = TestDir::new("token");
    let text = "# ours\nversion = 1\n[[key]] # old\nuse = \"sign\"\nkey = \"old.key.pem\"\ncertificate = \"c.pem\"\nactive = false\n";
    fs::write(dir.0.join(FILE), text).unwrap();
    let mut token = Token::change(&dir.0, &PinSource::none()).unwrap();
    assert_eq!(token.entries()[0].name, "old");
    token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    token.retire("old", NOW).unwrap();
    let written = fs::read_to_string(dir.0.join(FILE)).unwrap();
    assert!(written.starts_with("# ours\nversion = 1\n[[key]] # old\n"), "{written}");
    assert!(written.contains("retired = \"2026-01-02T03:04:05Z\""), "{written}");
    assert_eq!(token.entry("old").unwrap().retired.as_deref(), Some("2026-01-02T03:04:05Z"));
}

#[test]
fn one_command_changes_the_directory_at_a_time() {
    let dir = TestDir::new("token");
    let nothing = Token::change(&dir.0, &PinSource::none());
    assert!(
        matches!(nothing, Err(TokenError::Keys(KeysError::Unreadable { .. }))),
        "nothing is made unasked"
    );
    let first = Token::make(&dir.0, &PinSource::none()).unwrap();
    assert!(matches!(Token::change(&dir.0, &PinSource::none()), Err(TokenError::Busy(_))));
    Token::look(&dir.0, &PinSource::none()).unwrap();
    drop(first);
    Token::change(&dir.0, &PinSource::none()).unwrap();
}

#[test]
fn a_second_certificate_of_a_key_stands_beside_the_first() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let made = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    let (first, second) = (certificate_of(&made), certificate_of(&made));
    assert_eq!(token.import("sign", &first).unwrap().name, "sign");
    let renewed = token.import("sign", &second).unwrap();
    assert_eq!((renewed.name.as_str(), &renewed.key), ("sign-2", &made.key));
    assert_eq!(token.holder_of(&first[0]).unwrap().unwrap().name, "sign");
    assert_eq!(token.holder_of(&second[0]).unwrap().unwrap().name, "sign-2");
    token.activate("sign").unwrap();
    token.activate("sign-2").unwrap();
    assert_eq!(Keys::open(&dir.0, 1, &PinSource::none()).unwrap().certificates().len(), 2);
    token.retire("sign", NOW).unwrap();
    assert_eq!(Keys::open(&dir.0, 1, &PinSource::none()).unwrap().certificates().len(), 1);
    let public = token.public_key(&made).unwrap();
    assert_eq!(token.key_of(&public).unwrap().unwrap().name, "sign-2", "not the retired one");
}

#[test]
fn a_retired_key_comes_back_unless_it_was_removed() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let made = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    token.import("sign", &certificate_of(&made)).unwrap();
    token.activate("sign").unwrap();
    token.retire("sign", NOW).unwrap();
    token.activate("sign").unwrap();
    assert_eq!(token.entry("sign").unwrap().retired, None);
    token.retire("sign", NOW).unwrap();
    token.destroy("sign").unwrap();
    assert!(!made.key.exists() && made.certificate.exists());
    assert!(token.activate("sign").is_err());
    assert_eq!(token.generate(None, Usage::Sign, KeySpec::P256).unwrap().name, "sign-2", "names stay taken");
}

#[test]
fn a_certificate_of_another_key_is_never_activated() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let made = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    let other = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    token.import("sign", &certificate_of(&other)).unwrap();
    let activated = token.activate(&made.name);
    assert!(matches!(activated, Err(TokenError::Keys(KeysError::Malformed { .. }))), "{activated:?}");
}

#[test]
fn openssl_verifies_our_requests_and_reads_our_keys() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let subject = Subject::named(Some("FI"), Some("Tax Board"), "M1");
    let names = ["tax.example".parse().unwrap()];
    for spec in KeySpec::ALL {
        if spec == KeySpec::Rsa4096 || (spec.is_rsa() && !rsa_is_possible()) {
            continue;
        }
        for (usage, expected) in
            [(Usage::Auth, "Digital Signature, Key Encipherment"), (Usage::Sign, "Non Repudiation")]
        {
            let entry = token.generate(None, usage, spec).unwrap();
            let der = token.request(&entry.name, &subject, &names).unwrap();
            let file = dir.0.join("request.der");
            fs::write(&file, der).unwrap();
            let file = file.to_str().unwrap();
            let words = ["req", "-verify", "-noout", "-text", "-inform", "DER", "-in", file];
            let Some((success, said)) = openssl(&words) else { return };
            assert!(success && said.contains("verify OK"), "{spec}: {said}");
            assert!(said.contains(expected) && said.contains("DNS:tax.example"), "{spec}: {said}");
            assert!(!said.contains("Certificate Sign"), "{said}");
            let key = entry.key.to_str().unwrap();
            let (success, said) = openssl(&["pkey", "-in", key, "-check", "-noout"]).unwrap();
            assert!(success, "{spec}: {said}");
        }
    }
}

#[test]
fn a_key_that_others_may_read_makes_no_request() {
    let dir = TestDir::new("token");
    let mut token = Token::make(&dir.0, &PinSource::none()).unwrap();
    let made = token.generate(None, Usage::Sign, KeySpec::P256).unwrap();
    fs::set_permissions(&made.key, Permissions::from_mode(0o644)).unwrap();
    let request = token.request("sign", &Subject::named(None, None, "x"), &[]);
    assert!(matches!(request, Err(TokenError::Keys(KeysError::Exposed { .. }))));
}
