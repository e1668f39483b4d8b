//! How an authority is made: beside its place, whole, then moved there. After a crash it is there or it is not.

use crate::ca::{Authority, CERTIFICATE_FILE, CaError, KEY_FILE, Order, POLICY_FILE, write};
use crate::index::{IndexWriter, Purpose};
use crate::key::PrivateKey;
use crate::pem;
use crate::policy::{Policy, PolicyError};
use crate::template::{RcgenKey, authority_params, authority_subject, key_identifier, new_serial};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Authority {
    /// Makes a self-signed authority, with its OCSP responder, in a directory that does not exist yet.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn create(directory: &Path, policy: Policy, now: UnixTime) -> Result<Self, CaError> {
        let place = Place::new(directory, &policy)?;
        let key = place.key(&policy)?;
        let mut params = authority_params(&policy, now, now.plus(policy.lasting.of(Purpose::Ca)))?;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&new_serial()?));
        params.key_identifier_method = key_identifier(key.signing().public_key());
        let der = params.self_signed(&RcgenKey(key.signing()))?.der().to_vec();
        place.found(&policy, &[Arc::new(Certificate::from_der(&der)?)], now)
    }

    /// Makes an authority below `parent`, with its OCSP responder, in a directory that does not exist yet.
    ///
    /// The parent records it like any other certificate. After a crash the parent may have issued a certificate for an
    /// authority that was never made; it may be revoked.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn create_below(
        directory: &Path,
        policy: Policy,
        parent: &mut Self,
        now: UnixTime,
    ) -> Result<Self, CaError> {
        let place = Place::new(directory, &policy)?;
        let key = place.key(&policy)?;
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
        place.found(&policy, &chain, now)
    }
}

/// Says in a directory where an authority is made that somebody is still at it.
const MAKING_FILE: &str = "making.lock";

/// Where an authority will be, and where it is made meanwhile; that goes away with this.
struct Place {
    directory: PathBuf,
    making: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // the key of an authority that does not come to be
        let _ = fs::remove_dir_all(&self.making);
    }
}

impl Place {
    /// An authority is never made where anything is.
    fn new(directory: &Path, policy: &Policy) -> Result<Self, CaError> {
        let file = |source| CaError::File { path: directory.to_owned(), source };
        let wrong = |reason| PolicyError::Wrong { path: directory.join(POLICY_FILE), reason };
        policy.check().map_err(wrong)?;
        if directory.symlink_metadata().is_ok() {
            return Err(CaError::Exists(directory.to_owned()));
        }
        let whole = std::path::absolute(directory).map_err(file)?;
        let (Some(above), Some(name)) = (whole.parent(), whole.file_name()) else {
            return Err(CaError::Exists(directory.to_owned()));
        };
        let name = name.to_string_lossy();
        fs::create_dir_all(above).map_err(file)?;
        sweep(above, &name).map_err(file)?;
        let making = above.join(format!(".{name}.{}.making", std::process::id()));
        fs::create_dir(&making).map_err(file)?;
        let lock = File::create_new(making.join(MAKING_FILE)).map_err(file)?;
        lock.lock().map_err(file)?;
        Ok(Self { directory: directory.to_owned(), making, _lock: lock })
    }

    fn key(&self, policy: &Policy) -> Result<PrivateKey, CaError> {
        let key = PrivateKey::generate(policy.key)?;
        key.save(&self.making.join(KEY_FILE))?;
        Ok(key)
    }

    /// Fills it and moves it to where it will be.
    fn found(
        &self,
        policy: &Policy,
        chain: &[Arc<Certificate>],
        now: UnixTime,
    ) -> Result<Authority, CaError> {
        let text = toml::to_string(policy).map_err(|e| CaError::NotMade(e.to_string()))?;
        write(&self.making.join(POLICY_FILE), text.as_bytes())?;
        let pems: String = chain.iter().map(|c| pem::encode(pem::CERTIFICATE, c.der())).collect();
        write(&self.making.join(CERTIFICATE_FILE), pems.as_bytes())?;
        drop(IndexWriter::create(&self.making)?);
        Authority::open(&self.making)?.renew_responder(now)?;
        let file = |source| CaError::File { path: self.directory.clone(), source };
        fs::remove_file(self.making.join(MAKING_FILE)).map_err(file)?;
        let moved = fs::rename(&self.making, &self.directory);
        moved.map_err(|source| match source.kind() {
            // somebody else was faster
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                CaError::Exists(self.directory.clone())
            }
            _ => file(source),
        })?;
        if let Some(above) = self.making.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(file)?;
        }
        Authority::open(&self.directory)
    }
}

/// Takes away what those left who were killed while they made the authority `name`: keys that nobody needs.
fn sweep(above: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(above)? {
        let entry = entry?;
        let found = entry.file_name().to_string_lossy().into_owned();
        let is_ours = found.strip_prefix(&format!(".{name}.")).is_some_and(|rest| rest.ends_with(".making"));
        if is_ours
            && let Ok(lock) = File::open(entry.path().join(MAKING_FILE))
            && lock.try_lock().is_ok()
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySpec;
    use crate::testing::Directory;

    #[test]
    fn an_authority_that_does_not_come_to_be_leaves_nothing() {
        let directory = Directory::new();
        let now = UnixTime::from_secs(1_780_272_000);
        let mut policy = Policy::new("CA", KeySpec::P256);
        // ended before it begins
        policy.lasting.ca = "1 s".parse().unwrap();
        let mut parent = Authority::create(&directory.path().join("ca"), policy.clone(), now).unwrap();
        let later = now.plus(std::time::Duration::from_secs(60));
        policy.lasting.ca = "1 d".parse().unwrap();
        let below = directory.path().join("below");
        assert!(matches!(Authority::create_below(&below, policy, &mut parent, later), Err(CaError::Lint(_))));
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["ca"]);
    }
}
