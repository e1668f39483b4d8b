//! The instance's phone book and list of trusted services.

pub mod lookup;
pub mod read;
pub mod write;
