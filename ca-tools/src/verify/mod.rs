//! Verifies containers and archives, offline: who said what, when, under which certificate, and what is not proven.
//!
//! Nothing here asks a network. Whom to believe comes from files, and is said first.
//!
//! With `--json` one object is printed; times are RFC 3339, sizes bytes, digests base64:
//!
//! ```text
//! holds            whether all files hold
//! configuration    instance, found, signed, anchor, anchor_sha224, expires
//! files[]          in the order given, a download's containers one by one
//!   name, kind     kind is "container", "archive", or null for a file that could not be read
//!   holds          and if not: code, error
//!   message        kind, line, client, service, id, request_id
//!   signature      signer, algorithm, batch, certificate, authority, good_at, claimed_time
//!   timestamp      time, batch, certificate
//!   parts[]        name, digest_algorithm, digest, bytes (null: not in the file)
//!   not_proven[]   sentences
//!   of an archive: last_digest, digest_algorithm, follows, follows_given, containers[] as above
//! ```

mod conf;
mod print;

use crate::exit::{Exit, Failure, Streams};
use conf::Believed;
use print::Before;
use saatkond_proto::container::archive::{self, ArchiveError, LINKING_INFO, Link};
use saatkond_proto::container::zip::Archive;
use saatkond_proto::container::{Container, ContainerError, Proof, verify};
use saatkond_proto::limits;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `ca verify`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = HELP)]
#[command(group = clap::ArgGroup::new("trust").args(["anchor", "globalconf"]).required(true).multiple(true))]
pub struct VerifyArgs {
    /// Containers (.asice), message-log archives (.zip), or downloads of several containers (.zip)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The configuration anchor: whose signature to believe
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<PathBuf>,
    /// The global configuration: a folder or a verificationconf.zip
    #[arg(long, value_name = "FOLDER|ZIP")]
    pub globalconf: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
Nobody is asked; everything needed is in files. A container carries the message, its signature, what
the authority said of the certificate, and a time-stamp. What it cannot carry is whom to trust: that
is the global configuration of the instance at that time, in one of these forms.

  --anchor anchor.xml
      The anchor came to you by a way you trust, and beside it, in its folder or below, lies the
      configuration as published: the signed directory, such as `internalconf`, and the files that
      it lists, such as `shared-params.xml`. Where exactly does not matter: only what the anchor's
      certificates signed is believed. With --globalconf FOLDER it is looked for there instead.

  --globalconf FOLDER
      A copy of a security server's /etc/xroad/globalconf, or of a gateway's globalconf. It carries
      no signature any more: it is as good as whoever gave you the copy.

  --globalconf verificationconf.zip
      What a security server gives at http://SERVER/verificationconf; the same applies.

A configuration that has expired is read all the same: it tells whom the instance approved then. Of
several that the anchor's certificates signed, the newest is taken.

Archives are verified container by container, and their chain besides; given in order, each is held
against the one before it.

Exit codes: 0 all hold, 1 at least one does not, 74 a file cannot be read, 78 no configuration that
can be believed.";

/// Verifies all files and says what came of it.
///
/// # Errors
/// [`Failure`] when there is no configuration to hold them against. A file that cannot be read is said, and the others
/// are verified all the same.
pub fn run(args: &VerifyArgs, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let believed = conf::believe(args)?;
    let mut session = Session {
        believed: &believed,
        streams,
        json: args.json,
        said: Vec::new(),
        archives: HashMap::new(),
        all_hold: true,
        all_read: true,
        last_talk: Instant::now(),
    };
    if !args.json {
        session.streams.data(print::configuration(&believed));
    }
    for path in &args.files {
        if let Err(failure) = session.file(path) {
            session.unread(path, &failure);
        }
    }
    let exit = match (session.all_read, session.all_hold) {
        (false, _) => Exit::Disk,
        (true, false) => Exit::NotWell,
        (true, true) => Exit::Done,
    };
    if args.json {
        let document = json!({
            "holds": session.all_hold,
            "configuration": print::configuration_json(&believed),
            "files": session.said,
        });
        session.streams.data(format!("{document:#}"));
    }
    Ok(exit)
}

/// How long it may be quiet while it works.
const TALK_EVERY: Duration = Duration::from_secs(10);

struct Session<'a, 'b> {
    believed: &'a Believed,
    streams: &'a mut Streams<'b>,
    json: bool,
    said: Vec<Value>,
    /// Last digests of the archives verified, by file name.
    archives: HashMap<String, Link>,
    all_hold: bool,
    all_read: bool,
    last_talk: Instant,
}

impl Session<'_, '_> {
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = path.display().to_string();
        let unreadable =
            |e: &dyn std::fmt::Display| Failure::new(Exit::Disk, format!("cannot read {name}: {e}"));
        let file = File::open(path).map_err(|e| unreadable(&e))?;
        if file.metadata().map_err(|e| unreadable(&e))?.is_dir() {
            return Err(unreadable(&"it is a folder").hint("name the files in it"));
        }
        match Archive::open(BufReader::new(&file)) {
            Ok(archive) if archive.entry(LINKING_INFO).is_some() => self.archive(path, archive),
            Ok(archive) if is_download(&archive) => self.download(&name, archive),
            _ => {
                let result = prove(BufReader::new(&file), self.believed);
                let value = self.container(&name, &result);
                self.said.extend(value);
            }
        }
        Ok(())
    }

