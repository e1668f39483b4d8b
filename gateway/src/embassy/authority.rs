//! Who leads which register, as this site knows it: kept on disk, asked for every write.
//!
//! A warrant is on disk before it is in force, so that no crash brings an older one back. One that is handed to another
//! site is promised first: a crash in between counts as if it had been handed over. Writes count from the moment they
//! are let in until their register has answered; while authority passes on, new ones wait.
//!
//! Store: `authority/`, one file for each register that an order was given for, and one for an order that is being handed
//! over. Trusted: who can write to it makes this
//! site lead again where it was deposed. It holds nothing secret.

use saatkond_ca::index::replace_file;
use saatkond_proto::continuity::authority::{Heard, Lead, Seat, Token, Turn, Warrant, WarrantError};
use saatkond_proto::continuity::{Policy, Register};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::ClientId;
use saatkond_proto::limits::ORDER_BYTES_MAX;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The end of the name of a file that holds what is in force.
const ORDER: &str = "order";
/// The end of the name of a file that holds what is being handed over.
const PROMISE: &str = "promise";

/// A warrant that was not kept, or cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The disk failed.
    #[error("authority of registers at {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was kept is none.
    #[error("{}: {source}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: WarrantError,
    },
    /// It does not hold, or another stands above it.
    #[error(transparent)]
    Refused(#[from] WarrantError),
}

/// Who leads which register. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    seats: Mutex<HashMap<ClientId, Seat>>,
    /// Held while a warrant is judged and written.
    adopting: Arc<tokio::sync::Mutex<()>>,
    changed: watch::Sender<()>,
}

/// Whose turn a write is.
#[derive(Debug)]
pub enum Granted {
    /// Ours.
    Ours(Held),
    /// Another site's.
    Theirs(Lead),
    /// Nobody's: who should lead may not.
    Nobody(WarrantError),
    /// Authority was passing on for too long.
    Late,
}

/// A write that was let in; it counts until this is dropped.
#[derive(Debug)]
pub struct Held {
    authority: Authority,
    register: ClientId,
    token: Token,
}

/// New writes of a register wait until this is dropped.
#[derive(Debug)]
pub struct Drain {
    authority: Authority,
    register: ClientId,
}

