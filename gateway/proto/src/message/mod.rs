//! What two information systems say to each other.

pub mod endpoint;
pub mod rest;
pub mod soap;
