//! Every code that a gateway may utter, uttered: at the consumer's door, at the provider's, and of what a service says.
//!
//! Spec: message-path §1.6. Codes of a peer or a service pass through as they are, in whichever spelling.

use crate::sites::{believe, policy};
use crate::soap::{self, RELATED, envelope, multipart};
use crate::spoiled::{self, MARK};
use saatkond::jobs::Job;
use saatkond_proto::continuity::Class;
use saatkond_proto::fault::Leaf;
use saatkond_proto::transport::write::Part;
use saatkond_proto::trust::ocsp::Status;
use saatkond_tests::federation::{FRESHNESS, VALIDITY};
use saatkond_tests::letter::Piece;
use saatkond_tests::peer::{Greeting, fault, fault_answer, letter_answer};
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{
    Answer, Ask, Asked, Asker, Door, Federation, For, Heard, Play, Post, Service, Signer, Site, patiently,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Codes that no exchange can bring forth, each with the reason.
const NEVER: &[(Leaf, &str)] = &[
    (Leaf::AsicHashChainNotFound, OF_FILES),
    (Leaf::AsicHashChainResultNotFound, OF_FILES),
    (Leaf::AsicInvalidMimeType, OF_FILES),
    (Leaf::AsicMessageNotFound, OF_FILES),
    (Leaf::AsicMimeTypeNotFound, OF_FILES),
    (Leaf::AsicSignatureNotFound, OF_FILES),
    (Leaf::NotFound, "said in words and by a status to who asks for documents"),
    (Leaf::TspCertificateNotFound, OF_STAMPS),
    (Leaf::TimestampSignerVerificationFailed, OF_STAMPS),
];
const OF_FILES: &str = "said of a container by who verifies one; no message is one";
const OF_STAMPS: &str = "said of a time-stamp, for which no exchange waits";

/// The codes that were uttered.
#[derive(Default)]
struct Uttered(Vec<String>);

impl Uttered {
    fn note(&mut self, what: &str, expected: &str, found: &str) {
        assert_eq!(found, expected, "{what}");
        self.0.push(found.to_owned());
    }

    fn heard(&mut self, what: &str, expected: &str, heard: &Heard) {
        let told = heard.fault().map(|fault| fault.code);
        let found = told.unwrap_or_else(|| heard.code().to_owned());
        self.note(&format!("{what}: {}", heard.text()), expected, &found);
    }

    fn has(&self, leaf: Leaf) -> bool {
        let ends = |code: &String| {
            let words = format!(".{code}.");
            words.contains(&format!(".{}.", leaf.text()))
        };
        self.0.iter().any(ends)
    }
}

/// Spec: message-path §1.6.
#[tokio::test]
async fn every_code_is_uttered() {
    let mut uttered = Uttered::default();
    envelopes(&mut uttered).await;
    services(&mut uttered).await;
    questions(&mut uttered).await;
    requests(&mut uttered).await;
    answers(&mut uttered).await;
    doors(&mut uttered).await;
    logs(&mut uttered).await;
    times(&mut uttered).await;
    registers(&mut uttered).await;
    for leaf in Leaf::ALL {
        let listed = NEVER.iter().find(|(never, _)| never == leaf);
        match (uttered.has(*leaf), listed) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => panic!("{} was not uttered, and it is not said why", leaf.text()),
            (true, Some((_, why))) => panic!("{} was uttered, and should not be: {why}", leaf.text()),
        }
    }
}

/// `server.toml` of a provider's gateway with a service of each kind.
fn offering(url: &str) -> String {
    let allow = "allow = [{ client = \"DEV/GOV/M1/TAX\" }]\n";
    let nowhere = format!("http://{}.invalid/", "n".repeat(64));
    let mut text = answering(url);
    for (code, kind, url, more) in [
        ("parcel", "soap", url, allow),
        ("lost", "soap", &nowhere, allow),
        ("hidden", "rest", url, ""),
        ("off", "rest", url, &format!("enabled = false\n{allow}")),
        ("dead", "rest", "http://127.0.0.1:1/", allow),
    ] {
        text += &format!("[[client.service]]\ncode = \"{code}\"\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}");
    }
    text
}

