//! Writes seeds for the fuzz targets: `seeds FOLDER` makes FOLDER/TARGET/DIGEST of the project's own vectors, and of
//! what others recorded where that is at hand.

use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::trust::{Certificate, ocsp, tsp};
use saatkond_tests::recorded::{self, Http, place};
use saatkond_tests::vectors::{self, Vector, hex, piece};
use std::path::{Path, PathBuf};

/// Larger ones make a fuzzer slow and find nothing that smaller ones do not.
const BYTES_MAX: usize = 48 * 1024;

/// A SOAP request.
const ENVELOPE: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
    xmlns:x='http://x-road.eu/xsd/xroad.xsd' xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header>\n\
    <x:client i:objectType='MEMBER'><i:xRoadInstance>D</i:xRoadInstance><i:memberClass>G</i:memberClass>\
    <i:memberCode>1</i:memberCode></x:client>\n<x:service i:objectType='SERVICE'><i:xRoadInstance>D</i:xRoadInstance>\
    <i:memberClass>G</i:memberClass><i:memberCode>2</i:memberCode><i:serviceCode>get</i:serviceCode></x:service>\
    <x:id>1</x:id><x:protocolVersion>4.0</x:protocolVersion></s:Header><s:Body><get/></s:Body></s:Envelope>";

/// For the target `authority`: an order, the notes of two doors, and what is said in answers.
const SAID: [&str; 5] = [
    include_str!("said/order.txt"),
    include_str!("said/note-1.txt"),
    include_str!("said/note-2.txt"),
    "HOME_ACTIVE;site=lux1;copy=STANDBY;token=281474976710663",
    "1.234",
];

struct Seeds(PathBuf);

impl Seeds {
    fn add(&self, target: &str, bytes: &[u8]) {
        if bytes.len() > BYTES_MAX {
            return;
        }
        let folder = self.0.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        let name = hex(&DigestAlgorithm::Sha256.digest(bytes)[..8]);
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    /// A message for the target `multipart`: piece size, what it is, content type, body.
    fn message(&self, kind: u8, content_type: &str, body: &[u8]) {
        self.add("multipart", &[&[61, 4 | kind], content_type.as_bytes(), b"\n", body].concat());
    }

    /// A document for the target `envelope`: its content type, then its bytes.
    fn envelope(&self, bytes: &[u8]) {
        self.add("envelope", &[b"text/xml; charset=UTF-8\n", bytes].concat());
    }

    /// A block for the target `information_system`: its lines.
    fn request(&self, block: &[u8]) {
        let lines = String::from_utf8_lossy(block).replace("\r\n", "\n");
        self.add("information_system", lines.as_bytes());
    }

    /// A proof: signature, result, chain and parts between NULs.
    fn proof(&self, pieces: &[vectors::Piece]) {
        let of = |label| piece(pieces, label).unwrap_or_default();
        let parts = pieces.iter().filter(|p| p.label.starts_with("PART ")).map(|p| p.bytes.as_slice());
        let listed = [of("SIGNATURE"), of("HASH CHAIN RESULT"), of("HASH CHAIN")].into_iter().chain(parts);
        self.add("proof", &listed.collect::<Vec<_>>().join(&0));
        self.add("xades", of("SIGNATURE"));
        self.add("c14n", of("SIGNATURE"));
    }

    fn chain(&self, result: &[u8], chain: &[u8]) {
        self.add("hash_chain", &[result, chain].join(&0));
        self.add("c14n", chain);
    }
}

fn main() {
    let folder = std::env::args_os().nth(1).expect("seeds FOLDER");
    let seeds = Seeds(PathBuf::from(folder));
    for vector in vectors::all().values() {
        own(&seeds, vector);
    }
    let fault = SoapFault::new("server.serverproxy.io_error", "it broke <here>", Some("1234".to_owned()));
    seeds.add("fault", fault.to_xml().as_bytes());
    seeds.envelope(ENVELOPE.as_bytes());
    SAID.iter().for_each(|said| seeds.add("authority", said.as_bytes()));
    seeds.add("authority", SAID[1..3].join("\0").as_bytes());
    seeds.add("authority", SAID.join("\0").as_bytes());
    if let Some(folder) = recorded::folder() {
        for path in recorded::files(&folder) {
            others(&seeds, &path);
        }
    }
}

fn own(seeds: &Seeds, vector: &Vector) {
    let body = &vector.body;
    match vector.field("kind").unwrap_or_default() {
        "rest-request" => {
            seeds.add("rest_block", body);
            seeds.request(body);
        }
        "rest-response" => seeds.add("rest_block", body),
        "multipart" => {
            let words = ["REST request", "SOAP request", "REST response", "SOAP response"];
            let kind = (0..).zip(words).find(|(_, w)| Some(*w) == vector.field("message")).unwrap().0;
            seeds.message(kind, vector.field("content-type").unwrap_or_default(), body);
        }
        "path-glob" | "normal-path" => {
            for row in String::from_utf8_lossy(body).lines() {
                let columns: Vec<&str> = row.split('\t').collect();
                let glob =
                    if let [_, pattern, path] = columns[..] { [pattern, path] } else { ["**", columns[0]] };
                seeds.add("endpoint", glob.join("\0").as_bytes());
            }
        }
        kind @ ("wsdl" | "openapi") => seeds.add(kind, body),
        "directory" => seeds.add("directory", body),
        "container" => seeds.add("container", body),
        "trust" => seeds.add("params", body),
        "signature" => seeds.proof(&vector.pieces()),
        "hash-chain" => {
            let pieces = vector.pieces();
            let of = |label| piece(&pieces, label).unwrap_or_default();
            seeds.chain(of("HASH CHAIN RESULT"), of("HASH CHAIN"));
        }
        "ocsp" => {
            let pieces = vector.pieces();
            let of = |label| piece(&pieces, label).unwrap_or_default();
            seeds.add("ocsp", of("OCSP RESPONSE"));
            for label in ["CERTIFICATE", "ISSUER"] {
                seeds.add("certificate", of(label));
            }
            let read = |label| Certificate::from_der(of(label)).unwrap();
            seeds.add("ocsp", &ocsp::request(&read("CERTIFICATE"), &read("ISSUER")));
        }
        "timestamp" => {
            let pieces = vector.pieces();
            seeds.add("timestamp", piece(&pieces, "TIMESTAMP TOKEN").unwrap());
            let digest = DigestAlgorithm::Sha512.digest(piece(&pieces, "STAMPED").unwrap());
            seeds.add("timestamp", &tsp::request(&digest));
        }
        _ => {}
    }
}

/// Others' files, by what is in them.
fn others(seeds: &Seeds, path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    if bytes.starts_with(b"PK") {
        return seeds.add("container", &bytes);
    }
    if bytes.starts_with(b"HTTP/1.1 ") || place(&bytes[..bytes.len().min(4096)], b" HTTP/1.").is_some() {
        for message in Http::all(&bytes) {
            spoken(seeds, name, &message);
        }
        return;
    }
    let text = String::from_utf8_lossy(&bytes);
    for armoured in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        if let Some(der) = armoured.split("-----END").next().and_then(unarmoured) {
            seeds.add("certificate", &der);
        }
    }
    let has = |word: &str| text.contains(word);
    for (word, targets) in [
        ("HashChain", &["c14n"][..]),
        ("SignedInfo", &["xades", "c14n"]),
        (":Envelope", &["fault", "container"]),
        ("instanceIdentifier", &["params", "directory"]),
        ("Verification-certificate-hash", &["directory"]),
    ] {
        if has(word) {
            targets.iter().for_each(|target| seeds.add(target, &bytes));
        }
    }
    if has(":Envelope") {
        seeds.envelope(&bytes);
    }
    if name.ends_with(".der") || name.ends_with(".tst") {
        seeds.add("timestamp", &bytes);
    }
}

