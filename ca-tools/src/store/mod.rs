//! What a central server remembers: the instance, the keys that sign it, requests that wait, who changed what when.
//!
//! A [`State`] is all of it at one revision, in memory. Nobody changes rows; a change is a function from a state to the
//! next one:
//!
//! ```
//! # use saatkond_ca::store::{By, Store, StoreError};
//! # use saatkond_proto::time::UnixTime;
//! # fn shown(store: &Store, now: UnixTime) -> Result<(), StoreError> {
//! let by = By { actor: "mari", at: now, why: "registration 12 approved" };
//! let (state, number) = store.change(&by, |state| {
//!     // look at `state.instance`, `state.waiting()`, refuse with an error, or change what there is
//!     Ok::<_, StoreError>(state.open_request("clientReg", serde_json::json!("DEV/GOV/M2/LAND"), now))
//! })?;
//! # let _ = (state, number); Ok(())
//! # }
//! ```
//!
//! 1. The state is read; the function makes the next one of it, or refuses. It may run again: it has no other effect.
//! 2. What differs, entry by entry, is written in one transaction, with one row of history that says who, when and why,
//!    and only if the revision is still the one that was read. Otherwise somebody was faster: it begins again at 1.
//! 3. Either all of it is there or nothing: no transaction is open while the function thinks, and none spans two changes.
//!
//! [`crate::globalconf`] wraps this with the check that the next state can be published; whoever changes the instance
//! goes through there. A request is opened in one change and closed in another, the one that does what it asked for.
//!
//! Two databases, the same rows: SQLite, one file beside the keys, for one server; PostgreSQL for several. Entries are
//! JSON by kind and name, so that one table holds everything and one comparison finds every difference. History is
//! chained by digests: a row that was changed later breaks [`Store::check_history`].
//!
//! What a thief of the database could do: read what is published anyway. Who writes to it says who is trusted.

mod entries;
mod postgres;
mod sqlite;
mod state;

pub use entries::{Difference, Kind};
pub use state::{Audience, ListedKey, Request, Signing, State, Status};

use entries::Entries;
use saatkond_proto::time::UnixTime;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a state is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite, made if it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL, as its own programs are told: `host=… user=… dbname=…` or `postgresql://…`. Our tables lie in the
    /// schema `saatkond_central`, made if it is not there. Plain: over a Unix socket, or a network that is safe.
    Postgres(String),
}

impl fmt::Debug for Place {
    /// Without the password that may stand in a connection string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

/// A state that could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file.
    #[error("database {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The server.
    #[error("PostgreSQL: {0}")]
    Postgres(String),
    /// What lies there is not what this program writes.
    #[error("the database holds {found}, expected {expected}")]
    Form {
        /// What was expected.
        expected: String,
        /// What came.
        found: String,
    },
    /// Two entries of one name.
    #[error("{entry} stands twice, expected once")]
    Twice {
        /// Which, such as `member DEV/GOV/M2`.
        entry: String,
    },
    /// Others changed the state, again and again.
    #[error("others changed the state {TRIES} times while this change was made")]
    Busy,
    /// A row of history was changed after it was written.
    #[error("history does not hold: revision {revision} is not what was written")]
    History {
        /// The first that does not hold.
        revision: u64,
    },
}

/// How often a change begins again when others were faster.
const TRIES: u32 = 20;
/// The form of our tables.
const SCHEMA: i64 = 1;

/// Who changes something, when and why; all of it goes into the history.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Who: a user of this machine, a user of the admin API, a server that registered something.
    pub actor: &'a str,
    /// When.
    pub at: UnixTime,
    /// What for, in a few words.
    pub why: &'a str,
}

/// One row of history: who changed what, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision it made.
    pub revision: u64,
    /// When.
    pub at: UnixTime,
    /// Who.
    pub actor: String,
    /// What for.
    pub why: String,
    /// What became of which entry.
    pub differences: Vec<Difference>,
    /// SHA-256 of this row and of the digest before it.
    digest: String,
}

