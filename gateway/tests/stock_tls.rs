//! TLS as unmodified X-Road 7 servers speak it, against OpenSSL and against Java's own, both ways.
//!
//! Without `openssl` or `javac` the tests that need them say that they skip; under `SAATKOND_REQUIRE=all` that is a
//! failure. `SAATKOND_RECORDS` is how many records go each way in a test that counts them (500 if not said).

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what is wrong ends the test, and it says what it left out"
)]

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CipherSuite, ClientConfig, ClientConnection, Connection, Error, HandshakeKind,
    ProtocolVersion, ServerConfig, ServerConnection,
};
use saatkond::net::tls::{self, Peers};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

const RSA: CipherSuite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384;
const ECDSA: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384;
/// What X-Road lists. Spec: message-path §2.2.
const OPENSSL_SUITES: &str = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384";

fn records() -> usize {
    std::env::var("SAATKOND_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

/// Whether a program is here; says that the test skips if not.
fn is_here(program: &str, says: &str) -> bool {
    let here = Command::new(program).arg(says).output().is_ok_and(|output| output.status.success());
    if !here {
        assert!(std::env::var_os("SAATKOND_REQUIRE").is_none(), "{program} is required and not here");
        eprintln!("skipped: no {program}");
    }
    here
}

//------------ keys ----------------------------------------------------------

/// Keys and certificates that openssl made: an authority, one below it, and servers certified by that.
struct Bed(PathBuf);

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bed {
    fn make(name: &str) -> Option<Self> {
        if !is_here("openssl", "version") {
            return None;
        }
        let dir = std::env::temp_dir().join(format!("saatkond-stock-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let bed = Self(dir);
        std::fs::write(bed.path("ca.ext"), "basicConstraints=critical,CA:TRUE\n").unwrap();
        let usages = "keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth,serverAuth\n";
        std::fs::write(bed.path("leaf.ext"), usages).unwrap();
        bed.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -subj /CN=root -days 9",
        );
        bed.certified("middle", "rsa:2048", "root", "ca.ext");
        for (name, key) in [("rsa", "rsa:2048"), ("ec", "ec -pkeyopt ec_paramgen_curve:P-256")] {
            bed.certified(name, key, "middle", "leaf.ext");
            let [leaf, middle] =
                [name, "middle"].map(|n| std::fs::read(bed.path(&format!("{n}.crt"))).unwrap());
            std::fs::write(bed.path(&format!("{name}.chain")), [leaf, middle].concat()).unwrap();
            bed.openssl(&format!(
                "pkcs12 -export -inkey {name}.key -in {name}.chain -out {name}.p12 -passout pass:secret -name {name}"
            ));
        }
        Some(bed)
    }

    fn certified(&self, name: &str, key: &str, by: &str, extensions: &str) {
        self.openssl(&format!(
            "req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -extfile {extensions} -out {name}.crt -days 9"
        ));
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(words.split_whitespace()).current_dir(&self.0);
        command
    }

    fn openssl(&self, words: &str) -> Output {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn key(&self, name: &str) -> Arc<CertifiedKey> {
        let chain = CertificateDer::pem_file_iter(self.path(&format!("{name}.chain"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        let key = tls::provider().key_provider.load_private_key(key).unwrap();
        Arc::new(CertifiedKey::new(chain.map(Result::unwrap).collect(), key))
    }

    fn server_config(&self, name: &str, peers: Peers) -> Arc<ServerConfig> {
        let tickets = rustls::crypto::ring::Ticketer::new().unwrap();
        tls::from_gateways(self.key(name), tickets, Vec::new(), |_| true, peers).unwrap()
    }

    /// A client with these suites in this order, which trusts anybody.
    fn client_config(&self, name: &str, suites: &[CipherSuite]) -> Arc<ClientConfig> {
        let all = Peers::Stock.provider();
        let of_name = |name: &CipherSuite| all.cipher_suites.iter().find(|s| s.suite() == *name).copied();
        let cipher_suites = suites.iter().filter_map(of_name).collect();
        let provider = CryptoProvider { cipher_suites, ..(*all).clone() };
        let like = tls::to_gateways(self.key(name), Peers::Stock);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(anybody::Anybody));
        Arc::new(builder.with_client_cert_resolver(Arc::clone(&like.client_auth_cert_resolver)))
    }
}

/// Trusts anybody.
mod anybody {
    use super::*;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::{DigitallySignedStruct, SignatureScheme};

    #[derive(Debug)]
    pub(super) struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            tls::provider().signature_verification_algorithms.supported_schemes()
        }
    }
}

//------------ who echoes ----------------------------------------------------

/// What our server saw of one connection.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: HandshakeKind,
    suite: CipherSuite,
    certificates: usize,
}

/// Serves so many connections: each record back as it came, behind its length; a length of 0 ends it, as does the end.
fn echo(config: Arc<ServerConfig>, connections: usize) -> (u16, thread::JoinHandle<Vec<io::Result<Seen>>>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    let one = move |tcp: &mut TcpStream| {
        tcp.set_nodelay(true)?;
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, tcp);
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() && length != [0; 4] {
            let mut record = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut record)?;
            stream.write_all(&record)?;
        }
        stream.conn.send_close_notify();
        while stream.conn.wants_write() {
            stream.conn.write_tls(stream.sock)?;
        }
        let failed = || io::Error::other("no handshake");
        if stream.conn.is_handshaking() {
            return Err(failed());
        }
        Ok(Seen {
            kind: stream.conn.handshake_kind().ok_or_else(failed)?,
            suite: stream.conn.negotiated_cipher_suite().ok_or_else(failed)?.suite(),
            certificates: stream.conn.peer_certificates().unwrap_or_default().len(),
        })
    };
    let served = thread::spawn(move || {
        (0..connections).map(|_| one(&mut door.accept().unwrap().0)).collect::<Vec<_>>()
    });
    (port, served)
}

/// Sizes as they come: as many small as large.
fn sizes() -> impl Iterator<Item = usize> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bits = random >> 60;
        1 + usize::try_from((random >> 20) % (1 << bits.min(14))).unwrap()
    })
}

