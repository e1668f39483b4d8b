//! Where to knock, in which order.
//!
//! A [`Route`] says which doors, and whether the call may be asked twice. What happens when a door fails is
//! [`send`](mod@super::send)'s.

use crate::Gateway;
use crate::conf;
use crate::net::dial::{Door, Order};
use crate::net::question::Question;
use crate::world::World;
use saatkond_proto::continuity::Access;
use saatkond_proto::fault::{Fault, Leaf, Retry, Side};
use saatkond_proto::globalconf::shared::SecurityServer;
use saatkond_proto::id::ClientId;
use std::time::Duration;

/// Where a call is brought, and by which rule it may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The doors, the preferred first; never empty.
    pub doors: Vec<Door>,
    /// How they are tried.
    pub order: Order,
    /// Whether it may be asked twice: a read, as its provider declares it, else by its method.
    pub may_repeat: bool,
    /// What the call does, where the provider is a register of the instance's policy and the doors were chosen by it.
    pub access: Option<Access>,
}

/// Finds the doors at which a question's provider answers.
///
/// Spec: message-path §2.4. Ours: a register of the instance's policy by health, shares and authority ([`crate::embassy`]);
/// any other in the order of `peers.doors`, doors that failed a moment ago last.
///
/// # Errors
/// [`Fault`] with `unknown_member`, `invalid_security_server`, `maintenance_mode`, or `network_error` when no door that may
/// be asked is up.
pub fn resolve(gateway: &Gateway, world: &World, question: &Question) -> Result<Route, Fault> {
    let provider = &question.service().client;
    if !world.conf.knows_instance(&provider.member.instance) {
        let detail = format!("instance {} is not known", provider.member.instance);
        return Err(Fault::new(Leaf::InternalError, detail));
    }
    let mut servers = world.conf.servers_of(provider);
    servers.retain(|server| !server.address.is_empty());
    if servers.is_empty() {
        let asked = question.service().typed();
        let detail = format!("Could not find addresses for service provider \"{asked}\"");
        return Err(Fault::new(Leaf::UnknownMember, detail));
    }
    let register = world.conf.continuity().and_then(|policy| Some((policy, policy.register(provider)?)));
    let access = question.access(register.map(|(_, register)| register));
    let may_repeat = access == Access::Read;
    if let Some(named) = question.security_server() {
        servers.retain(|server| server.id == *named);
        if servers.is_empty() {
            let detail = format!("{named} is no security server of provider {provider}");
            return Err(Fault::new(Leaf::InvalidSecurityServer, detail));
        }
    }
    let notice = servers.iter().find_map(|server| server.maintenance.clone());
    servers.retain(|server| server.maintenance.is_none());
    if servers.is_empty() {
        let notice = notice.filter(|n| !n.is_empty()).map_or(String::new(), |n| format!(": {n}"));
        let detail = format!("all security servers of provider {provider} are in maintenance mode{notice}");
        return Err(Fault::new(Leaf::MaintenanceMode, detail));
    }
    let Some(register) = register.filter(|_| question.security_server().is_none()) else {
        let (doors, order) = order(gateway, provider, &servers);
        return Ok(Route { doors, order, may_repeat, access: None });
    };
    let doors = gateway.embassy.doors.choose(world, register, access, gateway.now()).map_err(|shut| {
        Fault::new(Leaf::NetworkError, format!("{provider}: {shut}; nothing was sent"))
            .at(Side::Peer)
            .retry(Retry::Untouched)
            .because(shut)
    })?;
    let order = Order::Given { head_start: gateway.conf.peers.head_start };
    Ok(Route { doors, order, may_repeat, access: Some(access) })
}

fn order(gateway: &Gateway, provider: &ClientId, servers: &[&SecurityServer]) -> (Vec<Door>, Order) {
    let peers = &gateway.conf.peers;
    let door = |server: &&SecurityServer| Door { server: server.id.clone(), host: server.address.clone() };
    let mut doors: Vec<Door> = servers.iter().map(door).collect();
    if peers.order == conf::Order::Fastest {
        return fastest(gateway, doors);
    }
    let closest = peers.doors.iter().filter_map(|p| Some((p.closeness(provider)?, p)));
    if let Some((_, preferred)) = closest.max_by_key(|(closeness, _)| *closeness) {
        let rank = |door: &Door| {
            preferred.servers.iter().position(|s| *s == door.server).unwrap_or(preferred.servers.len())
        };
        doors.sort_by_key(rank);
    }
    doors.sort_by_key(|door| gateway.embassy.doors.is_sick(door));
    if let Some(pin) = gateway.embassy.doors.pins.of(provider, gateway.now()) {
        doors.sort_by_key(|door| door.server.to_string() != pin);
    }
    (doors, Order::Given { head_start: peers.head_start })
}

/// Seen: message-path §2.5: the last winner is given 5 s alone, else all are tried at once.
fn fastest(gateway: &Gateway, mut doors: Vec<Door>) -> (Vec<Door>, Order) {
    const ALONE: Duration = Duration::from_secs(5);
    let winner = gateway.net.fastest.winner(&doors, gateway.conf.peers.fastest_kept);
    let fit = winner.filter(|i| doors.get(*i).is_some_and(|door| !gateway.embassy.doors.is_sick(door)));
    match fit {
        Some(index) => {
            doors.swap(0, index);
            (doors, Order::Given { head_start: ALONE })
        }
        None => (doors, Order::Fastest),
    }
}
