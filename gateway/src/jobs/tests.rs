//! Jobs on a wound clock.

mod sites;

use super::*;
use crate::conf::Conf;
use crate::messagelog::{Direction, Entry, Kind, LogReader, Record, Spooled};
use crate::testbed::{Land, NOW, server_file};
use bytes::Bytes;
use saatkond_ca::ca::Authority;
use saatkond_ca::exit::{Exit, Streams};
use saatkond_proto::container::{self, Container};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::{ClientId, MemberId};
use saatkond_proto::signature::{MESSAGE, PartDigest, SignatureParts};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::net::TcpListener;

fn member() -> MemberId {
    MemberId::new("DEV", "GOV", "M1")
}

fn gateway(jobs: &Jobs) -> &Gateway {
    &jobs.0.gateway
}

fn status(jobs: &Jobs, job: Job) -> Status {
    jobs.statuses().into_iter().find(|(j, _)| *j == job).unwrap().1
}

fn error(jobs: &Jobs, job: Job) -> String {
    let status = status(jobs, job);
    assert!(status.failures > 0, "{status:?}");
    status.last_error.unwrap().1
}

// --- the global configuration -----------------------------------------------------

#[tokio::test]
async fn a_gateway_starts_from_its_anchor_and_again_without_any_source() {
    let mut land = Land::new("start", false).await;
    let jobs = land.jobs().await;
    assert!(gateway(&jobs).world().conf.is_valid_at(NOW));
    let dir = land.tax().join("globalconf");
    assert_eq!(fs::read_to_string(dir.join("instance-identifier")).unwrap(), "DEV");
    for file in [
        "shared-params.xml",
        "shared-params.xml.metadata",
        "private-params.xml",
        "private-params.xml.metadata",
    ] {
        assert!(dir.join("DEV").join(file).exists(), "{file}");
    }
    drop(jobs);
    land.trust_stops().await;
    land.clock.advance(Duration::from_secs(300));
    let jobs = land.jobs().await;
    jobs.run(Job::GlobalConf).await;
    assert!(error(&jobs, Job::GlobalConf).contains("no source of DEV gave its configuration"));
    assert!(
        gateway(&jobs).world().conf.is_valid_at(land.clock.now()),
        "what is stored serves until it expires"
    );
    land.clock.advance(Duration::from_secs(301));
    assert!(!gateway(&jobs).world().conf.is_valid_at(land.clock.now()));
    drop(jobs);
    let opened = open(land.conf(), land.clock.clone()).unwrap();
    assert!(opened.globalconf().await.is_err(), "an expired one does not start a gateway");
    drop(opened);
    land.trust_returns().await;
    let jobs = land.jobs().await;
    jobs.run(Job::GlobalConf).await;
    assert_eq!(status(&jobs, Job::GlobalConf).failures, 0);
    assert!(gateway(&jobs).world().conf.is_valid_at(land.clock.now()));
}

#[tokio::test]
async fn a_change_is_taken_over_and_what_no_longer_belongs_is_removed() {
    let land = Land::new("change", false).await;
    let jobs = land.jobs().await;
    let dir = land.tax().join("globalconf");
    fs::write(dir.join("DEV/left.xml"), "left").unwrap();
    fs::create_dir(dir.join("OTHER")).unwrap();
    fs::write(dir.join("OTHER/shared-params.xml"), "left").unwrap();
    let before = fs::metadata(dir.join("DEV/shared-params.xml")).unwrap().modified().unwrap();
    jobs.run(Job::GlobalConf).await;
    assert_eq!(status(&jobs, Job::GlobalConf).failures, 0, "{jobs:?}");
    assert!(!dir.join("DEV/left.xml").exists() && !dir.join("OTHER").exists());
    let after = fs::metadata(dir.join("DEV/shared-params.xml")).unwrap().modified().unwrap();
    assert_eq!(before, after, "a part that has not changed is not written again");
    assert_eq!(status(&jobs, Job::GlobalConf).last_success, Some(NOW));
}

