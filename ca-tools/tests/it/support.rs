//! What these tests share: directories that go away, commands as people type them, openssl as the other side.

use clap::Parser;
use saatkond_ca::cli::{self, CaCommand};
use saatkond_ca::exit::{Exit, Streams};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory that is gone when the test is.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("saatkond-ca-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: CaCommand,
}

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) talk: String,
}

pub(crate) async fn ca(arguments: &[&str]) -> Said {
    let parsed = Arguments::try_parse_from(std::iter::once(&"ca").chain(arguments)).unwrap();
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let exit = cli::main(parsed.command, &mut Streams::new(&mut out, &mut talk)).await;
    Said { exit, out: String::from_utf8(out).unwrap(), talk: String::from_utf8(talk).unwrap() }
}

/// As [`ca`], for commands that must succeed.
pub(crate) async fn done(arguments: &[&str]) -> Said {
    let said = ca(arguments).await;
    assert_eq!(said.exit, Exit::Done, "{arguments:?}: {}", said.talk);
    said
}

/// As [`ca`], for commands that must fail: one error, and a hint on its own line.
pub(crate) async fn fails(exit: Exit, arguments: &[&str]) -> String {
    let said = ca(arguments).await;
    assert_eq!(said.exit, exit, "{arguments:?}: {}", said.talk);
    assert!(said.out.is_empty() && said.talk.starts_with("error: "), "{}", said.talk);
    assert_eq!(said.talk.matches("\n hint: ").count(), 1, "{}", said.talk);
    said.talk
}

/// Whether what a test needs is there; without it the test says that it skips, or fails under `SAATKOND_REQUIRE=all`.
pub(crate) fn needed(there: bool, what: &str) -> bool {
    if !there {
        let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|value| value == "all");
        assert!(!required, "SAATKOND_REQUIRE=all, but {what} is not there");
        eprintln!("SKIPPED: {what} is not there");
    }
    there
}

/// The independent verifier of signed directories among the vectors, if it is there and python3 can run it.
pub(crate) fn independent_verifier() -> Option<PathBuf> {
    let vectors = std::env::var("SAATKOND_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned());
    let script = Path::new(&vectors).join("trust-examples/verify.py");
    let is_there = has("python3", &["-c", "import cryptography"]) && needed(script.is_file(), text(&script));
    is_there.then_some(script)
}

/// Whether a tool runs.
pub(crate) fn has(tool: &str, probe: &[&str]) -> bool {
    let runs = Command::new(tool).args(probe).output().is_ok_and(|output| output.status.success());
    needed(runs, &format!("{tool} ({tool} {})", probe.join(" ")))
}

/// Whether openssl is there.
pub(crate) fn has_openssl() -> bool {
    has("openssl", &["version"])
}

/// Runs openssl; its output, both streams together, when it says yes.
pub(crate) fn openssl(arguments: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } = Command::new("openssl").args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(text) } else { Err(text) }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asks over HTTP/1.1, one connection a question: status and body.
pub(crate) async fn http(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    use http_body_util::BodyExt as _;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .body(http_body_util::Full::new(bytes::Bytes::copy_from_slice(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
    drop(sender);
    let _ = driver.await;
    (status, body)
}
