//! The one thread that writes: gathers what waits, writes it, syncs once, then tells.

use super::alarm::{Alarms, Refused};
use super::codec::{Content, Encoded};
use super::disk::{Disk, SegmentFile};
use super::frame::{self, End, FRAME_BYTES, HEADER_BYTES, Header, Place, Shared, Tail};
use super::index::{Full, Index, Indexing, Note};
use super::next::{Making, Next};
use super::store::Walked;
use super::sum::{Sum, random, sum_of};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Records that one batch may have.
const BATCH_RECORDS_MAX: usize = 1024;
/// Bytes at which a batch takes no more.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the writer is asked to do.
pub(super) enum Task {
    Record(Order),
    /// To go on in a new segment.
    Seal(oneshot::Sender<Result<(), Refused>>),
}

/// A record on its way to disk.
pub(super) struct Order {
    body: Vec<u8>,
    digest: Sum,
    shared: Vec<u8>,
    shared_digest: Sum,
    note: Note,
    reply: oneshot::Sender<Result<u64, Refused>>,
}

impl Order {
    /// An order and where its outcome will be told.
    pub(super) fn new(content: &Content) -> (Self, oneshot::Receiver<Result<u64, Refused>>) {
        let (reply, outcome) = oneshot::channel();
        let Encoded { body, shared } = content.to_bytes();
        let (digest, shared_digest) = (sum_of(&[&body]), sum_of(&[&shared]));
        (Self { body, digest, shared, shared_digest, note: Note::of(content), reply }, outcome)
    }

    /// Bytes that it takes on disk, at most.
    const fn len(&self) -> usize {
        FRAME_BYTES + self.body.len() + self.shared.len()
    }
}

/// A batch, framed.
struct Batch {
    out: Vec<u8>,
    /// Where each record begins.
    offsets: Vec<u64>,
    /// The chain after it.
    chain: Sum,
}

/// The writer's state. It belongs to its thread alone; only the index and what is wrong are shared.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    file: Box<dyn SegmentFile>,
    header: Header,
    at: u64,
    chain: Sum,
    batch: u64,
    record: u64,
    /// Where in this segment lies what records share, by its sum.
    lent: HashMap<Sum, u64>,
    /// Bytes of a segment.
    size: u64,
    /// Whether nothing is written to this segment any more: nobody knows what a failed write or sync left of it.
    is_given_up: bool,
    index: Arc<Index>,
    indexing: Indexing,
    next: Next,
    alarms: Arc<Alarms>,
}

