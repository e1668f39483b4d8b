//! Whether the port for other gateways stands open.
//!
//! Unmodified consumers race to all ports that a provider's servers have, stay with the first that takes a connection for
//! up to an hour, and look for another only when one is not taken. So a server all of whose registers can neither be served
//! nor passed on must not take them; as long as one can be, the others alone are refused. What is none of the instance's
//! registers is served as everywhere in X-Road, and keeps the port open.
//!
//! The port of OCSP responses stays open whatever happens: no consumer chooses a door by it, what it tells is true of the
//! certificates and not of the registers, and whoever is connected may still need it.

use super::Embassy;
use crate::Gateway;
use crate::world::{Standing, World};
use saatkond_proto::continuity::shutter::Shutter;
use saatkond_proto::continuity::{Policy, Register, staleness};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the port stands open.
#[derive(Debug)]
pub struct Port {
    began: Instant,
    shutter: Mutex<Shutter>,
    is_open: watch::Sender<bool>,
}

impl Default for Port {
    fn default() -> Self {
        Self { began: Instant::now(), shutter: Mutex::default(), is_open: watch::Sender::new(true) }
    }
}

impl Port {
    /// Opens or shuts it, now that it was found to be of use or not.
    pub fn look(&self, is_of_use: bool) {
        let mut shutter = self.shutter.lock().unwrap_or_else(PoisonError::into_inner);
        let open = shutter.look(self.began.elapsed(), is_of_use);
        self.is_open.send_if_modified(|was| std::mem::replace(was, open) != open);
    }

    /// Whether it stands open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    /// Hears when it opens and shuts.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.is_open.subscribe()
    }
}

/// Whether anything that this server offers can be served or passed on, or would find no other door.
#[must_use]
pub fn is_of_use(gateway: &Gateway, world: &World) -> bool {
    let Some(policy) = world.conf.continuity() else { return true };
    let offered = world.server.clients().filter(|client| !client.services.is_empty());
    let Some(registers) = offered.map(|client| policy.register(&client.id)).collect::<Option<Vec<_>>>()
    else {
        return true;
    };
    let has_another_door = |register: &Register| {
        let mut servers = world.conf.servers_of(&register.id).into_iter();
        servers.any(|server| server.id != gateway.conf.server && server.maintenance.is_none())
    };
    !registers.iter().any(|register| has_another_door(register))
        || registers.iter().any(|register| {
            let embassy = &gateway.embassy;
            !matches!(world.standing(&register.id), Standing::Stopped(_))
                && (embassy.serves(gateway, world, register)
                    || embassy.passes_on(gateway, world, policy, register))
        })
}

impl Embassy {
    /// Whether our register answers calls: all of them where we lead, reads where its copy is fresh.
    fn serves(&self, gateway: &Gateway, world: &World, register: &Register) -> bool {
        let Some(holder) = self.holder(&world.conf, &gateway.conf.server, &register.id) else { return false };
        let is_copy = *world.standing(&register.id) == Standing::Copy;
        let is_fresh = || staleness::is_fresh(self.staleness(&register.id), register.staleness_max);
        self.registers.is_up(&register.id) && (holder.is_us || (is_copy && is_fresh()))
    }

    /// Whether calls can be passed on to who leads.
    fn passes_on(&self, gateway: &Gateway, world: &World, policy: &Policy, register: &Register) -> bool {
        let Some(holder) = self.holder(&world.conf, &gateway.conf.server, &register.id) else { return false };
        let has_address = policy.site(&holder.site).is_some_and(|site| !site.relay.is_empty());
        !holder.is_us && has_address && self.rounds.is_reached(&holder.site)
    }
}
