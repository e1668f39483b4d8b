//! The answer of a metaservice, made of its request: header and all are told back, the body is another.
//!
//! Seen: X-Road writes the request's document anew: with its own declaration, in UTF-8, attributes in the order of their
//! names. So does this with the envelope's own tag; what lies inside and is not the body's element stays as it came.

use super::insert::prefix_of;
use super::{Envelope, IDENTIFIERS, SOAP, SoapError, XROAD, charset};
use crate::id::ServiceId;
use crate::limits;
use crate::message::meta::methods;
use crate::xml;
use roxmltree::Node;

impl Envelope {
    /// The answer to this request that lists services.
    ///
    /// # Errors
    /// [`SoapError`] when what comes out would not be read as such.
    pub fn listing(&self, services: &[ServiceId]) -> Result<Self, SoapError> {
        self.answered(|_, call| {
            let (xroad, xroad_declared) = prefix(call, XROAD, "xro");
            let (identifiers, declared) = prefix(call, IDENTIFIERS, "iden");
            let name = format!("{xroad}:{}Response", self.service.code);
            match methods::soap(services, xroad, identifiers) {
                list if list.is_empty() => format!("<{name}{xroad_declared}{declared}/>"),
                list => format!("<{name}{xroad_declared}{declared}>{list}</{name}>"),
            }
        })
    }

    /// The answer to this request that tells back what its body says.
    ///
    /// # Errors
    /// As [`Envelope::listing`].
    pub fn repeating(&self) -> Result<Self, SoapError> {
        self.answered(|text, call| {
            let (prefix, element) = (prefix_of(text, call), text.get(call.range()).unwrap_or_default());
            let name = if prefix.is_empty() { self.body.clone() } else { format!("{prefix}:{}", self.body) };
            let colon = if prefix.is_empty() { "" } else { ":" };
            let named = format!("{prefix}{colon}{}Response", self.service.code);
            let inside = element.get(1 + name.len()..).unwrap_or_default();
            match inside.rsplit_once("</").filter(|_| !inside.trim_end().ends_with("/>")) {
                Some((inside, _)) => format!("<{named}{inside}</{named}>"),
                None => format!("<{named}{inside}"),
            }
        })
    }

    /// What a field of the body's element says: the last of its name; `None` where there is none.
    ///
    /// # Errors
    /// As [`Envelope::read`].
    pub fn body_field(&self, name: &str) -> Result<Option<String>, SoapError> {
        let (encoding, mark) = charset::of(&self.bytes)?;
        let text = encoding.decode(self.bytes.get(mark..).unwrap_or_default())?;
        let document = xml::admit(&text, limits::ENVELOPE_BYTES_MAX)?;
        let call = call_of(document.root_element())?;
        let found = xml::elements(call).filter(|node| xml::is(*node, XROAD, name)).last();
        Ok(found.map(xml::text_of))
    }

    /// This envelope with another element in its body: `write` is given the text and the present one.
    fn answered(&self, write: impl FnOnce(&str, Node<'_, '_>) -> String) -> Result<Self, SoapError> {
        let (encoding, mark) = charset::of(&self.bytes)?;
        let text = encoding.decode(self.bytes.get(mark..).unwrap_or_default())?;
        let document = xml::admit(&text, limits::ENVELOPE_BYTES_MAX)?;
        let root = document.root_element();
        let call = call_of(root)?;
        let (tag, inside) = start_tag(&text, root);
        let (end, old) = (root.range().end, call.range());
        let before = text.get(inside..old.start).unwrap_or_default();
        let after = text.get(old.end..end).unwrap_or_default();
        let new = write(&text, call);
        let written = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{tag}{before}{new}{after}\n");
        Self::read(written.into_bytes(), None)
    }
}

/// The start tag of the root, its attributes in order, and where the text behind it begins.
fn start_tag(text: &str, root: Node<'_, '_>) -> (String, usize) {
    let prefix = prefix_of(text, root);
    let name = if prefix.is_empty() { "Envelope".to_owned() } else { format!("{prefix}:Envelope") };
    let declared = root.namespaces().filter(|namespace| namespace.name() != Some("xml"));
    let mut attributes: Vec<String> = declared
        .map(|namespace| {
            let name = namespace.name().map_or("xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
            format!(" {name}=\"{}\"", xml::escape(namespace.uri()))
        })
        .collect();
    let written = root.attributes().filter_map(|attribute| text.get(attribute.range()));
    attributes.extend(written.map(|attribute| format!(" {attribute}")));
    attributes.sort_by(|a, b| a.split('=').next().cmp(&b.split('=').next()));
    let inside = root.first_child().map_or(root.range().end, |child| child.range().start);
    (format!("<{name}{}>", attributes.concat()), inside)
}

fn call_of<'a, 'i>(root: Node<'a, 'i>) -> Result<Node<'a, 'i>, SoapError> {
    let body = xml::child(root, SOAP, "Body").ok_or(SoapError::MissingBody)?;
    xml::elements(body).next().ok_or(SoapError::BodyElements { found: 0 })
}

/// A prefix that stands for a namespace around the body's element; where none does, another, and its declaration.
fn prefix<'a>(call: Node<'a, '_>, namespace: &str, otherwise: &'static str) -> (&'a str, String) {
    let around = call.parent_element().into_iter().flat_map(|body| body.namespaces());
    let known = around.filter(|known| known.uri() == namespace).find_map(|known| known.name());
    match known {
        Some(prefix) => (prefix, String::new()),
        None => (otherwise, format!(" xmlns:{otherwise}=\"{namespace}\"")),
    }
}
