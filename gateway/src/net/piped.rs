//! A body that a thread writes while it goes out: never whole in memory, never on disk.
//!
//! What was written in part breaks the connection off: its reader must not take it for the whole.

use bytes::{Bytes, BytesMut};
use std::io::{self, Write};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Bytes handed over at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait; more wait with who writes them.
const PIECES_MAX: usize = 2;

/// Where the thread writes. Blocks while nobody takes; fails once nobody will.
#[derive(Debug)]
pub(crate) struct Pipe {
    pieces: mpsc::Sender<Piece>,
    waiting: BytesMut,
}

/// What comes out at the other end.
#[derive(Debug)]
pub(super) struct Piped(mpsc::Receiver<Piece>);

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// The writer is done.
    End,
    Failed(io::Error),
}

/// Starts a thread that writes, and gives what it writes.
pub(super) fn start<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    write: impl FnOnce(&mut Pipe) -> Result<(), E> + Send + 'static,
) -> Piped {
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { pieces, waiting: BytesMut::with_capacity(PIECE_BYTES) };
        let written = write(&mut pipe).map_err(io::Error::other).and_then(|()| pipe.flush());
        let last = match written {
            Ok(()) => Piece::End,
            Err(error) => {
                tracing::warn!(%error, "a body broke off");
                Piece::Failed(error)
            }
        };
        // Whoever has gone away needs no end.
        let _ = pipe.pieces.blocking_send(last);
    });
    Piped(received)
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.get(..PIECE_BYTES - self.waiting.len()).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        if self.waiting.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = self.waiting.split().freeze();
        self.waiting.reserve(PIECE_BYTES);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.pieces.blocking_send(Piece::Bytes(piece)).map_err(gone)
    }
}

impl Piped {
    /// The next piece; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(match ready!(self.0.poll_recv(cx)) {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Some(Piece::End) => None,
            Some(Piece::Failed(error)) => Some(Err(error)),
            None => Some(Err(io::Error::other("who wrote it has ended in its midst"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn taken(mut piped: Piped) -> io::Result<Vec<u8>> {
        let mut taken = Vec::new();
        while let Some(piece) = poll_fn(|cx| piped.poll_next(cx)).await {
            taken.extend_from_slice(&piece?);
        }
        Ok(taken)
    }

    #[tokio::test]
    async fn what_is_written_comes_out_and_ends_where_the_writer_ends() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 5 / 2).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let written = bytes.clone();
        let piped =
            start(move |pipe| pipe.write_all(&written[..10]).and_then(|()| pipe.write_all(&written[10..])));
        assert!(taken(piped).await.unwrap() == bytes);
        assert_eq!(taken(start(|_| Ok::<_, io::Error>(()))).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn what_fails_or_panics_in_its_midst_does_not_look_whole() {
        let failing = start(|pipe| {
            pipe.write_all(&[1; PIECE_BYTES])?;
            Err(io::Error::other("the disk failed"))
        });
        assert_eq!(taken(failing).await.unwrap_err().to_string(), "the disk failed");
        let panicking = start(|pipe| {
            assert!(pipe.write_all(&[1; PIECE_BYTES]).is_err(), "a panic");
            Ok::<_, io::Error>(())
        });
        assert!(taken(panicking).await.is_err());
    }

    #[tokio::test]
    async fn who_writes_for_nobody_is_told() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let piped = start(move |pipe| {
            let written = pipe.write_all(&[0; PIECE_BYTES * (PIECES_MAX + 2)]);
            tell.send(written.as_ref().map_err(io::Error::kind).err()).unwrap();
            written
        });
        drop(piped);
        assert_eq!(told.await.unwrap(), Some(io::ErrorKind::BrokenPipe));
    }
}
