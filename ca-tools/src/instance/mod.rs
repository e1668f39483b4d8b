//! Members, servers, groups and approved services of an instance, from one file.
//!
//! The file ([`v1::File`]) is what its authority keeps under version control. [`Instance`] checks all of it:
//! either everything can be published in every version, or nothing changes.

pub mod continuity;
pub mod v1;

use crate::naming;
use crate::pem;
use saatkond_proto::globalconf::{
    Acme, Anchor, Authority, CertificationService, CostType, CsrFormat, GlobalGroup, ManagementService,
    Member, MemberClass, Options, PrivateParams, Responder, SecurityServer, SharedParams, Subsystem,
    TimestampingService, VERSION_MAX, VERSION_MIN,
};
use saatkond_proto::id::{ClientId, IdError, MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::{ApprovedCa, CaService, Certificate, path};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An instance as it is used: checked, with every certificate read.
#[derive(Debug, Clone)]
pub struct Instance {
    file: v1::File,
    shared: SharedParams,
    private: PrivateParams,
    options: Options,
    notes: Vec<String>,
}

/// An instance that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// A file that could not be read.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not the form of the file.
    #[error("{0}")]
    Form(String),
    /// An entry that is not what it must be.
    #[error("{entry}: {reason}")]
    Entry {
        /// Which, such as `server DEV/GOV/M2/HOME`.
        entry: String,
        /// What was expected and what came.
        reason: String,
    },
}

/// A file's entry, to say where something is wrong.
struct Place<'a>(&'a str, &'a str);

impl Place<'_> {
    fn wrong(&self, reason: impl std::fmt::Display) -> InstanceError {
        let entry = format!("{} {}", self.0, self.1).trim().to_owned();
        InstanceError::Entry { entry, reason: reason.to_string() }
    }
}

impl v1::File {
    /// Reads an instance's file, with the text of every file it names; those are named relative to it.
    ///
    /// # Errors
    /// [`InstanceError`] names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, InstanceError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| InstanceError::File { path: path.to_owned(), source })?;
        let mut file: Self =
            toml::from_str(&text).map_err(|e| InstanceError::Form(e.to_string().trim_end().to_owned()))?;
        inline(&mut file, path.parent().unwrap_or(Path::new(".")))?;
        Ok(file)
    }
}

impl Instance {
    /// Checks an instance's file, which needs no other file any more.
    ///
    /// # Errors
    /// [`InstanceError`] names the entry and what is wrong with it.
    pub fn from_file(file: v1::File, now: UnixTime) -> Result<Self, InstanceError> {
        if file.version != 1 {
            return Err(InstanceError::Form(format!("version is {}, expected 1", file.version)));
        }
        let shared = shared(&file)?;
        let private = private(&file)?;
        let mut notes = Vec::new();
        let policy = file.continuity.as_ref().map(|written| continuity::policy(written, &shared, &mut notes));
        let options = Options {
            monitoring_client: match &file.monitoring_client {
                Some(id) => Some(client(&file, id, &Place("monitoring_client", ""))?),
                None => None,
            },
            ocsp_fetch_interval: file.ocsp_fetch_interval.0,
            check_next_update: file.check_next_update,
            continuity: policy.transpose()?.map(Arc::new),
        };
        let mut instance = Self { file, shared, private, options, notes };
        instance.check_times()?;
        instance.check_places()?;
        instance.check_certificates(now)?;
        instance.note_what_may_surprise();
        Ok(instance)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.instance
    }

    /// Where its configuration is published, and by which node; `None` where the nodes are not named.
    pub fn places(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let unnamed = self.file.addresses.iter().map(|address| (None, address.as_str()));
        let named = self.file.nodes.iter();
        unnamed.chain(
            named.flat_map(|node| node.addresses.iter().map(|a| (Some(node.name.as_str()), a.as_str()))),
        )
    }

    /// How long a signed configuration holds.
    #[must_use]
    pub const fn validity(&self) -> Duration {
        self.file.validity.0
    }

    /// How often it is signed anew.
    #[must_use]
    pub const fn renewal(&self) -> Duration {
        self.file.renewal.0
    }

    /// The versions that are published.
    pub fn versions(&self) -> impl Iterator<Item = u8> + use<> {
        self.file.minimum_version..=VERSION_MAX
    }

