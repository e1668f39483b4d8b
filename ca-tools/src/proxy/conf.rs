//! `proxy.toml`, version 1: one configuration, where it comes from and how it is passed on. Unknown keys are refused.

use super::ProxyError;
use crate::span::Span;
use saatkond_proto::globalconf::{VERSION_MAX, VERSION_MIN};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The whole file. Read once, at start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of this format. Required: `1`.
    pub(super) version: u32,
    /// Where to listen, `ADDRESS:PORT`. Required.
    pub(super) listen: String,
    /// The host name or IP address that clients ask, with `:PORT` where it is not 80. Required.
    pub(super) address: String,
    /// The first word of its URLs: clients ask `http://<address>/<name>/conf`. Default: `proxy`.
    #[serde(default = "name")]
    pub(super) name: String,
    /// The anchor of the configuration that is passed on, relative to this file. Required.
    pub(super) anchor: PathBuf,
    /// The directory of the signing key and of what was fetched last, relative to this file. Required.
    pub(super) directory: PathBuf,
    /// How long what is signed here holds; with nobody upstream, so much longer than upstream's own. Default: `10 min`.
    #[serde(default = "ten_minutes")]
    pub(super) validity: Span,
    /// How often upstream is asked and all is signed anew. Default: `1 min`.
    #[serde(default = "one_minute")]
    pub(super) renewal: Span,
    /// The oldest version of the configuration that is passed on, 2 to 6. Default: `2`.
    #[serde(default = "oldest")]
    pub(super) minimum_version: u8,
    /// How long connecting may take, and then the answer. Default: `10 s`.
    #[serde(default = "ten_seconds")]
    pub(super) patience: Span,
}

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<File, ProxyError> {
    let wrong = |reason: String| ProxyError::Configuration { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let mut file: File = toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
    if file.version != 1 {
        return Err(wrong(format!("version is {}, expected 1", file.version)));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // a folder called `internalconf` means another set of certificates to who learns of places from the configuration
    if file.name.is_empty()
        || !file.name.chars().all(is_plain)
        || matches!(file.name.as_str(), "health" | "." | "..")
    {
        return Err(wrong(format!("name is {:?}, expected letters, digits, - and _", file.name)));
    }
    if file.address.is_empty() || file.address.contains(['/', ' ', '?']) {
        let expected = "a host name or address, with :PORT where it is not 80";
        return Err(wrong(format!("address is {:?}, expected {expected}", file.address)));
    }
    if file.renewal.0.is_zero() || file.renewal.0.saturating_mul(2) > file.validity.0 {
        return Err(wrong(format!(
            "renewal is {}, expected at most half of validity ({})",
            file.renewal, file.validity
        )));
    }
    if !(VERSION_MIN..=VERSION_MAX).contains(&file.minimum_version) {
        return Err(wrong(format!("minimum_version is {}, expected 2 to 6", file.minimum_version)));
    }
    if file.patience.0.is_zero() {
        return Err(wrong("patience is 0, expected a time above it".to_owned()));
    }
    let base = path.parent().unwrap_or(Path::new("."));
    file.anchor = base.join(&file.anchor);
    file.directory = base.join(&file.directory);
    Ok(file)
}

fn name() -> String {
    "proxy".to_owned()
}

const fn ten_minutes() -> Span {
    Span::minutes(10)
}

const fn one_minute() -> Span {
    Span::minutes(1)
}

const fn oldest() -> u8 {
    VERSION_MIN
}

const fn ten_seconds() -> Span {
    Span(std::time::Duration::from_secs(10))
}
