//! Keys as an operator meets them: made, certified by an authority, used, taken out of use.

use super::init as init_here;
use super::*;
use crate::admin::cli::Command;
use crate::testbed::{Land, openssl};
use clap::Parser;
use saatkond_ca::ca::{Authority, Order};
use saatkond_ca::index::Purpose;
use saatkond_ca::request::Request;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A gateway's directory, with the commands of an operator and the hand of an authority.
struct Desktop {
    land: Land,
}

impl Desktop {
    /// The Tax Board's gateway; `is_new` takes its keys away.
    async fn new(is_new: bool) -> Self {
        let land = Land::new("desk", true).await;
        let gateway = "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \".\"\n";
        fs::write(land.tax().join("gateway.toml"), gateway).unwrap();
        if is_new {
            fs::remove_dir_all(land.tax().join("keys")).unwrap();
        }
        Self { land }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.land.tax().join(name)
    }

    /// Does what an operator types behind `saatkond keys`: exit code, data, talk.
    async fn types(&self, line: &str) -> (u8, String, String) {
        let config = self.file("gateway.toml");
        let here = self.land.tax();
        let words = line.split_whitespace().map(|w| w.replace("HERE", here.to_str().unwrap()));
        let words = ["saatkond", "keys"].map(str::to_owned).into_iter().chain(words);
        let words = words.chain(["--config".to_owned(), config.display().to_string()]);
        let Command::Keys(command) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let mut streams = Streams::new(&mut out, &mut talk);
        let ended = run(Conf::load(&config).unwrap(), *command, &self.land.clock, &mut streams).await;
        let exit = ended.unwrap_or_else(|failure| {
            streams.talk(&failure);
            failure.exit
        });
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(here.to_str().unwrap(), "HERE");
        (exit.code(), text(out), text(talk))
    }

    /// As [`Desktop::types`], where it must succeed: its data.
    async fn does(&self, line: &str) -> String {
        let (exit, out, talk) = self.types(line).await;
        assert_eq!(exit, 0, "{line}: {talk}");
        out
    }

    /// As [`Desktop::types`], where it must fail: its exit code and what is said.
    async fn fails(&self, line: &str) -> (u8, String) {
        let (exit, out, talk) = self.types(line).await;
        assert!(exit != 0 && out.is_empty(), "{line}: {out}");
        (exit, talk)
    }

    /// Has the authority answer a request.
    fn issue(&self, request: &str, answer: &str, purpose: Purpose) {
        let request = Request::read(&fs::read(self.file(request)).unwrap()).unwrap();
        let mut authority = Authority::open(&self.land.federation.issuing_authority()).unwrap();
        let order = Order {
            purpose,
            spki: request.spki().to_vec(),
            subject: request.subject().clone(),
            names: request.names().to_vec(),
            member: None,
            lasts: None,
        };
        let issued = authority.issue(&order, self.land.clock.now()).unwrap();
        fs::write(self.file(answer), pem::encode(pem::CERTIFICATE, issued.der())).unwrap();
    }
}

#[tokio::test]
async fn a_key_goes_from_its_making_to_its_use() {
    let desk = Desktop::new(true).await;
    let (exit, _, talk) = desk.types("list").await;
    assert_eq!(exit, 78, "nothing is made by looking: {talk}");
    let made = desk.does("generate --use sign --key p256").await;
    assert_eq!(made, "sign: a p256 key for use sign is made in HERE/./keys/sign.key.pem, not encrypted\n");
    desk.does("csr sign --out HERE/sign.csr.pem").await;
    let request = Request::read(&fs::read(desk.file("sign.csr.pem")).unwrap()).unwrap();
    let expected = "C=FI, O=Tax Board, serialNumber=DEV/TAX/GOV, CN=M1";
    assert_eq!(request.subject().to_string(), expected, "from the configuration that was fetched");
    desk.issue("sign.csr.pem", "sign.crt", Purpose::Sign);
    let told = desk.does("import HERE/sign.crt").await;
    assert!(told.starts_with("sign: certificate of DEV/GOV/M1 for use sign, valid until "), "{told}");
    assert!(told.ends_with(", not active\n"), "{told}");
    let listed = desk.does("list").await;
    assert!(listed.ends_with("\nsign: saatkond keys activate sign\n"), "{listed}");
    assert_eq!(desk.does("activate sign").await, "sign: active\n");
    let listed: Value = serde_json::from_str(&desk.does("list --json").await).unwrap();
    let row = &listed[0];
    assert_eq!(
        (&row["name"], &row["state"], &row["kind"]),
        (&"sign".into(), &"active".into(), &"p256".into())
    );
    assert_eq!(row["next"], Value::Null);
}

