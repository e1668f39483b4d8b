//! What the gateway answers in a service's place: which services there are, and what describes them.
//!
//! Such an answer takes the place of a service's: it is signed, recorded and sealed like any other. Every client whose
//! message gets this far may ask; `allowedMethods` goes by its rights.
//!
//! Spec: message-path §1.7. Seen: X-Road 7.8 `MetadataServiceHandlerImpl.java`, `RestMetadataServiceHandlerImpl.java`.

use super::authorise::Callee;
use super::forward::{self, Answered};
use super::lead::Leave;
use super::receive::Proven;
use crate::Gateway;
use crate::conf::{Client, Description, Service, ServiceKind};
use crate::messagelog::{Recorded, Spooled};
use crate::net::body::{Incoming, Outgoing};
use crate::net::fetch::{Meeting, Place};
use crate::net::message::{self, Attachment, PartHead};
use crate::net::question::Question;
use crate::net::soap::Letter;
use crate::net::{description, random};
use crate::world::World;
use http::{Request as HttpRequest, StatusCode, header};
use saatkond_proto::fault::{Fault, Leaf, Side};
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::limits;
use saatkond_proto::message::meta::addresses::{self, AddressError};
use saatkond_proto::message::meta::methods::{self, RestService};
use saatkond_proto::message::meta::{self, Metaservice};
use saatkond_proto::message::rest::{Request, from_latin1};
use saatkond_proto::message::soap::Envelope;

/// Answers a recorded question to a metaservice.
///
/// # Errors
/// [`Fault`] with `invalid_request`, `unknown_service`, `service_type` or `internal_error`; where a description is not
/// reached, as of a service.
pub async fn answer(
    gateway: &Gateway,
    world: &World,
    request: &Recorded<Proven>,
    metaservice: Metaservice,
) -> Result<Answered, Fault> {
    match request.permitted().question() {
        Question::Rest(asked) => rest(gateway, world, asked, metaservice).await,
        Question::Soap(asked) => soap(gateway, world, &asked.letter.envelope, metaservice).await,
    }
}

