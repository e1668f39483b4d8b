//! What sites say to each other over their own listener: JSON, but for a call that is passed on.
//!
//! | path | what is said | what is answered |
//! |---|---|---|
//! | [`TOKENS`] | which tokens we know | orders that stand above ours, registers for which ours stands above |
//! | [`ORDER`] | an order | whether it stands now; else the one that stands above it |
//! | [`AGE`] | a register | how old the copy there is |
//! | [`SWITCH`] | an order of a planned change | once it is done, how long writes waited |
//! | [`RELAY`] | a call that is passed on | what is told to the one who asks |
//!
//! A call that is passed on: four bytes with the length of [`Passing`], which follows as JSON; the bytes as they were
//! received; four bytes with the length of the door's note, which follows. Nothing is done before the note is there.

use saatkond_proto::continuity::authority::Warrant;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::ClientId;
use saatkond_proto::trust::ocsp::Response;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tokens are compared.
pub const TOKENS: &str = "/tokens";
/// An order is told.
pub const ORDER: &str = "/order";
/// The age of a copy is asked for.
pub const AGE: &str = "/age";
/// A planned change is asked for.
pub const SWITCH: &str = "/switch";
/// A call is passed on.
pub const RELAY: &str = "/relay";

/// Bytes of what is said in JSON: tokens of thousands of registers.
pub const SAID_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of [`Passing`]: certificates and their OCSP responses, in base64.
pub const PASSING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Something that is said, and the OCSP responses of the certificates that whoever says it shows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said<T> {
    /// DER, base64.
    pub statuses: Vec<String>,
    /// What is said.
    pub said: T,
}

/// What a site knows of a register's authority, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The token.
    pub token: u64,
    /// The beginning of the SHA-256 of the order; empty before any.
    pub order: String,
}

/// What a site knows of all registers, by the path form of their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// What it knows.
    pub known: BTreeMap<String, Known>,
}

/// What the other site knows better, and what it does not know.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Orders that differ from what was said.
    pub orders: Vec<String>,
    /// Registers whose order it wants to be told.
    pub wanted: Vec<String>,
}

/// What became of an order.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Whether it stands.
    pub stands: bool,
    /// Why not.
    pub why: Option<String>,
    /// The order that stands instead.
    pub order: Option<String>,
}

impl Heard {
    /// What is not taken, and why.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }
}

/// How old a copy is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// Milliseconds; `None` where that is not known.
    pub millis: Option<u64>,
}

/// What stands before a call that is passed on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passing {
    /// OCSP responses of the certificates that the door shows (DER, base64).
    pub statuses: Vec<String>,
    /// Certificates that the first door saw in TLS (DER, base64), leaf first.
    pub chain: Vec<String>,
    /// From where the one who asked connected to the first door.
    pub address: String,
    /// Header lines of the call, as the first door received them.
    pub lines: Vec<(String, String)>,
    /// The notes of the doors before this one.
    pub notes: Vec<String>,
    /// Bytes of the call.
    pub length: u64,
    /// The order by which the door takes the other site for the one that leads.
    pub order: Option<String>,
}

/// OCSP responses as they are said.
#[must_use]
pub fn statuses(responses: &[Arc<Response>]) -> Vec<String> {
    responses.iter().map(|response| base64(response.der())).collect()
}

/// Bytes as they are said.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What [`base64()`] wrote; `None` for anything else.
#[must_use]
pub fn from_base64(texts: &[String]) -> Option<Vec<Vec<u8>>> {
    use ::base64::Engine as _;
    texts.iter().map(|text| ::base64::engine::general_purpose::STANDARD.decode(text).ok()).collect()
}

impl Known {
    /// What is known by a warrant; `None` for the time before any.
    #[must_use]
    pub fn by(warrant: Option<&Warrant>) -> Self {
        let Some(warrant) = warrant else { return Self { token: 0, order: String::new() } };
        let digest = DigestAlgorithm::Sha256.digest(warrant.to_text().as_bytes());
        let order = crate::net::peer::hex(digest.get(..8).unwrap_or_default());
        Self { token: warrant.claim().token.value(), order }
    }
}

impl Tokens {
    /// What was said of a register.
    #[must_use]
    pub fn of(&self, register: &ClientId) -> Known {
        self.known.get(&register.to_path()).cloned().unwrap_or_else(|| Known::by(None))
    }
}
