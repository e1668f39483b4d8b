//! From what came to what may be believed.

use super::batch;
use super::c14n::Method;
use super::memory::{Credentials, Document, Memory};
use super::xades::{Reference, Signature};
use super::{
    Authorities, HASH_CHAIN_RESULT, MESSAGE, PartDigest, SignatureError, Unverified, Verified, form,
};
use crate::crypto::{EcdsaForm, Hasher};
use crate::globalconf::lookup::GlobalConf;
use crate::id::ClientId;
use crate::limits;
use crate::time::UnixTime;
use crate::trust::ocsp::{self, Response, Status};
use crate::trust::path::{self, Chain};
use crate::xml::admit;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Checks that the signature holds at `at`, is `signer`'s, and covers every part of the message.
///
/// Spec: message-path §4.3, in its order. Ours: §4.4, as the module says.
///
/// # Errors
/// [`SignatureError`]; its code goes below `signature_verification`.
pub fn verify(
    unverified: Unverified,
    signer: &ClientId,
    conf: &GlobalConf,
    at: UnixTime,
) -> Result<Verified, SignatureError> {
    let of_signer = conf.approved_cas(&signer.member.instance);
    let authorities = Authorities { of_signer, listed: conf.all_cas(), policy: conf.ocsp_policy() };
    verify_remembering(unverified, signer, &authorities, conf.memory(), at)
}

/// As [`verify`], by authorities that come from elsewhere than the global configuration.
///
/// # Errors
/// [`SignatureError`]; its code goes below `signature_verification`.
pub fn verify_by(
    unverified: Unverified,
    signer: &ClientId,
    authorities: &Authorities<'_>,
    at: UnixTime,
) -> Result<Verified, SignatureError> {
    verify_remembering(unverified, signer, authorities, &Memory::default(), at)
}

/// `memory` holds what was found by the same authorities.
pub(super) fn verify_remembering(
    unverified: Unverified,
    signer: &ClientId,
    authorities: &Authorities<'_>,
    memory: &Memory,
    at: UnixTime,
) -> Result<Verified, SignatureError> {
    if let Some(document) = memory.document(&unverified.signature, &signer.member, at) {
        // What the document says of itself holds; what it says of these parts is looked at.
        let chained = chain(&document.references, &unverified)?;
        references(&document.references, &unverified, chained, |_| Ok(true))?;
        return Ok(document.verified(unverified));
    }
    let text = form::readable(&unverified.signature).map_err(super::FormError::from)?;
    let document = admit(&text, limits::SIGNATURE_BYTES_MAX).map_err(super::FormError::from)?;
    let signature = Signature::read(&document)?;
    let chained = chain(&signature.references, &unverified)?;
    let credentials = match memory.credentials(&signature, &signer.member, at) {
        Some(known) => {
            itself(&signature, &unverified, chained)?;
            known
        }
        None => {
            let path = signer_path(&signature, signer, authorities, at)?;
            itself(&signature, &unverified, chained)?;
            let found = Arc::new(status(&signature, &path, authorities, at)?);
            memory.keep_credentials(&signature, &signer.member, &found);
            found
        }
    };
    let document = Arc::new(Document::new(signature, credentials));
    memory.keep_document(&unverified.signature, &signer.member, &document);
    Ok(document.verified(unverified))
}

/// Checks that the signature covers every part and was made with the certificate's key.
fn itself(
    signature: &Signature<'_, '_>,
    unverified: &Unverified,
    chained: bool,
) -> Result<(), SignatureError> {
    let holds_inside = |reference: &Reference| {
        properties_digest(signature, reference).map(|digest| digest == reference.digest)
    };
    references(&signature.references, unverified, chained, holds_inside)?;
    value(signature)
}

/// Checks the hash chain if the signature is made over one; tells whether it is. A chain proves every part or fails.
fn chain(references: &[Reference], unverified: &Unverified) -> Result<bool, SignatureError> {
    if !unverified.parts.iter().any(|p| p.name == MESSAGE) {
        return Err(SignatureError::NoPart);
    }
    let result = unverified.hash_chain_result.as_deref();
    if references.iter().any(|r| r.uri == HASH_CHAIN_RESULT) {
        let result = result.ok_or(SignatureError::NoChainResult)?;
        batch::verify(batch::Kind::Signature, result, unverified.hash_chain.as_deref(), &unverified.parts)?;
        return Ok(true);
    }
    match (result, &unverified.hash_chain) {
        (None, None) => Ok(false),
        _ => Err(SignatureError::UnsignedChain),
    }
}

/// Checks that the certificate may sign, comes from an approved authority and is the signer's.
fn signer_path(
    signature: &Signature<'_, '_>,
    signer: &ClientId,
    authorities: &Authorities<'_>,
    at: UnixTime,
) -> Result<Chain, SignatureError> {
    let certificate = &signature.certificate;
    if !path::is_signing(certificate).map_err(SignatureError::Path)? {
        return Err(SignatureError::NotForSigning(certificate.subject_text().to_owned()));
    }
    let path = path::for_signing(certificate, &signature.intermediates, authorities.of_signer, at)
        .map_err(SignatureError::Path)?;
    let found = path.ca().member_of(certificate, &signer.member)?;
    if found != signer.member {
        let expected = Box::new(signer.member.clone());
        return Err(SignatureError::Member { expected, found: Box::new(found) });
    }
    Ok(path)
}

