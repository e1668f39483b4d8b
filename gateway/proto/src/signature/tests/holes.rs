//! What X-Road 7.8 lets pass and we do not, and what it does not let pass either: one input each.

use super::*;
use crate::crypto::CryptoError;
use crate::signature::batch::ChainError;
use crate::signature::xades::FormError;
use crate::trust::ocsp::OcspError;
use crate::trust::path::PathError;
use crate::xml::XmlError;

fn plain() -> (World, Unverified) {
    let world = World::new(ec_key());
    let message = vec![part(MESSAGE, b"message")];
    let signed = received(&world.sign(std::slice::from_ref(&message))[0], message);
    (world, signed)
}

fn chained() -> (World, Unverified) {
    let world = World::new(ec_key());
    let signed = received(&world.sign(&[two_parts()])[0], two_parts());
    (world, signed)
}

/// Replaces in a signature that is not signed again.
fn replaced(unverified: &mut Unverified, from: &str, to: &str) {
    let text = String::from_utf8(unverified.signature.clone()).unwrap();
    assert!(text.contains(from), "{from}");
    unverified.signature = text.replacen(from, to, 1).into_bytes();
}

/// The error for a signature edited before it is signed.
fn crafted(edit: impl Fn(String) -> String) -> SignatureError {
    let world = World::new(ec_key());
    world.verify(world.crafted(edit)).unwrap_err()
}

const REFERENCE: &str = "<ds:Reference Id=\"signature-reference-0\" URI=\"/message.xml\">";

#[test]
fn what_the_crafting_leaves_alone_verifies() {
    let world = World::new(ec_key());
    world.verify(world.crafted(|t| t)).unwrap();
}

// --- coverage ------------------------------------------------------------------------------------------------------

#[test]
fn the_message_must_be_covered() {
    let (world, mut signed) = plain();
    signed.parts = vec![part("/attachment1", b"message")];
    replaced(&mut signed, "/message.xml", "/attachment1");
    assert_eq!(world.verify(signed), Err(SignatureError::NoPart));
    let world = World::new(ec_key());
    let mut signed = world.crafted(|t| t.replace("/message.xml", "/attachment1"));
    signed.parts = vec![part("/attachment1", b"message"), part(MESSAGE, b"another")];
    let error = world.verify(signed).unwrap_err();
    assert_eq!(error, SignatureError::Uncovered(vec![MESSAGE.to_owned()]));
    assert_eq!(code(&error), "malformed_signature");
}

#[test]
fn every_attachment_must_be_covered() {
    for added in [b"attachment".as_slice(), b""] {
        let (world, mut signed) = plain();
        signed.parts.push(part("/attachment1", added));
        let error = world.verify(signed).unwrap_err();
        assert_eq!(error, SignatureError::Uncovered(vec!["/attachment1".to_owned()]));
        let (world, mut signed) = chained();
        signed.parts.push(part("/attachment2", added));
        let error = world.verify(signed).unwrap_err();
        assert_eq!(error, ChainError::Unused(vec!["/attachment2".to_owned()]).into());
        assert_eq!(code(&error), "malformed_signature.hashchain_unused_inputs");
    }
}

#[test]
fn a_part_that_is_signed_must_have_come() {
    let (world, mut signed) = chained();
    signed.parts.pop();
    let error = world.verify(signed).unwrap_err();
    assert_eq!(code(&error), "malformed_signature.invalid_reference");
    let error = crafted(|t| t.replace(REFERENCE, &REFERENCE.replace("message", "other")));
    assert_eq!(error, SignatureError::Unresolved("/other.xml".to_owned()));
    assert_eq!(code(&error), "internal_error");
}

#[test]
fn a_changed_part_is_refused() {
    let (world, mut signed) = plain();
    signed.parts[0] = part(MESSAGE, b"Message");
    let error = world.verify(signed).unwrap_err();
    assert_eq!(
        (code(&error).as_str(), error),
        ("invalid_signature_value", SignatureError::Digest(MESSAGE.to_owned()))
    );
    let (world, mut signed) = chained();
    signed.parts[1] = part("/attachment1", b"Attachment");
    assert_eq!(code(&world.verify(signed).unwrap_err()), "malformed_signature.invalid_hash_chain");
}

