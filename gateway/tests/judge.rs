//! A second implementation, written from the specification alone, plays the other side: as consumer against our
//! provider gateway and as provider against our consumer gateway, with right messages and hostile ones.
//!
//! It lies beside the repository or where `SAATKOND_JUDGE` says. Without it these tests say that they skip; under
//! `SAATKOND_REQUIRE=all` a missing judge is a failure.
//!
//! ```text
//! judge (consumer) ──TLS 1.3──► saatkond run, SS2 ──► judge (service)
//! judge (information system) ──► saatkond run, SS1 ──TLS 1.3──► judge (provider)
//!                       judge (configuration, OCSP, time-stamps)
//! ```
//!
//! With `tls.stock_peers` the same goes over TLS 1.2 and the CBC suites of unmodified X-Road servers: with all cases about
//! TLS and those that come first in each group, or with `SAATKOND_JUDGE_ALL` set with every case.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what is wrong ends the test, and it says what it left out"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Cases whose outcome is right although the judge does not say so, each with the reason.
const KNOWN: &[(&str, &str)] =
    &[("response/block-many-headers", "accepted, as it may be; the judge's own reader takes fewer headers")];
/// The same where TLS 1.3 is spoken.
const KNOWN_MODERN: &[(&str, &str)] = &[
    ("tls/null-suites", "the judge offers TLS 1.3 beside the suites that must be refused, and gets it"),
    ("tls/weak-suites", "the judge offers TLS 1.3 beside the suites that must be refused, and gets it"),
];
/// The same where TLS 1.2 is spoken as unmodified X-Road servers do.
const KNOWN_STOCK: &[(&str, &str)] =
    &[("tls/dhe-rsa", "not spoken: whoever has this suite has one with ECDHE, too")];
/// Cases played over TLS 1.2: those whose names contain one of these.
const STOCK_CASES: &[&str] = &["tls/", "server-cert", "valid/", "ocsp"];

/// A process that ends with the test.
struct Process(Child);

impl Process {
    /// Starts a command and waits for the line that says it is ready.
    fn start(mut command: Command, ready: &str) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the process starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let mut said = Vec::new();
        loop {
            match lines.next() {
                Some(Ok(line)) if line.contains(ready) => break,
                Some(Ok(line)) => said.push(line),
                _ => panic!("{command:?} ended before it was ready:\n{}", said.join("\n")),
            }
        }
        // Whoever writes to a pipe that nobody reads stops in the end.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A federation that the judge made, on loopback addresses of this test's own.
struct World {
    dir: PathBuf,
    judge: PathBuf,
    net: u8,
    /// Whether gateways speak as unmodified X-Road servers do, and not TLS 1.3.
    stock: bool,
}

impl World {
    fn make(name: &str, net: u8, stock: bool) -> Option<Self> {
        let judge = std::env::var_os("SAATKOND_JUDGE")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/judge"), PathBuf::from);
        let python =
            Command::new("python3").args(["-c", "import cryptography, lxml, asn1crypto, OpenSSL"]).status();
        if !judge.join("judge").is_dir() || !python.is_ok_and(|s| s.success()) {
            assert!(std::env::var("SAATKOND_REQUIRE").is_err(), "the judge is required and not here");
            eprintln!("skipped: no judge at {} (or python3 lacks its packages)", judge.display());
            return None;
        }
        let dir = std::env::temp_dir().join(format!("saatkond-judge-{}-{name}", std::process::id()));
        let world = Self { dir, judge, net, stock };
        let addresses = format!(
            "addresses={{\"SS1\":\"{}\",\"SS2\":\"{}\",\"SS3\":\"{}\"}}",
            world.ip(1),
            world.ip(2),
            world.ip(3)
        );
        let mut make = world.judge();
        make.args(["world", world.path("").as_str(), "--knob", &addresses, "--knob"]);
        make.arg(format!("host=\"{}\"", world.ip(9)));
        assert!(
            make.stdout(Stdio::null()).status().expect("python3 runs").success(),
            "the judge makes a world"
        );
        Some(world)
    }

