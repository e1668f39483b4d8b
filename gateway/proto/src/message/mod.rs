//! What two information systems say to each other.

pub mod rest;
