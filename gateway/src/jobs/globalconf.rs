//! The configuration client: fetches, verifies and stores the global configuration.
//!
//! Spec: trust-and-configuration §1.2–1.10. What is fetched is verified whole before the first file is written; a restart
//! goes on with what is stored until that expires. Store: `globalconf/`, in X-Road's own layout. Trusted: who can write
//! to it decides whom we believe.

use super::policy;
use crate::conf::Conf;
use crate::net::fetch::{self, Answer, Bounds, FetchError};
use saatkond_proto::continuity::FILE_NAME;
use saatkond_proto::globalconf::layout::{self, INSTANCE_IDENTIFIER, Stored};
use saatkond_proto::globalconf::locations::{Location, locations, part_url, version_urls};
use saatkond_proto::globalconf::{
    Anchor, Content, Directory, DirectoryError, GlobalConf, LookupError, ParamsError, Part, PrivateParams,
    SharedParams, SignedDirectory,
};
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A configuration that is not there: not fetched, or not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GlobalConfError {
    /// A file cannot be read or written.
    #[error("{}: {source}", file.display())]
    Disk {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The anchor is not one.
    #[error("{}: not a configuration anchor: {source}", file.display())]
    Anchor {
        /// Its file.
        file: PathBuf,
        /// Why not.
        source: ParamsError,
    },
    /// The anchor, or what is stored, is of another instance than this server.
    #[error("{} is of instance {found}, expected {expected}", file.display())]
    Instance {
        /// The file.
        file: PathBuf,
        /// This server's instance.
        expected: String,
        /// The instance found.
        found: String,
    },
    /// No source gave a configuration that holds; one reason each, in the order asked.
    #[error("no source of {instance} gave its configuration: {}", reasons.join("; "))]
    NoSource {
        /// The instance.
        instance: String,
        /// Why each source did not serve.
        reasons: Vec<String>,
    },
    /// What is stored makes no picture.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The decision about sites and registers that was taken last is not read any more.
    #[error("{}: what was decided last about sites and registers is not read: {source}", file.display())]
    Remembered {
        /// Where it is remembered.
        file: PathBuf,
        /// What is wrong with it.
        source: ParamsError,
    },
}

/// One source that does not serve.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{url}: status {status}, expected 200")]
    Status { url: String, status: u16 },
    #[error("{url}: {source}")]
    Directory { url: String, source: DirectoryError },
    #[error("{url}: {location:?} is no place to fetch a part from")]
    Location { url: String, location: String },
    #[error("{url}: no version of the configuration is there")]
    NoVersion { url: String },
}

/// A configuration that was verified, not yet stored.
struct Fetched {
    /// The URL, with its version, that served.
    url: String,
    directory: Directory,
    parts: Vec<(Part, Vec<u8>)>,
    private: Option<PrivateParams>,
}

/// Redirects followed for one document. Spec: trust-and-configuration §1.4.
const REDIRECTS_MAX: usize = 5;

/// Fetches the configuration again and again; remembers which source served last.
#[derive(Debug, Default)]
pub struct Client {
    remembered: Mutex<HashMap<String, String>>,
}

/// Reads what is stored and makes the picture of it.
///
/// # Errors
/// [`GlobalConfError`].
pub fn load(conf: &Conf) -> Result<GlobalConf, GlobalConfError> {
    let (dir, instance) = (conf.globalconf_dir(), conf.instance());
    let stored = stored(&dir)?;
    if stored.own_instance != instance {
        return Err(GlobalConfError::Instance {
            file: dir.join(INSTANCE_IDENTIFIER),
            expected: instance.to_owned(),
            found: stored.own_instance,
        });
    }
    for (file, why) in &stored.left_out {
        tracing::warn!(file, why, "part of the global configuration left out");
    }
    let policy_file = format!("{}/{FILE_NAME}", layout::folder(instance));
    let unread = stored.left_out.into_iter().find(|(file, _)| *file == policy_file).map(|(_, why)| why);
    let picture = GlobalConf::new(&stored.own_instance, stored.instances)?;
    for what in picture.left_out() {
        tracing::debug!(what, "listed by the global configuration, and not usable here");
    }
    policy::settle(conf, picture, unread)
}

fn stored(dir: &Path) -> Result<Stored, GlobalConfError> {
    let files = read_all(dir).map_err(|(file, source)| GlobalConfError::Disk { file, source })?;
    Ok(layout::load(&files)?)
}

