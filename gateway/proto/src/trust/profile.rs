//! Which member a certificate names.
//!
//! Spec: trust-and-configuration §3.3, message-path §4.3.

use super::Certificate;
use super::name::{Name, attribute};
use crate::id::{MemberId, ServerId};

/// How an authority writes members into subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `businessCategory` and `serialNumber`.
    Basic,
    /// As [`Profile::Basic`], for authorities that are asked over ACME.
    BasicAcme,
    /// `C`, `O`, `CN`.
    Ejbca,
    /// Finland.
    FiVrk,
    /// The Faroe Islands.
    Fo,
    /// Iceland.
    Is,
    /// Estonia, organisations.
    SkKlass3,
    /// Estonia, persons.
    SkEsteId,
}

/// A subject that names no member under the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The authority names a profile that is not known here.
    #[error("the certificate profile of {ca:?} is not known")]
    Unknown {
        /// The approved authority's name.
        ca: String,
    },
    /// An attribute that the profile needs is missing.
    #[error("certificate subject has no {attribute}")]
    Missing {
        /// Its short name.
        attribute: &'static str,
    },
    /// Two values for one attribute. Ours: which of them names the member is ambiguous.
    #[error("certificate subject has {found} values of {attribute}, expected one")]
    Ambiguous {
        /// Its short name.
        attribute: &'static str,
        /// How many values it has.
        found: usize,
    },
    /// A value that names another server.
    #[error("certificate subject has {attribute} {found:?}, expected {expected:?}")]
    Server {
        /// Its short name.
        attribute: &'static str,
        /// What names the server.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A value that the profile does not allow.
    #[error("certificate subject has {attribute} {found:?}, expected {expected}")]
    Value {
        /// Its short name.
        attribute: &'static str,
        /// What the profile wants.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

/// The class of a profile. Seen: X-Road 7.8.
macro_rules! class {
    ($name:literal) => {
        concat!("ee.ria.xroad.common.certificateprofile.impl.", $name, "CertificateProfileInfoProvider")
    };
}

/// Profiles and the Java classes that shared parameters name.
const CLASSES: [(Profile, &str); 8] = [
    (Profile::Basic, class!("Basic")),
    (Profile::BasicAcme, class!("BasicACME")),
    (Profile::Ejbca, class!("Ejbca")),
    (Profile::FiVrk, class!("FiVRK")),
    (Profile::Fo, class!("Fo")),
    (Profile::Is, class!("Is")),
    (Profile::SkKlass3, class!("SkKlass3")),
    (Profile::SkEsteId, class!("SkEsteId")),
];

/// An attribute type that profiles use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its short name.
    pub name: &'static str,
    /// Content octets of its object identifier.
    pub oid: &'static [u8],
}

const C: Attribute = Attribute { name: "C", oid: attribute::COUNTRY };
const O: Attribute = Attribute { name: "O", oid: attribute::ORGANIZATION };
const OU: Attribute = Attribute { name: "OU", oid: attribute::ORGANIZATIONAL_UNIT };
const CN: Attribute = Attribute { name: "CN", oid: attribute::COMMON_NAME };
const SERIAL: Attribute = Attribute { name: "serialNumber", oid: attribute::SERIAL_NUMBER };
const CATEGORY: Attribute = Attribute { name: "businessCategory", oid: attribute::BUSINESS_CATEGORY };
const ORG_ID: Attribute =
    Attribute { name: "organizationIdentifier", oid: attribute::ORGANIZATION_IDENTIFIER };

impl Profile {
    /// By the Java class name that shared parameters carry; the whole name counts.
    #[must_use]
    pub fn from_class_name(name: &str) -> Option<Self> {
        CLASSES.iter().find(|(_, class)| *class == name).map(|(profile, _)| *profile)
    }

    /// The Java class name.
    #[must_use]
    pub fn class_name(self) -> &'static str {
        CLASSES.iter().find(|(profile, _)| *profile == self).map_or("", |(_, class)| class)
    }

    /// The member that a sign certificate names; `expected` gives the instance where the subject has none.
    ///
    /// The authority must be one that the instance of `expected` approves: with profiles that name no instance it
    /// could else vouch for members of another.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn member_of(self, cert: &Certificate, expected: &MemberId) -> Result<MemberId, ProfileError> {
        let subject = Subject(cert.subject_name());
        let here = expected.instance.as_str();
        match self {
            Self::Basic | Self::BasicAcme => {
                Ok(MemberId::new(here, subject.one(CATEGORY)?, subject.one(SERIAL)?))
            }
            Self::Ejbca => subject.ejbca(),
            Self::FiVrk => subject.finnish(),
            Self::Fo => subject.nordic("FO"),
            Self::Is if !subject.has(SERIAL) && !subject.has(OU) => subject.ejbca(),
            Self::Is => subject.nordic("IS"),
            Self::SkKlass3 => subject.estonian(here),
            Self::SkEsteId => Ok(MemberId::new(here, "PERSON", subject.one(SERIAL)?)),
        }
    }

    /// Whether the subject of an authentication certificate names this server, as far as the profile has it do so.
    ///
    /// Spec: trust-and-configuration §3.3.
    ///
    /// # Errors
    /// [`ProfileError`] with what was expected.
    pub fn names_server(self, cert: &Certificate, server: &ServerId) -> Result<(), ProfileError> {
        let subject = Subject(cert.subject_name());
        let owner = &server.owner;
        let short = || format!("{}/{}/{}/{}", owner.instance, owner.class, owner.code, server.code);
        match self {
            Self::Ejbca => {
                subject.names(C, owner.instance.clone())?;
                subject.names(CN, server.code.clone())
            }
            Self::FiVrk => {
                subject.names(SERIAL, format!("{}/{}/{}", owner.instance, server.code, owner.class))
            }
            Self::Basic | Self::BasicAcme | Self::SkKlass3 => subject.names(SERIAL, owner.code.clone()),
            Self::Fo => subject.names(CN, short()),
            Self::Is => subject.names(SERIAL, short()),
            Self::SkEsteId => Ok(()),
        }
    }
}

