//! What a signature covers, and whether it holds.
//!
//! Spec: message-path §3 (what is written), §4.3 (what is checked), §3.9 (shapes that are read besides).
//!
//! | file | what it holds |
//! |---|---|
//! | [`verify()`] | from [`Unverified`] to [`Verified`], which nothing else makes |
//! | [`Memory`] | what was found to hold, so that it is not found out again for each message of a batch |
//! | [`prepare`], [`sign`] | one signature over one or many messages |
//! | [`c14n`] | the one byte form of an XML element |
//! | [`xades`] | the signature document: read by position, written byte for byte |
//! | [`batch`] | hash chains: one signature over many messages |
//!
//! Ours: what X-Road 7.8 lets pass and is refused here (message-path §4.4). Each has a test of its own.
//!
//! * *Coverage.* Every part that came must be covered, `/message.xml` above all: by a reference of its own or by the
//!   hash chain that the signature is made over. A hash chain that it is not made over is refused, not ignored.
//! * *References.* Parts are digested as they came: a transform on one is refused. Inside the document only the signed
//!   properties may be referred to, must be, and must be those of this signature; the only transform there is one
//!   canonicalization. Nothing is referred to twice.
//! * *Structure.* One `ds:Signature` in the document, wherever; one `QualifyingProperties`, which names it as its
//!   target; each Id on one element; elements where the schema has them, in containers as on the wire; no DOCTYPE.
//! * *Algorithms.* SHA-1 and SHA-224 prove nothing, be it in references, certificate digests, chains or signatures.
//!   ECDSA values longer than two fields are refused.
//! * *Certificates.* A `SigningCertificate` property must be there, in either form, with the digest of the certificate
//!   in `KeyInfo`. An authority approved for authentication only does not vouch for it.
//! * *Hash chains.* See [`batch`].
//! * *Bounds.* See [`crate::limits`].

pub mod batch;
pub mod c14n;
mod error;
mod form;
mod memory;
#[cfg(test)]
mod testing;
mod verify;
pub mod xades;

pub use error::SignatureError;
pub use memory::Memory;
pub use verify::{verify, verify_by};
pub use xades::{FormError, Outline, outline, signature_value, with_timestamp};

use crate::crypto::{DigestAlgorithm, SignatureAlgorithm};
use crate::time::UnixTime;
use crate::trust::{ApprovedCa, Certificate, OcspPolicy};
use std::sync::Arc;
use xades::Signed;

/// The name of the message itself among the parts. Spec: message-path §3.2.
pub const MESSAGE: &str = "/message.xml";
/// The name of the hash chain result. Spec: message-path §3.4.
pub const HASH_CHAIN_RESULT: &str = "/sig-hashchainresult.xml";
/// The name of the hash chain. Spec: message-path §3.7.
pub const HASH_CHAIN: &str = "/sig-hashchain.xml";

/// The digest of one part of a message.
///
/// A part may be listed more than once, each time with another algorithm: a signature names the algorithm it digested
/// with, and that is known only when the signature has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigest {
    /// `/message.xml`, `/attachment1`, `/attachment2`, …
    pub name: String,
    /// What it was digested with.
    pub algorithm: DigestAlgorithm,
    /// The digest of its bytes.
    pub digest: Vec<u8>,
}

/// A message's parts and what came to prove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// Every part of the message; each must turn out to be signed.
    pub parts: Vec<PartDigest>,
    /// The signature document.
    pub signature: Vec<u8>,
    /// The hash chain result, when one came.
    pub hash_chain_result: Option<Vec<u8>>,
    /// The hash chain, when one came.
    pub hash_chain: Option<Vec<u8>>,
}

/// Whom to believe when a signature is checked: taken from the global configuration.
#[derive(Debug, Clone)]
pub struct Authorities<'a> {
    /// The approved authorities of the signer's instance.
    pub of_signer: &'a [ApprovedCa],
    /// The approved authorities of all instances, whose OCSP responders may be met.
    pub listed: Vec<&'a ApprovedCa>,
    /// How old an OCSP response may be, by the verifier's own instance.
    pub policy: OcspPolicy,
}

/// A message whose signature holds and covers all of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    unverified: Unverified,
    certificate: Arc<Certificate>,
    algorithm: SignatureAlgorithm,
    status_time: UnixTime,
    signing_time: Option<UnixTime>,
    signature_value: Vec<u8>,
    ca_name: String,
}

impl Verified {
    /// What came.
    #[must_use]
    pub const fn unverified(&self) -> &Unverified {
        &self.unverified
    }

    /// The sign certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// How it was signed.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// When the status of the sign certificate was told (`thisUpdate` of the OCSP response).
    #[must_use]
    pub const fn status_time(&self) -> UnixTime {
        self.status_time
    }

    /// When the signer says that it signed; `None` where it does not say.
    #[must_use]
    pub const fn signing_time(&self) -> Option<UnixTime> {
        self.signing_time
    }

    /// The decoded signature value, which a single time-stamp covers.
    #[must_use]
    pub fn signature_value(&self) -> &[u8] {
        &self.signature_value
    }

    /// The name of the approved authority that vouches for the sign certificate.
    #[must_use]
    pub fn ca_name(&self) -> &str {
        &self.ca_name
    }
}

