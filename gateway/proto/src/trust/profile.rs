//! Which member a certificate names.
//!
//! Spec: trust-and-configuration §3.3, message-path §4.3.

/// How an authority writes members into subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `businessCategory` and `serialNumber`.
    Basic,
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
