//! The manual: what is spread over many files, told once and in order.
//!
//! | chapter | what it answers |
//! |---|---|
//! | [`_1_exchange`] | what happens to one call, step by step, and in which file |
//! | [`_2_doors`] | when a call goes to another of the provider's gateways, and when it may not |
//! | [`_3_stores`] | what lies on disk, whether it is trusted, and what its thief could do |
//! | [`_4_stricter`] | what X-Road 7.8 lets pass and we refuse, and why |
//! | [`_5_running`] | start, health, drain, log lines, exit codes, and what to do when something fails |
//! | [`_6_continuity`] | what a site is, which copy of a register may do what, and what is promised of it |
//! | [`_7_real_server`] | how a live X-Road server is run against a gateway, and what came of it |
//! | [`_8_threats`] | who could turn the passing on of calls, or an order of authority, against a register, what stops them, and what is left |
//!
//! Every option stands with its unit and default in `conf/gateway.toml`. What travels between gateways is the crate
//! [`saatkond_proto`].

pub mod _1_exchange;
pub mod _2_doors;
pub mod _3_stores;
pub mod _4_stricter;
pub mod _5_running;
pub mod _6_continuity;
pub mod _7_real_server;
pub mod _8_threats;
