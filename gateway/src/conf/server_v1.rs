//! `server.toml` as written, version 1, and the checks that turn it into [`ServerConf`]. Unknown keys are refused.
//!
//! The file is watched, with the certificate files that it names: a change is taken over whole within seconds, without a
//! restart; a file that is refused leaves the earlier one in force.

use super::server::{
    AgeSource, Client, Connection, Description, Grant, LocalGroup, ServerConf, Service, ServiceKind, Subject,
};
use super::source::Source;
use super::units::{Span, span};
use super::{ConfError, line_of, read};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use saatkond_proto::continuity::Access;
use saatkond_proto::id::ClientId;
use saatkond_proto::message::endpoint::{Endpoint, PathGlob};
use saatkond_proto::message::rest::Method;
use saatkond_proto::trust::Certificate;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Version of this format. Required: `1`.
    pub version: u32,
    /// Clients of this server.
    #[serde(default)]
    pub client: Vec<WrittenClient>,
}

/// A client of this server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenClient {
    /// Who it is, `INSTANCE/CLASS/CODE/SUBSYSTEM`, or without the last for the member itself. Required.
    pub id: Spanned<String>,
    /// How its information systems must connect: `http`, `https` or `mutual-tls`. Required.
    pub connection: Spanned<Connecting>,
    /// PEM files with certificates of its information systems and services; relative to this file. Default: `[]`.
    #[serde(default)]
    pub certificates: Vec<Spanned<PathBuf>>,
    /// What it provides.
    #[serde(default)]
    pub service: Vec<WrittenService>,
    /// Its local groups.
    #[serde(default)]
    pub local_group: Vec<WrittenGroup>,
    /// This site's copy, where it is a register with several. Default: how old it is is not known.
    pub copy: Option<WrittenCopy>,
}

/// This site's copy of a register.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCopy {
    /// Who says how old it is. Required.
    pub staleness: Spanned<WrittenAgeSource>,
}

/// Who says how old a copy is: exactly one key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenAgeSource {
    /// A PostgreSQL that replays another's log: its connection string, of a Unix socket or loopback.
    pub postgres: Option<String>,
    /// An HTTP or HTTPS URL that answers seconds, or JSON with them.
    pub probe: Option<String>,
    /// A file with the moment up to which the copy holds everything, RFC 3339 or Unix seconds; relative to this one.
    pub file: Option<PathBuf>,
}

/// How information systems must connect.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connecting {
    /// HTTP is enough.
    Http,
    /// HTTPS.
    Https,
    /// HTTPS with one of the client's certificates.
    MutualTls,
}

/// A service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenService {
    /// Its code. Required.
    pub code: Spanned<String>,
    /// Its version; services of kind `soap` only. Default: none.
    pub version: Option<Spanned<String>>,
    /// Where it answers, `http://…` or `https://…`; with a query in a `soap` service only. Required.
    pub url: Spanned<String>,
    /// `rest`, `openapi` or `soap`. Default: `rest`.
    #[serde(default)]
    pub kind: Kind,
    /// Where its WSDL (`soap`) or OpenAPI document (`openapi`) is read: an HTTP or HTTPS URL, or a file relative to this
    /// one. Other kinds have none. Default: none.
    pub description: Option<Spanned<String>>,
    /// Path at the server of `url` where the register is asked twice a second how it is, for a client that the instance
    /// names as a register: any answer below 500 within 0.7 s is a sign of life. Default: none; it is found out by calls.
    pub probe: Option<Spanned<String>>,
    /// From request to the head of its answer. Default: `60 s`.
    #[serde(default = "default_timeout", deserialize_with = "span")]
    pub timeout: Duration,
    /// Whether an HTTPS service, or server of its description, must show one of the client's certificates. Default: `true`.
    #[serde(default = "default_true")]
    pub verify_tls: bool,
    /// Whether it serves. Default: `true`.
    #[serde(default = "default_true")]
    pub enabled: bool,
    /// What callers are told while it does not serve. Default: `Out of order`.
    #[serde(default = "default_notice")]
    pub notice: String,
    /// Who may call all of it. Default: `[]`.
    #[serde(default)]
    pub allow: Vec<Spanned<WrittenSubject>>,
    /// Its endpoints.
    #[serde(default)]
    pub endpoint: Vec<WrittenEndpoint>,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// REST.
    #[default]
    Rest,
    /// REST, described by an OpenAPI document.
    OpenApi,
    /// SOAP: a call is a POST of an envelope to `url` itself.
    Soap,
}

