//! Health and status for orchestrators and for `saatkond status`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health/live` | 200 while the process runs |
//! | `GET /health/ready` | 200 when a call could be made now, else 503 with the reasons |
//! | `GET /status` | 200 with the [`Report`] |
//!
//! It opens before everything else and closes after it. Nothing secret is told, and nothing can be done here.

use super::report::{Phase, Report};
use crate::Gateway;
use crate::clock::Clock;
use crate::jobs::Jobs;
use crate::net::body::Outgoing;
use crate::net::listen::{self, Deadlines, Exchange, Listener, Speech, Stop};
use http::{Response, StatusCode, header};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connections at once; orchestrators keep one or two.
pub const CONNECTIONS_MAX: usize = 64;
/// How long one may idle, and how long it gets to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the health port tells. Cheap to clone; clones agree.
#[derive(Clone)]
pub struct Health(Arc<Mutex<State>>);

enum State {
    Starting {
        server: String,
        clock: Clock,
        reason: String,
    },
    Serving(Arc<Gateway>, Jobs),
    Draining(Arc<Gateway>, Jobs),
    /// Nothing is held any more: the gateway's stores can be closed.
    Ended {
        server: String,
        clock: Clock,
    },
}

impl Health {
    /// A process that has just been started.
    #[must_use]
    pub fn starting(server: String, clock: Clock) -> Self {
        let reason = "it is starting".to_owned();
        Self(Arc::new(Mutex::new(State::Starting { server, clock, reason })))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says what starting waits for.
    pub fn waits(&self, why: String) {
        self.change(|state| {
            if let State::Starting { reason, .. } = state {
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
        self.change(|state| {
            if let State::Serving(gateway, _) | State::Draining(gateway, _) = state {
                let (server, clock) = (gateway.conf.server.to_string(), gateway.clock.clone());
                *state = State::Ended { server, clock };
            }
        });
    }

    /// What works now.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Starting { server, clock, reason } => {
                Report::starting(server.clone(), clock.now(), reason.clone())
            }
            State::Serving(gateway, jobs) => Report::of(gateway, jobs, Phase::Serving),
            State::Draining(gateway, jobs) => Report::of(gateway, jobs, Phase::Draining),
            State::Ended { server, clock } => {
                let ended = Report::starting(server.clone(), clock.now(), "it has ended".to_owned());
                Report { phase: Phase::Draining, ..ended }
            }
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
        let is_get = asked.head.method == "GET";
        asked.body.discard();
        if !is_get {
            return json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "error": "only GET" }));
        }
        match path.as_str() {
            "/health/live" => json(StatusCode::OK, &serde_json::json!({ "live": true })),
            "/health/ready" => {
                let Report { ready, reasons, .. } = self.report();
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json(status, &serde_json::json!({ "ready": ready, "reasons": reasons }))
            }
            "/status" => json(StatusCode::OK, &self.report()),
            _ => json(StatusCode::NOT_FOUND, &serde_json::json!({ "error": "no such page" })),
        }
    }
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Outgoing> {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Outgoing::sized().bytes(bytes));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
