//! An information system that asks.

use crate::federation::Holder;
use crate::patiently;
use crate::wire::{self, Head, Wire};
use rustls::ClientConfig;
use saatkond::net::tls;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::message::rest::from_latin1;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A request, as it will be said.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// Header lines, without those that frame the body.
    pub lines: Vec<(String, String)>,
    /// The body; `None` says nothing of one.
    pub body: Option<Vec<u8>>,
    /// Bytes of each chunk, where it is sent in chunks.
    pub chunk: Option<usize>,
}

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its head, as it came.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

/// One connection of an information system to its gateway.
pub struct Caller(Wire);

impl Ask {
    /// Asks the Land Board in the Tax Board's name; `path` begins with the service's code.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            method: method.to_owned(),
            target: format!("/r1/DEV/GOV/M2/LAND/{path}"),
            lines: vec![line("Host", "gateway"), line("X-Road-Client", "DEV/GOV/M1/TAX")],
            body: None,
            chunk: None,
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST of some JSON.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).line("Content-Type", "application/json").body(body)
    }

    /// With one more header line.
    #[must_use]
    pub fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In the name of another client.
    #[must_use]
    pub fn client(mut self, client: &str) -> Self {
        self.lines.retain(|(name, _)| name != "X-Road-Client");
        self.line("X-Road-Client", client)
    }

    /// With another target.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// With a body, its length told.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With its body in chunks of so many bytes.
    #[must_use]
    pub fn chunked(mut self, chunk: usize) -> Self {
        self.chunk = Some(chunk);
        self
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut lines = self.lines.clone();
        match (&self.body, self.chunk) {
            (Some(_), Some(_)) => lines.push(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
            (Some(body), None) => lines.push(("Content-Length".to_owned(), body.len().to_string())),
            (None, _) => {}
        }
        let mut bytes = wire::head(&format!("{} {} HTTP/1.1", self.method, self.target), &lines);
        match (&self.body, self.chunk) {
            (Some(body), Some(chunk)) => bytes.extend(wire::chunked(body, chunk)),
            (Some(body), None) => bytes.extend_from_slice(body),
            (None, _) => {}
        }
        bytes
    }
}

impl Heard {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The first value under a name.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<&str> {
        self.head.line(name)
    }

    /// All values under a name, in order.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let of_name = self.head.lines.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The fault code that it tells; empty for none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.line("x-road-error").unwrap_or_default()
    }

    /// The SOAP fault that it tells.
    #[must_use]
    pub fn fault(&self) -> Option<SoapFault> {
        SoapFault::from_xml(&self.body).ok().flatten()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        from_latin1(&self.body)
    }
}

impl Caller {
    /// Connects over HTTP.
    pub async fn connect(to: SocketAddr) -> Self {
        Self(Wire::new(TcpStream::connect(to).await.unwrap()))
    }

    /// Connects over HTTPS, and shows a certificate where there is one.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn connect_tls(to: SocketAddr, shows: Option<&Holder>) -> io::Result<Self> {
        Self::connect_by(to, tls::to_services(shows.map(|holder| holder.certified(&[])))).await
    }

    /// Connects over HTTPS as this configuration says.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn connect_by(to: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = tls::server_name(&to.ip().to_string())?;
        let tcp = TcpStream::connect(to).await?;
        Ok(Self(Wire::new(TlsConnector::from(config).connect(name, tcp).await?)))
    }

    /// Asks, and reads the answer to its end.
    pub async fn ask(&mut self, ask: &Ask) -> Heard {
        self.try_ask(ask).await.unwrap()
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// The connection's.
    pub async fn try_ask(&mut self, ask: &Ask) -> io::Result<Heard> {
        // What is sent and what is answered may cross: a gateway may refuse before it has read all.
        let said = self.0.say(&ask.bytes()).await;
        let heard = self.hear(&ask.method).await;
        said.and(heard)
    }

    /// Says bytes.
    ///
    /// # Errors
    /// The connection's.
    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.say(bytes).await
    }

    /// Says that nothing more will be said.
    ///
    /// # Errors
    /// The connection's.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.0.finish().await
    }

    /// Reads the answer to a request with this method.
    ///
    /// # Errors
    /// The connection's; an end in the middle.
    pub async fn hear(&mut self, method: &str) -> io::Result<Heard> {
        patiently("an answer came", async {
            let head = self.0.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let body = self.0.body(head.end_of_answer(method)).await?;
            Ok(Heard { head, body })
        })
        .await
    }

    /// Whether the gateway has ended the connection. Waits for it, or for whatever else comes.
    pub async fn has_ended(&mut self) -> bool {
        patiently("the connection ended", self.0.has_ended()).await
    }
}
