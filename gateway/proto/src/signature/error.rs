//! Why a signature does not hold.

use super::batch::ChainError;
use super::c14n::C14nError;
use super::xades::FormError;
use crate::crypto::{CryptoError, DigestAlgorithm};
use crate::fault::{Code, Leaf};
use crate::id::MemberId;
use crate::trust::ocsp::OcspError;
use crate::trust::path::PathError;
use crate::trust::profile::ProfileError;

/// A signature that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The message has no part named `/message.xml`.
    #[error("there is no /message.xml to be signed")]
    NoPart,
    /// The document is not a signature as it must be.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A signed element has no canonical form.
    #[error(transparent)]
    Canonical(#[from] C14nError),
    /// The signature covers a hash chain result, but none came.
    #[error("signature covers a hash chain result, but none came")]
    NoChainResult,
    /// A hash chain came that the signature does not cover.
    #[error("a hash chain came that the signature does not cover")]
    UnsignedChain,
    /// The hash chain does not prove the parts.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A reference to something that is not there.
    #[error("signature refers to {0:?}, which did not come")]
    Unresolved(String),
    /// A reference to a part with an algorithm that the part was not digested with.
    #[error("signature digests {name:?} with {algorithm:?}, which was not computed")]
    Algorithm {
        /// The part.
        name: String,
        /// The algorithm.
        algorithm: DigestAlgorithm,
    },
    /// A reference to a part that is transformed before it is digested.
    #[error("signature transforms {0:?}")]
    Transform(String),
    /// Something has another digest than the signature says.
    #[error("{0:?} has another digest than the signature says")]
    Digest(String),
    /// Two references to one thing.
    #[error("signature refers to {0:?} twice")]
    Repeated(String),
    /// The signed properties of this signature are not what it refers to.
    #[error("signature does not refer to its own signed properties")]
    Properties,
    /// Parts that the signature does not cover.
    #[error("signature does not cover {0:?}")]
    Uncovered(Vec<String>),
    /// The value does not hold.
    #[error("signature value: {0}")]
    Value(CryptoError),
    /// The certificate is not one that signs messages.
    #[error("certificate {0} has no key usage nonRepudiation")]
    NotForSigning(String),
    /// The certificate leads to no approved authority.
    #[error(transparent)]
    Path(PathError),
    /// The certificate's subject names no member.
    #[error(transparent)]
    Subject(#[from] ProfileError),
    /// The certificate is another member's.
    #[error("certificate is of member {found}, expected {expected}")]
    Member {
        /// Who should have signed.
        expected: Box<MemberId>,
        /// Who did.
        found: Box<MemberId>,
    },
    /// No OCSP response, or one that cannot be read.
    #[error("signature's OCSP responses: {0}")]
    OcspForm(String),
    /// The status of a certificate is not proven to be good.
    #[error(transparent)]
    Status(OcspError),
}

impl SignatureError {
    /// The code, without the word `signature_verification` that goes before it. Seen: message-path §3.8, §4.3.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Form(error) => error.code(),
            Self::Chain(error) => error.code().under(Leaf::MalformedSignature),
            Self::Path(error) => error.code(),
            Self::Status(error) => error.code().under(Leaf::InvalidCertPath),
            Self::NoPart
            | Self::UnsignedChain
            | Self::Properties
            | Self::Repeated(_)
            | Self::Uncovered(_)
            | Self::NotForSigning(_)
            | Self::OcspForm(_) => Code::of(Leaf::MalformedSignature),
            Self::NoChainResult
            | Self::Canonical(_)
            | Self::Unresolved(_)
            | Self::Algorithm { .. }
            | Self::Transform(_) => Code::of(Leaf::InternalError),
            Self::Digest(_) | Self::Value(_) => Code::of(Leaf::InvalidSignatureValue),
            Self::Subject(_) | Self::Member { .. } => Code::of(Leaf::IncorrectCertificate),
        }
    }
}
