//! The key directory as its operator changes it: keys are made in it, and never leave it.
//!
//! One command changes it at a time; each change is whole on disk before the next. Nothing is overwritten: a name that was
//! used once stays taken.

use super::KeysError;
use super::index::{self, FILE, Key, Usage, malformed, unreadable};
use super::pin::{self, Pin, PinSource};
use saatkond_ca::ca::{CaError, read_certificates};
use saatkond_ca::index::{Purpose, replace_file};
use saatkond_ca::key::{KeyError, KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_ca::pem;
use saatkond_ca::request::{self, AltName, RequestError};
use saatkond_proto::crypto::{EcdsaForm, PublicKey, SignatureAlgorithm};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

/// The file that is locked while the directory is changed.
const LOCK: &str = ".lock";
/// Label of the public half that lies beside a key, so that nobody needs the private one to know whose it is.
const PUBLIC_KEY: &str = "PUBLIC KEY";
/// What a new index begins with.
const BEGINNING: &str = "# The keys of this gateway; `saatkond keys` changes them, and a running gateway takes changes over.\nversion = 1\n";

/// The key directory, open to changes.
#[derive(Debug)]
pub struct Token {
    dir: PathBuf,
    document: DocumentMut,
    entries: Vec<Entry>,
    /// What opens encrypted keys.
    pins: PinSource,
    /// Held while it is changed; none for who only looks.
    lock: Option<File>,
}

/// One `[[key]]` of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name; that of the file where `keys.toml` gives none.
    pub name: String,
    /// What it is for.
    pub usage: Usage,
    /// The private key's file.
    pub key: PathBuf,
    /// The file of its certificates; it need not be there.
    pub certificate: PathBuf,
    /// Whether it may be used.
    pub is_active: bool,
    /// When it was taken out of use for good.
    pub retired: Option<String>,
    /// Its place in the index.
    place: usize,
}

/// A change of the key directory that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// What is there cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A key that was not made, or not written.
    #[error("{}", whole(.0))]
    Key(#[from] KeyError),
    /// A request that was not written.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Unwritten {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another command is changing the directory.
    #[error("another command is changing {}", .0.display())]
    Busy(PathBuf),
    /// No key has this name.
    #[error("there is no key {name:?}, expected one of: {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// A name that a key has, or had.
    #[error("there is a key {0:?} already, or a file of one; nothing is overwritten")]
    Taken(String),
    /// A name that is none.
    #[error("{0:?} is no name for a key, expected letters, digits, dots, dashes and underscores")]
    Name(String),
}

/// What went wrong with a key, with what caused it.
fn whole(error: &KeyError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

impl Entry {
    /// Its certificates, its own first; none while there is none.
    ///
    /// # Errors
    /// [`KeysError`] for a file that is none of certificates.
    pub fn certificates(&self) -> Result<Vec<Arc<Certificate>>, KeysError> {
        if !self.certificate.exists() {
            return Ok(Vec::new());
        }
        read_certificates(&self.certificate).map_err(|error| match error {
            CaError::File { path, source } => unreadable(&path, source),
            other => malformed(&self.certificate, other.to_string()),
        })
    }

    /// Whether its private key is still there.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.exists()
    }

    /// Whether its private key lies there without encryption.
    #[must_use]
    pub fn is_unencrypted(&self) -> bool {
        fs::read(&self.key).is_ok_and(|text| !pin::is_sealed(&Zeroizing::new(text)))
    }

    fn public_file(&self) -> PathBuf {
        self.key.with_file_name(format!("{}.pub.pem", name_of(&self.key)))
    }
}

/// The name that a key's file gives it.
fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let bare = name.strip_suffix(".key.pem").or_else(|| name.strip_suffix(".pem")).unwrap_or(&name);
    bare.to_owned()
}

/// Opens a private key that its owner alone may read.
fn open(file: &Path, pins: &PinSource) -> Result<PrivateKey, KeysError> {
    PrivateKey::from_pkcs8(pin::read(file, pins)?).map_err(|error| malformed(file, whole(&error)))
}

/// The text of a key's file: encrypted, where there is a PIN.
fn text_of(pkcs8: &[u8], pin: Option<&Pin>) -> Result<Zeroizing<String>, KeysError> {
    let text = match pin {
        Some(pin) => pin::seal(pkcs8, pin)?,
        None => pem::encode(pem::PRIVATE_KEY, pkcs8),
    };
    Ok(Zeroizing::new(text))
}