#[test]
fn a_part_must_come_digested_as_it_is_signed() {
    let (world, mut signed) = plain();
    let sha256 = DigestAlgorithm::Sha256;
    signed.parts[0] =
        PartDigest { algorithm: sha256, digest: sha256.digest(b"message"), ..signed.parts[0].clone() };
    let error = world.verify(signed.clone()).unwrap_err();
    assert_eq!(code(&error), "internal_error");
    assert!(matches!(error, SignatureError::Algorithm { .. }));
    signed.parts.push(part(MESSAGE, b"message"));
    world.verify(signed.clone()).unwrap();
    signed.parts.push(part(MESSAGE, b"message"));
    assert_eq!(world.verify(signed), Err(ChainError::Twice(MESSAGE.to_owned()).into()));
}

#[test]
fn a_chain_that_is_not_signed_is_no_coverage() {
    let (world, mut signed) = plain();
    let chains = batch::build(batch::Kind::Signature, &[two_parts()]).unwrap();
    signed.hash_chain_result = Some(chains.result);
    signed.hash_chain = Some(chains.chains[0].clone());
    assert_eq!(world.verify(signed.clone()), Err(SignatureError::UnsignedChain));
    signed.hash_chain_result = None;
    signed.parts = two_parts();
    assert_eq!(world.verify(signed), Err(SignatureError::UnsignedChain));
}

#[test]
fn a_chain_that_is_signed_must_have_come() {
    let (world, mut signed) = chained();
    signed.hash_chain = None;
    assert_eq!(code(&world.verify(signed.clone()).unwrap_err()), "malformed_signature.invalid_reference");
    signed.hash_chain_result = None;
    assert_eq!(code(&world.verify(signed).unwrap_err()), "internal_error");
}

#[test]
fn another_messages_chain_or_result_proves_nothing() {
    let world = World::new(ec_key());
    let messages = [two_parts(), vec![part(MESSAGE, b"n"), part("/attachment1", b"b")]];
    let signed = world.sign(&messages);
    let mut swapped = received(&signed[0], messages[0].clone());
    swapped.hash_chain.clone_from(&signed[1].hash_chain);
    assert_eq!(code(&world.verify(swapped.clone()).unwrap_err()), "malformed_signature.invalid_hash_chain");
    let other = batch::build(batch::Kind::Signature, &messages[..1]).unwrap();
    swapped.hash_chain_result = Some(other.result);
    swapped.hash_chain = Some(other.chains[0].clone());
    let error = world.verify(swapped).unwrap_err();
    assert_eq!(error, SignatureError::Digest(HASH_CHAIN_RESULT.to_owned()));
}

#[test]
fn the_result_is_digested_as_it_came() {
    let (world, mut signed) = chained();
    signed.hash_chain_result.as_mut().unwrap().push(b' ');
    assert_eq!(code(&world.verify(signed).unwrap_err()), "invalid_signature_value");
}

// --- references ----------------------------------------------------------------------------------------------------

#[test]
fn a_part_is_not_transformed() {
    let method = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let transforms =
        format!("{REFERENCE}<ds:Transforms><ds:Transform Algorithm=\"{method}\"/></ds:Transforms>");
    let error = crafted(|t| t.replace(REFERENCE, &transforms));
    assert_eq!(error, SignatureError::Transform(MESSAGE.to_owned()));
    assert_eq!(code(&error), "internal_error");
}

#[test]
fn only_canonicalization_transforms() {
    for other in [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2000/09/xmldsig#base64",
    ] {
        for reference in [REFERENCE, "URI=\"#signed-properties\">"] {
            let transforms =
                format!("{reference}<ds:Transforms><ds:Transform Algorithm=\"{other}\"/></ds:Transforms>");
            let error = crafted(|t| t.replace(reference, &transforms));
            assert_eq!(error, FormError::Algorithm { what: "transform", uri: other.to_owned() }.into());
            assert_eq!(code(&error), "internal_error");
        }
    }
}

#[test]
fn one_transform_is_enough() {
    let method = "<ds:Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"/>";
    let reference = "URI=\"#signed-properties\">";
    for (transforms, holds) in [(method.to_owned(), true), (method.repeat(2), false), (String::new(), false)]
    {
        let world = World::new(ec_key());
        let list = format!("{reference}<ds:Transforms>{transforms}</ds:Transforms>");
        let signed = world.crafted(|t| t.replace(reference, &list));
        assert_eq!(world.verify(signed).is_ok(), holds, "{transforms:?}");
    }
}

