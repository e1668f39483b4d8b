//! What gateways tell of the instance, of services and of their descriptions.

use super::Pair;
use super::soap::{ask, envelope};
use saatkond_tests::site::answering;
use saatkond_tests::{Answer, Ask, Caller};
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
