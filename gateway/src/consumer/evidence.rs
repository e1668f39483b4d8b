//! Evidence to take away: signed documents of the message log, and the configuration that they are verified with.
//!
//! Spec: message-path §6.7. Words and statuses are X-Road's where it was seen to say them.
//!
//! Whose a message is may take it: the consumer's information system at the consumer's gateway, the provider's at the
//! provider's. Containers are made while they are sent, so nothing of them is kept, in memory or on disk; where that
//! fails in its midst the answer breaks off.

use super::admit;
use super::reply::Reply;
use crate::Gateway;
use crate::messagelog::export::ExportError;
use crate::messagelog::{Kind, LogError, LogReader};
use crate::net::body::Outgoing;
use crate::net::listen::Caller;
use crate::net::piped::Pipe;
use crate::net::task::Account;
use crate::net::{message, timestamp};
use saatkond_proto::container::zip::{Level, Writer};
use saatkond_proto::container::{self, entry_name};
use saatkond_proto::fault::{Fault, Leaf};
use saatkond_proto::globalconf::layout::{self, INSTANCE_IDENTIFIER, METADATA, Metadata, SHARED};
use saatkond_proto::id::{ClientId, MemberId, form_encoded};
use saatkond_proto::message::meta;
use saatkond_proto::time::UnixTime;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Answers that are written at once; each holds a thread. Ours.
const WRITTEN_MAX: usize = 8;
/// Messages in one answer: as many as a zip file lists.
const MESSAGES_MAX: usize = u16::MAX as usize - 1;
/// A zip file. Spec: message-path §6.7.
const ZIP: &str = "application/zip";
/// The folder in the zip file of the configuration. Spec: message-path §6.7.
const FOLDER: &str = "verificationconf";

static WRITING: Semaphore = Semaphore::const_new(WRITTEN_MAX);

/// The signed documents of a query: in a zip file, or one by itself.
///
/// Seen: the order of the checks; of flags only whether they are there; the first value of a name that comes twice.
///
/// # Errors
/// [`Fault`], told as text.
pub(super) async fn documents(
    gateway: &Gateway,
    query: &str,
    caller: &Caller,
    account: &mut Account,
) -> Result<Reply, Fault> {
    let world = gateway.world();
    admit::is_current(gateway, &world)?;
    let asked = Asked::read(query);
    let client = asked.client()?;
    account.consumer = client.to_string();
    admit::may_take(gateway, &world, &client, caller)?;
    let query_id = asked.needed("queryId")?;
    account.query_id.clone_from(&query_id);
    let only = match (asked.has("requestOnly"), asked.has("responseOnly")) {
        (true, true) => {
            let detail = "Parameters \"requestOnly\" and \"responseOnly\" cannot be used at the same time.";
            return Err(Fault::new(Leaf::BadRequest, detail));
        }
        (true, false) => Some(Kind::Request),
        (false, true) => Some(Kind::Response),
        (false, false) => None,
    };
    let wanted = Wanted { client, query_id, only };
    let log = Arc::new(gateway.log.reader());
    let numbers = wanted.find(gateway, &log, asked.has("force")).await?;
    if !asked.has("unique") {
        let name = format!("{}{}.zip", form_encoded(&wanted.query_id), wanted.suffix());
        let body = written(gateway.conf.timeouts.idle, move |pipe| all(&log, &numbers, pipe)).await?;
        return Reply::file(ZIP, &format!("attachment; filename=\"{name}\""), body);
    }
    let (Some(kind), Some(number)) = (wanted.only, numbers.first().copied()) else {
        let detail = "Parameter \"unique\" not applicable without \"requestOnly\" or \"responseOnly\".";
        return Err(Fault::new(Leaf::BadRequest, detail));
    };
    let name = entry_name(&wanted.query_id, kind == Kind::Response, number);
    let body = written(gateway.conf.timeouts.idle, move |pipe| one(&log, number, pipe)).await?;
    Reply::file(container::MEDIA_TYPE, &format!("attachment; filename=\"{name}\""), body)
}

