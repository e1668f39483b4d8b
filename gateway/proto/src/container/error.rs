//! Why a container proves nothing.

use super::zip::ZipError;
use crate::fault::{Code, Leaf};
use crate::message::rest::RestError;
use crate::message::soap::SoapError;
use crate::signature::SignatureError;
use crate::signature::batch::ChainError;
use crate::signature::xades::FormError;
use crate::trust::tsp::TspError;
use crate::xml::XmlError;

/// A container that is not read, or does not prove its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The file is no zip file that could be a container.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// An entry that must be there is not.
    #[error("container has no {0}")]
    Missing(&'static str),
    /// The type is another.
    #[error("container is of type {found:?}, expected {expected:?}")]
    MediaType {
        /// The type it must be of.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// More than one entry that could be the signature.
    #[error("container has several signatures: {0:?}")]
    SeveralSignatures(Vec<String>),
    /// The signature document cannot be read.
    #[error("signature: {0}")]
    Form(FormError),
    /// The signature does not speak of the message.
    #[error("signature names neither /message.xml nor /sig-hashchainresult.xml")]
    NotOfMessage,
    /// No time-stamp.
    #[error("container has no time-stamp: nothing says when its signature existed")]
    NoStamp,
    /// The time-stamp's hash chain does not lead to the signature.
    #[error("time-stamp's hash chain: {0}")]
    StampChain(ChainError),
    /// The ASiC manifest cannot be read.
    #[error("META-INF/ASiCManifest.xml: {0}")]
    Manifest(XmlError),
    /// The ASiC manifest speaks of other bytes.
    #[error("META-INF/ASiCManifest.xml is about {found}, expected {expected}")]
    ManifestOther {
        /// What it must be about.
        expected: &'static str,
        /// What it is about.
        found: String,
    },
    /// The time-stamp is for other bytes.
    #[error("time-stamp is for other bytes than this signature")]
    Imprint,
    /// The time-stamp does not hold.
    #[error("time-stamp: {0}")]
    Stamp(TspError),
    /// The REST message cannot be read.
    #[error("message: {0}")]
    Rest(#[from] RestError),
    /// The SOAP message cannot be read.
    #[error("message: {0}")]
    Soap(SoapError),
    /// The message does not say who asks or who serves.
    #[error("message has no {expected}")]
    Nameless {
        /// The header that must be there.
        expected: &'static str,
    },
    /// The hash chain names an entry with another digest.
    #[error("{name} in the container is not what was signed: its digest is another than the hash chain's")]
    Altered {
        /// The entry.
        name: String,
    },
    /// Nothing signed names an attachment.
    #[error("{name} is in the container, but nothing that was signed names it")]
    Unsigned {
        /// The entry.
        name: String,
    },
    /// The signature does not hold.
    #[error("signature: {0}")]
    Signature(Box<SignatureError>),
}

impl From<SignatureError> for ContainerError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(Box::new(error))
    }
}

impl ContainerError {
    /// The code, as X-Road's own verifier says it. Seen: message-path §6.5.
    #[must_use]
    pub fn code(&self) -> Code {
        use super::entry;
        match self {
            Self::Zip(ZipError::NoEnd | ZipError::Missing(_)) | Self::Missing(entry::MEDIA_TYPE) => {
                Code::of(Leaf::AsicMimeTypeNotFound)
            }
            Self::Zip(_) | Self::MediaType { .. } => Code::of(Leaf::AsicInvalidMimeType),
            Self::Missing(entry::MESSAGE) => Code::of(Leaf::AsicMessageNotFound),
            Self::Missing(entry::SIGNATURE_CHAIN | entry::STAMP_CHAIN) => {
                Code::of(Leaf::AsicHashChainNotFound)
            }
            Self::Missing(entry::SIGNATURE_CHAIN_RESULT | entry::STAMP_CHAIN_RESULT) => {
                Code::of(Leaf::AsicHashChainResultNotFound)
            }
            Self::Missing(entry::SIGNATURES) | Self::SeveralSignatures(_) => {
                Code::of(Leaf::AsicSignatureNotFound)
            }
            Self::NotOfMessage
            | Self::NoStamp
            | Self::StampChain(_)
            | Self::Manifest(_)
            | Self::ManifestOther { .. }
            | Self::Imprint
            | Self::Missing(_) => Code::of(Leaf::MalformedSignature),
            Self::Form(error) => error.code(),
            Self::Stamp(error) => error.code(),
            Self::Rest(error) => error.code(),
            Self::Nameless { .. } => Code::of(Leaf::InvalidMessage),
            Self::Soap(error) => error.code(),
            Self::Altered { .. } => Code::of(Leaf::InvalidHashChainRef).under(Leaf::MalformedSignature),
            Self::Unsigned { .. } => Code::of(Leaf::HashchainUnusedInputs).under(Leaf::MalformedSignature),
            Self::Signature(error) => error.code(),
        }
    }
}
