//! From one information system to the other and back, through two real gateways.

use crate::Pair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond::messagelog::{Attachment, Direction, Kind};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::message::rest::Method;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Caller, Federation, Gate, Service, spawn_asking};

fn sha512(bytes: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha512.digest(bytes)
}

#[tokio::test]
async fn a_question_crosses_and_its_answer_comes_back() {
    let answer = |_: &_| Answer::json(r#"{"owner":"EE"}"#);
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let heard = tax.ask(&Ask::get("land/titles/1?x=%2F").line("X-Road-Id", "q-1")).await;
    assert_eq!((heard.status(), heard.text().as_str()), (200, r#"{"owner":"EE"}"#), "{heard:?}");
    assert_eq!(heard.line("x-road-id"), Some("q-1"));
    assert_eq!(heard.line("x-road-client"), Some("DEV/GOV/M1/TAX"));
    assert_eq!(heard.line("x-road-service"), Some("DEV/GOV/M2/LAND/land"));
    assert_eq!((heard.code(), heard.line("content-type")), ("", Some("application/json")));
    let asked = service.asked.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/api/titles/1?x=%2F"));
    assert_eq!(asked.all("x-road-client"), ["DEV/GOV/M1/TAX"]);
    assert_eq!(asked.line("x-road-id"), Some("q-1"));
    assert_eq!(asked.line("x-road-request-id"), heard.line("x-road-request-id"));

    let (of_tax, of_home) = (tax.log(), home.log());
    let kinds = |log: &[saatkond::messagelog::reader::Found]| {
        log.iter().map(|f| (f.message.kind, f.message.direction)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&of_tax), [(Kind::Request, Direction::Sent), (Kind::Response, Direction::Received)]);
    assert_eq!(kinds(&of_home), [(Kind::Request, Direction::Received), (Kind::Response, Direction::Sent)]);
    for place in 0..2 {
        assert_eq!(of_tax[place].message.message, of_home[place].message.message);
        assert_eq!(of_tax[place].message.proof, of_home[place].message.proof);
    }
    let hash = STANDARD.encode(sha512(&of_tax[0].message.message));
    assert_eq!(heard.line("x-road-request-hash"), Some(hash.as_str()));
}

#[tokio::test]
async fn every_method_crosses() {
    let answer = |_: &_| Answer::new("200 OK", &[("X-Told", "yes")], "told");
    let Pair { tax, service, home: _home, federation: _federation } = Pair::answering(answer).await;
    let mut caller = tax.caller().await;
    for method in Method::ALL {
        let heard = caller.ask(&Ask::new(method.name(), "land/x")).await;
        assert_eq!((heard.status(), heard.line("x-told")), (200, Some("yes")), "{method:?} {heard:?}");
        assert_eq!(heard.text(), if method == Method::Head { "" } else { "told" }, "{method:?}");
        let asked = service.asked.last();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), (method.name(), "/api/x"));
        assert!(asked.body.is_empty());
    }
    assert_eq!(service.asked.len(), Method::ALL.len());
}

/// Seen: message-path §2.15: a body with GET or DELETE is signed and kept, and not forwarded.
#[tokio::test]
async fn a_body_goes_where_its_method_carries_one() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    for method in Method::ALL {
        let heard = tax.ask(&Ask::new(method.name(), "land").body(method.name())).await;
        assert_eq!(heard.status(), 200, "{method:?} {heard:?}");
        let forwarded = if method.carries_body() { method.name() } else { "" };
        assert_eq!(String::from_utf8_lossy(&service.asked.last().body), forwarded, "{method:?}");
        let request = &home.log()[(service.asked.len() - 1) * 2].message;
        assert_eq!(request.attachments, [Attachment::Inline(method.name().as_bytes().to_vec().into())]);
        let hash = sha512(&[sha512(&request.message), sha512(method.name().as_bytes())].concat());
        assert_eq!(heard.line("x-road-request-hash"), Some(STANDARD.encode(hash).as_str()), "{method:?}");
    }
}

/// Seen: message-path §1.4.3: where not a byte came there is no body part, and the request hash is the block's.
#[tokio::test]
async fn an_empty_body_is_none() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let asks = [Ask::new("POST", "land"), Ask::post("land", ""), Ask::post("land", "").chunked(10)];
    for (place, ask) in asks.iter().enumerate() {
        let heard = tax.ask(ask).await;
        assert_eq!(heard.status(), 200, "{ask:?} {heard:?}");
        let request = &home.log()[place * 2].message;
        assert!(request.attachments.is_empty() && request.proof.hash_chain.is_none(), "{ask:?}");
        let hash = STANDARD.encode(sha512(&request.message));
        assert_eq!(heard.line("x-road-request-hash"), Some(hash.as_str()), "{ask:?}");
        assert!(service.asked.last().body.is_empty());
    }
}

