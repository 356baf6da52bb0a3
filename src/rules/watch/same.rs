//! The same request again: how often each one came lately, and how often it was tried again after it had failed. Bounded: of
//! very many different requests those that were seen last are remembered, which are the ones that repeat.

use std::time::Duration;

use super::recent::Recent;
use crate::units::time::Timestamp;

/// Requests that are told apart, for each rule and whom it counts.
const MOST: usize = 256;

/// By whatever tells one request from another; what was used last stands at the end.
#[derive(Clone, Debug)]
struct Few<T>(Vec<(Box<str>, T)>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Few<T> {
    fn of(&mut self, which: &str) -> &mut T {
        let known = self.0.iter().position(|(name, _)| **name == *which);
        let one = known.map_or_else(|| (which.into(), T::default()), |at| self.0.remove(at));
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        let at = self.0.len();
        self.0.push(one);
        &mut self.0[at].1
    }

    fn forget(&mut self, which: &str) {
        self.0.retain(|(name, _)| **name != *which);
    }
}

/// Requests as they come.
#[derive(Clone, Debug, Default)]
pub struct Same(Few<Recent>);

impl Same {
    pub fn reaches(&mut self, which: &str, enough: usize, within: Duration, at: Timestamp) -> bool {
        self.0.of(which).reaches(enough, within, at)
    }
}

/// Requests that fail, and come again.
#[derive(Clone, Debug, Default)]
pub struct Retries(Few<Tried>);

#[derive(Clone, Debug, Default)]
struct Tried {
    failed: Option<i64>,
    again: Recent,
}

impl Retries {
    /// It came: does that make `enough` repeats, within this time, of what failed within this time before?
    pub fn reaches(&mut self, which: &str, enough: usize, within: Duration, at: Timestamp) -> bool {
        let Some((_, tried)) = self.0.0.iter_mut().find(|(name, _)| **name == *which) else { return false };
        let micros = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        let lately = tried.failed.is_some_and(|failed| at.0.saturating_sub(failed) < micros);
        lately && tried.again.reaches(enough, within, at)
    }

    pub fn failed(&mut self, which: &str, at: Timestamp) {
        self.0.of(which).failed = Some(at.0);
    }

    /// What goes well in the end was no storm.
    pub fn went_well(&mut self, which: &str) {
        self.0.forget(which);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::default().plus_secs(second)
    }

    #[test]
    fn each_request_is_counted_by_itself_and_memory_is_bounded() {
        let mut same = Same::default();
        assert!(!same.reaches("a", 2, MINUTE, at(0)) && !same.reaches("b", 2, MINUTE, at(1)));
        assert!(same.reaches("a", 2, MINUTE, at(2)) && same.reaches("b", 2, MINUTE, at(3)));
        for n in 0..10_000 {
            assert!(!same.reaches(&n.to_string(), 2, MINUTE, at(4)));
        }
        assert_eq!(same.0.0.len(), MOST);
        assert!(same.reaches("9999", 2, MINUTE, at(5)), "the last ones are remembered");
    }

    #[test]
    fn only_what_failed_and_comes_again_is_a_storm() {
        let mut tries = Retries::default();
        for second in 0..20 {
            assert!(!tries.reaches("a", 2, MINUTE, at(second)), "nothing failed");
        }
        tries.failed("a", at(20));
        assert!(!tries.reaches("a", 2, MINUTE, at(21)) && !tries.reaches("b", 2, MINUTE, at(21)));
        tries.failed("a", at(22));
        assert!(tries.reaches("a", 2, MINUTE, at(23)));
        tries.failed("a", at(24));
        assert!(!tries.reaches("a", 2, MINUTE, at(90)), "that is long ago");
        tries.failed("a", at(100));
        assert!(!tries.reaches("a", 2, MINUTE, at(101)));
        tries.went_well("a");
        assert!(!tries.reaches("a", 2, MINUTE, at(102)), "it went well meanwhile");
    }
}
