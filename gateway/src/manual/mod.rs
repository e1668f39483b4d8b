//! The manual: what is spread over many files, told once and in order.
//!
//! | chapter | what it answers |
//! |---|---|
//! | [`_3_stores`] | what lies on disk, whether it is trusted, and what its thief could do |
//! | [`_4_stricter`] | what X-Road 7.8 lets pass and we refuse, and why |
//!
//! Every option stands with its unit and default in `conf/gateway.toml`. What travels between gateways is the crate
//! [`saatkond_proto`].

pub mod _3_stores;
pub mod _4_stricter;
