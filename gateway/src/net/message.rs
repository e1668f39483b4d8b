//! Messages between gateways, as both sides read and write them.

use super::body::{BodyError, Incoming, Outgoing};
use super::outward::Lane;
use super::random;
use super::timestamp;
use crate::Gateway;
use crate::messagelog::{Record, Recorded, Spool, SpoolError, SpoolWriter, Spooled};
use crate::world::World;
use bytes::Bytes;
use saatkond_proto::crypto::{DigestAlgorithm, Hasher};
use saatkond_proto::fault::{Code, Fault, Leaf, Side, SoapFault};
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_proto::signature::{
    self, MESSAGE, PartDigest, SignatureError, SignatureParts, Unverified, Verified, batch,
};
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::{Event, Expect, ReadError, Reader};
use saatkond_proto::transport::write::{Part, WriteError, Writer};
use saatkond_proto::trust::ocsp::Response;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a signature or a record may take. Seen: X-Road waits 60 s for a signature.
const KEEPING_MAX: Duration = Duration::from_secs(60);

/// A message that comes in.
#[derive(Debug)]
pub struct Inbound<'a> {
    reader: Reader,
    body: &'a mut Incoming,
    chunk: Bytes,
    taken: usize,
    /// Takes the bytes as they come, where they must be had again.
    kept: Option<&'a mut SpoolWriter>,
}

/// What a message begins with.
#[derive(Debug)]
pub struct Start {
    /// OCSP responses (DER) of the sender's TLS certificates.
    pub statuses: Vec<Vec<u8>>,
    /// The message itself.
    pub message: Message,
}

/// The message itself, as it came.
#[derive(Debug)]
pub enum Message {
    /// A REST block.
    Rest(Vec<u8>),
    /// A SOAP envelope.
    Soap {
        /// How it was headed.
        head: PartHead,
        /// Its bytes.
        envelope: Vec<u8>,
    },
}

/// The head of a part of a multipart message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHead {
    /// Its content type, as it came.
    pub content_type: Option<String>,
    /// Its other headers, in order.
    pub headers: Vec<(String, String)>,
}

/// What is signed beside the message: a REST body, or a SOAP attachment.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// How it is headed; nothing for a REST body.
    pub head: PartHead,
    /// Its bytes; there may be none.
    pub body: Spooled,
}

impl Attachment {
    /// A REST body.
    #[must_use]
    pub fn rest(body: Spooled) -> Self {
        Self { head: PartHead::default(), body }
    }
}

/// Bytes of all attachments.
#[must_use]
pub fn len(attachments: &[Attachment]) -> u64 {
    attachments.iter().map(|a| a.body.len()).sum()
}

/// What follows the message.
#[derive(Debug)]
pub struct Rest {
    /// The body of a REST message, if it has one, or the attachments of a SOAP message.
    pub attachments: Vec<Attachment>,
    /// The hash chain result, when one came.
    pub hash_chain_result: Option<Vec<u8>>,
    /// The hash chain, when one came.
    pub hash_chain: Option<Vec<u8>>,
    /// The signature document.
    pub signature: Vec<u8>,
}

