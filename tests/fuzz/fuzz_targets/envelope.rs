#![no_main]
//! SOAP messages: content type, line end, document. What is read is kept as it came; the hash of the request goes into an
//! answer once, and changes nothing else that is read.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::message::soap::{Document, Envelope, check_action};

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let content_type = String::from_utf8_lossy(&data[..at]);
    let _ = check_action(Some(&content_type));
    let bytes = data.get(at + 1..).unwrap_or_default();
    let Ok(Document::Envelope(envelope)) = Document::read(bytes.to_vec(), Some(&content_type)) else {
        return;
    };
    assert_eq!(envelope.bytes(), bytes);
    assert!(envelope.body.starts_with(&envelope.service.code));
    assert_eq!(Envelope::read(bytes.to_vec(), Some(&content_type)).as_ref(), Ok(&*envelope));
    let answer = Envelope::clone(&envelope).with_request_hash(&envelope).unwrap();
    assert_eq!(answer.answers(&envelope), Ok(()));
    let (hash, server) = (envelope.hash(), (&envelope.security_server, &envelope.body));
    assert_eq!(
        (answer.request_hash.as_ref(), (&answer.security_server, &answer.body)),
        (Some(&hash), server)
    );
    let again = answer.clone().with_request_hash(&envelope).unwrap();
    assert_eq!(again, answer, "once is enough");
});
