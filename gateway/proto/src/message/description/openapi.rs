//! OpenAPI 3.0 and 3.1: each operation is an endpoint of one service.
//!
//! Spec: trust-and-configuration §5.4, OpenAPI 3.0.4 and 3.1.1. Seen: X-Road 7.8 `OpenApiParser.java`: methods in upper
//! case, `{…}` in a path becomes `*`, the first server is where the service answers; references are not followed.

use super::tree::{Node, TreeError};
use crate::continuity::Access;
use crate::continuity::access::strictest;
use crate::limits;
use crate::message::endpoint::{Endpoint, PathGlob};
use crate::message::rest::Method;
use std::collections::HashSet;

/// What an OpenAPI document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenApi {
    /// Its version of OpenAPI.
    pub version: String,
    /// What people call the service.
    pub title: Option<String>,
    /// Its first server, as written; `/` when none is.
    pub server: String,
    /// Its endpoints, in the order in which they stand; none twice.
    pub endpoints: Vec<Endpoint>,
    /// What it declares of endpoints by `x-continuity`, in the order in which they stand.
    pub declared: Vec<(Endpoint, Access)>,
    /// What is missing, doubtful, or not read.
    pub warnings: Vec<String>,
}

/// A document that is no OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// Not read at all.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A document of another kind.
    #[error("expected a map with `openapi`, found {found}")]
    Kind {
        /// What it is.
        found: String,
    },
    /// A version that is not read.
    #[error("expected OpenAPI 3.0 or 3.1, found {found:?}")]
    Version {
        /// The version.
        found: String,
    },
    /// More operations than are read.
    #[error("document has more than {allowed} operations")]
    TooMany {
        /// How many are read.
        allowed: usize,
    },
}

/// A server of which no address can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It has variables.
    #[error("its server {server:?} has variables")]
    Variables {
        /// The server.
        server: String,
    },
    /// It is relative to a document that is a file.
    #[error("its server {server:?} is relative, and the document is a file")]
    Relative {
        /// The server.
        server: String,
    },
}

/// Methods as a path item names them, in the order in which X-Road reads them.
const METHODS: [(&str, Method); 8] = [
    ("get", Method::Get),
    ("put", Method::Put),
    ("head", Method::Head),
    ("post", Method::Post),
    ("delete", Method::Delete),
    ("patch", Method::Patch),
    ("options", Method::Options),
    ("trace", Method::Trace),
];
/// What else a path item may have. Spec: OpenAPI 3.1.1 §4.8.9.
const BESIDE_METHODS: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];
/// By what a path item or an operation says whether it reads or writes. Ours: a specification extension, which others skip.
const CONTINUITY: &str = "x-continuity";
/// Warnings about one document.
const WARNINGS_MAX: usize = 100;

