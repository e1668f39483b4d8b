//! Private keys: made, written where only their owner reads, wiped when dropped.
//!
//! RSA keys are made by graviola, which needs a processor with AVX2, ADX and BMI (or ARM with AES); ask
//! [`rsa_is_possible`] first, or take [`KeySpec::or_what_is_possible`]. Once made, ring and p256 sign with them.
//!
//! What a thief of a key file could do: all that the key's certificate allows. The files are not encrypted; they
//! have mode 0600 and belong on an encrypted disk or, later, into a token.

use crate::pem;
use saatkond_proto::crypto::{CryptoError, SigningKey};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::{Zeroize as _, Zeroizing};

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeySpec {
    /// RSA with 2048 bits: what X-Road's own servers make by default.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// NIST P-256; understood by X-Road from 7.6 on.
    P256,
    /// NIST P-384; understood by X-Road from 7.6 on.
    P384,
}

impl KeySpec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384];

    /// The name, as files and commands write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p256",
            Self::P384 => "p384",
        }
    }

    /// Whether this is RSA.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// This, or P-256 where the processor cannot make RSA keys.
    #[must_use]
    pub fn or_what_is_possible(self) -> Self {
        if self.is_rsa() && !rsa_is_possible() { Self::P256 } else { self }
    }
}

impl fmt::Display for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<KeySpec> for String {
    fn from(spec: KeySpec) -> Self {
        spec.name().to_owned()
    }
}

impl FromStr for KeySpec {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|spec| spec.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| KeyError::UnknownKind(text.to_owned()))
    }
}

impl TryFrom<String> for KeySpec {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

/// A key that was not made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A kind of key that does not exist here.
    #[error("unknown kind of key {0:?}, expected rsa-2048, rsa-3072, rsa-4096, p256 or p384")]
    UnknownKind(String),
    /// The processor lacks what making RSA keys needs.
    #[error("this processor cannot make RSA keys (it lacks AVX2, ADX, BMI or AES instructions)")]
    NoRsaHere,
    /// The key was not made.
    #[error("a {0} key was not made")]
    NotMade(KeySpec),
    /// A file that holds no usable key.
    #[error("{path} holds no usable PKCS#8 private key")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CryptoError,
    },
    /// A document that is no usable key.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A file that could not be read or written.
    #[error("key file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether this processor can make RSA keys.
#[must_use]
pub fn rsa_is_possible() -> bool {
    graviola::util::is_cpu_supported()
}

/// A private key and its PKCS#8 form; both are wiped when dropped.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    signing: SigningKey,
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError::NoRsaHere`] when RSA is asked for and the processor cannot; [`KeyError::NotMade`].
    pub fn generate(spec: KeySpec) -> Result<Self, KeyError> {
        let pkcs8 = match spec {
            KeySpec::Rsa2048 => rsa(spec, graviola::signing::rsa::KeySize::Rsa2048)?,
            KeySpec::Rsa3072 => rsa(spec, graviola::signing::rsa::KeySize::Rsa3072)?,
            KeySpec::Rsa4096 => rsa(spec, graviola::signing::rsa::KeySize::Rsa4096)?,
            KeySpec::P256 => elliptic(spec, &rcgen::PKCS_ECDSA_P256_SHA256)?,
            KeySpec::P384 => elliptic(spec, &rcgen::PKCS_ECDSA_P384_SHA384)?,
        };
        Self::from_pkcs8(pkcs8)
    }

    /// Takes a PKCS#8 document.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let signing = SigningKey::from_pkcs8(&pkcs8)?;
        Ok(Self { pkcs8, signing })
    }

    /// Reads a file that holds a PKCS#8 key, PEM or DER.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Unusable`].
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        let bytes = Zeroizing::new(std::fs::read(path).map_err(file)?);
        let der = Zeroizing::new(pem::der_or_pem(pem::PRIVATE_KEY, &bytes).unwrap_or_default());
        let signing = SigningKey::from_pkcs8(&der)
            .map_err(|source| KeyError::Unusable { path: path.to_owned(), source })?;
        Ok(Self { pkcs8: der, signing })
    }

    /// Writes it as PEM into a file that must not exist yet, mode 0600, and waits for the disk.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let text = Zeroizing::new(pem::encode(pem::PRIVATE_KEY, &self.pkcs8));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|source| KeyError::File { path: path.to_owned(), source })
    }

    /// The key as proto's rooms take it.
    #[must_use]
    pub const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The PKCS#8 document.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.signing.public_key().kind())
    }
}

fn rsa(spec: KeySpec, size: graviola::signing::rsa::KeySize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if !rsa_is_possible() {
        return Err(KeyError::NoRsaHere);
    }
    let key = graviola::signing::rsa::SigningKey::generate(size).map_err(|_| KeyError::NotMade(spec))?;
    // RSA-4096 takes 2.4 KB
    let mut room = Zeroizing::new(vec![0; 8192]);
    let document = key.to_pkcs8_der(&mut room).map_err(|_| KeyError::NotMade(spec))?;
    Ok(Zeroizing::new(document.to_vec()))
}

fn elliptic(
    spec: KeySpec,
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut pair = rcgen::KeyPair::generate_for(algorithm).map_err(|_| KeyError::NotMade(spec))?;
    let document = Zeroizing::new(pair.serialized_der().to_vec());
    pair.zeroize();
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use saatkond_proto::crypto::KeyKind;

    #[test]
    fn every_kind_is_made_as_named() {
        for spec in KeySpec::ALL {
            assert_eq!(spec.to_string().parse::<KeySpec>().unwrap(), spec);
            if spec.is_rsa() && (!rsa_is_possible() || spec == KeySpec::Rsa4096) {
                continue;
            }
            let kind = PrivateKey::generate(spec).unwrap().signing().public_key().kind();
            let expected = match spec {
                KeySpec::Rsa2048 => KeyKind::Rsa(2048),
                KeySpec::Rsa3072 => KeyKind::Rsa(3072),
                KeySpec::Rsa4096 => KeyKind::Rsa(4096),
                KeySpec::P256 => KeyKind::P256,
                KeySpec::P384 => KeyKind::P384,
            };
            assert_eq!(kind, expected);
        }
    }
}
