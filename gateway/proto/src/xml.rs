//! The gate in front of the XML parser; nothing else parses.
//!
//! [`admit`] passes once over the text with quick-xml's tokenizer and refuses what would make the strict parser
//! behind it slow or surprising: a DOCTYPE, deep nesting, many attributes, many namespace declarations, long names.
//! roxmltree then reads what is left, and refuses what is not well-formed.
//!
//! Ours: the bounds are in [`crate::limits`]. X-Road 7.8 admits a DOCTYPE in signatures; we do not.

use crate::limits;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use roxmltree::{Document, Node};

/// A document that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// More bytes than this kind of document may have.
    #[error("document has {found} bytes, at most {allowed} are read")]
    TooLarge {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("document is not UTF-8")]
    NotUtf8,
    /// A DOCTYPE, which may define entities.
    #[error("document has a DOCTYPE")]
    Doctype,
    /// One of the structural bounds.
    #[error("document has more than {allowed} {what}")]
    Bound {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        allowed: usize,
    },
    /// Not well-formed.
    #[error("document is not well-formed: {0}")]
    Malformed(String),
    /// An element or attribute that must be there and is not, or has another value than it may.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What must be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// Reads a document of at most `bytes_max` bytes that passes the gate.
///
/// # Errors
/// [`XmlError`] names the bound passed or the place where the text is not well-formed.
pub fn admit(text: &str, bytes_max: usize) -> Result<Document<'_>, XmlError> {
    admit_with(text, bytes_max, limits::XML_MARKS_MAX)
}

/// As [`admit`], with a bound on elements and attributes of its own.
///
/// # Errors
/// As [`admit`].
pub fn admit_with(text: &str, bytes_max: usize, marks_max: usize) -> Result<Document<'_>, XmlError> {
    if text.len() > bytes_max {
        return Err(XmlError::TooLarge { found: text.len(), allowed: bytes_max });
    }
    // The strict parser reserves memory for as many as it could find, before it looks.
    let marks = memchr::memchr2_iter(b'<', b'=', text.as_bytes()).count();
    bound(marks, marks_max, "characters < and =, as many elements and attributes")?;
    gate(text)?;
    #[expect(clippy::disallowed_methods, reason = "the one place that parses, behind the gate")]
    Document::parse(text).map_err(|e| XmlError::Malformed(e.to_string()))
}

/// Takes bytes as UTF-8 text; a byte order mark is kept out.
///
/// # Errors
/// [`XmlError::NotUtf8`].
pub fn text(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn gate(text: &str) -> Result<(), XmlError> {
    let mut reader = Reader::from_str(text);
    let mut namespaces: Vec<usize> = Vec::new();
    let mut in_scope = 0;
    let mut first = true;
    loop {
        match reader.read_event().map_err(|e| XmlError::Malformed(e.to_string()))? {
            Event::Start(tag) => {
                let declared = measure(&tag, in_scope)?;
                in_scope += declared;
                namespaces.push(declared);
                bound(namespaces.len(), limits::XML_DEPTH_MAX, "levels of nesting")?;
            }
            Event::Empty(tag) => {
                measure(&tag, in_scope)?;
            }
            Event::End(_) => in_scope -= namespaces.pop().unwrap_or(0),
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Eof => return Ok(()),
            Event::Decl(_) if first => {}
            Event::Decl(_) => return Err(misplaced_declaration()),
            Event::PI(pi) => instruction(pi.target())?,
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::GeneralRef(_) => {}
        }
        first = false;
    }
}

/// Holds the first word of a processing instruction against what it may be: a name, and not `xml`.
///
/// Spec: XML 1.0 §2.6. The strict parser knows a declaration by the space behind it only, and needs none behind a name.
fn instruction(word: &str) -> Result<(), XmlError> {
    if word.eq_ignore_ascii_case("xml") {
        return Err(misplaced_declaration());
    }
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c) || !c.is_ascii()) {
        Ok(())
    } else {
        Err(XmlError::Malformed(format!("{word:?} is no name of a processing instruction")))
    }
}

fn misplaced_declaration() -> XmlError {
    XmlError::Malformed("an XML declaration stands where none may".to_owned())
}

/// Holds a start tag against the bounds; tells how many namespaces it declares.
fn measure(tag: &BytesStart<'_>, in_scope: usize) -> Result<usize, XmlError> {
    bound(tag.name().as_ref().len(), limits::XML_NAME_BYTES_MAX, "bytes in a name")?;
    let (mut attributes, mut declared) = (0, 0);
    // Doubled attributes are left to the strict parser: looking for them here would be quadratic.
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.map_err(|e| XmlError::Malformed(e.to_string()))?;
        let name: &str = attribute.key.as_ref();
        bound(name.len(), limits::XML_NAME_BYTES_MAX, "bytes in a name")?;
        attributes += 1;
        bound(attributes, limits::XML_ATTRIBUTES_MAX, "attributes on an element")?;
        if name == "xmlns" || name.starts_with("xmlns:") {
            declared += 1;
        }
        bound(in_scope + declared, limits::XML_NAMESPACES_MAX, "namespace declarations in scope")?;
    }
    Ok(declared)
}

fn bound(found: usize, allowed: usize, what: &'static str) -> Result<(), XmlError> {
    if found > allowed { Err(XmlError::Bound { what, allowed }) } else { Ok(()) }
}

/// The element children of a node.
pub fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The first element child with this namespace and local name; `""` is no namespace.
#[must_use]
pub fn child<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Option<Node<'a, 'i>> {
    elements(node).find(|n| is(*n, namespace, name))
}

