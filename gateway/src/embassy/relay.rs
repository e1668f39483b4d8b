//! A call is passed on to the site that leads: the bytes as they came, what the first door saw in TLS, and a signed note.
//!
//! The note goes last. Until its first byte is handed to TLS nothing was executed, whatever happens to the connection.

use super::wire::{self, Heard, Passing};
use crate::Gateway;
use crate::messagelog::Spooled;
use crate::net::body::{Incoming, Outgoing};
use crate::net::outward::Lane;
use crate::net::pool::{AskError, Connection};
use crate::net::sites::{self, SiteError};
use crate::world::World;
use http::response::Parts;
use saatkond_proto::continuity::Site;
use saatkond_proto::continuity::authority::Warrant;
use saatkond_proto::continuity::note::{Note, Passed, chain_digest};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of an answer that says why a call was not taken.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// The status by which a site says that it does not lead; nothing was executed.
pub const NOT_HERE: u16 = 421;
/// The status by which a site says that it does not take calls from this door; nothing was executed.
pub const NOT_FROM_YOU: u16 = 403;

/// A call as it came to the first door.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Its bytes.
    pub received: &'a Spooled,
    /// Its header lines.
    pub lines: Vec<(String, String)>,
    /// What the one who asked showed in TLS (DER), leaf first.
    pub chain: &'a [Vec<u8>],
    /// From where the one who asked connected.
    pub address: String,
    /// The notes of the doors before this one.
    pub notes: &'a [Note],
    /// The order by which we take the site for the one that leads; it may not have heard of it.
    pub order: Option<Warrant>,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: Parts,
    /// Its body.
    pub body: Incoming,
    /// Its connection, to be kept when the body was read to its end.
    pub connection: Connection,
}

/// A call that was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// It was certainly not executed.
    #[error("{0}")]
    Untouched(String),
    /// It was not executed: the site does not lead. It may have told who does.
    #[error("site {site} does not lead: {why}")]
    NotHere {
        /// Which.
        site: String,
        /// What it said.
        why: String,
        /// The order that stands there.
        order: Option<Box<Warrant>>,
    },
    /// It may have been executed.
    #[error("{0}")]
    Unknown(String),
}

/// Brings a call to the site that leads, and waits for the head of its answer.
///
/// # Errors
/// [`RelayError`].
///
/// # Cancel safety
/// A dropped call may have been executed.
pub async fn bring(
    gateway: &Gateway,
    world: &World,
    site: &Site,
    call: &Call<'_>,
    allowed: Duration,
) -> Result<Answer, RelayError> {
    let (passing, note) = write(gateway, world, call)?;
    let mut anew = false;
    loop {
        let untouched = |error: SiteError| RelayError::Untouched(error.to_string());
        let mut connection = sites::open(gateway, world, site, anew).await.map_err(untouched)?;
        let lane = connection.lane().clone();
        let body = body(&passing, call.received, &note, &lane);
        let request = sites::request(wire::RELAY, body).map_err(|e| RelayError::Untouched(e.to_string()))?;
        let asked = timeout(allowed, connection.ask(request)).await;
        let failed = match asked {
            Ok(Ok(answer)) => return judge(site, answer, connection, gateway.conf.timeouts.idle).await,
            Ok(Err(error)) => {
                // A kept connection that had ended meanwhile.
                let had_ended = connection.is_reused() && !lane.is_handed();
                if had_ended && !matches!(error, AskError::Refused(_)) {
                    anew = true;
                    continue;
                }
                format!("site {} did not answer: {error}", site.id)
            }
            Err(_) => format!("site {} did not answer within {allowed:?}", site.id),
        };
        return Err(if lane.is_handed() {
            RelayError::Unknown(failed)
        } else {
            RelayError::Untouched(failed)
        });
    }
}

/// What stands before the call and behind it.
fn write(gateway: &Gateway, world: &World, call: &Call<'_>) -> Result<(Vec<u8>, Vec<u8>), RelayError> {
    let untouched = |error: &dyn std::fmt::Display| RelayError::Untouched(error.to_string());
    let now = gateway.now();
    let auth = world.auth(now).map_err(|e| untouched(&e))?;
    let passed = Passed {
        door: gateway.conf.server.clone(),
        chain: chain_digest(call.chain),
        message: call.received.digest().to_vec(),
        previous: call.notes.last().map(Note::digest),
        time: now,
        certificate: auth.certificate.der().to_vec(),
    };
    let (algorithm, signature) = auth.sign(&Note::to_sign(&passed)).map_err(|e| untouched(&e))?;
    let note = Note::new(passed, algorithm, signature).to_text().into_bytes();
    let passing = Passing {
        statuses: wire::statuses(&auth.responses),
        chain: call.chain.iter().map(|der| wire::base64(der)).collect(),
        address: call.address.clone(),
        lines: call.lines.clone(),
        notes: call.notes.iter().map(Note::to_text).collect(),
        length: call.received.len(),
        order: call.order.as_ref().map(Warrant::to_text),
    };
    let passing = serde_json::to_vec(&passing).map_err(|e| untouched(&e))?;
    Ok((framed(passing), framed(note)))
}

/// Puts its length before it.
fn framed(bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &bytes].concat()
}

fn body(passing: &[u8], received: &Spooled, note: &[u8], lane: &Lane) -> Outgoing {
    Outgoing::sized().bytes(passing.to_vec()).spooled(received).seal(note.to_vec(), lane)
}

async fn judge(
    site: &Site,
    answer: http::Response<hyper::body::Incoming>,
    connection: Connection,
    idle: Duration,
) -> Result<Answer, RelayError> {
    let (head, body) = answer.into_parts();
    let mut body = Incoming::new(body, idle);
    let status = head.status.as_u16();
    match status {
        200 => Ok(Answer { head, body, connection }),
        NOT_HERE => {
            let said = body.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
            let heard: Heard = serde_json::from_slice(&said).unwrap_or_default();
            let order = heard.order.and_then(|text| Warrant::from_text(&text).ok()).map(Box::new);
            let why = heard.why.unwrap_or_default();
            Err(RelayError::NotHere { site: site.id.clone(), why, order })
        }
        NOT_FROM_YOU => {
            let said = body.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
            let heard: Heard = serde_json::from_slice(&said).unwrap_or_default();
            let why = heard.why.unwrap_or_default();
            Err(RelayError::Untouched(format!("site {} does not take the call: {why}", site.id)))
        }
        status => Err(RelayError::Unknown(format!("site {} answered with HTTP status {status}", site.id))),
    }
}
