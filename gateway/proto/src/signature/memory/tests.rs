//! What is remembered, for how long, and that it changes no verdict (every test of this room's also asks a memory: see
//! `World::verify_remembering`).

use super::*;
use crate::signature::testing::{World, ec_key, part, received, status_of};
use crate::signature::{MESSAGE, PartDigest, SignatureError};
use crate::trust::ocsp::Status;
use crate::trust::testing::{POLICY, now};
use std::time::Duration;

const LATER: Duration = Duration::from_secs(1);

/// `count` messages signed together.
fn batch(world: &World, count: usize) -> Vec<Unverified> {
    let message = |n: usize| vec![part(MESSAGE, format!("message {n}").as_bytes())];
    let messages: Vec<Vec<PartDigest>> = (0..count).map(message).collect();
    let signed = world.sign(&messages);
    signed.iter().zip(messages).map(|(signed, parts)| received(signed, parts)).collect()
}

fn knows(memory: &Memory, world: &World, message: &Unverified, at: UnixTime) -> bool {
    memory.document(&message.signature, &world.signer.member, at).is_some()
}

#[test]
fn a_batch_s_document_is_known_from_its_first_message_on() {
    let (world, memory) = (World::new(ec_key()), Memory::default());
    let messages = batch(&world, 3);
    assert!(!knows(&memory, &world, &messages[0], now()));
    for message in &messages {
        world.verify_remembering(message.clone(), &memory, now()).unwrap();
        assert!(knows(&memory, &world, message, now()));
    }
    assert_eq!(memory.with(|kept| kept.documents.young.len()), 1);
}

#[test]
fn a_known_document_proves_no_part_that_it_does_not_cover() {
    let (world, memory) = (World::new(ec_key()), Memory::default());
    for count in [1, 3] {
        let mut message = batch(&world, count).remove(0);
        world.verify_remembering(message.clone(), &memory, now()).unwrap();
        message.parts.push(part("/attachment1", b"not signed"));
        world.verify_remembering(message.clone(), &memory, now()).unwrap_err();
        message.parts = vec![part(MESSAGE, b"another message")];
        world.verify_remembering(message, &memory, now()).unwrap_err();
    }
}

#[test]
fn a_document_with_a_bit_changed_is_not_known() {
    let (world, memory) = (World::new(ec_key()), Memory::default());
    let message = batch(&world, 1).remove(0);
    world.verify_remembering(message.clone(), &memory, now()).unwrap();
    for index in 0..message.signature.len() {
        let mut changed = message.clone();
        changed.signature[index] ^= 1;
        assert!(!knows(&memory, &world, &changed, now()));
    }
}

#[test]
fn what_is_known_of_one_member_says_nothing_of_another() {
    let (mut world, memory) = (World::new(ec_key()), Memory::default());
    let message = batch(&world, 1).remove(0);
    world.verify_remembering(message.clone(), &memory, now()).unwrap();
    world.signer.member.code = "M2".to_owned();
    let error = world.verify_remembering(message, &memory, now()).unwrap_err();
    assert!(matches!(error, SignatureError::Member { .. }), "{error}");
}

#[test]
fn what_is_known_ends_with_the_ocsp_response_and_does_not_reach_back() {
    let (world, memory) = (World::new(ec_key()), Memory::default());
    let message = batch(&world, 1).remove(0);
    world.verify_remembering(message.clone(), &memory, now()).unwrap();
    let last = now().plus(POLICY.freshness);
    for (at, is_known) in
        [(now().minus(LATER), false), (now(), true), (last, true), (last.plus(LATER), false)]
    {
        assert_eq!(knows(&memory, &world, &message, at), is_known, "{at}");
    }
    let error = world.verify_remembering(message, &memory, last.plus(LATER)).unwrap_err();
    assert!(matches!(error, SignatureError::Status(_)), "{error}");
}

#[test]
fn credentials_are_known_from_one_document_to_the_next() {
    let (world, memory) = (World::below_an_intermediate(ec_key()), Memory::default());
    for count in [1, 2] {
        world.verify_remembering(batch(&world, count).remove(0), &memory, now()).unwrap();
    }
    assert_eq!(memory.with(|kept| (kept.documents.young.len(), kept.credentials.young.len())), (2, 1));
}

/// A response that does not count yet may revoke later: nothing of such a document is kept.
#[test]
fn more_responses_than_certificates_are_not_remembered() {
    let (world, memory) = (World::new(ec_key()), Memory::default());
    let ahead = now().plus(Duration::from_secs(limits::OCSP_AHEAD_SECS_MAX)).plus(LATER);
    let plain = batch(&world, 1).remove(0);
    let more = status_of(&world.material.certificate, &world.root, Status::Revoked { at: ahead }, ahead);
    let response = crate::signature::form::to_base64(&world.material.ocsp[0]);
    let text = String::from_utf8(plain.signature.clone()).unwrap();
    let (before, after) = text.split_once(&response).unwrap();
    let end = "</xades:EncapsulatedOCSPValue>";
    let start = &before[before.rfind("<xades:EncapsulatedOCSPValue").unwrap()..];
    let start = start.replace("ocsp-response-1", "ocsp-response-2");
    let second = format!("{response}{end}{start}{}", crate::signature::form::to_base64(&more));
    let message = Unverified { signature: format!("{before}{second}{after}").into_bytes(), ..plain };
    world.verify_remembering(message.clone(), &memory, now()).unwrap();
    assert!(!knows(&memory, &world, &message, now()));
    world.verify_remembering(message, &memory, ahead).unwrap_err();
}

#[test]
fn no_more_is_kept_than_may_be() {
    let mut halves = Halves::default();
    for n in 0_u32..1000 {
        halves.keep(n.to_be_bytes().to_vec(), Arc::new(n), 10);
        assert!(halves.find(&0_u32.to_be_bytes(), 10).is_some(), "what is asked for stays");
        assert!(halves.young.len() + halves.old.len() <= 10);
    }
    assert!(halves.find(&500_u32.to_be_bytes(), 10).is_none());
}
