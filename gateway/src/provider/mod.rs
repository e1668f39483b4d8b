//! Another gateway asks.
//!
//! | file | what it holds |
//! |---|---|
//! | [`receive`] | parts to spool, peer's certificate against its OCSP responses, signature |
//! | [`mod@authorise`] | may this client call this service: Head → Permitted |
//! | [`continuity`] | which copy of a register answers, and what is said of it |
//! | [`lead`] | a write goes where the register is led: ours, another site's, or nobody's |
//! | `pass` | passed on to the site that leads, and back |
//! | [`mod@forward`] | to our information system, within its deadline |
//! | [`meta`] | what is answered in its place: listMethods and its like |
//! | [`mod@seal`] | the answer signed, recorded and sent; faults leave here too |
//! | [`sites`] | another site asks: it passes a call on, tells an order |
//! | [`ocsp`] | our certificates' OCSP responses for the asking (port 5577) |
//!
//! What is not recorded is not forwarded: it does not compile.
//!
//! ```compile_fail,E0308
//! # use saatkond::{Gateway, provider::{authorise::Callee, lead::Leave, receive::Proven}};
//! # async fn example(gateway: &Gateway, request: Proven, callee: &Callee, leave: &Leave) {
//! let answer = saatkond::provider::forward::forward(gateway, &request, callee, leave).await;
//! # }
//! ```

pub mod authorise;
pub mod continuity;
pub mod forward;
pub mod lead;
pub mod meta;
pub mod ocsp;
mod pass;
pub mod receive;
pub mod seal;
pub mod sites;

use crate::Gateway;
use crate::embassy::probe::{self, SiteState};
use crate::net::body::Outgoing;
use crate::net::listen::{self, Deadlines, Exchange, Listener, Speech, Stop, Terms};
use crate::net::task::{self, Account};
use crate::net::{message, tls};
use crate::world::World;
use authorise::{Called, authorise};
use forward::forward;
use http::{HeaderValue, Response, header};
use lead::{Leave, Step};
use receive::{Coming, receive_head, receive_rest, verify};
use rustls::ServerConfig;
use rustls::server::ProducesTickets;
use saatkond_proto::fault::Fault;
use seal::seal;
use sites::Way;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, ServiceExt as _};

/// Answers one question that another gateway brought, or a door of another site.
///
/// # Errors
/// [`Fault`] says what stopped it.
pub async fn answer(
    gateway: &Arc<Gateway>,
    asked: &mut Exchange,
    way: Way,
    account: &mut Account,
) -> Result<Response<Outgoing>, Fault> {
    let world = gateway.world(); // one picture, kept to the end
    let mut kept = lead::passes_on(gateway, &world).then(|| gateway.spool.writer());
    let coming = Coming { asked, way: &way, kept: kept.as_mut() };
    let (head, mut inbound) = receive_head(gateway, &world, coming, account).await?; // who asks whom for what, by which peer
    let permitted = authorise(&world, head)?; // Head → Permitted: only now may it fill our spool
    let ground = lead::ground(gateway, &world, &permitted);
    if ground.is_none() {
        inbound.forget();
    }
    let whole = receive_rest(gateway, permitted, inbound).await?;
    let came = lead::came(gateway, &world, ground.as_ref(), (asked, way), kept).await?;
    let mut proven = verify(gateway, &world, whole).await?; // → Proven: signed by who asks, every part
    let mut leave = Leave::default();
    if let (Some(ground), Some(came)) = (&ground, &came) {
        match lead::step(gateway, &world, ground, (proven, came), account).await? {
            Step::Ours(ours, given) => (proven, leave) = (*ours, given),
            Step::Told(response) => return Ok(response), // by the site that leads, or refused
        }
    }
    let request = message::record(gateway, proven).await?; // → Recorded
    leave.recorded();
    let answered = match request.permitted().called() {
        Called::Service(callee) => forward(gateway, &request, callee, &leave).await, // takes that and nothing else
        Called::Metaservice(metaservice) => meta::answer(gateway, &world, &request, *metaservice).await,
    };
    match (answered, &ground, &came) {
        (Err(fault), Some(ground), Some(came)) if lead::is_lost(&fault) => {
            lead::lost(gateway, &world, ground, (&request, came), account).await
        }
        (answered, ..) => seal(gateway, &world, &request, answered?, leave.told(), account).await, // sign, record, stream
    }
}

/// Between two attempts to bind a door again.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Serves other gateways at one door until `stop`; while no register can be served or passed on the door is shut.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, mut stop: Stop) {
    let timeouts = &gateway.conf.timeouts;
    let deadlines = Deadlines { idle: timeouts.idle, drain: timeouts.drain };
    let handshakes = match Handshakes::new(&gateway, Whom::Gateways) {
        Ok(handshakes) => Arc::new(handshakes),
        Err(error) => {
            tracing::error!(%error, "other gateways are not served");
            return;
        }
    };
    let serving = Arc::clone(&gateway);
    let mut port = gateway.embassy.port.watch();
    let limit = ConcurrencyLimitLayer::new(gateway.conf.limits.exchanges_max);
    let exchanges = limit.layer(tower::service_fn(move |asked: Exchange| {
        let gateway = Arc::clone(&serving);
        async move { Ok::<_, Infallible>(one(gateway, asked).await) }
    }));
    // How we are is told also when all exchanges that there may be are under way.
    let service = tower::service_fn(move |asked: Exchange| {
        let (gateway, exchanges) = (Arc::clone(&gateway), exchanges.clone());
        async move {
            match hint(&gateway, &asked) {
                Some(response) => Ok::<_, Infallible>(response),
                None => exchanges.oneshot(asked).await,
            }
        }
    });
    let (terms, mut door, mut openings) = (door.terms(), Some(door), JoinSet::new());
    while let Some(open) = door.take() {
        let (stopper, closed) = listen::stop();
        let (handshakes, service) = (Arc::clone(&handshakes), service.clone());
        openings.spawn(async move {
            listen::serve(open, deadlines, || handshakes.speech(), closed, service).await;
        });
        tokio::select! {
            () = stop.stopped() => {}
            _ = port.wait_for(|open| !open) => {}
        }
        // Whoever is connected gets the answer that is under way, and no further one.
        stopper.stop();
        door = tokio::select! {
            biased;
            () = stop.stopped() => None,
            again = open_again(terms, &mut port) => Some(again),
        };
        while openings.try_join_next().is_some() {}
    }
    while openings.join_next().await.is_some() {}
}

