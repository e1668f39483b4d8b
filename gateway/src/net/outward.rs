//! The stream between hyper and a server that we ask.
//!
//! It does three things that hyper does not: it keeps the head of the answer as it came (a signed block holds the
//! service's headers in their order and letter case); it goes on reading when the server stops taking what we send, for
//! the answer may lie there already; and it knows whether the seal of a message may have left.

use super::framed::Stall;
use super::head::{self, ResponseHead};
use rustls::AlertDescription;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Bytes of an answer's head. hyper's own bound lies above.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// What one connection and those who use it tell each other about the request under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lane(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    seal: AtomicU8,
    settled: Notify,
    head: Mutex<Tap>,
    refused: OnceLock<AlertDescription>,
}

/// The seal is still ours.
const OPEN: u8 = 0;
/// The seal went to TLS, or may have.
const HANDED: u8 = 1;
/// The connection broke before: the seal stays here.
const BARRED: u8 = 2;

#[derive(Debug, Default)]
enum Tap {
    #[default]
    Shut,
    Open(Vec<u8>),
    Head(Box<ResponseHead>),
}

impl Lane {
    /// Begins a request.
    pub(super) fn begin(&self) {
        self.0.seal.store(OPEN, Ordering::SeqCst);
        *self.0.head.lock().unwrap_or_else(PoisonError::into_inner) = Tap::Open(Vec::new());
    }

    /// Whether the seal may be handed over now; from then on it counts as handed.
    pub(super) fn hand(&self) -> bool {
        let before = self.0.seal.compare_exchange(OPEN, HANDED, Ordering::SeqCst, Ordering::SeqCst);
        self.0.settled.notify_one();
        before.is_ok()
    }

    /// Whether the first byte of the seal may have left. False means for certain that it has not.
    #[must_use]
    pub fn is_handed(&self) -> bool {
        self.0.seal.load(Ordering::SeqCst) == HANDED
    }

    /// Returns once the seal is handed over, or will never be.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn settled(&self) {
        while self.0.seal.load(Ordering::SeqCst) == OPEN {
            self.0.settled.notified().await;
        }
        // Whoever asks next finds it settled, too.
        self.0.settled.notify_one();
    }

    /// Takes the head of the answer, as it came; `None` when it was no head that we follow.
    #[must_use]
    pub fn take_head(&self) -> Option<ResponseHead> {
        let mut tap = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *tap) {
            Tap::Head(head) => Some(*head),
            Tap::Shut | Tap::Open(_) => None,
        }
    }

    /// The alert by which the server told that it does not take our certificate. TLS 1.3 tells it late.
    #[must_use]
    pub fn refused(&self) -> Option<AlertDescription> {
        self.0.refused.get().copied()
    }

    /// Sees to it that the seal stays here; false when it may have left already.
    pub(crate) fn bar(&self) -> bool {
        let before = self.0.seal.compare_exchange(OPEN, BARRED, Ordering::SeqCst, Ordering::SeqCst);
        self.0.settled.notify_one();
        before != Err(HANDED)
    }

    fn overhear(&self, bytes: &[u8]) {
        let mut tap = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        let Tap::Open(heard) = &mut *tap else { return };
        heard.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(heard, b"\r\n\r\n").map(|at| at + 4) {
            match head::read_response(heard.get(..end).unwrap_or_default()) {
                // An interim answer: the one that counts follows.
                Some(head) if (100..200).contains(&head.status) => {
                    heard.drain(..end);
                }
                Some(head) => {
                    *tap = Tap::Head(Box::new(head));
                    return;
                }
                None => {
                    *tap = Tap::Shut;
                    return;
                }
            }
        }
        if heard.len() > HEAD_BYTES_MAX {
            *tap = Tap::Shut;
        }
    }
}

/// The alert in an error, if it says that our certificate is not taken.
fn refusal(error: &io::Error) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateUnknown
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
            | Alert::DecryptError
            | Alert::HandshakeFailure),
        ) => Some(*alert),
        _ => None,
    }
}

/// A stream to a server.
#[derive(Debug)]
pub(super) struct Outward<S> {
    stream: S,
    stall: Stall,
    lane: Lane,
    is_broken: bool,
}

impl<S> Outward<S> {
    /// Wraps `stream`; `stall` is how long the server may take nothing of what is sent to it.
    pub(super) fn new(stream: S, stall: Duration, lane: Lane) -> Self {
        Self { stream, stall: Stall::new(stall), lane, is_broken: false }
    }

    /// Passes a write on; an error bars the seal, and what is written from then on goes nowhere.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        nowhere: T,
    ) -> Poll<io::Result<T>> {
        match ready!(self.stall.watch(cx, done)) {
            Ok(done) => Poll::Ready(Ok(done)),
            Err(error) => {
                tracing::debug!(%error, "server takes no more of our request");
                let _ = self.lane.bar();
                self.is_broken = true;
                Poll::Ready(Ok(nowhere))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outward<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
        if let Some(alert) = read.as_ref().err().and_then(refusal) {
            let _ = this.lane.0.refused.set(alert);
        }
        match buf.filled().get(before..) {
            Some(bytes) if !bytes.is_empty() => this.lane.overhear(bytes),
            // Nothing will be executed that has not been handed over by now.
            Some(_) | None => drop(this.lane.bar()),
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outward<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_broken {
            return Poll::Ready(Ok(buf.len()));
        }
        let done = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.watch(cx, done, buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let all = bufs.iter().map(|b| b.len()).sum();
        if this.is_broken {
            return Poll::Ready(Ok(all));
        }
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.watch(cx, done, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_broken {
            return Poll::Ready(Ok(()));
        }
        let done = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch(cx, done, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
