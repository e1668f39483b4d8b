//! What `openssl s_client` writes about a handshake, taken apart.

use super::{Facts, WAY};

/// Lines that say one thing each: how they begin, and what they tell.
const LINES: [(&str, &str); 9] = [
    ("Peer signing digest: ", "digest"),
    ("Peer signature type: ", "signature"),
    ("Server Temp Key: ", "group"),
    ("Peer Temp Key: ", "group"),
    ("Secure Renegotiation IS ", "renegotiation"),
    ("Compression: ", "compression"),
    ("    TLS session ticket lifetime hint: ", "ticket lifetime"),
    ("    Extended master secret: ", "extended master secret"),
    ("No ALPN ", "application protocol"),
];
/// Lines with a list in which order means nothing: what they tell of each thing in it.
const SETS: [(&str, &str, &str); 2] = [
    ("Client Certificate Types: ", ", ", "certificate type"),
    ("Requested Signature Algorithms: ", ":", "signature algorithm"),
];

/// Reads a transcript: standard error and standard output. Which way a handshake went is the version that was
/// spoken, or the alert that came instead of a first answer.
pub(crate) fn read(transcript: &str) -> Facts {
    let mut facts = Facts::default();
    let mut lines = transcript.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some((_, number)) = line.split_once("SSL alert number ") {
            facts.note("alert", number);
        } else if line == "Acceptable client certificate CA names" {
            let is_name = |line: &&str| SETS.iter().all(|(begins, ..)| !line.starts_with(begins));
            while let Some(name) = lines.next_if(is_name) {
                facts.note(format!("authority {name}"), "named");
                facts.add("order of authorities", name);
            }
        } else {
            one(line, &mut facts);
        }
    }
    if facts.of(WAY) == "none" {
        facts.note(WAY, format!("alert {}", facts.of("alert")));
    }
    facts
}

fn one(line: &str, facts: &mut Facts) {
    for (begins, what) in LINES {
        if let Some(value) = line.strip_prefix(begins) {
            facts.note(what, value);
        }
    }
    for (begins, between, what) in SETS {
        let list = line.strip_prefix(begins).unwrap_or_default();
        for thing in list.split(between).filter(|thing| !thing.is_empty()) {
            facts.note(format!("{what} {thing}"), "asked for");
        }
    }
    let chained = line.strip_prefix(' ').and_then(|l| l.split_once(" s:"));
    if let Some((_, subject)) = chained.filter(|(place, _)| place.parse::<u8>().is_ok()) {
        facts.add("chain", subject);
    }
    let (kind, rest) = line.split_once(", ").unwrap_or_default();
    if let Some((version, suite)) = rest.split_once(", Cipher is ").filter(|(v, _)| *v != "(NONE)") {
        facts.note(WAY, version);
        facts.note("suite", suite);
        facts.add("handshakes", kind);
    }
}