impl Token {
    /// Looks at a directory, without changing it.
    ///
    /// # Errors
    /// [`TokenError`], also when there is no index.
    pub fn look(dir: &Path, pins: &PinSource) -> Result<Self, TokenError> {
        Self::open(dir, pins.clone(), None)
    }

    /// Opens a directory for changes.
    ///
    /// # Errors
    /// [`TokenError`], also when there is no index, or another command is changing it.
    pub fn change(dir: &Path, pins: &PinSource) -> Result<Self, TokenError> {
        // Without an index nothing is made here.
        Self::look(dir, pins)?;
        Self::open(dir, pins.clone(), Some(lock(dir)?))
    }

    /// Opens a directory for changes; it and its index are made where they are missing.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn make(dir: &Path, pins: &PinSource) -> Result<Self, TokenError> {
        let unwritten = |source| TokenError::Unwritten { file: dir.to_owned(), source };
        if !dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritten)?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                owned_as(dir, parent).map_err(unwritten)?;
            }
        }
        let lock = lock(dir)?;
        let file = dir.join(FILE);
        if !file.exists() {
            put(&file, BEGINNING.as_bytes(), 0o644)?;
        }
        Self::open(dir, pins.clone(), Some(lock))
    }

    fn open(dir: &Path, pins: PinSource, lock: Option<File>) -> Result<Self, TokenError> {
        let file = dir.join(FILE);
        let text = fs::read_to_string(&file).map_err(|source| unreadable(&file, source))?;
        let index = index::parse(dir, &text)?;
        let document = text.parse::<DocumentMut>().map_err(|e| malformed(&file, e.to_string()))?;
        let read = |(place, key): (usize, &Key)| entry(dir, place, key);
        let entries: Result<Vec<Entry>, KeysError> = index.keys.iter().enumerate().map(read).collect();
        Ok(Self { dir: dir.to_owned(), document, entries: entries?, pins, lock })
    }

    /// All keys, in the order of the index.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key of this name.
    ///
    /// # Errors
    /// [`TokenError::Unknown`].
    pub fn entry(&self, name: &str) -> Result<&Entry, TokenError> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let known = self.entries.iter().map(|entry| entry.name.clone()).collect();
            TokenError::Unknown { name: name.to_owned(), known }
        })
    }

    /// The public half of a key; the private one is opened only where neither a certificate nor a file tells it.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn public_key(&self, entry: &Entry) -> Result<PublicKey, KeysError> {
        if let Some(certificate) = entry.certificates()?.first() {
            return Ok(certificate.public_key().clone());
        }
        let file = entry.public_file();
        if let Some(spki) = fs::read(&file).ok().and_then(|bytes| pem::der_or_pem(PUBLIC_KEY, &bytes)) {
            return PublicKey::from_spki(&spki).map_err(|e| malformed(&file, e.to_string()));
        }
        Ok(open(&entry.key, &self.pins)?.signing().public_key().clone())
    }

    /// The key whose public half this is; of several entries of one key the first that is not retired.
    ///
    /// # Errors
    /// [`KeysError`] for a key that cannot be read.
    pub fn key_of(&self, public: &PublicKey) -> Result<Option<&Entry>, KeysError> {
        let mut found = None;
        for entry in self.entries.iter().filter(|entry| entry.has_key()) {
            if self.public_key(entry)? == *public {
                if entry.retired.is_none() {
                    return Ok(Some(entry));
                }
                found = found.or(Some(entry));
            }
        }
        Ok(found)
    }

    /// The entry that has this certificate.
    ///
    /// # Errors
    /// [`KeysError`] for certificates that cannot be read.
    pub fn holder_of(&self, certificate: &Certificate) -> Result<Option<&Entry>, KeysError> {
        for entry in &self.entries {
            if entry.certificates()?.first().is_some_and(|own| own.der() == certificate.der()) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Makes a key, which waits for its certificate; under a name of its use where none is given. It is encrypted where
    /// there is a PIN, or any key here is encrypted.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn generate(&mut self, name: Option<&str>, usage: Usage, spec: KeySpec) -> Result<Entry, TokenError> {
        let name = match name {
            Some(name) => self.free(name)?,
            None => self.next(if usage == Usage::InternalTls { "internal" } else { usage.word() }),
        };
        let pin = self.pin()?;
        let key = PrivateKey::generate(spec)?;
        put_new(&self.dir.join(format!("{name}.key.pem")), &text_of(key.pkcs8(), pin.as_ref())?)?;
        let public = pem::encode(PUBLIC_KEY, key.signing().spki());
        put(&self.dir.join(format!("{name}.pub.pem")), public.as_bytes(), 0o644)?;
        let mut table = Table::new();
        table.insert("name", value(&name));
        table.insert("use", value(usage.word()));
        table.insert("active", value(false));
        self.push(table)?;
        self.write()?;
        self.entry(&name).cloned()
    }

    /// Writes a certificate request for a key, in DER.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn request(&self, name: &str, subject: &Subject, names: &[AltName]) -> Result<Vec<u8>, TokenError> {
        let entry = self.entry(name)?;
        let purpose = match entry.usage {
            Usage::Auth => Purpose::Auth,
            Usage::Sign => Purpose::Sign,
            Usage::InternalTls => Purpose::Tls,
        };
        Ok(request::write(open(&entry.key, &self.pins)?.signing(), subject, names, purpose)?)
    }

    /// Signs bytes with a key, as management requests are signed: an ECDSA value as DER.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn sign(&self, entry: &Entry, bytes: &[u8]) -> Result<(SignatureAlgorithm, Vec<u8>), TokenError> {
        let key = open(&entry.key, &self.pins)?;
        let algorithm = key.signing().algorithm();
        let value = key.signing().sign(algorithm.digest, bytes, EcdsaForm::Der).map_err(KeyError::Crypto)?;
        Ok((algorithm, value))
    }

    /// Puts a certificate, and those above it, beside its key. A key that has one already gets a second entry.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn import(&mut self, name: &str, chain: &[Arc<Certificate>]) -> Result<Entry, TokenError> {
        let text: String = chain.iter().map(|c| pem::encode(pem::CERTIFICATE, c.der())).collect();
        let entry = self.entry(name)?.clone();
        if !entry.certificate.exists() {
            put(&entry.certificate, text.as_bytes(), 0o644)?;
            return Ok(entry);
        }
        let name = self.next(&entry.name);
        put(&self.dir.join(format!("{name}.cert.pem")), text.as_bytes(), 0o644)?;
        let key = entry.key.strip_prefix(&self.dir).unwrap_or(&entry.key);
        let mut table = Table::new();
        table.insert("name", value(&name));
        table.insert("use", value(entry.usage.word()));
        table.insert("key", value(key.display().to_string()));
        table.insert("active", value(false));
        self.push(table)?;
        self.write()?;
        self.entry(&name).cloned()
    }

    /// Lets a key be used; its certificate must be one of its own.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn activate(&mut self, name: &str) -> Result<(), TokenError> {
        let place = self.entry(name)?.place;
        index::open(&self.dir, &self.key(place)?, 1, &self.pins)?;
        self.table(place)?.insert("active", value(true));
        self.table(place)?.remove("retired");
        self.write()
    }

    /// Takes a key out of use, as of `at`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn retire(&mut self, name: &str, at: UnixTime) -> Result<(), TokenError> {
        let place = self.entry(name)?.place;
        self.table(place)?.insert("active", value(false));
        self.table(place)?.insert("retired", value(at.to_rfc3339()));
        self.write()
    }

    /// Removes the private key of a retired entry; what it signed stays proven by its certificate, which stays.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn destroy(&mut self, name: &str) -> Result<(), TokenError> {
        let file = self.entry(name)?.key.clone();
        fs::remove_file(&file).map_err(|source| TokenError::Unwritten { file, source })
    }

    /// Encrypts all keys under a new PIN, or under none; tells how many. Nothing is changed unless all of them open. What
    /// was interrupted is done again: keys that the new PIN opens already are left as they are.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn encrypt(&mut self, new: Option<&Pin>) -> Result<usize, TokenError> {
        let files: BTreeSet<&PathBuf> = self.entries.iter().filter(|e| e.has_key()).map(|e| &e.key).collect();
        let mut texts = Vec::new();
        for file in files {
            if new.is_some_and(|pin| pin::opens(file, pin)) {
                continue;
            }
            texts.push((file, text_of(&pin::read(file, &self.pins)?, new)?));
        }
        for (file, text) in &texts {
            put(file, text.as_bytes(), 0o600)?;
        }
        Ok(texts.len())
    }

    /// The PIN under which keys are encrypted here; `None` where they are not.
    fn pin(&self) -> Result<Option<Pin>, KeysError> {
        let sealed = self.entries.iter().find(|entry| entry.has_key() && !entry.is_unencrypted());
        if let Some(entry) = sealed {
            // One PIN opens all: with another one the gateway would not start.
            pin::read(&entry.key, &self.pins)?;
        }
        self.pins.pin()
    }

    fn key(&self, place: usize) -> Result<Key, KeysError> {
        let index = index::parse(&self.dir, &self.document.to_string())?;
        index.keys.into_iter().nth(place).ok_or_else(|| self.no_list())
    }

    fn no_list(&self) -> KeysError {
        malformed(&self.dir.join(FILE), "its keys are no list of [[key]]".to_owned())
    }

    fn table(&mut self, place: usize) -> Result<&mut Table, KeysError> {
        let error = self.no_list();
        let list = self.document.get_mut("key").and_then(Item::as_array_of_tables_mut);
        list.and_then(|list| list.get_mut(place)).ok_or(error)
    }

    fn push(&mut self, table: Table) -> Result<(), KeysError> {
        let error = self.no_list();
        let item = self.document.entry("key").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut().ok_or(error)?.push(table);
        Ok(())
    }

    /// Puts the index in the old one's place, and reads it again.
    fn write(&mut self) -> Result<(), TokenError> {
        let text = self.document.to_string();
        index::parse(&self.dir, &text)?;
        put(&self.dir.join(FILE), text.as_bytes(), 0o644)?;
        let lock = self.lock.take();
        *self = Self::open(&self.dir, self.pins.clone(), lock)?;
        Ok(())
    }

    fn is_taken(&self, name: &str) -> bool {
        let has_file = |ending: &str| self.dir.join(format!("{name}.{ending}")).exists();
        self.entries.iter().any(|entry| entry.name == name)
            || ["key.pem", "cert.pem", "pub.pem"].into_iter().any(has_file)
    }

    /// This name, if it is one and nobody has it.
    fn free(&self, name: &str) -> Result<String, TokenError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
            return Err(TokenError::Name(name.to_owned()));
        }
        if self.is_taken(name) { Err(TokenError::Taken(name.to_owned())) } else { Ok(name.to_owned()) }
    }

    /// The first free name of a row: `sign`, `sign-2`, `sign-3` …
    fn next(&self, name: &str) -> String {
        let bare = match name.rsplit_once('-') {
            Some((bare, number)) if number.parse::<u32>().is_ok() => bare,
            _ => name,
        };
        let row = std::iter::once(bare.to_owned()).chain((2u32..).map(|number| format!("{bare}-{number}")));
        row.into_iter().find(|name| !self.is_taken(name)).unwrap_or_default()
    }
}

