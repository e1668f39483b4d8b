//! `server.toml` changed in place, and what comes of descriptions.

use super::*;
use crate::testbed::TestDir;
use saatkond_proto::continuity::Access;
use saatkond_proto::message::description::openapi::OpenApi;
use saatkond_proto::message::description::wsdl::Wsdl;
use saatkond_proto::message::rest::Method;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use toml_edit::Table;

const LAND: &str = r#"# What the Land Board offers.
version = 1

[[client]] # who asks
id = "DEV/GOV/M1/TAX"
connection = "http"

# --- the register ---
[[client]]
id       = "DEV/GOV/M2/LAND"
connection = "http"   # closed network

# by WSDL
[[client.service]]
code = "getTitle"
version = "v1"
url = "http://is/soap"
kind = "soap"
description = "http://is/soap?wsdl"
timeout = "10 s"      # slow
allow = [{ client = "DEV/GOV/M1/TAX" }] # agreed
[[client.service]]
code = "getMap"
url = "http://is/soap"
kind = "soap"
description = "http://is/soap?wsdl"
allow = [{ group = "DEV/auditors" }]

[[client.service]]
code = "api"
url = "http://is/api"
kind = "openapi"
description = "api.yaml"

# titles are asked for
[[client.service.endpoint]]
method = "GET"
path = "/titles/*"
generated = true
allow = [{ local_group = "cities" }, { client = "DEV/GOV/M1/TAX" }]

[[client.service.endpoint]]
method = "POST"
path = "/by-hand"
allow = []

[[client.local_group]] # friends
code = "cities"
members = []

# --- others ---
[[client]]
id = "DEV/GOV/M2/OTHER"
connection = "http"
service = [{ code = "inline", url = "http://is/inline", endpoint = [{ method = "GET", path = "/a" }] }]
# the end
"#;

fn in_force(dir: &TestDir) -> Document {
    let text = "version = 1\nserver = \"DEV/GOV/M2/HOME\"\nstate = \".\"\n";
    let conf = Conf::from_toml(text, &dir.0.join("gateway.toml")).unwrap();
    Document::open(&conf).unwrap()
}

fn opened(name: &str) -> (TestDir, Document) {
    let dir = TestDir::new(name);
    fs::write(dir.0.join("server.toml"), LAND).unwrap();
    let document = in_force(&dir);
    (dir, document)
}

fn written(dir: &TestDir) -> String {
    fs::read_to_string(dir.0.join("server.toml")).unwrap()
}

fn land() -> ClientId {
    "DEV/GOV/M2/LAND".parse().unwrap()
}

fn service(code: &str, version: Option<&str>) -> ServiceId {
    ServiceId { version: version.map(str::to_owned), ..land().service(code) }
}

/// Lines that stand in one text and not in the other, in order.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let only = |one: &str, other: &str| {
        one.lines().filter(|l| !other.lines().any(|o| o == *l) && !l.is_empty()).map(str::to_owned).collect()
    };
    (only(before, after), only(after, before))
}

/// The example that operators copy is changed in one line, whatever stands around it.
#[test]
fn the_example_keeps_every_comment() {
    let example = include_str!("../../../../conf/server.toml");
    let dir = TestDir::new("services-example");
    fs::write(dir.0.join("server.toml"), example).unwrap();
    let mut document = in_force(&dir);
    assert!(!document.save().unwrap(), "read and written alike");
    set(document.service_mut(&service("land", None)).unwrap(), "timeout", "5 s");
    assert!(document.save().unwrap());
    let expected = example.replace("\ntimeout = \"60 s\"", "\ntimeout = \"5 s\"");
    assert_ne!(expected, example);
    assert_eq!(written(&dir), expected);
}

#[test]
fn a_value_is_changed_where_it_stands() {
    let (dir, mut document) = opened("services-set");
    let title = service("getTitle", Some("v1"));
    set(document.service_mut(&title).unwrap(), "timeout", "20 s");
    set(document.service_mut(&title).unwrap(), "enabled", false);
    assert!(document.save().unwrap());
    let (gone, come) = difference(LAND, &written(&dir));
    assert_eq!(gone, ["timeout = \"10 s\"      # slow"]);
    assert_eq!(come, ["timeout = \"20 s\"      # slow", "enabled = false"]);
    let inline: ServiceId = "DEV/GOV/M2/OTHER/inline".parse().unwrap();
    let mut document = in_force(&dir);
    set(document.service_mut(&inline).unwrap(), "url", "http://is/other");
    assert!(document.save().unwrap());
    assert!(
        written(&dir).contains("service = [{ code = \"inline\", url = \"http://is/other\", endpoint = [")
    );
    assert!(!in_force(&dir).save().unwrap(), "nothing to be changed");
}

