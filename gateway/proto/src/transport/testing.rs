//! Recorded traffic for tests: where it lies, and HTTP taken apart without the code under test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One HTTP message.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the framing said that the body is whole.
    pub(crate) whole: bool,
}

/// A recorded REST exchange: what four parties said.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) folder: String,
    pub(crate) client_request: Vec<u8>,
    pub(crate) wire_request: Http,
    pub(crate) wire_response: Http,
    pub(crate) provider_response: Option<Vec<u8>>,
}

/// The folder of vectors; `None` (said plainly) when it is not here and need not be.
pub(crate) fn vectors() -> Option<PathBuf> {
    let given = std::env::var_os("SAATKOND_VECTORS").map(PathBuf::from);
    let folder =
        given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("SAATKOND_REQUIRE").as_deref() != Ok("all"), "no vectors at {}", folder.display());
    println!("skipped: no vectors at {} (set SAATKOND_VECTORS)", folder.display());
    None
}

/// Holds a count against what the vectors have, if they are here.
pub(crate) fn at_least(count: usize, expected: usize) {
    assert!(count >= expected || vectors().is_none(), "{count} of {expected}");
}

/// Reads a file, or its gzipped form.
pub(crate) fn bytes(path: &Path) -> Option<Vec<u8>> {
    if path.is_file() {
        return Some(std::fs::read(path).unwrap());
    }
    let gzipped = PathBuf::from(format!("{}.gz", path.display()));
    if !gzipped.is_file() {
        return None;
    }
    match Command::new("gzip").arg("-dc").arg(&gzipped).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        outcome => {
            assert!(std::env::var("SAATKOND_REQUIRE").as_deref() != Ok("all"), "gzip: {outcome:?}");
            println!("skipped: {} (no gzip)", gzipped.display());
            None
        }
    }
}

/// The case folders of one or all flavours of keys.
pub(crate) fn folders() -> Vec<PathBuf> {
    let Some(root) = vectors() else { return Vec::new() };
    let mut found = Vec::new();
    for flavour in ["rsa", "ec", "int"] {
        for entry in std::fs::read_dir(root.join("xroad-recorded").join(flavour)).unwrap() {
            found.push(entry.unwrap().path());
        }
    }
    found.sort();
    found
}

/// Every recorded file between two gateways: its path, and whether it holds requests.
pub(crate) fn wire_files() -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for folder in folders() {
        for number in 1..100 {
            for (name, request) in [("request", true), ("response", false)] {
                let path = folder.join(format!("wire-{number}-{name}.bin"));
                if path.is_file() || PathBuf::from(format!("{}.gz", path.display())).is_file() {
                    found.push((path, request));
                }
            }
        }
    }
    found
}

/// The recorded exchanges whose request is REST.
pub(crate) fn rest_exchanges() -> Vec<Exchange> {
    let mut found = Vec::new();
    for folder in folders() {
        let file = |name: &str| bytes(&folder.join(name));
        let (Some(client_request), Some(request), Some(response)) =
            (file("client-request.bin"), file("wire-1-request.bin"), file("wire-1-response.bin"))
        else {
            continue;
        };
        let first = |bytes: &[u8]| http(bytes).into_iter().next();
        let (Some(wire_request), Some(wire_response)) = (first(&request), first(&response)) else { continue };
        if header(&wire_request, "x-road-message-type") != Some("REST") {
            continue;
        }
        found.push(Exchange {
            client_request,
            wire_request,
            wire_response,
            provider_response: file("provider-1-response.bin"),
            folder: folder.display().to_string(),
        });
    }
    found
}

pub(crate) fn header<'a>(http: &'a Http, name: &str) -> Option<&'a str> {
    http.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// Takes a file of HTTP messages apart; a body without length ends with the file.
pub(crate) fn http(mut bytes: &[u8]) -> Vec<Http> {
    let mut found = Vec::new();
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let head: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
        bytes = &bytes[end + 4..];
        let headers: Vec<_> = head
            .split("\r\n")
            .skip(1)
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
            .collect();
        let mut message = Http { headers, body: Vec::new(), whole: true };
        let declared = header(&message, "content-length").and_then(|l| l.parse::<usize>().ok());
        if header(&message, "transfer-encoding").is_some() {
            bytes = dechunk(bytes, &mut message);
        } else {
            let length = declared.unwrap_or(bytes.len());
            message.whole = declared.is_some_and(|length| length <= bytes.len());
            let (body, rest) = bytes.split_at(length.min(bytes.len()));
            message.body = body.to_vec();
            bytes = rest;
        }
        found.push(message);
    }
    found
}

fn dechunk<'a>(mut bytes: &'a [u8], message: &mut Http) -> &'a [u8] {
    while let Some(end) = find(bytes, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if bytes.len() < size + 2 {
            break;
        }
        message.body.extend_from_slice(&bytes[..size]);
        bytes = &bytes[size + 2..];
        if size == 0 {
            return bytes;
        }
    }
    message.whole = false;
    &[]
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// The body of the first part of a type, found without the reader under test.
pub(crate) fn part(message: &Http, content_type: &str) -> Option<Vec<u8>> {
    let boundary = header(message, "content-type")?.split("boundary=").nth(1)?.trim_matches('"');
    let head = format!("content-type: {content_type}\r\n\r\n");
    let start = find(&message.body, head.as_bytes())? + head.len();
    let end = find(&message.body[start..], format!("\r\n--{boundary}").as_bytes())?;
    Some(message.body[start..start + end].to_vec())
}
