//! The keys that sign the configuration, and changing them without losing a client.
//!
//! A client believes the certificates of its anchor and those that the shared parameters it stored last tell of. So a
//! new key is *added*: anchor and shared parameters name it while the old one still signs. Once whatever any node signed
//! without it has expired every client that runs knows it, and it may be *activated*. Once whatever the old one signed
//! has expired nobody needs that any more, and it may be *retired*. Each step is refused before its time; who must be
//! faster, since a key was stolen, may insist, and brings new anchors to every client.
//!
//! Version 2 of the configuration tells of no keys: clients that read it, other instances that never fetch ours, and
//! servers that were switched off all the while need the new anchor by hand, before the new key is activated.
//! Spec: trust-and-configuration §7.3.

use super::central::Central;
use super::signer::{Signer, self_signed};
use super::{Audience, PublishError};
use crate::key::{KeySpec, PrivateKey};
use crate::pem;
use crate::store::{By, ListedKey, Signing, State};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::time::UnixTime;
use std::path::{Path, PathBuf};

/// Keys of one node for one audience: the old one, the new one, and two that somebody forgot.
const KEYS_MAX: usize = 4;

/// The two keys that a node signs with.
#[derive(Debug)]
pub struct Signers {
    internal: (String, Signer),
    external: (String, Signer),
}

impl Signers {
    /// Opens the active keys of a node: certificates as the state lists them, private keys in `directory`.
    pub(super) fn open(directory: &Path, node: &str, keys: &[ListedKey]) -> Result<Self, PublishError> {
        let open = |audience: Audience| {
            let listed = keys.iter().find(|k| k.is_active && k.node == node && k.audience == audience);
            let listed =
                listed.ok_or_else(|| PublishError::NoActiveKey { node: node.to_owned(), audience })?;
            Ok::<_, PublishError>((listed.id.clone(), open_listed(directory, listed)?))
        };
        Ok(Self { internal: open(Audience::Internal)?, external: open(Audience::External)? })
    }

    pub(super) const fn of(&self, audience: Audience) -> &Signer {
        match audience {
            Audience::Internal => &self.internal.1,
            Audience::External => &self.external.1,
        }
    }

    pub(super) fn ids(&self) -> [&str; 2] {
        [&self.internal.0, &self.external.0]
    }
}

fn open_listed(directory: &Path, listed: &ListedKey) -> Result<Signer, PublishError> {
    let path = key_file(directory, listed.audience, &listed.id);
    let key = PrivateKey::open(&path)?;
    let certificate = pem::decode_all(pem::CERTIFICATE, &listed.certificate).into_iter().next();
    let signer = certificate.and_then(|certificate| Signer::of(key, certificate));
    signer.ok_or_else(|| PublishError::WrongKey { path, id: listed.id.clone() })
}

/// A key and where it stands in its life, for people.
#[derive(Debug, Clone)]
pub struct KeyState {
    /// The key.
    pub key: ListedKey,
    /// When every client that runs knows it; `None` while some node has not told of it.
    pub ready_at: Option<UnixTime>,
    /// Until when something it signed holds; `None` when it never signed.
    pub needed_until: Option<UnixTime>,
}

impl Central {
    /// Makes a key of this node and lists it; the first for its audience is active at once.
    ///
    /// # Errors
    /// [`PublishError::TooManyKeys`]; [`PublishError`].
    pub fn add_key(&self, audience: Audience, spec: KeySpec, by: &By<'_>) -> Result<ListedKey, PublishError> {
        let key = PrivateKey::generate(spec)?;
        let certificate = self_signed(&key, audience.name())?;
        let digest = DigestAlgorithm::Sha256.digest(certificate.der());
        let id: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // the key is on the disk before anybody is told of it
        key.save(&key_file(self.directory(), audience, &id))?;
        let mut listed = ListedKey {
            id,
            node: self.node().to_owned(),
            audience,
            certificate: pem::encode(pem::CERTIFICATE, certificate.der()),
            is_active: false,
            added_at: by.at.millis(),
        };
        let (_, listed) = self.change(by, |state| {
            let own = state.keys.iter().filter(|k| k.node == listed.node && k.audience == audience);
            let count = own.clone().count();
            if count >= KEYS_MAX {
                return Err(PublishError::TooManyKeys { audience, most: KEYS_MAX });
            }
            listed.is_active = !own.clone().any(|key| key.is_active);
            state.keys.push(listed.clone());
            Ok(listed.clone())
        })?;
        Ok(listed)
    }