#[test]
fn the_signed_properties_must_be_referred_to() {
    let error = crafted(|t| {
        let (before, rest) = t.split_once("<ds:Reference Id=\"signature-reference-1\"").unwrap();
        let (_, after) = rest.split_once("</ds:Reference>\n").unwrap();
        format!("{before}{after}")
    });
    assert_eq!((code(&error).as_str(), error), ("malformed_signature", SignatureError::Properties));
}

/// The signed properties sit in an Object of their own; the signature's qualifying properties hold others.
#[test]
fn the_signed_properties_must_be_this_signatures() {
    let error = crafted(|t| {
        let start = t.find("<xades:SignedProperties").unwrap();
        let end = t.find("</xades:SignedProperties>").unwrap() + "</xades:SignedProperties>".len();
        let signed = &t[start..end];
        let other = signed.replace("signed-properties", "other-properties").replace("2026", "2027");
        t.replace(signed, &other)
            .replace("<ds:Object>", &format!("<ds:Object>{signed}</ds:Object>\n<ds:Object>"))
    });
    assert_eq!(error, SignatureError::Properties);
    // The same without saying what the reference is to.
    let error = crafted(|t| {
        let start = t.find("<xades:SignedProperties").unwrap();
        let end = t.find("</xades:SignedProperties>").unwrap() + "</xades:SignedProperties>".len();
        let signed = &t[start..end];
        let other = signed.replace("signed-properties", "other-properties");
        t.replace(signed, &other)
            .replace("<ds:Object>", &format!("<ds:Object>{signed}</ds:Object>\n<ds:Object>"))
            .replace("Type=\"http://uri.etsi.org/01903#SignedProperties\" ", "")
    });
    assert_eq!(error, SignatureError::Unresolved("#signed-properties".to_owned()));
}

#[test]
fn one_thing_is_referred_to_once() {
    let error = crafted(|t| {
        let start = t.find(REFERENCE).unwrap();
        let end = t.find("</ds:Reference>\n").unwrap() + "</ds:Reference>\n".len();
        let again = t[start..end].replace("reference-0", "reference-2");
        t.replace("</ds:SignedInfo>", &format!("{again}</ds:SignedInfo>"))
    });
    assert_eq!(error, SignatureError::Repeated(MESSAGE.to_owned()));
}

#[test]
fn a_reference_without_or_with_an_empty_uri_leads_nowhere() {
    let empty = crafted(|t| t.replace("URI=\"/message.xml\"", "URI=\"\""));
    assert_eq!(empty, SignatureError::Unresolved(String::new()));
    let none = crafted(|t| t.replace(" URI=\"/message.xml\"", ""));
    assert_eq!(code(&none), "malformed_signature");
}

// --- structure -----------------------------------------------------------------------------------------------------

#[test]
fn one_signature_is_in_a_document() {
    let second = "<ds:Signature Id=\"second\"/></asic:XAdESSignatures>";
    let error = crafted(|t| t.replace("</asic:XAdESSignatures>", second));
    assert_eq!(error, FormError::Count { what: "ds:Signature", found: 2, expected: "1" }.into());
    assert_eq!(code(&error), "malformed_signature");
    let (world, mut signed) = plain();
    replaced(&mut signed, "</ds:Object>", "</ds:Object><ds:Object><ds:Signature/></ds:Object>");
    assert_eq!(world.verify(signed), Err(error));
}

#[test]
fn the_signature_is_found_by_its_place() {
    let world = World::new(ec_key());
    for (from, to) in [
        ("<ds:Signature Id", "<asic:Inner><ds:Signature Id"),
        ("<ds:Signature Id", "<asic:Before/><ds:Signature Id"),
        ("<ds:Signature Id", "text<ds:Signature Id"),
        ("asic:XAdESSignatures xmlns", "asic:Signatures xmlns"),
        ("http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v9.9.9#"),
    ] {
        let signed = world.crafted(|t| {
            let t = t.replacen(from, to, 1);
            let t = if to.contains("Inner") {
                t.replace("</ds:Signature>", "</ds:Signature></asic:Inner>")
            } else {
                t
            };
            if to.contains("asic:Signatures") { t.replace("</asic:XAdES", "</asic:") } else { t }
        });
        assert_eq!(code(&world.verify(signed).unwrap_err()), "malformed_signature", "{to}");
    }
}

