//! `instance.toml` as written, version 1. Unknown keys are refused.
//!
//! Wherever a certificate or an anchor is named, a file name (relative to this file) or the text itself may stand:
//! PEM for certificates, XML for anchors. What the store keeps holds all texts.

use super::continuity::Continuity;
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Version of this format. Required: `1`.
    pub version: u32,
    /// The instance's name; never changed. Required.
    pub instance: String,
    /// The state that `ca instance export` wrote the file of; a file of an earlier one is not applied. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<String>,
    /// Where this configuration is published: host names or addresses, with a port where it is not 80. At least one,
    /// unless nodes have theirs.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// How long a signed configuration holds. Default: `10 min`.
    #[serde(default = "ten_minutes")]
    pub validity: Span,
    /// How often it is signed anew. Default: `1 min`.
    #[serde(default = "one_minute")]
    pub renewal: Span,
    /// The oldest version that is published; servers before X-Road 7.4 read 2 only. Default: `2`.
    #[serde(default = "two")]
    pub minimum_version: u8,
    /// How old an OCSP response may be. Default: `1 h`.
    #[serde(default = "one_hour")]
    pub ocsp_freshness: Span,
    /// How often message logs are time-stamped, `1 min` to `1 d` and below `ocsp_freshness`. Default: `1 min`.
    #[serde(default = "one_minute")]
    pub timestamping_interval: Span,
    /// How often servers fetch OCSP responses. Default: `20 min`.
    #[serde(default = "twenty_minutes")]
    pub ocsp_fetch_interval: Span,
    /// Whether an OCSP response whose `nextUpdate` has passed is spoilt. Default: `true`.
    #[serde(default = "yes")]
    pub check_next_update: bool,
    /// Who besides its owner may ask a server for its state. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_client: Option<String>,
    /// The group that all owners of servers are in, kept by itself; empty for none. Default: `security-server-owners`.
    #[serde(default = "owners")]
    pub owners_group: String,
    /// Anchors of instances in federation with this one: their external anchors.
    #[serde(default)]
    pub federated_anchors: Vec<String>,
    /// Nodes that publish this configuration, each with keys of its own. Default: one, at `addresses`.
    #[serde(default, rename = "node")]
    pub nodes: Vec<Node>,
    /// Where servers and clients are registered. Required, X-Road's servers read it.
    pub management: Management,
    /// Classes that members may have.
    #[serde(default, rename = "class")]
    pub classes: Vec<Class>,
    /// Approved certification services.
    #[serde(default, rename = "ca")]
    pub cas: Vec<Ca>,
    /// Approved time-stamping services.
    #[serde(default, rename = "tsa")]
    pub tsas: Vec<Tsa>,
    /// Members.
    #[serde(default, rename = "member")]
    pub members: Vec<Member>,
    /// Security servers.
    #[serde(default, rename = "server")]
    pub servers: Vec<Server>,
    /// Global groups.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
    /// Sites and registers. Default: every server is like every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuity: Option<Continuity>,
}

impl File {
    /// An instance without members and approved services, with every default.
    #[must_use]
    pub fn new(instance: &str, address: &str, management: Management) -> Self {
        Self {
            version: 1,
            instance: instance.to_owned(),
            based_on: None,
            addresses: vec![address.to_owned()],
            validity: ten_minutes(),
            renewal: one_minute(),
            minimum_version: two(),
            ocsp_freshness: one_hour(),
            timestamping_interval: one_minute(),
            ocsp_fetch_interval: twenty_minutes(),
            check_next_update: yes(),
            monitoring_client: None,
            owners_group: owners(),
            federated_anchors: Vec::new(),
            nodes: Vec::new(),
            management,
            classes: Vec::new(),
            cas: Vec::new(),
            tsas: Vec::new(),
            members: Vec::new(),
            servers: Vec::new(),
            groups: Vec::new(),
            continuity: None,
        }
    }

