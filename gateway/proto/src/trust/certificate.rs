//! One certificate, read once.
//!
//! Spec: RFC 5280. Seen: what X-Road 7.8 looks at in it (message-path §4.5, trust-and-configuration §3.1).

use super::Name;
use crate::crypto::{CryptoError, DigestAlgorithm, EcdsaForm, PublicKey, SignatureAlgorithm};
use crate::der::{DerError, Reader, tag};
use crate::limits;
use crate::time::UnixTime;
use std::fmt;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More bytes than a certificate has.
    #[error("certificate has {0} bytes, more than any is read with")]
    TooLarge(usize),
    /// No X.509 certificate, or more after it.
    #[error("not an X.509 certificate: {0}")]
    Malformed(String),
    /// Its key or algorithm is not accepted.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Key usage bits. Spec: RFC 5280 4.2.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature.
    #[must_use]
    pub const fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }

    /// nonRepudiation, also called contentCommitment.
    #[must_use]
    pub const fn non_repudiation(self) -> bool {
        self.0 & 2 != 0
    }

    /// keyEncipherment.
    #[must_use]
    pub const fn key_encipherment(self) -> bool {
        self.0 & 4 != 0
    }

    /// dataEncipherment.
    #[must_use]
    pub const fn data_encipherment(self) -> bool {
        self.0 & 8 != 0
    }

    /// keyCertSign.
    #[must_use]
    pub const fn key_cert_sign(self) -> bool {
        self.0 & 32 != 0
    }
}

/// A certificate and what we look at in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: (usize, usize),
    signature: Vec<u8>,
    algorithm: Option<SignatureAlgorithm>,
    subject: Name,
    issuer: Name,
    subject_text: String,
    issuer_text: String,
    serial: Vec<u8>,
    not_before: UnixTime,
    not_after: UnixTime,
    key: PublicKey,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<Vec<Vec<u8>>>,
    key_identifier: Option<Vec<u8>>,
    is_ca: bool,
    path_length: Option<u32>,
    unknown_critical: bool,
    ocsp_urls: Vec<String>,
    sha256: Vec<u8>,
    key_sha1: Vec<u8>,
}

/// clientAuth. Spec: RFC 5280 4.2.1.12.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// OCSPSigning. Spec: RFC 6960 4.2.2.2.
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
/// timeStamping. Spec: RFC 3161 2.3.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

