//! A container, entry for entry as X-Road writes it.
//!
//! Seen: message-path §6.5: order of entries, all deflated, each marked with the record's time, the comment.

use super::zip::{Level, Writer};
use super::{COMMENT, ContainerError, MEDIA_TYPE, entry, manifest};
use crate::id::form_encoded;
use crate::limits;
use crate::time::UnixTime;
use std::io::{Read, Write};

/// One message and its proof, as a message log keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The message: a SOAP envelope or a REST block, as it was signed.
    pub message: &'a [u8],
    /// The signature document, with its single time-stamp where it has one.
    pub signature: &'a [u8],
    /// The signature's hash chain result.
    pub hash_chain_result: Option<&'a [u8]>,
    /// The signature's hash chain.
    pub hash_chain: Option<&'a [u8]>,
    /// The time-stamp that covers this signature together with others.
    pub stamp: Option<BatchStamp<'a>>,
    /// When the message was recorded.
    pub time: UnixTime,
}

/// A time-stamp over many signatures, and the way from it to one of them.
#[derive(Debug, Clone, Copy)]
pub struct BatchStamp<'a> {
    /// The token, DER.
    pub token: &'a [u8],
    /// The hash chain result, which the token is for.
    pub hash_chain_result: &'a [u8],
    /// The chain from the result to this signature.
    pub hash_chain: &'a [u8],
}

/// Writes a container; attachments are taken from their readers as they are needed.
///
/// # Errors
/// [`ContainerError::Zip`] for what the sink or a reader says, or for more bytes than a container takes.
pub fn write<W, A>(sink: W, evidence: &Evidence<'_>, attachments: A) -> Result<W, ContainerError>
where
    W: Write,
    A: IntoIterator<IntoIter: ExactSizeIterator, Item: Read>,
{
    let attachments = attachments.into_iter();
    let mut entries = vec![
        (entry::MEDIA_TYPE, MEDIA_TYPE.as_bytes()),
        (entry::MESSAGE, evidence.message),
        (entry::SIGNATURES, evidence.signature),
    ];
    entries.extend(evidence.hash_chain_result.map(|r| (entry::SIGNATURE_CHAIN_RESULT, r)));
    entries.extend(evidence.hash_chain.map(|c| (entry::SIGNATURE_CHAIN, c)));
    if let Some(stamp) = &evidence.stamp {
        entries.push((entry::STAMP_CHAIN_RESULT, stamp.hash_chain_result));
        entries.push((entry::STAMP_CHAIN, stamp.hash_chain));
    }
    let names: Vec<_> = entries.iter().map(|(name, _)| *name).collect();
    let listed = manifest::write(&names, attachments.len());
    entries.push((entry::MANIFEST, listed.as_bytes()));
    let covered = evidence.stamp.as_ref().map(|s| manifest::write_covered(s.hash_chain_result));
    if let (Some(stamp), Some(covered)) = (&evidence.stamp, &covered) {
        entries.push((entry::ASIC_MANIFEST, covered.as_bytes()));
        entries.push((entry::TOKEN, stamp.token));
    }
    let mut zip = Writer::new(sink, Level::Usual);
    for (name, content) in entries {
        zip.entry(name, evidence.time, content)?;
    }
    for (number, content) in (1..=limits::ATTACHMENTS_MAX).zip(attachments) {
        zip.entry(&format!("{}{number}", entry::ATTACHMENT), evidence.time, content)?;
    }
    Ok(zip.finish(COMMENT)?)
}

/// Bytes of the message id in an entry's name. Seen: message-path §6.6.
const QUERY_ID_BYTES_MAX: usize = 226;

/// The name of a container, in archives and for those who download it.
///
/// The message id is escaped, the record's number is in base 32. Seen: message-path §6.6.
#[must_use]
pub fn entry_name(query_id: &str, is_response: bool, record: u64) -> String {
    let mut name = form_encoded(query_id);
    name.truncate(QUERY_ID_BYTES_MAX);
    name.push_str(if is_response { "-response-" } else { "-request-" });
    name.push_str(&base32(record));
    name.push_str(".asice");
    name
}

/// Digits `0`–`9`, `a`–`v`, shortest form.
fn base32(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 32).unwrap_or(0), 32).unwrap_or('0'));
        number /= 32;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(entry_name("a/b ?ä&*", false, 387), "a%2Fb+%3F%C3%A4%26*-request-c3.asice");
        assert_eq!(entry_name("", true, 0), "-response-0.asice");
        let long = entry_name(&"ä".repeat(300), true, u64::MAX);
        assert_eq!(long.len(), 226 + "-response-".len() + 13 + ".asice".len());
        assert!(long.len() <= 255);
    }
}
