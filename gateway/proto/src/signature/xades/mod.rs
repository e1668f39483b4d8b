//! The signature document: read by position, written byte for byte.
//!
//! Spec: message-path §3.4, §3.9, §3.10; XAdES 1.3.2.
//!
//! | file | what it holds |
//! |---|---|
//! | `read` | every element at its place, nothing found by search |
//! | `write` | the document as X-Road 7.8 writes it, without line breaks in base64 |

mod read;
mod write;

pub(super) use read::{Reference, Signature};
pub use write::ToSign;
pub(super) use write::{Signed, prepare};

use super::form::{name, readable};
use super::{PartDigest, form};
use crate::fault::{Code, Leaf};
use crate::limits;
use crate::trust::CertificateError;
use crate::xml::{XmlError, admit};

/// Namespace of XAdES. Spec: XAdES 1.3.2.
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// Namespace of the wrapper that is written. Spec: message-path §3.4.
const ASIC: &str = "http://uri.etsi.org/02918/v1.2.1#";
/// Older namespaces of the wrapper that are read besides. Seen: message-path §3.9.
const ASIC_OLD: [&str; 2] = ["http://uri.etsi.org/02918/v1.1.1#", "http://uri.etsi.org/2918/v1.1.1#"];
/// The type of the reference to the signed properties. Spec: XAdES 1.3.2 §6.3.1.
const SIGNED_PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";

/// A document that is not a signature as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// It is not read at all, or an element is not where it must be.
    #[error("signature: {0}")]
    Xml(#[from] XmlError),
    /// Another number of elements than there must be.
    #[error("signature has {found} {what}, expected {expected}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: &'static str,
    },
    /// One Id on two elements.
    #[error("two elements of the signature have the Id {0:?}")]
    TwoIds(String),
    /// A digest, canonicalization or transform that is not known, or proves nothing.
    #[error("signature uses {what} {uri:?}, which is not accepted")]
    Algorithm {
        /// What it is for.
        what: &'static str,
        /// Its URI.
        uri: String,
    },
    /// A signature algorithm that is not accepted.
    #[error("signature is made with {0:?}, which is not accepted")]
    SignatureAlgorithm(String),
    /// A certificate that cannot be read.
    #[error("signature's {what}: {reason}")]
    Certificate {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: CertificateError,
    },
    /// A certificate is named with another digest than its own.
    #[error("{0} names a certificate with another digest than its own, or one that is not there")]
    CertificateDigest(&'static str),
}

impl FormError {
    /// The code, without what goes before it. Seen: message-path §4.3, §3.10.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(match self {
            Self::Xml(XmlError::Unexpected { .. } | XmlError::Bound { .. })
            | Self::Count { .. }
            | Self::TwoIds(_)
            | Self::Certificate { .. }
            | Self::CertificateDigest(_) => Leaf::MalformedSignature,
            Self::Xml(_) => Leaf::InvalidXml,
            Self::Algorithm { .. } => Leaf::InternalError,
            Self::SignatureAlgorithm(_) => Leaf::InvalidSignatureValue,
        })
    }
}

/// What a container looks at in a signature before it verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The URIs of the references, in order: parts, hash chain result, `#` and the Ids of properties.
    pub references: Vec<String>,
    /// The decoded signature value.
    pub signature_value: Vec<u8>,
    /// The single time-stamps inside, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// Name and digest of each reference to a part.
    pub parts: Vec<PartDigest>,
    /// The digest in each reference, in order: what the key signed, in any document that carries it.
    pub digests: Vec<Vec<u8>>,
}

/// Reads a signature document without verifying it.
///
/// # Errors
/// [`FormError`].
pub fn outline(signature: &[u8]) -> Result<Outline, FormError> {
    let text = readable(signature)?;
    let document = admit(&text, limits::SIGNATURE_BYTES_MAX)?;
    let signature = Signature::read(&document)?;
    let is_part = |r: &&Reference| !r.uri.starts_with('#') && r.uri != super::HASH_CHAIN_RESULT;
    let part =
        |r: &Reference| PartDigest { name: r.uri.clone(), algorithm: r.algorithm, digest: r.digest.clone() };
    Ok(Outline {
        references: signature.references.iter().map(|r| r.uri.clone()).collect(),
        parts: signature.references.iter().filter(is_part).map(part).collect(),
        digests: signature.references.iter().map(|r| r.digest.clone()).collect(),
        signature_value: signature.value,
        timestamps: signature.timestamps,
    })
}

/// The decoded signature value, which a single time-stamp covers. Spec: message-path §7.3.
///
/// # Errors
/// [`FormError`].
pub fn signature_value(signature: &[u8]) -> Result<Vec<u8>, FormError> {
    Ok(outline(signature)?.signature_value)
}

/// Puts a time-stamp token into a signature document as its first unsigned property. Spec: message-path §7.3.
///
/// Nothing else is touched, so what was signed stays as it was.
///
/// # Errors
/// [`FormError`], also for a document without unsigned properties; one that verified has some.
pub fn with_timestamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, FormError> {
    let text = readable(signature)?;
    let document = admit(&text, limits::SIGNATURE_BYTES_MAX)?;
    let unsigned = Signature::read(&document)?.unsigned;
    let first = unsigned.and_then(|node| node.first_child()).ok_or(FormError::Count {
        what: "unsigned properties",
        found: 0,
        expected: "some",
    })?;
    let (before, after) = text.split_at_checked(first.range().start).unwrap_or((&text, ""));
    let value = form::to_base64(token);
    let stamp = format!(
        "<xades:SignatureTimeStamp{declaration}><xades:EncapsulatedTimeStamp>{value}</xades:EncapsulatedTimeStamp>\
         </xades:SignatureTimeStamp>",
        declaration = match unsigned.and_then(|n| n.lookup_namespace_uri(Some("xades"))) {
            Some(XADES) => String::new(),
            _ => format!(" xmlns:xades=\"{XADES}\""),
        }
    );
    Ok([before, &stamp, after].concat().into_bytes())
}

/// Where an element is out of place.
fn misplaced(node: roxmltree::Node<'_, '_>, expected: &str) -> FormError {
    form::unexpected(expected.to_owned(), name(node)).into()
}
