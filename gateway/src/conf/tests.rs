//! The operator's files: every documented default, and what is refused.

use super::*;
use saatkond_proto::id::{ClientId, MemberId, ServiceId};
use std::fmt::Write as _;
use std::fs;

const SMALLEST: &str = "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \"/var/lib/saatkond\"\n";

fn refused(text: &str) -> String {
    Conf::from_toml(text, Path::new("gateway.toml")).unwrap_err().to_string()
}

/// One documented field of `v1.rs`.
struct Field {
    section: String,
    name: String,
    doc: String,
    default: Option<String>,
}

/// The fields of the structs of `v1.rs`, in order, with the section each stands in.
fn documented() -> (Vec<(String, String)>, Vec<Field>) {
    let source = include_str!("v1.rs");
    let (mut sections, mut fields) = (Vec::new(), Vec::new());
    let (mut doc, mut within, mut keys) = (String::new(), String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc = if doc.is_empty() { text.to_owned() } else { format!("{doc} {text}") };
        } else if let Some(name) = line.strip_prefix("pub struct ") {
            within = name.split([' ', '(']).next().unwrap().to_owned();
            let section = keys
                .iter()
                .find(|(_, t)| *t == within)
                .map_or(String::new(), |(k, _): &(String, _)| k.clone());
            if within == "File" || !section.is_empty() {
                sections.push((section, std::mem::take(&mut doc)));
            }
            doc.clear();
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|l| l.split_once(": ")) {
            let section = sections.last().unwrap().0.clone();
            let kind = kind.trim_end_matches(',');
            let doc = std::mem::take(&mut doc);
            if within == "File"
                && kind.chars().next().unwrap().is_uppercase()
                && !["String", "PathBuf"].contains(&kind)
            {
                keys.push((name.to_owned(), kind.to_owned()));
                continue;
            }
            let default = doc.rsplit_once("Default: `").map(|(_, d)| d.trim_end_matches("`.").to_owned());
            fields.push(Field { section, name: name.to_owned(), doc, default });
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    (sections, fields)
}

/// A default as TOML writes it: bare numbers, booleans and lists, everything else in quotes.
fn as_toml(default: &str) -> String {
    let bare = default.parse::<u64>().is_ok() || ["true", "false", "[]"].contains(&default);
    if bare { default.to_owned() } else { format!("\"{default}\"") }
}

fn wrap(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() > 98 {
            writeln!(out, "{line}").unwrap();
            line = "#".to_owned();
        }
        write!(line, " {}", word.replace('`', "")).unwrap();
    }
    writeln!(out, "{line}").unwrap();
}

fn example() -> String {
    let (sections, fields) = documented();
    let mut out = "# gateway.toml: how this process runs. Every option with its default; the first three are all that is\n\
                   # needed. Read once, at start.\n"
        .to_owned();
    for (section, doc) in sections {
        if !section.is_empty() {
            out.push('\n');
            wrap(&mut out, &doc);
            writeln!(out, "[{section}]").unwrap();
        }
        for field in fields.iter().filter(|f| f.section == section) {
            out.push('\n');
            wrap(&mut out, &field.doc);
            let value = match (field.name.as_str(), &field.default) {
                ("version", _) => "1".to_owned(),
                ("server", _) => "\"DEV/GOV/M1/TAX\"".to_owned(),
                ("state", _) => "\"/var/lib/saatkond\"".to_owned(),
                (name, default) => {
                    as_toml(default.as_ref().unwrap_or_else(|| panic!("{name} documents no default")))
                }
            };
            writeln!(out, "{} = {value}", field.name).unwrap();
        }
    }
    out
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

#[test]
fn the_example_is_what_the_fields_document() {
    let (file, expected) = (repository("conf/gateway.toml"), example());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), expected, "run the tests with UPDATE=1");
}

#[test]
fn every_documented_default_is_the_one_used() {
    let file = Path::new("/etc/saatkond/gateway.toml");
    let spelled = Conf::from_toml(&example(), file).unwrap();
    let smallest = Conf::from_toml(SMALLEST, file).unwrap();
    assert_eq!(format!("{spelled:?}"), format!("{smallest:?}"));
    assert_eq!(smallest.anchor, Path::new("/etc/saatkond/configuration-anchor.xml"));
    assert_eq!(smallest.instance(), "DEV");
}

#[test]
fn every_file_in_conf_loads() {
    for entry in fs::read_dir(repository("conf")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("gateway") && name.ends_with(".toml") {
            Conf::load(&path).unwrap();
        } else if name.starts_with("server") && name.ends_with(".toml") {
            let server = ServerConf::load(&path, "DEV").unwrap();
            assert!(server.clients().count() > 1, "{name}");
        }
    }
}

