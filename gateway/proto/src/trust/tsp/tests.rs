//! Time-stamps: each rule made to fail.

use super::*;
use crate::crypto::SigningKey;
use crate::fault::Origin;
use crate::trust::testing::*;

const POLICY_OID: &[u8] = &[0x2a, 3, 4, 1];

fn authority() -> Party {
    let root = Draft::ca("root").self_signed();
    Draft::new("tsa").usage(DIGITAL_SIGNATURE).extended(&[TIME_STAMPING]).issued_by(&root)
}

fn digest() -> Vec<u8> {
    DigestAlgorithm::Sha512.digest(b"stamped")
}

fn statement() -> Statement<'static> {
    Statement { serial: &[0x80, 1], gen_time: now(), policy: POLICY_OID }
}

fn asked(cert_req: bool, nonce: Option<&[u8]>) -> Request {
    let mut asked = parse_request(&request(&digest())).unwrap();
    asked.cert_req = cert_req;
    asked.nonce = nonce.map(<[u8]>::to_vec);
    asked
}

fn stamped(tsa: &Party) -> Token {
    let answer = issue(&asked(false, None), &statement(), &tsa.certificate, &tsa.key).unwrap();
    parse_response(&answer).unwrap()
}

fn holds(token: &Token, tsa: &Party) -> Result<Arc<Certificate>, TspError> {
    verify(token, (DigestAlgorithm::Sha512, &digest()), &[Arc::clone(&tsa.certificate)])
}

fn code(error: &TspError) -> String {
    error.code().text(Origin::ServerProxy).replace("server.serverproxy.", "")
}

/// A token in which one thing is otherwise than [`issue`] makes it.
#[derive(Default)]
struct Odd {
    content_type: Option<Vec<u8>>,
    message_digest: Option<Vec<u8>>,
    signing_certificate: Option<Vec<Vec<u8>>>,
    twice: bool,
    info_extra: Vec<Vec<u8>>,
    signed_type: Option<&'static [u8]>,
    signers: Option<usize>,
    digest: Option<DigestAlgorithm>,
    is_named_by_key: bool,
}

fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence([der::write(tag::OID, oid), der::write(tag::SET, value)])
}

/// Content octets of an identifier of PKCS #9.
fn pkcs9(last: &[u8]) -> Vec<u8> {
    [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9], last].concat()
}

fn cert_id(hash: &[u8]) -> Vec<u8> {
    let id = der::sequence([der::write(tag::OCTET_STRING, hash)]);
    der::sequence([der::sequence([id])])
}

