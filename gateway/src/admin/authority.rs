//! `saatkond authority`: who leads which register, and orders that let another site lead.

use super::cli::{Authority, AuthorityKey, AuthoritySwitch, Shown, refused};
use super::status::page;
use super::words::{count, plain};
use crate::Gateway;
use crate::clock::Clock;
use crate::conf::Conf;
use crate::embassy::asked::{self, Answer};
use crate::embassy::switch::{SWITCH_MAX, Switched};
use crate::keys::{KeysError, OperatorKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::continuity::authority::{Claim, Switch, Token};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether an order was acted on.
const LOOK: Duration = Duration::from_millis(50);
/// How long the gateway has to take an order and act on it.
const PATIENCE: Duration = SWITCH_MAX.saturating_add(Duration::from_secs(5));

/// Who leads, as `/authority` of the health port tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityReport {
    /// Who says so.
    pub server: String,
    /// The site at which it stands; `null` for one that stands at none.
    pub site: Option<String>,
    /// Each register of the instance's policy.
    pub registers: Vec<LedReport>,
    /// Who may order a change.
    pub operators: Vec<OperatorReport>,
}

/// A register and who leads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedReport {
    /// Which.
    pub register: String,
    /// The site that leads; `null` where the one that should may not any more.
    pub leads: Option<String>,
    /// Under which token.
    pub token: u64,
    /// By whose word; `null` for the first of the succession, before any order.
    pub by: Option<String>,
    /// Sites that may lead.
    pub succession: Vec<String>,
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorReport {
    /// Who.
    pub name: String,
    /// The public key, base64.
    pub key: String,
}

