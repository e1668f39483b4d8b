#![no_main]
//! Anchors, shared, private and continuity parameters of every version; what is read and written is read alike.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::continuity::Policy;
use saatkond_proto::globalconf::anchor::Anchor;
use saatkond_proto::globalconf::directory::Content;
use saatkond_proto::globalconf::options::Options;
use saatkond_proto::globalconf::private::PrivateParams;
use saatkond_proto::globalconf::shared::SharedParams;

fuzz_target!(|data: &[u8]| {
    if let Ok(anchor) = Anchor::from_xml(data) {
        assert_eq!(Anchor::from_xml(&anchor.to_xml()), Ok(anchor));
    }
    for version in 2..=6 {
        if let Ok(shared) = SharedParams::from_xml(data, version)
            && let Ok(written) = shared.to_xml(version)
        {
            // An older version leaves out what it cannot say.
            let again = SharedParams::from_xml(&written, version).unwrap();
            assert_eq!(again.instance, shared.instance);
            assert_eq!(again.to_xml(version), Ok(written));
        }
        if let Ok(private) = PrivateParams::from_xml(data, version) {
            assert_eq!(PrivateParams::from_xml(&private.to_xml(), version), Ok(private));
        }
    }
    for (identifier, _) in Options::FILES {
        let mut options = Options::default();
        if options.apply("DEV", &Content::Other(identifier.to_owned()), data).is_err() {
            assert_eq!(options, Options::default());
        }
    }
    if let Ok(policy) = Policy::from_xml(data, "DEV") {
        assert_eq!(Policy::from_xml(&policy.to_xml(), "DEV"), Ok(policy));
    }
});