#[tokio::test]
async fn a_configuration_that_others_signed_is_refused_and_the_stored_one_stays() {
    let land = Land::new("signed", false).await;
    let jobs = land.jobs().await;
    let stranger = Land::new("stranger", false).await;
    // The stranger's anchor names the stranger's certificates; it is pointed at our source.
    let anchor = fs::read_to_string(stranger.federation.anchor()).unwrap();
    let pointed = anchor.replace(&stranger.address.to_string(), &land.address.to_string());
    assert_ne!(anchor, pointed);
    fs::write(land.tax().join("configuration-anchor.xml"), pointed).unwrap();
    jobs.run(Job::GlobalConf).await;
    // What was learnt from the stored configuration still leads to the source, under its own certificates.
    fs::remove_dir_all(land.tax().join("globalconf")).unwrap();
    jobs.run(Job::GlobalConf).await;
    let text = error(&jobs, Job::GlobalConf);
    assert!(text.contains("no certificate with the hash"), "{text}");
    assert!(gateway(&jobs).world().conf.is_valid_at(NOW), "the picture that hangs stays");
    assert!(!land.tax().join("globalconf/DEV").exists(), "nothing was stored");
}

#[tokio::test]
async fn an_anchor_of_another_instance_or_none_is_refused() {
    let land = Land::new("anchor", false).await;
    let jobs = land.jobs().await;
    let file = land.tax().join("configuration-anchor.xml");
    let anchor = fs::read_to_string(&file).unwrap();
    fs::write(&file, anchor.replace(">DEV<", ">EE<")).unwrap();
    jobs.run(Job::GlobalConf).await;
    assert!(error(&jobs, Job::GlobalConf).contains("is of instance EE, expected DEV"));
    fs::write(&file, "<anchor/>").unwrap();
    jobs.run(Job::GlobalConf).await;
    assert!(error(&jobs, Job::GlobalConf).contains("not a configuration anchor"));
    fs::remove_file(&file).unwrap();
    jobs.run(Job::GlobalConf).await;
    assert!(error(&jobs, Job::GlobalConf).contains("configuration-anchor.xml"));
}

#[tokio::test]
async fn bytes_changed_on_the_way_are_refused() {
    let land = Land::new("flipped", false).await;
    let opened = open(land.conf(), land.clock.clone()).unwrap();
    for (path, expected) in [("/internalconf", "signature does not hold"), ("shared-params.xml", "digest of")]
    {
        let (address, proxy) = flipping_proxy(land.address, path).await;
        let anchor = fs::read_to_string(land.federation.anchor()).unwrap();
        let pointed = anchor.replace(&land.address.to_string(), &address.to_string());
        fs::write(land.tax().join("configuration-anchor.xml"), pointed).unwrap();
        let text = opened.globalconf().await.unwrap_err().to_string();
        assert!(text.contains(expected), "{path}: {text}");
        assert!(!land.tax().join("globalconf/DEV").exists(), "nothing was stored");
        proxy.abort();
    }
}

/// Passes requests on; answers to those whose path holds `path` come back with one bit of their middle changed.
async fn flipping_proxy(
    to: std::net::SocketAddr,
    path: &'static str,
) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let n = stream.read(&mut asked).await.unwrap_or(0);
            let mut source = tokio::net::TcpStream::connect(to).await.unwrap();
            source.write_all(&asked[..n]).await.unwrap();
            let mut answer = Vec::new();
            let _ = source.read_to_end(&mut answer).await;
            if String::from_utf8_lossy(&asked[..n]).contains(path) && answer.len() > 600 {
                let at = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                let middle = at + (answer.len() - at) / 2;
                answer[middle] ^= 1;
            }
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, proxy)
}

// --- server.toml ----------------------------------------------------------------------

