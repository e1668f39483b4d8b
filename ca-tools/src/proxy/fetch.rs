//! Asks a configuration source: one connection, one answer, bounded in time and size.
//!
//! Plain HTTP: all that comes back is held against a signature. An anchor names its sources in plain HTTP, too.

use super::keep::Held;
use super::{Proxy, SourceError};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use saatkond_proto::globalconf::locations::{Location, part_url, with_version};
use saatkond_proto::globalconf::{Content, Part, SignedDirectory};
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Redirects followed for one document. Spec: trust-and-configuration §1.4.
const REDIRECTS_MAX: usize = 5;

/// What a source says of one version.
pub(super) enum Found {
    /// It is there, and holds.
    Version(Box<Held>),
    /// It is not there.
    Absent,
}

/// Downloads one version from one place and verifies all of it; what is held already is not fetched again.
///
/// # Errors
/// [`SourceError`].
pub(super) async fn version(
    proxy: &Proxy,
    location: &Location,
    version: u8,
    held: Option<&Held>,
    now: UnixTime,
) -> Result<Found, SourceError> {
    let url = with_version(&location.url, version);
    let patience = proxy.conf().patience.0;
    let (status, bytes) = get(&url, patience, limits::DIRECTORY_BYTES_MAX).await?;
    match status {
        200 => {}
        404 => return Ok(Found::Absent),
        status => return Err(SourceError::Status { url, status }),
    }
    let wrong = |source| SourceError::Directory { url: url.clone(), source };
    let directory =
        SignedDirectory::parse(&bytes).and_then(|d| d.verify(&location.certificates, now)).map_err(wrong)?;
    if directory.version != version {
        return Err(SourceError::Version { url, expected: version, found: directory.version });
    }
    let has_private = directory.parts.iter().any(|part| part.content == Content::Private);
    let wanted: Vec<Part> = if has_private {
        directory.internal(&location.instance).map_err(wrong)?.into_iter().cloned().collect()
    } else {
        vec![directory.external(&location.instance).map_err(wrong)?.clone()]
    };
    let mut parts = Vec::new();
    for part in wanted {
        let bytes = match held.and_then(|held| held.bytes_of(&part)) {
            Some(bytes) => bytes,
            None => fetch_part(&url, &part, patience).await?,
        };
        parts.push((part, bytes));
    }
    let held = Held::new(directory.expires, version, &location.instance, parts).map_err(wrong)?;
    Ok(Found::Version(Box::new(held)))
}

async fn fetch_part(directory_url: &str, part: &Part, patience: Duration) -> Result<Bytes, SourceError> {
    let url = part_url(directory_url, &part.location).ok_or_else(|| SourceError::Location {
        url: directory_url.to_owned(),
        location: part.location.clone(),
    })?;
    let (status, bytes) = get(&url, patience, limits::CONFIGURATION_PART_BYTES_MAX).await?;
    if status == 200 { Ok(bytes) } else { Err(SourceError::Status { url, status }) }
}

/// Asks, and follows redirects; tells the status and the body.
async fn get(url: &str, patience: Duration, bytes_max: usize) -> Result<(u16, Bytes), SourceError> {
    let mut at = url.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let Answer { status, location, body } = ask(&at, patience, bytes_max).await?;
        let next = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
        match next.and_then(|location| part_url(&at, &location)) {
            Some(next) => at = next,
            None => return Ok((status, body)),
        }
    }
    Err(SourceError::Reach { url: url.to_owned(), source: io::Error::other("it sends from place to place") })
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: Bytes,
}

async fn ask(url: &str, patience: Duration, bytes_max: usize) -> Result<Answer, SourceError> {
    let failed = |source| SourceError::Reach { url: url.to_owned(), source };
    let late =
        |what| failed(io::Error::new(io::ErrorKind::TimedOut, format!("no {what} within {patience:?}")));
    let place: Uri = url.parse().map_err(|e| failed(io::Error::other(e)))?;
    let authority = place.authority().filter(|_| place.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(|| failed(io::Error::other("not an http URL")))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let connecting = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
    let stream = timeout(patience, connecting).await.map_err(|_| late("connection"))?.map_err(failed)?;
    let target = place.path_and_query().map_or("/", |target| target.as_str());
    let request =
        Request::get(target).header(header::HOST, authority.as_str()).header(header::CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| failed(io::Error::other(e)))?;
    let whole = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let asking = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let location = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
            let location = location.map(str::to_owned);
            let body = Limited::new(response.into_body(), bytes_max).collect().await?.to_bytes();
            Ok(Answer { status, location, body })
        };
        // the connection is driven beside the question and dropped with it
        let (mut connection, mut asking) = (std::pin::pin!(connection), std::pin::pin!(asking));
        let mut is_driven = true;
        loop {
            tokio::select! {
                biased;
                answer = &mut asking => return answer,
                _ = &mut connection, if is_driven => is_driven = false,
            }
        }
    };
    let answer: Result<Answer, Box<dyn std::error::Error + Send + Sync>> =
        timeout(patience, whole).await.map_err(|_| late("answer"))?;
    answer.map_err(|e| failed(io::Error::other(e)))
}
