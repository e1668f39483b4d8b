//! DER, read in place and written: what OCSP, time-stamps and hash chains are made of.
//!
//! Spec: X.690. Reading is strict: definite, shortest lengths and single-byte tags only. Values are slices of the
//! input, so what was signed is hashed as it came, never as it would be written again.

use crate::time::UnixTime;

/// Tag bytes in use.
pub mod tag {
    #![expect(missing_docs, reason = "X.680 names")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;

    /// `[n]` constructed.
    #[must_use]
    pub const fn context(n: u8) -> u8 {
        0xa0 | n
    }

    /// `[n]` primitive, for implicit tags on simple types.
    #[must_use]
    pub const fn context_primitive(n: u8) -> u8 {
        0x80 | n
    }
}

/// Bytes that are not the DER expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerError {
    /// The value ends before it should.
    #[error("DER ends in the middle of a value")]
    Truncated,
    /// Another type than expected.
    #[error("expected DER tag {expected:#04x}, found {found:#04x}")]
    Tag {
        /// The tag byte expected.
        expected: u8,
        /// The tag byte found.
        found: u8,
    },
    /// A length or value not in its one DER form.
    #[error("not in distinguished form: {0}")]
    NotDistinguished(&'static str),
    /// More bytes after the value.
    #[error("{0} bytes after the DER value")]
    Trailing(usize),
}

/// One value: its tag, its content, and all of it as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The tag byte.
    pub tag: u8,
    /// The content octets.
    pub content: &'a [u8],
    /// Tag, length and content as they came.
    pub raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// A reader over the content.
    #[must_use]
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// Reads DER values one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next tag byte, not consumed.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next value, whatever it is.
    ///
    /// # Errors
    /// [`DerError::Truncated`], [`DerError::NotDistinguished`].
    pub fn value(&mut self) -> Result<Value<'a>, DerError> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(DerError::Truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::NotDistinguished("tag of several bytes"));
        }
        let (&first, mut after) = after_tag.split_first().ok_or(DerError::Truncated)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError::NotDistinguished("length of this form"));
            }
            let (bytes, rest) = after.split_at_checked(count).ok_or(DerError::Truncated)?;
            after = rest;
            let length = bytes.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
            if length < 0x80 || bytes.first() == Some(&0) {
                return Err(DerError::NotDistinguished("length longer than needed"));
            }
            length
        };
        let (content, rest) = after.split_at_checked(length).ok_or(DerError::Truncated)?;
        let (raw, _) = self.rest.split_at(self.rest.len() - rest.len());
        self.rest = rest;
        Ok(Value { tag, content, raw })
    }

    /// Takes the next value, which must have this tag.
    ///
    /// # Errors
    /// [`DerError::Tag`] for another type, and those of [`Reader::value`].
    pub fn expect(&mut self, tag: u8) -> Result<Value<'a>, DerError> {
        let found = self.peek().ok_or(DerError::Truncated)?;
        if found != tag {
            return Err(DerError::Tag { expected: tag, found });
        }
        self.value()
    }

    /// Takes the next value if it has this tag.
    ///
    /// # Errors
    /// Those of [`Reader::value`].
    pub fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, DerError> {
        if self.peek() == Some(tag) { self.value().map(Some) } else { Ok(None) }
    }

    /// Takes a SEQUENCE and reads inside it.
    ///
    /// # Errors
    /// Those of [`Reader::expect`].
    pub fn sequence(&mut self) -> Result<Self, DerError> {
        Ok(self.expect(tag::SEQUENCE)?.reader())
    }

    /// Takes an OBJECT IDENTIFIER; its content octets.
    ///
    /// # Errors
    /// Those of [`Reader::expect`].
    pub fn oid(&mut self) -> Result<&'a [u8], DerError> {
        Ok(self.expect(tag::OID)?.content)
    }

    /// Takes an OCTET STRING; its octets.
    ///
    /// # Errors
    /// Those of [`Reader::expect`].
    pub fn octets(&mut self) -> Result<&'a [u8], DerError> {
        Ok(self.expect(tag::OCTET_STRING)?.content)
    }

    /// Takes an INTEGER; its content octets, two's complement, shortest form.
    ///
    /// # Errors
    /// [`DerError::NotDistinguished`] for padding, and those of [`Reader::expect`].
    pub fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::INTEGER)?.content;
        match content {
            [] => Err(DerError::NotDistinguished("empty integer")),
            [0, b, ..] if b & 0x80 == 0 => Err(DerError::NotDistinguished("padded integer")),
            [0xff, b, ..] if b & 0x80 != 0 => Err(DerError::NotDistinguished("padded integer")),
            _ => Ok(content),
        }
    }

    /// Takes an INTEGER that fits 63 bits and is not negative.
    ///
    /// # Errors
    /// [`DerError::NotDistinguished`] for a negative or larger one, and those of [`Reader::integer`].
    pub fn small(&mut self) -> Result<u64, DerError> {
        let content = self.integer()?;
        if content.len() > 8 || content.first().is_some_and(|b| b & 0x80 != 0) {
            return Err(DerError::NotDistinguished("integer out of range"));
        }
        Ok(content.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
    }

    /// Takes a BIT STRING of whole octets.
    ///
    /// # Errors
    /// [`DerError::NotDistinguished`] for unused bits, and those of [`Reader::expect`].
    pub fn bits(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(tag::BIT_STRING)?.content {
            [0, octets @ ..] => Ok(octets),
            _ => Err(DerError::NotDistinguished("bit string of no whole octets")),
        }
    }

    /// Takes a GeneralizedTime in UTC, with or without fractions of a second.
    ///
    /// # Errors
    /// [`DerError::NotDistinguished`] for another form, and those of [`Reader::expect`].
    pub fn generalized_time(&mut self) -> Result<UnixTime, DerError> {
        parse_generalized_time(self.expect(tag::GENERALIZED_TIME)?.content)
            .ok_or(DerError::NotDistinguished("time"))
    }

    /// Ends reading: nothing may be left.
    ///
    /// # Errors
    /// [`DerError::Trailing`].
    pub const fn end(self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing(self.rest.len())) }
    }
}

