//! `saatkond keys`: keys made, certified, used and taken out of use. Private keys stay in their room: nothing here sees one.
//!
//! | file | what it holds |
//! |---|---|
//! | [`arguments`] | what the commands take |
//! | `subject` | whom a request names |
//! | `list` | what there is |
//! | `init` | what a new gateway needs |

pub mod arguments;
mod init;
mod list;
mod subject;

use super::cli::refused;
use super::run::keys_refused;
use super::words::count;
use crate::clock::Clock;
use crate::conf::{Conf, ServerConf};
use crate::jobs::globalconf::{self, Client};
use crate::keys::Usage;
use crate::keys::import::{self, ImportError, Judge};
use crate::keys::pin::{Pin, PinSource};
use crate::keys::token::{Entry, Token, TokenError};
use crate::net::random;
use arguments::{Activate, Csr, Encrypt, Generate, Import, Init, Keys, Retire};
use list::Row;
use saatkond_ca::ca::read_certificates;
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_ca::index::replace_file;
use saatkond_ca::pem;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Does what was asked.
///
/// # Errors
/// [`Failure`]: then the key directory is as it was.
pub(super) async fn run(
    conf: Conf,
    command: Keys,
    clock: &Clock,
    streams: &mut Streams<'_>,
) -> Result<Exit, Failure> {
    let pins = PinSource::of(conf.keys.pin());
    let at = Desk { conf: Arc::new(conf), pins, clock, streams };
    match command {
        Keys::List(shown) => at.list(shown.json),
        Keys::Generate(generate) => at.generate(&generate),
        Keys::Csr(csr) => at.csr(&csr).await,
        Keys::Import(import) => at.import(&import).await,
        Keys::Activate(activate) => at.activate(&activate),
        Keys::Retire(retire) => at.retire(&retire),
        Keys::Encrypt(encrypt) => at.encrypt(&encrypt),
    }
}

/// Makes what a new gateway needs: `saatkond init`.
///
/// # Errors
/// [`Failure`]: what was made until then stays.
pub(super) async fn init(
    conf: Conf,
    asked: &Init,
    clock: &Clock,
    streams: &mut Streams<'_>,
) -> Result<Exit, Failure> {
    let pins = PinSource::of(conf.keys.pin());
    Desk { conf: Arc::new(conf), pins, clock, streams }.init(asked).await
}

/// Which gateway a command is about.
#[must_use]
pub(super) const fn config(command: &Keys) -> &super::cli::OfGateway {
    match command {
        Keys::List(shown) | Keys::Generate(Generate { shown, .. }) | Keys::Import(Import { shown, .. }) => {
            &shown.of
        }
        Keys::Csr(Csr { of, .. })
        | Keys::Activate(Activate { of, .. })
        | Keys::Retire(Retire { of, .. })
        | Keys::Encrypt(Encrypt { of, .. }) => of,
    }
}

/// A command at work on the key directory.
struct Desk<'a, 's, 'w> {
    conf: Arc<Conf>,
    pins: PinSource,
    clock: &'a Clock,
    streams: &'s mut Streams<'w>,
}

