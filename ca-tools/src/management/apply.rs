//! What a request changes in the instance. Whether the next instance can be published is checked by whoever commits it.

use super::wrong;
use crate::globalconf::PublishError;
use crate::instance::v1;
use crate::pem;
use crate::store::State;
use saatkond_proto::id::{ClientId, MemberId, ServerId};
use saatkond_proto::management::{Ask, Request};

/// Does what a request asks for.
pub(super) fn apply(state: &mut State, request: &Request) -> Result<(), PublishError> {
    let file = state.instance.as_mut().ok_or(PublishError::Nothing)?;
    let id = &request.server;
    match &request.ask {
        Ask::RegisterCertificate { address, certificate, .. } => {
            register_certificate(file, id, address.as_deref(), certificate)
        }
        Ask::DeleteCertificate { certificate } => {
            let server = server(file, id)?;
            let before = server.certificates.len();
            server.certificates.retain(|one| !is_certificate(one, certificate));
            removed(before, server.certificates.len(), "certificate", &fingerprint(certificate))
        }
        Ask::RegisterClient { client, name } => register_client(file, id, client, name.as_ref()),
        Ask::DeleteClient(client) => {
            let server = server(file, id)?;
            let before = server.clients.len();
            server.clients.retain(|one| !is_client(one, client));
            removed(before, server.clients.len(), "client", &client.to_path())
        }
        Ask::RenameClient { client, name } => {
            is_registered(server(file, id)?, id, client)?;
            let code = client.subsystem.as_ref();
            let subsystems = member(file, &client.member)?.subsystems.iter_mut();
            let found = subsystems.into_iter().find(|one| Some(&one.code) == code);
            let found = found.ok_or_else(|| wrong("subsystem", &client.to_path(), "it is not there"))?;
            found.name = Some(name.clone());
            Ok(())
        }
        Ask::ChangeOwner(owner) => change_owner(file, id, owner),
        Ask::ChangeAddress(address) => {
            server(file, id)?.address.clone_from(address);
            Ok(())
        }
        Ask::BeginMaintenance { message } => {
            server(file, id)?.maintenance = Some(message.clone().unwrap_or_default());
            Ok(())
        }
        Ask::EndMaintenance => {
            server(file, id)?.maintenance = None;
            Ok(())
        }
        Ask::DisableClient(client) | Ask::EnableClient(client) => {
            Err(wrong("client", &client.to_path(), "taking clients out of use is not supported here"))
        }
    }
}

/// What a request is about, in a word.
pub(super) fn about(request: &Request) -> String {
    match &request.ask {
        Ask::RegisterCertificate { certificate, .. } | Ask::DeleteCertificate { certificate } => {
            fingerprint(certificate)
        }
        Ask::RegisterClient { client, .. }
        | Ask::RenameClient { client, .. }
        | Ask::DeleteClient(client)
        | Ask::DisableClient(client)
        | Ask::EnableClient(client) => client.to_path(),
        Ask::ChangeOwner(member) => member.client().to_path(),
        Ask::ChangeAddress(address) => address.clone(),
        Ask::BeginMaintenance { .. } | Ask::EndMaintenance => request.server.to_path(),
    }
}

fn register_certificate(
    file: &mut v1::File,
    id: &ServerId,
    address: Option<&str>,
    certificate: &[u8],
) -> Result<(), PublishError> {
    let is_it = |one: &String| is_certificate(one, certificate);
    if let Some(holder) = file.servers.iter().find(|one| one.certificates.iter().any(is_it)) {
        let reason = format!("it is registered for server {} already", holder.id);
        return Err(wrong("certificate", &fingerprint(certificate), &reason));
    }
    let text = pem::encode(pem::CERTIFICATE, certificate);
    if let Some(server) = file.servers.iter_mut().find(|one| is_server(&one.id, id)) {
        server.certificates.push(text);
        return Ok(());
    }
    let name = id.to_path();
    let address = address.ok_or_else(|| wrong("server", &name, "a new one needs an address"))?;
    file.servers.push(v1::Server {
        id: name,
        address: address.to_owned(),
        certificates: vec![text],
        clients: Vec::new(),
        maintenance: None,
    });
    Ok(())
}

fn register_client(
    file: &mut v1::File,
    id: &ServerId,
    client: &ClientId,
    name: Option<&String>,
) -> Result<(), PublishError> {
    let path = client.to_path();
    let listed = server(file, id)?;
    if *client == id.owner.client() || is_registered(listed, id, client).is_ok() {
        return Err(wrong("client", &path, &format!("it is registered on server {id} already")));
    }
    listed.clients.push(path);
    let owner = member(file, &client.member)?;
    if let Some(code) = &client.subsystem
        && !owner.subsystems.iter().any(|one| one.code == *code)
    {
        owner.subsystems.push(v1::Subsystem { code: code.clone(), name: name.cloned() });
    }
    Ok(())
}

/// The new owner was registered on the server as a member; the one before stays registered there.
fn change_owner(file: &mut v1::File, id: &ServerId, owner: &MemberId) -> Result<(), PublishError> {
    let new = ServerId { owner: owner.clone(), code: id.code.clone() };
    if file.servers.iter().any(|one| is_server(&one.id, &new)) {
        return Err(wrong("server", &new.to_path(), "it is there already"));
    }
    let server = server(file, id)?;
    is_registered(server, id, &owner.client())?;
    server.clients.retain(|one| !is_client(one, &owner.client()));
    server.clients.push(id.owner.client().to_path());
    server.id = new.to_path();
    Ok(())
}

fn server<'a>(file: &'a mut v1::File, id: &ServerId) -> Result<&'a mut v1::Server, PublishError> {
    let found = file.servers.iter_mut().find(|one| is_server(&one.id, id));
    found.ok_or_else(|| wrong("server", &id.to_path(), "it is not there"))
}

fn member<'a>(file: &'a mut v1::File, id: &MemberId) -> Result<&'a mut v1::Member, PublishError> {
    let found = file.members.iter_mut().find(|one| one.id.parse().is_ok_and(|one: MemberId| one == *id));
    found.ok_or_else(|| wrong("member", &id.client().to_path(), "it is not there"))
}

fn is_registered(server: &v1::Server, id: &ServerId, client: &ClientId) -> Result<(), PublishError> {
    if server.clients.iter().any(|one| is_client(one, client)) || *client == id.owner.client() {
        return Ok(());
    }
    Err(wrong("client", &client.to_path(), &format!("it is not registered on server {id}")))
}

fn is_server(written: &str, id: &ServerId) -> bool {
    ServerId::from_path(written).is_ok_and(|read| read == *id)
}

fn is_certificate(written: &str, der: &[u8]) -> bool {
    pem::decode_all(pem::CERTIFICATE, written).first().is_some_and(|read| read == der)
}

fn is_client(written: &str, client: &ClientId) -> bool {
    ClientId::from_path(written).is_ok_and(|read| read == *client)
}

fn removed(before: usize, after: usize, kind: &str, name: &str) -> Result<(), PublishError> {
    if after < before { Ok(()) } else { Err(wrong(kind, name, "it is not registered on this server")) }
}

fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
