//! Keys and certificates of a small instance: made from keys that are stored once, and the same in every run.
//!
//! Certificates are written here octet by octet, not by the code that reads them.

use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm, SignatureAlgorithm, SigningKey};
use saatkond_proto::der::{self, tag};
use saatkond_proto::globalconf::shared::{
    Authority, CertificationService, Member, Responder, SharedParams, Source, Subsystem, TimestampingService,
};
use saatkond_proto::globalconf::{GlobalConf, Instance, Options};
use saatkond_proto::id::MemberId;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::name::attribute;
use saatkond_proto::trust::ocsp::{self, Answer, Status};
use saatkond_proto::trust::profile::Profile;
use saatkond_proto::trust::tsp;
use std::sync::Arc;
use std::time::Duration;

/// When the vectors play.
pub const AT: &str = "2026-11-24T08:00:00Z";
/// How old an OCSP response may be, in seconds.
pub const FRESHNESS: u64 = 3600;

/// Key usage bits in the first octet. Spec: RFC 5280 4.2.1.3.
pub mod usage {
    /// digitalSignature.
    pub const SIGNATURE: u8 = 0x80;
    /// nonRepudiation.
    pub const REPUDIATION: u8 = 0x40;
    /// keyCertSign and cRLSign.
    pub const AUTHORITY: u8 = 0x06;
}

/// A moment so many seconds after [`AT`].
#[must_use]
pub fn later(seconds: u64) -> UnixTime {
    UnixTime::from_rfc3339(AT).unwrap().plus(Duration::from_secs(seconds))
}

/// [`AT`].
#[must_use]
pub fn now() -> UnixTime {
    later(0)
}

/// A key and its certificate.
pub struct Party {
    /// The key.
    pub key: SigningKey,
    /// The certificate.
    pub certificate: Arc<Certificate>,
}

/// A certificate to be issued.
pub struct Draft<'a> {
    /// Attribute types and values, one in each relative name.
    pub subject: &'a [(&'a [u8], &'a str)],
    /// Key usage; none when 0.
    pub usage: u8,
    /// Extended key usages: last arcs below id-kp.
    pub purposes: &'a [u8],
    /// Whether it is an authority's.
    pub is_ca: bool,
    /// Years in which it begins and ends, each on the first of January.
    pub years: (u16, u16),
}

/// A `Name` of UTF-8 strings; the country is a PrintableString, as RFC 5280 wants it.
fn name(attributes: &[(&[u8], &str)]) -> Vec<u8> {
    der::sequence(attributes.iter().map(|(oid, value)| {
        let kind = if *oid == attribute::COUNTRY { 0x13 } else { tag::UTF8_STRING };
        let pair = [der::write(tag::OID, oid), der::write(kind, value.as_bytes())];
        der::constructed(tag::SET, [der::sequence(pair)])
    }))
}

fn extension(last: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::write(tag::OID, &[0x55, 0x1d, last])];
    if critical {
        parts.push(der::write(tag::BOOLEAN, &[0xff]));
    }
    parts.push(der::write(tag::OCTET_STRING, value));
    der::sequence(parts)
}

/// The content of the public key's bit string, SHA-1. Spec: RFC 5280 4.2.1.2.
fn key_identifier(key: &SigningKey) -> Vec<u8> {
    DigestAlgorithm::Sha1.digest(key.public_key().bits())
}

impl Draft<'_> {
    /// Issues it for a key; by itself when there is no issuer.
    #[must_use]
    pub fn issue(&self, key: SigningKey, issuer: Option<&Party>) -> Party {
        let by = issuer.map_or(&key, |i| &i.key);
        let issuer_name = issuer.map_or_else(|| name(self.subject), |i| i.certificate.subject().to_vec());
        let with = SignatureAlgorithm { scheme: by.algorithm().scheme, digest: DigestAlgorithm::Sha256 };
        let year = |y: u16| der::write(tag::UTC_TIME, format!("{:02}0101000000Z", y % 100).as_bytes());
        let tbs = der::sequence([
            der::write(tag::context(0), &der::small(2)),
            der::unsigned(
                &DigestAlgorithm::Sha256.digest(&[name(self.subject), issuer_name.clone()].concat())[..8],
            ),
            with.identifier().unwrap(),
            issuer_name,
            der::sequence([year(self.years.0), year(self.years.1)]),
            name(self.subject),
            key.spki().to_vec(),
            der::write(tag::context(3), &der::sequence(self.extensions(&key, by))),
        ]);
        let value = by.sign(with.digest, &tbs, EcdsaForm::Der).unwrap();
        let certificate = der::sequence([tbs, with.identifier().unwrap(), der::bits(&value)]);
        let certificate = Arc::new(Certificate::from_der(&certificate).unwrap());
        Party { key, certificate }
    }

    fn extensions(&self, key: &SigningKey, by: &SigningKey) -> Vec<Vec<u8>> {
        let mut found = vec![
            extension(0x0e, false, &der::write(tag::OCTET_STRING, &key_identifier(key))),
            extension(
                0x23,
                false,
                &der::sequence([der::write(tag::context_primitive(0), &key_identifier(by))]),
            ),
        ];
        if self.is_ca {
            found.push(extension(0x13, true, &der::sequence([der::write(tag::BOOLEAN, &[0xff])])));
        }
        if self.usage != 0 {
            let unused = u8::try_from(self.usage.trailing_zeros()).unwrap();
            found.push(extension(0x0f, true, &der::write(tag::BIT_STRING, &[unused, self.usage])));
        }
        if !self.purposes.is_empty() {
            let purpose = |last: &u8| der::write(tag::OID, &[0x2b, 6, 1, 5, 5, 7, 3, *last]);
            found.push(extension(0x25, true, &der::sequence(self.purposes.iter().map(purpose))));
        }
        found
    }
}

