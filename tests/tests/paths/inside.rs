//! TLS with information systems: every kind of key on both sides, TLS 1.2 and 1.3, and what certificates are checked.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use saatkond::jobs::Job;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Caller, Federation, Holder, Service, one_version};

/// Two keys of each kind, from the project's vectors: one that is known, and one that is not.
const KINDS: [(&str, &str, &str); 2] = [("RSA-2048", "m1", "tsa"), ("P-256", "m2", "m4")];
const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)];

/// What the gateways show inside: of each kind one.
fn internals() -> Vec<(&'static str, Holder)> {
    [("RSA-2048", "root"), ("P-256", "middle"), ("P-384", "m3")]
        .map(|(kind, name)| (kind, Holder::with_stored_key(name)))
        .into()
}

#[tokio::test]
async fn callers_with_keys_of_every_kind_are_known_by_their_certificate() {
    let callers = KINDS
        .map(|(kind, known, other)| (kind, Holder::with_stored_key(known), Holder::with_stored_key(other)));
    for (internal_kind, internal) in internals() {
        let federation = Federation::new().await;
        let service = Service::start(|_| Answer::json("{}")).await;
        let _home = federation.open("HOME", &answering(&service.url(""))).await;
        federation.show_inside("TAX", &internal);
        let tax = federation.open("TAX", ASKING).await;
        let known: String = callers.iter().map(|(_, known, _)| known.pem()).collect();
        std::fs::write(tax.directory().join("known.pem"), known).unwrap();
        let mutual = ASKING.replace("\"http\"", "\"mutual-tls\"\ncertificates = [\"known.pem\"]");
        tax.change_server(&mutual).await;
        let refused = "server.clientproxy.ssl_authentication_failed";
        for (version_name, version) in VERSIONS {
            for (kind, known, other) in &callers {
                let told = format!("we show {internal_kind}, the caller {kind}, {version_name}");
                let asked = async |shows: Option<&Holder>| {
                    let config = one_version::asking(version, shows);
                    let mut caller = Caller::connect_by(tax.clients_tls, config).await.unwrap();
                    let codes =
                        [caller.ask(&Ask::get("land")).await, caller.ask(&Ask::post("land", "{}")).await];
                    codes.map(|heard| heard.code().to_owned())
                };
                assert_eq!(asked(Some(known)).await, ["", ""], "{told}");
                assert_eq!(asked(Some(other)).await, [refused, refused], "{told}");
                assert_eq!(asked(None).await, [refused, refused], "{told}");
            }
        }
    }
}

#[tokio::test]
async fn services_with_keys_of_every_kind_are_known_by_their_certificate() {
    let services = KINDS
        .map(|(kind, known, other)| (kind, Holder::with_stored_key(known), Holder::with_stored_key(other)));
    for (internal_kind, internal) in internals() {
        let federation = Federation::new().await;
        federation.show_inside("HOME", &internal);
        let tax = federation.open("TAX", ASKING).await;
        let land = "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n";
        let home = federation.open("HOME", land).await;
        let known: String = services.iter().map(|(_, known, _)| known.pem()).collect();
        std::fs::write(home.directory().join("known.pem"), known).unwrap();
        let refused = "server.serverproxy.ssl_authentication_failed";
        for (version_name, version) in VERSIONS {
            for (kind, known, other) in &services {
                let told = format!("we show {internal_kind}, the service {kind}, {version_name}");
                let start = |holder| {
                    Service::start_by(one_version::answering(version, holder), |_| Answer::json("{}"))
                };
                let (good, strange) = (start(known).await, start(other).await);
                let service = |code: &str, service: &Service, more: &str| {
                    let (url, allow) = (service.url(""), "allow = [{ client = \"DEV/GOV/M1/TAX\" }]");
                    format!("[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\n{more}{allow}\n")
                };
                let certificates = "certificates = [\"known.pem\"]\n";
                let all = [
                    service("good", &good, ""),
                    service("strange", &strange, ""),
                    service("any", &strange, "verify_tls = false\n"),
                ];
                home.change_server(&format!("{land}{certificates}{}", all.concat())).await;
                for (code, fault) in [("good", ""), ("strange", refused), ("any", "")] {
                    for ask in [Ask::get(code), Ask::post(code, "{}")] {
                        let heard = tax.ask(&ask).await;
                        assert_eq!(heard.code(), fault, "{told}, {code}: {}", heard.text());
                    }
                }
                let shown = |service: &Service| -> Vec<(usize, Option<Vec<u8>>)> {
                    service.asked.all().iter().map(|asked| (asked.connection, asked.shown.clone())).collect()
                };
                let ours = || Some(internal.certificate.der().to_vec());
                assert_eq!(
                    shown(&good),
                    [(1, ours()), (1, ours())],
                    "{told}: our own is shown, the connection kept"
                );
                let strange = shown(&strange);
                assert!(strange.len() == 2 && strange.iter().all(|(_, shown)| *shown == ours()), "{told}");
                assert_eq!(strange[0].0, strange[1].0, "{told}: kept where nothing is checked, too");
            }
        }
    }
}

