//! The instance's configuration, signed and ready to be asked for: versions 2 to 6, internal and external.
//!
//! The authority's directory:
//!
//! | file | what it is | what its thief could do |
//! |---|---|---|
//! | `applied.toml` | the instance as last applied, all certificates inside | read what is public anyway |
//! | `internal.key.pem`, `external.key.pem` | what the configuration is signed with | say who is trusted: everything |
//! | `internal.cert.pem`, `external.cert.pem` | their certificates; more may follow the first, of keys to come | read it |
//! | `anchor-internal.xml`, `anchor-external.xml` | where to ask and whose signature to believe | read it |
//!
//! An [`Edition`] is the documents of all versions, made anew when the instance changes and only when all of them
//! could be made. Signing it gives it the next ten minutes; a bad new instance leaves the last good one published.
//! Spec: trust-and-configuration §1.3–1.6, §7.2, §11.3.

use crate::ca::{self, CaError};
use crate::index::replace_file;
use crate::instance::{Instance, InstanceError};
use crate::key::{KeyError, KeySpec, PrivateKey};
use crate::pem;
pub use crate::store::Audience;
use crate::template;
use bytes::Bytes;
use saatkond_proto::globalconf::{
    self as gc, Anchor, AnchorSource, Content, DirectoryError, Draft, GlobalConf, LookupError, Options,
    ParamsError, Part, SharedParams, Source,
};
use saatkond_proto::time::UnixTime;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The instance as last applied.
const APPLIED_FILE: &str = "applied.toml";

