//! The cipher suites of unmodified X-Road 7 servers, which rustls does not ship.
//!
//! `TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384` and `TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384` (RFC 5289): TLS 1.2, AES-256 in
//! CBC mode, HMAC-SHA-384 over the plain text, then padding. Spec: message-path §2.2. They are offered between gateways
//! only, and only with `tls.stock_peers = true`; [`super::tls`] decides that. Handshake, key exchange, signatures and
//! alerts are rustls's own: this module seals and opens records, through the hooks that rustls has for providers.
//!
//! # What can go wrong with such suites
//!
//! The MAC is made before padding and encryption, so whoever opens a record must take away a padding that nothing proves
//! yet, and compute a MAC whose input is as long as that padding lets it be. If anything that an attacker sees (an
//! alert, or how long the answer takes) depends on the padding, he alters cipher text and learns plain text byte by byte
//! (Vaudenay 2002, Lucky Thirteen 2013). To make the number of compressions the same is not enough: the rest leaked
//! through caches (Ronen, Paterson, Shamir 2018). So here, once a record is decrypted:
//!
//! 1. Public are the length of the record, its sequence number, type and version, and the one result. Secret are the
//!    plain bytes, with them the padding's length, where the MAC begins, how long the content is, whether the padding
//!    holds and whether the MAC holds.
//! 2. No branch, no loop bound, no address and no division depends on what is secret. Where a secret length says which
//!    byte counts, every byte that could is read, at addresses that only the public length gives, and a mask of ones or
//!    zeros keeps it or not ([`is_below`], [`is_equal`]).
//! 3. The padding is looked for in as many bytes as a padding can have ([`padding`]), always all of them.
//! 4. The MAC is computed over as many blocks as the longest content has, and the state after the block that was really
//!    the last is kept by a mask ([`Mac::of_hidden_length`]). This needs SHA-512's compression as a function, which ring
//!    does not give and `sha2` does; its time does not depend on what it compresses.
//! 5. The received MAC is picked up by a pass over all places where it can be, and turned into place by rotations of
//!    1, 2, 4 … 32 bytes, each of which is made and then kept or not ([`received_mac`]).
//! 6. A wrong padding counts as none: the MAC is computed and compared all the same. Both verdicts are joined in one mask,
//!    and one branch looks at it ([`Opener::open`]). What is too short or no multiple of a block, which everybody sees,
//!    gets the same error, and rustls makes of it the one alert, 20 (`bad_record_mac`), and ends the connection: an
//!    attacker has one try for each handshake.
//!
//! AES must not look into tables at secret places either: the `aes` crate uses the processor's instructions, or a
//! bit-sliced form without tables. Each record begins with an unpredictable block of its own (TLS 1.2), so the BEAST of
//! TLS 1.0 has no place here.
//!
//! Masks pass through [`std::hint::black_box`], which keeps compilers from seeing that they are but two values; it
//! promises nothing. That is why the machine code is looked at, in three ways:
//!
//! ```text
//! cargo build --release -p saatkond --example cbc
//! valgrind --error-limit=no target/release/examples/cbc secrets   # every jump and address that depends on a secret
//! target/release/examples/cbc timing 2000000                      # do the three ways to fail differ in time?
//! objdump -d --no-show-raw-insn target/release/examples/cbc | less '+/cbc.*open'
//! ```
//!
//! Memcheck names three places, all in [`Opener`], at and after the one branch: the result, then whether an authentic content
//! is too long, then rustls cutting it out.
//!
//! Not hidden, since TLS does not hide it: how long a record is, and what the application does with its content. Encrypt-
//! then-MAC (RFC 7366) would make all this needless; rustls has no hook for it and the Java of unmodified servers none
//! either.

use super::random;
use aes::{Aes256Dec, Aes256Enc};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use ring::hmac;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::crypto::tls12::Prf;
use rustls::crypto::{ActiveKeyExchange, CipherSuiteCommon, KeyExchangeAlgorithm, ring as provider};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite,
};
use sha2::block_api::compress512;
use std::hint::black_box;
use std::iter;
use std::ops::Range;
use zeroize::Zeroize;

/// Bytes of an AES block, and of the block each record begins with.
const BLOCK: usize = 16;
/// Bytes of an AES-256 key.
const KEY: usize = 32;
/// Bytes of HMAC-SHA-384.
const MAC: usize = 48;
/// Bytes of a padding at most: its length byte, and as many before it as that can say.
const PADDING_MAX: usize = 256;
/// Bytes before the content that the MAC covers: sequence number, type, version, length. Spec: RFC 5246 §6.2.3.1.
const HEADER: usize = 13;
/// Bytes of a block of SHA-384, and of its closing length field.
const HASHED: usize = 128;
/// Bytes of the length field that closes the last block of SHA-384.
const LENGTH_FIELD: usize = 16;
/// Bytes of content in a record. Spec: RFC 5246 §6.2.1.
const CONTENT_MAX: usize = 1 << 14;
/// Records under one key, as with the GCM suites: 256 GiB of bulk, far from where CBC's blocks begin to repeat.
const RECORDS_MAX: u64 = 1 << 24;

