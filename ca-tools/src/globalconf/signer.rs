//! A key that signs configuration, and every certificate that may.

use super::{PublishError, random, write};
use crate::ca::{self, CaError};
use crate::key::{KeySpec, PrivateKey};
use crate::pem;
use crate::template;
use bytes::Bytes;
use saatkond_proto::globalconf::Draft;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use std::path::{Path, PathBuf};

/// The dates of certificates that sign configuration; nobody looks at them. Seen: X-Road 7.8's are the same.
const NOT_BEFORE: UnixTime = UnixTime::from_secs(0);
/// 2038-01-01.
const NOT_AFTER: UnixTime = UnixTime::from_secs(2_145_916_800);

/// A key that signs configuration, and every certificate that may.
#[derive(Debug)]
pub struct Signer {
    key: PrivateKey,
    certificates: Vec<Vec<u8>>,
}

impl Signer {
    /// A key and its certificate, if it is the key's.
    pub(super) fn of(key: PrivateKey, certificate: Vec<u8>) -> Option<Self> {
        let read = Certificate::from_der(&certificate).ok()?;
        let is_its = read.public_key() == key.signing().public_key();
        is_its.then(|| Self { key, certificates: vec![certificate] })
    }

    /// Makes `<name>.key.pem` and its self-signed certificate `<name>.cert.pem`.
    ///
    /// # Errors
    /// [`PublishError::Exists`] when there is one; [`PublishError`].
    pub(crate) fn create(directory: &Path, name: &str, spec: KeySpec) -> Result<(), PublishError> {
        let (key_path, certificate_path) = paths(directory, name);
        if certificate_path.exists() {
            return Err(PublishError::Exists(certificate_path));
        }
        let key = PrivateKey::generate(spec)?;
        let certificate = self_signed(&key, name)?;
        key.save(&key_path)?;
        write(&certificate_path, pem::encode(pem::CERTIFICATE, certificate.der()).as_bytes())
    }

    /// Opens `<name>.key.pem`; the first certificate of `<name>.cert.pem` must be the key's.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(crate) fn open(directory: &Path, name: &str) -> Result<Self, PublishError> {
        let (key_path, certificate_path) = paths(directory, name);
        let key = PrivateKey::open(&key_path)?;
        let certificates = ca::read_certificates(&certificate_path)?;
        let first = certificates.first().map(|c| c.public_key());
        if first != Some(key.signing().public_key()) {
            return Err(CaError::NoCertificate { path: certificate_path }.into());
        }
        Ok(Self { key, certificates: certificates.iter().map(|c| c.der().to_vec()).collect() })
    }

    /// Every certificate that may sign, as readers are told.
    pub(crate) fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Signs a directory.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(crate) fn sign(&self, draft: &Draft) -> Result<Bytes, PublishError> {
        let certificate = self.certificates.first().map(Vec::as_slice).unwrap_or_default();
        Ok(Bytes::from(draft.sign(random()?, self.key.signing(), certificate)?))
    }
}

/// A certificate for a key that is trusted by name.
pub(super) fn self_signed(key: &PrivateKey, name: &str) -> Result<Certificate, CaError> {
    template::self_signed(key, &format!("{name}SigningKey"), NOT_BEFORE, NOT_AFTER)
}

fn paths(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{name}.key.pem")), directory.join(format!("{name}.cert.pem")))
}
