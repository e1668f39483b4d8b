//! What one record says.

use super::Spooled;
use bytes::Bytes;
use saatkond_proto::id::{ClientId, ServiceId};
use saatkond_proto::signature::SignatureParts;

/// Something that can be recorded: a message with its proof. Implemented beside each proof.
pub trait Record: Send {
    /// What the record says of it.
    fn entry(&self) -> Entry;
}

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What is asked.
    Request,
    /// What is answered.
    Response,
}

/// Whether this gateway sends the message, received it, or passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We signed it.
    Sent,
    /// We verified it.
    Received,
    /// We passed it on between the one who asks and the site that answers: a request that we verified and did not
    /// execute, an answer that we did not give.
    Relayed,
}

/// What one record says. Spec: message-path §6.2; bytes are kept as they are, never as text.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Request or response.
    pub kind: Kind,
    /// Whether we sent, received or relayed it. A request sent or a response received makes us the consumer's gateway.
    pub direction: Direction,
    /// The id that the information system gave (`x-road-id`).
    pub query_id: String,
    /// The id that request and response share in both gateways (`x-road-request-id`).
    pub request_id: String,
    /// Who asks.
    pub client: ClientId,
    /// Who is asked for what.
    pub service: ServiceId,
    /// The REST block or SOAP envelope.
    pub message: Bytes,
    /// Signature and hash chain.
    pub proof: SignatureParts,
    /// REST body, or SOAP attachments in order. A part that is there and empty is one: the signature covers it.
    pub attachments: Vec<Spooled>,
}
