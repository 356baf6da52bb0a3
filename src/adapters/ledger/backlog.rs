//! How far the books may fall behind the journal: near the bound each call waits a little, at the bound calls are refused and
//! counted. Only what ends or changes a call is still taken then, since that must not be lost. Knows no disk and no call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::units::ids::Seq;

/// Entries; some gigabytes of journal.
const USUAL: u64 = 1_000_000;
/// How long a call waits just below the bound. From three quarters of it on it waits in proportion.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

pub struct Backlog {
    bound: AtomicU64,
    /// The last entry that the books have.
    applied: AtomicU64,
    refused: AtomicU64,
}

impl Backlog {
    pub fn new(applied: Seq) -> Self {
        Self { bound: AtomicU64::new(USUAL), applied: AtomicU64::new(applied), refused: AtomicU64::new(0) }
    }

    pub fn bound_to(&self, entries: u64) {
        self.bound.store(entries.max(1), Ordering::Release);
    }

    pub fn applied(&self, upto: Seq) {
        self.applied.fetch_max(upto, Ordering::AcqRel);
    }

    /// The books were put back from a copy.
    pub fn went_back(&self, to: Seq) {
        self.applied.store(to, Ordering::Release);
    }

    /// Calls refused for it since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    fn behind(&self, journal: Seq) -> (u64, u64) {
        (journal.saturating_sub(self.applied.load(Ordering::Acquire)), self.bound.load(Ordering::Acquire))
    }

    /// How long a call waits now.
    pub fn brake(&self, journal: Seq) -> Duration {
        let (behind, bound) = self.behind(journal);
        let free = bound - bound / 4;
        let steps = u32::try_from(behind.saturating_sub(free).saturating_mul(100) / (bound / 4).max(1)).unwrap_or(100);
        LONGEST_WAIT * steps.min(100) / 100
    }

    /// Why no call is admitted now.
    pub fn full(&self, journal: Seq) -> Option<String> {
        let (behind, bound) = self.behind(journal);
        (behind >= bound).then(|| {
            format!("the books are {behind} entries behind the journal, and `[audit] backlog` allows {bound}: see why they do not follow")
        })
    }

    /// As `full`, for a call that is refused then.
    pub fn refuse(&self, journal: Seq) -> Result<(), String> {
        let Some(why) = self.full(journal) else { return Ok(()) };
        self.refused.fetch_add(1, Ordering::AcqRel);
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_slows_and_then_refuses() {
        let backlog = Backlog::new(1000);
        backlog.bound_to(400);
        for (journal, millis, full) in [
            (1000, 0, false),
            (1300, 0, false),
            (1350, 125, false),
            (1399, 247, false),
            (1400, 250, true),
            (9000, 250, true),
        ] {
            assert_eq!(
                backlog.brake(journal),
                Duration::from_micros(millis * 1000 + if millis == 247 { 500 } else { 0 }),
                "{journal}"
            );
            assert_eq!(backlog.refuse(journal).is_err(), full, "{journal}");
        }
        assert_eq!(backlog.refused(), 2);
        backlog.applied(9000);
        assert!(backlog.refuse(9001).is_ok());
        backlog.bound_to(1);
        assert!(backlog.brake(9000).is_zero() && backlog.refuse(9001).is_err());
    }
}
