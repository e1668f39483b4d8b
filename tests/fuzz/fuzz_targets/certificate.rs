#![no_main]
//! Certificates, names and keys: read once, kept as they came, and asked everything that is asked of them.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::crypto::{PublicKey, SignatureAlgorithm};
use saatkond_proto::id::MemberId;
use saatkond_proto::trust::path::{is_authentication, is_signing, of_peer, to_issuer};
use saatkond_proto::trust::profile::Profile;
use saatkond_proto::trust::{Certificate, Name};
use std::sync::Arc;

const PROFILES: [Profile; 8] = [
    Profile::Basic,
    Profile::BasicAcme,
    Profile::Ejbca,
    Profile::FiVrk,
    Profile::Fo,
    Profile::Is,
    Profile::SkKlass3,
    Profile::SkEsteId,
];

fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        let _ = certificate.verify_signed_by(&certificate);
        let _ = (is_authentication(&certificate), is_signing(&certificate));
        let _ = (certificate.serial_decimal(), certificate.issuer_rfc2253(), certificate.ocsp_urls().len());
        let expected = MemberId::new("DEV", "GOV", "M1");
        for profile in PROFILES {
            if let Ok(member) = profile.member_of(&certificate, &expected) {
                assert!(!member.class.is_empty() && !member.code.is_empty());
            }
        }
        let (at, certificate) = (certificate.not_before(), Arc::new(certificate));
        assert!(to_issuer(&certificate, &[Arc::clone(&certificate)], &[], at).is_err());
        assert!(of_peer(&[Arc::clone(&certificate), certificate], &[], at).is_err());
    }
    if let Ok(name) = Name::from_der(data) {
        assert!(name.is_same(&name));
        let _ = name.rfc2253();
    }
    let _ = (PublicKey::from_spki(data), SignatureAlgorithm::from_identifier(data));
});
