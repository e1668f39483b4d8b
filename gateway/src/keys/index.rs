//! `keys.toml`, and the files it names.
//!
//! ```toml
//! version = 1
//!
//! [[key]]
//! name = "auth"
//! use = "auth"                   # auth, sign or internal-tls
//! key = "auth.key.pem"           # PKCS#8, encrypted or not, readable by its owner alone; relative to keys.toml; default NAME.key.pem
//! certificate = "auth.cert.pem"  # the key's own certificate first; default NAME.cert.pem
//! active = true                  # default
//! ```
//!
//! `demo = true` beside `version` marks a demonstration's keys, which serve on loopback only. A key with two certificates,
//! as while one is being renewed, stands there twice: of the certificates that serve, the newest is used.

use super::pin::{self, PinSource};
use super::signing::Bench;
use super::{Does, Kept, KeysError};
use crate::conf::source::Source;
use clap::ValueEnum;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use saatkond_proto::crypto::SigningKey;
use saatkond_proto::trust::Certificate;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The file's name.
pub(super) const FILE: &str = "keys.toml";

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of this format. Required: `1`.
    version: u32,
    /// Whether these keys are a demonstration's: they serve on loopback only. Default: `false`.
    #[serde(default)]
    pub(super) demo: bool,
    /// The keys.
    #[serde(default, rename = "key")]
    pub(super) keys: Vec<Key>,
}

/// One key and its certificate. A key with two certificates, as while one is being renewed, stands there twice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    /// Names the files, where they are not named below; without slashes. Default: none.
    pub(super) name: Option<String>,
    /// What it is for: `auth`, `sign` or `internal-tls`. Required.
    #[serde(rename = "use")]
    pub(super) usage: Usage,
    /// The private key: PKCS#8 in PEM, encrypted under the PIN or not, readable by its owner alone; relative to this file. Default:
    /// `name` and `.key.pem`.
    pub(super) key: Option<PathBuf>,
    /// Its certificates in PEM, its own first; relative to this file. Default: `name` and `.cert.pem`.
    pub(super) certificate: Option<PathBuf>,
    /// Whether it may be used. Default: `true`.
    #[serde(default = "yes")]
    pub(super) active: bool,
    /// When it was taken out of use for good, RFC 3339; such a key is not active. Default: none.
    pub(super) retired: Option<String>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// This server's TLS with other gateways.
    Auth,
    /// A member's signatures.
    Sign,
    /// This server's TLS with information systems.
    InternalTls,
}

impl Usage {
    /// The word for it, as `keys.toml` has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Sign => "sign",
            Self::InternalTls => "internal-tls",
        }
    }
}

const fn yes() -> bool {
    true
}

/// Reads the index.
pub(super) fn read(dir: &Path) -> Result<File, KeysError> {
    let file = dir.join(FILE);
    let text = std::fs::read_to_string(&file).map_err(|source| unreadable(&file, source))?;
    parse(dir, &text)
}

/// Reads the text of the index of `dir`.
pub(super) fn parse(dir: &Path, text: &str) -> Result<File, KeysError> {
    let file = dir.join(FILE);
    let index: File = toml::from_str(text).map_err(|e| malformed(&file, e.to_string()))?;
    if index.version != 1 {
        return Err(malformed(&file, format!("version is {}, expected 1", index.version)));
    }
    match index.keys.iter().find(|key| key.active && key.retired.is_some()) {
        Some(key) => {
            let name = key.name.as_deref().unwrap_or("a key");
            Err(malformed(&file, format!("{name} is active and retired, expected one of them")))
        }
        None => Ok(index),
    }
}

impl Key {
    /// The file of its private key.
    pub(super) fn key_file(&self, dir: &Path) -> Result<PathBuf, KeysError> {
        self.file(dir, self.key.as_ref(), "key.pem")
    }

    /// The file of its certificates.
    pub(super) fn certificate_file(&self, dir: &Path) -> Result<PathBuf, KeysError> {
        self.file(dir, self.certificate.as_ref(), "cert.pem")
    }

    /// The file of a part of this key: as given, or by its name.
    fn file(&self, dir: &Path, given: Option<&PathBuf>, ending: &str) -> Result<PathBuf, KeysError> {
        match (given, &self.name) {
            (Some(given), _) => Ok(dir.join(given)),
            (None, Some(name)) if !name.contains('/') => Ok(dir.join(format!("{name}.{ending}"))),
            (None, _) => {
                let text = "a key has neither a `name` without slashes nor `key` and `certificate`";
                Err(malformed(&dir.join(FILE), text.to_owned()))
            }
        }
    }
}

