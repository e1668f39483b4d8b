//! Descriptions of services: WSDL and OpenAPI documents, and the services and endpoints that they name.

use super::Collection;
use crate::vectors::Vector;

/// Two versions of an operation at a port of SOAP 1.1, one of them at one of SOAP 1.2 too; one operation without version;
/// one that is bound to HTTP alone.
const WSDL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:http="http://schemas.xmlsoap.org/wsdl/http/"
    xmlns:xrd="http://x-road.eu/xsd/xroad.xsd" xmlns:tns="http://land.example/" xmlns:xs="http://www.w3.org/2001/XMLSchema"
    targetNamespace="http://land.example/">
  <wsdl:types>
    <xs:schema targetNamespace="http://land.example/">
      <xs:element name="getTitle" type="xs:string"/><xs:element name="getTitleResponse" type="xs:string"/>
    </xs:schema>
  </wsdl:types>
  <wsdl:message name="request"><wsdl:part name="body" element="tns:getTitle"/></wsdl:message>
  <wsdl:message name="response"><wsdl:part name="body" element="tns:getTitleResponse"/></wsdl:message>
  <wsdl:portType name="land">
    <wsdl:operation name="getTitle">
      <wsdl:documentation><xrd:title>Title of a parcel</xrd:title></wsdl:documentation>
      <wsdl:input message="tns:request"/><wsdl:output message="tns:response"/>
    </wsdl:operation>
    <wsdl:operation name="getPlain"><wsdl:input message="tns:request"/></wsdl:operation>
  </wsdl:portType>
  <wsdl:binding name="land" type="tns:land">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="getTitle">
      <soap:operation soapAction=""/><xrd:version>v1</xrd:version>
      <wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>
    </wsdl:operation>
    <wsdl:operation name="getTitle"><xrd:version> v2 </xrd:version></wsdl:operation>
    <wsdl:operation name="getPlain"/>
  </wsdl:binding>
  <wsdl:binding name="land12" type="tns:land">
    <soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="getTitle"><xrd:version>v1</xrd:version></wsdl:operation>
  </wsdl:binding>
  <wsdl:binding name="web" type="tns:land"><http:binding verb="GET"/><wsdl:operation name="getWeb"/></wsdl:binding>
  <wsdl:service name="land">
    <wsdl:port name="land" binding="tns:land"><soap:address location="http://land.example/soap"/></wsdl:port>
    <wsdl:port name="land12" binding="tns:land12"><soap12:address location="http://land.example/soap"/></wsdl:port>
    <wsdl:port name="web" binding="tns:web"><http:address location="http://land.example/web"/></wsdl:port>
  </wsdl:service>
</wsdl:definitions>
"#;

const YAML: &str = r#"---
openapi: 3.0.3
info:
  title: Land register
  version: "1.0"
servers:
  - url: /api/v1
paths:
  /parcels/{parcel}/titles/{title}:
    parameters:
      - {name: parcel, in: path, required: true, schema: {type: string}}
      - {name: title, in: path, required: true, schema: {type: string}}
    get:
      operationId: getTitle
      responses:
        '200': {description: The title}
    delete:
      responses:
        '204': {description: Gone}
  /maps/{sheet}.{format}:
    parameters: &map
      - {name: sheet, in: path, required: true, schema: {type: string}}
      - {name: format, in: path, required: true, schema: {type: string}}
    get:
      responses:
        '200': {description: The sheet}
  /reports:
    post:
      requestBody: {content: {application/json: {}}}
      responses:
        default: {description: Taken}
"#;

const JSON: &str = "{\n\t\"openapi\": \"3.1.0\",\n\t\"info\": {\"title\": \"Land \\ud83c\\udfe0\", \"version\": \"1\"},\n\
    \t\"servers\": [{\"url\": \"https:\\/\\/land.example\"}],\n\
    \t\"paths\": {\"/b\": {\"trace\": {}, \"get\": {}}, \"/a/{x}\": {\"$ref\": \"#/components/pathItems/a\"}}\n}\n";

pub(super) fn add(made: &mut Collection) {
    wsdl(made);
    openapi(made);
}

