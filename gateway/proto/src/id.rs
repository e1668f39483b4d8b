//! Names of members, subsystems, services and servers.
//!
//! Spec: PR-REST 4.1–4.3 (path form), PR-MESS 2.1 (parts). Identifiers are opaque text: compared byte for byte,
//! never folded. In a path each segment is percent-encoded on its own, so a name may hold any character.

use std::fmt;
use std::str::FromStr;

/// A member of an instance: `INSTANCE/CLASS/CODE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    /// The instance, such as `EE`.
    pub instance: String,
    /// The member class, such as `GOV`.
    pub class: String,
    /// The member code, such as a business register number.
    pub code: String,
}

/// Who asks or serves: a member, or one of its subsystems.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// The member.
    pub member: MemberId,
    /// The subsystem's code; `None` for the member itself.
    pub subsystem: Option<String>,
}

/// A service of a client: `INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE[/VERSION]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId {
    /// Who provides it.
    pub client: ClientId,
    /// The service code.
    pub code: String,
    /// The version, known to SOAP services only.
    pub version: Option<String>,
}

/// A security server: `INSTANCE/CLASS/CODE/SERVER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    /// The member who owns it.
    pub owner: MemberId,
    /// The server code.
    pub code: String,
}

/// An identifier that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Another number of segments than the identifier has.
    #[error("identifier {text:?} has {found} segments, expected {expected}")]
    Segments {
        /// What was read.
        text: String,
        /// How many it has.
        found: usize,
        /// How many it may have.
        expected: &'static str,
    },
    /// A segment that is not percent-encoded as PR-REST wants it.
    #[error(
        "identifier segment {segment:?} is not percent-encoded UTF-8 of the characters allowed in a path"
    )]
    Encoding {
        /// The segment as it came.
        segment: String,
    },
}

impl MemberId {
    /// Names a member.
    pub fn new(instance: impl Into<String>, class: impl Into<String>, code: impl Into<String>) -> Self {
        Self { instance: instance.into(), class: class.into(), code: code.into() }
    }

    /// Names a subsystem of this member.
    #[must_use]
    pub fn subsystem(&self, code: impl Into<String>) -> ClientId {
        ClientId { member: self.clone(), subsystem: Some(code.into()) }
    }

    /// This member as a client in its own name.
    #[must_use]
    pub fn client(&self) -> ClientId {
        ClientId { member: self.clone(), subsystem: None }
    }

    fn segments(&self) -> Vec<&str> {
        vec![&self.instance, &self.class, &self.code]
    }
}

impl ClientId {
    /// Names a service of this client, without a version.
    #[must_use]
    pub fn service(&self, code: impl Into<String>) -> ServiceId {
        ServiceId { client: self.clone(), code: code.into(), version: None }
    }

    /// Reads the path form: 3 or 4 percent-encoded segments.
    ///
    /// # Errors
    /// [`IdError::Segments`] for another number of segments, [`IdError::Encoding`] for a segment that does not decode.
    pub fn from_path(path: &str) -> Result<Self, IdError> {
        let parts = decode_segments(path)?;
        Self::from_parts(&parts, path)
    }

    /// Writes the path form, each segment percent-encoded.
    #[must_use]
    pub fn to_path(&self) -> String {
        encode_segments(&self.segments())
    }

    /// What X-Road calls such an identifier: `MEMBER` or `SUBSYSTEM`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" }
    }

    /// As X-Road's faults name it: `SUBSYSTEM:INSTANCE/CLASS/CODE/SUBSYSTEM`.
    #[must_use]
    pub fn typed(&self) -> String {
        format!("{}:{self}", self.kind())
    }

    fn from_parts(parts: &[String], text: &str) -> Result<Self, IdError> {
        match parts {
            [i, c, m] => Ok(Self { member: MemberId::new(i, c, m), subsystem: None }),
            [i, c, m, s] => Ok(Self { member: MemberId::new(i, c, m), subsystem: Some(s.clone()) }),
            _ => Err(segments_error(text, parts.len(), "3 or 4")),
        }
    }

    fn segments(&self) -> Vec<&str> {
        let mut parts = self.member.segments();
        parts.extend(self.subsystem.as_deref());
        parts
    }
}

impl ServiceId {
    /// Reads the path form of a REST service: exactly 5 percent-encoded segments.
    ///
    /// # Errors
    /// As [`ClientId::from_path`].
    pub fn from_path(path: &str) -> Result<Self, IdError> {
        match decode_segments(path)?.as_slice() {
            [i, c, m, s, code] => Ok(MemberId::new(i, c, m).subsystem(s).service(code)),
            parts => Err(segments_error(path, parts.len(), "5")),
        }
    }

    /// Writes the path form, each segment percent-encoded.
    #[must_use]
    pub fn to_path(&self) -> String {
        encode_segments(&self.segments())
    }

    /// As X-Road's faults name it: `SERVICE:INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE[/VERSION]`.
    #[must_use]
    pub fn typed(&self) -> String {
        format!("SERVICE:{self}")
    }

    fn segments(&self) -> Vec<&str> {
        let mut parts = self.client.segments();
        parts.push(&self.code);
        parts.extend(self.version.as_deref());
        parts
    }
}

