//! Signatures and hash chains.

use super::{Collection, digests, named, part};
use crate::vectors::judge::certificate;
use crate::vectors::pki::{self, AT, Party, Pki, later, now, says};
use crate::vectors::{Piece, Vector};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm, SignatureAlgorithm};
use saatkond_proto::signature::batch::{self, Kind};
use saatkond_proto::signature::c14n::{EXCLUSIVE, INCLUSIVE, Method};
use saatkond_proto::signature::{self, PrepareError, SignatureParts, SignerMaterial};
use saatkond_proto::trust::ocsp::Status;

const SPEC: &str = "PR-SIGDOC; XAdES 1.3.2; message-path §3.4, §4.3";
const MESSAGE: &[u8] = b"message";
const ATTACHMENT: &[u8] = b"attachment";

pub(super) fn add(made: &mut Collection, pki: &Pki) {
    chains(made);
    written(made, pki);
    other_shapes(made, pki);
    altered(made, pki);
    mistrusted(made, pki);
    crafted(made, pki);
}

/// What a member signs with: certificate, the authorities up to the root and the good status of each.
pub(super) fn material(pki: &Pki, member: &Party) -> SignerMaterial {
    let mut ocsp = Vec::new();
    let mut intermediates = Vec::new();
    let mut certificate = &member.certificate;
    for issuer in [&pki.lower, &pki.middle, &pki.root] {
        if certificate.names_issuer(&issuer.certificate) {
            ocsp.push(pki.says(issuer, certificate, Status::Good, now()));
            certificate = &issuer.certificate;
            intermediates.push(issuer.certificate.clone());
        }
    }
    intermediates.pop();
    SignerMaterial { certificate: member.certificate.clone(), intermediates, ocsp }
}

/// Signs messages together, each a list of its parts' contents.
pub(super) fn sign(member: &Party, material: &SignerMaterial, messages: &[&[&[u8]]]) -> Vec<SignatureParts> {
    let algorithm = member.key.algorithm();
    let messages: Vec<_> = messages.iter().map(|m| digests(m)).collect();
    let value = |bytes: &[u8]| Ok(member.key.sign(algorithm.digest, bytes, EcdsaForm::Fixed).unwrap());
    signature::sign::<PrepareError>(&messages, material, algorithm, now(), value).unwrap()
}

/// The pieces of a vector: parts, signature, hash chain.
fn pieces(parts: &[&[u8]], signed: &SignatureParts) -> Vec<Piece> {
    let mut pieces: Vec<_> =
        named(parts).iter().map(|(name, bytes)| Piece::new(&format!("PART {name}"), bytes)).collect();
    pieces.push(Piece::new("SIGNATURE", &signed.signature));
    pieces.extend(signed.hash_chain_result.as_ref().map(|r| Piece::new("HASH CHAIN RESULT", r)));
    pieces.extend(signed.hash_chain.as_ref().map(|c| Piece::new("HASH CHAIN", c)));
    pieces
}

fn begin(what: &str, code: &str) -> Vector {
    Vector::new("signature", what, SPEC)
        .with("trust", "dev")
        .with("signer", &format!("DEV/GOV/{code}"))
        .with("at", AT)
}

fn holds(vector: Vector, member: &Party, algorithm: SignatureAlgorithm) -> Vector {
    vector
        .accepted()
        .told("certificate", &certificate(&member.certificate))
        .told("algorithm", algorithm.uri().unwrap())
        .told("status time", AT)
        .told("signing time", AT)
        .told("authority", "Root CA")
}

