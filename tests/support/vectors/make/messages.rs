//! REST blocks and multipart messages.

use super::{BODY, Collection, ENVELOPE, REQUEST, response, told_part};
use crate::vectors::{Vector, hex};
use saatkond_proto::crypto::DigestAlgorithm;

const REST: &str = "PR-REST 4; message-path §2.9";

pub(super) fn add(made: &mut Collection) {
    requests(made);
    refused_requests(made);
    responses(made);
    multiparts(made);
    refused_multiparts(made);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn request(what: &str, block: &str) -> Vector {
    let hash = DigestAlgorithm::Sha512.digest(block.as_bytes());
    Vector::new("rest-request", what, REST)
        .accepted()
        .told("method", block.split("\r\n").next().unwrap())
        .told("client", "DEV/GOV/M1/S")
        .told("service", "DEV/GOV/M2/S/land")
        .as_is(block.as_bytes())
        .with("hash", &hex(&hash))
}

/// Finishes an accepted request: what is told comes in a fixed order.
fn finish(vector: &Vector, path: &str, url: &str, id: &str, more: &[(&str, &str)]) -> Vector {
    let mut out = Vector::new("rest-request", vector.required("what"), REST).accepted();
    for name in ["method", "client", "service"] {
        out = out.told(name, vector.required(&format!("told {name}")));
    }
    out = out
        .told("service path", path)
        .told("url", &format!("http://is.example/base{url}"))
        .told("id", id)
        .told("request id", "1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a")
        .told("hash", vector.required("hash"));
    for (name, value) in more {
        out = out.told(name, value);
    }
    out.as_is(&vector.body)
}

fn requests(made: &mut Collection) {
    let block = text(REQUEST);
    let plain = request("A request with a query and a body; the body is no part of the block", &block);
    made.add("post", finish(&plain, "/parcel", "/parcel?x=1", "the-id", &[]));

    let get = block.replace("POST", "GET").replace("/parcel?x=1", "");
    let get = request("A request of the service's root: no path and no slash after the service", &get);
    made.add("no-path", finish(&get, "", "", "the-id", &[]));

    let slash = block.replace("/parcel?x=1", "/?");
    let slash = request("An empty query is kept as a question mark", &slash);
    made.add("empty-query", finish(&slash, "/", "/?", "the-id", &[]));

    let raw = block.replace("x=1", "nimi=Jõgeva");
    let raw = request("Letters outside ASCII in the query are percent-encoded for the service", &raw);
    made.add("raw-query", finish(&raw, "/parcel", "/parcel?nimi=J%C3%B5geva", "the-id", &[]));

    let encoded = block.replace("X-Road-Client:DEV/GOV/M1/S", "X-Road-Client:DEV/GOV/a%2Fb/s%20%C3%B5");
    let encoded = request("Identifiers are percent-encoded segment by segment", &encoded);
    let encoded = finish(&encoded, "/parcel", "/parcel?x=1", "the-id", &[]);
    made.add("encoded-client", changed(&encoded, "told client", "DEV/GOV/a%2Fb/s%20%C3%B5"));

    let server = block.replace(
        "X-Road-Id",
        "X-Road-Security-Server:DEV/GOV/M2/SS2\r\nX-Road-Represented-Party:COM/77\r\nX-Road-Id",
    );
    let server = request("A security server and a represented party are named", &server);
    let more = [("security server", "DEV/GOV/M2/SS2"), ("represented party", "COM 77")];
    made.add("all-headers", finish(&server, "/parcel", "/parcel?x=1", "the-id", &more));

    let twice = block.replace("X-Road-Client", "X-Road-Client:DEV/GOV/M9/X\r\nX-Road-Client");
    let twice = request(
        "Of two clients the last one counts, in signature, rights and what the service is told",
        &twice,
    );
    made.add("two-clients", finish(&twice, "/parcel", "/parcel?x=1", "the-id", &[]));

    let blanks = block.replace("X-Road-Id:the-id", "X-Road-Id: the-id ");
    let blanks = request("Neither side of the colon is trimmed in a block", &blanks);
    made.add("untrimmed", finish(&blanks, "/parcel", "/parcel?x=1", " the-id ", &[]));
}

/// The same vector with another value on one line.
fn changed(vector: &Vector, name: &str, value: &str) -> Vector {
    let bytes = vector.to_bytes();
    let whole = String::from_utf8(bytes).unwrap();
    let (before, after) = whole.split_once(&format!("\n{name}: ")).unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    Vector::from_bytes(format!("{before}\n{name}: {value}\n{after}").as_bytes())
}

fn refused_requests(made: &mut Collection) {
    let block = text(REQUEST);
    let mut add = |name: &str, what: &str, block: &[u8], code: &str| {
        made.add(name, Vector::new("rest-request", what, REST).refused(code).as_is(block));
    };
    let edited = |from: &str, to: &str| {
        assert!(block.contains(from));
        block.replacen(from, to, 1).into_bytes()
    };
    let internal = "internal_error";
    add(
        "no-client",
        "No X-Road-Client",
        &edited("X-Road-Client:DEV/GOV/M1/S\r\n", ""),
        "invalid_client_identifier",
    );
    add("bad-client", "A client of two segments", &edited("DEV/GOV/M1/S", "DEV/GOV"), internal);
    add("bad-escape", "A broken escape in the client", &edited("GOV/M1/S", "GOV/M1/%zz"), internal);
    add(
        "lone-line-feed",
        "A header line that ends with LF alone",
        &edited("S\r\nX-Road-Id", "S\nX-Road-Id"),
        internal,
    );
    add("lone-carriage-return", "A CR inside a header value", &edited("the-id", "the\rid"), internal);
    add("control", "A NUL inside a header value", &edited("the-id", "the\0id"), internal);
    add("no-colon", "A header line without a colon", &edited("X-Road-Id:", "X-Road-Id "), internal);
    add("blank-name", "A header name with a blank", &edited("Content-Type:", "Content Type:"), internal);
    add(
        "connection-header",
        "A header of the connection inside the block",
        &edited("Content-Type:", "Transfer-Encoding:"),
        internal,
    );
    add("unknown-method", "A method that is none of a REST call", &edited("POST", "LINK"), internal);
    add("lower-method", "Methods have capital letters", &edited("POST", "post"), internal);
    add(
        "short-target",
        "A target that names no service",
        &edited("/r1/DEV/GOV/M2/S/land/parcel?x=1", "/r1/DEV/GOV/M2"),
        internal,
    );
    add("other-version", "Another version of the protocol", &edited("/r1/", "/r2/"), internal);
    add("fragment", "A fragment in the target", &edited("?x=1", "#x"), internal);
    add("blank-target", "A blank in the target", &edited("?x=1", "? x"), internal);
    add("no-id", "No X-Road-Id", &edited("X-Road-Id:the-id\r\n", ""), internal);
    add("empty-id", "An empty X-Road-Id", &edited("the-id", ""), internal);
    add(
        "no-request-id",
        "No x-road-request-id",
        &edited("x-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n", ""),
        internal,
    );
    add("unended", "The last line does not end", &REQUEST[..REQUEST.len() - 2], internal);
    add("empty", "No octets at all", b"", internal);
    let mut not_utf8 = REQUEST.to_vec();
    not_utf8[2] = 0xff;
    add("not-utf8", "An octet that is not UTF-8", &not_utf8, internal);
}

fn responses(made: &mut Collection) {
    let block = text(&response());
    let (_, hash) = block.split_once("x-road-request-hash:").unwrap();
    let hash = hash.trim_end().to_owned();
    let answer = |what: &str, status: &str, reason: &str, block: &str| {
        Vector::new("rest-response", what, "PR-REST 4; message-path §2.9, §2.10")
            .accepted()
            .told("status", status)
            .told("reason", reason)
            .told("id", "the-id")
            .told("request hash", &hash)
            .told("client", "DEV/GOV/M1/S")
            .told("service", "DEV/GOV/M2/S/land")
            .told("request id", "1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a")
            .as_is(block.as_bytes())
    };
    made.add(
        "answer",
        answer(
            "An answer to the request in rest-request/post with the body {\"parcel\":\"78401:101:0010\"}",
            "200",
            "OK",
            &block,
        ),
    );
    let bare = block.replace("200\r\nOK", "204\r\n");
    made.add("no-reason", answer("An empty reason phrase", "204", "", &bare));
    let late = block.replace("Content-Type:application/json", "Set-Cookie:a=1\r\nSet-Cookie:b=2");
    made.add("duplicates", answer("Duplicate headers are kept, each on its line", "200", "OK", &late));
    let mut refuse = |name: &str, what: &str, from: &str, to: &str| {
        assert!(block.contains(from));
        let vector =
            Vector::new("rest-response", what, "PR-REST 4; message-path §2.9").refused("internal_error");
        made.add(name, vector.as_is(block.replacen(from, to, 1).as_bytes()));
    };
    refuse("word-for-status", "A status that is no number", "200", "OK!");
    refuse("interim-status", "A status that ends no exchange", "200", "100");
    refuse("long-status", "A status of four digits", "200", "2000");
    refuse("no-hash", "No request hash", &format!("x-road-request-hash:{hash}\r\n"), "");
    refuse("no-id", "No x-road-id", "x-road-id:the-id\r\n", "");
    refuse("bad-service", "A service that cannot be read", "DEV/GOV/M2/S/land\r\n", "DEV/GOV\r\n");
    refuse(
        "content-length",
        "A header of the connection inside the block",
        "Content-Type:application/json",
        "Content-Length:5",
    );
}

/// Parts of a message: content type and body.
fn framed(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, (kind, body)) in parts.iter().enumerate() {
        let line_end = if number == 0 { "" } else { "\r\n" };
        out.extend(format!("{line_end}--xtop\r\ncontent-type: {kind}\r\n\r\n").into_bytes());
        out.extend_from_slice(body);
    }
    out.extend(b"\r\n--xtop--\r\n");
    out
}

