//! `gateway.toml` as written, version 1. Unknown keys are refused.
//!
//! Each field says its unit, its default and what it costs to change. Everything here is read once, at start: a change
//! needs a restart.

use super::doors::{Order, Preferred};
use super::units::{bytes, span};
use super::version::Oldest;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Version of this format. Required: `1`.
    pub version: u32,
    /// Which security server this is, `INSTANCE/CLASS/CODE/SERVER`. Required.
    pub server: String,
    /// Directory that holds `keys/`, `globalconf/`, `ocsp/`, `log/`, `authority/` and `spool/`; relative to this file. Required.
    pub state: PathBuf,
    /// The instance's configuration anchor; relative to this file. Default: `configuration-anchor.xml`.
    #[serde(default = "default_anchor")]
    pub anchor: PathBuf,
    /// What this server offers; relative to this file. Default: `server.toml`.
    #[serde(default = "default_server_file")]
    pub server_file: PathBuf,
    /// Other instances whose members may be met, by name and separated by commas, or `all`. Default: `none`.
    #[serde(default = "default_federations")]
    pub federations: String,
    /// Whether keys and configuration are a demonstration's: refused on anything but loopback. Default: `false`.
    #[serde(default)]
    pub demo: bool,
    /// Where this process listens.
    #[serde(default)]
    pub listen: Listen,
    /// How other gateways are reached.
    #[serde(default)]
    pub peers: Peers,
    /// Transport security.
    #[serde(default)]
    pub tls: Tls,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Time limits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The keys in `state`'s `keys/`.
    #[serde(default)]
    pub keys: Keys,
    /// Signing.
    #[serde(default)]
    pub signing: Signing,
    /// The message log.
    #[serde(default)]
    pub log: Log,
    /// Time-stamping of the message log.
    #[serde(default)]
    pub timestamping: Timestamping,
    /// What is done unasked.
    #[serde(default)]
    pub jobs: Jobs,
    /// What the process says.
    #[serde(default)]
    pub output: Output,
}

fn default_anchor() -> PathBuf {
    PathBuf::from("configuration-anchor.xml")
}

fn default_federations() -> String {
    "none".to_owned()
}

fn default_server_file() -> PathBuf {
    PathBuf::from("server.toml")
}

/// Where this process listens: `ADDRESS:PORT`, or `off`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Information systems over HTTP. Default: `127.0.0.1:8080`.
    pub clients: Door,
    /// Information systems over HTTPS; needs a key of use `internal-tls`. Default: `off`.
    pub clients_tls: Door,
    /// Other gateways: messages. Default: `0.0.0.0:5500`.
    pub servers: Door,
    /// Other gateways: OCSP responses of our certificates. Default: `0.0.0.0:5577`.
    pub ocsp: Door,
    /// Other sites of the registers that this server serves: calls that they pass on, and who leads. Default: `off`.
    pub sites: Door,
    /// Health and status for orchestrators and `saatkond status`. Default: `127.0.0.1:5580`.
    pub health: Door,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door(pub Option<SocketAddr>);

/// How other gateways are reached. All members of an instance use the same numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peers {
    /// Port on which they take messages. Default: `5500`.
    pub port: u16,
    /// Port on which they tell the OCSP responses of their certificates. Default: `5577`.
    pub ocsp_port: u16,
    /// Which of a provider's servers is asked first: `given`, the one that `doors` prefers, else as the global
    /// configuration lists them; or `fastest`, all at once, and the one that connects first is taken. Default: `given`.
    pub order: Order,
    /// Servers of a provider, the preferred first: `{ provider = "I/C/M/S", servers = ["I/C/M/CODE"] }`; a member as
    /// provider speaks for all of its subsystems. Default: `[]`.
    pub doors: Vec<Preferred>,
    /// In order `given`: how long one is waited for before the next is tried beside it. Default: `1 s`.
    #[serde(deserialize_with = "span")]
    pub head_start: Duration,
    /// In order `fastest`: how long the one that was fastest is asked first; `0 s` asks all each time. Default: `1 h`.
    #[serde(deserialize_with = "span")]
    pub fastest_kept: Duration,
    /// Oldest version of other gateways whose requests are answered, such as `7.6.0`; `off` for any. Default: `off`.
    pub oldest: Oldest,
    /// Idle connections kept to one gateway or service. Default: `256`.
    pub idle_connections_max: usize,
}

/// Transport security between gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether unmodified X-Road security servers are met, in both directions. They speak only TLS 1.2 with CBC suites,
    /// at a tenth of the speed; gateways of this kind go on speaking TLS 1.3 with each other. Default: `false`.
    pub stock_peers: bool,
}

