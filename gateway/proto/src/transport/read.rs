//! Reads what a peer sends: fed with bytes, tells parts in order.
//!
//! Spec: message-path §2.8, §2.13, §2.14 (order and codes), §5.1 (port 5577). Seen: X-Road 7.8
//! `ProxyMessageDecoder.java`. Ours: refuses every truncation, and anything after the signature.

#[cfg(test)]
mod tests;

use super::mime::{ContentType, Head, Machine, MimeError, Piece};
use super::write::Part;
use crate::fault::{Code, Leaf, SoapFault};
use crate::limits;
use crate::message::soap::{Document, SoapError};

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
    /// A fault in place of what would have followed; in responses only.
    Fault(SoapFault),
    /// The closing boundary: the message is whole.
    End,
}

/// A message that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A `Content-Type` that cannot be read, or with an empty boundary.
    #[error("content type {found:?} cannot be read")]
    ContentType {
        /// What was read.
        found: String,
    },
    /// A `Content-Type` that is no multipart's, or without a boundary.
    #[error("content type {found:?} is not {expected} with a boundary")]
    NotMultipart {
        /// What it must be.
        expected: &'static str,
        /// What was read.
        found: String,
    },
    /// Bytes that are no multipart, or end early.
    #[error("multipart cannot be read")]
    Mime(#[from] MimeError),
    /// A part that may not stand here.
    #[error("expected {expected}, found a part of type {found:?}")]
    PartType {
        /// What may stand here.
        expected: &'static str,
        /// What does.
        found: Option<String>,
    },
    /// A part after the signature or a fault.
    #[error("extra content of type {found:?} after the signature")]
    AfterEnd {
        /// What follows.
        found: Option<String>,
    },
    /// A part with more bytes than its kind may have.
    #[error("{what} has more than {allowed} bytes")]
    TooLarge {
        /// What has.
        what: &'static str,
        /// How many it may have.
        allowed: usize,
    },
    /// More parts of a kind than there may be.
    #[error("message has more than {allowed} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        allowed: usize,
    },
    /// An XML part or answer that must be a fault, and is a message.
    #[error("document is no SOAP fault")]
    NotAFault,
    /// An XML part or answer that must be a fault, and is not even a message.
    #[error("document is no SOAP fault: {0}")]
    Unread(Box<SoapError>),
    /// A request's block in a response, or the reverse.
    #[error("{found} stands where its opposite must")]
    WrongDirection {
        /// What was found.
        found: &'static str,
    },
    /// Nothing of what the message must be.
    #[error("message is not a {0:?}")]
    NoMessage(Expect),
    /// A message that is whole but for its signature.
    #[error("message has no signature")]
    MissingSignature,
}

/// Where in a message we are: what may come next. Spec: message-path §2.14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Message,
    RestBody,
    Attachments,
    Result,
    Chain,
    Signature,
    /// After a fault in place of the message. Seen: X-Road's decoder takes a signature behind it.
    Fault,
    Nothing,
}

/// What a SOAP message is called when it is too large.
const ENVELOPE: &str = "envelope";

/// The part that is being read.
#[derive(Debug)]
enum Open {
    /// Kept until whole.
    Kept { kind: Kept, bytes: Vec<u8> },
    /// Handed on at once.
    Body,
    /// The nested multipart of attachments.
    Attachments,
}

#[derive(Debug)]
enum Kept {
    Ocsp,
    RestRequest,
    RestResponse,
    /// A SOAP message, or a fault in its place.
    Soap(String, Vec<(String, String)>),
    Result,
    Chain,
    Signature,
    Fault,
}

