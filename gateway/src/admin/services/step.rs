//! What is to be changed, step by step: shown first, then done.

use super::document::{Document, push, remove, set, table_mut, tables, text};
use crate::admin::words::{count, plain};
use saatkond_proto::continuity::Access;
use saatkond_proto::id::ServiceId;
use saatkond_proto::message::endpoint::Endpoint;
use saatkond_proto::message::rest::Method;
use serde_json::{Value as Json, json};
use std::path::Path;
use toml_edit::{Array, Item, Table, TableLike, value};

/// A service that is to be.
#[derive(Debug, Clone)]
pub(super) struct NewService {
    /// Its name.
    pub(super) id: ServiceId,
    /// `rest`, `openapi` or `soap`.
    pub(super) kind: &'static str,
    /// Where it answers.
    pub(super) url: String,
    /// Where it is described, as it is written.
    pub(super) description: Option<String>,
    /// From request to the head of its answer.
    pub(super) timeout: String,
    /// Whether its TLS certificate is checked, where that is said.
    pub(super) verify_tls: Option<bool>,
    /// Why it does not serve; `None` where it does.
    pub(super) disabled: Option<String>,
    /// The service whose rights it has from the beginning: another version of it.
    pub(super) rights_of: Option<ServiceId>,
}

/// One change of `server.toml`.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A service comes.
    AddService(Box<NewService>),
    /// A service goes, with so many rights on it.
    RemoveService(ServiceId, usize),
    /// An endpoint of the description comes, with what that declares of it.
    AddEndpoint(ServiceId, Endpoint, Option<Access>),
    /// The description declares whether an endpoint reads or writes.
    DeclareEndpoint(ServiceId, Endpoint, Access),
    /// An endpoint goes, with so many rights on it: the description has it no longer.
    RemoveEndpoint(ServiceId, Endpoint, usize),
    /// An endpoint written by hand is now the description's, too.
    AdoptEndpoint(ServiceId, Endpoint),
}

/// Name of a service within its client: `getTitle/v1`.
pub(super) fn name_of(id: &ServiceId) -> String {
    let (client, whole) = (id.client.to_path(), id.to_path());
    whole.strip_prefix(&format!("{client}/")).unwrap_or(&whole).to_owned()
}

/// An endpoint as people write it: `GET /titles/*`.
pub(super) fn endpoint_name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method.map_or("*", Method::name), endpoint.path)
}