#[test]
fn a_service_comes_behind_its_clients_others_and_goes_with_its_comment() {
    let (dir, mut document) = opened("services-add");
    let new = |client: &str, code: &str| step::NewService {
        id: client.parse::<ClientId>().unwrap().service(code),
        kind: "rest",
        url: "http://is/new".to_owned(),
        description: None,
        timeout: "60 s".to_owned(),
        verify_tls: None,
        disabled: Some("Out of order".to_owned()),
        rights_of: None,
    };
    for (client, code) in
        [("DEV/GOV/M2/LAND", "new"), ("DEV/GOV/M1/TAX", "first"), ("DEV/GOV/M2/OTHER", "inlined")]
    {
        Step::AddService(Box::new(new(client, code))).take(&mut document);
    }
    Step::RemoveService(service("getMap", None), 1).take(&mut document);
    assert!(document.save().unwrap());
    let text = written(&dir);
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let order = [
        "# who asks",
        "\"first\"",
        "# --- the register",
        "\"getTitle\"",
        "\"/by-hand\"",
        "code = \"new\"",
        "# friends",
        "# --- others",
        "\"inlined\"",
        "# the end",
    ];
    let mut sorted = order;
    sorted.sort_by_key(|what| place(what));
    assert_eq!(sorted, order, "{text}");
    assert!(!text.contains("getMap") && !text.contains("auditors"));
    let again = in_force(&dir);
    let added = again.conf.service(&service("new", None)).unwrap();
    assert_eq!((added.disabled.as_deref(), added.url.as_str()), (Some("Out of order"), "http://is/new"));
    assert_eq!(again.services().count(), 6);
}

