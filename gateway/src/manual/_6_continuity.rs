//! What a site is, which copy of a register may do what, and what is promised of it.
//!
//! A *register* is a subsystem that a state serves from several *sites*: at home, from an embassy abroad that a treaty makes
//! as inviolable as home, perhaps from a mission or a public cloud. One site *leads* it and takes its writes; the others hold
//! *copies*. How a copy comes to be is the register's own affair (PostgreSQL's replication, say); a gateway asks how old it is.
//!
//! # What the instance decides
//!
//! `[continuity]` in `instance.toml` names sites, registers and operators; `saatkond ca instance apply` checks it against the
//! members and servers, and publishes it as one more part of the signed configuration
//! ([`saatkond_proto::continuity::policy`]; its form is `schemas/continuity-params.xsd`). X-Road's own servers keep the part
//! and ignore it; other instances are not told it. It says who may lead, never who leads: configuration is minutes old.
//!
//! Each change raises its *generation*. A gateway remembers the newest that it took (`jobs/policy.rs`), over restarts: one
//! that is lower, that has the same number and differs, that is gone or is not read, is not taken, whoever signed it; what
//! was decided before stays in force and `saatkond status` warns. The rest of the configuration is taken as ever.
//!
//! # What a class allows where
//!
//! One table, and nothing else decides ([`saatkond_proto::continuity::class::ruling`]):
//!
//! | class | home | embassy by agreement | mission | public cloud |
//! |---|---|---|---|---|
//! | `PUBLIC` | all | all | all | a copy, passing calls on; never leads |
//! | `INTERNAL` | all | all | passing calls on | nothing |
//! | `RESTRICTED` | all | passing calls on; a copy where `live` names the site; leads by mandate only | nothing | nothing |
//! | `HOME_ONLY` | all | nothing | nothing | nothing |
//!
//! There are no mandates yet: a `RESTRICTED` register is led from home. Who picks a door has sent it plain text before
//! anything is asked, so the class is held first against where a subsystem is *registered*: `ca instance apply` refuses a
//! registration on a server where calls may not pass, and a `server.toml` that brings such a register is refused. A swap of
//! the configuration that forbids what is served stops that register alone, with `continuity.class_forbidden`, and says so as
//! an error in the log and a warning in `saatkond status` (`world.rs`, `provider/authorise.rs`). A server that stands at no
//! site serves no register. `saatkond check` says all this beforehand, and warns where registers of different successions
//! share a server.
//!
//! # Read or write
//!
//! As the register's provider declares it in `[[continuity.register.service]]`: a service, one version of it, or a method and
//! a path pattern. The narrower stands above the wider; of equals `write` stands. Where the
//! instance says nothing, the `access` of an endpoint in `server.toml` counts, which `saatkond services` takes from the
//! description: `x-continuity: read` or `write` at an OpenAPI operation, or at its path for all of them. Without either GET,
//! HEAD and OPTIONS read, and all else writes, SOAP included. What a caller says of its own call counts for nothing.
//!
//! Consumers' gateways and other sites know what the instance declares, and no `server.toml`. A POST that only
//! `server.toml` declares a read is still brought to who leads, and not asked twice; a GET that it declares a write may be
//! brought to any door, which passes it on, and is executed once however often it comes under one signature. Refresh at
//! every site, and let the instance declare what is to be read abroad.
//!
//! # How old a copy is
//!
//! `[client.copy]` in `server.toml` names who says it: a file, a probe, or a PostgreSQL standby (`embassy/source.rs`,
//! `embassy/postgres.rs`), asked four times a second (`jobs/copies.rs`). What was told grows old from that moment; what is not
//! known is beyond every bound. Clocks of source and gateway are compared: more than two seconds ahead is not known.
//!
//! A read is answered by our copy when it is not older than `X-Road-Cont-Max-Staleness` of the signed request, never more
//! than the register's `staleness_max`, and without that header not older than its `staleness`
//! (`provider/continuity.rs`). Who leads answers every read. What our copy may not answer ends as
//! `continuity.staleness_exceeded`, unless it can be passed on to who leads.
//!
//! # What is said, and by whom
//!
//! | header | from, to | says |
//! |---|---|---|
//! | `X-Road-Cont-Max-Staleness` | caller to provider's gateway | seconds, to the thousandth; of several the strictest |
//! | `X-Road-Cont-State` | provider's gateway to caller | `HOME_ACTIVE;site=lux1;copy=STANDBY;token=0`: who leads (home, or `EMBASSY_ACTIVE`), which site answered, as what, and the token it knows |
//! | `X-Road-Cont-Staleness` | provider's gateway to caller | how old what a read saw was when the register was asked, at most; 0 where it leads |
//! | `X-Road-Cont-Retry` | provider's gateway to caller | of a refused call: whether and where it may be tried again |
//! | `X-Road-Cont-Token` | gateway to register | the token under which it is called: a register that keeps the highest refuses a deposed site |
//!
//! They stand in the signed block and so in both message logs. Nobody else speaks under these names: of a message every
//! `X-Road-Cont-*` is dropped before the register is called (the signed bytes stay as they came), and of the register's answer
//! before ours are added. The register hears the token with both.
//!
//! SOAP answers carry none, and SOAP has no place for a demand: reads by SOAP go by the register's own bound. They would have
//! to be elements of the envelope's header, which is the register's document: the request's hash is the only change that is
//! ever made to it. An unmodified X-Road server lets unknown header elements pass but refuses an answer in which one stands
//! twice (`duplicate_header_field`), so a register could break its answers by one of ours; and clients made from a WSDL may
//! refuse what that does not name. HTTP headers beside the envelope are not signed: nobody should believe them. Who needs to
//! know how old an answer is asks by REST.
//!
//! # Who leads, and how that changes
//!
//! The first site of a register's succession leads it until an operator orders otherwise. `saatkond authority operator-key`
//! makes an operator's key; its public half stands in the instance's file. `saatkond authority switch REGISTER --to SITE
//! --operator FILE` signs an order and leaves it in the state directory of a running gateway, which acts on it and answers;
//! `saatkond authority show` tells who leads, and by whose word.
//!
//! | change | what happens |
//! |---|---|
//! | planned | writes wait, those under way end, the copy there comes to hold all of them, the order is taken there and then here; who waited is passed on. If it cannot be made within about a second nothing changes |
//! | `--unplanned` | the order is taken at the new site without asking the old one. Writes that the old one acknowledged, and that the copy there does not hold, are lost: the command says so and asks |
//!
//! Sites compare tokens each second over `listen.sites`, and before the first write after a start; the higher order stands. A
//! site that comes back with an older one leads no more. A write that comes to another door is passed on to the site that
//! leads, bytes unchanged, and its answer comes back as that site signed it; both logs keep it. Where the leading site cannot
//! be reached, a REST write is refused with a signed 503 that says it was not executed.
//!
//! # Any door serves, passes on, or is shut
//!
//! An unmodified consumer tries to connect to all servers that a register has, stays with the first that takes the
//! connection for up to an hour, and looks for another only when a connection is not taken (X-Road's
//! `FastestConnectionSelectingSSLSocketFactory`). So a server of no use must not take connections (`embassy/port.rs`):
//!
//! - A register can be *served* where it answers and this site leads it, or holds a fresh copy. It can be *passed on* where
//!   the site that leads answered when tokens were last compared.
//! - While one register of a server can be either, the port stands open. The others alone are refused, at once: a read with
//!   `continuity.staleness_exceeded`, a write that is ours with `network_error`; a read that our copy would answer, if it
//!   were well, is passed on.
//! - When none can be, `listen.servers` is shut within three seconds: connections are refused, and those that stand end with
//!   the answer that is under way. It opens once one register has been of use for a second without a break; when it shuts
//!   again within a minute it needs twenty seconds, then forty, then sixty.
//! - A server that also offers what is no register of the instance's keeps its port open for that, and so does one whose
//!   registers have no other server: there is nowhere to go.
//! - `listen.ocsp` stays open: no consumer chooses a server by it, and what it tells is true of certificates, not of
//!   registers. `listen.sites` stays open: by it other sites find that this one is back.
//!
//! Whether a register answers is known by a question of our own (`embassy/registers.rs`): the `probe` of its services in
//! `server.toml`, twice a second, where an answer below 500 within 0.7 s counts and two misses in a row are too many. Without
//! a `probe` it is looked, once a call has failed, whether it takes connections; one that takes them and then hangs is found
//! out by calls alone, each of which waits for the service's `timeout`. Declare a `probe`.
//!
//! # What is not promised yet
//!
//! - A site that starts while it can reach no other for three seconds goes by what it knew.
//! - An unplanned change of who leads may lose writes that were acknowledged: there is no journal yet.
//! - A copy of this or that age says what it holds, not that two copies show one common moment.
//! - A PostgreSQL primary that is held up for seconds between two messages to its standby may let the standby seem younger by
//!   that long. A heartbeat row, written each second, is free of that.
