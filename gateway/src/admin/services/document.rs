//! `server.toml` as it is written: changed in place, checked whole, put in the old one's place at once.

use crate::admin::cli::refused;
use crate::conf::{Conf, ConfError, ServerConf};
use saatkond_ca::exit::{Exit, Failure};
use saatkond_proto::id::{ClientId, ServiceId};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// The file, as it was read and as it is to be.
#[derive(Debug)]
pub(super) struct Document {
    file: PathBuf,
    instance: String,
    /// As it was read.
    written: String,
    root: DocumentMut,
    /// What it said when it was read.
    pub(super) conf: ServerConf,
}

impl Document {
    /// Reads and checks the `server.toml` of a gateway.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn open(conf: &Conf) -> Result<Self, Failure> {
        let (file, instance) = (conf.server_file.clone(), conf.instance().to_owned());
        let unreadable = |source| refused(&ConfError::Unreadable { file: file.clone(), source });
        let written = fs::read_to_string(&file).map_err(unreadable)?;
        let conf = ServerConf::from_toml(&written, &file, &instance).map_err(|error| refused(&error))?;
        let root = written.parse::<DocumentMut>().map_err(|error| {
            refused(&ConfError::Malformed { file: file.clone(), text: error.to_string() })
        })?;
        Ok(Self { file, instance, written, root, conf })
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A place as it is written there: a URL, or the path of a file seen from where the file is.
    pub(super) fn place(&self, place: &str) -> String {
        if place.contains("://") {
            return place.to_owned();
        }
        let seen = std::path::absolute(place).unwrap_or_else(|_| PathBuf::from(place));
        let file = std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
        let folder = file.parent().unwrap_or(Path::new(""));
        seen.strip_prefix(folder).unwrap_or(&seen).display().to_string()
    }

    /// The services that some words name: by client, by service, by description. All of them when there is no word.
    ///
    /// # Errors
    /// [`Failure`] names the word that means nothing.
    pub(super) fn select(&self, which: &[String]) -> Result<Vec<ServiceId>, Failure> {
        let all: Vec<ServiceId> = self.services().collect();
        let means = |word: &String, id: &ServiceId| {
            let description = || self.service(id)?.get("description")?.as_str();
            let shown = || Some(self.conf.service(id)?.description.as_ref()?.to_string());
            *word == id.to_path()
                || *word == id.client.to_path()
                || description().is_some_and(|written| written == word || written == self.place(word))
                || shown().as_ref() == Some(word)
        };
        for word in which {
            let is_client = || self.conf.clients().any(|client| client.id.to_path() == *word);
            if !is_client() && !all.iter().any(|id| means(word, id)) {
                let text = format!("{} has no client, service or description {word:?}", self.file.display());
                return Err(
                    Failure::new(Exit::Usage, text).hint("`saatkond services list` shows what it has")
                );
            }
        }
        let chosen = |id: &ServiceId| which.is_empty() || which.iter().any(|word| means(word, id));
        Ok(all.into_iter().filter(chosen).collect())
    }

    /// All services, client by client.
    pub(super) fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.conf.clients().flat_map(|client| {
            let id = |s: &crate::conf::Service| ServiceId {
                version: s.version.clone(),
                ..client.id.service(s.code.clone())
            };
            client.services.iter().map(id)
        })
    }

    fn place_of_client(&self, id: &ClientId) -> Option<usize> {
        let is_it = |table: &&dyn TableLike| text(*table, "id").is_some_and(|t| t.parse().as_ref() == Ok(id));
        tables(self.root.as_table(), "client").iter().position(is_it)
    }

    /// A service as it is written.
    pub(super) fn service(&self, id: &ServiceId) -> Option<&dyn TableLike> {
        let client = self.place_of_client(&id.client)?;
        let client = tables(self.root.as_table(), "client").into_iter().nth(client)?;
        tables(client, "service").into_iter().find(|table| is_service(*table, id))
    }

    /// A service as it is to be written.
    pub(super) fn service_mut(&mut self, id: &ServiceId) -> Option<&mut dyn TableLike> {
        let client = self.client_mut(&id.client)?;
        let place = tables(client, "service").iter().position(|table| is_service(*table, id))?;
        table_mut(client, "service", place)
    }

    fn client_mut(&mut self, id: &ClientId) -> Option<&mut dyn TableLike> {
        let place = self.place_of_client(id)?;
        table_mut(self.root.as_table_mut(), "client", place)
    }

    /// Adds a service behind the client's others.
    pub(super) fn add_service(&mut self, client: &ClientId, service: Table) {
        if let Some(client) = self.client_mut(client) {
            push(client, "service", service);
        }
    }

    /// Takes a service out.
    pub(super) fn remove_service(&mut self, id: &ServiceId) {
        if let Some(client) = self.client_mut(&id.client)
            && let Some(place) = tables(client, "service").iter().position(|table| is_service(*table, id))
        {
            remove(client, "service", place);
        }
    }

    /// Checks the whole file as it is to be; tells its text.
    ///
    /// # Errors
    /// [`Failure`] with what would be refused.
    pub(super) fn check(&self) -> Result<String, Failure> {
        let text = self.root.to_string();
        let checked = ServerConf::from_toml(&text, &self.file, &self.instance);
        checked.map(|_| text).map_err(|error| {
            let message = format!("nothing is changed: it would be refused: {error}");
            let hint = error.hint().unwrap_or("say it with other values");
            Failure::new(Exit::Configuration, message).hint(hint)
        })
    }

    /// Checks the whole file as it is to be, and puts it in the place of the old one: at once, and durably. Tells whether
    /// anything was to be changed.
    ///
    /// # Errors
    /// [`Failure`]: then nothing is changed.
    pub(super) fn save(&self) -> Result<bool, Failure> {
        let text = self.check()?;
        if text == self.written {
            return Ok(false);
        }
        let file = self.file.display();
        match replace(&self.file, &self.written, &text) {
            Ok(true) => Ok(true),
            Ok(false) => {
                Err(Failure::new(Exit::NotWell, format!("{file} was changed by somebody else meanwhile"))
                    .hint("nothing of this was written: say it again"))
            }
            Err(error) => {
                let exit = match error.kind() {
                    io::ErrorKind::PermissionDenied => Exit::NotAllowed,
                    _ => Exit::Disk,
                };
                Err(Failure::new(exit, format!("cannot write {file}: {error}")).hint("nothing is changed"))
            }
        }
    }
}