#[tokio::test]
async fn a_changed_server_file_is_taken_over_whole_and_a_bad_one_is_not() {
    let land = Land::new("watch", false).await;
    let jobs = land.jobs().await;
    let file = land.tax().join("server.toml");
    let clients =
        || -> Vec<String> { gateway(&jobs).world().server.clients().map(|c| c.id.to_path()).collect() };
    jobs.run(Job::ServerConf).await;
    assert_eq!(clients(), ["DEV/GOV/M1/TAX"]);
    let held = gateway(&jobs).world();
    fs::write(&file, format!("{}bogus = 1\n", server_file("LONGER"))).unwrap();
    jobs.run(Job::ServerConf).await;
    let text = error(&jobs, Job::ServerConf);
    assert!(text.contains("line 5") && text.contains("bogus") && text.contains("stays in force"), "{text}");
    assert_eq!(clients(), ["DEV/GOV/M1/TAX"]);
    fs::write(&file, server_file("OTHERS")).unwrap();
    jobs.run(Job::ServerConf).await;
    assert_eq!(clients(), ["DEV/GOV/M1/OTHERS"]);
    assert_eq!(status(&jobs, Job::ServerConf).failures, 0);
    assert_eq!(
        held.server.clients().next().unwrap().id.to_path(),
        "DEV/GOV/M1/TAX",
        "who holds the old one keeps it"
    );
    fs::remove_file(&file).unwrap();
    jobs.run(Job::ServerConf).await;
    assert!(error(&jobs, Job::ServerConf).contains("cannot read"));
    assert_eq!(clients(), ["DEV/GOV/M1/OTHERS"]);
}

#[tokio::test]
async fn a_changed_certificate_file_is_taken_over() {
    let land = Land::new("watch-certificates", false).await;
    let (file, pem) = (land.tax().join("server.toml"), land.tax().join("is.pem"));
    let certificate = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap()
    };
    let (first, second) = (certificate("first.test"), certificate("second.test"));
    fs::write(&pem, first.pem()).unwrap();
    fs::write(&file, format!("{}certificates = [\"is.pem\"]\n", server_file("TAX"))).unwrap();
    let jobs = land.jobs().await;
    let known = || {
        let world = gateway(&jobs).world();
        world.server.clients().next().unwrap().certificates.clone()
    };
    assert_eq!(known(), [first.der().to_vec()]);
    let held = gateway(&jobs).world();
    jobs.run(Job::ServerConf).await;
    assert!(Arc::ptr_eq(&held.server, &gateway(&jobs).world().server), "nothing changed");
    fs::write(&pem, format!("{}{}", first.pem(), second.pem())).unwrap();
    jobs.run(Job::ServerConf).await;
    assert_eq!(known(), [first.der().to_vec(), second.der().to_vec()]);
    fs::write(&pem, "no certificate").unwrap();
    jobs.run(Job::ServerConf).await;
    assert!(error(&jobs, Job::ServerConf).contains("no PEM certificate in it"));
    assert_eq!(known().len(), 2, "the earlier ones stay");
    fs::write(&pem, second.pem()).unwrap();
    jobs.run(Job::ServerConf).await;
    assert_eq!((known(), status(&jobs, Job::ServerConf).failures), (vec![second.der().to_vec()], 0));
}

// --- OCSP -----------------------------------------------------------------------------

#[tokio::test]
async fn our_keys_serve_once_their_status_is_known_and_after_a_restart() {
    for has_intermediate in [false, true] {
        let mut land = Land::new("ocsp", has_intermediate).await;
        let jobs = land.jobs().await;
        let missing = gateway(&jobs).world().auth(NOW).unwrap_err();
        assert!(missing.to_string().contains("no OCSP response"), "{missing}");
        jobs.run(Job::Ocsp).await;
        assert_eq!(status(&jobs, Job::Ocsp).failures, 0, "{jobs:?}");
        let certificates = if has_intermediate { 2 } else { 1 };
        let world = gateway(&jobs).world();
        let auth = world.auth(NOW).unwrap();
        assert_eq!((auth.chain.len(), auth.responses.len()), (certificates, certificates));
        let material = &world.signer(&member(), NOW).unwrap().material;
        assert_eq!((material.intermediates.len() + 1, material.ocsp.len()), (certificates, certificates));
        drop((world, jobs));
        land.trust_stops().await;
        let jobs = land.jobs().await;
        gateway(&jobs).world().auth(NOW).unwrap();
        // The response was good for an hour; the world says so by itself, without being painted anew.
        land.clock.advance(Duration::from_secs(3601));
        let late = gateway(&jobs).world().auth(land.clock.now()).unwrap_err();
        assert!(late.to_string().contains("were good until"), "{late}");
    }
}

