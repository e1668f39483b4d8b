//! What is different between what was recorded and what we say.
//!
//! Nothing is overlooked silently: whatever two runs of the same server would also say differently (ids, hashes, the
//! time, addresses, the words for people in an error) is brought to one form first; all else must be the same, or the
//! difference is told by name.

use crate::http::{Answer, Lines, Request};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{Cursor, Read as _};

/// One difference.
#[derive(Debug)]
pub(crate) struct Difference {
    /// What differs, such as `status` or `service: header cookie`.
    pub(crate) what: String,
    pub(crate) recorded: String,
    pub(crate) ours: String,
}

/// Headers that belong to the connection: how a message is framed, not what it says.
const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn hold<T: PartialEq + Debug>(&mut self, what: impl Into<String>, recorded: T, ours: T) {
        if recorded != ours {
            let shortened = |value: T| {
                let text = format!("{value:?}");
                text.chars().take(300).collect()
            };
            self.0.push(Difference {
                what: what.into(),
                recorded: shortened(recorded),
                ours: shortened(ours),
            });
        }
    }

    /// The values of one header. Where one side has none, the difference is named by what the other has.
    fn hold_header(&mut self, who: &str, name: &str, recorded: &Lines, ours: &Lines) {
        let of = |lines: &Lines| -> Vec<String> {
            lines.values(name).into_iter().map(|value| same_form(name, value)).collect()
        };
        let (recorded, ours) = (of(recorded), of(ours));
        let what = match (recorded.as_slice(), ours.as_slice()) {
            ([], _) => format!("{who}header {name}: ours alone"),
            (some, []) => format!("{who}header {name}: {}, ours none", some.join("|")),
            _ => format!("{who}header {name}"),
        };
        self.hold(what, recorded, ours);
    }

    /// Values, order and letter case of headers, but for those named `aside`.
    fn hold_headers(&mut self, who: &str, (recorded, ours): (&Lines, &Lines), aside: &[&str]) {
        let names = |lines: &Lines| -> Vec<String> {
            lines.names().into_iter().filter(|n| !aside.contains(&n.as_str())).collect()
        };
        let (theirs, mine) = (names(recorded), names(ours));
        let all: BTreeSet<&String> = theirs.iter().chain(&mine).collect();
        for name in all {
            self.hold_header(who, name, recorded, ours);
        }
        let common = |names: &[String], others: &[String]| -> Vec<String> {
            names.iter().filter(|n| *n != "date" && others.contains(n)).cloned().collect()
        };
        self.hold(format!("{who}order of headers"), common(&theirs, &mine), common(&mine, &theirs));
        let written =
            |lines: &Lines| -> BTreeSet<String> { lines.0.iter().map(|(n, _)| n.clone()).collect() };
        let (theirs, mine) = (written(recorded), written(ours));
        let differently = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
            a.iter()
                .filter(|n| !b.contains(*n) && b.iter().any(|m| m.eq_ignore_ascii_case(n)))
                .cloned()
                .collect()
        };
        let (theirs, mine) = (differently(&theirs, &mine), differently(&mine, &theirs));
        self.hold(format!("{who}letter case of header names"), theirs, mine);
    }
}

/// What the information system is told.
pub(crate) fn answers(recorded: &[Answer], ours: &[Answer]) -> Vec<Difference> {
    let mut found = Found::default();
    let statuses = |answers: &[Answer]| answers.iter().map(|a| a.status).collect::<Vec<_>>();
    found.hold("status", statuses(recorded), statuses(ours));
    for (recorded, ours) in recorded.iter().zip(ours) {
        found.hold("HTTP version", &recorded.version, &ours.version);
        found.hold("reason phrase", &recorded.reason, &ours.reason);
        if recorded.end != ours.end {
            found.hold(format!("framing: {:?}, ours {:?}", recorded.end, ours.end), recorded.end, ours.end);
        }
        found.hold("header connection", recorded.says_close(), ours.says_close());
        found.hold_headers("", (&recorded.headers, &ours.headers), &FRAMING);
        let body = |answer: &Answer| same_form_of_body(&answer.headers, &answer.body);
        found.hold("body", body(recorded), body(ours));
    }
    found.0
}

