//! What `saatkond register` takes.

use super::super::cli::{OfGateway, Shown};
use clap::{Args, Subcommand, ValueEnum};
use saatkond_proto::id::{ClientId, MemberId};

/// What is asked of the central server.
#[derive(Debug, Clone, Subcommand)]
pub enum Register {
    /// Tell what was asked from here, and what the configuration says of it
    List(Shown),
    /// Register this server, or another authentication certificate of it, over HTTPS
    Server(Server),
    /// Register an authentication certificate no more
    DeleteCertificate(Certificate),
    /// Register a subsystem or member on this server
    Client(Client),
    /// Register one on it no more
    DeleteClient(Which),
    /// Let nobody reach a subsystem here for a while
    Disable(Which),
    /// Let it be reached again
    Enable(Which),
    /// Give a subsystem another name
    Rename(Rename),
    /// Make another member the owner of this server
    Owner(Owner),
    /// Be reached at another host name or address
    Address(Address),
    /// Send nobody here for a while, or be in use again
    Maintenance(Maintenance),
}

/// Arguments of `register server`.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The host name or address that others reach it by; needed with the first certificate
    #[arg(long, value_name = "HOST")]
    pub address: Option<String>,
    /// The key whose certificate it is; the only one that is not registered, if not told
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Have everything checked and nothing registered
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `register delete-certificate`.
#[derive(Debug, Clone, Args)]
pub struct Certificate {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The key whose certificate it is
    #[arg(value_name = "KEY")]
    pub key: String,
}

/// Arguments of `register client`.
#[derive(Debug, Clone, Args)]
pub struct Client {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The subsystem or member
    #[arg(value_name = "CLIENT")]
    pub client: ClientId,
    /// The subsystem's name, for people
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Which gateway, and which of its clients.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The subsystem or member
    #[arg(value_name = "CLIENT")]
    pub client: ClientId,
}

/// Arguments of `register rename`.
#[derive(Debug, Clone, Args)]
pub struct Rename {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The subsystem
    #[arg(value_name = "SUBSYSTEM")]
    pub client: ClientId,
    /// Its name, for people
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Arguments of `register owner`.
#[derive(Debug, Clone, Args)]
pub struct Owner {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The member, who is a client of this server already
    #[arg(value_name = "MEMBER")]
    pub member: MemberId,
}

/// Arguments of `register address`.
#[derive(Debug, Clone, Args)]
pub struct Address {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// The host name or address, without a port
    #[arg(value_name = "HOST")]
    pub address: String,
}

/// Arguments of `register maintenance`.
#[derive(Debug, Clone, Args)]
pub struct Maintenance {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// Whether it is in maintenance
    #[arg(value_enum)]
    pub state: Switch,
    /// What others are told about it
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl Register {
    /// Which gateway it is about.
    #[must_use]
    pub const fn of(&self) -> &OfGateway {
        match self {
            Self::List(shown) => &shown.of,
            Self::Server(Server { of, .. })
            | Self::DeleteCertificate(Certificate { of, .. })
            | Self::Client(Client { of, .. })
            | Self::DeleteClient(Which { of, .. })
            | Self::Disable(Which { of, .. })
            | Self::Enable(Which { of, .. })
            | Self::Rename(Rename { of, .. })
            | Self::Owner(Owner { of, .. })
            | Self::Address(Address { of, .. })
            | Self::Maintenance(Maintenance { of, .. }) => of,
        }
    }
}