impl Authority {
    /// Reads what is kept in `dir`, which is made when missing.
    ///
    /// # Errors
    /// [`AuthorityError::Disk`], [`AuthorityError::Damaged`]: without what was kept nobody knows who leads.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let disk = |path: &Path, source| AuthorityError::Disk { path: path.to_owned(), source };
        fs::create_dir_all(dir).map_err(|e| disk(dir, e))?;
        let mut seats: HashMap<ClientId, Seat> = HashMap::new();
        for entry in fs::read_dir(dir).map_err(|e| disk(dir, e))? {
            let path = entry.map_err(|e| disk(dir, e))?.path();
            let is_unfinished =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let end = [ORDER, PROMISE].into_iter().find(|end| path.extension().is_some_and(|e| e == *end));
            let Some(end) = end.filter(|_| !is_unfinished) else { continue };
            let warrant = read(&path)?;
            let claim = warrant.claim();
            if path.file_name() != file_of(dir, &claim.register, end).file_name() {
                return Err(AuthorityError::Damaged { path, source: WarrantError::Malformed });
            }
            // What was promised may have been taken: it stands.
            let known = seats.get(&claim.register).map_or(Token::FIRST, Seat::token);
            if claim.token >= known {
                seats.insert(claim.register.clone(), Seat::kept(warrant));
            }
        }
        Ok(Self(Arc::new(Shared {
            dir: dir.to_owned(),
            seats: Mutex::new(seats),
            adopting: Arc::default(),
            changed: watch::Sender::default(),
        })))
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<ClientId, Seat>> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, register: &ClientId, look: impl FnOnce(&mut Seat) -> T) -> T {
        let mut seats = self.seats();
        match seats.get_mut(register) {
            Some(seat) => look(seat),
            None => look(seats.entry(register.clone()).or_default()),
        }
    }

    /// Who leads a register.
    ///
    /// # Errors
    /// [`WarrantError`] when whoever should may not any more.
    pub fn lead(&self, policy: &Policy, register: &Register) -> Result<Lead, WarrantError> {
        self.with(&register.id, |seat| seat.lead(policy, register))
    }

    /// The warrant that stands for a register; `None` before any.
    #[must_use]
    pub fn warrant(&self, register: &ClientId) -> Option<Warrant> {
        self.seats().get(register)?.warrant().cloned()
    }

    /// Writes of a register between check and register, and whether new ones wait.
    #[must_use]
    pub fn under_way(&self, register: &ClientId) -> (u32, bool) {
        self.seats().get(register).map_or((0, false), |seat| (seat.in_flight(), seat.drains()))
    }

    /// Says whose turn a write is that has come to site `us`; waits while authority passes on, until `until` at most.
    ///
    /// # Cancel safety
    /// A dropped call has let nothing in.
    pub async fn turn(&self, policy: &Policy, register: &Register, us: &str, until: Instant) -> Granted {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            match self.with(&register.id, |seat| seat.turn(policy, register, us)) {
                Turn::Ours(token) => {
                    let (authority, register) = (self.clone(), register.id.clone());
                    return Granted::Ours(Held { authority, register, token });
                }
                Turn::Theirs(lead) => return Granted::Theirs(lead),
                Turn::Nobody(error) => return Granted::Nobody(error),
                Turn::Wait => {}
            }
            if timeout_at(until, changed.changed()).await.is_err() {
                return Granted::Late;
            }
        }
    }

    /// Takes a warrant if it holds and stands above what is known: on disk first, then in force.
    ///
    /// # Errors
    /// [`AuthorityError`]; nothing has then changed.
    ///
    /// # Cancel safety
    /// What was begun ends by itself.
    pub async fn adopt(&self, policy: &Policy, warrant: &Warrant) -> Result<Heard, AuthorityError> {
        let adopting = Arc::clone(&self.0.adopting).lock_owned().await;
        if self.judge(policy, warrant)? == Heard::Known {
            return Ok(Heard::Known);
        }
        let (authority, warrant) = (self.clone(), warrant.clone());
        let keeping = blocking(&self.0.dir, move || {
            let kept = authority.keep(warrant);
            drop(adopting);
            kept
        });
        keeping.await.map(|()| Heard::Adopted)
    }

    fn keep(&self, warrant: Warrant) -> Result<(), AuthorityError> {
        let claim = warrant.claim().clone();
        write(&file_of(&self.0.dir, &claim.register, ORDER), &warrant)?;
        // A promise that is left behind says nothing new.
        let _ = fs::remove_file(file_of(&self.0.dir, &claim.register, PROMISE));
        tracing::warn!(register = %claim.register, site = claim.site, token = %claim.token,
            switch = claim.switch.text(), by = warrant.by(), "authority has passed");
        self.with(&claim.register, |seat| seat.take(warrant));
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Judges a warrant without taking it.
    ///
    /// # Errors
    /// [`WarrantError`].
    pub fn judge(&self, policy: &Policy, warrant: &Warrant) -> Result<Heard, WarrantError> {
        let id = &warrant.claim().register;
        let register = policy
            .register(id)
            .ok_or_else(|| WarrantError::UnknownRegister { register: Box::new(id.clone()) })?;
        self.with(id, |seat| seat.judge(warrant, policy, register))
    }

    /// Puts on disk that a warrant is being handed to another site: after a restart it stands.
    ///
    /// # Errors
    /// [`AuthorityError::Disk`].
    pub async fn promise(&self, warrant: &Warrant) -> Result<(), AuthorityError> {
        let (path, warrant) = (file_of(&self.0.dir, &warrant.claim().register, PROMISE), warrant.clone());
        blocking(&self.0.dir, move || write(&path, &warrant)).await
    }

    /// Takes a promise back: the other site has certainly not taken the warrant.
    ///
    /// # Errors
    /// [`AuthorityError::Disk`]; after a restart it would stand.
    pub async fn withdraw(&self, warrant: &Warrant) -> Result<(), AuthorityError> {
        let (dir, path) = (self.0.dir.clone(), file_of(&self.0.dir, &warrant.claim().register, PROMISE));
        blocking(&self.0.dir, move || {
            let removed = fs::remove_file(&path).and_then(|()| File::open(&dir)?.sync_all());
            removed.map_err(|source| AuthorityError::Disk { path, source })
        })
        .await
    }

    /// Lets new writes of a register wait; `None` when they wait already.
    #[must_use]
    pub fn drain(&self, register: &ClientId) -> Option<Drain> {
        let begun = self.with(register, Seat::drain);
        begun.then(|| Drain { authority: self.clone(), register: register.clone() })
    }
}

/// A file of a register. Identifiers may be longer than a file's name.
fn file_of(dir: &Path, register: &ClientId, end: &str) -> PathBuf {
    let digest = DigestAlgorithm::Sha256.digest(register.to_path().as_bytes());
    dir.join(crate::net::peer::hex(&digest)).with_extension(end)
}

fn read(path: &Path) -> Result<Warrant, AuthorityError> {
    let disk = |source| AuthorityError::Disk { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(ORDER_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(disk)?;
    let read = String::from_utf8(bytes).map_err(|_| WarrantError::Malformed);
    let read = read.and_then(|text| Warrant::from_text(&text));
    read.map_err(|source| AuthorityError::Damaged { path: path.to_owned(), source })
}

fn write(path: &Path, warrant: &Warrant) -> Result<(), AuthorityError> {
    let written = replace_file(path, warrant.to_text().as_bytes(), 0o600);
    written.map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })
}

async fn blocking(
    dir: &Path,
    work: impl FnOnce() -> Result<(), AuthorityError> + Send + 'static,
) -> Result<(), AuthorityError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| AuthorityError::Disk { path: dir.to_owned(), source: io::Error::other(error) })?
}

impl Held {
    /// The token under which the write was let in.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// Whether the write may still go to the register: to be asked directly before.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.authority.with(&self.register, |seat| seat.still(self.token))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.authority.with(&self.register, Seat::end);
        self.authority.0.changed.send_replace(());
    }
}

impl Drain {
    /// Returns once no write is in flight; false when that took too long.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn is_dry(&self, until: Instant) -> bool {
        let mut changed = self.authority.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if self.authority.under_way(&self.register).0 == 0 {
                return true;
            }
            if timeout_at(until, changed.changed()).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.authority.with(&self.register, Seat::resume);
        self.authority.0.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests;
