//! The names `X-Road-Cont-*`: in which direction each travels, and how its value is written.
//!
//! Before the register is called every such name of the message is dropped and ours are set; from the register's answer
//! every such name is dropped before ours are added. The signed bytes stay as they came.

use std::time::Duration;

/// What all names begin with.
pub const PREFIX: &str = "X-Road-Cont-";
/// To the provider: how old what a read sees may be, in seconds.
pub const MAX_STALENESS: &str = "X-Road-Cont-Max-Staleness";
/// To the consumer: who answered, with what authority. [`State`].
pub const STATE: &str = "X-Road-Cont-State";
/// To the consumer: how old what a read saw was, in seconds.
pub const STALENESS: &str = "X-Road-Cont-Staleness";
/// To the consumer: how a call that was refused may be tried again.
pub const RETRY: &str = "X-Road-Cont-Retry";
/// To the register: the token of the authority under which it is called.
pub const TOKEN: &str = "X-Road-Cont-Token";

/// All names that are known.
pub const ALL: [&str; 5] = [MAX_STALENESS, STATE, STALENESS, RETRY, TOKEN];

/// Whether a name is one of ours, in whatever case.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Who leads a register, as far as the one who answers knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lead {
    /// The first of its succession.
    HomeActive,
    /// Another site.
    EmbassyActive,
}

/// Who answered, and with what authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Who leads.
    pub lead: Lead,
    /// The site that answered.
    pub site: String,
    /// Whether that site leads; else its copy answered.
    pub is_authority: bool,
    /// The highest token it knows.
    pub token: u64,
}

impl State {
    /// Writes the header's value: `HOME_ACTIVE;site=lux1;copy=STANDBY;token=0`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let lead = match self.lead {
            Lead::HomeActive => "HOME_ACTIVE",
            Lead::EmbassyActive => "EMBASSY_ACTIVE",
        };
        let copy = if self.is_authority { "AUTHORITY" } else { "STANDBY" };
        format!("{lead};site={};copy={copy};token={}", self.site, self.token)
    }

    /// Reads what [`State::to_text`] writes; parameters that are not known are passed over.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let lead = match parts.next()? {
            "HOME_ACTIVE" => Lead::HomeActive,
            "EMBASSY_ACTIVE" => Lead::EmbassyActive,
            _ => return None,
        };
        let (mut site, mut copy, mut token) = (None, None, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "site" => site = Some(value),
                "copy" => copy = Some(value),
                "token" => token = Some(value),
                _ => {}
            }
        }
        let is_authority = match copy? {
            "AUTHORITY" => true,
            "STANDBY" => false,
            _ => return None,
        };
        Some(Self { lead, site: site?.to_owned(), is_authority, token: token?.parse().ok()? })
    }
}

/// Writes a span as the headers carry it: seconds, with thousandths rounded up where there are any.
#[must_use]
pub fn seconds(span: Duration) -> String {
    let millis = span.as_nanos().div_ceil(1_000_000);
    let (whole, rest) = (millis / 1000, millis % 1000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
}

/// Reads seconds: digits, at most one point with one to three digits behind it.
#[must_use]
pub fn from_seconds(text: &str) -> Option<Duration> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str, max: usize| (1..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 10) || !digits(rest, 3) {
        return None;
    }
    let millis: u64 = format!("{rest:0<3}").parse().ok()?;
    Some(Duration::from_secs(whole.parse().ok()?).saturating_add(Duration::from_millis(millis)))
}