impl Change {
    /// The row's differences as they are stored.
    fn body(&self) -> String {
        serde_json::to_string(&self.differences).unwrap_or_default()
    }

    /// The row with the differences that were stored with it.
    fn with(mut self, body: &str) -> Result<Self, StoreError> {
        self.differences = entries::read(&format!("the differences of revision {}", self.revision), body)?;
        Ok(self)
    }

    fn digest_after(&self, before: &str) -> String {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        let (revision, at) = (self.revision.to_string(), self.at.millis().to_string());
        for part in [before, &revision, &at, &self.actor, &self.why, &self.body()] {
            hash.update(format!("{}:", part.len()).as_bytes());
            hash.update(part.as_bytes());
        }
        hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a database gives back: where its history stands, and every entry in use.
#[derive(Debug)]
struct Rows {
    revision: u64,
    at: UnixTime,
    digest: String,
    /// The highest number that a request has had.
    requests: u64,
    entries: Vec<(String, String, String)>,
}

/// One of the two databases.
trait Backend: fmt::Debug + Send + Sync {
    /// The newest revision.
    fn revision(&self) -> Result<u64, StoreError>;
    /// Everything in use, at one revision.
    fn load(&self) -> Result<Rows, StoreError>;
    /// Writes a change if its revision is the next one; `false` when it is not.
    fn commit(&self, change: &Change) -> Result<bool, StoreError>;
    /// Changes below a revision, newest first.
    fn changes(&self, below: u64, limit: u32) -> Result<Vec<Change>, StoreError>;
    /// Requests below a number, open and closed, newest first: their entries.
    fn requests(&self, below: u64, limit: u32) -> Result<Vec<String>, StoreError>;
    /// What [`Store::note`] wrote.
    fn signings(&self) -> Result<Vec<Signing>, StoreError>;
    /// Writes rows of keys anew, or moves those there are: `ready_at` stays what it was first.
    fn note(&self, signings: &[Signing]) -> Result<(), StoreError>;
}

/// The state of a central server, and its history.
#[derive(Debug)]
pub struct Store {
    backend: Box<dyn Backend>,
    /// The newest state that was read here.
    kept: Mutex<Option<Arc<State>>>,
}

impl Store {
    /// Opens a state, or begins an empty one at revision 0.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(place: &Place) -> Result<Self, StoreError> {
        let backend: Box<dyn Backend> = match place {
            Place::Sqlite(path) => Box::new(sqlite::Sqlite::open(path)?),
            Place::Postgres(url) => Box::new(postgres::Postgres::open(url)?),
        };
        Ok(Self { backend, kept: Mutex::new(None) })
    }

    /// The newest revision; cheap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revision(&self) -> Result<u64, StoreError> {
        self.backend.revision()
    }

