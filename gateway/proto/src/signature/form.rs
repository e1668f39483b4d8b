//! Elements read by position: what must stand where, and nothing else.
//!
//! Seen: X-Road 7.8 validates signatures and hash chains against their schemas before it looks at them. Ours: the same
//! strictness by hand, in signatures and containers alike.

use crate::crypto::DigestAlgorithm;
use crate::xml::{self, XmlError, elements, is, text_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// Namespace of XML signatures. Spec: XML-DSig 1.1 §1.3.
pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// The element children of an element, taken in order.
pub(super) struct Children<'a, 'i> {
    of: Node<'a, 'i>,
    next: Option<Node<'a, 'i>>,
}

impl<'a, 'i: 'a> Children<'a, 'i> {
    /// Starts with the first; text other than white space among them is refused.
    pub(super) fn of(node: Node<'a, 'i>) -> Result<Self, XmlError> {
        let blank = |n: Node<'_, '_>| n.text().is_none_or(|t| t.trim_ascii().is_empty());
        if !node.children().filter(Node::is_text).all(blank) {
            return Err(unexpected(format!("only elements in {}", name(node)), "text".to_owned()));
        }
        Ok(Self { of: node, next: elements(node).next() })
    }

    /// Takes the next one if it is this.
    pub(super) fn optional(&mut self, namespace: &str, name: &str) -> Option<Node<'a, 'i>> {
        let node = self.next.filter(|n| is(*n, namespace, name))?;
        self.next = node.next_sibling_element();
        Some(node)
    }

    /// Takes the next one, which must be this.
    pub(super) fn required(&mut self, namespace: &str, name: &str) -> Result<Node<'a, 'i>, XmlError> {
        self.optional(namespace, name).ok_or_else(|| self.out_of_place(name))
    }

    /// Takes the next one, whatever it is.
    pub(super) fn any(&mut self) -> Option<Node<'a, 'i>> {
        let node = self.next?;
        self.next = node.next_sibling_element();
        Some(node)
    }

    /// There must be no more.
    pub(super) fn end(self) -> Result<(), XmlError> {
        if self.next.is_none() { Ok(()) } else { Err(self.out_of_place("no more")) }
    }

    fn out_of_place(&self, expected: &str) -> XmlError {
        let found = self.next.map_or_else(|| "its end".to_owned(), name);
        unexpected(format!("{expected} in {}", name(self.of)), found)
    }
}

/// The text of an element that holds nothing else. Comments and CDATA borders do not cut it short.
pub(super) fn content(node: Node<'_, '_>) -> Result<String, XmlError> {
    match elements(node).next() {
        None => Ok(text_of(node)),
        Some(inner) => Err(unexpected(format!("only text in {}", name(node)), name(inner))),
    }
}

/// An element's text as base64; line breaks, `&#13;` and blanks in it are skipped. Spec: message-path §3.4.
pub(super) fn base64(node: Node<'_, '_>) -> Result<Vec<u8>, XmlError> {
    let mut text = content(node)?;
    text.retain(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'));
    STANDARD.decode(&text).map_err(|e| unexpected(format!("base64 in {}", name(node)), e.to_string()))
}

/// An attribute that must be there.
pub(super) fn attribute<'a>(node: Node<'a, '_>, attribute: &str) -> Result<&'a str, XmlError> {
    node.attribute(attribute)
        .ok_or_else(|| unexpected(format!("attribute {attribute} on {}", name(node)), "none".to_owned()))
}

/// The digest algorithm that a `DigestMethod` names, if it is one that proves something: SHA-256, SHA-384 or SHA-512.
///
/// Ours: SHA-1 proves nothing; X-Road 7.8 still takes it (message-path §4.4).
pub(super) fn digest_method(node: Node<'_, '_>) -> Result<Result<DigestAlgorithm, String>, XmlError> {
    let uri = attribute(node, "Algorithm")?;
    let known = DigestAlgorithm::from_uri(uri);
    let strong = known.filter(|a| !matches!(a, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224));
    Ok(strong.ok_or_else(|| uri.to_owned()))
}

pub(super) fn unexpected(expected: String, found: String) -> XmlError {
    XmlError::Unexpected { expected, found }
}

pub(super) fn name(node: Node<'_, '_>) -> String {
    node.tag_name().name().to_owned()
}

/// Writes base64 on one line.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Takes bytes as text with single line feeds, ready to be admitted.
pub(super) fn readable(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, XmlError> {
    Ok(super::c14n::line_ends(xml::text(bytes)?))
}
