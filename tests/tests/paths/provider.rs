//! The provider's gateway, asked by one that the test plays: each check of message-path §4.1, made to fail.

use crate::spoiled::{self, MARK};
use rcgen::KeyUsagePurpose;
use saatkond_proto::transport::write::Part;
use saatkond_proto::trust::ocsp::Status;
use saatkond_tests::federation::status_by;
use saatkond_tests::letter::Piece;
use saatkond_tests::peer::Told;
use saatkond_tests::site::answering;
use saatkond_tests::wire::Wire;
use saatkond_tests::{
    Answer, Ask, Asker, Draft, Federation, For, Holder, Letter, Post, START, Service, Site,
};
use std::time::Duration;

/// A provider's gateway, and the consumer's that the test plays.
struct Bench {
    home: Site,
    service: Service,
    federation: Federation,
}

impl Bench {
    async fn new() -> Self {
        Self::of(Federation::new().await).await
    }

    async fn of(federation: Federation) -> Self {
        let service = Service::start(|_| Answer::json("{}")).await;
        let more = "[[client.service]]\ncode = \"hidden\"\nurl = \"http://127.0.0.1:1/\"\n\
            [[client.service]]\ncode = \"off\"\nurl = \"http://127.0.0.1:1/\"\nenabled = false\nnotice = \"Closed today\"\n\
            allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n";
        let home = federation.open("HOME", &(answering(&service.url("/api")) + more)).await;
        Self { home, service, federation }
    }

    fn asker(&self) -> Asker {
        Asker::of(&self.federation, "TAX")
    }

    /// A letter of the Tax Board that holds.
    fn letter(&self) -> Letter {
        self.asker().draft(&Ask::get("land")).letter()
    }

    async fn say(&self, post: &Post) -> Told {
        self.asker().say(&self.federation, "HOME", post).await.unwrap()
    }

    async fn bring(&self, letter: &Letter) -> Told {
        self.say(&Post::of(letter)).await
    }

    /// Nothing that was refused has left a trace; what holds is still taken.
    async fn assert_untouched(&self) {
        assert!(self.home.log().is_empty() && self.service.asked.is_empty());
        assert_eq!(self.home.spooled(), 0);
        let told = self.bring(&self.letter()).await;
        assert_eq!(told.code(), "", "{told:?}");
        assert_eq!((self.home.log().len(), self.service.asked.len()), (2, 1));
    }
}

/// Spec: message-path §4.3, §4.4.
#[tokio::test]
async fn each_step_of_a_requests_signature_may_fail() {
    let bench = Bench::new().await;
    let asker = bench.asker();
    let mark = |ask: Ask| ask.line(MARK.0, MARK.1);
    for spoiled in spoiled::signatures(&bench.federation, "TAX") {
        let ask = mark(if spoiled.has_body { Ask::post("land", "body") } else { Ask::get("land") });
        let told = asker.bring(&bench.federation, "HOME", &(spoiled.make)(asker.draft(&ask))).await;
        let code = format!("signature_verification.{}", spoiled.code);
        assert_eq!(told.code(), code, "{}: {:?}", spoiled.what, told.fault());
        assert!(told.opened().is_none(), "{}: a fault before the service is the whole answer", spoiled.what);
    }
    bench.assert_untouched().await;
}

