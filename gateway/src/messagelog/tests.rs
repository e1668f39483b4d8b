//! The log: torn at every byte, on a disk that fails.

mod archive;
mod disks;
mod index;

use super::reader::Found;
use super::*;
use crate::testbed::TestDir;
use bytes::Bytes;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::SignatureParts;
use std::time::Duration;

#[derive(Debug, Clone)]
struct Item {
    query: String,
    kind: Kind,
    signature: String,
    bodies: Vec<Spooled>,
}

impl Record for Item {
    fn entry(&self) -> Entry {
        let client = MemberId::new("DEV", "GOV", "M1").subsystem("TAX");
        Entry {
            kind: self.kind,
            direction: Direction::Sent,
            query_id: self.query.clone(),
            request_id: "r".into(),
            service: MemberId::new("DEV", "GOV", "M2").subsystem("LAND").service("land"),
            client,
            message: Bytes::from(format!("block of {}", self.query)),
            proof: SignatureParts {
                signature: self.signature.as_bytes().into(),
                hash_chain_result: Some(b"result".as_slice().into()),
                hash_chain: None,
            },
            attachments: self.bodies.clone(),
        }
    }
}

fn item(query: &str) -> Item {
    let signature = format!("<signature of=\"{query}\"/>");
    Item { query: query.to_owned(), kind: Kind::Request, signature, bodies: Vec::new() }
}

fn policy(segment: u64) -> Policy {
    let mut policy = Policy::default();
    policy.log.segment = segment;
    policy
}

fn clock() -> Clock {
    Clock::wound(UnixTime::from_secs(1_000_000))
}

fn open(dir: &Path) -> MessageLog {
    MessageLog::open(dir, clock(), policy(4096)).unwrap()
}

/// The file of a segment.
fn segment(dir: &Path, segment: u64) -> PathBuf {
    let names = disk::names(dir).unwrap();
    dir.join(names.into_iter().find(|name| name.segment == segment).unwrap().log())
}

/// The query ids in a log, in order.
fn queries(dir: &Path) -> Vec<String> {
    let reader = LogReader::open(dir).unwrap();
    reader.numbers().map(|n| reader.message(n).unwrap().unwrap().message.query_id).collect()
}

/// Copies the files of a log, not its lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn records_are_there_when_the_call_returns_and_after_a_restart() {
    let dir = TestDir::new("log");
    let log = open(&dir.0);
    assert!(log.is_empty());
    let recorded = log.record(item("a")).await.unwrap();
    assert_eq!((recorded.number(), recorded.query.as_str()), (1, "a"));
    assert_eq!(queries(&dir.0), ["a"], "a reader beside the writer sees it");
    log.record(item("b")).await.unwrap();
    drop(log);
    let log = open(&dir.0);
    assert_eq!(log.len(), 2);
    assert_eq!(log.record(item("c")).await.unwrap().number(), 3);
    assert_eq!(queries(&dir.0), ["a", "b", "c"]);
    let reader = LogReader::open(&dir.0).unwrap();
    let found = reader.of_query("b").unwrap();
    assert_eq!(found.len(), 1);
    let message = &found[0].message;
    assert_eq!((found[0].number, &message.message[..]), (2, &b"block of b"[..]));
    assert_eq!(message.time, UnixTime::from_secs(1_000_000));
    assert_eq!(message.service.to_path(), "DEV/GOV/M2/LAND/land");
    assert_eq!(&message.proof.signature[..], b"<signature of=\"b\"/>");
    assert_eq!(message.proof.hash_chain_result.as_deref(), Some(&b"result"[..]));
    assert!(reader.of_query("x").unwrap().is_empty());
    assert!(matches!(reader.message(4), Err(LogError::NoRecord { number: 4 })));
}

/// The same going another way.
struct Going(Item, Direction);

impl Record for Going {
    fn entry(&self) -> Entry {
        Entry { direction: self.1, ..self.0.entry() }
    }
}

