//! The OCSP responder: good, revoked or unknown, as the index says at this moment.
//!
//! It holds a certificate and key of its own, issued by the authority for this, and reads the authority's index before
//! every answer: nothing is remembered, so a revocation counts from the next question on. Requests with SHA-1 names
//! come from X-Road's servers; the names are echoed as they came. Spec: RFC 6960; trust-and-configuration §3.6, §3.7.

use crate::ca::{self, CaError};
use crate::index::{Index, IndexError, Record};
use crate::key::{KeyError, PrivateKey};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{Answer, Question, Refusal, Status, parse_request, refuse, respond};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers for the authorities whose directories it was given.
#[derive(Debug)]
pub struct Responder {
    desks: Vec<Mutex<Desk>>,
    next_update: Duration,
}

/// One authority's records and what is signed with for it.
#[derive(Debug)]
struct Desk {
    directory: PathBuf,
    authority: Arc<Certificate>,
    index: Index,
    seal: Seal,
}

/// The responder's certificate and key, and which file they came from.
#[derive(Debug)]
struct Seal {
    certificate: Arc<Certificate>,
    key: PrivateKey,
    inode: u64,
}

/// A responder that does not open or does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderError {
    /// The authority's certificate or the responder's.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// The responder's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Key and certificate do not go together, or the certificate is not for this.
    #[error("{path} is no OCSP responder's certificate of this authority with its key beside it")]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The certificate's time has passed.
    #[error("the OCSP responder's certificate ended {ended}")]
    Ended {
        /// When.
        ended: UnixTime,
    },
    /// The response could not be signed.
    #[error("OCSP response: {0}")]
    Unsigned(saatkond_proto::trust::ocsp::OcspError),
}

impl Responder {
    /// Opens the authorities' directories; their own keys are not touched. Answers name `next_update` as the time until
    /// which they may be kept.
    ///
    /// # Errors
    /// [`ResponderError`].
    pub fn open(directories: &[PathBuf], next_update: Duration) -> Result<Self, ResponderError> {
        let desks = directories.iter().map(|d| Desk::open(d).map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { desks, next_update })
    }

    /// Answers a request; what it cannot answer it refuses in OCSP's own words.
    ///
    /// The error, beside the refusal, is for the log: it is ours, not the asker's.
    #[must_use]
    pub fn answer(&self, request: &[u8], now: UnixTime) -> (Vec<u8>, Option<ResponderError>) {
        let Ok(request) = parse_request(request) else { return (refuse(Refusal::MalformedRequest), None) };
        for desk in &self.desks {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            if !request.questions.iter().all(|question| question.is_of(&desk.authority)) {
                continue;
            }
            return match desk.answer(request.questions, request.nonce.as_deref(), now, self.next_update) {
                Ok(response) => (response, None),
                Err(error) => (refuse(Refusal::InternalError), Some(error)),
            };
        }
        (refuse(Refusal::Unauthorized), None)
    }

    /// Whether it could answer now.
    ///
    /// # Errors
    /// [`ResponderError`] tells why not.
    pub fn check(&self, now: UnixTime) -> Result<(), ResponderError> {
        for desk in &self.desks {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.index.refresh()?;
            desk.fresh_seal(now)?;
        }
        Ok(())
    }
}

impl Desk {
    fn open(directory: &Path) -> Result<Self, ResponderError> {
        let chain = ca::read_chain(directory)?;
        let none = || CaError::NoCertificate { path: directory.to_owned() };
        let authority = chain.into_iter().next().ok_or_else(none)?;
        let seal = Seal::open(directory, &authority)?;
        Ok(Self { directory: directory.to_owned(), authority, index: Index::open(directory)?, seal })
    }

    fn answer(
        &mut self,
        questions: Vec<Question>,
        nonce: Option<&[u8]>,
        now: UnixTime,
        next_update: Duration,
    ) -> Result<Vec<u8>, ResponderError> {
        self.index.refresh()?;
        self.fresh_seal(now)?;
        // whole seconds are written
        let this_update = UnixTime::from_secs(now.secs());
        let answers: Vec<Answer> = questions
            .into_iter()
            .map(|question| Answer {
                status: self.status(&question.serial),
                question,
                this_update,
                next_update: Some(this_update.plus(next_update)),
            })
            .collect();
        respond(&answers, &self.seal.certificate, self.seal.key.signing(), this_update, nonce)
            .map_err(ResponderError::Unsigned)
    }

    /// A serial that was taken but never came to a certificate is as unknown as one that was not.
    fn status(&self, serial: &[u8]) -> Status {
        let octets = serial.strip_prefix(&[0]).unwrap_or(serial);
        match self.index.record(&ca::hex(octets)) {
            Some(Record { revoked: Some(revocation), .. }) => Status::Revoked { at: revocation.at },
            Some(Record { certificate: Some(_), .. }) => Status::Good,
            Some(_) | None => Status::Unknown,
        }
    }

    /// Takes a certificate that was renewed; refuses one whose time has passed.
    fn fresh_seal(&mut self, now: UnixTime) -> Result<(), ResponderError> {
        let path = self.directory.join(ca::RESPONDER_CERTIFICATE_FILE);
        let renewed = std::fs::metadata(&path).is_ok_and(|meta| meta.ino() != self.seal.inode);
        // while the pair is being put in place the old one serves
        if renewed && let Ok(seal) = Seal::open(&self.directory, &self.authority) {
            self.seal = seal;
        }
        if self.seal.certificate.is_valid_at(now) {
            Ok(())
        } else {
            Err(ResponderError::Ended { ended: self.seal.certificate.not_after() })
        }
    }
}

impl Seal {
    fn open(directory: &Path, authority: &Certificate) -> Result<Self, ResponderError> {
        let path = directory.join(ca::RESPONDER_CERTIFICATE_FILE);
        let file = |source| CaError::File { path: path.clone(), source };
        let inode = std::fs::metadata(&path).map_err(file)?.ino();
        let certificate = ca::read_certificates(&path)?.into_iter().next();
        let key = PrivateKey::open(&directory.join(ca::RESPONDER_KEY_FILE))?;
        let fits = |c: &Arc<Certificate>| {
            c.may_sign_ocsp()
                && c.public_key() == key.signing().public_key()
                && c.verify_signed_by(authority).is_ok()
        };
        let certificate =
            certificate.filter(fits).ok_or_else(|| ResponderError::Unfit { path: path.clone() })?;
        Ok(Self { certificate, key, inode })
    }
}
