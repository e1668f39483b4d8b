//! The manual says what is: the files it names are there.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/src")
}

/// The chapters, by name, in order.
fn chapters() -> Vec<(String, String)> {
    let dir = sources().join("manual");
    let mut found: Vec<(String, String)> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| name != "mod")
        .collect();
    found.sort();
    found
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_chapter_is_in_the_table_of_contents() {
    let contents = fs::read_to_string(sources().join("manual/mod.rs")).unwrap();
    for (number, (name, text)) in chapters().iter().enumerate() {
        assert!(name.starts_with(&format!("_{}_", number + 1)), "{name} is chapter {}", number + 1);
        assert!(contents.contains(&format!("//! | [`{name}`] |")), "{name} is not in the table");
        assert!(text.lines().all(|line| line.starts_with("//!")), "{name} is documentation and nothing else");
    }
}

#[test]
fn every_file_that_the_manual_names_is_there() {
    let mut named = 0;
    for (chapter, text) in chapters() {
        for name in quoted(&text).filter(|word| word.ends_with(".rs")) {
            assert!(sources().join(name).is_file(), "{chapter} names {name}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

/// The first column of the table under a heading of chapter 5.
fn column(heading: &str) -> Vec<String> {
    let (_, text) = chapters().remove(4);
    let section = text.split(&format!("//! # {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("//! # ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("//! | "));
    rows.skip(1).map(|row| row.split(" | ").next().unwrap().trim_matches('`').to_owned()).collect()
}

#[test]
fn every_exit_code_is_told() {
    use saatkond_ca::exit::Exit::*;
    let all = [Done, NotWell, Usage, Unavailable, OurBug, Disk, NotAllowed, Configuration];
    assert_eq!(column("Exit codes"), all.map(|exit| exit.code().to_string()));
}

#[test]
fn every_job_is_told() {
    let jobs = saatkond::jobs::Job::ALL.map(|job| job.name().to_owned());
    assert_eq!(column("Jobs"), jobs);
}

#[test]
fn every_field_of_the_closing_line_is_told() {
    let task = fs::read_to_string(sources().join("net/task.rs")).unwrap();
    let line = task.split("tracing::info!(").nth(1).unwrap().split("\"exchange\"").next().unwrap();
    let fields = line.lines().map(|l| l.trim().trim_end_matches(',')).filter(|l| !l.is_empty());
    let fields: Vec<&str> = fields.map(|l| l.split(" = ").next().unwrap()).collect();
    assert_eq!(column("Log lines"), fields);
}

/// Lines that the manual tells operators to look for.
#[test]
fn every_log_line_that_the_manual_names_is_said() {
    let (_, chapter) = chapters().remove(4);
    let mut said = String::new();
    let mut folders = vec![sources()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("manual") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                said.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let is_line = |word: &&str| {
        word.split(' ').count() > 2 && word.chars().all(|c| c.is_alphabetic() || " ;".contains(c))
    };
    let lines: Vec<&str> = quoted(&chapter).filter(is_line).collect();
    assert!(lines.len() > 5, "{lines:?}");
    for line in lines {
        assert!(said.contains(line), "nothing says {line:?}");
    }
}
