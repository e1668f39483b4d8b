//! The signed directory: written, read, verified, and refused.

use super::{Content, Draft, Part, draft, now, signer};
use crate::crypto::{DigestAlgorithm, EcdsaForm};
use crate::globalconf::{Directory, DirectoryError, SignedDirectory};
use crate::time::UnixTime;
use crate::trust::testing::{Party, flipped};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::ops::Range;
use std::time::Duration;

/// Makes the boundaries below.
fn random() -> [u8; 40] {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

const OUTER: &str = "0123456789ABCDEFGHIJ";
const INNER: &str = "KLMNOPQRSTUVWXYZabcd";

fn certificates(party: &Party) -> Vec<Vec<u8>> {
    vec![b"another".to_vec(), party.certificate.der().to_vec()]
}

fn verify(bytes: &[u8], party: &Party) -> Result<Directory, DirectoryError> {
    SignedDirectory::parse(bytes)?.verify(&certificates(party), now())
}

fn signed(party: &Party, draft: &Draft) -> Vec<u8> {
    draft.sign(random(), &party.key, party.certificate.der()).unwrap()
}

/// An envelope round any text, with any algorithm named.
fn sealed(party: &Party, text: &str) -> String {
    let value = party.key.sign(DigestAlgorithm::Sha512, text.as_bytes(), EcdsaForm::Der).unwrap();
    let hash = STANDARD.encode(DigestAlgorithm::Sha512.digest(party.certificate.der()));
    format!(
        "content-type: multipart/related; type=\"multipart/mixed\"; charset=UTF-8; boundary=out\n\n\n--out\n\
         Content-Type: multipart/mixed; charset=UTF-8;boundary=\"in\"\n\n{text}\n--out\n\
         content-TYPE: application/octet-stream\nContent-transfer-encoding: base64\n\
         Signature-algorithm-id: http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512\n\
         Verification-certificate-hash: {hash};\n hash-algorithm-id=http://www.w3.org/2001/04/xmlenc#sha512\n\n\
         {}\n--out--\n",
        STANDARD.encode(value)
    )
}

fn entry(identifier: &str, location: &str) -> String {
    let digest = STANDARD.encode(DigestAlgorithm::Sha256.digest(b"part"));
    format!(
        "--in\ncontent-type: application/octet-stream\ncontent-transfer-encoding: base64\n{identifier}\
         content-location: {location}\nhash-algorithm-id: http://www.w3.org/2001/04/xmlenc#sha256\n\n{digest}\n"
    )
}

const FIRST: &str = "--in\nexpire-date: 2026-11-24T12:00:00.500+02:00\nversion: 4\n\n";
const ZZ_SHARED: &str = "content-identifier: SHARED-PARAMETERS; instance=\"ZZ\"\n";

fn outcome(text: &str) -> Result<Directory, DirectoryError> {
    let party = signer("conf");
    verify(sealed(&party, text).as_bytes(), &party)
}

#[test]
fn what_is_written_is_read() {
    let party = signer("conf");
    for version in 2..=6 {
        let (draft, bodies) = draft(version);
        let directory = verify(&signed(&party, &draft), &party).unwrap();
        assert_eq!((directory.version, directory.expires), (version, draft.expires));
        assert_eq!(directory.parts, draft.parts);
        let taken = directory.internal("ZZ").unwrap();
        assert_eq!(taken.len(), 4);
        assert!(taken.iter().zip(&bodies).all(|(part, body)| part.check(body).is_ok()));
        assert_eq!(taken[0].shared(&bodies[0], version).unwrap().instance, "ZZ");
        assert_eq!(taken[1].private(&bodies[1], version).unwrap().instance, "ZZ");
        assert_eq!(directory.external("ZZ").unwrap(), taken[0]);
    }
}

#[test]
fn it_is_written_as_the_central_server_does() {
    let party = signer("conf");
    let (mut draft, _) = draft(6);
    draft.parts.truncate(1);
    let written = String::from_utf8(signed(&party, &draft)).unwrap();
    let certificate = STANDARD.encode(DigestAlgorithm::Sha512.digest(party.certificate.der()));
    let part = STANDARD.encode(&draft.parts[0].digest);
    let (_, after) = written.split_once("#sha512\"\r\n\r\n").unwrap();
    let (value, _) = after.split_once("\r\n").unwrap();
    let expected = format!(
        "Content-Type: multipart/related; charset=UTF-8; boundary={OUTER}\r\n\r\n--{OUTER}\r\n\
         Content-Type: multipart/mixed; charset=UTF-8; boundary={INNER}\r\n\r\n--{INNER}\r\n\
         Expire-date: 2026-11-24T08:10:00Z\r\nVersion: 6\r\n\r\n--{INNER}\r\n\
         Content-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n\
         Content-identifier: SHARED-PARAMETERS; instance='ZZ'\r\n\
         Content-location: /V6/20260102030405000000000/shared-params.xml\r\n\
         Hash-algorithm-id: http://www.w3.org/2001/04/xmlenc#sha512\r\n\r\n{part}\r\n--{INNER}--\r\n\r\n--{OUTER}\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
         Signature-Algorithm-Id: http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512\r\n\
         Verification-certificate-hash: {certificate}; hash-algorithm-id=\"http://www.w3.org/2001/04/xmlenc#sha512\"\r\n\r\n\
         {value}\r\n--{OUTER}--\r\n"
    );
    assert_eq!(written, expected);
}

#[test]
fn only_the_key_of_the_certificate_signs() {
    let (party, other) = (signer("conf"), signer("other"));
    let (draft, _) = draft(6);
    let refused = draft.sign([1; 40], &other.key, party.certificate.der());
    // Both boundaries the same would be a second reading; the random bytes never are.
    assert!(matches!(refused, Err(DirectoryError::Malformed(_))));
    let refused = draft.sign(random(), &other.key, party.certificate.der());
    assert!(matches!(refused, Err(DirectoryError::BadSignature(_))));
}

/// Where the signed bytes and the signature stand.
fn spans(bytes: &[u8]) -> (Range<usize>, Range<usize>) {
    let text = std::str::from_utf8(bytes).unwrap();
    let begin = text.find(&format!("--{INNER}")).unwrap();
    let end = text.rfind(&format!("--{INNER}--\r\n")).unwrap() + INNER.len() + 6;
    let value = text.find("#sha512\"\r\n\r\n").unwrap() + 12;
    (begin..end, value..text.rfind(&format!("\r\n--{OUTER}--")).unwrap())
}

#[test]
fn every_bit_of_what_is_signed_and_of_the_signature_counts() {
    let party = signer("conf");
    let (mut draft, _) = draft(6);
    draft.parts.truncate(1);
    let good = signed(&party, &draft);
    assert!(verify(&good, &party).is_ok());
    let (text, value) = spans(&good);
    for at in text.chain(value) {
        for bit in 0..8 {
            assert!(verify(&flipped(&good, at * 8 + bit), &party).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn no_truncation_is_taken() {
    let party = signer("conf");
    let (mut draft, _) = draft(6);
    draft.parts.truncate(1);
    let good = signed(&party, &draft);
    for length in 0..good.len() - 2 {
        assert!(verify(&good[..length], &party).is_err(), "{length}");
    }
}

#[test]
fn it_holds_until_its_date() {
    let party = signer("conf");
    let (draft, _) = draft(6);
    let read = SignedDirectory::parse(&signed(&party, &draft)).unwrap();
    assert!(read.verify(&certificates(&party), draft.expires).is_ok());
    let late = draft.expires.plus(Duration::from_millis(1));
    let refused = read.verify(&certificates(&party), late).unwrap_err();
    assert_eq!(refused, DirectoryError::Outdated { expires: draft.expires, now: late });
    assert_eq!(refused.code(), "global_conf_outdated");
}

#[test]
fn only_a_certificate_of_the_location_counts() {
    let (party, other) = (signer("conf"), signer("other"));
    let (draft, _) = draft(6);
    let read = SignedDirectory::parse(&signed(&party, &draft)).unwrap();
    for certificates in [vec![], certificates(&other)] {
        let refused = read.verify(&certificates, now()).unwrap_err();
        assert_eq!(refused.code(), "global_conf_missing_verification_cert");
    }
}

#[test]
fn the_proxys_style_and_bare_line_feeds_are_read() {
    let entries = entry(ZZ_SHARED, "/conf/1/ZZ/V4/2/shared-params.xml") + &entry("", "foo.xml");
    let folded = "content-identifier:\n NEXTUPDATE;\n\tinstance=ZZ\ncontent-file-name: /a/next.xml\n";
    for text in [
        format!("{FIRST}\n{entries}{}--in--\n", entry(folded, "x")),
        format!("\n{FIRST}{entries}{}", entry(folded, "x").trim_end()),
        format!("{FIRST}{entries}{}--in--\n", entry(folded, "x")).replace('\n', "\r\n"),
    ] {
        let directory = outcome(&text).unwrap();
        assert_eq!(directory.version, 4);
        assert_eq!(directory.expires, UnixTime::from_rfc3339("2026-11-24T10:00:00.5Z").unwrap());
        // The part that says not what it is was passed over.
        let [shared, next] = directory.parts.as_slice() else { panic!("{:?}", directory.parts) };
        assert_eq!((shared.content.clone(), shared.instance.as_str()), (Content::Shared, "ZZ"));
        assert_eq!(next.content, Content::Other("NEXTUPDATE".to_owned()));
        assert_eq!(next.file_name.as_deref(), Some("/a/next.xml"));
        assert!(next.check(b"part").is_ok());
        assert_eq!(
            next.check(b"parT").unwrap_err().code(),
            "global_conf_part_downloaded_file_integrity_failure"
        );
    }
    assert_eq!(outcome("--in\nExpire-date: 2026-11-25T00:00:00Z\n").unwrap().version, 2);
}

#[test]
fn a_directory_that_says_too_little_or_too_much_is_refused() {
    let missing = "global_conf_header_field_missing";
    let wrong = "global_conf_header_field_wrong_value";
    let malformed = "global_conf_parsing_downloaded_conf_directory_failure";
    let shared = entry(ZZ_SHARED, "/s");
    for (text, code) in [
        (format!("--in\nVersion: 4\n{shared}"), missing),
        (shared.clone(), missing),
        ("--in\nExpire-date: soon\n".to_owned(), wrong),
        ("--in\nExpire-date: 2026-11-25T00:00:00\n".to_owned(), wrong),
        (FIRST.replace("version: 4", "version: 1"), wrong),
        (FIRST.replace("version: 4", "version: 7"), wrong),
        (FIRST.replace("version: 4", "version: four"), wrong),
        (FIRST.replace("version: 4", "version: 4\nVersion: 5"), malformed),
        (format!("{FIRST}body\n{shared}"), malformed),
        (format!("before\n{FIRST}{shared}"), malformed),
        (format!("{FIRST}{shared}--in--\nafter"), malformed),
        (format!("{FIRST}{shared}{shared}"), malformed),
        (format!("{FIRST}--inn\n"), malformed),
        (format!("{FIRST}{}", shared.replace("application/octet-stream", "text/xml")), wrong),
        (format!("{FIRST}{}", shared.replace("base64", "Base64")), wrong),
        (format!("{FIRST}{}", shared.replace("content-transfer-encoding: base64\n", "")), missing),
        (format!("{FIRST}{}", shared.replace("content-location: /s\n", "")), missing),
        (format!("{FIRST}{}", shared.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1")), wrong),
        (format!("{FIRST}{}", shared.replace("2001/04/xmlenc#sha256", "2001/04/xmldsig-more#md5")), wrong),
        (format!("{FIRST}{}", shared.replace("xmlenc#sha256", "xmlenc#sha512")), wrong),
        (
            format!("{FIRST}{}", shared.replace("; instance=\"ZZ\"", "")),
            "global_conf_header_field_missing_parameter",
        ),
        (format!("{FIRST}{}", shared.replace("\"ZZ\"", "\"..\"")), wrong),
    ] {
        assert_eq!(outcome(&text).map_err(|e| e.code()), Err(code), "{text}");
    }
}

#[test]
fn a_part_may_not_leave_its_folder_or_take_anothers_place() {
    for (location, file) in [
        ("/a/..", None),
        ("/a/", None),
        ("/a/.hidden", None),
        ("/a/shared-params.xml", None),
        ("/a/private-params.xml?x=/y.xml", None),
        ("/a/x.metadata", None),
        ("/a/ok.xml", Some("..\\x.xml")),
        ("/a/ok.xml", Some("a/..")),
    ] {
        let file = file.map(|f| format!("content-file-name: {f}\n")).unwrap_or_default();
        let identifier = format!("content-identifier: FOO; instance=ZZ\n{file}");
        let refused = outcome(&format!("{FIRST}{}", entry(&identifier, location))).unwrap_err();
        assert!(matches!(refused, DirectoryError::HeaderValue { .. }), "{location} {file}");
    }
    let foo = |word: &str| entry(&format!("content-identifier: {word}; instance=ZZ\n"), "/a/foo.xml");
    let twice = outcome(&format!("{FIRST}{}{}", foo("FOO"), foo("BAR")));
    assert_eq!(twice.unwrap_err(), DirectoryError::PartTwice("ZZ/foo.xml".to_owned()));
}

#[test]
fn an_envelope_holds_one_directory_and_its_signature() {
    let party = signer("conf");
    let text = format!("{FIRST}{}--in--\n", entry(ZZ_SHARED, "/s"));
    let good = sealed(&party, &text);
    assert!(verify(good.as_bytes(), &party).is_ok());
    let (head, rest) = good.split_once("--out\n").unwrap();
    let (first, second) = rest.split_once("\n--out\n").unwrap();
    let second = second.strip_suffix("--out--\n").unwrap();
    let refused = |bytes: String| verify(bytes.as_bytes(), &party).map_err(|e| e.code());
    let malformed = Err("global_conf_parsing_downloaded_conf_directory_failure");
    for (bytes, expected) in [
        (format!("{head}--out\n{first}\n--out\n{first}\n--out\n{second}--out--\n"), malformed.clone()),
        (format!("{head}--out\n{first}\n--out\n{second}--out\n{second}--out--\n"), malformed.clone()),
        (format!("{head}--out\n{first}\n--out\n{second}"), malformed.clone()),
        (format!("{good}--out\n"), malformed.clone()),
        (format!("{head}x--out\n{rest}"), malformed),
        (format!("{head}--out--\n"), Err("global_conf_missing_signed_data")),
        (format!("{head}--out\n{first}\n--out--\n"), Err("global_conf_missing_signed_data_expiration_date")),
        (good.replace("multipart/related", "text/plain"), Err("global_conf_header_field_wrong_value")),
        (
            good.replace("; charset=UTF-8; boundary=out", ""),
            Err("global_conf_header_field_missing_parameter"),
        ),
        (String::new(), Err("global_conf_header_field_missing")),
    ] {
        assert_eq!(refused(bytes.clone()), expected, "{bytes}");
    }
    let value = second.trim_end().rsplit_once('\n').unwrap().1;
    assert_eq!(refused(good.replace(value, "****")), Err("global_conf_signature_decode_failure"));
    assert_eq!(refused(good.replace(value, "MAA=")), Err("global_conf_signature_verification_failure"));
}

#[test]
fn algorithms_that_bind_nothing_are_refused() {
    let party = signer("conf");
    let good = sealed(&party, FIRST);
    assert!(verify(good.as_bytes(), &party).is_ok());
    for (from, to) in [
        ("2001/04/xmldsig-more#ecdsa-sha512", "2001/04/xmldsig-more#ecdsa-sha1"),
        ("2001/04/xmldsig-more#ecdsa-sha512", "2000/09/xmldsig#rsa-sha1"),
        ("2001/04/xmldsig-more#ecdsa-sha512", "2000/09/xmldsig#dsa-sha1"),
        ("2001/04/xmlenc#sha512", "2000/09/xmldsig#sha1"),
        ("2001/04/xmlenc#sha512", "2001/04/xmldsig-more#md5"),
    ] {
        let refused = verify(good.replace(from, to).as_bytes(), &party).unwrap_err();
        assert_eq!(refused.code(), "global_conf_header_field_wrong_value", "{to}");
    }
    let other = good.replace("ecdsa-sha512", "rsa-sha512");
    assert!(matches!(verify(other.as_bytes(), &party), Err(DirectoryError::BadSignature(_))));
}

#[test]
fn a_signature_as_r_and_s_is_read() {
    let party = signer("conf");
    let good = sealed(&party, FIRST);
    let der = party.key.sign(DigestAlgorithm::Sha512, FIRST.as_bytes(), EcdsaForm::Fixed).unwrap();
    let (head, _) = good.rsplit_once("\n\n").unwrap();
    let bytes = format!("{head}\n\n{}\n--out--\n", STANDARD.encode(&der));
    assert!(verify(bytes.as_bytes(), &party).is_ok());
    let bytes = format!("{head}\n\n{}\n--out--\n", STANDARD.encode(flipped(&der, 77)));
    assert!(verify(bytes.as_bytes(), &party).is_err());
}

#[test]
fn a_source_serves_its_own_instance_only() {
    let private = ZZ_SHARED.replace("SHARED", "PRIVATE");
    let other = entry(&ZZ_SHARED.replace("ZZ", "YY"), "/y");
    let both = format!("{FIRST}{}{}{other}", entry(ZZ_SHARED, "/s"), entry(&private, "/p"));
    let directory = outcome(&both).unwrap();
    assert_eq!(directory.internal("ZZ").unwrap().len(), 2);
    assert_eq!(directory.external("YY").unwrap().location, "/y");
    assert!(matches!(
        directory.internal("YY"),
        Err(DirectoryError::MissingPart { expected: "PRIVATE-PARAMETERS", .. })
    ));
    assert!(matches!(directory.external("XX"), Err(DirectoryError::MissingPart { .. })));
    let refused = directory.must_be_external().unwrap_err();
    assert_eq!(refused.code(), "conf_verification.anchor_not_for_external_source");
    let external = outcome(&format!("{FIRST}{other}")).unwrap();
    assert_eq!(external.must_be_external(), Ok(()));
}

#[test]
fn a_document_must_be_of_the_instance_listed() {
    let bytes = super::shared().to_xml(6).unwrap();
    let part = Part::of(Content::Shared, "YY", "/s", &bytes);
    let refused = part.shared(&bytes, 6).unwrap_err();
    assert_eq!(refused.code(), "global_conf_part_invalid_instance_identifier");
    let part = Part::of(Content::Private, "ZZ", "/p", b"<x/>");
    assert!(matches!(part.private(b"<x/>", 6), Err(DirectoryError::Part { .. })));
    assert!(matches!(part.private(b"<y/>", 6), Err(DirectoryError::Digest { .. })));
}

#[test]
fn what_no_header_can_carry_is_not_written() {
    let party = signer("conf");
    for instance in ["Z'Z", "Z;Z", "Z\r\nX: y", ""] {
        let (mut draft, _) = draft(6);
        draft.parts[0].instance = instance.to_owned();
        let refused = draft.sign(random(), &party.key, party.certificate.der());
        assert!(matches!(refused, Err(DirectoryError::HeaderValue { .. })), "{instance:?}");
    }
}

#[test]
fn bounds_hold() {
    let huge = vec![b'\n'; crate::limits::DIRECTORY_BYTES_MAX + 1];
    assert!(matches!(SignedDirectory::parse(&huge), Err(DirectoryError::TooLarge { what: "bytes", .. })));
    let many = format!("{FIRST}{}", "--in\n".repeat(2000));
    assert!(matches!(outcome(&many), Err(DirectoryError::TooLarge { what: "parts", .. })));
    let long = format!("--in\nExpire-date: {}\n", "9".repeat(20_000));
    assert!(matches!(outcome(&long), Err(DirectoryError::TooLarge { what: "bytes in a header", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_panics(at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..9), cut in 0usize..9) {
        let party = signer("conf");
        let (draft, bodies) = draft(6);
        let mut documents = bodies;
        documents.push(signed(&party, &draft));
        documents.push(super::anchor().to_xml());
        for document in documents {
            let begin = at.index(document.len());
            let end = (begin + cut).min(document.len());
            let damaged = [&document[..begin], &with, &document[end..]].concat();
            let _ = verify(&damaged, &party);
            let _ = crate::globalconf::Anchor::from_xml(&damaged);
            let _ = crate::globalconf::SharedParams::from_xml(&damaged, 6);
            let _ = crate::globalconf::PrivateParams::from_xml(&damaged, 6);
            let _ = crate::globalconf::layout::Metadata::from_json(&damaged);
        }
    }
}
