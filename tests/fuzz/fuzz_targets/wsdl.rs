#![no_main]
//! WSDL documents: what is read names services, each once.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::message::description::is_code;
use saatkond_proto::message::description::wsdl::Wsdl;
use std::collections::HashSet;

fuzz_target!(|data: &[u8]| {
    if let Ok(wsdl) = Wsdl::read(data) {
        assert!(!wsdl.operations.is_empty());
        let mut seen = HashSet::new();
        for operation in &wsdl.operations {
            assert!(is_code(&operation.code) && operation.version.as_deref().is_none_or(is_code));
            assert!(seen.insert((&operation.code, &operation.version)));
        }
    }
});
