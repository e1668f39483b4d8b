//! The forms of the configuration files, as `schemas/` publishes them.
//!
//! Each is made from the structs that read the file, so that it cannot say anything else than the program does;
//! `UPDATE=1 cargo test -p saatkond-tests --test schemas` writes them anew.

mod check;
mod form;
mod json;
mod loads;
mod source;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A configuration file and where it is read.
struct File {
    name: &'static str,
    about: &'static str,
    sources: &'static [&'static str],
}

const FILES: [File; 7] = [
    File {
        name: "gateway.toml",
        about: "How one gateway runs.",
        sources: &[
            include_str!("../../../gateway/src/conf/v1.rs"),
            include_str!("../../../gateway/src/conf/doors.rs"),
        ],
    },
    File {
        name: "server.toml",
        about: "What one gateway offers, and to whom.",
        sources: &[include_str!("../../../gateway/src/conf/server_v1.rs")],
    },
    File {
        name: "keys.toml",
        about: "The keys of one gateway.",
        sources: &[include_str!("../../../gateway/src/keys/index.rs")],
    },
    File {
        name: "ca.toml",
        about: "What a certification authority is and how it issues.",
        sources: &[include_str!("../../../ca-tools/src/policy.rs")],
    },
    File {
        name: "serve.toml",
        about: "Which trust services one process offers.",
        sources: &[include_str!("../../../ca-tools/src/serve/conf.rs")],
    },
    File {
        name: "proxy.toml",
        about: "Whose configuration is passed on, and how.",
        sources: &[include_str!("../../../ca-tools/src/proxy/conf.rs")],
    },
    File {
        name: "instance.toml",
        about: "An instance: who belongs to it, and whom all of them trust.",
        sources: &[
            include_str!("../../../ca-tools/src/instance/v1.rs"),
            include_str!("../../../ca-tools/src/instance/continuity.rs"),
        ],
    },
];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

impl File {
    fn schema_file(&self) -> PathBuf {
        repository("schemas").join(self.name.replace(".toml", ".schema.json"))
    }

    fn written(&self) -> String {
        form::schema(self.name, self.about, self.sources).to_string()
    }

    fn schema(&self) -> Value {
        serde_json::from_str(&self.written()).unwrap()
    }
}

fn document(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

/// The schemas of the files in `conf/`: `gateway-embassy.toml` has the form of `gateway.toml`.
fn copies() -> Vec<(PathBuf, &'static File)> {
    let found = fs::read_dir(repository("conf")).unwrap().map(|entry| entry.unwrap().path());
    let found = found.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let with_form = found.map(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        let file = FILES.iter().find(|file| file.name == format!("{stem}.toml"));
        (path.clone(), file.unwrap_or_else(|| panic!("{} has no schema", path.display())))
    });
    with_form.collect()
}

#[test]
fn the_schemas_are_what_the_structs_say() {
    for file in &FILES {
        let (path, expected) = (file.schema_file(), file.written());
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{}: run the tests with UPDATE=1", path.display());
    }
    let published = fs::read_dir(repository("schemas")).unwrap().map(|e| e.unwrap().file_name());
    let published = published.filter(|name| name.to_str().unwrap().ends_with(".json")).count();
    assert_eq!(published, FILES.len(), "schemas/ holds a schema that nothing makes");
}

#[test]
fn every_file_in_conf_has_the_form() {
    for (path, file) in copies() {
        let found = check::errors(&file.schema(), &document(&fs::read_to_string(&path).unwrap()));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
    let bare = "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \"state\"\n";
    assert_eq!(check::errors(&FILES[0].schema(), &document(bare)), [""; 0], "the smallest one");
}

/// Every place of a document and what stands there.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    found.push(place.to_owned());
    match value {
        Value::Object(keys) => keys.iter().for_each(|(k, v)| places(v, &format!("{place}/{k}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| places(v, &format!("{place}/{i}"), found));
        }
        _ => {}
    }
}

#[test]
fn a_value_of_another_type_and_a_key_too_many_break_the_form() {
    for (path, file) in copies() {
        let schema = file.schema();
        let whole = document(&fs::read_to_string(&path).unwrap());
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        assert!(all.len() > 10, "{}: {all:?}", path.display());
        for place in all {
            let mut changed = whole.clone();
            let value = changed.pointer_mut(&place).unwrap();
            let others: Vec<Value> = match value {
                Value::Object(keys) => {
                    let mut more = keys.clone();
                    more.insert("no_such_key".to_owned(), Value::Bool(true));
                    vec![Value::Object(more), Value::Bool(true)]
                }
                Value::Array(_) => vec![Value::Bool(true), serde_json::json!([[]])],
                Value::String(_) => vec![Value::Bool(true), Value::from(7)],
                Value::Number(_) => vec![Value::from("many"), Value::from(-1), Value::from(0.5)],
                _ => vec![Value::from("yes"), Value::from(1)],
            };
            for other in others {
                *changed.pointer_mut(&place).unwrap() = other.clone();
                assert!(
                    !check::errors(&schema, &changed).is_empty(),
                    "{}: {place} = {other}",
                    path.display()
                );
            }
        }
    }
}
