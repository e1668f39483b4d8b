//! Looks at how records of unmodified X-Road servers are opened: what it takes, and what that gives away.
//!
//! ```text
//! cargo build --release -p saatkond --example cbc
//! target/release/examples/cbc timing 2000000
//! target/release/examples/cbc speed
//! target/release/examples/cbc handshakes CHAIN.pem KEY.pem
//! valgrind --error-limit=no target/release/examples/cbc secrets
//! ```
//!
//! `timing` opens records of equal length that fail in different ways (and one that does not), in random order, and
//! prints Welch's t for each pair, over all times and below several percentiles (as dudect does): |t| that stays under
//! 4.5 and does not grow with the number of rounds shows no difference. The last lines time the code that everybody would
//! write first, so that one sees what a difference looks like.
//!
//! `handshakes` makes them between a client and a server with that certificate, in one thread, over these suites: full
//! ones and resumed ones.
//!
//! `secrets` is for valgrind: before records are opened, their bytes and the keys are marked as undefined, so that
//! memcheck reports each branch and each address that depends on them. One is right: the result.

#![expect(clippy::print_stdout, reason = "it is looked at")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what is wrong ends it")]

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, MessageDecrypter, OutboundPlainMessage, Tls12AeadAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, ContentType, DigitallySignedStruct, Error,
    HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite,
};
use saatkond::net::tls::{self, Peers};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY: [u8; 32] = [7; 32];
const MAC_KEY: [u8; 48] = [9; 48];
const TYPE: ContentType = ContentType::ApplicationData;
const VERSION: ProtocolVersion = ProtocolVersion::TLSv1_2;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["timing", rounds] => timing(rounds.parse().unwrap()),
        ["speed"] => speed(),
        ["handshakes", chain, key] => handshakes(chain, key),
        ["secrets"] => secrets::look(),
        _ => panic!("say timing ROUNDS, speed, handshakes CHAIN KEY or secrets"),
    }
}

fn suite() -> &'static dyn Tls12AeadAlgorithm {
    let name = CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384;
    let suites = &Peers::Stock.provider().cipher_suites;
    let found = suites.iter().find(|suite| suite.suite() == name);
    let Some(SupportedCipherSuite::Tls12(suite)) = found else { panic!("no {name:?}") };
    suite.aead_alg
}

fn opener() -> Box<dyn MessageDecrypter> {
    suite().decrypter(AeadKey::from(KEY), &MAC_KEY)
}

/// A record of `blocks` after its first, with so much padding, altered before it is encrypted.
fn record(blocks: usize, padding: usize, alter: impl FnOnce(&mut [u8])) -> Vec<u8> {
    use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
    let length = blocks * 16 - 48 - padding;
    let mut body = vec![0x61; length];
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA384, &MAC_KEY);
    let mut mac = ring::hmac::Context::with_key(&key);
    mac.update(&[0; 8]);
    mac.update(&[23, 3, 3]);
    mac.update(&u16::try_from(length).unwrap().to_be_bytes());
    mac.update(&body);
    body.extend_from_slice(mac.sign().as_ref());
    body.resize(blocks * 16, u8::try_from(padding - 1).unwrap());
    alter(&mut body);
    let (cells, _) = Array::slice_as_chunks_mut(&mut body);
    cbc::Encryptor::<aes::Aes256>::new(&KEY.into(), &[3; 16].into()).encrypt_blocks(cells);
    [vec![3; 16], body].concat()
}

fn flip(body: &mut [u8], from_end: usize) {
    let at = body.len() - from_end;
    body[at] ^= 1;
}

/// Records of one length, by what is in them. The first four fail.
fn classes(blocks: usize) -> Vec<(&'static str, Vec<u8>)> {
    let long = if blocks * 16 > 320 { 256 - 16 } else { 16 };
    vec![
        ("wrong MAC, padding 16", record(blocks, 16, |body| flip(body, 20))),
        ("wrong padding", record(blocks, 16, |body| flip(body, 2))),
        ("wrong MAC, long padding", record(blocks, long, |body| flip(body, long + 3))),
        ("padding longer than the record", record(blocks, 16, |body| body.fill(0xff))),
        ("valid, padding 16", record(blocks, 16, |_| {})),
        ("valid, long padding", record(blocks, long, |_| {})),
    ]
}

//------------ timing --------------------------------------------------------

/// Times of one class: count, mean, sum of squared differences.
#[derive(Clone, Copy, Default)]
struct Times(f64, f64, f64);

impl Times {
    fn add(&mut self, time: f64) {
        self.0 += 1.0;
        let before = time - self.1;
        self.1 += before / self.0;
        self.2 += before * (time - self.1);
    }

