//! Another site asks, over the sites' own listener: it passes a call on, tells an order, or compares tokens.
//!
//! Who asks is a server that the policy lists at a site, by its authentication certificate; its OCSP responses come with
//! what it says. A call that is passed on goes through every check as if the one who asks had brought it, with the
//! certificates that the first door says it saw in place of the peer's, and through those of the doors' notes.

use super::{Handshakes, Whom, answer, seal};
use crate::Gateway;
use crate::embassy::authority::AuthorityError;
use crate::embassy::exchange;
use crate::embassy::relay::NOT_FROM_YOU;
use crate::embassy::switch;
use crate::embassy::wire::{self, Age, Heard, PASSING_BYTES_MAX, Passing, SAID_BYTES_MAX, Said, Tokens};
use crate::net::body::{BodyError, Incoming, Outgoing};
use crate::net::head::{Framing, RequestHead};
use crate::net::listen::{self, Caller, Deadlines, Exchange, Listener, Stop};
use crate::net::peer::{self, PeerError};
use crate::net::task::{self, Account};
use crate::world::World;
use http::{HeaderValue, Response, StatusCode, header};
use saatkond_proto::continuity::Policy;
use saatkond_proto::continuity::authority::{Warrant, WarrantError};
use saatkond_proto::continuity::note::{self, Note, NoteError};
use saatkond_proto::fault::{Fault, Leaf, Side};
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::limits::NOTE_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tower::Layer as _;
use tower::limit::ConcurrencyLimitLayer;

/// Calls and questions of other sites under way at once; more wait for their turn.
const UNDER_WAY_MAX: usize = 1024;

/// By which way a request came.
#[derive(Debug)]
pub enum Way {
    /// The one who asks brought it.
    Direct,
    /// A door of another site brought it.
    ByDoor(Box<Door>),
}

/// A door of another site that brings a call.
#[derive(Debug)]
pub struct Door {
    server: ServerId,
    /// What it showed in TLS.
    certificate: Vec<u8>,
    /// The notes of the doors before it.
    before: Vec<Note>,
}

impl Way {
    /// The door to which the one who asks brought the call, if that was another.
    #[must_use]
    pub fn first_door(&self) -> Option<&ServerId> {
        match self {
            Self::Direct => None,
            Self::ByDoor(door) => Some(door.before.first().map_or(&door.server, |note| &note.passed().door)),
        }
    }

    /// The notes that vouch for a call whose bytes have digest `message`, once they are found to hold. The last stands
    /// behind the call in `body`.
    ///
    /// # Errors
    /// [`Fault`] with `ssl_authentication_failed`: nobody who may has brought this call.
    pub async fn notes(
        self,
        gateway: &Gateway,
        world: &World,
        asked: &mut Exchange,
        message: &[u8],
    ) -> Result<Vec<Note>, Fault> {
        let Self::ByDoor(door) = self else { return Ok(Vec::new()) };
        let refused = |error: NoteError| {
            Fault::new(Leaf::SslAuthenticationFailed, error.to_string())
                .under(Leaf::ServiceFailed)
                .at(Side::Peer)
                .because(error)
        };
        asked.body.ends_after(None);
        let text = framed(&mut asked.body, NOTE_BYTES_MAX).await;
        let text = text.ok().flatten().and_then(|text| String::from_utf8(text).ok());
        let last =
            text.ok_or(NoteError::Malformed).and_then(|text| Note::from_text(&text)).map_err(refused)?;
        if last.passed().certificate != door.certificate {
            return Err(refused(NoteError::Certificate { door: last.passed().door.clone() }));
        }
        let mut notes = door.before;
        notes.push(last);
        let policy = world.conf.continuity().ok_or(NoteError::Malformed).map_err(refused)?;
        let chain = &asked.caller.certificates;
        note::check(&notes, (message, chain), &world.conf, policy, gateway.now()).map_err(refused)?;
        Ok(notes)
    }
}

