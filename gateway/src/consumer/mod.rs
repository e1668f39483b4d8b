//! Our information system asks.

use crate::Gateway;
use crate::net::listen::{Listener, Stop};
use std::sync::Arc;

/// Serves information systems at one door until `stop`.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, is_tls: bool, mut stop: Stop) {
    let _ = (gateway, door, is_tls);
    stop.stopped().await;
}
