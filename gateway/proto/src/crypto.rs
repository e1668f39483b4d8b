//! Digests, signature algorithms, public keys, and keys that sign.
//!
//! ring does the work. It has no ECDSA over SHA-512 with P-256 or P-384, X-Road's default for EC keys since 7.6: see `ec`.
//!
//! Ours: SHA-1 verifies nothing here. It names certificates (OCSP `CertID`, port 5577) and no more.

mod ec;

use crate::der::{self, Reader, tag};
use ring::rand::SystemRandom;
use ring::signature as rs;
use std::fmt;

/// A digest algorithm X-Road knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// SHA-1: for names of certificates only.
    Sha1,
    /// SHA-224: fingerprints shown to people.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512: messages, signatures, hash chains.
    Sha512,
}

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name, as `x-hash-algorithm` carries it. Spec: message-path §0.3.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The URI, as XML signatures carry it. Spec: XML-DSig, RFC 6931.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            Self::Sha224 => "http://www.w3.org/2001/04/xmldsig-more#sha224",
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// The content octets of the object identifier. Spec: RFC 5754, RFC 3370.
    #[must_use]
    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Self::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
            Self::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            Self::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
            Self::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        }
    }

    /// By name, letter case aside.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// By URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.uri() == uri)
    }

    /// By the content octets of the object identifier.
    #[must_use]
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.oid() == oid)
    }

    /// Digests all of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Digests bytes as they come.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Ring(ring::digest::Context),
    Sha224(sha2::Sha224),
}

impl Hasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let ring = |a| State::Ring(ring::digest::Context::new(a));
        Self(match algorithm {
            DigestAlgorithm::Sha1 => ring(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY),
            DigestAlgorithm::Sha224 => State::Sha224(sha2::Sha224::default()),
            DigestAlgorithm::Sha256 => ring(&ring::digest::SHA256),
            DigestAlgorithm::Sha384 => ring(&ring::digest::SHA384),
            DigestAlgorithm::Sha512 => ring(&ring::digest::SHA512),
        })
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Ring(context) => context.update(bytes),
            State::Sha224(state) => sha2::Digest::update(state, bytes),
        }
    }

    /// The digest of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            State::Ring(context) => context.finish().as_ref().to_vec(),
            State::Sha224(state) => sha2::Digest::finalize(state).to_vec(),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1,
    /// RSASSA-PSS, MGF1 with the same digest, salt as long as the digest.
    RsaPss,
    /// ECDSA.
    Ecdsa,
}

/// A signature algorithm: scheme and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureAlgorithm {
    /// How the key signs.
    pub scheme: Scheme,
    /// What is digested with.
    pub digest: DigestAlgorithm,
}

/// URI, scheme, digest. Spec: message-path §3.5, RFC 6931; SHA-1 and SHA-224 forms are left out: ours refuses them.
const SIGNATURE_URIS: [(&str, Scheme, DigestAlgorithm); 9] = [
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", Scheme::RsaPkcs1, DigestAlgorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", Scheme::RsaPkcs1, DigestAlgorithm::Sha384),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", Scheme::RsaPkcs1, DigestAlgorithm::Sha512),
    ("http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", Scheme::RsaPss, DigestAlgorithm::Sha256),
    ("http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1", Scheme::RsaPss, DigestAlgorithm::Sha384),
    ("http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1", Scheme::RsaPss, DigestAlgorithm::Sha512),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", Scheme::Ecdsa, DigestAlgorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", Scheme::Ecdsa, DigestAlgorithm::Sha384),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", Scheme::Ecdsa, DigestAlgorithm::Sha512),
];

/// Content octets of the algorithm identifiers. Spec: RFC 8017 A.2, RFC 5758 3.2.
const SIGNATURE_OIDS: [(&[u8], Scheme, DigestAlgorithm); 6] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], Scheme::RsaPkcs1, DigestAlgorithm::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], Scheme::RsaPkcs1, DigestAlgorithm::Sha384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], Scheme::RsaPkcs1, DigestAlgorithm::Sha512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], Scheme::Ecdsa, DigestAlgorithm::Sha256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], Scheme::Ecdsa, DigestAlgorithm::Sha384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], Scheme::Ecdsa, DigestAlgorithm::Sha512),
];