#[test]
fn ids_are_unique() {
    for (from, to) in [
        ("<ds:Object>", "<ds:Object Id=\"signed-properties\">"),
        ("<ds:KeyInfo>", "<ds:KeyInfo Id=\"signature\">"),
    ] {
        let (world, mut signed) = plain();
        replaced(&mut signed, from, to);
        let error = world.verify(signed).unwrap_err();
        assert!(matches!(error, SignatureError::Form(FormError::TwoIds(_))), "{error}");
        assert_eq!(code(&error), "malformed_signature");
    }
}

#[test]
fn documents_have_no_doctype() {
    let doctype = "?><!DOCTYPE x [<!ENTITY e \"\">]>";
    let (world, mut signed) = plain();
    replaced(&mut signed, "?>", doctype);
    let error = world.verify(signed).unwrap_err();
    assert_eq!((code(&error).as_str(), error), ("invalid_xml", FormError::Xml(XmlError::Doctype).into()));
    for document in [result_of as fn(&mut Unverified) -> Option<&mut Vec<u8>>, chain_of] {
        let (world, mut signed) = chained();
        let bytes = document(&mut signed).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap().replacen("?>", doctype, 1);
        *bytes = text.into_bytes();
        let error = world.verify(signed).unwrap_err();
        assert_eq!(error, ChainError::Form(XmlError::Doctype).into());
        assert_eq!(code(&error), "malformed_signature.malformed_hash_chain");
    }
}

#[test]
fn what_is_not_xml_is_refused() {
    let (world, good) = plain();
    for bytes in [&b""[..], b"\xff", b"<a", &good.signature[..good.signature.len() - 3]] {
        let error = world.verify(Unverified { signature: bytes.to_vec(), ..good.clone() }).unwrap_err();
        assert_eq!(code(&error), "invalid_xml");
    }
}

#[test]
fn what_must_be_there_is() {
    for (start, end) in [
        ("<ds:KeyInfo>", "</ds:KeyInfo>"),
        ("<ds:X509Certificate>", "</ds:X509Certificate>"),
        ("<ds:Object>", "</ds:Object>"),
        ("<ds:SignedInfo>", "</ds:SignedInfo>"),
        ("<ds:SignatureValue ", "</ds:SignatureValue>"),
        ("<xades:SignedProperties ", "</xades:SignedProperties>"),
        ("<ds:CanonicalizationMethod", "/>"),
        ("<ds:SignatureMethod", "/>"),
        ("<ds:DigestMethod", "/>"),
        ("<xades:UnsignedProperties>", "</xades:UnsignedProperties>"),
        ("<xades:EncapsulatedOCSPValue", "</xades:EncapsulatedOCSPValue>"),
    ] {
        let (world, mut signed) = plain();
        let text = String::from_utf8(signed.signature).unwrap();
        let (before, rest) = text.split_once(start).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        signed.signature = format!("{before}{after}").into_bytes();
        assert_eq!(code(&world.verify(signed).unwrap_err()), "malformed_signature", "{start}");
    }
}

#[test]
fn qualifying_properties_are_one_and_of_this_signature() {
    let again = "</ds:Object><ds:Object><xades:QualifyingProperties Target=\"#signature\"/></ds:Object>";
    let error = crafted(|t| t.replace("</ds:Object>", again));
    assert_eq!(error, FormError::Count { what: "QualifyingProperties", found: 2, expected: "1" }.into());
    let error = crafted(|t| t.replace("Target=\"#signature\"", "Target=\"#other\""));
    assert_eq!(code(&error), "malformed_signature");
}

// --- algorithms ----------------------------------------------------------------------------------------------------

#[test]
fn sha1_proves_nothing() {
    let sha1 = DigestAlgorithm::Sha1;
    let error = crafted(|t| {
        let strong = form::to_base64(&DigestAlgorithm::Sha512.digest(b"message"));
        let from = format!(
            "<ds:DigestMethod Algorithm=\"{}\"/>\n<ds:DigestValue>{strong}",
            DigestAlgorithm::Sha512.uri()
        );
        let to = format!(
            "<ds:DigestMethod Algorithm=\"{}\"/>\n<ds:DigestValue>{}",
            sha1.uri(),
            form::to_base64(&sha1.digest(b"message"))
        );
        assert!(t.contains(&from));
        t.replace(&from, &to)
    });
    assert_eq!(error, FormError::Algorithm { what: "digest", uri: sha1.uri().to_owned() }.into());
    for weak in
        ["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"]
    {
        let error = crafted(|t| t.replace("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", weak));
        assert_eq!(error, FormError::SignatureAlgorithm(weak.to_owned()).into());
    }
}

