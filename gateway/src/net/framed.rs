//! The stream between a socket and hyper, which keeps request heads as they came.
//!
//! What is signed holds the caller's headers in their order and letter case, and hyper keeps neither. So this stream
//! reads each head itself, strictly ([`super::head`]), and hands hyper a head of its own making: a number, and where the
//! body ends. The service takes the head that belongs to the number. hyper thus cannot read a head otherwise than we
//! did, under keep-alive and pipelining too: one head is under way at a time, and body bytes are counted here.
//!
//! A head that is refused becomes one that the service answers with the refusal; the connection then hears nothing more.
//!
//! Both directions have a deadline: hyper's own for heads, the service's for bodies, and one here for a peer that does
//! not take what is sent to it.

use super::head::{self, Framing, Refusal, RequestHead};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes read from the socket at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of one chunk's extension, and of a chunked body's trailer section.
const EXTRA_BYTES_MAX: usize = 4 * 1024;
/// Digits of a chunk's size.
const SIZE_DIGITS_MAX: u8 = 15;
/// The header of our own making that carries the head's number.
pub(super) const NUMBER: &str = "x-head";

/// The head that hyper is about to hand to the service, as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Heads(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    head: Option<(u64, Result<RequestHead, Refusal>)>,
    reader: Option<Waker>,
}

impl Heads {
    /// Takes the head with this number; `None` when hyper and this stream disagree.
    pub(super) fn take(&self, number: u64) -> Option<Result<RequestHead, Refusal>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
        waiting.head.take().filter(|(n, _)| *n == number).map(|(_, head)| head)
    }

    fn is_waiting(&self, cx: &Context<'_>) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.head.is_some() {
            waiting.reader = Some(cx.waker().clone());
        }
        waiting.head.is_some()
    }

    fn put(&self, number: u64, head: Result<RequestHead, Refusal>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).head = Some((number, head));
    }
}

/// A stream that keeps heads.
#[derive(Debug)]
pub(super) struct Framed<S> {
    stream: S,
    /// Read from the socket, not yet handed on.
    inbox: BytesMut,
    /// Of our own making, not yet handed on.
    feed: BytesMut,
    state: State,
    heads: Heads,
    number: u64,
    stall: Stall,
}

#[derive(Debug)]
enum State {
    Head,
    Body(u64),
    Chunked(Chunks),
    Deaf,
}

impl<S> Framed<S> {
    /// Wraps `stream`; `stall` is how long its peer may take nothing of what is sent to it.
    pub(super) fn new(stream: S, stall: Duration) -> (Self, Heads) {
        let heads = Heads::default();
        let framed = Self {
            stream,
            inbox: BytesMut::new(),
            feed: BytesMut::new(),
            state: State::Head,
            heads: heads.clone(),
            number: 0,
            stall: Stall::new(stall),
        };
        (framed, heads)
    }

    /// Makes hyper's head for the one that came, and remembers where the body ends.
    fn admit(&mut self, head: RequestHead) {
        self.number += 1;
        let method = if head.method == "HEAD" { "HEAD" } else { "POST" };
        let version = if head.is_http10 { "1.0" } else { "1.1" };
        let mut feed = format!("{method} / HTTP/{version}\r\n{NUMBER}: {}\r\n", self.number);
        self.state = match head.framing {
            Framing::None => State::Head,
            Framing::Length(length) => {
                feed.push_str(&format!("content-length: {length}\r\n"));
                State::Body(length)
            }
            Framing::Chunked => {
                feed.push_str("transfer-encoding: chunked\r\n");
                State::Chunked(Chunks::default())
            }
        };
        if head.closes {
            feed.push_str("connection: close\r\n");
        }
        // Who sent its body already is not told to go on. Seen: message-path §1.1.
        if head.expects_continue && head.framing != Framing::None && self.inbox.is_empty() {
            feed.push_str("expect: 100-continue\r\n");
        }
        feed.push_str("\r\n");
        self.feed.extend_from_slice(feed.as_bytes());
        self.heads.put(self.number, Ok(head));
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.number += 1;
        let feed = format!("POST / HTTP/1.1\r\n{NUMBER}: {}\r\nconnection: close\r\n\r\n", self.number);
        self.feed.extend_from_slice(feed.as_bytes());
        self.inbox.clear();
        self.state = State::Deaf;
        self.heads.put(self.number, Err(refusal));
    }
}

