//! Stamps the message log.
//!
//! Spec: message-path §7.2, §7.4.

use super::{Failed, Inner, Next};
use crate::messagelog::StampOrder;
use crate::net::fetch::{self, Bounds};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::Tsa;
use saatkond_proto::limits;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::tsp::{self, Token};
use std::sync::Arc;

impl Inner {
    /// The services that may be asked, in order: the approved ones, as far as the operator does not choose among them.
    pub(super) fn timestampers(&self) -> Vec<Tsa> {
        let world = self.gateway.world();
        let approved = world.conf.tsas(world.conf.own_instance());
        let chosen = &self.gateway.conf.timestamping.services;
        if chosen.is_empty() {
            return approved.to_vec();
        }
        chosen.iter().filter_map(|url| approved.iter().find(|tsa| &tsa.url == url)).cloned().collect()
    }

    pub(super) async fn stamp(&self) -> Result<Next, Failed> {
        let gateway = &self.gateway;
        let settings = &gateway.conf.timestamping;
        let failed = |text| {
            gateway.log.stamping_fails();
            Failed { text, retry: settings.retry }
        };
        // While it fails, one record is tried; the first that succeeds is followed by all others.
        let was_failing = gateway.log.stamping_failing_since().is_some();
        let max = if was_failing { 1 } else { settings.records_max };
        let interval = if settings.interval.is_zero() {
            gateway.world().conf.timestamping_interval()
        } else {
            settings.interval
        };
        let log = gateway.log.clone();
        let order = tokio::task::spawn_blocking(move || log.to_stamp(max)).await;
        let order = order.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        let Some(order) = order else {
            gateway.log.stamping_works();
            return Ok(Next::After(interval));
        };
        let covered = order.len();
        let (token, url) = self.token(&order).await.map_err(failed)?;
        let recorded = gateway.log.record_stamp(order, token.der().to_vec(), &url).await;
        recorded.map_err(|e| failed(e.to_string()))?;
        gateway.log.stamping_works();
        tracing::debug!(records = covered, service = url, "message log stamped");
        let is_more = gateway.log.unstamped() > 0 && (was_failing || covered >= max);
        Ok(if is_more { Next::AtOnce } else { Next::After(interval) })
    }

    /// Asks one service after the other; the first token that holds is taken.
    async fn token(&self, order: &StampOrder) -> Result<(Token, String), String> {
        let world = self.gateway.world();
        let approved = world.conf.tsa_certificates();
        let mut reasons = Vec::new();
        for tsa in self.timestampers() {
            match self.ask(&tsa.url, &order.imprint, approved).await {
                Ok(token) => return Ok((token, tsa.url)),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            reasons.push("no time-stamping service is approved and chosen".to_owned());
        }
        Err(reasons.join("; "))
    }

    async fn ask(&self, url: &str, imprint: &[u8], approved: &[Arc<Certificate>]) -> Result<Token, String> {
        let timeouts = &self.gateway.conf.timeouts;
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
}
