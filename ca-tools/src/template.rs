//! What a certificate of each purpose looks like, in rcgen's words.
//!
//! Spec: trust-and-configuration §3.1; RFC 5280, RFC 6960 4.2.2.2, RFC 3161 2.3. Keys of ours sign for rcgen here,
//! so that no private key is in memory twice.

use crate::ca::CaError;
use crate::index::Purpose;
use crate::key::PrivateKey;
use crate::naming::Subject;
use crate::policy::Policy;
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm, KeyKind, PublicKey};
use saatkond_proto::der::{self, tag};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use std::time::Duration;

/// Certificates are valid a little before they are made: other people's clocks are not ours, and X-Road 7.8 grants no
/// skew anywhere.
pub(crate) const BACKDATED: Duration = Duration::from_secs(600);

/// Makes a self-signed certificate for a key that is trusted by name, such as one that signs configuration.
///
/// # Errors
/// [`CaError`].
pub(crate) fn self_signed(
    key: &PrivateKey,
    common_name: &str,
    not_before: UnixTime,
    not_after: UnixTime,
) -> Result<Certificate, CaError> {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = calendar(not_before)?;
    params.not_after = calendar(not_after)?;
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&new_serial()?));
    params.distinguished_name = Subject::named(None, None, common_name).to_rcgen()?;
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages =
        vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::ContentCommitment];
    let signed = params.self_signed(&RcgenKey(key.signing()))?;
    Ok(Certificate::from_der(signed.der())?)
}

pub(crate) fn authority_subject(policy: &Policy) -> Subject {
    Subject::named(policy.country.as_deref(), policy.organization.as_deref(), &policy.name)
}

pub(crate) fn authority_params(
    policy: &Policy,
    now: UnixTime,
    not_after: UnixTime,
) -> Result<rcgen::CertificateParams, CaError> {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = calendar(now.minus(BACKDATED))?;
    params.not_after = calendar(not_after)?;
    params.distinguished_name = authority_subject(policy).to_rcgen()?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Key usages by purpose. Spec: trust-and-configuration §3.1; RFC 6960 4.2.2.2, RFC 3161 2.3.
pub(crate) fn use_for(params: &mut rcgen::CertificateParams, purpose: Purpose) {
    use rcgen::{ExtendedKeyUsagePurpose as Extended, KeyUsagePurpose as Usage};
    let (usages, extended) = match purpose {
        Purpose::Auth => (
            vec![Usage::DigitalSignature, Usage::KeyEncipherment, Usage::DataEncipherment],
            vec![Extended::ClientAuth, Extended::ServerAuth],
        ),
        Purpose::Tls => (
            vec![Usage::DigitalSignature, Usage::KeyEncipherment],
            vec![Extended::ServerAuth, Extended::ClientAuth],
        ),
        Purpose::Sign => (vec![Usage::ContentCommitment], Vec::new()),
        Purpose::Ocsp => (vec![Usage::DigitalSignature], vec![Extended::OcspSigning]),
        Purpose::Tsa => (vec![Usage::DigitalSignature, Usage::ContentCommitment], Vec::new()),
        Purpose::Ca => (Vec::new(), Vec::new()),
    };
    params.key_usages = usages;
    params.extended_key_usages = extended;
    match purpose {
        Purpose::Ocsp => {
            // id-pkix-ocsp-nocheck: nobody asks about the one who answers
            let nocheck = der::write(tag::NULL, &[]);
            params
                .custom_extensions
                .push(rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], nocheck));
        }
        Purpose::Tsa => {
            // extKeyUsage with timeStamping alone, and critical: rcgen writes it without
            let stamping = der::write(tag::OID, &[0x2b, 6, 1, 5, 5, 7, 3, 8]);
            let mut extension =
                rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 37], der::sequence([stamping]));
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }
        Purpose::Auth | Purpose::Sign | Purpose::Tls | Purpose::Ca => {}
    }
}

/// Writes where status, revocation list and the authority's own certificate are found.
/// Spec: RFC 5280 4.2.1.13, 4.2.2.1.
pub(crate) fn point_out(params: &mut rcgen::CertificateParams, policy: &Policy) {
    const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
    const ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
    let ocsp = policy.ocsp_urls.iter().map(|url| (OCSP, url));
    let places: Vec<Vec<u8>> = ocsp
        .chain(policy.issuer_urls.iter().map(|url| (ISSUERS, url)))
        .map(|(method, url)| {
            let place = der::write(tag::context_primitive(6), url.as_bytes());
            der::sequence([der::write(tag::OID, method), place])
        })
        .collect();
    if !places.is_empty() {
        let access = der::sequence(places);
        params
            .custom_extensions
            .push(rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access));
    }
    if !policy.crl_urls.is_empty() {
        params.crl_distribution_points.push(rcgen::CrlDistributionPoint { uris: policy.crl_urls.clone() });
    }
}

/// The key identifier: SHA-1 of the key's bits, as OCSP knows responders by. Spec: RFC 5280 4.2.1.2 (1).
pub(crate) fn key_identifier(key: &PublicKey) -> rcgen::KeyIdMethod {
    rcgen::KeyIdMethod::PreSpecified(DigestAlgorithm::Sha1.digest(key.bits()))
}

/// 127 random bits, positive and of full length.
pub(crate) fn new_serial() -> Result<[u8; 16], CaError> {
    use ring::rand::SecureRandom as _;
    let mut serial = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| CaError::NotMade("the system gives no random numbers".to_owned()))?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

pub(crate) fn calendar(when: UnixTime) -> Result<time::OffsetDateTime, CaError> {
    time::OffsetDateTime::from_unix_timestamp(when.secs())
        .map_err(|_| CaError::NotMade(format!("no calendar holds second {}", when.secs())))
}

/// A key of ours that rcgen signs with. RSA and P-256 sign over SHA-256, P-384 over SHA-384.
pub(crate) struct RcgenKey<'a>(pub(crate) &'a saatkond_proto::crypto::SigningKey);

impl rcgen::PublicKeyData for RcgenKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().bits()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm_of(self.0.public_key().kind())
    }
}

impl rcgen::SigningKey for RcgenKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let digest = match self.0.public_key().kind() {
            KeyKind::Rsa(_) | KeyKind::P256 => DigestAlgorithm::Sha256,
            KeyKind::P384 => DigestAlgorithm::Sha384,
        };
        self.0.sign(digest, message, EcdsaForm::Der).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A key of somebody else's.
pub(crate) struct SubjectKey(PublicKey);

impl SubjectKey {
    pub(crate) fn read(spki: &[u8]) -> Result<Self, CaError> {
        Ok(Self(PublicKey::from_spki(spki)?))
    }
}

impl rcgen::PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.bits()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm_of(self.0.kind())
    }
}

fn algorithm_of(kind: KeyKind) -> &'static rcgen::SignatureAlgorithm {
    match kind {
        KeyKind::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
    }
}
