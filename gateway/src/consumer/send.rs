//! Sign, record, hand over; and when a call may go to another door.
//!
//! One rule for the whole product. (a) Until the first byte of the signature part is handed to TLS, any call
//! may: no conforming provider acts on an unsigned message. (b) After that, without a verified answer, only GET, HEAD and
//! OPTIONS may; anything else, SOAP included, ends as `outcome_unknown`, told to the caller and never repeated. (c) A fault is only the
//! TLS peer's word: reads go on, writes do not.

use super::check::{self, Matched};
use super::resolve::Route;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record, Recorded};
use crate::net::body::Outgoing;
use crate::net::dial::{self, Opened};
use crate::net::message::{self, Attachment, Envelope};
use crate::net::outward::Lane;
use crate::net::pool::{AskError, Connection};
use crate::net::question::Question;
use crate::net::task::Account;
use crate::world::World;
use bytes::Bytes;
use http::{Request as HttpRequest, Response as HttpResponse, header};
use hyper::body::Incoming;
use saatkond_proto::fault::{Code, Fault, Leaf, Retry, Side};
use saatkond_proto::message::rest::to_latin1;
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::transport;
use std::time::Duration;

/// What is told as our version. Spec: message-path §2.6; peers may demand 7.6.0 or newer.
pub const PROXY_VERSION: &str = "7.8.0";

/// A call that was let in.
#[derive(Debug)]
pub struct Call {
    /// What is asked; its bytes are what is signed.
    pub question: Question,
    /// Its body, if there is a byte of it, or its attachments.
    pub attachments: Vec<Attachment>,
}

/// A call that we signed.
#[derive(Debug)]
pub struct Signed {
    /// The call.
    pub call: Call,
    proof: SignatureParts,
}

impl Record for Signed {
    fn entry(&self) -> Entry {
        let Call { question, attachments } = &self.call;
        Entry {
            kind: Kind::Request,
            direction: Direction::Sent,
            query_id: question.id().to_owned(),
            request_id: question.request_id().to_owned(),
            client: question.client().clone(),
            service: question.service().clone(),
            message: Bytes::copy_from_slice(question.bytes()),
            proof: self.proof.clone(),
            attachments: attachments.iter().map(|a| a.body.clone()).collect(),
        }
    }
}

/// Brings a call to the first door that gives an answer which holds.
///
/// The call is signed and recorded once, when the first door is open; every door is sent the same bytes.
///
/// # Errors
/// [`Fault`]: of the last door that was tried.
pub async fn send(
    gateway: &Gateway,
    world: &World,
    route: Route,
    call: Call,
    account: &mut Account,
) -> Result<Matched, Fault> {
    let Route { mut doors, order } = route;
    let provider = call.question.service().client.clone();
    let mut call = Some(call);
    let mut signed = None;
    let mut last: Option<Fault> = None;
    loop {
        let opened = dial::open(gateway, world, &provider, &doors, order).await;
        // What a door said is of more use than that no other is open.
        let Opened { index, mut connection } = opened.map_err(|fault| last.take().unwrap_or(fault))?;
        let door = doors.remove(index);
        account.server = door.server.to_string();
        let recorded = match (&mut signed, call.take()) {
            (Some(recorded), _) => recorded,
            (none, Some(call)) => none.insert(sign(gateway, world, call, account).await?),
            (None, None) => return Err(Fault::new(Leaf::InternalError, "internal error")),
        };
        match attempt(gateway, world, &mut connection, recorded).await {
            Ok(matched) => {
                account.bytes += matched.body_len();
                gateway.net.gateways.give(connection);
                gateway.net.fastest.won(&door);
                return Ok(matched);
            }
            Err(fault) if may_move(&fault, &recorded.call.question) && !doors.is_empty() => {
                tracing::warn!(query_id = %recorded.call.question.id(), server = %door.server,
                    detail = %fault.detail, "call goes to another door");
                gateway.net.health.failed(&door);
                last = Some(fault);
            }
            Err(fault) => {
                // Who said no, whole, can be asked again. What was not read to its end is not ready, and goes.
                if matches!(fault.code, Code::Foreign(_)) {
                    gateway.net.gateways.give(connection);
                }
                return Err(fault);
            }
        }
    }
}

async fn sign(
    gateway: &Gateway,
    world: &World,
    call: Call,
    account: &mut Account,
) -> Result<Recorded<Signed>, Fault> {
    account.bytes += message::len(&call.attachments);
    let parts = message::part_digests(call.question.bytes(), &call.attachments)?;
    let proof = message::sign(gateway, world, &call.question.client().member, parts).await?;
    message::record(gateway, Signed { call, proof }).await
}

/// Whether a call that failed like this may be brought to another door.
fn may_move(fault: &Fault, question: &Question) -> bool {
    match fault.retry {
        Retry::Untouched => true,
        Retry::Unknown => question.is_safe(),
        Retry::Pointless => false,
    }
}

