//! The live view: who answers now, how fast, how old the copy abroad is, and what failed so far.
//!
//! On a terminal one line that is drawn anew several times a second; elsewhere a plain line each time that somebody else
//! answers. Colour is never the only sign, and `NO_COLOR` is obeyed.

use super::load::{Call, Load, Outcome};
use super::story::Screen;
use crate::admin::sites::SitesReport;
use saatkond_ca::exit::Streams;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often the view is renewed.
const TICK: Duration = Duration::from_millis(250);
/// How long the gateway may take to tell what it believes of sites.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// Back to the start of the line, which is cleared.
const CLEAR: &str = "\r\x1b[2K";

/// How the view is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One line, drawn anew.
    Drawn {
        /// Whether in colour.
        colour: bool,
    },
    /// A line at each change.
    Plain,
}

impl Form {
    /// What suits standard output.
    pub(super) fn of_output(json: bool) -> Self {
        if json || !std::io::stdout().is_terminal() {
            return Self::Plain;
        }
        Self::Drawn { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }
}

/// Takes a drawn line away.
pub(super) fn clear(streams: &mut Streams<'_>) {
    streams.bytes(CLEAR.as_bytes());
}

/// Calls of one kind in one tick.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Kind {
    /// Which copy answered most of them; `None` when none was answered.
    by: Option<String>,
    per_second: u64,
    /// How long the middle one took.
    usual: Duration,
}

impl Kind {
    fn of(calls: &[Call], write: bool, span: Duration) -> Self {
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        let mut took: Vec<Duration> = Vec::new();
        for call in calls.iter().filter(|call| call.write == write) {
            if let Outcome::Answered(copy) = &call.outcome {
                *by.entry(copy).or_default() += 1;
                took.push(call.took);
            }
        }
        took.sort_unstable();
        let millis = span.as_millis().max(1);
        let per_second = (took.len() as u128 * 1000 + millis / 2) / millis;
        Self {
            by: by.into_iter().max_by_key(|(_, count)| *count).map(|(copy, _)| copy.to_owned()),
            per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
            usual: took.get(took.len() / 2).copied().unwrap_or_default(),
        }
    }

    fn text(&self, what: &str, paint: &Paint) -> String {
        match &self.by {
            Some(by) => {
                format!("{what} {} {:>5}/s {:>4} ms", paint.good(by), self.per_second, self.usual.as_millis())
            }
            None => format!("{what} {}", paint.bad("nobody")),
        }
    }
}

/// Calls that were not answered, since the load began.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Losses {
    failed: usize,
    unknown: usize,
    refused: usize,
}

impl Losses {
    fn add(&mut self, calls: &[Call]) {
        for call in calls {
            match &call.outcome {
                Outcome::Answered(_) => {}
                Outcome::Unknown => self.unknown += 1,
                Outcome::Refused => self.refused += 1,
                Outcome::Failed(_) => self.failed += 1,
            }
        }
    }
}

/// What the consumer's gateway believes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Believed {
    /// How old the copy abroad is.
    pub(super) staleness: Option<Duration>,
    /// Whether it leads.
    leads_abroad: bool,
    /// Whether all reads are brought to home.
    pub(super) at_home: bool,
    /// Second attempts that were made.
    pub(super) retried: u64,
}

impl Believed {
    /// Asks the gateway's health port at `address`.
    pub(super) async fn at(address: SocketAddr) -> Option<Self> {
        let page = tokio::time::timeout(TOLD_WITHIN, page(address)).await.ok()?.ok()?;
        let report: SitesReport = serde_json::from_slice(&page).ok()?;
        let register = report.registers.iter().find(|register| register.register.ends_with("/LAND"))?;
        let abroad = register.sites.iter().find(|site| site.site == "embassy");
        let age = abroad.and_then(|site| site.doors.iter().find_map(|door| door.staleness_ms));
        let home = register.sites.iter().find(|site| site.site == "home");
        Some(Self {
            staleness: age.map(Duration::from_millis),
            leads_abroad: register.authority.as_deref() == Some("embassy"),
            at_home: home.is_some_and(|home| home.reads_percent >= 100.0),
            retried: register.second_attempts,
        })
    }
}

async fn page(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /sites HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
    Ok(answer.split_off(body))
}

/// The view of one load.
pub(super) struct View {
    health: SocketAddr,
    /// Calls that were counted.
    seen: usize,
    losses: Losses,
    pub(super) believed: Believed,
    ticked: Instant,
    /// Who answered reads and writes when a plain line was last printed, and at the last tick.
    told: (Option<String>, Option<String>),
    last: (Option<String>, Option<String>),
}

