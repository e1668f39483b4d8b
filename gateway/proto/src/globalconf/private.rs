//! Private parameters: what an instance tells its own servers only.
//!
//! Spec: trust-and-configuration §2.5.

use super::anchor::Anchor;
use super::read::{Fields, ParamsError, admit_part, certificate, client_id, known_version, seconds};
use super::write::Sheet;
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
        let version = known_version(version)?;
        let document = admit_part(bytes)?;
        let mut fields = Fields::of_root(document.root_element(), "conf")?;
        let instance = fields.text("instanceIdentifier")?;
        let anchors = fields
            .many("configurationAnchor")
            .into_iter()
            .map(Anchor::from_node)
            .collect::<Result<_, _>>()?;
        let mut inner = Fields::of(fields.required("managementService")?)?;
        let management = ManagementService {
            registration_url: inner.text("authCertRegServiceAddress")?.trim().to_owned(),
            registration_certificate: inner
                .optional("authCertRegServiceCert")
                .map(certificate)
                .transpose()?,
            provider: client_id(inner.required("managementRequestServiceProviderId")?)?,
        };
        inner.end()?;
        let timestamping_interval = seconds(fields.required("timeStampingIntervalSeconds")?)?;
        // From version 3 the schema ends in `any`.
        if version == super::VERSION_MIN {
            fields.end()?;
        }
        Ok(Self { instance, anchors, management, timestamping_interval })
    }

    /// Writes the document; it reads the same in all versions.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        let mut sheet = Sheet::begin("ns3:conf");
        sheet.text("instanceIdentifier", &self.instance);
        for anchor in &self.anchors {
            sheet.open("configurationAnchor");
            anchor.write(&mut sheet);
            sheet.close("configurationAnchor");
        }
        sheet.open("managementService");
        sheet.text("authCertRegServiceAddress", &self.management.registration_url);
        if let Some(certificate) = &self.management.registration_certificate {
            sheet.octets("authCertRegServiceCert", certificate);
        }
        sheet.client_id("managementRequestServiceProviderId", &self.management.provider);
        sheet.close("managementService");
        sheet.text("timeStampingIntervalSeconds", &self.timestamping_interval.as_secs().to_string());
        sheet.finish()
    }
}
