//! The two ways to the central server, and what it answers.

use super::Errand;
use crate::admin::status::reachable;
use crate::keys::Keys;
use crate::net::fetch::{self, Answer, Meeting};
use crate::net::random;
use saatkond_ca::exit::{Exit, Failure};
use saatkond_proto::limits;
use saatkond_proto::management::{Ask, Package, Request};
use saatkond_proto::message::soap::{Document, Envelope};

impl Errand<'_> {
    /// Sends a request; answers the number that it has got.
    pub(super) async fn send(&self, request: &Request, package: &Package, id: &str) -> Result<u64, Failure> {
        let boundary = random::boundary().map_err(|error| Failure::new(Exit::OurBug, error.to_string()))?;
        let (content_type, body) = package.to_body(&boundary);
        let is_direct = matches!(request.ask, Ask::RegisterCertificate { .. });
        let (url, meeting) = if is_direct { self.to_central_server()? } else { self.to_gateway()? };
        let bounds = self.bounds(limits::ENVELOPE_BYTES_MAX);
        let answer =
            fetch::post_meeting(&url, (&content_type, body), &meeting, bounds).await.map_err(|error| {
                let hint = if is_direct {
                    "its address and certificate stand in the private parameters of the configuration"
                        .to_owned()
                } else {
                    format!("the gateway must run: saatkond run --config {}", self.conf.file.display())
                };
                Failure::new(
                    Exit::Unavailable,
                    format!("{} was not sent: {error}", request.ask.service_code()),
                )
                .hint(hint)
            })?;
        let asked = Envelope::read(package.document.clone(), None)
            .map_err(|error| Failure::new(Exit::OurBug, format!("our own request is none: {error}")))?;
        number(request, &asked, answer, is_direct).map_err(|failure| match failure.hint {
            None => failure.hint(format!("the request's id is {id}, its service {}", asked.service)),
            Some(_) => failure,
        })
    }

    fn to_central_server(&self) -> Result<(String, Meeting), Failure> {
        let url = &self.management.registration_url;
        let pinned = self.management.registration_certificate.clone();
        if !url.starts_with("https://") || pinned.is_none() {
            let text = format!(
                "the configuration names {url} {} certificate, expected an https address and its certificate",
                if pinned.is_some() { "with a" } else { "without a" }
            );
            return Err(Failure::new(Exit::Configuration, text)
                .hint("whoever keeps the instance sets `management.url` and `management.certificate`"));
        }
        Ok((url.clone(), Meeting { ours: None, pinned: pinned.map(|der| vec![der]) }))
    }

    /// The door for information systems: over TLS with the internal certificate, which needs no registration.
    fn to_gateway(&self) -> Result<(String, Meeting), Failure> {
        let keys = Keys::open(&self.conf.keys_dir(), 1, self.pins);
        let ours = keys.map_err(|error| super::keys_refused(&error))?.internal_tls();
        let listen = &self.conf.listen;
        let url = match (listen.clients_tls.filter(|_| ours.is_some()), listen.clients) {
            (Some(address), _) => format!("https://{}/", reachable(address)),
            (None, Some(address)) => format!("http://{}/", reachable(address)),
            (None, None) => {
                let text = "this gateway has no door for information systems, and requests go through it";
                return Err(Failure::new(Exit::Configuration, text)
                    .hint(format!("set `listen.clients` in {}", self.conf.file.display())));
            }
        };
        Ok((url, Meeting { ours, pinned: None }))
    }
}

/// The number in an answer that answers what was asked.
fn number(request: &Request, asked: &Envelope, answer: Answer, is_direct: bool) -> Result<u64, Failure> {
    let code = request.ask.service_code();
    let strange = |why: String| Failure::new(Exit::Unavailable, format!("{code} was answered, but {why}"));
    let status = answer.status;
    if status == 429 {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("{code}: the central server takes no more just now"),
        )
        .hint("try again in a minute"));
    }
    let content_type = answer.header("content-type").map(str::to_owned);
    let document = Document::read(answer.body, content_type.as_deref())
        .map_err(|error| strange(format!("status {status} brings no SOAP document: {error}")))?;
    let envelope = match document {
        Document::Envelope(envelope) => *envelope,
        Document::Fault(fault) => {
            let text = format!("{code} was refused: {}: {}", fault.code, fault.string);
            let failure = Failure::new(Exit::NotAllowed, text);
            // who runs the other side finds it by this
            return Err(match fault.detail {
                Some(detail) => failure.hint(format!("it is known there as {detail}")),
                None => failure,
            });
        }
    };
    if is_direct {
        // Seen: the central server's own answer has no hash of the request.
        let same =
            (&envelope.client, &envelope.service, &envelope.id) == (&asked.client, &asked.service, &asked.id);
        if !same {
            return Err(strange("the answer is to another request".to_owned()));
        }
    } else {
        envelope.answers(asked).map_err(|error| strange(error.to_string()))?;
    }
    let number = envelope.body_field("requestId").ok().flatten();
    let number = number.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| strange("the answer has no requestId".to_owned()))
}
