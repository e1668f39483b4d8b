//! What is deleted of a log: whole segments, the oldest first, and files of bodies that no record names.

use super::archive::State;
use super::bodies::{self, BodyName};
use super::disk::{Name, sync_dir};
use super::{LogError, MessageLog};
use saatkond_proto::time::UnixTime;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Segments.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
}

/// A body's file is left alone for so long after it was written: its record may be under way.
const BODY_AGE_MIN: Duration = Duration::from_secs(24 * 3600);

impl MessageLog {
    /// Deletes the oldest segments, as far as they are whole, all their messages are time-stamped and older than
    /// `log.keep`, and they are archived, where that is asked for. Blocks.
    ///
    /// # Errors
    /// [`LogError`]; what is left is whole.
    pub fn drop_old(&self) -> Result<Dropped, LogError> {
        let log = &self.0.policy.log;
        let _one_at_a_time = self.0.archiving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = Dropped::default();
        if log.keep.is_zero() {
            return Ok(dropped);
        }
        let archived = match log.archives() {
            // What is not known to be archived is not.
            Some(_) => State::load(&self.0.dir).map_or(0, |state| state.segment),
            None => u64::MAX,
        };
        let oldest_kept = self.0.clock.now().minus(log.keep);
        let oldest_unstamped = self.0.index.oldest_unstamped();
        loop {
            let names = self.0.index.names();
            let [name, next, ..] = names.as_slice() else { return Ok(dropped) };
            let is_old = self.0.index.times(*name)?.is_none_or(|(_, youngest)| youngest < oldest_kept);
            if !is_old || next.record > oldest_unstamped || name.segment > archived {
                return Ok(dropped);
            }
            self.drop_segment(*name)?;
            dropped.segments += 1;
            dropped.records += next.record - name.record;
        }
    }

    /// Deletes a segment. The segment itself goes last: whatever is left after a crash is deleted the next time.
    fn drop_segment(&self, name: Name) -> Result<(), LogError> {
        let dir = &self.0.dir;
        let bodies = self.0.index.bodies(name)?;
        self.0.index.forget(name);
        let files = bodies.into_iter().map(|body| bodies::path_of(dir, body));
        for file in files.chain([dir.join(name.index()), dir.join(name.log())]) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|source| self.disk_failed(source))?,
            }
        }
        sync_dir(dir).map_err(|source| self.disk_failed(source))
    }

    /// Deletes files of bodies that no record names: a crash came between them and their records. Blocks.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn sweep_bodies(&self) -> Result<u64, LogError> {
        let failed = |source| self.disk_failed(source);
        let before = self.0.clock.now().minus(BODY_AGE_MIN);
        let mut unnamed: HashSet<BodyName> = HashSet::new();
        for (name, written) in bodies::all(&self.0.dir).map_err(failed)? {
            if moment(written) < before {
                unnamed.insert(name);
            }
        }
        if unnamed.is_empty() {
            return Ok(0);
        }
        for segment in self.0.index.names() {
            for named in self.0.index.bodies(segment)? {
                unnamed.remove(&named);
            }
        }
        for name in &unnamed {
            fs::remove_file(bodies::path_of(&self.0.dir, *name)).map_err(failed)?;
        }
        Ok(unnamed.len() as u64)
    }
}

fn moment(at: SystemTime) -> UnixTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
