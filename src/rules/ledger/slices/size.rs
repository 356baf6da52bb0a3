//! How large a slice should be: what recent use needs for a while, looked at a few times a second. Counts use; lends nothing,
//! and knows no other node: the ledger gives at most a share of what is left.

use std::collections::BTreeMap;

use super::{SliceKey, Slices};

/// Between two looks.
pub const LOOK_MILLIS: u64 = 125;
/// A slice lasts so many looks of recent use, unless it has to outlast the ledger.
const LASTS: u64 = 2;
/// Looks without use before it is given back.
const IDLE: u32 = 8;
/// After a recall nothing is asked for on the account for so many looks.
const MODEST: u32 = 8;

/// What is known of the use of one slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Use {
    /// Since the last look.
    now: u64,
    /// Over recent looks, so that it is `LASTS` looks' worth when use is steady.
    recent: u64,
    /// The largest single need.
    largest: u64,
    idle: u32,
    /// A slice for the time without the ledger lasts so many looks.
    lasts: u64,
    modest: u32,
}

/// Use of all slices of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand(BTreeMap<SliceKey, Use>);

impl Demand {
    /// A call needs so much, wherever it gets it. `down_millis`: how long the slice should last when the ledger is away.
    pub fn note(&mut self, key: &SliceKey, need: u64, down_millis: u64) {
        let used = self.0.entry(key.clone()).or_default();
        used.now = used.now.saturating_add(need);
        used.largest = used.largest.max(need);
        used.lasts = used.lasts.max(down_millis / LOOK_MILLIS);
    }

    /// The ledger was short on it, and wants back what is not used.
    pub fn recalled(&mut self, key: &SliceKey) {
        self.0.entry(key.clone()).or_default().modest = MODEST;
    }

    /// What each slice should be from now on, of those that should change, and of all others what they are. Once a look.
    pub fn targets(&mut self, slices: &Slices, over: impl Fn(&SliceKey) -> bool) -> Vec<(SliceKey, u64)> {
        for key in slices.keys() {
            self.0.entry(key.clone()).or_default();
        }
        let targets = self.0.iter_mut().map(|(key, used)| (key.clone(), used.target(slices.state(key), over(key))));
        let targets: Vec<(SliceKey, u64)> = targets.collect();
        self.0.retain(|key, used| (used.idle <= used.keeps() && !over(key)) || slices.state(key).0 > 0);
        targets
    }
}

impl Use {
    fn keeps(&self) -> u32 {
        IDLE.max(u32::try_from(self.lasts).unwrap_or(u32::MAX))
    }

    fn target(&mut self, (lent, used): (u64, u64), over: bool) -> u64 {
        self.idle = if self.now == 0 { self.idle.saturating_add(1) } else { 0 };
        self.recent = self.recent / 2 + self.now;
        self.now = 0;
        self.modest = self.modest.saturating_sub(1);
        if over || self.modest > 0 || self.idle > self.keeps() {
            return used;
        }
        let wanted = (self.recent.saturating_mul(self.lasts.max(LASTS)) / LASTS).max(self.largest).saturating_add(used);
        if self.idle == 0 && lent < wanted / 2 + 1 { wanted } else { lent }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    fn look(demand: &mut Demand, slices: &mut Slices) -> u64 {
        let targets = demand.targets(slices, |_| false);
        targets.iter().for_each(|(key, to)| slices.lent(key, *to));
        targets.iter().map(|(_, to)| to).sum()
    }

    #[test]
    fn a_slice_grows_with_use_and_is_given_back_when_idle() {
        let (mut demand, mut slices) = (Demand::default(), Slices::default());
        demand.note(&key(100), 5, 0);
        assert_eq!(look(&mut demand, &mut slices), 5, "the first use asks for as much again");
        for _ in 0..10 {
            demand.note(&key(100), 50, 0);
            look(&mut demand, &mut slices);
        }
        let steady = slices.state(&key(100)).0;
        assert!((50..=110).contains(&steady), "{steady}: about two looks' worth");
        let idle = (0..=IDLE + 1).map(|_| look(&mut demand, &mut slices)).collect::<Vec<_>>();
        assert_eq!((idle.first(), idle.last()), (Some(&steady), Some(&0)), "{idle:?}");
        assert_eq!(demand, Demand::default(), "and forgotten");
    }

    #[test]
    fn a_slice_for_the_time_without_the_ledger_lasts_as_long() {
        let (mut demand, mut slices) = (Demand::default(), Slices::default());
        for _ in 0..10 {
            demand.note(&key(100_000), 50, 10_000);
            look(&mut demand, &mut slices);
        }
        let lent = slices.state(&key(100_000)).0;
        assert!(lent >= 50 * 10_000 / LOOK_MILLIS / 2, "{lent}");
        let idle = 10_000 / LOOK_MILLIS;
        assert!((0..idle).all(|_| look(&mut demand, &mut slices) == lent), "it is kept so long");
    }

    #[test]
    fn a_recall_takes_what_is_unused_for_a_while() {
        let (mut demand, mut slices) = (Demand::default(), Slices::default());
        demand.note(&key(100), 50, 0);
        assert!(look(&mut demand, &mut slices) > 0);
        demand.recalled(&key(100));
        for _ in 0..MODEST - 1 {
            demand.note(&key(100), 50, 0);
            assert_eq!(look(&mut demand, &mut slices), 0);
        }
        demand.note(&key(100), 50, 0);
        assert!(look(&mut demand, &mut slices) > 0, "then it may ask again");
    }
}