/// Spec: message-path §2.6, §2.14, §4.1 steps 2, 6, 11. Ours: every truncation is refused.
#[tokio::test]
async fn a_request_that_is_no_message_is_refused() {
    let bench = Bench::new().await;
    let letter = bench.letter();
    let post = Post::of(&letter);
    let with = |change: &dyn Fn(&mut Letter)| {
        let mut letter = letter.clone();
        change(&mut letter);
        Post::of(&letter)
    };
    let push = |kind: &'static str, bytes: &'static [u8]| {
        with(&move |letter| letter.pieces.push(Piece::new(kind, bytes)))
    };
    let fault = saatkond_tests::peer::fault("server.serverproxy.made_up").to_xml();
    let block = letter.place(Part::RestRequest);
    let cases = [
        ("a method that is none of this port", post.clone().method("GET"), "invalid_http_method"),
        ("a method that is none of this port", post.clone().method("PUT"), "invalid_http_method"),
        ("no content type", post.clone().without("Content-Type"), "internal_error"),
        (
            "a content type that is none",
            post.clone().line("Content-Type", "multipart"),
            "service_failed.invalid_content_type",
        ),
        (
            "an empty boundary",
            post.clone().line("Content-Type", "multipart/mixed; boundary=\"\""),
            "internal_error",
        ),
        (
            "no boundary",
            post.clone().line("Content-Type", "multipart/mixed"),
            "service_failed.invalid_content_type",
        ),
        (
            "another type",
            post.clone().line("Content-Type", "text/plain"),
            "service_failed.invalid_content_type",
        ),
        ("no hash algorithm", post.clone().without("x-hash-algorithm"), "internal_error"),
        ("an unknown hash algorithm", post.clone().line("x-hash-algorithm", "CRC32"), "internal_error"),
        ("no request id", post.clone().without("x-road-request-id"), "internal_error"),
        ("another request id", post.clone().line("x-road-request-id", "other"), "internal_error"),
        (
            "a REST message that is not called one",
            post.clone().without("x-road-message-type"),
            "missing_soap",
        ),
        ("another protocol", post.clone().line("x-road-message-type", "rest"), "missing_soap"),
        ("nothing", Post { body: Vec::new(), ..post.clone() }, "service_failed.io_error"),
        (
            "no part",
            Post { body: format!("--{}--\r\n", letter.boundary).into_bytes(), ..post.clone() },
            "internal_error",
        ),
        (
            "no message",
            Post::of(&letter.clone().without(Part::RestRequest)).line("x-road-request-id", "x"),
            "service_failed.invalid_content_type",
        ),
        ("no signature", Post::of(&letter.clone().without(Part::Signature)), "missing_signature"),
        (
            "a fault in the place of the signature",
            with(&|letter| {
                let place = letter.place(Part::Signature);
                letter.pieces[place] = Piece::new(Part::Fault.content_type(), fault.as_bytes());
            }),
            "missing_signature",
        ),
        (
            "a fault in the place of the message",
            with(&|letter| letter.pieces = vec![Piece::new(Part::Fault.content_type(), fault.as_bytes())]),
            "internal_error",
        ),
        ("a part behind the signature", push("text/plain", b"more"), "service_failed.invalid_message"),
        (
            "an unknown part before the message",
            with(&|letter| letter.pieces.insert(0, Piece::new("text/plain", b"hello"))),
            "service_failed.invalid_content_type",
        ),
        (
            "an unknown part behind the message",
            with(&|letter| letter.pieces.insert(block + 1, Piece::new("text/plain", b"hello"))),
            "service_failed.invalid_content_type",
        ),
        (
            "an OCSP response behind the message",
            with(&|letter| letter.pieces.swap(block - 1, block)),
            "service_failed.ssl_authentication_failed",
        ),
        (
            "a body behind the signature",
            push(Part::RestBody.content_type(), b"x"),
            "service_failed.invalid_message",
        ),
        (
            "the block of an answer",
            with(&|letter| letter.pieces[block].kind = Part::RestResponse.content_type().to_owned()),
            "service_failed.internal_error",
        ),
        (
            "a block that is none",
            with(&|letter| letter.pieces[block].bytes = b"nonsense".to_vec()),
            "service_failed.internal_error",
        ),
        (
            "a block without request id",
            with(&|letter| {
                let text = String::from_utf8(letter.pieces[block].bytes.clone()).unwrap();
                letter.pieces[block].bytes =
                    text.replace("x-road-request-id", "x-road-other-id").into_bytes();
            }),
            "service_failed.internal_error",
        ),
        (
            "a block with a lone line end",
            with(&|letter| {
                let text = String::from_utf8(letter.pieces[block].bytes.clone()).unwrap();
                letter.pieces[block].bytes = text.replacen("TAX\r\n", "TAX\nX-More:1\r\n", 1).into_bytes();
            }),
            "service_failed.internal_error",
        ),
        (
            "a block with a header of the connection",
            with(&|letter| letter.pieces[block].bytes.extend_from_slice(b"Content-Length:1\r\n")),
            "service_failed.internal_error",
        ),
    ];
    for (what, post, code) in cases {
        let told = bench.say(&post).await;
        assert_eq!(told.code(), code, "{what}: {:?}", told.fault());
        assert_eq!(told.head.status(), 200, "{what}: faults come with status 200");
        assert_eq!(told.head.line("content-type"), Some("text/xml;charset=utf-8"), "{what}");
    }
    bench.assert_untouched().await;
}

