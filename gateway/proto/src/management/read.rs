//! Reads requests as X-Road sends them, and stricter: a body must be its service's, whole and in order.

use super::write::{ALGORITHM, ALGORITHMS};
use super::{Ask, ManagementError, Package, Request, Signature};
use crate::crypto::SignatureAlgorithm;
use crate::globalconf::ParamsError;
use crate::globalconf::read::{Fields, certificate, client_id, simple, value};
use crate::id::{ClientId, MemberId, ServerId};
use crate::limits;
use crate::message::soap::{Envelope, IDENTIFIERS, SOAP, XROAD};
use crate::transport::mime::{ContentType, Head, Machine, Piece};
use crate::xml;
use roxmltree::Node;

/// The most parts that a request has.
const PARTS_MAX: usize = 6;

impl Request {
    /// Reads a document; tells its header as well.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub fn read(document: &[u8]) -> Result<(Envelope, Self), ManagementError> {
        let envelope = Envelope::read(document.to_vec(), None)?;
        let text = xml::text(document).map_err(ParamsError::from)?;
        let read = xml::admit(text, limits::ENVELOPE_BYTES_MAX).map_err(ParamsError::from)?;
        let body = xml::child(read.root_element(), SOAP, "Body");
        let call = body.and_then(|body| xml::elements(body).next());
        // Seen: X-Road matches the service in the header whatever its letters' case.
        let code = envelope.service.code.to_ascii_lowercase();
        let call = call.ok_or_else(|| ManagementError::Service { found: envelope.service.code.clone() })?;
        let (name, namespace) = (call.tag_name().name(), call.tag_name().namespace());
        if namespace != Some(XROAD) || name.to_ascii_lowercase() != code {
            return Err(ManagementError::Service { found: name.to_owned() });
        }
        let mut fields = Fields::within(call, XROAD)?;
        let server = server(fields.required("server")?)?;
        let ask = ask(name, &mut fields)?;
        // a number is the central server's to give
        fields.optional("requestId");
        fields.end()?;
        Ok((envelope, Self { server, ask }))
    }
}

fn ask(code: &str, fields: &mut Fields<'_, '_>) -> Result<Ask, ManagementError> {
    Ok(match code {
        "authCertReg" => Ask::RegisterCertificate {
            address: fields.optional_text("address")?,
            certificate: certificate(fields.required("authCert")?)?,
            is_trial: matches!(fields.optional_text("dryRun")?.as_deref().map(str::trim), Some("true" | "1")),
        },
        "authCertDeletion" => {
            Ask::DeleteCertificate { certificate: certificate(fields.required("authCert")?)? }
        }
        "clientReg" => {
            Ask::RegisterClient { client: client(fields)?, name: fields.optional_text("subsystemName")? }
        }
        "clientDeletion" => Ask::DeleteClient(client(fields)?),
        "clientDisable" => Ask::DisableClient(client(fields)?),
        "clientEnable" => Ask::EnableClient(client(fields)?),
        "clientRename" => {
            let (client, name) = (subsystem(fields)?, fields.required("subsystemName")?);
            let text = simple(name)?;
            if text.trim().is_empty() {
                return Err(value(name, "a name", &text).into());
            }
            Ask::RenameClient { client, name: text }
        }
        "ownerChange" => {
            let node = fields.required("client")?;
            let found = client_id(node)?;
            if found.subsystem.is_some() {
                return Err(value(node, "a member", &found.to_string()).into());
            }
            Ask::ChangeOwner(found.member)
        }
        "addressChange" => Ask::ChangeAddress(fields.text("address")?),
        "maintenanceModeEnable" => Ask::BeginMaintenance { message: fields.optional_text("message")? },
        "maintenanceModeDisable" => Ask::EndMaintenance,
        other => return Err(ManagementError::Service { found: other.to_owned() }),
    })
}

fn client(fields: &mut Fields<'_, '_>) -> Result<ClientId, ParamsError> {
    client_id(fields.required("client")?)
}

