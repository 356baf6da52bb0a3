//! The rates of a span of time: from a day until a day, and of it only certain hours of certain weekdays, by service tier and
//! context length. `row` puts several together.

use super::rates::Rates;
use super::tokens::{Kind, Tokens};
use crate::units::money::ExactUsd;
use crate::units::time::Timestamp;

/// The tier of a request and an answer that name none.
pub(super) const STANDARD: &str = "standard";
const DAY_MICROS: i64 = 86_400_000_000;
const MINUTE_MICROS: i64 = 60_000_000;

/// What a longer prompt makes dearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of the call, once its prompt is longer.
    Whole,
    /// Of each kind, what lies above the threshold.
    Above,
}

/// Rates of one service tier for prompts longer than `above`.
#[derive(Clone, Debug)]
pub(super) struct TierRates {
    pub tier: Box<str>,
    pub above: u64,
    pub scope: Scope,
    pub rates: Box<[(Kind, u64)]>,
}

/// Hours of the week, in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// Monday first.
    pub(super) days: [bool; 7],
    /// Minutes of the day, from and until.
    pub(super) spans: Box<[(u16, u16)]>,
    /// Days without these hours, as days since 1970.
    pub(super) except: Box<[i64]>,
}

/// The rates of a span of time.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    /// Always, if `None`.
    pub hours: Option<Hours>,
    pub tiers: Box<[TierRates]>,
}

impl Hours {
    pub fn cover(&self, at: Timestamp) -> bool {
        let day = at.0.div_euclid(DAY_MICROS);
        let minute = at.0.rem_euclid(DAY_MICROS) / MINUTE_MICROS;
        let within = |(from, until): &(u16, u16)| (i64::from(*from)..i64::from(*until)).contains(&minute);
        self.on(day) && self.spans.iter().any(within)
    }

    /// Minutes at which they begin on a day, counted from 1970.
    pub fn begin(&self, day: i64) -> Vec<u16> {
        let mut minutes: Vec<u16> = self.spans.iter().map(|(from, _)| *from).filter(|_| self.on(day)).collect();
        minutes.sort_unstable();
        minutes
    }

    fn on(&self, day: i64) -> bool {
        // 1970 began on a Thursday.
        let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        self.days[weekday] && !self.except.contains(&day)
    }
}

impl Schedule {
    pub fn covers(&self, at: Timestamp) -> bool {
        let span = self.from <= at && self.until.is_none_or(|until| at < until);
        span && self.hours.as_ref().is_none_or(|hours| hours.cover(at))
    }

    fn steps(&self, tier: &str, prompt: u64) -> Vec<&TierRates> {
        let fits = |t: &&TierRates| *t.tier == *tier && (t.above == 0 || prompt > t.above);
        let mut steps: Vec<_> = self.tiers.iter().filter(fits).collect();
        steps.sort_by_key(|step| step.above);
        steps
    }

    /// The rates of a prompt of this length: the last step's, and where it is charged by parts the dearest of all steps'.
    pub fn rates(&self, tier: &str, prompt: u64) -> Option<Rates> {
        let (own, standard) = (self.steps(tier, prompt), self.steps(STANDARD, prompt));
        let (last, usual) = (own.last()?, standard.last()?);
        let rates = Rates::of(&last.rates);
        if last.scope == Scope::Above {
            return own.iter().map(|step| Rates::of(&step.rates)).reduce(|a, b| a.max(&b));
        }
        // A tier that lists no rate for so long a prompt is charged at least what the standard tier is.
        Some(if last.above < usual.above { rates.max(&Rates::of(&usual.rates)) } else { rates })
    }

    pub fn cost(&self, tier: &str, tokens: &Tokens) -> Option<ExactUsd> {
        let steps = self.steps(tier, u64::MAX);
        if steps.last()?.scope == Scope::Whole {
            return self.rates(tier, tokens.prompt())?.cost(tokens);
        }
        let part = |(at, step): (usize, &&TierRates)| {
            let until = steps.get(at + 1).map_or(u64::MAX, |next| next.above);
            let within = |count: u64| count.min(until).saturating_sub(step.above);
            let part = tokens.used().fold(Tokens::default(), |part, (kind, count)| part.with(kind, within(count)));
            Rates::of(&step.rates).cost(&part)
        };
        steps.iter().enumerate().map(part).try_fold(ExactUsd::ZERO, |sum, part| Some(sum.plus(part?)))
    }
}
