//! Containers: ours, X-Road's, recorded and hostile ones.

mod others;
mod world;

use super::zip::{Archive, Level, Writer, ZipError};
use super::*;
use crate::container::message::Kind;
use crate::container::verify::Unproven;
use crate::fault::{Code, Leaf};
use crate::globalconf::GlobalConf;
use crate::trust::testing::{Draft, TIME_STAMPING, flipped, now};
use std::io::Cursor;
use world::{REQUEST, Stamping, World, digests, stamp_chain, stamped_at};

const BODY: &[u8] = b"{\"a\":1}";
const EVERY_STAMPING: [Stamping; 2] = [Stamping::Single, Stamping::Batch];

fn prove(bytes: &[u8], conf: &GlobalConf) -> Result<Proof, ContainerError> {
    verify(&mut Container::open(Cursor::new(bytes))?, conf)
}

/// A container's entries, to be changed and packed again.
struct Unpacked(Vec<(String, Vec<u8>)>);

impl Unpacked {
    fn new(bytes: &[u8]) -> Self {
        let mut archive = Archive::open(Cursor::new(bytes)).unwrap();
        let names: Vec<_> = archive.entries().iter().map(|e| e.name().to_owned()).collect();
        Self(names.into_iter().map(|n| (n.clone(), archive.read(&n, 1 << 26).unwrap())).collect())
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(n, _)| n != name);
        self
    }

    fn with(mut self, name: &str, content: &[u8]) -> Self {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = content.to_vec(),
            None => self.0.push((name.to_owned(), content.to_vec())),
        }
        self
    }

    fn edited(self, name: &str, from: &str, to: &str) -> Self {
        let (_, old) = self.0.iter().find(|(n, _)| n == name).unwrap();
        let text = String::from_utf8(old.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {name}");
        let text = text.replacen(from, to, 1);
        self.with(name, text.as_bytes())
    }

    fn pack(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Level::Usual);
        for (name, content) in &self.0 {
            writer.entry(name, now(), content.as_slice()).unwrap();
        }
        writer.finish(COMMENT).unwrap()
    }

    fn prove(&self, world: &World) -> Result<Proof, ContainerError> {
        prove(&self.pack(), &world.conf)
    }
}

fn code(result: Result<Proof, ContainerError>) -> String {
    match result.unwrap_err().code() {
        Code::Ours { under, leaf } => {
            under.iter().chain([&leaf]).map(|l| l.text()).collect::<Vec<_>>().join(".")
        }
        Code::Foreign(text) => text,
    }
}

#[test]
fn a_container_says_who_what_and_when() {
    let world = World::new();
    for stamping in EVERY_STAMPING {
        let proof = prove(&world.container(&[REQUEST, BODY], stamping), &world.conf).unwrap();
        assert_eq!(proof.message.kind, Kind::RestRequest);
        assert_eq!(proof.message.client.to_string(), "DEV/GOV/M1/C");
        assert_eq!(proof.message.service.to_string(), "DEV/GOV/M2/S/land");
        assert_eq!(proof.message.id, "the-id");
        assert_eq!(proof.message.line, "POST /r1/DEV/GOV/M2/S/land/parcel?x=1");
        assert_eq!(proof.signature.status_time, now());
        assert_eq!(proof.signature.ca_name, "Test CA");
        assert!(proof.signature.is_batch);
        assert_eq!(proof.stamp.time, stamped_at());
        assert_eq!(proof.stamp.tsa, world.tsa.certificate);
        assert_eq!(proof.stamp.is_batch, stamping == Stamping::Batch);
        let parts: Vec<_> = proof.parts.iter().map(|p| (p.name.as_str(), p.size)).collect();
        let sizes = [REQUEST.len(), BODY.len()].map(|n| Some(n as u64));
        assert_eq!(parts, [("message.xml", sizes[0]), ("attachment1", sizes[1])]);
        assert_eq!(proof.unproven, []);
    }
}

