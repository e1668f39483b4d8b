//! Where each record lies, which belong to a query or a member, which are not stamped.
//!
//! | file | what it holds |
//! |---|---|
//! | `rows` | what is known of the records of one segment, in memory |
//! | `file`, `table` | the same beside a whole segment, on disk |
//! | `catalogue` | what tells in which whole segments there may be something, without opening any |
//! | `making` | the thread that makes index files |
//! | `runs` | which messages have no time-stamp, and which time-stamp covers which |
//!
//! In memory are the rows of the segment that is written, and the names of the others: these are asked through their
//! index files, of which some are kept open. Nothing is read at the start but the last segment, and the index files of
//! those with messages that have no time-stamp.

mod catalogue;
mod file;
mod making;
mod rows;
mod runs;
mod table;

pub(super) use making::{Full, Indexing};
pub(super) use rows::{Key, Note, Rows};

use super::LogError;
use super::bodies::BodyName;
use super::codec::Content;
use super::disk::{self, Name};
use super::frame::{End, Header};
use super::store::{self, Segments, Walked};
use catalogue::Catalogue;
use file::IndexFile;
use rows::Known;
use runs::Unstamped;
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::limits::CALLS_REMEMBERED_MAX;
use saatkond_proto::time::UnixTime;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The index of a log.
#[derive(Debug)]
pub(super) struct Index {
    dir: PathBuf,
    /// Whether index files may be made here: by the process that writes the log alone.
    is_owner: bool,
    state: Mutex<State>,
    /// Whole segments asked last, the last first.
    kept: Mutex<VecDeque<Kept>>,
    catalogue: Catalogue,
    segments: Segments,
}

#[derive(Debug)]
struct State {
    /// Whole segments, ascending.
    whole: VecDeque<Name>,
    /// Rows of whole segments whose index file is being made.
    waiting: Vec<Arc<Rows>>,
    /// The segment that is written.
    open: Rows,
    unstamped: Unstamped,
}

#[derive(Debug, Clone)]
struct Kept(Name, Arc<Whole>);

/// How a whole segment is asked.
#[derive(Debug)]
enum Whole {
    File(IndexFile),
    /// Its index file cannot be had: made anew, in memory alone.
    Rows(Rows),
}

impl Whole {
    fn known(&self) -> &dyn Known {
        match self {
            Self::File(file) => file,
            Self::Rows(rows) => rows,
        }
    }
}

/// Whole segments that are kept open.
const KEPT_MAX: usize = 32;
/// For how long before the last record requests are known again: longer than OCSP responses are fresh anywhere.
const HEARD: Duration = Duration::from_secs(24 * 3600);

impl Index {
    /// Opens the index of the log in `dir`; walks through the last segment, if there is one.
    ///
    /// # Errors
    /// [`LogError::Disk`], [`LogError::Damaged`].
    pub(super) fn open(dir: &Path, is_owner: bool) -> Result<(Self, Option<Walked>), LogError> {
        let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
        let mut whole: VecDeque<Name> = disk::names(dir).map_err(disk)?.into();
        if let Some(gap) = whole.iter().zip(whole.iter().skip(1)).find(|(a, b)| a.segment + 1 != b.segment) {
            let text = format!("segment {} is missing", gap.0.segment + 1);
            return Err(LogError::Damaged { file: dir.join(gap.1.log()), offset: 0, text });
        }
        let last = match whole.pop_back() {
            Some(name) => Some(walk_last(dir, name, is_owner)?),
            None => None,
        };
        let first = Name { segment: 1, record: 1 };
        let (open, last) = match last {
            Some((rows, walked)) => (rows, Some(walked)),
            None => (Rows::new(first), None),
        };
        let catalogue = Catalogue::open(dir, is_owner, whole.iter().copied());
        let state = State { whole, waiting: Vec::new(), open, unstamped: Unstamped::default() };
        let index = Self {
            dir: dir.to_owned(),
            is_owner,
            state: Mutex::new(state),
            kept: Mutex::default(),
            catalogue,
            segments: Segments::new(dir),
        };
        if let Some(last) = &last {
            index.follows(last)?;
            index.find_unstamped(last.header.unstamped)?;
        }
        Ok((index, last))
    }

