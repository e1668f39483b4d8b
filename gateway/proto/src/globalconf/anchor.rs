//! The configuration anchor: where to ask for the configuration, and whose signature to believe.
//!
//! It comes by hand, from person to person; its fingerprint is compared by eye.

use super::read::{Fields, ParamsError, moment, octets, value};
use super::write::Sheet;
use crate::crypto::DigestAlgorithm;
use crate::limits;
use crate::time::UnixTime;
use crate::xml;
use roxmltree::Node;

/// A configuration anchor. Spec: trust-and-configuration §1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was made.
    pub generated_at: Option<UnixTime>,
    /// The instance it serves.
    pub instance: String,
    /// Where to ask.
    pub sources: Vec<AnchorSource>,
}

/// One place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSource {
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Certificates whose keys may sign the directory, as they were given: only their keys and their digests matter.
    pub certificates: Vec<Vec<u8>>,
}

impl Anchor {
    /// Reads an anchor's file.
    ///
    /// # Errors
    /// [`ParamsError`]; its code here is `malformed_anchor`.
    pub fn from_xml(bytes: &[u8]) -> Result<Self, ParamsError> {
        let document = xml::admit(xml::text(bytes)?, limits::ANCHOR_BYTES_MAX)?;
        Self::read(Fields::of_root(document.root_element(), "configurationAnchor")?)
    }

    /// Reads an anchor inside private parameters.
    pub(super) fn from_node(node: Node<'_, '_>) -> Result<Self, ParamsError> {
        Self::read(Fields::of(node)?)
    }

    fn read(mut fields: Fields<'_, '_>) -> Result<Self, ParamsError> {
        let generated_at = fields.optional("generatedAt").map(moment).transpose()?;
        let instance = fields.text("instanceIdentifier")?;
        let mut sources = vec![AnchorSource::read(fields.required("source")?)?];
        for source in fields.many("source") {
            sources.push(AnchorSource::read(source)?);
        }
        fields.end()?;
        Ok(Self { generated_at, instance, sources })
    }

    /// Writes the anchor's file.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        let mut sheet = Sheet::begin("ns3:configurationAnchor");
        self.write(&mut sheet);
        sheet.finish()
    }

    /// Writes the anchor's content.
    pub(super) fn write(&self, sheet: &mut Sheet) {
        let generated_at = self.generated_at.map(|at| match at.millis().rem_euclid(1000) {
            0 => at.to_rfc3339(),
            _ => at.to_rfc3339_millis(),
        });
        sheet.optional_text("generatedAt", generated_at.as_deref());
        sheet.text("instanceIdentifier", &self.instance);
        for source in &self.sources {
            sheet.open("source");
            sheet.text("downloadURL", &source.url);
            for certificate in &source.certificates {
                sheet.octets("verificationCert", certificate);
            }
            sheet.close("source");
        }
    }
}

impl AnchorSource {
    fn read(node: Node<'_, '_>) -> Result<Self, ParamsError> {
        let mut fields = Fields::of(node)?;
        let place = fields.required("downloadURL")?;
        let url = super::read::simple(place)?.trim().to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(value(place, "an http or https URL", &url));
        }
        let mut certificates = vec![octets(fields.required("verificationCert")?)?];
        for certificate in fields.many("verificationCert") {
            certificates.push(octets(certificate)?);
        }
        fields.end()?;
        Ok(Self { url, certificates })
    }
}

/// The fingerprint that people compare: SHA-224 of the file's exact bytes, as `AB:CD:…`.
#[must_use]
pub fn fingerprint(file: &[u8]) -> String {
    let pairs: Vec<_> = DigestAlgorithm::Sha224.digest(file).iter().map(|b| format!("{b:02X}")).collect();
    pairs.join(":")
}

/// The name X-Road gives the file: instance, kind and moment.
#[must_use]
pub fn file_name(instance: &str, is_internal: bool, generated_at: UnixTime) -> String {
    let (y, mo, d, h, mi, s) = generated_at.civil();
    let kind = if is_internal { "internal" } else { "external" };
    format!("configuration_anchor_{instance}_{kind}_UTC_{y:04}-{mo:02}-{d:02}_{h:02}_{mi:02}_{s:02}.xml")
}
