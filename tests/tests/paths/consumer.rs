//! The consumer's gateway, answered by one that the test plays: each check of message-path §4.2, made to fail.

use crate::spoiled::{self, MARK};
use saatkond_proto::transport::write::Part;
use saatkond_proto::trust::ocsp::Status;
use saatkond_tests::federation::status_by;
use saatkond_tests::letter::Piece;
use saatkond_tests::peer::{Greeting, fault, fault_answer, http_answer, letter_answer, ocsp_answer};
use saatkond_tests::site::ASKING;
use saatkond_tests::wire::{chunked, head};
use saatkond_tests::{
    Ask, Door, Draft, Federation, For, Heard, Holder, Letter, Play, Received, START, Signer, Site,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A consumer's gateway, and the provider's that the test plays.
struct Bench {
    tax: Site,
    home: Door,
    signer: Signer,
    federation: Federation,
}

const BODY: &[u8] = b"answer";

impl Bench {
    async fn new() -> Self {
        Self::of(Federation::new().await, "").await
    }

    async fn of(federation: Federation, of_tax: &str) -> Self {
        let home = Door::answering(&federation, "HOME", BODY).await;
        let tax = federation.open_with("TAX", ASKING, of_tax).await;
        Self { tax, home, signer: Signer::of(&federation, "HOME"), federation }
    }

    /// Lets the door answer with what `make` makes of a draft of the right answer.
    fn answers(&self, make: impl Fn(&Received, Draft) -> Vec<u8> + Send + Sync + 'static) {
        let (signer, clock) = (self.signer.clone(), self.federation.clock.clone());
        self.home.plays(move |received| {
            let draft = received.message.answer(&signer, clock.now(), &[MARK], Some(BODY));
            Play::Bytes(make(received, draft))
        });
    }

    /// Lets the door answer with a letter made of the right one.
    fn answers_letter(&self, make: impl Fn(Draft) -> Letter + Send + Sync + 'static) {
        self.answers(move |_, draft| letter_answer(&make(draft)));
    }

    async fn get(&self) -> Heard {
        self.tax.ask(&Ask::get("land")).await
    }

    /// The request was evidence each time, and no answer was; what holds is still taken.
    async fn assert_untouched(&self, asked: usize) {
        assert_eq!(self.tax.log().len(), asked);
        self.answers_letter(|draft| draft.letter());
        let heard = self.get().await;
        assert_eq!((heard.status(), heard.code(), heard.body.as_slice()), (200, "", BODY), "{heard:?}");
        assert_eq!(self.tax.log().len(), asked + 2);
    }
}

/// Spec: message-path §4.3, §4.4.
#[tokio::test]
async fn each_step_of_an_answers_signature_may_fail() {
    let bench = Bench::new().await;
    let all = spoiled::signatures(&bench.federation, "HOME");
    let asked = all.len();
    for spoiled in all {
        let (make, has_body) = (spoiled.make, spoiled.has_body);
        bench.answers_letter(move |mut draft| {
            if !has_body {
                draft.body = None;
            }
            make(draft)
        });
        let heard = bench.get().await;
        let code = format!("server.clientproxy.signature_verification.{}", spoiled.code);
        assert_eq!(
            (heard.status(), heard.code()),
            (500, code.as_str()),
            "{}: {}",
            spoiled.what,
            heard.text()
        );
    }
    bench.assert_untouched(asked).await;
}

/// Spec: message-path §4.2 after receiving, 5.
#[tokio::test]
async fn an_answer_to_another_question_is_refused() {
    let bench = Bench::new().await;
    let inconsistent = "inconsistent_response";
    let unread = "service_failed.internal_error";
    let cases = [
        ("another client", "x-road-client:DEV/GOV/M1/TAX", "x-road-client:DEV/GOV/M1/OTHER", inconsistent),
        ("another id", "x-road-id:q-1", "x-road-id:q-2", inconsistent),
        ("another service", "LAND/land", "LAND/other", inconsistent),
        ("another request id", "x-road-request-id:", "x-road-request-id:0", inconsistent),
        ("another request hash", "x-road-request-hash:", "x-road-request-hash:0", inconsistent),
        ("no client", "x-road-client:", "x-rode-client:", inconsistent),
        ("no service", "x-road-service:", "x-rode-service:", inconsistent),
        ("no request id", "x-road-request-id:", "x-rode-request-id:", inconsistent),
        ("no id", "x-road-id:", "x-rode-id:", unread),
        ("no request hash", "x-road-request-hash:", "x-rode-request-hash:", unread),
        ("a client that is none", "x-road-client:DEV/GOV/M1/TAX", "x-road-client:nobody", unread),
        ("a status that is none", "200\r\n", "100\r\n", unread),
        ("a lone line end", "x-road-id:q-1\r\n", "x-road-id:q-1\nx-more:1\r\n", unread),
        ("a header of the connection", "X-Mark:", "Content-Length:", unread),
    ];
    let asked = cases.len();
    for (what, text, other, code) in cases {
        bench.answers_letter(move |mut draft| {
            let block = String::from_utf8(draft.block).unwrap();
            assert!(block.contains(text), "{what}: {block}");
            draft.block = block.replacen(text, other, 1).into_bytes();
            draft.letter()
        });
        let heard = bench.tax.ask(&Ask::get("land").line("X-Road-Id", "q-1")).await;
        let code = format!("server.clientproxy.{code}");
        assert_eq!((heard.status(), heard.code()), (500, code.as_str()), "{what}: {}", heard.text());
    }
    bench.assert_untouched(asked).await;
}

/// An answer that was right once: the same question with the same id, asked again.
#[tokio::test]
async fn a_replayed_answer_is_refused() {
    let bench = Bench::new().await;
    let first = Arc::new(Mutex::new(None));
    bench.answers(move |_, draft| {
        let mut first = first.lock().unwrap();
        letter_answer(first.get_or_insert_with(|| draft.letter()))
    });
    let ask = Ask::get("land").line("X-Road-Id", "q-1");
    assert_eq!(bench.tax.ask(&ask).await.status(), 200);
    let heard = bench.tax.ask(&ask).await;
    assert_eq!(heard.code(), "server.clientproxy.inconsistent_response", "{}", heard.text());
    bench.assert_untouched(3).await;
}

/// Spec: message-path §1.6, §2.12, §2.14, §4.2 after receiving, 1–3.
#[tokio::test]
async fn an_answer_that_is_no_message_is_refused() {
    let bench = Bench::new().await;
    let case = |what: &'static str, code: &'static str, make: fn(Letter) -> Vec<u8>| (what, code, make);
    let cases = [
        case("another status", "http_error", |letter| {
            again(&letter_answer(&letter), "200 OK", "404 Not Found")
        }),
        case("a redirect", "http_error", |_| http_answer("302 Found", &[("Location", "/x")], b"")),
        case("no content type", "invalid_content_type", |_| http_answer("200 OK", &[], b"")),
        case("another content type", "service_failed.invalid_content_type", |_| {
            http_answer("200 OK", &[("Content-Type", "text/html")], b"<html/>")
        }),
        case("no hash algorithm", "internal_error", |letter| {
            again(&letter_answer(&letter), "x-hash-algorithm", "x-cash-algorithm")
        }),
        case("XML that is no message either", "service_failed.invalid_soap", |_| {
            http_answer("200 OK", &[("Content-Type", "text/xml")], b"<a/>")
        }),
        case("no part", "missing_rest", |mut letter| {
            letter.pieces.clear();
            letter_answer(&letter)
        }),
        case("no message", "service_failed.invalid_content_type", |letter| {
            letter_answer(&letter.without(Part::RestResponse))
        }),
        case("no signature", "missing_signature", |letter| letter_answer(&letter.without(Part::Signature))),
        case("a part behind the signature", "service_failed.invalid_message", |mut letter| {
            letter.pieces.push(Piece::new("text/plain", b"more"));
            letter_answer(&letter)
        }),
        case("an unknown part", "service_failed.invalid_content_type", |mut letter| {
            letter.pieces.insert(1, Piece::new("text/plain", b"hello"));
            letter_answer(&letter)
        }),
        case("the block of a request", "service_failed.internal_error", |mut letter| {
            letter.pieces[0].kind = Part::RestRequest.content_type().to_owned();
            letter_answer(&letter)
        }),
    ];
    let asked = cases.len();
    for (what, code, make) in cases {
        bench.answers(move |_, draft| make(draft.letter()));
        let heard = bench.get().await;
        let code = format!("server.clientproxy.{code}");
        assert_eq!((heard.status(), heard.code()), (500, code.as_str()), "{what}: {}", heard.text());
    }
    bench.assert_untouched(asked).await;
}

fn again(answer: &[u8], text: &str, other: &str) -> Vec<u8> {
    let at = answer.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    [&answer[..at], other.as_bytes(), &answer[at + text.len()..]].concat()
}

/// Spec: message-path §2.13: as the whole answer, as its only part, as its last part. Seen: §1.4.5: the status goes by the
/// code's first word.
#[tokio::test]
async fn a_peers_fault_is_told_unchanged() {
    let bench = Bench::new().await;
    let in_parts = |code: &'static str, parts: fn(Letter) -> Vec<Piece>| {
        move |_: &Received, draft: Draft| {
            let mut letter = draft.letter();
            letter.pieces = parts(letter.clone());
            let fault = fault(code).to_xml();
            letter.pieces.push(Piece::new(Part::Fault.content_type(), fault.as_bytes()));
            letter_answer(&letter)
        }
    };
    let code = "server.serverproxy.made_up";
    for round in 0..4 {
        match round {
            0 => bench.answers(move |_, _| fault_answer(code)),
            1 => bench.answers(in_parts(code, |_| Vec::new())),
            2 => bench.answers(in_parts(code, |letter| letter.pieces[..1].to_vec())),
            _ => bench.answers(in_parts(code, |letter| letter.pieces[..2].to_vec())),
        }
        for method in ["GET", "POST"] {
            let heard = bench.tax.ask(&Ask::new(method, "land")).await;
            assert_eq!((heard.status(), heard.code()), (500, code), "{round} {}", heard.text());
            let text = heard.text();
            assert!(text.contains("as the test says") && text.contains("4711"), "{round} {text}");
        }
    }
    for (code, status) in [("Server.ServerProxy.AccessDenied", 400), ("soap:Client", 400), ("server.x", 500)]
    {
        bench.answers(move |_, _| fault_answer(code));
        let heard = bench.get().await;
        assert_eq!((heard.status(), heard.code()), (status, code), "{}", heard.text());
    }
    // What a stranger says cannot become a header line of ours.
    bench.answers(|_, _| fault_answer("server.a\r\nSet-Cookie: b=1"));
    let heard = bench.get().await;
    assert_eq!((heard.status(), heard.line("set-cookie")), (500, None), "{heard:?}");
    bench.assert_untouched(12).await;
}