/// A configuration that is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A file.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Keys are there already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// The instance.
    #[error("{0}")]
    Instance(#[from] InstanceError),
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signing certificate.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// A document that no reader would take.
    #[error("version {version} cannot be written: {source}")]
    Document {
        /// The version of the document.
        version: u8,
        /// Why.
        source: ParamsError,
    },
    /// A directory.
    #[error("the directory cannot be signed: {0}")]
    Directory(#[from] DirectoryError),
    /// Our own reader would not take it.
    #[error("our own gateways would not take it: {0}")]
    Lookup(#[from] LookupError),
    /// Our own reader would leave something out.
    #[error("our own gateways would leave something out: {0}")]
    LeftOut(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
}

/// A key that signs configuration, and every certificate that may.
#[derive(Debug)]
pub struct Signer {
    key: PrivateKey,
    certificates: Vec<Vec<u8>>,
}

impl Signer {
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
        let certificate = template::self_signed(&key, &format!("{name}SigningKey"), NOT_BEFORE, NOT_AFTER)?;
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

/// The two keys that sign an instance's configuration.
#[derive(Debug)]
pub struct Signers {
    internal: Signer,
    external: Signer,
}

impl Signers {
    /// Makes both keys and their self-signed certificates in `directory`.
    ///
    /// # Errors
    /// [`PublishError::Exists`] when there are some; [`PublishError`].
    pub fn create(directory: &Path, spec: KeySpec) -> Result<Self, PublishError> {
        let file = |source| PublishError::File { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(file)?;
        for audience in Audience::ALL {
            Signer::create(directory, audience.name(), spec)?;
        }
        Self::open(directory)
    }

    /// Opens both keys in `directory`.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open(directory: &Path) -> Result<Self, PublishError> {
        let open = |audience: Audience| Signer::open(directory, audience.name());
        Ok(Self { internal: open(Audience::Internal)?, external: open(Audience::External)? })
    }

    fn of(&self, audience: Audience) -> &Signer {
        match audience {
            Audience::Internal => &self.internal,
            Audience::External => &self.external,
        }
    }

    /// The anchor for an audience: `http` sources first, since X-Road's client derives `https` from them.
    #[must_use]
    pub fn anchor(&self, instance: &Instance, audience: Audience, generated_at: UnixTime) -> Anchor {
        let sources = instance.addresses().iter().map(|address| AnchorSource {
            url: format!("http://{address}/{}", audience.directory()),
            certificates: self.of(audience).certificates.clone(),
        });
        Anchor {
            generated_at: Some(generated_at),
            instance: instance.name().to_owned(),
            sources: sources.collect(),
        }
    }

    fn sources(&self, instance: &Instance) -> Vec<Source> {
        let source = |address: &String| Source {
            address: address.clone(),
            internal: self.internal.certificates.clone(),
            external: self.external.certificates.clone(),
        };
        instance.addresses().iter().map(source).collect()
    }
}

/// The dates of certificates that sign configuration; nobody looks at them. Seen: X-Road 7.8's are the same.
const NOT_BEFORE: UnixTime = UnixTime::from_secs(0);
/// 2038-01-01.
const NOT_AFTER: UnixTime = UnixTime::from_secs(2_145_916_800);

/// One document of an edition.
#[derive(Debug, Clone)]
struct Document {
    content: Content,
    location: String,
    bytes: Bytes,
}

/// The documents of an instance in all its versions, not signed yet.
#[derive(Debug, Clone)]
pub struct Edition {
    instance: String,
    validity: Duration,
    versions: BTreeMap<u8, Vec<Document>>,
}

impl Edition {
    /// Writes all documents; all of them or none.
    ///
    /// What was written is read back as a gateway reads it; nothing may be left out.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn new(instance: &Instance, signers: &Signers, now: UnixTime) -> Result<Self, PublishError> {
        let mut shared = instance.shared().clone();
        shared.sources = signers.sources(instance);
        check(instance, &shared, now)?;
        let stamp = stamp(now, random()?);
        let private = Bytes::from(instance.private().to_xml());
        let mut versions = BTreeMap::new();
        for version in instance.versions() {
            let document = |content: Content, file: &str, bytes: Bytes| Document {
                content,
                location: format!("/V{version}/{stamp}/{file}"),
                bytes,
            };
            let xml = shared.to_xml(version).map_err(|source| PublishError::Document { version, source })?;
            gc::PrivateParams::from_xml(&private, version)
                .map_err(|source| PublishError::Document { version, source })?;
            let mut documents = vec![
                document(Content::Private, gc::layout::PRIVATE, private.clone()),
                document(Content::Shared, gc::layout::SHARED, Bytes::from(xml)),
            ];
            for (content, bytes) in instance.options().to_parts() {
                let file = Options::FILES.iter().find(|(identifier, _)| *identifier == content.text());
                let Some((_, file)) = file else { continue };
                documents.push(document(content, file, Bytes::from(bytes)));
            }
            versions.insert(version, documents);
        }
        let validity = instance.validity();
        Ok(Self { instance: instance.name().to_owned(), validity, versions })
    }

    /// Signs the directories of all versions; they hold from `now` for as long as the instance says.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn sign(&self, signers: &Signers, now: UnixTime) -> Result<Publication, PublishError> {
        let expires = now.plus(self.validity);
        let mut directories = BTreeMap::new();
        for (version, documents) in &self.versions {
            for audience in Audience::ALL {
                let parts = documents
                    .iter()
                    .filter(|document| audience == Audience::Internal || document.content == Content::Shared)
                    .map(|d| Part::of(d.content.clone(), &self.instance, &d.location, &d.bytes));
                let draft = Draft { expires, version: *version, parts: parts.collect() };
                directories.insert((*version, audience.directory()), signers.of(audience).sign(&draft)?);
            }
        }
        Ok(Publication { signed_at: now, expires, directories })
    }

    fn part(&self, path: &str) -> Option<Bytes> {
        let mut documents = self.versions.values().flatten();
        documents.find(|document| document.location == path).map(|document| document.bytes.clone())
    }
}

/// Signed directories.
#[derive(Debug, Clone)]
pub struct Publication {
    signed_at: UnixTime,
    expires: UnixTime,
    directories: BTreeMap<(u8, &'static str), Bytes>,
}

impl Publication {
    /// Until when they hold.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// Writes them and their documents below `directory` as a web server of files would serve them: `V6/internalconf`,
    /// `V6/<stamp>/shared-params.xml`. Documents are on the disk before a directory names them.
    ///
    /// # Errors
    /// [`PublishError::File`].
    pub fn write(&self, edition: &Edition, directory: &Path) -> Result<(), PublishError> {
        for document in edition.versions.values().flatten() {
            let path = directory.join(document.location.trim_start_matches('/'));
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|source| PublishError::File { path: parent.to_owned(), source })?;
            }
            write(&path, &document.bytes)?;
        }
        for ((version, name), bytes) in &self.directories {
            write(&directory.join(format!("V{version}")).join(name), bytes)?;
        }
        Ok(())
    }
}

/// Publishes what was last applied: signs anew when it is due, and takes over what was applied since.
///
/// All of it goes by the clock of whoever asks; nothing here sleeps.
#[derive(Debug)]
pub struct Publisher {
    directory: PathBuf,
    signers: Signers,
    /// The text of the instance that the newest edition was made from.
    applied: String,
    renewal: Duration,
    edition: Edition,
    publication: Publication,
    /// Editions that a directory still in somebody's hands may name, and until when.
    earlier: VecDeque<(UnixTime, Edition)>,
    /// Why what was applied last is not what is published.
    trouble: Option<String>,
}

impl Publisher {
    /// Opens the authority's directory and signs for the first time.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open(directory: &Path, now: UnixTime) -> Result<Self, PublishError> {
        let signers = Signers::open(directory)?;
        let applied = read_applied(directory)?;
        let instance = Instance::from_text(&applied, directory, now)?;
        let edition = Edition::new(&instance, &signers, now)?;
        let publication = edition.sign(&signers, now)?;
        Ok(Self {
            directory: directory.to_owned(),
            signers,
            applied,
            renewal: instance.renewal(),
            edition,
            publication,
            earlier: VecDeque::new(),
            trouble: None,
        })
    }

    /// Signs anew when the last time is longer ago than the instance's `renewal`, or lies in the future.
    ///
    /// An instance applied since is taken over then; one that cannot be published is told in [`Publisher::trouble`]
    /// and leaves the last good one in its place, signed anew. Tells whether it was due.
    ///
    /// # Errors
    /// [`PublishError`] when nothing could be signed: what is published runs out.
    pub fn renew(&mut self, now: UnixTime) -> Result<bool, PublishError> {
        let signed_at = self.publication.signed_at;
        if signed_at <= now && now < signed_at.plus(self.renewal) {
            return Ok(false);
        }
        self.trouble = self.take_over(now).err().map(|e| chain(&e));
        let publication = self.edition.sign(&self.signers, now)?;
        self.publication = publication;
        self.earlier.retain(|(until, _)| *until >= now);
        Ok(true)
    }

    /// Why what was applied last is not what is published; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Until when what is published holds.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.publication.expires
    }

    /// How often it is signed anew.
    #[must_use]
    pub const fn renewal(&self) -> Duration {
        self.renewal
    }

    /// What lies at a path, such as `/internalconf` with the query `version=6`, or `/V6/<stamp>/shared-params.xml`.
    #[must_use]
    pub fn find(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        let directory = Audience::ALL.into_iter().map(Audience::directory);
        if let Some(name) = directory.into_iter().find(|name| path.strip_prefix('/') == Some(name)) {
            let version = version_asked(query)?;
            return self.publication.directories.get(&(version, name)).cloned();
        }
        let stored = path.strip_prefix("/V").and_then(|rest| rest.split_once('/'));
        if let Some((version, name)) = stored
            && let Some(audience) = Audience::ALL.into_iter().find(|a| a.directory() == name)
        {
            let version = version.parse().ok()?;
            return self.publication.directories.get(&(version, audience.directory())).cloned();
        }
        let editions = std::iter::once(&self.edition).chain(self.earlier.iter().rev().map(|(_, e)| e));
        editions.into_iter().find_map(|edition| edition.part(path))
    }

    fn take_over(&mut self, now: UnixTime) -> Result<(), PublishError> {
        let applied = read_applied(&self.directory)?;
        if applied == self.applied {
            return Ok(());
        }
        let instance = Instance::from_text(&applied, &self.directory, now)?;
        let edition = Edition::new(&instance, &self.signers, now)?;
        let until = self.publication.expires;
        self.earlier.push_back((until, std::mem::replace(&mut self.edition, edition)));
        self.renewal = instance.renewal();
        self.applied = applied;
        Ok(())
    }
}

