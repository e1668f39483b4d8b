//! Asks how old our own copies of registers are, several times a second.

use super::{Failed, Inner, Next};
use crate::embassy::source::NoAge;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often each copy is asked.
const EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether there are copies, where no register has a source.
const IDLE: Duration = Duration::from_secs(2);

impl Inner {
    /// Asks the source of each copy that owes no answer. What it tells is noted when it comes: one that hangs makes no other
    /// copy grow old.
    pub(super) async fn look_at_copies(&self) -> Result<Next, Failed> {
        let gateway = &self.gateway;
        let (world, embassy) = (gateway.world(), &gateway.embassy);
        let with_source: Vec<_> =
            world.server.clients().filter(|client| client.staleness.is_some()).collect();
        // Where we lead now another may lead in a moment: nobody may read our copy before it has told its age.
        let next = Next::After(if with_source.is_empty() { IDLE } else { EVERY });
        // Who leads has no copy of another's: what its database says of itself is no age.
        let leads =
            |id| embassy.holder(&world.conf, &gateway.conf.server, id).is_some_and(|holder| holder.is_us);
        let copies: Vec<_> = with_source.into_iter().filter(|client| !leads(&client.id)).collect();
        let ids: Vec<_> = copies.iter().map(|client| &client.id).collect();
        embassy.ages.keep(&ids);
        embassy.databases.keep(&ids);
        let mut asking = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        while asking.try_join_next().is_some() {}
        for client in copies.iter().filter(|client| embassy.ages.begin(&client.id)) {
            let (gateway, client) = (Arc::clone(gateway), (*client).clone());
            asking.spawn(async move {
                let Some(source) = &client.staleness else { return };
                let (ages, at) = (&gateway.embassy.ages, Instant::now());
                match gateway.embassy.databases.ask(&client, source, gateway.now()).await {
                    Ok(age) => ages.note(&client.id, Some(age), at),
                    Err(NoAge::Silent(why)) => ages.note_silence(&client.id, why),
                    Err(NoAge::Unknown(why)) => ages.note_unknown(&client.id, why),
                }
            });
        }
        drop(asking);
        let troubles = embassy.ages.troubles();
        let text: Vec<_> =
            troubles.iter().map(|(id, why)| format!("how old the copy of {id} is: {why}")).collect();
        if text.is_empty() { Ok(next) } else { Err(Failed { text: text.join("; "), retry: EVERY }) }
    }
}
