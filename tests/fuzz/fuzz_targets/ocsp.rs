#![no_main]
//! OCSP responses and requests; what a request asks is echoed as it came. Whatever holds was said in the vectors.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::trust::{Certificate, ocsp};
use std::sync::LazyLock;
#[path = "../instance.rs"]
mod instance;

/// A certificate that is asked about, and its issuer.
static ASKED: LazyLock<[Certificate; 2]> = LazyLock::new(|| {
    let (_, body) = instance::parted(include_bytes!("../../vectors/ocsp/good.vector"));
    ["CERTIFICATE", "ISSUER"].map(|label| Certificate::from_der(&instance::piece(body, label)).unwrap())
});

fuzz_target!(|data: &[u8]| {
    if let Ok(response) = ocsp::Response::from_der(data) {
        assert_eq!(response.der(), data);
        let ([of, issuer], conf) = (&*ASKED, &*instance::CONF);
        let held = ocsp::verify(&response, of, issuer, &conf.all_cas(), &conf.ocsp_policy(), instance::at());
        assert!(held.is_err() || response.this_update() == instance::at(), "a statement that nobody made");
    }
    if let Ok(request) = ocsp::parse_request(data) {
        assert!(!request.questions.is_empty());
        assert!(request.questions.iter().all(|q| data.windows(q.cert_id.len()).any(|w| w == q.cert_id)));
    }
});