/// What a gateway of ours would make of it must be whole.
fn check(instance: &Instance, shared: &SharedParams, now: UnixTime) -> Result<(), PublishError> {
    let version = gc::VERSION_MAX;
    let document = |source| PublishError::Document { version, source };
    let xml = shared.to_xml(version).map_err(document)?;
    let read = gc::Instance {
        shared: SharedParams::from_xml(&xml, version).map_err(document)?,
        private: Some(instance.private().clone()),
        expires: now.plus(instance.validity()),
        options: instance.options().clone(),
    };
    let conf = GlobalConf::new(instance.name(), vec![read])?;
    match conf.left_out().next() {
        Some(left_out) => Err(PublishError::LeftOut(left_out.to_owned())),
        None => Ok(()),
    }
}

/// Checks an instance's file as [`apply`] does, and changes nothing.
///
/// # Errors
/// [`PublishError`].
pub fn check_file(file: &Path, directory: &Path, now: UnixTime) -> Result<Instance, PublishError> {
    let instance = Instance::read(file, now)?;
    let signers = Signers::open(directory)?;
    // one that cannot be read any more holds nobody up: gateways keep the same rule
    if let Ok(before) = applied(directory, now) {
        instance.check_follows(&before)?;
    }
    // signing finds what no header can carry
    Edition::new(&instance, &signers, now)?.sign(&signers, now)?;
    Ok(instance)
}

