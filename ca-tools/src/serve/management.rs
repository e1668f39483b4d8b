//! Takes management requests over HTTP, on two ports.
//!
//! | port | request | what is taken |
//! |---|---|---|
//! | `listen` | `POST /managementservice/manage/` | what the security server of the management services passes on |
//! | `registrations` | `POST /managementservice/` | `authCertReg`; a TLS server in front shows the certificate that the instance lists |
//!
//! Who passes on what through the first is believed about who sent it: deletions carry no signature. So this machine
//! alone reaches it, and whoever is let through to the second reaches nothing of the first.

use super::route::{Said, post};
use super::running::Service;
use super::{Clock, ServeError, conf};
use crate::globalconf::Central;
use crate::management::{Desk, Refusal, Way};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use saatkond_proto::fault::SoapFault;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a request: a document, two signatures, two certificates, an OCSP response.
const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// Takes management requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Management {
    desk: Arc<Desk>,
    clock: Clock,
    listen: String,
    way: Way,
}

impl Management {
    /// One for each port that the file names.
    pub(super) fn doors(central: Central, clock: &Clock, entry: conf::Management) -> Vec<Self> {
        let desk = Arc::new(Desk::new(central, entry.approve));
        let door = |listen, way| Self { desk: Arc::clone(&desk), clock: clock.clone(), listen, way };
        let registrations = entry.registrations.map(|listen| door(listen, Way::Registration));
        std::iter::once(door(entry.listen, Way::Message)).chain(registrations).collect()
    }

    /// Which requests it takes.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    fn take(&self, content_type: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let taken = self.desk.take(self.way, content_type, body, self.clock.now());
        let (status, text) = match taken {
            Ok(answer) => (StatusCode::OK, answer),
            Err(refusal) => {
                let reason = refusal.to_string();
                tracing::warn!(reason, "management request refused");
                // what is wrong with the database is nobody's business
                let is_ours = refusal.code() == "internal_error";
                let told = if is_ours {
                    "the central server cannot keep the request now".to_owned()
                } else {
                    reason
                };
                (StatusCode::INTERNAL_SERVER_ERROR, fault(&refusal, told))
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let kind = header::HeaderValue::from_static("text/xml; charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

fn fault(refusal: &Refusal, text: String) -> Vec<u8> {
    SoapFault::new(refusal.code(), text, None).to_xml().into_bytes()
}

impl Service for Management {
    fn listen(&self) -> &str {
        &self.listen
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let taken = match self.way {
            Way::Registration => "/managementservice/",
            Way::Message => "/managementservice/manage/",
        };
        if request.uri().path() != taken {
            return Ok(Said::absent().into_response(false));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let body = match post(request, REQUEST_BYTES_MAX).await {
            Ok(body) => body,
            Err(said) => return Ok(said.into_response(false)),
        };
        let taken = tokio::task::spawn_blocking(move || self.take(&content_type, &body)).await;
        Ok(taken.unwrap_or_else(|_| {
            let text = "the service failed\n".to_owned();
            Said::Not(StatusCode::INTERNAL_SERVER_ERROR, text).into_response(false)
        }))
    }

    async fn work(self) {}
}

/// Checks the port: deletions are believed from whoever reaches it.
pub(super) fn check_listen(path: &Path, listen: &str) -> Result<(), ServeError> {
    if listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
        return Ok(());
    }
    let reason = format!("management.listen is {listen:?}, expected a loopback address and a port");
    Err(ServeError::Configuration { path: path.to_owned(), reason })
}
