//! SOAP envelopes: read strictly, carried byte for byte.
//!
//! Spec: message-path §1.5, §1.6, §2.11; PR-MESS 2. An envelope's bytes are what is signed and recorded; of a request's
//! nothing is ever changed, into an answer's the hash of the request is inserted and nothing else.
//!
//! | file | what it holds |
//! |---|---|
//! | `read` | the rules of header and body |
//! | `charset` | the characters of an envelope |
//! | `insert` | the hash of the request, put into an answer |
//! | `answer` | the answer of a metaservice, made of its request |

mod answer;
pub(super) mod charset;
mod insert;
mod read;
#[cfg(test)]
mod tests;

use crate::crypto::DigestAlgorithm;
use crate::fault::{Code, Leaf, SoapFault};
use crate::id::{ClientId, ServerId, ServiceId};
use crate::xml::XmlError;

/// Namespace of a SOAP 1.1 envelope. Spec: SOAP 1.1 §4.
pub(crate) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of X-Road's header elements. Spec: PR-MESS 2.2.
pub(crate) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers. Spec: PR-MESS 2.1.
pub(crate) const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
/// Namespace of the represented party. Spec: PR-MESS 2.2.
const REPRESENTATION: &str = "http://x-road.eu/xsd/representation.xsd";
/// The algorithm of a request's hash, as `requestHash` names it. Spec: message-path §2.11.
const HASH_URI: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// What a SOAP document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A request or response.
    Envelope(Box<Envelope>),
    /// A fault.
    Fault(SoapFault),
}

/// A request or response that keeps every rule of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who asks.
    pub client: ClientId,
    /// Who is asked for what.
    pub service: ServiceId,
    /// The provider's server that is asked.
    pub security_server: Option<ServerId>,
    /// The id that the information system gave.
    pub id: String,
    /// Who asks, as a person.
    pub user_id: Option<String>,
    /// What the question belongs to.
    pub issue: Option<String>,
    /// For whom the client asks.
    pub represented_party: Option<Party>,
    /// The hash of the request, in a response.
    pub request_hash: Option<String>,
    /// The local name of the element in the body.
    pub body: String,
    bytes: Vec<u8>,
}

/// For whom a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The party's class.
    pub class: Option<String>,
    /// The party's code.
    pub code: String,
}

/// A document that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoapError {
    /// Not read as XML at all.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An encoding that is not read.
    #[error("envelope is not read in the encoding {found:?}")]
    Encoding {
        /// What it is in.
        found: String,
    },
    /// A content type with a charset that nobody knows.
    #[error("charset {found:?} is not known")]
    Charset {
        /// What it names.
        found: String,
    },
    /// Not an envelope of one header and one body, in this order.
    #[error("expected an Envelope of one Header and one Body, found {found}")]
    Shape {
        /// What was found.
        found: String,
    },
    /// An envelope without header.
    #[error("Malformed SOAP message: header missing")]
    MissingHeader,
    /// An envelope without body.
    #[error("Malformed SOAP message: body missing")]
    MissingBody,
    /// A field that must be there.
    #[error("Required field '{field}' is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// A field that is there twice.
    #[error("SOAP header contains duplicate field '{field}'")]
    DuplicateField {
        /// Its name.
        field: &'static str,
    },
    /// A field that is none.
    #[error("header field {field} is not {expected}: {found}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Another version of the protocol.
    #[error("Invalid protocol version (supported: 4.x, provided: {found})")]
    Version {
        /// The version.
        found: String,
    },
    /// Not one body of one element.
    #[error("Malformed SOAP message: body must have exactly one child element, found {found}")]
    BodyElements {
        /// How many it has.
        found: usize,
    },
    /// A body that is not for the service.
    #[error("Malformed SOAP message: body element {found:?} does not begin with service code {expected:?}")]
    BodyName {
        /// The service code.
        expected: String,
        /// The element's name.
        found: String,
    },
}

/// A `SOAPAction` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Malformed SOAPAction header {found:?}")]
pub struct ActionError {
    /// What was read.
    pub found: String,
}

/// A response that does not answer the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("response is not the request's: {field} is {found:?}, expected {expected:?}")]
pub struct Inconsistent {
    /// Which field.
    pub field: &'static str,
    /// What the request says.
    pub expected: String,
    /// What the response says.
    pub found: String,
}