/// The two suites.
pub(super) static SUITES: [SupportedCipherSuite; 2] =
    [SupportedCipherSuite::Tls12(&ECDSA), SupportedCipherSuite::Tls12(&RSA)];

/// Whether a suite is one of unmodified X-Road 7 servers, carried here or not.
#[must_use]
pub(super) const fn is_stock(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
            | CipherSuite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256
    )
}

static RSA: Tls12CipherSuite = suite(
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
    of_ring(&provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
);
static ECDSA: Tls12CipherSuite = suite(
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
    of_ring(&provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
);
/// Where the pseudo-random function comes from: ring's, over SHA-384.
static PRF: &Tls12CipherSuite = of_ring(&provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);

#[expect(
    clippy::panic,
    reason = "looked at by the compiler: it does not build with a suite of another version"
)]
const fn of_ring(suite: &'static SupportedCipherSuite) -> &'static Tls12CipherSuite {
    match suite {
        SupportedCipherSuite::Tls12(suite) => suite,
        SupportedCipherSuite::Tls13(_) => panic!("a suite of TLS 1.3"),
    }
}

/// A suite that is like one of ring's in all but how records are sealed.
const fn suite(name: CipherSuite, like: &'static Tls12CipherSuite) -> Tls12CipherSuite {
    Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: name,
            hash_provider: like.common.hash_provider,
            confidentiality_limit: RECORDS_MAX,
        },
        prf_provider: &KeyBlock,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: like.sign,
        aead_alg: &Records,
    }
}

//------------ keys ----------------------------------------------------------

/// The pseudo-random function of TLS 1.2, with the key block in the order that rustls cuts it.
///
/// The block of these suites is two MAC keys, then two encryption keys (RFC 5246 §6.3); rustls knows of AEAD only, and
/// cuts two keys, then two IVs. The MAC key travels in the place of the IV.
struct KeyBlock;

impl Prf for KeyBlock {
    fn for_key_exchange(
        &self,
        output: &mut [u8; 48],
        kx: Box<dyn ActiveKeyExchange>,
        peer_pub_key: &[u8],
        label: &[u8],
        seed: &[u8],
    ) -> Result<(), Error> {
        PRF.prf_provider.for_key_exchange(output, kx, peer_pub_key, label, seed)
    }

    fn for_secret(&self, output: &mut [u8], secret: &[u8], label: &[u8], seed: &[u8]) {
        PRF.prf_provider.for_secret(output, secret, label, seed);
        if label == b"key expansion" && output.len() == 2 * MAC + 2 * KEY {
            output.rotate_left(2 * MAC);
        }
    }
}

/// Seals and opens records.
struct Records;

impl Tls12AeadAlgorithm for Records {
    fn encrypter(&self, key: AeadKey, iv: &[u8], _extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Sealer::new(&bytes_of(&key), iv))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Opener::new(&bytes_of(&key), iv))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: KEY, fixed_iv_len: MAC, explicit_nonce_len: 0 }
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: &[u8],
        _explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// The 32 bytes of a key, which [`KeyBlockShape`] asks for.
fn bytes_of(key: &AeadKey) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes.iter_mut().zip(key.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// What the MAC covers before the content. `length` may be secret.
fn header(number: u64, typ: ContentType, version: ProtocolVersion, length: u64) -> [u8; HEADER] {
    let [n0, n1, n2, n3, n4, n5, n6, n7] = number.to_be_bytes();
    let [v0, v1] = u16::from(version).to_be_bytes();
    let [.., l0, l1] = length.to_be_bytes();
    [n0, n1, n2, n3, n4, n5, n6, n7, typ.into(), v0, v1, l0, l1]
}

//------------ Sealer --------------------------------------------------------

/// Seals records: all lengths are public here, so ring's HMAC serves.
struct Sealer {
    cipher: Aes256Enc,
    mac: hmac::Key,
}

impl Sealer {
    fn new(key: &[u8; KEY], mac_key: &[u8]) -> Self {
        Self { cipher: Aes256Enc::new(key.into()), mac: hmac::Key::new(hmac::HMAC_SHA384, mac_key) }
    }
}

/// Bytes of the shortest padding, length byte included.
const fn padding_after(content: usize) -> usize {
    BLOCK - (content + MAC) % BLOCK
}

impl MessageEncrypter for Sealer {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = message.payload.len();
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        let iv = random::bytes::<BLOCK>().map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&iv);
        payload.extend_from_chunks(&message.payload);

        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(&header(number, message.typ, message.version, length as u64));
        mac.update(payload.as_ref().get(BLOCK..).ok_or(Error::EncryptError)?);
        payload.extend_from_slice(mac.sign().as_ref());

        let padding = padding_after(length);
        let says = u8::try_from(padding - 1).map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice([says; BLOCK].get(..padding).ok_or(Error::EncryptError)?);

        let body = payload.as_mut().get_mut(BLOCK..).ok_or(Error::EncryptError)?;
        let (blocks, _) = Array::slice_as_chunks_mut(body);
        cbc::Encryptor::inner_iv_init(&self.cipher, &iv.into()).encrypt_blocks(blocks);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, content: usize) -> usize {
        BLOCK + content + MAC + padding_after(content)
    }
}