/// Headers of a call to a service that its HTTP client adds.
const CLIENTS_OWN: [&str; 3] = ["host", "content-length", "connection"];

/// What the service is asked.
pub(crate) fn requests(recorded: &[Request], ours: &[Request]) -> Vec<Difference> {
    let mut found = Found::default();
    let lines = |requests: &[Request]| -> Vec<String> {
        requests.iter().map(|r| format!("{} {}", r.method, r.target)).collect()
    };
    found.hold("service: calls", lines(recorded), lines(ours));
    for (recorded, ours) in recorded.iter().zip(ours) {
        found.hold_headers("service: ", (&recorded.headers, &ours.headers), &CLIENTS_OWN);
        for name in CLIENTS_OWN {
            found.hold_header("service: ", name, &recorded.headers, &ours.headers);
        }
        let first = |lines: &Lines| lines.names().first().cloned();
        found.hold("service: first header", first(&recorded.headers), first(&ours.headers));
        let body =
            |r: &Request| same_form_of_soap(&r.body.iter().map(|b| char::from(*b)).collect::<String>());
        found.hold("service: body", body(recorded), body(ours));
    }
    found.0
}

/// That service and information system are told of the same exchange.
pub(crate) fn ids(asked: &[Request], answers: &[Answer]) {
    let finals = answers.iter().filter(|a| !a.headers.values("x-road-request-id").is_empty());
    for (asked, answer) in asked.iter().zip(finals) {
        for name in ["x-road-request-id", "x-road-id"] {
            let (of_service, of_client) = (asked.headers.values(name), answer.headers.values(name));
            assert_eq!(of_service.last(), of_client.last(), "{name}");
        }
    }
}

//------------ one form ------------------------------------------------------

/// A header's value, with what differs from run to run in one form.
fn same_form(name: &str, value: &str) -> String {
    match name {
        "date" => "<date>".to_owned(),
        "host" => "<the service's address>".to_owned(),
        "content-disposition" => without_number(value),
        "x-road-request-hash" => format!("<{} characters of base64>", value.len()),
        "content-type" => without_boundary(value, value.split("boundary=").nth(1).unwrap_or_default()),
        _ => without_ids(value),
    }
}

/// Text with a gateway's own boundary replaced, which is another each time; a service's stays.
fn without_boundary(text: &str, boundary: &str) -> String {
    let is_random = |rest: &str| rest.len() == 30 && rest.bytes().all(|b| b.is_ascii_alphabetic());
    match boundary.strip_prefix("xroad").filter(|rest| is_random(rest)) {
        Some(_) => text.replace(boundary, "<boundary>"),
        None => text.to_owned(),
    }
}

