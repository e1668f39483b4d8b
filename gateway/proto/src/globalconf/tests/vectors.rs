//! Bytes that others made, and others' verdict on ours.

use super::{draft, now, signer};
use crate::globalconf::layout::load;
use crate::globalconf::{
    Anchor, Content, Directory, DirectoryError, GlobalConf, LookupError, Options, PrivateParams,
    SharedParams, SignedDirectory,
};
use crate::id::ClientId;
use crate::time::UnixTime;
use crate::trust::testing::{flipped, skip, vectors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn at(date: &str) -> UnixTime {
    UnixTime::from_rfc3339(date).unwrap()
}

/// A directory with the certificates of an anchor.
fn verified(folder: &Path, kind: &str, version: u8) -> Directory {
    let anchor = Anchor::from_xml(&read(&folder.join(format!("anchor-{kind}.xml")))).unwrap();
    assert_eq!(anchor.instance, "ZZ-LAB");
    let bytes = read(&folder.join(format!("public/V{version}/{kind}conf")));
    let parsed = SignedDirectory::parse(&bytes).unwrap();
    for bit in (0..bytes.len() * 8).step_by(97) {
        let bad = flipped(&bytes, bit);
        let read =
            SignedDirectory::parse(&bad).and_then(|d| d.verify(&anchor.sources[0].certificates, now()));
        // The headers of the envelope are not signed: what a bit there leaves readable says the same.
        let good = parsed.verify(&anchor.sources[0].certificates, now()).unwrap();
        assert!(read.is_err() || read == Ok(good), "bit {bit}");
    }
    parsed.verify(&anchor.sources[0].certificates, now()).unwrap()
}

#[test]
fn the_lab_instance_is_read_in_every_version() {
    let Some(folder) = vectors().map(|v| v.join("trust-examples")) else { return };
    for version in 2..=6 {
        let internal = verified(&folder, "internal", version);
        assert_eq!((internal.version, internal.expires), (version, at("2045-12-31T23:59:59Z")));
        let taken = internal.internal("ZZ-LAB").unwrap();
        assert_eq!(taken.len(), 5);
        let body = |location: &str| read(&folder.join("public").join(location.trim_start_matches('/')));
        let shared = taken[0].shared(&body(&taken[0].location), version).unwrap();
        let private = taken[1].private(&body(&taken[1].location), version).unwrap();
        let mut options = Options::default();
        for part in &taken[2..] {
            let bytes = body(&part.location);
            part.check(&bytes).unwrap();
            assert!(part.check(&flipped(&bytes, 99)).is_err());
            options.apply("ZZ-LAB", &part.content, &bytes).unwrap();
        }
        is_the_lab(&shared, version);
        assert_eq!(private.anchors[0].instance, "YY-PEER");
        assert_eq!(private.management.provider, ClientId::from_path("ZZ-LAB/GOV/M1/MGMT").unwrap());
        assert_ne!(options, Options::default());
        assert_eq!(SharedParams::from_xml(&shared.to_xml(version).unwrap(), version).unwrap(), shared);
        assert_eq!(PrivateParams::from_xml(&private.to_xml(), version).unwrap(), private);

        let external = verified(&folder, "external", version);
        assert_eq!(external.must_be_external(), Ok(()));
        let part = external.external("ZZ-LAB").unwrap();
        assert_eq!(part.shared(&body(&part.location), version).unwrap(), shared);
        assert!(internal.must_be_external().is_err());
    }
}

fn is_the_lab(shared: &SharedParams, version: u8) {
    let member = ClientId::from_path("ZZ-LAB/GOV/M1").unwrap();
    assert_eq!(shared.members[0].id, member.member);
    assert_eq!(shared.sources.len(), usize::from(version > 2));
    assert_eq!(shared.cas[0].acme.is_some(), version > 2);
    assert_eq!(shared.servers[0].maintenance.as_deref(), (version > 4).then_some("Back at noon"));
    assert_eq!(shared.members[0].subsystems[0].name.is_some(), version > 4);
    assert_eq!(shared.tsas[0].cost.is_some(), version > 5);
    assert_eq!(shared.servers[0].auth_cert_hashes[0].len(), if version == 2 { 20 } else { 32 });
    assert_eq!(shared.groups[0].members, [member]);
}

#[test]
fn the_internal_anchor_does_not_open_the_external_directory() {
    let Some(folder) = vectors().map(|v| v.join("trust-examples")) else { return };
    let anchor = Anchor::from_xml(&read(&folder.join("anchor-internal.xml"))).unwrap();
    let external = SignedDirectory::parse(&read(&folder.join("public/V6/externalconf"))).unwrap();
    let refused = external.verify(&anchor.sources[0].certificates, now());
    assert!(matches!(refused, Err(DirectoryError::UnknownCertificate { known: 1, .. })));
}

/// The certificate that signs the directories of X-Road's client tests; it also stands in a signature there.
fn consumer(folder: &Path) -> Vec<u8> {
    use base64::Engine as _;
    let text = String::from_utf8(read(&folder.join("signatures/batch-sig.xml"))).unwrap();
    let hash = "JcdLt1xfZxnM4XHtwDWwTLKLDHmGaXq6IgBjtMATMGft3psVltGCy/gtQzxRsiar7mz2PwoR5uLpnOHOo1L/sw==";
    let standard = base64::engine::general_purpose::STANDARD;
    let is_it = |der: &Vec<u8>| standard.encode(crate::crypto::DigestAlgorithm::Sha512.digest(der)) == hash;
    let mut found = text
        .split(['<', '>'])
        .filter_map(|t| standard.decode(t.split_ascii_whitespace().collect::<String>()).ok());
    found.find(is_it).unwrap()
}

#[test]
fn x_roads_own_directories_are_judged_as_x_road_judges_them() {
    let Some(folder) = vectors().map(|v| v.join("xroad")) else { return };
    let certificates = [consumer(&folder)];
    let signed = folder.join("globalconf-signed");
    let now = at("2016-01-01T00:00:00Z");
    let outcome = |name: &str, now| {
        SignedDirectory::parse(&read(&signed.join(name))).and_then(|d| d.verify(&certificates, now))
    };
    let simple = outcome("test-conf-simple.txt", now).unwrap();
    assert_eq!((simple.version, simple.expires), (2, at("2026-05-20T17:42:55Z")));
    let taken = simple.internal("EE").unwrap();
    let files: Vec<_> = taken.iter().map(|p| p.location.as_str()).collect();
    assert_eq!(files, ["/shared-params.xml", "/private-params.xml", "/foo.xml"]);
    assert_eq!(taken[2].content, Content::Other("FOO".to_owned()));
    for part in &taken {
        part.check(&read(&signed.join(format!("test-conf-simple/EE{}", part.location)))).unwrap();
    }
    let late = outcome("test-conf-simple.txt", at("2026-05-20T17:42:56Z")).unwrap_err();
    assert_eq!(late.code(), "global_conf_outdated");
    let detached = outcome("test-conf-detached.txt", now).unwrap();
    assert!(matches!(
        detached.internal("EE"),
        Err(DirectoryError::MissingPart { expected: "SHARED-PARAMETERS", .. })
    ));
    for (name, code) in [
        ("test-conf-malformed.txt", "global_conf_missing_signed_data_expiration_date"),
        ("test-conf-missing-date.txt", "global_conf_header_field_missing"),
        ("test-conf-missing-signature.txt", "global_conf_signature_verification_failure"),
        ("test-conf-invalid-signature.txt", "global_conf_signature_verification_failure"),
        ("conf1.txt", "global_conf_header_field_missing"),
    ] {
        assert_eq!(outcome(name, now).map_err(|e| e.code()), Err(code), "{name}");
    }
}

#[test]
fn x_roads_own_anchors_are_read() {
    let Some(folder) = vectors().map(|v| v.join("xroad")) else { return };
    let mut files = vec![
        folder.join("globalconf-signed/configuration-anchor1.xml"),
        folder.join("asic/configuration-anchor1.xml"),
    ];
    files.extend((1..=2).map(|n| folder.join(format!("globalconf-on-disk/configuration-anchor{n}.xml"))));
    for path in files {
        let anchor = Anchor::from_xml(&read(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!anchor.sources.is_empty());
        assert_eq!(Anchor::from_xml(&anchor.to_xml()).unwrap(), anchor);
    }
}

/// A configuration directory's files.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let (folders, files): (Vec<_>, Vec<_>) = list(root).into_iter().partition(|p| p.is_dir());
    let all = files.into_iter().chain(folders.iter().flat_map(|f| list(f)));
    all.map(|path| (path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), read(&path))).collect()
}

