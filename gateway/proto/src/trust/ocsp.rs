//! What an authority says of a certificate now.
//!
//! Spec: RFC 6960; message-path §5.3, trust-and-configuration §3.6. Responses are verified here, requests written; the
//! responder's half (requests read, responses written) is in [`responder`].
//!
//! Stricter than X-Road 7.8, all of it Ours: nothing may follow the DER of a response; a critical extension that is not
//! understood spoils it; a `thisUpdate` further ahead than [`limits::OCSP_AHEAD_SECS_MAX`] is refused; a responder that
//! the authority delegated must be valid at some moment between `thisUpdate` and now, so that a key that leaked after
//! its certificate's end is worth nothing.

pub mod responder;

use super::path::Chain;
use super::{ApprovedCa, Certificate, Name, OcspPolicy};
use crate::crypto::{CryptoError, DigestAlgorithm, EcdsaForm, SignatureAlgorithm};
use crate::der::{self, DerError, Reader, tag};
use crate::fault::{Code, Leaf};
use crate::limits;
use crate::time::UnixTime;
use std::time::Duration;

pub use responder::{Answer, Question, Refusal, Request, parse_request, refuse, respond};

/// A response or request that is not read, does not hold, or is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// More bytes than one has.
    #[error("OCSP message has {0} bytes, more than any is read with")]
    TooLarge(usize),
    /// Not the DER of one.
    #[error("OCSP message cannot be read: {0}")]
    Malformed(#[from] DerError),
    /// The responder did not answer. Spec: RFC 6960 4.2.1.
    #[error("OCSP responder refused, status {found}, expected 0")]
    Refused {
        /// Its `OCSPResponseStatus`.
        found: u8,
    },
    /// A critical extension that is not understood.
    #[error("OCSP message has a critical extension that is not understood")]
    UnknownCritical,
    /// No response for a certificate.
    #[error("no OCSP response for certificate {subject}")]
    Missing {
        /// The certificate's subject.
        subject: String,
    },
    /// The response is of another certificate.
    #[error("OCSP response is not of certificate {subject}")]
    OtherCertificate {
        /// The certificate's subject.
        subject: String,
    },
    /// Nobody whom the response names as its signer is known.
    #[error("signer of the OCSP response is not known")]
    UnknownSigner,
    /// The signature does not hold.
    #[error("signature of the OCSP response does not hold: {0}")]
    Signature(CryptoError),
    /// The signer may not speak for the authority.
    #[error("{signer} may not sign OCSP responses for {issuer}")]
    NotAuthorised {
        /// The signer's subject.
        signer: String,
        /// The authority's subject.
        issuer: String,
    },
    /// `thisUpdate` lies too far back.
    #[error("OCSP response is of {this_update}, at {at} it may be {most:?} old")]
    Stale {
        /// When it was known to be so.
        this_update: UnixTime,
        /// When it is looked at.
        at: UnixTime,
        /// How old it may be.
        most: Duration,
    },
    /// `thisUpdate` lies too far ahead.
    #[error("OCSP response is of {this_update}, ahead of {at}")]
    Ahead {
        /// When it will be known to be so.
        this_update: UnixTime,
        /// When it is looked at.
        at: UnixTime,
    },
    /// `nextUpdate` has passed.
    #[error("OCSP response was to be renewed by {next_update}, it is {at}")]
    Overtaken {
        /// When something newer was to be known.
        next_update: UnixTime,
        /// When it is looked at.
        at: UnixTime,
    },
    /// The certificate was revoked.
    #[error("certificate {subject} was revoked at {at}")]
    Revoked {
        /// Its subject.
        subject: String,
        /// Since when.
        at: UnixTime,
    },
    /// The authority does not know the certificate.
    #[error("authority does not know certificate {subject}")]
    Unknown {
        /// Its subject.
        subject: String,
    },
    /// More answers than a response has, or none.
    #[error("an OCSP response cannot have {found} answers, expected 1 to {most}")]
    Answers {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// It could not be signed.
    #[error("OCSP response cannot be signed: {0}")]
    Unsigned(CryptoError),
}

impl OcspError {
    /// The code: `cert_validation` or `incorrect_validation_info`, without what stands before it.
    ///
    /// Seen: message-path §4.3 and §5.3. A response in a signature that cannot be read is `malformed_signature`, one in
    /// a message `io_error`: those who read it there say so.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing { .. }
            | Self::OtherCertificate { .. }
            | Self::Revoked { .. }
            | Self::Unknown { .. } => Code::of(Leaf::CertValidation),
            _ => Code::of(Leaf::IncorrectValidationInfo),
        }
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
    signed: Vec<u8>,
    algorithm: Option<SignatureAlgorithm>,
    signature: Vec<u8>,
    responder: ResponderId,
    certificates: Vec<Certificate>,
    produced_at: UnixTime,
    single: Single,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ResponderId {
    Name(Name),
    /// SHA-1 of the public key's bits.
    Key(Vec<u8>),
}

/// The first statement.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Single {
    id: CertId,
    status: Status,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
}

