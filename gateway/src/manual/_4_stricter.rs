//! What X-Road 7.8 lets pass and we refuse, and why.
//!
//! What X-Road 7.8 writes we take, byte for byte as its servers write it. What follows is what its *verifiers* take
//! besides, which no server of its own writes. Each is refused for one reason: two readers could see two different things
//! in the same bytes, or a proof would prove less than it seems to. The rule is kept in one place each; the module says
//! the same beside the code, and has a test for it.
//!
//! # Signatures ([`saatkond_proto::signature`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | a signature that does not cover the message; parts that it does not cover | whatever is not covered can be exchanged under way |
//! | a hash chain beside a signature that is not made over it | it looks like a proof and is none |
//! | transforms on a reference to a part | a transform decides what is digested: the bytes that are forwarded must be the bytes that are signed |
//! | two `ds:Signature` in the document, an element with another's Id, signed properties that are not the ones referred to | which of them was verified? |
//! | a DOCTYPE in signature or hash chain | entities make two documents out of one, and small ones large |
//! | no `SigningCertificate` property, or one with another certificate's digest | the signature must say under which certificate it was made |
//! | SHA-1 in references, digests and signatures | two documents can be made to have the same SHA-1 |
//! | ECDSA values longer than two fields | one signature must have one form |
//! | a signer whose authority is approved for authentication only | that is what `authentication_only` says |
//! | hash chains without bounds, or with steps that name themselves | a small document must not cost much ([`saatkond_proto::signature::batch`]) |
//!
//! One weakness lies in the format itself and stays: leaves and inner values of a hash chain are hashed alike, so a part
//! whose bytes are the DER of a digest list can pass for a step.
//!
//! # Certificates and their status ([`saatkond_proto::trust`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | OCSP responses with bytes behind them, or with critical extensions that are not understood | what is not understood may change what the rest means |
//! | a `thisUpdate` in the future, however far | such a response would be fresh for as long as one likes; we allow five minutes of clock difference |
//! | a delegated responder whose certificate had ended before `thisUpdate` | a key that leaked after its certificate's end would be worth something |
//! | time-stamps over SHA-1 or SHA-224, and from certificates that were not valid at the time stated | a time-stamp must outlive the argument about it |
//! | two values for the attribute of a subject that names the member | which of them is the member? |
//! | a self-signed certificate, imported for a key of our own | nobody else would take what it signs |
//!
//! An approved authority is trusted as it is listed, in X-Road as here: neither its own validity nor its extensions are
//! looked at. What is below it is.
//!
//! # Messages on the wire ([`saatkond_proto::transport`], [`saatkond_proto::message`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | a multipart that breaks off, or goes on behind the signature | an attacker who cuts a message must not choose what is left of it |
//! | a line that merely begins like a boundary | readers differ on where the part ends |
//! | lone CR or LF and control characters in a REST block | the service could read other headers than were judged |
//! | another `x-road-request-id` in the HTTP header than in the block | the log would name another exchange than the signature does |
//! | a message that names another security server | it was routed here against its sender's word |
//! | paths with empty segments, dot segments with parameters, an encoded `\\` or `%`, or that lead above the service's root | rights are judged by one path, and the service may read another ([`saatkond_proto::message::endpoint`]) |
//! | the whole body, before rights are judged | a stranger must not fill our disk |
//!
//! # SOAP envelopes ([`saatkond_proto::message::soap`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | two Body elements, a Header behind the Body, anything behind the Body | which of them does the service read? |
//! | an identifier with a field that is empty, or that its type does not have | rights are judged by it |
//! | an encoding other than UTF-8, UTF-16, ISO-8859-1, or ASCII in one that contains it | two decoders could read two texts |
//!
//! Neither is an attachment looked into: nothing is decoded, no XOP include is followed. Into a service's answer we put `requestHash` and leave every other byte as it came, where X-Road writes the document
//! anew; a `requestHash` that the service sent is taken out whole.
//!
//! Of several `X-Road-Client` headers the service is given only the one whose rights were judged.
//!
//! # Descriptions of services ([`saatkond_proto::message::meta::addresses`])
//!
//! | X-Road 7.8 gives away | we do not, because |
//! |---|---|
//! | the address of a WSDL's SOAP 1.2 or HTTP port | it is one inside the provider's network, as that of a SOAP 1.1 port is |
//! | the servers of single paths and operations of an OpenAPI document | the same |
//! | a server that is an alias in YAML, as the alias's name | it would be wrong, and following it would say the address elsewhere |
//! | a document of another kind than OpenAPI 3 | in Swagger 2 the address stands in other places |
//! | the description's own address, in a fault | the same |
//!
//! Where it writes a description anew, all but addresses stays here as the service wrote it. A server with variables stays
//! as it is in both.
//!
//! # Global configuration ([`saatkond_proto::globalconf`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | SHA-1 and MD5 digests of parts | they bind nothing |
//! | text before the first or after the last part of the directory, a header twice | a second reading |
//! | a stored part without an expiry date, as good for ever | a configuration without an end is one that nobody can take back |
//!
//! # Containers ([`saatkond_proto::container`])
//!
//! | X-Road 7.8 takes | we refuse it, because |
//! |---|---|
//! | attachments that are altered, or more of them than were signed | a court would be shown them beside a signature that holds |
//! | an entry twice, a directory that says other things than the entries, a truncated file, bytes between entries | zip readers differ in whom they believe |
//!
//! # XML, everywhere ([`saatkond_proto::xml`])
//!
//! All XML passes one gate first, which refuses a DOCTYPE, deep nesting, very many attributes or namespaces, and long
//! names; only then is it parsed. Every bound that a stranger can push against stands in [`saatkond_proto::limits`] with
//! its reason.
//!
//! # Descriptions of services ([`saatkond_proto::message::description`], [`crate::net::description`])
//!
//! | X-Road 7.8 | we |
//! |---|---|
//! | trusts whatever TLS certificate shows up where a description is read, and follows redirects | want one of the client's, and follow none |
//! | takes a name twice in one map of an OpenAPI document, and the last counts | refuse it: readers differ |
//! | takes one or the other of two ports that offer an operation at two addresses | take the first, and say so |
//! | refuses OpenAPI 3.1.1 and later | read every 3.1.x, and say so |
//!
//! # TLS between gateways ([`crate::net::tls`])
//!
//! Gateways of this kind speak TLS 1.3 with each other and nothing else. Unmodified X-Road 7 servers speak TLS 1.2 with
//! `ECDHE_RSA` or `ECDHE_ECDSA` and `AES_256_CBC_SHA384`; with `tls.stock_peers = true` they are met, on the way between
//! gateways only, and whatever is better goes before. A peer turned away for want of the switch leaves a log line that
//! names it.
//!
//! | X-Road 7.8 | we |
//! |---|---|
//! | offers and takes `DHE_RSA_WITH_AES_256_CBC_SHA256` | do not: who has it has an ECDHE suite, too |
//! | ends CBC records in whatever way its Java does | open them in time that does not depend on what is in them (`net/cbc.rs` says how, and how to look) |
//! | renegotiates | never |
//! | does without the extended master secret (RFC 7627) when a peer has none | do not: its own Java always has it |
//! | answers alert 40 when no certificate is shown, 70 to TLS 1.1 | answer 116, in TLS 1.2 as well, and 40 |
//! | keeps sessions for 10 minutes | for 12 hours; a resumed session is asked for no certificate, and each of its messages is |
//!
//! What two real servers were recorded to say in a handshake is played to our port, and each difference is listed
//! with its reason (folder `tests/tests/recorded/tls`).