/// rsaEncryption. Spec: RFC 8017 A.1.
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-RSASSA-PSS. Spec: RFC 8017 A.2.3.
const OID_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// id-ecPublicKey. Spec: RFC 5480 2.1.1.
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// secp256r1. Spec: RFC 5480 2.1.1.1.
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1. Spec: RFC 5480 2.1.1.1.
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

impl SignatureAlgorithm {
    /// The URI, as XML signatures carry it; `None` for a digest that signs nothing.
    #[must_use]
    pub fn uri(self) -> Option<&'static str> {
        SIGNATURE_URIS.iter().find(|(_, s, d)| (*s, *d) == (self.scheme, self.digest)).map(|(uri, ..)| *uri)
    }

    /// By URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (_, scheme, digest) = SIGNATURE_URIS.iter().find(|(u, ..)| *u == uri)?;
        Some(Self { scheme: *scheme, digest: *digest })
    }

    /// Reads a whole `AlgorithmIdentifier`, parameters included; `None` for an algorithm that is not accepted.
    #[must_use]
    pub fn from_identifier(identifier: &[u8]) -> Option<Self> {
        let mut inside = der::single(identifier).ok()?.reader();
        let oid = inside.oid().ok()?;
        if oid == OID_PSS {
            return Some(Self { scheme: Scheme::RsaPss, digest: pss_digest(&mut inside)? });
        }
        if !matches!(inside.rest(), [] | [tag::NULL, 0]) {
            return None;
        }
        let (_, scheme, digest) = SIGNATURE_OIDS.iter().find(|(o, ..)| *o == oid)?;
        Some(Self { scheme: *scheme, digest: *digest })
    }

    /// Writes the `AlgorithmIdentifier`; `None` for algorithms we do not sign certificates and responses with.
    #[must_use]
    pub fn identifier(self) -> Option<Vec<u8>> {
        let (oid, ..) = SIGNATURE_OIDS.iter().find(|(_, s, d)| (*s, *d) == (self.scheme, self.digest))?;
        let oid = der::write(tag::OID, oid);
        Some(match self.scheme {
            Scheme::RsaPkcs1 => der::sequence([oid, der::write(tag::NULL, &[])]),
            Scheme::RsaPss | Scheme::Ecdsa => der::sequence([oid]),
        })
    }
}

/// Reads `RSASSA-PSS-params` that name one digest throughout and a salt as long as it. Spec: RFC 8017 A.2.3.
fn pss_digest(inside: &mut Reader<'_>) -> Option<DigestAlgorithm> {
    let mut params = inside.sequence().ok()?;
    let digest = DigestAlgorithm::from_oid(
        params.expect(tag::context(0)).ok()?.reader().sequence().ok()?.oid().ok()?,
    )?;
    let mut mgf = params.expect(tag::context(1)).ok()?.reader().sequence().ok()?;
    mgf.oid().ok()?;
    let mgf_digest = DigestAlgorithm::from_oid(mgf.sequence().ok()?.oid().ok()?)?;
    let salt = params.expect(tag::context(2)).ok()?.reader().small().ok()?;
    let length = u64::try_from(digest.digest(&[]).len()).ok()?;
    (mgf_digest == digest && salt == length).then_some(digest)
}

/// What a public key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of this many bits.
    Rsa(usize),
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
        }
    }
}

/// How an ECDSA value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcdsaForm {
    /// `SEQUENCE { r, s }`, in certificates, OCSP, CMS and signed configuration.
    Der,
    /// `r || s`, in XML signatures: an even number of octets, at most twice the field.
    ///
    /// Seen: X-Road 7.8 pads both halves to the longer of the two, not to the field.
    Fixed,
}

/// A key or signature that does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// A public key of a kind that is not accepted.
    #[error("public key is neither RSA of 2048 to 8192 bits nor EC on P-256 or P-384")]
    UnsupportedKey,
    /// An algorithm that does not go with the key.
    #[error("signature algorithm {algorithm:?} does not go with a {key} key")]
    Mismatch {
        /// The algorithm named.
        algorithm: SignatureAlgorithm,
        /// The key at hand.
        key: KeyKind,
    },
    /// The signature does not hold.
    #[error("signature value does not verify with the key")]
    BadSignature,
    /// A private key that cannot be read.
    #[error("private key cannot be read: {0}")]
    BadPrivateKey(String),
    /// Signing failed.
    #[error("the key did not sign")]
    SigningFailed,
}