/// A subject under a profile's eyes.
struct Subject<'a>(&'a Name);

impl Subject<'_> {
    fn has(&self, attribute: Attribute) -> bool {
        !self.0.values(attribute.oid).is_empty()
    }

    /// The one value of an attribute.
    fn one(&self, attribute: Attribute) -> Result<String, ProfileError> {
        let mut values = self.0.values(attribute.oid);
        match (values.pop(), values.len()) {
            (Some(value), 0) if value.is_empty() => Err(wrong(attribute, "some text", value)),
            (Some(value), 0) => Ok(value),
            (None, _) => Err(ProfileError::Missing { attribute: attribute.name }),
            (Some(_), more) => Err(ProfileError::Ambiguous { attribute: attribute.name, found: more + 1 }),
        }
    }

    fn names(&self, attribute: Attribute, expected: String) -> Result<(), ProfileError> {
        let found = self.one(attribute)?;
        if found == expected {
            Ok(())
        } else {
            Err(ProfileError::Server { attribute: attribute.name, expected, found })
        }
    }

    fn must_be(&self, attribute: Attribute, expected: &'static str) -> Result<(), ProfileError> {
        let found = self.one(attribute)?;
        if found == expected { Ok(()) } else { Err(wrong(attribute, expected, found)) }
    }

    fn ejbca(&self) -> Result<MemberId, ProfileError> {
        Ok(MemberId::new(self.one(C)?, self.one(O)?, self.one(CN)?))
    }

    /// The Faroe Islands and Iceland.
    fn nordic(&self, country: &'static str) -> Result<MemberId, ProfileError> {
        self.must_be(C, country)?;
        self.one(SERIAL)?;
        Ok(MemberId::new(self.one(O)?, self.one(OU)?, self.one(CN)?))
    }

    /// Spec: trust-and-configuration §3.3.1.
    fn finnish(&self) -> Result<MemberId, ProfileError> {
        if !self.has(SERIAL) {
            if !self.has(OU) {
                return self.ejbca();
            }
            self.must_be(C, "FI")?;
            return Ok(MemberId::new(self.one(O)?, self.one(OU)?, self.one(CN)?));
        }
        self.must_be(C, "FI")?;
        self.one(O)?;
        let serial = self.one(SERIAL)?;
        // Java's split drops empty pieces at the end.
        let pieces: Vec<&str> = serial.trim_end_matches('/').split('/').collect();
        match pieces[..] {
            [instance, _, class] if !instance.is_empty() && !class.is_empty() => {
                Ok(MemberId::new(instance, class, self.one(CN)?))
            }
            _ => Err(wrong(SERIAL, "instance/server/class", serial)),
        }
    }

    /// Spec: trust-and-configuration §3.3.2.
    fn estonian(&self, instance: &str) -> Result<MemberId, ProfileError> {
        if self.has(ORG_ID) {
            let value = self.one(ORG_ID)?;
            let known = [("NTREE-", "COM"), ("GO:EE-", "GOV"), ("NP:EE-", "NGO")];
            let found = known.iter().find_map(|(prefix, class)| {
                value.strip_prefix(prefix).filter(|code| !code.is_empty()).map(|code| (*class, code))
            });
            let (class, code) = found.unwrap_or(("NEE", &value));
            return Ok(MemberId::new(instance, class, code));
        }
        let serial = self.one(SERIAL)?;
        let class = match (serial.chars().count(), serial.as_bytes().first()) {
            (8, Some(b'1'..=b'6')) => "COM",
            (8, Some(b'7')) => "GOV",
            (8, Some(b'8' | b'9')) => "NGO",
            _ => return Err(wrong(SERIAL, "8 characters, the first of them 1 to 9", serial)),
        };
        Ok(MemberId::new(instance, class, serial))
    }
}

