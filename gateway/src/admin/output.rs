//! What the process says on its standard error, and what ends it at once.

use crate::conf::{Conf, Format};
use saatkond_ca::exit::{Exit, Failure};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// The environment variable whose filter goes before the file's.
pub(super) const VARIABLE: &str = "SAATKOND_LOG";

/// The filter that holds: the environment's, or the file's.
///
/// # Errors
/// [`Failure`] for what is no filter.
pub(super) fn filter(conf: &Conf, variable: Option<&str>) -> Result<EnvFilter, Failure> {
    let (wanted, place) = match variable.filter(|text| !text.is_empty()) {
        Some(text) => (text, VARIABLE.to_owned()),
        None => (conf.output.level.as_str(), format!("{}: output.level", conf.file.display())),
    };
    EnvFilter::builder().parse(wanted).map_err(|error| {
        Failure::new(Exit::Configuration, format!("{place}: {wanted:?} is no log filter: {error}"))
            .hint("write error, warn, info, debug or trace, or a filter such as saatkond=debug")
    })
}

/// Sends log lines to standard error as the operator wants them; the first call of a process counts.
///
/// # Errors
/// [`Failure`] for what is no filter.
pub(super) fn begin(conf: &Conf) -> Result<(), Failure> {
    let filter = filter(conf, std::env::var(VARIABLE).ok().as_deref())?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_colourful =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A second call finds the first one's lines in place.
    let _ = match conf.output.format {
        Format::Human => lines.with_target(false).with_ansi(is_colourful).try_init(),
        Format::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
    };
    Ok(())
}

/// Threads after whose panic nothing may go on: one writes the message log, the others sign.
const FATAL_THREADS: [&str; 2] = ["log-writer", "signing"];
/// Rooms after a panic in which nothing may go on: what they hold may be half changed.
const FATAL_ROOMS: [&str; 3] = ["messagelog", "keys", "jobs"];

/// Makes a line of the log of each panic, and lets one in the message log, the keys or the jobs end the process. Any
/// other ends its exchange alone.
pub(super) fn end_on_fatal_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let file = panic.location().map_or("", |location| location.file());
        let at = panic.location().map(ToString::to_string);
        let why = panic.payload_as_str();
        // Empty unless RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let is_fatal = is_fatal(thread, file);
        tracing::error!(thread, at, why, backtrace, is_fatal, "panic");
        if is_fatal {
            end();
        }
    }));
}

#[expect(clippy::exit, reason = "what panicked may be half changed: no other code may run on it")]
fn end() {
    std::process::exit(i32::from(Exit::OurBug.code()));
}

fn is_fatal(thread: &str, file: &str) -> bool {
    let file = file.replace('\\', "/");
    let room = file.split_once("gateway/src/").and_then(|(_, inside)| inside.split(['/', '.']).next());
    FATAL_THREADS.contains(&thread) || room.is_some_and(|room| FATAL_ROOMS.contains(&room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_panic_in_log_keys_or_jobs_ends_the_process() {
        assert!(is_fatal("log-writer", "/rustc/library/core/src/option.rs"));
        assert!(is_fatal("signing", ""));
        assert!(is_fatal("tokio-runtime-worker", "gateway/src/messagelog/mod.rs"));
        assert!(is_fatal("main", "gateway/src/jobs/ocsp.rs"));
        assert!(is_fatal("main", "gateway/src/keys/signing.rs"));
        assert!(!is_fatal("tokio-runtime-worker", "gateway/src/provider/mod.rs"));
        assert!(!is_fatal("tokio-runtime-worker", "gateway/proto/src/xml.rs"));
        assert!(!is_fatal("main", "/registry/src/keys/mod.rs"));
    }

    #[test]
    fn the_environments_filter_goes_before_the_files_and_both_are_checked() {
        let conf = |level: &str| {
            let text = format!(
                "version = 1\nserver = \"DEV/GOV/M1/TAX\"\nstate = \".\"\n[output]\nlevel = \"{level}\"\n"
            );
            Conf::from_toml(&text, Path::new("gateway.toml")).unwrap()
        };
        assert_eq!(filter(&conf("info"), None).unwrap().to_string(), "info");
        assert_eq!(filter(&conf("info"), Some("")).unwrap().to_string(), "info");
        assert_eq!(filter(&conf("info"), Some("saatkond=debug")).unwrap().to_string(), "saatkond=debug");
        let error = filter(&conf("saatkond=loud"), None).unwrap_err();
        assert_eq!(error.exit, Exit::Configuration);
        assert!(
            error.message.starts_with("gateway.toml: output.level: \"saatkond=loud\" is no log filter: ")
        );
        assert!(filter(&conf("info"), Some("=")).unwrap_err().message.starts_with("SAATKOND_LOG: "));
    }
}
