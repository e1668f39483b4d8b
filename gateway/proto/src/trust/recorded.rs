//! What two real X-Road 7.8.0 servers, their OCSP responder and their time-stamping authority said.
//!
//! The recordings lie outside the repository; without them these tests say that they skip.

use super::testing::*;
use super::*;
use crate::time::UnixTime;
use crate::xml;
use base64::Engine as _;
use std::fs;
use std::path::{Path, PathBuf};

const FLAVOURS: [&str; 3] = ["rsa", "ec", "int"];

/// The approved authorities and time-stamping authorities of a recorded instance.
struct Recorded {
    folder: PathBuf,
    cas: Vec<ApprovedCa>,
    tsas: Vec<Arc<Certificate>>,
    certificates: Vec<Arc<Certificate>>,
}

fn recorded() -> Option<Recorded> {
    let folder = vectors()?.join("xroad-recorded");
    let params = fs::read(folder.join("materials/globalconf/DEV/shared-params.xml")).unwrap();
    let document = xml::admit(std::str::from_utf8(&params).unwrap(), 1 << 24).unwrap();
    let root = document.root_element();
    let cas = named(root, "approvedCA").map(approved_ca).collect();
    let tsas = named(root, "approvedTSA").map(|n| cert_in(n).unwrap()).collect();
    let mut certificates = Vec::new();
    for entry in fs::read_dir(folder.join("materials/keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "crt") {
            certificates.push(from_pem(&fs::read_to_string(path).unwrap()));
        }
    }
    Some(Recorded { folder, cas, tsas, certificates })
}

fn named<'a, 'i: 'a>(
    node: roxmltree::Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = roxmltree::Node<'a, 'i>> {
    xml::elements(node).filter(move |n| n.tag_name().name() == name)
}

fn text_in(node: roxmltree::Node<'_, '_>, name: &'static str) -> Option<String> {
    named(node, name).next().map(xml::text_of)
}

fn cert_in(node: roxmltree::Node<'_, '_>) -> Option<Arc<Certificate>> {
    text_in(node, "cert").map(|t| from_base64(&t))
}

fn service_in(node: roxmltree::Node<'_, '_>) -> CaService {
    let ocsp = named(node, "ocsp")
        .map(|n| OcspService { url: text_in(n, "url").unwrap(), certificate: cert_in(n) })
        .collect();
    CaService { certificate: cert_in(node).unwrap(), ocsp }
}

fn approved_ca(node: roxmltree::Node<'_, '_>) -> ApprovedCa {
    let class = text_in(node, "certificateProfileInfo").unwrap();
    ApprovedCa {
        name: text_in(node, "name").unwrap(),
        authentication_only: text_in(node, "authenticationOnly").as_deref() == Some("true"),
        top: service_in(named(node, "topCA").next().unwrap()),
        intermediates: named(node, "intermediateCA").map(service_in).collect(),
        profile: profile::Profile::from_class_name(&class),
    }
}

fn from_base64(text: &str) -> Arc<Certificate> {
    Arc::new(Certificate::from_der(&decode(text)).unwrap())
}

fn decode(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// The body of a recorded HTTP message, chunks joined.
fn body(message: &[u8]) -> Vec<u8> {
    let Some(split) = memchr::memmem::find(message, b"\r\n\r\n") else { return Vec::new() };
    let (head, rest) = message.split_at(split);
    let mut rest = &rest[4..];
    if !String::from_utf8_lossy(head).to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return rest.to_vec();
    }
    let mut out = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    out
}

/// OCSP responses that stand in these bytes, bare or base64 in a signature.
fn responses(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(bytes, &[0x0a, 1, 0, 0xa0, 0x82]) {
        let start = at.checked_sub(4).unwrap();
        if let Ok(value) = crate::der::Reader::new(&bytes[start..]).value() {
            found.push(value.raw.to_vec());
        }
    }
    let text = String::from_utf8_lossy(bytes);
    for piece in text.split("EncapsulatedOCSPValue").skip(1) {
        let value = piece.split_once('>').and_then(|(_, rest)| rest.split_once('<'));
        found.extend(value.map(|(v, _)| decode(v)).filter(|v| !v.is_empty()));
    }
    found
}

/// Files of a folder whose name has this in it, sorted.
fn files(folder: &Path, part: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.file_name().unwrap().to_string_lossy().contains(part));
    found.sort();
    found
}

