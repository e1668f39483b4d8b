//! What a real X-Road 7.8.0 server said to the same bytes on the port of information systems.

use super::bed::{Land, Service, say};
use std::path::{Path, PathBuf};

/// The recordings, or none: then the reason is printed, and is a failure where everything is required.
fn recordings() -> Option<PathBuf> {
    let vectors = std::env::var_os("SAATKOND_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"), PathBuf::from);
    let dir = vectors.join("xroad-recorded/rsa");
    if dir.is_dir() {
        return Some(dir);
    }
    assert!(
        std::env::var_os("SAATKOND_REQUIRE").is_none_or(|v| v != "all"),
        "{} is missing and everything is required",
        dir.display()
    );
    println!("skipped: no recordings at {}", dir.display());
    None
}

/// A recorded request, with the test's names in place of the recorded ones.
fn localised(request: &[u8]) -> Vec<u8> {
    let mut bytes = request.to_vec();
    for (recorded, ours) in
        [("DEV/GOV/M2/REGISTER", "DEV/GOV/M2/LAND"), ("DEV/GOV/M1/CONSUMER", "DEV/GOV/M1/TAX")]
    {
        let (recorded, ours) = (recorded.as_bytes(), ours.as_bytes());
        while let Some(at) = bytes.windows(recorded.len()).position(|w| w == recorded) {
            bytes.splice(at..at + recorded.len(), ours.iter().copied());
        }
    }
    bytes
}

/// Status and fault code of a recorded answer.
fn outcome(response: &[u8]) -> (u16, Option<String>) {
    let text = String::from_utf8_lossy(response).into_owned();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let error = head.lines().find_map(|line| line.strip_prefix("X-Road-Error: "));
    (status, error.map(str::to_owned))
}

/// Recorded cases whose outcome is another here, and why.
const OTHERWISE: [(&str, &str); 5] = [
    ("err-rest-bad-query", "refused before it is sent, where the incumbent's provider refuses it"),
    (
        "err-rest-encoded-space",
        "a space in a path is a path like any other; the incumbent's rights fail on it",
    ),
    ("err-rest-versioned-soap", "no SOAP service is offered"),
    ("err-rest-wrong-type", "no SOAP service is offered"),
    ("http-empty-xroad-id", "refused before it is sent, where the incumbent cannot read the answer"),
];

#[tokio::test]
async fn requests_are_taken_and_refused_as_a_real_server_does() {
    let Some(dir) = recordings() else { return };
    let service = Service::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let land = Land::new().await;
    let (tax, home) = (land.tax().await, land.land("HOME", service.address).await);
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(&dir).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let is_ours = ["http-", "err-rest-", "err-http-", "err-tls-"].iter().any(|p| case.starts_with(p));
        if !is_ours || OTHERWISE.iter().any(|(other, _)| *other == case) {
            continue;
        }
        let file = |name: &str| std::fs::read(dir.join(&case).join(name)).unwrap();
        // The recorded service tells its calls apart, the test's does not; and all is sent at once, so that nobody has
        // to be told to go on.
        let (status, error) = outcome(&file("client-response.bin"));
        let expected = (if status < 300 { 200 } else { status }, error);
        let heard = say(&tax, &localised(&file("client-request.bin"))).await;
        let found = (heard.status, heard.header("x-road-error").map(str::to_owned));
        if found != expected {
            wrong.push(format!("{case}: {found:?}, recorded {expected:?}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "{seen} cases");
    tax.stop().await;
    home.stop().await;
}
