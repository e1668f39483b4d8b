//! Both paths at once: what one gateway asks and another answers, over real sockets.

mod bed;
mod recorded;

use crate::testbed::NOW;
use bed::{Land, Service, mute_door, ocsp_port_of_home, request, say, say_tls, tls_service};
use saatkond_proto::trust::ocsp::Status;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\
    Content-Length: 7\r\n\r\n{\"a\":1}";

#[tokio::test]
async fn a_question_crosses_and_its_answer_comes_back() {
    let mut service = Service::answering(OK).await;
    let land = Land::new().await;
    let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
    let heard = say(&tax, &request("GET", "land/titles/1?x=%2F", "X-Road-Id: q-1\r\nX-Z: z\r\n", b"")).await;
    assert_eq!((heard.status, heard.text().as_str()), (200, "{\"a\":1}"), "{heard:?}");
    assert_eq!(heard.header("x-road-id"), Some("q-1"));
    assert_eq!(heard.header("x-road-client"), Some("DEV/GOV/M1/TAX"));
    assert_eq!(heard.header("x-road-service"), Some("DEV/GOV/M2/LAND/land"));
    assert_eq!(heard.header("x-road-request-hash").map(str::len), Some(88));
    let asked = service.asked();
    assert!(asked.starts_with("GET /api/titles/1?x=%2F HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("x-road-client: dev/gov/m1/tax\r\n"), "{asked}");
    let (tax, home) = (tax.stop().await, home.stop().await);
    assert_eq!((tax.log.len(), home.log.len()), (2, 2));
}

/// Bytes that no two places of are alike.
fn large(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + i / 251) % 251).unwrap()).collect()
}

#[tokio::test]
async fn bodies_cross_whole_however_large() {
    for len in [1, 4096, 65_536, 65_537, 1_500_000] {
        let sent = large(len);
        let answer =
            [format!("HTTP/1.1 201 Created\r\nContent-Length: {len}\r\n\r\n").as_bytes(), &sent].concat();
        let mut service = Service::answering(answer).await;
        let land = Land::new().await;
        let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
        let heard = say(&tax, &request("POST", "land/titles", "Content-Type: a/b\r\n", &sent)).await;
        assert_eq!((heard.status, heard.body.len()), (201, len), "{}", heard.head);
        assert!(heard.body == sent, "the answer's body of {len} bytes");
        let asked = service.asked.try_recv().unwrap();
        assert!(asked.ends_with(&sent), "the request's body of {len} bytes");
        let (tax, home) = (tax.stop().await, home.stop().await);
        assert_eq!((tax.log.len(), home.log.len()), (2, 2));
    }
}

