//! `ca init`, `issue`, `revoke`, `list`, `show`, `crl`: one authority's work.

use super::table::lay_out;
use crate::ca::{self, Authority, CaError, Order, Policy};
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::chain;
use crate::index::{Index, IndexError, Purpose, Reason, Record, replace_file};
use crate::key::{KeyError, KeySpec, PrivateKey, rsa_is_possible};
use crate::naming::{self, Details, Subject};
use crate::pem;
use crate::request::{AltName, Request};
use crate::span::Span;
use clap::{Args, ValueEnum};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `ca init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The directory to make
    pub dir: PathBuf,
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
    /// The directory of the authority above it
    #[arg(long, value_name = "DIR")]
    pub under: Option<PathBuf>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PurposeName {
    /// A security server's TLS
    Auth,
    /// A member's signatures
    Sign,
    /// An OCSP responder
    Ocsp,
    /// A time-stamping authority
    Tsa,
    /// A web server or an information system
    Tls,
}

impl From<PurposeName> for Purpose {
    fn from(name: PurposeName) -> Self {
        match name {
            PurposeName::Auth => Self::Auth,
            PurposeName::Sign => Self::Sign,
            PurposeName::Ocsp => Self::Ocsp,
            PurposeName::Tsa => Self::Tsa,
            PurposeName::Tls => Self::Tls,
        }
    }
}

/// Arguments of `ca issue`.
#[derive(Debug, Clone, Args)]
pub struct Issue {
    /// The certificate request, PEM or DER
    #[arg(value_name = "REQUEST", required_unless_present = "new_key", conflicts_with = "new_key")]
    pub request: Option<PathBuf>,
    /// Make a key here instead, into this new file
    #[arg(long, value_name = "FILE")]
    pub new_key: Option<PathBuf>,
    /// What kind of key to make: rsa-2048, rsa-3072, rsa-4096, p256 or p384; the authority's own kind if not told
    #[arg(long, value_name = "KIND", requires = "new_key")]
    pub key: Option<KeySpec>,
    /// What the certificate is for
    #[arg(long, value_enum)]
    pub profile: PurposeName,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The member that a sign certificate must name, INSTANCE/CLASS/CODE; the server's owner if not told
    #[arg(long)]
    pub member: Option<MemberId>,
    /// The security server it is used on, INSTANCE/CLASS/CODE/SERVER
    #[arg(long, value_parser = server_id)]
    pub server: Option<ServerId>,
    /// The organisation's name, for the subject
    #[arg(long)]
    pub organization: Option<String>,
    /// The country, for the subject
    #[arg(long)]
    pub country: Option<String>,
    /// The name, for the subject of ocsp, tsa and tls certificates
    #[arg(long)]
    pub name: Option<String>,
    /// A host name or address; the first is the server's in the subject of auth certificates
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Write the subject anew, whatever the request says
    #[arg(long)]
    pub rewrite: bool,
    /// How long it lasts, such as "90 d"; what the policy says if not told
    #[arg(long)]
    pub lasts: Option<Span>,
    /// Where the certificate goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

fn server_id(text: &str) -> Result<ServerId, String> {
    ServerId::from_path(text).map_err(|e| e.to_string())
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
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
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
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// How long it holds
    #[arg(long, default_value = "7 d")]
    pub lasts: Span,
    /// Where it goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `ca renew-responder`.
#[derive(Debug, Clone, Args)]
pub struct RenewResponder {
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

pub(super) fn init(arguments: &Init, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let key = possible(arguments.key, streams);
    let mut policy = Policy::new(arguments.name.clone(), key);
    policy.organization.clone_from(&arguments.organization);
    policy.country.clone_from(&arguments.country);
    let profile = naming::profile_by_name(&arguments.naming).ok_or_else(|| {
        let known: Vec<&str> = naming::PROFILES.into_iter().map(naming::short_name).collect();
        Failure::new(Exit::Usage, format!("no way to name members is called {:?}", arguments.naming))
            .hint(format!("one of {}", known.join(", ")))
    })?;
    naming::short_name(profile).clone_into(&mut policy.naming);
    policy.ocsp_urls.clone_from(&arguments.ocsp_urls);
    let made = match &arguments.under {
        Some(above) => Authority::open(above)
            .and_then(|mut parent| Authority::create_below(&arguments.dir, policy, &mut parent, now)),
        None => Authority::create(&arguments.dir, policy, now),
    };
    let authority = made.map_err(|e| failure("cannot make an authority", &e))?;
    let certificate = authority.certificate();
    streams.talk(format!(
        "made {} with a {} key, good until {}; policy in {}",
        certificate.subject_text(),
        certificate.public_key().kind(),
        certificate.not_after(),
        arguments.dir.join("ca.toml").display()
    ));
    if arguments.ocsp_urls.is_empty() {
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

pub(super) fn issue(arguments: &Issue, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let mut authority = open(&arguments.dir)?;
    let purpose = Purpose::from(arguments.profile);
    let profile = authority.policy().profile().map_err(|e| failure("cannot issue", &e))?;
    let mut names: Vec<AltName> = arguments.hosts.iter().flat_map(|host| host.parse::<AltName>()).collect();
    let (spki, asked, key) = match (&arguments.request, &arguments.new_key) {
        (Some(path), _) => {
            let bytes = std::fs::read(path).map_err(|e| disk("read", path, &e))?;
            let request = Request::read(&bytes).map_err(|e| {
                Failure::new(Exit::NotWell, format!("{}: {e}", path.display()))
                    .hint("make the request anew where its key is; what is between must not change it")
            })?;
            if names.is_empty() {
                names.extend_from_slice(request.names());
            }
            (request.spki().to_vec(), Some(request.subject().clone()), None)
        }
        (None, _) => {
            let spec = possible(arguments.key.unwrap_or(authority.policy().key), streams);
            let key = PrivateKey::generate(spec).map_err(|e| failure("cannot make a key", &e.into()))?;
            (key.signing().spki().to_vec(), None, Some(key))
        }
    };
    let member = (purpose == Purpose::Sign).then(|| member_of(arguments)).transpose()?;
    let subject = match asked.filter(|subject| !subject.is_empty() && !arguments.rewrite) {
        Some(subject) => subject,
        None => written_subject(arguments, profile, purpose, member.as_ref())?,
    };
    if let (Some(key), Some(path)) = (&key, &arguments.new_key) {
        key.save(path).map_err(|e| failure("cannot keep the key", &e.into()))?;
    }
    let order = Order { purpose, spki, subject, names, member, lasts: arguments.lasts.map(|span| span.0) };
    let issued = authority.issue(&order, now);
    if let (Err(_), Some(path)) = (&issued, &arguments.new_key) {
        // a key without a certificate is of no use, and would be in the way next time
        let _ = std::fs::remove_file(path);
    }
    let certificate = issued.map_err(|e| failure("cannot issue", &e))?;
    let text = pem::encode(pem::CERTIFICATE, certificate.der());
    put(arguments.out.as_deref(), text.as_bytes(), streams)?;
    streams.talk(format!(
        "issued {} for {}: {}, good until {}",
        certificate.serial_text(),
        purpose.name(),
        order.subject,
        certificate.not_after()
    ));
    Ok(Exit::Done)
}

fn member_of(arguments: &Issue) -> Result<MemberId, Failure> {
    let owner = arguments.server.as_ref().map(|server| &server.owner);
    arguments.member.as_ref().or(owner).cloned().ok_or_else(|| {
        Failure::new(Exit::Usage, "a sign certificate speaks for a member, and none is named")
            .hint("add --member INSTANCE/CLASS/CODE, or --server for its owner")
    })
}

fn written_subject(
    arguments: &Issue,
    profile: saatkond_proto::trust::profile::Profile,
    purpose: Purpose,
    member: Option<&MemberId>,
) -> Result<Subject, Failure> {
    let details = Details {
        organization: arguments.organization.clone(),
        dns: arguments.hosts.first().cloned(),
        country: arguments.country.clone(),
    };
    let server = || {
        arguments.server.as_ref().ok_or_else(|| {
            Failure::new(Exit::Usage, "the subject is to be written here, and no server is named")
                .hint("add --server INSTANCE/CLASS/CODE/SERVER")
        })
    };
    let subject = match (purpose, member) {
        (Purpose::Sign, Some(member)) => Subject::of_member(profile, member, server()?, &details),
        (Purpose::Auth | Purpose::Sign, _) => Subject::of_server(profile, server()?, &details),
        (Purpose::Ocsp | Purpose::Tsa | Purpose::Tls | Purpose::Ca, _) => {
            let name = arguments.name.as_ref().or(arguments.hosts.first()).ok_or_else(|| {
                Failure::new(Exit::Usage, "the subject is to be written here, and no name is given")
                    .hint("add --name NAME")
            })?;
            let (country, organization) = (details.country.as_deref(), details.organization.as_deref());
            Ok(Subject::named(country, organization, name))
        }
    };
    subject.map_err(|e| {
        Failure::new(Exit::Usage, format!("cannot write the subject: {e}"))
            .hint("--organization NAME, --host HOST and --country CC say what is missing")
    })
}

pub(super) fn revoke(arguments: &Revoke, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let serial = serial_of(&arguments.certificate)?;
    let since = arguments.since.unwrap_or(now);
    if since > now {
        return Err(Failure::new(Exit::Usage, format!("cannot revoke since {since}: that is in the future")));
    }
    let mut authority = open(&arguments.dir)?;
    let record = authority.index().record(&serial);
    let record = record.ok_or_else(|| failure("cannot revoke", &CaError::UnknownSerial(serial.clone())))?;
    let question =
        format!("revoke {serial} ({}, {}) since {since} for ever", record.purpose.name(), record.subject);
    streams.agreed(&question, arguments.yes)?;
    authority.revoke(&serial, arguments.reason, since, now).map_err(|e| failure("cannot revoke", &e))?;
    streams.talk(format!("revoked {serial}; the OCSP responder says so from now on"));
    Ok(Exit::Done)
}

pub(super) fn list(arguments: &List, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let index = Index::open(&arguments.dir).map_err(|e| failure("cannot list", &e.into()))?;
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

pub(super) fn show(arguments: &Show, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let serial = serial_of(&arguments.certificate)?;
    let index = Index::open(&arguments.dir).map_err(|e| failure("cannot show", &e.into()))?;
    let record = index
        .record(&serial)
        .ok_or_else(|| failure("cannot show", &CaError::UnknownSerial(serial.clone())))?;
    let text = record.certificate.as_deref().map(|der| pem::encode(pem::CERTIFICATE, der));
    if arguments.json {
        let mut value = record_json(record, now);
        if let Value::Object(members) = &mut value {
            members.insert("certificate".to_owned(), text.map_or(Value::Null, Value::String));
        }
        streams.data(format!("{value:#}"));
        return Ok(Exit::Done);
    }
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
    let mut authority = open(&arguments.dir)?;
    let list =
        authority.revocation_list(now, arguments.lasts.0).map_err(|e| failure("cannot sign the list", &e))?;
    put(arguments.out.as_deref(), pem::encode(pem::CRL, &list).as_bytes(), streams)?;
    Ok(Exit::Done)
}

pub(super) fn renew_responder(
    arguments: &RenewResponder,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    let certificate = open(&arguments.dir)?
        .renew_responder(now)
        .map_err(|e| failure("cannot renew the responder's certificate", &e))?;
    streams.talk(format!("the OCSP responder signs until {}", certificate.not_after()));
    Ok(Exit::Done)
}

fn open(directory: &Path) -> Result<Authority, Failure> {
    Authority::open(directory).map_err(|e| failure("cannot open the authority", &e))
}

/// The serial that a person means: its digits, or the certificate in a file.
fn serial_of(text: &str) -> Result<String, Failure> {
    let path = Path::new(text);
    if path.is_file() {
        let certificates = ca::read_certificates(path).map_err(|e| failure("cannot read", &e))?;
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
    Failure::new(Exit::Disk, format!("cannot {what} {}: {error}", path.display()))
}

/// What went wrong, how to end and what to do about it.
pub(super) fn failure(doing: &str, error: &CaError) -> Failure {
    let text = format!("{doing}: {}", chain(error));
    match error {
        CaError::Exists(_) => Failure::new(Exit::NotAllowed, text)
            .hint("an authority is never overwritten; name another directory"),
        CaError::Lint(_) => Failure::new(Exit::NotWell, text)
            .hint("nothing was signed; --rewrite writes the subject anew from --server and --organization"),
        CaError::UnknownSerial(_) => Failure::new(Exit::NotWell, text).hint("`ca list` shows what there is"),
        CaError::AlreadyRevoked { .. } => {
            Failure::new(Exit::NotWell, text).hint("a revocation is not taken back; issue a new certificate")
        }
        CaError::Index(IndexError::Locked(_)) => Failure::new(Exit::Unavailable, text)
            .hint("another command is at work on this authority; wait for it"),
        CaError::Key(KeyError::NoRsaHere) if !rsa_is_possible() => {
            Failure::new(Exit::Unavailable, text).hint("make a p256 or p384 key, or the request elsewhere")
        }
        CaError::Naming(_) => Failure::new(Exit::Usage, text),
        CaError::Policy(_) | CaError::NoCertificate { .. } => {
            Failure::new(Exit::Configuration, text).hint("an authority's directory is made by `ca init DIR`")
        }
        CaError::File { source, .. } | CaError::Index(IndexError::File { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Failure::new(Exit::Configuration, text)
                .hint("--dir names the authority's directory; `ca init DIR` makes one")
        }
        _ => Failure::new(Exit::Disk, text),
    }
}
