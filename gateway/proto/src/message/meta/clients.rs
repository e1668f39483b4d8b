//! `listClients`: members and subsystems of an instance, in the order of its shared parameters.
//!
//! Spec: PR-META 2, Annex A.

use super::content;
use crate::globalconf::shared::Member;
use crate::message::json::{array, object, quote};

/// Whether these `Accept` values ask for JSON: one of their media ranges is `application/json`, whatever its parameters.
///
/// Seen: weights are not looked at, and no wildcard is JSON. X-Road 7.8 fails at a range that it cannot read; here it is
/// none that asks for JSON.
pub fn accepts_json<'a>(accept: impl IntoIterator<Item = &'a str>) -> bool {
    accept.into_iter().flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range.eq_ignore_ascii_case("application/json")
    })
}

/// One line of the list.
struct Client<'a> {
    member: &'a Member,
    /// Code and name of the subsystem; `None` for the member itself.
    subsystem: Option<(&'a str, Option<&'a str>)>,
}

fn clients(members: &[Member]) -> impl Iterator<Item = Client<'_>> {
    members.iter().flat_map(|member| {
        let subsystems = member.subsystems.iter().map(|s| Some((s.code.as_str(), s.name.as_deref())));
        std::iter::once(None).chain(subsystems).map(move |subsystem| Client { member, subsystem })
    })
}

impl Client<'_> {
    const fn kind(&self) -> &'static str {
        if self.subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" }
    }

    fn code(&self) -> Option<&str> {
        self.subsystem.map(|(code, _)| code)
    }

    fn subsystem_name(&self) -> Option<&str> {
        self.subsystem.and_then(|(_, name)| name)
    }

    fn xml(&self) -> String {
        let id = &self.member.id;
        let line =
            |name: &str, value: &str| format!("            <ns1:{name}>{}</ns1:{name}>\n", content(value));
        let more = |name: &str, value: &str| format!("        <ns2:{name}>{}</ns2:{name}>\n", content(value));
        [
            format!("    <ns2:member>\n        <ns2:id ns1:objectType=\"{}\">\n", self.kind()),
            line("xRoadInstance", &id.instance),
            line("memberClass", &id.class),
            line("memberCode", &id.code),
            self.code().map_or(String::new(), |code| line("subsystemCode", code)),
            "        </ns2:id>\n".to_owned(),
            more("name", &self.member.name),
            self.subsystem_name().map_or(String::new(), |name| more("subsystemName", name)),
            "    </ns2:member>\n".to_owned(),
        ]
        .concat()
    }

    fn json(&self) -> String {
        let id = &self.member.id;
        let identifier = object([
            ("member_class", Some(quote(&id.class))),
            ("member_code", Some(quote(&id.code))),
            ("subsystem_code", self.code().map(quote)),
            ("object_type", Some(quote(self.kind()))),
            ("xroad_instance", Some(quote(&id.instance))),
        ]);
        object([
            ("id", Some(identifier)),
            ("name", Some(quote(&self.member.name))),
            ("subsystem_name", self.subsystem_name().map(quote)),
        ])
    }
}

/// The list as XML.
#[must_use]
pub fn xml(members: &[Member]) -> String {
    let lines: String = clients(members).map(|client| client.xml()).collect();
    let namespaces =
        "xmlns:ns1=\"http://x-road.eu/xsd/identifiers\" xmlns:ns2=\"http://x-road.eu/xsd/xroad.xsd\"";
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
    if lines.is_empty() {
        return format!("{declaration}\n<ns2:clientList {namespaces}/>\n");
    }
    format!("{declaration}\n<ns2:clientList {namespaces}>\n{lines}</ns2:clientList>\n")
}

/// The list as JSON.
#[must_use]
pub fn json(members: &[Member]) -> String {
    object([("member", Some(array(clients(members).map(|client| client.json()))))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globalconf::shared::Subsystem;
    use crate::id::MemberId;

    fn members() -> Vec<Member> {
        let subsystem = |code: &str, name: Option<&str>| Subsystem {
            code: code.to_owned(),
            name: name.map(str::to_owned),
        };
        vec![Member {
            id: MemberId::new("DEV", "GOV", "M<1>"),
            name: "AS \"Õun\" & Co".to_owned(),
            subsystems: vec![subsystem("TAX", Some("Taxes")), subsystem("OTHER", None)],
        }]
    }

    #[test]
    fn members_stand_before_their_subsystems_in_xml() {
        let written = xml(&members());
        assert!(written.contains("<ns1:memberCode>M&lt;1&gt;</ns1:memberCode>"), "{written}");
        assert!(written.contains("<ns2:name>AS \"Õun\" &amp; Co</ns2:name>"), "{written}");
        let document = crate::xml::admit(&written, 10_000).unwrap();
        let lines: Vec<_> = crate::xml::elements(document.root_element())
            .map(|member| {
                crate::xml::elements(member).map(|e| e.descendants().filter(|n| n.is_text()).count()).sum()
            })
            .collect::<Vec<usize>>();
        // Text and the white space around it.
        assert_eq!(lines, [8, 11, 10]);
    }

    #[test]
    fn members_stand_before_their_subsystems_in_json() {
        let written: serde_json::Value = serde_json::from_str(&json(&members())).unwrap();
        let expected = serde_json::json!({"member": [
            {"id": {"member_class": "GOV", "member_code": "M<1>", "object_type": "MEMBER", "xroad_instance": "DEV"},
             "name": "AS \"Õun\" & Co"},
            {"id": {"member_class": "GOV", "member_code": "M<1>", "subsystem_code": "TAX", "object_type": "SUBSYSTEM",
                    "xroad_instance": "DEV"},
             "name": "AS \"Õun\" & Co", "subsystem_name": "Taxes"},
            {"id": {"member_class": "GOV", "member_code": "M<1>", "subsystem_code": "OTHER", "object_type": "SUBSYSTEM",
                    "xroad_instance": "DEV"},
             "name": "AS \"Õun\" & Co"},
        ]});
        assert_eq!(written, expected);
    }

    #[test]
    fn an_instance_without_members_is_an_empty_list() {
        assert_eq!(json(&[]), r#"{"member":[]}"#);
        assert!(xml(&[]).ends_with("xroad.xsd\"/>\n"));
    }

    #[test]
    fn json_is_given_to_whoever_asks_for_it() {
        for (accept, expected) in [
            (vec![], false),
            (vec!["application/json"], true),
            (vec!["text/xml;q=1.0, application/json;q=0.9"], true),
            (vec!["text/xml", "Application/JSON; charset=utf-8"], true),
            (vec!["*/*"], false),
            (vec!["application/*"], false),
            (vec!["text/html, image/gif, *; q=.2"], false),
            (vec!["application/json-seq, text/json"], false),
        ] {
            assert_eq!(accepts_json(accept.iter().copied()), expected, "{accept:?}");
        }
    }
}
