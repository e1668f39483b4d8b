//! Every shape that is read besides the one that is written.

use super::*;
use crate::signature::c14n::EXCLUSIVE;
use std::process::Command;

/// Signs what `edit` makes of the plain form and verifies it.
fn holds(edit: impl Fn(String) -> String) {
    let world = World::new(ec_key());
    world.verify(world.crafted(edit)).unwrap();
}

#[test]
fn white_space_and_comments_around_the_signature() {
    holds(|t| t.replace("<ds:Signature Id", "\n  <!-- c --><?pi?> <ds:Signature Id"));
    holds(|t| t.replace("</asic:XAdESSignatures>", "\r\n</asic:XAdESSignatures>\n"));
    holds(|t| t.replace("<xades:CertDigest>", "<xades:CertDigest>\n "));
    holds(|t| format!("\u{feff}{t}"));
}

#[test]
fn old_wrappers_and_other_prefixes() {
    for old in ["http://uri.etsi.org/02918/v1.1.1#", "http://uri.etsi.org/2918/v1.1.1#"] {
        holds(|t| t.replace("http://uri.etsi.org/02918/v1.2.1#", old));
    }
    holds(|t| t.replace("<asic:", "<a:").replace("</asic:", "</a:").replace("xmlns:asic", "xmlns:a"));
    holds(|t| t.replace("<ds:", "<").replace("</ds:", "</").replace("xmlns:ds", "xmlns"));
    holds(|t| t.replace("xades:", "x:").replace(":xades=", ":x="));
}

#[test]
fn base64_in_lines_with_carriage_returns_comments_and_cdata() {
    let digest = form::to_base64(&DigestAlgorithm::Sha512.digest(b"message"));
    let (first, second) = digest.split_at(76);
    for between in ["&#13;\n", "\n", "\r\n", "<!-- c -->", "<![CDATA[]]>", " \t"] {
        holds(|t| t.replace(&digest, &format!("{first}{between}{second}")));
    }
    holds(|t| t.replace(&digest, &format!("<![CDATA[{digest}]]>")));
}

#[test]
fn the_references_in_another_order_and_without_ids() {
    holds(|t| {
        let start = t.find("<ds:Reference ").unwrap();
        let end = t.find("</ds:Reference>\n").unwrap() + "</ds:Reference>\n".len();
        let first = t[start..end].to_owned();
        t.replace(&first, "").replace("</ds:SignedInfo>", &format!("{first}</ds:SignedInfo>"))
    });
    holds(|t| t.replace(" Id=\"signature-reference-0\"", "").replace(" Id=\"signature-reference-1\"", ""));
    holds(|t| t.replace("Type=\"http://uri.etsi.org/01903#SignedProperties\" ", ""));
}

/// One reference for each part and no chain, as X-Road 8 signs, with or without the wrapper.
#[test]
fn one_reference_for_each_part() {
    let world = World::new(ec_key());
    let edit = |t: String| {
        let start = t.find("<ds:Reference ").unwrap();
        let end = t.find("</ds:Reference>\n").unwrap() + "</ds:Reference>\n".len();
        let digest = |b: &[u8]| form::to_base64(&DigestAlgorithm::Sha512.digest(b));
        let second = t[start..end]
            .replace("reference-0", "reference-2")
            .replace("/message.xml", "/attachment1")
            .replace(&digest(b"message"), &digest(b"attachment"));
        t.replace("</ds:SignedInfo>", &format!("{second}</ds:SignedInfo>"))
    };
    let bare = |t: String| {
        let (_, rest) = t.split_once("<ds:Signature ").unwrap();
        let (signature, _) = rest.split_once("</asic:XAdESSignatures>").unwrap();
        let namespaces = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\"";
        format!("<ds:Signature {namespaces} {signature}")
    };
    for signed in [world.crafted(edit), world.crafted(|t| bare(edit(t)))] {
        let signed = Unverified { parts: two_parts(), ..signed };
        world.verify(signed.clone()).unwrap();
        let mut changed = signed.clone();
        changed.parts[1] = part("/attachment1", b"other");
        assert_eq!(world.verify(changed), Err(SignatureError::Digest("/attachment1".to_owned())));
        let mut missing = signed;
        missing.parts.pop();
        assert_eq!(world.verify(missing), Err(SignatureError::Unresolved("/attachment1".to_owned())));
    }
}