    /// The shared parameters, without the places that publish them.
    #[must_use]
    pub const fn shared(&self) -> &SharedParams {
        &self.shared
    }

    /// The private parameters.
    #[must_use]
    pub const fn private(&self) -> &PrivateParams {
        &self.private
    }

    /// The optional parts.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What is allowed and may still surprise, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Checks that this may follow what was applied before: what was said of sites and registers is not taken back.
    ///
    /// # Errors
    /// [`InstanceError::Entry`].
    pub fn check_follows(&self, before: &Self) -> Result<(), InstanceError> {
        continuity::follows(self.options.continuity.as_deref(), before.options.continuity.as_deref())
    }

    fn check_times(&self) -> Result<(), InstanceError> {
        let file = &self.file;
        let place = Place("instance", &file.instance);
        let (stamping, freshness) = (file.timestamping_interval, file.ocsp_freshness);
        if !(60..=86_400).contains(&stamping.0.as_secs()) || stamping >= freshness {
            return Err(place.wrong(format!(
                "timestamping_interval is {stamping}, expected 1 min to 1 d and less than ocsp_freshness ({freshness})"
            )));
        }
        if file.renewal.0.is_zero() || file.renewal.0.saturating_mul(2) > file.validity.0 {
            return Err(place.wrong(format!(
                "renewal is {}, expected at most half of validity ({})",
                file.renewal, file.validity
            )));
        }
        if !(VERSION_MIN..=VERSION_MAX).contains(&file.minimum_version) {
            return Err(place.wrong(format!("minimum_version is {}, expected 2 to 6", file.minimum_version)));
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), InstanceError> {
        let place = Place("instance", &self.file.instance);
        // headers of the signed directory carry it, which know no way to quote
        if self.file.instance.contains(|c: char| c.is_control() || matches!(c, '\'' | '"' | ';')) {
            return Err(place.wrong("its name has quotes or control characters, which no header can carry"));
        }
        match (self.file.addresses.is_empty(), self.file.nodes.is_empty()) {
            (true, true) => {
                Err(place.wrong("addresses is empty, expected where the configuration is published"))
            }
            (false, false) => {
                Err(place.wrong("nodes have addresses of their own, expected no other addresses"))
            }
            _ => Ok(()),
        }
    }

    /// Every certificate must be usable for what it is listed for, now.
    fn check_certificates(&mut self, now: UnixTime) -> Result<(), InstanceError> {
        let mut approved = Vec::new();
        for ca in &self.shared.cas {
            approved.push(approve(ca)?);
        }
        for tsa in &self.shared.tsas {
            let place = Place("tsa", &tsa.name);
            let certificate = read(&tsa.certificate, &place)?;
            if !certificate.may_stamp_time() {
                return Err(place.wrong("its certificate has no extended key usage timeStamping"));
            }
            note_end(&mut self.notes, &place, &certificate, now);
        }
        for server in &self.file.servers {
            let place = Place("server", &server.id);
            for text in &server.certificates {
                let der = certificate_der(text, &place)?;
                let certificate = Arc::new(read(&der, &place)?);
                let usable = |e: path::PathError| place.wrong(e);
                if !path::is_authentication(&certificate).map_err(usable)?
                    || path::is_signing(&certificate).unwrap_or(false)
                {
                    return Err(place.wrong(format!(
                        "certificate {} is not for authentication",
                        certificate.subject_text()
                    )));
                }
                let issuer = path::to_issuer(&certificate, &[], &approved, certificate.not_before());
                issuer.map_err(usable)?;
                note_end(&mut self.notes, &place, &certificate, now);
            }
        }
        Ok(())
    }

    fn note_what_may_surprise(&mut self) {
        let provider = &self.private.management.provider;
        let listed = self.shared.members.iter().any(|member| {
            member.id == provider.member
                && provider
                    .subsystem
                    .as_ref()
                    .is_none_or(|code| member.subsystems.iter().any(|s| s.code == *code))
        });
        if !listed {
            self.notes.push(format!(
                "management provider {provider} is not among the members: no server can register by itself yet"
            ));
        }
        for server in self.shared.servers.iter().filter(|server| server.auth_cert_hashes.is_empty()) {
            self.notes.push(format!("server {} has no certificate: nobody can reach it", server.id));
        }
        if self.shared.tsas.is_empty() {
            self.notes.push("no time-stamping service is approved: message logs prove no time".to_owned());
        }
    }
}

/// How long before its end a certificate is worth a word.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);

fn note_end(notes: &mut Vec<String>, place: &Place<'_>, certificate: &Certificate, now: UnixTime) {
    if certificate.not_after() <= now.plus(WARN_BEFORE) {
        let (kind, name, end) = (place.0, place.1, certificate.not_after());
        notes.push(format!("{kind} {name}: certificate {} ends {end}", certificate.subject_text()));
    }
}

/// Puts the text of every file named into the file's place.
fn inline(file: &mut v1::File, base: &Path) -> Result<(), InstanceError> {
    if let Some(certificate) = &mut file.management.certificate {
        inline_text(certificate, base)?;
    }
    for anchor in &mut file.federated_anchors {
        inline_text(anchor, base)?;
    }
    for ca in &mut file.cas {
        inline_text(&mut ca.certificate, base)?;
        for ocsp in ca.ocsp.iter_mut().chain(ca.intermediates.iter_mut().flat_map(|i| &mut i.ocsp)) {
            if let Some(certificate) = &mut ocsp.certificate {
                inline_text(certificate, base)?;
            }
        }
        for intermediate in &mut ca.intermediates {
            inline_text(&mut intermediate.certificate, base)?;
        }
    }
    for tsa in &mut file.tsas {
        inline_text(&mut tsa.certificate, base)?;
    }
    for certificate in file.servers.iter_mut().flat_map(|server| &mut server.certificates) {
        inline_text(certificate, base)?;
    }
    Ok(())
}

/// A file's name becomes its text; a certificate in DER becomes PEM, of several the first counts.
fn inline_text(entry: &mut String, base: &Path) -> Result<(), InstanceError> {
    if entry.contains("-----BEGIN") || entry.trim_start().starts_with('<') {
        return Ok(());
    }
    let path = base.join(entry.as_str());
    let bytes = std::fs::read(&path).map_err(|source| InstanceError::File { path: path.clone(), source })?;
    *entry = match String::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with('<') => text,
        Ok(text) => {
            let first = pem::decode_all(pem::CERTIFICATE, &text).into_iter().next();
            let der = first.ok_or_else(|| InstanceError::Entry {
                entry: format!("file {}", path.display()),
                reason: "it is neither PEM, DER nor XML".to_owned(),
            })?;
            pem::encode(pem::CERTIFICATE, &der)
        }
        Err(not_text) => pem::encode(pem::CERTIFICATE, not_text.as_bytes()),
    };
    Ok(())
}

