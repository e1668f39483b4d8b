//! Private keys: nothing else ever sees one.
//!
//! What goes in is bytes to sign, what comes out is a value. Which key is used for what is decided here too, from the
//! certificates that stand beside it and what the instance and its authorities say of them.
//!
//! | file | what it holds |
//! |---|---|
//! | `index` | `keys.toml`, and the files it names |
//! | [`token`] | the key directory as its operator changes it |
//! | [`pin`] | PINs, and keys encrypted under them |
//! | [`import`] | which certificates are taken |
//! | `signing` | the threads that sign |
//! | `operator` | the key of an operator, who orders changes of authority |
//!
//! Store: `keys/keys.toml` names the keys, `*.pem` hold them. Trusted: its thief signs in this organisation's name
//! until the certificates are revoked.

pub mod import;
mod index;
mod operator;
pub mod pin;
mod signing;
pub mod token;

pub use index::Usage;
pub use operator::OperatorKey;

use crate::conf::source::Source;
use arc_swap::ArcSwap;
use pin::PinSource;
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use saatkond_proto::crypto::{CryptoError, DigestAlgorithm, Scheme, SignatureAlgorithm};
use saatkond_proto::globalconf::lookup::GlobalConf;
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::signature::{PartDigest, SignatureParts, SignerMaterial};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::{self, Response, Status};
use saatkond_proto::trust::path;
use saatkond_proto::trust::{ApprovedCa, Certificate};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// OCSP responses that are kept, by SHA-256 of the certificate they speak of. A set is never changed: jobs make new ones.
#[derive(Debug, Clone, Default)]
pub struct Statuses(HashMap<Vec<u8>, Arc<Response>>);

impl Statuses {
    /// The response kept for this certificate, whatever it says.
    #[must_use]
    pub fn of(&self, certificate: &Certificate) -> Option<&Arc<Response>> {
        self.0.get(certificate.sha256())
    }

    /// Puts a response in the place of an earlier one.
    pub fn insert(&mut self, certificate: &Certificate, response: Arc<Response>) {
        self.0.insert(certificate.sha256().to_vec(), response);
    }
}

/// All private keys of this gateway. Cheap to clone: all clones take a change of the directory over at once.
#[derive(Clone)]
pub struct Keys(Arc<Room>);

struct Room {
    dir: PathBuf,
    batch_max: usize,
    pins: PinSource,
    shelf: ArcSwap<Shelf>,
    /// Of each registered authentication certificate, by SHA-256: when the configuration expires in which its registration
    /// was seen first. From then on everybody knows it.
    known_to_all: Mutex<HashMap<Vec<u8>, UnixTime>>,
}

/// The keys as they were read, whole.
struct Shelf {
    keys: Vec<Kept>,
    demo: bool,
    /// The files that were read, as they looked.
    sources: Vec<Source>,
}

/// Keys that were read again and are not in use yet.
pub struct Fresh(Shelf);

impl Fresh {
    /// Whether these are a demonstration's keys, which serve on loopback only.
    #[must_use]
    pub const fn are_a_demonstration(&self) -> bool {
        self.0.demo
    }

    /// Whether there is a key that information systems can meet over HTTPS.
    #[must_use]
    pub fn has_internal_tls(&self) -> bool {
        self.0.keys.iter().any(|kept| matches!(kept.does, Does::InternalTls(_)))
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh")
    }
}

/// One key and its certificate.
struct Kept {
    file: PathBuf,
    certificate: Arc<Certificate>,
    /// All certificates of the file: the key's own first.
    chain: Vec<CertificateDer<'static>>,
    does: Does,
    /// Whether its file is encrypted.
    is_sealed: bool,
}

/// What a key does, and so in what form it is held.
enum Does {
    Authenticate(Arc<dyn rustls::sign::SigningKey>),
    Sign(Arc<signing::Bench>),
    InternalTls(Arc<dyn rustls::sign::SigningKey>),
}

