//! Says what came of it: in words for people, as JSON for scripts.

use super::conf::Believed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_proto::container::archive::{ArchiveError, Link};
use saatkond_proto::container::verify::Unproven;
use saatkond_proto::container::{ContainerError, Proof};
use saatkond_proto::crypto::{Scheme, SignatureAlgorithm};
use saatkond_proto::fault::Code;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use serde_json::{Value, json};

/// Says which configuration is believed, and why.
pub(super) fn configuration(believed: &Believed) -> String {
    let instance = believed.conf.own_instance();
    let found = believed.found.display();
    let held = match believed.expires {
        Some(expires) => format!(", held until {expires}"),
        None => String::new(),
    };
    let head = format!("configuration of {instance}{held}\n  found in {found}\n");
    match &believed.anchor {
        Some((anchor, fingerprint)) => format!(
            "{head}  signed by the anchor {}\n  compare the anchor's SHA-224 with the authority's:\n  {fingerprint}",
            anchor.display()
        ),
        None => format!("{head}  it carries no signature: it is as good as whoever gave you the copy"),
    }
}

/// The same for scripts.
pub(super) fn configuration_json(believed: &Believed) -> Value {
    json!({
        "instance": believed.conf.own_instance(),
        "found": believed.found.display().to_string(),
        "signed": believed.anchor.is_some(),
        "anchor": believed.anchor.as_ref().map(|(path, _)| path.display().to_string()),
        "anchor_sha224": believed.anchor.as_ref().map(|(_, fingerprint)| fingerprint),
        "expires": believed.expires.map(UnixTime::to_rfc3339),
    })
}

/// What a container proves, or why it proves nothing, in lines that follow its name.
pub(super) fn container(
    name: &str,
    result: &Result<Proof, ContainerError>,
    expires: Option<UnixTime>,
) -> String {
    match result {
        Ok(proof) => {
            let mut lines = vec![format!("{name}: holds")];
            let told = proof_lines(proof, expires).into_iter();
            lines.extend(told.map(|(head, text)| format!("  {head:<11}{}", visible(&text))));
            lines.join("\n")
        }
        Err(error) => {
            format!("{name}: DOES NOT HOLD\n  {}\n  ({})", visible(&error.to_string()), words(&error.code()))
        }
    }
}

/// A stranger's words, without what a terminal would obey or show in another order.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

fn proof_lines(proof: &Proof, expires: Option<UnixTime>) -> Vec<(&'static str, String)> {
    let message = &proof.message;
    let mut lines = vec![
        ("message", format!("{} {}", message.kind.text(), message.line)),
        ("", format!("from {}", message.client)),
        ("", format!("to {}", message.service)),
        ("", format!("message id {}", message.id)),
    ];
    lines.extend(message.request_id.iter().map(|id| ("", format!("exchange {id}"))));
    let signature = &proof.signature;
    let together = if signature.is_batch { ", through a hash chain" } else { "" };
    lines.push((
        "signed by",
        format!("{} ({}{together})", message.signer().member, algorithm(signature.algorithm)),
    ));
    lines.push(("", format!("certificate {}", signature.certificate.serial_text())));
    lines.push(("", format!("of {}", signature.certificate.subject_text())));
    lines.push(("", format!("issued by {}", signature.certificate.issuer_text())));
    lines.push(("", format!("an authority approved as {:?}", signature.ca_name)));
    lines.push(("", format!("whose responder said good at {}", signature.status_time)));
    let stamp = &proof.stamp;
    lines.push(("existed at", format!("{}, or before", stamp.time)));
    let how = if stamp.is_batch { "over a hash chain with other signatures" } else { "over this signature" };
    lines.push(("", format!("time-stamp {how}")));
    lines.push(("", format!("of {}", stamp.tsa.subject_text())));
    if let Some(time) = signature.signing_time {
        lines.push(("", format!("signed at {time} by the signer's own clock")));
    }
    let mut head = "covers";
    for part in &proof.parts {
        if let Some(size) = part.size {
            lines.push((std::mem::take(&mut head), format!("{} ({})", part.name, bytes(size))));
        }
    }
    let mut head = "NOT PROVEN";
    for text in unproven(proof, expires) {
        lines.push((std::mem::take(&mut head), text));
    }
    lines
}

/// What one could take for proven and is not, in words.
fn unproven(proof: &Proof, expires: Option<UnixTime>) -> Vec<String> {
    let say = |what: &Unproven| match what {
        Unproven::MissingPart(name) => {
            format!("{name} was signed and is not in the file; only its digest is known")
        }
        Unproven::Entry(name) => format!("{name} is in the file and was not signed"),
        Unproven::UnusedChain => "a hash chain is in the file that the signature does not name".to_owned(),
        Unproven::FurtherStamp => {
            "the signature has further time-stamps, which were not looked at".to_owned()
        }
    };
    let mut out: Vec<_> = proof.unproven.iter().map(say).collect();
    if let Some(expires) = expires.filter(|e| *e < proof.stamp.time) {
        out.push(format!(
            "that the instance still approved these authorities then: the configuration held until {expires}"
        ));
    }
    out
}

