//! Who vouches for a request: everything is held against the instance as it is now, and nothing is taken on trust.

use super::Refusal;
use crate::instance::Instance;
use saatkond_proto::globalconf::{self as gc, GlobalConf};
use saatkond_proto::id::MemberId;
use saatkond_proto::management::{Ask, Package, Request, Signature};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::path::{self, Chain};
use saatkond_proto::trust::{Certificate, ocsp};
use std::sync::Arc;

/// Checks that the server's owner and who must sign are members, and that every signature a request needs is there and
/// good: over the very document, by a certificate that an approved authority issued and calls good.
pub(super) fn check(
    package: &Package,
    request: &Request,
    instance: &Instance,
    now: UnixTime,
) -> Result<(), Refusal> {
    let read = gc::Instance {
        shared: instance.shared().clone(),
        private: Some(instance.private().clone()),
        expires: now.plus(instance.validity()),
        options: instance.options().clone(),
    };
    let world = GlobalConf::new(instance.name(), vec![read])
        .map_err(|e| Refusal::Proof(format!("the instance is not read: {e}")))?;
    let of = &Scene { world: &world, now };
    of.is_member(&request.server.owner)?;
    if !matches!(request.ask, Ask::RegisterCertificate { .. }) && world.server(&request.server).is_none() {
        return Err(proof(format!("server {} is not registered", request.server)));
    }
    match (&request.ask, &package.by_authentication) {
        (Ask::RegisterCertificate { certificate, .. }, Some(signature)) => {
            of.by_authentication(package, request, certificate, signature)?;
        }
        (Ask::RegisterCertificate { .. }, None) => {
            return Err(proof("the authentication key's signature is missing"));
        }
        (_, None) => {}
        (_, Some(_)) => return Err(proof("an authentication key signed, expected the member's alone")),
    }
    match (request.signer(), &package.by_member, &package.status) {
        (Some(member), Some(signature), Some(status)) => of.by_member(package, member, signature, status),
        (Some(member), _, _) => Err(proof(format!("expected a signature of {member} and an OCSP response"))),
        (None, None, None) => Ok(()),
        (None, ..) => Err(proof("expected the document alone, without signatures")),
    }
}

/// What requests are held against.
struct Scene<'a> {
    world: &'a GlobalConf,
    now: UnixTime,
}

impl Scene<'_> {
    fn is_member(&self, member: &MemberId) -> Result<(), Refusal> {
        if member.instance == self.world.own_instance() && self.world.knows(&member.client()) {
            return Ok(());
        }
        Err(proof(format!("{member} is no member of instance {}", self.world.own_instance())))
    }

    /// The key that is to be registered signed, and its certificate names the server.
    fn by_authentication(
        &self,
        package: &Package,
        request: &Request,
        registered: &[u8],
        signature: &Signature,
    ) -> Result<(), Refusal> {
        if signature.certificate != registered {
            return Err(proof("another certificate than the one to be registered signed"));
        }
        let (leaf, issued) = self.read(signature, path::to_issuer)?;
        let subject = leaf.subject_text();
        let is_it =
            path::is_authentication(&leaf).map_err(proof)? && !path::is_signing(&leaf).unwrap_or(false);
        if !is_it {
            return Err(proof(format!("certificate {subject} is not for authentication")));
        }
        if let Some(profile) = issued.ca().profile {
            let named = profile.names_server(&leaf, &request.server);
            named.map_err(|e| proof(format!("certificate {subject}: {e}")))?;
        }
        holds(signature, &leaf, package)
    }

    /// The member's sign key signed, and the authority called its certificate good a short while ago.
    fn by_member(
        &self,
        package: &Package,
        member: &MemberId,
        signature: &Signature,
        status: &[u8],
    ) -> Result<(), Refusal> {
        self.is_member(member)?;
        let (leaf, issued) = self.read(signature, path::for_signing)?;
        let subject = leaf.subject_text();
        if !path::is_signing(&leaf).map_err(proof)? {
            return Err(proof(format!("certificate {subject} is not for signing")));
        }
        let profile = issued.ca().profile;
        let profile = profile.ok_or_else(|| proof("the authority names members in a way not known here"))?;
        let named =
            profile.member_of(&leaf, member).map_err(|e| proof(format!("certificate {subject}: {e}")))?;
        if named != *member {
            return Err(proof(format!("certificate {subject} is {named}'s, expected {member}'s")));
        }
        let said = ocsp::Response::from_der(status).map_err(proof)?;
        let (cas, policy) = (self.world.all_cas(), self.world.ocsp_policy());
        ocsp::check(&issued, &[said], &cas, &policy, self.now).map_err(proof)?;
        holds(signature, &leaf, package)
    }

    fn read(
        &self,
        signature: &Signature,
        find: impl Fn(
            &Arc<Certificate>,
            &[Arc<Certificate>],
            &[saatkond_proto::trust::ApprovedCa],
            UnixTime,
        ) -> Result<Chain, path::PathError>,
    ) -> Result<(Arc<Certificate>, Chain), Refusal> {
        let leaf = Arc::new(Certificate::from_der(&signature.certificate).map_err(proof)?);
        let cas = self.world.approved_cas(self.world.own_instance());
        let issued = find(&leaf, &[], cas, self.now).map_err(proof)?;
        Ok((leaf, issued))
    }
}

fn holds(signature: &Signature, leaf: &Certificate, package: &Package) -> Result<(), Refusal> {
    let held = signature.holds(leaf.public_key(), &package.document);
    held.map_err(|e| proof(format!("the signature by {} does not hold: {e}", leaf.subject_text())))
}

fn proof(reason: impl ToString) -> Refusal {
    Refusal::Proof(reason.to_string())
}
