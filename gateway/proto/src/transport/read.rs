//! Reads what a peer sends: fed with bytes, tells parts in order.
//!
//! Spec: message-path §2.14. Ours: refuses every truncation, and anything after the signature.

use crate::fault::{Code, Leaf, SoapFault};

/// What a message must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// A REST request, at the provider's gateway.
    RestRequest,
    /// A SOAP request, at the provider's gateway.
    SoapRequest,
    /// A REST response, at the consumer's gateway.
    RestResponse,
    /// A SOAP response, at the consumer's gateway.
    SoapResponse,
}

/// One thing that a message's bytes complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// An OCSP response for a certificate of the sender's TLS chain.
    Ocsp(Vec<u8>),
    /// The block of a REST request.
    RestRequest(Vec<u8>),
    /// The block of a REST response.
    RestResponse(Vec<u8>),
    /// A SOAP envelope.
    Soap {
        /// The part's content type, as it came.
        content_type: String,
        /// The part's other headers.
        headers: Vec<(String, String)>,
        /// The bytes, as they came.
        envelope: Vec<u8>,
    },
    /// A REST body begins; it exists even if nothing follows.
    BodyStart,
    /// The next piece of the REST body.
    Body(&'a [u8]),
    /// The REST body is whole.
    BodyEnd,
    /// An attachment begins.
    AttachmentStart {
        /// Its content type, as it came.
        content_type: Option<String>,
        /// Its other headers.
        headers: Vec<(String, String)>,
    },
    /// The next piece of the attachment.
    Attachment(&'a [u8]),
    /// The attachment is whole.
    AttachmentEnd,
    /// The result of a hash chain.
    HashChainResult(Vec<u8>),
    /// A hash chain.
    HashChain(Vec<u8>),
    /// The signature.
    Signature(Vec<u8>),
    /// A fault in place of what would have followed.
    Fault(SoapFault),
    /// The closing boundary: the message is whole.
    End,
}

/// A message that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// To be told apart below.
    #[error("cannot be read")]
    Unreadable,
}

/// Takes a message's bytes in slices of any size.
///
/// Parts come in wire order; body and attachment bytes are handed on at once, all other parts are kept until whole,
/// within [`crate::limits`].
///
/// ```ignore
/// let mut input = &chunk[..];
/// while let Some(event) = reader.next(&mut input)? { … }
/// // at the end of the connection's body:
/// reader.finish()?;
/// ```
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Begins a message with this HTTP `Content-Type`.
    ///
    /// # Errors
    /// [`ReadError`] unless it is `multipart/mixed` with a boundary.
    pub fn new(_content_type: &str, _expect: Expect) -> Result<Self, ReadError> {
        Err(ReadError::Unreadable)
    }

    /// Takes from `input` what the next event needs; `None` when all of it is taken.
    ///
    /// # Errors
    /// [`ReadError`]; the reader then takes nothing more.
    pub fn next<'s, 'i: 's>(&'s mut self, _input: &mut &'i [u8]) -> Result<Option<Event<'s>>, ReadError> {
        Err(ReadError::Unreadable)
    }

    /// Ends the message: nothing more will come.
    ///
    /// # Errors
    /// [`ReadError`] unless [`Event::End`] has come.
    pub fn finish(self) -> Result<(), ReadError> {
        Err(ReadError::Unreadable)
    }
}

impl ReadError {
    /// The code under which it is told, sub-prefix `service_failed` included where it has one.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(Leaf::InternalError)
    }
}

/// Whether an answer with this `Content-Type` is one fault and no multipart.
#[must_use]
pub fn is_plain_fault(_content_type: &str) -> bool {
    false
}

/// Reads an answer that is one fault and no multipart.
///
/// # Errors
/// [`ReadError`] for a document that is no SOAP fault.
pub fn plain_fault(_body: &[u8]) -> Result<SoapFault, ReadError> {
    Err(ReadError::Unreadable)
}

/// Reads the answer of a peer's OCSP port: one DER response for each certificate asked for, in order.
///
/// Spec: message-path §5.1.
///
/// # Errors
/// [`ReadError`] for anything but a whole multipart of OCSP responses.
pub fn ocsp_answer(_content_type: &str, _body: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
    Err(ReadError::Unreadable)
}
