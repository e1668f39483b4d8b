//! Who may write to a register now: tokens, the warrants that give them, and what a site does with a write.
//!
//! Ours: a [`Warrant`] is anything that proves a claim to lead. Today that is an operator's signed [`Order`]; a lease or a
//! mandate is another kind with the same three questions: what it claims, whether it holds, how it is written. Nothing
//! outside this file asks which kind it is.
//!
//! An order is a signed note (C2SP `signed-note`, Ed25519), so that anybody can check one without this program:
//!
//! ```text
//! saatkond/authority-order/v1
//! instance DEV
//! register DEV/GOV/M2/LAND
//! token 1
//! site lux1
//! switch planned
//! time 2026-01-02T03:04:05Z
//!
//! — operator-1 8H0gFJ…
//! ```

use super::class::{Forbidden, Use};
use super::policy::{Operator, Policy, Register};
use crate::crypto::DigestAlgorithm;
use crate::id::{ClientId, decode_segment, encode_segment};
use crate::limits::ORDER_BYTES_MAX;
use crate::time::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use std::fmt;

//------------ Token ---------------------------------------------------------

/// Orders claims to lead: the higher stands. Sixteen bits of term, which only a mandate moves, and 48 of epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// What the first of a succession leads with before any order.
    pub const FIRST: Self = Self(0);

    /// From the number that headers carry.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number that headers carry.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Grows by mandate.
    #[must_use]
    pub const fn term(self) -> u64 {
        self.0 >> 48
    }

    /// Grows with each change inside a term.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }

    /// The next of the same term; `None` when the term is spent.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.epoch() == (1 << 48) - 1 { None } else { Some(Self(self.0 + 1)) }
    }
}

impl fmt::Display for Token {
    /// The number; with term and epoch where there was a mandate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.term() == 0 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{} ({}.{})", self.0, self.term(), self.epoch())
        }
    }
}

//------------ Order ---------------------------------------------------------

/// How authority passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// The one that leads lets go first: nothing is lost.
    Planned,
    /// It is not asked: what it acknowledged and did not pass on may be lost.
    Unplanned,
}

impl Switch {
    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Unplanned => "unplanned",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Planned, Self::Unplanned].into_iter().find(|way| way.text() == text)
    }
}

/// What is claimed: this site leads this register with this token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The register.
    pub register: ClientId,
    /// Under which token.
    pub token: Token,
    /// Who leads.
    pub site: String,
    /// How authority passes to it.
    pub switch: Switch,
}

/// An operator's signed word that a site leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    claim: Claim,
    time: UnixTime,
    operator: String,
    signature: Vec<u8>,
}

const ORDER: &str = "saatkond/authority-order/v1";
/// Bytes of a note's key id, before the signature.
const KEY_ID_BYTES: usize = 4;
/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

impl Order {
    /// Writes an order and has it signed: `sign` is given the bytes to sign, and makes an Ed25519 value with the key of
    /// `operator`.
    #[must_use]
    pub fn sign(
        claim: Claim,
        time: UnixTime,
        operator: &Operator,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Self {
        let time = UnixTime::from_secs(time.secs());
        let body = body(&claim, time);
        let mut signature = key_id(operator).to_vec();
        signature.extend(sign(body.as_bytes()));
        Self { claim, time, operator: operator.name.clone(), signature }
    }

    /// When it was signed, by the operator's clock.
    #[must_use]
    pub const fn time(&self) -> UnixTime {
        self.time
    }

    /// Who signed it.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    fn to_text(&self) -> String {
        let (name, value) = (encode_segment(&self.operator), STANDARD.encode(&self.signature));
        format!("{}\n\u{2014} {name} {value}\n", body(&self.claim, self.time))
    }

    fn from_text(text: &str) -> Option<Self> {
        let (body, signed) = text.split_once("\n\n")?;
        let mut lines = body.lines().skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let _instance = field("instance")?;
        let register = ClientId::from_path(field("register")?).ok()?;
        let token = Token(field("token")?.parse().ok()?);
        let site = decode_segment(field("site")?).ok()?;
        let switch = Switch::from_text(field("switch")?)?;
        let time = UnixTime::from_rfc3339(field("time")?)?;
        let (name, value) = signed.strip_prefix("\u{2014} ")?.strip_suffix('\n')?.split_once(' ')?;
        let operator = decode_segment(name).ok()?;
        let signature = STANDARD.decode(value).ok()?;
        let claim = Claim { register, token, site, switch };
        Some(Self { claim, time, operator, signature })
    }

