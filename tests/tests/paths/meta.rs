//! What gateways tell of the instance, of services and of their descriptions.

use super::Pair;
use super::soap::{ask, envelope};
use saatkond::messagelog::Attachment;
use saatkond_proto::limits;
use saatkond_tests::site::answering;
use saatkond_tests::{Answer, Ask, Asked, Caller, For, Gate, Heard, Holder, Service};
use serde_json::{Value, json};

/// A question to the gateway itself.
fn local(target: &str) -> Ask {
    let mut ask = Ask::new("GET", "").target(target);
    ask.lines.retain(|(name, _)| name != "X-Road-Client");
    ask
}

fn client(class: &str, member: &str, subsystem: Option<&str>) -> Value {
    let mut id = json!({"member_class": class, "member_code": member, "object_type": "MEMBER", "xroad_instance": "DEV"});
    if let Some(code) = subsystem {
        id["object_type"] = "SUBSYSTEM".into();
        id["subsystem_code"] = code.into();
    }
    id
}

#[tokio::test]
async fn clients_are_listed_to_whoever_asks_at_the_door() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    let heard =
        pair.tax.ask(&local("/listClients").line("Accept", "text/html, application/json;q=0.1")).await;
    assert_eq!((heard.status(), heard.line("content-type")), (200, Some("application/json; charset=utf-8")));
    let listed: Value = serde_json::from_slice(&heard.body).unwrap();
    let ids: Vec<_> = listed["member"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
    let expected = [
        client("GOV", "M1", None),
        client("GOV", "M1", Some("TAX")),
        client("GOV", "M2", None),
        client("GOV", "M2", Some("LAND")),
        client("COM", "M3", None),
        client("COM", "M3", Some("SHIPS")),
    ];
    assert_eq!(ids, expected);
    assert_eq!(listed["member"][2]["name"], "Land Board");

    let own = pair.tax.ask(&local("/listClients?xRoadInstance=DEV")).await;
    assert_eq!(own.line("content-type"), Some("text/xml; charset=UTF-8"));
    assert!(own.text().contains("<ns1:subsystemCode>LAND</ns1:subsystemCode>"), "{own:?}");
    // Of several the first counts, and a blank one is our own.
    for target in
        ["/listClients?xRoadInstance=DEV&xRoadInstance=X", "/listClients?xRoadInstance=+", "/listClients?"]
    {
        assert_eq!(pair.tax.ask(&local(target)).await.body, own.body, "{target}");
    }
    let tls =
        Caller::connect_tls(pair.tax.clients_tls, None).await.unwrap().ask(&local("/listClients")).await;
    assert_eq!(tls.body, own.body);
    assert_eq!(pair.tax.log().len(), 0);
}

#[tokio::test]
async fn clients_of_another_instance_are_listed_by_its_name() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    pair.tax.believe_all(|instances| {
        let mut other = instances[0].clone();
        (other.shared.instance, other.private) = ("FED".to_owned(), None);
        other.shared.members.truncate(1);
        other.shared.members[0].id.instance = "FED".to_owned();
        instances.push(other);
    });
    let ask = |target: &str| local(target).line("Accept", "application/json");
    let other = pair.tax.ask(&ask("/listClients?xRoadInstance=F%45D")).await;
    let listed: Value = serde_json::from_slice(&other.body).unwrap();
    assert_eq!(listed["member"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(listed["member"][1]["id"]["xroad_instance"], "FED");
    assert!(!pair.tax.ask(&ask("/listClients")).await.text().contains("FED"));
}

#[tokio::test]
async fn a_question_to_the_gateway_itself_fails_as_soap_does() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    for (method, target, code) in [
        ("GET", "/listClients?xRoadInstance=NOPE", "server.clientproxy.internal_error"),
        ("HEAD", "/listClients", "client.invalid_http_method"),
        ("GET", "/listClients/", "client.invalid_http_method"),
        ("GET", "/listclients", "client.invalid_http_method"),
        ("GET", "/list%43lients", "client.invalid_http_method"),
    ] {
        let mut ask = local(target).line("Accept", "application/json");
        ask.method = method.to_owned();
        let heard = pair.tax.ask(&ask).await;
        let head = (heard.status(), heard.line("content-type"), heard.line("soapaction"));
        assert_eq!(head, (200, Some("text/xml;charset=utf-8"), Some("")), "{method} {target}");
        let told = format!("<faultcode>{code}</faultcode>");
        assert!(method == "HEAD" || heard.text().contains(&told), "{method} {target}: {heard:?}");
    }
}

