//! Callers: information systems that ask through a gateway as fast as it answers.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a caller waits for an answer before it gives the call up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where to ask, and in whose name.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The consumer gateway's port for information systems.
    pub(super) gateway: SocketAddr,
    /// `X-Road-Client`.
    pub(super) client: String,
    /// `/r1/…` up to and with the service code.
    pub(super) service: String,
}

/// What came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The register answered; the copy that did.
    Answered(String),
    /// The gateway does not know whether the register acted, and said so.
    Unknown,
    /// A write was refused, and the caller told that nothing was sent: who leads the register is not reached.
    Refused,
    /// The call failed: what was said.
    Failed(String),
}

/// One call's id, what came of it and how long it took.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) write: bool,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    /// When it ended, since the load began.
    pub(super) ended: Duration,
}

/// A running load of callers.
pub(super) struct Load {
    began: Instant,
    stop: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<Call>>>,
    callers: JoinSet<()>,
}

impl Load {
    /// Starts `callers` callers; of each caller's calls, one in five is a write.
    pub(super) fn start(target: &Target, callers: usize, name: &str) -> Self {
        let mut load = Self {
            began: Instant::now(),
            stop: Arc::default(),
            in_flight: Arc::default(),
            calls: Arc::default(),
            callers: JoinSet::new(),
        };
        for caller in 0..callers {
            let (target, name) = (target.clone(), name.to_owned());
            let (stop, in_flight) = (Arc::clone(&load.stop), Arc::clone(&load.in_flight));
            let (calls, began) = (Arc::clone(&load.calls), load.began);
            load.callers.spawn(async move {
                let mut connection = None;
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("{name}-{caller}-{number}");
                    let write = (number + caller) % 5 == 4;
                    let started = Instant::now();
                    in_flight.fetch_add(1, Ordering::Relaxed);
                    let outcome = call(&mut connection, &target, &id, write).await;
                    in_flight.fetch_sub(1, Ordering::Relaxed);
                    let call = Call { id, write, outcome, took: started.elapsed(), ended: began.elapsed() };
                    calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                }
            });
        }
        load
    }

    /// Calls under way now.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Since when it runs.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The calls that ended, but for the first so many.
    pub(super) fn after(&self, seen: usize) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(seen..).unwrap_or_default().to_vec()
    }

    /// Whether all of the last reads were answered by one copy, and ended after `since`: one read that tries is no return.
    pub(super) fn settled_at(&self, copy: &str, since: Duration) -> bool {
        const ENOUGH: usize = 20;
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let last = calls.iter().rev().filter(|c| !c.write).take(ENOUGH);
        let there = last.filter(|c| c.ended > since && c.outcome == Outcome::Answered(copy.to_owned()));
        there.count() == ENOUGH
    }

    /// Lets every caller end its call, then tells all of them in the order they ended.
    pub(super) async fn finish(mut self) -> Vec<Call> {
        self.stop.store(true, Ordering::Relaxed);
        while self.callers.join_next().await.is_some() {}
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a load came to.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) reads_answered: usize,
    pub(super) reads_failed: usize,
    pub(super) read_longest: Duration,
    pub(super) writes_done: usize,
    pub(super) writes_unknown: usize,
    pub(super) writes_refused: usize,
    pub(super) writes_failed: usize,
    /// Longest time in which no call of the load was answered.
    pub(super) longest_pause: Duration,
    pub(super) answered_by: BTreeMap<String, usize>,
    /// What failed calls were told, and how often.
    pub(super) failures: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts calls that are in the order they ended.
    pub(super) fn of(calls: &[Call]) -> Self {
        let mut tally = Self::default();
        let mut last_answer = Duration::ZERO;
        for call in calls {
            match (&call.outcome, call.write) {
                (Outcome::Answered(copy), write) => {
                    *tally.answered_by.entry(copy.clone()).or_default() += 1;
                    tally.longest_pause = tally.longest_pause.max(call.ended.saturating_sub(last_answer));
                    last_answer = call.ended;
                    if write {
                        tally.writes_done += 1;
                    } else {
                        tally.reads_answered += 1;
                        tally.read_longest = tally.read_longest.max(call.took);
                    }
                }
                (Outcome::Unknown, true) => tally.writes_unknown += 1,
                (Outcome::Unknown, false) => tally.failed_read("outcome unknown of a read"),
                (Outcome::Refused, true) => tally.writes_refused += 1,
                (Outcome::Refused, false) => tally.failed_read("refused"),
                (Outcome::Failed(why), false) => tally.failed_read(why),
                (Outcome::Failed(why), true) => {
                    tally.writes_failed += 1;
                    *tally.failures.entry(why.clone()).or_default() += 1;
                }
            }
        }
        tally
    }

    fn failed_read(&mut self, why: &str) {
        self.reads_failed += 1;
        *self.failures.entry(why.to_owned()).or_default() += 1;
    }
}

