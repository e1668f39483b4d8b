//! What happens in the demo, and what of it was true.

use super::DemoArgs;
use super::evidence::{self, Evidence};
use super::load::{Call, Load, Outcome, Tally, call};
use super::parts::{Part, Ready};
use super::population;
use super::register::count_effects;
use super::state::{Site, State};
use saatkond_ca::exit::{Exit, Failure, Streams};
use serde_json::json;
use std::time::{Duration, Instant};

/// Callers that ask at the same time.
const CALLERS: usize = 32;
/// Calls that must be under way when home is killed, or the demo proved nothing.
const IN_FLIGHT_MIN: usize = 10;
/// How long the load runs before home is killed, and while it is away.
const LOAD_BEFORE: Duration = Duration::from_millis(1500);
const LOAD_WITHOUT_HOME: Duration = Duration::from_millis(2500);
/// How long it may take until a read is answered by the embassy.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// How long calls may take to return to home once it is back.
const RETURN_WITHIN: Duration = Duration::from_secs(30);
/// How often the load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The demo's processes.
struct Processes {
    trust: Part,
    home: Part,
    home_register: Part,
    embassy: Part,
    embassy_register: Part,
    tax: Part,
}

/// What the demo found, and which of its claims did not hold.
#[derive(Default)]
struct Findings {
    first_exchange: Duration,
    /// Memory that the consumer's gateway holds at the end, in bytes.
    resident: Option<u64>,
    kills: Vec<Kill>,
    evidence: Vec<String>,
    untrue: Vec<String>,
}

/// One kill of home under load.
struct Kill {
    in_flight: usize,
    tally: Tally,
    /// From the kill to the first read that the embassy answered.
    first_abroad: Option<Duration>,
    twice: usize,
    /// Writes that were called refused and took effect all the same.
    refused_and_done: usize,
    lost: usize,
    returned_after: Option<Duration>,
}

/// Where the story is told; with `--json` the counts alone are data.
struct Screen<'a, 'b> {
    streams: &'a mut Streams<'b>,
    json: bool,
}

impl Screen<'_, '_> {
    fn line(&mut self, line: String) {
        if self.json { self.streams.talk(line) } else { self.streams.data(line) }
    }
}

