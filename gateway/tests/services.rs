//! `saatkond services` as an operator meets it: what is shown, what is asked, what is written, how it ends.
//!
//! ```text
//! this test ──runs──► saatkond services … ──HTTP──► this test, which serves the descriptions
//!                          └── changes ──► server.toml
//! ```
#![expect(clippy::unwrap_used, reason = "what is wrong ends the test")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The directory of a gateway, and a server of descriptions.
struct Desk {
    dir: PathBuf,
    /// The path of what is served, and what is said there.
    served: Arc<Mutex<Vec<(&'static str, String)>>>,
    url: String,
}

const SERVER: &str = "# what we offer\nversion = 1\n\n[[client]] # the register\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n";

impl Desk {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("saatkond-services-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("gateway.toml"), "version = 1\nserver = \"DEV/GOV/M2/HOME\"\nstate = \".\"\n")
            .unwrap();
        fs::write(dir.join("server.toml"), SERVER).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served: Arc<Mutex<Vec<(&str, String)>>> = Arc::default();
        let said = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                let found =
                    said.lock().unwrap().iter().find(|(p, _)| first.contains(p)).map(|(_, t)| t.clone());
                let (status, text) = found.map_or((404, String::new()), |text| (200, text));
                let _ =
                    write!(&stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            }
        });
        Self { dir, served, url }
    }

    fn serves(&self, path: &'static str, text: &str) {
        let mut served = self.served.lock().unwrap();
        served.retain(|(p, _)| *p != path);
        served.push((path, text.to_owned()));
    }

    /// Data, talk and exit code of a command; addresses are `HERE` and `IS`.
    fn says(&self, words: &[&str]) -> (String, String, i32) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saatkond"));
        command.arg("services").args(words).arg("--config").arg(self.dir.join("gateway.toml"));
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let here = self.dir.display().to_string();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&here, "HERE").replace(&self.url, "IS");
        (text(stdout), text(stderr), status.code().unwrap())
    }

    /// What a command that does its work says.
    fn does(&self, words: &[&str]) -> (String, String) {
        let (out, talk, code) = self.says(words);
        assert_eq!(code, 0, "{words:?}\n{out}\n{talk}");
        (out, talk)
    }

    fn file(&self) -> String {
        fs::read_to_string(self.dir.join("server.toml")).unwrap().replace(&self.url, "IS")
    }

    fn listed(&self) -> Vec<Value> {
        serde_json::from_str(&self.does(&["list", "--json"]).0).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

const LAND: &str = "DEV/GOV/M2/LAND";

/// A WSDL of these operations.
fn wsdl(url: &str, operations: &[(&str, &str)]) -> String {
    let bound = |(code, version): &(&str, &str)| {
        format!("<w:operation name=\"{code}\"><x:version>{version}</x:version></w:operation>")
    };
    let bound: String = operations.iter().map(bound).collect();
    format!(
        "<w:definitions xmlns:w=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:s=\"http://schemas.xmlsoap.org/wsdl/soap/\" \
         xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:t=\"t\" targetNamespace=\"t\"><w:binding name=\"b\">\
         <s:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/>{bound}</w:binding><w:service name=\"s\">\
         <w:port name=\"p\" binding=\"t:b\"><s:address location=\"{url}/soap\"/></w:port></w:service></w:definitions>"
    )
}

const API: &str = "openapi: 3.0.3\ninfo: {title: Land, version: '1'}\nservers: [{url: /api}]\npaths:\n  \
    /titles/{id}:\n    parameters: [{name: id, in: path}]\n    get: {responses: {}}\n  /owners:\n    get: {responses: {}}\n";

#[test]
fn services_of_a_wsdl_are_added_disabled_and_refreshed_with_a_difference() {
    let desk = Desk::new("wsdl");
    let url = format!("{}/land?wsdl", desk.url);
    desk.serves("/land?wsdl", &wsdl(&desk.url, &[("getTitle", "v1"), ("getMap", "v1")]));
    let (out, talk) = desk.does(&["add", LAND, "--wsdl", &url]);
    assert_eq!(
        out,
        "DEV/GOV/M2/LAND  soap  IS/land?wsdl\n  + getTitle/v1  IS/soap\n  + getMap/v1  IS/soap\n  \
         note: disabled until `saatkond services enable 'IS/land?wsdl'`\n"
    );
    assert_eq!(talk, "2 changes: wrote HERE/server.toml, which a running gateway takes over within 2 s\n");
    let expected = format!(
        "{SERVER}\n[[client.service]]\ncode = \"getTitle\"\nversion = \"v1\"\nurl = \"IS/soap\"\nkind = \"soap\"\n\
         description = \"IS/land?wsdl\"\ntimeout = \"60 s\"\nenabled = false\nnotice = \"Out of order\"\nallow = []\n\n\
         [[client.service]]\ncode = \"getMap\"\nversion = \"v1\"\nurl = \"IS/soap\"\nkind = \"soap\"\n\
         description = \"IS/land?wsdl\"\ntimeout = \"60 s\"\nenabled = false\nnotice = \"Out of order\"\nallow = []\n"
    );
    assert_eq!(desk.file(), expected);
    let (_, talk, code) = desk.says(&["add", LAND, "--wsdl", &url]);
    assert_eq!(code, 2);
    assert!(
        talk.contains("has services of IS/land?wsdl already\n hint: saatkond services refresh"),
        "{talk}"
    );

    // The code of a REST service is no SOAP service's.
    let (_, talk, code) = desk.says(&["add", LAND, "--rest", "http://127.0.0.1:1", "--code", "GETMAP"]);
    assert_eq!(code, 2);
    assert!(talk.contains("DEV/GOV/M2/LAND/getMap/v1 is there already"), "{talk}");

    // Rights and settings are given by hand, and stay.
    let rights = desk.file().replacen("allow = []", "allow = [{ client = \"DEV/GOV/M1/TAX\" }] # agreed", 1);
    fs::write(desk.dir.join("server.toml"), rights.replace("IS", &desk.url)).unwrap();
    desk.does(&["set", "DEV/GOV/M2/LAND/getTitle/v1", "--timeout", "5 s"]);
    desk.does(&["enable", &url]);
    assert_eq!(desk.does(&["refresh"]).0, "DEV/GOV/M2/LAND  soap  IS/land?wsdl\n  nothing has changed\n");

    desk.serves("/land?wsdl", &wsdl(&desk.url, &[("getTitle", "v1"), ("getTitle", "v2")]));
    let before = desk.file();
    let (out, talk, code) = desk.says(&["refresh", &url]);
    let shown = "DEV/GOV/M2/LAND  soap  IS/land?wsdl\n  + getTitle/v2  IS/soap  with the rights of getTitle/v1\n  - getMap/v1\n";
    assert_eq!((out.as_str(), code), (shown, 2));
    assert_eq!(
        talk,
        "error: would make 2 changes of HERE/server.toml, and nobody is there to agree\n hint: add --yes\n"
    );
    assert_eq!(desk.file(), before, "nothing is changed unseen");
    let (out, _) = desk.does(&["refresh", &url, "--yes", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["written"], true);
    let changes = &told["descriptions"][0]["changes"];
    assert_eq!(changes[0]["rights_of"], "DEV/GOV/M2/LAND/getTitle/v1");
    assert_eq!(
        (&changes[1]["change"], &changes[1]["service"]),
        (&"remove".into(), &"DEV/GOV/M2/LAND/getMap/v1".into())
    );
    let listed = desk.listed();
    let of = |key: &str| listed.iter().map(|s| s[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("version"), ["v1", "v2"]);
    assert_eq!(of("timeout_seconds"), [5.0, 60.0]);
    assert_eq!(of("enabled"), [true, true]);
    assert_eq!(listed[0]["allow"], listed[1]["allow"]);
    assert!(desk.file().contains("# agreed"));
}

#[test]
fn an_openapi_service_gets_the_endpoints_of_its_document() {
    let desk = Desk::new("openapi");
    desk.serves("/api.yaml", API);
    let url = format!("{}/docs/api.yaml", desk.url);
    let (out, _) =
        desk.does(&["add", LAND, "--openapi", &url, "--code", "land", "--timeout", "10 s", "--enable"]);
    assert_eq!(
        out,
        "DEV/GOV/M2/LAND  openapi  IS/docs/api.yaml\n  + land  IS/api\n  + GET /titles/*\n  + GET /owners\n"
    );
    let listed = &desk.listed()[0];
    assert_eq!(listed["url"], "IS/api");
    assert_eq!((&listed["enabled"], &listed["timeout_seconds"]), (&true.into(), &10.0.into()));
    assert_eq!(listed["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(listed["endpoints"][0]["generated"], true);

    desk.serves("/api.yaml", &API.replace("/owners", "/parcels"));
    let (out, talk) = desk.does(&["refresh", "DEV/GOV/M2/LAND/land", "--yes"]);
    assert_eq!(out, "DEV/GOV/M2/LAND/land  openapi  IS/docs/api.yaml\n  + GET /parcels\n  - GET /owners\n");
    assert!(talk.starts_with("2 changes: wrote HERE/server.toml"), "{talk}");
    let (out, _) = desk.does(&["list", "DEV/GOV/M2/LAND/land"]);
    assert_eq!(
        out,
        "SERVICE               SPEAKS   STATE   TIME  TLS  URL\nDEV/GOV/M2/LAND/land  openapi  serves  10 s  -    IS/api\n\n\
         DEV/GOV/M2/LAND/land\n  described   IS/docs/api.yaml\n  all of it   nobody\n  endpoint    GET /titles/*: nobody\n  \
         endpoint    GET /parcels: nobody\n"
    );
    // A file is named as it is seen from where the command is said, and written as it is seen from server.toml.
    fs::write(desk.dir.join("near.yaml"), API.replace("/api}", "'http://127.0.0.1:1/x'}")).unwrap();
    let near = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saatkond"));
        command.current_dir(&desk.dir).arg("services").args(words).args(["--config", "gateway.toml"]);
        let said = command.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    };
    near(&["add", LAND, "--openapi", "near.yaml", "--code", "near"]);
    assert!(desk.file().contains("description = \"near.yaml\""));
    let nothing = "DEV/GOV/M2/LAND/near  openapi  near.yaml\n  nothing has changed\n";
    assert_eq!(near(&["refresh", "near.yaml"]), nothing);
    desk.does(&["refresh", &desk.dir.join("near.yaml").display().to_string()]);
    desk.does(&["remove", "DEV/GOV/M2/LAND/near", "--yes"]);

    // A warning is taken by who has seen it only.
    desk.serves("/worse.yaml", &API.replace("servers: [{url: /api}]", "servers: [{url: 'https://{host}/'}]"));
    let worse = format!("{}/worse.yaml", desk.url);
    let (_, talk, code) = desk.says(&["add", LAND, "--openapi", &worse, "--code", "worse"]);
    assert_eq!(code, 1);
    assert!(talk.contains("does not say where worse answers: its server \"https://{host}/\" has variables\n hint: say it with --url"), "{talk}");
    desk.serves("/worse.yaml", &API.replace("version: '1'", ""));
    let add = ["add", LAND, "--openapi", &worse, "--code", "worse", "--url", "http://127.0.0.1:1/x"];
    let (out, talk, code) = desk.says(&add);
    assert!(out.contains("\n  warning: `info.version` is missing\n") && code == 2, "{out}{talk}");
    desk.does(&[&add[..], &["--yes"]].concat());
    assert_eq!(desk.listed().len(), 2);
}

#[test]
fn a_rest_service_is_added_changed_disabled_and_removed() {
    let desk = Desk::new("rest");
    desk.does(&["add", LAND, "--rest", "http://127.0.0.1:1/x", "--code", "land"]);
    assert_eq!(desk.listed()[0]["notice"], "Out of order");
    let land = "DEV/GOV/M2/LAND/land";
    let (_, talk) = desk.does(&["enable", land]);
    assert_eq!(
        talk,
        "1 service serves: wrote HERE/server.toml, which a running gateway takes over within 2 s\n"
    );
    let (_, talk) = desk.does(&["enable", land]);
    assert_eq!(talk, "1 service serves: nothing had to be changed in HERE/server.toml\n");
    desk.does(&["disable", land, "--notice", "Moving until Monday"]);
    let listed = &desk.listed()[0];
    assert_eq!((&listed["enabled"], &listed["notice"]), (&false.into(), &"Moving until Monday".into()));
    desk.does(&["set", land, "--url", "https://127.0.0.1:1/y", "--verify-tls", "false", "--timeout", "90 s"]);
    let listed = &desk.listed()[0];
    assert_eq!((&listed["url"], &listed["verify_tls"]), (&"https://127.0.0.1:1/y".into(), &false.into()));
    let (_, talk, code) = desk.says(&["set", land, "--verify-tls", "true"]);
    assert_eq!(code, 78);
    assert!(
        talk.starts_with("error: nothing is changed: it would be refused: HERE/server.toml: line "),
        "{talk}"
    );
    assert!(talk.contains("must show a certificate of the client, which has none\n hint: "), "{talk}");
    let (_, talk, code) = desk.says(&["remove", land]);
    assert_eq!(code, 2, "{talk}");
    desk.does(&["remove", land, "--yes"]);
    assert_eq!(desk.file(), SERVER);
    assert_eq!(desk.does(&["list"]), (String::new(), "HERE/server.toml has no service\n".to_owned()));
}

#[test]
fn wrong_use_explains_itself() {
    let desk = Desk::new("wrong");
    desk.serves("/no", "<no/>");
    fs::write(desk.dir.join("no.yaml"), "a: [").unwrap();
    let (page, gone) = (format!("{}/no", desk.url), format!("{}/gone", desk.url));
    let file = desk.dir.join("no.yaml").display().to_string();
    desk.does(&["add", LAND, "--rest", "http://127.0.0.1:1", "--code", "there"]);
    for (words, code, expected) in [
        (vec!["add", LAND], 2, "required arguments were not provided"),
        (vec!["add", LAND, "--openapi", "a.yaml"], 2, "--code <CODE>"),
        (vec!["add", LAND, "--wsdl", "a", "--rest", "b", "--code", "c"], 2, "cannot be used with"),
        (
            vec!["add", LAND, "--rest", "http://a", "--code", "a/b"],
            2,
            "without any of : ; / \\ % and control characters",
        ),
        (vec!["add", LAND, "--rest", "http://a", "--code", "a", "--timeout", "5"], 2, "such as \"30 s\""),
        (
            vec!["add", "DEV/GOV/M9/X", "--rest", "http://a", "--code", "a"],
            2,
            "has no client DEV/GOV/M9/X\n hint: a client is written there by hand",
        ),
        (
            vec!["add", LAND, "--rest", "http://a", "--code", "THERE"],
            2,
            "DEV/GOV/M2/LAND/there is there already",
        ),
        (
            vec!["add", LAND, "--rest", "http://a", "--code", "getWsdl"],
            78,
            "\"getWsdl\" names no service of yours",
        ),
        (vec!["add", LAND, "--rest", "ftp://a", "--code", "a"], 78, "must begin with http:// or https://"),
        (
            vec!["add", LAND, "--wsdl", &page],
            1,
            "IS/no is not read as WSDL: expected `definitions` of WSDL 1.1, found `no`",
        ),
        (
            vec!["add", LAND, "--wsdl", &gone],
            69,
            "IS/gone: status 404, expected 200\n hint: nothing is changed",
        ),
        (
            vec!["add", LAND, "--openapi", &file, "--code", "a"],
            1,
            "HERE/no.yaml is not read as OpenAPI document: document is neither JSON nor YAML",
        ),
        (
            vec!["add", LAND, "--openapi", "/nonexistent", "--code", "a"],
            1,
            "the description is not read: /nonexistent: No such file",
        ),
        (
            vec!["enable", "DEV/GOV/M2/LAND/other"],
            2,
            "has no client, service or description \"DEV/GOV/M2/LAND/other\"\n hint: `saatkond services list`",
        ),
        (vec!["set", "DEV/GOV/M2/LAND/there"], 2, "required arguments were not provided"),
        (vec!["refresh"], 2, "none of these services has a description\n hint: "),
    ] {
        let before = desk.file();
        let (out, talk, exit) = desk.says(&words);
        assert_eq!((exit, out.as_str()), (code, ""), "{words:?}: {talk}");
        assert!(talk.contains(expected), "{words:?}: {talk}");
        assert_eq!(desk.file(), before, "{words:?}");
    }
}
