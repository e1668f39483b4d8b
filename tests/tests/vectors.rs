//! The project's own vectors: each is judged as its file says, and none holds with a bit changed.
//!
//! They are made by `saatkond_tests::vectors::make`; `UPDATE=1 cargo test -p saatkond-tests --test vectors` writes them
//! anew.

use saatkond_proto::der::{DerError, Reader};
use saatkond_tests::vectors::judge::Judge;
use saatkond_tests::vectors::{Piece, Vector, all, folder, make};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bits tried in one vector: one in every byte where it has no more bytes than this.
const FLIPS_MAX: usize = 1200;

#[test]
fn every_vector_is_judged_as_it_says() {
    let vectors = all();
    let judge = Judge::new(&vectors);
    let mut wrong = Vec::new();
    for (name, vector) in &vectors {
        for line in ["what", "spec", "kind", "body", "expect"] {
            assert!(
                vector.field(line).is_some_and(|v| !v.trim().is_empty()),
                "{name}: no header line {line}"
            );
        }
        let (found, expected) = (judge.judge(vector), vector.expected());
        if found != expected {
            wrong.push(format!(
                "{name}: {}\n  found    {found:?}\n  expected {expected:?}",
                vector.required("what")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
    assert!(vectors.len() > 180, "{}", vectors.len());
}

/// What is written must not change unseen: it would be another octet on the wire, in a log or in a container.
#[test]
fn the_vectors_are_those_that_are_made() {
    let stored = all();
    let made = make::all(&stored);
    if std::env::var("UPDATE").is_ok_and(|v| v == "1") {
        write(&stored, &made);
        return;
    }
    let differing: Vec<_> =
        made.iter().filter(|(name, v)| stored.get(*name) != Some(v)).map(|(n, _)| n).collect();
    assert!(differing.is_empty(), "differ from what is made (UPDATE=1 writes them): {differing:?}");
    let unmade: Vec<_> = stored.keys().filter(|name| !made.contains_key(*name)).collect();
    assert!(unmade.is_empty(), "nobody makes {unmade:?}");
}

fn write(stored: &BTreeMap<String, Vector>, made: &BTreeMap<String, Vector>) {
    let path = |name: &str| folder().join(format!("{name}.vector"));
    for name in stored.keys().filter(|name| !made.contains_key(*name)) {
        std::fs::remove_file(path(name)).unwrap();
    }
    for (name, vector) in made {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), vector.to_bytes()).unwrap();
    }
}

#[test]
fn a_file_is_read_as_it_is_written() {
    for (name, vector) in all() {
        let bytes = std::fs::read(folder().join(format!("{name}.vector"))).unwrap();
        assert_eq!(vector.to_bytes(), bytes, "{name}");
    }
}

/// Where in a piece every bit is covered by the proof: no change there may pass.
///
/// Elsewhere one may, if what is told stays the same: a certificate that is known anyway, what an XML parser skips.
fn covered(kind: &str, label: &str, bytes: &[u8]) -> Vec<Range<usize>> {
    let whole = 0..bytes.len();
    let but = |part: &[u8]| {
        let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
        vec![0..start, start + part.len()..bytes.len()]
    };
    match (kind, label) {
        ("signature", "HASH CHAIN RESULT") | (_, "STAMPED") => vec![whole],
        (_, label) if label.starts_with("PART ") => vec![whole],
        ("signature", "SIGNATURE") => {
            let contents = ["SignatureValue", "X509Certificate"].map(|name| content(bytes, name));
            let elements = ["SignedInfo", "SignedProperties"].map(|name| element(bytes, name));
            [contents, elements].concat()
        }
        (_, "OCSP RESPONSE") => but(certificates_of_response(bytes)),
        // behind the certificates the signer is named, in any letter case
        (_, "TIMESTAMP TOKEN") => but(certificates_of_token(bytes)).into_iter().take(1).collect(),
        _ => Vec::new(),
    }
}

/// The place of the first element of this name, with its tags.
fn element(document: &[u8], name: &str) -> Range<usize> {
    let text = std::str::from_utf8(document).unwrap();
    let document = saatkond_proto::xml::admit(text, 1 << 20).unwrap();
    document.descendants().find(|n| n.tag_name().name() == name).unwrap().range()
}

/// The place of what stands in the first element of this name.
fn content(document: &[u8], name: &str) -> Range<usize> {
    let Range { start, end } = element(document, name);
    let after_tag = document[start..].iter().position(|b| *b == b'>').unwrap();
    let before_tag = document[start..end].iter().rposition(|b| *b == b'<').unwrap();
    start + after_tag + 1..start + before_tag
}

/// Certificates sent along with an OCSP response that is signed by one who is known.
fn certificates_of_response(bytes: &[u8]) -> &[u8] {
    let inside = || -> Result<&[u8], DerError> {
        let mut outer = Reader::new(bytes).sequence()?;
        outer.value()?;
        let mut typed = outer.value()?.reader().sequence()?;
        typed.oid()?;
        let mut basic = Reader::new(typed.octets()?).sequence()?;
        for _ in 0..3 {
            basic.value()?;
        }
        Ok(basic.value()?.raw)
    };
    inside().unwrap()
}

/// Certificates inside a time-stamp token, whose signer is known.
fn certificates_of_token(bytes: &[u8]) -> &[u8] {
    let inside = || -> Result<&[u8], DerError> {
        let mut outer = Reader::new(bytes).sequence()?;
        outer.oid()?;
        let mut signed = outer.value()?.reader().sequence()?;
        for _ in 0..3 {
            signed.value()?;
        }
        Ok(signed.value()?.raw)
    };
    inside().unwrap()
}

fn flips(kinds: &[&str]) {
    let vectors = all();
    let judge = Judge::new(&vectors);
    for (name, vector) in vectors.iter().filter(|(_, v)| kinds.contains(&v.required("kind"))) {
        let Ok(told) = vector.expected() else { continue };
        let pieces = vector.any_pieces();
        let total: usize = pieces.iter().map(|p| p.bytes.len()).sum();
        let step = total.div_ceil(FLIPS_MAX).max(1);
        let (mut refused, mut passed) = (0, 0);
        for (number, Piece { label, bytes }) in pieces.iter().enumerate() {
            // the question that an OCSP response answers is no part of the proof
            if ["CERTIFICATE", "ISSUER"].contains(&label.as_str()) {
                continue;
            }
            let covered = covered(vector.required("kind"), label, bytes);
            for at in (name.len() % step..bytes.len()).step_by(step) {
                let mut changed = pieces.clone();
                changed[number].bytes[at] ^= 1 << ((at + at / 8) % 8);
                match judge.judge(&vector.with_body(&changed)) {
                    Err(_) => refused += 1,
                    Ok(found) => {
                        let is_covered = covered.iter().any(|range| range.contains(&at));
                        assert!(!is_covered, "{name}: byte {at} of {label} is covered, and was changed");
                        assert_eq!(found, told, "{name}: byte {at} of {label} changed what is told");
                        passed += 1;
                    }
                }
            }
        }
        println!("{name}: {refused} changes refused, {passed} of no account");
        assert!(refused > 50, "{name}: {refused} refused, {passed} passed");
    }
}

#[test]
fn no_signature_holds_with_a_bit_changed() {
    flips(&["signature"]);
}

#[test]
fn no_hash_chain_holds_with_a_bit_changed() {
    flips(&["hash-chain"]);
}

#[test]
fn no_statement_holds_with_a_bit_changed() {
    flips(&["ocsp", "timestamp"]);
}

#[test]
fn no_directory_or_container_holds_with_a_bit_changed() {
    flips(&["directory", "container"]);
}
