//! Where a register is led: there a write goes, and a read that finds no fresh copy here.
//!
//! A write goes to our register where we lead, else it is passed on as it came. One that can go nowhere is refused, in REST
//! by a signed answer that says that nothing was executed, and where it may be tried; a read by a fault.

use super::authorise::{Called, Permitted};
use super::continuity::{Course, Serving, access_of, course};
use super::forward::Answered;
use super::pass::{RelayedRequest, Unpassed, pass_on};
use super::receive::Proven;
use super::seal::seal;
use super::sites::Way;
use crate::Gateway;
use crate::embassy::authority::{Granted, Held};
use crate::embassy::exchange;
use crate::embassy::once::Claim;
use crate::embassy::relay::NOT_HERE;
use crate::embassy::wire::Heard;
use crate::messagelog::{Record, Recorded, SpoolWriter, Spooled};
use crate::net::body::Outgoing;
use crate::net::head::ResponseHead;
use crate::net::listen::Exchange;
use crate::net::message;
use crate::net::question::Question;
use crate::net::task::Account;
use crate::world::World;
use http::{HeaderValue, Response, StatusCode, header};
use saatkond_proto::continuity::authority::Lead;
use saatkond_proto::continuity::note::{HOPS_MAX, Note, Passed};
use saatkond_proto::continuity::once::{Again, Mark};
use saatkond_proto::continuity::{Access, Policy, Register, Site, Use, class, header as cont, refusal};
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, Retry, Side};
use saatkond_proto::limits::OCSP_AHEAD_SECS_MAX;
use saatkond_proto::message::rest::{self, Headers};
use saatkond_proto::transport;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a write waits while authority passes on: longer than a planned change takes.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How often it is looked who leads: each time the site asked before said that another does.
const TRIES: usize = 3;
/// Header lines of a message between gateways, which the one who leads needs, too. Spec: message-path §2.6.
const LINES: [&str; 7] = [
    "content-type",
    transport::MESSAGE_TYPE,
    transport::HASH_ALGORITHM,
    transport::ORIGINAL_CONTENT_TYPE,
    transport::ORIGINAL_SOAP_ACTION,
    transport::REQUEST_ID,
    transport::PROXY_VERSION,
];

/// What the policy says of a request.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'w> {
    policy: &'w Policy,
    pub(super) register: &'w Register,
    /// Where we stand.
    site: &'w Site,
    access: Access,
}

/// A request as it came, to be passed on.
#[derive(Debug)]
pub struct Came {
    pub(super) received: Spooled,
    pub(super) lines: Vec<(String, String)>,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) address: String,
    /// Notes of the doors that it passed; none when the one who asks brought it.
    pub(super) notes: Vec<Note>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Step {
    /// It goes to our register.
    Ours(Box<Proven>, Leave),
    /// It was answered elsewhere, or refused.
    Told(Response<Outgoing>),
}

/// What lets a request go to our register; it counts as under way until this is dropped.
#[derive(Debug, Default)]
pub struct Leave {
    serving: Option<Serving>,
    held: Option<Held>,
    claim: Option<Claim>,
}

impl Leave {
    /// With what authority our copy answers; `None` for what is no register.
    #[must_use]
    pub const fn serving(&self) -> Option<&Serving> {
        self.serving.as_ref()
    }

    /// What is said with the answer.
    #[must_use]
    pub fn told(&self) -> Headers {
        self.serving.as_ref().map(Serving::told).unwrap_or_default()
    }