/// Makes one call over the caller's connection, opened anew when it has ended.
pub(super) async fn call(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    target: &Target,
    id: &str,
    write: bool,
) -> Outcome {
    match tokio::time::timeout(ANSWER_WITHIN, exchange(connection, target, id, write)).await {
        Ok(Ok((status, error, body))) => judge(status, error.as_deref(), &body),
        Ok(Err(e)) => {
            *connection = None;
            Outcome::Failed(format!("no answer of the gateway: {e}"))
        }
        Err(_) => {
            *connection = None;
            Outcome::Failed(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
        }
    }
}

async fn exchange(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    target: &Target,
    id: &str,
    write: bool,
) -> anyhow::Result<(StatusCode, Option<String>, Bytes)> {
    let mut sender = match connection.take() {
        Some(sender) if !sender.is_closed() => sender,
        _ => {
            let stream = TcpStream::connect(target.gateway).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) = handshake(TokioIo::new(stream)).await?;
            tokio::task::spawn(driver);
            sender
        }
    };
    sender.ready().await?;
    let service = &target.service;
    let request = if write {
        let body = format!("{{\"to\":\"{id}\"}}");
        Request::post(format!("{service}/titles/1002/transfer"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
    } else {
        Request::get(format!("{service}/titles/1001")).body(Full::default())
    };
    let mut request = request?;
    let headers = request.headers_mut();
    headers.insert("host", target.gateway.to_string().parse()?);
    headers.insert("x-road-client", target.client.parse()?);
    headers.insert("x-road-id", id.parse()?);
    let response = sender.send_request(request).await?;
    let error = response.headers().get("x-road-error").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
    *connection = Some(sender);
    Ok((status, error, body))
}

fn judge(status: StatusCode, error: Option<&str>, body: &[u8]) -> Outcome {
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = said["message"].as_str().unwrap_or_default();
    match error {
        Some(code) if code.ends_with("outcome_unknown") => Outcome::Unknown,
        // Our own gateway reached nobody: nothing was sent.
        Some("server.clientproxy.network_error") => Outcome::Refused,
        // Whom it reached died before it had said who it is. Spec: message-path §2.5 has this word for it.
        Some("server.clientproxy.ssl_authentication_failed")
            if message.starts_with("TLS handshake failed: ") && message.contains("(os error ") =>
        {
            Outcome::Refused
        }
        Some(code) => Outcome::Failed(format!("{code}: {message}")),
        None if status.is_success() => {
            Outcome::Answered(said["copy"].as_str().unwrap_or_default().to_owned())
        }
        None => Outcome::Failed(format!("the register answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_decides() {
        assert_eq!(judge(StatusCode::OK, None, br#"{"copy":"HOME"}"#), Outcome::Answered("HOME".into()));
        let unknown =
            judge(StatusCode::INTERNAL_SERVER_ERROR, Some("server.clientproxy.outcome_unknown"), b"{}");
        assert_eq!(unknown, Outcome::Unknown);
        assert!(matches!(
            judge(StatusCode::OK, Some("server.clientproxy.io_error"), b"{}"),
            Outcome::Failed(_)
        ));
        assert!(matches!(judge(StatusCode::NOT_FOUND, None, b"{}"), Outcome::Failed(_)));
        let code = Some("server.clientproxy.ssl_authentication_failed");
        let of = |why: &str| {
            let body = serde_json::json!({ "message": why }).to_string();
            judge(StatusCode::INTERNAL_SERVER_ERROR, code, body.as_bytes())
        };
        let reset = "TLS handshake failed: Connection reset by peer (os error 104)";
        assert_eq!(of(reset), Outcome::Refused);
        for stranger in ["TLS handshake failed: received fatal alert: CertificateUnknown", "not registered"] {
            assert!(matches!(of(stranger), Outcome::Failed(_)), "{stranger}");
        }
    }

    #[test]
    fn a_pause_is_the_longest_time_without_an_answer() {
        let call = |ended, outcome| Call {
            id: String::new(),
            write: false,
            outcome,
            took: Duration::from_millis(1),
            ended: Duration::from_millis(ended),
        };
        let answered = || Outcome::Answered("HOME".into());
        let tally =
            Tally::of(&[call(10, answered()), call(100, Outcome::Failed("x".into())), call(400, answered())]);
        assert_eq!(tally.longest_pause, Duration::from_millis(390));
        assert_eq!((tally.reads_answered, tally.reads_failed), (2, 1));
    }
}
