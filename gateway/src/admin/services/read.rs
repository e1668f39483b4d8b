//! Descriptions, read and held against what `server.toml` has: what is to be changed.

use super::document::{Document, text};
use super::step::{NewService, Plan, Step, endpoint_name, name_of};
use crate::admin::run::keys_refused;
use crate::conf::units::Span;
use crate::conf::{Conf, Description, Grant, Service, ServiceKind};
use crate::keys::Keys;
use crate::keys::pin::PinSource;
use crate::net::description::{self, DescriptionError};
use crate::net::fetch::Meeting;
use saatkond_ca::exit::{Exit, Failure};
use saatkond_proto::continuity::Access;
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::message::description::is_strict_code;
use saatkond_proto::message::description::openapi::OpenApi;
use saatkond_proto::message::description::wsdl::{Operation, Wsdl};
use saatkond_proto::message::endpoint::Endpoint;
use std::collections::{HashMap, HashSet};

/// What is told of services that do not serve yet. Seen: X-Road 7.8 adds services so.
pub(super) const NOTICE: &str = "Out of order";
/// How long a service may take where nobody says otherwise. Seen: X-Road 7.8.
pub(super) const TIMEOUT: &str = "60 s";

/// A description, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is read.
    pub(super) description: Description,
    /// The same, as `server.toml` has it.
    pub(super) written: String,
}

/// Whose description is read, and whether its server's certificate must be one of theirs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust<'a> {
    /// The client.
    pub(super) client: &'a ClientId,
    /// Whether the certificate is checked.
    pub(super) verify_tls: bool,
}

impl Source {
    /// Reads it as a WSDL.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn wsdl(
        &self,
        conf: &Conf,
        document: &Document,
        trust: Trust<'_>,
    ) -> Result<Wsdl, Failure> {
        let bytes = self.bytes(conf, document, trust).await?;
        Wsdl::read(&bytes).map_err(|error| self.unreadable("WSDL", &error))
    }

    /// Reads it as an OpenAPI document.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn openapi(
        &self,
        conf: &Conf,
        document: &Document,
        trust: Trust<'_>,
    ) -> Result<OpenApi, Failure> {
        let bytes = self.bytes(conf, document, trust).await?;
        OpenApi::read(&bytes).map_err(|error| self.unreadable("OpenAPI document", &error))
    }

    /// From where it is read, if from a server.
    fn url(&self) -> Option<&str> {
        if let Description::Url(url) = &self.description { Some(url) } else { None }
    }

    fn unreadable(&self, what: &str, error: &dyn std::error::Error) -> Failure {
        Failure::new(Exit::NotWell, format!("{} is not read as {what}: {error}", self.description))
            .hint("nothing is changed")
    }

    /// The document, whatever it is; its server meets our internal key where it asks for one.
    async fn bytes(&self, conf: &Conf, document: &Document, trust: Trust<'_>) -> Result<Vec<u8>, Failure> {
        let is_https =
            self.url().is_some_and(|url| url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://")));
        let mut meeting = Meeting::default();
        if is_https {
            let keys = Keys::open(&conf.keys_dir(), 1, &PinSource::of(conf.keys.pin()))
                .map_err(|error| keys_refused(&error))?;
            let client = document.conf.client(trust.client);
            meeting.ours = keys.internal_tls();
            meeting.pinned =
                trust.verify_tls.then(|| client.map(|c| c.certificates.clone()).unwrap_or_default());
        }
        description::read(&self.description, &meeting).await.map_err(|error| {
            let (exit, hint) = match &error {
                DescriptionError::Fetch(_) if is_https && trust.verify_tls => {
                    let certificates = "its TLS certificate must be one of the client's `certificates`, unless verify_tls is false";
                    (Exit::Unavailable, certificates)
                }
                DescriptionError::File { .. } | DescriptionError::TooLarge { .. } => (Exit::NotWell, "nothing is changed"),
                _ => (Exit::Unavailable, "nothing is changed"),
            };
            Failure::new(exit, format!("the description is not read: {error}")).hint(hint)
        })
    }
}

