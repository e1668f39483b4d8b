#![no_main]
//! Time-stamp tokens, responses and requests; a token is read back as it is kept. Whatever holds was stamped in the
//! vectors.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::trust::tsp;
#[path = "../instance.rs"]
mod instance;

fuzz_target!(|data: &[u8]| {
    for token in [tsp::Token::from_der(data), tsp::parse_response(data)].into_iter().flatten() {
        assert_eq!(tsp::Token::from_der(token.der()).as_ref(), Ok(&token));
        let (algorithm, imprint) = token.imprint();
        assert!(tsp::verify(&token, (algorithm, imprint), &[]).is_err());
        if tsp::verify(&token, (algorithm, imprint), instance::CONF.tsa_certificates()).is_ok() {
            let after = token.gen_time().since(instance::at()).as_secs();
            assert!([7, 4000].contains(&after) && token.serial() == [0x2a], "a time that nobody stamped");
        }
    }
    if let Ok(request) = tsp::parse_request(data) {
        assert_eq!(request.imprint.len(), request.algorithm.digest(&[]).len());
    }
});
