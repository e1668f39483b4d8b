//! The operator: lets another site lead, by the very command that the demo prints at its end.

use super::state::{Site, State};
use crate::admin::authority::AuthorityReport;
use crate::embassy::switch::Switched;
use anyhow::Context as _;
use serde::de::DeserializeOwned;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// The register that is led.
const REGISTER: &str = "DEV/GOV/M2/LAND";
/// How long a planned change is tried again: a copy that comes back first has to catch up.
const TRY_FOR: Duration = Duration::from_secs(12);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(300);

/// A change that was made.
#[derive(Debug)]
pub(super) struct Ordered {
    /// How long writes waited, as the gateway measured it.
    pub(super) waited: Duration,
    /// What the operator was warned of.
    pub(super) warning: Option<String>,
}

/// Lets a site lead, as planned; the gateway `at` is asked. Tried again while nothing has changed.
///
/// # Errors
/// What the command said last.
pub(super) async fn planned(state: &State, at: &Site, to: &str) -> anyhow::Result<Ordered> {
    let until = Instant::now() + TRY_FOR;
    loop {
        match order(state, at, to, &[]).await {
            Err(_) if Instant::now() < until => tokio::time::sleep(TRY_EVERY).await,
            ended => return ended,
        }
    }
}

/// Lets a site lead without asking who leads now.
///
/// # Errors
/// What the command said.
pub(super) async fn unplanned(state: &State, at: &Site, to: &str) -> anyhow::Result<Ordered> {
    order(state, at, to, &["--unplanned", "--yes"]).await
}

/// Which site leads, as the gateway `at` knows.
///
/// # Errors
/// What the command said.
pub(super) async fn leads(at: &Site) -> anyhow::Result<Option<String>> {
    let (report, _) = run::<AuthorityReport>(at, &["authority", "show"]).await?;
    let led = report.registers.into_iter().find(|led| led.register == REGISTER);
    Ok(led.and_then(|led| led.leads))
}

async fn order(state: &State, at: &Site, to: &str, more: &[&str]) -> anyhow::Result<Ordered> {
    let key = state.operator_key().display().to_string();
    let words = [&["authority", "switch", REGISTER, "--to", to, "--operator", &key], more].concat();
    let (made, talk) = run::<Switched>(at, &words).await?;
    let warning = talk.lines().find_map(|line| line.strip_prefix("warning: ")).map(str::to_owned);
    Ok(Ordered { waited: Duration::from_millis(made.waited_ms), warning })
}

/// Runs a command of this program beside the gateway `at`: what it told, and what it said besides.
async fn run<T: DeserializeOwned>(at: &Site, words: &[&str]) -> anyhow::Result<(T, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).arg("--config").arg(at.config()).arg("--json");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{}: {}", words.join(" "), talk.trim());
    let told = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the answer to {}", words.join(" ")))?;
    Ok((told, talk))
}
