//! REST messages: the block that is signed, its headers, its hash, and errors as an information system sees them.
//!
//! Spec: PR-REST 4; message-path §1.4, §2.9, §2.10, §2.15. A block is kept as the bytes it came in: hash, signature
//! and log all speak of those.

use crate::fault::Code;
use crate::id::{ClientId, ServerId, ServiceId};

/// Header lines: order, letter case and duplicates as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

/// An HTTP method that a REST call may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `DELETE`.
    Delete,
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
    /// `PATCH`.
    Patch,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `TRACE`.
    Trace,
}

/// A REST request: what is signed but for the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query as they came, still encoded, from `/r1/`.
    pub target: String,
    /// The service.
    pub service: ServiceId,
    /// What follows the service's name in the path, still encoded: empty or beginning with a slash.
    pub service_path: String,
    /// What follows the question mark; `Some("")` for a question mark alone.
    pub query: Option<String>,
    /// Who asks.
    pub client: ClientId,
    /// `x-road-id`.
    pub id: String,
    /// `x-road-request-id`, given by the consumer's gateway.
    pub request_id: String,
    /// `x-road-security-server`: the provider's server that must answer.
    pub security_server: Option<ServerId>,
    /// `x-road-represented-party`: class (may be absent) and code.
    pub represented_party: Option<(Option<String>, String)>,
    /// All headers of the block.
    pub headers: Headers,
    block: Vec<u8>,
}

/// A REST response: what is signed but for the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The service's HTTP status.
    pub status: u16,
    /// Its reason phrase; may be empty.
    pub reason: String,
    /// `x-road-id`.
    pub id: String,
    /// `x-road-client`.
    pub client: Option<ClientId>,
    /// `x-road-service`.
    pub service: Option<ServiceId>,
    /// `x-road-request-id`.
    pub request_id: Option<String>,
    /// `x-road-request-hash`, base64 as it came.
    pub request_hash: String,
    /// All headers of the block.
    pub headers: Headers,
    block: Vec<u8>,
}

/// A REST message that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// To be told apart below.
    #[error("cannot be read")]
    Unreadable,
}

/// An answer that belongs to another question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} of the answer is {found}, of the request {expected}")]
pub struct Inconsistent {
    /// Which header.
    pub field: &'static str,
    /// What the request says.
    pub expected: String,
    /// What the answer says.
    pub found: String,
}

impl Method {
    /// Reads the method; letter case counts.
    #[must_use]
    pub fn from_name(_name: &str) -> Option<Self> {
        None
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ""
    }

    /// Whether a call with it may be repeated without asking: GET, HEAD, OPTIONS.
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// Whether a stock server forwards a body with it: POST, PUT, PATCH. Seen: message-path §2.15.
    #[must_use]
    pub const fn carries_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

impl Headers {
    /// Takes header lines as HTTP hands them over: bytes are ISO-8859-1. Seen: message-path §2.9.
    pub fn from_latin1<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        Self(lines.into_iter().map(|(n, v)| (from_latin1(n), from_latin1(v))).collect())
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The value that counts: the last one. Names are compared without letter case.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }
}

impl Request {
    /// Makes the request of an information system into what will be signed.
    ///
    /// `target` is the raw request target, `request_id` this gateway's new id for the exchange, `fallback_id` the
    /// `x-road-id` to give where the information system gave none (`<instance>-<UUID>`).
    ///
    /// # Errors
    /// [`RestError`]; its code is `bad_request` where HTTP itself is broken, else what message-path §1.4 says.
    pub fn from_information_system(
        _method: &str,
        _target: &str,
        _headers: &Headers,
        _request_id: &str,
        _fallback_id: &str,
    ) -> Result<Self, RestError> {
        Err(RestError::Unreadable)
    }

    /// Reads the block of a peer; its bytes are kept.
    ///
    /// # Errors
    /// [`RestError`].
    pub fn from_block(_block: Vec<u8>) -> Result<Self, RestError> {
        Err(RestError::Unreadable)
    }

    /// The bytes that are signed, hashed and logged.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The headers for the service, values in ISO-8859-1: all of the block, in order.
    pub fn service_headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.headers.iter().map(|(n, v)| (n, to_latin1(v)))
    }

    /// The address to call, given the service's own.
    #[must_use]
    pub fn url(&self, service_url: &str) -> String {
        service_url.to_owned()
    }
}

impl Response {
    /// Makes the answer of a service into what will be signed.
    ///
    /// # Errors
    /// [`RestError`] for a status or header that cannot stand in a block.
    pub fn from_service(
        _status: u16,
        _reason: &str,
        _headers: &Headers,
        _request: &Request,
        _request_hash: &[u8],
    ) -> Result<Self, RestError> {
        Err(RestError::Unreadable)
    }

    /// Reads the block of a peer; its bytes are kept.
    ///
    /// # Errors
    /// [`RestError`].
    pub fn from_block(_block: Vec<u8>) -> Result<Self, RestError> {
        Err(RestError::Unreadable)
    }

    /// The bytes that are signed, hashed and logged.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// Holds the answer against the question: client, id, service, request id and request hash.
    ///
    /// # Errors
    /// [`Inconsistent`] names the first difference.
    pub fn answers(&self, _request: &Request, _request_hash: &[u8]) -> Result<(), Inconsistent> {
        Err(Inconsistent { field: "", expected: String::new(), found: String::new() })
    }

    /// The headers for the information system, values in ISO-8859-1: all of the block, in order.
    pub fn client_headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.headers.iter().map(|(n, v)| (n, to_latin1(v)))
    }
}

impl RestError {
    /// The code under which it is told.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(crate::fault::Leaf::InternalError)
    }
}

/// The request hash: over the block's digest and, if a body part exists, the body's. SHA-512 throughout.
///
/// Spec: message-path §2.10.
#[must_use]
pub fn request_hash(_block_digest: &[u8], _body_digest: Option<&[u8]>) -> Vec<u8> {
    Vec::new()
}

/// The HTTP status under which an information system is told a fault code. Spec: message-path §1.4.5.
#[must_use]
pub fn error_status(code: &str) -> u16 {
    if code.starts_with("server.") { 500 } else { 400 }
}

/// The body that tells an information system of a fault, and its content type.
///
/// `accept` are the values of the request's `Accept` headers, in order. Spec: message-path §1.4.5.
pub fn error_body<'a>(
    _accept: impl IntoIterator<Item = &'a str>,
    _code: &str,
    _message: &str,
    _detail: Option<&str>,
) -> (&'static str, Vec<u8>) {
    ("application/json", Vec::new())
}

/// A value for an HTTP header line: control characters, line ends and all, become spaces.
#[must_use]
pub fn header_text(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads bytes as ISO-8859-1.
#[must_use]
pub fn from_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// Writes text as ISO-8859-1; `?` for what it does not have.
#[must_use]
pub fn to_latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