//------------ listMethods, allowedMethods -----------------------------------

/// The Land Board's services: all of `land` for the Tax Board, some of the others, nothing of `secret`.
fn offers(pair: &Pair) -> String {
    let url = pair.service.url("/api");
    let service =
        |code: &str, more: &str| format!("[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\n{more}\n");
    let tax = "allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n";
    let endpoint = |method: &str, path: &str, allow: &str| {
        format!("[[client.service.endpoint]]\nmethod = \"{method}\"\npath = \"{path}\"\n{allow}")
    };
    [
        answering(&url),
        service("secret", &endpoint("GET", "/x", "")),
        service(
            "part",
            &[endpoint("GET", "/open/*", tax), endpoint("GET", "/open/1", ""), endpoint("*", "/all", "")]
                .concat(),
        ),
        service(
            "api",
            &format!("kind = \"openapi\"\nenabled = false\n{tax}{}", endpoint("GET", "/parcel/*", "")),
        ),
        service("getLand", &format!("kind = \"soap\"\nversion = \"v1\"\n{tax}")),
        service("getSecret", "kind = \"soap\"\n"),
    ]
    .concat()
}

/// Codes of listed services, each with its endpoints.
fn listed(body: &[u8]) -> Vec<String> {
    let listed: Value = serde_json::from_slice(body).unwrap();
    let line = |service: &Value| {
        let endpoints = service["endpoint_list"].as_array().unwrap().iter();
        let endpoints: Vec<_> = endpoints
            .map(|e| format!(" {} {}", e["method"].as_str().unwrap(), e["path"].as_str().unwrap()))
            .collect();
        let (code, kind) =
            (service["service_code"].as_str().unwrap(), service["service_type"].as_str().unwrap());
        format!("{code} {kind}{}", endpoints.concat())
    };
    listed["service"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn rest_services_are_listed_to_anyone_and_allowed_ones_by_right() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    pair.home.change_server(&offers(&pair)).await;
    let all = pair.tax.ask(&Ask::get("listMethods").line("Accept", "text/xml")).await;
    assert_eq!((all.status(), all.lines("content-type")), (200, vec!["application/json"]));
    // Seen: the answer has the request's headers.
    assert_eq!(all.line("accept"), Some("text/xml"));
    assert_eq!(all.line("x-road-service"), Some("DEV/GOV/M2/LAND/listMethods"));
    let expected = [
        "land REST",
        "secret REST GET /x",
        "part REST GET /open/* GET /open/1 * /all",
        "api OPENAPI GET /parcel/*",
    ];
    assert_eq!(listed(&all.body), expected);
    let allowed = pair.tax.ask(&Ask::get("allowedMethods/any?path=1")).await;
    assert_eq!(
        listed(&allowed.body),
        ["land REST", "part REST GET /open/* GET /open/1", "api OPENAPI GET /parcel/*"]
    );
    // A body that nobody reads is signed with the rest, and answered.
    let with_body = pair.tax.ask(&Ask::get("listMethods").body("{}")).await;
    assert_eq!(with_body.body, all.body);
    assert_eq!(pair.service.asked.len(), 0);
    let (of_tax, of_home) = (pair.tax.log(), pair.home.log());
    assert_eq!((of_tax.len(), of_home.len()), (6, 6));
    for (ours, theirs) in of_tax.iter().zip(&of_home) {
        assert_eq!(ours.message.message, theirs.message.message);
        assert_eq!(ours.message.attachments, theirs.message.attachments);
    }
}

#[tokio::test]
async fn soap_services_are_listed_with_their_versions() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    pair.home.change_server(&offers(&pair)).await;
    for (code, expected) in
        [("listMethods", ["getLand", "getSecret"].as_slice()), ("allowedMethods", &["getLand"])]
    {
        let question = envelope(code, &format!("x:{code}"));
        let heard = pair.tax.ask(&ask("text/xml", question.as_bytes())).await;
        assert_eq!(
            (heard.status(), heard.line("content-type")),
            (200, Some("text/xml; charset=UTF-8")),
            "{heard:?}"
        );
        let text = heard.text();
        let (_, body) = text.split_once(&format!("<s:Body><x:{code}Response>")).expect(&text);
        let codes: Vec<_> =
            body.split("<i:serviceCode>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
        assert_eq!(codes, expected, "{text}");
        assert!(
            body.contains("<i:serviceCode>getLand</i:serviceCode><i:serviceVersion>v1</i:serviceVersion>"),
            "{text}"
        );
    }
    assert_eq!((pair.service.asked.len(), pair.home.log().len()), (0, 4));
}

#[tokio::test]
async fn what_only_looks_like_a_metaservice_is_an_unknown_service() {
    let pair = Pair::answering(|_| Answer::json("{}")).await;
    for ask in [
        Ask::post("listMethods", "{}"),
        Ask::new("HEAD", "allowedMethods"),
        Ask::get("listmethods"),
        Ask::get("getWsdl"),
        Ask::get("listClients"),
    ] {
        let heard = pair.tax.ask(&ask).await;
        assert_eq!((heard.status(), heard.code()), (500, "server.serverproxy.unknown_service"), "{ask:?}");
    }
    let question = envelope("getOpenAPI", "x:getOpenAPI");
    let heard = pair.tax.ask(&ask("text/xml", question.as_bytes())).await;
    assert!(heard.text().contains("<faultcode>server.serverproxy.unknown_service<"), "{heard:?}");
    let elsewhere = pair.tax.ask(&Ask::get("").target("/r1/DEV/GOV/M2/NONE/listMethods")).await;
    assert_eq!(elsewhere.code(), "server.clientproxy.unknown_member");
}

//------------ getOpenAPI, getWsdl --------------------------------------------

const WSDL: &str = "<?xml version=\"1.0\"?><!-- õ --><w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' \
    xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'><w:service><w:port><s:address location='http://inside:1/land'/>\
    </w:port></w:service></w:definitions>\n";
const YAML: &str = "openapi: 3.0.0 # as it was\nservers:\n  - url: http://inside:1/land\npaths: {}\n";

/// The Land Board with a service of kind `rest`.
const LAND: &str = "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n\
    [[client.service]]\ncode = \"land\"\nurl = \"http://127.0.0.1:1/\"\n";

/// What is answered at the places where descriptions lie.
fn described(asked: &Asked) -> Answer {
    let html = [("Content-Type", "text/html")];
    match asked.target.as_str() {
        "/wsdl?v=1" => Answer::new("200 OK", &[("Content-Type", "text/xml; charset=utf-8")], WSDL),
        "/api.yaml" => Answer::new("200 OK", &[("Content-Type", "application/vnd.oai.openapi")], YAML),
        "/untyped" => Answer::new("200 OK", &[], YAML),
        "/moved" => Answer::new("302 Found", &[("Location", "/api.yaml")], ""),
        "/page" => Answer::new("200 OK", &html, "<html>http://inside:1/</html>"),
        "/large" => Answer::new("200 OK", &html, vec![b' '; limits::DESCRIPTION_BYTES_MAX + 1]),
        _ => Answer::new("404 Not Found", &html, "http://inside:1/"),
    }
}

/// A service with a description.
fn describing(code: &str, kind: &str, place: &str, more: &str) -> String {
    format!(
        "[[client.service]]\ncode = \"{code}\"\nkind = \"{kind}\"\nurl = \"http://127.0.0.1:1/\"\n\
         description = \"{place}\"\n{more}\n"
    )
}

/// Asks for the WSDL of the service that these elements name.
async fn wsdl(pair: &Pair, inside: &str) -> Heard {
    let question = envelope("getWsdl", "x:getWsdl");
    let question = question.replace("<x:getWsdl/>", &format!("<x:getWsdl>{inside}</x:getWsdl>"));
    pair.tax.ask(&ask("text/xml", question.as_bytes())).await
}

#[tokio::test]
async fn a_wsdl_is_an_attachment_without_addresses() {
    let pair = Pair::answering(described).await;
    let place = pair.service.url("/wsdl?v=1");
    // Nobody has a right, and it is switched off: who may ask at all may know what it is like.
    let offers = describing("land", "soap", &place, "version = \"v1\"\nenabled = false");
    pair.home.change_server(&format!("{LAND}{offers}")).await;
    let named = "<x:serviceCode>land</x:serviceCode><x:serviceVersion>v1</x:serviceVersion>";
    let heard = wsdl(&pair, named).await;
    let content_type = heard.line("content-type").unwrap().to_owned();
    let (kind, boundary) = content_type.split_once("; boundary=").unwrap();
    assert_eq!(kind, "multipart/related; type=\"text/xml\"; charset=UTF-8");
    assert!(boundary.starts_with("xroad") && boundary.len() == 35, "{content_type}");
    let body = String::from_utf8(heard.body).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let [_, told, attached, "--\r\n"] = parts.as_slice() else { panic!("{body}") };
    assert!(
        told.contains(&format!("<s:Body><x:getWsdlResponse>{named}</x:getWsdlResponse></s:Body>")),
        "{told}"
    );
    assert!(attached.starts_with("\r\ncontent-type:text/xml\r\nContent-ID: <wsdl="), "{attached}");
    assert!(attached.contains("@x-road.eu>\r\nContent-Transfer-Encoding: binary\r\n\r\n<?xml"), "{attached}");
    let expected = WSDL.replace("http://inside:1/land", "http://example.org/xroad-endpoint");
    assert!(attached.ends_with(&format!("\r\n\r\n{expected}\r\n")), "{attached}");
    let asked = pair.service.asked.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.lines.len()), ("GET", "/wsdl?v=1", 1));
    // It is signed and kept like any attachment.
    let (of_tax, of_home) = (pair.tax.log(), pair.home.log());
    let kept = [Attachment::Inline(expected.into_bytes().into())];
    assert_eq!(
        (of_tax[1].message.attachments.as_slice(), of_home[1].message.attachments.as_slice()),
        (&kept[..], &kept[..])
    );
}