/// Bounds on what one process takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest body of one message, in or out, or all its attachments; larger ones end in a fault. Default: `1 GiB`.
    #[serde(deserialize_with = "bytes")]
    pub body_max: u64,
    /// Bytes of one message's body or attachments kept in memory; what is more goes to one file in `spool/`.
    /// Default: `64 KiB`.
    #[serde(deserialize_with = "bytes")]
    pub spool_memory: u64,
    /// Bytes of all spool files together; a body that would pass it ends in a fault. Default: `8 GiB`.
    #[serde(deserialize_with = "bytes")]
    pub spool_max: u64,
    /// Exchanges under way at once on each side, asking and answering; more wait for their turn. Default: `1024`.
    pub exchanges_max: usize,
    /// Connections of information systems at once. Default: `5000`.
    pub client_connections_max: usize,
    /// Connections of other gateways at once. Default: `5000`.
    pub server_connections_max: usize,
}

/// Time limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Connecting to another gateway or to a service, TLS included. Default: `30 s`.
    #[serde(deserialize_with = "span")]
    pub connect: Duration,
    /// Between two pieces of what a connected party sends, heads included. Default: `30 s`.
    #[serde(deserialize_with = "span")]
    pub idle: Duration,
    /// From the end of our request to the head of the provider's answer. Default: `10 min`.
    #[serde(deserialize_with = "span")]
    pub answer: Duration,
    /// Connecting to a configuration source, OCSP responder, time-stamper or port 5577. Default: `20 s`.
    #[serde(deserialize_with = "span")]
    pub fetch_connect: Duration,
    /// From connected to the end of such an answer. Default: `60 s`.
    #[serde(deserialize_with = "span")]
    pub fetch: Duration,
    /// How long exchanges under way may go on after SIGTERM. Default: `30 s`.
    #[serde(deserialize_with = "span")]
    pub drain: Duration,
}

/// The keys in `state`'s `keys/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// File with the PIN that opens encrypted keys: one line, readable by its owner alone; relative to this file. `off`
    /// takes systemd's credential `saatkond-pin`, and else asks at the terminal. Default: `off`.
    pub pin_file: PathBuf,
}

impl Default for Keys {
    fn default() -> Self {
        Self { pin_file: PathBuf::from(OFF) }
    }
}

impl Keys {
    /// The file with the PIN; `None` where there is none.
    #[must_use]
    pub fn pin(&self) -> Option<&Path> {
        (self.pin_file != Path::new(OFF)).then_some(&self.pin_file)
    }
}

/// Signing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signing {
    /// Messages that one signature may cover when they wait at the same time; `1` signs each alone. Default: `32`.
    pub batch_max: usize,
}

/// The message log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Largest body that is kept with its message; `0 B` keeps none. Default: `10 MiB`.
    #[serde(deserialize_with = "bytes")]
    pub body_max: u64,
    /// What happens to a message with a larger body: `refuse` ends the exchange with `logging_failed`, `omit` keeps the
    /// message and its signature, by which the body's digest stays proven, and leaves the body out. With
    /// `body_max = "0 B"` bodies are left out and nothing is refused. Default: `refuse`.
    pub beyond_body_max: Beyond,
    /// Size of one file of the log. Default: `16 MiB`.
    #[serde(deserialize_with = "bytes")]
    pub segment: u64,
    /// How long a message waits for its record to be on disk; after that it ends in `logging_failed`. Default: `30 s`.
    #[serde(deserialize_with = "span")]
    pub patience: Duration,
    /// Directory that time-stamped messages are archived to, each as an ASiC-E container, in zip files as X-Road makes
    /// them; relative to this file, and not within `state`'s `log/`. `off` archives none. Default: `off`.
    pub archive: PathBuf,
    /// How often that is done. What was recorded shortly before is archived the next time, or as soon as it is
    /// time-stamped. Default: `6 h`.
    #[serde(deserialize_with = "span")]
    pub archive_every: Duration,
    /// What has archives, and a chain of them, of its own: `none` has all in one, `member` each member of this server
    /// whose messages they are, `subsystem` each of its subsystems. Default: `none`.
    pub archive_grouping: Grouping,
    /// Bytes of containers after which an archive is closed. Default: `32 MiB`.
    #[serde(deserialize_with = "bytes")]
    pub archive_max: u64,
    /// How long messages stay in the log; then their file is deleted, once all in it are time-stamped and, unless
    /// `archive` is off, archived. `0 s` keeps them for ever. Default: `0 s`.
    #[serde(deserialize_with = "span")]
    pub keep: Duration,
}

