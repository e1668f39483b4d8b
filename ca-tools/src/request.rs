//! PKCS#10 certificate requests: read and verified, and written.
//!
//! Spec: RFC 2986. Only the key, the subject and the names asked for are taken from a request; what the certificate
//! is for is the authority's decision. Seen: X-Road 7.8 asks for keyCertSign in requests for sign certificates.

use crate::index::Purpose;
use crate::naming::{NamingError, Subject};
use crate::pem;
use crate::template::{RcgenKey, use_for};
use saatkond_proto::crypto::{CryptoError, EcdsaForm, PublicKey, SignatureAlgorithm, SigningKey};
use saatkond_proto::der::{self, DerError, Reader, tag};
use std::net::IpAddr;

/// A request whose signature holds: who sent it has the key.
#[derive(Debug, Clone)]
pub struct Request {
    spki: Vec<u8>,
    subject: Subject,
    names: Vec<AltName>,
}

/// A name in a certificate's subjectAltName.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltName {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl std::str::FromStr for AltName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Dns(text.to_owned()), Self::Ip))
    }
}

/// A request that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither DER nor PEM of a request.
    #[error("not a certificate request, neither PEM nor DER")]
    NotARequest,
    /// More than a request needs.
    #[error("request has {0} bytes, more than any is read with")]
    TooLarge(usize),
    /// Not the DER of one.
    #[error("certificate request cannot be read: {0}")]
    Malformed(#[from] DerError),
    /// Its key or its signature.
    #[error("certificate request: {0}")]
    Crypto(#[from] CryptoError),
    /// An algorithm that is not accepted.
    #[error("certificate request is signed with an algorithm that is not accepted (SHA-1, MD5 or unknown)")]
    Algorithm,
    /// Its subject.
    #[error(transparent)]
    Subject(#[from] NamingError),
    /// One that cannot be written.
    #[error("certificate request is not written: {0}")]
    NotWritten(String),
}

/// Bytes of a request that is read; one with an 8192-bit key has 2.5 KB.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// extensionRequest. Spec: RFC 2985 5.4.2.
const OID_EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// subjectAltName. Spec: RFC 5280 4.2.1.6.
const OID_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl Request {
    /// Reads a request, PEM or DER, and verifies its signature.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLarge(bytes.len()));
        }
        let der = pem::der_or_pem(pem::CERTIFICATE_REQUEST, bytes)
            .or_else(|| pem::der_or_pem("NEW CERTIFICATE REQUEST", bytes))
            .ok_or(RequestError::NotARequest)?;
        let mut whole = der::single(&der)?.reader();
        let info = whole.expect(tag::SEQUENCE)?;
        let algorithm = whole.expect(tag::SEQUENCE)?.raw;
        let signature = whole.bits()?;
        whole.end()?;
        let mut inside = info.reader();
        inside.small()?;
        let subject = inside.expect(tag::SEQUENCE)?.raw;
        let spki = inside.expect(tag::SEQUENCE)?.raw;
        let attributes = inside.optional(tag::context(0))?;
        inside.end()?;
        let algorithm = SignatureAlgorithm::from_identifier(algorithm).ok_or(RequestError::Algorithm)?;
        PublicKey::from_spki(spki)?.verify(algorithm, info.raw, signature, EcdsaForm::Der)?;
        let names = match attributes {
            Some(attributes) => requested_names(attributes.reader())?,
            None => Vec::new(),
        };
        Ok(Self { spki: spki.to_vec(), subject: Subject::from_der(subject)?, names })
    }

    /// The key, a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The subject asked for.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Host names and addresses asked for.
    #[must_use]
    pub fn names(&self) -> &[AltName] {
        &self.names
    }
}

/// Writes a request in DER: for this key, subject, names and purpose, signed over SHA-256, with P-384 over SHA-384.
///
/// Key usages are asked for as X-Road 7.8 asks, but without keyCertSign, which no member's certificate may have.
///
/// # Errors
/// [`RequestError::NotWritten`].
pub fn write(
    key: &SigningKey,
    subject: &Subject,
    names: &[AltName],
    purpose: Purpose,
) -> Result<Vec<u8>, RequestError> {
    let not_written = |error: rcgen::Error| RequestError::NotWritten(error.to_string());
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = subject.to_rcgen().map_err(not_written)?;
    use_for(&mut params, purpose);
    params.extended_key_usages.clear();
    for name in names {
        params.subject_alt_names.push(match name {
            AltName::Dns(dns) => rcgen::SanType::DnsName(dns.as_str().try_into().map_err(not_written)?),
            AltName::Ip(ip) => rcgen::SanType::IpAddress(*ip),
        });
    }
    let made = params.serialize_request(&RcgenKey(key)).map_err(not_written)?;
    Ok(made.der().to_vec())
}

fn requested_names(mut attributes: Reader<'_>) -> Result<Vec<AltName>, DerError> {
    let mut names = Vec::new();
    while !attributes.is_empty() {
        let mut attribute = attributes.sequence()?;
        if attribute.oid()? != OID_EXTENSION_REQUEST {
            continue;
        }
        names.extend(names_in(attribute.expect(tag::SET)?.reader().sequence()?)?);
    }
    Ok(names)
}