#[test]
fn exclusive_canonicalization_and_the_second_form_of_signing_certificate() {
    let exclusive = |t: String| {
        let reference = "URI=\"#signed-properties\">";
        let transform = format!("<ds:Transforms><ds:Transform Algorithm=\"{EXCLUSIVE}\"/></ds:Transforms>");
        let method = "CanonicalizationMethod Algorithm=\"";
        t.replace(reference, &format!("{reference}{transform}"))
            .replace(&format!("{method}{}", c14n::INCLUSIVE), &format!("{method}{EXCLUSIVE}"))
    };
    holds(exclusive);
    holds(|t| {
        let (before, rest) = exclusive(t)
            .split_once("<xades:IssuerSerial>")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let (_, after) = rest.split_once("</xades:IssuerSerial>").unwrap();
        format!("{before}<xades:IssuerSerialV2>AA==</xades:IssuerSerialV2>{after}")
            .replace("xades:SigningCertificate>", "xades:SigningCertificateV2>")
    });
}

#[test]
fn sha256_signatures_and_references() {
    let world = World::new(rsa_key());
    let sha256 = DigestAlgorithm::Sha256;
    let algorithm = SignatureAlgorithm { digest: sha256, ..world.algorithm() };
    let message = vec![part(MESSAGE, b"message")];
    let prepared = prepare(std::slice::from_ref(&message), &world.material, algorithm, now()).unwrap();
    let value = world.key.sign(sha256, prepared.bytes(), crate::crypto::EcdsaForm::Fixed).unwrap();
    let verified = world.verify(received(&prepared.finish(&value)[0], message)).unwrap();
    assert_eq!(verified.algorithm(), algorithm);
    let digest = |a: DigestAlgorithm| {
        let value = form::to_base64(&a.digest(b"message"));
        format!("<ds:DigestMethod Algorithm=\"{}\"/>\n<ds:DigestValue>{value}<", a.uri())
    };
    let mut signed = world.crafted(|t| t.replace(&digest(DigestAlgorithm::Sha512), &digest(sha256)));
    signed.parts =
        vec![PartDigest { name: MESSAGE.to_owned(), algorithm: sha256, digest: sha256.digest(b"message") }];
    world.verify(signed).unwrap();
}

#[test]
fn line_ends_of_another_system() {
    let world = World::new(ec_key());
    let mut signed = world.crafted(|t| t);
    let text = String::from_utf8(signed.signature).unwrap();
    signed.signature = text.replace('\n', "\r\n").into_bytes();
    world.verify(signed).unwrap();
}

#[test]
fn a_time_stamp_is_inserted_and_found_and_leaves_the_signature_alone() {
    let world = World::below_an_intermediate(ec_key());
    let message = vec![part(MESSAGE, b"message")];
    let mut signed = received(&world.sign(std::slice::from_ref(&message))[0], message);
    let before = outline(&signed.signature).unwrap();
    signed.signature = with_timestamp(&signed.signature, b"token").unwrap();
    let text = String::from_utf8(signed.signature.clone()).unwrap();
    assert!(text.contains(
        "<xades:UnsignedSignatureProperties><xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>dG9rZW4=\
         </xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp><xades:CompleteCertificateRefs"
    ));
    let after = outline(&signed.signature).unwrap();
    assert_eq!(after.timestamps, [b"token".to_vec()]);
    assert_eq!(Outline { timestamps: Vec::new(), ..after }, before);
    assert_eq!(before.references, [MESSAGE, "#signed-properties"]);
    assert_eq!(before.parts, signed.parts);
    world.verify(signed.clone()).unwrap();
    let other = world.crafted(|t| t.replace("xades:", "x:").replace(":xades=", ":x="));
    let stamped = Unverified { signature: with_timestamp(&other.signature, b"token").unwrap(), ..other };
    assert_eq!(outline(&stamped.signature).unwrap().timestamps, [b"token".to_vec()]);
    world.verify(stamped).unwrap();
}

