//! The operator's files: how this process runs, and what this server offers.
//!
//! | file | what it holds |
//! |---|---|
//! | [`v1`] | `gateway.toml` as written |
//! | [`Conf`] | `gateway.toml` as used: checked, immutable |
//! | [`server_v1`] | `server.toml` as written |
//! | [`server`] | `server.toml` as used: clients, services, rights, local groups |
//! | [`doors`] | in which order the security servers of a provider are asked |
//! | [`version`] | versions of other gateways |
//! | [`units`] | durations and sizes |
//! | `source` | files as they were read |

pub mod doors;
pub mod server;
pub mod server_v1;
pub(crate) mod source;
pub mod units;
pub mod v1;
pub mod version;

pub use doors::{Order, Preferred};
pub use server::{
    AgeSource, Client, Connection, Description, Grant, LocalGroup, ServerConf, Service, ServiceKind, Subject,
};
pub use v1::{
    Beyond, Format, Grouping, Jobs, Keys, Limits, Log, Output, Peers, Signing, Timeouts, Timestamping,
};
pub use version::{Oldest, Version};

use saatkond_proto::globalconf::locations::Federations;
use saatkond_proto::id::ServerId;
use source::Source;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How this process runs. Immutable; every value is checked.
#[derive(Debug, Clone)]
pub struct Conf {
    /// The file it was read from.
    pub file: PathBuf,
    /// Which security server this is.
    pub server: ServerId,
    /// The configuration anchor.
    pub anchor: PathBuf,
    /// `server.toml`.
    pub server_file: PathBuf,
    /// The directory of directories.
    pub state: PathBuf,
    /// Other instances whose members may be met.
    pub federations: Federations,
    /// Whether keys and configuration are a demonstration's.
    pub demo: bool,
    /// Where this process listens.
    pub listen: Listen,
    /// How other gateways are reached.
    pub peers: Peers,
    /// Whether unmodified X-Road security servers are met.
    pub stock_peers: bool,
    /// Bounds.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// The keys.
    pub keys: Keys,
    /// Signing.
    pub signing: Signing,
    /// The message log.
    pub log: Log,
    /// Time-stamping of the message log.
    pub timestamping: Timestamping,
    /// What is done unasked.
    pub jobs: Jobs,
    /// What the process says.
    pub output: Output,
}

/// Where this process listens; `None` for a door that stays shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Information systems over HTTP.
    pub clients: Option<SocketAddr>,
    /// Information systems over HTTPS.
    pub clients_tls: Option<SocketAddr>,
    /// Other gateways: messages.
    pub servers: Option<SocketAddr>,
    /// Other gateways: OCSP responses of our certificates.
    pub ocsp: Option<SocketAddr>,
    /// Other sites.
    pub sites: Option<SocketAddr>,
    /// Health and status.
    pub health: Option<SocketAddr>,
}

/// A configuration file that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfError {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key or value that is none of its format; the text names line and column.
    #[error("{}: {text}", file.display())]
    Malformed {
        /// Which.
        file: PathBuf,
        /// What is wrong, where.
        text: String,
    },
    /// A value breaks a rule.
    #[error("{}: {key}: {text}", file.display())]
    Refused {
        /// Which.
        file: PathBuf,
        /// The key.
        key: String,
        /// What was expected, what was found.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl ConfError {
    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Unreadable { .. } | Self::Malformed { .. } => None,
        }
    }
}

impl Conf {
    /// Reads and checks `gateway.toml`.
    ///
    /// # Errors
    /// [`ConfError`].
    pub fn load(file: &Path) -> Result<Self, ConfError> {
        let (bytes, _) = read(file, FILE_BYTES_MAX)?;
        Self::from_toml(&String::from_utf8_lossy(&bytes), file)
    }

