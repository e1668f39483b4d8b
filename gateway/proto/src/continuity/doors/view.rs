//! What is believed of doors, for people.

use super::{Asked, Doors, Hint, Trouble};
use crate::continuity::access::Access;
use crate::continuity::health::Pulse;
use crate::id::{ClientId, ServerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A register.
#[derive(Debug, Clone)]
pub struct RegisterView {
    /// Which.
    pub register: ClientId,
    /// Who leads, and under which token.
    pub authority: Option<(String, u64)>,
    /// Its sites, the preferred first.
    pub sites: Vec<SiteView>,
    /// Second attempts that its calls have left.
    pub budget: u64,
    /// Second attempts that were made.
    pub second_attempts: u64,
}

/// A register at one site.
#[derive(Debug, Clone)]
pub struct SiteView {
    /// The site.
    pub site: String,
    /// Whether it may answer reads.
    pub has_copy: bool,
    /// Whether it may lead.
    pub may_lead: bool,
    /// Thousandths of the reads that go there now.
    pub load: u32,
    /// For a site that is out of rotation: how long until it comes back, if it stays well.
    pub back_in: Option<Duration>,
    /// How often it left or came back.
    pub changes: u64,
    /// Its doors.
    pub doors: Vec<DoorView>,
}

/// A register at one door.
#[derive(Debug, Clone)]
pub struct DoorView {
    /// Which.
    pub server: ServerId,
    /// Why it gets no reads.
    pub reads: Option<Trouble>,
    /// Why it gets no writes.
    pub writes: Option<Trouble>,
    /// How long ago something was heard of it.
    pub heard_ago: Option<Duration>,
    /// How suspicious its silence is: once in ten to this power.
    pub suspicion: f64,
    /// How long reads take there.
    pub pace: Option<Duration>,
    /// Failures in a row: of reads, of writes.
    pub failures: (u32, u32),
    /// What it said of itself, and how long ago.
    pub hint: Option<(Duration, Hint)>,
}

impl Doors {
    /// What is believed of each register. `preferred` gives the site to which an operator pinned the reads.
    pub fn view(&self, at: Duration, preferred: impl Fn(&ClientId) -> Option<String>) -> Vec<RegisterView> {
        let one = |(register, asked): (&ClientId, &Asked)| {
            let loads = asked.loads(&self.pulses, at, preferred(register).as_deref());
            RegisterView {
                register: register.clone(),
                authority: asked.authority(at).map(|(site, token)| (site.site.clone(), token)),
                sites: asked.sites(&self.pulses, at, &loads),
                budget: asked.budget.left(at),
                second_attempts: asked.budget.taken(),
            }
        };
        self.registers.iter().map(one).collect()
    }
}

impl Asked {
    fn sites(&self, pulses: &BTreeMap<ServerId, Pulse>, at: Duration, loads: &[u32]) -> Vec<SiteView> {
        let sites = self.layout.sites.iter().zip(loads);
        sites
            .map(|(site, load)| {
                let rotation = self.rotations.get(&site.site);
                let back_at = rotation.and_then(|rotation| rotation.back_at(at));
                SiteView {
                    site: site.site.clone(),
                    has_copy: site.has_copy,
                    may_lead: site.may_lead,
                    load: *load,
                    back_in: back_at.map(|back| back.saturating_sub(at)),
                    changes: rotation.map_or(0, super::Rotation::changes),
                    doors: site.doors.iter().map(|door| self.door(pulses, at, door)).collect(),
                }
            })
            .collect()
    }

    fn door(&self, pulses: &BTreeMap<ServerId, Pulse>, at: Duration, door: &ServerId) -> DoorView {
        let (pulse, known) = (pulses.get(door), self.doors.get(door));
        DoorView {
            server: door.clone(),
            reads: self.trouble(pulses, at, door, Access::Read),
            writes: self.trouble(pulses, at, door, Access::Write),
            heard_ago: pulse.and_then(Pulse::last).map(|last| at.saturating_sub(last)),
            suspicion: pulse.map_or(0.0, |pulse| pulse.suspicion(at)),
            pace: known.and_then(|known| known.reads.pace.mean()),
            failures: known.map_or((0, 0), |k| (k.reads.breaker.failures(), k.writes.breaker.failures())),
            hint: known.and_then(|k| k.hint.clone()).map(|(told, hint)| (at.saturating_sub(told), hint)),
        }
    }
}
