//! `ca issue`, `ca renew`: certificates for requests, and for keys made here.

use super::authority::{Place, disk, possible, put, serial_of, whole_json};
use super::failure::failure;
use crate::ca::{self, Authority, CaError, Order};
use crate::exit::{Exit, Failure, Streams};
use crate::index::Purpose;
use crate::key::{KeySpec, PrivateKey};
use crate::naming::{Details, Subject};
use crate::pem;
use crate::request::{AltName, Request};
use crate::span::Span;
use clap::{Args, ValueEnum};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::profile::Profile;
use std::path::{Path, PathBuf};

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
    /// From which authority, for how long, and where it goes.
    #[command(flatten)]
    pub issuance: Issuance,
}

/// From which authority a certificate is issued, for how long, and where it goes.
#[derive(Debug, Clone, Args)]
pub struct Issuance {
    /// How long it lasts, such as "90 d"; what the policy says if not told
    #[arg(long)]
    pub lasts: Option<Span>,
    /// Where the certificate goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print what was issued as JSON, as `ca show --json` does
    #[arg(long)]
    pub json: bool,
    /// Which authority
    #[command(flatten)]
    pub place: Place,
}

/// Arguments of `ca renew`.
#[derive(Debug, Clone, Args)]
pub struct Renew {
    /// The certificate to issue anew: its serial number in hexadecimal, or its file
    pub certificate: String,
    /// A request for a new key, PEM or DER; only its key is taken
    #[arg(long, value_name = "REQUEST", conflicts_with = "new_key")]
    pub request: Option<PathBuf>,
    /// Make a new key here, into this new file
    #[arg(long, value_name = "FILE")]
    pub new_key: Option<PathBuf>,
    /// What kind of key to make: rsa-2048, rsa-3072, rsa-4096, p256 or p384; the authority's own kind if not told
    #[arg(long, value_name = "KIND", requires = "new_key")]
    pub key: Option<KeySpec>,
    /// From which authority, for how long, and where it goes.
    #[command(flatten)]
    pub issuance: Issuance,
}

fn server_id(text: &str) -> Result<ServerId, String> {
    ServerId::from_path(text).map_err(|e| e.to_string())
}

pub(super) fn issue(arguments: &Issue, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let Issuance { place, lasts, .. } = &arguments.issuance;
    let doing = format!("cannot issue from {}", place.dir.display());
    let policy = ca::read_policy(&place.dir).map_err(|e| failure(&doing, &e))?;
    let purpose = Purpose::from(arguments.profile);
    let profile = policy.profile().map_err(|reason| failure(&doing, &CaError::Lint(reason)))?;
    let mut names: Vec<AltName> = arguments.hosts.iter().flat_map(|host| host.parse::<AltName>()).collect();
    let request = arguments.request.as_deref().map(read_request).transpose()?;
    if let Some(request) = request.as_ref().filter(|_| names.is_empty()) {
        names.extend_from_slice(request.names());
    }
    let member = (purpose == Purpose::Sign).then(|| member_of(arguments)).transpose()?;
    let asked = request.as_ref().map(|request| request.subject().clone());
    let subject = match asked.filter(|subject| !subject.is_empty() && !arguments.rewrite) {
        Some(subject) => subject,
        None => written_subject(arguments, profile, purpose, member.as_ref())?,
    };
    let spec = arguments.key.unwrap_or(policy.key);
    let made = arguments.new_key.as_deref().map(|path| NewKey::make(path, spec, streams)).transpose()?;
    let spki = made.as_ref().map(NewKey::spki).or_else(|| request.map(|request| request.spki().to_vec()));
    let lasts = lasts.map(|span| span.0);
    let order = Order { purpose, spki: spki.unwrap_or_default(), subject, names, member, lasts };
    let issued = place.open(&doing).and_then(|mut authority| {
        let certificate = authority.issue(&order, now).map_err(|e| failure(&doing, &e))?;
        Ok((authority, certificate))
    });
    let (authority, certificate) = NewKey::keep_if(made, issued)?;
    arguments.issuance.show(&authority, &certificate, streams, now)
}

