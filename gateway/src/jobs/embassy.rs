//! What is known of sites: asks the doors of registers in use how they are, several times a second.

use super::{Failed, Inner, Next};
use crate::Gateway;
use crate::embassy::asked::{self, Answer};
use crate::embassy::doors::PROBE_EVERY;
use crate::embassy::switch::switch;
use crate::embassy::{exchange, pins, probe};
use saatkond_proto::continuity::authority::Warrant;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often it is looked whether there are sites, where there are none.
const IDLE: Duration = Duration::from_secs(2);

impl Inner {
    /// Compares tokens with other sites each second, brings what is known of doors up to date, and asks each door that
    /// owes no answer how it is. Answers are noted when they come: one that hangs makes nobody wait.
    pub(super) async fn look_at_sites(&self) -> Result<Next, Failed> {
        self.read_pins().await.map_err(|text| Failed { text, retry: IDLE })?;
        let gateway = &self.gateway;
        let (world, doors) = (gateway.world(), &gateway.embassy.doors);
        for turned in doors.look(&world) {
            tracing::warn!(site = turned.site, register = %turned.register, "{turned}");
        }
        if world.conf.continuity().is_none() {
            return Ok(Next::After(IDLE));
        }
        self.take_orders().await.map_err(|text| Failed { text, retry: IDLE })?;
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        while probes.try_join_next().is_some() {}
        for (door, register) in doors.due(&world) {
            let gateway = Arc::clone(gateway);
            probes.spawn(async move { probe::ask(&gateway, door, register).await });
        }
        let (gateway, world) = (Arc::clone(gateway), Arc::clone(&world));
        probes.spawn(async move { exchange::each_second(&gateway, &world).await });
        Ok(Next::After(PROBE_EVERY))
    }

    /// Acts on the orders that an operator has left here. A change of authority that was begun is not broken off.
    async fn take_orders(&self) -> Result<(), String> {
        let dir = self.gateway.conf.authority_dir();
        let taken = tokio::task::spawn_blocking(move || asked::take(&dir)).await;
        let taken = taken.map_err(|error| error.to_string())?;
        for (file, warrant) in
            taken.map_err(|error| format!("orders of authority cannot be taken: {error}"))?
        {
            let gateway = Arc::clone(&self.gateway);
            tokio::spawn(async move {
                let answer = act(&gateway, warrant).await;
                let told = tokio::task::spawn_blocking(move || asked::answer(&file, &answer)).await;
                if let Ok(Err(error)) = told {
                    tracing::warn!(%error, "what came of an order of authority could not be told");
                }
            });
        }
        Ok(())
    }

    async fn read_pins(&self) -> Result<(), String> {
        let state = self.gateway.conf.state.clone();
        let read = tokio::task::spawn_blocking(move || pins::load(&state)).await;
        let pins = read.map_err(|error| error.to_string())?;
        let pins = pins.map_err(|error| format!("{error}; the earlier pins stay in force"))?;
        if self.gateway.embassy.doors.pins.put(pins) {
            tracing::info!("pins of sites taken over");
        }
        Ok(())
    }
}

async fn act(gateway: &Arc<Gateway>, warrant: Option<Warrant>) -> Answer {
    let Some(warrant) = warrant else {
        return Answer::Refused("it cannot be read as an order of authority".to_owned());
    };
    if !asked::is_fresh(&warrant, gateway.now()) {
        let most = asked::AGE_MAX.as_secs();
        return Answer::Refused(format!("it was not signed within {most} s of now, {}", gateway.now()));
    }
    match switch(gateway, &gateway.world(), &warrant).await {
        Ok(made) => Answer::Made(made),
        Err(error) => Answer::Refused(error.to_string()),
    }
}
