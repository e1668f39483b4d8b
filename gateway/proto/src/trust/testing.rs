//! Certificates made for tests, with every knob that a test turns.

use super::{ApprovedCa, CaService, Certificate, OcspPolicy, OcspService};
use crate::crypto::{DigestAlgorithm, EcdsaForm, SignatureAlgorithm, SigningKey};
use crate::der::{self, tag};
use crate::time::UnixTime;
use std::sync::Arc;
use std::time::Duration;

/// When the tests play.
pub(crate) fn now() -> UnixTime {
    UnixTime::from_rfc3339("2026-11-24T08:00:00Z").unwrap()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const POLICY: OcspPolicy =
    OcspPolicy { freshness: Duration::from_secs(3600), check_next_update: true };

pub(crate) fn new_key() -> SigningKey {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    SigningKey::from_pkcs8(&pair.serialize_der()).unwrap()
}

/// A `Name` of one attribute each, UTF-8.
pub(crate) fn name(pairs: &[(&[u8], &str)]) -> Vec<u8> {
    der::sequence(pairs.iter().map(|(oid, value)| {
        let value = der::write(tag::UTF8_STRING, value.as_bytes());
        der::constructed(tag::SET, [der::sequence([der::write(tag::OID, oid), value])])
    }))
}

/// A key and its certificate.
pub(crate) struct Party {
    pub(crate) key: SigningKey,
    pub(crate) certificate: Arc<Certificate>,
}

/// A certificate to be issued.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) subject: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) signed_with: DigestAlgorithm,
    pub(crate) names_algorithm: DigestAlgorithm,
}

pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const NON_REPUDIATION: u8 = 0x40;
pub(crate) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(crate) const DATA_ENCIPHERMENT: u8 = 0x10;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
pub(crate) const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];

impl Draft {
    /// A certificate for this common name, valid around [`now`], without extensions.
    pub(crate) fn new(common_name: &str) -> Self {
        let serial = DigestAlgorithm::Sha256.digest(common_name.as_bytes());
        Self {
            subject: name(&[(super::name::attribute::COMMON_NAME, common_name)]),
            serial: serial[..8].to_vec(),
            not_before: now().minus(seconds(86_400)),
            not_after: now().plus(seconds(864_000)),
            extensions: Vec::new(),
            issuer: None,
            signed_with: DigestAlgorithm::Sha256,
            names_algorithm: DigestAlgorithm::Sha256,
        }
    }

    /// An authority.
    pub(crate) fn ca(common_name: &str) -> Self {
        Self::new(common_name).basic(true, None).usage(KEY_CERT_SIGN | CRL_SIGN)
    }

    /// A certificate that signs messages.
    pub(crate) fn signing(common_name: &str) -> Self {
        Self::new(common_name).usage(NON_REPUDIATION)
    }

    /// A certificate that authenticates.
    pub(crate) fn authentication(common_name: &str) -> Self {
        Self::new(common_name).usage(DIGITAL_SIGNATURE).extended(&[CLIENT_AUTH])
    }

    /// An OCSP responder.
    pub(crate) fn responder(common_name: &str) -> Self {
        Self::new(common_name).usage(DIGITAL_SIGNATURE).extended(&[OCSP_SIGNING])
    }

    pub(crate) fn extension(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        let mut parts = vec![der::write(tag::OID, oid)];
        if critical {
            parts.push(der::write(tag::BOOLEAN, &[0xff]));
        }
        parts.push(der::write(tag::OCTET_STRING, value));
        self.extensions.push(der::sequence(parts));
        self
    }

    pub(crate) fn basic(self, is_ca: bool, path_length: Option<u64>) -> Self {
        let mut parts = Vec::new();
        if is_ca {
            parts.push(der::write(tag::BOOLEAN, &[0xff]));
        }
        parts.extend(path_length.map(der::small));
        self.extension(&[0x55, 0x1d, 0x13], true, &der::sequence(parts))
    }