#[tokio::test]
async fn a_revoked_certificate_stops_serving_at_the_next_response() {
    let land = Land::new("revoked", false).await;
    let jobs = land.jobs().await;
    jobs.run(Job::Ocsp).await;
    let certificate = gateway(&jobs).world().auth(NOW).unwrap().certificate.clone();
    let mut authority = Authority::open(&land.federation.issuing_authority()).unwrap();
    let serial = certificate.serial_text();
    authority.revoke(&serial, saatkond_ca::index::Reason::KeyCompromise, NOW, NOW).unwrap();
    land.clock.advance(Duration::from_secs(60));
    jobs.run(Job::GlobalConf).await;
    jobs.run(Job::Ocsp).await;
    assert_eq!(status(&jobs, Job::Ocsp).failures, 0, "a response that says revoked is one: {jobs:?}");
    let error = gateway(&jobs).world().auth(land.clock.now()).unwrap_err();
    assert!(error.to_string().contains("was revoked at"), "{error}");
    gateway(&jobs).world().signer(&member(), land.clock.now()).unwrap();
}

#[tokio::test]
async fn a_responder_that_does_not_answer_is_asked_again_and_what_was_known_stays() {
    let mut land = Land::new("responder", false).await;
    let jobs = land.jobs().await;
    jobs.run(Job::Ocsp).await;
    land.trust_stops().await;
    land.clock.advance(Duration::from_secs(300));
    jobs.run(Job::Ocsp).await;
    let text = error(&jobs, Job::Ocsp);
    assert!(text.contains(&land.address.to_string()), "{text}");
    gateway(&jobs).world().auth(land.clock.now()).unwrap();
    let next = status(&jobs, Job::Ocsp).next_due;
    assert!(next.since(land.clock.now()) <= Duration::from_secs(1), "the first retry comes soon");
    land.clock.advance(Duration::from_secs(400));
    jobs.run(Job::Ocsp).await;
    assert!(error(&jobs, Job::Ocsp).contains("global configuration expired"));
}

// --- time-stamps ----------------------------------------------------------------------

struct Sent {
    query: String,
    block: Bytes,
    proof: SignatureParts,
    body: Option<Spooled>,
}

impl Record for Sent {
    fn entry(&self) -> Entry {
        let client: ClientId = member().subsystem("TAX");
        Entry {
            kind: Kind::Request,
            direction: Direction::Sent,
            query_id: self.query.clone(),
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            client,
            service: MemberId::new("DEV", "GOV", "M2").subsystem("LAND").service("land"),
            message: self.block.clone(),
            proof: self.proof.clone(),
            attachments: self.body.iter().cloned().collect(),
        }
    }
}

