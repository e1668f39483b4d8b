//! Whether a certificate may be believed at a given second.
//!
//! | file | what it holds |
//! |---|---|
//! | [`certificate`] | one certificate, read once |
//! | [`name`] | distinguished names |
//! | [`path`] | from a certificate to an approved authority |
//! | [`ocsp`] | what the authority says of it now |
//! | [`tsp`] | time-stamps |
//! | [`profile`] | which member or server a certificate names |
//!
//! The lists of whom to trust are arguments; they come from [`crate::globalconf`].

pub mod certificate;
pub mod name;
pub mod ocsp;
pub mod path;
pub mod profile;
pub mod tsp;

#[cfg(test)]
mod openssl;
#[cfg(test)]
mod recorded;
#[cfg(test)]
pub(crate) mod testing;

pub use certificate::{Certificate, CertificateError};
pub use name::Name;

use std::sync::Arc;
use std::time::Duration;

/// A certification authority that an instance approves, with its intermediates.
///
/// Spec: trust-and-configuration §2.2, `approvedCA`.
#[derive(Debug, Clone)]
pub struct ApprovedCa {
    /// Its name, for people.
    pub name: String,
    /// Whether it may vouch for authentication certificates only, never for signing ones.
    pub authentication_only: bool,
    /// The topmost authority.
    pub top: CaService,
    /// Authorities below it.
    pub intermediates: Vec<CaService>,
    /// How its certificates name members; `None` for a profile not known here, whose sign certificates name nobody.
    pub profile: Option<profile::Profile>,
}

/// One authority's certificate and where its certificates' status is told.
#[derive(Debug, Clone)]
pub struct CaService {
    /// The authority's own certificate.
    pub certificate: Arc<Certificate>,
    /// Its OCSP responders, in the order to ask them.
    pub ocsp: Vec<OcspService>,
}

/// An OCSP responder of an authority.
#[derive(Debug, Clone)]
pub struct OcspService {
    /// Where it answers.
    pub url: String,
    /// The certificate it signs with, when the instance lists it.
    pub certificate: Option<Arc<Certificate>>,
}

/// How old an OCSP response may be. From the verifier's own instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OcspPolicy {
    /// `thisUpdate` may lie this far back (`ocspFreshnessSeconds`).
    pub freshness: Duration,
    /// Whether a `nextUpdate` that has passed spoils the response.
    pub check_next_update: bool,
}

impl ApprovedCa {
    /// The top authority and all below it.
    pub fn services(&self) -> impl Iterator<Item = &CaService> {
        std::iter::once(&self.top).chain(&self.intermediates)
    }

    /// The member that a sign certificate of this authority names; `expected` gives the instance where it has none.
    ///
    /// # Errors
    /// [`profile::ProfileError`], also when the profile is not known.
    pub fn member_of(
        &self,
        cert: &Certificate,
        expected: &crate::id::MemberId,
    ) -> Result<crate::id::MemberId, profile::ProfileError> {
        self.profile
            .ok_or_else(|| profile::ProfileError::Unknown { ca: self.name.clone() })?
            .member_of(cert, expected)
    }
}
