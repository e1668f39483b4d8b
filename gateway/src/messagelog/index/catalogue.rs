//! What is known of each whole segment without opening its index file: when its records were recorded, and a filter that
//! tells which queries and members it has none of. One file for all of them, so that a look-up opens the segments that
//! have what is looked for, and hardly any other, however many there are.
//!
//! Derived, never truth: what is missing or does not hold is taken from the index files when it is asked for.
//!
//! ```text
//! chunk  magic 16 │ segment u64 │ first record u64 │ oldest i64 │ youngest i64 │ cells u64 │ SHA-256 32 │ cells
//! cell   filter 48 │ SHA-256 of segment, place and filter, first 16
//! ```
//!
//! A key has one cell, and eight bits in it: of keys that are not there one in some hundreds seems to be. Chunks of
//! segments that are gone stay until they are more than the others.

use super::rows::{Key, Known};
use crate::messagelog::disk::Name;
use crate::messagelog::sum::sum_of;
use saatkond_proto::time::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file, in the log.
pub(super) const FILE: &str = "catalogue";
const MAGIC: &[u8; 16] = b"saatkond seg 1\n\n";
/// Bytes of a chunk before its cells.
const HEAD_BYTES: usize = 16 + 5 * 8 + 32;
/// Bytes of a cell, and of the filter in it.
const CELL_BYTES: usize = 64;
const FILTER_BYTES: usize = 48;
/// Keys that a cell is made for, and bits that each has.
const KEYS_PER_CELL: usize = 24;
const BITS_PER_KEY: usize = 8;
/// Bytes of chunks of segments that are gone, which do not matter yet.
const WASTE_BYTES: u64 = 1 << 20;

/// The catalogue of a log.
#[derive(Debug)]
pub(super) struct Catalogue {
    path: PathBuf,
    /// Whether it may be written here.
    is_owner: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// Where the next chunk goes.
    end: u64,
    chunks: BTreeMap<Name, Chunk>,
}

/// What is known of one segment.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    name: Name,
    times: (UnixTime, UnixTime),
    /// Where it begins in the file.
    at: u64,
    cells: u64,
}

