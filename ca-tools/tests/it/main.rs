//! The trust services from outside: openssl, proto's readers and an independent verifier are the other side.

mod authority;
mod support;
