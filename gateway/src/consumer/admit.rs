//! Which information system is this, and may it speak for that subsystem.

use crate::Gateway;
use crate::conf::{Client, Connection};
use crate::net::body::{BodyError, Incoming};
use crate::net::head::RequestHead;
use crate::net::listen::{Caller, Exchange};
use crate::net::message::Attachment;
use crate::net::question::{Asked, Question};
use crate::net::soap::{Letter, Opened, Unread, by_client};
use crate::net::{message, random};
use crate::world::World;
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, Side};
use saatkond_proto::id::ClientId;
use saatkond_proto::message::rest::{Request, RestError};
use saatkond_proto::message::soap::{Document, check_action};
use std::time::Duration;

/// How long an envelope may take. Seen: message-path §1.5.1.
const ENVELOPE_MAX: Duration = Duration::from_secs(30);

/// What follows a question, not taken yet.
#[derive(Debug)]
pub enum Following<'a> {
    /// The body of a REST request.
    Rest(&'a mut Incoming),
    /// The attachments of a SOAP message.
    Soap(Box<Opened<'a>>),
}

/// Reads a question and lets it in: world and keys serve, the client is one of ours, and its information system connects
/// as it must. Of a SOAP message the envelope is read, attachments are not taken yet.
///
/// Spec: message-path §1.2–1.5.
///
/// # Errors
/// [`Fault`].
pub async fn admit<'a>(
    gateway: &Gateway,
    world: &World,
    asked: &'a mut Exchange,
) -> Result<(Question, Following<'a>), Fault> {
    let now = gateway.now();
    let Exchange { head, body, caller } = asked;
    is_current(gateway, world)?;
    let is_rest = head.target.starts_with("/r1/");
    if !is_rest && head.method != "POST" {
        let detail = format!("Must use POST request method instead of {}", head.method);
        return Err(by_client(Code::of(Leaf::InvalidHttpMethod), detail));
    }
    world.auth(now).map_err(|error| {
        let detail = "this security server has no authentication certificate that serves";
        Fault::new(Leaf::SslAuthenticationFailed, detail).because(error)
    })?;
    let request_id = random::uuid().map_err(message::internal)?;
    let (question, following) = if is_rest {
        (Question::Rest(Box::new(rest(gateway, head, &request_id)?)), Following::Rest(body))
    } else {
        let (asked, opened) = soap(head, body, request_id).await?;
        (Question::Soap(Box::new(asked)), Following::Soap(Box::new(opened)))
    };
    may_ask(gateway, world, question.client(), caller)?;
    Ok((question, following))
}

/// Whether the global configuration holds: asked before all else, whatever is asked. Seen: message-path §1.2.
///
/// # Errors
/// [`Fault`] with `global_conf_outdated`.
pub(super) fn is_current(gateway: &Gateway, world: &World) -> Result<(), Fault> {
    if world.conf.is_valid_at(gateway.now()) {
        return Ok(());
    }
    let detail = format!("the global configuration expired at {}", world.conf.expires());
    Err(Fault::new(Leaf::GlobalConfOutdated, detail))
}

fn rest(gateway: &Gateway, head: &RequestHead, request_id: &str) -> Result<Request, Fault> {
    let fallback_id = format!("{}-{}", gateway.conf.instance(), random::uuid().map_err(message::internal)?);
    let (method, target) = (&head.method, &head.target);
    let request = Request::from_information_system(method, target, &head.headers, request_id, &fallback_id);
    request.map_err(|error| match &error {
        RestError::Malformed { .. } => by_client(Code::of(Leaf::BadRequest), error.to_string()),
        _ => {
            Fault { code: error.code(), ..Fault::new(Leaf::InternalError, error.to_string()) }.because(error)
        }
    })
}

