//! Management requests: what a security server asks of the central server.
//!
//! | file | what it holds |
//! |---|---|
//! | `write` | the SOAP document of a request and of its answer, and the parts around it |
//! | `read` | the same, read |
//!
//! A request that somebody must vouch for travels as multipart: the document, the signatures over its very bytes, the
//! certificates, and what the authority says of the signer. Deletions travel as the document alone: who sends them is
//! proven by the message that carries them. Spec: PR-MSERV; trust-and-configuration §6.

mod read;
mod write;

use crate::crypto::{CryptoError, SignatureAlgorithm};
use crate::globalconf::ParamsError;
use crate::id::{ClientId, MemberId, ServerId};
use crate::message::soap::SoapError;
use crate::transport::mime::MimeError;

/// What is asked, and about which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The server that asks.
    pub server: ServerId,
    /// What it asks.
    pub ask: Ask,
}

/// What a server may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Register an authentication certificate, DER, and with the first one the server.
    RegisterCertificate {
        /// The host name or address that others reach it by.
        address: Option<String>,
        /// The certificate.
        certificate: Vec<u8>,
        /// Check everything and register nothing.
        is_trial: bool,
    },
    /// Register an authentication certificate no more.
    DeleteCertificate {
        /// The certificate, DER.
        certificate: Vec<u8>,
    },
    /// Register a subsystem or member on the server.
    RegisterClient {
        /// Which.
        client: ClientId,
        /// The subsystem's name, for people.
        name: Option<String>,
    },
    /// Register one on it no more.
    DeleteClient(ClientId),
    /// Let nobody reach one there for a while.
    DisableClient(ClientId),
    /// Let it be reached again.
    EnableClient(ClientId),
    /// Give a subsystem another name.
    RenameClient {
        /// Which.
        client: ClientId,
        /// The name, for people.
        name: String,
    },
    /// Make another member the owner.
    ChangeOwner(MemberId),
    /// Be reached at another host name or address.
    ChangeAddress(String),
    /// Send nobody here for a while.
    BeginMaintenance {
        /// What the administrator says about it.
        message: Option<String>,
    },
    /// Be in use again.
    EndMaintenance,
}

impl Ask {
    /// The service that takes it, which is also the element in the body.
    #[must_use]
    pub const fn service_code(&self) -> &'static str {
        match self {
            Self::RegisterCertificate { .. } => "authCertReg",
            Self::DeleteCertificate { .. } => "authCertDeletion",
            Self::RegisterClient { .. } => "clientReg",
            Self::DeleteClient(_) => "clientDeletion",
            Self::DisableClient(_) => "clientDisable",
            Self::EnableClient(_) => "clientEnable",
            Self::RenameClient { .. } => "clientRename",
            Self::ChangeOwner(_) => "ownerChange",
            Self::ChangeAddress(_) => "addressChange",
            Self::BeginMaintenance { .. } => "maintenanceModeEnable",
            Self::EndMaintenance => "maintenanceModeDisable",
        }
    }
}

impl Request {
    /// The member who must vouch for it with a sign key; `None` for deletions.
    ///
    /// Ours: of changes to the server itself X-Road 7.8 checks that somebody signed, not that the owner did.
    #[must_use]
    pub fn signer(&self) -> Option<&MemberId> {
        match &self.ask {
            Ask::DeleteCertificate { .. } | Ask::DeleteClient(_) => None,
            Ask::RegisterClient { client, .. }
            | Ask::DisableClient(client)
            | Ask::EnableClient(client)
            | Ask::RenameClient { client, .. } => Some(&client.member),
            Ask::ChangeOwner(member) => Some(member),
            Ask::RegisterCertificate { .. }
            | Ask::ChangeAddress(_)
            | Ask::BeginMaintenance { .. }
            | Ask::EndMaintenance => Some(&self.server.owner),
        }
    }
}

/// A signature over a request's document, as it travels: the value raw, an ECDSA one in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub algorithm: SignatureAlgorithm,
    /// The value.
    pub value: Vec<u8>,
    /// The signer's certificate, DER.
    pub certificate: Vec<u8>,
}

/// A request's document with all that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The document, to the byte as it was signed.
    pub document: Vec<u8>,
    /// By the authentication key, where its certificate is to be registered.
    pub by_authentication: Option<Signature>,
    /// By the member's sign key.
    pub by_member: Option<Signature>,
    /// What the authority says of the member's certificate: an OCSP response, DER.
    pub status: Option<Vec<u8>>,
}

impl Signature {
    /// Holds the value against the document, under its own certificate's key.
    ///
    /// # Errors
    /// [`CryptoError`].
    pub fn holds(&self, key: &crate::crypto::PublicKey, document: &[u8]) -> Result<(), CryptoError> {
        key.verify(self.algorithm, document, &self.value, crate::crypto::EcdsaForm::Der)
    }
}

/// A management request that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManagementError {
    /// No document at all.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// No multipart.
    #[error(transparent)]
    Mime(#[from] MimeError),
    /// The body says something else than its service's schema.
    #[error("the body: {0}")]
    Body(#[from] ParamsError),
    /// A service that nobody offers.
    #[error("service {found:?} is none of the management services")]
    Service {
        /// Its code.
        found: String,
    },
    /// The content type is none under which requests travel.
    #[error("content type {found:?}, expected multipart/related or text/xml")]
    ContentType {
        /// What it is.
        found: String,
    },
    /// More or fewer parts than the request has.
    #[error("the request has {found} parts, expected {expected}")]
    Parts {
        /// How many it has.
        found: usize,
        /// How many it may have.
        expected: &'static str,
    },
    /// A signature without the name of its algorithm, or under one that is not accepted.
    #[error("signature-algorithm-id is {found:?}, expected RSA or ECDSA with SHA-256, SHA-384 or SHA-512")]
    Algorithm {
        /// What it is.
        found: String,
    },
}

#[cfg(test)]
mod tests;
