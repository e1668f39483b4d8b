//! One immutable picture of the configuration, and the questions that a message asks of it.
//!
//! Spec: trust-and-configuration §2.4, message-path §2.3, §2.4, §4.6.

use super::options::Options;
use super::private::PrivateParams;
use super::shared::{GlobalGroup, Member, MemberClass, SecurityServer, SharedParams};
use crate::id::{ClientId, MemberId, ServerId};
use crate::time::UnixTime;
use crate::trust::{ApprovedCa, Certificate, OcspPolicy};
use std::sync::Arc;
use std::time::Duration;

/// One instance's configuration as it was verified.
#[derive(Debug, Clone)]
pub struct Instance {
    /// What all see.
    pub shared: SharedParams,
    /// What its own servers see; the own instance has it.
    pub private: Option<PrivateParams>,
    /// Until when it holds.
    pub expires: UnixTime,
    /// The optional parts; those of the own instance count.
    pub options: Options,
}

/// A time-stamping authority.
#[derive(Debug, Clone)]
pub struct Tsa {
    /// Its name, for people.
    pub name: String,
    /// Where it answers.
    pub url: String,
    /// The certificate it signs with.
    pub certificate: Arc<Certificate>,
}

/// A picture that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The own instance is not there.
    #[error("no configuration of the own instance {instance:?}")]
    MissingInstance {
        /// Its name.
        instance: String,
    },
    /// The own instance has no private parameters.
    #[error("no private parameters of the own instance {instance:?}")]
    MissingPrivate {
        /// Its name.
        instance: String,
    },
    /// An instance given twice.
    #[error("instance {instance:?} is given twice")]
    Twice {
        /// Its name.
        instance: String,
    },
}

/// The configuration of the own instance and of those in federation with it, at one moment.
#[derive(Debug, Clone)]
pub struct GlobalConf {
    own: String,
    cas: Vec<ApprovedCa>,
    tsas: Vec<Tsa>,
    tsa_certificates: Vec<Arc<Certificate>>,
    members: Vec<Member>,
}

impl GlobalConf {
    /// Makes the picture.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn new(own_instance: &str, instances: Vec<Instance>) -> Result<Self, LookupError> {
        let _ = instances;
        Err(LookupError::MissingInstance { instance: own_instance.to_owned() })
    }

    /// The same picture without the other instances whose configuration has expired at `now`.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> Self {
        let _ = now;
        self.clone()
    }

    /// When [`GlobalConf::at`] would next drop an instance; `None` without other instances.
    #[must_use]
    pub fn changes(&self) -> Option<UnixTime> {
        None
    }

    /// The own instance.
    #[must_use]
    pub fn own_instance(&self) -> &str {
        &self.own
    }

    /// Whether the own instance's configuration still holds; without it no message is taken.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        now <= self.expires()
    }

    /// Until when the own instance's configuration holds.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        UnixTime::from_secs(0)
    }

    /// The version of the own instance's configuration.
    #[must_use]
    pub const fn version(&self) -> u8 {
        super::VERSION_MAX
    }

    /// The own instance's private parameters.
    #[must_use]
    pub const fn private(&self) -> Option<&PrivateParams> {
        None
    }

    /// All instances' names, in order.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.own.as_str())
    }

    /// What an instance lists and we cannot use, for the log: a certificate or profile we do not know. It is trusted nowhere.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// The authorities that an instance approves; none for an unknown instance.
    #[must_use]
    pub fn approved_cas(&self, instance: &str) -> &[ApprovedCa] {
        let _ = instance;
        &self.cas
    }

    /// The authorities that any instance approves.
    #[must_use]
    pub fn all_cas(&self) -> Vec<&ApprovedCa> {
        self.cas.iter().collect()
    }

    /// The certificates of the time-stamping authorities that any instance approves.
    #[must_use]
    pub fn tsa_certificates(&self) -> &[Arc<Certificate>] {
        &self.tsa_certificates
    }

    /// The time-stamping authorities that an instance approves; none for an unknown instance.
    #[must_use]
    pub fn tsas(&self, instance: &str) -> &[Tsa] {
        let _ = instance;
        &self.tsas
    }

    /// How old OCSP responses may be, by the own instance's rule.
    #[must_use]
    pub const fn ocsp_policy(&self) -> OcspPolicy {
        OcspPolicy { freshness: Duration::ZERO, check_next_update: true }
    }

    /// How often OCSP responses are fetched.
    #[must_use]
    pub const fn ocsp_fetch_interval(&self) -> Duration {
        Duration::from_secs(1200)
    }

    /// How often the message log is time-stamped.
    #[must_use]
    pub const fn timestamping_interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Who besides the owner may ask the own instance's servers for their state.
    #[must_use]
    pub const fn monitoring_client(&self) -> Option<&ClientId> {
        None
    }

    /// The servers on which a client is registered, or that it owns.
    #[must_use]
    pub fn servers_of(&self, client: &ClientId) -> Vec<&SecurityServer> {
        let _ = client;
        Vec::new()
    }

    /// A server by its identifier.
    #[must_use]
    pub fn server(&self, id: &ServerId) -> Option<&SecurityServer> {
        let _ = id;
        None
    }

    /// The server that registered this authentication certificate; the own instance is asked first.
    #[must_use]
    pub fn server_by_auth_cert(&self, der: &[u8]) -> Option<&SecurityServer> {
        let _ = der;
        None
    }

    /// Whether this authentication certificate belongs to a server of the client's own instance that serves the client.
    #[must_use]
    pub fn is_auth_cert_of(&self, client: &ClientId, der: &[u8]) -> bool {
        let _ = (client, der);
        false
    }

    /// Whether a client is registered on a server, or owns it.
    #[must_use]
    pub fn is_registered_on(&self, client: &ClientId, server: &SecurityServer) -> bool {
        let _ = (client, server);
        false
    }

    /// Whether a client is a member or subsystem of its instance.
    #[must_use]
    pub fn knows(&self, client: &ClientId) -> bool {
        let _ = client;
        false
    }

    /// Whether an instance is known.
    #[must_use]
    pub fn knows_instance(&self, instance: &str) -> bool {
        let _ = instance;
        false
    }

    /// Whether a client is in a global group of an instance: exactly, a member does not bring its subsystems.
    #[must_use]
    pub fn is_in_group(&self, client: &ClientId, instance: &str, code: &str) -> bool {
        let _ = (client, instance, code);
        false
    }

    /// The members of an instance, as `listClients` tells them.
    #[must_use]
    pub fn members(&self, instance: &str) -> &[Member] {
        let _ = instance;
        &self.members
    }

    /// A member's name.
    #[must_use]
    pub fn name_of(&self, member: &MemberId) -> Option<&str> {
        let _ = member;
        None
    }

    /// The global groups of an instance.
    #[must_use]
    pub fn groups(&self, instance: &str) -> &[GlobalGroup] {
        let _ = instance;
        &[]
    }

    /// The member classes of an instance.
    #[must_use]
    pub fn member_classes(&self, instance: &str) -> &[MemberClass] {
        let _ = instance;
        &[]
    }

    /// The security servers of an instance.
    #[must_use]
    pub fn servers(&self, instance: &str) -> &[SecurityServer] {
        let _ = instance;
        &[]
    }
}
