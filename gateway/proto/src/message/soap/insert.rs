//! The hash of the request, put into an answer: the only change that is ever made to an envelope.
//!
//! Spec: message-path §2.11. Seen: directly behind `id`, with its prefix and the white space that stands before the first
//! header field. X-Road writes the whole document anew; ours leaves every other byte as the service sent it. A
//! `requestHash` that the service sent is taken out whole, where X-Road leaves its text in the header.

use super::{Envelope, HASH_URI, REQUEST_HASH, SOAP, SoapError, XROAD, charset};
use crate::limits;
use crate::xml;
use roxmltree::Node;
use std::ops::Range;

impl Envelope {
    /// This response with the hash of its request.
    ///
    /// # Errors
    /// [`SoapError`] when what comes out would not be read as such.
    pub fn with_request_hash(self, request: &Self) -> Result<Self, SoapError> {
        let (encoding, mark) = charset::of(&self.bytes)?;
        let (mark, rest) = self.bytes.split_at_checked(mark).unwrap_or((&[], &self.bytes));
        let text = encoding.decode(rest)?;
        let hash = request.hash();
        let edited = {
            let document = xml::admit(&text, limits::ENVELOPE_BYTES_MAX)?;
            edit(&text, document.root_element(), &hash)?
        };
        let bytes = [mark, &encoding.encode(&edited)].concat();
        let inserted = Self::read(bytes, None)?;
        if inserted.request_hash.as_ref() == Some(&hash) {
            return Ok(inserted);
        }
        Err(SoapError::Field { field: REQUEST_HASH, expected: "as it was written", found: hash })
    }
}

fn edit(text: &str, root: Node<'_, '_>, hash: &str) -> Result<String, SoapError> {
    let header = xml::child(root, SOAP, "Header").ok_or(SoapError::MissingHeader)?;
    let id = xml::child(header, XROAD, "id").ok_or(SoapError::MissingField { field: "id" })?;
    let prefix = prefix_of(text, id);
    let name = if prefix.is_empty() { REQUEST_HASH.to_owned() } else { format!("{prefix}:{REQUEST_HASH}") };
    let in_scope = header.lookup_namespace_uri(if prefix.is_empty() { None } else { Some(prefix) });
    let declared = match (in_scope, prefix) {
        (Some(XROAD), _) => String::new(),
        (_, "") => format!(" xmlns=\"{XROAD}\""),
        (_, prefix) => format!(" xmlns:{prefix}=\"{XROAD}\""),
    };
    let space = space_before(text, header.first_element_child());
    let element = format!("{space}<{name}{declared} algorithmId=\"{HASH_URI}\">{hash}</{name}>");
    let earlier = xml::child(header, XROAD, REQUEST_HASH).map(|node| with_space_before(text, node));
    let end = id.range().end;
    let mut edits = vec![(end..end, element)];
    edits.extend(earlier.map(|range| (range, String::new())));
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut out, mut at) = (String::with_capacity(text.len() + 256), 0);
    for (range, new) in edits {
        // White space before the earlier hash may be that behind which the new one is put.
        let start = range.start.max(at);
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&new);
        at = range.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

/// The prefix with which an element is written.
pub(super) fn prefix_of<'t>(text: &'t str, node: Node<'_, '_>) -> &'t str {
    let tag = text.get(node.range()).and_then(|t| t.strip_prefix('<')).unwrap_or_default();
    let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(tag.len());
    tag.get(..end).and_then(|name| name.split_once(':')).map_or("", |(prefix, _)| prefix)
}

/// The white space directly before an element.
fn space_before<'t>(text: &'t str, node: Option<Node<'_, '_>>) -> &'t str {
    let Some(node) = node else { return "" };
    let before = text.get(..node.range().start).unwrap_or_default();
    before.get(before.trim_end_matches([' ', '\t', '\r', '\n']).len()..).unwrap_or_default()
}

fn with_space_before(text: &str, node: Node<'_, '_>) -> Range<usize> {
    let range = node.range();
    range.start - space_before(text, Some(node)).len()..range.end
}