pub(super) fn renew(arguments: &Renew, streams: &mut Streams<'_>, now: UnixTime) -> Result<Exit, Failure> {
    let Issuance { place, lasts, .. } = &arguments.issuance;
    let serial = serial_of(&arguments.certificate)?;
    let doing = format!("cannot renew {serial} in {}", place.dir.display());
    let policy = ca::read_policy(&place.dir).map_err(|e| failure(&doing, &e))?;
    let request = arguments.request.as_deref().map(read_request).transpose()?;
    let spec = arguments.key.unwrap_or(policy.key);
    let made = arguments.new_key.as_deref().map(|path| NewKey::make(path, spec, streams)).transpose()?;
    let spki = made.as_ref().map(NewKey::spki).or_else(|| request.map(|request| request.spki().to_vec()));
    let lasts = lasts.map(|span| span.0);
    let issued = place.open(&doing).and_then(|mut authority| {
        let certificate = authority.renew(&serial, spki, lasts, now).map_err(|e| failure(&doing, &e))?;
        Ok((authority, certificate))
    });
    let (authority, certificate) = NewKey::keep_if(made, issued)?;
    arguments.issuance.show(&authority, &certificate, streams, now)
}

impl Issuance {
    /// Writes an issued certificate where it goes, and says what it is.
    fn show(
        &self,
        authority: &Authority,
        certificate: &Certificate,
        streams: &mut Streams<'_>,
        now: UnixTime,
    ) -> Result<Exit, Failure> {
        let text = pem::encode(pem::CERTIFICATE, certificate.der());
        if self.out.is_some() || !self.json {
            put(self.out.as_deref(), text.as_bytes(), streams).map_err(|failure| {
                let serial = certificate.serial_text();
                let said = failure.hint.unwrap_or_default();
                Failure::new(failure.exit, format!("issued {serial}, but {}", failure.message))
                    .hint(format!("{said}; the certificate is kept: `ca show {serial}`"))
            })?;
        }
        let Some(record) = authority.index().record(&certificate.serial_text()) else {
            return Err(failure(
                "cannot show what was issued",
                &CaError::UnknownSerial(certificate.serial_text()),
            ));
        };
        if self.json {
            streams.data(format!("{:#}", whole_json(record, now)));
        }
        streams.talk(format!(
            "issued {} for {}: {}, good until {}",
            record.serial,
            record.purpose.name(),
            record.subject,
            certificate.not_after()
        ));
        Ok(Exit::Done)
    }
}

fn read_request(path: &Path) -> Result<Request, Failure> {
    let bytes = std::fs::read(path).map_err(|e| disk("read", path, &e))?;
    Request::read(&bytes).map_err(|e| {
        Failure::new(Exit::NotWell, format!("cannot take the request {}: {e}", path.display()))
            .hint("make the request anew where its key is; what is between must not change it")
    })
}

/// A key made here, in a file of its own.
struct NewKey<'a> {
    path: &'a Path,
    key: PrivateKey,
}

impl<'a> NewKey<'a> {
    fn make(path: &'a Path, spec: KeySpec, streams: &mut Streams<'_>) -> Result<Self, Failure> {
        let doing = format!("cannot make the key {}", path.display());
        let key = PrivateKey::generate(possible(spec, streams)).map_err(|e| failure(&doing, &e.into()))?;
        key.save(path).map_err(|e| failure(&doing, &e.into()))?;
        Ok(Self { path, key })
    }

    fn spki(&self) -> Vec<u8> {
        self.key.signing().spki().to_vec()
    }

    /// A key without a certificate is of no use, and would be in the way next time.
    fn keep_if<T>(made: Option<Self>, issued: Result<T, Failure>) -> Result<T, Failure> {
        if let (Err(_), Some(made)) = (&issued, made) {
            let _ = std::fs::remove_file(made.path);
        }
        issued
    }
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
    profile: Profile,
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
