//! The trust services from outside: openssl, proto's readers and an independent verifier are the other side.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the lints for tests spare functions marked as tests only"
)]

mod authority;
mod cli;
mod continuity;
mod hostile;
mod instance;
mod interop;
mod lifetime;
mod management;
mod proxy;
mod rotation;
mod services;
mod support;
