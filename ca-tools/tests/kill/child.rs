//! An administrator who is killed: issues, renews, revokes, lists, replaces the responder, makes authorities, and tells
//! of each when it is done.

use crate::NOW;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_ca::ca::{Authority, CaError, Order, Policy};
use saatkond_ca::index::{Purpose, Reason};
use saatkond_ca::key::{KeySpec, PrivateKey};
use saatkond_ca::naming::Subject;
use saatkond_proto::trust::Certificate;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Names the authority to whoever is started as a child.
const DIRECTORY: &str = "SAATKOND_CA_KILL_DIR";
/// Names the authority that the child is to make.
const MADE: &str = "SAATKOND_CA_KILL_MADE";
/// How long an administrator waits for the others.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child has told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A certificate left the authority.
    Issued(Vec<u8>),
    /// A serial was revoked.
    Revoked(String),
    /// A list of revoked certificates left the authority.
    Listed,
    /// Something was refused.
    Failed(String),
}

/// The authority to work on, when this process is one of those that are killed.
pub(crate) fn directory_of_child() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Issues one certificate.
pub(crate) fn issue(authority: &mut Authority) -> Result<Arc<Certificate>, CaError> {
    let key = PrivateKey::generate(KeySpec::P256)?;
    let spki = key.signing().spki().to_vec();
    let subject = Subject::named(None, None, "somebody");
    let order = Order { purpose: Purpose::Auth, spki, subject, names: Vec::new(), member: None, lasts: None };
    authority.issue(&order, NOW)
}

/// Works until it is killed; each piece of work opens the authority and gives it back, as each command does.
pub(crate) fn work_until_killed(directory: &Path) {
    let made = PathBuf::from(std::env::var_os(MADE).unwrap());
    for turn in 0.. {
        if let Err(error) = work(directory, &made, turn) {
            tell(&format!("failed {error}"));
        }
    }
}

fn work(directory: &Path, made: &Path, turn: usize) -> Result<(), CaError> {
    if turn % 8 == 7 && !made.exists() {
        Authority::create(made, Policy::new("CA", KeySpec::P256), NOW)?;
    }
    let mut authority = Authority::open_within(directory, PATIENCE)?;
    let certificate = issue(&mut authority)?;
    told_of(&certificate);
    let serial = certificate.serial_text();
    match turn % 4 {
        0 => told_of(&*authority.renew(&serial, None, None, NOW)?),
        1 => {
            authority.revoke(&serial, Reason::Superseded, NOW, NOW)?;
            tell(&format!("revoked {serial}"));
        }
        2 => {
            authority.revocation_list(NOW, Duration::from_secs(3600))?;
            tell("listed");
        }
        _ => told_of(&*authority.renew_responder(NOW)?),
    }
    Ok(())
}

fn told_of(certificate: &Certificate) {
    tell(&format!("issued {}", STANDARD.encode(certificate.der())));
}

/// One write, that a kill leaves whole or not at all in the pipe.
fn tell(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Starts this program as an administrator of `directory` who makes the authority `made` as well.
pub(crate) fn start(directory: &Path, made: &Path) -> (Child, impl Iterator<Item = Told> + Send + 'static) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["no_serial_is_there_twice_and_no_certificate_without_its_record", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(MADE, made)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).filter_map(|line| {
        // the harness may have written before it on the same line
        if let Some((_, text)) = line.split_once("issued ") {
            // a killed process may leave half a line: nobody has that certificate
            let der = STANDARD.decode(text).ok()?;
            return Certificate::from_der(&der).is_ok().then_some(Told::Issued(der));
        }
        if let Some((_, serial)) = line.split_once("revoked ") {
            return (serial.len() == 32).then(|| Told::Revoked(serial.to_owned()));
        }
        if let Some((_, why)) = line.split_once("failed ") {
            return Some(Told::Failed(why.to_owned()));
        }
        line.ends_with("listed").then_some(Told::Listed)
    });
    (child, told)
}
