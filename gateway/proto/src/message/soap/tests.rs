//! SOAP messages: the rules of the header, X-Road's own cases, recorded exchanges.

use super::*;
use crate::fault::Origin;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

const REQUEST: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='http://x-road.eu/xsd/xroad.xsd' \
xmlns:i='http://x-road.eu/xsd/identifiers' xmlns:r='http://x-road.eu/xsd/representation.xsd'><s:Header>\n  \
<x:client i:objectType='SUBSYSTEM'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
<i:memberCode>M1</i:memberCode><i:subsystemCode>C1</i:subsystemCode></x:client>\n  \
<x:service i:objectType='SERVICE'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
<i:memberCode>M2</i:memberCode><i:serviceCode>get</i:serviceCode><i:serviceVersion>v1</i:serviceVersion></x:service>\
<x:securityServer i:objectType='SERVER'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
<i:memberCode>M2</i:memberCode><i:serverCode>SS2</i:serverCode></x:securityServer>\
<x:userId>EE1</x:userId><x:issue>õ</x:issue><r:representedParty><r:partyCode>7</r:partyCode></r:representedParty>\
<x:id>a<!-- b -->c</x:id><x:protocolVersion>4.0</x:protocolVersion><w:T xmlns:w='u'/></s:Header>\
<s:Body><get>\u{e4}</get></s:Body></s:Envelope>\n";

fn read(text: &str) -> Result<Envelope, SoapError> {
    Envelope::read(text.as_bytes().to_vec(), Some("text/xml; charset=UTF-8"))
}

fn refused(from: &str, to: &str) -> String {
    assert!(REQUEST.contains(from), "{from}");
    let text = REQUEST.replace(from, to);
    read(&text).expect_err(to).code().text(Origin::Client)
}

fn request() -> Envelope {
    read(REQUEST).unwrap()
}

/// What a service answers: the request's header, another element in the body.
fn answer() -> String {
    REQUEST.replace("<get>", "<getResponse>").replace("</get>", "</getResponse>")
}

#[test]
fn an_envelope_is_read_and_its_bytes_are_kept() {
    let envelope = request();
    assert_eq!(envelope.bytes(), REQUEST.as_bytes());
    assert_eq!(envelope.client.to_string(), "DEV/GOV/M1/C1");
    assert_eq!(envelope.service.to_string(), "DEV/GOV/M2/get/v1");
    assert_eq!(envelope.security_server.as_ref().unwrap().to_string(), "DEV/GOV/M2/SS2");
    assert_eq!((envelope.id.as_str(), envelope.body.as_str()), ("ac", "get"));
    assert_eq!((envelope.user_id.as_deref(), envelope.issue.as_deref()), (Some("EE1"), Some("õ")));
    assert_eq!(envelope.represented_party.clone().unwrap(), Party { class: None, code: "7".into() });
    assert!(!envelope.is_response() && read(&answer()).unwrap().is_response());
}

#[test]
fn every_rule_has_its_code() {
    let header = &REQUEST[REQUEST.find("<s:Header>").unwrap()..REQUEST.find("<s:Body>").unwrap()];
    for (from, to, code) in [
        (REQUEST, "", "invalid_soap"),
        (REQUEST, "no xml", "invalid_soap"),
        (REQUEST, "<a/>", "invalid_soap"),
        ("<s:Envelope", "<!DOCTYPE a [<!ENTITY b 'c'>]><s:Envelope", "invalid_soap"),
        ("schemas.xmlsoap.org/soap/envelope/", "www.w3.org/2003/05/soap-envelope", "invalid_soap"),
        (header, "", "missing_header"),
        ("<s:Body><get>\u{e4}</get></s:Body>", "", "missing_body"),
        ("<s:Body>", "<s:Body><get/></s:Body><s:Body>", "invalid_body"),
        ("<s:Header>", "<s:Header/><s:Header>", "invalid_soap"),
        ("</s:Envelope>", "<t/></s:Envelope>", "invalid_soap"),
        ("<get>\u{e4}</get>", "", "invalid_body"),
        ("<get>\u{e4}</get>", "<get/><get/>", "invalid_body"),
        ("<get>\u{e4}</get>", "<other/>", "inconsistent_headers"),
        ("<x:userId>", "<x:userId>1</x:userId><x:userId>", "duplicate_header_field"),
        ("<r:representedParty>", "<r:representedParty/><r:representedParty>", "duplicate_header_field"),
        ("<x:id>a<!-- b -->c</x:id>", "", "missing_header_field"),
        ("x:client", "x:clients", "missing_header_field"),
        ("x:service", "x:services", "missing_header_field"),
        ("x:protocolVersion", "x:version", "missing_header_field"),
        (">4.0<", ">3.1<", "invalid_protocol_version"),
        ("x:client i:objectType='SUBSYSTEM'", "x:client", "invalid_xml"),
        ("'SUBSYSTEM'", "'MEMBER'", "invalid_xml"),
        ("'SERVICE'", "'SERVER'", "invalid_xml"),
        ("'SERVER'", "'SERVICE'", "invalid_xml"),
        ("M1</i:memberCode>", "M1</i:memberCode><i:memberCode>M3</i:memberCode>", "invalid_xml"),
        ("<i:memberCode>M1", "<i:memberCode><i:memberCode>M1</i:memberCode>", "invalid_xml"),
        ("<i:memberCode>M1</i:memberCode>", "<i:memberCode/>", "invalid_xml"),
        ("<r:partyCode>7</r:partyCode>", "", "invalid_xml"),
    ] {
        assert_eq!(refused(from, to), format!("client.{code}"), "{to}");
    }
    let body = &REQUEST[REQUEST.find("<s:Body>").unwrap()..REQUEST.find("</s:Envelope>").unwrap()];
    let turned = REQUEST.replace(body, "").replace(header, &format!("{body}{header}"));
    assert_eq!(read(&turned).unwrap_err().code(), Code::of(Leaf::InvalidSoap));
}

