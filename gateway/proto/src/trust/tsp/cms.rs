//! As much of CMS as a time-stamp token is made of: signed data with one signer.
//!
//! Spec: RFC 5652 5, RFC 5035 and RFC 5816 (the attribute that names the signer's certificate).

use super::TspError;
use crate::crypto::{CryptoError, DigestAlgorithm, EcdsaForm, Scheme, SignatureAlgorithm, SigningKey};
use crate::der::{self, DerError, Reader, Value, tag};
use crate::limits;
use crate::trust::{Certificate, Name};

/// id-signedData. Spec: RFC 5652 5.1.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// id-contentType. Spec: RFC 5652 11.1.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
/// id-messageDigest. Spec: RFC 5652 11.2.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// id-aa-signingCertificate. Spec: RFC 5035 5.
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
/// id-aa-signingCertificateV2. Spec: RFC 5035 3.
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
/// rsaEncryption, where the digest is named beside. Spec: RFC 3370 3.2.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// Signed data, read in place.
pub(super) struct SignedData<'a> {
    version: Value<'a>,
    digest_algorithms: Value<'a>,
    encapsulated: Value<'a>,
    certificates: Option<Value<'a>>,
    revocations: Option<Value<'a>>,
    signers: Value<'a>,
    content_type: &'a [u8],
    content: &'a [u8],
    signer: Signer<'a>,
}

/// Who signed, and what.
struct Signer<'a> {
    id: SignerId<'a>,
    digest: Option<DigestAlgorithm>,
    attributes: Value<'a>,
    algorithm: Value<'a>,
    signature: &'a [u8],
}

enum SignerId<'a> {
    IssuerAndSerial(Name, &'a [u8]),
    Key(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Reads a `ContentInfo` in DER.
    pub(super) fn read(content_info: &'a [u8]) -> Result<Self, TspError> {
        let mut outer = Reader::new(content_info);
        let mut info = outer.sequence()?;
        outer.end()?;
        if info.oid()? != SIGNED_DATA {
            return Err(DerError::NotDistinguished("content type of a token").into());
        }
        let mut explicit = info.expect(tag::context(0))?.reader();
        info.end()?;
        let mut inside = explicit.sequence()?;
        explicit.end()?;

        let version = inside.expect(tag::INTEGER)?;
        let digest_algorithms = inside.expect(tag::SET)?;
        let encapsulated = inside.expect(tag::SEQUENCE)?;
        let certificates = inside.optional(tag::context(0))?;
        let revocations = inside.optional(tag::context(1))?;
        let signers = inside.expect(tag::SET)?;
        inside.end()?;
        // Content that is no plain data, no certificates of other kinds. Spec: RFC 5652 5.1.
        if version.content != [3] {
            return Err(DerError::NotDistinguished("version of signed data").into());
        }

        let mut content = encapsulated.reader();
        let content_type = content.oid()?;
        let mut explicit = content.expect(tag::context(0))?.reader();
        content.end()?;
        let content = explicit.octets()?;
        explicit.end()?;
        let signer = Signer::read(signers)?;
        let mut listed = digest_algorithms.reader();
        let mut is_listed = false;
        while !listed.is_empty() {
            let identifier = listed.expect(tag::SEQUENCE)?;
            is_listed |= signer.digest.is_some() && read_digest(identifier)? == signer.digest;
        }
        if !is_listed {
            return Err(TspError::UnknownDigest);
        }
        Ok(Self {
            version,
            digest_algorithms,
            encapsulated,
            certificates,
            revocations,
            signers,
            content_type,
            content,
            signer,
        })
    }

    pub(super) const fn content_type(&self) -> &'a [u8] {
        self.content_type
    }

    pub(super) const fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Whether the signer names this certificate.
    pub(super) fn is_signer(&self, cert: &Certificate) -> bool {
        match &self.signer.id {
            SignerId::IssuerAndSerial(issuer, serial) => {
                *serial == cert.serial() && issuer.is_same(cert.issuer_name())
            }
            SignerId::Key(identifier) => *identifier == cert.key_identifier().unwrap_or(cert.key_sha1()),
        }
    }

    /// Verifies that the holder of `cert` signed this content as this type, and said so of this certificate.
    pub(super) fn verify(&self, cert: &Certificate) -> Result<(), TspError> {
        let signer = &self.signer;
        let digest = signer.digest.ok_or(TspError::UnknownDigest)?;
        let attributes = Attributes::read(signer.attributes)?;
        if attributes.content_type != Some(&der::write(tag::OID, self.content_type)) {
            return Err(TspError::Attribute("content type"));
        }
        let expected = der::write(tag::OCTET_STRING, &digest.digest(self.content));
        if attributes.digest != Some(&expected) {
            return Err(TspError::Attribute("message digest"));
        }
        attributes.check_certificate(cert)?;
        let algorithm = signer.signature_algorithm(digest).ok_or(TspError::UnknownDigest)?;
        // Signed is the SET, not the implicit tag that it stands under. Spec: RFC 5652 5.4.
        let mut signed = signer.attributes.raw.to_vec();
        if let Some(first) = signed.first_mut() {
            *first = tag::SET;
        }
        cert.public_key()
            .verify(algorithm, &signed, signer.signature, EcdsaForm::Der)
            .map_err(TspError::Signature)
    }

    /// The same `ContentInfo` with one certificate more, unless it is there.
    pub(super) fn with_certificate(&self, cert: &Certificate) -> Result<Vec<u8>, TspError> {
        let mut certificates = vec![cert.der()];
        let mut present = self.certificates.map_or(Reader::new(&[]), |v| v.reader());
        while !present.is_empty() {
            let value = present.value()?;
            if value.raw != cert.der() {
                certificates.push(value.raw);
            }
        }
        certificates.sort_unstable();
        let mut parts = vec![
            self.version.raw.to_vec(),
            self.digest_algorithms.raw.to_vec(),
            self.encapsulated.raw.to_vec(),
            der::constructed(tag::context(0), certificates),
        ];
        parts.extend(self.revocations.map(|v| v.raw.to_vec()));
        parts.push(self.signers.raw.to_vec());
        Ok(content_info(&der::sequence(parts)))
    }
}

