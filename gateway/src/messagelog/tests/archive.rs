//! Archives and deletion: what is archived, in which order, once; what is deleted, and what never.

use super::*;
use crate::conf::Grouping;
use saatkond_proto::container::archive::{Link, verify};
use saatkond_proto::container::zip;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn archiving(dir: &TestDir) -> Policy {
    let mut policy = policy(4096);
    policy.log.archive = dir.0.join("archive");
    policy.log.archive_max = 1 << 20;
    policy.log.keep = 30 * DAY;
    policy
}

fn open_with(dir: &TestDir, clock: &Clock, policy: &Policy) -> MessageLog {
    MessageLog::open(&dir.0.join("log"), clock.clone(), policy.clone()).unwrap()
}

/// Records messages, a second apart.
async fn fill(log: &MessageLog, clock: &Clock, numbers: std::ops::Range<usize>) {
    for number in numbers {
        log.record(item(&format!("q{number}"))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
}

async fn stamp(log: &MessageLog) {
    while let Some(order) = log.to_stamp(10_000).unwrap() {
        log.record_stamp(order, b"token".to_vec(), "http://tsa").await.unwrap();
    }
}

/// Archives until nothing is left, or something waits.
fn archive(log: &MessageLog) -> (Vec<PathBuf>, Archived) {
    let mut files = Vec::new();
    loop {
        match log.archive().unwrap() {
            Archived::Some(more) => files.extend(more),
            end => return (files, end),
        }
    }
}

fn link(path: &Path) -> Link {
    let mut archive = zip::Archive::open(File::open(path).unwrap()).unwrap();
    verify(&mut archive, |_, _| {}).unwrap()
}

/// The archives in the directory, in their chain's order; it must be one, and nothing else may be there.
fn chain(dir: &TestDir) -> Vec<(PathBuf, Link)> {
    let files = fs::read_dir(dir.0.join("archive")).unwrap().map(|entry| entry.unwrap().path());
    let mut left: Vec<_> = files.map(|path| (path.clone(), link(&path))).collect();
    let mut chain: Vec<(PathBuf, Link)> = Vec::new();
    while !left.is_empty() {
        let before = chain
            .last()
            .map(|(path, link)| (link.last.clone(), path.file_name().unwrap().to_str().unwrap().to_owned()));
        let next = left.iter().position(|(_, link)| link.previous == before).expect("the chain goes on");
        chain.push(left.remove(next));
    }
    chain
}

/// The queries in archives, by the names of containers.
fn archived(chain: &[(PathBuf, Link)]) -> Vec<String> {
    let names = chain.iter().flat_map(|(_, link)| &link.containers);
    names.map(|name| name.split('-').next().unwrap().to_owned()).collect()
}

fn queries_of(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("q{number}")).collect()
}

#[tokio::test]
async fn whole_stamped_segments_are_archived_once_and_deleted_when_they_are_old() {
    let (dir, clock) = (TestDir::new("archived"), clock());
    let policy = archiving(&dir);
    let log = open_with(&dir, &clock, &policy);
    fill(&log, &clock, 0..40).await;
    assert_eq!(archive(&log), (vec![], Archived::Waits), "nothing is time-stamped");
    stamp(&log).await;
    fill(&log, &clock, 40..50).await;
    let whole = disk::names(&dir.0.join("log")).unwrap().last().unwrap().record - 1;
    let (files, end) = archive(&log);
    assert!(!files.is_empty());
    let chain_of = chain(&dir);
    assert_eq!(chain_of.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), files);
    let names = archived(&chain_of);
    assert_eq!(names, queries_of(0..names.len()));
    // What is in whole segments and not stamped waits, as does what is in the open one.
    let archived_to = log.reader().numbers().end - 1 - log.not_archived();
    assert!(names.len() >= 30 && archived_to <= whole, "{}", names.len());
    assert_eq!(end == Archived::All, archived_to == whole);
    stamp(&log).await;
    assert!(log.seal(clock.now()).await.unwrap());
    assert!(!log.seal(clock.now()).await.unwrap(), "one without records stays");
    assert_eq!(archive(&log).1, Archived::All);
    assert_eq!(archived(&chain(&dir)), queries_of(0..50));
    assert_eq!(archive(&log), (vec![], Archived::All));
    assert_eq!(log.not_archived(), 0);
    // Nothing is deleted before its time.
    assert_eq!(log.drop_old().unwrap(), Dropped::default());
    clock.advance(30 * DAY - Duration::from_secs(20));
    let dropped = log.drop_old().unwrap();
    let reader = log.reader();
    assert!(dropped.segments > 1 && reader.numbers().start == 1 + dropped.records, "{dropped:?}");
    assert!(reader.message(1).is_err() && reader.of_query("q0").unwrap().is_empty());
    assert_eq!(reader.of_query("q49").unwrap().len(), 1);
    clock.advance(DAY);
    log.drop_old().unwrap();
    assert!(log.is_empty());
    drop((reader, log));
    let log = open_with(&dir, &clock, &policy);
    fill(&log, &clock, 50..52).await;
    assert_eq!(queries(&dir.0.join("log")), ["q50", "q51"]);
    log.reader().verify(|_, _| {}).unwrap();
    stamp(&log).await;
    log.seal(clock.now()).await.unwrap();
    archive(&log);
    assert_eq!(archived(&chain(&dir)), queries_of(0..52), "the chain goes on");
}

