//! REST messages: the block that is signed, its headers, its hash, and errors as an information system sees them.
//!
//! Spec: PR-REST 4; message-path §1.4, §2.9, §2.10, §2.15. A block is kept as the bytes it came in: hash, signature
//! and log all speak of those.

mod refusal;
mod target;
#[cfg(test)]
mod tests;

pub use refusal::{error_body, error_status, header_text};

use crate::continuity::header::is_ours;
use crate::crypto::DigestAlgorithm;
use crate::fault::{Code, Leaf};
use crate::id::{ClientId, IdError, ServerId, ServiceId, decode_segment};
use crate::limits;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use target::{origin_form, service_of, stands_in_uri};

/// Names of the headers that X-Road itself reads and writes, as it writes them. Spec: message-path §1.4.2, §2.9.
pub mod name {
    /// Who asks.
    pub const CLIENT: &str = "x-road-client";
    /// Who is asked; in answers.
    pub const SERVICE: &str = "x-road-service";
    /// The id of the message, given by the information system.
    pub const ID: &str = "x-road-id";
    /// The id of the exchange, given by the consumer's gateway.
    pub const REQUEST_ID: &str = "x-road-request-id";
    /// The hash of the request; in answers.
    pub const REQUEST_HASH: &str = "x-road-request-hash";
    /// The server that must answer.
    pub const SECURITY_SERVER: &str = "x-road-security-server";
    /// For whom the client asks.
    pub const REPRESENTED_PARTY: &str = "x-road-represented-party";
    /// The fault code of an error. Spec: message-path §1.4.5.
    pub const ERROR: &str = "x-road-error";
}

/// Headers of one connection, never of a message. Seen: X-Road 7.8 `RestMessage.java`; a peer refuses a block with one.
const SKIPPED: [&str; 13] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "connection",
    "user-agent",
    "host",
    "content-length",
    "server",
    "expect",
];

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
    /// More bytes than a block may have.
    #[error("block has {found} bytes, at most {allowed} are read")]
    TooLarge {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("block is not UTF-8")]
    NotUtf8,
    /// Fewer than two lines, or a last line that does not end.
    #[error("block ends early")]
    Short,
    /// A line that ends otherwise than with CR LF, or a control character.
    #[error("line {line:?} has a line end or control character inside")]
    Control {
        /// The line.
        line: String,
    },
    /// A header line without a colon, or with a name that is none.
    #[error("{line:?} is no header line")]
    HeaderLine {
        /// The line.
        line: String,
    },
    /// A header of the connection inside a block.
    #[error("header {name} must not stand in a block")]
    Skipped {
        /// Its name.
        name: String,
    },
    /// A method that is none of [`Method`].
    #[error("method {found:?} is none of a REST call")]
    UnknownMethod {
        /// What was read.
        found: String,
    },
    /// A request of an information system that HTTP itself does not allow.
    #[error("request is malformed: {what} in {found:?}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where.
        found: String,
    },
    /// A target that names no service.
    #[error("target {found:?} is not /r1/ and the five parts of a service's name")]
    Target {
        /// What was read.
        found: String,
    },
    /// No `X-Road-Client`.
    #[error("the client identifier is missing")]
    ClientMissing,
    /// A header that must be there and is not, or is empty.
    #[error("header {name} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// An identifier in a header that cannot be read.
    #[error("header {name} cannot be read")]
    Identifier {
        /// The header's name.
        name: &'static str,
        /// What is wrong.
        source: IdError,
    },
    /// A status that is no final one of HTTP.
    #[error("status {found:?} is not a number from 200 to 999")]
    Status {
        /// What was read.
        found: String,
    },
}

/// An answer that belongs to another question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} of the answer is {found:?}, of the request {expected:?}")]
pub struct Inconsistent {
    /// Which header.
    pub field: &'static str,
    /// What the request says.
    pub expected: String,
    /// What the answer says.
    pub found: String,
}

// ------------ Method --------------------------------------------------------

impl Method {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Delete, Self::Get, Self::Head, Self::Options, Self::Patch, Self::Post, Self::Put, Self::Trace];

    /// Reads the method; letter case counts.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
        }
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

// ------------ Headers -------------------------------------------------------

impl Headers {
    /// Takes header lines as HTTP hands them over: bytes are ISO-8859-1. Seen: message-path §2.9.
    pub fn from_latin1<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        Self(lines.into_iter().map(|(n, v)| (from_latin1(n), from_latin1(v))).collect())
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The values under a name, in order. Names are compared without letter case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
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

