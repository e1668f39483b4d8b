//! Takes the configuration's documents apart: elements in the order that the schemas give them.
//!
//! Spec: trust-and-configuration §2.1. What a schema does not name is refused, except where it ends in `any`.

use crate::continuity::policy::PolicyError;
use crate::id::{ClientId, MemberId};
use crate::time::UnixTime;
use crate::xml::{self, XmlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::time::Duration;

/// Namespace of the documents' roots; what lies under them is in none.
pub(super) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers.
pub(super) const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";

/// A document of the configuration that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// No document that is read at all, or elements other than the schema's.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A version that nobody knows.
    #[error("configuration version {found}, expected 2 to 6")]
    Version {
        /// The version named.
        found: u32,
    },
    /// A value that is not one of its kind.
    #[error("{element} is {found:?}, expected {expected}")]
    Value {
        /// The element.
        element: String,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A server names an owner or client that is not in the document.
    #[error("{element} refers to {found:?}, expected the id of a {expected}")]
    Reference {
        /// The element that refers.
        element: &'static str,
        /// What it may refer to.
        expected: &'static str,
        /// The id it names.
        found: String,
    },
    /// Something named twice that may be named once.
    #[error("{what} {found:?} stands in the document twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name.
        found: String,
    },
    /// Sites and registers that do not hold together.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// The element children of one element, taken in order.
pub(crate) struct Fields<'a, 'i> {
    parent: Node<'a, 'i>,
    namespace: &'static str,
    rest: std::iter::Peekable<std::vec::IntoIter<Node<'a, 'i>>>,
}

impl<'a, 'i> Fields<'a, 'i> {
    /// The root's children, the root being this element of X-Road's namespace.
    pub(super) fn of_root(root: Node<'a, 'i>, name: &'static str) -> Result<Self, ParamsError> {
        is_root(root, XROAD, name)?;
        Self::of(root)
    }

    /// The root's children, the root and they being of this namespace.
    pub(crate) fn of_root_within(
        root: Node<'a, 'i>,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<Self, ParamsError> {
        is_root(root, namespace, name)?;
        Self::within(root, namespace)
    }

    /// An element's children, which are in no namespace.
    pub(super) fn of(parent: Node<'a, 'i>) -> Result<Self, ParamsError> {
        Self::within(parent, "")
    }

    /// An element's children, which are in this namespace.
    pub(crate) fn within(parent: Node<'a, 'i>, namespace: &'static str) -> Result<Self, ParamsError> {
        if !xml::text_of(parent).trim().is_empty() {
            return Err(unexpected(format!("elements only in {}", name_of(parent)), "text"));
        }
        let rest: Vec<_> = xml::elements(parent).collect();
        Ok(Self { parent, namespace, rest: rest.into_iter().peekable() })
    }

    /// The next child, if it has this name.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Node<'a, 'i>> {
        self.rest.next_if(|node| xml::is(*node, self.namespace, name))
    }

    /// The next child, which must have this name.
    pub(crate) fn required(&mut self, name: &str) -> Result<Node<'a, 'i>, ParamsError> {
        self.optional(name).ok_or_else(|| {
            let found = self.rest.peek().map_or_else(|| "its end".to_owned(), |n| describe(*n));
            unexpected(format!("{name} in {}", name_of(self.parent)), &found)
        })
    }

    /// The next children, as long as they have this name.
    pub(crate) fn many(&mut self, name: &str) -> Vec<Node<'a, 'i>> {
        std::iter::from_fn(|| self.optional(name)).collect()
    }

    /// The text of the next child, which must have this name.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, ParamsError> {
        simple(self.required(name)?)
    }

    /// The text of the next child, if it has this name.
    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, ParamsError> {
        self.optional(name).map(simple).transpose()
    }

    /// Ends: no other child may follow.
    pub(crate) fn end(mut self) -> Result<(), ParamsError> {
        match self.rest.next() {
            None => Ok(()),
            Some(node) => Err(unexpected(format!("the end of {}", name_of(self.parent)), &describe(node))),
        }
    }
}

fn is_root(root: Node<'_, '_>, namespace: &str, name: &str) -> Result<(), ParamsError> {
    if xml::is(root, namespace, name) {
        return Ok(());
    }
    Err(unexpected(format!("root element {name} of {namespace}"), &describe(root)))
}

/// The text of an element that has no children.
pub(crate) fn simple(node: Node<'_, '_>) -> Result<String, ParamsError> {
    match xml::elements(node).next() {
        None => Ok(xml::text_of(node)),
        Some(inner) => Err(unexpected(format!("text only in {}", name_of(node)), &describe(inner))),
    }
}