#[test]
fn canonicalization_is_one_of_the_known() {
    let method = "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"";
    let error = crafted(|t| t.replace(method, "<ds:CanonicalizationMethod Algorithm=\"urn:none\""));
    assert_eq!(error, FormError::Algorithm { what: "canonicalization", uri: "urn:none".to_owned() }.into());
    assert_eq!(code(&error), "internal_error");
}

#[test]
fn a_longer_ecdsa_value_is_refused() {
    let (world, mut signed) = plain();
    let value = signature_value(&signed.signature).unwrap();
    let (r, s) = value.split_at(32);
    let longer = [&[0], r, &[0], s].concat();
    replaced(&mut signed, &form::to_base64(&value), &form::to_base64(&longer));
    assert_eq!(world.verify(signed), Err(SignatureError::Value(CryptoError::BadSignature)));
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_refused() {
    let error = crafted(|t| t.replace("#ecdsa-sha512", "#rsa-sha512"));
    assert!(matches!(error, SignatureError::Value(CryptoError::Mismatch { .. })), "{error}");
    assert_eq!(code(&error), "invalid_signature_value");
}

// --- certificates --------------------------------------------------------------------------------------------------

#[test]
fn the_sign_certificate_is_named_by_its_digest() {
    let world = World::new(ec_key());
    let digest = form::to_base64(&DigestAlgorithm::Sha512.digest(world.material.certificate.der()));
    let other = form::to_base64(&DigestAlgorithm::Sha512.digest(b"other"));
    let error = world.verify(world.crafted(|t| t.replace(&digest, &other))).unwrap_err();
    assert_eq!(error, FormError::CertificateDigest("SigningCertificate").into());
    assert_eq!(code(&error), "malformed_signature");
    let error = crafted(|t| {
        let start = t.find("<xades:SigningCertificate>").unwrap();
        let end = t.find("<xades:SignaturePolicyIdentifier>").unwrap();
        format!("{}{}", &t[..start], &t[end..])
    });
    assert_eq!(error, FormError::Count { what: "SigningCertificate", found: 0, expected: "1" }.into());
}

/// A second certificate of the same key and subject in KeyInfo: the signed properties name the first.
#[test]
fn the_certificate_cannot_be_exchanged() {
    let (world, mut signed) = plain();
    let draft = Draft { serial: vec![1, 2, 3], ..sign_draft() };
    let other = draft.issued_for(world.key.spki(), &world.root);
    let (from, to) = (form::to_base64(world.material.certificate.der()), form::to_base64(other.der()));
    replaced(&mut signed, &from, &to);
    assert_eq!(world.verify(signed), Err(FormError::CertificateDigest("SigningCertificate").into()));
}

#[test]
fn certificate_references_are_consistent() {
    let world = World::below_an_intermediate(ec_key());
    let message = vec![part(MESSAGE, b"message")];
    let good = received(&world.sign(std::slice::from_ref(&message))[0], message);
    let digest = form::to_base64(&DigestAlgorithm::Sha512.digest(world.material.intermediates[0].der()));
    let other = form::to_base64(&[0; 64]);
    for (from, to) in [
        (" Id=\"encapsulated-cert-1\"", ""),
        ("<xades:EncapsulatedX509Certificate Id=\"encapsulated-cert-1\"", "<xades:Other Id=\"x\""),
        (digest.as_str(), other.as_str()),
        ("URI=\"#encapsulated-cert-1\"", "URI=\"encapsulated-cert-1\""),
    ] {
        let mut signed = good.clone();
        replaced(&mut signed, from, to);
        if to.contains("Other") {
            replaced(&mut signed, "</xades:EncapsulatedX509Certificate>", "</xades:Other>");
        }
        assert_eq!(
            world.verify(signed),
            Err(FormError::CertificateDigest("CompleteCertificateRefs").into()),
            "{to}"
        );
    }
}

#[test]
fn an_authority_for_authentication_only_does_not_vouch() {
    let (mut world, signed) = plain();
    world.cas[0].authentication_only = true;
    let error = world.verify(signed).unwrap_err();
    assert!(matches!(error, SignatureError::Path(PathError::AuthenticationOnly { .. })), "{error}");
}

#[test]
fn an_authority_that_is_not_approved_does_not_vouch() {
    let (mut world, signed) = plain();
    world.cas = World::new(ec_key()).cas;
    let error = world.verify(signed.clone()).unwrap_err();
    assert!(matches!(error, SignatureError::Path(_)), "{error}");
    world.cas.clear();
    assert_eq!(code(&world.verify(signed).unwrap_err()), "internal_error");
}

#[test]
fn the_certificate_must_be_for_signing() {
    use crate::trust::testing::DIGITAL_SIGNATURE;
    let bare = Draft { extensions: Vec::new(), ..sign_draft() };
    let cases = [
        (bare.clone(), "internal_error"),
        (bare.clone().usage(DIGITAL_SIGNATURE), "malformed_signature"),
        (bare.usage(DIGITAL_SIGNATURE | NON_REPUDIATION), ""),
    ];
    for (draft, expected) in cases {
        let world = World::with(ec_key(), draft);
        let result = world.verify(world.crafted(|t| t));
        assert_eq!(result.map_or_else(|e| code(&e), |_| String::new()), expected);
    }
}

#[test]
fn the_certificate_must_be_valid_then() {
    let (world, signed) = plain();
    let error = world.verify_at(signed.clone(), now().plus(seconds(10 * 86_400 + 1))).unwrap_err();
    assert_eq!(code(&error), "cannot_create_cert_path.internal_error");
    let error = world.verify_at(signed, now().minus(seconds(2 * 86_400))).unwrap_err();
    assert_eq!(code(&error), "cannot_create_cert_path.internal_error");
}

#[test]
fn the_certificate_must_be_the_signers() {
    let (mut world, signed) = plain();
    world.signer = MemberId::new("DEV", "GOV", "M1").subsystem("ANOTHER");
    world.verify(signed.clone()).unwrap();
    world.signer = MemberId::new("DEV", "GOV", "M2").subsystem("CONSUMER");
    let error = world.verify(signed).unwrap_err();
    assert!(matches!(error, SignatureError::Member { .. }));
    assert_eq!(code(&error), "incorrect_certificate");
}

// --- status --------------------------------------------------------------------------------------------------------

#[test]
fn the_status_must_be_good_and_fresh() {
    let revoked = Status::Revoked { at: now() };
    for (status, at, expected) in [
        (Status::Good, now().minus(seconds(3500)), ""),
        (revoked, now(), "invalid_cert_path.cert_validation"),
        (Status::Unknown, now(), "invalid_cert_path.cert_validation"),
        (Status::Good, now().minus(seconds(3700)), "invalid_cert_path.incorrect_validation_info"),
    ] {
        let mut world = World::new(ec_key());
        world.material.ocsp = vec![status_of(&world.material.certificate, &world.root, status, at)];
        let result = world.verify(world.crafted(|t| t));
        if let Ok(verified) = &result {
            assert_eq!(verified.status_time(), at);
        }
        assert_eq!(result.map_or_else(|e| code(&e), |_| String::new()), expected);
    }
}

#[test]
fn a_response_must_be_of_this_certificate_and_readable() {
    let mut world = World::new(ec_key());
    world.material.ocsp = vec![status_of(&world.root.certificate, &world.root, Status::Good, now())];
    let error = world.verify(world.crafted(|t| t)).unwrap_err();
    assert!(matches!(error, SignatureError::Status(OcspError::Missing { .. })), "{error}");
    assert_eq!(code(&error), "invalid_cert_path.cert_validation");
    world.material.ocsp = vec![b"garbage".to_vec()];
    assert_eq!(code(&world.verify(world.crafted(|t| t)).unwrap_err()), "malformed_signature");
}

#[test]
fn a_response_of_a_stranger_is_refused() {
    let mut world = World::new(ec_key());
    let stranger = Draft::ca("root").self_signed();
    world.material.ocsp = vec![status_of(&world.material.certificate, &stranger, Status::Good, now())];
    let error = world.verify(world.crafted(|t| t)).unwrap_err();
    assert!(matches!(error, SignatureError::Status(_)), "{error}");
}

#[test]
fn intermediates_need_their_status() {
    let mut world = World::below_an_intermediate(ec_key());
    let message = vec![part(MESSAGE, b"message")];
    let good = received(&world.sign(std::slice::from_ref(&message))[0], message.clone());
    world.verify(good).unwrap();
    world.material.ocsp[1] = world.material.ocsp[0].clone();
    let signed = received(&world.sign(std::slice::from_ref(&message))[0], message);
    assert_eq!(code(&world.verify(signed).unwrap_err()), "invalid_cert_path.cert_validation");
}