/// Which certificate is meant. Spec: RFC 6960 4.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CertId {
    /// `None` for an algorithm that is not known, or with parameters other than NULL.
    algorithm: Option<DigestAlgorithm>,
    algorithm_oid: Vec<u8>,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    serial: Vec<u8>,
}

/// id-pkix-ocsp-basic. Spec: RFC 6960 4.2.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

impl Response {
    /// Reads a DER response; nothing may follow it.
    ///
    /// # Errors
    /// [`OcspError::Refused`] for one that was not successful, [`OcspError::Malformed`] and its like.
    pub fn from_der(bytes: &[u8]) -> Result<Self, OcspError> {
        if bytes.len() > limits::OCSP_BYTES_MAX {
            return Err(OcspError::TooLarge(bytes.len()));
        }
        let mut outer = Reader::new(bytes);
        let mut inside = outer.sequence()?;
        outer.end()?;
        match inside.expect(tag::ENUMERATED)?.content {
            [0] => {}
            [found] => return Err(OcspError::Refused { found: *found }),
            _ => return Err(DerError::NotDistinguished("response status").into()),
        }
        let mut explicit = inside.expect(tag::context(0))?.reader();
        inside.end()?;
        let mut typed = explicit.sequence()?;
        explicit.end()?;
        if typed.oid()? != BASIC {
            return Err(DerError::NotDistinguished("response type").into());
        }
        let basic = typed.octets()?;
        typed.end()?;
        Self::from_basic(bytes, basic)
    }

    fn from_basic(der: &[u8], basic: &[u8]) -> Result<Self, OcspError> {
        let mut outer = Reader::new(basic);
        let mut inside = outer.sequence()?;
        outer.end()?;
        let signed = inside.expect(tag::SEQUENCE)?;
        let algorithm = SignatureAlgorithm::from_identifier(inside.expect(tag::SEQUENCE)?.raw);
        let signature = inside.bits()?.to_vec();
        let certificates = match inside.optional(tag::context(0))? {
            Some(value) => read_certificates(value.reader())?,
            None => Vec::new(),
        };
        inside.end()?;

        let mut body = signed.reader();
        let version = body.optional(tag::context(0))?;
        if version.is_some_and(|v| v.content != [tag::INTEGER, 1, 0]) {
            return Err(DerError::NotDistinguished("version of response data").into());
        }
        let responder = read_responder(&mut body)?;
        let produced_at = body.generalized_time()?;
        let mut singles = body.sequence()?;
        read_extensions(&mut body, 1)?;
        body.end()?;
        let single = read_single(&mut singles)?;
        Ok(Self {
            der: der.to_vec(),
            signed: signed.raw.to_vec(),
            algorithm,
            signature,
            responder,
            certificates,
            produced_at,
            single,
        })
    }

    /// All of it, as it came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.single.status
    }

    /// When that was known to be so.
    #[must_use]
    pub const fn this_update(&self) -> UnixTime {
        self.single.this_update
    }

    /// When something newer will be known.
    #[must_use]
    pub const fn next_update(&self) -> Option<UnixTime> {
        self.single.next_update
    }

    /// When it was signed.
    #[must_use]
    pub const fn produced_at(&self) -> UnixTime {
        self.produced_at
    }

    /// Whether it speaks of `cert`: its SHA-1 `CertID` is that of `cert` and `issuer`.
    ///
    /// Seen: X-Road 7.8 matches no other digest; parameters of the algorithm may be NULL or absent.
    #[must_use]
    pub fn covers(&self, cert: &Certificate, issuer: &Certificate) -> bool {
        let id = &self.single.id;
        id.algorithm == Some(DigestAlgorithm::Sha1)
            && id.serial == cert.serial()
            && id.is_issuer(issuer, cert.issuer())
    }
}

