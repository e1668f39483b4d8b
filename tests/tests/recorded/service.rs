//! The provider's information system: it answers as the recorded one did, byte for byte.

use crate::http::{self, Request};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the service does with the next request.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// It says these bytes.
    Says(Vec<u8>),
    /// It says nothing until whoever asked goes away.
    IsSilent,
}

/// The service. Connections are kept, as real ones keep them.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    turns: VecDeque<Turn>,
    asked: Vec<Request>,
}

/// What is said when nothing was recorded: a call arrives that the real server did not let through.
const UNRECORDED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

impl Service {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk: Arc<Mutex<Desk>> = Arc::default();
        let serving = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, desk }
    }

    /// Lays out what is said to the coming requests; what was asked so far is forgotten.
    pub(crate) fn will(&self, turns: impl IntoIterator<Item = Turn>) {
        *self.desk.lock().unwrap() = Desk { turns: turns.into_iter().collect(), asked: Vec::new() };
    }

    /// What it was asked since.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.desk.lock().unwrap().asked.clone()
    }
}

async fn serve(mut stream: TcpStream, desk: Arc<Mutex<Desk>>) {
    let mut held = Vec::new();
    while let Ok(Some(request)) = http::read_request(&mut stream, &mut held).await {
        let is_head = request.method == "HEAD";
        let turn = {
            let mut desk = desk.lock().unwrap();
            desk.asked.push(request);
            desk.turns.pop_front().unwrap_or_else(|| Turn::Says(UNRECORDED.to_vec()))
        };
        match turn {
            Turn::Says(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Turn::IsSilent => {
                while matches!(stream.read_buf(&mut held).await, Ok(1..)) {}
                return;
            }
        }
        if is_head {
            // The recorded service writes a body here, too: nothing may follow it.
            return;
        }
    }
}
