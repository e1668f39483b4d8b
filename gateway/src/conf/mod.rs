//! The operator's files: how this process runs, and what this server offers.
//!
//! | file | what it holds |
//! |---|---|
//! | [`v1`] | `gateway.toml` as written |
//! | [`Conf`] | `gateway.toml` as used: checked, immutable |
//! | [`server`] | `server.toml`: clients, services, rights, local groups |

pub mod server;
pub mod units;
pub mod v1;

pub use server::{Client, Connection, Grant, LocalGroup, ServerConf, Service, ServiceKind, Subject};
pub use v1::{Beyond, Format, Jobs, Limits, Log, Output, Peers, Signing, Timeouts, Timestamping};

use saatkond_proto::id::ServerId;
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
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfError::Unreadable { file: file.to_owned(), source })?;
        Self::from_toml(&text, file)
    }

    /// Checks the text of a `gateway.toml`; paths in it are relative to `file`.
    ///
    /// # Errors
    /// [`ConfError`].
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, ConfError> {
        let written: v1::File = toml::from_str(text)
            .map_err(|e| ConfError::Malformed { file: file.to_owned(), text: e.to_string() })?;
        let beside = |path: &Path| file.parent().unwrap_or(Path::new("")).join(path);
        let refused = |key: &str, text: String, hint: Option<&str>| ConfError::Refused {
            file: file.to_owned(),
            key: key.to_owned(),
            text,
            hint: hint.map(str::to_owned),
        };
        let server: ServerId = written.server.parse().map_err(|e| refused("server", format!("{e}"), None))?;
        let listen = Listen {
            clients: written.listen.clients.0,
            clients_tls: written.listen.clients_tls.0,
            servers: written.listen.servers.0,
            ocsp: written.listen.ocsp.0,
            health: written.listen.health.0,
        };
        Ok(Self {
            file: file.to_owned(),
            server,
            anchor: beside(&written.anchor),
            server_file: beside(&written.server_file),
            state: beside(&written.state),
            demo: written.demo,
            listen,
            peers: written.peers,
            stock_peers: written.tls.stock_peers,
            limits: written.limits,
            timeouts: written.timeouts,
            signing: written.signing,
            log: written.log,
            timestamping: written.timestamping,
            jobs: written.jobs,
            output: written.output,
        })
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

    /// Bodies under way; may be lost.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.state.join("spool")
    }
}
