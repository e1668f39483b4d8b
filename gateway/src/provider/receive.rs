//! Parts to spool, peer's certificate against its OCSP responses, signature.

use super::authorise::Permitted;
use super::sites::Way;
use crate::Gateway;
use crate::conf::Version;
use crate::messagelog::{Direction, Entry, Kind, Record, SpoolWriter};
use crate::net::listen::Exchange;
use crate::net::message::{Attachment, Inbound, Message, PartHead, Rest};
use crate::net::peer;
use crate::net::question::{Asked, Question};
use crate::net::soap::Letter;
use crate::net::task::Account;
use crate::world::World;
use bytes::Bytes;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Code, Fault, Leaf, Side};
use saatkond_proto::id::ServerId;
use saatkond_proto::message::rest::Request;
use saatkond_proto::message::soap::{Envelope, check_action};
use saatkond_proto::signature::{SignatureParts, Verified};
use saatkond_proto::transport::{self, read::Expect};

/// Who asks whom for what. The peer that brought it was judged; nothing of the body has been taken.
#[derive(Debug)]
pub struct Head {
    pub(super) question: Question,
    /// With what the sender says that its parts are digested.
    pub(super) announced: DigestAlgorithm,
}

/// A request that is coming in.
#[derive(Debug)]
pub struct Coming<'a> {
    /// What is asked over HTTP.
    pub asked: &'a mut Exchange,
    /// By which way it comes.
    pub way: &'a Way,
    /// Takes its bytes as they come, where it may be passed on.
    pub kept: Option<&'a mut SpoolWriter>,
}

/// A permitted request that came whole, and is not verified yet.
#[derive(Debug)]
pub struct Whole {
    permitted: Permitted,
    rest: Rest,
}

/// A permitted request whose signature holds and covers every part. Only [`verify`] makes one.
#[derive(Debug)]
pub struct Proven {
    permitted: Permitted,
    attachments: Vec<Attachment>,
    verified: Verified,
}

impl Proven {
    /// What was permitted.
    #[must_use]
    pub const fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// The body, if it has one; it may be empty; or the attachments.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }
}

impl Record for Proven {
    fn entry(&self) -> Entry {
        let question = self.permitted.question();
        let proof = self.verified.unverified();
        Entry {
            kind: Kind::Request,
            direction: Direction::Received,
            query_id: question.id().to_owned(),
            request_id: question.request_id().to_owned(),
            client: question.client().clone(),
            service: question.service().clone(),
            message: Bytes::copy_from_slice(question.bytes()),
            proof: SignatureParts {
                signature: proof.signature.as_slice().into(),
                hash_chain_result: proof.hash_chain_result.as_deref().map(Into::into),
                hash_chain: proof.hash_chain.clone(),
            },
            attachments: self.attachments.iter().map(|a| a.body.clone()).collect(),
        }
    }
}

/// Reads to the end of the message itself, and judges the peer that brought it.
///
/// Spec: message-path §4.1, 2–10. Ours: `X-Road-Security-Server` must name us, or the door that the one who asks chose, and the exchange's id must be the same in
/// HTTP header and block (§4.4).
///
/// # Errors
/// [`Fault`].
pub async fn receive_head<'a>(
    gateway: &Gateway,
    world: &World,
    coming: Coming<'a>,
    account: &mut Account,
) -> Result<(Head, Inbound<'a>), Fault> {
    let Coming { asked, way, kept } = coming;
    let Exchange { head, body, caller } = asked;
    if head.method != "POST" {
        return Err(Fault::new(Leaf::InvalidHttpMethod, "Must use POST request method"));
    }
    if !world.conf.is_valid_at(gateway.now()) {
        let detail = format!("the global configuration expired at {}", world.conf.expires());
        return Err(Fault::new(Leaf::GlobalConfOutdated, detail));
    }
    // Of several headers the first counts. Seen: message-path §2.6.
    let header = |name| head.headers.all(name).next();
    is_new_enough(gateway, header(transport::PROXY_VERSION))?;
    let is_rest = header(transport::MESSAGE_TYPE) == Some(transport::MESSAGE_TYPE_REST);
    let action = header(transport::ORIGINAL_SOAP_ACTION);
    if !is_rest {
        check_action(action)
            .map_err(|e| Fault { code: e.code(), ..Fault::new(Leaf::InternalError, e.to_string()) })?;
    }
    let content_type = header("content-type").unwrap_or_default();
    let Some(announced) = header(transport::HASH_ALGORITHM).and_then(DigestAlgorithm::from_name) else {
        return Err(Fault::new(Leaf::InternalError, "Could not get hash algorithm identifier from message"));
    };
    let expect = if is_rest { Expect::RestRequest } else { Expect::SoapRequest };
    let inbound = Inbound::new(content_type, expect, body)?.keeping(kept);
    let (start, inbound) = inbound.start().await?;
    let request_id = header(transport::REQUEST_ID);
    let question = match start.message {
        Message::Rest(block) => Question::Rest(Box::new(rest(block)?)),
        Message::Soap { head, envelope } => {
            let original = header(transport::ORIGINAL_CONTENT_TYPE).unwrap_or_default();
            let letter = soap(head, envelope, original)?;
            let (action, request_id) = (action.map(str::to_owned), request_id.unwrap_or_default().to_owned());
            Question::Soap(Box::new(Asked { letter, action, request_id }))
        }
    };
    account.names(&question);
    if matches!(question, Question::Soap(_)) {
        is_for_us(gateway, &question, way)?;
    }
    let provider = &question.service().client;
    if world.server.client(provider).is_none() {
        let detail = format!("provider {provider} is not one of this security server's clients");
        return Err(Fault::new(Leaf::UnknownMember, detail).under(Leaf::ServiceFailed));
    }
    world.signer(&provider.member, gateway.now()).map_err(|error| {
        let detail = format!("no sign key of {} serves", provider.member);
        Fault::new(Leaf::CannotCreateSignature, detail).under(Leaf::ServiceFailed).because(error)
    })?;
    let peer = peer::judge_client(gateway, world, question.client(), &caller.certificates, &start.statuses);
    peer.map_err(peer::PeerError::at_provider)?;
    let server = caller.certificates.first().and_then(|leaf| world.conf.server_by_auth_cert(leaf));
    account.server = server.map_or(String::new(), |s| s.id.to_string());
    // SOAP has the id in the HTTP header only.
    if is_rest && request_id != Some(question.request_id()) {
        return Err(Fault::new(
            Leaf::InternalError,
            "x-road-request-id is not the same in HTTP header and message",
        ));
    }
    is_for_us(gateway, &question, way)?;
    Ok((Head { question, announced }, inbound))
}

