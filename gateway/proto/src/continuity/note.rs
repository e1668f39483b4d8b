//! The note that a door signs about a call it passes on to another site.
//!
//! It says who brought the call and what it was: the certificates that the door saw in TLS and the bytes it received,
//! both by digest. A second door adds its own note, which names the first. What a note does not say is that the door told
//! the truth: a lying door can bring, once, what a member really signed.
//!
//! ```text
//! saatkond/relay-note/v1
//! door DEV/GOV/M2/EMBASSY
//! chain <SHA-256 of what the door saw in TLS>
//! message <SHA-512 of the bytes received>
//! previous <SHA-256 of the note before, or ->
//! time 2026-01-02T03:04:05.678Z
//! certificate <the door's authentication certificate>
//!
//! — http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256 <signature>
//! ```

use super::policy::Policy;
use crate::crypto::{DigestAlgorithm, EcdsaForm, Hasher, SignatureAlgorithm};
use crate::globalconf::GlobalConf;
use crate::id::ServerId;
use crate::limits::{NOTE_BYTES_MAX, NOTE_SECS_MAX};
use crate::time::UnixTime;
use crate::trust::Certificate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// Doors through which a call may pass before it reaches the one that leads.
pub const HOPS_MAX: usize = 2;

/// What a note is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Who passes the call on.
    pub door: ServerId,
    /// [`chain_digest`] of what the one who asked showed in TLS.
    pub chain: Vec<u8>,
    /// SHA-512 of the bytes received.
    pub message: Vec<u8>,
    /// [`Note::digest`] of the note before; `None` for the first.
    pub previous: Option<Vec<u8>>,
    /// When.
    pub time: UnixTime,
    /// The door's authentication certificate (DER).
    pub certificate: Vec<u8>,
}

/// A note and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    passed: Passed,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

/// Notes that do not vouch for a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is none.
    #[error("it cannot be read as a relay note")]
    Malformed,
    /// There are none, or too many.
    #[error("the call came by {found} doors, expected 1 to {HOPS_MAX}")]
    Hops {
        /// How many.
        found: usize,
    },
    /// It is about another call.
    #[error("the note of {door} is about {what}")]
    Other {
        /// Whose note.
        door: ServerId,
        /// What differs.
        what: &'static str,
    },
    /// The door is none of the sites'.
    #[error("{door} is no server of a site in the instance's continuity part")]
    Stranger {
        /// Who it says it is.
        door: ServerId,
    },
    /// The certificate is not the door's.
    #[error("the note of {door} was signed with a certificate that is not registered for it")]
    Certificate {
        /// Who it says it is.
        door: ServerId,
    },
    /// The signature does not hold.
    #[error("the signature of {door} under its note does not hold")]
    Signature {
        /// Who it says it is.
        door: ServerId,
    },
    /// It was signed too long ago, or ahead of our clock.
    #[error("the note of {door} was signed at {time}, and it is {now}")]
    Time {
        /// Whose note.
        door: ServerId,
        /// When, by its clock.
        time: UnixTime,
        /// By our clock.
        now: UnixTime,
    },
}

const NOTE: &str = "saatkond/relay-note/v1";

/// The digest of certificates shown in TLS (DER), leaf first.
#[must_use]
pub fn chain_digest(shown: &[Vec<u8>]) -> Vec<u8> {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    for certificate in shown {
        hasher.update(&(certificate.len() as u64).to_be_bytes());
        hasher.update(certificate);
    }
    hasher.finish()
}

impl Note {
    /// What has to be signed, with the key of the certificate.
    #[must_use]
    pub fn to_sign(passed: &Passed) -> Vec<u8> {
        body(passed).into_bytes()
    }

    /// Puts a signature under it.
    #[must_use]
    pub const fn new(passed: Passed, algorithm: SignatureAlgorithm, signature: Vec<u8>) -> Self {
        Self { passed, algorithm, signature }
    }

    /// What it is about.
    #[must_use]
    pub const fn passed(&self) -> &Passed {
        &self.passed
    }

