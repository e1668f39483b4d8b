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
//! | `ocsp.key.pem`, `ocsp.cert.pem` | what its OCSP responder signs with | call revoked certificates good |
//!
//! The machine that answers OCSP needs all but `ca.key.pem`.

use crate::index::{self, Index, IndexError, IndexWriter, Purpose, Reason, Record, Revocation};
use crate::key::{KeyError, KeySpec, PrivateKey};
use crate::naming::{NamingError, Subject};
use crate::pem;
use crate::request::AltName;
use crate::span::Span;
use crate::template::{
    BACKDATED, RcgenKey, SubjectKey, authority_params, authority_subject, calendar, key_identifier,
    new_serial, ocsp_access, use_for,
};
use saatkond_proto::crypto::{CryptoError, PublicKey};
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::profile::{Profile, ProfileError};
use saatkond_proto::trust::{Certificate, CertificateError, path};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The policy's file name.
const POLICY_FILE: &str = "ca.toml";
/// The certificate's file name.
const CERTIFICATE_FILE: &str = "ca.cert.pem";
/// The key's file name.
const KEY_FILE: &str = "ca.key.pem";
/// The OCSP responder's key.
pub(crate) const RESPONDER_KEY_FILE: &str = "ocsp.key.pem";
/// The OCSP responder's certificate.
pub(crate) const RESPONDER_CERTIFICATE_FILE: &str = "ocsp.cert.pem";

/// What an authority is and how it issues; the file `ca.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The form of this file: 1.
    pub version: u32,
    /// The authority's name, the `CN` of its certificate.
    pub name: String,
    /// Its organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Its country, two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// How its certificates name members: `FiVRK`, `Ejbca`, `Basic`, `BasicACME`, `Fo`, `Is` or `SkKlass3`.
    pub naming: String,
    /// What kind of key it and its responder get.
    pub key: KeySpec,
    /// Where its OCSP responder answers; written into every certificate.
    #[serde(default)]
    pub ocsp_urls: Vec<String>,
    /// How long certificates last.
    #[serde(default)]
    pub lasting: Lasting,
}

/// How long certificates last, by purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lasting {
    /// The authority's own.
    pub ca: Span,
    /// Authentication.
    pub auth: Span,
    /// Signing.
    pub sign: Span,
    /// OCSP responders: nobody revokes them, so they are short.
    pub ocsp: Span,
    /// Time-stamping authorities.
    pub tsa: Span,
    /// Web servers and information systems.
    pub tls: Span,
}

impl Default for Lasting {
    fn default() -> Self {
        Self {
            ca: Span::days(7300),
            auth: Span::days(730),
            sign: Span::days(730),
            ocsp: Span::days(365),
            tsa: Span::days(1825),
            tls: Span::days(730),
        }
    }
}

impl Lasting {
    const fn of(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Auth => self.auth.0,
            Purpose::Sign => self.sign.0,
            Purpose::Ocsp => self.ocsp.0,
            Purpose::Tsa => self.tsa.0,
            Purpose::Tls => self.tls.0,
            Purpose::Ca => self.ca.0,
        }
    }
}

impl Policy {
    /// A policy with the usual lifetimes, Finnish names and no OCSP address.
    pub fn new(name: impl Into<String>, key: KeySpec) -> Self {
        Self {
            version: 1,
            name: name.into(),
            organization: None,
            country: None,
            naming: crate::naming::short_name(Profile::FiVrk).to_owned(),
            key,
            ocsp_urls: Vec::new(),
            lasting: Lasting::default(),
        }
    }

