//! Questions that the gateway answers by itself: nobody else is asked, and nothing is signed.
//!
//! Spec: message-path §1.2, §1.7. Faults are told as to SOAP, whatever was accepted.

use super::admit;
use super::reply::Reply;
use crate::Gateway;
use crate::net::head::RequestHead;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::message::meta::{self, clients};

/// Answers what is asked of the gateway itself; `None` for what is not.
///
/// Seen: paths are compared as they came, nothing decoded.
///
/// # Errors
/// [`Fault`] inside.
pub fn answer(gateway: &Gateway, head: &RequestHead) -> Option<Result<Reply, Fault>> {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    match (head.method.as_str(), path) {
        ("GET", "/listClients") => Some(list_clients(gateway, head, query)),
        _ => None,
    }
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
