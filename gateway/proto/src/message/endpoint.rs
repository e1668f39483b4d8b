//! Which calls an access right opens: method and path pattern.
//!
//! Spec: message-path §4.6. Seen: X-Road 7.8 `PathGlob.java`, `UriUtils.java`, `BaseEndpoint.java`.

use super::rest::Method;

/// A path pattern: `*` stands for anything without a slash, `**` for anything, `\` takes the meaning of the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathGlob(String);

/// One endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The method; `None` (written `*`) for all.
    pub method: Option<Method>,
    /// The paths.
    pub path: PathGlob,
}

/// A path about which no right can say anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It leads out of the service's root.
    #[error("path {path:?} leads above its root")]
    AboveRoot {
        /// The path as it came.
        path: String,
    },
    /// It does not decode.
    #[error("path {path:?} is not percent-encoded UTF-8 of characters allowed in a path")]
    Encoding {
        /// The path as it came.
        path: String,
    },
}

impl PathGlob {
    /// Takes a pattern; every text is one.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether a normal path matches, whole.
    #[must_use]
    pub fn matches(&self, _path: &str) -> bool {
        false
    }
}

impl Endpoint {
    /// The endpoint that stands for the whole service: `*` and `**`.
    #[must_use]
    pub fn everything() -> Self {
        Self { method: None, path: PathGlob::new("**") }
    }

    /// Whether a call with this method and normal path ([`normal_path`]) falls under it.
    #[must_use]
    pub fn covers(&self, method: Method, path: &str) -> bool {
        self.method.is_none_or(|m| m == method) && self.path.matches(path)
    }
}

/// The path by which rights are judged: decoded once, dot segments resolved.
///
/// # Errors
/// [`PathError`]; such a call is refused.
pub fn normal_path(path: &str) -> Result<String, PathError> {
    Err(PathError::Encoding { path: path.to_owned() })
}