impl OpenApi {
    /// Reads a document in JSON or YAML.
    ///
    /// Ours: every 3.1.x is read, with a warning for those that X-Road 7.8 refuses (all but 3.1.0).
    ///
    /// # Errors
    /// [`OpenApiError`].
    pub fn read(bytes: &[u8]) -> Result<Self, OpenApiError> {
        let root = Node::read(bytes)?;
        let version = version(&root)?;
        let mut reading = Reading::default();
        if version.starts_with("3.1") && version != "3.1.0" {
            reading.warn(format!("X-Road 7.8 does not read OpenAPI {version}, only 3.0.x and 3.1.0"));
        }
        let title = reading.info(&root);
        let server = reading.server(&root);
        match root.child("paths") {
            Some(Node::Map(paths)) => {
                for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
                    reading.path(path, item, &version)?;
                }
            }
            Some(other) => reading.warn(format!("`paths` is {}, expected a map", other.kind())),
            None if version.starts_with("3.0") => reading.warn("`paths` is missing".to_owned()),
            None => {}
        }
        let Reading { endpoints, declared, warnings, .. } = reading;
        Ok(Self { version, title, server, endpoints, declared, warnings })
    }

    /// Whether an endpoint reads or writes, where the document says it: of two that say different things `write` stands.
    #[must_use]
    pub fn declared(&self, endpoint: &Endpoint) -> Option<Access> {
        strictest(self.declared.iter().filter(|(of, _)| of == endpoint).map(|(_, access)| *access))
    }

    /// Where the service answers: its first server, seen from where the document was read (`None` for a file).
    ///
    /// Spec: RFC 3986 5.2. Seen: X-Road 7.8 resolves it so, but that a server with variables stays as it is, and useless.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn base_url(&self, document: Option<&str>) -> Result<String, ServerError> {
        let server = self.server.trim();
        let own = || server.to_owned();
        if server.contains(['{', '}']) {
            return Err(ServerError::Variables { server: own() });
        }
        if scheme_of(server).is_some() {
            return Ok(own());
        }
        let document = document.and_then(|url| Some((url, url.split_once("://")?)));
        let Some((url, (scheme, rest))) = document else {
            return Err(ServerError::Relative { server: own() });
        };
        if let Some(authority) = server.strip_prefix("//") {
            return Ok(format!("{scheme}://{authority}"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let origin = url.get(..scheme.len() + 3 + end).unwrap_or(url);
        let path = rest.get(end..).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let whole = if server.starts_with('/') { own() } else { format!("{folder}/{server}") };
        Ok(format!("{origin}{}", without_dots(&whole)))
    }
}

/// The scheme of an absolute URL.
fn scheme_of(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some(scheme)
}

/// A path without segments of dots. Spec: RFC 3986 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.trim_start_matches('/').split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
        if is_last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn version(root: &Node) -> Result<String, OpenApiError> {
    if let Some(swagger) = root.child("swagger").and_then(Node::text) {
        return Err(OpenApiError::Version { found: format!("Swagger {swagger}") });
    }
    match root.child("openapi") {
        Some(Node::Text(found)) => {
            let patch = ["3.0", "3.1"].into_iter().find_map(|minor| found.strip_prefix(minor));
            match patch {
                Some("") if found == "3.0" => Ok(found.clone()),
                Some(patch) if patch.starts_with('.') => Ok(found.clone()),
                _ => Err(OpenApiError::Version { found: found.clone() }),
            }
        }
        Some(other) => Err(OpenApiError::Version { found: other.kind().to_owned() }),
        None => {
            let names = root.entries().iter().map(|(name, _)| name.as_str()).take(5).collect::<Vec<_>>();
            let found =
                if names.is_empty() { root.kind().to_owned() } else { format!("a map with {names:?}") };
            Err(OpenApiError::Kind { found })
        }
    }
}

/// A document that is being read.
#[derive(Default)]
struct Reading {
    endpoints: Vec<Endpoint>,
    declared: Vec<(Endpoint, Access)>,
    seen: HashSet<(Method, String)>,
    operations: HashSet<String>,
    read: usize,
    warnings: Vec<String>,
}

impl Reading {
    /// Keeps a warning, while few enough are kept for a person to read.
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }

    fn info(&mut self, root: &Node) -> Option<String> {
        let Some(info) = root.child("info") else {
            self.warn("`info` is missing".to_owned());
            return None;
        };
        for name in ["title", "version"] {
            if info.child(name).and_then(Node::text).is_none() {
                self.warn(format!("`info.{name}` is missing"));
            }
        }
        info.child("title").and_then(Node::text).map(str::to_owned)
    }

    fn server(&mut self, root: &Node) -> String {
        let servers = root.child("servers").map(Node::items).unwrap_or_default();
        if servers.len() > 1 {
            self.warn(format!("it names {} servers: the first is taken", servers.len()));
        }
        let first = servers.first().map(|server| server.child("url").and_then(Node::text));
        match first {
            Some(Some(url)) => url.to_owned(),
            Some(None) => {
                self.warn("its first server has no `url`".to_owned());
                "/".to_owned()
            }
            None => "/".to_owned(),
        }
    }

    /// Takes the operations of a path.
    fn path(&mut self, path: &str, item: &Node, version: &str) -> Result<(), OpenApiError> {
        let Node::Map(entries) = item else {
            self.warn(format!("path {path:?} is {}, expected a map", item.kind()));
            return Ok(());
        };
        if !path.starts_with('/') {
            self.warn(format!("path {path:?} does not begin with a slash: no call comes to it"));
        }
        if item.child("$ref").is_some() {
            self.warn(format!("path {path:?} is a reference, which is not followed"));
        }
        for (name, _) in entries {
            let is_known =
                METHODS.iter().any(|(method, _)| method == name) || BESIDE_METHODS.contains(&name.as_str());
            if !is_known && !name.starts_with("x-") {
                self.warn(format!("path {path:?} has {name:?}, which is no method"));
            }
        }
        let shared = (parameters(item), self.access(&format!("path {path:?}"), item));
        for (name, method) in METHODS {
            let Some(operation) = item.child(name) else { continue };
            let allowed = limits::DESCRIPTION_OPERATIONS_MAX;
            self.read += 1;
            if self.read > allowed {
                return Err(OpenApiError::TooMany { allowed });
            }
            if !matches!(operation, Node::Map(_)) {
                self.warn(format!("{} {path} is {}, expected a map", method.name(), operation.kind()));
                continue;
            }
            self.operation((path, method), operation, &shared, version);
        }
        Ok(())
    }

    /// What a path item or an operation declares of itself.
    fn access(&mut self, of: &str, node: &Node) -> Option<Access> {
        let declared = node.child(CONTINUITY)?;
        let access = declared.text().and_then(Access::from_text);
        if access.is_none() {
            let found =
                declared.text().map_or_else(|| declared.kind().to_owned(), |text| format!("{text:?}"));
            self.warn(format!("{of} has {found} as `{CONTINUITY}`, expected read or write"));
        }
        access
    }

    fn operation(
        &mut self,
        (path, method): (&str, Method),
        node: &Node,
        (shared, shared_access): &(Parameters<'_>, Option<Access>),
        version: &str,
    ) {
        let name = method.name();
        if version.starts_with("3.0") && node.child("responses").is_none() {
            self.warn(format!("{name} {path} has no `responses`"));
        }
        if let Some(id) = node.child("operationId").and_then(Node::text)
            && !self.operations.insert(id.to_owned())
        {
            self.warn(format!(
                "operationId {id:?} stands at two operations, at the second of them at {name} {path}"
            ));
        }
        let own = parameters(node);
        if !shared.is_open && !own.is_open {
            for variable in variables(path).filter(|v| !shared.names.contains(v) && !own.names.contains(v)) {
                self.warn(format!("{name} {path} does not say what its path parameter {variable:?} is"));
            }
        }
        let pattern = pattern(path);
        let endpoint = Endpoint { method: Some(method), path: PathGlob::new(pattern.clone()) };
        let access = self.access(&format!("{name} {path}"), node).or(*shared_access);
        self.declared.extend(access.map(|access| (endpoint.clone(), access)));
        if self.seen.insert((method, pattern.clone())) {
            self.endpoints.push(endpoint);
        } else {
            self.warn(format!("{name} {path} is the same endpoint as another: {name} {pattern}"));
        }
    }
}

/// The path parameters that a path item or operation declares.
struct Parameters<'a> {
    names: HashSet<&'a str>,
    /// Whether there may be others, behind references.
    is_open: bool,
}

fn parameters(node: &Node) -> Parameters<'_> {
    let items = node.child("parameters").map(Node::items).unwrap_or_default();
    let of_path = |p: &&Node| p.child("in").and_then(Node::text) == Some("path");
    Parameters {
        names: items.iter().filter(of_path).filter_map(|p| p.child("name")?.text()).collect(),
        is_open: items.iter().any(|p| p.child("$ref").is_some() || matches!(p, Node::Alias)),
    }
}

/// The names in braces of a path.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// The pattern of a path: from the first opening to the last closing brace of a segment stands `*`.
///
/// Seen: X-Road 7.8 replaces `\{[^/]*}`, which takes as much as it can.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let braces =
            segment.split_once('{').and_then(|(before, rest)| Some((before, rest.rsplit_once('}')?.1)));
        braces.map_or_else(|| segment.to_owned(), |(before, after)| format!("{before}*{after}"))
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;