impl<'a> Inbound<'a> {
    /// Begins a message with this HTTP `Content-Type`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn new(content_type: &str, expect: Expect, body: &'a mut Incoming) -> Result<Self, Fault> {
        let reader = Reader::new(content_type, expect).map_err(unread)?;
        Ok(Self { reader, body, chunk: Bytes::new(), taken: 0, kept: None })
    }

    /// Keeps all bytes as they come, so that they can be passed on unchanged.
    #[must_use]
    pub fn keeping(mut self, kept: Option<&'a mut SpoolWriter>) -> Self {
        self.kept = kept;
        self
    }

    /// Lets go of what was kept: it will not be passed on.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    async fn more(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = self.body.next().await.map_err(broken)?;
        if let (Some(kept), Some(piece)) = (&mut self.kept, &piece) {
            kept.write(piece).await.map_err(unspooled)?;
        }
        Ok(piece)
    }

    /// Reads to the end of the message itself; nothing of body or attachments is taken.
    ///
    /// # Errors
    /// [`Fault`]; a fault in its place is passed on as a peer's.
    ///
    /// # Cancel safety
    /// None.
    pub async fn start(mut self) -> Result<(Start, Self), Fault> {
        let mut statuses = Vec::new();
        loop {
            let chunk = self.chunk.clone();
            let mut input = chunk.get(self.taken..).unwrap_or_default();
            while let Some(event) = self.reader.next(&mut input).map_err(unread)? {
                match event {
                    Event::Ocsp(der) => statuses.push(der),
                    Event::RestRequest(block) | Event::RestResponse(block) => {
                        self.taken = chunk.len() - input.len();
                        return Ok((Start { statuses, message: Message::Rest(block) }, self));
                    }
                    Event::Soap { content_type, headers, envelope } => {
                        self.taken = chunk.len() - input.len();
                        let head = PartHead { content_type: Some(content_type), headers };
                        return Ok((Start { statuses, message: Message::Soap { head, envelope } }, self));
                    }
                    Event::Fault(fault) => return Err(Fault::foreign(Side::Peer, fault)),
                    _ => return Err(no_message()),
                }
            }
            match self.more().await? {
                Some(chunk) => (self.chunk, self.taken) = (chunk, 0),
                None => return Err(self.reader.finish().map_or_else(unread, |()| no_message())),
            }
        }
    }

    /// Reads all that follows the message itself.
    ///
    /// # Errors
    /// [`Fault`]; a fault in place of a part is passed on as a peer's.
    ///
    /// # Cancel safety
    /// None.
    pub async fn rest(mut self, spool: &Spool) -> Result<Rest, Fault> {
        let (mut writer, mut open, mut attachments) = (spool.writer(), None, Vec::new());
        let mut signature = None;
        let (mut hash_chain_result, mut hash_chain) = (None, None);
        loop {
            let chunk = std::mem::take(&mut self.chunk);
            let mut input = chunk.get(self.taken..).unwrap_or_default();
            while let Some(event) = self.reader.next(&mut input).map_err(unread)? {
                match event {
                    Event::BodyStart => open = Some(PartHead::default()),
                    Event::AttachmentStart { content_type, headers } => {
                        open = Some(PartHead { content_type, headers });
                    }
                    Event::Body(piece) | Event::Attachment(piece) if open.is_some() => {
                        writer.write(piece).await.map_err(unspooled)?;
                    }
                    Event::BodyEnd | Event::AttachmentEnd => {
                        if let Some(head) = open.take() {
                            let body = writer.finish().await.map_err(unspooled)?;
                            attachments.push(Attachment { head, body });
                        }
                    }
                    Event::HashChainResult(bytes) => hash_chain_result = Some(bytes),
                    Event::HashChain(bytes) => hash_chain = Some(bytes),
                    Event::Signature(bytes) => signature = Some(bytes),
                    Event::Fault(fault) => return Err(Fault::foreign(Side::Peer, fault)),
                    Event::End => {}
                    _ => return Err(no_message()),
                }
            }
            match self.more().await? {
                Some(chunk) => (self.chunk, self.taken) = (chunk, 0),
                None => break,
            }
        }
        self.reader.finish().map_err(unread)?;
        let signature = signature.ok_or_else(|| unread(ReadError::MissingSignature))?;
        Ok(Rest { attachments, hash_chain_result, hash_chain, signature })
    }
}