#[tokio::test]
async fn an_openapi_document_keeps_its_form_and_type() {
    let pair = Pair::answering(described).await;
    let beside = pair.home.directory().join("api.json");
    std::fs::write(&beside, "{\"openapi\": \"3.1.0\",\n \"servers\": [{\"url\": \"https://inside:1/a\"}]}")
        .unwrap();
    std::fs::write(pair.home.directory().join("api.yml"), YAML).unwrap();
    let offers = [
        LAND.to_owned(),
        describing("yaml", "openapi", &pair.service.url("/api.yaml"), ""),
        describing("untyped", "openapi", &pair.service.url("/untyped"), ""),
        describing("file", "openapi", "api.json", ""),
        describing("other", "openapi", "api.yml", ""),
    ];
    pair.home.change_server(&offers.concat()).await;
    let yaml = YAML.replace("http://inside:1/land", "\"/land\"");
    for (query, content_type, document) in [
        ("serviceCode=yaml", "application/vnd.oai.openapi", yaml.as_str()),
        ("a=b&serviceCode=file&SERVICEcode=y%61ml", "application/vnd.oai.openapi", &yaml),
        ("serviceCode=untyped", "text/plain", &yaml),
        (
            "serviceCode=file",
            "application/json",
            "{\"openapi\": \"3.1.0\",\n \"servers\": [{\"url\": \"/a\"}]}",
        ),
        ("serviceCode=other", "application/yaml", &yaml),
    ] {
        let heard = pair.tax.ask(&Ask::get(&format!("getOpenAPI?{query}"))).await;
        assert_eq!(
            (heard.status(), heard.lines("content-type")),
            (200, vec![content_type]),
            "{query}: {heard:?}"
        );
        assert_eq!(heard.text(), document, "{query}");
    }
}

