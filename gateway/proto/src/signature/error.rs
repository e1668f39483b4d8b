//! Why a signature does not hold.

use super::batch::ChainError;
use super::xades::FormError;
use crate::fault::{Code, Leaf};

/// A signature that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The message has no parts.
    #[error("message has no part that could be signed")]
    NoPart,
    /// The document is not a signature as it must be.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The hash chain does not prove the parts.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl SignatureError {
    /// The code, without the word `signature_verification` that goes before it. Seen: message-path §4.3.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoPart => Code::of(Leaf::MalformedSignature),
            Self::Form(error) => error.code(),
            Self::Chain(error) => error.code().under(Leaf::MalformedSignature),
        }
    }
}
