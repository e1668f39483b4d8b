//! A link between two addresses in user space: a delay, and what can go wrong with links.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How the link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It carries everything, after its usual delay.
    Open,
    /// It carries nothing and refuses nothing; what was held back arrives when it opens again.
    Holds,
    /// Connections are dead and do not know it; new ones are refused.
    Forgets,
    /// It carries everything this much later.
    Delays(Duration),
}

/// A link; cut when dropped.
pub(crate) struct Link {
    way: watch::Sender<Way>,
    carrying: Vec<JoinHandle<()>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrying.iter().for_each(JoinHandle::abort);
    }
}

impl Link {
    /// Carries connections from each of the first addresses to the second, each way with this delay.
    pub(crate) fn new(pairs: &[(SocketAddr, SocketAddr)], delay: Duration) -> Self {
        let (way, _) = watch::channel(Way::Open);
        let carry =
            |(from, to): &(SocketAddr, SocketAddr)| tokio::spawn(listen(*from, *to, delay, way.subscribe()));
        Self { carrying: pairs.iter().map(carry).collect(), way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn listen(from: SocketAddr, to: SocketAddr, delay: Duration, mut way: watch::Receiver<Way>) {
    loop {
        let refuses = |way: &Way| *way == Way::Forgets;
        way.wait_for(|way| !refuses(way)).await.unwrap();
        let listener = TcpListener::bind(from).await.unwrap();
        loop {
            let mut changes = way.clone();
            tokio::select! {
                _ = changes.wait_for(refuses) => break,
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    tokio::spawn(carry(stream, to, delay, way.clone()));
                }
            }
        }
    }
}

async fn carry(stream: TcpStream, to: SocketAddr, delay: Duration, mut way: watch::Receiver<Way>) {
    if way.wait_for(|way| *way != Way::Holds).await.is_err() {
        return;
    }
    let Ok(onward) = TcpStream::connect(to).await else { return };
    let _ = (stream.set_nodelay(true), onward.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (stream.into_split(), onward.into_split());
    // What was forgotten stays so, also when the link is well again.
    let dead = Arc::new(watch::channel(false).0);
    let there = half(near_in, far_out, delay, way.clone(), Arc::clone(&dead));
    let back = half(far_in, near_out, delay, way.clone(), Arc::clone(&dead));
    let forgets = async {
        if way.wait_for(|way| *way == Way::Forgets).await.is_ok() {
            dead.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        () = forgets => {}
    }
}

/// One direction: a queue of pieces, each with the moment at which it arrives.
async fn half(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    way: watch::Receiver<Way>,
    dead: Arc<watch::Sender<bool>>,
) {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let taking = {
        let (way, dead) = (way.clone(), dead.subscribe());
        async move {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(read) = from.read(&mut piece).await {
                if *dead.borrow() {
                    std::future::pending::<()>().await;
                }
                let more = match *way.borrow() {
                    Way::Delays(more) => more,
                    Way::Open | Way::Holds | Way::Forgets => Duration::ZERO,
                };
                let sent = queue.send((Instant::now() + delay + more, piece[..read].to_vec())).await;
                if read == 0 || sent.is_err() {
                    return;
                }
            }
        }
    };
    let giving = async move {
        let mut way = way;
        let mut waiting = VecDeque::new();
        while let Some(piece) = queued.recv().await {
            waiting.push_back(piece);
            while let Some((at, bytes)) = waiting.pop_front() {
                sleep_until(at).await;
                let _ = way.wait_for(|way| *way != Way::Holds).await;
                if *dead.borrow() {
                    std::future::pending::<()>().await;
                }
                if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::join!(taking, giving);
}
