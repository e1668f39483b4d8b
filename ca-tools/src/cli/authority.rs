//! `ca init`, `revoke`, `list`, `show`, `crl`, `renew-responder`: one authority's work, beside [`super::issue`].

use super::failure::failure;
use super::table::lay_out;
use crate::ca::{self, Authority, CaError};
use crate::exit::{Exit, Failure, Streams};
use crate::index::{Index, Reason, Record, replace_file};
use crate::key::KeySpec;
use crate::pem;
use crate::policy::{Policy, PolicyError};
use crate::span::Span;
use clap::Args;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Which authority, for commands that write into its store.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// How long to wait for others who are at work on it
    #[arg(long, value_name = "SPAN", default_value = "1 min")]
    pub wait: Span,
}

impl Place {
    /// Opens the authority to write.
    pub(super) fn open(&self, doing: &str) -> Result<Authority, Failure> {
        Authority::open_within(&self.dir, self.wait.0).map_err(|e| failure(doing, &e))
    }
}

/// Arguments of `ca init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The directory to make
    pub dir: PathBuf,
    /// The policy, a file like conf/ca.toml, in place of the options below
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["name", "organization", "country", "key", "naming", "ocsp_urls", "crl_urls", "issuer_urls"]
    )]
    pub policy: Option<PathBuf>,
    /// The authority's name
    #[arg(long, default_value = "Root CA")]
    pub name: String,
    /// Its organisation
    #[arg(long)]
    pub organization: Option<String>,
    /// Its country, two letters
    #[arg(long)]
    pub country: Option<String>,
    /// What kind of key: rsa-2048, rsa-3072, rsa-4096, p256 or p384
    #[arg(long, default_value = "rsa-3072", value_name = "KIND")]
    pub key: KeySpec,
    /// How its certificates name members: FiVRK, Ejbca, Basic, BasicACME, Fo, Is or SkKlass3
    #[arg(long, default_value = "FiVRK")]
    pub naming: String,
    /// Where its OCSP responder will answer; written into every certificate
    #[arg(long = "ocsp-url", value_name = "URL")]
    pub ocsp_urls: Vec<String>,
    /// Where its list of revoked certificates will be found; written into every certificate
    #[arg(long = "crl-url", value_name = "URL")]
    pub crl_urls: Vec<String>,
    /// Where its own certificate will be found; written into every certificate
    #[arg(long = "issuer-url", value_name = "URL")]
    pub issuer_urls: Vec<String>,
    /// The directory of the authority above it
    #[arg(long, value_name = "DIR")]
    pub under: Option<PathBuf>,
    /// How long to wait for others who are at work on the authority above it
    #[arg(long, value_name = "SPAN", default_value = "1 min")]
    pub wait: Span,
}

impl Init {
    /// The policy that was asked for, and who says so.
    fn policy(&self) -> Result<Policy, Failure> {
        if let Some(path) = &self.policy {
            let doing = format!("cannot make an authority in {}", self.dir.display());
            return Policy::read(path).map_err(|e| match e {
                PolicyError::File { path, source } => disk("read", &path, &source),
                wrong @ PolicyError::Wrong { .. } => failure(&doing, &wrong.into()),
            });
        }
        let mut policy = Policy::new(self.name.clone(), self.key);
        policy.organization.clone_from(&self.organization);
        policy.country.clone_from(&self.country);
        policy.naming.clone_from(&self.naming);
        policy.ocsp_urls.clone_from(&self.ocsp_urls);
        policy.crl_urls.clone_from(&self.crl_urls);
        policy.issuer_urls.clone_from(&self.issuer_urls);
        policy.check().map_err(|reason| {
            Failure::new(Exit::Usage, format!("cannot make an authority in {}: {reason}", self.dir.display()))
                .hint("`ca init --help` says what each option may be; conf/ca.toml is the same as a file")
        })?;
        Ok(policy)
    }
}

/// Arguments of `ca revoke`.
#[derive(Debug, Clone, Args)]
pub struct Revoke {
    /// The serial number in hexadecimal, or the certificate's file
    pub certificate: String,
    /// Why
    #[arg(long, value_enum, default_value = "unspecified")]
    pub reason: Reason,
    /// Since when, RFC 3339 and not in the future; now if not told
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<UnixTime>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Which authority
    #[command(flatten)]
    pub place: Place,
}

fn moment(text: &str) -> Result<UnixTime, String> {
    UnixTime::from_rfc3339(text).ok_or_else(|| "expected a time such as 2026-01-02T03:04:05Z".to_owned())
}

/// Arguments of `ca list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Only those that end within this time, such as "30 d"
    #[arg(long, value_name = "SPAN")]
    pub ending_within: Option<Span>,
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ca show`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// The serial number in hexadecimal, or the certificate's file
    pub certificate: String,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ca crl`.
