//! `ca proxy …`: somebody's configuration, passed on under a key of our own.

use super::authority::{possible, put};
use super::table::lay_out;
use super::{log_to_stderr, until_stopped};
use crate::exit::{Exit, Failure, Streams};
use crate::globalconf::{PublishError, chain};
use crate::key::KeySpec;
use crate::proxy::{Proxy, ProxyError, create_key};
use crate::serve::{Clock, Running};
use crate::span::roughly;
use clap::{Args, Subcommand};
use saatkond_proto::globalconf::anchor::fingerprint;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `ca proxy`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = false, subcommand_required = false)]
pub struct ProxyArgs {
    /// The file that says whose configuration, and how it is passed on
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What to do; to serve, if not told
    #[command(subcommand)]
    pub command: Option<ProxyCommand>,
}

/// `ca proxy --config FILE …`
#[derive(Debug, Clone, Subcommand)]
pub enum ProxyCommand {
    /// Make the key that signs what is passed on
    Init {
        /// What kind of key: rsa-2048, rsa-3072, rsa-4096, p256 or p384
        #[arg(long, default_value = "rsa-3072", value_name = "KIND")]
        key: KeySpec,
    },
    /// Write the anchor that clients of the proxy are given, and say its fingerprint
    Anchor {
        /// Where it goes; to standard output if not told
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show what was fetched last and how long it can be served with nobody upstream
    Show {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(
    arguments: &ProxyArgs,
    streams: &mut Streams<'_>,
    clock: Clock,
) -> Result<Exit, Failure> {
    if let Some(ProxyCommand::Init { key }) = &arguments.command {
        let key = possible(*key, streams);
        let directory = create_key(&arguments.config, key).map_err(|e| failure(&e))?;
        streams.talk(format!("made a {key} key in {}", directory.display()));
        return Ok(Exit::Done);
    }
    if arguments.command.is_none() {
        log_to_stderr();
    }
    let proxy = Proxy::open(&arguments.config, clock.clone()).map_err(|e| failure(&e))?;
    match &arguments.command {
        Some(ProxyCommand::Anchor { out }) => {
            let bytes = proxy.anchor().to_xml();
            put(out.as_deref(), &bytes, streams)?;
            streams.talk(format!("fingerprint (SHA-224): {}", fingerprint(&bytes)));
            Ok(Exit::Done)
        }
        Some(ProxyCommand::Show { json }) => Ok(show(&proxy, *json, &clock, streams)),
        _ => {
            let running = Running::listen(proxy).await;
            let failed = |e| {
                Failure::new(Exit::Unavailable, chain(&e))
                    .hint("stop who listens there, or set `listen` in the file")
            };
            until_stopped(running.map_err(failed)?, streams).await
        }
    }
}

fn show(proxy: &Proxy, is_json: bool, clock: &Clock, streams: &mut Streams<'_>) -> Exit {
    let (now, standing) = (clock.now(), proxy.standing());
    if is_json {
        let versions = standing.iter().map(|version| {
            json!({
                "version": version.version,
                "upstream_until": version.upstream.to_rfc3339(),
                "served_until": version.bound.to_rfc3339(),
                "left_seconds": version.bound.since(now).as_secs(),
            })
        });
        let versions: Vec<_> = versions.collect();
        streams.data(format!("{:#}", json!({ "instance": proxy.instance(), "versions": versions })));
    } else if standing.is_empty() {
        streams.data(format!("{}: nothing that was fetched holds", proxy.instance()));
    } else {
        let mut rows =
            vec![["VERSION", "UPSTREAM SAYS UNTIL", "SERVED UNTIL", "LEFT"].map(str::to_owned).to_vec()];
        for version in &standing {
            rows.push(vec![
                version.version.to_string(),
                version.upstream.to_string(),
                version.bound.to_string(),
                roughly(version.bound.since(now)),
            ]);
        }
        streams.data(lay_out(&rows));
    }
    if standing.is_empty() { Exit::NotWell } else { Exit::Done }
}

fn failure(error: &ProxyError) -> Failure {
    let text = chain(error);
    let hint = match error {
        ProxyError::Configuration { .. } => {
            "the keys it may have: version, listen, address, name, anchor, directory, validity, renewal, \
             minimum_version, patience"
        }
        ProxyError::Anchor { .. } => "whoever runs the configuration upstream gives its anchor",
        ProxyError::Publish(PublishError::Exists(_)) => "keys are never overwritten; name another directory",
        ProxyError::Publish(_) | ProxyError::Kept { .. } => {
            "`ca proxy --config FILE init` makes the signing key"
        }
    };
    let exit = match error {
        ProxyError::Publish(PublishError::Exists(_)) => Exit::NotAllowed,
        _ => Exit::Configuration,
    };
    Failure::new(exit, text).hint(hint)
}