/// Takes a message's bytes in slices of any size.
///
/// Parts come in wire order; body and attachment bytes are handed on at once, all other parts are kept until whole,
/// within [`crate::limits`].
///
/// ```
/// use saatkond_proto::transport::read::{Event, Expect, Reader};
///
/// let message = b"--b\r\ncontent-type: application/x-road-rest-response\r\n\r\n200\r\nOK\r\n\
///     \r\n--b\r\ncontent-type: signature/bdoc-1.0/ts\r\n\r\n<s/>\r\n--b--\r\n";
/// let mut reader = Reader::new("multipart/mixed; boundary=b", Expect::RestResponse)?;
/// let mut seen = Vec::new();
/// for chunk in message.chunks(7) {
///     let mut input = chunk;
///     while let Some(event) = reader.next(&mut input)? {
///         seen.push(match event {
///             Event::RestResponse(block) => block,
///             Event::Signature(signature) => signature,
///             _ => continue,
///         });
///     }
/// }
/// reader.finish()?;
/// assert_eq!(seen, [b"200\r\nOK\r\n".to_vec(), b"<s/>".to_vec()]);
/// # Ok::<(), saatkond_proto::transport::read::ReadError>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    machine: Machine,
    expect: Expect,
    stage: Stage,
    part: Option<Open>,
    in_attachments: bool,
    ocsp: usize,
    attachments: usize,
    /// What the attachments' headers weigh.
    heads: usize,
    failed: Option<ReadError>,
}

// ------------ Reader --------------------------------------------------------

impl Reader {
    /// Begins a message with this HTTP `Content-Type`.
    ///
    /// # Errors
    /// [`ReadError`] unless it is `multipart/mixed` with a boundary.
    pub fn new(content_type: &str, expect: Expect) -> Result<Self, ReadError> {
        let machine = begin(content_type, "multipart/mixed", |base| base == "multipart/mixed")?;
        Ok(Self {
            machine,
            expect,
            stage: Stage::Message,
            part: None,
            in_attachments: false,
            ocsp: 0,
            attachments: 0,
            heads: 0,
            failed: None,
        })
    }

    /// Takes from `input` what the next event needs; `None` when all of it is taken.
    ///
    /// # Errors
    /// [`ReadError`]; the reader then takes nothing more, and says the same again.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Event<'s>>, ReadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.step(input) {
            Ok(Some(Step::Event(event))) => Ok(Some(event)),
            Ok(Some(Step::Piece(bytes))) => Ok(Some(self.streamed(bytes))),
            Ok(Some(Step::Held)) => Ok(Some(self.streamed(self.machine.held()))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the message: nothing more will come.
    ///
    /// # Errors
    /// [`ReadError`] unless [`Event::End`] has come.
    pub fn finish(self) -> Result<(), ReadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let finished = self.machine.finish();
        let has_no_part = self.stage == Stage::Message && self.ocsp == 0 && self.part.is_none();
        match finished {
            // Seen: who sends no multipart at all has sent no message.
            Err(MimeError::Truncated { .. }) if has_no_part && self.expect == Expect::SoapRequest => {
                Err(ReadError::NoMessage(self.expect))
            }
            finished => Ok(finished?),
        }
    }

