//! Looks at how many certificates, OCSP answers and time-stamps one authority makes in a second.
//!
//! ```text
//! cargo build --release -p saatkond-ca --example trust
//! target/release/examples/trust DIR [KEY] [CERTIFICATES] [SECONDS]
//! ```
//!
//! `DIR` must lie on the disk that is meant: each certificate waits for it twice. `KEY` is the authority's, its
//! responder's and the time-stamping authority's kind; members' keys are P-256. The index is filled up to `CERTIFICATES`
//! before it is asked. What is asked over HTTP is asked from this process too, over connections that stay open: both
//! sides share the processors.

#![expect(clippy::print_stdout, reason = "it is looked at")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what is wrong ends it")]

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use saatkond_ca::ca::{Authority, Order, Policy};
use saatkond_ca::index::{INDEX_FILE, Index, Purpose};
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_ca::ocsp::{Pace, Responder};
use saatkond_ca::pem;
use saatkond_ca::serve::{Clock, Running, Services};
use saatkond_ca::tsa::{DEFAULT_POLICY, Stamper};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::trust::ocsp::{self, Status};
use saatkond_proto::trust::{Certificate, tsp};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Members' keys and certificates that are asked about: more than are asked at one time.
const ISSUED: usize = 200;
/// Who asks at once.
const ASKERS: usize = 16;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(dir) = words.first().map(|dir| PathBuf::from(dir).join("trust-example")) else {
        panic!("say a directory, and perhaps a kind of key, how many certificates, how many seconds")
    };
    let number = |place: usize, usual| words.get(place).map_or(usual, |word| word.parse().unwrap());
    let kind = words.get(1).map_or(KeySpec::Rsa3072, |word| word.parse().unwrap());
    let (filled, seconds) = (number(2, 10_000), Duration::from_secs(number(3, 3) as u64));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let ca = dir.join("ca");
    let mut authority = Authority::create(&ca, Policy::new("CA", kind), Clock::system().now()).unwrap();
    let issued = issue(&mut authority);
    stamping(&mut authority, &dir);
    let root = Arc::clone(authority.certificate());
    drop(authority);
    fill(&ca, filled);

    let began = Instant::now();
    let index = Index::open(&ca).unwrap();
    let bytes = fs::metadata(ca.join(INDEX_FILE)).unwrap().len();
    let (count, took) = (index.records().len(), began.elapsed());
    println!("index      {count} certificates in {} MiB, opened in {:.0} ms", bytes >> 20, ms(took));
    drop(index);

    let requests: Vec<Bytes> = issued.iter().map(|leaf| ocsp::request(leaf, &root).into()).collect();
    for (name, remember) in [("signed anew", Duration::ZERO), ("said again", Duration::from_secs(30))] {
        let pace = Pace { next_update: Duration::from_secs(28_800), remember };
        let responder = Responder::open(std::slice::from_ref(&ca), pace).unwrap();
        let rate = by_threads(seconds, |turn| {
            let (answer, trouble) = responder.answer(&requests[turn % requests.len()], Clock::system().now());
            assert!(trouble.is_none());
            assert!(turn > 20 || ocsp::Response::from_der(&answer).unwrap().status() == Status::Good);
        });
        println!("OCSP       answers, {name} ({kind}): {rate}");
    }
    let query = Bytes::from(tsp::request(&DigestAlgorithm::Sha512.digest(b"a signature")));
    let policy = DEFAULT_POLICY.parse().unwrap();
    let stamper = Stamper::open(&dir.join("tsa.pem"), &dir.join("tsa.key"), policy).unwrap();
    let rate = by_threads(seconds, |turn| {
        let (answer, trouble) = stamper.answer(&query, Clock::system().now());
        assert!(trouble.is_none() && (turn > 20 || tsp::parse_response(&answer).is_ok()));
    });
    println!("stamps     tokens ({kind}): {rate}");

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, remember) in [("signed anew", "0 s"), ("said again", "30 s")] {
            let running = serve(&dir, remember).await;
            let rate = by_http(running.address(), "/ocsp", &requests, seconds).await;
            println!("OCSP/HTTP  {rate:.0} answers/s, {name}, {ASKERS} askers");
            if remember == "0 s" {
                let rate = by_http(running.address(), "/tsa", std::slice::from_ref(&query), seconds).await;
                println!("stamp/HTTP {rate:.0} tokens/s, {ASKERS} askers");
            }
            running.stop().await;
        }
    });
    fs::remove_dir_all(&dir).unwrap();
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn order(purpose: Purpose, key: &PrivateKey) -> Order {
    let subject = Subject::named(Some("FI"), Some("Land Board"), "M2");
    let spki = key.signing().spki().to_vec();
    Order { purpose, spki, subject, names: Vec::new(), member: None, lasts: None }
}

