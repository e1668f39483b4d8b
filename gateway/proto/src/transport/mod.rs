//! How a message rides between gateways.

pub mod mime;
pub mod read;
pub mod write;
