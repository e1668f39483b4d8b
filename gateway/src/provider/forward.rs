//! To our information system, within its deadline.

use super::receive::Proven;
use crate::Gateway;
use crate::messagelog::{Recorded, Spooled};
use crate::net::body::{BodyError, Incoming, Outgoing};
use crate::net::dial::{self, ServiceRules};
use crate::net::fetch::Place;
use crate::net::head::ResponseHead;
use crate::net::message;
use crate::net::pool::{AskError, Connection};
use http::{HeaderName, HeaderValue, Method, Request as HttpRequest, header};
use saatkond_proto::fault::{Fault, Leaf, Side};
use saatkond_proto::message::rest;
use std::time::Duration;

/// What our information system answered.
#[derive(Debug)]
pub struct Answered {
    /// The head, as it came.
    pub head: ResponseHead,
    /// The body; `None` where HTTP allows none.
    pub body: Option<Spooled>,
}

/// Calls the service of a recorded request.
///
/// No redirect is followed, no cookie is kept, nothing is decoded, nothing is asked twice but what may be. Spec:
/// message-path §2.15.
///
/// # Errors
/// [`Fault`] with `network_error`, `io_error`, `unknown_host` or `ssl_authentication_failed`.
pub async fn forward(gateway: &Gateway, request: &Recorded<Proven>) -> Result<Answered, Fault> {
    let (permitted, body) = (request.permitted(), request.body());
    let (service, request) = (permitted.service(), permitted.request());
    let url = request.url(&service.url);
    let malformed =
        || Fault::new(Leaf::ServiceMalformedUrl, "the service's address is no URL").at(Side::Service);
    let place = Place::from_url(&url).ok_or_else(malformed)?;
    let rules = ServiceRules {
        connect: gateway.conf.timeouts.connect.min(service.timeout),
        pinned: permitted.pinned(),
        is_safe: request.method.is_safe(),
    };
    let sent = body.filter(|_| request.method.carries_body());
    let headers: Vec<_> = request.service_headers().collect();
    let make = || http_request(request.method, &place, &headers, sent);
    let call = async {
        let mut connection = dial::open_service(gateway, &place, rules).await?;
        let answer = match connection.ask(make()?).await {
            // A kept connection that had ended; nothing was written, or it may be asked twice.
            Err(error) if connection.is_reused() && (rules.is_safe || matches!(error, AskError::Unsent)) => {
                connection = dial::open_service_anew(gateway, &place, rules).await?;
                connection.ask(make()?).await
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
        let detail = format!("the service did not answer within {:?}", service.timeout);
        Fault::new(Leaf::IoError, detail).at(Side::Service)
    };
    let (connection, answer) = tokio::time::timeout(service.timeout, call).await.map_err(late)??;
    receive(gateway, connection, answer, request.method.name() == "HEAD", service.timeout).await
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
    Ok(Answered { head, body })
}
