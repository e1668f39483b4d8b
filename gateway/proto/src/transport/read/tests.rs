//! Multiparts in every slicing, right and wrong.

use super::*;
use crate::fault::Origin;
use crate::transport::testing::{self, Http};
use crate::transport::write::{self, Writer};
use proptest::prelude::*;

/// An event without borrowed bytes: pieces of one body are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whole {
    Kept(Event<'static>),
    Body(Vec<u8>),
    Attachment(Option<String>, Vec<(String, String)>, Vec<u8>),
    End,
}

/// Reads a message cut into slices of the given sizes, over and over.
fn read(content_type: &str, expect: Expect, bytes: &[u8], sizes: &[usize]) -> Result<Vec<Whole>, ReadError> {
    let mut reader = Reader::new(content_type, expect)?;
    let (mut found, mut rest, mut sizes) = (Vec::new(), bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (mut slice, after) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        while let Some(event) = reader.next(&mut slice)? {
            match (event, found.last_mut()) {
                (Event::BodyStart, _) => found.push(Whole::Body(Vec::new())),
                (Event::Body(piece), Some(Whole::Body(body))) => body.extend_from_slice(piece),
                (Event::AttachmentStart { content_type, headers }, _) => {
                    found.push(Whole::Attachment(content_type, headers, Vec::new()));
                }
                (Event::Attachment(piece), Some(Whole::Attachment(_, _, body))) => {
                    assert!(!piece.is_empty());
                    body.extend_from_slice(piece);
                }
                (Event::BodyEnd, Some(Whole::Body(_)))
                | (Event::AttachmentEnd, Some(Whole::Attachment(..))) => {}
                (Event::End, _) => found.push(Whole::End),
                (Event::Ocsp(b), _) => found.push(Whole::Kept(Event::Ocsp(b))),
                (Event::RestRequest(b), _) => found.push(Whole::Kept(Event::RestRequest(b))),
                (Event::RestResponse(b), _) => found.push(Whole::Kept(Event::RestResponse(b))),
                (Event::HashChainResult(b), _) => found.push(Whole::Kept(Event::HashChainResult(b))),
                (Event::HashChain(b), _) => found.push(Whole::Kept(Event::HashChain(b))),
                (Event::Signature(b), _) => found.push(Whole::Kept(Event::Signature(b))),
                (Event::Fault(f), _) => found.push(Whole::Kept(Event::Fault(f))),
                (Event::Soap { content_type, headers, envelope }, _) => {
                    found.push(Whole::Kept(Event::Soap { content_type, headers, envelope }));
                }
                (event, before) => panic!("{event:?} after {before:?}"),
            }
        }
        assert!(slice.is_empty());
        rest = after;
    }
    reader.finish()?;
    Ok(found)
}

/// Writes what was read; the nested boundary and faults are taken from the message as it was.
fn write_again(events: &[Whole], boundary: &str, nested: &str, fault: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(boundary).unwrap();
    let (mut out, mut open) = (Vec::new(), false);
    for event in events {
        out.extend(match event {
            Whole::Body(body) => writer.whole(Part::RestBody, body),
            Whole::Attachment(content_type, headers, body) => {
                let mut bytes = Vec::new();
                if !std::mem::replace(&mut open, true) {
                    bytes.extend(writer.open_attachments(nested).unwrap());
                }
                bytes.extend(writer.attachment(content_type.as_deref(), headers).unwrap());
                bytes.extend_from_slice(body);
                bytes
            }
            Whole::Kept(Event::Ocsp(b)) => writer.whole(Part::Ocsp, b),
            Whole::Kept(Event::RestRequest(b)) => writer.whole(Part::RestRequest, b),
            Whole::Kept(Event::RestResponse(b)) => writer.whole(Part::RestResponse, b),
            Whole::Kept(Event::HashChainResult(b)) => writer.whole(Part::HashChainResult, b),
            Whole::Kept(Event::HashChain(b)) => writer.whole(Part::HashChain, b),
            Whole::Kept(Event::Signature(b)) => writer.whole(Part::Signature, b),
            Whole::Kept(Event::Fault(_)) => writer.whole(Part::Fault, fault),
            Whole::Kept(Event::Soap { content_type, headers, envelope }) => {
                [writer.envelope(content_type, headers).unwrap(), envelope.clone()].concat()
            }
            Whole::Kept(event) => panic!("{event:?}"),
            Whole::End => Vec::new(),
        });
    }
    out.extend(writer.close());
    out
}

