//! From a certificate to an approved authority.
//!
//! Spec: RFC 5280 6.1; message-path §4.5, trust-and-configuration §3.1 and §3.4.
//!
//! An authority is found by name and proven by signature, so that several may bear one name. Approved authorities are
//! trusted as they are listed: neither their period of validity nor their extensions are looked at (Seen: X-Road 7.8).
//! Everything below them is. Nothing here asks whether a certificate was revoked: see [`crate::trust::ocsp`].

use super::{ApprovedCa, CaService, Certificate};
use crate::crypto::CryptoError;
use crate::fault::{Code, Leaf};
use crate::limits;
use crate::time::UnixTime;
use std::sync::Arc;

/// A certificate that does not lead to an approved authority, or not for this use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The peer showed no certificate.
    #[error("no certificate was presented")]
    Empty,
    /// More certificates than a path is sought in.
    #[error("{found} certificates were presented, a path is sought in at most {most}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// No approved authority issued it.
    #[error("no approved certification authority issued {subject} (issuer {issuer})")]
    NotApproved {
        /// Its subject.
        subject: String,
        /// The issuer it names.
        issuer: String,
    },
    /// The authority may vouch for authentication certificates only. Ours: X-Road 7.8 does not look.
    #[error("{ca} is approved for authentication certificates only, {subject} signs")]
    AuthenticationOnly {
        /// The signing certificate's subject.
        subject: String,
        /// The approved authority's name.
        ca: String,
    },
    /// A certificate names an authority whose key did not sign it.
    #[error("signature of certificate {subject} does not hold: {reason}")]
    Signature {
        /// Its subject.
        subject: String,
        /// Why.
        reason: CryptoError,
    },
    /// A certificate of the path has expired or is not valid yet.
    #[error("certificate {subject} is valid from {from} until {until}, not at {at}")]
    NotValid {
        /// Its subject.
        subject: String,
        /// First moment of validity.
        from: UnixTime,
        /// Last moment of validity.
        until: UnixTime,
        /// When it should be valid.
        at: UnixTime,
    },
    /// A certificate between leaf and authority may not issue any.
    #[error("certificate {subject} may not issue certificates: {reason}")]
    NotAuthority {
        /// Its subject.
        subject: String,
        /// What it lacks.
        reason: &'static str,
    },
    /// More authorities below one than it allows.
    #[error("authority {subject} allows {most} authorities below it, found {found}")]
    TooLong {
        /// Its subject.
        subject: String,
        /// Its path length constraint.
        most: u32,
        /// How many there are.
        found: usize,
    },
    /// A critical extension that is not understood.
    #[error("certificate {subject} has a critical extension that is not understood")]
    UnknownCritical {
        /// Its subject.
        subject: String,
    },
    /// The search was given up: too many certificates of one name, or too long a path.
    #[error("no path from {subject} within {signatures} signatures and {certificates} certificates")]
    GivenUp {
        /// The leaf's subject.
        subject: String,
        /// How many signatures are verified.
        signatures: usize,
        /// How many certificates a path has.
        certificates: usize,
    },
    /// Neither key usage nor clientAuth: its use is not told.
    #[error("certificate {subject} has no key usage")]
    NoKeyUsage {
        /// Its subject.
        subject: String,
    },
}

impl PathError {
    /// The code below `signature_verification`. Seen: message-path §4.3.
    #[must_use]
    pub fn code(&self) -> Code {
        let code = Code::of(Leaf::InternalError);
        match self {
            Self::Empty
            | Self::NotApproved { .. }
            | Self::AuthenticationOnly { .. }
            | Self::NoKeyUsage { .. } => code,
            _ => code.under(Leaf::CannotCreateCertPath),
        }
    }

    /// The whole code when a TLS peer's certificate fails, as a consumer says it. Seen: message-path §4.2.
    ///
    /// A provider says `service_failed.ssl_authentication_failed` for all of them (§4.1 step 10).
    #[must_use]
    pub fn tls_code(&self) -> Code {
        match self {
            Self::NoKeyUsage { .. } => Code::of(Leaf::IncorrectCertificate),
            _ => Code::of(Leaf::InternalError)
                .under(Leaf::CannotCreateCertPath)
                .under(Leaf::SslAuthenticationFailed),
        }
    }
}

