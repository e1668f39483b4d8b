#![no_main]
//! OpenAPI documents in JSON and YAML: what is read has each endpoint once, and a base URL that stays at its host.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::message::description::openapi::OpenApi;
use std::collections::HashSet;

fuzz_target!(|data: &[u8]| {
    if let Ok(document) = OpenApi::read(data) {
        let mut seen = HashSet::new();
        for endpoint in &document.endpoints {
            assert!(seen.insert((endpoint.method, endpoint.path.to_string())));
        }
        if let Ok(url) = document.base_url(Some("http://is.test:8080/docs/api.yaml")) {
            let is_own = document.server.trim().contains(':') || document.server.trim().starts_with("//");
            assert!(is_own || url.starts_with("http://is.test:8080/"), "{url}");
            assert!(is_own || !url.split('/').any(|segment| segment == ".."), "{url}");
        }
    }
});