/// What X-Road's form looks like for every kind of key and number of parts.
fn written(made: &mut Collection, pki: &Pki) {
    let members = [
        ("M1", "rsa", &pki.m1),
        ("M2", "p256", &pki.m2),
        ("M3", "p384-intermediate", &pki.m3),
        ("M4", "p256-below-the-listed", &pki.m4),
    ];
    for (code, name, member) in members {
        let material = material(pki, member);
        let mut add = |name: String, what: &str, parts: &[&[u8]], signed: &SignatureParts| {
            let vector = holds(begin(what, code), member, member.key.algorithm());
            made.add(&name, vector.in_pieces(&pieces(parts, signed)));
        };
        let plain: &[&[u8]] = &[MESSAGE];
        let signed = sign(member, &material, &[plain]);
        add(format!("plain-{name}"), "One part, signed plainly", plain, &signed[0]);
        let two: &[&[u8]] = &[MESSAGE, ATTACHMENT];
        let signed = sign(member, &material, &[two]);
        add(format!("chain-{name}"), "Two parts, signed through a hash chain", two, &signed[0]);
        let messages = [two, plain, &[b"third", b"", b"x"]];
        let signed = sign(member, &material, &messages);
        let what = "The last of three messages signed together; it has three parts, one empty";
        add(format!("batch-{name}"), what, messages[2], &signed[2]);
    }
}

/// A signature of one part edited before it is digested and signed.
struct Craft<'a> {
    pki: &'a Pki,
    member: &'a Party,
    material: SignerMaterial,
    digest: DigestAlgorithm,
}

impl<'a> Craft<'a> {
    fn new(pki: &'a Pki, member: &'a Party) -> Self {
        Self { pki, member, material: material(pki, member), digest: DigestAlgorithm::Sha512 }
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm { digest: self.digest, ..self.member.key.algorithm() }
    }

    /// The document that `edit` makes of the plain form, then digested and signed where the form has it.
    fn document(&self, edit: impl Fn(String) -> String) -> Vec<u8> {
        let signed = sign(self.member, &self.material, &[&[MESSAGE]]);
        let text = String::from_utf8(signed[0].signature.to_vec()).unwrap();
        let (before, properties) = text.split_once("URI=\"#signed-properties\"").unwrap();
        let properties = hollow(properties, "<ds:DigestValue>", "</ds:DigestValue>", "@PROPERTIES@");
        let text = format!("{before}URI=\"#signed-properties\"{properties}");
        let text =
            hollow(&text, "<ds:SignatureValue Id=\"signature-value\">", "</ds:SignatureValue>", "@VALUE@");
        let text = edit(text);
        let digest =
            DigestAlgorithm::Sha512.digest(&canonical(&text, "SignedProperties", "<ds:Transform Algorithm"));
        let text = text.replace("@PROPERTIES@", &STANDARD.encode(digest));
        let info = canonical(&text, "SignedInfo", "<ds:CanonicalizationMethod Algorithm");
        let value = self.member.key.sign(self.digest, &info, EcdsaForm::Fixed).unwrap();
        text.replace("@VALUE@", &STANDARD.encode(value)).into_bytes()
    }
}

/// The canonical form of the first element of this name; exclusive if the word before the algorithm says so.
fn canonical(text: &str, name: &str, method: &str) -> Vec<u8> {
    let uri = if text.contains(&format!("{method}=\"{EXCLUSIVE}\"")) { EXCLUSIVE } else { INCLUSIVE };
    let document = saatkond_proto::xml::admit(text, 1 << 20).unwrap();
    let node = document.descendants().find(|n| n.tag_name().name() == name).unwrap();
    Method::from_uri(uri).unwrap().element_bytes(node).unwrap()
}

