//! When a call goes to another of the provider's gateways, and when it may not.
//!
//! A provider may be served by several gateways: its own at home, and others elsewhere, its embassies. For the one who
//! asks these are *doors*, one for each security server that the global configuration lists for the provider.
//!
//! Where the instance's policy names a provider as a *register* with *sites*, the second section holds; for every other
//! provider the first.
//!
//! # In which order doors are tried
//!
//! `order` under `[peers]` in `gateway.toml` decides (`consumer/resolve.rs`):
//!
//! - `given`: as `doors` prefers, those that it does not name behind, as the global configuration lists them. A door that
//!   failed a moment ago is tried last, for five seconds. Each door has the head start of `head_start` before the next is
//!   tried beside it; the first to take the connection is taken, and one that lost its head start counts as failed.
//! - `fastest`: all at once, and the one that connects first is taken; for `fastest_kept` it is then given five seconds
//!   alone before the others are tried. This is X-Road's own rule.
//!
//! A door is in the race only until the connection stands. What happens when it then fails is the rule below, whatever the
//! order. Servers in maintenance are left out. A call that names a server (`X-Road-Security-Server`) goes there and nowhere
//! else. Names are looked up again each half minute; when that fails or is slow, addresses that were told before, and those
//! where a gateway proved who it is, go on to serve (`net/names.rs`).
//!
//! # Registers with sites
//!
//! The rules are state machines without a clock ([`saatkond_proto::continuity`]: `health`, `route`, `doors`); `embassy/doors.rs` drives
//! them. What a gateway believes, and why, `saatkond sites` tells.
//!
//! **Health.** Four times a second each door of a register that was called in the last five minutes is asked how it is
//! (`GET /x-road-cont/state` on the server port, over the connections of messages; `embassy/probe.rs`). One of our gateways
//! says who leads the register, how old its copy is and whether it would answer; of a plain server any HTTP answer counts.
//! That is a hint: it decides where a call is brought first and nothing else. A door is *silent* when nothing was heard for
//! longer than it ever takes (an accrual detector: 650 ms for a door that answers regularly), *not reached* after two refused
//! connections. Calls count, too: three failures in a row keep reads, or writes, of that register away from that door, as
//! long as there is another; one each second tries. What a provider's gateway or a SOAP service says of a write is its answer
//! and no failure.
//!
//! **Reads** go to the sites with a copy, by their shares, or all to the first of the succession. What a site cannot take
//! because its doors are down spills to the next in order. A site that is down leaves at once; it comes back after twenty
//! seconds at the soonest, when it has been well for five without a break, later if it relapses (well for twenty, then
//! doubling): since it first left it has changed once, and at most once more for each ten seconds that passed, whatever its
//! link does. Silence that was suspicious does not teach the detector patience, so a link that comes and goes is never
//! taken for one that is well. A read does not wait for a door that is lost, or slower than it ever is (the usual time and four deviations, at
//! least 250 ms): the next door is asked beside it, and the first answer that holds counts. When nothing is up, one call each
//! second tries and the others are told so at once.
//!
//! **Writes** go to the site that leads, which is what the highest token among the hints says, or the first of the succession,
//! and nowhere else: when it is not reached the caller is told that nothing was sent. A door that is lost before the
//! signature has left ends the call at once, untouched; after that, five seconds later, as `outcome_unknown`.
//!
//! **Second attempts** of both kinds come out of a budget for each register: a fifth of its calls of ten seconds, and a
//! hundred. `saatkond sites pin REGISTER SITE` sends reads by hand to one site first; when that is down the others answer,
//! and writes are not moved.
//!
//! # The rule
//!
//! The signature is the last part of a message, and no conforming provider acts on a message without it. So:
//!
//! 1. Until the first byte of the signature part is handed to TLS, **any** call may go to another door: nothing was
//!    executed. This covers doors that are shut, that do not answer, that fail the handshake, that are not who they must be,
//!    and connections that break while the body is sent.
//! 2. After that, without an answer that holds, only **reads** may go on: what the register's provider declared to be one,
//!    by whatever method or by SOAP, else GET, HEAD and OPTIONS. Asking twice does no harm.
//!    Any other call ends. Where the connection broke or the answer did not come, its caller is told `outcome_unknown`: the
//!    call may have been executed or not, and this gateway never repeats it.
//! 3. A fault of the provider's gateway is unsigned, so it is only the word of the TLS peer. A read goes on to another
//!    door, unless the fault is one that every door would tell, as the fault of a SOAP service is; a write does not: its caller is told the fault. One word moves
//!    a write: a **signed** answer with status 503 whose `X-Road-Error` ends in `continuity.not_authority` says that nothing was
//!    executed and names the site that leads (`X-Road-Cont-Retry`). To that the write goes, once, with the same bytes; the
//!    refusal is recorded before.
//!
//! `consumer/send.rs` holds this rule and nothing else does. Every door is sent the same bytes under the same signature
//! and the same `x-road-request-id`; the call is signed and recorded once.
//!
//! SOAP messages count among everything else: what a service does with one cannot be seen from outside. One that the
//! provider declares a read is brought to any copy, and still not asked twice.
//!
//! | what failed | GET, HEAD, OPTIONS | everything else |
//! |---|---|---|
//! | no connection, no handshake, a peer that is not who it must be | next door | next door |
//! | the connection broke before the signature part | next door | next door |
//! | it broke after, or no answer came within `timeouts.answer` | next door | `outcome_unknown` |
//! | an answer whose signature does not hold, or that answers something else | next door | told as it is; whether it was executed is not known either |
//! | after the signature, a fault: access denied, unknown service, wrong type of service, invalid request | told as it is | told as it is |
//! | after the signature, any other fault | next door | told as it is |
//! | a signed refusal by a door that does not lead the register | that is the answer | the site it names, once |
//! | any other signed answer, whatever its status | that is the answer | that is the answer |
//!
//! When no door is left the caller is told what the last one that said anything said.
//!
//! # What a caller does with `outcome_unknown`
//!
//! The header `X-Road-Error` ends in it. Ask, with a read, whether the change is there; then decide whether to send it
//! again. A service whose writes carry a key by which it knows a repetition makes this easy. Do not repeat blindly: that is
//! what the gateway refuses to do in your name.
//!
//! # The last step
//!
//! Between the provider's gateway and its service (`provider/forward.rs`) a call is made once. Only when a kept connection
//! turns out to have ended is a new one tried, and then only for GET, HEAD and OPTIONS, or when nothing had been written
//! to it.