/// Checks every reference, and that every part is covered: by a reference of its own, or by the chain. `holds_inside`
/// looks at those into the document.
fn references(
    references: &[Reference],
    unverified: &Unverified,
    chained: bool,
    holds_inside: impl Fn(&Reference) -> Result<bool, SignatureError>,
) -> Result<(), SignatureError> {
    let mut parts = HashMap::with_capacity(unverified.parts.len());
    for part in &unverified.parts {
        if parts.insert((part.name.as_str(), part.algorithm), part).is_some() {
            return Err(batch::ChainError::Twice(part.name.clone()).into());
        }
    }
    let names: HashSet<&str> = unverified.parts.iter().map(|p| p.name.as_str()).collect();
    let result = unverified.hash_chain_result.as_deref();
    let mut referred = HashSet::with_capacity(references.len());
    for reference in references {
        if !referred.insert(reference.uri.as_str()) {
            return Err(SignatureError::Repeated(reference.uri.clone()));
        }
        let holds = if reference.uri.starts_with('#') {
            holds_inside(reference)?
        } else if reference.transform.is_some() {
            return Err(SignatureError::Transform(reference.uri.clone()));
        } else if let Some(result) = result.filter(|_| reference.uri == HASH_CHAIN_RESULT) {
            reference.algorithm.digest(result) == reference.digest
        } else {
            part_of(reference, &parts, &names)?.digest == reference.digest
        };
        if !holds {
            return Err(SignatureError::Digest(reference.uri.clone()));
        }
    }
    if !referred.iter().any(|uri| uri.starts_with('#')) {
        return Err(SignatureError::Properties);
    }
    let mut bare: Vec<String> = names.difference(&referred).map(|n| (*n).to_owned()).collect();
    if chained || bare.is_empty() {
        return Ok(());
    }
    bare.sort_unstable();
    Err(SignatureError::Uncovered(bare))
}

/// Digests the signed properties: a reference into the document may name nothing else.
fn properties_digest(
    signature: &Signature<'_, '_>,
    reference: &Reference,
) -> Result<Vec<u8>, SignatureError> {
    let properties = signature.signed_properties;
    if properties.attribute("Id") != reference.uri.strip_prefix('#') {
        let wrong =
            if reference.names_properties { SignatureError::Properties } else { unresolved(reference) };
        return Err(wrong);
    }
    let plain = Method::default();
    let mut hasher = Hasher::new(reference.algorithm);
    let method = reference.transform.as_ref().unwrap_or(&plain);
    method.element(properties, &mut |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

fn unresolved(reference: &Reference) -> SignatureError {
    SignatureError::Unresolved(reference.uri.clone())
}

fn part_of<'u>(
    reference: &Reference,
    parts: &HashMap<(&str, crate::crypto::DigestAlgorithm), &'u PartDigest>,
    names: &HashSet<&str>,
) -> Result<&'u PartDigest, SignatureError> {
    match parts.get(&(reference.uri.as_str(), reference.algorithm)) {
        Some(part) => Ok(part),
        None if names.contains(reference.uri.as_str()) => {
            Err(SignatureError::Algorithm { name: reference.uri.clone(), algorithm: reference.algorithm })
        }
        None => Err(unresolved(reference)),
    }
}

fn value(signature: &Signature<'_, '_>) -> Result<(), SignatureError> {
    let message = signature.canonicalization.element_bytes(signature.signed_info)?;
    let key = signature.certificate.public_key();
    key.verify(signature.algorithm, &message, &signature.value, EcdsaForm::Fixed)
        .map_err(SignatureError::Value)
}

/// Checks that every certificate of the path has a good OCSP response; tells what is known of the signer then.
fn status(
    signature: &Signature<'_, '_>,
    path: &Chain,
    authorities: &Authorities<'_>,
    at: UnixTime,
) -> Result<Credentials, SignatureError> {
    if signature.ocsp.is_empty() {
        return Err(SignatureError::OcspForm("none".to_owned()));
    }
    let read = signature.ocsp.iter().map(|der| Response::from_der(der));
    let responses: Vec<Response> =
        read.collect::<Result<_, _>>().map_err(|e| SignatureError::OcspForm(e.to_string()))?;
    ocsp::check(path, &responses, &authorities.listed, &authorities.policy, at)
        .map_err(SignatureError::Status)?;
    let (leaf, issuer) = (path.leaf(), path.issuer_of(0));
    let good = |r: &&Response| r.status() == Status::Good && r.covers(leaf, issuer);
    let candidates: Vec<&Response> = responses.iter().filter(good).collect();
    let holds =
        |r: &&&Response| ocsp::verify(r, leaf, issuer, &authorities.listed, &authorities.policy, at).is_ok();
    let proof = if let [only] = candidates.as_slice() { Some(only) } else { candidates.iter().find(holds) };
    let missing = || ocsp::OcspError::Missing { subject: leaf.subject_text().to_owned() };
    Ok(Credentials {
        status_time: proof.ok_or_else(|| SignatureError::Status(missing()))?.this_update(),
        ca_name: path.ca().name.clone(),
        from: at,
        until: ocsp::holds_until(path, &responses, &authorities.policy),
    })
}
