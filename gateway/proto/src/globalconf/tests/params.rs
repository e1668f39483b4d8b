//! Anchors, shared and private parameters, options: written, read, refused.

use super::{Options, PrivateParams, SharedParams, anchor, member, private, shared};
use crate::globalconf::anchor::{Anchor, file_name, fingerprint};
use crate::globalconf::{Content, ParamsError};
use crate::time::UnixTime;
use crate::xml::XmlError;
use std::time::Duration;

/// What is left of the model when it is written in an older version.
fn as_of(version: u8) -> SharedParams {
    let mut expected = shared();
    expected.version = version;
    let length = if version == 2 { 20 } else { 32 };
    for server in &mut expected.servers {
        server.auth_cert_hashes.retain(|h| h.len() == length);
        if version < 5 && server.maintenance.take().is_some() {
            server.clients.retain(|c| c.subsystem.is_none());
        }
    }
    for subsystem in expected.members.iter_mut().flat_map(|m| &mut m.subsystems) {
        subsystem.name = subsystem.name.take().filter(|_| version >= 5);
    }
    if version == 2 {
        expected.sources.clear();
    }
    for ca in &mut expected.cas {
        ca.csr_format = ca.csr_format.filter(|_| version >= 6);
        for responder in &mut ca.top.ocsp {
            responder.cost = responder.cost.filter(|_| version >= 6);
        }
        ca.acme = ca.acme.take().filter(|_| version >= 3);
        if let Some(acme) = ca.acme.as_mut().filter(|_| version == 3) {
            (acme.authentication_profile, acme.signing_profile) = (None, None);
        }
    }
    for tsa in &mut expected.tsas {
        tsa.cost = tsa.cost.filter(|_| version >= 6);
    }
    expected
}

#[test]
fn shared_parameters_survive_in_every_version() {
    for version in 2..=6 {
        let bytes = shared().to_xml(version).unwrap();
        assert_eq!(SharedParams::from_xml(&bytes, version).unwrap(), as_of(version), "version {version}");
    }
    for version in [0, 1, 7] {
        assert!(matches!(shared().to_xml(version), Err(ParamsError::Version { .. })));
        assert!(matches!(SharedParams::from_xml(b"", version), Err(ParamsError::Version { .. })));
    }
}

#[test]
fn only_the_root_and_identifiers_are_qualified() {
    let text = String::from_utf8(shared().to_xml(6).unwrap()).unwrap();
    let tags: Vec<_> = text.split('<').skip(1).filter(|t| !t.starts_with(['?', '/'])).collect();
    assert!(tags[0].starts_with("ns3:conf "), "{}", tags[0]);
    let identifiers = ["ns2:xRoadInstance", "ns2:memberClass", "ns2:memberCode", "ns2:subsystemCode"];
    for tag in &tags[1..] {
        let name = tag.split([' ', '>', '/']).next().unwrap();
        assert!(!name.contains(':') || identifiers.contains(&name), "{tag}");
    }
}

fn edited(from: &str, to: &str) -> Result<SharedParams, ParamsError> {
    let text = String::from_utf8(shared().to_xml(6).unwrap()).unwrap();
    assert!(text.contains(from), "{from}");
    SharedParams::from_xml(text.replacen(from, to, 1).as_bytes(), 6)
}

#[test]
fn what_the_schema_does_not_say_is_refused() {
    for (from, to) in [
        ("<instanceIdentifier>ZZ</instanceIdentifier>", ""),
        ("<serverCode>SS1</serverCode>", "<serverCode>SS1</serverCode><serverCode>SS1</serverCode>"),
        ("<address>ss1.example</address>", "<adress>ss1.example</adress>"),
        ("<globalSettings>", "<globalSettings>stray text"),
        ("<instanceIdentifier>ZZ", "<instanceIdentifier><b/>ZZ"),
        ("xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\"", "xmlns:ns3=\"http://x-road.eu/xsd/other.xsd\""),
        ("<ns2:memberClass>GOV</ns2:memberClass>", "<memberClass>GOV</memberClass>"),
        ("<serverCode>SS1</serverCode>", "<ns3:serverCode>SS1</ns3:serverCode>"),
    ] {
        let refused = matches!(edited(from, to), Err(ParamsError::Xml(XmlError::Unexpected { .. })));
        assert!(refused, "{from} -> {to}");
    }
    for (from, to) in [
        (">1800<", ">-1<"),
        (">true<", ">yes<"),
        (">DER<", ">der<"),
        (">FREE<", ">NONE<"),
        ("<internalVerificationCert>AQID", "<internalVerificationCert>AQI"),
    ] {
        assert!(matches!(edited(from, to), Err(ParamsError::Value { .. })), "{from} -> {to}");
    }
}