    const fn streamed<'a>(&self, bytes: &'a [u8]) -> Event<'a> {
        if self.in_attachments { Event::Attachment(bytes) } else { Event::Body(bytes) }
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Step<'i>>, ReadError> {
        while let Some(piece) = self.machine.next(input)? {
            let step = match piece {
                Piece::Part(head) => self.begin_part(head)?.map(Step::Event),
                Piece::Body(bytes) => (!self.keep(Some(bytes))?).then_some(Step::Piece(bytes)),
                Piece::BodyHeld => (!self.keep(None)?).then_some(Step::Held),
                Piece::PartEnd => self.end_part()?.map(Step::Event),
                Piece::Close => self.close()?.map(Step::Event),
            };
            if step.is_some() {
                return Ok(step);
            }
        }
        Ok(None)
    }

    fn begin_part(&mut self, head: Head) -> Result<Option<Event<'static>>, ReadError> {
        if self.in_attachments {
            self.attachments = one_more(self.attachments, limits::ATTACHMENTS_MAX, "attachments")?;
            self.heads += head.weight();
            if self.heads > limits::PART_HEADS_BYTES_MAX {
                let allowed = limits::PART_HEADS_BYTES_MAX;
                return Err(ReadError::TooMany { what: "bytes of part headers", allowed });
            }
            let Head { content_type, headers } = head;
            return Ok(Some(Event::AttachmentStart { content_type, headers }));
        }
        let base = head.content_type.as_deref().map(base_of);
        let kind = match (self.stage, base.as_deref()) {
            (Stage::Fault, Some("signature/bdoc-1.0/ts")) => {
                self.stage = Stage::Nothing;
                Kept::Signature
            }
            (Stage::Fault | Stage::Nothing, _) => {
                return Err(ReadError::AfterEnd { found: head.content_type });
            }
            (Stage::Message, Some("application/ocsp-response")) => {
                self.ocsp = one_more(self.ocsp, limits::OCSP_PARTS_MAX, "OCSP responses")?;
                Kept::Ocsp
            }
            (Stage::Message, Some("application/x-road-rest-request")) => self.block(true)?,
            (Stage::Message, Some("application/x-road-rest-response")) => self.block(false)?,
            (Stage::Message, Some("text/xml" | "application/xop+xml")) => {
                self.stage = Stage::Attachments;
                Kept::Soap(head.content_type.unwrap_or_default(), head.headers)
            }
            (Stage::Message, _) => return Err(unexpected("a message", head)),
            (Stage::RestBody, Some("application/x-road-rest-body")) => {
                self.stage = Stage::Result;
                self.part = Some(Open::Body);
                return Ok(Some(Event::BodyStart));
            }
            (Stage::Attachments, Some("multipart/mixed")) => {
                self.stage = Stage::Result;
                self.part = Some(Open::Attachments);
                self.in_attachments = true;
                let content_type = head.content_type.unwrap_or_default();
                self.machine.open(&boundary_of(&content_type, "multipart/mixed")?)?;
                return Ok(None);
            }
            (Stage::RestBody | Stage::Attachments | Stage::Result, Some("application/hash-chain-result")) => {
                self.stage = Stage::Chain;
                Kept::Result
            }
            (Stage::Chain, Some("application/hash-chain")) => {
                self.stage = Stage::Signature;
                Kept::Chain
            }
            (_, Some("signature/bdoc-1.0/ts")) => {
                self.stage = Stage::Nothing;
                Kept::Signature
            }
            (_, Some("text/xml")) => {
                self.stage = Stage::Nothing;
                Kept::Fault
            }
            _ => return Err(unexpected("a signature", head)),
        };
        self.part = Some(Open::Kept { kind, bytes: Vec::new() });
        Ok(None)
    }

    /// Admits the block of a REST request or response.
    fn block(&mut self, request: bool) -> Result<Kept, ReadError> {
        self.stage = Stage::RestBody;
        match (self.expect, request) {
            (Expect::RestRequest, true) => Ok(Kept::RestRequest),
            (Expect::RestResponse, false) => Ok(Kept::RestResponse),
            (Expect::RestRequest, false) => {
                Err(ReadError::WrongDirection { found: "the block of a response" })
            }
            (Expect::RestResponse, true) => {
                Err(ReadError::WrongDirection { found: "the block of a request" })
            }
            (Expect::SoapRequest | Expect::SoapResponse, _) => Err(ReadError::NoMessage(self.expect)),
        }
    }

    /// Keeps bytes (or those the machine held) if the part is one that is kept; tells whether it is.
    fn keep(&mut self, piece: Option<&[u8]>) -> Result<bool, ReadError> {
        let piece = piece.unwrap_or_else(|| self.machine.held());
        let Some(Open::Kept { kind, bytes }) = &mut self.part else { return Ok(false) };
        let (what, allowed) = kind.bound(self.expect);
        if bytes.len() + piece.len() > allowed {
            return Err(ReadError::TooLarge { what, allowed });
        }
        bytes.extend_from_slice(piece);
        Ok(true)
    }

    fn end_part(&mut self) -> Result<Option<Event<'static>>, ReadError> {
        if self.in_attachments {
            return Ok(Some(Event::AttachmentEnd));
        }
        Ok(match self.part.take() {
            Some(Open::Body) => Some(Event::BodyEnd),
            Some(Open::Attachments) | None => None,
            Some(Open::Kept { kind, bytes }) => Some(match kind {
                Kept::Ocsp => Event::Ocsp(bytes),
                Kept::RestRequest => Event::RestRequest(bytes),
                Kept::RestResponse => Event::RestResponse(bytes),
                Kept::Result => Event::HashChainResult(bytes),
                Kept::Chain => Event::HashChain(bytes),
                Kept::Signature => Event::Signature(bytes),
                Kept::Fault => self.fault(&bytes)?,
                Kept::Soap(content_type, headers) => self.soap(content_type, headers, bytes)?,
            }),
        })
    }

    /// A fault in place of what would have followed. A request cannot be one.
    fn fault(&self, bytes: &[u8]) -> Result<Event<'static>, ReadError> {
        match (plain_fault(bytes)?, self.expect) {
            (_, Expect::RestRequest | Expect::SoapRequest) => Err(ReadError::MissingSignature),
            (fault, Expect::RestResponse | Expect::SoapResponse) => Ok(Event::Fault(fault)),
        }
    }

    /// A SOAP message, or a fault in its place.
    fn soap(
        &mut self,
        content_type: String,
        headers: Vec<(String, String)>,
        envelope: Vec<u8>,
    ) -> Result<Event<'static>, ReadError> {
        // What cannot be read as XML at all is left to whoever reads envelopes.
        let fault = SoapFault::from_xml(&envelope).ok().flatten();
        match (fault, self.expect) {
            (Some(fault), Expect::RestResponse | Expect::SoapResponse) => {
                self.stage = Stage::Fault;
                Ok(Event::Fault(fault))
            }
            (None, Expect::SoapRequest | Expect::SoapResponse) => {
                Ok(Event::Soap { content_type, headers, envelope })
            }
            (_, expect) => Err(ReadError::NoMessage(expect)),
        }
    }

    fn close(&mut self) -> Result<Option<Event<'static>>, ReadError> {
        if !self.machine.is_closed() {
            self.in_attachments = false;
            return Ok(None);
        }
        match self.stage {
            Stage::Fault | Stage::Nothing => Ok(Some(Event::End)),
            Stage::Message => Err(ReadError::NoMessage(self.expect)),
            _ => Err(ReadError::MissingSignature),
        }
    }
}

