//! The sample behind the demo's gateways: a land register with a copy at each site.
//!
//! One process is one copy. Reads tell who owns a title; a transfer changes the owner. Every change is appended to
//! the copy's own file and synced before it is answered, under the id of the X-Road message that brought it, and is
//! shipped to the other copy afterwards, `--lag` later. The file is the register's own truth: whether, how often and in
//! which order each id took effect is told from it, not from what a gateway says.
//!
//! With what is shipped goes the moment up to which the other copy then holds everything, also when nothing has changed;
//! so a copy knows how old it is, and of a silent peer it grows old. A change under a lower token than one that was seen
//! comes from a site that was deposed: it is refused.
//!
//! | call | answer |
//! |---|---|
//! | `GET /land/titles/N` | `{"title", "owner", "copy"}` |
//! | `POST /land/titles/N/transfer` with `{"to": NAME}` | the same, after the change; 409 under a lower token |
//! | `GET /effects`, `GET /effects/ID` | what took effect here, in order: all of it, or of one message |
//! | `GET /staleness` | `{"staleness": SECONDS}` of what the other copy made; `null` before it has spoken |
//! | `POST /person` | a SOAP message, `population` answers |
//! | `POST /copy/effects` | takes changes of the other copy, one JSON object a line |

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use saatkond_proto::continuity::header::TOKEN;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Bytes of a request body that are read.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The titles a new register holds, and to whom they belong.
const FIRST_TITLES: std::ops::RangeInclusive<u32> = 1001..=1032;
const FIRST_OWNER: &str = "Republic of Demo";
/// How long a copy waits before it offers its changes again to a copy that did not take them.
const SHIP_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How many changes are offered at once; far fewer bytes than [`BODY_BYTES_MAX`].
const SHIPPED_MAX: usize = 1000;
/// How often a copy speaks to the other while nothing changes.
const SPEAK_EVERY: Duration = Duration::from_millis(100);
/// The moment, in Unix milliseconds, up to which a copy holds everything with what is shipped.
const AS_OF: &str = "copy-as-of";

/// Which copy a process is.
#[derive(Debug, Clone, clap::Args)]
pub struct RegisterArgs {
    /// Where to answer
    #[arg(long)]
    listen: SocketAddr,
    /// The name of this copy, told with every answer
    #[arg(long)]
    copy: String,
    /// The file that holds this copy's changes
    #[arg(long)]
    file: PathBuf,
    /// Where the other copy answers; changes are shipped there
    #[arg(long)]
    peer: Option<SocketAddr>,
    /// How long changes are held back before they are shipped, in milliseconds
    #[arg(long, default_value_t = 0)]
    lag: u64,
}

/// One change, as the file holds it and copies ship it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Effect {
    /// Id of the X-Road message that brought it.
    id: String,
    /// The copy that made it.
    origin: String,
    title: u32,
    to: String,
    /// The token of the authority under which it was made.
    #[serde(default)]
    token: u64,
}

struct SiteCopy {
    name: String,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    owners: HashMap<u32, String>,
    /// What took effect here, in order.
    effects: Vec<Effect>,
    /// The highest token that was seen.
    token: u64,
    /// Up to when this copy holds all that the other made.
    as_of: Option<SystemTime>,
    known: HashSet<(String, String)>,
    file: File,
    /// Changes made here that the other copy has not taken yet.
    unshipped: Vec<Effect>,
}

/// Serves one copy until it is killed.
///
/// # Errors
/// When the address cannot be listened on or the file not be opened.
pub(super) async fn serve(args: RegisterArgs) -> anyhow::Result<()> {
    let copy = Arc::new(SiteCopy::open(&args.copy, &args.file)?);
    let listener = TcpListener::bind(args.listen).await?;
    if let Some(peer) = args.peer {
        tokio::task::spawn(ship(Arc::clone(&copy), peer, Duration::from_millis(args.lag)));
    }
    loop {
        let (stream, _) = listener.accept().await?;
        let copy = Arc::clone(&copy);
        tokio::task::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&copy), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A caller that goes away in the middle is its own affair.
            drop(connection.await);
        });
    }
}

