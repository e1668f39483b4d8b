//! Our information system asks.
//!
//! | file | what it holds |
//! |---|---|
//! | `local` | questions that the gateway answers by itself |
//! | `evidence` | signed documents, and what they are verified with |
//! | `govstack` | GovStack's directory, told from metaservices |
//! | [`mod@admit`] | which information system is this, and may it speak for that subsystem |
//! | [`mod@resolve`] | where to knock, in which order |
//! | [`mod@send`] | when a call may go to another door, and who is asked beside whom |
//! | [`attempt`] | one door: sign, record, hand over, read the answer |
//! | [`mod@check`] | is this the answer to what we asked |
//! | [`mod@reply`] | back to the information system, in its dialect; faults leave here too |

pub mod admit;
pub mod attempt;
pub mod check;
mod evidence;
mod govstack;
mod local;
pub mod reply;
pub mod resolve;
pub mod send;

use crate::Gateway;
use crate::messagelog::Recorded;
use crate::net::body::Outgoing;
use crate::net::listen::{self, Deadlines, Exchange, Listener, Speech, Stop};
use crate::net::task::{self, Account};
use crate::net::{message, tls};
use admit::admit;
use attempt::Call;
use check::Matched;
use http::Response;
use local::Local;
use reply::{Dialect, Reply};
use resolve::resolve;
use rustls::pki_types::CertificateDer;
use saatkond_proto::fault::Fault;
use send::send;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tower::Layer as _;
use tower::limit::ConcurrencyLimitLayer;

/// Carries one question of our information system to its provider, and the answer back.
///
/// # Errors
/// [`Fault`] says what stopped it, and whether it may have taken effect.
pub async fn ask(gateway: &Gateway, asked: &mut Exchange, account: &mut Account) -> Result<Reply, Fault> {
    let answer = carry(gateway, asked, account).await?;
    reply::reply(&answer)
}

/// The way there and back.
async fn carry(
    gateway: &Gateway,
    asked: &mut Exchange,
    account: &mut Account,
) -> Result<Recorded<Matched>, Fault> {
    let world = gateway.world(); // one picture, kept to the end
    let (question, following) = admit(gateway, &world, asked).await?;
    account.names(&question);
    let route = resolve(gateway, &world, &question)?; // which doors, in which order
    let attachments = following.take(gateway).await?; // so that another door may be sent the same bytes
    let call = Call { question, attachments };
    let answer = send(gateway, &world, route, call, account).await?; // signed, recorded, answered, Matched
    message::record(gateway, answer).await // → Recorded
}

/// Serves information systems at one door until `stop`.
pub async fn serve(gateway: Arc<Gateway>, door: Listener, is_tls: bool, stop: Stop) {
    let timeouts = &gateway.conf.timeouts;
    let deadlines = Deadlines { idle: timeouts.idle, drain: timeouts.drain };
    let shown = Shown { gateway: Arc::clone(&gateway), made: Mutex::default() };
    let serving = Arc::clone(&gateway);
    let limit = ConcurrencyLimitLayer::new(gateway.conf.limits.exchanges_max);
    let service = limit.layer(tower::service_fn(move |asked: Exchange| {
        let gateway = Arc::clone(&serving);
        async move { Ok::<_, Infallible>(one(gateway, asked).await) }
    }));
    listen::serve(door, deadlines, || if is_tls { shown.speech() } else { Speech::Plain }, stop, service)
        .await;
}

/// TLS for information systems, made anew when our key for them changes.
struct Shown {
    gateway: Arc<Gateway>,
    /// What was made last, and for which certificate.
    made: Mutex<Option<(CertificateDer<'static>, Speech)>>,
}

impl Shown {
    fn speech(&self) -> Speech {
        let Some((ours, certificate)) = self.gateway.keys.internal_tls().and_then(|ours| {
            let certificate = ours.cert.first()?.clone();
            Some((ours, certificate))
        }) else {
            tracing::error!("no internal TLS key: information systems are not served over HTTPS");
            return Speech::Nothing;
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, speech)) = made.as_ref().filter(|(of, _)| *of == certificate) {
            return speech.clone();
        }
        let speech = match tls::from_information_systems(ours) {
            Ok(config) => Speech::Tls { config, hears: None },
            Err(error) => {
                tracing::error!(%error, "information systems are not served over HTTPS");
                Speech::Nothing
            }
        };
        *made = Some((certificate, speech.clone()));
        speech
    }
}

/// One exchange: its own task, one closing line, whatever happens.
async fn one(gateway: Arc<Gateway>, mut asked: Exchange) -> Response<Outgoing> {
    let dialect = Dialect::of(&asked.head);
    let telling = dialect.clone();
    let exchange = async move {
        let mut account = Account::new("consumer");
        let answered = match Local::of(&asked.head) {
            Some(local) => local.answer(&gateway, &mut asked, &mut account).await,
            None => ask(&gateway, &mut asked, &mut account).await,
        };
        asked.body.discard();
        let response = answered.and_then(Reply::into_response);
        let (response, code) = match response {
            Ok(response) => (response, "ok".to_owned()),
            Err(fault) => dialect.tell(fault, &account),
        };
        account.close(&code);
        response
    };
    match task::run(exchange).await {
        Ok(response) => response,
        Err(panicked) => {
            let account = Account::new("consumer");
            let (response, code) = telling.tell(message::internal(panicked), &account);
            account.close(&code);
            response
        }
    }
}
