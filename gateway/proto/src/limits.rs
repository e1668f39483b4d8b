//! Every bound a stranger can push against, in one table: the unit ends the name, the reason stands beside it.

/// Bytes of one part's header lines together. Seen: mime4j in X-Road 7.8 takes 10,000 characters a header.
pub const PART_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all attachments' header lines of one message, which are kept to its end: 400 for each of the most there may be.
pub const PART_HEADS_BYTES_MAX: usize = 400 * ATTACHMENTS_MAX;
/// Bytes of a MIME boundary. Spec: RFC 2046 5.1.1.
pub const BOUNDARY_BYTES_MAX: usize = 70;
/// Bytes of white space behind a boundary on its line; nobody sends any, RFC 2046 5.1.1 allows them.
pub const BOUNDARY_PADDING_BYTES_MAX: usize = 64;
/// Bytes of text before the first and between nested and outer boundary; X-Road sends one line end.
pub const PREAMBLE_BYTES_MAX: usize = 4 * 1024;
/// OCSP response parts in one message; a chain has at most [`CHAIN_CERTS_MAX`] certificates, some peers repeat one.
pub const OCSP_PARTS_MAX: usize = 16;
/// Bytes of one OCSP response; real ones have 1–4 KB with the responder's certificate inside.
pub const OCSP_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the REST block. Seen: Jetty in X-Road 7.8 takes a request head of 8 KiB; the service's answer may have more.
pub const BLOCK_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a SOAP envelope kept in memory.
pub const ENVELOPE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a SOAP fault; a text, not a data channel.
pub const FAULT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a signature document: certificates and OCSP responses of a chain, base64.
pub const SIGNATURE_BYTES_MAX: usize = 512 * 1024;
/// Signature documents remembered as good: those of batches under way, 8–12 KB each.
pub const SIGNATURES_KEPT_MAX: usize = 256;
/// Signers' certificates with their OCSP responses remembered as good: those who call often, 3–6 KB each.
pub const CREDENTIALS_KEPT_MAX: usize = 1024;
/// Bytes of a hash chain or hash chain result: X-Road 7.8 writes about 200 for each of [`HASH_STEP_VALUES_MAX`] parts.
pub const HASH_CHAIN_BYTES_MAX: usize = 256 * HASH_STEP_VALUES_MAX;
/// Steps in a hash chain; a batch of 2^32 messages has 32.
pub const HASH_CHAIN_STEPS_MAX: usize = 64;
/// Values in one hash step: parts of one message.
pub const HASH_STEP_VALUES_MAX: usize = 10_001;
/// Attachments of one message.
pub const ATTACHMENTS_MAX: usize = 10_000;
/// Certificates in a path, the anchor not counted.
pub const CHAIN_CERTS_MAX: usize = 8;
/// Bytes of one certificate.
pub const CERT_BYTES_MAX: usize = 64 * 1024;
/// Certificates from which a path is sought: a peer's or a signature's, the leaf among them.
pub const CHAIN_CANDIDATES_MAX: usize = 32;
/// Certificate signatures verified in search of one path; certificates of one name must not multiply the work.
pub const CHAIN_SIGNATURES_MAX: usize = 64;
/// Attributes in one distinguished name.
pub const NAME_ATTRIBUTES_MAX: usize = 64;
/// Certificates inside one OCSP response: the responder's, perhaps with its chain.
pub const OCSP_CERTS_MAX: usize = 8;
/// Certificates tried as the signer of one OCSP response.
pub const OCSP_SIGNERS_MAX: usize = 16;
/// Certificates asked about in one OCSP request.
pub const OCSP_QUESTIONS_MAX: usize = 16;
/// Bytes of an OCSP nonce. Spec: RFC 9654 2.1, with its header.
pub const OCSP_NONCE_BYTES_MAX: usize = 136;
/// Seconds that an OCSP response's `thisUpdate` may lie ahead of our clock: two clocks kept by NTP, and room to spare.
pub const OCSP_AHEAD_SECS_MAX: u64 = 300;
/// Nesting of a time-stamp token: BER is brought to DER by a function that calls itself.
pub const TIMESTAMP_DEPTH_MAX: usize = 32;
/// Octets of a time-stamp's nonce or serial number; RFC 3161 wants 160 bits of serial numbers.
pub const TIMESTAMP_INTEGER_BYTES_MAX: usize = 64;
/// Bytes of a signed configuration directory.
pub const DIRECTORY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one configuration part; a large state's shared parameters have about 20 MB.
pub const CONFIGURATION_PART_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a configuration anchor.
pub const ANCHOR_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a time-stamp response.
pub const TIMESTAMP_BYTES_MAX: usize = 128 * 1024;
/// Bytes of one entry of an ASiC container other than an attachment.
pub const CONTAINER_ENTRY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries of an ASiC container.
pub const CONTAINER_ENTRIES_MAX: usize = ATTACHMENTS_MAX + 32;
/// Bytes of one attachment in an ASiC container. Spec: message-path §6.2, the largest body a message log keeps.
pub const CONTAINER_ATTACHMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes that all entries of an ASiC container unpack to.
pub const CONTAINER_UNPACKED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of a container inside a message log archive. Spec: message-path §6.6, archives rotate at 32 MiB.
pub const ARCHIVED_CONTAINER_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Bytes of an archive's `linkinginfo`: 129 and a name for each container.
pub const LINKING_INFO_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of an ASiC manifest: it lists one object.
pub const ASIC_MANIFEST_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a zip file, an entry or an offset: beyond it zip needs its 64-bit forms, which are not read.
pub const ZIP_BYTES_MAX: u64 = 0xffff_fffe;
/// Bytes of a zip file's directory: 65,535 entries of 255-byte names would be 20 MB, real ones have a tenth.
pub const ZIP_DIRECTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of a zip entry's name. Seen: X-Road 7.8 cuts names in archives to 255.
pub const ZIP_NAME_BYTES_MAX: usize = 255;
/// Characters `<` and `=` in a document that is read whole: as many elements, attributes, comments and instructions it may
/// have. Measured: roxmltree takes 72 bytes for each and as much for the text behind it, and up to twice that while it
/// reads: 312 MB for a document of nothing else, for as many documents at once as there are threads. Ours: one every
/// 33 bytes of the largest envelope.
pub const XML_MARKS_MAX: usize = 1_000_000;
/// The same in a configuration part, which an authority signed: one every 20 bytes.
pub const CONFIGURATION_MARKS_MAX: usize = CONFIGURATION_PART_BYTES_MAX / 20;
/// Element nesting in a document that is read whole.
pub const XML_DEPTH_MAX: usize = 64;
/// Attributes on one element.
pub const XML_ATTRIBUTES_MAX: usize = 64;
/// Namespace declarations in scope at once: roxmltree is quadratic in them.
pub const XML_NAMESPACES_MAX: usize = 32;
/// Bytes of an element's or attribute's name.
pub const XML_NAME_BYTES_MAX: usize = 256;
/// Parts of a signed configuration directory: one of shared parameters for each instance, and a handful of others.
pub const DIRECTORY_PARTS_MAX: usize = 1024;
/// Bytes of an order of authority: seven short lines and a signature.
pub const ORDER_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a relay note: a certificate in base64, and little else.
pub const NOTE_BYTES_MAX: usize = 2 * CERT_BYTES_MAX;
/// Seconds that a relay note may be old, or lie ahead of our clock: it is signed once the whole message is in.
pub const NOTE_SECS_MAX: u64 = 300;
/// Bytes of the part that says which sites there are: a thousand registers with a few declarations each.
pub const CONTINUITY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Sites of one instance; embassies are counted in ones.
pub const CONTINUITY_SITES_MAX: usize = 64;
/// Registers of one instance; each message looks for its own among them.
pub const CONTINUITY_REGISTERS_MAX: usize = 1024;
/// Declarations of one register; each of its messages looks for its own among them.
pub const CONTINUITY_SERVICES_MAX: usize = 1024;
/// Servers at one site.
pub const CONTINUITY_SERVERS_MAX: usize = 1024;
/// Addresses of one site's own listener.
pub const CONTINUITY_RELAYS_MAX: usize = 8;
/// Operators who may order a change of authority.
pub const CONTINUITY_OPERATORS_MAX: usize = 64;
/// Bytes of the name of a site or an operator.
pub const CONTINUITY_NAME_BYTES_MAX: usize = 64;
/// Seconds that a span of the part may have: a year.
pub const CONTINUITY_SECS_MAX: u64 = 366 * 86_400;
/// Bytes of a WSDL or OpenAPI document. Seen: X-Road 7.8 `OpenApiParser.java`, `WsdlParser.java`.
pub const DESCRIPTION_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Nesting of a JSON or YAML document; schemas nest some dozen.
pub const DESCRIPTION_DEPTH_MAX: usize = 100;
/// Values of a JSON or YAML document: ten bytes each in one as large as is read.
pub const DESCRIPTION_VALUES_MAX: usize = DESCRIPTION_BYTES_MAX / 10;
/// Operations of one WSDL at all of its ports, or of one OpenAPI document.
pub const DESCRIPTION_OPERATIONS_MAX: usize = 20_000;
/// Calls of a site that are remembered so that they are not executed twice: a thousand a second for an hour.
pub const CALLS_REMEMBERED_MAX: usize = 4_000_000;
