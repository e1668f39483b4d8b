//! Which certificates are taken for our keys.
//!
//! Spec: trust-and-configuration §3.1, §4.7. As X-Road 7.8's signer judges, and stricter where it says Ours.

use super::token::{Entry, Token};
use super::{KeysError, Usage};
use saatkond_ca::naming::short_name;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::path::{self, PathError};
use saatkond_proto::trust::profile::ProfileError;
use saatkond_proto::trust::{ApprovedCa, Certificate};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a certificate is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// This server.
    pub server: &'a ServerId,
    /// The members that may sign here: its owner, and those of its clients.
    pub members: &'a BTreeSet<MemberId>,
    /// What the instance says.
    pub conf: &'a GlobalConf,
    /// When.
    pub at: UnixTime,
}

/// A certificate that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whom a sign certificate names.
    pub member: Option<MemberId>,
    /// What is strange and does not keep it from being taken.
    pub warning: Option<String>,
}

/// A certificate that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// What lies in the key directory.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It is of no key of ours.
    #[error("no key here is the one that {subject} certifies")]
    NoKey {
        /// Its subject.
        subject: String,
    },
    /// It is of a key that was taken out of use.
    #[error("its key {0} was retired")]
    Retired(String),
    /// It is here already.
    #[error("the key {0} has this certificate already")]
    Twice(String),
    /// It may do nothing of use here.
    #[error("{subject} may neither sign messages nor authenticate a server: its key usage allows neither")]
    NoUse {
        /// Its subject.
        subject: String,
    },
    /// It may do both. Spec: trust-and-configuration §3.1.
    #[error("{subject} may both sign messages and authenticate a server, expected one of them")]
    BothUses {
        /// Its subject.
        subject: String,
    },
    /// It is for another use than its key.
    #[error("{subject} is for use {found}, and its key {key} is for use {expected}")]
    OtherUse {
        /// Its subject.
        subject: String,
        /// The key.
        key: String,
        /// What the certificate is for.
        found: &'static str,
        /// What the key is for.
        expected: &'static str,
    },
    /// No authority vouches for it. Ours: X-Road 7.8 takes it.
    #[error("{subject} is self-signed: an approved authority must issue it")]
    SelfSigned {
        /// Its subject.
        subject: String,
    },
    /// What the instance says no longer holds.
    #[error("the global configuration of {instance} expired at {expired}: nothing can be judged by it")]
    Expired {
        /// The instance.
        instance: String,
        /// When.
        expired: UnixTime,
    },
    /// Its time is past, or has not come.
    #[error("{subject} is valid from {from} to {to}, and it is {now}")]
    NotNow {
        /// Its subject.
        subject: String,
        /// From.
        from: UnixTime,
        /// To.
        to: UnixTime,
        /// The present.
        now: UnixTime,
    },
    /// No approved authority issued it, or one that may not.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It names nobody under its authority's profile.
    #[error("it names no member as {profile} certificates do: {source}")]
    Nameless {
        /// The profile.
        profile: &'static str,
        /// Why.
        source: ProfileError,
    },
    /// It names a member that has nothing here.
    #[error("it is one of {found}, and this server has clients of: {}", names(expected))]
    Stranger {
        /// Whom it names.
        found: MemberId,
        /// Who is here.
        expected: Vec<MemberId>,
    },
}

fn names(members: &[MemberId]) -> String {
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The key of which this is a certificate: one that is in use here, for what the certificate is for, and has it not yet.
///
/// # Errors
/// [`ImportError`] with what was expected and what came.
pub fn key_for<'a>(token: &'a Token, certificate: &Certificate) -> Result<&'a Entry, ImportError> {
    let subject = || certificate.subject_text().to_owned();
    let entry =
        token.key_of(certificate.public_key())?.ok_or_else(|| ImportError::NoKey { subject: subject() })?;
    if let Some(holder) = token.holder_of(certificate)? {
        return Err(ImportError::Twice(holder.name.clone()));
    }
    if entry.retired.is_some() {
        return Err(ImportError::Retired(entry.name.clone()));
    }
    if entry.usage == Usage::InternalTls {
        return Ok(entry);
    }
    // Without any key usage a certificate is for nothing.
    let signs = path::is_signing(certificate).unwrap_or(false);
    let found = match (signs, path::is_authentication(certificate).unwrap_or(false)) {
        (true, true) => return Err(ImportError::BothUses { subject: subject() }),
        (false, false) => return Err(ImportError::NoUse { subject: subject() }),
        (true, false) => Usage::Sign,
        (false, true) => Usage::Auth,
    };
    if found == entry.usage {
        return Ok(entry);
    }
    let (key, found, expected) = (entry.name.clone(), found.word(), entry.usage.word());
    Err(ImportError::OtherUse { subject: subject(), key, found, expected })
}

/// Refuses a certificate whose time is not now.
///
/// # Errors
/// [`ImportError::NotNow`].
pub fn is_timely(certificate: &Certificate, now: UnixTime) -> Result<(), ImportError> {
    if certificate.is_valid_at(now) {
        return Ok(());
    }
    let (subject, from, to) =
        (certificate.subject_text().to_owned(), certificate.not_before(), certificate.not_after());
    Err(ImportError::NotNow { subject, from, to, now })
}

impl Judge<'_> {
    /// Whom the instance takes this certificate for; `additional` are those that came with it. Pure.
    ///
    /// # Errors
    /// [`ImportError`] with what was expected and what came.
    pub fn judge(
        &self,
        certificate: &Arc<Certificate>,
        additional: &[Arc<Certificate>],
        usage: Usage,
    ) -> Result<Taken, ImportError> {
        let (conf, instance) = (self.conf, &self.server.owner.instance);
        if certificate.is_self_issued() {
            return Err(ImportError::SelfSigned { subject: certificate.subject_text().to_owned() });
        }
        if !conf.is_valid_at(self.at) {
            return Err(ImportError::Expired { instance: instance.clone(), expired: conf.expires() });
        }
        is_timely(certificate, self.at)?;
        let cas = conf.approved_cas(instance);
        if usage != Usage::Sign {
            let chain = path::to_issuer(certificate, additional, cas, self.at)?;
            return Ok(Taken { member: None, warning: self.other_server(certificate, chain.ca()) });
        }
        let chain = path::for_signing(certificate, additional, cas, self.at)?;
        let ca = chain.ca();
        let profile = ca.profile.map_or("unknown", short_name);
        let found = ca
            .member_of(certificate, &self.server.owner)
            .map_err(|source| ImportError::Nameless { profile, source })?;
        if !self.members.contains(&found) {
            let expected = self.members.iter().cloned().collect();
            return Err(ImportError::Stranger { found, expected });
        }
        Ok(Taken { member: Some(found), warning: None })
    }

    /// What is strange about the server that an authentication certificate names. Other gateways know the certificate by
    /// its registration, whatever it says. Seen: X-Road 7.8 does not look.
    fn other_server(&self, certificate: &Certificate, ca: &ApprovedCa) -> Option<String> {
        let profile = ca.profile?;
        let why = profile.names_server(certificate, self.server).err()?;
        Some(format!("it does not name {} as {} certificates do: {why}", self.server, short_name(profile)))
    }
}

#[cfg(test)]
mod tests;
