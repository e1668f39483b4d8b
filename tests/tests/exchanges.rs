//! What two real X-Road 7.8.0 servers said to each other, held against all that a gateway asks of a peer: form, TLS
//! certificate, registration, signature, and that the answer belongs to the request; and what came of altered messages.

use saatkond_proto::container::message::Summary;
use saatkond_proto::crypto::{DigestAlgorithm, Hasher};
use saatkond_proto::fault::{Code, Leaf};
use saatkond_proto::globalconf::{GlobalConf, layout};
use saatkond_proto::id::{ClientId, ServerId};
use saatkond_proto::message::rest::{Request, Response, request_hash};
use saatkond_proto::signature::{self, MESSAGE, PartDigest, Unverified};
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::{Event, Expect, ReadError, Reader, is_plain_fault, plain_fault};
use saatkond_proto::transport::{HASH_ALGORITHM, MESSAGE_TYPE, MESSAGE_TYPE_REST};
use saatkond_proto::trust::{Certificate, ocsp, path};
use saatkond_tests::recorded::{self, Http};
use saatkond_tests::vectors::judge::code;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The recordings and the configuration that both servers had.
struct Recordings {
    folder: PathBuf,
    conf: GlobalConf,
}

/// A message that was read to its end.
#[derive(Default)]
struct Message {
    statuses: Vec<Vec<u8>>,
    block: Vec<u8>,
    parts: Vec<PartDigest>,
    signature: Vec<u8>,
    hash_chain_result: Option<Vec<u8>>,
    hash_chain: Option<Vec<u8>>,
    fault: Option<String>,
}

/// A REST request that a provider's gateway would carry out, and its hash.
struct Asked {
    request: Request,
    hash: Vec<u8>,
}

impl Recordings {
    fn find() -> Option<Self> {
        let folder = recorded::folder()?.join("xroad-recorded");
        let stored = folder.join("materials/globalconf");
        let name = |path: &Path| path.strip_prefix(&stored).unwrap().to_str().unwrap().to_owned();
        let files: BTreeMap<_, _> =
            recorded::files(&stored).iter().map(|p| (name(p), std::fs::read(p).unwrap())).collect();
        let loaded = layout::load(&files).unwrap();
        let conf = GlobalConf::new(&loaded.own_instance, loaded.instances).unwrap();
        Some(Self { folder, conf })
    }

    /// Certificates that a server shows: its own, and the intermediate authority's where it has one.
    fn shown(&self, flavour: &str, server: &str) -> Vec<Arc<Certificate>> {
        let names = [format!("{flavour}-{server}-auth"), "ica".to_owned()];
        let names = &names[..if flavour == "int" { 2 } else { 1 }];
        names
            .iter()
            .map(|name| Arc::new(certificate(&self.folder.join(format!("materials/keys/{name}.crt")))))
            .collect()
    }

    /// All that a provider's gateway asks of a request, in its order; the code of a refusal.
    fn ask(&self, http: &Http, shown: &[Arc<Certificate>], at: UnixTime) -> Result<Option<Asked>, String> {
        if !http.first.starts_with("POST ") {
            return Err(code(&Code::of(Leaf::InvalidHttpMethod)));
        }
        let expect = if http.line(MESSAGE_TYPE) == Some(MESSAGE_TYPE_REST) {
            Expect::RestRequest
        } else {
            Expect::SoapRequest
        };
        http.line(HASH_ALGORITHM).and_then(DigestAlgorithm::from_name).ok_or("internal_error")?;
        let message = read(http, expect)?;
        let decoding = |leaf| Code::of(leaf).under(Leaf::ServiceFailed);
        let (client, service, request) = if expect == Expect::RestRequest {
            let request = Request::from_block(message.block.clone())
                .map_err(|_| code(&decoding(Leaf::InternalError)))?;
            (request.client.clone(), request.service.clone(), Some(request))
        } else {
            let summary = Summary::read(&message.block).map_err(|e| e.to_string())?;
            (summary.client, summary.service, None)
        };
        self.judge(&client, shown, &message.statuses, at)?;
        let ours = self.conf.server(&ServerId::from_path("DEV/GOV/M2/SS2").unwrap()).unwrap();
        if !self.conf.is_registered_on(&service.client, ours) {
            return Err(code(&decoding(Leaf::UnknownMember)));
        }
        let body = message.parts.get(1).map(|p| p.digest.clone());
        let block = message.parts[0].digest.clone();
        self.verify(message, &client, at)?;
        Ok(request.map(|request| Asked { hash: request_hash(&block, body.as_deref()), request }))
    }

