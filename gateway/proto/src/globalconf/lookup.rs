//! One immutable picture of the configuration, and the questions that a message asks of it.
//!
//! Spec: trust-and-configuration §2.4, message-path §2.3, §2.4, §4.6.

use super::options::Options;
use super::picture::Picture;
use super::private::PrivateParams;
use super::shared::{GlobalGroup, Member, MemberClass, SecurityServer, SharedParams};
use crate::continuity::Policy;
use crate::id::{ClientId, MemberId, ServerId};
use crate::signature::Memory;
use crate::time::UnixTime;
use crate::trust::{ApprovedCa, Certificate, OcspPolicy};
use std::collections::BTreeMap;
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
    /// Nothing says which the own instance is.
    #[error("nothing says which instance is the own one")]
    MissingIdentifier,
    /// The own instance's configuration is not read.
    #[error("the configuration of the own instance {instance:?} is not read: {why}")]
    Unreadable {
        /// Its name.
        instance: String,
        /// Why.
        why: String,
    },
    /// Private parameters of another instance than the shared ones beside them.
    #[error("private parameters of {found:?}, expected {expected:?}")]
    Private {
        /// The instance of the shared parameters.
        expected: String,
        /// The instance of the private parameters.
        found: String,
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
    own: Arc<Picture>,
    private: Option<Arc<PrivateParams>>,
    options: Options,
    /// All instances, the own one among them.
    instances: BTreeMap<String, Arc<Picture>>,
    tsa_certificates: Vec<Arc<Certificate>>,
    policy_trouble: Option<String>,
    memory: Memory,
}

