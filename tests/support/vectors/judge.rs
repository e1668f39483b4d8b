//! What comes of a vector: what may be believed, line by line, or the code of the refusal.

use super::pki::{self, FRESHNESS};
use super::{Piece, Told, Vector, hex, piece};
use saatkond_proto::container::{self, Container};
use saatkond_proto::crypto::{DigestAlgorithm, SigningKey};
use saatkond_proto::fault::{Code, Origin};
use saatkond_proto::globalconf::{GlobalConf, SharedParams, SignedDirectory};
use saatkond_proto::id::ClientId;
use saatkond_proto::message::description::openapi::{OpenApi, OpenApiError};
use saatkond_proto::message::description::wsdl::{Wsdl, WsdlError};
use saatkond_proto::message::endpoint::{PathGlob, normal_path};
use saatkond_proto::message::rest::{Request, Response, request_hash};
use saatkond_proto::signature::batch::{self, Kind};
use saatkond_proto::signature::{self, PartDigest, Unverified};
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::{Event, Expect, Reader};
use saatkond_proto::trust::ocsp::{self, Status};
use saatkond_proto::trust::{ApprovedCa, Certificate, OcspPolicy, tsp};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

/// Judges vectors by the instances among them.
pub struct Judge {
    confs: BTreeMap<String, GlobalConf>,
}

impl Judge {
    /// Takes the instances: the vectors of kind `trust`.
    #[must_use]
    pub fn new(vectors: &BTreeMap<String, Vector>) -> Self {
        let conf = |v: &Vector| pki::conf(SharedParams::from_xml(&v.body, version(v)).unwrap());
        let trusts = vectors.iter().filter_map(|(n, v)| Some((n.strip_prefix("trust/")?, v)));
        Self { confs: trusts.map(|(n, v)| (n.to_owned(), conf(v))).collect() }
    }

    /// What comes of a vector.
    ///
    /// # Errors
    /// The code of the refusal.
    pub fn judge(&self, vector: &Vector) -> Result<Told, String> {
        match vector.required("kind") {
            "rest-request" => rest_request(vector),
            "rest-response" => rest_response(vector),
            "multipart" => multipart(vector),
            "signature" => self.signature(vector),
            "hash-chain" => hash_chain(vector),
            "ocsp" => self.ocsp(vector),
            "timestamp" => self.timestamp(vector),
            "directory" => directory(vector),
            "container" => self.container(vector),
            "path-glob" => path_glob(vector),
            "normal-path" => normal_paths(vector),
            "wsdl" => wsdl(vector),
            "openapi" => openapi(vector),
            "trust" => trust(vector),
            "key" => key(vector),
            other => panic!("nobody judges vectors of kind {other:?}"),
        }
    }

    fn conf(&self, vector: &Vector) -> &GlobalConf {
        let trust = vector.required("trust");
        self.confs.get(trust).unwrap_or_else(|| panic!("no vector trust/{trust}"))
    }

    fn signature(&self, vector: &Vector) -> Result<Told, String> {
        let pieces = vector.pieces();
        let owned = |label| piece(&pieces, label).map(<[u8]>::to_vec);
        let signer = ClientId::from_path(vector.required("signer")).unwrap();
        let unverified = Unverified {
            parts: parts(vector, &pieces),
            signature: owned("SIGNATURE").unwrap_or_default(),
            hash_chain_result: owned("HASH CHAIN RESULT"),
            hash_chain: owned("HASH CHAIN"),
        };
        let verified = signature::verify(unverified, &signer, self.conf(vector), at(vector))
            .map_err(|e| code(&e.code()))?;
        Ok(told([
            ("certificate", certificate(verified.certificate())),
            ("algorithm", verified.algorithm().uri().unwrap_or_default().to_owned()),
            ("status time", verified.status_time().to_string()),
            ("signing time", verified.signing_time().map(|t| t.to_string()).unwrap_or_default()),
            ("authority", verified.ca_name().to_owned()),
        ]))
    }

