//! What the message log is measured beside: a queue with one writing thread, and where that thread writes to.

use crate::{MESSAGE, SIGNATURE, noise, query};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use rusqlite::Connection;
use saatkond_tests::postgres::Database;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, NoTls};

/// Messages that are kept at once.
const BATCH_MAX: usize = 1024;

/// A message on its way.
pub(crate) struct Order {
    query: String,
    message: Vec<u8>,
    signature: Vec<u8>,
    reply: oneshot::Sender<()>,
}

/// Where messages go; each belongs to one thread.
pub(crate) trait Sink: Send + 'static {
    /// Returns when all of them are on disk.
    fn keep(&mut self, orders: &[Order]);
}

/// The queue in front of a sink.
#[derive(Clone)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Order>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Queue {
    pub(crate) fn start(mut sink: impl Sink) -> Self {
        let (sender, mut waiting) = mpsc::channel::<Order>(4096);
        let thread = std::thread::spawn(move || {
            let mut orders = Vec::new();
            while let Some(first) = waiting.blocking_recv() {
                orders.push(first);
                while orders.len() < BATCH_MAX
                    && let Ok(next) = waiting.try_recv()
                {
                    orders.push(next);
                }
                sink.keep(&orders);
                for order in orders.drain(..) {
                    order.reply.send(()).unwrap();
                }
            }
        });
        Self { sender, thread: Arc::new(Mutex::new(Some(thread))) }
    }

    /// Returns when the message is on disk.
    pub(crate) async fn keep(self, number: u64) {
        let (reply, kept) = oneshot::channel();
        let (message, signature) = (noise(number, MESSAGE), noise(number, SIGNATURE));
        let order = Order { query: query(number), message, signature, reply };
        self.sender.send(order).await.ok().unwrap();
        kept.await.unwrap();
    }

    /// Waits for the thread; nobody sends any more.
    pub(crate) fn end(self) {
        let thread = self.thread.lock().unwrap().take().unwrap();
        drop(self.sender);
        thread.join().unwrap();
    }
}

/// A file of zeros that is overwritten from its beginning.
pub(crate) struct Bare {
    file: File,
    at: u64,
    out: Vec<u8>,
}

/// Bytes of the file.
const FILE: u64 = 256 << 20;

impl Bare {
    pub(crate) fn open(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let file = File::create(dir.join("file")).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..FILE >> 20).for_each(|place| file.write_all_at(&zeros, place << 20).unwrap());
        file.sync_all().unwrap();
        Self { file, at: 0, out: Vec::new() }
    }
}

impl Sink for Bare {
    fn keep(&mut self, orders: &[Order]) {
        self.out.clear();
        for order in orders {
            self.out.extend_from_slice(order.query.as_bytes());
            self.out.extend_from_slice(&order.message);
            self.out.extend_from_slice(&order.signature);
        }
        let bytes = self.out.len() as u64;
        if self.at + bytes > FILE {
            self.at = 0;
        }
        self.file.write_all_at(&self.out, self.at).unwrap();
        self.file.sync_data().unwrap();
        self.at += bytes;
    }
}

/// SQLite.
pub(crate) struct Lite {
    connection: Connection,
    is_grouped: bool,
}

impl Lite {
    pub(crate) fn open(dir: &Path, is_grouped: bool) -> Self {
        fs::create_dir_all(dir).unwrap();
        let connection = Connection::open(dir.join("log.sqlite")).unwrap();
        // A row has a page to itself; the log of the database is as long as a segment of ours before it is copied.
        let settings = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -65536; PRAGMA locking_mode = EXCLUSIVE;
             CREATE TABLE messages (number INTEGER PRIMARY KEY, query TEXT, message BLOB, signature BLOB);";
        connection.execute_batch(settings).unwrap();
        Self { connection, is_grouped }
    }
}

impl Sink for Lite {
    fn keep(&mut self, orders: &[Order]) {
        for together in orders.chunks(if self.is_grouped { BATCH_MAX } else { 1 }) {
            let transaction = self.connection.transaction().unwrap();
            {
                let words = "INSERT INTO messages (query, message, signature) VALUES (?, ?, ?)";
                let mut insert = transaction.prepare_cached(words).unwrap();
                for order in together {
                    insert.execute((&order.query, &order.message, &order.signature)).unwrap();
                }
            }
            transaction.commit().unwrap();
        }
    }
}

/// A PostgreSQL of its own.
pub(crate) struct Server(Database);

/// One connection to it.
pub(crate) struct Copied {
    client: Client,
    runtime: Runtime,
    next: i64,
}

impl Copied {
    /// Starts a server whose commits are durable; `None` where there is none.
    pub(crate) fn start(place: &Path) -> Option<Server> {
        let settings = "synchronous_commit = on\nshared_buffers = '512MB'\nwal_buffers = '64MB'\n\
             max_wal_size = '8GB'\nmin_wal_size = '1GB'\ncheckpoint_timeout = '1h'\nwal_level = minimal\n\
             max_wal_senders = 0\nautovacuum = off\n";
        Database::with(place, settings).map(Server)
    }
}

impl Server {
    /// An empty table, and a connection to it.
    pub(crate) fn sink(&self) -> Copied {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let config: tokio_postgres::Config = self.0.url().parse().unwrap();
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            let table = "DROP TABLE IF EXISTS messages;
                 CREATE TABLE messages (number BIGINT PRIMARY KEY, query TEXT, message BYTEA, signature BYTEA)
                     WITH (toast_tuple_target = 8160);
                 ALTER TABLE messages ALTER message SET STORAGE EXTERNAL, ALTER signature SET STORAGE EXTERNAL;
                 CHECKPOINT;";
            client.batch_execute(table).await.unwrap();
            client
        });
        Copied { client, runtime, next: 1 }
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.0.processes()
    }
}

impl Sink for Copied {
    fn keep(&mut self, orders: &[Order]) {
        let mut out = BytesMut::with_capacity(orders.len() * (MESSAGE + SIGNATURE + 100));
        out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        let field = |out: &mut BytesMut, bytes: &[u8]| {
            out.extend_from_slice(&i32::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend_from_slice(bytes);
        };
        for order in orders {
            out.extend_from_slice(&4_i16.to_be_bytes());
            field(&mut out, &self.next.to_be_bytes());
            field(&mut out, order.query.as_bytes());
            field(&mut out, &order.message);
            field(&mut out, &order.signature);
            self.next += 1;
        }
        out.extend_from_slice(&(-1_i16).to_be_bytes());
        self.runtime.block_on(async {
            let words = "COPY messages FROM STDIN (FORMAT binary)";
            let mut copy = pin!(self.client.copy_in::<_, Bytes>(words).await.unwrap());
            copy.send(out.freeze()).await.unwrap();
            assert_eq!(copy.as_mut().finish().await.unwrap(), orders.len() as u64);
        });
    }
}
