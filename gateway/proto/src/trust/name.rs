//! Distinguished names: compared, searched and written.
//!
//! Spec: RFC 5280 4.1.2.4 and 7.1, RFC 2253.

use crate::der::{DerError, Reader, tag};
use crate::limits;
use std::fmt::Write as _;

/// Attribute types that profiles read and that RFC 2253 has words for: content octets of the object identifiers.
pub mod attribute {
    #![expect(missing_docs, reason = "X.520 names")]
    pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
    pub const COUNTRY: &[u8] = &[0x55, 4, 6];
    pub const LOCALITY: &[u8] = &[0x55, 4, 7];
    pub const STATE: &[u8] = &[0x55, 4, 8];
    pub const STREET: &[u8] = &[0x55, 4, 9];
    pub const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    pub const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 4, 11];
    pub const BUSINESS_CATEGORY: &[u8] = &[0x55, 4, 15];
    pub const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 4, 97];
    pub const DOMAIN_COMPONENT: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
    pub const USER_ID: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1];
}

/// Words for attribute types. Spec: RFC 2253 2.3; other types are written as dotted numbers.
const WORDS: [(&[u8], &str); 9] = [
    (attribute::COMMON_NAME, "CN"),
    (attribute::LOCALITY, "L"),
    (attribute::STATE, "ST"),
    (attribute::ORGANIZATION, "O"),
    (attribute::ORGANIZATIONAL_UNIT, "OU"),
    (attribute::COUNTRY, "C"),
    (attribute::STREET, "STREET"),
    (attribute::DOMAIN_COMPONENT, "DC"),
    (attribute::USER_ID, "UID"),
];

/// String types of attribute values. Spec: X.680 41.
mod string {
    pub(super) const NUMERIC: u8 = 0x12;
    pub(super) const PRINTABLE: u8 = 0x13;
    pub(super) const TELETEX: u8 = 0x14;
    pub(super) const IA5: u8 = 0x16;
    pub(super) const VISIBLE: u8 = 0x1a;
    pub(super) const GENERAL: u8 = 0x1b;
    pub(super) const UNIVERSAL: u8 = 0x1c;
    pub(super) const BMP: u8 = 0x1e;
}

/// A distinguished name, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    raw: Vec<u8>,
    canonical: Vec<u8>,
    relative: Vec<Vec<Pair>>,
}

/// An attribute's type and value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    oid: Vec<u8>,
    tag: u8,
    content: Vec<u8>,
    raw: Vec<u8>,
}

impl Name {
    /// Reads a DER `Name`.
    ///
    /// # Errors
    /// [`DerError`], also for more attributes than any name has.
    pub fn from_der(raw: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(raw);
        let mut inside = outer.sequence()?;
        outer.end()?;
        let mut relative = Vec::new();
        let mut count = 0usize;
        while !inside.is_empty() {
            let mut set = inside.expect(tag::SET)?.reader();
            let mut pairs = Vec::new();
            while !set.is_empty() {
                pairs.push(Pair::read(&mut set)?);
                count += 1;
                if count > limits::NAME_ATTRIBUTES_MAX {
                    return Err(DerError::NotDistinguished("name of too many attributes"));
                }
            }
            relative.push(pairs);
        }
        Ok(Self { raw: raw.to_vec(), canonical: canonical(&relative), relative })
    }

    /// The DER, as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether both are one name: letter case and the amount of white space aside.
    ///
    /// Seen: X-Road 7.8 compares so (trust-and-configuration §3.4).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }

    /// All values of an attribute type, in the order of the DER.
    #[must_use]
    pub fn values(&self, oid: &[u8]) -> Vec<String> {
        self.relative.iter().flatten().filter(|pair| pair.oid == oid).map(Pair::text).collect()
    }

    /// As Java's `X500Principal.getName()` writes it. Spec: RFC 2253; Seen: JDK 17 and 25 in what the RFC leaves open.
    #[must_use]
    pub fn rfc2253(&self) -> String {
        let written = self.relative.iter().rev().map(|pairs| {
            let parts: Vec<String> = pairs.iter().map(Pair::rfc2253).collect();
            parts.join("+")
        });
        written.collect::<Vec<String>>().join(",")
    }
}

impl Pair {
    fn read(set: &mut Reader<'_>) -> Result<Self, DerError> {
        let mut inside = set.sequence()?;
        let oid = inside.oid()?.to_vec();
        let value = inside.value()?;
        inside.end()?;
        Ok(Self { oid, tag: value.tag, content: value.content.to_vec(), raw: value.raw.to_vec() })
    }

