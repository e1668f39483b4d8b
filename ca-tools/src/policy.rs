//! What an authority is and how it issues: the file `ca.toml`, version 1. Unknown keys are refused.
//!
//! `ca init --policy FILE` takes it and keeps it in the authority's directory, where every command reads it anew: who
//! edits it there changes the certificates issued from then on, and none of those that were.

use crate::index::Purpose;
use crate::key::KeySpec;
use crate::naming;
use crate::span::Span;
use saatkond_proto::trust::profile::Profile;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this format. Required: `1`.
    pub version: u32,
    /// The authority's name, the CN of its certificate. Required.
    pub name: String,
    /// Its organisation, the O of its certificate. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Its country, the C of its certificate, two capital letters. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// How its certificates name members, as X-Road's class of that name reads them: `FiVRK`, `Ejbca`, `Basic`,
    /// `BasicACME`, `Fo`, `Is` or `SkKlass3`. Default: `FiVRK`.
    #[serde(default = "finnish")]
    pub naming: String,
    /// What kind of key it and its responder get: `rsa-2048`, `rsa-3072`, `rsa-4096`, `p256` or `p384`. X-Road reads the
    /// last two from 7.6 on. Default: `rsa-3072`.
    #[serde(default = "usual_key")]
    pub key: KeySpec,
    /// Where its OCSP responder answers, `http://…` or `https://…`; written into every certificate. Default: `[]`.
    #[serde(default)]
    pub ocsp_urls: Vec<String>,
    /// Where its list of revoked certificates is found, `http://…` or `https://…`; written into every certificate.
    /// X-Road does not look there; other programs do. Default: `[]`.
    #[serde(default)]
    pub crl_urls: Vec<String>,
    /// Where its own certificate is found, `http://…` or `https://…`; written into every certificate. Default: `[]`.
    #[serde(default)]
    pub issuer_urls: Vec<String>,
    /// How long what it signs lasts.
    #[serde(default)]
    pub lasting: Lasting,
}

/// How long what an authority signs lasts, by purpose. No certificate outlives the authority's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lasting {
    /// Certificates of authorities: its own, if it stands alone, and those below it. Default: `7300 d`.
    pub ca: Span,
    /// Authentication certificates of security servers. Default: `730 d`.
    pub auth: Span,
    /// Sign certificates of members. Default: `730 d`.
    pub sign: Span,
    /// Certificates of OCSP responders: nobody can revoke them, so they are short. Default: `365 d`.
    pub ocsp: Span,
    /// Certificates of time-stamping authorities. Default: `1825 d`.
    pub tsa: Span,
    /// Certificates of web servers and information systems. Default: `730 d`.
    pub tls: Span,
    /// Lists of revoked certificates. Default: `7 d`.
    pub crl: Span,
}

impl Default for Lasting {
    fn default() -> Self {
        Self {
            ca: Span::days(7300),
            auth: Span::days(730),
            sign: Span::days(730),
            ocsp: Span::days(365),
            tsa: Span::days(1825),
            tls: Span::days(730),
            crl: Span::days(7),
        }
    }
}

impl Lasting {
    pub(crate) const fn of(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Auth => self.auth.0,
            Purpose::Sign => self.sign.0,
            Purpose::Ocsp => self.ocsp.0,
            Purpose::Tsa => self.tsa.0,
            Purpose::Tls => self.tls.0,
            Purpose::Ca => self.ca.0,
        }
    }
}

/// A policy that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file could not be read.
    #[error("policy {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is wrong in it.
    #[error("policy {path}: {reason}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line or with the place in the file.
        reason: String,
    },
}

