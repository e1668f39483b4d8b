//! Handshakes as two real X-Road 7.8.0 servers had them, held against ours.
//!
//! | recorded | played here |
//! |---|---|
//! | `*.txt`: what `openssl s_client` was told at the server's port, with various offers | the same offers at the port of our provider's gateway |
//! | `*.pcap`: three calls between the two Java servers | the hellos of the Java client, byte for byte; its offer is held against our client's, too |
//!
//! What comes of it must be what was recorded, or stand in [`listed`] with a reason. The port meets unmodified servers
//! (`tls.stock_peers`); a port that does not is tried with the same offers.

mod capture;
mod listed;
mod transcript;

use crate::Report;
use crate::bed::Alone;
use crate::compare::Difference;
use crate::recording::{Flavour, Recordings};
use capture::Offer;
use listed::DIFFERENCES;
use rustls::ClientConnection;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use saatkond::net::tls::{self, Peers};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Which way a handshake went.
const WAY: &str = "way";

/// What is known of a handshake, by name. What was not said is not there.
#[derive(Debug, Default)]
struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Notes what is told for the first time.
    fn note(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.entry(what.into()).or_insert_with(|| value.into());
    }

    /// Adds to a list.
    fn add(&mut self, what: &str, value: impl AsRef<str>) {
        let list = self.0.entry(what.to_owned()).or_default();
        list.push_str(if list.is_empty() { "" } else { ", " });
        list.push_str(value.as_ref());
    }

    fn of(&self, what: &str) -> &str {
        self.0.get(what).map_or("none", String::as_str)
    }

    /// What is otherwise in ours: of handshakes that went another way just that they did. Each difference is named by
    /// both values, so that a list of them is exact.
    fn differences(&self, ours: &Self) -> Vec<Difference> {
        let mut names: BTreeSet<&str> = self.0.keys().chain(ours.0.keys()).map(String::as_str).collect();
        if self.of(WAY) != ours.of(WAY) {
            names.retain(|name| *name == WAY);
        }
        let differing = names.into_iter().filter(|name| self.of(name) != ours.of(name));
        differing.map(|name| difference(name, self.of(name), ours.of(name))).collect()
    }
}

fn difference(name: &str, recorded: &str, ours: &str) -> Difference {
    let what = format!("{name}: {recorded}, ours {ours}");
    Difference { what, recorded: recorded.to_owned(), ours: ours.to_owned() }
}

/// The files about handshakes (two flavours have some), with the flavour and the name that a difference goes by.
fn files(recordings: &Recordings) -> Vec<(Flavour, String, PathBuf)> {
    let all = Flavour::ALL.into_iter().flat_map(|flavour| {
        let files = recordings.files(flavour, "tls").into_iter();
        files.map(move |file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            (flavour, format!("{}/tls/{name}", flavour.name()), file.clone())
        })
    });
    all.collect()
}

//------------ OpenSSL -------------------------------------------------------

/// With which words a transcript was made; nothing for a name that is not known.
fn offer(name: &str, keys: &Path, flavour: Flavour) -> Option<String> {
    let shown = |owner: &str| format!("-cert {0}/{owner}.crt -key {0}/{owner}.key", keys.display());
    let own = shown(&format!("{}-ss1-auth", flavour.name()));
    let offer = match name {
        "all-three" => {
            let suites = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384";
            format!("-tls1_2 -cipher {suites} {own}")
        }
        "curve-p256" => format!("-tls1_2 -curves P-256 {own}"),
        "curve-p521" => format!("-tls1_2 -curves P-521 {own}"),
        "curve-x25519" => format!("-tls1_2 -curves X25519 {own}"),
        "default" => format!("-tls1_2 {own}"),
        "default-any-version" => own,
        "dhe" => format!("-tls1_2 -cipher DHE-RSA-AES256-SHA256 {own}"),
        "ecdhe-ecdsa" => format!("-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384 {own}"),
        "ecdhe-rsa" => format!("-tls1_2 -cipher ECDHE-RSA-AES256-SHA384 {own}"),
        "gcm-only" => {
            format!("-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384 {own}")
        }
        "no-client-cert" => "-tls1_2".to_owned(),
        "no-ticket-reconnect" => format!("-tls1_2 -no_ticket -reconnect {own}"),
        "rogue-cert" => format!("-tls1_2 {}", shown("rogue-auth")),
        "sni" => format!("-tls1_2 -servername nowhere.example {own}"),
        "ticket-reconnect" => format!("-tls1_2 -reconnect {own}"),
        "tls11" => format!("-tls1_1 -cipher ALL:@SECLEVEL=0 {own}"),
        "tls13-only" => format!("-tls1_3 {own}"),
        _ => return None,
    };
    Some(offer)
}