#[test]
fn entries_come_in_the_order_of_x_road() {
    let world = World::new();
    let names = |bytes: &[u8]| {
        let archive = Archive::open(Cursor::new(bytes)).unwrap();
        assert!(archive.entries().iter().all(|e| e.modified() == Some(now())));
        assert_eq!(archive.comment(), COMMENT.as_bytes());
        archive.entries().iter().map(|e| e.name().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names(&world.container(&[REQUEST], Stamping::Single)),
        "mimetype message.xml META-INF/signatures.xml META-INF/manifest.xml"
    );
    assert_eq!(
        names(&world.container(&[REQUEST, BODY, BODY], Stamping::Batch)),
        "mimetype message.xml META-INF/signatures.xml sig-hashchainresult.xml sig-hashchain.xml \
         ts-hashchainresult.xml ts-hashchain.xml META-INF/manifest.xml META-INF/ASiCManifest.xml \
         META-INF/timestamp.tst attachment1 attachment2"
    );
}

#[test]
fn each_message_signed_together_has_its_own_container() {
    let world = World::new();
    let messages: [&[&[u8]]; 4] = [&[REQUEST], &[REQUEST, BODY], &[REQUEST], &[REQUEST, b"x", b"y"]];
    for (parts, signed) in messages.iter().zip(world.sign(&messages)) {
        for stamping in EVERY_STAMPING {
            let proof = prove(&world.pack(parts, &signed, stamping), &world.conf).unwrap();
            assert_eq!(proof.parts.len(), parts.len());
            assert!(proof.signature.is_batch);
        }
    }
    // another message's chain does not do
    let other = String::from_utf8(REQUEST.to_vec()).unwrap().replace("the-id", "another");
    let mut signed = world.sign(&[&[REQUEST], &[other.as_bytes()]]);
    signed[0].hash_chain = signed[1].hash_chain.take();
    assert_eq!(
        code(prove(&world.pack(&[REQUEST], &signed[0], Stamping::Single), &world.conf)),
        "malformed_signature.invalid_hash_chain_ref"
    );
}

#[test]
fn every_bit_of_a_container_counts() {
    let world = World::new();
    for (stamping, step) in [(Stamping::Batch, 1), (Stamping::Single, 7)] {
        let good = world.container(&[REQUEST, BODY], stamping);
        let told = Unpacked::new(&good).0;
        let mut in_two_ways = 0;
        for bit in (0..good.len() * 8).step_by(step) {
            let bytes = flipped(&good, bit);
            if prove(&bytes, &world.conf).is_ok() {
                // deflate leaves bits unused, and may say the same in two ways: the container's content is not another
                assert_eq!(Unpacked::new(&bytes).0, told, "bit {bit} of {stamping:?}");
                in_two_ways += 1;
            }
        }
        assert!(in_two_ways <= 7 * told.len() + 8, "{in_two_ways}");
        for length in 0..good.len() {
            assert!(prove(&good[..length], &world.conf).is_err(), "{length}");
        }
    }
}

#[test]
fn no_bit_of_an_entry_changes_what_is_proven() {
    // as above with the zip layer made good again: what is not covered may change, but never what the proof says
    let world = World::new();
    for (stamping, step) in [(Stamping::Batch, 11), (Stamping::Single, 13)] {
        let good = Unpacked::new(&world.container(&[REQUEST, BODY], stamping));
        let told = format!("{:?}", good.prove(&world).unwrap());
        let mut refused = 0;
        for (name, content) in &good.0 {
            let is_covered = match name.as_str() {
                entry::MESSAGE | entry::SIGNATURE_CHAIN_RESULT | "attachment1" => true,
                entry::SIGNATURES => stamping == Stamping::Batch,
                _ => false,
            };
            for bit in (0..content.len() * 8).step_by(step) {
                let edited = Unpacked(good.0.clone()).with(name, &flipped(content, bit));
                match edited.prove(&world) {
                    Ok(proof) => {
                        assert!(!is_covered, "{name} bit {bit}");
                        assert_eq!(format!("{proof:?}"), told, "{name} bit {bit}");
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 1000, "{refused}");
    }
}

#[test]
fn an_attachment_that_is_missing_is_not_proven() {
    let world = World::new();
    let unpacked = Unpacked::new(&world.container(&[REQUEST, BODY], Stamping::Batch)).without("attachment1");
    let proof = unpacked.prove(&world).unwrap();
    assert_eq!(proof.unproven, [Unproven::MissingPart("attachment1".into())]);
    assert_eq!(proof.parts[1].digest, digests(&[REQUEST, BODY])[1].digest);
    assert_eq!(proof.parts[1].size, None);
}

#[test]
fn an_attachment_that_is_altered_or_added_is_refused() {
    let world = World::new();
    let good = || Unpacked::new(&world.container(&[REQUEST, BODY], Stamping::Batch));
    let altered = good().with("attachment1", b"{\"a\":2}").prove(&world);
    assert!(matches!(&altered, Err(ContainerError::Altered { name }) if name == "attachment1"));
    assert_eq!(code(altered), "malformed_signature.invalid_hash_chain_ref");
    let added = good().with("attachment2", b"").prove(&world);
    assert!(matches!(&added, Err(ContainerError::Unsigned { name }) if name == "attachment2"));
    assert_eq!(code(added), "malformed_signature.hashchain_unused_inputs");
    let plain = Unpacked::new(&world.container(&[REQUEST], Stamping::Single)).with("attachment1", b"");
    assert!(matches!(plain.prove(&world), Err(ContainerError::Unsigned { .. })));
}

#[test]
fn other_entries_are_told_and_folders_passed_over() {
    let world = World::new();
    let unpacked = Unpacked::new(&world.container(&[REQUEST], Stamping::Single))
        .with("readme.txt", b"x")
        .with(entry::SIGNATURE_CHAIN, b"<x/>");
    let proof = unpacked.prove(&world).unwrap();
    assert_eq!(proof.unproven, [Unproven::UnusedChain, Unproven::Entry("readme.txt".into())]);
}

#[test]
fn a_container_lacks_nothing() {
    let world = World::new();
    let good = world.container(&[REQUEST, BODY], Stamping::Batch);
    for (name, expected) in [
        (entry::MEDIA_TYPE, "asic_mime_type_not_found"),
        (entry::MESSAGE, "asic_message_not_found"),
        (entry::SIGNATURES, "asic_signature_not_found"),
        (entry::SIGNATURE_CHAIN, "asic_hash_chain_not_found"),
        (entry::SIGNATURE_CHAIN_RESULT, "asic_hash_chain_result_not_found"),
        (entry::STAMP_CHAIN, "asic_hash_chain_not_found"),
        (entry::STAMP_CHAIN_RESULT, "asic_hash_chain_result_not_found"),
        (entry::TOKEN, "malformed_signature"),
        (entry::ASIC_MANIFEST, "malformed_signature"),
    ] {
        assert_eq!(code(Unpacked::new(&good).without(name).prove(&world)), expected, "{name}");
    }
    assert!(Unpacked::new(&good).without(entry::MANIFEST).prove(&world).is_ok());
    let other = Unpacked::new(&good).with(entry::MEDIA_TYPE, b"application/vnd.etsi.asic-s+zip");
    assert_eq!(code(other.prove(&world)), "asic_invalid_mime_type");
    let two = Unpacked::new(&good).with("META-INF/signatures2.xml", b"<x/>");
    assert!(matches!(two.prove(&world), Err(ContainerError::SeveralSignatures(_))));
    let without_stamp = world.container(&[REQUEST], Stamping::None);
    assert!(matches!(prove(&without_stamp, &world.conf), Err(ContainerError::NoStamp)));
    assert_eq!(code(prove(b"not a zip file", &world.conf)), "asic_mime_type_not_found");
}

#[test]
fn a_time_stamp_is_of_this_signature_and_of_an_approved_authority() {
    let world = World::new();
    let good = || Unpacked::new(&world.container(&[REQUEST], Stamping::Batch));
    let of_other = world.stamp(b"other bytes", &world.tsa);
    assert!(matches!(good().with(entry::TOKEN, &of_other).prove(&world), Err(ContainerError::Imprint)));
    let stranger = Draft::new("Another TSA").extended(&[TIME_STAMPING]).self_signed();
    let (result, _) = stamp_chain(&good().0[2].1);
    let foreign = world.stamp(&result, &stranger);
    assert_eq!(code(good().with(entry::TOKEN, &foreign).prove(&world)), Leaf::TspCertificateNotFound.text());
    // a chain that leads to another signature
    let (result, chain) = stamp_chain(b"another signature");
    let other = good()
        .with(entry::STAMP_CHAIN_RESULT, &result)
        .with(entry::STAMP_CHAIN, &chain)
        .with(entry::ASIC_MANIFEST, manifest::write_covered(&result).as_bytes())
        .with(entry::TOKEN, &world.stamp(&result, &world.tsa));
    assert!(matches!(other.prove(&world), Err(ContainerError::StampChain(_))));
    let about_other = good().with(entry::ASIC_MANIFEST, manifest::write_covered(b"other").as_bytes());
    assert!(matches!(about_other.prove(&world), Err(ContainerError::ManifestOther { .. })));
    let of_message = good().edited(entry::ASIC_MANIFEST, "ts-hashchainresult.xml", "message.xml");
    assert!(matches!(of_message.prove(&world), Err(ContainerError::ManifestOther { .. })));
}

#[test]
fn a_message_of_another_signer_is_refused() {
    let world = World::new();
    let request = String::from_utf8(REQUEST.to_vec()).unwrap().replace("GOV/M1/C", "GOV/M3/C");
    let container = world.container(&[request.as_bytes()], Stamping::Single);
    assert_eq!(code(prove(&container, &world.conf)), "incorrect_certificate");
    let answer = "200\r\nOK\r\nx-road-id:1\r\nx-road-client:DEV/GOV/M1/C\r\nx-road-service:DEV/GOV/M2/S/land\r\n\
        x-road-request-id:1\r\nx-road-request-hash:AA==\r\n";
    let container = world.container(&[answer.as_bytes()], Stamping::Single);
    assert_eq!(code(prove(&container, &world.conf)), "incorrect_certificate");
    let own = answer.replace("GOV/M2/S/land", "GOV/M1/S/land");
    let proof = prove(&world.container(&[own.as_bytes()], Stamping::Single), &world.conf).unwrap();
    assert_eq!(proof.message.kind, Kind::RestResponse);
    assert_eq!(proof.message.line, "200 OK");
}

#[test]
fn attachments_are_taken_from_readers() {
    let world = World::new();
    let body = vec![b'x'; 5_000_000];
    let parts: [&[u8]; 2] = [REQUEST, &body];
    let signed = world.sign(&[&parts]).remove(0);
    let value = crate::signature::signature_value(&signed.signature).unwrap();
    let token = world.stamp(&value, &world.tsa);
    let signature = crate::signature::with_timestamp(&signed.signature, &token).unwrap();
    let evidence = Evidence {
        message: REQUEST,
        signature: &signature,
        hash_chain_result: signed.hash_chain_result.as_deref(),
        hash_chain: signed.hash_chain.as_deref(),
        stamp: None,
        time: now(),
    };
    let pieces = std::io::Read::chain(&body[..7], &body[7..]);
    let container = write(Vec::new(), &evidence, [pieces]).unwrap();
    assert!(container.len() < 20_000);
    assert_eq!(prove(&container, &world.conf).unwrap().parts[1].size, Some(5_000_000));
    let broken = write(Vec::new(), &evidence, [BrokenReader]);
    assert!(matches!(broken, Err(ContainerError::Zip(ZipError::Io(_)))));
}

struct BrokenReader;

impl std::io::Read for BrokenReader {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("gone"))
    }
}
