//! Sorted tables of entries of one size, in blocks that are summed each by itself: read in part, believed only in whole blocks.

use crate::messagelog::sum::sum_of;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bytes of a block; its sum is at its end.
pub(super) const BLOCK_BYTES: usize = 4096;
const SUM_BYTES: usize = 16;

/// Where a table lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Which one; its blocks are no other table's.
    pub(super) id: u8,
    /// Bytes of an entry.
    pub(super) entry: usize,
    /// Entries in it.
    pub(super) count: u64,
    /// Where it begins.
    pub(super) at: u64,
    /// The key of the first entry of each block; none where entries are found by their place.
    pub(super) fences: Vec<u64>,
}

/// What does not hold.
pub(super) fn wrong(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("index file does not hold: {text}"))
}

fn per_block(entry: usize) -> usize {
    (BLOCK_BYTES - SUM_BYTES) / entry.max(1)
}

fn sum(salt: &[u8], id: u8, block: u64, bytes: &[u8]) -> [u8; SUM_BYTES] {
    let sum = sum_of(&[salt, &[id], &block.to_le_bytes(), bytes]);
    sum.0.first_chunk().copied().unwrap_or_default()
}

/// The key that an entry begins with.
fn key_of(entry: &[u8]) -> u64 {
    entry.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Table {
    /// Appends a table's blocks to `out`; entries with keys must be sorted.
    pub(super) fn write<const N: usize>(
        out: &mut Vec<u8>,
        salt: &[u8],
        (id, is_keyed): (u8, bool),
        entries: impl IntoIterator<Item = [u8; N]>,
    ) -> Self {
        let mut table = Self { id, entry: N, count: 0, at: out.len() as u64, fences: Vec::new() };
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let mut blocks = 0;
        for entry in entries {
            if block.is_empty() && is_keyed {
                table.fences.push(key_of(&entry));
            }
            block.extend_from_slice(&entry);
            table.count += 1;
            if block.len() + N > BLOCK_BYTES - SUM_BYTES {
                Self::end(out, &mut block, salt, (id, blocks));
                blocks += 1;
            }
        }
        if !block.is_empty() {
            Self::end(out, &mut block, salt, (id, blocks));
        }
        table
    }

    fn end(out: &mut Vec<u8>, block: &mut Vec<u8>, salt: &[u8], (id, number): (u8, u64)) {
        block.resize(BLOCK_BYTES - SUM_BYTES, 0);
        let sum = sum(salt, id, number, block);
        out.append(block);
        out.extend_from_slice(&sum);
    }

    const fn blocks(&self) -> u64 {
        self.count.div_ceil((BLOCK_BYTES - SUM_BYTES) as u64 / self.entry as u64)
    }

    /// Whether the numbers in it fit together.
    pub(super) fn is_sound(&self) -> bool {
        self.entry > 0 && (self.fences.is_empty() || self.fences.len() as u64 == self.blocks())
    }

    /// The entries of one block.
    fn block(&self, file: &File, salt: &[u8], number: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; BLOCK_BYTES];
        file.read_exact_at(&mut bytes, self.at + number * BLOCK_BYTES as u64)?;
        let found = bytes.split_off(BLOCK_BYTES - SUM_BYTES);
        if found != sum(salt, self.id, number, &bytes) {
            return Err(wrong("a block"));
        }
        let per_block = per_block(self.entry) as u64;
        let here = self.count.saturating_sub(number * per_block).min(per_block);
        bytes.truncate(usize::try_from(here).unwrap_or(0) * self.entry);
        Ok(bytes)
    }

    /// Asks the entries at these places, as far as there are.
    pub(super) fn at<T>(
        &self,
        file: &File,
        salt: &[u8],
        places: Range<u64>,
        ask: impl Fn(&[u8]) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let per_block = per_block(self.entry) as u64;
        let places = places.start..places.end.min(self.count);
        let mut found = Vec::new();
        for number in places.start / per_block..places.end.div_ceil(per_block) {
            let block = self.block(file, salt, number)?;
            for (place, entry) in (number * per_block..).zip(block.chunks_exact(self.entry)) {
                if places.contains(&place) {
                    found.push(ask(entry)?);
                }
            }
        }
        Ok(found)
    }

    /// All entries with this key.
    pub(super) fn with_key(&self, file: &File, salt: &[u8], key: u64) -> io::Result<Vec<Vec<u8>>> {
        // Entries of one key may begin at the end of the block before the first that begins with it.
        let first = self.fences.partition_point(|fence| *fence < key).saturating_sub(1);
        let mut found = Vec::new();
        for number in first..self.fences.partition_point(|fence| *fence <= key) {
            let block = self.block(file, salt, number as u64)?;
            let entries = block.chunks_exact(self.entry).filter(|entry| key_of(entry) == key);
            found.extend(entries.map(<[u8]>::to_vec));
        }
        Ok(found)
    }

    /// The last entry whose key is not above this.
    pub(super) fn not_above(&self, file: &File, salt: &[u8], key: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(number) = self.fences.partition_point(|fence| *fence <= key).checked_sub(1) else {
            return Ok(None);
        };
        let block = self.block(file, salt, number as u64)?;
        let below = block.chunks_exact(self.entry).take_while(|entry| key_of(entry) <= key);
        Ok(below.last().map(<[u8]>::to_vec))
    }
}
