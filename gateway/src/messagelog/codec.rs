//! What a record's bytes say.
//!
//! Ours: one byte of kind, then fields in a fixed order; integers little-endian, texts and bytes with a length before them.
//! The signature document and the hash chain result, which all messages of a batch have in common, are apart from the
//! rest: the log keeps them once (`frame`).

use super::bodies::BodyName;
use super::entry::{Direction, Entry, Kind};
use bytes::Bytes;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::signature::SignatureParts;
use saatkond_proto::time::UnixTime;
use std::sync::Arc;

/// A message with its proof, as it was recorded.
#[derive(Debug, Clone)]
pub struct Message {
    /// When it was recorded.
    pub time: UnixTime,
    /// Request or response.
    pub kind: Kind,
    /// Whether we sent, received or relayed it.
    pub direction: Direction,
    /// The id that the information system gave.
    pub query_id: String,
    /// The id that request and response share in both gateways.
    pub request_id: String,
    /// Who asks.
    pub client: ClientId,
    /// Who is asked for what.
    pub service: ServiceId,
    /// The REST block or SOAP envelope.
    pub message: Bytes,
    /// Signature and hash chain.
    pub proof: SignatureParts,
    /// REST body, or SOAP attachments in order.
    pub attachments: Vec<Attachment>,
}

/// A body as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// In the record.
    Inline(Bytes),
    /// In a file of its own.
    File {
        /// SHA-512 of the bytes.
        digest: Vec<u8>,
        /// How many bytes it has.
        len: u64,
        /// The file's name, in the folder of bodies.
        name: BodyName,
    },
    /// Not kept; the hash chain proves its digest.
    Omitted {
        /// SHA-512 of the bytes.
        digest: Vec<u8>,
        /// How many bytes it had.
        len: u64,
    },
}

/// A time-stamp over one or many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When it was recorded.
    pub time: UnixTime,
    /// The token, DER, with the signer's certificate inside.
    pub token: Vec<u8>,
    /// Where it came from.
    pub url: String,
    /// The hash chain result that the token covers; `None` when it covers one signature value.
    pub result: Option<Vec<u8>>,
    /// The messages' record numbers and the SHA-512 of their signature documents, in the order of the chain.
    pub covers: Vec<(u64, Vec<u8>)>,
}

/// A record.
#[derive(Debug, Clone)]
pub enum Content {
    /// A message.
    Message(Box<Message>),
    /// A time-stamp.
    Stamp(Stamp),
}

const MESSAGE: u8 = b'm';
const STAMP: u8 = b't';

impl Content {
    pub(super) fn to_bytes(&self) -> Encoded {
        let (mut body, mut shared) = (Writer(Vec::with_capacity(4096)), Writer(Vec::new()));
        match self {
            Self::Message(message) => {
                body.message(message);
                shared.0.reserve(message.proof.signature.len() + 1024);
                shared.bytes(&message.proof.signature);
                shared.optional(message.proof.hash_chain_result.as_deref());
            }
            Self::Stamp(stamp) => body.stamp(stamp),
        }
        Encoded { body: body.0, shared: shared.0 }
    }

    pub(super) fn from_bytes(body: &[u8], shared: &[u8]) -> Option<Self> {
        let (mut reader, mut shared) = (Reader(body), Reader(shared));
        let content = match reader.byte()? {
            MESSAGE => Self::Message(Box::new(reader.message(&mut shared)?)),
            STAMP => Self::Stamp(reader.stamp()?),
            _ => return None,
        };
        (reader.0.is_empty() && shared.0.is_empty()).then_some(content)
    }
}

/// Whether a record is a message.
pub(super) fn is_message(body: &[u8]) -> bool {
    body.first() == Some(&MESSAGE)
}

/// The signature document in what messages share.
pub(super) fn signature_in(shared: &[u8]) -> Option<&[u8]> {
    Reader(shared).bytes()
}

/// A record's bytes.
pub(super) struct Encoded {
    /// What is its own.
    pub(super) body: Vec<u8>,
    /// What others may have, too; empty for none.
    pub(super) shared: Vec<u8>,
}

impl Message {
    /// The client of this server whose message it is: the consumer on the consumer's side, else the provider.
    #[must_use]
    pub const fn party(&self) -> &ClientId {
        match (self.kind, self.direction) {
            (Kind::Request, Direction::Sent) | (Kind::Response, Direction::Received) => &self.client,
            (Kind::Request, Direction::Received)
            | (Kind::Response, Direction::Sent)
            | (_, Direction::Relayed) => &self.service.client,
        }
    }

    /// SHA-512 of the signature document, which time-stamps cover.
    #[must_use]
    pub fn signature_digest(&self) -> Vec<u8> {
        DigestAlgorithm::Sha512.digest(&self.proof.signature)
    }