#[test]
fn a_fault_is_told_from_a_message() {
    let fault = SoapFault::new("s:Server", "no", None);
    let read = Document::read(fault.to_xml().into_bytes(), None);
    assert_eq!(read, Ok(Document::Fault(fault.clone())));
    assert!(Envelope::read(fault.to_xml().into_bytes(), None).is_err());
}

#[test]
fn the_declaration_says_how_an_envelope_is_read() {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let issue = |bytes: Vec<u8>, kind: &str| {
        let envelope = Envelope::read(bytes.clone(), Some(kind))?;
        assert_eq!(envelope.bytes(), bytes);
        Ok::<_, SoapError>(envelope.issue.unwrap_or_default())
    };
    let latin1 = REQUEST.replace("UTF-8", "iso-8859-1");
    let latin1: Vec<u8> = latin1.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let utf16: Vec<u8> = format!("\u{feff}{}", REQUEST.replace("UTF-8", "UTF-16"))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (document, kind) in [
        (bytes(REQUEST), "text/xml"),
        (bytes(REQUEST), "text/xml; charset=ISO-8859-1"),
        (bytes(&format!("\u{feff}{REQUEST}")), "text/xml; charset=windows-1252"),
        (latin1.clone(), "text/xml; charset=utf-8"),
        (utf16, "text/xml"),
    ] {
        assert_eq!(issue(document, kind), Ok("õ".to_owned()), "{kind}");
    }
    let ascii = REQUEST.replace("UTF-8", "windows-1257").replace('õ', "o").replace('\u{e4}', "a");
    assert_eq!(issue(bytes(&ascii), "text/xml"), Ok("o".to_owned()));
    let undeclared = [b"<?xml version='1.0'?>".as_slice(), latin1.splitn(2, |b| *b == b'\n').nth(1).unwrap()];
    for (document, code) in [
        (undeclared.concat(), Leaf::InvalidSoap),
        (bytes(&REQUEST.replace("UTF-8", "windows-1252")), Leaf::InvalidSoap),
        (bytes(&REQUEST.replace("UTF-8", "utf-7")), Leaf::InvalidSoap),
    ] {
        assert_eq!(issue(document, "text/xml").unwrap_err().code(), Code::of(code));
    }
    let unknown = issue(bytes(REQUEST), "text/xml; charset=no-such-charset").unwrap_err();
    assert_eq!(unknown.code(), Code::of(Leaf::InternalError));
}

