//! What is looked at before a certificate is signed, and once more after: whether those will take it who are shown it.

use crate::ca::{CaError, Order};
use crate::index::Purpose;
use crate::naming::Subject;
use crate::policy::Policy;
use saatkond_proto::crypto::KeyKind;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::{Certificate, path};

/// Bits of an RSA key that is certified: X-Road's own servers make 2048 to 4096.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Looks at a certificate that `authority` is to sign, or has signed, for `order`.
pub(crate) fn lint(
    certificate: &Certificate,
    order: &Order,
    authority: &Certificate,
    policy: &Policy,
    now: UnixTime,
) -> Result<(), CaError> {
    let refuse = |reason: String| Err(CaError::Lint(reason));
    if certificate.issuer() != authority.subject() {
        return refuse("its issuer is not written as this authority's subject".to_owned());
    }
    if order.subject.is_empty() {
        return refuse("its subject is empty".to_owned());
    }
    if Subject::from_der(certificate.subject()).as_ref() != Ok(&order.subject) {
        return refuse("its subject is not written as it was ordered".to_owned());
    }
    if certificate.public_key() == authority.public_key() {
        return refuse("its key is this authority's own".to_owned());
    }
    if let KeyKind::Rsa(bits) = certificate.public_key().kind()
        && !RSA_BITS.contains(&bits)
    {
        return refuse(format!("its key is {}, expected RSA-2048 to RSA-4096", KeyKind::Rsa(bits)));
    }
    if !certificate.is_valid_at(now) {
        let (from, to) = (certificate.not_before(), certificate.not_after());
        return refuse(format!("it would not be valid now: {from} to {to}"));
    }
    if certificate.is_ca() != (order.purpose == Purpose::Ca) || certificate.has_unknown_critical() {
        return refuse("its constraints are not those of its purpose".to_owned());
    }
    if order.purpose == Purpose::Ca && authority.path_length() == Some(0) {
        return refuse("this authority may have none below it".to_owned());
    }
    usage(certificate, order.purpose)?;
    match &order.member {
        Some(member) if order.purpose == Purpose::Sign => {
            let profile = policy.profile().map_err(CaError::Lint)?;
            let named = profile.member_of(certificate, member).map_err(|e| CaError::Lint(e.to_string()))?;
            if named == *member {
                Ok(())
            } else {
                refuse(format!("its subject names {named}, expected {member}"))
            }
        }
        Some(_) | None => Ok(()),
    }
}

fn usage(certificate: &Certificate, purpose: Purpose) -> Result<(), CaError> {
    let signs = path::is_signing(certificate).map_err(|e| CaError::Lint(e.to_string()))?;
    let authenticates = path::is_authentication(certificate).map_err(|e| CaError::Lint(e.to_string()))?;
    let right = match purpose {
        Purpose::Sign => signs && !authenticates,
        Purpose::Auth => authenticates && !signs && certificate.may_authenticate_client(),
        Purpose::Ocsp => certificate.may_sign_ocsp() && !signs,
        Purpose::Tsa => certificate.may_stamp_time() && !certificate.may_authenticate_client(),
        Purpose::Tls => !signs,
        Purpose::Ca => certificate.key_usage().is_some_and(|usage| usage.key_cert_sign()),
    };
    if right {
        Ok(())
    } else {
        Err(CaError::Lint(format!("its key usage is not that of {}", purpose.name())))
    }
}
