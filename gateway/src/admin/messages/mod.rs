//! Looks into the message log: beside the process that writes it, or where no process does.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | which messages, and what is done with them |
//! | `follow` | messages as they are recorded |
//! | `print` | one message in words, and for scripts |
//! | `proof` | what a signature document and a time-stamp say of themselves |

mod follow;
mod print;
mod proof;

pub(super) use follow::follow;

use super::cli::{Export, Filter, List, Show, Shown, Wanted};
use super::words::{count, plain, size};
use crate::clock::Clock;
use crate::conf::Conf;
use crate::messagelog::export::ExportError;
use crate::messagelog::reader::Found;
use crate::messagelog::{Kind, LogError, LogReader, Look};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::container::write::entry_name;
use saatkond_proto::id::ClientId;
use serde_json::json;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often long work says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// A log, and the words for what is wrong with it.
struct Opened {
    dir: PathBuf,
    config: PathBuf,
    log: LogReader,
}

impl Opened {
    fn open(conf: &Conf) -> Result<Self, Failure> {
        // Without the `.` that a relative directory brings.
        let dir: PathBuf = conf.log_dir().components().collect();
        let log = LogReader::open(&dir).map_err(|error| failed(&dir, error))?;
        Ok(Self { dir, config: conf.file.clone(), log })
    }

    fn message(&self, number: u64) -> Result<Option<Found>, Failure> {
        self.log.message(number).map_err(|error| failed(&self.dir, error))
    }

    /// The numbers of messages that `filter` lets through, ascending: the newest `limit` of them, 0 for all.
    fn numbers(&self, filter: &Filter, limit: usize) -> Result<Vec<u64>, Failure> {
        let mut numbers = Vec::new();
        let limit = if limit == 0 { usize::MAX } else { limit };
        let mut look = |found: &Found| {
            if filter.lets_through(found) {
                numbers.push(found.number);
            }
            numbers.len() < limit
        };
        match &filter.id {
            Some(id) => {
                let of_query = self.log.of_query(id).map_err(|error| failed(&self.dir, error))?;
                let _ = of_query.iter().rev().all(&mut look);
            }
            None => {
                let member = filter.member.as_ref().map(|client| client.member.clone());
                for found in self.log.look(Look { member, since: filter.since, until: filter.until }) {
                    if !look(&found.map_err(|error| failed(&self.dir, error))?) {
                        break;
                    }
                }
            }
        }
        numbers.reverse();
        Ok(numbers)
    }

    /// There is nothing that was asked for.
    fn nothing(&self, what: &str) -> Failure {
        let numbers = self.log.numbers();
        let held = if numbers.is_empty() {
            "it holds none yet".to_owned()
        } else {
            format!("it holds records {} to {}", numbers.start, numbers.end - 1)
        };
        let message = format!("no {what} in the message log at {}: {held}", self.dir.display());
        Failure::new(Exit::NotWell, message)
            .hint(format!("saatkond messages list --config {}", self.config.display()))
    }
}

fn failed(dir: &Path, error: LogError) -> Failure {
    let is_missing =
        matches!(&error, LogError::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound);
    if is_missing && !dir.is_dir() {
        return Failure::new(Exit::Disk, format!("there is no message log at {}", dir.display())).hint(
            "`saatkond run` makes it when it first starts; is `state` in gateway.toml the right directory?",
        );
    }
    let hint = match &error {
        LogError::Damaged { .. } => Some(
            "keep a copy of all files before anything else is done: records behind the damage are whole and signed \
             each by itself",
        ),
        LogError::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Some("run this as the user that runs the gateway")
        }
        _ => None,
    };
    let failure = Failure::new(Exit::Disk, error.to_string());
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl Filter {
    fn lets_through(&self, found: &Found) -> bool {
        let message = &found.message;
        self.id.as_ref().is_none_or(|id| *id == message.query_id)
            && self.since.is_none_or(|since| message.time >= since)
            && self.until.is_none_or(|until| message.time < until)
            && self.service.as_ref().is_none_or(|wanted| match wanted {
                Wanted::Code(code) => *code == message.service.code,
                Wanted::Whole(id) => *id == message.service,
            })
            && self.member.as_ref().is_none_or(|member| {
                speaks_for(member, &message.client) || speaks_for(member, &message.service.client)
            })
    }

    /// The filter in words, for what is not found.
    fn words(&self) -> String {
        let mut words = vec!["message".to_owned()];
        words.extend(self.id.iter().map(|id| format!("of query {}", plain(id))));
        words.extend(self.member.iter().map(|member| format!("of {member}")));
        words.extend(self.service.iter().map(|wanted| match wanted {
            Wanted::Code(code) => format!("of a service {}", plain(code)),
            Wanted::Whole(id) => format!("of service {id}"),
        }));
        words.extend(self.since.iter().map(|since| format!("since {since}")));
        words.extend(self.until.iter().map(|until| format!("before {until}")));
        words.join(" ")
    }
}