    /// The same without its lists and what hangs on them.
    pub(crate) fn without_lists(&self) -> Self {
        Self {
            based_on: None,
            classes: Vec::new(),
            cas: Vec::new(),
            tsas: Vec::new(),
            members: Vec::new(),
            servers: Vec::new(),
            groups: Vec::new(),
            continuity: None,
            ..self.clone()
        }
    }
}

/// A node of the central server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, as `ca instance init --node` gave it. Required.
    pub name: String,
    /// Where it publishes: host names or addresses, with a port where it is not 80. At least one.
    pub addresses: Vec<String>,
}

/// Where servers and clients are registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// The URL that takes registrations of authentication certificates. Required.
    pub url: String,
    /// The certificate that URL presents. Default: none is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The subsystem that offers the management services. Required.
    pub provider: String,
}

/// A class of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its code. Required.
    pub code: String,
    /// What it is, for people. Required.
    pub description: String,
}

/// An approved certification service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ca {
    /// Its name. Required.
    pub name: String,
    /// The topmost authority's certificate. Required.
    pub certificate: String,
    /// How its certificates name members: a Java class name, or its short form such as `FiVRK`. Required.
    pub profile: String,
    /// Whether it may vouch for authentication certificates only. Default: `false`.
    #[serde(default)]
    pub authentication_only: bool,
    /// The form certificate requests shall have, `PEM` or `DER`. Default: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr_format: Option<String>,
    /// The topmost authority's OCSP responders.
    #[serde(default)]
    pub ocsp: Vec<Ocsp>,
    /// Authorities below it.
    #[serde(default, rename = "intermediate")]
    pub intermediates: Vec<Intermediate>,
    /// Where certificates are had without a person. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
}

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ocsp {
    /// Where it answers. Required.
    pub url: String,
    /// The certificate it signs with. Default: one that the authority issued for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// What asking costs: `FREE`, `PAID` or `UNDEFINED`. Default: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// An authority below an approved one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intermediate {
    /// Its certificate. Required.
    pub certificate: String,
    /// Its OCSP responders.
    #[serde(default)]
    pub ocsp: Vec<Ocsp>,
}

/// An ACME server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Its directory. Required.
    pub directory_url: String,
    /// The addresses it comes from, for firewalls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The profile for authentication certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_profile: Option<String>,
    /// The profile for signing certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_profile: Option<String>,
}

/// An approved time-stamping service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tsa {
    /// Its name. Required.
    pub name: String,
    /// Where it answers. Required.
    pub url: String,
    /// The certificate it signs with. Required.
    pub certificate: String,
    /// What a time-stamp costs: `FREE`, `PAID` or `UNDEFINED`. Default: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// `INSTANCE/CLASS/CODE`. Required.
    pub id: String,
    /// Its name. Required.
    pub name: String,
    /// Its subsystems.
    #[serde(default, rename = "subsystem")]
    pub subsystems: Vec<Subsystem>,
}

/// A subsystem of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsystem {
    /// Its code. Required.
    pub code: String,
    /// Its name. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A security server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `INSTANCE/CLASS/CODE/SERVER`: the owner and the server's code. Required.
    pub id: String,
    /// The host name or IP address that other servers reach it by. Required.
    pub address: String,
    /// Its registered authentication certificates.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Who is registered on it beside the owner.
    #[serde(default)]
    pub clients: Vec<String>,
    /// What its administrator says about its being in maintenance. Default: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
}

/// A global group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its code. Required.
    pub code: String,
    /// What it is, for people. Required.
    pub description: String,
    /// Members and subsystems in it.
    #[serde(default)]
    pub members: Vec<String>,
}

const fn ten_minutes() -> Span {
    Span::minutes(10)
}

const fn one_minute() -> Span {
    Span::minutes(1)
}

const fn twenty_minutes() -> Span {
    Span::minutes(20)
}

const fn one_hour() -> Span {
    Span::minutes(60)
}

const fn two() -> u8 {
    2
}

const fn yes() -> bool {
    true
}

fn owners() -> String {
    "security-server-owners".to_owned()
}