/// What comes of a WSDL in which these services of `server.toml` stood.
pub(super) fn refresh_wsdl(
    document: &Document,
    client: &ClientId,
    group: &[ServiceId],
    source: &Source,
    wsdl: &Wsdl,
) -> Plan {
    let (mut steps, mut notes, mut warnings) = (Vec::new(), Vec::new(), wsdl.warnings.clone());
    let mut found = HashSet::new();
    for operation in &wsdl.operations {
        let id = id_of(client, operation);
        found.insert(id.clone());
        match document.conf.service(&id).filter(|_| group.contains(&id)) {
            Some(service) => notes.extend(elsewhere(&id, service, operation.location.as_deref())),
            None => match &operation.location {
                Some(url) => {
                    steps.push(Step::AddService(Box::new(sibling(document, group, id, url, source))))
                }
                None => warnings.push(format!("{} has no address, and is not added", name_of(&id))),
            },
        }
    }
    let gone = group.iter().filter(|id| !found.contains(*id));
    steps.extend(gone.map(|id| Step::RemoveService(id.clone(), rights(document.conf.service(id)))));
    Plan { of: client.to_path(), kind: "soap", description: source.written.clone(), steps, warnings, notes }
}

/// A service that its description has come to name: it serves, or does not, as the others of the description do.
fn sibling(
    document: &Document,
    group: &[ServiceId],
    id: ServiceId,
    url: &str,
    source: &Source,
) -> NewService {
    let first = group.first().and_then(|first| document.conf.service(first));
    let is_unverified = |other: &ServiceId| {
        let table = document.service(other);
        table.is_some_and(|t| {
            t.get("verify_tls").and_then(toml_edit::Item::as_bool) == Some(false)
                && text(t, "url").is_some_and(|u| origin(u) == origin(url))
        })
    };
    NewService {
        rights_of: other_version(document, &id),
        id,
        kind: "soap",
        url: url.to_owned(),
        description: Some(source.written.clone()),
        timeout: TIMEOUT.to_owned(),
        verify_tls: group.iter().any(is_unverified).then_some(false),
        disabled: first.map_or_else(|| Some(NOTICE.to_owned()), |first| first.disabled.clone()),
    }
}

/// Another version of a service, on which somebody has a right. Spec: trust-and-configuration §5.5: X-Road gives rights on
/// a code, whatever its version.
pub(super) fn other_version(document: &Document, id: &ServiceId) -> Option<ServiceId> {
    let client = document.conf.client(&id.client)?;
    let mut others = client.services.iter().filter(|s| s.code == id.code && s.kind == ServiceKind::Soap);
    let found = others.find(|service| !service.allow.is_empty())?;
    Some(ServiceId { version: found.version.clone(), ..id.clone() })
}

/// What comes of the OpenAPI document of a service.
pub(super) fn refresh_openapi(
    document: &Document,
    id: &ServiceId,
    source: &Source,
    openapi: &OpenApi,
) -> Plan {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    if let Some(service) = document.conf.service(id) {
        let known: HashMap<&Endpoint, &Grant> = service.endpoints.iter().map(|g| (&g.endpoint, g)).collect();
        for endpoint in &openapi.endpoints {
            match known.get(endpoint) {
                None => steps.push(add(id, endpoint, openapi)),
                Some(grant) => {
                    if !grant.is_generated {
                        steps.push(Step::AdoptEndpoint(id.clone(), endpoint.clone()));
                    }
                    match (grant.access, openapi.declared(endpoint)) {
                        (ours, Some(said)) if ours != Some(said) => {
                            steps.push(Step::DeclareEndpoint(id.clone(), endpoint.clone(), said));
                        }
                        (Some(ours), None) => notes.push(undeclared(endpoint, ours)),
                        _ => {}
                    }
                }
            }
        }
        let named: HashSet<&Endpoint> = openapi.endpoints.iter().collect();
        let gone = service.endpoints.iter().filter(|g| g.is_generated && !named.contains(&g.endpoint));
        steps.extend(gone.map(|g| Step::RemoveEndpoint(id.clone(), g.endpoint.clone(), g.allow.len())));
        let said = openapi.base_url(source.url()).ok();
        notes.extend(said.and_then(|said| elsewhere(id, service, Some(&said))));
    }
    let warnings = openapi.warnings.clone();
    Plan { of: id.to_path(), kind: "openapi", description: source.written.clone(), steps, warnings, notes }
}

fn add(id: &ServiceId, endpoint: &Endpoint, openapi: &OpenApi) -> Step {
    Step::AddEndpoint(id.clone(), endpoint.clone(), openapi.declared(endpoint))
}

/// Says that an endpoint stays what it is declared as.
fn undeclared(endpoint: &Endpoint, access: Access) -> String {
    let name = endpoint_name(endpoint);
    format!("{name} stays declared a {}, though the description says nothing of it", access.text())
}

/// Says that a service answers elsewhere than its description says: what an operator has set is not changed.
fn elsewhere(id: &ServiceId, service: &Service, said: Option<&str>) -> Option<String> {
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let said = said.filter(|said| bare(said) != bare(&service.url))?;
    Some(format!("{} stays at {}, though the description says {said}", name_of(id), service.url))
}

