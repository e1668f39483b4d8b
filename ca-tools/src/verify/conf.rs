//! Finds the configuration to believe: signed, beside the anchor, or as somebody's copy.

use super::VerifyArgs;
use crate::exit::{Exit, Failure};
use saatkond_proto::container::zip::{Archive, ZipError};
use saatkond_proto::globalconf::{
    Anchor, Content, Directory, GlobalConf, Instance, Options, SignedDirectory, anchor, layout,
};
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The configuration that containers are held against, and why it is believed.
#[derive(Debug)]
pub(super) struct Believed {
    /// The configuration.
    pub(super) conf: GlobalConf,
    /// Where it was found.
    pub(super) found: PathBuf,
    /// The anchor whose signature it carries: its file and its fingerprint. `None` for a mere copy.
    pub(super) anchor: Option<(PathBuf, String)>,
    /// Until when it held; `None` where the copy does not say.
    pub(super) expires: Option<UnixTime>,
}

/// Files looked at below one folder: enough for years of configurations, not for a whole disk.
const FILES_MAX: usize = 100_000;
/// Folders below the one given that are looked into.
const DEPTH_MAX: usize = 4;
/// A directory is judged as of then, so that none has expired: it tells whom the instance approved, not what holds now.
const NEVER_EXPIRED: UnixTime = UnixTime::from_secs(0);

/// Finds the configuration that the arguments name.
pub(super) fn believe(args: &VerifyArgs) -> Result<Believed, Failure> {
    match (&args.anchor, &args.globalconf) {
        (Some(anchor), given) => {
            let beside = anchor.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            signed(anchor, given.as_deref().unwrap_or(beside))
        }
        (None, Some(given)) => copied(given),
        (None, None) => Err(Failure::new(Exit::Usage, "no configuration to hold the files against")
            .hint("give --anchor or --globalconf; `--help` says what can stand there")),
    }
}

/// A copy in X-Road's layout, believed because somebody vouches for it.
fn copied(path: &Path) -> Result<Believed, Failure> {
    let doing = |what: &str| format!("cannot read the configuration {}: {what}", path.display());
    let unreadable = |what: String| Failure::new(Exit::Configuration, doing(&what));
    let mut place = Place::open(path).map_err(|e| unreadable(e.to_string()))?;
    let names = place.names().map_err(|e| unreadable(e.to_string()))?;
    let identifiers = names.iter().filter(|n| file_name(n) == layout::INSTANCE_IDENTIFIER);
    let root = match identifiers.min_by_key(|n| n.len()) {
        Some(name) => name.trim_end_matches(layout::INSTANCE_IDENTIFIER).to_owned(),
        None => {
            return Err(unreadable(format!("it has no {}", layout::INSTANCE_IDENTIFIER)).hint(
                "expected a copy of a security server's globalconf folder, or its verificationconf.zip; \
                 configuration as published goes with --anchor",
            ));
        }
    };
    let mut files = BTreeMap::new();
    for name in &names {
        let Some(inside) = name.strip_prefix(&root).filter(|n| n.matches('/').count() <= 1) else { continue };
        let bytes = place.read(name).map_err(|e| unreadable(format!("{name}: {e}")))?;
        files.insert(inside.to_owned(), bytes);
    }
    let stored = layout::load(&files).map_err(|e| unreadable(e.to_string()))?;
    let conf =
        GlobalConf::new(&stored.own_instance, stored.instances).map_err(|e| unreadable(e.to_string()))?;
    let expires = Some(conf.expires()).filter(|e| e.millis() > 0);
    Ok(Believed { conf, found: path.to_owned(), anchor: None, expires })
}

/// Configuration as published, believed because the anchor's certificates signed it. So it does not matter where a
/// file lies: it is known by its signature, or by its digest in what is signed.
fn signed(anchor_path: &Path, folder: &Path) -> Result<Believed, Failure> {
    let failure = |what: String| Failure::new(Exit::Configuration, what);
    let of_anchor =
        |what: String| failure(format!("cannot use the anchor {}: {what}", anchor_path.display()));
    let file = fs::read(anchor_path).map_err(|e| of_anchor(e.to_string()))?;
    let own = Anchor::from_xml(&file).map_err(|e| of_anchor(e.to_string()))?;
    let looking = |what: &dyn std::fmt::Display| {
        failure(format!("cannot look for the configuration in {}: {what}", folder.display()))
    };
    let mut place = Place::open(folder).map_err(|e| looking(&e))?;
    let names = place.names().map_err(|e| looking(&e))?;
    let hint = format!(
        "put the configuration as published into {}: the signed directory, {}, and the files it lists",
        folder.display(),
        directory_names(&own).join(" or ")
    );
    let directory = find_directory(&mut place, &names, &own).map_err(|e| failure(e).hint(&hint))?;
    let (instance, anchors) =
        read_instance(&mut place, &names, &own, &directory).map_err(|e| failure(e).hint(&hint))?;
    let expires = instance.expires;
    let mut instances = vec![instance];
    for other in anchors.iter().filter(|a| a.instance != own.instance) {
        // another instance's configuration need not be there; it is needed for its own members' containers only
        if let Ok(directory) = find_directory(&mut place, &names, other)
            && let Ok((instance, _)) = read_instance(&mut place, &names, other, &directory)
            && instances.iter().all(|i| i.shared.instance != instance.shared.instance)
        {
            instances.push(instance);
        }
    }
    let conf = GlobalConf::new(&own.instance, instances).map_err(|e| looking(&e))?;
    let anchor = Some((anchor_path.to_owned(), anchor::fingerprint(&file)));
    Ok(Believed { conf, found: folder.to_owned(), anchor, expires: Some(expires) })
}

