//! Every error code a gateway may utter, and the faults that carry them.
//!
//! Spec: message-path §1.6 (vocabulary and composition), §1.4.5 and §1.5.5 (what an information system sees).
//! A code is `origin.(sub-prefix.)*leaf` in lower snake case since 7.8. Codes that came from a peer are carried
//! opaque, in whichever spelling.

use roxmltree::Node;
use std::error::Error;
use std::fmt;

/// The last word of a code: what is wrong. Seen: X-Road 7.8 `ErrorCodes.java`.
macro_rules! leaves {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// The last word of a code: what is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Leaf { $($(#[doc = $doc])* $name,)* }

        impl Leaf {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands on the wire.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

leaves! {
    /// A call that was brought before is not executed again: it may have been executed. Ours.
    AlreadyExecuted = "continuity.already_executed",
    /// The requesting client may not call this.
    AccessDenied = "access_denied",
    /// A container holds no readable part that it must hold.
    AsicHashChainNotFound = "asic_hash_chain_not_found",
    /// As above, for the result.
    AsicHashChainResultNotFound = "asic_hash_chain_result_not_found",
    /// The container's type is wrong.
    AsicInvalidMimeType = "asic_invalid_mime_type",
    /// The container has no message.
    AsicMessageNotFound = "asic_message_not_found",
    /// The container has no type.
    AsicMimeTypeNotFound = "asic_mime_type_not_found",
    /// The container has no signature.
    AsicSignatureNotFound = "asic_signature_not_found",
    /// The request of the information system is not one.
    BadRequest = "bad_request",
    /// No path from a certificate to an approved authority.
    CannotCreateCertPath = "cannot_create_cert_path",
    /// The message could not be signed.
    CannotCreateSignature = "cannot_create_signature",
    /// A certificate's status is not good.
    CertValidation = "cert_validation",
    /// The peer's version is older than this server takes.
    ClientProxyVersionNotSupported = "client_proxy_version_not_supported",
    /// A register's class forbids it at this site. Ours.
    ClassForbidden = "continuity.class_forbidden",
    /// A SOAP header has a field twice.
    DuplicateHeaderField = "duplicate_header_field",
    /// The global configuration has expired.
    GlobalConfOutdated = "global_conf_outdated",
    /// A hash chain has parts that it does not use.
    HashchainUnusedInputs = "hashchain_unused_inputs",
    /// The peer or service answered with an HTTP status that is none of an answer's.
    HttpError = "http_error",
    /// The SOAP body is not for the service that the header names.
    InconsistentHeaders = "inconsistent_headers",
    /// Answer and request do not belong together.
    InconsistentResponse = "inconsistent_response",
    /// A certificate is not the one expected.
    IncorrectCertificate = "incorrect_certificate",
    /// An OCSP response does not hold.
    IncorrectValidationInfo = "incorrect_validation_info",
    /// Anything else.
    InternalError = "internal_error",
    /// A SOAP body has not exactly one element.
    InvalidBody = "invalid_body",
    /// A certificate path does not hold.
    InvalidCertPath = "invalid_cert_path",
    /// The client identifier is missing or wrong.
    InvalidClientIdentifier = "invalid_client_identifier",
    /// The content type is not one of a message.
    InvalidContentType = "invalid_content_type",
    /// A hash chain does not lead to its result.
    InvalidHashChain = "invalid_hash_chain",
    /// A hash chain names something with another digest.
    InvalidHashChainRef = "invalid_hash_chain_ref",
    /// The HTTP method is not one of this port.
    InvalidHttpMethod = "invalid_http_method",
    /// The message is not one.
    InvalidMessage = "invalid_message",
    /// A SOAP message is of another version of the protocol than 4.
    InvalidProtocolVersion = "invalid_protocol_version",
    /// A reference leads nowhere.
    InvalidReference = "invalid_reference",
    /// The request is not one.
    InvalidRequest = "invalid_request",
    /// The security server named is not one of the provider's.
    InvalidSecurityServer = "invalid_security_server",
    /// A signature value does not hold.
    InvalidSignatureValue = "invalid_signature_value",
    /// The SOAP message is not one.
    InvalidSoap = "invalid_soap",
    /// `SOAPAction` is no URI in quotes.
    InvalidSoapAction = "invalid_soap_action",
    /// The document is not well-formed or not allowed.
    InvalidXml = "invalid_xml",
    /// A connection broke.
    IoError = "io_error",
    /// The message log did not take the record.
    LoggingFailed = "logging_failed",
    /// The server is in maintenance mode.
    MaintenanceMode = "maintenance_mode",
    /// A hash chain is not one.
    MalformedHashChain = "malformed_hash_chain",
    /// A signature is not one.
    MalformedSignature = "malformed_signature",
    /// A multipart message is not one.
    MimeParsingFailed = "mime_parsing_failed",
    /// A SOAP envelope has no body.
    MissingBody = "missing_body",
    /// A SOAP envelope has no header.
    MissingHeader = "missing_header",
    /// A SOAP header lacks a field that must be there.
    MissingHeaderField = "missing_header_field",
    /// A REST message is missing.
    MissingRest = "missing_rest",
    /// The signature is missing.
    MissingSignature = "missing_signature",
    /// A SOAP message is missing.
    MissingSoap = "missing_soap",
    /// The message was handed over whole, and no verified answer came: whether it took effect is not known.
    ///
    /// Ours: X-Road says `network_error` or `io_error` here, which callers cannot tell from a call that never left.
    OutcomeUnknown = "outcome_unknown",
    /// Another site leads the register, and is not reached from here: nothing was executed. Ours.
    NotAuthority = "continuity.not_authority",
    /// A server or service could not be reached.
    NetworkError = "network_error",
    /// Nothing of what was asked for is there.
    NotFound = "not_found",
    /// No time-stamping service is configured.
    NoTimestampingProviderFound = "no_timestamping_provider_found",
    /// The service is switched off.
    ServiceDisabled = "service_disabled",
    /// Decoding a message or calling a service failed.
    ServiceFailed = "service_failed",
    /// The service's address is not one.
    ServiceMalformedUrl = "service_malformed_url",
    /// A REST call of a SOAP service, or the reverse.
    ServiceType = "service_type",
    /// A signature does not hold.
    SignatureVerification = "signature_verification",
    /// The TLS peer is not who it must be.
    SslAuthenticationFailed = "ssl_authentication_failed",
    /// A copy of a register is older than the reader or the register allows. Ours.
    StalenessExceeded = "continuity.staleness_exceeded",
    /// Time-stamping has been failing for too long.
    TimestampingFailed = "timestamping_failed",
    /// A time-stamp's signer is not approved.
    TspCertificateNotFound = "mlog.tsp_certificate_not_found",
    /// A time-stamp's signature does not hold.
    TimestampSignerVerificationFailed = "mlog.timestamp_signer_verification_failed",
    /// The host name does not resolve.
    UnknownHost = "unknown_host",
    /// The member or subsystem is not registered.
    UnknownMember = "unknown_member",
    /// The service does not exist.
    UnknownService = "unknown_service",
}

/// Who speaks: the first word of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The information system's own message is bad (SOAP only).
    Client,
    /// The consumer's gateway.
    ClientProxy,
    /// The provider's gateway.
    ServerProxy,
}

impl Origin {
    /// As it stands on the wire. Spec: message-path §1.6.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ClientProxy => "server.clientproxy",
            Self::ServerProxy => "server.serverproxy",
        }
    }
}

