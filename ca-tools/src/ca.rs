//! A certification authority: lint with a throw-away key, record the serial, then sign.
//!
//! An authority is a directory:
//!
//! | file | what it is | what its thief could do |
//! |---|---|---|
//! | `ca.toml` | the policy: its name, how it names members, how long certificates last | read it |
//! | `ca.cert.pem` | its certificate, followed by those of the authorities above it | read it |
//! | `ca.key.pem` | its key | be the authority |
//! | `index.jsonl` | every serial and what became of it | nothing; who can write it can un-revoke |
//! | `ocsp.key.pem`, `ocsp.cert.pem` | what its OCSP responder signs with (`responder` tells how they are replaced) | call revoked certificates good |
//!
//! The machine that answers OCSP needs all but `ca.key.pem`.

use crate::index::{self, Index, IndexError, IndexWriter, Purpose, Reason, Record, Revocation};
use crate::key::{KeyError, KeySpec, PrivateKey};
use crate::lint::lint;
use crate::naming::{NamingError, Subject};
use crate::pem;
use crate::policy::PolicyError;
use crate::request::{self, AltName};
use crate::responder;
use crate::template::{
    BACKDATED, RcgenKey, SubjectKey, authority_params, calendar, key_identifier, new_serial, point_out,
    use_for,
};
use saatkond_proto::crypto::{CryptoError, PublicKey};
use saatkond_proto::der::DerError;
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::{Certificate, CertificateError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use crate::policy::Policy;

/// The policy's file name.
pub(crate) const POLICY_FILE: &str = "ca.toml";
/// The certificate's file name.
pub(crate) const CERTIFICATE_FILE: &str = "ca.cert.pem";
/// The key's file name.
pub(crate) const KEY_FILE: &str = "ca.key.pem";
/// The OCSP responder's key.
pub(crate) const RESPONDER_KEY_FILE: &str = "ocsp.key.pem";
/// The OCSP responder's certificate.
pub(crate) const RESPONDER_CERTIFICATE_FILE: &str = "ocsp.cert.pem";

/// What is to be issued.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the certificate is for.
    pub purpose: Purpose,
    /// Whose key, a `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    /// Whose certificate.
    pub subject: Subject,
    /// Host names and addresses.
    pub names: Vec<AltName>,
    /// The member that a sign certificate must name when it is read back.
    pub member: Option<MemberId>,
    /// How long it lasts; what the policy says when not told.
    pub lasts: Option<Duration>,
}

/// A certificate that is not issued, an authority that does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The directory is in use.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The directory's key and certificate do not go together.
    #[error("{key} is not the key of {certificate}")]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The disk.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that holds no certificate.
    #[error("{path} holds no certificate that can be read")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A subject.
    #[error(transparent)]
    Naming(#[from] NamingError),
    /// A certificate of ours that cannot be read any more.
    #[error("certificate that is to be renewed: {0}")]
    Der(#[from] DerError),
    /// The key to certify, or a signature.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The certificate was not written.
    #[error("certificate was not made: {0}")]
    NotMade(String),
    /// The certificate would break a rule; nothing was signed with the authority's key.
    #[error("certificate is not issued: {0}")]
    Lint(String),
    /// A serial that this authority did not issue.
    #[error("this authority issued no certificate with serial {0}")]
    UnknownSerial(String),
    /// A certificate that is not issued anew.
    #[error("certificate {serial} is not renewed: {reason}")]
    NotRenewed {
        /// Its serial.
        serial: String,
        /// Why.
        reason: &'static str,
    },
    /// A certificate that counts no more already.
    #[error("certificate {serial} is revoked since {since}")]
    AlreadyRevoked {
        /// Its serial.
        serial: String,
        /// Since when.
        since: UnixTime,
    },
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::NotMade(error.to_string())
    }
}

impl From<CertificateError> for CaError {
    fn from(error: CertificateError) -> Self {
        Self::Lint(error.to_string())
    }
}