/// What is asked of services that are to be added.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Who provides them.
    pub(super) client: ClientId,
    /// Where they answer, whatever the description says.
    pub(super) url: Option<String>,
    /// How long they may take.
    pub(super) timeout: Option<Span>,
    /// Whether their TLS certificate is checked.
    pub(super) verify_tls: Option<bool>,
    /// Whether they serve at once.
    pub(super) enable: bool,
}

impl Wish {
    fn service(&self, id: ServiceId, kind: &'static str, url: &str, source: Option<&Source>) -> NewService {
        NewService {
            id,
            kind,
            url: url.to_owned(),
            description: source.map(|source| source.written.clone()),
            timeout: self.timeout.map_or_else(|| TIMEOUT.to_owned(), |span| span.to_string()),
            verify_tls: self.verify_tls,
            disabled: (!self.enable).then(|| NOTICE.to_owned()),
            rights_of: None,
        }
    }

    fn plan(
        &self,
        kind: &'static str,
        source: Option<&Source>,
        steps: Vec<Step>,
        warnings: Vec<String>,
    ) -> Plan {
        let description = source.map(|source| source.written.clone()).unwrap_or_default();
        let added = steps.iter().find_map(|step| match step {
            Step::AddService(new) => Some(new.id.to_path()),
            _ => None,
        });
        let named = if kind == "soap" { Some(description.clone()) } else { added };
        let disabled = |named| format!("disabled until `saatkond services enable '{named}'`");
        let notes = named.filter(|_| !self.enable).map(disabled).into_iter().collect();
        Plan { of: self.client.to_path(), kind, description, steps, warnings, notes }
    }

    /// The services of a WSDL.
    ///
    /// # Errors
    /// [`Failure`] for one that has no address.
    pub(super) fn add_wsdl(
        &self,
        document: &Document,
        source: &Source,
        wsdl: &Wsdl,
    ) -> Result<Plan, Failure> {
        let mut steps = Vec::new();
        for operation in &wsdl.operations {
            let id = id_of(&self.client, operation);
            let url = self.url.as_deref().or(operation.location.as_deref()).ok_or_else(|| {
                let text = format!("{} does not say where {} answers", source.description, name_of(&id));
                Failure::new(Exit::NotWell, text).hint("say it with --url")
            })?;
            let rights_of = other_version(document, &id);
            let service = NewService { rights_of, ..self.service(id, "soap", url, Some(source)) };
            steps.push(Step::AddService(Box::new(service)));
        }
        Ok(self.plan("soap", Some(source), steps, wsdl.warnings.clone()))
    }

    /// The service of an OpenAPI document, with its endpoints.
    ///
    /// # Errors
    /// [`Failure`] for one that has no address.
    pub(super) fn add_openapi(
        &self,
        code: &str,
        source: &Source,
        openapi: &OpenApi,
    ) -> Result<Plan, Failure> {
        let id = self.client.service(code);
        let said = self.url.clone().map_or_else(|| openapi.base_url(source.url()), Ok);
        let url = said.map_err(|error| {
            let text = format!("{} does not say where {code} answers: {error}", source.description);
            Failure::new(Exit::NotWell, text).hint("say it with --url")
        })?;
        let service = self.service(id.clone(), "openapi", &url, Some(source));
        let mut steps = vec![Step::AddService(Box::new(service))];
        steps.extend(openapi.endpoints.iter().map(|endpoint| add(&id, endpoint, openapi)));
        Ok(self.plan("openapi", Some(source), steps, [doubtful(code), openapi.warnings.clone()].concat()))
    }

    /// A service without a description.
    pub(super) fn add_rest(&self, code: &str, url: &str) -> Plan {
        let service = self.service(self.client.service(code), "rest", url, None);
        self.plan("rest", None, vec![Step::AddService(Box::new(service))], doubtful(code))
    }
}

/// Warns of a code that newer X-Road servers would not take.
fn doubtful(code: &str) -> Vec<String> {
    let warning =
        || format!("{code:?}: new X-Road servers take only letters, digits and '()+,-.=? in a code");
    (!is_strict_code(code)).then(warning).into_iter().collect()
}

fn id_of(client: &ClientId, operation: &Operation) -> ServiceId {
    ServiceId { version: operation.version.clone(), ..client.service(operation.code.clone()) }
}

/// How many rights there are on all of a service and on its endpoints.
pub(super) fn rights(service: Option<&Service>) -> usize {
    service.map_or(0, |s| s.allow.len() + s.endpoints.iter().map(|grant| grant.allow.len()).sum::<usize>())
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begin + at);
    url.get(..end).unwrap_or(url)
}
