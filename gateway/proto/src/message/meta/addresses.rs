//! Where services answer, taken out of their descriptions before a stranger is given them.
//!
//! Spec: PR-META 4, "WSDL-information modifications"; message-path §1.7. Only addresses change: everything else stays as
//! it was written, comments, order and white space, where X-Road 7.8 writes the document anew.
//!
//! Seen: X-Road 7.8 `OverwriteAttributeFilter.java`, `Openapi3Anonymiser.java`. Ours: addresses of SOAP 1.2 and plain HTTP
//! ports are taken out, too, and so are servers of single paths and operations; an OpenAPI document whose servers cannot
//! be followed, for they are aliases or written as blocks, is refused; a path stays percent-encoded.

use crate::limits;
use crate::message::json::quote;
use crate::message::soap::{SoapError, charset};
use crate::xml::{self, XmlError};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::IgnoredAny;
use std::ops::Range;

/// What stands in a WSDL in place of every address.
pub const ENDPOINT: &str = "http://example.org/xroad-endpoint";

/// Namespaces in which a port's `address` may be. Spec: WSDL 1.1 §3.8, §4.
const BINDINGS: [&str; 3] = [
    "http://schemas.xmlsoap.org/wsdl/soap/",
    "http://schemas.xmlsoap.org/wsdl/soap12/",
    "http://schemas.xmlsoap.org/wsdl/http/",
];

