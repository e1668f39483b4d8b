//! A time-stamping authority's half: requests read, tokens issued.
//!
//! Spec: RFC 3161 2.4.

use super::{TST_INFO, TspError, cms, read_boolean, read_imprint};
use crate::crypto::{DigestAlgorithm, SigningKey};
use crate::der::{self, DerError, Reader, tag};
use crate::limits;
use crate::time::UnixTime;
use crate::trust::Certificate;

/// A request, as a time-stamping authority reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The digest algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest.
    pub imprint: Vec<u8>,
    /// Both as they came, to be echoed.
    pub message_imprint: Vec<u8>,
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
/// [`TspError`]; [`TspError::refusal`] says how to answer it.
pub fn parse_request(bytes: &[u8]) -> Result<Request, TspError> {
    if bytes.len() > limits::TIMESTAMP_BYTES_MAX {
        return Err(TspError::TooLarge(bytes.len()));
    }
    let mut outer = Reader::new(bytes);
    let mut inside = outer.sequence()?;
    outer.end()?;
    if inside.small()? != 1 {
        return Err(DerError::NotDistinguished("version of request").into());
    }
    let message_imprint = inside.expect(tag::SEQUENCE)?;
    let (algorithm, imprint) = read_imprint(message_imprint)?;
    let policy = inside.optional(tag::OID)?.map(|v| v.content.to_vec());
    let nonce = if inside.peek() == Some(tag::INTEGER) { Some(inside.integer()?.to_vec()) } else { None };
    if nonce.as_ref().is_some_and(|n| n.len() > limits::TIMESTAMP_INTEGER_BYTES_MAX) {
        return Err(DerError::NotDistinguished("nonce of this length").into());
    }
    let cert_req = read_boolean(&mut inside)?;
    if inside.optional(tag::context(0))?.is_some() {
        return Err(TspError::UnknownExtension);
    }
    inside.end()?;
    Ok(Request {
        algorithm,
        imprint: imprint.to_vec(),
        message_imprint: message_imprint.raw.to_vec(),
        policy,
        nonce,
        cert_req,
    })
}

/// What a time-stamping authority states with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Big-endian octets of the token's serial number; never used twice.
    pub serial: &'a [u8],
    /// The time; told to the second.
    pub gen_time: UnixTime,
    /// Content octets of the policy's object identifier.
    pub policy: &'a [u8],
}

/// Grants a request: a signed token in a `TimeStampResp`.
///
/// # Errors
/// [`TspError::Unsigned`].
pub fn issue(
    request: &Request,
    statement: &Statement<'_>,
    tsa: &Certificate,
    key: &SigningKey,
) -> Result<Vec<u8>, TspError> {
    let mut parts = vec![
        der::small(1),
        der::write(tag::OID, statement.policy),
        request.message_imprint.clone(),
        der::unsigned(statement.serial),
        der::generalized_time(statement.gen_time),
    ];
    parts.extend(request.nonce.as_ref().map(|n| der::write(tag::INTEGER, n)));
    let info = der::sequence(parts);
    let token = cms::sign((TST_INFO, &info), tsa, key, request.cert_req).map_err(TspError::Unsigned)?;
    Ok(der::sequence([der::sequence([der::small(0)]), token]))
}

/// Why a time-stamping authority refuses. Spec: RFC 3161 2.4.2, `PKIFailureInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The digest algorithm is not accepted.
    BadAlgorithm = 0,
    /// The request is not one that is allowed.
    BadRequest = 2,
    /// The request is not one.
    BadDataFormat = 5,
    /// The authority does not know the time.
    TimeNotAvailable = 14,
    /// The policy asked for is not kept.
    UnacceptedPolicy = 15,
    /// An extension that is not understood.
    UnacceptedExtension = 16,
    /// The authority failed.
    SystemFailure = 25,
}

/// Writes a `TimeStampResp` that refuses, with a text for people.
#[must_use]
pub fn refuse(why: Refusal, text: &str) -> Vec<u8> {
    let bit = why as u8;
    let mut content = vec![7 - bit % 8];
    content.resize(usize::from(bit / 8) + 1, 0);
    content.push(0x80 >> (bit % 8));
    let text = der::sequence([der::write(tag::UTF8_STRING, text.as_bytes())]);
    let status = [der::small(2), text, der::write(tag::BIT_STRING, &content)];
    der::sequence([der::sequence(status)])
}
