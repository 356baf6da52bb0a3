//! One model's price: its rates by date, service tier and context length, its multipliers, tool fees and limits. Computes
//! what an answer cost, and the dearest rates that a request could meet. Does not look models up; `book` does.

use super::tokens::{KINDS, Kind, Tokens};
use crate::rules::subject::Name;
use crate::units::money::PicoUsd;
use crate::units::time::Timestamp;

/// A call may be charged at a price that starts so soon.
const SOON_SECS: i64 = 15 * 60;
/// The tier of a request and an answer that name none.
pub const STANDARD: &str = "standard";

/// Pico-dollars per token, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rates([Option<u64>; KINDS]);

impl Rates {
    pub(super) fn set(&mut self, kind: Kind, rate: Option<u64>) {
        self.0[kind as usize] = rate;
    }

    /// The rate of a kind, or of what it is charged as instead; `None` if the model has no such price.
    pub fn get(&self, kind: Kind) -> Option<PicoUsd> {
        let own = self.0[kind as usize].map(|rate| PicoUsd(u128::from(rate)));
        own.or_else(|| self.get(kind.instead()?))
    }

    /// The dearest of several kinds; `None` if the first has no price.
    pub fn dearest(&self, kinds: &[Kind]) -> Option<PicoUsd> {
        let first = self.get(*kinds.first()?)?;
        Some(kinds.iter().filter_map(|kind| self.get(*kind)).fold(first, PicoUsd::max))
    }

    /// What these tokens cost; `None` if some of them have no price.
    pub fn cost(&self, tokens: &Tokens) -> Option<PicoUsd> {
        tokens.used().try_fold(PicoUsd(0), |sum, (kind, count)| Some(sum.plus(self.get(kind)?.times(count))))
    }

    /// Rate by rate the larger.
    pub(super) fn max(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].max(other.0[at])))
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

/// Rates of one service tier for prompts longer than `above`.
#[derive(Clone, Debug)]
pub(super) struct TierRates {
    pub tier: Box<str>,
    pub above: u64,
    pub rates: Rates,
}

/// The rates of a span of time.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub tiers: Vec<TierRates>,
}

/// A number in thousandths: 1100 is 1.1.
pub(super) type Thousandths = u32;

/// One row of the book.
#[derive(Clone, Debug)]
pub struct Row {
    /// The first of its names.
    pub id: Name,
    pub limits: Limits,
    pub source: Box<str>,
    /// The day on which somebody last compared it with its source.
    pub checked: Box<str>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) multipliers: Vec<(Box<str>, Thousandths)>,
    pub(super) fees: Vec<(Box<str>, PicoUsd)>,
}

/// How an answer was served, in the vendor's own words: what decides between a model's rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served<'a> {
    pub tier: Option<&'a str>,
    /// `geo.us`, `speed.fast`, `host.eu`: those that the model has are applied, each to the tokens' whole price.
    pub factors: &'a [&'a str],
    /// Tool uses: name and count.
    pub fees: &'a [(&'a str, u64)],
}

/// The service tiers that a request may be served in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierAsked<'a> {
    /// The account's own setting decides; it may be the dearer one.
    Auto,
    Named(&'a str),
}

/// The tiers that the book lists. A request that names another may be charged at any of them.
pub(super) const TIERS: [&str; 5] = [STANDARD, "flex", "priority", "ultrafast", BATCH];
/// Only batches are served in it.
const BATCH: &str = "batch";

/// One word for each tier, whatever the vendor's field says.
fn tier_name(name: &str) -> &str {
    match name {
        "" | "auto" | "default" | "standard" | "scale" | "standard_only" => STANDARD,
        "fast" => "priority",
        other => other,
    }
}

impl TierAsked<'_> {
    /// A vendor may always fall back to the standard tier.
    fn admits(self, tier: &str) -> bool {
        match self {
            Self::Named(asked) if TIERS.contains(&tier_name(asked)) => tier == STANDARD || tier == tier_name(asked),
            _ => tier != BATCH,
        }
    }
}

impl Schedule {
    fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

impl Row {
    /// The last schedule that covers `at`, as a later price replaces an earlier one.
    fn schedule(&self, at: Timestamp) -> Option<&Schedule> {
        self.schedules.iter().rev().find(|s| s.covers(at))
    }

    /// The rates of an answer; `None` if the model has no price then, or not in that tier.
    pub fn rates(&self, at: Timestamp, tier: Option<&str>, prompt: u64) -> Option<Rates> {
        let tier = tier_name(tier.unwrap_or(STANDARD));
        let tiers = &self.schedule(at)?.tiers;
        let of = |name: &str| {
            let fits = tiers.iter().filter(|t| *t.tier == *name && (t.above == 0 || prompt > t.above));
            fits.max_by_key(|t| t.above)
        };
        let (own, standard) = (of(tier)?, of(STANDARD)?);
        // A tier that lists no rate for so long a prompt is charged at least what the standard tier is.
        Some(if own.above < standard.above { own.rates.max(&standard.rates) } else { own.rates })
    }

    /// What an answer cost; `None` if some part of it has no price.
    pub fn cost(&self, at: Timestamp, tokens: &Tokens, served: Served<'_>) -> Option<PicoUsd> {
        let tokens = self.rates(at, served.tier, tokens.prompt())?.cost(tokens)?;
        let tokens = served.factors.iter().fold(tokens, |sum, name| self.multiplied(sum, name));
        served.fees.iter().try_fold(tokens, |sum, (name, count)| match count {
            0 => Some(sum),
            _ => Some(sum.plus(self.fee(name)?.times(*count))),
        })
    }

    /// Rate by rate the dearest that a request could meet now or soon, for a prompt of at most `prompt` tokens.
    pub fn dearest(&self, now: Timestamp, asked: TierAsked<'_>, prompt: u64) -> Option<Rates> {
        let [first, second] = [now, now.plus_secs(SOON_SECS)].map(|at| self.schedule(at));
        let schedules = first.into_iter().chain(second);
        let tiers =
            schedules.flat_map(|s| &s.tiers).filter(|t| asked.admits(&t.tier) && (t.above == 0 || prompt > t.above));
        tiers.map(|t| t.rates).reduce(|a, b| a.max(&b))
    }

    /// The sum times one factor, if the model has it.
    pub fn multiplied(&self, sum: PicoUsd, factor: &str) -> PicoUsd {
        match self.factor(factor) {
            Some(thousandths) => PicoUsd(sum.0.saturating_mul(u128::from(thousandths)).div_ceil(1000)),
            None => sum,
        }
    }

    pub fn has_factor(&self, name: &str) -> bool {
        self.factor(name).is_some()
    }

    fn factor(&self, name: &str) -> Option<Thousandths> {
        self.multipliers.iter().find(|(own, _)| **own == *name).map(|(_, factor)| *factor)
    }

    /// What one use of a tool costs.
    pub fn fee(&self, tool: &str) -> Option<PicoUsd> {
        self.fees.iter().find(|(own, _)| **own == *tool).map(|(_, fee)| *fee)
    }
}