    pub(crate) fn usage(self, bits: u8) -> Self {
        let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
        self.extension(&[0x55, 0x1d, 0x0f], true, &der::write(tag::BIT_STRING, &[unused, bits]))
    }

    pub(crate) fn extended(self, oids: &[&[u8]]) -> Self {
        let list = der::sequence(oids.iter().map(|oid| der::write(tag::OID, oid)));
        self.extension(&[0x55, 0x1d, 0x25], false, &list)
    }

    pub(crate) fn self_signed(self) -> Party {
        let key = new_key();
        let subject = self.issuer.clone().unwrap_or_else(|| self.subject.clone());
        let der = self.sign(key.spki(), &subject, &key);
        Party { key, certificate: Arc::new(Certificate::from_der(&der).unwrap()) }
    }

    pub(crate) fn issued_by(self, issuer: &Party) -> Party {
        let key = new_key();
        let certificate = self.issued_for(key.spki(), issuer);
        Party { key, certificate }
    }

    /// For a key that exists.
    pub(crate) fn issued_for(self, spki: &[u8], issuer: &Party) -> Arc<Certificate> {
        let by = self.issuer.clone().unwrap_or_else(|| issuer.certificate.subject().to_vec());
        Arc::new(Certificate::from_der(&self.sign(spki, &by, &issuer.key)).unwrap())
    }

    pub(crate) fn sign(&self, spki: &[u8], issuer: &[u8], key: &SigningKey) -> Vec<u8> {
        let identifier =
            |digest| SignatureAlgorithm { scheme: key.algorithm().scheme, digest }.identifier().unwrap();
        let validity =
            der::sequence([der::generalized_time(self.not_before), der::generalized_time(self.not_after)]);
        let mut parts = vec![
            der::write(tag::context(0), &der::small(2)),
            der::unsigned(&self.serial),
            identifier(self.names_algorithm),
            issuer.to_vec(),
            validity,
            self.subject.clone(),
            spki.to_vec(),
        ];
        if !self.extensions.is_empty() {
            parts.push(der::write(tag::context(3), &der::sequence(&self.extensions)));
        }
        let tbs = der::sequence(parts);
        let value = key.sign(self.signed_with, &tbs, EcdsaForm::Der).unwrap();
        der::sequence([tbs, identifier(self.signed_with), der::bits(&value)])
    }
}

/// An approved authority without intermediates and responders.
pub(crate) fn approved(ca: &Party) -> ApprovedCa {
    ApprovedCa {
        name: ca.certificate.subject_text().to_owned(),
        authentication_only: false,
        top: service(ca, None),
        intermediates: Vec::new(),
        profile: Some(super::profile::Profile::Ejbca),
    }
}

/// An authority's service, with the responder it lists.
pub(crate) fn service(ca: &Party, responder: Option<&Party>) -> CaService {
    CaService {
        certificate: Arc::clone(&ca.certificate),
        ocsp: responder
            .map(|r| OcspService {
                url: "http://ocsp.example".to_owned(),
                certificate: Some(Arc::clone(&r.certificate)),
            })
            .into_iter()
            .collect(),
    }
}

/// The same bytes with one bit changed.
pub(crate) fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[bit / 8] ^= 1 << (bit % 8);
    out
}

/// The vectors' folder, or `None` after saying that the test skips.
pub(crate) fn vectors() -> Option<std::path::PathBuf> {
    let set = std::env::var_os("SAATKOND_VECTORS").map(std::path::PathBuf::from);
    let folder = set
        .unwrap_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"));
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
    assert!(!required, "no vectors in {}", folder.display());
    skip(&format!("no vectors in {}", folder.display()));
    None
}

pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// The first certificate of a PEM text.
pub(crate) fn from_pem(text: &str) -> Arc<Certificate> {
    use base64::Engine as _;
    let (_, after) = text.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let (body, _) = after.split_once("-----END").unwrap();
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    Arc::new(Certificate::from_der(&der).unwrap())
}
