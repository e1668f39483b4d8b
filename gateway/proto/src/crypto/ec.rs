//! ECDSA on P-256 and P-384 with digests that ring does not sign and verify there.
//!
//! The `p256` and `p384` crates can, everywhere. P-256 over SHA-512, by which every message of an EC member is verified,
//! goes to graviola where the processor has what that needs: it takes a fifth of the time. Signing stays with the
//! crates: it is shared by a batch, and graviola's values differ each time, where RFC 6979's are of the message alone.

use super::{CryptoError, DigestAlgorithm};
use graviola::hashing::Sha512;
use graviola::signing::ecdsa as fast;
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::pkcs8::DecodePrivateKey as _;
use std::sync::LazyLock;

static IS_FAST: LazyLock<bool> = LazyLock::new(graviola::util::is_cpu_supported);

/// Verifies `r || s` over `message` by the key with this uncompressed point.
pub(super) fn verify_p256(point: &[u8], digest: DigestAlgorithm, message: &[u8], fixed: &[u8]) -> bool {
    if *IS_FAST && digest == DigestAlgorithm::Sha512 {
        let key = fast::VerifyingKey::<fast::P256>::from_x962_uncompressed(point);
        return key.is_ok_and(|key| key.verify::<Sha512>(&[message], fixed).is_ok());
    }
    plainly_p256(point, &digest.digest(message), fixed)
}

fn plainly_p256(point: &[u8], digest: &[u8], fixed: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let value = p256::ecdsa::Signature::from_slice(fixed);
    matches!((key, value), (Ok(key), Ok(value)) if key.verify_prehash(digest, &value).is_ok())
}

/// Verifies `r || s` over `message` by the key with this uncompressed point.
pub(super) fn verify_p384(point: &[u8], digest: DigestAlgorithm, message: &[u8], fixed: &[u8]) -> bool {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let value = p384::ecdsa::Signature::from_slice(fixed);
    matches!((key, value), (Ok(key), Ok(value)) if key.verify_prehash(&digest.digest(message), &value).is_ok())
}

/// A P-256 key that signs.
pub(super) struct P256Key(p256::ecdsa::SigningKey);

impl P256Key {
    pub(super) fn from_pkcs8(document: &[u8]) -> Option<Self> {
        p256::ecdsa::SigningKey::from_pkcs8_der(document).ok().map(Self)
    }

    /// The public half, an uncompressed point.
    pub(super) fn point(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// The value as `r || s`.
    pub(super) fn sign(&self, digest: DigestAlgorithm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let value: Result<p256::ecdsa::Signature, _> = self.0.sign_prehash(&digest.digest(message));
        value.map(|value| value.to_bytes().to_vec()).map_err(|_| CryptoError::SigningFailed)
    }
}

/// A P-384 key that signs.
pub(super) struct P384Key(p384::ecdsa::SigningKey);

impl P384Key {
    pub(super) fn from_pkcs8(document: &[u8]) -> Option<Self> {
        p384::ecdsa::SigningKey::from_pkcs8_der(document).ok().map(Self)
    }

    /// The public half, an uncompressed point.
    pub(super) fn point(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// The value as `r || s`.
    pub(super) fn sign(&self, digest: DigestAlgorithm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let value: Result<p384::ecdsa::Signature, _> = self.0.sign_prehash(&digest.digest(message));
        value.map(|value| value.to_bytes().to_vec()).map_err(|_| CryptoError::SigningFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::DigestAlgorithm::{Sha256, Sha384, Sha512};

    #[test]
    fn both_ways_of_verifying_agree() {
        assert!(*IS_FAST, "this machine has no fast way, and the test shows nothing");
        for round in 0..50_u8 {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
            let key = P256Key::from_pkcs8(&pair.serialize_der()).unwrap();
            let (point, message) = (key.point(), vec![round; usize::from(round) * 7]);
            for digest in [Sha256, Sha384, Sha512] {
                let value = key.sign(digest, &message).unwrap();
                assert!(plainly_p256(&point, &digest.digest(&message), &value), "{digest:?}");
                assert!(verify_p256(&point, digest, &message, &value), "{digest:?}");
                for place in [0, 31, 32, 63] {
                    let mut wrong = value.clone();
                    wrong[place] ^= 1;
                    assert!(!plainly_p256(&point, &digest.digest(&message), &wrong), "{digest:?} {place}");
                    assert!(!verify_p256(&point, digest, &message, &wrong), "{digest:?} {place}");
                }
            }
        }
    }

    #[test]
    fn values_that_are_no_numbers_below_the_order_are_refused() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = P256Key::from_pkcs8(&pair.serialize_der()).unwrap();
        let value = key.sign(Sha512, b"message").unwrap();
        let with = |r: &[u8], s: &[u8]| [r, s].concat();
        let (r, s) = value.split_at(32);
        for wrong in [with(&[0; 32], s), with(r, &[0; 32]), with(&[0xff; 32], s), with(r, &[0xff; 32])] {
            assert!(!verify_p256(&key.point(), Sha512, b"message", &wrong));
            assert!(!plainly_p256(&key.point(), &Sha512.digest(b"message"), &wrong));
        }
        assert!(!verify_p256(&key.point(), Sha512, b"message", &value[..63]));
        let mut outside = key.point();
        outside[64] ^= 1;
        assert!(!verify_p256(&outside, Sha512, b"message", &value), "a point that is not on the curve");
    }
}
