//! Containers of an instance of its own, verified from files alone.

mod world;

use super::{VerifyArgs, run};
use crate::exit::{Exit, Failure, Streams};
use saatkond_proto::container::zip::{Level, Writer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use world::{World, now, remove};

/// Runs the command as the program would: how it ends, and what it says on standard output.
fn say(arguments: &[&str], paths: &[&Path]) -> (Result<Exit, Failure>, String) {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: VerifyArgs,
    }
    let paths = paths.iter().map(|p| p.to_str().unwrap());
    let line = ["verify"].into_iter().chain(arguments.iter().copied()).chain(paths);
    let args = <Line as clap::Parser>::try_parse_from(line).unwrap().args;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let result = run(&args, &mut Streams::new(&mut out, &mut talk));
    (result, String::from_utf8(out).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What comes of the files when the anchor is believed.
fn by_anchor(world: &World, files: &[&Path]) -> (Result<Exit, Failure>, String) {
    say(&["--anchor", text(&world.path("anchor.xml"))], files)
}

#[test]
fn a_container_holds_by_the_anchor_and_what_lies_beside_it() {
    let world = World::new();
    let file = world.put("x.asice", &world.container("the-id"));
    let (exit, said) = by_anchor(&world, &[&file]);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    for part in [
        "configuration of DEV, held until 2026-11-24T08:10:00Z",
        "signed by the anchor",
        "x.asice: holds",
        "REST request POST /r1/DEV/GOV/M2/S/land/parcel",
        "from DEV/GOV/M1/C",
        "message id the-id",
        "DEV/GOV/M1 (ECDSA with SHA-512, through a hash chain)",
        "whose responder said good at 2026-11-24T08:00:00Z",
        "2026-11-24T08:01:00Z, or before",
        "attachment1 (7 bytes)",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!said.contains("NOT PROVEN"), "{said}");
    // paths aside, a line fits
    let here = world.path("");
    assert!(said.lines().all(|l| l.chars().count() <= 100 || l.contains(text(&here))), "{said}");
}

#[test]
fn where_the_signed_files_lie_does_not_matter() {
    let world = World::new();
    let file = world.put("x.asice", &world.container("1"));
    let moved = |from: &str, to: &str| {
        let bytes = std::fs::read(world.path(from)).unwrap();
        world.put(to, &bytes)
    };
    let anchor = moved("anchor.xml", "handed/over/anchor.xml");
    moved("published/V6/internalconf", "handed/over/internalconf");
    moved("published/V6/20261124080000/shared-params.xml", "handed/over/shared-params.xml");
    let (exit, said) = say(&["--anchor", text(&anchor)], &[&file]);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    // or in a folder that is named
    let anchor = moved("anchor.xml", "elsewhere/anchor.xml");
    let published = world.path("published");
    let (exit, _) = say(&["--anchor", text(&anchor), "--globalconf", text(&published)], &[&file]);
    assert_eq!(exit, Ok(Exit::Done));
    let (exit, _) = say(&["--anchor", text(&anchor)], &[&file]);
    let failure = exit.unwrap_err();
    assert_eq!(failure.exit, Exit::Configuration);
    assert!(failure.hint.unwrap().contains("internalconf"));
}

#[test]
fn configuration_that_the_anchor_did_not_sign_is_not_believed() {
    let world = World::new();
    let file = world.put("x.asice", &world.container("1"));
    let other = world.put("anchor.xml", &world.anchor(&world.other_certificate()));
    let failure = by_anchor(&world, &[&file]).0.unwrap_err();
    assert_eq!(failure.exit, Exit::Configuration);
    assert!(failure.message.contains("no certificate with the hash"), "{failure}");
    remove(&other);
    assert_eq!(by_anchor(&world, &[&file]).0.unwrap_err().exit, Exit::Configuration);
    // signed, but the part is not the one that was signed
    world.publish(now());
    let shared = world.path("published/V6/20261124080000/shared-params.xml");
    let edited = std::fs::read_to_string(&shared).unwrap().replace("Test CA", "Text CA");
    std::fs::write(&shared, edited).unwrap();
    std::fs::remove_dir_all(world.path("copy")).unwrap();
    let failure = by_anchor(&world, &[&file]).0.unwrap_err();
    assert!(failure.message.contains("no file there has that digest"), "{failure}");
}

#[test]
fn a_copy_is_believed_on_somebodys_word_and_that_is_said() {
    let world = World::new();
    let file = world.put("x.asice", &world.container("1"));
    for copy in ["copy", "verificationconf.zip"] {
        let (exit, said) = say(&["--globalconf", text(&world.path(copy))], &[&file]);
        assert_eq!(exit, Ok(Exit::Done), "{said}");
        assert!(said.contains("it carries no signature"), "{said}");
    }
    for not_one in ["published", "x.asice", "nothing"] {
        let failure = say(&["--globalconf", text(&world.path(not_one))], &[&file]).0.unwrap_err();
        assert_eq!(failure.exit, Exit::Configuration, "{not_one}");
    }
}

#[test]
fn what_is_not_proven_is_said() {
    let world = World::new();
    world.publish(now());
    let file = world.put("x.asice", &world.container_of("1", "DEV/GOV/M1/C", &[]));
    let (exit, said) = by_anchor(&world, &[&file]);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    assert!(said.contains("NOT PROVEN attachment1 was signed and is not in the file"), "{said}");
    assert!(said.contains("the configuration held until 2026-11-24T08:00:00Z"), "{said}");
}

#[test]
fn a_message_cannot_write_on_the_terminal() {
    let world = World::new();
    let turned = world.put("turned.asice", &world.container("a\u{202e}b"));
    let obeyed = world.put("obeyed.asice", &world.container("a\u{1b}[2Kb"));
    let (_, said) = by_anchor(&world, &[&turned, &obeyed]);
    assert!(said.contains("message id a\u{fffd}b"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn what_does_not_hold_is_named_and_ends_with_1() {
    let world = World::new();
    let good = world.put("good.asice", &world.container("1"));
    let altered = world.put("altered.asice", &world.container_of("1", "DEV/GOV/M1/C", &[b"{\"a\":2}"]));
    let stranger = world.put("stranger.asice", &world.container_of("1", "DEV/GOV/M3/C", &[world::BODY]));
    let torn = world.put("torn.asice", &world.container("1")[..3000]);
    let (exit, said) = by_anchor(&world, &[&good, &altered, &stranger, &torn]);
    assert_eq!(exit, Ok(Exit::NotWell));
    for part in [
        "good.asice: holds",
        "altered.asice: DOES NOT HOLD",
        "(malformed_signature.invalid_hash_chain_ref)",
        "stranger.asice: DOES NOT HOLD",
        "(incorrect_certificate)",
        "torn.asice: DOES NOT HOLD",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_the_others_are_verified() {
    let world = World::new();
    let good = world.put("good.asice", &world.container("1"));
    for missing in ["nothing.asice", "copy"] {
        let (exit, said) = by_anchor(&world, &[&world.path(missing), &good]);
        assert_eq!(exit, Ok(Exit::Disk));
        assert!(said.contains("good.asice: holds"), "{said}");
    }
}

#[test]
fn whom_to_believe_must_be_said() {
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: VerifyArgs,
    }
    let read = |line: &[&str]| <Line as clap::Parser>::try_parse_from(line).map(|line| line.args.files.len());
    assert_eq!(read(&["verify", "x.asice", "--anchor", "anchor.xml", "--globalconf", "folder"]).unwrap(), 1);
    assert!(read(&["verify", "x.asice"]).unwrap_err().to_string().contains("--globalconf"));
    assert!(read(&["verify", "--anchor", "anchor.xml"]).is_err());
}

#[test]
fn json_says_the_same() {
    let world = World::new();
    let good = world.put("good.asice", &world.container("the-id"));
    let bad = world.put("bad.asice", b"not a zip file");
    let anchor = world.path("anchor.xml");
    let (exit, said) = say(&["--json", "--anchor", text(&anchor)], &[&good, &bad]);
    assert_eq!(exit, Ok(Exit::NotWell));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["holds"], false);
    assert_eq!(said["configuration"]["instance"], "DEV");
    assert_eq!(said["configuration"]["signed"], true);
    assert_eq!(said["configuration"]["anchor_sha224"].as_str().unwrap().len(), 28 * 3 - 1);
    let [first, second] = said["files"].as_array().unwrap().as_slice() else { panic!("{said}") };
    assert_eq!(first["holds"], true);
    assert_eq!(first["message"]["client"], "DEV/GOV/M1/C");
    assert_eq!(first["message"]["id"], "the-id");
    assert_eq!(first["signature"]["signer"], "DEV/GOV/M1");
    assert_eq!(first["signature"]["good_at"], "2026-11-24T08:00:00Z");
    assert_eq!(first["timestamp"]["time"], "2026-11-24T08:01:00Z");
    assert_eq!(first["parts"][1]["name"], "attachment1");
    assert_eq!(first["parts"][1]["bytes"], 7);
    assert_eq!(first["not_proven"].as_array().unwrap().len(), 0);
    assert_eq!(second["holds"], false);
    assert_eq!(second["code"], "asic_mime_type_not_found");
}

#[test]
fn archives_are_held_against_each_other_and_their_containers_verified() {
    let world = World::new();
    let (one, two) = (world.container("1"), world.container("2"));
    let bad = world.container_of("1", "DEV/GOV/M1/C", &[b"other"]);
    let (bytes, last) = world.archive(&[&one, &two], None);
    let first = world.put("mlog-1.zip", &bytes);
    let (bytes, _) = world.archive(&[&two], Some((&last, "mlog-1.zip.gpg")));
    let second = world.put("mlog-2.zip", &bytes);
    let (exit, said) = by_anchor(&world, &[&first, &second]);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    assert!(said.contains("mlog-1.zip/a%2Fb-request-a.asice: holds"), "{said}");
    assert!(said.contains("2 containers, digested with SHA-512; the first archive"), "{said}");
    assert!(said.contains("follows mlog-1.zip, as it says"), "{said}");
    let (exit, said) = by_anchor(&world, &[&second]);
    assert_eq!(exit, Ok(Exit::Done));
    assert!(said.contains("says that it follows mlog-1.zip.gpg, which was not given"), "{said}");
    // an archive between them was taken out
    let (bytes, _) = world.archive(&[&two], Some((&"ab".repeat(64), "mlog-1.zip")));
    let third = world.put("mlog-3.zip", &bytes);
    let (exit, said) = by_anchor(&world, &[&first, &third]);
    assert_eq!(exit, Ok(Exit::NotWell));
    assert!(said.contains("mlog-3.zip: ITS CHAIN DOES NOT HOLD"), "{said}");
    // the chain holds, a container in it does not
    let (bytes, _) = world.archive(&[&one, &bad], None);
    let (exit, said) = by_anchor(&world, &[&world.put("mlog-4.zip", &bytes)]);
    assert_eq!(exit, Ok(Exit::NotWell));
    assert!(said.contains("a%2Fb-request-b.asice: DOES NOT HOLD"), "{said}");
    assert!(said.contains("mlog-4.zip: its chain holds"), "{said}");
}

#[test]
fn a_download_of_several_containers_is_verified() {
    let world = World::new();
    let mut zip = Writer::new(Vec::new(), Level::Stored);
    zip.entry("x-request-1.asice", now(), world.container("1").as_slice()).unwrap();
    zip.entry("x-response-2.asice", now(), world.container("2").as_slice()).unwrap();
    let file = world.put("x.zip", &zip.finish("").unwrap());
    let (exit, said) = by_anchor(&world, &[&file]);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    assert_eq!(said.matches(": holds").count(), 2, "{said}");
}

#[test]
fn recorded_downloads_and_archives_hold() {
    let set = std::env::var_os("SAATKOND_VECTORS").map(PathBuf::from);
    let folder = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"));
    let recorded = folder.join("xroad-recorded");
    if !recorded.is_dir() {
        let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
        assert!(!required, "no {}", recorded.display());
        eprintln!("skipped: no vectors in {}", folder.display());
        return;
    }
    let mut archives: Vec<_> = std::fs::read_dir(recorded.join("rsa/archive"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "zip"))
        .collect();
    archives.sort();
    archives.push(recorded.join("rsa/asic-interface/forced-chain.zip"));
    let files: Vec<_> = archives.iter().map(PathBuf::as_path).collect();
    let (exit, said) = say(&["--globalconf", text(&recorded.join("materials/globalconf"))], &files);
    assert_eq!(exit, Ok(Exit::Done), "{said}");
    assert!(said.contains(", as it says"), "{said}");
}

#[test]
fn the_newest_configuration_is_taken() {
    let world = World::new();
    let file = world.put("x.asice", &world.container("1"));
    let old = std::fs::read(world.path("published/V6/internalconf")).unwrap();
    world.publish(now().plus(Duration::from_secs(6000)));
    world.put("published/V5/internalconf", &old);
    let (_, said) = by_anchor(&world, &[&file]);
    assert!(said.contains("held until 2026-11-24T09:40:00Z"), "{said}");
}
