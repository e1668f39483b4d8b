//! What changes, for people: one line for what comes or goes, and under what stays one for each field that differs.

use crate::pem;
use crate::store::Difference;
use saatkond_proto::trust::Certificate;
use serde_json::Value;
use std::collections::BTreeSet;

/// Letters of a text that are shown; what is longer is cut, and says so.
const TEXT_MAX: usize = 120;

/// The lines of one entry.
pub(super) fn lines(difference: &Difference) -> Vec<String> {
    let value = |body: &Option<String>| body.as_ref().and_then(|body| serde_json::from_str(body).ok());
    let (was, is): (Option<Value>, Option<Value>) = (value(&difference.was), value(&difference.is));
    match (was, is) {
        (Some(was), Some(is)) => {
            let mut lines = vec![format!("~ {difference}")];
            fields("", &was, &is, &mut lines);
            lines
        }
        (None, Some(is)) => vec![format!("+ {difference}{}", name_of(&is))],
        (Some(was), None) => vec![format!("- {difference}{}", name_of(&was))],
        (None, None) => Vec::new(),
    }
}

/// The same as JSON.
pub(super) fn json(difference: &Difference) -> Value {
    let value = |body: &Option<String>| {
        body.as_ref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(Value::Null)
    };
    serde_json::json!({
        "kind": difference.kind.text(),
        "name": difference.name,
        "was": value(&difference.was),
        "is": value(&difference.is),
    })
}

fn name_of(entry: &Value) -> String {
    let named = ["name", "description", "address"].into_iter().find_map(|field| entry.get(field));
    named.map_or_else(String::new, |name| format!(" ({})", shown(name)))
}

fn fields(path: &str, was: &Value, is: &Value, lines: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(before), Value::Object(after)) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let field =
                    |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                let (was, is) = (field(before), field(after));
                if was != is {
                    fields(&below, &was, &is, lines);
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => list(path, before, after, lines),
        _ => lines.push(format!("    {path}: {} -> {}", shown(was), shown(is))),
    }
}

/// Lists are compared as sets of what has a name.
fn list(path: &str, before: &[Value], after: &[Value], lines: &mut Vec<String>) {
    let same = |list: &[Value], item: &Value| list.iter().find(|other| key(other) == key(item)).cloned();
    for was in before {
        match same(after, was) {
            Some(is) if is != *was => fields(&format!("{path} {}", shown(was)), was, &is, lines),
            Some(_) => {}
            None => lines.push(format!("    {path}: - {}", shown(was))),
        }
    }
    for is in after.iter().filter(|is| same(before, is).is_none()) {
        lines.push(format!("    {path}: + {}", shown(is)));
    }
}

/// What tells one item of a list from the others.
fn key(item: &Value) -> Value {
    let named = ["id", "code", "name", "url"].into_iter().find_map(|field| item.get(field));
    named.unwrap_or(item).clone()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => shown_text(text),
        Value::Object(_) if key(value) != *value => shown(&key(value)),
        other => shown_text(&other.to_string()),
    }
}

fn shown_text(text: &str) -> String {
    let certificate = pem::decode_all(pem::CERTIFICATE, text).into_iter().next();
    if let Some(certificate) = certificate.and_then(|der| Certificate::from_der(&der).ok()) {
        return format!("certificate {}, until {}", certificate.subject_text(), certificate.not_after());
    }
    if text.trim_start().starts_with('<') {
        return format!("a document of {} bytes", text.len());
    }
    let cut: String = text.chars().take(TEXT_MAX).collect();
    if cut.len() == text.len() { cut } else { format!("{cut}… ({} bytes)", text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_field_by_field() {
        let difference = |was: Option<&str>, is: Option<&str>| -> Difference {
            let form = serde_json::json!({ "kind": "member", "name": "DEV/GOV/M2", "was": was, "is": is });
            serde_json::from_value(form).unwrap()
        };
        let before = r#"{"id":"x","name":"Land Board","subsystem":[{"code":"LAND"},{"code":"OLD"}]}"#;
        let after = r#"{"id":"x","name":"Land and Water","subsystem":[{"code":"LAND","name":"Land"},{"code":"WATER"}]}"#;
        assert_eq!(
            lines(&difference(Some(before), Some(after))),
            [
                "~ member DEV/GOV/M2",
                "    name: Land Board -> Land and Water",
                "    subsystem LAND.name: none -> Land",
                "    subsystem: - OLD",
                "    subsystem: + WATER",
            ]
        );
        assert_eq!(lines(&difference(None, Some(before))), ["+ member DEV/GOV/M2 (Land Board)"]);
        assert_eq!(lines(&difference(Some(before), None)), ["- member DEV/GOV/M2 (Land Board)"]);
        assert_eq!(json(&difference(None, Some(before)))["is"]["name"], "Land Board");
    }
}
