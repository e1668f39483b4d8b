//! Where to knock, in which order.
//!
//! A [`Route`] is what is left to routing by health and authority: whoever makes a better one changes nothing else.

use crate::Gateway;
use crate::conf;
use crate::net::dial::{Door, Order};
use crate::net::question::Question;
use crate::world::World;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::globalconf::shared::SecurityServer;
use saatkond_proto::id::ClientId;
use std::time::Duration;

/// The doors of a provider, the preferred first, and how they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The doors; never empty.
    pub doors: Vec<Door>,
    /// How they are tried.
    pub order: Order,
}

/// Finds the doors at which a question's provider answers.
///
/// Spec: message-path §2.4. Ours: home first, in the order of `peers.doors`; doors that failed a moment ago last.
///
/// # Errors
/// [`Fault`] with `unknown_member`, `invalid_security_server` or `maintenance_mode`.
pub fn resolve(gateway: &Gateway, world: &World, question: &Question) -> Result<Route, Fault> {
    let provider = &question.service().client;
    if !world.conf.knows_instance(&provider.member.instance) {
        let detail = format!("instance {} is not known", provider.member.instance);
        return Err(Fault::new(Leaf::InternalError, detail));
    }
    let mut servers = world.conf.servers_of(provider);
    servers.retain(|server| !server.address.is_empty());
    if servers.is_empty() {
        let detail = format!("no security server is known for provider {provider}");
        return Err(Fault::new(Leaf::UnknownMember, detail));
    }
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
    Ok(order(gateway, provider, &servers))
}

fn order(gateway: &Gateway, provider: &ClientId, servers: &[&SecurityServer]) -> Route {
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
    doors.sort_by_key(|door| gateway.net.health.is_sick(door));
    Route { doors, order: Order::Given { head_start: peers.head_start } }
}

/// Seen: message-path §2.5: the last winner is given 5 s alone, else all are tried at once.
fn fastest(gateway: &Gateway, mut doors: Vec<Door>) -> Route {
    const ALONE: Duration = Duration::from_secs(5);
    let winner = gateway.net.fastest.winner(&doors, gateway.conf.peers.fastest_kept);
    let fit = winner.filter(|i| doors.get(*i).is_some_and(|door| !gateway.net.health.is_sick(door)));
    match fit {
        Some(index) => {
            doors.swap(0, index);
            Route { doors, order: Order::Given { head_start: ALONE } }
        }
        None => Route { doors, order: Order::Fastest },
    }
}
