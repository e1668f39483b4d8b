//! Lengths of time as people write them: `30 s`, `10 min`, `8 h`, `730 d`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in a file: a whole number and a unit, `s`, `min`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// Seconds of each unit, the largest first.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];

impl Span {
    /// So many days.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(Duration::from_secs(days as u64 * 86_400))
    }

    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u32) -> Self {
        Self(Duration::from_secs(minutes as u64 * 60))
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let found = UNITS.into_iter().find(|(size, _)| secs != 0 && secs.is_multiple_of(*size));
        let (size, unit) = found.unwrap_or((1, "s"));
        write!(f, "{} {unit}", secs / size)
    }
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time, expected a whole number and a unit: s, min, h or d")]
pub struct NoSpan(String);

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let refuse = || NoSpan(text.to_owned());
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let (number, unit) = trimmed.split_at_checked(end).ok_or_else(refuse)?;
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let (size, _) = UNITS.into_iter().find(|(_, name)| *name == unit.trim()).ok_or_else(refuse)?;
        number.checked_mul(size).map(|secs| Self(Duration::from_secs(secs))).ok_or_else(refuse)
    }
}

impl TryFrom<String> for Span {
    type Error = NoSpan;

    fn try_from(text: String) -> Result<Self, NoSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// A length of time for people, in its two largest units: `2 d 23 h`, `9 min 30 s`.
#[must_use]
pub fn roughly(span: Duration) -> String {
    let secs = span.as_secs();
    let first = UNITS.iter().position(|(size, _)| secs >= *size).unwrap_or(UNITS.len() - 1);
    let mut rest = secs;
    let mut words = Vec::new();
    for (size, unit) in UNITS.iter().skip(first).take(2) {
        if rest >= *size || words.is_empty() {
            words.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, secs) in [("30 s", 30), ("10min", 600), (" 8 h", 28_800), ("730 d", 63_072_000)] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0.as_secs(), secs);
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!(Span::minutes(90).to_string(), "90 min");
        for (secs, text) in
            [(0, "0 s"), (59, "59 s"), (570, "9 min 30 s"), (600, "10 min"), (255_600, "2 d 23 h")]
        {
            assert_eq!(roughly(Duration::from_secs(secs)), text);
        }
        for text in ["", "10", "min", "1.5 h", "-1 s", "99999999999999999 d", "5 weeks"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
