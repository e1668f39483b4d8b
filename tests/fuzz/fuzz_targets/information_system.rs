#![no_main]
//! A request of an information system: method, target, then header lines. What is made of it a peer reads back.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::message::rest::{Headers, Request, error_body, error_status};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (method, target) = (text(), text());
    let headers = Headers::from_latin1(lines.map(|line| {
        let at = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        (&line[..at], line.get(at + 1..).unwrap_or_default())
    }));
    match Request::from_information_system(&method, &target, &headers, "request-id", "fallback-id") {
        Ok(request) => {
            let block = request.block().to_vec();
            assert_eq!(Request::from_block(block).as_ref(), Ok(&request), "a peer reads what is signed");
            assert_eq!(request.request_id, "request-id");
        }
        Err(error) => {
            let code = error.code().text(saatkond_proto::fault::Origin::ClientProxy);
            let _ = error_body(headers.all("accept"), &code, &error.to_string(), Some("detail"));
            let _ = error_status(&code);
        }
    }
});
