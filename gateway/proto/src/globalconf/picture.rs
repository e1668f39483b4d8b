//! One instance, with the indexes that questions are answered from.
//!
//! Spec: trust-and-configuration §2.4. Built once for each configuration that was fetched.

use super::lookup::Tsa;
use super::shared::{
    Authority, CertificationService, GlobalGroup, Member, MemberClass, SecurityServer, SharedParams,
    TimestampingService,
};
use crate::crypto::DigestAlgorithm;
use crate::id::{ClientId, MemberId, ServerId};
use crate::time::UnixTime;
use crate::trust::profile::Profile;
use crate::trust::{ApprovedCa, CaService, Certificate, OcspService};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// One instance.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) version: u8,
    pub(super) expires: UnixTime,
    pub(super) freshness: Duration,
    pub(super) cas: Vec<ApprovedCa>,
    pub(super) tsas: Vec<Tsa>,
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<GlobalGroup>,
    pub(super) member_classes: Vec<MemberClass>,
    pub(super) servers: Vec<SecurityServer>,
    /// What the instance lists and nobody here can use.
    pub(super) left_out: Vec<String>,
    digest: DigestAlgorithm,
    /// Every member and subsystem, and where its servers stand in `servers`.
    clients: HashMap<ClientId, Vec<usize>>,
    by_id: HashMap<ServerId, usize>,
    by_auth_cert: HashMap<Vec<u8>, usize>,
    names: HashMap<MemberId, usize>,
    in_groups: HashMap<String, HashSet<ClientId>>,
}

impl Picture {
    /// Indexes an instance's shared parameters.
    pub(super) fn of(shared: SharedParams, expires: UnixTime) -> Self {
        let mut left_out = Vec::new();
        let cas = shared.cas.iter().filter_map(|ca| approved(ca, &shared.instance, &mut left_out)).collect();
        let tsas = shared.tsas.iter().filter_map(|t| tsa(t, &shared.instance, &mut left_out)).collect();
        let mut picture = Self {
            name: shared.instance,
            version: shared.version,
            expires,
            freshness: shared.ocsp_freshness,
            cas,
            tsas,
            digest: SharedParams::auth_cert_digest(shared.version),
            left_out,
            clients: HashMap::new(),
            by_id: HashMap::new(),
            by_auth_cert: HashMap::new(),
            names: HashMap::new(),
            in_groups: HashMap::new(),
            members: shared.members,
            groups: shared.groups,
            member_classes: shared.member_classes,
            servers: shared.servers,
        };
        picture.index();
        picture
    }

    fn index(&mut self) {
        for (at, member) in self.members.iter().enumerate() {
            self.names.entry(member.id.clone()).or_insert(at);
            self.clients.entry(member.id.client()).or_default();
            for subsystem in &member.subsystems {
                self.clients.entry(member.id.subsystem(&subsystem.code)).or_default();
            }
        }
        let length = self.digest.digest(&[]).len();
        for (at, server) in self.servers.iter().enumerate() {
            self.by_id.entry(server.id.clone()).or_insert(at);
            for hash in server.auth_cert_hashes.iter().filter(|h| h.len() == length) {
                self.by_auth_cert.entry(hash.clone()).or_insert(at);
            }
            let owner = server.id.owner.client();
            for client in std::iter::once(&owner).chain(&server.clients) {
                let of_client = self.clients.entry(client.clone()).or_default();
                if !of_client.contains(&at) {
                    of_client.push(at);
                }
            }
        }
        for group in &self.groups {
            self.in_groups.entry(group.code.clone()).or_default().extend(group.members.iter().cloned());
        }
    }

    /// The servers that a client owns or is registered on.
    pub(super) fn servers_of(&self, client: &ClientId) -> impl Iterator<Item = &SecurityServer> {
        self.clients.get(client).into_iter().flatten().filter_map(|at| self.servers.get(*at))
    }

    pub(super) fn server(&self, id: &ServerId) -> Option<&SecurityServer> {
        self.servers.get(*self.by_id.get(id)?)
    }

    pub(super) fn server_by_auth_cert(&self, der: &[u8]) -> Option<&SecurityServer> {
        self.servers.get(*self.by_auth_cert.get(&self.digest.digest(der))?)
    }

    pub(super) fn is_auth_cert_of(&self, client: &ClientId, der: &[u8]) -> bool {
        let hash = self.digest.digest(der);
        self.servers_of(client).any(|server| server.auth_cert_hashes.contains(&hash))
    }

    pub(super) fn knows(&self, client: &ClientId) -> bool {
        self.clients.contains_key(client)
    }

    pub(super) fn name_of(&self, member: &MemberId) -> Option<&str> {
        Some(&self.members.get(*self.names.get(member)?)?.name)
    }

    pub(super) fn is_in_group(&self, client: &ClientId, code: &str) -> bool {
        self.in_groups.get(code).is_some_and(|members| members.contains(client))
    }
}

/// What is trusted of a certification service; `None`, and a line for the log, when its topmost certificate is not read.
fn approved(ca: &CertificationService, instance: &str, left_out: &mut Vec<String>) -> Option<ApprovedCa> {
    let place = format!("{instance}: certification service {}", ca.name);
    let profile = Profile::from_class_name(&ca.profile);
    if profile.is_none() {
        left_out.push(format!("{place}: unknown certificate profile {}", ca.profile));
    }
    Some(ApprovedCa {
        name: ca.name.clone(),
        authentication_only: ca.authentication_only,
        top: service(&ca.top, &place, left_out)?,
        intermediates: ca.intermediates.iter().filter_map(|i| service(i, &place, left_out)).collect(),
        profile,
    })
}

fn service(authority: &Authority, place: &str, left_out: &mut Vec<String>) -> Option<CaService> {
    let certificate = read(&authority.certificate, &format!("{place}: authority"), left_out)?;
    let ocsp = authority.ocsp.iter().map(|responder| OcspService {
        url: responder.url.clone(),
        certificate: responder
            .certificate
            .as_ref()
            .and_then(|der| read(der, &format!("{place}: responder {}", responder.url), left_out)),
    });
    Some(CaService { ocsp: ocsp.collect(), certificate })
}

fn tsa(tsa: &TimestampingService, instance: &str, left_out: &mut Vec<String>) -> Option<Tsa> {
    let place = format!("{instance}: time-stamping service {}", tsa.name);
    let certificate = read(&tsa.certificate, &place, left_out)?;
    Some(Tsa { name: tsa.name.clone(), url: tsa.url.clone(), certificate })
}

fn read(der: &[u8], place: &str, left_out: &mut Vec<String>) -> Option<Arc<Certificate>> {
    match Certificate::from_der(der) {
        Ok(certificate) => Some(Arc::new(certificate)),
        Err(error) => {
            left_out.push(format!("{place}: {error}"));
            None
        }
    }
}
