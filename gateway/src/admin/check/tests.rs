//! What `check` says, letter by letter.

use super::*;
use crate::testbed::{Land, NOW};
use std::time::Duration;

/// A directory to be checked, and its file.
struct Checked {
    land: Land,
    file: PathBuf,
}

const DOORS: &str = "[listen]\nclients = \"127.0.0.1:0\"\nservers = \"127.0.0.1:0\"\nocsp = \"127.0.0.1:0\"\nhealth = \"off\"\n";

impl Checked {
    async fn new(name: &str, more: &str) -> Self {
        let land = Land::new(name, false).await;
        let file = land.tax().join("gateway.toml");
        let text = "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \"state\"\n";
        fs::create_dir(land.tax().join("state")).unwrap();
        fs::rename(land.tax().join("keys"), land.tax().join("state/keys")).unwrap();
        fs::write(&file, format!("{text}{more}")).unwrap();
        Self { land, file }
    }

    /// What the command says: data, talk, and how it ends.
    fn says(&self, json: bool) -> (String, String, Exit) {
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let exit = check(&self.file, json, &self.land.clock, &mut Streams::new(&mut out, &mut talk)).unwrap();
        let here = self.land.tax().display().to_string();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&here, "HERE");
        (text(out), text(talk), exit)
    }
}