#[tokio::test]
async fn requests_received_within_a_day_are_known_again_after_a_restart() {
    let (dir, clock) = (TestDir::new("heard"), clock());
    let open = || MessageLog::open(&dir.0, clock.clone(), policy(4096)).unwrap();
    let log = open();
    assert!(log.heard().unwrap().is_empty());
    let mut expected = Vec::new();
    log.record(Going(item("long ago"), Direction::Received)).await.unwrap();
    clock.advance(Duration::from_secs(24 * 3600 + 1));
    log.record(Going(item("of ours"), Direction::Sent)).await.unwrap();
    log.record(Going(item("passed on"), Direction::Relayed)).await.unwrap();
    log.record(Going(item("heard"), Direction::Received)).await.unwrap();
    let answer = Item { kind: Kind::Response, ..item("an answer") };
    log.record(Going(answer, Direction::Received)).await.unwrap();
    for number in 0..40 {
        log.record(Going(item(&format!("heard{number}")), Direction::Received)).await.unwrap();
    }
    for query in ["heard".to_owned()].into_iter().chain((0..40).map(|n| format!("heard{n}"))) {
        let signature = format!("<signature of=\"{query}\"/>");
        let mark = Mark::of(format!("block of {query}").as_bytes(), signature.as_bytes());
        expected.push((clock.now(), mark));
    }
    assert_eq!(log.heard().unwrap(), expected);
    drop(log);
    assert_eq!(open().heard().unwrap(), expected, "also from what lies in index files");
    let reader = LogReader::open(&dir.0).unwrap();
    let direction = |number| reader.message(number).unwrap().unwrap().message.direction;
    assert_eq!([2, 3, 4].map(direction), [Direction::Sent, Direction::Relayed, Direction::Received]);
}

#[tokio::test]
async fn a_log_torn_at_any_byte_of_its_last_record_keeps_all_before_it_and_goes_on() {
    let dir = TestDir::new("torn");
    let log = open(&dir.0);
    log.record(item("a")).await.unwrap();
    let begin = log.0.index.offset(1);
    log.record(item("b")).await.unwrap();
    let last = log.0.index.offset(2);
    drop(log);
    let whole = fs::read(segment(&dir.0, 1)).unwrap();
    // Zeros at its very end cannot be told from what was never written, and need not be.
    let end = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    assert!(u64::try_from(end).unwrap() > last + (last - begin) - 16);
    let torn = TestDir::new("torn-copy");
    for cut in usize::try_from(last).unwrap()..end {
        // What was not written is zeros, or what a shorter file lacks, or garbage.
        let zeros = [&whole[..cut], &vec![0; whole.len() - cut]].concat();
        let garbage = [&whole[..cut], &[whole[cut] ^ 0x10], &whole[cut + 1..]].concat();
        let versions = [zeros, whole[..cut].to_vec(), garbage];
        copy(&dir.0, &torn.0);
        let path = segment(&torn.0, 1);
        fs::write(&path, &versions[cut % 3]).unwrap();
        let log = open(&torn.0);
        assert_eq!(log.len(), 1, "cut at {cut}");
        assert_eq!(log.record(item("c")).await.unwrap().number(), 2);
        drop(log);
        assert_eq!(queries(&torn.0), ["a", "c"], "cut at {cut}");
    }
}