/// Seen: message-path §2.8: the answer has a body part wherever HTTP allows one, though it be empty.
#[tokio::test]
async fn an_answers_body_part_is_there_where_http_allows_one() {
    let answer = |asked: &saatkond_tests::Asked| match asked.target.as_str() {
        "/api/empty" => Answer::new("200 OK", &[], ""),
        "/api/none" => Answer::raw("HTTP/1.1 204 No Content\r\nX-Told: yes\r\n\r\n"),
        "/api/same" => Answer::raw("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 9\r\n\r\n"),
        _ => Answer::json("{}"),
    };
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let mut caller = tax.caller().await;
    let cases = [
        ("GET", "land/empty", 200, true),
        ("GET", "land/none", 204, false),
        ("GET", "land/same", 304, false),
        ("HEAD", "land/x", 200, false),
        ("GET", "land/x", 200, true),
    ];
    for (place, (method, path, status, has_part)) in cases.into_iter().enumerate() {
        let heard = caller.ask(&Ask::new(method, path)).await;
        assert_eq!(heard.status(), status, "{method} {path} {heard:?}");
        // A chain is made for a message of two parts, not for one of one.
        let response = &home.log()[place * 2 + 1].message;
        assert_eq!(response.proof.hash_chain.is_some(), has_part, "{method} {path}");
    }
    assert_eq!(caller.ask(&Ask::get("land/same")).await.line("etag"), Some("\"1\""));
    assert_eq!(service.asked.len(), cases.len() + 1);
}

#[tokio::test]
async fn large_bodies_cross_by_way_of_the_spool() {
    // Above `limits.spool_memory`, above a piece, in both directions.
    const LARGE: usize = 700_001;
    let body: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    let gate = Gate::default();
    let (told, held) = (body.clone(), gate.clone());
    let answer = move |_: &_| Answer::new("200 OK", &[], &told).after(&held);
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let (plain, chunked) = (Ask::post("land", body.clone()), Ask::post("land", body.clone()).chunked(60_000));
    let waiting = async {
        service.asked.wait_for(1).await;
        assert_eq!((tax.spooled(), home.spooled()), (1, 1));
        gate.open();
    };
    let (heard, ()) = tokio::join!(tax.ask(&plain), waiting);
    for heard in [heard, tax.ask(&chunked).await] {
        assert_eq!(heard.status(), 200);
        assert!(heard.body == body && service.asked.last().body == body);
    }
    for found in home.log().iter().chain(&tax.log()) {
        let kept = &found.message.attachments;
        assert!(
            matches!(&kept[..], [Attachment::File { digest, .. }] if *digest == sha512(&body)),
            "{kept:?}"
        );
    }
    assert_eq!((tax.spooled(), home.spooled()), (0, 0), "the spool is empty once all is told");
}

#[tokio::test]
async fn a_body_that_is_too_large_ends_in_a_fault_and_reaches_nobody() {
    let answer = |_: &_| Answer::new("200 OK", &[], [b'a'; 50_000]);
    let small = "[limits]\nbody_max = \"40 KiB\"\n";
    let Pair { tax, home, service, federation } = Pair::with(answer, "", small).await;
    let heard = tax.ask(&Ask::post("land", vec![b'a'; 50_000])).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.serverproxy.invalid_request"), "{heard:?}");
    assert!(service.asked.is_empty() && home.log().is_empty());
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.serverproxy.invalid_request"), "{heard:?}");
    tax.stop().await;
    let tax = federation.open_with("TAX", ASKING, small).await;
    let heard = tax.ask(&Ask::post("land", vec![b'a'; 50_000])).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.invalid_request"), "{heard:?}");
    assert_eq!(service.asked.len(), 1);
}