/// Seen: message-path §2.12. Ours: §2.14, every truncation is refused.
#[tokio::test]
async fn an_answer_may_come_in_any_framing_and_must_come_whole() {
    let bench = Bench::new().await;
    let lines = |letter: &Letter, framing: Option<(&str, &str)>| {
        let kind = ("Content-Type", letter.content_type());
        let mut lines =
            vec![(kind.0.to_owned(), kind.1), ("x-hash-algorithm".to_owned(), "SHA-512".to_owned())];
        lines.extend(framing.map(|(name, value)| (name.to_owned(), value.to_owned())));
        head("HTTP/1.1 200 OK", &lines)
    };
    let framings = move |letter: &Letter, cut: usize| {
        let bytes = &letter.bytes()[..letter.bytes().len() - cut];
        let length = letter.bytes().len().to_string();
        let mut in_chunks = chunked(bytes, 100);
        if cut > 0 {
            in_chunks.truncate(in_chunks.len() - 5);
        }
        [
            [lines(letter, None), bytes.to_vec()].concat(),
            [lines(letter, Some(("Content-Length", &length))), bytes.to_vec()].concat(),
            [lines(letter, Some(("Transfer-Encoding", "chunked"))), in_chunks].concat(),
        ]
    };
    let (signer, clock) = (bench.signer.clone(), bench.federation.clock.clone());
    let plays = |framing: usize, cut: usize| {
        let (signer, clock) = (signer.clone(), clock.clone());
        bench.home.plays(move |received| {
            let draft = received.message.answer(&signer, clock.now(), &[MARK], Some(BODY));
            let [close, length, chunked] = framings(&draft.letter(), cut);
            Play::Last([close, length, chunked][framing].clone())
        });
    };
    let mut asked = 0;
    for framing in 0..3 {
        plays(framing, 0);
        assert_eq!(bench.get().await.status(), 200, "framing {framing}");
        asked += 2;
        for cut in [1, 2, 3, 10, 60, 1000] {
            plays(framing, cut);
            // Behind the closing boundary nothing is needed any more.
            if cut <= 2 && framing == 0 {
                continue;
            }
            let heard = bench.get().await;
            let code = "server.clientproxy.service_failed.io_error";
            assert_eq!((heard.status(), heard.code()), (500, code), "{framing} {cut}: {}", heard.text());
            let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
            let code = "server.clientproxy.outcome_unknown";
            assert_eq!((heard.status(), heard.code()), (500, code), "{framing} {cut}: {}", heard.text());
            asked += 2;
        }
    }
    bench.assert_untouched(asked).await;
}

