//! Hash chains: one signature or time-stamp over many messages.
//!
//! Spec: message-path §3.6 (values), §3.7 (documents), §3.8 (verification).

use super::PartDigest;
use crate::fault::{Code, Leaf};

/// A hash chain that does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Parts that the chain does not use.
    #[error("hash chain does not use {0:?}")]
    Unused(Vec<String>),
}

impl ChainError {
    /// The code, without what goes before it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unused(_) => Code::of(Leaf::HashchainUnusedInputs),
        }
    }
}

/// What hash chain documents belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A signature: the chain is `/sig-hashchain.xml`.
    Signature,
    /// A time-stamp: the chain is `/ts-hashchain.xml`.
    Timestamp,
}

/// The hash chain documents of messages that are signed or stamped together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains {
    /// The result, whose bytes are signed or stamped.
    pub result: Vec<u8>,
    /// One chain for each message, in their order.
    pub chains: Vec<Vec<u8>>,
}

/// Builds the chains of `messages`, each a list of parts digested with SHA-512. Nothing to chain gives `None`.
///
/// For a time-stamp each message is the one part `/META-INF/signatures.xml` ([`SIGNATURES`]) with the signature
/// document's digest.
#[must_use]
pub fn build(kind: Kind, messages: &[Vec<PartDigest>]) -> Option<Chains> {
    let _ = (kind, messages);
    None
}

/// The name of the signature document in time-stamp chains. Spec: message-path §3.7.
pub const SIGNATURES: &str = "/META-INF/signatures.xml";

/// Checks that `chain` leads from every part to `result`.
///
/// # Errors
/// [`ChainError`].
pub fn verify(
    kind: Kind,
    result: &[u8],
    chain: Option<&[u8]>,
    parts: &[PartDigest],
) -> Result<(), ChainError> {
    let _ = (kind, result, chain);
    Err(ChainError::Unused(parts.iter().map(|p| p.name.clone()).collect()))
}

/// Lists what a chain says of parts: name and digest of each `DataRef`, for parts that are not at hand.
///
/// # Errors
/// [`ChainError`] for a chain that cannot be read.
pub fn parts_named(chain: &[u8]) -> Result<Vec<PartDigest>, ChainError> {
    let _ = chain;
    Ok(Vec::new())
}