/// How often each message took effect, over the files of all copies: the register's own count.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn count_effects(files: &[PathBuf]) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let copies: Vec<Effect> = read_effects(file)?;
        // A change stands in the file of the copy that made it and, shipped, in the other's: count it where it was made.
        let name = copy_name(file, index);
        for effect in copies.into_iter().filter(|e| e.origin == name) {
            *counts.entry(effect.id).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

/// Ids of the messages whose changes a copy holds, whoever made them.
///
/// # Errors
/// When its file cannot be read.
pub(super) fn ids_in(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    Ok(read_effects(file)?.into_iter().map(|effect| effect.id).collect())
}

/// A copy's file is named after it.
fn copy_name(file: &Path, index: usize) -> String {
    file.file_stem().map_or_else(|| index.to_string(), |s| s.to_string_lossy().to_uppercase())
}

fn read_effects(file: &Path) -> anyhow::Result<Vec<Effect>> {
    let Ok(open) = File::open(file) else { return Ok(Vec::new()) };
    let mut effects = Vec::new();
    for line in BufReader::new(open).lines() {
        // The last line may be torn by a kill: it was never answered.
        if let Ok(effect) = serde_json::from_str(&line?) {
            effects.push(effect);
        }
    }
    Ok(effects)
}

impl SiteCopy {
    fn open(name: &str, path: &Path) -> anyhow::Result<Self> {
        let mut owners: HashMap<u32, String> = FIRST_TITLES.map(|n| (n, FIRST_OWNER.to_owned())).collect();
        let effects = read_effects(path)?;
        let mut file = File::options().create(true).append(true).open(path)?;
        // Ends a torn line, so that the next one starts on its own.
        file.write_all(b"\n")?;
        let known = effects.iter().map(|e| (e.origin.clone(), e.id.clone())).collect();
        for effect in &effects {
            owners.insert(effect.title, effect.to.clone());
        }
        let unshipped = effects.iter().filter(|e| e.origin == name).cloned().collect();
        let token = effects.iter().map(|e| e.token).max().unwrap_or_default();
        let state = Mutex::new(State { owners, effects, token, as_of: None, known, file, unshipped });
        Ok(Self { name: name.to_owned(), state, changed: Notify::new() })
    }

    fn owner(&self, title: u32) -> Option<String> {
        self.lock().owners.get(&title).cloned()
    }

    /// How old what the other copy made is here; `None` before it has spoken.
    fn age(&self) -> Option<Duration> {
        Some(self.lock().as_of?.elapsed().unwrap_or_default())
    }

    /// Makes a change of our own, unless a site with a higher token has made one; then it is told that token.
    fn change(&self, effect: Effect) -> std::io::Result<Result<(), u64>> {
        let seen = self.lock().token;
        if effect.token < seen { Ok(Err(seen)) } else { self.apply(vec![effect]).map(Ok) }
    }

    /// Makes changes durable, then visible.
    fn apply(&self, effects: Vec<Effect>) -> std::io::Result<()> {
        let mut state = self.lock();
        let mut lines = Vec::new();
        for effect in &effects {
            serde_json::to_writer(&mut lines, effect)?;
            lines.push(b'\n');
        }
        state.file.write_all(&lines)?;
        state.file.sync_data()?;
        for effect in effects {
            state.known.insert((effect.origin.clone(), effect.id.clone()));
            state.owners.insert(effect.title, effect.to.clone());
            state.token = state.token.max(effect.token);
            if effect.origin == self.name {
                state.unshipped.push(effect.clone());
            }
            state.effects.push(effect);
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the other copy's changes, each once; with them this copy holds everything up to `as_of`.
    fn take(&self, effects: Vec<Effect>, as_of: Option<SystemTime>) -> std::io::Result<()> {
        let fresh: Vec<Effect> = {
            let state = self.lock();
            let mut taken = HashSet::new();
            let mut is_new = |key: (String, String)| !state.known.contains(&key) && taken.insert(key);
            effects.into_iter().filter(|e| is_new((e.origin.clone(), e.id.clone()))).collect()
        };
        if !fresh.is_empty() {
            self.apply(fresh)?;
        }
        let mut state = self.lock();
        state.as_of = as_of.max(state.as_of);
        Ok(())
    }

    /// What the other copy is to be offered next, and whether it then has everything.
    fn due(&self) -> (Vec<Effect>, bool) {
        let state = self.lock();
        let due: Vec<Effect> = state.unshipped.iter().take(SHIPPED_MAX).cloned().collect();
        let is_all = due.len() == state.unshipped.len();
        (due, is_all)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    copy: Arc<SiteCopy>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(say(StatusCode::BAD_REQUEST, &serde_json::json!({"error": "the body was not read"})));
    };
    let body = body.to_bytes();
    // Disk is touched in `apply`; a thread that may wait does it.
    let done = tokio::task::spawn_blocking(move || route(&copy, &parts, &body)).await;
    Ok(done.unwrap_or_else(|_| {
        say(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({"error": "internal"}))
    }))
}

fn route(copy: &SiteCopy, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let segments: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    match (parts.method.as_str(), segments.as_slice()) {
        ("GET" | "HEAD", ["land", "titles", number]) => title(copy, number),
        ("POST", ["land", "titles", number, "transfer"]) => transfer(copy, number, parts, body),
        ("GET", ["staleness"]) => {
            let age = copy.age().map(|age| age.as_secs_f64());
            say(StatusCode::OK, &serde_json::json!({ "staleness": age }))
        }
        ("GET", ["effects"]) => effects(copy, None),
        ("GET", ["effects", id]) => effects(copy, Some(id)),
        ("POST", ["person"]) => super::population::answer(&copy.name, body),
        ("POST", ["copy", "effects"]) => {
            let effects =
                body.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
            let as_of = line(parts, AS_OF).parse().ok();
            let as_of =
                as_of.and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
            match copy.take(effects, as_of) {
                Ok(()) => say(StatusCode::OK, &serde_json::json!({})),
                Err(e) => {
                    say(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({"error": e.to_string()}))
                }
            }
        }
        _ => say(StatusCode::NOT_FOUND, &serde_json::json!({"error": "try /land/titles/1001"})),
    }
}

/// The value of a header line; empty for none.
fn line<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What took effect here, in order: all of it, or of one message.
fn effects(copy: &SiteCopy, of: Option<&str>) -> Response<Full<Bytes>> {
    let state = copy.lock();
    let numbered = state.effects.iter().zip(1u32..).filter(|(effect, _)| of.is_none_or(|id| effect.id == id));
    let told = numbered.map(|(effect, position)| serde_json::json!({"position": position, "effect": effect}));
    say(StatusCode::OK, &told.collect::<serde_json::Value>())
}

fn title(copy: &SiteCopy, number: &str) -> Response<Full<Bytes>> {
    let owner = number.parse().ok().and_then(|n: u32| Some((n, copy.owner(n)?)));
    match owner {
        Some((title, owner)) => {
            say(StatusCode::OK, &serde_json::json!({"title": title, "owner": owner, "copy": copy.name}))
        }
        None => say(StatusCode::NOT_FOUND, &serde_json::json!({"error": format!("no title {number}")})),
    }
}

fn transfer(copy: &SiteCopy, number: &str, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    #[derive(Deserialize)]
    struct Transfer {
        to: String,
    }
    let known = number.parse().ok().filter(|n| copy.owner(*n).is_some());
    let (Some(title), Ok(Transfer { to })) = (known, serde_json::from_slice(body)) else {
        let hint = "expected POST /land/titles/N/transfer with {\"to\": NAME} and a known N";
        return say(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": hint }));
    };
    let (id, token) = (line(parts, "x-road-id").to_owned(), line(parts, TOKEN).parse().unwrap_or_default());
    let effect = Effect { id, origin: copy.name.clone(), title, to: to.clone(), token };
    match copy.change(effect) {
        Ok(Ok(())) => {
            say(StatusCode::OK, &serde_json::json!({"title": title, "owner": to, "copy": copy.name}))
        }
        Ok(Err(seen)) => {
            let text = format!("token {token} is of a site that was deposed: {seen} was seen");
            say(StatusCode::CONFLICT, &serde_json::json!({ "error": text }))
        }
        Err(e) => say(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({"error": e.to_string()})),
    }
}

fn say(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Offers changes made here to the other copy until it has taken them, and speaks to it while there are none.
async fn ship(copy: Arc<SiteCopy>, peer: SocketAddr, lag: Duration) {
    loop {
        let as_of = SystemTime::now(); // before the look: what is made in between is in neither
        let (batch, is_all) = copy.due();
        tokio::time::sleep(lag).await;
        if offer(&batch, is_all.then_some(as_of), peer).await.is_err() {
            tokio::time::sleep(SHIP_AGAIN_AFTER).await;
            continue;
        }
        let is_done = {
            let mut state = copy.lock();
            state.unshipped.drain(..batch.len());
            state.unshipped.is_empty()
        };
        if is_done {
            // Either comes first: a change, or the time to speak.
            drop(tokio::time::timeout(SPEAK_EVERY, copy.changed.notified()).await);
        }
    }
}

async fn offer(batch: &[Effect], as_of: Option<SystemTime>, peer: SocketAddr) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for effect in batch {
        serde_json::to_writer(&mut lines, effect)?;
        lines.push(b'\n');
    }
    let as_of = as_of.map(|moment| moment.duration_since(SystemTime::UNIX_EPOCH)).transpose()?;
    let as_of = as_of.map(|since| since.as_millis().to_string()).unwrap_or_default();
    let stream = TcpStream::connect(peer).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::task::spawn(connection);
    let request = Request::post("/copy/effects")
        .header("host", peer.to_string())
        .header(AS_OF, as_of)
        .body(Full::new(Bytes::from(lines)))?;
    let response = tokio::time::timeout(Duration::from_secs(5), sender.send_request(request)).await??;
    drop(sender);
    driver.abort();
    anyhow::ensure!(response.status().is_success(), "the other copy answered {}", response.status());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(id: &str, origin: &str) -> Effect {
        Effect { id: id.into(), origin: origin.into(), title: 1001, to: "Mari".into(), token: 0 }
    }

    #[test]
    fn a_change_survives_and_is_counted_where_it_was_made() {
        let dir = std::env::temp_dir().join(format!("saatkond-register-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (home, embassy) = (dir.join("home.jsonl"), dir.join("embassy.jsonl"));
        let copy = SiteCopy::open("HOME", &home).unwrap();
        copy.apply(vec![effect("a", "HOME")]).unwrap();
        let other = SiteCopy::open("EMBASSY", &embassy).unwrap();
        other.take(vec![effect("a", "HOME"), effect("a", "HOME")], None).unwrap();
        other.take(vec![effect("a", "HOME")], None).unwrap();
        other.apply(vec![effect("a", "EMBASSY"), effect("b", "EMBASSY")]).unwrap();
        drop(copy);
        assert_eq!(SiteCopy::open("HOME", &home).unwrap().owner(1001).as_deref(), Some("Mari"));
        let counts = count_effects(&[home, embassy]).unwrap();
        assert_eq!(
            (counts["a"], counts["b"]),
            (2, 1),
            "the same message at two copies is an effect done twice"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// After a start all changes made here are offered once more, and they may be many.
    #[test]
    fn what_is_offered_at_once_is_bounded_and_says_whether_it_is_all() {
        let dir = crate::testbed::TestDir::new("register-due");
        let file = dir.0.join("home.jsonl");
        let copy = SiteCopy::open("HOME", &file).unwrap();
        copy.apply((0..=SHIPPED_MAX).map(|n| effect(&n.to_string(), "HOME")).collect()).unwrap();
        drop(copy);
        let copy = SiteCopy::open("HOME", &file).unwrap();
        let (due, is_all) = copy.due();
        assert_eq!((due.len(), is_all), (SHIPPED_MAX, false));
        let line = serde_json::to_vec(&effect(&"x".repeat(60), "EMBASSY")).unwrap();
        assert!(SHIPPED_MAX * (line.len() + 1) < BODY_BYTES_MAX / 2, "{}", line.len());
        copy.lock().unshipped.drain(..due.len());
        let (due, is_all) = copy.due();
        assert_eq!((due.len(), is_all), (1, true));
    }

    #[test]
    fn a_copy_tells_order_and_age_and_refuses_who_was_deposed() {
        let dir = crate::testbed::TestDir::new("register-order");
        let (home, embassy) = (dir.0.join("home.jsonl"), dir.0.join("embassy.jsonl"));
        let copy = SiteCopy::open("EMBASSY", &embassy).unwrap();
        assert_eq!(copy.age(), None, "home has not spoken");
        copy.take(vec![effect("a", "HOME"), effect("b", "HOME")], Some(SystemTime::now())).unwrap();
        assert!(copy.age().unwrap() < Duration::from_secs(60));
        let led = Effect { token: 7, ..effect("c", "EMBASSY") };
        assert_eq!(copy.change(led.clone()).unwrap(), Ok(()));
        let order = |copy: &SiteCopy| copy.lock().effects.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
        assert_eq!(order(&copy), ["a", "b", "c"]);
        // Home comes back, hears of it, and takes nothing more under its old token; over a restart too.
        let deposed = SiteCopy::open("HOME", &home).unwrap();
        deposed.apply(vec![effect("a", "HOME"), effect("b", "HOME")]).unwrap();
        deposed.take(vec![led], Some(SystemTime::now())).unwrap();
        assert_eq!(deposed.change(effect("d", "HOME")).unwrap(), Err(7));
        drop(deposed);
        let deposed = SiteCopy::open("HOME", &home).unwrap();
        assert_eq!(deposed.change(effect("d", "HOME")).unwrap(), Err(7));
        assert_eq!(order(&deposed), ["a", "b", "c"]);
    }
}
