//! Home or embassy: what this gateway knows of the copies of the registers it serves or asks.
//!
//! | file | what it holds |
//! |---|---|
//! | [`staleness`] | how old our own copies are |

pub mod staleness;

use saatkond_proto::id::ClientId;
use staleness::Ages;
use std::time::Duration;

/// What is known of sites and copies at this moment. Its parts lock for themselves.
#[derive(Debug, Default)]
pub struct Embassy {
    /// How old our own copies are.
    pub ages: Ages,
}

impl Embassy {
    /// How old our copy of a register is now; `None` where that is not known, which is beyond every bound.
    #[must_use]
    pub fn staleness(&self, register: &ClientId) -> Option<Duration> {
        self.ages.of(register)
    }
}
