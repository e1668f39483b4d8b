//! Zip files, every bit of them.

use super::*;
use crate::limits;
use crate::time::UnixTime;
use proptest::prelude::*;
use std::io::{Cursor, Read as _};

const WHEN: UnixTime = UnixTime::from_secs(1_795_507_203);

fn archive(entries: &[(&str, &[u8])], level: Level) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), level);
    for (name, content) in entries {
        writer.entry(name, WHEN, *content).unwrap();
    }
    writer.finish("a comment").unwrap()
}

fn sample() -> Vec<u8> {
    let long = "<a>the same again and again</a>".repeat(60);
    archive(&[("mimetype", b"a type"), ("META-INF/x.xml", long.as_bytes()), ("empty", b"")], Level::Usual)
}

/// Name, moment and content of an entry; the file's comment is told as the first, without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told(String, Option<UnixTime>, Vec<u8>);

/// All that a file tells.
fn story(bytes: &[u8]) -> Result<Vec<Told>, ZipError> {
    let mut archive = Archive::open(Cursor::new(bytes))?;
    let entries = archive.entries().to_vec();
    let mut story = vec![Told(String::new(), None, archive.comment().to_vec())];
    for entry in entries {
        let content = archive.read(entry.name(), 1 << 20)?;
        story.push(Told(entry.name().to_owned(), entry.modified(), content));
    }
    Ok(story)
}

/// The bytes with `found` replaced by `by` at every place it occurs; there must be `places` of them.
fn replaced(bytes: &[u8], found: &[u8], by: &[u8], places: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let at: Vec<_> = memchr::memmem::find_iter(bytes, found).collect();
    assert_eq!(at.len(), places);
    for at in at {
        out[at..at + by.len()].copy_from_slice(by);
    }
    out
}