fn boundary(content_type: &str) -> String {
    ContentType::parse(content_type).unwrap().parameter("boundary").unwrap().to_owned()
}

fn nested_boundary(message: &Http) -> String {
    let text = String::from_utf8_lossy(&message.body).into_owned();
    let letters = |t: &str| t.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    text.split("boundary=xatt").nth(1).map_or("xattUnused".to_owned(), |t| format!("xatt{}", letters(t)))
}

const fn expectation(request: bool, rest: bool) -> Expect {
    match (request, rest) {
        (true, true) => Expect::RestRequest,
        (true, false) => Expect::SoapRequest,
        (false, true) => Expect::RestResponse,
        (false, false) => Expect::SoapResponse,
    }
}

/// Seen: X-Road 7.8.0 on the wire, three flavours of keys, REST and SOAP.
#[test]
fn every_recorded_message_is_read_and_written_again() {
    let (mut multiparts, mut faults, mut truncated) = (0, 0, 0);
    let mut rest_of = std::collections::HashMap::new();
    for (path, request) in testing::wire_files() {
        let Some(bytes) = testing::bytes(&path) else { continue };
        for (index, message) in testing::http(&bytes).iter().enumerate() {
            let place = format!("{} message {index}", path.display());
            let key = (path.to_string_lossy().replace("-response", "-request"), index);
            if request {
                rest_of.insert(key.clone(), testing::header(message, "x-road-message-type") == Some("REST"));
            }
            let content_type = testing::header(message, "content-type").expect(&place);
            if is_plain_fault(content_type) {
                plain_fault(&message.body).expect(&place);
                faults += 1;
                continue;
            }
            let expect = expectation(request, rest_of.get(&key).copied().unwrap_or(true));
            let events = match read(content_type, expect, &message.body, &[usize::MAX]) {
                Ok(events) => events,
                Err(error) => {
                    // The consumer left in the middle of an answer without length.
                    assert!(!message.whole, "{place}: {error}");
                    assert_eq!(
                        code(&error, Origin::ClientProxy),
                        "server.clientproxy.service_failed.io_error"
                    );
                    truncated += 1;
                    continue;
                }
            };
            let small: &[usize] = if message.body.len() < 100_000 { &[1] } else { &[1000] };
            for sizes in [small, &[4096], &[700, 1, 1000]] {
                assert_eq!(read(content_type, expect, &message.body, sizes).as_ref(), Ok(&events), "{place}");
            }
            let fault = testing::part(message, Part::Fault.content_type()).unwrap_or_default();
            let again = write_again(&events, &boundary(content_type), &nested_boundary(message), &fault);
            assert!(again == message.body, "{place} is written otherwise");
            let writer = Writer::new(&boundary(content_type)).unwrap();
            assert_eq!(writer.content_type(), content_type, "{place}");
            multiparts += 1;
        }
    }
    println!("{multiparts} multiparts, {faults} faults, {truncated} truncated");
    testing::at_least(multiparts, 314);
    testing::at_least(faults, 24);
}

fn code(error: &ReadError, origin: Origin) -> String {
    error.code().text(origin)
}

