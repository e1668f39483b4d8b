//! WSDL as X-Road reads it, and what bounds it.

use super::*;
use proptest::prelude::*;

/// A WSDL of two versions of an operation, at a SOAP 1.1 and a SOAP 1.2 port, and one that is bound to HTTP alone.
const LAND: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:http="http://schemas.xmlsoap.org/wsdl/http/"
    xmlns:xrd="http://x-road.eu/xsd/xroad.xsd" xmlns:old="http://x-road.ee/xsd/x-road.xsd"
    xmlns:tns="http://land.test/" targetNamespace="http://land.test/">
  <w:portType name="Land">
    <w:operation name="getTitle"><w:documentation><xrd:title> A title
      </xrd:title><xrd:notes>x</xrd:notes></w:documentation></w:operation>
    <w:operation name="getMap"/>
  </w:portType>
  <w:binding name="Soap" type="tns:Land">
    <soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <w:operation name="getTitle"><soap:operation soapAction=""/><xrd:version>v1</xrd:version><w:input/></w:operation>
    <w:operation name="getTitle"><old:version>v2</old:version></w:operation>
    <w:operation name="getMap"><xrd:version> </xrd:version></w:operation>
  </w:binding>
  <w:binding name="Soap12" type="tns:Land">
    <soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <w:operation name="getTitle"><xrd:version>v1</xrd:version></w:operation>
  </w:binding>
  <w:binding name="Web" type="tns:Land"><http:binding verb="GET"/><w:operation name="getWeb"/></w:binding>
  <w:service name="LandService">
    <w:port name="One" binding="tns:Soap"><soap:address location=" http://land.test:8080/soap?x=1 "/></w:port>
    <w:port name="Two" binding="tns:Soap12"><soap12:address location="http://land.test:8080/soap?x=1"/></w:port>
    <w:port name="Three" binding="tns:Web"><http:address location="http://land.test/web"/></w:port>
  </w:service>
</w:definitions>"#;

fn read(text: &str) -> Result<Wsdl, WsdlError> {
    Wsdl::read(text.as_bytes())
}

fn changed(from: &str, to: &str) -> Result<Wsdl, WsdlError> {
    let text = LAND.replace(from, to);
    assert_ne!(text, LAND, "{from}");
    read(&text)
}

#[test]
fn operations_bound_to_soap_over_http_are_services() {
    let location = Some("http://land.test:8080/soap?x=1".to_owned());
    let operation = |code: &str, version: Option<&str>, title: Option<&str>| Operation {
        code: code.to_owned(),
        version: version.map(str::to_owned),
        title: title.map(str::to_owned),
        location: location.clone(),
    };
    let expected = vec![
        operation("getTitle", Some("v1"), Some("A title")),
        operation("getTitle", Some("v2"), Some("A title")),
        operation("getMap", None, None),
    ];
    assert_eq!(read(LAND), Ok(Wsdl { operations: expected, warnings: Vec::new() }));
}