/// A certificate path that holds: from a leaf to an approved authority.
#[derive(Debug, Clone)]
pub struct Chain {
    certificates: Vec<Arc<Certificate>>,
    anchor: Arc<Certificate>,
    ca: ApprovedCa,
}

impl Chain {
    /// The certificate that the path is about.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        self.certificates.first().unwrap_or(&self.anchor)
    }

    /// Leaf first, each issued by the next; the anchor is not among them.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The approved authority's certificate that issued the last one.
    #[must_use]
    pub fn anchor(&self) -> &Certificate {
        &self.anchor
    }

    /// Who issued the certificate at `index`.
    #[must_use]
    pub fn issuer_of(&self, index: usize) -> &Certificate {
        self.certificates.get(index.saturating_add(1)).unwrap_or(&self.anchor)
    }

    /// The approved authority in which the path ends.
    #[must_use]
    pub const fn ca(&self) -> &ApprovedCa {
        &self.ca
    }
}

/// The path of a TLS server's certificate: it ends in the approved authority that issued the leaf, or in one that
/// certificates of `additional` lead to.
///
/// `cas` are those of the instance that the peer belongs to. Ours: X-Road 7.8 takes the leaf's own issuer only.
///
/// # Errors
/// [`PathError`].
pub fn to_issuer(
    leaf: &Arc<Certificate>,
    additional: &[Arc<Certificate>],
    cas: &[ApprovedCa],
    at: UnixTime,
) -> Result<Chain, PathError> {
    let anchors: Vec<Anchor<'_>> = anchors(cas).collect();
    Search { leaf, additional, anchors: &anchors, at }.run()
}

/// As [`to_issuer`], for a certificate that signs messages: authorities approved for authentication only do not count.
///
/// # Errors
/// [`PathError`].
pub fn for_signing(
    leaf: &Arc<Certificate>,
    additional: &[Arc<Certificate>],
    cas: &[ApprovedCa],
    at: UnixTime,
) -> Result<Chain, PathError> {
    let anchors: Vec<Anchor<'_>> = anchors(cas).filter(|a| !a.ca.authentication_only).collect();
    let found = Search { leaf, additional, anchors: &anchors, at }.run();
    match found {
        Err(PathError::NotApproved { subject, issuer }) => match to_issuer(leaf, additional, cas, at) {
            Ok(chain) => Err(PathError::AuthenticationOnly { subject, ca: chain.ca.name }),
            Err(_) => Err(PathError::NotApproved { subject, issuer }),
        },
        found => found,
    }
}

/// The path of a TLS client: it ends in the approved authority that issued the last certificate presented.
///
/// A last certificate that is itself approved and issued by none other is the end; it may be left out as well as sent.
/// Every certificate sent below the end then needs an OCSP response. Seen: message-path §4.5.
///
/// # Errors
/// [`PathError`].
pub fn of_peer(presented: &[Arc<Certificate>], cas: &[ApprovedCa], at: UnixTime) -> Result<Chain, PathError> {
    let (Some(leaf), Some(last)) = (presented.first(), presented.last()) else {
        return Err(PathError::Empty);
    };
    if presented.len() > limits::CHAIN_CANDIDATES_MAX {
        return Err(PathError::TooMany { found: presented.len(), most: limits::CHAIN_CANDIDATES_MAX });
    }
    let is_last = |a: &Anchor<'_>| a.service.certificate.der() == last.der();
    let issued_last = |a: &Anchor<'_>| {
        last.names_issuer(&a.service.certificate) && last.verify_signed_by(&a.service.certificate).is_ok()
    };
    let mut ends: Vec<Anchor<'_>> = anchors(cas).filter(is_last).collect();
    if ends.is_empty() || presented.len() == 1 || !last.is_self_issued() {
        let above: Vec<Anchor<'_>> =
            anchors(cas).filter(issued_last).take(limits::CHAIN_SIGNATURES_MAX).collect();
        if !above.is_empty() {
            ends = above;
        }
    }
    if ends.is_empty() {
        return Err(not_approved(last));
    }
    let additional = presented.get(1..).unwrap_or_default();
    Search { leaf, additional, anchors: &ends, at }.run()
}

/// Whether it may authenticate a security server in TLS. Spec: message-path §4.5.
///
/// # Errors
/// [`PathError::NoKeyUsage`].
pub fn is_authentication(cert: &Certificate) -> Result<bool, PathError> {
    if cert.may_authenticate_client() {
        return Ok(true);
    }
    let usage = cert.key_usage().ok_or_else(|| no_key_usage(cert))?;
    Ok(usage.digital_signature() || usage.key_encipherment() || usage.data_encipherment())
}

