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
