//! The characters of an envelope: which encoding, read and written without loss.
//!
//! Seen: message-path §1.5.1, a byte order mark or the XML declaration decides, else it is UTF-8; the `charset` parameter
//! of a content type must be known, and decides nothing. Ours: read are UTF-8, UTF-16 with a byte order mark, ISO-8859-1,
//! and ASCII in any encoding that contains it.

use super::SoapError;
use std::borrow::Cow;

/// An encoding in which envelopes are read, and written again byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::message) enum Encoding {
    Utf8,
    Latin1,
    Utf16 { big_endian: bool },
}

/// Encodings that contain ASCII, by the beginning of their names in lower case.
const ASCII_BASED: [&str; 10] =
    ["us-ascii", "ascii", "iso-8859-", "iso8859-", "windows-125", "cp125", "koi8-", "latin", "l1", "tis-620"];
/// Other charsets that a content type may name. Seen: X-Road refuses those that its runtime does not know.
const OTHERS: [&str; 14] = [
    "utf-8",
    "utf8",
    "utf-16",
    "utf-32",
    "utf16",
    "ibm",
    "big5",
    "gb18030",
    "gb2312",
    "gbk",
    "euc-",
    "shift_jis",
    "iso-2022-",
    "macintosh",
];

/// Whether a content type may name this charset.
pub(super) fn is_known(charset: &str) -> bool {
    let name = charset.to_ascii_lowercase();
    ASCII_BASED.iter().chain(&OTHERS).any(|known| name.starts_with(known))
}

/// The encoding of a document, and how many bytes of byte order mark stand before it.
///
/// # Errors
/// [`SoapError::Encoding`].
pub(in crate::message) fn of(bytes: &[u8]) -> Result<(Encoding, usize), SoapError> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => return Ok((Encoding::Utf8, 3)),
        [0xfe, 0xff, ..] => return Ok((Encoding::Utf16 { big_endian: true }, 2)),
        [0xff, 0xfe, ..] => return Ok((Encoding::Utf16 { big_endian: false }, 2)),
        _ => {}
    }
    let Some(declared) = declared(bytes) else { return Ok((Encoding::Utf8, 0)) };
    let name = declared.to_ascii_lowercase();
    match name.as_str() {
        "utf-8" | "utf8" => Ok((Encoding::Utf8, 0)),
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "l1" => Ok((Encoding::Latin1, 0)),
        _ if bytes.is_ascii() && ASCII_BASED.iter().any(|known| name.starts_with(known)) => {
            Ok((Encoding::Utf8, 0))
        }
        _ => Err(SoapError::Encoding { found: declared }),
    }
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let end = rest.iter().take(256).position(|b| *b == b'>')?;
    let declaration = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(name, _)| name.to_owned())
}

impl Encoding {
    /// The text of bytes without their byte order mark.
    pub(in crate::message) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, SoapError> {
        let broken = |name: &str| SoapError::Encoding { found: format!("bytes that are no {name}") };
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| broken("UTF-8")),
            Self::Latin1 => Ok(Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect())),
            Self::Utf16 { big_endian } => {
                let pairs = bytes.chunks(2).map(|pair| match pair {
                    [a, b] if big_endian => Ok(u16::from_be_bytes([*a, *b])),
                    [a, b] => Ok(u16::from_le_bytes([*a, *b])),
                    _ => Err(broken("UTF-16")),
                });
                let units = pairs.collect::<Result<Vec<u16>, _>>()?;
                String::from_utf16(&units).map(Cow::Owned).map_err(|_| broken("UTF-16"))
            }
        }
    }

    /// The bytes of a text. What the encoding cannot hold is written as a character reference.
    pub(in crate::message) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Latin1 => text.chars().fold(Vec::new(), |mut out, c| {
                match u8::try_from(c) {
                    Ok(byte) => out.push(byte),
                    Err(_) => out.extend(format!("&#{};", u32::from(c)).into_bytes()),
                }
                out
            }),
            Self::Utf16 { big_endian } => {
                let unit = |u: u16| if big_endian { u.to_be_bytes() } else { u.to_le_bytes() };
                text.encode_utf16().flat_map(unit).collect()
            }
        }
    }
}