/// What a signer signs with, besides the key.
#[derive(Debug, Clone)]
pub struct SignerMaterial {
    /// The sign certificate.
    pub certificate: Arc<Certificate>,
    /// Authorities between it and the approved one, from the bottom.
    pub intermediates: Vec<Arc<Certificate>>,
    /// OCSP responses (DER): the sign certificate's first, then the intermediates'.
    pub ocsp: Vec<Vec<u8>>,
}

/// What one message carries as its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureParts {
    /// The signature document.
    pub signature: Arc<[u8]>,
    /// The hash chain result, the same for all messages signed together.
    pub hash_chain_result: Option<Arc<[u8]>>,
    /// This message's hash chain.
    pub hash_chain: Option<Vec<u8>>,
}

/// Messages that cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No message, or one that does not begin with the part `/message.xml`.
    #[error("nothing to sign, or a message without /message.xml as its first part")]
    NoPart,
    /// A part digested with another algorithm than the chain's.
    #[error("part {name} is digested with {found:?}, expected SHA-512")]
    Digest {
        /// The part.
        name: String,
        /// What it was digested with.
        found: DigestAlgorithm,
    },
    /// An algorithm that XML signatures do not name.
    #[error("no XML signature is made with {0:?}")]
    Algorithm(SignatureAlgorithm),
    /// OCSP responses and certificates do not match in number.
    #[error("{found} OCSP responses, expected one for each of {expected} certificates")]
    Ocsp {
        /// Certificates below the approved authority.
        expected: usize,
        /// Responses given.
        found: usize,
    },
}

/// Messages ready to be signed with one signature.
#[derive(Debug)]
pub struct ToSign {
    to_sign: xades::ToSign,
    hash_chain_result: Option<Arc<[u8]>>,
    hash_chains: Vec<Option<Vec<u8>>>,
}

impl ToSign {
    /// The bytes to sign.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.to_sign.bytes()
    }

    /// Completes each message's proof with the signature value, an ECDSA one as `r || s`; in the messages' order.
    #[must_use]
    pub fn finish(self, value: &[u8]) -> Vec<SignatureParts> {
        let signature: Arc<[u8]> = self.to_sign.finish(value).into();
        let parts = |hash_chain| SignatureParts {
            signature: Arc::clone(&signature),
            hash_chain_result: self.hash_chain_result.clone(),
            hash_chain,
        };
        self.hash_chains.into_iter().map(parts).collect()
    }
}

/// Prepares one or many messages to be signed with one signature.
///
/// A single message of one part is signed plainly; everything else through a hash chain. Spec: message-path §3.3.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(
    messages: &[Vec<PartDigest>],
    material: &SignerMaterial,
    algorithm: SignatureAlgorithm,
    at: UnixTime,
) -> Result<ToSign, PrepareError> {
    let uri = algorithm.uri().ok_or(PrepareError::Algorithm(algorithm))?;
    check(messages, material)?;
    let (signed, chains) = if let [parts] = messages
        && let [only] = parts.as_slice()
    {
        (Signed { uri: MESSAGE, media_type: "text/xml", digest: &only.digest }, None)
    } else {
        let chains = batch::build(batch::Kind::Signature, messages).ok_or(PrepareError::NoPart)?;
        (
            Signed { uri: HASH_CHAIN_RESULT, media_type: "application/hash-chain-result", digest: &[] },
            Some(chains),
        )
    };
    let digest = chains.as_ref().map(|c| DigestAlgorithm::Sha512.digest(&c.result));
    let signed = Signed { digest: digest.as_deref().unwrap_or(signed.digest), ..signed };
    let to_sign = xades::prepare(&signed, material, uri, at);
    Ok(match chains {
        None => ToSign { to_sign, hash_chain_result: None, hash_chains: vec![None] },
        Some(chains) => ToSign {
            to_sign,
            hash_chain_result: Some(chains.result.into()),
            hash_chains: chains.chains.into_iter().map(Some).collect(),
        },
    })
}

/// Nothing is signed that our own verifier would refuse for its form.
fn check(messages: &[Vec<PartDigest>], material: &SignerMaterial) -> Result<(), PrepareError> {
    let (expected, found) = (material.intermediates.len() + 1, material.ocsp.len());
    if expected != found {
        return Err(PrepareError::Ocsp { expected, found });
    }
    let begins = |parts: &Vec<PartDigest>| parts.first().is_some_and(|p| p.name == MESSAGE);
    if messages.is_empty() || !messages.iter().all(begins) {
        return Err(PrepareError::NoPart);
    }
    match messages.iter().flatten().find(|p| p.algorithm != DigestAlgorithm::Sha512) {
        Some(part) => Err(PrepareError::Digest { name: part.name.clone(), found: part.algorithm }),
        None => Ok(()),
    }
}

/// Signs one or many messages with one signature.
///
/// `sign` is given the bytes to sign and returns the value as XML carries it, an ECDSA one as `r || s`.
///
/// # Errors
/// What `sign` returns, or [`PrepareError`] as `E`.
pub fn sign<E: From<PrepareError>>(
    messages: &[Vec<PartDigest>],
    material: &SignerMaterial,
    algorithm: SignatureAlgorithm,
    at: UnixTime,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<SignatureParts>, E> {
    let prepared = prepare(messages, material, algorithm, at)?;
    let value = sign(prepared.bytes())?;
    Ok(prepared.finish(&value))
}

#[cfg(test)]
mod tests;