/// What one turn of the reader yields.
enum Step<'i> {
    Event(Event<'static>),
    Piece(&'i [u8]),
    Held,
}

impl Kept {
    const fn bound(&self, expect: Expect) -> (&'static str, usize) {
        match self {
            Self::Ocsp => ("OCSP response", limits::OCSP_BYTES_MAX),
            Self::RestRequest | Self::RestResponse => ("REST block", limits::BLOCK_BYTES_MAX),
            // In a REST exchange it can only be a fault.
            Self::Soap(..) => match expect {
                Expect::RestRequest | Expect::RestResponse => ("fault", limits::FAULT_BYTES_MAX),
                Expect::SoapRequest | Expect::SoapResponse => (ENVELOPE, limits::ENVELOPE_BYTES_MAX),
            },
            Self::Result | Self::Chain => ("hash chain", limits::HASH_CHAIN_BYTES_MAX),
            Self::Signature => ("signature", limits::SIGNATURE_BYTES_MAX),
            Self::Fault => ("fault", limits::FAULT_BYTES_MAX),
        }
    }
}

fn one_more(count: usize, allowed: usize, what: &'static str) -> Result<usize, ReadError> {
    if count < allowed { Ok(count + 1) } else { Err(ReadError::TooMany { what, allowed }) }
}

fn unexpected(expected: &'static str, head: Head) -> ReadError {
    ReadError::PartType { expected, found: head.content_type }
}

/// The text before the semicolon, in lower case: all that is read of a part's type.
fn base_of(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn boundary_of(content_type: &str, expected: &'static str) -> Result<String, ReadError> {
    let found = || content_type.to_owned();
    let parsed = ContentType::parse(content_type).ok_or_else(|| ReadError::ContentType { found: found() })?;
    match parsed.parameter("boundary") {
        Some("") => Err(ReadError::ContentType { found: found() }),
        Some(boundary) => Ok(boundary.to_owned()),
        None => Err(ReadError::NotMultipart { expected, found: found() }),
    }
}

fn begin(
    content_type: &str,
    expected: &'static str,
    suits: impl FnOnce(&str) -> bool,
) -> Result<Machine, ReadError> {
    let base = base_of(content_type);
    if !base.is_empty() && !suits(&base) {
        return Err(ReadError::NotMultipart { expected, found: content_type.to_owned() });
    }
    Ok(Machine::new(&boundary_of(content_type, expected)?)?)
}

// ------------ ReadError -----------------------------------------------------

impl ReadError {
    /// The code under which it is told, sub-prefix `service_failed` included where it has one.
    ///
    /// Spec: message-path §1.6, §2.14, §4.1, §4.2.
    #[must_use]
    pub fn code(&self) -> Code {
        let decoding = |leaf| Code::of(leaf).under(Leaf::ServiceFailed);
        match self {
            Self::ContentType { .. } => Code::of(Leaf::InternalError),
            Self::NotMultipart { .. } | Self::PartType { .. } => decoding(Leaf::InvalidContentType),
            Self::Mime(MimeError::Truncated { .. }) => decoding(Leaf::IoError),
            Self::TooLarge { what: ENVELOPE, .. } => decoding(Leaf::InvalidSoap),
            Self::Mime(_) | Self::TooLarge { .. } | Self::TooMany { .. } => decoding(Leaf::MimeParsingFailed),
            Self::AfterEnd { .. } | Self::NotAFault => decoding(Leaf::InvalidMessage),
            Self::Unread(error) => error.code().under(Leaf::ServiceFailed),
            Self::WrongDirection { .. } => decoding(Leaf::InternalError),
            Self::NoMessage(Expect::RestRequest) => Code::of(Leaf::InternalError),
            Self::NoMessage(Expect::RestResponse) => Code::of(Leaf::MissingRest),
            Self::NoMessage(Expect::SoapRequest | Expect::SoapResponse) => Code::of(Leaf::MissingSoap),
            Self::MissingSignature => Code::of(Leaf::MissingSignature),
        }
    }
}

// ------------ Answers that are no message -----------------------------------

/// Whether an answer with this `Content-Type` is one fault and no multipart.
#[must_use]
pub fn is_plain_fault(content_type: &str) -> bool {
    base_of(content_type) == "text/xml"
}

/// Reads an answer that is one fault and no multipart.
///
/// # Errors
/// [`ReadError::NotAFault`] for a document that is a message, [`ReadError::Unread`] for one that is not even that.
pub fn plain_fault(body: &[u8]) -> Result<SoapFault, ReadError> {
    match SoapFault::from_xml(body) {
        Ok(Some(fault)) => Ok(fault),
        Ok(None) | Err(_) => match Document::read(body.to_vec(), None) {
            Ok(Document::Fault(fault)) => Ok(fault),
            Ok(Document::Envelope(_)) => Err(ReadError::NotAFault),
            Err(error) => Err(ReadError::Unread(Box::new(error))),
        },
    }
}

/// Reads the answer of a peer's OCSP port: one DER response for each certificate asked for, in order.
///
/// Spec: message-path §5.1.
///
/// # Errors
/// [`ReadError`] for anything but a whole multipart of OCSP responses.
pub fn ocsp_answer(content_type: &str, body: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut machine = begin(content_type, "multipart/related", |base| base.starts_with("multipart/"))?;
    let mut responses: Vec<Vec<u8>> = Vec::new();
    let mut input = body;
    while let Some(piece) = machine.next(&mut input)? {
        let bytes = match &piece {
            Piece::Part(head) => {
                if head.content_type.as_deref().map(base_of).as_deref() != Some(Part::Ocsp.content_type()) {
                    return Err(unexpected("an OCSP response", head.clone()));
                }
                one_more(responses.len(), limits::OCSP_PARTS_MAX, "OCSP responses")?;
                responses.push(Vec::new());
                continue;
            }
            Piece::Body(bytes) => bytes,
            Piece::BodyHeld => machine.held(),
            Piece::PartEnd | Piece::Close => continue,
        };
        if let Some(response) = responses.last_mut() {
            if response.len() + bytes.len() > limits::OCSP_BYTES_MAX {
                return Err(ReadError::TooLarge { what: "OCSP response", allowed: limits::OCSP_BYTES_MAX });
            }
            response.extend_from_slice(bytes);
        }
    }
    machine.finish()?;
    Ok(responses)
}