fn certificate_der(text: &str, place: &Place<'_>) -> Result<Vec<u8>, InstanceError> {
    let der = pem::decode_all(pem::CERTIFICATE, text).into_iter().next();
    let der = der.ok_or_else(|| place.wrong("expected a certificate in PEM"))?;
    read(&der, place)?;
    Ok(der)
}

fn read(der: &[u8], place: &Place<'_>) -> Result<Certificate, InstanceError> {
    Certificate::from_der(der).map_err(|e| place.wrong(e))
}

fn approve(ca: &CertificationService) -> Result<ApprovedCa, InstanceError> {
    let place = Place("ca", &ca.name);
    let service = |authority: &Authority| -> Result<CaService, InstanceError> {
        let certificate = read(&authority.certificate, &place)?;
        if !certificate.is_ca() {
            return Err(place.wrong(format!("{} is no authority's certificate", certificate.subject_text())));
        }
        Ok(CaService { certificate: Arc::new(certificate), ocsp: Vec::new() })
    };
    let top = service(&ca.top)?;
    let intermediates = ca.intermediates.iter().map(service).collect::<Result<Vec<_>, _>>()?;
    for below in &intermediates {
        let mut above = std::iter::once(&top).chain(&intermediates);
        if !above.any(|a| below.certificate.verify_signed_by(&a.certificate).is_ok()) {
            return Err(place.wrong(format!(
                "intermediate {} was issued by none of the authorities of this entry",
                below.certificate.subject_text()
            )));
        }
    }
    let profile = naming::profile_by_name(&ca.profile)
        .ok_or_else(|| place.wrong(format!("profile {:?} is not known", ca.profile)))?;
    Ok(ApprovedCa {
        name: ca.name.clone(),
        authentication_only: ca.authentication_only,
        top,
        intermediates,
        profile: Some(profile),
    })
}

