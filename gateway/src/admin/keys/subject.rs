//! Whom a certificate request names.

use super::arguments::Naming;
use crate::conf::Conf;
use crate::keys::Usage;
use saatkond_ca::exit::{Exit, Failure};
use saatkond_ca::naming::{Details, NamingError, Subject};
use saatkond_ca::request::AltName;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::MemberId;
use saatkond_proto::trust::ApprovedCa;
use saatkond_proto::trust::profile::Profile;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) subject: Subject,
    pub(super) names: Vec<AltName>,
}

/// What a request for a key of this use asks for, for this member or else the server's owner; `believed` is there unless
/// nothing of it is needed.
///
/// # Errors
/// [`Failure`] with what must be told.
pub(super) fn of(
    (asked, member): (&Naming, Option<&MemberId>),
    usage: Usage,
    conf: &Conf,
    believed: Option<&GlobalConf>,
) -> Result<Wanted, Failure> {
    if usage == Usage::InternalTls {
        let Some(first) = asked.hosts.first() else {
            let text = "a certificate for information systems names the host that they call";
            return Err(Failure::new(Exit::Usage, text).hint("add --host NAME"));
        };
        let subject =
            Subject::named(asked.country.as_deref(), asked.organization.as_deref(), &text_of(first));
        return Ok(Wanted { subject, names: asked.hosts.clone() });
    }
    if usage == Usage::Auth && member.is_some_and(|member| *member != conf.server.owner) {
        let text =
            format!("an authentication certificate is the server's, whose owner is {}", conf.server.owner);
        return Err(Failure::new(Exit::Usage, text).hint("leave --member out"));
    }
    let member = member.cloned().unwrap_or_else(|| conf.server.owner.clone());
    let profile = match (asked.naming, believed) {
        (Some(profile), _) => profile,
        (None, Some(believed)) => profile_of(asked, usage, conf, believed)?,
        (None, None) => return Err(Failure::new(Exit::Usage, "which authority is asked is not told")),
    };
    let address = || believed?.server(&conf.server).map(|server| server.address.clone());
    let organization = asked.organization.clone().or_else(|| Some(believed?.name_of(&member)?.to_owned()));
    let host = asked.hosts.first().map(text_of).or_else(address);
    let details = Details { organization, dns: host.clone(), country: asked.country.clone() };
    let subject = match usage {
        Usage::Sign => Subject::of_member(profile, &member, &conf.server, &details),
        Usage::Auth | Usage::InternalTls => Subject::of_server(profile, &conf.server, &details),
    };
    let subject = subject.map_err(|error| not_named(&error))?;
    // Seen: of X-Road's profiles these two have a field for an alternative name.
    let has_field = matches!(profile, Profile::FiVrk | Profile::BasicAcme);
    let names = match (asked.hosts.is_empty(), usage) {
        (false, _) => asked.hosts.clone(),
        (true, Usage::Auth) if has_field => host.iter().flat_map(|host| host.parse()).collect(),
        (true, _) => Vec::new(),
    };
    Ok(Wanted { subject, names })
}

fn text_of(name: &AltName) -> String {
    match name {
        AltName::Dns(dns) => dns.clone(),
        AltName::Ip(ip) => ip.to_string(),
    }
}

/// How the authority that is asked names members.
fn profile_of(asked: &Naming, usage: Usage, conf: &Conf, believed: &GlobalConf) -> Result<Profile, Failure> {
    let approved = believed.approved_cas(conf.instance());
    let serves = |ca: &&ApprovedCa| usage == Usage::Auth || !ca.authentication_only;
    let fitting: Vec<&ApprovedCa> = approved.iter().filter(serves).collect();
    let names = || fitting.iter().map(|ca| format!("{:?}", ca.name)).collect::<Vec<_>>().join(", ");
    let chosen = match (&asked.ca, fitting.as_slice()) {
        (Some(name), _) => fitting.iter().find(|ca| ca.name == *name).ok_or_else(|| {
            let text = format!("{} approves no authority {name:?} for use {}", conf.instance(), usage.word());
            Failure::new(Exit::Usage, text).hint(format!("it approves {}", names()))
        })?,
        (None, [only]) => only,
        (None, []) => {
            let text = format!("{} approves no authority for use {}", conf.instance(), usage.word());
            return Err(Failure::new(Exit::NotWell, text));
        }
        (None, _) => {
            let text = format!(
                "{} approves several authorities, and each may name members otherwise",
                conf.instance()
            );
            return Err(Failure::new(Exit::Usage, text).hint(format!("add --ca with one of {}", names())));
        }
    };
    chosen.profile.ok_or_else(|| {
        let text = format!("how {:?} names members is not known here", chosen.name);
        Failure::new(Exit::NotWell, text).hint("--naming says it by hand")
    })
}

fn not_named(error: &NamingError) -> Failure {
    let failure = Failure::new(Exit::Usage, error.to_string());
    match error {
        NamingError::Needed(what) if what.contains("organisation") => failure.hint("add --organization NAME"),
        NamingError::Needed(_) => failure.hint("add --host NAME"),
        _ => failure,
    }
}
