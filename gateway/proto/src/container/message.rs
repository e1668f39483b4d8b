//! Who says what to whom in a message, and so who must have signed it.
//!
//! Spec: message-path §6.5: a REST response begins with its status; who asks is in the header of either kind, who
//! serves in `x-road-service` and the SOAP header.

use super::ContainerError;
use crate::id::{ClientId, ServiceId};
use crate::message::rest;
use crate::message::soap::{Envelope, SoapError};

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

    fn of_envelope(envelope: &[u8]) -> Result<Self, SoapError> {
        let envelope = Envelope::read(envelope.to_vec(), None)?;
        let is_response = envelope.is_response();
        Ok(Self {
            kind: if is_response { Kind::SoapResponse } else { Kind::SoapRequest },
            id: envelope.id.trim().to_owned(),
            request_id: None,
            client: envelope.client,
            service: envelope.service,
            line: envelope.body,
        })
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
        </x:service><x:id>a</x:id><x:protocolVersion>4.0</x:protocolVersion></s:Header><s:Body><get/></s:Body></s:Envelope>";

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