impl GlobalConf {
    /// Makes the picture.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn new(own_instance: &str, instances: Vec<Instance>) -> Result<Self, LookupError> {
        let mut own = None;
        let mut pictures = BTreeMap::new();
        for Instance { shared, private, expires, options } in instances {
            let name = shared.instance.clone();
            if let Some(private) = private.as_ref().filter(|p| p.instance != name) {
                return Err(LookupError::Private { expected: name, found: private.instance.clone() });
            }
            let picture = Arc::new(Picture::of(shared, expires));
            if name == own_instance {
                own = Some((Arc::clone(&picture), private.map(Arc::new), options));
            }
            if pictures.insert(name.clone(), picture).is_some() {
                return Err(LookupError::Twice { instance: name });
            }
        }
        let (own, private, options) =
            own.ok_or_else(|| LookupError::MissingInstance { instance: own_instance.to_owned() })?;
        Ok(Self {
            own,
            private,
            options,
            instances: BTreeMap::new(),
            tsa_certificates: Vec::new(),
            policy_trouble: None,
            memory: Memory::default(),
        }
        .with(pictures))
    }

    /// The same picture with another decision about sites and registers than was published, and why.
    #[must_use]
    pub fn with_policy(mut self, policy: Option<Arc<Policy>>, trouble: Option<String>) -> Self {
        self.options.continuity = policy;
        self.policy_trouble = trouble;
        self
    }

    fn with(mut self, instances: BTreeMap<String, Arc<Picture>>) -> Self {
        let tsas = instances.values().flat_map(|i| &i.tsas);
        self.tsa_certificates = tsas.map(|tsa| Arc::clone(&tsa.certificate)).collect();
        self.instances = instances;
        self
    }

    /// The same picture without the other instances whose configuration has expired at `now`. Cheap.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> Self {
        let holds = |i: &&Arc<Picture>| i.name == self.own.name || i.expires > now;
        let kept = self.instances.values().filter(holds);
        let kept = kept.map(|i| (i.name.clone(), Arc::clone(i))).collect();
        self.clone().with(kept)
    }

    /// When [`GlobalConf::at`] would next drop an instance; `None` without other instances.
    #[must_use]
    pub fn changes(&self) -> Option<UnixTime> {
        self.instances.values().filter(|i| i.name != self.own.name).map(|i| i.expires).min()
    }

    /// Signatures that were found to hold under this configuration.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The own instance.
    #[must_use]
    pub fn own_instance(&self) -> &str {
        &self.own.name
    }

    /// Whether the own instance's configuration still holds; without it no message is taken.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        now <= self.expires()
    }

    /// Until when the own instance's configuration holds.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.own.expires
    }

    /// The version of the own instance's configuration.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.own.version
    }

    /// The own instance's private parameters.
    #[must_use]
    pub fn private(&self) -> Option<&PrivateParams> {
        self.private.as_deref()
    }

    /// All instances' names, in order.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.keys().map(String::as_str)
    }

    /// What an instance lists and we cannot use, for the log: a certificate or profile we do not know. It is trusted nowhere.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.instances.values().flat_map(|i| &i.left_out).map(String::as_str)
    }

    /// The authorities that an instance approves; none for an unknown instance.
    #[must_use]
    pub fn approved_cas(&self, instance: &str) -> &[ApprovedCa] {
        self.instance(instance).map_or(&[], |i| &i.cas)
    }

    /// The authorities that any instance approves.
    #[must_use]
    pub fn all_cas(&self) -> Vec<&ApprovedCa> {
        self.instances.values().flat_map(|i| &i.cas).collect()
    }

    /// The certificates of the time-stamping authorities that any instance approves.
    #[must_use]
    pub fn tsa_certificates(&self) -> &[Arc<Certificate>] {
        &self.tsa_certificates
    }

    /// The time-stamping authorities that an instance approves; none for an unknown instance.
    #[must_use]
    pub fn tsas(&self, instance: &str) -> &[Tsa] {
        self.instance(instance).map_or(&[], |i| &i.tsas)
    }

    /// How old OCSP responses may be, by the own instance's rule.
    #[must_use]
    pub fn ocsp_policy(&self) -> OcspPolicy {
        OcspPolicy { freshness: self.own.freshness, check_next_update: self.options.check_next_update }
    }

    /// How often OCSP responses are fetched.
    #[must_use]
    pub const fn ocsp_fetch_interval(&self) -> Duration {
        self.options.ocsp_fetch_interval
    }

    /// How often the message log is time-stamped: a minute unless the private parameters say otherwise, never zero.
    #[must_use]
    pub fn timestamping_interval(&self) -> Duration {
        let told = self.private().map_or(Duration::from_secs(60), |p| p.timestamping_interval);
        told.max(Duration::from_secs(1))
    }

    /// Who besides the owner may ask the own instance's servers for their state.
    #[must_use]
    pub const fn monitoring_client(&self) -> Option<&ClientId> {
        self.options.monitoring_client.as_ref()
    }

    /// What the own instance has decided about its sites and registers; `None` where it has none.
    #[must_use]
    pub fn continuity(&self) -> Option<&Policy> {
        self.options.continuity.as_deref()
    }

    /// Why that is another decision than was published; `None` when it is the same.
    #[must_use]
    pub fn continuity_trouble(&self) -> Option<&str> {
        self.policy_trouble.as_deref()
    }

    /// The servers on which a client is registered, or that it owns.
    #[must_use]
    pub fn servers_of(&self, client: &ClientId) -> Vec<&SecurityServer> {
        self.instance(&client.member.instance).map(|i| i.servers_of(client).collect()).unwrap_or_default()
    }

    /// A server by its identifier.
    #[must_use]
    pub fn server(&self, id: &ServerId) -> Option<&SecurityServer> {
        self.instance(&id.owner.instance)?.server(id)
    }

    /// The server that registered this authentication certificate; the own instance is asked first.
    ///
    /// Each instance is asked with the digest of its own version. Seen: X-Road 7.8 takes the own instance's for all.
    #[must_use]
    pub fn server_by_auth_cert(&self, der: &[u8]) -> Option<&SecurityServer> {
        let others = self.instances.values().filter(|i| i.name != self.own.name);
        std::iter::once(&self.own).chain(others).find_map(|i| i.server_by_auth_cert(der))
    }

    /// Whether this authentication certificate belongs to a server of the client's own instance that serves the client.
    #[must_use]
    pub fn is_auth_cert_of(&self, client: &ClientId, der: &[u8]) -> bool {
        self.instance(&client.member.instance).is_some_and(|i| i.is_auth_cert_of(client, der))
    }

    /// Whether a client is registered on a server, or owns it.
    #[must_use]
    pub fn is_registered_on(&self, client: &ClientId, server: &SecurityServer) -> bool {
        self.instance(&client.member.instance)
            .is_some_and(|i| i.servers_of(client).any(|s| s.id == server.id))
    }

    /// Whether a client is a member or subsystem of its instance.
    #[must_use]
    pub fn knows(&self, client: &ClientId) -> bool {
        self.instance(&client.member.instance).is_some_and(|i| i.knows(client))
    }

    /// Whether an instance is known.
    #[must_use]
    pub fn knows_instance(&self, instance: &str) -> bool {
        self.instances.contains_key(instance)
    }

    /// Whether a client is in a global group of an instance: exactly, a member does not bring its subsystems.
    #[must_use]
    pub fn is_in_group(&self, client: &ClientId, instance: &str, code: &str) -> bool {
        self.instance(instance).is_some_and(|i| i.is_in_group(client, code))
    }

    /// The members of an instance, as `listClients` tells them.
    #[must_use]
    pub fn members(&self, instance: &str) -> &[Member] {
        self.instance(instance).map_or(&[], |i| &i.members)
    }

    /// A member's name.
    #[must_use]
    pub fn name_of(&self, member: &MemberId) -> Option<&str> {
        self.instance(&member.instance)?.name_of(member)
    }

    /// The global groups of an instance.
    #[must_use]
    pub fn groups(&self, instance: &str) -> &[GlobalGroup] {
        self.instance(instance).map_or(&[], |i| &i.groups)
    }

    /// The member classes of an instance.
    #[must_use]
    pub fn member_classes(&self, instance: &str) -> &[MemberClass] {
        self.instance(instance).map_or(&[], |i| &i.member_classes)
    }

    /// The security servers of an instance.
    #[must_use]
    pub fn servers(&self, instance: &str) -> &[SecurityServer] {
        self.instance(instance).map_or(&[], |i| &i.servers)
    }

    fn instance(&self, name: &str) -> Option<&Picture> {
        self.instances.get(name).map(AsRef::as_ref)
    }
}
