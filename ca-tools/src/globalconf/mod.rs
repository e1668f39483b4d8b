//! The instance's configuration, signed and ready to be asked for: versions 2 to 6, internal and external.
//!
//! | file | what it does |
//! |---|---|
//! | [`central`] | a node's directory and the state it shares; changes it, if the next one can be published; anchors |
//! | [`rotation`] | the keys that sign, and the order in which they change |
//! | `signer` | one key, and the certificates that may sign |
//! | [`edition`] | documents of every version, and the directories that sign them |
//! | [`publisher`] | signs anew when it is due, takes over what was changed |
//!
//! A node's directory:
//!
//! | file | what it is | what its thief could do |
//! |---|---|---|
//! | `node.toml` | the node's name, and the PostgreSQL that keeps the state of all nodes | change the state: everything |
//! | `instance.db` | the state, where no PostgreSQL does | read what is public anyway; who writes it says who is trusted |
//! | `internal-<id>.key.pem`, `external-<id>.key.pem` | what this node signs with | say who is trusted: everything |
//!
//! An [`Edition`] is the documents of all versions, made anew when the state changes and only when all of them
//! could be made. Signing it gives it the next ten minutes; a bad new state leaves the last good one published.
//! A state goes through one door, [`Central::change`]: the demo and `ca serve` use the same database as an authority with
//! three nodes does, since two ways to keep an instance would be two ways to lose it.
//! Spec: trust-and-configuration §1.3–1.6, §7.2–7.4, §11.3.

pub mod central;
pub mod edition;
pub mod publisher;
pub mod rotation;
mod signer;

pub use central::{Central, Node};
pub use edition::{Edition, Publication};
pub use publisher::Publisher;
pub(crate) use publisher::version_asked;
pub use rotation::{KeyState, Signers};
pub use signer::Signer;

use crate::ca::CaError;
use crate::index::replace_file;
use crate::instance::InstanceError;
use crate::key::KeyError;
pub use crate::store::Audience;
use crate::store::StoreError;
use saatkond_proto::globalconf::{DirectoryError, LookupError, ParamsError};
use std::io;
use std::path::{Path, PathBuf};

/// A configuration that is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A file.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Keys are there already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// The instance.
    #[error("{0}")]
    Instance(#[from] InstanceError),
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signing certificate.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// A document that no reader would take.
    #[error("version {version} cannot be written: {source}")]
    Document {
        /// The version of the document.
        version: u8,
        /// Why.
        source: ParamsError,
    },
    /// A directory.
    #[error("the directory cannot be signed: {0}")]
    Directory(#[from] DirectoryError),
    /// Our own reader would not take it.
    #[error("our own gateways would not take it: {0}")]
    Lookup(#[from] LookupError),
    /// Our own reader would leave something out.
    #[error("our own gateways would leave something out: {0}")]
    LeftOut(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// The database.
    #[error(transparent)]
    Store(StoreError),
    /// What a node is told about itself, or its instance as a file.
    #[error("{path}: {reason}")]
    Node {
        /// The file, or its directory.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// Another directory has the keys of this node.
    #[error("node {0} exists already, with its keys in another directory")]
    Taken(String),
    /// No instance was applied.
    #[error("no instance was applied yet")]
    Nothing,
    /// An instance whose file belongs to an earlier state.
    #[error(
        "the file was exported before the instance was changed by others (it is at revision {revision} now)"
    )]
    Moved {
        /// The newest revision.
        revision: u64,
    },
    /// An instance of another name.
    #[error("the file is of instance {came}, expected {is}: an instance never changes its name")]
    OtherInstance {
        /// The instance that is kept here.
        is: String,
        /// The instance that came.
        came: String,
    },
    /// No place that publishes has keys.
    #[error("no place that publishes the configuration has a key for both audiences")]
    NoKeys,
    /// A node that cannot sign.
    #[error("node {node} has no active {} key", audience.name())]
    NoActiveKey {
        /// The node.
        node: String,
        /// For whom.
        audience: Audience,
    },
    /// A private key that is not the one listed.
    #[error("{path} does not hold the private key of {id}")]
    WrongKey {
        /// Its file.
        path: PathBuf,
        /// The listed key.
        id: String,
    },
    /// A key that is not listed.
    #[error("there is no key {id}")]
    NoSuchKey {
        /// Its name.
        id: String,
    },
    /// A key that lies elsewhere.
    #[error("key {id} lies with node {node}: only that node can sign with it")]
    OtherNode {
        /// Its name.
        id: String,
        /// Where it lies.
        node: String,
    },
    /// A key that signs.
    #[error("key {id} signs the configuration: another one must be activated first")]
    Active {
        /// Its name.
        id: String,
    },
    /// A step that comes too early.
    #[error("with key {id} changed now clients would be left without a configuration they believe: {reason}")]
    Strands {
        /// Its name.
        id: String,
        /// Who does not know it, or still needs it, until when.
        reason: String,
    },
    /// More keys than a node needs.
    #[error("this node has {most} {} keys, and no more are listed: retire one first", audience.name())]
    TooManyKeys {
        /// For whom.
        audience: Audience,
        /// The most.
        most: usize,
    },
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    replace_file(path, bytes, 0o644).map_err(|source| PublishError::File { path: path.to_owned(), source })
}

pub(crate) fn random() -> Result<[u8; 40], PublishError> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 40];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| PublishError::NoRandom)?;
    Ok(bytes)
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
