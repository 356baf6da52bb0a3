//! Bounds the rows that strangers cause: a scanner that tries keys must not fill the disk. Pure; the caller gives the time.
//! A refusal of a known key is never folded: that is what the books are for.

use parking_lot::Mutex;

use crate::units::time::Timestamp;

/// A bucket of rows: `burst` at once, `per_minute` over time. What finds it empty is counted, and told with the next row.
pub struct DenialBudget {
    burst: u64,
    per_minute: u64,
    state: Mutex<State>,
}

struct State {
    /// In millionths of a row, so that slow rates need no fractions.
    level: u64,
    at: Timestamp,
    folded: u64,
}

const ROW: u64 = 1_000_000;

/// What to do with one refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Write it, and say how many like it were not written since the last one.
    Write { folded: u64 },
    /// Count it.
    Fold,
}

impl DenialBudget {
    pub fn new(burst: u64, per_minute: u64, now: Timestamp) -> Self {
        let state = State { level: burst.saturating_mul(ROW), at: now, folded: 0 };
        Self { burst, per_minute, state: Mutex::new(state) }
    }

    /// 60 rows at once, then one a second: about 30 MB a day under a scan that never ends.
    pub fn usual(now: Timestamp) -> Self {
        Self::new(60, 60, now)
    }

    pub fn ask(&self, now: Timestamp) -> Row {
        let mut s = self.state.lock();
        // One row per minute is one millionth per 60 microseconds.
        let passed = u64::try_from(now.0.saturating_sub(s.at.0)).unwrap_or(0);
        let gained = passed.saturating_mul(self.per_minute) / 60;
        s.level = s.level.saturating_add(gained).min(self.burst.saturating_mul(ROW));
        // A clock that went back gains nothing; the time that rounding dropped is below one millionth of a row.
        s.at = s.at.max(now);
        if s.level < ROW {
            s.folded = s.folded.saturating_add(1);
            return Row::Fold;
        }
        s.level -= ROW;
        Row::Write { folded: std::mem::take(&mut s.folded) }
    }

    /// The end of the next row's reason: ` and 12 more like it`, or nothing.
    pub fn suffix(folded: u64) -> String {
        if folded == 0 { String::new() } else { format!(" and {folded} more like it") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_folded_and_counted() {
        let budget = DenialBudget::new(3, 60, Timestamp(0));
        let asked: Vec<_> = (0..10).map(|_| budget.ask(Timestamp(0))).collect();
        assert_eq!(asked.iter().filter(|r| **r == Row::Write { folded: 0 }).count(), 3);
        assert_eq!(budget.ask(Timestamp(999_999)), Row::Fold);
        assert_eq!(budget.ask(Timestamp(1_000_000)), Row::Write { folded: 8 });
        assert_eq!(budget.ask(Timestamp(0)), Row::Fold, "a clock that goes back gains nothing");
        assert_eq!(budget.ask(Timestamp(3_600_000_000)), Row::Write { folded: 1 });
    }

    #[test]
    fn many_small_steps_gain_what_one_large_step_gains() {
        let budget = DenialBudget::new(1, 60, Timestamp(0));
        assert_eq!(budget.ask(Timestamp(0)), Row::Write { folded: 0 });
        let written = (1..=10_000i64).filter(|i| budget.ask(Timestamp(i * 1_000)) != Row::Fold).count();
        assert!((9..=10).contains(&written), "{written}");
    }
}