//------------ Opener --------------------------------------------------------

/// Opens records.
struct Opener {
    cipher: Aes256Dec,
    mac: Mac,
}

impl MessageDecrypter for Opener {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let (typ, version) = (message.typ, message.version);
        let content = self.open(&mut message.payload, |length| header(number, typ, version, length));
        // How long the content is, is secret to this line: from here on the record is authentic.
        let content = content.ok_or(Error::DecryptError)?;
        if content.len() > CONTENT_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(content))
    }
}

impl Opener {
    fn new(key: &[u8; KEY], mac_key: &[u8]) -> Self {
        Self { cipher: Aes256Dec::new(key.into()), mac: Mac::new(mac_key) }
    }

    /// Decrypts a record in place and says where its content is, or that it is none; the one answer to all that is
    /// wrong. `header` makes what the MAC covers before a content of that length.
    fn open(&self, record: &mut [u8], header: impl Fn(u64) -> [u8; HEADER]) -> Option<Range<usize>> {
        // Public: everybody on the way sees the length.
        let (iv, body) = record.split_first_chunk_mut::<BLOCK>()?;
        if body.len() <= MAC || !body.len().is_multiple_of(BLOCK) {
            return None;
        }
        let (blocks, _) = Array::slice_as_chunks_mut(&mut *body);
        cbc::Decryptor::inner_iv_init(&self.cipher, &(*iv).into()).decrypt_blocks(blocks);

        let (padding_holds, padding) = padding(body);
        let length = body.len() as u64 - MAC as u64 - (padding_holds & padding);
        let computed = self.mac.of_hidden_length(&header(length), body, length);
        let received = received_mac(body, length);
        let differs = computed.iter().zip(received).fold(0, |differs, (a, b)| differs | (a ^ b));

        // The one branch on the one result.
        let holds = padding_holds & is_equal(u64::from(differs), 0);
        if holds == 0 {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        Some(BLOCK..BLOCK + length)
    }
}

/// Whether a decrypted body ends in a padding (as a mask), and the bytes of that padding; more than 0 when it does not.
fn padding(body: &[u8]) -> (u64, u64) {
    let says = u64::from(body.last().copied().unwrap_or_default());
    // Padding, its length byte and a MAC must fit.
    let fits = !is_below(body.len() as u64, says + 1 + MAC as u64);
    let mut wrong = 0;
    for (place, byte) in (0..PADDING_MAX as u64).zip(body.iter().rev()) {
        let is_padding = !is_below(says, place);
        wrong |= is_padding & (u64::from(*byte) ^ says);
    }
    (fits & is_equal(wrong, 0), says + 1)
}

/// The MAC that begins at the secret place `start` of a decrypted body.
fn received_mac(body: &[u8], start: u64) -> [u8; MAC] {
    let places = body.len().min(MAC + PADDING_MAX);
    let first = body.len() - places;
    let (mut turned, mut by) = ([0; MAC], 0);
    let mut at = first as u64;
    for piece in body.get(first..).unwrap_or_default().chunks(MAC) {
        for ((slot, kept), byte) in (0..).zip(&mut turned).zip(piece) {
            let is_inside = !is_below(at, start) & is_below(at, start + MAC as u64);
            *kept |= byte & low(is_inside);
            by |= slot & is_equal(at, start);
            at += 1;
        }
    }
    // The MAC's first byte stands in slot `by`, and the rest after it, around the end.
    for bit in 0..u64::BITS - (MAC as u64).leading_zeros() {
        let is_turned = ones_if_top(by << (u64::BITS - 1 - bit));
        let mut further = turned;
        further.rotate_left(1 << bit);
        for (byte, other) in turned.iter_mut().zip(further) {
            *byte ^= (*byte ^ other) & low(is_turned);
        }
    }
    turned
}

//------------ Mac -----------------------------------------------------------

/// HMAC-SHA-384 over contents whose length is secret. Spec: RFC 2104, FIPS 180-4.
struct Mac {
    /// SHA-384 after the key's inner block.
    inner: [u64; 8],
    /// SHA-384 after the key's outer block.
    outer: [u64; 8],
}

impl Drop for Mac {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl Mac {
    /// What SHA-384 begins with. Spec: FIPS 180-4 §5.3.4.
    const START: [u64; 8] = [
        0xcbbb_9d5d_c105_9ed8,
        0x629a_292a_367c_d507,
        0x9159_015a_3070_dd17,
        0x152f_ecd8_f70e_5939,
        0x6733_2667_ffc0_0b31,
        0x8eb4_4a87_6858_1511,
        0xdb0c_2e0d_64f9_8fa7,
        0x47b5_481d_befa_4fa4,
    ];

