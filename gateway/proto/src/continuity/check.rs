//! What must hold in a policy before anything goes by it.

use super::class::{Jurisdiction, Role, Ruling, Use, ruling};
use super::policy::{Policy, PolicyError, Register, Site};
use crate::id::MemberId;
use crate::limits;
use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

/// An entry, to say where something is wrong.
struct Place(String);

impl Place {
    fn wrong(&self, reason: impl Into<String>) -> PolicyError {
        PolicyError { entry: self.0.clone(), reason: reason.into() }
    }

    fn expect(&self, holds: bool, reason: impl FnOnce() -> String) -> Result<(), PolicyError> {
        if holds { Ok(()) } else { Err(self.wrong(reason())) }
    }

    fn at_most(&self, what: &str, found: usize, allowed: usize) -> Result<(), PolicyError> {
        self.expect(found <= allowed, || format!("has {found} {what}, at most {allowed} are read"))
    }

    fn name(&self, name: &str) -> Result<(), PolicyError> {
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let fits = (1..=limits::CONTINUITY_NAME_BYTES_MAX).contains(&name.len());
        self.expect(is_plain && fits && name != "." && name != "..", || {
            "expected a name of 1 to 64 letters, digits, hyphens, underscores and dots".to_owned()
        })
    }

    fn once<T: Eq + Hash>(&self, what: &str, all: impl IntoIterator<Item = T>) -> Result<(), PolicyError> {
        let mut seen = HashSet::new();
        self.expect(all.into_iter().all(|one| seen.insert(one)), || format!("{what} stands there twice"))
    }

    fn of_instance(&self, instance: &str, member: &MemberId) -> Result<(), PolicyError> {
        self.expect(member.instance == instance, || {
            format!("{member} is of instance {}, expected {instance}", member.instance)
        })
    }
}

impl Policy {
    /// Checks that the policy of `instance` holds together: what it names it has, and no class is broken.
    ///
    /// # Errors
    /// [`PolicyError`] names the entry and what is wrong with it.
    pub fn check(&self, instance: &str) -> Result<(), PolicyError> {
        let whole = Place("continuity".to_owned());
        whole.expect(self.generation > 0, || "generation is 0, expected 1 or more".to_owned())?;
        whole.at_most("sites", self.sites.len(), limits::CONTINUITY_SITES_MAX)?;
        whole.at_most("registers", self.registers.len(), limits::CONTINUITY_REGISTERS_MAX)?;
        whole.at_most("operators", self.operators.len(), limits::CONTINUITY_OPERATORS_MAX)?;
        whole.once("a site", self.sites.iter().map(|site| &site.id))?;
        whole.once("a server of two sites", self.sites.iter().flat_map(|site| &site.servers))?;
        whole.once("a register", self.registers.iter().map(|register| &register.id))?;
        whole.once("an operator's name", self.operators.iter().map(|operator| &operator.name))?;
        whole.once("an operator's key", self.operators.iter().map(|operator| operator.key))?;
        for site in &self.sites {
            check_site(instance, site)?;
        }
        for register in &self.registers {
            self.check_register(instance, register)?;
        }
        for operator in &self.operators {
            Place(format!("operator {}", operator.name)).name(&operator.name)?;
        }
        Ok(())
    }

    fn check_register(&self, instance: &str, register: &Register) -> Result<(), PolicyError> {
        let place = Place(format!("register {}", register.id));
        place.of_instance(instance, &register.id.member)?;
        place.expect(register.id.subsystem.is_some(), || "expected a subsystem, not a member".to_owned())?;
        self.check_succession(&place, register)?;
        for id in register.live.iter().flatten() {
            self.check_use(&place, register, Use::Copy, id)?;
        }
        place.once("a site in `live`", register.live.iter().flatten())?;
        check_spans(&place, register)?;
        self.check_shares(&place, register)?;
        place.expect(register.services.iter().all(|s| !s.code.trim().is_empty()), || {
            "a service has no code".to_owned()
        })?;
        place.at_most("services", register.services.len(), limits::CONTINUITY_SERVICES_MAX)?;
        place.once("a service", register.services.iter().map(|s| (&s.code, &s.version, &s.endpoint)))
    }

