//! Takes over a changed `server.toml`, whole. A file that is refused leaves the earlier one in force.

use super::{Failed, Inner, Next};
use crate::conf::ServerConf;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What a file looked like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    len: u64,
}

/// How the file looked when it was last taken over; the first look reads it in any case.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Option<Look>>);

fn look(file: &Path) -> Option<Look> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Look { modified: metadata.modified().ok(), len: metadata.len() })
}

impl Inner {
    pub(super) async fn look_at_server_file(&self) -> Result<Next, Failed> {
        let conf = Arc::clone(&self.gateway.conf);
        let interval = conf.jobs.server_file;
        let before = self.watch.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = tokio::task::spawn_blocking(move || {
            let found = look(&conf.server_file);
            if found.is_some() && found == before {
                return Ok(None);
            }
            ServerConf::load(&conf.server_file, conf.instance()).map(|server| Some((server, found)))
        });
        let failed = |text| Failed { text, retry: interval };
        match read.await {
            Ok(Ok(None)) => Ok(Next::After(interval)),
            Ok(Ok(Some((server, found)))) => {
                let is_first = self.watch.0.lock().unwrap_or_else(PoisonError::into_inner).is_none();
                self.paint(|parts| parts.server = Arc::new(server));
                *self.watch.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
                if !is_first {
                    tracing::info!(file = %self.gateway.conf.server_file.display(), "server configuration taken over");
                }
                Ok(Next::After(interval))
            }
            Ok(Err(refused)) => Err(failed(format!("{refused}; the earlier configuration stays in force"))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}