/// A member stands for itself and its subsystems, a subsystem for itself.
fn speaks_for(wanted: &ClientId, found: &ClientId) -> bool {
    wanted == found || (wanted.subsystem.is_none() && wanted.member == found.member)
}

/// Lists messages, the newest last.
///
/// # Errors
/// [`Failure`], also when no message is let through a filter.
pub(super) fn list(conf: &Conf, asked: &List, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let opened = Opened::open(conf)?;
    let numbers = opened.numbers(&asked.filter, asked.limit)?;
    if numbers.is_empty() && !asked.filter.is_empty() {
        return Err(opened.nothing(&asked.filter.words()));
    }
    if !asked.shown.json && !numbers.is_empty() {
        streams.data(print::HEADING);
    }
    let mut array = Array::new(asked.shown.json);
    let mut unstamped = 0;
    for number in &numbers {
        let Some(found) = opened.message(*number)? else { continue };
        unstamped += usize::from(found.stamp.is_none());
        if asked.shown.json {
            array.item(&print::row_json(&found), streams);
        } else {
            streams.data(print::row(&found));
        }
    }
    array.end(streams);
    let left_out = if asked.limit > 0 && numbers.len() == asked.limit {
        format!("; these are the newest {}, --limit 0 lists all", asked.limit)
    } else {
        String::new()
    };
    let stamped = match unstamped {
        0 => String::new(),
        n => format!(", {n} of them without a time-stamp yet"),
    };
    streams.talk(format_args!("{}{stamped}{left_out}", count(numbers.len() as u64, "message", "messages")));
    Ok(Exit::Done)
}

/// Tells all of one message, or of the messages of one query.
///
/// # Errors
/// [`Failure`], also when there is none.
pub(super) fn show(conf: &Conf, asked: &Show, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let opened = Opened::open(conf)?;
    let wanted = asked.which.as_deref().or(asked.id.as_deref()).unwrap_or_default();
    let number = asked.which.as_deref().and_then(|which| which.parse::<u64>().ok());
    let by_number = match number.filter(|n| opened.log.numbers().contains(n)) {
        Some(number) => opened.message(number)?,
        None => None,
    };
    let found = match by_number {
        Some(found) => vec![found],
        None => opened.log.of_query(wanted).map_err(|error| failed(&opened.dir, error))?,
    };
    if found.is_empty() {
        let what = match number {
            Some(number) if opened.log.numbers().contains(&number) => {
                format!("message {number} (record {number} is a time-stamp)")
            }
            Some(number) => format!("record {number} and no query of this id"),
            None => format!("message of query {}", plain(wanted)),
        };
        return Err(opened.nothing(&what));
    }
    let mut array = Array::new(asked.shown.json);
    for found in &found {
        let stamp = match found.stamp {
            Some(number) => opened.log.stamp(number).map_err(|error| failed(&opened.dir, error))?,
            None => None,
        };
        if asked.shown.json {
            array.item(&print::whole_json(found, stamp.as_ref()), streams);
        } else {
            streams.data(print::whole(found, stamp.as_ref()));
        }
    }
    array.end(streams);
    streams
        .talk("this is what the log holds; `messages export` and then `ca verify` tell what of it is proven");
    Ok(Exit::Done)
}

/// Writes messages with their proof as ASiC-E containers.
///
/// # Errors
/// [`Failure`]; files that are there are never overwritten with anything else.
pub(super) fn export(conf: &Conf, asked: &Export, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let opened = Opened::open(conf)?;
    let numbers = match asked.number {
        Some(number) if opened.log.numbers().contains(&number) => vec![number],
        Some(number) => return Err(opened.nothing(&format!("record {number}"))),
        None => opened.numbers(&asked.filter, asked.limit)?,
    };
    if numbers.is_empty() {
        return Err(opened.nothing(&asked.filter.words()));
    }
    if asked.out.is_some() && numbers.len() > 1 {
        let message = format!(
            "{} are asked for, and --out takes one",
            count(numbers.len() as u64, "message", "messages")
        );
        return Err(Failure::new(Exit::Usage, message).hint("name a directory instead, or one --number"));
    }
    if let Some(dir) = &asked.dir {
        fs::create_dir_all(dir).map_err(|error| disk(dir, &error))?;
    }
    let clock = Clock::system();
    let mut said = clock.now();
    let mut array = Array::new(asked.shown.json);
    let (mut done, mut unstamped) = (0, 0);
    for number in &numbers {
        let Some(found) = opened.message(*number)? else {
            return Err(opened.nothing(&format!("message {number} (record {number} is a time-stamp)")));
        };
        let file = match (&asked.out, &asked.dir) {
            (Some(out), _) => out.clone(),
            (None, dir) => {
                let name = entry_name(&found.message.query_id, found.message.kind == Kind::Response, *number);
                dir.as_deref().unwrap_or(Path::new(".")).join(name)
            }
        };
        let bytes = write(&opened, &found, &file)?;
        done += 1;
        unstamped += usize::from(found.stamp.is_none());
        if asked.shown.json {
            let item = json!({
                "number": number,
                "file": file.display().to_string(),
                "bytes": bytes,
                "time_stamped": found.stamp.is_some(),
            });
            array.item(&item, streams);
        } else {
            streams.data(format_args!("{}  {}", file.display(), size(bytes)));
        }
        if clock.now().since(said) >= PROGRESS {
            said = clock.now();
            streams.talk(format_args!("{done} of {} written", numbers.len()));
        }
    }
    array.end(streams);
    let stamps = match unstamped {
        0 => String::new(),
        n => format!("; {n} without a time-stamp yet, which prove no time: export again after it is there"),
    };
    streams.talk(format_args!("{} written{stamps}", count(done, "container", "containers")));
    Ok(Exit::Done)
}

