//! GovStack's directory of an Information Mediator: its questions made into X-Road's, the answers told in its words.
//!
//! Under `/govstack/`, where an adaptor in front of this door puts them, for GovStack's paths are X-Road's own; the adaptor
//! says in `X-Road-Client` for which information system it stands. Each question to a provider is an exchange like any
//! other: signed, recorded, by the rules of this door.
//!
//! Spec: [`saatkond_proto::message::meta::govstack`].

use super::reply::Reply;
use super::{admit, carry, check};
use crate::Gateway;
use crate::net::listen::Exchange;
use crate::net::message;
use crate::net::soap::by_client;
use crate::net::task::Account;
use crate::world::World;
use saatkond_proto::fault::{Code, Fault, Leaf, Side};
use saatkond_proto::id::ClientId;
use saatkond_proto::limits;
use saatkond_proto::message::meta::Metaservice;
use saatkond_proto::message::meta::govstack::{self, Question, Services};
use saatkond_proto::message::rest::Headers;

/// Where the directory lies.
pub(super) const PLACE: &str = "/govstack/";

/// Answers a question to the directory.
///
/// What is not there is the asker's error, which X-Road does not tell from its own. So it is looked up first: providers in
/// the global configuration, described services in the provider's own list.
///
/// # Errors
/// [`Fault`] with `client.bad_request` for what is not there, else of the exchange.
pub(super) async fn answer(
    gateway: &Gateway,
    asked: &mut Exchange,
    account: &mut Account,
) -> Result<Reply, Fault> {
    let world = gateway.world();
    admit::is_current(gateway, &world)?;
    let place = asked.head.target.strip_prefix(PLACE).unwrap_or_default();
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let told = match Question::read(path, query).map_err(bad_request)? {
        Question::Clients { instance } => {
            let instance = instance.as_deref().unwrap_or_else(|| gateway.conf.instance());
            if !world.conf.knows_instance(instance) {
                return Err(bad_request("the instance is not known"));
            }
            govstack::clients(world.conf.members(instance))
        }
        Question::Services { provider, metaservice } => {
            let mut enquiry = Enquiry::at(gateway, &world, asked, account, provider)?;
            enquiry.services(metaservice).await?.told()
        }
        Question::Description { provider, service } => {
            let mut enquiry = Enquiry::at(gateway, &world, asked, account, provider)?;
            if !enquiry.services(Metaservice::ListMethods).await?.describes(&service) {
                return Err(bad_request("the provider has no such service with an OpenAPI document"));
            }
            let document = enquiry.ask("getOpenAPI", &format!("?serviceCode={}", escaped(&service))).await?;
            govstack::text(&String::from_utf8_lossy(&document))
        }
    };
    Ok(Reply::document(govstack::CONTENT_TYPE, told))
}

fn bad_request(why: &str) -> Fault {
    by_client(Code::of(Leaf::BadRequest), why.to_owned())
}

/// A value for a query.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A provider that is asked, in somebody's name.
struct Enquiry<'a> {
    gateway: &'a Gateway,
    asked: &'a mut Exchange,
    account: &'a mut Account,
    provider: ClientId,
    client: ClientId,
}

impl<'a> Enquiry<'a> {
    fn at(
        gateway: &'a Gateway,
        world: &World,
        asked: &'a mut Exchange,
        account: &'a mut Account,
        provider: ClientId,
    ) -> Result<Self, Fault> {
        if !world.conf.knows(&provider) {
            return Err(bad_request("the provider is not known"));
        }
        let named = govstack::CLIENT_HEADERS.iter().filter_map(|name| asked.head.headers.last(name));
        let client = named.filter_map(|value| ClientId::from_path(value).ok()).next();
        let client = client.ok_or_else(|| bad_request("no header says who asks"))?;
        Ok(Self { gateway, asked, account, provider, client })
    }

    async fn services(&mut self, metaservice: Metaservice) -> Result<Services, Fault> {
        let code = match metaservice {
            Metaservice::AllowedMethods => "allowedMethods",
            _ => "listMethods",
        };
        let list = self.ask(code, "").await?;
        Services::read(&list)
            .map_err(|error| Fault::new(Leaf::InternalError, error.to_string()).at(Side::Peer).because(error))
    }

    /// Asks by REST, as an information system would that speaks X-Road.
    async fn ask(&mut self, code: &str, query: &str) -> Result<Vec<u8>, Fault> {
        self.asked.head.target = format!("/r1/{}/{code}{query}", self.provider.to_path());
        let client = ("X-Road-Client".to_owned(), self.client.to_path());
        self.asked.head.headers = Headers::from_iter([client]);
        let answer = carry(self.gateway, self.asked, self.account).await?;
        let unread = |why: &str| {
            Err(Fault::new(Leaf::InternalError, format!("the provider's answer {why}")).at(Side::Peer))
        };
        match answer.told() {
            check::Told::Rest(response) if response.status == 200 => {}
            check::Told::Rest(_) | check::Told::Soap(_) => return unread("is none of a metaservice"),
        }
        if answer.body_len() > limits::DESCRIPTION_BYTES_MAX as u64 {
            return unread("is too long");
        }
        let mut document = Vec::new();
        for part in answer.attachments() {
            let mut reader = part.body.reader();
            while let Some(piece) = reader.next().await.map_err(message::unspooled)? {
                document.extend_from_slice(&piece);
            }
        }
        Ok(document)
    }
}
