//! Is this the answer to what we asked.

use super::send::Call;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record, Spooled};
use crate::net::body::Incoming;
use crate::net::message::{self, Inbound, Rest};
use crate::world::World;
use bytes::Bytes;
use http::{Response as HttpResponse, header};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Code, Fault, Leaf, Side};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::limits;
use saatkond_proto::message::rest::{self, Response};
use saatkond_proto::signature::{self, SignatureParts, Verified};
use saatkond_proto::transport::read::{self, Expect};
use saatkond_proto::transport::{self};

/// Header lines of an answer: more than that no HTTP client reads. Ours.
const HEADERS_MAX: usize = 300;

/// An answer that came whole, and is not judged yet.
#[derive(Debug)]
pub struct Answer {
    block: Vec<u8>,
    rest: Rest,
    announced: DigestAlgorithm,
}

/// An answer that is signed by the provider and answers what we asked. Only [`check`] makes one.
#[derive(Debug)]
pub struct Matched {
    response: Response,
    body: Option<Spooled>,
    verified: Verified,
    client: ClientId,
    service: ServiceId,
    request_id: String,
}

impl Matched {
    /// The response.
    #[must_use]
    pub const fn response(&self) -> &Response {
        &self.response
    }

    /// Its body, if it has one.
    #[must_use]
    pub const fn body(&self) -> Option<&Spooled> {
        self.body.as_ref()
    }

    /// Bytes of its body.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.body.as_ref().map_or(0, Spooled::len)
    }
}

impl Record for Matched {
    fn entry(&self) -> Entry {
        let proof = self.verified.unverified();
        Entry {
            kind: Kind::Response,
            direction: Direction::Received,
            query_id: self.response.id.clone(),
            request_id: self.request_id.clone(),
            client: self.client.clone(),
            service: self.service.clone(),
            message: Bytes::copy_from_slice(self.response.block()),
            proof: SignatureParts {
                signature: proof.signature.as_slice().into(),
                hash_chain_result: proof.hash_chain_result.as_deref().map(Into::into),
                hash_chain: proof.hash_chain.clone(),
            },
            attachments: self.body.iter().cloned().collect(),
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
    let inbound = Inbound::new(&content_type, Expect::RestResponse, &mut body)?;
    let announced = text(transport::HASH_ALGORITHM);
    let Some(announced) = announced.as_deref().and_then(DigestAlgorithm::from_name) else {
        let detail = "the answer does not say with which algorithm its parts are digested".to_owned();
        return Err(peer(Leaf::InternalError, detail));
    };
    let (start, inbound) = inbound.start().await?;
    let rest = inbound.rest(&gateway.spool).await?;
    Ok(Answer { block: start.block, rest, announced })
}

/// Holds an answer against the question: signed by the provider, every part covered, ids and request hash the same.
///
/// Spec: message-path §4.2 after receiving, 4 and 5.
///
/// # Errors
/// [`Fault`].
pub async fn check(gateway: &Gateway, world: &World, call: &Call, answer: Answer) -> Result<Matched, Fault> {
    let Answer { block, rest, announced } = answer;
    let Call { request, body } = call;
    let unverified = rest.unverified(&block, announced).await?;
    let provider = &request.service.client;
    let verified = signature::verify(unverified, provider, &world.conf, gateway.now()).map_err(|error| {
        let code = error.code().under(Leaf::SignatureVerification);
        Fault { code, ..Fault::new(Leaf::SignatureVerification, error.to_string()) }
            .at(Side::Peer)
            .because(error)
    })?;
    let response = Response::from_block(block).map_err(|error| {
        let code = Code::of(Leaf::InternalError).under(Leaf::ServiceFailed);
        Fault { code, ..Fault::new(Leaf::InternalError, error.to_string()) }.at(Side::Peer).because(error)
    })?;
    if response.headers.iter().count() > HEADERS_MAX {
        let detail = format!("the answer has more than {HEADERS_MAX} headers");
        return Err(Fault::new(Leaf::InternalError, detail).under(Leaf::ServiceFailed).at(Side::Peer));
    }
    let block_digest = DigestAlgorithm::Sha512.digest(request.block());
    let hash = rest::request_hash(&block_digest, body.as_ref().map(Spooled::digest));
    response.answers(request, &hash).map_err(|error| {
        Fault { code: error.code(), ..Fault::new(Leaf::InconsistentResponse, error.to_string()) }
            .at(Side::Peer)
            .because(error)
    })?;
    Ok(Matched {
        response,
        body: rest.body,
        verified,
        client: request.client.clone(),
        service: request.service.clone(),
        request_id: request.request_id.clone(),
    })
}
