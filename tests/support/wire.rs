//! HTTP/1.1, read and written by hand: a fake must be able to say what no library would.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One side of a connection.
pub struct Wire {
    stream: Box<dyn Duplex>,
    held: Vec<u8>,
}

/// The head of a request or an answer. Text is ISO-8859-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Request line or status line.
    pub first: String,
    /// Header lines, in order.
    pub lines: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is none.
    None,
    /// After so many bytes.
    Length(usize),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

impl Head {
    /// The first value under a name, compared without letter case.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<&str> {
        line(&self.lines, name)
    }

    /// Where the body of a request ends.
    #[must_use]
    pub fn end(&self) -> End {
        match (self.line("transfer-encoding"), self.line("content-length")) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => End::Chunked,
            (_, Some(length)) => End::Length(length.trim().parse().unwrap()),
            _ => End::None,
        }
    }

    /// The status of an answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Where the body of an answer to `method` ends.
    #[must_use]
    pub fn end_of_answer(&self, method: &str) -> End {
        if method == "HEAD" || matches!(self.status(), 204 | 304) {
            return End::None;
        }
        match self.end() {
            End::None => End::Close,
            end => end,
        }
    }
}

/// The first value under a name, compared without letter case.
#[must_use]
pub fn line<'a>(lines: &'a [(String, String)], name: &str) -> Option<&'a str> {
    lines.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Writes a body in chunks.
#[must_use]
pub fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for piece in body.chunks(chunk.max(1)) {
        out.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        out.extend_from_slice(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// Writes a head, its empty line included.
#[must_use]
pub fn head(first: &str, lines: &[(String, String)]) -> Vec<u8> {
    let mut text = format!("{first}\r\n");
    for (name, value) in lines {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    saatkond_proto::message::rest::to_latin1(&text)
}

impl Wire {
    /// Takes a stream.
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), held: Vec::new() }
    }

    /// Says bytes.
    ///
    /// # Errors
    /// The connection's.
    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says that nothing more will be said.
    ///
    /// # Errors
    /// The connection's.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads a head; `None` where the other side ended before it said anything.
    ///
    /// # Errors
    /// The connection's; an end in the middle.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.held.windows(4).position(|w| w == b"\r\n\r\n") {
                let bytes: Vec<u8> = self.held.drain(..end + 4).collect();
                let text = saatkond_proto::message::rest::from_latin1(&bytes[..end]);
                let mut lines = text.split("\r\n");
                let first = lines.next().unwrap_or_default().to_owned();
                let pair = |line: &str| {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
                };
                return Ok(Some(Head { first, lines: lines.map(pair).collect() }));
            }
            if self.more().await? == 0 {
                return if self.held.is_empty() { Ok(None) } else { Err(early()) };
            }
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The connection's; an end in the middle.
    pub async fn body(&mut self, end: End) -> io::Result<Vec<u8>> {
        match end {
            End::None => Ok(Vec::new()),
            End::Length(length) => self.take(length).await,
            End::Close => {
                while self.more().await? > 0 {}
                Ok(std::mem::take(&mut self.held))
            }
            End::Chunked => {
                let mut body = Vec::new();
                loop {
                    let size = self.text_line().await?;
                    let size = size.split(';').next().unwrap_or_default();
                    let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                    if size == 0 {
                        while !self.text_line().await?.is_empty() {}
                        return Ok(body);
                    }
                    body.extend(self.take(size).await?);
                    self.text_line().await?;
                }
            }
        }
    }

    /// Whether the other side has ended without saying anything more. Waits for whichever comes.
    pub async fn has_ended(&mut self) -> bool {
        self.held.is_empty() && matches!(self.more().await, Ok(0) | Err(_))
    }

    /// Reads until at least so many bytes have come, and forgets them; false where the other side ended before.
    pub async fn swallow(&mut self, bytes: usize) -> bool {
        let mut swallowed = 0;
        loop {
            swallowed += std::mem::take(&mut self.held).len();
            if swallowed >= bytes {
                return true;
            }
            if !matches!(self.more().await, Ok(1..)) {
                return false;
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.held.reserve(64 * 1024);
        self.stream.read_buf(&mut self.held).await
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < length {
            if self.more().await? == 0 {
                return Err(early());
            }
        }
        Ok(self.held.drain(..length).collect())
    }

    async fn text_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.held.windows(2).position(|w| w == b"\r\n") {
                let line = self.held.drain(..end + 2).take(end).collect::<Vec<u8>>();
                return Ok(saatkond_proto::message::rest::from_latin1(&line));
            }
            if self.more().await? == 0 {
                return Err(early());
            }
        }
    }
}

fn early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the other side ended early")
}
