//! What one exchange left behind: looked up in the message logs of both sides, exported, and verified as a court's
//! expert would, from the files alone.

use super::state::{Site, State};
use crate::messagelog::LogReader;
use crate::messagelog::reader::Found;
use saatkond_proto::container::{Container, Proof, verify};
use saatkond_proto::globalconf::{GlobalConf, layout};
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the time-stamp may take.
const STAMPED_WITHIN: Duration = Duration::from_secs(20);
/// How often the logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What was proven, in lines for the screen, and the containers that prove it.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) lines: Vec<String>,
    pub(super) files: Vec<PathBuf>,
}

/// Waits until both sides' records are time-stamped, then exports and verifies the consumer's; `name` begins the names of
/// the files.
pub(super) async fn of_exchange(
    state: &State,
    id: &str,
    provider: &Site,
    name: &'static str,
) -> anyhow::Result<Evidence> {
    let deadline = Instant::now() + STAMPED_WITHIN;
    let consumer = stamped(&state.tax, id, deadline).await?;
    let provided = stamped(provider, id, deadline).await?;
    let (state, id) = (state.clone(), id.to_owned());
    let (provider, numbers) = (provider.name(), (span(&consumer), span(&provided)));
    // Files block: off the threads that others wait on.
    tokio::task::spawn_blocking(move || prove(&state, (&id, name), &provider, &consumer, numbers)).await?
}

async fn stamped(site: &Site, id: &str, deadline: Instant) -> anyhow::Result<Vec<Found>> {
    loop {
        let (dir, query) = (site.log_dir(), id.to_owned());
        let found = tokio::task::spawn_blocking(move || LogReader::open(&dir)?.of_query(&query)).await??;
        if found.len() == 2 && found.iter().all(|f| f.stamp.is_some()) {
            return Ok(found);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{} holds {} of the two messages, {} of them time-stamped",
            site.log_dir().display(),
            found.len(),
            found.iter().filter(|f| f.stamp.is_some()).count()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn prove(
    state: &State,
    (id, name): (&str, &str),
    provider: &str,
    messages: &[Found],
    numbers: (String, String),
) -> anyhow::Result<Evidence> {
    let log = LogReader::open(&state.tax.log_dir())?;
    let conf = configuration(&state.tax.globalconf_dir())?;
    let mut evidence = Evidence { lines: Vec::new(), files: Vec::new() };
    let mut stamped = None;
    for (found, (what, judge)) in messages.iter().zip([("request", provider), ("answer", "TAX")]) {
        let file = state.example(&format!("{name}{what}"));
        drop(log.export(found, File::create(&file)?)?);
        let proof = verify(&mut Container::open(File::open(&file)?)?, &conf)?;
        evidence.lines.push(line(what, &proof, judge));
        evidence.files.push(file);
        stamped = Some(proof.stamp);
    }
    let stamp = stamped.ok_or_else(|| anyhow::anyhow!("no message of {id}"))?;
    let tsa = conf.tsas(conf.own_instance()).iter().find(|t| t.certificate == stamp.tsa);
    evidence.lines.push(format!(
        "  evidence  message log of TAX no. {}, of {provider} no. {}; time-stamped {} by {}",
        numbers.0,
        numbers.1,
        clock_time(stamp.time),
        tsa.map_or(stamp.tsa.subject_text(), |t| &t.name)
    ));
    Ok(evidence)
}

fn line(what: &str, proof: &Proof, judge: &str) -> String {
    let signed = &proof.signature;
    let summary = &proof.message;
    let signer =
        if summary.kind.is_response() { &summary.service.client.member } else { &summary.client.member };
    let who = format!(
        "{signer} ({}, certificate 0x{}, good at {})",
        signed.certificate.public_key().kind(),
        signed.certificate.serial_text(),
        clock_time(signed.status_time)
    );
    format!("  {what:<9} signed by {who}  verified by {judge}")
}

/// The verified copy that a gateway keeps.
fn configuration(dir: &Path) -> anyhow::Result<GlobalConf> {
    let mut files = BTreeMap::new();
    collect(dir, dir, &mut files)?;
    let stored = layout::load(&files)?;
    Ok(GlobalConf::new(&stored.own_instance, stored.instances)?)
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.insert(path.strip_prefix(root)?.display().to_string(), std::fs::read(&path)?);
        }
    }
    Ok(())
}

fn span(found: &[Found]) -> String {
    match found {
        [first, .., last] => format!("{}–{}", first.number, last.number),
        [only] => only.number.to_string(),
        [] => "none".to_owned(),
    }
}

/// The time of day, to the second.
fn clock_time(at: UnixTime) -> String {
    at.to_rfc3339().split_once('T').map_or_else(String::new, |(_, time)| time.to_owned())
}