#[tokio::test]
async fn everything_that_was_looked_at_is_listed() {
    let checked = Checked::new("check-all", DOORS).await;
    let (out, talk, exit) = checked.says(false);
    let anchor = fingerprint(&fs::read(checked.land.tax().join("configuration-anchor.xml")).unwrap());
    assert_eq!(
        out,
        format!(
            "ok        gateway.toml          HERE/gateway.toml: server DEV/GOV/M1/TAX
ok        log lines             info
ok        listen.clients        127.0.0.1:0 is free
ok        listen.clients_tls    off
ok        listen.servers        127.0.0.1:0 is free
ok        listen.ocsp           127.0.0.1:0 is free
ok        listen.health         off
ok        keys                  HERE/state/keys: 2 certificates; 2 keys are not encrypted
ok        server.toml           HERE/server.toml: 1 client, 0 services
ok        message log           HERE/state/log will be made
ok        archive               off; nothing is deleted from the message log
ok        state                 HERE/state can be written to
ok        configuration anchor  HERE/configuration-anchor.xml: SHA-224 {anchor}
ok        global configuration  none is stored yet: `run` fetches it
"
        )
    );
    assert_eq!((talk.as_str(), exit), ("`saatkond run` would start\n", Exit::Done));
    let left: Vec<_> = fs::read_dir(checked.land.tax().join("state")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was made but for a moment");
}

#[tokio::test]
async fn what_is_refused_is_said_with_what_to_do() {
    let checked = Checked::new("check-refused", &DOORS.replace("\"off\"", "\"0.0.0.0:1\"")).await;
    let tax = checked.land.tax();
    fs::write(tax.join("server.toml"), "version = 1\n[[client]]\nid = \"DEV/GOV\"\nconnection = \"http\"\n")
        .unwrap();
    fs::write(tax.join("configuration-anchor.xml"), "<no/>").unwrap();
    let exposed = tax.join("state/keys/auth.key.pem");
    fs::set_permissions(&exposed, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::create_dir(tax.join("state/globalconf")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = fs::read_to_string(&checked.file).unwrap();
    let text = text.replacen("servers = \"127.0.0.1:0\"", &format!("servers = \"{address}\""), 1);
    fs::write(&checked.file, text).unwrap();
    let (out, talk, exit) = checked.says(false);
    let lines = |word: &str| {
        let found: Vec<&str> = out.lines().filter(|line| line.starts_with(word)).collect();
        found.iter().map(|line| line[10..32].trim_end().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines("refused"), ["listen.servers", "keys", "server.toml", "configuration anchor"], "{out}");
    assert_eq!(lines("warning"), ["global configuration"]);
    assert!(
        out.contains(&format!(
            "refused   listen.servers        cannot listen on {address} for other gateways: already in use by pid {} (",
            std::process::id()
        )),
        "{out}"
    );
    assert!(out.contains("\n    hint: stop it, or set `listen.servers` in HERE/gateway.toml\n"), "{out}");
    assert!(
        out.contains(
            "refused   keys                  HERE/state/keys/auth.key.pem may be read by others than its owner (mode \
             644), expected 600\n    hint: chmod 600 HERE/state/keys/auth.key.pem\n"
        ),
        "{out}"
    );
    assert!(
        out.contains("\n    hint: have it from the authority of DEV; `anchor` names the file\n"),
        "{out}"
    );
    assert_eq!(talk, "`saatkond run` would refuse 4 things, 1 warning\n");
    assert_eq!(exit, Exit::Configuration);
}

#[tokio::test]
async fn a_file_that_is_none_is_all_that_is_told() {
    let checked = Checked::new("check-file", "[listen]\nport = 1\n").await;
    let (out, talk, exit) = checked.says(true);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["ok"], false);
    assert_eq!(told["findings"].as_array().unwrap().len(), 1);
    assert_eq!(told["findings"][0]["what"], "gateway.toml");
    assert_eq!(told["findings"][0]["state"], "refused");
    assert_eq!(told["findings"][0]["hint"], serde_json::Value::Null);
    assert!(told["findings"][0]["detail"].as_str().unwrap().contains("unknown field `port`"), "{told}");
    assert_eq!((talk.as_str(), exit), ("`saatkond run` would refuse 1 thing\n", Exit::Configuration));
    fs::remove_file(&checked.file).unwrap();
    let (out, _, exit) = checked.says(false);
    assert_eq!(
        (out.as_str(), exit),
        (
            "refused   gateway.toml          cannot read HERE/gateway.toml: No such file or directory (os error 2)\n",
            Exit::Configuration
        )
    );
}

#[tokio::test]
async fn a_demonstrations_keys_are_refused_where_others_reach_them() {
    let checked = Checked::new("check-demo", &DOORS.replace("\"off\"", "\"0.0.0.0:0\"")).await;
    let index = checked.land.tax().join("state/keys/keys.toml");
    let text = fs::read_to_string(&index).unwrap();
    if !text.contains("demo = true") {
        fs::write(&index, text.replacen("version = 1\n", "version = 1\ndemo = true\n", 1)).unwrap();
    }
    let (out, _, exit) = checked.says(false);
    assert_eq!(exit, Exit::Configuration);
    assert!(
        out.contains(
            "refused   keys                  they are a demonstration's, and listen.health is 0.0.0.0:0, which is no \
             loopback address\n    hint: make keys of your own"
        ),
        "{out}"
    );
}

#[tokio::test]
async fn beside_a_gateway_that_runs_its_doors_are_left_alone() {
    let checked = Checked::new("check-running", DOORS).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = fs::read_to_string(&checked.file).unwrap();
    let text = text.replacen("servers = \"127.0.0.1:0\"", &format!("servers = \"{address}\""), 1);
    fs::write(&checked.file, text).unwrap();
    assert_eq!(checked.says(false).2, Exit::Configuration);
    let conf = Arc::new(Conf::load(&checked.file).unwrap());
    let opened = crate::jobs::open(Arc::clone(&conf), checked.land.clock.clone()).unwrap();
    let gateway = opened.globalconf().await.map(|conf| opened.gateway(conf)).unwrap();
    let (out, talk, exit) = checked.says(false);
    assert_eq!(exit, Exit::Done, "{out}{talk}");
    assert!(out.contains(&format!("{address} is in use, and this gateway runs\n")), "{out}");
    assert!(out.contains("0 records, 0 messages without a time-stamp, and this gateway runs\n"), "{out}");
    let until = NOW.plus(Duration::from_secs(600));
    assert!(
        out.contains(&format!("ok        global configuration  the stored one holds until {until}\n")),
        "{out}"
    );
    assert!(
        out.contains("warning   authentication key    HERE/state/keys/auth.key.pem: no OCSP response"),
        "{out}"
    );
    assert!(
        out.contains("warning   sign key              DEV/GOV/M1: HERE/state/keys/sign.key.pem: no OCSP"),
        "{out}"
    );
    drop(gateway);
    checked.land.clock.advance(Duration::from_secs(601));
    let (out, ..) = checked.says(false);
    assert!(
        out.contains(&format!("warning   global configuration  the stored one expired at {until}: ")),
        "{out}"
    );
}

#[tokio::test]
async fn registers_are_held_against_the_site_they_are_at() {
    let mut checked = Checked::new("check-sites", DOORS).await;
    let register = |code: &str, class: &str, succession: &str| {
        format!(
            "[[continuity.register]]\nid = \"DEV/GOV/{code}\"\nclass = \"{class}\"\nsuccession = [{succession}]\n\
             staleness = \"5 s\"\nstaleness_max = \"1 min\"\n"
        )
    };
    let text = format!(
        "\n[continuity]\ngeneration = 3\n\
         [[continuity.site]]\nid = \"home\"\nrole = \"home\"\njurisdiction = \"territory\"\n\
         servers = [\"DEV/GOV/M2/HOME\", \"DEV/GOV/M2/EMBASSY\"]\n\
         [[continuity.site]]\nid = \"lux1\"\nrole = \"embassy\"\njurisdiction = \"embassy-agreement:LU:x\"\n\
         servers = [\"DEV/GOV/M1/TAX\"]\n{}{}",
        register("M2/LAND", "HOME_ONLY", "\"home\""),
        register("M1/TAX", "INTERNAL", "\"home\", \"lux1\""),
    );
    let file = checked.land.federation.instance_file();
    fs::write(&file, fs::read_to_string(&file).unwrap() + &text).unwrap();
    checked.land.federation.apply(NOW).unwrap();
    checked.land.trust_stops().await;
    checked.land.trust_returns().await;
    let server_file = checked.land.tax().join("server.toml");
    let alone = fs::read_to_string(&server_file).unwrap();
    let opened = crate::jobs::open(Arc::new(Conf::load(&checked.file).unwrap()), checked.land.clock.clone());
    drop(opened.unwrap().globalconf().await.unwrap());
    let (out, talk, exit) = checked.says(false);
    let line = "ok        sites and registers   generation 3, this server stands at lux1 (embassy)\n";
    assert!(out.contains(line), "{out}");
    assert_eq!(exit, Exit::Done, "{talk}");
    fs::write(&server_file, alone + "[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n").unwrap();
    let (out, talk, exit) = checked.says(false);
    let refused = "refused   sites and registers   register DEV/GOV/M2/LAND is HOME_ONLY: passing calls on at site lux1 \
                   (embassy-agreement:LU:x) is forbidden; no rule allows it\n    hint: take the client out";
    assert!(out.contains(refused), "{out}");
    let shared = "warning   sites and registers   DEV/GOV/M1/TAX and DEV/GOV/M2/LAND have different successions and share";
    assert!(out.contains(shared), "{out}");
    assert_eq!(exit, Exit::Configuration, "{talk}");
}

#[tokio::test]
async fn where_archives_go_and_what_is_deleted_is_said() {
    let more = format!("{DOORS}[log]\narchive = \"archives\"\nkeep = \"30 d\"\n");
    let checked = Checked::new("check-archive", &more).await;
    let (out, _, _) = checked.says(false);
    assert!(
        out.contains("\nok        archive               HERE/archives; messages stay in the log for 30 d\n"),
        "{out}"
    );
    fs::write(checked.land.tax().join("archives"), "no directory").unwrap();
    let (out, _, exit) = checked.says(false);
    assert!(
        out.contains("\nwarning   archive               HERE/archives cannot be written to: Not a directory"),
        "{out}"
    );
    assert!(out.contains("\n    hint: until it can be, nothing is archived"), "{out}");
    assert_eq!(exit, Exit::Done);
    let off = fs::read_to_string(&checked.file).unwrap().replace("archive = \"archives\"\n", "");
    fs::write(&checked.file, &off).unwrap();
    let (out, _, _) = checked.says(false);
    let warned =
        "\nwarning   archive               off; messages stay in the log for 30 d, and are gone then\n";
    assert!(out.contains(warned), "{out}");
    let within = off.replace("[log]\n", "[log]\narchive = \"state/log/archives\"\n");
    fs::write(&checked.file, within).unwrap();
    let (out, _, exit) = checked.says(false);
    assert!(out.contains("log.archive: HERE/state/log/archives is within the message log"), "{out}");
    assert_eq!(exit, Exit::Configuration);
}
