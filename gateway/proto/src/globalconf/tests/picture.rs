//! The questions that a message asks.

use super::{client, member, now, private, shared};
use crate::globalconf::{GlobalConf, Instance, LookupError, Options, SharedParams};
use crate::id::ServerId;
use crate::time::UnixTime;
use std::time::Duration;

fn instance(shared: SharedParams, expires: UnixTime) -> Instance {
    Instance { shared, private: None, expires, options: Options::default() }
}

/// The same instance under another name, as version 2.
fn foreign() -> SharedParams {
    let mut other = shared();
    other.instance = "YY".to_owned();
    for member in &mut other.members {
        member.id.instance = "YY".to_owned();
    }
    for server in &mut other.servers {
        server.id.owner.instance = "YY".to_owned();
        server.clients.iter_mut().for_each(|c| c.member.instance = "YY".to_owned());
        server.auth_cert_hashes.clear();
    }
    other.servers[0].register(b"certificate of YY");
    other.servers[1].register(b"certificate of SS1");
    SharedParams::from_xml(&other.to_xml(2).unwrap(), 2).unwrap()
}

fn conf() -> GlobalConf {
    let own = Instance {
        private: Some(private()),
        options: Options { check_next_update: false, ..Options::default() },
        ..instance(shared(), now().plus(Duration::from_secs(600)))
    };
    GlobalConf::new("ZZ", vec![instance(foreign(), now().plus(Duration::from_secs(60))), own]).unwrap()
}

#[test]
fn the_own_instance_rules() {
    let conf = conf();
    assert_eq!((conf.own_instance(), conf.version()), ("ZZ", 6));
    assert_eq!(conf.ocsp_policy().freshness, Duration::from_secs(1800));
    assert!(!conf.ocsp_policy().check_next_update);
    assert_eq!(conf.timestamping_interval(), Duration::from_secs(77));
    assert_eq!(conf.ocsp_fetch_interval(), Duration::from_secs(1200));
    assert_eq!(conf.private().unwrap().anchors[0].instance, "YY");
    assert!(conf.is_valid_at(conf.expires()));
    assert!(!conf.is_valid_at(conf.expires().plus(Duration::from_millis(1))));
}

#[test]
fn a_client_is_found_where_it_is_registered() {
    let conf = conf();
    let of = |path| conf.servers_of(&client(path)).iter().map(|s| s.id.code.as_str()).collect::<Vec<_>>();
    assert_eq!(of("ZZ/GOV/M1"), ["SS1"]);
    assert_eq!(of("ZZ/GOV/M1/A"), ["SS1", "SS2"]);
    assert_eq!(of("ZZ/GOV/M2"), ["SS1", "SS2"]);
    assert_eq!(of("ZZ/GOV/M1/a"), [""; 0]);
    assert_eq!(of("XX/GOV/M1/A"), [""; 0]);
    let server = conf.server(&ServerId { owner: member("M1"), code: "SS1".to_owned() }).unwrap();
    assert_eq!(
        (server.address.as_str(), server.maintenance.as_deref()),
        ("ss1.example", Some("back at noon"))
    );
    assert!(conf.is_registered_on(&client("ZZ/GOV/M2"), server));
    assert!(conf.is_registered_on(&client("ZZ/GOV/M1"), server));
    assert!(!conf.is_registered_on(&client("YY/GOV/M1"), server));
    assert_eq!(conf.server(&ServerId { owner: member("M2"), code: "SS1".to_owned() }), None);
    for (path, known) in
        [("ZZ/GOV/M2", true), ("ZZ/GOV/M2/A", false), ("ZZ/GOV/M3", false), ("YY/GOV/M1/A", true)]
    {
        assert_eq!(conf.knows(&client(path)), known, "{path}");
    }
    assert_eq!(conf.name_of(&member("M2")), Some("two"));
    assert_eq!(conf.members("ZZ").len(), 2);
    assert!(conf.members("XX").is_empty() && conf.servers("XX").is_empty() && conf.groups("XX").is_empty());
}

