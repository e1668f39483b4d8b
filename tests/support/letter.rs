//! A message between gateways: drafted, signed, framed; a test may spoil it at each step.

use crate::federation::{Federation, Holder};
use saatkond_proto::continuity::header::is_ours;
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm};
use saatkond_proto::message::rest::{self, Request, Response};
use saatkond_proto::signature::{self, MESSAGE, PartDigest, PrepareError, SignatureParts, SignerMaterial};
use saatkond_proto::time::UnixTime;
use saatkond_proto::transport::read::{Event, Expect, ReadError, Reader};
use saatkond_proto::transport::write::{Part, Writer};
use std::sync::Arc;

/// One part of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its content type.
    pub kind: String,
    /// Its body.
    pub bytes: Vec<u8>,
}

/// A message, ready to be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The boundary.
    pub boundary: String,
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

/// A message that is not signed yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Request or response.
    pub part: Part,
    /// OCSP responses of the sender's TLS certificates.
    pub statuses: Vec<Vec<u8>>,
    /// The block.
    pub block: Vec<u8>,
    /// The body, if it has one.
    pub body: Option<Vec<u8>>,
    /// Who signs.
    pub signer: Signer,
    /// When it says that it was signed.
    pub at: UnixTime,
}

/// Who signs a message, and what is told of it.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The key.
    pub holder: Holder,
    /// The certificate and its status, as the signature tells them.
    pub material: SignerMaterial,
}

impl Signer {
    /// Signs with a certificate that is good by this OCSP response.
    #[must_use]
    pub fn new(holder: &Holder, status: Vec<u8>) -> Self {
        let certificate = Arc::clone(&holder.certificate);
        let material = SignerMaterial { certificate, intermediates: Vec::new(), ocsp: vec![status] };
        Self { holder: holder.clone(), material }
    }

    /// What the owner of a server signs with there.
    #[must_use]
    pub fn of(federation: &Federation, code: &str) -> Self {
        let holder = federation.sign(code);
        Self::new(&holder, federation.good(&holder.certificate))
    }

    /// Signs messages with one signature.
    #[must_use]
    pub fn sign(&self, messages: &[Vec<PartDigest>], at: UnixTime) -> Vec<SignatureParts> {
        let key = self.holder.key.signing();
        let sign = |bytes: &[u8]| -> Result<Vec<u8>, PrepareError> {
            Ok(key.sign(DigestAlgorithm::Sha512, bytes, EcdsaForm::Fixed).unwrap())
        };
        signature::sign(messages, &self.material, key.algorithm(), at, sign).unwrap()
    }
}

impl Draft {
    fn digests(&self) -> Vec<PartDigest> {
        let algorithm = DigestAlgorithm::Sha512;
        let digest = |name: &str, bytes: &[u8]| PartDigest {
            name: name.to_owned(),
            algorithm,
            digest: algorithm.digest(bytes),
        };
        let body = self.body.iter().map(|body| digest("/attachment1", body));
        std::iter::once(digest(MESSAGE, &self.block)).chain(body).collect()
    }

    /// Signs it, alone.
    #[must_use]
    pub fn letter(&self) -> Letter {
        let proof = self.signer.sign(&[self.digests()], self.at).remove(0);
        self.framed(&proof)
    }

    /// Signs several with one signature, which is the first one's signer's.
    #[must_use]
    pub fn batch(drafts: &[Self]) -> Vec<Letter> {
        let digests: Vec<_> = drafts.iter().map(Self::digests).collect();
        let proofs = drafts[0].signer.sign(&digests, drafts[0].at);
        drafts.iter().zip(&proofs).map(|(draft, proof)| draft.framed(proof)).collect()
    }

    fn framed(&self, proof: &SignatureParts) -> Letter {
        let piece = |part: Part, bytes: &[u8]| Piece::new(part.content_type(), bytes);
        let mut pieces: Vec<_> = self.statuses.iter().map(|status| piece(Part::Ocsp, status)).collect();
        pieces.push(piece(self.part, &self.block));
        pieces.extend(self.body.iter().map(|body| piece(Part::RestBody, body)));
        pieces.extend(proof.hash_chain_result.iter().map(|r| piece(Part::HashChainResult, r)));
        pieces.extend(proof.hash_chain.iter().map(|c| piece(Part::HashChain, c)));
        pieces.push(piece(Part::Signature, &proof.signature));
        Letter { boundary: "xtopOfATestOfATestOfATestOfATest".to_owned(), pieces }
    }
}