    /// How its certificates name members.
    ///
    /// # Errors
    /// [`CaError::Policy`] for a name that is none.
    pub fn profile(&self) -> Result<Profile, CaError> {
        crate::naming::profile_by_name(&self.naming)
            .ok_or_else(|| CaError::Policy(format!("unknown naming {:?}", self.naming)))
    }
}

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
    /// The policy file.
    #[error("policy: {0}")]
    Policy(String),
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
    /// Makes a self-signed authority in a directory that does not exist yet, with its OCSP responder.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn create(directory: &Path, policy: Policy, now: UnixTime) -> Result<Self, CaError> {
        must_be_free(directory)?;
        policy.profile()?;
        let key = PrivateKey::generate(policy.key)?;
        let mut params = authority_params(&policy, now, now.plus(policy.lasting.of(Purpose::Ca)))?;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&new_serial()?));
        params.key_identifier_method = key_identifier(key.signing().public_key());
        let der = params.self_signed(&RcgenKey(key.signing()))?.der().to_vec();
        let certificate = Arc::new(Certificate::from_der(&der)?);
        Self::found(directory, policy, key, vec![certificate], now)
    }

    /// Makes an authority below `parent`, with its OCSP responder.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn create_below(
        directory: &Path,
        policy: Policy,
        parent: &mut Self,
        now: UnixTime,
    ) -> Result<Self, CaError> {
        must_be_free(directory)?;
        policy.profile()?;
        let key = PrivateKey::generate(policy.key)?;
        let order = Order {
            purpose: Purpose::Ca,
            spki: key.signing().spki().to_vec(),
            subject: authority_subject(&policy),
            names: Vec::new(),
            member: None,
            lasts: Some(policy.lasting.of(Purpose::Ca)),
        };
        let mut chain = vec![parent.issue(&order, now)?];
        chain.extend(parent.chain());
        Self::found(directory, policy, key, chain, now)
    }

    fn found(
        directory: &Path,
        policy: Policy,
        key: PrivateKey,
        chain: Vec<Arc<Certificate>>,
        now: UnixTime,
    ) -> Result<Self, CaError> {
        let file = |source| CaError::File { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(file)?;
        key.save(&directory.join(KEY_FILE))?;
        let text = toml::to_string(&policy).map_err(|e| CaError::Policy(e.to_string()))?;
        write(&directory.join(POLICY_FILE), text.as_bytes())?;
        let index = IndexWriter::create(directory)?;
        let pems: String = chain.iter().map(|c| pem::encode(pem::CERTIFICATE, c.der())).collect();
        write(&directory.join(CERTIFICATE_FILE), pems.as_bytes())?;
        let mut chain = chain.into_iter();
        let certificate = chain.next().ok_or_else(|| CaError::NotMade("no certificate".to_owned()))?;
        let mut authority =
            Self { directory: directory.to_owned(), policy, certificate, above: chain.collect(), key, index };
        authority.renew_responder(now)?;
        Ok(authority)
    }

    /// Opens the authority in `directory`; no other process may have it open.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn open(directory: &Path) -> Result<Self, CaError> {
        let policy = read_policy(directory)?;
        let mut chain = read_certificates(&directory.join(CERTIFICATE_FILE))?.into_iter();
        let certificate =
            chain.next().ok_or_else(|| CaError::NoCertificate { path: directory.join(CERTIFICATE_FILE) })?;
        let key = PrivateKey::open(&directory.join(KEY_FILE))?;
        if key.signing().public_key() != certificate.public_key() {
            return Err(CaError::Policy(format!("{KEY_FILE} is not the key of {CERTIFICATE_FILE}")));
        }
        let index = IndexWriter::open(directory)?;
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
        self.lint(&draft, order, now)?;

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
        self.lint(&certificate, order, now)?;
        certificate.verify_signed_by(&self.certificate)?;
        self.index.issued(&serial_text, certificate.der(), now)?;
        Ok(Arc::new(certificate))
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
                reason_code: Some(rcgen_reason(revocation.reason)),
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
        let key_path = self.directory.join(RESPONDER_KEY_FILE);
        let text = zeroize::Zeroizing::new(pem::encode(pem::PRIVATE_KEY, key.pkcs8()));
        index::replace_file(&key_path, text.as_bytes(), 0o600)
            .map_err(|source| CaError::File { path: key_path, source })?;
        let text = pem::encode(pem::CERTIFICATE, certificate.der());
        write(&self.directory.join(RESPONDER_CERTIFICATE_FILE), text.as_bytes())?;
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
        if !self.policy.ocsp_urls.is_empty() && order.purpose != Purpose::Ocsp {
            let access = ocsp_access(&self.policy.ocsp_urls);
            params
                .custom_extensions
                .push(rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access));
        }
        Ok(params)
    }

    /// Looks at a certificate as those will who are shown it.
    fn lint(&self, certificate: &Certificate, order: &Order, now: UnixTime) -> Result<(), CaError> {
        let refuse = |reason: String| Err(CaError::Lint(reason));
        if certificate.issuer() != self.certificate.subject() {
            return refuse("its issuer is not written as this authority's subject".to_owned());
        }
        if order.subject.is_empty() {
            return refuse("its subject is empty".to_owned());
        }
        if certificate.public_key() == self.certificate.public_key() {
            return refuse("its key is this authority's own".to_owned());
        }
        if !certificate.is_valid_at(now) {
            return refuse(format!(
                "it would not be valid now: {} to {}",
                certificate.not_before(),
                certificate.not_after()
            ));
        }
        if certificate.is_ca() != (order.purpose == Purpose::Ca) || certificate.has_unknown_critical() {
            return refuse("its constraints are not those of its purpose".to_owned());
        }
        let signs = path::is_signing(certificate).map_err(|e| CaError::Lint(e.to_string()))?;
        let authenticates = path::is_authentication(certificate).map_err(|e| CaError::Lint(e.to_string()))?;
        let right = match order.purpose {
            Purpose::Sign => signs && !authenticates,
            Purpose::Auth => authenticates && !signs && certificate.may_authenticate_client(),
            Purpose::Ocsp => certificate.may_sign_ocsp() && !signs,
            Purpose::Tsa => certificate.may_stamp_time() && !certificate.may_authenticate_client(),
            Purpose::Tls => !signs,
            Purpose::Ca => certificate.key_usage().is_some_and(|usage| usage.key_cert_sign()),
        };
        if !right {
            return refuse(format!("its key usage is not that of {}", order.purpose.name()));
        }
        let Some(member) = order.member.as_ref().filter(|_| order.purpose == Purpose::Sign) else {
            return Ok(());
        };
        let named = self.policy.profile()?.member_of(certificate, member).map_err(lint_profile)?;
        if named == *member {
            Ok(())
        } else {
            refuse(format!("its subject names {named}, expected {member}"))
        }
    }
}

