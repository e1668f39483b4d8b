//! OCSP responses: each rule made to fail.

use super::*;
use crate::fault::Origin;
use crate::trust::path;
use crate::trust::testing::*;
use std::sync::Arc;

/// A root, a responder that it delegated, a sign certificate, and what a response shall look like.
struct Scene {
    root: Party,
    responder: Party,
    leaf: Party,
    cas: Vec<ApprovedCa>,
}

fn scene() -> Scene {
    let root = Draft::ca("root").self_signed();
    let responder = Draft::responder("responder").issued_by(&root);
    let leaf = Draft::signing("leaf").issued_by(&root);
    let cas = vec![approved(&root)];
    Scene { root, responder, leaf, cas }
}

/// Knobs of a response.
struct Made<'a> {
    cert: &'a Certificate,
    issuer: &'a Certificate,
    signer: &'a Party,
    status: Status,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    digest: DigestAlgorithm,
    has_null: bool,
    is_by_name: bool,
    is_embedded: bool,
    single_extensions: Option<Vec<u8>>,
    extensions: Option<Vec<u8>>,
    more_singles: Vec<Vec<u8>>,
}

impl Scene {
    fn made(&self) -> Made<'_> {
        Made {
            cert: &self.leaf.certificate,
            issuer: &self.root.certificate,
            signer: &self.responder,
            status: Status::Good,
            this_update: now(),
            next_update: Some(now().plus(seconds(600))),
            digest: DigestAlgorithm::Sha1,
            has_null: true,
            is_by_name: false,
            is_embedded: true,
            single_extensions: None,
            extensions: None,
            more_singles: Vec::new(),
        }
    }

    fn verify(&self, made: &Made<'_>) -> Result<(), OcspError> {
        let response = Response::from_der(&made.der())?;
        let listed: Vec<&ApprovedCa> = self.cas.iter().collect();
        verify(&response, &self.leaf.certificate, &self.root.certificate, &listed, &POLICY, now())
    }

    fn check(&self, made: &[Made<'_>]) -> Result<(), OcspError> {
        let responses: Vec<Response> = made.iter().map(|m| Response::from_der(&m.der()).unwrap()).collect();
        let chain = path::for_signing(&self.leaf.certificate, &[], &self.cas, now()).unwrap();
        let listed: Vec<&ApprovedCa> = self.cas.iter().collect();
        check(&chain, &responses, &listed, &POLICY, now())
    }
}

impl Made<'_> {
    fn single(&self) -> Vec<u8> {
        let mut algorithm = vec![der::write(tag::OID, self.digest.oid())];
        if self.has_null {
            algorithm.push(der::write(tag::NULL, &[]));
        }
        let octets = |bytes: &[u8]| der::write(tag::OCTET_STRING, &self.digest.digest(bytes));
        let id = der::sequence([
            der::sequence(algorithm),
            octets(self.issuer.subject()),
            octets(self.issuer.public_key().bits()),
            der::write(tag::INTEGER, self.cert.serial()),
        ]);
        let status = match self.status {
            Status::Good => der::write(0x80, &[]),
            Status::Unknown => der::write(0x82, &[]),
            Status::Revoked { at } => {
                let reason = der::write(tag::context(0), &der::write(tag::ENUMERATED, &[1]));
                der::constructed(0xa1, [der::generalized_time(at), reason])
            }
        };
        let mut parts = vec![id, status, der::generalized_time(self.this_update)];
        parts.extend(self.next_update.map(|t| der::write(tag::context(0), &der::generalized_time(t))));
        parts.extend(self.single_extensions.as_ref().map(|e| der::write(tag::context(1), e)));
        der::sequence(parts)
    }

    fn der(&self) -> Vec<u8> {
        let responder = if self.is_by_name {
            der::write(tag::context(1), self.signer.certificate.subject())
        } else {
            let hash = self.signer.certificate.key_sha1();
            der::write(tag::context(2), &der::write(tag::OCTET_STRING, hash))
        };
        let mut singles = vec![self.single()];
        singles.extend(self.more_singles.clone());
        let mut parts = vec![responder, der::generalized_time(now()), der::sequence(singles)];
        parts.extend(self.extensions.as_ref().map(|e| der::write(tag::context(1), e)));
        let signed = der::sequence(parts);
        let key = &self.signer.key;
        let algorithm =
            SignatureAlgorithm { scheme: key.algorithm().scheme, digest: DigestAlgorithm::Sha256 };
        let value = key.sign(algorithm.digest, &signed, EcdsaForm::Der).unwrap();
        let mut basic = vec![signed, algorithm.identifier().unwrap(), der::bits(&value)];
        if self.is_embedded {
            let list = der::sequence([self.signer.certificate.der()]);
            basic.push(der::write(tag::context(0), &list));
        }
        let octets = der::write(tag::OCTET_STRING, &der::sequence(basic));
        let typed = der::sequence([der::write(tag::OID, BASIC), octets]);
        der::sequence([der::write(tag::ENUMERATED, &[0]), der::write(tag::context(0), &typed)])
    }
}

