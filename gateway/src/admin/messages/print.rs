//! One message in words, and for scripts. Every word that came from elsewhere is shown, never obeyed by a terminal.

use super::proof::{Outline, token};
use crate::admin::words::{count, hex, plain, size};
use crate::messagelog::reader::Found;
use crate::messagelog::{Attachment, Direction, Kind, Message, Stamp};
use saatkond_proto::message::rest::from_latin1;
use serde_json::{Value, json};

/// The heading above rows.
pub(super) const HEADING: &str =
    "    no  recorded              message            stamp   consumer > service";

fn kind(message: &Message) -> &'static str {
    match message.kind {
        Kind::Request => "request",
        Kind::Response => "response",
    }
}

fn direction(message: &Message) -> &'static str {
    match message.direction {
        Direction::Sent => "sent",
        Direction::Received => "received",
        Direction::Relayed => "relayed",
    }
}

/// Two lines: what is short, and the query's id.
pub(super) fn row(found: &Found) -> String {
    let message = &found.message;
    let what = format!("{} {}", kind(message), direction(message));
    let stamp = found.stamp.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let (client, service) = (message.client.to_string(), message.service.to_string());
    format!(
        "{:>6}  {}  {what:<17}  {stamp:<6}  {} > {}\n        query {}",
        found.number,
        message.time,
        plain(&client),
        plain(&service),
        plain(&message.query_id)
    )
}

/// The same for scripts.
pub(super) fn row_json(found: &Found) -> Value {
    let message = &found.message;
    json!({
        "number": found.number,
        "recorded_at": message.time.to_rfc3339_millis(),
        "kind": kind(message),
        "direction": direction(message),
        "query_id": message.query_id,
        "request_id": message.request_id,
        "client": message.client.to_path(),
        "service": message.service.to_path(),
        "stamp": found.stamp,
        "message_bytes": message.message.len(),
        "bodies": message.attachments.iter().map(attachment_json).collect::<Vec<_>>(),
    })
}

/// All that the log holds of a message and its time-stamp.
pub(super) fn whole(found: &Found, stamp: Option<&Stamp>) -> String {
    let message = &found.message;
    let mut lines = vec![
        (
            "message",
            format!(
                "{} {}, recorded {}",
                kind(message),
                direction(message),
                message.time.to_rfc3339_millis()
            ),
        ),
        ("query", message.query_id.clone()),
        ("exchange", message.request_id.clone()),
        ("consumer", message.client.to_string()),
        ("service", message.service.to_string()),
    ];
    lines.extend(head(message));
    lines.extend(message.attachments.iter().map(|body| ("body", attachment(body))));
    lines.extend(signature(message));
    lines.extend(time_stamp(found, stamp));
    let mut text = format!("record {}", found.number);
    let mut before = "";
    for (name, value) in lines {
        let shown = if name == before { "" } else { name };
        text.push_str(&format!("\n  {shown:<11}{}", plain(&value)));
        before = name;
    }
    text
}

/// A REST block line by line; of a SOAP envelope how large it is.
fn head(message: &Message) -> Vec<(&'static str, String)> {
    if message.message.starts_with(b"<") {
        return vec![("envelope", size(message.message.len() as u64))];
    }
    let text = from_latin1(&message.message);
    text.trim_end().lines().map(|line| ("head", line.to_owned())).collect()
}

fn attachment(body: &Attachment) -> String {
    match body {
        Attachment::Inline(bytes) => format!("{}, in the record", size(bytes.len() as u64)),
        Attachment::File { len, name, .. } => format!("{}, in the file bodies/{name}", size(*len)),
        Attachment::Omitted { digest, len } => {
            format!("{}, not kept; its SHA-512 is {}", size(*len), hex(digest))
        }
    }
}

fn attachment_json(body: &Attachment) -> Value {
    match body {
        Attachment::Inline(bytes) => json!({ "kept": "record", "bytes": bytes.len() }),
        Attachment::File { digest, len, name } => {
            json!({ "kept": "file", "bytes": len, "sha512": hex(digest), "file": name.to_string() })
        }
        Attachment::Omitted { digest, len } => json!({ "kept": "no", "bytes": len, "sha512": hex(digest) }),
    }
}

fn signature(message: &Message) -> Vec<(&'static str, String)> {
    let name = "signature";
    let outline = Outline::of(&message.proof.signature);
    let how = match &message.proof.hash_chain {
        Some(_) => ", through a hash chain",
        None => "",
    };
    let mut lines = vec![(
        name,
        match (&outline.algorithm, &outline.certificate) {
            (Some(algorithm), Some(_)) => format!("{algorithm}{how}"),
            _ => format!("{}, which do not read as a signature", size(message.proof.signature.len() as u64)),
        },
    )];
    if let Some(certificate) = &outline.certificate {
        lines.push((name, format!("certificate {}", certificate.serial_text())));
        lines.push((name, format!("of {}", certificate.subject_text())));
        lines.push((name, format!("by {}", certificate.issuer_text())));
    }
    lines.extend(
        outline.signing_time.iter().map(|time| (name, format!("at {time} by the signer's own clock"))),
    );
    lines
}

fn time_stamp(found: &Found, stamp: Option<&Stamp>) -> Vec<(&'static str, String)> {
    let name = "time-stamp";
    let (Some(number), Some(stamp)) = (found.stamp, stamp) else {
        return vec![(name, "none yet".to_owned())];
    };
    let others = match &stamp.result {
        Some(_) => {
            format!("over {} through a hash chain", count(stamp.covers.len() as u64, "message", "messages"))
        }
        None => "over this signature".to_owned(),
    };
    let mut lines = vec![(
        name,
        match token(&stamp.token) {
            Some((time, serial)) => format!("{time}, serial {serial}"),
            None => format!("{}, which do not read as a token", size(stamp.token.len() as u64)),
        },
    )];
    lines.push((name, format!("{others}, record {number}")));
    lines.push((name, format!("from {} at {}", stamp.url, stamp.time)));
    lines
}

/// The same for scripts.
pub(super) fn whole_json(found: &Found, stamp: Option<&Stamp>) -> Value {
    let message = &found.message;
    let mut value = row_json(found);
    let is_soap = message.message.starts_with(b"<");
    value["head"] = if is_soap { Value::Null } else { from_latin1(&message.message).into() };
    let mut signature = Outline::of(&message.proof.signature).json();
    signature["hash_chain"] = message.proof.hash_chain.is_some().into();
    signature["sha512"] = hex(&message.signature_digest()).into();
    value["signature"] = signature;
    value["time_stamp"] = stamp.map_or(Value::Null, |stamp| {
        let token = token(&stamp.token);
        json!({
            "record": found.stamp,
            "time": token.as_ref().map(|(time, _)| time.to_rfc3339()),
            "serial": token.map(|(_, serial)| serial),
            "service": stamp.url,
            "recorded_at": stamp.time.to_rfc3339_millis(),
            "covers": stamp.covers.len(),
        })
    });
    value
}
