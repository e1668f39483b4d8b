#![no_main]
//! SOAP faults; what is read and written is read alike.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::fault::SoapFault;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(fault)) = SoapFault::from_xml(data) {
        let written = fault.to_xml();
        let again = SoapFault::from_xml(written.as_bytes());
        assert!(matches!(&again, Ok(Some(read)) if read.to_xml() == written), "{again:?}");
    }
});