fn rest(block: Vec<u8>) -> Result<Request, Fault> {
    Request::from_block(block).map_err(|error| {
        let code = Code::of(Leaf::InternalError).under(Leaf::ServiceFailed);
        Fault { code, ..Fault::new(Leaf::InternalError, error.to_string()) }.at(Side::Peer).because(error)
    })
}

fn soap(head: PartHead, envelope: Vec<u8>, original: &str) -> Result<Letter, Fault> {
    let envelope = Envelope::read(envelope, head.content_type.as_deref()).map_err(|error| {
        let code = error.code().under(Leaf::ServiceFailed);
        Fault { code, ..Fault::new(Leaf::InvalidSoap, error.to_string()) }.at(Side::Peer).because(error)
    })?;
    Ok(Letter { envelope, head, content_type: original.to_owned() })
}

/// Whether a question that names a security server names this one. Seen: message-path §8-32.
fn is_for_us(gateway: &Gateway, question: &Question, way: &Way) -> Result<(), Fault> {
    let is_named = |named: &ServerId| *named == gateway.conf.server || way.first_door() == Some(named);
    if question.security_server().is_some_and(|named| !is_named(named)) {
        let detail = format!("the message is for another security server than {}", gateway.conf.server);
        return Err(Fault::new(Leaf::InvalidSecurityServer, detail).under(Leaf::ServiceFailed));
    }
    Ok(())
}

/// Refuses versions that the operator does not serve. Without such a rule the header is not looked at.
///
/// Seen: message-path §2.6; an absent or garbled version is an internal error.
fn is_new_enough(gateway: &Gateway, told: Option<&str>) -> Result<(), Fault> {
    let Some(oldest) = gateway.conf.peers.oldest.0 else { return Ok(()) };
    match told.and_then(Version::from_text) {
        Some(version) if version >= oldest => Ok(()),
        Some(version) => {
            let detail = format!("version {version} is not served, the oldest that is: {oldest}");
            Err(Fault::new(Leaf::ClientProxyVersionNotSupported, detail).at(Side::Peer))
        }
        None => {
            Err(Fault::new(Leaf::InternalError, "x-proxy-version is absent or no version").at(Side::Peer))
        }
    }
}

/// Reads all that follows the message itself; body and attachments go to the spool.
///
/// # Errors
/// [`Fault`].
pub async fn receive_rest(
    gateway: &Gateway,
    permitted: Permitted,
    inbound: Inbound<'_>,
) -> Result<Whole, Fault> {
    let rest = inbound.rest(&gateway.spool).await?;
    Ok(Whole { permitted, rest })
}

/// Verifies a request's signature: by who asks, over every part.
///
/// Spec: message-path §4.1, 16.
///
/// # Errors
/// [`Fault`] with `signature_verification` before its code.
pub async fn verify(gateway: &Gateway, world: &World, whole: Whole) -> Result<Proven, Fault> {
    let Whole { permitted, rest } = whole;
    let question = permitted.question();
    let (bytes, announced) = (question.bytes(), permitted.announced());
    let verified = rest.verify(bytes, announced, question.client(), world, gateway.now()).await?;
    if let Question::Soap(asked) = question {
        // Seen: what is wrong with the message itself is said first.
        if asked.letter.content_type.is_empty() {
            let detail = "the message does not say with which content type it came";
            return Err(Fault::new(Leaf::InternalError, detail).under(Leaf::ServiceFailed).at(Side::Peer));
        }
        asked.letter.can_be_told(&rest.attachments).map_err(|fault| fault.under(Leaf::ServiceFailed))?;
    }
    Ok(Proven { permitted, attachments: rest.attachments, verified })
}