/// Signs and records a REST request as the consumer's path does it.
async fn record(jobs: &Jobs, query: &str, body: Option<&[u8]>) -> Result<u64, crate::messagelog::LogError> {
    let gateway = gateway(jobs);
    let block = Bytes::from(format!(
        "POST\r\n/r1/DEV/GOV/M2/LAND/land/titles\r\nx-road-client:DEV/GOV/M1/TAX\r\nx-road-id:{query}\r\n\
         x-road-request-id:00000000-0000-4000-8000-000000000001\r\n"
    ));
    let algorithm = DigestAlgorithm::Sha512;
    let part = |name: &str, bytes: &[u8]| PartDigest {
        name: name.to_owned(),
        algorithm,
        digest: algorithm.digest(bytes),
    };
    let mut parts = vec![part(MESSAGE, &block)];
    parts.extend(body.map(|body| part("/attachment1", body)));
    let world = gateway.world();
    // Recorded long after, a message may outlive the status of its key; it is signed while that was known.
    let signer = world.signer(&member(), NOW).unwrap();
    let proof = gateway.keys.sign(signer, parts, NOW).await.unwrap();
    let body = body.map(|body| Spooled::from_bytes(Bytes::copy_from_slice(body)));
    gateway.log.record(Sent { query: query.to_owned(), block, proof, body }).await.map(|r| r.number())
}

/// Exports a message and has the container verified.
fn verified(jobs: &Jobs, number: u64) -> container::Proof {
    let gateway = gateway(jobs);
    let reader = LogReader::open(&gateway.conf.log_dir()).unwrap();
    let found = reader.message(number).unwrap().unwrap();
    let bytes = reader.export(&found, std::io::Cursor::new(Vec::new())).unwrap().into_inner();
    let mut container = Container::open(std::io::Cursor::new(bytes)).unwrap();
    container::verify(&mut container, &gateway.world().conf).unwrap()
}

#[tokio::test]
async fn one_message_is_stamped_by_itself_and_more_together_and_all_prove_it() {
    let land = Land::new("stamp", true).await;
    let jobs = land.jobs().await;
    jobs.run(Job::Ocsp).await;
    let first = record(&jobs, "a", None).await.unwrap();
    jobs.run(Job::Timestamp).await;
    assert_eq!(status(&jobs, Job::Timestamp).failures, 0, "{jobs:?}");
    assert_eq!(gateway(&jobs).log.unstamped(), 0);
    let proof = verified(&jobs, first);
    assert!(!proof.stamp.is_batch);
    assert_eq!(proof.stamp.time, NOW);
    let mut numbers = Vec::new();
    for query in ["b", "c", "d"] {
        numbers.push(
            record(&jobs, query, (query != "c").then_some(b"{\"title\": 1001}".as_slice())).await.unwrap(),
        );
    }
    jobs.run(Job::Timestamp).await;
    assert_eq!(gateway(&jobs).log.unstamped(), 0, "{jobs:?}");
    for number in numbers {
        let proof = verified(&jobs, number);
        assert!(proof.stamp.is_batch);
        assert_eq!(proof.unproven, []);
        assert_eq!(proof.message.signer().to_path(), "DEV/GOV/M1/TAX");
    }
    jobs.run(Job::Timestamp).await;
    let reader = LogReader::open(&gateway(&jobs).conf.log_dir()).unwrap();
    assert_eq!(reader.numbers().end, 7, "four messages, two time-stamps, and none over nothing");
}

#[tokio::test]
async fn while_stamping_fails_messages_are_taken_for_four_hours_and_then_refused_until_it_works() {
    let mut land = Land::new("failing", false).await;
    let jobs = land.jobs().await;
    jobs.run(Job::Ocsp).await;
    for query in ["a", "b", "c"] {
        record(&jobs, query, None).await.unwrap();
    }
    land.trust_stops().await;
    jobs.run(Job::Timestamp).await;
    assert!(error(&jobs, Job::Timestamp).contains(&land.address.to_string()));
    land.clock.advance(Duration::from_secs(4 * 3600));
    jobs.run(Job::Timestamp).await;
    record(&jobs, "d", None).await.unwrap();
    land.clock.advance(Duration::from_secs(1));
    assert!(record(&jobs, "e", None).await.is_err());
    assert!(gateway(&jobs).log.ready().is_err());
    land.trust_returns().await;
    jobs.run(Job::Timestamp).await;
    assert_eq!(gateway(&jobs).log.unstamped(), 3, "one record is tried first: {jobs:?}");
    assert!(status(&jobs, Job::Timestamp).is_due(land.clock.now()), "and the others at once");
    jobs.run(Job::Timestamp).await;
    assert_eq!(gateway(&jobs).log.unstamped(), 0);
    record(&jobs, "f", None).await.unwrap();
}