/// Whether a node is the element with this namespace and local name; `""` is no namespace.
#[must_use]
pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().name() == name
        && node.tag_name().namespace().unwrap_or("") == namespace
}

/// All text directly inside a node, joined: comments and CDATA borders do not cut a value short.
#[must_use]
pub fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|n| n.text()).collect()
}

/// Escapes text for element content.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            // XML 1.0 has no way to write these; a reader must never meet them.
            c if (c as u32) < 0x20 || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Writes an element so that it needs nothing around it: every namespace is declared where it is used.
///
/// Comments and processing instructions are left out; prefixes inside values lose their meaning.
#[must_use]
pub fn standalone(element: Node<'_, '_>) -> String {
    let mut out = String::new();
    write_element(element, "", &mut out);
    out
}

/// Calls itself as deep as the gate lets documents nest.
fn write_element(element: Node<'_, '_>, inherited: &str, out: &mut String) {
    let (name, namespace) = (element.tag_name().name(), element.tag_name().namespace().unwrap_or(""));
    out.push_str(&format!("<{name}"));
    let attribute_text = |value: &str| escape(value).replace('\n', "&#10;").replace('\t', "&#9;");
    if namespace != inherited {
        out.push_str(&format!(" xmlns=\"{}\"", attribute_text(namespace)));
    }
    for (number, attribute) in element.attributes().enumerate() {
        let (name, value) = (attribute.name(), attribute_text(attribute.value()));
        match attribute.namespace() {
            None => out.push_str(&format!(" {name}=\"{value}\"")),
            Some(roxmltree::NS_XML_URI) => out.push_str(&format!(" xml:{name}=\"{value}\"")),
            Some(uri) => {
                let uri = attribute_text(uri);
                out.push_str(&format!(" xmlns:a{number}=\"{uri}\" a{number}:{name}=\"{value}\""));
            }
        }
    }
    out.push('>');
    for child in element.children() {
        if child.is_element() {
            write_element(child, namespace, out);
        } else if child.is_text() {
            out.push_str(&escape(child.text().unwrap_or_default()));
        }
    }
    out.push_str(&format!("</{name}>"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> XmlError {
        admit(text, 1 << 20).expect_err(&text[..text.len().min(60)])
    }

    #[test]
    fn a_doctype_is_refused() {
        assert_eq!(refused("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), XmlError::Doctype);
    }

    #[test]
    fn bounds_hold() {
        let deep = "<a>".repeat(65) + &"</a>".repeat(65);
        assert!(matches!(refused(&deep), XmlError::Bound { what: "levels of nesting", .. }));
        let many: String = (0..65).map(|i| format!(" a{i}=''")).collect();
        assert!(matches!(
            refused(&format!("<a{many}/>")),
            XmlError::Bound { what: "attributes on an element", .. }
        ));
        let spaces: String = (0..33).map(|i| format!(" xmlns:n{i}='u{i}'")).collect();
        assert!(matches!(refused(&format!("<a{spaces}/>")), XmlError::Bound { .. }));
        assert!(matches!(refused(&format!("<{}/>", "n".repeat(257))), XmlError::Bound { .. }));
        assert!(matches!(admit("<a/>", 3), Err(XmlError::TooLarge { found: 4, allowed: 3 })));
    }

    #[test]
    fn a_tree_is_bounded_before_it_grows() {
        let marks_max = limits::XML_MARKS_MAX;
        let elements = |n: usize| format!("<r>{}</r>", "<a/>x".repeat(n - 2));
        assert!(admit(&elements(marks_max), 1 << 25).is_ok());
        for text in [elements(marks_max + 1), format!("<r>{}</r>", "=".repeat(marks_max))] {
            assert!(
                matches!(admit(&text, 1 << 25), Err(XmlError::Bound { allowed, .. }) if allowed == marks_max)
            );
            assert!(admit_with(&text, 1 << 25, 2 * marks_max).is_ok());
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in
            ["<a/><b/>", "<a>", "<a b='1' b='2'/>", "<a>&x;</a>", "<p:a/>", "", "<a>\u{1}</a>", "<a b='<'/>"]
        {
            assert!(matches!(admit(text, 1 << 20), Err(XmlError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn a_declaration_stands_first_or_nowhere() {
        for text in ["<?xml version='1.0'?><a/>", "<?xml\nversion='1.0'?><a/>", "<?xml-stylesheet x?><a/>"] {
            assert!(admit(text, 1 << 20).is_ok(), "{text:?}");
        }
        for target in ["xml version='1.0'", "xml\nx", "xml", "XML x", "xMl\tx", "xml*version='1.0'", "a*b"] {
            for text in
                [format!("<a><?{target}?></a>"), format!("<a/><?{target}?>"), format!(" <?{target}?><a/>")]
            {
                assert!(matches!(admit(&text, 1 << 20), Err(XmlError::Malformed(_))), "{text:?}");
            }
        }
    }

    #[test]
    fn the_worst_document_that_passes_is_cheap() {
        let spaces: String = (0..32).map(|i| format!(" xmlns:n{i}='u{i}'")).collect();
        let text = format!("<a{spaces}>{}</a>", "<b/>".repeat(10_000));
        assert!(admit(&text, 1 << 20).is_ok());
    }

    #[test]
    fn text_is_joined_over_comments() {
        let document = admit("<a>ab<!-- x -->cd<![CDATA[ef]]></a>", 100).unwrap();
        assert_eq!(text_of(document.root_element()), "abcdef");
    }
}