/// A fault code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Code {
    /// One of ours: the words between origin and leaf, then the leaf.
    Ours {
        /// Sub-prefixes, outermost first.
        under: Vec<Leaf>,
        /// What is wrong.
        leaf: Leaf,
    },
    /// A peer's or a service's, carried unchanged.
    Foreign(String),
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// This gateway's, or its information system's as a caller.
    Ours,
    /// The other gateway's.
    Peer,
    /// The service's.
    Service,
}

/// Whether the call may be tried at another door. Ours: one rule for the whole product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The signature part had not left: nothing was executed.
    Untouched,
    /// The call may have been executed.
    Unknown,
    /// Another door would say the same.
    Pointless,
}

/// A failed exchange: what a stranger sees, and what the log sees.
#[derive(Debug)]
pub struct Fault {
    /// The code.
    pub code: Code,
    /// Whose fault it is.
    pub side: Side,
    /// Whether another door may be tried.
    pub retry: Retry,
    /// What a stranger is told: no secret, no path of this machine.
    pub detail: String,
    /// The detail of a peer's fault, which names the line in the peer's log.
    pub peer_detail: Option<String>,
    /// The fault that a peer or service told us, whole.
    pub told: Option<Box<SoapFault>>,
    /// What the log is told besides.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Code {
    /// A code of ours with nothing between origin and leaf.
    #[must_use]
    pub const fn of(leaf: Leaf) -> Self {
        Self::Ours { under: Vec::new(), leaf }
    }

