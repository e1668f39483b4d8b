//! The program as an operator meets it: started, asked, drained, and refused with a word that helps.
//!
//! ```text
//! this test ──HTTP──► saatkond run, TAX ──TLS──► the same gateway ──HTTP──► this test, a service that waits
//!    └─ trust services of the instance DEV, in this process
//! ```
#![expect(clippy::unwrap_used, clippy::panic, reason = "what is wrong ends the test")]

use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::key::KeySpec;
use saatkond_ca::serve::{self, Running, Services};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// An instance of its own, and the directory of the Tax Board's gateway.
struct Land {
    dir: PathBuf,
    federation: Federation,
    trust: SocketAddr,
    running: Option<Running>,
}

/// Free ports of the Tax Board's gateway.
struct Ports {
    clients: u16,
    servers: u16,
    ocsp: u16,
    health: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Land {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("saatkond-commands-{}-{name}", std::process::id()));
        let trust = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.1"];
        let plan = Plan::two_boards(&format!("http://{trust}"), KeySpec::P256, addresses);
        let federation = Federation::create(&dir, &plan, serve::Clock::system().now()).unwrap();
        fs::copy(federation.anchor(), dir.join("tax/configuration-anchor.xml")).unwrap();
        Self { dir, federation, trust, running: None }
    }

    async fn trust_comes(&mut self) {
        let services = Services::open(&self.federation.serve_config(), serve::Clock::system()).unwrap();
        let listener = tokio::net::TcpListener::bind(self.trust).await.unwrap();
        self.running = Some(Running::start(listener, services).unwrap());
    }

    fn config(&self) -> String {
        self.dir.join("tax/gateway.toml").display().to_string()
    }

    /// Writes the files of a gateway whose client asks itself for a service at `service`.
    fn configure(&self, service: u16) -> Ports {
        let [clients, servers, ocsp, health] = [(); 4].map(|()| free_port());
        let text = format!(
            "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \".\"\n[listen]\nclients = \"127.0.0.1:{clients}\"\n\
             servers = \"127.0.0.1:{servers}\"\nocsp = \"127.0.0.1:{ocsp}\"\nhealth = \"127.0.0.1:{health}\"\n\
             [peers]\nport = {servers}\nocsp_port = {ocsp}\n[log]\nsegment = \"1 MiB\"\n"
        );
        fs::write(self.config(), text).unwrap();
        let server = format!(
            "version = 1\n[[client]]\nid = \"DEV/GOV/M1/TAX\"\nconnection = \"http\"\n[[client.service]]\ncode = \"slow\"\n\
             url = \"http://127.0.0.1:{service}/\"\nallow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
        );
        fs::write(self.dir.join("tax/server.toml"), server).unwrap();
        Ports { clients, servers, ocsp, health }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saatkond"));
        command.args(words).args(["--config", &self.config()]).env_remove("SAATKOND_LOG");
        command
    }

    fn says(&self, words: &[&str]) -> (String, String, Option<i32>) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&self.dir.display().to_string(), "HERE");
        (text(stdout), text(stderr), status.code())
    }

    /// Starts the gateway; it ends with the process that runs this test, whatever becomes of that.
    fn run(&self) -> Gateway {
        let mut command = self.command(&["--while-stdin", "run"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Gateway { child, lines }
    }
}

impl Drop for Land {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A gateway that runs.
struct Gateway {
    child: Child,
    lines: Receiver<String>,
}

impl Gateway {
    /// Waits for a line of its log.
    fn until(&self, word: &str) -> String {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv() {
            if line.contains(word) {
                return line;
            }
            said.push(line);
        }
        panic!("it ended before it said {word:?}:\n{}", said.join("\n"));
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    fn ends(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of an answer.
fn get(port: u16, target: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_serves_and_lets_what_is_under_way_end_when_it_is_told_to_stop() {
    let mut land = Land::new("drain");
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = land.configure(service.local_addr().unwrap().port());

    // Without its trust services it lives, says what it lacks, and goes on as soon as they are there.
    let mut gateway = land.run();
    gateway.until("no global configuration yet");
    assert_eq!(get(ports.health, "/health/live", "").0, 200);
    let (status, body) = get(ports.health, "/health/ready", "");
    assert_eq!(status, 503);
    assert!(body.contains("there is no global configuration yet: no source of DEV gave its"), "{body}");
    land.trust_comes().await;
    let line = gateway.until(" ready ");
    assert!(line.contains(&format!("clients=\"127.0.0.1:{}\"", ports.clients)), "{line}");
    assert_eq!(get(ports.health, "/health/ready", ""), (200, "{\"ready\":true,\"reasons\":[]}\n".to_owned()));

    // A call is under way: its service has it and waits.
    let (go, may_go) = channel::<()>();
    let (arrived, arrives) = channel();
    let serving = std::thread::spawn(move || {
        let (stream, _) = service.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        arrived.send(()).unwrap();
        may_go.recv().unwrap();
        (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").unwrap();
    });
    let clients = ports.clients;
    let calling = std::thread::spawn(move || {
        get(clients, "/r1/DEV/GOV/M1/TAX/slow/", "X-Road-Client: DEV/GOV/M1/TAX\r\nX-Road-Id: drained\r\n")
    });
    arrives.recv().unwrap();
    let (out, _, code) = land.says(&["status"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("DEV/GOV/M1/TAX  ready\n"), "{out}");
    for (form, begins) in [(&["sites"][..], "DEV/GOV/M1/TAX"), (&["sites", "--json"], "{\"server\"")] {
        let (out, talk, code) = land.says(form);
        assert!(code == Some(0) && out.starts_with(begins), "{form:?}: {out}{talk}");
    }
    let (out, talk, code) = land.says(&["check"]);
    assert_eq!((talk.as_str(), code), ("`saatkond run` would start\n", Some(0)), "{out}");
    let (_, talk, code) = land.says(&["run"]);
    assert_eq!(code, Some(69));
    assert!(talk.contains(&format!("already in use by pid {} (saatkond)", gateway.child.id())), "{talk}");

    gateway.terminate();
    gateway.until("draining");
    while TcpStream::connect(("127.0.0.1", clients)).is_ok() {
        std::thread::yield_now();
    }
    let (status, body) = get(ports.health, "/health/ready", "");
    assert_eq!((status, body.contains("it was told to stop and is draining")), (503, true), "{body}");
    let (out, _, code) = land.says(&["status"]);
    assert_eq!((out.starts_with("DEV/GOV/M1/TAX  draining\n"), code), (true, Some(1)), "{out}");
    go.send(()).unwrap();
    assert_eq!(calling.join().unwrap(), (200, "slow".to_owned()));
    serving.join().unwrap();
    gateway.until("ended");
    assert_eq!(gateway.ends(), Some(0));

    let (out, _, code) = land.says(&["messages", "list", "--id", "drained"]);
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().filter(|line| line.contains("query drained")).count(), 4, "{out}");
    let (out, _, code) = land.says(&["status"]);
    assert_eq!((out.as_str(), code), ("", Some(69)));
}

#[test]
fn what_stops_a_start_is_said_in_three_parts() {
    let land = Land::new("refused");
    let ports = land.configure(1);
    let refused = |expected: &str, code| {
        let (out, talk, exit) = land.says(&["run"]);
        assert_eq!((out.as_str(), exit), ("", Some(code)), "{talk}");
        assert!(talk.starts_with(expected), "{talk}");
    };
    let right = fs::read_to_string(land.config()).unwrap();
    let write = |text: &str| fs::write(land.config(), text).unwrap();

    let taken = TcpListener::bind(("127.0.0.1", ports.servers)).unwrap();
    refused(
        &format!(
            "error: cannot listen on 127.0.0.1:{} for other gateways: already in use by pid {} (",
            ports.servers,
            std::process::id()
        ),
        69,
    );
    drop(taken);

    // A demonstration's keys serve nobody but this machine.
    write(&right.replace(&format!("127.0.0.1:{}", ports.ocsp), &format!("0.0.0.0:{}", ports.ocsp)));
    let index = land.dir.join("tax/keys/keys.toml");
    let keys = fs::read_to_string(&index).unwrap().replace("demo = true\n", "");
    fs::write(&index, keys.replacen("version = 1\n", "version = 1\ndemo = true\n", 1)).unwrap();
    refused("error: the keys in ", 77);
    write(&format!("demo = true\n{}", right.replace("127.0.0.1:", "0.0.0.0:")));
    refused("error: HERE/tax/gateway.toml: listen.clients: 0.0.0.0:", 78);
    fs::write(&index, keys).unwrap();

    write(&format!("{right}[output]\nlevel = \"=\"\n"));
    refused("error: HERE/tax/gateway.toml: output.level: \"=\" is no log filter: ", 78);
    write(&right);
    fs::write(land.dir.join("tax/configuration-anchor.xml"), "<no/>").unwrap();
    refused("error: HERE/tax/configuration-anchor.xml: ", 78);
    fs::remove_file(land.config()).unwrap();
    refused("error: cannot read HERE/tax/gateway.toml: No such file or directory (os error 2)\n hint: ", 78);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_writes_is_in_force_without_a_restart() {
    let mut land = Land::new("services");
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", service.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in service.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = first.split(' ').nth(1).unwrap_or_default();
            let length = path.len();
            let _ = write!(
                &stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{path}"
            );
        }
    });
    let ports = land.configure(1);
    let config = fs::read_to_string(land.config()).unwrap();
    fs::write(land.config(), config + "[jobs]\nserver_file = \"100 ms\"\n").unwrap();
    let (document, server) = (land.dir.join("tax/api.yaml"), land.dir.join("tax/server.toml"));
    let describe = |path: &str| {
        let info = "info: {title: Api, version: '1'}";
        let paths = format!("{path}: {{get: {{parameters: [{{name: id, in: path}}], responses: {{}}}}}}");
        fs::write(
            &document,
            format!("openapi: 3.0.3\n{info}\nservers: [{{url: '{url}'}}]\npaths:\n  {paths}\n"),
        )
        .unwrap();
    };
    describe("/titles/{id}");
    land.trust_comes().await;
    let gateway = land.run();
    gateway.until(" ready ");
    let command = |words: &[&str]| {
        let (out, talk, code) = land.says(words);
        assert_eq!(code, Some(0), "{out}{talk}");
        gateway.until("server configuration taken over");
        out
    };
    let call = |path: &str| {
        let target = format!("/r1/DEV/GOV/M1/TAX/api{path}");
        get(ports.clients, &target, "X-Road-Client: DEV/GOV/M1/TAX\r\n")
    };
    let refused = |path: &str, code: &str, why: &str| {
        let (status, body) = call(path);
        assert_eq!(status, 500, "{body}");
        assert!(body.contains(code) && body.contains(why), "{body}");
    };

    let file = document.display().to_string();
    let added = command(&["services", "add", "DEV/GOV/M1/TAX", "--openapi", &file, "--code", "api"]);
    assert!(added.contains("\n  + GET /titles/*\n"), "{added}");
    refused("/titles/1", "access_denied", "DEV/GOV/M1/TAX/api");
    // A right on the endpoint, by hand.
    let text = fs::read_to_string(&server).unwrap();
    let right = "generated = true\nallow = [{ client = \"DEV/GOV/M1/TAX\" }]";
    fs::write(&server, text.replace("generated = true\nallow = []", right)).unwrap();
    gateway.until("server configuration taken over");
    refused("/titles/1", "service_disabled", "is disabled: Out of order");
    command(&["services", "enable", "DEV/GOV/M1/TAX/api"]);
    assert_eq!(call("/titles/1"), (200, "/api/titles/1".to_owned()));
    refused("/titles/1/owner", "access_denied", "");
    refused("/titles", "access_denied", "");
    command(&["services", "disable", "DEV/GOV/M1/TAX/api", "--notice", "Moving until Monday"]);
    refused("/titles/1", "service_disabled", "is disabled: Moving until Monday");
    command(&["services", "enable", "DEV/GOV/M1/TAX/api"]);

    // The right goes with its endpoint, and no other comes with a new one.
    describe("/parcels/{id}");
    let told = command(&["services", "refresh", "DEV/GOV/M1/TAX/api", "--yes"]);
    assert!(told.contains("\n  - GET /titles/*  1 right is lost\n"), "{told}");
    refused("/titles/1", "access_denied", "");
    refused("/parcels/1", "access_denied", "");
}

#[test]
fn every_shell_is_told_how_to_complete_the_commands() {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef saatkond"), ("fish", "complete -c saatkond")]
    {
        let told =
            Command::new(env!("CARGO_BIN_EXE_saatkond")).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(told.stdout).unwrap();
        assert!(told.status.success() && script.contains(word) && script.contains("retire"), "{shell}");
    }
    let wrong = Command::new(env!("CARGO_BIN_EXE_saatkond")).args(["completions", "csh"]).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && said.contains("possible values: bash"), "{said}");
}
