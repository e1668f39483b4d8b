//! Signatures: ours, X-Road's, and each hole that must be closed.

mod holes;
mod recorded;
mod shapes;

use super::testing::*;
use super::*;
use crate::fault::Origin;
use crate::id::MemberId;
use crate::trust::ocsp::Status;
use crate::trust::testing::{Draft, NON_REPUDIATION, now, seconds};

/// The code that a peer would be told.
pub(super) fn code(error: &SignatureError) -> String {
    let text = error.code().under(crate::fault::Leaf::SignatureVerification).text(Origin::ServerProxy);
    text.strip_prefix("server.serverproxy.signature_verification.").unwrap().to_owned()
}

fn worlds() -> [World; 4] {
    [
        World::new(ec_key()),
        World::new(rsa_key()),
        World::below_an_intermediate(ec_key()),
        World::below_an_intermediate(rsa_key()),
    ]
}

fn two_parts() -> Vec<PartDigest> {
    vec![part(MESSAGE, b"message"), part("/attachment1", b"attachment")]
}

#[test]
fn what_is_signed_verifies_plain_and_chained() {
    for world in worlds() {
        for messages in [
            vec![vec![part(MESSAGE, b"message")]],
            vec![two_parts()],
            vec![two_parts(), vec![part(MESSAGE, b"other")], two_parts(), vec![part(MESSAGE, b"third")]],
        ] {
            let signed = world.sign(&messages);
            assert_eq!(signed.len(), messages.len());
            for (signed, parts) in signed.iter().zip(messages) {
                let unverified = received(signed, parts);
                let verified = world.verify(unverified.clone()).unwrap();
                assert_eq!(verified.unverified(), &unverified);
                assert_eq!(verified.certificate(), &*world.material.certificate);
                assert_eq!(verified.algorithm(), world.algorithm());
                assert_eq!(verified.signing_time(), Some(now()));
                assert_eq!(verified.status_time(), now());
                assert_eq!(verified.signature_value(), signature_value(&unverified.signature).unwrap());
                assert_eq!(verified.ca_name(), world.cas[0].name);
            }
        }
    }
}

#[test]
fn the_form_is_plain_only_for_one_message_of_one_part() {
    let world = World::new(ec_key());
    let one = vec![part(MESSAGE, b"message")];
    let plain = &world.sign(std::slice::from_ref(&one))[0];
    assert_eq!((&plain.hash_chain_result, &plain.hash_chain), (&None, &None));
    assert!(world.sign(&[two_parts()])[0].hash_chain.is_some());
    let both = world.sign(&[one.clone(), one]);
    assert!(both[0].hash_chain.is_some());
    assert_eq!(both[0].signature, both[1].signature);
    assert_eq!(both[0].hash_chain_result, both[1].hash_chain_result);
    assert_ne!(both[0].hash_chain, both[1].hash_chain);
}

#[test]
fn what_cannot_be_signed_is_not() {
    let world = World::new(ec_key());
    let refused = |messages: &[Vec<PartDigest>]| {
        prepare(messages, &world.material, world.algorithm(), now()).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(&[]), PrepareError::NoPart);
    assert_eq!(refused(&[vec![]]), PrepareError::NoPart);
    assert_eq!(refused(&[vec![part("/attachment1", b"")]]), PrepareError::NoPart);
    let sha256 = PartDigest { algorithm: DigestAlgorithm::Sha256, ..part(MESSAGE, b"") };
    assert!(matches!(refused(&[vec![sha256]]), PrepareError::Digest { .. }));
    let mut bare = World::new(ec_key());
    bare.material.ocsp.clear();
    let message = [vec![part(MESSAGE, b"")]];
    let error = prepare(&message, &bare.material, bare.algorithm(), now()).map(|_| ()).unwrap_err();
    assert_eq!(error, PrepareError::Ocsp { expected: 1, found: 0 });
    let failed = sign::<PrepareError>(&message, &world.material, world.algorithm(), now(), |_| {
        Err(PrepareError::NoPart)
    });
    assert_eq!(failed.map(|_| ()), Err(PrepareError::NoPart));
}

