//! The zip writer: a stream of deflated entries, byte for byte as Java's `ZipOutputStream` lays them out.
//!
//! Seen: message-path §6.5: version 2.0, flags `0x0808`, sizes after the content, the moment in an extended
//! time-stamp field, no attributes. Only the deflated bits differ from Java's.

use super::{DEFLATED, DESCRIPTOR, DIRECTORY, END, EXTRA_TIME, FLAG_DESCRIPTOR, FLAG_UTF8, LOCAL, ZipError};
use crate::limits;
use crate::time::UnixTime;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::collections::HashSet;
use std::io::{self, Read, Write};

/// How hard to deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Deflate in name only: blocks of the bytes as they are, for what is deflated already.
    Stored,
    /// As zlib does when nobody asks.
    Usual,
}

/// Writes a zip file entry by entry; nothing is kept but the directory.
#[derive(Debug)]
pub struct Writer<W: Write> {
    sink: W,
    level: Level,
    written: u64,
    /// In small letters.
    names: HashSet<String>,
    directory: Vec<u8>,
}

/// Version needed: 2.0, deflate. Spec: APPNOTE 4.4.3.
const VERSION: u16 = 20;
/// Bytes handed to the deflater at once.
const PIECE_BYTES: usize = 32 * 1024;

impl<W: Write> Writer<W> {
    /// Starts a zip file at the sink's present place.
    pub fn new(sink: W, level: Level) -> Self {
        Self { sink, level, written: 0, names: HashSet::new(), directory: Vec::new() }
    }

