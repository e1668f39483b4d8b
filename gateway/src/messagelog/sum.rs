//! SHA-256 sums of the log's own bookkeeping, and what makes them and names unlike any other.

use ring::rand::{SecureRandom as _, SystemRandom};
use std::io;

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sum(pub(super) [u8; 32]);

impl Sum {
    /// What stands where there is nothing to sum.
    pub(super) const ZERO: Self = Self([0; 32]);
}

/// The sum of `parts`, one after the other.
pub(super) fn sum_of(parts: &[&[u8]]) -> Sum {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    Sum(digest.as_ref().try_into().unwrap_or_default())
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(bytes)
}
