//! Back to the information system, in its dialect; faults leave here too.

use super::check::{Matched, Told};
use super::local::Local;
use crate::messagelog::Recorded;
use crate::net::body::Outgoing;
use crate::net::head::RequestHead;
use crate::net::message::Attachment;
use crate::net::soap::Letter;
use crate::net::task::Account;
use crate::net::{message, random};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, SoapFault};
use saatkond_proto::message::meta::govstack as directory;
use saatkond_proto::message::rest;

/// An answer for the information system.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Outgoing,
}

/// Makes a recorded answer into what the information system reads.
///
/// Spec: message-path §1.4.4, §1.5.4.
///
/// # Errors
/// [`Fault`] for a status or header that HTTP cannot carry.
pub fn reply(answer: &Recorded<Matched>) -> Result<Reply, Fault> {
    let (response, attachments) = match answer.told() {
        Told::Rest(response) => (response, answer.attachments()),
        Told::Soap(letter) => return soap(letter, answer.attachments()),
    };
    let status = StatusCode::from_u16(response.status).map_err(message::internal)?;
    let mut headers = HeaderMap::new();
    for (name, value) in response.client_headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(message::internal)?;
        headers.append(name, HeaderValue::from_bytes(&value).map_err(message::internal)?);
    }
    let body = match attachments.first() {
        Some(body) => Outgoing::sized().spooled(&body.body),
        None => Outgoing::sized(),
    };
    Ok(Reply { status, headers, body })
}

/// Seen: `;charset=utf-8` is appended where the content type has no charset, multiparts included.
fn soap(letter: &Letter, attachments: &[Attachment]) -> Result<Reply, Fault> {
    let (mut content_type, body) = letter.told(attachments, Outgoing::sized())?;
    if !content_type.to_ascii_lowercase().contains("charset=") {
        content_type.push_str(";charset=utf-8");
    }
    let content_type = HeaderValue::from_bytes(&rest::to_latin1(&content_type)).map_err(message::internal)?;
    let headers = [(header::CONTENT_TYPE, content_type)].into_iter().collect();
    Ok(Reply { status: StatusCode::OK, headers, body })
}

impl Reply {
    /// A document that the gateway made itself.
    pub(super) fn document(content_type: &'static str, document: String) -> Self {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect();
        Self { status: StatusCode::OK, headers, body: Outgoing::sized().bytes(document) }
    }

    /// A file that is written while it goes out.
    ///
    /// # Errors
    /// [`Fault`] for a name that HTTP cannot carry.
    pub(super) fn file(content_type: &'static str, disposition: &str, body: Outgoing) -> Result<Self, Fault> {
        let disposition = HeaderValue::from_str(disposition).map_err(message::internal)?;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CONTENT_DISPOSITION, disposition),
        ];
        Ok(Self { status: StatusCode::OK, headers: headers.into_iter().collect(), body })
    }

    /// As HTTP carries it.
    ///
    /// # Errors
    /// None; it is one of the steps that may end in a fault.
    pub fn into_response(self) -> Result<Response<Outgoing>, Fault> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

//------------ Dialect -------------------------------------------------------

/// How an information system is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// REST: a status, `X-Road-Error`, and a body of JSON or XML.
    Rest {
        /// The `Accept` headers, in order.
        accept: Vec<String>,
    },
    /// SOAP: status 200 and a SOAP fault.
    Soap,
    /// Words for people, and a status.
    Text,
    /// GovStack's directory: a status, and words in JSON.
    GovStack,
}

impl Dialect {
    /// What a request speaks. Seen: message-path §1.2.
    #[must_use]
    pub fn of(head: &RequestHead) -> Self {
        if head.target.starts_with("/r1/") {
            return Self::Rest { accept: head.headers.all("accept").map(str::to_owned).collect() };
        }
        match Local::of(head) {
            Some(Local::Documents | Local::Configuration) => Self::Text,
            Some(Local::Directory) => Self::GovStack,
            Some(Local::Clients) | None => Self::Soap,
        }
    }

    /// Tells a fault; also to the log, with all that a stranger is not told. Returns the code beside the response.
    #[must_use]
    pub fn tell(&self, fault: Fault, account: &Account) -> (Response<Outgoing>, String) {
        let code = fault.code.text(Origin::ClientProxy);
        let own = || random::uuid().unwrap_or_default();
        let detail = fault.peer_detail.clone().unwrap_or_else(own);
        let source = fault.source.as_deref().map(|e| message::chain(e));
        tracing::warn!(query_id = %account.query_id, code, detail, side = ?fault.side,
            text = %fault.detail, source = source.as_deref().unwrap_or_default(), "fault told to information system");
        let response = match self {
            Self::Rest { accept } => tell_rest(accept, &code, &fault.detail, &detail),
            Self::Text if fault.code != Code::of(Leaf::GlobalConfOutdated) => tell_text(&fault),
            Self::Soap | Self::Text => tell_soap(&code, &fault, detail),
            Self::GovStack => tell_words(&code, &fault.detail),
        };
        (response, code)
    }
}

/// Spec: message-path §1.4.5. Ours: line ends and control characters of foreign texts become spaces.
fn tell_rest(accept: &[String], code: &str, text: &str, detail: &str) -> Response<Outgoing> {
    let code = rest::header_text(code);
    let accept = accept.iter().map(String::as_str);
    let (content_type, body) = rest::error_body(accept, &code, text, Some(detail));
    let mut response = Response::new(Outgoing::sized().bytes(body));
    let status = StatusCode::from_u16(rest::error_status(&code));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = HeaderValue::from_bytes(&rest::to_latin1(&code));
    let error = error.unwrap_or_else(|_| HeaderValue::from_static(Leaf::InternalError.text()));
    response.headers_mut().insert(HeaderName::from_static("x-road-error"), error);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Spec: message-path §6.7.
fn tell_text(fault: &Fault) -> Response<Outgoing> {
    let leaf = match &fault.code {
        Code::Ours { leaf, .. } => *leaf,
        Code::Foreign(_) => Leaf::InternalError,
    };
    let mut response = Response::new(Outgoing::sized().bytes(fault.detail.clone()));
    *response.status_mut() = match leaf {
        Leaf::BadRequest => StatusCode::BAD_REQUEST,
        Leaf::UnknownMember | Leaf::SslAuthenticationFailed => StatusCode::UNAUTHORIZED,
        Leaf::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// Spec: [`saatkond_proto::message::meta::govstack`].
fn tell_words(code: &str, words: &str) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::sized().bytes(directory::text(words)));
    let status = StatusCode::from_u16(rest::error_status(code));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(directory::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Spec: message-path §1.5.5.
fn tell_soap(code: &str, fault: &Fault, detail: String) -> Response<Outgoing> {
    // What a service says is told whole, as it said it.
    let own = || SoapFault::new(code, &fault.detail, Some(detail));
    let fault = fault.told.as_deref().cloned().unwrap_or_else(own);
    let mut response = Response::new(Outgoing::sized().bytes(fault.to_xml()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=utf-8"));
    headers.insert(HeaderName::from_static("soapaction"), HeaderValue::from_static(""));
    response
}
