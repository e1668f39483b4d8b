//! Signed configuration directories and containers.

use super::proofs::{material, sign};
use super::{BODY, Collection, REQUEST, digests, part, response};
use crate::vectors::judge::certificate;
use crate::vectors::pki::{AT, Party, Pki, later, now};
use crate::vectors::{Vector, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_proto::container::zip::{Level, Writer};
use saatkond_proto::container::{BatchStamp, COMMENT, Evidence, write};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::{Content, Draft, Part};
use saatkond_proto::signature::{self, SignatureParts, batch};
use std::io::Read as _;

pub(super) fn add(made: &mut Collection, pki: &Pki) {
    directories(made, pki);
    containers(made, pki);
}

fn directories(made: &mut Collection, pki: &Pki) {
    let spec = "PR-GCONF; trust-and-configuration §1.6";
    let begin = |what: &str, source: &Party, at: &str| {
        Vector::new("directory", what, spec)
            .with("certificate", &STANDARD.encode(source.certificate.der()))
            .with("at", at)
    };
    let shared = pki.shared().to_xml(6).unwrap();
    let mut optional = Part::of(
        Content::Other("FETCHINTERVAL".to_owned()),
        "DEV",
        "/V6/2026/fetchinterval-params.xml",
        b"<conf/>",
    );
    optional.file_name = Some("fetchinterval-params.xml".to_owned());
    let parts = vec![Part::of(Content::Shared, "DEV", "/V6/2026/shared-params.xml", &shared), optional];
    let draft = Draft { expires: later(600), version: 6, parts };
    let mut random = [0u8; 40];
    random.iter_mut().zip(7u8..).for_each(|(byte, n)| *byte = n.wrapping_mul(37));
    let written = |source: &Party| draft.sign(random, &source.key, source.certificate.der()).unwrap();
    for (name, source) in [("rsa", &pki.source), ("p256", &pki.source_ec)] {
        let mut vector = begin("A signed directory of two parts", source, AT).accepted();
        vector = vector.told("expires", &later(600).to_string()).told("version", "6");
        for part in &draft.parts {
            let line = format!("DEV {} {} {}", part.location, part.algorithm.name(), hex(&part.digest));
            vector = vector.told(&format!("part {}", part.content.text()), &line);
        }
        made.add(name, vector.as_is(&written(source)));
    }
    let mut refuse = |name: &str, what: &str, code: &str, at: &str, body: &[u8]| {
        made.add(name, begin(what, &pki.source, at).refused(code).as_is(body));
    };
    let good = written(&pki.source);
    let text = String::from_utf8(good.clone()).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let late = later(601).to_string();
    refuse("expired", "Its time has passed", "global_conf_outdated", &late, &good);
    let other = written(&pki.source_ec);
    refuse(
        "other-source",
        "Signed with a certificate that is not of this source",
        "global_conf_missing_verification_cert",
        AT,
        &other,
    );
    let failure = "global_conf_signature_verification_failure";
    refuse("altered", "A digest is another", failure, AT, &edited("instance='DEV'", "instance='DEW'"));
    refuse(
        "line-ends",
        "Signed octets with other line ends",
        failure,
        AT,
        &edited("Version: 6\r\n", "Version: 6\n"),
    );
    let unreadable = "global_conf_parsing_downloaded_conf_directory_failure";
    let cut = text.rfind("--").unwrap();
    refuse("cut", "The envelope does not end", unreadable, AT, &good[..cut]);
    let signature = text.find("Content-Type: application/octet-stream").unwrap();
    let (before, _) = text.split_at(signature);
    let outer = before.trim_end().rsplit("--").next().unwrap().to_owned();
    let unsigned = format!("{}--{outer}--\r\n", before.rsplit_once("--").unwrap().0);
    refuse(
        "unsigned",
        "No part with the signature",
        "global_conf_missing_signed_data_expiration_date",
        AT,
        unsigned.as_bytes(),
    );
    refuse(
        "sha1",
        "Signed with SHA-1",
        "global_conf_header_field_wrong_value",
        AT,
        &edited("xmldsig-more#rsa-sha512", "xmldsig-more#rsa-sha1"),
    );
    refuse("empty", "No octets", "global_conf_header_field_missing", AT, b"");
}

fn containers(made: &mut Collection, pki: &Pki) {
    let answer = response();
    let begin = |what: &str| {
        Vector::new("container", what, "ETSI TS 102 918; message-path §6.5, §7.3").with("trust", "dev")
    };
    let asked: &[&[u8]] = &[REQUEST, BODY];
    let answered: &[&[u8]] = &[&answer, BODY];
    let request = ("REST request", "POST /r1/DEV/GOV/M2/S/land/parcel?x=1");
    let reply = ("REST response", "200 OK");
    for (name, what, member, said, parts, tsa, is_batch) in [
        (
            "single-stamp-rsa",
            "A request and its single time-stamp",
            &pki.m1,
            request,
            &asked[..1],
            &pki.tsa,
            false,
        ),
        (
            "batch-stamp-rsa",
            "A request with a body, signed through a hash chain, time-stamped with others",
            &pki.m1,
            request,
            asked,
            &pki.tsa,
            true,
        ),
        (
            "batch-stamp-p256",
            "An answer, time-stamped with others by an authority on P-256",
            &pki.m2,
            reply,
            answered,
            &pki.tsa_ec,
            true,
        ),
        (
            "single-stamp-p256",
            "An answer and its single time-stamp",
            &pki.m2,
            reply,
            answered,
            &pki.tsa,
            false,
        ),
    ] {
        let signed = sign(member, &material(pki, member), &[parts]).remove(0);
        let vector = proven(begin(what), said, member, tsa, parts);
        made.add(name, vector.in_base64(&pack(pki, tsa, parts, &signed, is_batch)));
    }
    refused_containers(made, pki, &begin);
}

/// What a container of these parts proves.
fn proven(
    vector: Vector,
    (message, line): (&str, &str),
    member: &Party,
    tsa: &Party,
    parts: &[&[u8]],
) -> Vector {
    let vector = vector
        .accepted()
        .told("message", message)
        .told("line", line)
        .told("id", "the-id")
        .told("client", "DEV/GOV/M1/S")
        .told("service", "DEV/GOV/M2/S/land")
        .told("certificate", &certificate(&member.certificate))
        .told("status time", AT)
        .told("stamped", &later(7).to_string())
        .told("stamping authority", &certificate(&tsa.certificate));
    digests(parts).iter().zip(parts).fold(vector, |vector, (part, bytes)| {
        let name = part.name.trim_start_matches('/');
        vector.told(&format!("part {name}"), &format!("{} bytes SHA-512 {}", bytes.len(), hex(&part.digest)))
    })
}

/// Writes a container of a message that was signed.
fn pack(pki: &Pki, tsa: &Party, parts: &[&[u8]], signed: &SignatureParts, is_batch: bool) -> Vec<u8> {
    let mut document = signed.signature.to_vec();
    if !is_batch {
        let value = signature::signature_value(&document).unwrap();
        document = signature::with_timestamp(&document, &pki.stamp(tsa, &value, later(7))).unwrap();
    }
    let leaf = |bytes: &[u8]| vec![part(batch::SIGNATURES, bytes)];
    let chains =
        batch::build(batch::Kind::Timestamp, &[leaf(b"another"), leaf(&document), leaf(b"third")]).unwrap();
    let token = pki.stamp(tsa, &chains.result, later(7));
    let stamp =
        BatchStamp { token: &token, hash_chain_result: &chains.result, hash_chain: &chains.chains[1] };
    let evidence = Evidence {
        message: parts[0],
        signature: &document,
        hash_chain_result: signed.hash_chain_result.as_deref(),
        hash_chain: signed.hash_chain.as_deref(),
        stamp: is_batch.then_some(stamp),
        time: now(),
    };
    write(Vec::new(), &evidence, parts[1..].to_vec()).unwrap()
}

/// A container's entries, to be changed and packed again.
struct Entries(Vec<(String, Vec<u8>)>);

impl Entries {
    fn of(bytes: &[u8]) -> Self {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let count = archive.len();
        let entry = |n| {
            let mut entry = archive.by_index(n).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().into_owned(), content)
        };
        Self((0..count).map(entry).collect())
    }

    fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(n, _)| n != name).cloned().collect())
    }

    fn with(&self, name: &str, content: &[u8]) -> Self {
        let mut other = self.0.clone();
        match other.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = content.to_vec(),
            None => other.push((name.to_owned(), content.to_vec())),
        }
        Self(other)
    }

    fn pack(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Level::Usual);
        for (name, content) in &self.0 {
            writer.entry(name, now(), content.as_slice()).unwrap();
        }
        writer.finish(COMMENT).unwrap()
    }
}

