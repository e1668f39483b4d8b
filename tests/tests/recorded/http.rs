//! HTTP/1.1 as it stands on the wire, taken apart: what was recorded and what we say are read by the same eyes.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Header lines, as written, in ISO-8859-1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(pub(crate) Vec<(String, String)>);

impl Lines {
    /// The values under a name, in order.
    pub(crate) fn values<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The names, in order, without letter case and as often as they stand there.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(n, _)| n.to_ascii_lowercase()).collect()
    }

    fn length(&self) -> Option<usize> {
        self.values("content-length").first()?.parse().ok()
    }

    fn is_chunked(&self) -> bool {
        self.values("transfer-encoding").iter().any(|v| v.eq_ignore_ascii_case("chunked"))
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Lines,
    pub(crate) body: Vec<u8>,
}

/// An answer, interim ones too.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Lines,
    pub(crate) end: End,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether it says that the connection ends with it.
    pub(crate) fn says_close(&self) -> bool {
        self.headers.values("connection").iter().any(|v| v.eq_ignore_ascii_case("close"))
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Not at all: there is no body.
    None,
    /// By its length.
    Length,
    /// By a last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// First line, headers, and how many bytes both have; `None` while the head has not ended.
fn head(bytes: &[u8]) -> Option<(String, Lines, usize)> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.to_owned(), value.trim().to_owned())
    };
    Some((first, Lines(lines.map(header).collect()), end + 4))
}

/// A chunked body and how many bytes it takes; `None` while it has not ended.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes.get(at..)?.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?.trim(), 16).ok()?;
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        if size == 0 {
            return (at <= bytes.len()).then_some((body, at));
        }
    }
}

/// The first request in `bytes` and how many of them it takes; `None` while it has not come whole.
pub(crate) fn request(bytes: &[u8]) -> Option<(Request, usize)> {
    let (first, headers, start) = head(bytes)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next().unwrap_or_default().to_owned());
    let (body, len) = if headers.is_chunked() {
        chunked(&bytes[start..])?
    } else {
        let len = headers.length().unwrap_or(0);
        (bytes.get(start..start + len)?.to_vec(), len)
    };
    Some((Request { method, target, headers, body }, start + len))
}

/// The methods of the requests that an information system sent one after another; of what is no HTTP the first word.
pub(crate) fn methods(mut bytes: &[u8]) -> Vec<String> {
    let first = bytes.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    let mut methods = vec![String::from_utf8_lossy(first).into_owned()];
    while let Some((_, used)) = request(bytes) {
        bytes = &bytes[used..];
        methods.extend(request(bytes).map(|(next, _)| next.method));
    }
    methods
}

/// The answers that came on one connection until it ended, interim ones too.
pub(crate) fn answers(mut bytes: &[u8], methods: &[String]) -> Vec<Answer> {
    let (mut answers, mut methods) = (Vec::new(), methods.iter());
    while let Some((first, headers, start)) = head(bytes) {
        let mut words = first.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (version, status, reason) = (word(), word().parse().unwrap_or(0), word());
        let rest = &bytes[start..];
        let is_bare = status / 100 == 1 || matches!(status, 204 | 304);
        let is_head = status / 100 != 1 && methods.next().is_some_and(|m| m == "HEAD");
        let (end, body, used) = match headers.length() {
            Some(_) if is_bare || is_head => (End::Length, Vec::new(), 0),
            None if is_bare || is_head => (End::None, Vec::new(), 0),
            Some(length) => (End::Length, rest[..length.min(rest.len())].to_vec(), length.min(rest.len())),
            None if headers.is_chunked() => {
                let (body, used) = chunked(rest).unwrap_or_default();
                (End::Chunked, body, used)
            }
            None => (End::Close, rest.to_vec(), rest.len()),
        };
        answers.push(Answer { version, status, reason, headers, end, body });
        bytes = &rest[used..];
    }
    answers
}

/// Reads the next request from a connection; `held` keeps what came beyond it. `None` at the connection's end.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, used)) = request(held) {
            held.drain(..used);
            return Ok(Some(request));
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}
