//! Takes the configuration's documents apart: elements in the order that the schemas give them.

use crate::xml::XmlError;

/// A document of the configuration that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// No document that is read at all, or elements other than the schema's.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A version that nobody knows.
    #[error("configuration version {found}, expected 2 to 6")]
    Version {
        /// The version named.
        found: u32,
    },
    /// A value that is not one of its kind.
    #[error("{element} is {found:?}, expected {expected}")]
    Value {
        /// The element.
        element: String,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A server names an owner or client that is not in the document.
    #[error("{element} refers to {found:?}, expected the id of a {expected}")]
    Reference {
        /// The element that refers.
        element: &'static str,
        /// What it may refer to.
        expected: &'static str,
        /// The id it names.
        found: String,
    },
    /// Something named twice that may be named once.
    #[error("{what} {found:?} stands in the document twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name.
        found: String,
    },
}
