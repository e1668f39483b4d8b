//! Members and servers written into subjects, as each country's profile wants them.
//!
//! Spec: trust-and-configuration §3.3. The other direction, from a subject to the member it names, is
//! [`Profile::member_of`]; whatever is written here is read back with it before a certificate is signed.

use saatkond_proto::der::{self, tag};
use saatkond_proto::id::{MemberId, ServerId};
use saatkond_proto::trust::profile::Profile;

/// A type of attribute in a subject: the numbers of its object identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute(Vec<u64>);

impl Attribute {
    /// By the numbers of its object identifier.
    #[must_use]
    pub fn new(numbers: &[u64]) -> Self {
        Self(numbers.to_vec())
    }

    /// The numbers of its object identifier.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.0
    }

    /// Its short name, or its numbers with dots.
    #[must_use]
    pub fn name(&self) -> String {
        SHORT_NAMES.iter().find(|(numbers, _)| *numbers == self.0).map_or_else(
            || self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
            |(_, n)| (*n).to_owned(),
        )
    }
}

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];
const COUNTRY: &[u64] = &[2, 5, 4, 6];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];
const UNIT: &[u64] = &[2, 5, 4, 11];
const BUSINESS_CATEGORY: &[u64] = &[2, 5, 4, 15];
const ORGANIZATION_IDENTIFIER: &[u64] = &[2, 5, 4, 97];

const SHORT_NAMES: [(&[u64], &str); 7] = [
    (COMMON_NAME, "CN"),
    (SERIAL_NUMBER, "serialNumber"),
    (COUNTRY, "C"),
    (ORGANIZATION, "O"),
    (UNIT, "OU"),
    (BUSINESS_CATEGORY, "businessCategory"),
    (ORGANIZATION_IDENTIFIER, "organizationIdentifier"),
];

/// A value and the string type it is written as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Utf8(String),
    Printable(String),
    Ia5(String),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Utf8(text) | Self::Printable(text) | Self::Ia5(text) => text,
        }
    }
}

/// A subject: attributes in order, each type once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject(Vec<(Attribute, Text)>);

/// A subject that cannot be written or is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamingError {
    /// A value that must be given and is not.
    #[error("subjects of this profile need {0}")]
    Needed(&'static str),
    /// A value that the profile cannot hold.
    #[error("{what} {value:?} cannot be written into subjects of this profile: {reason}")]
    Unfit {
        /// What it is.
        what: &'static str,
        /// The value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// The profile is not issued for.
    #[error("certificates of profile {0:?} are not issued here")]
    NotIssued(Profile),
    /// A request's subject that is not taken.
    #[error("the request's subject is not taken: {0}")]
    NotTaken(String),
}

/// What profiles ask for beside identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The member's name.
    pub organization: Option<String>,
    /// The server's host name.
    pub dns: Option<String>,
    /// The country, two letters, where the profile does not fix it.
    pub country: Option<String>,
}

impl Details {
    fn organization(&self) -> Result<&str, NamingError> {
        self.organization.as_deref().ok_or(NamingError::Needed("the organisation's name"))
    }

    fn dns(&self) -> Result<&str, NamingError> {
        self.dns.as_deref().ok_or(NamingError::Needed("the server's host name"))
    }
}

impl Subject {
    /// A subject without attributes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same with one more attribute; a value already there is replaced.
    ///
    /// Countries and serial numbers are PrintableStrings where they can be, all others UTF8Strings, as X.520 and the
    /// library of X-Road's servers have it.
    #[must_use]
    pub fn with(mut self, numbers: &[u64], value: &str) -> Self {
        let text = if (numbers == COUNTRY || numbers == SERIAL_NUMBER) && is_printable(value) {
            Text::Printable(value.to_owned())
        } else {
            Text::Utf8(value.to_owned())
        };
        self.0.retain(|(attribute, _)| attribute.numbers() != numbers);
        self.0.push((Attribute::new(numbers), text));
        self
    }

    /// The subject of a service or an authority: `C`, `O`, `CN`, those that are given.
    #[must_use]
    pub fn named(country: Option<&str>, organization: Option<&str>, common_name: &str) -> Self {
        let mut subject = Self::new();
        if let Some(country) = country {
            subject = subject.with(COUNTRY, country);
        }
        if let Some(organization) = organization {
            subject = subject.with(ORGANIZATION, organization);
        }
        subject.with(COMMON_NAME, common_name)
    }