/// A public key, from a certificate's `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// RSA: `RSAPublicKey`; EC: the uncompressed point.
    bits: Vec<u8>,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`CryptoError::UnsupportedKey`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, CryptoError> {
        Self::read(spki).ok_or(CryptoError::UnsupportedKey)
    }

    fn read(spki: &[u8]) -> Option<Self> {
        let mut inside = der::single(spki).ok()?.reader();
        let mut algorithm = inside.sequence().ok()?;
        let oid = algorithm.oid().ok()?;
        let curve = algorithm.optional(tag::OID).ok()?.map(|v| v.content);
        let bits = inside.bits().ok()?.to_vec();
        inside.end().ok()?;
        let kind = match (oid, curve) {
            (OID_RSA, _) => {
                let modulus = der::single(&bits).ok()?.reader().integer().ok()?.to_vec();
                let octets: &[u8] = modulus.strip_prefix(&[0]).unwrap_or(&modulus);
                let leading = usize::try_from(octets.first()?.leading_zeros()).ok()?;
                let length = octets.len() * 8 - leading;
                (2048..=8192).contains(&length).then_some(KeyKind::Rsa(length))?
            }
            (OID_EC, Some(OID_P256)) if bits.len() == 65 => KeyKind::P256,
            (OID_EC, Some(OID_P384)) if bits.len() == 97 => KeyKind::P384,
            _ => return None,
        };
        Some(Self { kind, bits })
    }

    /// What kind of key this is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The content of the `subjectPublicKey` bit string, which key identifiers hash.
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Verifies a signature over `message`.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when algorithm and key do not go together, else [`CryptoError::BadSignature`].
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
        form: EcdsaForm,
    ) -> Result<(), CryptoError> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let holds = match (self.kind, algorithm.scheme, algorithm.digest) {
            (KeyKind::Rsa(_), Scheme::RsaPkcs1, Sha256) => {
                self.ring(&rs::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (KeyKind::Rsa(_), Scheme::RsaPkcs1, Sha384) => {
                self.ring(&rs::RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            (KeyKind::Rsa(_), Scheme::RsaPkcs1, Sha512) => {
                self.ring(&rs::RSA_PKCS1_2048_8192_SHA512, message, signature)
            }
            (KeyKind::Rsa(_), Scheme::RsaPss, Sha256) => {
                self.ring(&rs::RSA_PSS_2048_8192_SHA256, message, signature)
            }
            (KeyKind::Rsa(_), Scheme::RsaPss, Sha384) => {
                self.ring(&rs::RSA_PSS_2048_8192_SHA384, message, signature)
            }
            (KeyKind::Rsa(_), Scheme::RsaPss, Sha512) => {
                self.ring(&rs::RSA_PSS_2048_8192_SHA512, message, signature)
            }
            (KeyKind::P256 | KeyKind::P384, Scheme::Ecdsa, Sha256 | Sha384 | Sha512) => {
                self.ecdsa(algorithm.digest, message, signature, form)
            }
            (key, ..) => return Err(CryptoError::Mismatch { algorithm, key }),
        };
        if holds { Ok(()) } else { Err(CryptoError::BadSignature) }
    }

    fn ring(
        &self,
        algorithm: &'static dyn rs::VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        rs::UnparsedPublicKey::new(algorithm, &self.bits).verify(message, signature).is_ok()
    }

    fn ecdsa(&self, digest: DigestAlgorithm, message: &[u8], signature: &[u8], form: EcdsaForm) -> bool {
        let field = if self.kind == KeyKind::P256 { 32 } else { 48 };
        let fixed = match form {
            EcdsaForm::Fixed => pad_fixed(signature, field),
            EcdsaForm::Der => fixed_from_der(signature, field),
        };
        let Some(fixed) = fixed else { return false };
        match (self.kind, digest) {
            (KeyKind::P256, DigestAlgorithm::Sha256) => {
                self.ring(&rs::ECDSA_P256_SHA256_FIXED, message, &fixed)
            }
            (KeyKind::P384, DigestAlgorithm::Sha384) => {
                self.ring(&rs::ECDSA_P384_SHA384_FIXED, message, &fixed)
            }
            (KeyKind::P256, _) => ec::verify_p256(&self.bits, digest, message, &fixed),
            (KeyKind::P384, _) => ec::verify_p384(&self.bits, digest, message, &fixed),
            (KeyKind::Rsa(_), _) => false,
        }
    }
}

/// Left-pads both halves of `r || s` to the field; `None` for an odd number of octets or more than two fields.
fn pad_fixed(signature: &[u8], field: usize) -> Option<Vec<u8>> {
    let half = signature.len() / 2;
    if signature.is_empty() || !signature.len().is_multiple_of(2) || half > field {
        return None;
    }
    let (r, s) = signature.split_at_checked(half)?;
    Some(join_padded(r, s, field))
}

fn fixed_from_der(signature: &[u8], field: usize) -> Option<Vec<u8>> {
    let mut outer = Reader::new(signature);
    let mut inside = outer.sequence().ok()?;
    outer.end().ok()?;
    let (r, s) = (inside.integer().ok()?, inside.integer().ok()?);
    inside.end().ok()?;
    if [r, s].iter().any(|n| n.first().is_some_and(|b| b & 0x80 != 0)) {
        return None;
    }
    let (r, s) = (r.strip_prefix(&[0]).unwrap_or(r), s.strip_prefix(&[0]).unwrap_or(s));
    (r.len() <= field && s.len() <= field).then(|| join_padded(r, s, field))
}

fn join_padded(r: &[u8], s: &[u8], field: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(field * 2);
    for half in [r, s] {
        out.resize(out.len() + field.saturating_sub(half.len()), 0);
        out.extend_from_slice(half);
    }
    out
}

/// A key that signs, from PKCS#8.
///
/// It is neither printed nor written; the rooms that hold keys (`keys` of the gateway, the trust services) make it.
pub struct SigningKey {
    pair: Pair,
    random: SystemRandom,
    spki: Vec<u8>,
    public: PublicKey,
}

enum Pair {
    Rsa(Box<rs::RsaKeyPair>),
    P256(Box<ec::P256Key>),
    P384(Box<ec::P384Key>),
}

impl SigningKey {
    /// Reads an unencrypted PKCS#8 document.
    ///
    /// # Errors
    /// [`CryptoError::BadPrivateKey`].
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, CryptoError> {
        let (pair, spki) = if let Some(key) = ec::P256Key::from_pkcs8(document) {
            let spki = ec_spki(OID_P256, &key.point());
            (Pair::P256(Box::new(key)), spki)
        } else if let Some(key) = ec::P384Key::from_pkcs8(document) {
            let spki = ec_spki(OID_P384, &key.point());
            (Pair::P384(Box::new(key)), spki)
        } else {
            let key = rs::RsaKeyPair::from_pkcs8(document)
                .map_err(|e| CryptoError::BadPrivateKey(e.to_string()))?;
            let algorithm = der::sequence([der::write(tag::OID, OID_RSA), der::write(tag::NULL, &[])]);
            let spki = der::sequence([algorithm, der::bits(rs::KeyPair::public_key(&key).as_ref())]);
            (Pair::Rsa(Box::new(key)), spki)
        };
        let public = PublicKey::from_spki(&spki)?;
        Ok(Self { pair, random: SystemRandom::new(), spki, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The algorithm this key signs messages with: RSA PKCS#1 v1.5 or ECDSA, over SHA-512.
    ///
    /// Spec: message-path §3.5, "normal output today".
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        let scheme = match self.pair {
            Pair::Rsa(_) => Scheme::RsaPkcs1,
            Pair::P256(_) | Pair::P384(_) => Scheme::Ecdsa,
        };
        SignatureAlgorithm { scheme, digest: DigestAlgorithm::Sha512 }
    }

    /// Signs `message` with [`SigningKey::algorithm`] and the digest given: RSA PKCS#1 v1.5, or ECDSA in `form`.
    ///
    /// # Errors
    /// [`CryptoError::SigningFailed`], also for a digest that signs nothing.
    pub fn sign(
        &self,
        digest: DigestAlgorithm,
        message: &[u8],
        form: EcdsaForm,
    ) -> Result<Vec<u8>, CryptoError> {
        match &self.pair {
            Pair::Rsa(key) => {
                let encoding: &dyn rs::RsaEncoding = match digest {
                    DigestAlgorithm::Sha256 => &rs::RSA_PKCS1_SHA256,
                    DigestAlgorithm::Sha384 => &rs::RSA_PKCS1_SHA384,
                    DigestAlgorithm::Sha512 => &rs::RSA_PKCS1_SHA512,
                    DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => {
                        return Err(CryptoError::SigningFailed);
                    }
                };
                let mut out = vec![0; key.public().modulus_len()];
                key.sign(encoding, &self.random, message, &mut out)
                    .map_err(|_| CryptoError::SigningFailed)?;
                Ok(out)
            }
            Pair::P256(key) => key.sign(digest, message).map(|fixed| in_form(fixed, form)),
            Pair::P384(key) => key.sign(digest, message).map(|fixed| in_form(fixed, form)),
        }
    }
}

/// An ECDSA value, `r || s` of a field each, as it is wanted.
fn in_form(fixed: Vec<u8>, form: EcdsaForm) -> Vec<u8> {
    match form {
        EcdsaForm::Fixed => fixed,
        EcdsaForm::Der => {
            let (r, s) = fixed.split_at(fixed.len() / 2);
            der::sequence([der::unsigned(r), der::unsigned(s)])
        }
    }
}

fn ec_spki(curve: &[u8], point: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence([der::write(tag::OID, OID_EC), der::write(tag::OID, curve)]);
    der::sequence([algorithm, der::bits(point)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> SigningKey {
        SigningKey::from_pkcs8(&rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_der()).unwrap()
    }

    #[test]
    fn ec_keys_sign_and_verify_in_both_forms() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let key = key(algorithm);
            for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
                for form in [EcdsaForm::Der, EcdsaForm::Fixed] {
                    let value = key.sign(digest, b"message", form).unwrap();
                    let with = SignatureAlgorithm { scheme: Scheme::Ecdsa, digest };
                    assert_eq!(key.public_key().verify(with, b"message", &value, form), Ok(()));
                    let wrong = key.public_key().verify(with, b"massage", &value, form);
                    assert_eq!(wrong, Err(CryptoError::BadSignature));
                }
            }
        }
    }

    #[test]
    fn a_longer_fixed_value_is_refused_and_a_shorter_one_padded() {
        assert_eq!(pad_fixed(&[1, 2], 3), Some(vec![0, 0, 1, 0, 0, 2]));
        assert_eq!(pad_fixed(&[0; 66], 32), None);
        assert_eq!(pad_fixed(&[0; 63], 32), None);
        assert_eq!(pad_fixed(&[], 32), None);
    }

    #[test]
    fn an_algorithm_must_go_with_the_key() {
        let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        let with = SignatureAlgorithm { scheme: Scheme::RsaPkcs1, digest: DigestAlgorithm::Sha256 };
        assert!(matches!(
            key.public_key().verify(with, b"", &[0; 64], EcdsaForm::Fixed),
            Err(CryptoError::Mismatch { .. })
        ));
    }

    #[test]
    fn sha1_signs_nothing() {
        assert_eq!(SignatureAlgorithm::from_uri("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), None);
        let sha1 = SignatureAlgorithm { scheme: Scheme::RsaPkcs1, digest: DigestAlgorithm::Sha1 };
        assert_eq!(sha1.uri(), None);
        assert_eq!(sha1.identifier(), None);
    }

    #[test]
    fn digests_are_known_by_name_uri_and_oid() {
        for algorithm in DigestAlgorithm::ALL {
            assert_eq!(DigestAlgorithm::from_name(&algorithm.name().to_lowercase()), Some(algorithm));
            assert_eq!(DigestAlgorithm::from_uri(algorithm.uri()), Some(algorithm));
            assert_eq!(DigestAlgorithm::from_oid(algorithm.oid()), Some(algorithm));
        }
        assert_eq!(DigestAlgorithm::Sha224.digest(b"").len(), 28);
    }
}
