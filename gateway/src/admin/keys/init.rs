//! `saatkond init`: directories, keys and certificate requests of a new gateway. What is there stays as it is.

use super::arguments::Init;
use super::{Desk, not_changed, subject};
use crate::keys::Usage;
use crate::keys::token::{Entry, Token};
use saatkond_ca::exit::{Exit, Failure};
use saatkond_ca::index::replace_file;
use saatkond_ca::pem;
use saatkond_proto::globalconf::GlobalConf;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

impl Desk<'_, '_, '_> {
    /// Makes what a gateway needs and has not; says what comes next.
    ///
    /// # Errors
    /// [`Failure`]: what was made until then stays, and the command may be given again.
    pub(super) async fn init(self, asked: &Init) -> Result<Exit, Failure> {
        let state = &self.conf.state;
        if !state.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(|error| {
                Failure::new(Exit::Disk, format!("cannot make {}: {error}", state.display()))
                    .hint("run this as the user that runs the gateway")
            })?;
            self.streams.data(format!("made     {}", state.display()));
        }
        let mut token =
            Token::make(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let mut wanted = vec![Usage::Auth, Usage::Sign];
        wanted.extend(self.conf.listen.clients_tls.map(|_| Usage::InternalTls));
        for usage in wanted {
            let is_there = |entry: &&Entry| entry.usage == usage && entry.retired.is_none();
            if let Some(entry) = token.entries().iter().find(is_there) {
                self.streams.data(format!(
                    "is there {}: key {} for use {}",
                    entry.key.display(),
                    entry.name,
                    usage.word()
                ));
                continue;
            }
            let made = token.generate(None, usage, asked.key).map_err(|error| not_changed(&error))?;
            let (file, kind) = (made.key.display(), asked.key);
            self.streams.data(format!("made     {file}: {kind} key {} for use {}", made.name, usage.word()));
        }
        let waiting = waiting(&token)?;
        let needs_conf =
            asked.naming.naming.is_none() && waiting.iter().any(|entry| entry.usage != Usage::InternalTls);
        let believed = if needs_conf { Some(self.believed().await?) } else { None };
        for entry in &waiting {
            let file = token.dir().join(format!("{}.csr.pem", entry.name));
            if file.exists() {
                self.streams.data(format!("is there {}", file.display()));
                continue;
            }
            let subject = self.request(&token, entry, asked, believed.as_ref(), &file)?;
            self.streams.data(format!("made     {}: asks for {subject}", file.display()));
        }
        self.next_of(&token, &waiting);
        Ok(Exit::Done)
    }

    /// Writes the request for a key into a file; tells whom it names.
    fn request(
        &self,
        token: &Token,
        entry: &Entry,
        asked: &Init,
        believed: Option<&GlobalConf>,
        file: &Path,
    ) -> Result<String, Failure> {
        let mut naming = asked.naming.clone();
        if entry.usage == Usage::Sign {
            naming.hosts.clear();
        }
        let wanted = subject::of((&naming, None), entry.usage, &self.conf, believed)?;
        let der = token.request(&entry.name, &wanted.subject, &wanted.names);
        let text = pem::encode(pem::CERTIFICATE_REQUEST, &der.map_err(|error| not_changed(&error))?);
        replace_file(file, text.as_bytes(), 0o644)
            .map_err(|error| Failure::new(Exit::Disk, format!("cannot write {}: {error}", file.display())))?;
        Ok(wanted.subject.to_string())
    }

    fn next_of(self, token: &Token, waiting: &[Entry]) {
        let (config, dir) = (self.conf.file.display(), token.dir().display());
        let mut steps = Vec::new();
        if !self.conf.anchor.exists() {
            let anchor = self.conf.anchor.display();
            steps.push(format!(
                "have the configuration anchor from the authority of {}, as {anchor}",
                self.conf.instance()
            ));
        }
        if !self.conf.server_file.exists() {
            steps.push(format!(
                "write {}: who its clients are, and what it offers",
                self.conf.server_file.display()
            ));
        }
        if !waiting.is_empty() {
            steps
                .push(format!("send the requests {dir}/*.csr.pem to the authority that issues certificates"));
            steps.push(format!(
                "saatkond keys import CERTIFICATE --activate --config {config}, for each answer"
            ));
            steps.push("have the authentication certificate registered with the instance".to_owned());
        }
        steps.push(format!("saatkond check --config {config}, then saatkond run --config {config}"));
        for (number, step) in (1..).zip(steps) {
            self.streams.talk(format!("next {number}: {step}"));
        }
    }
}

/// The keys that wait for their certificate.
fn waiting(token: &Token) -> Result<Vec<Entry>, Failure> {
    let mut waiting = Vec::new();
    for entry in token.entries().iter().filter(|entry| entry.retired.is_none()) {
        let certificates = entry.certificates().map_err(|error| super::keys_refused(&error))?;
        if certificates.is_empty() {
            waiting.push(entry.clone());
        }
    }
    Ok(waiting)
}