/// A pair whose service says what it is told to say.
pub(crate) struct Scripted {
    pub(crate) tax: Site,
    pub(crate) home: Site,
    pub(crate) service: Service,
    pub(crate) federation: Federation,
    script: Arc<Mutex<Answer>>,
}

impl Scripted {
    pub(crate) async fn new(of_tax: &str, of_home: &str) -> Self {
        let script = Arc::new(Mutex::new(Answer::json("{}")));
        let says = Arc::clone(&script);
        let service = Service::start(move |_: &Asked| says.lock().unwrap().clone()).await;
        let federation = Federation::new().await;
        let home = federation.open_with("HOME", &offering(&service.url("")), of_home).await;
        let tax = federation.open_with("TAX", ASKING, of_tax).await;
        Self { tax, home, service, federation, script }
    }

    pub(crate) fn says(&self, answer: Answer) {
        *self.script.lock().unwrap() = answer;
    }
}

/// Envelopes that are wrong in one thing each, with the last word of their code.
fn wrong_envelopes() -> Vec<(&'static str, String)> {
    let right = envelope("parcel", "parcel");
    let with = |text: &str, other: &str| {
        assert!(right.contains(text), "{text}");
        right.replacen(text, other, 1)
    };
    let between = |start: &str, end: &str| &right[right.find(start).unwrap()..right.find(end).unwrap()];
    vec![
        ("invalid_soap", "not XML".to_owned()),
        ("invalid_soap", String::new()),
        ("invalid_soap", format!("<!DOCTYPE a>{right}")),
        ("missing_header", with(between("<s:Header>", "<s:Body>"), "")),
        ("missing_body", with(between("<s:Body>", "</s:Envelope>"), "")),
        ("invalid_body", with("<parcel/>", "<parcel/><parcel/>")),
        ("invalid_body", with("<parcel/>", "")),
        ("inconsistent_headers", with("<parcel/>", "<packet/>")),
        ("duplicate_header_field", with("<x:id>q-1</x:id>", "<x:id>q-1</x:id><x:id>q-1</x:id>")),
        ("missing_header_field", with("<x:id>q-1</x:id>", "")),
        ("invalid_protocol_version", with(">4.0<", ">3.0<")),
        ("invalid_xml", with("'SERVICE'", "'MEMBER'")),
    ]
}

/// What is wrong with an envelope is said at each place where one comes in, with the same last word.
async fn envelopes(uttered: &mut Uttered) {
    let bench = Scripted::new("", "").await;
    let asker = Asker::of(&bench.federation, "TAX");
    for (code, wrong) in wrong_envelopes() {
        let heard = bench.tax.ask(&soap::ask("text/xml", wrong.as_bytes())).await;
        uttered.heard(&wrong, &format!("client.{code}"), &heard);
        let heard = bench.tax.ask(&soap::ask(RELATED, &multipart(&wrong))).await;
        uttered.heard(&wrong, &format!("client.{code}"), &heard);
        let mut letter = asker.draft(&Ask::get("land")).letter();
        let place = letter.place(Part::RestRequest);
        letter.pieces[place] = Piece::new("text/xml", wrong.as_bytes());
        let told = asker.say(&bench.federation, "HOME", &soap::post(&letter)).await.unwrap();
        uttered.note(&wrong, &format!("service_failed.{code}"), &told.code());
        bench.says(Answer::new("200 OK", &[("Content-Type", "text/xml")], &wrong));
        let heard = bench.tax.ask(&soap::ask("text/xml", envelope("parcel", "parcel").as_bytes())).await;
        uttered.heard(&wrong, &format!("server.serverproxy.service_failed.{code}"), &heard);
    }
    assert_eq!((bench.home.spooled(), bench.tax.spooled()), (0, 0));
}