    /// All that a consumer's gateway asks of an answer; the peer's own fault passes as one.
    fn answer(&self, http: &Http, asked: Option<&Asked>, at: UnixTime) -> Result<Option<Response>, String> {
        let status = http.first.split(' ').nth(1).unwrap_or_default();
        if !["200", "500"].contains(&status) {
            return Err(code(&Code::of(Leaf::HttpError)));
        }
        let content_type = http.line("content-type").ok_or("invalid_content_type")?;
        if is_plain_fault(content_type) {
            return Err(format!("peer {}", plain_fault(&http.body).map_err(|e| code(&e.code()))?.code));
        }
        let is_rest = recorded::place(&http.body, b"application/x-road-rest-re").is_some() || asked.is_some();
        let message = read(http, if is_rest { Expect::RestResponse } else { Expect::SoapResponse })?;
        http.line(HASH_ALGORITHM).and_then(DigestAlgorithm::from_name).ok_or("internal_error")?;
        if let Some(fault) = message.fault {
            return Err(format!("peer {fault}"));
        }
        let block = message.block.clone();
        if !is_rest {
            let summary = Summary::read(&block).map_err(|e| e.to_string())?;
            self.verify(message, &summary.service.client, at)?;
            return Ok(None);
        }
        // The signer is the provider who was asked; where the question is not known, whom the answer names.
        let named = |response: &Response| response.service.clone().map(|s| s.client);
        let signer = match asked {
            Some(asked) => asked.request.service.client.clone(),
            None => named(&Response::from_block(block.clone()).map_err(|e| code(&e.code()))?).unwrap(),
        };
        self.verify(message, &signer, at)?;
        let response = Response::from_block(block).map_err(|e| code(&e.code()))?;
        if let Some(asked) = asked {
            response.answers(&asked.request, &asked.hash).map_err(|e| code(&e.code()))?;
        }
        Ok(Some(response))
    }

    fn judge(
        &self,
        client: &ClientId,
        shown: &[Arc<Certificate>],
        statuses: &[Vec<u8>],
        at: UnixTime,
    ) -> Result<(), String> {
        let refused = || code(&Code::of(Leaf::SslAuthenticationFailed).under(Leaf::ServiceFailed));
        let read: Result<Vec<_>, _> = statuses.iter().map(|der| ocsp::Response::from_der(der)).collect();
        let statuses = read.map_err(|_| code(&Code::of(Leaf::IoError).under(Leaf::ServiceFailed)))?;
        let chain = path::of_peer(shown, self.conf.approved_cas(&client.member.instance), at)
            .map_err(|_| refused())?;
        ocsp::check(&chain, &statuses, &self.conf.all_cas(), &self.conf.ocsp_policy(), at)
            .map_err(|_| refused())?;
        let server = self.conf.server_by_auth_cert(shown[0].der()).ok_or_else(refused)?;
        if self.conf.is_registered_on(client, server) { Ok(()) } else { Err(refused()) }
    }

    fn verify(&self, message: Message, signer: &ClientId, at: UnixTime) -> Result<(), String> {
        let Message { parts, signature, hash_chain_result, hash_chain, .. } = message;
        let unverified = Unverified { parts, signature, hash_chain_result, hash_chain };
        let verified = signature::verify(unverified, signer, &self.conf, at);
        verified.map(|_| ()).map_err(|e| code(&e.code().under(Leaf::SignatureVerification)))
    }
}

fn certificate(path: &Path) -> Certificate {
    use base64::Engine as _;
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let body: String = after.split("-----END").next().unwrap().split_whitespace().collect();
    Certificate::from_der(&base64::engine::general_purpose::STANDARD.decode(body).unwrap()).unwrap()
}

fn read(http: &Http, expect: Expect) -> Result<Message, String> {
    let told = |e: ReadError| code(&e.code());
    let mut reader = Reader::new(http.line("content-type").unwrap_or_default(), expect).map_err(told)?;
    let mut message = Message::default();
    let sha512 = DigestAlgorithm::Sha512;
    let mut hasher = Hasher::new(sha512);
    // TLS hands over what it has: pieces of no particular size.
    for mut input in http.body.chunks(1009) {
        while let Some(event) = reader.next(&mut input).map_err(told)? {
            match event {
                Event::Ocsp(bytes) => message.statuses.push(bytes),
                Event::RestRequest(bytes)
                | Event::RestResponse(bytes)
                | Event::Soap { envelope: bytes, .. } => {
                    let digest = sha512.digest(&bytes);
                    message.parts.push(PartDigest { name: MESSAGE.to_owned(), algorithm: sha512, digest });
                    message.block = bytes;
                }
                Event::BodyStart | Event::AttachmentStart { .. } => hasher = Hasher::new(sha512),
                Event::Body(bytes) | Event::Attachment(bytes) => hasher.update(bytes),
                Event::BodyEnd | Event::AttachmentEnd => {
                    let name = format!("/attachment{}", message.parts.len());
                    message.parts.push(PartDigest {
                        name,
                        algorithm: sha512,
                        digest: hasher.clone().finish(),
                    });
                }
                Event::HashChainResult(bytes) => message.hash_chain_result = Some(bytes),
                Event::HashChain(bytes) => message.hash_chain = Some(bytes),
                Event::Signature(bytes) => message.signature = bytes,
                Event::Fault(fault) => message.fault = Some(fault.code),
                Event::End => {}
            }
        }
    }
    reader.finish().map_err(told)?;
    Ok(message)
}