/// An authority, opened to issue and revoke.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    policy: Policy,
    certificate: Arc<Certificate>,
    above: Vec<Arc<Certificate>>,
    key: PrivateKey,
    index: IndexWriter,
}

impl Authority {
    /// Opens the authority in `directory`; while this lives nobody else does.
    ///
    /// # Errors
    /// [`IndexError::Locked`] at once when another process has it open; [`CaError`].
    pub fn open(directory: &Path) -> Result<Self, CaError> {
        Self::open_within(directory, Duration::ZERO)
    }

    /// The same, and waits so long for others who are at work on it.
    ///
    /// What a crash left half done is brought to its end or taken away.
    ///
    /// # Errors
    /// [`IndexError::Locked`] when another process had it open all the time; [`CaError`].
    pub fn open_within(directory: &Path, patience: Duration) -> Result<Self, CaError> {
        let policy = read_policy(directory)?;
        let index = IndexWriter::open_within(directory, patience)?;
        let certificate_path = directory.join(CERTIFICATE_FILE);
        let mut chain = read_certificates(&certificate_path)?.into_iter();
        let certificate =
            chain.next().ok_or_else(|| CaError::NoCertificate { path: certificate_path.clone() })?;
        let key = PrivateKey::open(&directory.join(KEY_FILE))?;
        if key.signing().public_key() != certificate.public_key() {
            return Err(CaError::OtherKey { key: directory.join(KEY_FILE), certificate: certificate_path });
        }
        responder::settle(directory)?;
        Ok(Self { directory: directory.to_owned(), policy, certificate, above: chain.collect(), key, index })
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Its certificate and those of the authorities above it, the topmost last.
    #[must_use]
    pub fn chain(&self) -> Vec<Arc<Certificate>> {
        std::iter::once(&self.certificate).chain(&self.above).cloned().collect()
    }

    /// Its policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Every serial it used.
    #[must_use]
    pub const fn index(&self) -> &Index {
        self.index.index()
    }

    /// Issues a certificate: writes it with a throw-away key and looks at it, records the serial, signs, looks again.
    ///
    /// It never outlives the authority's own certificate.
    ///
    /// # Errors
    /// [`CaError::Lint`] names the rule it would break; then nothing was signed. [`CaError`].
    pub fn issue(&mut self, order: &Order, now: UnixTime) -> Result<Arc<Certificate>, CaError> {
        let lasts = order.lasts.unwrap_or_else(|| self.policy.lasting.of(order.purpose));
        let not_after = now.plus(lasts).min(self.certificate.not_after());
        let serial = self.fresh_serial()?;
        let mut params = self.params(order, now, not_after)?;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let key = SubjectKey::read(&order.spki)?;

        let throw_away = PrivateKey::generate(KeySpec::P256)?;
        let draft = self.sign(&params, &key, &throw_away)?;
        lint(&draft, order, &self.certificate, &self.policy, now)?;

        let serial_text = hex(&serial);
        self.index.reserve(&Record {
            serial: serial_text.clone(),
            purpose: order.purpose,
            subject: order.subject.to_string(),
            reserved_at: now,
            not_after,
            certificate: None,
            revoked: None,
        })?;
        let certificate = self.sign(&params, &key, &self.key)?;
        lint(&certificate, order, &self.certificate, &self.policy, now)?;
        certificate.verify_signed_by(&self.certificate)?;
        self.index.issued(&serial_text, certificate.der(), now)?;
        Ok(Arc::new(certificate))
    }

    /// Issues a certificate anew: the same purpose, subject and names, for the same key or for the one of `spki`, with
    /// a serial and a time of its own. The earlier one stays good.
    ///
    /// # Errors
    /// [`CaError::UnknownSerial`]; [`CaError::NotRenewed`] for one that was revoked or never issued; those of
    /// [`Authority::issue`].
    pub fn renew(
        &mut self,
        serial: &str,
        spki: Option<Vec<u8>>,
        lasts: Option<Duration>,
        now: UnixTime,
    ) -> Result<Arc<Certificate>, CaError> {
        let serial = normal_serial(serial);
        let record = self.index().record(&serial).ok_or_else(|| CaError::UnknownSerial(serial.clone()))?;
        let refuse = |reason| CaError::NotRenewed { serial: serial.clone(), reason };
        let der = match (&record.certificate, record.revoked) {
            (Some(der), None) => der,
            (Some(_), Some(_)) => return Err(refuse("it was revoked")),
            (None, _) => return Err(refuse("it was never issued")),
        };
        let earlier = Certificate::from_der(der)?;
        let order = Order {
            purpose: record.purpose,
            spki: spki.map_or_else(|| request::spki_of(der), Ok)?,
            subject: Subject::from_der(earlier.subject())?,
            names: request::names_of(der)?,
            // the subject is the same, and was looked at when it was first issued
            member: None,
            lasts,
        };
        self.issue(&order, now)
    }

    /// Revokes a certificate by its serial in hexadecimal, since `at`.
    ///
    /// # Errors
    /// [`CaError::UnknownSerial`], [`CaError::AlreadyRevoked`], [`CaError::Index`].
    pub fn revoke(
        &mut self,
        serial: &str,
        reason: Reason,
        at: UnixTime,
        now: UnixTime,
    ) -> Result<(), CaError> {
        let serial = normal_serial(serial);
        let record = self.index().record(&serial).ok_or_else(|| CaError::UnknownSerial(serial.clone()))?;
        if let Some(revocation) = record.revoked {
            return Err(CaError::AlreadyRevoked { serial, since: revocation.at });
        }
        self.index.revoke(&serial, Revocation { at, reason }, now)?;
        Ok(())
    }

    /// Makes and signs the list of revoked certificates, DER.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn revocation_list(&mut self, now: UnixTime, lasts: Duration) -> Result<Vec<u8>, CaError> {
        let number = self.index.next_crl(now)?;
        let issuer = self.issuer(&self.key)?;
        let mut revoked = Vec::new();
        for record in self.index().records() {
            let Some(revocation) = record.revoked else { continue };
            revoked.push(rcgen::RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(&unhex(&record.serial)),
                revocation_time: calendar(revocation.at)?,
                reason_code: rcgen_reason(revocation.reason),
                invalidity_date: None,
            });
        }
        let list = rcgen::CertificateRevocationListParams {
            this_update: calendar(now)?,
            next_update: calendar(now.plus(lasts))?,
            crl_number: rcgen::SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: key_identifier(self.certificate.public_key()),
        };
        Ok(list.signed_by(&issuer)?.der().to_vec())
    }

    /// Makes a new key and certificate for its OCSP responder, in place of those there may be.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn renew_responder(&mut self, now: UnixTime) -> Result<Arc<Certificate>, CaError> {
        let key = PrivateKey::generate(self.policy.key)?;
        let name = format!("{} OCSP", self.policy.name);
        let (country, organization) = (self.policy.country.as_deref(), self.policy.organization.as_deref());
        let order = Order {
            purpose: Purpose::Ocsp,
            spki: key.signing().spki().to_vec(),
            subject: Subject::named(country, organization, &name),
            names: Vec::new(),
            member: None,
            lasts: None,
        };
        let certificate = self.issue(&order, now)?;
        responder::put(&self.directory, &key, &certificate)?;
        Ok(certificate)
    }

    fn fresh_serial(&self) -> Result<[u8; 16], CaError> {
        loop {
            let serial = new_serial()?;
            if self.index().record(&hex(&serial)).is_none() {
                return Ok(serial);
            }
        }
    }

    fn issuer<'k>(&self, key: &'k PrivateKey) -> Result<rcgen::Issuer<'static, RcgenKey<'k>>, CaError> {
        let der = self.certificate.der().to_vec();
        Ok(rcgen::Issuer::from_ca_cert_der(&der.into(), RcgenKey(key.signing()))?)
    }

    fn sign(
        &self,
        params: &rcgen::CertificateParams,
        key: &SubjectKey,
        with: &PrivateKey,
    ) -> Result<Certificate, CaError> {
        let signed = params.signed_by(key, &self.issuer(with)?)?;
        Ok(Certificate::from_der(signed.der())?)
    }

    fn params(
        &self,
        order: &Order,
        now: UnixTime,
        not_after: UnixTime,
    ) -> Result<rcgen::CertificateParams, CaError> {
        let mut params = if order.purpose == Purpose::Ca {
            authority_params(&self.policy, now, not_after)?
        } else {
            let mut params = rcgen::CertificateParams::default();
            params.is_ca = rcgen::IsCa::ExplicitNoCa;
            use_for(&mut params, order.purpose);
            params
        };
        params.not_before = calendar(now.minus(BACKDATED).max(self.certificate.not_before()))?;
        params.not_after = calendar(not_after)?;
        params.distinguished_name = order.subject.to_rcgen()?;
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = key_identifier(&PublicKey::from_spki(&order.spki)?);
        for name in &order.names {
            params.subject_alt_names.push(match name {
                AltName::Dns(dns) => rcgen::SanType::DnsName(dns.as_str().try_into().map_err(|_| {
                    CaError::Lint(format!(
                        "host name {dns:?} is not written in ASCII, as certificates want it"
                    ))
                })?),
                AltName::Ip(ip) => rcgen::SanType::IpAddress(*ip),
            });
        }
        // nobody asks about the one who answers
        if order.purpose != Purpose::Ocsp {
            point_out(&mut params, &self.policy);
        }
        Ok(params)
    }
}

