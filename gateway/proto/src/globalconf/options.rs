//! The optional parts. Spec: trust-and-configuration §1.9.
//!
//! Taken from the own instance only. A part that is not read leaves its default; it never spoils the configuration.

use super::directory::Content;
use super::read::{Fields, ParamsError, admit_part, boolean, client_id, simple, value};
use super::write::Sheet;
use crate::continuity::{self, Policy};
use crate::id::ClientId;
use std::sync::Arc;
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
    /// Sites and registers (`CONTINUITY-PARAMETERS`).
    pub continuity: Option<Arc<Policy>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            monitoring_client: None,
            ocsp_fetch_interval: Duration::from_secs(1200),
            check_next_update: true,
            continuity: None,
        }
    }
}

/// The identifier of the part that says who may monitor.
const MONITORING: &str = "MONITORING";
/// The identifier of the part that says how often OCSP responses are fetched.
const FETCH_INTERVAL: &str = "FETCHINTERVAL";
/// The identifier of the part that says whether `nextUpdate` counts.
const NEXT_UPDATE: &str = "NEXTUPDATE";
/// The shortest interval between fetches. Seen: X-Road 7.8 raises shorter ones.
const FETCH_INTERVAL_SECS_MIN: u64 = 60;

impl Options {
    /// The identifiers of the parts known here, and the files they are published and stored as.
    pub const FILES: [(&'static str, &'static str); 4] = [
        (MONITORING, "monitoring-params.xml"),
        (FETCH_INTERVAL, "fetchinterval-params.xml"),
        (NEXT_UPDATE, "nextupdate-params.xml"),
        (continuity::CONTENT_IDENTIFIER, continuity::FILE_NAME),
    ];

    /// Takes over what a part of `instance` says; a part of another kind says nothing.
    ///
    /// # Errors
    /// [`ParamsError`]; nothing has changed then.
    pub fn apply(&mut self, instance: &str, content: &Content, bytes: &[u8]) -> Result<(), ParamsError> {
        let Content::Other(identifier) = content else { return Ok(()) };
        if identifier == continuity::CONTENT_IDENTIFIER {
            self.continuity = Some(Arc::new(Policy::from_xml(bytes, instance)?));
            return Ok(());
        }
        if !Self::FILES.iter().any(|(known, _)| known == identifier) {
            return Ok(());
        }
        let document = admit_part(bytes)?;
        let mut fields = Fields::of_root(document.root_element(), "conf")?;
        let mut read = self.clone();
        match identifier.as_str() {
            MONITORING => {
                read.monitoring_client = None;
                if let Some(node) = fields.optional("monitoringClient") {
                    let mut inner = Fields::of(node)?;
                    read.monitoring_client =
                        inner.optional("monitoringClientId").map(client_id).transpose()?;
                    inner.end()?;
                }
            }
            FETCH_INTERVAL => {
                let node = fields.required("ocspFetchInterval")?;
                let text = simple(node)?;
                let secs: i32 = text.trim().parse().map_err(|_| value(node, "a number of seconds", &text))?;
                let secs = u64::try_from(secs).unwrap_or(0).max(FETCH_INTERVAL_SECS_MIN);
                read.ocsp_fetch_interval = Duration::from_secs(secs);
            }
            _ => read.check_next_update = boolean(fields.required("verifyNextUpdate")?)?,
        }
        fields.end()?;
        *self = read;
        Ok(())
    }

    /// Writes the parts that differ from the defaults: what each is, and its bytes.
    #[must_use]
    pub fn to_parts(&self) -> Vec<(Content, Vec<u8>)> {
        let default = Self::default();
        let mut parts = Vec::new();
        let mut part = |identifier: &str, bytes: Vec<u8>| {
            parts.push((Content::Other(identifier.to_owned()), bytes));
        };
        if let Some(client) = &self.monitoring_client {
            let mut sheet = Sheet::begin("ns3:conf");
            sheet.open("monitoringClient");
            sheet.client_id("monitoringClientId", client);
            sheet.close("monitoringClient");
            part(MONITORING, sheet.finish());
        }
        if self.ocsp_fetch_interval != default.ocsp_fetch_interval {
            let mut sheet = Sheet::begin("ns3:conf");
            let secs = i32::try_from(self.ocsp_fetch_interval.as_secs()).unwrap_or(i32::MAX);
            sheet.text("ocspFetchInterval", &secs.to_string());
            part(FETCH_INTERVAL, sheet.finish());
        }
        if self.check_next_update != default.check_next_update {
            let mut sheet = Sheet::begin("ns3:conf");
            sheet.text("verifyNextUpdate", &self.check_next_update.to_string());
            part(NEXT_UPDATE, sheet.finish());
        }
        if let Some(policy) = &self.continuity {
            part(continuity::CONTENT_IDENTIFIER, policy.to_xml());
        }
        parts
    }
}