/// Says records and expects each back.
fn speak(
    config: &Arc<ClientConfig>,
    port: u16,
    records: impl Iterator<Item = usize>,
    framed: bool,
) -> (HandshakeKind, CipherSuite) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut tcp);
    for (number, size) in records.enumerate() {
        let record: Vec<u8> = (0..size).map(|at| u8::try_from((at + number) % 251).unwrap()).collect();
        if framed {
            stream.write_all(&u32::try_from(size).unwrap().to_be_bytes()).unwrap();
        }
        stream.write_all(&record).unwrap();
        let mut back = vec![0; size];
        stream.read_exact(&mut back).unwrap();
        assert!(back == record, "record {number} of {size} bytes came back otherwise");
    }
    if framed {
        stream.write_all(&[0; 4]).unwrap();
    }
    let seen =
        (stream.conn.handshake_kind().unwrap(), stream.conn.negotiated_cipher_suite().unwrap().suite());
    stream.conn.send_close_notify();
    let _ = stream.conn.write_tls(stream.sock);
    seen
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//------------ OpenSSL -------------------------------------------------------

fn s_client(bed: &Bed, port: u16, name: &str, more: &str) -> Command {
    bed.command(&format!(
        "s_client -connect 127.0.0.1:{port} -tls1_2 -cipher {OPENSSL_SUITES} -key {name}.key -cert {name}.crt \
         -cert_chain middle.crt {more}"
    ))
}

#[test]
fn an_openssl_client_is_served_with_either_key() {
    let Some(bed) = Bed::make("s_client") else { return };
    for (ours, suite) in [("rsa", RSA), ("ec", ECDSA)] {
        for theirs in ["rsa", "ec"] {
            let (port, served) = echo(bed.server_config(ours, Peers::Stock), 1);
            let mut command = s_client(&bed, port, theirs, "-quiet -nocommands");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = Process(command.spawn().unwrap());
            let (mut to, mut from) = (child.0.stdin.take().unwrap(), child.0.stdout.take().unwrap());
            for size in sizes().take(records() / 4) {
                let record: Vec<u8> = (0..size).map(|at| u8::try_from(at % 249).unwrap()).collect();
                to.write_all(&u32::try_from(size).unwrap().to_be_bytes()).unwrap();
                to.write_all(&record).unwrap();
                let mut back = vec![0; size];
                from.read_exact(&mut back).unwrap();
                assert!(back == record, "{size} bytes came back otherwise");
            }
            to.write_all(&[0; 4]).unwrap();
            let seen = served.join().unwrap().remove(0).unwrap();
            assert_eq!(seen, Seen { kind: HandshakeKind::Full, suite, certificates: 2 }, "{ours} {theirs}");
        }
    }
}