/// An authority is never made where there is one, nor where half of one is.
fn must_be_free(directory: &Path) -> Result<(), CaError> {
    if [CERTIFICATE_FILE, KEY_FILE].iter().any(|name| directory.join(name).exists()) {
        Err(CaError::Exists(directory.to_owned()))
    } else {
        Ok(())
    }
}

fn lint_profile(error: ProfileError) -> CaError {
    CaError::Lint(error.to_string())
}

/// Reads the policy of the authority in `directory`.
///
/// # Errors
/// [`CaError::File`], [`CaError::Policy`].
pub fn read_policy(directory: &Path) -> Result<Policy, CaError> {
    let path = directory.join(POLICY_FILE);
    let text = std::fs::read_to_string(&path).map_err(|source| CaError::File { path, source })?;
    let policy: Policy = toml::from_str(&text).map_err(|e| CaError::Policy(e.to_string()))?;
    if policy.version != 1 {
        return Err(CaError::Policy(format!("version {} is not known, expected 1", policy.version)));
    }
    policy.profile()?;
    Ok(policy)
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

fn rcgen_reason(reason: Reason) -> rcgen::RevocationReason {
    match reason {
        Reason::Unspecified => rcgen::RevocationReason::Unspecified,
        Reason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
        Reason::CaCompromise => rcgen::RevocationReason::CaCompromise,
        Reason::AffiliationChanged => rcgen::RevocationReason::AffiliationChanged,
        Reason::Superseded => rcgen::RevocationReason::Superseded,
        Reason::CessationOfOperation => rcgen::RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => rcgen::RevocationReason::PrivilegeWithdrawn,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CaError> {
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
