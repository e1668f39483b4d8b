//! The OCSP responder's key and certificate on the disk: two files, and at no moment a pair that does not fit.
//!
//! | step | `ocsp.key.pem` | `ocsp.next.key.pem` | `ocsp.cert.pem` |
//! |---|---|---|---|
//! | before | of the earlier one | | the earlier one |
//! | 1 | of the earlier one | of the new one | the earlier one |
//! | 2 | of the earlier one | of the new one | the new one |
//! | 3 | of the new one | | the new one |
//!
//! Who reads takes the certificate and whichever key is its own. Who opens the authority to write brings what a crash
//! left at step 1 or 2 to its end.

use crate::ca::{self, CaError, RESPONDER_CERTIFICATE_FILE, RESPONDER_KEY_FILE, write};
use crate::index;
use crate::key::PrivateKey;
use crate::pem;
use saatkond_proto::trust::Certificate;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The key of a responder whose certificate is being put in place.
const NEXT_KEY_FILE: &str = "ocsp.next.key.pem";

/// Puts a new pair in the place of the one there may be.
pub(crate) fn put(directory: &Path, key: &PrivateKey, certificate: &Certificate) -> Result<(), CaError> {
    let next = directory.join(NEXT_KEY_FILE);
    let text = zeroize::Zeroizing::new(pem::encode(pem::PRIVATE_KEY, key.pkcs8()));
    index::replace_file(&next, text.as_bytes(), 0o600)
        .map_err(|source| CaError::File { path: next, source })?;
    let text = pem::encode(pem::CERTIFICATE, certificate.der());
    write(&directory.join(RESPONDER_CERTIFICATE_FILE), text.as_bytes())?;
    take_over(directory)
}

/// Brings to its end what a crash left half done, and takes away what was never whole. The caller holds the lock.
pub(crate) fn settle(directory: &Path) -> Result<(), CaError> {
    let file = |source| CaError::File { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(file)? {
        let entry = entry.map_err(file)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".ocsp.") && name.ends_with(".tmp") {
            fs::remove_file(entry.path()).map_err(file)?;
        }
    }
    let next = directory.join(NEXT_KEY_FILE);
    if !next.exists() {
        return Ok(());
    }
    let certificate = read_certificate(directory);
    let is_its_own = certificate
        .is_ok_and(|certificate| PrivateKey::open(&next).is_ok_and(|key| is_of(&key, &certificate)));
    if is_its_own {
        take_over(directory)
    } else {
        fs::remove_file(&next).map_err(|source| CaError::File { path: next, source })
    }
}

/// The pair that is in force.
pub(crate) fn read(directory: &Path) -> Result<(Arc<Certificate>, PrivateKey), CaError> {
    let mut tries = 3;
    loop {
        let certificate = read_certificate(directory)?;
        let key = PrivateKey::open(&directory.join(RESPONDER_KEY_FILE))?;
        if is_of(&key, &certificate) {
            return Ok((certificate, key));
        }
        if let Ok(next) = PrivateKey::open(&directory.join(NEXT_KEY_FILE))
            && is_of(&next, &certificate)
        {
            return Ok((certificate, next));
        }
        // one of them may have been put in place between the two looks
        tries -= 1;
        if tries == 0 {
            return Err(CaError::OtherKey {
                key: directory.join(RESPONDER_KEY_FILE),
                certificate: directory.join(RESPONDER_CERTIFICATE_FILE),
            });
        }
    }
}

fn read_certificate(directory: &Path) -> Result<Arc<Certificate>, CaError> {
    let path = directory.join(RESPONDER_CERTIFICATE_FILE);
    let found = ca::read_certificates(&path)?.into_iter().next();
    found.ok_or(CaError::NoCertificate { path })
}

fn is_of(key: &PrivateKey, certificate: &Certificate) -> bool {
    key.signing().public_key() == certificate.public_key()
}

fn take_over(directory: &Path) -> Result<(), CaError> {
    let moved = || -> io::Result<()> {
        fs::rename(directory.join(NEXT_KEY_FILE), directory.join(RESPONDER_KEY_FILE))?;
        File::open(directory)?.sync_all()
    };
    moved().map_err(|source| CaError::File { path: directory.join(RESPONDER_KEY_FILE), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Authority;
    use crate::key::KeySpec;
    use crate::policy::Policy;
    use crate::testing::Directory;
    use saatkond_proto::time::UnixTime;

    const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);

    /// The files of the pair, put together as a crash may leave them.
    #[test]
    fn a_pair_is_found_after_a_crash_at_any_step() {
        let directory = Directory::new();
        let place = directory.path().join("ca");
        let mut ca = Authority::create(&place, Policy::new("CA", KeySpec::P256), NOW).unwrap();
        let names = [RESPONDER_KEY_FILE, RESPONDER_CERTIFICATE_FILE].map(|name| place.join(name));
        let [old_key, old] = names.clone().map(|name| fs::read(name).unwrap());
        let new_certificate = ca.renew_responder(NOW).unwrap();
        let [new_key, new] = names.clone().map(|name| fs::read(name).unwrap());
        drop(ca);
        let old_certificate =
            Certificate::from_der(&pem::decode_all(pem::CERTIFICATE, &String::from_utf8_lossy(&old))[0])
                .unwrap();
        let next = place.join(NEXT_KEY_FILE);
        for (key, certificate, next_key, expected) in [
            (&old_key, &old, Some(&new_key[..20]), &old_certificate),
            (&old_key, &old, Some(&new_key[..]), &old_certificate),
            (&old_key, &new, Some(&new_key[..]), &*new_certificate),
            (&new_key, &new, None, &*new_certificate),
        ] {
            fs::write(&names[0], key).unwrap();
            fs::write(&names[1], certificate).unwrap();
            if let Some(next_key) = next_key {
                fs::write(&next, next_key).unwrap();
            }
            fs::write(place.join(".ocsp.next.key.pem.4711.tmp"), &new_key[..9]).unwrap();
            assert_eq!(read(&place).unwrap().0.der(), expected.der());
            drop(Authority::open(&place).unwrap());
            assert!(!next.exists() && !place.join(".ocsp.next.key.pem.4711.tmp").exists());
            let (found, key) = read(&place).unwrap();
            assert!(found.der() == expected.der() && is_of(&key, &found));
        }
        fs::write(&names[0], &old_key).unwrap();
        assert!(matches!(read(&place), Err(CaError::OtherKey { .. })));
    }
}
