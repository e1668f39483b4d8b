//! Time-stamps.
//!
//! Spec: RFC 3161, RFC 5816; message-path §7.4. The authority's half (requests read, tokens issued) is in
//! [`authority`].
//!
//! Stricter than X-Road 7.8, all of it Ours: SHA-1 and SHA-224 stamp nothing and sign nothing; the authority's
//! certificate must be valid at the time that the token states.

pub mod authority;
mod cms;

use super::Certificate;
use crate::crypto::{CryptoError, DigestAlgorithm};
use crate::der::{self, DerError, Reader, Value, tag};
use crate::fault::{Code, Leaf};
use crate::limits;
use crate::time::UnixTime;
use std::sync::Arc;

pub use authority::{Refusal, Request, Statement, issue, parse_request, refuse};

/// A time-stamp, its request or its answer that is not read or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TspError {
    /// More bytes than one has.
    #[error("time-stamp message has {0} bytes, more than any is read with")]
    TooLarge(usize),
    /// Not the DER of one.
    #[error("time-stamp message cannot be read: {0}")]
    Malformed(#[from] DerError),
    /// The authority did not grant the request.
    #[error("time-stamping authority refused, status {status}, expected 0 or 1: {text}")]
    Refused {
        /// Its `PKIStatus`.
        status: u64,
        /// What it says to people.
        text: String,
    },
    /// A digest or signature algorithm that is not accepted.
    #[error("time-stamp message names an algorithm that is not accepted")]
    UnknownDigest,
    /// An extension that is not understood.
    #[error("time-stamp message has an extension that is not understood")]
    UnknownExtension,
    /// Not one signer.
    #[error("time-stamp has several signers, expected one")]
    Signers,
    /// The token is for another digest.
    #[error("time-stamp is for another digest: {found_algorithm} {found}, expected {algorithm} {expected}")]
    Imprint {
        /// The digest algorithm expected.
        algorithm: &'static str,
        /// The digest expected, in hexadecimal.
        expected: String,
        /// The token's digest algorithm.
        found_algorithm: &'static str,
        /// The token's digest, in hexadecimal.
        found: String,
    },
    /// The signer is none of the approved authorities.
    #[error("signer of the time-stamp is no approved time-stamping authority")]
    UnknownSigner,
    /// A signed attribute is missing or wrong.
    #[error("signed attribute of the time-stamp is missing or wrong: {0}")]
    Attribute(&'static str),
    /// The signature does not hold.
    #[error("signature of the time-stamp does not hold: {0}")]
    Signature(CryptoError),
    /// The authority's certificate was not valid at the time stated.
    #[error("certificate {subject} of the time-stamping authority is not valid at {at}")]
    NotValid {
        /// Its subject.
        subject: String,
        /// The time that the token states.
        at: UnixTime,
    },
    /// It could not be signed.
    #[error("time-stamp cannot be signed: {0}")]
    Unsigned(CryptoError),
}

impl TspError {
    /// The code of a container whose time-stamp this is, without what stands before it. Seen: message-path §6.5.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::of(match self {
            Self::UnknownSigner => Leaf::TspCertificateNotFound,
            Self::Signers | Self::Attribute(_) | Self::Signature(_) | Self::NotValid { .. } => {
                Leaf::TimestampSignerVerificationFailed
            }
            Self::Refused { .. } | Self::Unsigned(_) => Leaf::TimestampingFailed,
            Self::TooLarge(_)
            | Self::Malformed(_)
            | Self::UnknownDigest
            | Self::UnknownExtension
            | Self::Imprint { .. } => Leaf::MalformedSignature,
        })
    }

    /// How an authority answers a request that failed so.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::UnknownDigest => Refusal::BadAlgorithm,
            Self::UnknownExtension => Refusal::UnacceptedExtension,
            Self::Unsigned(_) => Refusal::SystemFailure,
            _ => Refusal::BadDataFormat,
        }
    }
}

/// id-ct-TSTInfo. Spec: RFC 3161 2.4.2.
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];

/// Writes a request for a time-stamp over a SHA-512 digest: version 1, no policy, no nonce, no certificate asked for.
///
/// Seen: message-path §7.4; the algorithm has no parameters.
#[must_use]
pub fn request(imprint_sha512: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence([der::write(tag::OID, DigestAlgorithm::Sha512.oid())]);
    let imprint = der::sequence([algorithm, der::write(tag::OCTET_STRING, imprint_sha512)]);
    der::sequence([der::small(1), imprint])
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
    /// Reads a CMS `ContentInfo`, in DER or in the BER of older authorities; nothing may follow it.
    ///
    /// # Errors
    /// [`TspError`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, TspError> {
        if bytes.len() > limits::TIMESTAMP_BYTES_MAX {
            return Err(TspError::TooLarge(bytes.len()));
        }
        Self::read(cms::distinguished(bytes)?)
    }

    fn read(der: Vec<u8>) -> Result<Self, TspError> {
        let signed = cms::SignedData::read(&der)?;
        if signed.content_type() != TST_INFO {
            return Err(DerError::NotDistinguished("content of a token").into());
        }
        let mut outer = Reader::new(signed.content());
        let mut inside = outer.sequence()?;
        outer.end()?;
        if inside.small()? != 1 {
            return Err(DerError::NotDistinguished("version of token").into());
        }
        inside.oid()?;
        let (algorithm, imprint) = read_imprint(inside.expect(tag::SEQUENCE)?)?;
        let imprint = imprint.to_vec();
        let serial = inside.integer()?.to_vec();
        if serial.len() > limits::TIMESTAMP_INTEGER_BYTES_MAX {
            return Err(DerError::NotDistinguished("serial number of this length").into());
        }
        let gen_time = inside.generalized_time()?;
        inside.optional(tag::SEQUENCE)?;
        read_boolean(&mut inside)?;
        inside.optional(tag::INTEGER)?;
        inside.optional(tag::context(0))?;
        if let Some(extensions) = inside.optional(tag::context(1))? {
            refuse_critical(extensions.reader())?;
        }
        inside.end()?;
        Ok(Self { der, gen_time, algorithm, imprint, serial })
    }

    /// The `ContentInfo` in DER.
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

