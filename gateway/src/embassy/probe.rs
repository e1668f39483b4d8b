//! How a door is: asked over the very port and TLS by which messages go, and answered by the gateway itself.
//!
//! `GET /x-road-cont/state` gets a hint: which registers are here, who leads them as far as is known, how old our copies
//! are. It proves nothing and decides nothing but where a call is brought first. A server that knows nothing of it gives
//! some other HTTP answer, which is a sign of life.

use super::doors::Doors;
use crate::Gateway;
use crate::net::body::{Incoming, Outgoing};
use crate::net::dial::{self, Door, Learned, Opened, Order, Wanted};
use crate::net::pool::Connection;
use crate::world::World;
use http::{Request, Response, StatusCode, header};
use saatkond_proto::continuity::doors::Hint;
use saatkond_proto::continuity::staleness;
use saatkond_proto::id::ClientId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is asked for.
pub const PATH: &str = "/x-road-cont/state";
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read.
const BYTES_MAX: usize = 256 * 1024;
/// Registers of one answer that are heard.
const REGISTERS_MAX: usize = 1000;

/// What a gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteState {
    /// Its site.
    pub site: String,
    /// Registers that are served there.
    pub registers: Vec<RegisterState>,
}

/// What a gateway says of a register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterState {
    /// Which.
    pub id: String,
    /// The site that leads it.
    pub holder: String,
    /// Under which token.
    pub token: u64,
    /// How old the copy is; absent where that is not known.
    pub staleness_ms: Option<u64>,
    /// Whether reads are answered.
    pub reads: bool,
    /// Whether writes are taken.
    pub writes: bool,
}

impl SiteState {
    /// How this gateway is; `None` where the instance has no policy, or this server stands at none of its sites.
    #[must_use]
    pub fn of(gateway: &Gateway, world: &World) -> Option<Self> {
        let policy = world.conf.continuity()?;
        let site = policy.site_of(&gateway.conf.server)?;
        let ours = policy.registers.iter().filter(|r| world.server.client(&r.id).is_some());
        let registers = ours.filter_map(|register| {
            let embassy = &gateway.embassy;
            let holder = embassy.holder(&world.conf, &gateway.conf.server, &register.id)?;
            let is_up = embassy.registers.is_up(&register.id);
            let age = embassy.staleness(&register.id);
            Some(RegisterState {
                id: register.id.to_string(),
                reads: is_up && (holder.is_us || staleness::is_fresh(age, register.staleness_max)),
                writes: is_up && holder.is_us,
                staleness_ms: age.and_then(|age| u64::try_from(age.as_millis()).ok()),
                token: holder.token.value(),
                holder: holder.site,
            })
        });
        Some(Self { site: site.id.clone(), registers: registers.collect() })
    }

    fn hints(self) -> Vec<(ClientId, Hint)> {
        let hint = |state: RegisterState| {
            let hint = Hint {
                holder: state.holder,
                token: state.token,
                staleness: state.staleness_ms.map(Duration::from_millis),
                reads: state.reads,
                writes: state.writes,
            };
            Some((state.id.parse().ok()?, hint))
        };
        self.registers.into_iter().take(REGISTERS_MAX).filter_map(hint).collect()
    }
}

/// Asks one door how it is, and notes what it says; a door that is being asked already is left alone.
///
/// Silence is noted by nobody: it speaks for itself.
pub async fn ask(gateway: &Gateway, door: Door, register: ClientId) {
    let doors: &Doors = &gateway.embassy.doors;
    let Some(_asking) = doors.asks(&door.server) else { return };
    match tokio::time::timeout(WITHIN, exchange(gateway, &door, &register)).await {
        Ok(Ok(hints)) => doors.told(&door.server, hints),
        Ok(Err(why)) => {
            tracing::debug!(server = %door.server, why, "door does not say how it is");
            doors.missed(&door.server);
        }
        Err(_) => tracing::debug!(server = %door.server, "door is silent"),
    }
}

async fn exchange(
    gateway: &Gateway,
    door: &Door,
    register: &ClientId,
) -> Result<Vec<(ClientId, Hint)>, String> {
    let world = gateway.world();
    let mut may_be_kept = true;
    loop {
        let wanted = Wanted {
            client: register,
            doors: std::slice::from_ref(door),
            order: Order::Given { head_start: WITHIN },
            may_be_kept,
        };
        let opened = dial::open(gateway, &world, wanted, &mut Learned::default()).await;
        let Opened { mut connection, .. } = opened.map_err(|fault| fault.detail)?;
        let request = Request::get(PATH).header(header::HOST, "localhost").body(Outgoing::sized());
        match connection.ask(request.map_err(|e| e.to_string())?).await {
            Ok(response) => return read(gateway, connection, response).await,
            // A kept connection may have ended meanwhile, which says nothing of the door.
            Err(_) if connection.is_reused() => may_be_kept = false,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Any HTTP answer is a sign of life; one of ours is a hint besides.
async fn read(
    gateway: &Gateway,
    connection: Connection,
    response: Response<hyper::body::Incoming>,
) -> Result<Vec<(ClientId, Hint)>, String> {
    let is_ours = response.status() == StatusCode::OK;
    let mut body = Incoming::new(response.into_body(), WITHIN);
    let Ok(bytes) = body.whole(BYTES_MAX).await else { return Ok(Vec::new()) };
    gateway.net.gateways.give(connection);
    let state = serde_json::from_slice::<SiteState>(&bytes).ok().filter(|_| is_ours);
    Ok(state.map_or_else(Vec::new, SiteState::hints))
}