/// Spec: message-path §4.2 before sending; §5.1, §5.3. Not a byte of the message is sent to any of these.
#[tokio::test]
async fn each_check_of_the_peer_may_fail() {
    let bench = Bench::new().await;
    let (federation, tax, home) = (&bench.federation, &bench.tax, &bench.home);
    let authentication = For::Authentication;
    let issue = |purpose| federation.issue(purpose, |_| ());
    let (revoked, unknown, unregistered) =
        (issue(authentication), issue(authentication), issue(authentication));
    let (unused, signing) = (issue(For::Nothing), issue(For::Signing));
    let expired =
        federation.issue(authentication, |params| params.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let of_itself = Holder::self_signed(authentication, |_| ());
    let forged = Holder::issued_by(&federation.authority().with_key_of(&of_itself), authentication, |_| ());
    tax.register("HOME", &[&revoked, &unknown, &unused, &signing, &expired, &of_itself, &forged]);
    let (own, port) = (federation.auth("HOME"), federation.auth("PORT"));
    let status = |of: &Holder, status| federation.status(&of.certificate, status, START);
    let good = |of: &Holder| status(of, Status::Good);
    let at = |at| federation.status(&own.certificate, Status::Good, at);
    let by_stranger =
        status_by(&port, &own.certificate, &federation.authority().certificate, (Status::Good, START));
    let no_path = "ssl_authentication_failed.cannot_create_cert_path.internal_error";
    let not_good = "ssl_authentication_failed.invalid_cert_path.cert_validation";
    let not_proven = "ssl_authentication_failed.invalid_cert_path.incorrect_validation_info";
    let hour = Duration::from_secs(3600);
    let cases = [
        ("not registered", &unregistered, good(&unregistered), "ssl_authentication_failed"),
        ("another member's", &port, good(&port), "ssl_authentication_failed"),
        ("another key", &own.with_key_of(&port), good(&own), "ssl_authentication_failed"),
        ("expired", &expired, good(&expired), no_path),
        ("of nobody approved", &of_itself, good(&of_itself), no_path),
        ("forged", &forged, good(&forged), no_path),
        ("for no use", &unused, good(&unused), "incorrect_certificate"),
        ("for signing", &signing, good(&signing), "ssl_authentication_failed"),
        ("revoked", &revoked, status(&revoked, Status::Revoked { at: START }), not_good),
        ("unknown to its authority", &unknown, status(&unknown, Status::Unknown), not_good),
        ("with another's status", &own, good(&port), not_good),
        ("with a stale status", &own, at(START.minus(hour + Duration::from_secs(1))), not_proven),
        ("with a status of tomorrow", &own, at(START.plus(hour * 24)), not_proven),
        ("with a status by who may not", &own, by_stranger, not_proven),
        (
            "with a status that cannot be read",
            &own,
            b"nonsense".to_vec(),
            "ssl_authentication_failed.internal_error",
        ),
    ];
    for (what, holder, status, code) in cases {
        home.show(holder, status);
        let heard = bench.get().await;
        let code = format!("server.clientproxy.{code}");
        assert_eq!((heard.status(), heard.code()), (500, code.as_str()), "{what}: {}", heard.text());
    }
    home.show(&own, good(&own));
    let at_the_port = [
        ("refuses", http_answer("500 Error", &[], b"Could not find OCSP response")),
        ("says nothing", Vec::new()),
        ("says something else", http_answer("200 OK", &[("Content-Type", "text/html")], b"<html/>")),
        ("tells of too many", ocsp_answer(&[good(&own), good(&own)])),
        ("tells of none", ocsp_answer(&[])),
    ];
    for (what, answer) in at_the_port {
        home.behave(|manner| manner.ocsp = answer.clone());
        let heard = bench.get().await;
        let code = "server.clientproxy.ssl_authentication_failed.internal_error";
        assert_eq!((heard.status(), heard.code()), (500, code), "{what}: {}", heard.text());
    }
    home.behave(|manner| manner.greeting = Greeting::HangsUp);
    let heard = bench.get().await;
    assert_eq!(heard.code(), "server.clientproxy.ssl_authentication_failed", "{}", heard.text());
    assert!(home.received.is_empty());
    home.behave(|manner| manner.greeting = Greeting::Listens);
    home.show(&own, good(&own));
    // Nothing was signed for a door that did not prove who it is.
    bench.assert_untouched(0).await;
}

/// Spec: message-path §5.1: asked once, with both hashes, in the chain's order; kept while it holds.
#[tokio::test]
async fn a_peers_status_is_fetched_at_its_port_and_kept() {
    let bench = Bench::new().await;
    let own = bench.federation.auth("HOME").certificate;
    for _ in 0..3 {
        assert_eq!(bench.get().await.status(), 200);
    }
    let asked = bench.home.ocsp_asked.all();
    let hash = |algorithm: saatkond_proto::crypto::DigestAlgorithm| {
        saatkond_tests::federation::hex(&algorithm.digest(own.der()))
    };
    use saatkond_proto::crypto::DigestAlgorithm::{Sha1, Sha256};
    let expected = format!("GET /?cert={}&cert_hash={} HTTP/1.1", hash(Sha1), hash(Sha256));
    assert_eq!(asked.iter().map(|head| head.first.as_str()).collect::<Vec<_>>(), [expected.as_str()]);
    assert_eq!(asked[0].line("accept"), Some("multipart/related"));
}

/// What the wire carries. Spec: message-path §2.6, §2.8.
#[tokio::test]
async fn a_request_has_the_form_that_peers_read() {
    let bench = Bench::new().await;
    let ask = Ask::post("land/x?y=1", "{}").line("X-Road-Id", "q-1");
    assert_eq!(bench.tax.ask(&ask).await.status(), 200);
    assert_eq!(bench.get().await.status(), 200);
    let received = bench.home.received.all();
    let request = &received[0];
    assert_eq!(request.head.first, "POST / HTTP/1.1");
    let names: Vec<&str> = request.head.lines.iter().map(|(name, _)| name.as_str()).take(5).collect();
    assert_eq!(
        names,
        [
            "x-road-message-type",
            "x-hash-algorithm",
            "x-original-content-type",
            "x-road-request-id",
            "x-proxy-version"
        ]
    );
    let line = |name| request.head.line(name).unwrap();
    assert_eq!((line("x-road-message-type"), line("x-hash-algorithm")), ("REST", "SHA-512"));
    assert_eq!(line("x-original-content-type"), "application/json");
    assert_eq!(received[1].head.line("x-original-content-type"), Some(""));
    let block = String::from_utf8(request.message.block.clone()).unwrap();
    assert!(
        block.starts_with("POST\r\n/r1/DEV/GOV/M2/LAND/land/x?y=1\r\nX-Road-Client:DEV/GOV/M1/TAX\r\n"),
        "{block}"
    );
    assert!(block.ends_with(&format!("x-road-request-id:{}\r\n", line("x-road-request-id"))), "{block}");
    assert_eq!(request.message.body.as_deref(), Some(b"{}".as_slice()));
    assert!(request.message.hash_chain.is_some() && request.message.hash_chain_result.is_some());
    assert_eq!(received[1].message.body, None);
    assert_eq!((&received[1].message.hash_chain, &received[1].message.hash_chain_result), (&None, &None));
    // The responses of what it shows in TLS ride along.
    let auth = bench.federation.auth("TAX").certificate;
    let response = saatkond_proto::trust::ocsp::Response::from_der(&request.message.statuses[0]).unwrap();
    assert!(response.covers(&auth, &bench.federation.authority().certificate));
    assert_eq!(request.message.statuses.len(), 1);
    // The log holds what was sent.
    let log = bench.tax.log();
    assert_eq!(log[0].message.message, request.message.block);
    assert_eq!(*log[0].message.proof.signature, *request.message.signature);
}

/// Spec: message-path §2.5: one connection for many, and a new one for who closes after each message.
#[tokio::test]
async fn connections_are_kept_for_who_keeps_them() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        assert_eq!(bench.get().await.status(), 200);
    }
    assert_eq!(bench.home.connected.len(), 1);
    let (signer, clock) = (bench.signer.clone(), bench.federation.clock.clone());
    bench.home.plays(move |received| {
        let draft = received.message.answer(&signer, clock.now(), &[MARK], Some(BODY));
        let answer = letter_answer(&draft.letter());
        Play::Last(again(&answer, "x-hash-algorithm: ", "Connection: close\r\nx-hash-algorithm: "))
    });
    for method in ["GET", "POST", "POST", "GET"] {
        assert_eq!(bench.tax.ask(&Ask::new(method, "land")).await.status(), 200, "{method}");
    }
    // The one that was kept took the first of them.
    assert_eq!(bench.home.connected.len(), 4);
    assert_eq!(bench.home.received.len(), 7, "nothing was sent twice");
}

/// A door that says nothing does not hold the caller for ever.
#[tokio::test]
async fn an_answer_must_come_in_time() {
    let more = "[timeouts]\nanswer = \"300 ms\"\n";
    let bench = Bench::of(Federation::new().await, more).await;
    bench.home.plays(|_| Play::Silence);
    let heard = bench.get().await;
    assert_eq!(heard.code(), "server.clientproxy.io_error", "{}", heard.text());
    let heard = bench.tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!(heard.code(), "server.clientproxy.outcome_unknown", "{}", heard.text());
    assert_eq!(bench.home.received.len(), 2);
    bench.assert_untouched(2).await;
}
