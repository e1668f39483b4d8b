//! The signature document as X-Road 7.8 writes it.
//!
//! Seen: message-path §3.4. Ours: base64 stands on one line, which Java reads as well.
//!
//! The two signed elements are written twice from one template: as they stand in the document, and in canonical form,
//! which is what is digested. The difference is in the namespaces of the first tag and in empty elements.

use super::{ASIC, SIGNED_PROPERTIES, XADES};
use crate::crypto::DigestAlgorithm;
use crate::signature::SignerMaterial;
use crate::signature::c14n::{self, INCLUSIVE};
use crate::signature::form::{DS, to_base64};
use crate::time::UnixTime;
use crate::trust::Certificate;
use std::fmt::Write as _;

/// Namespace of schema instances, declared and not used. Seen: X-Road 7.8.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The signature policy. Seen: X-Road 7.8.
const POLICY: &str = "urn:oid:1.3.6.1.4.1.3516.16.2";
/// Its title. Seen: X-Road 7.8.
const POLICY_TITLE: &str = "Profile for High Performance Digital Signatures (version 1.2)";
/// SHA-512 of its text. Seen: X-Road 7.8.
const POLICY_DIGEST: &str =
    "BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==";
/// Where its text lies. Seen: X-Road 7.8.
const POLICY_TEXT: &str = "https://repo.cyber.ee/dsig-profile-1.2.pdf";
/// What is digested with. Spec: message-path §0.3.
const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha512;
/// Base64 of a signature value that is longer than this stands on a line of its own. Seen: X-Road 7.8.
const VALUE_LINE_CHARS: usize = 76;

/// What a signature is made over: the message, or a hash chain result.
pub(in crate::signature) struct Signed<'a> {
    /// `/message.xml` or `/sig-hashchainresult.xml`.
    pub(in crate::signature) uri: &'a str,
    /// The media type that the signature gives it.
    pub(in crate::signature) media_type: &'static str,
    /// Its SHA-512 digest.
    pub(in crate::signature) digest: &'a [u8],
}

/// A signature document that lacks its value.
#[derive(Debug)]
pub struct ToSign {
    bytes: Vec<u8>,
    head: String,
    tail: String,
}

impl ToSign {
    /// The bytes to sign: the canonical form of `SignedInfo`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Completes the document with the signature value.
    #[must_use]
    pub fn finish(&self, value: &[u8]) -> Vec<u8> {
        let value = to_base64(value);
        let line = if value.len() > VALUE_LINE_CHARS { "\n" } else { "" };
        [&self.head, line, &value, line, &self.tail].concat().into_bytes()
    }
}

/// Writes everything but the value.
pub(in crate::signature) fn prepare(
    signed: &Signed<'_>,
    material: &SignerMaterial,
    algorithm_uri: &str,
    at: UnixTime,
) -> ToSign {
    let certificate = certificate_reference(&material.certificate);
    let properties = |form| signed_properties(form, &certificate, signed.media_type, at);
    let digest = DIGEST.digest(properties(Form::Canonical).as_bytes());
    let info = |form| signed_info(form, algorithm_uri, signed, &digest);
    let namespaces = Form::Canonical.namespaces();
    let head = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><asic:XAdESSignatures{namespaces}>\
         <ds:Signature Id=\"signature\">\n{}\n<ds:SignatureValue Id=\"signature-value\">",
        info(Form::Document),
    );
    let tail = format!(
        "</ds:SignatureValue>\n<ds:KeyInfo>\n<ds:X509Data>\n<ds:X509Certificate>\n{}\n</ds:X509Certificate>\n\
         </ds:X509Data>\n</ds:KeyInfo>\n<ds:Object><xades:QualifyingProperties Target=\"#signature\">{}{}\
         </xades:QualifyingProperties></ds:Object>\n</ds:Signature></asic:XAdESSignatures>",
        to_base64(material.certificate.der()),
        properties(Form::Document),
        unsigned_properties(material),
    );
    ToSign { bytes: info(Form::Canonical).into_bytes(), head, tail }
}

/// Whether an element is written for the document or for a digest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Document,
    Canonical,
}

impl Form {
    /// What the first tag declares: in the document all is declared above it.
    fn namespaces(self) -> String {
        match self {
            Self::Document => String::new(),
            Self::Canonical => {
                format!(
                    " xmlns:asic=\"{ASIC}\" xmlns:ds=\"{DS}\" xmlns:xades=\"{XADES}\" xmlns:xsi=\"{XSI}\""
                )
            }
        }
    }

    /// An element that holds nothing but the name of an algorithm.
    fn algorithm(self, name: &str, uri: &str) -> String {
        match self {
            Self::Document => format!("<ds:{name} Algorithm=\"{uri}\"/>"),
            Self::Canonical => format!("<ds:{name} Algorithm=\"{uri}\"></ds:{name}>"),
        }
    }
}

