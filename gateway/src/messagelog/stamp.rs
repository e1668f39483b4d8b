//! What is time-stamped, and what happens when that fails.
//!
//! Spec: message-path §7.

use super::{Content, LogError, Message, MessageLog, Stamp};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::signature::batch::{self, ChainTree, SIGNATURES};
use saatkond_proto::signature::{self, PartDigest};
use saatkond_proto::time::UnixTime;
use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

/// Whether messages may be taken, as far as time-stamping goes.
#[derive(Debug, Default)]
pub(super) struct Stamping {
    unknown: bool,
    failing_since: Option<UnixTime>,
}

impl Stamping {
    /// Refuses when no service is known, or stamping has failed for longer than `allowed`; zero allows it for ever.
    pub(super) fn admit(&self, now: UnixTime, allowed: Duration) -> Result<(), LogError> {
        if self.unknown {
            return Err(LogError::NoTimestamper);
        }
        match self.failing_since {
            Some(since) if !allowed.is_zero() && now.minus(allowed) > since => {
                Err(LogError::TimestampingFailed { since })
            }
            _ => Ok(()),
        }
    }
}

/// Messages to be stamped together, and what is to be stamped.
#[derive(Debug, Clone)]
pub struct StampOrder {
    /// What is sent to the service: SHA-512 of what is stamped.
    pub imprint: Vec<u8>,
    result: Option<Vec<u8>>,
    covers: Vec<(u64, Vec<u8>)>,
}

impl StampOrder {
    /// How many messages it covers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.covers.len()
    }

    /// Whether it covers none; it always covers one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.covers.is_empty()
    }
}

/// The hash tree of a time-stamp over these signature documents; `None` for fewer than two.
pub(super) fn tree(covers: &[(u64, Vec<u8>)]) -> Option<ChainTree> {
    let part = |digest: &Vec<u8>| PartDigest {
        name: SIGNATURES.to_owned(),
        algorithm: DigestAlgorithm::Sha512,
        digest: digest.clone(),
    };
    let leaves = covers.iter().map(|(_, digest)| vec![part(digest)]).collect();
    ChainTree::over(batch::Kind::Timestamp, leaves)
}

impl MessageLog {
    /// Prepares the stamping of up to `max` of the oldest messages without a time-stamp; `None` when there are none.
    ///
    /// One message is stamped by itself, over its signature value; more of them through a hash chain over their
    /// signature documents. Spec: message-path §7.3.
    ///
    /// # Errors
    /// [`LogError`] for a log that cannot be read.
    pub fn to_stamp(&self, max: usize) -> Result<Option<StampOrder>, LogError> {
        let mut covers = Vec::new();
        let mut known = HashMap::new();
        for number in self.0.index.unstamped(max) {
            covers.push((number, self.0.index.signature_digest(number, &mut known)?));
        }
        self.order(covers)
    }

    /// Prepares the stamping of one message by itself, whether it has a time-stamp or not.
    ///
    /// # Errors
    /// [`LogError`] for a log that cannot be read, or a record that is no message.
    pub fn to_stamp_alone(&self, number: u64) -> Result<Option<StampOrder>, LogError> {
        let digest = self.message(number)?.signature_digest();
        self.order(vec![(number, digest)])
    }

    fn order(&self, covers: Vec<(u64, Vec<u8>)>) -> Result<Option<StampOrder>, LogError> {
        let unreadable = |text: &str| self.disk_failed(std::io::Error::other(text.to_owned()));
        let (imprint, result) = match covers.as_slice() {
            [] => return Ok(None),
            [(number, _)] => {
                let message = self.message(*number)?;
                let value = signature::signature_value(&message.proof.signature)
                    .map_err(|error| unreadable(&format!("signature of record {number}: {error}")))?;
                (DigestAlgorithm::Sha512.digest(&value), None)
            }
            _ => {
                let result = tree(&covers).ok_or_else(|| unreadable("no hash chain"))?.result();
                (DigestAlgorithm::Sha512.digest(&result), Some(result))
            }
        };
        Ok(Some(StampOrder { imprint, result, covers }))
    }

    /// Records the time-stamp that a service gave for `order`; `token` must have been verified.
    ///
    /// # Errors
    /// [`LogError`]; the messages then stay without a time-stamp.
    pub async fn record_stamp(&self, order: StampOrder, token: Vec<u8>, url: &str) -> Result<u64, LogError> {
        let StampOrder { result, covers, .. } = order;
        let stamp = Stamp { time: self.0.clock.now(), token, url: url.to_owned(), result, covers };
        self.write(&Content::Stamp(stamp)).await
    }

    /// Whether a message has a time-stamp.
    ///
    /// # Errors
    /// [`LogError`] for a log that cannot be read.
    pub fn is_stamped(&self, number: u64) -> Result<bool, LogError> {
        Ok(self.0.index.stamp_of(number)?.is_some())
    }

    /// How many messages have no time-stamp.
    #[must_use]
    pub fn unstamped(&self) -> usize {
        usize::try_from(self.0.index.unstamped_count()).unwrap_or(usize::MAX)
    }

    /// Says whether any time-stamping service may be asked; while none is, no message is taken.
    pub fn set_timestamper_known(&self, known: bool) {
        self.stamping(|s| s.unknown = !known);
    }

    /// Says that stamping has worked.
    pub fn stamping_works(&self) {
        self.stamping(|s| s.failing_since = None);
    }

    /// Says that stamping has failed; the first of several failures counts.
    pub fn stamping_fails(&self) {
        let now = self.0.clock.now();
        self.stamping(|s| {
            s.failing_since.get_or_insert(now);
        });
    }

    /// Since when stamping has been failing.
    #[must_use]
    pub fn stamping_failing_since(&self) -> Option<UnixTime> {
        let mut since = None;
        self.stamping(|s| since = s.failing_since);
        since
    }

    fn stamping(&self, change: impl FnOnce(&mut Stamping)) {
        change(&mut self.0.stamping.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn message(&self, number: u64) -> Result<Message, LogError> {
        match self.0.index.read(number)? {
            Content::Message(message) => Ok(*message),
            Content::Stamp(_) => Err(LogError::NoRecord { number }),
        }
    }
}