    /// The lines that may stand in a block, but for those called `but`.
    fn without(&self, but: &[&str]) -> Self {
        let among = |list: &[&str], name: &str| list.iter().any(|n| n.eq_ignore_ascii_case(name));
        Self(self.0.iter().filter(|(n, _)| !among(&SKIPPED, n) && !among(but, n)).cloned().collect())
    }

    /// The lines of an answer that its service, or who asked, may have said: nothing in X-Road's name or in ours.
    fn of_answer(&self) -> Self {
        let mut kept = self.without(&OURS_IN_ANSWERS);
        kept.0.retain(|(name, _)| !is_ours(name));
        kept
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(lines: T) -> Self {
        Self(lines.into_iter().collect())
    }
}

// ------------ Request -------------------------------------------------------

impl Request {
    /// Makes the request of an information system into what will be signed.
    ///
    /// `target` is the raw request target, `request_id` this gateway's new id for the exchange, `fallback_id` the
    /// `x-road-id` to give where the information system gave none (`<instance>-<UUID>`).
    ///
    /// # Errors
    /// [`RestError`]; [`RestError::code`] is `bad_request` where HTTP itself is broken, else what §1.4 says.
    ///
    /// Spec: message-path §1.1, §1.4. Ours: an empty `X-Road-Id`, which makes the answer unreadable, is refused here.
    pub fn from_information_system(
        method: &str,
        target: &str,
        headers: &Headers,
        request_id: &str,
        fallback_id: &str,
    ) -> Result<Self, RestError> {
        let malformed = |what, found: &str| RestError::Malformed { what, found: found.to_owned() };
        let method =
            Method::from_name(method).ok_or_else(|| RestError::UnknownMethod { found: method.to_owned() })?;
        let target = origin_form(target)?;
        for (name, value) in headers.iter() {
            if !is_token(name) || has_control(value) {
                return Err(malformed("header line", name));
            }
        }
        let mut kept = headers.without(&[name::REQUEST_ID, name::REQUEST_HASH]);
        kept.push(name::REQUEST_ID, request_id);
        if kept.last(name::ID).is_none() {
            kept.push(name::ID, fallback_id);
        }
        let block = write_block(method.name(), target, &kept);
        Self::new(method, target, kept, block)
    }

    /// Reads the block of a peer; its bytes are kept.
    ///
    /// # Errors
    /// [`RestError`].
    ///
    /// Ours: lone CR or LF, control characters, a fragment, an absent `x-road-id` or `x-road-request-id` are refused.
    pub fn from_block(block: Vec<u8>) -> Result<Self, RestError> {
        let (method, target, headers) = read_block(&block)?;
        let method = Method::from_name(&method).ok_or(RestError::UnknownMethod { found: method })?;
        if target.chars().any(|c| c == ' ' || c == '#' || c.is_control()) {
            return Err(RestError::Target { found: target });
        }
        Self::new(method, &target, headers, block)
    }

    fn new(method: Method, target: &str, headers: Headers, block: Vec<u8>) -> Result<Self, RestError> {
        if block.len() > limits::BLOCK_BYTES_MAX {
            return Err(RestError::TooLarge { found: block.len(), allowed: limits::BLOCK_BYTES_MAX });
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q.to_owned())));
        let (service, service_path) =
            service_of(path).ok_or_else(|| RestError::Target { found: target.to_owned() })?;
        let client = read_last(&headers, name::CLIENT, ClientId::from_path)?;
        let request_id =
            headers.iter().filter(|(n, _)| *n == name::REQUEST_ID).last().map(|(_, v)| v.to_owned());
        Ok(Self {
            method,
            target: target.to_owned(),
            service,
            service_path,
            query,
            client: client.ok_or(RestError::ClientMissing)?,
            id: filled(headers.last(name::ID), name::ID)?,
            request_id: filled(request_id.as_deref(), name::REQUEST_ID)?,
            security_server: read_last(&headers, name::SECURITY_SERVER, ServerId::from_path)?,
            represented_party: read_last(&headers, name::REPRESENTED_PARTY, represented_party)?,
            headers,
            block,
        })
    }

    /// The bytes that are signed, hashed and logged.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The headers for the service, values in ISO-8859-1: all of the block, in order.
    ///
    /// Ours: none of the names `X-Road-Cont-*`, which a service shall hear from its own gateway only; and of several `X-Road-Client` only the last, which is the one whose rights were judged: a service that
    /// reads the first would be told another's name.
    pub fn service_headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let is_client = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case(name::CLIENT);
        let mut unheard = self.headers.iter().filter(is_client).count();
        let heard = self.headers.iter().filter(move |line| {
            unheard -= usize::from(is_client(line));
            (!is_client(line) || unheard == 0) && !is_ours(line.0)
        });
        heard.map(|(n, v)| (n, to_latin1(v)))
    }

    /// The address to call, given the service's own: characters that no URI may have are percent-encoded.
    ///
    /// Spec: message-path §2.15. Seen: §1.1, raw UTF-8 in a query.
    #[must_use]
    pub fn url(&self, service_url: &str) -> String {
        let base = if self.service_path.starts_with('/') {
            service_url.strip_suffix('/').unwrap_or(service_url)
        } else {
            service_url
        };
        let mut url = base.to_owned();
        let mut append = |text: &str| {
            for byte in text.bytes() {
                if stands_in_uri(byte) {
                    url.push(char::from(byte));
                } else {
                    url.push_str(&format!("%{byte:02X}"));
                }
            }
        };
        append(&self.service_path);
        if let Some(query) = &self.query {
            append("?");
            append(query);
        }
        url
    }
}