const MIXED: &str = "multipart/mixed; charset=UTF-8; boundary=xtop";
const TRANSPORT: &str = "PR-MESSTRANSP; message-path §2.8, §2.14";
const SIGNATURE: (&str, &[u8]) = ("signature/bdoc-1.0/ts", b"<s/>");
const OCSP: (&str, &[u8]) = ("application/ocsp-response", b"0\x03\x0a\x01\x06");
const BLOCK: (&str, &[u8]) = ("application/x-road-rest-request", REQUEST);
const REST_BODY: (&str, &[u8]) = ("application/x-road-rest-body", BODY);
const RESULT: (&str, &[u8]) = ("application/hash-chain-result", b"<r/>");
const CHAIN: (&str, &[u8]) = ("application/hash-chain", b"<c/>");

fn message(what: &str, expect: &str, body: &[u8]) -> Vector {
    Vector::new("multipart", what, TRANSPORT)
        .with("message", expect)
        .with("content-type", MIXED)
        .accepted()
        .as_is(body)
}

fn multiparts(made: &mut Collection) {
    let whole = [OCSP, BLOCK, REST_BODY, RESULT, CHAIN, SIGNATURE];
    let tell = |vector: Vector, parts: &[(&str, &[u8])]| {
        parts.iter().fold(vector, |v, (name, bytes)| v.told(name, &told_part(bytes)))
    };
    let told: [(&str, &[u8]); 6] = [
        ("OCSP response", OCSP.1),
        ("REST request", BLOCK.1),
        ("body", REST_BODY.1),
        ("hash chain result", RESULT.1),
        ("hash chain", CHAIN.1),
        ("signature", SIGNATURE.1),
    ];
    let add = |made: &mut Collection,
               name: &str,
               what: &str,
               expect: &str,
               body: &[u8],
               parts: &[(&str, &[u8])]| {
        made.add(name, tell(message(what, expect, body), parts));
    };
    add(made, "rest-request", "A REST request with a body", "REST request", &framed(&whole), &told);
    let plain = framed(&[BLOCK, SIGNATURE]);
    let few = [("REST request", BLOCK.1), ("signature", SIGNATURE.1)];
    add(
        made,
        "rest-request-plain",
        "A REST request without body or hash chain",
        "REST request",
        &plain,
        &few,
    );
    let mut empty = whole;
    empty[2].1 = b"";
    let mut told_empty = told;
    told_empty[2].1 = b"";
    add(made, "empty-body", "A body of no octets exists", "REST request", &framed(&empty), &told_empty);
    let mut tricky = whole;
    tricky[2].1 = b"a\r\n--xto\r\n--xtop_\r\n-\r\n";
    let mut told_tricky = told;
    told_tricky[2].1 = tricky[2].1;
    add(
        made,
        "boundary-alike",
        "A body with what only looks like the boundary",
        "REST request",
        &framed(&tricky),
        &told_tricky,
    );
    let answer = response();
    let block = ("application/x-road-rest-response", answer.as_slice());
    let parts = [("REST response", block.1), ("body", BODY), ("signature", SIGNATURE.1)];
    let reply = framed(&[block, REST_BODY, SIGNATURE]);
    add(made, "rest-response", "A REST response", "REST response", &reply, &parts);
    let soap = framed(&[("text/xml; charset=UTF-8", ENVELOPE), SIGNATURE]);
    let parts = [("envelope", ENVELOPE), ("signature", SIGNATURE.1)];
    add(made, "soap-request", "A SOAP request", "SOAP request", &soap, &parts);
    let nested = b"\r\n--xatt\r\ncontent-type: text/plain\r\nContent-ID: <1>\r\n\r\none\r\n--xatt\r\n\r\ntwo\r\n--xatt--\r\n";
    let attached = framed(&[
        ("text/xml; charset=UTF-8", ENVELOPE),
        ("multipart/mixed; charset=UTF-8; boundary=xatt", nested),
        RESULT,
        CHAIN,
        SIGNATURE,
    ]);
    let parts: [(&str, &[u8]); 6] = [
        ("envelope", ENVELOPE),
        ("attachment", b"one"),
        ("attachment", b"two"),
        ("hash chain result", RESULT.1),
        ("hash chain", CHAIN.1),
        ("signature", SIGNATURE.1),
    ];
    add(made, "soap-attachments", "A SOAP request with two attachments", "SOAP request", &attached, &parts);
    let kinds = [BLOCK.0, SIGNATURE.0];
    let lines = kinds.iter().fold(text(&plain), |text, kind| {
        text.replace(&format!("\r\ncontent-type: {kind}\r\n\r\n"), &format!("\ncontent-type: {kind}\n\n"))
    });
    let preamble = [b"to be skipped\r\n", plain.as_slice(), b"and this, too"].concat();
    add(made, "preamble", "Text around the parts is skipped", "REST request", &preamble, &few);
    add(made, "bare-line-feeds", "Part heads may end with LF alone", "REST request", lines.as_bytes(), &few);
    let capitals = text(&plain)
        .replace("content-type", "Content-Type")
        .replace("application/x-road", "Application/X-Road");
    add(
        made,
        "capitals",
        "Header names and types are read in any letter case",
        "REST request",
        capitals.as_bytes(),
        &few,
    );
    let fault = framed(&[block, REST_BODY, ("text/xml; charset=UTF-8", FAULT)]);
    let vector = tell(
        message("A response that breaks off with a fault in place of the signature", "REST response", &fault),
        &[("REST response", block.1), ("body", BODY)],
    );
    made.add("fault-for-signature", vector.told("fault", "server.serverproxy.io_error it broke"));
    let quoted =
        Vector::new("multipart", "A quoted boundary with blanks", "RFC 2046 5.1.1; message-path §2.8")
            .with("message", "REST request")
            .with("content-type", "Multipart/Mixed; Boundary=\"x top\"")
            .accepted();
    let body = text(&plain).replace("--xtop", "--x top");
    made.add("quoted-boundary", tell(quoted, &few).as_is(body.as_bytes()));
}

