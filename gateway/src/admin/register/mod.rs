//! `saatkond register`: what this server asks of the central server, and what became of it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`arguments`] | what the commands take |
//! | `send` | the two ways: HTTPS to the central server, or a message through the running gateway |
//! | `sent` | what was asked before, and what the configuration says of it |
//!
//! Who must vouch for a request signs it here, with a key of the key directory. An authentication certificate goes to the
//! central server itself: nobody takes messages of a server that is not registered. All else is an ordinary message of the
//! server's owner to the management services, signed and kept as evidence like any other. Spec:
//! trust-and-configuration §6.

pub mod arguments;
mod send;
mod sent;

use super::keys::{believed, not_changed};
use super::run::keys_refused;
use crate::clock::Clock;
use crate::conf::Conf;
use crate::jobs::ocsp;
use crate::keys::pin::PinSource;
use crate::keys::token::{Entry, Token};
use crate::keys::{Keys, Usage};
use crate::net::fetch::Bounds;
use crate::net::random;
use arguments::{Maintenance, Register, Server, Switch};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::globalconf::{GlobalConf, ManagementService};
use saatkond_proto::id::MemberId;
use saatkond_proto::limits;
use saatkond_proto::management::{Ask, Package, Request, Signature};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use std::sync::Arc;

/// Does what was asked.
///
/// # Errors
/// [`Failure`]: then nothing was asked, or the central server said no.
pub async fn run(
    conf: Conf,
    command: Register,
    clock: &Clock,
    streams: &mut Streams<'_>,
) -> Result<Exit, Failure> {
    let (conf, now) = (Arc::new(conf), clock.now());
    let world = believed(&conf, now).await?;
    if let Register::List(shown) = &command {
        return sent::list(&conf, &world, shown.json, streams);
    }
    let pins = PinSource::of(conf.keys.pin());
    let token = Token::look(&conf.keys_dir(), &pins).map_err(|error| not_changed(&error))?;
    let management = &world.private().ok_or_else(no_management)?.management;
    let errand = Errand { conf: &conf, world: &world, token: &token, pins: &pins, management, now };
    let (ask, certificate) = errand.ask(&command)?;
    let request = Request { server: conf.server.clone(), ask };
    let id = random::uuid().map_err(|error| Failure::new(Exit::OurBug, error.to_string()))?;
    let package = errand.package(&request, &id, certificate).await?;
    let number = errand.send(&request, &package, &id).await?;
    let is_trial = matches!(request.ask, Ask::RegisterCertificate { is_trial: true, .. });
    if is_trial {
        streams.data("the central server would take it; nothing was registered");
        return Ok(Exit::Done);
    }
    let kept = sent::keep(&conf, &package.document, number, now);
    streams.data(format!("request {number}: {} {}", request.ask.service_code(), sent::subject(&request)));
    if let Err(error) = kept {
        let file = sent::file(&conf);
        streams.talk(format!("warning: it was taken, and {} could not be written: {error}", file.display()));
    }
    streams.talk("next: `saatkond register list` says when the configuration shows it");
    Ok(Exit::Done)
}

fn no_management() -> Failure {
    Failure::new(Exit::Configuration, "the configuration has no private parameters: nobody can be asked")
        .hint("`anchor` in gateway.toml must be the one for the instance's own servers")
}

/// One request under way.
struct Errand<'a> {
    conf: &'a Conf,
    world: &'a GlobalConf,
    token: &'a Token,
    pins: &'a PinSource,
    management: &'a ManagementService,
    now: UnixTime,
}

