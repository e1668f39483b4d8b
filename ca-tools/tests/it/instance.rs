//! An instance changed by commands, and a central server that is killed while it is.

use crate::support::{Directory, done, fails, text};
use saatkond_ca::exit::Exit;
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::globalconf::Central;
use saatkond_ca::key::KeySpec;
use saatkond_ca::serve::Clock;
use saatkond_proto::globalconf::{Anchor, Content, SignedDirectory};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn made(directory: &Directory, url: &str) -> Federation {
    let plan = Plan::two_boards(url, KeySpec::P256, ["127.0.3.1", "127.0.1.1", "127.0.2.1"]);
    Federation::create(directory.path(), &plan, Clock::system().now()).unwrap()
}

#[tokio::test]
async fn single_changes_are_made_told_and_remembered() {
    let directory = Directory::new();
    let conf = made(&directory, "http://127.0.0.1:1").configuration();
    let dir = ["--dir", text(&conf)];
    let run =
        |line: &str| ["instance"].into_iter().chain(line.split(' ')).map(str::to_owned).collect::<Vec<_>>();
    let words = |line: &str| run(line).into_iter().chain(dir.map(str::to_owned)).collect::<Vec<_>>();
    for (line, said) in [
        ("member add DEV/GOV/M3 --name Roads", "+ member DEV/GOV/M3 (Roads)\nrevision 4\n"),
        (
            "subsystem add DEV/GOV/M3/ROAD --why planned",
            "~ member DEV/GOV/M3\n    subsystem: + ROAD\nrevision 5\n",
        ),
        (
            "server add DEV/GOV/M3/SS --address ss.example.org --client DEV/GOV/M3/ROAD",
            "+ server DEV/GOV/M3/SS",
        ),
        ("server remove DEV/GOV/M3/SS --client DEV/GOV/M3/ROAD", "    clients: - DEV/GOV/M3/ROAD"),
        ("group add roads --description Roads --member DEV/GOV/M3/ROAD", "+ group roads (Roads)"),
        ("group remove roads --member DEV/GOV/M3/ROAD", "    members: - DEV/GOV/M3/ROAD"),
        ("member add DEV/GOV/M3 --name Roads", "nothing differs"),
        ("server remove DEV/GOV/M3/SS --yes", "- server DEV/GOV/M3/SS"),
    ] {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let talk = done(&words).await.talk;
        assert!(talk.contains(said), "{line}: {talk}");
    }
    for (line, exit, said) in [
        ("member remove DEV/GOV/M2 --yes", Exit::Configuration, "DEV/GOV/M2"),
        ("member remove DEV/GOV/M3", Exit::Usage, "add --yes"),
        ("member remove DEV/GOV/M9 --yes", Exit::Configuration, "member DEV/GOV/M9: it is not there"),
        ("server add DEV/GOV/M3/NEW", Exit::Configuration, "a new one needs --address"),
        ("key activate 0011 --yes", Exit::NotWell, "there is no key 0011"),
    ] {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let error = fails(exit, &words).await;
        assert!(error.contains(said), "{line}: {error}");
    }
    let history = done(&["instance", "history", "--check", dir[0], dir[1]]).await;
    assert!(history.talk.contains("all 10 changes are as they were written"), "{}", history.talk);
    assert!(history.out.contains("planned\n    ~ member DEV/GOV/M3"), "{}", history.out);
    let keys = done(&["instance", "key", "list", "--json", dir[0], dir[1]]).await.out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&keys).unwrap().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_exported_is_applied_again_and_what_others_changed_is_not_lost() {
    let directory = Directory::new();
    let conf = made(&directory, "http://127.0.0.1:1").configuration();
    let (conf, file) = (text(&conf), directory.join("exported.toml"));
    let file = text(&file);
    done(&["instance", "export", "--dir", conf, "--out", file]).await;
    let dry = ["instance", "apply", file, "--dir", conf, "--dry-run"];
    assert_eq!(done(&dry).await.out, "", "nothing differs");
    let exported = std::fs::read_to_string(file).unwrap();
    let renamed = exported.replace("\"Land Board\"", "\"Land and Water\"");
    std::fs::write(file, &renamed).unwrap();
    assert_eq!(done(&dry).await.out, "~ member DEV/GOV/M2\n    name: Land Board -> Land and Water\n");
    done(&["instance", "member", "add", "DEV/GOV/M3", "--name", "Roads", "--dir", conf]).await;
    let error = fails(Exit::NotAllowed, &dry).await;
    assert!(error.contains("exported before the instance was changed by others"), "{error}");
    let based_on = renamed.lines().find(|line| line.starts_with("based_on")).unwrap();
    std::fs::write(file, renamed.replace(based_on, "")).unwrap();
    let apply = ["instance", "apply", file, "--dir", conf];
    let error = fails(Exit::Usage, &apply).await;
    assert!(error.contains("would remove member DEV/GOV/M3"), "{error}");
    done(&[&apply[..], &["--yes"]].concat()).await;
    assert_eq!(done(&dry).await.out, "");
}

