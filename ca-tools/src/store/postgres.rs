//! The state in PostgreSQL, for several nodes.
//!
//! One connection lives on a thread of its own, which is asked and waited for; when it breaks, the next question opens
//! another. A commit whose answer was lost is looked up by its digest: it is told as what it was.

use super::{Backend, Change, Rows, SCHEMA, Signing, StoreError, entries, form};
use saatkond_proto::time::UnixTime;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Row, Transaction};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE SCHEMA IF NOT EXISTS saatkond_central;
    SET search_path TO saatkond_central;
    CREATE TABLE IF NOT EXISTS head (
        one int PRIMARY KEY CHECK (one = 1), schema bigint NOT NULL, revision bigint NOT NULL,
        at bigint NOT NULL, digest text NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (
        kind text NOT NULL, name text COLLATE \"C\" NOT NULL, body text NOT NULL, is_closed boolean NOT NULL,
        revision bigint NOT NULL, place bigint NOT NULL, PRIMARY KEY (kind, name));
    CREATE TABLE IF NOT EXISTS change (
        revision bigint PRIMARY KEY, at bigint NOT NULL, actor text NOT NULL, why text NOT NULL,
        differences text NOT NULL, digest text NOT NULL);
    CREATE TABLE IF NOT EXISTS signing (
        node text NOT NULL, key text NOT NULL, ready_at bigint NOT NULL, needed_until bigint,
        PRIMARY KEY (node, key));";

#[derive(Debug)]
pub(super) struct Postgres {
    desk: Mutex<Sender<Job>>,
}

/// A question for the thread that holds the connection.
struct Job(Box<dyn FnOnce(&mut Desk) + Send>);

/// What that thread has on its desk.
struct Desk {
    runtime: Runtime,
    config: Config,
    client: Option<Client>,
}

impl Postgres {
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|e| told(&e))?;
        config.connect_timeout(CONNECT);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| StoreError::Postgres(format!("no runtime: {e}")))?;
        let mut desk = Desk { runtime, config, client: None };
        let (sender, jobs) = channel::<Job>();
        let thread = std::thread::Builder::new().name("central-store".to_owned());
        let spawned = thread.spawn(move || {
            for Job(job) in jobs {
                job(&mut desk);
            }
        });
        spawned.map_err(|e| StoreError::Postgres(format!("no thread: {e}")))?;
        let opened = Self { desk: Mutex::new(sender) };
        let schema: i64 = opened.ask(async |client: &mut Client| {
            Ok(client.query_one("SELECT schema FROM head", &[]).await?.get(0))
        })?;
        if schema == SCHEMA {
            Ok(opened)
        } else {
            Err(form(format!("tables of form {SCHEMA}"), format!("form {schema}")))
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = channel();
        let job = Job(Box::new(move |desk| {
            let _ = sender.send(desk.run(work));
        }));
        let gone = || StoreError::Postgres("its thread has ended".to_owned());
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).send(job).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Desk {
    fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Self { runtime, config, client } = self;
        let answered = runtime.block_on(async {
            let asked = async {
                let open = match client.take().filter(|client| !client.is_closed()) {
                    Some(open) => open,
                    None => connect(config).await.map_err(|e| told(&e))?,
                };
                let open = client.insert(open);
                work(open).await.map_err(|e| told(&e))
            };
            tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
                Err(StoreError::Postgres(format!("no answer within {} s", PATIENCE.as_secs())))
            })
        });
        if answered.is_err() {
            // whatever it was: the next question begins with a connection that is in no transaction
            *client = None;
        }
        answered
    }
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (mut client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(error = crate::globalconf::chain(&error), "connection to PostgreSQL ended");
        }
    });
    // one makes the tables, whoever else begins at the same time waits for it
    let making = client.transaction().await?;
    making.execute("SELECT pg_advisory_xact_lock(6074265)", &[]).await?;
    making.batch_execute(TABLES).await?;
    making.execute("INSERT INTO head VALUES (1, $1, 0, 0, '') ON CONFLICT DO NOTHING", &[&SCHEMA]).await?;
    making.commit().await?;
    Ok(client)
}

impl Backend for Postgres {
    fn revision(&self) -> Result<u64, StoreError> {
        self.ask(async |client: &mut Client| {
            Ok(unsigned(&client.query_one("SELECT revision FROM head", &[]).await?, 0))
        })
    }

    fn load(&self) -> Result<Rows, StoreError> {
        self.ask(async |client: &mut Client| {
            let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
            let reading = begin.read_only(true).start().await?;
            let head = reading.query_one("SELECT revision, at, digest FROM head", &[]).await?;
            let last = reading.query_one("SELECT max(name) FROM entry WHERE kind = 'request'", &[]).await?;
            let rows = reading
                .query("SELECT kind, name, body FROM entry WHERE NOT is_closed ORDER BY place", &[])
                .await?;
            reading.commit().await?;
            Ok(Rows {
                revision: unsigned(&head, 0),
                at: UnixTime::from_millis(head.get(1)),
                digest: head.get(2),
                requests: last.get::<_, Option<String>>(0).and_then(|name| name.parse().ok()).unwrap_or(0),
                entries: rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
            })
        })
    }

