//! Durations and sizes as people write them: `30 s`, `4 h`, `10 MiB`.

use serde::de::{self, Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// A length of time in a file: a whole number and a unit, `ms`, `s`, `min`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes in a file: a whole number and a unit, `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// Splits `10 MiB` into 10 and `MiB`.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl Span {
    /// Reads `30 s`; `None` without a unit or with an unknown one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl ByteCount {
    /// Reads `10 MiB`; `None` without a unit or with an unknown one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Some(Self(number.checked_mul(factor)?))
    }
}

impl fmt::Display for Span {
    /// The largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
        let found = units.into_iter().find(|(size, _)| millis != 0 && millis.is_multiple_of(*size));
        let (size, unit) = found.unwrap_or((1, "ms"));
        write!(f, "{} {unit}", millis / size)
    }
}

impl fmt::Display for ByteCount {
    /// The largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let found = units.into_iter().find(|(size, _)| self.0 != 0 && self.0.is_multiple_of(*size));
        let (size, unit) = found.unwrap_or((1, "B"));
        write!(f, "{} {unit}", self.0 / size)
    }
}

/// Reads a [`Span`] for serde.
///
/// # Errors
/// The format's, for text that is no duration.
pub fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    Span::from_text(&text).map(|s| s.0).ok_or_else(|| {
        de::Error::custom(format!("{text:?} is no duration, expected a whole number and ms, s, min, h or d"))
    })
}

/// Reads a [`ByteCount`] for serde.
///
/// # Errors
/// The format's, for text that is no size.
pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    ByteCount::from_text(&text).map(|b| b.0).ok_or_else(|| {
        de::Error::custom(format!("{text:?} is no size, expected a whole number and B, KiB, MiB or GiB"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_survive() {
        for text in ["0 ms", "250 ms", "30 s", "90 s", "10 min", "4 h", "2 d"] {
            assert_eq!(Span::from_text(text).unwrap().to_string(), text);
        }
        for text in ["0 B", "17 B", "64 KiB", "10 MiB", "4 GiB"] {
            assert_eq!(ByteCount::from_text(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::from_text("60s").unwrap().to_string(), "1 min");
    }

    #[test]
    fn a_number_needs_its_unit() {
        for text in
            ["30", "", "s", "30 S", "-1 s", "1.5 h", "99999999999999999999 s", "18446744073709551615 d"]
        {
            assert_eq!(Span::from_text(text), None, "{text}");
        }
        for text in ["10", "10 MB", "10 M", "18446744073709551615 KiB"] {
            assert_eq!(ByteCount::from_text(text), None, "{text}");
        }
    }
}