async fn rest(
    gateway: &Gateway,
    world: &World,
    asked: &Request,
    metaservice: Metaservice,
) -> Result<Answered, Fault> {
    let provider = &asked.service.client;
    let document = match metaservice {
        Metaservice::ListMethods => methods::rest(&rest_services(world, provider, None)),
        Metaservice::AllowedMethods => methods::rest(&rest_services(world, provider, Some(&asked.client))),
        Metaservice::GetOpenApi | Metaservice::GetWsdl => return open_api(gateway, world, asked).await,
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

async fn soap(
    gateway: &Gateway,
    world: &World,
    asked: &Envelope,
    metaservice: Metaservice,
) -> Result<Answered, Fault> {
    let provider = &asked.service.client;
    let envelope = match metaservice {
        Metaservice::ListMethods => asked.listing(&soap_services(world, provider, None)),
        Metaservice::AllowedMethods => asked.listing(&soap_services(world, provider, Some(&asked.client))),
        Metaservice::GetWsdl | Metaservice::GetOpenApi => return wsdl(gateway, world, asked).await,
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

//------------ descriptions ---------------------------------------------------

/// The OpenAPI document of the service that the query names. Seen: the last `serviceCode` counts, in any letter case.
async fn open_api(gateway: &Gateway, world: &World, asked: &Request) -> Result<Answered, Fault> {
    let mut parameters = meta::parameters(asked.query.as_deref().unwrap_or_default()).rev();
    let named = parameters.find(|(name, _)| name.eq_ignore_ascii_case("serviceCode"));
    let Some((_, code)) = named.filter(|(_, code)| !code.is_empty()) else {
        return Err(Fault::new(Leaf::InvalidRequest, "Missing serviceCode in query"));
    };
    let id = asked.service.client.service(code);
    let fault = |detail| Err(Fault::new(Leaf::InternalError, detail).at(Side::Service));
    let description = match find(world, &id) {
        None => return fault(format!("Service not found: {}", id.typed())),
        Some((_, Service { kind: ServiceKind::Rest, .. })) => {
            return fault("Invalid service type: REST".to_owned());
        }
        Some((_, Service { kind: ServiceKind::Soap, .. })) => {
            return fault("Invalid service type: WSDL".to_owned());
        }
        Some((_, Service { description: None, .. })) => {
            return fault(format!("Service {id} has no description"));
        }
        Some((provider, service)) => read(gateway, provider, service).await?,
    };
    let document = conceal(addresses::out_of_openapi, description.document).await?;
    let document = Spooled::from_bytes(document.into());
    Ok(Answered::Meta { content_type: description.content_type, document })
}

/// The WSDL of the service that the body names, as an attachment.
async fn wsdl(gateway: &Gateway, world: &World, asked: &Envelope) -> Result<Answered, Fault> {
    let code = asked.body_field("serviceCode").map_err(message::internal)?;
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        return Err(Fault::new(Leaf::InvalidRequest, "Missing serviceCode in message body"));
    };
    let version = asked.body_field("serviceVersion").map_err(message::internal)?;
    let id = ServiceId { version, ..asked.service.client.service(code) };
    let description = match find(world, &id) {
        None | Some((_, Service { kind: ServiceKind::Soap, description: None, .. })) => {
            return Err(Fault::new(
                Leaf::UnknownService,
                format!("Could not find wsdl URL for service {}", id.typed()),
            ));
        }
        Some((_, Service { kind: ServiceKind::Rest | ServiceKind::OpenApi, .. })) => {
            let detail = "Service is a REST service and does not have a WSDL";
            return Err(Fault::new(Leaf::ServiceType, detail));
        }
        Some((provider, service)) => read(gateway, provider, service).await?,
    };
    let document = conceal(addresses::out_of_wsdl, description.document).await?;
    let boundary = random::boundary().map_err(message::internal)?.replacen("xtop", "xroad", 1);
    let letter = Letter::related(asked.repeating().map_err(message::internal)?, &boundary);
    let id = random::uuid().map_err(message::internal)?;
    let headers =
        [("Content-ID", format!("<wsdl={id}@x-road.eu>")), ("Content-Transfer-Encoding", "binary".into())];
    let head = PartHead {
        content_type: Some("text/xml".to_owned()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    let attachment = Attachment { head, body: Spooled::from_bytes(document.into()) };
    Ok(Answered::Soap { letter: Box::new(letter), attachments: vec![attachment] })
}

fn find<'a>(world: &'a World, id: &ServiceId) -> Option<(&'a Client, &'a Service)> {
    world.server.client(&id.client).zip(world.server.service(id))
}

/// A description, as it was read.
struct Described {
    content_type: String,
    document: Vec<u8>,
}

/// Reads the description of a service, within the service's time limit and by its TLS rules.
async fn read(gateway: &Gateway, provider: &Client, service: &Service) -> Result<Described, Fault> {
    let callee = Callee::new(provider, service);
    let reading = async {
        match &service.description {
            Some(Description::Url(url)) => fetch(gateway, &callee, url).await,
            Some(Description::File(file)) => {
                let content_type = match file.extension().and_then(|extension| extension.to_str()) {
                    Some("json") => "application/json",
                    _ => "application/yaml",
                };
                let description = Description::File(file.clone());
                let document = description::read(&description, &Meeting::default()).await;
                let document = document.map_err(|error| unread("it cannot be read").because(error))?;
                Ok(Described { content_type: content_type.to_owned(), document })
            }
            None => Err(unread("there is none")),
        }
    };
    let late = |_| {
        let detail = format!("the service's description was not read within {:?}", service.timeout);
        Fault::new(Leaf::IoError, detail).at(Side::Service)
    };
    tokio::time::timeout(service.timeout, reading).await.map_err(late)?
}

/// No address of the description is told.
fn unread(why: &str) -> Fault {
    Fault::new(Leaf::InternalError, format!("Failed reading service description: {why}")).at(Side::Service)
}

/// Seen: the content type is told as it came, or is `text/plain`; no redirect is followed.
async fn fetch(gateway: &Gateway, callee: &Callee, url: &str) -> Result<Described, Fault> {
    let get = |place: &Place| {
        let request = HttpRequest::get(place.target.as_str()).header(header::HOST, &place.authority);
        request.body(Outgoing::sized()).map_err(message::internal)
    };
    let (connection, answer) = forward::call(gateway, (callee, &Leave::default()), url, true, get).await?;
    let (parts, incoming) = answer.into_parts();
    if parts.status != StatusCode::OK {
        return Err(unread(&format!("status {}", parts.status)));
    }
    let mut incoming = Incoming::new(incoming, callee.service.timeout);
    let document = incoming.whole(limits::DESCRIPTION_BYTES_MAX).await;
    let document = document.map_err(|error| unread(&error.to_string()).because(error))?;
    gateway.net.services.give(connection);
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| from_latin1(value.as_bytes()));
    Ok(Described { content_type: content_type.unwrap_or_else(|| "text/plain".to_owned()), document })
}

/// Takes the addresses out, beside the threads that carry messages: a description may be large.
async fn conceal(
    out_of: fn(&[u8]) -> Result<Vec<u8>, AddressError>,
    document: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let concealed =
        tokio::task::spawn_blocking(move || out_of(&document)).await.map_err(message::internal)?;
    concealed.map_err(|error| unread(&error.to_string()).because(error))
}