impl Desk<'_, '_, '_> {
    fn list(self, is_json: bool) -> Result<Exit, Failure> {
        let token =
            Token::look(&self.conf.keys_dir(), &PinSource::none()).map_err(|error| not_changed(&error))?;
        let now = self.clock.now();
        let rows = token.entries().iter().map(|entry| Row::of(&token, entry, now));
        let rows: Vec<Row> = rows.collect::<Result<_, _>>().map_err(|error| keys_refused(&error))?;
        if is_json {
            let all: Vec<Value> = rows.iter().map(Row::json).collect();
            self.streams.data(format!("{:#}", Value::Array(all)));
        } else if rows.is_empty() {
            self.streams.talk(format!("{} has no key", token.dir().display()));
        } else {
            self.streams.data(list::table(&rows));
        }
        Ok(Exit::Done)
    }

    fn generate(self, asked: &Generate) -> Result<Exit, Failure> {
        let mut token =
            Token::make(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let made = token.generate(asked.name.as_deref(), asked.usage, asked.key);
        let entry = made.map_err(|error| not_changed(&error))?;
        if asked.shown.json {
            let row = Row::of(&token, &entry, self.clock.now()).map_err(|error| keys_refused(&error))?;
            self.streams.data(format!("{:#}", row.json()));
        } else {
            let (file, kind, word) = (entry.key.display(), asked.key, entry.usage.word());
            let how = if entry.is_unencrypted() { ", not encrypted" } else { ", encrypted under the PIN" };
            self.streams.data(format!("{}: a {kind} key for use {word} is made in {file}{how}", entry.name));
        }
        self.next(&format!("saatkond keys csr {} --out {}.csr.pem", entry.name, entry.name));
        Ok(Exit::Done)
    }

    async fn csr(self, asked: &Csr) -> Result<Exit, Failure> {
        let token = Token::look(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let entry = token.entry(&asked.name).map_err(|error| not_changed(&error))?;
        let needs_conf = entry.usage != Usage::InternalTls && asked.naming.naming.is_none();
        let believed = if needs_conf { Some(self.believed().await?) } else { None };
        let wanted =
            subject::of((&asked.naming, asked.member.as_ref()), entry.usage, &self.conf, believed.as_ref())?;
        let made = token.request(&entry.name, &wanted.subject, &wanted.names);
        let der = made.map_err(|error| not_changed(&error))?;
        let text = pem::encode(pem::CERTIFICATE_REQUEST, &der);
        match &asked.out {
            None => self.streams.bytes(text.as_bytes()),
            Some(file) => {
                let bytes = if asked.der { der.as_slice() } else { text.as_bytes() };
                replace_file(file, bytes, 0o644).map_err(|error| {
                    Failure::new(Exit::Disk, format!("cannot write {}: {error}", file.display()))
                })?;
            }
        }
        self.streams.talk(format!("{} asks for {}", entry.name, wanted.subject));
        let place = asked.out.as_ref().map_or("it".to_owned(), |file| file.display().to_string());
        self.next(&format!("send {place} to the authority, then saatkond keys import CERTIFICATE"));
        Ok(Exit::Done)
    }

    async fn import(mut self, asked: &Import) -> Result<Exit, Failure> {
        let file = asked.file.display();
        let chain = read_certificates(&asked.file).map_err(|error| {
            let text = format!("{file} holds no certificate in PEM or DER: {error}");
            Failure::new(Exit::Usage, text).hint("name the file that the authority sent")
        })?;
        let mut token =
            Token::change(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let not_taken = |error: &ImportError| not_taken(error, &asked.file.display().to_string());
        let Some((certificate, additional)) = chain.split_first() else {
            return Err(Failure::new(Exit::Usage, format!("{file} is empty")));
        };
        let entry = import::key_for(&token, certificate).map_err(|error| not_taken(&error))?.clone();
        import::is_timely(certificate, self.clock.now()).map_err(|error| not_taken(&error))?;
        let mut member = None;
        if entry.usage != Usage::InternalTls {
            let believed = self.believed().await?;
            let members = self.members()?;
            let judge =
                Judge { server: &self.conf.server, members: &members, conf: &believed, at: self.clock.now() };
            let taken =
                judge.judge(certificate, additional, entry.usage).map_err(|error| not_taken(&error))?;
            member = taken.member;
            if let Some(warning) = taken.warning {
                self.streams.talk(format!("warning: {warning}"));
            }
        }
        let entry = token.import(&entry.name, &chain).map_err(|error| not_changed(&error))?;
        if asked.activate {
            token.activate(&entry.name).map_err(|error| not_changed(&error))?;
        }
        let entry = token.entry(&entry.name).map_err(|error| not_changed(&error))?;
        self.told(&token, entry, member.as_ref(), asked.shown.json)?;
        Ok(Exit::Done)
    }

    /// Says what was imported, and what comes next.
    fn told(
        &mut self,
        token: &Token,
        entry: &Entry,
        member: Option<&MemberId>,
        is_json: bool,
    ) -> Result<(), Failure> {
        let row = Row::of(token, entry, self.clock.now()).map_err(|error| keys_refused(&error))?;
        if is_json {
            self.streams.data(format!("{:#}", row.json()));
        } else {
            let whose = member.map_or_else(|| self.conf.server.to_string(), ToString::to_string);
            let until = row.certificate.as_ref().map(|c| c.not_after().to_rfc3339()).unwrap_or_default();
            let text = format!("{}: certificate of {whose} for use {}", entry.name, entry.usage.word());
            self.streams.data(format!("{text}, valid until {until}, {}", row.state.word()));
        }
        if let Some(next) = &row.next {
            self.streams.talk(format!("next: {next}"));
        }
        Ok(())
    }

    fn activate(self, asked: &Activate) -> Result<Exit, Failure> {
        let mut token =
            Token::change(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let entry = token.entry(&asked.name).map_err(|error| not_changed(&error))?;
        let certificates = entry.certificates().map_err(|error| keys_refused(&error))?;
        let Some(certificate) = certificates.first() else {
            let text = format!("{} has no certificate yet", asked.name);
            let hint = "saatkond keys import CERTIFICATE, once the authority has sent it";
            return Err(Failure::new(Exit::NotWell, text).hint(hint));
        };
        import::is_timely(certificate, self.clock.now())
            .map_err(|error| not_taken(&error, &entry.certificate.display().to_string()))?;
        let is_auth = entry.usage == Usage::Auth;
        token.activate(&asked.name).map_err(|error| not_changed(&error))?;
        self.streams.data(format!("{}: active", asked.name));
        if is_auth {
            let text =
                "other gateways know it once it is registered with the instance; it is used from then on";
            self.streams.talk(text);
        }
        Ok(Exit::Done)
    }

    fn retire(self, asked: &Retire) -> Result<Exit, Failure> {
        let mut token =
            Token::change(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let entry = token.entry(&asked.name).map_err(|error| not_changed(&error))?.clone();
        let now = self.clock.now();
        if entry.is_active && !list::has_another(&token, &entry, now) {
            let word = entry.usage.word();
            let what =
                format!("take out of use {}, the last active key of its kind for use {word}", entry.name);
            self.streams.agreed(&what, asked.yes)?;
        }
        if asked.destroy {
            let shared = token
                .entries()
                .iter()
                .find(|other| other.key == entry.key && other.name != entry.name && other.retired.is_none());
            if let Some(other) = shared {
                let text =
                    format!("the key of {} is that of {}, too, which is in use", entry.name, other.name);
                return Err(
                    Failure::new(Exit::NotAllowed, text).hint(format!("saatkond keys retire {}", other.name))
                );
            }
            let what = format!("remove the private key {} for good", entry.key.display());
            self.streams.agreed(&what, asked.yes)?;
        }
        token.retire(&entry.name, now).map_err(|error| not_changed(&error))?;
        if asked.destroy && entry.has_key() {
            token.destroy(&entry.name).map_err(|error| not_changed(&error))?;
        }
        let gone = if asked.destroy { ", its private key is removed" } else { "" };
        self.streams.data(format!("{}: retired{gone}", entry.name));
        Ok(Exit::Done)
    }

    fn encrypt(self, asked: &Encrypt) -> Result<Exit, Failure> {
        let mut token =
            Token::change(&self.conf.keys_dir(), &self.pins).map_err(|error| not_changed(&error))?;
        let new = match &asked.new_pin_file {
            _ if asked.remove => None,
            Some(file) => Some(Pin::read(file).map_err(|error| keys_refused(&error))?),
            None => Some(Pin::ask_new().map_err(|text| {
                Failure::new(Exit::Usage, text).hint("--new-pin-file FILE names a file with the new PIN")
            })?),
        };
        if new.is_none() {
            let what = format!("leave the keys in {} without encryption", token.dir().display());
            self.streams.agreed(&what, asked.yes)?;
        }
        let changed = token.encrypt(new.as_ref()).map_err(|error| not_changed(&error))?;
        let how = if new.is_some() { "encrypted under the new PIN" } else { "not encrypted any more" };
        self.streams.data(format!("{} {how}", count(changed as u64, "key is", "keys are")));
        if new.is_some() {
            self.next("have the gateway find the new PIN: keys.pin_file in gateway.toml, or systemd's credential saatkond-pin");
        }
        Ok(Exit::Done)
    }

    /// What the instance says: as it is stored, while that holds; else fetched.
    async fn believed(&self) -> Result<GlobalConf, Failure> {
        believed(&self.conf, self.clock.now()).await
    }

    /// The members that may sign here: the server's owner, and those of its clients.
    fn members(&self) -> Result<BTreeSet<MemberId>, Failure> {
        let mut members = BTreeSet::from([self.conf.server.owner.clone()]);
        if self.conf.server_file.exists() {
            let server = ServerConf::load(&self.conf.server_file, self.conf.instance());
            let server = server.map_err(|error| refused(&error))?;
            members.extend(server.clients().map(|client| client.id.member.clone()));
        }
        Ok(members)
    }

    fn next(self, what: &str) {
        self.streams.talk(format!("next: {what}"));
    }
}

/// The global configuration that is stored, if it holds; else what the anchor's sources say.
pub(super) async fn believed(conf: &Arc<Conf>, now: UnixTime) -> Result<GlobalConf, Failure> {
    if let Some(stored) = globalconf::load(conf).ok().filter(|stored| stored.is_valid_at(now)) {
        return Ok(stored);
    }
    let seed = random::bytes().map(u64::from_le_bytes).unwrap_or_default();
    Client::default().fetch(conf, now, seed).await.map_err(|error| {
        let text = format!("the global configuration of {} is needed and not had: {error}", conf.instance());
        Failure::new(Exit::Unavailable, text)
            .hint(format!("`anchor` in {} says where it is fetched from", conf.file.display()))
    })
}

/// A change of the key directory that was not made.
pub(super) fn not_changed(error: &TokenError) -> Failure {
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        TokenError::Keys(keys) => keys_refused(keys),
        TokenError::Busy(_) => failure(Exit::Unavailable).hint("wait until it has ended"),
        TokenError::Unknown { .. } => failure(Exit::Usage).hint("`saatkond keys list` shows what there is"),
        TokenError::Taken(_) => failure(Exit::Usage).hint("leave --name out, or choose another"),
        TokenError::Name(_) => failure(Exit::Usage),
        TokenError::Unwritten { .. } => {
            failure(Exit::Disk).hint("run this as the user to whom the key directory belongs")
        }
        TokenError::Request(_) => failure(Exit::Usage),
        TokenError::Key(_) => {
            failure(Exit::NotWell).hint("--key p256 makes a key that any processor can make")
        }
    }
}

/// A certificate that is not taken.
fn not_taken(error: &ImportError, file: &str) -> Failure {
    let failure = Failure::new(Exit::NotWell, format!("{file} is not taken: {error}"));
    match error {
        ImportError::Keys(keys) => keys_refused(keys),
        ImportError::NoKey { .. } => {
            failure.hint("the request was made from another key, or on another server")
        }
        ImportError::Retired(name) => failure.hint(format!("`saatkond keys activate {name}` takes it back")),
        ImportError::Twice(_) => failure.hint("nothing is left to do"),
        ImportError::NoUse { .. } | ImportError::BothUses { .. } | ImportError::OtherUse { .. } => failure
            .hint("ask the authority for one of the right kind: sign certificates have nonRepudiation alone"),
        ImportError::SelfSigned { .. } => {
            failure.hint("saatkond keys csr NAME writes a request for an authority")
        }
        ImportError::Expired { .. } => failure.hint("`saatkond status` tells why it is not renewed"),
        ImportError::NotNow { .. } => {
            failure.hint("look at this machine's clock, or ask for a new certificate")
        }
        ImportError::Path(_) => {
            failure.hint("the authority must be one that the instance approves for this use")
        }
        ImportError::Nameless { .. } => {
            failure.hint("ask the authority to name the member as it was requested")
        }
        ImportError::Stranger { .. } => failure.hint(
            "add a client of that member to server.toml first, or ask for one of a member that is here",
        ),
    }
}

#[cfg(test)]
mod tests;
