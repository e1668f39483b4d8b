//! The configuration as files, in X-Road's own layout, so that either side's directory serves the other.
//!
//! Spec: trust-and-configuration §1.7. This module names files and makes their bytes; whoever calls it reads and
//! writes them. Paths are relative to the configuration directory and use `/`.

use super::directory::{Content, DirectoryError, Part};
use super::lookup::{Instance, LookupError};
use super::options::Options;
use super::private::PrivateParams;
use super::shared::SharedParams;
use super::{VERSION_MAX, VERSION_MIN};
use crate::id::form_encoded;
use crate::time::UnixTime;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The file that names the own instance.
pub const INSTANCE_IDENTIFIER: &str = "instance-identifier";
/// The list of files that a central server keeps beside its own copy.
pub const FILES: &str = "files";

/// What stands beside each stored part, in `<part>.metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What the part is.
    pub content: Content,
    /// Whose it is.
    pub instance: String,
    /// Until when it holds; `None` when the file does not say.
    pub expires: Option<UnixTime>,
    /// Where it came from.
    pub location: Option<String>,
    /// The name the directory gave it.
    pub file_name: Option<String>,
    /// The version of its directory.
    pub version: u8,
}

/// The file of an instance's shared parameters.
pub const SHARED: &str = "shared-params.xml";
/// The file of an instance's private parameters.
pub const PRIVATE: &str = "private-params.xml";
/// What a part's file name ends in for its metadata.
pub const METADATA: &str = ".metadata";

/// The name of an instance's folder.
#[must_use]
pub fn folder(instance: &str) -> String {
    form_encoded(instance)
}

/// Where a part is stored: `<folder>/<file>`.
///
/// # Errors
/// [`DirectoryError::HeaderValue`] for a name that would leave the folder or take another part's place.
pub fn path_of(part: &Part) -> Result<String, DirectoryError> {
    let wrong = |header, expected, found: &str| DirectoryError::HeaderValue {
        header,
        expected,
        found: found.chars().take(120).collect(),
    };
    let folder = folder(&part.instance);
    if matches!(folder.as_str(), "" | "." | ".." | INSTANCE_IDENTIFIER | FILES) {
        return Err(wrong("Content-identifier", "the name of an instance", &part.instance));
    }
    let name = match &part.content {
        Content::Shared => SHARED,
        Content::Private => PRIVATE,
        Content::Other(_) => {
            let given = part.file_name.as_deref().filter(|n| !n.trim().is_empty());
            let (header, text) = match given {
                Some(name) => ("Content-file-name", name),
                None => {
                    ("Content-location", part.location.split(['?', '#']).next().unwrap_or(&part.location))
                }
            };
            let name = text.rsplit('/').next().unwrap_or(text);
            let is_plain = !name.is_empty()
                && !name.starts_with('.')
                && !name.ends_with(METADATA)
                && !matches!(name, SHARED | PRIVATE)
                && !name.contains(|c: char| c == '\\' || c.is_control());
            if !is_plain {
                return Err(wrong(header, "a path that ends in a file name of its own", text));
            }
            name
        }
    };
    Ok(format!("{folder}/{name}"))
}

/// The files that store a part: its bytes as they came and its metadata, in the order to write them.
///
/// # Errors
/// As [`path_of`].
pub fn files_of(
    part: &Part,
    bytes: &[u8],
    expires: UnixTime,
    version: u8,
) -> Result<Vec<(String, Vec<u8>)>, DirectoryError> {
    let path = path_of(part)?;
    let metadata = Metadata {
        content: part.content.clone(),
        instance: part.instance.clone(),
        expires: Some(expires),
        location: Some(part.location.clone()),
        file_name: part.file_name.clone(),
        version,
    };
    let beside = format!("{path}{METADATA}");
    Ok(vec![(path, bytes.to_vec()), (beside, metadata.to_json())])
}

impl Metadata {
    /// Reads a metadata file; `None` for what is none.
    #[must_use]
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let Ok(Value::Object(members)) = serde_json::from_slice(bytes) else { return None };
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let version = match members.get("configurationVersion") {
            None | Some(Value::Null) => VERSION_MIN,
            Some(Value::String(text)) => text.trim().parse().ok()?,
            Some(other) => u8::try_from(other.as_u64()?).ok()?,
        };
        let expires = match text("expirationDate") {
            Some(date) => Some(UnixTime::from_rfc3339(date)?),
            None => None,
        };
        (VERSION_MIN..=VERSION_MAX).contains(&version).then(|| Self {
            content: Content::from_text(text("contentIdentifier").unwrap_or_default()),
            instance: text("instanceIdentifier").unwrap_or_default().to_owned(),
            expires,
            location: text("contentLocation").map(str::to_owned),
            file_name: text("contentFileName").map(str::to_owned),
            version,
        })
    }

    /// Writes a metadata file, one line. The version is text there; absent members are left out.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), Value::from(value));
            }
        };
        put("contentIdentifier", Some(self.content.text()));
        put("instanceIdentifier", Some(&self.instance));
        put("expirationDate", self.expires.map(UnixTime::to_rfc3339).as_deref());
        put("contentLocation", self.location.as_deref());
        put("contentFileName", self.file_name.as_deref());
        put("configurationVersion", Some(&self.version.to_string()));
        Value::Object(members).to_string().into_bytes()
    }
}

