//! Every element of a signature document at its place.

use super::{ASIC, ASIC_OLD, FormError, SIGNED_PROPERTIES, XADES, misplaced};
use crate::crypto::{DigestAlgorithm, SignatureAlgorithm};
use crate::limits;
use crate::signature::c14n::{EXCLUSIVE, Method};
use crate::signature::form::{Children, DS, attribute, base64, content, digest_method};
use crate::time::UnixTime;
use crate::trust::Certificate;
use crate::xml::{XmlError, elements, is};
use roxmltree::{Document, Node};
use std::collections::HashSet;
use std::sync::Arc;

/// A signature document, read and not yet verified.
pub(in crate::signature) struct Signature<'a, 'i> {
    pub(in crate::signature) signed_info: Node<'a, 'i>,
    pub(in crate::signature) canonicalization: Method,
    pub(in crate::signature) algorithm: SignatureAlgorithm,
    pub(in crate::signature) references: Vec<Reference>,
    pub(in crate::signature) value: Vec<u8>,
    pub(in crate::signature) certificate: Arc<Certificate>,
    /// The signed properties of this signature: the only ones in the document.
    pub(in crate::signature) signed_properties: Node<'a, 'i>,
    pub(in crate::signature) signing_time: Option<UnixTime>,
    pub(in crate::signature) intermediates: Vec<Arc<Certificate>>,
    pub(in crate::signature) ocsp: Vec<Vec<u8>>,
    pub(in crate::signature) timestamps: Vec<Vec<u8>>,
    /// `UnsignedSignatureProperties`.
    pub(in crate::signature) unsigned: Option<Node<'a, 'i>>,
}

/// What a reference says of what it names.
#[derive(Debug, Clone)]
pub(in crate::signature) struct Reference {
    pub(in crate::signature) uri: String,
    pub(in crate::signature) algorithm: DigestAlgorithm,
    pub(in crate::signature) digest: Vec<u8>,
    /// Whether it says that it names the signed properties.
    pub(in crate::signature) names_properties: bool,
    pub(in crate::signature) transform: Option<Method>,
}

impl<'a, 'i: 'a> Signature<'a, 'i> {
    /// Reads the document's only signature.
    pub(in crate::signature) fn read(document: &'a Document<'i>) -> Result<Self, FormError> {
        let root = document.root_element();
        identifiers(root)?;
        let signature = signature_in(root)?;
        let mut children = Children::of(signature)?;
        let signed_info = children.required(DS, "SignedInfo")?;
        let value = base64(children.required(DS, "SignatureValue")?)?;
        let key = children.required(DS, "KeyInfo")?;
        let mut objects = Vec::new();
        while let Some(object) = children.optional(DS, "Object") {
            objects.push(object);
        }
        children.end()?;
        let info = SignedInfo::read(signed_info)?;
        let certificate = sign_certificate(key)?;
        let qualifying = qualifying_properties(signature, &objects)?;
        let mut children = Children::of(qualifying)?;
        let signed_properties = children.required(XADES, "SignedProperties")?;
        let unsigned = children.optional(XADES, "UnsignedProperties");
        children.end()?;
        let signing_time = signed(signed_properties, &certificate)?;
        let unsigned = match unsigned {
            Some(node) => Children::of(node)?.optional(XADES, "UnsignedSignatureProperties"),
            None => None,
        };
        let more = unsigned.map_or_else(|| Ok(Unsigned::default()), Unsigned::read)?;
        Ok(Self {
            signed_info,
            canonicalization: info.canonicalization,
            algorithm: info.algorithm,
            references: info.references,
            value,
            certificate,
            signed_properties,
            signing_time,
            intermediates: more.certificates.into_iter().map(|(_, certificate)| certificate).collect(),
            ocsp: more.ocsp,
            timestamps: more.timestamps,
            unsigned,
        })
    }
}

/// Every Id stands on one element, and there is one signature in the document, wherever it is.
fn identifiers(root: Node<'_, '_>) -> Result<(), FormError> {
    let mut ids = HashSet::new();
    let mut signatures = 0;
    for node in root.descendants().filter(Node::is_element) {
        signatures += usize::from(is(node, DS, "Signature"));
        if let Some(id) = node.attribute("Id")
            && !ids.insert(id)
        {
            return Err(FormError::TwoIds(id.to_owned()));
        }
    }
    if signatures == 1 {
        Ok(())
    } else {
        Err(FormError::Count { what: "ds:Signature", found: signatures, expected: "1" })
    }
}

/// The signature: the root itself, or the one thing in the wrapper.
fn signature_in<'a, 'i: 'a>(root: Node<'a, 'i>) -> Result<Node<'a, 'i>, FormError> {
    if is(root, DS, "Signature") {
        return Ok(root);
    }
    let wrapper = std::iter::once(ASIC).chain(ASIC_OLD).any(|ns| is(root, ns, "XAdESSignatures"));
    if !wrapper {
        return Err(misplaced(root, "XAdESSignatures or Signature"));
    }
    let mut children = Children::of(root)?;
    let signature = children.required(DS, "Signature")?;
    children.end()?;
    Ok(signature)
}