/// Serves other sites until `stop`.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, stop: Stop) {
    let timeouts = &gateway.conf.timeouts;
    let deadlines = Deadlines { idle: timeouts.idle, drain: timeouts.drain };
    let handshakes = match Handshakes::new(&gateway, Whom::Sites) {
        Ok(handshakes) => handshakes,
        Err(error) => {
            tracing::error!(%error, "other sites are not served");
            return;
        }
    };
    let serving = Arc::clone(&gateway);
    let limit = ConcurrencyLimitLayer::new(UNDER_WAY_MAX);
    let service = limit.layer(tower::service_fn(move |asked: Exchange| {
        let gateway = Arc::clone(&serving);
        async move { Ok::<_, Infallible>(one(gateway, asked).await) }
    }));
    listen::serve(door, deadlines, || handshakes.speech(), stop, service).await;
}

async fn one(gateway: Arc<Gateway>, asked: Exchange) -> Response<Outgoing> {
    let is_relay = asked.head.target == wire::RELAY;
    let exchange =
        async move { if is_relay { relayed(gateway, asked).await } else { said(gateway, asked).await } };
    match task::run(exchange).await {
        Ok(response) => response,
        Err(panicked) => told(500, &Heard::because(panicked.to_string())),
    }
}

//------------ a call that is passed on --------------------------------------

async fn relayed(gateway: Arc<Gateway>, asked: Exchange) -> Response<Outgoing> {
    let mut account = Account::new("provider");
    let (mut inner, way) = match unwrapped(&gateway, asked).await {
        Ok(unwrapped) => unwrapped,
        Err(refused) => {
            tracing::warn!(error = %refused, "call of another site not taken");
            return told(NOT_FROM_YOU, &Heard::because(refused.to_string()));
        }
    };
    let answered = answer(&gateway, &mut inner, way, &mut account).await;
    inner.body.ends_after(None);
    inner.body.discard();
    let (response, code) = match answered {
        Ok(response) => (response, "ok".to_owned()),
        Err(fault) => seal::tell(fault, &account),
    };
    account.close(&code);
    response
}

/// Why a call that is passed on is not looked at.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("what stands before the call cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("what stands before the call cannot be read")]
    Malformed,
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Takes a call out of what stands around it, as if the one who asks had brought it.
async fn unwrapped(gateway: &Gateway, asked: Exchange) -> Result<(Exchange, Way), Refused> {
    let world = gateway.world();
    let Exchange { mut body, caller, .. } = asked;
    let passing = framed(&mut body, PASSING_BYTES_MAX).await?.ok_or(Refused::Malformed)?;
    let passing: Passing = serde_json::from_slice(&passing)?;
    let statuses = wire::from_base64(&passing.statuses).ok_or(Refused::Malformed)?;
    let server = peer::judge_site_client(gateway, &world, &caller.certificates, &statuses)?;
    if let (Some(order), Some(policy)) = (&passing.order, world.conf.continuity())
        && let Err(error) = exchange::take(gateway, policy, order).await
    {
        tracing::warn!(%server, %error, "order of another site not taken");
    }
    let before = passing.notes.iter().map(|text| Note::from_text(text)).collect::<Result<Vec<_>, _>>()?;
    if before.len() >= note::HOPS_MAX {
        return Err(NoteError::Hops { found: before.len() + 1 }.into());
    }
    let certificates = wire::from_base64(&passing.chain).ok_or(Refused::Malformed)?;
    let address = passing.address.parse().unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let head = RequestHead {
        method: "POST".to_owned(),
        target: "/".to_owned(),
        headers: passing.lines.into_iter().collect(),
        is_http10: false,
        framing: Framing::Length(passing.length),
        closes: false,
        expects_continue: false,
    };
    body.ends_after(Some(passing.length));
    let certificate = caller.certificates.first().cloned().unwrap_or_default();
    let caller = Arc::new(Caller { address, is_tls: true, certificates });
    let way = Way::ByDoor(Box::new(Door { server, certificate, before }));
    Ok((Exchange { head, body, caller }, way))
}

/// Bytes behind their own length; `None` where there are fewer, or more than `most`.
async fn framed(body: &mut Incoming, most: usize) -> Result<Option<Vec<u8>>, BodyError> {
    let length = body.exactly(4).await?;
    let Some(length) = length.first_chunk::<4>().map(|b| u32::from_be_bytes(*b) as usize) else {
        return Ok(None);
    };
    if length > most {
        return Ok(None);
    }
    Ok(Some(body.exactly(length).await?).filter(|bytes| bytes.len() == length))
}