#[tokio::test]
async fn nothing_is_deleted_that_is_not_stamped_or_not_archived() {
    let (dir, clock) = (TestDir::new("kept"), clock());
    let mut policy = archiving(&dir);
    let log = open_with(&dir, &clock, &policy);
    fill(&log, &clock, 0..40).await;
    clock.advance(300 * DAY);
    assert_eq!(log.drop_old().unwrap(), Dropped::default(), "not stamped");
    stamp(&log).await;
    assert_eq!(log.drop_old().unwrap(), Dropped::default(), "not archived");
    drop(log);
    policy.log.archive = PathBuf::from("off");
    policy.log.keep = Duration::ZERO;
    let log = open_with(&dir, &clock, &policy);
    assert_eq!(log.archive().unwrap(), Archived::All);
    assert_eq!(log.drop_old().unwrap(), Dropped::default(), "for ever");
    drop(log);
    policy.log.keep = 30 * DAY;
    let log = open_with(&dir, &clock, &policy);
    assert!(log.drop_old().unwrap().segments > 1, "without archives, age is enough");
    drop(log);
    // Archives that are wanted and of which nothing is known keep everything.
    let log = open_with(&dir, &clock, &archiving(&dir));
    fill(&log, &clock, 40..80).await;
    stamp(&log).await;
    clock.advance(300 * DAY);
    fs::write(dir.0.join("log/archive.json"), "{").unwrap();
    assert!(matches!(log.archive(), Err(ArchiveError::State { .. })));
    assert_eq!(log.drop_old().unwrap(), Dropped::default());
}

#[tokio::test]
async fn archives_are_closed_at_their_size_and_go_on_in_the_next() {
    let (dir, clock) = (TestDir::new("sizes"), clock());
    let mut policy = archiving(&dir);
    policy.log.archive_max = 8000;
    let log = open_with(&dir, &clock, &policy);
    fill(&log, &clock, 0..60).await;
    stamp(&log).await;
    log.seal(clock.now()).await.unwrap();
    archive(&log);
    let chain = chain(&dir);
    assert!(chain.len() > 5, "{}", chain.len());
    assert_eq!(archived(&chain), queries_of(0..60));
}

#[tokio::test]
async fn each_group_has_a_chain_of_its_own() {
    let expected = [(Grouping::Member, "mlog-DEV_GOV_M1-"), (Grouping::Subsystem, "mlog-DEV_GOV_M1_TAX-")];
    for (grouping, begin) in expected {
        let (dir, clock) = (TestDir::new("groups"), clock());
        let mut policy = archiving(&dir);
        policy.log.archive_grouping = grouping;
        let log = open_with(&dir, &clock, &policy);
        for round in 0..2 {
            for number in 0..10 {
                // Of those we receive requests for, the provider is ours.
                let direction = if number % 2 == 0 { Direction::Sent } else { Direction::Received };
                log.record(Going(item(&format!("q{round}{number}")), direction)).await.unwrap();
            }
            stamp(&log).await;
            log.seal(clock.now()).await.unwrap();
            archive(&log);
        }
        let files = fs::read_dir(dir.0.join("archive")).unwrap().map(|entry| entry.unwrap().path());
        let of_consumer = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(begin);
        let (consumer, provider): (Vec<_>, Vec<_>) = files.partition(|path| of_consumer(path));
        assert_eq!((consumer.len(), provider.len()), (2, 2));
        for mut group in [consumer, provider] {
            group.sort_by_key(|path| link(path).previous.is_some());
            let links = group.iter().map(|path| link(path)).collect::<Vec<_>>();
            assert_eq!(links[1].follows(&links[0]), Ok(()));
            assert_eq!((links[0].containers.len(), links[1].containers.len()), (5, 5));
        }
    }
}

