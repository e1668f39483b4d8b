//! The state in memory: what a change looks at and what it changes.

use super::entries::{self, Kind};
use super::{Rows, StoreError, form};
use crate::instance::v1;
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};

/// Which of the two directories: the own servers' or other instances'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// The instance's own servers.
    Internal,
    /// Other instances.
    External,
}

impl Audience {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Internal, Self::External];

    /// The word for it in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    /// The name of its directory in URLs.
    #[must_use]
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Internal => "internalconf",
            Self::External => "externalconf",
        }
    }
}

/// Everything a central server remembers, at one revision.
#[derive(Debug, Clone)]
pub struct State {
    /// How many changes made it.
    pub(super) revision: u64,
    /// When the last of them was made.
    pub(super) at: UnixTime,
    /// The digest of the last of them.
    pub(super) digest: String,
    /// The instance, with every certificate inside it; `None` until one is applied.
    pub instance: Option<v1::File>,
    /// The keys that sign its configuration, of every node.
    pub keys: Vec<ListedKey>,
    /// The two anchors as they are given away, byte for byte: people compare their fingerprints.
    pub anchors: Vec<(Audience, String)>,
    /// Requests that wait, and those that this change closes.
    pub(super) requests: Vec<Request>,
    /// The highest number that a request has had.
    pub(super) last_request: u64,
}

/// A key that signs or may sign the configuration. The private key lies with its node alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedKey {
    /// The first 16 hexadecimal digits of its certificate's SHA-256.
    pub id: String,
    /// The node that holds it.
    pub node: String,
    /// What it signs.
    pub audience: Audience,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Whether its node signs with it: one of each node's keys for each audience does.
    pub is_active: bool,
    /// When it was added, milliseconds since 1970.
    pub added_at: i64,
}

/// What a node told its clients of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The node.
    pub node: String,
    /// The key.
    pub key: String,
    /// When whatever the node signed before it told of the key has expired.
    pub ready_at: UnixTime,
    /// Until when what the node signed with the key holds; `None` when it never did.
    pub needed_until: Option<UnixTime>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It waits for somebody's decision.
    Waiting,
    /// It was approved, and what it asked for was done in the same change.
    Approved,
    /// It was declined.
    Declined,
    /// Who asked took it back.
    Revoked,
}

/// Something that was asked of the central server, such as the registration of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its number, told to whoever asked.
    pub number: u64,
    /// What is asked for, such as `clientReg`.
    pub kind: String,
    /// What became of it.
    pub status: Status,
    /// When it came, milliseconds since 1970. Who decided it, and when, stands in the history.
    pub opened_at: i64,
    /// What it says; its form is the affair of whoever opens and closes it.
    pub body: serde_json::Value,
}

impl State {
    pub(super) fn from_rows(rows: Rows) -> Result<Self, StoreError> {
        let Rows { revision, at, digest, requests, entries } = rows;
        let mut state = Self {
            revision,
            at,
            digest,
            instance: None,
            keys: Vec::new(),
            anchors: Vec::new(),
            requests: Vec::new(),
            last_request: requests,
        };
        // the instance stands in front of what belongs to it: kinds are read in their order
        let mut sorted = Vec::with_capacity(entries.len());
        for (kind, id, body) in entries {
            let known = Kind::from_text(&kind).ok_or_else(|| form("a known kind of entry", &kind))?;
            sorted.push((known, id, body));
        }
        sorted.sort_by_key(|(kind, _, _)| *kind);
        for (kind, id, body) in sorted {
            entries::take(&mut state, kind, &id, &body)?;
        }
        Ok(state)
    }

    /// How many changes made it.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// When the last change was made.
    #[must_use]
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// A digest of the instance alone: keys and requests leave it as it is.
    ///
    /// # Errors
    /// [`StoreError::Twice`].
    pub fn instance_digest(&self) -> Result<String, StoreError> {
        let alone = Self { keys: Vec::new(), anchors: Vec::new(), requests: Vec::new(), ..self.clone() };
        Ok(entries::Entries::of(&alone)?.digest())
    }

    /// Checks that no two entries have one name.
    ///
    /// # Errors
    /// [`StoreError::Twice`] names the entry.
    pub fn check_names(&self) -> Result<(), StoreError> {
        entries::Entries::of(self).map(drop)
    }

    /// The requests that wait, in the order they came.
    pub fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| request.status == Status::Waiting)
    }

    /// Opens a request that waits; answers its number.
    pub fn open_request(&mut self, kind: &str, body: serde_json::Value, now: UnixTime) -> u64 {
        self.last_request = self.last_request.saturating_add(1);
        self.requests.push(Request {
            number: self.last_request,
            kind: kind.to_owned(),
            status: Status::Waiting,
            opened_at: now.millis(),
            body,
        });
        self.last_request
    }

    /// Closes a request that waits, and answers it; `None` when none of this number does.
    pub fn close_request(&mut self, number: u64, status: Status) -> Option<Request> {
        let request = self.requests.iter_mut().find(|r| r.number == number && r.status == Status::Waiting)?;
        request.status = status;
        Some(request.clone())
    }

    /// Takes the place of the newest state after a change was committed.
    pub(super) fn settle(&mut self, at: UnixTime, digest: String, before: &Self) {
        (self.at, self.digest) = (at, digest);
        self.requests.retain(|request| request.status == Status::Waiting);
        if let Some(instance) = &mut self.instance {
            entries::settle(instance, before.instance.as_ref());
        }
    }
}
