//! A state as rows, and what differs between two of them.
//!
//! Every entry is JSON under its kind and name. Entries stay in the order in which they came; that alone is no
//! difference, so that the same instance is the same rows whoever wrote it down.

use super::state::{ListedKey, Request, State, Status};
use super::{StoreError, form};
use crate::instance::continuity::Continuity;
use crate::instance::v1;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What an entry is. The order is the one they are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The instance, without its lists.
    Instance,
    /// A class of members.
    Class,
    /// An approved certification service.
    Ca,
    /// An approved time-stamping service.
    Tsa,
    /// A member with its subsystems.
    Member,
    /// A security server with its certificates and clients.
    Server,
    /// A global group.
    Group,
    /// Sites and registers.
    Continuity,
    /// A key that signs the configuration.
    Key,
    /// An anchor.
    Anchor,
    /// A request.
    Request,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Instance,
        Self::Class,
        Self::Ca,
        Self::Tsa,
        Self::Member,
        Self::Server,
        Self::Group,
        Self::Continuity,
        Self::Key,
        Self::Anchor,
        Self::Request,
    ];

    /// The word for it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Class => "class",
            Self::Ca => "ca",
            Self::Tsa => "tsa",
            Self::Member => "member",
            Self::Server => "server",
            Self::Group => "group",
            Self::Continuity => "continuity",
            Self::Key => "key",
            Self::Anchor => "anchor",
            Self::Request => "request",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.text() == text)
    }
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// Its name; empty where there is only one of its kind.
    pub name: String,
    /// What it was, JSON; `None` when it is new.
    pub was: Option<String>,
    /// What it is, JSON; `None` when it is gone.
    pub is: Option<String>,
    /// Its place among the entries of its state.
    #[serde(skip)]
    pub(super) place: u32,
}

impl Difference {
    /// Where a new entry stands among all that ever came: changes in their order, entries of one in theirs.
    pub(super) fn order(&self, revision: i64) -> i64 {
        revision.saturating_mul(1 << 24).saturating_add(i64::from(self.place))
    }

    /// Whether a request is no longer open: its row stays, and is read no more.
    pub(super) fn is_closed(&self) -> bool {
        let request = self.is.as_ref().filter(|_| self.kind == Kind::Request);
        let request = request.and_then(|body| serde_json::from_str::<Request>(body).ok());
        request.is_some_and(|request| request.status != Status::Waiting)
    }
}

impl fmt::Display for Difference {
    /// The entry, such as `member DEV/GOV/M2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format!("{} {}", self.kind.text(), self.name).trim_end())
    }
}

/// All entries of a state.
#[derive(Debug)]
pub(super) struct Entries(BTreeMap<(Kind, String), Entry>);

/// What an entry holds, and its place among the others.
#[derive(Debug)]
struct Entry {
    place: u32,
    body: String,
}

impl Entries {
    pub(super) fn of(state: &State) -> Result<Self, StoreError> {
        let mut all = Self(BTreeMap::new());
        if let Some(file) = &state.instance {
            all.instance(file)?;
        }
        for key in &state.keys {
            all.put(Kind::Key, &key.id, key)?;
        }
        for (audience, anchor) in &state.anchors {
            all.put(Kind::Anchor, audience.name(), anchor)?;
        }
        for request in &state.requests {
            all.put(Kind::Request, &number(request.number), request)?;
        }
        Ok(all)
    }

    fn instance(&mut self, file: &v1::File) -> Result<(), StoreError> {
        for class in &file.classes {
            self.put(Kind::Class, &class.code, class)?;
        }
        for ca in &file.cas {
            self.put(Kind::Ca, &ca.name, ca)?;
        }
        for tsa in &file.tsas {
            self.put(Kind::Tsa, &tsa.name, tsa)?;
        }
        for member in &file.members {
            self.put(Kind::Member, &member.id, member)?;
        }
        for server in &file.servers {
            self.put(Kind::Server, &server.id, server)?;
        }
        for group in &file.groups {
            self.put(Kind::Group, &group.code, group)?;
        }
        if let Some(continuity) = &file.continuity {
            self.put(Kind::Continuity, "", continuity)?;
        }
        self.put(Kind::Instance, "", &file.without_lists())
    }