#[test]
fn what_is_written_is_read_by_us_and_by_others() {
    for level in [Level::Usual, Level::Stored] {
        let big: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let entries: [(&str, &[u8]); 4] =
            [("mimetype", b"type"), ("META-INF/a.xml", b"<a/>"), ("kõrv", &big), ("empty", b"")];
        let bytes = archive(&entries, level);
        let told = story(&bytes).unwrap();
        assert_eq!(told[0].2, b"a comment");
        let mut other = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(other.comment(), b"a comment");
        assert_eq!(other.len(), entries.len());
        for (i, (name, content)) in entries.into_iter().enumerate() {
            assert_eq!(told[i + 1], Told(name.to_owned(), Some(WHEN), content.to_vec()));
            let mut file = other.by_index(i).unwrap();
            assert_eq!(file.name().unwrap(), name);
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
    }
}

#[test]
fn headers_are_those_that_java_writes() {
    // Seen: the first bytes and the directory's first header of a container that X-Road 7.8.0 wrote at that second.
    let mut writer = Writer::new(Vec::new(), Level::Usual);
    let when = UnixTime::from_rfc3339("2026-11-24T08:00:03Z").unwrap();
    writer.entry("mimetype", when, &b"application/vnd.etsi.asic-e+zip"[..]).unwrap();
    let bytes = writer.finish("").unwrap();
    let local = [
        0x50, 0x4b, 3, 4, 20, 0, 8, 8, 8, 0, 0x01, 0x40, 0x78, 0x5d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8,
        0, 9, 0,
    ];
    let time = [0x55, 0x54, 5, 0, 1, 3, 0x44, 5, 0x6b];
    assert_eq!(bytes[..30], local);
    assert_eq!(bytes[30..47], [&b"mimetype"[..], &time].concat());
    let descriptor = memchr::memmem::find(&bytes, &DESCRIPTOR.to_le_bytes()).unwrap();
    assert_eq!(bytes[descriptor + 4..descriptor + 8], [0x8a, 0x21, 0xf9, 0x45]);
    assert_eq!(bytes[descriptor + 12..descriptor + 16], [31, 0, 0, 0]);
    let directory = &bytes[descriptor + 16..];
    assert_eq!(directory[..6], [0x50, 0x4b, 1, 2, 20, 0]);
    assert_eq!(directory[6..16], local[4..14]);
    // lengths of name and extra fields, then nothing: no comment, first disk, no attributes, at the first byte
    assert_eq!(directory[28..46], [8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn every_bit_tells_the_same_story_or_is_refused() {
    let good = sample();
    let told = story(&good).unwrap();
    let mut bytes = good.clone();
    let mut same = 0;
    for bit in 0..good.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match story(&bytes) {
            Err(_) => {}
            Ok(other) if other == told => same += 1,
            // the comment is free text to this layer
            Ok(other) => assert_eq!(other[1..], told[1..], "bit {bit}"),
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // deflate leaves up to seven bits unused at the end of each entry, and may say one thing in two ways
    assert!(same <= 3 * 7 + 8, "{same}");
}

#[test]
fn every_truncation_is_refused() {
    let good = sample();
    for length in 0..good.len() {
        assert!(story(&good[..length]).is_err(), "{length}");
    }
    assert!(matches!(story(b"not a zip file"), Err(ZipError::NoEnd)));
    assert_eq!(story(&[&good[..], b"x"].concat()), Err(ZipError::NoEnd));
    assert!(matches!(story(&[b"MZ", &good[..]].concat()), Err(ZipError::Unlisted { .. })));
}

#[test]
fn nothing_hides_between_the_entries() {
    // the directory of two entries is cut to one: the other's bytes stay, and belong to nothing
    let good = archive(&[("a", b"1"), ("b", b"2")], Level::Usual);
    let headers: Vec<_> = memchr::memmem::find_iter(&good, &DIRECTORY.to_le_bytes()).collect();
    let end = memchr::memmem::rfind(&good, &END.to_le_bytes()).unwrap();
    let header_bytes = u8::try_from(headers[1] - headers[0]).unwrap();
    for hidden in headers {
        let mut bytes = good.clone();
        bytes[end + 8] = 1;
        bytes[end + 10] = 1;
        bytes[end + 12] = header_bytes;
        bytes.drain(hidden..hidden + usize::from(header_bytes));
        let found = story(&bytes);
        assert!(matches!(found, Err(ZipError::Unlisted { .. })), "{found:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_or_occur_twice_are_refused() {
    for name in ["/etc/x", "../x", "a/../x", "a//x", "./x", "a\\x", "c:x", "a\nx", "", "a/."] {
        let mut writer = Writer::new(Vec::new(), Level::Usual);
        assert!(matches!(writer.entry(name, WHEN, &b""[..]), Err(ZipError::Name(_))), "{name:?}");
        if !name.is_empty() {
            let stand_in = "q".repeat(name.len());
            let good = archive(&[(&stand_in, b"1")], Level::Usual);
            let bytes = replaced(&good, stand_in.as_bytes(), name.as_bytes(), 2);
            assert!(matches!(story(&bytes), Err(ZipError::Name(_))), "{name:?}");
        }
    }
    let mut writer = Writer::new(Vec::new(), Level::Usual);
    writer.entry("ab", WHEN, &b""[..]).unwrap();
    assert!(matches!(writer.entry("AB", WHEN, &b""[..]), Err(ZipError::Twice(_))));
    let good = archive(&[("qq", b"1"), ("qz", b"2")], Level::Usual);
    for twin in [b"qq", b"QQ"] {
        let bytes = replaced(&good, b"qz", twin, 2);
        assert!(matches!(story(&bytes), Err(ZipError::Twice(_))));
    }
    assert!(Writer::new(Vec::new(), Level::Usual).entry(&"n".repeat(256), WHEN, &b""[..]).is_err());
}

#[test]
fn a_name_told_in_two_ways_is_refused() {
    let good = archive(&[("qq", b"1")], Level::Usual);
    let at = memchr::memmem::find(&good, b"qq").unwrap();
    let mut bytes = good;
    bytes[at] = b'r';
    assert!(matches!(story(&bytes), Err(ZipError::Field { field: "name in front", .. })));
}

#[test]
fn folders_and_owners_of_other_writers_are_read() {
    // as Info-ZIP writes: a folder, sizes in front, the access time in front only, an owner field
    let time = [0x55, 0x54, 9, 0, 3, 1, 0, 0, 0, 2, 0, 0, 0];
    let short = [0x55, 0x54, 5, 0, 3, 1, 0, 0, 0];
    let owner = [0x75, 0x78, 0x0b, 0, 1, 4, 0xe8, 3, 0, 0, 4, 0xe8, 3, 0, 0];
    let local = [
        &LOCAL.to_le_bytes()[..],
        &[10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 28, 0],
        b"a/",
        &time,
        &owner,
    ]
    .concat();
    let header = [
        &DIRECTORY.to_le_bytes()[..],
        &[30, 3, 10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 24, 0],
        &[0, 0, 0, 0, 1, 0, 0x10, 0, 0xfd, 0x41, 0, 0, 0, 0],
        b"a/",
        &short,
        &owner,
    ]
    .concat();
    let count = [1, 0, 1, 0];
    let lengths = [u32::try_from(header.len()).unwrap(), u32::try_from(local.len()).unwrap()];
    let end = [
        &END.to_le_bytes()[..],
        &[0; 4],
        &count,
        &lengths[0].to_le_bytes(),
        &lengths[1].to_le_bytes(),
        &[0; 2],
    ]
    .concat();
    let bytes = [local, header, end].concat();
    let archive = Archive::open(Cursor::new(&bytes)).unwrap();
    let [folder] = archive.entries() else { panic!("{:?}", archive.entries()) };
    assert!(folder.is_folder());
    assert_eq!(folder.modified(), Some(UnixTime::from_secs(1)));
}

#[test]
fn what_unpacks_to_more_than_allowed_is_not_unpacked() {
    let zeros = vec![0; 3_000_000];
    let bytes = archive(&[("zeros", &zeros)], Level::Usual);
    let mut archive = Archive::open(Cursor::new(&bytes)).unwrap();
    assert!(matches!(archive.read("zeros", 1 << 20), Err(ZipError::Bound { found: 3_000_000, .. })));
    assert_eq!(archive.read("zeros", 3_000_000).unwrap().len(), 3_000_000);
    // the directory understates the size: unpacking stops at what it says
    let size = 3_000_000u32.to_le_bytes();
    let bytes = replaced(&bytes, &size, &5u32.to_le_bytes(), 2);
    let mut sink = Vec::new();
    let mut archive = Archive::open(Cursor::new(&bytes)).unwrap();
    let result = archive.unpack("zeros", 1 << 20, &mut sink);
    assert!(matches!(result, Err(ZipError::Damaged { .. })), "{result:?}");
    assert!(sink.len() <= 5);
}

#[test]
fn moments_that_ms_dos_cannot_tell_are_cut() {
    assert_eq!(write::dos(UnixTime::from_secs(0)), (0, 0x21));
    assert_eq!(write::dos(UnixTime::from_rfc3339("2200-01-01T00:00:00Z").unwrap()), (0xbf7d, 0xff9f));
    assert_eq!(write::dos(UnixTime::from_rfc3339("2026-11-24T08:00:03Z").unwrap()), (0x4001, 0x5d78));
    let mut writer = Writer::new(Vec::new(), Level::Usual);
    writer.entry("a", UnixTime::from_rfc3339("2100-01-01T00:00:00Z").unwrap(), &b""[..]).unwrap();
    let bytes = writer.finish("").unwrap();
    assert_eq!(story(&bytes).unwrap()[1].1, None);
}

#[test]
fn a_reader_that_fails_is_told() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let mut writer = Writer::new(Vec::new(), Level::Usual);
    assert_eq!(writer.entry("a", WHEN, Broken), Err(ZipError::Io("the disk is gone".into())));
    assert!(limits::ZIP_BYTES_MAX < u64::from(u32::MAX));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = story(&bytes);
        let _ = story(&[&bytes, &sample()[..]].concat());
    }

    #[test]
    fn no_edit_panics_or_changes_the_story_unseen(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let good = sample();
        let mut bytes = good.clone();
        for (at, by) in edits {
            bytes[at.index(good.len())] = by;
        }
        if let Ok(told) = story(&bytes) {
            prop_assert_eq!(&told[1..], &story(&good).unwrap()[1..]);
        }
    }

    #[test]
    fn contents_survive(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..6)) {
        let names: Vec<_> = (0..contents.len()).map(|i| format!("e{i}")).collect();
        let entries: Vec<_> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        for level in [Level::Usual, Level::Stored] {
            let told = story(&archive(&entries, level)).unwrap();
            let read: Vec<_> = told[1..].iter().map(|Told(n, _, c)| (n.as_str(), c.as_slice())).collect();
            prop_assert_eq!(&read, &entries);
        }
    }
}
