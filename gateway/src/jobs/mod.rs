//! What the gateway does unasked.
