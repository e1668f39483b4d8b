//! The answer signed, recorded and sent; faults leave here too.

use super::forward::Answered;
use super::receive::Proven;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record, Recorded, Spooled};
use crate::net::body::Outgoing;
use crate::net::message::{self, Envelope};
use crate::net::outward::Lane;
use crate::net::random;
use crate::net::task::Account;
use crate::world::World;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response as HttpResponse, header};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf, Origin, Side, SoapFault};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::rest::{self, Response};
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::transport::{self, write::Part};

/// An answer that we signed.
#[derive(Debug)]
pub struct Sealed {
    response: Response,
    body: Option<Spooled>,
    proof: SignatureParts,
    client: ClientId,
    service: ServiceId,
    request_id: String,
}

impl Record for Sealed {
    fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Response,
            direction: Direction::Sent,
            query_id: self.response.id.clone(),
            request_id: self.request_id.clone(),
            client: self.client.clone(),
            service: self.service.clone(),
            message: Bytes::copy_from_slice(self.response.block()),
            proof: self.proof.clone(),
            attachments: self.body.iter().cloned().collect(),
        }
    }
}

/// Signs and records what the service answered, and makes it the answer to the peer.
///
/// Spec: message-path §2.8, §2.10, §2.12.
///
/// # Errors
/// [`Fault`].
pub async fn seal(
    gateway: &Gateway,
    world: &World,
    request: &Recorded<Proven>,
    answered: Answered,
    account: &mut Account,
) -> Result<HttpResponse<Outgoing>, Fault> {
    let Answered { head, body } = answered;
    account.bytes = [request.body(), body.as_ref()].into_iter().flatten().map(Spooled::len).sum();
    let asked = request.permitted().request();
    let block_digest = DigestAlgorithm::Sha512.digest(asked.block());
    let hash = rest::request_hash(&block_digest, request.body().map(Spooled::digest));
    let response = Response::from_service(head.status, &head.reason, &head.headers, asked, &hash);
    let response = response.map_err(|error| {
        Fault::new(Leaf::InternalError, format!("the service's answer: {error}"))
            .at(Side::Service)
            .because(error)
    })?;
    let parts = message::part_digests(response.block(), body.as_ref())?;
    let proof = message::sign(gateway, world, &asked.service.client.member, parts).await?;
    let sealed = Sealed {
        response,
        body,
        proof,
        client: asked.client.clone(),
        service: asked.service.clone(),
        request_id: asked.request_id.clone(),
    };
    let sealed = message::record(gateway, sealed).await?;
    let envelope = Envelope {
        part: Part::RestResponse,
        statuses: &[],
        block: sealed.response.block(),
        body: sealed.body.as_ref(),
        proof: &sealed.proof,
    };
    let (content_type, outgoing) = envelope.outgoing(&Lane::default())?;
    multipart(&content_type, outgoing)
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
    let told = SoapFault::new(code.clone(), fault.detail, Some(detail));
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
