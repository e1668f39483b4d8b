//! From a container to a [`Proof`]: who said what, when, under which certificate, and what is not proven.
//!
//! Spec: message-path §6.5, in this order: entries, references, time-stamp, message, signature as of the time
//! stamped. Ours: every attachment is held against its digest, altered and extra ones are refused, and the ASiC
//! manifest is read; X-Road 7.8 does none of these.

use super::message::Summary;
use super::zip::{self, Archive, ZipError};
use super::{COMMENT, ContainerError, MEDIA_TYPE, entry, manifest};
use crate::crypto::{DigestAlgorithm, Hasher, SignatureAlgorithm};
use crate::globalconf::GlobalConf;
use crate::limits;
use crate::signature::{self, Outline, PartDigest, SignatureError, Unverified, Verified, batch};
use crate::time::UnixTime;
use crate::trust::{Certificate, tsp};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, Write};
use std::sync::Arc;

/// A container that has what a container must have; nothing in it is believed yet.
#[derive(Debug)]
pub struct Container<R> {
    archive: Archive<R>,
    signatures: String,
}

/// What a container proves to whoever trusts the configuration it was held against.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Who says what to whom.
    pub message: Summary,
    /// Who signed, and under which certificate.
    pub signature: Signed,
    /// When the signature existed at the latest.
    pub stamp: Stamped,
    /// Every part that was signed, in the signature's order.
    pub parts: Vec<Part>,
    /// What one could take for proven and is not.
    pub unproven: Vec<Unproven>,
}

/// Who signed.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The sign certificate.
    pub certificate: Certificate,
    /// The approved authority that vouches for it.
    pub ca_name: String,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
    /// When the authority told that the certificate was good.
    pub status_time: UnixTime,
    /// When the signer says that it signed; its own word.
    pub signing_time: Option<UnixTime>,
    /// Whether one signature covers this message together with others.
    pub is_batch: bool,
}

/// When the signature existed at the latest.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// The time that the authority states.
    pub time: UnixTime,
    /// The authority's certificate.
    pub tsa: Arc<Certificate>,
    /// Whether one time-stamp covers this signature together with others.
    pub is_batch: bool,
}

/// One part that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The entry's name.
    pub name: String,
    /// What it was digested with.
    pub algorithm: DigestAlgorithm,
    /// Its digest, as signed.
    pub digest: Vec<u8>,
    /// Bytes of the entry; `None` when the container does not hold it.
    pub size: Option<u64>,
}

/// What one could take for proven and is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Unproven {
    /// A part was signed but is not in the container: known by its digest alone.
    MissingPart(String),
    /// An entry that nothing signed names.
    Entry(String),
    /// The signature's hash chain is in the container, but the signature does not name it.
    UnusedChain,
    /// A further time-stamp inside the signature, not looked at.
    FurtherStamp,
}

impl<R: Read + Seek> Container<R> {
    /// Opens a file as a container.
    ///
    /// # Errors
    /// [`ContainerError`] for a zip file that is not strict, another type, or an entry that is missing.
    pub fn open(source: R) -> Result<Self, ContainerError> {
        let mut archive = Archive::open(source)?;
        check_bounds(&archive)?;
        if archive.entry(entry::MEDIA_TYPE).is_none() {
            return Err(ContainerError::Missing(entry::MEDIA_TYPE));
        }
        let comment = archive.comment();
        if !(comment.is_empty() || comment == COMMENT.as_bytes()) {
            return Err(other_type(comment));
        }
        let media_type = archive.read(entry::MEDIA_TYPE, limits::ZIP_NAME_BYTES_MAX)?;
        if media_type != MEDIA_TYPE.as_bytes() {
            return Err(other_type(&media_type));
        }
        if archive.entry(entry::MESSAGE).is_none() {
            return Err(ContainerError::Missing(entry::MESSAGE));
        }
        let names = archive.entries().iter().map(|e| e.name()).filter(|n| is_signature(n));
        let mut signatures: Vec<_> = names.map(str::to_owned).collect();
        match (signatures.pop(), signatures.is_empty()) {
            (Some(signatures), true) => Ok(Self { archive, signatures }),
            (None, _) => Err(ContainerError::Missing(entry::SIGNATURES)),
            (Some(last), false) => {
                signatures.push(last);
                Err(ContainerError::SeveralSignatures(signatures))
            }
        }
    }

