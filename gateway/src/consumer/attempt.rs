//! One attempt: a door is opened, the call signed and recorded if it was not yet, handed over, its answer read and held
//! against the question.
//!
//! Every door is sent the same bytes under one signature. Several attempts of one call may run side by side.

use super::check::{self, Matched};
use super::send::judge;
use crate::Gateway;
use crate::messagelog::{Direction, Entry, Kind, Record, Recorded};
use crate::net::body::Outgoing;
use crate::net::dial::{self, Door, Learned, Opened, Order, Wanted};
use crate::net::message::{self, Attachment, Envelope};
use crate::net::outward::Lane;
use crate::net::pool::{AskError, Connection};
use crate::net::question::Question;
use crate::world::World;
use bytes::Bytes;
use http::{Request as HttpRequest, Response as HttpResponse, header};
use hyper::body::Incoming;
use saatkond_proto::fault::{Code, Fault, Leaf, Side};
use saatkond_proto::id::ClientId;
use saatkond_proto::message::rest::to_latin1;
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::transport;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

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

/// A call under way: what all of its attempts share.
pub(super) struct Errand<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) world: &'a World,
    /// Who must answer.
    pub(super) provider: ClientId,
    /// Whether it may be asked twice.
    pub(super) may_repeat: bool,
    /// Whether it is asked by SOAP.
    pub(super) is_soap: bool,
    /// Until it is signed.
    unsigned: Mutex<Option<Call>>,
    signed: OnceCell<Recorded<Signed>>,
}

/// An answer that holds, and after which time it began.
pub(super) struct Answered {
    pub(super) matched: Matched,
    pub(super) took: Duration,
}

impl<'a> Errand<'a> {
    pub(super) fn new(gateway: &'a Gateway, world: &'a World, call: Call, may_repeat: bool) -> Self {
        let provider = call.question.service().client.clone();
        let is_soap = matches!(call.question, Question::Soap(_));
        let (unsigned, signed) = (Mutex::new(Some(call)), OnceCell::new());
        Self { gateway, world, provider, may_repeat, is_soap, unsigned, signed }
    }

    /// Opens a connection to one of these doors.
    ///
    /// # Errors
    /// [`Fault`] when none is open; nothing has been sent.
    pub(super) async fn open(
        &self,
        doors: &[Door],
        order: Order,
        may_be_kept: bool,
        learned: &mut Learned,
    ) -> Result<Opened, Fault> {
        let wanted = Wanted { client: &self.provider, doors, order, may_be_kept };
        dial::open(self.gateway, self.world, wanted, learned).await
    }

    /// Brings the call over an open connection, which is kept for others where that is possible.
    ///
    /// # Errors
    /// [`Fault`]; its `retry` says whether the call may have been executed.
    pub(super) async fn bring(&self, mut connection: Connection) -> Result<Answered, Fault> {
        let signed = self.signed.get_or_try_init(|| self.sign()).await?;
        let began = Instant::now();
        let brought = self.exchange(&mut connection, signed).await;
        // Who said no, whole, can be asked again. What was not read to its end is not ready, and goes.
        let is_whole = brought.as_ref().map_or_else(|f| matches!(f.code, Code::Foreign(_)), |_| true);
        if is_whole {
            self.gateway.net.gateways.give(connection);
        }
        brought.map(|(matched, head_at)| Answered { matched, took: head_at.duration_since(began) })
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        signed: &Recorded<Signed>,
    ) -> Result<(Matched, Instant), Fault> {
        let (gateway, world) = (self.gateway, self.world);
        let lane = connection.lane().clone();
        let request = request(gateway, world, signed, &lane)?;
        let answered = async {
            let response = hand_over(connection, request, gateway.conf.timeouts.answer).await?;
            let head_at = Instant::now();
            let answer = check::receive(gateway, &signed.call.question, response).await?;
            Ok((check::check(gateway, world, &signed.call, answer).await?, head_at))
        };
        answered.await.map_err(|fault| judge(fault, &lane, self))
    }

    /// Signs and records the call: once, when the first door is open.
    async fn sign(&self) -> Result<Recorded<Signed>, Fault> {
        let call = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let call = call.ok_or_else(|| Fault::new(Leaf::InternalError, "internal error"))?;
        let parts = message::part_digests(call.question.bytes(), &call.attachments)?;
        let member = &call.question.client().member;
        let proof = message::sign(self.gateway, self.world, member, parts).await?;
        message::record(self.gateway, Signed { call, proof }).await
    }
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