impl Envelope {
    /// The envelope as it came, byte order mark and all.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it looks like a response. Seen: a name for a body that a request may have as well.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.body.ends_with("Response")
    }

    /// What a response to this request must state as `requestHash`.
    #[must_use]
    pub fn hash(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(DigestAlgorithm::Sha512.digest(&self.bytes))
    }

    /// Holds a response against its request.
    ///
    /// Spec: message-path §1.5.2, §2.11. The algorithm that the hash names is not looked at: it is SHA-512.
    ///
    /// # Errors
    /// [`Inconsistent`] names the first field that differs.
    pub fn answers(&self, request: &Self) -> Result<(), Inconsistent> {
        let both = [request, self];
        let told = |field: &'static str, of: fn(&Self) -> String| (field, both.map(of));
        let fields = [
            told("client", |e| format!("{:?}", e.client)),
            told("service", |e| format!("{:?}", e.service)),
            told("id", |e| e.id.clone()),
            told("userId", |e| format!("{:?}", e.user_id)),
            told("issue", |e| format!("{:?}", e.issue)),
            told("representedParty", |e| format!("{:?}", e.represented_party)),
        ];
        for (field, [expected, found]) in fields {
            if expected != found {
                return Err(Inconsistent { field, expected, found });
            }
        }
        let expected = request.hash();
        match &self.request_hash {
            Some(hash) if *hash == expected => Ok(()),
            other => {
                Err(Inconsistent { field: REQUEST_HASH, expected, found: other.clone().unwrap_or_default() })
            }
        }
    }
}

/// The field that binds a response to its request's bytes.
const REQUEST_HASH: &str = "requestHash";

impl Inconsistent {
    /// The code under which it is told. Spec: message-path §4.2, 5'.
    #[must_use]
    pub fn code(&self) -> Code {
        let code = Code::of(Leaf::InconsistentResponse);
        if self.field == REQUEST_HASH { code } else { code.under(Leaf::ServiceFailed) }
    }
}

impl SoapError {
    /// The code under which it is told; who reads adds what stands before it. Spec: message-path §1.6.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::of(match self {
            Self::Xml(_) | Self::Encoding { .. } | Self::Shape { .. } => Leaf::InvalidSoap,
            Self::Charset { .. } => Leaf::InternalError,
            Self::MissingHeader => Leaf::MissingHeader,
            Self::MissingBody => Leaf::MissingBody,
            Self::MissingField { .. } => Leaf::MissingHeaderField,
            Self::DuplicateField { .. } => Leaf::DuplicateHeaderField,
            Self::Field { .. } => Leaf::InvalidXml,
            Self::Version { .. } => Leaf::InvalidProtocolVersion,
            Self::BodyElements { .. } => Leaf::InvalidBody,
            Self::BodyName { .. } => Leaf::InconsistentHeaders,
        })
    }
}

impl ActionError {
    /// The code under which it is told.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::of(Leaf::InvalidSoapAction)
    }
}

/// Checks a `SOAPAction`: absent, empty, or a URI in double quotes.
///
/// Spec: message-path §1.5.1. Seen: `MessageProcessorBase.java`, which lets Java's `URI` judge.
///
/// # Errors
/// [`ActionError`].
pub fn check_action(action: Option<&str>) -> Result<(), ActionError> {
    let Some(text) = action.filter(|text| !text.is_empty()) else { return Ok(()) };
    let inside = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match inside {
        Some(uri) if is_uri(uri) => Ok(()),
        _ => Err(ActionError { found: text.to_owned() }),
    }
}

/// Whether a text is a URI reference. Spec: RFC 2396 2; letters beyond ASCII stand for themselves, as in Java.
fn is_uri(text: &str) -> bool {
    let (before, fragment) = text.split_once('#').map_or((text, ""), |(b, f)| (b, f));
    let is_legal = |part: &str| {
        let mut rest = part.chars();
        while let Some(c) = rest.next() {
            let legal = match c {
                '%' => {
                    let mut digit = || rest.next().is_some_and(|c| c.is_ascii_hexdigit());
                    digit() && digit()
                }
                c if c.is_ascii() => c.is_ascii_alphanumeric() || "-_.!~*'();/?:@&=+$,[]".contains(c),
                c => !c.is_control() && !c.is_whitespace(),
            };
            if !legal {
                return false;
            }
        }
        true
    };
    let scheme_is_legal = match before.find([':', '/', '?']) {
        Some(at) if before.get(at..).is_some_and(|rest| rest.starts_with(':')) => {
            let (scheme, rest) = before.split_at(at);
            let mut letters = scheme.chars();
            letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && rest.len() > 1
        }
        _ => true,
    };
    scheme_is_legal && is_legal(before) && is_legal(fragment)
}