impl Catalogue {
    /// Opens the catalogue of the log in `dir`, as far as it holds and is of these segments.
    pub(super) fn open(dir: &Path, is_owner: bool, whole: impl IntoIterator<Item = Name>) -> Self {
        let path = dir.join(FILE);
        let file = if is_owner {
            File::options().read(true).write(true).create(true).truncate(false).open(&path)
        } else {
            File::open(&path)
        };
        let mut state = State { file: file.ok(), ..State::default() };
        state.read();
        let whole: BTreeSet<Name> = whole.into_iter().collect();
        state.chunks.retain(|name, _| whole.contains(name));
        let catalogue = Self { path, is_owner, state: Mutex::new(state) };
        catalogue.tidy(&mut catalogue.state());
        catalogue
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it lacks a segment that it should have.
    pub(super) fn lacks(&self, name: Name) -> bool {
        let state = self.state();
        self.is_owner && state.file.is_some() && !state.chunks.contains_key(&name)
    }

    /// When the oldest and the youngest record of a segment were recorded, if that is known here.
    pub(super) fn times(&self, name: Name) -> Option<(UnixTime, UnixTime)> {
        self.state().chunks.get(&name).map(|chunk| chunk.times)
    }

    /// Whether a segment may have records of this key: true where that is not known.
    pub(super) fn may_have(&self, name: Name, key: Key) -> bool {
        let state = self.state();
        let Some(chunk) = state.chunks.get(&name) else { return true };
        let mut cell = [0; CELL_BYTES];
        let place = place(key, chunk.cells);
        let at = chunk.at + HEAD_BYTES as u64 + place * CELL_BYTES as u64;
        let read = state.file.as_ref().map(|file| file.read_exact_at(&mut cell, at));
        let (filter, sum) = cell.split_at(FILTER_BYTES);
        let is_known = matches!(read, Some(Ok(()))) && *sum == cell_sum(name, place, filter);
        !is_known || bits(key).all(|(byte, bit)| filter.get(byte).is_some_and(|b| b & bit != 0))
    }

    /// Adds a whole segment.
    pub(super) fn add(&self, name: Name, known: &dyn Known) -> io::Result<()> {
        let Some(times) = known.times() else { return Ok(()) };
        if !self.lacks(name) {
            return Ok(());
        }
        let keys = known.keys()?;
        let mut cells = vec![[0_u8; FILTER_BYTES]; keys.len().div_ceil(KEYS_PER_CELL).max(1)];
        let chunk = Chunk { name, times, at: 0, cells: cells.len() as u64 };
        for key in keys {
            let cell = usize::try_from(place(key, chunk.cells)).ok().and_then(|place| cells.get_mut(place));
            let Some(cell) = cell else { continue };
            for (byte, bit) in bits(key) {
                cell.get_mut(byte).into_iter().for_each(|b| *b |= bit);
            }
        }
        let mut bytes = chunk.head();
        for (place, filter) in (0..).zip(&cells) {
            bytes.extend_from_slice(filter);
            bytes.extend_from_slice(&cell_sum(name, place, filter));
        }
        let mut state = self.state();
        let at = state.end;
        if let Some(file) = &state.file {
            file.write_all_at(&bytes, at)?;
            state.chunks.insert(name, Chunk { at, ..chunk });
            state.end += bytes.len() as u64;
        }
        Ok(())
    }

    /// Forgets a segment that is about to be deleted.
    pub(super) fn forget(&self, name: Name) {
        let mut state = self.state();
        state.chunks.remove(&name);
        self.tidy(&mut state);
    }

    /// Makes the file anew when most of it is of segments that are gone.
    fn tidy(&self, state: &mut State) {
        let live: u64 = state.chunks.values().map(Chunk::len).sum();
        if !self.is_owner || state.end <= live.saturating_mul(2).saturating_add(WASTE_BYTES) {
            return;
        }
        match self.anew(state) {
            Ok(anew) => *state = anew,
            Err(error) => tracing::warn!(%error, "catalogue of the message log not made anew"),
        }
    }

    fn anew(&self, state: &State) -> io::Result<State> {
        let unfinished = self.path.with_extension("tmp");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        let mut anew = State { file: None, end: 0, chunks: BTreeMap::new() };
        for chunk in state.chunks.values() {
            let mut bytes = vec![0; usize::try_from(chunk.len()).map_err(io::Error::other)?];
            state.file.as_ref().map_or(Ok(()), |old| old.read_exact_at(&mut bytes, chunk.at))?;
            file.write_all_at(&bytes, anew.end)?;
            anew.chunks.insert(chunk.name, Chunk { at: anew.end, ..*chunk });
            anew.end += chunk.len();
        }
        fs::rename(&unfinished, &self.path)?;
        Ok(State { file: Some(file), ..anew })
    }
}

impl State {
    /// Reads the heads of all chunks; what does not hold, and all behind it, is overwritten.
    fn read(&mut self) {
        let Some(file) = &self.file else { return };
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        while let Some(chunk) = Chunk::read(file, self.end).filter(|chunk| chunk.at + chunk.len() <= len) {
            self.end += chunk.len();
            self.chunks.insert(chunk.name, chunk);
        }
        // Fails for whoever may not write, and for whom it does not matter.
        let _ = file.set_len(self.end);
    }
}

impl Chunk {
    const fn len(&self) -> u64 {
        HEAD_BYTES as u64 + self.cells.saturating_mul(CELL_BYTES as u64)
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(MAGIC);
        let [oldest, youngest] =
            [self.times.0, self.times.1].map(|time| u64::from_le_bytes(time.millis().to_le_bytes()));
        for number in [self.name.segment, self.name.record, oldest, youngest, self.cells] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let sum = sum_of(&[&out]);
        out.extend_from_slice(&sum.0);
        out
    }

