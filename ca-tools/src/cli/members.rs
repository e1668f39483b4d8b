//! `ca instance member|subsystem|server|group add|remove`: single changes of an instance.
//!
//! `add` makes what is not there and adds to what is; `remove` takes away what is named, or the whole entry when no part
//! of it is. Whatever comes of it is checked as a file is: either it can be published or nothing changes.

use super::instance::{Changing, change};
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::PublishError;
use crate::instance::{InstanceError, v1};
use crate::pem;
use crate::store::State;
use clap::{Args, Subcommand};
use saatkond_proto::id::ClientId;
use saatkond_proto::time::UnixTime;
use std::path::PathBuf;

/// `ca instance member …`
#[derive(Debug, Clone, Subcommand)]
pub enum MemberCommand {
    /// Add a member, or give it another name
    Add {
        /// `INSTANCE/CLASS/CODE`
        id: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// Where, why, and without asking
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove a member with its subsystems
    Remove(Remove),
}

/// `ca instance subsystem …`
#[derive(Debug, Clone, Subcommand)]
pub enum SubsystemCommand {
    /// Add a subsystem to a member, or give it another name
    Add {
        /// `INSTANCE/CLASS/CODE/SUBSYSTEM`
        id: String,
        /// Its name, for people
        #[arg(long)]
        name: Option<String>,
        /// Where, why, and without asking
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove a subsystem
    Remove(Remove),
}

/// `ca instance server …`
#[derive(Debug, Clone, Subcommand)]
pub enum ServerCommand {
    /// Add a security server, or add to one: its address, certificates, clients
    Add {
        /// `INSTANCE/CLASS/CODE/SERVER`
        id: String,
        /// The host name or IP address that other servers reach it by
        #[arg(long)]
        address: Option<String>,
        /// Its parts
        #[command(flatten)]
        parts: Parts,
    },
    /// Remove certificates or clients of a security server, or all of it
    Remove {
        /// `INSTANCE/CLASS/CODE/SERVER`
        id: String,
        /// Its parts
        #[command(flatten)]
        parts: Parts,
    },
}

/// Parts of a security server.
#[derive(Debug, Clone, Args)]
pub struct Parts {
    /// An authentication certificate, PEM or DER; may be repeated
    #[arg(long = "certificate", value_name = "FILE")]
    pub certificates: Vec<PathBuf>,
    /// Who is registered on it; may be repeated
    #[arg(long = "client", value_name = "ID")]
    pub clients: Vec<String>,
    /// Where, why, and without asking
    #[command(flatten)]
    pub changing: Changing,
}

/// `ca instance group …`
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// Add a global group, or add to one: its description, members
    Add {
        /// Its code
        code: String,
        /// What it is, for people
        #[arg(long)]
        description: Option<String>,
        /// A member or subsystem in it; may be repeated
        #[arg(long = "member", value_name = "ID")]
        members: Vec<String>,
        /// Where, why, and without asking
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove members of a global group, or all of it
    Remove {
        /// Its code
        code: String,
        /// A member or subsystem in it; may be repeated
        #[arg(long = "member", value_name = "ID")]
        members: Vec<String>,
        /// Where, why, and without asking
        #[command(flatten)]
        changing: Changing,
    },
}

/// Arguments of what removes one whole entry.
#[derive(Debug, Clone, Args)]
pub struct Remove {
    /// Its identifier
    pub id: String,
    /// Where, why, and without asking
    #[command(flatten)]
    pub changing: Changing,
}

pub(super) fn member(
    command: &MemberCommand,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    match command {
        MemberCommand::Add { id, name, changing } => change(changing, streams, now, |state| {
            let file = instance(state)?;
            match file.members.iter_mut().find(|member| member.id == *id) {
                Some(member) => member.name.clone_from(name),
                None => file.members.push(v1::Member {
                    id: id.clone(),
                    name: name.clone(),
                    subsystems: Vec::new(),
                }),
            }
            Ok(())
        }),
        MemberCommand::Remove(Remove { id, changing }) => {
            streams.agreed(&format!("remove member {id} with its subsystems"), changing.yes)?;
            change(changing, streams, now, |state| {
                taken(&mut instance(state)?.members, "member", id, |member| member.id == *id)
            })
        }
    }
}

pub(super) fn subsystem(
    command: &SubsystemCommand,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    match command {
        SubsystemCommand::Add { id, name, changing } => change(changing, streams, now, |state| {
            let (owner, code) = subsystem_id(id)?;
            let member = owner_of(state, &owner)?;
            match member.subsystems.iter_mut().find(|subsystem| subsystem.code == code) {
                Some(subsystem) => subsystem.name.clone_from(name),
                None => member.subsystems.push(v1::Subsystem { code, name: name.clone() }),
            }
            Ok(())
        }),
        SubsystemCommand::Remove(Remove { id, changing }) => {
            streams.agreed(&format!("remove subsystem {id}"), changing.yes)?;
            change(changing, streams, now, |state| {
                let (owner, code) = subsystem_id(id)?;
                let subsystems = &mut owner_of(state, &owner)?.subsystems;
                taken(subsystems, "subsystem", id, |subsystem| subsystem.code == code)
            })
        }
    }
}

pub(super) fn server(
    command: &ServerCommand,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    match command {
        ServerCommand::Add { id, address, parts } => change(&parts.changing, streams, now, |state| {
            let certificates = certificates(&parts.certificates)?;
            let servers = &mut instance(state)?.servers;
            if !servers.iter().any(|server| server.id == *id) {
                let address =
                    address.clone().ok_or_else(|| wrong("server", id, "a new one needs --address"))?;
                servers.push(v1::Server {
                    id: id.clone(),
                    address,
                    certificates: Vec::new(),
                    clients: Vec::new(),
                    maintenance: None,
                });
            }
            let server = found(servers, "server", id, |server| server.id == *id)?;
            if let Some(address) = address {
                server.address.clone_from(address);
            }
            join(&mut server.certificates, &certificates);
            join(&mut server.clients, &parts.clients);
            Ok(())
        }),
        ServerCommand::Remove { id, parts } => {
            let is_whole = parts.certificates.is_empty() && parts.clients.is_empty();
            if is_whole {
                streams.agreed(&format!("remove server {id}"), parts.changing.yes)?;
            }
            change(&parts.changing, streams, now, |state| {
                let certificates = certificates(&parts.certificates)?;
                let servers = &mut instance(state)?.servers;
                if is_whole {
                    return taken(servers, "server", id, |server| server.id == *id);
                }
                let server = found(servers, "server", id, |server| server.id == *id)?;
                leave(&mut server.certificates, "certificate on server", id, &certificates)?;
                leave(&mut server.clients, "client on server", id, &parts.clients)
            })
        }
    }
}

pub(super) fn group(
    command: &GroupCommand,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    match command {
        GroupCommand::Add { code, description, members, changing } => {
            change(changing, streams, now, |state| {
                let groups = &mut instance(state)?.groups;
                if !groups.iter().any(|group| group.code == *code) {
                    let description = description
                        .clone()
                        .ok_or_else(|| wrong("group", code, "a new one needs --description"))?;
                    groups.push(v1::Group { code: code.clone(), description, members: Vec::new() });
                }
                let group = found(groups, "group", code, |group| group.code == *code)?;
                if let Some(description) = description {
                    group.description.clone_from(description);
                }
                join(&mut group.members, members);
                Ok(())
            })
        }
        GroupCommand::Remove { code, members, changing } => {
            if members.is_empty() {
                streams.agreed(&format!("remove group {code}"), changing.yes)?;
            }
            change(changing, streams, now, |state| {
                let groups = &mut instance(state)?.groups;
                if members.is_empty() {
                    return taken(groups, "group", code, |group| group.code == *code);
                }
                let group = found(groups, "group", code, |group| group.code == *code)?;
                leave(&mut group.members, "member of group", code, members)
            })
        }
    }
}

fn instance(state: &mut State) -> Result<&mut v1::File, PublishError> {
    state.instance.as_mut().ok_or(PublishError::Nothing)
}

fn owner_of<'a>(state: &'a mut State, owner: &str) -> Result<&'a mut v1::Member, PublishError> {
    found(&mut instance(state)?.members, "member", owner, |member| member.id == owner)
}

