//! Signed documents, taken away at the port of information systems, and the configuration that they are verified with.
//!
//! Spec: message-path §6.7. What real servers say is played in the tests of recordings.

use crate::Pair;
use saatkond::jobs::Job;
use saatkond_ca::exit::{Exit, Streams};
use saatkond_ca::verify::{self, VerifyArgs};
use saatkond_tests::directory::Directory;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Caller, Federation, For, Heard, Holder, Site};
use serde_json::Value;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const TAX: &str = "xRoadInstance=DEV&memberClass=GOV&memberCode=M1&subsystemCode=TAX";
const LAND: &str = "xRoadInstance=DEV&memberClass=GOV&memberCode=M2&subsystemCode=LAND";

/// Asks for the documents of a message.
fn documents(of: &str, query_id: &str, more: &str) -> Ask {
    Ask::get("").target(&format!("/asic?queryId={query_id}&{of}{more}"))
}

async fn configuration(site: &Site) -> Heard {
    site.ask(&Ask::get("").target("/verificationconf")).await
}

/// The entries of a zip file, in order.
fn entries(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let places = 0..archive.len();
    let one = |place| {
        let mut entry = archive.by_index(place).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().unwrap().into_owned(), content)
    };
    places.map(one).collect()
}

fn names(zip: &[u8]) -> Vec<String> {
    entries(zip).into_iter().map(|(name, _)| name).collect()
}

fn disposition(heard: &Heard) -> &str {
    heard.line("content-disposition").unwrap_or_default()
}

/// The status and the words.
fn refused(heard: &Heard) -> (u16, String) {
    assert_eq!(heard.line("content-type"), Some("text/plain; charset=UTF-8"), "{heard:?}");
    (heard.status(), heard.text())
}

/// What `saatkond ca verify` finds, with nothing but what was downloaded.
fn verified(files: &[(&str, &[u8])], configuration: &[u8]) -> Value {
    let dir = Directory::new("documents");
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let files = files.iter().map(|(name, bytes)| write(name, bytes)).collect();
    let globalconf = Some(write("verificationconf.zip", configuration));
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let args = VerifyArgs { files, anchor: None, globalconf, json: true };
    let exit = verify::run(&args, &mut Streams::new(&mut out, &mut talk)).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert_eq!(exit, Exit::Done, "{said}");
    serde_json::from_str(&said).unwrap()
}

/// Two exchanges of one id, recorded at both gateways and stamped.
async fn two_exchanges(answer: impl Fn(&saatkond_tests::Asked) -> Answer + Send + Sync + 'static) -> Pair {
    let pair = Pair::answering(answer).await;
    for ask in [Ask::get("land"), Ask::post("land", vec![b'x'; 100_000])] {
        assert_eq!(pair.tax.ask(&ask.line("X-Road-Id", "q/1")).await.status(), 200);
    }
    pair.tax.run(Job::Timestamp).await;
    pair.home.run(Job::Timestamp).await;
    pair
}

#[tokio::test]
async fn either_side_takes_its_documents_and_they_prove_what_was_said() {
    let pair = two_exchanges(|asked| Answer::json(&asked.body)).await;
    for (site, of) in [(&pair.tax, TAX), (&pair.home, LAND)] {
        let heard = site.ask(&documents(of, "q%2F1", "")).await;
        assert_eq!((heard.status(), heard.line("content-type")), (200, Some("application/zip")));
        assert_eq!(disposition(&heard), "attachment; filename=\"q%2F1.zip\"");
        let expected = ["request-1", "response-2", "request-3", "response-4"];
        assert_eq!(names(&heard.body), expected.map(|name| format!("q%2F1-{name}.asice")));
        let conf = configuration(site).await;
        assert_eq!((conf.status(), conf.line("content-type")), (200, Some("application/zip")));
        assert_eq!(disposition(&conf), "filename=\"verificationconf.zip\"");
        let files = ["DEV/shared-params.xml", "DEV/shared-params.xml.metadata", "instance-identifier"];
        assert_eq!(names(&conf.body), files.map(|name| format!("verificationconf/{name}")));
        let found = verified(&[("documents.zip", &heard.body)], &conf.body);
        assert_eq!(found["files"].as_array().unwrap().len(), 4, "{found:#}");
        for (document, place) in found["files"].as_array().unwrap().iter().zip(0..) {
            let kind = if place % 2 == 0 { "REST request" } else { "REST response" };
            assert_eq!(document["message"]["kind"], kind);
            assert_eq!(document["not_proven"].as_array().unwrap().len(), 0, "{document:#}");
        }
        judged(&entries(&heard.body), &conf.body);
        assert_eq!(site.spooled(), 0, "nothing of it is kept");
    }
}