    /// The zip file, to take entries out.
    pub const fn archive(&mut self) -> &mut Archive<R> {
        &mut self.archive
    }

    fn has(&self, name: &str) -> bool {
        self.archive.entry(name).is_some_and(|e| !e.is_folder())
    }

    fn read(&mut self, name: &'static str) -> Result<Vec<u8>, ContainerError> {
        if !self.has(name) {
            return Err(ContainerError::Missing(name));
        }
        Ok(self.archive.read(name, limits::CONTAINER_ENTRY_BYTES_MAX)?)
    }

    fn digest(&mut self, name: &str, algorithm: DigestAlgorithm) -> Result<Vec<u8>, ContainerError> {
        let mut sink = Digesting(Hasher::new(algorithm));
        self.archive.unpack(name, limits::CONTAINER_ATTACHMENT_BYTES_MAX, &mut sink)?;
        Ok(sink.0.finish())
    }
}

/// Holds a container against the configuration.
///
/// Certificates are judged as of the time stamped, with the authorities that `conf` approves; whether `conf` itself
/// is to be believed, and is of that time, is the caller's to know.
///
/// # Errors
/// [`ContainerError`]; its code is the one that X-Road's own verifier gives where it refuses, too.
pub fn verify<R: Read + Seek>(
    container: &mut Container<R>,
    conf: &GlobalConf,
) -> Result<Proof, ContainerError> {
    let name = container.signatures.clone();
    let document = container.archive.read(&name, limits::SIGNATURE_BYTES_MAX)?;
    let outline = signature::outline(&document).map_err(ContainerError::Form)?;
    let names = |uri| outline.references.iter().any(|r| r == uri);
    let is_batch = names(signature::HASH_CHAIN_RESULT);
    if !(is_batch || names(signature::MESSAGE)) {
        return Err(ContainerError::NotOfMessage);
    }
    let stamp = verify_stamp(container, &document, &outline, conf)?;
    let content = container.read(entry::MESSAGE)?;
    let message = Summary::read(&content)?;
    let chain = if is_batch {
        let result = container.read(entry::SIGNATURE_CHAIN_RESULT)?;
        Some((result, container.read(entry::SIGNATURE_CHAIN)?))
    } else {
        None
    };
    let parts = gather(container, &outline, chain.as_ref().map(|(_, chain)| chain.as_slice()), &content)?;
    let (hash_chain_result, hash_chain) = chain.unzip();
    let unverified =
        Unverified { parts: digests(&parts), signature: document, hash_chain_result, hash_chain };
    let signer = message.signer();
    let verified = signature::verify(unverified, signer, conf, stamp.time)?;
    let unproven = look_over(container, &parts, is_batch, outline.timestamps.len(), stamp.is_batch)?;
    Ok(Proof { message, signature: signed(&verified, is_batch), stamp, parts, unproven })
}

fn signed(verified: &Verified, is_batch: bool) -> Signed {
    Signed {
        certificate: verified.certificate().clone(),
        ca_name: verified.ca_name().to_owned(),
        algorithm: verified.algorithm(),
        status_time: verified.status_time(),
        signing_time: verified.signing_time(),
        is_batch,
    }
}

fn check_bounds<R: Read + Seek>(archive: &Archive<R>) -> Result<(), ContainerError> {
    let bound = |what, found: u64, allowed: u64| {
        if found > allowed { Err(ZipError::Bound { what, found, allowed }) } else { Ok(()) }
    };
    bound("entries", archive.entries().len() as u64, limits::CONTAINER_ENTRIES_MAX as u64)?;
    let unpacked = archive.entries().iter().map(zip::Entry::size).sum();
    bound("bytes unpacked", unpacked, limits::CONTAINER_UNPACKED_BYTES_MAX)?;
    Ok(())
}

fn other_type(found: &[u8]) -> ContainerError {
    let shown = found.get(..found.len().min(64)).unwrap_or_default();
    ContainerError::MediaType { expected: MEDIA_TYPE, found: String::from_utf8_lossy(shown).into_owned() }
}

