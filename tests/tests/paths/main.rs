//! Both paths at once: what an information system asks of its gateway, and what crosses to the provider and back.
//!
//! ```text
//!                         127.a.b.1   authority, OCSP, time-stamps, configuration
//!                              ┆ (asked over HTTP by every gateway)
//!  Caller ──HTTP(S)──► TAX  ══TLS 1.3══►  HOME     ──HTTP(S)──► Service
//!   GOV/M1/TAX         127.a.b.2   ╚═══►  EMBASSY  ──HTTP(S)──► Service      GOV/M2/LAND on both
//!                         │               127.a.b.3, .4
//!                         └──HTTP──► 5577 of each (here: a port of this federation's)
//!
//!  Asker ══TLS══► HOME ──► Service        the test plays the consumer's gateway
//!  Caller ──► TAX ══TLS══► Door           the test plays the provider's gateway
//! ```
//!
//! All in one process and over real sockets, on loopback addresses of each test's own; one clock that the test winds.
//! Nothing sleeps.
//!
//! | file | what it shows |
//! |---|---|
//! | `exchange` | an exchange from end to end: methods, bodies, headers, evidence |

mod exchange;
