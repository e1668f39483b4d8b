//! Reads segments: walks through all of them, or takes one record out.

use super::LogError;
use super::codec::Content;
use super::disk::{name_of, segments};
use super::frame::{End, FRAME_BYTES, Frame, HEADER_BYTES, Header, Shared, Tail, Walk};
use super::index::{HEARD, Index, Note, Row};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::SystemTime;

/// The last segment, and where it ends.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) header: Header,
    pub(super) end: End,
}

/// Walks through all segments of `dir`, building the index; checks every sum and the whole chain.
///
/// A torn tail of the last segment is told in its end; anywhere else it is damage. With `hears`, requests received
/// shortly before the end are noted, too.
pub(super) fn scan(dir: &Path, hears: bool) -> Result<(Index, Option<Last>), LogError> {
    let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
    let mut index = Index::default();
    let mut last: Option<Last> = None;
    let all = segments(dir).map_err(disk)?;
    let newest = all.last().and_then(|segment| written(&dir.join(name_of(*segment))));
    let heard_since = newest.and_then(|newest| newest.checked_sub(HEARD));
    for (nth, segment) in all.iter().enumerate() {
        let file = dir.join(name_of(*segment));
        let damaged = |offset: usize, text: &str| LogError::Damaged {
            file: file.clone(),
            offset: offset as u64,
            text: text.to_owned(),
        };
        let is_recent = hears && written(&file).is_none_or(|at| heard_since.is_none_or(|since| at >= since));
        let bytes = fs::read(&file).map_err(disk)?;
        let mut walk = Walk::new(&bytes).ok_or_else(|| damaged(0, "its header does not hold"))?;
        let header = walk.header().clone();
        if header.segment != *segment {
            return Err(damaged(0, "its header names another segment"));
        }
        if let Some(before) = &last {
            let end = before.end;
            let follows = header.segment == before.header.segment + 1;
            if !follows || (header.record, header.batch, header.chain) != (end.record, end.batch, end.chain) {
                return Err(damaged(0, "it does not follow the segment before it"));
            }
        }
        while let Some(batch) = walk.batch() {
            for frame in batch {
                let content = Content::from_bytes(frame.body, walk.shared(&frame))
                    .ok_or_else(|| damaged(frame.offset, "a record cannot be read"))?;
                if is_recent {
                    index.hear(&content);
                }
                index.add(frame.place.record, *segment, frame.offset as u64, Note::of(&content));
            }
        }
        let end = walk.end();
        match end.tail {
            Tail::Damaged => {
                return Err(damaged(end.offset, "a record does not hold, and later ones follow it"));
            }
            Tail::Torn if nth + 1 != all.len() => {
                return Err(damaged(end.offset, "it is not whole, and a segment follows it"));
            }
            Tail::Torn | Tail::Clean => {}
        }
        last = Some(Last { header, end });
    }
    Ok((index, last))
}

/// When a file was last written.
fn written(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// Takes one record out of its segment; its sum is checked again.
pub(super) fn read_record(dir: &Path, number: u64, row: Row) -> Result<Content, LogError> {
    let path = dir.join(name_of(row.segment));
    let disk = |source| LogError::Disk { dir: dir.to_owned(), source };
    let damaged = || LogError::Damaged {
        file: path.clone(),
        offset: row.offset,
        text: format!("record {number} does not hold"),
    };
    let file = File::open(&path).map_err(disk)?;
    let mut head = vec![0; HEADER_BYTES];
    file.read_exact_at(&mut head, 0).map_err(disk)?;
    let header = Header::from_bytes(&head).ok_or_else(damaged)?;
    let bytes = read_frame(&file, row.offset).map_err(disk)?.ok_or_else(damaged)?;
    let frame = Frame::alone(&bytes, &header).filter(|f| f.place.record == number).ok_or_else(damaged)?;
    let lender = match frame.shared {
        Shared::Lent { lender, .. } => read_frame(&file, lender).map_err(disk)?.ok_or_else(damaged)?,
        Shared::Nothing | Shared::Own { .. } => Vec::new(),
    };
    let shared = match frame.shared {
        Shared::Nothing => &[],
        Shared::Own { bytes, .. } => bytes,
        Shared::Lent { sum, .. } => match Frame::alone(&lender, &header).map(|lender| lender.shared) {
            Some(Shared::Own { bytes, sum: found }) if found == sum => bytes,
            _ => return Err(damaged()),
        },
    };
    Content::from_bytes(frame.body, shared).ok_or_else(damaged)
}

/// The bytes of the frame at `offset`; `None` when none begins there.
fn read_frame(file: &File, offset: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; FRAME_BYTES];
    file.read_exact_at(&mut bytes, offset)?;
    let Some(length) = Frame::length(&bytes) else { return Ok(None) };
    bytes.resize(FRAME_BYTES + length, 0);
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Some(bytes))
}