impl Log {
    /// Where messages are archived to.
    #[must_use]
    pub fn archives(&self) -> Option<&Path> {
        (self.archive != Path::new(OFF)).then_some(&self.archive)
    }
}

/// What is said of what is not wanted.
const OFF: &str = "off";

/// What has archives of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// All messages together.
    None,
    /// Each member.
    Member,
    /// Each subsystem.
    Subsystem,
}

/// What happens to a message whose body is larger than the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// The exchange ends in a fault, as with X-Road's default.
    Refuse,
    /// The body is left out of the record.
    Omit,
}

/// Time-stamping of the message log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timestamping {
    /// How often records are stamped; `0 s` takes the instance's interval. Default: `0 s`.
    #[serde(deserialize_with = "span")]
    pub interval: Duration,
    /// URLs of the approved time-stamping services to ask, in order; empty for all approved ones. Default: `[]`.
    pub services: Vec<String>,
    /// Records under one time-stamp. Default: `10000`.
    pub records_max: usize,
    /// Whether a message is time-stamped before anything is done with it: one that cannot be stamped then ends in
    /// `timestamping_failed` at once. Messages that wait at the same time share a time-stamp. Default: `false`.
    pub immediately: bool,
    /// How soon after a failure it is tried again. Default: `60 s`.
    #[serde(deserialize_with = "span")]
    pub retry: Duration,
    /// How long stamping may fail before messages are refused with `timestamping_failed`; `0 s` for ever. Default: `4 h`.
    #[serde(deserialize_with = "span")]
    pub failure_allowed: Duration,
}

/// What is done unasked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// How often the global configuration is fetched. Default: `60 s`.
    #[serde(deserialize_with = "span")]
    pub globalconf: Duration,
    /// How often `server.toml` and the key directory are looked at for a change. Default: `2 s`.
    #[serde(deserialize_with = "span")]
    pub server_file: Duration,
    /// How often OCSP responses of our certificates are fetched; `0 s` takes the instance's interval. Default: `0 s`.
    #[serde(deserialize_with = "span")]
    pub ocsp: Duration,
    /// How soon after a failure OCSP responses are asked for again. Default: `60 s`.
    #[serde(deserialize_with = "span")]
    pub ocsp_retry: Duration,
}

/// What the process says on its standard error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// `human` or `json`. Default: `human`.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `saatkond=debug`; the environment variable
    /// SAATKOND_LOG goes before it. Default: `info`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line a person reads.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Listen {
    fn default() -> Self {
        let local = |port| Door(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        let all = |port| Door(Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))));
        Self {
            clients: local(8080),
            clients_tls: Door(None),
            servers: all(5500),
            ocsp: all(5577),
            sites: Door(None),
            health: local(5580),
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            port: 5500,
            ocsp_port: 5577,
            order: Order::Given,
            doors: Vec::new(),
            head_start: Duration::from_secs(1),
            fastest_kept: Duration::from_secs(3600),
            oldest: Oldest(None),
            idle_connections_max: 256,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_max: 1 << 30,
            spool_memory: 64 << 10,
            spool_max: 8 << 30,
            exchanges_max: 1024,
            client_connections_max: 5000,
            server_connections_max: 5000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(600),
            fetch_connect: Duration::from_secs(20),
            fetch: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Signing {
    fn default() -> Self {
        Self { batch_max: 32 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            body_max: 10 << 20,
            beyond_body_max: Beyond::Refuse,
            segment: 16 << 20,
            patience: Duration::from_secs(30),
            archive: PathBuf::from(OFF),
            archive_every: Duration::from_secs(6 * 3600),
            archive_grouping: Grouping::None,
            archive_max: 32 << 20,
            keep: Duration::ZERO,
        }
    }
}

impl Default for Timestamping {
    fn default() -> Self {
        Self {
            interval: Duration::ZERO,
            services: Vec::new(),
            records_max: 10_000,
            immediately: false,
            retry: Duration::from_secs(60),
            failure_allowed: Duration::from_secs(4 * 3600),
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            globalconf: Duration::from_secs(60),
            server_file: Duration::from_secs(2),
            ocsp: Duration::ZERO,
            ocsp_retry: Duration::from_secs(60),
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self { format: Format::Human, level: "info".to_owned() }
    }
}

impl<'de> Deserialize<'de> for Door {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| {
            serde::de::Error::custom(format!("{text:?} is no address, expected ADDRESS:PORT or \"off\""))
        })?;
        Ok(Self(Some(address)))
    }
}
