//! Containers and archives that others made: X-Road's own, recorded ones, and an independent judge's hostile ones.

use super::world::{REQUEST, Stamping, World};
use super::{BODY, Unpacked, code, prove};
use crate::container::zip::Archive;
use crate::container::{ContainerError, Proof, archive, entry, entry_name, manifest};
use crate::crypto::DigestAlgorithm;
use crate::globalconf::{GlobalConf, layout};
use crate::time::UnixTime;
use crate::trust::testing::{skip, vectors};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A configuration as a security server keeps it.
fn conf(folder: &Path) -> GlobalConf {
    let mut files = BTreeMap::new();
    for path in files_below(folder) {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        files.insert(name, fs::read(&path).unwrap());
    }
    let stored = layout::load(&files).unwrap();
    GlobalConf::new(&stored.own_instance, stored.instances).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn outcome(result: Result<Proof, ContainerError>) -> String {
    if result.is_ok() { "holds".to_owned() } else { code(result) }
}

#[test]
fn x_roads_own_containers_are_judged_as_x_road_does() {
    let Some(folder) = vectors() else { return };
    let folder = folder.join("xroad");
    let conf = conf(&folder.join("globalconf-on-disk/globalconf_good2_v3"));
    for (name, expected) in [
        ("asic/valid-signed-message", "holds"),
        ("asic/valid-signed-hashchain", "holds"),
        ("asic/valid-batch-ts", "holds"),
        ("asic/valid-non-batch-rest", "holds"),
        ("asic/valid-non-batch-soap-attachments", "holds"),
        ("asic/invalid-not-signed-hashchain", "holds"),
        ("asic/wrong-message", "invalid_signature_value"),
        ("asic/invalid-digest", "invalid_signature_value"),
        ("asic/invalid-signed-hashchain", "malformed_signature.invalid_hash_chain_ref"),
        ("asic/invalid-hashchain-modified-message", "malformed_signature.hashchain_unused_inputs"),
        ("asic/invalid-incorrect-references", "malformed_signature"),
        ("asic/invalid-ts-hashchainresult", "malformed_signature"),
        ("asic/attachments", "asic_message_not_found"),
        ("asic-core/valid-signed-message-with-attachments", "holds"),
        ("asic-core/no-mimetype", "asic_mime_type_not_found"),
        ("asic-core/no-message", "asic_message_not_found"),
        ("asic-core/no-signature", "asic_signature_not_found"),
        ("asic-core/not-asic", "asic_mime_type_not_found"),
    ] {
        let bytes = fs::read(folder.join(format!("{name}.asice"))).unwrap();
        let result = prove(&bytes, &conf);
        let shown = format!("{name}: {result:?}");
        assert_eq!(outcome(result), expected, "{shown}");
    }
    // its message is older than protocol 4; the entries are read all the same
    let old = fs::read(folder.join("asic-core/valid-signed-message.asice")).unwrap();
    assert!(crate::container::Container::open(Cursor::new(&old)).is_ok());
    assert!(prove(&old, &conf).is_err());
}

/// Every recorded container: the files that `/asic` gave out hold one or two each.
fn recorded(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut containers = Vec::new();
    for path in files_below(folder) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_download =
            name.starts_with("asic-") || name.starts_with("forced-") || name.starts_with("mlog-");
        if is_download && name.ends_with(".zip") {
            let mut archive = Archive::open(fs::File::open(&path).unwrap()).unwrap();
            let names: Vec<_> = archive.entries().iter().map(|e| e.name().to_owned()).collect();
            for name in names.into_iter().filter(|n| n.ends_with(".asice")) {
                let bytes = archive.read(&name, 1 << 26).unwrap();
                containers.push((format!("{}/{name}", path.display()), bytes));
            }
        }
    }
    containers
}