impl AuthorityReport {
    /// What a gateway knows.
    #[must_use]
    pub fn of(gateway: &Gateway) -> Self {
        let world = gateway.world();
        let policy = world.conf.continuity();
        let authority = &gateway.embassy.authority;
        let led = |policy, register: &saatkond_proto::continuity::Register| {
            let lead = authority.lead(policy, register).ok();
            let warrant = authority.warrant(&register.id);
            let token = warrant.as_ref().map_or(Token::FIRST, |w| w.claim().token);
            LedReport {
                register: register.id.to_string(),
                leads: lead.map(|lead| lead.site),
                token: token.value(),
                by: warrant.map(|warrant| warrant.by()),
                succession: register.succession.clone(),
            }
        };
        Self {
            server: gateway.conf.server.to_string(),
            site: policy.and_then(|p| p.site_of(&gateway.conf.server)).map(|site| site.id.clone()),
            registers: policy.map_or_else(Vec::new, |p| p.registers.iter().map(|r| led(p, r)).collect()),
            operators: policy.map_or_else(Vec::new, |p| {
                let operator = |o: &saatkond_proto::continuity::Operator| OperatorReport {
                    name: o.name.clone(),
                    key: STANDARD.encode(o.key),
                };
                p.operators.iter().map(operator).collect()
            }),
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// [`Failure`].
pub async fn authority(command: &Authority, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    match command {
        Authority::Show(shown) => show(shown, streams).await,
        Authority::Switch(asked) => switch(asked, streams).await,
        Authority::OperatorKey(asked) => operator_key(asked, streams),
    }
}

async fn report(shown: &Shown) -> Result<(Conf, AuthorityReport), Failure> {
    let conf = Conf::load(&shown.of.config).map_err(|error| refused(&error))?;
    let (address, answer) = page(&conf, "/authority").await?;
    let report = serde_json::from_slice(&answer.body).map_err(|error| {
        let text = format!("at {address} answers something else than {}: {error}", conf.server);
        Failure::new(Exit::Unavailable, text)
            .hint("another gateway, another version, or one that is starting")
    })?;
    Ok((conf, report))
}

async fn show(shown: &Shown, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let (_, report) = report(shown).await?;
    if shown.json {
        streams.data(serde_json::to_string(&report).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let at = report.site.as_deref().map_or_else(|| "at no site".to_owned(), |site| format!("at {site}"));
    streams.data(format_args!("{}  {}", report.server, plain(&at)));
    for led in &report.registers {
        let leads = led.leads.as_deref().unwrap_or("nobody");
        let by = led.by.as_deref().unwrap_or("the order of succession");
        streams.data(format_args!(
            "  {}  led by {}, token {}, by {}; may lead: {}",
            plain(&led.register),
            plain(leads),
            led.token,
            plain(by),
            plain(&led.succession.join(", "))
        ));
    }
    streams.talk(format_args!(
        "{}; {} may order a change",
        count(report.registers.len() as u64, "register", "registers"),
        count(report.operators.len() as u64, "operator", "operators")
    ));
    Ok(Exit::Done)
}

async fn switch(asked: &AuthoritySwitch, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let key = OperatorKey::open(&asked.operator).map_err(bad_key)?;
    let (conf, report) = report(&asked.shown).await?;
    let (wanted, public) = (asked.register.to_string(), STANDARD.encode(key.public()));
    let led = report.registers.iter().find(|led| led.register == wanted).ok_or_else(|| {
        let known: Vec<&str> = report.registers.iter().map(|led| led.register.as_str()).collect();
        let text = format!("{wanted} is no register of the instance's policy");
        Failure::new(Exit::Usage, text).hint(format!("it has: {}", known.join(", ")))
    })?;
    let operator = report.operators.iter().find(|operator| operator.key == public).ok_or_else(|| {
        let text =
            format!("the key in {} is of no operator whom the instance lists", asked.operator.display());
        Failure::new(Exit::NotAllowed, text)
            .hint(format!("its public half, for `[[continuity.operator]]` of instance.toml: {public}"))
    })?;
    let token = Token::new(led.token).next();
    let token = token.ok_or_else(|| Failure::new(Exit::NotWell, "there is no token above this one"))?;
    let kind = if asked.unplanned { Switch::Unplanned } else { Switch::Planned };
    if asked.unplanned {
        let leads = led.leads.as_deref().unwrap_or("nobody");
        streams.talk(format_args!(
            "warning: {} is not asked. Writes that it acknowledged, and that the copy at {} does not hold, are lost",
            plain(leads),
            plain(&asked.to)
        ));
        streams.agreed(&format!("let {} lead {wanted} without asking {leads}", asked.to), asked.yes)?;
    }
    let claim = Claim { register: asked.register.clone(), token, site: asked.to.clone(), switch: kind };
    let warrant = key.order(claim, Clock::system().now(), &operator.name);
    let dir = conf.authority_dir();
    let file = asked::leave(&dir, &warrant).map_err(|error| disk(&dir, &error))?;
    match wait(&file).await? {
        Answer::Made(made) if asked.shown.json => {
            streams.data(serde_json::to_string(&made).unwrap_or_default());
        }
        Answer::Made(made) => streams.data(made_text(&asked.to, &wanted, token, &made)),
        Answer::Refused(why) => {
            return Err(Failure::new(Exit::NotWell, format!("authority has not passed: {why}"))
                .hint(format!("saatkond authority show --config {}", conf.file.display())));
        }
    }
    Ok(Exit::Done)
}

fn made_text(to: &str, register: &str, token: Token, made: &Switched) -> String {
    let mut out = format!("{} leads {} under token {token}", plain(to), plain(register));
    if made.waited_ms > 0 {
        out.push_str(&format!("; writes waited {} ms", made.waited_ms));
    }
    for (site, why) in &made.untold {
        out.push_str(&format!("\n  {} does not know yet: {}", plain(site), plain(why)));
    }
    out
}

/// Waits for what comes of an order. One that nobody has taken is taken back.
async fn wait(file: &Path) -> Result<Answer, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = asked::answered(file).map_err(|error| disk(file, &error))? {
            return Ok(answer);
        }
        if Instant::now() >= until {
            return Err(match fs::remove_file(file) {
                Ok(()) => Failure::new(Exit::Unavailable, "the gateway has not taken the order; it was taken back")
                    .hint("is it running, with this state directory, and has its instance a continuity part?"),
                Err(_) => Failure::new(
                    Exit::NotWell,
                    "the gateway has taken the order and said nothing: whether authority has passed is not known",
                )
                .hint("saatkond authority show, at each site"),
            });
        }
        sleep(LOOK).await;
    }
}

fn operator_key(asked: &AuthorityKey, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let key = OperatorKey::make(&asked.file).map_err(bad_key)?;
    streams.data(STANDARD.encode(key.public()));
    streams.talk(format_args!(
        "the private half is in {}: keep it with its operator, at no gateway; the line above is `key` of \
         `[[continuity.operator]]` in instance.toml",
        asked.file.display()
    ));
    Ok(Exit::Done)
}

fn bad_key(error: KeysError) -> Failure {
    Failure::new(Exit::Configuration, error.to_string())
}

fn disk(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Disk, format!("{}: {error}", path.display()))
        .hint("run this as the user that runs the gateway")
}