/// Every byte of the document with one bit changed: refused, or nothing that was proven has changed.
#[test]
fn a_bit_flipped_anywhere_is_refused_or_proves_the_same() {
    let world = World::new(ec_key());
    for messages in [vec![vec![part(MESSAGE, b"message")]], vec![two_parts(), two_parts()]] {
        let good = received(&world.sign(&messages)[0], messages[0].clone());
        let proven = world.verify(good.clone()).unwrap();
        let text = String::from_utf8(good.signature.clone()).unwrap();
        let inside = |start: &str, end: &str| text.find(start).unwrap()..text.find(end).unwrap() + end.len();
        let value_start = text.find("signature-value\">").unwrap() + 17;
        let signed = [
            inside("<ds:SignedInfo>", "</ds:SignedInfo>"),
            inside("<xades:SignedProperties", "</xades:SignedProperties>"),
            inside("<ds:X509Certificate>", "</ds:X509Certificate>"),
            value_start..text.find("</ds:SignatureValue>").unwrap(),
        ];
        let mut dice = Dice::new(7);
        for at in 0..good.signature.len() {
            let mut flipped = good.clone();
            flipped.signature[at] ^= 1 << dice.roll(8);
            let Ok(verified) = world.verify(flipped) else { continue };
            let in_signed = signed.iter().any(|r| r.contains(&at));
            assert!(!in_signed, "byte {at}");
            assert_eq!(verified.certificate(), proven.certificate(), "byte {at}");
            assert_eq!(verified.signature_value(), proven.signature_value(), "byte {at}");
            assert_eq!(verified.signing_time(), proven.signing_time(), "byte {at}");
            assert_eq!(verified.algorithm(), proven.algorithm(), "byte {at}");
        }
        for number in 0..good.parts.len() {
            for bit in 0..512 {
                let mut flipped = good.clone();
                flipped.parts[number].digest[bit / 8] ^= 1 << (bit % 8);
                assert!(world.verify(flipped).is_err(), "part {number}, bit {bit}");
            }
        }
        for document in [result_of as fn(&mut Unverified) -> Option<&mut Vec<u8>>, chain_of] {
            let length = document(&mut good.clone()).map_or(0, |d| d.len());
            let digests: Vec<bool> = {
                let text =
                    String::from_utf8(document(&mut good.clone()).cloned().unwrap_or_default()).unwrap();
                let starts: Vec<usize> =
                    text.match_indices("<DigestValue>").map(|(i, s)| i + s.len()).collect();
                (0..length).map(|at| starts.iter().any(|s| (*s..s + 88).contains(&at))).collect()
            };
            for (at, in_digest) in digests.into_iter().enumerate() {
                let mut flipped = good.clone();
                document(&mut flipped).unwrap()[at] ^= 1 << dice.roll(8);
                assert!(!in_digest || world.verify(flipped).is_err(), "byte {at}");
            }
        }
    }
}

fn result_of(unverified: &mut Unverified) -> Option<&mut Vec<u8>> {
    unverified.hash_chain_result.as_mut()
}

fn chain_of(unverified: &mut Unverified) -> Option<&mut Vec<u8>> {
    unverified.hash_chain.as_mut()
}

/// Documents cut, doubled and filled with other bytes: refused or proven, never a panic.
#[test]
fn mangled_documents_are_refused_quietly() {
    let world = World::new(ec_key());
    let good = received(&world.sign(&[two_parts(), two_parts()])[0], two_parts());
    let mut dice = Dice::new(11);
    for round in 0..600 {
        let mut mangled = good.clone();
        let bytes = match round % 3 {
            0 => &mut mangled.signature,
            1 => result_of(&mut mangled).unwrap(),
            _ => chain_of(&mut mangled).unwrap(),
        };
        let (a, b) = (dice.roll(bytes.len()), dice.roll(bytes.len()));
        let (from, to) = (a.min(b), a.max(b));
        match dice.roll(4) {
            0 => bytes.truncate(from),
            1 => drop(bytes.drain(from..to)),
            2 => bytes.extend_from_within(from..to),
            _ => bytes
                .splice(
                    from..from + 1,
                    [b"<", b">", b"&", b"\"", b"\0", b"\xff"][dice.roll(6)].iter().copied(),
                )
                .for_each(drop),
        }
        if let Ok(verified) = world.verify(mangled) {
            assert_eq!(verified.signature_value(), signature_value(&good.signature).unwrap());
        }
    }
}

/// The dearest documents that pass the bounds take a moment: nothing grows faster than they do.
#[test]
fn the_dearest_documents_are_cheap() {
    let world = World::new(ec_key());
    let spaces: String = (0..24).map(|i| format!(" xmlns:n{i}='urn:{i}'")).collect();
    let size = crate::limits::SIGNATURE_BYTES_MAX - 20_000;
    for filler in ["<n0:a n1:b='' n2:c=''/>", "<a xmlns='urn:x'/>", "<a Id='@@@@@'/>", "<!-- c -->", "&#13;"]
    {
        let numbered = |i: usize| filler.replace("@@@@@", &format!("{i:05}"));
        let content: String = (0..size / filler.len()).map(numbered).collect();
        let signed = world.crafted(|t| {
            t.replace("<asic:XAdESSignatures", &format!("<asic:XAdESSignatures{spaces}")).replace(
                "<xades:SignedDataObjectProperties>",
                &format!("<xades:SignedDataObjectProperties>{content}"),
            )
        });
        let began = std::time::Instant::now();
        world.verify(signed).unwrap();
        assert!(began.elapsed().as_secs() < 5, "{filler}: {:?}", began.elapsed());
        println!("{filler}: {:?}", began.elapsed());
    }
}