    fn check_succession(&self, place: &Place, register: &Register) -> Result<(), PolicyError> {
        let Some(first) = register.home() else {
            return Err(place.wrong("succession is empty, expected the sites that may lead, home first"));
        };
        place.once("a site in `succession`", &register.succession)?;
        for id in &register.succession {
            self.check_use(place, register, Use::Authority, id)?;
            place.expect(register.is_live_at(id), || {
                format!("site {id} may lead and is not in `live`: who leads has a copy")
            })?;
        }
        let is_home = self.site(first).is_some_and(|site| site.role == Role::Home);
        place.expect(is_home, || format!("succession begins with {first}, expected a site of role home"))
    }

    fn check_shares(&self, place: &Place, register: &Register) -> Result<(), PolicyError> {
        place.once("a site in `read_shares`", register.read_shares.iter().map(|(id, _)| id))?;
        for (id, _) in &register.read_shares {
            self.check_use(place, register, Use::Copy, id)?;
            place
                .expect(register.is_live_at(id), || format!("site {id} has a read share and no live copy"))?;
        }
        let sum: u32 = register.read_shares.iter().map(|(_, share)| u32::from(*share)).sum();
        place.expect(register.read_shares.is_empty() || sum == 100, || {
            format!("read shares add up to {sum}, expected 100")
        })
    }

    /// The site is there, and no rule forbids the use whatever else is given.
    fn check_use(
        &self,
        place: &Place,
        register: &Register,
        what: Use,
        site: &str,
    ) -> Result<(), PolicyError> {
        let Some(site) = self.site(site) else {
            return Err(place.wrong(format!("site {site:?} is not among the sites")));
        };
        match ruling(register.class, what, &site.jurisdiction) {
            Ruling::Yes | Ruling::IfNamed | Ruling::ByMandate => Ok(()),
            Ruling::No => Err(place.wrong(format!(
                "its class {} forbids {what} at site {} ({})",
                register.class, site.id, site.jurisdiction
            ))),
        }
    }
}

fn check_site(instance: &str, site: &Site) -> Result<(), PolicyError> {
    let place = Place(format!("site {}", site.id));
    place.name(&site.id)?;
    let agrees = matches!(
        (site.role, &site.jurisdiction),
        (Role::Home, Jurisdiction::Territory)
            | (Role::Embassy, Jurisdiction::EmbassyAgreement { .. })
            | (Role::Mission, Jurisdiction::Mission { .. })
            | (Role::Cloud, Jurisdiction::Commercial { .. })
    );
    place.expect(agrees, || {
        format!(
            "role {} and jurisdiction {} disagree, expected home with territory, embassy with embassy-agreement, \
             mission with mission, cloud with commercial",
            site.role, site.jurisdiction
        )
    })?;
    place.at_most("servers", site.servers.len(), limits::CONTINUITY_SERVERS_MAX)?;
    for server in &site.servers {
        place.of_instance(instance, &server.owner)?;
    }
    place.at_most("relay addresses", site.relay.len(), limits::CONTINUITY_RELAYS_MAX)?;
    place.once("a relay address", &site.relay)?;
    for address in &site.relay {
        place.expect(is_host_and_port(address), || {
            format!("relay address {address:?}, expected host:port with [ ] around an IPv6 address")
        })?;
    }
    Ok(())
}

fn check_spans(place: &Place, register: &Register) -> Result<(), PolicyError> {
    let longest = Duration::from_secs(limits::CONTINUITY_SECS_MAX);
    let spans = [
        ("staleness", register.staleness),
        ("staleness_max", register.staleness_max),
        ("refresh", register.refresh),
    ];
    for (name, span) in spans {
        place.expect(span <= longest, || format!("{name} is {} s, at most a year", span.as_secs()))?;
    }
    place.expect(register.staleness <= register.staleness_max, || {
        format!(
            "staleness is {:?}, more than staleness_max: {:?}",
            register.staleness, register.staleness_max
        )
    })?;
    place.expect(register.refresh <= register.staleness_max, || {
        format!(
            "copies are refreshed every {:?} and may be {:?} old at most: none could ever answer",
            register.refresh, register.staleness_max
        )
    })
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit());
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let is_host = match bracketed {
        Some(inner) => inner.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        }
    };
    is_port && is_host
}
