//! What is served: directories signed with the proxy's key, and the documents that they name.

use super::conf;
use super::keep::Held;
use crate::globalconf::{PublishError, Signer};
use bytes::Bytes;
use saatkond_proto::globalconf::{Draft, Source};
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;

/// All that is served at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Signed {
    /// When it was signed.
    pub(super) at: Option<UnixTime>,
    directories: BTreeMap<u8, Bytes>,
    /// Documents by their place, and until when a directory in somebody's hands may name them.
    documents: BTreeMap<String, (UnixTime, Bytes)>,
}

impl Signed {
    /// What follows this: every version signed at `now`, or nothing changed.
    ///
    /// A version holds for `validity` from now, and from upstream's end when that has passed: never longer.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(super) fn next<'a>(
        &self,
        held: impl Iterator<Item = &'a Held>,
        conf: &conf::File,
        signer: &Signer,
        source: &Source,
        now: UnixTime,
    ) -> Result<Self, PublishError> {
        let mut next = Self { at: Some(now), ..Self::default() };
        let earlier = self.documents.iter().filter(|(_, (until, _))| now <= *until);
        next.documents = earlier.map(|(place, document)| (place.clone(), document.clone())).collect();
        for held in held {
            let expires = now.min(held.expires).plus(conf.validity.0);
            let documents = held.documents(&conf.name, source)?;
            let parts = documents.iter().map(|document| document.part.clone()).collect();
            let draft = Draft { expires, version: held.version, parts };
            next.directories.insert(held.version, signer.sign(&draft)?);
            for document in documents {
                next.documents.insert(document.part.location, (expires, document.bytes));
            }
        }
        Ok(next)
    }

    /// The signed directory of a version.
    pub(super) fn directory(&self, version: u8) -> Option<Bytes> {
        self.directories.get(&version).cloned()
    }

    /// The document at a place.
    pub(super) fn document(&self, place: &str) -> Option<Bytes> {
        self.documents.get(place).map(|(_, bytes)| bytes.clone())
    }
}
