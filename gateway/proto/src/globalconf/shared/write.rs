//! Writes shared parameters, in any version.

use super::read::MAINTENANCE_SINCE;
use super::{Authority, CertificationService, CostType, SecurityServer, SharedParams, TimestampingService};
use crate::globalconf::VERSION_MIN;
use crate::globalconf::read::{ParamsError, known_version};
use crate::globalconf::write::Sheet;
use crate::id::ClientId;
use std::collections::HashMap;

/// The first version with profiles for ACME.
const ACME_PROFILES_SINCE: u8 = 4;
/// The first version with costs and the form of requests.
const COST_SINCE: u8 = 6;

impl SharedParams {
    /// Writes the document in this version, whatever [`SharedParams::version`] says.
    ///
    /// What the version does not know is left out. Before version 5 a server in maintenance loses its subsystems, so
    /// that nobody is sent there. Seen: X-Road 7.8. What was written is read again before it is handed out.
    ///
    /// # Errors
    /// [`ParamsError`] for what no reader would take, such as a server whose owner is not among the members.
    pub fn to_xml(&self, version: u8) -> Result<Vec<u8>, ParamsError> {
        let version = known_version(version)?;
        if let Some(stranger) = self.members.iter().find(|m| m.id.instance != self.instance) {
            return Err(ParamsError::Value {
                element: "member".to_owned(),
                expected: "a member of the document's instance",
                found: stranger.id.to_string(),
            });
        }
        let mut sheet = Sheet::begin("ns3:conf");
        sheet.text("instanceIdentifier", &self.instance);
        if version > VERSION_MIN {
            for source in &self.sources {
                sheet.open("source");
                sheet.text("address", &source.address);
                source.internal.iter().for_each(|c| sheet.octets("internalVerificationCert", c));
                source.external.iter().for_each(|c| sheet.octets("externalVerificationCert", c));
                sheet.close("source");
            }
        }
        self.cas.iter().for_each(|ca| ca.write(&mut sheet, version));
        self.tsas.iter().for_each(|tsa| tsa.write(&mut sheet, version));
        let ids = self.write_members(&mut sheet, version);
        for server in &self.servers {
            server.write(&mut sheet, version, &ids)?;
        }
        for group in &self.groups {
            sheet.open("globalGroup");
            sheet.text("groupCode", &group.code);
            sheet.text("description", &group.description);
            group.members.iter().for_each(|m| sheet.client_id("groupMember", m));
            sheet.close("globalGroup");
        }
        sheet.open("globalSettings");
        self.member_classes.iter().for_each(|c| member_class(&mut sheet, &c.code, &c.description));
        sheet.text("ocspFreshnessSeconds", &self.ocsp_freshness.as_secs().to_string());
        sheet.close("globalSettings");
        let bytes = sheet.finish();
        Self::from_xml(&bytes, version)?;
        Ok(bytes)
    }

    /// Writes the members; tells which id each client got.
    fn write_members(&self, sheet: &mut Sheet, version: u8) -> HashMap<ClientId, String> {
        let mut ids = HashMap::new();
        let mut next = |client: ClientId| {
            let id = format!("id{}", ids.len());
            ids.insert(client, id.clone());
            id
        };
        for member in &self.members {
            sheet.open_with("member", "id", &next(member.id.client()));
            let class = &member.id.class;
            let described = self.member_classes.iter().find(|c| c.code == *class);
            member_class(sheet, class, described.map_or(class, |c| &c.description));
            sheet.text("memberCode", &member.id.code);
            sheet.text("name", &member.name);
            for subsystem in &member.subsystems {
                sheet.open_with("subsystem", "id", &next(member.id.subsystem(&subsystem.code)));
                sheet.text("subsystemCode", &subsystem.code);
                if version >= MAINTENANCE_SINCE {
                    sheet.optional_text("subsystemName", subsystem.name.as_deref());
                }
                sheet.close("subsystem");
            }
            sheet.close("member");
        }
        ids
    }
}

