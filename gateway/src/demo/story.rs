//! What happens in the demo.
//!
//! ```text
//! a call by REST, one by SOAP, and what they left behind
//! 32 callers: authority passes abroad and back, as planned → home is killed → the embassy is let lead without it
//!   → home is back → authority passes back, as planned → reads return
//! ```

use super::DemoArgs;
use super::evidence::{self, Evidence};
use super::findings::{Findings, Kill, Moments, Seen};
use super::live::{self, Believed, Form, View};
use super::load::{Load, Outcome, call};
use super::operator;
use super::parts::{Part, Ready};
use super::population;
use super::register::ids_in;
use super::state::{Site, State};
use saatkond_ca::exit::{Exit, Failure, Streams};
use std::time::{Duration, Instant};

/// Callers that ask at the same time.
const CALLERS: usize = 32;
/// How long the load runs before anything happens, and between two things that happen.
const BETWEEN: Duration = Duration::from_millis(1000);
/// How long nobody leads once home is killed.
const LOAD_WITHOUT_HOME: Duration = Duration::from_millis(2000);
/// How long calls may take to return to home once it is back.
const RETURN_WITHIN: Duration = Duration::from_secs(40);
/// How often the load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The demo's processes.
struct Processes {
    trust: Part,
    home: Part,
    home_register: Part,
    embassy: Part,
    embassy_register: Part,
    tax: Part,
}

/// Where the story is told; with `--json` the counts alone are data.
pub(super) struct Screen<'a, 'b> {
    pub(super) streams: &'a mut Streams<'b>,
    json: bool,
    pub(super) form: Form,
    /// Whether a line of the live view stands there.
    pub(super) is_drawn: bool,
}

impl Screen<'_, '_> {
    pub(super) fn line(&mut self, line: String) {
        if std::mem::take(&mut self.is_drawn) {
            live::clear(self.streams);
        }
        if self.json { self.streams.talk(line) } else { self.streams.data(line) }
    }
}

fn failed(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("{error:#}"))
}

/// Brings the state up, tells the story, and stays until Ctrl-C unless once was asked for.
pub(super) async fn tell(args: &DemoArgs, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let began = Instant::now();
    let state = State::prepare(&args.dir, args.fresh, args.keys).await?;
    if args.lay_out {
        return Ok(Exit::Done);
    }
    let form = Form::of_output(args.json);
    let mut screen = Screen { streams, json: args.json, form, is_drawn: false };
    let mut parts = Processes::of(&state);
    let told = tell_of(args, &state, (&mut parts, began), &mut screen).await;
    for part in parts.all() {
        // Waits until it is gone: whoever starts the next demo finds the ports free.
        part.kill().await.map_err(failed)?;
    }
    told
}

async fn tell_of(
    args: &DemoArgs,
    state: &State,
    (parts, began): (&mut Processes, Instant),
    screen: &mut Screen<'_, '_>,
) -> Result<Exit, Failure> {
    screen.line(format!("A small state comes up (state kept in {}, Ctrl-C ends it)", args.dir.display()));
    parts.start(state, screen).await?;

    let mut found = Findings::default();
    first_call(state, began, &mut found, screen).await?;
    soap_call(state, &mut found, screen).await;
    for kill in 0..args.kills {
        if kill > 0 {
            // One that remembers no earlier kill: it would take its time to trust home again.
            parts.tax.kill().await.map_err(failed)?;
            parts.tax.start().await.map_err(failed)?;
        }
        under_load(state, parts, &mut found, screen).await?;
    }
    found.resident = parts.tax.resident_bytes();
    for line in state.try_it() {
        screen.line(line);
    }
    for untrue in &found.untrue {
        screen.line(format!("NOT TRUE: {untrue}"));
    }
    if args.json {
        screen.streams.data(found.to_json());
    }
    if args.once {
        return Ok(if found.untrue.is_empty() { Exit::Done } else { Exit::NotWell });
    }
    stay(parts, screen).await
}

/// Waits for Ctrl-C. Parts may end before: somebody wants to see what the others do without one.
async fn stay(parts: &mut Processes, screen: &mut Screen<'_, '_>) -> Result<Exit, Failure> {
    let mut look = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            _ = look.tick() => parts.all().into_iter().filter_map(Part::ended).for_each(|line| screen.line(line)),
        }
    }
}

impl Processes {
    fn of(state: &State) -> Self {
        let logs = state.logs();
        let gateway =
            |name, site: &Site| Part::new(name, site.run_arguments(), Ready::Says(site.health), &logs);
        let register = |name, site: &Site, peer: &Site| {
            Part::new(name, site.register_arguments(peer), Ready::Accepts(site.register), &logs)
        };
        Self {
            trust: Part::new("trust", state.trust_arguments(), Ready::Accepts(state.trust), &logs),
            home: gateway("home", &state.home),
            home_register: register("home-register", &state.home, &state.embassy),
            embassy: gateway("embassy", &state.embassy),
            embassy_register: register("embassy-register", &state.embassy, &state.home),
            tax: gateway("tax", &state.tax),
        }
    }