/// Reads the one value that `bytes` hold.
///
/// # Errors
/// [`DerError::Trailing`] for more, and those of [`Reader::value`].
pub fn single(bytes: &[u8]) -> Result<Value<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

fn parse_generalized_time(content: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() != 14 || !whole.is_ascii() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (date, clock) = whole.split_at_checked(8)?;
    let (y, md) = date.split_at_checked(4)?;
    let (m, d) = md.split_at_checked(2)?;
    let (h, ms) = clock.split_at_checked(2)?;
    let (min, s) = ms.split_at_checked(2)?;
    let point = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    UnixTime::from_rfc3339(&format!("{y}-{m}-{d}T{h}:{min}:{s}{point}Z"))
}

/// Writes a value of this tag.
#[must_use]
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len();
    if let (true, Ok(short)) = (length < 0x80, u8::try_from(length)) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let used = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
        let significant = bytes.get(used..).unwrap_or(&bytes);
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// Writes a SEQUENCE of values already written.
#[must_use]
pub fn sequence<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    constructed(tag::SEQUENCE, parts)
}

/// Writes a constructed value of this tag from values already written.
#[must_use]
pub fn constructed<P: AsRef<[u8]>>(tag: u8, parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    let mut content = Vec::new();
    for part in parts {
        content.extend_from_slice(part.as_ref());
    }
    write(tag, &content)
}

/// Writes a non-negative INTEGER from big-endian octets.
#[must_use]
pub fn unsigned(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|b| *b != 0).unwrap_or(octets.len());
    let mut content = octets.get(start..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|b| b & 0x80 != 0) {
        content.insert(0, 0);
    }
    write(tag::INTEGER, &content)
}

/// Writes an INTEGER.
#[must_use]
pub fn small(value: u64) -> Vec<u8> {
    unsigned(&value.to_be_bytes())
}

/// Writes a BIT STRING of whole octets.
#[must_use]
pub fn bits(octets: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(octets);
    write(tag::BIT_STRING, &content)
}

/// Writes a GeneralizedTime, `YYYYMMDDHHMMSSZ`.
#[must_use]
pub fn generalized_time(when: UnixTime) -> Vec<u8> {
    let (y, m, d, h, min, s) = when.civil();
    write(tag::GENERALIZED_TIME, format!("{y:04}{m:02}{d:02}{h:02}{min:02}{s:02}Z").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_shortest_form_is_read() {
        for bytes in
            [&[0x04, 0x81, 0x01, 0xff][..], &[0x04, 0x82, 0x00, 0x80], &[0x30, 0x80, 0, 0], &[0x1f, 1, 0]]
        {
            assert!(matches!(single(bytes), Err(DerError::NotDistinguished(_))), "{bytes:02x?}");
        }
        assert_eq!(single(&[0x04, 0x02, 0x01]), Err(DerError::Truncated));
        assert_eq!(single(&[0x05, 0x00, 0x00]), Err(DerError::Trailing(1)));
    }

    #[test]
    fn times_are_read_and_written() {
        let when = UnixTime::from_rfc3339("2026-11-24T09:48:00Z").unwrap();
        let bytes = generalized_time(when);
        assert_eq!(&bytes[2..], b"20261124094800Z");
        assert_eq!(Reader::new(&bytes).generalized_time(), Ok(when));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = write(tag::OCTET_STRING, &content);
            prop_assert_eq!(single(&bytes).unwrap().content, &content[..]);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.value().is_ok() {}
        }

        #[test]
        fn integers_survive(value in 0u64..=u64::MAX / 2) {
            prop_assert_eq!(Reader::new(&small(value)).small(), Ok(value));
        }
    }
}
