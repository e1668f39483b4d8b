//! What X-Road itself signed: every exchange that two real servers had, its containers and its own test signatures.

use super::*;
use crate::crypto::Hasher;
use crate::globalconf::lookup::{GlobalConf, Instance};
use crate::globalconf::options::Options;
use crate::globalconf::shared::SharedParams;
use crate::transport::read::{Event, Expect, Reader};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn conf(shared_params: &Path, version: u8, instance: &str) -> GlobalConf {
    let shared = SharedParams::from_xml(&std::fs::read(shared_params).unwrap(), version).unwrap();
    let expires = UnixTime::from_rfc3339("2099-01-01T00:00:00Z").unwrap();
    GlobalConf::new(instance, vec![Instance { shared, private: None, expires, options: Options::default() }])
        .unwrap()
}

/// A file, unpacked where it is gzipped.
fn contents(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|e| e == "gz") {
        return Command::new("gzip").arg("-dc").arg(path).output().unwrap().stdout;
    }
    std::fs::read(path).unwrap()
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// When a case was recorded.
fn recorded_at(folder: &Path) -> UnixTime {
    let info = std::fs::read_to_string(folder.join("info.json")).unwrap();
    let time = ["\"started\": \"", "\"when\": \""].iter().find_map(|key| info.split_once(key));
    UnixTime::from_rfc3339(time.unwrap().1.split('"').next().unwrap()).unwrap()
}

/// One HTTP message: content type, body; what follows it is left in `rest`.
fn http(rest: &mut &[u8]) -> Option<(String, Vec<u8>)> {
    let split = memchr::memmem::find(rest, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&rest[..split]).into_owned();
    *rest = &rest[split + 4..];
    let header = |name: &str| {
        head.lines().find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim().to_owned())
        })
    };
    let content_type = header("content-type").unwrap_or_default();
    let body = if header("transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let line = memchr::memmem::find(rest, b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
            let chunk = rest.get(line + 2..line + 2 + size)?;
            body.extend_from_slice(chunk);
            *rest = rest.get(line + 4 + size..)?;
            if size == 0 {
                break body;
            }
        }
    } else {
        let length = header("content-length").and_then(|l| l.parse().ok()).unwrap_or(rest.len());
        let body = rest.get(..length)?.to_vec();
        *rest = &rest[length..];
        body
    };
    Some((content_type, body))
}

/// The parts of a transport message and what proves them; `None` when it has no signature.
fn unverified(content_type: &str, body: &[u8], expect: Expect) -> Option<Unverified> {
    let mut reader = Reader::new(content_type, expect).ok()?;
    let mut input = body;
    let (mut signature, mut hash_chain_result, mut hash_chain) = (None, None, None);
    let mut parts = Vec::new();
    let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
    while let Some(event) = reader.next(&mut input).ok()? {
        match event {
            Event::RestRequest(bytes) | Event::RestResponse(bytes) => parts.push(part(MESSAGE, &bytes)),
            Event::Soap { envelope, .. } => parts.push(part(MESSAGE, &envelope)),
            Event::BodyStart | Event::AttachmentStart { .. } => hasher = Hasher::new(DigestAlgorithm::Sha512),
            Event::Body(bytes) | Event::Attachment(bytes) => hasher.update(bytes),
            Event::BodyEnd | Event::AttachmentEnd => {
                let digest = hasher.clone().finish();
                let name = format!("/attachment{}", parts.len());
                parts.push(PartDigest { name, algorithm: DigestAlgorithm::Sha512, digest });
            }
            Event::HashChainResult(bytes) => hash_chain_result = Some(bytes),
            Event::HashChain(bytes) => hash_chain = Some(bytes),
            Event::Signature(bytes) => signature = Some(bytes),
            _ => {}
        }
    }
    Some(Unverified { parts, signature: signature?, hash_chain_result, hash_chain })
}