fn known(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("info.json")).unwrap()).unwrap()
}

fn time(known: &Value) -> UnixTime {
    let text = known.get("started").or_else(|| known.get("when")).and_then(Value::as_str).unwrap();
    UnixTime::from_rfc3339(text).unwrap()
}

/// Recorded exchanges of which a message is refused, and why.
const REFUSED: [(&str, &str, &str); 2] = [
    (
        "http-empty-xroad-id",
        "service_failed.internal_error",
        "an empty id makes the answer unreadable, there as well",
    ),
    ("soap-resp-latin1", "service_failed.io_error", "the consumer hung up inside the answer"),
];

#[test]
fn every_recorded_exchange_passes_from_end_to_end() {
    let Some(recordings) = Recordings::find() else { return };
    let (mut rest, mut soap, mut answers, mut faults) = (0, 0, 0, BTreeSet::new());
    let mut wrong = Vec::new();
    for flavour in ["rsa", "ec", "int"] {
        let shown = recordings.shown(flavour, "ss1");
        for case in std::fs::read_dir(recordings.folder.join(flavour)).unwrap() {
            let folder = case.unwrap().path();
            for number in 1..100 {
                let file = |name| recorded::bytes(&folder.join(format!("wire-{number}-{name}.bin")));
                let (Some(requests), Some(responses)) = (file("request"), file("response")) else { break };
                let at = time(&known(&folder));
                for (request, response) in Http::all(&requests).iter().zip(&Http::all(&responses)) {
                    let place = format!("{} wire-{number}", folder.display());
                    let case = folder.file_name().unwrap().to_str().unwrap();
                    let refused = REFUSED.iter().find(|(name, ..)| *name == case);
                    let asked = match (recordings.ask(request, &shown, at), refused) {
                        (Ok(asked), _) => asked,
                        (Err(found), Some((_, code, _))) if found == *code => continue,
                        (found, _) => {
                            wrong.push(format!("{place}: request: {:?}", found.err()));
                            continue;
                        }
                    };
                    *(if asked.is_some() { &mut rest } else { &mut soap }) += 1;
                    match recordings.answer(response, asked.as_ref(), at) {
                        Ok(found) => {
                            assert_eq!(found.is_some(), asked.is_some(), "{place}");
                            answers += 1;
                        }
                        Err(error) => match error.strip_prefix("peer ") {
                            Some(fault) => drop(faults.insert(fault.to_owned())),
                            None if refused.is_some_and(|(_, code, _)| error == *code) => {}
                            None => wrong.push(format!("{place}: answer: {error}")),
                        },
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((rest, soap, answers), (130, 41, 136));
    let of_service = "SOAP-ENV:Client.NoParcel";
    assert!(faults.iter().all(|f| f.starts_with("server.serverproxy.") || f == of_service), "{faults:?}");
}

/// Another server's certificate, or a moment when the OCSP responses are too old, does not do.
#[test]
fn no_recorded_request_passes_for_another_server_or_another_time() {
    let Some(recordings) = Recordings::find() else { return };
    for flavour in ["rsa", "ec", "int"] {
        let folder = recordings.folder.join(flavour).join("rest-post-json");
        let at = time(&known(&folder));
        let http = Http::all(&recorded::bytes(&folder.join("wire-1-request.bin")).unwrap()).remove(0);
        let (ss1, ss2) = (recordings.shown(flavour, "ss1"), recordings.shown(flavour, "ss2"));
        assert!(recordings.ask(&http, &ss1, at).is_ok(), "{flavour}");
        let refused = Some("service_failed.ssl_authentication_failed".to_owned());
        assert_eq!(recordings.ask(&http, &ss2, at).err(), refused, "{flavour}");
        let late = at.plus(std::time::Duration::from_secs(4000));
        assert_eq!(recordings.ask(&http, &ss1, late).err(), refused, "{flavour}");
        let sign =
            Arc::new(certificate(&recordings.folder.join(format!("materials/keys/{flavour}-ss1-sign.crt"))));
        assert_eq!(recordings.ask(&http, &[sign], at).err(), refused, "{flavour}");
    }
}

/// Altered requests that end otherwise here than there: what comes of them, and why.
const REQUESTS: [(&str, &str, &str); 8] = [
    ("replay-no-final-boundary", "service_failed.io_error", "a message that was cut must not pass"),
    ("replay-no-request-id", "", "held against the block by the gateway, not by its form"),
    ("err-empty-body", "service_failed.io_error", "a message that was cut must not pass"),
    ("err-hash-unknown", "internal_error", "the same refusal as for no algorithm at all"),
    ("err-ocsp-last", "service_failed.invalid_message", "nothing may follow the signature, whoever sent it"),
    ("err-soap-no-original-content-type", "", "SOAP is not carried: its rules are not asked"),
    (
        "err-soap-wrong-security-server",
        "signature_verification.invalid_signature_value",
        "SOAP is not carried: its rules are not asked, and the signature is found broken",
    ),
    ("tls-provider-own-cert", "", "refused for its TLS peer: the bytes are those of a good request"),
];

#[test]
fn altered_requests_end_as_they_did_there() {
    let Some(recordings) = Recordings::find() else { return };
    let folder = recordings.folder.join("rsa/wire-negative");
    let shown = recordings.shown("rsa", "ss1");
    let known = known(&folder);
    let judge = |name: &str| {
        let http = Http::all(&std::fs::read(folder.join(format!("{name}-request.bin"))).unwrap()).remove(0);
        recordings.ask(&http, &shown, time(&known)).map_or_else(|e| e, |_| String::new())
    };
    compare(&known, "fault", "server.serverproxy.", &REQUESTS, judge);
}

/// Altered answers that end otherwise here than there: what comes of them, and why.
const ANSWERS: [(&str, &str, &str); 11] = [
    ("cut-after-headers", "service_failed.io_error", "cut is cut, wherever"),
    ("cut-before-last-boundary", "service_failed.io_error", "cut is cut, wherever"),
    ("cut-in-signature", "service_failed.io_error", "cut is cut, wherever"),
    ("no-final-boundary", "service_failed.io_error", "an answer that was cut must not pass"),
    ("hash-header-title-case", "", "names of HTTP headers have no letter case"),
    ("ocsp-part", "", "an OCSP response in an answer is not looked at, since nothing is believed of it"),
    ("soap-no-original-content-type", "", "SOAP is not carried: its rules are not asked"),
    ("soap-original-content-type-title", "", "SOAP is not carried: its rules are not asked"),
    ("tls-other-server", "io_error", "refused by TLS: nothing was sent"),
    ("tls-rogue", "io_error", "refused by TLS: nothing was sent"),
    ("tls-sign-cert", "io_error", "refused by TLS: nothing was sent"),
];

#[test]
fn altered_answers_end_as_they_did_there() {
    let Some(recordings) = Recordings::find() else { return };
    let folder = recordings.folder.join("rsa/response-negative");
    let known = known(&folder);
    let judge = |name: &str| {
        let http = Http::all(&std::fs::read(folder.join(format!("{name}-sent.bin"))).unwrap());
        let Some(http) = http.first() else { return "io_error".to_owned() };
        recordings.answer(http, None, time(&known)).map_or_else(|e| e, |_| String::new())
    };
    compare(&known, "error", "server.clientproxy.", &ANSWERS, judge);
}

/// Holds every result against what X-Road said; where it is another, it must be listed.
fn compare(
    known: &Value,
    field: &str,
    speaker: &str,
    otherwise: &[(&str, &str, &str)],
    judge: impl Fn(&str) -> String,
) {
    let results = known.get("results").and_then(Value::as_object).unwrap();
    let mut wrong = Vec::new();
    for (name, result) in results {
        let said = result.get(field).and_then(Value::as_str).unwrap_or_default();
        let said = said.strip_prefix(speaker).map_or_else(|| format!("peer {said}"), str::to_owned);
        let said = if said == "peer " { String::new() } else { said };
        let listed = otherwise.iter().find(|(n, ..)| n == name);
        let (expected, found) = (listed.map_or(said.as_str(), |(_, code, _)| code), judge(name));
        if found != expected || listed.is_some_and(|(_, code, _)| *code == said) {
            wrong.push(format!("{name}: found {found:?}, X-Road said {said:?}, listed {listed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), results.len(), wrong.join("\n"));
    let unknown = otherwise.iter().find(|(n, ..)| !results.contains_key(*n));
    assert_eq!(unknown, None, "listed and not there");
}