fn member(file: &v1::File, id: &str, place: &Place<'_>) -> Result<MemberId, InstanceError> {
    let id: MemberId = id.parse().map_err(|e: IdError| place.wrong(e))?;
    of_instance(file, &id, place)?;
    Ok(id)
}

fn client(file: &v1::File, id: &str, place: &Place<'_>) -> Result<ClientId, InstanceError> {
    let id: ClientId = id.parse().map_err(|e: IdError| place.wrong(e))?;
    of_instance(file, &id.member, place)?;
    Ok(id)
}

fn of_instance(file: &v1::File, id: &MemberId, place: &Place<'_>) -> Result<(), InstanceError> {
    if id.instance == file.instance {
        Ok(())
    } else {
        Err(place.wrong(format!("{id} is of instance {}, expected {}", id.instance, file.instance)))
    }
}

fn shared(file: &v1::File) -> Result<SharedParams, InstanceError> {
    let mut servers = Vec::new();
    for server in &file.servers {
        servers.push(security_server(file, server)?);
    }
    let mut members = Vec::new();
    for entry in &file.members {
        let place = Place("member", &entry.id);
        let subsystems = entry.subsystems.iter();
        members.push(Member {
            id: member(file, &entry.id, &place)?,
            name: entry.name.clone(),
            subsystems: subsystems
                .map(|s| Subsystem { code: s.code.clone(), name: s.name.clone() })
                .collect(),
        });
    }
    let classes: Vec<MemberClass> = file
        .classes
        .iter()
        .map(|class| MemberClass { code: class.code.clone(), description: class.description.clone() })
        .collect();
    for entry in &members {
        if !classes.iter().any(|class| class.code == entry.id.class) {
            let reason = format!("class {:?} is not among the classes", entry.id.class);
            return Err(Place("member", &entry.id.to_string()).wrong(reason));
        }
    }
    Ok(SharedParams {
        version: VERSION_MAX,
        instance: file.instance.clone(),
        sources: Vec::new(),
        cas: file.cas.iter().map(certification_service).collect::<Result<_, _>>()?,
        tsas: file.tsas.iter().map(timestamping_service).collect::<Result<_, _>>()?,
        groups: groups(file, &members, &servers)?,
        members,
        servers,
        member_classes: classes,
        ocsp_freshness: file.ocsp_freshness.0,
    })
}

fn security_server(file: &v1::File, server: &v1::Server) -> Result<SecurityServer, InstanceError> {
    let place = Place("server", &server.id);
    let id = ServerId::from_path(&server.id).map_err(|e| place.wrong(e))?;
    of_instance(file, &id.owner, &place)?;
    if server.address.is_empty() || server.address.contains(['/', ' ']) {
        return Err(place.wrong(format!("address is {:?}, expected a host name or address", server.address)));
    }
    let mut listed = SecurityServer {
        id,
        address: server.address.clone(),
        auth_cert_hashes: Vec::new(),
        clients: Vec::new(),
        maintenance: server.maintenance.clone(),
    };
    for certificate in &server.certificates {
        listed.register(&certificate_der(certificate, &place)?);
    }
    for id in &server.clients {
        let client = client(file, id, &place)?;
        if client != listed.id.owner.client() {
            listed.clients.push(client);
        }
    }
    Ok(listed)
}

fn groups(
    file: &v1::File,
    members: &[Member],
    servers: &[SecurityServer],
) -> Result<Vec<GlobalGroup>, InstanceError> {
    let mut groups = Vec::new();
    for group in &file.groups {
        let place = Place("group", &group.code);
        if group.code == file.owners_group {
            return Err(place.wrong("it is the owners' group, which is kept by itself"));
        }
        let listed = group.members.iter().map(|id| client(file, id, &place)).collect::<Result<_, _>>()?;
        groups.push(GlobalGroup {
            code: group.code.clone(),
            description: group.description.clone(),
            members: listed,
        });
    }
    if !file.owners_group.is_empty() {
        let owns = |member: &&Member| servers.iter().any(|server| server.id.owner == member.id);
        groups.push(GlobalGroup {
            code: file.owners_group.clone(),
            description: "Security server owners".to_owned(),
            members: members.iter().filter(owns).map(|member| member.id.client()).collect(),
        });
    }
    Ok(groups)
}