    /// From a key of at most one block.
    fn new(key: &[u8]) -> Self {
        let after = |pad: u8| {
            let mut block = [pad; HASHED];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = Self::START;
            compress512(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self { inner: after(0x36), outer: after(0x5c) }
    }

    /// The MAC over `header` and the first `length` bytes of `body`; what follows these is a MAC and a padding.
    ///
    /// `length` is secret; it lies within [`PADDING_MAX`] below `body.len()` − [`MAC`].
    fn of_hidden_length(&self, header: &[u8; HEADER], body: &[u8], length: u64) -> [u8; MAC] {
        // Public: between how many bytes and how many, all told.
        let most = HEADER + body.len() - MAC;
        let least = HEADER + body.len().saturating_sub(MAC + PADDING_MAX);
        let mut state = self.inner;

        // Blocks that are whole whatever the length is.
        let whole = least / HASHED;
        let mut stream = header.iter().chain(body).copied().chain(iter::repeat(0));
        if whole > 0 {
            let mut first = [0; HASHED];
            first.iter_mut().zip(stream.by_ref()).for_each(|(to, from)| *to = from);
            compress512(&mut state, &[first]);
            let (blocks, _) = body.get(HASHED - HEADER..).unwrap_or_default().as_chunks();
            compress512(&mut state, blocks.get(..whole - 1).unwrap_or_default());
            stream = header.iter().chain(body).copied().chain(iter::repeat(0));
            stream.by_ref().nth(whole * HASHED - 1);
        }

        // Blocks that may be the last, or beyond it.
        let told = HEADER as u64 + length;
        let last = (told + LENGTH_FIELD as u64) / HASHED as u64;
        let bits = (u128::from(told) + HASHED as u128) * 8;
        let mut digest = [0; MAC / 8];
        for number in whole..=(most + LENGTH_FIELD) / HASHED {
            let is_last = is_equal(number as u64, last);
            let mut block = [0; HASHED];
            for ((at, byte), read) in ((number * HASHED) as u64..).zip(&mut block).zip(stream.by_ref()) {
                *byte = (read & low(is_below(at, told))) | (0x80 & low(is_equal(at, told)));
            }
            let field = block.iter_mut().skip(HASHED - LENGTH_FIELD).zip(bits.to_be_bytes());
            field.for_each(|(byte, length)| *byte |= length & low(is_last));
            compress512(&mut state, &[block]);
            digest.iter_mut().zip(state).for_each(|(kept, word)| *kept |= word & is_last);
        }
        self.close(&digest)
    }

    /// The outer hash over the inner one.
    fn close(&self, inner: &[u64; MAC / 8]) -> [u8; MAC] {
        let mut block = [0; HASHED];
        let bits = ((HASHED + MAC) as u128 * 8).to_be_bytes();
        let mark = [0x80; 1];
        let zeros = [0; HASHED - MAC - 1 - LENGTH_FIELD];
        let digest = inner.iter().flat_map(|word| word.to_be_bytes());
        let told = digest.chain(mark).chain(zeros).chain(bits);
        block.iter_mut().zip(told).for_each(|(to, from)| *to = from);
        let mut state = self.outer;
        compress512(&mut state, &[block]);
        let mut mac = [0; MAC];
        let bytes = state.iter().flat_map(|word| word.to_be_bytes());
        mac.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        mac
    }
}

//------------ masks ---------------------------------------------------------

/// All ones when the top bit is set, else zero.
#[inline(always)]
fn ones_if_top(value: u64) -> u64 {
    black_box((value >> (u64::BITS - 1)).wrapping_neg())
}

/// All ones when `a` < `b`, else zero; both below 2⁶³.
#[inline(always)]
fn is_below(a: u64, b: u64) -> u64 {
    ones_if_top(a.wrapping_sub(b))
}

/// All ones when `a` = `b`, else zero.
#[inline(always)]
fn is_equal(a: u64, b: u64) -> u64 {
    let differs = a ^ b;
    !ones_if_top(differs | differs.wrapping_neg())
}

/// A mask for bytes.
#[inline(always)]
const fn low(mask: u64) -> u8 {
    mask.to_le_bytes()[0]
}

#[cfg(test)]
mod tests;