/// An endpoint of a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenEndpoint {
    /// HTTP method in upper case, or `*`. Default: `*`.
    #[serde(default = "default_method")]
    pub method: Spanned<String>,
    /// Path pattern: `*` stands for anything without a slash, `**` for anything. Required.
    pub path: String,
    /// Whether the description lists it: `saatkond services refresh` then takes it out with the description's. Default:
    /// `false`.
    #[serde(default)]
    pub generated: bool,
    /// Of a register with several sites: whether it is a `read` or a `write`, whatever its method, where the instance does
    /// not say it; `saatkond services` writes here what the description says as `x-continuity`. Default: by the method.
    pub access: Option<WrittenAccess>,
    /// Who may call it. Default: `[]`.
    #[serde(default)]
    pub allow: Vec<Spanned<WrittenSubject>>,
}

/// What a call does to a register.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WrittenAccess {
    /// It leaves it as it was.
    Read,
    /// It may change it.
    Write,
}

/// Whom a right is given to: exactly one key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSubject {
    /// A client, `INSTANCE/CLASS/CODE/SUBSYSTEM`.
    pub client: Option<String>,
    /// A global group, `INSTANCE/CODE`.
    pub group: Option<String>,
    /// A local group of this client, by code.
    pub local_group: Option<String>,
}

/// A local group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenGroup {
    /// Its code. Required.
    pub code: Spanned<String>,
    /// Who is in it. Default: `[]`.
    #[serde(default)]
    pub members: Vec<Spanned<String>>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(60)
}

const fn default_true() -> bool {
    true
}

fn default_notice() -> String {
    "Out of order".to_owned()
}

fn default_method() -> Spanned<String> {
    Spanned::new(0..0, "*".to_owned())
}

/// Codes that name metaservices. Spec: trust-and-configuration §5.4.
const RESERVED: [&str; 8] = [
    "listClients",
    "listMethods",
    "allowedMethods",
    "getWsdl",
    "getOpenAPI",
    "getSecurityServerMetrics",
    "getSecurityServerOperationalData",
    "getSecurityServerHealthData",
];

/// Longest certificate file.
const CERTIFICATE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Whether something can be asked with GET there: no user, no fragment.
fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    has_host && matches!(url.scheme_str(), Some("http" | "https")) && !text.contains(['@', '#'])
}

/// Whether a database is reached without leaving this machine.
fn is_local(config: &tokio_postgres::Config) -> bool {
    use tokio_postgres::config::Host;
    let hosts = config.get_hosts();
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Host::Unix(_) => true,
    };
    !hosts.is_empty()
        && hosts.iter().all(is_local)
        && config.get_hostaddrs().iter().all(|address| address.is_loopback())
}

/// Turns what is written into what is used; knows the text, to say the line of what it refuses.
struct Check<'a> {
    file: &'a Path,
    text: &'a str,
    instance: &'a str,
}

/// Checks the text of a `server.toml`; files it names are relative to `file`, clients must be of `instance`.
pub(super) fn check(text: &str, file: &Path, instance: &str) -> Result<ServerConf, ConfError> {
    let written: File = super::parse(text, file)?;
    let check = Check { file, text, instance };
    let (mut clients, mut sources) = (BTreeMap::new(), Vec::new());
    for client in &written.client {
        let checked = check.client(client, &mut sources)?;
        if let Some(earlier) = clients.insert(checked.id.clone(), checked) {
            return Err(check.refuse(&client.id, "id", format!("{} stands here twice", earlier.id), None));
        }
    }
    Ok(ServerConf::new(clients, sources))
}

