//! The files in `conf/` are taken by the programs that read them, and spell out every key there is.

use super::{copies, repository};
use saatkond::keys::Keys;
use saatkond::keys::pin::PinSource;
use saatkond_ca::ca::{Authority, Policy};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::instance::{Instance, v1};
use saatkond_ca::key::KeySpec;
use saatkond_ca::proxy::{Proxy, create_key};
use saatkond_ca::serve::{Clock, Service as _, Services};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The names of all keys of a schema.
fn keys<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    let tables = schema["$defs"].as_object().into_iter().flat_map(|d| d.values()).chain([schema]);
    for table in tables {
        found.extend(table["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
    }
}

#[test]
fn every_key_is_spelled_out() {
    for (path, file) in copies() {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(|l| l.trim_start_matches("# ")).collect();
        let schema = file.schema();
        let mut names = Vec::new();
        keys(&schema, &mut names);
        for name in names {
            let inline = format!("{{ {name} = ");
            let spelled = lines.iter().any(|line| {
                line.split_once(" = ").is_some_and(|(key, _)| key == name)
                    || line.trim_matches(['[', ']']).rsplit('.').next() == Some(name)
                    || line.contains(&inline)
            });
            let is_shown_in_words = file.name == "gateway.toml" && ["provider", "servers"].contains(&name);
            assert!(spelled || is_shown_in_words, "{} does not spell out {name}", path.display());
        }
    }
}

/// An instance is made that has what the files name, then they are put in the place of its own.
#[test]
fn an_authority_and_a_server_take_their_files() {
    let directory = std::env::temp_dir().join(format!("saatkond-loads-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    let clock = Clock::system();
    let plan =
        Plan::two_boards("http://127.0.0.1:4080", KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
    let made = Federation::create(&directory, &plan, clock.now()).unwrap();
    let trust = directory.join("trust");
    fs::create_dir(trust.join("servers")).unwrap();
    for (place, name) in made.servers().iter().zip(["tax", "home", "embassy"]) {
        fs::copy(place.keys.join("auth.cert.pem"), trust.join(format!("servers/{name}.cert.pem"))).unwrap();
    }
    let put = |name: &str| fs::copy(repository("conf").join(name), trust.join(name)).unwrap();

    put("instance.toml");
    let instance = instance(&made.instance_file());
    assert_eq!(instance.notes(), [""; 0]);
    assert_eq!(instance.shared().servers.len(), 3);
    made.apply(clock.now()).unwrap();

    let keys = &made.servers()[0].keys;
    fs::copy(repository("conf/keys.toml"), keys.join("keys.toml")).unwrap();
    assert!(!Keys::open(keys, 1, &PinSource::none()).unwrap().are_a_demonstration());

    let policy = Policy::read(&repository("conf/ca.toml")).unwrap();
    Authority::create(&directory.join("authority"), Policy { key: KeySpec::P256, ..policy }, clock.now())
        .unwrap();

    put("serve.toml");
    let services = Services::open(&made.serve_config(), clock.clone()).unwrap();
    assert_eq!(services.listen(), "0.0.0.0:80");

    put("proxy.toml");
    fs::copy(made.anchor(), trust.join("anchor.xml")).unwrap();
    create_key(&trust.join("proxy.toml"), KeySpec::P256).unwrap();
    let proxy = Proxy::open(&trust.join("proxy.toml"), clock).unwrap();
    assert_eq!(proxy.anchor().sources[0].url, "http://conf.embassy.example/proxy/conf");

    uncommented(&trust);
    fs::remove_dir_all(&directory).unwrap();
}

fn instance(path: &Path) -> Instance {
    Instance::from_file(v1::File::read(path).unwrap(), Clock::system().now()).unwrap()
}

/// What stands in a comment as an example is taken too, where it needs nothing that is not there.
fn uncommented(trust: &Path) {
    let text = fs::read_to_string(trust.join("instance.toml")).unwrap();
    let more = ["monitoring_client = ", "maintenance = ", "[ca.acme]", "directory_url = ", "ip_address = "];
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(code) if more.iter().any(|m| code.starts_with(m)) => code,
        _ => line,
    });
    let path = trust.join("uncommented.toml");
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let instance = instance(&path);
    assert!(instance.options().monitoring_client.is_some());
    assert!(instance.shared().cas[0].acme.is_some());
}

/// What the program takes has the form, also where it is generous; what it refuses for its form breaks it.
#[test]
fn program_and_schema_agree_on_texts() {
    let file = copies().into_iter().find(|(_, file)| file.name == "gateway.toml").unwrap().1;
    let schema = file.schema();
    for (key, taken, refused) in [
        (
            "timeouts.idle",
            &["1 ms", "30s", " 2  min ", "4 h", "1 d"][..],
            &["30", "1.5 h", "-1 s", "5 w", ""][..],
        ),
        ("log.segment", &["1 MiB", "16MiB", "1048576 B"], &["16", "16 MB", "16 M", "-1 B"]),
        (
            "listen.clients",
            &["off", "127.0.0.1:80", "[::1]:8080", "[fe80::1%3]:80"],
            &["localhost:80", "::1", "80"],
        ),
        ("server", &["a/b/c/d", "EE/GOV/a%2Fb/S"], &["a/b/c", "a/b/c/d/e", ""]),
    ] {
        for (texts, is_taken) in [(taken, true), (refused, false)] {
            for text in texts {
                let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
                let mut document = serde_json::json!({ "version": 1, "server": "a/b/c/d", "state": "s" });
                match table {
                    "" => document[name] = Value::from(*text),
                    table => document[table][name] = Value::from(*text),
                }
                let written = toml::to_string(&document).unwrap();
                let program = saatkond::conf::Conf::from_toml(&written, Path::new("gateway.toml"));
                let form = super::check::errors(&schema, &document);
                assert_eq!(program.is_ok(), is_taken, "{key} = {text:?}: {program:?}");
                assert_eq!(form.is_empty(), is_taken, "{key} = {text:?}: {form:?}");
            }
        }
    }
}
