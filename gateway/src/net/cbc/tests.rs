//! Records sealed here and by hand, opened here and by a plain reading of the RFC; the two must never differ.

use super::*;
use proptest::prelude::*;

const KEYS: ([u8; KEY], [u8; MAC]) = ([0x4b; KEY], [0x6d; MAC]);
const TYPE: ContentType = ContentType::ApplicationData;
const VERSION: ProtocolVersion = ProtocolVersion::TLSv1_2;

/// Seals by hand, with `wrong` added to what is about to be encrypted.
fn sealed_by_hand(number: u64, content: &[u8], padding: usize, wrong: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA384, &KEYS.1));
    mac.update(&header(number, TYPE, VERSION, content.len() as u64));
    mac.update(content);
    let mut body = content.to_vec();
    body.extend_from_slice(mac.sign().as_ref());
    body.resize(body.len() + padding, u8::try_from(padding - 1).unwrap());
    wrong(&mut body);
    encrypted(&body)
}

fn encrypted(body: &[u8]) -> Vec<u8> {
    let iv = [0x69; BLOCK];
    let mut body = body.to_vec();
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut body);
    assert!(rest.is_empty());
    cbc::Encryptor::inner_iv_init(&Aes256Enc::new(&KEYS.0.into()), &iv.into()).encrypt_blocks(blocks);
    [iv.to_vec(), body].concat()
}

fn opened(number: u64, record: &[u8]) -> Option<Vec<u8>> {
    let mut record = record.to_vec();
    let opener = Opener::new(&KEYS.0, &KEYS.1);
    let content = opener.open(&mut record, |length| header(number, TYPE, VERSION, length))?;
    Some(record[content].to_vec())
}

/// What RFC 5246 §6.2.3.2 says, without care for time.
fn opened_plainly(number: u64, record: &[u8]) -> Option<Vec<u8>> {
    if record.len() < BLOCK + MAC + 1 || !record.len().is_multiple_of(BLOCK) {
        return None;
    }
    let (iv, body) = record.split_at(BLOCK);
    let mut body = body.to_vec();
    let iv: [u8; BLOCK] = iv.try_into().unwrap();
    let (blocks, _) = Array::slice_as_chunks_mut(&mut body);
    cbc::Decryptor::inner_iv_init(&Aes256Dec::new(&KEYS.0.into()), &iv.into()).decrypt_blocks(blocks);
    let says = *body.last().unwrap();
    let content = body.len().checked_sub(usize::from(says) + 1 + MAC)?;
    if body[content + MAC..].iter().any(|byte| *byte != says) {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA384, &KEYS.1);
    let covered = [&header(number, TYPE, VERSION, content as u64)[..], &body[..content]].concat();
    hmac::verify(&key, &covered, &body[content..content + MAC]).ok()?;
    body.truncate(content);
    Some(body)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// The paddings that a content of this length may have.
fn paddings(length: usize) -> impl Iterator<Item = usize> {
    (padding_after(length)..=PADDING_MAX).step_by(BLOCK)
}

#[test]
fn records_of_every_small_size_and_every_padding_are_opened() {
    for length in (0..700).chain(16_000..16_020).chain([CONTENT_MAX - 1, CONTENT_MAX]) {
        let content = content(length);
        for padding in paddings(length) {
            let record = sealed_by_hand(7, &content, padding, |_| {});
            assert_eq!(opened(7, &record).as_ref(), Some(&content), "{length} bytes, padding {padding}");
        }
    }
}

#[test]
fn what_is_sealed_is_opened_through_the_hooks_of_rustls() {
    let mut sealer = Records.encrypter(AeadKey::from(KEYS.0), &KEYS.1, &[]);
    let mut opener = Records.decrypter(AeadKey::from(KEYS.0), &KEYS.1);
    for length in (0..500).chain([CONTENT_MAX]) {
        let content = content(length);
        let message = OutboundPlainMessage { typ: TYPE, version: VERSION, payload: content[..].into() };
        let sealed = sealer.encrypt(message, length as u64).unwrap();
        assert_eq!(sealed.payload.as_ref().len(), sealer.encrypted_payload_len(length));
        let mut payload = sealed.payload.as_ref().to_vec();
        let message = InboundOpaqueMessage::new(TYPE, VERSION, &mut payload);
        assert_eq!(opener.decrypt(message, length as u64).unwrap().payload, content);
    }
}

#[test]
fn a_content_beyond_the_maximum_is_refused_as_such_and_only_when_authentic() {
    let mut opener = Records.decrypter(AeadKey::from(KEYS.0), &KEYS.1);
    let mut record = sealed_by_hand(0, &content(CONTENT_MAX + 1), padding_after(CONTENT_MAX + 1), |_| {});
    let mut altered = record.clone();
    altered[100] ^= 1;
    let mut open = |record: &mut [u8]| {
        let message = InboundOpaqueMessage::new(TYPE, VERSION, record);
        opener.decrypt(message, 0).map(|_| ()).unwrap_err()
    };
    assert_eq!(open(&mut record), Error::PeerSentOversizedRecord);
    assert_eq!(open(&mut altered), Error::DecryptError);
}

#[test]
fn every_bit_of_a_record_counts() {
    for (length, padding) in [(0, 16), (5, 11), (79, 1), (80, 256), (300, 36)] {
        let record = sealed_by_hand(1, &content(length), padding, |_| {});
        assert!(opened(1, &record).is_some());
        for bit in 0..record.len() * 8 {
            let mut altered = record.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(1, &altered), None, "bit {bit} of {length} bytes with padding {padding}");
        }
    }
}