/// Replaces what stands between two words, the first time.
fn hollow(text: &str, start: &str, end: &str, with: &str) -> String {
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{start}{with}{end}{after}")
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn base64_digest(bytes: &[u8]) -> String {
    STANDARD.encode(DigestAlgorithm::Sha512.digest(bytes))
}

/// One more reference, to an attachment.
fn with_attachment(text: &str) -> String {
    let start = text.find("<ds:Reference ").unwrap();
    let end = text.find("</ds:Reference>\n").unwrap() + "</ds:Reference>\n".len();
    let second = text[start..end]
        .replace("reference-0", "reference-2")
        .replace("/message.xml", "/attachment1")
        .replace(&base64_digest(MESSAGE), &base64_digest(ATTACHMENT));
    text.replace("</ds:SignedInfo>", &format!("{second}</ds:SignedInfo>"))
}

const REFERENCE: &str = "<ds:Reference Id=\"signature-reference-0\" URI=\"/message.xml\">";

/// Shapes that X-Road reads besides the one that it writes.
fn other_shapes(made: &mut Collection, pki: &Pki) {
    let mut add = |name: &str, what: &str, craft: &Craft<'_>, parts: &[&[u8]], document: Vec<u8>| {
        let code = if std::ptr::eq(craft.member, &raw const pki.m1) { "M1" } else { "M2" };
        let signed = SignatureParts { signature: document.into(), hash_chain_result: None, hash_chain: None };
        let vector = holds(begin(what, code), craft.member, craft.algorithm());
        made.add(name, vector.in_pieces(&pieces(parts, &signed)));
    };
    let (rsa, ec) = (Craft::new(pki, &pki.m1), Craft::new(pki, &pki.m2));
    let one: &[&[u8]] = &[MESSAGE];
    let two: &[&[u8]] = &[MESSAGE, ATTACHMENT];
    for (craft, name) in [(&rsa, "rsa"), (&ec, "p256")] {
        let document = craft.document(|t| with_attachment(&t));
        add(&format!("references-{name}"), "One reference for each part and no chain", craft, two, document);
        let exclusive = |t: String| {
            let reference = "URI=\"#signed-properties\">";
            let transform = format!(
                "{reference}<ds:Transforms><ds:Transform Algorithm=\"{EXCLUSIVE}\"/></ds:Transforms>"
            );
            replaced(&replaced(&t, reference, &transform), INCLUSIVE, EXCLUSIVE)
        };
        add(
            &format!("exclusive-{name}"),
            "Exclusive canonicalization",
            craft,
            one,
            craft.document(exclusive),
        );
    }
    let weaker = |pki, member, digest| Craft { digest, ..Craft::new(pki, member) };
    let sha512 = "xmldsig-more#rsa-sha512";
    for (digest, number) in [(DigestAlgorithm::Sha256, "256"), (DigestAlgorithm::Sha384, "384")] {
        let craft = weaker(pki, &pki.m1, digest);
        let document = craft.document(|t| replaced(&t, sha512, &format!("xmldsig-more#rsa-sha{number}")));
        add(&format!("rsa-sha{number}"), "A smaller digest under the signature value", &craft, one, document);
    }
    let craft = weaker(pki, &pki.m2, DigestAlgorithm::Sha256);
    let document = craft.document(|t| replaced(&t, "ecdsa-sha512", "ecdsa-sha256"));
    add("p256-sha256", "A smaller digest under the signature value", &craft, one, document);
    let lines = |t: String| {
        let digest = base64_digest(MESSAGE);
        let (first, second) = digest.split_at(76);
        replaced(&t, &digest, &format!("{first}&#13;\n{second}"))
    };
    let what = "Base64 in lines that end with a carriage return, as X-Road's own writer leaves it";
    add("base64-lines", what, &rsa, one, rsa.document(lines));
    let renamed = |t: String| t.replace("<ds:", "<").replace("</ds:", "</").replace("xmlns:ds", "xmlns");
    add(
        "default-namespace",
        "The namespace of XML signatures without a prefix",
        &rsa,
        one,
        rsa.document(renamed),
    );
    let old =
        |t: String| replaced(&t, "http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v1.1.1#");
    add("old-wrapper", "The older namespace of the wrapper", &rsa, one, rsa.document(old));
    let bare = |t: String| {
        let (_, rest) = t.split_once("<ds:Signature ").unwrap();
        let (signature, _) = rest.split_once("</asic:XAdESSignatures>").unwrap();
        let spaces = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\"";
        format!("<ds:Signature {spaces} {signature}")
    };
    add("no-wrapper", "No wrapper around the signature", &ec, one, ec.document(bare));
    let document = String::from_utf8(ec.document(|t| t)).unwrap().replace('\n', "\r\n");
    add(
        "carriage-returns",
        "Line ends of another system, which a parser makes line feeds",
        &ec,
        one,
        document.into_bytes(),
    );
}