#[test]
fn an_openssl_client_resumes_by_ticket_and_by_id_and_is_still_known() {
    let Some(bed) = Bed::make("resume") else { return };
    for more in ["-reconnect", "-reconnect -no_ticket"] {
        let (port, served) = echo(bed.server_config("rsa", Peers::Stock), 6);
        let output = s_client(&bed, port, "ec", more).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            text.matches("Reused, TLSv1.2, Cipher is ECDHE-RSA-AES256-SHA384").count(),
            5,
            "{more}: {text}"
        );
        let seen: Vec<Seen> = served.join().unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(seen.iter().filter(|s| s.kind == HandshakeKind::Resumed).count(), 5, "{seen:?}");
        assert!(seen.iter().all(|s| s.certificates == 2), "{seen:?}");
    }
}

#[test]
fn an_openssl_client_does_not_renegotiate() {
    let Some(bed) = Bed::make("renegotiate") else { return };
    let (port, served) = echo(bed.server_config("rsa", Peers::Stock), 1);
    let mut command = s_client(&bed, port, "rsa", "");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    let _ = served.join().unwrap();
}

#[test]
fn what_we_do_not_speak_gets_an_alert() {
    let Some(bed) = Bed::make("alerts") else { return };
    let modern = "-tls1_2 -cipher ECDHE-RSA-AES256-SHA384";
    for (peers, offer, alert) in [
        (Peers::Stock, "-tls1_2 -cipher DHE-RSA-AES256-SHA256", "handshake failure"),
        (Peers::Stock, "-tls1_2 -cipher AES256-SHA", "handshake failure"),
        (Peers::Stock, "-tls1_2 -cipher ECDHE-RSA-AES256-SHA", "handshake failure"),
        // X-Road says protocol version.
        (Peers::Stock, "-tls1_1 -cipher ALL:@SECLEVEL=0", "handshake failure"),
        (Peers::Modern, modern, "protocol version"),
    ] {
        let (port, served) = echo(bed.server_config("rsa", peers), 1);
        let mut command = bed.command(&format!("s_client -connect 127.0.0.1:{port} {offer}"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(alert), "{offer}: {said}");
        assert!(served.join().unwrap().remove(0).is_err());
    }
    let (port, served) = echo(bed.server_config("rsa", Peers::Stock), 1);
    let none = format!("s_client -connect 127.0.0.1:{port} {modern}");
    let output = bed.command(&none).stdin(Stdio::null()).output().unwrap();
    // X-Road says handshake failure.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("SSL alert number 116"), "{said}");
    assert!(served.join().unwrap().remove(0).is_err(), "a caller without a certificate");
}

#[test]
fn authorities_are_named_and_an_unregistered_certificate_gets_the_alert_of_x_road() {
    let Some(bed) = Bed::make("registered") else { return };
    let tickets = rustls::crypto::ring::Ticketer::new().unwrap();
    // CN=root, as DER.
    let root = b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04root".to_vec();
    let config = tls::from_gateways(bed.key("rsa"), tickets, vec![root], |_| false, Peers::Stock).unwrap();
    let (port, served) = echo(config, 1);
    let output = s_client(&bed, port, "rsa", "").stdin(Stdio::null()).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("SSL alert number 46"), "{said}");
    assert!(told.contains("Acceptable client certificate CA names\nCN = root\n"), "{told}");
    assert!(served.join().unwrap().remove(0).is_err());
}

#[test]
fn a_server_that_speaks_only_tls_1_2_is_known_by_its_alert() {
    let Some(bed) = Bed::make("modern") else { return };
    let (port, _server) = s_server(&bed, "rsa", "-quiet");
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let config = tls::to_gateways(bed.key("rsa"), Peers::Modern);
    let mut connection = ClientConnection::new(config, name).unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let error = connection.complete_io(&mut tcp).unwrap_err();
    assert!(tls::may_be_stock(&error), "{error:?}");
    assert!(!tls::may_be_stock(&io::Error::from(io::ErrorKind::ConnectionReset)));
}

/// An s_server.
fn s_server(bed: &Bed, name: &str, more: &str) -> (u16, Process) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = bed.command(&format!(
        "s_server -accept 127.0.0.1:{port} -tls1_2 -cipher {OPENSSL_SUITES} -key {name}.key -cert {name}.crt \
         -cert_chain middle.crt -Verify 3 {more}"
    ));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let server = Process(command.spawn().unwrap());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        thread::yield_now();
    }
    (port, server)
}

