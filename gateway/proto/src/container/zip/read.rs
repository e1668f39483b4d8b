//! The strict reader: directory and entries must agree, and lie side by side without a gap.
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::as_conversions)]

use super::{
    DEFLATED, DESCRIPTOR, DIRECTORY, END, EXTRA_TIME, FLAG_DESCRIPTOR, FLAG_UTF8, LOCAL, STORED, ZipError,
};
use crate::limits;
use crate::time::UnixTime;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom, Write};

/// Bytes of an end record without its comment. Spec: APPNOTE 4.3.16.
const END_BYTES: u64 = 22;
/// Bytes of a local header without name and extra fields. Spec: APPNOTE 4.3.7.
const LOCAL_BYTES: u64 = 30;
/// Info-ZIP's owner extra field, which says nothing of the content. Spec: Info-ZIP's extra field list, `ux`.
const EXTRA_OWNER: u16 = 0x7875;
/// Flags that say how hard was deflated. Spec: APPNOTE 4.4.4, bits 1 and 2.
const FLAGS_EFFORT: u16 = 0x0006;
/// Versions of the zip format that writers say to have written. Seen: Java, Python, Info-ZIP, 7-Zip.
const VERSIONS_MADE_BY: [u8; 8] = [10, 20, 30, 31, 45, 46, 51, 63];
/// Bytes taken from the file and handed on at once.
const PIECE_BYTES: usize = 32 * 1024;

/// A zip file whose every byte is accounted for; the contents are not unpacked yet.
#[derive(Debug)]
pub struct Archive<R> {
    source: R,
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    comment: Vec<u8>,
}

/// One entry, as directory and local header both tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: String,
    is_folder: bool,
    flags: u16,
    method: u16,
    dos: (u16, u16),
    version_needed: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    extra: Extra,
    at: u32,
    content_at: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Extra {
    time_flags: Option<u8>,
    seconds: Option<i32>,
    owner: bool,
}

impl Entry {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes it unpacks to.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// The moment it is marked with, where that is told to the second and in UTC.
    #[must_use]
    pub fn modified(&self) -> Option<UnixTime> {
        self.extra.seconds.map(|s| UnixTime::from_secs(s.into()))
    }

    /// Whether it is a folder and so without content.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.is_folder
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Reads directory and local headers; unpacks nothing.
    ///
    /// # Errors
    /// [`ZipError`] for the first byte that is not as it must be.
    pub fn open(mut source: R) -> Result<Self, ZipError> {
        let length = source.seek(SeekFrom::End(0))?;
        bound("bytes", length, limits::ZIP_BYTES_MAX)?;
        let (end_at, end, comment) = find_end(&mut source, length)?;
        let mut fields = Fields::new(&end, end_at, "end record");
        fields.skip(4)?;
        must_be("", "disk number", 0, fields.u32()?)?;
        let count = fields.u16()?;
        must_be("", "number of entries", count.into(), fields.u16()?.into())?;
        let (directory_bytes, directory_at) = (fields.u32()?, fields.u32()?);
        if u64::from(directory_at) + u64::from(directory_bytes) != end_at {
            let from = u64::from(directory_at) + u64::from(directory_bytes);
            return Err(ZipError::Unlisted { from, to: end_at });
        }
        bound("bytes of directory", directory_bytes.into(), limits::ZIP_DIRECTORY_BYTES_MAX)?;
        let directory = read_at(&mut source, directory_at.into(), directory_bytes.into())?;
        let mut entries = read_directory(&directory, directory_at, count)?;
        let mut next = 0;
        for entry in &mut entries {
            next = place(&mut source, entry, next, directory_at.into())?;
        }
        if next != u64::from(directory_at) {
            return Err(ZipError::Unlisted { from: next, to: directory_at.into() });
        }
        let places = entries.iter().enumerate().map(|(place, e)| (e.name.clone(), place)).collect();
        Ok(Self { source, entries, places, comment })
    }

