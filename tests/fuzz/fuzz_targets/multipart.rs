#![no_main]
//! A transport message. However it is cut, it tells the same parts or the same error; the first byte chooses the size.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::transport::read::{
    Event, Expect, ReadError, Reader, is_plain_fault, ocsp_answer, plain_fault,
};

/// What a message tells: streamed pieces joined, everything else as it is printed.
#[derive(Debug, PartialEq)]
enum Told {
    Event(String),
    Streamed(Vec<u8>),
}

const EXPECTS: [Expect; 4] =
    [Expect::RestRequest, Expect::SoapRequest, Expect::RestResponse, Expect::SoapResponse];

fn read(
    content_type: &str,
    expect: Expect,
    bytes: &[u8],
    size: usize,
) -> Result<Vec<Told>, (Vec<Told>, ReadError)> {
    let mut told = Vec::new();
    let mut reader = Reader::new(content_type, expect).map_err(|e| (Vec::new(), e))?;
    for mut input in bytes.chunks(size.max(1)) {
        loop {
            match reader.next(&mut input) {
                Ok(Some(Event::Body(piece) | Event::Attachment(piece))) => match told.last_mut() {
                    Some(Told::Streamed(all)) => all.extend_from_slice(piece),
                    _ if piece.is_empty() => {}
                    _ => told.push(Told::Streamed(piece.to_vec())),
                },
                Ok(Some(event)) => told.push(Told::Event(format!("{event:?}"))),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next(&mut input), Err(error.clone()), "a broken reader stays broken");
                    return Err((told, error));
                }
            }
        }
        assert!(input.is_empty(), "a reader that wants more has taken all");
    }
    match reader.finish() {
        Ok(()) => Ok(told),
        Err(error) => Err((told, error)),
    }
}

fuzz_target!(|data: &[u8]| {
    let [size, which, rest @ ..] = data else { return };
    let (content_type, body) = match rest.iter().position(|b| *b == b'\n') {
        Some(end) if which & 4 != 0 => (String::from_utf8_lossy(&rest[..end]).into_owned(), &rest[end + 1..]),
        _ => ("multipart/mixed; boundary=b".to_owned(), rest),
    };
    let expect = EXPECTS[usize::from(which & 3)];
    let whole = read(&content_type, expect, body, body.len());
    let cut = read(&content_type, expect, body, usize::from(*size));
    assert_eq!(whole, cut);
    if which & 8 != 0 {
        let _ = ocsp_answer(&content_type, body);
        let _ = plain_fault(body);
        let _ = is_plain_fault(&content_type);
    }
});