    fn ip(&self, host: u8) -> String {
        format!("127.77.{}.{host}", self.net)
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn judge(&self) -> Command {
        let mut command = Command::new("python3");
        command.args(["-B", "-u", "-m", "judge"]).current_dir(&self.judge);
        command
    }

    fn trust_services(&self) -> Process {
        let mut command = self.judge();
        command.args(["world", &self.path(""), "--load", "--serve"]).stdout(Stdio::null());
        Process::start(command, "serving on")
    }

    fn services(&self) -> Process {
        let mut command = self.judge();
        command.args(["backend", "--host", &self.ip(8), "--port", "8090"]).stdout(Stdio::null());
        Process::start(command, "services on")
    }

    /// Starts our gateway as the server `code` of the member `member`.
    fn gateway(&self, member: &str, code: &str, host: u8, server_toml: &str) -> Process {
        let dir = self.dir.join(code);
        let keys = dir.join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        let lower = code.to_lowercase();
        let mut index = "version = 1\n".to_owned();
        for usage in ["auth", "sign"] {
            for (ending, name) in [("key", "key.pem"), ("crt", "cert.pem")] {
                let from = self.dir.join("keys").join(format!("{lower}-{usage}.{ending}"));
                std::fs::copy(from, keys.join(format!("{usage}.{name}"))).unwrap();
            }
            let key = keys.join(format!("{usage}.key.pem"));
            std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let files = format!("key = \"{usage}.key.pem\"\ncertificate = \"{usage}.cert.pem\"\n");
            index += &format!("[[key]]\nuse = \"{usage}\"\n{files}");
        }
        std::fs::write(keys.join("keys.toml"), index).unwrap();
        std::fs::write(dir.join("server.toml"), format!("version = 1\n{server_toml}")).unwrap();
        let (ip, anchor) = (self.ip(host), self.path("anchor-internal.xml"));
        let conf = format!(
            "version = 1\nserver = \"DEV/GOV/{member}/{code}\"\nstate = \".\"\nanchor = \"{anchor}\"\n\
             [listen]\nclients = \"{ip}:8080\"\nservers = \"{ip}:5500\"\nocsp = \"{ip}:5577\"\nhealth = \"{ip}:5580\"\n\
             [tls]\nstock_peers = {}\n",
            self.stock
        );
        std::fs::write(dir.join("gateway.toml"), conf).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_saatkond"));
        command.args(["run", "--config"]).arg(dir.join("gateway.toml"));
        Process::start(command, "ready")
    }

    /// Lets the judge play a group of cases; every one must pass, or be known.
    fn play(&self, group: &str, gateway: &serde_json::Value, run_at_least: usize) {
        let file = self.path("gateway.json");
        std::fs::write(&file, gateway.to_string()).unwrap();
        let mut command = self.judge();
        command.args(["--json", "hostile", group, "--gateway", &file]);
        if !self.stock {
            command.arg("--tls13");
        } else if std::env::var_os("SAATKOND_JUDGE_ALL").is_none() {
            command.args(STOCK_CASES.iter().flat_map(|name| ["--only", name]));
        }
        let known = [KNOWN, if self.stock { KNOWN_STOCK } else { KNOWN_MODERN }].concat();
        let output = command.output().expect("the judge runs");
        let outcomes: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!("the judge answers ({e}): {}", String::from_utf8_lossy(&output.stderr))
        });
        let skipped = |o: &&serde_json::Value| {
            o["result"] == "skipped" || known.iter().any(|(case, _)| o["case"] == **case)
        };
        let (left_out, played): (Vec<_>, Vec<_>) = outcomes.iter().partition(skipped);
        let wrong: Vec<String> = played
            .iter()
            .filter(|o| o["result"] != "pass")
            .map(|o| {
                format!(
                    "{} {} (expected {} {}): {} {}",
                    o["result"], o["case"], o["verdict"], o["codes"], o["seen"], o["detail"]
                )
            })
            .collect();
        eprintln!("{group}: {} played, {} left out", played.len(), left_out.len());
        assert!(played.len() >= run_at_least, "only {} cases were played", played.len());
        assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn as_provider(name: &str, net: u8, stock: bool, run_at_least: usize) {
    let Some(world) = World::make(name, net, stock) else { return };
    let _trust = world.trust_services();
    let _services = world.services();
    let service = |code: &str, more: &str| {
        format!("[[client.service]]\ncode = \"{code}\"\nurl = \"http://{}:8090/rest\"\n{more}\n", world.ip(8))
    };
    let all = "allow = [{ client = \"DEV/GOV/M1/C1\" }, { client = \"DEV/GOV/M4/Y1\" }]";
    let soap = |code: &str| {
        format!(
            "[[client.service]]\ncode = \"{code}\"\nkind = \"soap\"\nurl = \"http://{}:8090/soap\"\n{all}\n",
            world.ip(8)
        )
    };
    let server = format!(
        "[[client]]\nid = \"DEV/GOV/M2/P1\"\nconnection = \"http\"\n{}{}{}{}{}[[client]]\nid = \"DEV/GOV/M2/MGMT\"\nconnection = \"http\"\n",
        service("echo", all),
        service("denied", ""),
        service("disabled", &format!("enabled = false\n{all}")),
        soap("getState"),
        soap("echoAttachments"),
    );
    let _gateway = world.gateway("M2", "SS2", 2, &server);
    let description = serde_json::json!({
        "world": world.path(""),
        "provider": {
            "host": world.ip(2), "port": 5500, "ocsp_port": 5577, "rest_service": "DEV/GOV/M2/P1/echo",
            "abilities": ["acl-m4", "odd-paths", "old-asic-namespace", "denied", "disabled"],
        },
    });
    world.play("requests", &description, run_at_least);
}

#[test]
fn as_provider_against_right_and_hostile_requests() {
    as_provider("provider", 1, false, 400);
}

#[test]
fn as_provider_of_stock_consumers() {
    as_provider("stock-provider", 3, true, 20);
}

/// What the judge finds of one answer when it asks `service` itself; `more` are its options.
fn asked(world: &World, service: &str, more: &[&str]) -> serde_json::Value {
    let mut command = world.judge();
    command.args(["--json", "consume", "--world", &world.path(""), "--to", &format!("{}:5500", world.ip(2))]);
    command.args(["--tls13", "--service", &format!("DEV/GOV/M2/P1/{service}")]).args(more);
    let output = command.output().expect("the judge runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("the judge answers ({e}): {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn answers_of_metaservices_hold() {
    let Some(world) = World::make("metaservices", 5, false) else { return };
    let _trust = world.trust_services();
    let server = "[[client]]\nid = \"DEV/GOV/M2/P1\"\nconnection = \"http\"\n\
        [[client.service]]\ncode = \"api\"\nkind = \"openapi\"\nurl = \"http://127.0.0.1:1/\"\ndescription = \"api.yaml\"\n";
    std::fs::create_dir_all(world.dir.join("SS2")).unwrap();
    std::fs::write(world.dir.join("SS2/api.yaml"), "openapi: 3.0.0\nservers: [{url: http://a/b}]\n").unwrap();
    let _gateway = world.gateway("M2", "SS2", 2, server);
    for (service, more) in [
        ("listMethods", &["--method", "GET"][..]),
        ("listMethods", &["--method", "GET", "--body", "{}"]),
        ("allowedMethods", &["--method", "GET"]),
        ("getOpenAPI", &["--method", "GET", "--query", "serviceCode=api"]),
        ("listMethods", &["--soap"]),
        ("allowedMethods", &["--soap"]),
    ] {
        let found = asked(&world, service, more);
        assert_eq!(found["outcome"], "accepted", "{service} {more:?}: {found}");
    }
    // The judge asks for no service's WSDL.
    let found = asked(&world, "getWsdl", &["--soap"]);
    assert_eq!(
        (&found["outcome"], &found["code"]),
        (&"fault".into(), &"server.serverproxy.invalid_request".into()),
        "{found}"
    );
}

fn as_consumer(name: &str, net: u8, stock: bool, run_at_least: usize) {
    let Some(world) = World::make(name, net, stock) else { return };
    let _trust = world.trust_services();
    let server = "[[client]]\nid = \"DEV/GOV/M1/C1\"\nconnection = \"http\"\n";
    let _gateway = world.gateway("M1", "SS1", 1, server);
    let description = serde_json::json!({
        "world": world.path(""),
        "consumer": {
            "url": format!("http://{}:8080", world.ip(1)), "client": "DEV/GOV/M1/C1",
            "provide_on": world.ip(2), "provide_port": 5500, "provide_ocsp_port": 5577,
        },
    });
    world.play("responses", &description, run_at_least);
}

#[test]
fn as_consumer_against_right_and_hostile_answers() {
    as_consumer("consumer", 2, false, 230);
}

#[test]
fn as_consumer_of_stock_providers() {
    as_consumer("stock-consumer", 4, true, 20);
}
