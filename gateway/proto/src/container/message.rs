//! Who says what to whom in a message, and so who must have signed it.
//!
//! Spec: message-path §6.5: a REST response begins with its status; who asks is in the header of either kind, who
//! serves in `x-road-service` and the SOAP header. Of a SOAP envelope no more is read than this.

use super::ContainerError;
use crate::id::{ClientId, MemberId, ServiceId};
use crate::limits;
use crate::message::rest;
use crate::xml::{self, XmlError};
use roxmltree::Node;

/// Namespace of a SOAP 1.1 envelope. Spec: SOAP 1.1 §4.
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of X-Road's header elements. Spec: PR-MESS 2.2.
const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers. Spec: PR-MESS 2.1.
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A REST request.
    RestRequest,
    /// A REST response.
    RestResponse,
    /// A SOAP request.
    SoapRequest,
    /// A SOAP response.
    SoapResponse,
}

impl Kind {
    /// Whether it is an answer, signed by the provider.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self, Self::RestResponse | Self::SoapResponse)
    }

    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::RestRequest => "REST request",
            Self::RestResponse => "REST response",
            Self::SoapRequest => "SOAP request",
            Self::SoapResponse => "SOAP response",
        }
    }
}

/// Who says what to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the message is.
    pub kind: Kind,
    /// The message id: `x-road-id`, or `id` of the SOAP header.
    pub id: String,
    /// The id that both gateways gave the exchange; REST only.
    pub request_id: Option<String>,
    /// Who asks.
    pub client: ClientId,
    /// Which service is asked.
    pub service: ServiceId,
    /// Its first line for people: method and target, status and reason, or the element in the SOAP body.
    pub line: String,
}

impl Summary {
    /// Reads a message.
    ///
    /// # Errors
    /// [`ContainerError::Rest`], [`ContainerError::Soap`].
    pub fn read(message: &[u8]) -> Result<Self, ContainerError> {
        let text = message.strip_prefix("\u{feff}".as_bytes()).unwrap_or(message);
        let first = text.iter().find(|b| !b.is_ascii_whitespace());
        match (message.first(), first) {
            (Some(b'1'..=b'9'), _) => Self::of_response(message),
            (_, Some(b'<')) => Self::of_envelope(message).map_err(ContainerError::Soap),
            _ => Self::of_request(message),
        }
    }

    /// Who must have signed it.
    #[must_use]
    pub const fn signer(&self) -> &ClientId {
        if self.kind.is_response() { &self.service.client } else { &self.client }
    }

    fn of_request(block: &[u8]) -> Result<Self, ContainerError> {
        let request = rest::Request::from_block(block.to_vec())?;
        Ok(Self {
            kind: Kind::RestRequest,
            line: format!("{} {}", request.method.name(), request.target),
            id: request.id,
            request_id: Some(request.request_id).filter(|id| !id.is_empty()),
            client: request.client,
            service: request.service,
        })
    }

    fn of_response(block: &[u8]) -> Result<Self, ContainerError> {
        let response = rest::Response::from_block(block.to_vec())?;
        let missing = |name| ContainerError::Nameless { expected: name };
        Ok(Self {
            kind: Kind::RestResponse,
            line: format!("{} {}", response.status, response.reason),
            id: response.id,
            request_id: response.request_id,
            client: response.client.ok_or(missing("x-road-client"))?,
            service: response.service.ok_or(missing("x-road-service"))?,
        })
    }

    fn of_envelope(envelope: &[u8]) -> Result<Self, XmlError> {
        let document = xml::admit(xml::text(envelope)?, limits::ENVELOPE_BYTES_MAX)?;
        let root = document.root_element();
        let parts: Vec<_> = xml::elements(root).collect();
        let (header, body) = match parts.as_slice() {
            [header, body]
                if xml::is(root, SOAP, "Envelope")
                    && xml::is(*header, SOAP, "Header")
                    && xml::is(*body, SOAP, "Body") =>
            {
                (*header, *body)
            }
            _ => return Err(unexpected("an Envelope of one Header and one Body", root)),
        };
        let mut calls = xml::elements(body);
        let call = match (calls.next(), calls.next()) {
            (Some(call), None) if !xml::is(call, SOAP, "Fault") => call,
            _ => return Err(unexpected("one element in Body, and no Fault", body)),
        };
        let line = call.tag_name().name().to_owned();
        let is_response = line.ends_with("Response");
        Ok(Self {
            kind: if is_response { Kind::SoapResponse } else { Kind::SoapRequest },
            id: xml::text_of(once(header, "id")?).trim().to_owned(),
            request_id: None,
            client: read_client(once(header, "client")?)?,
            service: read_service(once(header, "service")?)?,
            line,
        })
    }
}

/// The header element of this name, which must be there once.
fn once<'a, 'i>(header: Node<'a, 'i>, name: &str) -> Result<Node<'a, 'i>, XmlError> {
    let mut found = xml::elements(header).filter(|n| xml::is(*n, XROAD, name));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(unexpected(&format!("one {name}"), header)),
    }
}