    /// The same code with one more word in front, unless it is there already or the code is foreign.
    #[must_use]
    pub fn under(self, prefix: Leaf) -> Self {
        match self {
            Self::Ours { mut under, leaf } => {
                if under.first() != Some(&prefix) {
                    under.insert(0, prefix);
                }
                Self::Ours { under, leaf }
            }
            foreign @ Self::Foreign(_) => foreign,
        }
    }

    /// As it stands on the wire when `origin` utters it.
    #[must_use]
    pub fn text(&self, origin: Origin) -> String {
        match self {
            Self::Ours { under, leaf } => {
                let mut words = vec![origin.text()];
                words.extend(under.iter().map(|l| l.text()));
                words.push(leaf.text());
                words.join(".")
            }
            Self::Foreign(text) => text.clone(),
        }
    }
}

impl Fault {
    /// A fault of this gateway that another door would not change.
    #[must_use]
    pub fn new(leaf: Leaf, detail: impl Into<String>) -> Self {
        Self {
            code: Code::of(leaf),
            side: Side::Ours,
            retry: Retry::Pointless,
            detail: detail.into(),
            peer_detail: None,
            told: None,
            source: None,
        }
    }

    /// A fault that a peer or service told us.
    #[must_use]
    pub fn foreign(side: Side, fault: SoapFault) -> Self {
        Self {
            code: Code::Foreign(fault.code.clone()),
            side,
            retry: Retry::Unknown,
            detail: fault.string.clone(),
            peer_detail: fault.detail.clone(),
            told: Some(Box::new(fault)),
            source: None,
        }
    }

    /// With one more word in front of the leaf.
    #[must_use]
    pub fn under(mut self, prefix: Leaf) -> Self {
        self.code = self.code.under(prefix);
        self
    }

    /// With the side that is at fault.
    #[must_use]
    pub const fn at(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// With what another door could change.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// With the error that caused it, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// A SOAP fault as gateways exchange it, REST exchanges included, or a service's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoapFault {
    /// `faultcode`.
    pub code: String,
    /// `faultstring`.
    pub string: String,
    /// `faultactor`.
    pub actor: Option<String>,
    /// Text inside `detail`.
    pub detail: Option<String>,
    /// What stands inside a service's `detail`, as XML that needs nothing around it; `None` where the text is all.
    pub inside: Option<String>,
}

/// Namespace of a SOAP 1.1 envelope. Spec: SOAP 1.1 §4.
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

impl SoapFault {
    /// A fault as gateways utter it.
    #[must_use]
    pub fn new(code: impl Into<String>, string: impl Into<String>, detail: Option<String>) -> Self {
        let (code, string, actor) = (code.into(), string.into(), Some(String::new()));
        Self { code, string, actor, detail, inside: None }
    }