/// Brings the state up, tells the story, and stays until Ctrl-C unless once was asked for.
pub(super) async fn tell(args: &DemoArgs, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let began = Instant::now();
    let state = State::prepare(&args.dir, args.fresh, args.keys).await?;
    if args.lay_out {
        return Ok(Exit::Done);
    }
    let mut screen = Screen { streams, json: args.json };
    let mut parts = Processes::of(&state);
    screen.line(format!("A small state comes up (state kept in {}, Ctrl-C ends it)", args.dir.display()));
    parts.start(&state, &mut screen).await?;

    let mut found = Findings::default();
    first_call(&state, began, &mut found, &mut screen).await?;
    soap_call(&state, &mut found, &mut screen).await;
    for kill in 0..args.kills {
        if kill > 0 {
            // One that remembers no earlier kill: it would take its time to trust home again.
            let failed = |e: anyhow::Error| Failure::new(Exit::Unavailable, format!("{e:#}"));
            parts.tax.kill().await.map_err(failed)?;
            parts.tax.start().await.map_err(failed)?;
        }
        kill_home(&state, &mut parts, &mut found, &mut screen).await?;
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
    stay(&mut parts, &mut screen).await
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
        let failed = |e: anyhow::Error| Failure::new(Exit::Unavailable, format!("{e:#}"));
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

/// Kills home under load, watches reads go on, brings it back.
async fn kill_home(
    state: &State,
    parts: &mut Processes,
    found: &mut Findings,
    screen: &mut Screen<'_, '_>,
) -> Result<(), Failure> {
    let failed = |e: anyhow::Error| Failure::new(Exit::Unavailable, format!("{e:#}"));
    let load = Load::start(&state.target(), CALLERS, &format!("load-{}-{}", state.run(), found.kills.len()));
    tokio::time::sleep(LOAD_BEFORE).await;
    let pid = parts.home.pid().unwrap_or_default();
    let (in_flight, killed) = (load.in_flight(), load.elapsed());
    parts.home.kill().await.map_err(failed)?;
    parts.home_register.kill().await.map_err(failed)?;
    screen.line(String::new());
    screen.line(format!(
        "{CALLERS} callers, one call in five a write; killed HOME (pid {pid} and its register) with {in_flight} calls in flight …"
    ));
    tokio::time::sleep(LOAD_WITHOUT_HOME).await;
    let without = load.last_answer_after(load.elapsed().saturating_sub(LOAD_WITHOUT_HOME / 2));

    parts.home_register.start().await.map_err(failed)?;
    parts.home.start().await.map_err(failed)?;
    let back = load.elapsed();
    let mut returned_after = None;
    while returned_after.is_none() && load.elapsed() < back + RETURN_WITHIN {
        tokio::time::sleep(LOOK_EVERY).await;
        if load.settled_at("HOME", back) {
            returned_after = Some(load.elapsed() - back);
        }
    }
    let calls = load.finish().await;
    let kill = Kill::of(&calls, (in_flight, killed), returned_after, state).map_err(failed)?;
    kill.tell(without.as_deref(), found.kills.len(), found, screen);
    found.kills.push(kill);
    Ok(())
}

impl Kill {
    fn of(
        calls: &[Call],
        (in_flight, killed): (usize, Duration),
        returned_after: Option<Duration>,
        state: &State,
    ) -> anyhow::Result<Self> {
        let effects =
            count_effects(&[state.home.register_file.clone(), state.embassy.register_file.clone()])?;
        let writes = || calls.iter().filter(|c| c.write);
        let count = |id: &str| effects.get(id).copied().unwrap_or(0);
        let abroad =
            |c: &&Call| !c.write && c.ended >= killed && c.outcome == Outcome::Answered("EMBASSY".to_owned());
        Ok(Self {
            in_flight,
            tally: Tally::of(calls),
            first_abroad: calls.iter().find(abroad).map(|c| c.ended.saturating_sub(killed)),
            refused_and_done: writes().filter(|c| c.outcome == Outcome::Refused && count(&c.id) > 0).count(),
            twice: writes().filter(|c| count(&c.id) > 1).count(),
            lost: writes().filter(|c| matches!(c.outcome, Outcome::Answered(_)) && count(&c.id) == 0).count(),
            returned_after,
        })
    }

    fn tell(&self, without: Option<&str>, number: usize, found: &mut Findings, screen: &mut Screen<'_, '_>) {
        let tally = &self.tally;
        screen.line(format!(
            "  reads     {} answered, {} failed, longest {} ms; without home answered by {}, first after {} ms",
            tally.reads_answered,
            tally.reads_failed,
            tally.read_longest.as_millis(),
            without.unwrap_or("nobody"),
            self.first_abroad.map_or_else(|| "no".to_owned(), |after| after.as_millis().to_string())
        ));
        screen.line(format!(
            "  writes    {} done, {} told \"outcome unknown\", {} refused and not done, {} done twice (counted by the register)",
            tally.writes_done, tally.writes_unknown, tally.writes_refused, self.twice
        ));
        screen.line(format!(
            "  pause     {} ms at most without an answer to anybody",
            tally.longest_pause.as_millis()
        ));
        match self.returned_after {
            Some(after) => {
                screen.line(format!("HOME is back: reads return to it after {:.1} s", after.as_secs_f64()))
            }
            None => screen.line("HOME is back, and no call returned to it".to_owned()),
        }
        screen.line("  note      writes wait for HOME, which leads the register; to let EMBASSY lead is an operator's order".to_owned());
        let mut hold = |claim: bool, what: String| {
            if !claim {
                found.untrue.push(format!("kill {}: {what}", number + 1));
            }
        };
        hold(
            self.in_flight >= IN_FLIGHT_MIN,
            format!("at least {IN_FLIGHT_MIN} calls in flight, {} were", self.in_flight),
        );
        hold(tally.reads_failed == 0, format!("no read fails; told: {:?}", tally.failures));
        hold(
            tally.writes_failed == 0,
            format!("a write fails only in known words; told: {:?}", tally.failures),
        );
        hold(
            self.refused_and_done == 0,
            format!("what is refused is not done, {} were", self.refused_and_done),
        );
        hold(
            self.first_abroad.is_some_and(|after| after <= FIRST_WITHIN),
            format!("the embassy answers within {FIRST_WITHIN:?}, it did after {:?}", self.first_abroad),
        );
        hold(without == Some("EMBASSY"), format!("the embassy answers while home is away, {without:?} did"));
        hold(self.twice == 0, format!("no write is done twice, {} were", self.twice));
        hold(
            self.lost == 0,
            format!("every write that was answered is in a register, {} are not", self.lost),
        );
        hold(self.returned_after.is_some(), "calls return to home".to_owned());
    }
}

impl Findings {
    fn to_json(&self) -> String {
        let sum = |of: fn(&Kill) -> usize| self.kills.iter().map(of).sum::<usize>();
        let mut answered_by: Vec<&str> =
            self.kills.iter().flat_map(|k| k.tally.answered_by.keys().map(String::as_str)).collect();
        answered_by.sort_unstable();
        answered_by.dedup();
        let longest =
            |of: fn(&Kill) -> Duration| self.kills.iter().map(of).max().unwrap_or_default().as_millis();
        json!({
            "first_exchange_ms": self.first_exchange.as_millis(),
            "consumer_gateway_resident_bytes": self.resident,
            "answered_by": answered_by,
            "kills": self.kills.len(),
            "in_flight_at_kill": self.kills.iter().map(|k| k.in_flight).min(),
            "reads": {
                "answered": sum(|k| k.tally.reads_answered),
                "failed": sum(|k| k.tally.reads_failed),
                "longest_ms": longest(|k| k.tally.read_longest),
            },
            "writes": {
                "done": sum(|k| k.tally.writes_done),
                "unknown": sum(|k| k.tally.writes_unknown),
                "refused": sum(|k| k.tally.writes_refused),
                "failed": sum(|k| k.tally.writes_failed),
                "twice": sum(|k| k.twice),
                "lost": sum(|k| k.lost),
            },
            "first_read_abroad_ms": self.kills.iter().filter_map(|k| k.first_abroad).max().map(|d| d.as_millis()),
            "longest_pause_ms": longest(|k| k.tally.longest_pause),
            "evidence": self.evidence,
            "untrue": self.untrue,
        })
        .to_string()
    }
}