impl<'a> Signer<'a> {
    fn read(signers: Value<'a>) -> Result<Self, TspError> {
        let mut list = signers.reader();
        let mut inside = list.sequence()?;
        if !list.is_empty() {
            return Err(TspError::Signers);
        }
        let version = inside.small()?;
        let id = match inside.optional(tag::context_primitive(0))? {
            Some(key) => SignerId::Key(key.content),
            None => {
                let mut pair = inside.sequence()?;
                let issuer = Name::from_der(pair.expect(tag::SEQUENCE)?.raw)?;
                let serial = pair.integer()?;
                pair.end()?;
                SignerId::IssuerAndSerial(issuer, serial)
            }
        };
        if version != if matches!(id, SignerId::Key(_)) { 3 } else { 1 } {
            return Err(DerError::NotDistinguished("version of signer").into());
        }
        let digest = read_digest(inside.expect(tag::SEQUENCE)?)?;
        let attributes = inside.expect(tag::context(0))?;
        let algorithm = inside.expect(tag::SEQUENCE)?;
        let signature = inside.octets()?;
        inside.optional(tag::context(1))?;
        inside.end()?;
        Ok(Self { id, digest, attributes, algorithm, signature })
    }

    fn signature_algorithm(&self, digest: DigestAlgorithm) -> Option<SignatureAlgorithm> {
        let mut inside = self.algorithm.reader();
        if inside.oid().ok()? == RSA_ENCRYPTION {
            let is_plain = matches!(inside.rest(), [] | [tag::NULL, 0]);
            return is_plain.then_some(SignatureAlgorithm { scheme: Scheme::RsaPkcs1, digest });
        }
        SignatureAlgorithm::from_identifier(self.algorithm.raw)
    }
}