    pub(super) fn new(entry: Entry, time: UnixTime, attachments: Vec<Attachment>) -> Self {
        Self {
            time,
            kind: entry.kind,
            direction: entry.direction,
            query_id: entry.query_id,
            request_id: entry.request_id,
            client: entry.client,
            service: entry.service,
            message: entry.message,
            proof: entry.proof,
            attachments,
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn time(&mut self, time: UnixTime) {
        self.0.extend_from_slice(&time.millis().to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.byte(u8::from(bytes.is_some()));
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    fn client(&mut self, client: &ClientId) {
        for text in [&client.member.instance, &client.member.class, &client.member.code] {
            self.bytes(text.as_bytes());
        }
        self.optional(client.subsystem.as_ref().map(String::as_bytes));
    }

    fn message(&mut self, m: &Message) {
        self.byte(MESSAGE);
        self.time(m.time);
        self.byte(u8::from(m.kind == Kind::Response));
        self.byte(match m.direction {
            Direction::Sent => 0,
            Direction::Received => 1,
            Direction::Relayed => 2,
        });
        self.bytes(m.query_id.as_bytes());
        self.bytes(m.request_id.as_bytes());
        self.client(&m.client);
        self.client(&m.service.client);
        self.bytes(m.service.code.as_bytes());
        self.optional(m.service.version.as_ref().map(String::as_bytes));
        self.bytes(&m.message);
        self.optional(m.proof.hash_chain.as_deref());
        self.number(m.attachments.len() as u64);
        for attachment in &m.attachments {
            match attachment {
                Attachment::Inline(bytes) => {
                    self.byte(0);
                    self.bytes(bytes);
                }
                Attachment::File { digest, len, name } => {
                    self.byte(1);
                    self.bytes(digest);
                    self.number(*len);
                    self.0.extend_from_slice(&name.to_bytes());
                }
                Attachment::Omitted { digest, len } => {
                    self.byte(2);
                    self.bytes(digest);
                    self.number(*len);
                }
            }
        }
    }

    fn stamp(&mut self, stamp: &Stamp) {
        self.byte(STAMP);
        self.time(stamp.time);
        self.bytes(&stamp.token);
        self.bytes(stamp.url.as_bytes());
        self.optional(stamp.result.as_deref());
        self.number(stamp.covers.len() as u64);
        for (number, digest) in &stamp.covers {
            self.number(*number);
            self.bytes(digest);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<UnixTime> {
        self.chunk().map(|b| UnixTime::from_millis(i64::from_le_bytes(b)))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.chunk()?)).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Outer `None`: cannot be read.
    fn optional(&mut self) -> Option<Option<&'a [u8]>> {
        if self.flag()? { self.bytes().map(Some) } else { Some(None) }
    }

    fn optional_text(&mut self) -> Option<Option<String>> {
        match self.optional()? {
            Some(bytes) => String::from_utf8(bytes.to_vec()).ok().map(Some),
            None => Some(None),
        }
    }

    fn client(&mut self) -> Option<ClientId> {
        let member = saatkond_proto::id::MemberId::new(self.text()?, self.text()?, self.text()?);
        Some(ClientId { member, subsystem: self.optional_text()? })
    }

    fn message(&mut self, shared: &mut Reader<'_>) -> Option<Message> {
        Some(Message {
            time: self.time()?,
            kind: if self.flag()? { Kind::Response } else { Kind::Request },
            direction: match self.byte()? {
                0 => Direction::Sent,
                1 => Direction::Received,
                2 => Direction::Relayed,
                _ => return None,
            },
            query_id: self.text()?,
            request_id: self.text()?,
            client: self.client()?,
            service: ServiceId { client: self.client()?, code: self.text()?, version: self.optional_text()? },
            message: Bytes::copy_from_slice(self.bytes()?),
            proof: SignatureParts {
                signature: shared.bytes()?.into(),
                hash_chain_result: shared.optional()?.map(Arc::from),
                hash_chain: self.optional()?.map(<[u8]>::to_vec),
            },
            attachments: self.attachments()?,
        })
    }

    fn attachments(&mut self) -> Option<Vec<Attachment>> {
        let mut attachments = Vec::new();
        for _ in 0..self.number()? {
            let kind = self.byte()?;
            let bytes = self.bytes()?;
            attachments.push(match kind {
                0 => Attachment::Inline(Bytes::copy_from_slice(bytes)),
                1 => Attachment::File {
                    digest: bytes.to_vec(),
                    len: self.number()?,
                    name: BodyName::from_bytes(&self.chunk::<16>()?)?,
                },
                2 => Attachment::Omitted { digest: bytes.to_vec(), len: self.number()? },
                _ => return None,
            });
        }
        Some(attachments)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let (time, token, url) = (self.time()?, self.bytes()?.to_vec(), self.text()?);
        let result = self.optional()?.map(<[u8]>::to_vec);
        let mut covers = Vec::new();
        for _ in 0..self.number()? {
            covers.push((self.number()?, self.bytes()?.to_vec()));
        }
        Some(Stamp { time, token, url, result, covers })
    }
}
