//! The rules of header and body. Spec: message-path §1.5.2.
//!
//! Ours: a Header behind the Body, a second Body and anything behind it are refused, which X-Road 7.8 takes; so is an
//! identifier with a field twice, an empty one, or one that its type does not have.

use super::{
    Document, Envelope, IDENTIFIERS, Party, REPRESENTATION, REQUEST_HASH, SOAP, SoapError, XROAD, charset,
};
use crate::fault::SoapFault;
use crate::id::{ClientId, MemberId, ServerId, ServiceId};
use crate::limits;
use crate::transport::mime::ContentType;
use crate::xml;
use roxmltree::Node;

impl Document {
    /// Reads a document, with the content type under which it came.
    ///
    /// # Errors
    /// [`SoapError`].
    pub fn read(bytes: Vec<u8>, content_type: Option<&str>) -> Result<Self, SoapError> {
        let content_type = content_type.and_then(ContentType::parse);
        if let Some(charset) = content_type.as_ref().and_then(|t| t.parameter("charset"))
            && !charset::is_known(charset)
        {
            return Err(SoapError::Charset { found: charset.to_owned() });
        }
        let (encoding, mark) = charset::of(&bytes)?;
        let text = encoding.decode(bytes.get(mark..).unwrap_or_default())?;
        let document = xml::admit(&text, limits::ENVELOPE_BYTES_MAX)?;
        let root = document.root_element();
        let read = match fault(root) {
            Some(fault) => return Ok(Self::Fault(fault)),
            None => envelope(root)?,
        };
        drop(document);
        drop(text);
        Ok(Self::Envelope(Box::new(Envelope { bytes, ..read })))
    }
}

impl Envelope {
    /// Reads a request or response; a fault is none.
    ///
    /// # Errors
    /// [`SoapError`].
    pub fn read(bytes: Vec<u8>, content_type: Option<&str>) -> Result<Self, SoapError> {
        match Document::read(bytes, content_type)? {
            Document::Envelope(envelope) => Ok(*envelope),
            Document::Fault(fault) => Err(SoapError::Shape { found: format!("a fault, {:?}", fault.code) }),
        }
    }
}

/// The fault that is all of an envelope's body.
fn fault(root: Node<'_, '_>) -> Option<SoapFault> {
    let mut bodies = xml::elements(root).filter(|n| xml::is(*n, SOAP, "Body"));
    match (bodies.next(), bodies.next()) {
        (Some(body), None) if xml::elements(body).count() == 1 => SoapFault::from_envelope(root),
        _ => None,
    }
}

fn envelope(root: Node<'_, '_>) -> Result<Envelope, SoapError> {
    let shape = |found: String| SoapError::Shape { found };
    if !xml::is(root, SOAP, "Envelope") {
        let (name, namespace) = (root.tag_name().name(), root.tag_name().namespace());
        return Err(shape(format!("{name} of {}", namespace.unwrap_or("no namespace"))));
    }
    let parts: Vec<_> = xml::elements(root).collect();
    let header = xml::child(root, SOAP, "Header").ok_or(SoapError::MissingHeader)?;
    let body = xml::child(root, SOAP, "Body").ok_or(SoapError::MissingBody)?;
    let bodies = parts.iter().filter(|n| xml::is(**n, SOAP, "Body")).count();
    if bodies > 1 {
        return Err(SoapError::BodyElements { found: bodies });
    }
    if parts.len() != 2 || parts.first() != Some(&header) {
        let names: Vec<_> = parts.iter().map(|n| n.tag_name().name()).take(8).collect();
        return Err(shape(format!("{names:?}")));
    }
    let fields = fields(header)?;
    let calls: Vec<_> = xml::elements(body).collect();
    let [call] = calls.as_slice() else { return Err(SoapError::BodyElements { found: calls.len() }) };
    let body = call.tag_name().name().to_owned();
    if !body.starts_with(&fields.service.code) {
        return Err(SoapError::BodyName { expected: fields.service.code, found: body });
    }
    Ok(Envelope { body, ..fields })
}

/// Reads the header's fields. What else stands in it is carried and not looked at.
fn fields(header: Node<'_, '_>) -> Result<Envelope, SoapError> {
    let find = |field, namespace| {
        let mut found = xml::elements(header).filter(|n| xml::is(*n, namespace, field));
        match (found.next(), found.next()) {
            (node, None) => Ok(node),
            _ => Err(SoapError::DuplicateField { field }),
        }
    };
    // All that is there twice first, then what is missing: so do X-Road's readers.
    let client = find("client", XROAD)?;
    let service = find("service", XROAD)?;
    let server = find("securityServer", XROAD)?;
    let user_id = find("userId", XROAD)?;
    let party = find("representedParty", REPRESENTATION)?;
    let issue = find("issue", XROAD)?;
    let id = find("id", XROAD)?;
    let hash = find(REQUEST_HASH, XROAD)?;
    let version = find("protocolVersion", XROAD)?;
    let missing = |field| SoapError::MissingField { field };
    let read = Envelope {
        client: read_client(client.ok_or(missing("client"))?)?,
        service: read_service(service.ok_or(missing("service"))?)?,
        security_server: server.map(read_server).transpose()?,
        // Seen: it may be empty.
        id: id.map(xml::text_of).ok_or(missing("id"))?,
        user_id: user_id.map(xml::text_of),
        issue: issue.map(xml::text_of),
        represented_party: party.map(read_party).transpose()?,
        request_hash: hash.map(|n| xml::text_of(n).trim().to_owned()),
        body: String::new(),
        bytes: Vec::new(),
    };
    let version = xml::text_of(version.ok_or(missing("protocolVersion"))?);
    if version.trim().starts_with("4.") { Ok(read) } else { Err(SoapError::Version { found: version }) }
}