/// Text with every UUID replaced.
fn without_ids(text: &str) -> String {
    const FORM: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let is_id = |piece: &[u8]| {
        piece
            .iter()
            .zip(FORM.bytes())
            .all(|(b, f)| if f == b'-' { *b == b'-' } else { b.is_ascii_hexdigit() })
    };
    let mut bytes = text.as_bytes();
    let mut out = Vec::new();
    while let Some(first) = bytes.first() {
        if bytes.len() >= FORM.len() && is_id(&bytes[..FORM.len()]) {
            out.extend_from_slice(b"<uuid>");
            bytes = &bytes[FORM.len()..];
        } else {
            out.push(*first);
            bytes = &bytes[1..];
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Words of X-Road that name who or what was asked for: these must be its own.
const WORDS_THAT_NAME: [&str; 3] =
    ["Unknown service: ", "Request is not allowed: ", "Could not find addresses for service provider "];

/// A body: of an error of X-Road all but its words for people, unless they name what was asked for; of the HTTP server's own page only that it is one.
pub(crate) fn same_form_of_body(headers: &Lines, body: &[u8]) -> String {
    let is = |kind: &str| headers.values("content-type").iter().any(|v| v.starts_with(kind));
    let is_error = !headers.values("x-road-error").is_empty() || !headers.values("soapaction").is_empty();
    if is("application/zip") || is("application/vnd.etsi.asic-e+zip") {
        return same_form_of_zip(body);
    }
    if is("text/html") && body.starts_with(b"<html>") {
        return "<page>".to_owned();
    }
    if !is_error {
        return same_form_of_soap(&body.iter().map(|b| char::from(*b)).collect::<String>());
    }
    let mut text = without_ids(&String::from_utf8_lossy(body));
    for (begin, end) in [
        ("\"message\":\"", "\",\"detail\""),
        ("<message>", "</message>"),
        ("<faultstring>", "</faultstring>"),
    ] {
        let from = text.find(begin).map(|at| at + begin.len());
        let to = from.and_then(|from| Some(from + text[from..].find(end)?));
        let is_kept = |words: &str| WORDS_THAT_NAME.iter().any(|begin| words.starts_with(begin));
        if let Some((from, to)) = from.zip(to).filter(|(from, to)| to > from && !is_kept(&text[*from..*to])) {
            text.replace_range(from..to, "<words>");
        }
    }
    text
}

/// The name of a container with the record's number replaced.
fn without_number(name: &str) -> String {
    let begin = ["-request-", "-response-"].iter().find_map(|kind| Some(name.find(kind)? + kind.len()));
    match begin.zip(name.find(".asice")) {
        Some((begin, end)) => format!("{}<number>{}", &name[..begin], &name[end..]),
        None => name.to_owned(),
    }
}

/// A zip file: its entries in order, and what each holds; not of documents, which differ from run to run.
pub(crate) fn same_form_of_zip(bytes: &[u8]) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut form = format!("zip {:?}", String::from_utf8_lossy(archive.comment()));
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = entry.name().unwrap().into_owned();
        form.push_str(&format!("\n{} {:?}: ", without_number(&name), entry.compression()));
        if name.ends_with(".asice") {
            form.push_str(&same_form_of_zip(&content).replace('\n', "\n  "));
        } else if name == "mimetype" || name.starts_with("verificationconf") {
            form.push_str(&String::from_utf8_lossy(&content));
        }
    }
    form
}

/// A SOAP message; anything else stays as it is.
///
/// The real server writes a service's envelope anew before it signs it, and keeps part headers in a hash map. Ours
/// inserts the hash of the request and leaves all else as it came. So these are brought to one form: order of a part's
/// headers; white space behind the XML declaration and at the document's end; how an empty element is written.
fn same_form_of_soap(text: &str) -> String {
    const END: &str = "Envelope>";
    if !text.contains(END) {
        return text.to_owned();
    }
    let Some((boundary, _)) = text.split_once("\r\n").filter(|(line, _)| line.starts_with("--")) else {
        return same_form_of_envelope(text);
    };
    let delimiter = format!("\r\n{boundary}");
    let parts = text.split(&delimiter).map(|part| {
        let Some((head, body)) = part.split_once("\r\n\r\n") else { return part.to_owned() };
        let mut head: Vec<String> = head.split("\r\n").map(without_ids).collect();
        head.sort_unstable();
        let body = if body.contains(END) { same_form_of_envelope(body) } else { body.to_owned() };
        format!("{}\r\n\r\n{body}", head.join("\r\n"))
    });
    without_boundary(&parts.collect::<Vec<_>>().join(&delimiter), boundary.trim_start_matches('-'))
}

fn same_form_of_envelope(text: &str) -> String {
    let mut text = text.replacen("?>\n", "?>", 1).trim_end_matches('\n').to_owned();
    while let Some(at) = text.find("/>") {
        let from = text[..at].rfind('<').unwrap();
        let name = text[from + 1..at].split_whitespace().next().unwrap().to_owned();
        let open = text[..at].trim_end().len();
        text.replace_range(open..at + 2, &format!("></{name}>"));
    }
    text
}
