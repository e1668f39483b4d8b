//! The time-stamping authority: says that a digest was there at this second.
//!
//! Spec: RFC 3161; message-path §7.4. Its clock must be right: nothing here checks it. Serial numbers are 127 random
//! bits, so that none is used twice and nothing must be remembered.

use crate::ca::{self, CaError};
use crate::key::{KeyError, PrivateKey};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::tsp::{Refusal, Statement, TspError, issue, parse_request, refuse};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// An object identifier, as its dotted numbers name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    content: Vec<u8>,
}

/// A text that is no object identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no object identifier, expected numbers with dots such as 2.25.1")]
pub struct NoOid(String);

impl Policy {
    /// The content octets of the object identifier.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}

impl FromStr for Policy {
    type Err = NoOid;

    fn from_str(text: &str) -> Result<Self, NoOid> {
        let refuse = || NoOid(text.to_owned());
        let numbers: Vec<u128> =
            text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| refuse())?;
        let [first, second, rest @ ..] = numbers.as_slice() else { return Err(refuse()) };
        if *first > 2 || (*first < 2 && *second >= 40) {
            return Err(refuse());
        }
        let joined = (first * 40).checked_add(*second).ok_or_else(refuse)?;
        let content = std::iter::once(&joined).chain(rest).flat_map(|number| base128(*number)).collect();
        Ok(Self { content })
    }
}

/// Spec: X.690 8.19.2.
fn base128(mut number: u128) -> Vec<u8> {
    let mut octets = Vec::new();
    loop {
        let more = if octets.is_empty() { 0 } else { 0x80 };
        octets.push(u8::try_from(number & 0x7f).unwrap_or_default() | more);
        number >>= 7;
        if number == 0 {
            break;
        }
    }
    octets.reverse();
    octets
}

/// A time-stamping authority, ready to stamp.
#[derive(Debug)]
pub struct Stamper {
    certificate: Arc<Certificate>,
    key: PrivateKey,
    policy: Policy,
}

/// A time-stamping authority that does not open or does not stamp.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StamperError {
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Key and certificate do not go together, or the certificate is not for this.
    #[error("{path} is no time-stamping authority's certificate, or not of its key")]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The certificate's time has passed.
    #[error("the time-stamping authority's certificate ended {ended}")]
    Ended {
        /// When.
        ended: UnixTime,
    },
    /// The token could not be signed.
    #[error("time-stamp: {0}")]
    Unsigned(TspError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
}

/// The policy stated where none is configured: an identifier of our own making, which promises nothing.
///
/// Ours: UUID 445d2368-4b3a-4756-8dc7-afd17d226a9a under `2.25`.
pub const DEFAULT_POLICY: &str = "2.25.90871105468564877937663294464365587098";

impl Stamper {
    /// Opens the authority's certificate and key.
    ///
    /// # Errors
    /// [`StamperError`].
    pub fn open(certificate: &Path, key: &Path, policy: Policy) -> Result<Self, StamperError> {
        let key = PrivateKey::open(key)?;
        let found = ca::read_certificates(certificate)?.into_iter().next();
        let fits = |c: &Arc<Certificate>| c.may_stamp_time() && c.public_key() == key.signing().public_key();
        let unfit = || StamperError::Unfit { path: certificate.to_owned() };
        Ok(Self { certificate: found.filter(fits).ok_or_else(unfit)?, key, policy })
    }

    /// Answers a request; what it does not stamp it refuses in the protocol's own words.
    ///
    /// The error, beside the refusal, is for the log: it is ours, not the asker's.
    #[must_use]
    pub fn answer(&self, request: &[u8], now: UnixTime) -> (Vec<u8>, Option<StamperError>) {
        let request = match parse_request(request) {
            Ok(request) => request,
            Err(error) => return (refuse(error.refusal(), &error.to_string()), None),
        };
        if matches!(request.algorithm, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224) {
            return (refuse(Refusal::BadAlgorithm, "expected SHA-256, SHA-384 or SHA-512"), None);
        }
        if request.policy.as_ref().is_some_and(|policy| policy != self.policy.content()) {
            return (refuse(Refusal::UnacceptedPolicy, "another policy is kept here"), None);
        }
        let stamped = self.check(now).and_then(|()| {
            let serial = serial()?;
            let statement = Statement { serial: &serial, gen_time: now, policy: self.policy.content() };
            issue(&request, &statement, &self.certificate, self.key.signing()).map_err(StamperError::Unsigned)
        });
        match stamped {
            Ok(response) => (response, None),
            Err(error) => (refuse(Refusal::SystemFailure, "the authority failed"), Some(error)),
        }
    }

    /// Whether it could stamp now.
    ///
    /// # Errors
    /// [`StamperError::Ended`].
    pub fn check(&self, now: UnixTime) -> Result<(), StamperError> {
        if self.certificate.is_valid_at(now) {
            Ok(())
        } else {
            Err(StamperError::Ended { ended: self.certificate.not_after() })
        }
    }
}

fn serial() -> Result<[u8; 16], StamperError> {
    crate::template::new_serial().map_err(|_| StamperError::NoRandom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_object_identifiers() {
        let content = |text: &str| text.parse::<Policy>().map(|policy| policy.content);
        assert_eq!(content("1.2.840.113549.1.9.14").unwrap(), [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14]);
        assert_eq!(content("2.25.0").unwrap(), [0x69, 0]);
        assert_eq!(content("2.999").unwrap(), [0x88, 0x37]);
        assert_eq!(content(DEFAULT_POLICY).unwrap().len(), 20);
        for text in ["", "1", "1.40", "3.1", "1.2.x", "1..2", "-1.2"] {
            assert!(content(text).is_err(), "{text}");
        }
    }
}
