//! Every vector of the project, made anew: the same octets in every run, since keys are stored and signing is
//! deterministic.
//!
//! What must come of a vector is written down here by hand; nothing is asked of the code that will be judged by it.

mod descriptions;
mod files;
mod messages;
mod paths;
mod proofs;
mod statements;

use super::Vector;
use super::judge::told_part;
use super::pki::{KEYS, Pki};
use saatkond_proto::crypto::{DigestAlgorithm, SigningKey};
use saatkond_proto::signature::PartDigest;
use std::collections::BTreeMap;

/// Vectors by their names.
#[derive(Default)]
pub struct Collection(BTreeMap<String, Vector>);

impl Collection {
    fn add(&mut self, name: &str, vector: Vector) {
        let name = format!("{}/{name}", vector.required("kind"));
        assert!(self.0.insert(name.clone(), vector).is_none(), "{name} twice");
    }
}

/// Makes all vectors from the keys stored among those that exist.
#[must_use]
pub fn all(stored: &BTreeMap<String, Vector>) -> BTreeMap<String, Vector> {
    let key = |name: &str| {
        let stored = stored.get(&format!("key/{name}"));
        stored.unwrap_or_else(|| panic!("the key {name} is not stored")).body.clone()
    };
    let pki = Pki::new(key);
    let mut made = Collection::default();
    for name in KEYS {
        made.add(name, key_vector(name, &key(name)));
    }
    statements::add(&mut made, &pki);
    messages::add(&mut made);
    paths::add(&mut made);
    descriptions::add(&mut made);
    proofs::add(&mut made, &pki);
    files::add(&mut made, &pki);
    made.0
}

/// A key as it is stored.
#[must_use]
pub fn key_vector(name: &str, pkcs8: &[u8]) -> Vector {
    let key = SigningKey::from_pkcs8(pkcs8).unwrap();
    let what = format!("The private key {name:?} of the vectors, unencrypted PKCS#8. It opens nothing.");
    Vector::new("key", &what, "RFC 5958")
        .accepted()
        .told("key", &key.public_key().kind().to_string())
        .told("public key", &super::hex(&DigestAlgorithm::Sha256.digest(key.spki())))
        .in_base64(pkcs8)
}

/// A part digested with SHA-512.
fn part(name: &str, bytes: &[u8]) -> PartDigest {
    let algorithm = DigestAlgorithm::Sha512;
    PartDigest { name: name.to_owned(), algorithm, digest: algorithm.digest(bytes) }
}

/// Parts of one message, named as they are signed.
fn named(parts: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let name = |n: usize| if n == 0 { "/message.xml".to_owned() } else { format!("/attachment{n}") };
    parts.iter().enumerate().map(|(n, bytes)| (name(n), bytes.to_vec())).collect()
}

fn digests(parts: &[&[u8]]) -> Vec<PartDigest> {
    named(parts).iter().map(|(name, bytes)| part(name, bytes)).collect()
}

/// A REST request that most vectors speak of.
const REQUEST: &[u8] = b"POST\r\n/r1/DEV/GOV/M2/S/land/parcel?x=1\r\nX-Road-Client:DEV/GOV/M1/S\r\n\
    X-Road-Id:the-id\r\nContent-Type:application/json\r\n\
    x-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n";
/// Its body.
const BODY: &[u8] = b"{\"parcel\":\"78401:101:0010\"}";

/// Its answer.
fn response() -> Vec<u8> {
    use base64::Engine as _;
    let digest = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
    let hash = digest(&[digest(REQUEST), digest(BODY)].concat());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    format!(
        "200\r\nOK\r\nContent-Type:application/json\r\nx-road-id:the-id\r\nx-road-client:DEV/GOV/M1/S\r\n\
         x-road-service:DEV/GOV/M2/S/land\r\nx-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n\
         x-road-request-hash:{hash}\r\n"
    )
    .into_bytes()
}

/// A SOAP envelope.
const ENVELOPE: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:id="http://x-road.eu/xsd/identifiers" xmlns:xrd="http://x-road.eu/xsd/xroad.xsd">
<SOAP-ENV:Header>
<xrd:client id:objectType="SUBSYSTEM"><id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode><id:subsystemCode>S</id:subsystemCode></xrd:client>
<xrd:service id:objectType="SERVICE"><id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>M2</id:memberCode><id:subsystemCode>S</id:subsystemCode><id:serviceCode>getLand</id:serviceCode><id:serviceVersion>v1</id:serviceVersion></xrd:service>
<xrd:id>the-id</xrd:id>
<xrd:protocolVersion>4.0</xrd:protocolVersion>
</SOAP-ENV:Header>
<SOAP-ENV:Body><p:getLand xmlns:p="http://land.example"><p:parcel>78401:101:0010</p:parcel></p:getLand></SOAP-ENV:Body>
</SOAP-ENV:Envelope>
"#;