/// What a service does wrong, and where it cannot be asked.
async fn services(uttered: &mut Uttered) {
    let bench = Scripted::new("", "").await;
    let kind = |kind: &'static str| [("Content-Type", kind)];
    let parcel = || soap::ask("text/xml", envelope("parcel", "parcel").as_bytes());
    let other = envelope("parcel", "parcelResponse").replace("q-1", "q-2");
    let cases = [
        ("http_error", Answer::new("503 Busy", &[], "")),
        ("invalid_content_type", Answer::new("200 OK", &kind("text/html"), "<html/>")),
        ("invalid_message", Answer::new("200 OK", &kind(RELATED), "no multipart")),
        (
            "io_error",
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 9\r\n\r\n<").close(),
        ),
        (
            "internal_error",
            Answer::new("200 OK", &kind("text/xml; charset=nonsense"), envelope("parcel", "parcel")),
        ),
    ];
    for (code, answer) in cases {
        bench.says(answer);
        uttered.heard(
            code,
            &format!("server.serverproxy.service_failed.{code}"),
            &bench.tax.ask(&parcel()).await,
        );
    }
    bench.says(Answer::new("200 OK", &kind("text/xml"), other));
    let code = "server.clientproxy.service_failed.inconsistent_response";
    uttered.heard("another id", code, &bench.tax.ask(&parcel()).await);
    for code in ["soap:Server", "Server.Register.NotThere", "a.b"] {
        bench.says(Answer::new("500 Error", &kind("text/xml"), fault(code).to_xml()));
        uttered.heard("a service's own", code, &bench.tax.ask(&parcel()).await);
    }
    let lost = soap::ask("text/xml", envelope("lost", "lost").as_bytes());
    uttered.heard(
        "no such host",
        "server.serverproxy.service_failed.unknown_host",
        &bench.tax.ask(&lost).await,
    );
    bench.says(Answer::raw("").close());
    for (path, code) in [
        ("land", "io_error"),
        ("dead", "network_error"),
        ("parcel", "service_type"),
        ("hidden", "access_denied"),
        ("off", "service_disabled"),
        ("none", "unknown_service"),
    ] {
        let heard = bench.tax.ask(&Ask::get(path)).await;
        uttered.heard(path, &format!("server.serverproxy.{code}"), &heard);
    }
    // No URL is longer than 64 KiB.
    let asker = Asker::of(&bench.federation, "TAX");
    let long = Ask::get(&format!("land/{}", "a".repeat(70_000)));
    let before = bench.service.asked.len();
    let told = asker.ask(&bench.federation, "HOME", &long).await;
    uttered.note("a long target", "service_malformed_url", &told.code());
    assert_eq!(bench.service.asked.len(), before);
}

/// What an information system asks wrongly.
async fn questions(uttered: &mut Uttered) {
    let bench = Scripted::new("", "").await;
    let right = envelope("parcel", "parcel");
    let say = |kind: &str, body: &[u8]| soap::ask(kind, body);
    let mut nameless = Ask::get("land");
    nameless.lines.retain(|(name, _)| name == "Host");
    let mut broken = multipart(&right);
    broken.splice(6..6, b"no header line\r\n".iter().copied());
    let hides = right.replace("<parcel/>", "<parcel>\n--b1\n</parcel>");
    let mut get = Ask::get("").target("/");
    get.lines.retain(|(name, _)| name == "Host");
    let cases = [
        (get, "client.invalid_http_method"),
        (say("text/xml", right.as_bytes()).line("SOAPAction", "urn:a"), "client.invalid_soap_action"),
        (say("text/plain", right.as_bytes()), "client.invalid_content_type"),
        (say(RELATED, b"--b1--\r\n"), "client.missing_soap"),
        (say(RELATED, &broken), "client.mime_parsing_failed"),
        (say("text/xml", fault("Some.Code").to_xml().as_bytes()), "client.some.code"),
        (say("text/xml; boundary=b1", hides.as_bytes()), "server.serverproxy.service_failed.invalid_request"),
        (Ask::get("land/a<b"), "client.bad_request"),
        (nameless, "server.clientproxy.invalid_client_identifier"),
        (Ask::get("land").client("DEV/GOV/M9"), "server.clientproxy.unknown_member"),
        (Ask::get("land").client("nonsense"), "server.clientproxy.internal_error"),
        (
            Ask::get("land").line("X-Road-Security-Server", "DEV/GOV/M2/NONE"),
            "server.clientproxy.invalid_security_server",
        ),
    ];
    for (ask, code) in cases {
        let heard = bench.tax.ask(&ask).await;
        uttered.heard(&format!("{ask:?}"), code, &heard);
    }
    bench.tax.believe(|shared| {
        shared.servers.iter_mut().for_each(|server| server.maintenance = Some("tonight".to_owned()));
    });
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("maintenance", "server.clientproxy.maintenance_mode", &heard);
}

