//! Takes over a changed key directory, whole. A state that is refused leaves the earlier keys in use.

use super::{Failed, Inner, Next};
use std::sync::Arc;

impl Inner {
    /// Reads the keys anew once `keys.toml` or a file that it names has changed.
    pub(super) async fn look_at_keys(&self) -> Result<Next, Failed> {
        let gateway = Arc::clone(&self.gateway);
        let interval = gateway.conf.jobs.server_file;
        let read = tokio::task::spawn_blocking(move || gateway.keys.reread());
        let failed =
            |text: String| Failed { text: format!("{text}; the earlier keys stay in use"), retry: interval };
        let fresh = match read.await {
            Ok(Ok(None)) => return Ok(Next::After(interval)),
            Ok(Ok(Some(fresh))) => fresh,
            Ok(Err(refused)) => return Err(failed(refused.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let conf = &self.gateway.conf;
        let dir = conf.keys_dir();
        if let Some((door, address)) = conf.open_to_others().filter(|_| fresh.are_a_demonstration()) {
            let dir = dir.display();
            return Err(failed(format!("{dir}: these are a demonstration's keys, and {door} is {address}")));
        }
        if conf.listen.clients_tls.is_some() && !fresh.has_internal_tls() {
            let dir = dir.display();
            return Err(failed(format!(
                "{dir}: no active key of use internal-tls, which listen.clients_tls needs"
            )));
        }
        self.gateway.keys.take(fresh);
        self.paint(|_| {});
        tracing::info!(dir = %dir.display(), "keys taken over");
        self.hasten_ocsp_if_needed();
        Ok(Next::After(interval))
    }
}
