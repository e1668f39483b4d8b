//! To our information system, within its deadline.

use super::authorise::Callee;
use super::continuity::Serving;
use super::lead::Leave;
use super::receive::Proven;
use crate::Gateway;
use crate::messagelog::{Recorded, Spooled};
use crate::net::body::{BodyError, Incoming, Outgoing};
use crate::net::dial::{self, ServiceRules};
use crate::net::fetch::Place;
use crate::net::head::ResponseHead;
use crate::net::message::{self, Attachment};
use crate::net::pool::{AskError, Connection};
use crate::net::question::{Asked, Question};
use crate::net::soap::{Letter, Opened, Unread};
use http::{HeaderName, HeaderValue, Method, Request as HttpRequest, header};
use saatkond_proto::fault::{Code, Fault, Leaf, Retry, Side};
use saatkond_proto::message::rest;
use saatkond_proto::message::soap::Document;
use std::time::Duration;

/// What our information system answered, or the gateway in its place.
#[derive(Debug)]
pub enum Answered {
    /// By REST.
    Rest {
        /// The head, as it came.
        head: ResponseHead,
        /// The body; `None` where HTTP allows none.
        body: Option<Spooled>,
    },
    /// By SOAP.
    Soap {
        /// The message.
        letter: Box<Letter>,
        /// Its attachments.
        attachments: Vec<Attachment>,
    },
    /// By the gateway itself, to a REST call.
    Meta {
        /// The document's content type.
        content_type: String,
        /// The document.
        document: Spooled,
    },
}

/// Calls the service of a recorded request.
///
/// No redirect is followed, no cookie is kept, nothing is decoded, nothing is asked twice but what may be. Spec:
/// message-path §2.15.
///
/// # Errors
/// [`Fault`] with `network_error`, `io_error`, `unknown_host` or `ssl_authentication_failed`; for SOAP with
/// `service_failed` before it, or with what the service says is wrong. With `continuity.not_authority` when another site
/// leads since `leave` was given: the service was not called.
pub async fn forward(
    gateway: &Gateway,
    request: &Recorded<Proven>,
    callee: &Callee,
    leave: &Leave,
) -> Result<Answered, Fault> {
    let question = request.permitted().question();
    let register = &question.service().client;
    if let Some(why) = gateway.embassy.registers.is_silent(register) {
        let silent = Fault::new(Leaf::NetworkError, format!("register {register} does not answer: {why}"));
        let silent = silent.at(Side::Service).retry(Retry::Untouched);
        return Err(match question {
            Question::Rest(_) => silent,
            Question::Soap(_) => silent.under(Leaf::ServiceFailed),
        });
    }
    let answered = deliver(gateway, request, callee, leave).await;
    gateway.embassy.registers.note(register, !answered.as_ref().is_err_and(is_unreached));
    answered
}

/// Whether the service was not reached, or did not answer.
fn is_unreached(fault: &Fault) -> bool {
    let Code::Ours { leaf, .. } = &fault.code else { return false };
    let leaves = [Leaf::NetworkError, Leaf::IoError, Leaf::UnknownHost, Leaf::SslAuthenticationFailed];
    fault.side == Side::Service && leaves.contains(leaf)
}

async fn deliver(
    gateway: &Gateway,
    request: &Recorded<Proven>,
    callee: &Callee,
    leave: &Leave,
) -> Result<Answered, Fault> {
    let (service, serving) = (&callee.service, leave.serving());
    let told = serving.map(Serving::to_register);
    match request.permitted().question() {
        Question::Rest(asked) => {
            let url = asked.url(&service.url);
            let body = request.attachments().first().map(|a| &a.body);
            let sent = body.filter(|_| asked.method.carries_body());
            let told = told.as_ref().map(|(name, value)| (*name, value.as_bytes().to_vec()));
            let headers: Vec<_> = asked.service_headers().chain(told).collect();
            let make = |place: &Place| http_request(asked.method, place, &headers, sent);
            let is_safe = serving.map_or_else(|| asked.method.is_safe(), Serving::is_read);
            let (connection, answer) = call(gateway, (callee, leave), &url, is_safe, make).await?;
            receive(gateway, connection, answer, asked.method.name() == "HEAD", service.timeout).await
        }
        Question::Soap(asked) => {
            let make = |place: &Place| soap_request(asked, request.attachments(), told.as_ref(), place);
            let answered = async {
                asked.letter.refuse_hidden_parts(request.attachments()).await?;
                let (connection, answer) = call(gateway, (callee, leave), &service.url, false, make).await?;
                receive_soap(gateway, connection, answer, service.timeout).await
            };
            answered.await.map_err(|fault| fault.under(Leaf::ServiceFailed))
        }
    }
}

