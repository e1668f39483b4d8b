//! The shape of the house itself: style that is only written down decays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms of the gateway, left to right: a room names only rooms to its left.
const ROOMS: [&[&str]; 10] = [
    &["clock", "conf"],
    &["keys"],
    &["world"],
    &["messagelog"],
    &["net"],
    &["embassy"],
    &["consumer", "provider"],
    &["jobs"],
    &["admin"],
    &["demo"],
];
const LINES_MAX: usize = 700;
const DEPTH_MAX: usize = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file that belongs to the repository.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the repository");
    let names = String::from_utf8(listed.stdout).unwrap();
    names.lines().map(PathBuf::from).filter(|p| root().join(p).is_file()).collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let rust = files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    rust.map(|p| (p.clone(), std::fs::read_to_string(root().join(p)).unwrap())).collect()
}

/// Whether a file belongs to tests alone: a `#[cfg(test)]` module of its folder, or below one.
fn is_test(path: &Path) -> bool {
    let mut module = path.with_extension("");
    if module.file_name().is_some_and(|name| name == "mod") {
        module.pop();
    }
    while let Some(parent) = module.parent().map(Path::to_path_buf) {
        let name = module.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let declared = [parent.join("mod.rs"), parent.with_extension("rs"), parent.join("lib.rs")];
        let texts = declared.iter().filter_map(|file| std::fs::read_to_string(root().join(file)).ok());
        if texts.into_iter().any(|t| {
            t.contains(&format!("#[cfg(test)]\nmod {name};"))
                || t.contains(&format!("#[cfg(test)]\npub(crate) mod {name};"))
        }) {
            return true;
        }
        module = parent;
    }
    path.components().any(|c| c.as_os_str() == "tests")
}

/// The part of a source file in front of its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

fn column(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn rooms_name_only_rooms_to_their_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("gateway/src") else { continue };
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        let Some(own) = column(room) else { continue };
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for named in code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]) {
                let named: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let right = column(&named)
                    .is_some_and(|other| other > own || (other == own && named != room && own == 6));
                if right {
                    wrong.push(format!("{}:{}: {room} names {named}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows run one way:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_has_its_place() {
    let rooms: BTreeSet<String> = sources()
        .iter()
        .filter(|(p, _)| !is_test(p))
        .filter_map(|(p, _)| {
            Some(
                p.strip_prefix("gateway/src")
                    .ok()?
                    .iter()
                    .next()?
                    .to_str()?
                    .trim_end_matches(".rs")
                    .to_owned(),
            )
        })
        .filter(|r| !["lib", "main", "manual"].contains(&r.as_str()))
        .collect();
    let known: BTreeSet<String> = ROOMS.iter().flat_map(|r| r.iter()).map(|r| (*r).to_owned()).collect();
    assert_eq!(rooms, known);
}

#[test]
fn files_are_short_shallow_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let shown = path.display();
        if !text.starts_with("//!") && !text.starts_with("#![no_main]") {
            wrong.push(format!("{shown}: does not open with a module doc"));
        }
        let lines = without_tests(&text).lines().count();
        if lines > LINES_MAX && !is_test(&path) {
            wrong.push(format!("{shown}: {lines} lines without its tests, at most {LINES_MAX}"));
        }
        let below = path.iter().skip_while(|part| *part != "src").count();
        if below > DEPTH_MAX + 2 {
            wrong.push(format!("{shown}: deeper than {DEPTH_MAX} folders under src"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn proto_is_pure() {
    let mut wrong = Vec::new();
    for (path, text) in
        sources().into_iter().filter(|(p, _)| p.starts_with("gateway/proto/src") && !is_test(p))
    {
        for word in
            ["std::fs", "std::net", "SystemTime::now", "Instant::now", "tokio", "tracing::", "async fn"]
        {
            if without_tests(&text).lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word)) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no sockets, no clock, no disk in proto:\n{}", wrong.join("\n"));
}

#[test]
fn names_say_what_not_how() {
    let banned = [
        "Manager",
        "Handler",
        "Processor",
        "Helper",
        "Util",
        "Utils",
        "Impl",
        "Data",
        "Info",
        "Base",
        "Abstract",
    ];
    // Terms of XML-DSig and CMS, which are not ours to change.
    let published = ["SignedInfo", "SignedData"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let named = words.windows(2).find(|w| ["struct", "enum", "trait"].contains(&w[0])).map(|w| w[1]);
            let Some(name) = named else { continue };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
            if banned.iter().any(|b| name.ends_with(b)) && !published.contains(&name.as_str()) {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_level_holds_what_it_should() {
    let visible: BTreeSet<String> = files()
        .iter()
        .filter_map(|p| p.iter().next().and_then(|n| n.to_str()).map(str::to_owned))
        .filter(|n| !n.starts_with('.'))
        .collect();
    let wanted = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "ca-tools",
        "conf",
        "docker",
        "gateway",
        "schemas",
        "tests",
    ];
    assert_eq!(visible, wanted.into_iter().map(str::to_owned).collect());
}

#[test]
fn every_fault_code_is_produced_and_every_recordable_is_known() {
    let all: String = sources().into_iter().map(|(_, text)| text).collect();
    let table = std::fs::read_to_string(root().join("gateway/proto/src/fault.rs")).unwrap();
    let uses = all.replace(&table, "");
    let unused: Vec<&str> = saatkond_proto::fault::Leaf::ALL
        .iter()
        .map(|leaf| leaf.text())
        .filter(|text| {
            let line = table.lines().find(|l| l.contains(&format!("= \"{text}\""))).unwrap();
            let name = line.split_whitespace().next().unwrap();
            !uses.contains(&format!("Leaf::{name}"))
        })
        .collect();
    assert!(unused.is_empty(), "codes that nothing produces: {unused:?}");
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let gate = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(
        readme.contains("cargo run --release --bin saatkond -- demo"),
        "the command that runs the main job"
    );
    assert!(gate.contains("--bin saatkond -- demo --once"), "the gate runs the demo");
    assert!(readme.contains("cargo test --workspace"), "the command that passes the tests");
    assert!(gate.contains("cargo test --workspace"), "the gate runs the tests");
}
