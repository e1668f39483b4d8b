//! Our certificates' OCSP responses, for the asking. Spec: message-path §5.1.

use crate::Gateway;
use crate::net::listen::{Listener, Stop};
use std::sync::Arc;

/// Serves other gateways at one door until `stop`.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, mut stop: Stop) {
    let _ = (gateway, door);
    stop.stopped().await;
}
