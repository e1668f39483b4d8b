//! `ca instance requests`, `approve`, `decline`: what security servers asked for.

use super::instance::{Changing, actor, failure, open};
use super::table::lay_out;
use crate::exit::{Exit, Failure, Streams};
use crate::management::{Record, decide};
use crate::store::{By, Request};
use clap::Args;
use saatkond_proto::time::UnixTime;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `ca instance requests`.
#[derive(Debug, Clone, Args)]
pub struct Requests {
    /// The directory made by `ca instance init`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many, the newest first
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    pub last: u32,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ca instance approve` and `ca instance decline`.
#[derive(Debug, Clone, Args)]
pub struct Decision {
    /// The request's number
    pub number: u64,
    /// Where, why, and without asking
    #[command(flatten)]
    pub changing: Changing,
}

pub(super) fn list(arguments: &Requests, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let found = open(&arguments.dir)?.store().requests(u64::MAX, arguments.last);
    let found = found.map_err(|e| failure("cannot read the requests", &e.into()))?;
    let mut rows = vec![["REQUEST", "CAME", "STATUS", "WHAT", "SERVER", "ABOUT"].map(str::to_owned).to_vec()];
    let mut all = Vec::new();
    for Request { number, kind, status, opened_at, body } in found {
        let came = UnixTime::from_millis(opened_at).to_string();
        let record = serde_json::from_value(body);
        let (server, about) = record.map_or_else(
            |_| ("?".to_owned(), "?".to_owned()),
            |Record { server, about, .. }| (server, about),
        );
        all.push(json!({
            "request": number, "came": came, "status": status, "what": kind, "server": server, "about": about,
        }));
        let status = json!(status).as_str().unwrap_or_default().to_owned();
        rows.push(vec![number.to_string(), came, status, kind, server, about]);
    }
    if arguments.json {
        streams.data(format!("{:#}", json!(all)));
    } else if all.is_empty() {
        streams.talk("nothing was asked for");
    } else {
        streams.data(lay_out(&rows));
    }
    Ok(Exit::Done)
}

pub(super) fn close(
    arguments: &Decision,
    is_approved: bool,
    streams: &mut Streams<'_>,
    now: UnixTime,
) -> Result<Exit, Failure> {
    let Decision { number, changing } = arguments;
    let (verb, done) = if is_approved { ("approve", "approved") } else { ("decline", "declined") };
    let (actor, why) = (actor(), format!("request {number} {done} {}", changing.why));
    let by = By { actor: &actor, at: now, why: why.trim_end() };
    decide(&open(&changing.dir)?, *number, is_approved, &by)
        .map_err(|e| failure(&format!("cannot {verb} request {number}"), &e))?;
    streams.talk(format!("{done} request {number}"));
    Ok(Exit::Done)
}
