//! One question to a trust service or a configuration source: one connection, one answer, bounded in time and size.
//!
//! What comes back is signed (directories, OCSP responses, time-stamps), so TLS proves nothing here that the signature
//! does not: for `https` URLs the server must hold the key of the certificate that it shows, whatever that is. Only a
//! description of a service is not signed: it comes from whom the service's provider trusts ([`Meeting`]).

use super::tls;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::sign::CertifiedKey;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// What a question may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connecting, TLS included.
    pub connect: Duration,
    /// From connected to the end of the answer.
    pub whole: Duration,
    /// Bytes of the answer's body.
    pub bytes_max: usize,
}

/// As whom, and whom, an information system's server is met over TLS.
#[derive(Debug, Clone, Default)]
pub struct Meeting {
    /// The internal key, which is shown to who asks for one.
    pub ours: Option<Arc<CertifiedKey>>,
    /// Certificates of which it must show one; `None` where any will do.
    pub pinned: Option<Vec<Vec<u8>>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No URL to ask.
    #[error("{url:?} is no http or https URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// Not connected, or the connection broke.
    #[error("{url}: {source}")]
    Io {
        /// Whom we asked.
        url: String,
        /// What happened.
        source: io::Error,
    },
    /// It took too long.
    #[error("{url}: no {what} within {allowed:?}")]
    Late {
        /// Whom we asked.
        url: String,
        /// What did not come: `connection`, `answer`.
        what: &'static str,
        /// How long we waited.
        allowed: Duration,
    },
    /// The answer breaks HTTP.
    #[error("{url}: {source}")]
    Http {
        /// Whom we asked.
        url: String,
        /// How.
        source: hyper::Error,
    },
    /// The answer is larger than allowed.
    #[error("{url}: answer has more than {bytes_max} bytes")]
    TooLarge {
        /// Whom we asked.
        url: String,
        /// The bound.
        bytes_max: usize,
    },
}

impl Answer {
    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Asks with GET.
///
/// # Errors
/// [`FetchError`]; a status other than 200 is an answer, not an error.
pub async fn get(url: &str, accept: Option<&str>, bounds: Bounds) -> Result<Answer, FetchError> {
    ask(url, accept, None, None, bounds).await
}

/// Asks an information system's server with GET.
///
/// # Errors
/// [`FetchError`]; a status other than 200 is an answer, not an error.
pub async fn get_meeting(
    url: &str,
    accept: Option<&str>,
    meeting: &Meeting,
    bounds: Bounds,
) -> Result<Answer, FetchError> {
    ask(url, accept, None, Some(meeting), bounds).await
}

/// Asks with POST.
///
/// # Errors
/// [`FetchError`]; a status other than 200 is an answer, not an error.
pub async fn post(
    url: &str,
    content_type: &str,
    body: Vec<u8>,
    accept: Option<&str>,
    bounds: Bounds,
) -> Result<Answer, FetchError> {
    ask(url, accept, Some((content_type, body)), None, bounds).await
}

/// Asks a server that must be met as told, with POST: content type and body.
///
/// # Errors
/// [`FetchError`]; a status other than 200 is an answer, not an error.
pub async fn post_meeting(
    url: &str,
    (content_type, body): (&str, Vec<u8>),
    meeting: &Meeting,
    bounds: Bounds,
) -> Result<Answer, FetchError> {
    ask(url, None, Some((content_type, body)), Some(meeting), bounds).await
}

async fn ask(
    url: &str,
    accept: Option<&str>,
    post: Option<(&str, Vec<u8>)>,
    meeting: Option<&Meeting>,
    bounds: Bounds,
) -> Result<Answer, FetchError> {
    let place = Place::from_url(url).ok_or_else(|| FetchError::Url { url: url.to_owned() })?;
    let request = request(&place, accept, post).ok_or_else(|| FetchError::Url { url: url.to_owned() })?;
    let late = |what, allowed| FetchError::Late { url: url.to_owned(), what, allowed };
    let io = |source| FetchError::Io { url: url.to_owned(), source };
    let connected = timeout(bounds.connect, connect(&place, meeting)).await;
    let stream = connected.map_err(|_| late("connection", bounds.connect))?.map_err(io)?;
    let whole = timeout(bounds.whole, exchange(url, stream, request, bounds.bytes_max)).await;
    whole.map_err(|_| late("answer", bounds.whole))?
}

/// Where to connect, and what to ask for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Host and port as the `Host` header carries them.
    pub authority: String,
    /// Path and query, never empty.
    pub target: String,
}

