#![no_main]
//! REST blocks of either direction; what is read is kept as it came.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::message::rest::{Headers, Request, Response, request_hash};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = Request::from_block(data.to_vec()) {
        assert_eq!(request.block(), data);
        assert!(request.url("http://service.example/base/").bytes().all(|b| b.is_ascii_graphic()));
        let clients =
            request.service_headers().filter(|(n, _)| n.eq_ignore_ascii_case("x-road-client")).count();
        assert_eq!(clients, 1, "a service is told one client");
        let hash = request_hash(data, None);
        if let Ok(answer) = Response::from_service(200, "OK", &request.headers, Headers::default(), (&request, &hash)) {
            // A service may name the service again; then the answer may be another's.
            let said = request.headers.last("x-road-service").is_some();
            assert!(said || answer.answers(&request, &hash).is_ok());
        }
    }
    if let Ok(response) = Response::from_block(data.to_vec()) {
        assert_eq!(response.block(), data);
        assert!((200..1000).contains(&response.status));
        let _ = response.client_headers().count();
    }
});