impl Errand<'_> {
    /// What a command asks; with the key of the certificate that it is about.
    fn ask(&self, command: &Register) -> Result<(Ask, Option<Entry>), Failure> {
        Ok((
            match command {
                Register::Server(server) => {
                    let (entry, certificate) = self.candidate(server)?;
                    let known = self.world.server(&self.conf.server).is_some();
                    if server.address.is_none() && !known {
                        let text =
                            format!("{} is not registered yet: its address is missing", self.conf.server);
                        return Err(Failure::new(Exit::Usage, text).hint("add --address HOST"));
                    }
                    let ask = Ask::RegisterCertificate {
                        address: server.address.clone(),
                        certificate: certificate.der().to_vec(),
                        is_trial: server.dry_run,
                    };
                    return Ok((ask, Some(entry)));
                }
                Register::DeleteCertificate(which) => {
                    let entry = self.token.entry(&which.key).map_err(|error| not_changed(&error))?;
                    Ask::DeleteCertificate { certificate: self.certificate(entry)?.der().to_vec() }
                }
                Register::Client(asked) => {
                    if asked.name.is_some() && asked.client.subsystem.is_none() {
                        let text = format!("{} is a member: only a subsystem is given a name", asked.client);
                        return Err(Failure::new(Exit::Usage, text));
                    }
                    Ask::RegisterClient { client: asked.client.clone(), name: asked.name.clone() }
                }
                Register::DeleteClient(which) => Ask::DeleteClient(which.client.clone()),
                Register::Disable(which) => Ask::DisableClient(which.client.clone()),
                Register::Enable(which) => Ask::EnableClient(which.client.clone()),
                Register::Rename(asked) => {
                    Ask::RenameClient { client: asked.client.clone(), name: asked.name.clone() }
                }
                Register::Owner(asked) => Ask::ChangeOwner(asked.member.clone()),
                Register::Address(asked) => Ask::ChangeAddress(asked.address.clone()),
                Register::Maintenance(Maintenance { state: Switch::On, message, .. }) => {
                    Ask::BeginMaintenance { message: message.clone() }
                }
                Register::Maintenance(_) | Register::List(_) => Ask::EndMaintenance,
            },
            None,
        ))
    }

    /// The authentication key whose certificate is to be registered.
    fn candidate(&self, asked: &Server) -> Result<(Entry, Arc<Certificate>), Failure> {
        if let Some(name) = &asked.key {
            let entry = self.token.entry(name).map_err(|error| not_changed(&error))?;
            if entry.usage != Usage::Auth {
                let text = format!("key {name} is for use {}, expected auth", entry.usage.word());
                return Err(Failure::new(Exit::Usage, text));
            }
            return Ok((entry.clone(), self.certificate(entry)?));
        }
        let mut found = Vec::new();
        for entry in self.token.entries().iter().filter(|e| e.usage == Usage::Auth && e.retired.is_none()) {
            let certificates = entry.certificates().map_err(|error| keys_refused(&error))?;
            let new = certificates.into_iter().next();
            found.extend(
                new.filter(|c| self.world.server_by_auth_cert(c.der()).is_none()).map(|c| (entry, c)),
            );
        }
        match found.as_slice() {
            [(entry, certificate)] => Ok(((*entry).clone(), Arc::clone(certificate))),
            [] => Err(Failure::new(Exit::NotWell, "no authentication certificate waits for registration")
                .hint("`saatkond keys list` shows what there is; --key KEY registers that one again")),
            several => {
                let names: Vec<&str> = several.iter().map(|(entry, _)| entry.name.as_str()).collect();
                let text = format!("certificates of several keys are not registered: {}", names.join(", "));
                Err(Failure::new(Exit::Usage, text).hint("add --key KEY"))
            }
        }
    }

    fn certificate(&self, entry: &Entry) -> Result<Arc<Certificate>, Failure> {
        let certificates = entry.certificates().map_err(|error| keys_refused(&error))?;
        certificates.into_iter().next().ok_or_else(|| {
            Failure::new(Exit::NotWell, format!("key {} has no certificate yet", entry.name))
                .hint(format!("saatkond keys csr {}", entry.name))
        })
    }

    /// The document with all that vouches for it.
    async fn package(&self, request: &Request, id: &str, auth: Option<Entry>) -> Result<Package, Failure> {
        let document = request.document(&self.management.provider, id);
        let mut package = Package { document, by_authentication: None, by_member: None, status: None };
        if let Some(entry) = auth {
            let certificate = self.certificate(&entry)?;
            package.by_authentication = Some(self.signature(&entry, &certificate, &package.document)?);
        }
        if let Some(member) = request.signer() {
            let (certificate, status) = self.signer(member).await?;
            let entry = self.token.holder_of(&certificate).map_err(|error| keys_refused(&error))?;
            let lost =
                || Failure::new(Exit::NotWell, "the key directory was changed meanwhile").hint("try again");
            let entry = entry.ok_or_else(lost)?;
            package.by_member = Some(self.signature(entry, &certificate, &package.document)?);
            package.status = Some(status);
        }
        Ok(package)
    }

    fn signature(
        &self,
        entry: &Entry,
        certificate: &Certificate,
        document: &[u8],
    ) -> Result<Signature, Failure> {
        let signed = self.token.sign(entry, document).map_err(|error| not_changed(&error))?;
        let (algorithm, value) = signed;
        Ok(Signature { algorithm, value, certificate: certificate.der().to_vec() })
    }

    /// The sign certificate of a member, and what its authority says of it now.
    async fn signer(&self, member: &MemberId) -> Result<(Arc<Certificate>, Vec<u8>), Failure> {
        let keys = Keys::open(&self.conf.keys_dir(), 1, self.pins).map_err(|error| keys_refused(&error))?;
        let own = keys.certificates();
        let asked = ocsp::ask_all(&own, self.world, self.now, self.bounds(limits::OCSP_BYTES_MAX));
        let (statuses, reasons) = asked.await;
        let signer = keys.signer(member, self.world, &statuses, self.now).map_err(|error| {
            let why = if reasons.is_empty() { String::new() } else { format!("; {}", reasons.join("; ")) };
            Failure::new(Exit::NotWell, format!("cannot sign for {member}: {error}{why}"))
                .hint("`saatkond keys list` shows what there is; the request is signed by whom it is about")
        })?;
        let certificate = &signer.material.certificate;
        let status = statuses.of(certificate).map(|response| response.der().to_vec());
        Ok((Arc::clone(certificate), status.unwrap_or_default()))
    }

    fn bounds(&self, bytes_max: usize) -> Bounds {
        let timeouts = &self.conf.timeouts;
        Bounds { connect: timeouts.fetch_connect, whole: timeouts.fetch, bytes_max }
    }
}
