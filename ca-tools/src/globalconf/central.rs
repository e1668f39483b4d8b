//! A central server's node: its directory, the state it shares with other nodes, and the one door through which that
//! state is changed.

use super::edition::{Edition, Publication};
use super::rotation::Signers;
use super::{Audience, PublishError};
use crate::index::replace_file;
use crate::instance::{Instance, v1};
use crate::key::KeySpec;
use crate::pem;
use crate::store::{By, Difference, ListedKey, Place, State, Store, StoreError};
use saatkond_proto::globalconf::{Anchor, AnchorSource, Source};
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a node is told about itself.
const NODE_FILE: &str = "node.toml";
/// The state, where no PostgreSQL is named.
const DATABASE_FILE: &str = "instance.db";

/// `node.toml`, version 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Version of this format.
    pub version: u32,
    /// The node's name, as the instance's `[[node]]` names it.
    pub node: String,
    /// The PostgreSQL that keeps the state for all nodes, as its programs are told; without it `instance.db` keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

impl Node {
    /// The only node of an instance, with its state in a file beside it. Seen: X-Road names a lone node `node_0`.
    #[must_use]
    pub fn alone() -> Self {
        Self { version: 1, node: "node_0".to_owned(), database: None }
    }
}

/// A node of a central server.
#[derive(Debug)]
pub struct Central {
    directory: PathBuf,
    node: String,
    store: Store,
}

impl Central {
    /// Makes a node's directory with a key for each audience, and lists both in the state.
    ///
    /// # Errors
    /// [`PublishError::Exists`] when a node is there already; [`PublishError`].
    pub fn create(directory: &Path, node: &Node, spec: KeySpec, now: UnixTime) -> Result<Self, PublishError> {
        let path = directory.join(NODE_FILE);
        let trouble = |source| PublishError::File { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(trouble)?;
        if path.exists() {
            return Err(PublishError::Exists(path));
        }
        let central = Self::of(directory, node)?;
        if central.read()?.keys.iter().any(|key| key.node == node.node) {
            return Err(PublishError::Taken(node.node.clone()));
        }
        let text = toml::to_string(node)
            .map_err(|e| PublishError::Node { path: path.clone(), reason: e.to_string() })?;
        // it may hold a password
        replace_file(&path, text.as_bytes(), 0o600).map_err(|source| PublishError::File { path, source })?;
        let by = By { actor: &format!("node {}", node.node), at: now, why: "a new node" };
        for audience in Audience::ALL {
            central.add_key(audience, spec, &by)?;
        }
        Ok(central)
    }

    /// Opens a node's directory.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open(directory: &Path) -> Result<Self, PublishError> {
        let path = directory.join(NODE_FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| PublishError::File { path: path.clone(), source })?;
        let wrong = |reason: String| PublishError::Node { path: path.clone(), reason };
        let node: Node = toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        if node.version != 1 {
            return Err(wrong(format!("version is {}, expected 1", node.version)));
        }
        Self::of(directory, &node)
    }

    fn of(directory: &Path, node: &Node) -> Result<Self, PublishError> {
        let place = match &node.database {
            Some(url) => Place::Postgres(url.clone()),
            None => Place::Sqlite(directory.join(DATABASE_FILE)),
        };
        Ok(Self { directory: directory.to_owned(), node: node.node.clone(), store: Store::open(&place)? })
    }

    /// Its name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The directory of its keys.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The state, its history and its requests. Changes go through [`Central::change`].
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The newest state.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub fn read(&self) -> Result<Arc<State>, PublishError> {
        Ok(self.store.read()?)
    }

    /// The instance of the newest state, checked.
    ///
    /// # Errors
    /// [`PublishError::Nothing`] when none was applied; [`PublishError`].
    pub fn instance(&self, now: UnixTime) -> Result<Instance, PublishError> {
        let file = self.read()?.instance.clone().ok_or(PublishError::Nothing)?;
        Ok(Instance::from_file(file, now)?)
    }

    /// Changes the state as [`Store::change`] does, if the next one can be published in every version; the anchors
    /// follow by themselves.
    ///
    /// # Errors
    /// What `edit` refuses with; [`PublishError`] names what could not be published. Nothing has changed then.
    pub fn change<T>(
        &self,
        by: &By<'_>,
        mut edit: impl FnMut(&mut State) -> Result<T, PublishError>,
    ) -> Result<(Arc<State>, T), PublishError> {
        self.store.change(by, |state| whole(state, by.at, &mut edit))
    }

    /// What [`Central::change`] would do: the next state, and what differs.
    ///
    /// # Errors
    /// As [`Central::change`].
    pub fn plan<T>(
        &self,
        now: UnixTime,
        mut edit: impl FnMut(&mut State) -> Result<T, PublishError>,
    ) -> Result<(State, Vec<Difference>), PublishError> {
        let (state, differences, _) = self.store.plan(|state| whole(state, now, &mut edit))?;
        Ok((state, differences))
    }

    /// Makes an instance's file the instance.
    ///
    /// # Errors
    /// As [`Central::change`].
    pub fn apply(&self, file: &Path, by: &By<'_>) -> Result<Arc<State>, PublishError> {
        let file = v1::File::read(file)?;
        Ok(self.change(by, |state| put(state, &file))?.0)
    }

