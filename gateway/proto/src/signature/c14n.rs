//! The one byte form of an XML element, which is what signatures digest.
//!
//! Spec: Canonical XML 1.0, Canonical XML 1.1, Exclusive XML Canonicalization 1.0, each with and without comments.
//!
//! What is written is the very tree that everything else reads: there is no second parser that could see other things
//! in the same bytes. roxmltree keeps no prefixes, so names are taken from the source at the node's position.
//!
//! Ours: an `xml:base` that Canonical XML 1.1 would have to join with those above it is refused; nothing signed by
//! X-Road has one.

use roxmltree::{Attribute, Document, Node, NodeType};
use std::borrow::Cow;

/// The namespace that the prefix `xml` is always bound to. Spec: Namespaces in XML 1.0 §3.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A tree without a canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum C14nError {
    /// A prefix that is bound to nothing, or twice by one element.
    #[error("prefix {0:?} is bound to nothing, or twice by one element")]
    Prefix(String),
    /// An `xml:base` above the element, for Canonical XML 1.1.
    #[error("xml:base above a canonicalized element is not joined")]
    Base,
}

/// A canonicalization method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    kind: Kind,
    comments: bool,
    /// `InclusiveNamespaces PrefixList`; `""` is the default namespace.
    prefixes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inclusive10,
    Inclusive11,
    Exclusive,
}

/// URI, kind, whether comments are kept. Spec: XML-DSig 1.1 §6.5, Exclusive XML Canonicalization §4.
const URIS: [(&str, Kind, bool); 6] = [
    ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", Kind::Inclusive10, false),
    ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments", Kind::Inclusive10, true),
    ("http://www.w3.org/2006/12/xml-c14n11", Kind::Inclusive11, false),
    ("http://www.w3.org/2006/12/xml-c14n11#WithComments", Kind::Inclusive11, true),
    ("http://www.w3.org/2001/10/xml-exc-c14n#", Kind::Exclusive, false),
    ("http://www.w3.org/2001/10/xml-exc-c14n#WithComments", Kind::Exclusive, true),
];

/// The namespace of `InclusiveNamespaces`, and the URI of exclusive canonicalization.
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// The URI of inclusive Canonical XML 1.0 without comments, which X-Road signs with. Spec: message-path §3.4.
pub const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

impl Default for Method {
    /// Canonical XML 1.0 without comments: what a reference without transforms means. Spec: XML-DSig 1.1 §4.4.3.2.
    fn default() -> Self {
        Self { kind: Kind::Inclusive10, comments: false, prefixes: Vec::new() }
    }
}

impl Method {
    /// By URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (_, kind, comments) = URIS.iter().find(|(u, ..)| *u == uri)?;
        Some(Self { kind: *kind, comments: *comments, prefixes: Vec::new() })
    }

    /// Whether this is exclusive canonicalization, which alone takes a prefix list.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.kind == Kind::Exclusive
    }

    /// With the prefixes of an `InclusiveNamespaces` list, whose namespaces are written wherever they are in scope.
    #[must_use]
    pub fn with_prefixes(mut self, list: &str) -> Self {
        let prefix = |word: &str| if word == "#default" { String::new() } else { word.to_owned() };
        self.prefixes = list.split_ascii_whitespace().map(prefix).collect();
        self
    }

    /// Writes the canonical form of an element and all below it, piece by piece.
    ///
    /// # Errors
    /// [`C14nError`].
    pub fn element(&self, apex: Node<'_, '_>, out: &mut impl FnMut(&[u8])) -> Result<(), C14nError> {
        Walk { method: self, source: apex.document().input_text(), rendered: Vec::new(), out }.start(apex)
    }

    /// Writes the canonical form of a whole document: what stands before and after its element, too.
    ///
    /// # Errors
    /// [`C14nError`].
    pub fn document(&self, document: &Document<'_>, out: &mut impl FnMut(&[u8])) -> Result<(), C14nError> {
        let mut walk = Walk { method: self, source: document.input_text(), rendered: Vec::new(), out };
        let mut after = false;
        for node in document.root().children() {
            let silent = node.is_text() || (node.is_comment() && !self.comments);
            if silent {
                continue;
            }
            if after {
                (walk.out)(b"\n");
            }
            walk.node(node)?;
            if node.is_element() {
                after = true;
            } else if !after {
                (walk.out)(b"\n");
            }
        }
        Ok(())
    }

    /// The canonical form of an element as one piece.
    ///
    /// # Errors
    /// [`C14nError`].
    pub fn element_bytes(&self, apex: Node<'_, '_>) -> Result<Vec<u8>, C14nError> {
        let mut bytes = Vec::with_capacity(apex.range().len() + 256);
        self.element(apex, &mut |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }
}

