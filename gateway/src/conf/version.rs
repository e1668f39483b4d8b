//! Versions of other gateways, and the oldest that is served.

use serde::Deserialize;
use serde::de::{self, Deserializer};
use std::cmp::Ordering;
use std::fmt;

/// A version as gateways tell theirs: `7.8.0`, `7.8.1-SNAPSHOT-20260202`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    /// Something that goes before the release of these numbers.
    is_early: bool,
}

/// The oldest version that is served, if there is one; in a file, a version or `off`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oldest(pub Option<Version>);

impl Version {
    /// Reads a version; `None` for what is none. Spec: semver 2.0.0 §2, §9, §10.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let release = text.split_once('+').map_or(text, |(release, _)| release);
        let (numbers, early) = release.split_once('-').map_or((release, None), |(n, e)| (n, Some(e)));
        if early.is_some_and(str::is_empty) {
            return None;
        }
        let mut words = numbers.split('.').map(|word| {
            let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| word.parse().ok()).flatten()
        });
        let numbers = [words.next()??, words.next()??, words.next()??];
        words.next().is_none().then_some(Self { numbers, is_early: early.is_some() })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then(other.is_early.cmp(&self.is_early))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.is_early { f.write_str(" (before its release)") } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Oldest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self(None));
        }
        let refused =
            || de::Error::custom(format!("{text:?} is no version, expected such as 7.6.0, or \"off\""));
        Version::from_text(&text).map(|version| Self(Some(version))).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_early_ones_go_before() {
        let texts = ["6.26.3", "7.1.3", "7.6.0-SNAPSHOT-1ab", "7.6.0", "7.8.1", "7.10.0"];
        let versions: Vec<_> = texts.iter().map(|t| Version::from_text(t).unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(Version::from_text("7.6.0+build"), Version::from_text("7.6.0"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["", "7", "7.6", "7.6.0.1", "7.6.x", "7.6.-1", "7.6.0-", "v7.6.0", "7..0", " 7.6.0"] {
            assert_eq!(Version::from_text(text), None, "{text:?}");
        }
    }
}
