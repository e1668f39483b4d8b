//! What a signature covers, and whether it holds.

pub mod batch;
pub mod c14n;
pub mod xades;