#[test]
fn x_roads_own_stores_are_loaded() {
    let Some(folder) = vectors().map(|v| v.join("xroad/globalconf-on-disk")) else { return };
    for (name, own, version, others) in [
        ("globalconf_good_v2", "EE", 2, vec!["bar", "foo"]),
        ("globalconf_good_v3", "EE", 3, vec!["bar", "foo_v2"]),
        ("globalconf_good_v4", "EE", 4, vec!["bar", "baz_v3", "foo_v2"]),
        ("globalconf_good_v5", "EE", 5, vec!["bar", "baz_v3", "foo_v2", "qux_v4"]),
        ("globalconf_good_v6", "EE", 6, vec!["bar", "baz_v3", "foo_v2", "quux_v5", "qux_v4"]),
        ("globalconf_good2_v3", "DEV", 3, vec![]),
    ] {
        let stored = load(&tree(&folder.join(name))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(stored.left_out.is_empty(), "{name}: {:?}", stored.left_out);
        for instance in &stored.instances {
            let mut shared = instance.shared.clone();
            // One digest in version 2 is SHA-256 by mistake: it matches nothing there and is not written.
            let length = SharedParams::auth_cert_digest(shared.version).digest(&[]).len();
            shared.servers.iter_mut().for_each(|s| s.auth_cert_hashes.retain(|h| h.len() == length));
            let again = SharedParams::from_xml(&shared.to_xml(shared.version).unwrap(), shared.version);
            assert!(again.as_ref() == Ok(&shared), "{name}/{}", shared.instance);
        }
        let conf = GlobalConf::new(&stored.own_instance, stored.instances).unwrap();
        assert_eq!((conf.own_instance(), conf.version()), (own, version), "{name}");
        let found: Vec<_> = conf.instances().filter(|i| *i != own).collect();
        assert_eq!(found, others, "{name}");
        if own == "EE" {
            is_ee(&conf, version);
        }
    }
}

fn is_ee(conf: &GlobalConf, version: u8) {
    let client = |path| ClientId::from_path(path).unwrap();
    let foo = client("EE/BUSINESS/foo/foosubsystem");
    let servers = conf.servers_of(&foo);
    assert_eq!(servers.iter().map(|s| s.id.code.as_str()).collect::<Vec<_>>(), ["producerServerCode"]);
    assert!(conf.is_registered_on(&client("EE/BUSINESS/producer"), servers[0]));
    assert!(conf.is_in_group(&client("EE/BUSINESS/member2"), "EE", "Test group"));
    assert!(!conf.is_in_group(&client("EE/BUSINESS/member1"), "EE", "Test group"));
    assert_eq!(conf.ocsp_policy().freshness.as_secs(), 42);
    let maintained = conf.servers("EE").iter().filter(|s| s.maintenance.is_some()).count();
    assert_eq!(maintained, usize::from(version >= 5));
    assert!(conf.is_valid_at(at("2100-01-01T00:00:00Z")));
}

#[test]
fn x_roads_broken_stores_are_told_apart() {
    let Some(folder) = vectors().map(|v| v.join("xroad/globalconf-on-disk")) else { return };
    let outcome = |name: &str| load(&tree(&folder.join(name))).map(|_| ());
    assert_eq!(outcome("globalconf_missing_identifier"), Err(LookupError::MissingIdentifier));
    for name in ["globalconf_empty", "globalconf_malformed"] {
        assert!(
            matches!(
                outcome(name),
                Err(LookupError::MissingInstance { .. } | LookupError::Unreadable { .. })
            ),
            "{name}"
        );
    }
}

#[test]
fn x_roads_own_optional_parts_are_judged_as_x_road_judges_them() {
    let Some(folder) = vectors().map(|v| v.join("xroad/globalconf-on-disk")) else { return };
    for (word, file) in Options::FILES.into_iter().filter(|(word, _)| *word != "CONTINUITY-PARAMETERS") {
        for (kind, good) in [("valid", true), ("invalid", false), ("empty", word == "MONITORING")] {
            let mut options = Options::default();
            let path = folder.join(format!("{kind}-{file}"));
            let read = options.apply("ZZ-LAB", &Content::Other(word.to_owned()), &read(&path));
            assert_eq!(read.is_ok(), good, "{kind}-{file}: {read:?}");
            assert_eq!(options != Options::default(), kind == "valid", "{kind}-{file}");
        }
    }
}

#[test]
fn the_recorded_pairs_configuration_is_loaded() {
    let Some(folder) = vectors().map(|v| v.join("xroad-recorded/materials/globalconf")) else { return };
    let stored = load(&tree(&folder)).unwrap();
    assert!(stored.left_out.is_empty());
    let conf = GlobalConf::new(&stored.own_instance, stored.instances).unwrap();
    assert_eq!((conf.own_instance(), conf.version()), ("DEV", 6));
    assert!(!conf.approved_cas("DEV").is_empty() && !conf.tsas("DEV").is_empty());
    assert_eq!(conf.left_out().collect::<Vec<_>>(), [""; 0]);
    let keys = folder.join("../keys");
    for server in ["rsa-ss1", "rsa-ss2", "ec-ss1", "ec-ss2", "int-ss1", "int-ss2"] {
        let pem = String::from_utf8(read(&keys.join(format!("{server}-auth.crt")))).unwrap();
        let certificate = crate::trust::testing::from_pem(&pem);
        let found = conf.server_by_auth_cert(certificate.der());
        if let Some(found) = found {
            assert!(conf.is_auth_cert_of(&found.id.owner.client(), certificate.der()), "{server}");
        }
    }
    let known = |name: &str| {
        let pem = String::from_utf8(read(&keys.join(format!("{name}-auth.crt")))).unwrap();
        conf.server_by_auth_cert(crate::trust::testing::from_pem(&pem).der()).is_some()
    };
    assert!(known("rsa-ss1") && known("rsa-ss2"));
    assert!(!known("rogue"));
}

#[test]
fn an_independent_script_takes_what_we_write() {
    let Some(script) = vectors().map(|v| v.join("trust-examples/verify.py")) else { return };
    let python = |arguments: &[&Path]| {
        let output = std::process::Command::new("python3").args(arguments).output();
        output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
    };
    if python(&[Path::new("-c"), Path::new("import cryptography")]).is_none() {
        assert!(!std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all"), "no python3 with cryptography");
        skip("no python3 with cryptography");
        return;
    }
    let folder = std::env::temp_dir().join(format!("saatkond-globalconf-{}", std::process::id()));
    let party = signer("conf");
    let mut anchor = super::anchor();
    anchor.sources[0].certificates = vec![party.certificate.der().to_vec()];
    for version in 2..=6 {
        let (draft, bodies) = draft(version);
        let random = std::array::from_fn(|at| u8::try_from(at).unwrap() + version);
        let bytes = draft.sign(random, &party.key, party.certificate.der()).unwrap();
        for (part, body) in draft.parts.iter().zip(&bodies) {
            let path = folder.join(part.location.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, body).unwrap();
        }
        let (directory, anchored) = (folder.join("internalconf"), folder.join("anchor.xml"));
        std::fs::write(&directory, &bytes).unwrap();
        std::fs::write(&anchored, anchor.to_xml()).unwrap();
        let said = python(&[&script, &directory, &anchored, &folder]).unwrap();
        assert!(said.contains("OK body"), "{said}");
        assert_eq!(said.matches(" True").count(), draft.parts.len(), "{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