fn refused_containers(made: &mut Collection, pki: &Pki, begin: &dyn Fn(&str) -> Vector) {
    let asked: &[&[u8]] = &[REQUEST, BODY];
    let signed = sign(&pki.m1, &material(pki, &pki.m1), &[asked]).remove(0);
    let packed = pack(pki, &pki.tsa, asked, &signed, true);
    let good = Entries::of(&packed);
    let mut add = |name: &str, what: &str, code: &str, bytes: &[u8]| {
        made.add(name, begin(what).refused(code).in_base64(bytes));
    };
    let of = |name: &str| good.0.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let named = "malformed_signature.invalid_hash_chain_ref";
    add(
        "message-altered",
        "The message is another",
        named,
        &good.with("message.xml", &[REQUEST, b"X-A:b\r\n"].concat()).pack(),
    );
    add("attachment-altered", "The attachment is another", named, &good.with("attachment1", b"[]").pack());
    let unused = "malformed_signature.hashchain_unused_inputs";
    add(
        "attachment-added",
        "An attachment that was not signed",
        unused,
        &good.with("attachment2", b"").pack(),
    );
    add("no-message", "No message", "asic_message_not_found", &good.without("message.xml").pack());
    add(
        "no-signature",
        "No signature",
        "asic_signature_not_found",
        &good.without("META-INF/signatures.xml").pack(),
    );
    add("no-type", "No type", "asic_mime_type_not_found", &good.without("mimetype").pack());
    add(
        "other-type",
        "Another type",
        "asic_invalid_mime_type",
        &good.with("mimetype", b"application/zip").pack(),
    );
    add("no-chain", "No hash chain", "asic_hash_chain_not_found", &good.without("sig-hashchain.xml").pack());
    add(
        "no-chain-result",
        "No hash chain result",
        "asic_hash_chain_result_not_found",
        &good.without("sig-hashchainresult.xml").pack(),
    );
    let second = good.with("META-INF/signatures2.xml", &of("META-INF/signatures.xml"));
    add(
        "two-signatures",
        "Two entries that could be the signature",
        "asic_signature_not_found",
        &second.pack(),
    );
    let signature = "malformed_signature";
    add(
        "no-stamp",
        "No time-stamp: nothing says when it was signed",
        signature,
        &good.without("META-INF/timestamp.tst").pack(),
    );
    let forged = pki.stamp(&pki.stranger_ca, &of("ts-hashchainresult.xml"), later(7));
    add(
        "stamped-by-a-stranger",
        "A time-stamp by nobody who is approved",
        "mlog.tsp_certificate_not_found",
        &good.with("META-INF/timestamp.tst", &forged).pack(),
    );
    let other = pki.stamp(&pki.tsa, b"other", later(7));
    add(
        "stamp-of-another",
        "A time-stamp for other octets",
        signature,
        &good.with("META-INF/timestamp.tst", &other).pack(),
    );
    let late = pki.stamp(&pki.tsa, &of("ts-hashchainresult.xml"), later(4000));
    add(
        "stamped-late",
        "Time-stamped when the OCSP response inside was too old",
        "invalid_cert_path.incorrect_validation_info",
        &good.with("META-INF/timestamp.tst", &late).pack(),
    );
    add(
        "trailing",
        "An octet after the zip file",
        "asic_mime_type_not_found",
        &[packed.as_slice(), b"x"].concat(),
    );
    add(
        "leading",
        "An octet before the zip file",
        "asic_invalid_mime_type",
        &[b"x", packed.as_slice()].concat(),
    );
    assert_eq!(DigestAlgorithm::Sha512.digest(BODY).len(), 64);
    add("empty", "No octets", "asic_mime_type_not_found", b"");
}
