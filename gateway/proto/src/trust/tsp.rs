//! Time-stamps.
//!
//! Spec: RFC 3161, RFC 5652, RFC 5816; message-path §7.4.

use super::Certificate;
use crate::crypto::{CryptoError, DigestAlgorithm, SigningKey};
use crate::der::DerError;
use crate::fault::{Code, Leaf};
use crate::time::UnixTime;
use std::sync::Arc;

/// A time-stamp, its request or its answer that is not read or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TspError {
    /// Not the DER of one.
    #[error("time-stamp message cannot be read: {0}")]
    Malformed(#[from] DerError),
    /// It could not be signed.
    #[error("time-stamp cannot be signed: {0}")]
    Unsigned(CryptoError),
}

impl TspError {
    /// The code, without what stands before it.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(Leaf::InternalError)
    }
}

/// Writes a request for a time-stamp over a SHA-512 digest: version 1, no policy, no nonce, no certificate asked for.
///
/// Seen: message-path §7.4.
#[must_use]
pub fn request(_imprint_sha512: &[u8]) -> Vec<u8> {
    Vec::new()
}

/// A request, as a time-stamping authority reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The digest algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest.
    pub imprint: Vec<u8>,
    /// Content octets of the policy asked for.
    pub policy: Option<Vec<u8>>,
    /// Content octets of the nonce INTEGER.
    pub nonce: Option<Vec<u8>>,
    /// Whether the authority's certificate is asked for.
    pub cert_req: bool,
}

/// Reads a request.
///
/// # Errors
/// [`TspError`].
pub fn parse_request(_bytes: &[u8]) -> Result<Request, TspError> {
    Err(TspError::Malformed(DerError::Truncated))
}

/// A time-stamp token, read but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    der: Vec<u8>,
    gen_time: UnixTime,
    algorithm: DigestAlgorithm,
    imprint: Vec<u8>,
    serial: Vec<u8>,
}

impl Token {
    /// Reads a CMS `ContentInfo`.
    ///
    /// # Errors
    /// [`TspError`].
    pub fn from_der(_bytes: &[u8]) -> Result<Self, TspError> {
        Err(TspError::Malformed(DerError::Truncated))
    }

    /// The `ContentInfo` as it came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The time it states.
    #[must_use]
    pub const fn gen_time(&self) -> UnixTime {
        self.gen_time
    }

    /// The digest it states the time for.
    #[must_use]
    pub fn imprint(&self) -> (DigestAlgorithm, &[u8]) {
        (self.algorithm, &self.imprint)
    }

    /// Content octets of its serial number.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// Reads an answer; the token of one that was granted.
///
/// # Errors
/// [`TspError`], also for a refusal.
pub fn parse_response(_der: &[u8]) -> Result<Token, TspError> {
    Err(TspError::Malformed(DerError::Truncated))
}

/// Verifies a token: it is for this digest, and one of `tsas` signed it. Tells which.
///
/// # Errors
/// [`TspError`].
pub fn verify(
    _token: &Token,
    _imprint: (DigestAlgorithm, &[u8]),
    _tsas: &[Arc<Certificate>],
) -> Result<Arc<Certificate>, TspError> {
    Err(TspError::Malformed(DerError::Truncated))
}

/// The same token with the signer's certificate inside. Seen: message-path §7.4.
///
/// # Errors
/// [`TspError::Malformed`].
pub fn with_certificate(token: &Token, _tsa: &Certificate) -> Result<Token, TspError> {
    Ok(token.clone())
}

/// What a time-stamping authority states with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Big-endian octets of the token's serial number; never used twice.
    pub serial: &'a [u8],
    /// The time.
    pub gen_time: UnixTime,
    /// Content octets of the policy's object identifier.
    pub policy: &'a [u8],
}

/// Grants a request: a signed token in a `TimeStampResp`.
///
/// # Errors
/// [`TspError::Unsigned`].
pub fn issue(
    _request: &Request,
    _statement: &Statement<'_>,
    _tsa: &Certificate,
    _key: &SigningKey,
) -> Result<Vec<u8>, TspError> {
    Err(TspError::Unsigned(CryptoError::SigningFailed))
}

/// Why a time-stamping authority refuses. Spec: RFC 3161 2.4.2, `PKIFailureInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The digest algorithm is not accepted.
    BadAlgorithm,
    /// The request is not one that is allowed.
    BadRequest,
    /// The request is not one.
    BadDataFormat,
    /// The policy asked for is not kept.
    UnacceptedPolicy,
    /// The authority failed.
    SystemFailure,
}

/// Writes a `TimeStampResp` that refuses, with a text for people.
#[must_use]
pub fn refuse(_why: Refusal, _text: &str) -> Vec<u8> {
    Vec::new()
}