/// Certificates for keys that others made: what the authority alone does is measured.
fn issue(authority: &mut Authority) -> Vec<Arc<Certificate>> {
    let keys: Vec<PrivateKey> = (0..ISSUED).map(|_| PrivateKey::generate(KeySpec::P256).unwrap()).collect();
    let now = Clock::system().now();
    let began = Instant::now();
    let issued = keys.iter().map(|key| authority.issue(&order(Purpose::Sign, key), now).unwrap()).collect();
    let took = began.elapsed();
    println!(
        "issue      {:.0} certificates/s, each on the disk twice ({})",
        ISSUED as f64 / took.as_secs_f64(),
        authority.policy().key
    );
    issued
}

fn stamping(authority: &mut Authority, dir: &Path) {
    let key = PrivateKey::generate(authority.policy().key).unwrap();
    key.save(&dir.join("tsa.key")).unwrap();
    let certificate = authority.issue(&order(Purpose::Tsa, &key), Clock::system().now()).unwrap();
    fs::write(dir.join("tsa.pem"), pem::encode(pem::CERTIFICATE, certificate.der())).unwrap();
}

/// Appends what as many certificates would have left, each as large as a real one.
fn fill(ca: &Path, count: usize) {
    let path = ca.join(INDEX_FILE);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|line| line.contains("\"sign\"") || line.contains("issued")).collect();
    let reserved = lines.iter().find(|line| line.contains("\"sign\"")).unwrap();
    let serial =
        serde_json::from_str::<serde_json::Value>(reserved).unwrap()["serial"].as_str().unwrap().to_owned();
    let issued = lines.iter().find(|line| line.contains("issued") && line.contains(&serial)).unwrap();
    let mut file = std::io::BufWriter::new(fs::OpenOptions::new().append(true).open(&path).unwrap());
    for number in 0..count {
        let other = format!("7f{number:030x}");
        writeln!(file, "{}\n{}", reserved.replace(&serial, &other), issued.replace(&serial, &other)).unwrap();
    }
    file.flush().unwrap();
}

/// How often in a second all processors together do this, and what one time costs: where others are at work too, only
/// that is a figure.
fn by_threads(span: Duration, work: impl Fn(usize) + Sync) -> String {
    let before = processor_time();
    let done = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().unwrap().get();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (done, work) = (&done, &work);
            scope.spawn(move || {
                let mut turn = thread;
                while began.elapsed() < span {
                    work(turn);
                    turn += threads;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let done = done.load(Ordering::Relaxed) as f64;
    let rate = done / began.elapsed().as_secs_f64();
    match (before, processor_time()) {
        (Some(before), Some(after)) => {
            format!("{rate:.0}/s, {:.0} µs of a processor each", (after - before) * 1e6 / done)
        }
        _ => format!("{rate:.0}/s"),
    }
}

/// Seconds of a processor that this process has used, where the system tells it: Linux, in hundredths.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks / 100.0)
}

async fn serve(dir: &Path, remember: &str) -> Running {
    let file = dir.join("serve.toml");
    let content = format!(
        "version = 1\nlisten = \"127.0.0.1:0\"\n[ocsp]\nauthorities = [\"ca\"]\nremember = \"{remember}\"\n\
         [tsa]\ncertificate = \"tsa.pem\"\nkey = \"tsa.key\"\n"
    );
    fs::write(&file, content).unwrap();
    Running::listen(Services::open(&file, Clock::system()).unwrap()).await.unwrap()
}

async fn by_http(address: SocketAddr, path: &'static str, bodies: &[Bytes], span: Duration) -> f64 {
    let began = Instant::now();
    let mut askers = tokio::task::JoinSet::new();
    for asker in 0..ASKERS {
        let bodies = bodies.to_vec();
        askers.spawn(async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let io = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            let driver = tokio::spawn(connection);
            let mut turn = asker;
            let mut done = 0u64;
            while began.elapsed() < span {
                let body = Full::new(bodies[turn % bodies.len()].clone());
                let request = http::Request::post(path).header("host", "trust").body(body).unwrap();
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), 200);
                let answer = response.into_body().collect().await.unwrap().to_bytes();
                assert!(answer.len() > 200, "refused");
                turn += ASKERS;
                done += 1;
            }
            drop(sender);
            driver.await.unwrap().unwrap();
            done
        });
    }
    let done: u64 = askers.join_all().await.into_iter().sum();
    done as f64 / began.elapsed().as_secs_f64()
}
