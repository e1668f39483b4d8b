//! The sites and registers of an instance as they are written, and what they become.
//!
//! What is signed of them is [`Policy`]; this file says what must hold between it and the rest of the instance.

use super::{InstanceError, Place};
use crate::span::Span;
use saatkond_proto::continuity::{
    Access, Class, Jurisdiction, Operator, Policy, Register, Role, ServiceAccess, Site, Use,
};
use saatkond_proto::globalconf::SharedParams;
use saatkond_proto::id::{ClientId, IdError, ServerId};
use saatkond_proto::message::endpoint::{Endpoint, PathGlob};
use saatkond_proto::message::rest::Method;
use serde::{Deserialize, Serialize};

/// Which sites there are, and what each register may do at them. Plain X-Road servers keep it and ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuity {
    /// Raised by one or more with every change under `continuity`; gateways refuse a lower one. Required.
    pub generation: u64,
    /// Places where the state keeps servers.
    #[serde(default, rename = "site")]
    pub sites: Vec<WrittenSite>,
    /// Subsystems that are served from several sites, or may not leave one.
    #[serde(default, rename = "register")]
    pub registers: Vec<WrittenRegister>,
    /// Who may order a change of authority.
    #[serde(default, rename = "operator")]
    pub operators: Vec<WrittenOperator>,
}

/// A place where the state keeps servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSite {
    /// Its name: letters, digits, hyphens, underscores, dots. Required.
    pub id: String,
    /// What it is there for: `home`, `embassy`, `mission` or `cloud`. Required.
    pub role: String,
    /// Whose law holds there: `territory`, `embassy-agreement:HOST:TREATY`, `mission:HOST` or `commercial:REGION`, to
    /// match the role. Required.
    pub jurisdiction: String,
    /// The security servers that stand there, each `INSTANCE/CLASS/CODE/SERVER`.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Where the sites' own listener answers, each `HOST:PORT`. Without one no call is relayed here.
    #[serde(default)]
    pub relay: Vec<String>,
}

/// A subsystem that is served from several sites, or may not leave one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRegister {
    /// `INSTANCE/CLASS/CODE/SUBSYSTEM`. Required.
    pub id: String,
    /// How sensitive it is: `PUBLIC`, `INTERNAL`, `RESTRICTED` or `HOME_ONLY`. Required.
    pub class: String,
    /// Sites that may lead it, home first: the first leads until an operator orders otherwise. At least one.
    pub succession: Vec<String>,
    /// Sites that hold a copy in use. Default: all where a server has the subsystem, as far as the class allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Vec<String>>,
    /// How old what a read sees may be, where the reader does not say. Required.
    pub staleness: Span,
    /// How old it may be whatever the reader says. Required.
    pub staleness_max: Span,
    /// How often copies are refreshed; `0 s` for without pause. Default: `0 s`.
    #[serde(default = "at_once")]
    pub refresh: Span,
    /// How reads are shared while all sites are well; together 100. Default: the nearest site.
    #[serde(default, rename = "read_share")]
    pub read_shares: Vec<WrittenReadShare>,
    /// Which services read and which write, where the method of HTTP does not say it.
    #[serde(default, rename = "service")]
    pub services: Vec<WrittenServiceAccess>,
}

/// A site's share of a register's reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenReadShare {
    /// The site. Required.
    pub site: String,
    /// Its share, in hundredths. Required.
    pub hundredths: u8,
}

/// What a service, or a part of it, does to the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenServiceAccess {
    /// The service's code. Required.
    pub code: String,
    /// Its version, known to SOAP services only. Default: every version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A method of HTTP. Default: every method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A path pattern as access rights have it. Default: every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `read` or `write`. Required.
    pub access: String,
}

/// Who may order a change of authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenOperator {
    /// Its name: letters, digits, hyphens, underscores, dots. Required.
    pub name: String,
    /// Its Ed25519 public key, base64, as `saatkond authority operator-key` prints it. Required.
    pub key: String,
}

const fn at_once() -> Span {
    Span::minutes(0)
}

/// Makes the policy of what is written, and checks it against the rest of the instance.
///
/// What may surprise is added to `notes`.
pub(super) fn policy(
    written: &Continuity,
    shared: &SharedParams,
    notes: &mut Vec<String>,
) -> Result<Policy, InstanceError> {
    let policy = Policy {
        generation: written.generation,
        sites: written.sites.iter().map(site).collect::<Result<_, _>>()?,
        registers: written.registers.iter().map(register).collect::<Result<_, _>>()?,
        operators: written.operators.iter().map(operator).collect::<Result<_, _>>()?,
    };
    let wrong = |e: saatkond_proto::continuity::PolicyError| Place(&e.entry, "").wrong(&e.reason);
    policy.check(&shared.instance).map_err(wrong)?;
    check_sites(&policy, shared)?;
    for register in &policy.registers {
        check_register(&policy, register, shared, notes)?;
    }
    Ok(policy)
}