/// Keys that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it must be.
    #[error("{}: {text}", file.display())]
    Malformed {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// Others than its owner may read a private key.
    #[error("{} may be read by others than its owner (mode {mode:03o}), expected 600", file.display())]
    Exposed {
        /// Which.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key is encrypted, and nothing tells its PIN.
    #[error("{} is encrypted, and there is no PIN for it", file.display())]
    NoPin {
        /// Which.
        file: PathBuf,
    },
    /// A PIN does not open a key.
    #[error("the PIN from {place} does not open {}", file.display())]
    WrongPin {
        /// Which key.
        file: PathBuf,
        /// From where the PIN is.
        place: String,
    },
    /// A key was not encrypted.
    #[error("a key could not be encrypted")]
    Unsealed,
}

/// A purpose for which no key serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key serves as {purpose}: {}", reasons.join("; "))]
pub struct NoKey {
    /// What it was wanted for.
    pub purpose: String,
    /// Why each candidate does not serve; a single sentence when there is no candidate.
    pub reasons: Vec<String>,
}

/// A message that was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The message cannot be signed as it is.
    #[error(transparent)]
    Prepare(#[from] saatkond_proto::signature::PrepareError),
    /// The key did not sign.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The signing thread is gone.
    #[error("the signing thread has ended")]
    Ended,
}

/// Our authentication key, ready for TLS, with what proves it.
pub struct AuthKey {
    /// Its certificate.
    pub certificate: Arc<Certificate>,
    /// What is sent in TLS: the certificate and the authorities above it, without the topmost.
    pub chain: Vec<Arc<Certificate>>,
    /// Good responses for each of the chain, in its order: they ride in every request.
    pub responses: Vec<Arc<Response>>,
    /// The key with the chain, as rustls takes it.
    pub certified: Arc<CertifiedKey>,
    /// Last moment at which all of this holds.
    pub good_until: UnixTime,
}

impl AuthKey {
    /// Signs bytes that another site will read; an ECDSA value as DER.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, bytes: &[u8]) -> Result<(SignatureAlgorithm, Vec<u8>), SignError> {
        let offered: Vec<SignatureScheme> = NOTE_SCHEMES.iter().map(|(scheme, ..)| *scheme).collect();
        let signer = self.certified.key.choose_scheme(&offered).ok_or(CryptoError::SigningFailed)?;
        let chosen = NOTE_SCHEMES.iter().find(|(scheme, ..)| *scheme == signer.scheme());
        let (_, scheme, digest) = *chosen.ok_or(CryptoError::SigningFailed)?;
        let value = signer.sign(bytes).map_err(|_| CryptoError::SigningFailed)?;
        Ok((SignatureAlgorithm { scheme, digest }, value))
    }
}

/// How authentication keys sign outside TLS.
const NOTE_SCHEMES: [(SignatureScheme, Scheme, DigestAlgorithm); 3] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, Scheme::Ecdsa, DigestAlgorithm::Sha256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, Scheme::Ecdsa, DigestAlgorithm::Sha384),
    (SignatureScheme::RSA_PKCS1_SHA256, Scheme::RsaPkcs1, DigestAlgorithm::Sha256),
];

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKey({:?}, good until {})", self.certificate, self.good_until)
    }
}

/// A member's sign key, with what goes into its signatures.
#[derive(Clone)]
pub struct Signer {
    /// Whose it is.
    pub member: MemberId,
    /// Certificate, intermediates, OCSP responses.
    pub material: Arc<SignerMaterial>,
    /// How it signs.
    pub algorithm: SignatureAlgorithm,
    /// Last moment at which all of this holds.
    pub good_until: UnixTime,
    /// The thread of its key: it stays while somebody signs with it, also when the key is used no more.
    bench: Arc<signing::Bench>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, {:?}, good until {})", self.member, self.material.certificate, self.good_until)
    }
}