    /// Writes the fault's document: one line, no white space between elements. Seen: message-path §1.5.5.
    #[must_use]
    pub fn to_xml(&self) -> String {
        use crate::xml::escape;
        let inside = self.inside.clone().or_else(|| {
            self.detail.as_ref().map(|d| format!("<faultDetail xmlns=\"\">{}</faultDetail>", escape(d)))
        });
        let detail = inside.map_or(String::new(), |inside| format!("<detail>{inside}</detail>"));
        let actor = self
            .actor
            .as_ref()
            .map_or(String::new(), |actor| format!("<faultactor>{}</faultactor>", escape(actor)));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP}\"><SOAP-ENV:Body>\
             <SOAP-ENV:Fault><faultcode>{}</faultcode><faultstring>{}</faultstring>{actor}{detail}</SOAP-ENV:Fault>\
             </SOAP-ENV:Body></SOAP-ENV:Envelope>",
            escape(&self.code),
            escape(&self.string),
        )
    }

    /// Reads a fault's document; `None` for a document that is no SOAP fault.
    ///
    /// # Errors
    /// [`crate::xml::XmlError`] for one that is not read at all.
    pub fn from_xml(bytes: &[u8]) -> Result<Option<Self>, crate::xml::XmlError> {
        use crate::xml::{admit, text};
        let document = admit(text(bytes)?, crate::limits::FAULT_BYTES_MAX)?;
        Ok(Self::from_envelope(document.root_element()))
    }

    /// Reads the fault inside an envelope; `None` for an element that is none, or holds none.
    ///
    /// What stands inside `detail` is dropped, but for its text, when it would fill much of what a fault may have.
    #[must_use]
    pub fn from_envelope(envelope: Node<'_, '_>) -> Option<Self> {
        use crate::xml::{child, elements, escape, is, standalone, text_of};
        let fault = child(envelope, SOAP, "Body").and_then(|body| child(body, SOAP, "Fault"));
        let fault = fault.filter(|_| is(envelope, SOAP, "Envelope"))?;
        let field = |name| elements(fault).find(|n| n.tag_name().name() == name);
        let code = text_of(field("faultcode")?).trim().to_owned();
        let told = field("detail");
        let text = told.map(|d| elements(d).next().map_or_else(|| text_of(d), text_of));
        let inside = told.map(|d| {
            let children: Vec<_> = elements(d).collect();
            match children.as_slice() {
                [only] if is(*only, "", "faultDetail") && elements(*only).next().is_none() => String::new(),
                [] => escape(text_of(d).trim()),
                children => children.iter().map(|c| standalone(*c)).collect(),
            }
        });
        Some(Self {
            code,
            string: field("faultstring").map(text_of).unwrap_or_default(),
            actor: field("faultactor").map(text_of),
            detail: text.filter(|d| !d.trim().is_empty()),
            inside: inside.filter(|i| !i.is_empty() && i.len() <= crate::limits::FAULT_BYTES_MAX / 2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_composed_from_origin_to_leaf() {
        let code = Code::of(Leaf::InvalidHashChain)
            .under(Leaf::MalformedSignature)
            .under(Leaf::SignatureVerification);
        assert_eq!(
            code.text(Origin::ServerProxy),
            "server.serverproxy.signature_verification.malformed_signature.invalid_hash_chain"
        );
        assert_eq!(code.clone().under(Leaf::SignatureVerification), code);
        let foreign = Code::Foreign("Server.ServerProxy.AccessDenied".into()).under(Leaf::ServiceFailed);
        assert_eq!(foreign.text(Origin::ClientProxy), "Server.ServerProxy.AccessDenied");
    }

    #[test]
    fn faults_survive_the_wire() {
        let string = "no <rights> & \"such\"\r\n";
        let fault = SoapFault::new("server.serverproxy.access_denied", string, Some("5e5c".into()));
        assert_eq!(SoapFault::from_xml(fault.to_xml().as_bytes()), Ok(Some(fault)));
    }

    #[test]
    fn a_services_detail_needs_nothing_around_it() {
        let said = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:a='urn:a'><s:Body><s:Fault>\
            <faultcode>s:Client</faultcode><faultstring>no</faultstring><faultactor>land</faultactor>\
            <detail> <code b='&lt;1' a:c=\"2\">42</code><a:x><y/>&amp;</a:x></detail></s:Fault></s:Body></s:Envelope>";
        let fault = SoapFault::from_xml(said.as_bytes()).unwrap().unwrap();
        assert_eq!(fault.actor.as_deref(), Some("land"));
        let inside = "<code b=\"&lt;1\" xmlns:a1=\"urn:a\" a1:c=\"2\">42</code><x xmlns=\"urn:a\"><y xmlns=\"\"></y>&amp;</x>";
        assert_eq!(fault.inside.as_deref(), Some(inside));
        assert_eq!(SoapFault::from_xml(fault.to_xml().as_bytes()), Ok(Some(fault)));
        let plain = said.replace("<code", "<!--").replace("</a:x>", "-->plain");
        let fault = SoapFault::from_xml(plain.as_bytes()).unwrap().unwrap();
        assert_eq!((fault.detail.as_deref(), fault.inside.as_deref()), (Some(" plain"), Some("plain")));
    }

    #[test]
    fn a_document_that_is_no_fault_is_none() {
        assert_eq!(SoapFault::from_xml(b"<a/>"), Ok(None));
        assert!(SoapFault::from_xml(b"<a>").is_err());
    }
}
