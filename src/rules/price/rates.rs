//! Rates by kind, and what a model takes and gives at most. Pico-dollars: of a token, a character, a thing, or an hour. Knows
//! no dates and no tiers; `schedule` comes next.

use super::tokens::{KINDS, Kind, Measure, Tokens};
use crate::units::money::{ExactUsd, PicoUsd};

/// Milliseconds in the hour that rates of time are kept for, so that a price by the minute is a whole number as well.
const HOUR_MS: u32 = 3_600_000;

/// Pico-dollars per unit, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([Option<u64>; KINDS]);

impl Default for Rates {
    fn default() -> Self {
        Self([None; KINDS])
    }
}

impl Rates {
    pub(super) fn of(list: &[(Kind, u64)]) -> Self {
        let mut rates = Self::default();
        for (kind, rate) in list {
            rates.0[*kind as usize] = Some(*rate);
        }
        rates
    }

    /// What is listed, without what stands in for something else.
    pub fn listed(&self) -> impl Iterator<Item = (Kind, PicoUsd)> {
        let some = |(kind, rate): (Kind, Option<u64>)| Some((kind, PicoUsd(u128::from(rate?))));
        Kind::ALL.into_iter().zip(self.0).filter_map(some)
    }

    /// The rate of a kind, or of what it is charged as instead; `None` if the model has no such price. Of time: for an hour.
    pub fn get(&self, kind: Kind) -> Option<PicoUsd> {
        let own = self.0[kind as usize].map(|rate| PicoUsd(u128::from(rate)));
        own.or_else(|| self.get(kind.instead()?))
    }

    /// What so much of a kind costs.
    pub fn price(&self, kind: Kind, count: u64) -> Option<ExactUsd> {
        let per = if kind.measure() == Measure::Time { HOUR_MS } else { 1 };
        Some(ExactUsd::of(self.get(kind)?, count, per))
    }

    /// The dearest of several kinds; `None` if the first has no price.
    pub fn dearest(&self, kinds: &[Kind]) -> Option<PicoUsd> {
        let first = self.get(*kinds.first()?)?;
        Some(kinds.iter().filter_map(|kind| self.get(*kind)).fold(first, PicoUsd::max))
    }

    /// What all of it costs; `None` if some of it has no price.
    pub fn cost(&self, tokens: &Tokens) -> Option<ExactUsd> {
        tokens.used().try_fold(ExactUsd::ZERO, |sum, (kind, count)| Some(sum.plus(self.price(kind, count)?)))
    }

    /// Rate by rate the larger. What only one of them lists may stand for something cheaper in the other, so that is resolved.
    pub(super) fn max(&self, other: &Self) -> Self {
        let mut larger = Self::default();
        // Few of the kinds have rates.
        for kind in Kind::ALL.into_iter().filter(|kind| self.lists(*kind) || other.lists(*kind)) {
            let rate = self.get(kind).max(other.get(kind));
            larger.0[kind as usize] = rate.map(|rate| u64::try_from(rate.0).unwrap_or(u64::MAX));
        }
        larger
    }

    fn lists(&self, kind: Kind) -> bool {
        self.0[kind as usize].is_some()
    }
}

/// What a model takes and gives at most, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    pub context: Option<u64>,
    pub input: Option<u64>,
    pub output: Option<u64>,
}

impl Limits {
    /// The longest prompt. Where sources differ, the longer.
    pub fn max_input(&self) -> Option<u64> {
        self.input.max(self.context)
    }

    /// The longest answer.
    pub fn max_output(&self) -> Option<u64> {
        self.output.or(self.context)
    }

    /// The longest prompt with the longest answer, as far as they are known.
    pub fn one_run(&self) -> u64 {
        self.max_input().unwrap_or(0).saturating_add(self.max_output().unwrap_or(0))
    }
}
