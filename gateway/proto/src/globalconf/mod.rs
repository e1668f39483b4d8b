//! The instance's phone book and list of trusted services.
//!
//! | file | what it holds |
//! |---|---|
//! | [`anchor`] | the one document that is carried by hand: where to ask, and whom to believe |
//! | [`directory`] | the signed list of parts: read, verified, written |
//! | [`shared`] | what all see: members, servers, authorities (`shared-params`) |
//! | [`private`] | what the instance's own servers see besides (`private-params`) |
//! | [`options`] | the optional parts: OCSP and monitoring |
//! | [`locations`] | where to ask in which order, and for which version |
//! | [`layout`] | the same as files, in X-Road's own layout |
//! | [`lookup`] | one immutable picture of all this, and the questions it answers |
//! | `picture` | one instance of that picture, with its indexes |
//! | `read`, `write` | how the documents above are taken apart and put together |
//!
//! Spec: PR-GCONF; trust-and-configuration §1 and §2. Seen: versions 2 to 6, as X-Road 7.8 publishes and reads them.

pub mod anchor;
pub mod directory;
pub mod layout;
pub mod locations;
pub mod lookup;
pub mod options;
mod picture;
pub mod private;
pub(crate) mod read;
pub mod shared;
pub(crate) mod write;

pub use anchor::{Anchor, AnchorSource};
pub use directory::{Content, Directory, DirectoryError, Draft, Part, SignedDirectory};
pub use lookup::{GlobalConf, Instance, LookupError, Tsa};
pub use options::Options;
pub use private::{ManagementService, PrivateParams};
pub use read::ParamsError;
pub use shared::{
    Acme, Authority, CertificationService, CostType, CsrFormat, GlobalGroup, Member, MemberClass, Responder,
    SecurityServer, SharedParams, Source, Subsystem, TimestampingService,
};

/// The oldest version of the configuration that is read and written.
pub const VERSION_MIN: u8 = 2;
/// The newest version of the configuration that is read and written. Seen: X-Road 7.8.
pub const VERSION_MAX: u8 = 6;

#[cfg(test)]
mod tests;