/// Checks the whole log: every sum, and the chain from the first record to the last.
///
/// # Errors
/// [`Failure`], also for what does not hold.
pub(super) fn verify(conf: &Conf, shown: &Shown, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let opened = Opened::open(conf)?;
    let clock = Clock::system();
    let (mut said, mut segments) = (clock.now(), 0);
    let outcome = opened.log.verify(|done, all| {
        segments = all;
        if clock.now().since(said) >= PROGRESS {
            said = clock.now();
            streams.talk(format_args!("{done} of {all} segments hold"));
        }
    });
    outcome.map_err(|error| failed(&opened.dir, error))?;
    let numbers = opened.log.numbers();
    let records = numbers.end - numbers.start;
    if shown.json {
        streams.data(json!({ "ok": true, "segments": segments, "records": records }));
    } else {
        let (records, segments) =
            (count(records, "record", "records"), count(segments as u64, "segment", "segments"));
        streams.data(format_args!("{records} in {segments} hold, each and as a chain"));
    }
    Ok(Exit::Done)
}

/// Writes one container whole, or leaves what is there.
fn write(opened: &Opened, found: &Found, file: &Path) -> Result<u64, Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let unfinished = PathBuf::from(name);
    let sink = File::create(&unfinished).map_err(|error| disk(&unfinished, &error))?;
    let written = place(opened, found, sink, &unfinished, file);
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn place(opened: &Opened, found: &Found, sink: File, unfinished: &Path, file: &Path) -> Result<u64, Failure> {
    let sink = opened.log.export(found, io::BufWriter::new(sink)).map_err(|error| match error {
        ExportError::Log(error) => failed(&opened.dir, error),
        other => Failure::new(Exit::NotWell, format!("cannot export record {}: {other}", found.number)),
    })?;
    let sink = sink.into_inner().map_err(|error| disk(unfinished, error.error()))?;
    sink.sync_all().map_err(|error| disk(unfinished, &error))?;
    let bytes = sink.metadata().map_err(|error| disk(unfinished, &error))?.len();
    // A link, and no rename: it never replaces what another has put there meanwhile.
    match fs::hard_link(unfinished, file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let same = is_same(unfinished, file).map_err(|error| disk(file, &error))?;
            if !same {
                let message = format!("{} is there already, and is not this container", file.display());
                return Err(Failure::new(Exit::Disk, message).hint(
                    "write to another place: containers of one query have the same name in the logs of both \
                     gateways, and before and after time-stamping",
                ));
            }
        }
        Err(error) => return Err(disk(file, &error)),
    }
    fs::remove_file(unfinished).map_err(|error| disk(unfinished, &error))?;
    Ok(bytes)
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let lengths = (fs::metadata(one)?.len(), fs::metadata(other)?.len());
    Ok(lengths.0 == lengths.1 && fs::read(one)? == fs::read(other)?)
}

fn disk(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Disk, format!("cannot write {}: {error}", path.display()))
}

/// A JSON array, one item a line; nothing when people read.
struct Array {
    is_on: bool,
    is_empty: bool,
}

impl Array {
    const fn new(is_on: bool) -> Self {
        Self { is_on, is_empty: true }
    }

    fn item(&mut self, item: &serde_json::Value, streams: &mut Streams<'_>) {
        streams.bytes(if self.is_empty { b"[\n" } else { b",\n" });
        self.is_empty = false;
        streams.bytes(item.to_string().as_bytes());
    }

    fn end(self, streams: &mut Streams<'_>) {
        match (self.is_on, self.is_empty) {
            (true, true) => streams.data("[]"),
            (true, false) => streams.data("\n]"),
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
