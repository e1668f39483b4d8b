//! Questions that the gateway answers by itself: but for the directory nobody else is asked, and nothing is signed.
//!
//! Spec: message-path §1.2, §1.7, §6.7. An expired configuration is told as to SOAP, whatever was asked.

use super::reply::Reply;
use super::{admit, evidence, govstack};
use crate::Gateway;
use crate::net::head::RequestHead;
use crate::net::listen::Exchange;
use crate::net::task::Account;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::message::meta::{self, clients};

/// What may be asked of the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    /// Members and subsystems.
    Clients,
    /// Signed documents.
    Documents,
    /// The configuration that they are verified with.
    Configuration,
    /// GovStack's directory; its providers are asked.
    Directory,
}

impl Local {
    /// What a request asks of the gateway itself; `None` for what it does not. Seen: paths are compared as they came,
    /// nothing decoded.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        match (head.method.as_str(), parts(head).0) {
            ("GET", "/listClients") => Some(Self::Clients),
            ("GET", "/asic") => Some(Self::Documents),
            ("GET", "/verificationconf") => Some(Self::Configuration),
            ("GET", path) if path.starts_with(govstack::PLACE) => Some(Self::Directory),
            _ => None,
        }
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn answer(
        self,
        gateway: &Gateway,
        asked: &mut Exchange,
        account: &mut Account,
    ) -> Result<Reply, Fault> {
        let (_, query) = parts(&asked.head);
        match self {
            Self::Clients => list_clients(gateway, &asked.head, query),
            Self::Documents => evidence::documents(gateway, query, &asked.caller, account).await,
            Self::Configuration => evidence::configuration(gateway).await,
            Self::Directory => govstack::answer(gateway, asked, account).await,
        }
    }
}

/// Path and query of a target.
fn parts(head: &RequestHead) -> (&str, &str) {
    head.target.split_once('?').unwrap_or((&head.target, ""))
}

/// The members and subsystems of an instance: of the one that `xRoadInstance` names, else of our own.
///
/// Spec: PR-META 2. Anyone who reaches this door may ask.
fn list_clients(gateway: &Gateway, head: &RequestHead, query: &str) -> Result<Reply, Fault> {
    let world = gateway.world();
    admit::is_current(gateway, &world)?;
    let named = meta::parameters(query).find(|(name, _)| name == "xRoadInstance").map(|(_, value)| value);
    let named = named.filter(|instance| !instance.trim().is_empty());
    let instance = named.as_deref().unwrap_or_else(|| gateway.conf.instance());
    if !world.conf.knows_instance(instance) {
        return Err(Fault::new(Leaf::InternalError, format!("instance {instance} is not known")));
    }
    let members = world.conf.members(instance);
    Ok(if clients::accepts_json(head.headers.all("accept")) {
        Reply::document("application/json; charset=utf-8", clients::json(members))
    } else {
        Reply::document("text/xml; charset=UTF-8", clients::xml(members))
    })
}