impl Step {
    /// What a person reads: a sign, what it is about, and what comes of it.
    pub(super) fn words(&self) -> String {
        let lost = |rights: &usize| match rights {
            0 => String::new(),
            1 => "  1 right is lost".to_owned(),
            many => format!("  {many} rights are lost"),
        };
        let line = match self {
            Self::AddService(new) => {
                let rights = new.rights_of.as_ref().map(|of| format!("  with the rights of {}", name_of(of)));
                format!("+ {}  {}{}", name_of(&new.id), new.url, rights.unwrap_or_default())
            }
            Self::RemoveService(id, rights) => format!("- {}{}", name_of(id), lost(rights)),
            Self::AddEndpoint(_, endpoint, access) => {
                let declared = access.map(|access| format!("  declared a {}", access.text()));
                format!("+ {}{}", endpoint_name(endpoint), declared.unwrap_or_default())
            }
            Self::DeclareEndpoint(_, endpoint, access) => {
                format!("~ {}  is declared a {}", endpoint_name(endpoint), access.text())
            }
            Self::RemoveEndpoint(_, endpoint, rights) => {
                format!("- {}{}", endpoint_name(endpoint), lost(rights))
            }
            Self::AdoptEndpoint(_, endpoint) => {
                format!("~ {}  was written by hand, and is the description's now", endpoint_name(endpoint))
            }
        };
        plain(&line).into_owned()
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Json {
        let endpoint =
            |e: &Endpoint| json!({"method": e.method.map_or("*", Method::name), "path": e.path.to_string()});
        match self {
            Self::AddService(new) => json!({
                "change": "add", "service": new.id.to_path(), "url": new.url,
                "rights_of": new.rights_of.as_ref().map(ServiceId::to_path),
            }),
            Self::RemoveService(id, rights) => {
                json!({"change": "remove", "service": id.to_path(), "rights_lost": rights})
            }
            Self::AddEndpoint(id, e, access) => json!({
                "change": "add", "service": id.to_path(), "endpoint": endpoint(e),
                "access": access.map(Access::text),
            }),
            Self::DeclareEndpoint(id, e, access) => json!({
                "change": "declare", "service": id.to_path(), "endpoint": endpoint(e), "access": access.text(),
            }),
            Self::RemoveEndpoint(id, e, rights) => {
                json!({"change": "remove", "service": id.to_path(), "endpoint": endpoint(e), "rights_lost": rights})
            }
            Self::AdoptEndpoint(id, e) => {
                json!({"change": "adopt", "service": id.to_path(), "endpoint": endpoint(e)})
            }
        }
    }

    /// How many rights it costs.
    pub(super) const fn rights_lost(&self) -> usize {
        match self {
            Self::RemoveService(_, rights) | Self::RemoveEndpoint(_, _, rights) => *rights,
            Self::AddService(_)
            | Self::AddEndpoint(..)
            | Self::DeclareEndpoint(..)
            | Self::AdoptEndpoint(..) => 0,
        }
    }

    /// Does it.
    pub(super) fn take(&self, document: &mut Document) {
        match self {
            Self::AddService(new) => {
                let allow = new.rights_of.as_ref().and_then(|of| document.service(of)?.get("allow").cloned());
                document.add_service(&new.id.client, new.table(allow));
            }
            Self::RemoveService(id, _) => document.remove_service(id),
            Self::AddEndpoint(id, endpoint, access) => {
                let mut table = Table::new();
                table["method"] = value(endpoint.method.map_or("*", Method::name));
                table["path"] = value(endpoint.path.to_string());
                table["generated"] = value(true);
                if let Some(access) = access {
                    table["access"] = value(access.text());
                }
                table["allow"] = value(Array::new());
                if let Some(service) = document.service_mut(id) {
                    push(service, "endpoint", table);
                }
            }
            Self::RemoveEndpoint(id, endpoint, _) => {
                if let Some(service) = document.service_mut(id)
                    && let Some(place) = place_of(service, endpoint)
                {
                    remove(service, "endpoint", place);
                }
            }
            Self::AdoptEndpoint(id, endpoint) => set_in(document, (id, endpoint), "generated", true),
            Self::DeclareEndpoint(id, endpoint, access) => {
                set_in(document, (id, endpoint), "access", access.text());
            }
        }
    }
}

/// Sets a value of an endpoint.
fn set_in(
    document: &mut Document,
    (id, endpoint): (&ServiceId, &Endpoint),
    key: &str,
    value: impl Into<toml_edit::Value>,
) {
    if let Some(service) = document.service_mut(id)
        && let Some(place) = place_of(service, endpoint)
        && let Some(table) = table_mut(service, "endpoint", place)
    {
        set(table, key, value);
    }
}

/// Where an endpoint stands among those of a service.
fn place_of(service: &dyn TableLike, endpoint: &Endpoint) -> Option<usize> {
    let method = endpoint.method.map_or("*", Method::name);
    let is_it = |table: &&dyn TableLike| {
        text(*table, "method").unwrap_or("*") == method
            && text(*table, "path") == Some(&endpoint.path.to_string())
    };
    tables(service, "endpoint").iter().position(is_it)
}

impl NewService {
    /// As it is written.
    fn table(&self, allow: Option<Item>) -> Table {
        let mut table = Table::new();
        table["code"] = value(&self.id.code);
        if let Some(version) = &self.id.version {
            table["version"] = value(version);
        }
        table["url"] = value(&self.url);
        table["kind"] = value(self.kind);
        if let Some(description) = &self.description {
            table["description"] = value(description);
        }
        table["timeout"] = value(&self.timeout);
        if let Some(verify) = self.verify_tls {
            table["verify_tls"] = value(verify);
        }
        table["enabled"] = value(self.disabled.is_none());
        if let Some(notice) = &self.disabled {
            table["notice"] = value(notice);
        }
        table["allow"] = allow.unwrap_or_else(|| value(Array::new()));
        table
    }
}

/// All that comes of one description, or of one command.
#[derive(Debug)]
pub(super) struct Plan {
    /// The client or service that it is about.
    pub(super) of: String,
    /// `rest`, `openapi` or `soap`.
    pub(super) kind: &'static str,
    /// Where it was read; empty for a REST service.
    pub(super) description: String,
    /// What is to be changed.
    pub(super) steps: Vec<Step>,
    /// What is doubtful about the description.
    pub(super) warnings: Vec<String>,
    /// What differs and stays as it is.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// What a person reads.
    pub(super) fn words(&self) -> String {
        let heading = format!("{}  {}  {}", self.of, self.kind, self.description);
        let mut lines = vec![plain(heading.trim_end()).into_owned()];
        lines.extend(self.steps.iter().map(|step| format!("  {}", step.words())));
        if self.steps.is_empty() {
            lines.push("  nothing has changed".to_owned());
        }
        lines.extend(self.warnings.iter().map(|warning| format!("  warning: {}", plain(warning))));
        lines.extend(self.notes.iter().map(|note| format!("  note: {}", plain(note))));
        lines.join("\n")
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Json {
        json!({
            "of": self.of, "kind": self.kind, "description": self.description,
            "changes": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "warnings": self.warnings, "notes": self.notes,
        })
    }
}

/// What some plans do, in a sentence that begins with `this will`.
pub(super) fn intent(plans: &[Plan], file: &Path) -> String {
    let steps = || plans.iter().flat_map(|plan| &plan.steps);
    let changes = count(steps().count() as u64, "change", "changes");
    let lost: usize = steps().map(Step::rights_lost).sum();
    let lost = match lost {
        0 => String::new(),
        lost => format!(
            ", by which {} lost",
            if lost == 1 { "1 right is".to_owned() } else { format!("{lost} rights are") }
        ),
    };
    format!("make {changes} of {}{lost}", file.display())
}