#[derive(Debug, Clone, Args)]
pub struct Crl {
    /// How long it holds, such as "7 d"; what the policy says if not told
    #[arg(long)]
    pub lasts: Option<Span>,
    /// Write DER, as web servers offer it, and not PEM
    #[arg(long)]
    pub der: bool,
    /// Where it goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Which authority
    #[command(flatten)]
    pub place: Place,
}

/// Arguments of `ca renew-responder`.
#[derive(Debug, Clone, Args)]
pub struct RenewResponder {
    /// Which authority
    #[command(flatten)]
    pub place: Place,
}

pub(super) fn init(arguments: &Init, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let mut policy = arguments.policy()?;
    policy.key = possible(policy.key, streams);
    let is_silent = policy.ocsp_urls.is_empty();
    let doing = format!("cannot make an authority in {}", arguments.dir.display());
    let made = match &arguments.under {
        Some(above) => Authority::open_within(above, arguments.wait.0)
            .and_then(|mut parent| Authority::create_below(&arguments.dir, policy, &mut parent, now)),
        None => Authority::create(&arguments.dir, policy, now),
    };
    let authority = made.map_err(|e| failure(&doing, &e))?;
    let certificate = authority.certificate();
    streams.talk(format!(
        "made {} with a {} key, good until {}; policy in {}",
        certificate.subject_text(),
        certificate.public_key().kind(),
        certificate.not_after(),
        arguments.dir.join(ca::POLICY_FILE).display()
    ));
    if is_silent {
        streams.talk("certificates will not say where their status is told; set `ocsp_urls` in the policy");
    }
    Ok(Exit::Done)
}

/// RSA where it is possible, else P-256, and said.
pub(super) fn possible(asked: KeySpec, streams: &mut Streams<'_>) -> KeySpec {
    let key = asked.or_what_is_possible();
    if key != asked {
        streams.talk(format!(
            "this processor cannot make RSA keys: making {key} keys instead, which X-Road reads from 7.6 on"
        ));
    }
    key
}

pub(super) fn revoke(arguments: &Revoke, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let serial = serial_of(&arguments.certificate)?;
    let doing = format!("cannot revoke {serial} in {}", arguments.place.dir.display());
    let since = arguments.since.unwrap_or(now);
    if since > now {
        return Err(Failure::new(
            Exit::Usage,
            format!("{doing}: since {since} is in the future, it is {now}"),
        )
        .hint("revoke now, or wait"));
    }
    // others go on with their work while somebody is asked
    let index = Index::open(&arguments.place.dir).map_err(|e| failure(&doing, &e.into()))?;
    let record = index.record(&serial);
    let record = record.ok_or_else(|| failure(&doing, &CaError::UnknownSerial(serial.clone())))?;
    let question =
        format!("revoke {serial} ({}, {}) since {since} for ever", record.purpose.name(), record.subject);
    streams.agreed(&question, arguments.yes)?;
    let mut authority = arguments.place.open(&doing)?;
    authority.revoke(&serial, arguments.reason, since, now).map_err(|e| failure(&doing, &e))?;
    streams.talk(format!("revoked {serial}; the OCSP responder says so from now on"));
    Ok(Exit::Done)
}

pub(super) fn list(arguments: &List, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let doing = format!("cannot list what {} issued", arguments.dir.display());
    let index = Index::open(&arguments.dir).map_err(|e| failure(&doing, &e.into()))?;
    let until = arguments.ending_within.map(|span| now.plus(span.0));
    let records: Vec<&Record> = index
        .records()
        .into_iter()
        .filter(|record| until.is_none_or(|until| record.not_after <= until && state(record, now) == "good"))
        .collect();
    if arguments.json {
        let list: Vec<Value> = records.iter().map(|record| record_json(record, now)).collect();
        streams.data(format!("{:#}", Value::Array(list)));
        return Ok(Exit::Done);
    }
    let mut rows = vec![["SERIAL", "FOR", "STATE", "ENDS", "SUBJECT"].map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(|record| {
        vec![
            record.serial.clone(),
            record.purpose.name().to_owned(),
            state(record, now).to_owned(),
            record.not_after.to_rfc3339(),
            record.subject.clone(),
        ]
    }));
    streams.data(lay_out(&rows));
    Ok(Exit::Done)
}

/// What became of a serial, in one word.
fn state(record: &Record, now: UnixTime) -> &'static str {
    match (&record.revoked, &record.certificate) {
        (Some(_), _) => "revoked",
        (None, None) => "never issued",
        (None, Some(_)) if record.not_after < now => "ended",
        (None, Some(_)) => "good",
    }
}

