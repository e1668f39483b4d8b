//! An information system that answers.

use crate::federation::Holder;
use crate::seen::{Gate, Seen};
use crate::wire::{self, Wire};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use saatkond::net::tls;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a service was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which connection it came on, from 1.
    pub connection: usize,
    /// What the caller showed in TLS (DER).
    pub shown: Option<Vec<u8>>,
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// Header lines, in order.
    pub lines: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a service says.
#[derive(Debug, Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    closes: bool,
    gate: Option<Gate>,
}

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    /// Where.
    pub address: SocketAddr,
    /// What it was asked.
    pub asked: Seen<Asked>,
    is_tls: bool,
    running: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Asked {
    /// The first value under a name.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<&str> {
        wire::line(&self.lines, name)
    }

    /// All values under a name, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.lines.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

impl Answer {
    /// Status and reason, header lines, body with its length told.
    #[must_use]
    pub fn new(status: &str, lines: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut lines: Vec<_> = lines.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        lines.push(("Content-Length".to_owned(), body.len().to_string()));
        let mut bytes = wire::head(&format!("HTTP/1.1 {status}"), &lines);
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// 200, and some JSON.
    #[must_use]
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::new("200 OK", &[("Content-Type", "application/json")], body)
    }

    /// These bytes.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), closes: false, gate: None }
    }

    /// And closes the connection.
    #[must_use]
    pub const fn close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Once this gate is open.
    #[must_use]
    pub fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

impl Service {
    /// Answers over HTTP.
    pub async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(None, answer).await
    }

    /// Answers over HTTPS, showing `holder`.
    pub async fn start_tls(
        holder: &Holder,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let config = tls::from_information_systems(holder.certified(&[])).unwrap();
        Self::start_by(config, answer).await
    }

    /// Answers over HTTPS as this configuration says.
    pub async fn start_by(
        config: Arc<ServerConfig>,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::on(Some(TlsAcceptor::from(config)), answer).await
    }

    async fn on(tls: Option<TlsAcceptor>, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_tls) = (Seen::default(), tls.is_some());
        let script = Arc::new(Script { answer: Box::new(answer), asked: asked.clone(), tls });
        let running = tokio::spawn(async move {
            let number = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                let connection = number.fetch_add(1, Ordering::Relaxed) + 1;
                let script = Arc::clone(&script);
                tokio::spawn(async move { script.serve(stream, connection).await });
            }
        });
        Self { address, asked, is_tls, running }
    }

    /// Its URL; `path` begins with a slash, or is empty.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.is_tls { "https" } else { "http" }, self.address)
    }
}

struct Script {
    answer: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
    asked: Seen<Asked>,
    tls: Option<TlsAcceptor>,
}

impl Script {
    async fn serve(&self, stream: TcpStream, connection: usize) {
        match &self.tls {
            None => self.answer(Wire::new(stream), connection, None).await,
            Some(tls) => {
                let Ok(stream) = tls.accept(stream).await else { return };
                let shown = stream.get_ref().1.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
                let shown = shown.map(|certificate| certificate.to_vec());
                self.answer(Wire::new(stream), connection, shown).await;
            }
        }
    }

    async fn answer(&self, mut wire: Wire, connection: usize, shown: Option<Vec<u8>>) {
        while let Ok(Some(head)) = wire.head().await {
            let Ok(body) = wire.body(head.end()).await else { return };
            let mut words = head.first.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (method, target) = (word(), word());
            let asked = Asked { connection, shown: shown.clone(), method, target, lines: head.lines, body };
            let asked = self.asked.add(asked);
            let answer = (self.answer)(&asked);
            if let Some(gate) = &answer.gate {
                gate.pass().await;
            }
            if wire.say(&answer.bytes).await.is_err() {
                return;
            }
            if answer.closes {
                let _ = wire.finish().await;
                return;
            }
        }
    }
}
