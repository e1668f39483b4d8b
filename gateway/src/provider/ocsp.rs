//! Our certificates' OCSP responses, for the asking.
//!
//! Spec: message-path §5.1, PR-MESSTRANSP 2.2. Plain HTTP: what is told is signed by its authority.

use crate::Gateway;
use crate::net::body::Outgoing;
use crate::net::listen::{self, Deadlines, Exchange, Listener, Speech, Stop};
use crate::net::peer::hex;
use crate::net::random;
use crate::world::World;
use http::{HeaderValue, Response, StatusCode, header};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::limits;
use saatkond_proto::transport::write;
use saatkond_proto::trust::Certificate;
use std::convert::Infallible;
use std::sync::Arc;

/// Serves other gateways at one door until `stop`.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, stop: Stop) {
    let timeouts = &gateway.conf.timeouts;
    let deadlines = Deadlines { idle: timeouts.idle, drain: timeouts.drain };
    let serving = Arc::clone(&gateway);
    let service = tower::service_fn(move |asked: Exchange| {
        let response = answer(&serving, &asked);
        async move { Ok::<_, Infallible>(response) }
    });
    listen::serve(door, deadlines, || Speech::Plain, stop, service).await;
}

fn answer(gateway: &Gateway, asked: &Exchange) -> Response<Outgoing> {
    let told = match asked.head.method.as_str() {
        "HEAD" => return Response::new(Outgoing::sized()),
        "GET" => tell(gateway, asked.head.target.as_str()),
        other => Err(format!("Unsupported method {other}")),
    };
    match told {
        Ok((content_type, body)) => {
            let mut response = Response::new(Outgoing::sized().bytes(body));
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
        }
        Err(why) => {
            tracing::warn!(address = %asked.caller.address, why, "OCSP responses not told");
            let mut response = Response::new(Outgoing::sized().bytes(why));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// The responses asked for, in their order; one that is missing fails all.
fn tell(gateway: &Gateway, target: &str) -> Result<(HeaderValue, Vec<u8>), String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let named = |name: &'static str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(move |(n, _)| *n == name).map(|(_, value)| value).collect::<Vec<_>>()
    };
    // Seen: 7.x reads `cert` (SHA-1) only; a later release is to read `cert_hash` (SHA-256).
    let (hashes, algorithm) = match named("cert") {
        none if none.is_empty() => (named("cert_hash"), DigestAlgorithm::Sha256),
        some => (some, DigestAlgorithm::Sha1),
    };
    if hashes.is_empty() {
        return Err("Certificate hash is missing".to_owned());
    }
    if hashes.len() > limits::OCSP_PARTS_MAX {
        return Err(format!("More than {} certificates", limits::OCSP_PARTS_MAX));
    }
    let world = gateway.world();
    let known: Vec<_> = known(gateway, &world).map(|c| (hex(&algorithm.digest(c.der())), c)).collect();
    let mut responses = Vec::new();
    for hash in hashes {
        let certificate = known.iter().find(|(known, _)| known == hash).map(|(_, c)| c);
        let response = certificate.and_then(|c| world.statuses.of(c));
        responses.push(
            response.ok_or_else(|| format!("Could not find OCSP response for certificate {hash}"))?.der(),
        );
    }
    let boundary = random::boundary().map_err(|e| e.to_string())?;
    let (content_type, body) = write::ocsp_answer(&boundary, &responses).map_err(|e| e.to_string())?;
    Ok((HeaderValue::from_str(&content_type).map_err(|e| e.to_string())?, body))
}

/// Our certificates, and the authorities of all instances. Seen: message-path §5.1.
fn known<'a>(gateway: &Gateway, world: &'a World) -> impl Iterator<Item = Arc<Certificate>> + use<'a> {
    let authorities = world.conf.all_cas().into_iter().flat_map(|ca| ca.services());
    gateway.keys.certificates().into_iter().chain(authorities.map(|s| Arc::clone(&s.certificate)))
}