/// A description that is not given away, for its addresses cannot be taken out.
///
/// No text says an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// More bytes than are read.
    #[error("the description has {found} bytes, at most {allowed} are read")]
    TooLarge {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// In characters that are not read.
    #[error("the description is not read in its encoding")]
    Encoding,
    /// No XML that is read.
    #[error("the WSDL is not read: {0}")]
    Xml(#[from] XmlError),
    /// Neither JSON nor YAML.
    #[error("the OpenAPI document is neither JSON nor YAML: {0}")]
    Malformed(String),
    /// Nested deeper than is read.
    #[error("the OpenAPI document has more than {allowed} levels of nesting")]
    Depth {
        /// How deep it may be.
        allowed: usize,
    },
    /// A document of another kind or version.
    #[error("expected OpenAPI 3, found {found}")]
    Version {
        /// What it says it is.
        found: String,
    },
    /// A server whose address is none.
    #[error("the url of a server is none{}", place(*line))]
    Url {
        /// Where it stands.
        line: usize,
    },
    /// A server that another place of the document says.
    #[error("a server is an alias or a block of text, which is not followed{}", place(*line))]
    Elsewhere {
        /// Where it stands.
        line: usize,
    },
}

fn place(line: usize) -> String {
    format!(", line {line}")
}

fn small(bytes: &[u8]) -> Result<(), AddressError> {
    let allowed = limits::DESCRIPTION_BYTES_MAX;
    if bytes.len() > allowed {
        return Err(AddressError::TooLarge { found: bytes.len(), allowed });
    }
    Ok(())
}

/// The text with these ranges replaced, which lie in order.
fn replaced(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(new);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

// ------------ WSDL ----------------------------------------------------------

/// A WSDL that says [`ENDPOINT`] for every address of a port.
///
/// # Errors
/// [`AddressError`].
pub fn out_of_wsdl(bytes: &[u8]) -> Result<Vec<u8>, AddressError> {
    small(bytes)?;
    let unread = |_: SoapError| AddressError::Encoding;
    let (encoding, mark) = charset::of(bytes).map_err(unread)?;
    let (mark, rest) = bytes.split_at_checked(mark).unwrap_or((&[], bytes));
    let text = encoding.decode(rest).map_err(unread)?;
    // Decoded, it may be twice as long.
    let document = xml::admit(&text, 2 * limits::DESCRIPTION_BYTES_MAX)?;
    let addresses =
        document.descendants().filter(|node| BINDINGS.iter().any(|ns| xml::is(*node, ns, "address")));
    let locations = addresses
        .flat_map(|node| node.attributes())
        .filter(|attribute| attribute.name() == "location" && attribute.namespace().is_none());
    let edits: Vec<_> = locations.map(|location| (location.range_value(), ENDPOINT.to_owned())).collect();
    Ok([mark, &encoding.encode(&replaced(&text, &edits))].concat())
}

// ------------ OpenAPI -------------------------------------------------------

/// An OpenAPI document, JSON or YAML, whose servers are paths.
///
/// Seen: a url with variables, that is with `{` and `}`, stays as it is.
///
/// # Errors
/// [`AddressError`].
pub fn out_of_openapi(bytes: &[u8]) -> Result<Vec<u8>, AddressError> {
    small(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|_| AddressError::Encoding)?;
    let (mark, text) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let walk = walk(text)?;
    if !walk.version.as_deref().is_some_and(|version| version.starts_with("3.")) {
        let found = walk.version.map_or("no `openapi`".to_owned(), |version| format!("{version:?}"));
        return Err(AddressError::Version { found });
    }
    let concealed = replaced(text, &walk.edits);
    // A reader of what comes out must find nothing left to take out.
    if let Some((range, _)) = self::walk(&concealed)?.edits.first() {
        let line = concealed.get(..range.start).unwrap_or_default().lines().count();
        return Err(AddressError::Elsewhere { line });
    }
    Ok([mark, &concealed].concat().into_bytes())
}

fn walk(text: &str) -> Result<Walk, AddressError> {
    let is_json = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let mut walk = Walk::default();
    if is_json {
        json(text, &mut walk)?
    } else {
        yaml(text, &mut walk)?
    }
    Ok(walk)
}

/// A way through a document, from value to value.
#[derive(Debug, Default)]
struct Walk {
    /// The maps and lists around the next value.
    around: Vec<Around>,
    version: Option<String>,
    edits: Vec<(Range<usize>, String)>,
}

/// A map or list that is not at its end.
#[derive(Debug)]
struct Around {
    is_list: bool,
    /// The name of the value that comes next; `None` where a name comes.
    name: Option<String>,
    /// Whether it is itself a name in the map around it.
    is_name: bool,
}

/// Where a value stands, seen from the servers of a document, a path or an operation.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    Elsewhere,
    /// It is a server, or several, or what is merged into one.
    Server,
    /// It is the url of a server.
    Url,
}

impl Walk {
    /// Whether the next value is a name in a map.
    fn awaits_name(&self) -> bool {
        self.around.last().is_some_and(|around| !around.is_list && around.name.is_none())
    }

    fn stands(&self) -> Stands {
        let named = |around: &Around, name: &str| !around.is_list && around.name.as_deref() == Some(name);
        let is_path = |rest: &&[Around]| rest.iter().all(|around| !around.is_list);
        let servers = match self.around.as_slice() {
            [root, rest @ ..] if named(root, "servers") => Some(rest),
            [root, rest @ ..] if named(root, "paths") => {
                let at = [1, 2].into_iter().find(|at| rest.get(*at).is_some_and(|a| named(a, "servers")));
                at.and_then(|at| rest.get(..at).filter(is_path).and(rest.get(at + 1..)))
            }
            _ => None,
        };
        match servers {
            Some([server] | [_, server]) if named(server, "url") => Stands::Url,
            Some([server] | [_, server]) if named(server, "<<") => Stands::Server,
            Some([] | [Around { is_list: true, .. }]) => Stands::Server,
            _ => Stands::Elsewhere,
        }
    }

    fn open(&mut self, is_list: bool) -> Result<(), AddressError> {
        let is_name = self.awaits_name();
        let allowed = limits::DESCRIPTION_DEPTH_MAX;
        if self.around.len() >= allowed {
            return Err(AddressError::Depth { allowed });
        }
        self.around.push(Around { is_list, name: None, is_name });
        Ok(())
    }

    fn close(&mut self) {
        let is_name = self.around.pop().is_some_and(|around| around.is_name);
        self.passed(is_name.then(String::new));
    }

    /// Goes on behind a value, which was a name where one is given.
    fn passed(&mut self, name: Option<String>) {
        if let Some(around) = self.around.last_mut() {
            around.name = name;
        }
    }

    /// Takes a text or number that stands at `range`.
    fn scalar(
        &mut self,
        text: String,
        range: impl FnOnce() -> Range<usize>,
        line: usize,
    ) -> Result<(), AddressError> {
        if self.awaits_name() {
            self.passed(Some(text));
            return Ok(());
        }
        if self.stands() == Stands::Url {
            let new = path_of(&text).ok_or(AddressError::Url { line })?;
            if new.as_deref() != Some(&text) {
                self.edits.push((range(), new.map_or("null".to_owned(), |path| quote(&path))));
            }
        }
        if matches!(self.around.as_slice(), [root] if root.name.as_deref() == Some("openapi")) {
            self.version = Some(text);
        }
        self.passed(None);
        Ok(())
    }

    /// Takes an alias, which must not say a server.
    fn alias(&mut self, line: usize) -> Result<(), AddressError> {
        let is_merged = matches!(self.around.as_slice(), [root] if root.name.as_deref() == Some("<<"));
        if is_merged || self.stands() != Stands::Elsewhere {
            return Err(AddressError::Elsewhere { line });
        }
        let name = self.awaits_name().then(String::new);
        self.passed(name);
        Ok(())
    }
}

/// Walks through JSON that was read once and is known to be right.
fn json(text: &str, walk: &mut Walk) -> Result<(), AddressError> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => walk.open(*byte == b'[')?,
            b'}' | b']' => walk.close(),
            b'\n' => line += 1,
            b',' | b':' | b' ' | b'\t' | b'\r' => {}
            b'"' => {
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                at += 1;
                let written = text.get(start..at).unwrap_or_default();
                let malformed = |error: serde_json::Error| AddressError::Malformed(error.to_string());
                walk.scalar(serde_json::from_str(written).map_err(malformed)?, || start..at, line)?;
            }
            // A number, or one of three words.
            _ => {
                let ends = |byte: &&u8| b",]} \t\r\n".contains(byte);
                while bytes.get(at).filter(|byte| !ends(byte)).is_some() {
                    at += 1;
                }
                walk.scalar(text.get(start..at).unwrap_or_default().to_owned(), || start..at, line)?;
            }
        }
    }
    Ok(())
}