    /// The subject of a member's sign certificate, used on the server `server`.
    ///
    /// # Errors
    /// [`NamingError`] for what the profile needs and is not there, or cannot hold.
    pub fn of_member(
        profile: Profile,
        member: &MemberId,
        server: &ServerId,
        details: &Details,
    ) -> Result<Self, NamingError> {
        let subject = Self::new();
        Ok(match profile {
            Profile::Ejbca => subject
                .with(COUNTRY, &member.instance)
                .with(ORGANIZATION, &member.class)
                .with(COMMON_NAME, &member.code),
            Profile::FiVrk => subject
                .with(COUNTRY, "FI")
                .with(ORGANIZATION, details.organization()?)
                .with(SERIAL_NUMBER, &finnish_serial(&member.instance, &server.code, &member.class)?)
                .with(COMMON_NAME, &member.code),
            Profile::Basic => {
                let name = details.organization()?;
                let subject = subject
                    .with(COMMON_NAME, name)
                    .with(ORGANIZATION, name)
                    .with(BUSINESS_CATEGORY, &member.class);
                with_country(subject, details).with(SERIAL_NUMBER, &member.code)
            }
            Profile::BasicAcme => {
                let name = details.organization()?;
                with_country(subject, details)
                    .with(ORGANIZATION, name)
                    .with(BUSINESS_CATEGORY, &member.class)
                    .with(SERIAL_NUMBER, &member.code)
                    .with(COMMON_NAME, name)
            }
            Profile::Fo => nordic(subject, "FO", member, server),
            Profile::Is => nordic(subject, "IS", member, server),
            Profile::SkKlass3 => {
                subject.with(SERIAL_NUMBER, &member.code).with(COMMON_NAME, details.organization()?)
            }
            Profile::SkEsteId => return Err(NamingError::NotIssued(profile)),
        })
    }

    /// The subject of a server's authentication certificate.
    ///
    /// # Errors
    /// [`NamingError`] for what the profile needs and is not there, or cannot hold.
    pub fn of_server(profile: Profile, server: &ServerId, details: &Details) -> Result<Self, NamingError> {
        let subject = Self::new();
        let owner = &server.owner;
        Ok(match profile {
            Profile::Ejbca => subject.with(COUNTRY, &owner.instance).with(COMMON_NAME, &server.code),
            Profile::FiVrk => subject
                .with(COUNTRY, "FI")
                .with(ORGANIZATION, details.organization()?)
                .with(SERIAL_NUMBER, &finnish_serial(&owner.instance, &server.code, &owner.class)?)
                .with(COMMON_NAME, details.dns()?),
            Profile::Basic => {
                let subject = subject.with(COMMON_NAME, details.dns()?).with(SERIAL_NUMBER, &owner.code);
                with_country(subject, details).with(ORGANIZATION, details.organization()?)
            }
            Profile::BasicAcme => with_country(subject, details)
                .with(ORGANIZATION, details.organization()?)
                .with(SERIAL_NUMBER, &owner.code)
                .with(COMMON_NAME, details.dns()?),
            Profile::Fo => subject
                .with(COUNTRY, "FO")
                .with(ORGANIZATION, &owner.instance)
                .with(COMMON_NAME, &server.to_string()),
            Profile::Is => subject
                .with(COUNTRY, "IS")
                .with(COMMON_NAME, details.dns()?)
                .with(SERIAL_NUMBER, &server.to_string()),
            Profile::SkKlass3 => {
                subject.with(SERIAL_NUMBER, &owner.code).with(COMMON_NAME, details.organization()?)
            }
            Profile::SkEsteId => return Err(NamingError::NotIssued(profile)),
        })
    }

    /// Reads a DER `Name`, as requests carry it.
    ///
    /// Ours: attributes of one type twice, several values in one RDN and string types nobody writes any more are
    /// refused. X-Road 7.8 takes one of two values, and which is not obvious.
    ///
    /// # Errors
    /// [`NamingError::NotTaken`].
    pub fn from_der(name: &[u8]) -> Result<Self, NamingError> {
        let refuse = |reason: &str| NamingError::NotTaken(reason.to_owned());
        let malformed = |e: der::DerError| NamingError::NotTaken(e.to_string());
        let mut names = der::single(name).map_err(malformed)?;
        if names.tag != tag::SEQUENCE {
            return Err(refuse("it is no sequence"));
        }
        let mut subject = Self::new();
        let mut sets = names.reader();
        while !sets.is_empty() {
            names = sets.expect(tag::SET).map_err(malformed)?;
            let mut set = names.reader();
            let mut pair = set.sequence().map_err(malformed)?;
            set.end().map_err(|_| refuse("an RDN has several values"))?;
            let numbers = oid_numbers(pair.oid().map_err(malformed)?)
                .ok_or_else(|| refuse("an attribute type is no object identifier"))?;
            let value = pair.value().map_err(malformed)?;
            pair.end().map_err(malformed)?;
            let attribute = Attribute(numbers);
            if subject.0.iter().any(|(known, _)| *known == attribute) {
                return Err(NamingError::NotTaken(format!("it has two values of {}", attribute.name())));
            }
            let text = read_text(value.tag, value.content).ok_or_else(|| {
                NamingError::NotTaken(format!(
                    "{} is of a string type that is not taken (tag {:#04x})",
                    attribute.name(),
                    value.tag
                ))
            })?;
            subject.0.push((attribute, text));
        }
        Ok(subject)
    }

