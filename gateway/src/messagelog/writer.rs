//! The one thread that writes: gathers what waits, writes it, syncs once, then tells.

use super::codec::{Content, Encoded};
use super::disk::{Disk, SegmentFile};
use super::frame::{self, End, FRAME_BYTES, HEADER_BYTES, Header, Place, Shared, Tail};
use super::index::{Index, Note, Rows};
use super::store::Walked;
use super::sum::{Sum, random, sum_of};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Records that one batch may have.
const BATCH_RECORDS_MAX: usize = 1024;
/// Bytes at which a batch takes no more.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A record on its way to disk.
pub(super) struct Order {
    body: Vec<u8>,
    digest: Sum,
    shared: Vec<u8>,
    shared_digest: Sum,
    note: Note,
    reply: oneshot::Sender<Result<u64, Refused>>,
}

/// Why a record was not written; every order of a batch gets its copy.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    kind: io::ErrorKind,
    text: String,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(refused.kind, refused.text)
    }
}

impl From<&io::Error> for Refused {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }
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

/// The writer's state. It belongs to its thread alone; only the index is shared.
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
    index: Arc<Index>,
    indexing: Indexing,
    prepared: Option<JoinHandle<io::Result<()>>>,
    failed: Option<Refused>,
    failed_flag: Arc<AtomicBool>,
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
        let mut writer = Self {
            disk,
            file,
            header,
            at: end.offset as u64,
            chain: end.chain,
            batch: end.batch,
            record: end.record,
            lent: HashMap::new(),
            size,
            indexing: Indexing::start(Arc::clone(&index))?,
            index,
            prepared: None,
            failed: None,
            failed_flag: Arc::default(),
        };
        writer.prepare_next();
        Ok(writer)
    }

    /// Tells whether the writer has given up.
    pub(super) fn failed_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.failed_flag)
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.len();
            let mut orders = vec![first];
            while orders.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
                let Ok(order) = queue.try_recv() else { break };
                bytes = bytes.saturating_add(order.len());
                orders.push(order);
            }
            self.commit(orders);
        }
        if let Some(prepared) = self.prepared.take() {
            let _ = prepared.join();
        }
        self.indexing.end();
    }

    fn commit(&mut self, orders: Vec<Order>) {
        match self.write(&orders) {
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
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let bytes: usize = orders.iter().map(Order::len).sum();
        if self.at.saturating_add(bytes as u64) > self.size && self.at > HEADER_BYTES as u64 {
            self.roll()?;
        }
        let Batch { out, offsets, chain } = self.lay_out(orders, bytes);
        let written = self.file.write_at(&out, self.at).and_then(|()| self.file.sync());
        written.map_err(|error| self.fail(&error))?;
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

    /// After a failed write or sync nobody knows what is on disk: nothing more is taken until the log is opened anew.
    fn fail(&mut self, error: &io::Error) -> Refused {
        let refused = Refused::from(error);
        tracing::error!(%error, "message log failed; restart when the disk is well");
        self.failed = Some(refused.clone());
        self.failed_flag.store(true, Ordering::SeqCst);
        refused
    }

    fn tell(&mut self, orders: Vec<Order>, offsets: &[u64]) {
        let (notes, replies): (Vec<Note>, Vec<_>) = orders.into_iter().map(|o| (o.note, o.reply)).unzip();
        self.index.add(offsets.iter().copied().zip(notes));
        for reply in replies {
            let _ = reply.send(Ok(self.record));
            self.record += 1;
        }
    }

    /// Goes on in a new segment. Without space for it nothing is lost and the next batch tries again.
    fn roll(&mut self) -> Result<(), Refused> {
        let ready = match self.prepared.take() {
            Some(prepared) => prepared.join().unwrap_or_else(|_| Err(io::Error::other("preparing panicked"))),
            None => self.disk.prepare(self.size),
        };
        ready.map_err(|error| {
            tracing::error!(%error, "no space for the next segment of the message log");
            Refused::from(&error)
        })?;
        let header = Header {
            segment: self.header.segment + 1,
            record: self.record,
            batch: self.batch,
            before: self.at,
            unstamped: self.index.oldest_unstamped(),
            chain: self.chain,
            salt: random().map_err(|error| Refused::from(&error))?,
        };
        let adopted = self.disk.adopt(header.name(), &header.to_bytes());
        let mut full = match adopted {
            Ok(file) => std::mem::replace(&mut self.file, file),
            Err(error) => return Err(self.fail(&error)),
        };
        if let Err(error) = full.seal(self.at) {
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
        self.prepare_next();
        Ok(())
    }

    fn prepare_next(&mut self) {
        let (disk, size) = (Arc::clone(&self.disk), self.size);
        let spawned = thread::Builder::new().name("log-prepare".to_owned()).spawn(move || disk.prepare(size));
        self.prepared = spawned.ok();
    }
}

/// The thread that makes index files of full segments.
struct Indexing {
    index: Arc<Index>,
    queue: Option<SyncSender<Full>>,
    thread: Option<JoinHandle<()>>,
}

/// A full segment.
struct Full {
    rows: Arc<Rows>,
    salt: [u8; 16],
    end: End,
}

/// Full segments that may wait for their index file; of more than that it is made when somebody asks for it.
const INDEXING_MAX: usize = 4;

impl Indexing {
    fn start(index: Arc<Index>) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Full>(INDEXING_MAX);
        let of_thread = Arc::clone(&index);
        let thread = thread::Builder::new().name("log-index".to_owned()).spawn(move || {
            for full in waiting {
                of_thread.make_file(&full.rows, &full.salt, &full.end);
            }
        })?;
        Ok(Self { index, queue: Some(queue), thread: Some(thread) })
    }

    fn make(&self, full: Full) {
        let name = full.rows.name();
        let sent = self.queue.as_ref().map(|queue| queue.try_send(full));
        if !matches!(sent, Some(Ok(()))) {
            self.index.let_go(name);
        }
    }

    /// Returns when all of them are made.
    fn end(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
