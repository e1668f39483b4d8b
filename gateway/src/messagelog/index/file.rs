//! The index file of a whole segment: what [`Rows`] held, beside the segment, read in blocks.
//!
//! Derived, never truth: every block is summed, the header names the segment's salt, and a file that is missing or does
//! not hold is made anew from its segment.
//!
//! ```text
//! magic 24 │ header's length u32 │ header │ SHA-256 32 │ zeros to the next block │ tables
//! ```

use super::rows::{Key, Known, Row, Rows};
use super::runs::Run;
use super::table::{BLOCK_BYTES, Table, wrong};
use crate::messagelog::bodies::BodyName;
use crate::messagelog::disk::Name;
use crate::messagelog::frame::{End, Tail};
use crate::messagelog::sum::{Sum, sum_of};
use saatkond_proto::continuity::once::Mark;
use saatkond_proto::time::UnixTime;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const MAGIC: &[u8; 24] = b"saatkond log index 2\n\n\n\n";
/// Bytes of a header; a fence for each block of a table is most of it.
const HEADER_BYTES_MAX: usize = 64 << 20;
/// A row's offset has its highest bit when the record is a time-stamp.
const IS_STAMP: u64 = 1 << 63;

const ROWS: usize = 0;
const QUERIES: usize = 1;
const MEMBERS: usize = 2;
const COVERED: usize = 3;
const STAMPS: usize = 4;
const BODIES: usize = 5;
const HEARD: usize = 6;
/// Bytes of the tables' entries, in their order.
const ENTRIES: [usize; 7] = [16, 16, 16, 24, 8, 16, 24];

/// What an index file says of its segment.
#[derive(Debug)]
pub(super) struct IndexFile {
    file: File,
    name: Name,
    salt: [u8; 16],
    count: u64,
    end: End,
    times: (UnixTime, UnixTime),
    tables: Vec<Table>,
}

/// Writes the index file of a whole segment; replaces what is there.
///
/// It is not synced: after a power cut it may not hold, and is then made anew.
pub(super) fn write(dir: &Path, rows: &Rows, salt: &[u8; 16], end: &End) -> io::Result<()> {
    let mut tables = Vec::new();
    let mut bytes = Vec::new();
    let pair = |key: u64, value: u64| {
        let mut entry = [0; 16];
        for (to, from) in entry.iter_mut().zip(key.to_be_bytes().into_iter().chain(value.to_be_bytes())) {
            *to = from;
        }
        entry
    };
    let of_row = |row: &Row| {
        let offset = row.offset | if row.is_stamp { IS_STAMP } else { 0 };
        pair(offset, u64::from_be_bytes(row.time.millis().to_be_bytes()))
    };
    let id = |table: usize| u8::try_from(table).unwrap_or(u8::MAX);
    tables.push(Table::write(&mut bytes, salt, (id(ROWS), false), rows.rows.iter().map(of_row)));
    let pairs_of =
        |(key, numbers): (&Key, &Vec<u64>)| numbers.iter().map(|n| (key.0, *n)).collect::<Vec<_>>();
    let queries = rows.queries().flat_map(pairs_of).collect();
    let members = rows.members().flat_map(pairs_of).collect();
    for (table, mut pairs) in [(QUERIES, queries), (MEMBERS, members)] {
        let pairs: &mut Vec<(u64, u64)> = &mut pairs;
        pairs.sort_unstable();
        let entries = pairs.iter().map(|(key, number)| pair(*key, *number));
        tables.push(Table::write(&mut bytes, salt, (id(table), true), entries));
    }
    let runs = rows.covered()?.into_iter().map(|run| {
        let mut entry = [0; 24];
        let fields = [run.begin, run.end, run.stamp];
        for (to, from) in entry.iter_mut().zip(fields.into_iter().flat_map(u64::to_be_bytes)) {
            *to = from;
        }
        entry
    });
    tables.push(Table::write(&mut bytes, salt, (id(COVERED), true), runs));
    let stamps = rows.stamps()?.into_iter().map(u64::to_be_bytes);
    tables.push(Table::write(&mut bytes, salt, (id(STAMPS), false), stamps));
    let bodies = rows.bodies()?.into_iter().map(BodyName::to_bytes);
    tables.push(Table::write(&mut bytes, salt, (id(BODIES), false), bodies));
    let heard = rows.heard()?.into_iter().map(|(time, mark)| {
        let mut entry = [0; 24];
        let fields = time.millis().to_be_bytes().into_iter().chain(mark.to_bytes());
        entry.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        entry
    });
    tables.push(Table::write(&mut bytes, salt, (id(HEARD), false), heard));
    let mut out = head(rows, salt, end, &mut tables);
    out.append(&mut bytes);
    let (file, unfinished) = (dir.join(rows.name.index()), dir.join(format!("{}.tmp", rows.name.index())));
    fs::write(&unfinished, &out).and_then(|()| fs::rename(&unfinished, &file)).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// All that goes before the tables; they are told where they begin.
fn head(rows: &Rows, salt: &[u8; 16], end: &End, tables: &mut [Table]) -> Vec<u8> {
    let fences: usize = tables.iter().map(|table| table.fences.len() * 8).sum();
    let length = HEADER_FIXED_BYTES + fences;
    let begin = (MAGIC.len() + 4 + length + 32).next_multiple_of(BLOCK_BYTES);
    let mut header = Vec::with_capacity(length);
    let mut number = |number: u64| header.extend_from_slice(&number.to_le_bytes());
    let (oldest, youngest) = rows.times().unwrap_or((UnixTime::from_millis(0), UnixTime::from_millis(0)));
    number(rows.name.segment);
    number(rows.name.record);
    number(rows.rows.len() as u64);
    number(end.offset as u64);
    number(end.batch);
    number(end.record);
    number(u64::from_le_bytes(oldest.millis().to_le_bytes()));
    number(u64::from_le_bytes(youngest.millis().to_le_bytes()));
    for table in tables {
        table.at += begin as u64;
        number(table.count);
        number(table.at);
        number(table.fences.len() as u64);
        table.fences.iter().for_each(|fence| number(*fence));
    }
    header.extend_from_slice(salt);
    header.extend_from_slice(&end.chain.0);
    let mut out = Vec::with_capacity(begin);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&header);
    let sum = sum_of(&[&out]);
    out.extend_from_slice(&sum.0);
    out.resize(begin, 0);
    out
}