impl Place {
    /// Splits an `http` or `https` URL; `None` for anything else, or one with a name and password.
    pub fn from_url(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Some(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            target: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        })
    }
}

fn request(
    place: &Place,
    accept: Option<&str>,
    post: Option<(&str, Vec<u8>)>,
) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::builder().uri(&place.target).header(header::HOST, &place.authority);
    request = request.header(header::CONNECTION, "close");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    match post {
        Some((content_type, body)) => request
            .method("POST")
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body)))
            .ok(),
        None => request.method("GET").body(Full::default()).ok(),
    }
}

/// A plain or TLS connection.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(place: &Place, meeting: Option<&Meeting>) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((place.host.as_str(), place.port)).await?;
    tcp.set_nodelay(true)?;
    if !place.tls {
        return Ok(Box::new(tcp));
    }
    let name = tls::server_name(&place.host)?;
    let Some(meeting) = meeting else { return Ok(Box::new(tls::fetching().connect(name, tcp).await?)) };
    let stream = TlsConnector::from(tls::to_services(meeting.ours.clone())).connect(name, tcp).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    match &meeting.pinned {
        Some(pinned) if !shown.is_some_and(|shown| pinned.iter().any(|p| p.as_slice() == shown.as_ref())) => {
            Err(io::Error::other("its TLS certificate is none of those that it may show"))
        }
        _ => Ok(Box::new(stream)),
    }
}

async fn exchange(
    url: &str,
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Answer, FetchError> {
    let broken = |source| FetchError::Http { url: url.to_owned(), source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let Ok(bytes) = frame.map_err(broken)?.into_data() else { continue };
            if body.len() + bytes.len() > bytes_max {
                return Err(FetchError::TooLarge { url: url.to_owned(), bytes_max });
            }
            body.extend_from_slice(&bytes);
        }
        let headers = head.headers.iter();
        let headers =
            headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
        Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body })
    };
    // The connection is driven beside the question and dropped with it: no task is left behind.
    tokio::pin!(connection);
    tokio::pin!(asking);
    let mut driving = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut asking => return answer,
            _ = &mut connection, if driving => driving = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const BOUNDS: Bounds =
        Bounds { connect: Duration::from_secs(5), whole: Duration::from_secs(5), bytes_max: 10 };

    /// Answers one connection with these bytes; returns the URL and what was asked.
    async fn source(answer: &'static [u8]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/conf?version=6", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let n = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8(asked[..n].to_vec()).unwrap()
        });
        (url, asked)
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole() {
        let (url, asked) = source(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\n\r\nabc").await;
        let answer = get(&url, Some("text/xml"), BOUNDS).await.unwrap();
        assert_eq!((answer.status, answer.header("x-a"), &answer.body[..]), (404, Some("1"), &b"abc"[..]));
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /conf?version=6 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("accept: text/xml\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_larger_or_shorter_answer_is_refused() {
        let (url, _) = source(b"HTTP/1.1 200 OK\r\n\r\n0123456789a").await;
        assert!(matches!(get(&url, None, BOUNDS).await, Err(FetchError::TooLarge { bytes_max: 10, .. })));
        let (url, _) = source(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").await;
        assert!(matches!(get(&url, None, BOUNDS).await, Err(FetchError::Http { .. })));
    }

    #[test]
    fn only_http_urls_are_places() {
        let place = Place::from_url("http://[::1]:8080/a?b").unwrap();
        assert_eq!((place.host.as_str(), place.port, place.target.as_str()), ("::1", 8080, "/a?b"));
        let place = Place::from_url("https://conf.example").unwrap();
        assert_eq!((place.tls, place.port, place.target.as_str()), (true, 443, "/"));
        for url in ["ftp://a/", "/a", "http://u:p@a/", "http://", "a b"] {
            assert_eq!(Place::from_url(url), None, "{url}");
        }
    }
}