// ------------ Response ------------------------------------------------------

/// What a service may not say in X-Road's name. Seen: `x-road-service` is let through, and stands twice.
const OURS_IN_ANSWERS: [&str; 4] = [name::ID, name::REQUEST_HASH, name::CLIENT, name::REQUEST_ID];

impl Response {
    /// Makes the answer of a service into what will be signed.
    ///
    /// Ours: `told` is what this gateway says of the copy that answered; of such names the service's own are dropped.
    ///
    /// # Errors
    /// [`RestError`] for a status or header that cannot stand in a block.
    pub fn from_service(
        status: u16,
        reason: &str,
        headers: &Headers,
        told: Headers,
        (request, request_hash): (&Request, &[u8]),
    ) -> Result<Self, RestError> {
        let mut kept = headers.of_answer();
        kept.0.extend(told.0);
        kept.0.extend(tail(request, request_hash));
        Self::from_block(write_block(&status.to_string(), &header_text(reason), &kept))
    }

    /// Makes the answer of a metaservice: the request's own headers first, the content type last.
    ///
    /// Seen: message-path §1.7. There `request_hash` is over the block alone, and a GET with a body cannot be answered.
    ///
    /// # Errors
    /// As [`Response::from_service`].
    pub fn from_metaservice(
        request: &Request,
        request_hash: &[u8],
        content_type: &str,
    ) -> Result<Self, RestError> {
        let mut kept = request.headers.of_answer();
        kept.0.extend(tail(request, request_hash));
        kept.push("content-type", content_type);
        Self::from_block(write_block("200", "OK", &kept))
    }

    /// Reads the block of a peer; its bytes are kept.
    ///
    /// # Errors
    /// [`RestError`].
    ///
    /// Ours: lone CR or LF and control characters are refused, and a status that would not end an HTTP exchange.
    pub fn from_block(block: Vec<u8>) -> Result<Self, RestError> {
        let (status, reason, headers) = read_block(&block)?;
        let number = Some(&status).filter(|s| s.len() == 3).and_then(|s| s.parse::<u16>().ok());
        Ok(Self {
            status: number.filter(|n| *n >= 200).ok_or(RestError::Status { found: status })?,
            reason,
            id: filled(headers.last(name::ID), name::ID)?,
            client: read_last(&headers, name::CLIENT, ClientId::from_path)?,
            service: read_last(&headers, name::SERVICE, ServiceId::from_path)?,
            request_id: headers.last(name::REQUEST_ID).map(str::to_owned),
            request_hash: filled(headers.last(name::REQUEST_HASH), name::REQUEST_HASH)?,
            headers,
            block,
        })
    }

    /// The bytes that are signed, hashed and logged.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// Holds the answer against the question: client, id, service, request id and request hash.
    ///
    /// # Errors
    /// [`Inconsistent`] names the first difference. Its code is `inconsistent_response`.
    ///
    /// Spec: message-path §2.10.
    pub fn answers(&self, request: &Request, request_hash: &[u8]) -> Result<(), Inconsistent> {
        let text = |o: Option<String>| o.unwrap_or_default();
        let same = |field, expected: String, found: String| {
            if expected == found { Ok(()) } else { Err(Inconsistent { field, expected, found }) }
        };
        let client = self.client.as_ref().map(ClientId::to_path);
        let service = self.service.as_ref().map(ServiceId::to_path);
        same(name::CLIENT, request.client.to_path(), text(client))?;
        same(name::ID, request.id.clone(), self.id.clone())?;
        same(name::SERVICE, request.service.to_path(), text(service))?;
        same(name::REQUEST_ID, request.request_id.clone(), text(self.request_id.clone()))?;
        same(name::REQUEST_HASH, STANDARD.encode(request_hash), self.request_hash.clone())
    }

