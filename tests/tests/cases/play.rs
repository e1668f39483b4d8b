//! One case, played.

use crate::bench::{self, ALLOWED, Bench, answering, asking, nowhere};
use crate::parts::{Section, sections, without_hash};
use crate::table::Case;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::globalconf::shared::SecurityServer;
use saatkond_proto::transport::write::Part;
use saatkond_tests::federation::FRESHNESS;
use saatkond_tests::peer::{Greeting, http_answer};
use saatkond_tests::{Answer, Ask, Asked, Asker, Caller, Play, Post, Service};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the attachment of the case about big ones, a tenth of X-Road's: what a gigabyte takes is measured elsewhere.
const BIG_BYTES: usize = 65_000_000;
/// The boundary of messages that a case makes itself.
const BOUNDARY: &str = "jetty771207119h3h10dty";

/// What came of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    fault: Option<SoapFault>,
    content_type: String,
    body: Vec<u8>,
    sent: Vec<u8>,
    /// What the service was asked, where it was.
    asked: Option<Arc<Asked>>,
}

impl Outcome {
    /// The code of the fault; empty for an answer.
    pub(crate) fn code(&self) -> &str {
        self.fault.as_ref().map_or("", |fault| fault.code.as_str())
    }

    /// Whether it is a fault, with what the case wants to find in it.
    pub(crate) fn some_fault(&self, case: &Case) -> Result<(), String> {
        let within = match case.name.as_str() {
            "SoapFaultInMultipartResponse" => "Unable to create payload, try increasing the size</error>",
            _ => "",
        };
        if self.fault.is_some() && String::from_utf8_lossy(&self.body).contains(within) {
            return Ok(());
        }
        Err(format!("expected a fault with {within:?}, came {}", self.text()))
    }

    /// Its first characters.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(600).collect()
    }

    /// Whether the answer came as it was given, and the service was asked as it was sent.
    pub(crate) fn normal(&self, case: &Case) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(format!("expected an answer, came {fault:?}"));
        }
        let asked = self.asked.as_ref().ok_or("the service was not asked")?;
        let sent = sections(&case.request_type, &self.sent);
        same(
            "content type at the service",
            &case.request_type.as_str(),
            &asked.line("content-type").unwrap_or(""),
        )?;
        same("what the service was asked", &sent, &sections(&case.request_type, &asked.body))?;
        let given = sections(&case.answer_type, &given(case));
        let mut told = sections(&self.content_type, &self.body);
        let (envelope, hash) = without_hash(&told[0].body);
        told[0].body = envelope.into_bytes();
        let mut given: Vec<Section> = given;
        given[0].body = without_hash(&given[0].body).0.into_bytes();
        same("what was answered", &given, &told)?;
        use base64::Engine as _;
        let digest = DigestAlgorithm::Sha512.digest(&sent[0].body);
        let expected = base64::engine::general_purpose::STANDARD.encode(digest);
        same("request hash", &Some(expected), &hash)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}

/// What the service gives, or the gateway that the test plays.
fn given(case: &Case) -> Vec<u8> {
    let mark = if case.name == "Utf8BomNormalSubsystem" { "\u{feff}" } else { "" };
    let answer = if case.answer.is_empty() { Vec::new() } else { case.file(&case.answer) };
    [mark.as_bytes(), &answer].concat()
}

