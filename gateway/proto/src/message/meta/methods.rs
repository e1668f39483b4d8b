//! `listMethods` and `allowedMethods`: the services of a provider.
//!
//! Spec: PR-META 3, Annex B; PR-MREST 4, Annex A. Seen: a service that is switched off is listed like any other, and REST
//! and SOAP each list their own kind.

use super::content;
use crate::id::ServiceId;
use crate::message::endpoint::Endpoint;
use crate::message::json::{array, object, quote};

/// A REST service, as it is listed.
#[derive(Debug)]
pub struct RestService<'a> {
    /// Which.
    pub id: ServiceId,
    /// Whether an OpenAPI document describes it.
    pub is_openapi: bool,
    /// The endpoints to list; that which stands for the whole service is left out.
    pub endpoints: Vec<&'a Endpoint>,
}

/// REST services as JSON.
#[must_use]
pub fn rest(services: &[RestService<'_>]) -> String {
    object([("service", Some(array(services.iter().map(rest_service))))])
}

fn rest_service(service: &RestService<'_>) -> String {
    let member = &service.id.client.member;
    let everything = Endpoint::everything();
    let endpoints = service.endpoints.iter().filter(|endpoint| ***endpoint != everything).map(|endpoint| {
        let method = endpoint.method.map_or("*", |method| method.name());
        object([("method", Some(quote(method))), ("path", Some(quote(&endpoint.path.to_string())))])
    });
    object([
        ("member_class", Some(quote(&member.class))),
        ("member_code", Some(quote(&member.code))),
        ("subsystem_code", service.id.client.subsystem.as_deref().map(quote)),
        ("service_code", Some(quote(&service.id.code))),
        ("endpoint_list", Some(array(endpoints))),
        ("object_type", Some(quote("SERVICE"))),
        ("service_type", Some(quote(if service.is_openapi { "OPENAPI" } else { "REST" }))),
        ("xroad_instance", Some(quote(&member.instance))),
    ])
}

/// SOAP services as the content of a body's element, with these prefixes for X-Road's names and for identifiers.
#[must_use]
pub(in crate::message) fn soap(services: &[ServiceId], xroad: &str, identifiers: &str) -> String {
    let part =
        |name: &str, value: &str| format!("<{identifiers}:{name}>{}</{identifiers}:{name}>", content(value));
    let service = |id: &ServiceId| {
        let member = &id.client.member;
        let parts = [
            Some(part("xRoadInstance", &member.instance)),
            Some(part("memberClass", &member.class)),
            Some(part("memberCode", &member.code)),
            id.client.subsystem.as_deref().map(|code| part("subsystemCode", code)),
            Some(part("serviceCode", &id.code)),
            id.version.as_deref().map(|version| part("serviceVersion", version)),
        ];
        let parts: String = parts.into_iter().flatten().collect();
        format!("<{xroad}:service {identifiers}:objectType=\"SERVICE\">{parts}</{xroad}:service>")
    };
    services.iter().map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MemberId;
    use crate::message::endpoint::PathGlob;
    use crate::message::rest::Method;

    /// Seen: `meta-rest-listmethods` of the recordings.
    #[test]
    fn rest_services_are_listed_with_their_endpoints() {
        let provider = MemberId::new("DEV", "GOV", "M2").subsystem("REGISTER");
        let open = Endpoint { method: Some(Method::Get), path: PathGlob::new("/open/*") };
        let any = Endpoint { method: None, path: PathGlob::new("/\"x\"") };
        let everything = Endpoint::everything();
        let services = [
            RestService { id: provider.service("land"), is_openapi: false, endpoints: vec![] },
            RestService {
                id: provider.service("api"),
                is_openapi: true,
                endpoints: vec![&open, &everything, &any],
            },
        ];
        let before = r#""member_class":"GOV","member_code":"M2","subsystem_code":"REGISTER""#;
        let expected = format!(
            "{{\"service\":[{{{before},\"service_code\":\"land\",\"endpoint_list\":[],\"object_type\":\"SERVICE\",\
             \"service_type\":\"REST\",\"xroad_instance\":\"DEV\"}},{{{before},\"service_code\":\"api\",\
             \"endpoint_list\":[{{\"method\":\"GET\",\"path\":\"/open/*\"}},\
             {{\"method\":\"*\",\"path\":\"/\\\"x\\\"\"}}],\
             \"object_type\":\"SERVICE\",\"service_type\":\"OPENAPI\",\"xroad_instance\":\"DEV\"}}]}}"
        );
        assert_eq!(rest(&services), expected);
        assert_eq!(rest(&[]), r#"{"service":[]}"#);
    }

    #[test]
    fn soap_services_are_listed_with_their_versions() {
        let member = MemberId::new("DEV", "GOV", "M2");
        let versioned = ServiceId { version: Some("v<1>".to_owned()), ..member.subsystem("R").service("a") };
        let listed = soap(&[versioned, member.client().service("b")], "x", "i");
        let expected = "<x:service i:objectType=\"SERVICE\"><i:xRoadInstance>DEV</i:xRoadInstance>\
            <i:memberClass>GOV</i:memberClass><i:memberCode>M2</i:memberCode><i:subsystemCode>R</i:subsystemCode>\
            <i:serviceCode>a</i:serviceCode><i:serviceVersion>v&lt;1&gt;</i:serviceVersion></x:service>\
            <x:service i:objectType=\"SERVICE\"><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
            <i:memberCode>M2</i:memberCode><i:serviceCode>b</i:serviceCode></x:service>";
        assert_eq!(listed, expected);
    }
}