    /// Says that a file could not be read.
    fn unread(&mut self, path: &Path, failure: &Failure) {
        (self.all_read, self.all_hold) = (false, false);
        self.streams.talk(failure);
        if self.json {
            self.said.push(json!({
                "name": path.display().to_string(),
                "kind": Value::Null,
                "holds": false,
                "code": "unreadable",
                "error": failure.message,
            }));
        }
    }

    /// Says what came of a container; in JSON the caller says where it goes.
    fn container(&mut self, name: &str, result: &Result<Proof, ContainerError>) -> Option<Value> {
        self.all_hold &= result.is_ok();
        let expires = self.believed.expires;
        if self.json {
            return Some(print::container_json(name, result, expires));
        }
        self.streams.data(print::container(name, result, expires));
        None
    }

    /// What a security server hands out for one message id: containers, and no chain.
    fn download<R: Read + Seek>(&mut self, name: &str, mut archive: Archive<R>) {
        let entries: Vec<_> = archive.entries().iter().map(|e| e.name().to_owned()).collect();
        let mut containers = Vec::new();
        for entry in entries {
            let result = archive
                .read(&entry, limits::ARCHIVED_CONTAINER_BYTES_MAX)
                .map_err(ContainerError::from)
                .and_then(|bytes| prove(Cursor::new(bytes), self.believed));
            containers.extend(self.container(&format!("{name}/{entry}"), &result));
        }
        self.said.extend(containers);
    }

    fn archive<R: Read + Seek>(&mut self, path: &Path, mut archive: Archive<R>) {
        let name = path.display().to_string();
        let (total, mut containers) = (archive.entries().len().saturating_sub(1), Vec::new());
        let mut done = 0usize;
        let link = archive::verify(&mut archive, |entry, bytes| {
            let result = prove(Cursor::new(bytes), self.believed);
            containers.extend(self.container(&format!("{name}/{entry}"), &result));
            done += 1;
            if self.last_talk.elapsed() >= TALK_EVERY {
                self.last_talk = Instant::now();
                self.streams.talk(format_args!("{name}: {done} of {total} containers verified"));
            }
        });
        let result = link.and_then(|link| Ok((link.clone(), self.before(&link)?)));
        self.all_hold &= result.is_ok();
        if let (Ok((link, _)), Some(file)) = (&result, path.file_name().and_then(|n| n.to_str())) {
            self.archives.insert(file.to_owned(), link.clone());
        }
        if self.json {
            self.said.push(print::archive_json(&name, &result, containers));
        } else {
            self.streams.data(print::archive(&name, &result));
        }
    }

    /// Finds the archive that this one says to follow among those given before it; it may have been renamed since.
    fn before(&self, link: &Link) -> Result<Before, ArchiveError> {
        let Some((digest, name)) = &link.previous else { return Ok(Before::Nothing) };
        if let Some((given, _)) = self.archives.iter().find(|(_, before)| before.last == *digest) {
            return Ok(Before::Given(given.clone()));
        }
        match self.archives.get(name.trim_end_matches(".gpg")) {
            Some(before) => link.follows(before).map(|()| Before::Given(name.clone())),
            None => Ok(Before::Absent(name.clone())),
        }
    }
}

fn prove<R: Read + Seek>(source: R, believed: &Believed) -> Result<Proof, ContainerError> {
    let mut container = Container::open(source)?;
    verify(&mut container, &believed.conf)
}

/// Whether a zip file holds containers and nothing else.
fn is_download<R: Read + Seek>(archive: &Archive<R>) -> bool {
    !archive.entries().is_empty() && archive.entries().iter().all(|e| e.name().ends_with(".asice"))
}

#[cfg(test)]
mod tests;