/// What is asked.
fn asked(case: &Case) -> Vec<u8> {
    match case.name.as_str() {
        "Utf8BomNormalSubsystem" => ["\u{feff}".as_bytes(), &case.file(&case.request)].concat(),
        // Its query is not among the vectors: the same with the boundary that is meant.
        "AttachmentSmallMantis" => {
            let query = String::from_utf8(case.file("attachm.query")).unwrap();
            query.replace(BOUNDARY, ":gkMa5KAvuHP7ahe9IQHONLgnncvv:").into_bytes()
        }
        "AttachmentBig" => {
            let envelope = case.file("getstate.query");
            let mut body =
                format!("--{BOUNDARY}\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n").into_bytes();
            body.extend(envelope);
            let head = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";
            body.extend(format!("\r\n--{BOUNDARY}\r\n{head}").into_bytes());
            let block: Vec<u8> =
                (0..1000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
            body.extend(block.iter().cycle().take(BIG_BYTES));
            body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
            body
        }
        _ => case.file(&case.request),
    }
}

/// Plays a case.
pub(crate) async fn play(bench: &Bench, case: &Case) -> Outcome {
    match case.name.as_str() {
        "InvalidContentTypeFromClientProxy"
        | "NoSignatureToServerProxy"
        | "NoSoapToServerProxy"
        | "ServerProxyProcessingError"
        | "UnsignedMessageFromClientProxy"
        | "WrongHttpMethodServerProxy" => at_the_provider(bench, case).await,
        "SslClientCipherSuiteSetupError" => with_a_door(bench, case).await,
        _ if case.has_door => with_a_door(bench, case).await,
        "SigningFailsInClientProxy" | "SigningFailsInServerProxy" => without_signatures(case).await,
        _ => {
            prepare(bench, case).await;
            let outcome = through_both(bench, case).await;
            bench.restore().await;
            outcome
        }
    }
}

//------------ both gateways --------------------------------------------------

/// Makes it so that the case is what it is.
async fn prepare(bench: &Bench, case: &Case) {
    bench.answers(service_answer(case));
    let (over_http, over_https) = (bench.service.url(""), bench.service_tls.url(""));
    let elsewhere = format!("http://{}/service", nowhere());
    let disabled = format!("enabled = false\nnotice = \"Service is disabled\"\n{ALLOWED}");
    let without_tls_check = format!("verify_tls = false\n{ALLOWED}");
    let certificate = |file: &str| format!("certificates = [\"{file}\"]\n");
    let producer = match case.name.as_str() {
        "InvalidServiceAddress" | "InvalidServiceAddress2" => Some(answering(&elsewhere, "", ALLOWED)),
        "NotAllowed" => Some(answering(&over_http, "", "")),
        "ServiceDisabled" => Some(answering(&over_http, "", &disabled)),
        "UnknownService" => Some(answering(&over_http, "", ALLOWED).replace("\"getState\"", "\"other\"")),
        "SslToServiceAuth" => Some(answering(&over_https, &certificate("service.pem"), ALLOWED)),
        "SslToServiceNoAuth" => Some(answering(&over_https, "", &without_tls_check)),
        "SslToServiceNoISCerts" => Some(answering(&over_https, "", ALLOWED)),
        "SslToServiceWrongISCert" => Some(answering(&over_https, &certificate("other.pem"), ALLOWED)),
        _ => None,
    };
    if let Some(server_toml) = producer {
        bench.producer.change_server(&server_toml).await;
    }
    let shown = match case.name.as_str() {
        "SslClientAuth" => Some(certificate("caller.pem")),
        "SslClientAuthExpiredISCert" => Some(certificate("expired.pem")),
        "SslClientAuthNoISCert" => Some(String::new()),
        "SslClientAuthWrongISCert" => Some(certificate("expired.pem")),
        _ => None,
    };
    if let Some(more) = shown {
        bench.consumer.change_server(&asking("mutual-tls", &more)).await;
    }
    believe(bench, case);
}

/// Lets the consumer's gateway believe what the case says of the provider's.
fn believe(bench: &Bench, case: &Case) {
    let with = |change: &dyn Fn(&mut SecurityServer)| {
        bench.consumer.believe(|shared| {
            shared.servers.iter_mut().filter(|server| server.id.code == "PRODUCER").for_each(change);
        });
    };
    match case.name.as_str() {
        "InvalidProviderAddress3" => with(&|server| server.address.clear()),
        "ServerProxyMaintenanceMode" => {
            with(&|server| server.maintenance = Some("Maintenance mode is on".to_owned()));
        }
        "SslAuthCertNotMatchesOrg" | "SslAuthTrustManagerError" | "SslClientCertVerificationError" => {
            with(&|server| server.auth_cert_hashes.clear());
        }
        "SslSelectFastestProxyNoConnections" => with(&|server| server.address = nowhere()),
        "SslSelectFastestProxy" => bench.consumer.believe(|shared| {
            let known = shared.servers.iter().find(|server| server.id.code == "PRODUCER").unwrap().clone();
            for code in ["A", "Z"] {
                let mut other = SecurityServer { address: nowhere(), ..known.clone() };
                other.id.code = code.to_owned();
                shared.servers.push(other);
            }
        }),
        _ => {}
    }
}

/// What the service says.
fn service_answer(case: &Case) -> Answer {
    match case.name.as_str() {
        "ServiceConnectionAborted" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").close(),
        "ServiceHttpError" => Answer::new("502 Bad Gateway", &[("Content-Type", "text/html")], "<html/>"),
        "ServiceReturnsFault" => {
            let kind = [("Content-Type", "text/xml")];
            Answer::new("500 Internal Server Error", &kind, case.file("fault.query"))
        }
        _ => Answer::new("200 OK", &[("Content-Type", &case.answer_type)], given(case)),
    }
}

/// What the information system says.
fn ask(case: &Case, body: Vec<u8>) -> Ask {
    let mut ask = Ask::new(&case.method, "").target("/");
    ask.lines.retain(|(name, _)| name != "X-Road-Client");
    let ask = match case.name.as_str() {
        "SoapActionEmptyHeader" => ask.line("SOAPAction", ""),
        "SoapActionHeader" => ask.line("SOAPAction", "\"\""),
        "SoapActionMalformedHeader" => ask.line("SOAPAction", "http://example.org/action"),
        _ => ask,
    };
    let ask = ask.line("x-hash-algorithm", "SHA-512");
    if case.method == "GET" {
        return ask;
    }
    ask.line("Content-Type", &case.request_type).body(body).chunked(8192)
}

async fn through_both(bench: &Bench, case: &Case) -> Outcome {
    let before = bench.times_asked();
    let sent = asked(case);
    let ask = ask(case, sent.clone());
    let heard = if case.is_tls {
        let shows = &bench.callers[usize::from(case.name == "SslClientAuthExpiredISCert")];
        let caller = Caller::connect_tls(bench.consumer.clients_tls, Some(shows)).await;
        caller.unwrap().ask(&ask).await
    } else {
        bench.consumer.ask(&ask).await
    };
    let asked = bench.asked_since(before);
    if let (Some(asked), Some(action)) = (&asked, ask.lines.iter().find(|(name, _)| name == "SOAPAction")) {
        assert_eq!(asked.line("soapaction"), Some(action.1.as_str()), "{}", case.name);
    }
    Outcome::heard(sent, (heard.line("content-type").unwrap_or_default(), heard.body.clone()), asked)
}

impl Outcome {
    fn heard(sent: Vec<u8>, (content_type, body): (&str, Vec<u8>), asked: Option<Arc<Asked>>) -> Self {
        let fault = SoapFault::from_xml(&body).ok().flatten();
        Self { fault, content_type: content_type.to_owned(), body, sent, asked }
    }
}

//------------ the test plays a gateway ---------------------------------------

/// The test plays the consumer's gateway: what the case sends comes over TLS, with the OCSP response that TLS demands.
async fn at_the_provider(bench: &Bench, case: &Case) -> Outcome {
    let asker = Asker::of(&bench.federation, "CONSUMER");
    let mut body = case.file(&case.request);
    if let Some((_, boundary)) =
        case.request_type.split_once("multipart/mixed; ").and_then(|(_, p)| p.split_once("boundary="))
    {
        let first = format!("--{}\n", boundary.split(';').next().unwrap());
        if body.starts_with(first.as_bytes()) {
            let mut with = format!("{first}Content-Type: {}\n\n", Part::Ocsp.content_type()).into_bytes();
            with.extend_from_slice(&asker.statuses[0]);
            with.extend_from_slice(b"\n");
            body = [with, body].concat();
        }
    }
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let post = Post {
        method: case.method.clone(),
        lines: vec![
            line("x-hash-algorithm", "SHA-512"),
            line("Content-Type", &case.request_type),
            line("Host", "localhost"),
        ],
        body,
        cut: None,
    };
    let told = asker.say(&bench.federation, "PRODUCER", &post).await.unwrap();
    let fault = told.fault();
    Outcome { fault, content_type: String::new(), body: told.body, sent: post.body, asked: None }
}

/// The test plays the provider's gateway.
async fn with_a_door(bench: &Bench, case: &Case) -> Outcome {
    let (consumer, door) = (&bench.apart.consumer, &bench.apart.door);
    let head = |kind: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nx-hash-algorithm: SHA-512\r\nContent-Length: 1000\r\n\r\n"
        )
    };
    let says = match case.name.as_str() {
        "ServerProxyConnectionAborted2" => head("text/xml").into_bytes(),
        "ServerProxyConnectionAborted3" => head("multipart/mixed; boundary=foobar").into_bytes(),
        "ServerProxyHttpError" => {
            http_answer("502 Bad Gateway", &[("Content-Type", "text/html")], b"<html/>")
        }
        _ => {
            let kind =
                if case.name == "ServerProxyNoBoundary" { "multipart/mixed" } else { &case.answer_type };
            http_answer("200 OK", &[("Content-Type", kind), ("x-hash-algorithm", "SHA-512")], &given(case))
        }
    };
    door.behave(|manner| {
        manner.greeting = match case.name.as_str() {
            "SslClientCipherSuiteSetupError" => Greeting::RefusesTls,
            "ServerProxyConnectionAborted" => Greeting::HangsUpAfter(1024),
            _ => Greeting::Listens,
        };
    });
    door.plays(move |_| Play::Last(says.clone()));
    let sent = asked(case);
    let heard = consumer.ask(&ask(case, sent.clone())).await;
    Outcome::heard(sent, (heard.line("content-type").unwrap_or_default(), heard.body.clone()), None)
}

/// Both gateways of an own instance, in which nothing can be signed: by the consumer's from the start, by the provider's
/// once the service has been asked.
async fn without_signatures(case: &Case) -> Outcome {
    let federation = bench::instance().await;
    let (clock, answer) = (federation.clock.clone(), service_answer(case));
    let service = Service::start(move |_| {
        clock.advance(FRESHNESS + Duration::from_secs(60));
        answer.clone()
    })
    .await;
    let server_toml = answering(&service.url(""), "", ALLOWED);
    let _producer = federation.open("PRODUCER", &server_toml).await;
    if case.name == "SigningFailsInClientProxy" {
        federation.revoke(&federation.sign("CONSUMER").certificate);
    }
    let consumer = bench::consumer(&federation).await;
    let sent = asked(case);
    let heard = consumer.ask(&ask(case, sent.clone())).await;
    Outcome::heard(sent, (heard.line("content-type").unwrap_or_default(), heard.body.clone()), None)
}