/// Makes every line end a single line feed, as a parser must before it parses.
///
/// Spec: XML 1.0 §2.11. roxmltree does it itself, but not for a carriage return right before a reference, and not in
/// comments. A carriage return written as `&#13;` stays one.
#[must_use]
pub fn line_ends(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// One canonicalization under way.
struct Walk<'a, 'i, F> {
    method: &'a Method,
    source: &'i str,
    /// Prefix and namespace as last written by the elements that are open.
    rendered: Vec<(&'i str, &'a str)>,
    out: &'a mut F,
}

impl<'a, 'i: 'a, F: FnMut(&[u8])> Walk<'a, 'i, F> {
    /// Writes the topmost element: it takes over what those above it declare.
    fn start(&mut self, apex: Node<'a, 'i>) -> Result<(), C14nError> {
        let inherited = self.inherited(apex)?;
        self.open(apex, &inherited)
    }

    fn node(&mut self, node: Node<'a, 'i>) -> Result<(), C14nError> {
        match node.node_type() {
            NodeType::Element => self.open(node, &[])?,
            NodeType::Text => text(node.text().unwrap_or_default(), self.out),
            NodeType::Comment if self.method.comments => {
                (self.out)(b"<!--");
                (self.out)(node.text().unwrap_or_default().as_bytes());
                (self.out)(b"-->");
            }
            NodeType::PI => {
                let Some(instruction) = node.pi() else { return Ok(()) };
                (self.out)(b"<?");
                (self.out)(instruction.target.as_bytes());
                if let Some(value) = instruction.value {
                    (self.out)(b" ");
                    (self.out)(value.as_bytes());
                }
                (self.out)(b"?>");
            }
            NodeType::Comment | NodeType::Root => {}
        }
        Ok(())
    }

    /// Writes an element. It calls itself for those inside: at most [`crate::limits::XML_DEPTH_MAX`] deep.
    fn open(&mut self, node: Node<'a, 'i>, inherited: &[Attribute<'a, 'i>]) -> Result<(), C14nError> {
        let name = self.name_of(node);
        let mark = self.rendered.len();
        let own = node.attributes();
        let mut attributes: Vec<Attribute<'a, 'i>> = inherited.iter().copied().chain(own).collect();
        attributes.sort_by(|a, b| (a.namespace(), a.name()).cmp(&(b.namespace(), b.name())));
        (self.out)(b"<");
        (self.out)(name.as_bytes());
        self.namespaces(node, name, &attributes)?;
        for attribute in &attributes {
            let name = self.name_at(attribute);
            (self.out)(b" ");
            (self.out)(name.as_bytes());
            (self.out)(b"=\"");
            value(attribute.value(), self.out);
            (self.out)(b"\"");
        }
        (self.out)(b">");
        for child in node.children() {
            self.node(child)?;
        }
        (self.out)(b"</");
        (self.out)(name.as_bytes());
        (self.out)(b">");
        self.rendered.truncate(mark);
        Ok(())
    }

    /// Writes the namespaces that this element must declare.
    fn namespaces(
        &mut self,
        node: Node<'a, 'i>,
        name: &'i str,
        attributes: &[Attribute<'a, 'i>],
    ) -> Result<(), C14nError> {
        let mut wanted = Vec::new();
        if self.method.is_exclusive() {
            let used = std::iter::once(prefix_of(name))
                .chain(attributes.iter().map(|a| prefix_of(self.name_at(a))).filter(|p| !p.is_empty()));
            for prefix in used.filter(|p| *p != "xml") {
                wanted.push((prefix, bound(node, prefix).ok_or_else(|| unbound(prefix))?));
            }
            for prefix in &self.method.prefixes {
                wanted.extend(in_scope(node).find(|(p, _)| p == prefix));
                if prefix.is_empty() && bound(node, "") == Some("") {
                    wanted.push(("", ""));
                }
            }
            wanted.sort_unstable();
            wanted.dedup();
        } else if self.rendered.is_empty() || !shares_scope(node) {
            wanted.extend(in_scope(node));
            if bound(node, "").is_none_or(str::is_empty) {
                wanted.push(("", ""));
            }
            wanted.sort_unstable();
            wanted.dedup();
        }
        if let Some([(prefix, _), _]) = wanted.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(unbound(prefix));
        }
        for (prefix, uri) in wanted {
            self.declare(prefix, uri)?;
        }
        Ok(())
    }

    fn declare(&mut self, prefix: &'i str, uri: &'a str) -> Result<(), C14nError> {
        let current = self.rendered.iter().rev().find(|(p, _)| *p == prefix).map(|(_, u)| *u);
        if current.unwrap_or("") == uri && (current.is_some() || prefix.is_empty()) {
            return Ok(());
        }
        if uri.is_empty() && !prefix.is_empty() {
            return Err(unbound(prefix));
        }
        self.rendered.push((prefix, uri));
        (self.out)(b" xmlns");
        if !prefix.is_empty() {
            (self.out)(b":");
            (self.out)(prefix.as_bytes());
        }
        (self.out)(b"=\"");
        value(uri, self.out);
        (self.out)(b"\"");
        Ok(())
    }

    /// The attributes in the `xml` namespace that the topmost element takes over from those above it.
    fn inherited(&self, apex: Node<'a, 'i>) -> Result<Vec<Attribute<'a, 'i>>, C14nError> {
        let mut taken: Vec<Attribute<'a, 'i>> = Vec::new();
        if self.method.is_exclusive() {
            return Ok(taken);
        }
        let in_xml = |a: &Attribute<'a, 'i>| a.namespace() == Some(XML);
        for ancestor in apex.ancestors().skip(1) {
            for attribute in ancestor.attributes().filter(in_xml) {
                let name = attribute.name();
                if self.method.kind == Kind::Inclusive11 {
                    match name {
                        "base" => return Err(C14nError::Base),
                        "lang" | "space" => {}
                        _ => continue,
                    }
                }
                if !taken.iter().any(|a| a.name() == name) && !apex.has_attribute((XML, name)) {
                    taken.push(attribute);
                }
            }
        }
        Ok(taken)
    }

    /// An element's name as it is written, prefix included.
    fn name_of(&self, node: Node<'a, 'i>) -> &'i str {
        let tag = self.source.get(node.range().start.saturating_add(1)..).unwrap_or_default();
        let ends = |c: char| c.is_ascii_whitespace() || c == '/' || c == '>';
        tag.split(ends).next().unwrap_or_default()
    }

    /// An attribute's name as it is written, prefix included.
    fn name_at(&self, attribute: &Attribute<'a, 'i>) -> &'i str {
        self.source.get(attribute.range_qname()).unwrap_or_default()
    }
}