#[tokio::test]
async fn every_cut_of_a_batch_drops_the_whole_batch() {
    let header = frame::Header {
        segment: 1,
        record: 1,
        batch: 1,
        chain: sum::Sum([0; 32]),
        salt: [7; 16],
        before: 0,
        unstamped: 1,
    };
    let mut bytes = header.to_bytes();
    let mut chain = header.chain;
    let mut ends = Vec::new();
    for (batch, bodies) in [(1, vec!["a"]), (2, vec!["b", "cc", "ddd"])] {
        for (index, body) in bodies.iter().enumerate() {
            let place = frame::Place {
                batch,
                index: u32::try_from(index).unwrap(),
                count: u32::try_from(bodies.len()).unwrap(),
                record: batch + index as u64,
            };
            let digest = sum::sum_of(&[body.as_bytes()]);
            // The first of the batch lends, the last borrows.
            let sum = sum::sum_of(&[b"signature"]);
            let shared = match index {
                0 => frame::Shared::Own { bytes: b"signature", sum },
                1 => frame::Shared::Nothing,
                _ => frame::Shared::Lent { lender: ends[0] as u64, sum },
            };
            chain = frame::append(&mut bytes, &header, &chain, place, (body.as_bytes(), &digest), shared);
        }
        ends.push(bytes.len());
    }
    for cut in ends[0]..ends[1] {
        let mut cut_bytes = bytes.clone();
        cut_bytes[cut..].fill(0);
        let mut walk = frame::Walk::new(&cut_bytes).unwrap();
        assert_eq!(walk.batch().unwrap().len(), 1);
        assert!(walk.batch().is_none());
        let end = walk.end();
        assert_eq!((end.offset, end.record, end.batch), (ends[0], 2, 2));
        let expected = if cut == ends[0] { frame::Tail::Clean } else { frame::Tail::Torn };
        assert_eq!(end.tail, expected, "cut at {cut}");
        // Pages may reach the disk in any order: the end of the batch without its beginning.
        let mut hole = bytes.clone();
        hole[ends[0]..=cut].fill(0);
        let mut walk = frame::Walk::new(&hole).unwrap();
        walk.batch().unwrap();
        assert!(walk.batch().is_none());
        let expected = if cut + 1 == ends[1] { frame::Tail::Clean } else { frame::Tail::Torn };
        assert_eq!((walk.end().offset, walk.end().tail), (ends[0], expected), "hole to {cut}");
    }
    let mut walk = frame::Walk::new(&bytes).unwrap();
    assert_eq!([walk.batch().unwrap().len(), walk.batch().unwrap().len()], [1, 3]);
    assert!(walk.batch().is_none());
    assert_eq!(walk.end().tail, frame::Tail::Clean);
}

#[tokio::test]
async fn an_acknowledged_record_that_does_not_hold_is_damage_at_any_byte() {
    let dir = TestDir::new("damage");
    let log = open(&dir.0);
    for query in ["a", "b", "c"] {
        log.record(item(query)).await.unwrap();
    }
    let begin = usize::try_from(log.0.index.offset(1)).unwrap();
    let second = usize::try_from(log.0.index.offset(2)).unwrap();
    drop(log);
    let path = segment(&dir.0, 1);
    let whole = fs::read(&path).unwrap();
    for at in begin..second {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = MessageLog::open(&dir.0, clock(), policy(4096)).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "byte {at}: {error}");
    }
    for at in 0..begin {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(MessageLog::open(&dir.0, clock(), policy(4096)).is_err(), "byte {at} of the header");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(queries(&dir.0), ["a", "b", "c"]);
}

#[tokio::test]
async fn segments_follow_one_another_and_none_may_be_missing() {
    let dir = TestDir::new("roll");
    let log = open(&dir.0);
    let mut expected = Vec::new();
    for number in 0..40 {
        let query = format!("q{number}");
        log.record(item(&query)).await.unwrap();
        expected.push(query);
    }
    // A record larger than a segment gets one of its own.
    let mut large = item("large");
    large.bodies = vec![Spooled::from_bytes(vec![1; 20_000].into())];
    log.record(large).await.unwrap();
    log.record(item("after")).await.unwrap();
    expected.extend(["large".to_owned(), "after".to_owned()]);
    drop(log);
    assert_eq!(queries(&dir.0), expected);
    let segments = disk::names(&dir.0).unwrap();
    assert!(segments.len() > 3, "{segments:?}");
    let whole = fs::read(segment(&dir.0, 1)).unwrap();
    assert!(whole.len() <= 4096 && whole[whole.len() - 64..].iter().any(|b| *b != 0), "{}", whole.len());
    assert_eq!(open(&dir.0).len(), 42);
    // The oldest may be gone (retention); one in between may not.
    fs::remove_file(segment(&dir.0, 1)).unwrap();
    assert!(LogReader::open(&dir.0).unwrap().numbers().start > 1);
    fs::remove_file(segment(&dir.0, 3)).unwrap();
    assert!(matches!(LogReader::open(&dir.0), Err(LogError::Damaged { .. })));
}

