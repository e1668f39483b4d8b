//! Is this the answer to what we asked.

use super::attempt::Call;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record};
use crate::net::body::Incoming;
use crate::net::message::{self, Attachment, Inbound, Message, PartHead, Rest};
use crate::net::question::Question;
use crate::net::soap::Letter;
use crate::world::World;
use bytes::Bytes;
use http::{Response as HttpResponse, header};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Code, Fault, Leaf, Side};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::limits;
use saatkond_proto::message::rest::{self, Request, Response};
use saatkond_proto::message::soap::Envelope;
use saatkond_proto::signature::{SignatureParts, Verified};
use saatkond_proto::transport::read::{self, Expect};
use saatkond_proto::transport::{self};

/// Header lines of an answer: more than that no HTTP client reads. Ours.
const HEADERS_MAX: usize = 300;

/// An answer that came whole, and is not judged yet.
#[derive(Debug)]
pub struct Answer {
    message: Message,
    rest: Rest,
    announced: DigestAlgorithm,
    /// The service's content type; SOAP only.
    content_type: Option<String>,
}

/// An answer that is signed by the provider and answers what we asked. Only [`check`] makes one.
#[derive(Debug)]
pub struct Matched {
    told: Told,
    attachments: Vec<Attachment>,
    verified: Verified,
    client: ClientId,
    service: ServiceId,
    request_id: String,
}

/// What is answered.
#[derive(Debug)]
pub enum Told {
    /// By REST.
    Rest(Box<Response>),
    /// By SOAP.
    Soap(Box<Letter>),
}

impl Matched {
    /// The response.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }

    /// Its body, if it has one, or its attachments.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// Bytes of its body or attachments.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        message::len(&self.attachments)
    }
}

impl Record for Matched {
    fn entry(&self) -> Entry {
        let proof = self.verified.unverified();
        let (id, message) = match &self.told {
            Told::Rest(response) => (&response.id, response.block()),
            Told::Soap(letter) => (&letter.envelope.id, letter.envelope.bytes()),
        };
        Entry {
            kind: Kind::Response,
            direction: Direction::Received,
            query_id: id.clone(),
            request_id: self.request_id.clone(),
            client: self.client.clone(),
            service: self.service.clone(),
            message: Bytes::copy_from_slice(message),
            proof: SignatureParts {
                signature: proof.signature.as_slice().into(),
                hash_chain_result: proof.hash_chain_result.as_deref().map(Into::into),
                hash_chain: proof.hash_chain.clone(),
            },
            attachments: self.attachments.iter().map(|a| a.body.clone()).collect(),
        }
    }
}

/// Reads what a peer answers, to its end.
///
/// Spec: message-path §2.12, §4.2 after receiving, 1–3.
///
/// # Errors
/// [`Fault`]; a peer's own fault is passed on.
pub async fn receive(
    gateway: &Gateway,
    question: &Question,
    response: HttpResponse<hyper::body::Incoming>,
) -> Result<Answer, Fault> {
    let (head, body) = response.into_parts();
    let mut body = Incoming::new(body, gateway.conf.timeouts.idle);
    let peer = |leaf, detail: String| Fault::new(leaf, detail).at(Side::Peer);
    if !matches!(head.status.as_u16(), 200 | 500) {
        return Err(peer(
            Leaf::HttpError,
            format!("the provider's security server answered with HTTP status {}", head.status),
        ));
    }
    let text =
        |name: &str| head.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let Some(content_type) = text(header::CONTENT_TYPE.as_str()) else {
        return Err(peer(Leaf::InvalidContentType, "the answer has no Content-Type".to_owned()));
    };
    if read::is_plain_fault(&content_type) {
        let fault = body.whole(limits::FAULT_BYTES_MAX).await.map_err(message::broken)?;
        let fault = read::plain_fault(&fault).map_err(message::unread)?;
        return Err(Fault::foreign(Side::Peer, fault));
    }
    let expect = match question {
        Question::Rest(_) => Expect::RestResponse,
        Question::Soap(_) => Expect::SoapResponse,
    };
    let inbound = Inbound::new(&content_type, expect, &mut body)?;
    let announced = text(transport::HASH_ALGORITHM);
    let Some(announced) = announced.as_deref().and_then(DigestAlgorithm::from_name) else {
        let detail = "the answer does not say with which algorithm its parts are digested".to_owned();
        return Err(peer(Leaf::InternalError, detail));
    };
    let (start, inbound) = inbound.start().await?;
    let rest = inbound.rest(&gateway.spool).await?;
    let content_type = text(transport::ORIGINAL_CONTENT_TYPE);
    Ok(Answer { message: start.message, rest, announced, content_type })
}

