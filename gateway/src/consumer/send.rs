//! When a call may go to another door, and who is asked beside whom.
//!
//! One rule for the whole product. (a) Until the first byte of the signature part is handed to TLS, any call
//! may: no conforming provider acts on an unsigned message. (b) After that, without a verified answer, only reads may: what
//! the register's provider declares to be one, else GET, HEAD and OPTIONS; anything else, SOAP included, ends as
//! `outcome_unknown`, told to the caller and never repeated. (c) A fault is only the TLS peer's word: reads go on, writes do not. A write goes on, once, to
//! the site that a *signed* answer names which says that nothing was executed.
//!
//! Doors are tried in turn. A read of a register whose doors are watched does not wait for one that is lost, or slower than
//! it ever is: the next is asked beside it, and the first answer that holds counts. Second attempts come out of a budget.

use super::attempt::{Answered, Call, Errand};
use super::check::{Matched, Told};
use super::resolve::Route;
use crate::Gateway;
use crate::net::dial::{Door, Learned, Opened, Order};
use crate::net::message;
use crate::net::outward::Lane;
use crate::net::task::Account;
use crate::world::World;
use saatkond_proto::continuity::{Access, refusal};
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, Retry, Side};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// For how long a door must be lost until the caller of a call that was handed over there is told that its outcome is not
/// known.
const LOST_FOR: Duration = Duration::from_secs(5);
/// Attempts of one read side by side.
const BESIDE_MAX: usize = 2;

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
    let Route { doors, order, may_repeat, access } = route;
    account.bytes += message::len(&call.attachments);
    let errand = Errand::new(gateway, world, call, may_repeat);
    let matched = match access {
        Some(Access::Read) => beside(&errand, doors, account).await?,
        Some(Access::Write) => Box::pin(watched(&errand, doors, order, account)).await?,
        None => in_turn(&errand, doors, order, account).await?,
    };
    account.bytes += matched.body_len();
    Ok(matched)
}

//------------ the rule ------------------------------------------------------

/// Whether a call that failed like this may be brought to another door.
const fn may_move(fault: &Fault, may_repeat: bool) -> bool {
    match fault.retry {
        Retry::Untouched => true,
        Retry::Unknown => may_repeat,
        Retry::Pointless => false,
    }
}

