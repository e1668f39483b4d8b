//! From what came to what may be believed.

use super::batch;
use super::c14n::Method;
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
    verify_by(unverified, signer, &authorities, at)
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
    let text = form::readable(&unverified.signature).map_err(super::FormError::from)?;
    let document = admit(&text, limits::SIGNATURE_BYTES_MAX).map_err(super::FormError::from)?;
    let signature = Signature::read(&document)?;
    let chained = chain(&signature, &unverified)?;
    let path = signer_path(&signature, signer, authorities, at)?;
    references(&signature, &unverified, chained)?;
    value(&signature)?;
    let status_time = status(&signature, &path, authorities, at)?;
    let Signature { certificate, algorithm, signing_time, value: signature_value, .. } = signature;
    let ca_name = path.ca().name.clone();
    Ok(Verified { unverified, certificate, algorithm, status_time, signing_time, signature_value, ca_name })
}

/// Checks the hash chain if the signature is made over one; tells whether it is. A chain proves every part or fails.
fn chain(signature: &Signature<'_, '_>, unverified: &Unverified) -> Result<bool, SignatureError> {
    if !unverified.parts.iter().any(|p| p.name == MESSAGE) {
        return Err(SignatureError::NoPart);
    }
    let result = unverified.hash_chain_result.as_deref();
    if signature.references.iter().any(|r| r.uri == HASH_CHAIN_RESULT) {
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

/// Checks every reference, and that every part is covered: by a reference of its own, or by the chain.
fn references(
    signature: &Signature<'_, '_>,
    unverified: &Unverified,
    chained: bool,
) -> Result<(), SignatureError> {
    let mut parts = HashMap::with_capacity(unverified.parts.len());
    for part in &unverified.parts {
        if parts.insert((part.name.as_str(), part.algorithm), part).is_some() {
            return Err(batch::ChainError::Twice(part.name.clone()).into());
        }
    }
    let names: HashSet<&str> = unverified.parts.iter().map(|p| p.name.as_str()).collect();
    let result = unverified.hash_chain_result.as_deref();
    let mut referred = HashSet::with_capacity(signature.references.len());
    for reference in &signature.references {
        if !referred.insert(reference.uri) {
            return Err(SignatureError::Repeated(reference.uri.to_owned()));
        }
        let holds = if reference.uri.starts_with('#') {
            properties_digest(signature, reference)? == reference.digest
        } else if reference.transform.is_some() {
            return Err(SignatureError::Transform(reference.uri.to_owned()));
        } else if let Some(result) = result.filter(|_| reference.uri == HASH_CHAIN_RESULT) {
            reference.algorithm.digest(result) == reference.digest
        } else {
            part_of(reference, &parts, &names)?.digest == reference.digest
        };
        if !holds {
            return Err(SignatureError::Digest(reference.uri.to_owned()));
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
    reference: &Reference<'_>,
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

fn unresolved(reference: &Reference<'_>) -> SignatureError {
    SignatureError::Unresolved(reference.uri.to_owned())
}

fn part_of<'u>(
    reference: &Reference<'_>,
    parts: &HashMap<(&str, crate::crypto::DigestAlgorithm), &'u PartDigest>,
    names: &HashSet<&str>,
) -> Result<&'u PartDigest, SignatureError> {
    match parts.get(&(reference.uri, reference.algorithm)) {
        Some(part) => Ok(part),
        None if names.contains(reference.uri) => {
            Err(SignatureError::Algorithm { name: reference.uri.to_owned(), algorithm: reference.algorithm })
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

/// Checks that every certificate of the path has a good OCSP response; tells of when the sign certificate's is.
fn status(
    signature: &Signature<'_, '_>,
    path: &Chain,
    authorities: &Authorities<'_>,
    at: UnixTime,
) -> Result<UnixTime, SignatureError> {
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
    proof.map(|r| r.this_update()).ok_or_else(|| SignatureError::Status(missing()))
}
