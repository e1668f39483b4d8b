//! The policy as XML, element by element in one order; an attribute or element that is not expected is refused.

use super::NAMESPACE;
use super::access::{Access, ServiceAccess};
use super::class::{Class, Jurisdiction, Role};
use super::header;
use super::policy::{Operator, Policy, Register, Site};
use crate::globalconf::ParamsError;
use crate::globalconf::read::{Fields, simple, value};
use crate::globalconf::write::Sheet;
use crate::id::IdError;
use crate::limits;
use crate::message::endpoint::{Endpoint, PathGlob};
use crate::message::rest::Method;
use crate::xml::{self, XmlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::time::Duration;

impl Policy {
    /// Reads the part of `instance` and checks that it holds together.
    ///
    /// # Errors
    /// [`ParamsError`].
    pub fn from_xml(bytes: &[u8], instance: &str) -> Result<Self, ParamsError> {
        let document = xml::admit(xml::text(bytes)?, limits::CONTINUITY_BYTES_MAX)?;
        if let Some(node) = document.descendants().find(|node| node.attributes().next().is_some()) {
            let expected = format!("{} without attributes", node.tag_name().name());
            return Err(XmlError::Unexpected { expected, found: "one".to_owned() }.into());
        }
        let mut fields = Fields::of_root_within(document.root_element(), NAMESPACE, "continuity")?;
        let policy = Self {
            generation: parsed(fields.required("generation")?, "a number")?,
            sites: all(&mut fields, "site", site)?,
            registers: all(&mut fields, "register", register)?,
            operators: all(&mut fields, "operator", operator)?,
        };
        fields.end()?;
        policy.check(instance)?;
        Ok(policy)
    }

    /// Writes the part.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        let mut sheet = Sheet::begin_with("continuity", &[("xmlns", NAMESPACE)]);
        sheet.text("generation", &self.generation.to_string());
        for site in &self.sites {
            write_site(&mut sheet, site);
        }
        for register in &self.registers {
            write_register(&mut sheet, register);
        }
        for operator in &self.operators {
            sheet.open("operator");
            sheet.text("name", &operator.name);
            sheet.text("key", &STANDARD.encode(operator.key));
            sheet.close("operator");
        }
        sheet.finish()
    }
}

fn all<T>(
    fields: &mut Fields<'_, '_>,
    name: &str,
    read: impl FnMut(Node<'_, '_>) -> Result<T, ParamsError>,
) -> Result<Vec<T>, ParamsError> {
    fields.many(name).into_iter().map(read).collect()
}

fn parsed<T: std::str::FromStr>(node: Node<'_, '_>, expected: &'static str) -> Result<T, ParamsError> {
    let text = simple(node)?;
    text.trim().parse().map_err(|_| value(node, expected, &text))
}

fn word<T>(
    node: Node<'_, '_>,
    read: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, ParamsError> {
    let text = simple(node)?;
    read(text.trim()).ok_or_else(|| value(node, expected, &text))
}

fn name(node: Node<'_, '_>) -> Result<String, ParamsError> {
    Ok(simple(node)?.trim().to_owned())
}

fn id<T>(node: Node<'_, '_>, read: impl Fn(&str) -> Result<T, IdError>) -> Result<T, ParamsError> {
    word(node, |text| read(text).ok(), "an identifier, its parts percent-encoded between slashes")
}

fn span(node: Node<'_, '_>) -> Result<Duration, ParamsError> {
    word(node, header::from_seconds, "seconds, such as 5 or 0.5")
}

fn site(node: Node<'_, '_>) -> Result<Site, ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let site = Site {
        id: name(fields.required("id")?)?,
        role: word(fields.required("role")?, Role::from_text, "home, embassy, mission or cloud")?,
        jurisdiction: word(
            fields.required("jurisdiction")?,
            Jurisdiction::from_text,
            "territory, embassy-agreement:HOST:TREATY, mission:HOST or commercial:REGION",
        )?,
        servers: all(&mut fields, "server", |node| id(node, crate::id::ServerId::from_path))?,
        relay: all(&mut fields, "relay", name)?,
    };
    fields.end()?;
    Ok(site)
}

