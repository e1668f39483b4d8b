//! Sockets, TLS, pools and deadlines: nothing else of the gateway touches a socket.
//!
//! | file | what it holds |
//! |---|---|
//! | [`fetch`] | one question to a trust service or configuration source |
//! | [`random`] | ids and boundaries |
//! | [`tls`] | who must prove what in a handshake |

pub mod fetch;
pub mod random;
pub mod tls;