/// A body that is written while it goes out, once there is a place among those; `allowed` is how long it is waited for.
async fn written<E: Into<Box<dyn Error + Send + Sync>>>(
    allowed: Duration,
    write: impl FnOnce(&mut Pipe) -> Result<(), E> + Send + 'static,
) -> Result<Outgoing, Fault> {
    let place = timeout(allowed, WRITING.acquire()).await.map_err(|_| {
        let detail = format!("{WRITTEN_MAX} other answers are being written; ask again later");
        Fault::new(Leaf::InternalError, detail)
    })?;
    let place = place.map_err(message::internal)?;
    Ok(Outgoing::chunked().written(move |pipe| {
        let _place = place;
        write(pipe)
    }))
}

//------------ what is asked -------------------------------------------------

/// The parameters of a target.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn read(query: &str) -> Self {
        Self(meta::parameters(query).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn needed(&self, name: &str) -> Result<String, Fault> {
        // Two spaces. Seen.
        let missing = || Fault::new(Leaf::BadRequest, format!("Parameter \"{name}\"  must be specified."));
        self.value(name).map(str::to_owned).ok_or_else(missing)
    }

    fn client(&self) -> Result<ClientId, Fault> {
        let [instance, class, code] =
            [self.needed("xRoadInstance")?, self.needed("memberClass")?, self.needed("memberCode")?];
        let member = MemberId::new(instance, class, code);
        Ok(match self.value("subsystemCode") {
            Some(code) => member.subsystem(code),
            None => member.client(),
        })
    }
}

/// Which messages.
#[derive(Clone)]
struct Wanted {
    client: ClientId,
    query_id: String,
    /// All of them, or those of one kind.
    only: Option<Kind>,
}

/// A message that is wanted.
struct Match {
    number: u64,
    is_stamped: bool,
}

impl Wanted {
    const fn suffix(&self) -> &'static str {
        match self.only {
            None => "",
            Some(Kind::Request) => "-request",
            Some(Kind::Response) => "-response",
        }
    }

    /// The numbers of the messages, each of which is stamped; `is_forced` has stamped now what is not.
    async fn find(
        &self,
        gateway: &Gateway,
        log: &Arc<LogReader>,
        is_forced: bool,
    ) -> Result<Vec<u64>, Fault> {
        let (wanted, reading) = (self.clone(), Arc::clone(log));
        let found = tokio::task::spawn_blocking(move || wanted.matches(&reading)).await;
        let found = found.map_err(message::internal)?.map_err(message::internal)?;
        if found.is_empty() {
            return Err(Fault::new(Leaf::NotFound, "No signed documents found"));
        }
        if found.len() > MESSAGES_MAX {
            let detail = format!("there are more than {MESSAGES_MAX} messages of this id");
            return Err(Fault::new(Leaf::InternalError, detail));
        }
        for unstamped in found.iter().filter(|found| !found.is_stamped) {
            if !is_forced {
                let detail = "Message signature has not been timestamped yet!";
                return Err(Fault::new(Leaf::InternalError, detail));
            }
            stamp(gateway, unstamped.number).await?;
        }
        Ok(found.into_iter().map(|found| found.number).collect())
    }

    /// Looks through the log, one message after the other; stops where there are too many.
    fn matches(&self, log: &LogReader) -> Result<Vec<Match>, LogError> {
        let mut matches = Vec::new();
        for found in log.each_of_query(&self.query_id)? {
            let found = found?;
            let message = &found.message;
            if *message.party() == self.client && self.only.is_none_or(|only| only == message.kind) {
                matches.push(Match { number: found.number, is_stamped: found.stamp.is_some() });
            }
            if matches.len() > MESSAGES_MAX {
                break;
            }
        }
        Ok(matches)
    }
}

/// Stamps one message by itself, at once.
async fn stamp(gateway: &Gateway, number: u64) -> Result<(), Fault> {
    let failed = |text: String| {
        Fault::new(Leaf::InternalError, "Could not create missing timestamp!").because(io::Error::other(text))
    };
    let log = gateway.log.clone();
    let order = tokio::task::spawn_blocking(move || log.to_stamp_alone(number)).await;
    let order = order.map_err(message::internal)?.map_err(|error| failed(error.to_string()))?;
    match order {
        Some(order) => timestamp::stamp(gateway, order).await.map_err(failed),
        None => Ok(()),
    }
}