/// Checks that a changed policy has a higher generation than the one applied before it.
pub(super) fn follows(policy: Option<&Policy>, before: Option<&Policy>) -> Result<(), InstanceError> {
    let place = Place("continuity", "");
    match (policy, before) {
        (_, None) => Ok(()),
        (None, Some(before)) => Err(place.wrong(format!(
            "it is missing, and gateways keep generation {}; to end it, keep the section without registers and \
             raise the generation",
            before.generation
        ))),
        (Some(policy), Some(before)) if policy == before || policy.generation > before.generation => Ok(()),
        (Some(policy), Some(before)) => Err(place.wrong(format!(
            "generation is {}, expected {} or more: what was applied before has {}, and this differs from it",
            policy.generation,
            before.generation.saturating_add(1),
            before.generation
        ))),
    }
}

fn check_sites(policy: &Policy, shared: &SharedParams) -> Result<(), InstanceError> {
    for site in &policy.sites {
        for server in &site.servers {
            if !shared.servers.iter().any(|listed| listed.id == *server) {
                let reason = format!("server {server} is not among the servers of the instance");
                return Err(Place("site", &site.id).wrong(reason));
            }
        }
    }
    Ok(())
}

fn check_register(
    policy: &Policy,
    register: &Register,
    shared: &SharedParams,
    notes: &mut Vec<String>,
) -> Result<(), InstanceError> {
    let id = register.id.to_string();
    let place = Place("register", &id);
    let is_listed = shared.members.iter().any(|member| {
        member.id == register.id.member
            && member.subsystems.iter().any(|s| Some(&s.code) == register.id.subsystem.as_ref())
    });
    if !is_listed {
        return Err(place.wrong("it is not among the subsystems of the members"));
    }
    let doors = shared.servers.iter().filter(|server| server.clients.contains(&register.id));
    let mut sites_with_door = Vec::new();
    for server in doors {
        let Some(site) = policy.site_of(&server.id) else {
            return Err(
                place.wrong(format!("it is registered on server {}, which stands at no site", server.id))
            );
        };
        // whoever picks this door has sent it plain text before anything is asked
        register.may(Use::Relay, site).map_err(|e| place.wrong(format!("server {}: {e}", server.id)))?;
        sites_with_door.push(site.id.as_str());
    }
    for site in register.succession.iter().chain(register.live.iter().flatten()) {
        if !sites_with_door.contains(&site.as_str()) {
            notes.push(format!(
                "register {id}: no server at site {site} has it, so nobody can reach it there"
            ));
        }
    }
    notes.sort();
    notes.dedup();
    Ok(())
}

fn id<T>(kind: &str, text: &str, read: impl Fn(&str) -> Result<T, IdError>) -> Result<T, InstanceError> {
    read(text).map_err(|e| Place(kind, text).wrong(e))
}

fn word<T>(
    place: &Place<'_>,
    key: &str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, InstanceError> {
    read(text).ok_or_else(|| place.wrong(format!("{key} is {text:?}, expected {expected}")))
}

fn site(written: &WrittenSite) -> Result<Site, InstanceError> {
    let place = Place("site", &written.id);
    Ok(Site {
        id: written.id.clone(),
        role: word(&place, "role", &written.role, Role::from_text, "home, embassy, mission or cloud")?,
        jurisdiction: word(
            &place,
            "jurisdiction",
            &written.jurisdiction,
            Jurisdiction::from_text,
            "territory, embassy-agreement:HOST:TREATY, mission:HOST or commercial:REGION",
        )?,
        servers: written
            .servers
            .iter()
            .map(|text| id("server", text, ServerId::from_path))
            .collect::<Result<_, _>>()?,
        relay: written.relay.clone(),
    })
}

fn register(written: &WrittenRegister) -> Result<Register, InstanceError> {
    let place = Place("register", &written.id);
    let class =
        word(&place, "class", &written.class, Class::from_text, "PUBLIC, INTERNAL, RESTRICTED or HOME_ONLY")?;
    Ok(Register {
        id: id("register", &written.id, ClientId::from_path)?,
        class,
        services: written.services.iter().map(|s| service(s, &place)).collect::<Result<_, _>>()?,
        succession: written.succession.clone(),
        live: written.live.clone(),
        staleness: written.staleness.0,
        staleness_max: written.staleness_max.0,
        read_shares: written.read_shares.iter().map(|share| (share.site.clone(), share.hundredths)).collect(),
        refresh: written.refresh.0,
    })
}

fn service(written: &WrittenServiceAccess, place: &Place<'_>) -> Result<ServiceAccess, InstanceError> {
    let method = written.method.as_ref().filter(|method| *method != "*");
    let method = match method {
        Some(text) => Some(word(place, "method", text, Method::from_name, "a method of HTTP, in capitals")?),
        None => None,
    };
    let path = written.path.as_deref();
    let endpoint = (method.is_some() || path.is_some())
        .then(|| Endpoint { method, path: PathGlob::new(path.unwrap_or("**")) });
    Ok(ServiceAccess {
        code: written.code.clone(),
        version: written.version.clone(),
        endpoint,
        access: word(place, "access", &written.access, Access::from_text, "read or write")?,
    })
}

fn operator(written: &WrittenOperator) -> Result<Operator, InstanceError> {
    use base64::Engine as _;
    let place = Place("operator", &written.name);
    let read =
        |text: &str| base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?.try_into().ok();
    let key = word(&place, "key", &written.key, read, "an Ed25519 public key, 32 octets in base64")?;
    Ok(Operator { name: written.name.clone(), key })
}
