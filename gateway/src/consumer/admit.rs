//! Which information system is this, and may it speak for that subsystem.

use crate::Gateway;
use crate::conf::{Client, Connection};
use crate::messagelog::Spooled;
use crate::net::body::{BodyError, Incoming};
use crate::net::head::RequestHead;
use crate::net::listen::Caller;
use crate::net::{message, random};
use crate::world::World;
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, Side};
use saatkond_proto::message::rest::{Request, RestError};

/// Reads a request and lets it in: world and keys serve, the client is one of ours, and its information system connects
/// as it must.
///
/// Spec: message-path §1.2–1.4.
///
/// # Errors
/// [`Fault`].
pub fn admit(
    gateway: &Gateway,
    world: &World,
    head: &RequestHead,
    caller: &Caller,
) -> Result<Request, Fault> {
    let now = gateway.now();
    // Before all else, whatever is asked. Seen: message-path §1.2.
    if !world.conf.is_valid_at(now) {
        let detail = format!("the global configuration expired at {}", world.conf.expires());
        return Err(Fault::new(Leaf::GlobalConfOutdated, detail));
    }
    if !head.target.starts_with("/r1/") {
        return Err(no_rest(head));
    }
    world.auth(now).map_err(|error| {
        let detail = "this security server has no authentication certificate that serves";
        Fault::new(Leaf::SslAuthenticationFailed, detail).because(error)
    })?;
    let request_id = random::uuid().map_err(message::internal)?;
    let fallback_id = format!("{}-{}", gateway.conf.instance(), random::uuid().map_err(message::internal)?);
    let request = Request::from_information_system(
        &head.method,
        &head.target,
        &head.headers,
        &request_id,
        &fallback_id,
    );
    let request = request.map_err(refused)?;
    let unknown = || {
        Fault::new(
            Leaf::UnknownMember,
            format!("client {} is not one of this security server's", request.client),
        )
    };
    let client = world.server.client(&request.client).ok_or_else(unknown)?;
    connects_as_it_must(client, caller, gateway)?;
    let ours = world.conf.server(&gateway.conf.server);
    if !ours.is_some_and(|server| world.conf.is_registered_on(&request.client, server)) {
        let detail = format!("client {} is not registered on this security server", request.client);
        return Err(Fault::new(Leaf::UnknownMember, detail));
    }
    Ok(request)
}

/// What is said to a request that is no REST. Seen: message-path §1.2.
fn no_rest(head: &RequestHead) -> Fault {
    if head.method == "POST" {
        return uttered_as_client(
            Leaf::InvalidMessage,
            "this security server does not carry SOAP messages".to_owned(),
        );
    }
    let detail = format!("Must use POST request method instead of {}", head.method);
    uttered_as_client(Leaf::InvalidHttpMethod, detail)
}

fn refused(error: RestError) -> Fault {
    match &error {
        RestError::Malformed { .. } => uttered_as_client(Leaf::BadRequest, error.to_string()),
        _ => {
            Fault { code: error.code(), ..Fault::new(Leaf::InternalError, error.to_string()) }.because(error)
        }
    }
}

/// A fault whose code begins with `client`, not with this gateway's name.
fn uttered_as_client(leaf: Leaf, detail: String) -> Fault {
    let code = Code::Foreign(Code::of(leaf).text(Origin::Client));
    Fault { code, ..Fault::new(leaf, detail) }
}

/// Spec: message-path §1.3.
fn connects_as_it_must(client: &Client, caller: &Caller, gateway: &Gateway) -> Result<(), Fault> {
    let refuse = |what: &str| {
        let detail = format!("client {} must connect with {what}", client.id);
        Err(Fault::new(Leaf::SslAuthenticationFailed, detail))
    };
    match (client.connection, caller.certificates.first()) {
        (Connection::Http, _) => Ok(()),
        (Connection::Https, _) if caller.is_tls => Ok(()),
        (Connection::Https, _) => refuse("HTTPS"),
        (Connection::MutualTls, Some(shown)) if caller.is_tls => {
            let own = gateway.keys.internal_tls();
            let is_own = own.and_then(|key| key.cert.first().map(|c| **c == **shown)).unwrap_or(false);
            if is_own || client.certificates.contains(shown) {
                return Ok(());
            }
            refuse("HTTPS and one of its registered certificates, the one shown is none")
        }
        (Connection::MutualTls, _) => refuse("HTTPS and one of its registered certificates"),
    }
}

/// Takes the body to the spool, so that it can be sent more than once; `None` when there is not a byte of it.
///
/// Seen: message-path §1.4.3, an empty body is none.
///
/// # Errors
/// [`Fault`] with `io_error` when it does not come whole.
pub async fn spool(gateway: &Gateway, body: &mut Incoming) -> Result<Option<Spooled>, Fault> {
    let early = |error: BodyError| Fault::new(Leaf::IoError, error.to_string()).at(Side::Ours).because(error);
    let mut writer = gateway.spool.writer();
    while let Some(piece) = body.next().await.map_err(early)? {
        writer.write(&piece).await.map_err(message::unspooled)?;
    }
    if writer.is_empty() {
        return Ok(None);
    }
    writer.finish().await.map(Some).map_err(message::unspooled)
}