/// The second implementation finds the same; where it is not, the test says so.
fn judged(containers: &[(String, Vec<u8>)], configuration: &[u8]) {
    let given = std::env::var_os("SAATKOND_JUDGE").map(PathBuf::from);
    let judge = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/judge"));
    if !judge.join("judge").is_dir() {
        assert!(std::env::var_os("SAATKOND_REQUIRE").is_none(), "no judge at {}", judge.display());
        println!("skipped: no judge at {} (set SAATKOND_JUDGE)", judge.display());
        return;
    }
    let dir = Directory::new("judged");
    let mut command = Command::new("python3");
    command.args(["-B", "-m", "judge", "--json", "asic"]).current_dir(judge);
    for (name, bytes) in containers.iter().chain(&entries(configuration)) {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        if name.ends_with(".asice") {
            command.arg(path);
        }
    }
    let output = command.arg("--globalconf").arg(dir.path().join("verificationconf")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn requests_or_responses_alone_and_one_by_itself() {
    let Pair { tax, .. } = &two_exchanges(|asked| Answer::json(&asked.body)).await;
    for (more, name, expected) in [
        ("&requestOnly", "q%2F1-request.zip", ["q%2F1-request-1.asice", "q%2F1-request-3.asice"]),
        ("&responseOnly=false", "q%2F1-response.zip", ["q%2F1-response-2.asice", "q%2F1-response-4.asice"]),
    ] {
        let heard = tax.ask(&documents(TAX, "q%2F1", more)).await;
        assert_eq!(disposition(&heard), format!("attachment; filename=\"{name}\""));
        assert_eq!(names(&heard.body), expected);
    }
    let conf = configuration(tax).await;
    for (more, name, line) in [
        ("&unique&requestOnly", "q%2F1-request-1.asice", "GET /r1/DEV/GOV/M2/LAND/land"),
        ("&unique=0&responseOnly", "q%2F1-response-2.asice", "200 OK"),
    ] {
        let heard = tax.ask(&documents(TAX, "q%2F1", more)).await;
        assert_eq!(heard.line("content-type"), Some("application/vnd.etsi.asic-e+zip"));
        assert_eq!(disposition(&heard), format!("attachment; filename=\"{name}\""));
        let found = verified(&[(name, &heard.body)], &conf.body);
        assert_eq!(found["files"][0]["message"]["line"], line, "{found:#}");
    }
}

#[tokio::test]
async fn what_is_not_asked_well_or_is_not_there_is_told_in_words() {
    let Pair { tax, home, .. } = &two_exchanges(|asked| Answer::json(&asked.body)).await;
    let needs = |name: &str| (400, format!("Parameter \"{name}\"  must be specified."));
    for left_out in ["xRoadInstance", "memberClass", "memberCode", "queryId"] {
        let target = documents(TAX, "q%2F1", "").target.replace(left_out, "other");
        assert_eq!(refused(&tax.ask(&Ask::get("").target(&target)).await), needs(left_out));
    }
    let none = (404, "No signed documents found".to_owned());
    let both = "Parameters \"requestOnly\" and \"responseOnly\" cannot be used at the same time.";
    let alone = "Parameter \"unique\" not applicable without \"requestOnly\" or \"responseOnly\".";
    for (of, query_id, more, expected) in [
        (TAX, "q-2", "", none.clone()),
        (TAX, "q-2", "&unique", none.clone()),
        (TAX, "", "", none),
        (TAX, "q%2F1", "&requestOnly&responseOnly", (400, both.to_owned())),
        (TAX, "q-2", "&requestOnly=1&responseOnly=1&unique", (400, both.to_owned())),
        (TAX, "q%2F1", "&unique", (400, alone.to_owned())),
        // Whose it is not finds nothing, not even that it is there.
        (LAND, "q%2F1", "", (401, "Client 'SUBSYSTEM:DEV/GOV/M2/LAND' not found".to_owned())),
        (
            &TAX.replace("DEV", "OTHER"),
            "q%2F1",
            "",
            (401, "Client 'SUBSYSTEM:OTHER/GOV/M1/TAX' not found".to_owned()),
        ),
        (
            "xRoadInstance=DEV&memberClass=GOV&memberCode=M1",
            "q%2F1",
            "",
            (401, "Client 'MEMBER:DEV/GOV/M1' not found".to_owned()),
        ),
    ] {
        assert_eq!(
            refused(&tax.ask(&documents(of, query_id, more)).await),
            expected,
            "{of} {query_id} {more}"
        );
    }
    let at_home = home.ask(&documents(TAX, "q%2F1", "")).await;
    assert_eq!(refused(&at_home).0, 401, "the consumer's are had at the consumer's gateway");
    // Paths as they came, and nothing but GET.
    for (method, target) in
        [("POST", "/asic"), ("HEAD", "/verificationconf"), ("GET", "/asic/"), ("GET", "/%61sic")]
    {
        let heard = tax.ask(&Ask::new(method, "").target(target)).await;
        assert_eq!(heard.line("content-type"), Some("text/xml;charset=utf-8"), "{method} {target}");
    }
}

/// Seen: message-path §6.7, §1.3.
#[tokio::test]
async fn whose_documents_they_are_must_connect_as_for_a_call() {
    let Pair { tax, .. } = &two_exchanges(|asked| Answer::json(&asked.body)).await;
    let ask = documents(TAX, "q%2F1", "");
    let known = Holder::self_signed(For::Tls, |_| ());
    std::fs::write(tax.directory().join("known.pem"), known.pem()).unwrap();
    for (connection, shows_none) in [("https", 200), ("mutual-tls", 401)] {
        let with = if connection == "mutual-tls" { "certificates = [\"known.pem\"]\n" } else { "" };
        let server = ASKING.replace("\"http\"", &format!("\"{connection}\"")) + with;
        tax.change_server(&server).await;
        assert_eq!(refused(&tax.ask(&ask).await).0, 401, "{connection}");
        for (shows, status) in [(None, shows_none), (Some(&known), 200)] {
            let mut caller = Caller::connect_tls(tax.clients_tls, shows).await.unwrap();
            assert_eq!(caller.ask(&ask).await.status(), status, "{connection}");
        }
        assert_eq!(configuration(tax).await.status(), 200, "the configuration is nobody's");
    }
}

#[tokio::test]
async fn what_is_not_stamped_is_stamped_where_that_is_wanted() {
    let pair = Pair::answering(|_: &_| Answer::json("{}")).await;
    let tax = &pair.tax;
    for id in ["q-1", "q-2"] {
        assert_eq!(tax.ask(&Ask::get("land").line("X-Road-Id", id)).await.status(), 200);
    }
    let not_yet = (500, "Message signature has not been timestamped yet!".to_owned());
    assert_eq!(refused(&tax.ask(&documents(TAX, "q-1", "")).await), not_yet);
    assert_eq!(
        refused(&tax.ask(&documents(TAX, "q-1", "&unique")).await),
        not_yet,
        "that is looked at first"
    );
    let heard = tax.ask(&documents(TAX, "q-1", "&force")).await;
    let found = verified(&[("documents.zip", &heard.body)], &configuration(tax).await.body);
    assert_eq!(found["files"][0]["timestamp"]["batch"], false, "each by itself: {found:#}");
    assert_eq!(tax.ask(&documents(TAX, "q-1", "")).await.status(), 200, "and it stays so");
    assert_eq!(refused(&tax.ask(&documents(TAX, "q-2", "")).await), not_yet, "the others wait for theirs");
    let Pair { tax, federation, .. } = pair;
    let _federation = federation.without_trust_services().await;
    let failed = (500, "Could not create missing timestamp!".to_owned());
    assert_eq!(refused(&tax.ask(&documents(TAX, "q-2", "&force")).await), failed);
    tax.gateway.log.stamping_fails();
    assert_eq!(
        tax.ask(&documents(TAX, "q-1", "&force")).await.status(),
        200,
        "what is stamped is not asked for"
    );
}

/// Bodies of any size go through without being kept; where they cannot be read the answer breaks off.
#[tokio::test]
async fn a_large_document_is_made_while_it_is_sent_and_breaks_off_when_it_fails() {
    let service = saatkond_tests::Service::start(|_| Answer::json("{}")).await;
    let federation = Federation::new().await;
    let _home = federation.open("HOME", &answering(&service.url("/api"))).await;
    let tax = federation.open("TAX", ASKING).await;
    let mut noise = 1_u32;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise.to_le_bytes()[0]
    })
    .take(9 << 20)
    .collect();
    let ask = Ask::post("land", body.clone()).line("X-Road-Id", "large");
    assert_eq!(tax.ask(&ask).await.status(), 200);
    tax.run(Job::Timestamp).await;
    // Who takes nothing holds nobody up.
    let mut slow = Caller::connect(tax.clients).await;
    slow.say(&documents(TAX, "large", "").bytes()).await.unwrap();
    let heard = tax.ask(&documents(TAX, "large", "&unique&requestOnly")).await;
    let found = entries(&heard.body).into_iter().find(|(name, _)| name == "attachment1").unwrap();
    assert!(found.1 == body);
    assert_eq!(tax.spooled(), 0);
    assert_eq!(slow.hear("GET").await.unwrap().status(), 200);
    let kept = std::fs::read_dir(tax.directory().join("log/bodies")).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(kept.path()).unwrap();
    let mut caller = Caller::connect(tax.clients).await;
    let error = caller.try_ask(&documents(TAX, "large", "&requestOnly")).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
}
