//! The signed directory: which parts the configuration has now, and until when.
//!
//! Spec: trust-and-configuration §1.6. The signature covers the exact bytes of the first part of the envelope; they
//! are cut out, never written again.

mod mime;
mod write;

pub use write::Draft;

use self::mime::{Cut, Head, Value, split_head, split_parts, wrong};
use super::layout;
use super::private::PrivateParams;
use super::read::{ParamsError, first_of_pem};
use super::shared::SharedParams;
use crate::crypto::{CryptoError, DigestAlgorithm, EcdsaForm, PublicKey, Scheme, SignatureAlgorithm};
use crate::limits;
use crate::time::UnixTime;
use crate::trust::Certificate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;

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
pub struct SignedDirectory {
    /// The exact bytes that are signed.
    signed: Vec<u8>,
    /// The boundary inside them.
    boundary: String,
    algorithm: SignatureAlgorithm,
    /// What names the certificate: a digest and how it was made.
    certificate: (DigestAlgorithm, Vec<u8>),
    /// The signature, base64.
    signature: Vec<u8>,
}

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
    /// The directory could not be signed.
    #[error("the directory could not be signed: {0}")]
    Signing(CryptoError),
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
        match self {
            Self::TooLarge { .. } | Self::Malformed(_) | Self::PartTwice(_) | Self::Part { .. } => {
                "global_conf_parsing_downloaded_conf_directory_failure"
            }
            Self::MissingSignedPart => "global_conf_missing_signed_data",
            // Seen: X-Road 7.8 reads the directory only after the signature, and then misses its date.
            Self::MissingSignature => "global_conf_missing_signed_data_expiration_date",
            Self::HeaderMissing { .. } => "global_conf_header_field_missing",
            Self::ParameterMissing { .. } => "global_conf_header_field_missing_parameter",
            Self::HeaderValue { .. } => "global_conf_header_field_wrong_value",
            Self::UnknownCertificate { .. } | Self::BadCertificate(_) => {
                "global_conf_missing_verification_cert"
            }
            Self::SignatureEncoding => "global_conf_signature_decode_failure",
            Self::BadSignature(_) | Self::Signing(_) => "global_conf_signature_verification_failure",
            Self::Outdated { .. } => "global_conf_outdated",
            Self::MissingPart { .. } => "conf_verification.missing_private_params",
            Self::NotExternal { .. } => "conf_verification.anchor_not_for_external_source",
            Self::Instance { .. } => "global_conf_part_invalid_instance_identifier",
            Self::Digest { .. } => "global_conf_part_downloaded_file_integrity_failure",
        }
    }
}

/// The header that names the certificate.
const CERTIFICATE_HASH: &str = "Verification-certificate-hash";
/// The header that names the signature algorithm.
const SIGNATURE_ALGORITHM: &str = "Signature-algorithm-id";
/// The header that names a part's digest algorithm.
const HASH_ALGORITHM: &str = "Hash-algorithm-id";
/// The header that says what a part is.
const IDENTIFIER: &str = "Content-identifier";
/// The header that says where a part lies.
const LOCATION: &str = "Content-location";
/// The header that says how a part shall be called.
const FILE_NAME: &str = "Content-file-name";