    /// The newest state. Rows are read only where it is not the one that was read last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self) -> Result<Arc<State>, StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(state) = kept
            && state.revision == self.backend.revision()?
        {
            return Ok(state);
        }
        let state = Arc::new(State::from_rows(self.backend.load()?)?);
        self.keep(&state);
        Ok(state)
    }

    /// Changes the state in one transaction, as the module's page tells; answers the new state and what `edit` said.
    ///
    /// An edit that changes nothing makes no revision.
    ///
    /// # Errors
    /// What `edit` refuses with, and [`StoreError`]; nothing has changed then.
    pub fn change<T, E: From<StoreError>>(
        &self,
        by: &By<'_>,
        mut edit: impl FnMut(&mut State) -> Result<T, E>,
    ) -> Result<(Arc<State>, T), E> {
        for _ in 0..TRIES {
            let before = self.read()?;
            let (mut after, differences, said) = planned(&before, &mut edit)?;
            if differences.is_empty() {
                return Ok((before, said));
            }
            after.revision = before.revision.saturating_add(1);
            let mut change = Change {
                revision: after.revision,
                at: by.at,
                actor: by.actor.to_owned(),
                why: by.why.to_owned(),
                differences,
                digest: String::new(),
            };
            change.digest = change.digest_after(&before.digest);
            if self.backend.commit(&change)? {
                after.settle(change.at, change.digest, &before);
                let after = Arc::new(after);
                self.keep(&after);
                return Ok((after, said));
            }
        }
        Err(StoreError::Busy.into())
    }

    /// What [`Store::change`] would make of the newest state, and what would differ.
    ///
    /// # Errors
    /// As [`Store::change`].
    pub fn plan<T, E: From<StoreError>>(
        &self,
        mut edit: impl FnMut(&mut State) -> Result<T, E>,
    ) -> Result<(State, Vec<Difference>, T), E> {
        planned(&*self.read()?, &mut edit)
    }

    /// Remembers that a node published: which keys its clients were told of, and which signed what they were given.
    ///
    /// No revision is made: it happens each minute.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note(
        &self,
        node: &str,
        listed: &[String],
        signed_with: &[String],
        at: UnixTime,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        let known = self.backend.signings()?;
        // what this node signed before it told of a key holds until then
        let before = known.iter().filter(|s| s.node == node).filter_map(|s| s.needed_until).max();
        let ready_at = before.unwrap_or(at).max(at);
        let signing = |key: &String| Signing {
            node: node.to_owned(),
            key: key.clone(),
            ready_at,
            needed_until: signed_with.contains(key).then_some(until),
        };
        let is_news = |signing: &Signing| {
            let known = known.iter().find(|known| known.node == signing.node && known.key == signing.key);
            known.is_none_or(|known| signing.needed_until > known.needed_until)
        };
        let news: Vec<Signing> = listed.iter().map(signing).filter(is_news).collect();
        if news.is_empty() { Ok(()) } else { self.backend.note(&news) }
    }

    /// Which node told its clients of which key, and until when what it signed holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn signings(&self) -> Result<Vec<Signing>, StoreError> {
        self.backend.signings()
    }

    /// Changes below a revision, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn history(&self, below: u64, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.backend.changes(below, limit)
    }

    /// Requests whose number is below one, open and closed, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn requests(&self, below: u64, limit: u32) -> Result<Vec<Request>, StoreError> {
        let bodies = self.backend.requests(below, limit)?;
        bodies.iter().map(|body| entries::read("a request", body)).collect()
    }

    /// Checks that no row of history was changed after it was written; tells how many there are.
    ///
    /// # Errors
    /// [`StoreError::History`] names the first revision that does not hold.
    pub fn check_history(&self) -> Result<u64, StoreError> {
        let (mut digest, mut revision) = (String::new(), 0_u64);
        let newest = self.read()?;
        while revision < newest.revision {
            let page = self.backend.changes(revision.saturating_add(u64::from(PAGE) + 1), PAGE)?;
            for change in page.iter().rev() {
                revision += 1;
                if change.revision != revision || change.digest != change.digest_after(&digest) {
                    return Err(StoreError::History { revision });
                }
                digest.clone_from(&change.digest);
            }
            if page.is_empty() {
                return Err(StoreError::History { revision: revision + 1 });
            }
        }
        // the newest may have moved on meanwhile: what was read holds the digest of its own revision
        if revision == newest.revision && digest != newest.digest {
            return Err(StoreError::History { revision });
        }
        Ok(revision)
    }

    fn keep(&self, state: &Arc<State>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(state));
    }
}

/// The next state, what differs, and what the edit said.
fn planned<T, E: From<StoreError>>(
    before: &State,
    edit: &mut impl FnMut(&mut State) -> Result<T, E>,
) -> Result<(State, Vec<Difference>, T), E> {
    let mut after = before.clone();
    let said = edit(&mut after)?;
    let differences = Entries::of(before)?.differences(&Entries::of(&after)?);
    Ok((after, differences, said))
}

/// Rows of history read at once.
const PAGE: u32 = 100;

fn form(expected: impl Into<String>, found: impl Into<String>) -> StoreError {
    StoreError::Form { expected: expected.into(), found: found.into() }
}