#[test]
fn a_file_that_would_be_refused_is_not_written() {
    let (dir, mut document) = opened("services-refused");
    set(document.service_mut(&service("api", None)).unwrap(), "url", "ftp://is");
    let failure = document.save().unwrap_err();
    assert_eq!(failure.exit, Exit::Configuration);
    assert!(
        failure.message.contains("nothing is changed: it would be refused")
            && failure.message.contains("ftp://is"),
        "{failure}"
    );
    assert_eq!(written(&dir), LAND);
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_not_lost() {
    let (dir, mut document) = opened("services-meanwhile");
    set(document.service_mut(&service("api", None)).unwrap(), "timeout", "1 s");
    let theirs = LAND.replace("friends", "strangers");
    fs::write(dir.0.join("server.toml"), &theirs).unwrap();
    let failure = document.save().unwrap_err();
    assert_eq!(failure.exit, Exit::NotWell);
    assert!(failure.message.contains("was changed by somebody else meanwhile"), "{failure}");
    assert_eq!(written(&dir), theirs);
}

#[test]
fn a_link_and_the_rights_of_a_file_stay() {
    let dir = TestDir::new("services-link");
    let (real, link) = (dir.0.join("real.toml"), dir.0.join("server.toml"));
    fs::write(&real, LAND).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    // What a command that was killed left behind is in nobody's way.
    fs::write(dir.0.join(".real.toml.unfinished"), "half").unwrap();
    let mut document = in_force(&dir);
    set(document.service_mut(&service("api", None)).unwrap(), "timeout", "1 s");
    assert!(document.save().unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("timeout = \"1 s\""));
    assert!(!dir.0.join(".real.toml.unfinished").exists());
}

#[test]
fn words_name_clients_services_and_descriptions() {
    let (dir, document) = opened("services-select");
    let names = |which: &[&str]| -> Vec<String> {
        let which: Vec<String> = which.iter().map(|w| (*w).to_owned()).collect();
        document.select(&which).unwrap().iter().map(step::name_of).collect()
    };
    assert_eq!(names(&[]), ["getTitle/v1", "getMap", "api", "inline"]);
    assert_eq!(names(&["DEV/GOV/M2/LAND"]), ["getTitle/v1", "getMap", "api"]);
    assert_eq!(names(&["DEV/GOV/M2/LAND/getTitle/v1", "api.yaml"]), ["getTitle/v1", "api"]);
    assert_eq!(names(&["http://is/soap?wsdl"]), ["getTitle/v1", "getMap"]);
    assert_eq!(names(&[&dir.0.join("api.yaml").display().to_string()]), ["api"]);
    assert_eq!(names(&["DEV/GOV/M1/TAX"]), [""; 0], "a client without services");
    for word in ["DEV/GOV/M2/LAND/getTitle", "getMap", "DEV/GOV/M9", ""] {
        let failure = document.select(&[word.to_owned()]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{word}");
    }
}

#[test]
fn a_place_is_written_as_it_is_seen_from_the_file() {
    let (dir, document) = opened("services-place");
    assert_eq!(document.place("http://is/?wsdl"), "http://is/?wsdl");
    assert_eq!(document.place(&dir.0.join("a/b.wsdl").display().to_string()), "a/b.wsdl");
    assert_eq!(document.place("/srv/b.wsdl"), "/srv/b.wsdl");
    let here = std::env::current_dir().unwrap();
    assert_eq!(document.place("b.wsdl"), here.join("b.wsdl").display().to_string());
}

// --- what comes of descriptions -------------------------------------------------------

fn wsdl(operations: &[(&str, Option<&str>, &str)]) -> Wsdl {
    let bound: String = operations
        .iter()
        .map(|(code, version, _)| {
            let version = version.map(|v| format!("<x:version>{v}</x:version>")).unwrap_or_default();
            format!("<w:operation name='{code}'>{version}</w:operation>")
        })
        .collect();
    let location = operations[0].2;
    Wsdl::read(
        format!(
            "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/' xmlns:x='x' \
             xmlns:t='t' targetNamespace='t'><w:binding name='b'><s:binding transport='http://schemas.xmlsoap.org/soap/http'/>{bound}\
             </w:binding><w:service><w:port binding='t:b'><s:address location='{location}'/></w:port></w:service></w:definitions>"
        )
        .as_bytes(),
    )
    .unwrap()
}

fn source(place: &str, description: Description) -> Source {
    Source { description, written: place.to_owned() }
}

#[test]
fn a_wsdl_read_anew_adds_and_removes_and_keeps_what_remains() {
    let (dir, mut document) = opened("services-wsdl");
    let group = [service("getTitle", Some("v1")), service("getMap", None)];
    let url = "http://is/soap?wsdl";
    let source = source(url, Description::Url(url.to_owned()));
    let new = wsdl(&[
        ("getTitle", Some("v1"), "http://elsewhere/soap"),
        ("getTitle", Some("v2"), ""),
        ("getOwner", None, ""),
    ]);
    let plan = read::refresh_wsdl(&document, &land(), &group, &source, &new);
    assert_eq!(
        plan.words(),
        "DEV/GOV/M2/LAND  soap  http://is/soap?wsdl\n  \
         + getTitle/v2  http://elsewhere/soap  with the rights of getTitle/v1\n  \
         + getOwner  http://elsewhere/soap\n  \
         - getMap  1 right is lost\n  \
         note: getTitle/v1 stays at http://is/soap, though the description says http://elsewhere/soap"
    );
    assert!(intent(&[plan], document.file()).ends_with("server.toml, by which 1 right is lost"));
    let plan = read::refresh_wsdl(&document, &land(), &group, &source, &new);
    plan.steps.iter().for_each(|step| step.take(&mut document));
    assert!(document.save().unwrap());
    let again = in_force(&dir);
    let found = |code: &str, version| again.conf.service(&service(code, version)).cloned();
    let (kept, second) = (found("getTitle", Some("v1")).unwrap(), found("getTitle", Some("v2")).unwrap());
    assert_eq!((kept.url.as_str(), kept.timeout.as_secs()), ("http://is/soap", 10));
    assert_eq!(kept.allow, second.allow);
    assert_eq!(
        (second.timeout.as_secs(), second.disabled.as_deref()),
        (60, None),
        "it serves, as the others do"
    );
    assert!(found("getOwner", None).unwrap().allow.is_empty());
    assert!(found("getMap", None).is_none());
    assert_eq!(
        again.conf.service(&service("api", None)).unwrap().endpoints.len(),
        2,
        "others are left alone"
    );
    let group: Vec<ServiceId> =
        again.services().filter(|id| again.conf.service(id).unwrap().kind == ServiceKind::Soap).collect();
    let plan = read::refresh_wsdl(&again, &land(), &group, &source, &new);
    assert!(plan.steps.is_empty() && plan.words().contains("nothing has changed"), "{}", plan.words());
}

#[test]
fn an_openapi_document_read_anew_keeps_what_was_written_by_hand() {
    let (dir, mut document) = opened("services-openapi");
    let api = service("api", None);
    let source = source("api.yaml", Description::File(PathBuf::from("api.yaml")));
    let read = |paths: &str| {
        let text = format!(
            "openapi: 3.1.0\ninfo: {{title: a, version: b}}\nservers: [{{url: 'http://b/'}}]\npaths: {{{paths}}}\n"
        );
        OpenApi::read(text.as_bytes()).unwrap()
    };
    let new = read("/by-hand: {post: {}}, '/owners/{id}': {get: {parameters: [{name: id, in: path}]}}");
    let plan = read::refresh_openapi(&document, &api, &source, &new);
    assert_eq!(
        plan.words(),
        "DEV/GOV/M2/LAND/api  openapi  api.yaml\n  \
         ~ POST /by-hand  was written by hand, and is the description's now\n  \
         + GET /owners/*\n  \
         - GET /titles/*  2 rights are lost\n  \
         note: api stays at http://is/api, though the description says http://b/"
    );
    plan.steps.iter().for_each(|step| step.take(&mut document));
    assert!(document.save().unwrap());
    let told = |document: &Document| -> Vec<(String, bool, usize)> {
        let endpoints = &document.conf.service(&api).unwrap().endpoints;
        endpoints.iter().map(|g| (step::endpoint_name(&g.endpoint), g.is_generated, g.allow.len())).collect()
    };
    let mut again = in_force(&dir);
    assert_eq!(told(&again), [("POST /by-hand".to_owned(), true, 0), ("GET /owners/*".to_owned(), true, 0)]);
    // What is written by hand stays, whatever the description says.
    let mut by_hand = Table::new();
    by_hand["path"] = toml_edit::value("/mine/**");
    document::push(again.service_mut(&api).unwrap(), "endpoint", by_hand);
    again.save().unwrap();
    let mut again = in_force(&dir);
    let plan = read::refresh_openapi(&again, &api, &source, &read(""));
    assert_eq!(plan.steps.len(), 2);
    plan.steps.iter().for_each(|step| step.take(&mut again));
    again.save().unwrap();
    assert_eq!(told(&in_force(&dir)), [("* /mine/**".to_owned(), false, 0)]);
}

#[test]
fn what_a_description_declares_is_written_and_stays() {
    let (dir, mut document) = opened("services-declared");
    let api = service("api", None);
    let source = source("api.yaml", Description::File(PathBuf::from("api.yaml")));
    let read = |titles: &str, queries: &str| {
        let text = format!(
            "openapi: 3.1.0\ninfo: {{title: a, version: b}}\nservers: [{{url: 'http://is/api'}}]\npaths:\n  \
             '/titles/{{id}}': {{get: {{{titles}}}, parameters: [{{name: id, in: path}}]}}\n  \
             /by-hand: {{post: {{}}}}\n  /queries: {{post: {{{queries}}}}}\n"
        );
        OpenApi::read(text.as_bytes()).unwrap()
    };
    let plan =
        read::refresh_openapi(&document, &api, &source, &read("x-continuity: write", "x-continuity: read"));
    let words = plan.words();
    assert!(words.contains("~ GET /titles/*  is declared a write\n"), "{words}");
    assert!(words.contains("+ POST /queries  declared a read"), "{words}");
    let json = plan.json().to_string();
    assert!(json.contains(r#""access":"write","change":"declare""#), "{json}");
    plan.steps.iter().for_each(|step| step.take(&mut document));
    assert!(document.save().unwrap());
    let again = in_force(&dir);
    let declared = |method, path| again.conf.declared(&api, method, path);
    assert_eq!(declared(Method::Get, "/titles/7"), Some(Access::Write));
    assert_eq!(declared(Method::Post, "/queries"), Some(Access::Read));
    assert_eq!((declared(Method::Put, "/titles/7"), declared(Method::Post, "/by-hand")), (None, None));
    assert_eq!(declared(Method::Get, "/%zz"), Some(Access::Write), "of which nothing can be said");
    let shown = list::table(&again, std::slice::from_ref(&api), true);
    assert!(shown.contains("GET /titles/* (write)") && shown.contains("POST /queries (read)"), "{shown}");
    // It stays until somebody takes it out, or the description says the contrary.
    let plan = read::refresh_openapi(&again, &api, &source, &read("", "x-continuity: write"));
    let words = plan.words();
    assert!(words.contains("~ POST /queries  is declared a write\n"), "{words}");
    assert!(
        words.contains("note: GET /titles/* stays declared a write, though the description says nothing"),
        "{words}"
    );
    assert_eq!(plan.steps.len(), 1);
}

#[test]
fn what_was_unverified_at_the_same_place_stays_so() {
    let dir = TestDir::new("services-unverified");
    let text = LAND.replace(
        "url = \"http://is/soap\"",
        "url = \"https://is/soap\"\nverify_tls = false\nenabled = false\nnotice = \"soon\"",
    );
    fs::write(dir.0.join("server.toml"), text).unwrap();
    let document = in_force(&dir);
    let group = [service("getTitle", Some("v1")), service("getMap", None)];
    let source = source("http://is/soap?wsdl", Description::Url("http://is/soap?wsdl".to_owned()));
    let added = |location: &str| {
        let new = wsdl(&[("getOwner", None, location)]);
        let plan = read::refresh_wsdl(&document, &land(), &group, &source, &new);
        let Step::AddService(added) = plan.steps[0].clone() else { panic!("{plan:?}") };
        (added.verify_tls, added.disabled)
    };
    let soon = Some("soon".to_owned());
    assert_eq!(added("https://is/other"), (Some(false), soon.clone()));
    assert_eq!(added("https://is.test/other"), (None, soon));
}