/// One HTTP message of a recording.
fn spoken(seeds: &Seeds, file: &str, message: &Http) {
    let content_type = message.line("content-type").unwrap_or_default();
    let is_request = !message.first.starts_with("HTTP/");
    if is_request && file.contains("client") {
        let words: Vec<&str> = message.first.split(' ').collect();
        let lines = message.lines.iter().map(|(n, v)| format!("{n}:{v}"));
        let all = [words[0].to_owned(), words.get(1).copied().unwrap_or_default().to_owned()]
            .into_iter()
            .chain(lines);
        seeds.request(all.collect::<Vec<_>>().join("\n").as_bytes());
    }
    match content_type {
        "application/ocsp-request" | "application/ocsp-response" => seeds.add("ocsp", &message.body),
        "application/timestamp-query" | "application/timestamp-reply" => {
            seeds.add("timestamp", &message.body)
        }
        kind if kind.starts_with("text/xml") => {
            seeds.add("fault", &message.body);
            seeds.envelope(&message.body);
        }
        kind if kind.starts_with("multipart/") => {
            let is_rest = place(&message.body, b"x-road-rest-re").is_some();
            let kind = if is_request { 0 } else { 2 } + u8::from(!is_rest);
            seeds.message(kind, content_type, &message.body);
            parts(seeds, content_type, &message.body);
        }
        _ => {}
    }
}

/// The parts of a multipart, cut at its boundary.
fn parts(seeds: &Seeds, content_type: &str, body: &[u8]) {
    let Some((_, boundary)) = content_type.split_once("boundary=") else { return };
    let line = format!("\r\n--{}", boundary.trim_matches('"'));
    let mut rest = body;
    let mut result: &[u8] = &[];
    while let Some(head) = place(rest, b"\r\n\r\n") {
        let kind = String::from_utf8_lossy(&rest[..head]).to_ascii_lowercase();
        let content = &rest[head + 4..];
        let end = place(content, line.as_bytes()).unwrap_or(content.len());
        let (content, after) = content.split_at(end);
        if kind.contains("rest-request") || kind.contains("rest-response") {
            seeds.add("rest_block", content);
        } else if kind.contains("signature/bdoc") {
            seeds.add("xades", content);
            seeds.add("c14n", content);
        } else if kind.contains("hash-chain-result") {
            result = content;
        } else if kind.contains("hash-chain") {
            seeds.chain(result, content);
        } else if kind.contains("ocsp") {
            seeds.add("ocsp", content);
        } else if kind.contains("text/xml") {
            seeds.add("fault", content);
            seeds.add("container", content);
            seeds.envelope(content);
        }
        rest = after.get(2..).unwrap_or_default();
    }
}

fn unarmoured(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text: String = text.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