/// Requests that were sent to a real server's port. What the reader refuses, it refuses with that server's code.
#[test]
fn altered_requests_are_judged_as_the_incumbent_does() {
    let service_failed = |leaf: &str| format!("server.serverproxy.service_failed.{leaf}");
    let server = |leaf: &str| format!("server.serverproxy.{leaf}");
    let refused = [
        ("err-message-type-lower", server("missing_soap")),
        ("err-no-message-type", server("missing_soap")),
        ("err-soap-as-rest", server("internal_error")),
        ("err-content-type", service_failed("invalid_content_type")),
        ("err-no-boundary", service_failed("invalid_content_type")),
        ("err-ocsp-last", service_failed("invalid_message")),
        ("err-no-signature", server("missing_signature")),
        ("err-no-message", service_failed("invalid_content_type")),
        ("err-extra-part", service_failed("invalid_message")),
        ("err-unknown-part-first", service_failed("invalid_content_type")),
        ("err-fault-instead-of-message", server("internal_error")),
        // Ours: truncation is always seen.
        ("err-empty-body", service_failed("io_error")),
        ("replay-no-final-boundary", service_failed("io_error")),
    ];
    let mut seen = 0;
    for folder in testing::folders().iter().filter(|f| f.ends_with("wire-negative")) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(case) = name.strip_suffix("-request.bin") else { continue };
            let Some(message) = testing::bytes(&path).and_then(|b| testing::http(&b).into_iter().next())
            else {
                continue;
            };
            let Some(content_type) = testing::header(&message, "content-type") else { continue };
            let rest = testing::header(&message, "x-road-message-type") == Some("REST");
            let expect = expectation(true, rest);
            let outcome = read(content_type, expect, &message.body, &[333]);
            match (refused.iter().find(|(n, _)| *n == case), outcome) {
                (Some((_, expected)), Err(error)) => {
                    assert_eq!(code(&error, Origin::ServerProxy), *expected, "{}", path.display());
                    seen += 1;
                }
                (None, Ok(_)) => seen += 1,
                (expected, outcome) => panic!("{}: {outcome:?}, not {expected:?}", path.display()),
            }
        }
    }
    testing::at_least(seen, 50);
}

/// Answers that were altered on their way to a real server.
#[test]
fn altered_answers_are_judged_as_the_incumbent_does() {
    let refused = [
        ("text-plain", "service_failed.invalid_content_type"),
        ("fault-bad-ct", "service_failed.invalid_content_type"),
        ("no-signature", "missing_signature"),
        ("no-message", "service_failed.invalid_content_type"),
        ("extra-part", "service_failed.invalid_message"),
        ("no-final-boundary", "service_failed.io_error"),
        ("cut-in-signature", "service_failed.io_error"),
        ("cut-after-headers", "service_failed.io_error"),
        ("cut-before-last-boundary", "service_failed.io_error"),
        ("reset", "service_failed.io_error"),
    ];
    let mut seen = 0;
    for folder in testing::folders().iter().filter(|f| f.ends_with("response-negative")) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(case) = name.strip_suffix("-sent.bin") else { continue };
            let Some(message) = testing::bytes(&path).and_then(|b| testing::http(&b).into_iter().next())
            else {
                continue;
            };
            let Some(content_type) = testing::header(&message, "content-type") else { continue };
            if is_plain_fault(content_type) {
                plain_fault(&message.body).expect(case);
                seen += 1;
                continue;
            }
            let expect = expectation(false, !case.contains("soap") || case.starts_with("rest"));
            match (
                refused.iter().find(|(n, _)| *n == case),
                read(content_type, expect, &message.body, &[100]),
            ) {
                (Some((_, expected)), Err(error)) => {
                    assert_eq!(
                        code(&error, Origin::ClientProxy),
                        format!("server.clientproxy.{expected}"),
                        "{case}"
                    );
                    seen += 1;
                }
                (None, Ok(_)) => seen += 1,
                (expected, outcome) => panic!("{}: {outcome:?}, not {expected:?}", path.display()),
            }
        }
    }
    testing::at_least(seen, 35);
}

