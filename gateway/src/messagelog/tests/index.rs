//! The index: it says what the segments say, also when its files are missing, wrong, or another's.

use super::*;
use crate::messagelog::index::Key;
use saatkond_proto::id::ClientId;

/// A message of one member to another.
struct Between(Item, ClientId, ClientId);

impl Record for Between {
    fn entry(&self) -> Entry {
        let service = self.2.clone().service("land");
        Entry { client: self.1.clone(), service, ..self.0.entry() }
    }
}

fn party(number: u64) -> ClientId {
    MemberId::new("DEV", "GOV", format!("M{number}")).subsystem("S")
}

/// Writes messages into many segments: the query, the members and the time follow from the number. Some are stamped.
async fn fill(dir: &Path, clock: &Clock) -> MessageLog {
    let log = MessageLog::open(dir, clock.clone(), policy(8 << 10)).unwrap();
    for number in 0..200u64 {
        let query = format!("q{}", number % 60);
        log.record(Between(item(&query), party(number % 3), party(3 + number % 4))).await.unwrap();
        clock.advance(Duration::from_secs(1));
        if [50, 90, 91].contains(&number) {
            let order = log.to_stamp(30).unwrap().unwrap();
            log.record_stamp(order, b"token".to_vec(), "http://tsa").await.unwrap();
        }
    }
    log
}

/// What [`fill`] has written, found by looking at each record.
fn holds(reader: &LogReader) {
    assert_eq!(reader.numbers(), 1..204);
    assert_eq!(reader.unstamped(), 200 - 90);
    let mut messages = Vec::new();
    for number in reader.numbers() {
        messages.extend(reader.message(number).unwrap());
    }
    assert_eq!(messages.len(), 200);
    for (place, found) in messages.iter().enumerate() {
        assert_eq!(found.message.query_id, format!("q{}", place % 60));
        let expected = match place {
            0..30 => Some(52),
            30..60 => Some(93),
            60..90 => Some(95),
            _ => None,
        };
        assert_eq!(found.stamp, expected, "message {place}");
    }
    let numbers = |found: &[Found]| found.iter().map(|f| f.number).collect::<Vec<_>>();
    for query in ["q0", "q19", "q59", "none"] {
        let expected: Vec<_> = messages.iter().filter(|f| f.message.query_id == query).cloned().collect();
        assert_eq!(numbers(&reader.of_query(query).unwrap()), numbers(&expected));
    }
    let at = |second: i64| Some(UnixTime::from_secs(1_000_000 + second));
    for (member, since, until) in [
        (None, None, at(3)),
        (None, at(197), None),
        (Some(party(1)), at(20), at(130)),
        (Some(party(6)), None, None),
    ] {
        let of = |client: &ClientId| member.as_ref().is_none_or(|m| m == client);
        let expected: Vec<_> = messages
            .iter()
            .rev()
            .filter(|f| of(&f.message.client) || of(&f.message.service.client))
            .filter(|f| since.is_none_or(|s| f.message.time >= s) && until.is_none_or(|u| f.message.time < u))
            .cloned()
            .collect();
        let look = Look { member: member.as_ref().map(|m| m.member.clone()), since, until };
        let found: Vec<_> = reader.look(look).collect::<Result<_, _>>().unwrap();
        assert_eq!(numbers(&found), numbers(&expected));
    }
    reader.verify(|_, _| {}).unwrap();
}

fn index_files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|e| e == "idx")).collect()
}

#[tokio::test]
async fn everything_is_found_while_it_is_written_and_after_restarts() {
    let dir = TestDir::new("find");
    let clock = clock();
    let log = fill(&dir.0, &clock).await;
    holds(&log.reader());
    holds(&LogReader::open(&dir.0).unwrap());
    drop(log);
    let segments = disk::names(&dir.0).unwrap().len();
    assert!(segments > 6, "{segments}");
    assert!(index_files(&dir.0).len() + 5 > segments, "each whole segment but the last few has its file");
    holds(&LogReader::open(&dir.0).unwrap());
    holds(&MessageLog::open(&dir.0, clock, policy(8 << 10)).unwrap().reader());
}