/// Proofs of other messages, and proofs that lack something.
fn altered(made: &mut Collection, pki: &Pki) {
    let mut add = |name: &str, what: &str, code: &str, pieces: &[Piece]| {
        made.add(name, begin(what, "M2").refused(code).in_pieces(pieces));
    };
    let material = material(pki, &pki.m2);
    let plain = pieces(&[MESSAGE], &sign(&pki.m2, &material, &[&[MESSAGE]])[0]);
    let two: &[&[u8]] = &[MESSAGE, ATTACHMENT];
    let signed = sign(&pki.m2, &material, &[two, &[b"other", ATTACHMENT]]);
    let chained = pieces(two, &signed[0]);
    let with = |pieces: &[Piece], label: &str, bytes: &[u8]| -> Vec<Piece> {
        let other = |p: &Piece| if p.label == label { Piece::new(label, bytes) } else { p.clone() };
        pieces.iter().map(other).collect()
    };
    let without = |pieces: &[Piece], label: &str| -> Vec<Piece> {
        pieces.iter().filter(|p| p.label != label).cloned().collect()
    };
    let chain = "malformed_signature.invalid_hash_chain";
    let reference = "malformed_signature.invalid_reference";
    add(
        "message-altered",
        "The message is another",
        "invalid_signature_value",
        &with(&plain, "PART /message.xml", b"massage"),
    );
    add(
        "chained-message-altered",
        "The message is another",
        chain,
        &with(&chained, "PART /message.xml", b"massage"),
    );
    add("attachment-altered", "The attachment is another", chain, &with(&chained, "PART /attachment1", b""));
    add(
        "attachment-missing",
        "The attachment did not come",
        reference,
        &without(&chained, "PART /attachment1"),
    );
    add("chain-missing", "The hash chain did not come", reference, &without(&chained, "HASH CHAIN"));
    add(
        "result-missing",
        "The hash chain result did not come",
        "internal_error",
        &without(&chained, "HASH CHAIN RESULT"),
    );
    add("signature-missing", "The signature is empty", "invalid_xml", &with(&plain, "SIGNATURE", b""));
    let other = signed[1].hash_chain.as_deref().unwrap();
    add(
        "chain-of-another",
        "The hash chain of another message signed together",
        chain,
        &with(&chained, "HASH CHAIN", other),
    );
    let mut more = chained.clone();
    more.push(Piece::new("PART /attachment2", b"more"));
    add(
        "attachment-added",
        "One attachment more than the chain names",
        "malformed_signature.hashchain_unused_inputs",
        &more,
    );
    let mut more = plain.clone();
    more.push(Piece::new("PART /attachment1", ATTACHMENT));
    add(
        "attachment-uncovered",
        "An attachment that nothing signed names: X-Road takes it",
        "malformed_signature",
        &more,
    );
    more.extend(chained.iter().filter(|p| p.label.starts_with("HASH")).cloned());
    add(
        "chain-unsigned",
        "A hash chain that the signature does not cover: X-Road takes it",
        "malformed_signature",
        &more,
    );
    let signature = &plain.iter().find(|p| p.label == "SIGNATURE").unwrap().bytes;
    let text = String::from_utf8(signature.clone()).unwrap();
    let doctype = replaced(&text, "?>", "?><!DOCTYPE x [<!ENTITY e \"\">]>");
    add("doctype", "A document type", "invalid_xml", &with(&plain, "SIGNATURE", doctype.as_bytes()));
    let second = replaced(&text, "</ds:Object>", "</ds:Object><ds:Object><ds:Signature/></ds:Object>");
    add(
        "signature-inside",
        "A second signature inside",
        "malformed_signature",
        &with(&plain, "SIGNATURE", second.as_bytes()),
    );
    let twice = replaced(&text, "<ds:KeyInfo>", "<ds:KeyInfo Id=\"signed-properties\">");
    add(
        "id-twice",
        "One Id on two elements",
        "malformed_signature",
        &with(&plain, "SIGNATURE", twice.as_bytes()),
    );
    let none = hollow(&text, "<xades:OCSPValues>", "</xades:OCSPValues>", "");
    add("no-status", "No OCSP response", "malformed_signature", &with(&plain, "SIGNATURE", none.as_bytes()));
}