impl Certificate {
    /// Reads a DER certificate; nothing may follow it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > limits::CERT_BYTES_MAX {
            return Err(CertificateError::TooLarge(bytes.len()));
        }
        let malformed = |text: String| CertificateError::Malformed(text);
        let (rest, parsed) = X509Certificate::from_der(bytes).map_err(|e| malformed(e.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes after it", rest.len())));
        }
        let unreadable = |e: DerError| malformed(e.to_string());
        let outline = outline(bytes).map_err(unreadable)?;
        if parsed.signature_algorithm != parsed.tbs_certificate.signature {
            return Err(malformed("two different signature algorithms".to_owned()));
        }
        parsed.extensions_map().map_err(|e| malformed(e.to_string()))?;
        let mut usages = Extensions::default();
        for extension in parsed.extensions() {
            usages.take(extension.parsed_extension(), extension.critical);
        }
        let key = PublicKey::from_spki(parsed.public_key().raw)?;
        let key_sha1 = DigestAlgorithm::Sha1.digest(key.bits());
        Ok(Self {
            der: bytes.to_vec(),
            tbs: outline.tbs,
            signature: outline.signature.to_vec(),
            algorithm: SignatureAlgorithm::from_identifier(outline.algorithm),
            subject: Name::from_der(parsed.subject().as_raw()).map_err(unreadable)?,
            issuer: Name::from_der(parsed.issuer().as_raw()).map_err(unreadable)?,
            subject_text: parsed.subject().to_string(),
            issuer_text: parsed.issuer().to_string(),
            serial: parsed.raw_serial().to_vec(),
            not_before: UnixTime::from_secs(parsed.validity().not_before.timestamp()),
            not_after: UnixTime::from_secs(parsed.validity().not_after.timestamp()),
            key,
            key_usage: usages.key_usage,
            extended_key_usage: usages.extended,
            key_identifier: usages.key_identifier,
            is_ca: usages.is_ca,
            path_length: usages.path_length,
            unknown_critical: usages.unknown_critical,
            ocsp_urls: usages.ocsp_urls,
            sha256: DigestAlgorithm::Sha256.digest(bytes),
            key_sha1,
        })
    }

    /// All of it, as it came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject, a DER `Name`.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        self.subject.raw()
    }

    /// The subject, read.
    #[must_use]
    pub const fn subject_name(&self) -> &Name {
        &self.subject
    }

    /// The issuer, a DER `Name`.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.issuer.raw()
    }

    /// The issuer, read.
    #[must_use]
    pub const fn issuer_name(&self) -> &Name {
        &self.issuer
    }

    /// The subject, for people.
    #[must_use]
    pub fn subject_text(&self) -> &str {
        &self.subject_text
    }

    /// The issuer, for people.
    #[must_use]
    pub fn issuer_text(&self) -> &str {
        &self.issuer_text
    }

    /// The issuer as Java's `X500Principal.getName()` writes it, as signatures carry it. Spec: RFC 2253.
    #[must_use]
    pub fn issuer_rfc2253(&self) -> String {
        self.issuer.rfc2253()
    }

    /// The serial number in decimal, as signatures carry it.
    #[must_use]
    pub fn serial_decimal(&self) -> String {
        super::name::decimal(&self.serial)
    }

    /// The serial number: content octets of the INTEGER.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The serial number in hexadecimal, for people.
    #[must_use]
    pub fn serial_text(&self) -> String {
        let octets = self.serial.strip_prefix(&[0]).unwrap_or(&self.serial);
        octets.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// First moment of validity.
    #[must_use]
    pub const fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// Last moment of validity.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whether `at` lies in its period of validity.
    #[must_use]
    pub fn is_valid_at(&self, at: UnixTime) -> bool {
        self.not_before <= at && at.secs() <= self.not_after.secs()
    }

    /// The subject's public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Key usage; `None` when the extension is absent.
    #[must_use]
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.key_usage
    }

    /// The subject key identifier; `None` when the extension is absent.
    #[must_use]
    pub fn key_identifier(&self) -> Option<&[u8]> {
        self.key_identifier.as_deref()
    }

    /// Whether its basic constraints make it an authority.
    #[must_use]
    pub const fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// How many authorities may stand between it and a leaf; `None` for any number.
    #[must_use]
    pub const fn path_length(&self) -> Option<u32> {
        self.path_length
    }

    /// Whether it has a critical extension that we do not understand.
    #[must_use]
    pub const fn has_unknown_critical(&self) -> bool {
        self.unknown_critical
    }

    /// Whether its extended key usage lists clientAuth.
    #[must_use]
    pub fn may_authenticate_client(&self) -> bool {
        self.lists(CLIENT_AUTH)
    }

    /// Whether its extended key usage lists OCSPSigning.
    #[must_use]
    pub fn may_sign_ocsp(&self) -> bool {
        self.lists(OCSP_SIGNING)
    }

    /// Whether its extended key usage lists timeStamping.
    #[must_use]
    pub fn may_stamp_time(&self) -> bool {
        self.lists(TIME_STAMPING)
    }

    /// Where its own authority information access says that its status is told.
    #[must_use]
    pub fn ocsp_urls(&self) -> &[String] {
        &self.ocsp_urls
    }

    /// SHA-256 of the DER, by which configuration and caches know it.
    #[must_use]
    pub fn sha256(&self) -> &[u8] {
        &self.sha256
    }

    /// SHA-1 of the public key's bits, by which OCSP names responders.
    #[must_use]
    pub fn key_sha1(&self) -> &[u8] {
        &self.key_sha1
    }

    /// Whether subject and issuer are the same.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject.is_same(&self.issuer)
    }

    /// Whether it names `issuer` as its issuer; only a verified signature proves that it is.
    #[must_use]
    pub fn names_issuer(&self, issuer: &Self) -> bool {
        self.issuer.is_same(&issuer.subject)
    }

    /// Verifies this certificate's signature with the issuer's key.
    ///
    /// # Errors
    /// [`CryptoError`], also for an algorithm that is not accepted (SHA-1, MD5).
    pub fn verify_signed_by(&self, issuer: &Self) -> Result<(), CryptoError> {
        let algorithm = self.algorithm.ok_or(CryptoError::BadSignature)?;
        let tbs = self.der.get(self.tbs.0..self.tbs.1).unwrap_or_default();
        issuer.key.verify(algorithm, tbs, &self.signature, EcdsaForm::Der)
    }

    fn lists(&self, oid: &[u8]) -> bool {
        self.extended_key_usage.as_ref().is_some_and(|list| list.iter().any(|o| o == oid))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {})", self.subject_text, self.serial_text())
    }
}

/// Where the signed part lies in a certificate, its outer algorithm identifier, and its signature.
fn outline(bytes: &[u8]) -> Result<Outline<'_>, DerError> {
    let mut whole = Reader::new(bytes);
    let content = whole.expect(tag::SEQUENCE)?;
    whole.end()?;
    let header = content.raw.len() - content.content.len();
    let mut inside = content.reader();
    let signed = inside.expect(tag::SEQUENCE)?;
    let algorithm = inside.expect(tag::SEQUENCE)?.raw;
    let signature = inside.bits()?;
    inside.end()?;
    Ok(Outline { tbs: (header, header + signed.raw.len()), algorithm, signature })
}

struct Outline<'a> {
    tbs: (usize, usize),
    algorithm: &'a [u8],
    signature: &'a [u8],
}

#[derive(Default)]
struct Extensions {
    key_usage: Option<KeyUsage>,
    extended: Option<Vec<Vec<u8>>>,
    key_identifier: Option<Vec<u8>>,
    is_ca: bool,
    path_length: Option<u32>,
    unknown_critical: bool,
    ocsp_urls: Vec<String>,
}