#[tokio::test]
async fn headers_cross_in_order_with_their_letter_case_repeated_and_empty() {
    let answer = |_: &_| {
        Answer::raw(
            b"HTTP/1.1 200 Fine \xe4\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nX-Empty:\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
              X-Latin: \xf5\r\nServer: s\r\nKeep-Alive: timeout=5\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n\
              X-Road-Id: forged\r\nX-Road-Client: DEV/GOV/M9\r\nX-Road-Request-Hash: forged\r\n\
              X-Road-Request-Id: forged\r\nContent-Length: 2\r\n\r\n{}"
                .as_slice(),
        )
    };
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let ask = Ask::get("land")
        .line("Z-First", "1")
        .line("a-SECOND", "2")
        .line("Z-First", "3")
        .line("X-Empty", "")
        .line("X-Latin", "\u{e4}\u{f5}")
        .line("Cookie", "c=1")
        .line("Authorization", "Basic abc")
        .line("Accept-Encoding", "gzip")
        .line("User-Agent", "secret")
        .line("TE", "trailers")
        .line("X-Road-Request-Id", "forged")
        .line("X-Road-Request-Hash", "forged")
        .line("X-Road-Id", "q-2")
        .line("X-Road-UserId", "EE123");
    let heard = tax.ask(&ask).await;
    assert_eq!(heard.status(), 200, "{heard:?}");
    let log = home.log();
    let block = String::from_utf8(log[0].message.message.to_vec()).unwrap();
    let request_id = heard.line("x-road-request-id").unwrap();
    assert_eq!(
        block,
        format!(
            "GET\r\n/r1/DEV/GOV/M2/LAND/land\r\nX-Road-Client:DEV/GOV/M1/TAX\r\nZ-First:1\r\na-SECOND:2\r\n\
             Z-First:3\r\nX-Empty:\r\nX-Latin:\u{e4}\u{f5}\r\nCookie:c=1\r\nAuthorization:Basic abc\r\n\
             Accept-Encoding:gzip\r\nX-Road-Id:q-2\r\nX-Road-UserId:EE123\r\nx-road-request-id:{request_id}\r\n"
        )
    );
    assert_eq!(request_id.len(), 36);
    let asked = service.asked.last();
    assert_eq!(asked.all("z-first"), ["1", "3"]);
    assert_eq!((asked.line("x-empty"), asked.line("x-latin")), (Some(""), Some("\u{e4}\u{f5}")));
    assert_eq!((asked.line("cookie"), asked.line("user-agent"), asked.line("te")), (Some("c=1"), None, None));

    let block = String::from_utf8(log[1].message.message.to_vec()).unwrap();
    let hash = STANDARD.encode(sha512(&log[0].message.message));
    assert_eq!(
        block,
        format!(
            "200\r\nFine \u{e4}\r\nX-B:1\r\nx-a:2\r\nX-B:3\r\nX-Empty:\r\nSet-Cookie:a=1\r\nSet-Cookie:b=2\r\n\
             X-Latin:\u{f5}\r\nDate:Fri, 02 Jan 2026 03:04:05 GMT\r\nx-road-id:q-2\r\nx-road-client:DEV/GOV/M1/TAX\r\n\
             x-road-service:DEV/GOV/M2/LAND/land\r\nx-road-request-id:{request_id}\r\nx-road-request-hash:{hash}\r\n"
        )
    );
    assert_eq!(heard.lines("x-b"), ["1", "3"]);
    assert_eq!(heard.lines("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((heard.line("x-empty"), heard.line("x-latin")), (Some(""), Some("\u{f5}")));
    assert_eq!(heard.lines("date"), ["Fri, 02 Jan 2026 03:04:05 GMT"]);
    assert_eq!(heard.lines("x-road-id"), ["q-2"]);
    assert_eq!((heard.line("server"), heard.line("keep-alive")), (None, None));
}

#[tokio::test]
async fn an_id_is_given_where_the_caller_gave_none() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, service, home: _home, federation: _federation } = Pair::answering(answer).await;
    let (one, other) = (tax.ask(&Ask::get("land")).await, tax.ask(&Ask::get("land")).await);
    let (one, other) = (one.line("x-road-id").unwrap(), other.line("x-road-id").unwrap());
    assert!(one.starts_with("DEV-") && one.len() == 40 && one != other, "{one} {other}");
    assert_eq!(service.asked.last().line("x-road-id"), Some(other));
}

