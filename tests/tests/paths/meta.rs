//! What gateways tell of the instance, of services and of their descriptions.

use super::Pair;
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
