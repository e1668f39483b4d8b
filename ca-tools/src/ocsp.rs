//! The OCSP responder: good, revoked or unknown, as the index says at this moment.
//!
//! It holds a certificate and key of its own, issued by the authority for this, and asks the authority's index before
//! every answer, so a revocation counts from the next question on. The index is in memory; only what was appended since
//! is read. What was signed is said again for as long as [`Pace::remember`] allows, to whoever asks the same without a
//! nonce, while the status is still the same. Requests with SHA-1 names come from X-Road's servers; the names are echoed
//! as they came. Spec: RFC 6960; trust-and-configuration §3.6, §3.7.
//!
//! Ours: a request that asks of a certificate of nobody here, or of those of several authorities, is refused
//! (`unauthorized`, RFC 6960 2.3): one delegated signature speaks for one authority, and OpenSSL believes no other.

use crate::ca::{self, CaError};
use crate::index::{Index, IndexError, Record};
use crate::key::{KeyError, PrivateKey};
use crate::responder;
use bytes::Bytes;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::ocsp::{Answer, Question, Refusal, Status, parse_request, refuse, respond};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers for the authorities whose directories it was given.
#[derive(Debug)]
pub struct Responder {
    desks: Vec<Desk>,
    pace: Pace,
}

/// How long answers count.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From `thisUpdate` to `nextUpdate`: how long others may keep them.
    pub next_update: Duration,
    /// How long a signed answer is said again here.
    pub remember: Duration,
}

/// One authority's records and what is signed with for it.
#[derive(Debug)]
struct Desk {
    directory: PathBuf,
    authority: Arc<Certificate>,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    index: Index,
    seal: Arc<Seal>,
    /// What was signed for a `CertID`, as it came.
    said: HashMap<Vec<u8>, Said>,
}

/// An answer that was signed.
#[derive(Debug)]
struct Said {
    status: Status,
    at: UnixTime,
    response: Bytes,
}

/// Answers of one authority that are remembered; each has 1 to 3 KB.
const SAID_MAX: usize = 8192;

/// Bytes of a `CertID` that is remembered; one over SHA-512 with a serial of 20 bytes has 170.
const CERT_ID_BYTES_MAX: usize = 256;

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
    /// The certificate is not for this.
    #[error("{path} is no OCSP responder's certificate of this authority")]
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
    /// Opens the authorities' directories; their own keys are not touched.
    ///
    /// # Errors
    /// [`ResponderError`].
    pub fn open(directories: &[PathBuf], pace: Pace) -> Result<Self, ResponderError> {
        let desks = directories.iter().map(|directory| Desk::open(directory)).collect::<Result<_, _>>()?;
        Ok(Self { desks, pace })
    }

    /// Answers a request; what it cannot answer it refuses in OCSP's own words.
    ///
    /// The error, beside the refusal, is for the log: it is ours, not the asker's.
    #[must_use]
    pub fn answer(&self, request: &[u8], now: UnixTime) -> (Bytes, Option<ResponderError>) {
        let refusal = |why| Bytes::from(refuse(why));
        let Ok(request) = parse_request(request) else { return (refusal(Refusal::MalformedRequest), None) };
        let is_of = |desk: &&Desk| request.questions.iter().all(|question| question.is_of(&desk.authority));
        let Some(desk) = self.desks.iter().find(is_of) else {
            return (refusal(Refusal::Unauthorized), None);
        };
        match desk.answer(request.questions, request.nonce.as_deref(), now, self.pace) {
            Ok(response) => (response, None),
            Err(error) => (refusal(Refusal::InternalError), Some(error)),
        }
    }

    /// Whether it could answer now.
    ///
    /// # Errors
    /// [`ResponderError`] tells why not.
    pub fn check(&self, now: UnixTime) -> Result<(), ResponderError> {
        self.desks.iter().try_for_each(|desk| desk.look(now, |_| ()))
    }
}

impl Desk {
    fn open(directory: &Path) -> Result<Self, ResponderError> {
        let chain = ca::read_chain(directory)?;
        let none = || CaError::NoCertificate { path: directory.to_owned() };
        let authority = chain.into_iter().next().ok_or_else(none)?;
        let seal = Arc::new(Seal::open(directory, &authority)?);
        let book = Book { index: Index::open(directory)?, seal, said: HashMap::new() };
        Ok(Self { directory: directory.to_owned(), authority, book: Mutex::new(book) })
    }

