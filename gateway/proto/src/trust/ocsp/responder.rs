//! A responder's half of OCSP: requests read, responses written.
//!
//! Spec: RFC 6960 4.1, 4.2; RFC 9654 (nonce).

use super::{CertId, Extension, OcspError, Status};
use crate::crypto::{DigestAlgorithm, EcdsaForm, SignatureAlgorithm, SigningKey};
use crate::der::{self, DerError, Reader, tag};
use crate::limits;
use crate::time::UnixTime;
use crate::trust::Certificate;

/// id-pkix-ocsp-nonce. Spec: RFC 6960 4.4.1.
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

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
    pub fn is_of(&self, issuer: &Certificate) -> bool {
        CertId::read(&mut Reader::new(&self.cert_id)).is_ok_and(|id| id.is_issuer(issuer, issuer.subject()))
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

/// Reads a request; a signature on it is not looked at.
///
/// # Errors
/// [`OcspError::Malformed`] and its like, also for more questions than [`limits::OCSP_QUESTIONS_MAX`].
pub fn parse_request(bytes: &[u8]) -> Result<Request, OcspError> {
    if bytes.len() > limits::OCSP_BYTES_MAX {
        return Err(OcspError::TooLarge(bytes.len()));
    }
    let mut outer = Reader::new(bytes);
    let mut inside = outer.sequence()?;
    outer.end()?;
    let mut body = inside.sequence()?;
    inside.optional(tag::context(0))?;
    inside.end()?;

    let version = body.optional(tag::context(0))?;
    if version.is_some_and(|v| v.reader().small() != Ok(0)) {
        return Err(DerError::NotDistinguished("version of request").into());
    }
    body.optional(tag::context(1))?;
    let mut list = body.sequence()?;
    let mut questions = Vec::new();
    while !list.is_empty() {
        let mut one = list.sequence()?;
        questions.push(read_question(&mut one)?);
        super::read_extensions(&mut one, 0)?;
        one.end()?;
        if questions.len() > limits::OCSP_QUESTIONS_MAX {
            return Err(DerError::NotDistinguished("request of too many certificates").into());
        }
    }
    let nonce = match body.optional(tag::context(2))? {
        Some(value) => read_nonce(value.reader())?,
        None => None,
    };
    body.end()?;
    if questions.is_empty() {
        return Err(DerError::NotDistinguished("request of no certificate").into());
    }
    Ok(Request { questions, nonce })
}

fn read_question(one: &mut Reader<'_>) -> Result<Question, OcspError> {
    let value = one.clone().expect(tag::SEQUENCE)?;
    let id = CertId::read(one)?;
    Ok(Question {
        hash_algorithm: id.algorithm_oid,
        issuer_name_hash: id.name_hash,
        issuer_key_hash: id.key_hash,
        serial: id.serial,
        cert_id: value.raw.to_vec(),
    })
}

fn read_nonce(mut explicit: Reader<'_>) -> Result<Option<Vec<u8>>, OcspError> {
    let mut list = explicit.sequence()?;
    explicit.end()?;
    let mut nonce = None;
    while !list.is_empty() {
        let extension = Extension::read(&mut list)?;
        if extension.oid == NONCE {
            if extension.value.len() > limits::OCSP_NONCE_BYTES_MAX {
                return Err(DerError::NotDistinguished("nonce of this length").into());
            }
            nonce = Some(extension.value.to_vec());
        } else if extension.critical {
            return Err(OcspError::UnknownCritical);
        }
    }
    Ok(nonce)
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
/// X-Road looks at the first answer only: a request of several certificates is better answered one by one.
///
/// # Errors
/// [`OcspError::Answers`], [`OcspError::Unsigned`].
pub fn respond(
    answers: &[Answer],
    responder: &Certificate,
    key: &SigningKey,
    produced_at: UnixTime,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, OcspError> {
    if answers.is_empty() || answers.len() > limits::OCSP_QUESTIONS_MAX {
        return Err(OcspError::Answers { found: answers.len(), most: limits::OCSP_QUESTIONS_MAX });
    }
    let mut parts = vec![
        der::write(tag::context(2), &der::write(tag::OCTET_STRING, responder.key_sha1())),
        der::generalized_time(produced_at),
        der::sequence(answers.iter().map(write_answer)),
    ];
    if let Some(nonce) = nonce {
        let value = der::write(tag::OCTET_STRING, nonce);
        let extension = der::sequence([der::write(tag::OID, NONCE), value]);
        parts.push(der::write(tag::context(1), &der::sequence([extension])));
    }
    let signed = der::sequence(parts);
    let algorithm = SignatureAlgorithm { scheme: key.algorithm().scheme, digest: DigestAlgorithm::Sha256 };
    let signature = key.sign(algorithm.digest, &signed, EcdsaForm::Der).map_err(OcspError::Unsigned)?;
    let identifier =
        algorithm.identifier().ok_or(OcspError::Unsigned(crate::crypto::CryptoError::SigningFailed))?;
    let certificates = der::write(tag::context(0), &der::sequence([responder.der()]));
    let basic = der::sequence([signed, identifier, der::bits(&signature), certificates]);
    let typed = der::sequence([der::write(tag::OID, super::BASIC), der::write(tag::OCTET_STRING, &basic)]);
    Ok(der::sequence([der::write(tag::ENUMERATED, &[0]), der::write(tag::context(0), &typed)]))
}

fn write_answer(answer: &Answer) -> Vec<u8> {
    let status = match answer.status {
        Status::Good => der::write(tag::context_primitive(0), &[]),
        Status::Revoked { at } => der::write(tag::context(1), &der::generalized_time(at)),
        Status::Unknown => der::write(tag::context_primitive(2), &[]),
    };
    let mut parts = vec![answer.question.cert_id.clone(), status, der::generalized_time(answer.this_update)];
    if let Some(next) = answer.next_update {
        parts.push(der::write(tag::context(0), &der::generalized_time(next)));
    }
    der::sequence(parts)
}

/// Why a responder does not answer. Spec: RFC 6960 4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one.
    MalformedRequest = 1,
    /// The responder failed.
    InternalError = 2,
    /// Later, perhaps.
    TryLater = 3,
    /// The request must be signed.
    SignatureRequired = 5,
    /// Not for this client, or not of this authority.
    Unauthorized = 6,
}

/// Writes a response that refuses.
#[must_use]
pub fn refuse(why: Refusal) -> Vec<u8> {
    der::sequence([der::write(tag::ENUMERATED, &[why as u8])])
}