    /// The entries, as they lie in the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file's comment.
    #[must_use]
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// The entry of this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.places.get(name)?)
    }

    /// Unpacks an entry that has at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`ZipError::Missing`], [`ZipError::Bound`], [`ZipError::Damaged`], [`ZipError::Io`].
    pub fn read(&mut self, name: &str, bytes_max: usize) -> Result<Vec<u8>, ZipError> {
        let mut out = Vec::new();
        self.unpack(name, u64::try_from(bytes_max).unwrap_or(u64::MAX), &mut out)?;
        Ok(out)
    }

    /// Unpacks an entry that has at most `bytes_max` bytes into `sink`, piece by piece.
    ///
    /// What the sink was given counts only when this succeeds: the checksum comes last.
    ///
    /// # Errors
    /// [`ZipError::Missing`], [`ZipError::Bound`], [`ZipError::Damaged`], [`ZipError::Io`].
    pub fn unpack(&mut self, name: &str, bytes_max: u64, sink: &mut impl Write) -> Result<(), ZipError> {
        let entry = self.entry(name).ok_or_else(|| ZipError::Missing(name.to_owned()))?.clone();
        bound("bytes in an entry", entry.size.into(), bytes_max)?;
        self.source.seek(SeekFrom::Start(entry.content_at))?;
        let mut packed = (&mut self.source).take(entry.compressed.into());
        let mut out = Measured { sink, crc: Crc::new(), size: 0, allowed: entry.size.into() };
        let problem = match entry.method {
            STORED => copy(&mut packed, &mut out)?,
            _ => inflate(&mut packed, &mut out)?,
        };
        let what = if let Some(what) = problem {
            what
        } else if packed.limit() != 0 {
            "bytes follow its content"
        } else if out.size != u64::from(entry.size) {
            "it has another size than the directory says"
        } else if out.crc.sum() != entry.crc {
            "its checksum is another than the directory's"
        } else {
            return Ok(());
        };
        Err(ZipError::Damaged { name: name.to_owned(), what })
    }
}

/// Where content goes while it is measured.
struct Measured<'a, W> {
    sink: &'a mut W,
    crc: Crc,
    size: u64,
    allowed: u64,
}

impl<W: Write> Measured<'_, W> {
    /// Takes a piece; false when that is more than there may be.
    fn take(&mut self, piece: &[u8]) -> Result<bool, ZipError> {
        self.size = self.size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.size > self.allowed {
            return Ok(false);
        }
        self.crc.update(piece);
        self.sink.write_all(piece)?;
        Ok(true)
    }
}

const LARGER: &str = "it is larger than the directory says";

fn copy(
    packed: &mut impl Read,
    out: &mut Measured<'_, impl Write>,
) -> Result<Option<&'static str>, ZipError> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = packed.read(&mut piece)?;
        if length == 0 {
            return Ok(None);
        }
        if !out.take(piece.get(..length).unwrap_or_default())? {
            return Ok(Some(LARGER));
        }
    }
}

/// Inflates until the stream says that it ends; tells what is wrong with it.
fn inflate(
    packed: &mut std::io::Take<impl Read>,
    out: &mut Measured<'_, impl Write>,
) -> Result<Option<&'static str>, ZipError> {
    let mut inflater = Decompress::new(false);
    let mut piece = vec![0; PIECE_BYTES];
    let mut unpacked = Vec::with_capacity(PIECE_BYTES);
    let (mut from, mut to) = (0, 0);
    loop {
        if from == to {
            (from, to) = (0, packed.read(&mut piece)?);
        }
        let (taken, given) = (inflater.total_in(), inflater.total_out());
        unpacked.clear();
        let input = piece.get(from..to).unwrap_or_default();
        let Ok(status) = inflater.decompress_vec(input, &mut unpacked, FlushDecompress::None) else {
            return Ok(Some("it is not a deflate stream"));
        };
        let taken = inflater.total_in().saturating_sub(taken);
        from = from.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
        if !out.take(&unpacked)? {
            return Ok(Some(LARGER));
        }
        if status == Status::StreamEnd {
            return Ok((from != to).then_some("bytes follow its content"));
        }
        if taken == 0 && inflater.total_out() == given && from == to {
            return Ok(Some("its content ends too early"));
        }
    }
}