//------------ what is sent --------------------------------------------------

/// Writes containers into a zip file that deflates nothing.
fn all(log: &LogReader, numbers: &[u64], sink: impl Write) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut zip = Writer::new(sink, Level::Stored);
    for number in numbers {
        let Some(found) = log.message(*number)? else { continue };
        let message = &found.message;
        let name = entry_name(&message.query_id, message.kind == Kind::Response, *number);
        zip.entry_by(&name, message.time, |entry| -> Result<(), Box<dyn Error + Send + Sync>> {
            log.export(&found, entry)?;
            Ok(())
        })?;
    }
    zip.finish("")?;
    Ok(())
}

/// Writes one container.
fn one(log: &LogReader, number: u64, sink: impl Write) -> Result<(), ExportError> {
    match log.message(number)? {
        Some(found) => log.export(&found, sink).map(drop),
        None => Err(LogError::NoRecord { number }.into()),
    }
}

/// What containers are verified with: the shared parameters of every instance that is known, as they are stored.
///
/// Seen: anyone who reaches this door may ask; the version is all that is told of a part. Ours: entries carry their
/// moment in the extended field, too.
///
/// # Errors
/// [`Fault`], told as text.
pub(super) async fn configuration(gateway: &Gateway) -> Result<Reply, Fault> {
    let world = gateway.world();
    admit::is_current(gateway, &world)?;
    let dir = gateway.conf.globalconf_dir();
    let instances: Vec<String> = world.conf.instances().map(str::to_owned).collect();
    let opening = tokio::task::spawn_blocking(move || {
        instances.iter().map(|instance| Stored::open(&dir, instance)).collect::<io::Result<Vec<_>>>()
    });
    let stored = opening.await.map_err(message::internal)?.map_err(message::internal)?;
    let (own, now) = (world.conf.own_instance().to_owned(), gateway.now());
    let body = written(gateway.conf.timeouts.idle, move |pipe| zipped(&stored, &own, now, pipe)).await?;
    Reply::file(ZIP, &format!("filename=\"{FOLDER}.zip\""), body)
}

/// An instance's shared parameters as they are stored; what is open stays what it is, whatever takes its place.
struct Stored {
    folder: String,
    version: u8,
    parameters: File,
}

impl Stored {
    fn open(dir: &Path, instance: &str) -> io::Result<Self> {
        let folder = layout::folder(instance);
        let path = dir.join(&folder).join(SHARED);
        let parameters = File::open(&path)?;
        let metadata = fs::read(dir.join(&folder).join(format!("{SHARED}{METADATA}")))?;
        let unread = || io::Error::other(format!("the metadata of {} cannot be read", path.display()));
        let version = Metadata::from_json(&metadata).ok_or_else(unread)?.version;
        Ok(Self { folder, version, parameters })
    }
}

fn zipped(
    stored: &[Stored],
    own: &str,
    now: UnixTime,
    sink: impl Write,
) -> Result<(), container::zip::ZipError> {
    let mut zip = Writer::new(sink, Level::Usual);
    for Stored { folder, version, parameters } in stored {
        let path = format!("{FOLDER}/{folder}/{SHARED}");
        zip.entry(&path, now, parameters)?;
        let metadata = format!("{{\"configurationVersion\":\"{version}\"}}");
        zip.entry(&format!("{path}{METADATA}"), now, metadata.as_bytes())?;
    }
    zip.entry(&format!("{FOLDER}/{INSTANCE_IDENTIFIER}"), now, own.as_bytes())?;
    zip.finish("").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_is_written_at_once_than_there_are_places() {
        let allowed = Duration::from_secs(30);
        let taken = WRITING.acquire_many(u32::try_from(WRITTEN_MAX).unwrap()).await.unwrap();
        let nothing = |_: &mut Pipe| Ok::<_, io::Error>(());
        let refused = written(allowed, nothing).await.unwrap_err();
        assert!(refused.detail.contains("8 other answers"), "{}", refused.detail);
        drop(taken);
        assert!(written(allowed, nothing).await.is_ok());
    }
}