    fn check(&self, policy: &Policy) -> Result<(), WarrantError> {
        let unknown = || WarrantError::UnknownOperator { name: self.operator.clone() };
        let operator = policy.operators.iter().find(|o| o.name == self.operator).ok_or_else(unknown)?;
        let bad = || WarrantError::Signature { name: self.operator.clone() };
        let (id, value) = self.signature.split_at_checked(KEY_ID_BYTES).ok_or_else(bad)?;
        if id != key_id(operator).as_slice() || value.len() != SIGNATURE_BYTES {
            return Err(bad());
        }
        let key = UnparsedPublicKey::new(&ED25519, operator.key);
        key.verify(body(&self.claim, self.time).as_bytes(), value).map_err(|_| bad())
    }
}

fn body(claim: &Claim, time: UnixTime) -> String {
    let Claim { register, token, site, switch } = claim;
    format!(
        "{ORDER}\ninstance {}\nregister {}\ntoken {}\nsite {}\nswitch {}\ntime {}\n",
        encode_segment(&register.member.instance),
        register.to_path(),
        token.value(),
        encode_segment(site),
        switch.text(),
        time.to_rfc3339(),
    )
}

/// What tells keys of one name apart. Spec: C2SP signed-note, Ed25519 signatures.
fn key_id(operator: &Operator) -> [u8; KEY_ID_BYTES] {
    let mut named = encode_segment(&operator.name).into_bytes();
    named.extend([b'\n', 1]);
    named.extend(operator.key);
    let digest = DigestAlgorithm::Sha256.digest(&named);
    digest.first_chunk().copied().unwrap_or_default()
}

//------------ Warrant -------------------------------------------------------

/// What proves a claim to lead. Leases and mandates become further kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warrant {
    /// An operator's order.
    Order(Order),
}

/// A warrant that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarrantError {
    /// It is none.
    #[error("it cannot be read as an order of authority")]
    Malformed,
    /// The instance has no such register.
    #[error("{register} is no register of the instance's continuity part")]
    UnknownRegister {
        /// What it names.
        register: Box<ClientId>,
    },
    /// The site may never lead the register.
    #[error("site {site} is not in the succession of {register}")]
    OutsideSuccession {
        /// What it names.
        site: String,
        /// The register.
        register: Box<ClientId>,
    },
    /// The class of the register forbids it.
    #[error("{0}")]
    Forbidden(Box<Forbidden>),
    /// Nobody of that name may order it.
    #[error("{name} is no operator of the instance's continuity part")]
    UnknownOperator {
        /// What it names.
        name: String,
    },
    /// The signature is not the operator's.
    #[error("the signature of operator {name} does not hold")]
    Signature {
        /// Whose it should be.
        name: String,
    },
    /// What is known already stands above it.
    #[error("token {found} is not higher than {known}, with which site {holder} leads")]
    NotHigher {
        /// What it brings.
        found: Token,
        /// What is known.
        known: Token,
        /// Who leads.
        holder: String,
    },
}

impl Warrant {
    /// What it claims.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        match self {
            Self::Order(order) => &order.claim,
        }
    }

    /// Holds it against the policy: the register is one, the site may lead it, and who says so may.
    ///
    /// # Errors
    /// [`WarrantError`].
    pub fn check(&self, policy: &Policy) -> Result<(), WarrantError> {
        let Claim { register: id, site, .. } = self.claim();
        let register = policy
            .register(id)
            .ok_or_else(|| WarrantError::UnknownRegister { register: Box::new(id.clone()) })?;
        may_lead(policy, register, site)?;
        match self {
            Self::Order(order) => order.check(policy),
        }
    }

    /// Writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Order(order) => order.to_text(),
        }
    }

    /// Reads what [`Warrant::to_text`] writes, and nothing else.
    ///
    /// # Errors
    /// [`WarrantError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, WarrantError> {
        let of_kind = text.len() <= ORDER_BYTES_MAX && text.lines().next() == Some(ORDER);
        let read = of_kind.then(|| Order::from_text(text)).flatten().map(Self::Order);
        read.filter(|warrant| warrant.to_text() == text).ok_or(WarrantError::Malformed)
    }

    /// For people: who gave it, and when by their clock.
    #[must_use]
    pub fn by(&self) -> String {
        match self {
            Self::Order(order) => format!("order of {} at {}", order.operator, order.time),
        }
    }

    /// Orders warrants. Of two with one token, which operators must never give, all sites take the same.
    fn stands_above(&self, other: &Self) -> bool {
        let rank = |w: &Self| (w.claim().token, DigestAlgorithm::Sha256.digest(w.to_text().as_bytes()));
        rank(self) > rank(other)
    }
}