/// The octets of an element in base64, white space aside.
pub(super) fn octets(node: Node<'_, '_>) -> Result<Vec<u8>, ParamsError> {
    let text = simple(node)?;
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| value(node, "base64", &text))
}

/// A certificate's DER, given as DER or, as some operators upload it, as PEM.
pub(crate) fn certificate(node: Node<'_, '_>) -> Result<Vec<u8>, ParamsError> {
    let given = octets(node)?;
    first_of_pem(&given).ok_or_else(|| value(node, "a certificate, DER or PEM", "PEM without one"))
}

/// The DER in `given`: the first certificate's where it is PEM, else all of it; `None` for PEM without a certificate.
pub(super) fn first_of_pem(given: &[u8]) -> Option<Vec<u8>> {
    if !given.starts_with(b"-----BEGIN") {
        return Some(given.to_vec());
    }
    let text = std::str::from_utf8(given).ok()?;
    let (_, after) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = after.split_once("-----END CERTIFICATE-----")?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

/// A whole number of seconds that is not negative.
pub(super) fn seconds(node: Node<'_, '_>) -> Result<Duration, ParamsError> {
    let text = simple(node)?;
    let number: u32 = text.trim().parse().map_err(|_| value(node, "a number of seconds", &text))?;
    Ok(Duration::from_secs(u64::from(number)))
}

/// A truth value.
pub(super) fn boolean(node: Node<'_, '_>) -> Result<bool, ParamsError> {
    let text = simple(node)?;
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(value(node, "true or false", &text)),
    }
}

/// A moment.
pub(super) fn moment(node: Node<'_, '_>) -> Result<UnixTime, ParamsError> {
    let text = simple(node)?;
    // Spec: XML Schema 2, dateTime: the zone may be left out.
    UnixTime::from_rfc3339(&text)
        .or_else(|| UnixTime::from_rfc3339(&format!("{}Z", text.trim())))
        .ok_or_else(|| value(node, "a date and time", &text))
}

/// A member or subsystem, whichever its object type says.
pub(crate) fn client_id(node: Node<'_, '_>) -> Result<ClientId, ParamsError> {
    consistent_client_id(node)?.ok_or_else(|| ParamsError::Value {
        element: format!("objectType of {}", name_of(node)),
        expected: "MEMBER or, with a subsystem code, SUBSYSTEM",
        found: node.attribute((IDENTIFIERS, "objectType")).unwrap_or("nothing").to_owned(),
    })
}

/// A member or subsystem; `None` when its object type says another than its parts.
pub(super) fn consistent_client_id(node: Node<'_, '_>) -> Result<Option<ClientId>, ParamsError> {
    let mut fields = Fields::within(node, IDENTIFIERS)?;
    let member =
        MemberId::new(fields.text("xRoadInstance")?, fields.text("memberClass")?, fields.text("memberCode")?);
    let subsystem = fields.optional_text("subsystemCode")?;
    fields.end()?;
    Ok(match (node.attribute((IDENTIFIERS, "objectType")), subsystem) {
        (Some("MEMBER"), None) => Some(member.client()),
        (Some("SUBSYSTEM"), Some(code)) => Some(member.subsystem(code)),
        _ => None,
    })
}

/// The version, if it is one that is read.
pub(super) fn known_version(version: u8) -> Result<u8, ParamsError> {
    if (super::VERSION_MIN..=super::VERSION_MAX).contains(&version) {
        Ok(version)
    } else {
        Err(ParamsError::Version { found: u32::from(version) })
    }
}

/// Reads the admitted document of a part.
pub(super) fn admit_part(bytes: &[u8]) -> Result<roxmltree::Document<'_>, ParamsError> {
    use crate::limits::{CONFIGURATION_MARKS_MAX, CONFIGURATION_PART_BYTES_MAX};
    Ok(xml::admit_with(xml::text(bytes)?, CONFIGURATION_PART_BYTES_MAX, CONFIGURATION_MARKS_MAX)?)
}

/// A value that is not one of its kind.
pub(crate) fn value(node: Node<'_, '_>, expected: &'static str, found: &str) -> ParamsError {
    let found = found.chars().take(80).collect();
    ParamsError::Value { element: name_of(node).to_owned(), expected, found }
}

fn unexpected(expected: String, found: &str) -> ParamsError {
    ParamsError::Xml(XmlError::Unexpected { expected, found: found.to_owned() })
}

fn name_of<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

fn describe(node: Node<'_, '_>) -> String {
    match node.tag_name().namespace() {
        Some(namespace) => format!("{} of {namespace}", name_of(node)),
        None => name_of(node).to_owned(),
    }
}