#[tokio::test]
async fn a_description_that_cannot_be_given_is_a_fault_without_addresses() {
    let pair = Pair::answering(described).await;
    let at = |path: &str| pair.service.url(path);
    let offers = [
        LAND.to_owned(),
        describing("moved", "openapi", &at("/moved"), ""),
        describing("gone", "openapi", &at("/gone"), ""),
        describing("page", "openapi", &at("/page"), ""),
        describing("large", "openapi", &at("/large"), ""),
        describing("wrong", "openapi", &at("/wsdl?v=1"), ""),
        describing("dead", "openapi", "http://127.0.0.1:1/a", ""),
        describing("file", "openapi", "none.yaml", ""),
        describing("text", "soap", &at("/api.yaml"), ""),
        describing("deadWsdl", "soap", "http://127.0.0.1:1/a", ""),
        "[[client.service]]\ncode = \"bare\"\nkind = \"openapi\"\nurl = \"http://inside:1/\"\n".to_owned(),
        "[[client.service]]\ncode = \"bareSoap\"\nkind = \"soap\"\nurl = \"http://inside:1/\"\n".to_owned(),
    ];
    pair.home.change_server(&offers.concat()).await;
    for (query, leaf) in [
        ("", "invalid_request"),
        ("?servicecode=", "invalid_request"),
        ("?serviceCode=none", "internal_error"),
        ("?serviceCode=land", "internal_error"),
        ("?serviceCode=text", "internal_error"),
        ("?serviceCode=bare", "internal_error"),
        ("?serviceCode=moved", "internal_error"),
        ("?serviceCode=gone", "internal_error"),
        ("?serviceCode=page", "internal_error"),
        ("?serviceCode=large", "internal_error"),
        ("?serviceCode=wrong", "internal_error"),
        ("?serviceCode=file", "internal_error"),
        ("?serviceCode=dead", "network_error"),
    ] {
        let heard = pair.tax.ask(&Ask::get(&format!("getOpenAPI{query}"))).await;
        assert_eq!(
            (heard.status(), heard.code()),
            (500, format!("server.serverproxy.{leaf}").as_str()),
            "{query}: {heard:?}"
        );
        let text = heard.text();
        assert!(
            !["inside", "127.0.0.1", "http", "saatkond"].iter().any(|word| text.contains(word)),
            "{query}: {text}"
        );
    }
    for (code, leaf) in [
        (" ", "invalid_request"),
        ("none", "unknown_service"),
        ("bareSoap", "unknown_service"),
        ("moved", "service_type"),
        ("land", "service_type"),
        ("text", "internal_error"),
        ("deadWsdl", "network_error"),
    ] {
        let heard = wsdl(&pair, &format!("<x:serviceCode>{code}</x:serviceCode>")).await;
        let told = format!("<faultcode>server.serverproxy.{leaf}</faultcode>");
        assert!(heard.text().contains(&told), "{code}: {heard:?}");
    }
    let other = "<x:serviceCode>text</x:serviceCode><x:serviceVersion>v2</x:serviceVersion>";
    assert!(wsdl(&pair, other).await.text().contains(">server.serverproxy.unknown_service<"));
}