#[test]
fn each_instance_digests_certificates_by_its_own_version() {
    let conf = conf();
    let named = |der: &[u8]| conf.server_by_auth_cert(der).map(|s| s.id.to_string());
    // Both list this one; the own instance is believed.
    assert_eq!(named(b"certificate of SS1").as_deref(), Some("ZZ/GOV/M1/SS1"));
    assert_eq!(named(b"certificate of YY").as_deref(), Some("YY/GOV/M1/SS1"));
    assert_eq!(named(b"another"), None);
    for (path, der, is) in [
        ("ZZ/GOV/M2/B%20&%20%3CC%3E", "certificate of SS1", true),
        ("ZZ/GOV/M1", "certificate of SS1", true),
        ("ZZ/GOV/M1", "certificate of YY", false),
        ("YY/GOV/M2", "certificate of SS1", true),
        ("YY/GOV/M1", "certificate of SS1", false),
        ("YY/GOV/M1", "certificate of YY", true),
        ("XX/GOV/M1", "certificate of YY", false),
    ] {
        assert_eq!(conf.is_auth_cert_of(&client(path), der.as_bytes()), is, "{path} {der}");
    }
}

#[test]
fn a_digest_of_another_length_matches_nothing() {
    let mut params = shared();
    params.servers[0].auth_cert_hashes = vec![crate::crypto::DigestAlgorithm::Sha1.digest(b"x"), Vec::new()];
    let conf = GlobalConf::new("ZZ", vec![instance(params, now())]).unwrap();
    assert_eq!(conf.server_by_auth_cert(b"x"), None);
    assert!(!conf.is_auth_cert_of(&client("ZZ/GOV/M1"), b"x"));
}

#[test]
fn a_member_does_not_bring_its_subsystems_into_a_group() {
    let conf = conf();
    for (path, code, is) in [
        ("ZZ/GOV/M1", "group", true),
        ("ZZ/GOV/M1/A", "group", false),
        ("ZZ/GOV/M9/GONE", "group", true),
        ("ZZ/GOV/M9", "group", false),
        ("ZZ/GOV/M1", "Group", false),
    ] {
        assert_eq!(conf.is_in_group(&client(path), "ZZ", code), is, "{path} {code}");
    }
    assert!(!conf.is_in_group(&client("ZZ/GOV/M1"), "XX", "group"));
}

#[test]
fn what_expires_elsewhere_is_dropped_and_what_expires_here_stays() {
    let conf = conf();
    assert_eq!(conf.changes(), Some(now().plus(Duration::from_secs(60))));
    let before = conf.at(now().plus(Duration::from_secs(59)));
    assert!(
        before.knows_instance("YY") && before.tsa_certificates().len() == 2 && before.all_cas().len() == 2
    );
    let after = conf.at(now().plus(Duration::from_secs(60)));
    assert_eq!(after.instances().collect::<Vec<_>>(), ["ZZ"]);
    assert_eq!((after.tsa_certificates().len(), after.all_cas().len()), (1, 1));
    assert_eq!(after.server_by_auth_cert(b"certificate of YY"), None);
    assert!(conf.at(now().plus(Duration::from_secs(9999))).knows_instance("ZZ"));
}

#[test]
fn what_cannot_be_used_is_left_out_and_told() {
    let mut params = shared();
    params.tsas[0].certificate = vec![1, 2, 3];
    params.cas[0].top.ocsp[0].certificate = Some(vec![4]);
    params.cas[0].profile = "org.example.OwnProfile".to_owned();
    params.cas.push(params.cas[0].clone());
    params.cas[1].top.certificate = vec![5];
    let conf = GlobalConf::new("ZZ", vec![instance(params, now())]).unwrap();
    assert!(conf.tsas("ZZ").is_empty());
    let [ca] = conf.approved_cas("ZZ") else { panic!("{:?}", conf.approved_cas("ZZ")) };
    assert!(ca.authentication_only && ca.profile.is_none() && ca.top.ocsp[0].certificate.is_none());
    assert_eq!(ca.intermediates.len(), 1);
    assert_eq!(conf.left_out().count(), 5);
}

#[test]
fn a_picture_needs_its_own_instance_once() {
    let own = || instance(shared(), now());
    assert_eq!(
        GlobalConf::new("AA", vec![own()]).unwrap_err(),
        LookupError::MissingInstance { instance: "AA".to_owned() }
    );
    assert_eq!(
        GlobalConf::new("ZZ", vec![own(), own()]).unwrap_err(),
        LookupError::Twice { instance: "ZZ".to_owned() }
    );
    let mut wrong = private();
    wrong.instance = "YY".to_owned();
    let mixed = Instance { private: Some(wrong), ..own() };
    assert!(matches!(GlobalConf::new("ZZ", vec![mixed]), Err(LookupError::Private { .. })));
}