/// Reads a `MessageImprint`, which names a digest that stamps and has its length.
fn read_imprint(value: Value<'_>) -> Result<(DigestAlgorithm, &[u8]), TspError> {
    let mut inside = value.reader();
    let mut identifier = inside.sequence()?;
    let algorithm = DigestAlgorithm::from_oid(identifier.oid()?)
        .filter(|a| !matches!(a, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224))
        .filter(|_| matches!(identifier.rest(), [] | [tag::NULL, 0]))
        .ok_or(TspError::UnknownDigest)?;
    let imprint = inside.octets()?;
    inside.end()?;
    if imprint.len() != algorithm.digest(&[]).len() {
        return Err(DerError::NotDistinguished("digest of this length").into());
    }
    Ok((algorithm, imprint))
}

/// A BOOLEAN that is false when it is absent.
fn read_boolean(inside: &mut Reader<'_>) -> Result<bool, DerError> {
    match inside.optional(tag::BOOLEAN)?.map(|v| v.content) {
        None | Some([0]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(DerError::NotDistinguished("boolean")),
    }
}

fn refuse_critical(mut list: Reader<'_>) -> Result<(), TspError> {
    while !list.is_empty() {
        let mut extension = list.sequence()?;
        extension.oid()?;
        if read_boolean(&mut extension)? {
            return Err(TspError::UnknownExtension);
        }
        extension.octets()?;
        extension.end()?;
    }
    Ok(())
}

/// Reads an answer; the token of one that was granted.
///
/// # Errors
/// [`TspError::Refused`] for a refusal, and those of [`Token::from_der`].
pub fn parse_response(bytes: &[u8]) -> Result<Token, TspError> {
    if bytes.len() > limits::TIMESTAMP_BYTES_MAX {
        return Err(TspError::TooLarge(bytes.len()));
    }
    let der = cms::distinguished(bytes)?;
    let mut outer = Reader::new(&der);
    let mut inside = outer.sequence()?;
    outer.end()?;
    let mut info = inside.sequence()?;
    let status = info.small()?;
    if status > 1 {
        let mut text = String::new();
        if let Some(list) = info.optional(tag::SEQUENCE)? {
            let mut list = list.reader();
            while let Some(line) = list.optional(tag::UTF8_STRING)? {
                text.push_str(&String::from_utf8_lossy(line.content));
            }
        }
        return Err(TspError::Refused { status, text });
    }
    let token = inside.expect(tag::SEQUENCE)?;
    inside.end()?;
    Token::read(token.raw.to_vec())
}

/// Verifies a token: it is for this digest, and one of `tsas` signed it. Tells which.
///
/// # Errors
/// [`TspError`].
pub fn verify(
    token: &Token,
    imprint: (DigestAlgorithm, &[u8]),
    tsas: &[Arc<Certificate>],
) -> Result<Arc<Certificate>, TspError> {
    if token.imprint() != imprint {
        return Err(TspError::Imprint {
            algorithm: imprint.0.name(),
            expected: hexadecimal(imprint.1),
            found_algorithm: token.algorithm.name(),
            found: hexadecimal(&token.imprint),
        });
    }
    let signed = cms::SignedData::read(&token.der)?;
    let mut failure = TspError::UnknownSigner;
    for tsa in tsas.iter().filter(|tsa| signed.is_signer(tsa)) {
        match signed.verify(tsa) {
            Ok(()) if tsa.is_valid_at(token.gen_time) => return Ok(Arc::clone(tsa)),
            Ok(()) => {
                let subject = tsa.subject_text().to_owned();
                failure = TspError::NotValid { subject, at: token.gen_time };
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

/// The same token with the signer's certificate inside. Seen: message-path §7.4.
///
/// # Errors
/// [`TspError::Malformed`].
pub fn with_certificate(token: &Token, tsa: &Certificate) -> Result<Token, TspError> {
    let der = cms::SignedData::read(&token.der)?.with_certificate(tsa)?;
    Token::read(der)
}

#[cfg(test)]
mod tests;