fn code(error: &OcspError) -> String {
    error.code().text(Origin::ServerProxy).replace("server.serverproxy.", "")
}

#[test]
fn a_good_response_holds() {
    let s = scene();
    assert_eq!(s.check(&[s.made()]), Ok(()));
    let response = Response::from_der(&s.made().der()).unwrap();
    assert_eq!(response.status(), Status::Good);
    assert_eq!(response.this_update(), now());
    assert_eq!(response.next_update(), Some(now().plus(seconds(600))));
    assert_eq!(response.produced_at(), now());
    assert_eq!(response.der(), s.made().der());
}

#[test]
fn forms_that_mean_the_same_hold() {
    let s = scene();
    assert_eq!(s.verify(&Made { is_by_name: true, ..s.made() }), Ok(()));
    assert_eq!(s.verify(&Made { has_null: false, ..s.made() }), Ok(()));
    assert_eq!(s.verify(&Made { next_update: None, ..s.made() }), Ok(()));
    let other = Made { cert: &s.root.certificate, ..s.made() }.single();
    assert_eq!(s.verify(&Made { more_singles: vec![other], ..s.made() }), Ok(()));
    let nonce = der::sequence([der::write(tag::OID, &[0x2a, 3]), der::write(tag::OCTET_STRING, b"x")]);
    let list = der::sequence([nonce]);
    assert_eq!(s.verify(&Made { extensions: Some(list.clone()), ..s.made() }), Ok(()));
    assert_eq!(s.verify(&Made { single_extensions: Some(list), ..s.made() }), Ok(()));
}