/// The newest directory that the anchor's certificates signed.
fn find_directory(place: &mut Place, names: &[String], anchor: &Anchor) -> Result<Directory, String> {
    let wanted = directory_names(anchor);
    let certificates: Vec<Vec<u8>> =
        anchor.sources.iter().flat_map(|s| s.certificates.iter().cloned()).collect();
    let (mut best, mut refused): (Option<Directory>, Option<String>) = (None, None);
    for name in names.iter().filter(|n| wanted.iter().any(|w| file_name(n) == w)) {
        let directory = place.read(name).map_err(|e| e.to_string()).and_then(|bytes| {
            let signed = SignedDirectory::parse(&bytes).map_err(|e| e.to_string())?;
            signed.verify(&certificates, NEVER_EXPIRED).map_err(|e| e.to_string())
        });
        match directory {
            Ok(found) => {
                let order = |d: &Directory| (d.expires, d.version);
                if best.as_ref().is_none_or(|b| order(b) < order(&found)) {
                    best = Some(found);
                }
            }
            Err(why) => refused = Some(format!("{name}: {why}")),
        }
    }
    best.ok_or_else(|| {
        let why = refused.unwrap_or_else(|| "there is none".to_owned());
        format!("no directory of instance {} that the anchor's certificates signed: {why}", anchor.instance)
    })
}

/// Reads an instance's parts, each known by its digest; also the anchors that its private parameters hold.
fn read_instance(
    place: &mut Place,
    names: &[String],
    anchor: &Anchor,
    directory: &Directory,
) -> Result<(Instance, Vec<Anchor>), String> {
    let has_private = directory.parts.iter().any(|p| p.content == Content::Private);
    let parts = if has_private {
        directory.internal(&anchor.instance)
    } else {
        directory.external(&anchor.instance).map(|part| vec![part])
    };
    let parts = parts.map_err(|e| e.to_string())?;
    let (mut shared, mut private, mut options) = (None, None, Options::default());
    for part in parts {
        let path = part.location.split(['?', '#']).next().unwrap_or_default();
        let mut bytes = None;
        for name in names.iter().filter(|n| file_name(n) == file_name(path)) {
            let found = place.read(name).map_err(|e| format!("{name}: {e}"))?;
            if part.check(&found).is_ok() {
                bytes = Some(found);
                break;
            }
        }
        let missing = || format!("the directory lists {}, and no file there has that digest", part.location);
        match (&part.content, bytes) {
            (Content::Shared, Some(bytes)) => {
                shared = Some(part.shared(&bytes, directory.version).map_err(|e| e.to_string())?);
            }
            (Content::Private, Some(bytes)) => {
                private = Some(part.private(&bytes, directory.version).map_err(|e| e.to_string())?);
            }
            // who verifies needs neither addresses nor intervals
            (Content::Private, None) => {}
            (Content::Shared, None) => return Err(missing()),
            (content @ Content::Other(_), Some(bytes)) => {
                // one that cannot be read leaves its default, which is the stricter rule
                let _ = options.apply(&anchor.instance, content, &bytes);
            }
            (Content::Other(_), None) => {}
        }
    }
    let shared = shared.ok_or_else(|| format!("the directory lists no part of {}", anchor.instance))?;
    let anchors = private.as_ref().map(|p| p.anchors.clone()).unwrap_or_default();
    Ok((Instance { shared, private, expires: directory.expires, options }, anchors))
}

/// How the directory is called where it is published: the last word of each URL's path.
fn directory_names(anchor: &Anchor) -> Vec<String> {
    let mut names: Vec<String> = anchor
        .sources
        .iter()
        .filter_map(|s| s.url.split(['?', '#']).next())
        .map(|path| file_name(path).to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A folder or a zip file; paths inside use `/`.
enum Place {
    Folder(PathBuf),
    Zip(Box<Archive<BufReader<File>>>),
}

impl Place {
    fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let archive = Archive::open(BufReader::new(File::open(path)?)).map_err(io::Error::other)?;
        Ok(Self::Zip(Box::new(archive)))
    }

    /// The paths of all files inside.
    fn names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => {
                let mut names = Vec::new();
                walk(folder, "", DEPTH_MAX, &mut names)?;
                names.sort();
                Ok(names)
            }
            Self::Zip(archive) => {
                Ok(archive.entries().iter().filter(|e| !e.is_folder()).map(|e| e.name().to_owned()).collect())
            }
        }
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let bytes_max = limits::CONFIGURATION_PART_BYTES_MAX;
        match self {
            Self::Folder(folder) => {
                let mut bytes = Vec::new();
                let allowed = u64::try_from(bytes_max).unwrap_or(u64::MAX);
                File::open(folder.join(name))?.take(allowed.saturating_add(1)).read_to_end(&mut bytes)?;
                if bytes.len() > bytes_max {
                    return Err(io::Error::other(format!("more than {bytes_max} bytes")));
                }
                Ok(bytes)
            }
            Self::Zip(archive) => archive.read(name, bytes_max).map_err(|e: ZipError| io::Error::other(e)),
        }
    }
}

fn walk(folder: &Path, inside: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // a folder inside that we may not look into may hold anything, and is not what was meant
        Err(_) if !inside.is_empty() => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // a name that is no Unicode is none of ours
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{inside}{name}");
        if names.len() >= FILES_MAX {
            return Err(io::Error::other(format!(
                "more than {FILES_MAX} files below it; name the folder itself"
            )));
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if depth > 0 {
                walk(&entry.path(), &format!("{path}/"), depth - 1, names)?;
            }
        } else {
            names.push(path);
        }
    }
    Ok(())
}