/// Walks through all documents of a YAML stream.
fn yaml(text: &str, walk: &mut Walk) -> Result<(), AddressError> {
    let mut parser = Parser::new_from_str(text);
    let mut places = Places { chars: text.char_indices(), passed: 0, len: text.len() };
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| AddressError::Malformed(error.to_string()))?;
        let line = span.start.line();
        match event {
            Event::MappingStart(..) => walk.open(false)?,
            Event::SequenceStart(..) => walk.open(true)?,
            Event::MappingEnd | Event::SequenceEnd => walk.close(),
            Event::Alias(_) => walk.alias(line)?,
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..)
                if walk.stands() == Stands::Url =>
            {
                return Err(AddressError::Elsewhere { line });
            }
            Event::Scalar(value, ..) => {
                let range = || {
                    let start = places.at(span.start.index());
                    let end = places.at(span.end.index());
                    start + properties(text.get(start..end).unwrap_or_default())..end
                };
                walk.scalar(value.into_owned(), range, line)?;
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
    }
    Ok(())
}

/// How much of a scalar's text are its tag and anchor.
fn properties(written: &str) -> usize {
    let mut rest = written;
    while rest.starts_with(['&', '!']) {
        rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
    }
    written.len() - rest.len()
}

/// Turns places counted in characters into such counted in bytes, while they rise.
struct Places<'a> {
    chars: std::str::CharIndices<'a>,
    passed: usize,
    len: usize,
}

impl Places<'_> {
    fn at(&mut self, index: usize) -> usize {
        if let Some(skipped) = index.checked_sub(self.passed + 1) {
            self.chars.nth(skipped);
            self.passed = index;
        }
        self.chars.clone().next().map_or(self.len, |(at, _)| at)
    }
}

/// The path of a url, percent-encoded as it was; `Some(None)` for one that has none, `None` for what is no url.
///
/// Spec: RFC 2396 as Java's `URI` reads it. Seen: with variables it stays as it is; that with neither `//` nor `/` behind
/// its scheme, `localhost:8080/api` for one, has no path, and becomes null.
#[expect(clippy::option_option, reason = "no url, no path and a path are three things")]
fn path_of(url: &str) -> Option<Option<String>> {
    if url.contains('{') && url.contains('}') {
        return Some(Some(url.to_owned()));
    }
    let is_legal = |c: char| !c.is_control() && !c.is_whitespace() && !"\"<>\\^`{|}".contains(c);
    let mut escapes = url.split('%').skip(1);
    let is_escaped =
        escapes.all(|rest| rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())));
    if !url.chars().all(is_legal) || !is_escaped {
        return None;
    }
    let before = url.split(['?', '#']).next().unwrap_or_default();
    let scheme =
        before.find([':', '/']).filter(|at| before.get(*at..).is_some_and(|rest| rest.starts_with(':')));
    let rest = match scheme.and_then(|at| before.split_at_checked(at)) {
        Some((scheme, rest)) => {
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let rest = rest.get(1..).unwrap_or_default();
            if !is_scheme || rest.is_empty() {
                return None;
            }
            if !rest.starts_with('/') {
                return Some(None);
            }
            rest
        }
        None => before,
    };
    let path = match rest.strip_prefix("//") {
        Some("") => return None,
        Some(authority) => authority.find('/').map_or("", |at| authority.get(at..).unwrap_or_default()),
        None => rest,
    };
    Some(Some(path.to_owned()))
}

#[cfg(test)]
mod tests;
