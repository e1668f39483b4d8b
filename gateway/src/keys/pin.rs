//! PINs, and private keys encrypted under them.
//!
//! A key is encrypted as PKCS#8 has it (PBES2): a key of AES-256-CBC comes from the PIN by scrypt. Any such file opens, also
//! one that `openssl pkcs8 -topk8` wrote. A PIN is tried as often as one likes: nothing locks.
//!
//! Spec: RFC 8018 §6.2, RFC 7914.

use super::KeysError;
use super::index::{malformed, refuse_exposed, unreadable};
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::{self, pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::rand::{SecureRandom as _, SystemRandom};
use saatkond_ca::pem;
use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Label of an encrypted key.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// The name under which systemd hands over the PIN: `LoadCredential=saatkond-pin:…`.
const CREDENTIAL: &str = "saatkond-pin";
/// Where systemd says that credentials lie.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// How often somebody at a terminal is asked.
const TRIES: usize = 3;
/// Characters of a new PIN. Seen: X-Road 7.8's policy, where it is enforced.
const PIN_MIN: usize = 10;
/// scrypt: 16 MiB, five times. OWASP's parameters for this memory, more than which openssl would refuse.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// A PIN. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Takes a new PIN, under which keys will be encrypted.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(text: Zeroizing<String>) -> Result<Self, String> {
        let found = text.chars().count();
        if found < PIN_MIN {
            return Err(format!("the new PIN has {found} characters, expected {PIN_MIN} or more"));
        }
        if text.chars().any(char::is_control) {
            return Err("the new PIN has a control character, expected one line of text".to_owned());
        }
        Ok(Self(text))
    }

    /// Reads a PIN from a file that its owner alone may read: its one line.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn read(file: &Path) -> Result<Self, KeysError> {
        refuse_exposed(file)?;
        let bytes = Zeroizing::new(std::fs::read(file).map_err(|source| unreadable(file, source))?);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains('\n') {
            return Err(malformed(file, "holds no PIN, expected one line of text".to_owned()));
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    /// Asks somebody at the terminal for a new PIN, twice.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn ask_new() -> Result<Self, String> {
        if !std::io::stdin().is_terminal() {
            return Err("nobody is there to type a new PIN".to_owned());
        }
        let first = Self::new(prompt("New PIN: ").map_err(|error| error.to_string())?)?;
        let again = prompt("The same again: ").map_err(|error| error.to_string())?;
        if *first.0 == *again { Ok(first) } else { Err("the two PINs differ".to_owned()) }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// Asks at the terminal, without showing what is typed.
fn prompt(question: &str) -> std::io::Result<Zeroizing<String>> {
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// Where the PIN comes from: a file, systemd, or somebody at the terminal, whose answer is kept in memory. Cheap to clone.
#[derive(Clone)]
pub struct PinSource {
    file: Option<PathBuf>,
    may_ask: bool,
    kept: Arc<Mutex<Option<Pin>>>,
}

impl PinSource {
    /// From this file; without one from systemd's credential `saatkond-pin`, and else from the terminal.
    #[must_use]
    pub fn of(file: Option<&Path>) -> Self {
        let of_systemd = || {
            let file = PathBuf::from(std::env::var_os(CREDENTIALS)?).join(CREDENTIAL);
            file.exists().then_some(file)
        };
        Self { file: file.map(Path::to_owned).or_else(of_systemd), may_ask: true, kept: Arc::default() }
    }

    /// From nowhere: encrypted keys do not open.
    #[must_use]
    pub fn none() -> Self {
        Self { file: None, may_ask: false, kept: Arc::default() }
    }

    /// The same, but nobody is asked any more: what was typed before still serves.
    #[must_use]
    pub(super) fn without_asking(&self) -> Self {
        Self { may_ask: false, ..self.clone() }
    }

    /// The PIN, as far as it is had without asking; a file is read anew each time.
    ///
    /// # Errors
    /// [`KeysError`] for a file that holds none.
    pub fn pin(&self) -> Result<Option<Pin>, KeysError> {
        match &self.file {
            Some(file) => Pin::read(file).map(Some),
            None => Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// From where it comes, for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| "the terminal".to_owned(), |file| file.display().to_string())
    }

    fn keep(&self, pin: Pin) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
    }
}

impl fmt::Debug for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinSource")
    }
}