impl SignedDirectory {
    /// Reads a directory's bytes as they came.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let allowed = limits::DIRECTORY_BYTES_MAX;
        if bytes.len() > allowed {
            return Err(DirectoryError::TooLarge { what: "bytes", found: bytes.len(), allowed });
        }
        let (envelope, body) = split_head(bytes)?;
        let boundary = envelope.boundary("multipart/related")?;
        let Cut { parts, closed } = split_parts(body.unwrap_or_default(), &boundary)?;
        let (first, second) = match parts.as_slice() {
            [] => return Err(DirectoryError::MissingSignedPart),
            [_] => return Err(DirectoryError::MissingSignature),
            [first, second] if closed => (*first, *second),
            [_, _] => return Err(DirectoryError::Malformed("the envelope does not end")),
            _ => return Err(DirectoryError::Malformed("the envelope has more than two parts")),
        };
        let (head, signed) = split_head(first)?;
        let boundary = head.boundary("multipart/mixed")?;
        let signed = signed.ok_or(DirectoryError::MissingSignedPart)?.to_vec();
        let (head, signature) = split_head(second)?;
        must_be_base64(&head)?;
        let uri = head.required(SIGNATURE_ALGORITHM)?;
        let algorithm = SignatureAlgorithm::from_uri(uri).ok_or_else(|| {
            wrong(SIGNATURE_ALGORITHM, "RSA or ECDSA with SHA-256, SHA-384 or SHA-512", uri)
        })?;
        let named = Value::read(head.required(CERTIFICATE_HASH)?)?;
        let how =
            digest_algorithm(CERTIFICATE_HASH, named.parameter(CERTIFICATE_HASH, "hash-algorithm-id")?)?;
        let hash = digest(CERTIFICATE_HASH, &named.word, how)?;
        let signature = signature.unwrap_or_default().to_vec();
        Ok(Self { signed, boundary, algorithm, certificate: (how, hash), signature })
    }

    /// Verifies it with the certificates of the very location it came from, at `now`.
    ///
    /// Only the certificate's key counts: not its dates, usages or issuer. Spec: trust-and-configuration §1.6.3.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn verify(&self, certificates: &[Vec<u8>], now: UnixTime) -> Result<Directory, DirectoryError> {
        let (how, hash) = &self.certificate;
        let certificate = certificates.iter().find(|c| how.digest(c) == *hash).ok_or_else(|| {
            DirectoryError::UnknownCertificate { hash: STANDARD.encode(hash), known: certificates.len() }
        })?;
        let der = first_of_pem(certificate).unwrap_or_default();
        let certificate =
            Certificate::from_der(&der).map_err(|e| DirectoryError::BadCertificate(e.to_string()))?;
        let value = octets(&self.signature).ok_or(DirectoryError::SignatureEncoding)?;
        self.holds(certificate.public_key(), &value).map_err(DirectoryError::BadSignature)?;
        self.read(now)
    }

    fn holds(&self, key: &PublicKey, value: &[u8]) -> Result<(), CryptoError> {
        let verdict = key.verify(self.algorithm, &self.signed, value, EcdsaForm::Der);
        // Seen: X-Road's configuration proxy signs with an EC key on a hardware token as `r || s`.
        if verdict.is_err() && self.algorithm.scheme == Scheme::Ecdsa && matches!(value.len(), 64 | 96) {
            return key.verify(self.algorithm, &self.signed, value, EcdsaForm::Fixed);
        }
        verdict
    }

    /// Reads what is signed; only after the signature has been found to hold.
    fn read(&self, now: UnixTime) -> Result<Directory, DirectoryError> {
        let mut entries = split_parts(&self.signed, &self.boundary)?.parts.into_iter();
        let (head, rest) = split_head(entries.next().unwrap_or_default())?;
        let date = head.required("Expire-date")?;
        let expires = UnixTime::from_rfc3339(date)
            .ok_or_else(|| wrong("Expire-date", "a date and time with a zone", date))?;
        if now > expires {
            return Err(DirectoryError::Outdated { expires, now });
        }
        if rest.is_some_and(|body| !body.trim_ascii().is_empty()) {
            return Err(DirectoryError::Malformed("the first entry has a body"));
        }
        let version = match head.optional("Version") {
            None => super::VERSION_MIN,
            Some(text) => text
                .parse()
                .ok()
                .filter(|v| (super::VERSION_MIN..=super::VERSION_MAX).contains(v))
                .ok_or_else(|| wrong("Version", "2 to 6", text))?,
        };
        let (mut parts, mut seen) = (Vec::new(), BTreeSet::new());
        for entry in entries {
            let Some(part) = Part::read(entry)? else { continue };
            let path = layout::path_of(&part)?;
            if !seen.insert(path.clone()) {
                return Err(DirectoryError::PartTwice(path));
            }
            parts.push(part);
        }
        Ok(Directory { expires, version, parts })
    }
}

fn must_be_base64(head: &Head) -> Result<(), DirectoryError> {
    head.exactly("Content-type", "application/octet-stream")?;
    head.exactly("Content-transfer-encoding", "base64")
}

fn octets(base64: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = base64.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok()
}

/// A digest algorithm by its URI. Ours: SHA-1 and MD5, which X-Road 7.8 takes, bind nothing.
fn digest_algorithm(header: &'static str, uri: &str) -> Result<DigestAlgorithm, DirectoryError> {
    DigestAlgorithm::from_uri(uri)
        .filter(|a| *a != DigestAlgorithm::Sha1)
        .ok_or_else(|| wrong(header, "SHA-224, SHA-256, SHA-384 or SHA-512", uri))
}

fn digest(header: &'static str, base64: &str, algorithm: DigestAlgorithm) -> Result<Vec<u8>, DirectoryError> {
    octets(base64.as_bytes())
        .filter(|d| d.len() == algorithm.digest(&[]).len())
        .ok_or_else(|| wrong(header, "a digest of the algorithm's length, base64", base64))
}