impl Extensions {
    fn take(&mut self, extension: &ParsedExtension<'_>, critical: bool) {
        match extension {
            ParsedExtension::KeyUsage(usage) => self.key_usage = Some(KeyUsage(usage.flags)),
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let mut list: Vec<Vec<u8>> = usage.other.iter().map(|o| o.as_bytes().to_vec()).collect();
                let known = [
                    (usage.client_auth, CLIENT_AUTH),
                    (usage.ocsp_signing, OCSP_SIGNING),
                    (usage.time_stamping, TIME_STAMPING),
                ];
                list.extend(known.into_iter().filter(|(set, _)| *set).map(|(_, oid)| oid.to_vec()));
                self.extended = Some(list);
            }
            ParsedExtension::SubjectKeyIdentifier(identifier) => {
                self.key_identifier = Some(identifier.0.to_vec());
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                for description in &access.accessdescs {
                    if let GeneralName::URI(uri) = description.access_location
                        && description.access_method
                            == x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP
                    {
                        self.ocsp_urls.push(uri.to_owned());
                    }
                }
            }
            ParsedExtension::UnsupportedExtension { .. }
            | ParsedExtension::ParseError { .. }
            | ParsedExtension::Unparsed => self.unknown_critical |= critical,
            // Read by x509-parser but not applied by us.
            ParsedExtension::PolicyConstraints(_) | ParsedExtension::InhibitAnyPolicy(_) => {
                self.unknown_critical |= critical;
            }
            // Critical by RFC 5280 4.2.1.10, whatever the flag says.
            ParsedExtension::NameConstraints(_) => self.unknown_critical = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der;
    use crate::trust::testing::*;

    #[test]
    fn what_is_looked_at_is_read() {
        let root = Draft::ca("root").self_signed();
        let location = der::write(tag::context_primitive(6), b"http://ocsp.example");
        let oid = der::write(tag::OID, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
        let access = der::sequence([der::sequence([oid, location])]);
        let mut draft = Draft::authentication("leaf")
            .basic(false, None)
            .extension(&[0x2b, 6, 1, 5, 5, 7, 1, 1], false, &access)
            .extension(&[0x55, 0x1d, 0x0e], false, &der::write(tag::OCTET_STRING, b"key"));
        draft.serial = vec![0xff, 1];
        let cert = draft.issued_by(&root).certificate;
        assert_eq!((cert.subject_text(), cert.issuer_text()), ("CN=leaf", "CN=root"));
        assert_eq!(cert.issuer_rfc2253(), "CN=root");
        assert_eq!((cert.serial_decimal(), cert.serial_text()), ("65281".to_owned(), "ff01".to_owned()));
        assert_eq!(cert.ocsp_urls(), ["http://ocsp.example"]);
        assert_eq!(cert.key_identifier(), Some(&b"key"[..]));
        assert!(cert.may_authenticate_client() && !cert.may_sign_ocsp() && !cert.may_stamp_time());
        assert!(cert.names_issuer(&root.certificate) && !cert.is_self_issued() && !cert.is_ca());
        assert!(root.certificate.is_self_issued() && root.certificate.is_ca());
        assert_eq!(cert.sha256(), DigestAlgorithm::Sha256.digest(cert.der()));
        assert_eq!(cert.key_sha1(), DigestAlgorithm::Sha1.digest(cert.public_key().bits()));
        assert_eq!(cert.verify_signed_by(&root.certificate), Ok(()));
    }

    #[test]
    fn only_one_certificate_is_read_and_no_more() {
        let good = Draft::ca("root").self_signed().certificate;
        let longer = [good.der(), &[0]].concat();
        assert!(matches!(Certificate::from_der(&longer), Err(CertificateError::Malformed(_))));
        let large = vec![0x30; limits::CERT_BYTES_MAX + 1];
        assert!(matches!(Certificate::from_der(&large), Err(CertificateError::TooLarge(_))));
        for length in 0..good.der().len() {
            assert!(Certificate::from_der(&good.der()[..length]).is_err());
        }
    }

    #[test]
    fn keys_that_are_not_accepted_have_no_certificate() {
        let key = new_key();
        let draft = Draft::ca("root");
        let ed25519 =
            der::sequence([der::sequence([der::write(tag::OID, &[0x2b, 0x65, 0x70])]), der::bits(&[1; 32])]);
        let found = Certificate::from_der(&draft.sign(&ed25519, &draft.subject, &key));
        assert_eq!(found, Err(CertificateError::Crypto(CryptoError::UnsupportedKey)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Certificate::from_der(&bytes);
        }

        #[test]
        fn no_changed_certificate_panics(bit in 0usize..2000) {
            let good = Draft::authentication("leaf").self_signed().certificate;
            let bit = bit % (good.der().len() * 8);
            let _ = Certificate::from_der(&flipped(good.der(), bit));
        }
    }
}
