//! Whether a call reads or writes: as the provider declares it, else by its method, else it writes.
//!
//! What a consumer says about its own call counts for nothing.

use super::policy::Register;
use crate::id::ServiceId;
use crate::message::endpoint::{Endpoint, normal_path};
use crate::message::rest::Method;

/// What a call does to a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// It leaves the register as it was: any copy may answer, and it may be asked twice.
    Read,
    /// It may change the register: the authority alone, once.
    Write,
}

/// What the provider declares of a service, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccess {
    /// The service's code.
    pub code: String,
    /// Its version; `None` for every version.
    pub version: Option<String>,
    /// Which calls; `None` for all.
    pub endpoint: Option<Endpoint>,
    /// What they do.
    pub access: Access,
}

impl Access {
    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// Reads what [`Access::text`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|access| access.text() == text)
    }

    /// What HTTP says of a method: GET, HEAD and OPTIONS read.
    #[must_use]
    pub const fn of_method(method: Method) -> Self {
        if method.is_safe() { Self::Read } else { Self::Write }
    }
}

/// Says whether a call reads or writes. `method` is `None` for SOAP; `raw_path` is what follows the service code as it
/// came.
#[must_use]
pub fn access(
    register: Option<&Register>,
    service: &ServiceId,
    method: Option<Method>,
    raw_path: &str,
) -> Access {
    let declared = register.and_then(|register| declared(register, service, method, raw_path));
    declared.unwrap_or_else(|| method.map_or(Access::Write, Access::of_method))
}

/// What the instance's policy declares of a call, as [`access()`] is asked; `None` where it says nothing.
///
/// A declaration of an endpoint stands above one of the whole service; of two that say different things, `write` stands.
/// A path about which nothing can be said writes.
#[must_use]
pub fn declared(
    register: &Register,
    service: &ServiceId,
    method: Option<Method>,
    raw_path: &str,
) -> Option<Access> {
    let of_service = |d: &&ServiceAccess| {
        d.code == service.code && d.version.as_ref().is_none_or(|v| Some(v) == service.version.as_ref())
    };
    let declared: Vec<&ServiceAccess> = register.services.iter().filter(of_service).collect();
    let mut narrow = declared.iter().filter_map(|d| Some((d.endpoint.as_ref()?, d.access))).peekable();
    if narrow.peek().is_some()
        && let Some(method) = method
    {
        let Ok(path) = normal_path(raw_path) else { return Some(Access::Write) };
        let fitting = narrow.filter(|(endpoint, _)| endpoint.covers(method, &path)).map(|(_, access)| access);
        if let Some(access) = strictest(fitting) {
            return Some(access);
        }
    }
    let wide = declared.iter().filter(|d| d.endpoint.is_none()).map(|d| d.access);
    strictest(wide)
}

/// Of several declarations the one that stands: `write`, if one says so.
pub fn strictest(all: impl IntoIterator<Item = Access>) -> Option<Access> {
    all.into_iter().reduce(|a, b| if a == Access::Write { a } else { b })
}
