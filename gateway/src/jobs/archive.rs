//! Archives the message log, and deletes what is kept for long enough.
//!
//! Spec: message-path §6.6.

use super::{Failed, Inner, Next};
use crate::messagelog::{ArchiveError, Archived, LogError};
use std::time::Duration;

/// How soon after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(300);
/// How soon it is looked again when messages in whole segments wait for their time-stamps.
const STAMPS_AWAITED: Duration = Duration::from_secs(120);

impl Inner {
    /// One step: some archives, or what is left to do when all is archived. Abandoned at a stop: a step is short.
    pub(super) async fn archive(&self) -> Result<Next, Failed> {
        let log = &self.gateway.log;
        let settings = &self.gateway.conf.log;
        let every = settings.archive_every;
        if settings.archives().is_none() && settings.keep.is_zero() {
            return Ok(Next::After(every));
        }
        let failed = |text| Failed { text, retry: RETRY };
        log.seal(self.gateway.now().minus(every)).await.map_err(|e| failed(e.to_string()))?;
        let archived = self.apart(move |log| log.archive()).await?;
        if let Archived::Some(files) = &archived {
            for file in files {
                tracing::info!(file = %file.display(), "archive made");
            }
            return Ok(Next::AtOnce);
        }
        let dropped = self.apart(|log| log.drop_old().map_err(ArchiveError::from)).await?;
        if dropped.segments > 0 {
            let (segments, records) = (dropped.segments, dropped.records);
            tracing::info!(segments, records, "old records deleted from the message log");
        }
        let swept = self.apart(|log| log.sweep_bodies().map_err(ArchiveError::from)).await?;
        if swept > 0 {
            tracing::info!(files = swept, "bodies without a record deleted");
        }
        Ok(Next::After(if archived == Archived::Waits { every.min(STAMPS_AWAITED) } else { every }))
    }

    /// Does what blocks, off the threads that others wait on.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&crate::messagelog::MessageLog) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, Failed> {
        let log = self.gateway.log.clone();
        let failed = |text| Failed { text, retry: RETRY };
        let done = tokio::task::spawn_blocking(move || work(&log)).await;
        done.map_err(|e| failed(e.to_string()))?.map_err(|error| {
            if let ArchiveError::Log(LogError::Damaged { .. }) = &error {
                tracing::error!(alarm = true, %error, "message log is damaged: nothing of it is archived or deleted");
            }
            failed(error.to_string())
        })
    }
}