    fn t(&self, other: &Self) -> f64 {
        let spread = self.2 / (self.0 - 1.0) / self.0 + other.2 / (other.0 - 1.0) / other.0;
        (self.1 - other.1) / spread.sqrt()
    }
}

/// The largest |t| of two lists of times, over all and below percentiles that all share, and the difference of means.
fn largest_t(one: &[u32], other: &[u32]) -> (f64, f64) {
    let mut all: Vec<u32> = one.iter().chain(other).copied().collect();
    all.sort_unstable();
    let mut largest = (0.0_f64, 0.0);
    for percent in [25, 50, 75, 90, 95, 100] {
        let limit = all[(all.len() * percent / 100).saturating_sub(1)];
        let below = |times: &[u32]| {
            let mut kept = Times::default();
            times.iter().filter(|t| **t <= limit).for_each(|t| kept.add(f64::from(*t)));
            kept
        };
        let (a, b) = (below(one), below(other));
        let t = a.t(&b);
        if t.abs() > largest.0.abs() {
            largest = (t, a.1 - b.1);
        }
    }
    largest
}

/// Times of opening each record, in random order.
fn times(
    records: &[(&'static str, Vec<u8>)],
    rounds: usize,
    open: &mut dyn FnMut(&mut [u8]),
) -> Vec<Vec<u32>> {
    let mut times = vec![Vec::with_capacity(rounds); records.len()];
    let mut buffer = records.first().map(|(_, record)| record.clone()).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..rounds * records.len() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let class = usize::try_from(random >> 33).unwrap() % records.len();
        buffer.copy_from_slice(&records[class].1);
        let start = Instant::now();
        open(black_box(&mut buffer));
        let took = start.elapsed();
        if round > 1000 {
            times[class].push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
        }
    }
    times
}

fn timing(rounds: usize) {
    for blocks in [20, 64, 1027] {
        let rounds = if blocks > 500 { rounds / 10 } else { rounds };
        let records = classes(blocks);
        let mut opener = opener();
        let mut ours = |record: &mut [u8]| {
            let _ = black_box(opener.decrypt(InboundOpaqueMessage::new(TYPE, VERSION, record), 0)).is_ok();
        };
        println!("records of {} bytes, {rounds} rounds of each:", blocks * 16 + 16);
        table(&records, &times(&records, rounds, &mut ours));
        println!(" the naive code:");
        let failing = &records[..3];
        table(failing, &times(failing, rounds.min(50_000), &mut naive));
    }
}

fn table(records: &[(&'static str, Vec<u8>)], times: &[Vec<u32>]) {
    for (a, (name, _)) in records.iter().enumerate() {
        for (b, (other, _)) in records.iter().enumerate().skip(a + 1) {
            let (t, differ) = largest_t(&times[a], &times[b]);
            println!("  t {t:8.2} ({differ:+8.1} ns)  {name} / {other}");
        }
    }
}

/// What the RFC says, step by step: returns early, and hashes as much as the padding says.
fn naive(record: &mut [u8]) {
    use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};
    let (iv, body) = record.split_first_chunk_mut::<16>().unwrap();
    let (cells, _) = Array::slice_as_chunks_mut(&mut *body);
    cbc::Decryptor::<aes::Aes256>::new(&KEY.into(), &(*iv).into()).decrypt_blocks(cells);
    let says = body[body.len() - 1];
    let Some(content) = body.len().checked_sub(usize::from(says) + 49) else { return };
    if body[content + 48..].iter().any(|byte| *byte != says) {
        return;
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA384, &MAC_KEY);
    let _ = black_box(ring::hmac::verify(&key, &body[..content], &body[content..content + 48])).is_ok();
}

//------------ speed ---------------------------------------------------------

/// Sealing and opening 16 KiB records, one thread.
fn speed() {
    let mut sealer = suite().encrypter(AeadKey::from(KEY), &MAC_KEY, &[]);
    let content = vec![0x61; 16 * 1024];
    let seal = |number: u64| {
        let message = OutboundPlainMessage { typ: TYPE, version: VERSION, payload: content[..].into() };
        sealer.encrypt(message, number).unwrap()
    };
    println!("seal {:7.1} MB/s", rate(content.len(), seal));
    let sealed = record(1027, 48, |_| {});
    let mut opener = opener();
    let mut buffer = sealed.clone();
    let open = |_| {
        buffer.copy_from_slice(&sealed);
        let message = InboundOpaqueMessage::new(TYPE, VERSION, &mut buffer);
        opener.decrypt(message, 0).unwrap().payload.len()
    };
    println!("open {:7.1} MB/s", rate(content.len(), open));
}

/// Millions of `bytes` for each second that this thread had a processor, so that what else runs here does not count.
fn rate<T>(bytes: usize, mut work: impl FnMut(u64) -> T) -> f64 {
    let (start, before) = (Instant::now(), on_processor());
    let mut done = 0_u32;
    while start.elapsed() < Duration::from_secs(3) {
        black_box(work(u64::from(done)));
        done += 1;
    }
    f64::from(done) * f64::from(u32::try_from(bytes).unwrap()) / (on_processor() - before).as_secs_f64() / 1e6
}

/// How long this thread has had a processor. Linux only.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Mutual handshakes, both ends in this thread.
fn handshakes(chain: &str, key: &str) {
    let certificates = CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let key = tls::provider().key_provider.load_private_key(key).unwrap();
    let key = Arc::new(CertifiedKey::new(certificates, key));
    let tickets = rustls::crypto::ring::Ticketer::new().unwrap();
    let server = tls::from_gateways(Arc::clone(&key), tickets, Vec::new(), |_| true, Peers::Stock).unwrap();
    // A client that has nothing better.
    let mut provider = (*Peers::Stock.provider()).clone();
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("_CBC_"));
    let only = ClientConfig::builder_with_provider(Arc::new(provider));
    let only = only.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let only = only.dangerous().with_custom_certificate_verifier(Arc::new(Possession));
    let like = tls::to_gateways(key, Peers::Stock);
    let only = only.with_client_cert_resolver(Arc::clone(&like.client_auth_cert_resolver));
    for (what, resumption) in
        [("full", Resumption::disabled()), ("resumed", Resumption::in_memory_sessions(16))]
    {
        let mut client = only.clone();
        client.resumption = resumption;
        let client = Arc::new(client);
        shake(&client, &server);
        let one = |_| assert_eq!(format!("{:?}", shake(&client, &server)).to_lowercase(), what);
        println!("{what:8} {:8.0} handshakes/s, both ends", rate(1, one) * 1e6);
    }
}

/// Checks that a server has its key, as ours does.
#[derive(Debug)]
struct Possession;

impl ServerCertVerifier for Possession {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &tls::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> HandshakeKind {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = Connection::from(ClientConnection::new(Arc::clone(client), name).unwrap());
    let mut server = Connection::from(ServerConnection::new(Arc::clone(server)).unwrap());
    while client.is_handshaking() || server.is_handshaking() {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    let suite = server.negotiated_cipher_suite().unwrap().suite();
    assert!(format!("{suite:?}").contains("_CBC_"), "{suite:?}");
    server.handshake_kind().unwrap()
}

fn carry(from: &mut Connection, to: &mut Connection) {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).unwrap();
    }
    let mut wire = &wire[..];
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        to.process_new_packets().unwrap();
    }
}

