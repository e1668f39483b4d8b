//! Requests written and read, against X-Road's own shapes.

use super::{Ask, ManagementError, Package, Request, Signature};
use crate::crypto::{DigestAlgorithm, Scheme, SignatureAlgorithm};
use crate::id::{ClientId, MemberId, ServerId};
use proptest::prelude::{any, prop_assert_eq, proptest};

fn owner() -> MemberId {
    MemberId::new("ZZ-LAB", "GOV", "M1")
}

fn provider() -> ClientId {
    owner().subsystem("MGMT")
}

fn shop() -> ClientId {
    MemberId::new("ZZ-LAB", "COM", "77").subsystem("SHOP")
}

fn request(ask: Ask) -> Request {
    Request { server: ServerId { owner: owner(), code: "SS1".to_owned() }, ask }
}

fn asks() -> Vec<Ask> {
    let der = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.der().to_vec();
    let register = |address: Option<&str>, is_trial| Ask::RegisterCertificate {
        address: address.map(str::to_owned),
        certificate: der.clone(),
        is_trial,
    };
    vec![
        register(Some("ss1.lab.example"), false),
        register(None, true),
        Ask::DeleteCertificate { certificate: der.clone() },
        Ask::RegisterClient { client: shop(), name: Some("Web <shop> & more".to_owned()) },
        Ask::RegisterClient { client: shop().member.client(), name: None },
        Ask::DeleteClient(shop()),
        Ask::DisableClient(shop()),
        Ask::EnableClient(shop()),
        Ask::RenameClient { client: shop(), name: "Pood".to_owned() },
        Ask::ChangeOwner(shop().member),
        Ask::ChangeAddress("192.0.2.7".to_owned()),
        Ask::BeginMaintenance { message: Some("new roof".to_owned()) },
        Ask::BeginMaintenance { message: None },
        Ask::EndMaintenance,
    ]
}

#[test]
fn every_request_is_read_as_it_was_written() {
    for ask in asks() {
        let request = request(ask);
        let document = request.document(&provider(), "id-1");
        let (envelope, read) = Request::read(&document).unwrap();
        assert_eq!(read, request);
        assert_eq!((envelope.client, envelope.id.as_str()), (owner().client(), "id-1"));
        assert_eq!(envelope.service.code, request.ask.service_code());
    }
}

/// Seen: X-Road takes the first child of the body, and its schema's names are all in one namespace.
#[test]
fn the_document_is_the_one_that_x_road_writes() {
    let asked = Ask::RegisterClient { client: shop(), name: Some("Web shop".to_owned()) };
    let document = String::from_utf8(request(asked).document(&provider(), "2f0e7a52")).unwrap();
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope \
        xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:id=\"http://x-road.eu/xsd/identifiers\" \
        xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\"><SOAP-ENV:Header><xroad:client id:objectType=\"MEMBER\">\
        <id:xRoadInstance>ZZ-LAB</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode>\
        </xroad:client><xroad:service id:objectType=\"SERVICE\"><id:xRoadInstance>ZZ-LAB</id:xRoadInstance>\
        <id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode><id:subsystemCode>MGMT</id:subsystemCode>\
        <id:serviceCode>clientReg</id:serviceCode></xroad:service><xroad:id>2f0e7a52</xroad:id>\
        <xroad:protocolVersion>4.0</xroad:protocolVersion></SOAP-ENV:Header><SOAP-ENV:Body><xroad:clientReg>\
        <xroad:server id:objectType=\"SERVER\"><id:xRoadInstance>ZZ-LAB</id:xRoadInstance>\
        <id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode><id:serverCode>SS1</id:serverCode>\
        </xroad:server><xroad:client id:objectType=\"SUBSYSTEM\"><id:xRoadInstance>ZZ-LAB</id:xRoadInstance>\
        <id:memberClass>COM</id:memberClass><id:memberCode>77</id:memberCode><id:subsystemCode>SHOP</id:subsystemCode>\
        </xroad:client><xroad:subsystemName>Web shop</xroad:subsystemName></xroad:clientReg></SOAP-ENV:Body>\
        </SOAP-ENV:Envelope>";
    assert_eq!(document, expected);
}

#[test]
fn an_answer_answers_its_request_and_tells_the_number() {
    for ask in asks() {
        let request = request(ask);
        let asked = Request::read(&request.document(&provider(), "id-1")).unwrap().0;
        let answer = request.answer(&provider(), "id-1", 42);
        let answer = crate::message::soap::Envelope::read(answer, None).unwrap();
        assert_eq!(answer.client, asked.client);
        assert_eq!(answer.body, format!("{}Response", request.ask.service_code()));
        assert_eq!(answer.body_field("requestId").unwrap().as_deref(), Some("42"));
    }
}

#[test]
fn who_must_vouch_is_the_member_whom_it_is_about() {
    let signers: Vec<_> =
        asks().into_iter().map(|ask| request(ask).signer().map(ToString::to_string)).collect();
    let (owner, other) = (Some(owner().to_string()), Some(shop().member.to_string()));
    let expected = [
        owner.clone(),
        owner.clone(),
        None,
        other.clone(),
        other.clone(),
        None,
        other.clone(),
        other.clone(),
        other.clone(),
        other,
        owner.clone(),
        owner.clone(),
        owner.clone(),
        owner,
    ];
    assert_eq!(signers, expected);
}