/// Spec: message-path §2.6, §4.1 step 4.
#[tokio::test]
async fn a_peer_that_is_too_old_is_refused_where_the_operator_wants_that() {
    let bench = Bench::new().await;
    let post = Post::of(&bench.letter());
    assert_eq!(
        bench.say(&post.clone().line("x-proxy-version", "6.0.0")).await.code(),
        "",
        "where not, none is"
    );
    let (server_toml, federation) = (answering(&bench.service.url("/api")), bench.federation);
    bench.home.stop().await;
    let _home = federation.open_with("HOME", &server_toml, "[peers]\noldest = \"7.6.0\"\n").await;
    let cases = [
        (Some("7.6.0"), ""),
        (Some("7.8.1-SNAPSHOT-20260202"), ""),
        (Some("7.5.9"), "client_proxy_version_not_supported"),
        (Some("7.6.0-SNAPSHOT"), "client_proxy_version_not_supported"),
        (Some("nonsense"), "internal_error"),
        (None, "internal_error"),
    ];
    for (version, code) in cases {
        let post = match version {
            Some(version) => post.clone().line("x-proxy-version", version),
            None => post.clone().without("x-proxy-version"),
        };
        let told = Asker::of(&federation, "TAX").say(&federation, "HOME", &post).await.unwrap();
        assert_eq!(told.code(), code, "{version:?}: {:?}", told.fault());
    }
}

/// Ours: message-path §2.14 tells where X-Road takes what was cut for what is whole.
#[tokio::test]
async fn a_request_that_is_cut_off_anywhere_is_refused() {
    let bench = Bench::new().await;
    let asker = bench.asker();
    let letter = asker.draft(&Ask::post("land", "0123456789")).letter();
    let bytes = letter.bytes();
    let boundary = format!("--{}", letter.boundary);
    let mut cuts: Vec<usize> = bytes
        .windows(boundary.len())
        .enumerate()
        .filter(|(_, window)| *window == boundary.as_bytes())
        .flat_map(|(at, _)| [at, at + 3, at + boundary.len(), at + boundary.len() + 20])
        .filter(|at| *at < bytes.len())
        .collect();
    cuts.extend([1, bytes.len() - 5, bytes.len() - 3]);
    for cut in cuts {
        // The connection's framing tells: the length was another.
        let told = bench.say(&Post::of(&letter).cut(cut)).await;
        assert_eq!(told.code(), "service_failed.io_error", "{cut} of {}: {:?}", bytes.len(), told.fault());
        // The framing agrees, and the multipart has no end.
        let post = Post { body: bytes[..cut].to_vec(), ..Post::of(&letter) };
        let told = bench.say(&post).await;
        assert_eq!(told.code(), "service_failed.io_error", "{cut} of {}: {:?}", bytes.len(), told.fault());
    }
    bench.assert_untouched().await;
}

/// Spec: message-path §2.3, §4.1 step 1.
#[tokio::test]
async fn a_peer_that_no_server_is_registered_with_is_not_let_in() {
    let bench = Bench::new().await;
    let post = Post::of(&bench.letter());
    let asker = bench.asker();
    let (own, harbour) = (bench.federation.auth("TAX"), bench.federation.auth("PORT"));
    let cases = [
        ("no certificate", None, "CertificateRequired"),
        (
            "a good certificate that is not registered",
            Some(bench.federation.issue(For::Authentication, |_| ())),
            "CertificateUnknown",
        ),
        ("the certificate that it signs with", Some(bench.federation.sign("TAX")), "CertificateUnknown"),
        ("a certificate whose key is another", Some(own.with_key_of(&harbour)), "DecryptError"),
    ];
    for (what, shows, alert) in cases {
        let refused = Asker { shows, ..asker.clone() }.say(&bench.federation, "HOME", &post).await;
        let error = refused.expect_err(what);
        assert!(error.to_string().contains(alert), "{what}: {error}");
    }
    bench.assert_untouched().await;
}