impl Client {
    /// Fetches the own instance's configuration, and that of those in federation with it; stores all and reads it back.
    ///
    /// # Errors
    /// [`GlobalConfError`]; what was stored before then stays.
    pub async fn fetch(
        &self,
        conf: &Arc<Conf>,
        now: UnixTime,
        seed: u64,
    ) -> Result<GlobalConf, GlobalConfError> {
        let anchor = anchor(conf)?;
        let dir = conf.globalconf_dir();
        let learnt = stored(&dir).map(|s| s.instances).unwrap_or_default();
        let learnt_of =
            |instance: &str| learnt.iter().map(|i| &i.shared).find(|shared| shared.instance == instance);
        let run = Run { conf, dir: &dir, now, seed };
        let own = self.source(&run, &anchor, learnt_of(&anchor.instance), true).await?;
        let anchors = own.private.as_ref().map(|p| p.anchors.clone()).unwrap_or_default();
        let mut fetched = vec![own];
        let mut kept = HashSet::from([layout::folder(&anchor.instance)]);
        for other in &anchors {
            let taken = other.instance != anchor.instance && conf.federations.allows(&other.instance);
            if !taken || !kept.insert(layout::folder(&other.instance)) {
                continue;
            }
            // One that cannot be fetched keeps what it had, until that expires.
            match self.source(&run, other, learnt_of(&other.instance), false).await {
                Ok(other) => fetched.push(other),
                Err(error) => tracing::warn!(instance = other.instance, %error, "federation not refreshed"),
            }
        }
        let of = Arc::clone(conf);
        let stored = tokio::task::spawn_blocking(move || {
            store(&dir, of.instance(), &fetched, &kept)
                .map_err(|(file, source)| GlobalConfError::Disk { file, source })?;
            let believed = load(&of)?;
            policy::remember(&of, &believed)?;
            Ok(believed)
        });
        stored.await.unwrap_or_else(|error| {
            Err(GlobalConfError::Disk { file: conf.globalconf_dir(), source: io::Error::other(error) })
        })
    }

    /// Asks the sources of an anchor until one serves.
    async fn source(
        &self,
        run: &Run<'_>,
        anchor: &Anchor,
        learnt: Option<&SharedParams>,
        is_own: bool,
    ) -> Result<Fetched, GlobalConfError> {
        let remembered = self.remembered().get(&anchor.instance).cloned();
        let mut reasons = Vec::new();
        for location in locations(anchor, learnt, remembered.as_deref(), run.seed) {
            match run.ask(&location, is_own).await {
                Ok(fetched) => {
                    self.remembered().insert(anchor.instance.clone(), fetched.url.clone());
                    return Ok(fetched);
                }
                Err(error) => {
                    self.remembered().remove(&anchor.instance);
                    reasons.push(error.to_string());
                }
            }
        }
        if reasons.is_empty() {
            reasons.push("its anchor names none".to_owned());
        }
        Err(GlobalConfError::NoSource { instance: anchor.instance.clone(), reasons })
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn anchor(conf: &Conf) -> Result<Anchor, GlobalConfError> {
    let file = conf.anchor.clone();
    let disk = |source| GlobalConfError::Disk { file: file.clone(), source };
    let mut bytes = Vec::new();
    let allowed = limits::ANCHOR_BYTES_MAX as u64 + 1;
    File::open(&file).map_err(disk)?.take(allowed).read_to_end(&mut bytes).map_err(disk)?;
    let anchor =
        Anchor::from_xml(&bytes).map_err(|source| GlobalConfError::Anchor { file: file.clone(), source })?;
    if anchor.instance != conf.instance() {
        let (expected, found) = (conf.instance().to_owned(), anchor.instance);
        return Err(GlobalConfError::Instance { file, expected, found });
    }
    Ok(anchor)
}

/// What one run of the client goes by.
struct Run<'a> {
    conf: &'a Conf,
    dir: &'a Path,
    now: UnixTime,
    seed: u64,
}

impl Run<'_> {
    async fn ask(&self, location: &Location, is_own: bool) -> Result<Fetched, SourceError> {
        let (url, bytes) = self.directory(&location.url).await?;
        let wrong = |source| SourceError::Directory { url: url.clone(), source };
        let signed = SignedDirectory::parse(&bytes).map_err(wrong)?;
        let directory = signed.verify(&location.certificates, self.now).map_err(wrong)?;
        let wanted: Vec<Part> = if is_own {
            directory.internal(&location.instance).map_err(wrong)?.into_iter().cloned().collect()
        } else {
            vec![directory.external(&location.instance).map_err(wrong)?.clone()]
        };
        let mut parts = Vec::new();
        let mut private = None;
        for part in wanted {
            let bytes = self.part(&url, &part).await?;
            match part.content {
                Content::Shared => {
                    part.shared(&bytes, directory.version).map_err(wrong)?;
                }
                Content::Private => private = Some(part.private(&bytes, directory.version).map_err(wrong)?),
                Content::Other(_) => part.check(&bytes).map_err(wrong)?,
            }
            parts.push((part, bytes));
        }
        Ok(Fetched { url, directory, parts, private })
    }

    /// The newest version that is there, and the URL it came from.
    async fn directory(&self, base: &str) -> Result<(String, Vec<u8>), SourceError> {
        for url in version_urls(base) {
            let answer = self.get(&url, limits::DIRECTORY_BYTES_MAX).await?;
            match answer.status {
                200 => return Ok((url, answer.body)),
                404 => {}
                status => return Err(SourceError::Status { url, status }),
            }
        }
        Err(SourceError::NoVersion { url: base.to_owned() })
    }