fn may_lead(policy: &Policy, register: &Register, id: &str) -> Result<(), WarrantError> {
    let outside =
        || WarrantError::OutsideSuccession { site: id.to_owned(), register: Box::new(register.id.clone()) };
    let site = policy.site(id).filter(|s| register.succession.contains(&s.id)).ok_or_else(outside)?;
    register.may(Use::Authority, site).map_err(|e| WarrantError::Forbidden(Box::new(e)))
}

//------------ Seat ----------------------------------------------------------

/// What one site knows of a register's authority, and the writes that are between its check and its register.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    warrant: Option<Warrant>,
    in_flight: u32,
    drains: bool,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The site.
    pub site: String,
    /// Its token.
    pub token: Token,
}

/// What is to be done with a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It goes to our register, under this token; it counts as in flight until [`Seat::end`].
    Ours(Token),
    /// Authority is passing on: wait.
    Wait,
    /// It is another's.
    Theirs(Lead),
    /// Nobody may lead.
    Nobody(WarrantError),
}

/// What came of a warrant that was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It stands from now on.
    Adopted,
    /// It is the one that stands.
    Known,
}

impl Seat {
    /// What was kept on disk: it was held against the policy when it was adopted, and stands until a higher one comes.
    #[must_use]
    pub fn kept(warrant: Warrant) -> Self {
        Self { warrant: Some(warrant), ..Self::default() }
    }

    /// The warrant that stands; `None` before any.
    #[must_use]
    pub const fn warrant(&self) -> Option<&Warrant> {
        self.warrant.as_ref()
    }

    /// The highest token that is known.
    #[must_use]
    pub fn token(&self) -> Token {
        self.warrant.as_ref().map_or(Token::FIRST, |w| w.claim().token)
    }

    /// Who leads `register`, of which this is the seat.
    ///
    /// # Errors
    /// [`WarrantError`] when whoever should may not any more: then nobody leads until a new order.
    pub fn lead(&self, policy: &Policy, register: &Register) -> Result<Lead, WarrantError> {
        let site = match &self.warrant {
            Some(warrant) => Some(warrant.claim().site.as_str()),
            None => register.home(),
        };
        let site = site.unwrap_or_default();
        may_lead(policy, register, site)?;
        Ok(Lead { site: site.to_owned(), token: self.token() })
    }

    /// Says what is to be done with a write that has come to site `us`.
    pub fn turn(&mut self, policy: &Policy, register: &Register, us: &str) -> Turn {
        match self.lead(policy, register) {
            Err(error) => Turn::Nobody(error),
            Ok(lead) if lead.site != us => Turn::Theirs(lead),
            Ok(_) if self.drains => Turn::Wait,
            Ok(lead) => {
                self.in_flight = self.in_flight.saturating_add(1);
                Turn::Ours(lead.token)
            }
        }
    }

    /// Whether a write that was let in under `token` may still go to the register.
    #[must_use]
    pub fn still(&self, token: Token) -> bool {
        self.token() == token
    }

    /// A write that was let in has ended.
    pub fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Writes between check and register.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Lets new writes wait; false when they wait already.
    pub fn drain(&mut self) -> bool {
        !std::mem::replace(&mut self.drains, true)
    }

    /// Lets writes in again, or lets them go to whom authority went.
    pub fn resume(&mut self) {
        self.drains = false;
    }

    /// Whether new writes wait.
    #[must_use]
    pub const fn drains(&self) -> bool {
        self.drains
    }

    /// Judges a warrant that was brought, without taking it.
    ///
    /// # Errors
    /// [`WarrantError`]; with [`WarrantError::NotHigher`] the one that stands is to be shown to whoever brought it.
    pub fn judge(
        &self,
        warrant: &Warrant,
        policy: &Policy,
        register: &Register,
    ) -> Result<Heard, WarrantError> {
        if self.warrant.as_ref() == Some(warrant) {
            return Ok(Heard::Known);
        }
        let is_higher = match &self.warrant {
            Some(known) => warrant.stands_above(known),
            None => warrant.claim().token > Token::FIRST,
        };
        if !is_higher {
            let claimed = self.warrant.as_ref().map(|w| w.claim().site.clone());
            return Err(WarrantError::NotHigher {
                found: warrant.claim().token,
                known: self.token(),
                holder: claimed.or_else(|| register.home().map(str::to_owned)).unwrap_or_default(),
            });
        }
        warrant.check(policy)?;
        Ok(Heard::Adopted)
    }

    /// Takes a warrant that [`Seat::judge`] let pass.
    pub fn take(&mut self, warrant: Warrant) {
        self.warrant = Some(warrant);
    }
}

#[cfg(test)]
mod tests;