fn read_client(node: Node<'_, '_>) -> Result<ClientId, XmlError> {
    match (object_type(node), fields(node)?.as_slice()) {
        ("MEMBER", [("xRoadInstance", instance), ("memberClass", class), ("memberCode", code)]) => {
            Ok(MemberId::new(instance, class, code).client())
        }
        (
            "SUBSYSTEM",
            [
                ("xRoadInstance", instance),
                ("memberClass", class),
                ("memberCode", code),
                ("subsystemCode", subsystem),
            ],
        ) => Ok(MemberId::new(instance, class, code).subsystem(subsystem)),
        _ => Err(unexpected("the identifier of a member or subsystem", node)),
    }
}

fn read_service(node: Node<'_, '_>) -> Result<ServiceId, XmlError> {
    let wrong = || unexpected("the identifier of a service", node);
    let fields = fields(node)?;
    let (member, rest) = match fields.as_slice() {
        [("xRoadInstance", instance), ("memberClass", class), ("memberCode", code), rest @ ..]
            if object_type(node) == "SERVICE" =>
        {
            (MemberId::new(instance, class, code), rest)
        }
        _ => return Err(wrong()),
    };
    let (client, rest) = match rest {
        [("subsystemCode", subsystem), rest @ ..] => (member.subsystem(subsystem), rest),
        rest => (member.client(), rest),
    };
    match rest {
        [("serviceCode", code)] => Ok(client.service(code)),
        [("serviceCode", code), ("serviceVersion", version)] => {
            Ok(ServiceId { version: Some(version.clone()), ..client.service(code) })
        }
        _ => Err(wrong()),
    }
}

fn object_type<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute((IDENTIFIERS, "objectType")).unwrap_or_default()
}

/// Names and texts of an identifier's elements, in order.
fn fields<'a>(node: Node<'a, '_>) -> Result<Vec<(&'a str, String)>, XmlError> {
    xml::elements(node)
        .map(|field| {
            let is_plain =
                field.tag_name().namespace() == Some(IDENTIFIERS) && xml::elements(field).next().is_none();
            if !is_plain {
                return Err(unexpected("identifier fields", field));
            }
            Ok((field.tag_name().name(), xml::text_of(field)))
        })
        .collect()
}

fn unexpected(expected: &str, found: Node<'_, '_>) -> XmlError {
    let inside: Vec<_> = xml::elements(found).map(|n| n.tag_name().name()).take(8).collect();
    XmlError::Unexpected {
        expected: expected.to_owned(),
        found: format!("{} with {inside:?}", found.tag_name().name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
        xmlns:x='http://x-road.eu/xsd/xroad.xsd' xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header>\
        <x:client i:objectType='SUBSYSTEM'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
        <i:memberCode>M1</i:memberCode><i:subsystemCode>C1</i:subsystemCode></x:client>\
        <x:service i:objectType='SERVICE'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
        <i:memberCode>M2</i:memberCode><i:serviceCode>get</i:serviceCode><i:serviceVersion>v1</i:serviceVersion>\
        </x:service><x:id>a</x:id></s:Header><s:Body><get/></s:Body></s:Envelope>";

    #[test]
    fn an_envelope_says_who_asks_whom() {
        let summary = Summary::read(ENVELOPE.as_bytes()).unwrap();
        assert_eq!(summary.kind, Kind::SoapRequest);
        assert_eq!(summary.id, "a");
        assert_eq!(summary.service.to_string(), "DEV/GOV/M2/get/v1");
        assert_eq!(summary.signer().to_string(), "DEV/GOV/M1/C1");
        let answer = format!("\u{feff}\n{}", ENVELOPE.replace("<get/>", "<getResponse/>"));
        let summary = Summary::read(answer.as_bytes()).unwrap();
        assert_eq!(summary.kind, Kind::SoapResponse);
        assert_eq!(summary.signer().to_string(), "DEV/GOV/M2");
    }

    #[test]
    fn an_envelope_that_could_be_read_two_ways_is_refused() {
        for (from, to) in [
            ("<x:id>a</x:id>", "<x:id>a</x:id><x:id>b</x:id>"),
            ("<x:id>a</x:id>", ""),
            ("<s:Body>", "<s:Body/><s:Body>"),
            ("<get/>", "<get/><get/>"),
            ("<get/>", "<s:Fault/>"),
            ("'SUBSYSTEM'", "'MEMBER'"),
            ("'SERVICE'", "'SERVER'"),
            ("M1</i:memberCode>", "M1</i:memberCode><i:memberCode>M3</i:memberCode>"),
            ("<i:memberCode>M1", "<i:memberCode><i:memberCode>M1</i:memberCode>"),
            ("<s:Envelope", "<!DOCTYPE x><s:Envelope"),
        ] {
            assert!(Summary::read(ENVELOPE.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