    /// Whether it has no attributes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_rcgen(&self) -> Result<rcgen::DistinguishedName, rcgen::Error> {
        let mut name = rcgen::DistinguishedName::new();
        for (attribute, text) in &self.0 {
            let value = match text {
                Text::Utf8(text) => rcgen::DnValue::Utf8String(text.clone()),
                Text::Printable(text) => rcgen::DnValue::PrintableString(text.as_str().try_into()?),
                Text::Ia5(text) => rcgen::DnValue::Ia5String(text.as_str().try_into()?),
            };
            name.push(rcgen::DnType::from_oid(attribute.numbers()), value);
        }
        Ok(name)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(attribute, text)| format!("{}={}", attribute.name(), text.as_str()))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

fn with_country(subject: Subject, details: &Details) -> Subject {
    match &details.country {
        Some(country) => subject.with(COUNTRY, country),
        None => subject,
    }
}

fn nordic(subject: Subject, country: &str, member: &MemberId, server: &ServerId) -> Subject {
    subject
        .with(COUNTRY, country)
        .with(ORGANIZATION, &member.instance)
        .with(UNIT, &member.class)
        .with(COMMON_NAME, &member.code)
        .with(SERIAL_NUMBER, &server.to_string())
}

/// `INSTANCE/SERVER/CLASS`: read back by cutting at the slashes, so none may hold one.
fn finnish_serial(instance: &str, server: &str, class: &str) -> Result<String, NamingError> {
    for (what, value) in [("instance", instance), ("server code", server), ("member class", class)] {
        if value.is_empty() || value.contains('/') {
            return Err(NamingError::Unfit {
                what,
                value: value.to_owned(),
                reason: "serialNumber joins instance, server and class with slashes",
            });
        }
    }
    Ok(format!("{instance}/{server}/{class}"))
}

/// Spec: X.680 41.4.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b))
}

fn read_text(tag: u8, content: &[u8]) -> Option<Text> {
    const PRINTABLE_STRING: u8 = 0x13;
    const IA5_STRING: u8 = 0x16;
    let text = std::str::from_utf8(content).ok()?.to_owned();
    match tag {
        tag::UTF8_STRING => Some(Text::Utf8(text)),
        // what is no PrintableString is written again as what it is
        PRINTABLE_STRING if is_printable(&text) => Some(Text::Printable(text)),
        IA5_STRING if text.is_ascii() => Some(Text::Ia5(text)),
        _ => None,
    }
}

/// The numbers of an object identifier's content octets. Spec: X.690 8.19.
fn oid_numbers(content: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut value = 0u64;
    let mut open = false;
    for byte in content {
        value = value.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        open = byte & 0x80 != 0;
        if !open {
            if numbers.is_empty() {
                let first = (value / 40).min(2);
                numbers.push(first);
                value -= first * 40;
            }
            numbers.push(value);
            value = 0;
        }
    }
    (!open && !numbers.is_empty()).then_some(numbers)
}

/// The profile of this name: the Java class name of shared parameters, or its short form such as `FiVRK`.
#[must_use]
pub fn profile_by_name(name: &str) -> Option<Profile> {
    Profile::from_class_name(name)
        .or_else(|| PROFILES.into_iter().find(|profile| short_name(*profile).eq_ignore_ascii_case(name)))
}

/// The short form of a profile's name: the Java class name without package and `CertificateProfileInfoProvider`.
#[must_use]
pub const fn short_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Basic => "Basic",
        Profile::BasicAcme => "BasicACME",
        Profile::Ejbca => "Ejbca",
        Profile::FiVrk => "FiVRK",
        Profile::Fo => "Fo",
        Profile::Is => "Is",
        Profile::SkKlass3 => "SkKlass3",
        Profile::SkEsteId => "SkEsteId",
    }
}