/// A crash between any two steps: each is undone by hand, and archiving goes on.
#[tokio::test]
async fn a_crash_leaves_no_message_out_and_puts_none_into_two_archives() {
    let (dir, clock) = (TestDir::new("crash"), clock());
    let mut policy = archiving(&dir);
    policy.log.archive_max = 8000;
    let log = open_with(&dir, &clock, &policy);
    fill(&log, &clock, 0..60).await;
    stamp(&log).await;
    log.seal(clock.now()).await.unwrap();
    log.archive().unwrap();
    let file = dir.0.join("log/archive.json");
    let done: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let before = chain(&dir);
    // It was said to be archived, and had no name yet; another was half made.
    let (last, _) = before.last().unwrap();
    let unnamed = dir.0.join("archive/tmp-mlog-1.tmp");
    fs::rename(last, &unnamed).unwrap();
    fs::write(dir.0.join("archive/tmp-mlog-2.tmp"), "half").unwrap();
    let mut state = done.clone();
    state["segment"] = 0.into();
    state["record"] = 0.into();
    state["unfinished"] = serde_json::json!({ "from": unnamed, "to": last });
    fs::write(&file, state.to_string()).unwrap();
    archive(&log);
    assert_eq!(archived(&chain(&dir)), queries_of(0..60));
    // It had its name, and that was not said yet.
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    state["unfinished"] = serde_json::json!({ "from": unnamed, "to": last });
    state["segment"] = 1.into();
    fs::write(&file, state.to_string()).unwrap();
    assert_eq!(archive(&log), (vec![], Archived::All));
    assert_eq!(archived(&chain(&dir)), queries_of(0..60));
}

#[tokio::test]
async fn a_segment_that_does_not_hold_is_neither_archived_nor_deleted() {
    let (dir, clock) = (TestDir::new("rotten"), clock());
    let log = open_with(&dir, &clock, &archiving(&dir));
    fill(&log, &clock, 0..60).await;
    stamp(&log).await;
    log.seal(clock.now()).await.unwrap();
    clock.advance(300 * DAY);
    let rotten = segment(&dir.0.join("log"), 3);
    let mut bytes = fs::read(&rotten).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&rotten, bytes).unwrap();
    assert!(matches!(log.archive(), Err(ArchiveError::Log(LogError::Damaged { .. }))));
    assert_eq!(log.drop_old().unwrap(), Dropped::default());
}

#[tokio::test]
async fn bodies_are_archived_and_deleted_with_their_records_and_strays_are_swept() {
    let (dir, clock) = (TestDir::new("sweep"), clock());
    let policy = archiving(&dir);
    let log = open_with(&dir, &clock, &policy);
    let large = |byte: u8, len: usize| Item {
        bodies: vec![Spooled::from_bytes(vec![byte; len].into())],
        ..item(&format!("large{byte}"))
    };
    // The second is too large to be exported in memory.
    log.record(large(1, 100_000)).await.unwrap();
    log.record(large(2, 9 << 20)).await.unwrap();
    stamp(&log).await;
    log.seal(clock.now()).await.unwrap();
    log.record(large(1, 100_000)).await.unwrap();
    let folder = dir.0.join("log/bodies");
    assert_eq!(files(&folder), 3, "the same bytes twice are two files");
    archive(&log);
    let chain = chain(&dir);
    let mut archive = zip::Archive::open(File::open(&chain[0].0).unwrap()).unwrap();
    for (name, byte, len) in [("large1-request-1.asice", 1, 100_000), ("large2-request-2.asice", 2, 9 << 20)]
    {
        let container = archive.read(name, 1 << 26).unwrap();
        let mut container = zip::Archive::open(io::Cursor::new(container)).unwrap();
        assert_eq!(container.read("attachment1", 1 << 26).unwrap(), vec![byte; len]);
    }
    clock.advance(31 * DAY);
    assert_eq!(log.drop_old().unwrap().segments, 1);
    assert_eq!(files(&folder), 1, "that of the record that is left");
    // A crash between a body and its record leaves a stray.
    let stray = folder.join(format!("{:016}-{:016x}", 1, 7));
    fs::write(&stray, "stray").unwrap();
    assert_eq!(log.sweep_bodies().unwrap(), 0, "its record may be under way");
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000);
    for entry in fs::read_dir(&folder).unwrap() {
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    assert_eq!(log.sweep_bodies().unwrap(), 1);
    assert!(!stray.exists());
    assert_eq!(files(&folder), 1);
}
