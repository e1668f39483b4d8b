//! Has messages in the log stamped: asks the time-stamping services, verifies, records.
//!
//! Spec: message-path §7.2, §7.4.

use super::fetch::{self, Bounds};
use crate::Gateway;
use crate::messagelog::StampOrder;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::globalconf::Tsa;
use saatkond_proto::limits;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::tsp::{self, Token};
use std::sync::Arc;

/// The services that may be asked, in order: the approved ones, as far as the operator does not choose among them.
pub(crate) fn services(gateway: &Gateway) -> Vec<Tsa> {
    let world = gateway.world();
    let approved = world.conf.tsas(world.conf.own_instance());
    let chosen = &gateway.conf.timestamping.services;
    if chosen.is_empty() {
        return approved.to_vec();
    }
    chosen.iter().filter_map(|url| approved.iter().find(|tsa| &tsa.url == url)).cloned().collect()
}

/// Stamps the messages of `order`, and records that.
///
/// # Errors
/// Why each service that was asked did not serve, or why the log took no record.
pub(crate) async fn stamp(gateway: &Gateway, order: StampOrder) -> Result<(), String> {
    let records = order.len();
    let (token, service) = token(gateway, &order.imprint).await?;
    let recorded = gateway.log.record_stamp(order, token.der().to_vec(), &service).await;
    recorded.map_err(|error| error.to_string())?;
    gateway.log.stamping_works();
    tracing::debug!(records, service, "message log stamped");
    Ok(())
}

/// Has a message that was just recorded stamped, if nobody has meanwhile; with it goes all that waits.
///
/// # Errors
/// [`Fault`] with `timestamping_failed`, or for a log that cannot be read.
pub(crate) async fn at_once(gateway: &Gateway, number: u64) -> Result<(), Fault> {
    let _turn = gateway.net.stamping.lock().await;
    let most = gateway.conf.timestamping.records_max;
    while !gateway.log.is_stamped(number)? {
        let log = gateway.log.clone();
        let order = tokio::task::spawn_blocking(move || log.to_stamp(most)).await;
        let Some(order) = order.map_err(super::message::internal)?? else { break };
        stamp(gateway, order).await.map_err(|why| {
            tracing::warn!(error = why, "message not time-stamped: its exchange ends");
            Fault::new(Leaf::TimestampingFailed, "the message could not be time-stamped")
        })?;
    }
    Ok(())
}

/// Asks one service after the other; the first token that holds is taken.
async fn token(gateway: &Gateway, imprint: &[u8]) -> Result<(Token, String), String> {
    let world = gateway.world();
    let approved = world.conf.tsa_certificates();
    let mut reasons = Vec::new();
    for tsa in services(gateway) {
        match ask(gateway, &tsa.url, imprint, approved).await {
            Ok(token) => return Ok((token, tsa.url)),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() {
        reasons.push("no time-stamping service is approved and chosen".to_owned());
    }
    Err(reasons.join("; "))
}

async fn ask(
    gateway: &Gateway,
    url: &str,
    imprint: &[u8],
    approved: &[Arc<Certificate>],
) -> Result<Token, String> {
    let timeouts = &gateway.conf.timeouts;
    let bounds = Bounds {
        connect: timeouts.fetch_connect,
        whole: timeouts.fetch,
        bytes_max: limits::TIMESTAMP_BYTES_MAX,
    };
    let asked = fetch::post(url, "application/timestamp-query", tsp::request(imprint), None, bounds);
    let answer = asked.await.map_err(|e| e.to_string())?;
    if answer.status != 200 {
        return Err(format!("{url}: status {}, expected 200", answer.status));
    }
    let wrong = |error: tsp::TspError| format!("{url}: {error}");
    let token = tsp::parse_response(&answer.body).map_err(wrong)?;
    let signer = tsp::verify(&token, (DigestAlgorithm::Sha512, imprint), approved).map_err(wrong)?;
    tsp::with_certificate(&token, &signer).map_err(wrong)
}
