//! Who leads which register, as this site knows it: kept on disk, asked for every write.
//!
//! A warrant is on disk before it is in force, so that no crash brings an older one back. Writes count from the moment
//! they are let in until their register has answered; while authority passes on, new ones wait.
//!
//! Store: `authority/`, one file for each register that an order was given for. Trusted: who can write to it makes this
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

/// The end of a file's name.
const SUFFIX: &str = "order";

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
        let mut seats = HashMap::new();
        for entry in fs::read_dir(dir).map_err(|e| disk(dir, e))? {
            let path = entry.map_err(|e| disk(dir, e))?.path();
            let is_ours = path.extension().is_some_and(|end| end == SUFFIX);
            let is_unfinished =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_ours || is_unfinished {
                continue;
            }
            let mut text = String::new();
            let file = File::open(&path).map_err(|e| disk(&path, e))?;
            file.take(ORDER_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(|e| disk(&path, e))?;
            let warrant = Warrant::from_text(&text)
                .map_err(|source| AuthorityError::Damaged { path: path.clone(), source })?;
            let register = warrant.claim().register.clone();
            if path.file_name() != file_of(dir, &register).file_name() {
                return Err(AuthorityError::Damaged { path, source: WarrantError::Malformed });
            }
            seats.insert(register, Seat::kept(warrant));
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
        let id = &warrant.claim().register;
        let register = policy
            .register(id)
            .ok_or_else(|| WarrantError::UnknownRegister { register: Box::new(id.clone()) })?;
        let adopting = Arc::clone(&self.0.adopting).lock_owned().await;
        if self.with(id, |seat| seat.judge(warrant, policy, register))? == Heard::Known {
            return Ok(Heard::Known);
        }
        let (authority, warrant) = (self.clone(), warrant.clone());
        let keeping = tokio::task::spawn_blocking(move || {
            let kept = authority.keep(warrant);
            drop(adopting);
            kept
        });
        let failed =
            |error| AuthorityError::Disk { path: self.0.dir.clone(), source: io::Error::other(error) };
        keeping.await.map_err(failed)?.map(|()| Heard::Adopted)
    }

    fn keep(&self, warrant: Warrant) -> Result<(), AuthorityError> {
        let claim = warrant.claim().clone();
        let path = file_of(&self.0.dir, &claim.register);
        replace_file(&path, warrant.to_text().as_bytes(), 0o600)
            .map_err(|source| AuthorityError::Disk { path, source })?;
        tracing::warn!(register = %claim.register, site = claim.site, token = %claim.token,
            switch = claim.switch.text(), by = warrant.by(), "authority has passed");
        self.with(&claim.register, |seat| seat.take(warrant));
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Lets new writes of a register wait; `None` when they wait already.
    #[must_use]
    pub fn drain(&self, register: &ClientId) -> Option<Drain> {
        let begun = self.with(register, Seat::drain);
        begun.then(|| Drain { authority: self.clone(), register: register.clone() })
    }
}

/// The file of a register. Identifiers may be longer than a file's name.
fn file_of(dir: &Path, register: &ClientId) -> PathBuf {
    let digest = DigestAlgorithm::Sha256.digest(register.to_path().as_bytes());
    dir.join(crate::net::peer::hex(&digest)).with_extension(SUFFIX)
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
