//! What went wrong with an authority, in the words and with the code that a command ends with.

use crate::ca::CaError;
use crate::exit::{Exit, Failure};
use crate::globalconf::chain;
use crate::index::IndexError;
use crate::key::KeyError;
use crate::policy::PolicyError;
use std::io::{self, ErrorKind};

/// What was being done and to what, what went wrong, how to end and what to do about it.
pub(super) fn failure(doing: &str, error: &CaError) -> Failure {
    let (exit, hint) = match error {
        CaError::Exists(_) => {
            (Exit::NotAllowed, "an authority is never overwritten; name a directory that does not exist yet")
        }
        CaError::Lint(reason) => (Exit::NotWell, lint_hint(reason)),
        CaError::UnknownSerial(_) => (Exit::NotWell, "`ca list` shows what there is"),
        CaError::NotRenewed { .. } => (Exit::NotWell, "issue one for a new request: `ca issue REQUEST`"),
        CaError::AlreadyRevoked { .. } => {
            (Exit::NotWell, "a revocation is not taken back; issue a new certificate")
        }
        CaError::Naming(_) => (
            Exit::Usage,
            "--rewrite writes the subject anew from --server, --organization, --host and --country",
        ),
        CaError::Crypto(_) => (Exit::NotWell, KEYS),
        CaError::OtherKey { .. } => {
            (Exit::Configuration, "put back the pair that belongs together, from the backup")
        }
        CaError::NoCertificate { .. } => (Exit::Configuration, DIRECTORY),
        CaError::Policy(PolicyError::Wrong { .. }) => {
            (Exit::Configuration, "conf/ca.toml shows every key, schemas/ca.schema.json its form")
        }
        CaError::Key(error) => key(error),
        CaError::Index(error) => index(error),
        CaError::Policy(PolicyError::File { source, .. }) | CaError::File { source, .. } => disk(source),
        CaError::NotMade(_) | CaError::Der(_) => (Exit::OurBug, BUG),
    };
    Failure::new(exit, format!("{doing}: {}", chain(error))).hint(hint)
}

const DIRECTORY: &str = "--dir names the authority's directory; `ca init DIR` makes one";
const KEYS: &str = "make another key: RSA of 2048 to 4096 bits, P-256 or P-384";
const BUG: &str =
    "nothing was issued; this is a fault of the program: report it with the command that was given";

/// By what [`crate::lint`] begins its reasons with.
fn lint_hint(reason: &str) -> &'static str {
    if reason.starts_with("its subject") {
        "nothing was signed; --rewrite writes the subject anew from --server and --organization"
    } else if reason.starts_with("its key is RSA") {
        KEYS
    } else if reason.starts_with("host name") {
        "nothing was signed; write the name as the network knows it, xn--…"
    } else if reason.starts_with("it would not be valid") {
        "nothing was signed; look at the clock, and at how long the authority itself lasts: `ca show`"
    } else {
        "nothing was signed and no serial taken; look at the request: openssl req -in REQUEST -text"
    }
}

fn key(error: &KeyError) -> (Exit, &'static str) {
    match error {
        KeyError::NoRsaHere => {
            (Exit::Unavailable, "make a p256 or p384 key, or the key and its request elsewhere")
        }
        KeyError::UnknownKind(_) => (Exit::Usage, KEYS),
        KeyError::Unusable { .. } | KeyError::Crypto(_) => {
            (Exit::Configuration, "expected PKCS#8 without a password: openssl pkcs8 -topk8 -nocrypt")
        }
        KeyError::File { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
            (Exit::NotAllowed, "a key is never overwritten; name a file that does not exist yet")
        }
        KeyError::File { source, .. } => disk(source),
        KeyError::NotMade(_) => (Exit::OurBug, BUG),
    }
}