    /// A part's bytes: those stored, if they are the ones listed; else from the source.
    async fn part(&self, directory_url: &str, part: &Part) -> Result<Vec<u8>, SourceError> {
        let wrong = |source| SourceError::Directory { url: directory_url.to_owned(), source };
        let path = self.dir.join(layout::path_of(part).map_err(wrong)?);
        if let Ok(bytes) = read_bounded(&path)
            && part.check(&bytes).is_ok()
        {
            return Ok(bytes);
        }
        let url = part_url(directory_url, &part.location).ok_or_else(|| SourceError::Location {
            url: directory_url.to_owned(),
            location: part.location.clone(),
        })?;
        let answer = self.get(&url, limits::CONFIGURATION_PART_BYTES_MAX).await?;
        if answer.status != 200 {
            return Err(SourceError::Status { url, status: answer.status });
        }
        Ok(answer.body)
    }

    /// Asks, and follows redirects that keep the scheme.
    async fn get(&self, url: &str, bytes_max: usize) -> Result<Answer, SourceError> {
        let timeouts = &self.conf.timeouts;
        let bounds = Bounds { connect: timeouts.fetch_connect, whole: timeouts.fetch, bytes_max };
        let mut at = url.to_owned();
        let mut answer = fetch::get(&at, None, bounds).await?;
        for _ in 0..REDIRECTS_MAX {
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                break;
            }
            let next = answer.header("location").and_then(|location| part_url(&at, location));
            let keeps_scheme = |next: &String| next.split(':').next() == at.split(':').next();
            let Some(next) = next.filter(keeps_scheme) else { break };
            answer = fetch::get(&next, None, bounds).await?;
            at = next;
        }
        Ok(answer)
    }
}

//------------ files -----------------------------------------------------------

pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let allowed = limits::CONFIGURATION_PART_BYTES_MAX as u64 + 1;
    File::open(path)?.take(allowed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Every file of a configuration directory: those in it and in its folders.
fn read_all(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, (PathBuf, io::Error)> {
    let mut files = BTreeMap::new();
    for Found { name, path, is_dir } in entries(dir)? {
        if !is_dir {
            files.insert(name, read_bounded(&path).map_err(|e| (path, e))?);
            continue;
        }
        for inner in entries(&path)?.into_iter().filter(|inner| !inner.is_dir) {
            let bytes = read_bounded(&inner.path).map_err(|e| (inner.path, e))?;
            files.insert(format!("{name}/{}", inner.name), bytes);
        }
    }
    Ok(files)
}

/// An entry of a folder.
struct Found {
    name: String,
    path: PathBuf,
    is_dir: bool,
}

/// All entries of a folder; names that are no text and our own unfinished files are left out.
fn entries(dir: &Path) -> Result<Vec<Found>, (PathBuf, io::Error)> {
    let failed = |error| (dir.to_owned(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        match entry.file_name().into_string() {
            Ok(name) if !name.ends_with(UNFINISHED) => {
                found.push(Found { name, path: entry.path(), is_dir });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(found)
}

/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// Writes a file whole: beside its place, then into it.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}{UNFINISHED}", std::process::id()));
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Stores what was fetched; removes files and folders that no longer belong.
fn store(
    dir: &Path,
    instance: &str,
    fetched: &[Fetched],
    kept: &HashSet<String>,
) -> Result<(), (PathBuf, io::Error)> {
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        if read_bounded(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder).and_then(|()| write_whole(&path, bytes)).map_err(|e| (path.clone(), e))
    };
    let mut belongs: HashSet<PathBuf> = HashSet::new();
    for Fetched { directory, parts, .. } in fetched {
        for (part, bytes) in parts {
            let files = layout::files_of(part, bytes, directory.expires, directory.version)
                .map_err(|error| (dir.to_owned(), io::Error::other(error)))?;
            for (name, bytes) in files {
                write(&name, &bytes)?;
                belongs.insert(dir.join(name));
            }
        }
    }
    write(INSTANCE_IDENTIFIER, instance.as_bytes())?;
    let refreshed: HashSet<&Path> = belongs.iter().filter_map(|path| path.parent()).collect();
    for Found { name, path, is_dir } in entries(dir)? {
        let gone = if !is_dir {
            Ok(())
        } else if !kept.contains(&name) {
            fs::remove_dir_all(&path)
        } else if refreshed.contains(path.as_path()) {
            entries(&path)?
                .into_iter()
                .filter(|inner| !inner.is_dir && !belongs.contains(&inner.path))
                .try_for_each(|inner| fs::remove_file(inner.path))
        } else {
            Ok(())
        };
        gone.map_err(|error| (path, error))?;
    }
    Ok(())
}