    fn answer(
        &self,
        questions: Vec<Question>,
        nonce: Option<&[u8]>,
        now: UnixTime,
        pace: Pace,
    ) -> Result<Bytes, ResponderError> {
        // only what others will ask in the same words
        let name = match questions.as_slice() {
            [only] if nonce.is_none() && only.cert_id.len() <= CERT_ID_BYTES_MAX => {
                Some(only.cert_id.clone())
            }
            _ => None,
        };
        let (seal, statuses, said) = self.look(now, |book| {
            let statuses: Vec<Status> = questions.iter().map(|q| Self::status(&book.index, q)).collect();
            let said = name.as_ref().and_then(|name| book.said.get(name));
            let said = said.filter(|said| Some(&said.status) == statuses.first());
            let said = said.filter(|said| said.at <= now && now < said.at.plus(pace.remember));
            (Arc::clone(&book.seal), statuses, said.map(|said| said.response.clone()))
        })?;
        if let Some(said) = said {
            return Ok(said);
        }
        // whole seconds are written
        let this_update = UnixTime::from_secs(now.secs());
        let next_update = Some(this_update.plus(pace.next_update));
        let status = statuses.first().copied();
        let answers: Vec<Answer> = questions
            .into_iter()
            .zip(statuses)
            .map(|(question, status)| Answer { question, status, this_update, next_update })
            .collect();
        // signing takes long: the book is open to others meanwhile
        let response = respond(&answers, &seal.certificate, seal.key.signing(), this_update, nonce)
            .map_err(ResponderError::Unsigned)?;
        let response = Bytes::from(response);
        // of what is not known there is no end
        if let (Some(name), Some(status @ (Status::Good | Status::Revoked { .. }))) = (name, status) {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            book.keep(name, Said { status, at: this_update, response: response.clone() }, &seal);
        }
        Ok(response)
    }

    /// Shows the book as it is at this moment: what was recorded since and a renewed certificate are taken first.
    fn look<T>(&self, now: UnixTime, show: impl FnOnce(&Book) -> T) -> Result<T, ResponderError> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.index.refresh()?;
        let path = self.directory.join(ca::RESPONDER_CERTIFICATE_FILE);
        let renewed = std::fs::metadata(&path).is_ok_and(|meta| meta.ino() != book.seal.inode);
        // while the pair is being put in place the old one serves
        if renewed && let Ok(seal) = Seal::open(&self.directory, &self.authority) {
            book.seal = Arc::new(seal);
            book.said.clear();
        }
        if !book.seal.certificate.is_valid_at(now) {
            return Err(ResponderError::Ended { ended: book.seal.certificate.not_after() });
        }
        Ok(show(&book))
    }

    /// A serial that was taken but never came to a certificate is as unknown as one that was not.
    fn status(index: &Index, question: &Question) -> Status {
        let octets = question.serial.strip_prefix(&[0]).unwrap_or(&question.serial);
        match index.record(&ca::hex(octets)) {
            Some(Record { revoked: Some(revocation), .. }) => Status::Revoked { at: revocation.at },
            Some(Record { certificate: Some(_), .. }) => Status::Good,
            Some(_) | None => Status::Unknown,
        }
    }
}

impl Book {
    /// Remembers an answer, unless its seal is not the one any more. When there is no room all are forgotten: they are
    /// made again as fast as they are asked for.
    fn keep(&mut self, name: Vec<u8>, said: Said, seal: &Arc<Seal>) {
        if !Arc::ptr_eq(seal, &self.seal) {
            return;
        }
        if self.said.len() >= SAID_MAX {
            self.said.clear();
        }
        self.said.insert(name, said);
    }
}

impl Seal {
    fn open(directory: &Path, authority: &Certificate) -> Result<Self, ResponderError> {
        let path = directory.join(ca::RESPONDER_CERTIFICATE_FILE);
        let file = |source| CaError::File { path: path.clone(), source };
        // before it is read: one that is put in its place meanwhile is noticed
        let inode = std::fs::metadata(&path).map_err(file)?.ino();
        let (certificate, key) = responder::read(directory)?;
        if certificate.may_sign_ocsp() && certificate.verify_signed_by(authority).is_ok() {
            Ok(Self { certificate, key, inode })
        } else {
            Err(ResponderError::Unfit { path })
        }
    }
}
