//! How old a replicated PostgreSQL says it is, held against a real pair of them.

use saatkond::conf::{AgeSource, Client, Connection};
use saatkond::embassy::source::{Databases, NoAge};
use saatkond::jobs::Job;
use saatkond_proto::continuity::header;
use saatkond_tests::federation::land;
use saatkond_tests::postgres::{Database, Pair};
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Asked, Federation, START, Service, patiently};
use std::future::Future;
use std::time::{Duration, Instant};

/// Younger than this while all is well; home speaks each second.
const SOON: Duration = Duration::from_secs(3);
/// Older than this when something is missing.
const LATE: Duration = Duration::from_secs(4);

/// Asks a database how old it is, on one connection.
struct Asking {
    databases: Databases,
    client: Client,
    source: AgeSource,
}

impl Asking {
    fn of(database: &Database) -> Self {
        let source = AgeSource::Postgres(Box::new(database.url().parse().unwrap()));
        let client = Client {
            id: land(),
            connection: Connection::Http,
            certificates: Vec::new(),
            services: Vec::new(),
            local_groups: Vec::new(),
            staleness: Some(source.clone()),
        };
        Self { databases: Databases::default(), client, source }
    }

    async fn age(&self) -> Result<Duration, NoAge> {
        self.databases.ask(&self.client, &self.source, START).await
    }

    /// Asks until it is as it should be.
    async fn until(&self, what: &str, is_so: impl Fn(&Result<Duration, NoAge>) -> bool) {
        let asked = async {
            while !is_so(&self.age().await) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        patiently(what, asked).await;
    }
}

async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let looked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(what, looked).await;
}

#[tokio::test]
async fn a_standby_is_as_old_as_what_it_has_replayed() {
    let Some(pair) = Pair::new() else { return };
    let (home, abroad) = (pair.home.client().await, pair.abroad.client().await);
    home.batch_execute("CREATE TABLE titles (number int PRIMARY KEY, owner text)").await.unwrap();
    let asking = Asking::of(&pair.abroad);
    asking.until("the standby has all that home has", |age| age.as_ref().is_ok_and(|age| *age < SOON)).await;
    // Home is at rest, and says so: the copy does not grow old.
    let began = Instant::now();
    while began.elapsed() < LATE {
        let age = asking.age().await.unwrap();
        assert!(age < SOON, "{age:?} after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What is received and not replayed is missing from the copy.
    abroad.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    until("replay is paused", || async {
        let row = abroad.query_one("SELECT pg_get_wal_replay_pause_state()", &[]).await.unwrap();
        row.get::<_, &str>(0) == "paused"
    })
    .await;
    home.batch_execute("INSERT INTO titles VALUES (1, 'Mari')").await.unwrap();
    asking.until("the copy grows old", |age| age.as_ref().is_ok_and(|age| *age > LATE)).await;
    abroad.batch_execute("SELECT pg_wal_replay_resume()").await.unwrap();
    asking.until("it has caught up", |age| age.as_ref().is_ok_and(|age| *age < SOON)).await;
    let row = abroad.query_one("SELECT owner FROM titles WHERE number = 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "Mari", "an age says what is there");
    // Nobody says any more what is missing.
    pair.home.crash();
    asking.until("without home it grows old", |age| age.as_ref().is_ok_and(|age| *age > LATE)).await;
    // Who leads is no copy, whatever it believes of itself.
    pair.abroad.promote();
    asking.until("a primary is no copy", |age| matches!(age, Err(NoAge::Unknown(_)))).await;
    assert!(matches!(Asking::of(&pair.home).age().await, Err(NoAge::Silent(_))));
}

/// Two writes at home reach a reader of the embassy's copy, which says how old it is; with home gone it says when it may
/// answer no more.
#[tokio::test]
async fn the_embassys_gateway_answers_reads_from_its_standby() {
    let Some(pair) = Pair::new() else { return };
    pair.home.client().await.batch_execute("CREATE TABLE titles (number int PRIMARY KEY)").await.unwrap();
    let service = Service::start(|_: &Asked| Answer::json("{}")).await;
    let federation = Federation::of(|plan| {
        *plan = plan.clone().with_sites(["127.0.0.1:1", "127.0.0.1:2"], &[]);
    })
    .await;
    let copy = format!("[client.copy]\nstaleness = {{ postgres = \"{}\" }}\n", pair.abroad.url());
    let offers =
        answering(&service.url("")).replacen("[[client.service]]", &format!("{copy}[[client.service]]"), 1);
    let embassy = federation.open("EMBASSY", &offers).await;
    let tax = federation.open("TAX", ASKING).await;
    let age = || embassy.gateway.embassy.staleness(&land());
    assert_eq!(age(), None);
    until("the copy's age is known", || async {
        embassy.run(Job::Copies).await;
        age().is_some_and(|age| age < SOON)
    })
    .await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.status(), 200, "{}", heard.text());
    assert_eq!(heard.line(header::STATE), Some("HOME_ACTIVE;site=embassy;copy=STANDBY;token=0"));
    assert!(header::from_seconds(heard.line(header::STALENESS).unwrap()).unwrap() < LATE);
    pair.home.crash();
    until("the copy is older than the register allows", || async {
        embassy.run(Job::Copies).await;
        age().is_none_or(|age| age > Duration::from_secs(5))
    })
    .await;
    let refused = tax.ask(&Ask::get("land")).await;
    assert_eq!(refused.code(), "server.serverproxy.continuity.staleness_exceeded", "{}", refused.text());
    let taken = tax.ask(&Ask::get("land").line(header::MAX_STALENESS, "60")).await;
    assert_eq!(taken.status(), 200, "who takes an older copy gets it: {}", taken.text());
}

/// The sample register on PostgreSQL tells its own truth: what was done, how often, in which order, and that no site that was
/// deposed does anything more.
#[tokio::test]
async fn the_sample_register_is_read_abroad_as_it_was_written_at_home() {
    let Some(pair) = Pair::new() else { return };
    let (home, abroad) = (pair.home.client().await, pair.abroad.client().await);
    home.batch_execute(include_str!("../../docker/land-register.sql")).await.unwrap();
    let transfer = |owner: &'static str, message: &'static str, token: i64| {
        let home = &home;
        async move {
            home.query_one("SELECT transfer(1001, $1, $2, $3)", &[&owner, &message, &token])
                .await
                .map(|row| row.get::<_, i64>(0))
        }
    };
    assert_eq!(transfer("Mari", "a", 0).await.unwrap(), 1);
    assert_eq!(transfer("Jaan", "b", 7).await.unwrap(), 2);
    let refused = transfer("Mallory", "c", 6).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("deposed"), "{refused:?}");
    let effects = || async {
        let rows = abroad
            .query("SELECT message, owner FROM effects ORDER BY position", &[])
            .await
            .unwrap_or_default();
        rows.iter()
            .map(|row| format!("{} {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
            .collect::<Vec<_>>()
    };
    until("the embassy has both", || async { effects().await.len() == 2 }).await;
    assert_eq!(effects().await, ["a Mari", "b Jaan"]);
    let row = abroad.query_one("SELECT owner FROM titles WHERE number = 1001", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "Jaan");
    let written = abroad.execute("UPDATE titles SET owner = 'Mallory'", &[]).await;
    assert!(written.is_err(), "a copy takes no writes");
}
