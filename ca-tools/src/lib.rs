//! Trust services.
