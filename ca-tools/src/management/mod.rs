//! Management requests: what security servers ask of the central server, checked, remembered, decided and done.
//!
//! | file | what it does |
//! |---|---|
//! | `check` | who vouches for a request: signatures, certificates, what the authority says of them |
//! | `apply` | what a request changes |
//!
//! A request is taken when everything about it holds and doing it now would leave an instance that can be published. It
//! then gets its number and waits for `ca instance approve`, unless [`Desk`] does its kind at once: deletions, names,
//! addresses and maintenance always, as X-Road does. Whatever is refused leaves nothing behind.
//!
//! Not supported: `clientDisable` and `clientEnable`, since the instance does not know clients that are out of use.
//! Spec: trust-and-configuration §6.

mod apply;
mod check;

use crate::globalconf::{Central, PublishError, chain};
use crate::instance::InstanceError;
use crate::store::{By, State, Status};
use saatkond_proto::management::{Ask, ManagementError, Package, Request};
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Requests that wait at once.
const WAITING_MAX: usize = 1000;

/// By which way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Straight from a server that nobody knows yet: registrations of authentication certificates alone.
    Registration,
    /// Through the security server of the management services, which proved who sends it: all the others.
    Message,
}

/// A request that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not read.
    #[error("the request is not read: {0}")]
    Form(#[from] ManagementError),
    /// It came by the wrong way, or is of a kind that is not done here.
    #[error("{0}")]
    Kind(String),
    /// Nobody good vouches for it.
    #[error("{0}")]
    Proof(String),
    /// The instance does not allow it, or the central server cannot keep it.
    #[error("{}", chain(.0))]
    Instance(#[from] PublishError),
}

impl Refusal {
    /// The fault code, as X-Road's central server has them.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Kind(_) | Self::Instance(PublishError::Instance(_)) => "invalid_request",
            Self::Proof(_) => "invalid_signature_value",
            Self::Instance(_) => "internal_error",
        }
    }
}

/// What of a request is remembered: [`crate::store::Request::body`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The server that asked.
    pub server: String,
    /// The client, member, address or certificate it is about.
    pub about: String,
    /// The document.
    pub document: String,
}

/// Takes requests for a central server.
#[derive(Debug)]
pub struct Desk {
    central: Central,
    /// Kinds that need nobody's approval beside those that never do.
    approved: Vec<String>,
}

impl Desk {
    /// Takes requests for `central`; does those of the kinds `approved` at once.
    #[must_use]
    pub const fn new(central: Central, approved: Vec<String>) -> Self {
        Self { central, approved }
    }

    /// Takes a request and answers it.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn take(&self, way: Way, content_type: &str, body: &[u8], now: UnixTime) -> Result<Vec<u8>, Refusal> {
        let package = Package::from_body(content_type, body)?;
        let (envelope, request) = Request::read(&package.document)?;
        check_way(way, &request)?;
        if envelope.client != request.server.owner.client() {
            let (client, server) = (&envelope.client, &request.server);
            return Err(Refusal::Proof(format!("{client} asks for server {server}, expected its owner")));
        }
        let instance = self.central.instance(now)?;
        let provider = &instance.private().management.provider;
        let answer = |number| request.answer(provider, &envelope.id, number);
        check::check(&package, &request, &instance, now)?;
        // the whole next instance is checked before anything is promised
        self.central.plan(now, |state| apply::apply(state, &request))?;
        if matches!(request.ask, Ask::RegisterCertificate { is_trial: true, .. }) {
            return Ok(answer(0));
        }
        let kind = request.ask.service_code();
        let record = Record {
            server: request.server.to_path(),
            about: apply::about(&request),
            document: String::from_utf8_lossy(&package.document).into_owned(),
        };
        let is_done = is_never_asked(&request.ask) || self.approved.iter().any(|approved| approved == kind);
        let (actor, why) = (format!("server {}", record.server), format!("{kind} of {}", record.about));
        let by = By { actor: &actor, at: now, why: &why };
        let (_, number) = self.central.change(&by, |state| {
            check_room(state, kind, &record)?;
            let number = state.open_request(kind, json!(record), now);
            if is_done {
                state.close_request(number, Status::Approved);
                apply::apply(state, &request)?;
            }
            Ok(number)
        })?;
        tracing::info!(number, kind, server = record.server, about = record.about, is_done, "request taken");
        Ok(answer(number))
    }
}

/// Decides a request that waits: what it asks for is done in the same change, or nothing.
///
/// # Errors
/// [`PublishError::Instance`] when none of this number waits, or what it asks for is not possible any more.
pub fn decide(central: &Central, number: u64, is_approved: bool, by: &By<'_>) -> Result<(), PublishError> {
    let status = if is_approved { Status::Approved } else { Status::Declined };
    let name = number.to_string();
    central.change(by, |state| {
        let closed = state.close_request(number, status);
        let closed =
            closed.ok_or_else(|| wrong("request", &name, "it does not wait, expected one that does"))?;
        if !is_approved {
            return Ok(());
        }
        let record: Record =
            serde_json::from_value(closed.body).map_err(|e| wrong("request", &name, &e.to_string()))?;
        let read = Request::read(record.document.as_bytes());
        let (_, request) = read.map_err(|e| wrong("request", &name, &e.to_string()))?;
        apply::apply(state, &request)
    })?;
    Ok(())
}

/// Whether a kind is done at once, whoever runs the instance. Seen: X-Road asks for a decision in the three other cases.
const fn is_never_asked(ask: &Ask) -> bool {
    !matches!(ask, Ask::RegisterCertificate { .. } | Ask::RegisterClient { .. } | Ask::ChangeOwner(_))
}

fn check_way(way: Way, request: &Request) -> Result<(), Refusal> {
    let kind = request.ask.service_code();
    if matches!(request.ask, Ask::DisableClient(_) | Ask::EnableClient(_)) {
        return Err(Refusal::Kind(format!(
            "{kind} is not supported here: register the client, or register it no more"
        )));
    }
    match (way, &request.ask) {
        (Way::Registration, Ask::RegisterCertificate { .. }) => Ok(()),
        (Way::Registration, _) => {
            Err(Refusal::Kind(format!("{kind} is not taken here, expected authCertReg alone")))
        }
        (Way::Message, Ask::RegisterCertificate { .. }) => Err(Refusal::Kind(
            "authCertReg is not taken here: it goes to the registration address".to_owned(),
        )),
        (Way::Message, _) => Ok(()),
    }
}

/// There must be room for one more that waits, and none of the same.
fn check_room(state: &State, kind: &str, record: &Record) -> Result<(), PublishError> {
    let is_same = |body: &serde_json::Value| {
        body.get("server").and_then(|v| v.as_str()) == Some(&record.server)
            && body.get("about").and_then(|v| v.as_str()) == Some(&record.about)
    };
    if let Some(same) = state.waiting().find(|request| request.kind == kind && is_same(&request.body)) {
        return Err(wrong(kind, &record.about, &format!("request {} waits already", same.number)));
    }
    if state.waiting().count() >= WAITING_MAX {
        return Err(wrong(kind, &record.about, &format!("{WAITING_MAX} requests wait already")));
    }
    Ok(())
}

fn wrong(kind: &str, name: &str, reason: &str) -> PublishError {
    let entry = format!("{kind} {name}");
    PublishError::Instance(InstanceError::Entry { entry, reason: reason.to_owned() })
}