impl Rest {
    /// Verifies the signature: by `signer`, over the message and all that is beside it.
    ///
    /// Parts are digested with the algorithm that the sender announced, and with those that the signature names where
    /// they are others. Seen: message-path §0.3; a hash chain is held against the announced algorithm alone.
    ///
    /// # Errors
    /// [`Fault`] when the spool fails, or below `signature_verification`.
    pub async fn verify(
        &self,
        message: &[u8],
        announced: DigestAlgorithm,
        signer: &ClientId,
        world: &World,
        at: UnixTime,
    ) -> Result<Verified, Fault> {
        let mut parts = self.digests(message, self.names().map(|name| (name, announced))).await?;
        let verdict = signature::verify(self.unverified(parts.clone()), signer, &world.conf, at);
        let verdict = match verdict {
            Err(SignatureError::Algorithm { .. }) => {
                let named = signature::outline(&self.signature).map(|o| o.parts).unwrap_or_default();
                let others: HashSet<(String, DigestAlgorithm)> =
                    named.into_iter().map(|part| (part.name, part.algorithm)).collect();
                let others = others.into_iter().filter(|(_, algorithm)| *algorithm != announced);
                parts.extend(self.digests(message, others).await?);
                signature::verify(self.unverified(parts), signer, &world.conf, at)
            }
            verdict => verdict,
        };
        verdict.map_err(|error| {
            let code = error.code().under(Leaf::SignatureVerification);
            Fault { code, ..Fault::new(Leaf::SignatureVerification, error.to_string()) }
                .at(Side::Peer)
                .because(error)
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        std::iter::once(MESSAGE.to_owned()).chain((0..self.attachments.len()).map(name_of))
    }

    /// The digests of those parts that came.
    async fn digests(
        &self,
        message: &[u8],
        wanted: impl Iterator<Item = (String, DigestAlgorithm)>,
    ) -> Result<Vec<PartDigest>, Fault> {
        let beside: HashMap<String, &Spooled> =
            self.attachments.iter().enumerate().map(|(i, a)| (name_of(i), &a.body)).collect();
        let mut parts = Vec::new();
        for (name, algorithm) in wanted {
            let digest = match (beside.get(&name), name.as_str()) {
                (_, MESSAGE) => algorithm.digest(message),
                (Some(body), _) => digest_of(body, algorithm).await?,
                _ => continue,
            };
            parts.push(PartDigest { name, algorithm, digest });
        }
        Ok(parts)
    }

    fn unverified(&self, parts: Vec<PartDigest>) -> Unverified {
        Unverified {
            parts,
            signature: self.signature.clone(),
            hash_chain_result: self.hash_chain_result.clone(),
            hash_chain: self.hash_chain.clone(),
        }
    }
}

/// The name of a REST body or SOAP attachment among the parts. Spec: message-path §3.2.
fn name_of(index: usize) -> String {
    format!("/attachment{}", index + 1)
}

async fn digest_of(body: &Spooled, algorithm: DigestAlgorithm) -> Result<Vec<u8>, Fault> {
    if algorithm == DigestAlgorithm::Sha512 {
        return Ok(body.digest().to_vec());
    }
    let (mut hasher, mut reader) = (Hasher::new(algorithm), body.reader());
    while let Some(piece) = reader.next().await.map_err(unspooled)? {
        hasher.update(&piece);
    }
    Ok(hasher.finish())
}

/// What a message of ours has to be signed for: its parts in order. Spec: message-path §3.2.
///
/// # Errors
/// [`Fault`] with `cannot_create_signature` for a part that could be shown as something else that we signed.
pub fn part_digests(message: &[u8], attachments: &[Attachment]) -> Result<Vec<PartDigest>, Fault> {
    if attachments.iter().any(|a| batch::passes_for_step(a.body.start(), a.body.len())) {
        let detail =
            "the body has the form of a hash chain's step: signed, it could be shown as another message";
        return Err(Fault::new(Leaf::CannotCreateSignature, detail));
    }
    let algorithm = DigestAlgorithm::Sha512;
    let message = PartDigest { name: MESSAGE.to_owned(), algorithm, digest: algorithm.digest(message) };
    let beside = attachments.iter().enumerate().map(|(index, attachment)| PartDigest {
        name: name_of(index),
        algorithm,
        digest: attachment.body.digest().to_vec(),
    });
    Ok(std::iter::once(message).chain(beside).collect())
}

/// Signs a message in a member's name.
///
/// # Errors
/// [`Fault`] with `cannot_create_signature`.
pub async fn sign(
    gateway: &Gateway,
    world: &World,
    member: &MemberId,
    parts: Vec<PartDigest>,
) -> Result<SignatureParts, Fault> {
    let at = gateway.now();
    let no_key = |error| {
        let detail = format!("no sign key of {member} serves");
        Fault::new(Leaf::CannotCreateSignature, detail).because(error)
    };
    let signer = world.signer(member, at).map_err(no_key)?;
    let fault = || Fault::new(Leaf::CannotCreateSignature, "the message could not be signed");
    match timeout(KEEPING_MAX, gateway.keys.sign(signer, parts, at)).await {
        Ok(signed) => signed.map_err(|error| fault().because(error)),
        Err(late) => Err(fault().because(late)),
    }
}

/// Records a message, within a deadline.
///
/// # Errors
/// [`Fault`]; nothing may then be told to anyone.
pub async fn record<T: Record>(gateway: &Gateway, item: T) -> Result<Recorded<T>, Fault> {
    let late = |late| {
        Fault::new(Leaf::LoggingFailed, "the message log did not take the record in time").because(late)
    };
    let recorded = timeout(KEEPING_MAX, gateway.log.record(item)).await.map_err(late)??;
    if gateway.conf.timestamping.immediately {
        let late = |late| {
            Fault::new(Leaf::TimestampingFailed, "the message was not time-stamped in time").because(late)
        };
        timeout(KEEPING_MAX, timestamp::at_once(gateway, recorded.number())).await.map_err(late)??;
    }
    Ok(recorded)
}

//------------ Envelope ------------------------------------------------------

/// A message that goes out.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// OCSP responses of our TLS certificates; a request carries them.
    pub statuses: &'a [Arc<Response>],
    /// The message itself.
    pub message: Outbound<'a>,
    /// The body, if a REST message has one, or the attachments of a SOAP message.
    pub attachments: &'a [Attachment],
    /// Signature and hash chain.
    pub proof: &'a SignatureParts,
}

/// The message itself, on its way out.
#[derive(Debug, Clone, Copy)]
pub enum Outbound<'a> {
    /// The block of a REST request or response.
    Rest(Part, &'a [u8]),
    /// A SOAP envelope.
    Soap(&'a PartHead, &'a [u8]),
}

impl Envelope<'_> {
    /// The HTTP content type and body. The signature is the seal that `lane` watches over.
    ///
    /// # Errors
    /// [`Fault`] without randomness, or for a header that a part cannot have.
    pub fn outgoing(&self, lane: &Lane) -> Result<(String, Outgoing), Fault> {
        let mut writer = begin()?;
        let content_type = writer.content_type();
        let mut head = Vec::new();
        for status in self.statuses {
            head.extend(writer.whole(Part::Ocsp, status.der()));
        }
        let mut outgoing = Outgoing::chunked();
        match self.message {
            Outbound::Rest(part, block) => {
                head.extend(writer.whole(part, block));
                if let Some(body) = self.attachments.first() {
                    head.extend(writer.part(Part::RestBody));
                    outgoing = outgoing.bytes(std::mem::take(&mut head)).spooled(&body.body);
                }
            }
            Outbound::Soap(part, envelope) => {
                let kind = part.content_type.as_deref().unwrap_or(Part::Fault.content_type());
                head.extend(writer.envelope(kind, &part.headers).map_err(internal)?);
                head.extend_from_slice(envelope);
                if !self.attachments.is_empty() {
                    let boundary = random::boundary().map_err(internal)?;
                    let boundary = boundary.replacen("xtop", "xatt", 1);
                    head.extend(writer.open_attachments(&boundary).map_err(internal)?);
                }
                for Attachment { head: part, body } in self.attachments {
                    let before = writer.attachment(part.content_type.as_deref(), &part.headers);
                    head.extend(before.map_err(internal)?);
                    outgoing = outgoing.bytes(std::mem::take(&mut head)).spooled(body);
                }
            }
        }
        for (part, bytes) in [
            (Part::HashChainResult, self.proof.hash_chain_result.as_deref()),
            (Part::HashChain, self.proof.hash_chain.as_deref()),
        ] {
            if let Some(bytes) = bytes {
                head.extend(writer.whole(part, bytes));
            }
        }
        let mut seal = writer.whole(Part::Signature, &self.proof.signature);
        seal.extend(writer.close());
        Ok((content_type, outgoing.bytes(head).seal(seal, lane)))
    }
}