/// Applies an instance's file: checks it, keeps it with every certificate inside, and writes the anchors where they
/// changed. Who publishes takes it over at its next renewal.
///
/// # Errors
/// [`PublishError`]; nothing has changed then.
pub fn apply(file: &Path, directory: &Path, now: UnixTime) -> Result<Instance, PublishError> {
    let instance = check_file(file, directory, now)?;
    let signers = Signers::open(directory)?;
    for audience in Audience::ALL {
        let path = directory.join(format!("anchor-{}.xml", audience.name()));
        let anchor = signers.anchor(&instance, audience, now);
        let kept = std::fs::read(&path).ok().and_then(|bytes| Anchor::from_xml(&bytes).ok());
        let same =
            kept.is_some_and(|kept| kept.instance == anchor.instance && kept.sources == anchor.sources);
        if !same {
            write(&path, &anchor.to_xml())?;
        }
    }
    write(&directory.join(APPLIED_FILE), instance.applied()?.as_bytes())?;
    Ok(instance)
}

/// The instance that was last applied in `directory`.
///
/// # Errors
/// [`PublishError`].
pub fn applied(directory: &Path, now: UnixTime) -> Result<Instance, PublishError> {
    Ok(Instance::from_text(&read_applied(directory)?, directory, now)?)
}

/// The file of an audience's anchor in `directory`.
#[must_use]
pub fn anchor_file(directory: &Path, audience: Audience) -> PathBuf {
    directory.join(format!("anchor-{}.xml", audience.name()))
}

/// The version that a query asks for: 2 when it names none. Seen: X-Road 7.8's web server takes what is not digits
/// for none, and a number that is not published for what is not there.
pub(crate) fn version_asked(query: Option<&str>) -> Option<u8> {
    let named = query.into_iter().flat_map(|q| q.split('&')).find_map(|pair| pair.strip_prefix("version="));
    match named {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            // `06` names no directory
            text.parse().ok().filter(|version: &u8| version.to_string() == text)
        }
        _ => Some(gc::VERSION_MIN),
    }
}

/// `yyyyMMddHHmmss` and nine digits, as X-Road names the folder of an edition: milliseconds, then digits that tell two
/// editions of one millisecond apart.
fn stamp(now: UnixTime, random: [u8; 40]) -> String {
    let (y, mo, d, h, mi, s) = now.civil();
    let millis = now.millis().rem_euclid(1000);
    let rest = random.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 1_000_000);
    format!("{y:04}{mo:02}{d:02}{h:02}{mi:02}{s:02}{millis:03}{rest:06}")
}

fn paths(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{name}.key.pem")), directory.join(format!("{name}.cert.pem")))
}

fn read_applied(directory: &Path) -> Result<String, PublishError> {
    let path = directory.join(APPLIED_FILE);
    std::fs::read_to_string(&path).map_err(|source| PublishError::File { path, source })
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    replace_file(path, bytes, 0o644).map_err(|source| PublishError::File { path: path.to_owned(), source })
}

pub(crate) fn random() -> Result<[u8; 40], PublishError> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 40];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| PublishError::NoRandom)?;
    Ok(bytes)
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