    /// Checks the text of a `gateway.toml`; paths in it are relative to `file`.
    ///
    /// # Errors
    /// [`ConfError`].
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, ConfError> {
        let written: v1::File = parse(text, file)?;
        let beside = |path: &Path| file.parent().unwrap_or(Path::new("")).join(path);
        let server = written.server.parse::<ServerId>().map_err(|error| ConfError::Refused {
            file: file.to_owned(),
            key: "server".to_owned(),
            text: error.to_string(),
            hint: Some("write it as INSTANCE/CLASS/CODE/SERVER".to_owned()),
        })?;
        let listen = Listen {
            clients: written.listen.clients.0,
            clients_tls: written.listen.clients_tls.0,
            servers: written.listen.servers.0,
            ocsp: written.listen.ocsp.0,
            sites: written.listen.sites.0,
            health: written.listen.health.0,
        };
        let mut log = written.log;
        if let Some(archives) = log.archives() {
            log.archive = beside(archives);
        }
        let mut keys = written.keys;
        if let Some(pin) = keys.pin() {
            keys.pin_file = beside(pin);
        }
        let conf = Self {
            file: file.to_owned(),
            server,
            anchor: beside(&written.anchor),
            server_file: beside(&written.server_file),
            state: beside(&written.state),
            federations: Federations::parse(&written.federations),
            demo: written.demo,
            listen,
            peers: written.peers,
            stock_peers: written.tls.stock_peers,
            limits: written.limits,
            timeouts: written.timeouts,
            keys,
            signing: written.signing,
            log,
            timestamping: written.timestamping,
            jobs: written.jobs,
            output: written.output,
        };
        conf.check()?;
        Ok(conf)
    }

    fn refuse(&self, key: &str, text: String, hint: Option<&str>) -> ConfError {
        ConfError::Refused {
            file: self.file.clone(),
            key: key.to_owned(),
            text,
            hint: hint.map(str::to_owned),
        }
    }

    fn check(&self) -> Result<(), ConfError> {
        self.check_doors()?;
        let spans = [
            ("timeouts.connect", self.timeouts.connect),
            ("timeouts.idle", self.timeouts.idle),
            ("timeouts.answer", self.timeouts.answer),
            ("timeouts.fetch_connect", self.timeouts.fetch_connect),
            ("timeouts.fetch", self.timeouts.fetch),
            ("jobs.globalconf", self.jobs.globalconf),
            ("jobs.server_file", self.jobs.server_file),
            ("jobs.ocsp_retry", self.jobs.ocsp_retry),
            ("timestamping.retry", self.timestamping.retry),
            ("log.patience", self.log.patience),
            ("log.archive_every", self.log.archive_every),
        ];
        if let Some((key, _)) = spans.into_iter().find(|(_, span)| span.is_zero()) {
            return Err(self.refuse(key, "is zero, expected more".to_owned(), None));
        }
        if self.log.archives().is_some_and(|archives| archives.starts_with(self.log_dir())) {
            let text = format!("{} is within the message log", self.log.archive.display());
            return Err(self.refuse("log.archive", text, Some("name a directory of its own")));
        }
        let (mib, gib) = (1 << 20, 1 << 30);
        let numbers = [
            ("limits.exchanges_max", self.limits.exchanges_max as u64, 1, 1_000_000),
            ("limits.client_connections_max", self.limits.client_connections_max as u64, 1, 1_000_000),
            ("limits.server_connections_max", self.limits.server_connections_max as u64, 1, 1_000_000),
            ("limits.spool_memory", self.limits.spool_memory, 0, 16 * mib),
            ("signing.batch_max", self.signing.batch_max as u64, 1, 256),
            ("log.segment", self.log.segment, mib, 256 * mib),
            ("log.archive_max", self.log.archive_max, mib, gib),
            ("log.body_max", self.log.body_max, 0, gib),
            ("timestamping.records_max", self.timestamping.records_max as u64, 1, 10_000),
        ];
        let outside = numbers.into_iter().find(|(_, n, low, high)| !(low..=high).contains(&n));
        match outside {
            Some((key, n, low, high)) => {
                Err(self.refuse(key, format!("is {n}, expected {low} to {high}"), None))
            }
            None => Ok(()),
        }
    }