fn member_class(sheet: &mut Sheet, code: &str, description: &str) {
    sheet.open("memberClass");
    sheet.text("code", code);
    sheet.text("description", description);
    sheet.close("memberClass");
}

fn cost(sheet: &mut Sheet, version: u8, cost: Option<CostType>) {
    if version >= COST_SINCE {
        sheet.optional_text("costType", cost.map(CostType::text));
    }
}

impl CertificationService {
    fn write(&self, sheet: &mut Sheet, version: u8) {
        sheet.open("approvedCA");
        sheet.text("name", &self.name);
        sheet.text("authenticationOnly", &self.authentication_only.to_string());
        self.top.write(sheet, "topCA", version);
        self.intermediates.iter().for_each(|ca| ca.write(sheet, "intermediateCA", version));
        sheet.text("certificateProfileInfo", &self.profile);
        if version >= COST_SINCE {
            sheet.optional_text("defaultCsrFormat", self.csr_format.map(super::CsrFormat::text));
        }
        if let Some(acme) = self.acme.as_ref().filter(|_| version > VERSION_MIN) {
            sheet.open("acmeServer");
            sheet.text("directoryURL", &acme.directory_url);
            sheet.optional_text("ipAddress", acme.ip_address.as_deref());
            if version >= ACME_PROFILES_SINCE {
                let authentication = acme.authentication_profile.as_deref();
                sheet.optional_text("authenticationCertificateProfileId", authentication);
                sheet.optional_text("signingCertificateProfileId", acme.signing_profile.as_deref());
            }
            sheet.close("acmeServer");
        }
        sheet.close("approvedCA");
    }
}

impl Authority {
    fn write(&self, sheet: &mut Sheet, element: &str, version: u8) {
        sheet.open(element);
        sheet.octets("cert", &self.certificate);
        for responder in &self.ocsp {
            sheet.open("ocsp");
            sheet.text("url", &responder.url);
            if let Some(certificate) = &responder.certificate {
                sheet.octets("cert", certificate);
            }
            cost(sheet, version, responder.cost);
            sheet.close("ocsp");
        }
        sheet.close(element);
    }
}

impl TimestampingService {
    fn write(&self, sheet: &mut Sheet, version: u8) {
        sheet.open("approvedTSA");
        sheet.text("name", &self.name);
        sheet.text("url", &self.url);
        sheet.octets("cert", &self.certificate);
        cost(sheet, version, self.cost);
        sheet.close("approvedTSA");
    }
}

impl SecurityServer {
    fn write(
        &self,
        sheet: &mut Sheet,
        version: u8,
        ids: &HashMap<ClientId, String>,
    ) -> Result<(), ParamsError> {
        let id_of = |element, client: &ClientId| {
            ids.get(client).ok_or_else(|| ParamsError::Reference {
                element,
                expected: "member or subsystem",
                found: client.to_string(),
            })
        };
        sheet.open("securityServer");
        sheet.text("owner", id_of("owner", &self.id.owner.client())?);
        sheet.text("serverCode", &self.id.code);
        sheet.optional_text("address", Some(self.address.as_str()).filter(|a| !a.is_empty()));
        let length = SharedParams::auth_cert_digest(version).digest(&[]).len();
        let hashes = self.auth_cert_hashes.iter().filter(|h| h.len() == length);
        hashes.for_each(|hash| sheet.octets("authCertHash", hash));
        let hides = self.maintenance.is_some() && version < MAINTENANCE_SINCE;
        for client in self.clients.iter().filter(|c| !(hides && c.subsystem.is_some())) {
            sheet.text("client", id_of("client", client)?);
        }
        if let Some(message) = self.maintenance.as_ref().filter(|_| version >= MAINTENANCE_SINCE) {
            sheet.open("inMaintenanceMode");
            sheet.optional_text("message", Some(message.as_str()).filter(|m| !m.is_empty()));
            sheet.close("inMaintenanceMode");
        }
        sheet.close("securityServer");
        Ok(())
    }
}