/// Everyone in the vectors. The instance is `DEV`; `M1` has an RSA key, `M2` and `M4` one on P-256, `M3` one on P-384.
pub struct Pki {
    /// The approved authority's top.
    pub root: Party,
    /// The approved authority below it.
    pub middle: Party,
    /// An authority below that, which is not listed.
    pub lower: Party,
    /// Answers for `root`, and is listed.
    pub responder: Party,
    /// Answers for `middle`, and is not listed: its certificate is sent along.
    pub delegate: Party,
    /// Stamps, RSA.
    pub tsa: Party,
    /// Stamps, P-256.
    pub tsa_ec: Party,
    /// Signs for member M1, issued by `root`.
    pub m1: Party,
    /// Signs for member M2, issued by `root`.
    pub m2: Party,
    /// Signs for member M3, issued by `middle`.
    pub m3: Party,
    /// Signs for member M4, issued by `lower`.
    pub m4: Party,
    /// Signs for member M1, of an authority that nobody approves.
    pub stranger: Party,
    /// That authority.
    pub stranger_ca: Party,
    /// Signs the configuration, RSA.
    pub source: Party,
    /// Signs the configuration, P-256.
    pub source_ec: Party,
}

const MEMBER: Draft<'_> =
    Draft { subject: &[], usage: usage::REPUDIATION, purposes: &[], is_ca: false, years: (2026, 2046) };
const AUTHORITY: Draft<'_> = Draft { usage: usage::AUTHORITY, is_ca: true, ..MEMBER };

/// A member's sign certificate, as X-Road's `EjbcaSignCertificateProfileInfo` has it.
#[must_use]
pub const fn member<'a>(subject: &'a [(&'a [u8], &'a str)]) -> Draft<'a> {
    Draft { subject, ..MEMBER }
}