const FAULT: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>server.serverproxy.io_error</faultcode><faultstring>it broke</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>
"#;

fn refused_multiparts(made: &mut Collection) {
    let mut add = |name: &str, what: &str, content_type: &str, expect: &str, body: &[u8], code: &str| {
        let vector = Vector::new("multipart", what, TRANSPORT)
            .with("message", expect)
            .with("content-type", content_type)
            .refused(code);
        made.add(name, vector.as_is(body));
    };
    let request = "REST request";
    let plain = framed(&[BLOCK, SIGNATURE]);
    let kind = "service_failed.invalid_content_type";
    add("no-multipart", "Another content type", "text/plain", request, &plain, kind);
    add("no-boundary", "No boundary", "multipart/mixed", request, &plain, kind);
    add("no-content-type", "No content type", "", request, &plain, "internal_error");
    add("no-signature", "No signature", MIXED, request, &framed(&[BLOCK]), "missing_signature");
    add("no-message", "No message", MIXED, request, &framed(&[SIGNATURE]), kind);
    add("nothing", "No part at all", MIXED, request, b"--xtop--\r\n", "internal_error");
    let mixed = framed(&[BLOCK, RESULT, REST_BODY, CHAIN, SIGNATURE]);
    add("wrong-order", "A body after the hash chain result", MIXED, request, &mixed, kind);
    let extra = framed(&[BLOCK, SIGNATURE, ("text/plain", b"x")]);
    add("extra-part", "A part after the signature", MIXED, request, &extra, "service_failed.invalid_message");
    let twice = framed(&[BLOCK, SIGNATURE, SIGNATURE]);
    add("two-signatures", "Two signatures", MIXED, request, &twice, "service_failed.invalid_message");
    let late = framed(&[BLOCK, OCSP, SIGNATURE]);
    add("late-ocsp", "An OCSP response after the message", MIXED, request, &late, kind);
    let untold = framed(&[("application/octet-stream", b"x"), BLOCK, SIGNATURE]);
    add("unknown-part", "A part of an unknown type", MIXED, request, &untold, kind);
    let turned = "service_failed.internal_error";
    add("wrong-direction", "A request where a response must be", MIXED, "REST response", &plain, turned);
    add(
        "soap-for-rest",
        "A SOAP envelope where a REST request must be",
        MIXED,
        request,
        &framed(&[("text/xml", ENVELOPE), SIGNATURE]),
        "internal_error",
    );
    add(
        "fault-request",
        "A request cannot be a fault",
        MIXED,
        request,
        &framed(&[("text/xml", FAULT), SIGNATURE]),
        "internal_error",
    );
    let end = "service_failed.io_error";
    add(
        "cut-closing-boundary",
        "The closing boundary is missing: X-Road takes it, a cut answer must not pass",
        MIXED,
        request,
        &plain[..plain.len() - 12],
        end,
    );
    add(
        "cut-signature",
        "The message ends inside the signature",
        MIXED,
        request,
        &plain[..plain.len() - 14],
        end,
    );
    add("cut-head", "The message ends inside a part's head", MIXED, request, &plain[..20], end);
    add("empty", "No octets at all", MIXED, request, b"", end);
    let long = [b"--xtop\r\ncontent-type: ", "a".repeat(20_000).as_bytes(), b"\r\n\r\n"].concat();
    add(
        "long-head",
        "A part's head longer than any",
        MIXED,
        request,
        &long,
        "service_failed.mime_parsing_failed",
    );
}