#[test]
fn a_body_that_is_not_its_services_is_refused() {
    let document = |ask| String::from_utf8(request(ask).document(&provider(), "i")).unwrap();
    let change = |ask, from: &str, to: &str| {
        let text = document(ask);
        assert!(text.contains(from), "{text}");
        Request::read(text.replace(from, to).as_bytes()).unwrap_err()
    };
    let rename = || Ask::RenameClient { client: shop(), name: "Pood".to_owned() };
    let cases = [
        change(rename(), ">Pood<", "> <"),
        change(rename(), "<xroad:subsystemName>Pood</xroad:subsystemName>", ""),
        change(rename(), "id:objectType=\"SUBSYSTEM\"", "id:objectType=\"MEMBER\""),
        change(Ask::EndMaintenance, "</xroad:server>", "</xroad:server><xroad:more/>"),
        change(Ask::ChangeAddress("a".to_owned()), "xroad:address", "xroad:adress"),
        change(
            Ask::ChangeOwner(shop().member),
            "77</id:memberCode>",
            "77</id:memberCode><id:subsystemCode>S</id:subsystemCode>",
        ),
        change(Ask::EndMaintenance, "maintenanceModeDisable", "listMethods"),
        change(Ask::DeleteCertificate { certificate: vec![1] }, "AQ==", "A?=="),
    ];
    for error in cases {
        let is_told = !matches!(error, ManagementError::Mime(_) | ManagementError::Parts { .. });
        assert!(is_told, "{error:?}");
    }
}

fn signature(value: &[u8], certificate: &[u8], scheme: Scheme, digest: DigestAlgorithm) -> Signature {
    Signature {
        algorithm: SignatureAlgorithm { scheme, digest },
        value: value.to_vec(),
        certificate: certificate.to_vec(),
    }
}

#[test]
fn parts_are_told_by_their_place_and_named_as_in_java() {
    let by_auth = signature(b"\r\n--x", b"AUTH", Scheme::RsaPkcs1, DigestAlgorithm::Sha512);
    let by_member = signature(b"\0\n", b"SIGN", Scheme::Ecdsa, DigestAlgorithm::Sha512);
    let whole = Package {
        document: b"<a/>".to_vec(),
        by_authentication: Some(by_auth),
        by_member: Some(by_member),
        status: Some(b"OCSP".to_vec()),
    };
    let (content_type, body) = whole.to_body("bound");
    assert_eq!(
        content_type,
        "multipart/related; type=\"application/octet-stream\"; charset=UTF-8; boundary=bound"
    );
    let expected = "--bound\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n<a/>\r\n\
        --bound\r\nContent-Type: application/octet-stream\r\nsignature-algorithm-id: SHA512withRSA\r\n\r\n\r\n--x\r\n\
        --bound\r\nContent-Type: application/octet-stream\r\nsignature-algorithm-id: SHA512withECDSA\r\n\r\n\0\n\r\n\
        --bound\r\nContent-Type: application/octet-stream\r\n\r\nAUTH\r\n\
        --bound\r\nContent-Type: application/octet-stream\r\n\r\nSIGN\r\n\
        --bound\r\nContent-Type: application/octet-stream\r\n\r\nOCSP\r\n--bound--\r\n";
    assert_eq!(String::from_utf8(body.clone()).unwrap(), expected);
    assert_eq!(Package::from_body(&content_type, &body), Ok(whole.clone()));

    let four = Package { by_authentication: None, ..whole.clone() };
    let (content_type, body) = four.to_body("bound");
    assert_eq!(Package::from_body(&content_type, &body), Ok(four));
    let alone = Package { by_authentication: None, by_member: None, status: None, ..whole };
    let (content_type, body) = alone.to_body("bound");
    assert_eq!((content_type.as_str(), body.as_slice()), ("text/xml; charset=UTF-8", b"<a/>".as_slice()));
    assert_eq!(Package::from_body(&content_type, &body), Ok(alone));
}

#[test]
fn packages_that_are_none_are_refused() {
    let part = |header: &str| format!("--b\r\nContent-Type: a/b\r\n{header}\r\nx\r\n");
    let named = "signature-algorithm-id: SHA512withRSA\r\n";
    let of = |parts: &[&str]| parts.iter().map(|header| part(header)).collect::<String>() + "--b--\r\n";
    let read = |body: &str| Package::from_body("multipart/related; boundary=b", body.as_bytes());
    read(&of(&["", named, "", ""])).unwrap();
    for parts in [vec![""], vec!["", named, ""], vec!["", named, "", "", ""], vec![""; 7]] {
        assert!(matches!(read(&of(&parts)), Err(ManagementError::Parts { .. })), "{parts:?}");
    }
    for name in ["", "signature-algorithm-id: SHA1withRSA\r\n", "signature-algorithm-id: RSA\r\n"] {
        assert!(matches!(read(&of(&["", name, "", ""])), Err(ManagementError::Algorithm { .. })), "{name}");
    }
    assert!(matches!(read("--b\r\n\r\nx"), Err(ManagementError::Mime(_))));
    for kind in ["", "application/json", "multipart/related", "multipart/mixed; boundary=b"] {
        assert!(matches!(Package::from_body(kind, b""), Err(ManagementError::ContentType { .. })), "{kind}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = Request::read(&bytes);
        let _ = Package::from_body("multipart/related; boundary=b", &bytes);
    }

    #[test]
    fn names_survive_whatever_they_are(name in "[^\\p{C}\\r\\n\\t ]{1,40}") {
        let asked = request(Ask::RenameClient { client: shop(), name });
        prop_assert_eq!(Request::read(&asked.document(&provider(), "i")).unwrap().1, asked);
    }
}