impl Directory {
    /// The parts to take from a source of `instance`'s own, the shared and private parameters first; both must be there.
    ///
    /// Parts of other instances are passed over: those have anchors of their own.
    ///
    /// # Errors
    /// [`DirectoryError::MissingPart`].
    pub fn internal(&self, instance: &str) -> Result<Vec<&Part>, DirectoryError> {
        let mut taken = vec![
            self.part(instance, Content::Shared, "SHARED-PARAMETERS")?,
            self.part(instance, Content::Private, "PRIVATE-PARAMETERS")?,
        ];
        let optional = |p: &&Part| p.instance == instance && matches!(p.content, Content::Other(_));
        taken.extend(self.parts.iter().filter(optional));
        Ok(taken)
    }

    /// The one part to take from a source that another instance, `instance`, offers.
    ///
    /// # Errors
    /// [`DirectoryError::MissingPart`].
    pub fn external(&self, instance: &str) -> Result<&Part, DirectoryError> {
        self.part(instance, Content::Shared, "SHARED-PARAMETERS")
    }

    /// Refuses a source that offers private parameters, which no source for other instances may.
    ///
    /// For whoever takes a new federation's anchor; a source already taken has them passed over.
    ///
    /// # Errors
    /// [`DirectoryError::NotExternal`].
    pub fn must_be_external(&self) -> Result<(), DirectoryError> {
        match self.parts.iter().find(|p| p.content == Content::Private) {
            Some(part) => Err(DirectoryError::NotExternal { instance: part.instance.clone() }),
            None => Ok(()),
        }
    }

    fn part(
        &self,
        instance: &str,
        content: Content,
        expected: &'static str,
    ) -> Result<&Part, DirectoryError> {
        let found = self.parts.iter().find(|p| p.instance == instance && p.content == content);
        found.ok_or_else(|| DirectoryError::MissingPart { expected, instance: instance.to_owned() })
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

    /// Reads an entry; `None` for one that does not say what it is or whose, which is stored nowhere.
    fn read(entry: &[u8]) -> Result<Option<Self>, DirectoryError> {
        let (head, body) = split_head(entry)?;
        must_be_base64(&head)?;
        let location = head.required(LOCATION)?.to_owned();
        let algorithm = digest_algorithm(HASH_ALGORITHM, head.required(HASH_ALGORITHM)?)?;
        let body = body.and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
        let digest = digest("the body of an entry", body, algorithm)?;
        let Some(identifier) = head.optional(IDENTIFIER) else { return Ok(None) };
        let value = Value::read(identifier)?;
        let content = Content::from_text(&value.word);
        let instance = match value.parameter(IDENTIFIER, "instance") {
            Ok(instance) => instance.to_owned(),
            Err(_) if matches!(content, Content::Other(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let file_name = head.optional(FILE_NAME).filter(|n| !n.is_empty()).map(str::to_owned);
        Ok(Some(Self { content, instance, location, file_name, algorithm, digest }))
    }

    /// Holds bytes against the digest listed.
    ///
    /// # Errors
    /// [`DirectoryError::Digest`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), DirectoryError> {
        if self.algorithm.digest(bytes) == self.digest {
            Ok(())
        } else {
            Err(DirectoryError::Digest { location: self.location.clone() })
        }
    }

    /// Checks and reads a part of shared parameters, which must be of the instance listed.
    ///
    /// # Errors
    /// [`DirectoryError::Digest`], [`DirectoryError::Part`], [`DirectoryError::Instance`].
    pub fn shared(&self, bytes: &[u8], version: u8) -> Result<SharedParams, DirectoryError> {
        self.check(bytes)?;
        let read = SharedParams::from_xml(bytes, version).map_err(|e| self.because(e))?;
        self.must_be_of(&read.instance)?;
        Ok(read)
    }

    /// Checks and reads a part of private parameters, which must be of the instance listed.
    ///
    /// # Errors
    /// As [`Part::shared`].
    pub fn private(&self, bytes: &[u8], version: u8) -> Result<PrivateParams, DirectoryError> {
        self.check(bytes)?;
        let read = PrivateParams::from_xml(bytes, version).map_err(|e| self.because(e))?;
        self.must_be_of(&read.instance)?;
        Ok(read)
    }

    fn because(&self, source: ParamsError) -> DirectoryError {
        DirectoryError::Part { location: self.location.clone(), source }
    }

    fn must_be_of(&self, found: &str) -> Result<(), DirectoryError> {
        if found == self.instance {
            return Ok(());
        }
        Err(DirectoryError::Instance { expected: self.instance.clone(), found: found.to_owned() })
    }
}
