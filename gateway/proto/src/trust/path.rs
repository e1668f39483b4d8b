//! From a certificate to an approved authority.
//!
//! Spec: message-path §4.5, trust-and-configuration §3.1 and §3.4.

use super::{ApprovedCa, Certificate};
use crate::fault::{Code, Leaf};
use crate::time::UnixTime;
use std::sync::Arc;

/// A certificate that does not lead to an approved authority, or not for this use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No approved authority issued it.
    #[error("no approved certification authority issued {subject} (issuer {issuer})")]
    NotApproved {
        /// Its subject.
        subject: String,
        /// The issuer it names.
        issuer: String,
    },
    /// Neither key usage nor clientAuth: its use is not told.
    #[error("certificate {subject} has no key usage")]
    NoKeyUsage {
        /// Its subject.
        subject: String,
    },
}

/// A certificate path that holds: from a leaf to an approved authority.
#[derive(Debug, Clone)]
pub struct Chain {
    certificates: Vec<Arc<Certificate>>,
    anchor: Arc<Certificate>,
    ca: ApprovedCa,
}

impl Chain {
    /// The certificate that the path is about.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        self.certificates.first().unwrap_or(&self.anchor)
    }

    /// Leaf first, each issued by the next; the anchor is not among them.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The approved authority's certificate that issued the last one.
    #[must_use]
    pub fn anchor(&self) -> &Certificate {
        &self.anchor
    }

    /// Who issued the certificate at `index`.
    #[must_use]
    pub fn issuer_of(&self, index: usize) -> &Certificate {
        self.certificates.get(index.saturating_add(1)).unwrap_or(&self.anchor)
    }

    /// The approved authority in which the path ends.
    #[must_use]
    pub const fn ca(&self) -> &ApprovedCa {
        &self.ca
    }
}

impl PathError {
    /// The code below `signature_verification`. Seen: message-path §4.3.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(Leaf::InternalError)
    }

    /// The code below `ssl_authentication_failed`. Seen: message-path §4.2.
    #[must_use]
    pub fn tls_code(&self) -> Code {
        Code::of(Leaf::InternalError).under(Leaf::CannotCreateCertPath)
    }
}

/// The path of a TLS server's certificate: it ends in the approved authority that issued the leaf, or in one that
/// certificates of `additional` lead to.
///
/// `cas` are those of the instance that the peer belongs to.
///
/// # Errors
/// [`PathError`].
pub fn to_issuer(
    leaf: &Arc<Certificate>,
    additional: &[Arc<Certificate>],
    cas: &[ApprovedCa],
    at: UnixTime,
) -> Result<Chain, PathError> {
    let (_, _, _) = (additional, cas, at);
    Err(not_approved(leaf))
}

/// As [`to_issuer`], for a certificate that signs messages: authorities approved for authentication only do not count.
///
/// # Errors
/// [`PathError`].
pub fn for_signing(
    leaf: &Arc<Certificate>,
    additional: &[Arc<Certificate>],
    cas: &[ApprovedCa],
    at: UnixTime,
) -> Result<Chain, PathError> {
    to_issuer(leaf, additional, cas, at)
}

/// The path of a TLS client: it ends in the approved authority that issued the last certificate presented, or that is it.
///
/// # Errors
/// [`PathError`].
pub fn of_peer(presented: &[Arc<Certificate>], cas: &[ApprovedCa], at: UnixTime) -> Result<Chain, PathError> {
    let (_, _) = (cas, at);
    Err(presented.first().map_or_else(
        || PathError::NotApproved { subject: String::new(), issuer: String::new() },
        |leaf| not_approved(leaf),
    ))
}

/// Whether it may authenticate a security server in TLS. Spec: message-path §4.5.
///
/// # Errors
/// [`PathError::NoKeyUsage`].
pub fn is_authentication(cert: &Certificate) -> Result<bool, PathError> {
    Err(not_approved(cert))
}

/// Whether it may sign messages. Spec: message-path §4.3 step 3.
///
/// # Errors
/// [`PathError::NoKeyUsage`].
pub fn is_signing(cert: &Certificate) -> Result<bool, PathError> {
    Err(not_approved(cert))
}

/// What one sends in TLS: the leaf and the authorities above it, without the topmost. Spec: message-path §4.5.
#[must_use]
pub fn own_chain(leaf: &Arc<Certificate>, _cas: &[ApprovedCa]) -> Vec<Arc<Certificate>> {
    vec![Arc::clone(leaf)]
}

fn not_approved(cert: &Certificate) -> PathError {
    PathError::NotApproved { subject: cert.subject_text().to_owned(), issuer: cert.issuer_text().to_owned() }
}