/// The subject of a member of class GOV.
#[must_use]
pub const fn subject(code: &str) -> [(&'static [u8], &str); 3] {
    [(attribute::COUNTRY, "DEV"), (attribute::ORGANIZATION, "GOV"), (attribute::COMMON_NAME, code)]
}

/// The names of the keys.
pub const KEYS: [&str; 15] = [
    "root",
    "middle",
    "lower",
    "responder",
    "delegate",
    "tsa",
    "tsa-ec",
    "m1",
    "m2",
    "m3",
    "m4",
    "stranger",
    "stranger-ca",
    "source",
    "source-ec",
];

impl Pki {
    /// Issues everything; `key` gives the key of a name, PKCS#8.
    #[must_use]
    pub fn new(key: impl Fn(&str) -> Vec<u8>) -> Self {
        let key = |name: &str| SigningKey::from_pkcs8(&key(name)).unwrap();
        let cn = |name| [(attribute::ORGANIZATION, "Saatkond vectors"), (attribute::COMMON_NAME, name)];
        let root = Draft { subject: &cn("Root CA"), ..AUTHORITY }.issue(key("root"), None);
        let middle = Draft { subject: &cn("Middle CA"), ..AUTHORITY }.issue(key("middle"), Some(&root));
        let lower = Draft { subject: &cn("Lower CA"), ..AUTHORITY }.issue(key("lower"), Some(&middle));
        let speaks = Draft { usage: usage::SIGNATURE, purposes: &[9], ..MEMBER };
        let responder = Draft { subject: &cn("OCSP"), ..speaks }.issue(key("responder"), Some(&root));
        let delegate = Draft { subject: &cn("Middle OCSP"), ..speaks }.issue(key("delegate"), Some(&middle));
        let stamps = Draft { usage: usage::SIGNATURE, purposes: &[8], ..MEMBER };
        let stranger_ca = Draft { subject: &cn("Stranger CA"), ..AUTHORITY }.issue(key("stranger-ca"), None);
        let speaker = Draft { usage: usage::SIGNATURE, ..MEMBER };
        Self {
            tsa: Draft { subject: &cn("TSA"), ..stamps }.issue(key("tsa"), Some(&root)),
            tsa_ec: Draft { subject: &cn("TSA EC"), ..stamps }.issue(key("tsa-ec"), Some(&root)),
            m1: member(&subject("M1")).issue(key("m1"), Some(&root)),
            m2: member(&subject("M2")).issue(key("m2"), Some(&root)),
            m3: member(&subject("M3")).issue(key("m3"), Some(&middle)),
            m4: member(&subject("M4")).issue(key("m4"), Some(&lower)),
            stranger: member(&subject("M1")).issue(key("stranger"), Some(&stranger_ca)),
            source: Draft { subject: &cn("Configuration source"), ..speaker }.issue(key("source"), None),
            source_ec: Draft { subject: &cn("Configuration source EC"), ..speaker }
                .issue(key("source-ec"), None),
            root,
            middle,
            lower,
            responder,
            delegate,
            stranger_ca,
        }
    }

    /// The shared parameters of the instance.
    #[must_use]
    pub fn shared(&self) -> SharedParams {
        let authority = |ca: &Party, responder: Option<&Party>| Authority {
            certificate: ca.certificate.der().to_vec(),
            ocsp: vec![Responder {
                url: "http://ocsp.example".to_owned(),
                certificate: responder.map(|r| r.certificate.der().to_vec()),
                cost: None,
            }],
        };
        let stamping = |name: &str, tsa: &Party| TimestampingService {
            name: name.to_owned(),
            url: "http://tsa.example".to_owned(),
            certificate: tsa.certificate.der().to_vec(),
            cost: None,
        };
        let named = |code: &str| Member {
            id: MemberId::new("DEV", "GOV", code),
            name: format!("Member {code}"),
            subsystems: vec![Subsystem { code: "S".to_owned(), name: None }],
        };
        SharedParams {
            version: 6,
            instance: "DEV".to_owned(),
            sources: vec![Source {
                address: "cs.example".to_owned(),
                internal: vec![self.source.certificate.der().to_vec()],
                external: vec![self.source_ec.certificate.der().to_vec()],
            }],
            cas: vec![CertificationService {
                name: "Root CA".to_owned(),
                authentication_only: false,
                top: authority(&self.root, Some(&self.responder)),
                intermediates: vec![authority(&self.middle, None)],
                profile: Profile::Ejbca.class_name().to_owned(),
                csr_format: None,
                acme: None,
            }],
            tsas: vec![stamping("TSA", &self.tsa), stamping("TSA EC", &self.tsa_ec)],
            members: ["M1", "M2", "M3", "M4"].map(named).to_vec(),
            servers: Vec::new(),
            groups: Vec::new(),
            member_classes: Vec::new(),
            ocsp_freshness: Duration::from_secs(FRESHNESS),
        }
    }

    /// Who answers for certificates of this authority: the lowest one does so itself.
    #[must_use]
    pub fn responder_of(&self, issuer: &Party) -> &Party {
        match &issuer.certificate {
            c if *c == self.middle.certificate => &self.delegate,
            c if *c == self.lower.certificate => &self.lower,
            _ => &self.responder,
        }
    }

    /// What is said of a certificate at a moment.
    #[must_use]
    pub fn says(&self, issuer: &Party, of: &Certificate, status: Status, at: UnixTime) -> Vec<u8> {
        says(self.responder_of(issuer), issuer, of, status, at)
    }

    /// A time-stamp over bytes, with the authority's certificate inside.
    #[must_use]
    pub fn stamp(&self, tsa: &Party, bytes: &[u8], at: UnixTime) -> Vec<u8> {
        let request = tsp::parse_request(&tsp::request(&DigestAlgorithm::Sha512.digest(bytes))).unwrap();
        let statement = tsp::Statement { serial: &[0x2a], gen_time: at, policy: &[0x2a, 3, 4] };
        let response = tsp::issue(&request, &statement, &tsa.certificate, &tsa.key).unwrap();
        let token = tsp::parse_response(&response).unwrap();
        tsp::with_certificate(&token, &tsa.certificate).unwrap().der().to_vec()
    }
}

/// What a responder says of a certificate.
#[must_use]
pub fn says(responder: &Party, issuer: &Party, of: &Certificate, status: Status, at: UnixTime) -> Vec<u8> {
    let request = ocsp::parse_request(&ocsp::request(of, &issuer.certificate)).unwrap();
    let question = request.questions.into_iter().next().unwrap();
    let answer =
        Answer { question, status, this_update: at, next_update: Some(at.plus(Duration::from_secs(86_400))) };
    ocsp::respond(&[answer], &responder.certificate, &responder.key, at, None).unwrap()
}

/// The picture of the instance whose shared parameters these are, at any time.
#[must_use]
pub fn conf(shared: SharedParams) -> GlobalConf {
    let instance = shared.instance.clone();
    let expires = UnixTime::from_rfc3339("2099-01-01T00:00:00Z").unwrap();
    let only = Instance { shared, private: None, expires, options: Options::default() };
    GlobalConf::new(&instance, vec![only]).unwrap()
}