/// All messages of a wire file with signatures.
fn messages(path: &Path) -> Vec<Unverified> {
    let bytes = contents(path);
    let is_request = path.to_str().unwrap().contains("request.bin");
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while let Some((content_type, body)) = http(&mut rest) {
        let kinds = if is_request {
            [Expect::RestRequest, Expect::SoapRequest]
        } else {
            [Expect::RestResponse, Expect::SoapResponse]
        };
        found.extend(kinds.into_iter().find_map(|expect| unverified(&content_type, &body, expect)));
    }
    found
}

#[test]
fn every_recorded_exchange_verifies_and_no_other() {
    let Some(folder) = vectors("xroad-recorded").filter(|_| has_tool("gzip")) else { return };
    let conf = conf(&folder.join("materials/globalconf/DEV/shared-params.xml"), 6, "DEV");
    let [consumer, provider] = ["M1", "M2"].map(|m| MemberId::new("DEV", "GOV", m).client());
    let (mut verified, mut chained, mut deepest) = (0, 0, 0);
    for flavour in ["rsa", "ec", "int"] {
        let mut paths = Vec::new();
        files(&folder.join(flavour), &mut paths);
        for path in paths.iter().filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("wire-")) {
            let at = recorded_at(path.parent().unwrap());
            let (signer, other) = if path.to_str().unwrap().contains("request.bin") {
                (&consumer, &provider)
            } else {
                (&provider, &consumer)
            };
            for message in messages(path) {
                let steps = message
                    .hash_chain
                    .as_deref()
                    .map_or(0, |chain| String::from_utf8_lossy(chain).matches("HashStep id").count());
                deepest = deepest.max(steps);
                chained += usize::from(steps > 0);
                let result = verify(message.clone(), signer, &conf, at);
                let proof = result.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(at.since(proof.status_time()) < seconds(3600) && proof.signing_time().is_some());
                verified += 1;
                assert_eq!(
                    code(&verify(message.clone(), other, &conf, at).unwrap_err()),
                    "incorrect_certificate"
                );
                for number in 0..message.parts.len() {
                    let mut changed = message.clone();
                    changed.parts[number].digest[verified % 64] ^= 1 << (verified % 8);
                    assert!(verify(changed, signer, &conf, at).is_err(), "{}", path.display());
                }
            }
        }
    }
    assert_eq!((verified, chained, deepest), (308, 162, 6));
}

/// Requests and answers that were altered on their way, and what X-Road said of their signatures.
#[test]
fn recorded_alterations_are_refused_with_the_same_codes() {
    let Some(folder) = vectors("xroad-recorded/rsa") else { return };
    let conf = conf(&folder.join("../materials/globalconf/DEV/shared-params.xml"), 6, "DEV");
    let request = "wire-negative/err-";
    let answer = "response-negative/";
    for (kind, name, expected) in [
        (request, "no-body-request", "malformed_signature.invalid_reference"),
        (request, "no-hash-chain-request", "internal_error"),
        (request, "no-hash-chain-only-request", "malformed_signature.invalid_reference"),
        (request, "body-changed-request", "malformed_signature.invalid_hash_chain"),
        (request, "block-changed-request", "invalid_signature_value"),
        (request, "soap-changed-request", "invalid_signature_value"),
        (request, "attachment-changed-request", "malformed_signature.invalid_hash_chain"),
        (request, "signature-value-request", "invalid_signature_value"),
        (request, "hashchainresult-space-request", "invalid_signature_value"),
        (request, "two-ocsp-request", ""),
        (answer, "ok-sent", ""),
        (answer, "no-hash-chain-sent", "internal_error"),
        (answer, "no-body-sent", "malformed_signature.invalid_reference"),
        (answer, "body-changed-sent", "malformed_signature.invalid_hash_chain"),
        (answer, "block-changed-sent", "malformed_signature.invalid_hash_chain"),
        (answer, "request-hash-changed-sent", "malformed_signature.invalid_hash_chain"),
        (answer, "request-id-changed-sent", "malformed_signature.invalid_hash_chain"),
        (answer, "x-road-id-changed-sent", "malformed_signature.invalid_hash_chain"),
        (answer, "signature-value-sent", "invalid_signature_value"),
        (answer, "soap-request-hash-removed-sent", "invalid_signature_value"),
    ] {
        let path = folder.join(format!("{kind}{name}.bin"));
        let member = if kind == request { "M1" } else { "M2" };
        let signer = MemberId::new("DEV", "GOV", member).client();
        let found = messages(&path);
        assert_eq!(found.len(), 1, "{name}");
        let result = verify(found[0].clone(), &signer, &conf, recorded_at(path.parent().unwrap()));
        assert_eq!(result.map_or_else(|e| code(&e), |_| String::new()), expected, "{name}");
    }
}