impl Recorded {
    /// The recorded certificate that a response is of, and its issuer.
    fn subject_of(&self, response: &ocsp::Response) -> (Arc<Certificate>, Arc<Certificate>) {
        let issuers = self.cas.iter().flat_map(ApprovedCa::services).map(|s| &s.certificate);
        for issuer in issuers {
            if let Some(cert) = self.certificates.iter().find(|c| response.covers(c, issuer)) {
                return (Arc::clone(cert), Arc::clone(issuer));
            }
        }
        panic!("a response of no recorded certificate");
    }

    fn verify(&self, bytes: &[u8], at: UnixTime) -> Result<(), ocsp::OcspError> {
        let response = ocsp::Response::from_der(bytes)?;
        let (cert, issuer) = self.subject_of(&response);
        let listed: Vec<&ApprovedCa> = self.cas.iter().collect();
        ocsp::verify(&response, &cert, &issuer, &listed, &POLICY, at)
    }
}

#[test]
fn recorded_ocsp_responses_hold_at_their_time() {
    let Some(recorded) = recorded() else { return };
    let mut count = 0;
    for flavour in FLAVOURS {
        for case in files(&recorded.folder.join(flavour), "") {
            let Ok(text) = fs::read_to_string(case.join("info.json")) else { continue };
            let Some((_, after)) = text.split_once("\"started\": \"") else { continue };
            let at = UnixTime::from_rfc3339(after.split_once('"').unwrap().0).unwrap();
            for file in [files(&case, "wire-"), files(&case, "ocsp5577-")].concat() {
                if file.extension().is_none_or(|e| e != "bin") {
                    continue;
                }
                for bytes in responses(&body(&fs::read(&file).unwrap())) {
                    let found = recorded.verify(&bytes, at.plus(seconds(5)));
                    assert_eq!(found, Ok(()), "{}", file.display());
                    let late = recorded.verify(&bytes, at.plus(seconds(4000)));
                    assert!(matches!(late, Err(ocsp::OcspError::Stale { .. })));
                    count += 1;
                }
            }
        }
    }
    assert!(count > 150, "{count} responses found");
}

#[test]
fn our_requests_are_those_of_the_recorded_servers() {
    let Some(recorded) = recorded() else { return };
    let mut count = 0;
    for flavour in FLAVOURS {
        let folder = recorded.folder.join(flavour).join("trust-services");
        for file in files(&folder, "ocsp-") {
            if !file.to_string_lossy().ends_with("-request.bin") {
                continue;
            }
            let asked = body(&fs::read(&file).unwrap());
            let answered = PathBuf::from(file.to_string_lossy().replace("-request", "-response"));
            let answer = body(&fs::read(answered).unwrap());
            let response = ocsp::Response::from_der(&answer).unwrap();
            assert_eq!(recorded.verify(&answer, response.this_update().plus(seconds(60))), Ok(()));
            assert_eq!(response.status(), ocsp::Status::Good);
            let (cert, issuer) = recorded.subject_of(&response);
            assert_eq!(ocsp::request(&cert, &issuer), asked);
            assert!(ocsp::parse_request(&asked).unwrap().questions[0].is_of(&issuer));
            count += 1;
        }
    }
    assert!(count > 10, "{count} requests found");
}

#[test]
fn no_bit_of_a_recorded_response_may_change() {
    let Some(recorded) = recorded() else { return };
    for flavour in FLAVOURS {
        let file = recorded.folder.join(flavour).join("trust-services/ocsp-001-response.bin");
        let bytes = body(&fs::read(file).unwrap());
        let response = ocsp::Response::from_der(&bytes).unwrap();
        let (cert, issuer) = recorded.subject_of(&response);
        let at = response.this_update().plus(seconds(60));
        let listed: Vec<&ApprovedCa> = recorded.cas.iter().collect();
        let holds = |bytes: &[u8]| {
            ocsp::Response::from_der(bytes)
                .is_ok_and(|r| ocsp::verify(&r, &cert, &issuer, &listed, &POLICY, at).is_ok())
        };
        assert!(holds(&bytes));
        // The certificate sent along is not needed, since it is listed: its bits may change.
        let sent = |c: &Arc<Certificate>| memchr::memmem::find(&bytes, c.der());
        let certificate = recorded.certificates.iter().find_map(sent).unwrap();
        for bit in 0..(certificate - 8) * 8 {
            assert!(!holds(&flipped(&bytes, bit)), "bit {bit}");
        }
    }
}

