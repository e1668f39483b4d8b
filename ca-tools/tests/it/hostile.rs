//! Bytes that nobody should send: the OCSP responder and the time-stamping authority answer each with the right refusal.

use crate::support::Directory;
use saatkond_ca::ca::{Authority, Order, Policy, read_certificates};
use saatkond_ca::index::Purpose;
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_ca::ocsp::{Pace, Responder};
use saatkond_ca::pem;
use saatkond_ca::tsa::{DEFAULT_POLICY, Stamper};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::der::{self, tag};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::{self, OcspError, Status};
use saatkond_proto::trust::{Certificate, tsp};
use std::sync::Arc;
use std::time::Duration;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

fn issue(ca: &mut Authority, purpose: Purpose, key: &PrivateKey) -> Arc<Certificate> {
    let spki = key.signing().spki().to_vec();
    let subject = Subject::named(None, None, "x");
    let order = Order { purpose, spki, subject, names: Vec::new(), member: None, lasts: None };
    ca.issue(&order, NOW).unwrap()
}

/// An authority, one certificate of it, and its responder.
fn desk(directory: &Directory, remember: Duration) -> (Authority, Arc<Certificate>, Responder) {
    let place = directory.join("ca");
    let mut ca = Authority::create(&place, Policy::new("CA", KeySpec::P256), NOW).unwrap();
    let leaf = issue(&mut ca, Purpose::Sign, &PrivateKey::generate(KeySpec::P256).unwrap());
    let pace = Pace { next_update: Duration::from_secs(3600), remember };
    (ca, leaf, Responder::open(&[place], pace).unwrap())
}

/// What is wrong with `whole`: every bit turned, every end cut, something behind it.
fn spoilt(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let turned = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    turned.chain((0..whole.len()).map(|cut| whole[..cut].to_vec())).chain([[whole, &[0]].concat()])
}

#[test]
fn an_ocsp_request_with_any_bit_changed_is_refused_or_answered_for_what_it_then_asks() {
    let directory = Directory::new();
    let (ca, leaf, responder) = desk(&directory, Duration::ZERO);
    let whole = ocsp::request(&leaf, ca.certificate());
    let mut kinds = [0; 4];
    for bytes in spoilt(&whole) {
        let (answer, trouble) = responder.answer(&bytes, NOW);
        assert!(trouble.is_none(), "{trouble:?}");
        let kind = match ocsp::Response::from_der(&answer) {
            Err(OcspError::Refused { found: 1 }) => 0,
            Err(OcspError::Refused { found: 6 }) => 1,
            Ok(response) if response.status() == Status::Unknown => 2,
            // what changed does not change what is asked: parameters of the digest's identifier
            Ok(response) => {
                assert_eq!(response.status(), Status::Good);
                assert!(!response.covers(&leaf, ca.certificate()), "{bytes:02x?}");
                3
            }
            Err(error) => panic!("{error}: {bytes:02x?}"),
        };
        kinds[kind] += 1;
    }
    // cut and unreadable, of another issuer, of another serial; nothing else is good
    assert!(kinds[0] > whole.len() && kinds[1] > 300 && kinds[2] > 100 && kinds[3] == 0, "{kinds:?}");
}

/// A request as RFC 6960 writes it, with these extensions: identifier, critical, value.
fn asked(id: &[u8], extensions: &[(&[u8], bool, &[u8])]) -> Vec<u8> {
    let list = extensions.iter().map(|(oid, critical, value)| {
        let mut parts = vec![der::write(tag::OID, oid)];
        parts.extend(critical.then(|| der::write(tag::BOOLEAN, &[0xff])));
        parts.push(der::write(tag::OCTET_STRING, value));
        der::sequence(parts)
    });
    let extensions = der::write(tag::context(2), &der::sequence(list));
    der::sequence([der::sequence([der::sequence([der::sequence([id])]), extensions])])
}