/// Whether the text of a key file is an encrypted one's.
pub(super) fn is_sealed(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Reads a private key that its owner alone may read: PKCS#8 in PEM, encrypted or not.
pub(super) fn read(file: &Path, pins: &PinSource) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    refuse_exposed(file)?;
    let text = Zeroizing::new(std::fs::read(file).map_err(|source| unreadable(file, source))?);
    if is_sealed(&text) {
        return unseal(file, &text, pins);
    }
    let der = pem::der_or_pem(pem::PRIVATE_KEY, &text).map(Zeroizing::new);
    der.ok_or_else(|| malformed(file, "not a PKCS#8 key in PEM".to_owned()))
}

fn unseal(file: &Path, text: &[u8], pins: &PinSource) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let sealed = pem::der_or_pem(ENCRYPTED, text)
        .ok_or_else(|| malformed(file, "not an encrypted PKCS#8 key in PEM".to_owned()))?;
    if let Some(pin) = pins.pin()? {
        return open(file, &sealed, &pin, &pins.place());
    }
    if !pins.may_ask || !std::io::stdin().is_terminal() {
        return Err(KeysError::NoPin { file: file.to_owned() });
    }
    let mut tries = 0;
    loop {
        let typed = prompt(&format!("PIN of {}: ", file.display()));
        let pin = Pin(typed.map_err(|source| unreadable(Path::new("/dev/tty"), source))?);
        tries += 1;
        match open(file, &sealed, &pin, &pins.place()) {
            Err(KeysError::WrongPin { .. }) if tries < TRIES => {}
            Ok(der) => {
                pins.keep(pin);
                return Ok(der);
            }
            Err(error) => return Err(error),
        }
    }
}

fn open(file: &Path, sealed: &[u8], pin: &Pin, place: &str) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let unfit = |error: pkcs8::Error| malformed(file, format!("its encryption is not taken: {error}"));
    let wrong = || KeysError::WrongPin { file: file.to_owned(), place: place.to_owned() };
    let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed).map_err(unfit)?;
    match sealed.decrypt(pin.0.as_bytes()) {
        Ok(der) => Ok(Zeroizing::new(der.as_bytes().to_vec())),
        Err(
            error @ pkcs8::Error::EncryptedPrivateKey(
                pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. },
            ),
        ) => Err(unfit(error)),
        // With the wrong PIN padding does not fit, or what comes out is no key.
        Err(_) => Err(wrong()),
    }
}

/// Whether a file is an encrypted key that this PIN opens.
pub(super) fn opens(file: &Path, pin: &Pin) -> bool {
    let sealed = std::fs::read(file).ok().and_then(|text| pem::der_or_pem(ENCRYPTED, &text));
    sealed.is_some_and(|sealed| open(file, &sealed, pin, "").is_ok())
}

/// Encrypts a PKCS#8 document under a PIN; the text of its file.
pub(super) fn seal(pkcs8: &[u8], pin: &Pin) -> Result<String, KeysError> {
    sealed(pkcs8, pin).map(|document| pem::encode(ENCRYPTED, document.as_bytes())).ok_or(KeysError::Unsealed)
}

fn sealed(pkcs8: &[u8], pin: &Pin) -> Option<SecretDocument> {
    let (mut salt, mut start) = ([0; 16], [0; 16]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut start)).ok()?;
    let (log_n, r, p) = SCRYPT;
    let cost = scrypt::Params::new(log_n, r, p).ok()?;
    let by = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, start).ok()?;
    let encrypted = by.encrypt(pin.0.as_bytes(), pkcs8).ok()?;
    let whole = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: by.into(),
        encrypted_data: OctetStringRef::new(&encrypted).ok()?,
    };
    SecretDocument::try_from(whole.to_der().ok()?.as_slice()).ok()
}

#[cfg(test)]
mod tests;