    fn all(&mut self) -> [&mut Part; 6] {
        [
            &mut self.trust,
            &mut self.home,
            &mut self.home_register,
            &mut self.embassy,
            &mut self.embassy_register,
            &mut self.tax,
        ]
    }

    async fn start(&mut self, state: &State, screen: &mut Screen<'_, '_>) -> Result<(), Failure> {
        let mut line = |what: &str, who: &str, at: String, took: Duration| {
            screen.line(format!("  {what:<9} {who:<68} {at:<16} {:>4.1} s", took.as_secs_f64()));
        };
        let took = self.trust.start().await.map_err(failed)?;
        let trust = "certification authority, OCSP, time-stamps, signed configuration";
        line("trust", trust, state.trust.to_string(), took);
        let (a, b) = tokio::join!(self.home_register.start(), self.embassy_register.start());
        let registers = a.map_err(failed)?.max(b.map_err(failed)?);
        let (home, embassy, tax) = tokio::join!(self.home.start(), self.embassy.start(), self.tax.start());
        for (what, site, took) in
            [("home", &state.home, home), ("embassy", &state.embassy, embassy), ("consumer", &state.tax, tax)]
        {
            line(what, &site.title(), site.shown.to_string(), took.map_err(failed)?);
        }
        line(
            "register",
            "registers DEV/GOV/M2/LAND and …/POPULATION, copies at each site",
            String::new(),
            registers,
        );
        Ok(())
    }
}

/// One read, and what was proven by it.
async fn first_call(
    state: &State,
    began: Instant,
    found: &mut Findings,
    screen: &mut Screen<'_, '_>,
) -> Result<(), Failure> {
    let target = state.target();
    let asked = Instant::now();
    let id = format!("demo-{}", state.run());
    let outcome = call(&mut None, &target, &id, false).await;
    let took = asked.elapsed();
    found.first_exchange = began.elapsed();
    screen.line(String::new());
    let Outcome::Answered(copy) = &outcome else {
        found.untrue.push(format!("the first call is answered: {outcome:?}"));
        return Ok(());
    };
    let call = format!("GET {}/titles/1001", target.service);
    screen.line(format!("{call:<79} 200 in {:.1} ms, answered by {copy}", took.as_secs_f64() * 1000.0));
    prove(state, (&id, ""), copy, found, screen).await;
    Ok(())
}

/// One SOAP message, answered with an attachment, and what was proven by it.
async fn soap_call(state: &State, found: &mut Findings, screen: &mut Screen<'_, '_>) {
    let (asked, id) = (Instant::now(), format!("demo-soap-{}", state.run()));
    let person = population::ask(&state.target(), &id).await;
    let took = asked.elapsed();
    screen.line(String::new());
    match person {
        Ok(person) => {
            let call = format!("POST {}, with a portrait of {} bytes", population::SERVICE, person.portrait);
            let (ms, copy) = (took.as_secs_f64() * 1000.0, &person.copy);
            screen.line(format!("{call:<79} 200 in {ms:.1} ms, answered by {copy}"));
            prove(state, (&id, "soap-"), copy, found, screen).await;
        }
        Err(e) => found.untrue.push(format!("the SOAP call is answered: {e:#}")),
    }
}