#[test]
fn the_hash_is_inserted_and_nothing_else_changes() {
    let request = request();
    let hash = request.hash();
    let element = format!(
        "\n  <x:requestHash algorithmId=\"http://www.w3.org/2001/04/xmlenc#sha512\">{hash}</x:requestHash>"
    );
    let expected = answer().replace("</x:id>", &format!("</x:id>{element}"));
    for earlier in ["", "\n  <x:requestHash>b2xk</x:requestHash>", "<x:requestHash a='1'/>"] {
        let said = answer().replace("</x:id>", &format!("</x:id>{earlier}"));
        let told = read(&said).unwrap().with_request_hash(&request).unwrap();
        assert_eq!(std::str::from_utf8(told.bytes()).unwrap(), expected);
        assert_eq!(told.answers(&request), Ok(()));
    }
    let before = answer().replace("<x:id>", "<x:requestHash>b2xk</x:requestHash><x:id>");
    assert_eq!(read(&before).unwrap().with_request_hash(&request).unwrap().bytes(), expected.as_bytes());
    for (from, to) in [
        ("<x:id>a<!-- b -->c</x:id>", "<q:id xmlns:q='http://x-road.eu/xsd/xroad.xsd'>ac</q:id>"),
        ("<x:id>a<!-- b -->c</x:id>", "<id xmlns='http://x-road.eu/xsd/xroad.xsd' k='>'>a<![CDATA[c]]></id>"),
        ("</s:Body>", "</s:Body><!-- <x:id>ac</x:id> -->"),
        ("<x:id>", "<w:id xmlns:w='urn:w'>no</w:id><x:id>"),
    ] {
        let told = read(&answer().replace(from, to)).unwrap().with_request_hash(&request).unwrap();
        assert_eq!(told.answers(&request), Ok(()), "{to}");
    }
    let latin1 = answer().replace("UTF-8", "ISO-8859-1");
    let latin1: Vec<u8> = latin1.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let told = Envelope::read(latin1, None).unwrap().with_request_hash(&request).unwrap();
    assert_eq!(told.answers(&request), Ok(()));
}

/// A question to `listMethods`.
fn asking(body: &str) -> String {
    REQUEST.replace(">get<", ">listMethods<").replace("<get>\u{e4}</get>", body)
}

#[test]
fn the_answer_of_a_metaservice_tells_its_request_back() {
    let request = read(&asking("<x:listMethods a='1'/>")).unwrap();
    let listed = request.listing(&[request.client.service("land")]).unwrap();
    let (header, _) = REQUEST.split_once("<s:Body>").unwrap();
    let (_, header) = header.split_once("<s:Header>").unwrap();
    let expected = format!(
        "<s:Header>{}<s:Body><x:listMethodsResponse><x:service i:objectType=\"SERVICE\">\
         <i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>M1</i:memberCode>\
         <i:subsystemCode>C1</i:subsystemCode><i:serviceCode>land</i:serviceCode></x:service>\
         </x:listMethodsResponse></s:Body></s:Envelope>\n",
        header.replace(">get<", ">listMethods<")
    );
    let told = std::str::from_utf8(listed.bytes()).unwrap();
    assert!(told.ends_with(&expected), "{told}");
    let answer = listed.with_request_hash(&request).unwrap();
    assert_eq!(answer.answers(&request), Ok(()));
    let none = read(&asking("<listMethods/>")).unwrap().listing(&[]).unwrap();
    assert!(std::str::from_utf8(none.bytes()).unwrap().contains("<s:Body><x:listMethodsResponse/></s:Body>"));
}

#[test]
fn the_answer_of_a_metaservice_is_utf8_with_prefixes_of_its_own_where_it_must() {
    let text = asking("<q:listMethods xmlns:q='urn:q'/>").replace("UTF-8", "ISO-8859-1");
    let text = text.replace("xmlns:x=", "xmlns:xro='urn:x' xmlns=").replace("<x:", "<").replace("</x:", "</");
    let text =
        text.replace("utf-8", "ISO-8859-1").replace("<s:Envelope", "<!-- \u{fc} --><s:Envelope b='&#xe4;'");
    let text = text.replace("<issue>õ", "<issue>ü");
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let request = Envelope::read(latin1, None).unwrap();
    let listed = request.listing(std::slice::from_ref(&request.service)).unwrap();
    let told = std::str::from_utf8(listed.bytes()).unwrap();
    let begins = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope b='&#xe4;' \
        xmlns=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:i=";
    assert!(told.starts_with(begins), "{told}");
    assert!(told.contains("<issue>ü</issue>"), "{told}");
    let declared =
        "<xro:listMethodsResponse xmlns:xro=\"http://x-road.eu/xsd/xroad.xsd\"><xro:service i:objectType";
    assert!(told.contains(declared), "{told}");
    assert_eq!(listed.with_request_hash(&request).unwrap().answers(&request), Ok(()));
}

