//! The signed directory: which parts the configuration has now, and until when.
//!
//! Spec: trust-and-configuration §1.6. The signature covers the exact bytes of the first part of the envelope; they
//! are cut out, never written again.

use super::private::PrivateParams;
use super::read::ParamsError;
use super::shared::SharedParams;
use crate::crypto::{CryptoError, DigestAlgorithm, SigningKey};
use crate::time::UnixTime;

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// `SHARED-PARAMETERS`.
    Shared,
    /// `PRIVATE-PARAMETERS`.
    Private,
    /// An optional part, such as `NEXTUPDATE`.
    Other(String),
}

impl Content {
    /// The word in the directory.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Shared => "SHARED-PARAMETERS",
            Self::Private => "PRIVATE-PARAMETERS",
            Self::Other(text) => text,
        }
    }

    /// By the word in the directory.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "SHARED-PARAMETERS" => Self::Shared,
            "PRIVATE-PARAMETERS" => Self::Private,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// One part of the configuration, as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// Whose it is.
    pub instance: String,
    /// Where it lies: a URL, or a reference relative to the directory's own.
    pub location: String,
    /// The name to store it under, when the directory gives one.
    pub file_name: Option<String>,
    /// What it was digested with.
    pub algorithm: DigestAlgorithm,
    /// The digest of its bytes.
    pub digest: Vec<u8>,
}

/// A directory that was read and not verified: nothing in it may be believed yet.
#[derive(Debug, Clone)]
pub struct SignedDirectory {}

/// A directory whose signature holds and whose time has not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Until when it holds.
    pub expires: UnixTime,
    /// The version of its documents.
    pub version: u8,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A directory or part that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// More bytes, parts or header than any directory has.
    #[error("directory has {found} {what}, at most {allowed} are read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much is read.
        allowed: usize,
    },
    /// No signed directory.
    #[error("not a signed directory: {0}")]
    Malformed(&'static str),
    /// The envelope has no part that is signed.
    #[error("the envelope has no signed part")]
    MissingSignedPart,
    /// The envelope has no part with the signature.
    #[error("the envelope has no signature part")]
    MissingSignature,
    /// A header that must be there.
    #[error("header {header} is missing")]
    HeaderMissing {
        /// Its name.
        header: &'static str,
    },
    /// A parameter of a header that must be there.
    #[error("header {header} has no {parameter}")]
    ParameterMissing {
        /// The header's name.
        header: &'static str,
        /// The parameter's name.
        parameter: &'static str,
    },
    /// A header with another value than it may have.
    #[error("header {header} is {found:?}, expected {expected}")]
    HeaderValue {
        /// Its name.
        header: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The certificate named is none of those that may sign here.
    #[error("no certificate with the hash {hash} is among the {known} of this location")]
    UnknownCertificate {
        /// The hash named, base64.
        hash: String,
        /// How many there are.
        known: usize,
    },
    /// The certificate named is known and cannot be used.
    #[error("the verification certificate cannot be used: {0}")]
    BadCertificate(String),
    /// The signature is no base64.
    #[error("the signature is not base64")]
    SignatureEncoding,
    /// The signature does not hold.
    #[error("the signature does not hold: {0}")]
    BadSignature(CryptoError),
    /// Its time has passed.
    #[error("the directory held until {expires}, now it is {now}")]
    Outdated {
        /// Until when it held.
        expires: UnixTime,
        /// When it was read.
        now: UnixTime,
    },
    /// A part that must be listed and is not.
    #[error("the directory of {instance} lists no {expected}")]
    MissingPart {
        /// What must be there.
        expected: &'static str,
        /// Whose directory it is.
        instance: String,
    },
    /// A part that may not be listed where it is.
    #[error("a directory for other instances lists private parameters, {instance}'s")]
    NotExternal {
        /// Whose they are.
        instance: String,
    },
    /// A part of an instance that this source does not serve.
    #[error("part of instance {found}, expected {expected}")]
    Instance {
        /// The instance it must be of.
        expected: String,
        /// The instance it is of.
        found: String,
    },
    /// The same part twice.
    #[error("part {0} is listed twice")]
    PartTwice(String),
    /// A part's bytes are not those listed.
    #[error("the digest of {location} is not the one listed")]
    Digest {
        /// Where the part lies.
        location: String,
    },
    /// A part's document is not read.
    #[error("{location}: {source}")]
    Part {
        /// Where the part lies.
        location: String,
        /// Why.
        source: ParamsError,
    },
}

impl DirectoryError {
    /// The identifier that X-Road's diagnostics use. Spec: trust-and-configuration §1.11.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "global_conf_parsing_downloaded_conf_directory_failure"
    }
}