/// Says what a failure means for the call: whether it may have taken effect.
pub(super) fn judge(fault: Fault, lane: &Lane, errand: &Errand<'_>) -> Fault {
    if !lane.is_handed() {
        return fault.retry(Retry::Untouched);
    }
    if is_final(&fault, errand.is_soap) {
        return fault.retry(Retry::Pointless);
    }
    let broke_off = matches!(&fault.code, Code::Ours { leaf: Leaf::IoError | Leaf::NetworkError, .. });
    let fault = fault.retry(Retry::Unknown);
    // The peer's own words stay as they are, and what it said is known.
    if errand.may_repeat || matches!(fault.code, Code::Foreign(_)) {
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

/// Whether every door would say the same: what the provider decided, not what failed at one of its gateways. In SOAP a
/// fault whose code is no gateway's is the service's own answer.
fn is_final(fault: &Fault, is_soap: bool) -> bool {
    const GATEWAYS: [&str; 2] = [Origin::ServerProxy.text(), Origin::ClientProxy.text()];
    const DECIDED: [Leaf; 4] =
        [Leaf::AccessDenied, Leaf::UnknownService, Leaf::ServiceType, Leaf::InvalidRequest];
    let Code::Foreign(code) = &fault.code else { return false };
    let (code, own) = (code.to_lowercase(), |code: &str| GATEWAYS.iter().any(|of| code.starts_with(of)));
    let last = code.rsplit('.').next().unwrap_or_default();
    DECIDED.iter().any(|leaf| leaf.text() == last) || (is_soap && !own(&code))
}

/// The site to which a signed answer sends a write that was not executed.
fn sent_on(matched: &Matched) -> Option<&str> {
    match matched.told() {
        Told::Rest(response) => refusal::sends_to(response),
        Told::Soap(_) => None,
    }
}

//------------ a provider without sites --------------------------------------

/// One door after the other, in the order given.
async fn in_turn(
    errand: &Errand<'_>,
    mut doors: Vec<Door>,
    order: Order,
    account: &mut Account,
) -> Result<Matched, Fault> {
    let gateway = errand.gateway;
    let known = &gateway.embassy.doors;
    let mut last: Option<Fault> = None;
    loop {
        let mut learned = Learned::default();
        let opened = errand.open(&doors, order, true, &mut learned).await;
        let sick = learned.missed.iter().chain(&learned.beaten).filter_map(|place| doors.get(*place));
        sick.for_each(|door| known.sickened(door));
        // What a door said is of more use than that no other is open.
        let Opened { index, connection } = opened.map_err(|fault| last.take().unwrap_or(fault))?;
        let door = doors.remove(index);
        account.server = door.server.to_string();
        match errand.bring(connection).await {
            Ok(Answered { matched, .. }) => {
                gateway.net.fastest.won(&door);
                return Ok(matched);
            }
            Err(fault) if may_move(&fault, errand.may_repeat) && !doors.is_empty() => {
                moved(account, &door, &fault);
                known.sickened(&door);
                last = Some(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
}

fn moved(account: &Account, door: &Door, fault: &Fault) {
    tracing::warn!(query_id = %account.query_id, server = %door.server, detail = %fault.detail,
        "call goes to another door");
}

//------------ a register: doors that are watched ----------------------------

/// One door after the other, none waited for that is lost: for calls that may not be asked twice.
async fn watched(
    errand: &Errand<'_>,
    mut doors: Vec<Door>,
    order: Order,
    account: &mut Account,
) -> Result<Matched, Fault> {
    let access = Access::Write;
    let known = &errand.gateway.embassy.doors;
    let (mut last, mut may_be_kept, mut was_sent_on): (Option<Fault>, bool, bool) = (None, true, false);
    loop {
        let opened = reach(errand, &doors, order, may_be_kept).await;
        let Opened { index, connection } = opened.map_err(|fault| last.take().unwrap_or(fault))?;
        let door = doors.remove(index);
        account.server = door.server.to_string();
        let was_kept = connection.is_reused();
        let fault = match patiently(errand, &door, connection.lane().clone(), errand.bring(connection)).await
        {
            Ok(Answered { matched, took }) => {
                known.answered(&door, &errand.provider, access, Some(took));
                let next = match sent_on(&matched).filter(|_| !was_sent_on) {
                    Some(site) => known.at_site(errand.world, &errand.provider, site),
                    None => Vec::new(),
                };
                if next.is_empty() || next.contains(&door) || !known.takes_second(&errand.provider) {
                    return Ok(matched);
                }
                tracing::info!(query_id = %account.query_id, from = %door.server,
                    "write goes to the site that leads, as a signed answer says");
                // What was answered is kept, before anything else happens.
                drop(message::record(errand.gateway, matched).await?);
                (doors, was_sent_on, may_be_kept, last) = (next, true, true, None);
                continue;
            }
            Err(fault) => fault,
        };
        let is_untouched = fault.retry == Retry::Untouched;
        if is_untouched && was_kept {
            // A kept connection may have ended meanwhile, which says nothing of the door.
            doors.insert(0, door);
            may_be_kept = false;
            continue;
        }
        // Who tells of a fault is there: of one write that fails, others learn nothing.
        match (fault.retry, &fault.code) {
            (Retry::Pointless, _) | (_, Code::Foreign(_)) => heard(errand, &door, access, &fault),
            (Retry::Untouched | Retry::Unknown, _) => known.failed(&door, &errand.provider, access),
        }
        if !may_move(&fault, errand.may_repeat) || doors.is_empty() || !known.takes_second(&errand.provider) {
            return Err(fault);
        }
        moved(account, &door, &fault);
        last = Some(fault);
    }
}

/// A door that told what the provider decided is well.
fn heard(errand: &Errand<'_>, door: &Door, access: Access, fault: &Fault) {
    if matches!(fault.code, Code::Foreign(_)) {
        errand.gateway.embassy.doors.answered(door, &errand.provider, access, None);
    }
}

/// Opens one of these doors, unless all of them are lost meanwhile.
async fn reach(
    errand: &Errand<'_>,
    doors: &[Door],
    order: Order,
    may_be_kept: bool,
) -> Result<Opened, Fault> {
    let known = &errand.gateway.embassy.doors;
    // One that is lost already is tried because it is this call's turn to try.
    let is_trial = doors.iter().all(|door| known.is_lost(door));
    let all_lost = async {
        for door in doors {
            known.lost(door).await;
        }
    };
    let mut learned = Learned::default();
    let opened = tokio::select! {
        biased;
        opened = errand.open(doors, order, may_be_kept, &mut learned) => opened,
        () = all_lost, if !is_trial => {
            let detail = "no security server of the site that is asked gives signs of life any more; nothing was sent";
            Err(Fault::new(Leaf::NetworkError, detail).at(Side::Peer).retry(Retry::Untouched))
        }
    };
    known.learned(doors, &learned);
    opened
}

/// Waits for an answer as long as the door gives signs of life. When it does not, a call whose seal is still ours ends at
/// once, untouched; one that was handed over a while later, with an outcome that is not known.
async fn patiently(
    errand: &Errand<'_>,
    door: &Door,
    lane: Lane,
    bringing: impl Future<Output = Result<Answered, Fault>>,
) -> Result<Answered, Fault> {
    let known = &errand.gateway.embassy.doors;
    let mut is_trial = known.is_lost(door);
    let lost = async {
        loop {
            known.lost(door).await;
            if !is_trial && lane.bar() {
                return;
            }
            is_trial = false;
            sleep(LOST_FOR).await;
            if known.is_lost(door) {
                lane.bar();
                return;
            }
        }
    };
    tokio::select! {
        biased;
        answered = bringing => answered,
        () = lost => {
            let detail = format!("{} gives no signs of life any more", door.server);
            Err(judge(Fault::new(Leaf::IoError, detail).at(Side::Peer), &lane, errand))
        }
    }
}

//------------ reads of a register -------------------------------------------

/// One attempt of a read under way.
struct Running<'a> {
    door: Door,
    /// When an answer is no longer usual.
    late_at: Instant,
    /// The connection's, once it is open.
    lane: Arc<Mutex<Option<Lane>>>,
    bringing: Pin<Box<dyn Future<Output = Result<Answered, Fault>> + Send + 'a>>,
}

impl Running<'_> {
    /// Whether the door has had the call for longer than is usual.
    fn is_late(&self) -> bool {
        let lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        self.late_at <= Instant::now() && lane.as_ref().is_some_and(Lane::is_handed)
    }
}

fn begin<'a>(errand: &'a Errand<'_>, door: Door) -> Running<'a> {
    let known = &errand.gateway.embassy.doors;
    let late_at = Instant::now() + known.patience(&door, &errand.provider);
    let lane = Arc::new(Mutex::new(None));
    let (there, at) = (door.clone(), Arc::clone(&lane));
    let bringing = async move {
        let mut may_be_kept = true;
        loop {
            let (doors, order) = (slice::from_ref(&there), Order::Given { head_start: Duration::ZERO });
            let mut learned = Learned::default();
            let opened = errand.open(doors, order, may_be_kept, &mut learned).await;
            known.learned(doors, &learned);
            let Opened { connection, .. } = opened?;
            let was_kept = connection.is_reused();
            *at.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.lane().clone());
            match errand.bring(connection).await {
                // A kept connection may have ended meanwhile, which says nothing of the door.
                Err(fault) if was_kept && fault.retry == Retry::Untouched => may_be_kept = false,
                brought => return brought,
            }
        }
    };
    Running { door, late_at, lane, bringing: Box::pin(bringing) }
}

/// The first attempt that ends.
async fn first(running: &mut Vec<Running<'_>>) -> (Door, Result<Answered, Fault>) {
    poll_fn(|cx| {
        let ended =
            running.iter_mut().enumerate().find_map(|(place, one)| match one.bringing.as_mut().poll(cx) {
                Poll::Ready(brought) => Some((place, brought)),
                Poll::Pending => None,
            });
        match ended {
            Some((place, brought)) => Poll::Ready((running.swap_remove(place).door, brought)),
            None => Poll::Pending,
        }
    })
    .await
}

/// Returns once a door is lost, or an answer from it no longer usual.
async fn overdue(gateway: &Gateway, of: Option<(Door, Instant)>) {
    match of {
        Some((door, late_at)) => tokio::select! {
            () = sleep_until(late_at) => {}
            () = gateway.embassy.doors.lost(&door) => {}
        },
        None => pending().await,
    }
}

/// Asks the next door as soon as one fails, is lost, or is slower than it ever is; the first answer that holds counts.
async fn beside(errand: &Errand<'_>, doors: Vec<Door>, account: &mut Account) -> Result<Matched, Fault> {
    let known = &errand.gateway.embassy.doors;
    let mut waiting = doors.into_iter().peekable();
    let mut running: Vec<Running<'_>> = waiting.next().map(|door| begin(errand, door)).into_iter().collect();
    let (mut last, mut has_budget): (Option<Fault>, bool) = (None, true);
    loop {
        if running.is_empty() {
            return Err(last.unwrap_or_else(|| Fault::new(Leaf::NetworkError, "no door is left")));
        }
        let may_add = running.len() < BESIDE_MAX && waiting.peek().is_some() && has_budget;
        let newest = running.last().map(|one| (one.door.clone(), one.late_at));
        let (door, brought) = tokio::select! {
            biased;
            done = first(&mut running) => done,
            () = overdue(errand.gateway, newest), if may_add => {
                has_budget = known.takes_second(&errand.provider);
                running.extend(waiting.next_if(|_| has_budget).map(|door| begin(errand, door)));
                continue;
            }
        };
        account.server = door.server.to_string();
        match brought {
            Ok(Answered { matched, took }) => {
                known.answered(&door, &errand.provider, Access::Read, Some(took));
                running.iter().filter(|other| other.is_late()).for_each(|other| {
                    known.failed(&other.door, &errand.provider, Access::Read);
                });
                return Ok(matched);
            }
            Err(fault) if !may_move(&fault, errand.may_repeat) => {
                heard(errand, &door, Access::Read, &fault);
                return Err(fault);
            }
            Err(fault) => {
                known.failed(&door, &errand.provider, Access::Read);
                moved(account, &door, &fault);
                last = Some(fault);
                if running.is_empty() && waiting.peek().is_some() && known.takes_second(&errand.provider) {
                    running.extend(waiting.next().map(|door| begin(errand, door)));
                }
            }
        }
    }
}
