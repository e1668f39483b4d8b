//! Errors as an information system sees them. Spec: message-path §1.4.5.

use crate::message::json::quote;
use crate::xml::escape;

/// The HTTP status under which an information system is told a fault code.
///
/// Seen: the text must be exact; a code of a peer before 7.8 (`Server.…`) becomes 400.
#[must_use]
pub fn error_status(code: &str) -> u16 {
    if code.starts_with("server.") { 500 } else { 400 }
}

/// The body that tells an information system of a fault, and its content type.
///
/// `accept` are the values of the request's `Accept` headers, in order; the first that asks for XML gets it.
pub fn error_body<'a>(
    accept: impl IntoIterator<Item = &'a str>,
    code: &str,
    message: &str,
    detail: Option<&str>,
) -> (&'static str, Vec<u8>) {
    let xml = accept.into_iter().flat_map(|value| value.split(',')).find_map(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match range.as_str() {
            "text/xml" | "text/*" => Some("text/xml;charset=utf-8"),
            "application/xml" => Some("application/xml;charset=utf-8"),
            _ => None,
        }
    });
    let body = if xml.is_some() { to_xml(code, message, detail) } else { to_json(code, message, detail) };
    (xml.unwrap_or("application/json"), body.into_bytes())
}

fn to_xml(code: &str, message: &str, detail: Option<&str>) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><error><type>{}</type><message>{}</message>\
         <detail>{}</detail></error>",
        escape(code),
        escape(message),
        escape(detail.unwrap_or_default()),
    )
}

fn to_json(code: &str, message: &str, detail: Option<&str>) -> String {
    let detail = detail.map_or_else(|| "null".to_owned(), quote);
    format!("{{\"type\":{},\"message\":{},\"detail\":{detail}}}", quote(code), quote(message))
}

/// A value for an HTTP header line: control characters, line ends and all, become spaces.
#[must_use]
pub fn header_text(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