/// Signatures that hold, of signers who are not to be believed.
fn mistrusted(made: &mut Collection, pki: &Pki) {
    let mut add =
        |name: &str, what: &str, code: &str, (member, at): (&str, String), signed: &SignatureParts| {
            let vector = Vector::new("signature", what, "RFC 5280; RFC 6960; message-path §4.3, §5.3")
                .with("trust", "dev")
                .with("signer", &format!("DEV/GOV/{member}"))
                .with("at", &at);
            made.add(name, vector.refused(code).in_pieces(&pieces(&[MESSAGE], signed)));
        };
    let one = |member: &Party, material: &SignerMaterial| sign(member, material, &[&[MESSAGE]]).remove(0);
    let good = material(pki, &pki.m2);
    let told = |ocsp| SignerMaterial { ocsp, ..good.clone() };
    let at = || AT.to_owned();
    let of_m2 = |status, at| pki.says(&pki.root, &pki.m2.certificate, status, at);
    let status = "invalid_cert_path.incorrect_validation_info";
    let validation = "invalid_cert_path.cert_validation";
    add(
        "other-member",
        "The certificate is another member's",
        "incorrect_certificate",
        ("M1", at()),
        &one(&pki.m2, &good),
    );
    let stale = later(pki::FRESHNESS + 1).to_string();
    add(
        "status-stale",
        "The OCSP response is older than the instance allows",
        status,
        ("M2", stale),
        &one(&pki.m2, &good),
    );
    let ahead = told(vec![of_m2(Status::Good, later(301))]);
    add(
        "status-ahead",
        "The OCSP response is of more than five minutes ahead",
        status,
        ("M2", at()),
        &one(&pki.m2, &ahead),
    );
    let revoked = told(vec![of_m2(Status::Revoked { at: now() }, now())]);
    add("revoked", "The certificate was revoked", validation, ("M2", at()), &one(&pki.m2, &revoked));
    let unknown = told(vec![of_m2(Status::Unknown, now())]);
    add(
        "unknown",
        "The authority does not know the certificate",
        validation,
        ("M2", at()),
        &one(&pki.m2, &unknown),
    );
    let other = told(vec![pki.says(&pki.root, &pki.m1.certificate, Status::Good, now())]);
    add(
        "status-of-another",
        "The OCSP response is of another certificate",
        validation,
        ("M2", at()),
        &one(&pki.m2, &other),
    );
    let forged = told(vec![says(&pki.stranger_ca, &pki.root, &pki.m2.certificate, Status::Good, now())]);
    add(
        "status-by-a-stranger",
        "The OCSP response is signed by nobody who may",
        status,
        ("M2", at()),
        &one(&pki.m2, &forged),
    );
    let delegate = told(vec![says(&pki.delegate, &pki.root, &pki.m2.certificate, Status::Good, now())]);
    add(
        "status-by-anothers-delegate",
        "The OCSP responder speaks for another authority",
        status,
        ("M2", at()),
        &one(&pki.m2, &delegate),
    );
    let all = material(pki, &pki.m4);
    let without = |number: usize| {
        let mut ocsp = all.ocsp.clone();
        ocsp[number] = ocsp[2].clone();
        SignerMaterial { ocsp, ..all.clone() }
    };
    let what = "No OCSP response for an authority that the instance does not list";
    add("intermediate-without-status", what, validation, ("M4", at()), &one(&pki.m4, &without(1)));
    let what = "No OCSP response for the signer, but for all authorities";
    add("signer-without-status", what, validation, ("M4", at()), &one(&pki.m4, &without(0)));
    let mut gap = all.clone();
    gap.intermediates[0] = gap.intermediates[1].clone();
    let path = "internal_error";
    let what = "The authority between the signer and the listed one is not sent along";
    add("intermediate-missing", what, path, ("M4", at()), &one(&pki.m4, &gap));
    let stranger = SignerMaterial {
        certificate: pki.stranger.certificate.clone(),
        intermediates: Vec::new(),
        ocsp: vec![says(&pki.stranger_ca, &pki.stranger_ca, &pki.stranger.certificate, Status::Good, now())],
    };
    add(
        "stranger",
        "The certificate is of an authority that nobody approves",
        path,
        ("M1", at()),
        &one(&pki.stranger, &stranger),
    );
    let tsa = SignerMaterial {
        certificate: pki.tsa.certificate.clone(),
        intermediates: Vec::new(),
        ocsp: vec![pki.says(&pki.root, &pki.tsa.certificate, Status::Good, now())],
    };
    add(
        "not-for-signing",
        "The certificate has no key usage nonRepudiation",
        "malformed_signature",
        ("M1", at()),
        &one(&pki.tsa, &tsa),
    );
    let ended = "2047-01-01T00:00:00Z".to_owned();
    add(
        "expired",
        "The certificate's time has passed",
        "cannot_create_cert_path.internal_error",
        ("M2", ended),
        &one(&pki.m2, &good),
    );
}