    fn commit(&self, change: &Change) -> Result<bool, StoreError> {
        let written = change.clone();
        let answered = self.ask(async move |client: &mut Client| {
            let writing = client.transaction().await?;
            let is_next = write(&writing, &written).await?;
            writing.commit().await?;
            Ok(is_next)
        });
        let Err(trouble) = answered else { return answered };
        // the answer may have been lost behind the commit
        let newest = self.changes(change.revision.saturating_add(1), 1);
        match newest {
            Ok(rows) if rows.first().is_some_and(|row| row.digest == change.digest) => Ok(true),
            _ => Err(trouble),
        }
    }

    fn changes(&self, below: u64, limit: u32) -> Result<Vec<Change>, StoreError> {
        let (below, limit) = (i64::try_from(below).unwrap_or(i64::MAX), i64::from(limit));
        let rows = self.ask(async move |client: &mut Client| {
            let text = "SELECT revision, at, actor, why, differences, digest FROM change \
                        WHERE revision < $1 ORDER BY revision DESC LIMIT $2";
            client.query(text, &[&below, &limit]).await
        })?;
        let change = |row: &Row| {
            let change = Change {
                revision: unsigned(row, 0),
                at: UnixTime::from_millis(row.get(1)),
                actor: row.get(2),
                why: row.get(3),
                differences: Vec::new(),
                digest: row.get(5),
            };
            change.with(row.get(4))
        };
        rows.iter().map(change).collect()
    }

    fn requests(&self, below: u64, limit: u32) -> Result<Vec<String>, StoreError> {
        let (below, limit) = (entries::request_name(below), i64::from(limit));
        self.ask(async move |client: &mut Client| {
            let text =
                "SELECT body FROM entry WHERE kind = 'request' AND name < $1 ORDER BY name DESC LIMIT $2";
            let rows = client.query(text, &[&below, &limit]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    fn signings(&self) -> Result<Vec<Signing>, StoreError> {
        self.ask(async |client: &mut Client| {
            let rows = client.query("SELECT node, key, ready_at, needed_until FROM signing", &[]).await?;
            let signing = |row: &Row| Signing {
                node: row.get(0),
                key: row.get(1),
                ready_at: UnixTime::from_millis(row.get(2)),
                needed_until: row.get::<_, Option<i64>>(3).map(UnixTime::from_millis),
            };
            Ok(rows.iter().map(signing).collect())
        })
    }

    fn note(&self, signings: &[Signing]) -> Result<(), StoreError> {
        let signings = signings.to_vec();
        self.ask(async move |client: &mut Client| {
            let writing = client.transaction().await?;
            let text = "INSERT INTO signing VALUES ($1, $2, $3, $4) ON CONFLICT (node, key) DO UPDATE \
                        SET needed_until = coalesce(excluded.needed_until, signing.needed_until)";
            for signing in &signings {
                let until = signing.needed_until.map(UnixTime::millis);
                let ready = signing.ready_at.millis();
                writing.execute(text, &[&signing.node, &signing.key, &ready, &until]).await?;
            }
            writing.commit().await
        })
    }
}

async fn write(writing: &Transaction<'_>, change: &Change) -> Result<bool, tokio_postgres::Error> {
    let (revision, at) = (i64::try_from(change.revision).unwrap_or(i64::MAX), change.at.millis());
    let text = "UPDATE head SET revision = $1, at = $2, digest = $3 WHERE revision + 1 = $1";
    if writing.execute(text, &[&revision, &at, &change.digest]).await? == 0 {
        return Ok(false);
    }
    let put = writing
        .prepare(
            "INSERT INTO entry VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, name) DO UPDATE \
             SET body = excluded.body, is_closed = excluded.is_closed, revision = excluded.revision",
        )
        .await?;
    let remove = writing.prepare("DELETE FROM entry WHERE kind = $1 AND name = $2").await?;
    for entry in &change.differences {
        let kind = entry.kind.text();
        match &entry.is {
            Some(body) => {
                writing
                    .execute(
                        &put,
                        &[&kind, &entry.name, body, &entry.is_closed(), &revision, &entry.order(revision)],
                    )
                    .await?
            }
            None => writing.execute(&remove, &[&kind, &entry.name]).await?,
        };
    }
    let text = "INSERT INTO change VALUES ($1, $2, $3, $4, $5, $6)";
    writing
        .execute(text, &[&revision, &at, &change.actor, &change.why, &change.body(), &change.digest])
        .await?;
    Ok(true)
}

fn unsigned(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn told(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Postgres(crate::globalconf::chain(error))
}