impl Odd {
    fn token(&self, cert: &Certificate, key: &SigningKey) -> Result<Token, TspError> {
        let digest_algorithm = self.digest.unwrap_or(DigestAlgorithm::Sha512);
        let asked = parse_request(&request(&digest())).unwrap();
        let mut parts = vec![
            der::small(1),
            der::write(tag::OID, POLICY_OID),
            asked.message_imprint,
            der::small(7),
            der::generalized_time(now()),
        ];
        parts.extend(self.info_extra.clone());
        let info = der::sequence(parts);
        let content_type = self.content_type.clone().unwrap_or(der::write(tag::OID, TST_INFO));
        let hash = digest_algorithm.digest(&info);
        let hash = self.message_digest.clone().unwrap_or(der::write(tag::OCTET_STRING, &hash));
        let own = attribute(&pkcs9(&[16, 2, 47]), &cert_id(&DigestAlgorithm::Sha256.digest(cert.der())));
        let mut attributes = vec![attribute(&pkcs9(&[3]), &content_type), attribute(&pkcs9(&[4]), &hash)];
        attributes.extend(self.signing_certificate.clone().unwrap_or(vec![own]));
        if self.twice {
            attributes.push(attributes[0].clone());
        }
        attributes.sort_unstable();
        let signed = der::constructed(tag::SET, &attributes);
        let with = if self.digest.is_some() { DigestAlgorithm::Sha256 } else { digest_algorithm };
        let algorithm = crate::crypto::SignatureAlgorithm { scheme: key.algorithm().scheme, digest: with };
        let value = key.sign(with, &signed, crate::crypto::EcdsaForm::Der).unwrap();
        let identifier = der::sequence([der::write(tag::OID, digest_algorithm.oid())]);
        let (version, id) = if self.is_named_by_key {
            (3, der::write(tag::context_primitive(0), cert.key_sha1()))
        } else {
            let serial = der::write(tag::INTEGER, cert.serial());
            (1, der::sequence([cert.issuer(), &serial]))
        };
        let signer = der::sequence([
            der::small(version),
            id,
            identifier.clone(),
            der::constructed(tag::context(0), &attributes),
            algorithm.identifier().unwrap(),
            der::write(tag::OCTET_STRING, &value),
        ]);
        let octets = der::write(tag::OCTET_STRING, &info);
        let kind = der::write(tag::OID, self.signed_type.unwrap_or(TST_INFO));
        let signed_data = der::sequence([
            der::small(3),
            der::constructed(tag::SET, [identifier]),
            der::sequence([kind, der::write(tag::context(0), &octets)]),
            der::constructed(tag::SET, vec![signer; self.signers.unwrap_or(1)]),
        ]);
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
        let explicit = der::write(tag::context(0), &signed_data);
        Token::from_der(&der::sequence([der::write(tag::OID, &oid), explicit]))
    }

    fn verdict(&self, tsa: &Party) -> Result<(), TspError> {
        holds(&self.token(&tsa.certificate, &tsa.key)?, tsa).map(|_| ())
    }
}

#[test]
fn a_token_holds() {
    let tsa = authority();
    let token = stamped(&tsa);
    assert_eq!(token.gen_time(), now());
    assert_eq!(token.serial(), [0, 0x80, 1]);
    assert_eq!(token.imprint(), (DigestAlgorithm::Sha512, &digest()[..]));
    assert_eq!(holds(&token, &tsa).unwrap().der(), tsa.certificate.der());
    assert_eq!(Token::from_der(token.der()).as_ref(), Ok(&token));
    assert_eq!(Odd::default().verdict(&tsa), Ok(()));
    assert_eq!(Odd { is_named_by_key: true, ..Odd::default() }.verdict(&tsa), Ok(()));
}