/// Seen: X-Road's `ProxyMessageDecoderTest`; its messages have LF line ends.
#[test]
fn the_incumbents_own_messages_are_judged_as_it_does() {
    let Some(root) = testing::vectors() else { return };
    for (file, expected) in [
        ("normal.request", "ok"),
        ("normal.response", "ok"),
        ("attachment.request", "ok"),
        ("ocsp.request", "ok"),
        ("normal-soapfault.request", "ok"),
        ("fault-signature.request", "ok"),
        ("extracontent.request", "service_failed.invalid_message"),
        // Its OCSP response is garbage, which is for others to find.
        ("invalid-ocsp.request", "ok"),
        ("invalid-soap-contenttype.request", "service_failed.invalid_content_type"),
        ("invalid-contenttype-signature.request", "service_failed.invalid_content_type"),
    ] {
        let bytes = std::fs::read(root.join("xroad/proxy-messages").join(file)).unwrap();
        let first = bytes.split(|b| *b == b'\n').next().unwrap();
        let boundary = std::str::from_utf8(first).unwrap().trim_end().strip_prefix("--").unwrap();
        let content_type = format!("multipart/mixed; boundary={boundary}");
        let outcome = read(&content_type, Expect::SoapResponse, &bytes, &[50]);
        match &outcome {
            Ok(events) => {
                assert_eq!(expected, "ok", "{file}");
                let attachments = events.iter().filter(|e| matches!(e, Whole::Attachment(..))).count();
                assert_eq!(attachments, usize::from(file == "attachment.request"), "{file}");
                let fault = events.iter().any(|e| matches!(e, Whole::Kept(Event::Fault(_))));
                assert_eq!(fault, file.contains("fault"), "{file}");
            }
            Err(error) => {
                assert_eq!(
                    code(error, Origin::ServerProxy),
                    format!("server.serverproxy.{expected}"),
                    "{file}"
                );
            }
        }
    }
}

#[test]
fn recorded_ocsp_answers_are_read() {
    let mut seen = 0;
    for folder in testing::folders() {
        for number in 1..20 {
            let path = folder.join(format!("ocsp5577-{number}-response.bin"));
            let Some(message) = testing::bytes(&path).and_then(|b| testing::http(&b).into_iter().next())
            else {
                continue;
            };
            let Some(content_type) = testing::header(&message, "content-type") else { continue };
            let place = path.display().to_string();
            let responses = ocsp_answer(content_type, &message.body).expect(&place);
            assert!(responses.iter().all(|r| r.first() == Some(&0x30)), "{}", path.display());
            let slices: Vec<&[u8]> = responses.iter().map(Vec::as_slice).collect();
            let again = write::ocsp_answer(&boundary(content_type), &slices).unwrap();
            assert_eq!(again, (content_type.to_owned(), message.body.clone()), "{}", path.display());
            let cut = message.body.get(..message.body.len() - 5).unwrap();
            assert!(ocsp_answer(content_type, cut).is_err());
            seen += 1;
        }
    }
    testing::at_least(seen, 2);
}

// ------------ Messages of our own -------------------------------------------

const TYPE: &str = "multipart/mixed; charset=UTF-8; boundary=xtopB";

fn message(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (content_type, body)) in parts.iter().enumerate() {
        let line_end = if index == 0 { "" } else { "\r\n" };
        out.extend(format!("{line_end}--xtopB\r\ncontent-type: {content_type}\r\n\r\n").into_bytes());
        out.extend_from_slice(body);
    }
    out.extend(b"\r\n--xtopB--\r\n");
    out
}

const OCSP: (&str, &[u8]) = ("application/ocsp-response", b"ocsp");
const BLOCK: (&str, &[u8]) = ("application/x-road-rest-request", b"GET\r\n/\r\n");
const ANSWER: (&str, &[u8]) = ("application/x-road-rest-response", b"200\r\nOK\r\n");
const BODY: (&str, &[u8]) = ("application/x-road-rest-body", b"{}");
const RESULT: (&str, &[u8]) = ("application/hash-chain-result", b"<r/>");
const CHAIN: (&str, &[u8]) = ("application/hash-chain", b"<c/>");
const SIGNATURE: (&str, &[u8]) = ("Signature/BDOC-1.0/TS; x=y", b"<s/>");
const SOAP: (&str, &[u8]) = ("text/xml; charset=UTF-8", b"<e/>");

fn fault() -> SoapFault {
    SoapFault::new("server.serverproxy.x", "no", Some("1".into()))
}