#[test]
fn every_recorded_container_holds_and_would_be_written_the_same() {
    let Some(folder) = vectors() else { return };
    let folder = folder.join("xroad-recorded");
    let conf = conf(&folder.join("materials/globalconf"));
    let containers = recorded(&folder);
    assert!(containers.len() > 200, "{}", containers.len());
    for (name, bytes) in &containers {
        let proof = prove(bytes, &conf).unwrap_or_else(|e| panic!("{name}: {e}"));
        let unpacked = Unpacked::new(bytes);
        let of = |name: &str| unpacked.0.iter().find(|(n, _)| n == name).map(|(_, c)| c.as_slice());
        let stamp = of(entry::TOKEN).map(|token| crate::container::BatchStamp {
            token,
            hash_chain_result: of(entry::STAMP_CHAIN_RESULT).unwrap(),
            hash_chain: of(entry::STAMP_CHAIN).unwrap(),
        });
        let archive = Archive::open(Cursor::new(bytes)).unwrap();
        let evidence = crate::container::Evidence {
            message: of(entry::MESSAGE).unwrap(),
            signature: of(entry::SIGNATURES).unwrap(),
            hash_chain_result: of(entry::SIGNATURE_CHAIN_RESULT),
            hash_chain: of(entry::SIGNATURE_CHAIN),
            stamp,
            time: archive.entries()[0].modified().unwrap(),
        };
        let attachments: Vec<_> = (1..).map_while(|n| of(&format!("attachment{n}"))).collect();
        let ours = crate::container::write(Vec::new(), &evidence, attachments).unwrap();
        assert_eq!(Unpacked::new(&ours).0, unpacked.0, "{name}");
        let headers = |bytes: &[u8]| Archive::open(Cursor::new(bytes)).unwrap().entries().to_vec();
        let told = |e: &crate::container::zip::Entry| (e.name().to_owned(), e.modified(), e.size());
        let (theirs, ours) = (headers(bytes), headers(&ours));
        assert!(theirs.iter().map(told).eq(ours.iter().map(told)), "{name}");
        // the entry's name inside the download follows from the message
        let id = name.rsplit('-').next().unwrap().trim_end_matches(".asice");
        let id = u64::from_str_radix(id, 32).unwrap();
        let expected = entry_name(&proof.message.id, proof.message.kind.is_response(), id);
        assert!(name.ends_with(&format!("/{expected}")), "{name} {expected}");
    }
}

#[test]
fn bits_of_recorded_containers_count() {
    let Some(folder) = vectors() else { return };
    let folder = folder.join("xroad-recorded");
    let conf = conf(&folder.join("materials/globalconf"));
    let containers = recorded(&folder);
    for (place, (name, good)) in containers.iter().enumerate().step_by(16) {
        let told = Unpacked::new(good).0;
        // every 97th bit, another set of them in each container
        for bit in (place % 97..good.len() * 8).step_by(97) {
            let bytes = crate::trust::testing::flipped(good, bit);
            if prove(&bytes, &conf).is_ok() {
                assert_eq!(Unpacked::new(&bytes).0, told, "{name} bit {bit}");
            }
        }
    }
}

#[test]
fn archives_are_linked() {
    let Some(folder) = vectors() else { return };
    let recorded = folder.join("xroad-recorded/rsa/archive");
    let names = |folder: &Path| -> Vec<_> {
        files_below(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == "zip")).collect()
    };
    for files in [names(&folder.join("xroad/archive")), names(&recorded)] {
        assert_eq!(files.len(), 2);
        let links: Vec<_> = files
            .iter()
            .map(|path| {
                let mut archive = Archive::open(fs::File::open(path).unwrap()).unwrap();
                let mut seen = Vec::new();
                let link = archive::verify(&mut archive, |name, _| seen.push(name.to_owned())).unwrap();
                assert_eq!(seen, link.containers);
                link
            })
            .collect();
        assert_eq!(links[0].previous, None);
        assert_eq!(links[0].algorithm, DigestAlgorithm::Sha512);
        let named = links[1].previous.as_ref().unwrap();
        assert!(named.1.contains(&format!("-{}.zip", &links[0].last[..16])), "{named:?}");
        assert_eq!(links[1].follows(&links[0]), Ok(()));
        assert!(links[0].follows(&links[1]).is_err());
    }
}