#[test]
fn no_bit_may_change() {
    let tsa = authority();
    let good = stamped(&tsa).der().to_vec();
    let is_good = |bytes: &[u8]| Token::from_der(bytes).is_ok_and(|t| holds(&t, &tsa).is_ok());
    assert!(is_good(&good));
    // The signer is looked up by a name that is not signed, and letter case does not make another name.
    let name = tsa.certificate.issuer();
    let start = good.windows(name.len()).position(|w| w == name).unwrap();
    for bit in 0..good.len() * 8 {
        let is_letter_case = bit % 8 == 5 && (start..start + name.len()).contains(&(bit / 8));
        assert!(is_letter_case || !is_good(&flipped(&good, bit)), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(!is_good(&good[..length]), "{length} bytes");
    }
    assert!(!is_good(&[&good[..], &[0, 0]].concat()));
}

#[test]
fn a_token_is_for_one_digest() {
    let tsa = authority();
    let token = stamped(&tsa);
    let tsas = [Arc::clone(&tsa.certificate)];
    let other = DigestAlgorithm::Sha512.digest(b"other");
    let found = verify(&token, (DigestAlgorithm::Sha512, &other), &tsas).unwrap_err();
    assert!(matches!(found, TspError::Imprint { .. }), "{found}");
    assert_eq!(code(&found), "malformed_signature");
    let found = verify(&token, (DigestAlgorithm::Sha256, &digest()), &tsas);
    assert!(matches!(found, Err(TspError::Imprint { .. })));
}

#[test]
fn the_signer_is_an_approved_authority() {
    let (tsa, other) = (authority(), authority());
    let token = stamped(&tsa);
    for tsas in [Vec::new(), vec![Arc::clone(&Draft::new("another").self_signed().certificate)]] {
        let found = verify(&token, (DigestAlgorithm::Sha512, &digest()), &tsas).unwrap_err();
        assert_eq!(found, TspError::UnknownSigner);
        assert_eq!(code(&found), "mlog.tsp_certificate_not_found");
    }
    // Issuer and serial number of an approved authority, another key.
    let answer = issue(&asked(false, None), &statement(), &tsa.certificate, &other.key).unwrap();
    let found = holds(&parse_response(&answer).unwrap(), &tsa).unwrap_err();
    assert_eq!(found, TspError::Signature(CryptoError::BadSignature));
    assert_eq!(code(&found), "mlog.timestamp_signer_verification_failed");
    // A certificate that the token brings along proves nothing.
    let answer = issue(&asked(true, None), &statement(), &other.certificate, &other.key).unwrap();
    let brought = parse_response(&answer).unwrap();
    assert!(holds(&brought, &tsa).is_err());
}

#[test]
fn the_authority_is_valid_at_the_time_it_states() {
    let tsa = authority();
    for gen_time in
        [tsa.certificate.not_after().plus(seconds(1)), tsa.certificate.not_before().minus(seconds(1))]
    {
        let statement = Statement { gen_time, ..statement() };
        let answer = issue(&asked(false, None), &statement, &tsa.certificate, &tsa.key).unwrap();
        let found = holds(&parse_response(&answer).unwrap(), &tsa).unwrap_err();
        assert_eq!(found, TspError::NotValid { subject: "CN=tsa".into(), at: gen_time });
        assert_eq!(code(&found), "mlog.timestamp_signer_verification_failed");
    }
}

#[test]
fn signed_attributes_say_what_was_signed_and_by_whom() {
    let tsa = authority();
    let der = tsa.certificate.der();
    let v1 = |hash: &[u8]| vec![attribute(&pkcs9(&[16, 2, 12]), &cert_id(hash))];
    let v2 = |hash: &[u8]| vec![attribute(&pkcs9(&[16, 2, 47]), &cert_id(hash))];
    let sha1 = DigestAlgorithm::Sha1.digest(der);
    let odd = |list| Odd { signing_certificate: Some(list), ..Odd::default() }.verdict(&tsa);
    assert_eq!(odd(v1(&sha1)), Ok(()));
    let wrong = Err(TspError::Attribute("signing certificate"));
    assert_eq!(odd(Vec::new()), wrong);
    assert_eq!(odd(v1(&DigestAlgorithm::Sha1.digest(b"x"))), wrong);
    assert_eq!(odd(v2(&sha1)), wrong);
    assert_eq!(odd([v1(&sha1), v2(&DigestAlgorithm::Sha256.digest(b"x"))].concat()), wrong);

    let other = Odd { message_digest: Some(der::write(tag::OCTET_STRING, &digest())), ..Odd::default() };
    assert_eq!(other.verdict(&tsa), Err(TspError::Attribute("message digest")));
    let other = Odd { content_type: Some(der::write(tag::OID, &[0x2a, 3])), ..Odd::default() };
    assert_eq!(other.verdict(&tsa), Err(TspError::Attribute("content type")));
    let other = Odd { twice: true, ..Odd::default() };
    assert!(matches!(other.verdict(&tsa), Err(TspError::Attribute(_))));
}

#[test]
fn other_shapes_are_no_token() {
    let tsa = authority();
    assert_eq!(Odd { signers: Some(2), ..Odd::default() }.verdict(&tsa), Err(TspError::Signers));
    assert!(Odd { signers: Some(0), ..Odd::default() }.verdict(&tsa).is_err());
    let data: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let other = Odd { signed_type: Some(data), ..Odd::default() };
    assert!(matches!(other.verdict(&tsa), Err(TspError::Malformed(_))));
    for weak in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha224] {
        let other = Odd { digest: Some(weak), ..Odd::default() };
        assert_eq!(other.verdict(&tsa), Err(TspError::UnknownDigest));
    }
    let other = Odd { info_extra: vec![der::small(1), der::small(1)], ..Odd::default() };
    assert!(other.verdict(&tsa).is_err());
    let long = vec![0x30; limits::TIMESTAMP_BYTES_MAX + 1];
    assert!(matches!(Token::from_der(&long), Err(TspError::TooLarge(_))));
    assert!(matches!(parse_response(&long), Err(TspError::TooLarge(_))));
}

