//! The state in one file of SQLite.
//!
//! Every commit waits for the disk (`synchronous = FULL`): what was answered survives the machine. Other programs may
//! have the file open; a writer waits for another one for as long as [`PATIENCE`].

use super::{Backend, Change, Rows, SCHEMA, Signing, StoreError, entries, form};
use rusqlite::{Connection, Row, TransactionBehavior, params};
use saatkond_proto::time::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a commit waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS head (
        one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL, revision INTEGER NOT NULL,
        at INTEGER NOT NULL, digest TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (
        kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, is_closed INTEGER NOT NULL,
        revision INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS change (
        revision INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, why TEXT NOT NULL,
        differences TEXT NOT NULL, digest TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS signing (
        node TEXT NOT NULL, key TEXT NOT NULL, ready_at INTEGER NOT NULL, needed_until INTEGER,
        PRIMARY KEY (node, key)) WITHOUT ROWID;";

#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let trouble = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let connection = connect(path).map_err(trouble)?;
        let schema: i64 =
            connection.query_row("SELECT schema FROM head", [], |row| row.get(0)).map_err(trouble)?;
        if schema != SCHEMA {
            return Err(form(format!("tables of form {SCHEMA}"), format!("form {schema}")));
        }
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    fn run<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection: MutexGuard<'_, Connection> =
            self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|source| StoreError::Sqlite { path: self.path.clone(), source })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT OR IGNORE INTO head VALUES (1, ?1, 0, 0, '')", [SCHEMA])?;
    transaction.commit()?;
    Ok(connection)
}

impl Backend for Sqlite {
    fn revision(&self) -> Result<u64, StoreError> {
        self.run(|connection| connection.query_row("SELECT revision FROM head", [], |row| unsigned(row, 0)))
    }

    fn load(&self) -> Result<Rows, StoreError> {
        self.run(|connection| {
            let reading = connection.transaction()?;
            let (revision, at, digest) =
                reading.query_row("SELECT revision, at, digest FROM head", [], |row| {
                    Ok((unsigned(row, 0)?, row.get(1)?, row.get(2)?))
                })?;
            let last: Option<String> =
                reading
                    .query_row("SELECT max(name) FROM entry WHERE kind = 'request'", [], |row| row.get(0))?;
            let mut query =
                reading.prepare("SELECT kind, name, body FROM entry WHERE NOT is_closed ORDER BY place")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(Rows {
                revision,
                at: UnixTime::from_millis(at),
                digest,
                requests: last.and_then(|name| name.parse().ok()).unwrap_or(0),
                entries: rows.collect::<rusqlite::Result<_>>()?,
            })
        })
    }

    fn commit(&self, change: &Change) -> Result<bool, StoreError> {
        let revision = i64::try_from(change.revision).unwrap_or(i64::MAX);
        self.run(|connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let next = writing.execute(
                "UPDATE head SET revision = ?1, at = ?2, digest = ?3 WHERE revision + 1 = ?1",
                params![revision, change.at.millis(), change.digest],
            )?;
            if next == 0 {
                return Ok(false);
            }
            {
                let mut put = writing.prepare(
                    "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, name) DO UPDATE \
                     SET body = excluded.body, is_closed = excluded.is_closed, revision = excluded.revision",
                )?;
                let mut remove = writing.prepare("DELETE FROM entry WHERE kind = ?1 AND name = ?2")?;
                for entry in &change.differences {
                    let kind = entry.kind.text();
                    match &entry.is {
                        Some(body) => put.execute(params![
                            kind,
                            entry.name,
                            body,
                            entry.is_closed(),
                            revision,
                            entry.order(revision)
                        ])?,
                        None => remove.execute(params![kind, entry.name])?,
                    };
                }
            }
            writing.execute(
                "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![revision, change.at.millis(), change.actor, change.why, change.body(), change.digest],
            )?;
            writing.commit()?;
            Ok(true)
        })
    }

    fn changes(&self, below: u64, limit: u32) -> Result<Vec<Change>, StoreError> {
        let below = i64::try_from(below).unwrap_or(i64::MAX);
        let rows: Vec<(Change, String)> = self.run(|connection| {
            let mut query = connection.prepare(
                "SELECT revision, at, actor, why, differences, digest FROM change \
                 WHERE revision < ?1 ORDER BY revision DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![below, limit], |row| {
                let change = Change {
                    revision: unsigned(row, 0)?,
                    at: UnixTime::from_millis(row.get(1)?),
                    actor: row.get(2)?,
                    why: row.get(3)?,
                    differences: Vec::new(),
                    digest: row.get(5)?,
                };
                Ok((change, row.get(4)?))
            })?;
            rows.collect()
        })?;
        rows.into_iter().map(|(change, body)| change.with(&body)).collect()
    }

    fn requests(&self, below: u64, limit: u32) -> Result<Vec<String>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare(
                "SELECT body FROM entry WHERE kind = 'request' AND name < ?1 ORDER BY name DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![entries::request_name(below), limit], |row| row.get(0))?;
            rows.collect()
        })
    }

    fn signings(&self) -> Result<Vec<Signing>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare("SELECT node, key, ready_at, needed_until FROM signing")?;
            let rows = query.query_map([], |row| {
                Ok(Signing {
                    node: row.get(0)?,
                    key: row.get(1)?,
                    ready_at: UnixTime::from_millis(row.get(2)?),
                    needed_until: row.get::<_, Option<i64>>(3)?.map(UnixTime::from_millis),
                })
            })?;
            rows.collect()
        })
    }

    fn note(&self, signings: &[Signing]) -> Result<(), StoreError> {
        self.run(|connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for signing in signings {
                writing.execute(
                    "INSERT INTO signing VALUES (?1, ?2, ?3, ?4) ON CONFLICT (node, key) DO UPDATE \
                     SET needed_until = coalesce(excluded.needed_until, needed_until)",
                    params![
                        signing.node,
                        signing.key,
                        signing.ready_at.millis(),
                        signing.needed_until.map(UnixTime::millis)
                    ],
                )?;
            }
            writing.commit()
        })
    }
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}