impl Keys {
    /// Opens `dir`: reads the index, every key and every certificate, and starts a signing thread for each sign key.
    /// `batch_max` messages at most share one signature; encrypted keys are opened with a PIN of `pins`.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn open(dir: &Path, batch_max: usize, pins: &PinSource) -> Result<Self, KeysError> {
        let shelf = ArcSwap::from_pointee(Shelf::read(dir, batch_max, pins)?);
        // Who runs unattended asks nobody.
        let (dir, pins) = (dir.to_owned(), pins.without_asking());
        Ok(Self(Arc::new(Room { dir, batch_max, pins, shelf, known_to_all: Mutex::default() })))
    }

    /// Reads the directory again, if it looks otherwise than when it was read; `None` if it does not.
    ///
    /// # Errors
    /// [`KeysError`]: then the keys in use stay as they are.
    pub fn reread(&self) -> Result<Option<Fresh>, KeysError> {
        if self.0.shelf.load().sources.iter().all(Source::is_as_read) {
            return Ok(None);
        }
        Shelf::read(&self.0.dir, self.0.batch_max, &self.0.pins).map(Fresh).map(Some)
    }

    /// Takes keys into use that were read again, in the place of all others. Who signs with one of those goes on to the end.
    pub fn take(&self, fresh: Fresh) {
        self.0.shelf.store(Arc::new(fresh.0));
    }

    /// Chooses the authentication key: registered for `server`, valid, its whole path good by OCSP, and of such the newest.
    ///
    /// One that was registered a moment ago is not known to others yet, who may hold an earlier configuration: while another
    /// serves, that one is used until the configuration has expired in which the newer one was seen first.
    ///
    /// Spec: message-path §2.2 end.
    ///
    /// # Errors
    /// [`NoKey`] with what is wrong with each candidate.
    pub fn auth(
        &self,
        server: &ServerId,
        conf: &GlobalConf,
        statuses: &Statuses,
        at: UnixTime,
    ) -> Result<AuthKey, NoKey> {
        let (shelf, mut reasons, mut serving) = (self.0.shelf.load_full(), Vec::new(), Vec::new());
        for kept in shelf.newest_first() {
            let Does::Authenticate(key) = &kept.does else { continue };
            match kept.as_auth(key, server, &Belief { conf, statuses, at }) {
                Ok(auth) => serving.push(auth),
                Err(reason) => reasons.push(kept.refused(&reason)),
            }
        }
        let known = self.known_to_all(&serving, conf, at);
        let chosen = known.or_else(|| serving.len().checked_sub(1));
        match chosen.filter(|place| *place < serving.len()) {
            Some(place) => Ok(serving.swap_remove(place)),
            None => Err(NoKey::of(format!("authentication key of {server}"), reasons)),
        }
    }

    /// The place of the first of these keys whose registration everybody knows.
    fn known_to_all(&self, serving: &[AuthKey], conf: &GlobalConf, at: UnixTime) -> Option<usize> {
        let mut known = self.0.known_to_all.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|sha256, _| serving.iter().any(|auth| auth.certificate.sha256() == sha256));
        let mut first = None;
        for (place, auth) in serving.iter().enumerate() {
            let since = *known.entry(auth.certificate.sha256().to_vec()).or_insert(conf.expires());
            if since < at && first.is_none() {
                first = Some(place);
            }
        }
        first
    }

    /// Chooses the sign key of `member`: its certificate names the member, is valid, its whole path good by OCSP; of such
    /// the newest.
    ///
    /// Spec: message-path §3.1.
    ///
    /// # Errors
    /// [`NoKey`] with what is wrong with each candidate.
    pub fn signer(
        &self,
        member: &MemberId,
        conf: &GlobalConf,
        statuses: &Statuses,
        at: UnixTime,
    ) -> Result<Signer, NoKey> {
        let (shelf, mut reasons) = (self.0.shelf.load_full(), Vec::new());
        for kept in shelf.newest_first() {
            let Does::Sign(bench) = &kept.does else { continue };
            match kept.as_signer(bench, member, &Belief { conf, statuses, at }) {
                Ok(signer) => return Ok(signer),
                Err(reason) => reasons.push(kept.refused(&reason)),
            }
        }
        Err(NoKey::of(format!("sign key of {member}"), reasons))
    }

    /// Signs one message of `signer`, off the async threads; together with others that wait, where that is allowed.
    ///
    /// # Errors
    /// [`SignError`].
    ///
    /// # Cancel safety
    /// A dropped call may still be signed; the value goes nowhere.
    pub async fn sign(
        &self,
        signer: &Signer,
        parts: Vec<PartDigest>,
        at: UnixTime,
    ) -> Result<SignatureParts, SignError> {
        signer.bench.sign(signer, parts, at).await
    }

    /// The key and certificate that information systems meet on the HTTPS port; `None` when none is kept.
    #[must_use]
    pub fn internal_tls(&self) -> Option<Arc<CertifiedKey>> {
        self.0.shelf.load().keys.iter().find_map(|kept| match &kept.does {
            Does::InternalTls(key) => Some(Arc::new(CertifiedKey::new(kept.chain.clone(), Arc::clone(key)))),
            Does::Sign(_) | Does::Authenticate(_) => None,
        })
    }

    /// The certificates of authentication and sign keys: those whose OCSP responses are fetched.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        let shelf = self.0.shelf.load();
        let with_status = shelf.keys.iter().filter(|kept| !matches!(kept.does, Does::InternalTls(_)));
        with_status.map(|kept| Arc::clone(&kept.certificate)).collect()
    }

    /// How many of the keys lie on disk without encryption.
    #[must_use]
    pub fn unencrypted(&self) -> usize {
        self.0.shelf.load().keys.iter().filter(|kept| !kept.is_sealed).count()
    }

    /// Whether these are a demonstration's keys, which serve on loopback only.
    #[must_use]
    pub fn are_a_demonstration(&self) -> bool {
        self.0.shelf.load().demo
    }
}

