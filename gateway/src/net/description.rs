//! Reading the WSDL or OpenAPI document of a service, from where `server.toml` says.

use super::fetch::{self, Bounds, FetchError, Meeting};
use crate::conf::Description;
use saatkond_proto::limits;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What reading one may cost. Seen: X-Road 7.8 `HttpUrlConnectionConfig.java`, 30 s each.
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(30),
    whole: Duration::from_secs(30),
    bytes_max: limits::DESCRIPTION_BYTES_MAX,
};

/// A description that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// Its server cannot be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its server answers something else. No redirect is followed.
    #[error("{url}: status {status}{}, expected 200", location.as_ref().map(|l| format!(" to {l}")).unwrap_or_default())]
    Status {
        /// Whom we asked.
        url: String,
        /// The status.
        status: u16,
        /// Where it sends us.
        location: Option<String>,
    },
    /// Its file cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file is larger than is read.
    #[error("{}: larger than {} bytes", file.display(), limits::DESCRIPTION_BYTES_MAX)]
    TooLarge {
        /// Which.
        file: PathBuf,
    },
}

/// Reads a description: whole, as it is, and no larger than [`limits::DESCRIPTION_BYTES_MAX`].
///
/// # Errors
/// [`DescriptionError`].
///
/// # Cancel safety
/// A dropped call leaves at most the reading of a file to its end.
pub async fn read(description: &Description, meeting: &Meeting) -> Result<Vec<u8>, DescriptionError> {
    match description {
        Description::Url(url) => {
            let answer = fetch::get_meeting(url, Some("*/*"), meeting, BOUNDS).await?;
            if answer.status == 200 {
                return Ok(answer.body);
            }
            let location = answer.header("location").map(str::to_owned);
            Err(DescriptionError::Status { url: url.clone(), status: answer.status, location })
        }
        Description::File(file) => {
            let owned = file.clone();
            let read = tokio::task::spawn_blocking(move || read_file(&owned)).await;
            read.unwrap_or_else(|error| {
                Err(DescriptionError::File { file: file.clone(), source: io::Error::other(error) })
            })
        }
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, DescriptionError> {
    let unread = |source| DescriptionError::File { file: file.to_owned(), source };
    let opened = std::fs::File::open(file).map_err(unread)?;
    if !opened.metadata().map_err(unread)?.is_file() {
        return Err(unread(io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    let allowed = limits::DESCRIPTION_BYTES_MAX as u64;
    opened.take(allowed + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > allowed {
        return Err(DescriptionError::TooLarge { file: file.to_owned() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::TestDir;
    use rustls::pki_types::PrivateKeyDer;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// A server that answers one caller so; over TLS, with a key of its own, when `key` is there.
    async fn server(answer: &'static str, key: Option<&rcgen::CertifiedKey<rcgen::KeyPair>>) -> Description {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = key.map(|key| {
            let der = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
            let config = rustls::ServerConfig::builder_with_provider(super::super::tls::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![key.cert.der().clone()], der);
            TlsAcceptor::from(Arc::new(config.unwrap()))
        });
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut heard = [0; 4096];
            if let Some(acceptor) = acceptor {
                let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                let _ = stream.read(&mut heard).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            } else {
                let mut stream = tcp;
                let _ = stream.read(&mut heard).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Description::Url(format!("{scheme}://{address}/api.yaml?x"))
    }

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    #[tokio::test]
    async fn a_document_is_read_from_a_server_and_nothing_else_is() {
        let open = Meeting::default();
        assert_eq!(read(&server(ANSWER, None).await, &open).await.unwrap(), b"abc");
        let moved = "HTTP/1.1 302 Found\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n";
        let error = read(&server(moved, None).await, &open).await.unwrap_err();
        assert!(error.to_string().ends_with(": status 302 to http://b/, expected 200"), "{error}");
        let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(
            read(&server(gone, None).await, &open).await,
            Err(DescriptionError::Status { status: 404, location: None, .. })
        ));
        let nobody = Description::Url("http://127.0.0.1:1/".to_owned());
        assert!(matches!(read(&nobody, &open).await, Err(DescriptionError::Fetch(_))));
    }

    #[tokio::test]
    async fn over_tls_the_server_shows_a_certificate_that_is_known() {
        let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (known, other) = (made("known.test"), made("other.test"));
        let pinned = Some(vec![known.cert.der().to_vec()]);
        let meeting = Meeting { ours: None, pinned };
        assert_eq!(read(&server(ANSWER, Some(&known)).await, &meeting).await.unwrap(), b"abc");
        let error = read(&server(ANSWER, Some(&other)).await, &meeting).await.unwrap_err();
        assert!(error.to_string().contains("its TLS certificate is none of those"), "{error}");
        let any = Meeting::default();
        assert_eq!(read(&server(ANSWER, Some(&other)).await, &any).await.unwrap(), b"abc");
    }

    #[tokio::test]
    async fn a_document_is_read_from_a_file() {
        let dir = TestDir::new("description");
        let file = dir.0.join("land.wsdl");
        std::fs::write(&file, "abc").unwrap();
        let open = Meeting::default();
        assert_eq!(read(&Description::File(file.clone()), &open).await.unwrap(), b"abc");
        std::fs::write(&file, vec![b' '; limits::DESCRIPTION_BYTES_MAX + 1]).unwrap();
        let large = read(&Description::File(file.clone()), &open).await.unwrap_err();
        assert!(matches!(large, DescriptionError::TooLarge { .. }), "{large}");
        let folder = read(&Description::File(dir.0.clone()), &open).await.unwrap_err();
        assert!(folder.to_string().ends_with("it is no file"), "{folder}");
        let nothing = read(&Description::File(dir.0.join("no")), &open).await.unwrap_err();
        assert!(matches!(nothing, DescriptionError::File { .. }), "{nothing}");
    }
}
