//! A request is passed on to the site that leads, and its answer back: not a byte of either is changed.
//!
//! Both are recorded: the request before it leaves, the answer before it is told. Home may be gone the next moment, and
//! with it its log. The records say `relayed`, so nobody takes this server for the one that answered.

use super::authorise::Called;
use super::lead::{Came, Ground};
use super::receive::Proven;
use crate::Gateway;
use crate::embassy::relay::{self, Call, RelayError};
use crate::messagelog::{Direction, Entry, Kind, Record};
use crate::net::body::{BodyError, Outgoing};
use crate::net::message::{self, Inbound, Message, Rest};
use crate::net::question::Question;
use crate::world::World;
use bytes::Bytes;
use http::{Response, header};
use saatkond_proto::continuity::Site;
use saatkond_proto::continuity::authority::Warrant;
use saatkond_proto::fault::{Fault, Leaf, Retry};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::rest;
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::transport::read;
use std::time::Duration;

/// What a site that leads may need besides its service: to verify, record and sign.
const BESIDES_SERVICE: Duration = Duration::from_secs(10);

/// A request that was not answered elsewhere.
pub(super) enum Unpassed {
    /// Nothing was executed.
    Untouched(String),
    /// The site asked does not lead.
    NotHere { order: Option<Box<Warrant>>, why: String },
    /// It is to be told.
    Fault(Fault),
}

impl From<Fault> for Unpassed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Passes a request on, and tells the answer.
pub(super) async fn pass_on(
    gateway: &Gateway,
    world: &World,
    (ground, site): (&Ground<'_>, &Site),
    proven: &Proven,
    came: &Came,
) -> Result<Response<Outgoing>, Unpassed> {
    if let Some(why) = gateway.embassy.rounds.is_away(&site.id) {
        tracing::debug!(site = site.id, why, "call not passed on");
        return Err(Unpassed::Untouched(unreached(site)));
    }
    let call = Call {
        received: &came.received,
        lines: came.lines.clone(),
        chain: &came.chain,
        address: came.address.clone(),
        notes: &came.notes,
        order: gateway.embassy.authority.warrant(&ground.register.id),
    };
    let service = match proven.permitted().called() {
        Called::Service(callee) => callee.service.timeout,
        Called::Metaservice(_) => Duration::ZERO,
    };
    let brought = relay::bring(gateway, world, site, &call, service + BESIDES_SERVICE).await;
    let unknown = |why: &str| {
        tracing::warn!(site = site.id, why, "outcome of a call that was passed on is not known");
        let detail = format!(
            "site {} was given the call and did not answer: whether it was executed is not known",
            site.id
        );
        Unpassed::Fault(Fault::new(Leaf::OutcomeUnknown, detail).retry(Retry::Unknown))
    };
    match brought {
        Ok(answer) => {
            let told = read(gateway, proven, answer).await;
            told.map_err(|unread| match unread {
                Unread::Broken(why) => unknown(&why),
                Unread::Fault(fault) => Unpassed::Fault(fault),
            })
        }
        Err(RelayError::Untouched(why)) => {
            tracing::warn!(site = site.id, why, "call not passed on");
            Err(Unpassed::Untouched(unreached(site)))
        }
        Err(RelayError::NotHere { order, why, .. }) => Err(Unpassed::NotHere { order, why }),
        Err(RelayError::Unknown(why)) => Err(unknown(&why)),
    }
}

fn unreached(site: &Site) -> String {
    format!("site {} leads and is not reached from here", site.id)
}

enum Unread {
    Broken(String),
    Fault(Fault),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the answer of the site that leads to its end, records it, and makes it ours to tell: not a byte is changed.
async fn read(
    gateway: &Gateway,
    proven: &Proven,
    answer: relay::Answer,
) -> Result<Response<Outgoing>, Unread> {
    let relay::Answer { head, mut body, connection } = answer;
    let mut kept = gateway.spool.writer();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|v| rest::from_latin1(v.as_bytes())).unwrap_or_default();
    let question = proven.permitted().question();
    let mut message = None;
    if !read::is_plain_fault(&content_type) {
        let expect = match question {
            Question::Rest(_) => read::Expect::RestResponse,
            Question::Soap(_) => read::Expect::SoapResponse,
        };
        let reading = async {
            let inbound = Inbound::new(&content_type, expect, &mut body)?.keeping(Some(&mut kept));
            let (start, inbound) = inbound.start().await?;
            Ok::<_, Fault>((start.message, inbound.rest(&gateway.spool).await?))
        };
        match reading.await {
            Ok(parts) => message = Some(parts),
            Err(fault) if fault.source.as_ref().is_some_and(|source| source.is::<BodyError>()) => {
                return Err(Unread::Broken(fault.detail));
            }
            // A fault, or something that the one who asked will judge: it is told as it is.
            Err(fault) => tracing::debug!(%fault, "answer that is passed on is no message"),
        }
    }
    while let Some(piece) = body.next().await.map_err(|e| Unread::Broken(e.to_string()))? {
        kept.write(&piece).await.map_err(message::unspooled)?;
    }
    gateway.net.gateways.give(connection);
    if let Some((message, rest)) = message {
        message::record(gateway, RelayedAnswer { question, message, rest }).await?;
    }
    let kept = kept.finish().await.map_err(message::unspooled)?;
    let mut response = Response::new(Outgoing::sized().spooled(&kept));
    let framing = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::DATE];
    for (name, value) in &head.headers {
        if !framing.contains(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    Ok(response)
}

/// A request that we verified and pass on.
pub(super) struct RelayedRequest<'a>(pub(super) &'a Proven);

impl Record for RelayedRequest<'_> {
    fn entry(&self) -> Entry {
        Entry { direction: Direction::Relayed, ..self.0.entry() }
    }
}

/// An answer that another site gave, and we pass on. The one who asked verifies it.
struct RelayedAnswer<'a> {
    question: &'a Question,
    message: Message,
    rest: Rest,
}

impl Record for RelayedAnswer<'_> {
    fn entry(&self) -> Entry {
        let (client, service): (&ClientId, &ServiceId) = (self.question.client(), self.question.service());
        let message = match &self.message {
            Message::Rest(block) => block,
            Message::Soap { envelope, .. } => envelope,
        };
        Entry {
            kind: Kind::Response,
            direction: Direction::Relayed,
            query_id: self.question.id().to_owned(),
            request_id: self.question.request_id().to_owned(),
            client: client.clone(),
            service: service.clone(),
            message: Bytes::copy_from_slice(message),
            proof: SignatureParts {
                signature: self.rest.signature.as_slice().into(),
                hash_chain_result: self.rest.hash_chain_result.as_deref().map(Into::into),
                hash_chain: self.rest.hash_chain.clone(),
            },
            attachments: self.rest.attachments.iter().map(|a| a.body.clone()).collect(),
        }
    }
}