#[test]
fn parts_come_in_order() {
    let events =
        read(TYPE, Expect::RestRequest, &message(&[OCSP, OCSP, BLOCK, BODY, RESULT, CHAIN, SIGNATURE]), &[5]);
    assert_eq!(
        events,
        Ok(vec![
            Whole::Kept(Event::Ocsp(b"ocsp".to_vec())),
            Whole::Kept(Event::Ocsp(b"ocsp".to_vec())),
            Whole::Kept(Event::RestRequest(BLOCK.1.to_vec())),
            Whole::Body(b"{}".to_vec()),
            Whole::Kept(Event::HashChainResult(b"<r/>".to_vec())),
            Whole::Kept(Event::HashChain(b"<c/>".to_vec())),
            Whole::Kept(Event::Signature(b"<s/>".to_vec())),
            Whole::End,
        ])
    );
    let empty = read(
        TYPE,
        Expect::RestResponse,
        &message(&[ANSWER, ("application/x-road-rest-body", b""), SIGNATURE]),
        &[1],
    );
    assert!(empty.unwrap().contains(&Whole::Body(Vec::new())), "an empty body exists");
}

#[test]
fn parts_out_of_order_have_the_incumbents_code() {
    let fault = fault().to_xml();
    let fault = ("text/xml", fault.as_bytes());
    for (parts, expect, expected) in [
        (vec![], Expect::RestRequest, "internal_error"),
        (vec![], Expect::RestResponse, "missing_rest"),
        (vec![], Expect::SoapRequest, "missing_soap"),
        (vec![OCSP], Expect::RestRequest, "internal_error"),
        (vec![OCSP, BLOCK], Expect::RestRequest, "missing_signature"),
        (vec![OCSP, BLOCK, BODY, RESULT, CHAIN], Expect::RestRequest, "missing_signature"),
        (vec![OCSP, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BLOCK, OCSP, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BLOCK, BLOCK, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BLOCK, BODY, BODY, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BODY, BLOCK, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BLOCK, CHAIN, RESULT, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (
            vec![BLOCK, RESULT, CHAIN, CHAIN, SIGNATURE],
            Expect::RestRequest,
            "service_failed.invalid_content_type",
        ),
        (vec![BLOCK, RESULT, RESULT, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (vec![BLOCK, RESULT, BODY, SIGNATURE], Expect::RestRequest, "service_failed.invalid_content_type"),
        (
            vec![BLOCK, ("multipart/mixed; boundary=a", b"\r\n--a--"), SIGNATURE],
            Expect::RestRequest,
            "service_failed.invalid_content_type",
        ),
        (vec![BLOCK, SIGNATURE, SIGNATURE], Expect::RestRequest, "service_failed.invalid_message"),
        (vec![BLOCK, SIGNATURE, ("text/plain", b"x")], Expect::RestRequest, "service_failed.invalid_message"),
        (vec![BLOCK, ("text/xml", b"<s/>")], Expect::RestRequest, "service_failed.invalid_soap"),
        (vec![BLOCK, fault], Expect::RestRequest, "missing_signature"),
        (vec![fault], Expect::RestRequest, "internal_error"),
        (vec![fault], Expect::SoapRequest, "missing_soap"),
        (vec![SOAP, SIGNATURE], Expect::RestRequest, "internal_error"),
        (vec![SOAP, SIGNATURE], Expect::RestResponse, "missing_rest"),
        (vec![BLOCK, SIGNATURE], Expect::SoapRequest, "missing_soap"),
        (vec![ANSWER, SIGNATURE], Expect::SoapResponse, "missing_soap"),
        (vec![ANSWER, SIGNATURE], Expect::RestRequest, "service_failed.internal_error"),
        (vec![BLOCK, SIGNATURE], Expect::RestResponse, "service_failed.internal_error"),
        (vec![SOAP, SOAP, SIGNATURE], Expect::SoapRequest, "service_failed.invalid_soap"),
        (vec![ANSWER, fault, SIGNATURE], Expect::RestResponse, "service_failed.invalid_message"),
        (vec![fault, fault], Expect::RestResponse, "service_failed.invalid_message"),
        (vec![fault, SIGNATURE, SIGNATURE], Expect::RestResponse, "service_failed.invalid_message"),
    ] {
        let error = read(TYPE, expect, &message(&parts), &[9]).expect_err(&format!("{parts:?}"));
        assert_eq!(code(&error, Origin::ServerProxy), format!("server.serverproxy.{expected}"), "{parts:?}");
    }
}

#[test]
fn a_fault_may_take_any_place_of_an_answer() {
    let text = fault().to_xml();
    let part = ("TEXT/XML; charset=UTF-8", text.as_bytes());
    for (parts, expect) in [
        (vec![part], Expect::RestResponse),
        (vec![part], Expect::SoapResponse),
        (vec![ANSWER, part], Expect::RestResponse),
        (vec![ANSWER, BODY, part], Expect::RestResponse),
        (vec![ANSWER, BODY, RESULT, part], Expect::RestResponse),
        (vec![SOAP, part], Expect::SoapResponse),
    ] {
        let events = read(TYPE, expect, &message(&parts), &[3]).unwrap();
        assert!(events.ends_with(&[Whole::Kept(Event::Fault(fault())), Whole::End]), "{parts:?}");
    }
    assert!(is_plain_fault("text/xml;charset=utf-8") && !is_plain_fault("text/xmlx"));
    assert_eq!(plain_fault(text.as_bytes()), Ok(fault()));
    for no in [&b"<e/>"[..], b"", b"<!DOCTYPE a><a/>"] {
        let error = plain_fault(no).unwrap_err();
        assert_eq!(code(&error, Origin::ClientProxy), "server.clientproxy.service_failed.invalid_soap");
    }
}

#[test]
fn content_types_of_messages_are_judged_as_the_incumbent_does() {
    let refused = |content_type: &str| {
        code(&Reader::new(content_type, Expect::RestRequest).expect_err(content_type), Origin::ServerProxy)
    };
    for content_type in [
        "text/plain",
        "multipart",
        "oih",
        "multipart/related; boundary=x",
        "multipart/mixed",
        "multipart/mixed; x=y",
    ] {
        assert_eq!(
            refused(content_type),
            "server.serverproxy.service_failed.invalid_content_type",
            "{content_type}"
        );
    }
    for content_type in ["", "multipart/mixed; boundary=", "multipart/mixed; boundary=\"x"] {
        assert_eq!(refused(content_type), "server.serverproxy.internal_error", "{content_type}");
    }
    for boundary in ["é", "a\tb", "a\u{0}", "\"a \"", &"a".repeat(71)] {
        assert!(Reader::new(&format!("multipart/mixed; boundary={boundary}"), Expect::RestRequest).is_err());
    }
    for content_type in
        ["Multipart/Mixed;BOUNDARY=\"xtopB\"; a=b", "multipart/mixed ;charset=x;; boundary=xtopB"]
    {
        assert!(read(content_type, Expect::RestRequest, &message(&[BLOCK, SIGNATURE]), &[99]).is_ok());
    }
}

/// Seen: X-Road's `ServerProxyProcessingError`.
#[test]
fn a_soap_request_that_is_no_multipart_is_no_message() {
    let error = read(TYPE, Expect::SoapRequest, b"<Envelope/>", &[4]).unwrap_err();
    assert_eq!(code(&error, Origin::ServerProxy), "server.serverproxy.missing_soap");
    let error = read(TYPE, Expect::SoapRequest, &message(&[OCSP, SOAP])[..90], &[4]).unwrap_err();
    assert_eq!(code(&error, Origin::ServerProxy), "server.serverproxy.service_failed.io_error");
}

#[test]
fn every_truncation_is_refused() {
    let whole = message(&[OCSP, BLOCK, BODY, RESULT, CHAIN, SIGNATURE]);
    for len in 0..whole.len() - 2 {
        let error = read(TYPE, Expect::RestRequest, &whole[..len], &[64]).expect_err(&len.to_string());
        assert_eq!(code(&error, Origin::ServerProxy), "server.serverproxy.service_failed.io_error", "{len}");
    }
    // The line end behind the closing boundary is no part of the message.
    assert!(read(TYPE, Expect::RestRequest, &whole[..whole.len() - 2], &[64]).is_ok());
}

#[test]
fn bounds_hold_and_an_error_stays() {
    let large = vec![b'a'; limits::BLOCK_BYTES_MAX + 1];
    let bytes = message(&[("application/x-road-rest-request", &large), SIGNATURE]);
    let mut reader = Reader::new(TYPE, Expect::RestRequest).unwrap();
    let mut input = &bytes[..];
    let error = reader.next(&mut input).expect_err("too large");
    assert_eq!(error, ReadError::TooLarge { what: "REST block", allowed: limits::BLOCK_BYTES_MAX });
    assert_eq!(reader.next(&mut &b"x"[..]), Err(error.clone()));
    assert_eq!(reader.finish(), Err(error));

    let many = vec![OCSP; limits::OCSP_PARTS_MAX + 1];
    assert!(matches!(
        read(TYPE, Expect::RestRequest, &message(&many), &[999]),
        Err(ReadError::TooMany { what: "OCSP responses", .. })
    ));
    let large = vec![b'a'; limits::FAULT_BYTES_MAX + 1];
    assert!(read(TYPE, Expect::RestResponse, &message(&[("text/xml", &large)]), &[999]).is_err());
    assert!(read(TYPE, Expect::SoapResponse, &message(&[("text/xml", &large), SIGNATURE]), &[999]).is_ok());
}

fn attachments() -> (Vec<Whole>, Vec<u8>) {
    let header = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let events = vec![
        Whole::Kept(Event::Soap {
            content_type: "application/xop+xml; type=\"text/xml\"".into(),
            headers: vec![header("Content-ID", "<root>")],
            envelope: b"\xef\xbb\xbf<e/>".to_vec(),
        }),
        Whole::Attachment(
            Some("text/plain".into()),
            vec![header("Content-ID", "<a>"), header("x", "")],
            b"a\r\n".to_vec(),
        ),
        Whole::Attachment(None, vec![], b"".to_vec()),
        Whole::Attachment(
            Some("a/b".into()),
            vec![],
            b"\r\n--xattB\r\n--xatt\r\n--xtop\r\n--xtopBB\r\n--xtopB-\r\n".to_vec(),
        ),
        Whole::Kept(Event::Signature(b"<s/>".to_vec())),
        Whole::End,
    ];
    let bytes = write_again(&events, "xtopB", "xattA", b"");
    (events, bytes)
}

#[test]
fn attachments_are_nested() {
    let (events, bytes) = attachments();
    for size in 1..40 {
        assert_eq!(read(TYPE, Expect::SoapRequest, &bytes, &[size]).as_ref(), Ok(&events), "{size}");
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The empty preamble and the empty line behind the nested part may be missing.
    let bare = text
        .replace("boundary=xattA\r\n\r\n\r\n", "boundary=xattA\r\n\r\n")
        .replace("--xattA--\r\n", "--xattA--");
    assert_ne!(bare, text);
    let lf = text.replace("\r\n", "\n");
    assert!(read(TYPE, Expect::SoapRequest, lf.as_bytes(), &[11]).is_ok());
    for (what, broken) in [
        ("nested multipart does not end", text.replace("--xattA--", "")),
        ("nested boundary is the outer one", text.replace("xattA", "xtopB")),
        ("nested multipart without a boundary", text.replace("; boundary=xattA", "")),
        ("text on the closing line", text.replace("--xattA--", "--xattA--x")),
        ("outer boundary inside", text.replace("--xattB", "--xtopB")),
    ] {
        assert!(read(TYPE, Expect::SoapRequest, broken.as_bytes(), &[64]).is_err(), "{what}");
    }
    // The outer boundary may begin as the inner one does.
    let prefix = text.replace("xtopB", "xattAX");
    let content_type = TYPE.replace("xtopB", "xattAX");
    assert!(read(&content_type, Expect::SoapRequest, prefix.as_bytes(), &[5]).is_ok());
}

/// Message-path §2.7: the sizes at which buffers of 4 and 8 KiB end.
#[test]
fn part_borders_at_buffer_ends_are_right() {
    for size in (4090..=4100).chain(8185..=8200) {
        for tail in [&b""[..], b"\r", b"\n", b"\r\n", b"\r\n--xtop", b"\r\n--xtopB-", b"--xtopB--"] {
            let mut body = vec![b'x'; size - tail.len()];
            body.extend_from_slice(tail);
            let bytes = message(&[ANSWER, ("application/x-road-rest-body", &body), SIGNATURE]);
            for slice in [4096, 8192, usize::MAX] {
                let events = read(TYPE, Expect::RestResponse, &bytes, &[slice]).unwrap();
                assert_eq!(events.get(1), Some(&Whole::Body(body.clone())), "{size} {slice} {tail:?}");
            }
        }
    }
}

#[test]
fn bodies_are_not_kept() {
    let mut reader = Reader::new(TYPE, Expect::RestResponse).unwrap();
    let start = message(&[ANSWER, ("application/x-road-rest-body", b"")]);
    let mut input = start.strip_suffix(b"\r\n--xtopB--\r\n").unwrap();
    while reader.next(&mut input).unwrap().is_some() {}
    let piece = b"\r\n--xtop\n\n\r\r--xtopB\r\n--".repeat(2000);
    let (mut handed, mut given) = (0, 0);
    for _ in 0..100 {
        let mut input = &piece[..];
        given += piece.len();
        while let Some(event) = reader.next(&mut input).unwrap() {
            let Event::Body(bytes) = event else { panic!("{event:?}") };
            handed += bytes.len();
        }
        assert!(given - handed <= limits::BOUNDARY_BYTES_MAX, "{given} {handed}");
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&str; 11] =
        ["\r\n", "\n", "\r", "--xtopB", "--xattA", "--", "-", " ", "x", "\r\n--xtop", "\r\n--xattAA"];
    let word = (0..WORDS.len()).prop_map(|at| WORDS[at].as_bytes());
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// Whether a body has a line that is a boundary: then no sender may use that boundary.
fn has_boundary_line(body: &[u8], boundaries: &[&str]) -> bool {
    let body = [b"\n", body, b"\n"].concat();
    body.split(|b| *b == b'\n').any(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        boundaries.iter().any(|boundary| {
            let rest = line.strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary.as_bytes()));
            rest.is_some_and(|r| r.starts_with(b"--") || r.iter().all(|b| matches!(b, b' ' | b'\r')))
        })
    })
}

proptest! {
    #[test]
    fn slicing_changes_nothing(
        bodies in proptest::collection::vec(body(), 1..4),
        sizes in proptest::collection::vec(1usize..50, 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut events = vec![Whole::Kept(Event::Soap {
            content_type: "text/xml".into(), headers: vec![], envelope: b"<e/>".to_vec(),
        })];
        events.extend(bodies.iter().map(|b| Whole::Attachment(None, vec![], b.clone())));
        events.extend([Whole::Kept(Event::Signature(b"<s/>".to_vec())), Whole::End]);
        let bytes = write_again(&events, "xtopB", "xattA", b"");
        let at_once = read(TYPE, Expect::SoapRequest, &bytes, &[usize::MAX]);
        prop_assert_eq!(&read(TYPE, Expect::SoapRequest, &bytes, &sizes), &at_once);
        prop_assert_eq!(&read(TYPE, Expect::SoapRequest, &bytes, &[1]), &at_once);
        if !bodies.iter().any(|b| has_boundary_line(b, &["xtopB", "xattA"])) {
            prop_assert_eq!(at_once, Ok(events));
        }
        let part = &bytes[..cut.index(bytes.len() - 2)];
        prop_assert!(read(TYPE, Expect::SoapRequest, part, &sizes).is_err());
    }

    #[test]
    fn rest_messages_survive_the_wire(body in body(), sizes in proptest::collection::vec(1usize..20, 1..4)) {
        if !has_boundary_line(&body, &["xtopB"]) {
            let bytes = message(&[ANSWER, ("application/x-road-rest-body", &body), SIGNATURE]);
            let events = read(TYPE, Expect::RestResponse, &bytes, &sizes).unwrap();
            prop_assert_eq!(events.get(1), Some(&Whole::Body(body)));
        }
    }

    #[test]
    fn no_bytes_break_the_reader(
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
        drop in 0usize..40,
        sizes in proptest::collection::vec(1usize..30, 1..4),
    ) {
        let (_, mut bytes) = attachments();
        let at = at.index(bytes.len());
        let end = (at + drop).min(bytes.len());
        bytes.splice(at..end, noise);
        for expect in [Expect::SoapRequest, Expect::RestResponse] {
            let outcome = read(TYPE, expect, &bytes, &sizes);
            prop_assert_eq!(&read(TYPE, expect, &bytes, &[1]), &outcome);
        }
    }
}