fn signed_info(form: Form, algorithm_uri: &str, signed: &Signed<'_>, properties: &[u8]) -> String {
    let digest = form.algorithm("DigestMethod", DIGEST.uri());
    format!(
        "<ds:SignedInfo{}>\n{}\n{}\n\
         <ds:Reference Id=\"signature-reference-0\" URI=\"{}\">\n{digest}\n\
         <ds:DigestValue>{}</ds:DigestValue>\n</ds:Reference>\n\
         <ds:Reference Id=\"signature-reference-1\" Type=\"{SIGNED_PROPERTIES}\" URI=\"#signed-properties\">\n{digest}\n\
         <ds:DigestValue>{}</ds:DigestValue>\n</ds:Reference>\n</ds:SignedInfo>",
        form.namespaces(),
        form.algorithm("CanonicalizationMethod", INCLUSIVE),
        form.algorithm("SignatureMethod", algorithm_uri),
        signed.uri,
        to_base64(signed.digest),
        to_base64(properties),
    )
}

fn signed_properties(
    form: Form,
    certificate: &CertificateReference,
    media_type: &str,
    at: UnixTime,
) -> String {
    let (namespaces, time) = (form.namespaces(), at.to_rfc3339_millis());
    let digest = form.algorithm("DigestMethod", DIGEST.uri());
    format!(
        "<xades:SignedProperties{namespaces} Id=\"signed-properties\"><xades:SignedSignatureProperties>\
         <xades:SigningTime>{time}</xades:SigningTime>\
         <xades:SigningCertificate><xades:Cert>{}</xades:Cert></xades:SigningCertificate>\
         <xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>\
         <xades:Identifier Qualifier=\"OIDAsURN\">{POLICY}</xades:Identifier>\
         <xades:Description>{POLICY_TITLE}</xades:Description></xades:SigPolicyId>\
         <xades:SigPolicyHash>{digest}<ds:DigestValue>{POLICY_DIGEST}</ds:DigestValue></xades:SigPolicyHash>\
         <xades:SigPolicyQualifiers><xades:SigPolicyQualifier><xades:SPURI>{POLICY_TEXT}</xades:SPURI>\
         </xades:SigPolicyQualifier></xades:SigPolicyQualifiers></xades:SignaturePolicyId>\
         </xades:SignaturePolicyIdentifier></xades:SignedSignatureProperties><xades:SignedDataObjectProperties>\
         <xades:DataObjectFormat ObjectReference=\"#signature-reference-0\">\
         <xades:MimeType>{media_type}</xades:MimeType></xades:DataObjectFormat>\
         </xades:SignedDataObjectProperties></xades:SignedProperties>",
        certificate.write(form),
    )
}

/// A certificate by digest, issuer and serial number.
struct CertificateReference {
    digest: String,
    issuer: String,
    serial: String,
}

fn certificate_reference(certificate: &Certificate) -> CertificateReference {
    CertificateReference {
        digest: to_base64(&DIGEST.digest(certificate.der())),
        issuer: text(&certificate.issuer_rfc2253()),
        serial: certificate.serial_decimal(),
    }
}

impl CertificateReference {
    /// Without white space, which X-Road 7.8 would stumble over (message-path §3.10).
    fn write(&self, form: Form) -> String {
        let Self { digest, issuer, serial } = self;
        let method = form.algorithm("DigestMethod", DIGEST.uri());
        format!(
            "<xades:CertDigest>{method}<ds:DigestValue>{digest}</ds:DigestValue></xades:CertDigest>\
             <xades:IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>\
             <ds:X509SerialNumber>{serial}</ds:X509SerialNumber></xades:IssuerSerial>"
        )
    }
}

fn unsigned_properties(material: &SignerMaterial) -> String {
    let mut out = String::from("<xades:UnsignedProperties><xades:UnsignedSignatureProperties>");
    if !material.intermediates.is_empty() {
        let (mut references, mut values) = (String::new(), String::new());
        for (number, certificate) in (1..).zip(&material.intermediates) {
            let reference = certificate_reference(certificate).write(Form::Document);
            push(
                &mut references,
                format_args!("<xades:Cert URI=\"#encapsulated-cert-{number}\">{reference}</xades:Cert>"),
            );
            encapsulated(&mut values, "X509Certificate", "encapsulated-cert", number, certificate.der());
        }
        push(
            &mut out,
            format_args!(
                "<xades:CompleteCertificateRefs Id=\"complete-certificate-refs\"><xades:CertRefs>{references}\
                 </xades:CertRefs></xades:CompleteCertificateRefs>\
                 <xades:CertificateValues>{values}</xades:CertificateValues>"
            ),
        );
    }
    out.push_str("<xades:RevocationValues><xades:OCSPValues>");
    for (number, response) in (1..).zip(&material.ocsp) {
        encapsulated(&mut out, "OCSPValue", "ocsp-response", number, response);
    }
    out.push_str(
        "</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties></xades:UnsignedProperties>",
    );
    out
}

fn encapsulated(out: &mut String, kind: &str, id: &str, number: usize, der: &[u8]) {
    let value = to_base64(der);
    push(
        out,
        format_args!("<xades:Encapsulated{kind} Id=\"{id}-{number}\">{value}</xades:Encapsulated{kind}>"),
    );
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// Text as it stands in canonical form, so that it is the same in both; what XML cannot write is replaced.
fn text(content: &str) -> String {
    let is_char =
        |c: char| !((c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}'));
    let writable: String =
        content.chars().map(|c| if is_char(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    let mut out = Vec::with_capacity(writable.len());
    c14n::text(&writable, &mut |piece| out.extend_from_slice(piece));
    String::from_utf8_lossy(&out).into_owned()
}