/// Documents that are signed and that nobody should have signed.
fn crafted(made: &mut Collection, pki: &Pki) {
    let craft = Craft::new(pki, &pki.m2);
    let mut add = |name: &str, what: &str, code: &str, edit: &dyn Fn(String) -> String| {
        let document = craft.document(edit);
        let signed = SignatureParts { signature: document.into(), hash_chain_result: None, hash_chain: None };
        made.add(name, begin(what, "M2").refused(code).in_pieces(&pieces(&[MESSAGE], &signed)));
    };
    assert!(std::ptr::eq(craft.pki, pki));
    add("transformed-part", "A transform on a part", "internal_error", &|t| {
        let transform =
            format!("{REFERENCE}<ds:Transforms><ds:Transform Algorithm=\"{INCLUSIVE}\"/></ds:Transforms>");
        replaced(&t, REFERENCE, &transform)
    });
    add("xpath-transform", "An XPath transform", "internal_error", &|t| {
        let xpath = "http://www.w3.org/TR/1999/REC-xpath-19991116";
        let transform =
            format!("{REFERENCE}<ds:Transforms><ds:Transform Algorithm=\"{xpath}\"/></ds:Transforms>");
        replaced(&t, REFERENCE, &transform)
    });
    add("properties-unsigned", "No reference to the signed properties", "malformed_signature", &|t| {
        let (before, rest) = t.split_once("<ds:Reference Id=\"signature-reference-1\"").unwrap();
        let (_, after) = rest.split_once("</ds:Reference>\n").unwrap();
        format!("{before}{after}")
    });
    add(
        "properties-of-another",
        "The reference leads to properties in another object: a wrapped signature",
        "malformed_signature",
        &|t| {
            let start = t.find("<xades:SignedProperties").unwrap();
            let end = t.find("</xades:SignedProperties>").unwrap() + "</xades:SignedProperties>".len();
            let signed = t[start..end].to_owned();
            let other = signed.replace("signed-properties", "other-properties").replace("2026", "2027");
            t.replace(&signed, &other)
                .replace("<ds:Object>", &format!("<ds:Object>{signed}</ds:Object>\n<ds:Object>"))
        },
    );
    add("message-unsigned", "The reference names something that did not come", "internal_error", &|t| {
        replaced(&t, "URI=\"/message.xml\"", "URI=\"/other.xml\"")
    });
    add("empty-uri", "A reference with an empty URI", "internal_error", &|t| {
        replaced(&t, "URI=\"/message.xml\"", "URI=\"\"")
    });
    add("reference-twice", "Two references to one part", "malformed_signature", &|t| {
        let start = t.find(REFERENCE).unwrap();
        let end = t.find("</ds:Reference>\n").unwrap() + "</ds:Reference>\n".len();
        let again = t[start..end].replace("reference-0", "reference-2");
        t.replace("</ds:SignedInfo>", &format!("{again}</ds:SignedInfo>"))
    });
    add("sha1-reference", "A part digested with SHA-1: X-Road takes it", "internal_error", &|t| {
        let sha1 = STANDARD.encode(DigestAlgorithm::Sha1.digest(MESSAGE));
        let t = replaced(&t, &base64_digest(MESSAGE), &sha1);
        replaced(&t, DigestAlgorithm::Sha512.uri(), DigestAlgorithm::Sha1.uri())
    });
    add("ecdsa-sha1", "A signature made with SHA-1: X-Road takes it", "invalid_signature_value", &|t| {
        replaced(
            &t,
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        )
    });
    add(
        "other-scheme",
        "A signature algorithm that does not go with the key",
        "invalid_signature_value",
        &|t| replaced(&t, "ecdsa-sha512", "rsa-sha512"),
    );
    add("unknown-canonicalization", "A canonicalization that is not known", "internal_error", &|t| {
        replaced(&t, INCLUSIVE, "http://example.org/c14n")
    });
    add(
        "certificate-digest",
        "The signed properties name another certificate",
        "malformed_signature",
        &|t| {
            hollow(
                &t,
                "<xades:CertDigest><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/><ds:DigestValue>",
                "</ds:DigestValue>",
                &base64_digest(b"another"),
            )
        },
    );
    add("two-signatures", "Two signatures in the document", "malformed_signature", &|t| {
        replaced(&t, "</asic:XAdESSignatures>", "<ds:Signature Id=\"second\"/></asic:XAdESSignatures>")
    });
    add("text-outside", "Text before the signature", "malformed_signature", &|t| {
        replaced(&t, "<ds:Signature Id", "text<ds:Signature Id")
    });
}

