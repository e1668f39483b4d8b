//! `serve.toml`, version 1: which services one process offers. Unknown keys are refused; read once, at start.

use super::ServeError;
use crate::span::Span;
use crate::tsa::DEFAULT_POLICY;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The whole file. At least one service must be there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of this format. Required: `1`.
    pub(super) version: u32,
    /// Where to listen, `ADDRESS:PORT`. Required.
    pub(super) listen: String,
    /// The OCSP responder. Default: none.
    pub(super) ocsp: Option<Ocsp>,
    /// The time-stamping authority. Default: none.
    pub(super) tsa: Option<Tsa>,
    /// The instance's signed configuration. Default: none.
    pub(super) configuration: Option<Configuration>,
    /// What security servers ask for; needs `[configuration]`. Default: none is taken.
    pub(super) management: Option<Management>,
}

/// The OCSP responder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ocsp {
    /// The path of its URL. Default: `/ocsp`.
    #[serde(default = "ocsp_path")]
    pub(super) path: String,
    /// The authorities' directories, relative to this file. Required.
    pub(super) authorities: Vec<PathBuf>,
    /// How long answers may be kept; the instance's `ocsp_freshness` bounds it too. Default: `8 h`.
    #[serde(default = "eight_hours")]
    pub(super) next_update: Span,
    /// How long a signed answer is given again to who asks the same without a nonce, while the status is still the same;
    /// so old it may be when it comes. `0 s` signs every answer anew. Default: `30 s`.
    #[serde(default = "half_a_minute")]
    pub(super) remember: Span,
}

/// The time-stamping authority.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tsa {
    /// The path of its URL. Default: `/tsa`.
    #[serde(default = "tsa_path")]
    pub(super) path: String,
    /// Its certificate, relative to this file. Required.
    pub(super) certificate: PathBuf,
    /// Its key, relative to this file. Required.
    pub(super) key: PathBuf,
    /// The policy it states, an object identifier. Default: one that promises nothing.
    #[serde(default = "default_policy")]
    pub(super) policy: String,
}

/// The instance's signed configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Configuration {
    /// The directory made by `ca instance init`, relative to this file. Required.
    pub(super) directory: PathBuf,
}

/// What security servers ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Management {
    /// Where to listen, a loopback `ADDRESS:PORT`: deletions are believed from whoever reaches it. Required.
    pub(super) listen: String,
    /// Where to take registrations of authentication certificates, `ADDRESS:PORT`, from a TLS server in front. Default:
    /// nowhere.
    pub(super) registrations: Option<String>,
    /// What is done without anybody's approval: any of `authCertReg`, `clientReg`, `ownerChange`. Default: none.
    #[serde(default)]
    pub(super) approve: Vec<String>,
}

/// What may wait for an approval.
const WAITING: [&str; 3] = ["authCertReg", "clientReg", "ownerChange"];

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<File, ServeError> {
    let wrong = |reason: String| ServeError::Configuration { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let file: File = toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
    if file.version != 1 {
        return Err(wrong(format!("version is {}, expected 1", file.version)));
    }
    if file.ocsp.is_none() && file.tsa.is_none() && file.configuration.is_none() {
        return Err(wrong("nothing to serve: expected one of [ocsp], [tsa], [configuration]".to_owned()));
    }
    if let Some(management) = &file.management {
        if file.configuration.is_none() {
            return Err(wrong("[management] needs [configuration]: what is asked for changes it".to_owned()));
        }
        super::management::check_listen(path, &management.listen)?;
        if let Some(other) = management.approve.iter().find(|kind| !WAITING.contains(&kind.as_str())) {
            return Err(wrong(format!("management.approve has {other:?}, expected any of {WAITING:?}")));
        }
    }
    let paths = [file.ocsp.as_ref().map(|o| &o.path), file.tsa.as_ref().map(|t| &t.path)];
    for path in paths.into_iter().flatten() {
        if !path.starts_with('/') || path.ends_with('/') {
            return Err(wrong(format!(
                "path is {path:?}, expected one that begins with / and does not end in it"
            )));
        }
    }
    if let [Some(ocsp), Some(tsa)] = paths
        && (ocsp == tsa || tsa.starts_with(&format!("{ocsp}/")))
    {
        return Err(wrong(format!("ocsp.path {ocsp:?} and tsa.path {tsa:?} overlap")));
    }
    if file.ocsp.as_ref().is_some_and(|ocsp| ocsp.authorities.is_empty() || ocsp.next_update.0.is_zero()) {
        return Err(wrong("ocsp needs at least one of authorities, and a next_update above 0".to_owned()));
    }
    if let Some(ocsp) = &file.ocsp
        && ocsp.remember >= ocsp.next_update
    {
        let (remember, next_update) = (ocsp.remember, ocsp.next_update);
        return Err(wrong(format!(
            "ocsp.remember is {remember}, expected less than next_update, {next_update}"
        )));
    }
    Ok(file)
}

fn ocsp_path() -> String {
    "/ocsp".to_owned()
}

fn tsa_path() -> String {
    "/tsa".to_owned()
}

fn default_policy() -> String {
    DEFAULT_POLICY.to_owned()
}

const fn half_a_minute() -> Span {
    Span(std::time::Duration::from_secs(30))
}

const fn eight_hours() -> Span {
    Span::minutes(480)
}