struct SignedInfo {
    canonicalization: Method,
    algorithm: SignatureAlgorithm,
    references: Vec<Reference>,
}

impl SignedInfo {
    fn read(node: Node<'_, '_>) -> Result<Self, FormError> {
        let mut children = Children::of(node)?;
        let canonicalization = method(children.required(DS, "CanonicalizationMethod")?, "canonicalization")?;
        let algorithm = children.required(DS, "SignatureMethod")?;
        let uri = attribute(algorithm, "Algorithm")?;
        let algorithm =
            SignatureAlgorithm::from_uri(uri).ok_or_else(|| FormError::SignatureAlgorithm(uri.to_owned()))?;
        let mut references = Vec::new();
        while let Some(reference) = children.optional(DS, "Reference") {
            references.push(Reference::read(reference)?);
        }
        children.end()?;
        Ok(Self { canonicalization, algorithm, references })
    }
}

impl Reference {
    fn read(node: Node<'_, '_>) -> Result<Self, FormError> {
        let mut children = Children::of(node)?;
        let transform = children.optional(DS, "Transforms").map(transform).transpose()?;
        let algorithm = digest_algorithm(children.required(DS, "DigestMethod")?)?;
        let digest = base64(children.required(DS, "DigestValue")?)?;
        children.end()?;
        let names_properties = node.attribute("Type") == Some(SIGNED_PROPERTIES);
        let uri = attribute(node, "URI")?.to_owned();
        Ok(Self { uri, algorithm, digest, names_properties, transform })
    }
}

/// Reads a list of transforms: one canonicalization, nothing else.
fn transform(node: Node<'_, '_>) -> Result<Method, FormError> {
    let mut children = Children::of(node)?;
    let method = method(children.required(DS, "Transform")?, "transform")?;
    children.end()?;
    Ok(method)
}

/// Reads a canonicalization method, with the prefix list that an exclusive one may have.
fn method(node: Node<'_, '_>, what: &'static str) -> Result<Method, FormError> {
    let uri = attribute(node, "Algorithm")?;
    let method = Method::from_uri(uri).ok_or_else(|| FormError::Algorithm { what, uri: uri.to_owned() })?;
    let mut children = Children::of(node)?;
    let list = children.optional(EXCLUSIVE, "InclusiveNamespaces").filter(|_| method.is_exclusive());
    if list.is_none() && elements(node).next().is_some() {
        return Err(misplaced(node, "a method without parameters"));
    }
    children.end()?;
    Ok(match list {
        Some(list) => method.with_prefixes(attribute(list, "PrefixList")?),
        None => method,
    })
}

fn digest_algorithm(node: Node<'_, '_>) -> Result<DigestAlgorithm, FormError> {
    digest_method(node)?.map_err(|uri| FormError::Algorithm { what: "digest", uri })
}

/// The signer's certificate: the first one. Seen: X-Road 7.8 (message-path §3.10).
fn sign_certificate(key: Node<'_, '_>) -> Result<Arc<Certificate>, FormError> {
    let first = elements(key)
        .filter(|n| is(*n, DS, "X509Data"))
        .flat_map(elements)
        .find(|n| is(*n, DS, "X509Certificate"));
    let node = first.ok_or(FormError::Count { what: "X509Certificate", found: 0, expected: "1" })?;
    certificate(node, "X509Certificate")
}

fn certificate(node: Node<'_, '_>, what: &'static str) -> Result<Arc<Certificate>, FormError> {
    let read = Certificate::from_der(&base64(node)?);
    read.map(Arc::new).map_err(|reason| FormError::Certificate { what, reason })
}

/// The only qualifying properties of the document, which must name this signature.
fn qualifying_properties<'a, 'i: 'a>(
    signature: Node<'a, 'i>,
    objects: &[Node<'a, 'i>],
) -> Result<Node<'a, 'i>, FormError> {
    let inside = objects.iter().flat_map(|o| elements(*o)).filter(|n| is(*n, XADES, "QualifyingProperties"));
    let found: Vec<Node<'a, 'i>> = inside.collect();
    let [only] = found.as_slice() else {
        let found = found.len();
        return Err(FormError::Count { what: "QualifyingProperties", found, expected: "1" });
    };
    let target = attribute(*only, "Target")?;
    match (target.strip_prefix('#'), signature.attribute("Id")) {
        (Some(target), Some(id)) if target == id => Ok(*only),
        _ => Err(misplaced(*only, "QualifyingProperties with this signature as Target")),
    }
}

