//! Shared parameters: the members, servers and trusted services of an instance.
//!
//! One model for all versions; what a version does not know is dropped when it is written and absent when it is read.
//! Spec: trust-and-configuration §2.1–2.4.

mod read;
mod write;

use crate::crypto::DigestAlgorithm;
use crate::id::{ClientId, MemberId, ServerId};
use std::time::Duration;

/// The shared parameters of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedParams {
    /// The version of the document: it tells how authentication certificates are digested.
    pub version: u8,
    /// The instance.
    pub instance: String,
    /// Where the configuration is published; from version 3.
    pub sources: Vec<Source>,
    /// Certification services that the instance approves.
    pub cas: Vec<CertificationService>,
    /// Time-stamping services that the instance approves.
    pub tsas: Vec<TimestampingService>,
    /// Members and their subsystems.
    pub members: Vec<Member>,
    /// Security servers.
    pub servers: Vec<SecurityServer>,
    /// Global groups.
    pub groups: Vec<GlobalGroup>,
    /// Classes that members may have.
    pub member_classes: Vec<MemberClass>,
    /// How old an OCSP response may be.
    pub ocsp_freshness: Duration,
}

/// One place that publishes the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Host name or IP address.
    pub address: String,
    /// Certificates that may sign what the instance's own servers read, as given.
    pub internal: Vec<Vec<u8>>,
    /// Certificates that may sign what other instances read, as given.
    pub external: Vec<Vec<u8>>,
}

/// An approved certification service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificationService {
    /// Its name, for people.
    pub name: String,
    /// Whether it may vouch for authentication certificates only.
    pub authentication_only: bool,
    /// The topmost authority.
    pub top: Authority,
    /// Authorities below it.
    pub intermediates: Vec<Authority>,
    /// The class name that says how its certificates name members.
    pub profile: String,
    /// The form that certificate requests shall have; version 6.
    pub csr_format: Option<CsrFormat>,
    /// Where certificates are had without a person; from version 3.
    pub acme: Option<Acme>,
}

/// An authority's certificate and its responders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its OCSP responders, in the order to ask them.
    pub ocsp: Vec<Responder>,
}

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// Where it answers.
    pub url: String,
    /// The certificate it signs with, DER.
    pub certificate: Option<Vec<u8>>,
    /// What asking costs; version 6.
    pub cost: Option<CostType>,
}

/// What a service costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostType {
    /// Nothing.
    Free,
    /// Money.
    Paid,
    /// Nobody said.
    Undefined,
}

/// The form of a certificate request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsrFormat {
    /// Text.
    Pem,
    /// Bytes.
    Der,
}

/// An ACME server of a certification service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Its directory.
    pub directory_url: String,
    /// The addresses it comes from, for firewalls.
    pub ip_address: Option<String>,
    /// The profile for authentication certificates; from version 4.
    pub authentication_profile: Option<String>,
    /// The profile for signing certificates; from version 4.
    pub signing_profile: Option<String>,
}

/// An approved time-stamping service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampingService {
    /// Its name, for people.
    pub name: String,
    /// Where it answers.
    pub url: String,
    /// The certificate it signs with, DER.
    pub certificate: Vec<u8>,
    /// What a time-stamp costs; version 6.
    pub cost: Option<CostType>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identifier.
    pub id: MemberId,
    /// Its name, for people.
    pub name: String,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// A subsystem of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsystem {
    /// Its code.
    pub code: String,
    /// Its name, for people; from version 5.
    pub name: Option<String>,
}

/// A security server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityServer {
    /// Its identifier.
    pub id: ServerId,
    /// Host name or IP address; empty when none is registered.
    pub address: String,
    /// Digests of its registered authentication certificates' DER: SHA-1 in version 2, SHA-256 from version 3.
    ///
    /// What is to be written in several versions carries both; each version takes those of its own length.
    pub auth_cert_hashes: Vec<Vec<u8>>,
    /// Who is registered on it, the owner aside.
    pub clients: Vec<ClientId>,
    /// What its administrator says about its being in maintenance; `None` when it is not. From version 5.
    pub maintenance: Option<String>,
}

/// A global group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalGroup {
    /// Its code.
    pub code: String,
    /// What it is, for people.
    pub description: String,
    /// Who is in it: exactly these, a member does not bring its subsystems.
    pub members: Vec<ClientId>,
}

/// A class of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberClass {
    /// Its code.
    pub code: String,
    /// What it is, for people.
    pub description: String,
}

impl SharedParams {
    /// What authentication certificates are digested with in a document of this version.
    #[must_use]
    pub const fn auth_cert_digest(version: u8) -> DigestAlgorithm {
        if version <= super::VERSION_MIN { DigestAlgorithm::Sha1 } else { DigestAlgorithm::Sha256 }
    }
}

impl SecurityServer {
    /// Registers an authentication certificate, so that every version lists it.
    pub fn register(&mut self, certificate_der: &[u8]) {
        for algorithm in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256] {
            self.auth_cert_hashes.push(algorithm.digest(certificate_der));
        }
    }
}

impl CostType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Free, Self::Paid, Self::Undefined];

    /// As it stands in the document.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Free => "FREE",
            Self::Paid => "PAID",
            Self::Undefined => "UNDEFINED",
        }
    }
}

impl CsrFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Pem, Self::Der];

    /// As it stands in the document.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pem => "PEM",
            Self::Der => "DER",
        }
    }
}