/// The owner and the code of a subsystem.
fn subsystem_id(id: &str) -> Result<(String, String), PublishError> {
    let read = ClientId::from_path(id).map_err(|e| wrong("subsystem", id, &e.to_string()))?;
    let ClientId { member, subsystem } = read;
    let code = subsystem.ok_or_else(|| wrong("subsystem", id, "it names a member, expected a subsystem"))?;
    Ok((member.client().to_path(), code))
}

fn certificates(files: &[PathBuf]) -> Result<Vec<String>, PublishError> {
    let read = |path: &PathBuf| {
        let bytes =
            std::fs::read(path).map_err(|source| PublishError::File { path: path.clone(), source })?;
        let der = pem::der_or_pem(pem::CERTIFICATE, &bytes);
        let file = path.display().to_string();
        let der = der.ok_or_else(|| wrong("file", &file, "it is no certificate, expected PEM or DER"))?;
        Ok(pem::encode(pem::CERTIFICATE, &der))
    };
    files.iter().map(read).collect()
}

fn found<'a, T>(
    list: &'a mut [T],
    kind: &str,
    name: &str,
    is_it: impl Fn(&T) -> bool,
) -> Result<&'a mut T, PublishError> {
    list.iter_mut().find(|item| is_it(item)).ok_or_else(|| wrong(kind, name, "it is not there"))
}

fn taken<T>(
    list: &mut Vec<T>,
    kind: &str,
    name: &str,
    is_it: impl Fn(&T) -> bool,
) -> Result<(), PublishError> {
    let before = list.len();
    list.retain(|item| !is_it(item));
    if list.len() < before { Ok(()) } else { Err(wrong(kind, name, "it is not there")) }
}

fn join(list: &mut Vec<String>, items: &[String]) {
    for item in items {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

fn leave(list: &mut Vec<String>, kind: &str, name: &str, items: &[String]) -> Result<(), PublishError> {
    for item in items {
        taken(list, kind, name, |other| other == item)?;
    }
    Ok(())
}

fn wrong(kind: &str, name: &str, reason: &str) -> PublishError {
    let entry = format!("{kind} {name}");
    PublishError::Instance(InstanceError::Entry { entry, reason: reason.to_owned() })
}