/// The end record, which must close the file: where it is, its bytes, its comment.
fn find_end(source: &mut (impl Read + Seek), length: u64) -> Result<(u64, Vec<u8>, Vec<u8>), ZipError> {
    let tail_bytes = length.min(END_BYTES + u64::from(u16::MAX));
    let tail = read_at(source, length - tail_bytes, tail_bytes)?;
    let mark = END.to_le_bytes();
    for at in memchr::memmem::rfind_iter(&tail, &mark) {
        let Some(record) = tail.get(at..) else { continue };
        let Some((end, comment)) = record.split_at_checked(usize::try_from(END_BYTES).unwrap_or(22)) else {
            continue;
        };
        let stated = end.get(20..22).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
        if stated.map(usize::from) == Some(comment.len()) {
            let at = length - u64::try_from(record.len()).unwrap_or(u64::MAX);
            return Ok((at, end.to_vec(), comment.to_vec()));
        }
    }
    Err(ZipError::NoEnd)
}

fn read_directory(directory: &[u8], directory_at: u32, count: u16) -> Result<Vec<Entry>, ZipError> {
    let mut fields = Fields::new(directory, directory_at.into(), "directory header");
    let mut entries = Vec::with_capacity(usize::from(count));
    let mut names = HashSet::with_capacity(usize::from(count));
    for _ in 0..count {
        let entry = read_header(&mut fields)?;
        if !names.insert(entry.name.to_ascii_lowercase()) {
            return Err(ZipError::Twice(entry.name));
        }
        entries.push(entry);
    }
    if !fields.rest.is_empty() {
        let to = u64::from(directory_at) + u64::try_from(directory.len()).unwrap_or(u64::MAX);
        return Err(ZipError::Unlisted { from: fields.at(), to });
    }
    Ok(entries)
}