/// Spec: message-path §1.4.5: an HTTP error of the service is no error of ours; §1.4.4: no redirect is followed.
#[tokio::test]
async fn any_status_of_a_service_is_an_answer() {
    let answer = |asked: &saatkond_tests::Asked| {
        let status = asked.target.rsplit('/').next().unwrap_or_default();
        Answer::new(&format!("{status} So"), &[("Location", "http://127.0.0.1:1/elsewhere")], "said")
    };
    let Pair { tax, service, home: _home, federation: _federation } = Pair::answering(answer).await;
    for status in [200, 201, 202, 299, 301, 302, 303, 307, 308, 400, 401, 404, 418, 429, 500, 502, 503, 599] {
        let heard = tax.ask(&Ask::get(&format!("land/{status}"))).await;
        assert_eq!((heard.status(), heard.code(), heard.text().as_str()), (status, "", "said"), "{heard:?}");
        assert_eq!(heard.line("location"), Some("http://127.0.0.1:1/elsewhere"));
    }
    assert_eq!(service.asked.len(), 18, "nothing is asked twice, and no redirect followed");
}

#[tokio::test]
async fn an_answer_may_come_in_any_framing() {
    let answer = |asked: &saatkond_tests::Asked| match asked.target.as_str() {
        "/api/chunked" => Answer::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        "/api/close" => Answer::raw("HTTP/1.1 200 OK\r\n\r\nabcde").close(),
        "/api/old" => Answer::raw("HTTP/1.0 200 OK\r\n\r\nabcde").close(),
        "/api/interim" => Answer::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        ),
        _ => Answer::new("200 OK", &[("Connection", "close")], "abcde").close(),
    };
    let Pair { tax, service, home: _home, federation: _federation } = Pair::answering(answer).await;
    for path in ["chunked", "close", "old", "interim", "told", "chunked"] {
        let heard = tax.ask(&Ask::get(&format!("land/{path}"))).await;
        assert_eq!((heard.status(), heard.text().as_str()), (200, "abcde"), "{path} {heard:?}");
        assert_eq!(heard.line("link"), None, "{path}");
    }
    assert_eq!(service.asked.len(), 6);
}

/// Seen: message-path §2.13: what fails at the service is told in a message of one part, without `service_failed`.
#[tokio::test]
async fn a_service_that_fails_is_told_of() {
    let answer = |asked: &saatkond_tests::Asked| match asked.target.as_str() {
        "/api/short" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").close(),
        "/api/cut" => {
            Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").close()
        }
        "/api/no" => Answer::raw("what?\r\n\r\n").close(),
        "/api/never" => Answer::json("{}").after(&Gate::default()),
        _ => Answer::raw("").close(),
    };
    let service = Service::start(answer).await;
    let federation = Federation::new().await;
    let others = "[[client.service]]\ncode = \"refuses\"\nurl = \"http://127.0.0.1:1/\"\n\
        allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n\
        [[client.service]]\ncode = \"nowhere\"\nurl = \"http://host.invalid/\"\n\
        allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n";
    let server_toml = answering(&service.url("/api")).replace("10 s", "300 ms") + others;
    let home = federation.open("HOME", &server_toml).await;
    let tax = federation.open("TAX", ASKING).await;
    let cases = [
        ("land/short", "io_error"),
        ("land/cut", "io_error"),
        ("land/no", "io_error"),
        ("land/ends", "io_error"),
        ("land/never", "io_error"),
        ("refuses", "network_error"),
        ("nowhere", "unknown_host"),
    ];
    for (place, (path, code)) in cases.into_iter().enumerate() {
        for (round, method) in ["GET", "POST"].into_iter().enumerate() {
            let heard = tax.ask(&Ask::new(method, path)).await;
            let code = format!("server.serverproxy.{code}");
            assert_eq!((heard.status(), heard.code()), (500, code.as_str()), "{method} {path} {heard:?}");
            // The request is evidence, on both sides; a fault is none.
            let records = place * 2 + round + 1;
            assert_eq!((tax.log().len(), home.log().len()), (records, records), "{method} {path}");
        }
    }
    let of = |path: &str| service.asked.all().iter().filter(|asked| asked.target == path).count();
    assert_eq!((of("/api/ends"), of("/api/short")), (2, 2), "a call that broke off is not repeated");
}