impl View {
    /// A view of calls that go through the gateway whose health port is at `health`.
    pub(super) fn new(health: SocketAddr) -> Self {
        let nobody = || (None, None);
        let (seen, ticked) = (0, Instant::now());
        let (losses, believed) = (Losses::default(), Believed::default());
        Self { health, seen, losses, believed, ticked, told: nobody(), last: nobody() }
    }

    /// Shows what happens for so long.
    pub(super) async fn watch(&mut self, load: &Load, screen: &mut Screen<'_, '_>, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            tokio::time::sleep_until((self.ticked + TICK).min(until)).await;
            if self.ticked.elapsed() >= TICK {
                self.tick(load, screen).await;
            }
        }
    }

    /// Shows what happens until something is done.
    pub(super) async fn during<T>(
        &mut self,
        load: &Load,
        screen: &mut Screen<'_, '_>,
        doing: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                () = tokio::time::sleep_until(self.ticked + TICK) => self.tick(load, screen).await,
            }
        }
    }

    async fn tick(&mut self, load: &Load, screen: &mut Screen<'_, '_>) {
        let span = self.ticked.elapsed();
        self.ticked = Instant::now();
        self.believed = Believed::at(self.health).await.unwrap_or(self.believed);
        let calls = load.after(self.seen);
        self.seen += calls.len();
        self.losses.add(&calls);
        let (reads, writes) = (Kind::of(&calls, false, span), Kind::of(&calls, true, span));
        let by = (reads.by.clone(), writes.by.clone());
        match screen.form {
            Form::Drawn { colour } => {
                screen
                    .streams
                    .bytes(format!("{CLEAR}{}", self.line(&reads, &writes, &Paint(colour))).as_bytes());
                let _ = std::io::stdout().flush();
                screen.is_drawn = true;
            }
            // Said once it has been so for two ticks: one call that tries is no change.
            Form::Plain if by == self.last && by != self.told => {
                let line = self.line(&reads, &writes, &Paint(false));
                screen.line(format!("{line}  at {:.1} s", load.elapsed().as_secs_f64()));
                self.told = by.clone();
            }
            Form::Plain => {}
        }
        self.last = by;
    }

    fn line(&self, reads: &Kind, writes: &Kind, paint: &Paint) -> String {
        let (losses, believed) = (self.losses, self.believed);
        let age = believed
            .staleness
            .map_or_else(|| "of no known age".to_owned(), |age| format!("is {:.1} s old", age.as_secs_f64()));
        let age = if believed.leads_abroad { "leads".to_owned() } else { age };
        let failed = format!("failed {}", losses.failed);
        format!(
            "  {} | {} | copy abroad {age} | {}, unknown {}, refused {}, retried {}",
            reads.text("reads", paint),
            writes.text("writes", paint),
            if losses.failed > 0 { paint.bad(&failed) } else { failed },
            losses.unknown,
            losses.refused,
            believed.retried,
        )
    }
}

/// Whether there is colour.
struct Paint(bool);

impl Paint {
    fn good(&self, text: &str) -> String {
        self.with(32, text)
    }

    fn bad(&self, text: &str) -> String {
        self.with(31, text)
    }

    fn with(&self, colour: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(write: bool, outcome: Outcome, took: u64) -> Call {
        let (took, ended) = (Duration::from_millis(took), Duration::ZERO);
        Call { id: String::new(), write, outcome, took, ended }
    }

    #[test]
    fn a_line_tells_who_answers_and_what_failed() {
        let answered = |copy: &str| Outcome::Answered(copy.to_owned());
        let mut calls: Vec<Call> = (0..49).map(|n| call(false, answered("EMBASSY"), n)).collect();
        calls.push(call(false, answered("HOME"), 900));
        calls.extend([call(true, Outcome::Refused, 1), call(true, Outcome::Unknown, 1)]);
        let span = Duration::from_millis(250);
        let mut view = View::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        view.losses.add(&calls);
        view.believed = Believed {
            staleness: Some(Duration::from_millis(140)),
            leads_abroad: false,
            at_home: true,
            retried: 7,
        };
        let (reads, writes) = (Kind::of(&calls, false, span), Kind::of(&calls, true, span));
        assert_eq!(
            view.line(&reads, &writes, &Paint(false)),
            "  reads EMBASSY   200/s   25 ms | writes nobody | copy abroad is 0.1 s old | failed 0, unknown 1, \
             refused 1, retried 7"
        );
        view.losses.failed = 2;
        let painted = view.line(&reads, &writes, &Paint(true));
        assert!(painted.contains("\x1b[32mEMBASSY\x1b[0m") && painted.contains("\x1b[31mnobody\x1b[0m"));
        assert!(painted.contains("\x1b[31mfailed 2\x1b[0m"), "{painted:?}");
    }

    #[test]
    fn data_is_never_drawn() {
        assert_eq!(Form::of_output(true), Form::Plain);
    }
}