    fn ocsp(&self, vector: &Vector) -> Result<Told, String> {
        let pieces = vector.pieces();
        let given = |label| Certificate::from_der(piece(&pieces, label).unwrap()).unwrap();
        let (of, issuer) = (given("CERTIFICATE"), given("ISSUER"));
        let read = |e: ocsp::OcspError| code(&e.code());
        let response = ocsp::Response::from_der(piece(&pieces, "OCSP RESPONSE").unwrap()).map_err(read)?;
        let listed: Vec<&ApprovedCa> = self.conf(vector).all_cas();
        let policy = OcspPolicy { freshness: Duration::from_secs(FRESHNESS), check_next_update: true };
        ocsp::verify(&response, &of, &issuer, &listed, &policy, at(vector)).map_err(read)?;
        let status = match response.status() {
            Status::Good => "good".to_owned(),
            Status::Revoked { at } => format!("revoked {at}"),
            Status::Unknown => "unknown".to_owned(),
        };
        Ok(told([
            ("status", status),
            ("this update", response.this_update().to_string()),
            ("next update", response.next_update().map(|t| t.to_string()).unwrap_or_default()),
        ]))
    }

    fn timestamp(&self, vector: &Vector) -> Result<Told, String> {
        let pieces = vector.pieces();
        let read = |e: tsp::TspError| code(&e.code());
        let token = tsp::Token::from_der(piece(&pieces, "TIMESTAMP TOKEN").unwrap()).map_err(read)?;
        let (algorithm, _) = token.imprint();
        let digest = algorithm.digest(piece(&pieces, "STAMPED").unwrap());
        let tsas: &[Arc<Certificate>] = self.conf(vector).tsa_certificates();
        let tsa = tsp::verify(&token, (algorithm, &digest), tsas).map_err(read)?;
        Ok(told([
            ("time", token.gen_time().to_string()),
            ("serial", hex(token.serial())),
            ("authority", certificate(&tsa)),
        ]))
    }

    fn container(&self, vector: &Vector) -> Result<Told, String> {
        let mut container = Container::open(Cursor::new(&vector.body)).map_err(|e| code(&e.code()))?;
        let proof = container::verify(&mut container, self.conf(vector)).map_err(|e| code(&e.code()))?;
        let mut found = told([
            ("message", proof.message.kind.text().to_owned()),
            ("line", proof.message.line.clone()),
            ("id", proof.message.id.clone()),
            ("client", proof.message.client.to_path()),
            ("service", proof.message.service.to_path()),
            ("certificate", certificate(&proof.signature.certificate)),
            ("status time", proof.signature.status_time.to_string()),
            ("stamped", proof.stamp.time.to_string()),
            ("stamping authority", certificate(&proof.stamp.tsa)),
        ]);
        for part in &proof.parts {
            let size = part.size.map_or_else(|| "absent".to_owned(), |n| format!("{n} bytes"));
            let value = format!("{size} {} {}", part.algorithm.name(), hex(&part.digest));
            found.0.push((format!("part {}", part.name), value));
        }
        found.0.extend(proof.unproven.iter().map(|u| ("unproven".to_owned(), format!("{u:?}"))));
        Ok(found)
    }
}

fn told<const N: usize>(lines: [(&str, String); N]) -> Told {
    Told(lines.map(|(n, v)| (n.to_owned(), v)).to_vec())
}

fn at(vector: &Vector) -> UnixTime {
    UnixTime::from_rfc3339(vector.required("at")).unwrap()
}

fn version(vector: &Vector) -> u8 {
    vector.required("version").parse().unwrap()
}

/// A certificate by its digest.
#[must_use]
pub fn certificate(certificate: &Certificate) -> String {
    hex(certificate.sha256())
}

/// A code without its first words, which say who speaks.
#[must_use]
pub fn code(code: &Code) -> String {
    let text = code.text(Origin::ClientProxy);
    text.strip_prefix("server.clientproxy.").unwrap_or(&text).to_owned()
}

/// The parts of a message: pieces `PART /name`, digested with SHA-512 or what the header says.
fn parts(vector: &Vector, pieces: &[Piece]) -> Vec<PartDigest> {
    let algorithm = DigestAlgorithm::from_name(vector.field("digest").unwrap_or("SHA-512")).unwrap();
    let part = |p: &Piece| {
        let name = p.label.strip_prefix("PART ")?.to_owned();
        Some(PartDigest { name, algorithm, digest: algorithm.digest(&p.bytes) })
    };
    pieces.iter().filter_map(part).collect()
}

fn rest_request(vector: &Vector) -> Result<Told, String> {
    let request = Request::from_block(vector.body.clone()).map_err(|e| code(&e.code()))?;
    let hash = request_hash(&DigestAlgorithm::Sha512.digest(request.block()), None);
    let mut found = told([
        ("method", request.method.name().to_owned()),
        ("client", request.client.to_path()),
        ("service", request.service.to_path()),
        ("service path", request.service_path.clone()),
        ("url", request.url("http://is.example/base")),
        ("id", request.id.clone()),
        ("request id", request.request_id.clone()),
        ("hash", hex(&hash)),
    ]);
    found.0.extend(request.security_server.map(|s| ("security server".to_owned(), s.to_path())));
    found.0.extend(request.represented_party.map(|(class, code)| {
        ("represented party".to_owned(), format!("{} {code}", class.as_deref().unwrap_or("-")))
    }));
    Ok(found)
}

