//! Request targets: what HTTP allows, and which service one names.

use super::RestError;
use crate::id::ServiceId;

/// The service that a path names, and the rest of the path. Spec: message-path §1.4.1.
pub(super) fn service_of(path: &str) -> Option<(ServiceId, String)> {
    let inside = path.strip_prefix("/r1/")?;
    let (id, rest) = match inside.match_indices('/').nth(4) {
        Some((at, _)) => inside.split_at_checked(at)?,
        None => (inside, ""),
    };
    Some((ServiceId::from_path(id).ok()?, rest.to_owned()))
}

/// The path and query of a raw request target, as HTTP allows them. Seen: message-path §1.1 (Jetty's refusals), §2.9.
pub(super) fn origin_form(target: &str) -> Result<&str, RestError> {
    let malformed = |what| RestError::Malformed { what, found: target.to_owned() };
    let mut inside = target;
    for scheme in ["http://", "https://"] {
        if target.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)) {
            let rest = target.get(scheme.len()..).unwrap_or_default();
            inside = rest.find('/').and_then(|at| rest.get(at..)).ok_or_else(|| malformed("no path"))?;
        }
    }
    let inside = inside.split_once('#').map_or(inside, |(before, _)| before);
    let (path, query) = inside.split_once('?').unwrap_or((inside, ""));
    if !path.starts_with('/') || path.contains("//") {
        return Err(malformed("empty path segment"));
    }
    if !path.bytes().all(stands_in_uri) || path.contains("%25") || !escapes_hold(path) {
        return Err(malformed("character that no path may have"));
    }
    if path.split('/').any(is_hidden_dots) {
        return Err(malformed("encoded dot segment"));
    }
    let may_stand = |c: char| u8::try_from(c).map_or(true, |b| stands_in_uri(b) || b > 0x9f);
    if !query.chars().all(may_stand) || !escapes_hold(query) {
        return Err(malformed("character that no query may have"));
    }
    Ok(inside)
}

/// Whether a segment is a dot segment that does not look like one.
fn is_hidden_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let dots = name.replace("%2e", ".").replace("%2E", ".");
    matches!(dots.as_str(), "." | "..") && segment != dots
}

/// Whether every percent sign begins an escape.
fn escapes_hold(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// Whether a URI may have this byte as it is, percent sign included. Seen: `java.net.URI`.
pub(super) fn stands_in_uri(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}