/// Hash chains without signatures, for signatures and time-stamps.
fn chains(made: &mut Collection) {
    let spec = "X-Road hash chain; RFC 6962 2.1; message-path §3.6, §3.7, §3.8";
    let begin = |what: &str, proves: &str| Vector::new("hash-chain", what, spec).with("proves", proves);
    let messages: Vec<Vec<Vec<u8>>> = (0..7u8)
        .map(|m| (0..=m % 3).map(|p| format!("message {m} part {p}").into_bytes()).collect())
        .collect();
    let borrowed: Vec<Vec<&[u8]>> = messages.iter().map(|m| m.iter().map(Vec::as_slice).collect()).collect();
    let all: Vec<_> = borrowed.iter().map(|m| digests(m)).collect();
    let chains = batch::build(Kind::Signature, &all).unwrap();
    let listed = |parts: &[(String, Vec<u8>)], result: &[u8], chain: &[u8]| -> Vec<Piece> {
        let mut pieces: Vec<_> = parts.iter().map(|(n, b)| Piece::new(&format!("PART {n}"), b)).collect();
        pieces.extend([Piece::new("HASH CHAIN RESULT", result), Piece::new("HASH CHAIN", chain)]);
        pieces
    };
    for (number, (chain, parts)) in chains.chains.iter().zip(&borrowed).enumerate() {
        let what = format!("Message {} of seven; its parts: {}", number + 1, parts.len());
        let parts = named(parts);
        let vector = parts.iter().fold(begin(&what, "signature").accepted(), |v, (n, _)| v.told("part", n));
        made.add(
            &format!("signature-{}", number + 1),
            vector.in_pieces(&listed(&parts, &chains.result, chain)),
        );
    }
    let signatures: Vec<Vec<u8>> =
        (0..5).map(|n| format!("<signature number=\"{n}\"/>").into_bytes()).collect();
    let all: Vec<_> = signatures.iter().map(|s| vec![part(batch::SIGNATURES, s)]).collect();
    let stamps = batch::build(Kind::Timestamp, &all).unwrap();
    let stamped = [(batch::SIGNATURES.to_owned(), signatures[4].clone())];
    let vector = begin("The last of five signatures under one time-stamp", "time-stamp").accepted();
    let vector = vector.told("part", batch::SIGNATURES);
    made.add("time-stamp", vector.in_pieces(&listed(&stamped, &stamps.result, &stamps.chains[4])));

    let parts = named(&borrowed[2]);
    let text = String::from_utf8(chains.chains[2].clone()).unwrap();
    let mut refuse =
        |name: &str, what: &str, code: &str, parts: &[(String, Vec<u8>)], result: &[u8], chain: &str| {
            made.add(
                name,
                begin(what, "signature").refused(code).in_pieces(&listed(parts, result, chain.as_bytes())),
            );
        };
    let mut changed = parts.clone();
    changed[1].1.push(b'!');
    refuse("part-altered", "A part is another", "invalid_hash_chain", &changed, &chains.result, &text);
    refuse(
        "part-missing",
        "A part that the chain names did not come",
        "invalid_reference",
        &parts[..2],
        &chains.result,
        &text,
    );
    let more = [parts.clone(), vec![("/attachment9".to_owned(), Vec::new())]].concat();
    refuse(
        "part-unused",
        "A part that the chain does not name",
        "hashchain_unused_inputs",
        &more,
        &chains.result,
        &text,
    );
    refuse(
        "result-of-time-stamp",
        "The result of a time-stamp's chain",
        "invalid_reference",
        &parts,
        &stamps.result,
        &text,
    );
    let circle = replaced(&text, "#STEP1", "#STEP0");
    refuse("circle", "A step that leads to itself", "malformed_hash_chain", &parts, &chains.result, &circle);
    let transformed = text.replacen("<DigestValue>", "<Transforms/><DigestValue>", 1);
    let transformed = if transformed.contains("<ns2:HashValue>\n            <Transforms/>") {
        let at = text.find("<ns2:DataRef").unwrap();
        let (before, after) = text.split_at(at);
        format!("{before}{}", after.replacen("<DigestValue>", "<Transforms/><DigestValue>", 1))
    } else {
        transformed
    };
    refuse(
        "transformed",
        "A transform on a part",
        "malformed_hash_chain",
        &parts,
        &chains.result,
        &transformed,
    );
    let sha1 = replaced(&text, DigestAlgorithm::Sha512.uri(), DigestAlgorithm::Sha1.uri());
    refuse(
        "sha1",
        "SHA-1 throughout: X-Road takes it",
        "malformed_hash_chain",
        &parts,
        &chains.result,
        &sha1,
    );
    let start = text.find("    <ns2:DefaultDigestMethod").unwrap();
    let end = start + text[start..].find("/>\n").unwrap() + 3;
    let none = format!("{}{}", &text[..start], &text[end..]);
    refuse("no-default-method", "No default digest method", "internal_error", &parts, &chains.result, &none);
    refuse(
        "no-steps",
        "No step of the name that the result gives",
        "malformed_hash_chain",
        &parts,
        &chains.result,
        &text.replace("\"STEP0\"", "\"STEP9\""),
    );
    let named_other =
        text.replace(&STANDARD.encode(&digests(&borrowed[2])[1].digest), &base64_digest(b"other"));
    refuse(
        "named-otherwise",
        "The chain names another digest for a part that is right: X-Road takes it",
        "invalid_hash_chain_ref",
        &parts,
        &chains.result,
        &named_other,
    );
    refuse("not-xml", "No XML", "malformed_hash_chain", &parts, &chains.result, "");
}
