//! Keys under a PIN; openssl as the other side.

use super::*;
use crate::keys::token::Token;
use crate::keys::{Keys, Usage};
use crate::testbed::{TestDir, openssl};
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_proto::time::UnixTime;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

const PIN: &str = "Secret-1234 õ";

fn write(dir: &TestDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let file = dir.0.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    file
}

fn pin_in(dir: &TestDir, name: &str, pin: &str) -> PinSource {
    PinSource::of(Some(&write(dir, name, pin, 0o600)))
}

fn new(pin: &str) -> Pin {
    Pin::new(Zeroizing::new(pin.to_owned())).unwrap()
}

#[test]
fn the_pin_opens_and_another_explains_itself() {
    let dir = TestDir::new("pin");
    let key = PrivateKey::generate(KeySpec::P256).unwrap();
    let file = write(&dir, "a.key.pem", &seal(key.pkcs8(), &new(PIN)).unwrap(), 0o600);
    // An editor ends the line.
    let opened = read(&file, &pin_in(&dir, "pin", &format!("{PIN}\n"))).unwrap();
    assert_eq!(&*opened, key.pkcs8());
    let wrong = read(&file, &pin_in(&dir, "wrong", "another one")).unwrap_err();
    assert!(matches!(wrong, KeysError::WrongPin { .. }));
    assert!(wrong.to_string().starts_with("the PIN from "), "{wrong}");
    for _ in 0..5 {
        assert!(read(&file, &pin_in(&dir, "wrong", "another one")).is_err());
    }
    read(&file, &pin_in(&dir, "pin", PIN)).unwrap();
    assert!(matches!(read(&file, &PinSource::none()), Err(KeysError::NoPin { .. })));
}

#[test]
fn a_pin_file_is_its_owners_and_has_one_line() {
    let dir = TestDir::new("pin");
    let exposed = write(&dir, "exposed", PIN, 0o640);
    assert!(matches!(Pin::read(&exposed), Err(KeysError::Exposed { .. })));
    for text in ["", "\n", "one\ntwo\n"] {
        let file = write(&dir, "pin", text, 0o600);
        assert!(matches!(Pin::read(&file), Err(KeysError::Malformed { .. })), "{text:?}");
    }
    assert!(matches!(Pin::read(&dir.0.join("none")), Err(KeysError::Unreadable { .. })));
    assert!(Pin::new(Zeroizing::new("short".to_owned())).unwrap_err().contains("has 5 characters"));
    assert!(Pin::new(Zeroizing::new("long enough\n".to_owned())).is_err());
}

#[test]
fn nothing_prints_a_pin() {
    let dir = TestDir::new("pin");
    assert_eq!(format!("{:?} {:?}", new(PIN), pin_in(&dir, "pin", PIN)), "Pin PinSource");
}

#[test]
fn openssl_reads_what_we_encrypt_and_we_read_what_it_encrypts() {
    let dir = TestDir::new("pin");
    let key = PrivateKey::generate(KeySpec::P384).unwrap();
    let ours = write(&dir, "ours.pem", &seal(key.pkcs8(), &new(PIN)).unwrap(), 0o600);
    let plain = write(&dir, "plain.pem", &pem::encode(pem::PRIVATE_KEY, key.pkcs8()), 0o600);
    let pins = pin_in(&dir, "pin", PIN);
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let pin = format!("file:{}", path(&dir.0.join("pin")));
    let (out, ours, plain) = (path(&dir.0.join("out.pem")), path(&ours), path(&plain));
    let Some((success, said)) = openssl(&["pkcs8", "-in", &ours, "-passin", &pin, "-out", &out]) else {
        return;
    };
    assert!(success, "{said}");
    let read_by_openssl = pem::der_or_pem(pem::PRIVATE_KEY, &fs::read(&out).unwrap()).unwrap();
    assert_eq!(
        PrivateKey::from_pkcs8(Zeroizing::new(read_by_openssl)).unwrap().signing().spki(),
        key.signing().spki()
    );
    for how in [&["-scrypt"][..], &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"], &["-v2", "aes128"]] {
        let words = ["pkcs8", "-topk8", "-in", &plain, "-passout", &pin, "-out", &out];
        let (success, said) = openssl(&[&words[..], how].concat()).unwrap();
        assert!(success, "{said}");
        fs::set_permissions(&out, Permissions::from_mode(0o600)).unwrap();
        let opened = PrivateKey::from_pkcs8(read(Path::new(&out), &pins).unwrap()).unwrap();
        assert_eq!(opened.signing().spki(), key.signing().spki(), "{how:?}");
    }
    let words = ["pkcs8", "-topk8", "-in", &plain, "-passout", &pin, "-out", &out, "-v1", "PBE-SHA1-3DES"];
    if openssl(&words).unwrap().0 {
        let refused = read(Path::new(&out), &pins).unwrap_err();
        assert!(matches!(refused, KeysError::Malformed { .. }), "{refused}");
    }
}

