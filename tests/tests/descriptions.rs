//! Descriptions that a real X-Road 7.8.0 server was given, held against what it made of them.
//!
//! The recordings lie outside the repository; without them this test says that it skips.

use saatkond_proto::message::description::openapi::OpenApi;
use saatkond_proto::message::description::wsdl::Wsdl;
use saatkond_tests::recorded::{self, Http};
use serde_json::{Value, json};
use std::path::Path;

/// What was answered in a recorded file.
fn answer(folder: &Path, file: &str) -> Vec<u8> {
    let path = folder.join("xroad-recorded").join(file);
    Http::all(&recorded::bytes(&path).unwrap()).pop().unwrap().body
}

#[test]
fn endpoints_are_those_that_a_real_server_lists() {
    let Some(folder) = recorded::folder() else { return };
    for flavour in ["rsa", "ec"] {
        let document = answer(&folder, &format!("{flavour}/meta-rest-getopenapi/provider-1-response.bin"));
        let read = OpenApi::read(&document).unwrap();
        let endpoint = |e: &saatkond_proto::message::endpoint::Endpoint| json!({"method": e.method.unwrap().name(), "path": e.path.to_string()});
        let found: Vec<Value> = read.endpoints.iter().map(endpoint).collect();
        let listed = answer(&folder, "rsa/meta-rest-listmethods/client-response.bin");
        let listed: Value = serde_json::from_slice(&listed).unwrap();
        let services = listed["service"].as_array().unwrap();
        let api = services.iter().find(|s| s["service_code"] == "api").unwrap();
        assert_eq!(json!(found), api["endpoint_list"]);
        assert_eq!(read.base_url(None).as_deref(), Ok("http://example.org/land"));
    }
}

#[test]
fn a_wsdl_names_the_service_that_a_real_server_served() {
    let Some(folder) = recorded::folder() else { return };
    for flavour in ["rsa", "ec"] {
        let document = answer(&folder, &format!("{flavour}/meta-soap-getwsdl/provider-1-response.bin"));
        let read = Wsdl::read(&document).unwrap();
        let [only] = read.operations.as_slice() else { panic!("{read:?}") };
        assert_eq!((only.code.as_str(), only.version.as_deref()), ("getLand", Some("v1")));
        assert_eq!(only.location.as_deref(), Some("http://example.org/soap"));
        assert!(read.warnings.is_empty());
    }
}
