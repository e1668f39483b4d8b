//! A small instance whose keys the tests hold, its configuration as published, and containers.

use crate::testing::Directory;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use saatkond_proto::container::zip::{Level, Writer};
use saatkond_proto::container::{BatchStamp, Evidence, entry_name, write};
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm, SigningKey};
use saatkond_proto::globalconf::{
    Anchor, AnchorSource, Authority, CertificationService, Content, Draft, ManagementService, Part,
    PrivateParams, Responder, SharedParams, Source, TimestampingService, layout,
};
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::{self, PartDigest, PrepareError, SignerMaterial, batch};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::{self, Answer, Status};
use saatkond_proto::trust::profile::Profile;
use saatkond_proto::trust::{Certificate, tsp};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BODY: &[u8] = b"{\"a\":1}";

/// When messages are signed.
pub(super) fn now() -> UnixTime {
    UnixTime::from_rfc3339("2026-11-24T08:00:00Z").unwrap()
}

struct Party {
    key: SigningKey,
    certificate: Arc<Certificate>,
}

impl Party {
    fn of(pair: &KeyPair, certificate: &rcgen::Certificate) -> Self {
        let key = SigningKey::from_pkcs8(&pair.serialize_der()).unwrap();
        Self { key, certificate: Arc::new(Certificate::from_der(certificate.der()).unwrap()) }
    }

    fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }
}

/// The instance, in a directory.
pub(super) struct World {
    directory: Directory,
    ca: Party,
    responder: Party,
    member: Party,
    tsa: Party,
    conf: Party,
}