/// Lets an s_server say what it hears.
fn echoes(server: &mut Process) {
    let (mut to, mut from) = (server.0.stdin.take().unwrap(), server.0.stdout.take().unwrap());
    thread::spawn(move || {
        let mut heard = vec![0; 1 << 14];
        while let Ok(length) = from.read(&mut heard) {
            if length == 0 || to.write_all(&heard[..length]).is_err() {
                return;
            }
        }
    });
}

#[test]
fn an_openssl_server_that_wants_to_renegotiate_is_refused() {
    let Some(bed) = Bed::make("renegotiating") else { return };
    let (port, mut server) = s_server(&bed, "rsa", "");
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(tls::to_gateways(bed.key("rsa"), Peers::Stock), name).unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.complete_io(&mut tcp).unwrap();
    server.0.stdin.as_mut().unwrap().write_all(b"r\n").unwrap();
    let error = rustls::Stream::new(&mut client, &mut tcp).read(&mut [0]).unwrap_err();
    let alert = error.get_ref().and_then(|error| error.downcast_ref());
    assert_eq!(alert, Some(&Error::AlertReceived(AlertDescription::HandshakeFailure)), "{error}");
}

#[test]
fn an_openssl_server_is_asked_with_either_key_and_resumed() {
    let Some(bed) = Bed::make("s_server") else { return };
    for (theirs, suite) in [("rsa", RSA), ("ec", ECDSA)] {
        for ours in ["rsa", "ec"] {
            let (port, mut server) = s_server(&bed, theirs, "-quiet");
            echoes(&mut server);
            let config = tls::to_gateways(bed.key(ours), Peers::Stock);
            let first = speak(&config, port, sizes().take(records() / 4), false);
            assert_eq!(first, (HandshakeKind::Full, suite), "{ours} {theirs}");
            let second = speak(&config, port, sizes().take(3), false);
            assert_eq!(second, (HandshakeKind::Resumed, suite), "{ours} {theirs}");
        }
    }
}

//------------ Java ----------------------------------------------------------

/// The Java program, compiled.
fn java(bed: &Bed) -> bool {
    if !is_here("javac", "-version") || !is_here("java", "-version") {
        return false;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock/StockPeer.java");
    let output = Command::new("javac").arg("-d").arg(&bed.0).arg(source).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn stock_peer(bed: &Bed) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(&bed.0).arg("StockPeer").current_dir(&bed.0);
    command
}

#[test]
fn a_java_client_is_served_with_either_key_and_resumed() {
    let Some(bed) = Bed::make("java-client") else { return };
    if !java(&bed) {
        return;
    }
    for (ours, suite) in [("rsa", RSA), ("ec", ECDSA)] {
        for theirs in ["rsa", "ec"] {
            let (port, served) = echo(bed.server_config(ours, Peers::Stock), 4);
            let mut command = stock_peer(&bed);
            command.args(["client", &port.to_string(), &format!("{theirs}.p12"), "4"]);
            let output = command.args([(records() / 4).to_string(), "1".to_owned()]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let seen: Vec<Seen> = served.join().unwrap().into_iter().map(Result::unwrap).collect();
            assert!(seen.iter().all(|s| s.suite == suite && s.certificates == 2), "{seen:?}");
            let resumed = seen.iter().filter(|s| s.kind == HandshakeKind::Resumed).count();
            assert_eq!(resumed, 3, "{seen:?}");
        }
    }
}

#[test]
fn a_java_server_is_asked_with_either_key_and_resumed() {
    let Some(bed) = Bed::make("java-server") else { return };
    if !java(&bed) {
        return;
    }
    for (theirs, suite) in [("rsa", RSA), ("ec", ECDSA)] {
        for ours in ["rsa", "ec"] {
            let mut command = stock_peer(&bed);
            command.args(["server", &format!("{theirs}.p12"), "4"]).stdout(Stdio::piped());
            let mut server = Process(command.spawn().unwrap());
            let mut port = String::new();
            BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
            let port = port.trim().parse().unwrap();
            let config = tls::to_gateways(bed.key(ours), Peers::Stock);
            let seen: Vec<_> =
                (0..4).map(|_| speak(&config, port, sizes().take(records() / 4), true)).collect();
            assert!(seen.iter().all(|(_, s)| *s == suite), "{seen:?}");
            let resumed = seen.iter().filter(|(kind, _)| *kind == HandshakeKind::Resumed).count();
            assert_eq!(resumed, 3, "{ours} {theirs}: {seen:?}");
        }
    }
}

//------------ between ourselves ---------------------------------------------

/// A client and a server of ours with nothing between them.
struct Pair {
    client: Connection,
    server: Connection,
}

impl Pair {
    fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Self {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let client = ClientConnection::new(Arc::clone(client), name).unwrap().into();
        Self { client, server: ServerConnection::new(Arc::clone(server)).unwrap().into() }
    }

    fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
        let mut wire = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut wire).unwrap();
        }
        hear(to, &wire)
    }

    fn shake(&mut self) -> Result<(), Error> {
        while self.client.is_handshaking() || self.server.is_handshaking() {
            Self::carry(&mut self.client, &mut self.server)?;
            Self::carry(&mut self.server, &mut self.client)?;
        }
        Ok(())
    }
}