//------------ what is said --------------------------------------------------

async fn said(gateway: Arc<Gateway>, mut asked: Exchange) -> Response<Outgoing> {
    let world = gateway.world();
    let answered = async {
        let bytes = asked.body.whole(SAID_BYTES_MAX).await.map_err(|error| unread(&error))?;
        let Some(policy) = world.conf.continuity() else {
            return Err((404, "there is no policy here".to_owned()));
        };
        let shown = &asked.caller.certificates;
        let heard = |bytes: &[u8]| heard::<String>(&gateway, &world, shown, bytes);
        match asked.head.target.as_str() {
            wire::TOKENS => {
                let (_, tokens) = self::heard::<Tokens>(&gateway, &world, shown, &bytes)?;
                Ok(told(200, &exchange::compared(&gateway, policy, &tokens)))
            }
            wire::ORDER => Ok(told(200, &taken(&gateway, policy, &heard(&bytes)?.1).await)),
            wire::AGE => Ok(told(200, &age(&gateway, &world, &heard(&bytes)?.1))),
            wire::SWITCH => {
                let (server, order) = heard(&bytes)?;
                switched(&gateway, &world, &server, &order).await
            }
            _ => Err((404, "no such path".to_owned())),
        }
    };
    answered.await.unwrap_or_else(|(status, why)| told(status, &Heard::because(why)))
}

fn unread(error: &dyn std::fmt::Display) -> (u16, String) {
    (400, error.to_string())
}

/// Reads what was said, and judges who said it; the error is a status and why.
fn heard<T: DeserializeOwned>(
    gateway: &Gateway,
    world: &World,
    shown: &[Vec<u8>],
    bytes: &[u8],
) -> Result<(ServerId, T), (u16, String)> {
    let Said { statuses, said } = serde_json::from_slice(bytes).map_err(|error| unread(&error))?;
    let statuses = wire::from_base64(&statuses).ok_or_else(|| unread(&"no base64"))?;
    let server = peer::judge_site_client(gateway, world, shown, &statuses).map_err(|error| {
        tracing::warn!(%error, "what another server says is not heard");
        (NOT_FROM_YOU, error.to_string())
    })?;
    Ok((server, said))
}

async fn taken(gateway: &Gateway, policy: &Policy, order: &str) -> Heard {
    let warrant = match Warrant::from_text(order) {
        Ok(warrant) => warrant,
        Err(error) => return Heard::because(error.to_string()),
    };
    match gateway.embassy.authority.adopt(policy, &warrant).await {
        Ok(_) => Heard { stands: true, ..Heard::default() },
        Err(error) => {
            let is_lower = matches!(error, AuthorityError::Refused(WarrantError::NotHigher { .. }));
            let ours = gateway.embassy.authority.warrant(&warrant.claim().register).filter(|_| is_lower);
            Heard { order: ours.map(|ours| ours.to_text()), ..Heard::because(error.to_string()) }
        }
    }
}

fn age(gateway: &Gateway, world: &World, register: &str) -> Age {
    let Ok(register) = ClientId::from_path(register) else { return Age::default() };
    let leads = gateway.embassy.holder(&world.conf, &gateway.conf.server, &register).is_some_and(|h| h.is_us);
    if leads {
        return Age { millis: Some(0) };
    }
    // Rounded up: a copy is never said to be fresher than it is.
    let millis = |age: std::time::Duration| u64::try_from(age.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    Age { millis: gateway.embassy.staleness(&register).map(millis) }
}

async fn switched(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    server: &ServerId,
    order: &str,
) -> Result<Response<Outgoing>, (u16, String)> {
    let warrant = Warrant::from_text(order).map_err(|error| (409, error.to_string()))?;
    let claim = warrant.claim();
    tracing::info!(%server, register = %claim.register, to = claim.site, "change of authority asked for");
    let switched = switch::here(gateway, world, &warrant).await.map_err(|error| (409, error.to_string()))?;
    Ok(told(200, &switched))
}

fn told(status: u16, what: &impl Serialize) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::sized().bytes(serde_json::to_vec(what).unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