/// A child that is killed, whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Killed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saatkond-ca"));
    Killed(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// The body, if all of it came.
fn get(host: &str, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(host).ok()?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&all[..end]).unwrap().to_ascii_lowercase();
    let length: usize = head.split_once("content-length: ")?.1.split_once("\r\n")?.0.parse().ok()?;
    (head.starts_with("http/1.1 200") && all.len() == end + length).then(|| all[end..].to_vec())
}

/// Fetches as a gateway does; whether it got all of a version. Whatever came must be whole.
fn fetch(host: &str, anchor: &Anchor, version: u8) -> bool {
    let Some(bytes) = get(host, &format!("/internalconf?version={version}")) else { return false };
    let certificates = &anchor.sources.first().unwrap().certificates;
    let signed = SignedDirectory::parse(&bytes).unwrap();
    let directory = signed.verify(certificates, Clock::system().now()).unwrap();
    let parts = directory.internal("DEV").unwrap();
    parts.iter().all(|part| {
        let Some(bytes) = get(host, &part.location) else { return false };
        match part.content {
            Content::Shared => drop(part.shared(&bytes, version).unwrap()),
            Content::Private => drop(part.private(&bytes, version).unwrap()),
            Content::Other(_) => {}
        }
        true
    })
}

/// `SAATKOND_KILL_ROUNDS` says how often, 5 times by default: whoever changes the instance and whoever serves it are
/// killed at some moment, and what was served was whole, what was remembered holds, and it goes on.
#[test]
fn killed_at_any_moment_it_serves_no_half() {
    let rounds =
        std::env::var("SAATKOND_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_u32);
    let directory = Directory::new();
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let federation = made(&directory, &format!("http://{host}"));
    let (serve, conf) = (federation.serve_config(), federation.configuration());
    // taken over at once, so that changes and answers meet
    let file = std::fs::read_to_string(federation.instance_file()).unwrap();
    std::fs::write(federation.instance_file(), file.replace("renewal = \"1 min\"", "renewal = \"1 s\""))
        .unwrap();
    federation.apply(Clock::system().now()).unwrap();
    let anchor = Anchor::from_xml(&std::fs::read(federation.anchor()).unwrap()).unwrap();
    let mut whole = 0_u32;
    for round in 0..rounds {
        let server = program(&["serve", "--config", text(&serve)]);
        let began = Instant::now();
        while !fetch(&host, &anchor, 6) {
            assert!(began.elapsed() < Duration::from_secs(60), "round {round}: it serves again");
        }
        // somewhere between the first instruction of a change and some time after it
        let life = Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) % 700));
        let (began, mut number) = (Instant::now(), 0);
        while began.elapsed() < life {
            let id = format!("DEV/GOV/K{round}-{number}");
            let writer = program(&["instance", "member", "add", &id, "--name", "x", "--dir", text(&conf)]);
            whole += u32::from(fetch(&host, &anchor, 2 + (number % 5) as u8));
            number += 1;
            drop(writer);
        }
        drop(server);
        let central = Central::open(&conf).unwrap();
        assert_eq!(central.store().check_history().unwrap(), central.read().unwrap().revision());
        central.instance(Clock::system().now()).unwrap();
    }
    assert!(rounds < 5 || whole > 0, "something was fetched between the blows");
}