/// Whether it may sign messages. Spec: message-path §4.3 step 3.
///
/// # Errors
/// [`PathError::NoKeyUsage`].
pub fn is_signing(cert: &Certificate) -> Result<bool, PathError> {
    Ok(cert.key_usage().ok_or_else(|| no_key_usage(cert))?.non_repudiation())
}

/// What one sends in TLS: the leaf and the authorities above it, without the topmost. Spec: message-path §4.5.
#[must_use]
pub fn own_chain(leaf: &Arc<Certificate>, cas: &[ApprovedCa]) -> Vec<Arc<Certificate>> {
    let mut chain = vec![Arc::clone(leaf)];
    let mut current = leaf;
    while chain.len() <= limits::CHAIN_CERTS_MAX && !current.is_self_issued() {
        let issuer = cas
            .iter()
            .flat_map(ApprovedCa::services)
            .map(|service| &service.certificate)
            .find(|ca| current.names_issuer(ca) && current.verify_signed_by(ca).is_ok());
        let Some(issuer) = issuer else { break };
        chain.push(Arc::clone(issuer));
        current = issuer;
    }
    if chain.len() > 1 {
        chain.pop();
    }
    chain
}

/// Where a path may end.
#[derive(Clone, Copy)]
struct Anchor<'a> {
    ca: &'a ApprovedCa,
    service: &'a CaService,
}

fn anchors(cas: &[ApprovedCa]) -> impl Iterator<Item = Anchor<'_>> {
    cas.iter().flat_map(|ca| ca.services().map(move |service| Anchor { ca, service }))
}

/// The search for a path: depth first, each certificate at most once, within a budget of signatures.
struct Search<'a> {
    leaf: &'a Arc<Certificate>,
    additional: &'a [Arc<Certificate>],
    anchors: &'a [Anchor<'a>],
    at: UnixTime,
}

/// How far the search is.
struct Progress<'a> {
    path: Vec<&'a Arc<Certificate>>,
    signatures: usize,
    /// Why what came nearest did not do.
    near: Option<PathError>,
    given_up: bool,
}

impl<'a> Search<'a> {
    fn run(&self) -> Result<Chain, PathError> {
        if self.additional.len() >= limits::CHAIN_CANDIDATES_MAX {
            let found = self.additional.len() + 1;
            return Err(PathError::TooMany { found, most: limits::CHAIN_CANDIDATES_MAX });
        }
        check_any(self.leaf, self.at)?;
        let mut progress = Progress { path: vec![self.leaf], signatures: 0, near: None, given_up: false };
        if let Some(end) = self.extend(&mut progress) {
            return Ok(Chain {
                certificates: progress.path.into_iter().map(Arc::clone).collect(),
                anchor: Arc::clone(&end.service.certificate),
                ca: end.ca.clone(),
            });
        }
        if progress.given_up {
            return Err(PathError::GivenUp {
                subject: self.leaf.subject_text().to_owned(),
                signatures: limits::CHAIN_SIGNATURES_MAX,
                certificates: limits::CHAIN_CERTS_MAX,
            });
        }
        Err(progress.near.unwrap_or_else(|| not_approved(self.leaf)))
    }

    /// Tries to lead the path to an end; `None` leaves it as it was.
    fn extend(&self, progress: &mut Progress<'a>) -> Option<Anchor<'a>> {
        let last = *progress.path.last()?;
        for anchor in self.anchors {
            if last.names_issuer(&anchor.service.certificate)
                && progress.spend()
                && progress.holds(last, &anchor.service.certificate)
            {
                return Some(*anchor);
            }
        }
        for candidate in self.additional {
            let is_used = progress.path.iter().any(|c| c.der() == candidate.der());
            if is_used || !last.names_issuer(candidate) || !progress.spend() {
                continue;
            }
            if let Err(error) = check_authority(candidate, &progress.path, self.at) {
                progress.near.get_or_insert(error);
                continue;
            }
            if !progress.holds(last, candidate) {
                continue;
            }
            if progress.path.len() >= limits::CHAIN_CERTS_MAX {
                progress.given_up = true;
                continue;
            }
            progress.path.push(candidate);
            if let Some(end) = self.extend(progress) {
                return Some(end);
            }
            progress.path.pop();
        }
        None
    }
}

impl Progress<'_> {
    /// Takes one signature from the budget.
    fn spend(&mut self) -> bool {
        let left = self.signatures < limits::CHAIN_SIGNATURES_MAX;
        self.signatures += usize::from(left);
        self.given_up |= !left;
        left
    }