/// A key directory with a sign key and an authentication key, certified by themselves and active.
fn token(dir: &TestDir, pins: &PinSource) -> Token {
    let mut token = Token::make(&dir.0, pins).unwrap();
    for usage in [Usage::Sign, Usage::Auth] {
        let entry = token.generate(None, usage, KeySpec::P256).unwrap();
        let key = PrivateKey::from_pkcs8(read(&entry.key, pins).unwrap()).unwrap();
        let pair = rcgen::KeyPair::try_from(key.pkcs8()).unwrap();
        let made = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let made = saatkond_proto::trust::Certificate::from_der(made.der()).unwrap();
        token.import(&entry.name, &[Arc::new(made)]).unwrap();
        token.activate(&entry.name).unwrap();
    }
    token
}

#[test]
fn with_a_pin_keys_are_made_encrypted_and_the_gateway_opens_them() {
    let dir = TestDir::new("pin");
    let pins = pin_in(&dir, "pin", PIN);
    let mut token = token(&dir, &pins);
    assert!(token.entries().iter().all(|entry| !entry.is_unencrypted()));
    let keys = Keys::open(&dir.0, 1, &pins).unwrap();
    assert_eq!((keys.certificates().len(), keys.unencrypted()), (2, 0));
    let request = token.request("sign", &Subject::named(None, None, "M1"), &[]).unwrap();
    saatkond_ca::request::Request::read(&request).unwrap();
    assert!(matches!(Keys::open(&dir.0, 1, &PinSource::none()), Err(KeysError::NoPin { .. })));
    // With another PIN no further key is made: the gateway could not open both.
    write(&dir, "pin", "another one", 0o600);
    assert!(token.generate(None, Usage::Sign, KeySpec::P256).is_err());
    assert!(!dir.0.join("sign-2.key.pem").exists());
}

#[test]
fn keys_are_encrypted_under_a_new_pin_all_or_none_and_again() {
    let dir = TestDir::new("pin");
    let mut plain = token(&dir, &PinSource::none());
    assert_eq!(Keys::open(&dir.0, 1, &PinSource::none()).unwrap().unencrypted(), 2);
    assert_eq!(plain.encrypt(Some(&new(PIN))).unwrap(), 2);
    assert_eq!(plain.encrypt(Some(&new(PIN))).unwrap(), 0, "they are already");
    drop(plain);
    let pins = pin_in(&dir, "pin", PIN);
    Keys::open(&dir.0, 1, &pins).unwrap();
    let before = fs::read(dir.0.join("auth.key.pem")).unwrap();
    let mut locked = Token::change(&dir.0, &pin_in(&dir, "wrong", "another one")).unwrap();
    assert!(locked.encrypt(Some(&new("a third one"))).is_err());
    assert_eq!(fs::read(dir.0.join("auth.key.pem")).unwrap(), before, "nothing was changed");
    drop(locked);
    // Interrupted between two keys: one has the new PIN, the other the old one.
    let mut token = Token::change(&dir.0, &pins).unwrap();
    let sign = dir.0.join("sign.key.pem");
    fs::write(&sign, seal(&read(&sign, &pins).unwrap(), &new("a third one")).unwrap()).unwrap();
    assert_eq!(token.encrypt(Some(&new("a third one"))).unwrap(), 1);
    drop(token);
    let third = pin_in(&dir, "third", "a third one");
    Keys::open(&dir.0, 1, &third).unwrap();
    assert_eq!(fs::metadata(&sign).unwrap().permissions().mode() & 0o777, 0o600);
    let mut token = Token::change(&dir.0, &third).unwrap();
    assert_eq!(token.encrypt(None).unwrap(), 2);
    token.retire("sign", UnixTime::from_secs(0)).unwrap();
    Keys::open(&dir.0, 1, &PinSource::none()).unwrap();
}