#[tokio::test]
async fn an_index_file_that_is_missing_or_wrong_is_made_anew_by_the_owner_and_done_without_by_others() {
    let dir = TestDir::new("anew");
    let clock = clock();
    drop(fill(&dir.0, &clock).await);
    index_files(&dir.0).iter().for_each(|file| fs::remove_file(file).unwrap());
    holds(&LogReader::open(&dir.0).unwrap());
    assert!(index_files(&dir.0).is_empty(), "a reader makes none");
    let open = || MessageLog::open(&dir.0, clock.clone(), policy(8 << 10)).unwrap();
    holds(&open().reader());
    let files = index_files(&dir.0);
    assert_eq!(files.len() + 1, disk::names(&dir.0).unwrap().len());
    for (place, file) in files.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        match place % 3 {
            0 => fs::write(file, &whole[..whole.len() - 1]).unwrap(),
            1 => fs::write(file, b"").unwrap(),
            _ => drop(fs::copy(&files[place - 1], file).unwrap()),
        }
    }
    holds(&LogReader::open(&dir.0).unwrap());
    holds(&open().reader());
    let made: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(made.iter().all(|bytes| !bytes.is_empty()));
}

#[tokio::test]
async fn an_index_file_with_any_byte_changed_gives_no_other_answer() {
    let dir = TestDir::new("flip");
    drop(fill(&dir.0, &clock()).await);
    drop(MessageLog::open(&dir.0, clock(), policy(8 << 10)).unwrap());
    let file = dir.0.join(disk::names(&dir.0).unwrap()[0].index());
    let whole = fs::read(&file).unwrap();
    let first = disk::names(&dir.0).unwrap()[1].record - 1;
    for at in (0..whole.len()).step_by(7).filter(|at| whole[*at] != 0 || at % 5 == 0) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&file, &bytes).unwrap();
        let (index, _) = Index::open(&dir.0, false).unwrap();
        let queries = (0..60).map(|n| format!("q{n}"));
        let of_query = |query: String| index.of_query(Key::of_query(&query)).unwrap();
        let found: usize = queries.map(|q| of_query(q).iter().filter(|n| **n <= first).count()).sum();
        assert_eq!(found as u64, first, "byte {at}");
        assert_eq!(index.stamp_of(1).unwrap(), Some(52), "byte {at}");
    }
}

#[tokio::test]
async fn opening_reads_no_whole_segment_but_the_last_and_verifying_reads_all() {
    let dir = TestDir::new("quick");
    drop(fill(&dir.0, &clock()).await);
    let names = disk::names(&dir.0).unwrap();
    let (file, name) = (dir.0.join(names[3].log()), names[3]);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let log = MessageLog::open(&dir.0, clock(), policy(8 << 10)).unwrap();
    let reader = log.reader();
    let of_segment = name.record..names[4].record;
    let damaged = |number: u64| matches!(reader.message(number), Err(LogError::Damaged { .. }));
    assert_eq!(
        of_segment.clone().filter(|n| damaged(*n)).count(),
        1,
        "one record does not hold, and says so"
    );
    assert!(reader.numbers().filter(|n| !of_segment.contains(n)).all(|n| !damaged(n)));
    let error = reader.verify(|_, _| {}).unwrap_err();
    assert!(error.to_string().contains(&name.log()), "{error}");
    assert!(matches!(error, LogError::Damaged { .. }));
}

#[tokio::test]
async fn an_index_file_of_another_log_is_found_by_verifying() {
    let dirs = [TestDir::new("mine"), TestDir::new("other")];
    for dir in &dirs {
        drop(fill(&dir.0, &clock()).await);
    }
    let name = disk::names(&dirs[0].0).unwrap()[0].index();
    fs::copy(dirs[1].0.join(&name), dirs[0].0.join(&name)).unwrap();
    let error = LogReader::open(&dirs[0].0).unwrap().verify(|_, _| {}).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test]
async fn a_message_stamped_out_of_turn_is_not_stamped_again() {
    let dir = TestDir::new("turn");
    let log = MessageLog::open(&dir.0, clock(), policy(2 << 10)).unwrap();
    for number in 0..10 {
        log.record(item(&format!("q{number}"))).await.unwrap();
    }
    let all = log.to_stamp(100).unwrap().unwrap();
    let first = log.to_stamp(2).unwrap().unwrap();
    log.record_stamp(first, b"t".to_vec(), "http://tsa").await.unwrap();
    assert_eq!((log.unstamped(), log.to_stamp(100).unwrap().unwrap().len()), (8, 8));
    // What was asked for before covers it, too; the first counts.
    log.record_stamp(all, b"t".to_vec(), "http://tsa").await.unwrap();
    log.record(item("last")).await.unwrap();
    drop(log);
    let reader = LogReader::open(&dir.0).unwrap();
    let stamps: Vec<_> = [2, 3, 10, 13].map(|n| reader.message(n).unwrap().unwrap().stamp).to_vec();
    assert_eq!(stamps, [Some(11), Some(12), Some(12), None]);
    assert_eq!(reader.unstamped(), 1);
}