impl ServerId {
    /// Reads the path form: exactly 4 percent-encoded segments.
    ///
    /// # Errors
    /// As [`ClientId::from_path`].
    pub fn from_path(path: &str) -> Result<Self, IdError> {
        match decode_segments(path)?.as_slice() {
            [i, c, m, s] => Ok(Self { owner: MemberId::new(i, c, m), code: s.clone() }),
            parts => Err(segments_error(path, parts.len(), "4")),
        }
    }

    /// Writes the path form, each segment percent-encoded.
    #[must_use]
    pub fn to_path(&self) -> String {
        encode_segments(&self.segments())
    }

    fn segments(&self) -> Vec<&str> {
        let mut parts = self.owner.segments();
        parts.push(&self.code);
        parts
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("/"))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("/"))
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("/"))
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("/"))
    }
}

impl FromStr for MemberId {
    type Err = IdError;

    /// Reads `INSTANCE/CLASS/CODE` as people and configuration files write it: percent-decoded where encoded.
    fn from_str(text: &str) -> Result<Self, IdError> {
        match decode_segments(text)?.as_slice() {
            [i, c, m] => Ok(Self::new(i, c, m)),
            parts => Err(segments_error(text, parts.len(), "3")),
        }
    }
}

impl FromStr for ClientId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::from_path(text)
    }
}

impl FromStr for ServiceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::from_path(text)
    }
}

impl FromStr for ServerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::from_path(text)
    }
}

fn segments_error(text: &str, found: usize, expected: &'static str) -> IdError {
    IdError::Segments { text: text.to_owned(), found, expected }
}

fn decode_segments(path: &str) -> Result<Vec<String>, IdError> {
    path.split('/').map(decode_segment).collect()
}

fn encode_segments(segments: &[&str]) -> String {
    segments.iter().map(|s| encode_segment(s)).collect::<Vec<_>>().join("/")
}

/// Characters that stand for themselves in a path segment.
///
/// Seen: X-Road 7.8 `UriUtils` (decoding) and Guava's `urlPathSegmentEscaper` (encoding); both are RFC 3986 `pchar`.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=@:".contains(&byte)
}

/// A name as it stands in names of files and folders: as in a form (`application/x-www-form-urlencoded`), as Java's
/// `URLEncoder` writes it.
#[must_use]
pub fn form_encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b".-*_".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Percent-encodes one path segment, upper-case hexadecimal, UTF-8.
#[must_use]
pub fn encode_segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if stands_for_itself(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

/// Decodes one percent-encoded path segment.
///
/// # Errors
/// [`IdError::Encoding`] for a character outside `pchar`, a broken escape, or bytes that are no UTF-8.
pub fn decode_segment(segment: &str) -> Result<String, IdError> {
    let broken = || IdError::Encoding { segment: segment.to_owned() };
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut value = 0u32;
            for _ in 0..2 {
                let digit = bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(broken)?;
                value = value * 16 + digit;
            }
            out.push(u8::try_from(value).map_err(|_| broken())?);
        } else if stands_for_itself(byte) {
            out.push(byte);
        } else {
            return Err(broken());
        }
    }
    String::from_utf8(out).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_are_encoded_one_by_one() {
        let id = ClientId::from_path("DEV/GOV/a%2Fb/s%20%C3%B5").unwrap();
        assert_eq!(id.member.code, "a/b");
        assert_eq!(id.subsystem.as_deref(), Some("s õ"));
        assert_eq!(id.to_path(), "DEV/GOV/a%2Fb/s%20%C3%B5");
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for text in ["DEV/GOV", "DEV/GOV/M1/S/x", "DEV/GOV/%zz", "DEV/GOV/M 1", "DEV/GOV/%ff", "DEV/GOV/%a"] {
            assert!(ClientId::from_path(text).is_err(), "{text}");
        }
        assert!(ServiceId::from_path("DEV/GOV/M1/svc").is_err());
        assert!(ServerId::from_path("DEV/GOV/M1").is_err());
    }

    proptest! {
        #[test]
        fn every_name_survives(instance in "\\PC+", class in "\\PC+", code in "\\PC+", sub in "\\PC+") {
            let id = MemberId::new(instance, class, code).subsystem(sub);
            prop_assert_eq!(ClientId::from_path(&id.to_path()).unwrap(), id);
        }
    }

    #[test]
    fn faults_name_them_with_their_kind_as_the_real_servers_do() {
        let member = MemberId::new("DEV", "GOV", "M3");
        let client = member.subsystem("REALSERVICE");
        assert_eq!(member.client().typed(), "MEMBER:DEV/GOV/M3");
        assert_eq!(client.typed(), "SUBSYSTEM:DEV/GOV/M3/REALSERVICE");
        let service = client.service("nosuch");
        assert_eq!(service.typed(), "SERVICE:DEV/GOV/M3/REALSERVICE/nosuch");
        let versioned = ServiceId { version: Some("v1".to_owned()), ..service };
        assert_eq!(versioned.typed(), "SERVICE:DEV/GOV/M3/REALSERVICE/nosuch/v1");
    }
}
