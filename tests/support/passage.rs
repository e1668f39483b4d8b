//! A call as a door of another site passes it on: a test plays the door, and may lie at each step.

use crate::federation::{Federation, Holder};
use crate::letter::Letter;
use crate::peer::{Post, Told};
use crate::wire::{self, Wire};
use saatkond::embassy::wire::{Passing, RELAY, base64};
use saatkond::net::tls;
use saatkond_proto::continuity::note::{Note, Passed, chain_digest};
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm, Scheme, SignatureAlgorithm};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A call that is passed on.
#[derive(Debug, Clone)]
pub struct Passage {
    /// What the door shows in TLS.
    pub shows: Holder,
    /// The OCSP responses that it brings along for that.
    pub statuses: Vec<Vec<u8>>,
    /// What it says that the one who asked showed in TLS (DER).
    pub chain: Vec<Vec<u8>>,
    /// The header lines that it says came with the call.
    pub lines: Vec<(String, String)>,
    /// The call's bytes.
    pub call: Vec<u8>,
    /// The notes of the doors before it.
    pub notes: Vec<Note>,
    /// The last note.
    pub note: Note,
    /// An order that it tells.
    pub order: Option<String>,
}

impl Passage {
    /// A call of `asker`'s server, passed on by a server as a gateway does it.
    #[must_use]
    pub fn honest(federation: &Federation, door: &str, asker: &str, post: &Post) -> Self {
        let shows = federation.auth(door);
        let chain = vec![federation.auth(asker).certificate.der().to_vec()];
        let kept = |(name, _): &&(String, String)| !name.eq_ignore_ascii_case("host");
        let passed = Passed {
            door: federation.id(door),
            chain: chain_digest(&chain),
            message: DigestAlgorithm::Sha512.digest(&post.body),
            previous: None,
            time: federation.now(),
            certificate: shows.certificate.der().to_vec(),
        };
        Self {
            statuses: vec![federation.good(&shows.certificate)],
            chain,
            lines: post.lines.iter().filter(kept).cloned().collect(),
            call: post.body.clone(),
            notes: Vec::new(),
            note: sign(passed, &shows),
            order: None,
            shows,
        }
    }

    /// As [`Passage::honest`], of a letter by REST.
    #[must_use]
    pub fn of(federation: &Federation, door: &str, letter: &Letter) -> Self {
        Self::honest(federation, door, "TAX", &Post::of(letter))
    }

    /// With a last note about something else, signed by the same door.
    #[must_use]
    pub fn noting(mut self, change: impl FnOnce(&mut Passed)) -> Self {
        let mut passed = self.note.passed().clone();
        change(&mut passed);
        self.note = sign(passed, &self.shows);
        self
    }

    /// Passed on once more, by another door.
    #[must_use]
    pub fn by(mut self, federation: &Federation, door: &str) -> Self {
        self.shows = federation.auth(door);
        self.statuses = vec![federation.good(&self.shows.certificate)];
        let mut passed = self.note.passed().clone();
        passed.door = federation.id(door);
        passed.previous = Some(self.note.digest());
        passed.certificate = self.shows.certificate.der().to_vec();
        let note = sign(passed, &self.shows);
        self.notes.push(std::mem::replace(&mut self.note, note));
        self
    }

    /// Says that the one who asked showed this, also in the note.
    #[must_use]
    pub fn claiming(mut self, chain: Vec<Vec<u8>>) -> Self {
        self.chain = chain;
        let digest = chain_digest(&self.chain);
        self.noting(|passed| passed.chain = digest)
    }

    fn body(&self, note: &str) -> Vec<u8> {
        let texts = |ders: &[Vec<u8>]| ders.iter().map(|der| base64(der)).collect();
        let passing = Passing {
            statuses: texts(&self.statuses),
            chain: texts(&self.chain),
            address: "127.0.0.1:1".to_owned(),
            lines: self.lines.clone(),
            notes: self.notes.iter().map(Note::to_text).collect(),
            length: self.call.len() as u64,
            order: self.order.clone(),
        };
        let framed = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        [framed(&serde_json::to_vec(&passing).unwrap()), self.call.clone(), framed(note.as_bytes())].concat()
    }

    /// Brings it to the sites' listener of a server, and reads what is answered.
    ///
    /// # Errors
    /// The connection's.
    pub async fn bring(&self, federation: &Federation, to: &str) -> io::Result<Told> {
        self.bring_with(federation, to, &self.note.to_text()).await
    }

    /// As [`Passage::bring`], with this text for the last note.
    ///
    /// # Errors
    /// The connection's.
    pub async fn bring_with(&self, federation: &Federation, to: &str, note: &str) -> io::Result<Told> {
        let place = SocketAddr::from((federation.address(to), federation.sites_port));
        let connector = TlsConnector::from(tls::to_gateways(self.shows.certified(&[]), tls::Peers::Modern));
        let name = tls::server_name(&place.ip().to_string())?;
        let mut wire = Wire::new(connector.connect(name, TcpStream::connect(place).await?).await?);
        let body = self.body(note);
        let line = |name: &str, value: String| (name.to_owned(), value);
        let lines = [line("Host", "sites".to_owned()), line("Content-Length", body.len().to_string())];
        wire.say(&[wire::head(&format!("POST {RELAY} HTTP/1.1"), &lines), body].concat()).await?;
        Told::hear(&mut wire, "POST").await
    }
}

/// Signs a note as a door does.
#[must_use]
pub fn sign(passed: Passed, holder: &Holder) -> Note {
    let algorithm = SignatureAlgorithm { scheme: Scheme::Ecdsa, digest: DigestAlgorithm::Sha256 };
    let bytes = Note::to_sign(&passed);
    let signature = holder.key.signing().sign(DigestAlgorithm::Sha256, &bytes, EcdsaForm::Der).unwrap();
    Note::new(passed, algorithm, signature)
}
