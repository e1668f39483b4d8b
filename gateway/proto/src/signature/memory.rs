//! What was found to hold, by its bytes: a signature document comes with every message of its batch, a certificate and its
//! OCSP responses with every message of a signer.
//!
//! Only good news is kept, and only what does not depend on the message: which parts a document covers is looked at each
//! time. A memory belongs to one global configuration and ends with it. Spec: performance.md §4.3.

use super::xades::{Reference, Signature};
use super::{Unverified, Verified};
use crate::crypto::SignatureAlgorithm;
use crate::id::MemberId;
use crate::limits;
use crate::time::UnixTime;
use crate::trust::Certificate;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Signature documents and credentials that held. Bounded: the half not asked for longest goes first.
#[derive(Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    documents: Halves<Document>,
    credentials: Halves<Credentials>,
}

/// A signature document whose value holds, by credentials that hold.
pub(super) struct Document {
    /// Those into the document hold.
    pub(super) references: Vec<Reference>,
    certificate: Arc<Certificate>,
    algorithm: SignatureAlgorithm,
    signing_time: Option<UnixTime>,
    value: Vec<u8>,
    credentials: Arc<Credentials>,
}

/// A sign certificate that leads to an approved authority, is the signer's and is good.
pub(super) struct Credentials {
    /// When the certificate's status was told.
    pub(super) status_time: UnixTime,
    /// The approved authority's name.
    pub(super) ca_name: String,
    /// When it was looked at.
    pub(super) from: UnixTime,
    /// The last moment at which it must come out the same; `None` where that cannot be said.
    pub(super) until: Option<UnixTime>,
}

impl Credentials {
    fn hold_at(&self, at: UnixTime) -> bool {
        self.until.is_some_and(|until| self.from <= at && at <= until)
    }
}

impl Document {
    pub(super) fn new(signature: Signature<'_, '_>, credentials: Arc<Credentials>) -> Self {
        let Signature { references, certificate, algorithm, signing_time, value, .. } = signature;
        Self { references, certificate, algorithm, signing_time, value, credentials }
    }

    /// `unverified` is known to be covered.
    pub(super) fn verified(&self, unverified: Unverified) -> Verified {
        Verified {
            unverified,
            certificate: Arc::clone(&self.certificate),
            algorithm: self.algorithm,
            status_time: self.credentials.status_time,
            signing_time: self.signing_time,
            signature_value: self.value.clone(),
            ca_name: self.credentials.ca_name.clone(),
        }
    }
}

impl Memory {
    /// The document of exactly these bytes, if it was found to hold as `member`'s and still does at `at`.
    pub(super) fn document(&self, bytes: &[u8], member: &MemberId, at: UnixTime) -> Option<Arc<Document>> {
        let key = key(member, [bytes]);
        let found = self.with(|kept| kept.documents.find(&key, limits::SIGNATURES_KEPT_MAX));
        found.filter(|document| document.credentials.hold_at(at))
    }

    pub(super) fn keep_document(&self, bytes: &[u8], member: &MemberId, document: &Arc<Document>) {
        if document.credentials.until.is_some() {
            let key = key(member, [bytes]);
            let document = Arc::clone(document);
            self.with(|kept| kept.documents.keep(key, document, limits::SIGNATURES_KEPT_MAX));
        }
    }

    /// What is known of exactly these certificates and responses as `member`'s, if it still holds at `at`.
    pub(super) fn credentials(
        &self,
        signature: &Signature<'_, '_>,
        member: &MemberId,
        at: UnixTime,
    ) -> Option<Arc<Credentials>> {
        let key = key(member, shown(signature));
        let found = self.with(|kept| kept.credentials.find(&key, limits::CREDENTIALS_KEPT_MAX));
        found.filter(|credentials| credentials.hold_at(at))
    }

    pub(super) fn keep_credentials(
        &self,
        signature: &Signature<'_, '_>,
        member: &MemberId,
        credentials: &Arc<Credentials>,
    ) {
        if credentials.until.is_some() {
            let key = key(member, shown(signature));
            let credentials = Arc::clone(credentials);
            self.with(|kept| kept.credentials.keep(key, credentials, limits::CREDENTIALS_KEPT_MAX));
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A copy remembers nothing: what it is copied for may believe other authorities.
impl Clone for Memory {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// Everything that credentials rest on, besides configuration and time.
fn shown<'s>(signature: &'s Signature<'_, '_>) -> impl Iterator<Item = &'s [u8]> {
    let certificates = std::iter::once(&signature.certificate).chain(&signature.intermediates);
    let responses = signature.ocsp.iter().map(Vec::as_slice);
    certificates.map(|c| c.der()).chain(std::iter::once(&[][..])).chain(responses)
}

/// All pieces, each with its length before it: no two lists have the same key.
fn key<'a>(member: &MemberId, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut key = Vec::new();
    let mut add = |piece: &[u8]| {
        key.extend_from_slice(&piece.len().to_be_bytes());
        key.extend_from_slice(piece);
    };
    [&member.instance, &member.class, &member.code].into_iter().for_each(|name| add(name.as_bytes()));
    pieces.into_iter().for_each(&mut add);
    key
}

/// A map that forgets the half that was not asked for longest when it is full.
struct Halves<T> {
    young: HashMap<Vec<u8>, Arc<T>>,
    old: HashMap<Vec<u8>, Arc<T>>,
}

impl<T> Default for Halves<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T> Halves<T> {
    fn find(&mut self, key: &[u8], most: usize) -> Option<Arc<T>> {
        if let Some(found) = self.young.get(key) {
            return Some(Arc::clone(found));
        }
        let (key, found) = self.old.remove_entry(key)?;
        self.keep(key, Arc::clone(&found), most);
        Some(found)
    }

    fn keep(&mut self, key: Vec<u8>, value: Arc<T>, most: usize) {
        if self.young.len() >= most / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests;