#[test]
fn a_question_is_told_back_under_the_name_of_its_answer() {
    let told = |body: &str| {
        let repeated = read(&asking(body)).unwrap().repeating().unwrap();
        let text = String::from_utf8(repeated.bytes().to_vec()).unwrap();
        text.split_once("<s:Body>").unwrap().1.split_once("</s:Body>").unwrap().0.to_owned()
    };
    for (body, expected) in [
        (
            "<x:listMethods><x:serviceCode>a</x:serviceCode></x:listMethods >",
            "<x:listMethodsResponse><x:serviceCode>a</x:serviceCode></x:listMethodsResponse>",
        ),
        (
            "<listMethodsNow a='</'><b/></listMethodsNow>",
            "<listMethodsResponse a='</'><b/></listMethodsResponse>",
        ),
        ("<listMethods a='1' />", "<listMethodsResponse a='1' />"),
        (
            "<q:listMethods xmlns:q='u'>&#60;</q:listMethods>",
            "<q:listMethodsResponse xmlns:q='u'>&#60;</q:listMethodsResponse>",
        ),
    ] {
        assert_eq!(told(body.replace("'</'", "'1'").as_str()), expected.replace("'</'", "'1'"), "{body}");
    }
}

#[test]
fn a_field_of_the_body_is_x_roads() {
    let body = "<x:listMethods><serviceCode>no</serviceCode><x:serviceCode>a</x:serviceCode><x:serviceCode>b &lt;\
        <!-- -->c</x:serviceCode><y><x:serviceVersion>v</x:serviceVersion></y></x:listMethods>";
    let request = read(&asking(body)).unwrap();
    assert_eq!(request.body_field("serviceCode").unwrap().as_deref(), Some("b <c"));
    assert_eq!(request.body_field("serviceVersion").unwrap(), None);
}

#[test]
fn an_answer_of_another_question_is_none() {
    let request = request();
    let told = read(&answer()).unwrap().with_request_hash(&request).unwrap();
    assert_eq!(told.answers(&request), Ok(()));
    let told = std::str::from_utf8(told.bytes()).unwrap().to_owned();
    for (from, to, field) in [
        ("C1<", "C2<", "client"),
        ("v1<", "v2<", "service"),
        (">a<!-- b -->c<", ">ad<", "id"),
        ("EE1", "EE2", "userId"),
        ("<x:issue>õ</x:issue>", "", "issue"),
        ("<r:partyCode>", "<r:partyClass>C</r:partyClass><r:partyCode>", "representedParty"),
    ] {
        let error = read(&told.replace(from, to)).unwrap().answers(&request).unwrap_err();
        assert_eq!(error.field, field);
        assert_eq!(error.code(), Code::of(Leaf::InconsistentResponse).under(Leaf::ServiceFailed));
    }
    let other = read(&REQUEST.replace("<get>", "<get >")).unwrap();
    let error = read(&told).unwrap().answers(&other).unwrap_err();
    assert_eq!(error.code(), Code::of(Leaf::InconsistentResponse));
    assert!(read(&answer()).unwrap().answers(&request).is_err());
}

#[test]
fn a_soap_action_is_a_uri_in_quotes() {
    for good in ["", "\"\"", "\"urn:x:y\"", "\"http://a/b?c=d#e\"", "\"a/b\"", "\"%C3%B5\"", "\"#\""] {
        assert_eq!(check_action(Some(good)), Ok(()), "{good}");
    }
    assert_eq!(check_action(None), Ok(()));
    for bad in [
        "urn:x",
        "\"a b\"",
        "\"",
        "\"a",
        "\"%zz\"",
        "\"1:b\"",
        "\":\"",
        "\"a:\"",
        "\"a#b#c\"",
        "\"<\"",
        "\"\\\"",
    ] {
        assert!(check_action(Some(bad)).is_err(), "{bad}");
    }
}

//------------ X-Road's own --------------------------------------------------

fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SAATKOND_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("SAATKOND_REQUIRE").is_err(), "the vectors are required and not here");
    println!("skipped: no vectors at {}", folder.display());
    None
}

/// The bytes of a document that needs no multipart, or of the first part of one.
fn root_part(bytes: &[u8]) -> Vec<u8> {
    let text = |needle: &[u8], from: usize| {
        bytes
            .get(from..)
            .and_then(|rest| rest.windows(needle.len()).position(|w| w == needle))
            .map(|at| from + at)
    };
    if !bytes.starts_with(b"--") && !bytes.starts_with(b"\r\n--") {
        return bytes.to_vec();
    }
    let lf = text(b"\n\n", 0).map(|at| at + 2);
    let crlf = text(b"\r\n\r\n", 0).map(|at| at + 4);
    let start = lf.into_iter().chain(crlf).min().unwrap_or(0);
    let end = text(b"\n--", start).unwrap_or(bytes.len());
    bytes[start..end].to_vec()
}

