//! GovStack's directory of an Information Mediator, told from X-Road's metaservices.
//!
//! Spec: GovStack Information Mediator, section 8.2 and its public test, `test/openAPI` of `bb-information-mediator`. Where
//! description and test differ the test decides: names of fields, `objectType` as an object, 400 for what is not there,
//! and an OpenAPI document as one JSON string. A segment of a path in double quotes stands for what is between them, as the
//! test sends some; of parameters of one name the last counts, for its client writes a query twice.

use super::{Metaservice, parameters};
use crate::globalconf::shared::Member;
use crate::id::{ClientId, MemberId, decode_segment};
use crate::message::json::{array, object, quote};
use serde::Deserialize;

/// The content type of every answer, errors too.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Headers that may name who asks, the first that holds an identifier counts: GovStack's two, then X-Road's own, in which
/// an adaptor says for whom it stands.
pub const CLIENT_HEADERS: [&str; 3] = ["information-mediator-client", "x-govstack-client", "x-road-client"];

/// A question to the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which members and applications there are.
    Clients {
        /// In this instance; in our own, if it is not said.
        instance: Option<String>,
    },
    /// Which services there are.
    Services {
        /// Of whom.
        provider: ClientId,
        /// [`Metaservice::ListMethods`] or [`Metaservice::AllowedMethods`].
        metaservice: Metaservice,
    },
    /// What describes a service.
    Description {
        /// Whose.
        provider: ClientId,
        /// Which.
        service: String,
    },
}

/// A list of services that no gateway makes.
#[derive(Debug, thiserror::Error)]
#[error("the provider's list of services is not read: {0}")]
pub struct ListError(#[from] serde_json::Error);

/// Services of a provider, as its `listMethods` or `allowedMethods` tells them.
#[derive(Debug, Deserialize)]
pub struct Services {
    service: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    member_class: String,
    member_code: String,
    subsystem_code: Option<String>,
    service_code: String,
    service_type: String,
    xroad_instance: String,
    #[serde(default)]
    endpoint_list: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    method: String,
    path: String,
}

impl Question {
    /// Reads a question: `listClients`, or `INSTANCE/CLASS/CODE/APPLICATION/` and the name of a metaservice.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(path: &str, query: &str) -> Result<Self, &'static str> {
        let parameter = |name: &str| parameters(query).rfind(|(n, _)| n == name).map(|(_, value)| value);
        let segments: Vec<_> = path.split('/').collect();
        if segments == ["listClients"] {
            return Ok(Self::Clients { instance: parameter("instanceId").filter(|i| !i.is_empty()) });
        }
        let [instance, class, code, application, name] = segments.as_slice() else {
            return Err("the path is neither listClients nor that of a provider and a metaservice");
        };
        let names = [instance, class, code, application].map(|segment| name_of(segment));
        let [Some(instance), Some(class), Some(code), Some(application)] = names else {
            return Err("the path has a segment that names nothing");
        };
        let provider = MemberId::new(instance, class, code).subsystem(application);
        match *name {
            "listMethods" => Ok(Self::Services { provider, metaservice: Metaservice::ListMethods }),
            "allowedMethods" => Ok(Self::Services { provider, metaservice: Metaservice::AllowedMethods }),
            "getOpenAPI" => match parameter("serviceCode").filter(|code| !code.is_empty()) {
                Some(service) => Ok(Self::Description { provider, service }),
                None => Err("the query has no serviceCode"),
            },
            _ => Err("the path does not end in listMethods, allowedMethods or getOpenAPI"),
        }
    }
}

fn name_of(segment: &str) -> Option<String> {
    let decoded = decode_segment(segment).ok()?;
    let inside = decoded.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&decoded);
    (!inside.is_empty()).then(|| inside.to_owned())
}

/// Members and applications of an instance.
#[must_use]
pub fn clients(members: &[Member]) -> String {
    let lines = members.iter().flat_map(|member| {
        let subsystems = member.subsystems.iter().map(|subsystem| Some(subsystem.code.as_str()));
        std::iter::once(None).chain(subsystems).map(|application| {
            let kind = if application.is_some() { "SUBSYSTEM" } else { "MEMBER" };
            let names = (member.id.instance.as_str(), member.id.class.as_str(), member.id.code.as_str());
            line(kind, names, application, Vec::new())
        })
    });
    object([("member", Some(array(lines)))])
}

/// One line of a list.
fn line(
    kind: &str,
    (instance, class, code): (&str, &str, &str),
    application: Option<&str>,
    more: Vec<(&str, Option<String>)>,
) -> String {
    let names = [
        ("objectType", Some(object([("object_type", Some(quote(kind)))]))),
        ("GovStackInstance", Some(quote(instance))),
        ("memberClass", Some(quote(class))),
        ("memberCode", Some(quote(code))),
        ("applicationCode", application.map(quote)),
    ];
    object(names.into_iter().chain(more))
}