#[tokio::test]
async fn requests_are_written_in_either_form_and_openssl_verifies_them() {
    let desk = Desktop::new(true).await;
    desk.does("generate --use auth --key p384 --name door").await;
    let pem = desk.does("csr door --naming Ejbca --country EE").await;
    assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{pem}");
    desk.does("csr door --host tax.example --host 10.0.0.1 --der --out HERE/door.der").await;
    let request = Request::read(&fs::read(desk.file("door.der")).unwrap()).unwrap();
    assert_eq!(request.subject().to_string(), "C=FI, O=Tax Board, serialNumber=DEV/TAX/GOV, CN=tax.example");
    assert_eq!(request.names().len(), 2);
    let file = desk.file("door.der");
    let words = ["req", "-verify", "-noout", "-inform", "DER", "-in", file.to_str().unwrap()];
    if let Some((success, said)) = openssl(&words) {
        assert!(success && said.contains("verify OK"), "{said}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_takes_over_and_the_old_one_is_retired() {
    let desk = Desktop::new(false).await;
    desk.does("generate --use sign --key p256").await;
    desk.does("csr sign-2 --out HERE/new.pem").await;
    desk.land.clock.advance(std::time::Duration::from_secs(60));
    desk.issue("new.pem", "new.crt", Purpose::Sign);
    desk.does("import HERE/new.crt --activate").await;
    let listed = desk.does("list").await;
    assert!(
        listed.contains("sign: once sign-2 serves in its place: saatkond keys retire sign\n"),
        "{listed}"
    );
    assert_eq!(desk.does("retire sign").await, "sign: retired\n");
    let (exit, talk) = desk.fails("retire sign-2").await;
    assert_eq!(exit, 2, "{talk}");
    assert!(talk.contains("would take out of use sign-2, the last active key"), "{talk}");
    assert_eq!(
        desk.does("retire sign-2 --destroy --yes").await,
        "sign-2: retired, its private key is removed\n"
    );
    assert!(!desk.file("keys/sign-2.key.pem").exists());
    let (_, talk) = desk.fails("import HERE/new.crt").await;
    assert!(talk.contains("no key here is the one"), "{talk}");
}

#[tokio::test]
async fn wrong_use_explains_itself() {
    let desk = Desktop::new(false).await;
    for (line, exit, said) in [
        ("csr nobody", 2, "there is no key \"nobody\", expected one of: auth, sign"),
        ("csr sign --ca Nobody", 2, "DEV approves no authority \"Nobody\" for use sign"),
        ("csr auth --member DEV/GOV/M2", 2, "whose owner is DEV/GOV/M1"),
        ("csr sign --naming Basic", 2, "subjects of this profile need the organisation's name"),
        ("csr auth --naming Is", 2, "hint: add --host NAME"),
        ("generate --use sign --name sign", 2, "nothing is overwritten"),
        ("generate --use sign --name ../x", 2, "is no name for a key"),
        ("import HERE/gateway.toml", 2, "holds no certificate"),
        ("import HERE/nowhere.crt", 2, "holds no certificate"),
        ("import HERE/keys/sign.cert.pem", 1, "the key sign has this certificate already"),
        ("import HERE/../home/keys/sign.cert.pem", 1, "no key here is the one"),
        ("activate nobody", 2, "there is no key"),
    ] {
        let (code, talk) = desk.fails(line).await;
        assert!(code == exit && talk.contains(said), "{line}: {code} {talk}");
        assert!(talk.contains("hint: ") || line.contains("../x"), "{line}: {talk}");
    }
    desk.does("generate --use sign --key p256").await;
    let (exit, talk) = desk.fails("activate sign-2").await;
    assert_eq!((exit, talk.lines().next()), (1, Some("error: sign-2 has no certificate yet")), "{talk}");
}

#[tokio::test]
async fn a_sign_certificate_of_a_member_without_clients_here_is_refused() {
    let desk = Desktop::new(true).await;
    desk.does("generate --use sign --key p256").await;
    desk.does("csr sign --member DEV/GOV/M2 --out HERE/other.pem").await;
    desk.issue("other.pem", "other.crt", Purpose::Sign);
    let (exit, talk) = desk.fails("import HERE/other.crt").await;
    assert_eq!(exit, 1);
    assert!(talk.contains("it is one of DEV/GOV/M2, and this server has clients of: DEV/GOV/M1"), "{talk}");
    let server = "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n";
    fs::write(desk.file("server.toml"), server).unwrap();
    desk.does("import HERE/other.crt").await;
}

#[tokio::test]
async fn without_a_configuration_nothing_is_taken_but_a_certificate_for_information_systems() {
    let mut desk = Desktop::new(true).await;
    desk.does("generate --use auth --key p256").await;
    desk.does("csr auth --naming Ejbca --out HERE/auth.pem").await;
    desk.issue("auth.pem", "auth.crt", Purpose::Auth);
    desk.does("generate --use internal-tls --key p256").await;
    let (exit, talk) = desk.fails("csr internal").await;
    assert!(exit == 2 && talk.contains("add --host NAME"), "{talk}");
    desk.does("csr internal --host tax.example --out HERE/internal.pem").await;
    desk.issue("internal.pem", "internal.crt", Purpose::Tls);
    desk.land.trust_stops().await;
    let (exit, talk) = desk.fails("import HERE/auth.crt").await;
    assert_eq!(exit, 69, "{talk}");
    assert!(!desk.file("keys/auth.cert.pem").exists());
    desk.does("import HERE/internal.crt --activate").await;
    desk.land.trust_returns().await;
    let (exit, _, talk) = desk.types("import HERE/auth.crt").await;
    assert_eq!(exit, 0, "{talk}");
    assert!(talk.contains("warning: it does not name DEV/GOV/M1/TAX as FiVRK certificates do"), "{talk}");
    let (exit, talk) = desk.fails("import HERE/auth.crt --activate").await;
    assert!(exit == 1 && talk.contains("the key auth has this certificate already"), "{talk}");
}

#[tokio::test]
async fn keys_are_encrypted_under_the_pin_of_a_file() {
    let desk = Desktop::new(false).await;
    let (exit, talk) = desk.fails("encrypt --new-pin-file HERE/pin").await;
    assert!(exit == 78 && talk.contains("HERE/pin"), "{talk}");
    fs::write(desk.file("pin"), "Secret-1234\n").unwrap();
    let (exit, talk) = desk.fails("encrypt --new-pin-file HERE/pin").await;
    assert!(exit == 77 && talk.contains("hint: chmod 600 HERE/pin"), "{talk}");
    fs::set_permissions(desk.file("pin"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        desk.does("encrypt --new-pin-file HERE/pin").await,
        "2 keys are encrypted under the new PIN\n"
    );
    let (exit, talk) = desk.fails("csr sign").await;
    assert!(exit == 77 && talk.contains("saatkond-pin"), "nobody is asked here: {talk}");
    let gateway = fs::read_to_string(desk.file("gateway.toml")).unwrap();
    fs::write(desk.file("gateway.toml"), format!("{gateway}[keys]\npin_file = \"pin\"\n")).unwrap();
    desk.does("csr sign").await;
    let made = desk.does("generate --use sign --key p256").await;
    assert!(made.ends_with("sign-2.key.pem, encrypted under the PIN\n"), "{made}");
    fs::write(desk.file("pin"), "another one").unwrap();
    let (exit, talk) = desk.fails("csr sign").await;
    assert!(exit == 77 && talk.contains("the PIN from HERE/pin does not open HERE/"), "{talk}");
    fs::write(desk.file("pin"), "Secret-1234").unwrap();
    let (exit, talk) = desk.fails("encrypt --remove").await;
    assert!(exit == 2 && talk.contains("hint: add --yes"), "{talk}");
    assert_eq!(desk.does("encrypt --remove --yes").await, "3 keys are not encrypted any more\n");
}

#[tokio::test]
async fn init_makes_what_is_missing_and_may_be_given_again() {
    let desk = Desktop::new(true).await;
    let init = async || {
        let config = desk.file("gateway.toml");
        let words = ["saatkond", "init", "--key", "p256", "--config", config.to_str().unwrap()];
        let Command::Init(asked) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let mut streams = Streams::new(&mut out, &mut talk);
        let ended = init_here(Conf::load(&config).unwrap(), &asked, &desk.land.clock, &mut streams).await;
        assert_eq!(ended, Ok(Exit::Done));
        (String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
    };
    let (out, talk) = init().await;
    assert_eq!(out.lines().filter(|line| line.starts_with("made ")).count(), 4, "{out}");
    assert!(talk.contains("next 1: send the requests"), "{talk}");
    let before = fs::read(desk.file("keys/auth.key.pem")).unwrap();
    let (out, _) = init().await;
    assert!(!out.contains("made ") && out.lines().count() == 4, "{out}");
    assert_eq!(fs::read(desk.file("keys/auth.key.pem")).unwrap(), before);
    desk.issue("keys/sign.csr.pem", "sign.crt", Purpose::Sign);
    desk.issue("keys/auth.csr.pem", "auth.crt", Purpose::Auth);
    desk.does("import HERE/sign.crt --activate").await;
    desk.does("import HERE/auth.crt --activate").await;
    let (out, talk) = init().await;
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(talk.starts_with("next 1: saatkond check"), "{talk}");
}
