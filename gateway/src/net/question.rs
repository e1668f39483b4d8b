//! What is asked, in either dialect.

use super::message::Outbound;
use super::soap::Letter;
use saatkond_proto::continuity::{Access, Register, access};
use saatkond_proto::id::{ClientId, ServerId, ServiceId};
use saatkond_proto::message::rest;
use saatkond_proto::transport::write::Part;

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// By REST.
    Rest(Box<rest::Request>),
    /// By SOAP.
    Soap(Box<Asked>),
}

/// What is asked by SOAP.
#[derive(Debug)]
pub struct Asked {
    /// The message.
    pub letter: Letter,
    /// `SOAPAction`, as it came; it may be empty.
    pub action: Option<String>,
    /// The id that request and response share in both gateways.
    pub request_id: String,
}

impl Question {
    /// Who asks.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        match self {
            Self::Rest(request) => &request.client,
            Self::Soap(asked) => &asked.letter.envelope.client,
        }
    }

    /// Who is asked for what.
    #[must_use]
    pub const fn service(&self) -> &ServiceId {
        match self {
            Self::Rest(request) => &request.service,
            Self::Soap(asked) => &asked.letter.envelope.service,
        }
    }

    /// The provider's server that is asked, if one is named.
    #[must_use]
    pub const fn security_server(&self) -> Option<&ServerId> {
        match self {
            Self::Rest(request) => request.security_server.as_ref(),
            Self::Soap(asked) => asked.letter.envelope.security_server.as_ref(),
        }
    }

    /// The id that the information system gave.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Rest(request) => &request.id,
            Self::Soap(asked) => &asked.letter.envelope.id,
        }
    }

    /// The id that request and response share in both gateways.
    #[must_use]
    pub fn request_id(&self) -> &str {
        match self {
            Self::Rest(request) => &request.request_id,
            Self::Soap(asked) => &asked.request_id,
        }
    }

    /// What is signed as the message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Rest(request) => request.block(),
            Self::Soap(asked) => asked.letter.envelope.bytes(),
        }
    }

    /// Whether it reads or writes, as the provider's policy declares it, else as its method says.
    #[must_use]
    pub fn access(&self, register: Option<&Register>) -> Access {
        match self {
            Self::Rest(request) => {
                access(register, &request.service, Some(request.method), &request.service_path)
            }
            Self::Soap(asked) => access(register, &asked.letter.envelope.service, None, ""),
        }
    }

    /// As another gateway is sent it.
    #[must_use]
    pub fn outbound(&self) -> Outbound<'_> {
        match self {
            Self::Rest(request) => Outbound::Rest(Part::RestRequest, request.block()),
            Self::Soap(asked) => asked.letter.outbound(),
        }
    }
}
