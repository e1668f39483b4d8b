//! Which member a certificate names.
//!
//! Spec: trust-and-configuration §3.3, message-path §4.3.

use super::Certificate;
use crate::id::MemberId;

/// How an authority writes members into subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `businessCategory` and `serialNumber`.
    Basic,
    /// As [`Profile::Basic`], for authorities that are asked over ACME.
    BasicAcme,
    /// `C`, `O`, `CN`.
    Ejbca,
    /// Finland.
    FiVrk,
    /// The Faroe Islands.
    Fo,
    /// Iceland.
    Is,
    /// Estonia, organisations.
    SkKlass3,
    /// Estonia, persons.
    SkEsteId,
}

/// A subject that names no member under the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The authority names a profile that is not known here.
    #[error("the certificate profile of {ca:?} is not known")]
    Unknown {
        /// The approved authority's name.
        ca: String,
    },
    /// An attribute that the profile needs is missing.
    #[error("certificate subject has no {attribute}")]
    Missing {
        /// Its short name.
        attribute: &'static str,
    },
    /// Two values for one attribute. Ours: which of them names the member is ambiguous.
    #[error("certificate subject has {found} values of {attribute}, expected one")]
    Ambiguous {
        /// Its short name.
        attribute: &'static str,
        /// How many values it has.
        found: usize,
    },
    /// A value that the profile does not allow.
    #[error("certificate subject has {attribute} {found:?}, expected {expected}")]
    Value {
        /// Its short name.
        attribute: &'static str,
        /// What the profile wants.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

impl Profile {
    /// By the Java class name that shared parameters carry; the whole name counts.
    #[must_use]
    pub fn from_class_name(_name: &str) -> Option<Self> {
        None
    }

    /// The Java class name.
    #[must_use]
    pub const fn class_name(self) -> &'static str {
        ""
    }

    /// The member that a sign certificate names; `expected` gives the instance where the subject has none.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn member_of(self, _cert: &Certificate, _expected: &MemberId) -> Result<MemberId, ProfileError> {
        Err(ProfileError::Missing { attribute: "CN" })
    }
}
