//! Who may call what: rights of clients, groups and local groups, on services and endpoints; and how information systems
//! must connect.

use saatkond::jobs::Job;
use saatkond_ca::instance::v1::Group;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Asker, Caller, Federation, For, Holder, Service};

/// Spec: message-path §4.6; trust-and-configuration §5.5.
#[tokio::test]
async fn rights_are_of_clients_groups_and_endpoints() {
    let federation = Federation::new().await;
    federation.change(|file| {
        file.groups.push(Group {
            code: "traders".to_owned(),
            description: "Traders".to_owned(),
            members: vec!["DEV/COM/M3/SHIPS".to_owned()],
        });
    });
    let service = Service::start(|_| Answer::json("{}")).await;
    let url = service.url("");
    let server_toml = format!(
        r#"version = 1
[[client]]
id = "DEV/GOV/M2/LAND"
connection = "http"

[[client.local_group]]
code = "friends"
members = ["DEV/GOV/M1/TAX"]

[[client.service]]
code = "ofClient"
url = "{url}"
allow = [{{ client = "DEV/GOV/M1/TAX" }}]

[[client.service]]
code = "ofMember"
url = "{url}"
allow = [{{ client = "DEV/GOV/M1" }}]

[[client.service]]
code = "ofGroup"
url = "{url}"
allow = [{{ group = "DEV/traders" }}]

[[client.service]]
code = "ofFriends"
url = "{url}"
allow = [{{ local_group = "friends" }}]

[[client.service]]
code = "ofNobody"
url = "{url}"

[[client.service]]
code = "byEndpoint"
url = "{url}"
[[client.service.endpoint]]
method = "GET"
path = "/titles/*"
allow = [{{ client = "DEV/GOV/M1/TAX" }}]
[[client.service.endpoint]]
path = "/open/**"
allow = [{{ client = "DEV/GOV/M1/TAX" }}, {{ group = "DEV/traders" }}]
"#
    );
    let home = federation.open("HOME", &server_toml).await;
    let (tax, ships) = (Asker::of(&federation, "TAX"), Asker::of(&federation, "PORT"));
    let cases = [
        ("GET", "ofClient", true, false),
        ("POST", "ofClient/any/path", true, false),
        ("GET", "ofMember", false, false),
        ("GET", "ofGroup", false, true),
        ("GET", "ofFriends", true, false),
        ("GET", "ofNobody", false, false),
        ("GET", "byEndpoint/titles/1", true, false),
        ("GET", "byEndpoint/titles/1/2", false, false),
        ("GET", "byEndpoint/titles", false, false),
        ("POST", "byEndpoint/titles/1", false, false),
        ("GET", "byEndpoint", false, false),
        ("DELETE", "byEndpoint/open/a/b", true, true),
        ("GET", "byEndpoint/open/../titles/1", true, false),
        ("GET", "byEndpoint/titles%2F1", true, false),
        ("GET", "byEndpoint/open/../../x", false, false),
        ("GET", "byEndpoint/titles/1?path=/open/x", true, false),
    ];
    let mut done = 0;
    for (method, path, of_tax, of_ships) in cases {
        let both = [(&tax, "DEV/GOV/M1/TAX", of_tax), (&ships, "DEV/COM/M3/SHIPS", of_ships)];
        for (asker, client, may) in both {
            let told = asker.ask(&federation, "HOME", &Ask::new(method, path).client(client)).await;
            assert_eq!(told.code(), if may { "" } else { "access_denied" }, "{client} {method} {path}");
            done += usize::from(may);
        }
    }
    assert_eq!(service.asked.len(), done);
    // A group is the instance's: who leaves it has no right any more.
    federation.change(|file| file.groups[0].members.clear());
    home.refresh().await;
    let ships = Asker::of(&federation, "PORT");
    let told = ships.ask(&federation, "HOME", &Ask::get("ofGroup").client("DEV/COM/M3/SHIPS")).await;
    assert_eq!(told.code(), "access_denied");
}