#[tokio::test]
async fn without_an_approved_and_chosen_service_no_message_is_taken() {
    let land = Land::new("none", false).await;
    let opened = {
        let mut conf = Conf::clone(&land.conf());
        conf.timestamping.services = vec!["http://127.0.0.1:1/not-approved".to_owned()];
        open(Arc::new(conf), land.clock.clone()).unwrap()
    };
    let conf = opened.globalconf().await.unwrap();
    let jobs = Jobs::new(Arc::new(opened.gateway(conf)));
    jobs.run(Job::Ocsp).await;
    let fault = saatkond_proto::fault::Fault::from(record(&jobs, "a", None).await.unwrap_err());
    let expected = saatkond_proto::fault::Leaf::NoTimestampingProviderFound;
    assert_eq!(fault.code, saatkond_proto::fault::Code::of(expected));
}

// --- the loop ---------------------------------------------------------------------------

#[tokio::test]
async fn all_that_is_due_runs_and_is_due_again_later() {
    let land = Land::new("due", false).await;
    let jobs = land.jobs().await;
    land.clock.advance(Duration::from_secs(1));
    jobs.run_due().await;
    let now = land.clock.now();
    for (job, status) in jobs.statuses() {
        assert_eq!((status.last_success, status.failures), (Some(now), 0), "{job}: {status:?}");
        assert!(status.next_due > now && !status.is_due(now), "{job}: {status:?}");
        assert!(status.is_due(NOW.minus(Duration::from_secs(60))), "{job}: a clock set back makes it due");
    }
    gateway(&jobs).world().auth(now).unwrap();
}

#[tokio::test]
async fn the_loop_runs_what_is_due_until_it_is_told_to_stop() {
    let land = Land::new("loop", false).await;
    let jobs = land.jobs().await;
    land.clock.advance(Duration::from_secs(1));
    let (stopper, stop) = crate::net::listen::stop();
    let running = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.run_until(stop).await }
    });
    while jobs.statuses().iter().any(|(_, s)| s.last_success.is_none()) {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    assert_eq!(running.await.unwrap(), Ok(()));
}

#[test]
fn pauses_double_up_to_the_jobs_own_and_jitter_only_shortens() {
    let minute = Duration::from_secs(60);
    let pauses: Vec<u64> = (0..8).map(|n| backoff(n, minute).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(backoff(u32::MAX, minute), minute);
    assert_eq!(jittered(minute, 0), minute);
    assert_eq!(jittered(minute, 255), Duration::from_secs(54));
}

// --- archives -------------------------------------------------------------------------

/// Verifies files with the program's own verifier; gives what it says.
fn held(jobs: &Jobs, files: &[PathBuf]) -> String {
    let globalconf = Some(gateway(jobs).conf.globalconf_dir());
    let files = files.to_vec();
    let args = saatkond_ca::verify::VerifyArgs { files, anchor: None, globalconf, json: false };
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let exit = saatkond_ca::verify::run(&args, &mut Streams::new(&mut out, &mut talk)).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert_eq!(exit, Exit::Done, "{said}");
    said
}

/// Has files verified by the second implementation, where it is.
fn judged(jobs: &Jobs, files: &[PathBuf]) {
    let judge = std::env::var_os("SAATKOND_JUDGE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/judge"), PathBuf::from);
    let python =
        Command::new("python3").args(["-B", "-c", "import cryptography, lxml, asn1crypto, OpenSSL"]).status();
    if !judge.join("judge").is_dir() || !python.is_ok_and(|status| status.success()) {
        assert!(std::env::var("SAATKOND_REQUIRE").is_err(), "the judge is required and not here");
        return;
    }
    let globalconf = gateway(jobs).conf.globalconf_dir().canonicalize().unwrap();
    let judged = Command::new("python3")
        .args(["-B", "-m", "judge", "asic"])
        .args(files)
        .arg("--globalconf")
        .arg(globalconf)
        .current_dir(judge)
        .output()
        .unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

fn archives(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().canonicalize().unwrap());
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
    files
}