/// Holds an answer against the question: signed by the provider, every part covered, ids and request hash the same.
///
/// Spec: message-path §4.2 after receiving, 4 and 5.
///
/// # Errors
/// [`Fault`].
pub async fn check(gateway: &Gateway, world: &World, call: &Call, answer: Answer) -> Result<Matched, Fault> {
    let Answer { message, rest, announced, content_type } = answer;
    let Call { question, attachments } = call;
    let bytes = match &message {
        Message::Rest(block) => block,
        Message::Soap { envelope, .. } => envelope,
    };
    let provider = &question.service().client;
    let verified = rest.verify(bytes, announced, provider, world, gateway.now()).await?;
    let told = match (question, message) {
        (Question::Rest(request), Message::Rest(block)) => {
            Told::Rest(Box::new(rest_answer(request, attachments.first(), block)?))
        }
        (Question::Soap(asked), Message::Soap { head, envelope }) => {
            let envelope = soap_answer(&asked.letter.envelope, &head, envelope)?;
            let content_type = content_type.or_else(|| head.content_type.clone()).unwrap_or_default();
            let letter = Letter { envelope, head, content_type };
            letter.can_be_told(&rest.attachments).map_err(|fault| fault.under(Leaf::ServiceFailed))?;
            Told::Soap(Box::new(letter))
        }
        _ => return Err(Fault::new(Leaf::InternalError, "the answer is of another kind").at(Side::Peer)),
    };
    Ok(Matched {
        told,
        attachments: rest.attachments,
        verified,
        client: question.client().clone(),
        service: question.service().clone(),
        request_id: question.request_id().to_owned(),
    })
}

fn rest_answer(request: &Request, body: Option<&Attachment>, block: Vec<u8>) -> Result<Response, Fault> {
    let response = Response::from_block(block).map_err(|error| {
        let code = Code::of(Leaf::InternalError).under(Leaf::ServiceFailed);
        Fault { code, ..Fault::new(Leaf::InternalError, error.to_string()) }.at(Side::Peer).because(error)
    })?;
    if response.headers.iter().count() > HEADERS_MAX {
        let detail = format!("the answer has more than {HEADERS_MAX} headers");
        return Err(Fault::new(Leaf::InternalError, detail).under(Leaf::ServiceFailed).at(Side::Peer));
    }
    let block_digest = DigestAlgorithm::Sha512.digest(request.block());
    let hash = rest::request_hash(&block_digest, body.map(|b| b.body.digest()));
    response.answers(request, &hash).map_err(|error| {
        Fault { code: error.code(), ..Fault::new(Leaf::InconsistentResponse, error.to_string()) }
            .at(Side::Peer)
            .because(error)
    })?;
    Ok(response)
}

fn soap_answer(request: &Envelope, head: &PartHead, envelope: Vec<u8>) -> Result<Envelope, Fault> {
    let response = Envelope::read(envelope, head.content_type.as_deref()).map_err(|error| {
        let code = error.code().under(Leaf::ServiceFailed);
        Fault { code, ..Fault::new(Leaf::InvalidSoap, error.to_string()) }.at(Side::Peer).because(error)
    })?;
    response.answers(request).map_err(|error| {
        Fault { code: error.code(), ..Fault::new(Leaf::InconsistentResponse, error.to_string()) }
            .at(Side::Peer)
            .because(error)
    })?;
    Ok(response)
}
