//! Which copy of a register answers: ours where it is fresh enough for a read, else another site's.
//!
//! What is not a register of the instance's decision goes as everywhere in X-Road. What is said about an answer goes into
//! its signed block; what a register is told stands in its request. Nobody else's word under such a name gets through.

use super::authorise::{Called, Permitted};
use crate::Gateway;
use crate::net::question::Question;
use crate::world::{Standing, World};
use saatkond_proto::continuity::access::declared;
use saatkond_proto::continuity::header::{self, Lead, MAX_STALENESS, STALENESS, STATE, State, TOKEN};
use saatkond_proto::continuity::staleness::{bound, is_fresh};
use saatkond_proto::continuity::{Access, Register, access};
use saatkond_proto::fault::{Fault, Leaf, Retry};
use saatkond_proto::message::rest::Headers;
use std::time::Duration;

/// Who answers a call.
#[derive(Debug)]
pub enum Course {
    /// No register is called: as everywhere in X-Road.
    Plain,
    /// Our copy answers.
    Serve(Serving),
    /// Another site must, and this is told where none can be asked.
    Pass(Box<Fault>),
}

/// With what authority our copy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    state: State,
    /// How old what a read sees is; `None` for a write.
    age: Option<Duration>,
}

/// Judges which copy answers a call that is permitted.
///
/// # Errors
/// [`Fault`] with `invalid_request` for a demand that is none.
pub fn course(gateway: &Gateway, world: &World, permitted: &Permitted) -> Result<Course, Fault> {
    let (id, question) = (permitted.question().service(), permitted.question());
    let register = world.conf.continuity().and_then(|policy| policy.register(&id.client));
    let Some(register) = register.filter(|_| matches!(permitted.called(), Called::Service(_))) else {
        return Ok(Course::Plain);
    };
    let Some(state) = state(gateway, world, register) else {
        let text = format!("nobody may lead register {} here", register.id);
        return Ok(Course::Pass(Box::new(Fault::new(Leaf::ClassForbidden, text))));
    };
    if access_of(world, register, question) == Access::Write {
        return Ok(Course::Serve(Serving { state, age: None }));
    }
    let allowed = bound(register, demanded(question)?);
    let age = if state.is_authority { Some(Duration::ZERO) } else { gateway.embassy.staleness(&register.id) };
    let standing = world.standing(&register.id);
    let is_good = is_fresh(age, allowed) && *standing == Standing::Copy;
    let answers = state.is_authority || gateway.embassy.registers.is_up(&register.id);
    match age {
        Some(age) if is_good && answers => Ok(Course::Serve(Serving { state, age: Some(age) })),
        _ if is_good => {
            let fault = Fault::new(Leaf::StalenessExceeded, "the copy here does not answer");
            Ok(Course::Pass(Box::new(fault.retry(Retry::Untouched))))
        }
        _ => Ok(Course::Pass(Box::new(too_old(standing, age, allowed)))),
    }
}

/// Whether a call reads or writes: as the instance declares it, else as this server does, else by its method.
#[must_use]
pub fn access_of(world: &World, register: &Register, question: &Question) -> Access {
    let service = question.service();
    let Question::Rest(request) = question else { return access(Some(register), service, None, "") };
    let (method, path) = (request.method, request.service_path.as_str());
    let by_policy = declared(register, service, Some(method), path);
    let declared = by_policy.or_else(|| world.server.declared(service, method, path));
    declared.unwrap_or_else(|| Access::of_method(method))
}

/// Who leads, seen from here; `None` where nobody may.
fn state(gateway: &Gateway, world: &World, register: &Register) -> Option<State> {
    let server = &gateway.conf.server;
    let holder = gateway.embassy.holder(&world.conf, server, &register.id)?;
    let site = world.conf.continuity()?.site_of(server)?;
    let lead = if register.home() == Some(&holder.site) { Lead::HomeActive } else { Lead::EmbassyActive };
    Some(State { lead, site: site.id.clone(), is_authority: holder.is_us, token: holder.token.value() })
}

/// How old what it sees may be, as who asks demands it: of several demands the strictest. SOAP has no place for one.
fn demanded(question: &Question) -> Result<Option<Duration>, Fault> {
    let Question::Rest(request) = question else { return Ok(None) };
    let read = |text: &str| {
        header::from_seconds(text.trim()).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let text = format!("{MAX_STALENESS} is {shown:?}, expected seconds, such as 5 or 0.5");
            Fault::new(Leaf::InvalidRequest, text)
        })
    };
    let demands = request.headers.all(MAX_STALENESS).map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(demands.into_iter().min())
}

fn too_old(standing: &Standing, age: Option<Duration>, allowed: Duration) -> Fault {
    let copy = match (standing, age) {
        (Standing::Copy, Some(age)) => format!("the copy here is {} s old", header::seconds(age)),
        (Standing::Copy, None) => "how old the copy here is is not known".to_owned(),
        _ => "there is no copy here".to_owned(),
    };
    let text = format!("{copy}, and at most {} s are allowed", header::seconds(allowed));
    Fault::new(Leaf::StalenessExceeded, text).retry(Retry::Untouched)
}

impl Serving {
    /// What is said with the answer, signed with it.
    #[must_use]
    pub fn told(&self) -> Headers {
        let mut told = Headers::default();
        told.push(STATE, self.state.to_text());
        if let Some(age) = self.age {
            told.push(STALENESS, header::seconds(age));
        }
        told
    }

    /// Whether the call leaves the register as it was: it may be asked twice.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.age.is_some()
    }

    /// What the register is told: under which token it is called.
    #[must_use]
    pub fn to_register(&self) -> (&'static str, String) {
        (TOKEN, self.state.token.to_string())
    }
}

impl Course {
    /// Our copy's answer, or `None` for what is no register.
    ///
    /// # Errors
    /// The [`Fault`] of a call that another site must answer.
    pub fn served(self) -> Result<Option<Serving>, Fault> {
        match self {
            Self::Plain => Ok(None),
            Self::Serve(serving) => Ok(Some(serving)),
            Self::Pass(refusal) => Err(*refusal),
        }
    }
}