/// What we write of the same certificate, responses and moment is digested to the same value.
#[test]
fn our_signed_properties_are_x_roads_byte_for_byte() {
    let Some(folder) = vectors("xroad-recorded") else { return };
    for (path, uri) in [
        ("rsa/rest-post-json/wire-1-request.bin", HASH_CHAIN_RESULT),
        ("rsa/rest-get/wire-1-request.bin", MESSAGE),
        ("ec/rest-get/wire-1-request.bin", MESSAGE),
        ("int/rest-post-json/wire-1-request.bin", HASH_CHAIN_RESULT),
    ] {
        let recorded = messages(&folder.join(path)).remove(0);
        let text = form::readable(&recorded.signature).unwrap();
        let document = crate::xml::admit(&text, 1 << 20).unwrap();
        let theirs = xades::Signature::read(&document).unwrap();
        let material = SignerMaterial {
            certificate: theirs.certificate.clone(),
            intermediates: theirs.intermediates.clone(),
            ocsp: theirs.ocsp.clone(),
        };
        let at = theirs.signing_time.unwrap();
        let ours = prepare(std::slice::from_ref(&recorded.parts), &material, theirs.algorithm, at).unwrap();
        if uri == HASH_CHAIN_RESULT {
            assert_eq!(ours.hash_chain_result.as_deref(), recorded.hash_chain_result.as_deref());
            assert_eq!(ours.hash_chains, [recorded.hash_chain]);
        }
        let written = ours.finish(&theirs.value).remove(0).signature;
        let one_line = |text: &str| text.replace("&#13;\n", "");
        assert_eq!(String::from_utf8_lossy(&written), one_line(&text), "{path}");
    }
}

/// The entries of a container.
fn entries(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(format!("/{}", entry.name().unwrap()), bytes);
    }
    found
}

#[test]
fn signatures_of_x_roads_containers_have_their_verdicts() {
    let Some(folder) = vectors("xroad") else { return };
    let conf = conf(&folder.join("globalconf-on-disk/globalconf_good2_v3/DEV/shared-params.xml"), 3, "DEV");
    for (name, expected) in [
        ("valid-signed-message", ""),
        ("valid-signed-hashchain", ""),
        ("valid-batch-ts", ""),
        ("valid-non-batch-rest", ""),
        ("valid-non-batch-soap-attachments", ""),
        ("invalid-not-signed-hashchain", "malformed_signature"),
        ("wrong-message", "invalid_signature_value"),
        ("invalid-digest", "invalid_signature_value"),
        ("invalid-signed-hashchain", "malformed_signature.invalid_hash_chain_ref"),
        ("invalid-hashchain-modified-message", "malformed_signature.invalid_reference"),
    ] {
        let mut entries = entries(&folder.join(format!("asic/{name}.asice")));
        let signature = entries.remove("/META-INF/signatures.xml").unwrap();
        let outline = outline(&signature).unwrap();
        let hash_chain = entries.remove(HASH_CHAIN);
        let is_part = |name: &str| name == MESSAGE || name.starts_with("/attachment");
        let mut parts: Vec<PartDigest> =
            entries.iter().filter(|(n, _)| is_part(n)).map(|(n, b)| part(n, b)).collect();
        let chain_parts = hash_chain.as_deref().map_or_else(Vec::new, |c| batch::parts_named(c).unwrap());
        for named in outline.parts.iter().chain(&chain_parts) {
            if named.name.starts_with("/attachment") && parts.iter().all(|p| p.name != named.name) {
                parts.push(named.clone());
            }
        }
        let unverified =
            Unverified { parts, signature, hash_chain_result: entries.remove(HASH_CHAIN_RESULT), hash_chain };
        let text = String::from_utf8_lossy(&unverified.signature).into_owned();
        let (_, time) = text.split_once("SigningTime>").unwrap();
        let at = UnixTime::from_rfc3339(time.split('<').next().unwrap()).unwrap();
        let nobody = MemberId::new("DEV", "GOV", "nobody").client();
        let result = match verify(unverified.clone(), &nobody, &conf, at) {
            Err(SignatureError::Member { found, .. }) => verify(unverified, &found.client(), &conf, at),
            other => other,
        };
        assert_eq!(
            result.map_or_else(|e| format!("{} {e}", code(&e)), |_| String::new()).split(' ').next(),
            Some(expected),
            "{name}"
        );
    }
}

