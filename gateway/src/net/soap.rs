//! SOAP messages, as information systems send them and are sent them: an envelope, alone or with attachments.
//!
//! Spec: message-path §1.5.1, §1.5.3, §1.5.4, §2.15. Envelope and attachments are carried byte for byte, transfer encodings
//! and all; part headers keep their order.

use super::body::{BodyError, Incoming, Outgoing};
use super::message::{self, Attachment, Outbound, PartHead};
use crate::messagelog::{Spool, SpoolError, Spooled};
use bytes::Bytes;
use saatkond_proto::fault::{Code, Fault, Leaf, Origin, Side};
use saatkond_proto::limits;
use saatkond_proto::message::soap::{Document, Envelope, SoapError};
use saatkond_proto::transport::mime::{ContentType, Head, Machine, MimeError, Piece};
use saatkond_proto::transport::write::Related;

/// What an information system is told of an envelope that stands alone. Seen: message-path §1.5.4, §2.15.
const ALONE: &str = "text/xml; charset=UTF-8";

/// A SOAP message without its attachments.
#[derive(Debug)]
pub struct Letter {
    /// The envelope.
    pub envelope: Envelope,
    /// How the envelope was headed, as a part or as all there is.
    pub head: PartHead,
    /// The content type of the whole, as the information system sent it.
    pub content_type: String,
}

/// A SOAP message that comes in, attachments not yet taken.
#[derive(Debug)]
pub struct Opened<'a> {
    content_type: String,
    /// `None` for an envelope that stands alone.
    machine: Option<Machine>,
    body: &'a mut Incoming,
    chunk: Bytes,
    taken: usize,
}