    /// The value as text; what is no text of its type is replaced.
    fn text(&self) -> String {
        let units = |size: usize| {
            self.content
                .chunks(size)
                .map(|c| c.iter().fold(0u32, |n, b| (n << 8) | u32::from(*b)))
                .collect::<Vec<u32>>()
        };
        match self.tag {
            string::BMP => {
                let pairs: Vec<u16> =
                    units(2).into_iter().map(|u| u16::try_from(u).unwrap_or(u16::MAX)).collect();
                String::from_utf16_lossy(&pairs)
            }
            string::UNIVERSAL => units(4)
                .into_iter()
                .map(|u| char::from_u32(u).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
            string::TELETEX => self.content.iter().map(|b| char::from(*b)).collect(),
            _ => String::from_utf8_lossy(&self.content).into_owned(),
        }
    }

    const fn is_text(&self) -> bool {
        matches!(
            self.tag,
            tag::UTF8_STRING
                | string::NUMERIC
                | string::PRINTABLE
                | string::TELETEX
                | string::IA5
                | string::VISIBLE
                | string::GENERAL
                | string::UNIVERSAL
                | string::BMP
        )
    }

    /// The value as names are compared: text folded, all else as it is.
    fn folded(&self) -> Vec<u8> {
        if !self.is_text() {
            return self.raw.clone();
        }
        let text = self.text().to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").into_bytes()
    }

    fn rfc2253(&self) -> String {
        let word = WORDS.iter().find(|(oid, _)| *oid == self.oid).map(|(_, word)| *word);
        let is_java_text = matches!(
            self.tag,
            tag::UTF8_STRING
                | string::PRINTABLE
                | string::TELETEX
                | string::IA5
                | string::GENERAL
                | string::BMP
        );
        match word {
            // Java reads the octets as UTF-8 whatever the string type.
            Some(word) if is_java_text => {
                format!("{word}={}", escaped(&String::from_utf8_lossy(&self.content)))
            }
            _ => {
                let mut out = format!("{}=#", word.map_or_else(|| dotted(&self.oid), str::to_owned));
                for octet in &self.raw {
                    let _ = write!(out, "{octet:02x}");
                }
                out
            }
        }
    }
}

/// Each relative name's attributes, sorted, with lengths before them: equal octets for equal names only.
fn canonical(relative: &[Vec<Pair>]) -> Vec<u8> {
    let mut out = Vec::new();
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    for pairs in relative {
        let mut folded: Vec<(&[u8], bool, Vec<u8>)> =
            pairs.iter().map(|p| (&p.oid[..], p.is_text(), p.folded())).collect();
        folded.sort();
        out.extend_from_slice(&length(folded.len()));
        for (oid, is_text, value) in folded {
            out.extend_from_slice(&length(oid.len()));
            out.extend_from_slice(oid);
            out.push(u8::from(is_text));
            out.extend_from_slice(&length(value.len()));
            out.extend_from_slice(&value);
        }
    }
    out
}

/// Escapes a value. Seen: JDK's `AVA.toRFC2253String`; it escapes `=` besides what the RFC names.
fn escaped(text: &str) -> String {
    let is_space = |c: char| c == ' ' || c == '\r';
    let inner = text.trim_matches(is_space);
    let lead = text.len() - text.trim_start_matches(is_space).len();
    let mut out = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let outside = at < lead || at >= lead + inner.len();
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            _ => {
                if outside {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

/// An object identifier with dots, from its content octets. Spec: X.690 8.19.
pub(super) fn dotted(oid: &[u8]) -> String {
    let mut out = String::new();
    let mut arc = 0u64;
    for octet in oid {
        arc = (arc << 7) | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if out.is_empty() {
            let first = (arc / 40).min(2);
            let _ = write!(out, "{first}.{}", arc - first * 40);
        } else {
            let _ = write!(out, ".{arc}");
        }
        arc = 0;
    }
    out
}

/// An INTEGER's content octets (two's complement) in decimal.
pub(super) fn decimal(content: &[u8]) -> String {
    let negative = content.first().is_some_and(|b| b & 0x80 != 0);
    let mut digits: Vec<u8> = vec![0];
    let magnitude = if negative { negated(content) } else { content.to_vec() };
    for octet in magnitude {
        let mut carry = u32::from(octet);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or(0);
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    let sign = if negative { "-" } else { "" };
    let text: String = digits.iter().rev().map(|d| char::from(b'0' + d)).collect();
    format!("{sign}{text}")
}

fn negated(content: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut out: Vec<u8> = content
        .iter()
        .rev()
        .map(|octet| {
            let (value, overflow) = (!octet).overflowing_add(u8::from(carry));
            carry = overflow;
            value
        })
        .collect();
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der;
    use std::slice::from_ref;

    fn pair(oid: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        der::sequence([der::write(tag::OID, oid), der::write(kind, value)])
    }

    fn name(relative: &[&[Vec<u8>]]) -> Name {
        let sets = relative.iter().map(|pairs| der::constructed(tag::SET, *pairs));
        Name::from_der(&der::sequence(sets)).unwrap()
    }

    const UTF8: u8 = tag::UTF8_STRING;

    #[test]
    fn rfc2253_is_last_first_with_words_and_numbers() {
        let subject = name(&[
            &[pair(attribute::COUNTRY, string::PRINTABLE, b"EE")],
            &[pair(attribute::ORGANIZATION, UTF8, b"Amet, #1 = \"x\"")],
            &[pair(attribute::COMMON_NAME, UTF8, b" a "), pair(attribute::ORGANIZATIONAL_UNIT, UTF8, b"b")],
            &[pair(attribute::SERIAL_NUMBER, string::PRINTABLE, b"DEV/ss2/COM")],
        ]);
        // The words of JDK 17 for these octets.
        assert_eq!(
            subject.rfc2253(),
            "2.5.4.5=#130b4445562f7373322f434f4d,CN=\\ a\\ +OU=b,O=Amet\\, \\#1 \\= \\\"x\\\",C=EE"
        );
    }

    #[test]
    fn values_of_no_string_type_are_written_as_octets() {
        let odd = name(&[
            &[pair(attribute::COMMON_NAME, tag::INTEGER, &[5])],
            &[pair(attribute::ORGANIZATION, UTF8, "Äri\0".as_bytes())],
        ]);
        assert_eq!(odd.rfc2253(), "O=Äri\\00,CN=#020105");
        let kinds = name(&[
            &[pair(attribute::COMMON_NAME, string::BMP, &[0, b'M', 0, 0xc4])],
            &[pair(attribute::ORGANIZATION, string::TELETEX, b"x\xc4")],
            &[pair(attribute::STREET, string::IA5, b"")],
            &[pair(attribute::STATE, UTF8, b"   ")],
            &[pair(attribute::BUSINESS_CATEGORY, UTF8, b"GOV")],
        ]);
        let jdk17 = "2.5.4.15=#0c03474f56,ST=\\ \\ \\ ,STREET=,O=x\u{fffd},CN=\\00M\\00\u{fffd}";
        assert_eq!(kinds.rfc2253(), jdk17);
    }

    #[test]
    fn names_are_one_whatever_case_space_and_string_type() {
        let a = name(&[&[pair(attribute::ORGANIZATION, string::PRINTABLE, b"Riigi  Amet ")]]);
        let b = name(&[&[pair(attribute::ORGANIZATION, UTF8, b"riigi amet")]]);
        assert!(a.is_same(&b));
        assert_ne!(a.raw(), b.raw());
        let c = name(&[&[pair(attribute::ORGANIZATION, UTF8, b"riigiamet")]]);
        let d = name(&[&[pair(attribute::ORGANIZATIONAL_UNIT, UTF8, b"riigi amet")]]);
        assert!(!a.is_same(&c) && !a.is_same(&d));
    }

    #[test]
    fn one_relative_name_is_not_two() {
        let o = pair(attribute::ORGANIZATION, UTF8, b"a");
        let u = pair(attribute::ORGANIZATIONAL_UNIT, UTF8, b"b");
        let both = name(&[&[o.clone(), u.clone()]]);
        assert!(!both.is_same(&name(&[from_ref(&o), from_ref(&u)])));
        assert!(both.is_same(&name(&[&[u, o]])));
    }

    #[test]
    fn values_are_found_in_every_relative_name() {
        let two = name(&[
            &[pair(attribute::COMMON_NAME, string::BMP, &[0, b'M', 0, b'3'])],
            &[
                pair(attribute::ORGANIZATION, UTF8, b"x"),
                pair(attribute::COMMON_NAME, string::TELETEX, &[0xc4]),
            ],
        ]);
        assert_eq!(two.values(attribute::COMMON_NAME), ["M3", "Ä"]);
        assert_eq!(two.values(attribute::COUNTRY), [""; 0]);
    }

    #[test]
    fn a_name_of_too_many_attributes_is_refused() {
        let pair = pair(attribute::COMMON_NAME, UTF8, b"x");
        let set = der::constructed(tag::SET, vec![pair; limits::NAME_ATTRIBUTES_MAX + 1]);
        assert!(Name::from_der(&der::sequence([set])).is_err());
    }

    #[test]
    fn integers_are_written_in_decimal() {
        for (content, text) in [
            (&[0u8][..], "0"),
            (&[0x7f], "127"),
            (&[0, 0xff], "255"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
            (&[0xff], "-1"),
            (&[0x80, 0], "-32768"),
            (&[0x6f, 0xe4, 0x4f, 0x36, 0x69, 0x1f, 0x09, 0xd6], "8062656328010500566"),
        ] {
            assert_eq!(decimal(content), text);
        }
    }

    #[test]
    fn identifiers_are_written_with_dots() {
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), "1.2.840.113549");
        assert_eq!(dotted(attribute::ORGANIZATION_IDENTIFIER), "2.5.4.97");
        assert_eq!(dotted(&[0x88, 0x37, 0x03]), "2.999.3");
    }
}
