//! May this client call this service: [`Head`] → [`Permitted`].

use super::receive::Head;
use crate::conf::Service;
use crate::world::World;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::message::rest::Request;

/// A request that may be made. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Permitted {
    request: Request,
    announced: DigestAlgorithm,
    service: Service,
    /// Certificates of which an https service must show one; `None` where any will do.
    pinned: Option<Vec<Vec<u8>>>,
}

impl Permitted {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// With what the sender says that its parts are digested.
    #[must_use]
    pub const fn announced(&self) -> DigestAlgorithm {
        self.announced
    }

    /// The service, as it was configured at that moment.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Certificates of which an https service must show one; `None` where any will do.
    #[must_use]
    pub fn pinned(&self) -> Option<&[Vec<u8>]> {
        self.pinned.as_deref()
    }
}

/// Judges whether who asks may call what is asked for: it exists, the caller has a right to this method and path, and it
/// serves.
///
/// Asked before the body is taken: a stranger must not fill our disk.
///
/// Spec: message-path §4.1, 12–15.
///
/// # Errors
/// [`Fault`] with `unknown_service`, `access_denied` or `service_disabled`.
pub fn authorise(world: &World, head: Head) -> Result<Permitted, Fault> {
    let Head { request, announced } = head;
    let id = &request.service;
    let Some((client, service)) = world.server.client(&id.client).zip(world.server.service(id)) else {
        return Err(Fault::new(Leaf::UnknownService, format!("Unknown service: {id}")));
    };
    let is_allowed =
        world.server.is_allowed(&request.client, id, request.method, &request.service_path, &world.conf);
    if !is_allowed {
        return Err(Fault::new(Leaf::AccessDenied, format!("Request is not allowed: {id}")));
    }
    if let Some(notice) = &service.disabled {
        return Err(Fault::new(Leaf::ServiceDisabled, format!("Service {id} is disabled: {notice}")));
    }
    let pinned = service.verify_tls.then(|| client.certificates.clone());
    Ok(Permitted { service: service.clone(), pinned, request, announced })
}