/// Says it to a port, and reads what openssl makes of it.
async fn offered(to: SocketAddr, offer: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &to.to_string()]);
    if !offer.contains("-servername") {
        command.arg("-noservername");
    }
    let output = command.args(offer.split(' ')).stdin(Stdio::null()).output().await.unwrap();
    [output.stderr, output.stdout].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
}

/// Whether openssl is here; says so when not.
fn has_openssl() -> bool {
    let here = std::process::Command::new("openssl").arg("version").output();
    if here.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("SAATKOND_REQUIRE").is_none(), "openssl is required and not here");
    println!("skipped: no openssl");
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_is_what_was_recorded() {
    let Some(recordings) = Recordings::find().filter(|_| has_openssl()) else { return };
    assert!(recordings.files(Flavour::Int, "tls").is_empty(), "nothing is left out");
    let mut report = Report::holding(&DIFFERENCES);
    for flavour in [Flavour::Rsa, Flavour::Ec] {
        let port = Alone::open(&recordings, flavour, true).await;
        for (_, place, file) in files(&recordings).into_iter().filter(|(f, ..)| *f == flavour) {
            let found = match file.extension().and_then(|e| e.to_str()) {
                Some("txt") => {
                    let name = file.file_stem().unwrap().to_str().unwrap();
                    let offer = offer(name, &recordings.key(""), flavour);
                    let ours = offered(port.servers, &offer.expect("it is known what was offered")).await;
                    let recorded = std::fs::read_to_string(&file).unwrap();
                    transcript::read(&recorded).differences(&transcript::read(&ours))
                }
                Some("pcap") => captured(&recordings, port.servers, &std::fs::read(&file).unwrap()).await,
                // The words of people, and the keys of the capture.
                Some("json" | "keylog") => continue,
                _ => panic!("{place}: what is it?"),
            };
            report.add(&place, &place, found);
        }
        port.close().await;
    }
    report.close();
}

/// Not recorded, and told of in the source. Spec: message-path §2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intermediate_authority_is_shown_and_the_topmost_is_not() {
    let Some(recordings) = Recordings::find().filter(|_| has_openssl()) else { return };
    let port = Alone::open(&recordings, Flavour::Int, true).await;
    let offer = offer("all-three", &recordings.key(""), Flavour::Int).unwrap();
    let ours = transcript::read(&offered(port.servers, &offer).await);
    let chain = "C = FI, O = Member M2, CN = ss2.int.test, serialNumber = DEV/SS2/GOV, \
        O = DEV PKI, CN = DEV Intermediate CA";
    assert_eq!((ours.of(WAY), ours.of("chain")), ("TLSv1.2", chain));
    port.close().await;
}

//------------ the Java servers ----------------------------------------------

/// What is otherwise when the hellos of a capture are said to our port, and what our client does not offer.
async fn captured(recordings: &Recordings, to: SocketAddr, pcap: &[u8]) -> Vec<Difference> {
    let mut found = Vec::new();
    let ours = our_offer(recordings, Flavour::Rsa);
    for (number, connection) in (1..).zip(capture::connections(pcap, 5500)) {
        let recorded = capture::flight(&connection.server);
        let heard = capture::flight(&say(to, &connection.client).await);
        found.extend(recorded.differences(&heard).into_iter().map(|mut difference| {
            difference.what = format!("call {number}: {}", difference.what);
            difference
        }));
        let java = Offer::read(&connection.client);
        for (kind, java, ours) in [
            ("version", java.versions, &ours.versions),
            ("suite", java.suites, &ours.suites),
            ("group", java.groups, &ours.groups),
            ("scheme", java.schemes, &ours.schemes),
            ("extension", java.extensions, &ours.extensions),
        ] {
            let missing = java.difference(ours).filter(|_| number == 1);
            found.extend(missing.map(|n| difference(&format!("offer of {kind}"), &capture::hex(*n), "none")));
        }
    }
    found
}