#[test]
fn every_byte_of_a_padding_and_of_a_mac_counts() {
    for length in [0, 15, 16, 100, 255, 256, 257, 400, 1000] {
        for padding in paddings(length) {
            for from_end in 1..=padding + MAC {
                let alter = |body: &mut Vec<u8>| {
                    let at = body.len() - from_end;
                    body[at] ^= 0x10;
                };
                let record = sealed_by_hand(1, &content(length), padding, alter);
                assert_eq!(opened_plainly(1, &record), None, "the plain reading");
                assert_eq!(
                    opened(1, &record),
                    None,
                    "{length} bytes, padding {padding}, {from_end} from end"
                );
            }
        }
    }
}

#[test]
fn a_padding_that_says_more_than_there_is_ends_in_the_same_error() {
    for blocks in 4..40 {
        for says in 0..=u8::MAX {
            let record = encrypted(&vec![says; blocks * BLOCK]);
            assert_eq!(opened(1, &record), None, "{blocks} blocks of {says}");
        }
    }
}

#[test]
fn truncated_records_are_refused() {
    let record = sealed_by_hand(1, &content(600), padding_after(600), |_| {});
    for length in 0..record.len() {
        assert_eq!(opened(1, &record[..length]), None, "{length} bytes");
        assert_eq!(opened(1, &record[record.len() - length..]), None, "the last {length} bytes");
    }
}

#[test]
fn number_type_and_version_are_bound() {
    let record = sealed_by_hand(1, &content(60), padding_after(60), |_| {});
    assert!(opened(1, &record).is_some());
    assert_eq!(opened(2, &record), None);
    let opener = Opener::new(&KEYS.0, &KEYS.1);
    let open =
        |typ, version| opener.open(&mut record.clone(), |length| header(1, typ, version, length)).is_some();
    assert!(open(TYPE, VERSION));
    assert!(!open(ContentType::Handshake, VERSION));
    assert!(!open(TYPE, ProtocolVersion::TLSv1_1));
}

#[test]
fn masks_are_ones_or_zeros() {
    let values = [0, 1, 2, 47, 48, 255, 256, 16_384, u64::from(u32::MAX), (1 << 63) - 1];
    for a in values {
        for b in values {
            assert_eq!(is_below(a, b), if a < b { u64::MAX } else { 0 }, "{a} < {b}");
            assert_eq!(is_equal(a, b), if a == b { u64::MAX } else { 0 }, "{a} = {b}");
        }
    }
}

proptest! {
    /// A body of any bytes, with a MAC that holds at any place, ending in any byte, some of them repeated.
    #[test]
    fn no_body_is_read_otherwise_than_plainly(
        blocks in 4_usize..40,
        noise in any::<u64>(),
        says in any::<u8>(),
        repeated in 0_usize..300,
        mac_from_end in 48_usize..320,
    ) {
        let length = blocks * BLOCK;
        let mut body: Vec<u8> = (0..length as u64)
            .map(|at| (noise ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
            .collect();
        if let Some(at) = length.checked_sub(mac_from_end) {
            let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA384, &KEYS.1));
            mac.update(&header(3, TYPE, VERSION, at as u64));
            mac.update(&body[..at]);
            body[at..at + MAC].copy_from_slice(mac.sign().as_ref());
        }
        for byte in body.iter_mut().rev().take(repeated.max(1)) {
            *byte = says;
        }
        let record = encrypted(&body);
        prop_assert_eq!(opened(3, &record), opened_plainly(3, &record));
    }

    /// The same near what holds: the padding as long as the MAC's place lets it be, or nearly.
    #[test]
    fn no_body_near_a_right_one_is_read_otherwise_than_plainly(
        length in 0_usize..16_500,
        longer in 0_usize..16,
        at in any::<prop::sample::Index>(),
        by in 0_u8..4,
    ) {
        let padding = padding_after(length) + longer * BLOCK;
        let record = sealed_by_hand(3, &content(length), padding, |body| {
            let tail = body.len().min(MAC + PADDING_MAX + 8);
            let at = body.len() - 1 - at.index(tail);
            body[at] ^= by;
        });
        let opened = opened(3, &record);
        prop_assert_eq!(opened.is_some(), by == 0);
        prop_assert_eq!(opened, opened_plainly(3, &record));
    }
}