#[test]
fn x_roads_test_signatures_have_their_verdicts() {
    let Some(folder) = vectors("xroad/signatures") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for (name, expected) in [
        ("sign-0-no-signature.xml", "malformed_signature"),
        ("sign-0-no-objectcontainer.xml", "malformed_signature"),
        ("sign-0-schema-fail.xml", "malformed_signature"),
        ("sign-0-no-signing-cert.xml", "malformed_signature"),
        ("sign-0-malformed-xml.xml", "invalid_xml"),
        ("empty.xml", "invalid_xml"),
        ("extra-certs-missing-id.xml", "malformed_signature"),
        ("extra-certs-missing-cert.xml", "malformed_signature"),
        ("extra-certs-digest-invalid.xml", "malformed_signature"),
    ] {
        let error = SignatureError::from(outline(&read(name)).unwrap_err());
        assert_eq!(code(&error), expected, "{name}: {error}");
    }
    let conf = conf(&folder.join("../globalconf-on-disk/globalconf_good_v2/EE/shared-params.xml"), 2, "EE");
    let at = UnixTime::from_rfc3339("2014-10-30T00:00:00Z").unwrap();
    let signer = MemberId::new("EE", "BUSINESS", "consumer").client();
    for name in ["sign-0-invalid-signature-value.xml", "sign-0-ocsp-no-responses.xml"] {
        let message = Unverified {
            parts: vec![part(MESSAGE, b"")],
            signature: read(name),
            hash_chain_result: None,
            hash_chain: None,
        };
        assert!(verify(message, &signer, &conf, at).is_err(), "{name}");
    }
    let holds = |signature: &[u8]| {
        let text = form::readable(signature).unwrap();
        let document = crate::xml::admit(&text, 1 << 20).unwrap();
        let signature = xades::Signature::read(&document).unwrap();
        let bytes = signature.canonicalization.element_bytes(signature.signed_info).unwrap();
        let key = signature.certificate.public_key();
        key.verify(signature.algorithm, &bytes, &signature.value, crate::crypto::EcdsaForm::Fixed)
    };
    assert_eq!(holds(&read("batch-sig.xml")), Ok(()));
    let signed = outline(&read("batch-sig.xml")).unwrap().parts;
    assert!(signed.is_empty());
    let plain = read("non-batch-sig/signatures.xml");
    assert_eq!(holds(&plain), Ok(()));
    let parts = outline(&plain).unwrap().parts;
    let expected = [
        part(MESSAGE, &read("non-batch-sig/message.xml")),
        part("/attachment1", &read("non-batch-sig/attachment1")),
    ];
    assert_eq!(parts, expected);
    let result = read("hash-chain-result.xml");
    let named = batch::parts_named(&read("hash-chain-1.xml")).unwrap();
    assert_eq!(named[0], part(MESSAGE, &read("message-1.xml")));
    let check = |chain: &str| batch::verify(batch::Kind::Signature, &result, Some(&read(chain)), &named);
    assert_eq!(check("hash-chain-1.xml"), Ok(()));
    assert!(check("hash-chain-2.xml").is_err());
}
