//! A message and its proof as one file: ASiC-E containers, and the archives that hold them.
//!
//! Spec: ETSI TS 102 918; message-path §6.5 (containers), §6.6 (archives), §7.3 (what time-stamps cover).
//!
//! | file | what it holds |
//! |---|---|
//! | [`zip`] | the zip layer: every byte accounted for |
//! | [`write`](mod@write) | a container, entry for entry as X-Road writes it |
//! | [`manifest`] | the two lists inside a container |
//! | [`message`] | who says what to whom in a message, and so who must have signed it |
//! | [`verify`](mod@verify) | from a container to a [`Proof`] |
//! | [`archive`] | archives, and the chain that links containers and archives |
//!
//! A container proves itself to whoever trusts the instance's configuration; no server of ours is asked.

pub mod archive;
mod error;
pub mod manifest;
pub mod message;
pub mod verify;
pub mod write;
pub mod zip;

pub use error::ContainerError;
pub use verify::{Container, Proof, verify};
pub use write::{BatchStamp, Evidence, entry_name, write};

/// The type of an ASiC-E container. Spec: TS 102 918 6.2.1.
pub const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";
/// The comment of a container's zip file. Spec: TS 102 918 A.1; Seen: message-path §6.5.
pub const COMMENT: &str = "mimetype=application/vnd.etsi.asic-e+zip";

/// Names of entries. Spec: message-path §6.5.
pub mod entry {
    /// The container's type.
    pub const MEDIA_TYPE: &str = "mimetype";
    /// The message: a SOAP envelope or a REST block.
    pub const MESSAGE: &str = "message.xml";
    /// The signature document.
    pub const SIGNATURES: &str = "META-INF/signatures.xml";
    /// The result of the signature's hash chain.
    pub const SIGNATURE_CHAIN_RESULT: &str = "sig-hashchainresult.xml";
    /// The signature's hash chain.
    pub const SIGNATURE_CHAIN: &str = "sig-hashchain.xml";
    /// The result of the time-stamp's hash chain.
    pub const STAMP_CHAIN_RESULT: &str = "ts-hashchainresult.xml";
    /// The time-stamp's hash chain.
    pub const STAMP_CHAIN: &str = "ts-hashchain.xml";
    /// The list of all files, as OpenDocument has it.
    pub const MANIFEST: &str = "META-INF/manifest.xml";
    /// What the time-stamp covers.
    pub const ASIC_MANIFEST: &str = "META-INF/ASiCManifest.xml";
    /// The time-stamp token.
    pub const TOKEN: &str = "META-INF/timestamp.tst";
    /// What the names of attachments begin with; a number from 1 follows.
    pub const ATTACHMENT: &str = "attachment";
}

#[cfg(test)]
mod tests;
