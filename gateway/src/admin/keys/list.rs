//! `saatkond keys list`.

use crate::admin::words::plain;
use crate::keys::token::{Entry, Token};
use crate::keys::{KeysError, Usage};
use saatkond_ca::cli::table::lay_out;
use saatkond_proto::crypto::KeyKind;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use serde_json::{Value, json};
use std::sync::Arc;

/// How far a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its certificate.
    Uncertified,
    /// It has one and is not used.
    Waiting,
    /// It may be used.
    Active,
    /// It was taken out of use.
    Retired,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Uncertified => "no certificate",
            Self::Waiting => "not active",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A key, as it is shown.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) usage: Usage,
    pub(super) state: State,
    /// The kind of key; none once it is removed and nothing tells it.
    pub(super) kind: Option<KeyKind>,
    /// Its certificate.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// What to do next.
    pub(super) next: Option<String>,
    retired: Option<String>,
    has_key: bool,
    is_unencrypted: bool,
    file: String,
}

impl Row {
    /// A key as it is now.
    ///
    /// # Errors
    /// [`KeysError`] for files that cannot be read.
    pub(super) fn of(token: &Token, entry: &Entry, now: UnixTime) -> Result<Self, KeysError> {
        let certificate = entry.certificates()?.into_iter().next();
        let state = match (&certificate, entry.is_active) {
            _ if entry.retired.is_some() => State::Retired,
            (None, _) => State::Uncertified,
            (Some(_), true) => State::Active,
            (Some(_), false) => State::Waiting,
        };
        let has_key = entry.has_key();
        let kind = token.public_key(entry).ok().map(|key| key.kind());
        let next = next(token, entry, certificate.as_deref(), state, now);
        Ok(Self {
            name: entry.name.clone(),
            usage: entry.usage,
            state,
            kind,
            certificate,
            next,
            retired: entry.retired.clone(),
            has_key,
            is_unencrypted: entry.is_unencrypted(),
            file: entry.key.display().to_string(),
        })
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Value {
        let certificate = self.certificate.as_ref().map(|certificate| {
            json!({
                "serial": certificate.serial_text(),
                "subject": certificate.subject_text(),
                "issuer": certificate.issuer_text(),
                "not_before": certificate.not_before().to_rfc3339(),
                "not_after": certificate.not_after().to_rfc3339(),
            })
        });
        json!({
            "name": self.name,
            "use": self.usage.word(),
            "state": self.state.word(),
            "kind": self.kind.map(kind_name),
            "file": self.file,
            "has_key": self.has_key,
            "encrypted": self.has_key && !self.is_unencrypted,
            "retired": self.retired,
            "certificate": certificate,
            "next": self.next,
        })
    }
}

/// The kind of a key, as commands write it.
fn kind_name(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("rsa-{bits}"),
        KeyKind::P256 => "p256".to_owned(),
        KeyKind::P384 => "p384".to_owned(),
    }
}

/// A table of keys, and below it what to do next.
pub(super) fn table(rows: &[Row]) -> String {
    let heading = ["NAME", "USE", "STATE", "KEY", "VALID UNTIL", "SUBJECT"].map(str::to_owned).to_vec();
    let cells = |row: &Row| {
        let certificate = row.certificate.as_ref();
        let kind = if row.has_key { row.kind.map(kind_name) } else { Some("removed".to_owned()) };
        let cells = [
            row.name.clone(),
            row.usage.word().to_owned(),
            row.state.word().to_owned(),
            kind.unwrap_or_default(),
            certificate.map_or_else(|| "-".to_owned(), |c| c.not_after().to_rfc3339()),
            certificate.map_or_else(String::new, |c| c.subject_text().to_owned()),
        ];
        cells.iter().map(|cell| plain(cell).into_owned()).collect()
    };
    let all: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let next: Vec<String> =
        rows.iter().filter_map(|row| Some(format!("\n{}: {}", row.name, row.next.as_deref()?))).collect();
    format!("{}{}{}", lay_out(&all), if next.is_empty() { "" } else { "\n" }, next.concat())
}

/// What to do next with a key; nothing where all is well.
fn next(
    token: &Token,
    entry: &Entry,
    certificate: Option<&Certificate>,
    state: State,
    now: UnixTime,
) -> Option<String> {
    let name = &entry.name;
    match (state, certificate) {
        (State::Retired, _) => None,
        (State::Uncertified, _) | (_, None) => {
            let ask = format!("saatkond keys csr {name} --out {name}.csr.pem");
            Some(format!("{ask}, and once the authority has answered: saatkond keys import CERTIFICATE"))
        }
        (_, Some(certificate)) if certificate.not_after() < now => {
            let word = entry.usage.word();
            let replaced = newer(token, entry, certificate, now);
            Some(match replaced {
                Some(_) => format!("it has expired: saatkond keys retire {name}"),
                None => {
                    format!("it has expired: saatkond keys generate --use {word}, then keys retire {name}")
                }
            })
        }
        (State::Waiting, Some(_)) if entry.usage == Usage::Auth => Some(format!(
            "saatkond keys activate {name}, and have it registered with the instance: it is used from then on"
        )),
        (State::Waiting, Some(_)) => Some(format!("saatkond keys activate {name}")),
        (State::Active, Some(certificate)) => {
            let other = newer(token, entry, certificate, now)?;
            Some(format!("once {other} serves in its place: saatkond keys retire {name}"))
        }
    }
}

/// A newer active key that may serve in the place of this one: same use, same subject.
fn newer(token: &Token, entry: &Entry, certificate: &Certificate, now: UnixTime) -> Option<String> {
    let place = |entry: &Entry| token.entries().iter().position(|other| other.name == entry.name);
    let age = |entry: &Entry, certificate: &Certificate| (certificate.not_before(), place(entry));
    others(token, entry, now)
        .find(|(other, its)| {
            its.subject() == certificate.subject() && age(other, its) > age(entry, certificate)
        })
        .map(|(other, _)| other.name.clone())
}

/// Other active keys of the same use whose certificates are valid now.
fn others<'a>(
    token: &'a Token,
    entry: &'a Entry,
    now: UnixTime,
) -> impl Iterator<Item = (&'a Entry, Arc<Certificate>)> {
    let same = |other: &&Entry| other.usage == entry.usage && other.name != entry.name && other.is_active;
    token.entries().iter().filter(same).filter_map(move |other| {
        let certificate = other.certificates().ok()?.into_iter().next()?;
        certificate.is_valid_at(now).then_some((other, certificate))
    })
}

/// Whether something is left to do what this key does: of sign keys one with the same subject.
pub(super) fn has_another(token: &Token, entry: &Entry, now: UnixTime) -> bool {
    let own = entry.certificates().ok().and_then(|all| all.into_iter().next());
    others(token, entry, now).any(|(_, other)| {
        entry.usage != Usage::Sign || own.as_ref().is_some_and(|own| own.subject() == other.subject())
    })
}
