//! Bodies: what comes in piece by piece under a deadline, and what goes out in parts.

use super::outward::Lane;
use super::piped::{self, Pipe, Piped};
use crate::messagelog::{SpoolError, SpoolReader, Spooled};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Bytes that are let go by of a body that nobody wants.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long they may take.
const DISCARDING_MAX: Duration = Duration::from_secs(30);

/// A body that comes in.
#[derive(Debug)]
pub struct Incoming {
    body: hyper::body::Incoming,
    idle: Duration,
    /// Whether the sender waits to be told to go on.
    is_awaited: bool,
    /// Taken from the connection, not yet handed on.
    ahead: Bytes,
    /// Bytes until it counts as ended; `None` for all that come.
    left: Option<u64>,
}

/// A body that did not come whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection broke, or the framing.
    #[error("the body ended early: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("no more of the body came within {allowed:?}")]
    Late {
        /// How long we waited.
        allowed: Duration,
    },
    /// It is larger than what it must be read into.
    #[error("the body has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
}

impl Incoming {
    /// Wraps hyper's body; `idle` is how long the next piece may take.
    pub(crate) const fn new(body: hyper::body::Incoming, idle: Duration) -> Self {
        Self { body, idle, is_awaited: false, ahead: Bytes::new(), left: None }
    }

    /// Says that the sender waits for `100 Continue`, which it is sent when the first piece is asked for.
    pub(crate) const fn awaited(mut self, is_awaited: bool) -> Self {
        self.is_awaited = is_awaited;
        self
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`BodyError`]; a body that broke off never ends with `None`.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.is_awaited = false;
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(mut piece) = self.piece().await? else { return Ok(None) };
        if let Some(left) = &mut self.left {
            let len = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            self.ahead = piece.split_off(len);
            *left -= len as u64;
        }
        Ok(Some(piece))
    }

    /// Lets it count as ended after `len` more bytes; `None` for all that come.
    pub const fn ends_after(&mut self, len: Option<u64>) {
        self.left = len;
    }

    /// Its next `len` bytes; fewer where it ends before.
    ///
    /// # Errors
    /// [`BodyError`].
    ///
    /// # Cancel safety
    /// None.
    pub async fn exactly(&mut self, len: usize) -> Result<Vec<u8>, BodyError> {
        self.ends_after(Some(len as u64));
        let taken = self.whole(len).await;
        self.ends_after(None);
        taken
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        loop {
            let frame = tokio::time::timeout(self.idle, self.body.frame()).await;
            match frame.map_err(|_| BodyError::Late { allowed: self.idle })? {
                None => return Ok(None),
                Some(frame) => match frame?.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }

    /// All of it, when it is small.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > bytes_max {
                return Err(BodyError::TooLarge { bytes_max });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }

    /// Lets the rest go by, within bounds, while an answer is on its way: who still sends would else not see it.
    pub fn discard(mut self) {
        // Who was not told to go on sends nothing.
        if self.is_awaited || self.body.is_end_stream() {
            return;
        }
        tokio::spawn(async move {
            let mut left = DISCARDED_BYTES_MAX;
            let discarding = async {
                while let Ok(Some(piece)) = self.next().await {
                    left = left.saturating_sub(piece.len());
                    if left == 0 {
                        break;
                    }
                }
            };
            let _ = tokio::time::timeout(DISCARDING_MAX, discarding).await;
        });
    }
}

//------------ Outgoing ------------------------------------------------------

/// A body that goes out, part by part.
#[derive(Default)]
pub struct Outgoing {
    parts: VecDeque<Part>,
    reading: Option<Reading>,
    /// Whether its length is told to the other side, or hidden in chunks.
    is_sized: bool,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    Spooled(Spooled),
    Seal(Bytes, Lane),
    Piped(Piped),
}

/// A read of the spool under way: the reader comes back with the piece.
struct Reading(Pin<Box<dyn Future<Output = Read> + Send>>);

struct Read {
    reader: SpoolReader,
    piece: Result<Option<Bytes>, SpoolError>,
}

impl Outgoing {
    /// A body whose length is told.
    #[must_use]
    pub fn sized() -> Self {
        Self { is_sized: true, ..Self::default() }
    }

    /// A body that goes in chunks.
    #[must_use]
    pub fn chunked() -> Self {
        Self::default()
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.parts.push_back(Part::Bytes(bytes));
        }
        self
    }

    /// Adds a body from the spool.
    #[must_use]
    pub fn spooled(mut self, body: &Spooled) -> Self {
        match body.memory() {
            Some(bytes) => self.bytes(bytes.clone()),
            None => {
                self.parts.push_back(Part::Spooled(body.clone()));
                self
            }
        }
    }

    /// Adds the bytes that make the message valid; `lane` tells from then on whether they were handed over.
    #[must_use]
    pub fn seal(mut self, bytes: impl Into<Bytes>, lane: &Lane) -> Self {
        self.parts.push_back(Part::Seal(bytes.into(), lane.clone()));
        self
    }

    /// Adds what a thread of its own writes meanwhile; where that fails, the body breaks off.
    #[must_use]
    pub(crate) fn written<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        mut self,
        write: impl FnOnce(&mut Pipe) -> Result<(), E> + Send + 'static,
    ) -> Self {
        self.parts.push_back(Part::Piped(piped::start(write)));
        self
    }

    fn left(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) | Self::Seal(bytes, _) => bytes.len() as u64,
            Self::Spooled(body) => body.len(),
            // Not known: such a body goes in chunks.
            Self::Piped(_) => 0,
        }
    }
}

impl Reading {
    fn start(mut reader: SpoolReader) -> Self {
        Self(Box::pin(async move {
            let piece = reader.next().await;
            Read { reader, piece }
        }))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let Read { reader, piece } = ready!(reading.0.as_mut().poll(cx));
                self.reading = None;
                if let Some(piece) = piece.map_err(io::Error::other)? {
                    self.reading = Some(Reading::start(reader));
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                continue;
            }
            match self.parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Part::Seal(bytes, lane)) => {
                    if lane.hand() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                    // The connection is broken; whoever reads from it ends it.
                    self.parts.push_front(Part::Seal(bytes, lane));
                    return Poll::Pending;
                }
                Some(Part::Piped(mut piped)) => match piped.poll_next(cx) {
                    Poll::Ready(None) => {}
                    piece => {
                        self.parts.push_front(Part::Piped(piped));
                        return piece.map_ok(Frame::data);
                    }
                },
                Some(Part::Spooled(body)) => self.reading = Some(Reading::start(body.reader())),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none() && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // hyper asks before the first piece is taken.
        if self.is_sized && self.reading.is_none() {
            SizeHint::with_exact(self.left())
        } else {
            SizeHint::default()
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes in {} parts)", self.left(), self.parts.len())
    }
}
