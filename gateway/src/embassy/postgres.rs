//! How far a PostgreSQL standby has replayed its primary's log, and so how old what it shows is.
//!
//! Two things are sure of a standby: that it holds all that was committed up to the last transaction it has replayed; and,
//! while it receives and has replayed all that its primary had when it last spoke, that it holds all up to that moment.
//! The younger counts. Both times are the primary's: a primary at rest must speak, by a heartbeat row that it writes each
//! second or a `wal_sender_timeout` of two seconds, or the copy grows old with nothing to hold against it.
//!
//! The database's user needs `pg_read_all_stats` (or `pg_monitor`) for the second. A database that replays nothing is no
//! copy: the primary that led before a switch would show what it alone believes.

use super::source::{NoAge, from_f64};
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

const QUESTION: &str = "SELECT pg_is_in_recovery(), \
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), \
    (SELECT extract(epoch FROM clock_timestamp() - last_msg_send_time) FROM pg_stat_wal_receiver \
     WHERE status = 'streaming' AND pg_last_wal_replay_lsn() >= latest_end_lsn)";

/// A connection that is kept; it ends with this.
#[derive(Debug)]
pub struct Database {
    config: Config,
    client: Client,
}

impl Database {
    /// The connection that was kept, if it still serves and leads where it should; else a new one.
    ///
    /// # Errors
    /// [`NoAge::Silent`].
    pub async fn connected(kept: Option<Self>, config: &Config) -> Result<Self, NoAge> {
        if let Some(kept) = kept.filter(|kept| kept.config == *config && !kept.client.is_closed()) {
            return Ok(kept);
        }
        let mut named = config.clone();
        if named.get_application_name().is_none() {
            named.application_name("saatkond");
        }
        let (client, connection) = named.connect(NoTls).await.map_err(|error| silent(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a register's database ended");
            }
        });
        Ok(Self { config: config.clone(), client })
    }

    /// How old what it shows is; the inner error is the database's own word that nobody knows.
    ///
    /// # Errors
    /// [`NoAge::Silent`]: the connection is of no use any more.
    pub async fn age(&self) -> Result<Result<Duration, NoAge>, NoAge> {
        let answer = self.client.simple_query(QUESTION).await.map_err(|error| silent(&error))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some([row.get(0), row.get(1), row.get(2)]),
            _ => None,
        });
        let [is_standby, replayed, received] = row.unwrap_or_default();
        Ok(age_of(is_standby == Some("t"), replayed, received))
    }
}

/// The younger of the two ages that a standby tells.
fn age_of(is_standby: bool, replayed: Option<&str>, received: Option<&str>) -> Result<Duration, NoAge> {
    if !is_standby {
        return Err(NoAge::Unknown("the database replays nobody's log: it is no copy".to_owned()));
    }
    let ages = [replayed, received].into_iter().flatten().map(|text| from_f64(text.parse().ok()));
    let ages: Option<Vec<Duration>> = ages.collect();
    let youngest = ages.as_ref().and_then(|ages| ages.iter().min().copied());
    youngest.ok_or_else(|| match ages {
        Some(_) => NoAge::Unknown("the database has replayed no transaction yet".to_owned()),
        None => NoAge::Unknown("the primary's clock is ahead of the standby's".to_owned()),
    })
}

/// What a database's error says, and what is behind it: `tokio_postgres` keeps the reason in the source.
fn silent(error: &tokio_postgres::Error) -> NoAge {
    let mut text = format!("the database: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    NoAge::Silent(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_younger_age_counts_and_a_primary_has_none() {
        let secs = |s: f64| Ok(Duration::from_secs_f64(s));
        assert_eq!(age_of(true, Some("7.5"), None), secs(7.5));
        assert_eq!(age_of(true, Some("7.5"), Some("0.25")), secs(0.25));
        assert_eq!(age_of(true, Some("0.25"), Some("7.5")), secs(0.25));
        assert_eq!(age_of(true, None, Some("1")), secs(1.0));
        assert_eq!(age_of(true, Some("-0.5"), None), secs(0.0), "clocks differ a little");
        for (is_standby, replayed, received) in [
            (true, None, None),
            (true, Some("-60"), None),
            (true, Some("NaN"), None),
            (true, Some("1"), Some("-60")),
            (false, Some("0"), None),
        ] {
            let found = age_of(is_standby, replayed, received);
            assert!(matches!(found, Err(NoAge::Unknown(_))), "{found:?}");
        }
    }
}