/// Reads a digest's `AlgorithmIdentifier`; `None` for one that signs nothing.
fn read_digest(identifier: Value<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
    let mut inside = identifier.reader();
    let algorithm = DigestAlgorithm::from_oid(inside.oid()?);
    let is_plain = matches!(inside.rest(), [] | [tag::NULL, 0]);
    let is_weak = matches!(algorithm, Some(DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224));
    Ok(algorithm.filter(|_| is_plain && !is_weak))
}

/// The signed attributes that count, each the DER of its one value.
#[derive(Default)]
struct Attributes<'a> {
    content_type: Option<&'a [u8]>,
    digest: Option<&'a [u8]>,
    certificate: Option<&'a [u8]>,
    certificate_v2: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    fn read(attributes: Value<'a>) -> Result<Self, TspError> {
        let mut read = Self::default();
        let mut list = attributes.reader();
        while !list.is_empty() {
            let mut attribute = list.sequence()?;
            let oid = attribute.oid()?;
            let values = attribute.expect(tag::SET)?;
            attribute.end()?;
            let slot = match oid {
                CONTENT_TYPE => &mut read.content_type,
                MESSAGE_DIGEST => &mut read.digest,
                SIGNING_CERTIFICATE => &mut read.certificate,
                SIGNING_CERTIFICATE_V2 => &mut read.certificate_v2,
                _ => continue,
            };
            der::single(values.content)?;
            if slot.replace(values.content).is_some() {
                return Err(TspError::Attribute("any of them twice"));
            }
        }
        Ok(read)
    }

    /// Checks that the signer named `cert` as its own. Spec: RFC 3161 2.4.2, RFC 5816.
    fn check_certificate(&self, cert: &Certificate) -> Result<(), TspError> {
        let wrong = TspError::Attribute("signing certificate");
        if self.certificate.is_none() && self.certificate_v2.is_none() {
            return Err(wrong);
        }
        for (value, default) in
            [(self.certificate, DigestAlgorithm::Sha1), (self.certificate_v2, DigestAlgorithm::Sha256)]
        {
            let Some(value) = value else { continue };
            let mut first = Reader::new(value).sequence()?.sequence()?.sequence()?;
            let algorithm = match first.optional(tag::SEQUENCE)? {
                Some(identifier) => DigestAlgorithm::from_oid(identifier.reader().oid()?),
                None => Some(default),
            };
            let hash = first.octets()?;
            if algorithm.is_none_or(|a| a.digest(cert.der()) != hash) {
                return Err(wrong);
            }
        }
        Ok(())
    }
}

fn content_info(signed_data: &[u8]) -> Vec<u8> {
    der::sequence([der::write(tag::OID, SIGNED_DATA), der::write(tag::context(0), signed_data)])
}

/// Signs `content` as `content_type`, over SHA-512; the signer's certificate goes along if asked for.
pub(super) fn sign(
    (content_type, content): (&[u8], &[u8]),
    cert: &Certificate,
    key: &SigningKey,
    is_certificate_wanted: bool,
) -> Result<Vec<u8>, CryptoError> {
    let digest = DigestAlgorithm::Sha512;
    let digest_identifier = der::sequence([der::write(tag::OID, digest.oid())]);
    let attribute = |oid: &[u8], value: Vec<u8>| {
        der::sequence([der::write(tag::OID, oid), der::constructed(tag::SET, [value])])
    };
    let cert_id = der::write(tag::OCTET_STRING, &DigestAlgorithm::Sha256.digest(cert.der()));
    let mut attributes = vec![
        attribute(CONTENT_TYPE, der::write(tag::OID, content_type)),
        attribute(MESSAGE_DIGEST, der::write(tag::OCTET_STRING, &digest.digest(content))),
        attribute(SIGNING_CERTIFICATE_V2, der::sequence([der::sequence([der::sequence([cert_id])])])),
    ];
    attributes.sort_unstable();
    let signed = der::constructed(tag::SET, &attributes);
    let signature = key.sign(digest, &signed, EcdsaForm::Der)?;
    let scheme = key.algorithm().scheme;
    let algorithm = if scheme == Scheme::RsaPkcs1 {
        der::sequence([der::write(tag::OID, RSA_ENCRYPTION), der::write(tag::NULL, &[])])
    } else {
        SignatureAlgorithm { scheme, digest }.identifier().ok_or(CryptoError::SigningFailed)?
    };
    let signer = der::sequence([
        der::small(1),
        der::sequence([cert.issuer(), &der::write(tag::INTEGER, cert.serial())]),
        digest_identifier.clone(),
        der::constructed(tag::context(0), &attributes),
        algorithm,
        der::write(tag::OCTET_STRING, &signature),
    ]);
    let octets = der::write(tag::OCTET_STRING, content);
    let mut parts = vec![
        der::small(3),
        der::constructed(tag::SET, [digest_identifier]),
        der::sequence([der::write(tag::OID, content_type), der::write(tag::context(0), &octets)]),
    ];
    if is_certificate_wanted {
        parts.push(der::constructed(tag::context(0), [cert.der()]));
    }
    parts.push(der::constructed(tag::SET, [signer]));
    Ok(content_info(&der::sequence(parts)))
}