fn hear(to: &mut Connection, mut wire: &[u8]) -> Result<(), Error> {
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn what_is_better_goes_before_cbc_whatever_a_client_lists_first() {
    let Some(bed) = Bed::make("order") else { return };
    let server = bed.server_config("rsa", Peers::Stock);
    let gcm = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    let mut pair = Pair::new(&bed.client_config("rsa", &[RSA, gcm]), &server);
    pair.shake().unwrap();
    assert_eq!(pair.server.negotiated_cipher_suite().unwrap().suite(), gcm);
    let mut pair = Pair::new(&tls::to_gateways(bed.key("ec"), Peers::Stock), &server);
    pair.shake().unwrap();
    assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_3), "gateways of one kind");
}

#[test]
fn only_the_door_for_gateways_takes_these_suites() {
    let Some(bed) = Bed::make("doors") else { return };
    let client = bed.client_config("rsa", &[RSA, ECDSA]);
    assert!(Pair::new(&client, &bed.server_config("rsa", Peers::Stock)).shake().is_ok());
    let others =
        [bed.server_config("rsa", Peers::Modern), tls::from_information_systems(bed.key("rsa")).unwrap()];
    for server in others {
        assert!(matches!(Pair::new(&client, &server).shake(), Err(Error::PeerIncompatible(_))));
    }
    let stock = |suite: &rustls::SupportedCipherSuite| [RSA, ECDSA].contains(&suite.suite());
    let to_services = tls::to_services(None);
    assert!(!to_services.crypto_provider().cipher_suites.iter().any(stock));
    assert!(
        !tls::to_gateways(bed.key("rsa"), Peers::Modern).crypto_provider().cipher_suites.iter().any(stock)
    );
}

/// How a record was spoiled, and what does it.
struct Spoiled(&'static str, fn(&mut Vec<u8>));

#[test]
fn altered_and_truncated_records_end_in_one_alert_and_one_error() {
    let Some(bed) = Bed::make("altered") else { return };
    let (client, server) = (bed.client_config("rsa", &[RSA]), bed.server_config("rsa", Peers::Stock));
    let spoiled = [
        Spoiled("first block", |record| record[5] ^= 1),
        Spoiled("content", |record| record[30] ^= 0x80),
        Spoiled("MAC", |record| record[5 + 16 + 101] ^= 1),
        Spoiled("padding", |record| *record.iter_mut().nth_back(20).unwrap() ^= 0x40),
        Spoiled("last byte", |record| *record.last_mut().unwrap() ^= 1),
        Spoiled("a block less", |record| record.truncate(record.len() - 16)),
        Spoiled("all but one block less", |record| record.truncate(5 + 16)),
        Spoiled("four blocks, too few", |record| record.truncate(5 + 64)),
        Spoiled("no whole block", |record| record.truncate(record.len() - 1)),
        Spoiled("nothing", |record| record.truncate(5)),
    ];
    for Spoiled(what, spoil) in spoiled {
        let mut pair = Pair::new(&client, &server);
        pair.shake().unwrap();
        pair.client.writer().write_all(&[b'x'; 100]).unwrap();
        let mut record = Vec::new();
        pair.client.write_tls(&mut record).unwrap();
        spoil(&mut record);
        let length = u16::try_from(record.len() - 5).unwrap();
        record[3..5].copy_from_slice(&length.to_be_bytes());
        assert_eq!(hear(&mut pair.server, &record), Err(Error::DecryptError), "{what}");
        let heard = Pair::carry(&mut pair.server, &mut pair.client);
        assert_eq!(heard, Err(Error::AlertReceived(AlertDescription::BadRecordMac)), "{what}");
    }
}