impl<S: AsyncRead + Unpin> Framed<S> {
    /// Reads more from the socket; 0 at its end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = self.inbox.len();
        self.inbox.resize(before + READ_BYTES, 0);
        let space = self.inbox.get_mut(before..).unwrap_or_default();
        let mut space = ReadBuf::new(space);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut space);
        let filled = space.filled().len();
        self.inbox.truncate(before + filled);
        ready!(read)?;
        Poll::Ready(Ok(filled))
    }

    /// Reads until a head is whole or refused; false at the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            // An empty line or two before a request is put up with. Spec: RFC 9112 §2.2.
            while self.inbox.starts_with(b"\r\n") {
                self.inbox.advance(2);
            }
            match head::end(&self.inbox) {
                Err(refusal) => {
                    self.refuse(refusal);
                    return Poll::Ready(Ok(true));
                }
                Ok(Some(end)) => {
                    let bytes = self.inbox.split_to(end);
                    match head::read(&bytes) {
                        Ok(head) => self.admit(head),
                        Err(refusal) => self.refuse(refusal),
                    }
                    return Poll::Ready(Ok(true));
                }
                Ok(None) => {
                    if ready!(self.fill(cx))? == 0 {
                        return Poll::Ready(Ok(false));
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.feed.is_empty() {
                let n = this.feed.len().min(buf.remaining());
                buf.put_slice(&this.feed.split_to(n));
                return Poll::Ready(Ok(()));
            }
            match &this.state {
                State::Deaf => return Poll::Pending,
                State::Head => {
                    if this.heads.is_waiting(cx) {
                        return Poll::Pending;
                    }
                    if !ready!(this.poll_head(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    continue;
                }
                State::Body(0) => {
                    this.state = State::Head;
                    continue;
                }
                State::Body(_) | State::Chunked(_) => {}
            }
            if this.inbox.is_empty() && ready!(this.fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
            let n = this.inbox.len().min(buf.remaining());
            let (n, ends) = match &mut this.state {
                State::Body(left) => {
                    let n = n.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= n as u64;
                    (n, *left == 0)
                }
                State::Chunked(chunks) => chunks.scan(this.inbox.get(..n).unwrap_or_default())?,
                State::Head | State::Deaf => (0, false),
            };
            buf.put_slice(&this.inbox.split_to(n));
            if ends {
                this.state = State::Head;
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.stall.watch(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.stall.watch(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_flush(cx);
        this.stall.watch(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.stall.watch(cx, done)
    }
}

//------------ Stall ---------------------------------------------------------

/// Ends a stream whose peer takes nothing for too long.
#[derive(Debug)]
pub(super) struct Stall {
    allowed: Duration,
    until: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Allows a peer so long to take something.
    pub(super) const fn new(allowed: Duration) -> Self {
        Self { allowed, until: None }
    }

    /// Passes `done` on, or an error when nothing was done for too long.
    pub(super) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.until = None;
            return done;
        }
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + self.allowed)));
        ready!(until.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

//------------ Chunks --------------------------------------------------------

/// Follows a chunked body to its end, strictly. Spec: RFC 9112 §7.1.
#[derive(Debug, Default)]
struct Chunks {
    at: At,
    /// Bytes left of the chunk.
    left: u64,
    /// Digits of its size seen.
    digits: u8,
    /// Bytes seen of its extension, or of the trailer section.
    extra: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    /// Inside one.
    TrailerLine,
    TrailerLf,
    LastLf,
}

impl Chunks {
    /// How many of `bytes` belong to the body, and whether it ends there.
    fn scan(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if self.at == At::Data {
                let n = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= n as u64;
                used += n;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let Some(byte) = rest.first() else { break };
            used += 1;
            if self.step(*byte)? {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// Takes one byte of framing; true when it was the last.
    fn step(&mut self, byte: u8) -> io::Result<bool> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "chunked body breaks HTTP");
        self.at = match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size, b';' | b' ' | b'\t') if self.digits > 0 => At::Extension,
            (At::Size, _) => {
                let digit = char::from(byte).to_digit(16).filter(|_| self.digits < SIZE_DIGITS_MAX);
                self.left = self.left << 4 | u64::from(digit.ok_or_else(wrong)?);
                self.digits += 1;
                At::Size
            }
            (At::Extension, b'\r') => At::SizeLf,
            (At::SizeLf, b'\n') => {
                self.extra = 0;
                if self.left == 0 { At::Trailer } else { At::Data }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.digits = 0;
                At::Size
            }
            (At::Trailer, b'\r') => At::LastLf,
            (At::LastLf, b'\n') => return Ok(true),
            (At::TrailerLine, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Trailer,
            (at @ (At::Extension | At::Trailer | At::TrailerLine), b)
                if b != b'\n' && self.extra < EXTRA_BYTES_MAX =>
            {
                self.extra += 1;
                if at == At::Extension { at } else { At::TrailerLine }
            }
            _ => return Err(wrong()),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Writes `sent` in pieces of `piece` bytes, and reads all that hyper would be handed; takes each head at once.
    async fn through(sent: &[u8], piece: usize) -> (String, Vec<Result<String, u16>>, io::Result<()>) {
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        let (mut framed, heads) = Framed::new(far, Duration::from_secs(5));
        let sent = sent.to_vec();
        let writing = tokio::spawn(async move {
            for bytes in sent.chunks(piece) {
                near.write_all(bytes).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut out, mut seen, mut number) = (Vec::new(), Vec::new(), 1);
        let ended = loop {
            let mut buf = [0; 100];
            let read = tokio::time::timeout(Duration::from_millis(500), framed.read(&mut buf)).await;
            match read {
                Ok(Ok(0)) | Err(_) => break Ok(()),
                Ok(Ok(n)) => out.extend_from_slice(&buf[..n]),
                Ok(Err(error)) => break Err(error),
            }
            if let Some(head) = heads.take(number) {
                seen.push(head.map(|h| h.target).map_err(Refusal::status));
                number += 1;
            }
        };
        writing.await.unwrap();
        (String::from_utf8(out).unwrap(), seen, ended)
    }

    #[tokio::test]
    async fn pipelined_requests_keep_their_heads_and_bodies_apart() {
        let sent = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 25\r\n\r\nGET /x HTTP/1.1\r\nA: b\r\n\r\n\
            POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;e=1\r\nab\r\nc\r\n0\r\nT: 1\r\n\r\n\r\n\
            HEAD /c HTTP/1.0\r\n\r\n";
        for piece in [1, 2, 7, 1000] {
            let (out, seen, ended) = through(sent, piece).await;
            assert!(ended.is_ok());
            assert_eq!(seen, [Ok("/a".into()), Ok("/b".into()), Ok("/c".into())], "{piece}");
            assert_eq!(
                out,
                "POST / HTTP/1.1\r\nx-head: 1\r\ncontent-length: 25\r\n\r\nGET /x HTTP/1.1\r\nA: b\r\n\r\n\
                 POST / HTTP/1.1\r\nx-head: 2\r\ntransfer-encoding: chunked\r\n\r\n5;e=1\r\nab\r\nc\r\n0\r\nT: 1\r\n\r\n\
                 HEAD / HTTP/1.0\r\nx-head: 3\r\nconnection: close\r\n\r\n",
                "{piece}"
            );
        }
    }

    #[tokio::test]
    async fn after_a_refusal_nothing_more_is_heard() {
        let sent = b"GET //a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n";
        let (out, seen, _) = through(sent, 1000).await;
        assert_eq!(seen, [Err(400)]);
        assert_eq!(out, "POST / HTTP/1.1\r\nx-head: 1\r\nconnection: close\r\n\r\n");
    }

    #[tokio::test]
    async fn chunks_that_break_http_break_the_stream() {
        for bad in ["5\nabcde\r\n", "g\r\n", "\r\n", "1\r\nabc\r\n", "1234567890abcdef\r\n", "0\r\n\n"] {
            let sent = format!("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{bad}");
            let (_, _, ended) = through(sent.as_bytes(), 1000).await;
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_head_is_taken_by_its_number_alone() {
        let (mut near, far) = tokio::io::duplex(1024);
        let (mut framed, heads) = Framed::new(far, Duration::from_secs(5));
        near.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(framed.read(&mut [0; 100]).await.unwrap() > 0);
        assert!(heads.take(2).is_none());
        assert!(heads.take(1).is_none(), "a head that was asked for wrongly is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_left() {
        let (near, far) = tokio::io::duplex(8);
        let (mut framed, _) = Framed::new(far, Duration::from_secs(30));
        assert_eq!(framed.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(near);
    }
}
