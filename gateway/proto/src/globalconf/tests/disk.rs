//! Where to ask, and how it is stored.

use super::{Anchor, AnchorSource, Content, Options, Part, anchor, draft, now, private, shared};
use crate::globalconf::layout::{self, Metadata, load};
use crate::globalconf::locations::{Federations, Location, asked_version, locations, part_url, version_urls};
use crate::globalconf::{GlobalConf, LookupError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn urls(locations: &[Location]) -> Vec<&str> {
    locations.iter().map(|l| l.url.as_str()).collect()
}

/// An anchor of the instance that `shared` is of.
fn own_anchor(urls: &[&str]) -> Anchor {
    let source = |url: &&str| AnchorSource { url: (*url).to_owned(), certificates: vec![vec![1]] };
    Anchor { generated_at: None, instance: "ZZ".to_owned(), sources: urls.iter().map(source).collect() }
}

#[test]
fn what_was_learnt_comes_first_and_https_before_http() {
    let anchor = own_anchor(&["http://a/internalconf", "https://a/internalconf"]);
    let all = locations(&anchor, Some(&shared()), None, 1);
    assert_eq!(
        urls(&all),
        [
            "https://cs.example/internalconf",
            "http://cs.example/internalconf",
            "https://a/internalconf",
            "http://a/internalconf"
        ]
    );
    assert_eq!(all[0].certificates, [vec![1, 2, 3], vec![4]]);
    assert_eq!(all[2].certificates, [vec![1]]);
    assert!(all.iter().all(|l| l.instance == "ZZ"));
    let external = locations(&own_anchor(&["http://a/externalconf"]), Some(&shared()), None, 1);
    assert_eq!(external[0].certificates, [vec![5]]);
    let proxied = locations(&own_anchor(&["http://a/p/conf"]), Some(&shared()), None, 1);
    assert_eq!(proxied[0].url, "https://cs.example/p/conf");
    assert_eq!(proxied[0].certificates, [vec![1, 2, 3], vec![4], vec![5]]);
}

#[test]
fn nothing_is_learnt_from_another_instance_or_version_2() {
    let anchor = own_anchor(&["http://a/internalconf"]);
    let mut other = shared();
    other.instance = "YY".to_owned();
    let mut old = shared();
    old.sources.clear();
    for learnt in [None, Some(&other), Some(&old)] {
        assert_eq!(urls(&locations(&anchor, learnt, None, 1)).len(), 2);
    }
}

#[test]
fn an_anchor_of_https_alone_serves() {
    let all = locations(&own_anchor(&["https://a/internalconf"]), Some(&shared()), None, 1);
    assert_eq!(urls(&all), ["https://cs.example/internalconf", "https://a/internalconf"]);
}

#[test]
fn what_served_last_comes_first_with_its_version() {
    let anchor = own_anchor(&["http://a/internalconf", "http://b/internalconf"]);
    let remembered = "http://b/internalconf?version=6";
    let all = locations(&anchor, None, Some(remembered), 1);
    assert_eq!((all[0].url.as_str(), all.len()), (remembered, 5));
    assert_eq!(all[0].certificates, [vec![1]]);
    assert_eq!(locations(&anchor, None, Some("http://c/internalconf?version=6"), 1).len(), 4);
}

#[test]
fn load_is_spread_inside_a_tier_only() {
    let anchor = own_anchor(&["http://a/x", "http://b/x", "http://c/x"]);
    let mut orders = BTreeSet::new();
    for seed in 0..200 {
        let all = locations(&anchor, None, None, seed);
        assert!(all[..3].iter().all(|l| l.url.starts_with("https://")));
        assert!(all[3..].iter().all(|l| l.url.starts_with("http://")));
        orders.insert(urls(&all[..3]).join(" "));
    }
    assert_eq!(orders.len(), 6);
}

#[test]
fn versions_are_asked_from_the_newest() {
    let asked = version_urls("http://a/internalconf");
    assert_eq!(asked.first().unwrap(), "http://a/internalconf?version=6");
    assert_eq!(asked.last().unwrap(), "http://a/internalconf?version=2");
    assert_eq!(asked.len(), 5);
    assert_eq!(version_urls("http://a/c?x=1")[0], "http://a/c?x=1&version=6");
    assert_eq!(version_urls("http://a/c?version=3"), ["http://a/c?version=3"]);
    for (query, version) in [
        (None, 2),
        (Some(""), 2),
        (Some("version=6"), 6),
        (Some("a=b&version=3"), 3),
        (Some("version=abc"), 2),
        (Some("version=+6"), 2),
        (Some("version=99"), 99),
        (Some("version=99999999999"), u32::MAX),
    ] {
        assert_eq!(asked_version(query), version, "{query:?}");
    }
}

#[test]
fn a_parts_place_is_resolved_against_its_directory() {
    let base = "http://host:80/p/conf?version=6";
    for (location, expected) in [
        ("/V6/1/shared-params.xml", Some("http://host:80/V6/1/shared-params.xml")),
        ("1/x.xml?a=b", Some("http://host:80/p/1/x.xml?a=b")),
        ("../x.xml", Some("http://host:80/x.xml")),
        ("../../../x/./y.xml", Some("http://host:80/x/y.xml")),
        ("https://other/x", Some("https://other/x")),
        ("//other/x", Some("http://other/x")),
        ("?x", Some("http://host:80/p/conf?x")),
        ("file:///etc/passwd", None),
        ("ftp://other/x", None),
        ("/a b", None),
        ("", None),
    ] {
        assert_eq!(part_url(base, location).as_deref(), expected, "{location}");
    }
    assert_eq!(part_url("https://host", "x").as_deref(), Some("https://host/x"));
}

#[test]
fn federation_is_off_unless_said() {
    for (setting, yes, no) in [
        ("", "", "YY"),
        ("none", "", "YY"),
        ("all, NONE", "", "YY"),
        ("All", "YY", ""),
        ("xx, yy", "YY", "ZZ"),
        ("xx,,all", "ZZ", ""),
    ] {
        let federations = Federations::parse(setting);
        assert!(yes.is_empty() || federations.allows(yes), "{setting}");
        assert!(no.is_empty() || !federations.allows(no), "{setting}");
    }
}

#[test]
fn folders_are_named_as_java_does() {
    for (instance, folder) in
        [("EE", "EE"), ("a b/c", "a+b%2Fc"), ("õ~", "%C3%B5%7E"), ("a.b-c_d*", "a.b-c_d*")]
    {
        assert_eq!(layout::folder(instance), folder);
    }
}

/// What a gateway would store after one good download.
fn stored(version: u8) -> BTreeMap<String, Vec<u8>> {
    let (draft, bodies) = draft(version);
    let mut files = BTreeMap::from([(layout::INSTANCE_IDENTIFIER.to_owned(), b"ZZ".to_vec())]);
    for (part, body) in draft.parts.iter().zip(&bodies) {
        files.extend(layout::files_of(part, body, draft.expires, version).unwrap());
    }
    files
}

#[test]
fn what_is_stored_is_loaded() {
    for version in 2..=6 {
        let files = stored(version);
        assert_eq!(
            files.keys().filter(|p| !p.ends_with(".metadata")).collect::<Vec<_>>(),
            [
                "ZZ/monitoring-params.xml",
                "ZZ/nextupdate-params.xml",
                "ZZ/private-params.xml",
                "ZZ/shared-params.xml",
                "instance-identifier"
            ]
        );
        let stored = load(&files).unwrap();
        assert!(stored.left_out.is_empty());
        let conf = GlobalConf::new(&stored.own_instance, stored.instances).unwrap();
        assert_eq!((conf.own_instance(), conf.version()), ("ZZ", version));
        assert_eq!(conf.expires(), now().plus(Duration::from_secs(600)));
        assert_eq!(conf.private(), Some(&private()));
        assert!(!conf.ocsp_policy().check_next_update && conf.monitoring_client().is_some());
    }
}

#[test]
fn metadata_is_as_x_road_writes_it() {
    let (draft, bodies) = draft(6);
    let files = layout::files_of(&draft.parts[0], &bodies[0], draft.expires, 6).unwrap();
    let beside: serde_json::Value = serde_json::from_slice(&files[1].1).unwrap();
    let expected = serde_json::json!({
        "contentIdentifier": "SHARED-PARAMETERS",
        "instanceIdentifier": "ZZ",
        "expirationDate": "2026-11-24T08:10:00Z",
        "contentLocation": "/V6/20260102030405000000000/shared-params.xml",
        "configurationVersion": "6"
    });
    assert_eq!(beside, expected);
    assert_eq!(files[0], ("ZZ/shared-params.xml".to_owned(), bodies[0].clone()));
    let read = Metadata::from_json(&files[1].1).unwrap();
    assert_eq!((read.content, read.version), (Content::Shared, 6));
    for bad in [
        "",
        "[]",
        r#"{"configurationVersion":"7"}"#,
        r#"{"configurationVersion":"x"}"#,
        r#"{"expirationDate":"x"}"#,
    ] {
        assert_eq!(Metadata::from_json(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(Metadata::from_json(b"{}").unwrap().version, 2);
    assert_eq!(Metadata::from_json(br#"{"configurationVersion":4}"#).unwrap().version, 4);
}

#[test]
fn a_part_without_metadata_has_expired() {
    let mut files = stored(6);
    files.remove("ZZ/private-params.xml.metadata");
    let stored = load(&files).unwrap();
    assert!(stored.instances[0].expires < now());
}

#[test]
fn what_is_broken_elsewhere_is_left_out_and_what_is_broken_here_is_told() {
    let mut files = stored(6);
    files.insert("YY/shared-params.xml".to_owned(), b"<conf/>".to_vec());
    let misplaced = shared().to_xml(2).unwrap();
    files.insert("XX/shared-params.xml".to_owned(), misplaced);
    files.insert("ZZ/nextupdate-params.xml".to_owned(), b"broken".to_vec());
    let loaded = load(&files).unwrap();
    let left: Vec<_> = loaded.left_out.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(left, ["XX/shared-params.xml", "YY/shared-params.xml", "ZZ/nextupdate-params.xml"]);
    assert!(loaded.instances[0].options.check_next_update);
    files.insert("ZZ/private-params.xml".to_owned(), b"broken".to_vec());
    assert!(matches!(load(&files), Err(LookupError::Unreadable { .. })));
    files.remove("ZZ/shared-params.xml");
    assert!(matches!(load(&files), Err(LookupError::MissingInstance { .. })));
    files.remove(layout::INSTANCE_IDENTIFIER);
    assert_eq!(load(&files).unwrap_err(), LookupError::MissingIdentifier);
}

#[test]
fn an_optional_part_is_stored_under_its_own_name() {
    let mut part = Part::of(Content::Other("FOO".to_owned()), "A B", "/V6/1/foo.xml?x#y", b"");
    assert_eq!(layout::path_of(&part).unwrap(), "A+B/foo.xml");
    part.file_name = Some("dir/bar.xml".to_owned());
    assert_eq!(layout::path_of(&part).unwrap(), "A+B/bar.xml");
    for (word, file) in Options::FILES {
        let part = Part::of(Content::Other(word.to_owned()), "ZZ", file, b"");
        assert_eq!(layout::path_of(&part).unwrap(), format!("ZZ/{file}"));
    }
    assert_eq!(anchor().sources.len(), 2);
}
