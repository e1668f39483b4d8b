//! `saatkond services list`.

use super::document::Document;
use super::step::endpoint_name;
use crate::admin::words::plain;
use crate::conf::units::Span;
use crate::conf::{Service, ServiceKind, Subject};
use saatkond_ca::cli::table::lay_out;
use saatkond_proto::continuity::Access;
use saatkond_proto::id::ServiceId;
use saatkond_proto::message::rest::Method;
use serde_json::{Value, json};

/// What a service speaks, as `server.toml` has it.
pub(super) const fn kind_name(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Rest => "rest",
        ServiceKind::OpenApi => "openapi",
        ServiceKind::Soap => "soap",
    }
}

/// A table of services; of each its endpoints and where it is described, when there are few enough to read it all.
pub(super) fn table(document: &Document, chosen: &[ServiceId], is_whole: bool) -> String {
    let mut rows = vec![["SERVICE", "SPEAKS", "STATE", "TIME", "TLS", "URL"].map(str::to_owned).to_vec()];
    let mut more = Vec::new();
    for id in chosen {
        let Some(service) = document.conf.service(id) else { continue };
        let tls = match (service.url.starts_with("https"), service.verify_tls) {
            (false, _) => "-",
            (true, true) => "checked",
            (true, false) => "any",
        };
        let row = [
            id.to_path(),
            kind_name(service.kind).to_owned(),
            if service.disabled.is_none() { "serves" } else { "disabled" }.to_owned(),
            Span(service.timeout).to_string(),
            tls.to_owned(),
            service.url.clone(),
        ];
        rows.push(row.iter().map(|cell| plain(cell).into_owned()).collect());
        if is_whole {
            more.extend(whole(id, service));
        }
    }
    let table = lay_out(&rows);
    if more.is_empty() { table } else { format!("{table}\n\n{}", more.join("\n")) }
}

fn whole(id: &ServiceId, service: &Service) -> Vec<String> {
    let mut lines = vec![id.to_path()];
    let mut fact = |name: &str, text: &str| lines.push(format!("  {name:<12}{}", plain(text)));
    if let Some(description) = &service.description {
        fact("described", &description.to_string());
    }
    if let Some(notice) = &service.disabled {
        fact("told", notice);
    }
    let allowed = |allow: &[Subject]| {
        let names: Vec<String> = allow.iter().map(subject).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    fact("all of it", &allowed(&service.allow));
    for grant in &service.endpoints {
        let by_hand =
            if grant.is_generated || service.kind != ServiceKind::OpenApi { "" } else { " (by hand)" };
        let declared = grant.access.map(|access| format!(" ({})", access.text())).unwrap_or_default();
        let name = endpoint_name(&grant.endpoint);
        fact("endpoint", &format!("{name}{declared}{by_hand}: {}", allowed(&grant.allow)));
    }
    lines
}

/// Whom a right is given to, in one text.
fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Client(id) => id.to_path(),
        Subject::GlobalGroup { instance, code } => format!("group {instance}/{code}"),
        Subject::LocalGroup(code) => format!("local group {code}"),
    }
}

fn subject_json(subject: &Subject) -> Value {
    match subject {
        Subject::Client(id) => json!({"client": id.to_path()}),
        Subject::GlobalGroup { instance, code } => json!({"group": format!("{instance}/{code}")}),
        Subject::LocalGroup(code) => json!({"local_group": code}),
    }
}

/// A service for scripts.
pub(super) fn json(document: &Document, id: &ServiceId) -> Option<Value> {
    let service = document.conf.service(id)?;
    let allow = |allow: &[Subject]| allow.iter().map(subject_json).collect::<Vec<_>>();
    let endpoints = service.endpoints.iter().map(|grant| {
        json!({
            "method": grant.endpoint.method.map_or("*", Method::name),
            "path": grant.endpoint.path.to_string(),
            "generated": grant.is_generated,
            "access": grant.access.map(Access::text),
            "allow": allow(&grant.allow),
        })
    });
    Some(json!({
        "service": id.to_path(),
        "client": id.client.to_path(),
        "code": id.code,
        "version": id.version,
        "kind": kind_name(service.kind),
        "url": service.url,
        "description": service.description.as_ref().map(ToString::to_string),
        "timeout_seconds": service.timeout.as_secs_f64(),
        "verify_tls": service.verify_tls,
        "enabled": service.disabled.is_none(),
        "notice": service.disabled,
        "allow": allow(&service.allow),
        "endpoints": endpoints.collect::<Vec<_>>(),
    }))
}
