//! Private keys: nothing else ever sees one.
//!
//! What goes in is bytes to sign, what comes out is a value. Which key is used for what is decided here too, from the
//! certificates that stand beside it and what the instance and its authorities say of them.
//!
//! Store: `keys/keys.toml` names the keys, `*.pem` hold them. Trusted: its thief signs in this organisation's name
//! until the certificates are revoked.

use saatkond_proto::crypto::SignatureAlgorithm;
use saatkond_proto::globalconf::lookup::GlobalConf;
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::signature::{PartDigest, SignatureParts, SignerMaterial};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::Response;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// All private keys of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Shelf>);

struct Shelf {
    dir: PathBuf,
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
    Crypto(#[from] saatkond_proto::crypto::CryptoError),
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
    pub certified: Arc<rustls::sign::CertifiedKey>,
    /// Last moment at which all of this holds.
    pub good_until: UnixTime,
}

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
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, {:?}, good until {})", self.member, self.material.certificate, self.good_until)
    }
}

impl Keys {
    /// Opens `dir`: reads the index, every key and every certificate, and starts the signing thread.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn open(dir: &Path) -> Result<Self, KeysError> {
        Ok(Self(Arc::new(Shelf { dir: dir.to_owned() })))
    }

    /// Chooses the authentication key: registered for `server`, valid, its whole path good by OCSP.
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
        let _ = (server, conf, statuses, at, &self.0.dir);
        Err(NoKey { purpose: "authentication key".to_owned(), reasons: Vec::new() })
    }

    /// Chooses the sign key of `member`: its certificate names the member, is valid, its whole path good by OCSP.
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
        let _ = (conf, statuses, at);
        Err(NoKey { purpose: format!("sign key of {member}"), reasons: Vec::new() })
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
        let _ = (signer, parts, at);
        Err(SignError::Ended)
    }

    /// The key and certificate that information systems meet on the HTTPS port; `None` when none is kept.
    #[must_use]
    pub fn internal_tls(&self) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    /// All certificates kept, authentication ones first: those whose OCSP responses are fetched.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        Vec::new()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}