/// What X-Road's test cases say of the files they send and answer with. Those that are judged by more than the document
/// itself are left out.
#[test]
fn test_cases_of_xroad_are_judged_as_it_judges_them() {
    let Some(folder) = vectors() else { return };
    let table = fs::read_to_string(folder.join("xroad/proxy-testcases.csv")).unwrap();
    let mut expected: HashMap<String, String> = HashMap::new();
    for line in table.lines().skip(1) {
        let columns: Vec<_> = line.split(',').collect();
        let (Some(request), Some(answer)) = (columns.get(3), columns.get(4)) else { continue };
        let is_normal = line.contains(",normal,");
        let code = columns
            .iter()
            .find(|c| c.starts_with("client.") || c.starts_with("server.serverproxy.service_failed."));
        let code = code.and_then(|c| c.rsplit('.').next()).unwrap_or_default();
        let leaf = Leaf::ALL.iter().find(|l| l.text() == code);
        let read = [
            "missing_",
            "invalid_body",
            "invalid_soap",
            "invalid_xml",
            "invalid_protocol",
            "duplicate",
            "inconsistent_headers",
        ];
        let is_read = leaf.is_some()
            && read.iter().any(|r| code.starts_with(r))
            && !line.contains("Multipart")
            && code != "invalid_soap_action";
        let at_service = line.contains("service_failed");
        let file = if at_service { answer } else { request };
        if is_read && !file.is_empty() {
            expected.insert((*file).to_owned(), code.to_owned());
        } else if is_normal {
            for file in [request, answer].into_iter().filter(|f| !f.is_empty()) {
                expected.insert((*file).to_owned(), String::new());
            }
        }
    }
    assert!(expected.len() > 40, "{}", expected.len());
    let mut wrong = Vec::new();
    for (file, code) in &expected {
        let Ok(bytes) = fs::read(folder.join("xroad/proxy-queries").join(file)) else { continue };
        let said = match Envelope::read(root_part(&bytes), None) {
            Ok(_) => String::new(),
            Err(error) => error.code().text(Origin::Client).replace("client.", ""),
        };
        if said != *code {
            wrong.push(format!("{file}: expected {code:?}, said {said:?}"));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Requests and answers between an information system and two real servers.
#[test]
fn recorded_exchanges_answer_each_other() {
    let Some(folder) = vectors() else { return };
    let (mut seen, mut metaservices) = (0, 0);
    for flavour in ["rsa", "ec", "int"] {
        let Ok(cases) = fs::read_dir(folder.join("xroad-recorded").join(flavour)) else { continue };
        for case in cases.map(|c| c.unwrap().path()) {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            // The real server makes an answer in ISO-8859-1 unreadable.
            if !(name.starts_with("soap-") || name.starts_with("meta-soap-"))
                || matches!(name.as_str(), "soap-fault" | "soap-resp-latin1")
            {
                continue;
            }
            let body = |file: &str| {
                let bytes = fs::read(case.join(file)).unwrap();
                let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                let body = root_part(&bytes[at..]);
                body.strip_suffix(b"\r").map_or(body.clone(), <[u8]>::to_vec)
            };
            let envelope =
                |bytes: Vec<u8>| Envelope::read(bytes, None).unwrap_or_else(|e| panic!("{name}: {e}"));
            let request = envelope(body("client-request.bin"));
            let told = envelope(body("client-response.bin"));
            assert_eq!(told.answers(&request), Ok(()), "{name}");
            if name.starts_with("meta-soap-") {
                assert_eq!(made(&request).bytes(), told.bytes(), "{name}");
                metaservices += 1;
            }
            seen += 1;
        }
    }
    assert!(seen >= 15 && metaservices == 6, "{seen} with {metaservices} of metaservices");
}

/// The answer of the recorded metaservice.
fn made(request: &Envelope) -> Envelope {
    let service = |(code, version): (&str, Option<&str>)| ServiceId {
        version: version.map(str::to_owned),
        ..request.service.client.service(code)
    };
    let v1 = |code| (code, Some("v1"));
    let mut services = vec![
        v1("getLand"),
        v1("getLandFiles"),
        v1("getFault"),
        v1("getError"),
        v1("getSecret"),
        ("getPlain", None),
    ];
    services.retain(|(code, _)| request.body != "allowedMethods" || *code != "getSecret");
    let services: Vec<_> = services.into_iter().map(service).collect();
    let answer = if request.body == "getWsdl" { request.repeating() } else { request.listing(&services) };
    answer.unwrap().with_request_hash(request).unwrap()
}