/// Puts a text in the place of a file's, if that still is what it was: written beside it, made durable, renamed over it.
fn replace(file: &Path, before: &str, after: &str) -> io::Result<bool> {
    // A link stays one.
    let target = fs::canonicalize(file)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!(".{name}.unfinished"));
    // Whoever else changes it by command waits here.
    let guard = File::open(folder)?;
    guard.lock()?;
    if fs::read(&target)? != before.as_bytes() {
        return Ok(false);
    }
    let looks = fs::metadata(&target)?;
    let written = || -> io::Result<()> {
        // What an ended command left behind.
        let _ = fs::remove_file(&unfinished);
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let own = new.metadata()?;
        if (own.uid(), own.gid()) != (looks.uid(), looks.gid()) {
            fchown(&new, Some(looks.uid()), Some(looks.gid()))?;
        }
        new.set_permissions(looks.permissions())?;
        new.write_all(after.as_bytes())?;
        new.sync_all()?;
        fs::rename(&unfinished, &target)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })?;
    guard.sync_all()?;
    Ok(true)
}

// ------------ tables --------------------------------------------------------

/// The tables of a key: `[[key]]`, or a list of tables in braces.
pub(super) fn tables<'a>(parent: &'a dyn TableLike, key: &str) -> Vec<&'a dyn TableLike> {
    match parent.get(key) {
        Some(Item::ArrayOfTables(blocks)) => blocks.iter().map(|t| t as &dyn TableLike).collect(),
        Some(Item::Value(Value::Array(list))) => {
            list.iter().filter_map(Value::as_inline_table).map(|t| t as &dyn TableLike).collect()
        }
        _ => Vec::new(),
    }
}

/// One of the tables of a key, to be changed.
pub(super) fn table_mut<'a>(
    parent: &'a mut dyn TableLike,
    key: &str,
    place: usize,
) -> Option<&'a mut dyn TableLike> {
    match parent.get_mut(key)? {
        Item::ArrayOfTables(blocks) => blocks.get_mut(place).map(|t| t as &mut dyn TableLike),
        Item::Value(Value::Array(list)) => {
            list.get_mut(place)?.as_inline_table_mut().map(|t| t as &mut dyn TableLike)
        }
        _ => None,
    }
}

/// Adds a table behind the others of a key, in the form in which they are written.
pub(super) fn push(parent: &mut dyn TableLike, key: &str, table: Table) {
    match parent.get_mut(key) {
        Some(Item::ArrayOfTables(blocks)) => blocks.push(table),
        Some(Item::Value(Value::Array(list))) => list.push(table.into_inline_table()),
        _ => {
            let mut blocks = toml_edit::ArrayOfTables::new();
            blocks.push(table);
            parent.insert(key, Item::ArrayOfTables(blocks));
        }
    }
}

/// Takes one of the tables of a key out.
pub(super) fn remove(parent: &mut dyn TableLike, key: &str, place: usize) {
    match parent.get_mut(key) {
        Some(Item::ArrayOfTables(blocks)) if place < blocks.len() => {
            blocks.remove(place);
        }
        Some(Item::Value(Value::Array(list))) if place < list.len() => {
            list.remove(place);
        }
        _ => {}
    }
}

/// Sets a value; what stands beside it, a comment perhaps, stays.
pub(super) fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        _ => {
            table.insert(key, Item::Value(value));
        }
    }
}

/// The text of a key.
pub(super) fn text<'a>(table: &'a dyn TableLike, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

fn is_service(table: &dyn TableLike, id: &ServiceId) -> bool {
    text(table, "code") == Some(&id.code) && text(table, "version") == id.version.as_deref()
}