impl Services {
    /// Reads the list of a provider's gateway.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn read(document: &[u8]) -> Result<Self, ListError> {
        Ok(serde_json::from_slice(document)?)
    }

    /// Whether there is such a service, and an OpenAPI document describes it.
    #[must_use]
    pub fn describes(&self, code: &str) -> bool {
        self.service.iter().any(|service| service.service_code == code && service.service_type == "OPENAPI")
    }

    /// The list, as the directory tells it.
    #[must_use]
    pub fn told(&self) -> String {
        let lines = self.service.iter().map(|service| {
            let endpoints = service.endpoint_list.iter().map(|endpoint| {
                object([("method", Some(quote(&endpoint.method))), ("path", Some(quote(&endpoint.path)))])
            });
            let more = vec![
                ("serviceCode", Some(quote(&service.service_code))),
                ("serviceType", Some(quote(&service.service_type))),
                ("endpointList", Some(object([("member", Some(array(endpoints)))]))),
            ];
            let names = (
                service.xroad_instance.as_str(),
                service.member_class.as_str(),
                service.member_code.as_str(),
            );
            line("SERVICE", names, service.subsystem_code.as_deref(), more)
        });
        object([("member", Some(array(lines)))])
    }
}

/// An OpenAPI document, or words about an error.
#[must_use]
pub fn text(text: &str) -> String {
    quote(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globalconf::shared::Subsystem;
    use serde_json::{Value, json};

    fn provider() -> ClientId {
        MemberId::new("identifier", "a b", "M2").subsystem("land")
    }

    #[test]
    fn questions_are_read_from_path_and_query() {
        let read = |path: &str, query: &str| Question::read(path, query);
        let services = |metaservice| Ok(Question::Services { provider: provider(), metaservice });
        let named = "identifier/a%20b/M2/land";
        assert_eq!(read("listClients", "serviceId=x&instanceId="), Ok(Question::Clients { instance: None }));
        let instance = Some("FED 1".to_owned());
        let twice = "instanceId=x?instanceId=FED+1&instanceId=FED+1";
        assert_eq!(read("listClients", twice), Ok(Question::Clients { instance }));
        assert_eq!(read(&format!("{named}/listMethods"), ""), services(Metaservice::ListMethods));
        let quoted = "%22identifier%22/a%20b/%22M2%22/land/allowedMethods";
        assert_eq!(read(quoted, "%22s%22=%22s%22"), services(Metaservice::AllowedMethods));
        let description = Question::Description { provider: provider(), service: "api".to_owned() };
        assert_eq!(read(&format!("{named}/getOpenAPI"), "serviceCode=api"), Ok(description));
        for (path, query) in [
            ("", ""),
            ("listClients/", ""),
            ("a/b/c/listMethods", ""),
            ("a/b/c/d/e/listMethods", ""),
            ("a/b/c//listMethods", ""),
            ("a/b/c/%22%22/listMethods", ""),
            ("a/b/c/%zz/listMethods", ""),
            ("a/b/c/d/getWsdl", "serviceCode=api"),
            ("a/b/c/d/getOpenAPI", "serviceCode="),
            ("a/b/c/d/getOpenAPI", "servicecode=api"),
        ] {
            assert!(read(path, query).is_err(), "{path}?{query}");
        }
    }

    #[test]
    fn clients_have_govstacks_names() {
        let subsystems = vec![Subsystem { code: "land".to_owned(), name: Some("Land".to_owned()) }];
        let member = Member { id: provider().member, name: "Board".to_owned(), subsystems };
        let expected = json!({"member": [
            {"objectType": {"object_type": "MEMBER"}, "GovStackInstance": "identifier", "memberClass": "a b",
             "memberCode": "M2"},
            {"objectType": {"object_type": "SUBSYSTEM"}, "GovStackInstance": "identifier", "memberClass": "a b",
             "memberCode": "M2", "applicationCode": "land"},
        ]});
        assert_eq!(serde_json::from_str::<Value>(&clients(&[member])).unwrap(), expected);
        assert_eq!(clients(&[]), r#"{"member":[]}"#);
    }

    #[test]
    fn services_have_govstacks_names() {
        let listed = json!({"service": [
            {"member_class": "GOV", "member_code": "M2", "subsystem_code": "land", "service_code": "api",
             "endpoint_list": [{"method": "GET", "path": "/x/*"}], "object_type": "SERVICE", "service_type": "OPENAPI",
             "xroad_instance": "DEV"},
            {"member_class": "GOV", "member_code": "M2", "service_code": "land", "object_type": "SERVICE",
             "service_type": "REST", "xroad_instance": "DEV"},
        ]});
        let services = Services::read(listed.to_string().as_bytes()).unwrap();
        assert!(services.describes("api") && !services.describes("land") && !services.describes("none"));
        let expected = json!({"member": [
            {"objectType": {"object_type": "SERVICE"}, "GovStackInstance": "DEV", "memberClass": "GOV", "memberCode": "M2",
             "applicationCode": "land", "serviceCode": "api", "serviceType": "OPENAPI",
             "endpointList": {"member": [{"method": "GET", "path": "/x/*"}]}},
            {"objectType": {"object_type": "SERVICE"}, "GovStackInstance": "DEV", "memberClass": "GOV", "memberCode": "M2",
             "serviceCode": "land", "serviceType": "REST", "endpointList": {"member": []}},
        ]});
        assert_eq!(serde_json::from_str::<Value>(&services.told()).unwrap(), expected);
        assert!(Services::read(b"{\"service\": [{}]}").is_err());
        assert!(Services::read(b"<a/>").is_err());
    }
}