    /// The headers for the information system, values in ISO-8859-1: all of the block, in order.
    pub fn client_headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.headers.iter().map(|(n, v)| (n, to_latin1(v)))
    }
}

/// The five lines that X-Road adds to an answer, in its order.
fn tail(request: &Request, request_hash: &[u8]) -> [(String, String); 5] {
    let line = |name: &str, value: String| (name.to_owned(), value);
    [
        line(name::ID, request.id.clone()),
        line(name::CLIENT, request.client.to_path()),
        line(name::SERVICE, request.service.to_path()),
        line(name::REQUEST_ID, request.request_id.clone()),
        line(name::REQUEST_HASH, STANDARD.encode(request_hash)),
    ]
}

// ------------ RestError, Inconsistent ---------------------------------------

impl RestError {
    /// The code under which it is told. `bad_request` is meant to be uttered as `client.bad_request`: status 400.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(match self {
            Self::Malformed { .. } => Leaf::BadRequest,
            Self::ClientMissing => Leaf::InvalidClientIdentifier,
            Self::TooLarge { .. }
            | Self::NotUtf8
            | Self::Short
            | Self::Control { .. }
            | Self::HeaderLine { .. }
            | Self::Skipped { .. }
            | Self::UnknownMethod { .. }
            | Self::Target { .. }
            | Self::Missing { .. }
            | Self::Identifier { .. }
            | Self::Status { .. } => Leaf::InternalError,
        })
    }
}

impl Inconsistent {
    /// The code under which it is told.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::of(Leaf::InconsistentResponse)
    }
}

/// The request hash: over the block's digest and, if a body part exists, the body's. SHA-512 throughout.
///
/// Spec: message-path §2.10.
#[must_use]
pub fn request_hash(block_digest: &[u8], body_digest: Option<&[u8]>) -> Vec<u8> {
    match body_digest {
        Some(body) => DigestAlgorithm::Sha512.digest(&[block_digest, body].concat()),
        None => block_digest.to_vec(),
    }
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

// ------------ Blocks --------------------------------------------------------

fn write_block(first: &str, second: &str, headers: &Headers) -> Vec<u8> {
    let mut block = format!("{first}\r\n{second}\r\n");
    for (name, value) in headers.iter() {
        block.extend([name, ":", value, "\r\n"]);
    }
    block.into_bytes()
}

/// Reads the two first lines and the headers. Neither side of a colon is trimmed.
fn read_block(block: &[u8]) -> Result<(String, String, Headers), RestError> {
    if block.len() > limits::BLOCK_BYTES_MAX {
        return Err(RestError::TooLarge { found: block.len(), allowed: limits::BLOCK_BYTES_MAX });
    }
    let text = std::str::from_utf8(block).map_err(|_| RestError::NotUtf8)?;
    let mut lines = text.strip_suffix("\r\n").ok_or(RestError::Short)?.split("\r\n");
    let mut plain = || -> Result<String, RestError> {
        let line = lines.next().ok_or(RestError::Short)?;
        if has_control(line) {
            Err(RestError::Control { line: line.to_owned() })
        } else {
            Ok(line.to_owned())
        }
    };
    let (first, second) = (plain()?, plain()?);
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .filter(|(name, _)| is_token(name))
            .ok_or_else(|| RestError::HeaderLine { line: line.to_owned() })?;
        if has_control(value) {
            return Err(RestError::Control { line: line.to_owned() });
        }
        if SKIPPED.iter().any(|s| s.eq_ignore_ascii_case(name)) {
            return Err(RestError::Skipped { name: name.to_owned() });
        }
        headers.push(name, value);
    }
    Ok((first, second, headers))
}

/// What the last header of this name says; all of them must be readable.
fn read_last<T>(
    headers: &Headers,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, RestError> {
    headers.all(name).try_fold(None, |_, value| match read(value) {
        Ok(found) => Ok(Some(found)),
        Err(source) => Err(RestError::Identifier { name, source }),
    })
}

fn filled(value: Option<&str>, name: &'static str) -> Result<String, RestError> {
    value.filter(|v| !v.is_empty()).map(str::to_owned).ok_or(RestError::Missing { name })
}

/// Takes `[class/]code` apart.
fn represented_party(text: &str) -> Result<(Option<String>, String), IdError> {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [code] => Ok((None, decode_segment(code)?)),
        [class, code] => Ok((Some(decode_segment(class)?), decode_segment(code)?)),
        parts => Err(IdError::Segments { text: text.to_owned(), found: parts.len(), expected: "1 or 2" }),
    }
}

/// Whether this is a name of a header. Spec: RFC 9110 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a text has a character that no header value may have: below space but tab, or DEL.
fn has_control(text: &str) -> bool {
    text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f)
}