/// Spec: message-path §1.4.5.
#[tokio::test]
async fn a_fault_is_told_in_the_form_that_the_caller_accepts() {
    let federation = Federation::new().await;
    let tax = federation.open("TAX", ASKING).await;
    let cases = [
        (None, "application/json"),
        (Some("application/json, text/xml"), "text/xml;charset=utf-8"),
        (Some("application/xml;q=0.1"), "application/xml;charset=utf-8"),
        (Some("text/*"), "text/xml;charset=utf-8"),
        (Some("text/html"), "application/json"),
    ];
    for (accept, kind) in cases {
        let ask = Ask::get("land");
        let ask = if let Some(accept) = accept { ask.line("Accept", accept) } else { ask };
        let heard = tax.ask(&ask).await;
        let code = "server.clientproxy.network_error";
        assert_eq!((heard.status(), heard.code()), (500, code), "{accept:?} {heard:?}");
        assert_eq!(heard.line("content-type"), Some(kind), "{accept:?}");
        let start = if kind.contains("json") { "{\"type\":\"" } else { "<error><type>" };
        let text = heard.text();
        let text = text.split_once("?>").map_or(text.as_str(), |(_, rest)| rest);
        assert!(text.starts_with(&format!("{start}{code}")), "{accept:?} {text}");
    }
    assert!(tax.log().is_empty(), "what no door was open for is no evidence");
}

/// Spec: message-path §1.2, §1.4, §2.4.
#[tokio::test]
async fn what_is_no_call_is_refused_before_it_leaves() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, service, home, federation: _federation } = Pair::answering(answer).await;
    let get = || Ask::get("land");
    let without_client = {
        let mut ask = get();
        ask.lines.retain(|(name, _)| name == "Host");
        ask
    };
    let cases = [
        (get().client("DEV/GOV/M1"), 500, "server.clientproxy.unknown_member"),
        (get().client("DEV/GOV/M2/LAND"), 500, "server.clientproxy.unknown_member"),
        (get().client("DEV/GOV/M1/OTHER"), 500, "server.clientproxy.unknown_member"),
        (get().client("nonsense"), 500, "server.clientproxy.internal_error"),
        (without_client, 500, "server.clientproxy.invalid_client_identifier"),
        (get().target("/r1/DEV/GOV/M9/LAND/land"), 500, "server.clientproxy.unknown_member"),
        (get().target("/r1/DEV/GOV/M2/NONE/land"), 500, "server.clientproxy.unknown_member"),
        (get().target("/r1/XX/GOV/M2/LAND/land"), 500, "server.clientproxy.internal_error"),
        (get().target("/r1/DEV/GOV/M2/LAND"), 500, "server.clientproxy.internal_error"),
        (Ask::new("FETCH", "land"), 500, "server.clientproxy.internal_error"),
        (Ask::new("get", "land"), 500, "server.clientproxy.internal_error"),
        (get().line("X-Road-Id", ""), 500, "server.clientproxy.internal_error"),
        (get().line("X-Road-Represented-Party", "a/b/c"), 500, "server.clientproxy.internal_error"),
        (get().target("/r1//DEV/GOV/M2/LAND/land"), 400, ""),
        (get().target("/r1/DEV/GOV/M2/LAND/land/%zz"), 400, ""),
        (get().line("Host", "twice"), 400, ""),
        (get().target(&format!("/r1/DEV/GOV/M2/LAND/land/{}", "a".repeat(9000))), 414, ""),
        (get().line("X-Long", &"a".repeat(9000)), 431, ""),
    ];
    for (ask, status, code) in cases {
        let heard = tax.ask(&ask).await;
        assert_eq!((heard.status(), heard.code()), (status, code), "{ask:?} {heard:?}");
    }
    for (ask, code) in [
        (Ask::get("land").target("/r2/DEV/GOV/M2/LAND/land"), "client.invalid_http_method"),
        (Ask::post("land", "<a/>").target("/"), "client.invalid_content_type"),
    ] {
        let heard = tax.ask(&ask).await;
        assert_eq!((heard.status(), heard.code()), (200, ""), "{ask:?} {heard:?}");
        assert!(heard.text().contains(&format!("<faultcode>{code}</faultcode>")), "{}", heard.text());
    }
    assert!(tax.log().is_empty() && home.log().is_empty() && service.asked.is_empty());
}

/// Spec: message-path §1.4.2, §2.4.
#[tokio::test]
async fn a_caller_may_name_the_server_that_must_answer() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, service, home: _home, federation: _federation } = Pair::answering(answer).await;
    let named = |server: &str| Ask::get("land").line("X-Road-Security-Server", server);
    let heard = tax.ask(&named("DEV/GOV/M2/HOME")).await;
    assert_eq!(heard.status(), 200, "{heard:?}");
    let cases = [
        ("DEV/GOV/M2/EMBASSY", "server.clientproxy.network_error"),
        ("DEV/GOV/M1/TAX", "server.clientproxy.invalid_security_server"),
        ("DEV/GOV/M2/NONE", "server.clientproxy.invalid_security_server"),
        ("DEV/GOV/HOME", "server.clientproxy.internal_error"),
    ];
    for (server, code) in cases {
        let heard = tax.ask(&named(server)).await;
        assert_eq!((heard.status(), heard.code()), (500, code), "{server} {heard:?}");
    }
    assert_eq!(service.asked.len(), 1);
}