/// Spec: message-path §4.1 step 10, §4.5, §5.3.
#[tokio::test]
async fn each_check_of_the_peer_may_fail() {
    let federation = Federation::new().await;
    let authentication = For::Authentication;
    let named = |name: &'static str| {
        move |params: &mut rcgen::CertificateParams| {
            saatkond_tests::federation::named(params, "DEV/TAX/GOV", name);
        }
    };
    let unused = federation.issue(For::Nothing, named("unused.example"));
    let signing = federation.issue(For::Signing, named("signing.example"));
    let expired = federation.issue(authentication, |params| {
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    });
    let early = federation.issue(authentication, |params| {
        params.not_before = rcgen::date_time_ymd(2026, 1, 3);
    });
    let of_itself = Holder::self_signed(authentication, named("itself.example"));
    let impostor = federation.authority().with_key_of(&of_itself);
    let forged = Holder::issued_by(&impostor, authentication, named("forged.example"));
    let digital = federation.issue(For::Tls, |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    });
    let odd = [&unused, &signing, &expired, &early, &of_itself, &forged, &digital];
    let own = federation.auth("TAX");
    let bench = Bench::of(federation).await;
    bench.home.register("TAX", &odd);
    let federation = &bench.federation;
    let (now, hour) = (federation.now(), Duration::from_secs(3600));
    let good = |holder: &Holder| vec![federation.good(&holder.certificate)];
    let status = |status, at| vec![federation.status(&own.certificate, status, at)];
    let failed = "service_failed.ssl_authentication_failed";
    let stranger = federation.auth("PORT");
    let cases = [
        ("no OCSP response", &own, Vec::new(), failed),
        ("an OCSP response that cannot be read", &own, vec![b"nonsense".to_vec()], "service_failed.io_error"),
        ("an OCSP response that is empty", &own, vec![Vec::new()], "service_failed.io_error"),
        ("an OCSP response of another certificate", &own, good(&stranger), failed),
        (
            "a stale OCSP response",
            &own,
            status(Status::Good, now.minus(hour + Duration::from_secs(1))),
            failed,
        ),
        ("an OCSP response of tomorrow", &own, status(Status::Good, now.plus(hour * 24)), failed),
        ("a revoked certificate", &own, status(Status::Revoked { at: START }, now), failed),
        ("a certificate that its authority does not know", &own, status(Status::Unknown, now), failed),
        (
            "an OCSP response by who may not",
            &own,
            vec![status_by(
                &stranger,
                &own.certificate,
                &federation.authority().certificate,
                (Status::Good, now),
            )],
            failed,
        ),
        ("a certificate for no use", &unused, good(&unused), failed),
        ("a certificate for signing", &signing, good(&signing), failed),
        ("a certificate that has expired", &expired, good(&expired), failed),
        ("a certificate that is not valid yet", &early, good(&early), failed),
        ("a certificate of nobody approved", &of_itself, good(&of_itself), "service_failed.internal_error"),
        (
            "a certificate that its authority did not sign",
            &forged,
            good(&forged),
            "service_failed.internal_error",
        ),
        ("another member's server", &stranger, good(&stranger), failed),
    ];
    for (what, shows, statuses, code) in cases {
        let asker = Asker { shows: Some(shows.clone()), statuses, ..bench.asker() };
        let told = asker.ask(federation, "HOME", &Ask::get("land")).await;
        assert_eq!(told.code(), code, "{what}: {:?}", told.fault());
    }
    for (what, shows, statuses) in [
        ("its key usage is enough", &digital, good(&digital)),
        ("the same response twice", &own, [good(&own), good(&own)].concat()),
        ("a response that is none of its business", &own, [good(&stranger), good(&own)].concat()),
    ] {
        let asker = Asker { shows: Some(shows.clone()), statuses, ..bench.asker() };
        let told = asker.ask(federation, "HOME", &Ask::get("land")).await;
        assert_eq!(told.code(), "", "{what}: {:?}", told.fault());
    }
    assert_eq!((bench.home.log().len(), bench.service.asked.len()), (6, 3));
}

/// Seen: message-path §4.5: leaf alone, with its authority, with all above it; an OCSP response for each but the anchor.
#[tokio::test]
async fn a_peer_may_show_authorities_above_its_certificate() {
    let federation = Federation::of(|plan| plan.has_intermediate = true).await;
    let bench = Bench::of(federation).await;
    let federation = &bench.federation;
    let (leaf, issuing, root) = (federation.auth("TAX"), federation.authority(), federation.root());
    let of_leaf = federation.good(&leaf.certificate);
    let at = (Status::Good, federation.now());
    let of_issuing = status_by(&root, &issuing.certificate, &root.certificate, at);
    let failed = "service_failed.ssl_authentication_failed";
    let cases = [
        (vec![], vec![of_leaf.clone()], ""),
        (vec![&issuing], vec![of_leaf.clone(), of_issuing.clone()], ""),
        (vec![&issuing], vec![of_issuing.clone(), of_leaf.clone()], ""),
        (vec![&issuing, &root], vec![of_leaf.clone(), of_issuing.clone()], ""),
        (vec![&issuing], vec![of_leaf.clone()], failed),
        (vec![&issuing], vec![of_issuing], failed),
    ];
    for (place, (behind, statuses, code)) in cases.into_iter().enumerate() {
        let behind = behind.into_iter().map(|holder| holder.certificate.clone()).collect();
        let asker = Asker { behind, statuses, ..bench.asker() };
        let told = asker.ask(federation, "HOME", &Ask::get("land")).await;
        assert_eq!(told.code(), code, "case {place}: {:?}", told.fault());
    }
}