impl Drop for Token {
    /// Gives the directory back, though a child that is being started may hold the lock's file for a moment longer.
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // What cannot be given back goes with the file.
            let _ = lock.unlock();
        }
    }
}

fn entry(dir: &Path, place: usize, key: &Key) -> Result<Entry, KeysError> {
    let file = key.key_file(dir)?;
    Ok(Entry {
        name: key.name.clone().unwrap_or_else(|| name_of(&file)),
        usage: key.usage,
        certificate: key.certificate_file(dir)?,
        key: file,
        is_active: key.active,
        retired: key.retired.clone(),
        place,
    })
}

fn lock(dir: &Path) -> Result<File, TokenError> {
    let path = dir.join(LOCK);
    let unwritten = |source| TokenError::Unwritten { file: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unwritten)?;
    owned_as(&path, dir).map_err(unwritten)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TokenError::Busy(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(unwritten(source)),
    }
}

/// Puts a file in the place of an earlier one, whole.
fn put(file: &Path, bytes: &[u8], mode: u32) -> Result<(), TokenError> {
    let unwritten = |source| TokenError::Unwritten { file: file.to_owned(), source };
    replace_file(file, bytes, mode).map_err(unwritten)?;
    owned_as(file, file.parent().unwrap_or(Path::new("."))).map_err(unwritten)
}

/// Writes a private key into a file that must not be there yet.
fn put_new(file: &Path, text: &str) -> Result<(), TokenError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        made.write_all(text.as_bytes())?;
        made.sync_all()?;
        owned_as(file, dir)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| TokenError::Unwritten { file: file.to_owned(), source })
}

/// Gives a file to whom the directory belongs: root makes keys for the gateway's own user.
fn owned_as(file: &Path, dir: &Path) -> io::Result<()> {
    let (looks, wanted) = (fs::metadata(file)?, fs::metadata(dir)?);
    if (looks.uid(), looks.gid()) == (wanted.uid(), wanted.gid()) || looks.uid() == wanted.uid() {
        return Ok(());
    }
    chown(file, Some(wanted.uid()), Some(wanted.gid()))
}

#[cfg(test)]
mod tests;