#[test]
fn unknown_keys_and_versions_are_refused_with_their_line() {
    let text = refused(&format!("{SMALLEST}[log]\nbody_maximum = \"1 MiB\"\n"));
    assert!(text.contains("line 5") && text.contains("body_maximum"), "{text}");
    assert!(refused("version = 2\nwhatever = 1\n").contains("version = 2, expected version = 1"));
    assert!(refused("server = \"a\"").contains("no version"));
    assert!(refused("version = 1\n").contains("server"));
    assert!(refused(&format!("{SMALLEST}[timeouts]\nidle = 30\n")).contains("idle = 30"));
    assert!(
        refused(&format!("{SMALLEST}[timeouts]\nidle = \"30\"\n")).contains("expected a whole number and")
    );
}

#[test]
fn values_that_break_a_rule_are_refused() {
    for (text, expected) in [
        ("[timeouts]\nconnect = \"0 s\"\n", "timeouts.connect: is zero"),
        ("[signing]\nbatch_max = 0\n", "signing.batch_max: is 0, expected 1 to 256"),
        ("[log]\nsegment = \"1 KiB\"\n", "log.segment: is 1024"),
        ("[listen]\nclients = \"0.0.0.0:5500\"\n", "listen.servers: 0.0.0.0:5500 is taken by listen.clients"),
        ("[listen]\nclients = \"here\"\n", "\"here\" is no address"),
    ] {
        let found = refused(&format!("{SMALLEST}{text}"));
        assert!(found.contains(expected), "{found}");
    }
    assert!(refused(&SMALLEST.replace("M1/TAX", "M1")).contains("3 segments, expected 4"));
}

#[test]
fn a_demonstration_stays_on_loopback() {
    let demo = format!("{SMALLEST}demo = true\n");
    assert!(refused(&demo).contains("listen.servers: 0.0.0.0:5500 is no loopback address"));
    let loopback = "[listen]\nservers = \"127.0.1.1:5500\"\nocsp = \"127.0.1.1:5577\"\nhealth = \"off\"\n";
    let conf = Conf::from_toml(&format!("{demo}{loopback}"), Path::new("gateway.toml")).unwrap();
    assert_eq!(conf.listen.health, None);
}

#[test]
fn a_missing_file_is_named() {
    let error = Conf::load(Path::new("/nonexistent/gateway.toml")).unwrap_err();
    assert!(matches!(&error, ConfError::Unreadable { file, .. } if file.ends_with("gateway.toml")));
}

// --- server.toml ------------------------------------------------------------

const LAND: &str = r#"version = 1
[[client]]
id = "DEV/GOV/M2/LAND"
connection = "http"
[[client.local_group]]
code = "friends"
members = ["DEV/GOV/M3/CITY"]
[[client.service]]
code = "land"
url = "http://127.0.0.1:9000/api"
allow = [{ client = "DEV/GOV/M1/TAX" }]
[[client.service.endpoint]]
method = "GET"
path = "/titles/*"
allow = [{ local_group = "friends" }]
[[client.service]]
code = "old"
url = "http://127.0.0.1:9001"
timeout = "5 s"
enabled = false
"#;

fn land() -> ServerConf {
    ServerConf::from_toml(LAND, Path::new("server.toml"), "DEV").unwrap()
}

fn server_refused(from: &str, to: &str) -> String {
    let text = LAND.replacen(from, to, 1);
    assert_ne!(text, LAND);
    ServerConf::from_toml(&text, Path::new("server.toml"), "DEV").unwrap_err().to_string()
}

#[test]
fn a_server_file_is_read_whole() {
    let server = land();
    let id = MemberId::new("DEV", "GOV", "M2").subsystem("LAND");
    let client = server.client(&id).unwrap();
    assert_eq!(client.connection, Connection::Http);
    let service = server.service(&id.service("land")).unwrap();
    assert_eq!(service.url, "http://127.0.0.1:9000/api");
    assert_eq!(service.timeout.as_secs(), 60);
    assert!(!service.verify_tls, "http has no certificate to show");
    assert_eq!(service.disabled, None);
    let old = server.service(&id.service("old")).unwrap();
    assert_eq!(old.disabled.as_deref(), Some("Out of order"));
    let mut versioned = id.service("land");
    versioned.version = Some("v1".into());
    assert!(server.service(&versioned).is_none());
    assert!(server.service(&id.service("LAND")).is_none(), "codes are compared byte for byte");
}

