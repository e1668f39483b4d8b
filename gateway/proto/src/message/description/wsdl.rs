//! WSDL 1.1: each operation bound to SOAP over HTTP is a service.
//!
//! Spec: trust-and-configuration §5.4. Seen: X-Road 7.8 `WsdlParser.java`: imports are not followed; the first SOAP 1.1 or
//! 1.2 binding and address of a port count; the version is any element of that name in the binding's operation.

use super::{is_code, is_strict_code};
use crate::limits;
use crate::message::soap::charset;
use crate::xml::{self, XmlError};
use roxmltree::Node;
use std::collections::HashMap;

/// Namespace of WSDL 1.1. Spec: WSDL 1.1 §2.
const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// Namespaces of its bindings to SOAP 1.1 and 1.2. Spec: WSDL 1.1 §3.
const SOAP: [&str; 2] = ["http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/"];
/// The transport that is SOAP over HTTP. Spec: WSDL 1.1 §3.3.
const HTTP: &str = "http://schemas.xmlsoap.org/soap/http";

/// What a WSDL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wsdl {
    /// Its services, in the order in which they stand; at least one, and none twice.
    pub operations: Vec<Operation>,
    /// What may be meant otherwise than it is read.
    pub warnings: Vec<String>,
}

/// A service of a WSDL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The service code: the operation's name.
    pub code: String,
    /// Its version.
    pub version: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// Where it answers, as its port says.
    pub location: Option<String>,
}

/// A document that is no WSDL with services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WsdlError {
    /// Not read as XML at all.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// In characters that are not read.
    #[error("document is not read in its encoding: {0}")]
    Encoding(String),
    /// XML, but no WSDL 1.1.
    #[error("expected `definitions` of WSDL 1.1, found {found}")]
    Root {
        /// The root element.
        found: String,
    },
    /// An operation whose name or version cannot name a service.
    #[error(
        "{found:?} names no service: the name and version of an operation must be there, without any of : ; / \\ % and control characters"
    )]
    Code {
        /// The name or version.
        found: String,
    },
    /// More operations than are read.
    #[error("document has more than {allowed} operations at its ports")]
    TooMany {
        /// How many are read.
        allowed: usize,
    },
    /// A WSDL without any service.
    #[error("no operation is bound to SOAP over HTTP{}", if warnings.is_empty() { String::new() } else { format!(": {}", warnings.join("; ")) })]
    Nothing {
        /// What may be why.
        warnings: Vec<String>,
    },
}

impl Wsdl {
    /// Reads a WSDL.
    ///
    /// Ours: of an operation that two ports offer the first is taken; X-Road 7.8 takes one or the other.
    ///
    /// # Errors
    /// [`WsdlError`].
    pub fn read(bytes: &[u8]) -> Result<Self, WsdlError> {
        let allowed = limits::DESCRIPTION_BYTES_MAX;
        if bytes.len() > allowed {
            return Err(XmlError::TooLarge { found: bytes.len(), allowed }.into());
        }
        let unread = |error: crate::message::soap::SoapError| WsdlError::Encoding(error.to_string());
        let (encoding, mark) = charset::of(bytes).map_err(unread)?;
        let text = encoding.decode(bytes.get(mark..).unwrap_or_default()).map_err(unread)?;
        // What has become longer by being decoded may be as much longer as it likes: two bytes for one.
        let document = xml::admit(&text, 2 * allowed)?;
        let root = document.root_element();
        if !xml::is(root, WSDL, "definitions") {
            let (name, namespace) = (root.tag_name().name(), root.tag_name().namespace());
            let found = format!("`{name}` of {}", namespace.unwrap_or("no namespace"));
            return Err(WsdlError::Root { found });
        }
        let mut reading = Reading::new(root);
        for service in named(root, "service") {
            for port in named(service, "port") {
                reading.port(port)?;
            }
        }
        let Reading { operations, mut warnings, .. } = reading;
        if operations.is_empty() {
            return Err(WsdlError::Nothing { warnings });
        }
        let doubtful = operations.iter().flat_map(|o| [Some(&o.code), o.version.as_ref()]).flatten();
        let doubtful: Vec<&str> = doubtful.map(String::as_str).filter(|code| !is_strict_code(code)).collect();
        if let [first, ..] = doubtful.as_slice() {
            let many =
                if doubtful.len() > 1 { format!(" and {} more", doubtful.len() - 1) } else { String::new() };
            warnings.push(format!(
                "{first:?}{many}: new X-Road servers take only letters, digits and '()+,-.=? in a name"
            ));
        }
        Ok(Self { operations, warnings })
    }
}

/// A name with the namespace that it is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Qualified<'a> {
    namespace: &'a str,
    name: &'a str,
}

/// A WSDL that is being read.
struct Reading<'a, 'i> {
    bindings: HashMap<Qualified<'a>, Node<'a, 'i>>,
    /// Titles of operations by port type and name.
    titles: HashMap<(Qualified<'a>, &'a str), String>,
    operations: Vec<Operation>,
    /// Where each operation stands.
    places: HashMap<(String, Option<String>), usize>,
    warnings: Vec<String>,
    left: usize,
}