#[tokio::test]
async fn the_signature_of_a_batch_is_stored_once_in_a_segment_and_goes_with_its_last_user() {
    let dir = TestDir::new("shared");
    let log = MessageLog::open(&dir.0, clock(), policy(16 << 10)).unwrap();
    let signed = |batch: usize, n: usize| {
        let signature = format!("<signature batch=\"{batch}\">{}</signature>", "x".repeat(4000));
        Item { signature, ..item(&format!("{batch}-{n}")) }
    };
    for n in 0..8 {
        log.record(signed(0, n)).await.unwrap();
    }
    let end = log.0.index.offset(8);
    assert!(end < 4000 + 8 * 1000, "one signature and eight records end before {end}");
    // It goes on in other segments, in which it is stored anew.
    for n in 8..100 {
        log.record(signed(0, n)).await.unwrap();
        log.record(signed(1, n)).await.unwrap();
    }
    let holds = |reader: &LogReader| {
        for number in reader.numbers() {
            let message = reader.message(number).unwrap().unwrap().message;
            let (batch, n) = message.query_id.split_once('-').unwrap();
            let expected = signed(batch.parse().unwrap(), n.parse().unwrap()).entry().proof;
            assert_eq!(message.proof, expected, "record {number}");
        }
    };
    holds(&LogReader::open(&dir.0).unwrap());
    drop(log);
    let log = MessageLog::open(&dir.0, clock(), policy(16 << 10)).unwrap();
    log.record(signed(1, 100)).await.unwrap();
    drop(log);
    fs::remove_file(segment(&dir.0, 1)).unwrap();
    let reader = LogReader::open(&dir.0).unwrap();
    assert!(reader.numbers().start > 8 && reader.numbers().end == 194);
    holds(&reader);
}

#[tokio::test]
async fn a_log_belongs_to_one_process_and_one_version() {
    let dir = TestDir::new("lock");
    let log = open(&dir.0);
    assert!(matches!(MessageLog::open(&dir.0, clock(), policy(4096)), Err(LogError::InUse { .. })));
    drop(log);
    fs::write(dir.0.join("version"), "1\n").unwrap();
    assert!(matches!(MessageLog::open(&dir.0, clock(), policy(4096)), Err(LogError::Version { .. })));
}

// --- bodies --------------------------------------------------------------------

