//! Home or embassy: which copy of a register may do what, and what is said about it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`policy`] | the signed part: sites, registers and operators |
//! | `document`, `check` | the same as XML, and what must hold in it |
//! | [`class`] | what a class of data allows where |
//! | [`authority`] | who leads a register now: tokens, warrants, what a site does with a write |
//! | [`note`] | what a door signs about a call that it passes on |
//! | [`mod@access`] | whether a call reads or writes |
//! | [`header`] | the names `X-Road-Cont-*`, and how their values are written |
//! | [`staleness`] | whether a copy is fresh enough to answer |
//! | [`refusal`] | what a door says of a call that it does not serve |
//! | [`doors`] | what is known of doors, and to which of them a call is brought |
//! | [`health`] | whether a door answers: silence, failures, pace |
//! | [`mod@shutter`] | whether a server's port stands open |
//! | [`route`] | which site is asked, without flapping; how many second attempts there may be |
//!
//! Ours: X-Road knows nothing of this. Its servers store the part and ignore it, sign the headers and pass them on.

pub mod access;
pub mod authority;
mod check;
pub mod class;
mod document;
pub mod doors;
pub mod header;
pub mod health;
pub mod note;
pub mod once;
pub mod policy;
pub mod refusal;
pub mod route;
pub mod shutter;
pub mod staleness;

pub use access::{Access, ServiceAccess, access};
pub use class::{Class, Jurisdiction, Role, Use};
pub use policy::{Operator, Policy, PolicyError, Register, Site};

/// The identifier of the part.
pub const CONTENT_IDENTIFIER: &str = "CONTINUITY-PARAMETERS";
/// The file that it is published and stored as.
pub const FILE_NAME: &str = "continuity-params.xml";
/// The namespace of its elements.
pub const NAMESPACE: &str = "urn:saatkond:continuity:1";

#[cfg(test)]
mod tests;
