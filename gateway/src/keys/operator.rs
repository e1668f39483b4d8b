//! The key of an operator, who orders changes of authority. It lies with the operator, not in a gateway's state.

use super::KeysError;
use super::index::{malformed, refuse_exposed, unreadable};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use saatkond_ca::pem;
use saatkond_proto::continuity::Operator;
use saatkond_proto::continuity::authority::{Claim, Order, Warrant};
use saatkond_proto::time::UnixTime;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// An Ed25519 key.
pub struct OperatorKey(Ed25519KeyPair);

impl OperatorKey {
    /// Makes a key and writes it to `file`, which must not be there yet: unencrypted PKCS#8 in PEM, mode 600.
    ///
    /// # Errors
    /// [`KeysError::Unreadable`] with the disk's reason.
    pub fn make(file: &Path) -> Result<Self, KeysError> {
        let failed = |source| unreadable(file, source);
        let random = SystemRandom::new();
        let made = Ed25519KeyPair::generate_pkcs8(&random);
        let made = made.map_err(|_| failed(io::Error::other("the system gives no randomness")))?;
        let text = Zeroizing::new(pem::encode(pem::PRIVATE_KEY, made.as_ref()));
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        let mut opened = opened.map_err(failed)?;
        opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).map_err(failed)?;
        Self::open(file)
    }

    /// Reads a key from a file that its owner alone may read.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn open(file: &Path) -> Result<Self, KeysError> {
        refuse_exposed(file)?;
        let bytes = Zeroizing::new(std::fs::read(file).map_err(|source| unreadable(file, source))?);
        let der = pem::der_or_pem(pem::PRIVATE_KEY, &bytes).map(Zeroizing::new);
        // OpenSSL writes the form without the public half.
        let pair = der.and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok());
        pair.map(Self).ok_or_else(|| malformed(file, "not an Ed25519 key in unencrypted PKCS#8".to_owned()))
    }

    /// The public half, as the instance's file lists it.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Signs an order in the name of an operator.
    #[must_use]
    pub fn order(&self, claim: Claim, time: UnixTime, name: &str) -> Warrant {
        let operator = Operator { name: name.to_owned(), key: self.public() };
        Warrant::Order(Order::sign(claim, time, &operator, |bytes| self.0.sign(bytes).as_ref().to_vec()))
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::TestDir;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_read_back_by_its_owner_alone() {
        let dir = TestDir::new("operator");
        let file = dir.0.join("anna.key.pem");
        let made = OperatorKey::make(&file).unwrap();
        assert_eq!(OperatorKey::open(&file).unwrap().public(), made.public());
        assert!(
            matches!(OperatorKey::make(&file), Err(KeysError::Unreadable { .. })),
            "nothing is overwritten"
        );
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(OperatorKey::open(&file), Err(KeysError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(matches!(OperatorKey::open(&file), Err(KeysError::Malformed { .. })), "a P-256 key");
    }

    #[test]
    fn a_key_that_openssl_wrote_is_read() {
        // RFC 8410 §10.3, the first example.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let dir = TestDir::new("operator");
        let file = dir.0.join("rfc.pem");
        std::fs::write(&file, pem).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let public = OperatorKey::open(&file).unwrap().public();
        assert_eq!(public[..4], [0x19, 0xbf, 0x44, 0x09]);
    }
}
