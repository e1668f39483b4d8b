//! Opens a gateway: every store it needs, and the first picture.

use super::globalconf::{self, Client, GlobalConfError};
use super::ocsp;
use crate::Gateway;
use crate::clock::Clock;
use crate::conf::{Conf, ConfError, ServerConf};
use crate::embassy::Embassy;
use crate::embassy::authority::AuthorityError;
use crate::keys::pin::PinSource;
use crate::keys::{Keys, KeysError};
use crate::messagelog::{Bounds, LogError, MessageLog, Policy, Spool, SpoolError};
use crate::net::{Net, random};
use crate::world::{PeerStatuses, World, WorldCell};
use saatkond_proto::globalconf::GlobalConf;
use std::sync::Arc;

/// A gateway that does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// `server.toml`.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A demonstration's keys, where others could reach them.
    #[error(
        "the keys in {dir} are a demonstration's, and this gateway does not listen on loopback alone: \
         {door} is {address}"
    )]
    DemoKeys {
        /// Where they lie.
        dir: String,
        /// The key in `gateway.toml` of the door that is open to others.
        door: &'static str,
        /// Its address.
        address: std::net::SocketAddr,
    },
    /// The message log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Who leads which register.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A gateway's stores, open; what is missing is the global configuration.
#[derive(Debug)]
pub struct Opened {
    conf: Arc<Conf>,
    clock: Clock,
    keys: Keys,
    server: ServerConf,
    log: MessageLog,
    spool: Spool,
    embassy: Embassy,
    client: Client,
}

/// Certificates of other gateways whose responses are kept at once.
const PEER_CERTIFICATES_MAX: u64 = 10_000;

/// Opens keys, message log, spool and what is kept of authority, and reads `server.toml`.
///
/// # Errors
/// [`OpenError`].
pub fn open(conf: Arc<Conf>, clock: Clock) -> Result<Opened, OpenError> {
    let keys = Keys::open(&conf.keys_dir(), conf.signing.batch_max, &PinSource::of(conf.keys.pin()))?;
    if keys.are_a_demonstration()
        && let Some((door, address)) = conf.open_to_others()
    {
        return Err(OpenError::DemoKeys { dir: conf.keys_dir().display().to_string(), door, address });
    }
    let server = ServerConf::load(&conf.server_file, conf.instance())?;
    let bounds = Bounds {
        memory: conf.limits.spool_memory,
        body_max: conf.limits.body_max,
        files_max: conf.limits.spool_max,
    };
    let policy = Policy { log: conf.log.clone(), timestamping: conf.timestamping.clone() };
    let log = MessageLog::open(&conf.log_dir(), clock.clone(), policy)?;
    let spool = Spool::open(&conf.spool_dir(), bounds)?;
    let embassy = Embassy::open(&conf.authority_dir(), log.heard()?)?;
    Ok(Opened { conf, clock, keys, server, log, spool, embassy, client: Client::default() })
}

impl Opened {
    /// Whether there is a key that information systems can meet over HTTPS.
    #[must_use]
    pub fn has_internal_tls(&self) -> bool {
        self.keys.internal_tls().is_some()
    }

    /// The global configuration that is stored, if it still holds; else it is fetched.
    ///
    /// # Errors
    /// [`GlobalConfError`] of the fetching; it may be tried again.
    pub async fn globalconf(&self) -> Result<GlobalConf, GlobalConfError> {
        let now = self.clock.now();
        let stored = globalconf::load(&self.conf);
        match stored {
            Ok(conf) if conf.is_valid_at(now) => return Ok(conf),
            Ok(conf) => tracing::info!(expired = %conf.expires(), "stored global configuration has expired"),
            Err(error) => tracing::info!(%error, "no stored global configuration"),
        }
        let seed = random::bytes().map(u64::from_le_bytes).unwrap_or_default();
        self.client.fetch(&self.conf, now, seed).await
    }

    /// The gateway, with the first picture painted from this configuration and the responses kept on disk.
    #[must_use]
    pub fn gateway(self, globalconf: GlobalConf) -> Gateway {
        let Self { conf, clock, keys, server, log, spool, embassy, client: _ } = self;
        let now = clock.now();
        let statuses = ocsp::load(&conf.ocsp_dir(), &keys.certificates(), &globalconf, now);
        let world = World::new(
            &conf.server,
            Arc::new(globalconf.at(now)),
            Arc::new(server),
            Arc::new(statuses),
            &keys,
            now,
        );
        for (register, why) in world.stopped() {
            tracing::error!(%register, why, "register stopped: it may not be served here");
        }
        Gateway {
            net: Net::new(&conf),
            embassy,
            peer_statuses: PeerStatuses::new(PEER_CERTIFICATES_MAX),
            world: Arc::new(WorldCell::new(world)),
            conf,
            clock,
            keys,
            log,
            spool,
        }
    }
}