impl<'a, 'i> Reading<'a, 'i> {
    fn new(root: Node<'a, 'i>) -> Self {
        let namespace = root.attribute("targetNamespace").unwrap_or_default();
        let named_here = |kind| {
            let own = move |n: Node<'a, 'i>| Some((Qualified { namespace, name: n.attribute("name")? }, n));
            named(root, kind).filter_map(own)
        };
        let mut titles = HashMap::new();
        for (name, port_type) in named_here("portType") {
            for operation in named(port_type, "operation") {
                if let (Some(code), Some(title)) = (operation.attribute("name"), title(operation)) {
                    titles.entry((name, code)).or_insert(title);
                }
            }
        }
        let mut warnings = Vec::new();
        if named(root, "import").next().is_some() {
            warnings.push("it imports another WSDL, which is not read".to_owned());
        }
        Self {
            bindings: named_here("binding").collect(),
            titles,
            operations: Vec::new(),
            places: HashMap::new(),
            warnings,
            left: limits::DESCRIPTION_OPERATIONS_MAX,
        }
    }

    /// Takes the operations that a port offers.
    fn port(&mut self, port: Node<'a, 'i>) -> Result<(), WsdlError> {
        let name = port.attribute("name").unwrap_or_default();
        let found = qualified(port, "binding").and_then(|name| self.bindings.get(&name)).copied();
        let Some(binding) = found else {
            let wanted = port.attribute("binding").unwrap_or_default();
            self.warn(format!("port {name:?} has a binding {wanted:?} that is not in the document"));
            return Ok(());
        };
        let soap = xml::elements(binding).find(|n| of_soap(*n, "binding"));
        if soap.and_then(|n| n.attribute("transport")) != Some(HTTP) {
            return Ok(());
        }
        let location =
            xml::elements(port).find(|n| of_soap(*n, "address")).and_then(|n| n.attribute("location"));
        let location = location.map(str::trim).filter(|l| !l.is_empty());
        let port_type = qualified(binding, "type");
        for operation in named(binding, "operation") {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or(WsdlError::TooMany { allowed: limits::DESCRIPTION_OPERATIONS_MAX })?;
            self.operation(operation, port_type, location)?;
        }
        Ok(())
    }

    fn operation(
        &mut self,
        node: Node<'a, 'i>,
        port_type: Option<Qualified<'a>>,
        location: Option<&str>,
    ) -> Result<(), WsdlError> {
        let name = node.attribute("name").unwrap_or_default();
        let version = xml::elements(node)
            .find(|n| n.tag_name().namespace() != Some(WSDL) && n.tag_name().name() == "version");
        let version = version.map(|n| xml::text_of(n).trim().to_owned()).filter(|v| !v.is_empty());
        for found in [Some(name), version.as_deref()].into_iter().flatten() {
            if !is_code(found) {
                return Err(WsdlError::Code { found: found.to_owned() });
            }
        }
        let key = (name.to_owned(), version.clone());
        if let Some(first) = self.places.get(&key).and_then(|place| self.operations.get(*place)) {
            if first.location.as_deref() != location {
                let none = "no address";
                let (kept, other) = (first.location.as_deref().unwrap_or(none), location.unwrap_or(none));
                self.warn(format!(
                    "operation {name:?} is offered at {kept} and at {other}: the first is taken"
                ));
            }
            return Ok(());
        }
        let title = port_type.and_then(|port_type| self.titles.get(&(port_type, name)).cloned());
        self.places.insert(key, self.operations.len());
        self.operations.push(Operation {
            code: name.to_owned(),
            version,
            title,
            location: location.map(str::to_owned),
        });
        Ok(())
    }

    /// Keeps a warning, while few enough are kept for a person to read.
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }
}

/// Warnings about one document.
const WARNINGS_MAX: usize = 100;

/// The children that are WSDL's elements of this name.
fn named<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    xml::elements(node).filter(move |n| xml::is(*n, WSDL, name))
}

fn of_soap(node: Node<'_, '_>, name: &str) -> bool {
    SOAP.iter().any(|namespace| xml::is(node, namespace, name))
}

/// The name that an attribute holds, with its namespace.
fn qualified<'a>(node: Node<'a, '_>, attribute: &str) -> Option<Qualified<'a>> {
    let text = node.attribute(attribute)?.trim();
    let (prefix, name) = text.split_once(':').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    Some(Qualified { namespace: node.lookup_namespace_uri(prefix)?, name })
}

/// What people call an operation: the element `title` in its documentation, of any namespace.
fn title(operation: Node<'_, '_>) -> Option<String> {
    let documentation = xml::child(operation, WSDL, "documentation")?;
    let title = xml::elements(documentation).find(|n| n.tag_name().name() == "title")?;
    Some(xml::text_of(title).trim().to_owned()).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests;