/// Bytes of a header without fences.
const HEADER_FIXED_BYTES: usize = 8 * 8 + ENTRIES.len() * 3 * 8 + 16 + 32;

impl IndexFile {
    /// Opens the index file of this segment.
    ///
    /// # Errors
    /// Also for a file that does not hold, or is another segment's.
    pub(super) fn open(dir: &Path, name: Name) -> io::Result<Self> {
        let file = File::open(dir.join(name.index()))?;
        let mut prelude = [0; 28];
        file.read_exact_at(&mut prelude, 0)?;
        let length = prelude.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()).copied();
        let length = length.map(u32::from_le_bytes).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| (HEADER_FIXED_BYTES..=HEADER_BYTES_MAX).contains(length));
        let length = length.ok_or_else(|| wrong("its first bytes"))?;
        let mut bytes = vec![0; 28 + length + 32];
        file.read_exact_at(&mut bytes, 0)?;
        let (summed, sum) = bytes.split_at(28 + length);
        if sum_of(&[summed]).0 != *sum {
            return Err(wrong("its header's sum"));
        }
        let header = summed.get(28..).unwrap_or_default();
        let read = Self::read(file, header).ok_or_else(|| wrong("its header"))?;
        if read.name != name || !read.tables.iter().all(Table::is_sound) {
            return Err(wrong("it is another segment's"));
        }
        Ok(read)
    }

    fn read(file: File, header: &[u8]) -> Option<Self> {
        let mut rest = header;
        let mut number = || {
            let (head, tail) = rest.split_first_chunk::<8>()?;
            rest = tail;
            Some(u64::from_le_bytes(*head))
        };
        let name = Name { segment: number()?, record: number()? };
        let count = number()?;
        let (offset, batch, record) = (usize::try_from(number()?).ok()?, number()?, number()?);
        let mut time = || Some(UnixTime::from_millis(i64::from_le_bytes(number()?.to_le_bytes())));
        let times = (time()?, time()?);
        let mut tables = Vec::with_capacity(ENTRIES.len());
        for (id, entry) in (0..).zip(ENTRIES) {
            let (count, at, fences) = (number()?, number()?, number()?);
            let fences = (0..fences).map(|_| number()).collect::<Option<Vec<u64>>>()?;
            tables.push(Table { id, entry, count, at, fences });
        }
        let (salt, chain) = rest.split_first_chunk::<16>()?;
        let chain = Sum(chain.try_into().ok()?);
        let end = End { offset, chain, batch, record, tail: Tail::Clean };
        Some(Self { file, name, salt: *salt, count, end, times, tables })
    }

    /// The salt of the segment that it was made from.
    pub(super) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Where the segment ends.
    pub(super) const fn end(&self) -> &End {
        &self.end
    }

    fn table(&self, table: usize) -> io::Result<&Table> {
        self.tables.get(table).ok_or_else(|| wrong("its tables"))
    }

    /// Asks all entries of a table.
    fn all<T>(&self, table: usize, ask: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<Vec<T>> {
        self.table(table)?.at(&self.file, &self.salt, 0..u64::MAX, ask)
    }

    fn with_key(&self, table: usize, key: Key) -> io::Result<Vec<u64>> {
        let entries = self.table(table)?.with_key(&self.file, &self.salt, key.0)?;
        entries.iter().map(|entry| field(entry, 1)).collect()
    }
}