#[test]
fn no_bit_may_change() {
    let s = scene();
    let made = Made { is_embedded: false, ..s.made() };
    let mut cas = [approved(&s.root)];
    cas[0].top = service(&s.root, Some(&s.responder));
    let listed: Vec<&ApprovedCa> = cas.iter().collect();
    let holds = |bytes: &[u8]| {
        Response::from_der(bytes).is_ok_and(|response| {
            let (cert, issuer) = (&s.leaf.certificate, &s.root.certificate);
            verify(&response, cert, issuer, &listed, &POLICY, now()).is_ok()
        })
    };
    let good = made.der();
    assert!(holds(&good));
    for bit in 0..good.len() * 8 {
        assert!(!holds(&flipped(&good, bit)), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(!holds(&good[..length]), "{length} bytes");
    }
    let found = Response::from_der(&[&good[..], &[0]].concat());
    assert!(matches!(found, Err(OcspError::Malformed(DerError::Trailing(1)))));
}

#[test]
fn no_bit_of_an_embedded_responder_may_change() {
    let s = scene();
    let good = s.made().der();
    let at = good.windows(s.responder.certificate.der().len());
    let start = at.into_iter().position(|w| w == s.responder.certificate.der()).unwrap();
    let listed: Vec<&ApprovedCa> = s.cas.iter().collect();
    for bit in start * 8..good.len() * 8 {
        let Ok(response) = Response::from_der(&flipped(&good, bit)) else { continue };
        let (cert, issuer) = (&s.leaf.certificate, &s.root.certificate);
        assert!(verify(&response, cert, issuer, &listed, &POLICY, now()).is_err(), "bit {bit}");
    }
}

#[test]
fn the_response_is_of_this_certificate() {
    let s = scene();
    let twin = Draft::signing("leaf").issued_by(&Draft::ca("root").self_signed());
    let other = Draft::signing("other").issued_by(&s.root);
    let rows = [
        Made { cert: &other.certificate, ..s.made() },
        Made { issuer: &twin.certificate, ..s.made() },
        Made { digest: DigestAlgorithm::Sha256, ..s.made() },
    ];
    for made in rows {
        assert!(matches!(s.verify(&made), Err(OcspError::OtherCertificate { .. })));
        let found = s.check(&[made]).unwrap_err();
        assert_eq!(found, OcspError::Missing { subject: "CN=leaf".into() });
        assert_eq!(code(&found), "cert_validation");
    }
    assert_eq!(s.check(&[]), Err(OcspError::Missing { subject: "CN=leaf".into() }));
}

#[test]
fn only_the_first_statement_counts() {
    let s = scene();
    let other = Draft::signing("other").issued_by(&s.root);
    let mine = s.made().single();
    let made = Made { cert: &other.certificate, more_singles: vec![mine], ..s.made() };
    assert!(matches!(s.check(&[made]), Err(OcspError::Missing { .. })));
    let revoked = Made { status: Status::Revoked { at: now() }, ..s.made() }.single();
    assert_eq!(s.check(&[Made { more_singles: vec![revoked], ..s.made() }]), Ok(()));
}

#[test]
fn the_signer_must_be_known() {
    let s = scene();
    let found = s.verify(&Made { is_embedded: false, ..s.made() }).unwrap_err();
    assert_eq!(found, OcspError::UnknownSigner);
    assert_eq!(code(&found), "incorrect_validation_info");
}

#[test]
fn the_signature_must_be_the_signers() {
    let s = scene();
    let impostor = Party { key: new_key(), certificate: Arc::clone(&s.responder.certificate) };
    let found = s.verify(&Made { signer: &impostor, ..s.made() }).unwrap_err();
    assert_eq!(found, OcspError::Signature(CryptoError::BadSignature));
    assert_eq!(code(&found), "incorrect_validation_info");
}

#[test]
fn who_may_speak_for_an_authority() {
    let mut s = scene();
    // The authority itself, embedded or not.
    for is_embedded in [true, false] {
        assert_eq!(s.verify(&Made { signer: &s.root, is_embedded, ..s.made() }), Ok(()));
    }
    // One that it lists, whoever issued it.
    let stranger = Draft::new("stranger").self_signed();
    let refused = s.verify(&Made { signer: &stranger, ..s.made() });
    assert!(matches!(refused, Err(OcspError::NotAuthorised { .. })));
    s.cas[0].top = service(&s.root, Some(&stranger));
    for is_by_name in [true, false] {
        let made = Made { signer: &stranger, is_embedded: false, is_by_name, ..s.made() };
        assert_eq!(s.verify(&made), Ok(()));
    }
}

#[test]
fn who_may_not_speak_for_an_authority() {
    let mut s = scene();
    let rogue = Draft::ca("root").self_signed();
    let other_ca = Draft::ca("other").self_signed();
    let odd = Draft::responder("odd").extension(&[0x2a, 3, 4], true, &[5, 0]);
    let rows = [
        Draft::new("no usage").usage(DIGITAL_SIGNATURE).issued_by(&s.root),
        Draft::new("other usage").extended(&[CLIENT_AUTH]).issued_by(&s.root),
        Draft::responder("of a rogue").issued_by(&rogue),
        Draft::responder("of another").issued_by(&other_ca),
        Draft::responder("alone").self_signed(),
        odd.issued_by(&s.root),
        Draft::ca("root").self_signed(),
    ];
    // Listed, but for another authority.
    let mut other = approved(&other_ca);
    other.top = service(&other_ca, Some(&rows[4]));
    s.cas.push(other);
    for signer in rows.iter().chain([&s.leaf, &other_ca]) {
        let found = s.verify(&Made { signer, ..s.made() }).unwrap_err();
        assert!(matches!(found, OcspError::NotAuthorised { .. }), "{found}");
        assert_eq!(code(&found), "incorrect_validation_info");
    }
}

#[test]
fn a_delegated_responder_is_valid_when_it_speaks() {
    let s = scene();
    let row = |from: i64, until: i64| {
        let mut draft = Draft::responder("responder");
        let shift = |secs: i64| UnixTime::from_secs(now().secs() + secs);
        (draft.not_before, draft.not_after) = (shift(from), shift(until));
        let signer = draft.issued_by(&s.root);
        let this_update = now().minus(seconds(100));
        s.verify(&Made { signer: &signer, this_update, ..s.made() })
    };
    assert_eq!(row(-1000, 1000), Ok(()));
    assert_eq!(row(-50, 1000), Ok(()), "issued since");
    assert_eq!(row(-1000, -50), Ok(()), "expired since");
    assert!(matches!(row(-1000, -101), Err(OcspError::NotAuthorised { .. })));
    assert!(matches!(row(1, 1000), Err(OcspError::NotAuthorised { .. })));
}

#[test]
fn the_same_authority_in_another_certificate_is_the_authority() {
    let s = scene();
    let mut again = Draft::ca("root");
    again.serial = vec![7];
    let certificate = again.issued_for(s.root.key.spki(), &s.root);
    let signer = Party { key: new_key(), certificate };
    let found = s.verify(&Made { signer: &signer, ..s.made() });
    assert_eq!(found, Err(OcspError::Signature(CryptoError::BadSignature)));
    let mut cas = [approved(&s.root)];
    cas[0].top.certificate = Arc::clone(&signer.certificate);
    let listed: Vec<&ApprovedCa> = cas.iter().collect();
    let made = Made { signer: &s.root, is_embedded: false, ..s.made() };
    let response = Response::from_der(&made.der()).unwrap();
    let (cert, issuer) = (&s.leaf.certificate, &signer.certificate);
    assert_eq!(verify(&response, cert, issuer, &listed, &POLICY, now()), Ok(()));
}

#[test]
fn a_response_must_be_fresh() {
    let s = scene();
    let row = |this_update| s.verify(&Made { this_update, ..s.made() });
    assert_eq!(row(now().minus(POLICY.freshness)), Ok(()));
    let found = row(now().minus(POLICY.freshness).minus(seconds(1))).unwrap_err();
    assert!(matches!(found, OcspError::Stale { .. }), "{found}");
    assert_eq!(code(&found), "incorrect_validation_info");
    let ahead = seconds(limits::OCSP_AHEAD_SECS_MAX);
    assert_eq!(row(now().plus(ahead)), Ok(()));
    let found = row(now().plus(ahead).plus(seconds(1))).unwrap_err();
    assert!(matches!(found, OcspError::Ahead { .. }), "{found}");
    assert_eq!(code(&found), "incorrect_validation_info");
}

#[test]
fn a_next_update_that_has_passed_counts_by_policy() {
    let s = scene();
    let made = |next| Made { next_update: Some(next), this_update: now().minus(seconds(60)), ..s.made() };
    assert_eq!(s.verify(&made(now())), Ok(()));
    let found = s.verify(&made(now().minus(seconds(1)))).unwrap_err();
    assert!(matches!(found, OcspError::Overtaken { .. }), "{found}");
    assert_eq!(code(&found), "incorrect_validation_info");
    let response = Response::from_der(&made(now().minus(seconds(1))).der()).unwrap();
    let lenient = OcspPolicy { check_next_update: false, ..POLICY };
    let listed: Vec<&ApprovedCa> = s.cas.iter().collect();
    let (cert, issuer) = (&s.leaf.certificate, &s.root.certificate);
    assert_eq!(verify(&response, cert, issuer, &listed, &lenient, now()), Ok(()));
}

#[test]
fn only_good_is_good() {
    let s = scene();
    let revoked = || Made { status: Status::Revoked { at: now() }, ..s.made() };
    let unknown = || Made { status: Status::Unknown, ..s.made() };
    assert_eq!(s.verify(&revoked()), Ok(()));
    let found = s.check(&[revoked()]).unwrap_err();
    assert_eq!(found, OcspError::Revoked { subject: "CN=leaf".into(), at: now() });
    assert_eq!(code(&found), "cert_validation");
    let found = s.check(&[unknown()]).unwrap_err();
    assert_eq!(found, OcspError::Unknown { subject: "CN=leaf".into() });
    assert_eq!(code(&found), "cert_validation");
}

#[test]
fn of_several_responses_one_that_holds_will_do() {
    let s = scene();
    let stale = || Made { this_update: now().minus(seconds(4000)), ..s.made() };
    let revoked = |this_update| Made { status: Status::Revoked { at: this_update }, this_update, ..s.made() };
    assert_eq!(s.check(&[stale(), s.made()]), Ok(()));
    assert!(matches!(s.check(&[stale(), stale()]), Err(OcspError::Stale { .. })));
    // Unless one that holds says that it was revoked.
    for responses in [[s.made(), revoked(now())], [revoked(now()), s.made()]] {
        assert!(matches!(s.check(&responses), Err(OcspError::Revoked { .. })));
    }
    assert_eq!(s.check(&[revoked(now().minus(seconds(4000))), s.made()]), Ok(()));
}

#[test]
fn every_certificate_of_a_path_needs_one() {
    let s = scene();
    let middle = Draft::ca("middle").issued_by(&s.root);
    let leaf = Draft::signing("leaf").issued_by(&middle);
    let chain =
        path::to_issuer(&leaf.certificate, &[Arc::clone(&middle.certificate)], &s.cas, now()).unwrap();
    let of_leaf = Made { cert: &leaf.certificate, issuer: &middle.certificate, signer: &middle, ..s.made() };
    let of_middle = Made { cert: &middle.certificate, ..s.made() };
    let read = |made: &Made<'_>| Response::from_der(&made.der()).unwrap();
    let listed: Vec<&ApprovedCa> = s.cas.iter().collect();
    let both = [read(&of_middle), read(&of_leaf)];
    assert_eq!(check(&chain, &both, &listed, &POLICY, now()), Ok(()), "in any order");
    for (index, missing) in [(1, "CN=middle"), (0, "CN=leaf")] {
        let found = check(&chain, &both[index..=index], &listed, &POLICY, now());
        assert_eq!(found, Err(OcspError::Missing { subject: missing.into() }));
    }
    let revoked = Made { status: Status::Revoked { at: now() }, ..of_middle };
    let found = check(&chain, &[read(&revoked), read(&of_leaf)], &listed, &POLICY, now());
    assert!(matches!(found, Err(OcspError::Revoked { subject, .. }) if subject == "CN=middle"));
}

#[test]
fn critical_extensions_are_not_understood() {
    let s = scene();
    let extension = der::sequence([
        der::write(tag::OID, &[0x2a, 3]),
        der::write(tag::BOOLEAN, &[0xff]),
        der::write(tag::OCTET_STRING, b"x"),
    ]);
    let list = der::sequence([extension]);
    let found = s.verify(&Made { extensions: Some(list.clone()), ..s.made() });
    assert_eq!(found, Err(OcspError::UnknownCritical));
    let found = s.verify(&Made { single_extensions: Some(list), ..s.made() });
    assert_eq!(found, Err(OcspError::UnknownCritical));
}

#[test]
fn a_refusal_is_no_response() {
    for (why, found) in [
        (Refusal::MalformedRequest, 1),
        (Refusal::InternalError, 2),
        (Refusal::TryLater, 3),
        (Refusal::SignatureRequired, 5),
        (Refusal::Unauthorized, 6),
    ] {
        assert_eq!(Response::from_der(&refuse(why)), Err(OcspError::Refused { found }));
    }
    assert!(matches!(Response::from_der(b"OCSP RESPONSE DUMMY\n"), Err(OcspError::Malformed(_))));
    let long = vec![0x30; limits::OCSP_BYTES_MAX + 1];
    assert!(matches!(Response::from_der(&long), Err(OcspError::TooLarge(_))));
}

#[test]
fn responses_with_too_many_certificates_are_refused() {
    let s = scene();
    let one = s.responder.certificate.der();
    let list = der::sequence(vec![one; limits::OCSP_CERTS_MAX + 1]);
    let list = der::sequence([list]);
    assert!(read_certificates(Reader::new(&list[4..])).is_err());
    let list = der::sequence([der::sequence([one, &der::sequence([b""])[..]])]);
    let found = read_certificates(der::single(&list).unwrap().reader()).unwrap();
    assert_eq!(found.len(), 1, "one that cannot be read is left out");
}

#[test]
fn requests_are_read_as_they_were_written() {
    let s = scene();
    let bytes = request(&s.leaf.certificate, &s.root.certificate);
    let read = parse_request(&bytes).unwrap();
    assert_eq!(read.nonce, None);
    let [question] = &read.questions[..] else { panic!("one question") };
    assert_eq!(question.serial, s.leaf.certificate.serial());
    assert_eq!(question.hash_algorithm, DigestAlgorithm::Sha1.oid());
    assert!(question.is_of(&s.root.certificate));
    assert!(!question.is_of(&s.responder.certificate));
    for length in 0..bytes.len() {
        assert!(parse_request(&bytes[..length]).is_err());
    }
}

#[test]
fn requests_are_bounded() {
    let s = scene();
    let id = cert_id(&s.leaf.certificate, &s.root.certificate);
    let ask = |count: usize, nonce: Option<&[u8]>, critical: bool| {
        let list = der::sequence(vec![der::sequence([&id]); count]);
        let mut body = vec![list];
        if let Some(nonce) = nonce {
            let oid = if critical { &[0x2a, 3][..] } else { &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2] };
            let mut extension = vec![der::write(tag::OID, oid)];
            if critical {
                extension.push(der::write(tag::BOOLEAN, &[0xff]));
            }
            extension.push(der::write(tag::OCTET_STRING, nonce));
            body.push(der::write(tag::context(2), &der::sequence([der::sequence(extension)])));
        }
        parse_request(&der::sequence([der::sequence(body)]))
    };
    assert_eq!(
        ask(limits::OCSP_QUESTIONS_MAX, Some(b"nonce"), false).unwrap().nonce,
        Some(b"nonce".to_vec())
    );
    assert!(ask(limits::OCSP_QUESTIONS_MAX + 1, None, false).is_err());
    assert!(ask(0, None, false).is_err());
    assert!(ask(1, Some(&[0; limits::OCSP_NONCE_BYTES_MAX + 1]), false).is_err());
    assert_eq!(ask(1, Some(b"x"), true), Err(OcspError::UnknownCritical));
}

