//! Asks the registers behind this gateway whether they answer, and opens and shuts the port for other gateways by that.

use super::{Failed, Inner, Next};
use crate::embassy::port;
use crate::embassy::registers::ask;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often it is looked whether a register is to be asked, and whether the port is of use.
const EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether there are registers, where there are none.
const IDLE: Duration = Duration::from_secs(2);

impl Inner {
    /// Asks each register that owes no answer. What it says is noted when it comes: one that hangs makes nobody wait.
    pub(super) async fn look_at_registers(&self) -> Result<Next, Failed> {
        let (gateway, world) = (&self.gateway, self.gateway.world());
        let (policy, registers) = (world.conf.continuity(), &gateway.embassy.registers);
        let is_asked = |id| policy.is_some_and(|policy| policy.register(id).is_some());
        let ours: Vec<_> = world.server.clients().filter(|client| is_asked(&client.id)).collect();
        let ids: Vec<_> = ours.iter().map(|client| &client.id).collect();
        registers.keep(&ids);
        let mut asking = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        while asking.try_join_next().is_some() {}
        for client in ours.iter().filter(|client| registers.begin(client)) {
            let (gateway, client) = (Arc::clone(gateway), (*client).clone());
            asking.spawn(async move {
                let told = ask(&gateway, &client).await;
                gateway.embassy.registers.told(&client.id, told);
            });
        }
        drop(asking);
        let is_idle = ours.is_empty() && gateway.embassy.port.is_open();
        gateway.embassy.port.look(port::is_of_use(gateway, &world));
        let silent = registers.silent();
        let mut text: Vec<_> =
            silent.iter().map(|(id, why)| format!("register {id} does not answer: {why}")).collect();
        if !gateway.embassy.port.is_open() {
            text.push(
                "no register of this server can be served or passed on: its port for other gateways is shut"
                    .to_owned(),
            );
        }
        match (text.is_empty(), is_idle) {
            (false, _) => Err(Failed { text: text.join("; "), retry: EVERY }),
            (true, true) => Ok(Next::After(IDLE)),
            (true, false) => Ok(Next::After(EVERY)),
        }
    }
}