const fn wrong(attribute: Attribute, expected: &'static str, found: String) -> ProfileError {
    ProfileError::Value { attribute: attribute.name, expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::testing::{Draft, name, vectors};

    fn read(profile: Profile, subject: &[(Attribute, &str)]) -> Result<MemberId, ProfileError> {
        let pairs: Vec<(&[u8], &str)> = subject.iter().map(|(a, value)| (a.oid, *value)).collect();
        let mut draft = Draft::signing("profile");
        draft.subject = name(&pairs);
        let party = draft.self_signed();
        profile.member_of(&party.certificate, &MemberId::new("HERE", "ANY", "ANY"))
    }

    #[test]
    fn every_class_is_known_by_its_whole_name() {
        for (profile, class) in CLASSES {
            assert_eq!(profile.class_name(), class);
            assert_eq!(Profile::from_class_name(class), Some(profile));
        }
        assert_eq!(Profile::from_class_name("BasicCertificateProfileInfoProvider"), None);
        assert_eq!(Profile::from_class_name(&Profile::Is.class_name().to_lowercase()), None);
    }

    #[test]
    fn subjects_name_members() {
        use Profile::{Basic, BasicAcme, Ejbca, FiVrk, Fo, Is, SkEsteId, SkKlass3};
        let server = "DEV/GOV/M1/SS1";
        let rows = [
            (Basic, vec![(CN, "Name"), (CATEGORY, "GOV"), (SERIAL, "M1")], "HERE/GOV/M1"),
            (BasicAcme, vec![(CN, "Name"), (CATEGORY, "GOV"), (SERIAL, "M1")], "HERE/GOV/M1"),
            (Ejbca, vec![(C, "DEV"), (O, "GOV"), (CN, "M1")], "DEV/GOV/M1"),
            (
                FiVrk,
                vec![(C, "FI"), (O, "Test client"), (CN, "4321"), (SERIAL, "DEV/ss2/COM")],
                "DEV/COM/4321",
            ),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "4321"), (SERIAL, "DEV/ss2/COM//")], "DEV/COM/4321"),
            (FiVrk, vec![(C, "FI"), (O, "DEV"), (OU, "GOV"), (CN, "M1")], "DEV/GOV/M1"),
            (FiVrk, vec![(C, "DEV"), (O, "GOV"), (CN, "M1")], "DEV/GOV/M1"),
            (Fo, vec![(C, "FO"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, server)], "DEV/GOV/M1"),
            (Is, vec![(C, "IS"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, server)], "DEV/GOV/M1"),
            (Is, vec![(C, "DEV"), (O, "GOV"), (CN, "M1")], "DEV/GOV/M1"),
            (SkKlass3, vec![(ORG_ID, "NTREE-12345678"), (SERIAL, "70000000")], "HERE/COM/12345678"),
            (SkKlass3, vec![(ORG_ID, "GO:EE-1")], "HERE/GOV/1"),
            (SkKlass3, vec![(ORG_ID, "NP:EE-1")], "HERE/NGO/1"),
            (SkKlass3, vec![(ORG_ID, "VATEE-1")], "HERE/NEE/VATEE-1"),
            (SkKlass3, vec![(SERIAL, "10000000")], "HERE/COM/10000000"),
            (SkKlass3, vec![(SERIAL, "6abcdefg")], "HERE/COM/6abcdefg"),
            (SkKlass3, vec![(SERIAL, "70000000")], "HERE/GOV/70000000"),
            (SkKlass3, vec![(SERIAL, "90000000")], "HERE/NGO/90000000"),
            (SkEsteId, vec![(CN, "x"), (SERIAL, "37001010000")], "HERE/PERSON/37001010000"),
        ];
        for (profile, subject, expected) in rows {
            let found = read(profile, &subject).map(|m| format!("{}/{}/{}", m.instance, m.class, m.code));
            assert_eq!(found.as_deref(), Ok(expected), "{profile:?} {subject:?}");
        }
    }

    #[test]
    fn a_missing_attribute_is_refused() {
        use Profile::{Basic, Ejbca, FiVrk, Fo, Is, SkEsteId, SkKlass3};
        let rows = [
            (Basic, vec![(CN, "Name"), (SERIAL, "M1")], "businessCategory"),
            (Basic, vec![(CN, "Name"), (CATEGORY, "GOV")], "serialNumber"),
            (Ejbca, vec![(C, "DEV"), (CN, "M1")], "O"),
            (FiVrk, vec![(C, "FI"), (CN, "M1"), (SERIAL, "DEV/ss2/COM")], "O"),
            (FiVrk, vec![(C, "FI"), (O, "x"), (SERIAL, "DEV/ss2/COM")], "CN"),
            (Fo, vec![(C, "FO"), (O, "DEV"), (OU, "GOV"), (CN, "M1")], "serialNumber"),
            (Is, vec![(C, "IS"), (O, "DEV"), (CN, "M1"), (SERIAL, "x")], "OU"),
            (Is, vec![(C, "IS"), (O, "DEV"), (OU, "GOV"), (CN, "M1")], "serialNumber"),
            (SkKlass3, vec![(CN, "x")], "serialNumber"),
            (SkEsteId, vec![(CN, "x")], "serialNumber"),
        ];
        for (profile, subject, attribute) in rows {
            assert_eq!(read(profile, &subject), Err(ProfileError::Missing { attribute }), "{profile:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused() {
        use Profile::{Ejbca, FiVrk, Fo, Is, SkKlass3};
        let rows = [
            (Ejbca, vec![(C, "DEV"), (O, ""), (CN, "M1")]),
            (FiVrk, vec![(C, "SE"), (O, "x"), (CN, "1"), (SERIAL, "DEV/ss2/COM")]),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "1"), (SERIAL, "DEV/ss2")]),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "1"), (SERIAL, "///")]),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "1"), (SERIAL, "/ss2/COM")]),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "1"), (SERIAL, "DEV/ss2/COM/x")]),
            (FiVrk, vec![(C, "SE"), (O, "DEV"), (OU, "GOV"), (CN, "M1")]),
            (Fo, vec![(C, "DK"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, "x")]),
            (Is, vec![(C, "FO"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, "x")]),
            (SkKlass3, vec![(SERIAL, "00000000")]),
            (SkKlass3, vec![(SERIAL, "1234567")]),
            (SkKlass3, vec![(SERIAL, "x2345678")]),
        ];
        for (profile, subject) in rows {
            let found = read(profile, &subject);
            assert!(matches!(found, Err(ProfileError::Value { .. })), "{profile:?} {subject:?}: {found:?}");
        }
    }

    #[test]
    fn two_values_for_one_attribute_are_refused() {
        use Profile::{Basic, Ejbca, FiVrk, Fo, Is, SkEsteId, SkKlass3};
        let rows = [
            (Basic, vec![(CATEGORY, "GOV"), (SERIAL, "M1")], CATEGORY),
            (Basic, vec![(CATEGORY, "GOV"), (SERIAL, "M1")], SERIAL),
            (Ejbca, vec![(C, "DEV"), (O, "GOV"), (CN, "M1")], CN),
            (FiVrk, vec![(C, "FI"), (O, "x"), (CN, "M1"), (SERIAL, "DEV/ss2/COM")], SERIAL),
            (FiVrk, vec![(C, "FI"), (O, "DEV"), (OU, "GOV"), (CN, "M1")], OU),
            (Fo, vec![(C, "FO"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, "x")], O),
            (Is, vec![(C, "IS"), (O, "DEV"), (OU, "GOV"), (CN, "M1"), (SERIAL, "x")], C),
            (SkKlass3, vec![(ORG_ID, "GO:EE-1")], ORG_ID),
            (SkEsteId, vec![(SERIAL, "1")], SERIAL),
        ];
        for (profile, subject, twice) in rows {
            let value = subject.iter().find(|(a, _)| *a == twice).unwrap().1;
            let mut subject = subject.clone();
            assert!(read(profile, &subject).is_ok());
            subject.push((twice, value));
            let expected = Err(ProfileError::Ambiguous { attribute: twice.name, found: 2 });
            assert_eq!(read(profile, &subject), expected, "{profile:?} {}", twice.name);
        }
    }

    #[test]
    fn a_server_is_named_as_each_profile_has_it() {
        let server = ServerId { owner: MemberId::new("DEV", "GOV", "M1"), code: "SS1".into() };
        let rows: [(Profile, Vec<(Attribute, &str)>); 8] = [
            (Profile::Basic, vec![(CN, "ss1.example"), (SERIAL, "M1")]),
            (Profile::BasicAcme, vec![(SERIAL, "M1")]),
            (Profile::Ejbca, vec![(C, "DEV"), (CN, "SS1")]),
            (Profile::FiVrk, vec![(C, "FI"), (SERIAL, "DEV/SS1/GOV"), (CN, "ss1.example")]),
            (Profile::Fo, vec![(C, "FO"), (CN, "DEV/GOV/M1/SS1")]),
            (Profile::Is, vec![(C, "IS"), (SERIAL, "DEV/GOV/M1/SS1")]),
            (Profile::SkKlass3, vec![(SERIAL, "M1")]),
            (Profile::SkEsteId, vec![(CN, "anybody")]),
        ];
        let other = ServerId { owner: MemberId::new("OTHER", "COM", "M2"), code: "SS2".into() };
        for (profile, subject) in rows {
            let pairs: Vec<(&[u8], &str)> = subject.iter().map(|(a, v)| (a.oid, *v)).collect();
            let mut draft = Draft::signing("server");
            draft.subject = name(&pairs);
            let cert = draft.self_signed().certificate;
            assert_eq!(profile.names_server(&cert, &server), Ok(()), "{profile:?}");
            let is_other = matches!(profile.names_server(&cert, &other), Err(ProfileError::Server { .. }));
            assert_eq!(is_other, profile != Profile::SkEsteId, "{profile:?}");
        }
    }

    #[test]
    fn a_recorded_sign_certificate_names_its_member() {
        let Some(folder) = vectors() else { return };
        let pem = std::fs::read_to_string(folder.join("xroad-recorded/materials/keys/rsa-ss1-sign.crt"));
        let cert = crate::trust::testing::from_pem(&pem.unwrap());
        let expected = MemberId::new("DEV", "GOV", "M1");
        let params = folder.join("xroad-recorded/materials/globalconf/DEV/shared-params.xml");
        let params = std::fs::read_to_string(params).unwrap();
        let (_, after) = params.split_once("<certificateProfileInfo>").unwrap();
        let profile = Profile::from_class_name(after.split_once('<').unwrap().0).unwrap();
        assert_eq!(profile.member_of(&cert, &expected), Ok(expected));
    }
}
