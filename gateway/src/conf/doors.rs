//! In which order the security servers of a provider are asked.

use saatkond_proto::id::{ClientId, MemberId, ServerId};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use std::str::FromStr;

/// Which security server of a provider is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The one preferred; those that nothing is said of as the global configuration lists them.
    Given,
    /// The one that connects first, as X-Road does.
    Fastest,
}

/// The servers of one provider, the preferred first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferred {
    /// Who provides: a subsystem, or a member for itself and all of its subsystems.
    #[serde(deserialize_with = "id")]
    pub provider: ClientId,
    /// Its servers.
    #[serde(deserialize_with = "ids")]
    pub servers: Vec<ServerId>,
}

impl Preferred {
    /// How closely this speaks of `client`: 2 of exactly it, 1 of its member, `None` of others.
    #[must_use]
    pub fn closeness(&self, client: &ClientId) -> Option<u8> {
        let of_member =
            |member: &MemberId| self.provider.subsystem.is_none() && self.provider.member == *member;
        if self.provider == *client { Some(2) } else { of_member(&client.member).then_some(1) }
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>, E: de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|error: T::Err| E::custom(error))
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ServerId>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_speaks_for_its_subsystems_and_a_subsystem_for_itself() {
        let text = "provider = \"DEV/GOV/M2\"\nservers = [\"DEV/GOV/M2/HOME\", \"DEV/GOV/M2/EMBASSY\"]\n";
        let preferred: Preferred = toml::from_str(text).unwrap();
        let closeness = |client: &str| preferred.closeness(&client.parse().unwrap());
        assert_eq!(closeness("DEV/GOV/M2/LAND"), Some(1));
        assert_eq!(closeness("DEV/GOV/M2"), Some(2));
        assert_eq!(closeness("DEV/GOV/M3/LAND"), None);
        let of_one = Preferred { provider: "DEV/GOV/M2/LAND".parse().unwrap(), ..preferred };
        assert_eq!(of_one.closeness(&"DEV/GOV/M2/TAX".parse().unwrap()), None);
        assert!(toml::from_str::<Preferred>("provider = \"DEV\"\nservers = []\n").is_err());
    }
}