/// What another gateway asks wrongly.
async fn requests(uttered: &mut Uttered) {
    let bench = Scripted::new("", "[peers]\noldest = \"7.6.0\"\n").await;
    let asker = Asker::of(&bench.federation, "TAX");
    for spoiled in spoiled::signatures(&bench.federation, "TAX") {
        let ask = if spoiled.has_body { Ask::post("land", "body") } else { Ask::get("land") };
        let letter = (spoiled.make)(asker.draft(&ask.line(MARK.0, MARK.1)));
        let told = asker.bring(&bench.federation, "HOME", &letter).await;
        uttered.note(spoiled.what, &format!("signature_verification.{}", spoiled.code), &told.code());
    }
    let letter = asker.draft(&Ask::get("land")).letter();
    let post = Post::of(&letter);
    for (post, code) in [
        (post.clone().method("GET"), "invalid_http_method"),
        (post.clone().line("x-proxy-version", "7.5.0"), "client_proxy_version_not_supported"),
        (Post::of(&letter.clone().without(Part::Signature)), "missing_signature"),
        (post.without("x-road-message-type"), "missing_soap"),
        (Post::of(&letter.clone().without(Part::Ocsp)), "service_failed.ssl_authentication_failed"),
    ] {
        let told = asker.say(&bench.federation, "HOME", &post).await.unwrap();
        uttered.note(&format!("{post:?}"), code, &told.code());
    }
}

/// What is forbidden to a copy of a register.
async fn registers(uttered: &mut Uttered) {
    let bench = Scripted::new("", "").await;
    let mut forbidden = policy(Class::HomeOnly);
    forbidden.sites.remove(0);
    forbidden.sites[0].servers.push(bench.federation.id("HOME"));
    believe(&bench.home, forbidden);
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("a class", "server.serverproxy.continuity.class_forbidden", &heard);
    let (asker, code) = (Asker::of(&bench.federation, "TAX"), "continuity.already_executed");
    believe(&bench.home, policy(Class::Internal));
    let letter = asker.draft(&Ask::post("land", "")).letter();
    assert_eq!(asker.bring(&bench.federation, "HOME", &letter).await.code(), "");
    let again = asker.bring(&bench.federation, "HOME", &letter).await;
    uttered.note("a write again", code, &again.code());
    let mut of_another = policy(Class::Internal);
    of_another.registers[0].succession = vec!["lux1".to_owned()];
    believe(&bench.home, of_another);
    for (ask, code) in [(Ask::get("land"), "staleness_exceeded"), (Ask::post("land", ""), "not_authority")] {
        let code = format!("server.serverproxy.continuity.{code}");
        uttered.heard("another leads", &code, &bench.tax.ask(&ask).await);
    }
}