impl Shelf {
    fn read(dir: &Path, batch_max: usize, pins: &PinSource) -> Result<Self, KeysError> {
        // How a file looks is noted before it is read: what changes meanwhile is seen the next time.
        let mut sources = vec![index::source(&dir.join(index::FILE))?];
        let index = index::read(dir)?;
        let mut keys = Vec::new();
        for key in index.keys.iter().filter(|key| key.active) {
            sources.push(index::source(&key.key_file(dir)?)?);
            sources.push(index::source(&key.certificate_file(dir)?)?);
            keys.push(index::open(dir, key, batch_max, pins)?);
        }
        Ok(Self { keys, demo: index.demo, sources })
    }

    /// All keys, those with the newest certificates first; of equally new ones the last in the index.
    fn newest_first(&self) -> Vec<&Kept> {
        let mut keys: Vec<&Kept> = self.keys.iter().rev().collect();
        keys.sort_by_key(|kept| std::cmp::Reverse(kept.certificate.not_before()));
        keys
    }
}

/// What a key is held against.
struct Belief<'a> {
    conf: &'a GlobalConf,
    statuses: &'a Statuses,
    at: UnixTime,
}

impl Belief<'_> {
    /// Good responses for a certificate and each authority above it but the topmost, and until when all of it holds.
    fn responses(
        &self,
        chain: &[Arc<Certificate>],
        cas: &[ApprovedCa],
    ) -> Result<(Vec<Arc<Response>>, UnixTime), String> {
        let (policy, listed) = (self.conf.ocsp_policy(), self.conf.all_cas());
        let mut responses = Vec::new();
        let mut until = UnixTime::from_millis(i64::MAX);
        for certificate in chain {
            let subject = certificate.subject_text();
            let issuer = issuer_of(certificate, cas)
                .ok_or_else(|| format!("no approved authority issued {subject}"))?;
            if !certificate.is_valid_at(self.at) {
                let (from, to) = (certificate.not_before(), certificate.not_after());
                return Err(format!("{subject} is valid from {from} to {to}"));
            }
            let response = self
                .statuses
                .of(certificate)
                .ok_or_else(|| format!("no OCSP response is kept for certificate {subject}"))?;
            ocsp::verify(response, certificate, issuer, &listed, &policy, self.at)
                .map_err(|e| e.to_string())?;
            match response.status() {
                Status::Good => {}
                Status::Revoked { at } => return Err(format!("{subject} was revoked at {at}")),
                Status::Unknown => return Err(format!("the authority does not know {subject}")),
            }
            until = until.min(certificate.not_after()).min(response.this_update().plus(policy.freshness));
            if let Some(next) = response.next_update().filter(|_| policy.check_next_update) {
                until = until.min(next);
            }
            responses.push(Arc::clone(response));
        }
        Ok((responses, until))
    }
}