/// Says the first record of a client to a port, and hears the server's flight.
async fn say(to: SocketAddr, client: &[u8]) -> Vec<u8> {
    let hello = 5 + usize::from(u16::from_be_bytes([client[3], client[4]]));
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&client[..hello]).await.unwrap();
    let mut heard = Vec::new();
    while !capture::is_whole(&heard) && stream.read_buf(&mut heard).await.unwrap() > 0 {}
    heard
}

/// What our client offers to other servers.
fn our_offer(recordings: &Recordings, flavour: Flavour) -> Offer {
    let file = |what: &str| recordings.key(&format!("{}-ss1-auth.{what}", flavour.name()));
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    let key = tls::provider().key_provider.load_private_key(key).unwrap();
    let certificate = CertificateDer::from_pem_file(file("crt")).unwrap();
    let config = tls::to_gateways(Arc::new(CertifiedKey::new(vec![certificate], key)), Peers::Stock);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut said = Vec::new();
    ClientConnection::new(config, name).unwrap().write_tls(&mut said).unwrap();
    Offer::read(&said)
}

/// What the recorded servers chose, our client offers: it is met by them.
#[test]
fn our_client_offers_what_real_servers_choose() {
    let Some(recordings) = Recordings::find() else { return };
    for flavour in Flavour::ALL {
        let offer = our_offer(&recordings, flavour);
        // renegotiation_info as a suite; supported_groups, ec_point_formats, extended_master_secret, session_ticket.
        assert!(offer.suites.contains(&0x00ff), "{offer:?}");
        assert!([10, 11, 23, 35].iter().all(|extension| offer.extensions.contains(extension)), "{offer:?}");
        assert!(offer.versions.contains(&0x0303), "{offer:?}");
        for (_, place, file) in files(&recordings).into_iter().filter(|(f, ..)| *f == flavour) {
            let name = file.file_name().unwrap().to_str().unwrap();
            // Where a client lists one suite or curve, its server has no choice.
            if !["all-three.txt", "default.txt", "default-any-version.txt", "curve-p256.txt"].contains(&name)
            {
                continue;
            }
            let chosen = transcript::read(&std::fs::read_to_string(&file).unwrap());
            let suite = match chosen.of("suite") {
                "ECDHE-RSA-AES256-SHA384" => 0xc028,
                "ECDHE-ECDSA-AES256-SHA384" => 0xc024,
                other => panic!("{place}: {other}"),
            };
            let group = match chosen.of("group") {
                "X25519, 253 bits" => 0x001d,
                "ECDH, prime256v1, 256 bits" => 0x0017,
                other => panic!("{place}: {other}"),
            };
            let scheme = match (chosen.of("signature"), chosen.of("digest")) {
                ("RSA-PSS", "SHA256") => 0x0804,
                ("ECDSA", "SHA256") => 0x0403,
                other => panic!("{place}: {other:?}"),
            };
            assert!(offer.suites.contains(&suite) && offer.groups.contains(&group), "{place}: {offer:?}");
            assert!(offer.schemes.contains(&scheme), "{place}: {offer:?}");
        }
    }
}

/// A port that does not meet unmodified servers says to all of them what these say to a version they do not speak.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_without_stock_peers_speaks_tls_1_3_or_says_which_version_it_misses() {
    let Some(recordings) = Recordings::find().filter(|_| has_openssl()) else { return };
    for flavour in [Flavour::Rsa, Flavour::Ec] {
        let port = Alone::open(&recordings, flavour, false).await;
        for (_, place, file) in files(&recordings).into_iter().filter(|(f, ..)| *f == flavour) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let expected = match name {
                "default-any-version" | "tls13-only" => "TLSv1.3",
                "tls11" => "alert 40",
                _ => "alert 70",
            };
            if let Some(offer) = offer(name, &recordings.key(""), flavour) {
                let ours = transcript::read(&offered(port.servers, &offer).await);
                assert_eq!(ours.of(WAY), expected, "{place}");
            }
            if file.extension().is_some_and(|e| e == "pcap") {
                for connection in capture::connections(&std::fs::read(&file).unwrap(), 5500) {
                    let heard = capture::flight(&say(port.servers, &connection.client).await);
                    assert_eq!(heard.of(WAY), "alert 70 of level 2", "{place}");
                }
            }
        }
        port.close().await;
    }
}