impl SignedDirectory {
    /// Reads a directory's bytes as they came.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let _ = bytes;
        Err(DirectoryError::MissingSignedPart)
    }

    /// Verifies it with the certificates of the very location it came from, at `now`.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn verify(&self, certificates: &[Vec<u8>], now: UnixTime) -> Result<Directory, DirectoryError> {
        let _ = (certificates, now);
        Err(DirectoryError::MissingSignature)
    }
}

impl Directory {
    /// The parts to take from a source of `instance`'s own: its private and shared parameters must be listed.
    ///
    /// # Errors
    /// [`DirectoryError::MissingPart`], [`DirectoryError::Instance`].
    pub fn internal(&self, instance: &str) -> Result<Vec<&Part>, DirectoryError> {
        Err(DirectoryError::MissingPart { expected: "PRIVATE-PARAMETERS", instance: instance.to_owned() })
    }

    /// The one part to take from a source that another instance, `instance`, offers.
    ///
    /// # Errors
    /// [`DirectoryError::MissingPart`].
    pub fn external(&self, instance: &str) -> Result<&Part, DirectoryError> {
        Err(DirectoryError::MissingPart { expected: "SHARED-PARAMETERS", instance: instance.to_owned() })
    }

    /// Refuses a source that offers private parameters, which no source for other instances may.
    ///
    /// # Errors
    /// [`DirectoryError::NotExternal`].
    pub const fn must_be_external(&self) -> Result<(), DirectoryError> {
        Ok(())
    }
}

impl Part {
    /// Lists a part that was made here: digested with SHA-512.
    #[must_use]
    pub fn of(content: Content, instance: &str, location: &str, bytes: &[u8]) -> Self {
        let algorithm = DigestAlgorithm::Sha512;
        Self {
            content,
            instance: instance.to_owned(),
            location: location.to_owned(),
            file_name: None,
            algorithm,
            digest: algorithm.digest(bytes),
        }
    }

    /// Holds bytes against the digest listed.
    ///
    /// # Errors
    /// [`DirectoryError::Digest`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), DirectoryError> {
        let _ = bytes;
        Err(DirectoryError::Digest { location: self.location.clone() })
    }

    /// Checks and reads a part of shared parameters, which must be of the instance listed.
    ///
    /// # Errors
    /// [`DirectoryError::Digest`], [`DirectoryError::Part`], [`DirectoryError::Instance`].
    pub fn shared(&self, bytes: &[u8], version: u8) -> Result<SharedParams, DirectoryError> {
        let _ = version;
        self.check(bytes)?;
        Err(DirectoryError::MissingSignedPart)
    }

    /// Checks and reads a part of private parameters, which must be of the instance listed.
    ///
    /// # Errors
    /// As [`Part::shared`].
    pub fn private(&self, bytes: &[u8], version: u8) -> Result<PrivateParams, DirectoryError> {
        let _ = version;
        self.check(bytes)?;
        Err(DirectoryError::MissingSignedPart)
    }
}

/// A directory to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Until when it holds; whole seconds are written.
    pub expires: UnixTime,
    /// The version of its documents.
    pub version: u8,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Draft {
    /// Signs the directory and writes it as a central server does.
    ///
    /// `random` makes the boundaries; `certificate` is the signing certificate as the anchor carries it.
    ///
    /// # Errors
    /// [`CryptoError::SigningFailed`].
    pub fn sign(
        &self,
        random: [u8; 40],
        key: &SigningKey,
        certificate: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let _ = (random, key, certificate);
        Err(CryptoError::SigningFailed)
    }
}