/// A message of an information system that is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// A content type that none of a message's parts may have.
    #[error("Invalid content type: {found}")]
    ContentType {
        /// What was read.
        found: String,
    },
    /// A multipart without a part.
    #[error("the message has no SOAP envelope")]
    NoMessage,
    /// Bytes that are no multipart.
    #[error("multipart cannot be read: {0}")]
    Mime(#[from] MimeError),
    /// A larger envelope than is read.
    #[error("the envelope has more than {allowed} bytes")]
    TooLarge {
        /// How many it may have.
        allowed: usize,
    },
    /// More than one of the bounds.
    #[error("the message has more than {allowed} {what}")]
    Bound {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        allowed: usize,
    },
    /// An envelope that is none.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// It did not come whole.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The spool does not take it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What the next bytes complete.
enum Next {
    Part(Head),
    Bytes(Bytes),
    PartEnd,
    Close,
}

//------------ Opened --------------------------------------------------------

impl<'a> Opened<'a> {
    /// Begins a message with this HTTP `Content-Type`.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn new(content_type: &str, body: &'a mut Incoming) -> Result<Self, Unread> {
        let wrong = || Unread::ContentType { found: content_type.to_owned() };
        let machine = match base_of(content_type).as_str() {
            "text/xml" | "application/xop+xml" => None,
            "multipart/related" => Some(Machine::new(&boundary_of(content_type).ok_or_else(wrong)?)?),
            _ => return Err(wrong()),
        };
        Ok(Self { content_type: content_type.to_owned(), machine, body, chunk: Bytes::new(), taken: 0 })
    }

    /// Reads the envelope, or the fault in its place.
    ///
    /// # Errors
    /// [`Unread`].
    ///
    /// # Cancel safety
    /// None.
    pub async fn document(&mut self) -> Result<(PartHead, Document), Unread> {
        let too_large = || Unread::TooLarge { allowed: limits::ENVELOPE_BYTES_MAX };
        let mut bytes = Vec::new();
        let mut head = None;
        if self.machine.is_none() {
            bytes = match self.body.whole(limits::ENVELOPE_BYTES_MAX).await {
                Err(BodyError::TooLarge { .. }) => return Err(too_large()),
                whole => whole?,
            };
            head = Some(PartHead { content_type: Some(self.content_type.clone()), headers: Vec::new() });
        } else {
            loop {
                match self.next().await? {
                    Some(Next::Part(part)) => head = Some(message_head(part)?),
                    Some(Next::Bytes(piece)) if bytes.len() + piece.len() > limits::ENVELOPE_BYTES_MAX => {
                        return Err(too_large());
                    }
                    Some(Next::Bytes(piece)) => bytes.extend_from_slice(&piece),
                    Some(Next::PartEnd) => break,
                    Some(Next::Close) => return Err(Unread::NoMessage),
                    None => match (head, self.finish()) {
                        (None, _) => return Err(Unread::NoMessage),
                        // Seen: a fault that is whole needs nothing behind it.
                        (Some(head), Err(cut)) => match read(bytes, &head) {
                            Ok(Document::Fault(fault)) => return Ok((head, Document::Fault(fault))),
                            _ => return Err(cut),
                        },
                        (Some(_), Ok(())) => return Err(Unread::NoMessage),
                    },
                }
            }
        }
        let head = head.unwrap_or_default();
        let document = read(bytes, &head)?;
        Ok((head, document))
    }

    /// Whether the envelope is all of the message.
    #[must_use]
    pub const fn stands_alone(&self) -> bool {
        self.machine.is_none()
    }

    /// Takes the attachments to the spool.
    ///
    /// # Errors
    /// [`Unread`].
    ///
    /// # Cancel safety
    /// None.
    pub async fn attachments(mut self, spool: &Spool) -> Result<Vec<Attachment>, Unread> {
        let (mut attachments, mut writer) = (Vec::new(), spool.writer());
        let (mut open, mut heads) = (None, 0);
        while self.machine.is_some() {
            match (self.next().await?, &mut open) {
                (Some(Next::Part(_)), _) if attachments.len() == limits::ATTACHMENTS_MAX => {
                    return Err(Unread::Bound { what: "attachments", allowed: limits::ATTACHMENTS_MAX });
                }
                (Some(Next::Part(Head { content_type: None, .. })), _) => {
                    return Err(Unread::ContentType { found: "none, of an attachment".to_owned() });
                }
                (Some(Next::Part(part)), _) => {
                    heads += part.weight();
                    if heads > limits::PART_HEADS_BYTES_MAX {
                        let allowed = limits::PART_HEADS_BYTES_MAX;
                        return Err(Unread::Bound { what: "bytes of part headers", allowed });
                    }
                    let Head { content_type, headers } = part;
                    open = Some(PartHead { content_type, headers });
                }
                (Some(Next::Bytes(piece)), Some(_)) => writer.write(&piece).await?,
                (Some(Next::PartEnd), _) => {
                    if let Some(head) = open.take() {
                        attachments.push(Attachment { head, body: writer.finish().await? });
                    }
                }
                (Some(Next::Bytes(_) | Next::Close), _) => {}
                (None, _) => {
                    self.finish()?;
                    break;
                }
            }
        }
        Ok(attachments)
    }

    fn finish(&self) -> Result<(), Unread> {
        match &self.machine {
            Some(machine) => Ok(machine.finish()?),
            None => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Option<Next>, Unread> {
        let Some(machine) = &mut self.machine else { return Ok(None) };
        loop {
            let chunk = self.chunk.clone();
            let mut input = chunk.get(self.taken..).unwrap_or_default();
            let piece = machine.next(&mut input)?;
            self.taken = chunk.len() - input.len();
            return Ok(Some(match piece {
                Some(Piece::Part(head)) => Next::Part(head),
                Some(Piece::Body(bytes)) => Next::Bytes(chunk.slice_ref(bytes)),
                Some(Piece::BodyHeld) => Next::Bytes(Bytes::copy_from_slice(machine.held())),
                Some(Piece::PartEnd) => Next::PartEnd,
                Some(Piece::Close) => Next::Close,
                None => match self.body.next().await? {
                    Some(chunk) => {
                        (self.chunk, self.taken) = (chunk, 0);
                        continue;
                    }
                    None => return Ok(None),
                },
            }));
        }
    }
}

fn read(bytes: Vec<u8>, head: &PartHead) -> Result<Document, Unread> {
    Ok(Document::read(bytes, head.content_type.as_deref())?)
}

/// The head of the part that must be the envelope.
fn message_head(part: Head) -> Result<PartHead, Unread> {
    let Head { content_type, headers } = part;
    match content_type.as_deref().map(base_of).as_deref() {
        Some("text/xml" | "application/xop+xml") => Ok(PartHead { content_type, headers }),
        _ => Err(Unread::ContentType {
            found: content_type.unwrap_or_else(|| "none, of the first part".to_owned()),
        }),
    }
}

fn base_of(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn boundary_of(content_type: &str) -> Option<String> {
    let parsed = ContentType::parse(content_type)?;
    parsed.parameter("boundary").filter(|b| !b.is_empty()).map(str::to_owned)
}

//------------ Letter --------------------------------------------------------

impl Letter {
    /// An envelope of ours that stands alone, in UTF-8.
    #[must_use]
    pub fn alone(envelope: Envelope) -> Self {
        let head = PartHead { content_type: Some(ALONE.to_owned()), headers: Vec::new() };
        Self { envelope, head, content_type: ALONE.to_owned() }
    }

    /// An envelope of ours with attachments, in UTF-8.
    #[must_use]
    pub fn related(envelope: Envelope, boundary: &str) -> Self {
        let content_type =
            format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}");
        Self { content_type, ..Self::alone(envelope) }
    }

    /// As another gateway is sent it.
    #[must_use]
    pub fn outbound(&self) -> Outbound<'_> {
        Outbound::Soap(&self.head, self.envelope.bytes())
    }

    /// Whether an information system can be told it with these attachments.
    ///
    /// # Errors
    /// [`Fault`] with `internal_error` when its content type has no boundary and would need one.
    pub fn can_be_told(&self, attachments: &[Attachment]) -> Result<(), Fault> {
        let is_related = base_of(&self.content_type) == "multipart/related";
        let has_boundary = boundary_of(&self.content_type).is_some_and(|b| Machine::new(&b).is_ok());
        let can_be_related = is_related && has_boundary;
        if can_be_related || (attachments.is_empty() && !is_related) {
            return Ok(());
        }
        let detail = format!("content type {:?} has no boundary to tell attachments with", self.content_type);
        Err(Fault::new(Leaf::InternalError, detail).at(Side::Peer))
    }

    /// Refuses a message that the boundary it came with would cut otherwise than it was signed: the boundary stands in an
    /// unsigned header, and a service must see the parts that the signature covers. Ours: X-Road 7.8 does not look.
    ///
    /// # Errors
    /// [`Fault`] with `invalid_request`, or of the spool.
    pub async fn refuse_hidden_parts(&self, attachments: &[Attachment]) -> Result<(), Fault> {
        let Some(boundary) = boundary_of(&self.content_type) else { return Ok(()) };
        let delimiter = format!("\n--{boundary}");
        let mut hides =
            begins_a_part(&delimiter, &Spooled::from_bytes(self.envelope.bytes().to_vec().into())).await;
        for attachment in attachments {
            if matches!(hides, Ok(false)) {
                hides = begins_a_part(&delimiter, &attachment.body).await;
            }
        }
        if hides.map_err(message::unspooled)? {
            let detail =
                "a part of the message holds a line that the multipart's boundary would make another part of";
            return Err(Fault::new(Leaf::InvalidRequest, detail).at(Side::Peer));
        }
        Ok(())
    }

    /// The HTTP content type and body for an information system; the body is added to `outgoing`.
    ///
    /// # Errors
    /// [`Fault`] for what a multipart cannot hold.
    pub fn told(&self, attachments: &[Attachment], outgoing: Outgoing) -> Result<(String, Outgoing), Fault> {
        let bytes = Bytes::copy_from_slice(self.envelope.bytes());
        if attachments.is_empty() && base_of(&self.content_type) != "multipart/related" {
            // Who sends other characters says so in its own words.
            let is_utf8 = std::str::from_utf8(&bytes).is_ok();
            let content_type = if is_utf8 { ALONE } else { &self.content_type };
            return Ok((content_type.to_owned(), outgoing.bytes(bytes)));
        }
        self.can_be_told(attachments)?;
        let boundary = boundary_of(&self.content_type).unwrap_or_default();
        let mut writer = Related::new(&boundary, attachments.is_empty());
        let head = |writer: &mut Related, part: &PartHead| {
            let kind = part.content_type.as_deref().unwrap_or("application/octet-stream");
            writer.part(kind, &part.headers).map_err(message::internal)
        };
        let before = head(&mut writer, &self.head)?;
        let mut outgoing = outgoing.bytes(before).bytes(bytes);
        for attachment in attachments {
            let before = head(&mut writer, &attachment.head)?;
            outgoing = outgoing.bytes(before).spooled(&attachment.body);
        }
        Ok((self.content_type.clone(), outgoing.bytes(writer.close())))
    }
}

/// Whether a line of `body` begins with the delimiter, which has the line break in front.
async fn begins_a_part(delimiter: &str, body: &Spooled) -> Result<bool, SpoolError> {
    let finder = memchr::memmem::Finder::new(delimiter);
    // A body begins on a line of its own; what a piece ends with may go on in the next.
    let mut seen = b"\n".to_vec();
    let mut reader = body.reader();
    while let Some(piece) = reader.next().await? {
        seen.extend_from_slice(&piece);
        if finder.find(&seen).is_some() {
            return Ok(true);
        }
        seen.drain(..seen.len().saturating_sub(delimiter.len()));
    }
    Ok(false)
}

//------------ Unread --------------------------------------------------------

impl Unread {
    /// As the information system is told that sent it as a request: most of it is its own fault.
    ///
    /// Spec: message-path §1.6.
    #[must_use]
    pub fn of_request(self) -> Fault {
        let leaf = match self {
            Self::Spool(error) => return message::unspooled(error),
            Self::Body(error) => {
                return Fault::new(Leaf::IoError, error.to_string()).at(Side::Ours).because(error);
            }
            Self::Soap(SoapError::Charset { .. }) => {
                return Fault::new(Leaf::InternalError, self.to_string()).because(self);
            }
            Self::Soap(ref error) => return by_client(error.code(), error.to_string()),
            Self::ContentType { .. } => Leaf::InvalidContentType,
            Self::NoMessage => Leaf::MissingSoap,
            Self::TooLarge { .. } => Leaf::InvalidSoap,
            Self::Mime(_) | Self::Bound { .. } => Leaf::MimeParsingFailed,
        };
        by_client(Code::of(leaf), self.to_string())
    }

    /// As the consumer's gateway is told that asked the service which sent it.
    #[must_use]
    pub fn of_response(self) -> Fault {
        let code = match self {
            Self::Spool(error) => return message::unspooled(error).under(Leaf::ServiceFailed),
            Self::Body(_) => Code::of(Leaf::IoError),
            Self::Soap(ref error) => error.code(),
            Self::ContentType { .. } => Code::of(Leaf::InvalidContentType),
            Self::NoMessage | Self::Mime(_) => Code::of(Leaf::InvalidMessage),
            Self::TooLarge { .. } => Code::of(Leaf::InvalidSoap),
            Self::Bound { .. } => Code::of(Leaf::MimeParsingFailed),
        };
        let detail = format!("the service's answer: {self}");
        let fault = Fault { code, ..Fault::new(Leaf::ServiceFailed, detail) };
        fault.under(Leaf::ServiceFailed).at(Side::Service).because(self)
    }
}

/// A fault whose code begins with `client`, not with this gateway's name.
#[must_use]
pub fn by_client(code: Code, detail: String) -> Fault {
    let code = Code::Foreign(code.text(Origin::Client));
    Fault { code, ..Fault::new(Leaf::InvalidMessage, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messagelog::Bounds;
    use crate::testbed::TestDir;

    #[tokio::test]
    async fn a_delimiter_is_seen_wherever_a_line_begins_with_it() {
        let dir = TestDir::new("soap-hidden");
        let bounds = Bounds { memory: 4, body_max: 1 << 20, files_max: 1 << 20 };
        let spool = Spool::open(&dir.0, bounds).unwrap();
        for (body, expected) in [
            (&b"--b1\r\nContent-Type: a/b\r\n\r\nhidden"[..], true),
            (b"text\r\n--b1--", true),
            (b"text\n--b1", true),
            (b"text --b1 in a line", false),
            (b"text\r\n-b1", false),
            (b"", false),
        ] {
            let mut writer = spool.writer();
            for byte in body {
                writer.write(&[*byte]).await.unwrap();
            }
            let spooled = writer.finish().await.unwrap();
            let shown = String::from_utf8_lossy(body);
            assert_eq!(begins_a_part("\n--b1", &spooled).await.unwrap(), expected, "from the spool: {shown}");
            let memory = Spooled::from_bytes(body.to_vec().into());
            assert_eq!(begins_a_part("\n--b1", &memory).await.unwrap(), expected, "from memory: {shown}");
        }
    }
}