/// The names in a list of extensions.
fn names_in(mut extensions: Reader<'_>) -> Result<Vec<AltName>, DerError> {
    let mut names = Vec::new();
    while !extensions.is_empty() {
        let mut extension = extensions.sequence()?;
        let oid = extension.oid()?;
        extension.optional(tag::BOOLEAN)?;
        let content = extension.octets()?;
        if oid == OID_ALT_NAME {
            names.extend(read_names(content)?);
        }
    }
    Ok(names)
}

/// The key of a certificate, a `SubjectPublicKeyInfo`, for one that is to be issued anew.
pub(crate) fn spki_of(certificate: &[u8]) -> Result<Vec<u8>, DerError> {
    Ok(after_subject(certificate)?.expect(tag::SEQUENCE)?.raw.to_vec())
}

/// Host names and addresses in a certificate.
pub(crate) fn names_of(certificate: &[u8]) -> Result<Vec<AltName>, DerError> {
    let mut inside = after_subject(certificate)?;
    inside.expect(tag::SEQUENCE)?;
    inside.optional(tag::context_primitive(1))?;
    inside.optional(tag::context_primitive(2))?;
    match inside.optional(tag::context(3))? {
        Some(extensions) => names_in(extensions.reader().sequence()?),
        None => Ok(Vec::new()),
    }
}

/// The rest of a `TBSCertificate` after its subject. Spec: RFC 5280 4.1.
fn after_subject(certificate: &[u8]) -> Result<Reader<'_>, DerError> {
    let mut inside = der::single(certificate)?.reader().sequence()?;
    inside.optional(tag::context(0))?;
    inside.integer()?;
    // algorithm, issuer, validity, subject
    for _ in 0..4 {
        inside.expect(tag::SEQUENCE)?;
    }
    Ok(inside)
}

/// Host names and addresses of a `GeneralNames`; other forms are left out.
fn read_names(content: &[u8]) -> Result<Vec<AltName>, DerError> {
    const DNS_NAME: u8 = tag::context_primitive(2);
    const IP_ADDRESS: u8 = tag::context_primitive(7);
    let mut names = Vec::new();
    let mut list = Reader::new(content).sequence()?;
    while !list.is_empty() {
        let name = list.value()?;
        let known = match (name.tag, name.content.len()) {
            (DNS_NAME, _) => std::str::from_utf8(name.content).ok().map(|dns| AltName::Dns(dns.to_owned())),
            (IP_ADDRESS, 4) => <[u8; 4]>::try_from(name.content).ok().map(|ip| AltName::Ip(ip.into())),
            (IP_ADDRESS, 16) => <[u8; 16]>::try_from(name.content).ok().map(|ip| AltName::Ip(ip.into())),
            _ => None,
        };
        names.extend(known);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(edit: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let names = vec!["home.example".to_owned(), "127.0.1.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "M2");
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        edit(&mut params);
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn key_subject_and_names_are_read() {
        let der = request(|_| ());
        let read = Request::read(&der).unwrap();
        assert_eq!(read.subject().to_string(), "CN=M2");
        let names = ["home.example", "127.0.1.1"].map(|n| n.parse::<AltName>().unwrap());
        assert_eq!(read.names(), names);
        let pem = pem::encode(pem::CERTIFICATE_REQUEST, &der);
        assert_eq!(Request::read(pem.as_bytes()).unwrap().spki(), read.spki());
    }

    #[test]
    fn what_is_written_is_read_with_keys_of_every_kind() {
        use crate::key::{KeySpec, PrivateKey};
        let subject = Subject::named(Some("FI"), Some("Ämbet"), "M2");
        let names = ["home.example", "127.0.1.1"].map(|n| n.parse::<AltName>().unwrap());
        for spec in [KeySpec::Rsa2048, KeySpec::P256, KeySpec::P384] {
            let key = PrivateKey::generate(spec.or_what_is_possible()).unwrap();
            for purpose in [Purpose::Auth, Purpose::Sign, Purpose::Tls] {
                let read = Request::read(&write(key.signing(), &subject, &names, purpose).unwrap()).unwrap();
                assert_eq!((read.subject(), read.names()), (&subject, &names[..]));
                assert_eq!(read.spki(), key.signing().spki());
            }
        }
        let key = PrivateKey::generate(KeySpec::P256).unwrap();
        let bad = [AltName::Dns("näme".to_owned())];
        let error = write(key.signing(), &subject, &bad, Purpose::Auth).unwrap_err();
        assert!(matches!(error, RequestError::NotWritten(_)));
    }

    #[test]
    fn a_request_of_which_any_bit_changed_is_refused() {
        let der = request(|_| ());
        for at in 0..der.len() {
            let mut broken = der.clone();
            broken[at] ^= 1;
            assert!(Request::read(&broken).is_err(), "byte {at}");
        }
        assert!(matches!(Request::read(b"hello"), Err(RequestError::NotARequest)));
        assert!(matches!(Request::read(&[0x30; 70_000]), Err(RequestError::TooLarge(_))));
    }
}
