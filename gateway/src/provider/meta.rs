//! What the gateway answers in a service's place: which services there are, and what describes them.
//!
//! Such an answer takes the place of a service's: it is signed, recorded and sealed like any other. Every client whose
//! message gets this far may ask; `allowedMethods` goes by its rights.
//!
//! Spec: message-path §1.7. Seen: X-Road 7.8 `MetadataServiceHandlerImpl.java`, `RestMetadataServiceHandlerImpl.java`.

use super::forward::Answered;
use super::receive::Proven;
use crate::conf::ServiceKind;
use crate::messagelog::{Recorded, Spooled};
use crate::net::message;
use crate::net::question::Question;
use crate::net::soap::Letter;
use crate::world::World;
use saatkond_proto::fault::{Fault, Leaf, Side};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::meta::methods::{self, RestService};
use saatkond_proto::message::meta::{self, Metaservice};
use saatkond_proto::message::rest::Request;
use saatkond_proto::message::soap::Envelope;

/// Answers a recorded question to a metaservice.
///
/// # Errors
/// [`Fault`] with `invalid_request`, `unknown_service`, `service_type` or `internal_error`.
pub fn answer(
    world: &World,
    request: &Recorded<Proven>,
    metaservice: Metaservice,
) -> Result<Answered, Fault> {
    match request.permitted().question() {
        Question::Rest(asked) => rest(world, asked, metaservice),
        Question::Soap(asked) => soap(world, &asked.letter.envelope, metaservice),
    }
}

fn rest(world: &World, asked: &Request, metaservice: Metaservice) -> Result<Answered, Fault> {
    let provider = &asked.service.client;
    let document = match metaservice {
        Metaservice::ListMethods => methods::rest(&rest_services(world, provider, None)),
        Metaservice::AllowedMethods => methods::rest(&rest_services(world, provider, Some(&asked.client))),
        Metaservice::GetOpenApi | Metaservice::GetWsdl => return open_api(world, asked),
    };
    let document = Spooled::from_bytes(document.into());
    Ok(Answered::Meta { content_type: "application/json".to_owned(), document })
}

/// The REST services of a provider: all, or those on which `caller` has a right.
fn rest_services<'a>(
    world: &'a World,
    provider: &ClientId,
    caller: Option<&ClientId>,
) -> Vec<RestService<'a>> {
    let services = world.server.client(provider).into_iter().flat_map(|client| &client.services);
    let listed = services.filter(|service| service.kind != ServiceKind::Soap).filter_map(|service| {
        let id = provider.service(&service.code);
        let endpoints = match caller {
            None => service.endpoints.iter().map(|grant| &grant.endpoint).collect(),
            Some(caller) => world.server.endpoints_of(caller, &id, &world.conf)?,
        };
        Some(RestService { id, is_openapi: service.kind == ServiceKind::OpenApi, endpoints })
    });
    listed.collect()
}

fn soap(world: &World, asked: &Envelope, metaservice: Metaservice) -> Result<Answered, Fault> {
    let provider = &asked.service.client;
    let envelope = match metaservice {
        Metaservice::ListMethods => asked.listing(&soap_services(world, provider, None)),
        Metaservice::AllowedMethods => asked.listing(&soap_services(world, provider, Some(&asked.client))),
        Metaservice::GetWsdl | Metaservice::GetOpenApi => return wsdl(world, asked),
    };
    let letter = Box::new(Letter::alone(envelope.map_err(message::internal)?));
    Ok(Answered::Soap { letter, attachments: Vec::new() })
}

/// The SOAP services of a provider: all, or those on which `caller` has a right.
fn soap_services(world: &World, provider: &ClientId, caller: Option<&ClientId>) -> Vec<ServiceId> {
    let services = world.server.client(provider).into_iter().flat_map(|client| &client.services);
    let listed = services.filter(|service| service.kind == ServiceKind::Soap).filter_map(|service| {
        let id = ServiceId { version: service.version.clone(), ..provider.service(&service.code) };
        let is_listed = caller.is_none_or(|caller| world.server.has_any_right(caller, &id, &world.conf));
        is_listed.then_some(id)
    });
    listed.collect()
}

/// The OpenAPI document of the service that the query names. Seen: the last `serviceCode` counts, in any letter case.
fn open_api(world: &World, asked: &Request) -> Result<Answered, Fault> {
    let mut parameters = meta::parameters(asked.query.as_deref().unwrap_or_default()).rev();
    let named = parameters.find(|(name, _)| name.eq_ignore_ascii_case("serviceCode"));
    let Some((_, code)) = named.filter(|(_, code)| !code.is_empty()) else {
        return Err(Fault::new(Leaf::InvalidRequest, "Missing serviceCode in query"));
    };
    let id = asked.service.client.service(code);
    let fault = |detail| Err(Fault::new(Leaf::InternalError, detail).at(Side::Service));
    match world.server.service(&id).map(|service| service.kind) {
        None => fault(format!("Service not found: {id}")),
        Some(ServiceKind::Rest) => fault("Invalid service type: REST".to_owned()),
        Some(ServiceKind::Soap) => fault("Invalid service type: WSDL".to_owned()),
        Some(ServiceKind::OpenApi) => fault(format!("Service {id} has no description")),
    }
}

/// The WSDL of the service that the body names.
fn wsdl(world: &World, asked: &Envelope) -> Result<Answered, Fault> {
    let code = asked.body_field("serviceCode").map_err(message::internal)?;
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        return Err(Fault::new(Leaf::InvalidRequest, "Missing serviceCode in message body"));
    };
    let version = asked.body_field("serviceVersion").map_err(message::internal)?;
    let id = ServiceId { version, ..asked.service.client.service(code) };
    match world.server.service(&id).map(|service| service.kind) {
        None | Some(ServiceKind::Soap) => {
            Err(Fault::new(Leaf::UnknownService, format!("Could not find wsdl URL for service {id}")))
        }
        Some(ServiceKind::Rest | ServiceKind::OpenApi) => {
            Err(Fault::new(Leaf::ServiceType, "Service is a REST service and does not have a WSDL"))
        }
    }
}
