//! A small instance whose keys the tests hold: it signs, stamps and is believed.

use crate::container::{BatchStamp, Evidence, write};
use crate::crypto::{DigestAlgorithm, EcdsaForm};
use crate::globalconf::{
    Authority, CertificationService, Content, GlobalConf, Instance, Options, Part, Responder, SharedParams,
    Source, TimestampingService, layout,
};
use crate::signature::{self, PartDigest, PrepareError, SignatureParts, SignerMaterial, batch};
use crate::time::UnixTime;
use crate::trust::name::attribute;
use crate::trust::ocsp::{self, Answer, Status};
use crate::trust::profile::Profile;
use crate::trust::testing::{Draft, Party, TIME_STAMPING, name, now, seconds};
use crate::trust::tsp;
use std::path::Path;

pub(super) const REQUEST: &[u8] =
    b"POST\r\n/r1/DEV/GOV/M2/S/land/parcel?x=1\r\nX-Road-Client:DEV/GOV/M1/C\r\n\
    X-Road-Id:the-id\r\nx-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n";

pub(super) struct World {
    ca: Party,
    responder: Party,
    member: Party,
    pub(super) tsa: Party,
    pub(super) conf: GlobalConf,
    shared: SharedParams,
}

/// How a message is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamping {
    Single,
    Batch,
    None,
}

impl World {
    pub(super) fn new() -> Self {
        let ca = Draft::ca("Test CA").self_signed();
        let responder = Draft::responder("Test OCSP").issued_by(&ca);
        let subject = name(&[
            (attribute::COUNTRY, "DEV"),
            (attribute::ORGANIZATION, "GOV"),
            (attribute::COMMON_NAME, "M1"),
        ]);
        let member = Draft { subject, ..Draft::signing("M1") }.issued_by(&ca);
        let tsa = Draft::new("Test TSA").extended(&[TIME_STAMPING]).self_signed();
        let shared = SharedParams {
            version: 6,
            instance: "DEV".to_owned(),
            sources: vec![Source {
                address: "cs.example".to_owned(),
                internal: vec![ca.certificate.der().to_vec()],
                external: vec![ca.certificate.der().to_vec()],
            }],
            cas: vec![CertificationService {
                name: "Test CA".to_owned(),
                authentication_only: false,
                top: Authority {
                    certificate: ca.certificate.der().to_vec(),
                    ocsp: vec![Responder {
                        url: "http://ocsp.example".to_owned(),
                        certificate: Some(responder.certificate.der().to_vec()),
                        cost: None,
                    }],
                },
                intermediates: Vec::new(),
                profile: Profile::Ejbca.class_name().to_owned(),
                csr_format: None,
                acme: None,
            }],
            tsas: vec![TimestampingService {
                name: "Test TSA".to_owned(),
                url: "http://tsa.example".to_owned(),
                certificate: tsa.certificate.der().to_vec(),
                cost: None,
            }],
            members: Vec::new(),
            servers: Vec::new(),
            groups: Vec::new(),
            member_classes: Vec::new(),
            ocsp_freshness: seconds(3600),
        };
        let instance = Instance {
            shared: shared.clone(),
            private: None,
            expires: now().plus(seconds(600)),
            options: Options::default(),
        };
        let conf = GlobalConf::new("DEV", vec![instance]).unwrap();
        Self { ca, responder, member, tsa, conf, shared }
    }

    /// Signs messages together, each a list of its parts' contents.
    pub(super) fn sign(&self, messages: &[&[&[u8]]]) -> Vec<SignatureParts> {
        let messages: Vec<_> = messages.iter().map(|parts| digests(parts)).collect();
        let question = ocsp::request(&self.member.certificate, &self.ca.certificate);
        let question = ocsp::parse_request(&question).unwrap().questions.remove(0);
        let answer = Answer { question, status: Status::Good, this_update: now(), next_update: None };
        let response =
            ocsp::respond(&[answer], &self.responder.certificate, &self.responder.key, now(), None).unwrap();
        let material = SignerMaterial {
            certificate: self.member.certificate.clone(),
            intermediates: Vec::new(),
            ocsp: vec![response],
        };
        let key = &self.member.key;
        let algorithm = key.algorithm();
        let sign = |bytes: &[u8]| Ok(key.sign(algorithm.digest, bytes, EcdsaForm::Fixed).unwrap());
        signature::sign::<PrepareError>(&messages, &material, algorithm, now(), sign).unwrap()
    }