    /// Its own digest, which the next note names.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        DigestAlgorithm::Sha256.digest(self.to_text().as_bytes())
    }

    /// Writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (algorithm, value) = (self.algorithm.uri().unwrap_or("-"), STANDARD.encode(&self.signature));
        format!("{}\n\u{2014} {algorithm} {value}\n", body(&self.passed))
    }

    /// Reads what [`Note::to_text`] writes, and nothing else.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let of_kind = text.len() <= NOTE_BYTES_MAX && text.lines().next() == Some(NOTE);
        let read = of_kind.then(|| read(text)).flatten();
        read.filter(|note| note.to_text() == text).ok_or(NoteError::Malformed)
    }

    fn check(&self, conf: &GlobalConf, policy: &Policy, now: UnixTime) -> Result<(), NoteError> {
        let Passed { door, time, certificate, .. } = &self.passed;
        let door = || door.clone();
        if policy.site_of(&self.passed.door).is_none() {
            return Err(NoteError::Stranger { door: door() });
        }
        let registered = conf.server_by_auth_cert(certificate).is_some_and(|s| s.id == self.passed.door);
        let read = Certificate::from_der(certificate).ok().filter(|c| registered && c.is_valid_at(now));
        let certificate = read.ok_or_else(|| NoteError::Certificate { door: door() })?;
        let signed = body(&self.passed);
        let key = certificate.public_key();
        let holds = key.verify(self.algorithm, signed.as_bytes(), &self.signature, EcdsaForm::Der).is_ok();
        if !holds {
            return Err(NoteError::Signature { door: door() });
        }
        let apart = now.since(*time).max(time.since(now));
        if apart > Duration::from_secs(NOTE_SECS_MAX) {
            return Err(NoteError::Time { door: door(), time: *time, now });
        }
        Ok(())
    }
}

/// Holds notes, the oldest first, against the call they came with: `message` is the SHA-512 of its bytes, `chain` the
/// certificates that the first door says it saw.
///
/// # Errors
/// [`NoteError`].
pub fn check(
    notes: &[Note],
    (message, chain): (&[u8], &[Vec<u8>]),
    conf: &GlobalConf,
    policy: &Policy,
    now: UnixTime,
) -> Result<(), NoteError> {
    if !(1..=HOPS_MAX).contains(&notes.len()) {
        return Err(NoteError::Hops { found: notes.len() });
    }
    let (chain, mut previous): (_, Option<&Note>) = (chain_digest(chain), None);
    for note in notes {
        let Passed { door, .. } = &note.passed;
        let other = |what| Err(NoteError::Other { door: door.clone(), what });
        if note.passed.message != message {
            return other("other bytes than those that came");
        }
        if note.passed.chain != chain {
            return other("other certificates than those that came");
        }
        if note.passed.previous != previous.map(Note::digest) {
            return other("another note before it");
        }
        if previous.is_some_and(|before| before.passed.door == *door) {
            return other("a call that it brought itself");
        }
        note.check(conf, policy, now)?;
        previous = Some(note);
    }
    Ok(())
}

fn body(passed: &Passed) -> String {
    let Passed { door, chain, message, previous, time, certificate } = passed;
    format!(
        "{NOTE}\ndoor {}\nchain {}\nmessage {}\nprevious {}\ntime {}\ncertificate {}\n",
        door.to_path(),
        STANDARD.encode(chain),
        STANDARD.encode(message),
        previous.as_ref().map_or_else(|| "-".to_owned(), |digest| STANDARD.encode(digest)),
        time.to_rfc3339_millis(),
        STANDARD.encode(certificate),
    )
}

fn read(text: &str) -> Option<Note> {
    let (body, signed) = text.split_once("\n\n")?;
    let mut lines = body.lines().skip(1);
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let door = ServerId::from_path(field("door")?).ok()?;
    let chain = STANDARD.decode(field("chain")?).ok()?;
    let message = STANDARD.decode(field("message")?).ok()?;
    let previous = match field("previous")? {
        "-" => None,
        digest => Some(STANDARD.decode(digest).ok().filter(|digest| !digest.is_empty())?),
    };
    let time = UnixTime::from_rfc3339(field("time")?)?;
    let certificate = STANDARD.decode(field("certificate")?).ok()?;
    let (uri, value) = signed.strip_prefix("\u{2014} ")?.strip_suffix('\n')?.split_once(' ')?;
    let algorithm = SignatureAlgorithm::from_uri(uri)?;
    let signature = STANDARD.decode(value).ok()?;
    let passed = Passed { door, chain, message, previous, time, certificate };
    Some(Note { passed, algorithm, signature })
}

#[cfg(test)]
mod tests;