/// A multipart message that holds one fault and nothing else. Seen: message-path §2.13.
///
/// # Errors
/// [`Fault`] without randomness.
pub fn fault_alone(fault: &SoapFault) -> Result<(String, Outgoing), Fault> {
    let mut writer = begin()?;
    let content_type = writer.content_type();
    let mut bytes = writer.fault(fault);
    bytes.extend(writer.close());
    Ok((content_type, Outgoing::chunked().bytes(bytes)))
}

fn begin() -> Result<Writer, Fault> {
    let boundary = random::boundary().map_err(internal)?;
    Writer::new(&boundary).map_err(|error: WriteError| internal(error))
}

//------------ faults --------------------------------------------------------

/// A fault of ours that a stranger is told nothing of.
pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::new(Leaf::InternalError, "internal error").because(error)
}

/// A message that is not one.
pub(crate) fn unread(error: ReadError) -> Fault {
    Fault { code: error.code(), ..Fault::new(Leaf::InternalError, error.to_string()) }
        .at(Side::Peer)
        .because(error)
}

/// A message that did not come whole.
pub(crate) fn broken(error: BodyError) -> Fault {
    let code = Code::of(Leaf::IoError).under(Leaf::ServiceFailed);
    Fault { code, ..Fault::new(Leaf::IoError, error.to_string()) }.at(Side::Peer).because(error)
}

/// A body that the spool does not take.
pub(crate) fn unspooled(error: SpoolError) -> Fault {
    match &error {
        SpoolError::TooLarge { .. } => Fault::new(Leaf::InvalidRequest, error.to_string()).because(error),
        SpoolError::Full { .. } => {
            Fault::new(Leaf::InternalError, "bodies under way fill the spool").because(error)
        }
        SpoolError::Disk { .. } => internal(error),
    }
}

fn no_message() -> Fault {
    Fault::new(Leaf::InternalError, "the message is not what its headers say").at(Side::Peer)
}

/// An error and what caused it, for the log.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out.push_str(": ");
        out.push_str(&cause.to_string());
        next = cause.source();
    }
    out
}
