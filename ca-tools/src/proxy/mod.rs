//! The configuration proxy: downloads an instance's configuration, verifies it, signs it anew, serves it.
//!
//! It is what an embassy runs, so that the configuration outlives a broken link. Nothing that it signs holds longer than
//! upstream's own signature and its own `validity` after that: with nobody upstream it goes on until then, and says how
//! long is left. Only what upstream's signature holds for replaces what is there, each version by itself; an answer that
//! is not signed, such as 404, takes nothing away.
//!
//! | request | answer |
//! |---|---|
//! | `GET /<name>/conf?version=N` | the signed directory; 404 for versions that it does not have |
//! | `GET /<name>/V<N>/<digest>/<file>` | a document of the configuration |
//! | `GET /health/live`, `/health/ready` | whether this process lives; whether all is fresh, or how long is left |
//!
//! Its directory: `proxy.key.pem` (who steals it decides whom the proxy's clients trust), `proxy.cert.pem` (more may
//! follow the first, of keys to come), `kept/` (what was fetched last). Spec: trust-and-configuration §8.

mod conf;
mod fetch;
mod keep;
mod sign;

use crate::globalconf::{PublishError, Signer, chain};
use crate::key::KeySpec;
use crate::serve::route::{Said, TEXT, wrong_method};
use crate::serve::{Clock, Service};
use bytes::Bytes;
use fetch::Found;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use keep::Held;
use saatkond_proto::globalconf::locations::{Location, locations};
use saatkond_proto::globalconf::{
    Anchor, AnchorSource, DirectoryError, ParamsError, Source, VERSION_MAX, VERSION_MIN,
};
use saatkond_proto::time::UnixTime;
use sign::Signed;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of the signing key's files.
const KEY: &str = "proxy";

/// A proxy that does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The configuration file.
    #[error("{path}: {reason}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The anchor's file is none.
    #[error("{path}: not a configuration anchor: {source}")]
    Anchor {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ParamsError,
    },
    /// The signing key, or a file.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// What was kept of upstream is not what was put there.
    #[error("{path}: what was fetched last cannot be believed: {source}")]
    Kept {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DirectoryError,
    },
}

/// One place that does not serve.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("{url}: {source}")]
    Reach { url: String, source: io::Error },
    #[error("{url}: status {status}, expected 200")]
    Status { url: String, status: u16 },
    #[error("{url}: {source}")]
    Directory { url: String, source: DirectoryError },
    #[error("{url}: version {found} is there, expected {expected}")]
    Version { url: String, expected: u8, found: u8 },
    #[error("{url}: {location:?} is no place to fetch a part from")]
    Location { url: String, location: String },
}

/// A proxy, opened and ready. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Shop>);

#[derive(Debug)]
struct Shop {
    conf: conf::File,
    clock: Clock,
    anchor: Anchor,
    signer: Signer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was fetched last, by version.
    held: BTreeMap<u8, Held>,
    signed: Signed,
    /// The URL that served last.
    remembered: Option<String>,
    /// Why upstream is not followed now.
    trouble: Option<String>,
}

/// How one version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The version.
    pub version: u8,
    /// Until when upstream's own signature holds.
    pub upstream: UnixTime,
    /// Until when it can be served with nobody upstream.
    pub bound: UnixTime,
}

/// Makes the signing key of the proxy that `path` describes.
///
/// # Errors
/// [`ProxyError`]; a key that is there is never overwritten.
pub fn create_key(path: &Path, spec: KeySpec) -> Result<PathBuf, ProxyError> {
    let conf = conf::read(path)?;
    let file = |source| PublishError::File { path: conf.directory.clone(), source };
    std::fs::create_dir_all(&conf.directory).map_err(file)?;
    Signer::create(&conf.directory, KEY, spec)?;
    Ok(conf.directory)
}