fn unbound(prefix: &str) -> C14nError {
    C14nError::Prefix(prefix.to_owned())
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// Prefix and namespace of every declaration in scope; the default namespace's prefix is `""`.
fn in_scope<'a, 'i: 'a>(node: Node<'a, 'i>) -> impl Iterator<Item = (&'i str, &'a str)> {
    node.namespaces().map(|n| (n.name().unwrap_or(""), n.uri()))
}

/// What a prefix is bound to; the default namespace where nothing is declared is `""`.
fn bound<'a, 'i: 'a>(node: Node<'a, 'i>, prefix: &str) -> Option<&'a str> {
    let found = in_scope(node).find(|(p, _)| *p == prefix).map(|(_, uri)| uri);
    found.or_else(|| prefix.is_empty().then_some(""))
}

/// Whether an element declares nothing that its parent has not in scope.
fn shares_scope(node: Node<'_, '_>) -> bool {
    let Some(parent) = node.parent_element() else { return false };
    let (mut own, mut above) = (node.namespaces(), parent.namespaces());
    loop {
        match (own.next(), above.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if std::ptr::eq(a, b) => {}
            _ => return false,
        }
    }
}

/// Writes text with the characters escaped that must be.
pub(super) fn text(content: &str, out: &mut impl FnMut(&[u8])) {
    escaped(content, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Writes an attribute's value with the characters escaped that must be.
fn value(content: &str, out: &mut impl FnMut(&[u8])) {
    escaped(content, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

fn escaped(content: &str, out: &mut impl FnMut(&[u8]), escape: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = content.as_bytes();
    let mut rest = bytes;
    let mut plain = 0;
    for byte in bytes {
        if let Some(reference) = escape(*byte) {
            let (before, after) = rest.split_at(plain);
            if !before.is_empty() {
                out(before);
            }
            out(reference);
            rest = after.get(1..).unwrap_or_default();
            plain = 0;
        } else {
            plain += 1;
        }
    }
    if !rest.is_empty() {
        out(rest);
    }
}

#[cfg(test)]
mod tests;