/// Whether an entry of this name is a signature to X-Road: `META-INF/.*signatures.*\.xml`.
fn is_signature(name: &str) -> bool {
    name.strip_prefix("META-INF/")
        .and_then(|n| n.strip_suffix(".xml"))
        .is_some_and(|n| n.contains("signatures"))
}

/// Whether an entry of this name is an attachment: `attachment` and a number from 1.
fn is_attachment(name: &str) -> bool {
    name.strip_prefix(entry::ATTACHMENT).is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0')
    })
}

/// Verifies the time-stamp: over the signature value, or over a hash chain down to the signature document.
fn verify_stamp<R: Read + Seek>(
    container: &mut Container<R>,
    document: &[u8],
    outline: &Outline,
    conf: &GlobalConf,
) -> Result<Stamped, ContainerError> {
    let is_batch = container.has(entry::TOKEN);
    let (token, covered) = if is_batch {
        let result = container.read(entry::STAMP_CHAIN_RESULT)?;
        let chain = container.read(entry::STAMP_CHAIN)?;
        let leaf = |algorithm: DigestAlgorithm| PartDigest {
            name: batch::SIGNATURES.to_owned(),
            algorithm,
            digest: algorithm.digest(document),
        };
        let leaves = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512].map(leaf);
        batch::verify(batch::Kind::Timestamp, &result, Some(&chain), &leaves)
            .map_err(ContainerError::StampChain)?;
        check_manifest(container, &result)?;
        (container.read(entry::TOKEN)?, result)
    } else {
        let token = outline.timestamps.first().ok_or(ContainerError::NoStamp)?;
        (token.clone(), outline.signature_value.clone())
    };
    let token = tsp::Token::from_der(&token).map_err(ContainerError::Stamp)?;
    let (algorithm, imprint) = token.imprint();
    let digest = algorithm.digest(&covered);
    if digest != imprint {
        return Err(ContainerError::Imprint);
    }
    let tsa =
        tsp::verify(&token, (algorithm, &digest), conf.tsa_certificates()).map_err(ContainerError::Stamp)?;
    Ok(Stamped { time: token.gen_time(), tsa, is_batch })
}

/// Holds the ASiC manifest against what the time-stamp covers.
fn check_manifest<R: Read + Seek>(container: &mut Container<R>, result: &[u8]) -> Result<(), ContainerError> {
    let document = container.read(entry::ASIC_MANIFEST)?;
    let covered = manifest::read_covered(&document).map_err(ContainerError::Manifest)?;
    let other =
        |expected, found: &str| Err(ContainerError::ManifestOther { expected, found: found.to_owned() });
    if covered.token != entry::TOKEN {
        return other(entry::TOKEN, &covered.token);
    }
    match covered.objects.as_slice() {
        [(name, algorithm, digest)] if name == entry::STAMP_CHAIN_RESULT => {
            if algorithm.digest(result) == *digest {
                Ok(())
            } else {
                other("ts-hashchainresult.xml as it is", "other bytes")
            }
        }
        [(name, ..)] => other(entry::STAMP_CHAIN_RESULT, name),
        objects => other(entry::STAMP_CHAIN_RESULT, &format!("{} objects", objects.len())),
    }
}