/// Opens a key and its certificate: they must belong together.
pub(super) fn open(dir: &Path, key: &Key, batch_max: usize, pins: &PinSource) -> Result<Kept, KeysError> {
    let file = key.key_file(dir)?;
    let is_sealed = std::fs::read(&file).is_ok_and(|text| pin::is_sealed(&Zeroizing::new(text)));
    let private = pin::read(&file, pins)?;
    let signing = SigningKey::from_pkcs8(&private).map_err(|e| malformed(&file, e.to_string()))?;

    let certificate_file = key.certificate_file(dir)?;
    let chain = certificates(&certificate_file)?;
    let first =
        chain.first().ok_or_else(|| malformed(&certificate_file, "holds no certificate".to_owned()))?;
    let certificate =
        Certificate::from_der(first).map_err(|e| malformed(&certificate_file, e.to_string()))?;
    if certificate.public_key() != signing.public_key() {
        let text = format!("its certificate is not one of the key {}", file.display());
        return Err(malformed(&certificate_file, text));
    }
    let for_tls = || {
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private.as_slice()));
        rustls::crypto::ring::sign::any_supported_type(&private).map_err(|e| malformed(&file, e.to_string()))
    };
    let does = match key.usage {
        Usage::Auth => Does::Authenticate(for_tls()?),
        Usage::InternalTls => Does::InternalTls(for_tls()?),
        Usage::Sign => {
            let bench = Bench::start(signing, batch_max).map_err(|source| unreadable(&file, source))?;
            Does::Sign(Arc::new(bench))
        }
    };
    Ok(Kept { file, certificate: Arc::new(certificate), chain, does, is_sealed })
}

/// A file as it looks now.
pub(super) fn source(file: &Path) -> Result<Source, KeysError> {
    let looks = std::fs::metadata(file).map_err(|source| unreadable(file, source))?;
    Ok(Source::new(file, &looks))
}

/// All certificates of a file, the key's own first.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, KeysError> {
    let pem = std::fs::read(file).map_err(|source| unreadable(file, source))?;
    let found: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.map_err(|e| malformed(file, e.to_string()))
}

#[cfg(unix)]
pub(super) fn refuse_exposed(file: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode =
        std::fs::metadata(file).map_err(|source| unreadable(file, source))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeysError::Exposed { file: file.to_owned(), mode }) }
}

#[cfg(not(unix))]
pub(super) fn refuse_exposed(_: &Path) -> Result<(), KeysError> {
    Ok(())
}

pub(super) fn unreadable(file: &Path, source: std::io::Error) -> KeysError {
    KeysError::Unreadable { file: file.to_owned(), source }
}

pub(super) fn malformed(file: &Path, text: String) -> KeysError {
    KeysError::Malformed { file: file.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("saatkond-keys-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn write(&self, name: &str, text: &str, mode: u32) {
            std::fs::write(self.0.join(name), text).unwrap();
            std::fs::set_permissions(self.0.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }

        /// A key and its certificate, named in the index for `usage`.
        fn with_key(&self, usage: &str) -> rcgen::KeyPair {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
            self.write("a.key.pem", &key.serialize_pem(), 0o600);
            self.write("a.cert.pem", &certificate.pem(), 0o644);
            let named = "key = \"a.key.pem\"\ncertificate = \"a.cert.pem\"\n";
            self.write("keys.toml", &format!("version = 1\n[[key]]\nuse = \"{usage}\"\n{named}"), 0o644);
            key
        }

        fn open(&self) -> Result<(), KeysError> {
            read(&self.0)?.keys.iter().try_for_each(|key| open(&self.0, key, 1, &PinSource::none()).map(drop))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn keys_of_every_use_open() {
        for usage in ["auth", "sign", "internal-tls"] {
            let dir = Dir::new(usage);
            dir.with_key(usage);
            dir.open().unwrap();
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = Dir::new("exposed");
        let key = dir.with_key("sign");
        dir.write("a.key.pem", &key.serialize_pem(), 0o640);
        assert!(matches!(dir.open(), Err(KeysError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let dir = Dir::new("foreign");
        dir.with_key("sign");
        dir.write("a.key.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem(), 0o600);
        assert!(matches!(dir.open(), Err(KeysError::Malformed { .. })));
    }

    #[test]
    fn what_the_index_does_not_know_is_refused() {
        let dir = Dir::new("unknown");
        for text in [
            "version = 2",
            "version = 1\nkeyz = []",
            "version = 1\n[[key]]\nuse = \"auth\"",
            "version = 1\n[[key]]\nuse = \"auth\"\nname = \"../a\"",
            "version = 1\n[[key]]\nuse = \"tls\"\nkey = \"a\"\ncertificate = \"b\"",
        ] {
            dir.write("keys.toml", text, 0o644);
            assert!(matches!(dir.open(), Err(KeysError::Malformed { .. })), "{text}");
        }
    }
}
