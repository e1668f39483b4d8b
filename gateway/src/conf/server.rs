//! `server.toml`: what this server offers, to whom.

use super::ConfError;
use super::source::Source;
use saatkond_proto::continuity::Access;
use saatkond_proto::continuity::access::strictest;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::endpoint::{Endpoint, normal_path};
use saatkond_proto::message::rest::Method;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What this server offers: one immutable picture of `server.toml`.
#[derive(Debug, Clone, Default)]
pub struct ServerConf {
    clients: BTreeMap<ClientId, Client>,
    /// The files it was read from: `server.toml`, and those that it names.
    sources: Vec<Source>,
}

/// A client of this server: a member or subsystem whose information systems ask or serve here.
#[derive(Debug, Clone)]
pub struct Client {
    /// Who it is.
    pub id: ClientId,
    /// How its information systems must connect.
    pub connection: Connection,
    /// Certificates (DER) of its information systems: byte-equal ones are accepted from callers under
    /// [`Connection::MutualTls`] and from its services where [`Service::verify_tls`] is set.
    pub certificates: Vec<Vec<u8>>,
    /// What it provides.
    pub services: Vec<Service>,
    /// Its local groups.
    pub local_groups: Vec<LocalGroup>,
    /// Where it is asked how old this site's copy of it is; `None` where nobody can say.
    pub staleness: Option<AgeSource>,
}

/// Who says how old a copy is.
#[derive(Debug, Clone, PartialEq)]
pub enum AgeSource {
    /// A PostgreSQL that replays another's log, reached over a Unix socket or loopback. Its password is not shown.
    Postgres(Box<tokio_postgres::Config>),
    /// A URL that answers seconds, or JSON with them.
    Probe(String),
    /// A file with the moment up to which the copy holds everything.
    File(PathBuf),
}

/// How a client's information systems must connect. Spec: message-path §1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Plain HTTP is enough; X-Road's `NOSSL`.
    Http,
    /// HTTPS without a client certificate; X-Road's `SSLNOAUTH`.
    Https,
    /// HTTPS with one of the client's certificates; X-Road's `SSLAUTH`.
    MutualTls,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its code.
    pub code: String,
    /// Its version; SOAP services only.
    pub version: Option<String>,
    /// Where it answers.
    pub url: String,
    /// What it speaks.
    pub kind: ServiceKind,
    /// Where it is described; never of a [`ServiceKind::Rest`] service.
    pub description: Option<Description>,
    /// Path and query at its server where it is asked how it is; `None` where it is not.
    pub probe: Option<String>,
    /// From request to the end of its answer's head.
    pub timeout: Duration,
    /// Whether a TLS certificate must be one of the client's, where it or its description shows one; false where neither
    /// does.
    pub verify_tls: bool,
    /// Why it is switched off; `None` while it serves.
    pub disabled: Option<String>,
    /// Who may call all of it.
    pub allow: Vec<Subject>,
    /// Its endpoints, and who may call each, besides those who may call all of it.
    pub endpoints: Vec<Grant>,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// REST.
    Rest,
    /// REST, described by an OpenAPI document.
    OpenApi,
    /// SOAP.
    Soap,
}

/// Where a service's WSDL or OpenAPI document is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Description {
    /// From here, `http://…` or `https://…`.
    Url(String),
    /// From this file.
    File(PathBuf),
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

/// A part of a service, and who may call it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Method and path pattern.
    pub endpoint: Endpoint,
    /// Whether the service's description lists it.
    pub is_generated: bool,
    /// Whether it reads or writes, where that is declared here.
    pub access: Option<Access>,
    /// Who may call it.
    pub allow: Vec<Subject>,
}

/// Whom a right is given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One client.
    Client(ClientId),
    /// A global group: instance and code.
    GlobalGroup {
        /// The instance that keeps the group.
        instance: String,
        /// The group's code.
        code: String,
    },
    /// A local group of the providing client, by code.
    LocalGroup(String),
}

/// A named set of clients, known to the providing client only.
#[derive(Debug, Clone)]
pub struct LocalGroup {
    /// Its code.
    pub code: String,
    /// Who is in it.
    pub members: Vec<ClientId>,
}

impl ServerConf {
    /// What these clients offer, read from these files.
    pub(super) const fn new(clients: BTreeMap<ClientId, Client>, sources: Vec<Source>) -> Self {
        Self { clients, sources }
    }

    /// Reads and checks `server.toml`, with the certificate files that it names. Clients must be of `instance`.
    ///
    /// # Errors
    /// [`ConfError`], with line and reason.
    pub fn load(file: &Path, instance: &str) -> Result<Self, ConfError> {
        let (bytes, source) = super::read(file, super::FILE_BYTES_MAX)?;
        let mut read = Self::from_toml(&String::from_utf8_lossy(&bytes), file, instance)?;
        read.sources.push(source);
        Ok(read)
    }

