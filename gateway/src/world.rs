//! What we believe now: one immutable picture, swapped whole.
//!
//! A request loads it once and keeps it to its end. Only jobs and the operator's commands make a new one.

use crate::conf::ServerConf;
use crate::keys::{AuthKey, Keys, NoKey, Signer, Statuses};
use arc_swap::ArcSwap;
use saatkond_proto::continuity::{Register, Use};
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::{ClientId, MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::Response;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// The picture.
#[derive(Debug, Clone)]
pub struct World {
    /// The global configuration. It may have expired: ask [`GlobalConf::is_valid_at`].
    pub conf: Arc<GlobalConf>,
    /// What this server offers.
    pub server: Arc<ServerConf>,
    /// OCSP responses of our own certificates and of the authorities above them.
    pub statuses: Arc<Statuses>,
    auth: Arc<Result<AuthKey, NoKey>>,
    signers: Arc<HashMap<MemberId, Result<Signer, NoKey>>>,
    /// What this server may do with the registers among its clients.
    standings: Arc<BTreeMap<ClientId, Standing>>,
}

/// What this server may do with one of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No register: as everywhere in X-Road.
    Plain,
    /// A register with a copy here.
    Copy,
    /// A register without a copy here: its calls may pass through.
    Door,
    /// A register that may not be here at all, and why.
    Stopped(String),
}

impl World {
    /// Paints the picture: chooses our keys for what is believed at `at`.
    #[must_use]
    pub fn new(
        id: &ServerId,
        conf: Arc<GlobalConf>,
        server: Arc<ServerConf>,
        statuses: Arc<Statuses>,
        keys: &Keys,
        at: UnixTime,
    ) -> Self {
        let auth = Arc::new(keys.auth(id, &conf, &statuses, at));
        let mut signers = HashMap::new();
        for client in server.clients() {
            let member = &client.id.member;
            if !signers.contains_key(member) {
                signers.insert(member.clone(), keys.signer(member, &conf, &statuses, at));
            }
        }
        let standings = Arc::new(standings(id, &conf, &server));
        Self { conf, server, statuses, auth, signers: Arc::new(signers), standings }
    }

    /// What this server may do with `client`.
    #[must_use]
    pub fn standing(&self, client: &ClientId) -> &Standing {
        self.standings.get(client).unwrap_or(&Standing::Plain)
    }

    /// The registers among our clients that may not be here, and why.
    pub fn stopped(&self) -> impl Iterator<Item = (&ClientId, &str)> {
        self.standings.iter().filter_map(|(client, standing)| match standing {
            Standing::Stopped(why) => Some((client, why.as_str())),
            Standing::Plain | Standing::Copy | Standing::Door => None,
        })
    }

    /// Whether a client of ours may not be here for this reason.
    #[must_use]
    pub fn is_stopped_for(&self, client: &ClientId, why: &str) -> bool {
        matches!(self.standing(client), Standing::Stopped(reason) if reason == why)
    }

    /// Our authentication key, if it serves at `at`.
    ///
    /// # Errors
    /// [`NoKey`] says why none does.
    pub fn auth(&self, at: UnixTime) -> Result<&AuthKey, NoKey> {
        match &*self.auth {
            Ok(key) if at <= key.good_until => Ok(key),
            Ok(key) => Err(lapsed("authentication key", key.good_until, at)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The sign key of `member`, if it serves at `at`.
    ///
    /// # Errors
    /// [`NoKey`] says why none does.
    pub fn signer(&self, member: &MemberId, at: UnixTime) -> Result<&Signer, NoKey> {
        match self.signers.get(member) {
            Some(Ok(key)) if at <= key.good_until => Ok(key),
            Some(Ok(key)) => Err(lapsed(&format!("sign key of {member}"), key.good_until, at)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(NoKey {
                purpose: format!("sign key of {member}"),
                reasons: vec!["no client of this server belongs to it".to_owned()],
            }),
        }
    }
}

/// What the server `id` may do with each register among the clients of `server`. Pure.
///
/// Whoever picks this door has sent plain text before anything is asked: where calls may not pass through, the register
/// may not be. A server that stands at no site is nowhere that any class allows.
#[must_use]
pub fn standings(id: &ServerId, conf: &GlobalConf, server: &ServerConf) -> BTreeMap<ClientId, Standing> {
    let Some(policy) = conf.continuity() else { return BTreeMap::new() };
    let site = policy.site_of(id);
    let registers = server.clients().filter_map(|client| policy.register(&client.id));
    let standing = |register: &Register| match site {
        None => {
            let text = "this server stands at no site that the instance lists";
            Standing::Stopped(format!("register {} may not be here: {text}", register.id))
        }
        Some(site) => match register.may(Use::Relay, site) {
            Err(forbidden) => Standing::Stopped(forbidden.to_string()),
            Ok(()) if register.is_live_at(&site.id) && register.may(Use::Copy, site).is_ok() => {
                Standing::Copy
            }
            Ok(()) => Standing::Door,
        },
    };
    registers.map(|register| (register.id.clone(), standing(register))).collect()
}

fn lapsed(purpose: &str, until: UnixTime, at: UnixTime) -> NoKey {
    let reason = format!("its certificate or OCSP responses were good until {until}, and it is {at}");
    NoKey { purpose: purpose.to_owned(), reasons: vec![reason] }
}

/// Where the present picture hangs.
pub struct WorldCell(ArcSwap<World>);

impl WorldCell {
    /// Hangs the first picture.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self(ArcSwap::from_pointee(world))
    }

    /// The present picture; keep it to the end of what you do.
    #[must_use]
    pub fn load(&self) -> Arc<World> {
        self.0.load_full()
    }

    /// Hangs a new picture. Those who hold the old one keep it.
    pub fn swap(&self, world: World) {
        self.0.store(Arc::new(world));
    }
}

impl fmt::Debug for WorldCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldCell")
    }
}

/// OCSP responses of other gateways' certificates that port 5577 told, by SHA-256 of the certificate. Bounded.
///
/// What is taken out is verified again by its reader: the cache holds no belief, only bytes that save a call.
#[derive(Debug, Clone)]
pub struct PeerStatuses(moka::sync::Cache<Vec<u8>, Arc<Response>>);

impl PeerStatuses {
    /// An empty cache for this many certificates.
    #[must_use]
    pub fn new(certificates_max: u64) -> Self {
        Self(moka::sync::Cache::new(certificates_max))
    }

    /// The response kept for the certificate with this SHA-256.
    #[must_use]
    pub fn find(&self, sha256: &[u8]) -> Option<Arc<Response>> {
        self.0.get(sha256)
    }

    /// Keeps a response.
    pub fn insert(&self, sha256: &[u8], response: Arc<Response>) {
        self.0.insert(sha256.to_vec(), response);
    }

    /// Forgets a response that no longer serves.
    pub fn forget(&self, sha256: &[u8]) {
        self.0.invalidate(sha256);
    }
}
