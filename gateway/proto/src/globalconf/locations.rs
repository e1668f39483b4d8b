//! Where to ask for the configuration, in which order, and for which version.
//!
//! Spec: trust-and-configuration §1.2–1.5, §1.8.

use super::anchor::Anchor;
use super::shared::SharedParams;

/// One URL to ask, and whose signature to believe there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The instance whose configuration it serves.
    pub instance: String,
    /// The directory's URL, with or without a version.
    pub url: String,
    /// The certificates that may sign it.
    pub certificates: Vec<Vec<u8>>,
}

/// All places to try for an anchor's instance, best first.
///
/// `learnt` is the instance's shared parameters as last stored; `remembered` the versioned URL that last served this
/// anchor; `seed` spreads the load: draw it anew for each run.
#[must_use]
pub fn locations(
    anchor: &Anchor,
    learnt: Option<&SharedParams>,
    remembered: Option<&str>,
    seed: u64,
) -> Vec<Location> {
    let _ = (anchor, learnt, remembered, seed);
    Vec::new()
}

/// The URLs to ask at a location, newest version first; one URL when it names its version already.
///
/// Status 404 means that the version is not there: ask for the next. Any other answer settles the version, and when
/// it is not a directory the location fails.
#[must_use]
pub fn version_urls(url: &str) -> Vec<String> {
    vec![url.to_owned()]
}

/// Resolves a part's location against the URL its directory came from; `None` for what is no `http` URL then.
#[must_use]
pub fn part_url(directory_url: &str, location: &str) -> Option<String> {
    let _ = (directory_url, location);
    None
}

/// The version that a request for a directory asks for: 2 unless the query says another number.
///
/// A server answers 404 for versions it does not have.
#[must_use]
pub fn asked_version(query: Option<&str>) -> u32 {
    let _ = query;
    2
}

/// Which other instances' configuration is taken (`allowed-federations`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Federations {
    /// No other's.
    #[default]
    None,
    /// Every anchored one's.
    All,
    /// Those named, letter case aside.
    Only(Vec<String>),
}

impl Federations {
    /// Reads the comma-separated setting: `none` anywhere wins, then `all`.
    #[must_use]
    pub fn parse(setting: &str) -> Self {
        let _ = setting;
        Self::None
    }

    /// Whether this other instance's configuration is taken.
    #[must_use]
    pub fn allows(&self, instance: &str) -> bool {
        let _ = instance;
        false
    }
}