/// Finds every part that the signature or its hash chain names, digested anew where the container holds it.
fn gather<R: Read + Seek>(
    container: &mut Container<R>,
    outline: &Outline,
    chain: Option<&[u8]>,
    message: &[u8],
) -> Result<Vec<Part>, ContainerError> {
    let chained = match chain {
        Some(chain) => batch::parts_named(chain).map_err(SignatureError::from)?,
        None => Vec::new(),
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut places: HashMap<(String, DigestAlgorithm), usize> = HashMap::new();
    let named = outline.parts.iter().map(|p| (p, false)).chain(chained.iter().map(|p| (p, true)));
    for (part, is_chained) in named {
        let name = part.name.strip_prefix('/').unwrap_or(&part.name);
        // the chain result is signed itself, and verified as what it is
        if part.name == signature::HASH_CHAIN_RESULT {
            continue;
        }
        let key = (name.to_owned(), part.algorithm);
        let place = match places.get(&key) {
            Some(place) => *place,
            None => {
                let Some(found) = find(container, name, part, message)? else { continue };
                parts.push(found);
                places.insert(key, parts.len() - 1);
                parts.len() - 1
            }
        };
        if is_chained && parts.get(place).is_none_or(|found| found.digest != part.digest) {
            return Err(ContainerError::Altered { name: name.to_owned() });
        }
    }
    let named: HashSet<_> = parts.iter().map(|p| p.name.as_str()).collect();
    let mut attachments = container.archive.entries().iter().map(|e| e.name()).filter(|n| is_attachment(n));
    if let Some(extra) = attachments.find(|n| !named.contains(n)) {
        return Err(ContainerError::Unsigned { name: extra.to_owned() });
    }
    if !named.contains(entry::MESSAGE) {
        // what does not speak of the message is refused by the signature's own rules
        parts.push(part_of_message(DigestAlgorithm::Sha512, message));
    }
    Ok(parts)
}

/// Digests a part that is named; one that is not there is taken as named, if it is an attachment.
fn find<R: Read + Seek>(
    container: &mut Container<R>,
    name: &str,
    named: &PartDigest,
    message: &[u8],
) -> Result<Option<Part>, ContainerError> {
    if name == entry::MESSAGE {
        return Ok(Some(part_of_message(named.algorithm, message)));
    }
    let part = |digest, size| Part { name: name.to_owned(), algorithm: named.algorithm, digest, size };
    if container.has(name) {
        let size = container.archive.entry(name).map(zip::Entry::size);
        return Ok(Some(part(container.digest(name, named.algorithm)?, size)));
    }
    Ok(is_attachment(name).then(|| part(named.digest.clone(), None)))
}

fn part_of_message(algorithm: DigestAlgorithm, message: &[u8]) -> Part {
    let digest = algorithm.digest(message);
    Part { name: entry::MESSAGE.to_owned(), algorithm, digest, size: Some(message.len() as u64) }
}

fn digests(parts: &[Part]) -> Vec<PartDigest> {
    parts
        .iter()
        .map(|p| PartDigest {
            name: format!("/{}", p.name),
            algorithm: p.algorithm,
            digest: p.digest.clone(),
        })
        .collect()
}

/// Unpacks what was not needed, since a container is whole or it is none, and lists what stays unproven.
fn look_over<R: Read + Seek>(
    container: &mut Container<R>,
    parts: &[Part],
    is_batch: bool,
    stamps: usize,
    is_batch_stamp: bool,
) -> Result<Vec<Unproven>, ContainerError> {
    let mut unproven: Vec<_> =
        parts.iter().filter(|p| p.size.is_none()).map(|p| Unproven::MissingPart(p.name.clone())).collect();
    let chain = [entry::SIGNATURE_CHAIN, entry::SIGNATURE_CHAIN_RESULT];
    if !is_batch && chain.iter().any(|n| container.has(n)) {
        unproven.push(Unproven::UnusedChain);
    }
    if stamps > usize::from(!is_batch_stamp) {
        unproven.push(Unproven::FurtherStamp);
    }
    let read: HashSet<&str> = parts.iter().map(|p| p.name.as_str()).collect();
    let names: Vec<_> = container
        .archive
        .entries()
        .iter()
        .filter(|e| !e.is_folder() && !read.contains(e.name()))
        .map(|e| e.name().to_owned())
        .collect();
    for name in names {
        container.archive.unpack(&name, limits::CONTAINER_ATTACHMENT_BYTES_MAX, &mut std::io::sink())?;
        if !(KNOWN.contains(&name.as_str()) || chain.contains(&name.as_str()) || is_signature(&name)) {
            unproven.push(Unproven::Entry(name));
        }
    }
    Ok(unproven)
}

/// Entries that carry the proof, or only say what is there.
const KNOWN: [&str; 6] = [
    entry::MEDIA_TYPE,
    entry::STAMP_CHAIN_RESULT,
    entry::STAMP_CHAIN,
    entry::MANIFEST,
    entry::ASIC_MANIFEST,
    entry::TOKEN,
];

/// Digests what is written to it.
struct Digesting(Hasher);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