/// Reads the policy of the authority in `directory`.
///
/// # Errors
/// [`CaError::Policy`].
pub fn read_policy(directory: &Path) -> Result<Policy, CaError> {
    Ok(Policy::read(&directory.join(POLICY_FILE))?)
}

/// The certificate of the authority in `directory` and those above it, without opening it to issue.
///
/// # Errors
/// [`CaError::File`], [`CaError::NoCertificate`].
pub fn read_chain(directory: &Path) -> Result<Vec<Arc<Certificate>>, CaError> {
    read_certificates(&directory.join(CERTIFICATE_FILE))
}

/// Reads all certificates of a PEM file, or the one of a DER file; at least one.
///
/// # Errors
/// [`CaError::File`], [`CaError::NoCertificate`].
pub fn read_certificates(path: &Path) -> Result<Vec<Arc<Certificate>>, CaError> {
    let bytes = std::fs::read(path).map_err(|source| CaError::File { path: path.to_owned(), source })?;
    let none = || CaError::NoCertificate { path: path.to_owned() };
    let ders = if bytes.first() == Some(&0x30) {
        vec![bytes]
    } else {
        pem::decode_all(pem::CERTIFICATE, &String::from_utf8_lossy(&bytes))
    };
    let certificates: Result<Vec<_>, _> =
        ders.iter().map(|der| Certificate::from_der(der).map(Arc::new)).collect();
    certificates.ok().filter(|list| !list.is_empty()).ok_or_else(none)
}

/// Spec: RFC 5280 5.3.1: a reason that is not told is left out.
const fn rcgen_reason(reason: Reason) -> Option<rcgen::RevocationReason> {
    Some(match reason {
        Reason::Unspecified => return None,
        Reason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
        Reason::CaCompromise => rcgen::RevocationReason::CaCompromise,
        Reason::AffiliationChanged => rcgen::RevocationReason::AffiliationChanged,
        Reason::Superseded => rcgen::RevocationReason::Superseded,
        Reason::CessationOfOperation => rcgen::RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => rcgen::RevocationReason::PrivilegeWithdrawn,
    })
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CaError> {
    index::replace_file(path, bytes, 0o644).map_err(|source| CaError::File { path: path.to_owned(), source })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |value, digit| value * 16 + digit)).ok())
        .collect()
}

/// A serial as people type it: colons, blanks, `0x` and capitals are theirs.
pub(crate) fn normal_serial(text: &str) -> String {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    plain.strip_prefix("0x").unwrap_or(&plain).to_owned()
}