#[test]
fn who_is_called_what_it_is_not_is_in_no_group() {
    for called in ["ns2:objectType=\"SUBSYSTEM\"", "objectType=\"MEMBER\"", "ns2:objectType=\"member\""] {
        let read = edited("ns2:objectType=\"MEMBER\"", called).unwrap();
        assert_eq!(read.groups[0].members, [member("M9").subsystem("GONE")], "{called}");
    }
    let text = String::from_utf8(private().to_xml()).unwrap().replace("SUBSYSTEM", "MEMBER");
    assert!(matches!(PrivateParams::from_xml(text.as_bytes(), 6), Err(ParamsError::Value { .. })));
}

#[test]
fn references_must_lead_somewhere() {
    assert!(matches!(
        edited("<owner>id0</owner>", "<owner>id9</owner>"),
        Err(ParamsError::Reference { element: "owner", expected: "member or subsystem", .. })
    ));
    assert!(matches!(
        edited("<owner>id0</owner>", "<owner>id1</owner>"),
        Err(ParamsError::Reference { element: "owner", expected: "member", .. })
    ));
    assert!(matches!(
        edited("<client>id3</client>", "<client>idx</client>"),
        Err(ParamsError::Reference { element: "client", .. })
    ));
    assert!(matches!(
        edited("<member id=\"id0\">", "<member>"),
        Err(ParamsError::Reference { element: "owner", .. })
    ));
    assert!(matches!(edited("id=\"id2\"", "id=\"id0\""), Err(ParamsError::Twice { what: "id", .. })));
}

#[test]
fn nobody_is_written_who_could_not_be_read() {
    let mut params = shared();
    params.servers[0].clients.push(member("M7").client());
    assert!(matches!(params.to_xml(6), Err(ParamsError::Reference { element: "client", .. })));
    let mut params = shared();
    params.members.remove(1);
    assert!(params.to_xml(6).is_err());
    let mut params = shared();
    params.sources.clear();
    assert!(params.to_xml(3).is_err());
    assert!(params.to_xml(2).is_ok());
    let mut params = shared();
    params.members.push(params.members[0].clone());
    assert!(matches!(params.to_xml(6), Err(ParamsError::Twice { .. })));
    let mut params = shared();
    params.members[0].id.instance = "YY".to_owned();
    assert!(matches!(params.to_xml(6), Err(ParamsError::Value { .. })));
}

#[test]
fn more_may_follow_from_version_3() {
    let with = |version| {
        let text = String::from_utf8(shared().to_xml(version).unwrap()).unwrap();
        let text = text.replace("</ns3:conf>", "<ns3:later><x/></ns3:later></ns3:conf>");
        SharedParams::from_xml(text.as_bytes(), version)
    };
    assert!(with(3).is_ok() && with(6).is_ok());
    assert!(with(2).is_err());
    let text = String::from_utf8(private().to_xml()).unwrap();
    let text = text.replace("</ns3:conf>", "<later xmlns=\"urn:x\"/></ns3:conf>");
    assert!(PrivateParams::from_xml(text.as_bytes(), 3).is_ok());
    assert!(PrivateParams::from_xml(text.as_bytes(), 2).is_err());
}

#[test]
fn a_certificate_given_as_pem_is_its_der() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let der = shared().tsas[0].certificate.clone();
    let body: Vec<_> =
        STANDARD.encode(&der).as_bytes().chunks(64).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\n", body.join("\r\n"));
    let mut params = shared();
    params.tsas[0].certificate = pem.clone().into_bytes();
    let read = SharedParams::from_xml(&params.to_xml(6).unwrap(), 6).unwrap();
    assert_eq!(read.tsas[0].certificate, der);
    params.tsas[0].certificate = pem.replace("CERTIFICATE", "NOTHING").into_bytes();
    assert!(params.to_xml(6).is_err());
}

#[test]
fn private_parameters_and_anchors_survive() {
    let bytes = private().to_xml();
    for version in 2..=6 {
        assert_eq!(PrivateParams::from_xml(&bytes, version).unwrap(), private());
    }
    assert_eq!(Anchor::from_xml(&anchor().to_xml()).unwrap(), anchor());
    let bare = Anchor { generated_at: None, ..anchor() };
    assert_eq!(Anchor::from_xml(&bare.to_xml()).unwrap(), bare);
}

