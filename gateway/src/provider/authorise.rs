//! May this client call this service: [`Head`] → [`Permitted`].

use super::receive::Head;
use crate::conf::{Client, Service, ServiceKind};
use crate::net::question::Question;
use crate::world::{Standing, World};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::message::meta::Metaservice;

/// A request that may be made. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Permitted {
    question: Question,
    announced: DigestAlgorithm,
    called: Called,
}

/// What is called.
#[derive(Debug)]
pub enum Called {
    /// A service.
    Service(Box<Callee>),
    /// A metaservice: the gateway answers by itself.
    Metaservice(Metaservice),
}

/// A service, as it was configured at that moment.
#[derive(Debug)]
pub struct Callee {
    /// The service.
    pub service: Service,
    /// Certificates of which an https service must show one; `None` where any will do.
    pub pinned: Option<Vec<Vec<u8>>>,
}

impl Permitted {
    /// What is asked.
    #[must_use]
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// With what the sender says that its parts are digested.
    #[must_use]
    pub const fn announced(&self) -> DigestAlgorithm {
        self.announced
    }

    /// What is called.
    #[must_use]
    pub const fn called(&self) -> &Called {
        &self.called
    }
}

impl Callee {
    /// A service of `provider`, which may be asked.
    #[must_use]
    pub fn new(provider: &Client, service: &Service) -> Self {
        let pinned = service.verify_tls.then(|| provider.certificates.clone());
        Self { service: service.clone(), pinned }
    }
}

/// Judges whether who asks may call what is asked for: it exists and speaks that dialect, the caller has a right to it
/// (in REST to this method and path), and it serves.
///
/// Asked before the body is taken: a stranger must not fill our disk.
///
/// Spec: message-path §4.1, 12–15. Seen: metaservices are open to every client whose message gets as far as this.
///
/// # Errors
/// [`Fault`] with `unknown_service`, `continuity.class_forbidden`, `service_type`, `access_denied` or `service_disabled`.
pub fn authorise(world: &World, head: Head) -> Result<Permitted, Fault> {
    let Head { question, announced } = head;
    let (id, client) = (question.service(), question.client());
    let metaservice = match &question {
        Question::Rest(request) => Metaservice::by_rest(request.method, &id.code),
        Question::Soap(_) => Metaservice::by_soap(&id.code),
    };
    if let Some(metaservice) = metaservice {
        return Ok(Permitted { called: Called::Metaservice(metaservice), question, announced });
    }
    let Some((provider, service)) = world.server.client(&id.client).zip(world.server.service(id)) else {
        return Err(Fault::new(Leaf::UnknownService, format!("Unknown service: {}", id.typed())));
    };
    if let Standing::Stopped(why) = world.standing(&id.client) {
        return Err(Fault::new(Leaf::ClassForbidden, why));
    }
    let is_allowed = match (&question, service.kind) {
        (Question::Rest(request), ServiceKind::Rest | ServiceKind::OpenApi) => {
            world.server.is_allowed(client, id, request.method, &request.service_path, &world.conf)
        }
        (Question::Soap(_), ServiceKind::Soap) => world.server.has_any_right(client, id, &world.conf),
        (Question::Rest(_), ServiceKind::Soap) => {
            let detail = "Service is a SOAP service and cannot be called using REST interface";
            return Err(Fault::new(Leaf::ServiceType, detail));
        }
        (Question::Soap(_), ServiceKind::Rest | ServiceKind::OpenApi) => {
            let detail = "Service is a REST service and cannot be called using SOAP interface";
            return Err(Fault::new(Leaf::ServiceType, detail));
        }
    };
    if !is_allowed {
        return Err(Fault::new(Leaf::AccessDenied, format!("Request is not allowed: {}", id.typed())));
    }
    if let Some(notice) = &service.disabled {
        return Err(Fault::new(
            Leaf::ServiceDisabled,
            format!("Service {} is disabled: {notice}", id.typed()),
        ));
    }
    let called = Called::Service(Box::new(Callee::new(provider, service)));
    Ok(Permitted { called, question, announced })
}