    fn holds(&mut self, cert: &Certificate, issuer: &Certificate) -> bool {
        match cert.verify_signed_by(issuer) {
            Ok(()) => true,
            Err(reason) => {
                let subject = cert.subject_text().to_owned();
                self.near.get_or_insert(PathError::Signature { subject, reason });
                false
            }
        }
    }
}

/// What holds for every certificate of a path.
fn check_any(cert: &Certificate, at: UnixTime) -> Result<(), PathError> {
    let subject = || cert.subject_text().to_owned();
    if cert.has_unknown_critical() {
        return Err(PathError::UnknownCritical { subject: subject() });
    }
    if !cert.is_valid_at(at) {
        let (from, until) = (cert.not_before(), cert.not_after());
        return Err(PathError::NotValid { subject: subject(), from, until, at });
    }
    Ok(())
}

/// What holds besides for one that issued the last of `below`.
fn check_authority(cert: &Certificate, below: &[&Arc<Certificate>], at: UnixTime) -> Result<(), PathError> {
    let refuse = |reason| Err(PathError::NotAuthority { subject: cert.subject_text().to_owned(), reason });
    check_any(cert, at)?;
    if !cert.is_ca() {
        return refuse("its basic constraints do not say that it is an authority");
    }
    if cert.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return refuse("its key usage has no keyCertSign");
    }
    // Certificates that an authority gave itself, for a new key, do not count. Spec: RFC 5280 6.1.4 (l).
    let found = below.iter().skip(1).filter(|c| !c.is_self_issued()).count();
    match cert.path_length() {
        Some(most) if usize::try_from(most).is_ok_and(|most| found > most) => {
            Err(PathError::TooLong { subject: cert.subject_text().to_owned(), most, found })
        }
        _ => Ok(()),
    }
}

fn not_approved(cert: &Certificate) -> PathError {
    PathError::NotApproved { subject: cert.subject_text().to_owned(), issuer: cert.issuer_text().to_owned() }
}

