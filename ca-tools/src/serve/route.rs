//! Which request gets which answer.

use super::Services;
use super::running::PATIENCE;
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use saatkond_proto::limits;
use std::convert::Infallible;
use std::sync::PoisonError;

/// Bytes of an OCSP or time-stamp request.
const REQUEST_BYTES_MAX: usize = limits::OCSP_BYTES_MAX;

/// What is asked of us.
enum Asked {
    Ocsp(Bytes),
    Stamp(Bytes),
    Configuration { path: String, query: Option<String> },
    Live,
    Ready,
}

/// Text for people.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// What is said back, before it is HTTP.
pub(crate) enum Said {
    /// The content type and the body.
    Good(&'static str, Bytes),
    /// The status, and why in words.
    Not(StatusCode, String),
}

pub(super) async fn answer(
    services: Services,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let said = match asked(&services, request).await {
        Ok(asked) => tokio::task::spawn_blocking(move || services.say(asked)).await.unwrap_or_else(|_| {
            Said::Not(StatusCode::INTERNAL_SERVER_ERROR, "the service failed\n".to_owned())
        }),
        Err(said) => said,
    };
    Ok(said.into_response(is_head))
}

impl Said {
    /// The HTTP of it; to HEAD without the body.
    pub(crate) fn into_response(self, is_head: bool) -> Response<Full<Bytes>> {
        let (status, kind, body) = match self {
            Self::Good(kind, body) => (StatusCode::OK, kind, body),
            Self::Not(status, text) => (status, TEXT, Bytes::from(text)),
        };
        let length = body.len();
        let mut response = Response::new(Full::new(if is_head { Bytes::new() } else { body }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
        response
    }

    /// There is nothing at that place.
    pub(crate) fn absent() -> Self {
        Self::Not(StatusCode::NOT_FOUND, "not found\n".to_owned())
    }
}

async fn asked(services: &Services, request: Request<Incoming>) -> Result<Asked, Said> {
    let shop = &services.0;
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(str::to_owned);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some((place, _)) = &shop.ocsp {
        if path == *place {
            return post(request, REQUEST_BYTES_MAX).await.map(Asked::Ocsp);
        }
        if let Some(encoded) = path.strip_prefix(place).and_then(|rest| rest.strip_prefix('/')) {
            return if is_read { ocsp_by_get(encoded) } else { Err(wrong_method("GET")) };
        }
    }
    if shop.tsa.as_ref().is_some_and(|(place, _)| path == *place) {
        return post(request, REQUEST_BYTES_MAX).await.map(Asked::Stamp);
    }
    if !is_read {
        return Err(wrong_method("GET"));
    }
    match path.as_str() {
        "/health/live" => Ok(Asked::Live),
        "/health/ready" => Ok(Asked::Ready),
        _ => Ok(Asked::Configuration { path, query }),
    }
}

/// Spec: RFC 6960 A.1: percent-encoded base64 of the request after the responder's URL.
fn ocsp_by_get(encoded: &str) -> Result<Asked, Said> {
    let bad = || Said::Not(StatusCode::BAD_REQUEST, "expected an OCSP request in base64\n".to_owned());
    let mut text = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((before, after)) = rest.split_once('%') {
        let (digits, after) = after.split_at_checked(2).ok_or_else(bad)?;
        text.push_str(before);
        text.push(u8::from_str_radix(digits, 16).ok().map(char::from).ok_or_else(bad)?);
        rest = after;
    }
    text.push_str(rest);
    let der = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| bad())?;
    Ok(Asked::Ocsp(Bytes::from(der)))
}

/// The body of a POST of at most `most` bytes.
pub(super) async fn post(request: Request<Incoming>, most: usize) -> Result<Bytes, Said> {
    if request.method() != Method::POST {
        return Err(wrong_method("POST"));
    }
    let body = Limited::new(request.into_body(), most).collect();
    match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Said::Not(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} bytes are read\n")))
        }
        Ok(Err(_)) => Err(Said::Not(StatusCode::BAD_REQUEST, "the body did not arrive whole\n".to_owned())),
        Err(_) => Err(Said::Not(StatusCode::REQUEST_TIMEOUT, "the body took too long\n".to_owned())),
    }
}

pub(crate) fn wrong_method(expected: &str) -> Said {
    Said::Not(StatusCode::METHOD_NOT_ALLOWED, format!("expected {expected}\n"))
}

impl Services {
    fn say(&self, asked: Asked) -> Said {
        let now = self.clock().now();
        match asked {
            Asked::Ocsp(request) => {
                let Some((_, responder)) = &self.0.ocsp else { return Said::absent() };
                let (response, trouble) = responder.answer(&request, now);
                if let Some(error) = trouble {
                    tracing::error!(error = crate::globalconf::chain(&error), "OCSP request refused");
                }
                Said::Good("application/ocsp-response", response)
            }
            Asked::Stamp(request) => {
                let Some((_, stamper)) = &self.0.tsa else { return Said::absent() };
                let (response, trouble) = stamper.answer(&request, now);
                if let Some(error) = trouble {
                    tracing::error!(error = crate::globalconf::chain(&error), "time-stamp refused");
                }
                Said::Good("application/timestamp-reply", Bytes::from(response))
            }
            Asked::Configuration { path, query } => {
                let Some(publisher) = &self.0.configuration else { return Said::absent() };
                // also for whom the clock was wound, or the machine slept
                self.renew();
                let found = {
                    let publisher = publisher.lock().unwrap_or_else(PoisonError::into_inner);
                    publisher.find(&path, query.as_deref())
                };
                let kind = if path.ends_with(".xml") { "text/xml" } else { "application/octet-stream" };
                found.map_or_else(Said::absent, |bytes| Said::Good(kind, bytes))
            }
            Asked::Live => Said::Good(TEXT, Bytes::from_static(b"live\n")),
            Asked::Ready => self.ready(),
        }
    }

    fn ready(&self) -> Said {
        let now = self.clock().now();
        let mut troubles = Vec::new();
        if let Some((_, responder)) = &self.0.ocsp
            && let Err(error) = responder.check(now)
        {
            troubles.push(format!("ocsp: {}", crate::globalconf::chain(&error)));
        }
        if let Some((_, stamper)) = &self.0.tsa
            && let Err(error) = stamper.check(now)
        {
            troubles.push(format!("tsa: {error}"));
        }
        self.renew();
        if let Some(publisher) = &self.0.configuration {
            let publisher = publisher.lock().unwrap_or_else(PoisonError::into_inner);
            if publisher.expires() < now {
                troubles.push(format!("configuration: expired {}", publisher.expires()));
            }
            if let Some(trouble) = publisher.trouble() {
                troubles.push(format!("configuration: {trouble}"));
            }
        }
        if troubles.is_empty() {
            Said::Good(TEXT, Bytes::from_static(b"ready\n"))
        } else {
            Said::Not(StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
        }
    }
}
