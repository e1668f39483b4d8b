//! How a message rides between gateways.
//!
//! Spec: PR-MESSTRANSP; message-path §2.6–2.14. [`read`] and [`mod@write`] know the order of the parts, [`mime`] only
//! multipart. The names below are written in lower case exactly as they stand.

pub mod mime;
pub mod read;
#[cfg(test)]
pub(crate) mod testing;
pub mod write;

/// HTTP header: the digest algorithm of the parts. Mandatory for every multipart, and case-sensitive in answers.
pub const HASH_ALGORITHM: &str = "x-hash-algorithm";
/// HTTP header: the sender's version.
pub const PROXY_VERSION: &str = "x-proxy-version";
/// HTTP header: the content type of the information system.
pub const ORIGINAL_CONTENT_TYPE: &str = "x-original-content-type";
/// HTTP header: the SOAPAction of the information system.
pub const ORIGINAL_SOAP_ACTION: &str = "x-original-soapaction";
/// HTTP header: the id of the exchange, the same as in the REST block.
pub const REQUEST_ID: &str = "x-road-request-id";
/// HTTP header: `REST` for REST.
pub const MESSAGE_TYPE: &str = "x-road-message-type";
/// Value of [`MESSAGE_TYPE`] for REST.
pub const MESSAGE_TYPE_REST: &str = "REST";
/// Value of [`HASH_ALGORITHM`].
pub const HASH_ALGORITHM_SHA512: &str = "SHA-512";
/// HTTP content type of a fault that is a whole answer.
pub const FAULT_CONTENT_TYPE: &str = "text/xml;charset=utf-8";