fn rest_response(vector: &Vector) -> Result<Told, String> {
    let response = Response::from_block(vector.body.clone()).map_err(|e| code(&e.code()))?;
    let mut found = told([
        ("status", response.status.to_string()),
        ("reason", response.reason.clone()),
        ("id", response.id.clone()),
        ("request hash", response.request_hash.clone()),
    ]);
    found.0.extend(response.client.map(|c| ("client".to_owned(), c.to_path())));
    found.0.extend(response.service.map(|s| ("service".to_owned(), s.to_path())));
    found.0.extend(response.request_id.map(|id| ("request id".to_owned(), id)));
    Ok(found)
}

/// A part as it is told: its length and digest.
#[must_use]
pub fn told_part(bytes: &[u8]) -> String {
    format!("{} bytes SHA-256 {}", bytes.len(), hex(&DigestAlgorithm::Sha256.digest(bytes)))
}

/// What a message must be, by the words in the header.
#[must_use]
pub fn expect(words: &str) -> Expect {
    match words {
        "REST request" => Expect::RestRequest,
        "SOAP request" => Expect::SoapRequest,
        "REST response" => Expect::RestResponse,
        "SOAP response" => Expect::SoapResponse,
        other => panic!("a message is no {other:?}"),
    }
}

fn multipart(vector: &Vector) -> Result<Told, String> {
    let expect = expect(vector.required("message"));
    let mut reader = Reader::new(vector.required("content-type"), expect).map_err(|e| code(&e.code()))?;
    let mut found = Told(Vec::new());
    let mut streamed: Vec<u8> = Vec::new();
    let mut input = vector.body.as_slice();
    while let Some(event) = reader.next(&mut input).map_err(|e| code(&e.code()))? {
        let (name, bytes) = match event {
            Event::BodyStart | Event::AttachmentStart { .. } => {
                streamed.clear();
                continue;
            }
            Event::Body(bytes) | Event::Attachment(bytes) => {
                streamed.extend_from_slice(bytes);
                continue;
            }
            Event::End => continue,
            Event::BodyEnd => ("body", streamed.clone()),
            Event::AttachmentEnd => ("attachment", streamed.clone()),
            Event::Ocsp(bytes) => ("OCSP response", bytes),
            Event::RestRequest(bytes) => ("REST request", bytes),
            Event::RestResponse(bytes) => ("REST response", bytes),
            Event::Soap { envelope, .. } => ("envelope", envelope),
            Event::HashChainResult(bytes) => ("hash chain result", bytes),
            Event::HashChain(bytes) => ("hash chain", bytes),
            Event::Signature(bytes) => ("signature", bytes),
            Event::Fault(fault) => {
                found.0.push(("fault".to_owned(), format!("{} {}", fault.code, fault.string)));
                continue;
            }
        };
        found.0.push((name.to_owned(), told_part(&bytes)));
    }
    reader.finish().map_err(|e| code(&e.code()))?;
    Ok(found)
}

fn hash_chain(vector: &Vector) -> Result<Told, String> {
    let pieces = vector.pieces();
    let kind = match vector.required("proves") {
        "signature" => Kind::Signature,
        "time-stamp" => Kind::Timestamp,
        other => panic!("a hash chain proves no {other:?}"),
    };
    let parts = parts(vector, &pieces);
    let result = piece(&pieces, "HASH CHAIN RESULT").unwrap();
    batch::verify(kind, result, piece(&pieces, "HASH CHAIN"), &parts).map_err(|e| code(&e.code()))?;
    Ok(Told(parts.into_iter().map(|p| ("part".to_owned(), p.name)).collect()))
}

fn directory(vector: &Vector) -> Result<Told, String> {
    use base64::Engine as _;
    let refused = |e: saatkond_proto::globalconf::DirectoryError| e.code().to_owned();
    let known = vector.required("certificate");
    let known = base64::engine::general_purpose::STANDARD.decode(known).unwrap();
    let directory = SignedDirectory::parse(&vector.body).map_err(refused)?;
    let directory = directory.verify(&[known], at(vector)).map_err(refused)?;
    let mut found =
        told([("expires", directory.expires.to_string()), ("version", directory.version.to_string())]);
    for part in &directory.parts {
        let (content, digest) = (part.content.text(), hex(&part.digest));
        let line = format!("{} {} {} {digest}", part.instance, part.location, part.algorithm.name());
        found.0.push((format!("part {content}"), line));
    }
    Ok(found)
}

