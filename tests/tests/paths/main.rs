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
//! | `exchange` | an exchange from end to end: methods, bodies, headers, statuses |
//! | `bounds` | how large a SOAP message may be |
//! | `codes` | every code that a gateway may utter, uttered |
//! | `consumer` | each check of the consumer's gateway, made to fail |
//! | `doors` | when a call goes to another door, and when not |
//! | `inside` | TLS with information systems: RSA and EC keys on both sides, TLS 1.2 and 1.3 |
//! | `govstack` | the calls of GovStack's public test, over the borders of five instances |
//! | `meta` | listClients, listMethods and their like |
//! | `evidence` | what the logs hold, when, and what happens when they do not |
//! | `provider` | each check of the provider's gateway, made to fail |
//! | `rights` | who may call what, and how information systems and services connect |
//! | `rollover` | keys and certificates renewed while calls run |
//! | `routes` | which copy of a register is asked, and what happens when it does not answer |
//! | `sites` | registers with several copies: which may answer, and what it says of itself |
//! | `time` | what lapses and is renewed; files that change |
//! | `soap` | SOAP messages, their attachments, and services of the other kind |
//! | `spoiled` | messages spoiled in one thing each |

mod bounds;
mod codes;
mod consumer;
mod documents;
mod doors;
mod evidence;
mod exchange;
mod govstack;
mod inside;
mod management;
mod meta;
mod provider;
mod rights;
mod rollover;
mod routes;
mod sites;
mod soap;
mod spoiled;
mod time;

use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Asked, Federation, Service, Site};

/// A consumer's gateway, a provider's, and the service behind it.
struct Pair {
    tax: Site,
    home: Site,
    service: Service,
    federation: Federation,
}

impl Pair {
    /// The service `land` gives these answers.
    async fn answering(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(answer, "", "").await
    }

    /// As [`Pair::answering`], with further lines of `gateway.toml` for the consumer's gateway and the provider's.
    async fn with(
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
        of_tax: &str,
        of_home: &str,
    ) -> Self {
        let service = Service::start(answer).await;
        let federation = Federation::new().await;
        let home = federation.open_with("HOME", &answering(&service.url("/api")), of_home).await;
        let tax = federation.open_with("TAX", ASKING, of_tax).await;
        Self { tax, home, service, federation }
    }
}
