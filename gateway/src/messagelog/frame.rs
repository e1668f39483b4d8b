//! How records lie in a segment: framed, summed, chained; and where the log ends.
//!
//! Ours. A segment begins with a header, then frames follow without gaps, then zeros to the end of the file.
//!
//! ```text
//! header  magic 24 │ segment u64 │ first record u64 │ first batch u64 │ end of the segment before u64
//!         │ oldest unstamped u64 │ chain before it 32 │ salt 16 │ SHA-256 32
//! frame   magic 8 │ body's length u32 │ shared length u32 │ lender u64 │ batch u64 │ place in batch u32
//!         │ records in batch u32 │ record u64 │ SHA-256 of what is shared 32 │ sum 32 │ chain 32 │ body │ shared
//! sum   = SHA-256(salt ‖ body's length … SHA-256 of what is shared ‖ SHA-256(body))
//! chain = SHA-256(chain before ‖ sum)
//! ```
//!
//! What records share (the signature of a batch) lies behind the first of them in the segment; the others name that
//! frame's offset, their lender. A lender is never in another segment, so that it goes only together with those who need
//! it. Each sum covers what is shared, wherever it lies.
//!
//! Integers are little-endian. A batch is written at once and synced before the next one is written, so only the last
//! batch can be torn. A frame that does not hold is a torn tail when no frame of a later batch follows it, else damage:
//! what was acknowledged is never dropped in silence. The salt keeps a message's own bytes from posing as a frame.

use super::disk::Name;
use super::sum::{Sum, sum_of};
use std::collections::HashMap;

/// First bytes of a segment.
const SEGMENT_MAGIC: &[u8; 24] = b"saatkond message log 4\n\n";
/// First bytes of a frame.
const FRAME_MAGIC: &[u8; 8] = b"\x8fSKrec\r\n";
/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 24 + 5 * 8 + 32 + 16 + 32;
/// Bytes of a frame before its body.
pub(super) const FRAME_BYTES: usize = 8 + FIELDS_BYTES + 32 + 32;
/// Bytes of a frame's fields.
const FIELDS_BYTES: usize = 4 + 4 + 8 + 8 + 4 + 4 + 8 + 32;
/// Bytes of a body, and of what is shared; a SOAP envelope of 32 MiB with its proof has less.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a segment's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The segment's number, from 1.
    pub(super) segment: u64,
    /// The number of its first record.
    pub(super) record: u64,
    /// The number of its first batch.
    pub(super) batch: u64,
    /// Where the records of the segment before it end; what lies behind was never acknowledged. 0 for the first.
    pub(super) before: u64,
    /// When it was begun, no message before this record was without a time-stamp.
    pub(super) unstamped: u64,
    /// The chain before its first record.
    pub(super) chain: Sum,
    /// What sums are salted with.
    pub(super) salt: [u8; 16],
}

/// What goes before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The batch.
    pub(super) batch: u64,
    /// Its place in the batch, from 0.
    pub(super) index: u32,
    /// How many records the batch has.
    pub(super) count: u32,
    /// The record's number.
    pub(super) record: u64,
}

/// What a record shares with others of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shared<'a> {
    Nothing,
    /// It is the first, and carries it.
    Own {
        bytes: &'a [u8],
        sum: Sum,
    },
    /// The frame at this offset carries it.
    Lent {
        lender: u64,
        sum: Sum,
    },
}

/// A frame whose sum holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) offset: usize,
    pub(super) place: Place,
    pub(super) chain: Sum,
    pub(super) body: &'a [u8],
    pub(super) shared: Shared<'a>,
}

impl Header {
    /// The segment's name.
    pub(super) const fn name(&self) -> Name {
        Name { segment: self.segment, record: self.record }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(SEGMENT_MAGIC);
        for number in [self.segment, self.record, self.batch, self.before, self.unstamped] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.chain.0);
        out.extend_from_slice(&self.salt);
        let sum = sum_of(&[&out]);
        out.extend_from_slice(&sum.0);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (summed, sum) = bytes.get(..HEADER_BYTES)?.split_last_chunk::<32>()?;
        let mut rest = summed.strip_prefix(SEGMENT_MAGIC)?;
        let header = Self {
            segment: u64::from_le_bytes(take(&mut rest)?),
            record: u64::from_le_bytes(take(&mut rest)?),
            batch: u64::from_le_bytes(take(&mut rest)?),
            before: u64::from_le_bytes(take(&mut rest)?),
            unstamped: u64::from_le_bytes(take(&mut rest)?),
            chain: Sum(take(&mut rest)?),
            salt: take(&mut rest)?,
        };
        (sum_of(&[summed]).0 == *sum).then_some(header)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

impl Shared<'_> {
    /// Bytes of it in its own frame.
    const fn len(&self) -> usize {
        match self {
            Self::Own { bytes, .. } => bytes.len(),
            Self::Nothing | Self::Lent { .. } => 0,
        }
    }
}