/// Tells what an exchange left behind; `name` begins the names of its containers.
async fn prove(
    state: &State,
    (id, name): (&str, &'static str),
    copy: &str,
    found: &mut Findings,
    screen: &mut Screen<'_, '_>,
) {
    match evidence::of_exchange(state, id, state.site(copy), name).await {
        Ok(Evidence { lines, files }) => {
            lines.into_iter().for_each(|line| screen.line(line));
            found.evidence.extend(files.iter().map(|f| f.display().to_string()));
        }
        Err(e) => found.untrue.push(format!("the call left evidence that holds: {e:#}")),
    }
}

/// Lets authority pass as planned, kills home, lets the embassy lead without it, and brings everything back; under load.
async fn under_load(
    state: &State,
    parts: &mut Processes,
    found: &mut Findings,
    screen: &mut Screen<'_, '_>,
) -> Result<(), Failure> {
    if operator::leads(&state.home).await.map_err(failed)?.as_deref() != Some("home") {
        // An earlier demo ended in the middle.
        operator::planned(state, &state.home, "home").await.map_err(failed)?;
    }
    screen.line(String::new());
    screen.line(format!("{CALLERS} callers, one call in five a write"));
    let load = Load::start(&state.target(), CALLERS, &format!("load-{}-{}", state.run(), found.kills.len()));
    let mut act =
        Act { load, view: View::new(state.tax.health), at: Moments::default(), seen: Seen::default() };
    act.changes_as_planned(state, screen).await?;
    act.kills_home(state, parts, screen).await?;
    act.brings_home_back(state, parts, screen).await?;
    if let Some(believed) = Believed::at(state.tax.health).await {
        act.seen.retried = believed.retried;
    }
    let calls = act.load.finish().await;
    let kill = Kill::of(&calls, act.at, act.seen, state).map_err(failed)?;
    kill.tell(screen);
    found.untrue.extend(kill.untrue(found.kills.len()));
    found.kills.push(kill);
    Ok(())
}

/// What happens under one load.
struct Act {
    load: Load,
    view: View,
    at: Moments,
    seen: Seen,
}

impl Act {
    async fn planned(
        &mut self,
        state: &State,
        screen: &mut Screen<'_, '_>,
        (by, to): (&Site, &str),
    ) -> Result<(), Failure> {
        let ordered = operator::planned(state, by, to);
        let ordered = self.view.during(&self.load, screen, ordered).await.map_err(failed)?;
        let waited = ordered.waited;
        screen.line(format!(
            "an operator lets {} lead, as planned: writes waited {} ms",
            to.to_uppercase(),
            waited.as_millis()
        ));
        self.seen.waited.push(waited);
        Ok(())
    }

    /// Abroad and back.
    async fn changes_as_planned(
        &mut self,
        state: &State,
        screen: &mut Screen<'_, '_>,
    ) -> Result<(), Failure> {
        self.view.watch(&self.load, screen, BETWEEN).await;
        self.at.changed = self.load.elapsed();
        self.planned(state, screen, (&state.home, "embassy")).await?;
        self.view.watch(&self.load, screen, BETWEEN).await;
        self.planned(state, screen, (&state.home, "home")).await?;
        self.view.watch(&self.load, screen, BETWEEN).await;
        // The copy that led a moment ago may be read once it has told how old it is.
        let until = self.load.elapsed() + RETURN_WITHIN;
        while self.view.believed.staleness.is_none() && self.load.elapsed() < until {
            self.view.watch(&self.load, screen, LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Reads go on; writes wait for an operator, who may lose some.
    async fn kills_home(
        &mut self,
        state: &State,
        parts: &mut Processes,
        screen: &mut Screen<'_, '_>,
    ) -> Result<(), Failure> {
        let pid = parts.home.pid().unwrap_or_default();
        self.seen.in_flight = self.load.in_flight();
        self.at.killed = self.load.elapsed();
        parts.home.kill().await.map_err(failed)?;
        parts.home_register.kill().await.map_err(failed)?;
        screen.line(format!(
            "killed HOME (pid {pid} and its register) with {} calls in flight; reads go on, writes wait for who leads",
            self.seen.in_flight
        ));
        self.view.watch(&self.load, screen, LOAD_WITHOUT_HOME).await;
        self.seen.abroad = ids_in(&state.embassy.register_file).map_err(failed)?;
        self.at.ordered = self.load.elapsed();
        let ordered = operator::unplanned(state, &state.embassy, "embassy");
        let ordered = self.view.during(&self.load, screen, ordered).await.map_err(failed)?;
        screen.line("an operator lets EMBASSY lead without HOME".to_owned());
        if let Some(warning) = &ordered.warning {
            screen.line(format!("  warned    {warning}"));
        }
        self.seen.warning = ordered.warning;
        self.view.watch(&self.load, screen, BETWEEN).await;
        Ok(())
    }

    /// Home hears that it leads no more, catches up, and is let lead again; reads return to it by themselves.
    async fn brings_home_back(
        &mut self,
        state: &State,
        parts: &mut Processes,
        screen: &mut Screen<'_, '_>,
    ) -> Result<(), Failure> {
        let starting = async {
            parts.home_register.start().await?;
            parts.home.start().await
        };
        self.view.during(&self.load, screen, starting).await.map_err(failed)?;
        self.at.back = self.load.elapsed();
        screen.line("HOME is back, and leads no more".to_owned());
        self.view.watch(&self.load, screen, BETWEEN).await;
        self.planned(state, screen, (&state.embassy, "home")).await?;
        while self.seen.returned_after.is_none() && self.load.elapsed() < self.at.back + RETURN_WITHIN {
            self.view.watch(&self.load, screen, LOOK_EVERY).await;
            // One that passes reads on to home is not home.
            if self.view.believed.at_home && self.load.settled_at("HOME", self.at.back) {
                self.seen.returned_after = Some(self.load.elapsed().saturating_sub(self.at.back));
            }
        }
        Ok(())
    }
}