#[tokio::test]
async fn many_exchanges_at_once_on_kept_connections() {
    let answer = |asked: &saatkond_tests::Asked| Answer::new("200 OK", &[], &asked.target);
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let clients = tax.clients;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..8 {
        asking.spawn(async move {
            let mut caller = Caller::connect(clients).await;
            for round in 0..3 {
                let heard = caller.ask(&Ask::get(&format!("land/{number}/{round}"))).await;
                assert_eq!(heard.text(), format!("/api/{number}/{round}"), "{heard:?}");
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    assert_eq!((tax.log().len(), home.log().len(), service.asked.len()), (48, 48, 24));
}

#[tokio::test]
async fn an_authority_below_the_topmost_one_is_as_good() {
    let service = Service::start(|_| Answer::json("{}")).await;
    let federation = Federation::of(|plan| plan.has_intermediate = true).await;
    let home = federation.open("HOME", &answering(&service.url(""))).await;
    let tax = federation.open("TAX", ASKING).await;
    let heard = tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.code()), (200, ""), "{heard:?}");
    assert_eq!((tax.log().len(), home.log().len()), (2, 2));
}

/// A caller that goes away does not undo what was begun: it is done once, and evidence of it is kept.
#[tokio::test]
async fn an_exchange_goes_on_when_its_caller_hangs_up() {
    let gate = Gate::default();
    let held = gate.clone();
    let answer = move |_: &_| Answer::json("{}").after(&held);
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let mut caller = tax.caller().await;
    caller.say(&Ask::post("land", "{}").bytes()).await.unwrap();
    service.asked.wait_for(1).await;
    drop(caller);
    gate.open();
    // Closing the doors waits for what is under way.
    let (of_tax, of_home) = (tax.stop().await, home.stop().await);
    let records = [of_tax, of_home].map(|directory| saatkond_tests::site::log(&directory).len());
    assert_eq!(records, [2, 2]);
    assert_eq!(service.asked.len(), 1);
}

/// Leaves and steps of hash chains are hashed alike: a body made like a step, once signed, could be shown as another message.
#[tokio::test]
async fn a_body_that_passes_for_a_step_is_signed_by_nobody() {
    use saatkond_proto::der::{self, tag};
    let digest = der::sequence([
        der::write(tag::OCTET_STRING, &sha512(b"another message")),
        der::write(tag::UTF8_STRING, DigestAlgorithm::Sha512.uri().as_bytes()),
        der::sequence::<&[u8]>([]),
    ]);
    let step = der::sequence([digest.clone(), digest]);
    let echoed = step.clone();
    let answer = move |_: &_| Answer::new("200 OK", &[], echoed.clone());
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let heard = tax.ask(&Ask::get("land/x")).await;
    assert_eq!(heard.code(), "server.serverproxy.cannot_create_signature", "{heard:?}");
    assert_eq!(
        (home.log().len(), service.asked.len()),
        (1, 1),
        "the request is kept, the answer is not signed"
    );
    let heard = tax.ask(&Ask::new("POST", "land/x").body(step)).await;
    assert_eq!(heard.code(), "server.clientproxy.cannot_create_signature", "{heard:?}");
    assert_eq!(service.asked.len(), 1);
}

#[tokio::test]
async fn no_more_exchanges_are_under_way_than_the_operator_allows() {
    let gate = Gate::default();
    let held = gate.clone();
    let answer = move |_: &_| Answer::json("{}").after(&held);
    let one = "[limits]\nexchanges_max = 1\n";
    let Pair { tax, service, home: _home, federation: _federation } = Pair::with(answer, one, "").await;
    let asking: Vec<_> = (0..8).map(|_| spawn_asking(tax.clients, Ask::get("land"))).collect();
    service.asked.wait_for(1).await;
    gate.open();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status(), 200);
    }
    let directions: Vec<Direction> = tax.log().iter().map(|found| found.message.direction).collect();
    assert_eq!(directions, [Direction::Sent, Direction::Received].repeat(8), "one after the other");
}