async fn spooled(spool: &Spool, bytes: &[u8]) -> Spooled {
    let mut writer = spool.writer();
    for piece in bytes.chunks(10_000) {
        writer.write(piece).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn whole(body: &Spooled) -> Vec<u8> {
    let (mut reader, mut out) = (body.reader(), Vec::new());
    while let Some(piece) = reader.next().await.unwrap() {
        out.extend_from_slice(&piece);
    }
    out
}

fn spool_in(dir: &Path) -> Spool {
    let bounds = Bounds { memory: 64 << 10, body_max: 3 << 20, files_max: 4 << 20 };
    Spool::open(&dir.join("spool"), bounds).unwrap()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_body_goes_to_a_file_when_it_grows_and_the_file_goes_with_it() {
    let dir = TestDir::new("spool");
    let spool = spool_in(&dir.0);
    let small = spooled(&spool, &[1; 64 << 10]).await;
    assert!(small.memory().is_some());
    assert_eq!(files(&dir.0.join("spool")), 0);
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let large = spooled(&spool, &bytes).await;
    assert!(large.memory().is_none());
    assert_eq!(large.digest(), DigestAlgorithm::Sha512.digest(&bytes));
    assert_eq!(whole(&large).await, bytes);
    assert_eq!(whole(&large.clone()).await, bytes, "and once more");
    assert_eq!(files(&dir.0.join("spool")), 1);
    drop(large);
    assert_eq!(files(&dir.0.join("spool")), 0);
    // A writer that is dropped halfway leaves nothing either.
    let mut writer = spool.writer();
    writer.write(&bytes).await.unwrap();
    drop(writer);
    assert_eq!(files(&dir.0.join("spool")), 0);
}

/// However many bodies a message has: one bound on what is in memory, and one file for the rest.
#[tokio::test]
async fn bodies_of_one_message_share_its_memory_and_its_file() {
    let dir = TestDir::new("shared");
    let spool = spool_in(&dir.0);
    let mut writer = spool.writer();
    let body = |n: usize| vec![u8::try_from(n % 251).unwrap(); [0, 1, 30_000, 40_000][n % 4]];
    let mut bodies = Vec::new();
    for n in 0..100 {
        for piece in body(n).chunks(7_000) {
            writer.write(piece).await.unwrap();
        }
        bodies.push(writer.finish().await.unwrap());
    }
    drop(writer);
    let in_memory: u64 = bodies.iter().filter(|b| b.memory().is_some()).map(Spooled::len).sum();
    assert!(in_memory <= 64 << 10, "{in_memory} bytes in memory");
    assert_eq!(files(&dir.0.join("spool")), 1);
    for (n, kept) in bodies.iter().enumerate() {
        assert_eq!(
            (kept.digest(), kept.len()),
            (&*DigestAlgorithm::Sha512.digest(&body(n)), body(n).len() as u64)
        );
        assert_eq!(whole(kept).await, body(n), "{n}");
    }
    // The log keeps each by itself.
    let log = MessageLog::open(&dir.0.join("log"), clock(), policy(4096)).unwrap();
    let mut with = item("a");
    with.bodies = bodies;
    drop(log.record(with).await.unwrap());
    assert_eq!(files(&dir.0.join("spool")), 0);
    let found = LogReader::open(&dir.0.join("log")).unwrap().message(1).unwrap().unwrap();
    for (n, attachment) in found.message.attachments.iter().enumerate() {
        let bytes = match attachment {
            Attachment::Inline(bytes) => bytes.to_vec(),
            Attachment::File { name, .. } => fs::read(bodies::path_of(&dir.0.join("log"), *name)).unwrap(),
            Attachment::Omitted { .. } => panic!("{n} is left out"),
        };
        assert_eq!(bytes, body(n), "{n}");
    }
    let mut writer = spool.writer();
    for _ in 0..3 {
        writer.write(&vec![0; 1 << 20]).await.unwrap();
        writer.finish().await.unwrap();
    }
    let more = writer.write(&[0]).await;
    assert!(matches!(more, Err(SpoolError::TooLarge { .. })), "together they are too large: {more:?}");
}

#[tokio::test]
async fn a_spool_has_bounds_and_gives_back_what_it_took() {
    let dir = TestDir::new("bounds");
    let spool = spool_in(&dir.0);
    let mut writer = spool.writer();
    assert!(matches!(writer.write(&vec![0; (3 << 20) + 1]).await, Err(SpoolError::TooLarge { .. })));
    drop(writer);
    let first = spooled(&spool, &vec![0; 3 << 20]).await;
    let mut writer = spool.writer();
    let full = writer.write(&vec![0; 2 << 20]).await;
    assert!(matches!(full, Err(SpoolError::Full { .. })), "{full:?}");
    drop((writer, first));
    assert_eq!(spooled(&spool, &vec![0; 3 << 20]).await.len(), 3 << 20);
}

#[tokio::test]
async fn what_an_earlier_process_left_in_the_spool_is_removed() {
    let dir = TestDir::new("left");
    fs::create_dir_all(dir.0.join("spool")).unwrap();
    fs::write(dir.0.join("spool/7.body"), "left").unwrap();
    fs::write(dir.0.join("spool/notes"), "not ours").unwrap();
    let _spool = spool_in(&dir.0);
    assert_eq!(files(&dir.0.join("spool")), 1);
}

#[tokio::test]
async fn a_large_body_is_a_file_of_its_own_before_its_record_is() {
    let dir = TestDir::new("bodies");
    let spool = spool_in(&dir.0);
    let log = MessageLog::open(&dir.0.join("log"), clock(), policy(4096)).unwrap();
    let bytes = vec![3; 300_000];
    let mut with = item("a");
    with.bodies =
        vec![spooled(&spool, &bytes).await, spooled(&spool, b"small").await, spooled(&spool, b"").await];
    let digest = with.bodies[0].digest().to_vec();
    drop(log.record(with).await.unwrap());
    assert_eq!(files(&dir.0.join("spool")), 0, "the spool's name is gone, the log's stays");
    let found = LogReader::open(&dir.0.join("log")).unwrap().message(1).unwrap().unwrap();
    let Attachment::File { name, .. } = found.message.attachments[0] else { panic!("{found:?}") };
    let expected = [
        Attachment::File { digest: digest.clone(), len: 300_000, name },
        Attachment::Inline(Bytes::from_static(b"small")),
        Attachment::Inline(Bytes::new()),
    ];
    assert_eq!(found.message.attachments, expected);
    assert_eq!(fs::read(bodies::path_of(&dir.0.join("log"), name)).unwrap(), bytes);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_or_left_out_as_the_operator_says() {
    let body = Spooled::from_bytes(vec![0; 101].into());
    for (body_max, beyond, taken) in [
        (100, Beyond::Refuse, false),
        (100, Beyond::Omit, true),
        (0, Beyond::Refuse, true),
        (101, Beyond::Refuse, true),
    ] {
        let dir = TestDir::new("beyond");
        let mut policy = policy(4096);
        policy.log.body_max = body_max;
        policy.log.beyond_body_max = beyond;
        let log = MessageLog::open(&dir.0, clock(), policy).unwrap();
        let mut with = item("a");
        with.bodies = vec![body.clone()];
        let outcome = log.record(with).await;
        if !taken {
            let fault = Fault::from(outcome.unwrap_err());
            assert_eq!(fault.code, saatkond_proto::fault::Code::of(Leaf::LoggingFailed));
            assert!(fault.detail.contains("101 bytes"), "{fault}");
            assert!(log.is_empty());
            continue;
        }
        outcome.unwrap();
        let found = LogReader::open(&dir.0).unwrap().message(1).unwrap().unwrap();
        let omitted = Attachment::Omitted { digest: body.digest().to_vec(), len: 101 };
        assert_eq!(found.message.attachments[0] == omitted, body_max != 101);
    }
}

// --- time-stamps ---------------------------------------------------------------

#[tokio::test]
async fn messages_are_refused_when_stamping_has_failed_for_too_long() {
    let dir = TestDir::new("stamping");
    let clock = clock();
    let log = MessageLog::open(&dir.0, clock.clone(), policy(4096)).unwrap();
    log.stamping_fails();
    clock.advance(Duration::from_secs(2 * 3600));
    log.stamping_fails();
    clock.advance(Duration::from_secs(2 * 3600));
    log.record(item("at the limit")).await.unwrap();
    clock.advance(Duration::from_millis(1));
    let error = log.record(item("late")).await.unwrap_err();
    assert!(
        matches!(error, LogError::TimestampingFailed { since } if since == UnixTime::from_secs(1_000_000))
    );
    assert_eq!(Fault::from(error).code, saatkond_proto::fault::Code::of(Leaf::TimestampingFailed));
    log.stamping_works();
    log.record(item("again")).await.unwrap();
    log.set_timestamper_known(false);
    let fault = Fault::from(log.record(item("none")).await.unwrap_err());
    assert_eq!(fault.code, saatkond_proto::fault::Code::of(Leaf::NoTimestampingProviderFound));
    log.set_timestamper_known(true);
    assert_eq!(log.record(item("known")).await.unwrap().number(), 3);
}

#[tokio::test]
async fn neighbours_share_the_hash_tree_of_their_time_stamp() {
    let dir = TestDir::new("tree");
    let log = open(&dir.0);
    for query in ["a", "b", "c"] {
        log.record(item(query)).await.unwrap();
    }
    let order = log.to_stamp(10).unwrap().unwrap();
    assert_eq!(log.record_stamp(order, b"token".to_vec(), "http://tsa").await.unwrap(), 4);
    let reader = LogReader::open(&dir.0).unwrap();
    let trees = [(); 2].map(|()| reader.stamped(4).unwrap().unwrap());
    assert!(Arc::ptr_eq(&trees[0], &trees[1]));
    for number in 1..4 {
        let found = reader.message(number).unwrap().unwrap();
        let file = reader.export(&found, io::Cursor::new(Vec::new())).unwrap();
        let mut container = saatkond_proto::container::zip::Archive::open(file).unwrap();
        let chain = container.read("ts-hashchain.xml", 10_000).unwrap();
        let result = container.read("ts-hashchainresult.xml", 10_000).unwrap();
        let document = saatkond_proto::signature::PartDigest {
            name: saatkond_proto::signature::batch::SIGNATURES.to_owned(),
            algorithm: DigestAlgorithm::Sha512,
            digest: found.message.signature_digest(),
        };
        let kind = saatkond_proto::signature::batch::Kind::Timestamp;
        let held = saatkond_proto::signature::batch::verify(kind, &result, Some(&chain), &[document]);
        assert_eq!(held, Ok(()), "record {number}");
    }
}
