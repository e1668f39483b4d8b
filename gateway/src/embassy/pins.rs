//! Where an operator sends reads by hand: a file in the state directory, written by `saatkond sites pin`, looked at once a
//! second.
//!
//! A pin says who is asked first. It takes no door out: when that site is down the others are asked. It moves no write.

use saatkond_ca::index::replace_file;
use saatkond_proto::id::ClientId;
use saatkond_proto::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file's name.
const FILE: &str = "pins.toml";
/// Bytes of it that are read.
const BYTES_MAX: u64 = 1024 * 1024;

/// One pin, as the file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The register, or a provider that is none; a member speaks for all of its subsystems.
    pub provider: String,
    /// The site, or the server of a provider without sites.
    pub site: String,
    /// Until when, as RFC 3339; for good where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    pin: Vec<Pin>,
}

/// Pins that are not what they must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinsError {
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("{}: {text}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
}

/// The pins in force.
#[derive(Debug, Default)]
pub struct Pins(Mutex<Vec<Pin>>);

impl Pin {
    /// How closely this speaks of `provider`: 2 of exactly it, 1 of its member, `None` of others.
    fn closeness(&self, provider: &ClientId) -> Option<u8> {
        let of: ClientId = self.provider.parse().ok()?;
        let of_member = of.subsystem.is_none() && of.member == provider.member;
        if of == *provider { Some(2) } else { of_member.then_some(1) }
    }

    /// Whether it is in force; one with a moment that cannot be read is not.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        match &self.until {
            None => true,
            Some(until) => UnixTime::from_rfc3339(until).is_some_and(|until| now < until),
        }
    }
}

impl Pins {
    /// The site or server to which the reads of a provider are pinned now.
    #[must_use]
    pub fn of(&self, provider: &ClientId, now: UnixTime) -> Option<String> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closest = pins.iter().filter(|pin| pin.holds(now));
        let closest = closest.filter_map(|pin| Some((pin.closeness(provider)?, pin)));
        closest.max_by_key(|(closeness, _)| *closeness).map(|(_, pin)| pin.site.clone())
    }

    /// All pins in force.
    #[must_use]
    pub fn all(&self, now: UnixTime) -> Vec<Pin> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.iter().filter(|pin| pin.holds(now)).cloned().collect()
    }

    /// Puts other pins in force; true if that changed anything.
    pub fn put(&self, pins: Vec<Pin>) -> bool {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *present == pins {
            return false;
        }
        *present = pins;
        true
    }
}

/// Reads the pins in a state directory; none where there is no file.
///
/// # Errors
/// [`PinsError`].
pub fn load(state: &Path) -> Result<Vec<Pin>, PinsError> {
    let path = state.join(FILE);
    let malformed = |text: String| PinsError::Malformed { path: path.clone(), text };
    match fs::metadata(&path) {
        Ok(found) if found.len() > BYTES_MAX => {
            return Err(malformed(format!("larger than {BYTES_MAX} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(PinsError::Disk { path, source }),
    }
    let text = fs::read_to_string(&path).map_err(|source| PinsError::Disk { path: path.clone(), source })?;
    let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if file.version != 1 {
        return Err(malformed(format!("version = {}, expected version = 1", file.version)));
    }
    Ok(file.pin)
}

/// Writes the pins of a state directory, whole or not at all.
///
/// # Errors
/// [`PinsError::Disk`].
pub fn save(state: &Path, pins: Vec<Pin>) -> Result<(), PinsError> {
    let path = state.join(FILE);
    let text = toml::to_string(&File { version: 1, pin: pins }).map_err(io::Error::other);
    let written = text.and_then(|text| replace_file(&path, text.as_bytes(), 0o644));
    written.map_err(|source| PinsError::Disk { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{NOW, TestDir};

    fn pin(provider: &str, site: &str, until: Option<&str>) -> Pin {
        Pin { provider: provider.to_owned(), site: site.to_owned(), until: until.map(str::to_owned) }
    }

    #[test]
    fn the_closest_pin_that_holds_is_taken() {
        let pins = Pins::default();
        assert!(pins.put(vec![
            pin("DEV/GOV/M2", "home1", None),
            pin("DEV/GOV/M2/LAND", "lux1", Some("2026-01-02T03:05:00Z")),
            pin("DEV/GOV/M2/SEA", "lux1", Some("soon")),
        ]));
        let of = |subsystem: &str, at| pins.of(&format!("DEV/GOV/M2/{subsystem}").parse().unwrap(), at);
        assert_eq!(of("LAND", NOW).as_deref(), Some("lux1"));
        assert_eq!(of("LAND", NOW.plus(std::time::Duration::from_secs(60))).as_deref(), Some("home1"));
        assert_eq!(of("SEA", NOW).as_deref(), Some("home1"), "a moment that cannot be read is none");
        assert_eq!(pins.of(&"DEV/GOV/M3/LAND".parse().unwrap(), NOW), None);
    }

    #[test]
    fn pins_are_kept_and_what_is_no_file_of_pins_is_refused() {
        let dir = TestDir::new("pins");
        assert_eq!(load(&dir.0).unwrap(), []);
        let pins =
            vec![pin("DEV/GOV/M2/LAND", "lux1", Some("2026-01-02T03:05:00Z")), pin("DEV/GOV/M2", "a", None)];
        save(&dir.0, pins.clone()).unwrap();
        assert_eq!(load(&dir.0).unwrap(), pins);
        for text in ["version = 2\n", "pin = 3\n", "version = 1\nmore = 1\n"] {
            fs::write(dir.0.join(FILE), text).unwrap();
            assert!(matches!(load(&dir.0), Err(PinsError::Malformed { .. })), "{text}");
        }
    }
}