impl Proxy {
    /// Opens the proxy that the file `proxy.toml` describes, with what it fetched before.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn open(path: &Path, clock: Clock) -> Result<Self, ProxyError> {
        let conf = conf::read(path)?;
        let signer = Signer::open(&conf.directory, KEY)?;
        let bytes = std::fs::read(&conf.anchor)
            .map_err(|source| PublishError::File { path: conf.anchor.clone(), source })?;
        let anchor = Anchor::from_xml(&bytes)
            .map_err(|source| ProxyError::Anchor { path: conf.anchor.clone(), source })?;
        if !anchor.sources.iter().any(|source| is_plain(&source.url)) {
            let reason =
                format!("{} names no source in plain http, and no other is asked", conf.anchor.display());
            return Err(ProxyError::Configuration { path: path.to_owned(), reason });
        }
        let mut state = State::default();
        for version in conf.minimum_version..=VERSION_MAX {
            match keep::load(&conf.directory, &anchor.instance, version, &signer) {
                Ok(held) => state.held.extend(held.map(|held| (version, held))),
                // a proxy without memory is better than none
                Err(error) => tracing::warn!(error = chain(&error), "what was fetched last is passed over"),
            }
        }
        let proxy = Self(Arc::new(Shop { conf, clock, anchor, signer, state: Mutex::new(state) }));
        proxy.sign(proxy.0.clock.now())?;
        Ok(proxy)
    }

    /// The anchor that its clients are given.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        let Shop { conf, signer, clock, anchor, .. } = &*self.0;
        let url = format!("http://{}/{}/conf", conf.address, conf.name);
        let certificates = signer.certificates().to_vec();
        let sources = vec![AnchorSource { url, certificates }];
        Anchor { generated_at: Some(clock.now()), instance: anchor.instance.clone(), sources }
    }

    /// The instance whose configuration is passed on.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.0.anchor.instance
    }

    /// How every version stands that is held and has not ended.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let now = self.0.clock.now();
        let state = self.state();
        let all = state.held.values().map(|held| Standing {
            version: held.version,
            upstream: held.expires,
            bound: held.expires.plus(self.conf().validity.0),
        });
        all.filter(|standing| now <= standing.bound).collect()
    }

    /// Why upstream is not followed now; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// Asks upstream for all versions and signs what holds; what does not come leaves what was there.
    ///
    /// # Errors
    /// [`ProxyError`] when nothing could be signed or kept: what is served runs out.
    pub async fn refresh(&self) -> Result<(), ProxyError> {
        let now = self.0.clock.now();
        let (mut wanted, mut reasons) = (self.versions(), Vec::new());
        let places = self.places()?;
        for place in &places {
            self.ask(place, &mut wanted, &mut reasons, now).await?;
            if wanted.is_empty() {
                break;
            }
        }
        self.judge(&wanted, &reasons);
        let signing = self.clone();
        let signed = tokio::task::spawn_blocking(move || signing.sign(now)).await;
        signed.map_err(|e| PublishError::File {
            path: self.conf().directory.clone(),
            source: io::Error::other(e),
        })??;
        keep::tidy(&self.conf().directory, self.state().held.values());
        Ok(())
    }

    /// Says what is wrong when these versions were still wanted after everybody was asked.
    fn judge(&self, wanted: &[u8], reasons: &[String]) {
        let mut state = self.state();
        // what upstream never had is not missed; what it has no more is
        let is_missed = |version: &u8| !reasons.is_empty() || state.held.contains_key(version);
        let missed: Vec<String> = wanted.iter().copied().filter(is_missed).map(|v| v.to_string()).collect();
        let has_nothing = wanted.len() == self.versions().len();
        let why = if reasons.is_empty() { "it is not there".to_owned() } else { reasons.join("; ") };
        state.trouble = match missed.as_slice() {
            [] if !has_nothing => None,
            [] => Some("upstream has no version of the configuration".to_owned()),
            missed => Some(format!("version {} was not fetched: {why}", missed.join(", "))),
        };
        if has_nothing {
            state.remembered = None;
        }
    }

    /// Asks one place for the versions still wanted; a place that cannot be reached is not asked for the next one.
    async fn ask(
        &self,
        place: &Location,
        wanted: &mut Vec<u8>,
        reasons: &mut Vec<String>,
        now: UnixTime,
    ) -> Result<(), ProxyError> {
        for version in wanted.clone() {
            let held = self.state().held.get(&version).cloned();
            match fetch::version(self, place, version, held.as_ref(), now).await {
                Ok(Found::Version(held)) => {
                    keep::save(&self.conf().directory, &held, &self.0.signer)?;
                    let mut state = self.state();
                    state.held.insert(version, *held);
                    state.remembered = Some(place.url.clone());
                    wanted.retain(|other| *other != version);
                }
                Ok(Found::Absent) => {}
                Err(error) => {
                    reasons.push(error.to_string());
                    if matches!(error, SourceError::Reach { .. }) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every place to ask, best first: those of the anchor, and those that the configuration itself tells of.
    fn places(&self) -> Result<Vec<Location>, ProxyError> {
        let [a, b, c, d, e, f, g, h, ..] = crate::globalconf::random()?;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let state = self.state();
        let learnt = state.held.values().next_back().map(|held| &held.shared);
        let all = locations(&self.0.anchor, learnt, state.remembered.as_deref(), seed);
        Ok(all.into_iter().filter(|place| is_plain(&place.url)).collect())
    }

    /// Signs anew what is held, where that gives it a later end; all versions change at once.
    fn sign(&self, now: UnixTime) -> Result<(), PublishError> {
        let Shop { conf, signer, .. } = &*self.0;
        let source = Source {
            address: conf.address.clone(),
            internal: signer.certificates().to_vec(),
            external: signer.certificates().to_vec(),
        };
        let mut state = self.state();
        let State { held, signed, .. } = &mut *state;
        held.retain(|_, held| now <= held.expires.plus(conf.validity.0));
        let next = signed.next(held.values(), conf, signer, &source, now)?;
        *signed = next;
        Ok(())
    }

    fn versions(&self) -> Vec<u8> {
        (self.conf().minimum_version.max(VERSION_MIN)..=VERSION_MAX).rev().collect()
    }

    fn conf(&self) -> &conf::File {
        &self.0.conf
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs where that is due by the clock: the machine may have slept.
    fn catch_up(&self, now: UnixTime) {
        let at = self.state().signed.at;
        if at.is_some_and(|at| at <= now && now < at.plus(self.conf().renewal.0)) {
            return;
        }
        if let Err(error) = self.sign(now) {
            tracing::error!(error = chain(&error), "configuration not signed anew");
        }
    }

    fn say(&self, path: &str, query: Option<&str>) -> Said {
        let now = self.0.clock.now();
        self.catch_up(now);
        match path {
            "/health/live" => return Said::Good(TEXT, Bytes::from_static(b"live\n")),
            "/health/ready" => return self.ready(now),
            _ => {}
        }
        let inside = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(self.conf().name.as_str()));
        let Some(inside) = inside else { return Said::absent() };
        let state = self.state();
        if inside == "/conf" {
            if state.held.is_empty() {
                let why = state.trouble.as_deref().unwrap_or("nothing was fetched yet");
                return Said::Not(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("no configuration holds: {why}\n"),
                );
            }
            let version = crate::globalconf::version_asked(query);
            let directory = version.and_then(|version| state.signed.directory(version));
            return directory
                .map_or_else(Said::absent, |bytes| Said::Good("application/octet-stream", bytes));
        }
        state.signed.document(path).map_or_else(Said::absent, |bytes| Said::Good("text/xml", bytes))
    }

    fn ready(&self, now: UnixTime) -> Said {
        let trouble = self.trouble();
        let Some(bound) = self.standing().iter().map(|standing| standing.bound).min() else {
            let why = trouble.unwrap_or_else(|| "nothing was fetched yet".to_owned());
            return Said::Not(StatusCode::SERVICE_UNAVAILABLE, format!("no configuration holds: {why}\n"));
        };
        let Some(why) = trouble else { return Said::Good(TEXT, Bytes::from_static(b"ready\n")) };
        let left = crate::span::roughly(bound.since(now));
        Said::Good(TEXT, Bytes::from(format!("ready until {bound}, {left} left: {why}\n")))
    }

    fn log(&self, outcome: Result<(), ProxyError>) {
        if let Err(error) = outcome {
            tracing::error!(error = chain(&error), "configuration not signed anew");
        }
        let Some(why) = self.trouble() else { return };
        match self.standing().iter().map(|standing| standing.bound).min() {
            Some(until) => {
                let left = crate::span::roughly(until.since(self.0.clock.now()));
                tracing::warn!(why, %until, left, "upstream does not serve, what was fetched last is passed on");
            }
            None => {
                tracing::error!(why, "upstream does not serve, and nothing that was fetched holds any more")
            }
        }
    }
}

impl Service for Proxy {
    fn listen(&self) -> &str {
        &self.conf().listen
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            return Ok(wrong_method("GET").into_response(false));
        }
        let said = tokio::task::spawn_blocking(move || self.say(request.uri().path(), request.uri().query()));
        let failed = |_| Said::Not(StatusCode::INTERNAL_SERVER_ERROR, "the service failed\n".to_owned());
        Ok(said.await.unwrap_or_else(failed).into_response(is_head))
    }

    async fn work(self) {
        loop {
            let outcome = self.refresh().await;
            self.log(outcome);
            tokio::time::sleep(self.conf().renewal.0.max(Duration::from_secs(1))).await;
        }
    }
}

fn is_plain(url: &str) -> bool {
    url.starts_with("http://")
}