#[test]
fn a_bad_server_file_is_refused_with_line_and_reason() {
    for (from, to, expected) in [
        ("DEV/GOV/M2/LAND", "DEV/GOV", "line 3: client: identifier \"DEV/GOV\" has 2 segments"),
        (
            "DEV/GOV/M2/LAND",
            "EE/GOV/M2/LAND",
            "line 3: id: EE/GOV/M2/LAND is of another instance, expected one of DEV",
        ),
        ("\"http\"", "\"mutual-tls\"", "line 4: connection: mutual-tls without `certificates`"),
        ("\"http\"", "\"ftp\"", "ftp"),
        ("\"friends\"\nmembers", "\"\"\nmembers", "line 6: code: local group \"\" is empty"),
        ("code = \"land\"", "code = \"listmethods\"", "line 9: code: \"listmethods\" names no service"),
        ("code = \"old\"", "code = \"LAND\"", "has LAND twice"),
        ("http://127.0.0.1:9000/api", "ftp://x", "line 10: url: \"ftp://x\" must begin with http"),
        ("http://127.0.0.1:9000/api", "http://u@x", "may have neither user"),
        ("http://127.0.0.1:9000/api", "http://x/?a", "a query for SOAP only"),
        ("http://127.0.0.1:9000/api", "https://x", "must show a certificate of the client, which has none"),
        (
            "{ client = \"DEV/GOV/M1/TAX\" }",
            "{ client = \"a/b/c\", group = \"d/e\" }",
            "line 11: allow: expected exactly one",
        ),
        (
            "{ client = \"DEV/GOV/M1/TAX\" }",
            "{ group = \"tax\" }",
            "\"tax\" is no global group, expected INSTANCE/CODE",
        ),
        (
            "{ local_group = \"friends\" }",
            "{ local_group = \"foes\" }",
            "line 15: allow: the client has no local group \"foes\"",
        ),
        ("timeout = \"5 s\"", "timeout = \"0 s\"", "timeout of old is 0 ms"),
        ("enabled = false", "disabled = true", "line 20"),
        ("code = \"land\"", "code = \"land\"\nkind = \"soap\"", "SOAP service land has endpoints"),
        ("code = \"old\"", "code = \"old\"\nversion = \"v1\"", "\"v1\" is the version of no SOAP service"),
        ("code = \"old\"", "code = \"land\"", "has land twice"),
        (
            "code = \"old\"",
            "code = \"old\"\ndescription = \"http://a/api.yaml\"",
            "line 18: description: \"http://a/api.yaml\" describes a service of kind rest",
        ),
        ("code = \"old\"", "code = \"old\"\nkind = \"openapi\"\ndescription = \"\"", "\"\" names no file"),
        (
            "code = \"old\"",
            "code = \"old\"\nkind = \"openapi\"\ndescription = \"ftp://a/api.yaml\"",
            "must begin with http:// or https://, or be the path of a file",
        ),
        (
            "code = \"old\"",
            "code = \"old\"\nkind = \"soap\"\ndescription = \"HTTPS://a/?wsdl\"",
            "HTTPS://a/?wsdl must show a certificate of the client, which has none",
        ),
        (
            "code = \"old\"",
            "code = \"old\"\nkind = \"soap\"\ndescription = \"http://u@a/?wsdl\"",
            "may have neither user nor fragment",
        ),
        (
            "connection = \"http\"",
            "connection = \"http\"\ncertificates = [\"/nonexistent.pem\"]",
            "cannot read /nonexistent.pem",
        ),
    ] {
        let found = server_refused(from, to);
        assert!(found.contains(expected), "{found}\nexpected: {expected}");
    }
}

#[test]
fn a_description_is_a_url_or_a_file_beside_the_server_file() {
    let described = |kind: &str, place: &str| {
        let lines =
            format!("code = \"old\"\nkind = \"{kind}\"\nverify_tls = false\ndescription = \"{place}\"");
        let text = LAND.replace("code = \"old\"", &lines);
        let conf = ServerConf::from_toml(&text, Path::new("/etc/saatkond/server.toml"), "DEV").unwrap();
        let client: ClientId = "DEV/GOV/M2/LAND".parse().unwrap();
        assert_eq!(conf.service(&client.service("land")).unwrap().description, None);
        conf.service(&client.service("old")).unwrap().description.clone().unwrap()
    };
    let url = "https://is:8443/land?wsdl";
    assert_eq!(described("soap", url), Description::Url(url.to_owned()));
    let file = described("openapi", "api/land.yaml");
    assert_eq!(file, Description::File("/etc/saatkond/api/land.yaml".into()));
    assert_eq!(file.to_string(), "/etc/saatkond/api/land.yaml");
    assert_eq!(described("soap", "/srv/land.wsdl"), Description::File("/srv/land.wsdl".into()));
}

#[test]
fn a_probe_is_a_path_of_the_service() {
    let probe = |text: &str| {
        let line = format!("code = \"land\"\nprobe = \"{text}\"");
        ServerConf::from_toml(&LAND.replacen("code = \"land\"", &line, 1), Path::new("server.toml"), "DEV")
    };
    let conf = probe("/health?deep=1").unwrap();
    assert_eq!(conf.clients().next().unwrap().services[0].probe.as_deref(), Some("/health?deep=1"));
    for text in ["health", "/a b", "/a#b", "http://a/health", ""] {
        let error = probe(text).unwrap_err().to_string();
        assert!(error.contains("is no path, expected one that begins with a slash"), "{text}: {error}");
    }
}