/// Spec: message-path §1.3.
#[tokio::test]
async fn information_systems_connect_as_their_client_must() {
    let federation = Federation::new().await;
    let service = Service::start(|_| Answer::json("{}")).await;
    let _home = federation.open("HOME", &answering(&service.url(""))).await;
    let (known, other) = (Holder::self_signed(For::Tls, |_| ()), Holder::self_signed(For::Tls, |_| ()));
    let tax = federation.open("TAX", ASKING).await;
    std::fs::write(tax.directory().join("known.pem"), known.pem()).unwrap();
    let internal = tax.internal.clone();
    let refused = "server.clientproxy.ssl_authentication_failed";
    let cases = [
        ("http", [("", ""), ("", ""), ("", ""), ("", "")]),
        ("https", [(refused, ""), ("", ""), ("", ""), ("", "")]),
        ("mutual-tls", [(refused, ""), (refused, ""), (refused, ""), ("", "")]),
    ];
    for (connection, expected) in cases {
        let with = if connection == "mutual-tls" { "certificates = [\"known.pem\"]\n" } else { "" };
        tax.change_server(&format!("{}{with}", ASKING.replace("\"http\"", &format!("\"{connection}\""))))
            .await;
        let plain = tax.ask(&Ask::get("land")).await;
        assert_eq!(plain.code(), expected[0].0, "{connection}: {}", plain.text());
        for (place, shows) in [(1, None), (2, Some(&other)), (3, Some(&known))] {
            let mut caller = Caller::connect_tls(tax.clients_tls, shows).await.unwrap();
            let heard = caller.ask(&Ask::get("land")).await;
            assert_eq!(heard.code(), expected[place].0, "{connection} {place}: {}", heard.text());
        }
        let mut caller = Caller::connect_tls(tax.clients_tls, Some(&internal)).await.unwrap();
        assert_eq!(caller.ask(&Ask::get("land")).await.code(), "", "{connection}: its own certificate");
    }
    // A certificate whose key the caller has not proves nothing.
    let stolen = known.with_key_of(&other);
    let asked =
        async { Caller::connect_tls(tax.clients_tls, Some(&stolen)).await?.try_ask(&Ask::get("land")).await };
    assert!(asked.await.is_err());
}

/// Spec: message-path §2.15.
#[tokio::test]
async fn a_service_over_https_shows_a_certificate_of_its_provider() {
    let federation = Federation::new().await;
    let (known, other) = (Holder::self_signed(For::Tls, |_| ()), Holder::self_signed(For::Tls, |_| ()));
    let good = Service::start_tls(&known, |_| Answer::json("{}")).await;
    let strange = Service::start_tls(&other, |_| Answer::json("{}")).await;
    let stolen = Service::start_tls(&known.with_key_of(&other), |_| Answer::json("{}")).await;
    let service = |code: &str, url: &str, more: &str| {
        format!(
            "[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\n{more}\
             allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
        )
    };
    let not_verified = "verify_tls = false\n";
    let server_toml = [
        "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\ncertificates = [\"known.pem\"]\n"
            .to_owned(),
        service("good", &good.url(""), ""),
        service("strange", &strange.url(""), ""),
        service("trusted", &strange.url(""), not_verified),
        service("stolen", &stolen.url(""), not_verified),
    ]
    .concat();
    let keys = federation.place("HOME").keys.clone();
    std::fs::write(keys.parent().unwrap().join("known.pem"), known.pem()).unwrap();
    let home = federation.open("HOME", &server_toml).await;
    let tax = federation.open("TAX", ASKING).await;
    let refused = "server.serverproxy.ssl_authentication_failed";
    for (code, fault) in [("good", ""), ("strange", refused), ("trusted", ""), ("stolen", refused)] {
        for _ in 0..2 {
            let heard = tax.ask(&Ask::get(code)).await;
            assert_eq!(heard.code(), fault, "{code}: {}", heard.text());
        }
    }
    let asked = good.asked.all();
    assert_eq!(asked[0].shown.as_deref(), Some(home.internal.certificate.der()), "and is shown our own");
    assert_eq!(asked[1].connection, 1, "the connection is kept");
    assert_eq!((strange.asked.len(), stolen.asked.len()), (2, 0));
    // A kept connection is judged anew with each call.
    std::fs::write(home.directory().join("known.pem"), other.pem()).unwrap();
    home.run(Job::ServerConf).await;
    assert_eq!(tax.ask(&Ask::get("good")).await.code(), refused);
    assert_eq!(tax.ask(&Ask::get("strange")).await.code(), "");
}