    /// The doors, each with its key in `gateway.toml`.
    fn doors(&self) -> [(&'static str, Option<SocketAddr>); 6] {
        let listen = &self.listen;
        [
            ("listen.clients", listen.clients),
            ("listen.clients_tls", listen.clients_tls),
            ("listen.servers", listen.servers),
            ("listen.ocsp", listen.ocsp),
            ("listen.sites", listen.sites),
            ("listen.health", listen.health),
        ]
    }

    /// The first door that others than this machine can reach: its key in `gateway.toml`, and its address.
    #[must_use]
    pub fn open_to_others(&self) -> Option<(&'static str, SocketAddr)> {
        let open = self.doors().into_iter().filter_map(|(key, address)| Some((key, address?)));
        open.into_iter().find(|(_, address)| !address.ip().is_loopback())
    }

    fn check_doors(&self) -> Result<(), ConfError> {
        if let Some((key, address)) = self.open_to_others().filter(|_| self.demo) {
            let text = format!("{address} is no loopback address, and these are a demonstration's keys");
            let hint = "make keys of your own: whoever has this demonstration's may speak in your name";
            return Err(self.refuse(key, text, Some(hint)));
        }
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        for (key, address) in self.doors() {
            let Some(address) = address else { continue };
            if let Some((other, _)) = taken.iter().find(|(_, a)| *a == address && address.port() != 0) {
                return Err(self.refuse(key, format!("{address} is taken by {other}"), None));
            }
            taken.push((key, address));
        }
        Ok(())
    }

    /// The instance this server belongs to.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.server.owner.instance
    }

    /// Private keys and their certificates.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.state.join("keys")
    }

    /// The verified global configuration, in X-Road's layout.
    #[must_use]
    pub fn globalconf_dir(&self) -> PathBuf {
        self.state.join("globalconf")
    }

    /// OCSP responses of our certificates.
    #[must_use]
    pub fn ocsp_dir(&self) -> PathBuf {
        self.state.join("ocsp")
    }

    /// The message log.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.state.join("log")
    }

    /// Who leads which register.
    #[must_use]
    pub fn authority_dir(&self) -> PathBuf {
        self.state.join("authority")
    }

    /// The newest decision about sites and registers that was taken.
    #[must_use]
    pub fn continuity_dir(&self) -> PathBuf {
        self.state.join("continuity")
    }

    /// Bodies under way; may be lost.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.state.join("spool")
    }
}

/// Bytes of a configuration file; a large server's services and rights have less than a tenth.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a file that is not larger than `allowed` bytes, and tells how it looked before.
fn read(file: &Path, allowed: u64) -> Result<(Vec<u8>, Source), ConfError> {
    let unreadable = |source| ConfError::Unreadable { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let looks = Source::new(file, &opened.metadata().map_err(unreadable)?);
    opened.take(allowed + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > allowed {
        let text = format!("larger than {} bytes", allowed);
        return Err(ConfError::Malformed { file: file.to_owned(), text });
    }
    Ok((bytes, looks))
}

/// Parses TOML of a known version; another version is named before its keys are.
fn parse<T: serde::de::DeserializeOwned>(text: &str, file: &Path) -> Result<T, ConfError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: Option<i64>,
    }
    let malformed = |text: String| ConfError::Malformed { file: file.to_owned(), text };
    let versioned: Versioned = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
    match versioned.version {
        Some(1) => toml::from_str(text).map_err(|e| malformed(e.to_string())),
        Some(other) => Err(malformed(format!("version = {other}, expected version = 1"))),
        None => Err(malformed("no version, expected version = 1".to_owned())),
    }
}

/// The number, from 1, of the line in which the byte at `offset` stands.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