/// Archives of X-Road's own, made once more from their containers: chain, name and every entry are the same.
#[test]
fn archives_are_written_as_others_write_them() {
    let Some(folder) = vectors() else { return };
    let files = [folder.join("xroad/archive"), folder.join("xroad-recorded/rsa/archive")];
    let files: Vec<_> = files.iter().flat_map(|folder| files_below(folder)).collect();
    let files: Vec<_> = files.iter().filter(|p| p.extension().is_some_and(|e| e == "zip")).collect();
    assert_eq!(files.len(), 4);
    for path in files {
        let mut theirs = Archive::open(fs::File::open(path).unwrap()).unwrap();
        let mut containers = Vec::new();
        let link =
            archive::verify(&mut theirs, |name, bytes| containers.push((name.to_owned(), bytes))).unwrap();
        let mut ours = archive::ArchiveWriter::new(Vec::new(), link.previous.clone());
        for (name, bytes) in &containers {
            let recorded = Archive::open(Cursor::new(bytes)).unwrap().entries()[0].modified().unwrap();
            ours.add(name, recorded, bytes.as_slice()).unwrap();
        }
        assert_eq!(ours.bytes(), containers.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        let (bytes, ours_link, name) = ours.finish(None).unwrap();
        assert_eq!(ours_link, link);
        let mut ours = Archive::open(Cursor::new(bytes)).unwrap();
        let names: Vec<_> = theirs.entries().iter().map(|e| e.name().to_owned()).collect();
        assert!(ours.entries().iter().map(|e| e.name()).eq(&names));
        assert_eq!(ours.comment(), theirs.comment());
        assert_eq!(
            ours.read(archive::LINKING_INFO, 1 << 20).unwrap(),
            theirs.read(archive::LINKING_INFO, 1 << 20).unwrap()
        );
        if path.starts_with(folder.join("xroad-recorded")) {
            assert_eq!(name, path.file_name().unwrap().to_string_lossy());
        }
    }
    let mut grouped = archive::ArchiveWriter::new(Vec::new(), None);
    grouped.add("a", UnixTime::from_secs(1_767_323_045), &b"a"[..]).unwrap();
    grouped.add("b", UnixTime::from_secs(1_767_323_044), &b"b"[..]).unwrap();
    let (_, link, name) = grouped.finish(Some("DEV/GOV/M1\u{7}")).unwrap();
    assert_eq!(name, format!("mlog-DEV_GOV_M1_-20260102030404-20260102030405-{}.zip", &link.last[..16]));
}

/// The folder of the independent judge, when it and what it needs are there.
fn judge() -> Option<PathBuf> {
    let set = std::env::var_os("SAATKOND_JUDGE").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/judge");
    let folder = set.or_else(|| vectors().map(|v| v.join("../judge"))).unwrap_or(beside);
    let runs = folder.is_dir()
        && Command::new("python3")
            .args(["-c", "import cryptography, lxml, asn1crypto, OpenSSL"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
    if runs {
        return Some(folder);
    }
    let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
    assert!(!required, "no judge in {}, or no Python with its packages", folder.display());
    skip(&format!("no judge in {}, or no Python with its packages", folder.display()));
    None
}

fn run_judge(judge: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("python3")
        .args(["-B", "-m", "judge"])
        .args(arguments)
        .current_dir(judge)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), told)
}

/// A folder that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("saatkond-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_judges_hostile_containers_are_refused() {
    let Some(judge) = judge() else { return };
    let scratch = Scratch::new("hostile");
    let (world, out) = (scratch.path("world"), scratch.path("out"));
    let (done, told) = run_judge(&judge, &["world", &world]);
    assert!(done, "{told}");
    let (done, told) = run_judge(&judge, &["hostile", "containers", "--world", &world, "--out", &out]);
    assert!(done, "{told}");
    let conf = conf(&Path::new(&world).join("globalconf"));
    let expected = fs::read(Path::new(&out).join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let cases = expected.as_object().unwrap();
    assert!(cases.len() > 60, "{}", cases.len());
    for (name, case) in cases {
        let bytes = fs::read(Path::new(&out).join(name)).unwrap();
        let found =
            if name.ends_with(".zip") { chain_of(&bytes, &conf) } else { outcome(prove(&bytes, &conf)) };
        let codes: Vec<_> = case["codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        match case["verdict"].as_str().unwrap() {
            "accept" => assert_eq!(found, "holds", "{name}"),
            "refuse" => {
                // X-Road's own word for a certificate that had expired, which the judge does not list
                let is_x_roads = found == "cannot_create_cert_path.internal_error";
                let is_listed = codes.is_empty() || codes.iter().any(|code| found.contains(code));
                assert!(found != "holds" && (is_listed || is_x_roads), "{name}: {found}, expected {codes:?}");
            }
            "either" => {}
            other => panic!("{name}: verdict {other}"),
        }
    }
}

fn chain_of(bytes: &[u8], conf: &GlobalConf) -> String {
    let Ok(mut archive) = Archive::open(Cursor::new(bytes)) else { return "archive_unreadable".to_owned() };
    let mut all = true;
    match archive::verify(&mut archive, |_, bytes| all &= prove(&bytes, conf).is_ok()) {
        Ok(_) if all => "holds".to_owned(),
        Ok(_) => "archive holds, a container does not".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn the_judge_accepts_our_containers() {
    let Some(judge) = judge() else { return };
    let world = World::new();
    let scratch = Scratch::new("ours");
    world.store(&scratch.0.join("globalconf"));
    let messages: [&[&[u8]]; 3] = [&[REQUEST], &[REQUEST, BODY], &[REQUEST, b"1", b"2"]];
    let mut files = Vec::new();
    for (n, parts) in messages.into_iter().enumerate() {
        for stamping in [Stamping::Single, Stamping::Batch] {
            let path = scratch.path(&format!("{n}-{stamping:?}.asice"));
            fs::write(&path, world.container(parts, stamping)).unwrap();
            files.push(path);
        }
    }
    for (parts, signed) in messages.iter().zip(world.sign(&messages)) {
        let path = scratch.path(&format!("together-{}.asice", parts.len()));
        fs::write(&path, world.pack(parts, &signed, Stamping::Batch)).unwrap();
        files.push(path);
    }
    let conf = scratch.path("globalconf");
    let mut arguments = vec!["--json", "asic"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(["--globalconf", &conf, "--form"]);
    let (accepted, told) = run_judge(&judge, &arguments);
    assert!(accepted, "{told}");
    assert!(!told.contains("\"severity\": \"deviation\""), "{told}");
    // and refuses one with a changed attachment, so that its word means something
    let changed = scratch.path("changed.asice");
    let unpacked = Unpacked::new(&world.container(&[REQUEST, BODY], Stamping::Single));
    fs::write(&changed, unpacked.with("attachment1", b"other").pack()).unwrap();
    let (accepted, _) = run_judge(&judge, &["asic", &changed, "--globalconf", &conf]);
    assert!(!accepted);
}

#[test]
fn recorded_manifests_are_read() {
    let Some(folder) = vectors() else { return };
    for (name, bytes) in recorded(&folder.join("xroad-recorded/ec")) {
        for (entry, content) in Unpacked::new(&bytes).0 {
            if entry == entry::ASIC_MANIFEST {
                assert!(manifest::read_covered(&content).is_ok(), "{name}");
            }
        }
    }
}