impl Check<'_> {
    fn refuse<T>(&self, at: &Spanned<T>, key: &str, text: String, hint: Option<&str>) -> ConfError {
        ConfError::Refused {
            file: self.file.to_owned(),
            key: format!("line {}: {key}", line_of(self.text, at.span().start)),
            text,
            hint: hint.map(str::to_owned),
        }
    }

    /// Checks a client; the files that it names are added to `sources`.
    fn client(&self, written: &WrittenClient, sources: &mut Vec<Source>) -> Result<Client, ConfError> {
        let id = self.client_id(&written.id, written.id.get_ref())?;
        if id.member.instance != self.instance {
            let text = format!("{id} is of another instance, expected one of {}", self.instance);
            return Err(self.refuse(&written.id, "id", text, None));
        }
        let mut certificates = Vec::new();
        for path in &written.certificates {
            let (ders, source) = self.certificates(path)?;
            certificates.extend(ders);
            sources.push(source);
        }
        let connection = match written.connection.get_ref() {
            Connecting::Http => Connection::Http,
            Connecting::Https => Connection::Https,
            Connecting::MutualTls => Connection::MutualTls,
        };
        if connection == Connection::MutualTls && certificates.is_empty() {
            let text =
                format!("mutual-tls without `certificates`: no information system could speak for {id}");
            let hint = "list the PEM files of its information systems' TLS certificates";
            return Err(self.refuse(&written.connection, "connection", text, Some(hint)));
        }
        let local_groups = self.groups(&written.local_group)?;
        let mut services: Vec<Service> = Vec::new();
        for service in &written.service {
            let checked = self.service(service, &local_groups, !certificates.is_empty())?;
            let is_same =
                |s: &Service| s.code.eq_ignore_ascii_case(&checked.code) && s.version == checked.version;
            if services.iter().any(is_same) {
                let text = format!("{id} has {} twice (letter case aside)", checked.code);
                return Err(self.refuse(&service.code, "code", text, None));
            }
            services.push(checked);
        }
        let staleness = written.copy.as_ref().map(|copy| self.age_source(&copy.staleness)).transpose()?;
        Ok(Client { id, connection, certificates, services, local_groups, staleness })
    }

    fn age_source(&self, written: &Spanned<WrittenAgeSource>) -> Result<AgeSource, ConfError> {
        let refuse = |text: String, hint| self.refuse(written, "staleness", text, hint);
        let WrittenAgeSource { postgres, probe, file } = written.get_ref();
        match (postgres, probe, file) {
            (Some(text), None, None) => {
                // The error may quote the text, and the text a password.
                let config: tokio_postgres::Config = text
                    .parse()
                    .map_err(|_| refuse("`postgres` is no connection string".to_owned(), None))?;
                let hint = "let a proxy on this machine speak TLS to it, or use `probe` with an https URL";
                if !is_local(&config) {
                    let text = "`postgres` must be reached over a Unix socket or loopback".to_owned();
                    return Err(refuse(text, Some(hint)));
                }
                Ok(AgeSource::Postgres(Box::new(config)))
            }
            (None, Some(url), None) if is_url(url) => Ok(AgeSource::Probe(url.clone())),
            (None, Some(url), None) => {
                Err(refuse(format!("`probe` is {url:?}, expected http://… or https://…"), None))
            }
            (None, None, Some(file)) => {
                Ok(AgeSource::File(self.file.parent().unwrap_or(Path::new("")).join(file)))
            }
            _ => Err(refuse("expected exactly one of `postgres`, `probe` and `file`".to_owned(), None)),
        }
    }

    fn client_id<T>(&self, at: &Spanned<T>, text: &str) -> Result<ClientId, ConfError> {
        text.parse().map_err(|error| self.refuse(at, "client", format!("{error}"), None))
    }

    fn certificates(&self, path: &Spanned<PathBuf>) -> Result<(Vec<Vec<u8>>, Source), ConfError> {
        let file = self.file.parent().unwrap_or(Path::new("")).join(path.get_ref());
        let (bytes, source) = read(&file, CERTIFICATE_FILE_BYTES_MAX)?;
        let refuse = |text| self.refuse(path, "certificates", format!("{}: {text}", file.display()), None);
        let ders: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&bytes)
            .map(|der| der.map(|d| d.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|error| refuse(error.to_string()))?;
        if ders.is_empty() {
            return Err(refuse("no PEM certificate in it".to_owned()));
        }
        for der in &ders {
            Certificate::from_der(der).map_err(|error| refuse(error.to_string()))?;
        }
        Ok((ders, source))
    }

    fn groups(&self, written: &[WrittenGroup]) -> Result<Vec<LocalGroup>, ConfError> {
        let mut seen = HashSet::new();
        let mut groups = Vec::new();
        for group in written {
            let code = group.code.get_ref();
            if code.is_empty() || !seen.insert(code) {
                let text = format!("local group {code:?} is empty or stands here twice");
                return Err(self.refuse(&group.code, "code", text, None));
            }
            let members: Result<_, _> =
                group.members.iter().map(|m| self.client_id(m, m.get_ref())).collect();
            groups.push(LocalGroup { code: code.clone(), members: members? });
        }
        Ok(groups)
    }

    fn service(
        &self,
        written: &WrittenService,
        groups: &[LocalGroup],
        has_certificates: bool,
    ) -> Result<Service, ConfError> {
        let code = written.code.get_ref();
        if code.is_empty() || RESERVED.iter().any(|r| r.eq_ignore_ascii_case(code)) {
            let text = format!("{code:?} names no service of yours: it is empty or a metaservice's");
            return Err(self.refuse(&written.code, "code", text, None));
        }
        let url = written.url.get_ref();
        let https = self.scheme_is_https(written)?;
        let description = self.description(written)?;
        let described = match &description {
            Some(Description::Url(url)) if url.to_ascii_lowercase().starts_with("https:") => Some(url),
            _ => None,
        };
        let shows = if https { Some(url) } else { described };
        let verify_tls = shows.is_some() && written.verify_tls;
        if let Some(url) = shows.filter(|_| verify_tls && !has_certificates) {
            let text = format!("{url} must show a certificate of the client, which has none");
            let hint =
                "add the service's certificate to `certificates` of the client, or set `verify_tls = false`";
            return Err(self.refuse(&written.url, "url", text, Some(hint)));
        }
        if written.timeout.is_zero() {
            let text = format!("timeout of {} is {}, expected more", code, Span(written.timeout));
            return Err(self.refuse(&written.code, "timeout", text, None));
        }
        let mut endpoints = Vec::new();
        for endpoint in &written.endpoint {
            endpoints.push(Grant {
                endpoint: Endpoint {
                    method: self.method(&endpoint.method)?,
                    path: PathGlob::new(endpoint.path.as_str()),
                },
                is_generated: endpoint.generated,
                access: endpoint.access.map(|access| match access {
                    WrittenAccess::Read => Access::Read,
                    WrittenAccess::Write => Access::Write,
                }),
                allow: self.subjects(&endpoint.allow, groups)?,
            });
        }
        Ok(Service {
            code: code.clone(),
            version: self.version(written)?,
            url: url.clone(),
            kind: match written.kind {
                Kind::Rest => ServiceKind::Rest,
                Kind::OpenApi => ServiceKind::OpenApi,
                Kind::Soap => ServiceKind::Soap,
            },
            description,
            probe: self.probe(written)?,
            timeout: written.timeout,
            verify_tls,
            disabled: (!written.enabled).then(|| written.notice.clone()),
            allow: self.subjects(&written.allow, groups)?,
            endpoints,
        })
    }

    /// The version of a service, which only a SOAP service has; such a one has no endpoints.
    fn version(&self, written: &WrittenService) -> Result<Option<String>, ConfError> {
        let is_soap = matches!(written.kind, Kind::Soap);
        if is_soap && !written.endpoint.is_empty() {
            let text = format!("SOAP service {} has endpoints", written.code.get_ref());
            let hint = "a right on a SOAP service is one on all of it: put it in `allow` of the service";
            return Err(self.refuse(&written.code, "endpoint", text, Some(hint)));
        }
        match &written.version {
            Some(version) if !is_soap || version.get_ref().is_empty() => {
                let text = format!("{:?} is the version of no SOAP service, or empty", version.get_ref());
                Err(self.refuse(version, "version", text, None))
            }
            version => Ok(version.as_ref().map(|v| v.get_ref().clone())),
        }
    }

    /// Where a service is described, which only one that has a language for it is.
    fn description(&self, written: &WrittenService) -> Result<Option<Description>, ConfError> {
        let Some(place) = &written.description else { return Ok(None) };
        let text = place.get_ref();
        let refuse = |why: &str, hint| self.refuse(place, "description", format!("{text:?} {why}"), hint);
        if matches!(written.kind, Kind::Rest) {
            let hint = "write kind = \"openapi\" if this is an OpenAPI document, \"soap\" if it is a WSDL";
            return Err(refuse("describes a service of kind rest", Some(hint)));
        }
        if !text.contains("://") {
            let file = self.file.parent().unwrap_or(Path::new("")).join(text);
            let is_file = !text.is_empty();
            return is_file
                .then_some(Some(Description::File(file)))
                .ok_or_else(|| refuse("names no file", None));
        }
        let url: http::Uri = text.parse().map_err(|_| refuse("is no URL", None))?;
        if url.host().unwrap_or_default().is_empty() || text.contains(['@', '#']) {
            return Err(refuse("must have a host and may have neither user nor fragment", None));
        }
        match url.scheme_str() {
            Some("http" | "https") => Ok(Some(Description::Url(text.clone()))),
            _ => Err(refuse("must begin with http:// or https://, or be the path of a file", None)),
        }
    }

    /// Where a service is asked how it is.
    fn probe(&self, written: &WrittenService) -> Result<Option<String>, ConfError> {
        let Some(probe) = &written.probe else { return Ok(None) };
        let text = probe.get_ref();
        let is_path = text.starts_with('/') && !text.contains('#');
        if !is_path || text.parse::<http::uri::PathAndQuery>().is_err() {
            let why =
                format!("{text:?} is no path, expected one that begins with a slash, such as \"/health\"");
            return Err(self.refuse(probe, "probe", why, None));
        }
        Ok(Some(text.clone()))
    }

    fn scheme_is_https(&self, written: &WrittenService) -> Result<bool, ConfError> {
        let url = &written.url;
        let text = url.get_ref();
        let refuse = |why: &str| self.refuse(url, "url", format!("{text:?} {why}"), None);
        let parsed: http::Uri = text.parse().map_err(|_| refuse("is no URL"))?;
        let host = parsed.host().unwrap_or_default();
        // A REST call's own path and query are put behind it.
        let may_query = matches!(written.kind, Kind::Soap);
        if host.is_empty() || text.contains(['@', '#']) || (text.contains('?') && !may_query) {
            return Err(refuse(
                "must have a host and may have neither user nor fragment, and a query for SOAP only",
            ));
        }
        match parsed.scheme_str() {
            Some("http") => Ok(false),
            Some("https") => Ok(true),
            _ => Err(refuse("must begin with http:// or https://")),
        }
    }

    fn method(&self, written: &Spanned<String>) -> Result<Option<Method>, ConfError> {
        let text = written.get_ref();
        if text == "*" {
            return Ok(None);
        }
        Method::from_name(text).map(Some).ok_or_else(|| {
            let why = format!("{text:?} is no method of REST calls, expected one in upper case or \"*\"");
            self.refuse(written, "method", why, None)
        })
    }

    fn subjects(
        &self,
        written: &[Spanned<WrittenSubject>],
        groups: &[LocalGroup],
    ) -> Result<Vec<Subject>, ConfError> {
        written.iter().map(|subject| self.subject(subject, groups)).collect()
    }

    fn subject(
        &self,
        written: &Spanned<WrittenSubject>,
        groups: &[LocalGroup],
    ) -> Result<Subject, ConfError> {
        let refuse = |text| self.refuse(written, "allow", text, None);
        let subject = written.get_ref();
        match (&subject.client, &subject.group, &subject.local_group) {
            (Some(client), None, None) => Ok(Subject::Client(self.client_id(written, client)?)),
            (None, Some(group), None) => match group.split_once('/') {
                Some((instance, code)) if !instance.is_empty() && !code.is_empty() => {
                    Ok(Subject::GlobalGroup { instance: instance.to_owned(), code: code.to_owned() })
                }
                _ => Err(refuse(format!("{group:?} is no global group, expected INSTANCE/CODE"))),
            },
            (None, None, Some(code)) => {
                if !groups.iter().any(|g| &g.code == code) {
                    return Err(refuse(format!("the client has no local group {code:?}")));
                }
                Ok(Subject::LocalGroup(code.clone()))
            }
            _ => Err(refuse("expected exactly one of `client`, `group` and `local_group`".to_owned())),
        }
    }
}