/// What another gateway answers wrongly; its own codes pass through.
async fn answers(uttered: &mut Uttered) {
    let federation = Federation::new().await;
    let home = Door::answering(&federation, "HOME", b"x").await;
    let tax = federation.open("TAX", ASKING).await;
    let (signer, clock) = (Signer::of(&federation, "HOME"), federation.clock.clone());
    home.plays(move |received| {
        let mut letter = received.message.answer(&signer, clock.now(), &[], None).letter();
        letter.pieces.clear();
        Play::Bytes(letter_answer(&letter))
    });
    uttered.heard("no part", "server.clientproxy.missing_rest", &tax.ask(&Ask::get("land")).await);
    for code in ["server.serverproxy.made_up", "Server.ServerProxy.AccessDenied", "soap:Client", "x"] {
        home.plays(move |_| Play::Bytes(fault_answer(code)));
        for ask in [Ask::get("land"), soap::ask("text/xml", envelope("land", "land").as_bytes())] {
            uttered.heard("a peer's own", code, &tax.ask(&ask).await);
        }
    }
    home.plays(|_| Play::Last(Vec::new()));
    uttered.heard("cut", "server.clientproxy.io_error", &tax.ask(&Ask::get("land")).await);
    uttered.heard("cut", "server.clientproxy.outcome_unknown", &tax.ask(&Ask::post("land", "")).await);
}

/// Doors that are shut, or strangers'.
async fn doors(uttered: &mut Uttered) {
    let federation = Federation::new().await;
    let home = Door::answering(&federation, "HOME", b"x").await;
    let tax = federation.open("TAX", ASKING).await;
    let expired = federation.issue(For::Authentication, |params| {
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    });
    let own = federation.auth("HOME");
    tax.register("HOME", &[&expired]);
    let stale = federation.status(&own.certificate, Status::Good, federation.now().minus(FRESHNESS * 2));
    let revoked = Status::Revoked { at: federation.now() };
    let revoked = federation.status(&own.certificate, revoked, federation.now());
    for (what, holder, status, code) in [
        (
            "expired",
            &expired,
            federation.good(&expired.certificate),
            "cannot_create_cert_path.internal_error",
        ),
        ("stale", &own, stale, "invalid_cert_path.incorrect_validation_info"),
        ("revoked", &own, revoked, "invalid_cert_path.cert_validation"),
    ] {
        home.show(holder, status);
        let heard = tax.ask(&Ask::get("land")).await;
        uttered.heard(what, &format!("server.clientproxy.ssl_authentication_failed.{code}"), &heard);
    }
    home.behave(|manner| manner.greeting = Greeting::RefusesTls);
    let heard = tax.ask(&Ask::get("land")).await;
    uttered.heard("no TLS", "server.clientproxy.ssl_authentication_failed", &heard);
    drop(home);
    let heard = patiently("the door is shut", async {
        loop {
            let heard = tax.ask(&Ask::get("land")).await;
            if heard.code() != "server.clientproxy.ssl_authentication_failed" {
                break heard;
            }
        }
    });
    uttered.heard("shut", "server.clientproxy.network_error", &heard.await);
}

/// Logs that refuse, and bodies that are too large.
async fn logs(uttered: &mut Uttered) {
    let bench =
        Scripted::new("[timestamping]\nfailure_allowed = \"2 min\"\n", "[log]\nbody_max = \"1 KiB\"\n").await;
    let heard = bench.tax.ask(&Ask::post("land", vec![b'a'; 2000])).await;
    uttered.heard("too large", "server.serverproxy.logging_failed", &heard);
    bench.tax.gateway.log.set_timestamper_known(false);
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("nobody stamps", "server.clientproxy.no_timestamping_provider_found", &heard);
    bench.tax.gateway.log.set_timestamper_known(true);
    bench.tax.gateway.log.stamping_fails();
    bench.federation.clock.advance(Duration::from_secs(121));
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("stamping fails", "server.clientproxy.timestamping_failed", &heard);
}

/// What lapses.
async fn times(uttered: &mut Uttered) {
    let bench = Scripted::new("", "").await;
    bench.federation.revoke(&bench.federation.sign("TAX").certificate);
    bench.tax.run(Job::Ocsp).await;
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("revoked", "server.clientproxy.cannot_create_signature", &heard);
    bench.federation.clock.advance(VALIDITY + Duration::from_secs(1));
    let heard = bench.tax.ask(&Ask::get("land")).await;
    uttered.heard("expired", "server.clientproxy.global_conf_outdated", &heard);
}