/// Brings BER to DER as far as authorities stray from it: lengths that are indefinite or longer than needed, octet
/// strings in pieces. Nothing may follow the value. Seen: tokens of old authorities.
pub(super) fn distinguished(bytes: &[u8]) -> Result<Vec<u8>, DerError> {
    let mut rest = bytes;
    let mut out = Vec::with_capacity(bytes.len());
    transcode(&mut rest, 0, &mut out)?;
    if rest.is_empty() { Ok(out) } else { Err(DerError::Trailing(rest.len())) }
}

/// Constructed OCTET STRING. Spec: X.690 8.7.3.
const OCTETS_IN_PIECES: u8 = tag::OCTET_STRING | 0x20;

/// Takes one BER value from `rest` and writes it as DER.
fn transcode(rest: &mut &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), DerError> {
    if depth > limits::TIMESTAMP_DEPTH_MAX {
        return Err(DerError::NotDistinguished("values nested too deep"));
    }
    let (&kind, after) = rest.split_first().ok_or(DerError::Truncated)?;
    if kind & 0x1f == 0x1f || kind == 0 {
        return Err(DerError::NotDistinguished("tag of several bytes or none"));
    }
    let is_constructed = kind & 0x20 != 0;
    let (length, after) = ber_length(after)?;
    *rest = after;
    if !is_constructed {
        let length = length.ok_or(DerError::NotDistinguished("length of this form"))?;
        let (content, after) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
        *rest = after;
        out.extend_from_slice(&der::write(kind, content));
        return Ok(());
    }
    let mut inside = match length {
        Some(length) => {
            let (content, after) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
            *rest = after;
            content
        }
        None => *rest,
    };
    let mut content = Vec::new();
    loop {
        match (length, inside) {
            (Some(_), []) => break,
            (None, [0, 0, after @ ..]) => {
                *rest = after;
                break;
            }
            _ => transcode(&mut inside, depth + 1, &mut content)?,
        }
    }
    if kind == OCTETS_IN_PIECES {
        let mut joined = Vec::with_capacity(content.len());
        let mut pieces = Reader::new(&content);
        while !pieces.is_empty() {
            joined.extend_from_slice(pieces.octets()?);
        }
        out.extend_from_slice(&der::write(tag::OCTET_STRING, &joined));
    } else {
        out.extend_from_slice(&der::write(kind, &content));
    }
    Ok(())
}

/// A BER length; `None` for the indefinite form.
fn ber_length(bytes: &[u8]) -> Result<(Option<usize>, &[u8]), DerError> {
    let (&first, after) = bytes.split_first().ok_or(DerError::Truncated)?;
    if first < 0x80 {
        return Ok((Some(usize::from(first)), after));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 {
        return Ok((None, after));
    }
    if count > 4 {
        return Err(DerError::NotDistinguished("length of this form"));
    }
    let (octets, after) = after.split_at_checked(count).ok_or(DerError::Truncated)?;
    Ok((Some(octets.iter().fold(0, |n, b| (n << 8) | usize::from(*b))), after))
}