#[tokio::test]
async fn an_answer_without_length_and_one_without_body_cross() {
    let land = Land::new().await;
    let tax = land.tax().await;
    for (answer, status, body) in [
        ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc"),
        ("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", 204, ""),
        ("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", 500, "no"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    ] {
        let service = Service::answering(answer).await;
        let home = land.land("HOME", service.address).await;
        let heard = say(&tax, &request("GET", "land", "", b"")).await;
        assert_eq!((heard.status, heard.text().as_str()), (status, body), "{heard:?}");
        assert_eq!(heard.header("x-road-error"), None);
        home.stop().await;
    }
    tax.stop().await;
}

#[tokio::test]
async fn what_may_not_be_asked_ends_in_its_code() {
    let service = Service::answering(OK).await;
    let land = Land::new().await;
    let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
    let ours = "Host: x\r\nConnection: close\r\n";
    let client = "X-Road-Client: DEV/GOV/M1/TAX\r\n";
    for (line, headers, status, code) in [
        ("GET /r1/DEV/GOV/M2/LAND/secret", client, 500, "server.serverproxy.access_denied"),
        ("GET /r1/DEV/GOV/M2/LAND/nothing", client, 500, "server.serverproxy.unknown_service"),
        ("GET /r1/DEV/GOV/M2/LAND/off", client, 500, "server.serverproxy.service_disabled"),
        ("GET /r1/DEV/GOV/M2/LAND/dead", client, 500, "server.serverproxy.network_error"),
        ("POST /r1/DEV/GOV/M2/LAND/dead", client, 500, "server.serverproxy.network_error"),
        ("GET /r1/DEV/GOV/M9/LAND/land", client, 500, "server.clientproxy.unknown_member"),
        ("GET /r1/ZZ/GOV/M2/LAND/land", client, 500, "server.clientproxy.internal_error"),
        ("GET /r1/DEV/GOV/M2/LAND", client, 500, "server.clientproxy.internal_error"),
        ("BREW /r1/DEV/GOV/M2/LAND/land", client, 500, "server.clientproxy.internal_error"),
        ("GET /r1/DEV/GOV/M2/LAND/land", "", 500, "server.clientproxy.invalid_client_identifier"),
        (
            "GET /r1/DEV/GOV/M2/LAND/land",
            "X-Road-Client: DEV/GOV/M2/LAND\r\n",
            500,
            "server.clientproxy.unknown_member",
        ),
        (
            "GET /r1/DEV/GOV/M2/LAND/land",
            "X-Road-Client: DEV/GOV/M1/TAX\r\nX-Road-Security-Server: DEV/GOV/M1/TAX\r\n",
            500,
            "server.clientproxy.invalid_security_server",
        ),
    ] {
        let heard = say(&tax, format!("{line} HTTP/1.1\r\n{headers}{ours}\r\n").as_bytes()).await;
        assert_eq!((heard.status, heard.header("x-road-error")), (status, Some(code)), "{line} {heard:?}");
        assert_eq!(heard.header("content-type"), Some("application/json"));
        assert!(heard.text().contains(&format!("\"type\":\"{code}\"")), "{heard:?}");
    }
    let heard =
        say(&tax, format!("POST /soap HTTP/1.1\r\n{ours}Content-Length: 1\r\n\r\nx").as_bytes()).await;
    assert_eq!((heard.status, heard.header("content-type")), (200, Some("text/xml;charset=utf-8")));
    assert!(heard.text().contains("<faultcode>client.invalid_message</faultcode>"), "{heard:?}");
    let heard = say(&tax, format!("GET / HTTP/1.1\r\n{ours}\r\n").as_bytes()).await;
    assert!(heard.text().contains("<faultcode>client.invalid_http_method</faultcode>"), "{heard:?}");
    tax.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn who_is_refused_is_not_told_to_send_a_body() {
    let land = Land::new().await;
    let tax = land.tax().await;
    let head = "POST /r1/DEV/GOV/M9/X/y HTTP/1.1\r\nHost: x\r\nX-Road-Client: DEV/GOV/M1/TAX\r\n\
                Expect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    let heard = say(&tax, head.as_bytes()).await;
    assert_eq!(
        (heard.status, heard.header("x-road-error")),
        (500, Some("server.clientproxy.unknown_member"))
    );
    // Whoever sends it unasked is heard out, and hears the answer.
    let body = large(300_000);
    let mut request = request("POST", "x", "", &body);
    let at = request.windows(2).position(|w| w == b"M2").unwrap();
    request[at + 1] = b'9';
    let heard = say(&tax, &request).await;
    assert_eq!(
        (heard.status, heard.header("x-road-error")),
        (500, Some("server.clientproxy.unknown_member"))
    );
    tax.stop().await;
}

#[tokio::test]
async fn a_dead_home_leaves_the_question_to_the_embassy() {
    let service = Service::answering(OK).await;
    let land = Land::new().await;
    let (tax, embassy) = (land.tax().await, land.land("EMBASSY", service.address).await);
    for _ in 0..2 {
        let heard = say(&tax, &request("POST", "land", "", b"{}")).await;
        assert_eq!(heard.status, 200, "{heard:?}");
    }
    let named = "X-Road-Security-Server: DEV/GOV/M2/HOME\r\n";
    let heard = say(&tax, &request("GET", "land", named, b"")).await;
    assert_eq!(heard.header("x-road-error"), Some("server.clientproxy.network_error"), "{heard:?}");
    assert_eq!((tax.stop().await.log.len(), embassy.stop().await.log.len()), (4, 4));
}

#[tokio::test]
async fn the_operator_says_which_door_is_home() {
    let (mut at_home, mut abroad) = (Service::answering(OK).await, Service::answering(OK).await);
    let mut land = Land::new().await;
    land.peers = "doors = [{ provider = \"DEV/GOV/M2\", servers = [\"DEV/GOV/M2/EMBASSY\"] }]".to_owned();
    let home = land.land("HOME", at_home.address).await;
    let embassy = land.land("EMBASSY", abroad.address).await;
    let tax = land.tax().await;
    assert_eq!(say(&tax, &request("GET", "land", "", b"")).await.status, 200);
    assert!(abroad.asked().starts_with("GET /api "));
    assert!(at_home.asked.try_recv().is_err());
    for served in [tax, home, embassy] {
        served.stop().await;
    }
}

#[tokio::test]
async fn a_write_that_was_handed_over_is_never_repeated_and_a_read_is() {
    let mut service = Service::answering(OK).await;
    let land = Land::new().await;
    let mut taken = mute_door(&land).await;
    let port = ocsp_port_of_home(&land, Status::Good).await;
    let (tax, embassy) = (land.tax().await, land.land("EMBASSY", service.address).await);
    let heard = say(&tax, &request("POST", "land", "", b"{}")).await;
    assert_eq!(
        (heard.status, heard.header("x-road-error")),
        (500, Some("server.clientproxy.outcome_unknown"))
    );
    assert!(heard.text().contains("whether it took effect is not known"), "{heard:?}");
    let message = taken.try_recv().unwrap();
    assert!(
        message.starts_with(b"POST / HTTP/1.1\r\nx-road-message-type: REST\r\nx-hash-algorithm: SHA-512\r\n")
    );
    assert!(service.asked.try_recv().is_err(), "the write went to another door");
    // The door failed: for five seconds it is asked last, so it has to be named.
    tax.gateway.net.health.forget();
    let heard = say(&tax, &request("GET", "land", "", b"")).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(taken.try_recv().is_ok(), "home was not asked first");
    assert!(service.asked().starts_with("GET /api "));
    port.abort();
    // Sent twice, signed and recorded once.
    assert_eq!((tax.stop().await.log.len(), embassy.stop().await.log.len()), (3, 2));
}

#[tokio::test]
async fn a_gateway_that_nobody_registered_is_told_so() {
    let service = Service::answering(OK).await;
    let mut land = Land::new().await;
    let home = land.land("HOME", service.address).await;
    let servers: Vec<_> = land.shared.servers.iter().map(|s| s.auth_cert_hashes.clone()).collect();
    // Home does not know of the consumer's certificate; the consumer does.
    let known = land.shared.servers.clone();
    land.shared.servers[0].auth_cert_hashes.clear();
    let blind = land.bed.conf_of(land.shared.clone());
    home.gateway.believe(blind);
    land.shared.servers = known;
    assert_eq!(servers.len(), 3);
    let tax = land.tax().await;
    let heard = say(&tax, &request("POST", "land", "", b"{}")).await;
    assert_eq!(
        heard.header("x-road-error"),
        Some("server.clientproxy.ssl_authentication_failed"),
        "{heard:?}"
    );
    assert_eq!((tax.stop().await.log.len(), home.stop().await.log.len()), (1, 0));
}

#[tokio::test]
async fn connections_are_kept_and_closed_when_the_other_side_goes() {
    let service = Service::answering(OK).await;
    let land = Land::new().await;
    let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
    assert_eq!(say(&tax, &request("GET", "land", "", b"")).await.status, 200);
    home.stop().await;
    tokio::time::timeout(Duration::from_secs(5), async {
        // Whoever takes a kept connection finds it closed, and knocks again.
        let home = land.land("HOME", service.address).await;
        assert_eq!(say(&tax, &request("POST", "land", "", b"{}")).await.status, 200);
        home.stop().await;
    })
    .await
    .unwrap();
    tax.stop().await;
}

#[tokio::test]
async fn information_systems_connect_as_their_client_says() {
    let service = Service::answering(OK).await;
    let land = Land::new().await;
    let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
    let as_client = |client: &str| {
        let text = String::from_utf8(request("GET", "secret", "", b"")).unwrap();
        text.replace("DEV/GOV/M1/TAX", &format!("DEV/GOV/M1/{client}")).into_bytes()
    };
    // Whoever is let in is refused by the provider.
    let (inside, outside) =
        (Some("server.serverproxy.access_denied"), Some("server.clientproxy.ssl_authentication_failed"));
    let stranger = &land.home;
    for (client, plain, anonymous, with_own, with_other) in [
        ("TAX", inside, inside, inside, inside),
        ("TLSONLY", outside, inside, inside, inside),
        ("TLSCERT", outside, outside, inside, outside),
    ] {
        let asked = as_client(client);
        let heard = [
            (say(&tax, &asked).await, plain),
            (say_tls(&tax, None, &asked).await, anonymous),
            (say_tls(&tax, Some(&land.client), &asked).await, with_own),
            (say_tls(&tax, Some(stranger), &asked).await, with_other),
        ];
        for (at, (heard, expected)) in heard.iter().enumerate() {
            assert_eq!(heard.header("x-road-error"), *expected, "{client} {at} {heard:?}");
        }
    }
    let heard = say_tls(&tax, Some(&land.internal), &as_client("TLSCERT")).await;
    assert_eq!(heard.header("x-road-error"), inside, "the gateway's own certificate stands for anybody");
    tax.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn a_service_over_tls_must_show_a_certificate_of_the_provider() {
    let mut land = Land::new().await;
    land.tls_service = tls_service(&land.internal, OK).await;
    let tax = land.tax().await;
    let home = land.land("HOME", land.tls_service).await;
    for _ in 0..2 {
        // The second session is resumed, and judged all the same.
        assert_eq!(say(&tax, &request("GET", "tls", "", b"")).await.status, 200);
    }
    home.stop().await;
    land.certificates = "certificates = [\"client.pem\"]\n".to_owned();
    let home = land.land("HOME", land.tls_service).await;
    let heard = say(&tax, &request("GET", "tls", "", b"")).await;
    assert_eq!(
        heard.header("x-road-error"),
        Some("server.serverproxy.ssl_authentication_failed"),
        "{heard:?}"
    );
    tax.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn a_peer_whose_certificate_was_revoked_is_asked_nothing() {
    let land = Land::new().await;
    let mut taken = mute_door(&land).await;
    let port = ocsp_port_of_home(&land, Status::Revoked { at: NOW }).await;
    let tax = land.tax().await;
    let only_home = "X-Road-Security-Server: DEV/GOV/M2/HOME\r\n";
    let heard = say(&tax, &request("GET", "land", only_home, b"")).await;
    let expected = "server.clientproxy.ssl_authentication_failed.invalid_cert_path.cert_validation";
    assert_eq!(heard.header("x-road-error"), Some(expected), "{heard:?}");
    port.abort();
    let heard = say(&tax, &request("GET", "land", only_home, b"")).await;
    assert_eq!(heard.header("x-road-error"), Some(expected), "{heard:?}");
    assert_eq!(taken.try_recv().unwrap_or_default(), b"", "something was sent to a revoked peer");
    assert_eq!(tax.stop().await.log.len(), 0);
}

#[tokio::test]
async fn a_version_that_is_too_old_is_not_served() {
    let service = Service::answering(OK).await;
    let mut land = Land::new().await;
    let tax = land.tax().await;
    for (oldest, code) in
        [("7.6.0", None), ("7.8.1", Some("server.serverproxy.client_proxy_version_not_supported"))]
    {
        land.peers_of_provider = format!("oldest = \"{oldest}\"");
        let home = land.land("HOME", service.address).await;
        let heard = say(&tax, &request("POST", "land", "", b"{}")).await;
        assert_eq!(heard.header("x-road-error"), code, "{oldest} {heard:?}");
        home.stop().await;
    }
    tax.stop().await;
}