impl CertId {
    fn read(inside: &mut Reader<'_>) -> Result<Self, DerError> {
        let mut id = inside.sequence()?;
        let mut algorithm = id.sequence()?;
        let oid = algorithm.oid()?;
        let parameters = algorithm.rest();
        let is_plain = parameters.is_empty() || parameters == [tag::NULL, 0];
        let read = Self {
            algorithm: DigestAlgorithm::from_oid(oid).filter(|_| is_plain),
            algorithm_oid: oid.to_vec(),
            name_hash: id.octets()?.to_vec(),
            key_hash: id.octets()?.to_vec(),
            serial: id.integer()?.to_vec(),
        };
        id.end()?;
        Ok(read)
    }

    /// Whether name and key are those of `issuer`, whose name a certificate may write as `named`.
    fn is_issuer(&self, issuer: &Certificate, named: &[u8]) -> bool {
        self.algorithm.is_some_and(|algorithm| {
            self.key_hash == algorithm.digest(issuer.public_key().bits())
                && [issuer.subject(), named].iter().any(|name| self.name_hash == algorithm.digest(name))
        })
    }
}

/// Writes a SHA-1 `CertID`. Seen: X-Road 7.8 writes the algorithm with NULL parameters, and the issuer's own name.
fn cert_id(cert: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let sha1 = DigestAlgorithm::Sha1;
    der::sequence([
        der::sequence([der::write(tag::OID, sha1.oid()), der::write(tag::NULL, &[])]),
        der::write(tag::OCTET_STRING, &sha1.digest(issuer.subject())),
        der::write(tag::OCTET_STRING, &sha1.digest(issuer.public_key().bits())),
        der::write(tag::INTEGER, cert.serial()),
    ])
}

/// Certificates sent along; one that we cannot read cannot have signed for us and is left out.
fn read_certificates(mut explicit: Reader<'_>) -> Result<Vec<Certificate>, DerError> {
    let mut list = explicit.sequence()?;
    explicit.end()?;
    let mut found = Vec::new();
    let mut count = 0usize;
    while !list.is_empty() {
        let value = list.expect(tag::SEQUENCE)?;
        count += 1;
        if count > limits::OCSP_CERTS_MAX {
            return Err(DerError::NotDistinguished("response with too many certificates"));
        }
        found.extend(Certificate::from_der(value.raw));
    }
    Ok(found)
}

fn read_responder(body: &mut Reader<'_>) -> Result<ResponderId, DerError> {
    let value = body.value()?;
    let mut explicit = value.reader();
    if value.tag == tag::context(1) {
        return Name::from_der(value.content).map(ResponderId::Name);
    }
    if value.tag != tag::context(2) {
        return Err(DerError::Tag { expected: tag::context(2), found: value.tag });
    }
    let key = explicit.octets()?.to_vec();
    explicit.end()?;
    Ok(ResponderId::Key(key))
}

/// The first statement of a list; the others need only be DER.
fn read_single(singles: &mut Reader<'_>) -> Result<Single, OcspError> {
    let mut inside = singles.sequence()?;
    let id = CertId::read(&mut inside)?;
    let value = inside.value()?;
    let status = match value.tag {
        t if t == tag::context_primitive(0) && value.content.is_empty() => Status::Good,
        t if t == tag::context_primitive(2) && value.content.is_empty() => Status::Unknown,
        t if t == tag::context(1) => {
            let mut revoked = value.reader();
            let at = revoked.generalized_time()?;
            revoked.optional(tag::context(0))?;
            revoked.end()?;
            Status::Revoked { at }
        }
        _ => return Err(DerError::NotDistinguished("certificate status").into()),
    };
    let this_update = inside.generalized_time()?;
    let next_update = match inside.optional(tag::context(0))? {
        Some(value) => {
            let mut explicit = value.reader();
            let when = explicit.generalized_time()?;
            explicit.end()?;
            Some(when)
        }
        None => None,
    };
    read_extensions(&mut inside, 1)?;
    inside.end()?;
    while !singles.is_empty() {
        singles.expect(tag::SEQUENCE)?;
    }
    Ok(Single { id, status, this_update, next_update })
}