fn no_key_usage(cert: &Certificate) -> PathError {
    PathError::NoKeyUsage { subject: cert.subject_text().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::DigestAlgorithm;
    use crate::fault::Origin;
    use crate::trust::testing::*;

    /// Root, intermediate, and a leaf below the intermediate.
    struct Tree {
        root: Party,
        middle: Party,
        leaf: Party,
    }

    fn tree() -> Tree {
        with_middle(Draft::ca("middle"))
    }

    fn with_middle(draft: Draft) -> Tree {
        let root = Draft::ca("root").self_signed();
        let middle = draft.issued_by(&root);
        let leaf = Draft::signing("leaf").issued_by(&middle);
        Tree { root, middle, leaf }
    }

    fn certs(parties: &[&Party]) -> Vec<Arc<Certificate>> {
        parties.iter().map(|p| Arc::clone(&p.certificate)).collect()
    }

    fn with_intermediate(root: &Party, middle: &Party) -> ApprovedCa {
        let mut ca = approved(root);
        ca.intermediates.push(service(middle, None));
        ca
    }

    fn subjects(chain: &Chain) -> Vec<&str> {
        let anchor = std::iter::once(chain.anchor());
        chain.certificates().iter().map(|c| &**c).chain(anchor).map(Certificate::subject_text).collect()
    }

    #[test]
    fn the_leafs_own_issuer_ends_the_path_when_it_is_listed() {
        let t = tree();
        let cas = [with_intermediate(&t.root, &t.middle)];
        let chain = to_issuer(&t.leaf.certificate, &certs(&[&t.middle]), &cas, now()).unwrap();
        assert_eq!(subjects(&chain), ["CN=leaf", "CN=middle"]);
        assert_eq!(chain.issuer_of(0).subject_text(), "CN=middle");
        assert_eq!(chain.ca().name, "CN=root");
        assert_eq!(chain.leaf().subject_text(), "CN=leaf");
    }

    #[test]
    fn certificates_sent_along_lead_to_the_end() {
        let t = tree();
        let cas = [approved(&t.root)];
        let chain = to_issuer(&t.leaf.certificate, &certs(&[&t.root, &t.middle]), &cas, now()).unwrap();
        assert_eq!(subjects(&chain), ["CN=leaf", "CN=middle", "CN=root"]);
        assert_eq!(chain.issuer_of(0).subject_text(), "CN=middle");
        assert_eq!(chain.issuer_of(1).subject_text(), "CN=root");
    }

    #[test]
    fn nobody_approved_issued_it() {
        let t = tree();
        let found = to_issuer(&t.leaf.certificate, &[], &[approved(&t.root)], now()).unwrap_err();
        assert!(matches!(&found, PathError::NotApproved { issuer, .. } if issuer == "CN=middle"), "{found}");
        assert_eq!(found.code().text(Origin::ServerProxy), "server.serverproxy.internal_error");
        let whole = "server.clientproxy.ssl_authentication_failed.cannot_create_cert_path.internal_error";
        assert_eq!(found.tls_code().text(Origin::ClientProxy), whole);
    }

    #[test]
    fn a_name_without_the_key_is_no_authority() {
        let t = tree();
        let impostor = Draft::ca("middle").self_signed();
        let found = to_issuer(&t.leaf.certificate, &[], &[approved(&impostor)], now());
        assert!(matches!(found, Err(PathError::Signature { .. })), "{found:?}");
        // Of two that bear one name, the one that signed is found.
        let both = [approved(&impostor), approved(&t.middle)];
        let chain = to_issuer(&t.leaf.certificate, &[], &both, now()).unwrap();
        assert_eq!(chain.anchor().der(), t.middle.certificate.der());
    }

    #[test]
    fn an_issuer_of_other_letter_case_is_found() {
        let root = Draft::ca("Root  CA").self_signed();
        let mut draft = Draft::signing("leaf");
        draft.issuer = Some(Draft::new("root ca").subject);
        let leaf = draft.issued_by(&root);
        assert!(to_issuer(&leaf.certificate, &[], &[approved(&root)], now()).is_ok());
    }

    #[test]
    fn every_bit_of_the_leaf_counts() {
        let root = Draft::ca("root").self_signed();
        let leaf = Draft::signing("leaf").issued_by(&root);
        let cas = [approved(&root)];
        let der = leaf.certificate.der();
        for bit in 0..der.len() * 8 {
            if let Ok(changed) = Certificate::from_der(&flipped(der, bit)) {
                assert!(to_issuer(&Arc::new(changed), &[], &cas, now()).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn certificates_of_the_path_are_valid_at_the_moment_asked_about() {
        let t = tree();
        let cas = [approved(&t.root)];
        let (leaf, more) = (&t.leaf.certificate, certs(&[&t.middle]));
        for at in [leaf.not_before(), leaf.not_after()] {
            assert!(to_issuer(leaf, &more, &cas, at).is_ok());
        }
        for at in [leaf.not_before().minus(seconds(1)), leaf.not_after().plus(seconds(1))] {
            let found = to_issuer(leaf, &more, &cas, at).unwrap_err();
            assert!(matches!(found, PathError::NotValid { .. }), "{found}");
            let code = "server.serverproxy.cannot_create_cert_path.internal_error";
            assert_eq!(found.code().text(Origin::ServerProxy), code);
        }
        let mut short = Draft::ca("middle");
        short.not_after = now().minus(seconds(1));
        let t = with_middle(short);
        let found = to_issuer(&t.leaf.certificate, &certs(&[&t.middle]), &[approved(&t.root)], now());
        assert!(matches!(found, Err(PathError::NotValid { subject, .. }) if subject == "CN=middle"));
    }

    #[test]
    fn an_expired_anchor_is_trusted_as_it_is_listed() {
        let mut old = Draft::new("root");
        old.not_after = now().minus(seconds(1));
        let root = old.self_signed();
        let leaf = Draft::signing("leaf").issued_by(&root);
        assert!(to_issuer(&leaf.certificate, &[], &[approved(&root)], now()).is_ok());
    }

    #[test]
    fn only_authorities_issue() {
        let rows = [
            Draft::new("middle"),
            Draft::new("middle").usage(KEY_CERT_SIGN),
            Draft::new("middle").basic(false, None).usage(KEY_CERT_SIGN),
            Draft::new("middle").basic(true, None).usage(DIGITAL_SIGNATURE),
        ];
        for draft in rows {
            let t = with_middle(draft);
            let (leaf, middle) = (&t.leaf.certificate, certs(&[&t.middle]));
            let found = to_issuer(leaf, &middle, &[approved(&t.root)], now());
            assert!(matches!(found, Err(PathError::NotAuthority { .. })), "{found:?}");
        }
        let t = with_middle(Draft::new("middle").basic(true, None));
        assert!(to_issuer(&t.leaf.certificate, &certs(&[&t.middle]), &[approved(&t.root)], now()).is_ok());
    }

    #[test]
    fn a_path_length_is_kept() {
        let root = Draft::ca("root").self_signed();
        for (most, holds) in [(0, false), (1, true)] {
            let upper = Draft::new("upper").basic(true, Some(most)).issued_by(&root);
            let lower = Draft::ca("lower").issued_by(&upper);
            let leaf = Draft::signing("leaf").issued_by(&lower);
            let found = to_issuer(&leaf.certificate, &certs(&[&lower, &upper]), &[approved(&root)], now());
            if holds {
                assert_eq!(found.unwrap().certificates().len(), 3);
            } else {
                assert!(matches!(found, Err(PathError::TooLong { most: 0, found: 1, .. })), "{found:?}");
            }
        }
    }

    #[test]
    fn unknown_critical_extensions_are_refused() {
        let odd: &[u8] = &[0x2a, 3, 4];
        let root = Draft::ca("root").self_signed();
        let cas = [approved(&root)];
        let leaf = |critical| Draft::signing("leaf").extension(odd, critical, &[5, 0]).issued_by(&root);
        assert!(to_issuer(&leaf(false).certificate, &[], &cas, now()).is_ok());
        let found = to_issuer(&leaf(true).certificate, &[], &cas, now());
        assert!(matches!(found, Err(PathError::UnknownCritical { .. })));
        let t = with_middle(Draft::ca("middle").extension(odd, true, &[5, 0]));
        let found = to_issuer(&t.leaf.certificate, &certs(&[&t.middle]), &[approved(&t.root)], now());
        assert!(matches!(found, Err(PathError::UnknownCritical { subject }) if subject == "CN=middle"));
        // Name constraints would have to be applied: refused, whatever their flag says.
        let dns = [0x30, 0x07, 0xa0, 0x05, 0x30, 0x03, 0x82, 0x01, b'x'];
        let t = with_middle(Draft::ca("middle").extension(&[0x55, 0x1d, 0x1e], false, &dns));
        let found = to_issuer(&t.leaf.certificate, &certs(&[&t.middle]), &[approved(&t.root)], now());
        assert!(matches!(found, Err(PathError::UnknownCritical { .. })), "{found:?}");
    }

    #[test]
    fn weak_digests_sign_no_certificate() {
        let root = Draft::ca("root").self_signed();
        let mut draft = Draft::signing("leaf");
        draft.names_algorithm = DigestAlgorithm::Sha384;
        let der = draft.sign(root.key.spki(), root.certificate.subject(), &root.key);
        assert!(matches!(Certificate::from_der(&der), Err(crate::trust::CertificateError::Malformed(_))));
    }

    #[test]
    fn an_extension_may_not_come_twice() {
        let root = Draft::ca("root").self_signed();
        let der = Draft::signing("leaf").usage(DIGITAL_SIGNATURE).sign(
            root.key.spki(),
            root.certificate.subject(),
            &root.key,
        );
        assert!(matches!(Certificate::from_der(&der), Err(crate::trust::CertificateError::Malformed(_))));
    }

    #[test]
    fn authorities_for_authentication_only_vouch_for_no_signature() {
        let root = Draft::ca("root").self_signed();
        let leaf = Draft::signing("leaf").issued_by(&root);
        let mut narrow = approved(&root);
        narrow.authentication_only = true;
        let found = for_signing(&leaf.certificate, &[], std::slice::from_ref(&narrow), now()).unwrap_err();
        assert!(matches!(&found, PathError::AuthenticationOnly { ca, .. } if ca == "CN=root"), "{found}");
        assert_eq!(found.code().text(Origin::ServerProxy), "server.serverproxy.internal_error");
        assert!(to_issuer(&leaf.certificate, &[], std::slice::from_ref(&narrow), now()).is_ok());
        // The same certificate listed once more, for everything.
        let chain = for_signing(&leaf.certificate, &[], &[narrow, approved(&root)], now()).unwrap();
        assert!(!chain.ca().authentication_only);
        let found = for_signing(&leaf.certificate, &[], &[], now());
        assert!(matches!(found, Err(PathError::NotApproved { .. })));
    }

    #[test]
    fn a_peers_path_ends_above_what_it_sent() {
        let t = tree();
        let both = [with_intermediate(&t.root, &t.middle)];
        let peer = |sent: &[&Party], cas: &[ApprovedCa]| {
            of_peer(&certs(sent), cas, now())
                .map(|chain| subjects(&chain).into_iter().map(str::to_owned).collect::<Vec<String>>())
        };
        let whole = ["CN=leaf", "CN=middle", "CN=root"];
        assert_eq!(peer(&[&t.leaf], &both).unwrap(), ["CN=leaf", "CN=middle"]);
        assert_eq!(peer(&[&t.leaf, &t.middle], &both).unwrap(), whole);
        assert_eq!(peer(&[&t.leaf, &t.middle, &t.root], &both).unwrap(), whole);
        assert_eq!(peer(&[&t.leaf, &t.middle], &[approved(&t.root)]).unwrap(), whole);
        // The root is not listed: the intermediate that is ends the path.
        let middle_only = [approved(&t.middle)];
        assert_eq!(peer(&[&t.leaf, &t.middle], &middle_only).unwrap(), ["CN=leaf", "CN=middle"]);
    }

    #[test]
    fn a_peer_that_nobody_approved_vouches_for_is_refused() {
        let t = tree();
        let root = [approved(&t.root)];
        assert!(matches!(of_peer(&[], &root, now()), Err(PathError::Empty)));
        let found = of_peer(&certs(&[&t.leaf]), &root, now());
        assert!(matches!(found, Err(PathError::NotApproved { .. })));
        let rogue = Draft::ca("root").self_signed();
        let other = Draft::authentication("leaf").issued_by(&rogue);
        let found = of_peer(&certs(&[&other]), &root, now());
        assert!(matches!(found, Err(PathError::NotApproved { .. })));
        // An approved intermediate sent beside a foreign leaf helps nobody.
        let found = of_peer(&certs(&[&other, &t.middle]), &root, now());
        assert!(found.is_err());
        let found = of_peer(&certs(&[&other, &t.middle, &t.root]), &root, now());
        assert!(found.is_err());
    }

    #[test]
    fn the_search_is_bounded() {
        let root = Draft::ca("root").self_signed();
        let leaf = Draft::signing("leaf").issued_by(&root);
        let many = vec![Arc::clone(&root.certificate); limits::CHAIN_CANDIDATES_MAX];
        let found = to_issuer(&leaf.certificate, &many, &[approved(&root)], now());
        assert!(matches!(found, Err(PathError::TooMany { .. })));
        let found = of_peer(&[many, certs(&[&root])].concat(), &[approved(&root)], now());
        assert!(matches!(found, Err(PathError::TooMany { .. })));
        // Authorities of one name and key that certify each other: every order of them would be a path.
        let key = Draft::ca("knot").self_signed();
        let knot: Vec<Arc<Certificate>> = (0u8..20)
            .map(|n| {
                let mut draft = Draft::ca("knot");
                draft.serial = vec![1, n];
                draft.issued_for(key.key.spki(), &key)
            })
            .collect();
        let leaf = Draft::signing("leaf").issued_by(&key);
        let found = to_issuer(&leaf.certificate, &knot, &[approved(&root)], now());
        assert!(matches!(found, Err(PathError::GivenUp { .. })), "{found:?}");
    }

    #[test]
    fn a_path_may_not_be_longer_than_the_limit() {
        let root = Draft::ca("root").self_signed();
        let mut line: Vec<Party> = vec![Draft::ca("authority").issued_by(&root)];
        for n in 1..limits::CHAIN_CERTS_MAX {
            let next = Draft::ca(&format!("authority {n}")).issued_by(line.last().unwrap());
            line.push(next);
        }
        let leaf = Draft::signing("leaf").issued_by(line.last().unwrap());
        let more: Vec<Arc<Certificate>> = line.iter().map(|p| Arc::clone(&p.certificate)).collect();
        let found = to_issuer(&leaf.certificate, &more, &[approved(&root)], now());
        assert!(matches!(found, Err(PathError::GivenUp { .. })), "{found:?}");
        let shorter = Draft::signing("leaf").issued_by(&line[limits::CHAIN_CERTS_MAX - 2]);
        let chain = to_issuer(&shorter.certificate, &more, &[approved(&root)], now()).unwrap();
        assert_eq!(chain.certificates().len(), limits::CHAIN_CERTS_MAX);
    }

    #[test]
    fn usage_tells_authentication_from_signing() {
        let make = |draft: Draft| draft.self_signed().certificate;
        for bits in [DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, DATA_ENCIPHERMENT] {
            let cert = make(Draft::new("a").usage(bits));
            assert_eq!((is_authentication(&cert), is_signing(&cert)), (Ok(true), Ok(false)));
        }
        let cert = make(Draft::new("a").usage(NON_REPUDIATION | KEY_CERT_SIGN));
        assert_eq!((is_authentication(&cert), is_signing(&cert)), (Ok(false), Ok(true)));
        let cert = make(Draft::new("a").usage(NON_REPUDIATION).extended(&[CLIENT_AUTH]));
        assert_eq!((is_authentication(&cert), is_signing(&cert)), (Ok(true), Ok(true)));
        let cert = make(Draft::new("a").extended(&[CLIENT_AUTH]));
        assert_eq!(is_authentication(&cert), Ok(true));
        let error = is_signing(&cert).unwrap_err();
        assert_eq!(error.code().text(Origin::ServerProxy), "server.serverproxy.internal_error");
        let cert = make(Draft::new("a").extended(&[OCSP_SIGNING]));
        let error = is_authentication(&cert).unwrap_err();
        assert_eq!(error.tls_code().text(Origin::ClientProxy), "server.clientproxy.incorrect_certificate");
    }

    #[test]
    fn one_sends_everything_below_the_topmost_authority_known() {
        let t = tree();
        let names = |cas: &[ApprovedCa]| {
            let chain = own_chain(&t.leaf.certificate, cas);
            chain.iter().map(|c| c.subject_text().to_owned()).collect::<Vec<String>>()
        };
        assert_eq!(names(&[with_intermediate(&t.root, &t.middle)]), ["CN=leaf", "CN=middle"]);
        assert_eq!(names(&[approved(&t.middle)]), ["CN=leaf"]);
        assert_eq!(names(&[approved(&t.root)]), ["CN=leaf"]);
        assert_eq!(names(&[]), ["CN=leaf"]);
    }

    #[test]
    fn recorded_certificates_lead_to_the_recorded_authorities() {
        let Some(folder) = vectors() else { return };
        let keys = folder.join("xroad-recorded/materials/keys");
        let read = |name: &str| from_pem(&std::fs::read_to_string(keys.join(name)).unwrap());
        let listed = |cert: Arc<Certificate>| CaService { certificate: cert, ocsp: Vec::new() };
        let mut ca = approved(&Draft::ca("other").self_signed());
        ca.top = listed(read("ca.crt"));
        let root_only = [ca.clone()];
        ca.intermediates.push(listed(read("ica.crt")));
        let cas = [ca];
        for (prefix, ends_in) in [("rsa", "ca.crt"), ("ec", "ca.crt"), ("int", "ica.crt")] {
            for server in ["ss1", "ss2"] {
                let auth = read(&format!("{prefix}-{server}-auth.crt"));
                let sign = read(&format!("{prefix}-{server}-sign.crt"));
                assert_eq!((is_authentication(&auth), is_signing(&auth)), (Ok(true), Ok(false)));
                assert_eq!((is_authentication(&sign), is_signing(&sign)), (Ok(false), Ok(true)));
                let chain = for_signing(&sign, &[], &cas, now()).unwrap();
                assert_eq!(chain.anchor().der(), read(ends_in).der());
                let chain = of_peer(&own_chain(&auth, &cas), &cas, now()).unwrap();
                assert_eq!(chain.anchor().der(), read("ca.crt").der());
                assert_eq!(chain.certificates().len(), if prefix == "int" { 2 } else { 1 });
            }
        }
        let int = read("int-ss1-auth.crt");
        assert!(of_peer(&[Arc::clone(&int)], &root_only, now()).is_err());
        assert!(of_peer(&[int, read("ica.crt")], &root_only, now()).is_ok());
        let rogue = read("rogue-auth.crt");
        assert!(matches!(to_issuer(&rogue, &[], &cas, now()), Err(PathError::NotApproved { .. })));
    }
}
