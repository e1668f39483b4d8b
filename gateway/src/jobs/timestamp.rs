//! Stamps the message log.
//!
//! Spec: message-path §7.2, §7.4.

use super::{Failed, Inner, Next};
use crate::net::timestamp;

impl Inner {
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
        timestamp::stamp(gateway, order).await.map_err(failed)?;
        let is_more = gateway.log.unstamped() > 0 && (was_failing || covered >= max);
        Ok(if is_more { Next::AtOnce } else { Next::After(interval) })
    }
}