/// The properties of a signature that are looked at, then those that may follow. Spec: XAdES 1.3.2 §7.2, 1.4.1 V2.
const SIGNED: [&str; 8] = [
    "SigningTime",
    "SigningCertificate",
    "SigningCertificateV2",
    "SignaturePolicyIdentifier",
    "SignatureProductionPlace",
    "SignatureProductionPlaceV2",
    "SignerRole",
    "SignerRoleV2",
];

/// Reads the signed properties: the sign certificate's digest must be there and right. Tells when it was signed.
fn signed(properties: Node<'_, '_>, signer: &Certificate) -> Result<Option<UnixTime>, FormError> {
    let mut children = Children::of(properties)?;
    let of_signature = children.required(XADES, "SignedSignatureProperties")?;
    children.optional(XADES, "SignedDataObjectProperties");
    children.end()?;
    let mut children = Children::of(of_signature)?;
    let (mut time, mut certificates) = (None, 0);
    for name in SIGNED {
        let Some(node) = children.optional(XADES, name) else { continue };
        match name {
            "SigningTime" => time = UnixTime::from_rfc3339(&content(node)?),
            "SigningCertificate" | "SigningCertificateV2" => {
                let first = Children::of(node)?.required(XADES, "Cert")?;
                let digest = Children::of(first)?.required(XADES, "CertDigest")?;
                if !is_digest_of(digest, signer)? {
                    return Err(FormError::CertificateDigest(name));
                }
                certificates += 1;
            }
            _ => {}
        }
    }
    while let Some(node) = children.any() {
        if node.tag_name().namespace() == Some(XADES) {
            return Err(misplaced(node, "another order of signed properties"));
        }
    }
    if certificates == 0 {
        return Err(FormError::Count { what: "SigningCertificate", found: 0, expected: "1" });
    }
    Ok(time)
}

fn is_digest_of(node: Node<'_, '_>, certificate: &Certificate) -> Result<bool, FormError> {
    let mut children = Children::of(node)?;
    let algorithm = digest_algorithm(children.required(DS, "DigestMethod")?)?;
    let digest = base64(children.required(DS, "DigestValue")?)?;
    children.end()?;
    Ok(algorithm.digest(certificate.der()) == digest)
}

/// What the unsigned properties hold.
#[derive(Default)]
struct Unsigned<'a> {
    certificates: Vec<(Option<&'a str>, Arc<Certificate>)>,
    ocsp: Vec<Vec<u8>>,
    timestamps: Vec<Vec<u8>>,
}

impl<'a> Unsigned<'a> {
    fn read(node: Node<'a, '_>) -> Result<Self, FormError> {
        let mut found = Self::default();
        let mut named = Vec::new();
        for property in elements(node).filter(|n| n.tag_name().namespace() == Some(XADES)) {
            match property.tag_name().name() {
                "SignatureTimeStamp" => {
                    for value in in_place(property, "EncapsulatedTimeStamp") {
                        found.timestamps.push(base64(value)?);
                    }
                }
                "CompleteCertificateRefs" => {
                    let lists = in_place(property, "CertRefs");
                    named.extend(lists.flat_map(|list| in_place(list, "Cert")));
                }
                "CertificateValues" => {
                    for value in in_place(property, "EncapsulatedX509Certificate") {
                        let read = certificate(value, "EncapsulatedX509Certificate")?;
                        found.certificates.push((value.attribute("Id"), read));
                    }
                }
                "RevocationValues" => {
                    let lists = in_place(property, "OCSPValues");
                    for value in lists.flat_map(|list| in_place(list, "EncapsulatedOCSPValue")) {
                        found.ocsp.push(base64(value)?);
                    }
                }
                _ => {}
            }
        }
        bound(found.certificates.len(), limits::CHAIN_CERTS_MAX, "EncapsulatedX509Certificate")?;
        bound(found.ocsp.len(), limits::OCSP_PARTS_MAX, "EncapsulatedOCSPValue")?;
        named.iter().try_for_each(|reference| found.check(*reference))?;
        Ok(found)
    }

    /// A certificate that is named must be there, with the digest named.
    fn check(&self, reference: Node<'_, '_>) -> Result<(), FormError> {
        let wrong = FormError::CertificateDigest("CompleteCertificateRefs");
        let id =
            reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')).ok_or_else(|| wrong.clone())?;
        let named = self.certificates.iter().find(|(own, _)| *own == Some(id));
        let (_, certificate) = named.ok_or_else(|| wrong.clone())?;
        let digest = Children::of(reference)?.required(XADES, "CertDigest")?;
        if is_digest_of(digest, certificate)? { Ok(()) } else { Err(wrong) }
    }
}

fn in_place<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    elements(node).filter(move |n| is(*n, XADES, name))
}

fn bound(found: usize, allowed: usize, what: &'static str) -> Result<(), XmlError> {
    if found > allowed { Err(XmlError::Bound { what, allowed }) } else { Ok(()) }
}