#[tokio::test]
async fn a_description_is_read_within_the_services_time_and_by_its_tls_rules() {
    let (known, other) = (Holder::self_signed(For::Tls, |_| ()), Holder::self_signed(For::Tls, |_| ()));
    let gate = Gate::default();
    let closed = gate.clone();
    let pair = Pair::answering(move |_| Answer::json("{}").after(&closed)).await;
    let (right, wrong) =
        (Service::start_tls(&known, described).await, Service::start_tls(&other, described).await);
    let pem = pair.home.directory().join("known.pem");
    std::fs::write(pem, known.pem()).unwrap();
    let provider =
        LAND.replace("connection = \"http\"", "connection = \"http\"\ncertificates = [\"known.pem\"]");
    let offers = [
        provider,
        describing("right", "openapi", &right.url("/api.yaml"), ""),
        describing("wrong", "openapi", &wrong.url("/api.yaml"), ""),
        describing("any", "openapi", &wrong.url("/api.yaml"), "verify_tls = false"),
        describing("silent", "openapi", &pair.service.url("/"), "timeout = \"200 ms\""),
    ];
    pair.home.change_server(&offers.concat()).await;
    for (code, expected) in [
        ("right", ""),
        ("any", ""),
        ("wrong", "server.serverproxy.ssl_authentication_failed"),
        ("silent", "server.serverproxy.io_error"),
    ] {
        let heard = pair.tax.ask(&Ask::get(&format!("getOpenAPI?serviceCode={code}"))).await;
        assert_eq!(heard.code(), expected, "{code}: {heard:?}");
    }
    gate.open();
}