/// Requests and answers of the recorded time-stamping authority.
fn stamps(recorded: &Recorded) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for flavour in FLAVOURS {
        for file in files(&recorded.folder.join(flavour).join("trust-services"), "tsa-") {
            let name = file.to_string_lossy().into_owned();
            if name.ends_with("-request.bin") {
                let answer = fs::read(name.replace("-request", "-response")).unwrap();
                found.push((body(&fs::read(&file).unwrap()), body(&answer)));
            }
        }
    }
    found
}

#[test]
fn recorded_time_stamps_hold_and_our_requests_are_theirs() {
    let Some(recorded) = recorded() else { return };
    let stamps = stamps(&recorded);
    assert!(stamps.len() > 10, "{} time-stamps found", stamps.len());
    for (asked, answered) in &stamps {
        let request = tsp::parse_request(asked).unwrap();
        assert_eq!(tsp::request(&request.imprint), *asked);
        let token = tsp::parse_response(answered).unwrap();
        let imprint = (request.algorithm, &request.imprint[..]);
        let signer = tsp::verify(&token, imprint, &recorded.tsas).unwrap();
        assert_eq!(signer.der(), recorded.tsas[0].der());
        let fuller = tsp::with_certificate(&token, &signer).unwrap();
        assert!(tsp::verify(&fuller, imprint, &recorded.tsas).is_ok());
    }
    let (asked, answered) = &stamps[0];
    let imprint = tsp::parse_request(asked).unwrap().imprint;
    let token = tsp::parse_response(answered).unwrap();
    let issuer = recorded.tsas[0].issuer();
    let start = memchr::memmem::rfind(token.der(), issuer).unwrap();
    for bit in 0..token.der().len() * 8 {
        let is_letter_case = bit % 8 == 5 && (start..start + issuer.len()).contains(&(bit / 8));
        let changed = tsp::Token::from_der(&flipped(token.der(), bit));
        let holds = changed.is_ok_and(|t| {
            let imprint = (crate::crypto::DigestAlgorithm::Sha512, &imprint[..]);
            tsp::verify(&t, imprint, &recorded.tsas).is_ok()
        });
        assert!(is_letter_case || !holds, "bit {bit}");
    }
}

/// An entry of a zip.
fn entry(archive: &[u8], name: &str) -> Vec<u8> {
    use std::io::Read as _;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut out = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut out).unwrap();
    out
}