impl Piece {
    /// A part.
    #[must_use]
    pub fn new(kind: &str, bytes: &[u8]) -> Self {
        Self { kind: kind.to_owned(), bytes: bytes.to_vec() }
    }
}

impl Letter {
    /// The HTTP content type.
    #[must_use]
    pub fn content_type(&self) -> String {
        Writer::new(&self.boundary).unwrap().content_type()
    }

    /// The bytes, as proto's writer frames them.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(&self.boundary).unwrap();
        let mut bytes = Vec::new();
        for Piece { kind, bytes: body } in &self.pieces {
            bytes.extend(writer.envelope(kind, &[]).unwrap());
            bytes.extend_from_slice(body);
        }
        bytes.extend(writer.close());
        bytes
    }

    /// Where a part of this kind stands.
    #[must_use]
    pub fn place(&self, part: Part) -> usize {
        self.pieces.iter().position(|piece| piece.kind == part.content_type()).unwrap()
    }

    /// The body of the first part of this kind.
    pub fn part(&mut self, part: Part) -> &mut Vec<u8> {
        let place = self.place(part);
        &mut self.pieces[place].bytes
    }

    /// Without the parts of this kind.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.pieces.retain(|piece| piece.kind != part.content_type());
        self
    }

    /// With another text in the signature document in the place of the first `text`, which must be there.
    #[must_use]
    pub fn resigned(mut self, text: &str, other: &str) -> Self {
        let signature = self.part(Part::Signature);
        let before = String::from_utf8(signature.clone()).unwrap();
        assert!(before.contains(text), "{text} is not in {before}");
        *signature = before.replacen(text, other, 1).into_bytes();
        self
    }
}

//------------ Opened --------------------------------------------------------

/// A message, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// OCSP responses of the sender's TLS certificates.
    pub statuses: Vec<Vec<u8>>,
    /// The block.
    pub block: Vec<u8>,
    /// The body, if it has one.
    pub body: Option<Vec<u8>>,
    /// The hash chain result.
    pub hash_chain_result: Option<Vec<u8>>,
    /// The hash chain.
    pub hash_chain: Option<Vec<u8>>,
    /// The signature document; empty for none.
    pub signature: Vec<u8>,
    /// The fault that ends it.
    pub fault: Option<saatkond_proto::fault::SoapFault>,
}

impl Opened {
    /// Reads a message.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(content_type: &str, expect: Expect, mut bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(content_type, expect)?;
        let mut opened = Self::default();
        while let Some(event) = reader.next(&mut bytes)? {
            match event {
                Event::Ocsp(der) => opened.statuses.push(der),
                Event::RestRequest(block) | Event::RestResponse(block) => opened.block = block,
                Event::BodyStart => opened.body = Some(Vec::new()),
                Event::Body(piece) => opened.body.get_or_insert_default().extend_from_slice(piece),
                Event::HashChainResult(bytes) => opened.hash_chain_result = Some(bytes),
                Event::HashChain(bytes) => opened.hash_chain = Some(bytes),
                Event::Signature(bytes) => opened.signature = bytes,
                Event::Fault(fault) => opened.fault = Some(fault),
                _ => {}
            }
        }
        reader.finish()?;
        Ok(opened)
    }

    /// The request hash of this request. Spec: message-path §2.10.
    #[must_use]
    pub fn request_hash(&self) -> Vec<u8> {
        let digest = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
        rest::request_hash(&digest(&self.block), self.body.as_deref().map(digest).as_deref())
    }

    /// A draft of the answer to this request.
    #[must_use]
    pub fn answer(
        &self,
        signer: &Signer,
        at: UnixTime,
        lines: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Draft {
        self.answer_of((200, "OK"), signer, at, lines, body)
    }

    /// As [`Opened::answer`], with this status.
    #[must_use]
    pub fn answer_of(
        &self,
        (status, reason): (u16, &str),
        signer: &Signer,
        at: UnixTime,
        lines: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Draft {
        let request = Request::from_block(self.block.clone()).unwrap();
        let lines = lines.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let (told, headers): (Vec<_>, Vec<_>) = lines.partition(|(name, _)| is_ours(name));
        let (told, headers) = (told.into_iter().collect(), headers.into_iter().collect());
        let asked = (&request, &*self.request_hash());
        let response = Response::from_service(status, reason, &headers, told, asked).unwrap();
        Draft {
            part: Part::RestResponse,
            statuses: Vec::new(),
            block: response.block().to_vec(),
            body: body.map(<[u8]>::to_vec),
            signer: signer.clone(),
            at,
        }
    }
}