    /// The request is recorded: it will not be let in again.
    pub fn recorded(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.kept();
        }
    }

    /// Whether the request may still go to the register: to be asked directly before.
    ///
    /// # Errors
    /// [`Fault`] with `continuity.not_authority` when another site leads since.
    pub fn still(&self) -> Result<(), Fault> {
        match &self.held {
            Some(held) if !held.is_ours() => {
                Err(Fault::new(Leaf::NotAuthority, "authority has passed to another site"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Takes down how a request of a register came, once its bytes are in: a door's notes must hold, and each door
/// must be one of the register's that its class allows. `None` for a request of anything else, which no door may bring.
///
/// # Errors
/// [`Fault`].
pub async fn came(
    gateway: &Gateway,
    world: &World,
    ground: Option<&Ground<'_>>,
    (asked, way): (&mut Exchange, Way),
    kept: Option<SpoolWriter>,
) -> Result<Option<Came>, Fault> {
    let Some((mut kept, ground)) = kept.zip(ground) else {
        if matches!(way, Way::ByDoor(_)) {
            let detail = "a door of another site brought a call that is none of a register's";
            return Err(Fault::new(Leaf::InvalidRequest, detail));
        }
        return Ok(None);
    };
    let received = kept.finish().await.map_err(message::unspooled)?;
    let notes = way.notes(gateway, world, asked, received.digest()).await?;
    for note in &notes {
        may_bring(world, ground, note)?;
    }
    let all = LINES.iter().flat_map(|name| asked.head.headers.all(name).map(move |value| (*name, value)));
    Ok(Some(Came {
        received,
        lines: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        chain: asked.caller.certificates.clone(),
        address: asked.caller.address.to_string(),
        notes,
    }))
}

/// Whether a door may bring a call of this register: consumers find it there, and its class allows it.
fn may_bring(world: &World, ground: &Ground<'_>, note: &Note) -> Result<(), Fault> {
    let (Passed { door, certificate, .. }, register) = (note.passed(), ground.register);
    if !world.conf.is_auth_cert_of(&register.id, certificate) {
        let detail =
            format!("{door} brings a call of register {}, which is not registered there", register.id);
        let stranger = Fault::new(Leaf::SslAuthenticationFailed, detail);
        return Err(stranger.under(Leaf::ServiceFailed).at(Side::Peer));
    }
    let forbidden = |error: class::Forbidden| Fault::new(Leaf::ClassForbidden, error.to_string());
    ground.policy.site_of(door).map_or(Ok(()), |site| register.may(Use::Relay, site)).map_err(forbidden)
}

impl Came {
    fn is_relayed(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Whether it may go through this door to `site`: there is a hop left, and it does not come from there.
    fn may_go_on(&self, policy: &Policy, site: &str) -> bool {
        let from = |note: &Note| policy.site_of(&note.passed().door).is_some_and(|s| s.id == site);
        self.notes.len() < HOPS_MAX && !self.notes.iter().any(from)
    }
}

/// Whether what comes in may have to be passed on as it came.
#[must_use]
pub fn passes_on(gateway: &Gateway, world: &World) -> bool {
    world.conf.continuity().is_some_and(|policy| policy.site_of(&gateway.conf.server).is_some())
}

/// What the policy says of a permitted request; `None` where it says nothing: as everywhere in X-Road.
#[must_use]
pub fn ground<'w>(gateway: &Gateway, world: &'w World, permitted: &Permitted) -> Option<Ground<'w>> {
    if matches!(permitted.called(), Called::Metaservice(_)) {
        return None;
    }
    let policy = world.conf.continuity()?;
    let question = permitted.question();
    let register = policy.register(&question.service().client)?;
    let site = policy.site_of(&gateway.conf.server)?;
    let access = access_of(world, register, question);
    Some(Ground { policy, register, site, access })
}

/// Says what becomes of a proven request, and passes it on or refuses it where it is not ours.
///
/// # Errors
/// [`Fault`].
pub async fn step(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    ground: &Ground<'_>,
    (proven, came): (Proven, &Came),
    account: &mut Account,
) -> Result<Step, Fault> {
    match turn(gateway, world, ground, &proven, came).await? {
        Whose::Ours { serving, held } => {
            let claim = claim(gateway, world, ground, &proven, came)?;
            Ok(Step::Ours(Box::new(proven), Leave { serving, held, claim }))
        }
        Whose::Told(response) => Ok(Step::Told(response)),
        Whose::Refused { lead, why } => {
            if came.is_relayed() {
                return Ok(Step::Told(not_here(gateway, ground, &why)?));
            }
            let fault = refused(ground, lead.as_ref(), why);
            let told = tell(gateway, world, (proven, fault), lead.as_ref(), account).await?;
            Ok(Step::Told(told))
        }
    }
}

/// Finds a way for a request that was let in, and lost its authority directly before the register was called.
///
/// # Errors
/// [`Fault`]; nothing was executed here.
pub async fn lost(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    ground: &Ground<'_>,
    (request, came): (&Recorded<Proven>, &Came),
    account: &mut Account,
) -> Result<Response<Outgoing>, Fault> {
    let (lead, why) = match turn(gateway, world, ground, request, came).await? {
        Whose::Told(response) => return Ok(response),
        Whose::Ours { .. } => (None, "authority has just come back to this site".to_owned()),
        Whose::Refused { lead, why } => (lead, why),
    };
    if came.is_relayed() {
        return not_here(gateway, ground, &why);
    }
    let fault = refused(ground, lead.as_ref(), why);
    match answer_of_refusal(request.permitted().question(), &fault) {
        Some(answered) => seal(gateway, world, request, answered, told_with(lead.as_ref()), account).await,
        None => Err(fault),
    }
}

/// Whether a fault says that this site does not lead, as when authority was lost directly before the register was called.
#[must_use]
pub fn is_lost(fault: &Fault) -> bool {
    matches!(fault.code, Code::Ours { leaf: Leaf::NotAuthority, .. })
}

//------------ whose turn it is ----------------------------------------------

enum Whose {
    Ours { serving: Option<Serving>, held: Option<Held> },
    Told(Response<Outgoing>),
    Refused { lead: Option<Lead>, why: String },
}

async fn turn(
    gateway: &Arc<Gateway>,
    world: &Arc<World>,
    ground: &Ground<'_>,
    proven: &Proven,
    came: &Came,
) -> Result<Whose, Fault> {
    let authority = &gateway.embassy.authority;
    let mut is_recorded = false;
    let mut last = None;
    for _ in 0..TRIES {
        let (lead, too_old) = match ground.access {
            Access::Read => match course(gateway, world, proven.permitted())? {
                Course::Plain => return Ok(Whose::Ours { serving: None, held: None }),
                Course::Serve(serving) => return Ok(Whose::Ours { serving: Some(serving), held: None }),
                Course::Pass(refusal) => match authority.lead(ground.policy, ground.register) {
                    Ok(lead) => (lead, Some(refusal.detail)),
                    Err(_) => return Ok(Whose::Refused { lead: None, why: refusal.detail }),
                },
            },
            Access::Write => {
                exchange::settle(gateway, world).await;
                let until = Instant::now() + WAIT_MAX;
                match authority.turn(ground.policy, ground.register, &ground.site.id, until).await {
                    Granted::Ours(held) => {
                        let serving = course(gateway, world, proven.permitted())?.served()?;
                        return Ok(Whose::Ours { serving, held: Some(held) });
                    }
                    Granted::Theirs(lead) => (lead, None),
                    Granted::Nobody(error) => {
                        return Ok(Whose::Refused { lead: None, why: error.to_string() });
                    }
                    Granted::Late => {
                        let why = format!("authority was passing on for more than {WAIT_MAX:?}");
                        return Ok(Whose::Refused { lead: None, why });
                    }
                }
            }
        };
        let Some(site) = ground.policy.site(&lead.site).filter(|s| came.may_go_on(ground.policy, &s.id))
        else {
            let why = too_old.unwrap_or_else(|| format!("site {} leads", lead.site));
            return Ok(Whose::Refused { lead: Some(lead), why });
        };
        if !std::mem::replace(&mut is_recorded, true) {
            message::record(gateway, RelayedRequest(proven)).await?;
        }
        match pass_on(gateway, world, (ground, site), proven, came).await {
            Ok(response) => return Ok(Whose::Told(response)),
            Err(Unpassed::Fault(fault)) => return Err(fault),
            Err(Unpassed::NotHere { order, why }) => {
                let took = match order {
                    Some(order) => exchange::take(gateway, ground.policy, &order.to_text()).await.is_ok(),
                    None => false,
                };
                last = Some((lead, why));
                if !took {
                    break;
                }
            }
            Err(Unpassed::Untouched(why)) => {
                let why = too_old.map_or_else(|| why.clone(), |too_old| format!("{too_old}; {why}"));
                return Ok(Whose::Refused { lead: Some(lead), why });
            }
        }
    }
    let (lead, why) = last.unzip();
    Ok(Whose::Refused { lead, why: why.unwrap_or_default() })
}

/// Lets a write, or whatever a door brought, in once.
fn claim(
    gateway: &Gateway,
    world: &World,
    ground: &Ground<'_>,
    proven: &Proven,
    came: &Came,
) -> Result<Option<Claim>, Fault> {
    if ground.access == Access::Read && !came.is_relayed() {
        return Ok(None);
    }
    let entry = proven.entry();
    let mark = Mark::of(&entry.message, &entry.proof.signature);
    let window = world.conf.ocsp_policy().freshness + Duration::from_secs(OCSP_AHEAD_SECS_MAX);
    match gateway.embassy.calls.claim(mark, gateway.now(), window) {
        Ok(claim) => Ok(Some(claim)),
        Err(Again::Full) if !came.is_relayed() => Ok(None),
        Err(again) => Err(Fault::new(Leaf::AlreadyExecuted, format!("{again}; it is not executed again"))
            .retry(Retry::Unknown)
            .because(again)),
    }
}

//------------ refusing ------------------------------------------------------

/// What is told of a call that went nowhere.
fn refused(ground: &Ground<'_>, lead: Option<&Lead>, why: String) -> Fault {
    let register = &ground.register.id;
    tracing::info!(%register, why, site = lead.map_or("", |lead| &lead.site), "call refused");
    let (leaf, what) = match ground.access {
        Access::Write => (Leaf::NotAuthority, "nothing of this call was executed"),
        Access::Read => (Leaf::StalenessExceeded, "no copy that is reached is fresh enough"),
    };
    Fault::new(leaf, format!("register {register}: {why}; {what}")).retry(Retry::Untouched)
}

/// Refuses a call: a write by REST is recorded and answered under our signature, anything else gets a fault.
async fn tell(
    gateway: &Gateway,
    world: &World,
    (proven, fault): (Proven, Fault),
    lead: Option<&Lead>,
    account: &mut Account,
) -> Result<Response<Outgoing>, Fault> {
    let answered = answer_of_refusal(proven.permitted().question(), &fault);
    let Some(answered) = answered else {
        return Err(fault);
    };
    let request = message::record(gateway, proven).await?;
    seal(gateway, world, &request, answered, told_with(lead), account).await
}

/// The answer that says that nothing was executed; `None` for SOAP, and for a read: it goes on by a fault alone.
fn answer_of_refusal(question: &Question, fault: &Fault) -> Option<Answered> {
    let Question::Rest(request) = question else { return None };
    if !is_lost(fault) {
        return None;
    }
    let code = fault.code.text(Origin::ServerProxy);
    let (content_type, body) = rest::error_body(request.headers.all("accept"), &code, &fault.detail, None);
    let mut headers = Headers::default();
    headers.push("Content-Type", content_type);
    headers.push("X-Road-Error", code);
    let head = ResponseHead { status: refusal::STATUS, reason: "Service Unavailable".to_owned(), headers };
    Some(Answered::Rest { head, body: Some(Spooled::from_bytes(body.into())) })
}

/// What is said with a refusal: where the call may be tried.
fn told_with(lead: Option<&Lead>) -> Headers {
    let mut told = Headers::default();
    if let Some(lead) = lead {
        told.push(cont::RETRY, refusal::safe_at(&lead.site));
    }
    told
}

/// Tells a door that this site does not lead, and by which order.
fn not_here(gateway: &Gateway, ground: &Ground<'_>, why: &str) -> Result<Response<Outgoing>, Fault> {
    let order = gateway.embassy.authority.warrant(&ground.register.id).map(|warrant| warrant.to_text());
    let heard = Heard { stands: false, why: Some(why.to_owned()), order };
    let body = serde_json::to_vec(&heard).map_err(message::internal)?;
    let mut response = Response::new(Outgoing::sized().bytes(body));
    *response.status_mut() = StatusCode::from_u16(NOT_HERE).map_err(message::internal)?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