impl Policy {
    /// A policy with the usual lifetimes, Finnish names and no addresses.
    pub fn new(name: impl Into<String>, key: KeySpec) -> Self {
        Self {
            version: 1,
            name: name.into(),
            organization: None,
            country: None,
            naming: finnish(),
            key,
            ocsp_urls: Vec::new(),
            crl_urls: Vec::new(),
            issuer_urls: Vec::new(),
            lasting: Lasting::default(),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let wrong = |reason: String| PolicyError::Wrong { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path)
            .map_err(|source| PolicyError::File { path: path.to_owned(), source })?;
        let policy: Self = toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        policy.check().map_err(wrong)?;
        Ok(policy)
    }

    /// Whether certificates can be made by it that others take.
    ///
    /// # Errors
    /// Tells what is wrong and what was expected.
    pub fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!("version is {}, expected 1", self.version));
        }
        if self.name.trim().is_empty() {
            return Err("name is empty, expected the authority's name".to_owned());
        }
        if let Some(country) = &self.country
            && !(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(format!("country is {country:?}, expected two capital letters"));
        }
        self.profile()?;
        for (key, urls) in
            [("ocsp_urls", &self.ocsp_urls), ("crl_urls", &self.crl_urls), ("issuer_urls", &self.issuer_urls)]
        {
            if let Some(url) = urls.iter().find(|url| !is_url(url)) {
                return Err(format!("{key} has {url:?}, expected http:// or https:// with a host, in ASCII"));
            }
        }
        let lasting = &self.lasting;
        for (key, span) in [
            ("ca", lasting.ca),
            ("auth", lasting.auth),
            ("sign", lasting.sign),
            ("ocsp", lasting.ocsp),
            ("tsa", lasting.tsa),
            ("tls", lasting.tls),
            ("crl", lasting.crl),
        ] {
            if span.0.is_zero() || span > LASTS_MAX {
                return Err(format!("lasting.{key} is {span}, expected more than 0 and at most {LASTS_MAX}"));
            }
        }
        Ok(())
    }

    /// How its certificates name members.
    ///
    /// # Errors
    /// Tells which names there are.
    pub fn profile(&self) -> Result<Profile, String> {
        naming::profile_by_name(&self.naming).ok_or_else(|| {
            let known: Vec<&str> = naming::PROFILES.into_iter().map(naming::short_name).collect();
            format!("naming is {:?}, expected one of {}", self.naming, known.join(", "))
        })
    }
}

/// A hundred years: no calendar of X.509 is left.
const LASTS_MAX: Span = Span::days(36_500);

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn finnish() -> String {
    naming::short_name(Profile::FiVrk).to_owned()
}

const fn usual_key() -> KeySpec {
    KeySpec::Rsa3072
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    fn read(text: &str) -> Result<Policy, String> {
        let directory = Directory::new();
        let path = directory.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        Policy::read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn the_smallest_policy_says_its_name() {
        let policy = read("version = 1\nname = \"DEV CA\"\n").unwrap();
        assert_eq!(policy, Policy::new("DEV CA", KeySpec::Rsa3072));
        assert_eq!(read(&toml::to_string(&policy).unwrap()), Ok(policy));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("country = \"Estonia\"", "country is \"Estonia\", expected two capital letters"),
            ("country = \"ee\"", "expected two capital letters"),
            ("naming = \"Fi\"", "naming is \"Fi\", expected one of Basic, BasicACME, Ejbca, FiVRK"),
            ("key = \"rsa-1024\"", "expected rsa-2048, rsa-3072, rsa-4096, p256 or p384"),
            ("ocsp_urls = [\"ocsp.example\"]", "ocsp_urls has \"ocsp.example\", expected http://"),
            ("crl_urls = [\"http:///ca.crl\"]", "crl_urls has"),
            ("issuer_urls = [\"http://põld.example/\"]", "in ASCII"),
            ("[lasting]\nsign = \"0 d\"", "lasting.sign is 0 s, expected more than 0"),
            ("[lasting]\nca = \"40000 d\"", "lasting.ca is 40000 d"),
            ("[lasting]\nsign = \"two years\"", "is no length of time"),
            ("[lasting]\nsigning = \"2 d\"", "signing"),
            ("lifetime = \"2 d\"", "lifetime"),
        ] {
            let error = read(&format!("version = 1\nname = \"DEV CA\"\n{line}\n")).unwrap_err();
            assert!(error.contains(named) && error.contains("policy.toml"), "{error}\nexpected {named}");
        }
        assert!(read("version = 2\nname = \"x\"").unwrap_err().contains("version is 2, expected 1"));
        assert!(read("version = 1\nname = \" \"").unwrap_err().contains("name is empty"));
        assert!(read("version = 1").unwrap_err().contains("name"));
        assert!(matches!(Policy::read(Path::new("/nonexistent")), Err(PolicyError::File { .. })));
    }
}