/// A call is known again however its signature is written down, and another signature over the same is another call.
#[test]
fn what_is_not_signed_makes_no_other_call() {
    use crate::continuity::once::Mark;
    let world = World::new(ec_key());
    let (one, written, envelope) = (world.crafted(|t| t), world.crafted(|t| t), b"<envelope/>");
    let mark = |document: &[u8]| Mark::of(envelope, document);
    let stamped = with_timestamp(&one.signature, b"token").unwrap();
    let text = String::from_utf8(one.signature.clone()).unwrap();
    let respelled = text.replace('\n', "\r\n").into_bytes();
    assert_eq!(mark(&one.signature), mark(&stamped));
    assert_eq!(mark(&one.signature), mark(&respelled));
    assert_eq!(mark(&one.signature), mark(&written.signature), "an EC value can be written in two ways");
    assert_ne!(mark(&one.signature), Mark::of(b"<other/>", &one.signature));
    let later = sign(
        &[vec![part(MESSAGE, b"message")]],
        &world.material,
        SignatureAlgorithm { digest: DigestAlgorithm::Sha512, ..world.key.algorithm() },
        now().plus(std::time::Duration::from_secs(1)),
        |bytes| {
            world
                .key
                .sign(DigestAlgorithm::Sha512, bytes, crate::crypto::EcdsaForm::Fixed)
                .map_err(|_| PrepareError::NoPart)
        },
    );
    assert_ne!(mark(&one.signature), mark(&later.unwrap()[0].signature));
}

/// The canonical forms that are digested when signing are those that a reader makes of the document.
#[test]
fn awkward_issuer_names_are_written_alike_in_document_and_digest() {
    use crate::trust::name::attribute::COMMON_NAME;
    for name in ["<&>\"'", "a\r\nb\tc", "\u{1}\u{ffff}", "õ, ä+=; #x \\", " x "] {
        let mut world = World::new(ec_key());
        world.root =
            Draft { subject: crate::trust::testing::name(&[(COMMON_NAME, name)]), ..Draft::ca("root") }
                .self_signed();
        world.cas = vec![crate::trust::testing::approved(&world.root)];
        let certificate = sign_draft().issued_for(world.key.spki(), &world.root);
        world.material.ocsp = vec![status_of(&certificate, &world.root, Status::Good, now())];
        world.material.certificate = certificate;
        world.verify(world.crafted(|t| t)).unwrap();
    }
}

/// xmlsec1 takes what we sign, and refuses it altered.
#[test]
fn xmlsec1_agrees() {
    if !has_tool("xmlsec1") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("saatkond-xmlsec1-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for (number, world) in worlds().into_iter().enumerate() {
        for (messages, uri) in [
            (vec![vec![part(MESSAGE, b"message")]], MESSAGE),
            (vec![two_parts(), two_parts()], HASH_CHAIN_RESULT),
        ] {
            let signed = &world.sign(&messages)[0];
            let data = signed.hash_chain_result.as_deref().unwrap_or(b"message");
            for (bytes, holds) in [(data.to_vec(), true), ([data, b" "].concat(), false)] {
                std::fs::write(path("data"), &bytes).unwrap();
                std::fs::write(path("signature.xml"), &signed.signature).unwrap();
                std::fs::write(path("certificate.der"), world.material.certificate.der()).unwrap();
                let map = format!("--url-map:{uri}");
                let output = Command::new("xmlsec1")
                    .args(["--verify", "--pubkey-cert-der", &path("certificate.der"), &map, &path("data")])
                    .args(["--id-attr:Id", "SignedProperties", &path("signature.xml")])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.success(), holds, "world {number}, {uri}: {said}");
            }
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}