/// Lines of three columns: `yes` or `no`, pattern, path.
fn path_glob(vector: &Vector) -> Result<Told, String> {
    rows(vector, |row| {
        let [expected, pattern, path] = row else { panic!("three columns: {row:?}") };
        let found = if PathGlob::new(*pattern).matches(path) { "yes" } else { "no" };
        (found == *expected).then_some(()).ok_or_else(|| found.to_owned())
    })
}

/// Lines of two columns: path as it came, and the path that rights are judged by or `refuse` and a code.
fn normal_paths(vector: &Vector) -> Result<Told, String> {
    rows(vector, |row| {
        let [path, expected] = row else { panic!("two columns: {row:?}") };
        let found = normal_path(path).unwrap_or_else(|e| format!("refuse {}", code(&e.code())));
        if found == *expected { Ok(()) } else { Err(found) }
    })
}

fn rows(vector: &Vector, judge: impl Fn(&[&str]) -> Result<(), String>) -> Result<Told, String> {
    let text = std::str::from_utf8(&vector.body).unwrap();
    let mut count = 0;
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        judge(&columns).map_err(|found| format!("{line:?}: {found}"))?;
        count += 1;
    }
    Ok(told([("rows", count.to_string())]))
}

/// Its services: code and version, then address and title. Codes are those of X-Road's administration.
fn wsdl(vector: &Vector) -> Result<Told, String> {
    let read = Wsdl::read(&vector.body).map_err(|error| match error {
        WsdlError::Code { .. } => "invalid_service_identifier".to_owned(),
        _ => "invalid_wsdl".to_owned(),
    })?;
    let service = |o: saatkond_proto::message::description::wsdl::Operation| {
        let name: Vec<String> = std::iter::once(o.code).chain(o.version).collect();
        let rest: Vec<String> = o.location.into_iter().chain(o.title).collect();
        (format!("service {}", name.join("/")), rest.join(" "))
    };
    let services = read.operations.into_iter().map(service);
    Ok(Told(services.chain(warnings(read.warnings.len())).collect()))
}

/// Where it answers, its title and its endpoints. Codes are those of X-Road's administration.
fn openapi(vector: &Vector) -> Result<Told, String> {
    let read = OpenApi::read(&vector.body).map_err(|error| match error {
        OpenApiError::Version { .. } => "unsupported_openapi_version".to_owned(),
        _ => "openapi_parsing_error".to_owned(),
    })?;
    let url = read.base_url(vector.field("read from")).map_err(|error| error.to_string())?;
    let mut found = vec![("url".to_owned(), url)];
    found.extend(read.title.map(|title| ("title".to_owned(), title)));
    for endpoint in read.endpoints {
        let method = endpoint.method.map_or("*", |method| method.name());
        found.push(("endpoint".to_owned(), format!("{method} {}", endpoint.path)));
    }
    found.extend(warnings(read.warnings.len()));
    Ok(Told(found))
}

/// How many warnings there are, if any.
fn warnings(number: usize) -> Option<(String, String)> {
    (number > 0).then(|| ("warnings".to_owned(), number.to_string()))
}

fn trust(vector: &Vector) -> Result<Told, String> {
    let shared = SharedParams::from_xml(&vector.body, version(vector)).map_err(|e| e.to_string())?;
    assert_eq!(shared.to_xml(shared.version).unwrap(), vector.body, "it would be written the same");
    Ok(told([
        ("instance", shared.instance.clone()),
        (
            "authorities",
            pki::conf(shared.clone())
                .all_cas()
                .iter()
                .map(|ca| ca.services().count())
                .sum::<usize>()
                .to_string(),
        ),
        ("stamping authorities", shared.tsas.len().to_string()),
        ("members", shared.members.len().to_string()),
    ]))
}

fn key(vector: &Vector) -> Result<Told, String> {
    let key = SigningKey::from_pkcs8(&vector.body).map_err(|e| e.to_string())?;
    Ok(told([
        ("key", key.public_key().kind().to_string()),
        ("public key", hex(&DigestAlgorithm::Sha256.digest(key.spki()))),
    ]))
}