fn subsystem(fields: &mut Fields<'_, '_>) -> Result<ClientId, ParamsError> {
    let node = fields.required("client")?;
    let found = client_id(node)?;
    if found.subsystem.is_none() {
        return Err(value(node, "a subsystem", &found.to_string()));
    }
    Ok(found)
}

fn server(node: Node<'_, '_>) -> Result<ServerId, ParamsError> {
    let mut fields = Fields::within(node, IDENTIFIERS)?;
    let (instance, class) = (fields.text("xRoadInstance")?, fields.text("memberClass")?);
    let owner = MemberId::new(instance, class, fields.text("memberCode")?);
    let code = fields.text("serverCode")?;
    fields.end()?;
    Ok(ServerId { owner, code })
}

impl Package {
    /// Reads what was sent under a content type: the document alone, or with 3 or 5 parts behind it.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub fn from_body(content_type: &str, body: &[u8]) -> Result<Self, ManagementError> {
        let wrong = || ManagementError::ContentType { found: content_type.chars().take(80).collect() };
        let kind = ContentType::parse(content_type).ok_or_else(wrong)?;
        if kind.base == "text/xml" {
            let document = body.to_vec();
            return Ok(Self { document, by_authentication: None, by_member: None, status: None });
        }
        let boundary =
            kind.parameter("boundary").filter(|_| kind.base == "multipart/related").ok_or_else(wrong)?;
        let parts = parts(boundary, body)?;
        let found = parts.len();
        match <[(Head, Vec<u8>); 4]>::try_from(parts) {
            Ok([(_, document), member, (_, certificate), (_, status)]) => Ok(Self {
                document,
                by_authentication: None,
                by_member: Some(signature(member, certificate)?),
                status: Some(status),
            }),
            Err(parts) => match <[(Head, Vec<u8>); PARTS_MAX]>::try_from(parts) {
                Ok([(_, document), auth, member, (_, of_auth), (_, of_member), (_, status)]) => Ok(Self {
                    document,
                    by_authentication: Some(signature(auth, of_auth)?),
                    by_member: Some(signature(member, of_member)?),
                    status: Some(status),
                }),
                Err(_) => Err(ManagementError::Parts { found, expected: "4 or 6" }),
            },
        }
    }
}

fn signature((head, value): (Head, Vec<u8>), certificate: Vec<u8>) -> Result<Signature, ManagementError> {
    let named = head.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(ALGORITHM));
    let named = named.map(|(_, value)| value.trim()).unwrap_or_default();
    let found = ALGORITHMS.iter().find(|(name, ..)| *name == named);
    let (_, scheme, digest) =
        found.ok_or_else(|| ManagementError::Algorithm { found: named.chars().take(80).collect() })?;
    Ok(Signature { algorithm: SignatureAlgorithm { scheme: *scheme, digest: *digest }, value, certificate })
}

fn parts(boundary: &str, body: &[u8]) -> Result<Vec<(Head, Vec<u8>)>, ManagementError> {
    let mut machine = Machine::new(boundary)?;
    let (mut rest, mut parts): (&[u8], Vec<(Head, Vec<u8>)>) = (body, Vec::new());
    while let Some(piece) = machine.next(&mut rest)? {
        match piece {
            Piece::Part(_) if parts.len() >= PARTS_MAX => {
                return Err(ManagementError::Parts { found: parts.len() + 1, expected: "4 or 6" });
            }
            Piece::Part(head) => parts.push((head, Vec::new())),
            Piece::Body(bytes) => {
                if let Some((_, part)) = parts.last_mut() {
                    part.extend_from_slice(bytes);
                }
            }
            Piece::BodyHeld => {
                if let Some((_, part)) = parts.last_mut() {
                    part.extend_from_slice(machine.held());
                }
            }
            Piece::PartEnd | Piece::Close => {}
        }
    }
    machine.finish()?;
    Ok(parts)
}