//------------ secrets -------------------------------------------------------

/// For valgrind.
mod secrets {
    use super::{
        AeadKey, InboundOpaqueMessage, KEY, MAC_KEY, TYPE, VERSION, black_box, classes, record, suite,
    };

    /// Opens records of many lengths whose bytes valgrind takes for undefined.
    pub(super) fn look() {
        let mut opened = 0;
        for blocks in [4, 5, 8, 19, 20, 21, 40, 64, 1027] {
            let mut records = classes(blocks.max(6));
            if blocks < 6 {
                records = vec![("short", record(blocks, 16, |_| {}))];
            }
            for (name, record) in &mut records {
                let (mut key, mut mac_key) = (KEY, MAC_KEY);
                hide(&mut key);
                hide(&mut mac_key);
                hide(record);
                let mut opener = suite().decrypter(AeadKey::from(key), &mac_key);
                let message = InboundOpaqueMessage::new(TYPE, VERSION, record);
                opened += u32::from(opener.decrypt(message, 0).is_ok());
                let _ = black_box(&name);
            }
        }
        let _ = black_box(opened);
        println!("done");
    }

    /// Tells memcheck that bytes are undefined (`VALGRIND_MAKE_MEM_UNDEFINED`); nothing without valgrind.
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "valgrind hears requests as a sequence of instructions that does nothing")]
    fn hide(bytes: &mut [u8]) {
        let request = [0x4d43_0001_u64, bytes.as_mut_ptr() as u64, bytes.len() as u64, 0, 0, 0];
        // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself change nothing.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") request.as_ptr(), inout("rdx") 0_u64 => _, inout("rdi") 0_u64 => _,
            );
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hide(_bytes: &mut [u8]) {
        panic!("only on x86-64");
    }
}