/// Spec: message-path §4.1 steps 8, 12–15; §1.4.2.
#[tokio::test]
async fn what_may_not_be_called_is_refused() {
    let bench = Bench::new().await;
    let asker = bench.asker();
    let get = |path: &str| Ask::get(path);
    let ships = Asker::of(&bench.federation, "PORT");
    let cases = [
        (&asker, get("none"), "unknown_service"),
        (&asker, get("Land"), "unknown_service"),
        (&asker, get("hidden"), "access_denied"),
        (&asker, get("off"), "service_disabled"),
        (&ships, get("land").client("DEV/COM/M3/SHIPS"), "access_denied"),
        (&ships, get("none").client("DEV/COM/M3/SHIPS"), "unknown_service"),
        (&asker, get("land").client("DEV/GOV/M1"), "access_denied"),
        (&asker, get("land/..%2f..%2fx"), "access_denied"),
        (&asker, get("").target("/r1/DEV/GOV/M2/OTHER/land"), "service_failed.unknown_member"),
        (&asker, get("").target("/r1/DEV/GOV/M1/TAX/land"), "service_failed.unknown_member"),
        (
            &asker,
            get("land").line("X-Road-Security-Server", "DEV/GOV/M2/EMBASSY"),
            "service_failed.invalid_security_server",
        ),
    ];
    for (asker, ask, code) in cases {
        let told = asker.ask(&bench.federation, "HOME", &ask).await;
        assert_eq!(told.code(), code, "{ask:?}: {:?}", told.fault());
    }
    let told = asker.ask(&bench.federation, "HOME", &get("off")).await;
    assert!(told.fault().unwrap().string.contains("Closed today"));
    bench.assert_untouched().await;
}

/// Ours: a stranger must not fill our disk: who may not call is told before the body is taken.
#[tokio::test]
async fn who_may_not_call_is_told_before_the_body_has_come() {
    let bench = Bench::new().await;
    let asker = bench.asker();
    let letter = asker.draft(&Ask::post("hidden", vec![b'a'; 100_000])).letter();
    let body_begins = letter.bytes().windows(10).position(|w| w == [b'a'; 10]).unwrap();
    let mut post = Post::of(&letter);
    post.lines.push(("Content-Length".to_owned(), post.body.len().to_string()));
    let mut bytes = saatkond_tests::wire::head("POST / HTTP/1.1", &post.lines);
    bytes.extend_from_slice(&post.body[..body_begins]);
    let mut wire: Wire = asker.connect(&bench.federation, "HOME").await.unwrap();
    wire.say(&bytes).await.unwrap();
    let told = Told::hear(&mut wire, "POST").await.unwrap();
    assert_eq!(told.code(), "access_denied", "{:?}", told.fault());
    drop(wire);
    bench.assert_untouched().await;
}

/// Seen: message-path §4.1: an unchanged replay is taken; it is a second call, and a second piece of evidence.
#[tokio::test]
async fn messages_that_hold_are_taken() {
    let bench = Bench::new().await;
    let (asker, federation) = (bench.asker(), &bench.federation);
    let letter = bench.letter();
    for _ in 0..2 {
        assert_eq!(bench.bring(&letter).await.code(), "");
    }
    assert_eq!((bench.service.asked.len(), bench.home.log().len()), (2, 4));
    let drafts: Vec<Draft> = [Ask::get("land"), Ask::post("land", "body"), Ask::post("land", "")]
        .map(|ask| asker.draft(&ask))
        .to_vec();
    for letter in Draft::batch(&drafts) {
        let told = bench.bring(&letter).await;
        assert_eq!(told.code(), "", "{:?}", told.fault());
        let opened = told.opened().unwrap();
        assert!(!opened.signature.is_empty() && opened.body == Some(b"{}".to_vec()));
    }
    assert_eq!(bench.service.asked.len(), 5);
    // Which of its names a gateway was called by is nothing to it. Seen: message-path §2.4.
    for host in ["localhost:5500", "elsewhere.invalid", ""] {
        let post = Post::of(&bench.letter()).line("Host", host);
        assert_eq!(bench.say(&post).await.code(), "", "{host}");
    }
    // Many on one connection.
    let mut wire = asker.connect(federation, "HOME").await.unwrap();
    for _ in 0..3 {
        Post::of(&asker.draft(&Ask::get("land")).letter()).say(&mut wire).await.unwrap();
        assert_eq!(Told::hear(&mut wire, "POST").await.unwrap().code(), "");
    }
}