impl World {
    pub(super) fn new() -> Self {
        let pair = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut authority = params("Test CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(authority, pair()).unwrap();
        let ca = Party::of(issuer.key(), issuer.as_ref());
        let issue = |params: CertificateParams| {
            let pair = pair();
            let certificate = params.signed_by(&pair, &*issuer as &Issuer<'_, KeyPair>).unwrap();
            Party::of(&pair, &certificate)
        };
        let mut responder = params("Test OCSP");
        responder.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        let mut member = params("M1");
        member.distinguished_name.push(DnType::CountryName, "DEV");
        member.distinguished_name.push(DnType::OrganizationName, "GOV");
        member.key_usages = vec![KeyUsagePurpose::ContentCommitment];
        let mut tsa = params("Test TSA");
        tsa.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        let (responder, member, tsa, conf) =
            (issue(responder), issue(member), issue(tsa), issue(params("Configuration")));
        let world = Self { directory: Directory::new(), ca, responder, member, tsa, conf };
        world.publish(now().plus(Duration::from_secs(600)));
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes anchor and configuration as a central server publishes it, a copy of it as servers keep it, and that
    /// copy as a server hands it out.
    pub(super) fn publish(&self, expires: UnixTime) {
        let shared = self.shared().to_xml(6).unwrap();
        let private = PrivateParams {
            instance: "DEV".to_owned(),
            anchors: Vec::new(),
            management: ManagementService {
                registration_url: "https://cs.example:4001/managementservice/".to_owned(),
                registration_certificate: None,
                provider: MemberId::new("DEV", "GOV", "M0").subsystem("MGMT"),
            },
            timestamping_interval: Duration::from_secs(60),
        }
        .to_xml();
        let parts = vec![
            Part::of(Content::Shared, "DEV", "/V6/20261124080000/shared-params.xml", &shared),
            Part::of(Content::Private, "DEV", "/V6/20261124080000/private-params.xml", &private),
        ];
        for (part, bytes) in parts.iter().zip([&shared, &private]) {
            self.put(&format!("published{}", part.location), bytes);
            for (path, bytes) in layout::files_of(part, bytes, expires, 6).unwrap() {
                self.put(&format!("copy/{path}"), &bytes);
            }
        }
        self.put("copy/instance-identifier", b"DEV\n");
        let directory = Draft { expires, version: 6, parts };
        let signed = directory
            .sign(std::array::from_fn(|n| n as u8), &self.conf.key, self.conf.certificate.der())
            .unwrap();
        self.put("published/V6/internalconf", &signed);
        self.put("anchor.xml", &self.anchor(&self.conf.der()));
        let mut zip = Writer::new(Vec::new(), Level::Usual);
        zip.entry("verificationconf/DEV/shared-params.xml", now(), shared.as_slice()).unwrap();
        let metadata = &br#"{"configurationVersion":"6"}"#[..];
        zip.entry("verificationconf/DEV/shared-params.xml.metadata", now(), metadata).unwrap();
        zip.entry("verificationconf/instance-identifier", now(), &b"DEV"[..]).unwrap();
        self.put("verificationconf.zip", &zip.finish("").unwrap());
    }

    /// An anchor that names this certificate.
    pub(super) fn anchor(&self, certificate: &[u8]) -> Vec<u8> {
        let source = AnchorSource {
            url: "http://cs.example/internalconf".to_owned(),
            certificates: vec![certificate.to_vec()],
        };
        Anchor { generated_at: Some(now()), instance: "DEV".to_owned(), sources: vec![source] }.to_xml()
    }

    /// A certificate that signs no configuration.
    pub(super) fn other_certificate(&self) -> Vec<u8> {
        self.tsa.der()
    }

    fn shared(&self) -> SharedParams {
        let responder = Responder {
            url: "http://ocsp.example".to_owned(),
            certificate: Some(self.responder.der()),
            cost: None,
        };
        SharedParams {
            version: 6,
            instance: "DEV".to_owned(),
            sources: vec![Source {
                address: "cs.example".to_owned(),
                internal: vec![self.conf.der()],
                external: vec![self.conf.der()],
            }],
            cas: vec![CertificationService {
                name: "Test CA".to_owned(),
                authentication_only: false,
                top: Authority { certificate: self.ca.der(), ocsp: vec![responder] },
                intermediates: Vec::new(),
                profile: Profile::Ejbca.class_name().to_owned(),
                csr_format: None,
                acme: None,
            }],
            tsas: vec![TimestampingService {
                name: "Test TSA".to_owned(),
                url: "http://tsa.example".to_owned(),
                certificate: self.tsa.der(),
                cost: None,
            }],
            members: Vec::new(),
            servers: Vec::new(),
            groups: Vec::new(),
            member_classes: Vec::new(),
            ocsp_freshness: Duration::from_secs(3600),
        }
    }

    /// A container of a request with this id and a body, signed by `DEV/GOV/M1`.
    pub(super) fn container(&self, id: &str) -> Vec<u8> {
        self.container_of(id, "DEV/GOV/M1/C", &[BODY])
    }

    pub(super) fn container_of(&self, id: &str, client: &str, attachments: &[&[u8]]) -> Vec<u8> {
        let message = format!(
            "POST\r\n/r1/DEV/GOV/M2/S/land/parcel\r\nX-Road-Client:{client}\r\nX-Road-Id:{id}\r\n\
             x-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n"
        );
        let algorithm = DigestAlgorithm::Sha512;
        let part = |name: &str, bytes: &[u8]| PartDigest {
            name: name.to_owned(),
            algorithm,
            digest: algorithm.digest(bytes),
        };
        let parts = [part(signature::MESSAGE, message.as_bytes()), part("/attachment1", BODY)];
        let question = ocsp::request(&self.member.certificate, &self.ca.certificate);
        let question = ocsp::parse_request(&question).unwrap().questions.remove(0);
        let answer = Answer { question, status: Status::Good, this_update: now(), next_update: None };
        let material = SignerMaterial {
            certificate: self.member.certificate.clone(),
            intermediates: Vec::new(),
            ocsp: vec![
                ocsp::respond(&[answer], &self.responder.certificate, &self.responder.key, now(), None)
                    .unwrap(),
            ],
        };
        let key = &self.member.key;
        let sign = |bytes: &[u8]| Ok(key.sign(key.algorithm().digest, bytes, EcdsaForm::Fixed).unwrap());
        let signed =
            signature::sign::<PrepareError>(&[parts.to_vec()], &material, key.algorithm(), now(), sign)
                .unwrap();
        let leaf = |bytes: &[u8]| vec![part(batch::SIGNATURES, bytes)];
        let chains =
            batch::build(batch::Kind::Timestamp, &[leaf(&signed[0].signature), leaf(b"another")]).unwrap();
        let token = self.stamp(&chains.result);
        let evidence = Evidence {
            message: message.as_bytes(),
            signature: &signed[0].signature,
            hash_chain_result: signed[0].hash_chain_result.as_deref(),
            hash_chain: signed[0].hash_chain.as_deref(),
            stamp: Some(BatchStamp {
                token: &token,
                hash_chain_result: &chains.result,
                hash_chain: &chains.chains[0],
            }),
            time: now(),
        };
        write(Vec::new(), &evidence, attachments.iter().copied()).unwrap()
    }

    fn stamp(&self, bytes: &[u8]) -> Vec<u8> {
        let request = tsp::request(&DigestAlgorithm::Sha512.digest(bytes));
        let request = tsp::parse_request(&request).unwrap();
        let gen_time = now().plus(Duration::from_secs(60));
        let statement = tsp::Statement { serial: &[1, 2], gen_time, policy: &[0x2a, 3] };
        let response = tsp::issue(&request, &statement, &self.tsa.certificate, &self.tsa.key).unwrap();
        tsp::parse_response(&response).unwrap().der().to_vec()
    }

    /// An archive of these containers that follows `previous`; also its last digest.
    pub(super) fn archive(&self, containers: &[&[u8]], previous: Option<(&str, &str)>) -> (Vec<u8>, String) {
        let (before, name) = previous.unwrap_or(("-", "-"));
        let mut info = format!("{before} {name} SHA-512\n");
        let mut last = previous.map(|(digest, _)| digest.to_owned()).unwrap_or_default();
        let mut zip = Writer::new(Vec::new(), Level::Stored);
        for (number, container) in (10..).zip(containers) {
            let entry = entry_name("a/b", false, number);
            last = hex(&DigestAlgorithm::Sha512
                .digest((last + &hex(&DigestAlgorithm::Sha512.digest(container))).as_bytes()));
            info.push_str(&format!("{last} {entry}\n"));
            zip.entry(&entry, now(), *container).unwrap();
        }
        zip.entry("linkinginfo", now(), info.as_bytes()).unwrap();
        (zip.finish("").unwrap(), last)
    }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}