fn register(node: Node<'_, '_>) -> Result<Register, ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let register = Register {
        id: id(fields.required("id")?, crate::id::ClientId::from_path)?,
        class: word(
            fields.required("class")?,
            Class::from_text,
            "PUBLIC, INTERNAL, RESTRICTED or HOME_ONLY",
        )?,
        services: all(&mut fields, "service", service)?,
        succession: all(&mut fields, "succession", name)?,
        live: fields.optional("live").map(live).transpose()?,
        staleness: span(fields.required("staleness")?)?,
        staleness_max: span(fields.required("stalenessMax")?)?,
        read_shares: all(&mut fields, "readShare", read_share)?,
        refresh: span(fields.required("refresh")?)?,
    };
    fields.end()?;
    Ok(register)
}

fn live(node: Node<'_, '_>) -> Result<Vec<String>, ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let sites = all(&mut fields, "site", name)?;
    fields.end()?;
    Ok(sites)
}

fn read_share(node: Node<'_, '_>) -> Result<(String, u8), ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let share =
        (name(fields.required("site")?)?, parsed(fields.required("hundredths")?, "a number up to 100")?);
    fields.end()?;
    Ok(share)
}

fn service(node: Node<'_, '_>) -> Result<ServiceAccess, ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let code = fields.text("code")?;
    let version = fields.optional_text("version")?;
    let method = fields.optional("method").map(|node| word(node, Method::from_name, "a method of HTTP"));
    let method = method.transpose()?;
    let path = fields.optional_text("path")?;
    let access = word(fields.required("access")?, Access::from_text, "read or write")?;
    fields.end()?;
    let endpoint = (method.is_some() || path.is_some())
        .then(|| Endpoint { method, path: PathGlob::new(path.unwrap_or_else(|| "**".to_owned())) });
    Ok(ServiceAccess { code, version, endpoint, access })
}

fn operator(node: Node<'_, '_>) -> Result<Operator, ParamsError> {
    let mut fields = Fields::within(node, NAMESPACE)?;
    let name = name(fields.required("name")?)?;
    let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
    let key = word(fields.required("key")?, key, "an Ed25519 public key, 32 octets in base64")?;
    fields.end()?;
    Ok(Operator { name, key })
}

fn write_site(sheet: &mut Sheet, site: &Site) {
    sheet.open("site");
    sheet.text("id", &site.id);
    sheet.text("role", site.role.text());
    sheet.text("jurisdiction", &site.jurisdiction.to_string());
    for server in &site.servers {
        sheet.text("server", &server.to_path());
    }
    for address in &site.relay {
        sheet.text("relay", address);
    }
    sheet.close("site");
}

fn write_register(sheet: &mut Sheet, register: &Register) {
    sheet.open("register");
    sheet.text("id", &register.id.to_path());
    sheet.text("class", register.class.text());
    for service in &register.services {
        write_service(sheet, service);
    }
    for site in &register.succession {
        sheet.text("succession", site);
    }
    if let Some(live) = &register.live {
        sheet.open("live");
        for site in live {
            sheet.text("site", site);
        }
        sheet.close("live");
    }
    sheet.text("staleness", &header::seconds(register.staleness));
    sheet.text("stalenessMax", &header::seconds(register.staleness_max));
    for (site, share) in &register.read_shares {
        sheet.open("readShare");
        sheet.text("site", site);
        sheet.text("hundredths", &share.to_string());
        sheet.close("readShare");
    }
    sheet.text("refresh", &header::seconds(register.refresh));
    sheet.close("register");
}

fn write_service(sheet: &mut Sheet, service: &ServiceAccess) {
    sheet.open("service");
    sheet.text("code", &service.code);
    sheet.optional_text("version", service.version.as_deref());
    if let Some(endpoint) = &service.endpoint {
        sheet.optional_text("method", endpoint.method.map(Method::name));
        sheet.text("path", &endpoint.path.to_string());
    }
    sheet.text("access", service.access.text());
    sheet.close("service");
}