/// One header of the directory.
fn read_header(fields: &mut Fields<'_>) -> Result<Entry, ZipError> {
    fields.mark(DIRECTORY)?;
    let made_by = fields.u16()?.to_le_bytes();
    let (version_needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let dos = (fields.u16()?, fields.u16()?);
    let (crc, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (name_bytes, extra_bytes, comment_bytes) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let (disk, internal, external, at) = (fields.u16()?, fields.u16()?, fields.u32()?, fields.u32()?);
    let name = read_name(fields.bytes(name_bytes.into())?, flags)?;
    let extra = read_extra(fields.bytes(extra_bytes.into())?, &name, true)?;
    must_be(&name, "comment length", 0, comment_bytes.into())?;
    must_be(&name, "disk number", 0, disk.into())?;
    let is_folder = name.ends_with('/');
    check_made_by(&name, made_by, internal, external)?;
    check_flags(&name, version_needed, flags, method)?;
    if method == STORED {
        must_be(&name, "stored size", size, compressed)?;
    }
    if is_folder {
        must_be(&name, "size of a folder", 0, size)?;
    }
    Ok(Entry {
        name,
        is_folder,
        flags,
        method,
        dos,
        version_needed,
        crc,
        compressed,
        size,
        extra,
        at,
        content_at: 0,
    })
}

/// Who wrote the entry, and its attributes: Java leaves them empty, others say that it is a plain file or folder.
fn check_made_by(name: &str, made_by: [u8; 2], internal: u16, external: u32) -> Result<(), ZipError> {
    let [version, system] = made_by;
    if !VERSIONS_MADE_BY.contains(&version) {
        return Err(field(name, "version made by", "one that writers have", version));
    }
    match system {
        0 => {
            must_be(name, "internal attributes", 0, internal.into())?;
            must_be(name, "external attributes", 0, external)
        }
        3 => {
            // the upper half is st_mode: a plain file, a folder, or unsaid
            let kind = external >> 28;
            if internal > 1 || ![0, 4, 8].contains(&kind) {
                return Err(field(name, "attributes", "those of a file or folder", format!("{external:#x}")));
            }
            Ok(())
        }
        _ => Err(field(name, "system made by", "0 or 3", system)),
    }
}

fn check_flags(name: &str, version_needed: u16, flags: u16, method: u16) -> Result<(), ZipError> {
    if ![10, 20].contains(&version_needed) {
        return Err(field(name, "version needed", "1.0 or 2.0", version_needed));
    }
    if flags & !(FLAG_DESCRIPTOR | FLAG_UTF8 | FLAGS_EFFORT) != 0 {
        return Err(field(name, "flags", "no encryption, no patch", format!("{flags:#06x}")));
    }
    match method {
        DEFLATED => Ok(()),
        // without sizes in front, nobody who reads a stream could tell where it ends
        STORED if flags & FLAG_DESCRIPTOR == 0 => Ok(()),
        _ => Err(field(name, "compression", "deflate, or none with the size in front", method)),
    }
}

/// Holds an entry's local header against the directory; tells where the next one must begin.
fn place(
    source: &mut (impl Read + Seek),
    entry: &mut Entry,
    next: u64,
    directory_at: u64,
) -> Result<u64, ZipError> {
    let name = entry.name.as_str();
    if u64::from(entry.at) != next {
        return if u64::from(entry.at) > next {
            Err(ZipError::Unlisted { from: next, to: entry.at.into() })
        } else {
            Err(field(name, "offset", next, entry.at))
        };
    }
    let header = read_at(source, next, LOCAL_BYTES)?;
    let mut fields = Fields::new(&header, next, "local header");
    fields.mark(LOCAL)?;
    must_be(name, "version needed", entry.version_needed.into(), fields.u16()?.into())?;
    must_be(name, "flags", entry.flags.into(), fields.u16()?.into())?;
    must_be(name, "compression", entry.method.into(), fields.u16()?.into())?;
    must_be(name, "time", entry.dos.0.into(), fields.u16()?.into())?;
    must_be(name, "date", entry.dos.1.into(), fields.u16()?.into())?;
    let has_descriptor = entry.flags & FLAG_DESCRIPTOR != 0;
    for (what, expected) in entry.measures() {
        let found = fields.u32()?;
        if !(has_descriptor && found == 0) {
            must_be(name, what, expected, found)?;
        }
    }
    let (name_bytes, extra_bytes) = (fields.u16()?, fields.u16()?);
    let tail = read_at(source, next + LOCAL_BYTES, u64::from(name_bytes) + u64::from(extra_bytes))?;
    let mut fields = Fields::new(&tail, next + LOCAL_BYTES, "local header");
    let local_name = fields.bytes(name_bytes.into())?;
    if local_name != name.as_bytes() {
        return Err(field(name, "name in front", name, String::from_utf8_lossy(local_name)));
    }
    let extra = read_extra(fields.bytes(extra_bytes.into())?, name, false)?;
    if extra != entry.extra {
        return Err(field(name, "extra fields", "those of the directory", format!("{extra:?}")));
    }
    entry.content_at = next + LOCAL_BYTES + u64::from(name_bytes) + u64::from(extra_bytes);
    let end = entry.content_at + u64::from(entry.compressed);
    if end > directory_at {
        return Err(field(name, "end", format!("at most {directory_at}"), end));
    }
    if has_descriptor { place_descriptor(source, entry, end) } else { Ok(end) }
}

/// Holds sizes and checksum after the content against the directory; tells where the next entry must begin.
fn place_descriptor(source: &mut (impl Read + Seek), entry: &Entry, at: u64) -> Result<u64, ZipError> {
    // the signature in front is optional (APPNOTE 4.3.9.3); every writer met here writes it
    let descriptor = read_at(source, at, 16)?;
    let mut fields = Fields::new(&descriptor, at, "data descriptor");
    fields.mark(DESCRIPTOR)?;
    for (what, expected) in entry.measures() {
        must_be(&entry.name, what, expected, fields.u32()?)?;
    }
    Ok(fields.at())
}

impl Entry {
    fn measures(&self) -> [(&'static str, u32); 3] {
        [("checksum", self.crc), ("packed size", self.compressed), ("size", self.size)]
    }
}

fn read_name(bytes: &[u8], flags: u16) -> Result<String, ZipError> {
    let lossy = || String::from_utf8_lossy(bytes).into_owned();
    let Ok(name) = std::str::from_utf8(bytes) else { return Err(ZipError::Name(lossy())) };
    if flags & FLAG_UTF8 == 0 && !name.is_ascii() {
        return Err(ZipError::Name(lossy()));
    }
    check_name(name)?;
    Ok(name.to_owned())
}

/// Refuses names that lead out of a folder, or that some systems would read as others.
pub(super) fn check_name(name: &str) -> Result<(), ZipError> {
    let path = name.strip_suffix('/').unwrap_or(name);
    let is_bad = path.len() > limits::ZIP_NAME_BYTES_MAX
        || path.split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..")
        || path.chars().any(|c| c.is_control() || c == '\\')
        || path.as_bytes().get(1) == Some(&b':');
    if is_bad { Err(ZipError::Name(name.to_owned())) } else { Ok(()) }
}

/// Reads extra fields; in the directory the time field may be cut to its first moment.
fn read_extra(bytes: &[u8], name: &str, in_directory: bool) -> Result<Extra, ZipError> {
    let mut fields = Fields::new(bytes, 0, "extra field");
    let mut extra = Extra::default();
    while !fields.rest.is_empty() {
        let (kind, length) = (fields.u16()?, fields.u16()?);
        let content = fields.bytes(length.into())?;
        match kind {
            EXTRA_TIME if extra.time_flags.is_none() => {
                let (flags, seconds) = read_time(content, in_directory)
                    .ok_or_else(|| field(name, "time-stamp field", "a moment", format!("{content:02x?}")))?;
                extra.time_flags = Some(flags);
                extra.seconds = Some(seconds);
            }
            EXTRA_OWNER if !extra.owner => extra.owner = true,
            // 64-bit sizes, other names for the entry and whatever else one reader sees and another does not
            _ => return Err(field(name, "extra field", "a time-stamp", format!("{kind:#06x}"))),
        }
    }
    Ok(extra)
}

fn read_time(content: &[u8], in_directory: bool) -> Option<(u8, i32)> {
    let (&flags, moments) = content.split_first()?;
    let stated = usize::try_from(flags.count_ones()).ok()? * 4;
    if flags & !7 != 0 || flags & 1 == 0 {
        return None;
    }
    let fits = moments.len() == stated || (in_directory && moments.len() == 4);
    let seconds = moments.get(..4)?.try_into().ok().map(i32::from_le_bytes)?;
    fits.then_some((flags, seconds))
}

/// Takes little-endian fields one after the other.
struct Fields<'a> {
    rest: &'a [u8],
    start: u64,
    length: usize,
    what: &'static str,
}

impl<'a> Fields<'a> {
    const fn new(bytes: &'a [u8], start: u64, what: &'static str) -> Self {
        Self { rest: bytes, start, length: bytes.len(), what }
    }

    fn at(&self) -> u64 {
        let taken = self.length.saturating_sub(self.rest.len());
        self.start.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ZipError> {
        let missing = ZipError::Record { what: self.what, at: self.at() };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(missing)?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), ZipError> {
        self.bytes(count).map(|_| ())
    }

    fn u16(&mut self) -> Result<u16, ZipError> {
        Ok(self.bytes(2)?.iter().rev().fold(0, |n, b| n << 8 | u16::from(*b)))
    }

    fn u32(&mut self) -> Result<u32, ZipError> {
        Ok(self.bytes(4)?.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    fn mark(&mut self, expected: u32) -> Result<(), ZipError> {
        let at = self.at();
        if self.u32()? == expected { Ok(()) } else { Err(ZipError::Record { what: self.what, at }) }
    }
}

fn read_at(source: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Vec<u8>, ZipError> {
    source.seek(SeekFrom::Start(at))?;
    let mut out = Vec::new();
    source.take(length).read_to_end(&mut out)?;
    if u64::try_from(out.len()).ok() == Some(length) {
        Ok(out)
    } else {
        Err(ZipError::Record { what: "record that fits the file", at })
    }
}

fn bound(what: &'static str, found: u64, allowed: u64) -> Result<(), ZipError> {
    if found > allowed { Err(ZipError::Bound { what, found, allowed }) } else { Ok(()) }
}

fn must_be(name: &str, what: &'static str, expected: u32, found: u32) -> Result<(), ZipError> {
    if expected == found { Ok(()) } else { Err(field(name, what, expected, found)) }
}

fn field(name: &str, field: &'static str, expected: impl ToString, found: impl ToString) -> ZipError {
    ZipError::Field { name: name.to_owned(), field, expected: expected.to_string(), found: found.to_string() }
}