    /// Holds the last segment against what the index file of the one before says of its end.
    fn follows(&self, last: &Walked) -> Result<(), LogError> {
        let Some(before) = self.state().whole.back().copied() else { return Ok(()) };
        let header = &last.header;
        let holds = |end: &End| {
            let told = (end.offset as u64, end.record, end.batch, end.chain);
            told == (header.before, header.record, header.batch, header.chain)
        };
        if IndexFile::open(&self.dir, before).is_ok_and(|file| holds(file.end())) {
            return Ok(());
        }
        // Without it, or when it says something else, only the segment itself can tell.
        let (rows, walked) = store::walk(&self.dir, before, Some(header))?;
        self.keep_file(&rows, &walked.header.salt, &walked.end);
        Ok(())
    }

    /// Finds the messages without a time-stamp; `oldest` is known to be the first of them, or later ones are.
    fn find_unstamped(&self, oldest: u64) -> Result<(), LogError> {
        let mut unstamped = Unstamped::default();
        let mut covered = Vec::new();
        for name in self.names_from(oldest) {
            let asked = self.ask(name, &|known| {
                let mut messages = Vec::new();
                let mut begin = known.numbers().start;
                for stamp in known.stamps()?.into_iter().chain([known.numbers().end]) {
                    messages.push(begin.max(oldest)..stamp);
                    begin = stamp + 1;
                }
                Ok((messages, known.covered()?))
            });
            let (messages, runs) = asked?;
            messages.into_iter().for_each(|run| unstamped.extend(run));
            covered.extend(runs);
        }
        covered.into_iter().for_each(|run| unstamped.remove(run.begin..run.end));
        self.state().unstamped = unstamped;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- what the writer tells -------------------------------------------------------

    /// Adds the records of a batch: where each begins, and what is to be known of it.
    pub(super) fn add(&self, records: impl IntoIterator<Item = (u64, Note)>) {
        let mut state = self.state();
        let State { open, unstamped, .. } = &mut *state;
        for (offset, note) in records {
            match &note {
                Note::Message(_) => unstamped.push(open.numbers().end),
                Note::Stamp { covers, .. } => covers.iter().for_each(|run| unstamped.remove(run.clone())),
            }
            open.add(offset, note);
        }
    }

    /// Goes on with the next segment; gives the rows of the last one, for [`Index::make_file`].
    pub(super) fn roll(&self, next: Name) -> Arc<Rows> {
        let mut state = self.state();
        let full = Arc::new(std::mem::replace(&mut state.open, Rows::new(next)));
        state.whole.push_back(full.name());
        state.waiting.push(Arc::clone(&full));
        full
    }

    /// Makes the index file of a whole segment and lets go of its rows.
    pub(super) fn make_file(&self, rows: &Rows, salt: &[u8; 16], end: &End) {
        self.keep_file(rows, salt, end);
        self.let_go(rows.name());
    }

    /// Lets go of a whole segment's rows: its index file is there, or will be made when it is asked for.
    pub(super) fn let_go(&self, name: Name) {
        self.state().waiting.retain(|rows| rows.name() != name);
    }

    fn keep_file(&self, rows: &Rows, salt: &[u8; 16], end: &End) {
        if !self.is_owner {
            return;
        }
        let made = file::write(&self.dir, rows, salt, end);
        if let Err(error) = made.and_then(|()| self.catalogue.add(rows.name(), rows)) {
            tracing::warn!(%error, segment = rows.name().segment, "index file not made");
        }
    }

    // --- what is asked ---------------------------------------------------------------

    /// The numbers of all records.
    pub(super) fn numbers(&self) -> Range<u64> {
        let state = self.state();
        let open = state.open.numbers();
        state.whole.front().map_or(open.start, |first| first.record)..open.end
    }

    pub(super) fn unstamped_count(&self) -> u64 {
        self.state().unstamped.len()
    }

    /// The oldest message without a time-stamp; the next record where there is none.
    pub(super) fn oldest_unstamped(&self) -> u64 {
        let state = self.state();
        state.unstamped.first().unwrap_or(state.open.numbers().end)
    }

    /// Messages without a time-stamp, the oldest first.
    pub(super) fn unstamped(&self, max: usize) -> impl Iterator<Item = u64> + use<> {
        self.state().unstamped.oldest(max as u64).into_iter().flatten()
    }

    /// Takes one record out.
    pub(super) fn read(&self, number: u64) -> Result<Content, LogError> {
        let (name, offset) = self.place_of(number)?;
        self.segments.read(name, number, offset).map_err(|error| gone(error, number))
    }

    /// The SHA-512 of a message's signature document; `known` has those met before.
    pub(super) fn signature_digest(
        &self,
        number: u64,
        known: &mut HashMap<(Name, u64), Vec<u8>>,
    ) -> Result<Vec<u8>, LogError> {
        let (name, offset) = self.place_of(number)?;
        let digest = self.segments.signature_digest((name, number, offset), known);
        digest.map_err(|error| gone(error, number))
    }

    /// Where a record lies.
    fn place_of(&self, number: u64) -> Result<(Name, u64), LogError> {
        let missing = || LogError::NoRecord { number };
        let name = self.name_of(number).ok_or_else(missing)?;
        let row = self.ask(name, &|known| known.rows(number..number + 1));
        let row = row.map_err(|error| gone(error, number))?.first().copied().ok_or_else(missing)?;
        Ok((name, row.offset))
    }

    /// The record of the time-stamp that covers a message.
    pub(super) fn stamp_of(&self, number: u64) -> Result<Option<u64>, LogError> {
        if self.state().unstamped.contains(number) {
            return Ok(None);
        }
        for name in self.names_from(number) {
            if let Some(stamp) = self.ask(name, &|known| known.stamp_of(number))? {
                return Ok(Some(stamp));
            }
        }
        Ok(None)
    }

    /// Records that may belong to this query, ascending.
    pub(super) fn of_query(&self, query: Key) -> Result<Vec<u64>, LogError> {
        let mut found = Vec::new();
        for name in self.names().into_iter().filter(|name| self.catalogue.may_have(*name, query)) {
            match self.ask(name, &|known| known.of_query(query)) {
                Ok(numbers) => found.extend(numbers),
                Err(error) if is_gone(&error) && self.is_dropped(name) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Messages of one segment that may be those of a member, and were recorded in a span of time; ascending.
    pub(super) fn look(
        &self,
        name: Name,
        member: Option<Key>,
        (since, until): (Option<UnixTime>, Option<UnixTime>),
    ) -> Result<Vec<u64>, LogError> {
        let within = |time: UnixTime| since.is_none_or(|s| time >= s) && until.is_none_or(|u| time < u);
        let is_outside = |(oldest, youngest): (UnixTime, UnixTime)| {
            since.is_some_and(|since| youngest < since) || until.is_some_and(|until| oldest >= until)
        };
        if self.catalogue.times(name).is_some_and(is_outside)
            || member.is_some_and(|member| !self.catalogue.may_have(name, member))
        {
            return Ok(Vec::new());
        }
        self.ask(name, &|known| {
            if known.times().is_none_or(is_outside) {
                return Ok(Vec::new());
            }
            let members = member.map(|member| known.of_member(member)).transpose()?;
            let numbers = match members.as_deref() {
                None => known.numbers(),
                Some([]) => return Ok(Vec::new()),
                Some([first, .., last]) => *first..*last + 1,
                Some([only]) => *only..*only + 1,
            };
            let rows = numbers.clone().zip(known.rows(numbers)?);
            let rows = rows.filter(|(_, row)| !row.is_stamp && within(row.time)).map(|(number, _)| number);
            let is_members = |number: &u64| members.as_ref().is_none_or(|m| m.binary_search(number).is_ok());
            Ok(rows.filter(is_members).collect())
        })
    }

    /// Requests received within [`HEARD`] before the last record, oldest first, and by what each is known again.
    pub(super) fn heard(&self) -> Result<Vec<(UnixTime, Mark)>, LogError> {
        let mut heard = Vec::new();
        let mut oldest = None;
        for name in self.names().into_iter().rev() {
            let youngest = self.times(name)?.map(|(_, youngest)| youngest);
            oldest = oldest.or(youngest.map(|youngest| youngest.minus(HEARD)));
            if youngest < oldest || heard.len() >= CALLS_REMEMBERED_MAX {
                continue;
            }
            let here = self.ask(name, &|known| known.heard())?;
            heard.extend(here.into_iter().rev().filter(|(time, _)| Some(*time) >= oldest));
        }
        heard.truncate(CALLS_REMEMBERED_MAX);
        heard.reverse();
        Ok(heard)
    }

    /// The names of all segments, ascending.
    pub(super) fn names(&self) -> Vec<Name> {
        let state = self.state();
        state.whole.iter().copied().chain([state.open.name()]).collect()
    }

    /// The names of all segments from the one that holds this record on.
    fn names_from(&self, number: u64) -> Vec<Name> {
        let mut names = self.names();
        names.split_off(names.partition_point(|name| name.record <= number).saturating_sub(1))
    }

    fn name_of(&self, number: u64) -> Option<Name> {
        let state = self.state();
        if state.open.numbers().start <= number {
            return state.open.numbers().contains(&number).then(|| state.open.name());
        }
        let place = state.whole.partition_point(|name| name.record <= number).checked_sub(1)?;
        state.whole.get(place).copied()
    }

    /// The bodies that records of a segment have in files of their own.
    pub(super) fn bodies(&self, name: Name) -> Result<Vec<BodyName>, LogError> {
        self.ask(name, &|known| known.bodies())
    }

    /// When the oldest and the youngest record of a segment were recorded.
    pub(super) fn times(&self, name: Name) -> Result<Option<(UnixTime, UnixTime)>, LogError> {
        if let Some(times) = self.catalogue.times(name) {
            return Ok(Some(times));
        }
        self.ask(name, &|known| Ok(known.times()))
    }

    /// When the first record of the segment that is written was recorded; `None` while it has none.
    pub(super) fn begun(&self) -> Option<UnixTime> {
        let state = self.state();
        let first = state.open.numbers().start;
        state.open.rows(first..first + 1).ok()?.first().map(|row| row.time)
    }

    /// Forgets the oldest segment, which is about to be deleted.
    pub(super) fn forget(&self, name: Name) {
        let mut state = self.state();
        state.whole.retain(|whole| *whole != name);
        state.waiting.retain(|rows| rows.name() != name);
        drop(state);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.0 != name);
        self.catalogue.forget(name);
        self.segments.forget(name);
    }

    /// Asks one segment; one whose index file does not hold is walked through.
    fn ask<T>(&self, name: Name, question: &dyn Fn(&dyn Known) -> io::Result<T>) -> Result<T, LogError> {
        let failed = |source| LogError::Disk { dir: self.dir.clone(), source };
        let waiting = {
            let state = self.state();
            if state.open.name() == name {
                return question(&state.open).map_err(failed);
            }
            state.waiting.iter().find(|rows| rows.name() == name).map(Arc::clone)
        };
        if let Some(rows) = waiting {
            return question(&*rows).map_err(failed);
        }
        if let Some(kept) = self.kept(name)
            && let Ok(answer) = question(kept.known())
        {
            return Ok(answer);
        }
        if let Ok(file) = IndexFile::open(&self.dir, name)
            && let Ok(answer) = question(&file)
        {
            // One of a log that had no catalogue, or lost it.
            if self.catalogue.lacks(name)
                && let Err(error) = self.catalogue.add(name, &file)
            {
                tracing::warn!(%error, segment = name.segment, "segment not in the catalogue");
            }
            self.keep(name, Whole::File(file));
            return Ok(answer);
        }
        let rows = self.walk_again(name)?;
        let answer = question(&rows).map_err(failed)?;
        self.keep(name, IndexFile::open(&self.dir, name).map_or(Whole::Rows(rows), Whole::File));
        Ok(answer)
    }

    /// Walks through a whole segment whose index file is missing or does not hold, and makes it anew.
    fn walk_again(&self, name: Name) -> Result<Rows, LogError> {
        let next = self.names().into_iter().find(|next| next.segment == name.segment + 1);
        let next = next.ok_or(LogError::NoRecord { number: name.record })?;
        let next = store::header(&self.dir, next)?;
        let (rows, walked) = store::walk(&self.dir, name, Some(&next))?;
        tracing::info!(segment = name.segment, "index file made anew");
        self.keep_file(&rows, &walked.header.salt, &walked.end);
        Ok(rows)
    }

    /// Where a record begins in its segment.
    #[cfg(test)]
    pub(super) fn offset(&self, number: u64) -> u64 {
        let row = self.ask(self.name_of(number).unwrap(), &|known| known.rows(number..number + 1));
        row.unwrap()[0].offset
    }

    /// Walks through all segments: checks every sum, the chain, and that index files say what their segments say.
    pub(super) fn verify(&self, mut each: impl FnMut(usize, usize)) -> Result<(), LogError> {
        let names = self.names();
        for (place, name) in names.iter().enumerate() {
            let next = match names.get(place + 1) {
                Some(next) => Some(store::header(&self.dir, *next)?),
                None => None,
            };
            let walked = match &next {
                Some(next) => store::walk(&self.dir, *name, Some(next)),
                None => walk_last(&self.dir, *name, false),
            };
            let (rows, walked) = match walked {
                Ok(walked) => walked,
                // Dropped meanwhile, as the oldest ones are.
                Err(error) if is_gone(&error) && self.is_dropped(*name) => continue,
                Err(error) => return Err(error),
            };
            // One that does not hold is made anew when it is asked; one that lies would be believed.
            if let Ok(file) = IndexFile::open(&self.dir, *name)
                && matches!(is_same(&rows, &walked.header, &file), Ok(false))
            {
                let text = "it does not say what its segment says; without it, it is made anew".to_owned();
                return Err(LogError::Damaged { file: self.dir.join(name.index()), offset: 0, text });
            }
            if !self.is_in_catalogue(&rows) {
                let text = "it does not say what a segment says; without it, it is made anew".to_owned();
                return Err(LogError::Damaged { file: self.dir.join(catalogue::FILE), offset: 0, text });
            }
            each(place + 1, names.len());
        }
        Ok(())
    }

    /// Whether the catalogue lets everything in a segment be found.
    fn is_in_catalogue(&self, rows: &Rows) -> bool {
        let mut keys = rows.queries().map(|(key, _)| *key).chain(rows.members().map(|(key, _)| *key));
        self.catalogue.times(rows.name()).is_none_or(|times| Some(times) == rows.times())
            && keys.all(|key| self.catalogue.may_have(rows.name(), key))
    }

    /// Whether a segment was dropped as the oldest ones are: none is left that is as old.
    fn is_dropped(&self, name: Name) -> bool {
        disk::names(&self.dir).is_ok_and(|names| names.first().is_some_and(|first| *first > name))
    }

    fn kept(&self, name: Name) -> Option<Arc<Whole>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|one| one.0 == name)?;
        let found = kept.remove(place)?;
        kept.push_front(found.clone());
        Some(found.1)
    }

    fn keep(&self, name: Name, whole: Whole) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.0 != name);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(Kept(name, Arc::new(whole)));
    }
}