impl Writer {
    /// Goes on after `last`, or begins the first segment.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        size: u64,
        index: Arc<Index>,
        last: Option<Walked>,
    ) -> io::Result<Self> {
        let (file, header, end) = match last {
            Some(Walked { header, end, last_batch }) => {
                let mut file = disk.reopen(header.name())?;
                file.settle(last_batch, end.offset as u64, end.tail == Tail::Torn)?;
                (file, header, end)
            }
            None => {
                let (salt, chain) = (random()?, Sum::ZERO);
                let header = Header { segment: 1, record: 1, batch: 1, before: 0, unstamped: 1, chain, salt };
                disk.prepare(size)?;
                let file = disk.adopt(header.name(), &header.to_bytes())?;
                let tail = Tail::Clean;
                (file, header, End { offset: HEADER_BYTES, chain, batch: 1, record: 1, tail })
            }
        };
        let alarms = Arc::<Alarms>::default();
        Ok(Self {
            next: Next::start(Arc::clone(&disk), size, Arc::clone(&alarms))?,
            disk,
            file,
            header,
            at: end.offset as u64,
            chain: end.chain,
            batch: end.batch,
            record: end.record,
            lent: HashMap::new(),
            size,
            is_given_up: false,
            indexing: Indexing::start(Arc::clone(&index))?,
            index,
            alarms,
        })
    }

    /// What is wrong, and how far the next segment is.
    pub(super) fn condition(&self) -> (Arc<Alarms>, Arc<Making>) {
        (Arc::clone(&self.alarms), self.next.making())
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Task>) {
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            let (mut orders, mut bytes) = (Vec::new(), 0_usize);
            while let Some(Task::Record(order)) = next {
                bytes = bytes.saturating_add(order.len());
                orders.push(order);
                let is_full = orders.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX;
                next = if is_full { None } else { queue.try_recv().ok() };
            }
            if !orders.is_empty() {
                self.commit(orders);
            }
            if let Some(Task::Seal(reply)) = next {
                // Whoever asked may have gone.
                let _ = reply.send(self.seal());
            }
        }
        self.alarms.ends();
    }

    /// Goes on in a new segment, if this one has records.
    fn seal(&mut self) -> Result<(), Refused> {
        if self.at > HEADER_BYTES as u64 { self.roll() } else { Ok(()) }
    }

    fn commit(&mut self, orders: Vec<Order>) {
        self.alarms.begins();
        let written = self.write(&orders);
        self.alarms.returns();
        match written {
            Ok(offsets) => self.tell(orders, &offsets),
            Err(refused) => {
                for order in orders {
                    let _ = order.reply.send(Err(refused.clone()));
                }
            }
        }
    }

    /// Writes and syncs a batch; gives where each record begins.
    fn write(&mut self, orders: &[Order]) -> Result<Vec<u64>, Refused> {
        let bytes: usize = orders.iter().map(Order::len).sum();
        let is_full = self.at.saturating_add(bytes as u64) > self.size && self.at > HEADER_BYTES as u64;
        if is_full || self.is_given_up {
            self.roll()?;
        }
        let Batch { out, offsets, chain } = self.lay_out(orders, bytes);
        let written = self.file.write_at(&out, self.at).and_then(|()| self.file.sync());
        written.map_err(|error| self.give_up(&error))?;
        self.at += out.len() as u64;
        self.chain = chain;
        self.batch += 1;
        Ok(offsets)
    }

    /// Frames a batch. What it lends to later ones is noted at once: after a failed write nothing follows in this segment.
    fn lay_out(&mut self, orders: &[Order], bytes: usize) -> Batch {
        let mut out = Vec::with_capacity(bytes);
        let mut offsets = Vec::with_capacity(orders.len());
        let mut chain = self.chain;
        let mut place = Place {
            batch: self.batch,
            index: 0,
            count: u32::try_from(orders.len()).unwrap_or(u32::MAX),
            record: self.record,
        };
        for order in orders {
            let offset = self.at + out.len() as u64;
            offsets.push(offset);
            let sum = order.shared_digest;
            let shared = match self.lent.entry(sum) {
                _ if order.shared.is_empty() => Shared::Nothing,
                Entry::Occupied(lender) => Shared::Lent { lender: *lender.get(), sum },
                Entry::Vacant(vacant) => {
                    vacant.insert(offset);
                    Shared::Own { bytes: &order.shared, sum }
                }
            };
            let body = (order.body.as_slice(), &order.digest);
            chain = frame::append(&mut out, &self.header, &chain, place, body, shared);
            place = Place { index: place.index + 1, record: place.record + 1, ..place };
        }
        Batch { out, offsets, chain }
    }

    /// After a failed write or sync nobody knows what is on disk, and a second sync may say that all is well. So nothing
    /// is written to this file any more. The next segment says where its records end; its file is made anew, so that a
    /// disk is believed only when it has taken a whole segment and synced it.
    fn give_up(&mut self, error: &io::Error) -> Refused {
        self.alarms.is_given_up(self.header.segment, error);
        self.is_given_up = true;
        self.next.ask();
        Refused::from(error)
    }

    fn tell(&mut self, orders: Vec<Order>, offsets: &[u64]) {
        let (notes, replies): (Vec<Note>, Vec<_>) = orders.into_iter().map(|o| (o.note, o.reply)).unzip();
        self.index.add(offsets.iter().copied().zip(notes));
        for reply in replies {
            let _ = reply.send(Ok(self.record));
            self.record += 1;
        }
    }

    /// Goes on in a new segment. Without space for it nothing is lost, and the next batch tries again.
    fn roll(&mut self) -> Result<(), Refused> {
        let salt = random().map_err(|error| Refused::from(&error))?;
        self.next.take().inspect_err(|why| self.alarms.is_full(why))?;
        let header = Header {
            segment: self.header.segment + 1,
            record: self.record,
            batch: self.batch,
            before: self.at,
            unstamped: self.index.oldest_unstamped(),
            chain: self.chain,
            salt,
        };
        let adopted = self.disk.adopt(header.name(), &header.to_bytes());
        let mut full = match adopted {
            Ok(file) => std::mem::replace(&mut self.file, file),
            Err(error) => return Err(self.give_up(&error)),
        };
        if !self.is_given_up
            && let Err(error) = full.seal(self.at)
        {
            tracing::warn!(%error, segment = self.header.segment, "full segment not shortened");
        }
        let offset = usize::try_from(self.at).unwrap_or(usize::MAX);
        let (batch, record, tail) = (self.batch, self.record, Tail::Clean);
        let end = End { offset, chain: self.chain, batch, record, tail };
        let rows = self.index.roll(header.name());
        self.indexing.make(Full { rows, salt: self.header.salt, end });
        self.header = header;
        self.lent.clear();
        self.at = HEADER_BYTES as u64;
        self.is_given_up = false;
        self.alarms.goes_on(self.header.segment);
        self.next.ask();
        Ok(())
    }
}
