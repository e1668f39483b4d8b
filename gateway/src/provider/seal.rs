//! The answer signed, recorded and sent; faults leave here too.

use super::forward::Answered;
use super::receive::Proven;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record, Recorded};
use crate::net::body::Outgoing;
use crate::net::message::{self, Attachment, Envelope, Outbound};
use crate::net::outward::Lane;
use crate::net::question::Question;
use crate::net::random;
use crate::net::soap::{Letter, Unread};
use crate::net::task::Account;
use crate::world::World;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response as HttpResponse, header};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf, Origin, Side, SoapFault};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::rest::{self, Headers, Request, Response};
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::transport::{self, write::Part};

/// An answer that we signed.
#[derive(Debug)]
pub struct Sealed {
    answer: Answer,
    attachments: Vec<Attachment>,
    proof: SignatureParts,
    client: ClientId,
    service: ServiceId,
    request_id: String,
}

/// What is answered.
#[derive(Debug)]
enum Answer {
    Rest(Box<Response>),
    Soap(Box<Letter>),
}

impl Answer {
    fn outbound(&self) -> Outbound<'_> {
        match self {
            Self::Rest(response) => Outbound::Rest(Part::RestResponse, response.block()),
            Self::Soap(letter) => letter.outbound(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Rest(response) => response.block(),
            Self::Soap(letter) => letter.envelope.bytes(),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Rest(response) => &response.id,
            Self::Soap(letter) => &letter.envelope.id,
        }
    }
}

impl Record for Sealed {
    fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Response,
            direction: Direction::Sent,
            query_id: self.answer.id().to_owned(),
            request_id: self.request_id.clone(),
            client: self.client.clone(),
            service: self.service.clone(),
            message: Bytes::copy_from_slice(self.answer.bytes()),
            proof: self.proof.clone(),
            attachments: self.attachments.iter().map(|a| a.body.clone()).collect(),
        }
    }
}

/// Signs and records what the service answered, and makes it the answer to the peer. `told` is what we say with it, signed
/// with it, under names that are ours alone.
///
/// Spec: message-path §2.8, §2.10–2.12.
///
/// # Errors
/// [`Fault`].
pub async fn seal(
    gateway: &Gateway,
    world: &World,
    request: &Recorded<Proven>,
    answered: Answered,
    told: Headers,
    account: &mut Account,
) -> Result<HttpResponse<Outgoing>, Fault> {
    let question = request.permitted().question();
    let (answer, attachments) = answer(question, request.attachments(), answered, told)?;
    account.bytes = message::len(request.attachments()) + message::len(&attachments);
    let parts = message::part_digests(answer.bytes(), &attachments)?;
    let proof = message::sign(gateway, world, &question.service().client.member, parts).await?;
    let sealed = Sealed {
        answer,
        attachments,
        proof,
        client: question.client().clone(),
        service: question.service().clone(),
        request_id: question.request_id().to_owned(),
    };
    let sealed = message::record(gateway, sealed).await?;
    let envelope = Envelope {
        statuses: &[],
        message: sealed.answer.outbound(),
        attachments: &sealed.attachments,
        proof: &sealed.proof,
    };
    let (content_type, outgoing) = envelope.outgoing(&Lane::default())?;
    let mut response = multipart(&content_type, outgoing)?;
    if let Answer::Soap(letter) = &sealed.answer {
        let original = HeaderValue::from_bytes(&rest::to_latin1(&letter.content_type));
        let name = HeaderName::from_static(transport::ORIGINAL_CONTENT_TYPE);
        response.headers_mut().insert(name, original.map_err(message::internal)?);
    }
    Ok(response)
}

/// Makes what the service said into what is signed: it names the request that it answers.
fn answer(
    question: &Question,
    asked_with: &[Attachment],
    answered: Answered,
    told: Headers,
) -> Result<(Answer, Vec<Attachment>), Fault> {
    match (question, answered) {
        (Question::Rest(request), Answered::Rest { head, body }) => {
            let hash = request_hash(request, asked_with);
            let response =
                Response::from_service(head.status, &head.reason, &head.headers, told, (request, &hash));
            let response = response.map_err(|error| {
                Fault::new(Leaf::InternalError, format!("the service's answer: {error}"))
                    .at(Side::Service)
                    .because(error)
            })?;
            Ok((Answer::Rest(Box::new(response)), body.into_iter().map(Attachment::rest).collect()))
        }
        (Question::Soap(asked), Answered::Soap { letter, attachments }) => {
            let Letter { envelope, head, content_type } = *letter;
            let envelope = envelope.with_request_hash(&asked.letter.envelope);
            let envelope = envelope.map_err(|error| Unread::of_response(error.into()))?;
            let letter = Letter { envelope, head, content_type };
            let untold = |fault: Fault| fault.under(Leaf::ServiceFailed).at(Side::Service);
            letter.can_be_told(&attachments).map_err(untold)?;
            Ok((Answer::Soap(Box::new(letter)), attachments))
        }
        (Question::Rest(request), Answered::Meta { content_type, document }) => {
            let hash = request_hash(request, asked_with);
            let response = Response::from_metaservice(request, &hash, &content_type);
            let response = response.map_err(message::internal)?;
            Ok((Answer::Rest(Box::new(response)), vec![Attachment::rest(document)]))
        }
        _ => Err(Fault::new(Leaf::InternalError, "the answer is of another kind")),
    }
}

fn request_hash(request: &Request, asked_with: &[Attachment]) -> Vec<u8> {
    let block_digest = DigestAlgorithm::Sha512.digest(request.block());
    rest::request_hash(&block_digest, asked_with.first().map(|a| a.body.digest()))
}

fn multipart(content_type: &str, outgoing: Outgoing) -> Result<HttpResponse<Outgoing>, Fault> {
    let mut response = HttpResponse::new(outgoing);
    let content_type = HeaderValue::from_str(content_type).map_err(message::internal)?;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(
        HeaderName::from_static(transport::HASH_ALGORITHM),
        HeaderValue::from_static(transport::HASH_ALGORITHM_SHA512),
    );
    Ok(response)
}

/// Tells a fault to the peer; also to the log, with all that a stranger is not told. Returns the code beside the answer.
///
/// Seen: message-path §2.13: one part of a multipart where the service failed, else the whole answer; always status 200.
#[must_use]
pub fn tell(fault: Fault, account: &Account) -> (HttpResponse<Outgoing>, String) {
    let code = fault.code.text(Origin::ServerProxy);
    let detail = random::uuid().unwrap_or_default();
    let source = fault.source.as_deref().map(|e| message::chain(e));
    tracing::warn!(query_id = %account.query_id, code, detail, side = ?fault.side,
        text = %fault.detail, source = source.as_deref().unwrap_or_default(), "fault told to another gateway");
    let own = || SoapFault::new(code.clone(), fault.detail, Some(detail));
    let told = fault.told.map_or_else(own, |told| *told);
    if fault.side == Side::Service {
        let alone = message::fault_alone(&told).and_then(|(kind, outgoing)| multipart(&kind, outgoing));
        if let Ok(response) = alone {
            return (response, code);
        }
    }
    let mut response = HttpResponse::new(Outgoing::sized().bytes(told.to_xml()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(transport::FAULT_CONTENT_TYPE));
    headers.insert(HeaderName::from_static("soapaction"), HeaderValue::from_static(""));
    (response, code)
}