/// Walks through the last segment. What its owner writes meanwhile may look damaged to others, who then look once more.
fn walk_last(dir: &Path, name: Name, is_owner: bool) -> Result<(Rows, Walked), LogError> {
    let mut attempts = if is_owner { 1 } else { ATTEMPTS };
    loop {
        attempts -= 1;
        match store::walk(dir, name, None) {
            Err(LogError::Damaged { .. }) if attempts > 0 => {}
            walked => return walked,
        }
    }
}

/// How often a reader looks at a segment that may be in writing.
const ATTEMPTS: usize = 3;

/// Whether an index file says what its segment says.
fn is_same(rows: &Rows, header: &Header, file: &IndexFile) -> io::Result<bool> {
    let numbers = rows.numbers();
    let mut same = *file.salt() == header.salt
        && numbers == file.numbers()
        && rows.rows(numbers.clone())? == file.rows(numbers)?
        && (rows.times(), rows.stamps()?, rows.covered()?) == (file.times(), file.stamps()?, file.covered()?)
        && (rows.bodies()?, rows.heard()?) == (file.bodies()?, file.heard()?);
    for (query, numbers) in rows.queries() {
        same &= file.of_query(*query)? == *numbers;
    }
    for (member, numbers) in rows.members() {
        same &= file.of_member(*member)? == *numbers;
    }
    Ok(same)
}

/// Whether a segment is not there any more: it was dropped meanwhile.
fn is_gone(error: &LogError) -> bool {
    matches!(error, LogError::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn gone(error: LogError, number: u64) -> LogError {
    if is_gone(&error) { LogError::NoRecord { number } } else { error }
}