#[test]
fn versions_of_a_soap_service_are_services() {
    let soap = |version: &str| {
        let line = if version.is_empty() { String::new() } else { format!("version = \"{version}\"\n") };
        format!("[[client.service]]\ncode = \"soap\"\nkind = \"soap\"\nurl = \"http://a/?{version}\"\n{line}")
    };
    let text = [LAND.to_owned(), soap(""), soap("v1"), soap("v2")].concat();
    let conf = ServerConf::from_toml(&text, Path::new("server.toml"), "DEV").unwrap();
    let named = |code: &str, version: Option<&str>| {
        let client: ClientId = "DEV/GOV/M2/LAND".parse().unwrap();
        let id = ServiceId { version: version.map(str::to_owned), ..client.service(code) };
        conf.service(&id).map(|service| service.url.clone())
    };
    assert_eq!(named("soap", None).as_deref(), Some("http://a/?"));
    assert_eq!(named("soap", Some("v2")).as_deref(), Some("http://a/?v2"));
    assert_eq!((named("soap", Some("v3")), named("land", Some("v1"))), (None, None));
}

#[test]
fn certificates_come_from_pem_files() {
    let dir = std::env::temp_dir().join(format!("saatkond-conf-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["is".to_owned()]).unwrap();
    fs::write(dir.join("is.pem"), made.cert.pem()).unwrap();
    fs::write(dir.join("bad.pem"), "no certificate").unwrap();
    let load = |name: &str| {
        let text = LAND.replacen("\"http\"", &format!("\"mutual-tls\"\ncertificates = [\"{name}\"]"), 1);
        let text = text.replacen("http://127.0.0.1:9000/api", "https://localhost:9000/api", 1);
        ServerConf::from_toml(&text, &dir.join("server.toml"), "DEV")
    };
    let server = load("is.pem").unwrap();
    let client = server.clients().next().unwrap();
    assert_eq!(client.certificates, [made.cert.der().to_vec()]);
    assert!(client.services[0].verify_tls);
    let error = load("bad.pem").unwrap_err().to_string();
    assert!(error.contains("line 5: certificates") && error.contains("no PEM certificate"), "{error}");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_copy_has_one_source_of_its_age_and_a_database_is_near() {
    let source = |source: &str| {
        let text = LAND.replacen(
            "connection = \"http\"\n",
            &format!("connection = \"http\"\ncopy = {{ staleness = {{ {source} }} }}\n"),
            1,
        );
        ServerConf::from_toml(&text, Path::new("/etc/saatkond/server.toml"), "DEV")
            .map(|conf| conf.clients().next().unwrap().staleness.clone().unwrap())
    };
    assert_eq!(source("file = \"age\"").unwrap(), AgeSource::File("/etc/saatkond/age".into()));
    let url = "https://is:8443/age?of=land";
    assert_eq!(source(&format!("probe = \"{url}\"")).unwrap(), AgeSource::Probe(url.to_owned()));
    for near in [
        "host=/run/postgresql user=a",
        "host=127.0.0.1 password=secret",
        "postgresql://a:secret@localhost/land",
    ] {
        let found = source(&format!("postgres = \"{near}\"")).unwrap();
        assert!(
            matches!(found, AgeSource::Postgres(_)) && !format!("{found:?}").contains("secret"),
            "{near}"
        );
    }
    for (wrong, expected) in [
        ("", "expected exactly one of `postgres`, `probe` and `file`"),
        ("file = \"a\", probe = \"http://a/\"", "line 5: staleness: expected exactly one"),
        ("probe = \"ftp://a/\"", "`probe` is \"ftp://a/\", expected http"),
        ("probe = \"http://u:p@a/\"", "expected http"),
        ("postgres = \"host=db.example.org password=secret\"", "over a Unix socket or loopback"),
        ("postgres = \"host=localhost hostaddr=192.0.2.1\"", "over a Unix socket or loopback"),
        ("postgres = \"host=localhost,db.example.org\"", "over a Unix socket or loopback"),
        ("postgres = \"user=a\"", "over a Unix socket or loopback"),
        ("postgres = \"password=secret bogus=1\"", "is no connection string"),
        ("mysql = \"a\"", "unknown field `mysql`"),
    ] {
        let error = source(wrong).unwrap_err().to_string();
        assert!(
            error.contains(expected) && (!error.contains("secret") || wrong.contains("mysql")),
            "{wrong}: {error}"
        );
    }
}