#[test]
fn documents_look_as_the_central_server_writes_them() {
    let params = PrivateParams { anchors: Vec::new(), ..private() };
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>
<ns3:conf xmlns:ns2=\"http://x-road.eu/xsd/identifiers\" xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\">
    <instanceIdentifier>ZZ</instanceIdentifier>
    <managementService>
        <authCertRegServiceAddress>https://cs.example:4001/managementservice/</authCertRegServiceAddress>
        <authCertRegServiceCert>CQgH</authCertRegServiceCert>
        <managementRequestServiceProviderId ns2:objectType=\"SUBSYSTEM\">
            <ns2:xRoadInstance>ZZ</ns2:xRoadInstance>
            <ns2:memberClass>GOV</ns2:memberClass>
            <ns2:memberCode>M1</ns2:memberCode>
            <ns2:subsystemCode>MGMT</ns2:subsystemCode>
        </managementRequestServiceProviderId>
    </managementService>
    <timeStampingIntervalSeconds>77</timeStampingIntervalSeconds>
</ns3:conf>
";
    assert_eq!(String::from_utf8(params.to_xml()).unwrap(), expected);
}

#[test]
fn an_anchor_must_say_where_and_whom() {
    let text = String::from_utf8(anchor().to_xml()).unwrap();
    for (from, to) in [
        ("http://cs.yy.example/externalconf", "file:///etc/passwd"),
        ("<verificationCert>", "<verificationcert>"),
        ("<instanceIdentifier>YY</instanceIdentifier>", ""),
        ("ns3:configurationAnchor", "ns3:conf"),
        ("2026-01-02T03:04:05", "yesterday"),
    ] {
        assert!(Anchor::from_xml(text.replace(from, to).as_bytes()).is_err(), "{from}");
    }
    let (head, _) = text.split_once("<source>").unwrap();
    assert!(Anchor::from_xml(format!("{head}</ns3:configurationAnchor>").as_bytes()).is_err());
    assert!(Anchor::from_xml(&vec![b' '; 1024 * 1024 + 1]).is_err());
    let zoneless = text.replace("03:04:05.678Z", "03:04:05");
    let read = Anchor::from_xml(zoneless.as_bytes()).unwrap();
    assert_eq!(read.generated_at, UnixTime::from_rfc3339("2026-01-02T03:04:05Z"));
}

#[test]
fn a_fingerprint_is_sha_224_of_the_file() {
    // FIPS 180-4, example for SHA-224.
    assert_eq!(
        fingerprint(b"abc"),
        "23:09:7D:22:34:05:D8:22:86:42:A4:77:BD:A2:55:B3:2A:AD:BC:E4:BD:A0:B3:F7:E3:6C:9D:A7"
    );
    let when = UnixTime::from_rfc3339("2026-01-02T03:04:05Z").unwrap();
    assert_eq!(file_name("ZZ", true, when), "configuration_anchor_ZZ_internal_UTC_2026-01-02_03_04_05.xml");
}

#[test]
fn options_survive_and_have_defaults() {
    let options = Options {
        monitoring_client: Some(member("M1").subsystem("MON")),
        ocsp_fetch_interval: Duration::from_secs(900),
        check_next_update: false,
        continuity: None,
    };
    let mut read = Options::default();
    for (content, bytes) in options.to_parts() {
        read.apply("AA", &content, &bytes).unwrap();
    }
    assert_eq!(read, options);
    assert!(Options::default().to_parts().is_empty());
    assert_eq!(read.apply("AA", &Content::Other("FOO".to_owned()), b"no XML"), Ok(()));
    assert_eq!(read, options);
}

#[test]
fn an_interval_is_never_below_a_minute() {
    for (told, expected) in [("59", 60), ("-5", 60), ("61", 61), (" 900 ", 900)] {
        let text = format!(
            "<x:conf xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\"><ocspFetchInterval>{told}</ocspFetchInterval></x:conf>"
        );
        let mut options = Options::default();
        options.apply("AA", &Content::Other("FETCHINTERVAL".to_owned()), text.as_bytes()).unwrap();
        assert_eq!(options.ocsp_fetch_interval, Duration::from_secs(expected));
    }
}