#[test]
fn time_stamps_of_recorded_containers_hold() {
    let Some(recorded) = recorded() else { return };
    let mut count = 0;
    for flavour in FLAVOURS {
        for case in files(&recorded.folder.join(flavour), "") {
            for file in files(&case, "asic-consumer.zip") {
                let outer = fs::read(file).unwrap();
                let zip = zip::ZipArchive::new(std::io::Cursor::new(&outer[..])).unwrap();
                for name in zip.file_names() {
                    let container = entry(&outer, &name.unwrap());
                    let token = tsp::Token::from_der(&entry(&container, "META-INF/timestamp.tst"));
                    let token = token.unwrap();
                    let algorithm = token.imprint().0;
                    let digest = algorithm.digest(&entry(&container, "ts-hashchainresult.xml"));
                    assert!(tsp::verify(&token, (algorithm, &digest), &recorded.tsas).is_ok());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100, "{count} containers found");
}

/// Certificates inside a token, for tokens whose authority is listed nowhere at hand.
fn certificates(token: &tsp::Token) -> Vec<Arc<Certificate>> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(token.der(), &[0x30, 0x82]) {
        let value = crate::der::Reader::new(&token.der()[at..]).value();
        found.extend(value.ok().and_then(|v| Certificate::from_der(v.raw).ok()).map(Arc::new));
    }
    found
}

#[test]
fn time_stamps_of_x_roads_own_test_containers_hold() {
    let Some(folder) = vectors() else { return };
    let mut count = 0;
    for file in files(&folder.join("xroad/asic"), "valid") {
        let container = fs::read(&file).unwrap();
        let zip = zip::ZipArchive::new(std::io::Cursor::new(&container[..])).unwrap();
        if !zip.file_names().any(|n| n.unwrap() == "ts-hashchainresult.xml") {
            continue;
        }
        let token = tsp::Token::from_der(&entry(&container, "META-INF/timestamp.tst")).unwrap();
        let algorithm = token.imprint().0;
        let digest = algorithm.digest(&entry(&container, "ts-hashchainresult.xml"));
        let found = tsp::verify(&token, (algorithm, &digest), &certificates(&token));
        let is_wrong = file.to_string_lossy().contains("invalid-ts-hashchainresult");
        assert_eq!(found.is_ok(), !is_wrong, "{}: {found:?}", file.display());
        count += 1;
    }
    assert!(count > 1, "{count} containers found");
}

#[test]
fn a_token_of_2012_in_ber_is_read() {
    let Some(folder) = vectors() else { return };
    let folder = folder.join("xroad/timestamps");
    let stamped = fs::read(folder.join("stamped-data")).unwrap();
    let token = tsp::Token::from_der(&fs::read(folder.join("valid")).unwrap()).unwrap();
    assert_eq!(token.gen_time().to_rfc3339(), "2012-11-29T13:10:04Z");
    let algorithm = token.imprint().0;
    assert_eq!(token.imprint().1, algorithm.digest(&stamped));
    assert!(crate::der::single(token.der()).is_ok());
}

#[test]
fn ocsp_responses_of_x_roads_own_tests_are_read() {
    let Some(folder) = vectors() else { return };
    let mut count = 0;
    let mut sources = vec![fs::read(folder.join("xroad/proxy-queries/test.ocsp")).unwrap()];
    for file in files(&folder.join("xroad/asic"), ".asice") {
        sources.push(entry(&fs::read(file).unwrap(), "META-INF/signatures.xml"));
    }
    for name in ["batch-sig.xml", "xades.signature.ts.xml", "sign-0-schema-fail.xml"] {
        sources.push(fs::read(folder.join("xroad/signatures").join(name)).unwrap());
    }
    for source in sources {
        for bytes in responses(&source) {
            let response = ocsp::Response::from_der(&bytes).unwrap();
            assert_eq!(response.status(), ocsp::Status::Good);
            count += 1;
        }
    }
    assert!(count > 10, "{count} responses found");
}

#[test]
fn keys_of_the_trust_examples_serve() {
    use crate::crypto::{DigestAlgorithm, SigningKey};
    let Some(folder) = vectors() else { return };
    let read = |name: &str| fs::read_to_string(folder.join("trust-examples/keys").join(name)).unwrap();
    let key = |name: &str| {
        let text = read(name);
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("-----")).collect();
        SigningKey::from_pkcs8(&decode(&lines.concat())).unwrap()
    };
    let [ca, sign, auth] = ["ca.crt", "m1-sign.crt", "ss1-auth.crt"].map(|n| from_pem(&read(n)));
    let at = sign.not_before().plus(seconds(60));
    let approved = ApprovedCa {
        name: "example".into(),
        authentication_only: false,
        top: CaService { certificate: Arc::clone(&ca), ocsp: Vec::new() },
        intermediates: Vec::new(),
        profile: None,
    };
    let chain = path::for_signing(&sign, &[], std::slice::from_ref(&approved), at).unwrap();
    assert_eq!(path::is_signing(&sign), Ok(true));
    assert_eq!(path::is_authentication(&auth), Ok(true));
    assert!(path::of_peer(&[auth], std::slice::from_ref(&approved), at).is_ok());

    let responder = from_pem(&read("ocsp.crt"));
    let question = ocsp::parse_request(&ocsp::request(&sign, &ca)).unwrap().questions[0].clone();
    let status = ocsp::Status::Good;
    let answer = ocsp::Answer { question, status, this_update: at, next_update: None };
    let der = ocsp::respond(&[answer], &responder, &key("ocsp.key"), at, None).unwrap();
    let response = ocsp::Response::from_der(&der).unwrap();
    assert_eq!(ocsp::check(&chain, &[response], &[&approved], &POLICY, at), Ok(()));

    let tsa = from_pem(&read("tsa.crt"));
    let digest = DigestAlgorithm::Sha512.digest(b"stamped");
    let asked = tsp::parse_request(&tsp::request(&digest)).unwrap();
    let statement = tsp::Statement { serial: &[1], gen_time: at, policy: &[0x2a, 3, 4] };
    let answer = tsp::issue(&asked, &statement, &tsa, &key("tsa.key")).unwrap();
    let token = tsp::parse_response(&answer).unwrap();
    assert!(tsp::verify(&token, (DigestAlgorithm::Sha512, &digest), &[tsa]).is_ok());
}