    fn put(&mut self, kind: Kind, name: &str, entry: &impl Serialize) -> Result<(), StoreError> {
        let body =
            serde_json::to_string(entry).map_err(|e| form("an entry that JSON can hold", e.to_string()))?;
        let place = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        match self.0.insert((kind, name.to_owned()), Entry { place, body }) {
            None => Ok(()),
            Some(_) => Err(StoreError::Twice { entry: format!("{} {name}", kind.text()) }),
        }
    }

    /// The first 16 hexadecimal digits of a SHA-256 of all of them.
    pub(super) fn digest(&self) -> String {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for ((kind, name), Entry { body, .. }) in &self.0 {
            hash.update(format!("{} {}:{name}{}:{body}", kind.text(), name.len(), body.len()).as_bytes());
        }
        hash.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What became of each entry on the way to `after`, in the order of kinds and names.
    pub(super) fn differences(mut self, after: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for ((kind, name), Entry { place, body: is }) in &after.0 {
            let key = (*kind, name.clone());
            let was = self.0.remove(&key).map(|entry| entry.body);
            if was.as_ref() != Some(is) {
                found.push(Difference { kind: *kind, name: key.1, was, is: Some(is.clone()), place: *place });
            }
        }
        // a request is never forgotten: closed ones are no part of a state
        let gone = self.0.into_iter().filter(|((kind, _), _)| *kind != Kind::Request);
        found.extend(gone.map(|((kind, name), Entry { place, body })| Difference {
            kind,
            name,
            was: Some(body),
            is: None,
            place,
        }));
        found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        found
    }
}

/// A request's number as its entry's name: names and numbers have one order.
fn number(number: u64) -> String {
    format!("{number:020}")
}

pub(super) fn request_name(below: u64) -> String {
    number(below)
}

/// Puts one entry where it belongs. The instance comes first.
pub(super) fn take(state: &mut State, kind: Kind, name: &str, body: &str) -> Result<(), StoreError> {
    let entry = || format!("{} {name}", kind.text());
    match kind {
        Kind::Key => state.keys.push(read::<ListedKey>(&entry(), body)?),
        Kind::Request => state.requests.push(read::<Request>(&entry(), body)?),
        Kind::Anchor => {
            let audience = super::Audience::ALL.into_iter().find(|audience| audience.name() == name);
            let audience = audience.ok_or_else(|| form("anchor internal or external", entry()))?;
            state.anchors.push((audience, read(&entry(), body)?));
        }
        Kind::Instance => state.instance = Some(read(&entry(), body)?),
        Kind::Class | Kind::Ca | Kind::Tsa | Kind::Member | Kind::Server | Kind::Group | Kind::Continuity => {
            let file =
                state.instance.as_mut().ok_or_else(|| form("an instance", format!("{} alone", entry())))?;
            match kind {
                Kind::Class => file.classes.push(read(&entry(), body)?),
                Kind::Ca => file.cas.push(read(&entry(), body)?),
                Kind::Tsa => file.tsas.push(read(&entry(), body)?),
                Kind::Member => file.members.push(read(&entry(), body)?),
                Kind::Server => file.servers.push(read(&entry(), body)?),
                Kind::Group => file.groups.push(read(&entry(), body)?),
                _ => file.continuity = Some(read::<Continuity>(&entry(), body)?),
            }
        }
    }
    Ok(())
}

/// Brings entries into the order in which they are read back: those that were there before in theirs, new ones last.
pub(super) fn settle(file: &mut v1::File, before: Option<&v1::File>) {
    let Some(before) = before else { return };
    order(&mut file.classes, &before.classes, |class| &class.code);
    order(&mut file.cas, &before.cas, |ca| &ca.name);
    order(&mut file.tsas, &before.tsas, |tsa| &tsa.name);
    order(&mut file.members, &before.members, |member| &member.id);
    order(&mut file.servers, &before.servers, |server| &server.id);
    order(&mut file.groups, &before.groups, |group| &group.code);
}

fn order<T>(list: &mut [T], before: &[T], name: impl Fn(&T) -> &String) {
    let places: BTreeMap<&String, usize> =
        before.iter().enumerate().map(|(place, item)| (name(item), place)).collect();
    list.sort_by_key(|item| places.get(name(item)).copied().unwrap_or(usize::MAX));
}

pub(super) fn read<T: DeserializeOwned>(what: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|e| form(what, e.to_string()))
}
