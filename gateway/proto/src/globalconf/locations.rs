//! Where to ask for the configuration, in which order, and for which version.
//!
//! Spec: trust-and-configuration §1.2–1.5, §1.8.

use super::anchor::{Anchor, AnchorSource};
use super::shared::SharedParams;
use super::{VERSION_MAX, VERSION_MIN};

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
    let mut shuffle = Shuffle(seed);
    let mut all = Vec::new();
    let anchored = anchor.sources.clone();
    for group in [learnt.map(|shared| learnt_places(anchor, shared)).unwrap_or_default(), anchored] {
        for AnchorSource { url, certificates } in in_order(&group, &mut shuffle) {
            let location = Location { instance: anchor.instance.clone(), url, certificates };
            if !all.contains(&location) {
                all.push(location);
            }
        }
    }
    if let Some(url) = remembered {
        let base = without_version(url);
        if let Some(found) = all.iter().find(|l| l.url == url || l.url == base) {
            let first = Location { url: url.to_owned(), ..found.clone() };
            all.insert(0, first);
        }
    }
    all
}

/// What an instance's shared parameters say about where it is published, for the folder that the anchor names.
fn learnt_places(anchor: &Anchor, shared: &SharedParams) -> Vec<AnchorSource> {
    if shared.instance != anchor.instance {
        return Vec::new();
    }
    let plain = anchor.sources.iter().find_map(|s| Some(("http", s.url.strip_prefix("http://")?)));
    // Ours: an anchor of https URLs only is as good; X-Road 7.8 finds nothing in it.
    let place = plain
        .or_else(|| anchor.sources.iter().find_map(|s| Some(("https", s.url.strip_prefix("https://")?))));
    let Some((scheme, (_, folder))) = place.and_then(|(s, rest)| Some((s, rest.split_once('/')?))) else {
        return Vec::new();
    };
    let sources = shared.sources.iter().map(|source| {
        let certificates = match folder {
            "internalconf" => source.internal.clone(),
            "externalconf" => source.external.clone(),
            _ => [source.internal.as_slice(), source.external.as_slice()].concat(),
        };
        AnchorSource { url: format!("{scheme}://{}/{folder}", source.address), certificates }
    });
    sources.collect()
}

/// One group's URLs: each `http` one over `https` first, then as it is; each half shuffled.
fn in_order(group: &[AnchorSource], shuffle: &mut Shuffle) -> Vec<AnchorSource> {
    let (mut secure, mut plain) = (Vec::new(), Vec::new());
    for source in group {
        if let Some(rest) = source.url.strip_prefix("http://") {
            merge(&mut secure, &format!("https://{rest}"), &source.certificates);
            merge(&mut plain, &source.url, &source.certificates);
        } else {
            merge(&mut secure, &source.url, &source.certificates);
        }
    }
    shuffle.over(&mut secure);
    shuffle.over(&mut plain);
    secure.append(&mut plain);
    secure
}

/// Adds a place, or what it adds to the certificates of a place already there.
fn merge(list: &mut Vec<AnchorSource>, url: &str, certificates: &[Vec<u8>]) {
    let at = list.iter().position(|s| s.url == url).unwrap_or_else(|| {
        list.push(AnchorSource { url: url.to_owned(), certificates: Vec::new() });
        list.len() - 1
    });
    let Some(place) = list.get_mut(at) else { return };
    for certificate in certificates {
        if !place.certificates.contains(certificate) {
            place.certificates.push(certificate.clone());
        }
    }
}

/// Spreads load; nothing rests on its being hard to guess. Spec: SplitMix64.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn over<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let below = u64::try_from(last).unwrap_or(u64::MAX - 1) + 1;
            list.swap(last, usize::try_from(self.next() % below).unwrap_or(0));
        }
    }
}

/// The URLs to ask at a location, newest version first; one URL when it names its version already.
///
/// Status 404 means that the version is not there: ask for the next. Any other answer settles the version, and when
/// it is not a directory the location fails.
#[must_use]
pub fn version_urls(url: &str) -> Vec<String> {
    if version_in(url).is_some() {
        return vec![url.to_owned()];
    }
    (VERSION_MIN..=VERSION_MAX).rev().map(|version| with_version(url, version)).collect()
}

/// The URL to ask at a location for this very version, whatever it names; 404 means that it is not there.
#[must_use]
pub fn with_version(url: &str, version: u8) -> String {
    let base = without_version(url);
    let join = if base.contains('?') { '&' } else { '?' };
    format!("{base}{join}version={version}")
}

fn version_in(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("version="))
}

fn without_version(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let rest: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("version=")).collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}

/// Resolves a part's location against the URL its directory came from; `None` for what is no `http` URL then.
///
/// Spec: RFC 3986 5.2.
#[must_use]
pub fn part_url(directory_url: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or(location);
    if location.is_empty() || location.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if is_web(location) {
        return Some(location.to_owned());
    }
    let first = location.split('/').next().unwrap_or(location);
    if first.contains(':') {
        return None;
    }
    let (scheme, rest) = directory_url.split_once("://").filter(|_| is_web(directory_url))?;
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if location.starts_with('?') {
        return Some(format!("{scheme}://{host}/{path}{location}"));
    }
    let (reference, query) = match location.split_once('?') {
        Some((reference, query)) => (reference, format!("?{query}")),
        None => (location, String::new()),
    };
    let whole = match reference.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => {
            path.rsplit_once('/').map_or_else(|| reference.to_owned(), |(f, _)| format!("{f}/{reference}"))
        }
    };
    Some(format!("{scheme}://{host}/{}{query}", without_dots(&whole)))
}

fn is_web(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Spec: RFC 3986 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    kept.join("/")
}

/// The version that a request for a directory asks for: 2 unless the query says another number.
///
/// A server answers 404 for versions it does not have. Seen: X-Road 7.8's web server takes digits only.
#[must_use]
pub fn asked_version(query: Option<&str>) -> u32 {
    let mut pairs = query.unwrap_or_default().split('&');
    let asked = pairs.find_map(|pair| pair.strip_prefix("version="));
    let digits = asked.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    digits.map_or(u32::from(VERSION_MIN), |text| text.parse().unwrap_or(u32::MAX))
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
        let names: Vec<_> =
            setting.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_lowercase).collect();
        if names.is_empty() || names.iter().any(|n| n == "none") {
            Self::None
        } else if names.iter().any(|n| n == "all") {
            Self::All
        } else {
            Self::Only(names)
        }
    }

    /// Whether this other instance's configuration is taken.
    #[must_use]
    pub fn allows(&self, instance: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.contains(&instance.to_lowercase()),
        }
    }
}
