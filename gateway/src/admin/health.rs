//! Health and status for orchestrators and for `saatkond status`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health/live` | 200 while the process runs; 503 when only a restart helps, with the reason |
//! | `GET /health/ready` | 200 when a call could be made now, else 503 with the reasons |
//! | `GET /status` | 200 with the [`Report`] |
//! | `GET /sites` | 200 with the [`SitesReport`] |
//! | `GET /authority` | 200 with the [`AuthorityReport`] |
//!
//! It opens before everything else and closes after it. Nothing secret is told, and nothing can be done here.

use super::authority::AuthorityReport;
use super::report::{self, DRAINING, LOG_FAILED, Phase, Report};
use super::sites::SitesReport;
use crate::Gateway;
use crate::clock::Clock;
use crate::conf::Conf;
use crate::jobs::Jobs;
use crate::messagelog::LogError;
use crate::net::body::Outgoing;
use crate::net::listen::{self, Deadlines, Exchange, Listener, Speech, Stop};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use saatkond_proto::id::ServerId;
use saatkond_proto::time::UnixTime;

/// Connections at once; orchestrators keep one or two.
pub const CONNECTIONS_MAX: usize = 64;
/// How long one may idle, and how long it gets to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the health port tells. Cheap to clone; clones agree.
#[derive(Clone)]
pub struct Health(Arc<Shared>);

struct Shared {
    conf: Arc<Conf>,
    clock: Clock,
    started: UnixTime,
    state: Mutex<State>,
}

#[derive(Clone)]
enum State {
    /// Not serving yet, and what for it waits.
    Starting(String),
    Serving(Arc<Gateway>, Jobs),
    Draining(Arc<Gateway>, Jobs),
    /// Nothing is held any more: the gateway's stores can be closed.
    Ended,
}

impl Health {
    /// A process that has just been started.
    #[must_use]
    pub fn starting(conf: &Arc<Conf>, clock: Clock) -> Self {
        let state = Mutex::new(State::Starting("it is starting".to_owned()));
        Self(Arc::new(Shared { conf: Arc::clone(conf), started: clock.now(), clock, state }))
    }

    /// Which security server this is.
    #[must_use]
    pub fn server(&self) -> &ServerId {
        &self.0.conf.server
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> State {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what starting waits for.
    pub fn waits(&self, why: String) {
        self.change(|state| {
            if let State::Starting(reason) = state {
                *reason = why;
            }
        });
    }

    /// Says that the gateway serves.
    pub fn serves(&self, gateway: Arc<Gateway>, jobs: Jobs) {
        self.change(|state| *state = State::Serving(gateway, jobs));
    }

    /// Says that the gateway has been told to stop.
    pub fn drains(&self) {
        self.change(|state| {
            if let State::Serving(gateway, jobs) = state {
                *state = State::Draining(Arc::clone(gateway), jobs.clone());
            }
        });
    }

    /// Lets go of the gateway.
    pub fn ends(&self) {
        self.change(|state| *state = State::Ended);
    }

    /// What works now.
    #[must_use]
    pub fn report(&self) -> Report {
        let Shared { conf, clock, started, .. } = &*self.0;
        let without = |phase, reason| Report::without(conf, *started, clock.now(), phase, reason);
        match self.state() {
            State::Starting(reason) => without(Phase::Starting, reason),
            State::Serving(gateway, jobs) => Report::of(&gateway, &jobs, *started, Phase::Serving),
            State::Draining(gateway, jobs) => Report::of(&gateway, &jobs, *started, Phase::Draining),
            State::Ended => without(Phase::Draining, DRAINING.to_owned()),
        }
    }

    /// Why no call could be made now; none when it could.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let of = |gateway: &Gateway, phase| report::reasons(gateway, &gateway.world(), gateway.now(), phase);
        match self.state() {
            State::Starting(reason) => vec![reason],
            State::Serving(gateway, _) => of(&gateway, Phase::Serving),
            State::Draining(gateway, _) => of(&gateway, Phase::Draining),
            State::Ended => vec![DRAINING.to_owned()],
        }
    }

    /// Whether anything but a restart could help.
    fn is_alive(&self) -> bool {
        match self.state() {
            State::Serving(gateway, _) => !matches!(gateway.log.ready(), Err(LogError::Closed)),
            State::Starting(_) | State::Draining(..) | State::Ended => true,
        }
    }

    /// Serves the health port until `stop`.
    pub async fn serve(self, door: Listener, stop: Stop) {
        let deadlines = Deadlines { idle: PATIENCE, drain: PATIENCE };
        let service = tower::service_fn(move |asked: Exchange| {
            let health = self.clone();
            async move { Ok::<_, Infallible>(health.answer(asked)) }
        });
        listen::serve(door, deadlines, || Speech::Plain, stop, service).await;
    }

    fn answer(&self, asked: Exchange) -> Response<Outgoing> {
        let path = asked.head.target.split('?').next().unwrap_or_default().to_owned();
        let is_read = matches!(asked.head.method.as_str(), "GET" | "HEAD");
        asked.body.discard();
        if !is_read {
            let mut refused = told(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "expected GET" }));
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let well = |is_well| if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        match path.as_str() {
            "/health/live" => {
                let alive = self.is_alive();
                let reasons = if alive { Vec::new() } else { vec![LOG_FAILED] };
                told(well(alive), &json!({ "live": alive, "reasons": reasons }))
            }
            "/health/ready" => {
                let reasons = self.reasons();
                told(well(reasons.is_empty()), &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
            }
            "/status" => told(StatusCode::OK, &self.report()),
            "/sites" | "/authority" => match self.state() {
                State::Serving(gateway, _) | State::Draining(gateway, _) if path == "/sites" => {
                    told(StatusCode::OK, &SitesReport::of(&gateway))
                }
                State::Serving(gateway, _) | State::Draining(gateway, _) => {
                    told(StatusCode::OK, &AuthorityReport::of(&gateway))
                }
                State::Starting(_) | State::Ended => {
                    told(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "not serving" }))
                }
            },
            _ => {
                let pages = ["/health/live", "/health/ready", "/status", "/sites", "/authority"];
                told(StatusCode::NOT_FOUND, &json!({ "error": "no such page", "pages": pages }))
            }
        }
    }
}

fn told(status: StatusCode, what: &impl serde::Serialize) -> Response<Outgoing> {
    let mut bytes = serde_json::to_vec(what).unwrap_or_default();
    bytes.push(b'\n');
    let mut response = Response::new(Outgoing::sized().bytes(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Health({})", self.server())
    }
}