async fn run_while_due(land: &Land, jobs: &Jobs, job: Job) {
    jobs.run(job).await;
    while status(jobs, job).is_due(land.clock.now()) {
        jobs.run(job).await;
    }
}

#[tokio::test]
async fn what_is_stamped_is_archived_and_the_archives_prove_it_and_what_is_old_is_deleted() {
    let land = Land::new("archive", true).await;
    let more = "archive = \"archive\"\narchive_every = \"1 h\"\nkeep = \"2 d\"\n";
    let jobs = Jobs::new(land.gateway_with(more).await);
    jobs.run(Job::Ocsp).await;
    for query in ["a", "b", "c"] {
        record(&jobs, query, (query != "a").then_some(b"{\"title\": 1001}".as_slice())).await.unwrap();
    }
    jobs.run(Job::Archive).await;
    let dir = land.tax().join("archive");
    assert!(archives(&dir).is_empty(), "the file that is written is young");
    land.clock.advance(Duration::from_secs(3600));
    jobs.run(Job::Archive).await;
    assert!(archives(&dir).is_empty(), "nothing is time-stamped");
    let due = status(&jobs, Job::Archive).next_due.since(land.clock.now());
    assert!(due <= Duration::from_secs(120), "stamps are awaited for {due:?}");
    jobs.run(Job::Timestamp).await;
    run_while_due(&land, &jobs, Job::Archive).await;
    record(&jobs, "d", None).await.unwrap();
    jobs.run(Job::Timestamp).await;
    land.clock.advance(Duration::from_secs(3600));
    run_while_due(&land, &jobs, Job::Archive).await;
    assert_eq!(status(&jobs, Job::Archive).failures, 0, "{jobs:?}");
    let files = archives(&dir);
    assert_eq!(files.len(), 2);
    let said = held(&jobs, &files);
    let follows = format!("follows {}, as it says", files[0].file_name().unwrap().display());
    assert!(said.contains("3 containers") && said.contains(&follows), "{said}");
    judged(&jobs, &files);
    // A day later both lie in the log still, after two more days in the archives alone.
    land.clock.advance(Duration::from_secs(24 * 3600));
    run_while_due(&land, &jobs, Job::Archive).await;
    assert_eq!(gateway(&jobs).log.reader().of_query("a").unwrap().len(), 1);
    land.clock.advance(Duration::from_secs(2 * 24 * 3600));
    run_while_due(&land, &jobs, Job::Archive).await;
    assert!(gateway(&jobs).log.reader().of_query("a").unwrap().is_empty());
    assert!(gateway(&jobs).log.reader().of_query("d").unwrap().is_empty());
    held(&jobs, &files);
}

#[tokio::test]
async fn archives_that_cannot_be_written_are_said_to_be_and_keep_everything() {
    let land = Land::new("noarchive", false).await;
    fs::write(land.tax().join("archive"), "no directory").unwrap();
    let more = "archive = \"archive\"\narchive_every = \"1 h\"\nkeep = \"1 d\"\n";
    let jobs = Jobs::new(land.gateway_with(more).await);
    jobs.run(Job::Ocsp).await;
    record(&jobs, "a", None).await.unwrap();
    jobs.run(Job::Timestamp).await;
    land.clock.advance(Duration::from_secs(10 * 24 * 3600));
    jobs.run(Job::Archive).await;
    assert!(error(&jobs, Job::Archive).contains("archive"), "{jobs:?}");
    assert_eq!(gateway(&jobs).log.reader().of_query("a").unwrap().len(), 1);
}