#[test]
fn fields_that_a_token_may_have_are_read_over() {
    let tsa = authority();
    let extension = |critical: &[u8]| {
        let mut parts = vec![der::write(tag::OID, &[0x2a, 3])];
        if !critical.is_empty() {
            parts.push(der::write(tag::BOOLEAN, critical));
        }
        parts.push(der::write(tag::OCTET_STRING, b"x"));
        der::constructed(tag::context(1), [der::sequence(parts)])
    };
    let fields = |last: Vec<u8>| {
        let info_extra = vec![
            der::sequence([der::small(1)]),
            der::write(tag::BOOLEAN, &[0xff]),
            der::small(99),
            der::write(tag::context(0), &der::write(tag::context(4), tsa.certificate.subject())),
            last,
        ];
        Odd { info_extra, ..Odd::default() }.verdict(&tsa)
    };
    assert_eq!(fields(extension(&[])), Ok(()));
    assert_eq!(fields(extension(&[0xff])), Err(TspError::UnknownExtension));
}

#[test]
fn the_authoritys_certificate_is_added_once() {
    let tsa = authority();
    let token = stamped(&tsa);
    let fuller = with_certificate(&token, &tsa.certificate).unwrap();
    assert!(fuller.der().len() > token.der().len() + tsa.certificate.der().len());
    assert!(holds(&fuller, &tsa).is_ok());
    assert_eq!(with_certificate(&fuller, &tsa.certificate).as_ref(), Ok(&fuller));
    let answer = issue(&asked(true, None), &statement(), &tsa.certificate, &tsa.key).unwrap();
    let brought = parse_response(&answer).unwrap();
    assert_eq!(with_certificate(&brought, &tsa.certificate), Ok(brought));
}

#[test]
fn requests_are_read_as_they_were_written() {
    let bytes = request(&digest());
    let read = parse_request(&bytes).unwrap();
    assert_eq!((read.algorithm, &read.imprint), (DigestAlgorithm::Sha512, &digest()));
    assert_eq!((read.policy, read.nonce, read.cert_req), (None, None, false));
    for length in 0..bytes.len() {
        assert!(parse_request(&bytes[..length]).is_err());
    }
    let imprint = |algorithm: DigestAlgorithm, digest: &[u8]| {
        let identifier = der::sequence([der::write(tag::OID, algorithm.oid()), der::write(tag::NULL, &[])]);
        der::sequence([identifier, der::write(tag::OCTET_STRING, digest)])
    };
    let sha256 = DigestAlgorithm::Sha256;
    let ask = |version: u64, imprint: Vec<u8>, more: Vec<Vec<u8>>| {
        let parts = [vec![der::small(version), imprint], more].concat();
        parse_request(&der::sequence(parts))
    };
    let good = imprint(sha256, &sha256.digest(b""));
    let all = vec![der::write(tag::OID, POLICY_OID), der::small(7), der::write(tag::BOOLEAN, &[0xff])];
    let read = ask(1, good.clone(), all).unwrap();
    assert_eq!(read.algorithm, sha256);
    assert_eq!((read.policy.as_deref(), read.cert_req), (Some(POLICY_OID), true));
    assert_eq!(read.nonce.as_deref(), Some(&[7][..]));
    assert!(ask(2, good.clone(), Vec::new()).is_err());
    assert!(ask(1, imprint(sha256, b"short"), Vec::new()).is_err());
    let sha1 = DigestAlgorithm::Sha1;
    let weak = ask(1, imprint(sha1, &sha1.digest(b"")), Vec::new()).unwrap_err();
    assert_eq!(weak.refusal(), Refusal::BadAlgorithm);
    let extension = ask(1, good.clone(), vec![der::write(tag::context(0), &[])]).unwrap_err();
    assert_eq!(extension.refusal(), Refusal::UnacceptedExtension);
    let nonce = der::write(tag::INTEGER, &[1; limits::TIMESTAMP_INTEGER_BYTES_MAX + 1]);
    assert_eq!(ask(1, good, vec![nonce]).unwrap_err().refusal(), Refusal::BadDataFormat);
}