/// All profiles.
pub const PROFILES: [Profile; 8] = [
    Profile::Basic,
    Profile::BasicAcme,
    Profile::Ejbca,
    Profile::FiVrk,
    Profile::Fo,
    Profile::Is,
    Profile::SkKlass3,
    Profile::SkEsteId,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerId {
        ServerId { owner: MemberId::new("DEV", "GOV", "M2"), code: "HOME".to_owned() }
    }

    fn details() -> Details {
        Details {
            organization: Some("Land Board".to_owned()),
            dns: Some("home.land.example".to_owned()),
            country: Some("EE".to_owned()),
        }
    }

    #[test]
    fn subjects_are_those_of_the_profiles() {
        let member = server().owner;
        let sign = |profile| Subject::of_member(profile, &member, &server(), &details()).unwrap().to_string();
        let auth = |profile| Subject::of_server(profile, &server(), &details()).unwrap().to_string();
        assert_eq!(sign(Profile::FiVrk), "C=FI, O=Land Board, serialNumber=DEV/HOME/GOV, CN=M2");
        assert_eq!(
            auth(Profile::FiVrk),
            "C=FI, O=Land Board, serialNumber=DEV/HOME/GOV, CN=home.land.example"
        );
        assert_eq!(sign(Profile::Ejbca), "C=DEV, O=GOV, CN=M2");
        assert_eq!(auth(Profile::Ejbca), "C=DEV, CN=HOME");
        assert_eq!(
            sign(Profile::Basic),
            "CN=Land Board, O=Land Board, businessCategory=GOV, C=EE, serialNumber=M2"
        );
        assert_eq!(sign(Profile::Fo), "C=FO, O=DEV, OU=GOV, CN=M2, serialNumber=DEV/GOV/M2/HOME");
        assert_eq!(auth(Profile::Is), "C=IS, CN=home.land.example, serialNumber=DEV/GOV/M2/HOME");
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        let odd = ServerId { owner: MemberId::new("DEV", "GOV", "M2"), code: "A/B".to_owned() };
        let answer = Subject::of_member(Profile::FiVrk, &odd.owner, &odd, &details());
        assert!(matches!(answer, Err(NamingError::Unfit { what: "server code", .. })));
        let none = Subject::of_server(Profile::FiVrk, &server(), &Details::default());
        assert_eq!(none, Err(NamingError::Needed("the organisation's name")));
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        der::sequence([der::write(tag::OID, oid), der::write(tag, value)])
    }

    #[test]
    fn requested_subjects_are_read_or_refused() {
        let cn = attribute(&[0x55, 4, 3], 0x0c, "Põld".as_bytes());
        let id = attribute(&[0x55, 4, 97], 0x13, b"NTREE-1");
        let name = der::sequence([der::constructed(tag::SET, [&cn]), der::constructed(tag::SET, [&id])]);
        assert_eq!(Subject::from_der(&name).unwrap().to_string(), "CN=Põld, organizationIdentifier=NTREE-1");
        let twice = der::sequence([der::constructed(tag::SET, [&cn]), der::constructed(tag::SET, [&cn])]);
        assert_eq!(
            Subject::from_der(&twice),
            Err(NamingError::NotTaken("it has two values of CN".to_owned()))
        );
        let joined = der::sequence([der::constructed(tag::SET, [&cn, &id])]);
        assert!(Subject::from_der(&joined).is_err());
        let empty_set = der::sequence([der::write(tag::SET, &[])]);
        assert!(Subject::from_der(&empty_set).is_err());
        let old = attribute(&[0x55, 4, 3], 0x14, b"T61");
        assert!(Subject::from_der(&der::sequence([der::constructed(tag::SET, [&old])])).is_err());
    }

    #[test]
    fn object_identifiers_are_read() {
        assert_eq!(oid_numbers(&[0x55, 4, 97]), Some(vec![2, 5, 4, 97]));
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        assert_eq!(oid_numbers(&email), Some(vec![1, 2, 840, 113_549, 1, 9, 1]));
        assert_eq!(oid_numbers(&[0x55, 0x84]), None);
        assert_eq!(oid_numbers(&[]), None);
    }

    #[test]
    fn profiles_go_by_their_short_names() {
        for profile in PROFILES {
            assert_eq!(profile_by_name(&short_name(profile).to_lowercase()), Some(profile));
        }
        assert_eq!(profile_by_name("none"), None);
    }
}