fn fields(body: usize, shared: &Shared<'_>, place: Place) -> Vec<u8> {
    let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    let (lender, sum) = match *shared {
        Shared::Nothing => (0, Sum::ZERO),
        Shared::Own { sum, .. } => (0, sum),
        Shared::Lent { lender, sum } => (lender, sum),
    };
    let mut out = Vec::with_capacity(FIELDS_BYTES);
    out.extend_from_slice(&length(body));
    out.extend_from_slice(&length(shared.len()));
    out.extend_from_slice(&lender.to_le_bytes());
    out.extend_from_slice(&place.batch.to_le_bytes());
    out.extend_from_slice(&place.index.to_le_bytes());
    out.extend_from_slice(&place.count.to_le_bytes());
    out.extend_from_slice(&place.record.to_le_bytes());
    out.extend_from_slice(&sum.0);
    out
}

/// Appends a frame to `out`; gives the chain after it. `digest` is the body's.
pub(super) fn append(
    out: &mut Vec<u8>,
    header: &Header,
    before: &Sum,
    place: Place,
    (body, digest): (&[u8], &Sum),
    shared: Shared<'_>,
) -> Sum {
    let fields = fields(body.len(), &shared, place);
    let sum = sum_of(&[&header.salt, &fields, &digest.0]);
    let chain = sum_of(&[&before.0, &sum.0]);
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&fields);
    out.extend_from_slice(&sum.0);
    out.extend_from_slice(&chain.0);
    out.extend_from_slice(body);
    if let Shared::Own { bytes, .. } = shared {
        out.extend_from_slice(bytes);
    }
    chain
}

/// The lengths of body and own shared part, as a frame's beginning says them.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut rest = bytes.strip_prefix(FRAME_MAGIC)?;
    let body = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    let shared = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    (body <= BODY_BYTES_MAX && shared <= BODY_BYTES_MAX).then_some((body, shared))
}

/// Reads the frame that begins at `offset` as far as its own sum can tell.
fn summed<'a>(bytes: &'a [u8], header: &Header, offset: usize) -> Option<(Frame<'a>, Sum)> {
    let bytes = bytes.get(offset..)?;
    let (body_length, shared_length) = lengths(bytes)?;
    let mut rest = bytes.strip_prefix(FRAME_MAGIC)?;
    let fields: [u8; FIELDS_BYTES] = take(&mut rest)?;
    let sum = Sum(take(&mut rest)?);
    let chain = Sum(take(&mut rest)?);
    let (body, rest) = rest.split_at_checked(body_length)?;
    let own = rest.get(..shared_length)?;
    let mut reader = fields.get(8..)?;
    let lender = u64::from_le_bytes(take(&mut reader)?);
    let place = Place {
        batch: u64::from_le_bytes(take(&mut reader)?),
        index: u32::from_le_bytes(take(&mut reader)?),
        count: u32::from_le_bytes(take(&mut reader)?),
        record: u64::from_le_bytes(take(&mut reader)?),
    };
    let shared_sum = Sum(take(&mut reader)?);
    let shared = match (lender, own) {
        (0, []) if shared_sum == Sum::ZERO => Shared::Nothing,
        (0, bytes) => Shared::Own { bytes, sum: shared_sum },
        (lender, []) => Shared::Lent { lender, sum: shared_sum },
        (_, _) => return None,
    };
    let is_own = |shared: &Shared<'_>| match shared {
        Shared::Own { bytes, sum } => sum_of(&[bytes]) == *sum,
        Shared::Nothing | Shared::Lent { .. } => true,
    };
    let holds = sum_of(&[&header.salt, &fields, &sum_of(&[body]).0]) == sum && is_own(&shared);
    holds.then_some((Frame { offset, place, chain, body, shared }, sum))
}

impl<'a> Frame<'a> {
    /// The bytes that follow these [`FRAME_BYTES`].
    pub(super) fn length(bytes: &[u8]) -> Option<usize> {
        lengths(bytes).map(|(body, shared)| body + shared)
    }