fn index(error: &IndexError) -> (Exit, &'static str) {
    match error {
        IndexError::Locked { .. } => (
            Exit::Unavailable,
            "another command is at work on this authority: wait for it, or longer with --wait",
        ),
        IndexError::Line { .. } => (
            Exit::Disk,
            "the index was changed by something else; put it back from the backup before anything is issued",
        ),
        IndexError::Poisoned(_) => (Exit::Disk, "look after the disk, then do the same again"),
        IndexError::File { source, .. } => disk(source),
    }
}

fn disk(source: &io::Error) -> (Exit, &'static str) {
    match source.kind() {
        ErrorKind::NotFound => (Exit::Configuration, DIRECTORY),
        ErrorKind::PermissionDenied => {
            (Exit::NotAllowed, "do it as the user who owns the authority's directory")
        }
        _ => (Exit::Disk, "look after the disk, then do the same again: nothing half done counts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySpec;
    use crate::naming::NamingError;
    use saatkond_proto::crypto::CryptoError;
    use saatkond_proto::der::DerError;
    use saatkond_proto::time::UnixTime;
    use std::path::PathBuf;

    #[test]
    fn every_failure_says_to_what_it_happened_and_what_to_do() {
        let path = || PathBuf::from("ca/x");
        let io = |kind| io::Error::from(kind);
        let serial = || "41ff".to_owned();
        for (error, exit) in [
            (CaError::Exists(path()), Exit::NotAllowed),
            (CaError::Lint("its subject names DEV/GOV/M9, expected DEV/GOV/M2".to_owned()), Exit::NotWell),
            (CaError::UnknownSerial(serial()), Exit::NotWell),
            (CaError::NotRenewed { serial: serial(), reason: "it was revoked" }, Exit::NotWell),
            (CaError::AlreadyRevoked { serial: serial(), since: UnixTime::from_secs(1) }, Exit::NotWell),
            (CaError::Naming(NamingError::Needed("the organisation's name")), Exit::Usage),
            (CaError::Crypto(CryptoError::BadSignature), Exit::NotWell),
            (CaError::OtherKey { key: path(), certificate: path() }, Exit::Configuration),
            (CaError::NoCertificate { path: path() }, Exit::Configuration),
            (
                CaError::Policy(PolicyError::Wrong { path: path(), reason: "name is empty".to_owned() }),
                Exit::Configuration,
            ),
            (
                CaError::Policy(PolicyError::File { path: path(), source: io(ErrorKind::NotFound) }),
                Exit::Configuration,
            ),
            (CaError::File { path: path(), source: io(ErrorKind::PermissionDenied) }, Exit::NotAllowed),
            (CaError::File { path: path(), source: io(ErrorKind::StorageFull) }, Exit::Disk),
            (CaError::Key(KeyError::NoRsaHere), Exit::Unavailable),
            (CaError::Key(KeyError::UnknownKind("dsa".to_owned())), Exit::Usage),
            (CaError::Key(KeyError::NotMade(KeySpec::P256)), Exit::OurBug),
            (
                CaError::Key(KeyError::Unusable { path: path(), source: CryptoError::BadSignature }),
                Exit::Configuration,
            ),
            (
                CaError::Key(KeyError::File { path: path(), source: io(ErrorKind::AlreadyExists) }),
                Exit::NotAllowed,
            ),
            (CaError::Index(IndexError::Locked { path: path(), by: Some(4711) }), Exit::Unavailable),
            (CaError::Index(IndexError::Line { path: path(), line: 7, reason: "x".to_owned() }), Exit::Disk),
            (CaError::Index(IndexError::Poisoned(path())), Exit::Disk),
            (CaError::NotMade("x".to_owned()), Exit::OurBug),
            (CaError::Der(DerError::Truncated), Exit::OurBug),
        ] {
            let said = failure("cannot issue from ca", &error);
            assert_eq!(said.exit, exit, "{said}");
            let text = said.to_string();
            assert!(
                text.starts_with("error: cannot issue from ca: ") && text.contains("\n hint: "),
                "{text}"
            );
        }
        let locked = IndexError::Locked { path: path(), by: Some(4711) };
        assert_eq!(locked.to_string(), "ca/x is held by process 4711");
    }
}
