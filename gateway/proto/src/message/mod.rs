//! What two information systems say to each other, and what gateways say of themselves.

pub mod description;
pub mod endpoint;
mod json;
pub mod meta;
pub mod rest;
pub mod soap;