    /// Its length on disk.
    const fn len(&self) -> usize {
        FRAME_BYTES + self.body.len() + self.shared.len()
    }

    /// A frame by itself: its sum is checked, its place in the chain is not.
    pub(super) fn alone(bytes: &'a [u8], header: &Header) -> Option<Self> {
        summed(bytes, header, 0).map(|(frame, _)| frame)
    }
}

/// Where a segment's frames end, and why there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros follow, or nothing.
    Clean,
    /// The last batch was not written whole; nobody was told of it.
    Torn,
    /// A frame that does not hold, and frames of later batches after it.
    Damaged,
}

/// Walks through a segment.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    header: Header,
    offset: usize,
    chain: Sum,
    next: Place,
    /// What lies behind frames for others to share.
    lent: HashMap<u64, (Sum, &'a [u8])>,
    /// End and chain of the last whole batch, and what would follow it.
    whole: (usize, Sum, Place),
}

/// Where the log goes on after the last whole batch of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) offset: usize,
    pub(super) chain: Sum,
    pub(super) batch: u64,
    pub(super) record: u64,
    pub(super) tail: Tail,
}

impl<'a> Walk<'a> {
    /// Starts after the header; `None` when there is none that holds.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = Header::from_bytes(bytes)?;
        let next = Place { batch: header.batch, index: 0, count: 0, record: header.record };
        let chain = header.chain;
        let whole = (HEADER_BYTES, chain, next);
        Some(Self { bytes, offset: HEADER_BYTES, chain, next, lent: HashMap::new(), whole, header })
    }

    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    /// The next batch, whole; `None` at the end.
    pub(super) fn batch(&mut self) -> Option<Vec<Frame<'a>>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame()?;
            frames.push(frame);
            if self.next.index == 0 {
                self.whole = (self.offset, self.chain, self.next);
                return Some(frames);
            }
        }
    }

    fn frame(&mut self) -> Option<Frame<'a>> {
        let (frame, sum) = summed(self.bytes, &self.header, self.offset)?;
        let (place, next) = (frame.place, self.next);
        let goes_on = place.batch == next.batch && place.index == next.index && place.record == next.record;
        let within = place.index < place.count && (next.index == 0 || place.count == next.count);
        if !goes_on || !within || sum_of(&[&self.chain.0, &sum.0]) != frame.chain {
            return None;
        }
        match frame.shared {
            Shared::Nothing => {}
            Shared::Own { bytes, sum } => {
                self.lent.insert(frame.offset as u64, (sum, bytes));
            }
            Shared::Lent { lender, sum } if self.lent.get(&lender).is_some_and(|l| l.0 == sum) => {}
            Shared::Lent { .. } => return None,
        }
        self.offset = self.offset.checked_add(frame.len())?;
        self.chain = frame.chain;
        self.next = if place.index + 1 == place.count {
            Place { batch: place.batch + 1, index: 0, count: 0, record: place.record + 1 }
        } else {
            Place { index: place.index + 1, record: place.record + 1, ..place }
        };
        Some(frame)
    }

    /// What a frame shares with others, wherever it lies.
    pub(super) fn shared(&self, frame: &Frame<'a>) -> &'a [u8] {
        match frame.shared {
            Shared::Nothing => &[],
            Shared::Own { bytes, .. } => bytes,
            Shared::Lent { lender, .. } => self.lent.get(&lender).map_or(&[], |(_, bytes)| bytes),
        }
    }

    /// Where the whole batches end. Call when [`Walk::batch`] has given `None`.
    pub(super) fn end(&self) -> End {
        let (offset, chain, next) = self.whole;
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let tail = if rest.iter().all(|b| *b == 0) {
            Tail::Clean
        } else if self.later_batch_after(offset, next.batch) {
            Tail::Damaged
        } else {
            Tail::Torn
        };
        End { offset, chain, batch: next.batch, record: next.record, tail }
    }

    /// Whether a frame of a batch after `batch` lies anywhere behind `offset`.
    fn later_batch_after(&self, offset: usize, batch: u64) -> bool {
        let mut at = offset;
        while let Some(found) = find(self.bytes.get(at..).unwrap_or_default(), FRAME_MAGIC) {
            let begin = at + found;
            if summed(self.bytes, &self.header, begin).is_some_and(|(f, _)| f.place.batch > batch) {
                return true;
            }
            at = begin + 1;
        }
        false
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}