    /// Lets this node sign with a key from its next renewal on; the one it signed with so far stays listed.
    ///
    /// # Errors
    /// [`PublishError::Strands`] when some client could not know it yet and `insists` is not set; [`PublishError`].
    pub fn activate_key(&self, id: &str, insists: bool, by: &By<'_>) -> Result<ListedKey, PublishError> {
        let signings = self.store().signings()?;
        let (_, key) = self.change(by, |state| {
            let key = named(state, id)?.clone();
            if key.node != self.node() {
                return Err(PublishError::OtherNode { id: id.to_owned(), node: key.node });
            }
            open_listed(self.directory(), &key)?;
            if !insists && !key.is_active {
                known_everywhere(&key, &signings, by.at)?;
            }
            for other in &mut state.keys {
                if other.node == key.node && other.audience == key.audience {
                    other.is_active = other.id == id;
                }
            }
            Ok(key)
        })?;
        Ok(key)
    }

    /// Forgets a key: anchors and shared parameters no longer name it, and its file goes if it lies here.
    ///
    /// # Errors
    /// [`PublishError::Active`]; [`PublishError::Strands`] while something it signed holds and `insists` is not set;
    /// [`PublishError`].
    pub fn retire_key(&self, id: &str, insists: bool, by: &By<'_>) -> Result<ListedKey, PublishError> {
        let signings = self.store().signings()?;
        let (_, key) = self.change(by, |state| {
            let key = named(state, id)?.clone();
            // the active key of a node that is lost goes with it
            if key.is_active && (key.node == self.node() || !insists) {
                return Err(PublishError::Active { id: id.to_owned() });
            }
            let needed = signings.iter().filter(|s| s.key == id).filter_map(|s| s.needed_until).max();
            if let Some(until) = needed.filter(|until| !insists && *until >= by.at) {
                let reason = format!("what it signed holds until {until}");
                return Err(PublishError::Strands { id: id.to_owned(), reason });
            }
            state.keys.retain(|other| other.id != id);
            Ok(key)
        })?;
        if key.node == self.node() {
            let path = key_file(self.directory(), key.audience, id);
            std::fs::remove_file(&path).map_err(|source| PublishError::File { path, source })?;
        }
        Ok(key)
    }

    /// Every key and where it stands.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub fn keys(&self, now: UnixTime) -> Result<Vec<KeyState>, PublishError> {
        let signings = self.store().signings()?;
        let state = self.read()?;
        let stands = |key: &ListedKey| {
            let own = || signings.iter().filter(|signing| signing.key == key.id);
            KeyState {
                key: key.clone(),
                ready_at: missing_at(key, &signings, now)
                    .is_none()
                    .then(|| own().map(|s| s.ready_at).max())
                    .flatten(),
                needed_until: own().filter_map(|signing| signing.needed_until).max(),
            }
        };
        Ok(state.keys.iter().map(stands).collect())
    }
}

/// A node that still has something in force and has not told of a key.
fn missing_at<'a>(key: &ListedKey, signings: &'a [Signing], now: UnixTime) -> Option<&'a Signing> {
    signings.iter().find(|signing| {
        signing.needed_until.is_some_and(|until| until >= now)
            && !signings.iter().any(|other| other.node == signing.node && other.key == key.id)
    })
}

/// Every client that runs knows a key once whatever was signed without it has expired.
fn known_everywhere(key: &ListedKey, signings: &[Signing], now: UnixTime) -> Result<(), PublishError> {
    let strands = |reason: String| PublishError::Strands { id: key.id.clone(), reason };
    if let Some(signing) = missing_at(key, signings, now) {
        return Err(strands(format!("node {} has not told its clients of it yet", signing.node)));
    }
    let ready = signings.iter().filter(|signing| signing.key == key.id).map(|signing| signing.ready_at).max();
    match ready {
        Some(ready) if ready > now => {
            Err(strands(format!("clients hold a configuration that does not tell of it, until {ready}")))
        }
        _ => Ok(()),
    }
}

fn named<'a>(state: &'a State, id: &str) -> Result<&'a ListedKey, PublishError> {
    let found = state.keys.iter().find(|key| key.id == id);
    found.ok_or_else(|| PublishError::NoSuchKey { id: id.to_owned() })
}

fn key_file(directory: &Path, audience: Audience, id: &str) -> PathBuf {
    directory.join(format!("{}-{id}.key.pem", audience.name()))
}