/// Waits until the port is to stand open, and binds it.
async fn open_again(terms: Terms, port: &mut watch::Receiver<bool>) -> Listener {
    let mut is_told = false;
    loop {
        // An error means that nobody can shut it any more.
        let _ = port.wait_for(|open| *open).await;
        match terms.bind().await {
            Ok(door) => return door,
            Err(error) if !is_told => {
                tracing::error!(%error, "port for other gateways cannot be opened again")
            }
            Err(_) => {}
        }
        is_told = true;
        tokio::time::sleep(BIND_PAUSE).await;
    }
}

/// What is told to who asks how we are. It is no exchange, and leaves no line.
fn hint(gateway: &Gateway, asked: &Exchange) -> Option<Response<Outgoing>> {
    if asked.head.method != "GET" || asked.head.target != probe::PATH {
        return None;
    }
    let bytes = serde_json::to_vec(&SiteState::of(gateway, &gateway.world())?).ok()?;
    let mut response = Response::new(Outgoing::sized().bytes(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

/// One exchange: its own task, one closing line, whatever happens.
async fn one(gateway: Arc<Gateway>, mut asked: Exchange) -> Response<Outgoing> {
    let exchange = async move {
        let mut account = Account::new("provider");
        let answered = answer(&gateway, &mut asked, Way::Direct, &mut account).await;
        asked.body.discard();
        let (response, code) = match answered {
            Ok(response) => (response, "ok".to_owned()),
            Err(fault) => seal::tell(fault, &account),
        };
        account.close(&code);
        response
    };
    match task::run(exchange).await {
        Ok(response) => response,
        Err(panicked) => {
            let account = Account::new("provider");
            let (response, code) = seal::tell(message::internal(panicked), &account);
            account.close(&code);
            response
        }
    }
}

//------------ Handshakes ----------------------------------------------------

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Every gateway of the world.
    Gateways,
    /// Servers that the policy lists at a site.
    Sites,
}

impl Whom {
    /// Whether whoever shows this certificate may connect.
    fn includes(self, world: &World, leaf: &[u8]) -> bool {
        let Some(server) = world.conf.server_by_auth_cert(leaf) else { return false };
        let at_site = || world.conf.continuity().is_some_and(|policy| policy.site_of(&server.id).is_some());
        self == Self::Gateways || at_site()
    }
}

/// TLS for other gateways or sites, made anew when our key or the instance's authorities change.
struct Handshakes {
    gateway: Arc<Gateway>,
    whom: Whom,
    tickets: Arc<dyn ProducesTickets>,
    made: Mutex<Option<Made>>,
    turned_away: Arc<tls::TurnedAway>,
}

/// A TLS configuration and what it was made for.
struct Made {
    world: Arc<World>,
    certificate: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Handshakes {
    fn new(gateway: &Arc<Gateway>, whom: Whom) -> Result<Self, rustls::Error> {
        Ok(Self {
            gateway: Arc::clone(gateway),
            whom,
            tickets: rustls::crypto::ring::Ticketer::new()?,
            made: Mutex::default(),
            turned_away: Arc::default(),
        })
    }

    fn peers(&self) -> tls::Peers {
        tls::Peers::stock_if(self.whom == Whom::Gateways && self.gateway.conf.stock_peers)
    }

    fn tls(&self, config: Arc<ServerConfig>) -> Speech {
        let hears = (self.peers() == tls::Peers::Modern && self.whom == Whom::Gateways)
            .then(|| Arc::clone(&self.turned_away));
        Speech::Tls { config, hears }
    }

    fn speech(&self) -> Speech {
        let world = self.gateway.world();
        if self.whom == Whom::Sites && !lead::passes_on(&self.gateway, &world) {
            return Speech::Nothing;
        }
        let auth = match world.auth(self.gateway.now()) {
            Ok(auth) => auth,
            Err(error) => {
                tracing::warn!(%error, "connection of another gateway closed: we have no authentication key");
                return Speech::Nothing;
            }
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && Arc::ptr_eq(&made.world.conf, &world.conf)
            && made.certificate == auth.certificate.sha256()
        {
            return self.tls(Arc::clone(&made.config));
        }
        let authorities = world.conf.all_cas().into_iter().flat_map(|ca| ca.services());
        let authorities = authorities.map(|s| s.certificate.subject().to_vec()).collect();
        let worlds = Arc::clone(&self.gateway.world);
        let whom = self.whom;
        let may_connect = move |leaf: &[u8]| whom.includes(&worlds.load(), leaf);
        let (certified, tickets) = (Arc::clone(&auth.certified), Arc::clone(&self.tickets));
        match tls::from_gateways(certified, tickets, authorities, may_connect, self.peers()) {
            Ok(config) => {
                let certificate = auth.certificate.sha256().to_vec();
                *made = Some(Made { world: Arc::clone(&world), certificate, config: Arc::clone(&config) });
                self.tls(config)
            }
            Err(error) => {
                tracing::error!(%error, "connection of another gateway closed");
                Speech::Nothing
            }
        }
    }
}
