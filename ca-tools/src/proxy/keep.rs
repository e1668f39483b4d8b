//! What was fetched and verified last: held in memory, and on the disk for the next start.
//!
//! On the disk lies, of each version, the directory signed anew with the proxy's own key and dated with upstream's own
//! end, `kept/V<N>`, and beside it the documents as they came, each under its digest. A directory is replaced after its
//! documents are there: a crash at any byte leaves the one before. Who cannot sign with the key cannot put words there.

use super::ProxyError;
use crate::globalconf::{PublishError, Signer, write};
use bytes::Bytes;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::{
    Content, Directory, DirectoryError, Draft, Part, SharedParams, SignedDirectory, Source, layout,
};
use saatkond_proto::id::form_encoded;
use saatkond_proto::time::UnixTime;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One version of the configuration as upstream signed it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Until when upstream's own signature holds.
    pub(super) expires: UnixTime,
    pub(super) version: u8,
    pub(super) shared: SharedParams,
    parts: Vec<(Part, Bytes)>,
}

/// A part as it is passed on.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) part: Part,
    pub(super) bytes: Bytes,
}

impl Held {
    /// Holds every part against its digest and reads what must be read.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub(super) fn new(
        expires: UnixTime,
        version: u8,
        instance: &str,
        parts: Vec<(Part, Bytes)>,
    ) -> Result<Self, DirectoryError> {
        let mut shared = None;
        for (part, bytes) in &parts {
            match part.content {
                Content::Shared => shared = Some(part.shared(bytes, version)?),
                Content::Private => {
                    part.private(bytes, version)?;
                }
                Content::Other(_) => part.check(bytes)?,
            }
        }
        let missing =
            || DirectoryError::MissingPart { expected: "SHARED-PARAMETERS", instance: instance.to_owned() };
        let shared = shared.ok_or_else(missing)?;
        if shared.instance != instance {
            let (expected, found) = (instance.to_owned(), shared.instance);
            return Err(DirectoryError::Instance { expected, found });
        }
        Ok(Self { expires, version, shared, parts })
    }

    /// The bytes that are held for a part, where they are the ones listed.
    pub(super) fn bytes_of(&self, part: &Part) -> Option<Bytes> {
        let mut held = self.parts.iter().map(|(_, bytes)| bytes);
        held.find(|bytes| part.check(bytes).is_ok()).cloned()
    }

    /// What is passed on, below `/<name>/`: all of it as it came, but for the places that publish the configuration,
    /// of which the proxy names itself alone. Spec: trust-and-configuration §8.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(super) fn documents(&self, name: &str, source: &Source) -> Result<Vec<Document>, PublishError> {
        let version = self.version;
        let mut documents = Vec::new();
        for (part, bytes) in &self.parts {
            let bytes = if part.content == Content::Shared {
                let mut shared = self.shared.clone();
                shared.sources = vec![source.clone()];
                let xml = shared.to_xml(version);
                Bytes::from(xml.map_err(|source| PublishError::Document { version, source })?)
            } else {
                bytes.clone()
            };
            let stored = layout::path_of(part)?;
            let file = stored.rsplit('/').next().unwrap_or(&stored);
            let digest = digest_name(&bytes);
            let location = format!("/{name}/V{version}/{digest}/{}", form_encoded(file));
            let mut part = Part {
                file_name: part.file_name.clone(),
                ..Part::of(part.content.clone(), &part.instance, &location, &bytes)
            };
            if matches!(part.content, Content::Other(_)) {
                part.file_name = Some(file.to_owned());
            }
            documents.push(Document { part, bytes });
        }
        Ok(documents)
    }
}

/// A name that bytes always have and no others do.
fn digest_name(bytes: &[u8]) -> String {
    DigestAlgorithm::Sha256.digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("kept")
}

/// Writes a version to the disk.
///
/// # Errors
/// [`PublishError`]; what was there before then stays.
pub(super) fn save(directory: &Path, held: &Held, signer: &Signer) -> Result<(), PublishError> {
    let folder = folder(directory);
    std::fs::create_dir_all(&folder).map_err(|source| PublishError::File { path: folder.clone(), source })?;
    for (_, bytes) in &held.parts {
        let path = folder.join(digest_name(bytes));
        if !path.exists() {
            write(&path, bytes)?;
        }
    }
    let parts = held.parts.iter().map(|(part, bytes)| Part {
        location: digest_name(bytes),
        file_name: Some(file_name(part)),
        ..Part::of(part.content.clone(), &part.instance, &part.location, bytes)
    });
    let draft = Draft { expires: held.expires, version: held.version, parts: parts.collect() };
    write(&folder.join(format!("V{}", held.version)), &signer.sign(&draft)?)
}

fn file_name(part: &Part) -> String {
    let stored = layout::path_of(part).unwrap_or_default();
    stored.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Reads a version from the disk; `None` where none was kept.
///
/// # Errors
/// [`ProxyError`] for one that is damaged, or signed with another key.
pub(super) fn load(
    directory: &Path,
    instance: &str,
    version: u8,
    signer: &Signer,
) -> Result<Option<Held>, ProxyError> {
    let folder = folder(directory);
    let path = folder.join(format!("V{version}"));
    if !path.exists() {
        return Ok(None);
    }
    let file = |path: &Path, source| PublishError::File { path: path.to_owned(), source };
    let bytes = std::fs::read(&path).map_err(|e| file(&path, e))?;
    // how long it may be passed on is decided when it is signed
    let never_expired = UnixTime::from_secs(0);
    let wrong = |source| ProxyError::Kept { path: path.clone(), source };
    let directory: Directory = SignedDirectory::parse(&bytes)
        .and_then(|signed| signed.verify(signer.certificates(), never_expired))
        .map_err(wrong)?;
    let mut parts = Vec::new();
    for part in directory.parts {
        let path = folder.join(&part.location);
        parts.push((part, Bytes::from(std::fs::read(&path).map_err(|e| file(&path, e))?)));
    }
    Held::new(directory.expires, version, instance, parts).map(Some).map_err(wrong)
}

/// Removes documents that no version needs any more.
pub(super) fn tidy<'a>(directory: &Path, held: impl Iterator<Item = &'a Held>) {
    let needed: BTreeSet<String> =
        held.flat_map(|held| held.parts.iter().map(|(_, bytes)| digest_name(bytes))).collect();
    let Ok(entries) = std::fs::read_dir(folder(directory)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('V') && !needed.contains(&name) {
            // what stays is found by the next one who tidies
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