/// The same for scripts.
pub(super) fn container_json(
    name: &str,
    result: &Result<Proof, ContainerError>,
    expires: Option<UnixTime>,
) -> Value {
    match result {
        Ok(proof) => json!({
            "name": name,
            "kind": "container",
            "holds": true,
            "message": message_json(proof),
            "signature": {
                "signer": proof.message.signer().member.to_string(),
                "algorithm": proof.signature.algorithm.uri(),
                "batch": proof.signature.is_batch,
                "certificate": certificate_json(&proof.signature.certificate),
                "authority": proof.signature.ca_name,
                "good_at": proof.signature.status_time.to_rfc3339(),
                "claimed_time": proof.signature.signing_time.map(UnixTime::to_rfc3339_millis),
            },
            "timestamp": {
                "time": proof.stamp.time.to_rfc3339(),
                "batch": proof.stamp.is_batch,
                "certificate": certificate_json(&proof.stamp.tsa),
            },
            "parts": proof.parts.iter().map(|part| json!({
                "name": part.name,
                "digest_algorithm": part.algorithm.name(),
                "digest": STANDARD.encode(&part.digest),
                "bytes": part.size,
            })).collect::<Vec<_>>(),
            "not_proven": unproven(proof, expires),
        }),
        Err(error) => json!({
            "name": name,
            "kind": "container",
            "holds": false,
            "code": words(&error.code()),
            "error": error.to_string(),
        }),
    }
}

fn message_json(proof: &Proof) -> Value {
    let message = &proof.message;
    json!({
        "kind": message.kind.text(),
        "line": message.line,
        "client": message.client.to_string(),
        "service": message.service.to_string(),
        "id": message.id,
        "request_id": message.request_id,
    })
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject_text(),
        "issuer": certificate.issuer_text(),
        "serial": certificate.serial_text(),
        "sha256": hex(certificate.sha256()),
        "not_before": certificate.not_before().to_rfc3339(),
        "not_after": certificate.not_after().to_rfc3339(),
    })
}

/// How an archive stands to the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// It is the first.
    Nothing,
    /// It follows an archive that was given, too.
    Given(String),
    /// It follows an archive that was not given.
    Absent(String),
}

/// What came of an archive's chain.
pub(super) fn archive(name: &str, result: &Result<(Link, Before), ArchiveError>) -> String {
    match result {
        Ok((link, before)) => {
            let before = match before {
                Before::Nothing => "the first archive".to_owned(),
                Before::Given(before) => format!("follows {before}, as it says"),
                Before::Absent(before) => {
                    format!("says that it follows {}, which was not given", visible(before))
                }
            };
            format!(
                "{name}: its chain holds\n  {} containers, digested with {}; {before}",
                link.containers.len(),
                link.algorithm.name()
            )
        }
        Err(error) => {
            format!(
                "{name}: ITS CHAIN DOES NOT HOLD\n  {}\n  ({})",
                visible(&error.to_string()),
                error.code()
            )
        }
    }
}

/// The same for scripts.
pub(super) fn archive_json(
    name: &str,
    result: &Result<(Link, Before), ArchiveError>,
    containers: Vec<Value>,
) -> Value {
    match result {
        Ok((link, before)) => {
            let (follows, given) = match before {
                Before::Nothing => (None, false),
                Before::Given(name) => (Some(name), true),
                Before::Absent(name) => (Some(name), false),
            };
            json!({
                "name": name,
                "kind": "archive",
                "holds": true,
                "last_digest": link.last,
                "digest_algorithm": link.algorithm.name(),
                "follows": follows,
                "follows_given": given,
                "containers": containers,
            })
        }
        Err(error) => json!({
            "name": name,
            "kind": "archive",
            "holds": false,
            "code": error.code(),
            "error": error.to_string(),
            "containers": containers,
        }),
    }
}

fn algorithm(algorithm: SignatureAlgorithm) -> String {
    let scheme = match algorithm.scheme {
        Scheme::RsaPkcs1 => "RSA",
        Scheme::RsaPss => "RSA-PSS",
        Scheme::Ecdsa => "ECDSA",
    };
    format!("{scheme} with {}", algorithm.digest.name())
}

/// A code without the part that says which gateway speaks: none does.
fn words(code: &Code) -> String {
    match code {
        Code::Ours { under, leaf } => {
            under.iter().chain([leaf]).map(|l| l.text()).collect::<Vec<_>>().join(".")
        }
        Code::Foreign(text) => text.clone(),
    }
}

fn bytes(size: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", size / unit, size % unit * 10 / unit);
    match size {
        0..1024 => format!("{size} bytes"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(1_048_576)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