#[test]
fn a_wsdl_in_other_characters_is_read_alike() {
    let latin = LAND.replace("UTF-8", "ISO-8859-1").replace("A title", "\u{e4}");
    let bytes: Vec<u8> = latin.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let title = Wsdl::read(&bytes).unwrap().operations[0].title.clone();
    assert_eq!(title.as_deref(), Some("\u{e4}"));
    let wide: Vec<u8> =
        std::iter::once(0xfeff).chain(LAND.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(Wsdl::read(&wide), read(LAND));
    assert!(matches!(Wsdl::read(b"<a>\xff</a>"), Err(WsdlError::Encoding(_))));
}

#[test]
fn what_is_doubtful_is_told() {
    let warnings = |from: &str, to: &str| changed(from, to).unwrap().warnings.join("; ");
    let elsewhere = warnings(
        "<soap12:address location=\"http://land.test:8080/soap?x=1\"",
        "<soap12:address location=\"http://b/\"",
    );
    assert!(
        elsewhere.contains("\"getTitle\" is offered at http://land.test:8080/soap?x=1 and at http://b/"),
        "{elsewhere}"
    );
    let nowhere = warnings("binding=\"tns:Soap12\"", "binding=\"tns:Soap13\"");
    assert!(
        nowhere.contains("port \"Two\" has a binding \"tns:Soap13\" that is not in the document"),
        "{nowhere}"
    );
    let unbound = warnings("binding=\"tns:Soap12\"", "binding=\"nix:Soap12\"");
    assert!(unbound.contains("nix:Soap12"), "{unbound}");
    let imports = warnings("<w:portType", "<w:import namespace=\"a\" location=\"b.wsdl\"/><w:portType");
    assert_eq!(imports, "it imports another WSDL, which is not read");
    let strict = warnings("getMap", "get_map");
    assert!(strict.starts_with("\"get_map\": new X-Road servers take only"), "{strict}");
    let no_address = changed("<soap:address location=\" http://land.test:8080/soap?x=1 \"/>", "").unwrap();
    assert_eq!(no_address.operations[2].location, None);
}

#[test]
fn what_is_no_wsdl_of_services_is_refused() {
    let root = read("<description xmlns='http://www.w3.org/ns/wsdl'/>").unwrap_err();
    assert_eq!(
        root.to_string(),
        "expected `definitions` of WSDL 1.1, found `description` of http://www.w3.org/ns/wsdl"
    );
    assert!(matches!(read("<!DOCTYPE a><a/>"), Err(WsdlError::Xml(XmlError::Doctype))));
    assert!(matches!(read("no"), Err(WsdlError::Xml(_))));
    for (from, to) in [
        ("\"getMap\"", "\"get:Map\""),
        ("name=\"getMap\"", ""),
        (">v1<", ">v/1<"),
        ("\"getMap\"", "\"get%4d\""),
    ] {
        assert!(matches!(changed(from, to), Err(WsdlError::Code { .. })), "{to}");
    }
    let unbound =
        changed("http://schemas.xmlsoap.org/soap/http", "http://schemas.xmlsoap.org/soap/smtp").unwrap_err();
    assert_eq!(unbound.to_string(), "no operation is bound to SOAP over HTTP");
    let nowhere = changed("binding=\"tns:", "binding=\"").unwrap_err();
    assert!(nowhere.to_string().contains("port \"One\" has a binding \"Soap\""), "{nowhere}");
}

#[test]
fn operations_and_bytes_are_bounded() {
    let port =
        "<w:port name=\"More\" binding=\"tns:Soap\"/>".repeat(limits::DESCRIPTION_OPERATIONS_MAX / 3 + 1);
    let allowed = limits::DESCRIPTION_OPERATIONS_MAX;
    assert_eq!(changed("</w:service>", &format!("{port}</w:service>")), Err(WsdlError::TooMany { allowed }));
    let large = " ".repeat(limits::DESCRIPTION_BYTES_MAX + 1);
    assert!(matches!(read(&large), Err(WsdlError::Xml(XmlError::TooLarge { .. }))));
    let warned = changed("</w:service>", &format!("{}</w:service>", "<w:port binding=\"x\"/>".repeat(1000)));
    assert_eq!(warned.unwrap().warnings.len(), WARNINGS_MAX);
}

proptest! {
    /// Any change of the document is read or refused, and what is read keeps the rules.
    #[test]
    fn what_is_read_names_services(at in 0..LAND.len(), length in 0..40usize, put in "[<>/\"=:a-z w1]{0,12}") {
        let end = (at + length).min(LAND.len());
        if let Ok(wsdl) = read(&format!("{}{put}{}", &LAND[..at], &LAND[end..])) {
            let mut seen = std::collections::HashSet::new();
            prop_assert!(!wsdl.operations.is_empty());
            for operation in &wsdl.operations {
                prop_assert!(is_code(&operation.code) && operation.version.as_deref().is_none_or(is_code));
                prop_assert!(seen.insert((operation.code.clone(), operation.version.clone())));
            }
        }
    }
}