    fn read(file: &File, at: u64) -> Option<Self> {
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, at).ok()?;
        let (summed, sum) = head.split_last_chunk::<32>()?;
        let mut rest = summed.strip_prefix(MAGIC)?;
        let mut number = || {
            let (head, tail) = rest.split_first_chunk::<8>()?;
            rest = tail;
            Some(u64::from_le_bytes(*head))
        };
        let name = Name { segment: number()?, record: number()? };
        let mut time = || Some(UnixTime::from_millis(i64::from_le_bytes(number()?.to_le_bytes())));
        let times = (time()?, time()?);
        let cells = number()?;
        (sum_of(&[summed]).0 == *sum && cells > 0).then_some(Self { name, times, at, cells })
    }
}

/// The cell of a key.
fn place(key: Key, cells: u64) -> u64 {
    u64::try_from((u128::from(key.0) * u128::from(cells)) >> 64).unwrap_or(0)
}

/// The bits of a key in its cell: of which byte, and which.
fn bits(key: Key) -> impl Iterator<Item = (usize, u8)> {
    let mut state = key.0;
    (0..BITS_PER_KEY).map(move |_| {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let bit = usize::try_from(state % (FILTER_BYTES as u64 * 8)).unwrap_or(0);
        (bit / 8, 1 << (bit % 8))
    })
}

fn cell_sum(name: Name, place: u64, filter: &[u8]) -> [u8; 16] {
    let sum = sum_of(&[&name.segment.to_le_bytes(), &place.to_le_bytes(), filter]);
    sum.0.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messagelog::index::Rows;
    use crate::messagelog::index::rows::{MessageNote, Note};

    /// A segment with so many queries.
    fn rows(segment: u64, queries: u64) -> Rows {
        let mut rows = Rows::new(Name { segment, record: segment * 1000 });
        for query in 0..queries {
            let note = MessageNote::of_query(UnixTime::from_secs(5), key(segment, query));
            rows.add(query * 100, Note::Message(Box::new(note)));
        }
        rows
    }

    fn key(segment: u64, query: u64) -> Key {
        Key::of_query(&format!("{segment}-{query}"))
    }

    #[test]
    fn what_is_there_is_never_denied_and_what_is_not_nearly_always() {
        let dir = std::env::temp_dir().join(format!("saatkond-catalogue-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let names: Vec<Name> = (0..20).map(|segment| rows(segment, 1).name()).collect();
        let catalogue = Catalogue::open(&dir, true, names.clone());
        for segment in 0..20 {
            let rows = rows(segment, 900);
            catalogue.add(rows.name(), &rows).unwrap();
        }
        let opened = Catalogue::open(&dir, false, names.clone());
        for known in [&catalogue, &opened] {
            let mut wrong = 0;
            for name in &names {
                assert!((0..900).all(|query| known.may_have(*name, key(name.segment, query))));
                wrong += (0..900).filter(|query| known.may_have(*name, key(99, *query))).count();
                assert!(known.times(*name).is_some());
            }
            assert!(wrong * 100 < 20 * 900, "{wrong} of {} seem to be there", 20 * 900);
        }
        // Of all segments but one nothing is left in the file once they are gone.
        let before = fs::metadata(dir.join(FILE)).unwrap().len();
        let state = || catalogue.state().end;
        for _ in 0..60 {
            names.iter().skip(1).for_each(|name| catalogue.forget(*name));
            for segment in 1..20 {
                let rows = rows(segment, 900);
                catalogue.add(rows.name(), &rows).unwrap();
            }
        }
        assert!(state() < before * 2 + WASTE_BYTES + before, "{} bytes, {before} before", state());
        assert!((0..900).all(|query| catalogue.may_have(names[0], key(0, query))));
        assert!(!catalogue.may_have(names[0], key(1, 0)) || !catalogue.may_have(names[0], key(1, 1)));
        fs::remove_dir_all(&dir).unwrap();
    }
}