#[test]
fn a_refusal_is_no_token() {
    let found = parse_response(&refuse(Refusal::UnacceptedPolicy, "no such policy"));
    let expected = TspError::Refused { status: 2, text: "no such policy".into() };
    assert_eq!(found, Err(expected.clone()));
    assert_eq!(code(&expected), "timestamping_failed");
    // Bit 25 of the failure, as RFC 3161 numbers them.
    let bytes = refuse(Refusal::SystemFailure, "");
    assert!(bytes.ends_with(&[tag::BIT_STRING, 5, 6, 0, 0, 0, 0x40]), "{bytes:02x?}");
    assert!(parse_response(&der::sequence([der::sequence([der::small(0)])])).is_err());
}

#[test]
fn ber_is_brought_to_der() {
    let rows: [(&[u8], &[u8]); 5] = [
        (&[0x30, 0x80, 0x05, 0x00, 0x00, 0x00], &[0x30, 0x02, 0x05, 0x00]),
        (&[0x30, 0x81, 0x02, 0x05, 0x00], &[0x30, 0x02, 0x05, 0x00]),
        (&[0x24, 0x80, 0x04, 0x01, 1, 0x04, 0x01, 2, 0, 0], &[0x04, 0x02, 1, 2]),
        (&[0x24, 0x06, 0x24, 0x04, 0x04, 0x02, 1, 2], &[0x04, 0x02, 1, 2]),
        (&[0xa0, 0x80, 0x30, 0x80, 0, 0, 0, 0], &[0xa0, 0x02, 0x30, 0x00]),
    ];
    for (ber, expected) in rows {
        assert_eq!(cms::distinguished(ber).as_deref(), Ok(expected), "{ber:02x?}");
    }
    let rows: [&[u8]; 7] = [
        &[0x30, 0x80, 0x05, 0x00],
        &[0x30, 0x80, 0x00],
        &[0x04, 0x80, 0, 0],
        &[0x30, 0x03, 0x05, 0x00],
        &[0x05, 0x00, 0x00],
        &[0x1f, 0x01, 0x00],
        &[0x24, 0x02, 0x05, 0x00],
    ];
    for bytes in rows {
        assert!(cms::distinguished(bytes).is_err(), "{bytes:02x?}");
    }
    assert!(cms::distinguished(&[0x30, 0x80].repeat(10_000)).is_err());
}

#[test]
fn a_token_in_ber_holds() {
    let tsa = authority();
    let good = stamped(&tsa).der().to_vec();
    let content = der::single(&good).unwrap().content;
    let ber = [&[0x30, 0x80], content, &[0, 0]].concat();
    let token = Token::from_der(&ber).unwrap();
    assert_eq!(token.der(), good);
    assert!(holds(&token, &tsa).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = Token::from_der(&bytes);
        let _ = parse_response(&bytes);
        let _ = parse_request(&bytes);
    }

    #[test]
    fn der_stays_as_it_is(content in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let der = der::sequence([der::write(tag::OCTET_STRING, &content), der::small(5)]);
        proptest::prop_assert_eq!(cms::distinguished(&der), Ok(der));
    }
}