async fn soap<'a>(
    head: &RequestHead,
    body: &'a mut Incoming,
    request_id: String,
) -> Result<(Asked, Opened<'a>), Fault> {
    let action = head.headers.last("soapaction").map(str::to_owned);
    check_action(action.as_deref()).map_err(|error| by_client(error.code(), error.to_string()))?;
    let missing = || Fault::new(Leaf::InternalError, "the message has no Content-Type");
    let content_type = head.headers.last("content-type").ok_or_else(missing)?.to_owned();
    let mut opened = Opened::new(&content_type, body).map_err(Unread::of_request)?;
    let document = tokio::time::timeout(ENVELOPE_MAX, opened.document()).await;
    let document = document.map_err(|late| {
        Fault::new(Leaf::IoError, format!("no envelope came within {ENVELOPE_MAX:?}")).because(late)
    })?;
    match document.map_err(Unread::of_request)? {
        (head, Document::Envelope(envelope)) => {
            let letter = Letter { envelope: *envelope, head, content_type };
            Ok((Asked { letter, action, request_id }, opened))
        }
        (_, Document::Fault(fault)) => {
            // Seen: X-Road tells a fault that it is sent back to its sender, its code in lower case.
            let code = Code::Foreign(format!("{}.{}", Origin::Client.text(), fault.code.to_lowercase()));
            Err(Fault { code, ..Fault::new(Leaf::InvalidMessage, fault.string) })
        }
    }
}

/// The fault for a client that is none of ours, in X-Road's words.
fn unknown(id: &ClientId) -> Fault {
    Fault::new(Leaf::UnknownMember, format!("Client '{}' not found", id.typed()))
}

/// Whether the information system may speak for the client.
fn may_ask(gateway: &Gateway, world: &World, id: &ClientId, caller: &Caller) -> Result<(), Fault> {
    let client = world.server.client(id).ok_or_else(|| unknown(id))?;
    connects_as_it_must(client, caller, gateway)?;
    let ours = world.conf.server(&gateway.conf.server);
    if !ours.is_some_and(|server| world.conf.is_registered_on(id, server)) {
        let detail = format!("client {id} is not registered on this security server");
        return Err(Fault::new(Leaf::UnknownMember, detail));
    }
    Ok(())
}

/// Whether the information system may take what is the client's: as far as the connection goes, which may be one that is
/// registered no more. Seen: message-path §6.7.
///
/// # Errors
/// [`Fault`].
pub(super) fn may_take(
    gateway: &Gateway,
    world: &World,
    id: &ClientId,
    caller: &Caller,
) -> Result<(), Fault> {
    let client = world.server.client(id).ok_or_else(|| unknown(id))?;
    connects_as_it_must(client, caller, gateway)
}

/// Spec: message-path §1.3.
fn connects_as_it_must(client: &Client, caller: &Caller, gateway: &Gateway) -> Result<(), Fault> {
    let refuse = |what: &str| {
        let detail = format!("client {} must connect with {what}", client.id);
        Err(Fault::new(Leaf::SslAuthenticationFailed, detail))
    };
    match (client.connection, caller.certificates.first()) {
        (Connection::Http, _) => Ok(()),
        (Connection::Https, _) if caller.is_tls => Ok(()),
        (Connection::Https, _) => refuse("HTTPS"),
        (Connection::MutualTls, Some(shown)) if caller.is_tls => {
            let own = gateway.keys.internal_tls();
            let is_own = own.and_then(|key| key.cert.first().map(|c| **c == **shown)).unwrap_or(false);
            if is_own || client.certificates.contains(shown) {
                return Ok(());
            }
            refuse("HTTPS and one of its registered certificates, the one shown is none")
        }
        (Connection::MutualTls, _) => refuse("HTTPS and one of its registered certificates"),
    }
}

impl Following<'_> {
    /// Takes body or attachments to the spool, so that they can be sent more than once.
    ///
    /// Seen: message-path §1.4.3, an empty body is none.
    ///
    /// # Errors
    /// [`Fault`] with `io_error` when it does not come whole.
    pub async fn take(self, gateway: &Gateway) -> Result<Vec<Attachment>, Fault> {
        let body = match self {
            Self::Rest(body) => body,
            Self::Soap(opened) => {
                return opened.attachments(&gateway.spool).await.map_err(Unread::of_request);
            }
        };
        let early =
            |error: BodyError| Fault::new(Leaf::IoError, error.to_string()).at(Side::Ours).because(error);
        let mut writer = gateway.spool.writer();
        while let Some(piece) = body.next().await.map_err(early)? {
            writer.write(&piece).await.map_err(message::unspooled)?;
        }
        if writer.is_empty() {
            return Ok(Vec::new());
        }
        let body = writer.finish().await.map_err(message::unspooled)?;
        Ok(vec![Attachment::rest(body)])
    }
}