fn wsdl(made: &mut Collection) {
    let vector = |what: &str| Vector::new("wsdl", what, "WSDL 1.1 2, 3; trust-and-configuration §5.4");
    let operations =
        vector("Each operation bound to SOAP over HTTP is a service: code, version, address, title")
            .accepted()
            .told("service getTitle/v1", "http://land.example/soap Title of a parcel")
            .told("service getTitle/v2", "http://land.example/soap Title of a parcel")
            .told("service getPlain", "http://land.example/soap");
    made.add("operations", operations.as_is(WSDL.as_bytes()));
    let elsewhere = WSDL.replace(
        "<soap12:address location=\"http://land.example/soap\"",
        "<soap12:address location=\"http://b/\"",
    );
    let twice = vector("An operation that two ports offer at two addresses: the first is taken")
        .with("note", "X-Road 7.8 takes one or the other")
        .accepted()
        .told("service getTitle/v1", "http://land.example/soap Title of a parcel")
        .told("service getTitle/v2", "http://land.example/soap Title of a parcel")
        .told("service getPlain", "http://land.example/soap")
        .told("warnings", "1");
    made.add("two-addresses", twice.as_is(elsewhere.as_bytes()));
    let refused = [
        (
            "code",
            "A name with a colon names no service",
            "invalid_service_identifier",
            WSDL.replace("getPlain", "get:Plain"),
        ),
        (
            "smtp",
            "Operations bound to another transport are no services",
            "invalid_wsdl",
            WSDL.replace("/soap/http\"", "/soap/smtp\""),
        ),
        (
            "doctype",
            "A document type may define entities",
            "invalid_wsdl",
            WSDL.replace(
                "<wsdl:definitions",
                "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:/etc/passwd\">]>\n<wsdl:definitions",
            ),
        ),
        (
            "wsdl2",
            "WSDL 2.0 is another language",
            "invalid_wsdl",
            "<description xmlns=\"http://www.w3.org/ns/wsdl\"/>\n".to_owned(),
        ),
    ];
    for (name, what, code, body) in refused {
        made.add(name, vector(what).refused(code).as_is(body.as_bytes()));
    }
}

fn openapi(made: &mut Collection) {
    let vector = |what: &str| {
        Vector::new("openapi", what, "OpenAPI 3.0.4, 3.1.1; trust-and-configuration §5.4")
            .with("read from", "http://is.example:8080/docs/land.yaml")
    };
    let yaml = vector("Each operation is an endpoint; what stands in braces is a star, from the first in a segment to the last")
        .accepted()
        .told("url", "http://is.example:8080/api/v1")
        .told("title", "Land register")
        .told("endpoint", "GET /parcels/*/titles/*")
        .told("endpoint", "DELETE /parcels/*/titles/*")
        .told("endpoint", "GET /maps/*")
        .told("endpoint", "POST /reports");
    made.add("yaml", yaml.as_is(YAML.as_bytes()));
    let json = vector("The same in JSON; a path that is a reference is not followed, and said")
        .accepted()
        .told("url", "https://land.example")
        .told("title", "Land \u{1f3e0}")
        .told("endpoint", "GET /b")
        .told("endpoint", "TRACE /b")
        .told("warnings", "1");
    made.add("json", json.as_is(JSON.as_bytes()));
    let bomb = format!(
        "{YAML}x-0: &x0 [1,1,1,1,1,1,1,1,1]\n{}",
        (1..10)
            .map(|n| format!("x-{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 9].join(",")))
            .collect::<String>()
    );
    let bomb_told = vector("Aliases are not followed: what would be 10^10 values costs nothing")
        .accepted()
        .told("url", "http://is.example:8080/api/v1")
        .told("title", "Land register")
        .told("endpoint", "GET /parcels/*/titles/*")
        .told("endpoint", "DELETE /parcels/*/titles/*")
        .told("endpoint", "GET /maps/*")
        .told("endpoint", "POST /reports");
    made.add("aliases", bomb_told.as_is(bomb.as_bytes()));
    let refused = [
        (
            "swagger",
            "Swagger 2.0 is another language",
            "unsupported_openapi_version",
            "swagger: \"2.0\"\npaths: {}\n".to_owned(),
        ),
        ("version", "OpenAPI 3.2 is not read", "unsupported_openapi_version", YAML.replace("3.0.3", "3.2.0")),
        (
            "twice",
            "A name stands once in a map; X-Road takes it, and the last counts",
            "openapi_parsing_error",
            YAML.replace("    delete:", "    get:"),
        ),
        ("other", "A document of another kind", "openapi_parsing_error", "version: 1\n".to_owned()),
        ("deep", "Nesting is bounded", "openapi_parsing_error", format!("openapi: {}\n", "[".repeat(200))),
    ];
    for (name, what, code, body) in refused {
        made.add(name, vector(what).refused(code).as_is(body.as_bytes()));
    }
}