/// One extension of a response or request. Spec: RFC 5280 4.1.
struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(list: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut inside = list.sequence()?;
        let oid = inside.oid()?;
        let critical = match inside.optional(tag::BOOLEAN)?.map(|v| v.content) {
            None | Some([0]) => false,
            Some([0xff]) => true,
            Some(_) => return Err(DerError::NotDistinguished("boolean")),
        };
        let value = inside.octets()?;
        inside.end()?;
        Ok(Self { oid, critical, value })
    }
}

/// Reads over extensions under `[n]`: none may be critical, since none is understood.
fn read_extensions(body: &mut Reader<'_>, n: u8) -> Result<(), OcspError> {
    let Some(value) = body.optional(tag::context(n))? else { return Ok(()) };
    let mut explicit = value.reader();
    let mut list = explicit.sequence()?;
    explicit.end()?;
    while !list.is_empty() {
        if Extension::read(&mut list)?.critical {
            return Err(OcspError::UnknownCritical);
        }
    }
    Ok(())
}

/// Checks that every certificate of the path has a good, fresh and authorised response.
///
/// Of several responses for one certificate any that holds will do, unless one that holds says that it was revoked.
/// `listed` are the approved authorities of all instances: responders are looked for there.
///
/// # Errors
/// [`OcspError`]: the first failure of the first certificate that has no response that will do.
pub fn check(
    chain: &Chain,
    responses: &[Response],
    listed: &[&ApprovedCa],
    policy: &OcspPolicy,
    at: UnixTime,
) -> Result<(), OcspError> {
    for (index, cert) in chain.certificates().iter().enumerate() {
        let issuer = chain.issuer_of(index);
        let mut is_good = false;
        let mut first_failure = None;
        for response in responses.iter().filter(|r| r.covers(cert, issuer)).take(limits::OCSP_PARTS_MAX) {
            let subject = || cert.subject_text().to_owned();
            match verify(response, cert, issuer, listed, policy, at).map(|()| response.status()) {
                Ok(Status::Good) => is_good = true,
                Ok(Status::Revoked { at }) => {
                    return Err(OcspError::Revoked { subject: subject(), at });
                }
                Ok(Status::Unknown) => {
                    first_failure.get_or_insert(OcspError::Unknown { subject: subject() });
                }
                Err(error) => {
                    first_failure.get_or_insert(error);
                }
            }
        }
        if !is_good {
            let subject = cert.subject_text().to_owned();
            return Err(first_failure.unwrap_or(OcspError::Missing { subject }));
        }
    }
    Ok(())
}

/// The last moment until which [`check`], having found `chain` good, must find it good again.
///
/// `None` where more responses came than certificates: one that does not count yet may say another thing later.
#[must_use]
pub fn holds_until(chain: &Chain, responses: &[Response], policy: &OcspPolicy) -> Option<UnixTime> {
    if responses.len() != chain.certificates().len() {
        return None;
    }
    let certificates = chain.certificates().iter().map(|c| c.not_after());
    let fresh = responses.iter().map(|r| r.this_update().plus(policy.freshness));
    let next = responses.iter().filter(|_| policy.check_next_update).filter_map(Response::next_update);
    certificates.chain(fresh).chain(next).min()
}

/// Verifies a response in everything but its status: whose it is, who signed it, how old it is.
///
/// # Errors
/// [`OcspError`].
pub fn verify(
    response: &Response,
    cert: &Certificate,
    issuer: &Certificate,
    listed: &[&ApprovedCa],
    policy: &OcspPolicy,
    at: UnixTime,
) -> Result<(), OcspError> {
    if !response.covers(cert, issuer) {
        return Err(OcspError::OtherCertificate { subject: cert.subject_text().to_owned() });
    }
    verify_signer(response, issuer, listed, at)?;
    verify_age(response, policy, at)
}