#[tokio::test]
async fn a_callers_connection_is_kept_or_closed_as_it_says() {
    let federation = Federation::new().await;
    let service = Service::start(|asked| Answer::new("200 OK", &[], &asked.body)).await;
    let _home = federation.open("HOME", &answering(&service.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    let mut caller = tax.caller().await;
    for number in 0..3 {
        let body = format!("{number}");
        assert_eq!(caller.ask(&Ask::post("land", body.as_str())).await.text(), body);
        // A fault does not end it either.
        assert_eq!(caller.ask(&Ask::get("none")).await.code(), "server.serverproxy.unknown_service");
    }
    let connections: Vec<usize> = service.asked.all().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [1, 1, 1], "the service's connection is kept");
    assert_eq!(caller.ask(&Ask::get("land").line("Connection", "close")).await.status(), 200);
    assert!(caller.has_ended().await);
    // Two requests in one breath are answered in turn.
    let mut caller = tax.caller().await;
    let both = [Ask::post("land", "first").bytes(), Ask::post("land", "second").bytes()].concat();
    caller.say(&both).await.unwrap();
    assert_eq!(caller.hear("POST").await.unwrap().text(), "first");
    assert_eq!(caller.hear("POST").await.unwrap().text(), "second");
    // HTTP/1.0 ends with the answer.
    let mut caller = tax.caller().await;
    let old = b"GET /r1/DEV/GOV/M2/LAND/land HTTP/1.0\r\nX-Road-Client: DEV/GOV/M1/TAX\r\n\r\n";
    caller.say(old).await.unwrap();
    assert_eq!(caller.hear("GET").await.unwrap().status(), 200);
    assert!(caller.has_ended().await);
    // A caller that waits before it sends its body is told to go on.
    let mut caller = tax.caller().await;
    let waits = Ask::post("land", "").line("Expect", "100-continue");
    let head = String::from_utf8(waits.bytes()).unwrap().replace("Content-Length: 0", "Content-Length: 4");
    caller.say(head.as_bytes()).await.unwrap();
    assert_eq!(caller.hear("HEAD").await.unwrap().status(), 100);
    caller.say(b"late").await.unwrap();
    assert_eq!(caller.hear("POST").await.unwrap().text(), "late");
}

/// Seen: message-path §1.1.
#[tokio::test]
async fn a_body_that_does_not_come_whole_goes_nowhere() {
    let federation = Federation::new().await;
    let service = Service::start(|_| Answer::json("{}")).await;
    let _home = federation.open("HOME", &answering(&service.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    for ask in [Ask::post("land", vec![b'a'; 1000]), Ask::post("land", vec![b'a'; 1000]).chunked(100)] {
        let mut caller = tax.caller().await;
        let bytes = ask.bytes();
        caller.say(&bytes[..bytes.len() - 50]).await.unwrap();
        caller.finish().await.unwrap();
        let heard = caller.hear("POST").await;
        let code = heard.map(|heard| (heard.status(), heard.code().to_owned()));
        assert_eq!(code.unwrap(), (500, "server.clientproxy.io_error".to_owned()));
    }
    assert!(service.asked.is_empty() && tax.log().is_empty());
}
