//! The documents of an instance in every version, and the directories that name and sign them.

use super::central::sources;
use super::rotation::Signers;
use super::{Audience, PublishError, write};
use crate::instance::Instance;
use crate::store::{ListedKey, State};
use bytes::Bytes;
use saatkond_proto::globalconf::{self as gc, Content, Draft, GlobalConf, Options, Part, SharedParams};
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

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
    revision: u64,
    validity: Duration,
    /// The keys that its shared parameters name.
    keys: Vec<String>,
    versions: BTreeMap<u8, Vec<Document>>,
}

impl Edition {
    /// Writes all documents; all of them or none.
    ///
    /// What was written is read back as a gateway reads it; nothing may be left out. Two nodes make the same of the same
    /// revision, under the same names, and so does one that began again: whoever has a directory finds its documents.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn new(state: &State, now: UnixTime) -> Result<Self, PublishError> {
        let file = state.instance.clone().ok_or(PublishError::Nothing)?;
        Self::of(&Instance::from_file(file, now)?, state, now)
    }

    /// The same of an instance that was read already.
    pub(super) fn of(instance: &Instance, state: &State, now: UnixTime) -> Result<Self, PublishError> {
        let mut shared = instance.shared().clone();
        shared.sources = sources(instance, &state.keys);
        if shared.sources.is_empty() {
            return Err(PublishError::NoKeys);
        }
        check(instance, &shared, now)?;
        let private = Bytes::from(instance.private().to_xml());
        let mut parts = vec![(Content::Private, gc::layout::PRIVATE, private.clone())];
        for (content, bytes) in instance.options().to_parts() {
            let file = Options::FILES.iter().find(|(identifier, _)| *identifier == content.text());
            let Some((_, file)) = file else { continue };
            parts.push((content, *file, Bytes::from(bytes)));
        }
        let mut written = BTreeMap::new();
        for version in instance.versions() {
            let document = |source| PublishError::Document { version, source };
            let xml = shared.to_xml(version).map_err(document)?;
            gc::PrivateParams::from_xml(&private, version).map_err(document)?;
            let mut documents = parts.clone();
            documents.insert(1, (Content::Shared, gc::layout::SHARED, Bytes::from(xml)));
            written.insert(version, documents);
        }
        let stamp = stamp(state.at(), written.values().flatten().map(|(_, _, bytes)| bytes));
        let place = |(version, documents): (u8, Vec<(Content, &str, Bytes)>)| {
            let documents = documents.into_iter().map(|(content, file, bytes)| Document {
                content,
                location: format!("/V{version}/{stamp}/{file}"),
                bytes,
            });
            (version, documents.collect())
        };
        Ok(Self {
            instance: instance.name().to_owned(),
            revision: state.revision(),
            validity: instance.validity(),
            keys: state.keys.iter().map(|key: &ListedKey| key.id.clone()).collect(),
            versions: written.into_iter().map(place).collect(),
        })
    }

    /// The revision of the state it was made of.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Bytes of all its documents, by version.
    pub fn sizes(&self) -> impl Iterator<Item = (u8, usize)> {
        let size = |documents: &Vec<Document>| documents.iter().map(|document| document.bytes.len()).sum();
        self.versions.iter().map(move |(version, documents)| (*version, size(documents)))
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
        Ok(Publication {
            signed_at: now,
            expires,
            listed: self.keys.clone(),
            signed_with: signers.ids().map(str::to_owned).to_vec(),
            directories,
        })
    }

    /// The document at a path.
    pub(super) fn part(&self, path: &str) -> Option<Bytes> {
        let mut documents = self.versions.values().flatten();
        documents.find(|document| document.location == path).map(|document| document.bytes.clone())
    }
}

/// Signed directories.
#[derive(Debug, Clone)]
pub struct Publication {
    signed_at: UnixTime,
    expires: UnixTime,
    listed: Vec<String>,
    signed_with: Vec<String>,
    directories: BTreeMap<(u8, &'static str), Bytes>,
}

impl Publication {
    /// When they were signed.
    #[must_use]
    pub const fn signed_at(&self) -> UnixTime {
        self.signed_at
    }

    /// Until when they hold.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// The keys whose certificates they tell of.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        &self.listed
    }

    /// The keys that signed them.
    #[must_use]
    pub fn signed_with(&self) -> &[String] {
        &self.signed_with
    }

    /// The directory of a version, such as `internalconf`.
    #[must_use]
    pub fn directory(&self, version: u8, name: &str) -> Option<Bytes> {
        let found = self.directories.iter().find(|((v, n), _)| (*v, *n) == (version, name));
        found.map(|(_, bytes)| bytes.clone())
    }

    /// Writes them and their documents below `directory` as a web server of files would serve them: `V6/internalconf`,
    /// `V6/<stamp>/shared-params.xml`. Documents are on the disk before a directory names them; versions that are no
    /// longer published go, so that nobody is given what has expired.
    ///
    /// # Errors
    /// [`PublishError::File`].
    pub fn write(&self, edition: &Edition, directory: &Path) -> Result<(), PublishError> {
        let trouble = |path: &Path| {
            let path = path.to_owned();
            move |source| PublishError::File { path, source }
        };
        for document in edition.versions.values().flatten() {
            let path = directory.join(document.location.trim_start_matches('/'));
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(trouble(parent))?;
            }
            write(&path, &document.bytes)?;
        }
        for ((version, name), bytes) in &self.directories {
            write(&directory.join(format!("V{version}")).join(name), bytes)?;
        }
        for version in gc::VERSION_MIN..=gc::VERSION_MAX {
            let stale = directory.join(format!("V{version}"));
            if !edition.versions.contains_key(&version) && stale.exists() {
                std::fs::remove_dir_all(&stale).map_err(trouble(&stale))?;
            }
        }
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

/// `yyyyMMddHHmmss` and nine digits, as X-Road names the folder of an edition: when the state was changed last, and
/// digits of what the documents hold.
fn stamp<'a>(changed: UnixTime, documents: impl Iterator<Item = &'a Bytes>) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for document in documents {
        hash.update(&document.len().to_be_bytes());
        hash.update(document);
    }
    let digest = hash.finish();
    let rest =
        digest.as_ref().iter().fold(0_u64, |rest, byte| (rest * 256 + u64::from(*byte)) % 1_000_000_000);
    let (y, mo, d, h, mi, s) = changed.civil();
    format!("{y:04}{mo:02}{d:02}{h:02}{mi:02}{s:02}{rest:09}")
}