    /// Whether every file that it was read from, `server.toml` and the certificates it names, looks as it did then.
    #[must_use]
    pub fn is_as_read(&self) -> bool {
        self.sources.iter().all(Source::is_as_read)
    }

    /// Checks the text of a `server.toml`; files it names are relative to `file`.
    ///
    /// # Errors
    /// As [`ServerConf::load`].
    pub fn from_toml(text: &str, file: &Path, instance: &str) -> Result<Self, ConfError> {
        super::server_v1::check(text, file, instance)
    }

    /// A client of this server.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        self.clients.get(id)
    }

    /// All clients, in the order of their identifiers.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// The service that `id` names, version and all, if it is one of this server's.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        let services = &self.clients.get(&id.client)?.services;
        services.iter().find(|s| s.code == id.code && s.version == id.version)
    }

    /// What is declared here of a call of `service`; `None` where nothing is. What the instance's policy says stands above it.
    ///
    /// Of two declarations that say different things `write` stands. A path about which nothing can be said writes.
    #[must_use]
    pub fn declared(&self, service: &ServiceId, method: Method, raw_path: &str) -> Option<Access> {
        let endpoints = &self.service(service)?.endpoints;
        let mut declared = endpoints.iter().filter_map(|g| Some((&g.endpoint, g.access?))).peekable();
        declared.peek()?;
        let Ok(path) = normal_path(raw_path) else { return Some(Access::Write) };
        strictest(declared.filter(|(endpoint, _)| endpoint.covers(method, &path)).map(|(_, access)| access))
    }

    /// Whether `caller` may call `service` with this method and raw path (what follows the service code, percent-encoded
    /// as it came). An unknown service is allowed to nobody, and so is a path about which no right can say anything.
    ///
    /// Spec: trust-and-configuration §5.5, message-path §4.6.
    #[must_use]
    pub fn is_allowed(
        &self,
        caller: &ClientId,
        service: &ServiceId,
        method: Method,
        raw_path: &str,
        conf: &GlobalConf,
    ) -> bool {
        let Some(found) = self.service(service) else { return false };
        let Some(provider) = self.clients.get(&service.client) else { return false };
        let Ok(path) = normal_path(raw_path) else { return false };
        let is_one_of = |allow: &[Subject]| allow.iter().any(|s| provider.is_subject(s, caller, conf));
        is_one_of(&found.allow)
            || found.endpoints.iter().any(|g| g.endpoint.covers(method, &path) && is_one_of(&g.allow))
    }

    /// The endpoints of `service` on which `caller` has a right, as metaservices tell them; `None` without any right on it.
    ///
    /// Spec: message-path §1.7, §4.6. A right on an endpoint shows the others that it includes.
    #[must_use]
    pub fn endpoints_of(
        &self,
        caller: &ClientId,
        service: &ServiceId,
        conf: &GlobalConf,
    ) -> Option<Vec<&Endpoint>> {
        let (found, provider) = (self.service(service)?, self.clients.get(&service.client)?);
        let is_one_of = |allow: &[Subject]| allow.iter().any(|s| provider.is_subject(s, caller, conf));
        let all = found.endpoints.iter().map(|grant| &grant.endpoint);
        if is_one_of(&found.allow) {
            return Some(all.collect());
        }
        let granted = found.endpoints.iter().filter(|grant| is_one_of(&grant.allow));
        let granted: Vec<_> = granted.map(|grant| &grant.endpoint).collect();
        let is_shown = |endpoint: &&Endpoint| granted.iter().any(|right| right.includes(endpoint));
        (!granted.is_empty()).then(|| all.filter(is_shown).collect())
    }

    /// Whether `caller` has any right on `service`, on all of it or on an endpoint.
    #[must_use]
    pub fn has_any_right(&self, caller: &ClientId, service: &ServiceId, conf: &GlobalConf) -> bool {
        let Some(found) = self.service(service) else { return false };
        let Some(provider) = self.clients.get(&service.client) else { return false };
        let mut grants = found.endpoints.iter().flat_map(|g| &g.allow).chain(&found.allow);
        grants.any(|s| provider.is_subject(s, caller, conf))
    }
}

impl Client {
    /// Whether `caller` is whom a right of this client was given to. Identifiers are compared whole: a right of a member
    /// is none of its subsystems, nor the reverse.
    fn is_subject(&self, subject: &Subject, caller: &ClientId, conf: &GlobalConf) -> bool {
        match subject {
            Subject::Client(id) => id == caller,
            Subject::GlobalGroup { instance, code } => conf.is_in_group(caller, instance, code),
            Subject::LocalGroup(code) => {
                self.local_groups.iter().any(|g| &g.code == code && g.members.contains(caller))
            }
        }
    }
}