    /// What [`Central::apply`] would do.
    ///
    /// # Errors
    /// As [`Central::apply`].
    pub fn plan_file(&self, file: &Path, now: UnixTime) -> Result<(State, Vec<Difference>), PublishError> {
        let file = v1::File::read(file)?;
        self.plan(now, |state| put(state, &file))
    }

    /// The instance as a file that [`Central::apply`] takes: applied at once it changes nothing, applied after somebody
    /// else's change it is refused.
    ///
    /// # Errors
    /// [`PublishError::Nothing`]; [`PublishError`].
    pub fn export(&self) -> Result<String, PublishError> {
        let state = self.read()?;
        let mut file = state.instance.clone().ok_or(PublishError::Nothing)?;
        file.based_on = Some(state.instance_digest()?);
        let reason =
            |e: toml::ser::Error| PublishError::Node { path: self.directory.clone(), reason: e.to_string() };
        toml::to_string(&file).map_err(reason)
    }

    /// An audience's anchor, byte for byte as everybody gets it.
    ///
    /// # Errors
    /// [`PublishError::Nothing`] before an instance was applied.
    pub fn anchor(&self, audience: Audience) -> Result<Vec<u8>, PublishError> {
        let state = self.read()?;
        let found = state.anchors.iter().find(|(whose, _)| *whose == audience);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or(PublishError::Nothing)
    }

    /// The keys that this node signs with.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn signers(&self, state: &State) -> Result<Signers, PublishError> {
        Signers::open(&self.directory, &self.node, &state.keys)
    }

    /// Remembers which keys a publication tells clients of, and which one they need until when: a change of keys goes by
    /// that.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub fn note(&self, publication: &Publication) -> Result<(), PublishError> {
        let (at, until) = (publication.signed_at(), publication.expires());
        Ok(self.store.note(&self.node, publication.listed(), publication.signed_with(), at, until)?)
    }
}

fn put(state: &mut State, file: &v1::File) -> Result<(), PublishError> {
    let mut file = file.clone();
    if let (Some(based_on), Some(_)) = (file.based_on.take(), &state.instance)
        && based_on != state.instance_digest()?
    {
        return Err(PublishError::Moved { revision: state.revision() });
    }
    if let Some(before) = &state.instance
        && before.instance != file.instance
    {
        return Err(PublishError::OtherInstance { is: before.instance.clone(), came: file.instance });
    }
    state.instance = Some(file);
    Ok(())
}

/// Edits a state and checks that what comes of it can be published.
fn whole<T>(
    state: &mut State,
    now: UnixTime,
    edit: &mut impl FnMut(&mut State) -> Result<T, PublishError>,
) -> Result<T, PublishError> {
    let before = state.clone();
    let said = edit(state)?;
    let is_same = state.instance == before.instance && state.keys == before.keys;
    let Some(file) = state.instance.clone().filter(|_| !is_same) else { return Ok(said) };
    // what the database would refuse is named as what it is
    state.check_names()?;
    let instance = Instance::from_file(file, now)?;
    // one that cannot be read any more holds nobody up: gateways keep the same rule
    if let Some(Ok(before)) = before.instance.map(|file| Instance::from_file(file, now)) {
        instance.check_follows(&before)?;
    }
    Edition::of(&instance, state, now)?;
    for audience in Audience::ALL {
        anchor(state, &instance, audience, now);
    }
    Ok(said)
}

/// Writes an audience's anchor anew where it is no longer true.
fn anchor(state: &mut State, instance: &Instance, audience: Audience, now: UnixTime) {
    let sources = sources(instance, &state.keys);
    // X-Road's client takes nothing from an anchor that has `https` alone, and derives `https` from `http`
    let sources = sources.into_iter().map(|source| AnchorSource {
        url: format!("http://{}/{}", source.address, audience.directory()),
        certificates: match audience {
            Audience::Internal => source.internal,
            Audience::External => source.external,
        },
    });
    let anchor =
        Anchor { generated_at: Some(now), instance: instance.name().to_owned(), sources: sources.collect() };
    let kept = state.anchors.iter().find(|(whose, _)| *whose == audience);
    let kept = kept.and_then(|(_, text)| Anchor::from_xml(text.as_bytes()).ok());
    if kept.is_some_and(|kept| kept.instance == anchor.instance && kept.sources == anchor.sources) {
        return;
    }
    state.anchors.retain(|(whose, _)| *whose != audience);
    state.anchors.push((audience, String::from_utf8_lossy(&anchor.to_xml()).into_owned()));
    state.anchors.sort_by_key(|(whose, _)| *whose);
}

/// Where the configuration is published, and who signs it there. A place that lacks a key for either audience is left
/// out: X-Road 7.4 refuses a source without both.
pub(super) fn sources(instance: &Instance, keys: &[ListedKey]) -> Vec<Source> {
    let certificates = |node: Option<&str>, audience: Audience| -> Vec<Vec<u8>> {
        let keys =
            keys.iter().filter(|key| key.audience == audience && node.is_none_or(|node| key.node == node));
        keys.flat_map(|key| pem::decode_all(pem::CERTIFICATE, &key.certificate)).collect()
    };
    let sources = instance.places().map(|(node, address)| Source {
        address: address.to_owned(),
        internal: certificates(node, Audience::Internal),
        external: certificates(node, Audience::External),
    });
    sources.filter(|source| !source.internal.is_empty() && !source.external.is_empty()).collect()
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