#[test]
fn a_responder_answers_what_it_was_asked() {
    let s = scene();
    let asked = parse_request(&request(&s.leaf.certificate, &s.root.certificate)).unwrap();
    for (status, expected) in [
        (Status::Good, Ok(())),
        (Status::Unknown, Err(OcspError::Unknown { subject: "CN=leaf".into() })),
        (Status::Revoked { at: now() }, Err(OcspError::Revoked { subject: "CN=leaf".into(), at: now() })),
    ] {
        for signer in [&s.responder, &s.root] {
            let answer = Answer {
                question: asked.questions[0].clone(),
                status,
                this_update: now(),
                next_update: Some(now().plus(seconds(60))),
            };
            let nonce = Some(&b"nonce"[..]);
            let der = respond(&[answer], &signer.certificate, &signer.key, now(), nonce).unwrap();
            let response = Response::from_der(&der).unwrap();
            assert_eq!(response.status(), status);
            let chain = path::for_signing(&s.leaf.certificate, &[], &s.cas, now()).unwrap();
            let listed: Vec<&ApprovedCa> = s.cas.iter().collect();
            assert_eq!(check(&chain, &[response], &listed, &POLICY, now()), expected);
        }
    }
    let none = respond(&[], &s.root.certificate, &s.root.key, now(), None);
    assert!(matches!(none, Err(OcspError::Answers { found: 0, .. })));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = Response::from_der(&bytes);
        let _ = parse_request(&bytes);
    }
}