fn certification_service(ca: &v1::Ca) -> Result<CertificationService, InstanceError> {
    let place = Place("ca", &ca.name);
    let profile = naming::profile_by_name(&ca.profile)
        .ok_or_else(|| place.wrong(format!("profile {:?} is not known", ca.profile)))?;
    let mut intermediates = Vec::new();
    for entry in &ca.intermediates {
        intermediates.push(authority(&entry.certificate, &entry.ocsp, &place)?);
    }
    Ok(CertificationService {
        name: ca.name.clone(),
        authentication_only: ca.authentication_only,
        top: authority(&ca.certificate, &ca.ocsp, &place)?,
        intermediates,
        profile: profile.class_name().to_owned(),
        csr_format: match &ca.csr_format {
            Some(text) => Some(
                CsrFormat::ALL
                    .into_iter()
                    .find(|format| format.text() == text)
                    .ok_or_else(|| place.wrong(format!("csr_format is {text:?}, expected PEM or DER")))?,
            ),
            None => None,
        },
        acme: ca.acme.as_ref().map(|acme| Acme {
            directory_url: acme.directory_url.clone(),
            ip_address: acme.ip_address.clone(),
            authentication_profile: acme.authentication_profile.clone(),
            signing_profile: acme.signing_profile.clone(),
        }),
    })
}

fn authority(
    certificate: &str,
    responders: &[v1::Ocsp],
    place: &Place<'_>,
) -> Result<Authority, InstanceError> {
    let mut ocsp = Vec::new();
    for responder in responders {
        ocsp.push(Responder {
            url: url(&responder.url, place)?,
            certificate: match &responder.certificate {
                Some(text) => Some(certificate_der(text, place)?),
                None => None,
            },
            cost: cost(responder.cost.as_deref(), place)?,
        });
    }
    Ok(Authority { certificate: certificate_der(certificate, place)?, ocsp })
}

fn timestamping_service(tsa: &v1::Tsa) -> Result<TimestampingService, InstanceError> {
    let place = Place("tsa", &tsa.name);
    Ok(TimestampingService {
        name: tsa.name.clone(),
        url: url(&tsa.url, &place)?,
        certificate: certificate_der(&tsa.certificate, &place)?,
        cost: cost(tsa.cost.as_deref(), &place)?,
    })
}

fn url(text: &str, place: &Place<'_>) -> Result<String, InstanceError> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.to_owned())
    } else {
        Err(place.wrong(format!("url is {text:?}, expected one of http or https")))
    }
}

fn cost(text: Option<&str>, place: &Place<'_>) -> Result<Option<CostType>, InstanceError> {
    let Some(text) = text else { return Ok(None) };
    let found = CostType::ALL.into_iter().find(|cost| cost.text() == text);
    let wrong = || place.wrong(format!("cost is {text:?}, expected FREE, PAID or UNDEFINED"));
    found.map(Some).ok_or_else(wrong)
}

fn private(file: &v1::File) -> Result<PrivateParams, InstanceError> {
    let place = Place("management", "");
    let mut anchors = Vec::new();
    for text in &file.federated_anchors {
        let anchor = Anchor::from_xml(text.as_bytes()).map_err(|e| Place("federated anchor", "").wrong(e))?;
        if anchor.instance == file.instance {
            return Err(Place("federated anchor", &anchor.instance).wrong("it is this instance's own"));
        }
        anchors.push(anchor);
    }
    Ok(PrivateParams {
        instance: file.instance.clone(),
        anchors,
        management: ManagementService {
            registration_url: url(&file.management.url, &place)?,
            registration_certificate: match &file.management.certificate {
                Some(text) => Some(certificate_der(text, &place)?),
                None => None,
            },
            provider: client(file, &file.management.provider, &place)?,
        },
        timestamping_interval: file.timestamping_interval.0,
    })
}