/// A configuration directory as it was read.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The own instance.
    pub own_instance: String,
    /// All instances that could be read.
    pub instances: Vec<Instance>,
    /// What could not be read and was left out, for the log: the file and why.
    pub left_out: Vec<(String, String)>,
}

/// Reads a whole configuration directory: every file's path and bytes.
///
/// A part's time and version come from its metadata. Ours: a part without a date there has expired; X-Road 7.8 takes
/// it for good for ever. Private and optional parts of other instances are not read.
///
/// # Errors
/// [`LookupError`] when the own instance cannot be told or read.
pub fn load(files: &BTreeMap<String, Vec<u8>>) -> Result<Stored, LookupError> {
    let own_instance = files
        .get(INSTANCE_IDENTIFIER)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .ok_or(LookupError::MissingIdentifier)?;
    let own_folder = folder(&own_instance);
    let mut stored = Stored { own_instance, instances: Vec::new(), left_out: Vec::new() };
    let folders: BTreeSet<&str> =
        files.keys().filter_map(|path| path.strip_suffix(SHARED)?.strip_suffix('/')).collect();
    for name in folders {
        match instance(files, name) {
            Ok(mut instance) if name == own_folder => {
                own_parts(files, name, &mut instance, &mut stored.left_out)
                    .map_err(|why| unreadable(&stored.own_instance, why))?;
                stored.instances.push(instance);
            }
            Ok(instance) => stored.instances.push(instance),
            Err(why) if name == own_folder => return Err(unreadable(&stored.own_instance, why)),
            Err(why) => stored.left_out.push((format!("{name}/{SHARED}"), why)),
        }
    }
    if stored.instances.iter().any(|i| i.shared.instance == stored.own_instance) {
        Ok(stored)
    } else {
        Err(LookupError::MissingInstance { instance: stored.own_instance })
    }
}

fn unreadable(instance: &str, why: String) -> LookupError {
    LookupError::Unreadable { instance: instance.to_owned(), why }
}

/// A stored part.
struct StoredPart<'a> {
    bytes: &'a [u8],
    expires: UnixTime,
    version: u8,
}

fn part<'a>(files: &'a BTreeMap<String, Vec<u8>>, path: &str) -> Result<Option<StoredPart<'a>>, String> {
    let Some(bytes) = files.get(path) else { return Ok(None) };
    let never = UnixTime::from_secs(0);
    let Some(beside) = files.get(&format!("{path}{METADATA}")) else {
        return Ok(Some(StoredPart { bytes, expires: never, version: VERSION_MIN }));
    };
    let metadata = Metadata::from_json(beside).ok_or_else(|| format!("{path}{METADATA} is not metadata"))?;
    Ok(Some(StoredPart { bytes, expires: metadata.expires.unwrap_or(never), version: metadata.version }))
}

fn instance(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<Instance, String> {
    let part = part(files, &format!("{name}/{SHARED}"))?.ok_or("it is not there")?;
    let shared = SharedParams::from_xml(part.bytes, part.version).map_err(|e| e.to_string())?;
    if folder(&shared.instance) != name {
        return Err(format!("it is of instance {}, and lies in folder {name}", shared.instance));
    }
    Ok(Instance { shared, private: None, expires: part.expires, options: Options::default() })
}

fn own_parts(
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
    own: &mut Instance,
    left_out: &mut Vec<(String, String)>,
) -> Result<(), String> {
    if let Some(part) = part(files, &format!("{name}/{PRIVATE}"))? {
        let private = PrivateParams::from_xml(part.bytes, part.version)
            .map_err(|e| format!("private parameters: {e}"))?;
        own.private = Some(private);
        own.expires = own.expires.min(part.expires);
    }
    for (identifier, file) in Options::FILES {
        let path = format!("{name}/{file}");
        let Some(bytes) = files.get(&path) else { continue };
        if let Err(error) =
            own.options.apply(&own.shared.instance, &Content::Other(identifier.to_owned()), bytes)
        {
            left_out.push((path, error.to_string()));
        }
    }
    Ok(())
}