/// The approved authority that issued `certificate`: by name, and by its signature.
pub(crate) fn issuer_of<'a>(certificate: &Certificate, cas: &'a [ApprovedCa]) -> Option<&'a Certificate> {
    cas.iter()
        .flat_map(ApprovedCa::services)
        .map(|service| &*service.certificate)
        .find(|ca| certificate.names_issuer(ca) && certificate.verify_signed_by(ca).is_ok())
}

impl Kept {
    fn as_auth(
        &self,
        key: &Arc<dyn rustls::sign::SigningKey>,
        server: &ServerId,
        belief: &Belief<'_>,
    ) -> Result<AuthKey, String> {
        match belief.conf.server_by_auth_cert(self.certificate.der()) {
            Some(registered) if registered.id == *server => {}
            Some(registered) => {
                return Err(format!("is registered for {}, expected {server}", registered.id));
            }
            None => return Err("is not registered with the instance".to_owned()),
        }
        if !path::is_authentication(&self.certificate).map_err(|e| e.to_string())? {
            return Err("may not authenticate: neither clientAuth nor a key usage that allows it".to_owned());
        }
        let cas = belief.conf.approved_cas(&server.owner.instance);
        let chain = path::own_chain(&self.certificate, cas);
        // As the provider will judge it: each certificate sent needs a response in the message.
        path::of_peer(&chain, cas, belief.at).map_err(|e| e.to_string())?;
        let (responses, good_until) = belief.responses(&chain, cas)?;
        let sent = chain.iter().map(|c| CertificateDer::from(c.der().to_vec())).collect();
        let certified = Arc::new(CertifiedKey::new(sent, Arc::clone(key)));
        Ok(AuthKey { certificate: Arc::clone(&self.certificate), chain, responses, certified, good_until })
    }

    fn as_signer(
        &self,
        bench: &Arc<signing::Bench>,
        member: &MemberId,
        belief: &Belief<'_>,
    ) -> Result<Signer, String> {
        if !path::is_signing(&self.certificate).map_err(|e| e.to_string())? {
            return Err("may not sign: its key usage lacks nonRepudiation".to_owned());
        }
        let cas = belief.conf.approved_cas(&member.instance);
        let judged = path::for_signing(&self.certificate, &[], cas, belief.at).map_err(|e| e.to_string())?;
        let named = judged.ca().member_of(&self.certificate, member).map_err(|e| e.to_string())?;
        if named != *member {
            return Err(format!("belongs to {named}, expected {member}"));
        }
        // All authorities but the topmost go in, also those that the instance lists. Spec: message-path §3.1.
        let chain = path::own_chain(&self.certificate, cas);
        let (responses, good_until) = belief.responses(&chain, cas)?;
        let intermediates = chain.get(1..).unwrap_or_default().to_vec();
        let ocsp = responses.iter().map(|r| r.der().to_vec()).collect();
        let material = SignerMaterial { certificate: Arc::clone(&self.certificate), intermediates, ocsp };
        let (material, algorithm) = (Arc::new(material), bench.algorithm());
        Ok(Signer { member: member.clone(), material, algorithm, good_until, bench: Arc::clone(bench) })
    }

    fn refused(&self, reason: &str) -> String {
        format!("{}: {reason}", self.file.display())
    }
}

impl NoKey {
    fn of(purpose: String, mut reasons: Vec<String>) -> Self {
        if reasons.is_empty() {
            reasons.push("keys.toml names none for this use".to_owned());
        }
        Self { purpose, reasons }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests;