/// A renewed certificate is put in the place of the old one; nothing else is touched.
#[tokio::test]
async fn certificates_put_in_place_of_others_are_taken_over() {
    let (old, new) = (Holder::with_stored_key("m1"), Holder::with_stored_key("m2"));
    let federation = Federation::new().await;
    let service = Service::start_tls(&new, |_| Answer::json("{}")).await;
    let certificates = "connection = \"http\"\ncertificates = [\"service.pem\"]";
    let server_toml = answering(&service.url("")).replace("connection = \"http\"", certificates);
    let place = federation.place("HOME").keys.parent().unwrap().to_owned();
    std::fs::write(place.join("service.pem"), old.pem()).unwrap();
    let home = federation.open("HOME", &server_toml).await;
    let tax = federation.open("TAX", ASKING).await;
    std::fs::write(tax.directory().join("caller.pem"), old.pem()).unwrap();
    tax.change_server(&ASKING.replace("\"http\"", "\"mutual-tls\"\ncertificates = [\"caller.pem\"]")).await;
    let asked = async |shows: &Holder| {
        let mut caller = Caller::connect_tls(tax.clients_tls, Some(shows)).await.unwrap();
        caller.ask(&Ask::get("land")).await.code().to_owned()
    };
    assert_eq!(asked(&new).await, "server.clientproxy.ssl_authentication_failed");
    assert_eq!(asked(&old).await, "server.serverproxy.ssl_authentication_failed");
    std::fs::write(home.directory().join("service.pem"), new.pem()).unwrap();
    home.run(Job::ServerConf).await;
    assert_eq!(asked(&old).await, "");
    std::fs::write(tax.directory().join("caller.pem"), new.pem()).unwrap();
    tax.run(Job::ServerConf).await;
    assert_eq!(asked(&new).await, "");
    assert_eq!(asked(&old).await, "server.clientproxy.ssl_authentication_failed");
}

/// Each service has a time limit of its own, over kept connections, too.
#[tokio::test]
async fn each_service_has_its_own_time() {
    let federation = Federation::new().await;
    let gate = saatkond_tests::Gate::default();
    let held = gate.clone();
    let service = Service::start(move |asked| match asked.target.as_str() {
        "/waits" => Answer::json("\"late\"").after(&held),
        _ => Answer::json("{}"),
    })
    .await;
    let of = |code: &str, timeout: &str| {
        let url = service.url("");
        format!(
            "[[client.service]]\ncode = \"{code}\"\nurl = \"{url}\"\ntimeout = \"{timeout}\"\n\
             allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
        )
    };
    let land = "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n";
    let _home =
        federation.open("HOME", &[land.to_owned(), of("short", "100 ms"), of("long", "20 s")].concat()).await;
    let tax = federation.open("TAX", ASKING).await;
    for code in ["short", "long"] {
        assert_eq!(tax.ask(&Ask::get(code)).await.code(), "");
    }
    let (patient, impatient) = (Ask::get("long/waits"), Ask::get("short/waits"));
    let waiting = tax.ask(&patient);
    let cut = async {
        let heard = tax.ask(&impatient).await;
        gate.open();
        heard
    };
    let (waited, cut) = tokio::join!(waiting, cut);
    assert_eq!((waited.status(), waited.text().as_str()), (200, "\"late\""), "{waited:?}");
    assert_eq!(cut.code(), "server.serverproxy.io_error");
    assert!(cut.text().contains("within 100ms"), "{}", cut.text());
}