    /// Writes an entry from a reader; `modified` is the moment it is marked with.
    ///
    /// # Errors
    /// [`ZipError::Io`] for what reader or sink say, [`ZipError::Bound`] for more bytes than a zip file takes
    /// without its 64-bit forms, [`ZipError::Name`] and [`ZipError::Twice`] for a name that would not be read.
    pub fn entry(&mut self, name: &str, modified: UnixTime, mut content: impl Read) -> Result<(), ZipError> {
        self.entry_by(name, modified, |entry| {
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                let length = read_some(&mut content, &mut piece)?;
                if length == 0 {
                    return Ok(());
                }
                entry.take(piece.get(..length).unwrap_or_default())?;
            }
        })
    }

    /// Writes an entry of whatever `write` writes into it.
    ///
    /// # Errors
    /// As [`Writer::entry`], and what `write` says.
    pub fn entry_by<E: From<ZipError>>(
        &mut self,
        name: &str,
        modified: UnixTime,
        write: impl FnOnce(&mut EntryWriter<'_, W>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (at, common) = self.begin(name, modified)?;
        let mut entry = EntryWriter::new(self);
        write(&mut entry)?;
        let sums = entry.finish()?;
        Ok(self.end(at, &common, sums)?)
    }

    fn begin(&mut self, name: &str, modified: UnixTime) -> Result<(u32, Common), ZipError> {
        super::read::check_name(name)?;
        if !self.names.insert(name.to_ascii_lowercase()) {
            return Err(ZipError::Twice(name.to_owned()));
        }
        let at = self.offset()?;
        let common = Common::new(name, modified)?;
        self.put(&LOCAL.to_le_bytes())?;
        self.put(&common.header(0, 0, 0))?;
        self.put(&common.tail)?;
        Ok((at, common))
    }

    fn end(&mut self, at: u32, common: &Common, sums: (u32, u32, u32)) -> Result<(), ZipError> {
        let (crc, compressed, size) = sums;
        self.put(&DESCRIPTOR.to_le_bytes())?;
        for value in [crc, compressed, size] {
            self.put(&value.to_le_bytes())?;
        }
        self.directory.extend_from_slice(&DIRECTORY.to_le_bytes());
        self.directory.extend_from_slice(&VERSION.to_le_bytes());
        self.directory.extend_from_slice(&common.header(crc, compressed, size));
        // no comment, first disk, no attributes of either kind
        self.directory.extend_from_slice(&[0; 10]);
        self.directory.extend_from_slice(&at.to_le_bytes());
        self.directory.extend_from_slice(&common.tail);
        Ok(())
    }

    /// Writes directory and end; gives the sink back.
    ///
    /// # Errors
    /// [`ZipError::Io`] for what the sink says, [`ZipError::Bound`] for too much of anything.
    pub fn finish(mut self, comment: &str) -> Result<W, ZipError> {
        let at = self.offset()?;
        let count = fits_u16("entries", self.names.len())?;
        let directory = std::mem::take(&mut self.directory);
        let length = fits_u32("bytes of directory", directory.len() as u64)?;
        let comment_length = fits_u16("bytes of comment", comment.len())?;
        self.put(&directory)?;
        self.put(&END.to_le_bytes())?;
        self.put(&[0; 4])?;
        self.put(&count.to_le_bytes())?;
        self.put(&count.to_le_bytes())?;
        self.put(&length.to_le_bytes())?;
        self.put(&at.to_le_bytes())?;
        self.put(&comment_length.to_le_bytes())?;
        self.put(comment.as_bytes())?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    fn offset(&self) -> Result<u32, ZipError> {
        fits_u32("bytes", self.written)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ZipError> {
        self.sink.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Takes the content of one entry, deflates it and sums it up.
#[derive(Debug)]
pub struct EntryWriter<'a, W: Write> {
    zip: &'a mut Writer<W>,
    deflater: Compress,
    crc: Crc,
    size: u64,
    out: Vec<u8>,
}

impl<'a, W: Write> EntryWriter<'a, W> {
    fn new(zip: &'a mut Writer<W>) -> Self {
        let level = match zip.level {
            Level::Stored => Compression::none(),
            Level::Usual => Compression::default(),
        };
        let (deflater, out) = (Compress::new(level, false), Vec::with_capacity(PIECE_BYTES));
        Self { zip, deflater, crc: Crc::new(), size: 0, out }
    }

    fn take(&mut self, mut content: &[u8]) -> Result<(), ZipError> {
        self.crc.update(content);
        self.size += content.len() as u64;
        fits_u32("bytes in an entry", self.size)?;
        while !content.is_empty() {
            let (taken, _) = self.deflate(content, FlushCompress::None)?;
            content = content.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// One round of the deflater; tells how much it took, and what it says.
    fn deflate(&mut self, content: &[u8], flush: FlushCompress) -> Result<(usize, Status), ZipError> {
        let before = self.deflater.total_in();
        self.out.clear();
        let status = self.deflater.compress_vec(content, &mut self.out, flush).map_err(io::Error::other)?;
        self.zip.put(&self.out)?;
        let taken = usize::try_from(self.deflater.total_in() - before).unwrap_or(usize::MAX);
        Ok((taken, status))
    }

    /// Ends the content; tells its checksum, deflated size and size.
    fn finish(mut self) -> Result<(u32, u32, u32), ZipError> {
        while self.deflate(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        let compressed = fits_u32("bytes in an entry", self.deflater.total_out())?;
        Ok((self.crc.sum(), compressed, fits_u32("bytes in an entry", self.size)?))
    }
}

impl<W: Write> Write for EntryWriter<'_, W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.take(content).map_err(io::Error::other)?;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What local header and directory say alike.
struct Common {
    before: [u8; 10],
    lengths: [u8; 4],
    tail: Vec<u8>,
}

impl Common {
    fn new(name: &str, modified: UnixTime) -> Result<Self, ZipError> {
        let mut before = Vec::with_capacity(10);
        let (time, date) = dos(modified);
        for value in [VERSION, FLAG_DESCRIPTOR | FLAG_UTF8, DEFLATED, time, date] {
            before.extend_from_slice(&value.to_le_bytes());
        }
        let mut tail = name.as_bytes().to_vec();
        let mut extra = Vec::with_capacity(9);
        // The field holds 31 bits of seconds; a moment beyond is told by the coarser fields alone.
        if let Ok(seconds) = i32::try_from(modified.secs()) {
            extra.extend_from_slice(&EXTRA_TIME.to_le_bytes());
            extra.extend_from_slice(&5u16.to_le_bytes());
            extra.push(1);
            extra.extend_from_slice(&seconds.to_le_bytes());
        }
        let [n0, n1] = fits_u16("bytes in a name", name.len())?.to_le_bytes();
        let [x0, x1] = fits_u16("bytes in a field", extra.len())?.to_le_bytes();
        tail.extend_from_slice(&extra);
        Ok(Self { before: before.try_into().unwrap_or_default(), lengths: [n0, n1, x0, x1], tail })
    }

    fn header(&self, crc: u32, compressed: u32, size: u32) -> Vec<u8> {
        let mut out = self.before.to_vec();
        for value in [crc, compressed, size] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.lengths);
        out
    }
}

/// A moment as MS-DOS kept it, in UTC: time with two-second steps, and date from 1980 to 2107.
pub(super) fn dos(when: UnixTime) -> (u16, u16) {
    let (year, month, day, hour, minute, second) = when.civil();
    match u16::try_from(year - 1980) {
        Err(_) => (0, 0x0021),
        Ok(years) if years > 127 => (0xbf7d, 0xff9f),
        Ok(years) => {
            let time = (u16::from(hour) << 11) | (u16::from(minute) << 5) | (u16::from(second) / 2);
            (time, (years << 9) | (u16::from(month) << 5) | u16::from(day))
        }
    }
}

fn fits_u32(what: &'static str, found: u64) -> Result<u32, ZipError> {
    let allowed = limits::ZIP_BYTES_MAX;
    match u32::try_from(found) {
        Ok(value) if found <= allowed => Ok(value),
        _ => Err(ZipError::Bound { what, found, allowed }),
    }
}

fn fits_u16(what: &'static str, found: usize) -> Result<u16, ZipError> {
    let allowed = u64::from(u16::MAX - 1);
    u16::try_from(found).ok().filter(|v| *v < u16::MAX).ok_or(ZipError::Bound {
        what,
        found: found as u64,
        allowed,
    })
}

fn read_some(from: &mut impl Read, into: &mut [u8]) -> Result<usize, ZipError> {
    loop {
        match from.read(into) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return Ok(other?),
        }
    }
}
