//! Moments, as numbers: the crate never asks what time it is.

use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch; saturates.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Later by `span`; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `span`; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, the form of XML `dateTime` with a zone.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let when = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        i64::try_from(when.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// Writes `YYYY-MM-DDThh:mm:ssZ`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let c = self.civil();
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.0, c.1, c.2, c.3, c.4, c.5)
    }

    /// Writes `YYYY-MM-DDThh:mm:ss.SSSZ`.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        let c = self.civil();
        let millis = self.0.rem_euclid(1000);
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z", c.0, c.1, c.2, c.3, c.4, c.5)
    }

    /// Year, month, day, hour, minute, second in UTC; the epoch for moments no calendar holds.
    #[must_use]
    pub fn civil(self) -> (i32, u8, u8, u8, u8, u8) {
        let when = OffsetDateTime::from_unix_timestamp(self.secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (hour, minute, second) = when.to_hms();
        (when.year(), u8::from(when.month()), when.day(), hour, minute, second)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc3339() {
        let when = UnixTime::from_rfc3339("2026-01-02T05:04:05.678+02:00").unwrap();
        assert_eq!(when.to_rfc3339(), "2026-01-02T03:04:05Z");
        assert_eq!(when.to_rfc3339_millis(), "2026-01-02T03:04:05.678Z");
        assert_eq!(UnixTime::from_rfc3339("2026-01-02 03:04"), None);
    }

    #[test]
    fn spans_saturate() {
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), Duration::ZERO);
        assert_eq!(UnixTime::from_millis(-1).secs(), -1);
    }
}
