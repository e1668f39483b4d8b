//! What an authority says of a certificate now.
//!
//! Spec: RFC 6960; message-path §5.3, trust-and-configuration §3.6.

use super::path::Chain;
use super::{ApprovedCa, Certificate, OcspPolicy};
use crate::crypto::{CryptoError, SigningKey};
use crate::der::DerError;
use crate::fault::{Code, Leaf};
use crate::time::UnixTime;

/// A response or request that is not read, does not hold, or is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// Not the DER of one.
    #[error("OCSP message cannot be read: {0}")]
    Malformed(#[from] DerError),
    /// No response for a certificate.
    #[error("no OCSP response for certificate {subject}")]
    Missing {
        /// The certificate's subject.
        subject: String,
    },
    /// It could not be signed.
    #[error("OCSP response cannot be signed: {0}")]
    Unsigned(CryptoError),
}

impl OcspError {
    /// The code: `cert_validation` or `incorrect_validation_info`, without what stands before it.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(Leaf::IncorrectValidationInfo)
    }
}

/// What a response says of its first certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked, or on hold, since `at`.
    Revoked {
        /// Since when.
        at: UnixTime,
    },
    /// The responder does not know it.
    Unknown,
}

/// An OCSP response that was successful, read once. Only its first statement counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    der: Vec<u8>,
    status: Status,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
}

impl Response {
    /// Reads a DER response.
    ///
    /// # Errors
    /// [`OcspError`].
    pub fn from_der(_bytes: &[u8]) -> Result<Self, OcspError> {
        Err(OcspError::Malformed(DerError::Truncated))
    }

    /// All of it, without bytes that followed it.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// When that was known to be so.
    #[must_use]
    pub const fn this_update(&self) -> UnixTime {
        self.this_update
    }

    /// When something newer will be known.
    #[must_use]
    pub const fn next_update(&self) -> Option<UnixTime> {
        self.next_update
    }

    /// Whether it speaks of `cert`: its SHA-1 `CertID` is that of `cert` and `issuer`.
    #[must_use]
    pub fn covers(&self, _cert: &Certificate, _issuer: &Certificate) -> bool {
        false
    }
}

/// Checks that every certificate of the path has a good, fresh and authorised response.
///
/// `listed` are the approved authorities of all instances: responders are looked for there.
///
/// # Errors
/// [`OcspError`].
pub fn check(
    chain: &Chain,
    _responses: &[Response],
    _listed: &[&ApprovedCa],
    _policy: &OcspPolicy,
    _at: UnixTime,
) -> Result<(), OcspError> {
    Err(OcspError::Missing { subject: chain.leaf().subject_text().to_owned() })
}

/// Verifies a response in everything but its status: whose it is, who signed it, how old it is.
///
/// # Errors
/// [`OcspError`].
pub fn verify(
    _response: &Response,
    cert: &Certificate,
    _issuer: &Certificate,
    _listed: &[&ApprovedCa],
    _policy: &OcspPolicy,
    _at: UnixTime,
) -> Result<(), OcspError> {
    Err(OcspError::Missing { subject: cert.subject_text().to_owned() })
}

/// Writes a request: one certificate, SHA-1 `CertID`, no nonce, unsigned. Seen: message-path §5.4.
#[must_use]
pub fn request(_cert: &Certificate, _issuer: &Certificate) -> Vec<u8> {
    Vec::new()
}

/// What a request asks of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Content octets of the digest algorithm's object identifier.
    pub hash_algorithm: Vec<u8>,
    /// Digest of the issuer's name.
    pub issuer_name_hash: Vec<u8>,
    /// Digest of the issuer's public key bits.
    pub issuer_key_hash: Vec<u8>,
    /// Content octets of the serial number.
    pub serial: Vec<u8>,
    /// The `CertID` as it came, to be echoed.
    pub cert_id: Vec<u8>,
}

impl Question {
    /// Whether the question is of a certificate that `issuer` issued.
    #[must_use]
    pub fn is_of(&self, _issuer: &Certificate) -> bool {
        false
    }
}

/// A request, as a responder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked, in order.
    pub questions: Vec<Question>,
    /// The nonce extension's value: the octets inside `extnValue`.
    pub nonce: Option<Vec<u8>>,
}

/// Reads a request.
///
/// # Errors
/// [`OcspError`].
pub fn parse_request(_bytes: &[u8]) -> Result<Request, OcspError> {
    Err(OcspError::Malformed(DerError::Truncated))
}

/// What a responder says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question it answers.
    pub question: Question,
    /// What is said.
    pub status: Status,
    /// When it was known to be so.
    pub this_update: UnixTime,
    /// When something newer will be known.
    pub next_update: Option<UnixTime>,
}

/// Writes and signs a response (SHA-256) with the responder's certificate inside; `nonce` is that of the request.
///
/// # Errors
/// [`OcspError::Unsigned`].
pub fn respond(
    _answers: &[Answer],
    _responder: &Certificate,
    _key: &SigningKey,
    _produced_at: UnixTime,
    _nonce: Option<&[u8]>,
) -> Result<Vec<u8>, OcspError> {
    Err(OcspError::Unsigned(CryptoError::SigningFailed))
}

/// Why a responder does not answer. Spec: RFC 6960 4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one.
    MalformedRequest,
    /// The responder failed.
    InternalError,
    /// Later, perhaps.
    TryLater,
    /// The request must be signed.
    SignatureRequired,
    /// Not for this client, or not of this authority.
    Unauthorized,
}

/// Writes a response that refuses.
#[must_use]
pub fn refuse(_why: Refusal) -> Vec<u8> {
    Vec::new()
}