/// One of the numbers in an entry.
fn field(entry: &[u8], place: usize) -> io::Result<u64> {
    let bytes = entry.get(place * 8..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(|| wrong("an entry"))
}

fn run(entry: &[u8]) -> io::Result<Run> {
    Ok(Run { begin: field(entry, 0)?, end: field(entry, 1)?, stamp: field(entry, 2)? })
}

impl Known for IndexFile {
    fn numbers(&self) -> Range<u64> {
        self.name.record..self.name.record + self.count
    }

    fn rows(&self, numbers: Range<u64>) -> io::Result<Vec<Row>> {
        let row = |entry: &[u8]| {
            let offset = field(entry, 0)?;
            let time = UnixTime::from_millis(i64::from_be_bytes(field(entry, 1)?.to_be_bytes()));
            Ok(Row { offset: offset & !IS_STAMP, time, is_stamp: offset & IS_STAMP != 0 })
        };
        let place = |number: u64| number.saturating_sub(self.name.record);
        let places = place(numbers.start)..place(numbers.end);
        self.table(ROWS)?.at(&self.file, &self.salt, places, row)
    }

    fn times(&self) -> Option<(UnixTime, UnixTime)> {
        (self.count > 0).then_some(self.times)
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        for table in [QUERIES, MEMBERS] {
            keys.extend(self.all(table, |entry| field(entry, 0).map(Key))?);
        }
        keys.dedup();
        Ok(keys)
    }

    fn of_query(&self, query: Key) -> io::Result<Vec<u64>> {
        self.with_key(QUERIES, query)
    }

    fn of_member(&self, member: Key) -> io::Result<Vec<u64>> {
        self.with_key(MEMBERS, member)
    }

    fn stamp_of(&self, number: u64) -> io::Result<Option<u64>> {
        let found = self.table(COVERED)?.not_above(&self.file, &self.salt, number)?;
        let found = found.map(|entry| run(&entry)).transpose()?;
        Ok(found.filter(|run| number < run.end).map(|run| run.stamp))
    }

    fn covered(&self) -> io::Result<Vec<Run>> {
        self.all(COVERED, run)
    }

    fn stamps(&self) -> io::Result<Vec<u64>> {
        self.all(STAMPS, |entry| field(entry, 0))
    }

    fn bodies(&self) -> io::Result<Vec<BodyName>> {
        self.all(BODIES, |entry| BodyName::from_bytes(entry).ok_or_else(|| wrong("a body's name")))
    }

    fn heard(&self) -> io::Result<Vec<(UnixTime, Mark)>> {
        let heard = |entry: &[u8]| {
            let time = UnixTime::from_millis(i64::from_be_bytes(field(entry, 0)?.to_be_bytes()));
            let mark = entry.get(8..).and_then(|rest| rest.first_chunk()).ok_or_else(|| wrong("a mark"))?;
            Ok((time, Mark::from_bytes(*mark)))
        };
        self.all(HEARD, heard)
    }
}