/// One door: hand over, read the answer, hold it against the question.
async fn attempt(
    gateway: &Gateway,
    world: &World,
    connection: &mut Connection,
    signed: &Recorded<Signed>,
) -> Result<Matched, Fault> {
    let lane = connection.lane().clone();
    let request = request(gateway, world, signed, &lane)?;
    let answered = async {
        let response = hand_over(connection, request, gateway.conf.timeouts.answer).await?;
        let answer = check::receive(gateway, &signed.call.question, response).await?;
        check::check(gateway, world, &signed.call, answer).await
    };
    answered.await.map_err(|fault| judge(fault, &lane, &signed.call.question))
}

/// Says what a failure means for the call: whether it may have taken effect.
fn judge(fault: Fault, lane: &Lane, question: &Question) -> Fault {
    if !lane.is_handed() {
        return fault.retry(Retry::Untouched);
    }
    if is_final(&fault) {
        return fault.retry(Retry::Pointless);
    }
    let broke_off = matches!(&fault.code, Code::Ours { leaf: Leaf::IoError | Leaf::NetworkError, .. });
    let fault = fault.retry(Retry::Unknown);
    // The peer's own words stay as they are, and what it said is known.
    if question.is_safe() || matches!(fault.code, Code::Foreign(_)) {
        return fault;
    }
    let detail = format!(
        "{}; the request was handed over whole and no answer came that holds: whether it took effect is not known",
        fault.detail
    );
    // An answer that came and does not hold keeps the code that says why.
    let code = if broke_off { Code::of(Leaf::OutcomeUnknown) } else { fault.code };
    Fault { code, detail, ..fault }
}

/// Whether every door would say the same: what the provider decided, not what failed at one of its gateways.
fn is_final(fault: &Fault) -> bool {
    const DECIDED: [Leaf; 4] =
        [Leaf::AccessDenied, Leaf::UnknownService, Leaf::ServiceType, Leaf::InvalidRequest];
    let Code::Foreign(code) = &fault.code else { return false };
    let last = code.rsplit('.').next().unwrap_or_default();
    DECIDED.iter().any(|leaf| leaf.text() == last)
}

/// Spec: message-path §2.6: names in lower case, in this order.
fn request(
    gateway: &Gateway,
    world: &World,
    signed: &Recorded<Signed>,
    lane: &Lane,
) -> Result<HttpRequest<Outgoing>, Fault> {
    let auth = world.auth(gateway.now()).map_err(message::internal)?;
    let Call { question, attachments } = &signed.call;
    let envelope = Envelope {
        statuses: &auth.responses,
        message: question.outbound(),
        attachments,
        proof: &signed.proof,
    };
    let (content_type, outgoing) = envelope.outgoing(lane)?;
    let (kind, original, action) = match question {
        Question::Rest(request) => {
            let original = request.headers.last("content-type").unwrap_or_default();
            (Some(transport::MESSAGE_TYPE_REST), original, None)
        }
        // Seen: it is always there, and may be empty.
        Question::Soap(asked) => {
            (None, asked.letter.content_type.as_str(), Some(asked.action.as_deref().unwrap_or_default()))
        }
    };
    let mut request = HttpRequest::post("/");
    if let Some(kind) = kind {
        request = request.header(transport::MESSAGE_TYPE, kind);
    }
    request = request
        .header(transport::HASH_ALGORITHM, transport::HASH_ALGORITHM_SHA512)
        .header(transport::ORIGINAL_CONTENT_TYPE, to_latin1(original))
        .header(transport::REQUEST_ID, question.request_id())
        .header(transport::PROXY_VERSION, PROXY_VERSION);
    if let Some(action) = action {
        request = request.header(transport::ORIGINAL_SOAP_ACTION, to_latin1(action));
    }
    let request = request.header(header::CONTENT_TYPE, content_type).header(header::HOST, "localhost");
    request.body(outgoing).map_err(message::internal)
}

/// Sends a request and waits for the head of the answer, so long after the seal was handed over.
async fn hand_over(
    connection: &mut Connection,
    request: HttpRequest<Outgoing>,
    allowed: Duration,
) -> Result<HttpResponse<Incoming>, Fault> {
    let lane = connection.lane().clone();
    let overdue = async {
        lane.settled().await;
        tokio::time::sleep(allowed).await;
    };
    let answer = tokio::select! {
        biased;
        answer = connection.ask(request) => answer,
        () = overdue => {
            let detail = format!("the provider's security server did not answer within {allowed:?}");
            return Err(Fault::new(Leaf::IoError, detail).at(Side::Peer));
        }
    };
    answer.map_err(|error| {
        let leaf = match &error {
            AskError::Refused(_) => Leaf::SslAuthenticationFailed,
            AskError::Unsent | AskError::Broken(_) => Leaf::IoError,
        };
        Fault::new(leaf, error.to_string()).at(Side::Peer).because(error)
    })
}