/// The fields that identifiers are made of, in the order of PR-MESS; how many may be absent is told by the type.
struct Parts<'a, 'i> {
    field: &'static str,
    node: Node<'a, 'i>,
    found: Vec<(&'a str, String)>,
}

impl<'a, 'i> Parts<'a, 'i> {
    /// Gathers the fields of an identifier that has these, each at most once.
    fn gather(field: &'static str, node: Node<'a, 'i>, names: &[&str]) -> Result<Self, SoapError> {
        let mut parts = Self { field, node, found: Vec::new() };
        for part in xml::elements(node) {
            let name = part.tag_name().name();
            let is_known = part.tag_name().namespace() == Some(IDENTIFIERS) && names.contains(&name);
            let is_first = parts.found.iter().all(|(n, _)| *n != name);
            let value = xml::text_of(part);
            if !is_known || !is_first || value.is_empty() || xml::elements(part).next().is_some() {
                return Err(parts.wrong("an identifier of plain fields, each once and not empty"));
            }
            parts.found.push((name, value));
        }
        Ok(parts)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.found.iter().position(|(n, _)| *n == name)?;
        Some(self.found.swap_remove(at).1)
    }

    fn need(&mut self, name: &str) -> Result<String, SoapError> {
        self.take(name).ok_or_else(|| self.wrong("a whole identifier"))
    }

    fn member(&mut self) -> Result<MemberId, SoapError> {
        Ok(MemberId::new(self.need("xRoadInstance")?, self.need("memberClass")?, self.need("memberCode")?))
    }

    fn client(&mut self) -> Result<ClientId, SoapError> {
        let member = self.member()?;
        Ok(ClientId { member, subsystem: self.take("subsystemCode") })
    }

    fn is_a(&self, kind: &str) -> bool {
        self.node.attribute((IDENTIFIERS, "objectType")) == Some(kind)
    }

    fn wrong(&self, expected: &'static str) -> SoapError {
        let kind = self.node.attribute((IDENTIFIERS, "objectType"));
        let inside: Vec<_> = xml::elements(self.node).map(|n| n.tag_name().name()).take(8).collect();
        let found = format!("objectType {} of {inside:?}", kind.unwrap_or("none"));
        SoapError::Field { field: self.field, expected, found }
    }
}

const MEMBER: [&str; 3] = ["xRoadInstance", "memberClass", "memberCode"];

fn read_client(node: Node<'_, '_>) -> Result<ClientId, SoapError> {
    let names = [MEMBER.as_slice(), &["subsystemCode"]].concat();
    let mut parts = Parts::gather("client", node, &names)?;
    let client = parts.client()?;
    if parts.is_a(client.kind()) {
        Ok(client)
    } else {
        Err(parts.wrong("the identifier of a member or subsystem"))
    }
}

fn read_service(node: Node<'_, '_>) -> Result<ServiceId, SoapError> {
    let names = [MEMBER.as_slice(), &["subsystemCode", "serviceCode", "serviceVersion"]].concat();
    let mut parts = Parts::gather("service", node, &names)?;
    let (client, code) = (parts.client()?, parts.need("serviceCode")?);
    let service = ServiceId { client, code, version: parts.take("serviceVersion") };
    if parts.is_a("SERVICE") { Ok(service) } else { Err(parts.wrong("the identifier of a service")) }
}

fn read_server(node: Node<'_, '_>) -> Result<ServerId, SoapError> {
    let names = [MEMBER.as_slice(), &["serverCode"]].concat();
    let mut parts = Parts::gather("securityServer", node, &names)?;
    let server = ServerId { owner: parts.member()?, code: parts.need("serverCode")? };
    if parts.is_a("SERVER") { Ok(server) } else { Err(parts.wrong("the identifier of a security server")) }
}

fn read_party(node: Node<'_, '_>) -> Result<Party, SoapError> {
    let (mut class, mut code) = (Vec::new(), Vec::new());
    for part in xml::elements(node) {
        let into = match part.tag_name().name() {
            "partyClass" if xml::is(part, REPRESENTATION, "partyClass") => &mut class,
            "partyCode" if xml::is(part, REPRESENTATION, "partyCode") => &mut code,
            _ => continue,
        };
        into.push(xml::text_of(part));
    }
    match (class.as_slice(), code.as_slice()) {
        ([], [code]) => Ok(Party { class: None, code: code.clone() }),
        ([class], [code]) => Ok(Party { class: Some(class.clone()), code: code.clone() }),
        _ => Err(SoapError::Field {
            field: "representedParty",
            expected: "one party",
            found: format!("{} classes and {} codes", class.len(), code.len()),
        }),
    }
}
