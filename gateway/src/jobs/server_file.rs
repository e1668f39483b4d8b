//! Takes over a changed `server.toml`, whole. A file that is refused leaves the earlier one in force.

use super::{Failed, Inner, Next};
use crate::conf::ServerConf;
use crate::world::{Standing, standings};
use std::sync::Arc;

impl Inner {
    /// Reads `server.toml` anew once it or a file that it names has changed.
    pub(super) async fn look_at_server_file(&self) -> Result<Next, Failed> {
        let conf = Arc::clone(&self.gateway.conf);
        let interval = conf.jobs.server_file;
        let present = Arc::clone(&self.gateway.world().server);
        let read = tokio::task::spawn_blocking(move || {
            let load = || ServerConf::load(&conf.server_file, conf.instance());
            (!present.is_as_read()).then(load).transpose()
        });
        let failed = |text| Failed { text, retry: interval };
        match read.await {
            Ok(Ok(None)) => Ok(Next::After(interval)),
            Ok(Ok(Some(server))) => {
                if let Some(why) = self.newly_forbidden(&server) {
                    let file = self.gateway.conf.server_file.display();
                    return Err(failed(format!(
                        "{file}: {why}; take it out of this server; the earlier configuration stays in force"
                    )));
                }
                self.paint(|parts| parts.server = Arc::new(server));
                tracing::info!(file = %self.gateway.conf.server_file.display(), "server configuration taken over");
                Ok(Next::After(interval))
            }
            Ok(Err(refused)) => Err(failed(format!("{refused}; the earlier configuration stays in force"))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Why a register in `server` may not be here; `None` when all may, and for those that are here already.
    fn newly_forbidden(&self, server: &ServerConf) -> Option<String> {
        let world = self.gateway.world();
        let offered = standings(&self.gateway.conf.server, &world.conf, server);
        offered.into_iter().find_map(|(client, standing)| match standing {
            Standing::Stopped(why) if world.server.client(&client).is_none() => Some(why),
            Standing::Stopped(_) | Standing::Plain | Standing::Copy | Standing::Door => None,
        })
    }
}