    /// A token of this authority over `bytes`, a few seconds after [`now`].
    pub(super) fn stamp(&self, bytes: &[u8], tsa: &Party) -> Vec<u8> {
        let request = tsp::request(&DigestAlgorithm::Sha512.digest(bytes));
        let request = tsp::parse_request(&request).unwrap();
        let statement = tsp::Statement { serial: &[1, 2, 3], gen_time: stamped_at(), policy: &[0x2a, 3, 4] };
        let response = tsp::issue(&request, &statement, &tsa.certificate, &tsa.key).unwrap();
        let token = tsp::parse_response(&response).unwrap();
        tsp::with_certificate(&token, &tsa.certificate).unwrap().der().to_vec()
    }

    /// A container of one message, as a message log would write it.
    pub(super) fn container(&self, parts: &[&[u8]], stamping: Stamping) -> Vec<u8> {
        let signed = self.sign(&[parts]).remove(0);
        self.pack(parts, &signed, stamping)
    }

    /// A container of a message that was signed.
    pub(super) fn pack(&self, parts: &[&[u8]], signed: &SignatureParts, stamping: Stamping) -> Vec<u8> {
        let mut signature = signed.signature.to_vec();
        if stamping == Stamping::Single {
            let value = signature::signature_value(&signature).unwrap();
            signature = signature::with_timestamp(&signature, &self.stamp(&value, &self.tsa)).unwrap();
        }
        let (result, chain) = stamp_chain(&signature);
        let token = self.stamp(&result, &self.tsa);
        let stamp = BatchStamp { token: &token, hash_chain_result: &result, hash_chain: &chain };
        let evidence = Evidence {
            message: parts[0],
            signature: &signature,
            hash_chain_result: signed.hash_chain_result.as_deref(),
            hash_chain: signed.hash_chain.as_deref(),
            stamp: (stamping == Stamping::Batch).then_some(stamp),
            time: now(),
        };
        write(Vec::new(), &evidence, parts[1..].to_vec()).unwrap()
    }

    /// Writes the configuration as a security server keeps it.
    pub(super) fn store(&self, folder: &Path) {
        let bytes = self.shared.to_xml(6).unwrap();
        let part = Part::of(Content::Shared, "DEV", "/V6/1/shared-params.xml", &bytes);
        std::fs::create_dir_all(folder.join("DEV")).unwrap();
        std::fs::write(folder.join(layout::INSTANCE_IDENTIFIER), "DEV").unwrap();
        for (path, bytes) in layout::files_of(&part, &bytes, now().plus(seconds(600)), 6).unwrap() {
            std::fs::write(folder.join(path), bytes).unwrap();
        }
    }
}

pub(super) fn stamped_at() -> UnixTime {
    now().plus(seconds(7))
}

pub(super) fn digests(parts: &[&[u8]]) -> Vec<PartDigest> {
    let name = |n: usize| if n == 0 { signature::MESSAGE.to_owned() } else { format!("/attachment{n}") };
    let algorithm = DigestAlgorithm::Sha512;
    let digest = |(n, bytes): (usize, &&[u8])| PartDigest {
        name: name(n),
        algorithm,
        digest: algorithm.digest(bytes),
    };
    parts.iter().enumerate().map(digest).collect()
}

/// A time-stamp's chain over this signature and another.
pub(super) fn stamp_chain(document: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let algorithm = DigestAlgorithm::Sha512;
    let leaf = |bytes: &[u8]| {
        vec![PartDigest { name: batch::SIGNATURES.to_owned(), algorithm, digest: algorithm.digest(bytes) }]
    };
    let chains = batch::build(batch::Kind::Timestamp, &[leaf(document), leaf(b"another")]).unwrap();
    (chains.result, chains.chains.into_iter().next().unwrap())
}