fn verify_age(response: &Response, policy: &OcspPolicy, at: UnixTime) -> Result<(), OcspError> {
    let this_update = response.this_update();
    if this_update < at.minus(policy.freshness) {
        return Err(OcspError::Stale { this_update, at, most: policy.freshness });
    }
    if this_update > at.plus(Duration::from_secs(limits::OCSP_AHEAD_SECS_MAX)) {
        return Err(OcspError::Ahead { this_update, at });
    }
    match response.next_update() {
        Some(next_update) if policy.check_next_update && next_update < at => {
            Err(OcspError::Overtaken { next_update, at })
        }
        _ => Ok(()),
    }
}

/// Finds who signed a response and whether they may speak for `issuer`.
fn verify_signer(
    response: &Response,
    issuer: &Certificate,
    listed: &[&ApprovedCa],
    at: UnixTime,
) -> Result<(), OcspError> {
    let services = || listed.iter().flat_map(|ca| ca.services());
    let responders = services().flat_map(|s| &s.ocsp).filter_map(|o| o.certificate.as_deref());
    let authorities = services().map(|s| &*s.certificate);
    let candidates = responders
        .chain(authorities)
        .chain(std::iter::once(issuer))
        .chain(&response.certificates)
        .filter(|cert| response.responder.is(cert));
    let mut tried: Vec<&[u8]> = Vec::new();
    let mut failure = OcspError::UnknownSigner;
    for signer in candidates {
        if tried.contains(&signer.sha256()) {
            continue;
        }
        if tried.len() >= limits::OCSP_SIGNERS_MAX {
            break;
        }
        tried.push(signer.sha256());
        match response.verify_signed_by(signer) {
            Ok(()) if is_authorised(signer, issuer, listed, (response.this_update(), at)) => return Ok(()),
            Ok(()) => {
                failure = OcspError::NotAuthorised {
                    signer: signer.subject_text().to_owned(),
                    issuer: issuer.subject_text().to_owned(),
                };
            }
            Err(error) if failure == OcspError::UnknownSigner => failure = OcspError::Signature(error),
            Err(_) => {}
        }
    }
    Err(failure)
}

impl Response {
    fn verify_signed_by(&self, signer: &Certificate) -> Result<(), CryptoError> {
        let algorithm = self.algorithm.ok_or(CryptoError::BadSignature)?;
        signer.public_key().verify(algorithm, &self.signed, &self.signature, EcdsaForm::Der)
    }
}

impl ResponderId {
    fn is(&self, cert: &Certificate) -> bool {
        match self {
            Self::Name(name) => name.is_same(cert.subject_name()),
            Self::Key(hash) => *hash == cert.key_sha1(),
        }
    }
}

/// Whether `signer` may speak for `issuer`: it is listed for it, is it, or was delegated by it.
///
/// Spec: RFC 6960 4.2.2.2.
fn is_authorised(
    signer: &Certificate,
    issuer: &Certificate,
    listed: &[&ApprovedCa],
    (this_update, at): (UnixTime, UnixTime),
) -> bool {
    let is_listed = || {
        listed
            .iter()
            .flat_map(|ca| ca.services())
            .filter(|service| service.certificate.der() == issuer.der())
            .flat_map(|service| &service.ocsp)
            .filter_map(|ocsp| ocsp.certificate.as_deref())
            .any(|cert| cert.der() == signer.der())
    };
    // The same name and key in another certificate is the same authority.
    let is_issuer =
        || signer.public_key() == issuer.public_key() && signer.subject_name().is_same(issuer.subject_name());
    let is_delegated = || {
        signer.may_sign_ocsp()
            && !signer.has_unknown_critical()
            && signer.not_before() <= at
            && this_update.secs() <= signer.not_after().secs()
            && signer.names_issuer(issuer)
            && signer.verify_signed_by(issuer).is_ok()
    };
    is_listed() || is_issuer() || is_delegated()
}

/// Writes a request: one certificate, SHA-1 `CertID`, no nonce, unsigned. Seen: message-path §5.4.
#[must_use]
pub fn request(cert: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let list = der::sequence([der::sequence([cert_id(cert, issuer)])]);
    der::sequence([der::sequence([list])])
}

#[cfg(test)]
mod tests;
