#![no_main]
//! Signature documents; a time-stamp that is put in is found, and nothing else has changed.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::signature::{Outline, outline, signature_value, with_timestamp};

fuzz_target!(|data: &[u8]| {
    let Ok(before) = outline(data) else { return };
    assert_eq!(signature_value(data).as_ref(), Ok(&before.signature_value));
    if let Ok(stamped) = with_timestamp(data, b"token") {
        let mut timestamps = before.timestamps.clone();
        timestamps.insert(0, b"token".to_vec());
        assert_eq!(outline(&stamped), Ok(Outline { timestamps, ..before }));
    }
});