/// Asks the service, within its deadline; `make` is called for every attempt.
///
/// # Errors
/// As [`forward`].
pub(super) async fn call(
    gateway: &Gateway,
    (callee, leave): (&Callee, &Leave),
    url: &str,
    is_safe: bool,
    make: impl Fn(&Place) -> Result<HttpRequest<Outgoing>, Fault>,
) -> Result<(Connection, http::Response<hyper::body::Incoming>), Fault> {
    let timeout = callee.service.timeout;
    let malformed =
        || Fault::new(Leaf::ServiceMalformedUrl, "the service's address is no URL").at(Side::Service);
    let place = Place::from_url(url).ok_or_else(malformed)?;
    let rules = ServiceRules {
        connect: gateway.conf.timeouts.connect.min(timeout),
        pinned: callee.pinned.as_deref(),
        is_safe,
    };
    let call = async {
        let mut connection = dial::open_service(gateway, &place, rules).await?;
        leave.still()?;
        let answer = match connection.ask(make(&place)?).await {
            // A kept connection that had ended; nothing was written, or it may be asked twice.
            Err(error) if connection.is_reused() && (rules.is_safe || matches!(error, AskError::Unsent)) => {
                connection = dial::open_service_anew(gateway, &place, rules).await?;
                leave.still()?;
                connection.ask(make(&place)?).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| {
            Fault::new(Leaf::IoError, format!("the service did not answer: {error}"))
                .at(Side::Service)
                .because(error)
        })?;
        Ok::<_, Fault>((connection, answer))
    };
    let late = |_| {
        let detail = format!("the service did not answer within {timeout:?}");
        Fault::new(Leaf::IoError, detail).at(Side::Service)
    };
    tokio::time::timeout(timeout, call).await.map_err(late)?
}

/// Spec: message-path §2.15: the envelope as it came, or the multipart with the boundary it came with.
fn soap_request(
    asked: &Asked,
    attachments: &[Attachment],
    told: Option<&(&'static str, String)>,
    place: &Place,
) -> Result<HttpRequest<Outgoing>, Fault> {
    let (content_type, outgoing) = asked.letter.told(attachments, Outgoing::sized())?;
    let action = rest::to_latin1(asked.action.as_deref().unwrap_or_default());
    let mut request = HttpRequest::post(place.target.as_str())
        .header(header::HOST, &place.authority)
        .header("soapaction", action)
        .header(header::ACCEPT_ENCODING, "")
        .header(header::CONTENT_TYPE, rest::to_latin1(&content_type));
    if let Some((name, value)) = told {
        request = request.header(*name, value);
    }
    request.body(outgoing).map_err(message::internal)
}

/// Reads a SOAP answer to its end, and keeps its connection.
///
/// Spec: message-path §2.13, §2.15: status 200 or 500; a fault of the service is passed on as it says it.
async fn receive_soap(
    gateway: &Gateway,
    connection: Connection,
    answer: http::Response<hyper::body::Incoming>,
    idle: Duration,
) -> Result<Answered, Fault> {
    let (parts, incoming) = answer.into_parts();
    if !matches!(parts.status.as_u16(), 200 | 500) {
        let detail = format!("Server responded with error {}", parts.status);
        return Err(Fault::new(Leaf::HttpError, detail).at(Side::Service));
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(|v| rest::from_latin1(v.as_bytes()));
    let content_type = content_type.unwrap_or_default();
    let mut incoming = Incoming::new(incoming, idle);
    let mut opened = Opened::new(&content_type, &mut incoming).map_err(Unread::of_response)?;
    let (head, document) = opened.document().await.map_err(Unread::of_response)?;
    match document {
        Document::Envelope(envelope) => {
            let attachments = opened.attachments(&gateway.spool).await.map_err(Unread::of_response)?;
            gateway.net.services.give(connection);
            let letter = Box::new(Letter { envelope: *envelope, head, content_type });
            Ok(Answered::Soap { letter, attachments })
        }
        Document::Fault(fault) => {
            // Seen: what follows a fault is nobody's, and may be cut.
            if opened.stands_alone() {
                gateway.net.services.give(connection);
            }
            Err(Fault::foreign(Side::Service, fault))
        }
    }
}

fn http_request(
    method: rest::Method,
    place: &Place,
    headers: &[(&str, Vec<u8>)],
    body: Option<&Spooled>,
) -> Result<HttpRequest<Outgoing>, Fault> {
    let mut outgoing = Outgoing::sized();
    if let Some(body) = body {
        outgoing = outgoing.spooled(body);
    }
    let mut request = HttpRequest::new(outgoing);
    *request.method_mut() = Method::from_bytes(method.name().as_bytes()).map_err(message::internal)?;
    *request.uri_mut() = place.target.parse().map_err(message::internal)?;
    let lines = request.headers_mut();
    lines.insert(header::HOST, HeaderValue::from_str(&place.authority).map_err(message::internal)?);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(message::internal)?;
        lines.append(name, HeaderValue::from_bytes(value).map_err(message::internal)?);
    }
    if body.is_none_or(Spooled::is_empty) && method.carries_body() {
        // Services ask for it, and hyper does not say it. Seen: message-path §2.15.
        lines.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(request)
}

/// Reads an answer to its end, and keeps its connection.
async fn receive(
    gateway: &Gateway,
    connection: Connection,
    answer: http::Response<hyper::body::Incoming>,
    is_head: bool,
    idle: Duration,
) -> Result<Answered, Fault> {
    let (parts, incoming) = answer.into_parts();
    let head = connection.lane().take_head().filter(|head| {
        head.status == parts.status.as_u16() && head.headers.iter().count() == parts.headers.len()
    });
    let Some(head) = head else {
        let detail = "the head of the service's answer cannot be followed";
        return Err(Fault::new(Leaf::HttpError, detail).at(Side::Service));
    };
    let early = |error: BodyError| {
        Fault::new(Leaf::IoError, format!("the service's answer: {error}")).at(Side::Service).because(error)
    };
    let mut incoming = Incoming::new(incoming, idle);
    let mut writer = gateway.spool.writer();
    while let Some(piece) = incoming.next().await.map_err(early)? {
        writer.write(&piece).await.map_err(message::unspooled)?;
    }
    let has_body = !is_head && !matches!(head.status, 204 | 304);
    let body = if has_body { Some(writer.finish().await.map_err(message::unspooled)?) } else { None };
    gateway.net.services.give(connection);
    Ok(Answered::Rest { head, body })
}