fn record_json(record: &Record, now: UnixTime) -> Value {
    json!({
        "serial": record.serial,
        "for": record.purpose.name(),
        "state": state(record, now),
        "subject": record.subject,
        "reserved_at": record.reserved_at.to_rfc3339(),
        "not_after": record.not_after.to_rfc3339(),
        "revoked_at": record.revoked.map(|revocation| revocation.at.to_rfc3339()),
        "revoked_for": record.revoked.map(|revocation| revocation.reason),
    })
}

/// The same with the certificate.
pub(super) fn whole_json(record: &Record, now: UnixTime) -> Value {
    let mut value = record_json(record, now);
    let text = record.certificate.as_deref().map(|der| pem::encode(pem::CERTIFICATE, der));
    if let Value::Object(members) = &mut value {
        members.insert("certificate".to_owned(), text.map_or(Value::Null, Value::String));
    }
    value
}

pub(super) fn show(arguments: &Show, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let serial = serial_of(&arguments.certificate)?;
    let doing = format!("cannot show {serial} of {}", arguments.dir.display());
    let index = Index::open(&arguments.dir).map_err(|e| failure(&doing, &e.into()))?;
    let record =
        index.record(&serial).ok_or_else(|| failure(&doing, &CaError::UnknownSerial(serial.clone())))?;
    if arguments.json {
        streams.data(format!("{:#}", whole_json(record, now)));
        return Ok(Exit::Done);
    }
    let text = record.certificate.as_deref().map(|der| pem::encode(pem::CERTIFICATE, der));
    let mut rows = vec![
        vec!["serial".to_owned(), record.serial.clone()],
        vec!["for".to_owned(), record.purpose.name().to_owned()],
        vec!["subject".to_owned(), record.subject.clone()],
        vec!["state".to_owned(), state(record, now).to_owned()],
        vec!["ends".to_owned(), record.not_after.to_rfc3339()],
    ];
    if let Some(revocation) = record.revoked {
        rows.push(vec!["revoked".to_owned(), revocation.at.to_rfc3339()]);
    }
    streams.data(lay_out(&rows));
    if let Some(text) = text {
        streams.data(text.trim_end());
    }
    Ok(Exit::Done)
}

pub(super) fn crl(arguments: &Crl, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let doing = format!("cannot sign the revocation list of {}", arguments.place.dir.display());
    let mut authority = arguments.place.open(&doing)?;
    let lasts = arguments.lasts.unwrap_or(authority.policy().lasting.crl);
    let list = authority.revocation_list(now, lasts.0).map_err(|e| failure(&doing, &e))?;
    let bytes = if arguments.der { list } else { pem::encode(pem::CRL, &list).into_bytes() };
    put(arguments.out.as_deref(), &bytes, streams)?;
    Ok(Exit::Done)
}

pub(super) fn renew_responder(
    arguments: &RenewResponder,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    let doing = format!("cannot renew the OCSP responder of {}", arguments.place.dir.display());
    let certificate = arguments.place.open(&doing)?.renew_responder(now).map_err(|e| failure(&doing, &e))?;
    streams.talk(format!("the OCSP responder signs until {}", certificate.not_after()));
    Ok(Exit::Done)
}

/// The serial that a person means: its digits, or the certificate in a file.
pub(super) fn serial_of(text: &str) -> Result<String, Failure> {
    let path = Path::new(text);
    if path.is_file() {
        let certificates =
            ca::read_certificates(path).map_err(|e| failure("cannot tell which certificate is meant", &e))?;
        return Ok(certificates.first().map(|c| Certificate::serial_text(c)).unwrap_or_default());
    }
    let serial = ca::normal_serial(text);
    if serial.is_empty() || !serial.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Failure::new(Exit::Usage, format!("{text:?} is neither a serial number nor a file"))
            .hint("`ca list` shows serial numbers"));
    }
    Ok(serial)
}

/// Writes data where it was asked for.
pub(super) fn put(path: Option<&Path>, bytes: &[u8], streams: &mut Streams<'_>) -> Result<(), Failure> {
    match path {
        Some(path) => replace_file(path, bytes, 0o644).map_err(|e| disk("write", path, &e)),
        None => {
            streams.bytes(bytes);
            Ok(())
        }
    }
}

pub(super) fn disk(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        NotFound => {
            Failure::new(Exit::Disk, text).hint("look whether the name is right; paths begin where you are")
        }
        PermissionDenied => {
            Failure::new(Exit::NotAllowed, text).hint("do it as the user who owns it, or name another place")
        }
        _ => Failure::new(Exit::Disk, text).hint("look after the disk, then do the same again"),
    }
}
