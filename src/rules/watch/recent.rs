//! How often something happened lately: the moments themselves, so the window is exact. Keeps no more of them than decide.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::time::Timestamp;

/// Moments, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Recent(VecDeque<i64>);

impl Recent {
    /// One more; says whether that makes `enough` within this time, and then forgets them all.
    pub fn reaches(&mut self, enough: usize, within: Duration, at: Timestamp) -> bool {
        let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        while self.0.front().is_some_and(|first| at.0.saturating_sub(*first) >= within) {
            self.0.pop_front();
        }
        self.0.push_back(at.0);
        let reached = self.0.len() >= enough;
        if reached {
            self.0.clear();
        }
        reached
    }

    /// The last one.
    pub fn last(&self) -> Option<i64> {
        self.0.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(moments: &[u64], enough: usize, within: u64) -> Vec<bool> {
        let mut recent = Recent::default();
        let at = |second: &u64| Timestamp::default().plus_secs(i64::try_from(*second).unwrap_or(0));
        moments.iter().map(|s| recent.reaches(enough, Duration::from_secs(within), at(s))).collect()
    }

    #[test]
    fn the_window_is_exact() {
        assert_eq!(counted(&[0, 4, 9], 3, 10), [false, false, true]);
        assert_eq!(counted(&[0, 4, 10], 3, 10), [false, false, false], "the first has left");
        assert_eq!(counted(&[0, 1, 2, 3], 2, 10), [false, true, false, true], "begun anew");
        assert_eq!(counted(&[5], 1, 10), [true]);
    }

    proptest! {
        /// As a plain count over all moments since the last time that it was enough would say.
        #[test]
        fn it_counts_as_one_who_forgets_nothing(
            gaps in prop::collection::vec(0_u64..20, 1..60), enough in 1_usize..6, within in 1_u64..40,
        ) {
            let moments: Vec<u64> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) }).collect();
            let (mut expected, mut since) = (Vec::new(), 0);
            for (n, now) in moments.iter().enumerate() {
                let lately = moments[since..=n].iter().filter(|m| now - **m < within).count();
                let reached = lately >= enough;
                if reached { since = n + 1; }
                expected.push(reached);
            }
            prop_assert_eq!(counted(&moments, enough, within), expected);
        }
    }
}