/// Spoils everything that a log has of these segments, but their names.
fn spoil(dir: &Path, names: impl IntoIterator<Item = disk::Name>) {
    for name in names {
        fs::write(dir.join(name.log()), b"spoilt").unwrap();
        fs::write(dir.join(name.index()), b"spoilt").unwrap();
    }
}

#[tokio::test]
async fn a_look_up_opens_only_the_segments_that_have_what_is_looked_for() {
    let dir = TestDir::new("few");
    let clock = clock();
    let log = MessageLog::open(&dir.0, clock.clone(), policy(8 << 10)).unwrap();
    for number in 0..300u64 {
        log.record(Between(item(&format!("q{number}")), party(number / 100), party(9))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    drop(log);
    let names = disk::names(&dir.0).unwrap();
    let segment_of = |number: u64| *names.iter().rfind(|name| name.record <= number).unwrap();
    assert!(names.len() > 6, "{}", names.len());
    let reader = LogReader::open(&dir.0).unwrap();
    let (wanted, last) = (segment_of(151), *names.last().unwrap());
    spoil(&dir.0, names.iter().copied().filter(|name| ![wanted, last].contains(name)));
    let found = reader.of_query("q150").unwrap();
    assert_eq!(found.iter().map(|f| f.number).collect::<Vec<_>>(), [151]);
    assert!(reader.of_query("never").unwrap().is_empty());
    let since = UnixTime::from_secs(1_000_150);
    let look = Look { member: None, since: Some(since), until: Some(since.plus(Duration::from_secs(1))) };
    let found: Vec<Found> = reader.look(look).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.iter().map(|f| f.number).collect::<Vec<_>>(), [151]);
    let member = Some(party(7).member);
    assert_eq!(reader.look(Look { member, ..Look::default() }).count(), 0);
    // What is spoilt is noticed by whoever needs it.
    assert!(reader.of_query("q0").is_err());
}

#[tokio::test]
async fn a_catalogue_that_is_missing_or_wrong_is_done_without_and_made_anew() {
    let dir = TestDir::new("catalogue");
    let clock = clock();
    drop(fill(&dir.0, &clock).await);
    let file = dir.0.join("catalogue");
    let open = || MessageLog::open(&dir.0, clock.clone(), policy(8 << 10)).unwrap();
    let whole = fs::read(&file).unwrap();
    assert!(whole.len() > 1000);
    fs::remove_file(&file).unwrap();
    holds(&LogReader::open(&dir.0).unwrap());
    assert!(!file.exists(), "a reader makes none");
    holds(&open().reader());
    let mut chunks = fs::read(&file).unwrap();
    assert_eq!(chunks.len() / 100, whole.len() / 100, "as much is known as before");
    for at in (0..whole.len()).step_by(13) {
        chunks[at] ^= 0x41;
        fs::write(&file, &chunks).unwrap();
        let reader = LogReader::open(&dir.0).unwrap();
        for query in ["q0", "q19", "q59"] {
            assert!(reader.of_query(query).unwrap().len() >= 3, "byte {at}");
        }
        chunks[at] ^= 0x41;
    }
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    holds(&LogReader::open(&dir.0).unwrap());
    holds(&open().reader());
    assert_eq!(fs::read(&file).unwrap().len() / 100, whole.len() / 100);
}

#[tokio::test]
async fn a_catalogue_of_another_log_is_found_by_verifying() {
    let dirs = [TestDir::new("own"), TestDir::new("foreign")];
    for (dir, word) in dirs.iter().zip(["a", "b"]) {
        let log = MessageLog::open(&dir.0, clock(), policy(8 << 10)).unwrap();
        for number in 0..60 {
            log.record(item(&format!("{word}{number}"))).await.unwrap();
        }
    }
    assert_eq!(disk::names(&dirs[0].0).unwrap(), disk::names(&dirs[1].0).unwrap());
    fs::copy(dirs[1].0.join("catalogue"), dirs[0].0.join("catalogue")).unwrap();
    let error = LogReader::open(&dirs[0].0).unwrap().verify(|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("catalogue"), "{error}");
}