#[test]
fn nonces_come_back_and_are_bounded_and_unknown_demands_are_refused() {
    const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];
    let directory = Directory::new();
    let (ca, leaf, responder) = desk(&directory, Duration::from_secs(30));
    let plain = ocsp::request(&leaf, ca.certificate());
    let id = ocsp::parse_request(&plain).unwrap().questions[0].cert_id.clone();
    let refused = |bytes: &[u8]| match ocsp::Response::from_der(&responder.answer(bytes, NOW).0) {
        Err(OcspError::Refused { found }) => found,
        other => panic!("{other:?}"),
    };
    let octets = |length: usize| der::write(tag::OCTET_STRING, &vec![7; length]);
    for length in [1, 16, 32, 128] {
        let (answer, _) = responder.answer(&asked(&id, &[(NONCE, false, &octets(length))]), NOW);
        assert_eq!(ocsp::Response::from_der(&answer).unwrap().status(), Status::Good);
        let nonce = octets(length);
        let holds = |bytes: &[u8]| bytes.windows(nonce.len()).any(|found| found == nonce);
        assert!(holds(&answer), "nonce of {length} bytes");
        // what was said with a nonce is said to nobody else
        let (other, _) = responder.answer(&plain, NOW);
        assert!(length == 1 || !holds(&other));
    }
    assert_eq!(refused(&asked(&id, &[(NONCE, false, &octets(200))])), 1);
    assert_eq!(refused(&asked(&id, &[(&[0x2a, 3, 4], true, &[])])), 1);
    let (answer, _) = responder.answer(&asked(&id, &[(&[0x2a, 3, 4], false, &[])]), NOW);
    assert_eq!(ocsp::Response::from_der(&answer).unwrap().status(), Status::Good);
    let one = der::sequence([&id]);
    let many = |count: usize| der::sequence([der::sequence([der::sequence(vec![one.clone(); count])])]);
    assert_eq!(ocsp::Response::from_der(&responder.answer(&many(16), NOW).0).unwrap().status(), Status::Good);
    assert_eq!((refused(&many(17)), refused(&many(0)), refused(&[])), (1, 1, 1));
}

#[test]
fn what_was_signed_is_said_again_only_while_it_is_true_and_young() {
    let directory = Directory::new();
    let (mut ca, leaf, responder) = desk(&directory, Duration::from_secs(30));
    let request = ocsp::request(&leaf, ca.certificate());
    let after = |secs: u64| NOW.plus(Duration::from_secs(secs));
    let answer = |at: UnixTime| responder.answer(&request, at).0;
    let first = answer(NOW);
    assert_eq!(answer(after(29)), first);
    let later = answer(after(30));
    assert_eq!(ocsp::Response::from_der(&later).unwrap().this_update(), after(30));
    assert_eq!(
        ocsp::Response::from_der(&answer(NOW)).unwrap().this_update(),
        NOW,
        "a clock that was set back"
    );
    // another certificate changes nothing for this one
    issue(&mut ca, Purpose::Sign, &PrivateKey::generate(KeySpec::P256).unwrap());
    let again = answer(after(1));
    assert_eq!(answer(after(2)), again);
    ca.renew_responder(after(3)).unwrap();
    let sealed = ocsp::Response::from_der(&answer(after(3))).unwrap();
    assert_eq!(sealed.this_update(), after(3), "the new key signs at once");
    ca.revoke(&leaf.serial_text(), saatkond_ca::index::Reason::Superseded, after(4), after(4)).unwrap();
    let revoked = Status::Revoked { at: after(4) };
    assert_eq!(ocsp::Response::from_der(&answer(after(4))).unwrap().status(), revoked);
}

#[test]
fn a_time_stamp_request_with_any_bit_changed_is_refused_or_stamped_for_what_it_then_asks() {
    let directory = Directory::new();
    let (mut ca, _, _) = desk(&directory, Duration::ZERO);
    let key = PrivateKey::generate(KeySpec::P256).unwrap();
    let [key_file, file] = ["tsa.key", "tsa.pem"].map(|name| directory.join(name));
    key.save(&key_file).unwrap();
    let tsa = issue(&mut ca, Purpose::Tsa, &key);
    std::fs::write(&file, pem::encode(pem::CERTIFICATE, tsa.der())).unwrap();
    let stamper = Stamper::open(&file, &key_file, DEFAULT_POLICY.parse().unwrap()).unwrap();
    let tsas = read_certificates(&file).unwrap();
    let digest = DigestAlgorithm::Sha512.digest(b"stamped");
    let whole = tsp::request(&digest);
    let (mut refused, mut stamped) = (0, 0);
    for bytes in spoilt(&whole) {
        let (answer, trouble) = stamper.answer(&bytes, NOW);
        assert!(trouble.is_none(), "{trouble:?}");
        match tsp::parse_response(&answer) {
            Err(tsp::TspError::Refused { status: 2, text }) => {
                assert!(!text.is_empty());
                refused += 1;
            }
            Ok(token) => {
                assert!(tsp::verify(&token, (DigestAlgorithm::Sha512, &digest), &tsas).is_err());
                let (algorithm, imprint) = token.imprint();
                tsp::verify(&token, (algorithm, imprint), &tsas).unwrap();
                stamped += 1;
            }
            Err(error) => panic!("{error}: {bytes:02x?}"),
        }
    }
    // each bit of the digest is another digest; everything else is no request
    assert_eq!(stamped, 512);
    assert!(refused > whole.len(), "{refused}");
}
