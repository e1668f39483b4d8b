//! Who could turn the passing on of calls, or an order of authority, against a register; what stops them, and what is left.
//!
//! [Chapter 6](super::_6_continuity) says how both work. Each row that stops something has a test that does it over the wire
//! (`cargo test -p saatkond-tests --test authority`); what reads notes and orders is fuzzed (target `authority`).
//!
//! # A call that is passed on
//!
//! The site that leads trusts a door for one thing: that the certificates it names were shown to it in TLS. All else is
//! checked as if the one who asks had come by himself (`provider/sites.rs`, `provider/lead.rs`).
//!
//! | who does what | what stops it |
//! |---|---|
//! | A server that stands at no site connects to `listen.sites` | its certificate is not let through the handshake; without OCSP responses for it nothing is read |
//! | A server of some site passes on calls of a register that is not registered on it | refused: a door is where consumers bring calls of that register |
//! | A door of a class that may not pass calls on, first or second | `continuity.class_forbidden`, for each door that a note names |
//! | A door changes a call | the member's signature covers block or envelope, body and attachments |
//! | A door brings a call as another member's | the certificates it names must be of a server on which the client is registered, valid, with the OCSP responses that the call itself brings |
//! | A door brings a call under another call's note, or other certificates than it signed for | the note holds the digests of both |
//! | A door signs in another's name, or shows another certificate in TLS than it signed with | the note's certificate must be the one shown, and registered for the door it names |
//! | Somebody keeps a note for later | five minutes; and the call is executed once |
//! | A call goes round between sites | two notes at most, chained by digest; no site is gone back to |
//! | A call comes again, by whichever door, under a new note or request id, with its signature written otherwise | it is known by what was signed, for as long as its OCSP responses could be fresh, over restarts: `continuity.already_executed` |
//! | A call of nothing that is a register is passed on | `invalid_request` |
//! | A door changes the answer | it is the provider's signed answer to that very request, or the one who asked refuses it |
//! | Caller, door or register speaks as `X-Road-Cont-*` | dropped before the register is called, and before ours are added |
//! | Many calls, large ones, half ones | 1024 at once, each within the bounds of every other call; a body is taken once its caller is known and permitted |
//!
//! # An order of authority
//!
//! | who does what | what stops it |
//! |---|---|
//! | Somebody writes an order, or changes one | Ed25519 under a key that the signed configuration lists; register, site, token and kind of change are signed |
//! | An order for a site outside the succession, or of a class that may not be led there | refused at every site, whoever brings it |
//! | An old order comes again | the token must be higher than the one that stands; of two with one token all sites take the same |
//! | A crash brings an old order back | an order is on disk before it is in force; what is handed over is promised on disk first |
//! | A site was away and leads by what it knew | it asks the others before its first write, for three seconds at most; a write that it was brought by a door tells it, too |
//! | Authority passes while a write is between its check and the register | the token is compared again when the connection to the register stands, directly before the call; the write then goes where authority went |
//! | An order is left in the state directory of a gateway | it must be of this minute, by the operator's clock and the gateway's; then all of the above |
//!
//! # What is left
//!
//! **A door that lies** can withhold a call and bring it later, once, within the freshness of OCSP responses, though it told
//! the caller that nothing was executed. It can say that it saw the right server. What it brings is always something that a
//! member signed for this service. A door of the provider also holds a key of the provider: it can answer by itself, and what
//! it says of who leads and how old a copy is, is its word. Whoever does not trust a site takes its server out of the
//! configuration; its certificates' end or revocation ends it everywhere.
//!
//! **Once, at one site.** What was executed is known to the site that executed it and to the doors it came by. A signed write
//! that comes again after authority has passed to a site that never saw it is executed there, too. Whoever kept it, its own
//! member or a door, can do that within the freshness of OCSP responses. Registers whose writes must not be done twice keep
//! the message's id, or a key of the caller's.
//!
//! **What is not signed in X-Road** a door can change, as every gateway before it: of SOAP the request id and `SOAPAction`.
//! A register must not decide by them.
//!
//! **An operator's key** in wrong hands moves authority, and an unplanned change loses writes that were acknowledged. Take the
//! key out of the instance's file; what was ordered stands until a higher order. An order that was signed and never given
//! does not expire between sites: one who finds it can use it as long as its token is the higher. Sign none in advance.
//!
//! **Two that lead.** After `--unplanned` with home alive and out of reach, both sites take writes until they hear of each
//! other. Only a register that keeps the highest `X-Road-Cont-Token` and refuses lower ones stops home then. What a gateway
//! has handed to its register before it hears of an order is executed.
//!
//! **The configuration** says who sites, operators and members are. Who signs it can name others; its generation only keeps
//! an older one from coming back. There are no mandates yet, so a home that is in hostile hands and holds the
//! configuration's key decides. So does whoever can write to the directory `authority/` of a site, for that site.
//!
//! **The port.** Who can cut a site off from the one that leads, and make its copy old or its register's probe fail, shuts
//! its port: consumers then go elsewhere, which is what they should do. The probe's path answers whoever reaches it; it
//! should be cheap, and say nothing but that it is well. `GET /x-road-cont/state` tells every server of the instance who
//! leads, and how old copies are; what a door says there is a hint, and a lie in it costs a consumer one attempt.
//!
//! **Reads and writes.** An OpenAPI document whose `x-continuity` calls a write a read sends writes to a copy, once an operator
//! has taken it over with `saatkond services`, at that site. What the instance declares stands above it.
