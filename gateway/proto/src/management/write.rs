//! Writes requests and answers, to the byte as X-Road reads them: no white space, bodies never encoded.
//!
//! Spec: trust-and-configuration §6.1, §6.2. Seen: X-Road takes the first node of the body, whatever it is.

use super::{Ask, Package, Request, Signature};
use crate::crypto::{DigestAlgorithm, Scheme, SignatureAlgorithm};
use crate::id::{ClientId, MemberId, ServerId};
use crate::message::soap::{IDENTIFIERS, SOAP, XROAD};
use crate::xml::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Algorithms by the names that Java gives them. Spec: trust-and-configuration §1.6.3.
pub(super) const ALGORITHMS: [(&str, Scheme, DigestAlgorithm); 9] = [
    ("SHA256withRSA", Scheme::RsaPkcs1, DigestAlgorithm::Sha256),
    ("SHA384withRSA", Scheme::RsaPkcs1, DigestAlgorithm::Sha384),
    ("SHA512withRSA", Scheme::RsaPkcs1, DigestAlgorithm::Sha512),
    ("SHA256withRSAandMGF1", Scheme::RsaPss, DigestAlgorithm::Sha256),
    ("SHA384withRSAandMGF1", Scheme::RsaPss, DigestAlgorithm::Sha384),
    ("SHA512withRSAandMGF1", Scheme::RsaPss, DigestAlgorithm::Sha512),
    ("SHA256withECDSA", Scheme::Ecdsa, DigestAlgorithm::Sha256),
    ("SHA384withECDSA", Scheme::Ecdsa, DigestAlgorithm::Sha384),
    ("SHA512withECDSA", Scheme::Ecdsa, DigestAlgorithm::Sha512),
];

/// The header that names a signature's algorithm.
pub(super) const ALGORITHM: &str = "signature-algorithm-id";

impl Request {
    /// The document: asked by the server's owner of `provider`, under `id`, which nobody used before.
    #[must_use]
    pub fn document(&self, provider: &ClientId, id: &str) -> Vec<u8> {
        let code = self.ask.service_code();
        self.envelope(provider, id, &format!("<xroad:{code}>{}</xroad:{code}>", self.inside()))
    }

    /// The document that answers it: what was asked, and the number that the request has got.
    #[must_use]
    pub fn answer(&self, provider: &ClientId, id: &str, number: u64) -> Vec<u8> {
        let code = self.ask.service_code();
        let inside = format!("{}<xroad:requestId>{number}</xroad:requestId>", self.inside());
        self.envelope(provider, id, &format!("<xroad:{code}Response>{inside}</xroad:{code}Response>"))
    }

    fn envelope(&self, provider: &ClientId, id: &str, body: &str) -> Vec<u8> {
        let code = escape(self.ask.service_code());
        let service = format!("{}<id:serviceCode>{code}</id:serviceCode>", client_fields(provider));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP}\" \
             xmlns:id=\"{IDENTIFIERS}\" xmlns:xroad=\"{XROAD}\"><SOAP-ENV:Header>{}\
             <xroad:service id:objectType=\"SERVICE\">{service}</xroad:service><xroad:id>{}</xroad:id>\
             <xroad:protocolVersion>4.0</xroad:protocolVersion></SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body>\
             </SOAP-ENV:Envelope>",
            client(&self.server.owner.client()),
            escape(id),
        )
        .into_bytes()
    }

    fn inside(&self) -> String {
        let server = server(&self.server);
        let certificate = |der: &[u8]| text("authCert", &STANDARD.encode(der));
        let rest = match &self.ask {
            Ask::RegisterCertificate { address, certificate: der, is_trial } => {
                let address = address.as_ref().map_or_else(String::new, |address| text("address", address));
                let trial = if *is_trial { text("dryRun", "true") } else { String::new() };
                format!("{address}{}{trial}", certificate(der))
            }
            Ask::DeleteCertificate { certificate: der } => certificate(der),
            Ask::RegisterClient { client: id, name } => {
                let name = name.as_ref().map_or_else(String::new, |name| text("subsystemName", name));
                format!("{}{name}", client(id))
            }
            Ask::DeleteClient(id) | Ask::DisableClient(id) | Ask::EnableClient(id) => client(id),
            Ask::RenameClient { client: id, name } => {
                format!("{}{}", client(id), text("subsystemName", name))
            }
            Ask::ChangeOwner(member) => client(&member.client()),
            Ask::ChangeAddress(address) => text("address", address),
            Ask::BeginMaintenance { message } => {
                message.as_ref().map_or_else(String::new, |message| text("message", message))
            }
            Ask::EndMaintenance => String::new(),
        };
        format!("{server}{rest}")
    }
}

fn text(name: &str, value: &str) -> String {
    format!("<xroad:{name}>{}</xroad:{name}>", escape(value))
}

fn member_fields(member: &MemberId) -> String {
    format!(
        "<id:xRoadInstance>{}</id:xRoadInstance><id:memberClass>{}</id:memberClass><id:memberCode>{}</id:memberCode>",
        escape(&member.instance),
        escape(&member.class),
        escape(&member.code)
    )
}

fn client_fields(client: &ClientId) -> String {
    let member = member_fields(&client.member);
    client.subsystem.as_ref().map_or_else(
        || member.clone(),
        |code| format!("{member}<id:subsystemCode>{}</id:subsystemCode>", escape(code)),
    )
}

fn client(client: &ClientId) -> String {
    let kind = if client.subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" };
    format!("<xroad:client id:objectType=\"{kind}\">{}</xroad:client>", client_fields(client))
}

fn server(server: &ServerId) -> String {
    format!(
        "<xroad:server id:objectType=\"SERVER\">{}<id:serverCode>{}</id:serverCode></xroad:server>",
        member_fields(&server.owner),
        escape(&server.code)
    )
}

impl Package {
    /// What is sent, and under which content type; `boundary` must stand in none of the parts.
    #[must_use]
    pub fn to_body(&self, boundary: &str) -> (String, Vec<u8>) {
        let xml = "text/xml; charset=UTF-8";
        if self.by_member.is_none() && self.by_authentication.is_none() {
            return (xml.to_owned(), self.document.clone());
        }
        let mut body = Vec::new();
        let mut part = |kind: &str, header: &str, bytes: &[u8]| {
            let head = format!("--{boundary}\r\nContent-Type: {kind}\r\n{header}\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        };
        let octets = "application/octet-stream";
        let signatures: Vec<&Signature> =
            [&self.by_authentication, &self.by_member].into_iter().flatten().collect();
        part(xml, "", &self.document);
        for signature in &signatures {
            part(octets, &format!("{ALGORITHM}: {}\r\n", name_of(signature.algorithm)), &signature.value);
        }
        for signature in &signatures {
            part(octets, "", &signature.certificate);
        }
        if let Some(status) = &self.status {
            part(octets, "", status);
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        // Seen: X-Road names the type of what is not the root.
        (format!("multipart/related; type=\"{octets}\"; charset=UTF-8; boundary={boundary}"), body)
    }
}

fn name_of(algorithm: SignatureAlgorithm) -> &'static str {
    let found = ALGORITHMS.iter().find(|(_, s, d)| (*s, *d) == (algorithm.scheme, algorithm.digest));
    found.map_or("", |(name, ..)| name)
}
