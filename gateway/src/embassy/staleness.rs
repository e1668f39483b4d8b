//! How old our own copies are, as their sources told when last asked.

use saatkond_proto::id::ClientId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The ages of our copies. An age grows from the moment at which it was told.
#[derive(Debug, Default)]
pub struct Ages(Mutex<HashMap<ClientId, Known>>);

/// What is known of one copy.
#[derive(Debug, Default)]
struct Known {
    /// How old it was, and when.
    told: Option<(Duration, Instant)>,
    /// Why its source did not tell when last asked.
    trouble: Option<String>,
    is_being_asked: bool,
}

impl Ages {
    fn all(&self) -> MutexGuard<'_, HashMap<ClientId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How old a copy is now; `None` where nothing is known.
    #[must_use]
    pub fn of(&self, register: &ClientId) -> Option<Duration> {
        let (age, at) = self.all().get(register)?.told?;
        Some(age.saturating_add(at.elapsed()))
    }

    /// Notes what a source told at `at`; `None` for what nobody can tell.
    pub fn note(&self, register: &ClientId, age: Option<Duration>, at: Instant) {
        let mut all = self.all();
        let known = all.entry(register.clone()).or_default();
        *known = Known { told: age.map(|age| (age, at)), ..Known::default() };
    }

    /// Notes that a source was not heard. What it told before stays true, and grows old.
    pub fn note_silence(&self, register: &ClientId, why: String) {
        let mut all = self.all();
        let known = all.entry(register.clone()).or_default();
        *known = Known { told: known.told, trouble: Some(why), is_being_asked: false };
    }

    /// Notes that a source says it cannot tell, and why.
    pub fn note_unknown(&self, register: &ClientId, why: String) {
        self.all().insert(register.clone(), Known { trouble: Some(why), ..Known::default() });
    }

    /// Takes it on to ask a copy's source; false where somebody is at it.
    pub(crate) fn begin(&self, register: &ClientId) -> bool {
        let mut all = self.all();
        !std::mem::replace(&mut all.entry(register.clone()).or_default().is_being_asked, true)
    }

    /// Forgets all copies but these.
    pub fn keep(&self, registers: &[&ClientId]) {
        self.all().retain(|register, _| registers.contains(&register));
    }

    /// The copies whose source did not tell when last asked, and why, in the order of their names.
    #[must_use]
    pub fn troubles(&self) -> Vec<(ClientId, String)> {
        let all = self.all();
        let troubled =
            all.iter().filter_map(|(register, known)| Some((register.clone(), known.trouble.clone()?)));
        let mut troubled: Vec<_> = troubled.collect();
        troubled.sort();
        troubled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saatkond_proto::id::MemberId;

    #[test]
    fn an_age_grows_and_what_is_not_known_is_none() {
        let (ages, land) = (Ages::default(), MemberId::new("DEV", "GOV", "M2").subsystem("LAND"));
        let (second, ago) = (Duration::from_secs(1), Instant::now() - Duration::from_secs(3));
        assert_eq!(ages.of(&land), None);
        ages.note(&land, Some(second), ago);
        assert!(ages.of(&land).unwrap() >= 4 * second);
        ages.note_silence(&land, "no answer".to_owned());
        assert!(ages.of(&land).unwrap() >= 4 * second, "what was told stays true");
        assert_eq!(ages.troubles(), [(land.clone(), "no answer".to_owned())]);
        ages.note_unknown(&land, "in no recovery".to_owned());
        assert_eq!((ages.of(&land), ages.troubles().len()), (None, 1));
        ages.note(&land, Some(second), ago);
        assert!(ages.begin(&land) && !ages.begin(&land));
        assert!(ages.of(&land).is_some() && ages.troubles().is_empty());
        ages.note(&land, None, Instant::now());
        assert!(ages.of(&land).is_none() && ages.begin(&land), "who told is asked again");
        ages.keep(&[]);
        assert!(ages.begin(&land));
    }
}
